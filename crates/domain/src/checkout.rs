//! How a business's hosted page looks, and what it takes for paid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::{Asset, Money};
use crate::origin::Origin;
use crate::payables::WebUrl;
use crate::text::text_enum;

/// The most origins that a business lists here.
pub const MAX_ORIGINS: usize = 20;
/// The most thousandths of a price that may be missing.
pub const MAX_PER_MILLE: u16 = 50;

/// The linear light of an 8-bit channel of sRGB, in millionths (WCAG 2.2, *relative luminance*).
#[rustfmt::skip]
const LINEAR: [u32; 256] = [
    0, 304, 607, 911, 1214, 1518, 1821, 2125, 2428, 2732, 3035, 3347, 3677, 4025, 4391, 4777, 5182, 5605, 6049, 6512,
    6995, 7499, 8023, 8568, 9134, 9721, 10_330, 10_960, 11_612, 12_286, 12_983, 13_702, 14_444, 15_209, 15_996,
    16_807, 17_642, 18_500, 19_382, 20_289, 21_219, 22_174, 23_153, 24_158, 25_187, 26_241, 27_321, 28_426, 29_557,
    30_713, 31_896, 33_105, 34_340, 35_601, 36_889, 38_204, 39_546, 40_915, 42_311, 43_735, 45_186, 46_665, 48_172,
    49_707, 51_269, 52_861, 54_480, 56_128, 57_805, 59_511, 61_246, 63_010, 64_803, 66_626, 68_478, 70_360, 72_272,
    74_214, 76_185, 78_187, 80_220, 82_283, 84_376, 86_500, 88_656, 90_842, 93_059, 95_307, 97_587, 99_899, 102_242,
    104_616, 107_023, 109_462, 111_932, 114_435, 116_971, 119_538, 122_139, 124_772, 127_438, 130_136, 132_868,
    135_633, 138_432, 141_263, 144_128, 147_027, 149_960, 152_926, 155_926, 158_961, 162_029, 165_132, 168_269,
    171_441, 174_647, 177_888, 181_164, 184_475, 187_821, 191_202, 194_618, 198_069, 201_556, 205_079, 208_637,
    212_231, 215_861, 219_526, 223_228, 226_966, 230_740, 234_551, 238_398, 242_281, 246_201, 250_158, 254_152,
    258_183, 262_251, 266_356, 270_498, 274_677, 278_894, 283_149, 287_441, 291_771, 296_138, 300_544, 304_987,
    309_469, 313_989, 318_547, 323_143, 327_778, 332_452, 337_164, 341_914, 346_704, 351_533, 356_400, 361_307,
    366_253, 371_238, 376_262, 381_326, 386_429, 391_572, 396_755, 401_978, 407_240, 412_543, 417_885, 423_268,
    428_690, 434_154, 439_657, 445_201, 450_786, 456_411, 462_077, 467_784, 473_531, 479_320, 485_150, 491_021,
    496_933, 502_886, 508_881, 514_918, 520_996, 527_115, 533_276, 539_479, 545_724, 552_011, 558_340, 564_712,
    571_125, 577_580, 584_078, 590_619, 597_202, 603_827, 610_496, 617_207, 623_960, 630_757, 637_597, 644_480,
    651_406, 658_375, 665_387, 672_443, 679_542, 686_685, 693_872, 701_102, 708_376, 715_694, 723_055, 730_461,
    737_910, 745_404, 752_942, 760_525, 768_151, 775_822, 783_538, 791_298, 799_103, 806_952, 814_847, 822_786,
    830_770, 838_799, 846_873, 854_993, 863_157, 871_367, 879_622, 887_923, 896_269, 904_661, 913_099, 921_582,
    930_111, 938_686, 947_307, 955_973, 964_686, 973_445, 982_251, 991_102, 1_000_000,
];
/// Light that every surface gives off besides its own, in millionths (WCAG 2.2, *contrast ratio*).
const FLARE: u64 = 50_000;
/// The contrast that text needs, in tenths (WCAG 2.2, success criterion 1.4.3).
const TEXT_CONTRAST: u64 = 45;
/// What the page shows links and the edges of buttons on, in its light theme and in its dark one.
const LIGHT_PAPER: Colour = Colour([0xf6, 0xf5, 0xf1]);
const DARK_SURFACE: Colour = Colour([0x1a, 0x1c, 0x1f]);

/// A colour of sRGB.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour([u8; 3]);

/// A text that is no colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a colour is # and six hexadecimal digits, such as #2440c8")]
pub struct InvalidColour;

