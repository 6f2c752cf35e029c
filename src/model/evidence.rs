//! What a successful validation saw, kept with the authorization and named by its hash in the audit trail. What the client
//! showed word by word is kept apart, for a configured time; what may be shown once only is remembered while it could be
//! shown again.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::mandate::PersonHash;
use crate::names::{AuthorizationId, UnitOid};
use crate::time::Timestamp;

/// The evidence of one successful validation. It never holds a response body, a token or a signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The address that was connected to, for http-01 and tls-alpn-01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What was looked up or fetched, one line each: URLs followed, dns names asked, checks of a card's revocation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<String>,
    /// What the CAA look-up found, when it was made with this validation: the name whose record set decided, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caa: Option<String>,
    /// What may be shown once only. The commit that makes the challenge valid remembers each, or fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<UniqueProof>,
    /// Until when what was asserted holds, if the assertion says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who attested the organisation, for challenges of organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attestation>,
    /// The row of the register by which a card names its organisation. It must be one of the organisation's in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<UnitOid>,
    /// The person who signed with a card of their own. A mandate of the organisation for that person must be in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonHash>,
    /// SHA-256 of the [`EvidenceDocument`]; set by the commit that keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Sha256Hash>,
}

/// A SHA-256 hash in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sha256Hash(#[serde(with = "crate::names::base64url::bytes")] pub [u8; 32]);

/// Something that proves once only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueProof {
    /// What it is.
    pub kind: UniqueKind,
    /// SHA-256 of what makes it unique: of a token's issuer and jti, of a card's signature.
    #[serde(with = "crate::names::base64url::bytes")]
    pub hash: [u8; 32],
    /// Until when it must be remembered: its own end and the greatest difference of clocks.
    pub until: Timestamp,
}

/// The kinds of [`UniqueProof`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UniqueKind {
    /// An authority token.
    AuthorityToken,
    /// A signature by a card.
    CardSignature,
}

/// Who attested an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The token authority's issuer name, the card's issuing CA, or the registration officers.
    pub by: String,
    /// The organisation's names as attested. No name of a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// SHA-256 of the certificate that signed, DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Sha256Hash>,
}

/// A unique proof that was shown. Its key is its hash; it is removed some time after it could not be shown again anyhow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentProof {
    /// The hash.
    #[serde(with = "crate::names::base64url::bytes")]
    pub hash: [u8; 32],
    /// What it was.
    pub kind: UniqueKind,
    /// The authorization that it proved.
    pub authorization: AuthorizationId,
    /// Until when it is remembered.
    pub until: Timestamp,
}

/// What a client showed for an organisation, word by word. It holds personal data, so it is kept apart from the records and
/// removed after a configured time; the audit trail keeps its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceDocument {
    /// The authorization that it was shown for: its key.
    pub authorization: AuthorizationId,
    /// What was shown: an authority token, or a signature or an application as JSON.
    pub content: String,
    /// When it is removed.
    pub until: Timestamp,
}

impl EvidenceDocument {
    /// SHA-256 of the content.
    pub fn hash(&self) -> Sha256Hash {
        let mut hash = [0; 32];
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.content.as_bytes());
        hash.copy_from_slice(digest.as_ref());
        Sha256Hash(hash)
    }
}
