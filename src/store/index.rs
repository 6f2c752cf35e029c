//! The indexes. Each record's entries follow from the record by one pure function here; no caller names an index key of
//! its own making, except to look one up.

use super::audit::AuditSegment;
use super::record::{Kind, Record, from_json, to_json};
use super::{Counter, StoreError};
use crate::acme::identifier::Identifier;
use crate::acme::jwk::Thumbprint;
use crate::model::audit::AuditEntry;
use crate::model::{
    Account, Authorization, BlockedKey, Certificate, CertificateDer, ChallengeProgress, DIGEST, EvidenceDocument,
    Invitation, Mandate, Membership, MembershipState, Order, Organisation, OrganisationEvent, Progress, Publication,
    Register, Repeat, RowId, SpentProof, Stage, TermsPage, UnitRow, Verification,
};
use crate::names::{
    AccountId, AuthorizationId, BusinessId, CertificateId, EventId, InvitationId, IssuerName, MandateId, OrderId,
    OrganisationId, SerialNumber, TermsPageId, UnitOid,
};
use crate::register::Source;
use crate::time::Timestamp;

macro_rules! indexes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// An index. Unique ones name one record; listing ones hold `owner || id` with an empty value, so that a page's
        /// cursor is the last id.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Index { $($(#[$doc])* $variant,)* }

        impl Index {
            /// Every index.
            pub const ALL: &[Index] = &[$(Index::$variant,)*];

            /// The name of the index's tree. Never changed once released.
            pub const fn name(self) -> &'static str {
                match self { $(Index::$variant => $name,)* }
            }
        }
    };
}

indexes! {
    /// Unique: an account by its key's thumbprint.
    AccountByKey = "account-by-key",
    /// Unique: an organisation by its Business ID.
    OrganisationByBusinessId = "organisation-by-business-id",
    /// Unique: an authorization by the id of one of its challenges.
    AuthorizationByChallenge = "authorization-by-challenge",
    /// Unique: a certificate by issuer and serial number.
    CertificateBySerial = "certificate-by-serial",
    /// All organisations.
    Organisations = "organisations",
    /// Members (account ids) by organisation.
    MembersByOrganisation = "members-by-organisation",
    /// Members (account ids) by invitation.
    MembersByInvitation = "members-by-invitation",
    /// Invitations by organisation.
    InvitationsByOrganisation = "invitations-by-organisation",
    /// Invitations by the account that made them.
    InvitationsByInviter = "invitations-by-inviter",
    /// Mandates by Business ID.
    MandatesByBusinessId = "mandates-by-business-id",
    /// Events by organisation.
    EventsByOrganisation = "events-by-organisation",
    /// Requests with an idempotency key by the time until which they are remembered.
    RepeatsByExpiry = "repeats-by-expiry",
    /// Accounts that no external binding brought and that never were members, by last change: candidates for removal.
    UnboundAccounts = "unbound-accounts",
    /// Orders by account, but for failed ones.
    OrdersByAccount = "orders-by-account",
    /// Orders by organisation, failed ones included; behind the order's id stands its account's.
    OrdersByOrganisation = "orders-by-organisation",
    /// Orders that the worker has to finish, by time.
    OrdersProcessing = "orders-processing",
    /// Orders by the time at which they end.
    OrdersByExpiry = "orders-by-expiry",
    /// Authorizations with a proof, by account and identifier.
    AuthorizationsByIdentifier = "authorizations-by-identifier",
    /// Authorizations that the worker has to validate, by the time at which they are due.
    ValidationsDue = "validations-due",
    /// Authorizations by account, as long as a challenge is answered and undecided, whoever decides it.
    AuthorizationsAnswered = "authorizations-answered",
    /// Authorizations of organisations by account, until they are decided or ended.
    OrganisationsUnproved = "organisations-unproved",
    /// Unique: an authorization by the reference of its application to registration officers.
    AuthorizationByReference = "authorization-by-reference",
    /// Authorizations that registration officers have to decide, by the time of the application.
    ApplicationsOpen = "applications-open",
    /// Organisations by the time at which they are to be told that their verification ends.
    OrganisationsToTell = "organisations-to-tell",
    /// Spent proofs by the time at which they can be forgotten.
    SpentProofsByEnd = "spent-proofs-by-end",
    /// What clients showed, by the time at which it is removed.
    EvidenceByEnd = "evidence-by-end",
    /// Authorizations by the time at which they end.
    AuthorizationsByExpiry = "authorizations-by-expiry",
    /// All certificates.
    Certificates = "certificates",
    /// Certificates by account.
    CertificatesByAccount = "certificates-by-account",
    /// Certificates by organisation.
    CertificatesByOrganisation = "certificates-by-organisation",
    /// Certificates by organisation and end of validity.
    CertificatesByEnd = "certificates-by-end",
    /// Certificates by organisation, unit and end of validity.
    CertificatesByUnit = "certificates-by-unit",
    /// Revoked certificates by organisation and time of revocation; abandoned ones are not among them.
    RevokedByOrganisation = "revoked-by-organisation",
    /// Certificates by the hash of their public key.
    CertificatesByKey = "certificates-by-key",
    /// Certificates that are prepared and not yet issued, by time.
    CertificatesPrepared = "certificates-prepared",
    /// Revoked and abandoned certificates, by issuer and shard.
    RevokedByShard = "revoked-by-shard",
    /// Those of them that no CRL lists yet, by issuer and shard.
    Unpublished = "unpublished",
    /// CRLs by the time at which the next one is due.
    PublicationsDue = "publications-due",
    /// States of register rows by OID; the rest is the generation and, but for the first row, the part.
    UnitRows = "unit-rows",
    /// Register rows by Business ID; the rest is the row's own key.
    UnitsByBusinessId = "units-by-business-id",
    /// Register rows by parent; the rest is the row's own key.
    UnitsByParent = "units-by-parent",
    /// Register rows by each word of their names, a zero after it; the rest is the row's own key.
    UnitsByName = "units-by-name",
    /// All register rows: OID, generation, part, source and a digest of what the row says. An import compares with these and
    /// reads no row that has not changed.
    UnitVersions = "unit-versions",
    /// Terms pages by the time at which they end.
    TermsPagesByExpiry = "terms-pages-by-expiry",
}

