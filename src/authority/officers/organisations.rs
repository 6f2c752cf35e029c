//! Adding, listing, suspending and resuming organisations.

use serde::{Deserialize, Serialize};

use super::super::{Attempt, Authority, Result};
use super::unusable;
use crate::model::audit::{Act, Actor, Event};
use crate::model::{EventKind, Language, Organisation, OrganisationEvent, Verification};
use crate::names::{BusinessId, OrganisationId, ProfileName, Zone};
use crate::store::index::Index;
use crate::store::{Change, Counter, Range};
use crate::time::Timestamp;

/// An organisation to add. The officer who adds it has verified it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddOrganisation {
    /// Its Business ID.
    pub business_id: BusinessId,
    /// The language of its certificates.
    #[serde(default)]
    pub language: Language,
    /// Whether it may have test products only.
    #[serde(default)]
    pub test: bool,
    /// The profiles that it may use.
    pub profiles: Vec<ProfileName>,
    /// The dns zones in which it may have names.
    pub zones: Vec<Zone>,
}

/// An organisation as officers see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrganisationView {
    /// The record.
    #[serde(flatten)]
    pub organisation: Organisation,
    /// How many administrators it has.
    pub administrators: i64,
}

/// A page of organisations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrganisationPage {
    /// The organisations.
    pub organisations: Vec<OrganisationView>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<OrganisationId>,
}

/// A suspension, or its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// The organisation's Business ID.
    pub business_id: BusinessId,
    /// Why, for the organisation.
    pub reason: String,
}

/// Other limits for an organisation; what is not named stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitOrganisation {
    /// The organisation's Business ID.
    pub business_id: BusinessId,
    /// The profiles that it may use.
    #[serde(default)]
    pub profiles: Option<Vec<ProfileName>>,
    /// The dns zones in which it may have names.
    #[serde(default)]
    pub zones: Option<Vec<Zone>>,
    /// The language of its certificates.
    #[serde(default)]
    pub language: Option<Language>,
}

const PAGE: usize = 100;

impl Authority {
    /// Adds an organisation that `officer` has verified.
    pub async fn add_organisation(
        &self,
        officer: &str,
        request: AddOrganisation,
        now: Timestamp,
    ) -> Result<OrganisationView> {
        if let Some(unknown) = request.profiles.iter().find(|profile| self.profile(profile).is_none()) {
            return Err(unusable(format!("there is no profile {unknown}")).into());
        }
        let organisation = Organisation {
            id: OrganisationId::mint(now),
            business_id: request.business_id,
            language: request.language,
            test: request.test,
            profiles: request.profiles,
            zones: request.zones,
            verification: Some(Verification::by_officer(now, now.plus(self.settings.verification_lifetime))),
            suspended: None,
            orders_void: None,
            terms: None,
            created: now,
        };
        let event = Event::done(now, Actor::Officer(officer.to_owned()), Act::OrganisationAdded)
            .on("organisation", organisation.id)
            .with("business-id", &organisation.business_id);
        let told = OrganisationEvent::new(
            organisation.id,
            EventKind::OrganisationAdded,
            Actor::Officer(officer.to_owned()),
            now,
        );
        let changes = vec![Change::insert(&organisation), Change::Audit(event), Change::insert(&told)];
        match self.commit(changes, ()).await? {
            Attempt::Done(()) => Ok(OrganisationView { organisation, administrators: 0 }),
            Attempt::Overtaken => {
                Err(unusable(format!("organisation {} is there already", organisation.business_id)).into())
            }
        }
    }

    /// A page of all organisations.
    pub async fn list_organisations(&self, after: Option<OrganisationId>) -> Result<OrganisationPage> {
        let range = Range::of(Index::Organisations, [], PAGE).after(after.map(|id| id.as_bytes().to_vec()));
        let keys = self.store.list(range).await?;
        let mut organisations = Vec::with_capacity(keys.len());
        for key in &keys {
            let Ok(id) = OrganisationId::try_from(key.as_slice()) else { continue };
            let Some(organisation) = self.organisation(&id).await? else { continue };
            let administrators = self.store.count(Counter::Administrators(id)).await?;
            organisations.push(OrganisationView { organisation: organisation.record, administrators });
        }
        let last = organisations.last().map(|view| view.organisation.id);
        Ok(OrganisationPage { organisations, next: last.filter(|_| keys.len() == PAGE) })
    }

