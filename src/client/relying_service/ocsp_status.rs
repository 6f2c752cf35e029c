//! Asking an OCSP responder and verifying its answer (RFC 6960 §3.2, RFC 5019, RFC 9654).

use aws_lc_rs::digest;
use const_oid::AssociatedOid;
use const_oid::db::rfc5280;
use der::asn1::{GeneralizedTime, OctetString};
use der::{Decode, Encode};
use hyper::header::HeaderMap;
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::CLOCK_SKEW;
use super::chain::{Link, OCSP_ACCESS};
use super::facts::{encoded, only_known, seconds, signature};
use super::ocsp_messages::*;
use crate::client::error::{Error, Result};
use crate::client::transport::{Response, Transport};
use crate::names::RevocationReason;
use crate::time::Timestamp;

/// Octets of our nonces. RFC 9654 §2.1: at least 32 are recommended.
const NONCE_LENGTH: usize = 32;

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspMethod {
    /// POST with a nonce, so that the answer is made for us.
    PostWithNonce,
    /// POST without a nonce.
    Post,
    /// GET, whose answer caches may keep (RFC 5019 §5).
    Get,
}

/// An OCSP answer that was verified.
#[derive(Debug, Clone)]
pub struct OcspAnswer {
    /// What it says.
    pub status: OcspStatus,
    /// When that was known to be so.
    pub this_update: Timestamp,
    /// When newer information comes at the latest.
    pub next_update: Option<Timestamp>,
    /// When the answer was signed.
    pub produced_at: Timestamp,
    /// Whether our nonce came back.
    pub nonce_returned: bool,
    /// Whether a certificate of the issuer delegates to the responder.
    pub delegated: bool,
    /// The answer's DER.
    pub der: Vec<u8>,
    /// The headers that it came with.
    pub headers: HeaderMap,
}

/// What a responder says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspStatus {
    /// It is not revoked.
    Good,
    /// It is revoked.
    Revoked {
        /// Since when.
        date: Timestamp,
        /// Why, if the responder says so.
        reason: Option<RevocationReason>,
    },
    /// The responder does not know it.
    Unknown,
}

pub(super) async fn asked(
    transport: &Transport,
    certificate: &Link,
    issuer: &Link,
    method: OcspMethod,
    now: Timestamp,
) -> Result<OcspAnswer> {
    let urls = certificate.authority_urls(OCSP_ACCESS)?;
    let url =
        urls.first().ok_or_else(|| Error::untrusted(format!("\"{}\" names no responder", certificate.subject())))?;
    let id = certificate_id(certificate, issuer)?;
    let nonce = match method {
        OcspMethod::PostWithNonce => Some(fresh_nonce()?),
        OcspMethod::Post | OcspMethod::Get => None,
    };
    let request = request(&id, nonce.as_ref().map(|nonce| nonce.as_slice()))?;
    let response = match method {
        OcspMethod::PostWithNonce | OcspMethod::Post => {
            transport.post(url, "application/ocsp-request", request).await?
        }
        OcspMethod::Get => transport.get(&format!("{}/{}", url.trim_end_matches('/'), in_path(&request))).await?,
    };
    verified(response.successful()?, &id, issuer, nonce.as_ref().map(|nonce| nonce.as_slice()), now)
}

fn fresh_nonce() -> Result<[u8; NONCE_LENGTH]> {
    let mut nonce = [0; NONCE_LENGTH];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::local("the system's random source fails"))?;
    Ok(nonce)
}

// RFC 5019 §2.1.1: SHA-1 of the issuer's name and key; the hash protects nothing here.
fn certificate_id(certificate: &Link, issuer: &Link) -> Result<CertId> {
    let issuer = issuer.certificate().tbs_certificate();
    let name = encoded(issuer.subject(), "a name")?;
    let key = issuer.subject_public_key_info().subject_public_key.raw_bytes();
    let hash = |octets: &[u8]| {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
        OctetString::new(hash.as_ref()).map_err(unwritable)
    };
    Ok(CertId {
        hash: sha1(),
        issuer_name_hash: hash(&name)?,
        issuer_key_hash: hash(key)?,
        serial_number: certificate.certificate().tbs_certificate().serial_number().clone(),
    })
}

fn request(id: &CertId, nonce: Option<&[u8]>) -> Result<Vec<u8>> {
    let nonce = nonce.map(nonce_extension).transpose().map_err(unwritable)?;
    let tbs = TbsRequest { list: vec![SingleRequest { id: id.clone() }], extensions: nonce.map(|nonce| vec![nonce]) };
    OcspRequest { tbs }.to_der().map_err(unwritable)
}

