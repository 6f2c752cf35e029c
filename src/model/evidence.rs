//! What a successful validation saw, kept with the authorization and named by its hash in the audit trail.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The evidence of one successful validation. It never holds a response body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The address that was connected to, for http-01 and tls-alpn-01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What was looked up or fetched, one line each: URLs followed, dns names asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<String>,
    /// What the CAA look-up found, when it was made with this validation: the name whose record set decided, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caa: Option<String>,
}
