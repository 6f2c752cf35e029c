//! dns-01 (RFC 8555 §8.4): a TXT record at `_acme-challenge` below the name holds the digest of the key authorization.

use std::sync::Arc;

use aws_lc_rs::digest;
use tokio::time::Instant;

use super::Attempt;
use super::connector::within;
use super::resolver::{Answer, Resolver};
use crate::acme::problem::{Problem, ProblemKind};
use crate::model::evidence::Evidence;
use crate::names::base64url;

/// Validates by dns-01, wildcards included.
pub struct Dns01 {
    resolver: Arc<Resolver>,
}

impl Dns01 {
    /// A validator that asks `resolver`.
    pub fn new(resolver: Arc<Resolver>) -> Self {
        Dns01 { resolver }
    }

    /// What proved control before `deadline`, or why nothing did.
    pub async fn evidence(&self, attempt: &Attempt, deadline: Instant) -> Result<Evidence, Problem> {
        // RFC 8555 §7.1.3: a wildcard is validated at the name below its asterisk.
        let Some(base) = attempt.identifier.dns_name() else {
            return Err(Problem::unauthorized(format!(
                "dns-01 cannot validate {}: it is no dns name",
                attempt.identifier
            )));
        };
        let name = format!("_acme-challenge.{base}");
        let asking = async { Ok(self.resolver.texts(&name).await?) };
        let answer = within(deadline, ProblemKind::Dns, asking, || format!("looking up TXT {name}")).await?;
        let expected =
            base64url::encode(digest::digest(&digest::SHA256, attempt.key_authorization.as_bytes()).as_ref());
        match answer {
            Answer::NoSuchName => Err(Problem::dns(format!(
                "{name} does not exist in the dns (NXDOMAIN): publish a TXT record with the value {expected} there"
            ))),
            Answer::NoRecords => Err(Problem::incorrect_response(format!(
                "{name} has no TXT record: publish one with the value {expected}"
            ))),
            // RFC 8555 §8.4: one fitting record is enough; others may belong to other orders.
            Answer::Records(texts) if texts.iter().any(|text| text == expected.as_bytes()) => {
                Ok(Evidence { trail: vec![format!("TXT {name}")], ..Evidence::default() })
            }
            Answer::Records(texts) => Err(Problem::incorrect_response(format!(
                "none of the {} TXT records of {name} has the value {expected}; has the change reached every server of the zone?",
                texts.len()
            ))),
        }
    }
}
