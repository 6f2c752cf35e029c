//! Authorizations and challenges (RFC 8555 §7.4.1, §7.5): made in advance, read, answered, deactivated, and what the
//! worker's validations make of them.

use super::{Attempt, Authority, Fault, OrderFacts, Result};
use crate::acme::challenge_type::ChallengeType;
use crate::acme::identifier::{Identifier, Identifiers, RawIdentifier};
use crate::acme::key_authorization::KeyAuthorization;
use crate::acme::problem::Problem;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::model::audit::{Act, Actor, Event};
use crate::model::profile::Reuse;
use crate::model::{
    Account, Authorization, Challenge, ChallengeKind, ChallengeProgress, Evidence, Order, Origin, Refusal,
};
use crate::names::{AuthorizationId, ChallengeId, base64url};
use crate::store::index::Index;
use crate::store::{Change, Read};
use crate::time::Timestamp;

impl Authority {
    /// A new pending authorization, with the challenges that its identifier can have.
    pub(super) fn new_authorization(
        &self,
        account: &Read<Account>,
        identifier: &Identifier,
        origin: Origin,
        now: Timestamp,
    ) -> Authorization {
        let challenge = |kind: &ChallengeType| Challenge {
            id: ChallengeId::mint(now),
            kind: ChallengeKind::with_token(*kind, token()),
            progress: ChallengeProgress::Pending,
        };
        Authorization {
            id: AuthorizationId::mint(now),
            account: account.id,
            identifier: identifier.clone(),
            origin,
            created: now,
            expires: now.plus(self.settings.pending_lifetime),
            challenges: challenge_types(identifier).iter().map(challenge).collect(),
            deactivated: None,
        }
    }

    /// Makes an authorization in advance (RFC 8555 §7.4.1), or finds the valid one that was made so before.
    pub async fn create_authorization(
        &self,
        account: &Read<Account>,
        identifier: &RawIdentifier,
        now: Timestamp,
    ) -> Result<Authorization> {
        let result = self.decide(|| self.try_create_authorization(account, identifier, now)).await;
        if let Err(error) = &result {
            self.audit_refusal(account.id, Act::OrderCreated, "newAuthz", error, now).await;
        }
        result
    }

    async fn try_create_authorization(
        &self,
        account: &Read<Account>,
        raw: &RawIdentifier,
        now: Timestamp,
    ) -> Result<Attempt<Authorization>> {
        let facts = self.facts(account).await?;
        let limits = facts.standing().limits(now)?;
        let identifiers: Identifiers = self.ordered_identifiers(std::slice::from_ref(raw))?;
        let identifier = identifiers.iter().next().ok_or(Refusal::NotFound)?;
        // RFC 8555 §7.4.1: wildcards are authorised by an order only.
        if identifier.is_wildcard() {
            return Err(Refusal::NoWildcardInAdvance.into());
        }
        limits.admits(&identifiers)?;
        if let Some(valid) = self.reusable(account, identifier, Reuse::PreAuthorized, now).await? {
            return Ok(Attempt::Done(valid.record));
        }
        let authorization = self.new_authorization(account, identifier, Origin::PreAuthorization, now);
        let mut changes = facts.expected();
        changes.push(Change::insert(&authorization));
        self.commit(changes, authorization).await
    }

    /// An authorization of the account.
    pub async fn authorization(&self, account: &Read<Account>, id: AuthorizationId) -> Result<Authorization> {
        Ok(self.own_authorization(account, id).await?.record)
    }

    /// Deactivates an authorization (RFC 8555 §7.5.2). One that has already ended stays as it is.
    pub async fn deactivate_authorization(
        &self,
        account: &Read<Account>,
        id: AuthorizationId,
        now: Timestamp,
    ) -> Result<Authorization> {
        self.decide(|| async {
            let authorization = self.own_authorization(account, id).await?;
            let Some(deactivated) = authorization.deactivated(now) else {
                return match authorization.status(now) {
                    AuthorizationStatus::Deactivated => Ok(Attempt::Done(authorization.record)),
                    status => Err(Refusal::AuthorizationEnded { status }.into()),
                };
            };
            let event = Event::done(now, Actor::Account(account.id), Act::AuthorizationDeactivated)
                .on("authorization", id)
                .with("identifier", &authorization.identifier);
            self.commit(vec![authorization.replace(&deactivated), Change::Audit(event)], deactivated).await
        })
        .await
    }

    /// The authorization that a challenge of the account belongs to.
    pub async fn challenge(&self, account: &Read<Account>, id: ChallengeId) -> Result<Authorization> {
        Ok(self.own_challenge(account, id).await?.record)
    }

    /// Takes the client's answer to a challenge (RFC 8555 §7.5.1): the worker validates. Many answers start one validation.
    pub async fn answer_challenge(
        &self,
        account: &Read<Account>,
        id: ChallengeId,
        now: Timestamp,
    ) -> Result<Authorization> {
        self.decide(|| async {
            let authorization = self.own_challenge(account, id).await?;
            let facts = self.facts(account).await?;
            facts.standing().limits(now)?;
            let Some(challenge) = authorization.challenge(id) else { return Err(Refusal::NotFound.into()) };
            // RFC 8555 §8.1: the key authorization names the account's key as it is now.
            let expected = KeyAuthorization::new(challenge.kind.token(), &facts.account.key.thumbprint());
            let attempts = self.settings.attempts;
            let Some(answered) = authorization.answered(id, expected.as_str().to_owned(), attempts, now)? else {
                return Ok(Attempt::Done(authorization.record));
            };
            let mut changes = facts.expected();
            changes.push(authorization.replace(&answered));
            self.commit(changes, answered).await
        })
        .await
    }

