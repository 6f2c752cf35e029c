//! What the audit trail records. The store numbers the entries and chains them by hash.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Something that happened, before the store has given it a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub act: Act,
    /// What it concerns, each as `kind:id`.
    pub subjects: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Small facts worth reading later: a reason, a profile, a version. No contact, no token, no personal data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
    /// SHA-256 of the evidence, which is kept apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Actor {
    /// An ACME account.
    Account(crate::names::AccountId),
    /// A registration officer or operator, by configured name.
    Officer(String),
    /// The holder of a certificate's key, by SPKI hash.
    CertificateKey(String),
    /// The server itself.
    Server,
}

/// How an act ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done.
    Done,
    /// Refused, with the rule's name.
    Refused(String),
}

/// What was done. Form, nonce, signature, binding and rate-limit faults are not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A store was made.
    StoreCreated,
    /// A store was brought to a newer format.
    StoreMigrated,
    /// An account was created.
    AccountCreated,
    /// An account changed its contact or agreed to terms.
    AccountUpdated,
    /// An account changed its key.
    AccountKeyChanged,
    /// An account was deactivated.
    AccountDeactivated,
    /// An account without a membership was removed.
    AccountRemoved,
    /// An account agreed to terms of service.
    TermsAgreed,
    /// A membership began.
    MembershipBegan,
    /// A membership was ended.
    MembershipEnded,
    /// A membership waits to be admitted.
    MembershipPending,
    /// An officer or an administrator admitted a waiting membership; the first officer of two, too.
    MembershipAdmitted,
    /// A waiting membership was refused.
    MembershipRefused,
    /// A member's role changed.
    MembershipChanged,
    /// An organisation was added.
    OrganisationAdded,
    /// An organisation's limits changed.
    OrganisationChanged,
    /// An organisation was verified by a proof, or its verification renewed.
    OrganisationVerified,
    /// An organisation was suspended.
    OrganisationSuspended,
    /// An organisation's suspension ended.
    OrganisationResumed,
    /// An invitation was made.
    InvitationCreated,
    /// An invitation was revoked.
    InvitationRevoked,
    /// A mandate was added.
    MandateAdded,
    /// A mandate was ended.
    MandateEnded,
    /// Register rows came into force.
    RegisterImported,
    /// An authorization became valid.
    AuthorizationValid,
    /// An authorization became invalid.
    AuthorizationInvalid,
    /// An answered challenge was undone, since the account has another key.
    ChallengeRestarted,
    /// An officer approved an application; the first of two, too.
    ApplicationApproved,
    /// An officer rejected an application.
    ApplicationRejected,
    /// An authorization was deactivated.
    AuthorizationDeactivated,
    /// An order was created or refused.
    OrderCreated,
    /// An order was finalized or refused.
    OrderFinalized,
    /// A certificate was issued.
    CertificateIssued,
    /// A certificate's serial was abandoned: nothing signed by it left the process.
    CertificateAbandoned,
    /// A certificate was revoked, or its revocation raised to keyCompromise.
    CertificateRevoked,
    /// A public key was blocked.
    KeyBlocked,
    /// An officer accepted the machine's clock.
    ClockAccepted,
    /// Audit entries moved to a sealed segment.
    AuditSealed,
}

impl Event {
    /// An event that was done.
    pub fn done(time: Timestamp, actor: Actor, act: Act) -> Self {
        Event { time, actor, act, subjects: Vec::new(), outcome: Outcome::Done, facts: Vec::new(), evidence: None }
    }

    /// An event that a rule refused.
    pub fn refused(time: Timestamp, actor: Actor, act: Act, rule: &str) -> Self {
        Event { outcome: Outcome::Refused(rule.to_owned()), ..Event::done(time, actor, act) }
    }

    /// The event with one more subject.
    pub fn on(mut self, kind: &str, id: impl std::fmt::Display) -> Self {
        self.subjects.push(format!("{kind}:{id}"));
        self
    }

    /// The event with one more fact.
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.facts.push((name.to_owned(), value.to_string()));
        self
    }

    /// The event with the hash of its evidence.
    pub fn proved_by(mut self, evidence: &[u8]) -> Self {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, evidence);
        self.evidence = Some(crate::names::base64url::encode(hash.as_ref()));
        self
    }
}

/// An entry of the chain: an event, its dense number and the hash of the entry before. Its canonical bytes are the JSON
/// that the store wrote, kept verbatim; its hash is the SHA-256 of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, from 1 without gaps.
    pub number: u64,
    /// The hash of the entry before, 43 characters of base64url; of 32 zero octets before the first.
    pub previous: String,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}
