//! Issuances: the proofs are made anew from the stored facts, then the issuer prepares, signs and records.

use super::Worker;
use crate::acme::problem::Problem;
use crate::authority::{Error, Fault, OrderFacts};
use crate::issuer::IssueError;
use crate::model::issuance::{AuthorizedOrder, MatchedRequest};
use crate::model::{Certificate, Failure, Progress, Stage};
use crate::names::{CertificateId, OrderId};
use crate::store::Read;
use crate::time::Timestamp;

/// Both proofs, with the facts that they were made from.
struct Proved {
    facts: OrderFacts,
    authorized: AuthorizedOrder,
    request: MatchedRequest,
}

impl Worker {
    /// Issues a finalized order's certificate, or ends the order with the reason.
    pub(super) async fn issue(&self, id: OrderId) -> bool {
        let now = self.clock.now();
        let outcome = async {
            let Some(facts) = self.authority.processing_order(id, now).await? else { return Ok(()) };
            // What is prepared is resumed, not prepared twice.
            if matches!(facts.order.progress, Progress::Processing { certificate: Some(_), .. }) {
                return Ok(());
            }
            let Proved { facts, authorized, request } = match self.proved(facts, now).await? {
                Ok(proved) => proved,
                Err(failure) => return self.authority.fail_order(id, failure, now).await.map_err(Stopped::from),
            };
            self.issuers
                .issue(self.store(), &facts.order, facts.expected(), &authorized, &request, now)
                .await
                .map(drop)
                .map_err(Stopped::from)
        };
        self.concluded(&format!("order {id}"), outcome.await)
    }

    /// Goes on with a prepared certificate: signs it if the proofs still hold, abandons it otherwise.
    pub(super) async fn resume(&self, id: CertificateId) -> bool {
        let now = self.clock.now();
        let outcome = async {
            let prepared = self.store().get::<Certificate>(&id).await.map_err(Error::from)?;
            let Some(prepared) = prepared else { return Ok(()) };
            let Stage::Prepared { at, .. } = prepared.stage else { return Ok(()) };
            self.try_resume(&prepared, at, now).await
        };
        self.concluded(&format!("certificate {id}"), outcome.await)
    }

    async fn try_resume(&self, prepared: &Read<Certificate>, at: Timestamp, now: Timestamp) -> Result<(), Stopped> {
        if now.since(at) > self.settings.abandon_after {
            return Ok(self.issuers.abandon(self.store(), prepared, "not signed in time", now).await?);
        }
        let Some(facts) = self.authority.processing_order(prepared.order, now).await? else {
            return Ok(self.issuers.abandon(self.store(), prepared, "its order has ended", now).await?);
        };
        match self.proved(facts, now).await? {
            Ok(Proved { facts, authorized, request }) => {
                let expected = facts.expected();
                self.issuers.resume(self.store(), prepared, &authorized, &request, expected, now).await?;
                Ok(())
            }
            Err(failure) => {
                self.issuers.abandon(self.store(), prepared, "its order may no longer be issued", now).await?;
                Ok(self.authority.fail_order(prepared.order, failure, now).await?)
            }
        }
    }

    /// Both proofs for an order, or why there are none.
    async fn proved(&self, facts: OrderFacts, now: Timestamp) -> Result<Result<Proved, Failure>, Stopped> {
        let Progress::Processing { csr, .. } = &facts.order.progress else { return Err(Stopped::Overtaken) };
        let authorized = match self.authority.authorized(&facts, now) {
            Ok(authorized) => authorized,
            Err(error) => return refused(error),
        };
        let request = match self.authority.matched(&authorized, csr).await {
            Ok(request) => request,
            Err(error) => return refused(error),
        };
        if let Err(problem) = self.caa_still_permits(&facts, now).await {
            return Ok(Err(Failure::from(problem)));
        }
        Ok(Ok(Proved { facts, authorized, request }))
    }

    // RFC 8659 §3, and the rule of the CA/Browser Forum that an answer is good for eight hours.
    async fn caa_still_permits(&self, facts: &OrderFacts, now: Timestamp) -> Result<(), Problem> {
        let account = self.urls.account(facts.order.account);
        for authorization in &facts.authorizations {
            // CAA is about dns names (RFC 8659 §3); organisations have none.
            if authorization.identifier.is_of_organisations() {
                continue;
            }
            let Some((challenge, validated, evidence)) = authorization.proof() else { continue };
            let fresh = evidence.caa.is_some() && now.since(validated) <= self.authority.settings().caa_lifetime;
            if !fresh {
                let method = challenge.kind.challenge_type();
                self.validators.caa().check(&authorization.identifier, method, &account).await?;
            }
        }
        Ok(())
    }

    fn concluded(&self, what: &str, outcome: Result<(), Stopped>) -> bool {
        match outcome {
            Ok(()) => true,
            // Decided anew at once: the commit that overtook it has woken the worker.
            Err(Stopped::Overtaken) => false,
            Err(Stopped::Failed(why)) => {
                tracing::error!(what, why, "an issuance stopped; it will be tried again");
                false
            }
        }
    }
}

/// Why an issuance did not come to its end now.
enum Stopped {
    /// Something changed meanwhile.
    Overtaken,
    /// The server failed.
    Failed(String),
}

impl From<IssueError> for Stopped {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Overtaken => Stopped::Overtaken,
            error => Stopped::Failed(error.to_string()),
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Failed(error.to_string())
    }
}

fn refused(error: Error) -> Result<Result<Proved, Failure>, Stopped> {
    match error {
        Error::Refused(refusal) => Ok(Err(Failure::from(*refusal))),
        Error::Fault(Fault::Unavailable(why) | Fault::Internal(why)) => Err(Stopped::Failed(why)),
    }
}
