//! Authorizations (RFC 8555 §7.1.4): what an account may act for, and how its challenges decide that.

use serde::{Deserialize, Serialize};

use super::challenge::{Attempts, FailedAttempt, summary};
use super::{Answer, Approval, Challenge, ChallengeProgress, Evidence, Refusal};
use crate::acme::identifier::Identifier;
use crate::acme::problem::Problem;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::names::{AccountId, AuthorizationId, ChallengeId, OrganisationId};
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
    /// The ways to prove it; any one suffices. None where it is granted.
    pub challenges: Vec<Challenge>,
    /// Why it is valid without a challenge, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Grant>,
    /// When its holder ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivated: Option<Timestamp>,
}

/// So many failed attempts of a challenge that waits are shown: the last ones.
const MOST_WAITS_SHOWN: usize = 5;

/// What an authorization was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// One order.
    Order,
    /// newAuthz (RFC 8555 §7.4.1).
    PreAuthorization,
}

/// Why an authorization is valid without a challenge: its account is a member of the organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The organisation, which is the identifier or which the identifier's unit belongs to.
    pub organisation: OrganisationId,
    /// When it was granted.
    pub at: Timestamp,
}

impl Authorization {
    /// The status of RFC 8555 §7.1.6.
    pub fn status(&self, now: Timestamp) -> AuthorizationStatus {
        if self.deactivated.is_some() {
            return AuthorizationStatus::Deactivated;
        }
        let ended = self.expires <= now;
        if self.granted.is_some() {
            return if ended { AuthorizationStatus::Expired } else { AuthorizationStatus::Valid };
        }
        let mut status = if ended { AuthorizationStatus::Invalid } else { AuthorizationStatus::Pending };
        for challenge in &self.challenges {
            match challenge.progress {
                ChallengeProgress::Valid { .. } if ended => return AuthorizationStatus::Expired,
                ChallengeProgress::Valid { .. } => return AuthorizationStatus::Valid,
                ChallengeProgress::Invalid { .. } => status = AuthorizationStatus::Invalid,
                ChallengeProgress::Pending
                | ChallengeProgress::Restarted { .. }
                | ChallengeProgress::Processing { .. }
                | ChallengeProgress::UnderReview { .. } => {}
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

    /// The challenge that registration officers have to decide, if any.
    pub fn under_review(&self) -> Option<&Challenge> {
        self.challenges.iter().find(|c| matches!(c.progress, ChallengeProgress::UnderReview { .. }))
    }

    /// The challenge that was answered and is not decided yet, whoever has to decide it.
    pub fn answered_challenge(&self) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.status() == ChallengeStatus::Processing)
    }

    /// Whether a challenge has decided it.
    pub fn is_decided(&self) -> bool {
        let decides = |c: &Challenge| matches!(c.status(), ChallengeStatus::Valid | ChallengeStatus::Invalid);
        self.challenges.iter().any(decides)
    }

    /// When the next validation attempt is due.
    pub fn due(&self) -> Option<Timestamp> {
        self.challenges.iter().find_map(|challenge| match challenge.progress {
            ChallengeProgress::Processing { due, .. } => Some(due),
            ChallengeProgress::Pending
            | ChallengeProgress::Restarted { .. }
            | ChallengeProgress::UnderReview { .. }
            | ChallengeProgress::Valid { .. }
            | ChallengeProgress::Invalid { .. } => None,
        })
    }

    /// The evidence and time of the validation, once valid.
    pub fn proof(&self) -> Option<(&Challenge, Timestamp, &Evidence)> {
        self.challenges.iter().find_map(|challenge| match &challenge.progress {
            ChallengeProgress::Valid { validated, evidence } => Some((challenge, *validated, evidence)),
            ChallengeProgress::Pending
            | ChallengeProgress::Restarted { .. }
            | ChallengeProgress::Processing { .. }
            | ChallengeProgress::UnderReview { .. }
            | ChallengeProgress::Invalid { .. } => None,
        })
    }

    /// The authorization with the challenge answered; `None` if there is nothing to change: an attempt is running or due, or the
    /// challenge has ended, so that many answers at once start one validation.
    pub fn answered(
        &self,
        id: ChallengeId,
        key_authorization: String,
        answer: Answer,
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
        if self.answered_challenge().is_some() {
            return Err(Refusal::OtherChallengeProcessing);
        }
        answer.fits(challenge.kind.challenge_type()).map_err(|why| Refusal::Malformed { why })?;
        let progress = match answer {
            Answer::Application(application) => {
                ChallengeProgress::UnderReview { since: now, key_authorization, application, approvals: Vec::new() }
            }
            answer @ (Answer::Ready | Answer::Token { .. } | Answer::CardSignature { .. }) => {
                ChallengeProgress::Processing { since: now, due: now, key_authorization, answer, failures: Vec::new() }
            }
        };
        Ok(Some(self.with_progress(id, progress)))
    }

    /// The authorization whose officers have time until `until` at least.
    pub fn reviewed_until(&self, until: Timestamp) -> Authorization {
        Authorization { expires: self.expires.max(until), ..self.clone() }
    }

    /// The authorization with one more officer's approval; another one's is still needed.
    pub fn approved_by(&self, id: ChallengeId, approval: Approval) -> Authorization {
        let mut authorization = self.clone();
        for challenge in authorization.challenges.iter_mut().filter(|challenge| challenge.id == id) {
            if let ChallengeProgress::UnderReview { approvals, .. } = &mut challenge.progress {
                approvals.push(approval.clone());
            }
        }
        authorization
    }

    /// The authorization with its answered challenge undone; `None` if none is answered and undecided.
    pub fn restarted(&self, problem: Problem, now: Timestamp) -> Option<Authorization> {
        let id = self.answered_challenge()?.id;
        Some(self.with_progress(id, ChallengeProgress::Restarted { at: now, problem: Box::new(problem) }))
    }

    /// The authorization after what was shown was found to prove nothing, however often it is looked at.
    pub fn refuted(&self, id: ChallengeId, problem: Problem, now: Timestamp) -> Authorization {
        self.with_progress(id, ChallengeProgress::Invalid { at: now, problem: Box::new(problem) })
    }

    /// The authorization while somebody who has to be asked cannot be: asked again at `due`, however often that is.
    pub fn waiting(&self, id: ChallengeId, problem: Problem, due: Timestamp, now: Timestamp) -> Authorization {
        let mut authorization = self.clone();
        for challenge in authorization.challenges.iter_mut().filter(|challenge| challenge.id == id) {
            if let ChallengeProgress::Processing { due: next, failures, .. } = &mut challenge.progress {
                *next = due;
                failures.push(FailedAttempt { at: now, problem: Box::new(problem.clone()) });
                let surplus = failures.len().saturating_sub(MOST_WAITS_SHOWN);
                failures.drain(..surplus);
            }
        }
        authorization
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
            progress: ChallengeProgress::Processing { since, key_authorization, answer, failures, .. },
            ..
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
                answer: answer.clone(),
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
    use crate::model::ChallengeKind;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    const HTTP: ChallengeId = ChallengeId::from_bytes([1; 16]);
    const DNS: ChallengeId = ChallengeId::from_bytes([2; 16]);
    const ATTEMPTS: Attempts = Attempts { most: 3, first_pause: 2, longest_pause: 10, within: 30 };

    fn authorization() -> Authorization {
        let challenge = |id, kind| Challenge { id, kind, progress: ChallengeProgress::Pending };
        let token = || "token".to_owned();
        Authorization {
            id: AuthorizationId::from_bytes([3; 16]),
            account: AccountId::from_bytes([4; 16]),
            identifier: Identifier::Dns("a.test".parse().unwrap()),
            origin: Origin::Order,
            created: NOW,
            expires: NOW.plus(1000),
            challenges: vec![
                challenge(HTTP, ChallengeKind::Http01 { token: token() }),
                challenge(DNS, ChallengeKind::Dns01 { token: token() }),
            ],
            granted: None,
            deactivated: None,
        }
    }

    fn answered() -> Authorization {
        authorization().answered(HTTP, "token.thumb".into(), Answer::Ready, ATTEMPTS, NOW).unwrap().unwrap()
    }

    fn evidence() -> Evidence {
        Evidence::default()
    }

    fn problem() -> Problem {
        Problem::connection("refused")
    }

    #[test]
    fn a_second_answer_changes_nothing_while_the_first_attempt_runs() {
        assert_eq!(answered().answered(HTTP, "token.thumb".into(), Answer::Ready, ATTEMPTS, NOW.plus(1)), Ok(None));
    }

    #[test]
    fn an_answer_between_two_attempts_brings_the_next_one_forward_to_the_end_of_the_first_pause() {
        let again = |authorization: &Authorization, now| {
            authorization.answered(HTTP, "token.thumb".into(), Answer::Ready, ATTEMPTS, now).unwrap()
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
        let other = answered().answered(DNS, "token.thumb".into(), Answer::Ready, ATTEMPTS, NOW);
        assert_eq!(other, Err(Refusal::OtherChallengeProcessing));
    }

    #[test]
    fn a_proof_makes_the_authorization_valid_until_it_expires() {
        let valid = answered().proved(HTTP, evidence(), NOW.plus(50), NOW.plus(1));
        assert_eq!(valid.status(NOW.plus(49)), AuthorizationStatus::Valid);
        assert_eq!(valid.status(NOW.plus(50)), AuthorizationStatus::Expired);
        assert!(valid.answered(DNS, String::new(), Answer::Ready, ATTEMPTS, NOW.plus(2)).is_err());
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

    #[test]
    fn an_application_waits_for_officers_and_for_no_worker() {
        let application = crate::model::application::tests::application();
        let kind = ChallengeKind::OrgApproval01 { token: "t".into(), reference: "r".into(), instructions: None };
        let mut authorization = authorization();
        authorization.challenges[1].kind = kind;
        let answer = Answer::Application(application);
        let review = authorization.answered(DNS, "t.thumb".into(), answer.clone(), ATTEMPTS, NOW).unwrap().unwrap();
        assert_eq!((review.due(), review.processing()), (None, None));
        assert_eq!(review.challenge(DNS).map(Challenge::status), Some(ChallengeStatus::Processing));
        assert_eq!(review.challenge(DNS).and_then(Challenge::error), None, "no error entries while just waiting");
        assert!(review.answered(HTTP, "t.thumb".into(), Answer::Ready, ATTEMPTS, NOW).is_err());
        let approved = review.approved_by(DNS, Approval { officer: "one".into(), at: NOW });
        assert_ne!(approved, review);
        assert_eq!(approved.reviewed_until(NOW.plus(9_999)).status(NOW.plus(9_998)), AuthorizationStatus::Pending);
    }

    // X14
    #[test]
    fn a_restarted_challenge_is_pending_with_its_reason_and_can_be_answered_anew() {
        let restarted = answered().restarted(problem(), NOW).unwrap();
        let challenge = restarted.challenge(HTTP).unwrap();
        assert_eq!((challenge.status(), challenge.error()), (ChallengeStatus::Pending, Some(problem())));
        assert_eq!((restarted.due(), challenge.key_authorization()), (None, None));
        assert!(restarted.answered(HTTP, "token.other".into(), Answer::Ready, ATTEMPTS, NOW).unwrap().is_some());
        assert!(restarted.restarted(problem(), NOW).is_none());
        assert!(authorization().restarted(problem(), NOW).is_none());
    }

    #[test]
    fn what_proves_nothing_is_not_tried_again_and_what_waits_is_for_ever() {
        let refuted = answered().refuted(HTTP, problem(), NOW);
        assert_eq!(refuted.status(NOW), AuthorizationStatus::Invalid);
        let mut waiting = answered();
        for attempt in 1..20 {
            waiting = waiting.waiting(HTTP, problem(), NOW.plus(60 * attempt), NOW);
        }
        assert_eq!((waiting.due(), waiting.status(NOW)), (Some(NOW.plus(1_140)), AuthorizationStatus::Pending));
        let shown = waiting.challenge(HTTP).and_then(Challenge::error).unwrap();
        assert_eq!(shown.subproblems.len(), MOST_WAITS_SHOWN);
    }

    #[test]
    fn what_is_granted_is_valid_until_it_expires() {
        let grant = Grant { organisation: OrganisationId::from_bytes([9; 16]), at: NOW };
        let granted = Authorization { challenges: vec![], granted: Some(grant), ..authorization() };
        assert_eq!(granted.status(NOW.plus(999)), AuthorizationStatus::Valid);
        assert_eq!(granted.status(NOW.plus(1_000)), AuthorizationStatus::Expired);
    }
}
