//! Orders (RFC 8555 §7.1.3): the facts of one, the status that follows from them, and how they may change.

use serde::{Deserialize, Serialize};

use super::{Refusal, Void};
use crate::acme::identifier::Identifiers;
use crate::acme::problem::Problem;
use crate::acme::status::{AuthorizationStatus, OrderStatus};
use crate::names::{AccountId, AuthorizationId, CertificateId, OrderId, OrganisationId, ProfileName, UnitOid};
use crate::time::Timestamp;

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub account: AccountId,
    /// The organisation that gets the certificate.
    pub organisation: OrganisationId,
    /// The unit whose register row is the certificate's subject.
    pub unit: UnitOid,
    /// What it is for, exactly as ordered.
    pub identifiers: Identifiers,
    /// One authorization per identifier, in the same order.
    pub authorizations: Vec<AuthorizationId>,
    /// The organisation's authorization that it rests on, if the account may read it: one of its own, or the one by which
    /// the account proved the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation_authorization: Option<AuthorizationId>,
    /// The profile.
    pub profile: ProfileName,
    /// The requested notBefore, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The requested notAfter, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The certificate that this one replaces (RFC 9773 §5), as its ARI identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it ends unless it was finalized.
    pub expires: Timestamp,
    /// How far it has come.
    pub progress: Progress,
}

/// How far an order has come. What depends on the authorizations is not stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Progress {
    /// It waits for its authorizations, or to be finalized.
    Open,
    /// It was finalized; the worker has to issue.
    Processing {
        /// The certificate request, DER.
        #[serde(with = "crate::names::base64url::bytes")]
        csr: Vec<u8>,
        /// Since when.
        since: Timestamp,
        /// The certificate that is being made for it, once prepared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<CertificateId>,
    },
    /// Its certificate is there.
    Issued {
        /// The certificate.
        certificate: CertificateId,
        /// Since when.
        at: Timestamp,
    },
    /// Nothing comes of it.
    Failed {
        /// Why.
        failure: Failure,
        /// Since when.
        at: Timestamp,
    },
}

/// Why something failed, as a fact: its text is made when it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", content = "what", rename_all = "kebab-case")]
pub enum Failure {
    /// A rule refused.
    Rule(Box<Refusal>),
    /// The outside world showed something else: a validation or CAA result.
    World(Box<Problem>),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Rule(Box::new(refusal))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::World(Box::new(problem))
    }
}

impl Order {
    /// The status of RFC 8555 §7.1.6. `authorizations` are the statuses of the order's authorizations, `void` is the
    /// newest fact that ends open orders of this account, if any.
    pub fn status(&self, authorizations: &[AuthorizationStatus], void: Option<&Void>, now: Timestamp) -> OrderStatus {
        match &self.progress {
            Progress::Failed { .. } => OrderStatus::Invalid,
            Progress::Issued { .. } => OrderStatus::Valid,
            Progress::Processing { .. } => OrderStatus::Processing,
            Progress::Open if self.voided_by(void).is_some() || self.expires <= now => OrderStatus::Invalid,
            Progress::Open => open_status(authorizations),
        }
    }

    /// The fact that ends this order, if it is open and not younger than that fact.
    pub fn voided_by<'a>(&self, void: Option<&'a Void>) -> Option<&'a Void> {
        void.filter(|void| matches!(self.progress, Progress::Open) && self.created <= void.before)
    }

    /// The order, finalized with a request that was checked against it.
    pub fn finalized(&self, csr: Vec<u8>, now: Timestamp) -> Order {
        Order { progress: Progress::Processing { csr, since: now, certificate: None }, ..self.clone() }
    }

    /// The order while `certificate` is being made; `None` (an abandoned certificate) lets the worker begin again.
    pub fn with_prepared(&self, certificate: Option<CertificateId>) -> Order {
        match &self.progress {
            Progress::Processing { csr, since, .. } => Order {
                progress: Progress::Processing { csr: csr.clone(), since: *since, certificate },
                ..self.clone()
            },
            Progress::Open | Progress::Issued { .. } | Progress::Failed { .. } => self.clone(),
        }
    }

    /// The order with its certificate.
    pub fn issued(&self, certificate: CertificateId, now: Timestamp) -> Order {
        Order { progress: Progress::Issued { certificate, at: now }, ..self.clone() }
    }

    /// The order, ended.
    pub fn failed(&self, failure: Failure, now: Timestamp) -> Order {
        Order { progress: Progress::Failed { failure, at: now }, ..self.clone() }
    }
}

