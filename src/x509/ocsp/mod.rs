//! OCSP (RFC 6960, in the profile of RFC 5019, nonces as RFC 9654): requests read and made, answers made and read. Who may ask
//! for what, and which answer is right, is decided elsewhere. Start with [`OcspRequest`] and [`OcspContent`].

mod cert_id;
mod request;
mod response;
mod response_content;

pub use cert_id::{CertId, CertIdHash, IssuerHashes};
pub use request::{MOST_CERTIFICATES, Nonce, OcspRequest};
pub use response::{OcspResponse, OcspVerifyError};
pub use response_content::{CertificateStatus, OcspAnswer, OcspContent, OcspRefusal, assembled_ocsp_response};

use const_oid::ObjectIdentifier;
use const_oid::db::rfc6960;
use x509_cert::ext::Extension;

use super::der_element::{DerError, Element, OCTET_STRING};

/// id-pkix-ocsp-nonce.
const NONCE: ObjectIdentifier = rfc6960::ID_PKIX_OCSP_NONCE;

/// The nonce among `extensions`.
fn nonce(extensions: &[Extension]) -> Result<Option<Nonce>, DerError> {
    let Some(extension) = extensions.iter().find(|extension| extension.extn_id == NONCE) else {
        return Ok(None);
    };
    // RFC 9654 §2.1: an OCTET STRING inside the extension's own.
    let octets = Element::only(extension.extn_value.as_bytes())?.tagged(OCTET_STRING)?.content;
    Nonce::from_bytes(octets).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::x509::tests::authority;
    use crate::x509::{DistinguishedName, NameAttribute};

    fn ids() -> Vec<CertId> {
        let (name, key) = (authority::name("Issuer"), authority::key(1));
        [CertIdHash::Sha1, CertIdHash::Sha256]
            .into_iter()
            .map(|hash| CertId::new(hash, &name, &key, &"0A1B2C".parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_request_reads_back_with_both_hashes_and_its_nonce() {
        let request = OcspRequest::new(ids(), Some(Nonce::random()));
        assert_eq!(OcspRequest::parse(&request.to_der()).unwrap(), request);
        let hashes = IssuerHashes::of(&authority::name("Issuer"), &authority::key(1));
        let other =
            IssuerHashes::of(&DistinguishedName::new([(NameAttribute::CommonName, "B")]).unwrap(), &authority::key(1));
        assert!(request.certificates().iter().all(|id| id.is_of(&hashes) && !id.is_of(&other)));
    }

    #[test]
    fn a_nonce_has_1_to_128_octets() {
        for (length, allowed) in [(0, false), (1, true), (32, true), (128, true), (129, false)] {
            assert_eq!(Nonce::from_bytes(&vec![7; length]).is_ok(), allowed, "{length}");
        }
    }

    #[test]
    fn a_request_for_nothing_or_for_too_much_is_refused() {
        assert!(OcspRequest::parse(&OcspRequest::new(Vec::new(), None).to_der()).is_err());
        let many = vec![ids()[0].clone(); MOST_CERTIFICATES + 1];
        assert!(OcspRequest::parse(&OcspRequest::new(many, None).to_der()).is_err());
    }

    proptest! {
        #[test]
        fn a_spoiled_request_never_panics(index in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut der = OcspRequest::new(ids(), Some(Nonce::from_bytes(&[1, 2, 3]).unwrap())).to_der();
            let index = index.index(der.len());
            der[index] = octet;
            let _ = OcspRequest::parse(&der);
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = OcspRequest::parse(&octets);
            let _ = OcspResponse::parse(&octets);
        }
    }
}
