//! What a payment is: its terms, what was seen of it, and the state that follows from both.
//!
//! The state is a pure function of the transfers that the ledger now holds to be true, the ledger's own time, what
//! people decided, and the state before: looking again changes nothing, and nothing is credited twice.

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::text::text_enum;
use crate::time::Timestamp;

text_enum! {
    /// Where a payment stands.
    PaymentStatus {
        /// Waiting for money.
        Open = "open",
        /// Enough was seen, not yet for certain.
        Processing = "processing",
        /// Paid.
        Settled = "settled",
        /// Its time ran out.
        Expired = "expired",
        /// Called off before anything was seen.
        Cancelled = "cancelled",
        /// Money came that somebody has to decide on.
        NeedsReview = "needs_review",
        /// Paid once, and the ledger took it back.
        Reversed = "reversed",
        /// Some of it was given back.
        PartiallyRefunded = "partially_refunded",
        /// All of it was given back.
        Refunded = "refunded",
    }
}

text_enum! {
    /// What is unusual about it.
    PaymentException {
        /// Nothing.
        None = "none",
        /// Some money came, not enough yet.
        Partial = "partial",
        /// Less than the price, whether within the tolerance or when the time ran out.
        Underpaid = "underpaid",
        /// More than the price, or than somebody accepted.
        Overpaid = "overpaid",
        /// The money came after the time had run out.
        Late = "late",
        /// Something else had paid for the same thing already.
        Multiple = "multiple",
        /// Somebody decided.
        Manual = "manual",
    }
}

text_enum! {
    /// What happened to a payment, as its events and webhooks name it.
    PaymentEvent {
        /// Some money came, not enough yet.
        PartiallyPaid = "payment.partially_paid",
        /// Enough was seen, not yet for certain.
        Processing = "payment.processing",
        /// It is paid.
        Succeeded = "payment.succeeded",
        /// More came for what is paid than pays it.
        Overpaid = "payment.overpaid",
        /// What had been seen is gone again.
        Reorged = "payment.reorged",
        /// Its time ran out.
        Expired = "payment.expired",
        /// It was called off.
        Cancelled = "payment.cancelled",
        /// Somebody has to decide.
        ReviewRequired = "payment.review_required",
        /// Somebody decided.
        Resolved = "payment.resolved",
        /// The ledger took back what had been final.
        Reversed = "payment.reversed",
        /// Money was given back.
        Refunded = "payment.refunded",
    }
}

/// What is asked for, fixed when the payment is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The price.
    pub due: Money,
    /// How many base units may lack.
    pub tolerance: Money,
    /// The last instant of the ledger's time at which money comes in time; none where it may come at any time.
    pub expires_at: Option<Timestamp>,
    /// Whether money that comes later settles the payment all the same.
    pub accepts_late: bool,
}

/// What the ledger now holds to be true: sums of the canonical transfers of the right asset to the payment's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Everything, final or not.
    pub seen: Money,
    /// What has its confirmations.
    pub settled: Money,
    /// The part of `seen` that came in time.
    pub seen_in_time: Money,
    /// The part of `settled` that came in time.
    pub settled_in_time: Money,
    /// What was given back for certain.
    pub refunded: Money,
    /// The ledger's own time: that of its latest block.
    pub ledger_time: Timestamp,
}

/// One transfer that counts for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Its base units.
    pub units: i64,
    /// The height of its block.
    pub block: u64,
    /// The ledger's own time of its block.
    pub block_time: Timestamp,
}

impl Observed {
    /// What follows from the transfers that count. Blocks below `first_open` are final. A sum beyond 64 bits is the
    /// largest one that there is.
    pub fn of(
        terms: &Terms,
        transfers: impl IntoIterator<Item = Counted>,
        first_open: u64,
        ledger_time: Timestamp,
    ) -> Self {
        let (mut seen, mut settled, mut seen_in_time, mut settled_in_time) = (0i64, 0i64, 0i64, 0i64);
        for transfer in transfers {
            let (in_time, is_final) = (terms.in_time(transfer.block_time), transfer.block < first_open);
            for (sum, counts) in [
                (&mut seen, true),
                (&mut settled, is_final),
                (&mut seen_in_time, in_time),
                (&mut settled_in_time, in_time && is_final),
            ] {
                if counts {
                    *sum = sum.saturating_add(transfer.units.max(0));
                }
            }
        }
        let money = |units| Money::from_units(units, terms.due.asset()).expect("a sum of what is not below zero");
        Self {
            seen: money(seen),
            settled: money(settled),
            seen_in_time: money(seen_in_time),
            settled_in_time: money(settled_in_time),
            refunded: money(0),
            ledger_time,
        }
    }

    /// The same, with so many base units given back.
    #[must_use]
    pub fn refunding(self, units: i64) -> Self {
        let refunded = Money::from_units(units.max(0), self.settled.asset()).expect("not below zero");
        Self { refunded, ..self }
    }

