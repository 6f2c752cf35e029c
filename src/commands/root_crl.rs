//! `sote-acme root-crl`: signs a root's next CRL, on the machine where the root's key is kept. Carry the file to the server and
//! send it SIGHUP. Everything that the last list revoked stays on it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::hierarchy::{HierarchyError, RootCrlContent, root_crl};
use super::server::issuers::{MaterialFault, certificates, crl, unfit};
use crate::names::RevocationReason;
use crate::signer::{KeyFile, Signer as _};
use crate::store::write_durably;
use crate::time::{Clock as _, SystemClock, Timestamp};
use crate::x509::{Certificate, RevokedEntry};

/// Signs a root's next CRL, where the root's key is kept.
#[derive(Debug, Args)]
pub struct RootCrlCommand {
    /// The root's certificate, PEM.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The root's key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The root's last CRL, DER; the new one takes its place.
    #[arg(long, value_name = "FILE")]
    crl: PathBuf,
    /// For how many days the new list is valid.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
    /// A certificate that the root signed and that is revoked from now on, PEM; may be repeated. There is no way back.
    #[arg(long, value_name = "FILE")]
    revoke: Vec<PathBuf>,
    /// Why: the issuer's key was compromised. Without it the reason is cessation of operation.
    #[arg(long, requires = "revoke")]
    compromised: bool,
}

/// Why there is no new list. The old one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RootCrlError {
    /// A file, or files that do not belong together.
    #[error(transparent)]
    Material(#[from] MaterialFault),
    /// The signature.
    #[error(transparent)]
    Signing(#[from] HierarchyError),
}

/// Signs the list and puts it in place of the old one. Returns a sentence about it.
///
/// # Errors
/// A file that cannot be read, or that does not belong to the others.
pub fn run(command: &RootCrlCommand) -> Result<String, RootCrlError> {
    renewed(command, SystemClock.now())
}

fn renewed(command: &RootCrlCommand, now: Timestamp) -> Result<String, RootCrlError> {
    let root = certificate(&command.certificate)?;
    let key = KeyFile::open(&command.key).map_err(MaterialFault::from)?;
    if key.public_key() != root.public_key() {
        return Err(unfit(&command.key, "is not the key of the root's certificate").into());
    }
    let last = crl(&command.crl)?;
    if last.verify_signed_by(root.public_key()).is_err() {
        return Err(unfit(&command.crl, "was not signed by this root").into());
    }
    let mut entries = last.entries().to_vec();
    for path in &command.revoke {
        let revoked = certificate(path)?;
        if revoked.verify_signed_by(root.public_key()).is_err() {
            return Err(unfit(path, "was not signed by this root").into());
        }
        let reason = match command.compromised {
            true => RevocationReason::CaCompromise,
            false => RevocationReason::CessationOfOperation,
        };
        if last.entry(revoked.serial()).is_none() {
            let serial = revoked.serial().clone();
            entries.push(RevokedEntry { serial, date: now, reason: Some(reason), invalidity_date: None });
        }
    }
    let number = last.number().unwrap_or(0) + 1;
    let list = RootCrlContent { number, days: command.days, entries };
    replace(&command.crl, &root_crl(&root, &key, &list, now)?)?;
    let (revoked, until) = (list.entries.len(), now.plus(command.days * 86_400));
    Ok(format!("{}: CRL number {number} with {revoked} entries, valid until {until}", command.crl.display()))
}

fn certificate(path: &Path) -> Result<Certificate, MaterialFault> {
    // A chain is never empty.
    certificates(path).map(|mut chain| chain.swap_remove(0))
}

/// Puts `der` in place of the file at `path`, which everyone may read.
fn replace(path: &Path, der: &[u8]) -> Result<(), MaterialFault> {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| unfit(path, "is no file's name"))?;
    let written =
        write_durably(directory, name, der).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o644)));
    written.map_err(|error| MaterialFault::Io { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::hierarchy::{AuthorityFiles, AuthorityPlan, create_authority};
    use crate::signer::NewKey;
    use crate::x509::Crl;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn made(directory: &Path) -> AuthorityFiles {
        let plan = AuthorityPlan {
            key: NewKey::P256,
            organisation: "Testi Oy".into(),
            common_name: "Sote test".into(),
            root: "root".parse().unwrap(),
            alternate_root: "root-2".parse().unwrap(),
            issuer: "sote-1".parse().unwrap(),
            public_url: "http://127.0.0.1".into(),
            root_crl_days: 30,
        };
        create_authority(directory, &plan, NOW).unwrap()
    }

    fn command(files: &AuthorityFiles, revoke: &[&PathBuf]) -> RootCrlCommand {
        RootCrlCommand {
            certificate: files.root.certificate.clone(),
            key: files.root.key.clone(),
            crl: files.root.crl.clone(),
            days: 10,
            revoke: revoke.iter().map(|path| (*path).clone()).collect(),
            compromised: true,
        }
    }

    fn list(files: &AuthorityFiles) -> Crl {
        Crl::parse(&fs::read(&files.root.crl).unwrap()).unwrap()
    }

    #[test]
    fn the_next_list_has_the_next_number_and_keeps_every_entry() {
        let directory = tempfile::tempdir().unwrap();
        let files = made(directory.path());
        renewed(&command(&files, &[&files.issuer_certificate]), NOW.plus(60)).unwrap();
        renewed(&command(&files, &[]), NOW.plus(120)).unwrap();
        let list = list(&files);
        assert_eq!((list.number(), list.entries().len()), (Some(3), 1));
        assert_eq!(list.entries()[0].date, NOW.plus(60));
        assert_eq!(list.entries()[0].reason, Some(RevocationReason::CaCompromise));
        assert_eq!(list.next_update(), Some(NOW.plus(120 + 10 * 86_400)));
    }

    #[test]
    fn what_does_not_belong_together_is_refused_and_the_old_list_stays() {
        let directory = tempfile::tempdir().unwrap();
        let files = made(directory.path());
        let foreign = RootCrlCommand { key: files.issuer_key.clone(), ..command(&files, &[]) };
        assert!(renewed(&foreign, NOW).is_err());
        let foreign = RootCrlCommand { crl: files.alternate_root.crl.clone(), ..command(&files, &[]) };
        assert!(renewed(&foreign, NOW).is_err());
        assert!(renewed(&command(&files, &[&files.cross_certificate]), NOW).is_err(), "signed by the other root");
        assert_eq!(list(&files).number(), Some(1));
    }
}
