//! Opens what the configuration names as CA material, and holds the parts against each other before anything is signed: a
//! key that belongs to another certificate, a responder of another issuer, an expired chain. Nothing here writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use const_oid::db::rfc5280::ID_KP_OCSP_SIGNING;

use crate::config;
use crate::issuer::{Issuer, Responder, Root};
use crate::signer::{KeyFile, KeyFileError, PoolLimits, Signer as _, SignerError, SigningPool};
use crate::time::Timestamp;
use crate::x509::{Certificate, CertificateError, Crl};

/// What is wrong with one file of CA material. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MaterialFault {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
    /// A file is no certificate.
    #[error("{}: {error}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// Parts that do not fit each other.
    #[error("{}: {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        why: String,
    },
    /// No thread for a key.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// All that is wrong with the material of one issuer or root, one fault a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct MaterialFaults(pub Vec<MaterialFault>);

impl MaterialFaults {
    /// The value; a fault is kept.
    fn kept<T>(&mut self, outcome: Result<T, MaterialFault>) -> Option<T> {
        outcome.map_err(|fault| self.0.push(fault)).ok()
    }
}

/// A key may be used for so many days less than its certificate lasts before the log begins to warn.
const WARNING_DAYS: i64 = 60;

/// Everything about an issuer that can be told without starting anything.
pub struct IssuerMaterial {
    certificate: Certificate,
    chains: Vec<Vec<Certificate>>,
    key: KeyFile,
    responder: Certificate,
    responder_key: KeyFile,
}

impl IssuerMaterial {
    /// Reads and checks the files of `issuer`.
    ///
    /// # Errors
    /// Every fault.
    pub fn open(issuer: &config::Issuer, now: Timestamp) -> Result<Self, MaterialFaults> {
        let mut faults = MaterialFaults(Vec::new());
        let chain = faults.kept(chain(&issuer.certificate, now));
        let key = faults.kept(KeyFile::open(&issuer.key).map_err(MaterialFault::from));
        let certificate = chain.as_ref().and_then(|chain| chain.first()).cloned();
        let responder = faults.kept(first(&issuer.ocsp.certificate, now));
        let responder_key = faults.kept(KeyFile::open(&issuer.ocsp.key).map_err(MaterialFault::from));
        if let Some(certificate) = &certificate {
            faults.kept(is_authority(&issuer.certificate, certificate));
        }
        for (path, certificate, key_path, key) in [
            (&issuer.certificate, &certificate, &issuer.key, &key),
            (&issuer.ocsp.certificate, &responder, &issuer.ocsp.key, &responder_key),
        ] {
            if let (Some(certificate), Some(key)) = (certificate, key) {
                faults.kept(fits(path, certificate, key_path, key));
            }
        }
        if let (Some(certificate), Some(responder)) = (&certificate, &responder) {
            faults.kept(is_delegated(issuer, certificate, responder));
        }
        let mut chains: Vec<_> = chain.into_iter().collect();
        chains.extend(
            issuer.alternates.iter().filter_map(|path| faults.kept(alternate(path, issuer, certificate.as_ref(), now))),
        );
        match (certificate, key, responder, responder_key) {
            (Some(certificate), Some(key), Some(responder), Some(responder_key)) if faults.0.is_empty() => {
                Ok(IssuerMaterial { certificate, chains, key, responder, responder_key })
            }
            _ => Err(faults),
        }
    }

    /// The issuing certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The chains to offer, the default first.
    pub fn chains(&self) -> &[Vec<Certificate>] {
        &self.chains
    }

    /// The OCSP responder's certificate.
    pub fn responder(&self) -> &Certificate {
        &self.responder
    }

    /// The issuer with its keys on threads of their own.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn started(self, issuer: &config::Issuer, work: &config::WorkSettings) -> Result<Issuer, MaterialFault> {
        let limits =
            PoolLimits { threads: work.signing_threads, waiting: work.signing_queue, time_limit: work.signing_timeout };
        let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Ok(Issuer {
            name: issuer.name.clone(),
            key: SigningPool::start(issuer.name.as_str(), Arc::new(self.key), limits)?,
            certificate: self.certificate,
            chains: self.chains,
            responder: Responder {
                certificate: self.responder,
                key: SigningPool::start(&format!("ocsp-{}", issuer.name), Arc::new(self.responder_key), limits)?,
            },
            shards: issuer.crl.shards,
            crl_interval: seconds(issuer.crl.interval),
            crl_validity: seconds(issuer.crl.validity),
            ocsp_validity: seconds(issuer.ocsp.validity),
        })
    }
}

