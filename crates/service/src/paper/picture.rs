//! Pictures on paper: the logo of a business, unpacked and made as small as it is printed.

use std::io::Cursor;

use trousseau_domain::logo::{LogoFormat, MAX_LOGO_PIXELS};

/// The most pixels on a side that are printed: more would only make the file larger.
const MOST_PIXELS: usize = 480;
/// What unpacking a picture may take.
const MOST_BYTES: usize = 4 * 2 * (MAX_LOGO_PIXELS as usize) * (MAX_LOGO_PIXELS as usize);

/// A picture in red, green and blue.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Three bytes for each pixel, row by row.
    pub(crate) colors: Vec<u8>,
    /// How much of each pixel covers the paper; none where all of them do.
    pub(crate) cover: Option<Vec<u8>>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Picture({} x {})", self.width, self.height)
    }
}

/// Four bytes for each pixel.
struct Pixels {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Picture {
    /// Unpacks a logo; nothing where it is damaged, or of a kind that is not printed.
    pub(crate) fn of_logo(format: LogoFormat, content: &[u8]) -> Option<Self> {
        let pixels = match format {
            LogoFormat::Png => of_png(content)?,
            LogoFormat::Webp => of_webp(content)?,
            LogoFormat::Jpeg => of_jpeg(content)?,
        };
        Some(shrunk(&pixels))
    }
}

fn of_png(content: &[u8]) -> Option<Pixels> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(content), png::Limits { bytes: MOST_BYTES });
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().ok()?;
    let mut bytes = vec![0; reader.output_buffer_size().filter(|size| *size <= MOST_BYTES)?];
    let info = reader.next_frame(&mut bytes).ok()?;
    let bytes = match info.color_type {
        png::ColorType::Rgba => bytes,
        png::ColorType::GrayscaleAlpha => {
            bytes.chunks_exact(2).flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]]).collect()
        }
        _ => return None,
    };
    Some(Pixels { width: usize::try_from(info.width).ok()?, height: usize::try_from(info.height).ok()?, bytes })
}

fn of_webp(content: &[u8]) -> Option<Pixels> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(content)).ok()?;
    decoder.set_memory_limit(MOST_BYTES);
    let (width, height) = decoder.dimensions();
    let mut bytes = vec![0; decoder.output_buffer_size().filter(|size| *size <= MOST_BYTES)?];
    decoder.read_image(&mut bytes).ok()?;
    if !decoder.has_alpha() {
        bytes = with_cover(&bytes);
    }
    Some(Pixels { width: usize::try_from(width).ok()?, height: usize::try_from(height).ok()?, bytes })
}

fn of_jpeg(content: &[u8]) -> Option<Pixels> {
    let options = zune_jpeg::zune_core::options::DecoderOptions::default()
        .set_max_width(MAX_LOGO_PIXELS as usize)
        .set_max_height(MAX_LOGO_PIXELS as usize)
        .jpeg_set_out_colorspace(zune_jpeg::zune_core::colorspace::ColorSpace::RGB);
    let mut decoder =
        zune_jpeg::JpegDecoder::new_with_options(zune_jpeg::zune_core::bytestream::ZCursor::new(content), options);
    let bytes = decoder.decode().ok()?;
    let (width, height) = decoder.dimensions()?;
    Some(Pixels { width, height, bytes: with_cover(&bytes) })
}

fn with_cover(colors: &[u8]) -> Vec<u8> {
    colors.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], u8::MAX]).collect()
}

/// The picture with at most so many pixels on a side, each the mean of those it stands for.
fn shrunk(pixels: &Pixels) -> Picture {
    let Pixels { width, height, bytes } = pixels;
    let by = width.max(height).div_ceil(MOST_PIXELS).max(1);
    let (columns, rows) = (width.div_ceil(by), height.div_ceil(by));
    let (mut colors, mut cover) = (Vec::with_capacity(columns * rows * 3), Vec::with_capacity(columns * rows));
    for row in 0..rows {
        for column in 0..columns {
            // Colors count as much as they cover: what cannot be seen tints nothing.
            let (mut sums, mut covered, mut count) = ([0u64; 3], 0u64, 0u64);
            for y in row * by..((row + 1) * by).min(*height) {
                for x in column * by..((column + 1) * by).min(*width) {
                    let Some(pixel) = bytes.get(4 * (y * width + x)..).and_then(|rest| rest.get(..4)) else { continue };
                    let weight = u64::from(pixel[3]);
                    for (sum, color) in sums.iter_mut().zip(pixel) {
                        *sum += u64::from(*color) * weight;
                    }
                    covered += weight;
                    count += 1;
                }
            }
            colors.extend(sums.map(|sum| u8::try_from(sum / covered.max(1)).unwrap_or(u8::MAX)));
            cover.push(u8::try_from(covered / count.max(1)).unwrap_or(u8::MAX));
        }
    }
    let opaque = cover.iter().all(|cover| *cover == u8::MAX);
    Picture { width: columns, height: rows, colors, cover: (!opaque).then_some(cover) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, color: png::ColorType, bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.write_header().expect("a header").write_image_data(bytes).expect("its pixels");
        file
    }

    #[test]
    fn pictures_are_unpacked_whatever_their_colors() {
        for (color, bytes, colors, cover) in [
            (png::ColorType::Rgb, vec![1, 2, 3, 4, 5, 6], vec![1, 2, 3, 4, 5, 6], None),
            (png::ColorType::Grayscale, vec![7, 8], vec![7, 7, 7, 8, 8, 8], None),
            (png::ColorType::GrayscaleAlpha, vec![7, 255, 8, 128], vec![7, 7, 7, 8, 8, 8], Some(vec![255, 128])),
            (
                png::ColorType::Rgba,
                vec![1, 2, 3, 0, 4, 5, 6, 255],
                // What cannot be seen has no color.
                vec![0, 0, 0, 4, 5, 6],
                Some(vec![0, 255]),
            ),
        ] {
            let picture = Picture::of_logo(LogoFormat::Png, &png(2, 1, color, &bytes)).expect("a picture");
            assert_eq!((picture.width, picture.height), (2, 1), "{color:?}");
            assert_eq!((picture.colors, picture.cover), (colors, cover), "{color:?}");
        }
    }

    #[test]
    fn large_pictures_are_made_as_small_as_they_are_printed() {
        let bytes: Vec<u8> = (0..2_000 * 500u32).map(|index| if index % 2_000 < 1_000 { 10 } else { 200 }).collect();
        let file = png(2_000, 500, png::ColorType::Grayscale, &bytes);
        let picture = Picture::of_logo(LogoFormat::Png, &file).expect("a picture");
        assert_eq!((picture.width, picture.height), (400, 100));
        assert_eq!((picture.colors[0], picture.colors[3 * 399]), (10, 200));
    }

    #[test]
    fn what_is_damaged_is_no_picture() {
        let good = png(2, 1, png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6]);
        assert!(Picture::of_logo(LogoFormat::Png, &good[..good.len() - 20]).is_none());
        for format in [LogoFormat::Png, LogoFormat::Jpeg, LogoFormat::Webp] {
            assert!(Picture::of_logo(format, b"").is_none(), "{format}");
            assert!(Picture::of_logo(format, b"\xff\xd8\xff\xe0 no picture at all").is_none(), "{format}");
        }
    }
}
