//! What we keep and how it may change: records and pure rules. No async, no clock, no log: time is an argument, a rule
//! takes a record and gives a new one or a [`Refusal`]. Facts are stored, statuses are derived. Start with [`order`].

pub mod account;
pub mod application;
pub mod audit;
pub mod authorization;
pub mod certificate;
pub mod challenge;
pub mod deed;
pub mod event;
pub mod evidence;
pub mod invitation;
pub mod issuance;
pub mod mandate;
pub mod membership;
pub mod order;
pub mod organisation;
pub mod policy;
pub mod profile;
pub mod publication;
pub mod refusal;
pub mod repeat;
pub mod terms;
pub mod unit;
pub mod verification;

pub use account::{Account, AccountStanding, ExternalBinding};
pub use application::{Application, Approval};
pub use authorization::{Authorization, Grant, Origin};
pub use certificate::{BlockedKey, Certificate, CertificateDer, Revocation, Stage};
pub use challenge::{Answer, Challenge, ChallengeKind, ChallengeProgress};
pub use deed::{Deed, Reach};
pub use event::{EventKind, EventSubject, OrganisationEvent};
pub use evidence::{Attestation, Evidence, EvidenceDocument, SpentProof, UniqueKind, UniqueProof};
pub use invitation::Invitation;
pub use mandate::{Mandate, PersonHash, PersonKey};
pub use membership::{Awaited, Membership, MembershipState};
pub use order::{Failure, Order, Progress};
pub use organisation::{Language, Organisation, Suspension, Verification, Void};
pub use policy::{Limits, OrderSubject};
pub use profile::Profile;
pub use publication::{Publication, Published};
pub use refusal::Refusal;
pub use repeat::{Made, Repeat};
pub use terms::{TermsAgreement, TermsPage};
pub use unit::{DIGEST, Register, RowId, SourceState, UnitRow, folded_words, row_at};

pub use crate::names::Role;
