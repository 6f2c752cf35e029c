//! Validations: what a challenge claims is asked of the outside world, and the answer recorded.

use super::Worker;
use crate::model::ChallengeProgress;
use crate::names::AuthorizationId;
use crate::validation::{Attempt, Validator, Verdict};

impl Worker {
    /// Makes the next attempt at an authorization's challenge.
    pub(super) async fn validate(&self, id: AuthorizationId) -> bool {
        match self.try_validate(id).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(authorization = %id, %error, "a validation could not be recorded");
                false
            }
        }
    }

    async fn try_validate(&self, id: AuthorizationId) -> crate::authority::Result<()> {
        let Some(authorization) = self.authority.any_authorization(id).await? else { return Ok(()) };
        let Some(challenge) = authorization.processing() else { return Ok(()) };
        let ChallengeProgress::Processing { key_authorization, answer, .. } = &challenge.progress else {
            return Ok(());
        };
        let attempt = Attempt {
            challenge: challenge.kind.challenge_type(),
            identifier: authorization.identifier.clone(),
            token: challenge.kind.token().to_owned(),
            key_authorization: key_authorization.clone(),
            account_url: self.urls.account(authorization.account),
            challenge_url: self.urls.challenge(challenge.id),
            answer: answer.clone(),
            now: self.clock.now(),
        };
        let verdict = self.validators.validate(&attempt).await;
        let now = self.clock.now();
        match verdict {
            Verdict::Valid(evidence) => self.authority.record_proof(id, challenge.id, evidence, now).await,
            Verdict::Invalid(problem) => {
                tracing::info!(authorization = %id, identifier = %attempt.identifier, %problem, "a validation attempt failed");
                self.authority.record_failed_attempt(id, challenge.id, problem, now).await
            }
            Verdict::Refuted(problem) => {
                tracing::info!(authorization = %id, identifier = %attempt.identifier, %problem, "what was shown proves nothing");
                self.authority.record_refutation(id, challenge.id, problem, now).await
            }
            Verdict::Wait { until, problem } => {
                tracing::warn!(authorization = %id, identifier = %attempt.identifier, %problem, "a validation has to wait");
                self.authority.record_wait(id, challenge.id, problem, until, now).await
            }
        }
    }
}
