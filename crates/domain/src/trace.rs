//! The trace that a request is part of, as its caller tells of it, and which traces are recorded.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

/// The id of a trace: all that happened because of one thing, in all services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(NonZeroU128);

impl TraceId {
    /// The id of these bits; none has no bit set.
    pub const fn from_bits(bits: u128) -> Option<Self> {
        match NonZeroU128::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// Its 16 bytes, as they are written.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// The id of a span: what one service did for a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(NonZeroU64);

impl SpanId {
    /// The id of these bits; none has no bit set.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// Its 8 bytes, as they are written.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// What goes along with a trace (W3C Trace Context, section 3.2.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// Of a trace that begins here: recorded, and with an id that is random.
    pub const BEGUN: Self = Self(Self::SAMPLED | Self::RANDOM);
    const SAMPLED: u8 = 1;
    const RANDOM: u8 = 2;

    /// Whether the trace is recorded.
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }

    /// Those that have a meaning, as a byte.
    pub const fn bits(self) -> u8 {
        self.0 & (Self::SAMPLED | Self::RANDOM)
    }
}

/// The header `traceparent` of a request (W3C Trace Context, section 3.2): its trace, and the caller's span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span of whoever called.
    pub span: SpanId,
    /// What the caller decided.
    pub flags: TraceFlags,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is version, trace, span and flags, in hexadecimal digits and joined by dashes")]
pub struct InvalidTraceParent;

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        /// Version, trace, span, flags and three dashes.
        const LENGTH: usize = 2 + 32 + 16 + 2 + 3;
        let (head, rest) = text.split_at_checked(LENGTH).ok_or(InvalidTraceParent)?;
        let mut parts = head.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits).ok_or(InvalidTraceParent)?;
            let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let number = is_hex.then(|| u128::from_str_radix(part, 16).ok()).flatten();
            number.ok_or(InvalidTraceParent)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // A version to come may have more behind it; the first one ends here, and 255 is none.
        let ends = rest.is_empty() || (version != 0 && rest.starts_with('-'));
        if version == 0xff || !ends {
            return Err(InvalidTraceParent);
        }
        let span = u64::try_from(span).map_err(|_| InvalidTraceParent)?;
        Ok(Self {
            trace: TraceId::from_bits(trace).ok_or(InvalidTraceParent)?,
            span: SpanId::from_bits(span).ok_or(InvalidTraceParent)?,
            flags: TraceFlags(u8::try_from(flags).map_err(|_| InvalidTraceParent)?),
        })
    }
}

/// How many of the traces that begin here are recorded: 0 to 1, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplingRatio(u32);

const MILLION: u32 = 1_000_000;

impl SamplingRatio {
    /// One in a hundred.
    pub const ONE_PERCENT: Self = Self(MILLION / 100);

    /// Whether the trace of this random id is one of them. Every service with this rule (`TraceIdRatioBased` of
    /// OpenTelemetry) takes the same ones.
    pub fn takes(self, trace: TraceId) -> bool {
        let last_eight_bytes = u128::from_be_bytes(trace.to_bytes()) & u128::from(u64::MAX);
        let drawn = last_eight_bytes >> 1;
        drawn * u128::from(MILLION) < u128::from(self.0) << 63
    }
}

/// A text that is no ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ratio is a number from 0 to 1 with at most 6 decimals")]
pub struct InvalidRatio;

impl FromStr for SamplingRatio {
    type Err = InvalidRatio;

    fn from_str(text: &str) -> Result<Self, InvalidRatio> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() > 6 || decimals.len() > 6 || !digits(whole) || !digits(decimals) {
            return Err(InvalidRatio);
        }
        let whole: u32 = whole.parse().map_err(|_| InvalidRatio)?;
        let millionths: u32 = format!("{decimals:0<6}").parse().map_err(|_| InvalidRatio)?;
        let ratio = whole.checked_mul(MILLION).and_then(|whole| whole.checked_add(millionths));
        ratio.filter(|ratio| *ratio <= MILLION).map(Self).ok_or(InvalidRatio)
    }
}

