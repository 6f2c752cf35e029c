//! `[[organisation.token_authority]]` and `[[organisation.card_authority]]`: whom evidence of organisations is believed from.

use std::path::{Path, PathBuf};

use const_oid::ObjectIdentifier;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::validation::pinned::PinnedUrl;

/// A token authority whose tokens are believed (RFC 9447).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAuthoritySettings {
    /// A name for logs.
    pub name: String,
    /// What its tokens name as their issuer, exactly.
    pub issuer: String,
    /// What its tokens must name as their audience; the organisation directory unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Where clients ask for tokens: a hint in the challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The certificates of the authorities under which its own stands, PEM.
    pub anchors: PathBuf,
    /// The extended key usage that its certificate must have, a dotted OID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_key_usage: Option<String>,
    /// The certificate policies of which its certificate must have one, dotted OIDs.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Where revocation is asked.
    pub revocation: Vec<RevocationSource>,
}

/// An authority whose cards or seals prove organisations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardAuthoritySettings {
    /// A name for logs and evidence.
    pub name: String,
    /// Whose its cards are.
    pub kind: CardHolder,
    /// What stands before a person's number in mandates, where more than one authority numbers people.
    #[serde(default)]
    pub people: String,
    /// The certificates of the authorities under which cards stand, PEM.
    pub anchors: PathBuf,
    /// The certificate policies of which a card's certificate must have one, dotted OIDs.
    pub policies: Vec<String>,
    /// The key usages of which a card's certificate must have one.
    #[serde(default = "binding")]
    pub key_usage: Vec<CardUsage>,
    /// Where revocation is asked.
    pub revocation: Vec<RevocationSource>,
}

/// Whose a card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardHolder {
    /// An organisation's: the certificate names it.
    Organisation,
    /// A person's: the organisation needs a mandate for that person.
    Professional,
}

/// A key usage of a card's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CardUsage {
    /// Signatures that bind their holder.
    NonRepudiation,
    /// Any signature, logins too.
    DigitalSignature,
}

fn binding() -> Vec<CardUsage> {
    vec![CardUsage::NonRepudiation]
}

/// Where the revocation of certificates of one authority is asked. Nothing is ever taken from a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationSource {
    /// The certificate of the authority that issued the certificates in question, PEM.
    pub authority: PathBuf,
    /// Its CRLs, `http://` URLs.
    #[serde(default)]
    pub crl: Vec<String>,
    /// Its OCSP responders, `http://` URLs; asked before the CRLs.
    #[serde(default)]
    pub ocsp: Vec<String>,
}

impl TokenAuthoritySettings {
    pub(super) fn resolve(&mut self, directory: &Path) {
        self.anchors = directory.join(&self.anchors);
        self.revocation.iter_mut().for_each(|source| source.authority = directory.join(&source.authority));
    }

    /// What is wrong, each with its key below `key`.
    pub(super) fn faults(&self, key: &str) -> Vec<Fault> {
        let mut faults = revocation_faults(&self.revocation, key);
        let mut must = |holds: bool, name: &str, why: &str| {
            if !holds {
                faults.push(Fault::of(format!("{key}.{name}"), why));
            }
        };
        must(is_name(&self.name), "name", NAME);
        must(
            (1..=512).contains(&self.issuer.len()),
            "issuer",
            "must have 1 to 512 characters, as the tokens have them",
        );
        for (name, url) in [("audience", &self.audience), ("url", &self.url)] {
            must(url.as_ref().is_none_or(|url| url.starts_with("https://")), name, "must begin with https://");
        }
        let usage = self.extended_key_usage.as_deref();
        must(usage.is_none_or(is_oid), "extended_key_usage", "is no OID");
        must(self.policies.iter().all(|policy| is_oid(policy)), "policies", "must be dotted OIDs");
        // Without either, every certificate below the anchor could sign tokens: servers' certificates, cards.
        let narrowed = usage.is_some() || !self.policies.is_empty();
        must(
            narrowed,
            "extended_key_usage",
            "missing: an extended key usage or policies tell which certificates sign tokens",
        );
        faults
    }
}

impl CardAuthoritySettings {
    pub(super) fn resolve(&mut self, directory: &Path) {
        self.anchors = directory.join(&self.anchors);
        self.revocation.iter_mut().for_each(|source| source.authority = directory.join(&source.authority));
    }

    /// What is wrong, each with its key below `key`.
    pub(super) fn faults(&self, key: &str) -> Vec<Fault> {
        let mut faults = revocation_faults(&self.revocation, key);
        let mut must = |holds: bool, name: &str, why: &str| {
            if !holds {
                faults.push(Fault::of(format!("{key}.{name}"), why));
            }
        };
        must(is_name(&self.name), "name", NAME);
        let sound = !self.policies.is_empty() && self.policies.iter().all(|policy| is_oid(policy));
        must(sound, "policies", "must name at least one dotted OID: one authority issues cards of several kinds");
        must(!self.key_usage.is_empty(), "key_usage", "must name nonRepudiation or digitalSignature");
        must(self.people.is_empty() || is_name(&self.people), "people", NAME);
        let needless = self.kind == CardHolder::Organisation && !self.people.is_empty();
        must(!needless, "people", "belongs to kind = \"professional\" alone");
        faults
    }
}