impl Colour {
    /// Its relative luminance in millionths.
    fn luminance(self) -> u64 {
        let [red, green, blue] = self.0.map(|channel| u64::from(LINEAR[usize::from(channel)]));
        (2_126 * red + 7_152 * green + 722 * blue) / 10_000
    }

    /// The contrast of the two in tenths, rounded down: 10 of a colour with itself, 210 of black with white.
    pub fn contrast(self, other: Self) -> u64 {
        let (one, two) = (self.luminance() + FLARE, other.luminance() + FLARE);
        one.max(two) * 10 / one.min(two)
    }

    /// The same colour, so many 255ths of the way to black (0) or white (255).
    fn towards(self, end: u8, steps: u8) -> Self {
        Self(self.0.map(|channel| {
            let (channel, end, steps) = (u32::from(channel), u32::from(end), u32::from(steps));
            u8::try_from((channel * (255 - steps) + end * steps) / 255).unwrap_or(u8::MAX)
        }))
    }

    /// The nearest colour, on the way to black or white, in which text can be read on a surface.
    fn readable(self, end: u8, surface: Self) -> Self {
        (0..=u8::MAX)
            .map(|steps| self.towards(end, steps))
            .find(|colour| colour.contrast(surface) >= TEXT_CONTRAST)
            .unwrap_or(Self([end; 3]))
    }
}

impl FromStr for Colour {
    type Err = InvalidColour;

    fn from_str(text: &str) -> Result<Self, InvalidColour> {
        let digits = text.strip_prefix('#').ok_or(InvalidColour)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidColour);
        }
        let channel = |from: usize| u8::from_str_radix(&digits[from..from + 2], 16).map_err(|_| InvalidColour);
        Ok(Self([channel(0)?, channel(2)?, channel(4)?]))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(formatter, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl fmt::Debug for Colour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The colour of a business's buttons and links. It can be read on a light page, and white text on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Accent(Colour);

/// Why a text is no accent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccent {
    /// It is no colour.
    #[error(transparent)]
    Colour(#[from] InvalidColour),
    /// Text in it is too faint.
    #[error("is too light to be read: its contrast is {}.{}, not 4.5; {nearest} is the nearest that is", contrast / 10, contrast % 10)]
    TooLight {
        /// Its contrast with the page, in tenths.
        contrast: u64,
        /// The nearest darker colour that can be read.
        nearest: Colour,
    },
}

impl Accent {
    /// The colour on the light page.
    pub const fn on_light(self) -> Colour {
        self.0
    }

    /// The same colour, lightened as far as the dark page needs it.
    pub fn on_dark(self) -> Colour {
        self.0.readable(u8::MAX, DARK_SURFACE)
    }
}

impl FromStr for Accent {
    type Err = InvalidAccent;

    fn from_str(text: &str) -> Result<Self, InvalidAccent> {
        let colour: Colour = text.parse()?;
        let contrast = colour.contrast(LIGHT_PAPER);
        if contrast < TEXT_CONTRAST {
            return Err(InvalidAccent::TooLight { contrast, nearest: colour.readable(0, LIGHT_PAPER) });
        }
        Ok(Self(colour))
    }
}

impl fmt::Display for Accent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

text_enum! {
    /// Which languages the hosted page speaks.
    PageLanguages {
        /// The one that the payer's browser asks for, if the page has it.
        Any = "any",
        /// English to everybody.
        English = "en",
        /// French to everybody.
        French = "fr",
    }
}

/// How much may be missing of a price, for it to count as paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    amount: Money,
    per_mille: u16,
}

/// More thousandths than may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tolerance is at most {MAX_PER_MILLE} thousandths")]
pub struct InvalidTolerance;

impl Tolerance {
    /// Nothing may be missing.
    pub const NONE: Self = Self { amount: Money::zero(Asset::USDC), per_mille: 0 };

    /// An amount, or so many thousandths of the price, whichever is more.
    ///
    /// # Errors
    /// [`InvalidTolerance`] beyond [`MAX_PER_MILLE`].
    pub const fn new(amount: Money, per_mille: u16) -> Result<Self, InvalidTolerance> {
        if per_mille > MAX_PER_MILLE { Err(InvalidTolerance) } else { Ok(Self { amount, per_mille }) }
    }

    /// The amount that may be missing of any price in its asset.
    pub const fn amount(self) -> Money {
        self.amount
    }

    /// The thousandths that may be missing of any price, 0 to [`MAX_PER_MILLE`].
    pub const fn per_mille(self) -> u16 {
        self.per_mille
    }

