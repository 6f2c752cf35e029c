//! Authorizations and their challenges (RFC 8555 §7.1.4, §7.1.5, §8).

use serde::{Deserialize, Serialize};

use super::{Evidence, Refusal};
use crate::acme::challenge_type::ChallengeType;
use crate::acme::identifier::Identifier;
use crate::acme::problem::Problem;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::names::{AccountId, AuthorizationId, ChallengeId};
use crate::time::Timestamp;

/// An authorization: that an account may act for an identifier, or how it may prove so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authorization {
    /// Its id.
    pub id: AuthorizationId,
    /// Whose it is.
    pub account: AccountId,
    /// What for. A wildcard is shown without its asterisk and with `wildcard: true`.
    pub identifier: Identifier,
    /// What it was made for.
    pub origin: Origin,
    /// When it was created.
    pub created: Timestamp,
    /// While pending: when it ends. Once valid: until when it holds.
    pub expires: Timestamp,
    /// The ways to prove it; any one suffices.
    pub challenges: Vec<Challenge>,
    /// When its holder ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivated: Option<Timestamp>,
}

/// What an authorization was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// One order.
    Order,
    /// newAuthz (RFC 8555 §7.4.1).
    PreAuthorization,
}

/// One way to prove an authorization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// Its id.
    pub id: ChallengeId,
    /// Its kind, with what only that kind has.
    pub kind: ChallengeKind,
    /// How far it has come.
    pub progress: ChallengeProgress,
}

/// The kinds of challenge, each with its own data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ChallengeKind {
    /// RFC 8555 §8.3.
    #[serde(rename = "http-01")]
    Http01 {
        /// 256 random bits, base64url.
        token: String,
    },
    /// RFC 8555 §8.4.
    #[serde(rename = "dns-01")]
    Dns01 {
        /// 256 random bits, base64url.
        token: String,
    },
    /// RFC 8737.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01 {
        /// 256 random bits, base64url.
        token: String,
    },
}

impl ChallengeKind {
    /// A challenge of `kind` with a token.
    pub fn with_token(kind: ChallengeType, token: String) -> Self {
        match kind {
            ChallengeType::Http01 => ChallengeKind::Http01 { token },
            ChallengeType::Dns01 => ChallengeKind::Dns01 { token },
            ChallengeType::TlsAlpn01 => ChallengeKind::TlsAlpn01 { token },
        }
    }

    /// The kind's label.
    pub fn challenge_type(&self) -> ChallengeType {
        match self {
            ChallengeKind::Http01 { .. } => ChallengeType::Http01,
            ChallengeKind::Dns01 { .. } => ChallengeType::Dns01,
            ChallengeKind::TlsAlpn01 { .. } => ChallengeType::TlsAlpn01,
        }
    }

    /// The token.
    pub fn token(&self) -> &str {
        match self {
            ChallengeKind::Http01 { token } | ChallengeKind::Dns01 { token } | ChallengeKind::TlsAlpn01 { token } => {
                token
            }
        }
    }
}

/// How far a challenge has come. The two ends are final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ChallengeProgress {
    /// The client has not answered it.
    Pending,
    /// The worker has to validate it.
    Processing {
        /// Since when.
        since: Timestamp,
        /// When the next attempt is due.
        due: Timestamp,
        /// The key authorization of the account's key when it answered (RFC 8555 §8.1).
        key_authorization: String,
        /// The attempts that failed, oldest first.
        failures: Vec<FailedAttempt>,
    },
    /// It was proved.
    Valid {
        /// When.
        validated: Timestamp,
        /// What was seen.
        evidence: Evidence,
    },
    /// It was not.
    Invalid {
        /// When that was clear.
        at: Timestamp,
        /// The last problem, with one subproblem per failed attempt.
        problem: Box<Problem>,
    },
}

/// One failed attempt (RFC 8555 §8.2: an entry after each).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// When.
    pub at: Timestamp,
    /// What went wrong.
    pub problem: Box<Problem>,
}

/// How often a challenge is tried, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How many attempts there are; at least one.
    pub most: u32,
    /// The first pause in seconds; each further pause is twice as long.
    pub first_pause: i64,
    /// The longest pause in seconds.
    pub longest_pause: i64,
    /// After so many seconds no new attempt begins.
    pub within: i64,
}