const NAME: &str = "must have 1 to 32 characters of a-z, 0-9 and -";

fn is_name(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(sound)
}

fn is_oid(text: &str) -> bool {
    ObjectIdentifier::new(text).is_ok()
}

fn revocation_faults(sources: &[RevocationSource], key: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if sources.is_empty() {
        let why =
            "missing: at least one table with authority, and crl or ocsp; without it nothing would ever be accepted";
        faults.push(Fault::of(format!("{key}.revocation"), why));
    }
    for (index, source) in sources.iter().enumerate() {
        let key = format!("{key}.revocation[{index}]");
        if source.crl.is_empty() && source.ocsp.is_empty() {
            faults.push(Fault::of(key.clone(), "missing: crl or ocsp"));
        }
        for (name, urls) in [("crl", &source.crl), ("ocsp", &source.ocsp)] {
            for url in urls {
                if let Err(error) = url.parse::<PinnedUrl>() {
                    faults.push(Fault::of(format!("{key}.{name}"), error.to_string()));
                }
            }
        }
    }
    faults
}

/// What is wrong among the card authorities together: people that two authorities number must be told apart.
pub(super) fn people_faults(authorities: &[CardAuthoritySettings]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, authority) in authorities.iter().enumerate() {
        let same =
            |other: &CardAuthoritySettings| other.kind == CardHolder::Professional && other.people == authority.people;
        if authority.kind == CardHolder::Professional && authorities.iter().take(index).any(same) {
            let why =
                "another authority of professionals has the same: two people could have one number; give each its own";
            faults.push(Fault::of(format!("organisation.card_authority[{index}].people"), why));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_authority() -> TokenAuthoritySettings {
        let text = "name = \"national\"\nissuer = \"https://a.test\"\nanchors = \"a.pem\"\nextended_key_usage = \"1.2.3\"\n\
            [[revocation]]\nauthority = \"a.pem\"\ncrl = [\"http://a.test.fi/crl\"]\n";
        toml::from_str(text).unwrap()
    }

    fn card_authority() -> CardAuthoritySettings {
        let text = "name = \"cards\"\nkind = \"professional\"\nanchors = \"a.pem\"\npolicies = [\"1.2.3\"]\n\
            [[revocation]]\nauthority = \"a.pem\"\nocsp = [\"http://a.test.fi/ocsp\"]\n";
        toml::from_str(text).unwrap()
    }

    fn keys(faults: Vec<Fault>) -> Vec<String> {
        faults.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn each_fault_is_told_with_its_key() {
        assert!(token_authority().faults("a").is_empty() && card_authority().faults("a").is_empty());
        let spoilt = |spoil: fn(&mut TokenAuthoritySettings)| {
            let mut authority = token_authority();
            spoil(&mut authority);
            keys(authority.faults("a"))
        };
        assert_eq!(spoilt(|a| a.name.clear()), ["a.name"]);
        assert_eq!(spoilt(|a| a.issuer.clear()), ["a.issuer"]);
        assert_eq!(spoilt(|a| a.audience = Some("http://x".into())), ["a.audience"]);
        assert_eq!(spoilt(|a| a.extended_key_usage = Some("x".into())), ["a.extended_key_usage"]);
        assert_eq!(spoilt(|a| a.extended_key_usage = None), ["a.extended_key_usage"]);
        assert_eq!(spoilt(|a| a.policies = vec!["1".into()]), ["a.policies"]);
        assert_eq!(spoilt(|a| a.revocation.clear()), ["a.revocation"]);
        assert_eq!(spoilt(|a| a.revocation[0].crl.clear()), ["a.revocation[0]"]);
        assert_eq!(spoilt(|a| a.revocation[0].crl[0] = "ldap://x".into()), ["a.revocation[0].crl"]);
        let spoilt = |spoil: fn(&mut CardAuthoritySettings)| {
            let mut authority = card_authority();
            spoil(&mut authority);
            keys(authority.faults("a"))
        };
        assert_eq!(spoilt(|a| a.policies.clear()), ["a.policies"]);
        assert_eq!(spoilt(|a| a.key_usage.clear()), ["a.key_usage"]);
        assert_eq!(spoilt(|a| (a.kind, a.people) = (CardHolder::Organisation, "x".into())), ["a.people"]);
        assert_eq!(spoilt(|a| a.people = "X".into()), ["a.people"]);
    }

    #[test]
    fn people_of_two_authorities_are_told_apart() {
        let named = |people: &str| CardAuthoritySettings { people: people.into(), ..card_authority() };
        assert!(people_faults(&[named(""), named("a"), named("b")]).is_empty());
        assert_eq!(keys(people_faults(&[named("a"), named("a")])), ["organisation.card_authority[1].people"]);
        let organisation = CardAuthoritySettings { kind: CardHolder::Organisation, ..card_authority() };
        assert!(people_faults(&[organisation.clone(), organisation, named("")]).is_empty());
    }
}
