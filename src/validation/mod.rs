//! The validation authority: asks the outside world whether an account controls an identifier, and whether CAA lets this
//! authority issue for it. It holds no secret and no record, trusts nothing that it is told, and ends in bounded time
//! whatever its peers do. Start with [`Validators`]; each challenge type has a file of its own.

pub mod caa;
mod connector;
pub mod dns_01;
pub mod http_01;
pub mod networks;
pub mod org_signature_01;
mod organisation_proofs;
mod peer_certificate;
pub mod pinned;
pub mod resolver;
pub mod revocation_status;
pub mod settings;
pub mod tkauth_01;
pub mod tls_alpn_01;
pub mod trust;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::acme::challenge_type::ChallengeType;
use crate::acme::identifier::Identifier;
use crate::acme::problem::Problem;
use crate::model::Answer;
use crate::model::evidence::Evidence;
use crate::time::Timestamp;
use caa::CaaChecker;
use connector::Connector;
use dns_01::Dns01;
use http_01::Http01;
pub use organisation_proofs::Believed;
use organisation_proofs::OrganisationProofs;
use resolver::{Resolver, ResolverError};
pub use settings::Settings;
use tls_alpn_01::TlsAlpn01;

/// One question to the outside world: does the account control the identifier, by this challenge?
#[derive(Debug, Clone)]
pub struct Attempt {
    /// How to ask.
    pub challenge: ChallengeType,
    /// What is claimed; a wildcard is asked by dns-01 only.
    pub identifier: Identifier,
    /// The challenge's token.
    pub token: String,
    /// The token and the account key's thumbprint (RFC 8555 §8.1).
    pub key_authorization: String,
    /// The account's URL, which CAA records may name (RFC 8657 §3).
    pub account_url: String,
    /// The challenge's URL, which a card's signature names.
    pub challenge_url: String,
    /// What the client answered.
    pub answer: Answer,
    /// The present time.
    pub now: Timestamp,
}

/// The answer to an [`Attempt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Control is proven, and CAA permits.
    Valid(Evidence),
    /// This attempt failed; another one may succeed.
    Invalid(Problem),
    /// What was shown proves nothing, however often it is looked at.
    Refuted(Problem),
    /// Somebody who has to be asked cannot be.
    Wait {
        /// When to ask again.
        until: Timestamp,
        /// Why it has to wait, for the client.
        problem: Problem,
    },
}

impl From<Result<Evidence, Problem>> for Verdict {
    fn from(outcome: Result<Evidence, Problem>) -> Self {
        match outcome {
            Ok(evidence) => Verdict::Valid(evidence),
            Err(problem) => Verdict::Invalid(problem),
        }
    }
}

/// The future of a [`Verdict`].
pub type Answering<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// Answers attempts. Never fails otherwise than by a verdict, and always ends within the configured limit.
pub trait Validator: Send + Sync {
    /// Asks, once; whoever calls decides about another attempt.
    fn validate<'a>(&'a self, attempt: &'a Attempt) -> Answering<'a>;
}

/// Every challenge type that asks the outside world, and CAA.
pub struct Validators {
    http_01: Http01,
    dns_01: Dns01,
    tls_alpn_01: TlsAlpn01,
    organisations: OrganisationProofs,
    caa: CaaChecker,
    limit: Duration,
}

impl Validators {
    /// The validators that `settings` describe. Nobody is asked yet, so it does not matter whether the dns servers answer.
    pub fn new(settings: &Settings) -> Result<Self, ResolverError> {
        let resolver = Arc::new(Resolver::new(settings)?);
        let connector = Connector::new(settings, resolver.clone());
        Ok(Validators {
            http_01: Http01::new(settings, connector.clone()),
            dns_01: Dns01::new(resolver.clone()),
            tls_alpn_01: TlsAlpn01::new(settings, connector),
            organisations: OrganisationProofs::new(Believed::default(), settings, resolver.clone()),
            caa: CaaChecker::new(settings, resolver),
            limit: settings.attempt_timeout,
        })
    }

    /// The validators that `settings` describe, which believe evidence of organisations from these authorities. Without
    /// them, none is believed.
    pub fn believing(settings: &Settings, believed: Believed) -> Result<Self, ResolverError> {
        let resolver = Arc::new(Resolver::new(settings)?);
        let organisations = OrganisationProofs::new(believed, settings, resolver);
        Ok(Validators { organisations, ..Validators::new(settings)? })
    }

    /// The CAA check alone, for whoever must repeat it before a certificate is issued.
    pub fn caa(&self) -> &CaaChecker {
        &self.caa
    }

    async fn verdict(&self, attempt: &Attempt) -> Verdict {
        if attempt.challenge.is_of_organisations() {
            return self.organisations.verdict(attempt).await;
        }
        Verdict::from(self.outcome(attempt).await)
    }

    async fn outcome(&self, attempt: &Attempt) -> Result<Evidence, Problem> {
        let deadline = Instant::now() + self.limit;
        let evidence = match attempt.challenge {
            ChallengeType::Http01 => self.http_01.evidence(attempt, deadline).await?,
            ChallengeType::Dns01 => self.dns_01.evidence(attempt, deadline).await?,
            ChallengeType::TlsAlpn01 => self.tls_alpn_01.evidence(attempt, deadline).await?,
            ChallengeType::Tkauth01 | ChallengeType::OrgSignature01 | ChallengeType::OrgApproval01 => {
                return Err(Problem::unauthorized("this challenge proves an organisation, and no dns name"));
            }
        };
        // RFC 8659 §3: CAA is asked here too, so that a client learns early that no certificate will follow.
        let (identifier, method) = (&attempt.identifier, attempt.challenge);
        let caa = self.caa.check_before(deadline, identifier, method, &attempt.account_url).await?;
        Ok(Evidence { caa: Some(caa), ..evidence })
    }
}

impl Validator for Validators {
    fn validate<'a>(&'a self, attempt: &'a Attempt) -> Answering<'a> {
        Box::pin(async move {
            let started = Instant::now();
            let verdict = self.verdict(attempt).await;
            log(attempt, &verdict, started.elapsed());
            verdict
        })
    }
}

fn log(attempt: &Attempt, verdict: &Verdict, took: Duration) {
    let (identifier, challenge) = (attempt.identifier.value(), attempt.challenge.label());
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match verdict {
        Verdict::Valid(_) => tracing::info!(identifier, challenge, milliseconds, "validation succeeded"),
        Verdict::Invalid(problem) => tracing::info!(identifier, challenge, milliseconds, %problem, "validation failed"),
        Verdict::Refuted(problem) => {
            tracing::info!(identifier, challenge, milliseconds, %problem, "validation refuted")
        }
        Verdict::Wait { until, problem } => {
            tracing::info!(identifier, challenge, milliseconds, %until, %problem, "validation waits")
        }
    }
}
