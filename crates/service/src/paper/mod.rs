//! Paper: pages of text, lines and pictures, written as PDF.
//!
//! Everything is measured in tenths of a point from the upper left corner, in whole numbers. The same drawing gives the
//! same bytes: no clock, no chance, nothing of the machine gets in.

mod font;
mod picture;

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{ActionType, AnnotationType, CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

pub(crate) use self::font::Face;
use self::font::MISSING;
pub(crate) use self::picture::Picture;

/// The sheet: A4.
pub(crate) const WIDTH: i32 = 5_953;
pub(crate) const HEIGHT: i32 = 8_419;

/// Red, green and blue, 0 to 1.
pub(crate) type Ink = [f32; 3];

/// How a text is set: face, size in tenths of a point, color.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) face: Face,
    pub(crate) size: i32,
    pub(crate) ink: Ink,
}

impl Style {
    /// How wide a text is on one line.
    pub(crate) fn width_of(self, text: &str) -> i32 {
        let font = self.face.font();
        let thousandths: i64 = text.chars().map(|one| i64::from(font.advance(font.glyph(one)))).sum();
        i32::try_from(thousandths * i64::from(self.size) / 1_000).unwrap_or(i32::MAX)
    }

    /// Breaks a text into lines that fit. It breaks at spaces, never at no-break ones, and inside a word only where
    /// that is wider than a line.
    pub(crate) fn wrap(self, text: &str, width: i32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split(' ') {
            let joint = if line.is_empty() { "" } else { " " };
            if self.width_of(&format!("{line}{joint}{word}")) <= width {
                line.push_str(joint);
                line.push_str(word);
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for one in word.chars() {
                line.push(one);
                if self.width_of(&line) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::take(&mut line));
                    line.push(one);
                }
            }
        }
        lines.push(line);
        lines
    }
}

/// An address that a part of a page leads to.
#[derive(Debug)]
struct Link {
    page: usize,
    area: [i32; 4],
    to: String,
}

/// Sheets that are being drawn on.
pub(crate) struct Paper {
    pages: Vec<Content>,
    page: usize,
    /// Which glyphs were used, with a character that each stands for.
    used: [BTreeMap<u16, char>; 2],
    pictures: Vec<Picture>,
    links: Vec<Link>,
}

impl std::fmt::Debug for Paper {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Paper({} pages)", self.pages.len())
    }
}

/// A length as it stands in the file. No sheet is as long as what does not fit.
fn number(tenths: i32) -> f32 {
    f32::from(i16::try_from(tenths).unwrap_or(i16::MAX))
}

/// From the upper left corner, as we measure, to the lower left one, as the file does.
const fn from_below(y: i32) -> i32 {
    HEIGHT - y
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
}

const SYSTEM: SystemInfo<'_> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

impl Paper {
    /// One empty sheet.
    pub(crate) fn new() -> Self {
        let mut paper = Self {
            pages: Vec::new(),
            page: 0,
            used: [BTreeMap::new(), BTreeMap::new()],
            pictures: Vec::new(),
            links: Vec::new(),
        };
        paper.next_page();
        paper
    }

    /// Goes on on a new sheet.
    pub(crate) fn next_page(&mut self) {
        let mut content = Content::new();
        content.transform([0.1, 0.0, 0.0, 0.1, 0.0, 0.0]);
        self.pages.push(content);
        self.page = self.pages.len() - 1;
    }

    /// How many sheets there are.
    pub(crate) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Goes on on a sheet that was drawn on before; the first one is 0.
    pub(crate) fn turn_to(&mut self, page: usize) {
        self.page = page.min(self.pages.len() - 1);
    }

    fn content(&mut self) -> &mut Content {
        &mut self.pages[self.page]
    }

    /// Writes a text on one line, from `x` on, its letters standing on `y`.
    pub(crate) fn text(&mut self, x: i32, y: i32, style: Style, text: &str) {
        let face = style.face;
        let index = Face::ALL.iter().position(|known| *known == face).unwrap_or_default();
        let font = face.font();
        let mut codes = Vec::with_capacity(2 * text.len());
        let mut whole = true;
        for character in text.chars() {
            let glyph = font.glyph(character);
            codes.extend(glyph.to_be_bytes());
            if glyph == MISSING {
                whole = false;
            } else {
                self.used[index].entry(glyph).or_insert(character);
            }
        }
        let content = self.content();
        if !whole {
            // What the face cannot show is a box, and still what it is for whoever copies it or has it read aloud.
            content
                .begin_marked_content_with_properties(Name(b"Span"))
                .properties()
                .actual_text(TextStr(text))
                .finish();
        }
        let [red, green, blue] = style.ink;
        content
            .set_fill_rgb(red, green, blue)
            .begin_text()
            .set_font(Name(name_of(face)), number(style.size))
            .next_line(number(x), number(from_below(y)))
            .show(Str(&codes))
            .end_text();
        if !whole {
            content.end_marked_content();
        }
    }

