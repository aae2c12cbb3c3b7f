//! One-time codes of authenticator apps: RFC 6238 with SHA-1, 30 seconds and six digits, which is what they all take.

use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use trousseau_domain::time::Timestamp;
use zeroize::Zeroizing;

/// Bytes of a shared secret (RFC 4226 section 4 recommends 160 bits).
pub(crate) const SECRET_LEN: usize = 20;
/// Seconds per step.
const STEP: i64 = 30;
/// How many steps an app's clock may be off, each way.
const DRIFT: i64 = 1;
const DIGITS: u32 = 6;

/// The step that `now` lies in.
fn step_at(now: Timestamp) -> i64 {
    now.as_seconds().div_euclid(STEP)
}

/// The code of a step (RFC 4226 section 5.3).
fn code(secret: &[u8], step: i64) -> String {
    let mut mac = <Hmac<Sha1> as hmac::KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let hash: [u8; 20] = mac.finalize().into_bytes().into();
    let offset = usize::from(hash[19] & 0x0f);
    let bits = u32::from_be_bytes([hash[offset] & 0x7f, hash[offset + 1], hash[offset + 2], hash[offset + 3]]);
    format!("{:0width$}", bits % 10u32.pow(DIGITS), width = DIGITS as usize)
}

/// The step whose code this is, if it is one of the steps around `now` after `last`.
pub(crate) fn matching_step(secret: &[u8], given: &str, now: Timestamp, last: Option<i64>) -> Option<i64> {
    let digits: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    let current = step_at(now);
    let mut found = None;
    // All steps are looked at, whichever fits.
    for step in current - DRIFT..=current + DRIFT {
        let same: bool = code(secret, step).as_bytes().ct_eq(digits.as_bytes()).into();
        if same && last.is_none_or(|last| step > last) {
            found = Some(step);
        }
    }
    found
}

/// Whether a text could be a code at all, rather than a recovery code.
pub(crate) fn looks_like_code(text: &str) -> bool {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits.len() == DIGITS as usize && digits.iter().all(char::is_ascii_digit)
}

/// A secret in base 32 (RFC 4648 section 6, without padding), as it is typed into an app.
pub(crate) fn base32(bytes: &[u8]) -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(5) * 8));
    let (mut buffer, mut bits) = (0u32, 0u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[((buffer >> bits) & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[((buffer << (5 - bits)) & 31) as usize]));
    }
    text
}

/// What the QR code says to an app.
pub(crate) fn uri(secret: &[u8], issuer: &str, account: &str) -> Zeroizing<String> {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    let (issuer, account) = (encode(issuer), encode(account));
    let secret = base32(secret);
    Zeroizing::new(format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
        secret.as_str()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).expect("in range")
    }

    /// RFC 6238 appendix B, the last six of its eight digits.
    #[test]
    fn the_codes_of_the_rfc() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(SECRET, step_at(at(seconds))), expected, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_a_step_around_its_own_and_once() {
        let now = at(59);
        assert_eq!(matching_step(SECRET, "287082", now, None), Some(1));
        assert_eq!(matching_step(SECRET, "287 082", at(89), None), Some(1));
        assert_eq!(matching_step(SECRET, "287082", at(29), None), Some(1));
        assert_eq!(matching_step(SECRET, "287082", at(90), None), None);
        assert_eq!(matching_step(SECRET, "287082", now, Some(1)), None);
        assert_eq!(matching_step(SECRET, "287082", now, Some(0)), Some(1));
        for bad in ["", "28708", "2870820", "000000", "abcdef"] {
            assert_eq!(matching_step(SECRET, bad, now, None), None, "{bad}");
        }
        assert!(looks_like_code("123 456") && !looks_like_code("abcde-fghij"));
    }

    #[test]
    fn secrets_are_written_as_apps_read_them() {
        // RFC 4648 section 10.
        for (plain, expected) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(plain.as_bytes()).as_str(), expected);
        }
        let uri = uri(SECRET, "Trousseau", "admin+x@example.com");
        assert_eq!(
            uri.as_str(),
            "otpauth://totp/Trousseau:admin%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Trousseau&algorithm=SHA1&digits=6&period=30"
        );
    }
}
