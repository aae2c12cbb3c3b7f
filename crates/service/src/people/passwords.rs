//! Passwords and recovery codes: which ones are taken, and how they are kept.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use trousseau_domain::members::{EmailAddress, PersonName};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyExt as _};
use crate::error::ServiceError;
use crate::people::PeopleError;

/// The fewest characters.
pub const MIN_CHARACTERS: usize = 12;
/// The most bytes: Argon2 takes far more, but nobody types them.
const MAX_BYTES: usize = 1024;
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
/// How long a proof waits for its turn: each one takes memory, so there are few at a time.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// The most frequent leaked passwords, in lower case, of four characters and more: what longer ones are made of. Decision
/// 0011 says where they come from.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());
/// So much around a common password makes no other password of it.
const MOST_AROUND: usize = 6;

/// What a person typed.
pub struct Password(SecretString);

impl Password {
    /// The password as it was sent.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Clone for Password {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password")
    }
}

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too few characters.
    #[error("has fewer than {MIN_CHARACTERS} characters")]
    Short,
    /// Too many.
    #[error("is longer than {MAX_BYTES} bytes")]
    Long,
    /// Somebody who tries the usual ones gets in.
    #[error("is one of the most common passwords, or a simple pattern")]
    Common,
    /// It says who it belongs to.
    #[error("contains the name or the e-mail address of its owner")]
    Personal,
}

/// Whether a password may be chosen by this person.
pub fn check(password: &Password, email: &EmailAddress, name: &PersonName) -> Result<(), WeakPassword> {
    let text = password.expose();
    if text.chars().count() < MIN_CHARACTERS {
        return Err(WeakPassword::Short);
    }
    if text.len() > MAX_BYTES {
        return Err(WeakPassword::Long);
    }
    let lower = Zeroizing::new(text.to_lowercase());
    let personal = [email.as_str(), email.local_part()]
        .into_iter()
        .chain(name.as_str().split_whitespace())
        .map(str::to_lowercase)
        .filter(|part| part.chars().count() >= 4)
        .any(|part| {
            // A long passphrase may hold a name; a password that is little else may not.
            lower.contains(&part) && lower.chars().count() < part.chars().count() + MIN_CHARACTERS
        });
    // A name may be a common word, too; that it is the person's own says more.
    if personal {
        Err(WeakPassword::Personal)
    } else if is_common(&lower) {
        Err(WeakPassword::Common)
    } else {
        Ok(())
    }
}

fn is_common(lower: &str) -> bool {
    // `password1234!` is `password` with what is always put around it.
    let bare = lower.trim_matches(|c: char| !c.is_alphabetic());
    let (plain, plain_bare) = (without_disguise(lower), without_disguise(bare));
    let around = lower.chars().count() - bare.chars().count();
    [lower, plain.as_str()].into_iter().any(is_made_of_common)
        || (around <= MOST_AROUND && [bare, plain_bare.as_str()].into_iter().any(is_made_of_common))
        || is_pattern(lower)
        || WORDS.contains(&bare)
        || WORDS.contains(&plain_bare.as_str())
}

/// Whether a text is a common password, or two of them one after the other.
fn is_made_of_common(text: &str) -> bool {
    COMMON.contains(text)
        || text.char_indices().any(|(at, _)| {
            let (first, second) = text.split_at(at);
            COMMON.contains(first) && COMMON.contains(second)
        })
}

/// The letters that digits and signs are put for.
fn without_disguise(lower: &str) -> Zeroizing<String> {
    let letters = lower.chars().map(|c| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    });
    Zeroizing::new(letters.collect())
}

/// What passwords are built from when nobody thinks about them.
const WORDS: [&str; 30] = [
    "password",
    "passwort",
    "motdepasse",
    "passw",
    "passwd",
    "azerty",
    "azertyuiop",
    "qwerty",
    "qwertyuiop",
    "qwertz",
    "letmein",
    "welcome",
    "bienvenue",
    "bonjour",
    "admin",
    "administrator",
    "administrateur",
    "changeme",
    "secret",
    "soleil",
    "doudou",
    "iloveyou",
    "jetaime",
    "sunshine",
    "football",
    "trousseau",
    "mileston",
    "payline",
    "codat",
    "marseille",
];

