//! QR codes as pictures of one path: what a camera reads, the page draws.

use qrcode::{Color, QrCode};

/// A QR code as one path.
#[derive(Debug, Default)]
pub(crate) struct Qr {
    /// The dark modules.
    pub(crate) path: String,
    /// Modules on a side, the quiet zone included.
    pub(crate) size: usize,
}

impl Qr {
    /// The code of a text; none where it is longer than a code can hold.
    pub(crate) fn of(text: &str) -> Option<Self> {
        use std::fmt::Write as _;

        const QUIET: usize = 4;
        let code = QrCode::new(text).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (index, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let _ = write!(path, "M{} {}h1v1h-1z", index % width + QUIET, index / width + QUIET);
            }
        }
        Some(Self { path, size: width + 2 * QUIET })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_one_path_with_its_quiet_zone() {
        let qr = Qr::of("otpauth://totp/Mileston:a%40example.com?secret=GEZDGNBVGY3TQOJQ").expect("it fits");
        assert!(qr.size >= 29 && qr.path.starts_with("M4 4h1v1h-1z"), "{} {}", qr.size, qr.path);
        assert!(Qr::of(&"x".repeat(5_000)).is_none());
    }
}
