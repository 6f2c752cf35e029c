//! OCSP requests.

use aws_lc_rs::rand;

use super::cert_id::CertId;
use super::{NONCE, nonce};
use crate::x509::der_element::{
    DerError, Element, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, canonical, constructed, encoded,
};
use crate::x509::extension;

/// The most certificates that one request may ask about. Nearly every client asks about one.
pub const MOST_CERTIFICATES: usize = 16;

/// The largest request that is read, in octets.
const LARGEST_REQUEST: usize = 16 * 1024;

/// A nonce: 1 to 128 octets (RFC 9654 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// A new nonce of 32 octets, as clients shall send (RFC 9654 §2.1).
    pub fn random() -> Self {
        let mut octets = vec![0; 32];
        rand::fill(&mut octets).expect("the system's random numbers are there");
        Nonce(octets)
    }

    /// The nonce with these octets.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, DerError> {
        // RFC 9654 §2.1: shorter and longer ones are answered with malformedRequest.
        if (1..=128).contains(&octets.len()) {
            Ok(Nonce(octets.to_vec()))
        } else {
            Err(DerError("a nonce has 1 to 128 octets"))
        }
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The extension in DER.
    pub(super) fn extension_der(&self) -> Vec<u8> {
        let inner = encoded(OCTET_STRING, &[&self.0]);
        let oid = encoded(OBJECT_IDENTIFIER, &[NONCE.as_bytes()]);
        encoded(SEQUENCE, &[&oid, &encoded(OCTET_STRING, &[&inner])])
    }
}

/// A question about the status of one or more certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspRequest {
    certificates: Vec<CertId>,
    nonce: Option<Nonce>,
}

impl OcspRequest {
    /// A question about these certificates.
    pub fn new(certificates: Vec<CertId>, nonce: Option<Nonce>) -> Self {
        OcspRequest { certificates, nonce }
    }

    /// Reads a request in DER. Whoever it fails for is answered `malformedRequest`. A signature on it is passed over, as RFC
    /// 5019 §2.1.2 allows: everyone may ask.
    pub fn parse(der: &[u8]) -> Result<Self, DerError> {
        if der.len() > LARGEST_REQUEST {
            return Err(DerError("more than 16 KiB"));
        }
        canonical(der)?;
        let outer = Element::only(der)?.tagged(SEQUENCE)?.children()?;
        let tbs = match outer[..] {
            [tbs] => tbs,
            [tbs, signature] if signature.tag == constructed(0) => tbs,
            _ => return Err(DerError("a request has one part, or two with a signature")),
        };
        let parts = tbs.tagged(SEQUENCE)?.children()?;
        let mut rest = &parts[..];
        if let [version, after @ ..] = rest
            && version.tag == constructed(0)
        {
            if version.content != [INTEGER, 1, 0] {
                return Err(DerError("not of version 1"));
            }
            rest = after;
        }
        if let [requestor, after @ ..] = rest
            && requestor.tag == constructed(1)
        {
            rest = after;
        }
        let (list, extensions) = match rest {
            [list] => (list, Vec::new()),
            [list, extensions] => (list, extension::parsed(extensions.tagged(constructed(2))?.content)?),
            _ => return Err(DerError("a request has a list and extensions")),
        };
        // RFC 6960 §4.4: a critical extension that is not understood ends the matter.
        if extensions.iter().any(|extension| extension.critical && extension.extn_id != NONCE) {
            return Err(DerError("a critical extension is unknown"));
        }
        Ok(OcspRequest { certificates: certificates(list)?, nonce: nonce(&extensions)? })
    }

    /// The certificates asked about: 1 to [`MOST_CERTIFICATES`] of a request that was read.
    pub fn certificates(&self) -> &[CertId] {
        &self.certificates
    }

    /// The nonce, if the client wants a fresh answer.
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// The request in DER.
    pub fn to_der(&self) -> Vec<u8> {
        let requests: Vec<Vec<u8>> = self.certificates.iter().map(|id| encoded(SEQUENCE, &[id.der()])).collect();
        let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        let list = encoded(SEQUENCE, &requests);
        let extensions = self
            .nonce
            .as_ref()
            .map_or_else(Vec::new, |nonce| encoded(constructed(2), &[&encoded(SEQUENCE, &[&nonce.extension_der()])]));
        encoded(SEQUENCE, &[&encoded(SEQUENCE, &[&list, &extensions])])
    }
}

fn certificates(list: &Element<'_>) -> Result<Vec<CertId>, DerError> {
    let requests = list.tagged(SEQUENCE)?.children()?;
    if requests.is_empty() || requests.len() > MOST_CERTIFICATES {
        return Err(DerError("a request asks about 1 to 16 certificates"));
    }
    requests.into_iter().map(single).collect()
}

fn single(request: Element<'_>) -> Result<CertId, DerError> {
    let parts = request.tagged(SEQUENCE)?.children()?;
    let (id, extensions) = match parts[..] {
        [id] => (id, Vec::new()),
        [id, extensions] => (id, extension::parsed(extensions.tagged(constructed(0))?.content)?),
        _ => return Err(DerError("a single request has an id and extensions")),
    };
    if extensions.iter().any(|extension| extension.critical) {
        return Err(DerError("a critical extension is unknown"));
    }
    CertId::from_element(id)
}