    /// What is left of it after what was given back: of a payment that still waits, only that can pay the price.
    fn kept(&self) -> Self {
        let kept = |sum: Money| sum.checked_sub(self.refunded).unwrap_or(Money::zero(sum.asset()));
        Self {
            seen: kept(self.seen),
            settled: kept(self.settled),
            seen_in_time: kept(self.seen_in_time),
            settled_in_time: kept(self.settled_in_time),
            ..*self
        }
    }
}

/// Where a payment stands, and what it takes to leave it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentState {
    /// Where it stands.
    pub status: PaymentStatus,
    /// What is unusual about it.
    pub exception: PaymentException,
    /// Base units that the ledger must go on holding, once the payment is settled; below them it is reversed.
    pub floor: i64,
    /// Base units that were given back for certain.
    pub refunded: i64,
    /// Where it would stand if nothing had been given back, where that makes a difference.
    pub refunded_from: Option<PaymentStatus>,
    /// Base units of which somebody said that they were given back outside of this system.
    pub returned: i64,
}

/// What somebody decided about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What came is good enough.
    Accept,
    /// It was, or will be, given back outside of this system.
    Return,
}

/// Why somebody cannot do this to a payment now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// Money was seen, or the payment is past waiting.
    #[error("a payment can be cancelled only while it waits and nothing was seen")]
    Cancel,
    /// There is nothing to decide.
    #[error("only a payment that needs review or has expired can be decided on")]
    Decide,
    /// Nothing came that could have been given back.
    #[error("nothing came in for certain that could be given back")]
    Return,
    /// It is not certain yet what came in, or nothing did.
    #[error("only what came in for certain, for a payment that waits for nothing, can be given back")]
    Refund,
}

impl Terms {
    /// The least that pays.
    fn enough(&self) -> i64 {
        self.due.units().saturating_sub(self.tolerance.units()).max(1)
    }

    /// Whether money in a block of this time comes in time.
    pub fn in_time(&self, block_time: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| block_time <= expires_at)
    }

    fn paid_with(&self, sum: Money, late: bool) -> PaymentState {
        let exception = if late {
            PaymentException::Late
        } else {
            match sum.units().cmp(&self.due.units()) {
                std::cmp::Ordering::Less => PaymentException::Underpaid,
                std::cmp::Ordering::Equal => PaymentException::None,
                std::cmp::Ordering::Greater => PaymentException::Overpaid,
            }
        };
        PaymentState { floor: self.enough(), ..PaymentState::of(PaymentStatus::Settled, exception) }
    }
}

impl PaymentState {
    /// A payment that was just made.
    pub const OPEN: Self = Self::of(PaymentStatus::Open, PaymentException::None);

    const fn of(status: PaymentStatus, exception: PaymentException) -> Self {
        Self { status, exception, floor: 0, refunded: 0, refunded_from: None, returned: 0 }
    }

    /// The same as if nothing had been given back.
    const fn before_refunds(self) -> Self {
        let status = match self.refunded_from {
            Some(status) => status,
            None => self.status,
        };
        Self { status, refunded: 0, refunded_from: None, ..self }
    }

    /// The same after what was given back. Of a payment that never settled, a part changes nothing yet.
    fn less_refunds(self, observed: &Observed) -> Self {
        let refunded = observed.refunded.units();
        let is_all = refunded >= observed.settled.units() - self.returned;
        let status = match self.status {
            stays if refunded == 0 => stays,
            // What was given back is not there: that is for somebody to see.
            PaymentStatus::NeedsReview if self.exception == PaymentException::Manual => self.status,
            PaymentStatus::Settled | PaymentStatus::NeedsReview | PaymentStatus::Expired if is_all => {
                PaymentStatus::Refunded
            }
            PaymentStatus::Settled => PaymentStatus::PartiallyRefunded,
            stays => stays,
        };
        Self { status, refunded, refunded_from: (status != self.status).then_some(self.status), ..self }
    }

    /// The state that follows from what the ledger now holds to be true.
    #[must_use]
    pub fn after(self, terms: &Terms, observed: &Observed) -> Self {
        self.before_refunds().on_ledger(terms, observed).less_refunds(observed)
    }

    fn on_ledger(self, terms: &Terms, observed: &Observed) -> Self {
        match self.status {
            PaymentStatus::Open | PaymentStatus::Processing | PaymentStatus::Expired => {
                let next = awaited(terms, &observed.kept());
                // Paid by what was kept; too much or too little is said of what came, as it is from here on.
                if next.status == PaymentStatus::Settled { next.on_ledger(terms, observed) } else { next }
            }
            PaymentStatus::Cancelled if observed.settled.is_zero() => self,
            PaymentStatus::Cancelled => Self::of(PaymentStatus::NeedsReview, PaymentException::Late),
            PaymentStatus::Settled | PaymentStatus::PartiallyRefunded => {
                if observed.seen.units() < self.floor {
                    return Self { status: PaymentStatus::Reversed, ..self };
                }
                let exception = match self.exception {
                    PaymentException::Manual | PaymentException::Overpaid
                        if observed.settled.units() > self.pays(terms) =>
                    {
                        PaymentException::Overpaid
                    }
                    // More came than was accepted, and is gone again.
                    PaymentException::Overpaid if self.floor != terms.enough() => PaymentException::Manual,
                    PaymentException::None | PaymentException::Underpaid | PaymentException::Overpaid
                        if observed.settled.units() >= terms.enough() =>
                    {
                        terms.paid_with(observed.settled, false).exception
                    }
                    stays => stays,
                };
                Self { exception, ..self }
            }
            // Returned as of then. Somebody decides anew where more came, and where what was given back is not there.
            PaymentStatus::Refunded if observed.seen.units() < self.floor => {
                Self { status: PaymentStatus::NeedsReview, ..self }
            }
            PaymentStatus::Refunded if observed.settled.units() > self.floor.max(self.returned) => {
                Self { status: PaymentStatus::NeedsReview, exception: PaymentException::Late, ..self }
            }
            PaymentStatus::Reversed if observed.settled.units() >= self.floor => {
                Self { status: PaymentStatus::Settled, ..self }.on_ledger(terms, observed)
            }
            // Under review people decide, not the ledger.
            PaymentStatus::Refunded | PaymentStatus::Reversed | PaymentStatus::NeedsReview => self,
        }
    }

