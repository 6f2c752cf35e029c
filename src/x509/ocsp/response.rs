//! Reading and verifying OCSP responses: for the client, and for checking what we signed.

use const_oid::db::{rfc5280, rfc6960};
use der::Decode;
use der::asn1::GeneralizedTime;

use super::cert_id::{CertId, responder_key_hash};
use super::nonce;
use super::request::Nonce;
use super::response_content::{CertificateStatus, OcspAnswer, OcspRefusal};
use crate::names::RevocationReason;
use crate::public_key::PublicKey;
use crate::time::Timestamp;
use crate::x509::asn1_time::from_generalized;
use crate::x509::der_element::{
    DerError, ENUMERATED, Element, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, canonical, constructed, primitive,
};
use crate::x509::signed::verified;
use crate::x509::{Certificate, extension};

/// The largest response that is read, in octets.
const LARGEST_RESPONSE: usize = 256 * 1024;

/// A response with content. Nothing is said of its signature until [`OcspResponse::verify`] is asked.
#[derive(Debug, Clone)]
pub struct OcspResponse {
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    responder: ResponderId,
    produced_at: Timestamp,
    answers: Vec<OcspAnswer>,
    nonce: Option<Nonce>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ResponderId {
    Name(Vec<u8>),
    KeyHash(Vec<u8>),
}

/// Why a response is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcspVerifyError {
    /// The responder gave no answer.
    #[error("the responder refused: {0:?}")]
    Refused(OcspRefusal),
    /// Not an OCSP response.
    #[error("not an OCSP response: {0}")]
    Malformed(#[from] DerError),
    /// Neither the issuer nor a responder that it appointed signed the response.
    #[error("no key that the issuer stands behind is the responder's")]
    Responder,
    /// The signature is wrong.
    #[error("the response's signature does not verify")]
    Signature,
}

impl OcspResponse {
    /// Reads a response in DER.
    pub fn parse(der: &[u8]) -> Result<Self, OcspVerifyError> {
        if der.len() > LARGEST_RESPONSE {
            return Err(DerError("more than 256 KiB").into());
        }
        canonical(der)?;
        let outer = Element::only(der)?.tagged(SEQUENCE)?.children()?;
        let (status, bytes) = match outer[..] {
            [status] => (status, None),
            [status, bytes] => (status, Some(bytes)),
            _ => return Err(DerError("a response has a status and content").into()),
        };
        match (status.tagged(ENUMERATED)?.content, bytes) {
            ([0], Some(bytes)) => Ok(Self::basic(basic_octets(bytes)?)?),
            ([code], None) => {
                let refusal = OcspRefusal::from_code(*code).ok_or(DerError("an unknown response status"))?;
                Err(OcspVerifyError::Refused(refusal))
            }
            _ => Err(DerError("the status does not fit the content").into()),
        }
    }

    fn basic(der: &[u8]) -> Result<Self, DerError> {
        canonical(der)?;
        let parts = Element::only(der)?.tagged(SEQUENCE)?.children()?;
        let (tbs, algorithm, signature, certificates) = match parts[..] {
            [tbs, algorithm, signature] => (tbs, algorithm, signature, Vec::new()),
            [tbs, algorithm, signature, certificates] => {
                let list = Element::only(certificates.tagged(constructed(0))?.content)?;
                (tbs, algorithm, signature, list.tagged(SEQUENCE)?.children()?)
            }
            _ => return Err(DerError("a basic response has three parts and certificates")),
        };
        let data = tbs.tagged(SEQUENCE)?.children()?;
        let data = match &data[..] {
            [version, rest @ ..] if version.tag == constructed(0) => rest,
            rest => rest,
        };
        let (responder, produced_at, answers, extensions) = match data {
            [responder, produced_at, answers] => (responder, produced_at, answers, Vec::new()),
            [responder, produced_at, answers, extensions] => {
                let extensions = extension::parsed(extensions.tagged(constructed(1))?.content)?;
                (responder, produced_at, answers, extensions)
            }
            _ => return Err(DerError("response data have a responder, a time and answers")),
        };
        Ok(OcspResponse {
            tbs: tbs.whole.to_vec(),
            algorithm: algorithm.whole.to_vec(),
            signature: signature.whole_bits()?.to_vec(),
            certificates: certificates.iter().map(|certificate| certificate.whole.to_vec()).collect(),
            responder: responder_id(responder)?,
            produced_at: time(produced_at)?,
            answers: answers.tagged(SEQUENCE)?.children()?.into_iter().map(answer).collect::<Result<_, _>>()?,
            nonce: nonce(&extensions)?,
        })
    }

    /// Checks that the issuer itself, or a responder that it appointed with a certificate in the response, signed this.
    /// `at` is the time for which the responder's certificate must be valid.
    // RFC 6960 §4.2.2.2: the appointed responder's certificate is issued directly by the CA and has id-kp-OCSPSigning.
    pub fn verify(&self, issuer: &Certificate, at: Timestamp) -> Result<(), OcspVerifyError> {
        let key =
            if self.is_responder(issuer) { Some(issuer.public_key().clone()) } else { self.appointed(issuer, at) };
        let key: PublicKey = key.ok_or(OcspVerifyError::Responder)?;
        verified(&key, &self.algorithm, &self.tbs, &self.signature).map_err(|_| OcspVerifyError::Signature)
    }

