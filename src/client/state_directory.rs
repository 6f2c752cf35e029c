//! What `sote-client` keeps between its runs, in one directory that only its owner may read:
//!
//! ```text
//! account.json            the server, the account's URL
//! account-key.pem         the account's private key
//! account-key-next.pem    the one that it is about to get, if a change of keys was interrupted
//! tls-root.pem            whom to trust for the server's own HTTPS certificate
//! certificates/NAME/certificate.json   names, profile, kind of key
//! certificates/NAME/SERIAL/{fullchain,certificate,chain,key}.pem
//! certificates/NAME/current -> SERIAL
//! verification.json       the authorization by which an organisation is being proved
//! organisations/NAME/     all of this again, for one of several organisations
//! ```

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::certificate::CertificateChain;
use super::certificate_key::{CertificateKey, KeyKind};
use super::error::{Error, Result};
use crate::acme::jws_signing::AccountKey;

const ACCOUNT_KEY: &str = "account-key.pem";
const NEXT_ACCOUNT_KEY: &str = "account-key-next.pem";

/// The directory.
#[derive(Debug, Clone)]
pub struct StateDirectory(PathBuf);

/// Which account of which server the directory belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAccount {
    /// The directory URL of the server.
    pub directory: String,
    /// The account's URL.
    pub account: String,
}

/// What a certificate was ordered as, so that it can be renewed alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCertificate {
    /// The dns names.
    pub names: Vec<String>,
    /// The unit that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The profile that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The kind of key.
    pub key: KeyKind,
}

/// A proof of an organisation that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownVerification {
    /// The organisation's identifier.
    pub organisation: String,
    /// The authorization's URL.
    pub authorization: String,
}

/// Below it one directory per organisation that is kept apart.
const ORGANISATIONS: &str = "organisations";
const VERIFICATION: &str = "verification.json";

impl StateDirectory {
    /// The directory at `path`, made if it is not there.
    ///
    /// # Errors
    /// `Local` if it cannot be made, or others could read what is kept in it.
    pub fn open(path: &Path) -> Result<Self> {
        let directory = StateDirectory(path.to_owned());
        directory.make(path)?;
        let facts = fs::metadata(path).map_err(|error| failed(path, &error))?;
        if facts.mode() & 0o077 != 0 {
            let why = format!(
                "mode {:04o} lets others in, and keys are kept here; run `chmod 0700` on it",
                facts.mode() & 0o7777
            );
            return Err(failed(path, &why));
        }
        Ok(directory)
    }

    /// The directory of one of several organisations below the directory at `path`, made if it is not there.
    ///
    /// # Errors
    /// Those of [`StateDirectory::open`], or if `name` cannot name a directory.
    pub fn named(path: &Path, name: &str) -> Result<Self> {
        if !is_plain(name) {
            return Err(Error::local(format!("\"{name}\" cannot name an organisation: {PLAIN}")));
        }
        StateDirectory::open(path)?;
        StateDirectory::open(&path.join(ORGANISATIONS))?;
        StateDirectory::open(&path.join(ORGANISATIONS).join(name))
    }

    /// The names of the organisations below the directory at `path`, in alphabetical order.
    ///
    /// # Errors
    /// `Local` if the directory is unreadable.
    pub fn names(path: &Path) -> Result<Vec<String>> {
        entries(&path.join(ORGANISATIONS))
    }

    /// The proof of an organisation that was begun, if there is one.
    ///
    /// # Errors
    /// `Local` if its file is unreadable.
    pub fn verification(&self) -> Result<Option<KnownVerification>> {
        self.read_json(VERIFICATION)
    }

    /// Remembers a proof that was begun.
    ///
    /// # Errors
    /// `Local` if it cannot be written.
    pub fn remember_verification(&self, verification: &KnownVerification) -> Result<()> {
        self.write_json(VERIFICATION, verification)
    }

