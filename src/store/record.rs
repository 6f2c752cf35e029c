//! What a record is to the store: a kind, a key and bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::index::Indexed;

/// A kind of record: a tree of its own in sled, a table of its own elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// ACME accounts, by account id.
    Account,
    /// The membership of an account in an organisation, by account id.
    Membership,
    /// Organisations, by organisation id.
    Organisation,
    /// Rows of the registers, by OID and generation.
    Unit,
    /// Which generation of each register is in force.
    Register,
    /// Invitations, by invitation id.
    Invitation,
    /// Mandates, by mandate id.
    Mandate,
    /// What happened to organisations, by event id.
    Event,
    /// Requests with an idempotency key, by account and key.
    Repeat,
    /// Orders, by order id.
    Order,
    /// Authorizations with their challenges, by authorization id.
    Authorization,
    /// Certificate records, by certificate id.
    Certificate,
    /// The DER of certificates, by certificate id: the TBSCertificate while prepared, then the certificate.
    CertificateDer,
    /// The state of each CRL, by issuer and shard.
    Publication,
    /// Public keys that may not be certified, by SPKI hash.
    BlockedKey,
    /// Pages for agreeing to changed terms, by page id.
    TermsPage,
    /// Proofs that may be shown once only, by hash.
    SpentProof,
    /// What clients showed for their organisations, word by word, by authorization id.
    EvidenceDocument,
    /// Audit entries, by number. Written by the store itself.
    Audit,
    /// Sealed segments of the audit trail, by first number.
    AuditSegment,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 20] = [
        Kind::Account,
        Kind::Membership,
        Kind::Organisation,
        Kind::Unit,
        Kind::Register,
        Kind::Invitation,
        Kind::Mandate,
        Kind::Event,
        Kind::Repeat,
        Kind::Order,
        Kind::Authorization,
        Kind::Certificate,
        Kind::CertificateDer,
        Kind::Publication,
        Kind::BlockedKey,
        Kind::TermsPage,
        Kind::SpentProof,
        Kind::EvidenceDocument,
        Kind::Audit,
        Kind::AuditSegment,
    ];

    /// The name of the kind's tree. Never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Account => "account",
            Kind::Membership => "membership",
            Kind::Organisation => "organisation",
            Kind::Unit => "unit",
            Kind::Register => "register",
            Kind::Invitation => "invitation",
            Kind::Mandate => "mandate",
            Kind::Event => "event",
            Kind::Repeat => "repeat",
            Kind::Order => "order",
            Kind::Authorization => "authorization",
            Kind::Certificate => "certificate",
            Kind::CertificateDer => "certificate-der",
            Kind::Publication => "publication",
            Kind::BlockedKey => "blocked-key",
            Kind::TermsPage => "terms-page",
            Kind::SpentProof => "spent-proof",
            Kind::EvidenceDocument => "evidence-document",
            Kind::Audit => "audit",
            Kind::AuditSegment => "audit-segment",
        }
    }
}

/// A numeric fact that many commits change at once: added to without a version, within bounds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// How often an invitation may still be spent.
    UsesLeft(crate::names::InvitationId),
    /// Administrators of an organisation.
    Administrators(crate::names::OrganisationId),
    /// Administrators that an organisation ever had.
    AdministratorsEver(crate::names::OrganisationId),
    /// Accounts ever made.
    Accounts,
    /// Certificates ever issued.
    Certificates,
    /// Certificates revoked or abandoned.
    Revoked,
}

impl Counter {
    /// The counter's key: a readable prefix and the owner's octets.
    pub fn key(&self) -> Vec<u8> {
        let (name, owner): (&str, &[u8]) = match self {
            Counter::UsesLeft(id) => ("uses-left/", id.as_bytes()),
            Counter::Administrators(id) => ("administrators/", id.as_bytes()),
            Counter::AdministratorsEver(id) => ("administrators-ever/", id.as_bytes()),
            Counter::Accounts => ("accounts", &[]),
            Counter::Certificates => ("certificates", &[]),
            Counter::Revoked => ("revoked", &[]),
        };
        [name.as_bytes(), owner].concat()
    }
}

/// Something that the store keeps. Records are JSON, readable by an operator; certificates are DER.
pub trait Record: Indexed + Clone + Send + Sync + 'static {
    /// What the record is looked up by.
    type Id: ?Sized;
    /// Its kind.
    const KIND: Kind;
    /// The version of its shape. Raising it raises the store's format and adds an
    /// [`Upgrade`](super::sled::migration::Upgrade): a program reads only the newest shape.
    const SCHEMA: u8 = 1;

    /// The store key for `id`.
    fn key(id: &Self::Id) -> Vec<u8>;

    /// The record's own store key.
    fn own_key(&self) -> Vec<u8>;

    /// The record as bytes.
    fn encode(&self) -> Vec<u8>;

    /// The record from bytes of the shape `schema`.
    fn decode(bytes: &[u8], schema: u8) -> Result<Self, StoreError>;
}

/// `record` as JSON, the form of every kind but DER.
pub(super) fn to_json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys and finite numbers")
}

/// A record from JSON of the present shape.
pub(super) fn from_json<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Damaged(format!("a record of kind {}: {e}", kind.name())))
}
