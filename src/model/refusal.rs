//! Everything that a rule may refuse, with the facts that its text needs. The sentences live in `http/texts`, the problem
//! type of each in one table of `http/`.

use serde::{Deserialize, Serialize};

use crate::acme::identifier::Identifier;
use crate::acme::status::{AuthorizationStatus, OrderStatus};
use crate::names::{AccountId, OrganisationIdentifier, ProfileName, Role, UnitOid};
use crate::time::Timestamp;

/// A refusal. A client's own mistake or lack of right, never a fault of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "kebab-case")]
#[allow(missing_docs)] // The fields carry what the variant's own sentence names.
pub enum Refusal {
    /// The key belongs to no account.
    AccountDoesNotExist,
    /// The account's holder ended it.
    AccountDeactivated,
    /// The server ended the account.
    AccountRevoked { reason: String },
    /// The terms of service were not agreed to.
    TermsNotAgreed { terms: String },
    /// The terms have changed; the page tells what to do.
    TermsChanged { instance: String, terms: String },
    /// A contact is no single mail address.
    InvalidContact { contact: String },
    /// A contact has another scheme than mailto.
    UnsupportedContact { contact: String },
    /// This directory creates accounts with an external account binding only.
    ExternalAccountRequired,
    /// The binding's key id is unknown, ended, used up or its MAC is wrong: one answer for all.
    BindingRefused,
    /// The account key is not good enough, or may not be used.
    BadAccountKey { why: String },
    /// Another account already has the key.
    KeyInUse { account: AccountId },
    /// What was sent does not have the right form.
    Malformed { why: String },
    /// There is no such thing, or it is another account's: indistinguishable.
    NotFound,
    /// The account belongs to no organisation.
    NotAMember,
    /// The membership waits for an administrator.
    MembershipPending,
    /// The membership was ended, or the invitation behind it revoked.
    MembershipEnded { reason: String },
    /// Auditors order nothing.
    AuditorsOrderNothing,
    /// The member's role does not suffice; these do.
    RoleNeeded { role: Role, needed: Vec<Role> },
    /// The organisation would be left without an administrator.
    LastAdministrator,
    /// What shall be changed has been changed meanwhile; this is its present version.
    VersionDiffers { version: u64 },
    /// Another request of the account had the same idempotency key.
    RepeatDiffers,
    /// The organisation has not proved itself.
    OrganisationNotVerified,
    /// The organisation's verification has lapsed.
    OrganisationLapsed { expired: Timestamp },
    /// An officer stopped the organisation.
    OrganisationSuspended { reason: String },
    /// The invitation names no unit and the order neither.
    UnitNotResolvable,
    /// No row in force has this OID, or it is another organisation's.
    UnitRejected { unit: UnitOid },
    /// The unit may not be chosen by this account.
    UnitNotAllowed { unit: UnitOid },
    /// The row's name does not fit a certificate and it has no abbreviation.
    NameTooLong { unit: UnitOid },
    /// The profile does not exist, or the account may not use it.
    ProfileNotAllowed { profile: ProfileName, allowed: Vec<ProfileName> },
    /// The order names no profile and there is no default.
    ProfileNeeded { allowed: Vec<ProfileName> },
    /// A test organisation asks for a production product.
    TestOrganisation { profile: ProfileName },
    /// Names outside the zones, or ones that the profile does not allow.
    IdentifiersRejected { rejected: Vec<(Identifier, IdentifierFault)> },
    /// Identifier types that this directory or profile does not know.
    IdentifiersUnsupported { kinds: Vec<String> },
    /// Another spelling of an organisation than the canonical one.
    IdentifierAlias { given: String, canonical: OrganisationIdentifier },
    /// The account may not prove or name this organisation: it is in no register, or the account belongs to another one. One
    /// answer for both, which tells nothing of what this service knows of it.
    OrganisationRejected { organisation: OrganisationIdentifier },
    /// The organisation has lost its last administrator: nobody invites until another one was admitted.
    OrganisationOrphaned,
    /// An officer confirms what they approved themselves.
    OwnConfirmation,
    /// The member does not wait to be admitted.
    MemberNotWaiting,
    /// The member was invited as an administrator: no administrator vouches for it.
    ProofAwaited,
    /// Only administrators of the organisation may do this.
    AdministratorNeeded,
    /// An order names several organisations or units.
    OneOrganisationOnly,
    /// An order names no dns name, and the profile's certificates need one.
    DnsNameNeeded,
    /// The account has as many unproved organisation authorizations as it may have.
    TooManyOpenProofs { most: usize },
    /// More names than the profile allows.
    TooManyIdentifiers { most: usize },
    /// The requested validity cannot be had.
    ValidityRefused { why: ValidityFault },
    /// An order must be ready to be finalized.
    OrderNotReady { status: OrderStatus },
    /// The order was ended by something that happened to its account or organisation.
    OrderVoid { reason: String },
    /// The order's time is over.
    OrderExpired,
    /// An authorization has ended with this status.
    AuthorizationEnded { status: AuthorizationStatus },
    /// Another challenge of the authorization is being validated.
    OtherChallengeProcessing,
    /// Wildcards cannot be authorised in advance.
    NoWildcardInAdvance,
    /// The certificate request is not acceptable.
    BadCsr { why: String },
    /// The certificate that `replaces` names has a replacement already.
    AlreadyReplaced,
    /// `replaces` names nothing that this account may replace.
    ReplacesUnknown,
    /// The certificate is unknown or not this caller's to revoke: one answer for both.
    CertificateUnknown,
    /// The certificate is already revoked.
    AlreadyRevoked,
    /// The certificate has ended by itself.
    CertificateExpired { not_after: Timestamp },
    /// The reason is not offered.
    BadRevocationReason { reason: String },
    /// Too many requests.
    RateLimited { limit: String, retry_after: u64 },
}

