//! The directory (RFC 8555 §7.1.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_false;

/// Where a client begins: the URL of every operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Gives nonces.
    pub new_nonce: String,
    /// Registers accounts.
    pub new_account: String,
    /// Takes orders.
    pub new_order: String,
    /// Takes pre-authorizations (RFC 8555 §7.4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_authz: Option<String>,
    /// Revokes certificates.
    pub revoke_cert: String,
    /// Changes account keys.
    pub key_change: String,
    /// The base of renewal information URLs (RFC 9773 §3), without a final slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<String>,
    /// About the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<DirectoryMeta>,
}

/// About the service that a directory describes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryMeta {
    /// The URL of the present terms of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<String>,
    /// The URL of a page about the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// The issuer domain names that CAA records may name (RFC 8659).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caa_identities: Vec<String>,
    /// Whether newAccount needs an external account binding.
    #[serde(default, skip_serializing_if = "is_false")]
    pub external_account_required: bool,
    /// The profiles with a description each (draft-ietf-acme-profiles); flat, as stock clients demand.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_the_names_of_the_rfc_and_tolerates_unknown_ones() {
        let directory: Directory = serde_json::from_str(
            r#"{"newNonce":"n","newAccount":"a","newOrder":"o","newAuthz":"z","revokeCert":"r","keyChange":"k",
                "renewalInfo":"i","zPb0rWcH":"https://community.example/","meta":{"termsOfService":"t","website":"w",
                "caaIdentities":["ca.example"],"externalAccountRequired":true,"profiles":{"sote-server":"Servers"}}}"#,
        )
        .unwrap();
        let json = serde_json::to_string(&directory).unwrap();
        assert_eq!(
            json,
            r#"{"newNonce":"n","newAccount":"a","newOrder":"o","newAuthz":"z","revokeCert":"r","keyChange":"k","renewalInfo":"i","meta":{"termsOfService":"t","website":"w","caaIdentities":["ca.example"],"externalAccountRequired":true,"profiles":{"sote-server":"Servers"}}}"#
        );
    }
}
