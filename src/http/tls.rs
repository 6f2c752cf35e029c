//! TLS of the ACME listener: 1.2 and 1.3 by rustls, with a certificate that can be changed while connections live.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The server's TLS configuration. The certificate comes from two files, which [`Tls::reload`] reads again.
pub struct Tls {
    chain: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    config: Arc<rustls::ServerConfig>,
}

/// Why the certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{path}: {why}: it must hold {expected} in PEM")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was expected in it.
        expected: &'static str,
        /// What went wrong.
        why: String,
    },
    /// Certificate and key do not belong together, or are of a kind that TLS cannot use.
    #[error("{chain} and {key} cannot be used together: {why}")]
    Unusable {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What went wrong.
        why: String,
    },
}

/// The certificate in use.
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Current")
    }
}

impl Tls {
    /// The configuration with the certificate chain of one PEM file (leaf first) and the private key of another.
    ///
    /// # Errors
    /// A file that cannot be read or used, with what it should hold.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let current = Arc::new(Current(ArcSwap::from_pointee(certified(chain, key, &provider)?)));
        let unusable =
            |e: rustls::Error| TlsError::Unusable { chain: chain.into(), key: key.into(), why: e.to_string() };
        // RFC 8555 §6.1 and RFC 9325: TLS 1.2 and 1.3, nothing older.
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Tls { chain: chain.into(), key: key.into(), provider, current, config: Arc::new(config) })
    }

    /// Reads both files again; new connections get what they hold. On an error the certificate in use stays.
    ///
    /// # Errors
    /// As [`Tls::from_files`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let certified = certified(&self.chain, &self.key, &self.provider)?;
        self.current.0.store(Arc::new(certified));
        Ok(())
    }

    pub(super) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn certified(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let unreadable =
        |path: &Path, expected: &'static str, why: String| TlsError::Unreadable { path: path.into(), expected, why };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| unreadable(chain, "a certificate chain, the server's own first", e.to_string()))?;
    if certificates.is_empty() {
        let expected = "a certificate chain, the server's own first";
        return Err(unreadable(chain, expected, "there is no certificate in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| unreadable(key, "the certificate's private key, not encrypted", e.to_string()))?;
    CertifiedKey::from_der(certificates, private, provider).map_err(|e| TlsError::Unusable {
        chain: chain.into(),
        key: key.into(),
        why: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_pair(directory: &Path, name: &str) -> Vec<u8> {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(directory.join("chain.pem"), cert.pem()).unwrap();
        std::fs::write(directory.join("key.pem"), signing_key.serialize_pem()).unwrap();
        cert.der().to_vec()
    }

    #[test]
    fn a_reload_takes_the_new_certificate_and_a_broken_file_keeps_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let (chain, key) = (directory.path().join("chain.pem"), directory.path().join("key.pem"));
        let first = write_pair(directory.path(), "localhost");
        let tls = Tls::from_files(&chain, &key).unwrap();
        let current = || tls.current.0.load().cert[0].to_vec();
        assert_eq!(current(), first);
        let second = write_pair(directory.path(), "localhost");
        tls.reload().unwrap();
        assert_eq!(current(), second);
        std::fs::write(&chain, "nothing").unwrap();
        assert!(tls.reload().unwrap_err().to_string().contains("chain.pem"));
        assert_eq!(current(), second);
    }

    // T11
    #[test]
    fn early_data_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        write_pair(directory.path(), "localhost");
        let tls = Tls::from_files(&directory.path().join("chain.pem"), &directory.path().join("key.pem")).unwrap();
        assert_eq!(tls.config.max_early_data_size, 0);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (chain, key) = (directory.path().join("chain.pem"), directory.path().join("key.pem"));
        write_pair(directory.path(), "localhost");
        let foreign = std::fs::read(&key).unwrap();
        write_pair(directory.path(), "localhost");
        std::fs::write(&key, foreign).unwrap();
        assert!(matches!(Tls::from_files(&chain, &key), Err(TlsError::Unusable { .. })));
    }
}
