//! The one strict base64url: no padding, no other alphabet, no white space, no non-zero trailing bits
//! (RFC 7515 §2, RFC 8555 §6.1). Every base64url text of the protocol is read and written here.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::NameError;

/// `bytes` as base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// The bytes that `text` stands for, refusing everything but the one canonical form.
pub fn decode(text: &str) -> Result<Vec<u8>, NameError> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| {
        NameError::new(
            "not base64url without padding (RFC 8555 §6.1): only A-Z a-z 0-9 - _ are allowed, no '=', no spaces",
        )
    })
}

/// Exactly `N` bytes from `text`.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], NameError> {
    let bytes = decode(text)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| NameError::new(format!("expected {N} octets of base64url, found {found}")))
}

/// Serde adapter for byte fields: `#[serde(with = "base64url::bytes")]`.
pub mod bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the bytes as base64url.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::encode(bytes))
    }

    /// Reads base64url into bytes or a byte array.
    pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = super::decode(&text).map_err(D::Error::custom)?;
        T::try_from(bytes).map_err(|_| D::Error::custom("base64url value of the wrong length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_decodes_to_the_same_bytes() {
        assert_eq!(decode(&encode(b"sote \xff")).unwrap(), b"sote \xff");
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in ["YQ==", "YR", "Y Q", "Y+/=", "YQ\n", "Y", "a/b-"] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }
}
