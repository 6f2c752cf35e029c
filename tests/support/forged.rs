//! Requests that no honest client sends: a JWS of which every part can be put otherwise.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::client::{Account, Response};
use sote_acme::names::base64url;

use super::Ca;

/// A request that is right unless it is changed.
pub struct Forged {
    key: Arc<AccountKey>,
    url: String,
    header: Map<String, Value>,
    header_text: Option<String>,
    payload: Vec<u8>,
    content_type: &'static str,
    edits: Vec<Edit>,
}

type Edit = Box<dyn FnOnce(&mut Map<String, Value>) + Send>;

impl Ca {
    /// A request by `account` to `url`, with a fresh nonce and the payload `{}`.
    pub async fn forged(&self, account: &Account, url: &str) -> Forged {
        let header = json!({
            "alg": account.key().jwk().algorithm().name(),
            "kid": account.url(),
            "nonce": self.nonce().await,
            "url": url,
        });
        Forged::new(account.key().clone(), url, header)
    }

    /// A request by a key without an account to `url`, with a fresh nonce and the payload `{}`.
    pub async fn forged_by_key(&self, key: &Arc<AccountKey>, url: &str) -> Forged {
        let header = json!({
            "alg": key.jwk().algorithm().name(),
            "jwk": key.jwk().to_json(),
            "nonce": self.nonce().await,
            "url": url,
        });
        Forged::new(key.clone(), url, header)
    }
}

impl Forged {
    fn new(key: Arc<AccountKey>, url: &str, header: Value) -> Self {
        let Value::Object(header) = header else { unreachable!("a literal object") };
        Forged {
            key,
            url: url.to_owned(),
            header,
            header_text: None,
            payload: b"{}".to_vec(),
            content_type: "application/jose+json",
            edits: Vec::new(),
        }
    }

    /// With this payload.
    pub fn payload(self, payload: Value) -> Self {
        self.payload_octets(payload.to_string().as_bytes())
    }

    /// With these octets as payload.
    pub fn payload_octets(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// With another value of a protected header parameter.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Without a protected header parameter.
    pub fn without(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// With a protected header that is made from the right one as text.
    pub fn header_text(mut self, change: impl FnOnce(String) -> String) -> Self {
        self.header_text = Some(change(Value::Object(self.header.clone()).to_string()));
        self
    }

    /// With the JWS itself changed after it was signed.
    pub fn edit(mut self, edit: impl FnOnce(&mut Map<String, Value>) + Send + 'static) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// Sent with another content type; the empty one stands for none.
    pub fn content_type(mut self, content_type: &'static str) -> Self {
        self.content_type = content_type;
        self
    }

    /// Signed by another key, whatever the header says.
    pub fn signed_by(mut self, key: &Arc<AccountKey>) -> Self {
        self.key = key.clone();
        self
    }

    /// The nonce in the header.
    pub fn nonce(&self) -> String {
        self.header["nonce"].as_str().unwrap_or_default().to_owned()
    }

    /// The JWS.
    pub fn jws(self) -> Value {
        let header = self.header_text.unwrap_or_else(|| Value::Object(self.header).to_string());
        let protected = base64url::encode(header.as_bytes());
        let payload = base64url::encode(&self.payload);
        let signature = self.key.signature(format!("{protected}.{payload}").as_bytes()).unwrap();
        let mut jws = Map::new();
        jws.insert("protected".to_owned(), protected.into());
        jws.insert("payload".to_owned(), payload.into());
        jws.insert("signature".to_owned(), base64url::encode(&signature).into());
        self.edits.into_iter().for_each(|edit| edit(&mut jws));
        Value::Object(jws)
    }

    /// Sends it.
    pub async fn send(self, ca: &Ca) -> Response {
        let (url, content_type) = (self.url.clone(), self.content_type);
        ca.post(&url, content_type, self.jws().to_string().into_bytes()).await
    }
}

/// A text member of a JWS.
pub fn member(jws: &Map<String, Value>, name: &str) -> String {
    jws[name].as_str().unwrap().to_owned()
}