    /// What may be missing of one price: never more than [`MAX_PER_MILLE`] of it, so that something always has to come.
    pub fn of(self, due: Money) -> Money {
        let part = |per_mille: u16| i128::from(due.units()) * i128::from(per_mille) / 1_000;
        let amount = if self.amount.asset() == due.asset() { i128::from(self.amount.units()) } else { 0 };
        let missing = part(self.per_mille).max(amount).min(part(MAX_PER_MILLE));
        let missing = i64::try_from(missing).ok().and_then(|units| Money::from_units(units, due.asset()).ok());
        missing.unwrap_or(Money::zero(due.asset()))
    }
}

/// How a business takes payments in one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutSettings {
    /// The colour of its buttons and links; ours where it has none.
    pub accent: Option<Accent>,
    /// Which languages its page speaks.
    pub languages: PageLanguages,
    /// Where payers go afterwards, unless what they pay says otherwise.
    pub redirect_url: Option<WebUrl>,
    /// Whose pages are told that something was paid, when they opened the hosted page; those that its checkout keys
    /// list are told too.
    pub origins: Vec<Origin>,
    /// How much may be missing.
    pub tolerance: Tolerance,
    /// Whether money that comes after the end settles a payment, or waits for somebody to decide.
    pub accepts_late: bool,
}

impl Default for CheckoutSettings {
    fn default() -> Self {
        Self {
            accent: None,
            languages: PageLanguages::Any,
            redirect_url: None,
            origins: Vec::new(),
            tolerance: Tolerance::NONE,
            accepts_late: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usdc(units: i64) -> Money {
        Money::from_units(units, Asset::USDC).expect("good")
    }

    #[test]
    fn light_is_that_of_the_formula() {
        for (channel, light) in (0u16..).zip(LINEAR) {
            let value = f64::from(channel) / 255.0;
            let linear = if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
            assert!((linear * 1e6 - f64::from(light)).abs() <= 0.5, "{channel}: {light}");
        }
    }

    #[test]
    fn contrasts_are_those_of_the_field() {
        for (one, two, tenths) in [
            ("#000000", "#ffffff", 210),
            ("#2440c8", "#ffffff", 79),
            ("#767676", "#ffffff", 45),
            ("#777777", "#ffffff", 44),
        ] {
            let (one, two): (Colour, Colour) = (one.parse().expect("good"), two.parse().expect("good"));
            assert_eq!((one.contrast(two), two.contrast(one)), (tenths, tenths), "{one} {two}");
        }
    }

    #[test]
    fn what_is_no_colour_or_too_faint_is_refused() {
        for text in ["", "2440c8", "#2440c", "#2440c81", "#2440cg", "#24 0c8", "# 2440c8", "#é440c8", "red"] {
            assert_eq!(text.parse::<Accent>(), Err(InvalidAccent::Colour(InvalidColour)), "{text}");
        }
        let Err(InvalidAccent::TooLight { contrast, nearest }) = "#ffc44d".parse::<Accent>() else {
            panic!("too light")
        };
        assert_eq!(contrast, 14);
        assert!(nearest.to_string().parse::<Accent>().is_ok(), "{nearest}");
    }

    proptest! {
        #[test]
        fn an_accent_can_be_read_in_both_themes(channels in any::<[u8; 3]>()) {
            let colour = Colour(channels);
            prop_assert_eq!(colour.to_string().parse::<Colour>(), Ok(colour));
            let accent = match colour.to_string().parse::<Accent>() {
                Ok(accent) => accent,
                Err(InvalidAccent::TooLight { nearest, .. }) => nearest.to_string().parse().expect("can be read"),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            };
            prop_assert!(accent.on_light().contrast(Colour([255; 3])) >= TEXT_CONTRAST);
            prop_assert!(accent.on_dark().contrast(DARK_SURFACE) >= TEXT_CONTRAST);
        }

        #[test]
        fn something_always_has_to_come(due in 1..=i64::MAX, amount in 0..=i64::MAX, per_mille in 0..=MAX_PER_MILLE) {
            let tolerance = Tolerance::new(usdc(amount), per_mille).expect("good");
            let missing = tolerance.of(usdc(due)).units();
            prop_assert!(missing < due && missing >= 0);
            prop_assert!(i128::from(missing) * 20 <= i128::from(due));
        }
    }

    #[test]
    fn the_larger_of_the_two_may_be_missing() {
        let tolerance = Tolerance::new(usdc(50_000), 5).expect("good");
        assert_eq!(tolerance.of(usdc(100_000_000)), usdc(500_000), "five thousandths");
        assert_eq!(tolerance.of(usdc(2_000_000)), usdc(50_000), "the amount");
        assert_eq!(tolerance.of(usdc(100_000)), usdc(5_000), "and never more than a twentieth");
        assert_eq!(Tolerance::new(usdc(0), MAX_PER_MILLE + 1), Err(InvalidTolerance));
    }
}