/// Few different characters, the same part again and again, or a run along the alphabet, the digits or a keyboard.
fn is_pattern(lower: &str) -> bool {
    let characters: Vec<char> = lower.chars().collect();
    let different: HashSet<char> = characters.iter().copied().collect();
    if different.len() < 5 {
        return true;
    }
    let repeats = (1..=characters.len() / 2)
        .any(|part| characters.iter().enumerate().all(|(index, c)| *c == characters[index % part]));
    let rows = [
        "abcdefghijklmnopqrstuvwxyz",
        "01234567890123456789",
        "qwertyuiopasdfghjklzxcvbnm",
        "azertyuiopqsdfghjklmwxcvbn",
        "qwertzuiopasdfghjklyxcvbnm",
    ];
    let backwards: String = lower.chars().rev().collect();
    let run = rows.iter().any(|row| {
        let twice = format!("{row}{row}");
        twice.contains(lower) || twice.contains(&backwards)
    });
    repeats || run
}

/// How much work one hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for HashCost {
    /// 19 MiB, two passes: what OWASP's password storage page asks for at least.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

impl HashCost {
    fn hash(self, text: &str, salt: &[u8]) -> Zeroizing<[u8; HASH_LEN]> {
        let params =
            Params::new(self.memory_kib, self.passes, 1, Some(HASH_LEN)).expect("the cost is a constant of ours");
        let mut hash = Zeroizing::new([0; HASH_LEN]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(text.as_bytes(), salt, hash.as_mut_slice())
            .expect("a salt of 16 bytes, a hash of 32 and a password of at most a KiB are in Argon2's limits");
        hash
    }

    /// The form that password hashing competitions agreed on, so that the cost can be raised later.
    fn encode(self, salt: &[u8], hash: &[u8]) -> String {
        format!(
            "$argon2id$v=19$m={},t={},p=1${}${}",
            self.memory_kib,
            self.passes,
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(hash)
        )
    }

    fn decode(text: &str) -> Option<(Self, Vec<u8>, Vec<u8>)> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let mut costs = parts.next()?.split(',');
        let memory_kib = costs.next()?.strip_prefix("m=")?.parse().ok()?;
        let passes = costs.next()?.strip_prefix("t=")?.parse().ok()?;
        if costs.next() != Some("p=1") || costs.next().is_some() {
            return None;
        }
        let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let hash = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        parts.next().is_none().then_some((Self { memory_kib, passes }, salt, hash))
    }
}

/// Hashes, a few at a time: each takes memory, and whoever cannot sign in must not be able to take all of it.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    turns: Arc<Semaphore>,
    cost: HashCost,
}

impl Hasher {
    pub(crate) fn new(cost: HashCost) -> Self {
        let turns = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        Self { turns: Arc::new(Semaphore::new(turns)), cost }
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
        let turn = tokio::time::timeout(TURN_WITHIN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(PeopleError::Busy.into());
        };
        // The turn ends with the work, even if nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.map_err(|_| PeopleError::Busy.into())
    }

    /// What is kept of a password.
    pub(crate) async fn keep(&self, password: &Password, entropy: &dyn Entropy) -> Result<String, ServiceError> {
        let (cost, password, salt) = (self.cost, password.clone(), entropy.bytes::<SALT_LEN>());
        self.work(move || cost.encode(&salt, cost.hash(password.expose(), &salt).as_slice())).await
    }

