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
        let ChallengeProgress::Processing { key_authorization, .. } = &challenge.progress else { return Ok(()) };
        let attempt = Attempt {
            challenge: challenge.kind.challenge_type(),
            identifier: authorization.identifier.clone(),
            token: challenge.kind.token().to_owned(),
            key_authorization: key_authorization.clone(),
            account_url: self.urls.account(authorization.account),
        };
        let verdict = self.validators.validate(&attempt).await;
        let now = self.clock.now();
        match verdict {
            Verdict::Valid(evidence) => self.authority.record_proof(id, challenge.id, evidence, now).await,
            Verdict::Invalid(problem) => {
                tracing::info!(authorization = %id, identifier = %attempt.identifier, %problem, "a validation attempt failed");
                self.authority.record_failed_attempt(id, challenge.id, problem, now).await
            }
            // Only challenges of organisations wait, and they are not tried here.
            Verdict::Wait(_) => Ok(()),
        }
    }
}
