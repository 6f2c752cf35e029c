//! What happened to an organisation, as its own people may read it. The audit trail has the same acts and more, for
//! officers; an event is written in the commit of the act that it tells.

use serde::{Deserialize, Serialize};

use super::audit::Actor;
use crate::names::{AccountId, CertificateId, EventId, InvitationId, MandateId, OrganisationId};
use crate::time::Timestamp;

/// An event of an organisation. Its id ascends with time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationEvent {
    /// Its id.
    pub id: EventId,
    /// The organisation.
    pub organisation: OrganisationId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Who. An organisation's people see accounts and that it was an officer, not which one.
    pub actor: Actor,
    /// What it concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<EventSubject>,
    /// Small facts for a reader: a reason, a role, a method. No contact, no token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
}

/// What an event concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum EventSubject {
    /// An account, and the membership that it has.
    Account(AccountId),
    /// An invitation.
    Invitation(InvitationId),
    /// A certificate.
    Certificate(CertificateId),
    /// A mandate.
    Mandate(MandateId),
}

/// What happened; the words of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The organisation was added by an officer, or proved itself for the first time.
    OrganisationAdded,
    /// It proved itself, for the first time or again.
    OrganisationVerified,
    /// Its verification ends soon.
    VerificationEnding,
    /// Its verification has ended.
    VerificationLapsed,
    /// An officer changed its limits.
    OrganisationChanged,
    /// An officer suspended it.
    OrganisationSuspended,
    /// An officer ended the suspension.
    OrganisationResumed,
    /// Its last administrator is gone.
    OrganisationOrphaned,
    /// An administrator agreed to terms of service for all its accounts.
    TermsAgreed,
    /// An account became a member.
    MemberJoined,
    /// An account waits to be admitted.
    MemberPending,
    /// A waiting account was admitted.
    MemberAdmitted,
    /// A waiting account was refused.
    MemberRefused,
    /// A member got another role.
    MemberChanged,
    /// A member was removed, or left by deactivating its account.
    MemberRemoved,
    /// A member's account changed its key.
    MemberKeyChanged,
    /// An invitation was made.
    InvitationCreated,
    /// An invitation was revoked, and the accounts that it created are stopped.
    InvitationRevoked,
    /// A certificate was revoked, or its revocation raised to keyCompromise.
    CertificateRevoked,
    /// An administrator proposed a mandate.
    MandateProposed,
    /// An officer added a mandate.
    MandateAdded,
    /// A mandate was ended.
    MandateEnded,
}

impl OrganisationEvent {
    /// An event with a new id.
    pub fn new(organisation: OrganisationId, kind: EventKind, actor: Actor, at: Timestamp) -> Self {
        let id = EventId::mint(at);
        OrganisationEvent { id, organisation, at, kind, actor, subjects: Vec::new(), facts: Vec::new() }
    }

    /// The event with one more subject.
    pub fn about(mut self, subject: EventSubject) -> Self {
        self.subjects.push(subject);
        self
    }

    /// The event with one more fact.
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.facts.push((name.to_owned(), value.to_string()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_and_later_ones_have_greater_ids() {
        let now = Timestamp::from_seconds(1_795_000_000);
        let organisation = OrganisationId::from_bytes([1; 16]);
        let event = |at| {
            OrganisationEvent::new(organisation, EventKind::MemberChanged, Actor::Officer("o".into()), at)
                .about(EventSubject::Account(AccountId::from_bytes([2; 16])))
                .with("role", "auditor")
        };
        let json = serde_json::to_string(&event(now)).unwrap();
        assert!(json.contains(r#""kind":"member-changed""#), "{json}");
        let read: OrganisationEvent = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(event(now).id < event(now.plus(2)).id);
    }
}