    async fn own_authorization(&self, account: &Read<Account>, id: AuthorizationId) -> Result<Read<Authorization>> {
        let authorization = self.store.get::<Authorization>(&id).await?;
        Ok(authorization.filter(|found| found.account == account.id).ok_or(Refusal::NotFound)?)
    }

    async fn own_challenge(&self, account: &Read<Account>, id: ChallengeId) -> Result<Read<Authorization>> {
        let authorization = self.store.lookup::<Authorization>(Index::AuthorizationByChallenge, id.as_bytes()).await?;
        Ok(authorization.filter(|found| found.account == account.id).ok_or(Refusal::NotFound)?)
    }

    /// Records that a validation succeeded, unless the challenge has ended meanwhile.
    pub async fn record_proof(
        &self,
        id: AuthorizationId,
        challenge: ChallengeId,
        evidence: Evidence,
        now: Timestamp,
    ) -> Result<()> {
        self.conclude(
            id,
            challenge,
            |authorization| {
                let expires = now.plus(self.settings.valid_lifetime);
                authorization.proved(challenge, evidence.clone(), expires, now)
            },
            now,
        )
        .await
    }

    /// Records a failed attempt: another follows, or the authorization is invalid.
    pub async fn record_failed_attempt(
        &self,
        id: AuthorizationId,
        challenge: ChallengeId,
        problem: Problem,
        now: Timestamp,
    ) -> Result<()> {
        self.conclude(
            id,
            challenge,
            |authorization| authorization.attempt_failed(challenge, problem.clone(), self.settings.attempts, now),
            now,
        )
        .await
    }

    async fn conclude(
        &self,
        id: AuthorizationId,
        challenge: ChallengeId,
        concluded: impl Fn(&Authorization) -> Authorization,
        now: Timestamp,
    ) -> Result<()> {
        self.decide(|| async {
            let Some(authorization) = self.store.get::<Authorization>(&id).await? else { return Ok(Attempt::Done(())) };
            let open = authorization.status(now) == AuthorizationStatus::Pending
                && authorization.challenge(challenge).map(Challenge::status) == Some(ChallengeStatus::Processing);
            if !open {
                // It ended meanwhile: an expired or deactivated one only has to leave the worker's list.
                return self.commit(closed(&authorization, now), ()).await;
            }
            let after = concluded(&authorization);
            let mut changes = vec![authorization.replace(&after)];
            changes.extend(conclusion(&after, now).map(Change::Audit));
            self.commit(changes, ()).await
        })
        .await
    }

    /// Everything behind an order, read together.
    pub async fn order_facts(&self, order: Read<Order>, account: &Read<Account>) -> Result<OrderFacts> {
        let authorizations = self.authorizations_of(&order).await?;
        let unit = self.unit_rows(&order.unit).await?;
        Ok(OrderFacts { authorizations, account: self.facts(account).await?, unit, order })
    }

    /// The account of an order.
    pub(super) async fn account_of(&self, order: &Order) -> Result<Read<Account>> {
        let missing =
            || Fault::Internal(format!("order {} names account {}, which is missing", order.id, order.account));
        Ok(self.account(order.account).await?.ok_or_else(missing)?)
    }
}

/// The audit entry of an authorization that has just ended, with the hash of its evidence.
fn conclusion(authorization: &Authorization, now: Timestamp) -> Option<Event> {
    let act = match authorization.status(now) {
        AuthorizationStatus::Valid => Act::AuthorizationValid,
        AuthorizationStatus::Invalid => Act::AuthorizationInvalid,
        AuthorizationStatus::Pending
        | AuthorizationStatus::Deactivated
        | AuthorizationStatus::Expired
        | AuthorizationStatus::Revoked => return None,
    };
    let event = Event::done(now, Actor::Server, act)
        .on("authorization", authorization.id)
        .on("account", authorization.account)
        .with("identifier", &authorization.identifier);
    Some(match authorization.proof() {
        Some((challenge, _, evidence)) => event
            .with("method", challenge.kind.challenge_type().label())
            .proved_by(&serde_json::to_vec(evidence).unwrap_or_default()),
        None => event,
    })
}

/// What takes an authorization whose time is over off the worker's list.
fn closed(authorization: &Read<Authorization>, now: Timestamp) -> Vec<Change> {
    match authorization.processing() {
        Some(challenge) if authorization.status(now) != AuthorizationStatus::Pending => {
            vec![authorization.replace(&authorization.given_up(challenge.id, now))]
        }
        Some(_) | None => Vec::new(),
    }
}

/// RFC 8555 §8.3, RFC 8737 §3: http-01 and tls-alpn-01 prove one name, dns-01 a wildcard too.
fn challenge_types(identifier: &Identifier) -> &'static [ChallengeType] {
    match identifier {
        Identifier::Dns(_) => &[ChallengeType::Http01, ChallengeType::Dns01, ChallengeType::TlsAlpn01],
        Identifier::Wildcard(_) => &[ChallengeType::Dns01],
        // RFC 8738 §7: dns-01 must not be used for addresses.
        Identifier::Ip(_) => &[ChallengeType::Http01, ChallengeType::TlsAlpn01],
        Identifier::Organisation(_) | Identifier::Unit(_) => &[],
    }
}

// RFC 8555 §8.1: at least 128 bits of entropy; each challenge has its own.
fn token() -> String {
    let mut octets = [0u8; 32];
    aws_lc_rs::rand::fill(&mut octets).expect("the operating system's random source works");
    base64url::encode(&octets)
}
