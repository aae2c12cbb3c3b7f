//! Reads back the text of the PDF files that this project writes, by what the files themselves say: their objects, their
//! content and the meaning of their glyphs.

use std::collections::HashMap;
use std::io::Read as _;

use flate2::read::ZlibDecoder;

/// The pages of a file, each as its texts in the order in which they were drawn.
///
/// # Panics
/// If it is no PDF as this project writes it.
pub fn pages(file: &[u8]) -> Vec<Vec<String>> {
    assert!(file.starts_with(b"%PDF-1.") && file.trim_ascii_end().ends_with(b"%%EOF"), "it is no PDF");
    let objects = objects(file);
    let kids = after(&objects, "/Kids [").split(']').next().expect("an end").to_owned();
    let page_ids: Vec<u32> = references(&kids);
    page_ids
        .iter()
        .map(|id| {
            let page = text_of(&objects[id]);
            let fonts: HashMap<&str, HashMap<u16, String>> = ["R", "S"]
                .into_iter()
                .map(|name| {
                    let font = reference_after(&page, &format!("/{name} ")).expect("a font");
                    let meaning = reference_after(&text_of(&objects[&font]), "/ToUnicode ").expect("a meaning");
                    (name, meanings(&text_of(&objects[&meaning])))
                })
                .collect();
            let content = reference_after(&page, "/Contents ").expect("a content");
            texts(&stream(&objects[&content]), &fonts)
        })
        .collect()
}

/// The whole text of a file, a line for each text that was drawn.
///
/// # Panics
/// As [`pages`].
pub fn text(file: &[u8]) -> String {
    pages(file).concat().join("\n")
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The objects by their numbers.
fn objects(file: &[u8]) -> HashMap<u32, Vec<u8>> {
    let mut found = HashMap::new();
    let mut rest = file;
    while let Some(start) = find(rest, b" 0 obj\n") {
        let digits = rest[..start].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let number = String::from_utf8_lossy(&rest[start - digits..start]).parse().expect("a number");
        let body = &rest[start + 7..];
        let end = find(body, b"\nendobj").expect("an end of the object");
        found.insert(number, body[..end].to_vec());
        rest = &body[end..];
    }
    found
}

fn text_of(object: &[u8]) -> String {
    String::from_utf8_lossy(object).into_owned()
}

fn after(objects: &HashMap<u32, Vec<u8>>, mark: &str) -> String {
    let mut texts = objects.values().map(|object| text_of(object));
    let found = texts.find_map(|text| text.split_once(mark).map(|(_, rest)| rest.to_owned()));
    found.expect("the mark stands somewhere")
}

fn references(text: &str) -> Vec<u32> {
    text.split(" 0 R").filter_map(|part| part.trim().parse().ok()).collect()
}

fn reference_after(object: &str, mark: &str) -> Option<u32> {
    object.split(mark).skip(1).find_map(|rest| rest.split_once(" 0 R")?.0.parse().ok())
}

/// The content of a compressed stream.
fn stream(object: &[u8]) -> Vec<u8> {
    let start = find(object, b"stream\n").expect("a stream") + 7;
    let mut content = Vec::new();
    ZlibDecoder::new(&object[start..]).read_to_end(&mut content).expect("it unpacks");
    content
}

/// What each glyph stands for: the lines `<glyph> <text>` and `<first> <last> <text>` of a character map.
fn meanings(map: &str) -> HashMap<u16, String> {
    let mut found = HashMap::new();
    let mut inside = "";
    for line in map.lines() {
        match line.split_whitespace().last() {
            Some("beginbfchar") => inside = "char",
            Some("beginbfrange") => inside = "range",
            Some("endbfchar" | "endbfrange") => inside = "",
            _ => {}
        }
        let words: Vec<Vec<u8>> = line.split_whitespace().filter_map(hexadecimal).collect();
        match (inside, words.as_slice()) {
            ("char", [glyph, text]) => _ = found.insert(two(glyph), utf_16(text)),
            ("range", [first, last, text]) => {
                let character = utf_16(text).chars().next().expect("a character");
                for (glyph, offset) in (two(first)..=two(last)).zip(0..) {
                    let next = char::from_u32(u32::from(character) + offset).expect("a character");
                    found.insert(glyph, next.to_string());
                }
            }
            _ => {}
        }
    }
    found
}

fn hexadecimal(word: &str) -> Option<Vec<u8>> {
    let digits = word.strip_prefix('<')?.strip_suffix('>')?;
    (0..digits.len() / 2).map(|index| u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()).collect()
}

fn two(bytes: &[u8]) -> u16 {
    u16::from_be_bytes(bytes.try_into().expect("two bytes"))
}

fn utf_16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks(2).map(two).collect();
    String::from_utf16(&units).expect("UTF-16")
}

/// What is drawn: each text, or what is said to stand in its place.
fn texts(content: &[u8], fonts: &HashMap<&str, HashMap<u16, String>>) -> Vec<String> {
    let (mut found, mut font, mut instead) = (Vec::new(), "R", None::<String>);
    let mut last_string = Vec::new();
    let mut rest = content;
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b'(' => (last_string, rest) = literal(tail),
            b'<' if tail.first() == Some(&b'<') => rest = &tail[1..],
            b'<' => {
                let end = find(tail, b">").expect("an end of the string");
                last_string = hexadecimal(&format!("<{}>", String::from_utf8_lossy(&tail[..end]))).expect("digits");
                rest = &tail[end + 1..];
            }
            b'>' => rest = tail,
            byte if byte.is_ascii_whitespace() => rest = tail,
            _ => {
                let end =
                    rest.iter().skip(1).position(|byte| b" \n\r\t()<>/".contains(byte)).map_or(rest.len(), |at| at + 1);
                match &rest[..end] {
                    b"/R" => font = "R",
                    b"/S" => font = "S",
                    b"BDC" => {
                        let text = std::mem::take(&mut last_string);
                        let text = match text.strip_prefix(b"\xfe\xff") {
                            Some(units) => utf_16(units),
                            None => String::from_utf8(text).expect("ASCII"),
                        };
                        found.push(text.clone());
                        instead = Some(text);
                    }
                    b"EMC" => instead = None,
                    b"Tj" if instead.is_none() => {
                        let meanings = &fonts[font];
                        let glyphs = last_string.chunks(2).map(two);
                        found.push(glyphs.map(|glyph| meanings[&glyph].as_str()).collect());
                    }
                    _ => {}
                }
                rest = &rest[end..];
            }
        }
    }
    found
}

/// A string in parentheses, and what follows it.
fn literal(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut bytes, mut depth) = (Vec::new(), 0);
    loop {
        let (&byte, tail) = rest.split_first().expect("an end of the string");
        rest = tail;
        match byte {
            b'\\' => {
                let (&escaped, tail) = rest.split_first().expect("something escaped");
                rest = tail;
                match escaped {
                    b'n' => bytes.push(b'\n'),
                    b'r' => bytes.push(b'\r'),
                    b't' => bytes.push(b'\t'),
                    b'b' => bytes.push(8),
                    b'f' => bytes.push(12),
                    b'0'..=b'7' => {
                        let digits = std::iter::once(&escaped).chain(&rest[..2]).map(|digit| digit - b'0');
                        bytes.push(digits.fold(0, |value, digit| value * 8 + digit));
                        rest = &rest[2..];
                    }
                    other => bytes.push(other),
                }
            }
            b')' if depth == 0 => return (bytes, rest),
            _ => {
                depth += i32::from(byte == b'(') - i32::from(byte == b')');
                bytes.push(byte);
            }
        }
    }
}