/// Reads and checks what is published for a root.
///
/// # Errors
/// Every fault.
pub fn opened_root(root: &config::Root, now: Timestamp) -> Result<Root, MaterialFaults> {
    let mut faults = MaterialFaults(Vec::new());
    let certificate = faults.kept(first(&root.certificate, now));
    let crl = faults.kept(crl(&root.crl));
    let (Some(certificate), Some(crl)) = (certificate, crl) else { return Err(faults) };
    if certificate.verify_signed_by(certificate.public_key()).is_err() {
        faults.0.push(unfit(&root.certificate, "is no root: it does not verify with its own key"));
    }
    if crl.verify_signed_by(certificate.public_key()).is_err() || crl.issuer() != certificate.subject() {
        faults.0.push(unfit(&root.crl, format!("was not signed by root {}", root.name)));
    }
    if !faults.0.is_empty() {
        return Err(faults);
    }
    match crl.next_update() {
        Some(end) if end <= now => {
            // Relying services that check every level stop here; everything else goes on.
            tracing::error!(root = %root.name, next_update = %end, "the root's CRL has expired: sign and install the next one");
        }
        Some(end) if end.since(now) < WARNING_DAYS * 86_400 => {
            tracing::warn!(root = %root.name, next_update = %end, "the root's CRL expires soon: sign and install the next one");
        }
        Some(_) | None => {}
    }
    Ok(Root { name: root.name.clone(), certificate, crl: crl.der().to_vec() })
}

fn is_authority(path: &Path, certificate: &Certificate) -> Result<(), MaterialFault> {
    if certificate.is_authority() {
        return Ok(());
    }
    Err(unfit(path, "is no certificate of an authority (basicConstraints CA:TRUE)"))
}

// RFC 6960 §4.2.2.2: issued by the very issuer for whose certificates it speaks, and for OCSP signing.
fn is_delegated(
    issuer: &config::Issuer,
    certificate: &Certificate,
    responder: &Certificate,
) -> Result<(), MaterialFault> {
    let delegated = responder.verify_signed_by(certificate.public_key()).is_ok()
        && responder.issuer() == certificate.subject()
        && responder.extended_key_usage().contains(&ID_KP_OCSP_SIGNING);
    if delegated {
        return Ok(());
    }
    let why = format!("is no OCSP responder's certificate that issuer {} has signed", issuer.name);
    Err(unfit(&issuer.ocsp.certificate, why))
}

/// Another chain of the issuer, whose certificate is `certificate` if that could be read.
fn alternate(
    path: &Path,
    issuer: &config::Issuer,
    certificate: Option<&Certificate>,
    now: Timestamp,
) -> Result<Vec<Certificate>, MaterialFault> {
    let alternate = chain(path, now)?;
    let same = |found: &Certificate| {
        certificate.is_none_or(|own| own.public_key() == found.public_key() && own.subject() == found.subject())
    };
    if alternate.first().is_some_and(same) {
        return Ok(alternate);
    }
    Err(unfit(path, format!("does not begin with another certificate of {}'s key and subject", issuer.name)))
}

/// The CRL in a file.
///
/// # Errors
/// That it cannot be read, or is no CRL.
pub fn crl(path: &Path) -> Result<Crl, MaterialFault> {
    let der = fs::read(path).map_err(|error| MaterialFault::Io { path: path.to_owned(), error })?;
    Crl::parse(&der).map_err(|error| unfit(path, format!("is no CRL in DER: {error}")))
}

/// The certificates in a PEM file, at least one.
///
/// # Errors
/// That it cannot be read, or holds something else.
pub fn certificates(path: &Path) -> Result<Vec<Certificate>, MaterialFault> {
    let text = fs::read_to_string(path).map_err(|error| MaterialFault::Io { path: path.to_owned(), error })?;
    Certificate::parse_pem_chain(&text).map_err(|error| MaterialFault::Certificate { path: path.to_owned(), error })
}

/// The fault of a file that does not fit.
pub fn unfit(path: &Path, why: impl Into<String>) -> MaterialFault {
    MaterialFault::Unfit { path: path.to_owned(), why: why.into() }
}

fn first(path: &Path, now: Timestamp) -> Result<Certificate, MaterialFault> {
    // A chain is never empty.
    chain(path, now).map(|mut chain| chain.swap_remove(0))
}

/// The certificates of a PEM file, each signed by the next, all of them valid now.
fn chain(path: &Path, now: Timestamp) -> Result<Vec<Certificate>, MaterialFault> {
    let mut chain = certificates(path)?;
    // Clients have the root, or they would not trust it; sent by a server it proves nothing.
    while chain.len() > 1 && chain.last().is_some_and(|last| last.subject() == last.issuer()) {
        chain.pop();
    }
    for (number, certificate) in chain.iter().enumerate() {
        let subject = certificate.subject();
        if certificate.not_after() <= now || now < certificate.not_before() {
            let (from, to) = (certificate.not_before(), certificate.not_after());
            return Err(unfit(path, format!("the certificate of {subject} is not valid now but from {from} to {to}")));
        }
        if let Some(above) = chain.get(number + 1)
            && certificate.verify_signed_by(above.public_key()).is_err()
        {
            return Err(unfit(path, format!("the certificate of {subject} was not signed by the one that follows it")));
        }
        if certificate.not_after().since(now) < WARNING_DAYS * 86_400 {
            let not_after = certificate.not_after();
            tracing::warn!(file = %path.display(), %subject, %not_after, "a CA certificate expires soon");
        }
    }
    Ok(chain)
}

