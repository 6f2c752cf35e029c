//! Reading and checking the audit trail, and accepting a clock that stands before it.

use serde::{Deserialize, Serialize};

use super::super::{Authority, Error, Fault, Result, committed_fault};
use super::unusable;
use crate::model::audit::{Act, Actor, AuditEntry, Event};
use crate::names::base64url;
use crate::store::Change;
use crate::store::audit::{self, AuditFault};
use crate::time::Timestamp;

/// Some entries of the trail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditPage {
    /// The entries, ascending.
    pub entries: Vec<AuditEntry>,
    /// The number from which the next page goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A trail that is whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditVerified {
    /// How many entries it has, sealed ones included.
    pub entries: u64,
    /// In how many segment files the sealed ones are.
    pub segments: u64,
    /// The newest entry's hash, to be kept elsewhere.
    pub head: String,
}

/// What came of accepting the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockAcceptance {
    /// A second officer has to accept it too.
    Proposed,
    /// It is accepted.
    Accepted,
    /// The clock does not stand before the trail: there is nothing to accept.
    Sound,
}

const PAGE: usize = 1_000;
/// A second officer has so many seconds to accept the clock.
const PROPOSAL: i64 = 600;

impl Authority {
    /// At most a thousand entries from number `from` on.
    pub async fn list_audit(&self, from: u64) -> Result<AuditPage> {
        let found =
            audit::entries(self.store.as_ref(), &self.settings.state_directory, from, PAGE).await.map_err(fault)?;
        let next = found.last().filter(|_| found.len() == PAGE).map(|last| last.entry.number + 1);
        Ok(AuditPage { entries: found.into_iter().map(|recorded| recorded.entry).collect(), next })
    }

    /// Checks the whole chain, sealed segments first.
    pub async fn verify_audit(&self) -> Result<AuditVerified> {
        let verified = audit::verify(self.store.as_ref(), &self.settings.state_directory).await;
        let verified = verified.map_err(|broken| unusable(broken.to_string()))?;
        let head = base64url::encode(&verified.head.hash);
        Ok(AuditVerified { entries: verified.entries, segments: verified.segments, head })
    }

    /// Seals entries older than `before` into a segment file. Returns whether there may be more.
    pub async fn seal_audit(&self, before: Timestamp, now: Timestamp) -> Result<bool> {
        let sealed =
            audit::seal(self.store.as_ref(), &self.settings.state_directory, before, now).await.map_err(fault)?;
        Ok(sealed.is_some())
    }

    /// Accepts a clock that stands before the newest audit entry: two officers within ten minutes.
    pub async fn accept_clock(&self, officer: &str, now: Timestamp) -> Result<ClockAcceptance> {
        let newest = self.store.audit_head().await?.time;
        if newest.is_none_or(|newest| newest <= now) {
            return Ok(ClockAcceptance::Sound);
        }
        let other = match self.clock_proposal.lock() {
            Ok(mut proposal) => proposal
                .replace((officer.to_owned(), now))
                .filter(|(other, at)| other != officer && (0..=PROPOSAL).contains(&now.since(*at))),
            Err(_) => return Err(Fault::Internal("a proposal was left locked".into()).into()),
        };
        let Some((other, _)) = other else { return Ok(ClockAcceptance::Proposed) };
        let event = Event::done(now, Actor::Officer(officer.to_owned()), Act::ClockAccepted).with("proposed-by", other);
        self.store.commit(vec![Change::Audit(event)]).await.map_err(committed_fault)?;
        Ok(ClockAcceptance::Accepted)
    }
}

fn fault(error: AuditFault) -> Error {
    match error {
        AuditFault::Store(error) => error.into(),
        AuditFault::Commit(error) => committed_fault(error),
        error @ (AuditFault::File { .. } | AuditFault::Broken { .. }) => Fault::Internal(error.to_string()).into(),
    }
}
