//! org-signature-01: an organisation's card, an electronic seal or a professional's card signs what the account claims. The
//! checks and their order are those of `docs/protocol.md`; the first (the form) was made when the client answered, and what
//! needs records (a person's mandate, the register's row that a card names, never shown before) belongs to the commit. Start
//! with [`OrgSignature01::proof`].

use super::revocation_status::{CLOCK_SKEW, RevocationStatus, StatusError};
use super::tkauth_01::sha256;
use super::trust::{CardAuthority, CardKind};
use crate::acme::card_signature::{CardSignature, CardStatement, PURPOSE, SIGNATURE_TYPE};
use crate::acme::jwk::Thumbprint;
use crate::acme::problem::Problem;
use crate::names::{BusinessId, OrganisationIdentifier, UnitOid};
use crate::time::Timestamp;
use crate::x509::path::{PathError, ValidPath};
use crate::x509::{Certificate, NameAttribute};

/// The longest that a signature may hold, in seconds.
const LONGEST_LIFETIME: i64 = 600;

/// What a signature is compared with.
#[derive(Debug, Clone, Copy)]
pub struct SignatureClaim<'a> {
    /// The authorization's organisation.
    pub organisation: &'a OrganisationIdentifier,
    /// The key authorization of the challenge's token and the account's key.
    pub key_authorization: &'a str,
    /// The thumbprint of the account's key.
    pub thumbprint: &'a Thumbprint,
    /// The account's URL.
    pub account: &'a str,
    /// The challenge's URL.
    pub challenge: &'a str,
    /// The organisation directory's URL.
    pub audience: &'a str,
}

/// Why a signature proves nothing. The numbers are those of the checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardFault {
    /// 2 and 3: no path to an anchor under an accepted policy and for this use.
    #[error("the card's certificates are not those of a card that is accepted here: {0}")]
    Path(PathError),
    /// 2: revoked, or not to be found out.
    #[error("the card's certificates: {0}")]
    Status(StatusError),
    /// 4: the algorithm is not the key's.
    #[error("the signature's \"alg\" does not go with the key of the card's certificate")]
    Algorithm,
    /// 4: the signature.
    #[error("the card's signature does not verify")]
    Signature,
    /// 5: the type.
    #[error("the signature's \"typ\" is not \"{SIGNATURE_TYPE}\": it was made for something else")]
    Type,
    /// 5: another key authorization.
    #[error("the signature is for another account key or another challenge: its \"keyAuthorization\" differs")]
    KeyAuthorization,
    /// 5: another identifier.
    #[error("the signature is for another organisation: its \"identifier\" is not organization-id {0}")]
    Identifier(String),
    /// 5: another account.
    #[error("the signature is for another account: its \"account\" is not {0}")]
    Account(String),
    /// 5: another challenge.
    #[error("the signature is for another challenge: its \"challenge\" is not {0}")]
    Challenge(String),
    /// 5: another server.
    #[error("the signature is for another server: its \"aud\" is not {0}")]
    Audience(String),
    /// 5: another purpose.
    #[error("the signature was made for another purpose: its \"purpose\" is not \"{PURPOSE}\"")]
    Purpose,
    /// 5: too late.
    #[error("the signature ended at {0}; sign again")]
    Expired(Timestamp),
    /// 5: too early.
    #[error("the signature is of {0}, which lies ahead; is a clock wrong?")]
    NotYet(Timestamp),
    /// 5: made for too long.
    #[error("the signature holds for {0} seconds; at most {LONGEST_LIFETIME} are accepted")]
    Lifetime(i64),
    /// 6: nobody is named.
    #[error(
        "the card's certificate names no organisation: it has neither an organizationIdentifier nor a serialNumber that is a \
         Business ID, a VAT number or a register's OID"
    )]
    NamesNobody,
    /// 6: more than one is named.
    #[error("the card's certificate has more than one {0}")]
    NamesSeveral(&'static str),
    /// 6: another one is named.
    #[error("the card is another organisation's: its certificate does not name {0}")]
    OtherOrganisation(String),
    /// 6: a person's card without the person.
    #[error("the card's certificate has no serialNumber by which its holder is known")]
    NoPerson,
    /// 7: the account's own key.
    #[error("the card's key is the account's own key; an account cannot vouch for itself")]
    AccountKey,
}