/// One entry of an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The index.
    pub index: Index,
    /// The whole key.
    pub key: Vec<u8>,
    /// The record's key, in unique indexes only.
    pub target: Option<Vec<u8>>,
}

impl Entry {
    fn unique(index: Index, key: impl Into<Vec<u8>>, target: &[u8]) -> Self {
        Entry { index, key: key.into(), target: Some(target.to_vec()) }
    }

    fn listed(index: Index, owner: &[u8], id: &[u8]) -> Self {
        Entry { index, key: [owner, id].concat(), target: None }
    }
}

/// What index entries a record has.
pub trait Indexed {
    /// The record's entries.
    fn entries(&self) -> Vec<Entry>;
}

/// The key of [`Index::AccountByKey`].
pub fn account_by_key(thumbprint: &Thumbprint) -> Vec<u8> {
    thumbprint.as_bytes().to_vec()
}

/// The key of [`Index::CertificateBySerial`].
pub fn certificate_by_serial(issuer: &IssuerName, serial: &SerialNumber) -> Vec<u8> {
    [issuer.as_str().as_bytes(), &[0], &serial.store_key()].concat()
}

/// The owner part of [`Index::RevokedByShard`] and [`Index::Unpublished`], and the key of a [`Publication`].
pub fn shard(issuer: &IssuerName, shard: u16) -> Vec<u8> {
    [issuer.as_str().as_bytes(), &[0], &shard.to_be_bytes()].concat()
}

/// Issuer and shard in a key that [`shard`] made.
pub fn shard_parts(key: &[u8]) -> Option<(IssuerName, u16)> {
    let (name, shard) = key.split_at_checked(key.len().checked_sub(3)?)?;
    let name = std::str::from_utf8(name).ok()?.parse().ok()?;
    Some((name, u16::from_be_bytes(shard.get(1..)?.try_into().ok()?)))
}

/// The owner part of [`Index::AuthorizationsByIdentifier`].
pub fn account_and_identifier(account: &AccountId, identifier: &Identifier) -> Vec<u8> {
    [account.as_bytes().as_slice(), identifier.kind().as_bytes(), &[0], identifier.value().as_bytes(), &[0]].concat()
}

