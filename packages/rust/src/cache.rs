//! Good answers that may be kept, in bounded room.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::clock::Moment;

/// The name of a question. Nothing of the question can be read from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

/// Makes the name of a question out of its parts.
pub(crate) struct Digester(Sha256);

impl Digester {
    pub(crate) fn new(door: &[u8]) -> Self {
        let mut digester = Self(Sha256::new());
        digester.add(door);
        digester
    }

    /// Each part with its length before it, so that no two lists of parts read the same.
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.0.update(part);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

struct Kept<V> {
    value: V,
    until: Moment,
    number: u64,
}

/// The oldest answer goes first where there are too many.
pub(crate) struct Cache<V> {
    most: usize,
    kept: HashMap<Digest, Kept<V>>,
    /// In the order in which they came. An entry whose number is not that of the answer is of an earlier one.
    order: VecDeque<(u64, Digest)>,
    next: u64,
}

impl<V: Clone> Cache<V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, kept: HashMap::new(), order: VecDeque::new(), next: 0 }
    }

    /// The answer to this question, if there is one that holds at this moment.
    pub(crate) fn get(&mut self, question: &Digest, now: Moment) -> Option<V> {
        let kept = self.kept.get(question)?;
        if now < kept.until {
            return Some(kept.value.clone());
        }
        self.kept.remove(question);
        None
    }

    /// Keeps an answer that holds until then.
    pub(crate) fn keep(&mut self, question: Digest, value: V, until: Moment, now: Moment) {
        if self.most == 0 || until <= now {
            return;
        }
        self.kept.remove(&question);
        while let Some((number, oldest)) = self.order.front() {
            let holds = self.kept.get(oldest).is_some_and(|kept| kept.number == *number && now < kept.until);
            if holds && self.kept.len() < self.most {
                break;
            }
            if let Some((number, oldest)) = self.order.pop_front()
                && self.kept.get(&oldest).is_some_and(|kept| kept.number == number)
            {
                self.kept.remove(&oldest);
            }
        }
        // Behind one that holds for long, others may have come and gone many times.
        if self.order.len() > self.most.saturating_mul(2) {
            let kept = &self.kept;
            self.order.retain(|(number, question)| kept.get(question).is_some_and(|kept| kept.number == *number));
        }
        self.next += 1;
        self.order.push_back((self.next, question));
        self.kept.insert(question, Kept { value, until, number: self.next });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(number: u8) -> Digest {
        let mut digester = Digester::new(b"test");
        digester.add(&[number]);
        digester.finish()
    }

    #[test]
    fn an_answer_ends_exactly_at_its_time() {
        let mut cache = Cache::new(2);
        cache.keep(name(1), "one", Moment::at_ms(100), Moment::at_ms(0));
        assert_eq!(cache.get(&name(1), Moment::at_ms(99)), Some("one"));
        assert_eq!(cache.get(&name(1), Moment::at_ms(100)), None);
        cache.keep(name(1), "late", Moment::at_ms(100), Moment::at_ms(100));
        assert_eq!(cache.kept.len(), 0, "an answer that took too long is not kept at all");
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut cache = Cache::new(2);
        for number in 1..=3 {
            cache.keep(name(number), number, Moment::at_ms(100), Moment::at_ms(0));
        }
        assert_eq!(cache.get(&name(1), Moment::at_ms(1)), None);
        assert_eq!(cache.get(&name(2), Moment::at_ms(1)), Some(2));
        assert_eq!(cache.get(&name(3), Moment::at_ms(1)), Some(3));
        let mut none = Cache::new(0);
        none.keep(name(1), 1, Moment::at_ms(100), Moment::at_ms(0));
        assert_eq!(none.get(&name(1), Moment::at_ms(1)), None);
    }

    proptest! {
        /// Against the plainest model there is: what is found holds, is the latest, and there is never more than room.
        #[test]
        fn never_too_much_never_too_long(
            most in 0_usize..4,
            steps in proptest::collection::vec((any::<bool>(), 0_u8..6, 0_u64..40, 0_u64..4), 0..200),
        ) {
            let mut cache = Cache::new(most);
            let mut model: HashMap<u8, (usize, u64)> = HashMap::new();
            let mut now = 0;
            for (index, (keep, key, holds, passes)) in steps.into_iter().enumerate() {
                now += passes;
                if keep {
                    cache.keep(name(key), index, Moment::at_ms(now + holds), Moment::at_ms(now));
                    if holds > 0 {
                        model.insert(key, (index, now + holds));
                    }
                    if most > 0 && holds > 0 {
                        prop_assert_eq!(cache.get(&name(key), Moment::at_ms(now)), Some(index));
                    }
                } else if let Some(found) = cache.get(&name(key), Moment::at_ms(now)) {
                    let (latest, until) = model[&key];
                    prop_assert_eq!(found, latest);
                    prop_assert!(now < until);
                }
                prop_assert!(cache.kept.len() <= most);
                prop_assert!(cache.order.len() <= 2 * most + 1);
            }
        }
    }
}
