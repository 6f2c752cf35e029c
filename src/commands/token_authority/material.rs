//! Makes a token authority: its root, the certificate that signs tokens, HTTPS, an authority of client certificates with one
//! client, the configuration and the list. Nothing that exists is written over.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};

use super::accounts::{AccountEntry, Accounts, EntitledOrganisation};
use super::{Settings, TokenAuthorityError};
use crate::acme::authority_token::LocalName;
use crate::acme::identifier::Identifier;
use crate::commands::hierarchy::{
    HierarchyError, Issuer, Subject, bare, make_directories, server_usage, signed, write_certificate, write_new,
};
use crate::names::OrganisationIdentifier;
use crate::signer::{KeyFile, NewKey, Signer as _};
use crate::time::{Clock as _, SystemClock, Timestamp};
use crate::x509::{
    AlternativeName, Certificate, CertificateContent, Constraints, DistinguishedName, KeyUsage, NameAttribute,
};

/// The extended key usage of certificates that sign authority tokens: id-kp-jwt (RFC 9509 §3), whose holders sign JSON Web
/// Tokens.
pub const TOKEN_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.37");

/// The organisational unit in the subject of a trial authority's root: by it a certificate authority in operation knows that
/// it must not believe its tokens.
pub const TRIAL_MARK: &str = "Token authority on trial";

/// The id of the account that is made.
pub const ACCOUNT: &str = "example";

const ROOT_YEARS: i32 = 10;
const SIGNING_YEARS: i32 = 2;
const TLS_DAYS: i64 = 820;
const DAY: i64 = 86_400;

/// What [`create`] makes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What tokens name as their issuer.
    pub issuer: String,
    /// The directories that tokens are for.
    pub audiences: Vec<String>,
    /// Where tokens are asked for.
    pub listen: SocketAddr,
    /// Where the CRL is served.
    pub public_listen: SocketAddr,
    /// Names and addresses of the HTTPS certificate.
    pub hosts: Vec<String>,
    /// The organisation that the client is entitled to.
    pub organisation: OrganisationIdentifier,
    /// Whether the root is marked as one on trial.
    pub on_trial: bool,
}

/// The files of a token authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaterialFiles {
    /// The configuration.
    pub config: PathBuf,
    /// The list.
    pub accounts: PathBuf,
    /// The root's certificate: the anchor of certificate authorities.
    pub root: PathBuf,
    /// The root's key.
    pub root_key: PathBuf,
    /// The certificate that signs tokens.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The root of the HTTPS certificate.
    pub tls_root: PathBuf,
    /// The HTTPS certificate.
    pub tls_certificate: PathBuf,
    /// Its key.
    pub tls_key: PathBuf,
    /// The root of client certificates.
    pub client_root: PathBuf,
    /// The client's certificate.
    pub client: PathBuf,
    /// The client's key.
    pub client_key: PathBuf,
}

impl MaterialFiles {
    /// Where the files are below `directory`.
    pub fn below(directory: &Path) -> Self {
        let certificate = |name: &str| directory.join("certificates").join(format!("{name}.pem"));
        let key = |name: &str| directory.join("keys").join(format!("{name}.key"));
        MaterialFiles {
            config: directory.join("token-authority.toml"),
            accounts: directory.join("accounts.toml"),
            root: certificate("authority-root"),
            root_key: key("authority-root"),
            certificate: certificate("token-signing"),
            key: key("token-signing"),
            tls_root: certificate("tls-root"),
            tls_certificate: certificate("tls"),
            tls_key: key("tls"),
            client_root: certificate("client-root"),
            client: certificate("client"),
            client_key: key("client"),
        }
    }
}

/// Makes everything below `directory`.
///
/// # Errors
/// The first thing that failed.
pub fn create(directory: &Path, plan: &Plan, now: Timestamp) -> Result<MaterialFiles, TokenAuthorityError> {
    let files = MaterialFiles::below(directory);
    fs::create_dir_all(directory).map_err(TokenAuthorityError::at(directory))?;
    make_directories(directory)?;
    let root = Root::create("Token authority root", plan.on_trial, &files.root, &files.root_key, now)?;
    root.certify("Token authority", &files.certificate, &files.key, now, |content| CertificateContent {
        extended_key_usage: vec![TOKEN_SIGNING],
        not_after: now.plus_years(SIGNING_YEARS),
        ..content
    })?;
    // Whoever connects looks at the machine's clock, whatever the authority's stands at.
    let machine = SystemClock.now();
    let tls_root_key = directory.join("keys/tls-root.key");
    let tls = Root::create("Token authority HTTPS root", false, &files.tls_root, &tls_root_key, machine)?;
    tls.certify("Token authority HTTPS", &files.tls_certificate, &files.tls_key, machine, |content| {
        CertificateContent {
            key_usage: server_usage(&content.public_key),
            extended_key_usage: vec![ID_KP_SERVER_AUTH],
            alternative_names: plan.hosts.iter().map(|host| alternative_name(host)).collect(),
            ..content
        }
    })?;
    let client_root_key = directory.join("keys/client-root.key");
    let clients = Root::create("Token authority clients", false, &files.client_root, &client_root_key, machine)?;
    let client = clients.certify("Example client", &files.client, &files.client_key, machine, |content| {
        CertificateContent { extended_key_usage: vec![ID_KP_CLIENT_AUTH], ..content }
    })?;
    write_toml(&files.accounts, &accounts(plan, &client))?;
    write_toml(&files.config, &settings(plan))?;
    Ok(files)
}