    /// The same, ending at `x`.
    pub(crate) fn text_to(&mut self, x: i32, y: i32, style: Style, text: &str) {
        self.text(x - style.width_of(text), y, style, text);
    }

    /// Fills a rectangle.
    pub(crate) fn fill(&mut self, x: i32, y: i32, width: i32, height: i32, ink: Ink) {
        let [red, green, blue] = ink;
        self.content()
            .set_fill_rgb(red, green, blue)
            .rect(number(x), number(from_below(y + height)), number(width), number(height))
            .fill_nonzero();
    }

    /// Fills squares of the same size, given by column and row.
    pub(crate) fn squares(&mut self, x: i32, y: i32, side: i32, squares: impl Iterator<Item = (i32, i32)>, ink: Ink) {
        let [red, green, blue] = ink;
        let content = self.content();
        content.set_fill_rgb(red, green, blue);
        for (column, row) in squares {
            let below = from_below(y + side * (row + 1));
            content.rect(number(x + side * column), number(below), number(side), number(side));
        }
        content.fill_nonzero();
    }

    /// Puts a picture into a rectangle.
    pub(crate) fn picture(&mut self, x: i32, y: i32, width: i32, height: i32, picture: Picture) {
        self.pictures.push(picture);
        let name = format!("P{}", self.pictures.len());
        self.content()
            .save_state()
            .transform([number(width), 0.0, 0.0, number(height), number(x), number(from_below(y + height))])
            .x_object(Name(name.as_bytes()))
            .restore_state();
    }

    /// Makes a rectangle lead somewhere.
    pub(crate) fn link(&mut self, x: i32, y: i32, width: i32, height: i32, to: &str) {
        self.links.push(Link { page: self.page, area: [x, y, x + width, y + height], to: to.to_owned() });
    }

    /// The file, with its title and the tag of its language.
    pub(crate) fn finish(self, title: &str, language: &str) -> Vec<u8> {
        let mut last = 0;
        let mut next = || {
            last += 1;
            Ref::new(last)
        };
        let mut pdf = Pdf::new();
        let (catalog, tree, info) = (next(), next(), next());
        pdf.catalog(catalog).pages(tree).lang(TextStr(language)).viewer_preferences().display_doc_title(true);
        pdf.document_info(info).title(TextStr(title));
        let mut fonts = Vec::new();
        for (face, used) in Face::ALL.into_iter().zip(&self.used) {
            let ids = [next(), next(), next(), next(), next()];
            write_font(&mut pdf, face, used, ids);
            fonts.push((face, ids[0]));
        }
        let mut pictures = Vec::new();
        for (index, picture) in self.pictures.iter().enumerate() {
            let (id, cover) = (next(), next());
            write_picture(&mut pdf, picture, id, cover);
            pictures.push((format!("P{}", index + 1), id));
        }
        let ids: Vec<_> = self.pages.iter().map(|_| (next(), next())).collect();
        pdf.pages(tree).kids(ids.iter().map(|(page, _)| *page)).count(i32::try_from(ids.len()).unwrap_or(i32::MAX));
        for (index, (content, (id, content_id))) in self.pages.into_iter().zip(ids).enumerate() {
            let stream = packed(content.finish().as_slice());
            pdf.stream(content_id, &stream).filter(Filter::FlateDecode);
            let mut page = pdf.page(id);
            page.parent(tree).media_box(Rect::new(0.0, 0.0, 595.3, 841.9)).contents(content_id);
            let mut resources = page.resources();
            let mut named = resources.fonts();
            for (face, font) in &fonts {
                named.pair(Name(name_of(*face)), *font);
            }
            named.finish();
            if !pictures.is_empty() {
                let mut named = resources.x_objects();
                for (name, picture) in &pictures {
                    named.pair(Name(name.as_bytes()), *picture);
                }
                named.finish();
            }
            resources.finish();
            let links: Vec<_> =
                self.links.iter().filter(|link| link.page == index).map(|link| (link, next())).collect();
            page.annotations(links.iter().map(|(_, id)| *id));
            page.finish();
            for (Link { area: [left, top, right, bottom], to, .. }, id) in links {
                // Links are measured in whole points, outside of the drawing's own measure.
                let point = |tenths: i32| number(tenths / 10);
                let mut annotation = pdf.annotation(id);
                annotation.subtype(AnnotationType::Link).border(0.0, 0.0, 0.0, None).rect(Rect::new(
                    point(*left),
                    point(from_below(*bottom)),
                    point(*right),
                    point(from_below(*top)),
                ));
                annotation.action().action_type(ActionType::Uri).uri(Str(to.as_bytes()));
            }
        }
        pdf.finish()
    }
}