// RFC 6960 appendix A.1: base64 of the request, with what a URL's path cannot carry percent-encoded.
fn in_path(request: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(request).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

fn verified(
    response: Response,
    id: &CertId,
    issuer: &Link,
    nonce: Option<&[u8]>,
    now: Timestamp,
) -> Result<OcspAnswer> {
    let wrong = |why: &str| Error::untrusted(format!("the OCSP answer of {}: {why}", response.url));
    if response.header("content-type") != Some("application/ocsp-response") {
        return Err(wrong("its content type is not application/ocsp-response"));
    }
    let basic = basic(&response.body).map_err(|why| wrong(&why))?;
    let delegated = signed(&basic, issuer, now).map_err(|error| wrong(&error.to_string()))?;
    let extensions = basic.data.extensions.as_deref().unwrap_or_default();
    only_known(extensions, &[NONCE], "the OCSP answer")?;
    let nonce_returned = returned(extensions, nonce).map_err(|why| wrong(&why))?;
    let [single] = &basic.data.responses[..] else { return Err(wrong("it is not about one certificate")) };
    if single.id != *id {
        return Err(wrong("it is about another certificate"));
    }
    let this_update = time(&single.this_update);
    let next_update = single.next_update.as_ref().map(time);
    // RFC 6960 §4.2.2.1: an answer of the future, or whose nextUpdate has passed, is not to be relied on.
    if this_update > now.plus(CLOCK_SKEW) || next_update.is_some_and(|next| next <= now) {
        return Err(wrong(&format!("it is for {this_update} to {next_update:?}, not for {now}")));
    }
    Ok(OcspAnswer {
        status: status(&single.status).map_err(|why| wrong(&why))?,
        this_update,
        next_update,
        produced_at: time(&basic.data.produced_at),
        nonce_returned,
        delegated,
        der: response.body.to_vec(),
        headers: response.headers.clone(),
    })
}

fn basic(der: &[u8]) -> std::result::Result<BasicResponse, String> {
    let response = OcspResponse::from_der(der).map_err(|error| format!("it cannot be read: {error}"))?;
    if response.status != ResponseStatus::Successful {
        return Err(format!("the responder says {:?}", response.status));
    }
    let bytes = response.bytes.filter(|bytes| bytes.kind == BASIC).ok_or("it is no basic response")?;
    BasicResponse::from_der(bytes.response.as_bytes()).map_err(|error| format!("it cannot be read: {error}"))
}

/// Whether a delegated responder signed the answer; an error if neither such a one nor the issuer did.
// RFC 6960 §4.2.2.2: the issuer itself, or a certificate that this very issuer signed for the purpose.
fn signed(basic: &BasicResponse, issuer: &Link, now: Timestamp) -> Result<bool> {
    let message = encoded(&basic.data, "the answer")?;
    let check = |link: &Link| {
        signature(link.public_key(), &basic.algorithm, &message, basic.signature.as_bytes(), "the answer")
    };
    let responder = match basic.certificates.as_deref().unwrap_or_default() {
        [] => None,
        [certificate, ..] => Some(delegated(certificate, issuer, now)?),
    };
    let signer = responder.as_ref().unwrap_or(issuer);
    named(&basic.data.responder, signer)?;
    check(signer)?;
    Ok(responder.is_some())
}

fn delegated(certificate: &Certificate, issuer: &Link, now: Timestamp) -> Result<Link> {
    let link = Link::parsed(&encoded(certificate, "the responder's certificate")?)?;
    issuer.signed(&link)?;
    only_known(
        link.extensions(),
        &[KeyUsage::OID, ExtendedKeyUsage::OID, BasicConstraints::OID],
        "the responder's certificate",
    )?;
    if !link.may(rfc5280::ID_KP_OCSP_SIGNING)? {
        return Err(Error::untrusted("its signer's certificate is not for OCSP"));
    }
    // RFC 6960 §4.2.2.2.1: without the extension its own revocation would have to be asked for, of whom?
    if !link.extensions().iter().any(|extension| extension.extn_id == NO_CHECK) {
        return Err(Error::untrusted("its signer's certificate has no id-pkix-ocsp-nocheck"));
    }
    let (not_before, not_after) = link.validity();
    if now < not_before || now > not_after {
        return Err(Error::untrusted("its signer's certificate is not valid now"));
    }
    Ok(link)
}

fn named(responder: &ResponderId, signer: &Link) -> Result<()> {
    let tbs = signer.certificate().tbs_certificate();
    let agrees = match responder {
        ResponderId::ByName(name) => encoded(name, "a name")? == encoded(tbs.subject(), "a name")?,
        ResponderId::ByKey(hash) => {
            let key = tbs.subject_public_key_info().subject_public_key.raw_bytes();
            hash.as_bytes() == digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key).as_ref()
        }
    };
    if agrees { Ok(()) } else { Err(Error::untrusted("it names another responder than the one that signed it")) }
}

fn returned(extensions: &[Extension], nonce: Option<&[u8]>) -> std::result::Result<bool, String> {
    let Some(found) = extensions.iter().find(|extension| extension.extn_id == NONCE) else { return Ok(false) };
    let value = OctetString::from_der(found.extn_value.as_bytes()).map_err(|_| "its nonce cannot be read")?;
    match nonce {
        Some(nonce) if value.as_bytes() == nonce => Ok(true),
        Some(_) => Err("it carries another nonce".to_owned()),
        None => Err("it carries a nonce that nobody asked for".to_owned()),
    }
}

fn status(status: &CertStatus) -> std::result::Result<OcspStatus, String> {
    match status {
        CertStatus::Good(_) => Ok(OcspStatus::Good),
        CertStatus::Unknown(_) => Ok(OcspStatus::Unknown),
        CertStatus::Revoked(info) => {
            let reason = match info.reason {
                Some(code) => RevocationReason::from_code(code as u8).map_err(|error| error.to_string())?,
                None => None,
            };
            Ok(OcspStatus::Revoked { date: time(&info.time), reason })
        }
    }
}

fn time(time: &GeneralizedTime) -> Timestamp {
    seconds(time.to_unix_duration())
}

fn unwritable(error: der::Error) -> Error {
    Error::local(format!("cannot write the OCSP request: {error}"))
}
