//! Organisations prove themselves: what a proof, once it is good in itself, makes of the account and of the organisation.
//! Everything happens in one commit: the challenge becomes valid, what may be shown once is remembered, the account is bound,
//! the organisation made or renewed. The rules are in `model/verification.rs`; how a proof begins is in `beginnings.rs`.

mod beginnings;
mod lapse;

pub(super) use beginnings::granted;

use super::authorizations::conclusion;
use super::{Attempt, Authority, Result};
use crate::model::audit::{Act, Actor, Event};
use crate::model::verification::{ProofFacts, ProofRefused, Proved, ProvedStanding, proved};
use crate::model::{
    Account, Authorization, Awaited, Challenge, EventKind, EventSubject, Evidence, EvidenceDocument, Mandate,
    Membership, Organisation, OrganisationEvent, PersonHash, Register, Role, SpentProof, UniqueKind,
};
use crate::names::{BusinessId, MandateId, OrganisationId, OrganisationIdentifier, ProfileName};
use crate::store::index::{self, Index};
use crate::store::{Change, Counter, Range, Read};
use crate::time::Timestamp;

/// A proof of an answered challenge, good in itself, with the account whose present key answered it.
#[derive(Clone, Copy)]
pub(super) struct Proving<'a> {
    pub(super) authorization: &'a Read<Authorization>,
    pub(super) challenge: &'a Challenge,
    pub(super) account: &'a Read<Account>,
    pub(super) evidence: &'a Evidence,
    /// The acts of officers that decided it, for the audit trail.
    pub(super) acts: &'a [Event],
}

/// The records behind a proof of an organisation, as they were read.
struct Found {
    membership: Option<Read<Membership>>,
    organisation: Option<Read<Organisation>>,
    administered: bool,
    register: Option<Read<Register>>,
    mandate: Option<Read<Mandate>>,
    spent: Option<UniqueKind>,
}

/// An organisation has few mandates at once; beyond this many, the newest count.
const MOST_MANDATES: usize = 1_000;

impl Authority {
    /// Concludes the proof of an organisation: valid with all that follows, or invalid with the reason.
    pub(super) async fn conclude_organisation(
        &self,
        proving: Proving<'_>,
        identifier: &OrganisationIdentifier,
        now: Timestamp,
    ) -> Result<Attempt<()>> {
        let found = self.found(proving, identifier, now).await?;
        let rows = self.rows_naming(&identifier.business_id(), now).await?;
        let facts = ProofFacts {
            identifier,
            method: proving.challenge.kind.challenge_type(),
            authorization: proving.authorization.id,
            evidence: proving.evidence,
            account: proving.account,
            membership: found.membership.as_deref(),
            organisation: found.organisation.as_deref(),
            administered: found.administered,
            rows: &rows,
            mandate: found.mandate.as_deref(),
            spent: found.spent,
            lifetime: self.settings.verification_lifetime,
        };
        let changes = match proved(facts, now) {
            Ok(proved) => self.verifying(proving, &found, &proved, identifier, now),
            Err(refused) => self.refusing(proving, &refused, now),
        };
        self.commit(changes, ()).await
    }

    async fn found(&self, proving: Proving<'_>, identifier: &OrganisationIdentifier, now: Timestamp) -> Result<Found> {
        let business_id = identifier.business_id();
        let organisation =
            self.store.lookup::<Organisation>(Index::OrganisationByBusinessId, business_id.as_str().as_bytes()).await?;
        let administered = match &organisation {
            Some(organisation) => self.was_ever_administered(organisation.id).await?,
            None => false,
        };
        Ok(Found {
            membership: self.store.get::<Membership>(&proving.account.id).await?,
            organisation,
            administered,
            register: self.store.get::<Register>(&()).await?,
            mandate: match &proving.evidence.person {
                Some(person) => self.mandate_for(&business_id, person, now).await?,
                None => None,
            },
            spent: self.spent(proving.evidence).await?,
        })
    }

    /// Whether an organisation has, or ever had, administrators.
    pub(super) async fn was_ever_administered(&self, id: OrganisationId) -> Result<bool> {
        let ever = self.store.count(Counter::AdministratorsEver(id)).await?;
        Ok(ever > 0 || self.store.count(Counter::Administrators(id)).await? > 0)
    }

