//! Certificates: every one that was ever prepared, with its stage and its revocation.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::audit::Actor;
use crate::acme::identifier::Identifiers;
use crate::names::RevocationReason;
use crate::names::{
    AccountId, BootId, CertificateId, IssuerName, OrderId, OrganisationId, ProfileName, SerialNumber, UnitOid,
};
use crate::time::Timestamp;

/// A certificate's record. Its DER is kept apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its id, the last part of its URL.
    pub id: CertificateId,
    /// The issuer.
    pub issuer: IssuerName,
    /// The serial number, unique below the issuer.
    pub serial: SerialNumber,
    /// The CRL shard that it names.
    pub shard: u16,
    /// The profile.
    pub profile: ProfileName,
    /// The account that ordered it.
    pub account: AccountId,
    /// The organisation that it names.
    pub organisation: OrganisationId,
    /// The unit that it names.
    pub unit: UnitOid,
    /// The generation of the unit's row from which the subject was made.
    pub unit_generation: u64,
    /// The order.
    pub order: OrderId,
    /// The names.
    pub identifiers: Identifiers,
    /// The first second of its validity.
    pub not_before: Timestamp,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// SHA-256 of the SubjectPublicKeyInfo.
    #[serde(with = "crate::names::base64url::bytes")]
    pub spki_sha256: [u8; 32],
    /// How far it has come.
    pub stage: Stage,
    /// Its revocation. There is no way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// The order that replaces it (RFC 9773 §5), unless that order became invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<OrderId>,
}

/// How far a certificate has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Stage {
    /// Its TBSCertificate is stored; only `owner` signs it.
    Prepared {
        /// When.
        at: Timestamp,
        /// The process that prepared it or took it over.
        owner: BootId,
    },
    /// It was signed and may leave the process.
    Issued {
        /// When.
        at: Timestamp,
    },
    /// It will never be signed again. Its serial counts as revoked, in case a signature was made.
    Abandoned {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
        /// The CRL number that first listed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        published: Option<u64>,
    },
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revocation {
    /// When it was recorded; the revocationDate of CRL and OCSP.
    pub at: Timestamp,
    /// Why; absent when none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RevocationReason>,
    /// Since when the key is believed to be disclosed, if earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<Timestamp>,
    /// Who revoked it.
    pub by: Actor,
    /// What its organisation noted beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The CRL number that first listed it; done means published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<u64>,
}

/// The DER of a certificate: the TBSCertificate while it is prepared, then the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateDer {
    /// Whose.
    pub id: CertificateId,
    /// The octets.
    pub der: Vec<u8>,
}

/// A public key that may not be certified (any more).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedKey {
    /// SHA-256 of its SubjectPublicKeyInfo.
    #[serde(with = "crate::names::base64url::bytes")]
    pub spki_sha256: [u8; 32],
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl Certificate {
    /// Whether its serial stands on the CRL, with date and reason.
    pub fn revoked(&self) -> Option<(Timestamp, Option<RevocationReason>, Option<Timestamp>)> {
        match (&self.revocation, &self.stage) {
            (Some(revocation), _) => Some((revocation.at, revocation.reason, revocation.invalid_since)),
            (None, Stage::Abandoned { at, .. }) => Some((*at, None, None)),
            (None, Stage::Prepared { .. } | Stage::Issued { .. }) => None,
        }
    }

    /// Whether a CRL still has to list it for the first time.
    pub fn is_unpublished(&self) -> bool {
        match (&self.revocation, &self.stage) {
            (Some(revocation), _) => revocation.published.is_none(),
            (None, Stage::Abandoned { published, .. }) => published.is_none(),
            (None, Stage::Prepared { .. } | Stage::Issued { .. }) => false,
        }
    }

    /// The certificate, listed by CRL `number`.
    pub fn published(&self, number: u64) -> Certificate {
        let mut certificate = self.clone();
        if let Some(revocation) = &mut certificate.revocation {
            revocation.published.get_or_insert(number);
        }
        if let Stage::Abandoned { published, .. } = &mut certificate.stage {
            published.get_or_insert(number);
        }
        certificate
    }

    /// The certificate, signed.
    pub fn issued(&self, now: Timestamp) -> Certificate {
        Certificate { stage: Stage::Issued { at: now }, ..self.clone() }
    }

    /// The certificate, given up.
    pub fn abandoned(&self, reason: &str, now: Timestamp) -> Certificate {
        Certificate { stage: Stage::Abandoned { at: now, reason: reason.to_owned(), published: None }, ..self.clone() }
    }

    /// The prepared certificate, taken over by another process.
    pub fn owned_by(&self, owner: BootId) -> Certificate {
        match self.stage {
            Stage::Prepared { at, .. } => Certificate { stage: Stage::Prepared { at, owner }, ..self.clone() },
            Stage::Issued { .. } | Stage::Abandoned { .. } => self.clone(),
        }
    }

    /// The certificate, revoked. A revoked one may once be raised to keyCompromise by whoever holds its key
    /// (`by_key_holder`); everything else is refused.
    pub fn revoke(&self, revocation: Revocation, by_key_holder: bool, now: Timestamp) -> Result<Certificate, Refusal> {
        if !matches!(self.stage, Stage::Issued { .. }) {
            return Err(Refusal::CertificateUnknown);
        }
        if self.not_after < now {
            return Err(Refusal::CertificateExpired { not_after: self.not_after });
        }
        let raises = revocation.reason == Some(RevocationReason::KeyCompromise);
        match &self.revocation {
            None => Ok(Certificate { revocation: Some(revocation), ..self.clone() }),
            Some(old) if by_key_holder && raises && old.reason != Some(RevocationReason::KeyCompromise) => {
                // The date stays: the certificate was revoked then, and only the reason is worse than was known.
                Ok(Certificate {
                    revocation: Some(Revocation {
                        at: old.at,
                        comment: revocation.comment.clone().or_else(|| old.comment.clone()),
                        ..revocation
                    }),
                    ..self.clone()
                })
            }
            Some(_) => Err(Refusal::AlreadyRevoked),
        }
    }
}
