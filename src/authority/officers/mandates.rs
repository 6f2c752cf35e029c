//! Mandates: registration officers record that a person may prove an organisation with a card of their own. What identifies
//! the person is hashed before anything is written, and shown to nobody.

use serde::{Deserialize, Serialize};

use super::super::{Attempt, Authority, Result};
use super::unusable;
use crate::model::audit::{Act, Actor, Event};
use crate::model::mandate::MandateScope;
use crate::model::{EventKind, EventSubject, Mandate, Organisation, OrganisationEvent};
use crate::names::{BusinessId, MandateId};
use crate::store::index::{self, Index};
use crate::store::{Change, Range};
use crate::time::Timestamp;

/// A mandate to add.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddMandate {
    /// The organisation; it need not be known here yet.
    pub business_id: BusinessId,
    /// What identifies the person in the card's certificate (serialNumber). It is hashed and forgotten.
    pub person: String,
    /// What the person may do.
    #[serde(default = "verification")]
    pub scope: MandateScope,
    /// From when; without, from now.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
}

impl std::fmt::Debug for AddMandate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AddMandate({}, until {})", self.business_id, self.until)
    }
}

fn verification() -> MandateScope {
    MandateScope::Verification
}

/// A page of an organisation's mandates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MandatePage {
    /// The mandates. The hash of the person shows whether two are one person's.
    pub mandates: Vec<Mandate>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<MandateId>,
}

/// A mandate to end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndMandate {
    /// The mandate.
    pub id: MandateId,
}

const PAGE: usize = 100;
/// What identifies a person is no longer than this.
const LONGEST_PERSON: usize = 64;
/// A mandate lasts no longer than this, in seconds: five years.
const LONGEST: i64 = 5 * 366 * 86_400;

impl Authority {
    /// Adds a mandate in `officer`'s name.
    pub async fn add_mandate(&self, officer: &str, request: AddMandate, now: Timestamp) -> Result<Mandate> {
        let key = self.settings.organisations.person_key.as_ref();
        let key = key.ok_or_else(|| unusable("mandates need a key: name its file as organisation.person_key"))?;
        let length = request.person.trim().chars().count();
        if !(1..=LONGEST_PERSON).contains(&length) {
            return Err(unusable(format!("what identifies the person has 1 to {LONGEST_PERSON} characters")).into());
        }
        let from = request.from.unwrap_or(now);
        if request.until <= from || request.until <= now || request.until.since(from) > LONGEST {
            return Err(unusable("a mandate ends after it begins, in the future, and within five years").into());
        }
        let mandate = Mandate {
            id: MandateId::mint(now),
            person: key.hash(&request.person),
            business_id: request.business_id,
            scope: request.scope,
            from,
            until: request.until,
            added_by: officer.to_owned(),
            ended: None,
        };
        self.decide(|| async {
            let mut changes = vec![Change::insert(&mandate)];
            changes
                .extend(self.mandate_acts(officer, &mandate, (Act::MandateAdded, EventKind::MandateAdded), now).await?);
            self.commit(changes, mandate.clone()).await
        })
        .await
    }

    /// A page of an organisation's mandates.
    pub async fn list_mandates(&self, organisation: &BusinessId, after: Option<MandateId>) -> Result<MandatePage> {
        let range = Range::of(Index::MandatesByBusinessId, index::business_id(organisation), PAGE)
            .after(after.map(|id| id.as_bytes().to_vec()));
        let keys = self.store.list(range).await?;
        let mut mandates = Vec::with_capacity(keys.len());
        for key in &keys {
            let Ok(id) = MandateId::try_from(key.as_slice()) else { continue };
            mandates.extend(self.store.get::<Mandate>(&id).await?.map(|mandate| mandate.record));
        }
        let last = mandates.last().map(|mandate| mandate.id);
        Ok(MandatePage { mandates, next: last.filter(|_| keys.len() == PAGE) })
    }

    /// Ends a mandate now. What was proved by it stays proved until its own end.
    pub async fn end_mandate(&self, officer: &str, request: EndMandate, now: Timestamp) -> Result<Mandate> {
        self.decide(|| async {
            let unknown = || unusable(format!("there is no mandate {}; see sote-acme mandate list", request.id));
            let mandate = self.store.get::<Mandate>(&request.id).await?.ok_or_else(unknown)?;
            if mandate.ended.is_some() {
                return Ok(Attempt::Done(mandate.record));
            }
            let ended = mandate.ended(officer, now);
            let mut changes = vec![mandate.replace(&ended)];
            changes
                .extend(self.mandate_acts(officer, &ended, (Act::MandateEnded, EventKind::MandateEnded), now).await?);
            self.commit(changes, ended).await
        })
        .await
    }

    /// What tells of a mandate's begin or end: the audit trail, and the organisation's events if it is known.
    async fn mandate_acts(
        &self,
        officer: &str,
        mandate: &Mandate,
        (act, kind): (Act, EventKind),
        now: Timestamp,
    ) -> Result<Vec<Change>> {
        let actor = Actor::Officer(officer.to_owned());
        let event = Event::done(now, actor.clone(), act)
            .on("mandate", mandate.id)
            .with("business-id", &mandate.business_id)
            .with("until", mandate.until);
        let mut changes = vec![Change::Audit(event)];
        let key = mandate.business_id.as_str().as_bytes();
        if let Some(found) = self.store.lookup::<Organisation>(Index::OrganisationByBusinessId, key).await? {
            let told = OrganisationEvent::new(found.id, kind, actor, now).about(EventSubject::Mandate(mandate.id));
            changes.push(Change::insert(&told));
        }
        Ok(changes)
    }
}