impl CardFault {
    /// What the challenge shows.
    pub fn problem(&self) -> Problem {
        let detail = self.to_string();
        match self {
            // The attempt failed, and another one may find somebody who answers.
            CardFault::Status(StatusError::Unavailable { .. }) => Problem::connection(detail),
            CardFault::Path(_)
            | CardFault::Status(_)
            | CardFault::Algorithm
            | CardFault::Signature
            | CardFault::NamesNobody
            | CardFault::NamesSeveral(_)
            | CardFault::OtherOrganisation(_)
            | CardFault::NoPerson
            | CardFault::AccountKey => Problem::unauthorized(detail),
            CardFault::Type
            | CardFault::KeyAuthorization
            | CardFault::Identifier(_)
            | CardFault::Account(_)
            | CardFault::Challenge(_)
            | CardFault::Audience(_)
            | CardFault::Purpose
            | CardFault::Expired(_)
            | CardFault::NotYet(_)
            | CardFault::Lifetime(_) => Problem::incorrect_response(detail),
        }
    }
}

/// Whom a card names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The organisation of the claim, by its own identifier.
    Organisation,
    /// An organisation by a row of the register: it must be one of the claimed organisation's.
    Row(UnitOid),
    /// A person, by the number in the certificate with the authority's prefix. Never kept: a keyed hash is made of it.
    Person(String),
}

/// What a signature that passed proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardProof {
    /// SHA-256 of what was signed: no other proof may have it.
    pub unique: [u8; 32],
    /// Until when the signature could be shown again.
    pub shown_until: Timestamp,
    /// The end of the card's certificate.
    pub until: Timestamp,
    /// Whom the card names.
    pub holder: Holder,
    /// The authority that issued the card, by its name in the configuration and its subject.
    pub issuer: String,
    /// The organisation's names in the card; no name of a person.
    pub names: Vec<String>,
    /// SHA-256 of the card's certificate.
    pub certificate: [u8; 32],
    /// A line for every certificate of the path: what said that it is good.
    pub trail: Vec<String>,
}

/// The card authorities of the configuration.
pub struct OrgSignature01 {
    authorities: Vec<CardAuthority>,
}

impl OrgSignature01 {
    /// A validator that accepts the cards of these.
    pub fn new(authorities: Vec<CardAuthority>) -> Self {
        OrgSignature01 { authorities }
    }

    /// What `signature` proves for `claim` at `now`.
    ///
    /// # Errors
    /// The first check that fails, in the order of the specification.
    pub async fn proof(
        &self,
        signature: &CardSignature,
        claim: SignatureClaim<'_>,
        status: &RevocationStatus,
        now: Timestamp,
    ) -> Result<CardProof, CardFault> {
        let (authority, path) = self.authority(signature, now)?;
        let trail = match status.of_path(&path, &authority.trust, now).await {
            Ok(trail) => trail,
            Err(error) => {
                // Nobody waits for an answer about a signature that has ended.
                if error.may_pass() {
                    timely(signature.statement(), now)?;
                }
                return Err(CardFault::Status(error));
            }
        };
        let card = path.signer();
        signed(signature, card)?;
        agrees(signature, claim)?;
        timely(signature.statement(), now)?;
        let holder = holder(card, &authority.kind, claim.organisation)?;
        if Thumbprint::of(card.public_key()) == *claim.thumbprint {
            return Err(CardFault::AccountKey);
        }
        Ok(CardProof {
            unique: *signature.signed_hash(),
            shown_until: signature.statement().expires.plus(CLOCK_SKEW),
            until: card.not_after(),
            names: match holder {
                Holder::Organisation | Holder::Row(_) => {
                    card.subject().values(NameAttribute::Organisation).map(str::to_owned).collect()
                }
                Holder::Person(_) => Vec::new(),
            },
            holder,
            issuer: format!("{}: {}", authority.name, card.issuer()),
            certificate: sha256(&[card.der()]),
            trail,
        })
    }

    /// 2 and 3: the authority whose anchor the certificates lead to.
    fn authority(&self, signature: &CardSignature, now: Timestamp) -> Result<(&CardAuthority, ValidPath), CardFault> {
        let mut fault: Option<PathError> = None;
        for authority in &self.authorities {
            match authority.trust.path(signature.certificates(), now) {
                Ok(path) => return Ok((authority, path)),
                // What comes closest is told: a path that leads to an anchor and fails there says more than "untrusted".
                Err(error) if fault.as_ref().is_none_or(|fault| matches!(fault, PathError::Untrusted(_))) => {
                    fault = Some(error);
                }
                Err(_) => {}
            }
        }
        Err(CardFault::Path(fault.unwrap_or_else(|| PathError::Untrusted("anyone".to_owned()))))
    }
}

