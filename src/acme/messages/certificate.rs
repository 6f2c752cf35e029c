//! Revocation (RFC 8555 §7.6) and renewal information (RFC 9773 §4).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::base64url;
use crate::time::Timestamp;

/// The payload of revokeCert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The DER certificate; base64url on the wire.
    #[serde(with = "base64url::bytes")]
    pub certificate: Vec<u8>,
    /// The reason code as it came; [`Revocation::reason_code`] reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Value>,
}

impl Revocation {
    /// The reason code (RFC 5280 §5.3.1), not yet checked against the allowed ones.
    ///
    /// # Errors
    /// What was sent, if it is not a whole number of one octet.
    pub fn reason_code(&self) -> Result<Option<u8>, &Value> {
        reason_code(self.reason.as_ref())
    }
}

/// A reason code as it came, not yet checked against the allowed ones.
///
/// # Errors
/// What was sent, if it is not a whole number of one octet.
pub fn reason_code(reason: Option<&Value>) -> Result<Option<u8>, &Value> {
    match reason {
        None => Ok(None),
        Some(reason) => reason.as_u64().and_then(|code| u8::try_from(code).ok()).map(Some).ok_or(reason),
    }
}

/// When to renew a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalInfo {
    /// The time in which to renew; the client picks a moment within.
    pub suggested_window: SuggestedWindow,
    /// A page that explains an unusual window.
    #[serde(rename = "explanationURL", default, skip_serializing_if = "Option::is_none")]
    pub explanation_url: Option<String>,
}

/// A span of time. RFC 9773 §4.2: `end` lies after `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuggestedWindow {
    /// Its begin.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::json;

    #[test]
    fn a_reason_is_a_small_whole_number_or_absent() {
        let revocation = |reason: &str| {
            let text = format!(r#"{{"certificate":"MAA","reason":{reason}}}"#);
            json::object::<Revocation>(text.as_bytes()).unwrap()
        };
        assert_eq!(revocation("4").reason_code(), Ok(Some(4)));
        assert_eq!(revocation("null").reason_code(), Ok(None));
        for bad in ["-1", "256", "\"1\"", "1.5", "[]", "99999999999999999999"] {
            assert!(revocation(bad).reason_code().is_err(), "{bad}");
        }
        assert_eq!(json::object::<Revocation>(br#"{"certificate":"MAA"}"#).unwrap().reason_code(), Ok(None));
    }

    #[test]
    fn renewal_information_has_the_names_of_the_rfc() {
        let json = r#"{"suggestedWindow":{"start":"2027-01-02T04:00:00Z","end":"2027-01-03T04:00:00Z"},"explanationURL":"https://ca.example/why"}"#;
        let info: RenewalInfo = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&info).unwrap(), json);
    }
}