/// Why one identifier is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentifierFault {
    /// It lies outside the dns zones of the organisation or its invitation.
    OutsideZones,
    /// The profile has no wildcards.
    NoWildcards,
    /// The profile has no such identifiers.
    NotForProfile,
}

/// Why a requested validity cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // The field is the latest possible notAfter.
pub enum ValidityFault {
    /// notAfter does not lie after notBefore, or in the past.
    Backwards,
    /// notBefore lies too far in the past or the future.
    NotBeforeOutOfBounds,
    /// The profile's ceiling is nearer.
    BeyondProfile { latest: Timestamp },
    /// The unit's register row ends earlier.
    BeyondUnit { latest: Timestamp },
    /// The issuer's certificate ends earlier.
    BeyondIssuer { latest: Timestamp },
}

impl Refusal {
    /// The rule's name for logs, metrics and the audit trail.
    pub fn rule(&self) -> &'static str {
        match self {
            Refusal::AccountDoesNotExist => "account-does-not-exist",
            Refusal::AccountDeactivated => "account-deactivated",
            Refusal::AccountRevoked { .. } => "account-revoked",
            Refusal::TermsNotAgreed { .. } => "terms-not-agreed",
            Refusal::TermsChanged { .. } => "terms-changed",
            Refusal::InvalidContact { .. } => "invalid-contact",
            Refusal::UnsupportedContact { .. } => "unsupported-contact",
            Refusal::ExternalAccountRequired => "external-account-required",
            Refusal::BindingRefused => "binding-refused",
            Refusal::BadAccountKey { .. } => "bad-account-key",
            Refusal::KeyInUse { .. } => "key-in-use",
            Refusal::Malformed { .. } => "malformed",
            Refusal::NotFound => "not-found",
            Refusal::NotAMember => "not-a-member",
            Refusal::MembershipPending => "membership-pending",
            Refusal::MembershipEnded { .. } => "membership-ended",
            Refusal::AuditorsOrderNothing => "auditors-order-nothing",
            Refusal::RoleNeeded { .. } => "role-needed",
            Refusal::LastAdministrator => "last-administrator",
            Refusal::VersionDiffers { .. } => "version-differs",
            Refusal::RepeatDiffers => "repeat-differs",
            Refusal::OrganisationNotVerified => "organisation-not-verified",
            Refusal::OrganisationLapsed { .. } => "organisation-lapsed",
            Refusal::OrganisationSuspended { .. } => "organisation-suspended",
            Refusal::UnitNotResolvable => "unit-not-resolvable",
            Refusal::UnitRejected { .. } => "unit-rejected",
            Refusal::UnitNotAllowed { .. } => "unit-not-allowed",
            Refusal::NameTooLong { .. } => "name-too-long",
            Refusal::ProfileNotAllowed { .. } => "profile-not-allowed",
            Refusal::ProfileNeeded { .. } => "profile-needed",
            Refusal::TestOrganisation { .. } => "test-organisation",
            Refusal::IdentifiersRejected { .. } => "identifiers-rejected",
            Refusal::IdentifiersUnsupported { .. } => "identifiers-unsupported",
            Refusal::IdentifierAlias { .. } => "identifier-alias",
            Refusal::OrganisationRejected { .. } => "organisation-rejected",
            Refusal::OrganisationOrphaned => "organisation-orphaned",
            Refusal::OwnConfirmation => "own-confirmation",
            Refusal::MemberNotWaiting => "member-not-waiting",
            Refusal::ProofAwaited => "proof-awaited",
            Refusal::AdministratorNeeded => "administrator-needed",
            Refusal::OneOrganisationOnly => "one-organisation-only",
            Refusal::DnsNameNeeded => "dns-name-needed",
            Refusal::TooManyOpenProofs { .. } => "too-many-open-proofs",
            Refusal::TooManyIdentifiers { .. } => "too-many-identifiers",
            Refusal::ValidityRefused { .. } => "validity-refused",
            Refusal::OrderNotReady { .. } => "order-not-ready",
            Refusal::OrderVoid { .. } => "order-void",
            Refusal::OrderExpired => "order-expired",
            Refusal::AuthorizationEnded { .. } => "authorization-ended",
            Refusal::OtherChallengeProcessing => "other-challenge-processing",
            Refusal::NoWildcardInAdvance => "no-wildcard-in-advance",
            Refusal::BadCsr { .. } => "bad-csr",
            Refusal::AlreadyReplaced => "already-replaced",
            Refusal::ReplacesUnknown => "replaces-unknown",
            Refusal::CertificateUnknown => "certificate-unknown",
            Refusal::AlreadyRevoked => "already-revoked",
            Refusal::CertificateExpired { .. } => "certificate-expired",
            Refusal::BadRevocationReason { .. } => "bad-revocation-reason",
            Refusal::RateLimited { .. } => "rate-limited",
        }
    }

    /// Whether the audit trail records it: a refusal on organisation, unit, zone, profile or limit.
    pub fn is_audited(&self) -> bool {
        match self {
            Refusal::NotAMember
            | Refusal::MembershipPending
            | Refusal::MembershipEnded { .. }
            | Refusal::AuditorsOrderNothing
            | Refusal::RoleNeeded { .. }
            | Refusal::LastAdministrator
            | Refusal::OrganisationNotVerified
            | Refusal::OrganisationLapsed { .. }
            | Refusal::OrganisationSuspended { .. }
            | Refusal::UnitNotResolvable
            | Refusal::UnitRejected { .. }
            | Refusal::UnitNotAllowed { .. }
            | Refusal::NameTooLong { .. }
            | Refusal::ProfileNotAllowed { .. }
            | Refusal::ProfileNeeded { .. }
            | Refusal::TestOrganisation { .. }
            | Refusal::IdentifiersRejected { .. }
            | Refusal::OrganisationRejected { .. }
            | Refusal::OrganisationOrphaned
            | Refusal::OwnConfirmation
            | Refusal::AdministratorNeeded
            | Refusal::TooManyIdentifiers { .. }
            | Refusal::ValidityRefused { .. } => true,
            Refusal::AccountDoesNotExist
            | Refusal::AccountDeactivated
            | Refusal::AccountRevoked { .. }
            | Refusal::TermsNotAgreed { .. }
            | Refusal::TermsChanged { .. }
            | Refusal::InvalidContact { .. }
            | Refusal::UnsupportedContact { .. }
            | Refusal::ExternalAccountRequired
            | Refusal::BindingRefused
            | Refusal::BadAccountKey { .. }
            | Refusal::KeyInUse { .. }
            | Refusal::Malformed { .. }
            | Refusal::NotFound
            | Refusal::VersionDiffers { .. }
            | Refusal::RepeatDiffers
            | Refusal::IdentifiersUnsupported { .. }
            | Refusal::IdentifierAlias { .. }
            | Refusal::MemberNotWaiting
            | Refusal::ProofAwaited
            | Refusal::OneOrganisationOnly
            | Refusal::DnsNameNeeded
            | Refusal::TooManyOpenProofs { .. }
            | Refusal::OrderNotReady { .. }
            | Refusal::OrderVoid { .. }
            | Refusal::OrderExpired
            | Refusal::AuthorizationEnded { .. }
            | Refusal::OtherChallengeProcessing
            | Refusal::NoWildcardInAdvance
            | Refusal::BadCsr { .. }
            | Refusal::AlreadyReplaced
            | Refusal::ReplacesUnknown
            | Refusal::CertificateUnknown
            | Refusal::AlreadyRevoked
            | Refusal::CertificateExpired { .. }
            | Refusal::BadRevocationReason { .. }
            | Refusal::RateLimited { .. } => false,
        }
    }
}