/// 4.
fn signed(signature: &CardSignature, card: &Certificate) -> Result<(), CardFault> {
    if !signature.algorithm().fits(card.public_key()) {
        return Err(CardFault::Algorithm);
    }
    signature.verify(card.public_key()).map_err(|_| CardFault::Signature)
}

/// 5, but for the times.
fn agrees(signature: &CardSignature, claim: SignatureClaim<'_>) -> Result<(), CardFault> {
    let said = signature.statement();
    if signature.typ() != SIGNATURE_TYPE {
        return Err(CardFault::Type);
    }
    if said.key_authorization != claim.key_authorization {
        return Err(CardFault::KeyAuthorization);
    }
    if said.identifier.kind != "organization-id" || said.identifier.value != claim.organisation.as_str() {
        return Err(CardFault::Identifier(claim.organisation.to_string()));
    }
    if said.account != claim.account {
        return Err(CardFault::Account(claim.account.to_owned()));
    }
    if said.challenge != claim.challenge {
        return Err(CardFault::Challenge(claim.challenge.to_owned()));
    }
    if said.audience != claim.audience {
        return Err(CardFault::Audience(claim.audience.to_owned()));
    }
    if said.purpose == PURPOSE { Ok(()) } else { Err(CardFault::Purpose) }
}

/// 5, the times.
fn timely(said: &CardStatement, now: Timestamp) -> Result<(), CardFault> {
    if said.issued_at > now.plus(CLOCK_SKEW) {
        return Err(CardFault::NotYet(said.issued_at));
    }
    if said.expires.plus(CLOCK_SKEW) <= now {
        return Err(CardFault::Expired(said.expires));
    }
    let lifetime = said.expires.since(said.issued_at);
    if (1..=LONGEST_LIFETIME).contains(&lifetime) { Ok(()) } else { Err(CardFault::Lifetime(lifetime)) }
}

/// 6.
fn holder(card: &Certificate, kind: &CardKind, claimed: &OrganisationIdentifier) -> Result<Holder, CardFault> {
    let number = only(card, NameAttribute::SerialNumber, "serialNumber")?;
    match kind {
        CardKind::Professional { people } => {
            let number = number.map(|number| number.trim().to_owned()).filter(|number| !number.is_empty());
            let number = number.ok_or(CardFault::NoPerson)?;
            Ok(Holder::Person(if people.is_empty() { number } else { format!("{people}:{number}") }))
        }
        CardKind::Organisation => {
            let other = || CardFault::OtherOrganisation(claimed.to_string());
            if let Some(identifier) = only(card, NameAttribute::OrganisationIdentifier, "organizationIdentifier")? {
                // ETSI EN 319 412-1 §5.1.4, in the one spelling of this service.
                return if identifier == claimed.as_str() { Ok(Holder::Organisation) } else { Err(other()) };
            }
            let number = number.ok_or(CardFault::NamesNobody)?;
            if let Some(business_id) = business_id(number) {
                return if business_id == claimed.business_id() { Ok(Holder::Organisation) } else { Err(other()) };
            }
            number.parse().map(Holder::Row).map_err(|_| CardFault::NamesNobody)
        }
    }
}

/// The one value of an attribute. Several would let a reader choose.
fn only<'a>(card: &'a Certificate, attribute: NameAttribute, name: &'static str) -> Result<Option<&'a str>, CardFault> {
    let mut values = card.subject().values(attribute);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(CardFault::NamesSeveral(name)),
    }
}

/// The Business ID of a serialNumber: itself, or inside a Finnish VAT number.
fn business_id(number: &str) -> Option<BusinessId> {
    let from_vat = |digits: &str| {
        let (number, check) = digits.split_at_checked(7)?;
        format!("{number}-{check}").parse().ok()
    };
    number.parse().ok().or_else(|| number.strip_prefix("FI").and_then(from_vat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_a_business_id_or_a_vat_number() {
        let expected: BusinessId = "0245437-2".parse().unwrap();
        assert_eq!(business_id("0245437-2"), Some(expected.clone()));
        assert_eq!(business_id("FI02454372"), Some(expected));
        for other in ["02454372", "FI0245437", "FI02454373", "FIä245437", "1.2.246.10.2454372.10.0", ""] {
            assert_eq!(business_id(other), None, "{other}");
        }
    }
}