/// The owner part of [`Index::UnitRows`] and [`Index::UnitsByParent`].
pub fn unit(oid: &UnitOid) -> Vec<u8> {
    [oid.as_str().as_bytes(), &[0]].concat()
}

/// The owner part of [`Index::CertificatesByUnit`].
pub fn organisation_and_unit(organisation: &OrganisationId, unit_oid: &UnitOid) -> Vec<u8> {
    [organisation.as_bytes().as_slice(), &unit(unit_oid)].concat()
}

/// The rest of a key that is ordered by time, then by id.
fn timed(time: Timestamp, id: &[u8]) -> Vec<u8> {
    [time.to_be_bytes().as_slice(), id].concat()
}

/// The owner part of [`Index::UnitsByBusinessId`] and [`Index::MandatesByBusinessId`].
pub fn business_id(id: &BusinessId) -> Vec<u8> {
    [id.as_str().as_bytes(), &[0]].concat()
}

/// Generation and part, as they end the key of a register row: the first part is left out.
fn state(generation: u64, part: u8) -> Vec<u8> {
    let mut octets = generation.to_be_bytes().to_vec();
    octets.extend((part > 0).then_some(part));
    octets
}

/// Generation and part in what follows the OID of a key of [`Index::UnitRows`].
pub fn state_parts(rest: &[u8]) -> Option<(u64, u8)> {
    let (generation, part) = rest.split_first_chunk()?;
    let part = match part {
        [] => 0,
        [part] => *part,
        _ => return None,
    };
    Some((u64::from_be_bytes(*generation), part))
}

/// The row that the rest of a key of [`Index::UnitsByBusinessId`] or [`Index::UnitsByParent`] names.
pub fn unit_row(rest: &[u8]) -> Option<RowId> {
    let end = rest.iter().position(|octet| *octet == 0)?;
    let (oid, state) = rest.split_at_checked(end)?;
    let (generation, part) = state_parts(state.get(1..)?)?;
    Some((std::str::from_utf8(oid).ok()?.parse().ok()?, generation, part))
}

/// The row in the rest of a key of [`Index::UnitsByName`] of which only the beginning of the word was given.
pub fn named_unit_row(rest: &[u8]) -> Option<RowId> {
    let end = rest.iter().position(|octet| *octet == 0)?;
    unit_row(rest.get(end + 1..)?)
}

/// What a key of [`Index::UnitVersions`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitVersion {
    /// The row.
    pub id: RowId,
    /// Where it came from.
    pub source: Source,
    /// The digest of what it says.
    pub digest: [u8; DIGEST],
}

impl UnitVersion {
    /// The version that a key is of.
    pub fn of(key: &[u8]) -> Option<Self> {
        let end = key.iter().position(|octet| *octet == 0)?;
        let oid = std::str::from_utf8(key.get(..end)?).ok()?.parse().ok()?;
        let (generation, rest) = key.get(end + 1..)?.split_first_chunk()?;
        let (&[part, source], digest) = rest.split_first_chunk()?;
        let source = Source::ALL.into_iter().find(|known| source_octet(*known) == source)?;
        Some(UnitVersion { id: (oid, u64::from_be_bytes(*generation), part), source, digest: digest.try_into().ok()? })
    }
}

/// A source in a key. Never changed once released.
const fn source_octet(source: Source) -> u8 {
    match source {
        Source::Csv => 1,
        Source::Thl => 2,
        Source::Pharmacy => 3,
        Source::Practitioner => 4,
    }
}

impl Indexed for Account {
    fn entries(&self) -> Vec<Entry> {
        let mut entries =
            vec![Entry::unique(Index::AccountByKey, account_by_key(&self.key.thumbprint()), self.id.as_bytes())];
        if self.binding.is_none() && !self.bound {
            entries.push(Entry::listed(Index::UnboundAccounts, &self.touched.to_be_bytes(), self.id.as_bytes()));
        }
        entries
    }
}

impl Indexed for Membership {
    fn entries(&self) -> Vec<Entry> {
        let mut entries = match self.state {
            MembershipState::Member | MembershipState::Pending { .. } => {
                vec![Entry::listed(Index::MembersByOrganisation, self.organisation.as_bytes(), self.account.as_bytes())]
            }
            MembershipState::Removed { .. } => Vec::new(),
        };
        if let Some(invitation) = &self.invitation {
            entries.push(Entry::listed(Index::MembersByInvitation, invitation.as_bytes(), self.account.as_bytes()));
        }
        entries
    }
}