fn alternative_name(host: &str) -> AlternativeName {
    match (host.parse(), host.parse()) {
        (Ok(address), _) => AlternativeName::Identifier(Identifier::Ip(address)),
        (_, Ok(name)) => AlternativeName::Identifier(Identifier::Dns(name)),
        // A name of one label, such as localhost.
        (Err(_), Err(_)) => AlternativeName::MalformedDns(host.to_owned()),
    }
}

fn accounts(plan: &Plan, client: &Certificate) -> Accounts {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, client.der());
    Accounts {
        accounts: vec![AccountEntry {
            id: ACCOUNT.to_owned(),
            certificates: vec![hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()],
            subject: None,
            organisations: vec![EntitledOrganisation {
                identifier: plan.organisation.clone(),
                name: LocalName::default(),
                units: Vec::new(),
                until: None,
            }],
        }],
    }
}

/// The configuration, with paths relative to its directory.
fn settings(plan: &Plan) -> Settings {
    let files = MaterialFiles::below(Path::new(""));
    Settings {
        listen: plan.listen,
        public_listen: plan.public_listen,
        issuer: plan.issuer.clone(),
        audiences: plan.audiences.clone(),
        lifetime: std::time::Duration::from_secs(3_600),
        assertion: std::time::Duration::from_secs(398 * 86_400),
        accounts: files.accounts,
        certificate: files.certificate,
        key: files.key,
        root: files.root,
        root_key: files.root_key,
        revoked: Vec::new(),
        tls_certificate: files.tls_certificate,
        tls_key: files.tls_key,
        client_roots: files.client_root,
    }
}

fn write_toml(path: &Path, value: &impl serde::Serialize) -> Result<(), TokenAuthorityError> {
    let unfit = |why: String| TokenAuthorityError::Unfit { path: path.to_owned(), why };
    let text = toml::to_string(value).map_err(|error| unfit(error.to_string()))?;
    Ok(write_new(path, text.as_bytes())?)
}

/// A root that was just made.
struct Root {
    name: DistinguishedName,
    key: KeyFile,
}

impl Root {
    fn create(
        name: &str,
        on_trial: bool,
        certificate: &Path,
        key: &Path,
        now: Timestamp,
    ) -> Result<Self, HierarchyError> {
        let unit = on_trial.then_some((NameAttribute::OrganisationalUnit, TRIAL_MARK));
        let parts = [(NameAttribute::Country, "FI")].into_iter().chain(unit);
        let root = Root {
            name: DistinguishedName::new(parts.chain([(NameAttribute::CommonName, name)]))?,
            key: KeyFile::create(key, NewKey::P256)?,
        };
        let subject = Subject { name: &root.name, key: root.key.public_key() };
        let content = CertificateContent {
            constraints: Constraints::Authority { path_length: Some(0) },
            key_usage: KeyUsage::KeyCertSign | KeyUsage::CRLSign,
            ..bare(root.as_issuer(), subject, now, now.plus_years(ROOT_YEARS))
        };
        write_certificate(certificate, &signed(&content, &root.key)?)?;
        Ok(root)
    }

    fn as_issuer(&self) -> Issuer<'_> {
        Issuer { name: &self.name, key: &self.key }
    }

    /// A certificate of a new key, completed by `complete`.
    fn certify(
        &self,
        name: &str,
        certificate: &Path,
        key: &Path,
        now: Timestamp,
        complete: impl FnOnce(CertificateContent) -> CertificateContent,
    ) -> Result<Certificate, HierarchyError> {
        let key = KeyFile::create(key, NewKey::P256)?;
        let name = DistinguishedName::new([(NameAttribute::Country, "FI"), (NameAttribute::CommonName, name)])?;
        let subject = Subject { name: &name, key: key.public_key() };
        let content = CertificateContent {
            key_usage: KeyUsage::DigitalSignature.into(),
            ..bare(self.as_issuer(), subject, now, now.plus(TLS_DAYS * DAY))
        };
        let made = signed(&complete(content), &self.key)?;
        write_certificate(certificate, &made)?;
        Ok(made)
    }
}
