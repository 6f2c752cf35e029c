//! The token authority's list: which client certificate may have tokens for which organisations.

use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::acme::authority_token::LocalName;
use crate::names::{OrganisationIdentifier, UnitOid};
use crate::time::Timestamp;
use crate::x509::Certificate;

/// The largest list, in octets.
const LARGEST: u64 = 1 << 20;

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accounts {
    /// Everyone who may ask.
    #[serde(default)]
    pub(super) accounts: Vec<AccountEntry>,
}

/// Someone who may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountEntry {
    /// The id in the URL.
    pub(super) id: String,
    /// SHA-256 of its client certificates, hexadecimal, colons allowed.
    #[serde(default)]
    pub(super) certificates: Vec<String>,
    /// The subject of its client certificates as `token-authority` shows it: for certificates that are renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    /// What it is entitled to.
    pub(super) organisations: Vec<EntitledOrganisation>,
}

/// An organisation that an account may speak for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntitledOrganisation {
    /// The organisation.
    pub(super) identifier: OrganisationIdentifier,
    /// Its name.
    #[serde(default)]
    pub(super) name: LocalName,
    /// Its units, as far as the authority attests them.
    #[serde(default)]
    pub(super) units: Vec<UnitOid>,
    /// Until when the account may speak for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
}

impl Accounts {
    /// Reads the list.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
        if text.len() as u64 > LARGEST {
            return Err("more than 1 MiB".to_owned());
        }
        toml::from_str(&text).map_err(|error| error.to_string())
    }

    /// What the holder of `certificate` is entitled to as `account` for `organisation` at `now`.
    pub(super) fn entitled(
        &self,
        account: &str,
        certificate: &Certificate,
        organisation: &str,
        now: Timestamp,
    ) -> Option<&EntitledOrganisation> {
        let holds = |entry: &&AccountEntry| entry.id == account && entry.is_held_by(certificate);
        let entry = self.accounts.iter().find(holds)?;
        let named = |entitled: &&EntitledOrganisation| entitled.identifier.as_str() == organisation;
        entry.organisations.iter().find(named).filter(|entitled| entitled.until.is_none_or(|until| now < until))
    }
}

impl AccountEntry {
    fn is_held_by(&self, certificate: &Certificate) -> bool {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
        let hash: String = hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        let same = |listed: &String| listed.replace(':', "").eq_ignore_ascii_case(&hash);
        self.certificates.iter().any(same) || self.subject.as_ref() == Some(&certificate.subject().to_string())
    }
}