    /// What pays a settled payment: more is too much. What somebody accepted is good enough, whatever the price is.
    fn pays(self, terms: &Terms) -> i64 {
        if self.floor == terms.enough() { terms.due.units() } else { self.floor }
    }

    /// Whether what came in can be given back: it is certain what came, and nothing is waited for.
    ///
    /// # Errors
    /// [`NotNow::Refund`] otherwise.
    pub const fn check_refundable(self) -> Result<(), NotNow> {
        match self.status {
            PaymentStatus::Settled
            | PaymentStatus::PartiallyRefunded
            | PaymentStatus::Refunded
            | PaymentStatus::NeedsReview
            | PaymentStatus::Expired => Ok(()),
            PaymentStatus::Open | PaymentStatus::Processing | PaymentStatus::Cancelled | PaymentStatus::Reversed => {
                Err(NotNow::Refund)
            }
        }
    }

    /// The state after the merchant called the payment off.
    ///
    /// # Errors
    /// [`NotNow::Cancel`] once anything was seen, or where it is not waiting.
    pub fn cancelled(self, observed: &Observed) -> Result<Self, NotNow> {
        if self.status == PaymentStatus::Open && observed.seen.is_zero() {
            Ok(Self::of(PaymentStatus::Cancelled, PaymentException::None))
        } else {
            Err(NotNow::Cancel)
        }
    }

    /// The state after somebody decided. Of what is there, refunds have promised so many base units (`promised`): these
    /// are not what was given back outside of this system.
    ///
    /// # Errors
    /// [`NotNow::Decide`] where there is nothing to decide, [`NotNow::Return`] where there is nothing to return.
    pub fn decided(self, verdict: Verdict, observed: &Observed, promised: i64) -> Result<Self, NotNow> {
        if !matches!(self.status, PaymentStatus::NeedsReview | PaymentStatus::Expired) {
            return Err(NotNow::Decide);
        }
        let settled = observed.settled.units();
        let (status, floor, returned) = match verdict {
            // What is not final yet is accepted with the rest, and missed like the rest where it is gone.
            Verdict::Accept => (PaymentStatus::Settled, observed.seen.units(), self.returned),
            Verdict::Return => (PaymentStatus::Refunded, settled, settled.saturating_sub(promised).max(self.returned)),
        };
        // Something did come for what is under review, although the ledger may have taken it back since.
        if verdict == Verdict::Return && returned == 0 && self.status == PaymentStatus::Expired {
            return Err(NotNow::Return);
        }
        // What was there when it was decided must stay there; more was never asked for.
        let decided = Self { floor, returned, ..Self::of(status, PaymentException::Manual) };
        Ok(decided.less_refunds(observed))
    }

    /// The same state of a payment that comes second: what it is for was paid by another one.
    #[must_use]
    pub const fn beside_another(self) -> Self {
        match self.before_refunds().status {
            PaymentStatus::Settled => Self { exception: PaymentException::Multiple, ..self },
            _ => self,
        }
    }

    /// The same state of a payment that came second, where what came first was taken back.
    #[must_use]
    pub fn beside_none(self, terms: &Terms, observed: &Observed) -> Self {
        if self.exception != PaymentException::Multiple {
            return self;
        }
        let exception = if self.floor == terms.enough() {
            terms.paid_with(observed.seen, observed.seen_in_time.units() < terms.enough()).exception
        } else {
            PaymentException::Manual
        };
        Self { exception, ..self }.after(terms, observed)
    }

    /// Whether more money, or the lack of it, can still change anything without somebody's decision.
    pub const fn is_awaiting(self) -> bool {
        matches!(self.status, PaymentStatus::Open | PaymentStatus::Processing)
    }

    /// Whether it counts as paid to whoever looks from outside. What was paid and given back was paid: nobody is asked
    /// for it once more.
    pub const fn is_paid(self) -> bool {
        match self.before_refunds().status {
            PaymentStatus::Settled | PaymentStatus::PartiallyRefunded => true,
            PaymentStatus::Open
            | PaymentStatus::Processing
            | PaymentStatus::Expired
            | PaymentStatus::Cancelled
            | PaymentStatus::NeedsReview
            | PaymentStatus::Reversed
            | PaymentStatus::Refunded => false,
        }
    }

