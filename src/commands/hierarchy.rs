//! A certification authority with keys in files: a root, a second root for the alternate chain, one issuing authority below
//! both, its OCSP responder, the roots' CRLs; and apart from it a small root of its own for the TLS certificate of the ACME
//! listener. `dev` and `demo` make all of it unasked, `init` when it is asked to; nothing that exists is ever written over.
//! Start with [`create_authority`] and [`create_tls`].

mod certificates;
mod tls;

use std::io;
use std::path::{Path, PathBuf};

use const_oid::db::rfc5280::ID_KP_OCSP_SIGNING;

pub(super) use self::certificates::{Issuer, Subject, bare, make_directories, signed, write_certificate, write_new};
pub use self::certificates::{RootCrlContent, root_crl};
pub(super) use self::tls::server_usage;
pub use self::tls::{TlsFiles, create_tls};
use crate::names::IssuerName;
use crate::public_key::PublicKey;
use crate::signer::{KeyFile, KeyFileError, NewKey, Signer as _, SignerError};
use crate::time::Timestamp;
use crate::x509::{
    CertificateContent, CertificateError, Constraints, ContentError, DistinguishedName, KeyUsage, NameAttribute,
    NameFault,
};

/// What [`create_authority`] makes.
#[derive(Debug, Clone)]
pub struct AuthorityPlan {
    /// The kind of every key.
    pub key: NewKey,
    /// The O of every subject.
    pub organisation: String,
    /// What the root's and the issuer's CN begin with.
    pub common_name: String,
    /// The first root.
    pub root: IssuerName,
    /// The second root, which certifies the same issuer.
    pub alternate_root: IssuerName,
    /// The issuing authority.
    pub issuer: IssuerName,
    /// The base of the CRL and issuer URLs in the certificates, without a final slash.
    pub public_url: String,
    /// For how many days the roots' first CRLs are valid.
    pub root_crl_days: i64,
}

/// Files of the certification authority, below one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityFiles {
    /// The root's certificate, key and CRL.
    pub root: RootFiles,
    /// The alternate root's.
    pub alternate_root: RootFiles,
    /// The issuing authority's certificate, signed by the root.
    pub issuer_certificate: PathBuf,
    /// The issuing authority's certificate, signed by the alternate root.
    pub cross_certificate: PathBuf,
    /// The issuing authority's key.
    pub issuer_key: PathBuf,
    /// The OCSP responder's certificate.
    pub responder_certificate: PathBuf,
    /// The OCSP responder's key.
    pub responder_key: PathBuf,
}

/// Files of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootFiles {
    /// Its certificate, PEM.
    pub certificate: PathBuf,
    /// Its key. A server never needs it: it may be moved away.
    pub key: PathBuf,
    /// Its CRL, DER.
    pub crl: PathBuf,
}

/// Why a hierarchy could not be made. What was made before the failure stays.
#[derive(Debug, thiserror::Error)]
pub enum HierarchyError {
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A name that stands in no certificate.
    #[error("a name of the hierarchy: {0}")]
    Name(#[from] NameFault),
    /// Something that cannot be encoded.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A signature.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A certificate that was just signed does not read back.
    #[error("a new certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// There is something already.
    #[error("{}: this file exists already and is not overwritten; move it away first", .0.display())]
    Exists(PathBuf),
    /// The file system.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
}

const ROOT_YEARS: i32 = 20;
const ISSUER_YEARS: i32 = 10;
/// Longer than any certificate that the issuer signs now, so that the answers go on; the certificate is then renewed.
const RESPONDER_YEARS: i32 = 3;
impl AuthorityFiles {
    /// Where the files of `plan` are below `directory`.
    pub fn below(directory: &Path, plan: &AuthorityPlan) -> Self {
        let key = |name: &str| directory.join("keys").join(format!("{name}.key"));
        let certificate = |name: &str| directory.join("certificates").join(format!("{name}.pem"));
        let root = |name: &IssuerName| RootFiles {
            certificate: certificate(name.as_str()),
            key: key(name.as_str()),
            crl: directory.join("certificates").join(format!("{name}.crl")),
        };
        let issuer = plan.issuer.as_str();
        AuthorityFiles {
            root: root(&plan.root),
            alternate_root: root(&plan.alternate_root),
            issuer_certificate: certificate(issuer),
            cross_certificate: certificate(&format!("{issuer}-by-{}", plan.alternate_root)),
            issuer_key: key(issuer),
            responder_certificate: certificate(&format!("{issuer}-ocsp")),
            responder_key: key(&format!("{issuer}-ocsp")),
        }
    }
}

/// Makes every key, certificate and CRL of the authority in `keys/` and `certificates/` below `directory`.
///
/// # Errors
/// The first thing that failed. A file that exists is never written over.
pub fn create_authority(
    directory: &Path,
    plan: &AuthorityPlan,
    now: Timestamp,
) -> Result<AuthorityFiles, HierarchyError> {
    let files = AuthorityFiles::below(directory, plan);
    make_directories(directory)?;
    let root = Root::create(plan, &plan.root, "Root", &files.root, now)?;
    let alternate = Root::create(plan, &plan.alternate_root, "Root 2", &files.alternate_root, now)?;

    let issuer_key = KeyFile::create(&files.issuer_key, plan.key)?;
    let subject = plan.subject("Issuing")?;
    for (root, file) in [(&root, &files.issuer_certificate), (&alternate, &files.cross_certificate)] {
        let content = root.issuer_content(plan, &subject, issuer_key.public_key(), now);
        write_certificate(file, &signed(&content, &root.key)?)?;
    }

    let responder_key = KeyFile::create(&files.responder_key, plan.key)?;
    let subject = Subject { name: &plan.subject("OCSP")?, key: responder_key.public_key() };
    let issuer = Issuer { name: &plan.subject("Issuing")?, key: &issuer_key };
    let content = CertificateContent {
        key_usage: KeyUsage::DigitalSignature.into(),
        extended_key_usage: vec![ID_KP_OCSP_SIGNING],
        // RFC 6960 §4.2.2.2.1: nobody can ask a responder about itself.
        ocsp_no_check: true,
        ..bare(issuer, subject, now, now.plus_years(RESPONDER_YEARS))
    };
    write_certificate(&files.responder_certificate, &signed(&content, &issuer_key)?)?;
    Ok(files)
}

impl AuthorityPlan {
    fn subject(&self, part: &str) -> Result<DistinguishedName, NameFault> {
        DistinguishedName::new([
            (NameAttribute::Country, "FI"),
            (NameAttribute::Organisation, self.organisation.as_str()),
            (NameAttribute::CommonName, format!("{} {part}", self.common_name).as_str()),
        ])
    }
}

/// A root that was just made.
struct Root {
    name: IssuerName,
    subject: DistinguishedName,
    key: KeyFile,
}

impl Root {
    fn create(
        plan: &AuthorityPlan,
        name: &IssuerName,
        part: &str,
        files: &RootFiles,
        now: Timestamp,
    ) -> Result<Self, HierarchyError> {
        let root =
            Root { name: name.clone(), subject: plan.subject(part)?, key: KeyFile::create(&files.key, plan.key)? };
        let subject = Subject { name: &root.subject, key: root.key.public_key() };
        let content = CertificateContent {
            constraints: Constraints::Authority { path_length: None },
            key_usage: KeyUsage::KeyCertSign | KeyUsage::CRLSign,
            ..bare(root.as_issuer(), subject, now, now.plus_years(ROOT_YEARS))
        };
        let certificate = signed(&content, &root.key)?;
        write_certificate(&files.certificate, &certificate)?;
        let list = RootCrlContent { number: 1, days: plan.root_crl_days, entries: Vec::new() };
        write_new(&files.crl, &root_crl(&certificate, &root.key, &list, now)?)?;
        Ok(root)
    }

