//! The two faces that paper is printed in: which glyph stands for a character, how wide it is, and a file that holds only
//! the glyphs that were used.
//!
//! The files are Inter's, made for this: outlines only, digits of equal width, no composite glyphs. They are part of the
//! program, so what is missing in them is a mistake of ours and shows in the tests.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Face {
    /// For what is read.
    Regular,
    /// For what is looked for.
    SemiBold,
}

impl Face {
    pub(crate) const ALL: [Self; 2] = [Self::Regular, Self::SemiBold];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Regular => "Inter-Regular",
            Self::SemiBold => "Inter-SemiBold",
        }
    }

    pub(crate) fn font(self) -> &'static Font {
        static REGULAR: LazyLock<Font> = LazyLock::new(|| Font::read(include_bytes!("../../assets/inter-regular.ttf")));
        static SEMIBOLD: LazyLock<Font> =
            LazyLock::new(|| Font::read(include_bytes!("../../assets/inter-semibold.ttf")));
        match self {
            Self::Regular => &REGULAR,
            Self::SemiBold => &SEMIBOLD,
        }
    }
}

/// The glyph that stands for characters the face does not have: a box.
pub(crate) const MISSING: u16 = 0;

/// A TrueType font, read.
pub(crate) struct Font {
    data: &'static [u8],
    /// Where each table lies.
    tables: BTreeMap<[u8; 4], std::ops::Range<usize>>,
    glyphs: BTreeMap<char, u16>,
    /// By glyph, in thousandths of the size.
    advances: Vec<u16>,
    /// Where each glyph's outline begins in `glyf`; one more than there are glyphs.
    outlines: Vec<usize>,
    units_per_em: u16,
    /// Of the whole face, in thousandths of the size.
    pub(crate) ascent: i16,
    pub(crate) descent: i16,
    pub(crate) bounds: [i16; 4],
}

fn u16_at(data: &[u8], at: usize) -> u16 {
    data.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes)
}

fn i16_at(data: &[u8], at: usize) -> i16 {
    u16_at(data, at).cast_signed()
}

fn u32_at(data: &[u8], at: usize) -> usize {
    let number = data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    usize::try_from(number).expect("a pointer has 32 bits at least")
}

impl Font {
    fn read(data: &'static [u8]) -> Self {
        let mut tables = BTreeMap::new();
        for index in 0..usize::from(u16_at(data, 4)) {
            let record = 12 + 16 * index;
            let tag = data[record..record + 4].try_into().expect("four bytes");
            let (start, length) = (u32_at(data, record + 8), u32_at(data, record + 12));
            tables.insert(tag, start..start + length);
        }
        let mut font = Self {
            data,
            tables,
            glyphs: BTreeMap::new(),
            advances: Vec::new(),
            outlines: Vec::new(),
            units_per_em: 1_000,
            ascent: 0,
            descent: 0,
            bounds: [0; 4],
        };
        let (head, hhea) = (font.table(*b"head"), font.table(*b"hhea"));
        font.units_per_em = u16_at(head, 18);
        font.bounds = [36, 38, 40, 42].map(|at| font.thousandths(i16_at(head, at)));
        font.ascent = font.thousandths(i16_at(hhea, 4));
        font.descent = font.thousandths(i16_at(hhea, 6));
        let count = usize::from(u16_at(font.table(*b"maxp"), 4));
        let with_advance = usize::from(u16_at(hhea, 34)).max(1);
        let hmtx = font.table(*b"hmtx");
        // Glyphs beyond the last advance have that one.
        let advance = |glyph: usize| u16_at(hmtx, 4 * glyph.min(with_advance - 1));
        font.advances = (0..count).map(|glyph| font.thousandths(advance(glyph).cast_signed()).unsigned_abs()).collect();
        let loca = font.table(*b"loca");
        let long = i16_at(head, 50) != 0;
        let outline =
            |glyph: usize| if long { u32_at(loca, 4 * glyph) } else { 2 * usize::from(u16_at(loca, 2 * glyph)) };
        font.outlines = (0..=count).map(outline).collect();
        font.glyphs = read_glyphs(font.table(*b"cmap"));
        font
    }

