//! Orders (RFC 8555 §7.1.3 and §7.4).

use serde::{Deserialize, Serialize};

use crate::acme::identifier::RawIdentifier;
use crate::acme::problem::Problem;
use crate::acme::status::OrderStatus;
use crate::names::base64url;
use crate::time::Timestamp;

/// The payload of newOrder. What Caddy sends beside it (`expires`, `authorizations`, `status`, …) is not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// What the certificate is for.
    pub identifiers: Vec<RawIdentifier>,
    /// The wanted begin, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// The wanted end, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// The renewal id of the certificate that is to be replaced (RFC 9773 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The wanted profile (draft-ietf-acme-profiles).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The name of the system whose signature certificate is ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_name: Option<String>,
}

/// An order as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderObject {
    /// The order's status.
    pub status: OrderStatus,
    /// When the order ends. RFC 8555 §7.1.3: required while it is pending or valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What was ordered, exactly.
    pub identifiers: Vec<RawIdentifier>,
    /// The wanted begin, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// The wanted end, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// The profile that the order follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The renewal id of the certificate that this order replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The name of the system whose signature certificate is ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_name: Option<String>,
    /// Why the order became invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// URLs of the authorizations.
    pub authorizations: Vec<String>,
    /// The URL that takes the CSR.
    pub finalize: String,
    /// The URL of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The URL of the organisation authorization that a dns order rests on. It never stands in `authorizations`: certbot
    /// cannot read an authorization of another type than dns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_authorization: Option<String>,
    /// Where the order stands, for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<ProgressStep>,
}

/// A step on an order's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressStep {
    /// The step: `received`, `organization`, `domains`, `finalized` or `issued`.
    pub step: String,
    /// How far the step is. The member is not called `status`, and its words are not the protocol's: acme.sh takes the first
    /// `"status":"valid"` anywhere in an order for the order's own.
    pub state: ProgressState,
    /// When the step came to that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// How far a [`ProgressStep`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgressState {
    /// It has not begun.
    Waiting,
    /// It is under way.
    Underway,
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
}

/// The payload of finalize.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalize {
    /// The DER certificate request; base64url on the wire.
    #[serde(with = "base64url::bytes")]
    pub csr: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::json;

    #[test]
    fn the_odd_members_of_caddy_do_not_disturb() {
        let caddy = br#"{"identifiers":[{"type":"dns","value":"a.fi"}],"status":"","expires":"0001-01-01T00:00:00Z",
            "authorizations":null,"finalize":"","certificate":""}"#;
        let order: NewOrder = json::object(caddy).unwrap();
        assert_eq!(order.identifiers.len(), 1);
    }

    #[test]
    fn an_order_without_a_list_of_identifiers_is_no_order() {
        for text in
            ["{}", r#"{"identifiers":"a.fi"}"#, r#"{"identifiers":null}"#, r#"{"identifiers":[{"type":"dns"}]}"#]
        {
            assert!(json::object::<NewOrder>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_csr_is_base64url_without_padding() {
        assert_eq!(json::object::<Finalize>(br#"{"csr":"MAA"}"#).unwrap().csr, [0x30, 0]);
        for text in
            [r#"{}"#, r#"{"csr":"MAA="}"#, r#"{"csr":"MA+/"}"#, r#"{"csr":"-----BEGIN X-----"}"#, r#"{"csr":1}"#]
        {
            assert!(json::object::<Finalize>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_order_shows_only_what_it_has() {
        let order = OrderObject {
            status: OrderStatus::Pending,
            expires: Some("2027-01-01T00:00:00Z".parse().unwrap()),
            identifiers: vec![RawIdentifier { kind: "dns".into(), value: "a.fi".into() }],
            not_before: None,
            not_after: None,
            profile: Some("sote-server".into()),
            replaces: None,
            system_name: None,
            error: None,
            authorizations: vec!["z".into()],
            finalize: "f".into(),
            certificate: None,
            organization_authorization: None,
            progress: Vec::new(),
        };
        let json = serde_json::to_string(&order).unwrap();
        assert_eq!(
            json,
            r#"{"status":"pending","expires":"2027-01-01T00:00:00Z","identifiers":[{"type":"dns","value":"a.fi"}],"profile":"sote-server","authorizations":["z"],"finalize":"f"}"#
        );
        assert_eq!(serde_json::from_str::<OrderObject>(&json).unwrap(), order);
    }
}
