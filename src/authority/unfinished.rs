//! What the stored facts say is unfinished: the worker asks here, and writes here how it ended.

use super::{Attempt, Authority, Facts, Result};
use crate::model::audit::{Act, Actor, Event};
use crate::model::{
    Account, Authorization, Certificate, EvidenceDocument, Failure, MembershipState, Order, Progress, SpentProof,
    TermsPage, UnitRow,
};
use crate::names::{AccountId, AuthorizationId, CertificateId, OrderId, TermsPageId};
use crate::store::index::Index;
use crate::store::{Change, Range, Read, Record};
use crate::time::Timestamp;

/// Everything behind an order, as it was read.
#[derive(Debug, Clone)]
pub struct OrderFacts {
    /// The order.
    pub order: Read<Order>,
    /// Its authorizations.
    pub authorizations: Vec<Read<Authorization>>,
    /// Its account and what stands behind it.
    pub account: Facts,
    /// The unit's rows in force, from its own upwards.
    pub unit: Vec<UnitRow>,
}

impl OrderFacts {
    /// That nothing but the order itself has changed.
    pub fn expected(&self) -> Vec<Change> {
        let mut changes = self.account.expected();
        changes.extend(self.authorizations.iter().map(Read::expect));
        changes
    }
}

/// The length of a time in an index key.
const TIME: usize = 8;

impl Authority {
    /// Authorizations whose next validation attempt is due, the longest waiting first.
    pub async fn validations_due(&self, now: Timestamp, limit: usize) -> Result<Vec<AuthorizationId>> {
        let ids = self.due(Index::ValidationsDue, now.plus(1), limit).await?;
        Ok(ids.iter().filter_map(|id| AuthorizationId::try_from(id.as_slice()).ok()).collect())
    }

    /// When the next validation attempt is due, if any is planned.
    pub async fn next_validation(&self) -> Result<Option<Timestamp>> {
        let first = self.store.list(Range::of(Index::ValidationsDue, [], 1)).await?;
        let time = first.first().and_then(|key| key.get(..TIME)).and_then(|time| <[u8; TIME]>::try_from(time).ok());
        Ok(time.map(|time| Timestamp::from_seconds(i64::from_be_bytes(time))))
    }

    /// An authorization, for the worker.
    pub async fn any_authorization(&self, id: AuthorizationId) -> Result<Option<Read<Authorization>>> {
        Ok(self.store.get::<Authorization>(&id).await?)
    }

    /// Orders that were finalized and have neither a certificate nor a failure, the longest waiting first.
    pub async fn orders_processing(&self, limit: usize) -> Result<Vec<OrderId>> {
        let keys = self.store.list(Range::of(Index::OrdersProcessing, [], limit)).await?;
        Ok(keys.iter().filter_map(|key| OrderId::try_from(key.get(TIME..)?).ok()).collect())
    }

    /// A processing order with everything behind it; `None` when it is no longer processing.
    pub async fn processing_order(&self, id: OrderId, now: Timestamp) -> Result<Option<OrderFacts>> {
        let Some(order) = self.store.get::<Order>(&id).await? else { return Ok(None) };
        if !matches!(order.progress, Progress::Processing { .. }) {
            return Ok(None);
        }
        let account = self.account_of(&order).await?;
        Ok(Some(self.order_facts(order, &account, now).await?))
    }

    /// Ends a processing order without a certificate. A claim on a replaced certificate falls with it.
    pub async fn fail_order(&self, id: OrderId, failure: Failure, now: Timestamp) -> Result<()> {
        self.decide(|| async {
            let order = self.store.get::<Order>(&id).await?;
            let Some(order) = order.filter(|order| matches!(order.progress, Progress::Processing { .. })) else {
                return Ok(Attempt::Done(()));
            };
            let rule = match &failure {
                Failure::Rule(refusal) => refusal.rule().to_owned(),
                Failure::World(problem) => problem.kind.name().to_owned(),
            };
            let event = Event::refused(now, Actor::Server, Act::OrderFinalized, &rule)
                .on("order", id)
                .on("account", order.account);
            self.commit(vec![order.replace(&order.failed(failure.clone(), now)), Change::Audit(event)], ()).await
        })
        .await
    }

