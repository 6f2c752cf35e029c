//! What the protected header of a request must say (RFC 8555 §6.2).

use super::flattened::Header;
use super::jwk::Jwk;
use super::jws_algorithm::JwsAlgorithm;
use super::problem::Problem;

/// What the protected header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedHeader {
    /// How the request is signed.
    pub algorithm: JwsAlgorithm,
    /// By which key.
    pub key: KeySource,
    /// The nonce: base64url, not empty.
    pub nonce: String,
    /// The URL to which the client sent the request, as the client writes it.
    pub url: String,
}

/// Where the signing key is found. RFC 8555 §6.2: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The key itself.
    Jwk(Jwk),
    /// The URL of the account that holds the key.
    Kid(String),
}

impl ProtectedHeader {
    pub(super) fn new(header: &Header) -> Result<Self, Problem> {
        let algorithm = algorithm(header.algorithm()?)?;
        let url = header.url()?.to_owned();
        let key = KeySource::new(header, algorithm)?;
        // RFC 8555 §6.5: a request without a nonce gets badNonce, so that the client fetches one and tries again.
        let nonce = header
            .nonce()
            .filter(|nonce| !nonce.is_empty())
            .ok_or_else(|| Problem::bad_nonce("the protected header has no nonce: use the one of this answer"))?
            .to_owned();
        Ok(ProtectedHeader { algorithm, key, nonce, url })
    }
}

/// The algorithm of this name, or the refusal that lists the supported ones.
pub(super) fn algorithm(name: &str) -> Result<JwsAlgorithm, Problem> {
    JwsAlgorithm::from_name(name).ok_or_else(|| {
        let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        JwsAlgorithm::unsupported(format!("the signature algorithm \"{name}\" is not supported here"))
    })
}

impl KeySource {
    fn new(header: &Header, algorithm: JwsAlgorithm) -> Result<Self, Problem> {
        // RFC 8555 §6.2: "Servers MUST reject requests that contain both".
        match (header.has_jwk(), header.kid()) {
            (true, Some(_)) => Err(Problem::malformed("the protected header may not have both \"jwk\" and \"kid\"")),
            (false, None) => Err(Problem::malformed("the protected header has neither \"jwk\" nor \"kid\"")),
            (false, Some("")) => Err(Problem::malformed("\"kid\" in the protected header is empty")),
            (false, Some(kid)) => Ok(KeySource::Kid(kid.to_owned())),
            (true, None) => {
                let jwk = header.jwk()?.ok_or_else(|| Problem::malformed("\"jwk\" is missing"))?;
                jwk.verifier(algorithm)?;
                Ok(KeySource::Jwk(jwk))
            }
        }
    }
}
