//! How an organisation proves itself: by a token of a token authority, by a card's signature, or by an application that
//! registration officers decide. Each answers one challenge of an [`Authorization`] for an `organization-id`.

use std::future::Future;

use super::authorization::Authorization;
use super::card::{CardClaim, CardSigner, signature_answer};
use super::error::{Error, Result};
use super::token_authority::TokenAuthority;
use crate::acme::authority_token::{Fingerprint, TokenRequest};
use crate::acme::card_signature::CardStatement;
use crate::acme::challenge_type::ChallengeType;
use crate::acme::messages::{ApprovalAnswer, ChallengeObject, TokenAnswer};
use crate::names::OrganisationIdentifier;
use crate::time::Timestamp;

/// The identifier type of organisations.
pub const ORGANISATION: &str = "organization-id";

impl Authorization {
    /// Asks `authority` for a token and answers tkauth-01 with it.
    ///
    /// # Errors
    /// `Protocol` if the challenge is not offered; `Refused` by the token authority or by the server.
    pub async fn answer_by_token(&self, authority: &TokenAuthority) -> Result<ChallengeObject> {
        let challenge = self.challenge(ChallengeType::Tkauth01)?;
        let account = self.account();
        let request = TokenRequest {
            kind: self.object().identifier.kind.clone(),
            value: self.object().identifier.value.clone(),
            fingerprint: Fingerprint(account.key().thumbprint()),
            token: challenge.token.clone(),
            audience: Some(account.client().directory_url().to_owned()),
        };
        let tkauth = authority.token(&request).await?;
        self.answer_by(challenge, &TokenAnswer { tkauth }).await
    }

    /// What a card has to sign at `now` to answer org-signature-01. Its holder reads it before it is signed.
    ///
    /// # Errors
    /// `Protocol` if the challenge is not offered; `Local` if the authorization is not for an organisation.
    pub fn card_statement(&self, now: Timestamp) -> Result<CardStatement> {
        let challenge = self.challenge(ChallengeType::OrgSignature01)?;
        let account = self.account();
        let claim = CardClaim {
            organisation: &self.organisation()?,
            account: account.url(),
            thumbprint: &account.key().thumbprint(),
            challenge: &challenge.url,
            token: &challenge.token,
            directory: account.client().directory_url(),
        };
        Ok(claim.statement(now))
    }

    /// Answers org-signature-01 with `statement`, signed by `card`.
    ///
    /// # Errors
    /// `Local` if the card does not sign; `Refused` by the server.
    pub fn answer_by_card<'a>(
        &'a self,
        card: &dyn CardSigner,
        statement: &CardStatement,
    ) -> impl Future<Output = Result<ChallengeObject>> + Send + use<'a> {
        // Signed at once: the card need not stay while the server answers.
        let answer = signature_answer(card, statement);
        async move { self.answer_by(self.challenge(ChallengeType::OrgSignature01)?, &answer?).await }
    }

    /// Answers org-approval-01: registration officers decide, which can take days.
    ///
    /// # Errors
    /// `Protocol` if the challenge is not offered; `Refused` by the server.
    pub async fn apply(&self, application: &ApprovalAnswer) -> Result<ChallengeObject> {
        self.answer_by(self.challenge(ChallengeType::OrgApproval01)?, application).await
    }

    /// The organisation that the authorization is for.
    ///
    /// # Errors
    /// `Local` if it is for something else.
    pub fn organisation(&self) -> Result<OrganisationIdentifier> {
        let identifier = &self.object().identifier;
        let organisation = (identifier.kind == ORGANISATION).then(|| identifier.value.parse().ok()).flatten();
        organisation.ok_or_else(|| Error::local(format!("\"{}\" is no organisation", identifier.value)))
    }
}
