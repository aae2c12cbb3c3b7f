//! Logos of businesses: looked at before they are taken, and kept in the database.

use imagesize::ImageType;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::logo::{LogoDigest, LogoFormat, MAX_LOGO_BYTES, MAX_LOGO_PIXELS, MIN_LOGO_PIXELS};
use trousseau_domain::members::Operation;
use trousseau_store::{ChangeKind, LogoRow};

use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::error::ServiceError;

/// A picture that may be a logo: its first bytes say what it is and how large, and nothing of it was unpacked.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    format: LogoFormat,
    width: u32,
    height: u32,
    content: Vec<u8>,
}

/// Its content is a picture, which helps nobody in a log.
impl std::fmt::Debug for Logo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Logo({}, {} x {})", self.format, self.width, self.height)
    }
}

/// Why a file is no logo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLogo {
    /// Nothing was chosen.
    #[error("is empty")]
    Empty,
    /// It has too many bytes.
    #[error("has more than {MAX_LOGO_BYTES} bytes")]
    TooLarge,
    /// It is none of the pictures that are taken, whatever it is called.
    #[error("is neither PNG nor JPEG nor WebP")]
    Format,
    /// Too few pixels, or too many.
    #[error("has a side of less than {MIN_LOGO_PIXELS} or more than {MAX_LOGO_PIXELS} pixels")]
    Pixels,
}

impl Logo {
    /// Looks at a file.
    pub fn read(content: Vec<u8>) -> Result<Self, InvalidLogo> {
        if content.is_empty() {
            return Err(InvalidLogo::Empty);
        }
        if content.len() > MAX_LOGO_BYTES {
            return Err(InvalidLogo::TooLarge);
        }
        let format = match imagesize::image_type(&content) {
            Ok(ImageType::Png) => LogoFormat::Png,
            Ok(ImageType::Jpeg) => LogoFormat::Jpeg,
            Ok(ImageType::Webp) => LogoFormat::Webp,
            _ => return Err(InvalidLogo::Format),
        };
        let found = imagesize::blob_size(&content).map_err(|_| InvalidLogo::Format)?;
        let side = |pixels: usize| {
            u32::try_from(pixels).ok().filter(|pixels| (MIN_LOGO_PIXELS..=MAX_LOGO_PIXELS).contains(pixels))
        };
        let (Some(width), Some(height)) = (side(found.width), side(found.height)) else {
            return Err(InvalidLogo::Pixels);
        };
        Ok(Self { format, width, height, content })
    }

    /// What kind of picture it is.
    pub const fn format(&self) -> LogoFormat {
        self.format
    }

    fn digest(&self) -> LogoDigest {
        LogoDigest::from_sha256(Sha256::digest(&self.content).into())
    }
}

/// Use cases of logos.
#[derive(Debug, Clone, Copy)]
pub struct Logos<'a> {
    core: &'a Core,
}

impl<'a> Logos<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// The picture of this digest, with its kind. It is for anybody who knows the digest: whoever pays a business sees
    /// its logo, too.
    pub async fn get(self, digest: &LogoDigest) -> Result<(LogoFormat, Vec<u8>), ServiceError> {
        self.core.store.read().find_logo(digest).await?.ok_or(ServiceError::NotFound)
    }

    /// Gives a business a logo, in place of the one it had.
    ///
    /// # Errors
    /// [`ServiceError::BusinessSuspended`].
    pub async fn put(self, context: &Context, business: &BusinessId, logo: Logo) -> Result<LogoDigest, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        let row = unit.lock_business(business).await?;
        unit.check_member(business, Operation::BusinessWrite, false).await?;
        unit.check_open(&row)?;
        let digest = logo.digest();
        let row = LogoRow {
            business: business.clone(),
            digest,
            format: logo.format,
            width: logo.width,
            height: logo.height,
            content: logo.content,
            created_at: unit.now,
            created_by: context.actor().clone(),
        };
        unit.tx.put_logo(&row).await?;
        self.record(unit, business, Some(digest)).await?;
        Ok(digest)
    }

    /// Takes the logo of a business away.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] if it has none, [`ServiceError::BusinessSuspended`].
    pub async fn remove(self, context: &Context, business: &BusinessId) -> Result<(), ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        let row = unit.lock_business(business).await?;
        unit.check_member(business, Operation::BusinessWrite, false).await?;
        unit.check_open(&row)?;
        if !unit.tx.delete_logo(business).await? {
            return Err(ServiceError::NotFound);
        }
        self.record(unit, business, None).await
    }

    async fn record(
        self,
        mut unit: Unit<'_>,
        business: &BusinessId,
        digest: Option<LogoDigest>,
    ) -> Result<(), ServiceError> {
        unit.record(Happened {
            event: EventType::BusinessUpdated,
            business,
            environment: None,
            key: None,
            data: json!({ "changes": { "logo": { "new": digest.map(|digest| digest.to_string()) } } }),
        })
        .await?;
        unit.commit(ChangeKind::Business, Some(business), None).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG of this size without its picture: what its first bytes say.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut content = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        content.extend(width.to_be_bytes());
        content.extend(height.to_be_bytes());
        content.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
        content
    }

    #[test]
    fn pictures_are_known_by_their_first_bytes() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x11\x08\0\x20\0\x30\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";
        let webp = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x2f\0\0\x1f\0\0\0\0\0\0";
        for (content, format, size) in [
            (png(48, 32), LogoFormat::Png, (48, 32)),
            (jpeg.to_vec(), LogoFormat::Jpeg, (48, 32)),
            (webp.to_vec(), LogoFormat::Webp, (48, 32)),
        ] {
            let logo = Logo::read(content).expect("a picture");
            assert_eq!((logo.format, (logo.width, logo.height)), (format, size));
        }
    }

    #[test]
    fn what_is_no_picture_too_large_or_too_small_is_refused() {
        let mut long = png(64, 64);
        long.resize(MAX_LOGO_BYTES + 1, 0);
        for (content, why) in [
            (Vec::new(), InvalidLogo::Empty),
            (long, InvalidLogo::TooLarge),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>".to_vec(), InvalidLogo::Format),
            (b"<!doctype html><script>alert(1)</script>".to_vec(), InvalidLogo::Format),
            (b"GIF89a\x30\0\x20\0\0\0\0".to_vec(), InvalidLogo::Format),
            (b"\x89PNG\r\n\x1a\n".to_vec(), InvalidLogo::Format),
            (b"\xff\xd8\xff".to_vec(), InvalidLogo::Format),
            (b"RIFF\x1e\0\0\0WEBP".to_vec(), InvalidLogo::Format),
            (png(15, 64), InvalidLogo::Pixels),
            (png(64, 2049), InvalidLogo::Pixels),
            (png(u32::MAX, u32::MAX), InvalidLogo::Pixels),
        ] {
            assert_eq!(Logo::read(content.clone()).err(), Some(why), "{:?}", content.get(..16));
        }
        assert!(Logo::read(png(16, 2048)).is_ok());
    }
}
