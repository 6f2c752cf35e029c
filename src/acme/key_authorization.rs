//! Key authorizations (RFC 8555 §8.1): what a client shows to prove that a challenge is its own, and the digests of it that
//! dns-01 and tls-alpn-01 use.

use aws_lc_rs::digest;

use super::jwk::Thumbprint;
use crate::names::base64url;

/// `token "." thumbprint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAuthorization(String);

impl KeyAuthorization {
    /// The key authorization of a challenge's token for the account with this key.
    // RFC 8555 §8.1: keyAuthorization = token || '.' || base64url(Thumbprint(accountKey)).
    pub fn new(token: &str, thumbprint: &Thumbprint) -> Self {
        KeyAuthorization(format!("{token}.{thumbprint}"))
    }

    /// The text, which is the body of an http-01 answer.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the text: the value of the tls-alpn-01 certificate's extension (RFC 8737 §3).
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref());
        hash
    }

    /// The value of the dns-01 TXT record (RFC 8555 §8.4): the digest as base64url.
    pub fn dns_value(&self) -> String {
        base64url::encode(&self.digest())
    }
}

impl std::fmt::Display for KeyAuthorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_authorization_joins_the_token_and_the_thumbprint_of_the_key() {
        let thumbprint: Thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".parse().unwrap();
        let authorization = KeyAuthorization::new("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", &thumbprint);
        assert_eq!(
            authorization.as_str(),
            "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        // Computed by `printf %s TEXT | openssl dgst -sha256 -binary | basenc --base64url`.
        assert_eq!(authorization.dns_value(), "_cC5rvB9vM8qzT3MTBcTeVpQwtbNypBXyQnE4fhM9QQ");
        assert_eq!(base64url::encode(&authorization.digest()), authorization.dns_value());
    }
}