    async fn mandate_for(
        &self,
        organisation: &BusinessId,
        person: &PersonHash,
        now: Timestamp,
    ) -> Result<Option<Read<Mandate>>> {
        let range = Range::of(Index::MandatesByBusinessId, index::business_id(organisation), MOST_MANDATES);
        for id in self.store.list(range).await?.iter().rev() {
            let Ok(id) = MandateId::try_from(id.as_slice()) else { continue };
            let mandate = self.store.get::<Mandate>(&id).await?;
            if let Some(mandate) = mandate.filter(|mandate| mandate.covers(person, now)) {
                return Ok(Some(mandate));
            }
        }
        Ok(None)
    }

    async fn spent(&self, evidence: &Evidence) -> Result<Option<UniqueKind>> {
        for unique in &evidence.unique {
            if self.store.get::<SpentProof>(&unique.hash).await?.is_some() {
                return Ok(Some(unique.kind));
            }
        }
        Ok(None)
    }

    /// What makes the challenge valid, with all that follows from it.
    fn verifying(
        &self,
        proving: Proving<'_>,
        found: &Found,
        proved: &Proved,
        identifier: &OrganisationIdentifier,
        now: Timestamp,
    ) -> Vec<Change> {
        let Proving { authorization, challenge, account, evidence, acts } = proving;
        let document = self.document(authorization, challenge, now);
        let evidence = Evidence { document: document.as_ref().map(EvidenceDocument::hash), ..evidence.clone() };
        let after = authorization.proved(challenge.id, evidence.clone(), proved.verification.expires, now);
        let mut changes = vec![authorization.replace(&after), account.replace(&account.bound(now))];
        changes.extend(document.as_ref().map(Change::insert));
        changes.extend(evidence.unique.iter().map(|unique| {
            let (hash, kind, until) = (unique.hash, unique.kind, unique.until);
            Change::insert(&SpentProof { hash, kind, authorization: authorization.id, until })
        }));
        changes.extend(found.mandate.as_ref().map(Read::expect));
        changes.extend(found.register.as_ref().map(Read::expect));
        changes.extend(acts.iter().cloned().chain(conclusion(&after, now)).map(Change::Audit));
        let organisation = self.organisation_after(found, proved, identifier, now, &mut changes);
        changes.extend(member_after(account, found, proved, organisation, now));
        changes
    }

    /// The organisation that was proved: made, renewed, or as it is.
    fn organisation_after(
        &self,
        found: &Found,
        proved: &Proved,
        identifier: &OrganisationIdentifier,
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) -> OrganisationId {
        let account = proved.verification.account;
        let actor = account.map_or(Actor::Server, Actor::Account);
        let id = match &found.organisation {
            Some(organisation) if proved.standing.verifies() => {
                changes.push(organisation.replace(&organisation.verified(proved.verification.clone())));
                organisation.id
            }
            Some(organisation) => {
                changes.push(organisation.expect());
                return organisation.id;
            }
            None => {
                let organisation = self.new_organisation(identifier.business_id(), proved, now);
                changes.push(Change::insert(&organisation));
                let added = Event::done(now, actor.clone(), Act::OrganisationAdded)
                    .on("organisation", organisation.id)
                    .with("business-id", &organisation.business_id);
                changes.push(Change::Audit(added));
                let told = OrganisationEvent::new(organisation.id, EventKind::OrganisationAdded, actor.clone(), now);
                changes.push(Change::insert(&told));
                organisation.id
            }
        };
        let verification = &proved.verification;
        let verified = Event::done(now, actor.clone(), Act::OrganisationVerified)
            .on("organisation", id)
            .with("method", &verification.method)
            .with("expires", verification.expires);
        let told = OrganisationEvent::new(id, EventKind::OrganisationVerified, actor, now)
            .with("method", &verification.method)
            .with("expires", verification.expires);
        changes.extend([Change::Audit(verified), Change::insert(&told)]);
        id
    }

    /// An organisation that has just proved itself, with the configured limits.
    fn new_organisation(&self, business_id: BusinessId, proved: &Proved, now: Timestamp) -> Organisation {
        let defaults = &self.settings.organisations.defaults;
        let products = || self.profiles().filter(|profile| !profile.test).map(|profile| profile.name.clone());
        let profiles: Vec<ProfileName> = match defaults.profiles.as_slice() {
            [] => products().collect(),
            named => named.to_vec(),
        };
        Organisation {
            id: OrganisationId::mint(now),
            business_id,
            language: defaults.language,
            test: false,
            profiles,
            zones: defaults.zones.clone(),
            verification: Some(proved.verification.clone()),
            suspended: None,
            orders_void: None,
            terms: None,
            created: now,
        }
    }

