//! Certificates and CRLs that a key in a file signs, and the files that they are written to.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use const_oid::ObjectIdentifier;

use super::HierarchyError;
use crate::names::SerialNumber;
use crate::public_key::PublicKey;
use crate::signer::{KeyFile, Signer as _};
use crate::time::Timestamp;
use crate::x509::{
    Certificate, CertificateContent, Constraints, CrlContent, DistinguishedName, KeyIdentifier, KeyUsages,
    RevokedEntry, assembled_certificate, assembled_crl,
};

const DAY: i64 = 86_400;
/// For clocks that are late.
const BACKDATE: i64 = 3_600;

/// What a root's CRL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCrlContent {
    /// Its number, greater than that of every earlier one.
    pub number: u64,
    /// For how many days it is valid.
    pub days: i64,
    /// Which of the certificates that the root signed are revoked.
    pub entries: Vec<RevokedEntry>,
}

/// Signs a root's next CRL.
///
/// # Errors
/// What cannot be encoded or signed.
pub fn root_crl(
    root: &Certificate,
    key: &KeyFile,
    list: &RootCrlContent,
    now: Timestamp,
) -> Result<Vec<u8>, HierarchyError> {
    let content = CrlContent {
        issuer: root.subject().clone(),
        issuer_key: KeyIdentifier::of(key.public_key()),
        algorithm: key.algorithm(),
        number: list.number,
        this_update: now,
        next_update: now.plus(list.days * DAY).min(root.not_after()),
        // RFC 5280 §5.2.5: a list of everything that a root has signed needs no distribution point.
        distribution_point: None,
    };
    let entries: Vec<Vec<u8>> = list.entries.iter().map(RevokedEntry::to_der).collect();
    let tbs = content.tbs_der(&entries)?;
    let signature = key.sign(&tbs)?;
    Ok(assembled_crl(&tbs, key.algorithm(), &signature))
}

/// Who signs a certificate.
#[derive(Clone, Copy)]
pub(in crate::commands) struct Issuer<'a> {
    pub(in crate::commands) name: &'a DistinguishedName,
    pub(in crate::commands) key: &'a KeyFile,
}

/// Whom it certifies.
pub(in crate::commands) struct Subject<'a> {
    pub(in crate::commands) name: &'a DistinguishedName,
    pub(in crate::commands) key: &'a PublicKey,
}

/// A certificate that says who certifies whom until when, and nothing of what the key may do.
pub(in crate::commands) fn bare(
    issuer: Issuer<'_>,
    subject: Subject<'_>,
    now: Timestamp,
    not_after: Timestamp,
) -> CertificateContent {
    let self_signed = issuer.name == subject.name;
    CertificateContent {
        serial: SerialNumber::mint(now),
        issuer: issuer.name.clone(),
        issuer_key: (!self_signed).then(|| KeyIdentifier::of(issuer.key.public_key())),
        not_before: now.plus(-BACKDATE),
        not_after,
        subject: subject.name.clone(),
        public_key: subject.key.clone(),
        algorithm: issuer.key.algorithm(),
        constraints: Constraints::EndEntity,
        key_usage: KeyUsages::default(),
        extended_key_usage: Vec::<ObjectIdentifier>::new(),
        policies: Vec::new(),
        alternative_names: Vec::new(),
        crl_url: None,
        ocsp_url: None,
        issuer_url: None,
        ocsp_no_check: false,
    }
}

/// The certificate with this content.
pub(in crate::commands) fn signed(content: &CertificateContent, key: &KeyFile) -> Result<Certificate, HierarchyError> {
    let tbs = content.tbs_der()?;
    let signature = key.sign(&tbs)?;
    Ok(Certificate::parse(&assembled_certificate(&tbs, key.algorithm(), &signature))?)
}

/// Makes `keys/` and `certificates/`.
pub(in crate::commands) fn make_directories(directory: &Path) -> Result<(), HierarchyError> {
    for (name, mode) in [("keys", 0o700), ("certificates", 0o755)] {
        let path = directory.join(name);
        let made = DirBuilder::new().recursive(true).mode(mode).create(&path);
        made.map_err(|error| HierarchyError::Io { path, error })?;
    }
    Ok(())
}

/// Writes a certificate as PEM where there was none.
pub(in crate::commands) fn write_certificate(path: &Path, certificate: &Certificate) -> Result<(), HierarchyError> {
    write_new(path, certificate.to_pem().as_bytes())
}

/// Writes a file that everyone may read, where there was none.
pub(in crate::commands) fn write_new(path: &Path, content: &[u8]) -> Result<(), HierarchyError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => HierarchyError::Exists(path.to_owned()),
        _ => HierarchyError::Io { path: path.to_owned(), error },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path).map_err(failed)?;
    let synced = file.write_all(content).and_then(|()| file.sync_all());
    synced.and_then(|()| File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()).map_err(|error| {
        // Half a file would stand in the way of the next attempt.
        let _ = fs::remove_file(path);
        failed(error)
    })
}
