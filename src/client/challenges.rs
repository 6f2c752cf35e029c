//! Challenges (RFC 8555 §8) on the client's side: a [`Proof`] is what a domain must show; a [`Responder`] shows it.

use std::future::Future;
use std::pin::Pin;

use super::error::Result;
use crate::acme::challenge_type::ChallengeType;
use crate::acme::key_authorization::KeyAuthorization;

/// What one challenge asks the domain to show.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The domain, without `*.`.
    pub domain: String,
    /// The challenge's token.
    pub token: String,
    /// The key authorization.
    pub key_authorization: KeyAuthorization,
}

impl Proof {
    /// The name of the dns-01 record.
    pub fn dns_record(&self) -> String {
        format!("_acme-challenge.{}", self.domain)
    }
}

/// A future of a [`Responder`].
pub type Responding<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Shows proofs of one challenge type.
pub trait Responder: Send + Sync {
    /// The challenge type that it answers.
    fn challenge_type(&self) -> ChallengeType;

    /// Shows the proof; when it returns, the server may look.
    fn present<'a>(&'a self, proof: &'a Proof) -> Responding<'a>;

    /// Takes the proof away.
    fn withdraw<'a>(&'a self, proof: &'a Proof) -> Responding<'a>;
}