    /// Forgets the proof: it has ended.
    ///
    /// # Errors
    /// `Local` if its file cannot be removed.
    pub fn drop_verification(&self) -> Result<()> {
        let path = self.0.join(VERIFICATION);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The account, if one was registered.
    ///
    /// # Errors
    /// `Local` if its file is unreadable.
    pub fn account(&self) -> Result<Option<KnownAccount>> {
        self.read_json("account.json")
    }

    /// Remembers the account.
    ///
    /// # Errors
    /// `Local` if it cannot be written.
    pub fn remember_account(&self, account: &KnownAccount) -> Result<()> {
        self.write_json("account.json", account)
    }

    /// The account's key, if there is one.
    ///
    /// # Errors
    /// `Local` if its file is unreadable or damaged.
    pub fn account_key(&self) -> Result<Option<AccountKey>> {
        self.read_key(ACCOUNT_KEY)
    }

    fn read_key(&self, file: &str) -> Result<Option<AccountKey>> {
        let Some(pem) = self.read(file)? else { return Ok(None) };
        AccountKey::from_pkcs8_pem(&pem).map(Some).map_err(|error| failed(&self.0.join(file), &error))
    }

    /// Keeps the account's key.
    ///
    /// # Errors
    /// `Local` if it cannot be written.
    pub fn remember_account_key(&self, key: &AccountKey) -> Result<()> {
        self.write(ACCOUNT_KEY, key.to_pkcs8_pem().as_bytes())
    }

    /// Keeps a key that the account is about to get, beside the present one.
    ///
    /// # Errors
    /// `Local` if it cannot be written.
    pub fn remember_next_account_key(&self, key: &AccountKey) -> Result<()> {
        self.write(NEXT_ACCOUNT_KEY, key.to_pkcs8_pem().as_bytes())
    }

    /// Makes that key the account's.
    ///
    /// # Errors
    /// `Local` if it cannot be renamed.
    pub fn take_next_account_key(&self) -> Result<()> {
        let path = self.0.join(ACCOUNT_KEY);
        fs::rename(self.0.join(NEXT_ACCOUNT_KEY), &path).map_err(|error| failed(&path, &error))
    }

    /// The key that the account is about to get, if a change of keys was interrupted.
    ///
    /// # Errors
    /// `Local` if its file is unreadable or damaged.
    pub fn next_account_key(&self) -> Result<Option<AccountKey>> {
        self.read_key(NEXT_ACCOUNT_KEY)
    }

    /// Forgets that key: the change did not happen.
    ///
    /// # Errors
    /// `Local` if its file cannot be removed.
    pub fn drop_next_account_key(&self) -> Result<()> {
        let path = self.0.join(NEXT_ACCOUNT_KEY);
        fs::remove_file(&path).map_err(|error| failed(&path, &error))
    }

    /// The PEM of the roots that the server's HTTPS certificate must lead to, if some were given.
    ///
    /// # Errors
    /// `Local` if the file is unreadable.
    pub fn tls_root(&self) -> Result<Option<String>> {
        self.read("tls-root.pem")
    }

    /// Keeps the PEM of those roots.
    ///
    /// # Errors
    /// `Local` if it cannot be written.
    pub fn remember_tls_root(&self, pem: &str) -> Result<()> {
        self.write("tls-root.pem", pem.as_bytes())
    }

    /// The names under which certificates are kept, in alphabetical order.
    ///
    /// # Errors
    /// `Local` if the directory is unreadable.
    pub fn certificate_names(&self) -> Result<Vec<String>> {
        entries(&self.0.join("certificates"))
    }

    /// What the certificate kept as `name` was ordered as.
    ///
    /// # Errors
    /// `Local` if there is none.
    pub fn known_certificate(&self, name: &str) -> Result<KnownCertificate> {
        let known = self.read_json(&format!("{}/certificate.json", certificate_path(name)?))?;
        known.ok_or_else(|| Error::local(format!("there is no certificate \"{name}\"; see: sote-client list")))
    }

    /// The chain of the certificate kept as `name`.
    ///
    /// # Errors
    /// `Local` if there is none.
    pub fn chain(&self, name: &str) -> Result<CertificateChain> {
        CertificateChain::from_pem(&self.current(name, "fullchain.pem")?)
    }

    /// The key of the certificate kept as `name`.
    ///
    /// # Errors
    /// `Local` if there is none.
    pub fn certificate_key(&self, name: &str) -> Result<CertificateKey> {
        CertificateKey::from_pkcs8_pem(&self.current(name, "key.pem")?)
    }

    fn current(&self, name: &str, file: &str) -> Result<String> {
        let path = format!("{}/current/{file}", certificate_path(name)?);
        self.read(&path)?.ok_or_else(|| Error::local(format!("there is no certificate \"{name}\": {path} is missing")))
    }

    /// Keeps a certificate as `name`: the files first, then the link that makes them current, so that a reader never sees a
    /// key beside another key's certificate. Gives back the directory that the link stands for.
    ///
    /// # Errors
    /// `Local` if something cannot be written.
    pub fn keep_certificate(
        &self,
        name: &str,
        known: &KnownCertificate,
        chain: &CertificateChain,
        key: &CertificateKey,
    ) -> Result<PathBuf> {
        let base = certificate_path(name)?;
        let serial = chain.serial_number()?.to_string();
        let of = |file: &str| format!("{base}/{serial}/{file}");
        let (leaf, rest) = chain.pem_parts();
        self.write(&of("key.pem"), key.to_pkcs8_pem().as_bytes())?;
        self.write(&of("certificate.pem"), leaf.as_bytes())?;
        self.write(&of("chain.pem"), rest.as_bytes())?;
        self.write(&of("fullchain.pem"), chain.pem().as_bytes())?;
        self.write_json(&format!("{base}/certificate.json"), known)?;
        let (link, fresh) = (self.0.join(&base).join("current"), self.0.join(&base).join("current.new"));
        let relinked = fs::remove_file(&fresh)
            .or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
            .and_then(|()| std::os::unix::fs::symlink(&serial, &fresh))
            .and_then(|()| fs::rename(&fresh, &link));
        relinked.map_err(|error| failed(&link, &error))?;
        Ok(link)
    }

    fn read(&self, file: &str) -> Result<Option<String>> {
        let path = self.0.join(file);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    fn read_json<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>> {
        let Some(text) = self.read(file)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| failed(&self.0.join(file), &error))
    }

    fn write_json(&self, file: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|error| failed(&self.0.join(file), &error))?;
        self.write(file, text.as_bytes())
    }

