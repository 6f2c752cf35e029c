//! Authorizations and their challenges (RFC 8555 §7.5).

use std::time::Duration;

use serde::Serialize;

use super::account::Account;
use super::challenges::{Proof, Responder};
use super::error::{Error, Result};
use super::order::{PATIENCE, Waiting};
use super::session::Payload;
use super::transport::Response;
use crate::acme::challenge_type::ChallengeType;
use crate::acme::identifier::RawIdentifier;
use crate::acme::key_authorization::KeyAuthorization;
use crate::acme::messages::{
    AuthorizationObject, AuthorizationUpdate, ChallengeAnswer, ChallengeObject, NewAuthorization,
};
use crate::acme::status::AuthorizationStatus;

/// An authorization at the server, as it was when last looked at.
#[derive(Debug, Clone)]
pub struct Authorization {
    account: Account,
    url: String,
    object: AuthorizationObject,
    retry_after: Option<u64>,
}

impl Account {
    /// The authorization with this URL.
    ///
    /// # Errors
    /// `Refused` if there is none of this account.
    pub async fn authorization_at(&self, url: &str) -> Result<Authorization> {
        let response = self.fetch(url).await?;
        Authorization::of(self, url.to_owned(), &response)
    }

    /// Authorises the account for a name before any order (RFC 8555 §7.4.1).
    ///
    /// # Errors
    /// `Protocol` if the server has no newAuthz; `Refused`.
    pub async fn pre_authorize(&self, kind: &str, value: &str) -> Result<Authorization> {
        let url = self.client().directory().new_authz.as_ref();
        let url = url.ok_or_else(|| Error::protocol(self.client().directory_url(), "there is no newAuthz"))?;
        let identifier = RawIdentifier { kind: kind.to_owned(), value: value.to_owned() };
        let response = self.post(url, &Payload::of(&NewAuthorization { identifier })?).await?;
        let location = response.header("location").map(str::to_owned);
        let location = location.ok_or_else(|| Error::protocol(url, "the new authorization has no Location"))?;
        Authorization::of(self, location, &response)
    }
}

impl Authorization {
    fn of(account: &Account, url: String, response: &Response) -> Result<Self> {
        Ok(Authorization {
            account: account.clone(),
            url,
            object: response.json()?,
            retry_after: response.retry_after(),
        })
    }

    /// The account that it belongs to.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The authorization's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authorization as the server showed it last.
    pub fn object(&self) -> &AuthorizationObject {
        &self.object
    }

    /// Its last known status.
    pub fn status(&self) -> AuthorizationStatus {
        self.object.status
    }

    /// Looks at the authorization again.
    ///
    /// # Errors
    /// Those of [`Account::fetch`].
    pub async fn refresh(&mut self) -> Result<AuthorizationStatus> {
        let response = self.account.fetch(&self.url).await?;
        self.object = response.json()?;
        self.retry_after = response.retry_after();
        Ok(self.object.status)
    }

    /// The challenge of a type.
    ///
    /// # Errors
    /// `Protocol` if the server offers none.
    pub fn challenge(&self, kind: ChallengeType) -> Result<&ChallengeObject> {
        let found = self.object.challenges.iter().find(|challenge| challenge.challenge_type() == Some(kind));
        found.ok_or_else(|| Error::protocol(&self.url, format!("no {} challenge is offered", kind.label())))
    }

    /// What the domain must show for a challenge.
    pub fn proof(&self, challenge: &ChallengeObject) -> Proof {
        Proof {
            domain: self.object.identifier.value.clone(),
            token: challenge.token.clone(),
            key_authorization: KeyAuthorization::new(&challenge.token, &self.account.key().thumbprint()),
        }
    }

    /// Shows the proof, answers the challenge and waits for the verdict. Nothing happens if the authorization is valid.
    ///
    /// # Errors
    /// `Failed` with the server's reason if it becomes invalid; `NotYet` if it takes too long; those of the responder.
    pub async fn prove(&mut self, responder: &dyn Responder) -> Result<()> {
        if self.status() == AuthorizationStatus::Valid {
            return Ok(());
        }
        let challenge = self.challenge(responder.challenge_type())?.clone();
        let proof = self.proof(&challenge);
        responder.present(&proof).await?;
        let verdict = self.answer_and_wait(&challenge).await;
        responder.withdraw(&proof).await?;
        verdict
    }

    async fn answer_and_wait(&mut self, challenge: &ChallengeObject) -> Result<()> {
        self.answer(challenge).await?;
        self.refresh().await?;
        self.wait_for_verdict().await
    }

    /// Tells the server to look at a challenge now.
    ///
    /// # Errors
    /// Those of [`Account::post`].
    pub async fn answer(&self, challenge: &ChallengeObject) -> Result<ChallengeObject> {
        self.answer_by(challenge, &ChallengeAnswer {}).await
    }

    /// Answers a challenge with what its type demands.
    ///
    /// # Errors
    /// Those of [`Account::post`].
    pub async fn answer_by(&self, challenge: &ChallengeObject, answer: &impl Serialize) -> Result<ChallengeObject> {
        self.account.post(&challenge.url, &Payload::of(answer)?).await?.json()
    }

    /// Waits until the authorization is no longer pending.
    ///
    /// # Errors
    /// `Failed` with the server's reason unless it becomes valid; `NotYet` if it takes too long.
    pub async fn wait_for_verdict(&mut self) -> Result<()> {
        self.wait_for_verdict_showing(PATIENCE, &mut |_| {}).await
    }

    /// The same for as long as `patience` says, with every look at the authorization shown.
    ///
    /// # Errors
    /// Those of [`Authorization::wait_for_verdict`].
    pub async fn wait_for_verdict_showing(
        &mut self,
        patience: Duration,
        seen: &mut (dyn FnMut(&AuthorizationObject) + Send),
    ) -> Result<()> {
        let waiting = Waiting::begin(patience);
        loop {
            seen(&self.object);
            match self.status() {
                AuthorizationStatus::Valid => return Ok(()),
                AuthorizationStatus::Pending => {
                    waiting.pause(self.retry_after, "the authorization", self.status()).await?;
                    self.refresh().await?;
                }
                AuthorizationStatus::Invalid
                | AuthorizationStatus::Deactivated
                | AuthorizationStatus::Expired
                | AuthorizationStatus::Revoked => return Err(self.failed()),
            }
        }
    }

    fn failed(&self) -> Error {
        let reason = self.object.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        let why = reason.map_or_else(|| format!("it is {:?}", self.status()).to_lowercase(), ToString::to_string);
        Error::Failed { what: format!("the authorization of {}", self.object.identifier.value), why }
    }

    /// Gives the authorization up (RFC 8555 §7.5.2).
    ///
    /// # Errors
    /// Those of [`Account::post`].
    pub async fn deactivate(&mut self) -> Result<AuthorizationStatus> {
        let payload = Payload::of(&AuthorizationUpdate { deactivate: true })?;
        self.object = self.account.post(&self.url, &payload).await?.json()?;
        Ok(self.object.status)
    }
}
