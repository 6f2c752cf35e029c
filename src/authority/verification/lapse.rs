//! What follows from time alone: an organisation is told that its verification ends, an application that nobody decided ends,
//! and what was remembered for a time only is forgotten.

use super::super::authorizations::conclusion;
use super::super::{Attempt, Authority, Result};
use crate::acme::status::AuthorizationStatus;
use crate::model::audit::Actor;
use crate::model::organisation::Nearness;
use crate::model::verification::ProofRefused;
use crate::model::{Authorization, EventKind, Organisation, OrganisationEvent};
use crate::names::{AuthorizationId, OrganisationId};
use crate::store::index::Index;
use crate::store::{Change, Range};
use crate::time::Timestamp;

/// The length of a time in an index key.
const TIME: usize = 8;

impl Authority {
    /// Tells a batch of organisations, each once, that their verification ends in 60, 30 or 7 days, or has ended. Returns
    /// how many were told.
    pub async fn tell_of_lapses(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut told = 0;
        for id in self.due(Index::OrganisationsToTell, now.plus(1), limit).await? {
            let Ok(id) = OrganisationId::try_from(id.as_slice()) else { continue };
            told += usize::from(self.decide(|| self.try_tell(id, now)).await?);
        }
        Ok(told)
    }

    async fn try_tell(&self, id: OrganisationId, now: Timestamp) -> Result<Attempt<bool>> {
        let Some(organisation) = self.store.get::<Organisation>(&id).await? else { return Ok(Attempt::Done(false)) };
        let untold = organisation.verification.as_ref().and_then(|v| Some((v.untold(now)?, v.expires)));
        let Some((nearness, expires)) = untold else { return Ok(Attempt::Done(false)) };
        let kind = match nearness {
            Nearness::SixtyDays | Nearness::ThirtyDays | Nearness::SevenDays => EventKind::VerificationEnding,
            Nearness::Lapsed => EventKind::VerificationLapsed,
        };
        let event = OrganisationEvent::new(id, kind, Actor::Server, now).with("expires", expires);
        let changes = vec![organisation.replace(&organisation.told(nearness)), Change::insert(&event)];
        self.commit(changes, true).await
    }

    /// Ends a batch of applications whose time is over. Returns how many ended.
    pub async fn end_applications(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut ended = 0;
        let mut cursor: Option<Vec<u8>> = None;
        loop {
            let range = Range::of(Index::ApplicationsOpen, [], limit).after(cursor);
            let keys = self.store.list(range).await?;
            for key in &keys {
                let Some(id) = key.get(TIME..).and_then(|id| AuthorizationId::try_from(id).ok()) else { continue };
                ended += usize::from(self.decide(|| self.try_end_application(id, now)).await?);
            }
            if keys.len() < limit {
                return Ok(ended);
            }
            cursor = keys.last().cloned();
        }
    }

    async fn try_end_application(&self, id: AuthorizationId, now: Timestamp) -> Result<Attempt<bool>> {
        let Some(authorization) = self.store.get::<Authorization>(&id).await? else { return Ok(Attempt::Done(false)) };
        let Some(challenge) = authorization.under_review() else { return Ok(Attempt::Done(false)) };
        if authorization.status(now) == AuthorizationStatus::Pending {
            return Ok(Attempt::Done(false));
        }
        let after = authorization.refuted(challenge.id, ProofRefused::NotDecided.problem(), now);
        let mut changes = vec![authorization.replace(&after)];
        changes.extend(self.kept_document(&authorization, &after, now).as_ref().map(Change::insert));
        changes.extend(conclusion(&after, now).map(Change::Audit));
        self.commit(changes, true).await
    }
}
