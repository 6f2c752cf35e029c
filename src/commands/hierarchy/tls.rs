//! TLS for the ACME listener: a root of its own, which certifies nothing else, and a server certificate below it.

use std::path::{Path, PathBuf};

use const_oid::db::rfc5280::ID_KP_SERVER_AUTH;

use super::certificates::{Issuer, Subject, bare, make_directories, signed, write_certificate};
use super::{HierarchyError, ROOT_YEARS};
use crate::public_key::PublicKey;
use crate::signer::{KeyFile, NewKey, Signer as _};
use crate::time::Timestamp;
use crate::x509::{
    AlternativeName, CertificateContent, Constraints, DistinguishedName, KeyUsage, KeyUsages, NameAttribute,
};

/// No client accepts a server certificate of more than 825 days from a private root (Apple's platforms are the strictest).
const TLS_SECONDS: i64 = 820 * 86_400;

/// Files of the ACME listener's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// What HTTPS clients must trust, PEM.
    pub root: PathBuf,
    /// The root's key, for the next server certificate.
    pub root_key: PathBuf,
    /// The server's certificate, PEM.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Where the files are below `directory`.
    pub fn below(directory: &Path) -> Self {
        TlsFiles {
            root: directory.join("certificates/tls-root.pem"),
            root_key: directory.join("keys/tls-root.key"),
            certificate: directory.join("certificates/tls.pem"),
            key: directory.join("keys/tls.key"),
        }
    }
}

/// Makes a root for TLS alone and a server certificate below it for `names` and addresses.
///
/// # Errors
/// The first thing that failed. A file that exists is never written over.
pub fn create_tls(
    directory: &Path,
    kind: NewKey,
    names: Vec<AlternativeName>,
    now: Timestamp,
) -> Result<TlsFiles, HierarchyError> {
    let files = TlsFiles::below(directory);
    make_directories(directory)?;
    let named = |name: &str| DistinguishedName::new([(NameAttribute::CommonName, name)]);
    let root_name = named("Sote-ACME HTTPS root")?;
    let root_key = KeyFile::create(&files.root_key, kind)?;
    let root = Issuer { name: &root_name, key: &root_key };
    let content = CertificateContent {
        constraints: Constraints::Authority { path_length: Some(0) },
        key_usage: KeyUsage::KeyCertSign | KeyUsage::CRLSign,
        ..bare(root, Subject { name: &root_name, key: root_key.public_key() }, now, now.plus_years(ROOT_YEARS))
    };
    write_certificate(&files.root, &signed(&content, &root_key)?)?;

    let key = KeyFile::create(&files.key, kind)?;
    let name = named("Sote-ACME HTTPS server")?;
    let content = CertificateContent {
        key_usage: server_usage(key.public_key()),
        extended_key_usage: vec![ID_KP_SERVER_AUTH],
        alternative_names: names,
        ..bare(root, Subject { name: &name, key: key.public_key() }, now, now.plus(TLS_SECONDS))
    };
    write_certificate(&files.certificate, &signed(&content, &root_key)?)?;
    Ok(files)
}

/// The key usage of a TLS server with this key.
pub(in crate::commands) fn server_usage(key: &PublicKey) -> KeyUsages {
    match key {
        PublicKey::Rsa(_) => KeyUsage::DigitalSignature | KeyUsage::KeyEncipherment,
        PublicKey::Ec(_) | PublicKey::Ed25519(_) => KeyUsage::DigitalSignature.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::identifier::Identifier;
    use crate::x509::Certificate;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    #[test]
    fn a_server_certificate_names_its_hosts_below_a_root_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let names = vec![
            AlternativeName::MalformedDns("localhost".into()),
            AlternativeName::Identifier(Identifier::Ip("127.0.0.1".parse().unwrap())),
            AlternativeName::Identifier(Identifier::Ip("::1".parse().unwrap())),
        ];
        let files = create_tls(directory.path(), NewKey::P256, names, NOW).unwrap();
        let read =
            |path: &Path| Certificate::parse_pem_chain(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0);
        let certificate = read(&files.certificate);
        assert!(certificate.verify_signed_by(read(&files.root).public_key()).is_ok());
        assert_eq!(certificate.alternative_names().len(), 3);
    }
}