    /// What there is to tell about the step from this state to `next`; nothing where they are the same to an onlooker.
    pub fn event_to(self, next: Self) -> Option<PaymentEvent> {
        let (was, is) = (self.before_refunds(), next.before_refunds());
        if was.status != is.status {
            return Some(was.event_of(is));
        }
        match next.refunded.cmp(&self.refunded) {
            std::cmp::Ordering::Greater => return Some(PaymentEvent::Refunded),
            std::cmp::Ordering::Less => return Some(PaymentEvent::Reorged),
            std::cmp::Ordering::Equal => {}
        }
        if self.status != next.status {
            // More came, or less is there, than when it was given back.
            return match next.status {
                PaymentStatus::NeedsReview => Some(PaymentEvent::ReviewRequired),
                PaymentStatus::Refunded => Some(PaymentEvent::Refunded),
                _ => None,
            };
        }
        let more = next.exception == PaymentException::Partial && self.exception != PaymentException::Partial;
        more.then_some(PaymentEvent::PartiallyPaid)
    }

    /// What there is to tell where so many base units are final of what was paid before and is paid, and it was so many
    /// before: more than pays it is somebody's to give back.
    pub fn event_of_more(self, next: Self, terms: &Terms, was: Money, is: Money) -> Option<PaymentEvent> {
        let more = is.units() > was.units() && is.units() > next.pays(terms);
        (self.is_paid() && next.is_paid() && more).then_some(PaymentEvent::Overpaid)
    }

    /// What there is to tell about a step to another status, refunds aside.
    fn event_of(self, next: Self) -> PaymentEvent {
        match next.status {
            PaymentStatus::Open => PaymentEvent::Reorged,
            PaymentStatus::Processing => PaymentEvent::Processing,
            PaymentStatus::Settled | PaymentStatus::Refunded if next.exception == PaymentException::Manual => {
                match self.status {
                    PaymentStatus::Reversed => PaymentEvent::Succeeded,
                    _ => PaymentEvent::Resolved,
                }
            }
            PaymentStatus::Settled => PaymentEvent::Succeeded,
            PaymentStatus::Expired => PaymentEvent::Expired,
            PaymentStatus::Cancelled => PaymentEvent::Cancelled,
            // What somebody returned is not there any more.
            PaymentStatus::NeedsReview if next.exception == PaymentException::Manual => PaymentEvent::Reversed,
            PaymentStatus::NeedsReview => PaymentEvent::ReviewRequired,
            PaymentStatus::Reversed => PaymentEvent::Reversed,
            PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded => PaymentEvent::Refunded,
        }
    }
}