impl Indexed for Organisation {
    fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![
            Entry::unique(Index::OrganisationByBusinessId, self.business_id.as_str(), self.id.as_bytes()),
            Entry::listed(Index::Organisations, &[], self.id.as_bytes()),
        ];
        if let Some(at) = self.verification.as_ref().and_then(Verification::tell_at) {
            entries.push(Entry::listed(Index::OrganisationsToTell, &at.to_be_bytes(), self.id.as_bytes()));
        }
        entries
    }
}

impl Indexed for Invitation {
    fn entries(&self) -> Vec<Entry> {
        let id = self.id.as_bytes();
        let mut entries = vec![Entry::listed(Index::InvitationsByOrganisation, self.organisation.as_bytes(), id)];
        if let Some(inviter) = &self.inviter {
            entries.push(Entry::listed(Index::InvitationsByInviter, inviter.as_bytes(), id));
        }
        entries
    }
}

impl Indexed for Mandate {
    fn entries(&self) -> Vec<Entry> {
        vec![Entry::listed(Index::MandatesByBusinessId, &business_id(&self.business_id), self.id.as_bytes())]
    }
}

impl Indexed for OrganisationEvent {
    fn entries(&self) -> Vec<Entry> {
        vec![Entry::listed(Index::EventsByOrganisation, self.organisation.as_bytes(), self.id.as_bytes())]
    }
}

impl Indexed for Repeat {
    fn entries(&self) -> Vec<Entry> {
        vec![Entry::listed(Index::RepeatsByExpiry, &self.expires.to_be_bytes(), &self.own_key())]
    }
}

impl Indexed for UnitRow {
    fn entries(&self) -> Vec<Entry> {
        let oid = unit(&self.oid);
        let state = state(self.generation, self.part);
        let own = [oid.as_slice(), &state].concat();
        let version =
            [&self.generation.to_be_bytes()[..], &[self.part, source_octet(self.source)], &self.digest()].concat();
        let mut entries =
            vec![Entry::listed(Index::UnitRows, &oid, &state), Entry::listed(Index::UnitVersions, &oid, &version)];
        if let Some(id) = &self.business_id {
            entries.push(Entry::listed(Index::UnitsByBusinessId, &business_id(id), &own));
        }
        if let Some(parent) = &self.parent {
            entries.push(Entry::listed(Index::UnitsByParent, &unit(parent), &own));
        }
        let words = self.name_words().into_iter();
        entries.extend(words.map(|word| Entry::listed(Index::UnitsByName, &[word.as_bytes(), &[0]].concat(), &own)));
        entries
    }
}