    /// What makes the challenge invalid with the reason.
    pub(super) fn refusing(&self, proving: Proving<'_>, refused: &ProofRefused, now: Timestamp) -> Vec<Change> {
        let Proving { authorization, challenge, account, evidence: _, acts } = proving;
        let after = authorization.refuted(challenge.id, refused.problem(), now);
        let event = Event::refused(now, Actor::Account(account.id), Act::AuthorizationInvalid, refused.rule())
            .on("authorization", authorization.id)
            .on("account", account.id)
            .with("identifier", &authorization.identifier)
            .with("method", challenge.kind.challenge_type().label());
        let document = self.document(authorization, challenge, now);
        let event = match &document {
            Some(document) => event.proved_by(document.content.as_bytes()),
            None => event,
        };
        let mut changes = vec![authorization.replace(&after), account.expect()];
        changes.extend(acts.iter().cloned().chain([event]).map(Change::Audit));
        changes.extend(document.as_ref().map(Change::insert));
        changes
    }

    /// What was answered to the challenge that has just decided an authorization, to be kept apart.
    pub(super) fn kept_document(
        &self,
        before: &Authorization,
        after: &Authorization,
        now: Timestamp,
    ) -> Option<EvidenceDocument> {
        let challenge = before.answered_challenge().filter(|_| after.is_decided())?;
        self.document(before, challenge, now)
    }

    fn document(
        &self,
        authorization: &Authorization,
        challenge: &Challenge,
        now: Timestamp,
    ) -> Option<EvidenceDocument> {
        let until = now.plus(self.settings.organisations.evidence_lifetime);
        let content = challenge.document()?;
        Some(EvidenceDocument { authorization: authorization.id, content, until })
    }
}

/// What the account becomes in the organisation.
fn member_after(
    account: &Account,
    found: &Found,
    proved: &Proved,
    organisation: OrganisationId,
    now: Timestamp,
) -> Vec<Change> {
    let administrator = || Membership::administrator(account.id, organisation, now);
    let present = found.membership.as_ref();
    let after = match proved.standing {
        ProvedStanding::FirstAdministrator | ProvedStanding::InvitedAdministrator => match present {
            Some(membership) => membership.admitted(Role::Administrator, now),
            None => administrator(),
        },
        ProvedStanding::Waits => {
            let base = present.map_or_else(administrator, |membership| membership.record.clone());
            Membership { role: Role::Administrator, ..base }.pending(
                Awaited::Admission,
                Some(proved.verification.clone()),
                now,
            )
        }
        ProvedStanding::Renewed | ProvedStanding::Unchanged => return present.map(Read::expect).into_iter().collect(),
    };
    let (act, kind) = match proved.standing.is_new_administrator() {
        true => (Act::MembershipBegan, EventKind::MemberJoined),
        false => (Act::MembershipPending, EventKind::MemberPending),
    };
    let actor = Actor::Account(account.id);
    let event = Event::done(now, actor.clone(), act)
        .on("account", account.id)
        .on("organisation", organisation)
        .with("role", Role::Administrator.name())
        .with("method", &proved.verification.method);
    let told = OrganisationEvent::new(organisation, kind, actor, now)
        .about(EventSubject::Account(account.id))
        .with("role", Role::Administrator.name())
        .with("method", &proved.verification.method);
    let mut changes = vec![
        present.map_or_else(|| Change::insert(&after), |membership| membership.replace(&after)),
        Change::Audit(event),
        Change::insert(&told),
    ];
    changes.extend(match proved.standing {
        // Two first proofs at once: one finds that the organisation has been administered meanwhile, and is decided anew.
        ProvedStanding::FirstAdministrator => new_administrator(organisation, 1),
        ProvedStanding::InvitedAdministrator => new_administrator(organisation, i64::MAX),
        ProvedStanding::Renewed | ProvedStanding::Waits | ProvedStanding::Unchanged => Vec::new(),
    });
    changes
}

/// One administrator more, of at most `most` that there are or ever were.
pub(super) fn new_administrator(organisation: OrganisationId, most: i64) -> Vec<Change> {
    [Counter::Administrators(organisation), Counter::AdministratorsEver(organisation)]
        .map(|counter| Change::Add { counter, by: 1, floor: 1, ceiling: most })
        .into()
}