impl fmt::Display for SamplingRatio {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % MILLION);
        match decimals.trim_end_matches('0') {
            "" => write!(formatter, "{}", self.0 / MILLION),
            decimals => write!(formatter, "{}.{decimals}", self.0 / MILLION),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read() {
        let parent: TraceParent = GOOD.parse().expect(GOOD);
        assert_eq!(parent.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span.to_string(), "b7ad6b7169203331");
        assert!(parent.flags.is_sampled());
        for (flags, sampled, bits) in [("00", false, 0), ("03", true, 3), ("fe", false, 2), ("ff", true, 3)] {
            let text = format!("{}{flags}", &GOOD[..GOOD.len() - 2]);
            let parent: TraceParent = text.parse().expect(&text);
            assert_eq!((parent.flags.is_sampled(), parent.flags.bits()), (sampled, bits), "{text}");
        }
        for newer in [GOOD.replacen("00", "01", 1), format!("{}-and-more", GOOD.replacen("00", "cc", 1))] {
            assert_eq!(newer.parse(), Ok(parent), "{newer}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for bad in [
            "",
            "00",
            &GOOD[1..],
            &GOOD[..GOOD.len() - 1],
            &format!("{GOOD}-"),
            &format!("{GOOD}0"),
            &format!(" {GOOD}"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replacen("00", "0g", 1),
            &GOOD.replacen("00", "+1", 1),
            &GOOD.replace('-', "_"),
            &format!("{}0", GOOD.replacen("00", "01", 1)),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319cé7ad6b7169203331-01",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(InvalidTraceParent), "{bad}");
        }
    }

    #[test]
    fn ratios_are_read_and_written() {
        for (text, written) in
            [("0", "0"), ("1", "1"), ("1.0", "1"), ("0.01", "0.01"), ("0.250", "0.25"), ("0.000001", "0.000001")]
        {
            assert_eq!(text.parse::<SamplingRatio>().expect(text).to_string(), written);
        }
        assert_eq!(SamplingRatio::ONE_PERCENT.to_string(), "0.01");
        for bad in ["", ".", "1.", ".5", "1.000001", "2", "-0.1", "+1", "0.0000001", "1e-3", "NaN", "inf", "9999999"] {
            assert_eq!(bad.parse::<SamplingRatio>(), Err(InvalidRatio), "{bad}");
        }
    }

    #[test]
    fn a_ratio_takes_the_lowest_ids_and_all_or_none_at_its_ends() {
        let ratio = |text: &str| text.parse::<SamplingRatio>().expect(text);
        let id = |bits| TraceId::from_bits(bits).expect("not zero");
        let (low, high) = (id(1), id(u128::MAX));
        for (text, takes_low, takes_high) in [("0", false, false), ("0.5", true, false), ("1", true, true)] {
            assert_eq!((ratio(text).takes(low), ratio(text).takes(high)), (takes_low, takes_high), "{text}");
        }
        // Half of 2^63, of which the last bit of the id is no part.
        let half = id(u128::from(1_u64 << 63));
        assert!(!ratio("0.5").takes(half));
        assert!(ratio("0.5").takes(id(u128::from((1_u64 << 63) - 1))));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(text in ".{0,80}") {
            let _ = text.parse::<TraceParent>();
            let _ = text.parse::<SamplingRatio>();
        }

        #[test]
        fn ids_are_written_as_they_were_read(trace in 1_u128.., span in 1_u64.., flags: u8) {
            let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let parent: TraceParent = text.parse().expect("well formed");
            prop_assert_eq!(parent.trace.to_bytes(), trace.to_be_bytes());
            prop_assert_eq!(parent.span.to_bytes(), span.to_be_bytes());
            prop_assert_eq!(format!("00-{}-{}-{flags:02x}", parent.trace, parent.span), text);
        }
    }
}