    /// The organisation with this Business ID.
    pub async fn organisation_of(&self, id: &BusinessId) -> Result<Organisation> {
        Ok(self.organisation_by_business_id(id).await?.record)
    }

    /// Stops an organisation: its open orders end, new ones are refused; its certificates stay.
    pub async fn suspend_organisation(&self, officer: &str, request: Suspend, now: Timestamp) -> Result<Organisation> {
        let change = |organisation: &Organisation| organisation.suspended(officer, &request.reason, now);
        let what = (Act::OrganisationSuspended, EventKind::OrganisationSuspended);
        self.change_organisation(officer, &request, what, change, now).await
    }

    /// Lets a suspended organisation go on.
    pub async fn resume_organisation(&self, officer: &str, request: Suspend, now: Timestamp) -> Result<Organisation> {
        let change = |organisation: &Organisation| organisation.resumed();
        let what = (Act::OrganisationResumed, EventKind::OrganisationResumed);
        self.change_organisation(officer, &request, what, change, now).await
    }

    async fn change_organisation(
        &self,
        officer: &str,
        request: &Suspend,
        (act, kind): (Act, EventKind),
        change: impl Fn(&Organisation) -> Organisation,
        now: Timestamp,
    ) -> Result<Organisation> {
        self.decide(|| async {
            let organisation = self.organisation_by_business_id(&request.business_id).await?;
            let changed = change(&organisation);
            let actor = Actor::Officer(officer.to_owned());
            let told =
                OrganisationEvent::new(organisation.id, kind, actor.clone(), now).with("reason", &request.reason);
            let event =
                Event::done(now, actor, act).on("organisation", organisation.id).with("reason", &request.reason);
            let changes = vec![organisation.replace(&changed), Change::Audit(event), Change::insert(&told)];
            self.commit(changes, changed).await
        })
        .await
    }

    /// Changes an organisation's limits. Narrowing acts at once: on new orders, at finalize, and before anything is signed.
    pub async fn limit_organisation(
        &self,
        officer: &str,
        request: LimitOrganisation,
        now: Timestamp,
    ) -> Result<Organisation> {
        let named = request.profiles.iter().flatten();
        if let Some(unknown) = named.clone().find(|profile| self.profile(profile).is_none()) {
            return Err(unusable(format!("there is no profile {unknown}")).into());
        }
        self.decide(|| async {
            let organisation = self.organisation_by_business_id(&request.business_id).await?;
            let changed = Organisation {
                profiles: request.profiles.clone().unwrap_or_else(|| organisation.profiles.clone()),
                zones: request.zones.clone().unwrap_or_else(|| organisation.zones.clone()),
                language: request.language.unwrap_or(organisation.language),
                ..organisation.record.clone()
            };
            let list = |names: Vec<String>| names.join(" ");
            let (profiles, zones) = (
                list(changed.profiles.iter().map(ToString::to_string).collect()),
                list(changed.zones.iter().map(ToString::to_string).collect()),
            );
            let actor = Actor::Officer(officer.to_owned());
            let told = OrganisationEvent::new(organisation.id, EventKind::OrganisationChanged, actor.clone(), now)
                .with("profiles", &profiles)
                .with("zones", &zones);
            let event = Event::done(now, actor, Act::OrganisationChanged)
                .on("organisation", organisation.id)
                .with("profiles", &profiles)
                .with("zones", &zones);
            let changes = vec![organisation.replace(&changed), Change::Audit(event), Change::insert(&told)];
            self.commit(changes, changed).await
        })
        .await
    }
}