fn fits(path: &Path, certificate: &Certificate, key_path: &Path, key: &KeyFile) -> Result<(), MaterialFault> {
    if key.public_key() == certificate.public_key() {
        return Ok(());
    }
    Err(unfit(path, format!("does not belong to the key in {}", key_path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::hierarchy::{AuthorityFiles, AuthorityPlan, create_authority};
    use crate::signer::NewKey;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    const YEAR: i64 = 365 * 86_400;

    fn made(directory: &Path) -> (config::Issuer, config::Root, AuthorityFiles) {
        let plan = AuthorityPlan {
            key: NewKey::P256,
            organisation: "Testi Oy".into(),
            common_name: "Sote test".into(),
            root: "root".parse().unwrap(),
            alternate_root: "root-2".parse().unwrap(),
            issuer: "sote-1".parse().unwrap(),
            public_url: "http://127.0.0.1".into(),
            root_crl_days: 365,
        };
        let files = create_authority(directory, &plan, NOW).unwrap();
        let issuer = config::Issuer {
            name: plan.issuer,
            certificate: files.issuer_certificate.clone(),
            key: files.issuer_key.clone(),
            alternates: vec![files.cross_certificate.clone()],
            ocsp: config::OcspResponder {
                certificate: files.responder_certificate.clone(),
                key: files.responder_key.clone(),
                validity: std::time::Duration::from_secs(3600),
            },
            crl: config::CrlSettings::default(),
        };
        let root =
            config::Root { name: plan.root, certificate: files.root.certificate.clone(), crl: files.root.crl.clone() };
        (issuer, root, files)
    }

    fn fault(issuer: &config::Issuer, now: Timestamp) -> String {
        IssuerMaterial::open(issuer, now).err().expect("a fault").to_string()
    }

    #[test]
    fn material_that_fits_is_opened_with_both_chains_and_without_a_root() {
        let directory = tempfile::tempdir().unwrap();
        let (mut issuer, root, files) = made(directory.path());
        // People append the root to the chain.
        let chain = [&files.issuer_certificate, &files.root.certificate].map(|path| fs::read_to_string(path).unwrap());
        issuer.certificate = directory.path().join("chain.pem");
        fs::write(&issuer.certificate, chain.concat()).unwrap();
        let material = IssuerMaterial::open(&issuer, NOW).unwrap();
        assert_eq!(material.chains().iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        assert!(opened_root(&root, NOW).is_ok());
    }

    #[test]
    fn a_key_of_another_certificate_is_told_with_both_files() {
        let directory = tempfile::tempdir().unwrap();
        let (issuer, _, files) = made(directory.path());
        let told = fault(&config::Issuer { key: files.responder_key.clone(), ..issuer }, NOW);
        assert!(told.contains("sote-1.pem") && told.contains("sote-1-ocsp.key"), "{told}");
    }

    #[test]
    fn every_fault_of_an_issuer_is_told_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let (issuer, root, files) = made(directory.path());
        let missing = directory.path().join("missing");
        let mut spoilt = config::Issuer { key: missing.clone(), ..issuer };
        spoilt.alternates = vec![files.root.certificate.clone(), missing.clone()];
        spoilt.ocsp.certificate = files.root.certificate.clone();
        let told = fault(&spoilt, NOW);
        assert_eq!(told.lines().count(), 5, "{told}");
        for part in ["sote-1-ocsp.key", "is no OCSP responder's", "does not begin with another"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!(told.matches("missing: ").count(), 2, "{told}");
        let none = config::Root { certificate: missing.clone(), crl: missing, ..root };
        assert_eq!(opened_root(&none, NOW).err().unwrap().0.len(), 2);
    }

    #[test]
    fn certificates_that_are_not_what_they_should_be_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let (issuer, root, files) = made(directory.path());
        let not_an_authority = config::Issuer {
            certificate: files.responder_certificate.clone(),
            key: files.responder_key.clone(),
            ..issuer.clone()
        };
        assert!(fault(&not_an_authority, NOW).contains("CA:TRUE"));
        let foreign_chain = config::Issuer { alternates: vec![files.root.certificate.clone()], ..issuer.clone() };
        assert!(fault(&foreign_chain, NOW).contains("root.pem"));
        let mut no_responder = issuer.clone();
        (no_responder.ocsp.certificate, no_responder.ocsp.key) =
            (files.issuer_certificate.clone(), files.issuer_key.clone());
        assert!(fault(&no_responder, NOW).contains("is no OCSP responder's certificate"));
        assert!(fault(&issuer, NOW.plus(4 * YEAR)).contains("is not valid now"), "the responder's has ended");
        let other_crl = config::Root { crl: files.alternate_root.crl.clone(), ..root.clone() };
        assert!(opened_root(&other_crl, NOW).err().unwrap().to_string().contains("was not signed by root root"));
        let no_root = config::Root { certificate: files.issuer_certificate.clone(), ..root };
        assert!(opened_root(&no_root, NOW).is_err());
    }
}
