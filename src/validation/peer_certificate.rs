//! TLS towards applicants' hosts. Nobody vouches for their certificates yet, so none is judged by its chain; but that the
//! host holds the certificate's key is always verified. That is done here and not by rustls, whose own functions refuse
//! the certificates of tls-alpn-01 for their critical extension (RFC 8737 §3).

use std::sync::Arc;

use der::{Decode, Encode, Reader, Sequence, SliceReader, asn1::AnyRef, asn1::BitStringRef};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::certificate::{CertificateInner, Raw};

use super::connector::Host;
use crate::acme::problem::Problem;

/// A client configuration for one application protocol that accepts every certificate whose key the peer holds.
pub fn client_config(protocol: &[u8]) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(KeyHolder { algorithms: provider.signature_verification_algorithms });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    // A resumed session would show the certificate of an earlier one.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// `host` as the handshake names it.
pub fn server_name(host: &Host) -> Result<ServerName<'static>, Problem> {
    match host {
        Host::Name(name) => ServerName::try_from(name.to_string())
            .map_err(|_| Problem::tls(format!("{name} cannot be named in a TLS handshake"))),
        Host::Address(address) => Ok(ServerName::from(*address)),
    }
}

/// Verifies possession of the key, nothing else.
#[derive(Debug)]
struct KeyHolder {
    algorithms: WebPkiSupportedAlgorithms,
}

impl KeyHolder {
    fn verified(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = CertificateInner::<Raw>::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let key = Key::of(&certificate).ok_or(CertificateError::BadEncoding)?;
        let (_, algorithms) = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        if key.verifies(algorithms, message, signed.signature()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }
}

impl ServerCertVerifier for KeyHolder {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verified(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 §4.2.3: PKCS#1 v1.5 signs certificates only, no TLS 1.3 handshake.
        let forbidden =
            [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PKCS1_SHA384, SignatureScheme::RSA_PKCS1_SHA512];
        if forbidden.contains(&signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.verified(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A certificate's public key: the content of its AlgorithmIdentifier, and the key bits.
struct Key {
    algorithm: Vec<u8>,
    bits: Vec<u8>,
}

impl Key {
    fn of(certificate: &CertificateInner<Raw>) -> Option<Key> {
        let info = certificate.tbs_certificate().subject_public_key_info().to_der().ok()?;
        let info = SubjectPublicKeyInfoRef::from_der(&info).ok()?;
        let algorithm = content(&info.algorithm.to_der().ok()?)?;
        Some(Key { algorithm, bits: info.subject_public_key.as_bytes()?.to_vec() })
    }

    fn verifies(&self, algorithms: &[&dyn SignatureVerificationAlgorithm], message: &[u8], signature: &[u8]) -> bool {
        algorithms
            .iter()
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| algorithm.verify_signature(&self.bits, message, signature).is_ok())
    }
}

/// The content octets of one DER value.
fn content(der: &[u8]) -> Option<Vec<u8>> {
    Some(AnyRef::from_der(der).ok()?.value().to_vec())
}

/// The outer parts of a certificate, as they were sent.
#[derive(Sequence)]
struct Signed<'a> {
    tbs: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

/// Whether `der` is signed by its own key and names its subject as its issuer (RFC 5280 §3.2: self-signed).
pub fn is_self_signed(der: &[u8]) -> bool {
    let checked = || {
        let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
        let named = certificate.tbs_certificate().issuer() == certificate.tbs_certificate().subject();
        let mut reader = SliceReader::new(der).ok()?;
        let outer: Signed<'_> = reader.decode().ok()?;
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> = rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .all
            .iter()
            .copied()
            .filter(|algorithm| algorithm.signature_alg_id().as_ref() == outer.algorithm.value())
            .collect();
        let signature = outer.signature.as_bytes()?;
        Some(named && Key::of(&certificate)?.verifies(&algorithms, &outer.tbs.to_der().ok()?, signature))
    };
    checked().unwrap_or(false)
}