/// A payment that still waits, or waited in vain: it has no memory of its own.
fn awaited(terms: &Terms, observed: &Observed) -> PaymentState {
    let enough = terms.enough();
    if observed.settled_in_time.units() >= enough {
        return terms.paid_with(observed.settled, false);
    }
    // What was seen in time counts, however long it takes to be certain.
    if observed.seen_in_time.units() >= enough {
        return PaymentState::of(PaymentStatus::Processing, PaymentException::None);
    }
    if terms.in_time(observed.ledger_time) {
        let exception = if observed.seen.is_zero() { PaymentException::None } else { PaymentException::Partial };
        return PaymentState::of(PaymentStatus::Open, exception);
    }
    let came_late = observed.settled.units() > observed.settled_in_time.units();
    match (came_late, observed.settled.units() >= enough && terms.accepts_late) {
        (true, true) => terms.paid_with(observed.settled, true),
        (true, false) => PaymentState::of(PaymentStatus::NeedsReview, PaymentException::Late),
        (false, _) if observed.seen.is_zero() => PaymentState::of(PaymentStatus::Expired, PaymentException::None),
        // Enough came, late and not yet for certain.
        (false, _) if observed.seen.units() >= enough => {
            PaymentState::of(PaymentStatus::Expired, PaymentException::Late)
        }
        (false, _) => PaymentState::of(PaymentStatus::Expired, PaymentException::Underpaid),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::money::Asset;

    fn usdc(units: i64) -> Money {
        Money::from_units(units, Asset::USDC).expect("positive")
    }

    fn start() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().expect("an instant")
    }

    fn minute(minutes: u64) -> Timestamp {
        start().saturating_add(Duration::from_secs(minutes * 60))
    }

    /// 100 base units, one may lack, within an hour.
    fn terms() -> Terms {
        Terms { due: usdc(100), tolerance: usdc(1), expires_at: Some(minute(60)), accepts_late: true }
    }

    /// A transfer: base units, the minute of its block, whether it is final.
    type Transfer = (i64, u64, bool);

    fn observe(terms: &Terms, transfers: &[Transfer], now: u64) -> Observed {
        // Final ones are below block 1.
        let counted = transfers.iter().map(|(units, at, is_final)| Counted {
            units: *units,
            block: u64::from(!is_final),
            block_time: minute(*at),
        });
        Observed::of(terms, counted, 1, minute(now))
    }

    /// Runs through what was seen step by step; gives each status with its exception and its event.
    fn run(
        terms: &Terms,
        steps: &[(&[Transfer], u64)],
    ) -> Vec<(PaymentStatus, PaymentException, Option<PaymentEvent>)> {
        let mut state = PaymentState::OPEN;
        let mut told = Vec::new();
        for (transfers, now) in steps {
            let next = state.after(terms, &observe(terms, transfers, *now));
            told.push((next.status, next.exception, state.event_to(next)));
            state = next;
        }
        told
    }

    use PaymentEvent as Event;
    use PaymentException as Ex;
    use PaymentStatus as St;

    #[test]
    fn the_table_of_states() {
        let t = terms();
        // Seen, then final.
        assert_eq!(
            run(&t, &[(&[], 1), (&[(100, 2, false)], 2), (&[(100, 2, true)], 5)]),
            [
                (St::Open, Ex::None, None),
                (St::Processing, Ex::None, Some(Event::Processing)),
                (St::Settled, Ex::None, Some(Event::Succeeded)),
            ]
        );
        // Two parts; the second one a unit short, which the tolerance allows.
        assert_eq!(
            run(&t, &[(&[(40, 1, false)], 1), (&[(40, 1, true)], 4), (&[(40, 1, true), (59, 5, true)], 9)]),
            [
                (St::Open, Ex::Partial, Some(Event::PartiallyPaid)),
                (St::Open, Ex::Partial, None),
                (St::Settled, Ex::Underpaid, Some(Event::Succeeded)),
            ]
        );
        // Too little until the end.
        assert_eq!(
            run(&t, &[(&[(98, 1, true)], 60), (&[(98, 1, true)], 61)]),
            [(St::Open, Ex::Partial, Some(Event::PartiallyPaid)), (St::Expired, Ex::Underpaid, Some(Event::Expired))]
        );
        // Too much, and then more.
        assert_eq!(
            run(&t, &[(&[(101, 1, true)], 3), (&[(101, 1, true), (7, 9, true)], 12)]),
            [(St::Settled, Ex::Overpaid, Some(Event::Succeeded)), (St::Settled, Ex::Overpaid, None)]
        );
        // Seen in time, certain only later: the end does not matter.
        assert_eq!(
            run(&t, &[(&[(100, 60, false)], 60), (&[(100, 60, false)], 90), (&[(100, 60, true)], 91)]),
            [
                (St::Processing, Ex::None, Some(Event::Processing)),
                (St::Processing, Ex::None, None),
                (St::Settled, Ex::None, Some(Event::Succeeded)),
            ]
        );
        // Gone again, before and after the end.
        assert_eq!(
            run(&t, &[(&[(100, 2, false)], 2), (&[], 3), (&[(100, 4, false)], 4), (&[], 61)]),
            [
                (St::Processing, Ex::None, Some(Event::Processing)),
                (St::Open, Ex::None, Some(Event::Reorged)),
                (St::Processing, Ex::None, Some(Event::Processing)),
                (St::Expired, Ex::None, Some(Event::Expired)),
            ]
        );
        // Late.
        let late: &[(&[Transfer], u64)] = &[(&[], 61), (&[(100, 62, false)], 62), (&[(100, 62, true)], 65)];
        assert_eq!(
            run(&t, late),
            [
                (St::Expired, Ex::None, Some(Event::Expired)),
                (St::Expired, Ex::Late, None),
                (St::Settled, Ex::Late, Some(Event::Succeeded)),
            ]
        );
        let strict = Terms { accepts_late: false, ..t };
        assert_eq!(run(&strict, late)[2], (St::NeedsReview, Ex::Late, Some(Event::ReviewRequired)));
        assert_eq!(run(&t, &[(&[(30, 62, true)], 65)])[0].0, St::NeedsReview);
        // A part in time and the rest late, not yet for certain.
        assert_eq!(
            run(&t, &[(&[(60, 2, true), (38, 62, false)], 62)])[0],
            (St::Expired, Ex::Underpaid, Some(Event::Expired))
        );
        assert_eq!(
            run(&t, &[(&[(60, 2, true), (39, 62, false)], 62)])[0],
            (St::Expired, Ex::Late, Some(Event::Expired))
        );
        // Taken back after it was final, and back again.
        assert_eq!(
            run(&t, &[(&[(100, 2, true)], 5), (&[], 6), (&[(100, 7, false)], 7), (&[(100, 7, true)], 10)]),
            [
                (St::Settled, Ex::None, Some(Event::Succeeded)),
                (St::Reversed, Ex::None, Some(Event::Reversed)),
                (St::Reversed, Ex::None, None),
                (St::Settled, Ex::None, Some(Event::Succeeded)),
            ]
        );
        // Never expires.
        let open_end = Terms { expires_at: None, ..t };
        assert_eq!(run(&open_end, &[(&[], 1_000_000)])[0].0, St::Open);
    }

    #[test]
    fn people_decide_where_the_ledger_cannot() {
        let t = terms();
        let nothing = observe(&t, &[], 1);
        let some = observe(&t, &[(30, 62, true)], 65);
        let cancelled = PaymentState::OPEN.cancelled(&nothing).expect("nothing was seen");
        assert_eq!(PaymentState::OPEN.event_to(cancelled), Some(Event::Cancelled));
        assert_eq!(cancelled.after(&t, &nothing), cancelled);
        assert_eq!(PaymentState::OPEN.cancelled(&some), Err(NotNow::Cancel));
        let review = cancelled.after(&t, &some);
        assert_eq!((review.status, review.exception), (St::NeedsReview, Ex::Late));
        assert_eq!(review.after(&t, &nothing), review);
        assert_eq!(PaymentState::OPEN.decided(Verdict::Accept, &some, 0), Err(NotNow::Decide));
        let accepted = review.decided(Verdict::Accept, &some, 0).expect("under review");
        assert_eq!((accepted.status, accepted.exception, accepted.is_paid()), (St::Settled, Ex::Manual, true));
        assert_eq!(review.event_to(accepted), Some(Event::Resolved));
        // What was accepted stays accepted at its sum, and is reversed below it.
        assert_eq!(accepted.after(&t, &some), accepted);
        let reversed = accepted.after(&t, &nothing);
        assert_eq!((reversed.status, accepted.event_to(reversed)), (St::Reversed, Some(Event::Reversed)));
        let again = reversed.after(&t, &some);
        assert_eq!((again, reversed.event_to(again)), (accepted, Some(Event::Succeeded)));
        let returned = review.decided(Verdict::Return, &some, 0).expect("under review");
        assert_eq!((returned.status, returned.is_paid()), (St::Refunded, false));
    }

    #[test]
    fn a_tolerance_never_makes_a_payment_free() {
        let generous = Terms { due: usdc(5), tolerance: usdc(50), ..terms() };
        assert_eq!(run(&generous, &[(&[], 1)])[0].0, St::Open);
        assert_eq!(run(&generous, &[(&[(1, 1, true)], 4)])[0].0, St::Settled);
    }

    #[test]
    fn what_is_given_back_changes_where_it_stands_and_not_that_it_was_paid() {
        let t = terms();
        let paid = observe(&t, &[(110, 2, true)], 5);
        let settled = PaymentState::OPEN.after(&t, &paid);
        assert_eq!((settled.status, settled.exception), (St::Settled, Ex::Overpaid));
        let part = settled.after(&t, &paid.refunding(10));
        assert_eq!((part.status, part.exception, part.is_paid()), (St::PartiallyRefunded, Ex::Overpaid, true));
        assert_eq!(settled.event_to(part), Some(Event::Refunded));
        // Each refund is told, although the status stays.
        let more = part.after(&t, &paid.refunding(60));
        assert_eq!((more.status, part.event_to(more)), (St::PartiallyRefunded, Some(Event::Refunded)));
        let all = more.after(&t, &paid.refunding(110));
        assert_eq!((all.status, all.is_paid(), more.event_to(all)), (St::Refunded, true, Some(Event::Refunded)));
        // The ledger takes the refund back: it is paid as before, and nothing is delivered twice.
        let back = all.after(&t, &paid);
        assert_eq!((back, all.event_to(back)), (settled, Some(Event::Reorged)));
        // The ledger takes the money back that was given back.
        let gone = all.after(&t, &observe(&t, &[], 6).refunding(110));
        assert_eq!((gone.status, all.event_to(gone)), (St::Reversed, Some(Event::Reversed)));
        assert_eq!(gone.after(&t, &paid.refunding(110)), all);
    }

    #[test]
    fn what_nobody_decided_on_can_be_given_back() {
        let t = Terms { accepts_late: false, ..terms() };
        let late = observe(&t, &[(100, 62, true)], 65);
        let review = PaymentState::OPEN.after(&t, &late);
        let part = review.after(&t, &late.refunding(40));
        assert_eq!((part.status, part.refunded), (St::NeedsReview, 40));
        let all = part.after(&t, &late.refunding(100));
        assert_eq!((all.status, all.is_paid(), part.event_to(all)), (St::Refunded, false, Some(Event::Refunded)));
        assert_eq!(all.decided(Verdict::Accept, &late, 0), Err(NotNow::Decide));
        assert_eq!(all.after(&t, &late), review);
        // More comes to what was given back: people decide again.
        let again = all.after(&t, &observe(&t, &[(100, 62, true), (5, 70, true)], 75).refunding(100));
        assert_eq!((again.status, all.event_to(again)), (St::NeedsReview, Some(Event::ReviewRequired)));
        // Half of it was given back, and the rest is accepted.
        let accepted = part.decided(Verdict::Accept, &late.refunding(40), 40).expect("under review");
        assert_eq!((accepted.status, accepted.is_paid()), (St::PartiallyRefunded, true));
        assert_eq!(part.event_to(accepted), Some(Event::Resolved));

        // What was given back pays for nothing: sixty came and went, forty more are no hundred.
        let t = terms();
        let short = observe(&t, &[(60, 2, true)], 61);
        let expired = PaymentState::OPEN.after(&t, &short);
        let returned = expired.after(&t, &short.refunding(60));
        assert_eq!((expired.status, returned.status), (St::Expired, St::Refunded));
        let topped_up = observe(&t, &[(60, 2, true), (40, 62, true)], 65).refunding(60);
        assert_eq!(returned.after(&t, &topped_up).status, St::NeedsReview);
        let paid_anew = observe(&t, &[(60, 2, true), (100, 62, true)], 65).refunding(60);
        assert!(returned.after(&t, &paid_anew).is_paid());
        assert_eq!(PaymentState::OPEN.check_refundable(), Err(NotNow::Refund));
    }

    #[test]
    fn more_for_what_is_paid_is_told_each_time() {
        let t = terms();
        let paid = observe(&t, &[(100, 2, true)], 5);
        let settled = PaymentState::OPEN.after(&t, &paid);
        let more = observe(&t, &[(100, 2, true), (5, 6, true)], 9);
        let over = settled.after(&t, &more);
        let told = |was: PaymentState, before, is, after| was.event_of_more(is, &t, usdc(before), usdc(after));
        assert_eq!(PaymentState::OPEN.event_of_more(settled, &t, usdc(0), usdc(101)), None, "it is paid, and says so");
        assert_eq!((settled.event_to(over), told(settled, 100, over, 105)), (None, Some(Event::Overpaid)));
        assert_eq!(told(over, 105, over, 105), None);
        assert_eq!(told(over, 105, over, 107), Some(Event::Overpaid));
        assert_eq!(told(over, 107, over, 105), None);
        // All of it was given back, and then more came.
        let all = settled.after(&t, &paid.refunding(100));
        let part = all.after(&t, &more.refunding(100));
        assert_eq!((part.status, all.event_to(part)), (St::PartiallyRefunded, None));
        assert_eq!(told(all, 100, part, 105), Some(Event::Overpaid));
        // Within the tolerance less had come; the rest is not too much.
        let short = PaymentState::OPEN.after(&t, &observe(&t, &[(99, 2, true)], 5));
        assert_eq!(told(short, 99, settled, 100), None);
    }

    #[test]
    fn what_came_second_is_what_it_is_once_it_is_the_first() {
        let t = terms();
        for (sums, exception) in [
            (&[(100, 2, true)][..], Ex::None),
            (&[(101, 2, true)][..], Ex::Overpaid),
            (&[(40, 2, true), (60, 62, true)][..], Ex::Late),
        ] {
            let observed = observe(&t, sums, 65);
            let paid = PaymentState::OPEN.after(&t, &observed);
            assert_eq!((paid.exception, paid.beside_another().exception), (exception, Ex::Multiple));
            assert_eq!(paid.beside_another().beside_none(&t, &observed), paid);
        }
        let short = observe(&t, &[(60, 2, true)], 61);
        let expired = PaymentState::OPEN.after(&t, &short);
        let accepted = expired.decided(Verdict::Accept, &short, 0).expect("expired");
        assert_eq!(accepted.beside_another().beside_none(&t, &short), accepted);
    }

    #[test]
    fn what_is_accepted_before_it_is_final_is_missed_where_it_is_gone() {
        let t = terms();
        let late = observe(&t, &[(100, 62, false)], 62);
        let expired = PaymentState::OPEN.after(&t, &late);
        let accepted = expired.decided(Verdict::Accept, &late, 0).expect("expired");
        assert_eq!((accepted.status, accepted.floor), (St::Settled, 100));
        assert_eq!(accepted.after(&t, &observe(&t, &[(100, 62, true)], 65)), accepted);
        let gone = accepted.after(&t, &observe(&t, &[], 63));
        assert_eq!((gone.status, accepted.event_to(gone)), (St::Reversed, Some(Event::Reversed)));
    }

    #[test]
    fn what_comes_after_a_decision_is_for_somebody_to_see() {
        let t = terms();
        let (nothing, short) = (observe(&t, &[], 61), observe(&t, &[(60, 2, true)], 61));
        let (empty, expired) = (PaymentState::OPEN.after(&t, &nothing), PaymentState::OPEN.after(&t, &short));
        // What did not come, or is promised to be given back here, is not returned elsewhere.
        assert_eq!(empty.decided(Verdict::Return, &nothing, 0), Err(NotNow::Return));
        assert_eq!(expired.decided(Verdict::Return, &short, 60), Err(NotNow::Return));
        let returned = expired.decided(Verdict::Return, &short, 20).expect("forty are left");
        assert_eq!((returned.status, returned.returned), (St::Refunded, 40));
        let returned = expired.decided(Verdict::Return, &short, 0).expect("expired");
        assert_eq!((returned.returned, returned.after(&t, &short)), (60, returned));
        // More comes: it is decided on anew, and only it can be given back.
        let more = observe(&t, &[(60, 2, true), (40, 70, true)], 75);
        let review = returned.after(&t, &more);
        assert_eq!((review.status, review.exception, review.returned), (St::NeedsReview, Ex::Late, 60));
        assert_eq!((returned.event_to(review), review.after(&t, &more)), (Some(Event::ReviewRequired), review));
        let accepted = review.decided(Verdict::Accept, &more, 0).expect("under review");
        assert_eq!((accepted.status, accepted.is_paid()), (St::Settled, true));
        assert_eq!(accepted.after(&t, &more.refunding(39)).status, St::PartiallyRefunded);
        assert_eq!(accepted.after(&t, &more.refunding(40)).status, St::Refunded);
        let again = review.decided(Verdict::Return, &more, 0).expect("under review");
        assert_eq!((again.status, again.returned, again.after(&t, &more)), (St::Refunded, 100, again));
        // What was given back is not there any more.
        let gone = returned.after(&t, &nothing);
        assert_eq!((gone.status, returned.event_to(gone)), (St::NeedsReview, Some(Event::Reversed)));
        let settled = gone.decided(Verdict::Return, &nothing, 0).expect("under review");
        assert_eq!((settled.returned, settled.after(&t, &nothing), settled.after(&t, &short)), (60, settled, settled));
        // More than was accepted is too much, even where it is no more than the price.
        let accepted = expired.decided(Verdict::Accept, &short, 0).expect("expired");
        for sums in
            [&[(60, 2, true), (1, 70, true)], &[(60, 2, true), (40, 70, true)], &[(60, 2, true), (90, 70, true)]]
        {
            let more = observe(&t, sums, 75);
            let over = accepted.after(&t, &more);
            assert_eq!((over.status, over.exception, over.after(&t, &more)), (St::Settled, Ex::Overpaid, over));
            assert_eq!(over.after(&t, &short), accepted);
        }
    }

    fn transfers() -> impl Strategy<Value = Vec<Transfer>> {
        proptest::collection::vec((1i64..120, 0u64..90, any::<bool>()), 0..5)
    }

    proptest! {
        #[test]
        fn looking_again_changes_nothing(
            steps in proptest::collection::vec((transfers(), 0u64..120, 0i64..150), 1..8), accepts_late: bool,
        ) {
            let t = Terms { accepts_late, ..terms() };
            let mut state = PaymentState::OPEN;
            for (transfers, now, refunded) in steps {
                let observed = observe(&t, &transfers, now);
                // Nobody gives back what did not come, nor while something is waited for.
                let refunded = if state.check_refundable().is_ok() { refunded.min(observed.settled.units()) } else { 0 };
                let observed = observed.refunding(refunded);
                let next = state.after(&t, &observed);
                prop_assert_eq!(next.after(&t, &observed), next);
                prop_assert_eq!(next.event_to(next), None);
                // Nothing is paid without the money being there, for certain when it becomes so.
                if next.is_paid() {
                    prop_assert!(observed.seen.units() >= 99);
                    prop_assert!(state.is_paid() || observed.settled.units() >= 99);
                }
                if state.before_refunds().status != next.before_refunds().status {
                    prop_assert!(state.event_to(next).is_some());
                }
                // Refunds change how a payment is shown and nothing that it does.
                if refunded > 0 && next.before_refunds().status == PaymentStatus::Settled {
                    prop_assert!(next.status == PaymentStatus::PartiallyRefunded || refunded >= observed.settled.units());
                }
                state = next;
            }
        }

        #[test]
        fn a_decision_stands_until_the_ledger_says_something_else(
            steps in proptest::collection::vec((transfers(), 0u64..120, 0i64..150, 0u8..3), 1..8), accepts_late: bool,
        ) {
            let t = Terms { accepts_late, ..terms() };
            let mut state = PaymentState::OPEN;
            for (transfers, now, refunded, word) in steps {
                let observed = observe(&t, &transfers, now);
                let left = observed.settled.units() - state.returned;
                let refunded = if state.check_refundable().is_ok() { refunded.min(left.max(0)) } else { 0 };
                let observed = observed.refunding(refunded);
                state = state.after(&t, &observed);
                prop_assert_eq!(state.after(&t, &observed), state);
                let verdict = match word {
                    0 => continue,
                    1 => Verdict::Accept,
                    _ => Verdict::Return,
                };
                let Ok(decided) = state.decided(verdict, &observed, refunded) else { continue };
                prop_assert_eq!(decided.after(&t, &observed), decided);
                prop_assert!(state.event_to(decided) == Some(PaymentEvent::Resolved));
                prop_assert!(decided.returned >= state.returned);
                state = decided;
            }
        }

        #[test]
        fn a_scan_from_the_start_ends_where_a_long_watch_did(transfers in transfers()) {
            // As long as nothing is taken back, the way there does not matter.
            let t = terms();
            let mut watched = PaymentState::OPEN;
            for now in 0..130 {
                let so_far: Vec<Transfer> = transfers
                    .iter()
                    .filter(|(_, at, _)| *at <= now)
                    .map(|(units, at, _)| (*units, *at, now >= at + 3))
                    .collect();
                watched = watched.after(&t, &observe(&t, &so_far, now));
            }
            let all: Vec<Transfer> = transfers.iter().map(|(units, at, _)| (*units, *at, true)).collect();
            let scanned = PaymentState::OPEN.after(&t, &observe(&t, &all, 129));
            // Only who watched knows what somebody was asked to decide before enough had come.
            if watched.status != PaymentStatus::NeedsReview {
                prop_assert_eq!(watched.status, scanned.status);
            }
        }
    }
}
