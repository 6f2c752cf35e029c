//! Keys, certificates and the small file that tells what was made in a trial server's directory.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::hierarchy::{AuthorityFiles, AuthorityPlan, TlsFiles, create_authority, create_tls};
use super::super::server::MASTER_KEY_OCTETS;
use super::{TrialError, at};
use crate::acme::identifier::Identifier;
use crate::signer::NewKey;
use crate::store::write_durably;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::x509::AlternativeName;

/// What was made in a directory; written when all of it stands, and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    /// Where the public listener listened: its URL stands in the certificates.
    public_listen: SocketAddr,
}

/// The CA and TLS material of a trial server.
pub(super) struct Material {
    pub(super) authority: AuthorityFiles,
    pub(super) tls: TlsFiles,
    pub(super) public_url: String,
}

const FILE: &str = "trial.json";
/// The terms of service of a trial.
pub(super) const TERMS: &str = "terms.txt";
const TERMS_TEXT: &str = "Terms of service of a Sote-ACME server on trial.\n\n\
    Its certificates are for trying out. Nobody else trusts them, and nobody should.\n";
/// The file of the invitation master key.
pub(super) const INVITATION_KEY: &str = "invitation.key";
/// The file of the key under which the identifiers of persons are hashed.
pub(super) const PERSON_KEY: &str = "person.key";

impl Made {
    /// What an earlier start made in `directory`, if there was one.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, TrialError> {
        let path = directory.join(FILE);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| at(&path)(io::Error::new(io::ErrorKind::InvalidData, error))),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path)(error)),
            Err(_) if directory.join("keys").exists() => Err(TrialError::Unfinished(directory.to_owned())),
            Err(_) => Ok(None),
        }
    }

    /// Where the public listener must listen, asked for `wanted`.
    pub(super) fn public_address(&self, directory: &Path, wanted: SocketAddr) -> Result<SocketAddr, TrialError> {
        if wanted.port() == 0 || wanted == self.public_listen {
            return Ok(self.public_listen);
        }
        Err(TrialError::OtherPublicAddress {
            directory: directory.to_owned(),
            url: public_url(self.public_listen),
            address: self.public_listen,
        })
    }
}

impl Material {
    /// What an earlier start made.
    pub(super) fn found(directory: &Path, made: Made) -> Self {
        let public_url = public_url(made.public_listen);
        let authority = AuthorityFiles::below(directory, &plan(&public_url));
        Material { authority, tls: TlsFiles::below(directory), public_url }
    }

    /// Makes everything.
    pub(super) fn make(directory: &Path, public_listen: SocketAddr, now: Timestamp) -> Result<Self, TrialError> {
        let public_url = public_url(public_listen);
        let authority = create_authority(directory, &plan(&public_url), now)?;
        let names = vec![
            AlternativeName::MalformedDns("localhost".to_owned()),
            AlternativeName::Identifier(Identifier::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            AlternativeName::Identifier(Identifier::Ip(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST))),
        ];
        // Whoever connects looks at the machine's clock, whatever the server's stands at.
        let tls = create_tls(directory, NewKey::P256, names, SystemClock.now())?;
        write_master_key(&directory.join(INVITATION_KEY))?;
        write_master_key(&directory.join(PERSON_KEY))?;
        let terms = directory.join(TERMS);
        fs::write(&terms, TERMS_TEXT).map_err(at(&terms))?;
        let text = serde_json::to_vec_pretty(&Made { public_listen }).expect("an address is JSON");
        write_durably(directory, FILE, &text).map_err(at(&directory.join(FILE)))?;
        Ok(Material { authority, tls, public_url })
    }
}

fn plan(public_url: &str) -> AuthorityPlan {
    let named = |name: &str| name.parse().expect("a name for URLs");
    AuthorityPlan {
        key: NewKey::P256,
        organisation: "Sote-ACME trial".to_owned(),
        common_name: "Sote-ACME trial".to_owned(),
        root: named("trial-root"),
        alternate_root: named("trial-root-2"),
        issuer: named(ISSUER),
        public_url: public_url.to_owned(),
        // Nobody signs another one for a server on trial.
        root_crl_days: 10 * 365,
    }
}

/// The name of the trial server's issuer.
pub(super) const ISSUER: &str = "trial-1";

/// The base of the URLs in certificates: the listener's own address, since names under `test` have no dns elsewhere.
fn public_url(listen: SocketAddr) -> String {
    let host = match listen.ip() {
        ip if !ip.is_unspecified() => SocketAddr::new(ip, listen.port()).to_string(),
        _ => format!("127.0.0.1:{}", listen.port()),
    };
    format!("http://{host}")
}

/// Makes a master key where there is none.
fn write_master_key(path: &Path) -> Result<(), TrialError> {
    let mut key = Zeroizing::new([0u8; MASTER_KEY_OCTETS]);
    aws_lc_rs::rand::fill(&mut key[..]).expect("the operating system's random source works");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))?;
    file.write_all(&key[..]).and_then(|()| file.sync_all()).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_public_address_is_refused_with_the_one_to_give_and_port_0_is_the_same_as_before() {
        let made = Made { public_listen: "127.0.0.1:14080".parse().unwrap() };
        let directory = Path::new("dev");
        let same = made.public_address(directory, "127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(same, made.public_listen);
        let refusal = made.public_address(directory, "127.0.0.1:8080".parse().unwrap()).unwrap_err().to_string();
        assert!(refusal.contains("--public-listen 127.0.0.1:14080"), "{refusal}");
    }

    #[test]
    fn a_first_start_that_was_broken_off_is_told() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Made::read(directory.path()).unwrap().is_none());
        fs::create_dir(directory.path().join("keys")).unwrap();
        assert!(matches!(Made::read(directory.path()), Err(TrialError::Unfinished(_))));
    }
}
