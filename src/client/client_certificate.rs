//! The certificate that a client shows in a TLS handshake: token authorities know by it who asks.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::{Error, Result};

/// A certificate with those above it, and its key.
pub struct ClientCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    /// The certificate in `chain` and the key in `key`, both PEM.
    ///
    /// # Errors
    /// `Local` if one of them cannot be read.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self> {
        let unreadable = |what: &str, why: &dyn std::fmt::Display| Error::local(format!("the client {what}: {why}"));
        let certificates = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<std::result::Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| unreadable("certificate", &error))?;
        if certificates.is_empty() {
            return Err(unreadable("certificate", &"its file holds no certificate in PEM"));
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| unreadable("key", &error))?;
        Ok(ClientCertificate { chain: certificates, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::transport::{HttpVersion, Transport};

    fn made() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["client.test".to_owned()]).unwrap().self_signed(&key);
        (certificate.unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_needs_its_own_key() {
        let ((chain, key), (_, other)) = (made(), made());
        let transport = |key: &str| {
            Transport::showing(ClientCertificate::from_pem(&chain, key)?, chain.as_bytes(), HttpVersion::Http1)
        };
        assert!(transport(&key).is_ok());
        assert!(transport(&other).is_err());
        assert!(ClientCertificate::from_pem("", &key).is_err() && ClientCertificate::from_pem(&chain, "").is_err());
    }
}