    fn appointed(&self, issuer: &Certificate, at: Timestamp) -> Option<PublicKey> {
        let certificates = self.certificates.iter().filter_map(|der| Certificate::parse(der).ok());
        let fitting = |certificate: &Certificate| {
            self.is_responder(certificate)
                && certificate.extended_key_usage().contains(&rfc5280::ID_KP_OCSP_SIGNING)
                && certificate.is_valid_at(at)
                && certificate.issuer() == issuer.subject()
                && certificate.verify_signed_by(issuer.public_key()).is_ok()
        };
        certificates.into_iter().find(fitting).map(|certificate| certificate.public_key().clone())
    }

    fn is_responder(&self, certificate: &Certificate) -> bool {
        match &self.responder {
            ResponderId::Name(name) => certificate.subject().as_der() == name,
            ResponderId::KeyHash(hash) => responder_key_hash(certificate.public_key()) == *hash,
        }
    }

    /// When the response was signed.
    pub fn produced_at(&self) -> Timestamp {
        self.produced_at
    }

    /// The answer about this certificate.
    pub fn answer(&self, certificate: &CertId) -> Option<&OcspAnswer> {
        self.answers.iter().find(|answer| answer.certificate.same_certificate(certificate))
    }

    /// All answers.
    pub fn answers(&self) -> &[OcspAnswer] {
        &self.answers
    }

    /// The request's nonce, if the responder repeated it.
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }
}

fn basic_octets(bytes: Element<'_>) -> Result<&[u8], DerError> {
    let parts = Element::only(bytes.tagged(constructed(0))?.content)?.tagged(SEQUENCE)?.children()?;
    match parts[..] {
        [kind, response] if kind.tag == OBJECT_IDENTIFIER && kind.content == rfc6960::ID_PKIX_OCSP_BASIC.as_bytes() => {
            Ok(response.tagged(OCTET_STRING)?.content)
        }
        _ => Err(DerError("not a basic response")),
    }
}

fn responder_id(element: &Element<'_>) -> Result<ResponderId, DerError> {
    let inner = Element::only(element.content)?;
    if element.tag == constructed(1) {
        Ok(ResponderId::Name(inner.tagged(SEQUENCE)?.whole.to_vec()))
    } else if element.tag == constructed(2) {
        Ok(ResponderId::KeyHash(inner.tagged(OCTET_STRING)?.content.to_vec()))
    } else {
        Err(DerError("a responder is named by its name or its key"))
    }
}

fn answer(element: Element<'_>) -> Result<OcspAnswer, DerError> {
    let parts = element.tagged(SEQUENCE)?.children()?;
    let [id, found, this_update, rest @ ..] = &parts[..] else {
        return Err(DerError("an answer has an id, a status and a time"));
    };
    let (next_update, rest) = match rest {
        [next, after @ ..] if next.tag == constructed(0) => (Some(time(&Element::only(next.content)?)?), after),
        _ => (None, rest),
    };
    let extensions = match rest {
        [] => Vec::new(),
        [extensions] => extension::parsed(extensions.tagged(constructed(1))?.content)?,
        _ => return Err(DerError("something unknown follows an answer")),
    };
    let cutoff: Option<GeneralizedTime> = extension::value(&extensions, rfc6960::ID_PKIX_OCSP_ARCHIVE_CUTOFF)?;
    Ok(OcspAnswer {
        certificate: CertId::from_element(*id)?,
        status: status(found)?,
        this_update: time(this_update)?,
        next_update,
        archive_cutoff: cutoff.map(from_generalized),
    })
}

fn status(element: &Element<'_>) -> Result<CertificateStatus, DerError> {
    if element.tag == primitive(0) && element.content.is_empty() {
        return Ok(CertificateStatus::Good);
    }
    if element.tag == primitive(2) && element.content.is_empty() {
        return Ok(CertificateStatus::Unknown);
    }
    let parts = element.tagged(constructed(1))?.children()?;
    let (revoked_at, reason) = match &parts[..] {
        [revoked_at] => (revoked_at, None),
        [revoked_at, reason] => (revoked_at, Some(reason_code(reason)?)),
        _ => return Err(DerError("a revocation has a time and a reason")),
    };
    let reason = reason.map(RevocationReason::from_code).transpose().map_err(|_| DerError("an unknown reason"))?;
    Ok(CertificateStatus::Revoked { time: time(revoked_at)?, reason: reason.flatten() })
}

fn reason_code(element: &Element<'_>) -> Result<u8, DerError> {
    match Element::only(element.tagged(constructed(0))?.content)?.tagged(ENUMERATED)?.content {
        [code] => Ok(*code),
        _ => Err(DerError("a reason code of several octets")),
    }
}