    /// Whether a password is the one that is kept. Where none is kept it takes as long, and is not.
    pub(crate) async fn verify(&self, password: &Password, kept: Option<&str>) -> Result<bool, ServiceError> {
        let (cost, password) = (self.cost, password.clone());
        let kept = kept.and_then(HashCost::decode);
        self.work(move || {
            let real = kept.is_some();
            let (cost, salt, expected) = kept.unwrap_or_else(|| (cost, vec![0; SALT_LEN], vec![0; HASH_LEN]));
            // Longer than anybody could have chosen.
            let text = if password.expose().len() > MAX_BYTES { "" } else { password.expose() };
            let same: bool = cost.hash(text, &salt).as_slice().ct_eq(&expected).into();
            same && real
        })
        .await
    }

    /// Digests of recovery codes under one salt.
    pub(crate) async fn digest_codes(
        &self,
        codes: Vec<Zeroizing<String>>,
        salt: Vec<u8>,
    ) -> Result<Vec<[u8; HASH_LEN]>, ServiceError> {
        let cost = self.cost;
        self.work(move || codes.iter().map(|code| *cost.hash(code, &salt)).collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn judge(text: &str) -> Result<(), WeakPassword> {
        let email = "camille@example.com".parse().expect("good");
        let name = "Camille Martin".parse().expect("good");
        check(&Password::new(text), &email, &name)
    }

    #[test]
    fn common_short_and_personal_passwords_are_refused() {
        for good in ["correct horse battery staple", "Tr0ub4dor&3 zinc", "une-longue phrase bien à moi", "vK8#qpl2!xWz"]
        {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", WeakPassword::Short),
            ("abcdefghijk", WeakPassword::Short),
            ("123qweasdzxc", WeakPassword::Common),
            ("1QAZ2wsx3edc", WeakPassword::Common),
            ("aaaaaaaaaaaaaa", WeakPassword::Common),
            ("abcabcabcabcabc", WeakPassword::Common),
            ("bcdefghijklmn", WeakPassword::Common),
            ("9876543210987", WeakPassword::Common),
            ("azertyuiopqsd", WeakPassword::Common),
            ("Password2026!", WeakPassword::Common),
            ("P@ssw0rd2026!", WeakPassword::Common),
            ("MotDePasse123", WeakPassword::Common),
            ("dragonmonkey99", WeakPassword::Common),
            ("Chocolate2026", WeakPassword::Common),
            ("basketballbasketball", WeakPassword::Common),
            ("camille-2026!", WeakPassword::Personal),
            ("Xcamille@example.com", WeakPassword::Personal),
            ("MARTIN-12345-x", WeakPassword::Personal),
        ] {
            assert_eq!(judge(bad), Err(why), "{bad}");
        }
        assert_eq!(judge(&"x y".repeat(400)), Err(WeakPassword::Long));
        assert_eq!(judge("camille walks to the blue harbour"), Ok(()));
    }

    #[test]
    fn the_list_is_long_and_only_of_texts_that_are_long_enough_to_matter() {
        assert!(COMMON.len() > 30_000);
        assert!(COMMON.iter().all(|word| word.chars().count() >= 4 && word.to_lowercase() == **word));
    }

    #[tokio::test]
    async fn a_kept_password_is_known_again_and_an_absent_one_never() {
        let hasher = Hasher::new(HashCost { memory_kib: 64, passes: 1 });
        let entropy = SeededEntropy::new(1);
        let password = Password::new("correct horse battery staple");
        let kept = hasher.keep(&password, &entropy).await.expect("kept");
        assert!(kept.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{kept}");
        assert_ne!(kept, hasher.keep(&password, &entropy).await.expect("kept"));
        // A cost that was raised since does not lock anybody out.
        let later = Hasher::new(HashCost { memory_kib: 128, passes: 2 });
        assert!(later.verify(&password, Some(&kept)).await.expect("judged"));
        for (text, kept) in [
            ("correct horse battery stapl", Some(kept.as_str())),
            ("correct horse battery staple", None),
            ("correct horse battery staple", Some("$argon2id$v=19$m=64,t=1$x$y")),
            ("", Some(kept.as_str())),
        ] {
            assert!(!hasher.verify(&Password::new(text), kept).await.expect("judged"), "{text}");
        }
        assert_eq!(format!("{password:?}"), "Password");
    }
}