const fn name_of(face: Face) -> &'static [u8] {
    match face {
        Face::Regular => b"R",
        Face::SemiBold => b"S",
    }
}

/// A font with the glyphs that were used, their widths and what they stand for.
fn write_font(pdf: &mut Pdf, face: Face, used: &BTreeMap<u16, char>, ids: [Ref; 5]) {
    let [whole, descendant, descriptor, file, meaning] = ids;
    let font = face.font();
    // Six letters say that it is a part of the font.
    let name = format!("TRSSAU+{}", face.name());
    let name = Name(name.as_bytes());
    pdf.type0_font(whole)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(descendant)
        .to_unicode(meaning);
    let mut cid = pdf.cid_font(descendant);
    cid.subtype(CidFontType::Type2)
        .base_font(name)
        .system_info(SYSTEM)
        .font_descriptor(descriptor)
        .default_width(number(font.advance(MISSING).into()))
        .cid_to_gid_map_predefined(Name(b"Identity"));
    let mut widths = cid.widths();
    for glyph in used.keys() {
        widths.consecutive(*glyph, [number(font.advance(*glyph).into())]);
    }
    widths.finish();
    cid.finish();
    let [left, bottom, right, top] = font.bounds.map(f32::from);
    pdf.font_descriptor(descriptor)
        .name(name)
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(left, bottom, right, top))
        .italic_angle(0.0)
        .ascent(font.ascent.into())
        .descent(font.descent.into())
        .cap_height(727.0)
        .stem_v(match face {
            Face::Regular => 80.0,
            Face::SemiBold => 120.0,
        })
        .font_file2(file);
    let subset = font.subset(|glyph| used.contains_key(&glyph));
    pdf.stream(file, &packed(&subset))
        .filter(Filter::FlateDecode)
        .pair(Name(b"Length1"), i32::try_from(subset.len()).unwrap_or(i32::MAX));
    let mut meanings = UnicodeCmap::new(Name(b"Custom"), SYSTEM);
    for (glyph, character) in used {
        meanings.pair(*glyph, *character);
    }
    let meanings = meanings.finish();
    pdf.cmap(meaning, meanings.as_slice());
}

fn write_picture(pdf: &mut Pdf, picture: &Picture, id: Ref, cover_id: Ref) {
    let side = |pixels: usize| i32::try_from(pixels).unwrap_or(i32::MAX);
    let (width, height) = (side(picture.width), side(picture.height));
    let colors = packed(&picture.colors);
    let mut image = pdf.image_xobject(id, &colors);
    image.filter(Filter::FlateDecode);
    image.width(width).height(height).bits_per_component(8);
    image.color_space().device_rgb();
    if picture.cover.is_some() {
        image.s_mask(cover_id);
    }
    image.finish();
    if let Some(cover) = &picture.cover {
        let cover = packed(cover);
        let mut image = pdf.image_xobject(cover_id, &cover);
        image.filter(Filter::FlateDecode);
        image.width(width).height(height).bits_per_component(8);
        image.color_space().device_gray();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { face: Face::Regular, size: 100, ink: [0.0, 0.0, 0.0] };

    #[test]
    fn lines_break_at_spaces_and_inside_words_only_where_they_must() {
        let width = STYLE.width_of("une deux trois");
        assert_eq!(STYLE.wrap("une deux trois quatre", width), ["une deux trois", "quatre"]);
        assert_eq!(STYLE.wrap("une deux trois\u{a0}! quatre", width), ["une deux", "trois\u{a0}! quatre"]);
        assert_eq!(STYLE.wrap("", width), [""]);
        let long = "w".repeat(60);
        let lines = STYLE.wrap(&format!("a {long} b"), width);
        assert!(lines.iter().all(|line| STYLE.width_of(line) <= width), "{lines:?}");
        assert_eq!(lines.concat().replace(['a', 'b', ' '], ""), long);
        // However narrow it is, each line holds something, and nothing is lost.
        assert_eq!(STYLE.wrap("漢字かな", 1), ["漢", "字", "か", "な"]);
    }

    #[test]
    fn widths_are_sums_that_are_rounded_once() {
        let double = Style { size: 200, ..STYLE };
        for (twice, once) in
            [(STYLE.width_of("00"), STYLE.width_of("0")), (double.width_of("Mesure"), STYLE.width_of("Mesure"))]
        {
            assert!((twice - 2 * once).abs() <= 1, "{twice} {once}");
        }
    }
}