fn time(element: &Element<'_>) -> Result<Timestamp, DerError> {
    GeneralizedTime::from_der(element.whole).map(from_generalized).map_err(|_| DerError("a time is malformed"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::x509::ocsp::{CertIdHash, OcspContent, assembled_ocsp_response};
    use crate::x509::tests::authority::{self, ALGORITHM, time as at};
    use crate::x509::{CertificateContent, KeyIdentifier};

    const NOW: &str = "2026-11-24T10:00:01Z";

    fn id() -> CertId {
        CertId::new(CertIdHash::Sha1, &authority::name("Issuer"), &authority::key(1), &"0A".parse().unwrap())
    }

    fn response(status: CertificateStatus, signer: usize, certificate: Option<&CertificateContent>) -> Vec<u8> {
        let answer = OcspAnswer {
            certificate: id(),
            status,
            this_update: at(NOW),
            next_update: Some(at(NOW).plus(86_400)),
            archive_cutoff: Some(at("2026-01-01T00:00:00Z")),
        };
        let content = OcspContent {
            responder: authority::key(signer),
            produced_at: at(NOW),
            answers: vec![answer],
            nonce: Some(Nonce::from_bytes(&[9; 32]).unwrap()),
        };
        let tbs = content.tbs_der();
        let certificate = certificate.map(authority::certificate);
        assembled_ocsp_response(&tbs, ALGORITHM, &authority::sign(signer, &tbs), certificate.as_deref())
    }

    fn issuer() -> Certificate {
        Certificate::parse(&authority::certificate(&authority::issuer_content())).unwrap()
    }

    fn verified(der: &[u8]) -> Result<(), OcspVerifyError> {
        OcspResponse::parse(der)?.verify(&issuer(), at(NOW))
    }

    #[test]
    fn every_status_reads_back_and_verifies() {
        let statuses = [
            CertificateStatus::Good,
            CertificateStatus::Unknown,
            CertificateStatus::Revoked { time: at("2026-11-01T00:00:00Z"), reason: None },
            CertificateStatus::Revoked { time: at(NOW), reason: Some(RevocationReason::KeyCompromise) },
        ];
        for status in statuses {
            let der = response(status, 3, Some(&authority::responder_content()));
            assert_eq!(verified(&der), Ok(()));
            let read = OcspResponse::parse(&der).unwrap();
            let answer = read.answer(&id()).unwrap();
            assert_eq!((answer.status, answer.next_update), (status, Some(at(NOW).plus(86_400))));
            assert_eq!(read.nonce().unwrap().as_bytes(), [9; 32]);
        }
    }

    #[test]
    fn the_issuer_may_sign_itself() {
        assert_eq!(verified(&response(CertificateStatus::Good, 1, None)), Ok(()));
    }

    #[test]
    fn a_responder_that_the_issuer_did_not_appoint_is_not_believed() {
        let refused = |certificate: Option<&CertificateContent>, signer| {
            assert_eq!(
                verified(&response(CertificateStatus::Good, signer, certificate)),
                Err(OcspVerifyError::Responder)
            );
        };
        refused(None, 3);
        refused(Some(&authority::responder_content()), 2);
        refused(Some(&authority::server_content()), 2);
        let mut ended = authority::responder_content();
        ended.not_after = at(NOW).plus(-1);
        refused(Some(&ended), 3);
        let mut of_another = authority::responder_content();
        of_another.issuer = authority::name("Another");
        refused(Some(&of_another), 3);
    }

    #[test]
    fn a_refusal_is_told_apart_from_an_answer() {
        let refusals = [
            OcspRefusal::MalformedRequest,
            OcspRefusal::InternalError,
            OcspRefusal::TryLater,
            OcspRefusal::SignatureRequired,
            OcspRefusal::Unauthorized,
        ];
        for refusal in refusals {
            assert_eq!(OcspResponse::parse(&refusal.to_der()).unwrap_err(), OcspVerifyError::Refused(refusal));
        }
        assert_eq!(OcspRefusal::TryLater.to_der(), [0x30, 0x03, 0x0a, 0x01, 0x03]);
    }

    #[test]
    fn the_key_identifier_of_certificates_is_not_the_responders() {
        assert_ne!(responder_key_hash(&authority::key(3)), KeyIdentifier::of(&authority::key(3)).as_bytes());
    }

    proptest! {
        #[test]
        fn a_spoiled_response_never_panics_and_keeps_its_answer(
            index in any::<prop::sample::Index>(),
            octet in any::<u8>(),
        ) {
            let mut der = response(CertificateStatus::Good, 1, None);
            let (whole, index) = (OcspResponse::parse(&der).unwrap(), index.index(der.len()));
            der[index] = octet;
            if let Ok(read) = OcspResponse::parse(&der)
                && read.verify(&issuer(), at(NOW)).is_ok()
            {
                prop_assert_eq!(read.answers(), whole.answers());
            }
        }
    }
}