impl Attempts {
    /// When the next attempt is due after `failed` attempts, or `None` when they are used up.
    fn next(&self, failed: usize, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let doubled = self.first_pause.saturating_mul(1 << failed.saturating_sub(1).min(20));
        let due = now.plus(doubled.min(self.longest_pause));
        (failed < self.most as usize && due.since(since) <= self.within).then_some(due)
    }
}

impl ChallengeProgress {
    /// The same with the next attempt due earlier; `None` if it is not being validated, or the attempt is due already.
    // RFC 8555 §8.2: who answers again asks for a retry. It comes no sooner than the first pause after the last attempt, so that
    // answers bring no attempt more than there would be, and none while one runs.
    fn sooner(&self, attempts: Attempts, now: Timestamp) -> Option<ChallengeProgress> {
        let ChallengeProgress::Processing { since, due, key_authorization, failures } = self else { return None };
        let earliest = failures.last().map_or(now, |last| last.at.plus(attempts.first_pause)).max(now);
        (*due > earliest).then(|| ChallengeProgress::Processing {
            since: *since,
            due: earliest,
            key_authorization: key_authorization.clone(),
            failures: failures.clone(),
        })
    }
}

impl Challenge {
    /// The status on the wire.
    pub fn status(&self) -> ChallengeStatus {
        match self.progress {
            ChallengeProgress::Pending => ChallengeStatus::Pending,
            ChallengeProgress::Processing { .. } => ChallengeStatus::Processing,
            ChallengeProgress::Valid { .. } => ChallengeStatus::Valid,
            ChallengeProgress::Invalid { .. } => ChallengeStatus::Invalid,
        }
    }

    /// The error to show: the last failed attempt while processing, the whole story once invalid.
    // Erratum 5732: `error` may stand with `processing`, too.
    pub fn error(&self) -> Option<Problem> {
        match &self.progress {
            ChallengeProgress::Processing { failures, .. } => summary(failures),
            ChallengeProgress::Invalid { problem, .. } => Some((**problem).clone()),
            ChallengeProgress::Pending | ChallengeProgress::Valid { .. } => None,
        }
    }
}

/// The last failure, with every attempt as a subproblem when there was more than one.
fn summary(failures: &[FailedAttempt]) -> Option<Problem> {
    let last = failures.last()?;
    let attempts = failures.iter().map(|failure| failure.problem.as_ref().clone().about(None)).collect();
    let problem = last.problem.as_ref().clone();
    Some(if failures.len() > 1 { problem.with_subproblems(attempts) } else { problem })
}

impl Authorization {
    /// The status of RFC 8555 §7.1.6.
    pub fn status(&self, now: Timestamp) -> AuthorizationStatus {
        if self.deactivated.is_some() {
            return AuthorizationStatus::Deactivated;
        }
        let ended = self.expires <= now;
        let mut status = if ended { AuthorizationStatus::Invalid } else { AuthorizationStatus::Pending };
        for challenge in &self.challenges {
            match challenge.progress {
                ChallengeProgress::Valid { .. } if ended => return AuthorizationStatus::Expired,
                ChallengeProgress::Valid { .. } => return AuthorizationStatus::Valid,
                ChallengeProgress::Invalid { .. } => status = AuthorizationStatus::Invalid,
                ChallengeProgress::Pending | ChallengeProgress::Processing { .. } => {}
            }
        }
        status
    }

