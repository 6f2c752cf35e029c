//! What an OCSP answer says, as plain data, and the ResponseData made of it.

use const_oid::db::rfc6960;
use der::Encode;

use super::cert_id::{CertId, responder_key_hash};
use super::request::Nonce;
use crate::names::RevocationReason;
use crate::public_key::PublicKey;
use crate::time::Timestamp;
use crate::x509::SigningAlgorithm;
use crate::x509::asn1_time::generalized;
use crate::x509::der_element::{
    BIT_STRING, ENUMERATED, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, constructed, encoded, primitive,
};

/// What is known of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStatus {
    /// Issued, and not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// When.
        time: Timestamp,
        /// Why, if a reason was given.
        reason: Option<RevocationReason>,
    },
    /// Not known: never issued here.
    Unknown,
}

/// The answer about one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspAnswer {
    /// The certificate, as the request named it.
    pub certificate: CertId,
    /// Its status.
    pub status: CertificateStatus,
    /// When the status was known to be right.
    pub this_update: Timestamp,
    /// Until when the answer may be used. RFC 5019 §2.2.4 wants it always.
    pub next_update: Option<Timestamp>,
    /// Since when the responder keeps what it knows of expired certificates (RFC 6960 §4.4.4).
    pub archive_cutoff: Option<Timestamp>,
}

/// Everything that the responder signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspContent {
    /// The key that signs: the responder's, or the issuer's own.
    pub responder: PublicKey,
    /// When the answer is signed.
    pub produced_at: Timestamp,
    /// An answer for each certificate asked about.
    pub answers: Vec<OcspAnswer>,
    /// The request's nonce.
    pub nonce: Option<Nonce>,
}

impl OcspContent {
    /// The ResponseData in DER: what is signed.
    pub fn tbs_der(&self) -> Vec<u8> {
        // RFC 6960 §4.2.1: [2] EXPLICIT, byKey, which is shorter than the name and survives a new certificate.
        let responder = encoded(constructed(2), &[&encoded(OCTET_STRING, &[&responder_key_hash(&self.responder)])]);
        let answers: Vec<Vec<u8>> = self.answers.iter().map(OcspAnswer::to_der).collect();
        let answers: Vec<&[u8]> = answers.iter().map(Vec::as_slice).collect();
        let extensions = self
            .nonce
            .as_ref()
            .map_or_else(Vec::new, |nonce| encoded(constructed(1), &[&encoded(SEQUENCE, &[&nonce.extension_der()])]));
        encoded(SEQUENCE, &[&responder, &time(self.produced_at), &encoded(SEQUENCE, &answers), &extensions])
    }
}

impl OcspAnswer {
    fn to_der(&self) -> Vec<u8> {
        let next_update = self.next_update.map_or_else(Vec::new, |next| encoded(constructed(0), &[&time(next)]));
        let extensions = self.archive_cutoff.map_or_else(Vec::new, |cutoff| {
            let oid = encoded(OBJECT_IDENTIFIER, &[rfc6960::ID_PKIX_OCSP_ARCHIVE_CUTOFF.as_bytes()]);
            let extension = encoded(SEQUENCE, &[&oid, &encoded(OCTET_STRING, &[&time(cutoff)])]);
            encoded(constructed(1), &[&encoded(SEQUENCE, &[&extension])])
        });
        let status = self.status.to_der();
        encoded(SEQUENCE, &[self.certificate.der(), &status, &time(self.this_update), &next_update, &extensions])
    }
}

impl CertificateStatus {
    // RFC 6960 §4.2.1: good [0] and unknown [2] are IMPLICIT NULL, revoked [1] is an IMPLICIT RevokedInfo.
    fn to_der(self) -> Vec<u8> {
        match self {
            CertificateStatus::Good => encoded(primitive(0), &[]),
            CertificateStatus::Unknown => encoded(primitive(2), &[]),
            CertificateStatus::Revoked { time: revoked_at, reason } => {
                let reason = reason.map_or_else(Vec::new, |reason| {
                    encoded(constructed(0), &[&encoded(ENUMERATED, &[&[reason.code()]])])
                });
                encoded(constructed(1), &[&time(revoked_at), &reason])
            }
        }
    }
}

fn time(time: Timestamp) -> Vec<u8> {
    generalized(time).to_der().expect("a timestamp encodes")
}

/// The whole response around signed ResponseData. `responder_certificate` (DER) is left out when the issuer signs itself.
pub fn assembled_ocsp_response(
    tbs_der: &[u8],
    algorithm: SigningAlgorithm,
    signature: &[u8],
    responder_certificate: Option<&[u8]>,
) -> Vec<u8> {
    let bits = encoded(BIT_STRING, &[&[0], signature]);
    let certificates = responder_certificate
        .map_or_else(Vec::new, |certificate| encoded(constructed(0), &[&encoded(SEQUENCE, &[certificate])]));
    let basic = encoded(SEQUENCE, &[tbs_der, &algorithm.identifier_der(), &bits, &certificates]);
    let kind = encoded(OBJECT_IDENTIFIER, &[rfc6960::ID_PKIX_OCSP_BASIC.as_bytes()]);
    let bytes = encoded(SEQUENCE, &[&kind, &encoded(OCTET_STRING, &[&basic])]);
    encoded(SEQUENCE, &[&[ENUMERATED, 1, 0], &encoded(constructed(0), &[&bytes])])
}

/// An answer without content, and unsigned (RFC 6960 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OcspRefusal {
    /// The request is malformed.
    MalformedRequest,
    /// The responder has a fault of its own.
    InternalError,
    /// Not now; later perhaps.
    TryLater,
    /// The request must be signed. Read, never given.
    SignatureRequired,
    /// The responder does not speak for the certificate's issuer (RFC 5019 §2.2.3).
    Unauthorized,
}

impl OcspRefusal {
    /// The refusal with this responseStatus.
    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(OcspRefusal::MalformedRequest),
            2 => Some(OcspRefusal::InternalError),
            3 => Some(OcspRefusal::TryLater),
            5 => Some(OcspRefusal::SignatureRequired),
            6 => Some(OcspRefusal::Unauthorized),
            _ => None,
        }
    }

    const fn code(self) -> u8 {
        match self {
            OcspRefusal::MalformedRequest => 1,
            OcspRefusal::InternalError => 2,
            OcspRefusal::TryLater => 3,
            OcspRefusal::SignatureRequired => 5,
            OcspRefusal::Unauthorized => 6,
        }
    }

    /// The response in DER.
    pub fn to_der(self) -> Vec<u8> {
        encoded(SEQUENCE, &[&encoded(ENUMERATED, &[&[self.code()]])])
    }
}