    /// Writes a file whole or not at all; only the owner may read it.
    fn write(&self, file: &str, content: &[u8]) -> Result<()> {
        let path = self.0.join(file);
        let fresh = path.with_extension("new");
        if let Some(parent) = path.parent() {
            self.make(parent)?;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options
            .open(&fresh)
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&fresh, &path));
        written.map_err(|error| failed(&path, &error))
    }

    fn make(&self, path: &Path) -> Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(path, &error))
    }
}

/// The names of what is in a directory, in alphabetical order; none if it is not there.
fn entries(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(path, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(path, &error))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

const PLAIN: &str = "use letters, digits, -, _ and .";

/// Whether a name is one plain path component.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// The directory of a certificate's name, which must be one plain path component.
fn certificate_path(name: &str) -> Result<String> {
    match is_plain(name) {
        true => Ok(format!("certificates/{name}")),
        false => Err(Error::local(format!("\"{name}\" cannot name a certificate: {PLAIN}"))),
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::local(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use crate::acme::jws_algorithm::JwsAlgorithm;

    fn chain_and_key() -> (CertificateChain, CertificateKey) {
        let signer = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&signer).unwrap();
        let chain = CertificateChain::from_pem(&certificate.pem()).unwrap();
        (chain, CertificateKey::generate(KeyKind::EcP256).unwrap())
    }

    #[test]
    fn a_certificate_becomes_current_with_its_key_and_only_the_owner_may_read() {
        let place = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(&place.path().join("state")).unwrap();
        let known = KnownCertificate { names: vec!["a.test".into()], unit: None, profile: None, key: KeyKind::EcP256 };
        for _ in 0..2 {
            let (chain, key) = chain_and_key();
            let current = state.keep_certificate("a.test", &known, &chain, &key).unwrap();
            assert_eq!(state.certificate_key("a.test").unwrap().public_key(), key.public_key());
            assert_eq!(state.chain("a.test").unwrap().leaf(), chain.leaf());
            let mode = fs::metadata(current.join("key.pem")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(state.certificate_names().unwrap(), ["a.test"]);
        assert_eq!(state.known_certificate("a.test").unwrap(), known);
    }

    #[test]
    fn a_name_stays_within_the_directory() {
        for bad in ["", "..", "../x", "a/b", ".hidden", "a b"] {
            assert!(certificate_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_account_and_its_key_read_back() {
        let place = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(&place.path().join("state")).unwrap();
        assert!(state.account().unwrap().is_none() && state.account_key().unwrap().is_none());
        let account = KnownAccount { directory: "https://ca/directory".into(), account: "https://ca/a/1".into() };
        let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
        state.remember_account(&account).unwrap();
        state.remember_account_key(&key).unwrap();
        assert_eq!(state.account().unwrap(), Some(account));
        assert_eq!(state.account_key().unwrap().unwrap().jwk(), key.jwk());
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        StateDirectory::open(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let refusal = StateDirectory::open(&path).unwrap_err().to_string();
        assert!(refusal.contains("chmod 0700"), "{refusal}");
    }

    #[test]
    fn organisations_are_kept_apart_by_name() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        assert_eq!(StateDirectory::names(&path).unwrap(), Vec::<String>::new());
        let account = |name: &str| KnownAccount { directory: "d".into(), account: format!("https://ca/a/{name}") };
        for name in ["kela", "eks"] {
            StateDirectory::named(&path, name).unwrap().remember_account(&account(name)).unwrap();
        }
        assert_eq!(StateDirectory::names(&path).unwrap(), ["eks", "kela"]);
        for name in ["kela", "eks"] {
            assert_eq!(StateDirectory::named(&path, name).unwrap().account().unwrap(), Some(account(name)));
        }
        assert_eq!(StateDirectory::open(&path).unwrap().account().unwrap(), None);
        assert!(StateDirectory::named(&path, "../x").is_err());
    }

    #[test]
    fn a_proof_that_was_begun_is_known_until_it_has_ended() {
        let place = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(&place.path().join("state")).unwrap();
        state.drop_verification().unwrap();
        let begun =
            KnownVerification { organisation: "NTRFI-0245437-2".into(), authorization: "https://ca/z/1".into() };
        state.remember_verification(&begun).unwrap();
        assert_eq!(state.verification().unwrap(), Some(begun));
        state.drop_verification().unwrap();
        assert_eq!(state.verification().unwrap(), None);
    }
}