    /// The challenge with this id.
    pub fn challenge(&self, id: ChallengeId) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.id == id)
    }

    /// The challenge that the worker has to validate, if any.
    pub fn processing(&self) -> Option<&Challenge> {
        self.challenges.iter().find(|c| matches!(c.progress, ChallengeProgress::Processing { .. }))
    }

    /// When the next validation attempt is due.
    pub fn due(&self) -> Option<Timestamp> {
        self.processing().and_then(|challenge| match challenge.progress {
            ChallengeProgress::Processing { due, .. } => Some(due),
            ChallengeProgress::Pending | ChallengeProgress::Valid { .. } | ChallengeProgress::Invalid { .. } => None,
        })
    }

    /// The evidence and time of the validation, once valid.
    pub fn proof(&self) -> Option<(&Challenge, Timestamp, &Evidence)> {
        self.challenges.iter().find_map(|challenge| match &challenge.progress {
            ChallengeProgress::Valid { validated, evidence } => Some((challenge, *validated, evidence)),
            ChallengeProgress::Pending | ChallengeProgress::Processing { .. } | ChallengeProgress::Invalid { .. } => {
                None
            }
        })
    }

    /// The authorization with the challenge answered; `None` if there is nothing to change: an attempt is running or due, or the
    /// challenge has ended, so that many answers at once start one validation.
    pub fn answered(
        &self,
        id: ChallengeId,
        key_authorization: String,
        attempts: Attempts,
        now: Timestamp,
    ) -> Result<Option<Authorization>, Refusal> {
        let Some(challenge) = self.challenge(id) else { return Ok(None) };
        if challenge.status() != ChallengeStatus::Pending {
            let sooner = challenge.progress.sooner(attempts, now);
            return Ok(sooner.map(|progress| self.with_progress(id, progress)));
        }
        if self.status(now) != AuthorizationStatus::Pending {
            return Err(Refusal::AuthorizationEnded { status: self.status(now) });
        }
        // One challenge at a time: the first answered decides the authorization.
        if self.processing().is_some() {
            return Err(Refusal::OtherChallengeProcessing);
        }
        let progress = ChallengeProgress::Processing { since: now, due: now, key_authorization, failures: Vec::new() };
        Ok(Some(self.with_progress(id, progress)))
    }

    /// The authorization after a successful validation: valid until `expires`.
    pub fn proved(&self, id: ChallengeId, evidence: Evidence, expires: Timestamp, now: Timestamp) -> Authorization {
        let progress = ChallengeProgress::Valid { validated: now, evidence };
        Authorization { expires, ..self.with_progress(id, progress) }
    }

    /// The authorization after a failed attempt: another one is due, or challenge and authorization are invalid together.
    pub fn attempt_failed(
        &self,
        id: ChallengeId,
        problem: Problem,
        attempts: Attempts,
        now: Timestamp,
    ) -> Authorization {
        let Some(Challenge {
            progress: ChallengeProgress::Processing { since, key_authorization, failures, .. }, ..
        }) = self.challenge(id)
        else {
            return self.clone();
        };
        let mut failures = failures.clone();
        failures.push(FailedAttempt { at: now, problem: Box::new(problem) });
        let next = attempts.next(failures.len(), *since, now).filter(|due| *due < self.expires);
        let progress = match (next, summary(&failures)) {
            (Some(due), _) => ChallengeProgress::Processing {
                since: *since,
                due,
                key_authorization: key_authorization.clone(),
                failures,
            },
            (None, Some(problem)) => ChallengeProgress::Invalid { at: now, problem: Box::new(problem) },
            (None, None) => return self.clone(),
        };
        self.with_progress(id, progress)
    }

    /// The authorization with a challenge given up because its time was over before it was proved.
    pub fn given_up(&self, id: ChallengeId, now: Timestamp) -> Authorization {
        let last = self.challenge(id).and_then(Challenge::error);
        let problem = last.unwrap_or_else(|| Problem::unauthorized("the authorization ended before it was proved"));
        self.with_progress(id, ChallengeProgress::Invalid { at: now, problem: Box::new(problem) })
    }

    /// The authorization, ended by its holder. `None` if it has already ended.
    pub fn deactivated(&self, now: Timestamp) -> Option<Authorization> {
        match self.status(now) {
            AuthorizationStatus::Pending | AuthorizationStatus::Valid => {
                Some(Authorization { deactivated: Some(now), ..self.clone() })
            }
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Deactivated
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Revoked => None,
        }
    }

    fn with_progress(&self, id: ChallengeId, progress: ChallengeProgress) -> Authorization {
        let mut authorization = self.clone();
        for challenge in authorization.challenges.iter_mut().filter(|challenge| challenge.id == id) {
            challenge.progress = progress.clone();
        }
        authorization
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    const HTTP: ChallengeId = ChallengeId::from_bytes([1; 16]);
    const DNS: ChallengeId = ChallengeId::from_bytes([2; 16]);
    const ATTEMPTS: Attempts = Attempts { most: 3, first_pause: 2, longest_pause: 10, within: 30 };

    fn authorization() -> Authorization {
        let challenge = |id, kind| Challenge {
            id,
            kind: ChallengeKind::with_token(kind, "token".into()),
            progress: ChallengeProgress::Pending,
        };
        Authorization {
            id: AuthorizationId::from_bytes([3; 16]),
            account: AccountId::from_bytes([4; 16]),
            identifier: Identifier::Dns("a.test".parse().unwrap()),
            origin: Origin::Order,
            created: NOW,
            expires: NOW.plus(1000),
            challenges: vec![challenge(HTTP, ChallengeType::Http01), challenge(DNS, ChallengeType::Dns01)],
            deactivated: None,
        }
    }

    fn answered() -> Authorization {
        authorization().answered(HTTP, "token.thumb".into(), ATTEMPTS, NOW).unwrap().unwrap()
    }

    fn evidence() -> Evidence {
        Evidence { address: None, trail: vec![], caa: None }
    }

    fn problem() -> Problem {
        Problem::connection("refused")
    }

    #[test]
    fn a_second_answer_changes_nothing_while_the_first_attempt_runs() {
        assert_eq!(answered().answered(HTTP, "token.thumb".into(), ATTEMPTS, NOW.plus(1)), Ok(None));
    }

    #[test]
    fn an_answer_between_two_attempts_brings_the_next_one_forward_to_the_end_of_the_first_pause() {
        let again = |authorization: &Authorization, now| {
            authorization.answered(HTTP, "token.thumb".into(), ATTEMPTS, now).unwrap()
        };
        let first = answered().attempt_failed(HTTP, problem(), ATTEMPTS, NOW);
        assert_eq!(again(&first, NOW.plus(1)), None, "the first pause is the shortest");
        let second = first.attempt_failed(HTTP, problem(), ATTEMPTS, NOW.plus(2));
        assert_eq!(second.due(), Some(NOW.plus(6)));
        let sooner = again(&second, NOW.plus(3)).unwrap();
        assert_eq!(sooner.due(), Some(NOW.plus(4)));
        assert_eq!(sooner.challenge(HTTP).unwrap().error(), second.challenge(HTTP).unwrap().error());
        assert_eq!(again(&second, NOW.plus(5)).unwrap().due(), Some(NOW.plus(5)));
        assert_eq!(again(&sooner, NOW.plus(3)), None, "many answers are one");
        assert_eq!(again(&second, NOW.plus(6)), None, "it is due");
    }

    #[test]
    fn another_challenge_waits_while_one_is_validated() {
        let other = answered().answered(DNS, "token.thumb".into(), ATTEMPTS, NOW);
        assert_eq!(other, Err(Refusal::OtherChallengeProcessing));
    }

    #[test]
    fn a_proof_makes_the_authorization_valid_until_it_expires() {
        let valid = answered().proved(HTTP, evidence(), NOW.plus(50), NOW.plus(1));
        assert_eq!(valid.status(NOW.plus(49)), AuthorizationStatus::Valid);
        assert_eq!(valid.status(NOW.plus(50)), AuthorizationStatus::Expired);
        assert!(valid.answered(DNS, String::new(), ATTEMPTS, NOW.plus(2)).is_err());
    }

    #[test]
    fn attempts_pause_longer_each_time_and_then_end_both_together() {
        let first = answered().attempt_failed(HTTP, problem(), ATTEMPTS, NOW);
        assert_eq!(first.due(), Some(NOW.plus(2)));
        assert_eq!(first.challenge(HTTP).unwrap().error(), Some(problem()));
        let second = first.attempt_failed(HTTP, problem(), ATTEMPTS, NOW.plus(2));
        assert_eq!(second.due(), Some(NOW.plus(6)));
        assert_eq!(second.challenge(HTTP).unwrap().error().unwrap().subproblems.len(), 2);
        let third = second.attempt_failed(HTTP, problem(), ATTEMPTS, NOW.plus(6));
        assert_eq!(third.challenge(HTTP).unwrap().status(), ChallengeStatus::Invalid);
        assert_eq!(third.status(NOW.plus(6)), AuthorizationStatus::Invalid);
        assert_eq!(third.challenge(HTTP).unwrap().error().unwrap().subproblems.len(), 3);
    }

    #[test]
    fn no_attempt_begins_after_the_time_is_over() {
        let late = answered().attempt_failed(HTTP, problem(), ATTEMPTS, NOW.plus(29));
        assert_eq!(late.status(NOW.plus(29)), AuthorizationStatus::Invalid);
    }

    #[test]
    fn a_pending_authorization_that_ends_is_invalid() {
        assert_eq!(authorization().status(NOW.plus(1000)), AuthorizationStatus::Invalid);
    }

    #[test]
    fn only_a_pending_or_valid_authorization_can_be_deactivated() {
        let deactivated = authorization().deactivated(NOW).unwrap();
        assert_eq!(deactivated.status(NOW), AuthorizationStatus::Deactivated);
        assert!(deactivated.deactivated(NOW).is_none());
        assert!(authorization().deactivated(NOW.plus(1000)).is_none());
    }
}
