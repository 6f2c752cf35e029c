//! Whose evidence of organisations a configuration believes: reads the anchors that it names and holds them against what must
//! not be believed. Nothing here writes.

use std::fs;
use std::path::Path;

use const_oid::ObjectIdentifier;

use super::issuers::MaterialFault;
use crate::acme::urls::Urls;
use crate::commands::token_authority::material::TRIAL_MARK;
use crate::config::{self, CardHolder, CardUsage, Config, RevocationSource};
use crate::public_key::PublicKey;
use crate::time::Timestamp;
use crate::validation::trust::{CardAuthority, CardKind, StatusSource, TokenAuthority, Trust};
use crate::x509::path::PathRequirements;
use crate::x509::{Certificate, KeyUsage, KeyUsages, NameAttribute};

/// Authorities as validation wants them.
pub struct Evidence {
    /// Token authorities.
    pub tokens: Vec<TokenAuthority>,
    /// Authorities of cards.
    pub cards: Vec<CardAuthority>,
}

/// Reads everything that `config` names for evidence of organisations. `own` are the keys of this authority's issuers and
/// roots; `on_trial`, whether this server itself is one on trial, which may believe a token authority on trial.
///
/// # Errors
/// The first file that cannot be used.
pub fn opened(
    config: &Config,
    urls: &Urls,
    own: &[PublicKey],
    on_trial: bool,
    now: Timestamp,
) -> Result<Evidence, MaterialFault> {
    let directory = organisation_directory(urls);
    let anchors = Anchors { own, on_trial, now };
    let organisation = &config.organisation;
    let tokens = organisation.token_authority.iter().map(|settings| anchors.token_authority(settings, &directory));
    let cards = organisation.card_authority.iter().map(|settings| anchors.card_authority(settings));
    Ok(Evidence { tokens: tokens.collect::<Result<_, _>>()?, cards: cards.collect::<Result<_, _>>()? })
}

/// The URL that tokens and signatures name as their audience.
pub fn organisation_directory(urls: &Urls) -> String {
    urls.directory(crate::acme::route::Door::Organisation)
}

struct Anchors<'a> {
    own: &'a [PublicKey],
    on_trial: bool,
    now: Timestamp,
}

impl Anchors<'_> {
    fn token_authority(
        &self,
        settings: &config::TokenAuthoritySettings,
        directory: &str,
    ) -> Result<TokenAuthority, MaterialFault> {
        let requirements = PathRequirements {
            key_usage: KeyUsages::from(KeyUsage::DigitalSignature),
            extended_key_usage: settings.extended_key_usage.as_deref().and_then(|oid| oid.parse().ok()),
            policies: policies(&settings.policies),
        };
        Ok(TokenAuthority {
            name: settings.name.clone(),
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone().unwrap_or_else(|| directory.to_owned()),
            trust: self.trust(&settings.anchors, requirements, &settings.revocation)?,
        })
    }

    fn card_authority(&self, settings: &config::CardAuthoritySettings) -> Result<CardAuthority, MaterialFault> {
        let usage = |usage: &CardUsage| match usage {
            CardUsage::NonRepudiation => KeyUsage::NonRepudiation,
            CardUsage::DigitalSignature => KeyUsage::DigitalSignature,
        };
        let requirements = PathRequirements {
            key_usage: settings.key_usage.iter().map(usage).fold(KeyUsages::default(), |all, one| all | one),
            extended_key_usage: None,
            policies: policies(&settings.policies),
        };
        Ok(CardAuthority {
            name: settings.name.clone(),
            kind: match settings.kind {
                CardHolder::Organisation => CardKind::Organisation,
                CardHolder::Professional => CardKind::Professional { people: settings.people.clone() },
            },
            trust: self.trust(&settings.anchors, requirements, &settings.revocation)?,
        })
    }

    fn trust(
        &self,
        path: &Path,
        requirements: PathRequirements,
        revocation: &[RevocationSource],
    ) -> Result<Trust, MaterialFault> {
        let anchors = certificates(path)?;
        anchors.iter().try_for_each(|anchor| self.believable(path, anchor))?;
        let sources = revocation.iter().map(source).collect::<Result<Vec<_>, _>>()?;
        let trust = Trust { anchors, requirements, sources };
        match trust.anchors.iter().find(|anchor| trust.source(anchor).is_none()) {
            // What stands right below it could never be accepted.
            Some(anchor) => Err(unfit(path, format!("no revocation table has {} as its authority", anchor.subject()))),
            None => Ok(trust),
        }
    }

    /// Whether an anchor may be one.
    fn believable(&self, path: &Path, anchor: &Certificate) -> Result<(), MaterialFault> {
        let subject = anchor.subject();
        if !anchor.is_authority() {
            return Err(unfit(path, format!("{subject} is no authority (basicConstraints CA:TRUE)")));
        }
        if !anchor.is_valid_at(self.now) {
            let (from, until) = (anchor.not_before(), anchor.not_after());
            return Err(unfit(path, format!("{subject} is valid from {from} to {until}, and not now")));
        }
        // Whoever has a certificate of ours would otherwise have a card.
        if self.own.contains(anchor.public_key()) {
            return Err(unfit(path, format!("{subject} is an issuer or a root of this very authority")));
        }
        let marked = subject.values(NameAttribute::OrganisationalUnit).any(|unit| unit == TRIAL_MARK);
        if marked && !self.on_trial {
            let why = "belongs to a token authority on trial, which only `dev` and `demo` believe; make one for operation \
                       with `sote-acme token-authority init --for-operation`";
            return Err(unfit(path, format!("{subject} {why}")));
        }
        Ok(())
    }
}

fn policies(texts: &[String]) -> Vec<ObjectIdentifier> {
    // The configuration's checks let nothing else stand there.
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn source(settings: &RevocationSource) -> Result<StatusSource, MaterialFault> {
    let authority = certificates(&settings.authority)?.swap_remove(0);
    let urls = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    Ok(StatusSource { authority, crls: urls(&settings.crl), ocsp: urls(&settings.ocsp) })
}

/// The certificates of a PEM file: at least one.
fn certificates(path: &Path) -> Result<Vec<Certificate>, MaterialFault> {
    let text = fs::read_to_string(path).map_err(|error| MaterialFault::Io { path: path.to_owned(), error })?;
    Certificate::parse_pem_chain(&text).map_err(|error| MaterialFault::Certificate { path: path.to_owned(), error })
}

fn unfit(path: &Path, why: String) -> MaterialFault {
    MaterialFault::Unfit { path: path.to_owned(), why }
}
