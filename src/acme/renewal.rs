//! ACME renewal information (RFC 9773): the identifier of a certificate in renewal URLs and in `replaces`.

use std::str::FromStr;

use crate::names::{NameError, SerialNumber, base64url};

/// Longest key identifier that is worth a look; SHA-1 gives 20 octets, SHA-512 64.
const KEY_IDENTIFIER_LIMIT: usize = 64;

/// Names a certificate by its issuer's key identifier and its serial number (RFC 9773 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RenewalId {
    authority_key_identifier: Vec<u8>,
    serial_number: SerialNumber,
}

impl RenewalId {
    /// The id of the certificate with this authority key identifier and serial number.
    pub fn new(authority_key_identifier: &[u8], serial_number: SerialNumber) -> Self {
        RenewalId { authority_key_identifier: authority_key_identifier.to_vec(), serial_number }
    }

    /// The key identifier octets of the certificate's Authority Key Identifier.
    pub fn authority_key_identifier(&self) -> &[u8] {
        &self.authority_key_identifier
    }

    /// The certificate's serial number.
    pub fn serial_number(&self) -> &SerialNumber {
        &self.serial_number
    }
}

impl std::fmt::Display for RenewalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key_identifier = base64url::encode(&self.authority_key_identifier);
        write!(f, "{key_identifier}.{}", base64url::encode(&self.serial_number.der_content()))
    }
}

impl FromStr for RenewalId {
    type Err = NameError;

    // RFC 9773 §4.1: both parts are base64url without padding, the serial number as its DER content octets, so that a sign
    // octet belongs to it. Only that one form is accepted, since `replaces` is echoed as it came.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (key_identifier, serial) = text
            .split_once('.')
            .ok_or_else(|| NameError::new("a certificate identifier is two base64url parts with a dot between"))?;
        let authority_key_identifier = base64url::decode(key_identifier)?;
        if authority_key_identifier.is_empty() || authority_key_identifier.len() > KEY_IDENTIFIER_LIMIT {
            return Err(NameError::new("the key identifier of a certificate identifier is empty or too long"));
        }
        let content = base64url::decode(serial)?;
        let serial_number = SerialNumber::from_bytes(&content)?;
        if serial_number.der_content() != content {
            return Err(NameError::new("the serial number of a certificate identifier is not in its DER form"));
        }
        Ok(RenewalId { authority_key_identifier, serial_number })
    }
}

impl serde::Serialize for RenewalId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RenewalId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9773 §4.1.
    const EXAMPLE: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

    #[test]
    fn the_example_of_the_rfc_reads_and_writes() {
        let id: RenewalId = EXAMPLE.parse().unwrap();
        assert_eq!(id.serial_number().to_string(), "87654321");
        assert_eq!(id.authority_key_identifier()[..2], [0x69, 0x88]);
        assert_eq!(id.to_string(), EXAMPLE);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            ".",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.",
            ".AIdlQyE",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AACHZUMh",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE.AIdlQyE",
        ] {
            assert!(text.parse::<RenewalId>().is_err(), "{text}");
        }
    }
}