    fn as_issuer(&self) -> Issuer<'_> {
        Issuer { name: &self.subject, key: &self.key }
    }

    /// The issuing authority's certificate as this root signs it.
    fn issuer_content(
        &self,
        plan: &AuthorityPlan,
        subject: &DistinguishedName,
        key: &PublicKey,
        now: Timestamp,
    ) -> CertificateContent {
        CertificateContent {
            constraints: Constraints::Authority { path_length: Some(0) },
            key_usage: KeyUsage::KeyCertSign | KeyUsage::CRLSign,
            crl_url: Some(format!("{}/crl/{}/0.crl", plan.public_url, self.name)),
            issuer_url: Some(format!("{}/issuer/{}.cer", plan.public_url, self.name)),
            ..bare(self.as_issuer(), Subject { name: subject, key }, now, now.plus_years(ISSUER_YEARS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::{Certificate, Crl};
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn plan(key: NewKey) -> AuthorityPlan {
        AuthorityPlan {
            key,
            organisation: "Testi Oy".into(),
            common_name: "Sote test".into(),
            root: "sote-root".parse().unwrap(),
            alternate_root: "sote-root-2".parse().unwrap(),
            issuer: "sote-1".parse().unwrap(),
            public_url: "http://127.0.0.1:14080".into(),
            root_crl_days: 365,
        }
    }

    fn read(path: &Path) -> Certificate {
        let text = fs::read_to_string(path).unwrap();
        Certificate::parse_pem_chain(&text).unwrap().remove(0)
    }

    #[test]
    fn one_issuing_key_is_certified_by_two_roots_and_every_level_has_a_crl() {
        let directory = tempfile::tempdir().unwrap();
        let files = create_authority(directory.path(), &plan(NewKey::P256), NOW).unwrap();
        let (issuer, cross) = (read(&files.issuer_certificate), read(&files.cross_certificate));
        assert_eq!(issuer.public_key(), cross.public_key());
        assert_eq!(issuer.subject(), cross.subject());
        for (root_files, issuer, name) in
            [(&files.root, &issuer, "sote-root"), (&files.alternate_root, &cross, "sote-root-2")]
        {
            let root = read(&root_files.certificate);
            assert!(root.verify_signed_by(root.public_key()).is_ok());
            assert!(issuer.verify_signed_by(root.public_key()).is_ok());
            assert_eq!(issuer.crl_url(), Some(format!("http://127.0.0.1:14080/crl/{name}/0.crl").as_str()));
            let crl = Crl::parse(&fs::read(&root_files.crl).unwrap()).unwrap();
            assert!(crl.verify_signed_by(root.public_key()).is_ok());
            assert_eq!(crl.number(), Some(1));
        }
        assert!(read(&files.responder_certificate).verify_signed_by(issuer.public_key()).is_ok());
    }

    #[test]
    fn keys_are_for_their_owner_alone_and_certificates_for_everyone() {
        let directory = tempfile::tempdir().unwrap();
        let files = create_authority(directory.path(), &plan(NewKey::P384), NOW).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&files.issuer_key), mode(&files.root.key)), (0o600, 0o600));
        assert_eq!(mode(files.issuer_key.parent().unwrap()), 0o700);
        assert_eq!(mode(&files.issuer_certificate) & 0o600, 0o600);
    }

    #[test]
    fn nothing_is_ever_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let files = create_authority(directory.path(), &plan(NewKey::P256), NOW).unwrap();
        let before = fs::read(&files.issuer_key).unwrap();
        assert!(create_authority(directory.path(), &plan(NewKey::P256), NOW).is_err());
        assert_eq!(fs::read(&files.issuer_key).unwrap(), before);
    }
}