    /// Certificates that were prepared and neither issued nor abandoned, the oldest first.
    pub async fn certificates_prepared(&self, limit: usize) -> Result<Vec<Read<Certificate>>> {
        let keys = self.store.list(Range::of(Index::CertificatesPrepared, [], limit)).await?;
        let mut certificates = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(id) = key.get(TIME..).and_then(|id| CertificateId::try_from(id).ok()) else { continue };
            certificates.extend(self.store.get::<Certificate>(&id).await?);
        }
        Ok(certificates)
    }

    /// Removes a batch of orders, authorizations and terms pages that ended `retention` seconds ago, and of what was to be
    /// remembered until now only. Returns how many went.
    pub async fn remove_ended(&self, now: Timestamp, retention: i64, limit: usize) -> Result<usize> {
        let before = now.plus(-retention);
        let mut changes = Vec::new();
        for id in self.due(Index::OrdersByExpiry, before, limit).await? {
            let Ok(id) = OrderId::try_from(id.as_slice()) else { continue };
            let order = self.store.get::<Order>(&id).await?;
            // A processing order is the worker's until it has ended.
            let order = order.filter(|order| !matches!(order.progress, Progress::Processing { .. }));
            changes.extend(order.as_ref().map(Read::remove));
        }
        changes.extend(
            self.ended::<Authorization>(Index::AuthorizationsByExpiry, before, limit, |id| {
                AuthorizationId::try_from(id).ok()
            })
            .await?,
        );
        changes.extend(
            self.ended::<TermsPage>(Index::TermsPagesByExpiry, before, limit, |id| TermsPageId::try_from(id).ok())
                .await?,
        );
        // These say themselves when they end: there is nothing to keep them for.
        let spent = |hash: &[u8]| <[u8; 32]>::try_from(hash).ok();
        changes.extend(self.ended::<SpentProof>(Index::SpentProofsByEnd, now, limit, spent).await?);
        let shown = |id: &[u8]| AuthorizationId::try_from(id).ok();
        changes.extend(self.ended::<EvidenceDocument>(Index::EvidenceByEnd, now, limit, shown).await?);
        let count = changes.len();
        if count > 0 {
            // Overtaken by a change to one of them: the next round removes the others.
            self.commit(changes, ()).await?;
        }
        Ok(count)
    }

    async fn ended<R: Record>(
        &self,
        index: Index,
        before: Timestamp,
        limit: usize,
        id: impl Fn(&[u8]) -> Option<R::Id>,
    ) -> Result<Vec<Change>>
    where
        R::Id: Sized,
    {
        let mut changes = Vec::new();
        for key in self.due(index, before, limit).await? {
            let Some(id) = id(&key) else { continue };
            changes.extend(self.store.get::<R>(&id).await?.as_ref().map(Read::remove));
        }
        Ok(changes)
    }

    /// Removes a batch of accounts that no organisation knows, that prove none and that did nothing since `before`: strangers
    /// cannot grow the store for ever.
    pub async fn remove_strangers(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let mut removed = 0;
        for id in self.due(Index::UnboundAccounts, before, limit).await? {
            let Ok(id) = AccountId::try_from(id.as_slice()) else { continue };
            let Some(account) = self.store.get::<Account>(&id).await? else { continue };
            let facts = self.facts(&account).await?;
            let member = facts.membership.as_ref().is_some_and(|m| !matches!(m.state, MembershipState::Removed { .. }));
            if member || !self.unproved(&account, now).await?.is_empty() {
                continue;
            }
            let event = Event::done(now, Actor::Server, Act::AccountRemoved).on("account", id);
            let mut changes = vec![account.remove(), Change::Audit(event)];
            if facts.membership.is_none() {
                changes.push(Change::expect_absent::<crate::model::Membership>(&id));
            }
            if let Attempt::Done(()) = self.commit(changes, ()).await? {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The ids in a time-ordered index whose time lies before `before`.
    pub(super) async fn due(&self, index: Index, before: Timestamp, limit: usize) -> Result<Vec<Vec<u8>>> {
        let range = Range::of(index, [], limit).below(before.to_be_bytes());
        let keys = self.store.list(range).await?;
        Ok(keys.into_iter().filter_map(|key| key.get(TIME..).map(<[u8]>::to_vec)).collect())
    }
}
