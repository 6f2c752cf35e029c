//! A token authority as its clients see it (RFC 9447 §5): asked over mutual TLS, it gives tokens to those whom it knows.

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::error::{Error, Result};
use super::transport::Transport;
use crate::acme::authority_token::TokenRequest;

/// A token authority, and the account that the client has there.
#[derive(Clone)]
pub struct TokenAuthority {
    transport: Transport,
    url: String,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
}

impl TokenAuthority {
    /// The authority at `base`, where the client has this account. `transport` shows the client's certificate.
    ///
    /// # Errors
    /// `Local` if the account cannot stand in a URL.
    // RFC 9447 §5: POST /at/account/ID/token.
    pub fn new(transport: Transport, base: &str, account: &str) -> Result<Self> {
        let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if account.is_empty() || !account.bytes().all(sound) {
            return Err(Error::local(format!("\"{account}\" cannot be the id of an account at a token authority")));
        }
        let base = base.trim_end_matches('/').trim_end_matches("/at");
        Ok(TokenAuthority { transport, url: format!("{base}/at/account/{account}/token") })
    }

    /// Where tokens are asked for.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token, a compact JWS.
    ///
    /// # Errors
    /// `Refused` if the client is not entitled to it.
    pub async fn token(&self, request: &TokenRequest) -> Result<String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = request.to_json().to_string();
        let response = self.transport.send(Method::POST, &self.url, headers, body.into()).await?.successful()?;
        response.json::<Answer>().map(|answer| answer.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::transport::HttpVersion;

    #[test]
    fn the_url_is_the_one_that_the_rfc_names_however_the_base_is_written() {
        let key = rcgen::KeyPair::generate().unwrap();
        let root = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let transport = Transport::trusting(root.as_bytes(), HttpVersion::Http1).unwrap();
        for base in ["https://a.test", "https://a.test/", "https://a.test/at"] {
            let authority = TokenAuthority::new(transport.clone(), base, "it-1").unwrap();
            assert_eq!(authority.url(), "https://a.test/at/account/it-1/token");
        }
        assert!(TokenAuthority::new(transport, "https://a.test", "a/b").is_err());
    }
}
