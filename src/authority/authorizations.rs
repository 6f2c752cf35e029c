//! Authorizations and challenges (RFC 8555 §7.4.1, §7.5): made in advance, read, answered, deactivated, and what the
//! worker's validations make of them.

use super::verification::Proving;
use super::{Attempt, Authority, Fault, OfferedProof, OrderFacts, Result};
use crate::acme::identifier::{Identifier, Identifiers, RawIdentifier};
use crate::acme::key_authorization::KeyAuthorization;
use crate::acme::problem::Problem;
use crate::acme::route::Door;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::model::audit::{Act, Actor, Event};
use crate::model::profile::Reuse;
use crate::model::{
    Account, Answer, Authorization, Challenge, ChallengeKind, ChallengeProgress, Evidence, Order, Origin, Refusal,
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
        let challenge = |kind| Challenge { id: ChallengeId::mint(now), kind, progress: ChallengeProgress::Pending };
        Authorization {
            id: AuthorizationId::mint(now),
            account: account.id,
            identifier: identifier.clone(),
            origin,
            created: now,
            expires: now.plus(self.settings.pending_lifetime),
            challenges: self.challenge_kinds(identifier).into_iter().map(challenge).collect(),
            granted: None,
            deactivated: None,
        }
    }

    /// The ways to prove an identifier, as configured.
    // RFC 8555 §8.3, RFC 8737 §3: http-01 and tls-alpn-01 prove one name, dns-01 a wildcard too.
    fn challenge_kinds(&self, identifier: &Identifier) -> Vec<ChallengeKind> {
        let (http, dns) = (ChallengeKind::Http01 { token: token() }, ChallengeKind::Dns01 { token: token() });
        let tls = ChallengeKind::TlsAlpn01 { token: token() };
        match identifier {
            Identifier::Dns(_) => vec![http, dns, tls],
            Identifier::Wildcard(_) => vec![dns],
            // RFC 8738 §7: dns-01 must not be used for addresses.
            Identifier::Ip(_) => vec![http, tls],
            Identifier::Organisation(_) => self.settings.organisations.offered.iter().map(offered_kind).collect(),
            // A unit is its organisation's, or nobody's.
            Identifier::Unit(_) => Vec::new(),
        }
    }

    /// Makes an authorization in advance (RFC 8555 §7.4.1), or finds the valid one that was made so before.
    pub async fn create_authorization(
        &self,
        account: &Read<Account>,
        identifier: &RawIdentifier,
        door: Door,
        now: Timestamp,
    ) -> Result<Authorization> {
        let result = self.decide(|| self.try_create_authorization(account, identifier, door, now)).await;
        if let Err(error) = &result {
            self.audit_refusal(account.id, Act::OrderCreated, "newAuthz", error, now).await;
        }
        result
    }

    async fn try_create_authorization(
        &self,
        account: &Read<Account>,
        raw: &RawIdentifier,
        door: Door,
        now: Timestamp,
    ) -> Result<Attempt<Authorization>> {
        let facts = self.facts(account).await?;
        let identifiers: Identifiers = self.ordered_identifiers(std::slice::from_ref(raw), door)?;
        let identifier = identifiers.iter().next().ok_or(Refusal::NotFound)?;
        match identifier {
            Identifier::Organisation(id) => {
                // The account itself is written, so a decision made anew needs it as it is then.
                let facts = self.facts(&self.present(account).await?).await?;
                return self.begin_proof(&facts, identifier, id, now).await;
            }
            Identifier::Unit(unit) => return self.grant_unit(&facts, identifier, unit, now).await,
            Identifier::Dns(_) | Identifier::Wildcard(_) | Identifier::Ip(_) => {}
        }
        let limits = facts.standing().limits(now)?;
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

    /// Takes the client's answer to a challenge (RFC 8555 §7.5.1): the worker validates, or officers decide. Many answers
    /// start one validation.
    pub async fn answer_challenge(
        &self,
        account: &Read<Account>,
        id: ChallengeId,
        answer: Answer,
        now: Timestamp,
    ) -> Result<Authorization> {
        self.decide(|| async {
            let authorization = self.own_challenge(account, id).await?;
            let facts = match authorization.identifier.is_of_organisations() {
                true => self.facts(&self.present(account).await?).await?,
                false => self.facts(account).await?,
            };
            match &authorization.identifier {
                // Whoever has to prove an organisation has no standing yet, or no longer.
                Identifier::Organisation(organisation) => self.may_prove(&facts, organisation)?,
                Identifier::Dns(_) | Identifier::Wildcard(_) | Identifier::Ip(_) | Identifier::Unit(_) => {
                    facts.standing().limits(now).map(drop)?;
                }
            }
            let Some(challenge) = authorization.challenge(id) else { return Err(Refusal::NotFound.into()) };
            // RFC 8555 §8.1: the key authorization names the account's key as it is now.
            let expected = KeyAuthorization::new(challenge.kind.token(), &facts.account.key.thumbprint());
            let key_authorization = expected.as_str().to_owned();
            let attempts = self.settings.attempts;
            let answered = authorization.answered(id, key_authorization, answer.clone(), attempts, now)?;
            let Some(answered) = answered else {
                return Ok(Attempt::Done(authorization.record));
            };
            let answered = match answered.under_review() {
                Some(_) => answered.reviewed_until(now.plus(self.settings.organisations.approval_lifetime)),
                None => answered,
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
        self.decide(|| async {
            let Some(authorization) = self.store.get::<Authorization>(&id).await? else { return Ok(Attempt::Done(())) };
            self.try_record_proof(&authorization, challenge, &evidence, &[], now).await
        })
        .await
    }

    /// Records a proof of a challenge that was just read, with the acts of officers that led to it.
    pub(super) async fn try_record_proof(
        &self,
        authorization: &Read<Authorization>,
        challenge: ChallengeId,
        evidence: &Evidence,
        acts: &[Event],
        now: Timestamp,
    ) -> Result<Attempt<()>> {
        let account = self.account(authorization.account).await?;
        let (Some(challenge), Some(account)) = (open_challenge(authorization, challenge, now), account) else {
            return self.commit(closed(authorization, now), ()).await;
        };
        // RFC 8555 §8.1: what names another key than the account's present one proves nothing. The account is expected
        // unchanged, so that this holds in the commit, too.
        let expected = KeyAuthorization::new(challenge.kind.token(), &account.key.thumbprint());
        if challenge.key_authorization() != Some(expected.as_str()) {
            return self.commit(restart(authorization, Actor::Server, now), ()).await;
        }
        let proving = Proving { authorization, challenge, account: &account, evidence, acts };
        if let Identifier::Organisation(organisation) = &authorization.identifier {
            return self.conclude_organisation(proving, organisation, now).await;
        }
        let expires = now.plus(self.settings.valid_lifetime);
        let after = authorization.proved(challenge.id, evidence.clone(), expires, now);
        let mut changes = vec![authorization.replace(&after), account.expect()];
        changes.extend(conclusion(&after, now).map(Change::Audit));
        self.commit(changes, ()).await
    }

    /// Records a failed attempt: another follows, or the authorization is invalid.
    pub async fn record_failed_attempt(
        &self,
        id: AuthorizationId,
        challenge: ChallengeId,
        problem: Problem,
        now: Timestamp,
    ) -> Result<()> {
        let after = |authorization: &Authorization| {
            authorization.attempt_failed(challenge, problem.clone(), self.settings.attempts, now)
        };
        self.conclude(id, challenge, after, now).await
    }

    /// Records that what was shown proves nothing: the authorization is invalid.
    pub async fn record_refutation(
        &self,
        id: AuthorizationId,
        challenge: ChallengeId,
        problem: Problem,
        now: Timestamp,
    ) -> Result<()> {
        self.conclude(id, challenge, |authorization| authorization.refuted(challenge, problem.clone(), now), now).await
    }

    /// Records that a validation has to wait until `until`, since somebody cannot be asked.
    pub async fn record_wait(
        &self,
        id: AuthorizationId,
        challenge: ChallengeId,
        problem: Problem,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let after = |authorization: &Authorization| authorization.waiting(challenge, problem.clone(), until, now);
        self.conclude(id, challenge, after, now).await
    }

    pub(super) async fn conclude(
        &self,
        id: AuthorizationId,
        challenge: ChallengeId,
        concluded: impl Fn(&Authorization) -> Authorization,
        now: Timestamp,
    ) -> Result<()> {
        self.decide(|| async {
            let Some(authorization) = self.store.get::<Authorization>(&id).await? else { return Ok(Attempt::Done(())) };
            if open_challenge(&authorization, challenge, now).is_none() {
                return self.commit(closed(&authorization, now), ()).await;
            }
            let after = concluded(&authorization);
            let mut changes = vec![authorization.replace(&after)];
            changes.extend(self.kept_document(&authorization, &after, now).as_ref().map(Change::insert));
            changes.extend(conclusion(&after, now).map(Change::Audit));
            self.commit(changes, ()).await
        })
        .await
    }

    /// Everything behind an order, read together.
    pub async fn order_facts(&self, order: Read<Order>, account: &Read<Account>, now: Timestamp) -> Result<OrderFacts> {
        let authorizations = self.authorizations_of(&order).await?;
        let unit = self.unit_rows(&order.unit, now).await?;
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
pub(super) fn conclusion(authorization: &Authorization, now: Timestamp) -> Option<Event> {
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
pub(super) fn closed(authorization: &Read<Authorization>, now: Timestamp) -> Vec<Change> {
    match authorization.answered_challenge() {
        Some(challenge) if authorization.status(now) != AuthorizationStatus::Pending => {
            vec![authorization.replace(&authorization.given_up(challenge.id, now))]
        }
        Some(_) | None => Vec::new(),
    }
}

/// The challenge, if it is answered and can still decide its authorization. One that cannot any more only has to leave the
/// worker's list.
fn open_challenge(authorization: &Authorization, id: ChallengeId, now: Timestamp) -> Option<&Challenge> {
    let open = authorization.status(now) == AuthorizationStatus::Pending;
    authorization.challenge(id).filter(|challenge| open && challenge.status() == ChallengeStatus::Processing)
}

/// What undoes the answer of an authorization's challenge, since the account has another key.
// RFC 8555 §7.3.5 lets authorizations live on: the challenge is pending again, and can be answered by the new key.
pub(super) fn restart(authorization: &Read<Authorization>, actor: Actor, now: Timestamp) -> Vec<Change> {
    let problem = Problem::unauthorized(
        "the account has changed its key since the challenge was answered; answer it again with the new key",
    );
    let Some(restarted) = authorization.restarted(problem, now) else { return Vec::new() };
    let event = Event::done(now, actor, Act::ChallengeRestarted)
        .on("authorization", authorization.id)
        .on("account", authorization.account)
        .with("identifier", &authorization.identifier);
    vec![authorization.replace(&restarted), Change::Audit(event)]
}

fn offered_kind(offered: &OfferedProof) -> ChallengeKind {
    match offered {
        OfferedProof::Token { authority } => ChallengeKind::Tkauth01 { token: token(), authority: authority.clone() },
        OfferedProof::CardSignature { policies } => {
            ChallengeKind::OrgSignature01 { token: token(), policies: policies.clone() }
        }
        OfferedProof::Approval { instructions } => {
            ChallengeKind::OrgApproval01 { token: token(), reference: reference(), instructions: instructions.clone() }
        }
    }
}

/// How applicant and officer name an application to each other, also by telephone: ten random characters of which none looks
/// like another.
fn reference() -> String {
    const CHARACTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut octets = [0u8; 10];
    aws_lc_rs::rand::fill(&mut octets).expect("the operating system's random source works");
    let characters: String = octets.iter().map(|o| char::from(CHARACTERS[usize::from(o % 32)])).collect();
    format!("{}-{}", &characters[..5], &characters[5..])
}

// RFC 8555 §8.1: at least 128 bits of entropy; each challenge has its own.
fn token() -> String {
    let mut octets = [0u8; 32];
    aws_lc_rs::rand::fill(&mut octets).expect("the operating system's random source works");
    base64url::encode(&octets)
}