    fn table(&self, tag: [u8; 4]) -> &'static [u8] {
        self.tables.get(&tag).and_then(|range| self.data.get(range.clone())).unwrap_or_default()
    }

    fn thousandths(&self, units: i16) -> i16 {
        let scaled = i32::from(units) * 1_000 / i32::from(self.units_per_em).max(1);
        i16::try_from(scaled).unwrap_or(i16::MAX)
    }

    /// The glyph of a character; [`MISSING`] where there is none.
    pub(crate) fn glyph(&self, character: char) -> u16 {
        self.glyphs.get(&character).copied().unwrap_or(MISSING)
    }

    /// How wide a glyph is, in thousandths of the size.
    pub(crate) fn advance(&self, glyph: u16) -> u16 {
        self.advances.get(usize::from(glyph)).copied().unwrap_or(0)
    }

    /// The font with these glyphs only. They keep their numbers; the others have no outline.
    pub(crate) fn subset(&self, used: impl Fn(u16) -> bool) -> Vec<u8> {
        let whole = self.table(*b"glyf");
        let (mut glyf, mut loca) = (Vec::new(), vec![0u8; 4]);
        for (glyph, ends) in self.outlines.windows(2).enumerate() {
            let keep = u16::try_from(glyph).is_ok_and(|glyph| glyph == MISSING || used(glyph));
            if let (true, Some(outline)) = (keep, whole.get(ends[0]..ends[1])) {
                glyf.extend_from_slice(outline);
                glyf.resize(glyf.len().next_multiple_of(4), 0);
            }
            loca.extend(length(&glyf).to_be_bytes());
        }
        let mut head = self.table(*b"head").to_vec();
        // Offsets of 32 bits; the sum over the whole file is not looked at by what reads PDF.
        head.splice(50..52, [0, 1]);
        let parts: [([u8; 4], &[u8]); 6] = [
            (*b"glyf", &glyf),
            (*b"head", &head),
            (*b"hhea", self.table(*b"hhea")),
            (*b"hmtx", self.table(*b"hmtx")),
            (*b"loca", &loca),
            (*b"maxp", self.table(*b"maxp")),
        ];
        let mut file = vec![0, 1, 0, 0, 0, 6, 0, 64, 0, 2, 0, 32];
        let mut body = Vec::new();
        for (tag, table) in parts {
            let start = 12 + 16 * parts.len() + body.len();
            file.extend(tag);
            file.extend(sum_of(table).to_be_bytes());
            file.extend(u32::try_from(start).unwrap_or(u32::MAX).to_be_bytes());
            file.extend(length(table).to_be_bytes());
            body.extend_from_slice(table);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        file.extend(body);
        file
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The checksum of a table: its 32-bit words added up.
fn sum_of(table: &[u8]) -> u32 {
    table.chunks(4).fold(0, |sum: u32, word| {
        let mut whole = [0; 4];
        whole[..word.len()].copy_from_slice(word);
        sum.wrapping_add(u32::from_be_bytes(whole))
    })
}

/// The characters of a `cmap` of format 4: runs of characters, each with its distance to the glyphs.
fn read_glyphs(cmap: &[u8]) -> BTreeMap<char, u16> {
    let table = cmap.get(u32_at(cmap, 8)..).unwrap_or_default();
    let runs = usize::from(u16_at(table, 6)) / 2;
    let mut glyphs = BTreeMap::new();
    for run in 0..runs {
        let (end, start) = (u16_at(table, 14 + 2 * run), u16_at(table, 16 + 2 * (runs + run)));
        let delta = u16_at(table, 16 + 2 * (2 * runs + run));
        let place = 16 + 2 * (3 * runs + run);
        let offset = usize::from(u16_at(table, place));
        for code in start..=end {
            let glyph = match offset {
                0 => code.wrapping_add(delta),
                _ => match u16_at(table, place + offset + 2 * usize::from(code - start)) {
                    MISSING => MISSING,
                    glyph => glyph.wrapping_add(delta),
                },
            };
            if let (Some(character), true) = (char::from_u32(code.into()), glyph != MISSING) {
                glyphs.insert(character, glyph);
            }
        }
    }
    glyphs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_have_what_our_languages_and_their_neighbours_write() {
        let needed = "AZaz09 éèêëàâäçîïôöùûüÿœæÉÈÀÇŒ«»’…–—·×€\u{a0}\u{202f}ŁłŚśşğőűß αβγΩ ЖжЯя ắộ";
        for face in Face::ALL {
            let font = face.font();
            for character in needed.chars() {
                assert_ne!(font.glyph(character), MISSING, "{face:?} {character:?}");
            }
            assert_eq!(font.glyph('漢'), MISSING);
            assert_eq!(font.glyph('🙂'), MISSING);
            let digits: Vec<_> = ('0'..='9').map(|digit| font.advance(font.glyph(digit))).collect();
            assert!(digits.iter().all(|width| *width == digits[0] && (500..800).contains(width)), "{digits:?}");
            assert!(font.ascent > 900 && font.descent < -200 && font.bounds[0] < 0, "{:?}", font.bounds);
        }
    }

    #[test]
    fn a_subset_is_a_font_with_the_same_glyph_numbers() {
        let font = Face::Regular.font();
        let kept = font.glyph('é');
        let small: &'static [u8] = font.subset(|glyph| glyph == kept).leak();
        assert!(small.len() < 20_000, "{}", small.len());
        let read = Font::read(small);
        assert_eq!(read.advances, font.advances);
        let outline = |font: &Font, glyph: u16| {
            let ends = &font.outlines[usize::from(glyph)..][..2];
            font.table(*b"glyf")[ends[0]..ends[1]].to_vec()
        };
        let (new, old) = (outline(&read, kept), outline(font, kept));
        assert!(!old.is_empty() && new.starts_with(&old) && new.len() - old.len() < 4);
        assert!(outline(&read, font.glyph('a')).is_empty());
        assert!(!outline(&read, MISSING).is_empty(), "what is missing is drawn as a box");
    }
}
