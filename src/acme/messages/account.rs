//! Accounts (RFC 8555 §7.1.2 and §7.3).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{deactivation, is_false};
use crate::acme::jwk::Jwk;
use crate::acme::status::AccountStatus;

/// The payload of newAccount. `orders` and `status`, which some clients send, are not read (RFC 8555 §7.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAccount {
    /// Contact URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Vec<String>>,
    /// Whether the client agrees to the terms of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service_agreed: Option<bool>,
    /// Whether only an existing account is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_return_existing: Option<bool>,
    /// The external account binding as it came; [`ExternalAccountBinding`](crate::acme::external_account::ExternalAccountBinding)
    /// reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<Value>,
}

/// The payload of an update of an account. Other members, also the terms, are not read (RFC 8555 §7.3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUpdate {
    /// The new contact URLs; an empty list removes all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Vec<String>>,
    /// Whether to deactivate the account (RFC 8555 §7.3.6).
    #[serde(rename = "status", default, skip_serializing_if = "is_false", with = "deactivation")]
    pub deactivate: bool,
}

/// An account as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountObject {
    /// The account's status.
    pub status: AccountStatus,
    /// Contact URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<String>,
    /// Whether the terms of service were agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service_agreed: Option<bool>,
    /// The external account binding that was verified, exactly as it came (RFC 8555 §7.3.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<Value>,
    /// The URL of the list of orders.
    pub orders: String,
    /// The URL of the organisation to which the account belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
}

/// A page of an account's orders (RFC 8555 §7.1.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersList {
    /// URLs of orders.
    pub orders: Vec<String>,
}

/// The payload of a key change's inner JWS (RFC 8555 §7.3.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyChange {
    /// The URL of the account.
    pub account: String,
    /// The key to be replaced.
    pub old_key: Jwk,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::json;

    #[test]
    fn the_odd_members_of_stock_clients_do_not_disturb() {
        let caddy = br#"{"status":"","contact":["mailto:a@b.fi"],"orders":"","termsOfServiceAgreed":true}"#;
        let account: NewAccount = json::object(caddy).unwrap();
        assert_eq!(account.terms_of_service_agreed, Some(true));
        let nulls = br#"{"contact":null,"onlyReturnExisting":null,"externalAccountBinding":null}"#;
        assert_eq!(json::object::<NewAccount>(nulls).unwrap(), NewAccount::default());
        assert!(json::object::<NewAccount>(br#"{"contact":"mailto:a@b.fi"}"#).is_err());
    }

    #[test]
    fn only_deactivation_changes_a_status() {
        let update = |text: &str| json::object::<AccountUpdate>(text.as_bytes()).unwrap();
        assert!(update(r#"{"status":"deactivated"}"#).deactivate);
        for other in [r#"{}"#, r#"{"status":"valid"}"#, r#"{"status":null}"#, r#"{"status":["deactivated"]}"#] {
            assert!(!update(other).deactivate, "{other}");
        }
        let deactivate = AccountUpdate { deactivate: true, ..AccountUpdate::default() };
        assert_eq!(serde_json::to_string(&deactivate).unwrap(), r#"{"status":"deactivated"}"#);
        assert_eq!(serde_json::to_string(&AccountUpdate::default()).unwrap(), "{}");
    }
}