/// RFC 8555 §7.1.6: an order is ready when every authorization is valid, invalid when one can no longer become so.
fn open_status(authorizations: &[AuthorizationStatus]) -> OrderStatus {
    let mut status = OrderStatus::Ready;
    for authorization in authorizations {
        match authorization {
            AuthorizationStatus::Valid => {}
            AuthorizationStatus::Pending => status = OrderStatus::Pending,
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Deactivated
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Revoked => return OrderStatus::Invalid,
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthorizationStatus as A;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn order() -> Order {
        Order {
            id: OrderId::from_bytes([1; 16]),
            account: AccountId::from_bytes([2; 16]),
            organisation: OrganisationId::from_bytes([3; 16]),
            unit: "1.2.246.10.2454372.10.1".parse().unwrap(),
            identifiers: serde_json::from_str(r#"[{"type":"dns","value":"a.test"}]"#).unwrap(),
            authorizations: vec![AuthorizationId::from_bytes([4; 16])],
            organisation_authorization: None,
            profile: "sote-server".parse().unwrap(),
            not_before: None,
            not_after: None,
            replaces: None,
            created: NOW,
            expires: NOW.plus(100),
            progress: Progress::Open,
        }
    }

    #[test]
    fn an_open_order_follows_its_authorizations() {
        let status = |authorizations: &[A]| order().status(authorizations, None, NOW);
        assert_eq!(status(&[A::Pending, A::Valid]), OrderStatus::Pending);
        assert_eq!(status(&[A::Valid, A::Valid]), OrderStatus::Ready);
        for end in [A::Invalid, A::Deactivated, A::Expired, A::Revoked] {
            assert_eq!(status(&[A::Valid, A::Pending, end]), OrderStatus::Invalid, "{end:?}");
        }
    }

    #[test]
    fn an_open_order_ends_at_its_time_and_a_processing_one_does_not() {
        assert_eq!(order().status(&[A::Valid], None, NOW.plus(99)), OrderStatus::Ready);
        assert_eq!(order().status(&[A::Valid], None, NOW.plus(100)), OrderStatus::Invalid);
        let processing = order().finalized(vec![1], NOW.plus(99));
        assert_eq!(processing.status(&[A::Expired], None, NOW.plus(200)), OrderStatus::Processing);
    }

    #[test]
    fn a_void_ends_open_orders_that_are_not_younger() {
        let void = |before| Void { before, reason: "suspended".into() };
        assert_eq!(order().status(&[A::Valid], Some(&void(NOW)), NOW), OrderStatus::Invalid);
        assert_eq!(order().status(&[A::Valid], Some(&void(NOW.plus(-1))), NOW), OrderStatus::Ready);
        let issued = order().issued(CertificateId::from_bytes([5; 16]), NOW);
        assert_eq!(issued.status(&[A::Valid], Some(&void(NOW.plus(5))), NOW), OrderStatus::Valid);
    }

    #[test]
    fn an_abandoned_certificate_lets_a_processing_order_begin_again() {
        let prepared = order().finalized(vec![1], NOW).with_prepared(Some(CertificateId::from_bytes([5; 16])));
        assert!(matches!(prepared.progress, Progress::Processing { certificate: Some(_), .. }));
        assert!(matches!(prepared.with_prepared(None).progress, Progress::Processing { certificate: None, .. }));
        assert_eq!(order().with_prepared(None), order(), "an open order has nothing to prepare");
    }
}