impl Indexed for Register {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

impl Indexed for Order {
    fn entries(&self) -> Vec<Entry> {
        let by_organisation = [self.id.as_bytes().as_slice(), self.account.as_bytes()].concat();
        let mut entries = vec![
            Entry::listed(Index::OrdersByExpiry, &self.expires.to_be_bytes(), self.id.as_bytes()),
            Entry::listed(Index::OrdersByOrganisation, self.organisation.as_bytes(), &by_organisation),
        ];
        match &self.progress {
            Progress::Open | Progress::Issued { .. } => {
                entries.push(Entry::listed(Index::OrdersByAccount, self.account.as_bytes(), self.id.as_bytes()));
            }
            Progress::Processing { since, .. } => {
                entries.push(Entry::listed(Index::OrdersByAccount, self.account.as_bytes(), self.id.as_bytes()));
                entries.push(Entry::listed(Index::OrdersProcessing, &since.to_be_bytes(), self.id.as_bytes()));
            }
            // RFC 8555 §7.1.2.1: the list should not include invalid orders.
            Progress::Failed { .. } => {}
        }
        entries
    }
}

impl Indexed for Authorization {
    fn entries(&self) -> Vec<Entry> {
        let id = self.id.as_bytes();
        let going_on = self.deactivated.is_none();
        let mut entries = vec![Entry::listed(Index::AuthorizationsByExpiry, &self.expires.to_be_bytes(), id)];
        for challenge in &self.challenges {
            entries.push(Entry::unique(Index::AuthorizationByChallenge, *challenge.id.as_bytes(), id));
            if let Some(reference) = challenge.kind.reference() {
                entries.push(Entry::unique(Index::AuthorizationByReference, reference, id));
            }
            match challenge.progress {
                ChallengeProgress::Processing { due, .. } if going_on => {
                    entries.push(Entry::listed(Index::ValidationsDue, &due.to_be_bytes(), id));
                }
                ChallengeProgress::UnderReview { since, .. } if going_on => {
                    entries.push(Entry::listed(Index::ApplicationsOpen, &since.to_be_bytes(), id));
                }
                ChallengeProgress::Valid { .. } if going_on => {
                    let owner = account_and_identifier(&self.account, &self.identifier);
                    entries.push(Entry::listed(Index::AuthorizationsByIdentifier, &owner, id));
                }
                ChallengeProgress::Pending
                | ChallengeProgress::Restarted { .. }
                | ChallengeProgress::Processing { .. }
                | ChallengeProgress::UnderReview { .. }
                | ChallengeProgress::Valid { .. }
                | ChallengeProgress::Invalid { .. } => {}
            }
        }
        if going_on && self.granted.is_some() {
            let owner = account_and_identifier(&self.account, &self.identifier);
            entries.push(Entry::listed(Index::AuthorizationsByIdentifier, &owner, id));
        }
        if going_on && self.answered_challenge().is_some() {
            entries.push(Entry::listed(Index::AuthorizationsAnswered, self.account.as_bytes(), id));
        }
        if going_on && self.granted.is_none() && self.identifier.is_of_organisations() && !self.is_decided() {
            entries.push(Entry::listed(Index::OrganisationsUnproved, self.account.as_bytes(), id));
        }
        entries
    }
}

impl Indexed for SpentProof {
    fn entries(&self) -> Vec<Entry> {
        vec![Entry::listed(Index::SpentProofsByEnd, &self.until.to_be_bytes(), &self.hash)]
    }
}

impl Indexed for EvidenceDocument {
    fn entries(&self) -> Vec<Entry> {
        vec![Entry::listed(Index::EvidenceByEnd, &self.until.to_be_bytes(), self.authorization.as_bytes())]
    }
}

impl Indexed for Certificate {
    fn entries(&self) -> Vec<Entry> {
        let id = self.id.as_bytes();
        let serial = certificate_by_serial(&self.issuer, &self.serial);
        let mut entries = vec![
            Entry::unique(Index::CertificateBySerial, serial, id),
            Entry::listed(Index::Certificates, &[], id),
            Entry::listed(Index::CertificatesByAccount, self.account.as_bytes(), id),
            Entry::listed(Index::CertificatesByOrganisation, self.organisation.as_bytes(), id),
            Entry::listed(Index::CertificatesByEnd, self.organisation.as_bytes(), &timed(self.not_after, id)),
            Entry::listed(
                Index::CertificatesByUnit,
                &organisation_and_unit(&self.organisation, &self.unit),
                &timed(self.not_after, id),
            ),
            Entry::listed(Index::CertificatesByKey, &self.spki_sha256, id),
        ];
        if let Stage::Prepared { at, .. } = &self.stage {
            entries.push(Entry::listed(Index::CertificatesPrepared, &at.to_be_bytes(), id));
        }
        if self.revoked().is_some() {
            entries.push(Entry::listed(Index::RevokedByShard, &shard(&self.issuer, self.shard), id));
        }
        if let (Some(revocation), Stage::Issued { .. }) = (&self.revocation, &self.stage) {
            let rest = timed(revocation.at, id);
            entries.push(Entry::listed(Index::RevokedByOrganisation, self.organisation.as_bytes(), &rest));
        }
        if self.is_unpublished() {
            entries.push(Entry::listed(Index::Unpublished, &shard(&self.issuer, self.shard), id));
        }
        entries
    }
}

impl Indexed for CertificateDer {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

impl Indexed for Publication {
    fn entries(&self) -> Vec<Entry> {
        let key = shard(&self.issuer, self.shard);
        vec![Entry::listed(Index::PublicationsDue, &self.due.to_be_bytes(), &key)]
    }
}

impl Indexed for BlockedKey {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

impl Indexed for TermsPage {
    fn entries(&self) -> Vec<Entry> {
        vec![Entry::listed(Index::TermsPagesByExpiry, &self.expires.to_be_bytes(), self.id.as_bytes())]
    }
}

impl Indexed for AuditSegment {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

impl Indexed for AuditEntry {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

/// A JSON record: its kind, its id and how a key follows from each.
macro_rules! json_record {
    ($record:ty, $kind:ident, $id:ty, |$key:ident| $from_id:expr, |$own:ident| $from_record:expr) => {
        impl Record for $record {
            type Id = $id;
            const KIND: Kind = Kind::$kind;

            fn key($key: &$id) -> Vec<u8> {
                $from_id
            }

            fn own_key(&self) -> Vec<u8> {
                let $own = self;
                $from_record
            }

            fn encode(&self) -> Vec<u8> {
                to_json(self)
            }

            fn decode(bytes: &[u8], schema: u8) -> Result<Self, StoreError> {
                known_schema(Self::KIND, schema, Self::SCHEMA)?;
                from_json(Self::KIND, bytes)
            }
        }
    };
}

json_record!(Account, Account, AccountId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(Membership, Membership, AccountId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.account));
json_record!(Organisation, Organisation, OrganisationId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(Invitation, Invitation, InvitationId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(Mandate, Mandate, MandateId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(OrganisationEvent, Event, EventId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(Repeat, Repeat, (AccountId, [u8; 32]), |id| [id.0.as_bytes().as_slice(), &id.1].concat(), |r| {
    Self::key(&(r.account, r.key))
});
json_record!(Order, Order, OrderId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(Authorization, Authorization, AuthorizationId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(Certificate, Certificate, CertificateId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(BlockedKey, BlockedKey, [u8; 32], |hash| hash.to_vec(), |r| Self::key(&r.spki_sha256));
json_record!(TermsPage, TermsPage, TermsPageId, |id| id.as_bytes().to_vec(), |r| Self::key(&r.id));
json_record!(SpentProof, SpentProof, [u8; 32], |hash| hash.to_vec(), |r| Self::key(&r.hash));
json_record!(EvidenceDocument, EvidenceDocument, AuthorizationId, |id| id.as_bytes().to_vec(), |r| Self::key(
    &r.authorization
));
json_record!(AuditEntry, Audit, u64, |number| number.to_be_bytes().to_vec(), |r| Self::key(&r.number));
json_record!(AuditSegment, AuditSegment, u64, |first| first.to_be_bytes().to_vec(), |r| Self::key(&r.first));
json_record!(Register, Register, (), |_id| b"register".to_vec(), |_r| Self::key(&()));
json_record!(Publication, Publication, (IssuerName, u16), |id| shard(&id.0, id.1), |r| shard(&r.issuer, r.shard));
json_record!(UnitRow, Unit, RowId, |id| [unit(&id.0), state(id.1, id.2)].concat(), |r| [
    unit(&r.oid),
    state(r.generation, r.part)
]
.concat());

impl Record for CertificateDer {
    type Id = CertificateId;
    const KIND: Kind = Kind::CertificateDer;

    fn key(id: &CertificateId) -> Vec<u8> {
        id.as_bytes().to_vec()
    }

    fn own_key(&self) -> Vec<u8> {
        Self::key(&self.id)
    }

    /// The id, then the DER: a record knows its own key.
    fn encode(&self) -> Vec<u8> {
        [self.id.as_bytes().as_slice(), &self.der].concat()
    }

    fn decode(bytes: &[u8], schema: u8) -> Result<Self, StoreError> {
        known_schema(Self::KIND, schema, Self::SCHEMA)?;
        let damaged = || StoreError::Damaged("a certificate's DER without its id".into());
        let (id, der) = bytes.split_at_checked(16).ok_or_else(damaged)?;
        Ok(CertificateDer { id: CertificateId::try_from(id).map_err(|_| damaged())?, der: der.to_vec() })
    }
}

fn known_schema(kind: Kind, found: u8, known: u8) -> Result<(), StoreError> {
    if found == known {
        return Ok(());
    }
    let name = kind.name();
    Err(StoreError::Damaged(format!("a record of kind {name} has schema {found}; this program knows {known}")))
}

impl Counter {
    /// The counter of an invitation's uses.
    pub fn uses_left(invitation: &Invitation) -> Self {
        Counter::UsesLeft(invitation.id)
    }
}
