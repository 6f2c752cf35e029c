//! An ACME server as the client sees it: its directory, nonces, and signed requests with the one retry that the protocol asks
//! for. Everything above works through [`Client::post`].

use std::sync::{Arc, Mutex, PoisonError};

use hyper::Method;
use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use super::error::{Error, Result};
use super::transport::{Response, Transport};
use crate::acme::jws_signing::{AccountKey, Identity};
use crate::acme::messages::Directory;
use crate::acme::problem::ProblemKind;

/// Nonces that are kept for later requests.
const NONCE_LIMIT: usize = 256;
/// How often a request is sent again because the server knew its nonce no longer.
const NONCE_RETRIES: usize = 5;

/// An ACME server. Cheap to clone; clones share connections and nonces.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    transport: Transport,
    directory_url: String,
    directory: Directory,
    nonces: Mutex<Vec<String>>,
}

/// Who signs a request.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The key.
    pub key: &'a AccountKey,
    /// How the request names it.
    pub identity: Identity<'a>,
}

impl Signer<'_> {
    fn sign(self, nonce: &str, url: &str, payload: &[u8]) -> Result<String> {
        self.key.sign(self.identity, nonce, url, payload).map_err(|error| Error::local(format!("cannot sign: {error}")))
    }
}

/// What a signed request carries.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Nothing: POST-as-GET (RFC 8555 §6.3).
    Empty,
    /// A JSON object.
    Json(Vec<u8>),
}

impl Payload {
    /// The payload with this message.
    ///
    /// # Errors
    /// `Local` if the message has no JSON form.
    pub fn of(message: &impl Serialize) -> Result<Self> {
        serde_json::to_vec(message).map(Payload::Json).map_err(|error| Error::local(error.to_string()))
    }

    fn octets(&self) -> &[u8] {
        match self {
            Payload::Empty => b"",
            Payload::Json(octets) => octets,
        }
    }
}

impl Client {
    /// The server with this directory URL.
    ///
    /// # Errors
    /// `Unreachable`, `Refused`, or `Protocol` if there is no directory at the URL.
    pub async fn discover(transport: Transport, directory_url: &str) -> Result<Self> {
        let directory = transport.get(directory_url).await?.successful()?.json()?;
        Ok(Client(Arc::new(Inner {
            transport,
            directory_url: directory_url.to_owned(),
            directory,
            nonces: Mutex::default(),
        })))
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The directory's URL.
    pub fn directory_url(&self) -> &str {
        &self.0.directory_url
    }

    /// The transport.
    pub fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// A nonce: one that an earlier answer brought, or a new one.
    ///
    /// # Errors
    /// Those of a HEAD request, or `Protocol` if the answer has no nonce.
    pub async fn nonce(&self) -> Result<String> {
        if let Some(nonce) = self.kept_nonce() {
            return Ok(nonce);
        }
        // RFC 8555 §7.2: HEAD gets a nonce without a body.
        let response = self.transport().head(&self.directory().new_nonce).await?.successful()?;
        match response.header("replay-nonce") {
            Some(nonce) => Ok(nonce.to_owned()),
            None => Err(Error::protocol(&response.url, "the answer has no Replay-Nonce")),
        }
    }

    /// Sends a signed request and gives back its successful answer.
    ///
    /// # Errors
    /// `Refused` with the server's problem document; those of the transport.
    pub async fn post(&self, signer: Signer<'_>, url: &str, payload: &Payload) -> Result<Response> {
        self.post_accepting(signer, url, payload, None).await
    }

    /// The same with an `Accept` header.
    ///
    /// # Errors
    /// Those of [`Client::post`].
    pub async fn post_accepting(
        &self,
        signer: Signer<'_>,
        url: &str,
        payload: &Payload,
        accept: Option<&'static str>,
    ) -> Result<Response> {
        let mut retries = 0;
        loop {
            let nonce = self.nonce().await?;
            let body = signer.sign(&nonce, url, payload.octets())?;
            let answer = self.post_raw(url, body.into_bytes(), accept).await?.successful();
            match answer {
                // RFC 8555 §6.5: "On receiving such a response, a client SHOULD retry the request using the new nonce."
                Err(error) if error.is(ProblemKind::BadNonce) && retries < NONCE_RETRIES => retries += 1,
                answer => return answer,
            }
        }
    }

    /// Sends any body as a JWS and keeps the nonce of the answer, whatever its status.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn post_raw(&self, url: &str, body: Vec<u8>, accept: Option<&'static str>) -> Result<Response> {
        let mut headers = HeaderMap::new();
        // RFC 8555 §6.2: the content type of every signed request.
        headers.insert(HeaderName::from_static("content-type"), HeaderValue::from_static("application/jose+json"));
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        let response = self.transport().send(Method::POST, url, headers, body.into()).await?;
        self.keep_nonce(&response);
        Ok(response)
    }

    fn kept_nonce(&self) -> Option<String> {
        self.0.nonces.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep_nonce(&self, response: &Response) {
        let Some(nonce) = response.header("replay-nonce") else { return };
        let mut nonces = self.0.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() < NONCE_LIMIT {
            nonces.push(nonce.to_owned());
        }
    }

    /// Forgets the kept nonces.
    pub fn forget_nonces(&self) {
        self.0.nonces.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.0.directory_url)
    }
}
