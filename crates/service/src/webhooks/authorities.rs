//! Certificate authorities of the operator's own, by which receivers in private networks are trusted.

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// Certificate authorities that receivers of webhooks are trusted by, beside those that everybody trusts.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a file holds no authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorities {
    /// There is no certificate in it.
    #[error("holds no certificate in PEM form")]
    Empty,
    /// A certificate is damaged, or none of an authority. The first is 1.
    #[error("certificate {0} cannot be used")]
    Unusable(usize),
}

impl Authorities {
    /// Reads certificates in PEM form (RFC 7468). Whatever else is in the text is passed over.
    ///
    /// # Errors
    /// [`InvalidAuthorities`] where there is none, or one that cannot be used.
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidAuthorities> {
        let mut checked = RootCertStore::empty();
        let mut authorities = Vec::new();
        for (index, certificate) in CertificateDer::pem_slice_iter(text).enumerate() {
            let unusable = InvalidAuthorities::Unusable(index + 1);
            let certificate = certificate.map_err(|_| unusable.clone())?;
            checked.add(certificate.clone()).map_err(|_| unusable)?;
            authorities.push(certificate);
        }
        if authorities.is_empty() { Err(InvalidAuthorities::Empty) } else { Ok(Self(authorities)) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Everybody's authorities and these.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        // Each was taken up once already, when it was read.
        let (_taken, _left) = roots.add_parsable_certificates(self.0.iter().cloned());
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../../../server/tests/it/localhost.cert.pem");

    #[test]
    fn certificates_are_read_and_nothing_else_is() {
        let two = [CERTIFICATE, b"a remark\n", CERTIFICATE].concat();
        let read = Authorities::from_pem(&two).expect("two certificates");
        assert_eq!(read.count(), 2);
        assert_eq!(read.roots().len(), webpki_roots::TLS_SERVER_ROOTS.len() + 2);
        assert_eq!(Authorities::from_pem(b"").expect_err("nothing"), InvalidAuthorities::Empty);
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(Authorities::from_pem(key).expect_err("a key"), InvalidAuthorities::Empty);
        let damaged = [CERTIFICATE, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"].concat();
        assert_eq!(Authorities::from_pem(&damaged).expect_err("damaged"), InvalidAuthorities::Unusable(2));
    }
}
