//! The tls-alpn-01 responder (RFC 8737): answers handshakes for `acme-tls/1` with a self-signed certificate that carries the
//! digest of the key authorization, and no other handshakes at all.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use const_oid::ObjectIdentifier;
use der::asn1::{BitString, OctetString, UtcTime};
use der::{Decode, Encode, Sequence};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::time::{Time, Validity};

use super::certificate_key::{CertificateKey, KeyKind};
use super::challenges::{Proof, Responder, Responding};
use super::csr::{algorithm_identifier, alternative_names};
use super::error::{Error, Result};
use crate::acme::challenge_type::ChallengeType;

const PROTOCOL: &[u8] = b"acme-tls/1";
/// id-pe-acmeIdentifier (RFC 8737 §6.1).
const ACME_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.31");
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers tls-alpn-01 challenges until it is dropped.
#[derive(Debug)]
pub struct TlsAlpn01Responder {
    shown: Arc<Shown>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shown(RwLock<HashMap<String, Arc<CertifiedKey>>>);

impl TlsAlpn01Responder {
    /// A responder that listens on `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// `Local` if it cannot listen there: the port is taken, or needs a privilege.
    pub async fn listen(address: SocketAddr) -> Result<Self> {
        let failed =
            |error: std::io::Error| Error::local(format!("cannot listen on {address} for tls-alpn-01: {error}"));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shown = Arc::new(Shown::default());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::local(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Shown>::clone(&shown));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        let serving = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config))));
        Ok(TlsAlpn01Responder { shown, address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsAlpn01Responder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Responder for TlsAlpn01Responder {
    fn challenge_type(&self) -> ChallengeType {
        ChallengeType::TlsAlpn01
    }

    fn present<'a>(&'a self, proof: &'a Proof) -> Responding<'a> {
        Box::pin(async move {
            let certificate = validation_certificate(&proof.domain, &proof.key_authorization.digest())?;
            let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
            shown.insert(proof.domain.clone(), Arc::new(certificate));
            Ok(())
        })
    }

    fn withdraw<'a>(&'a self, proof: &'a Proof) -> Responding<'a> {
        self.shown.0.write().unwrap_or_else(PoisonError::into_inner).remove(&proof.domain);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // RFC 8737 §3: only a handshake that offers the protocol is a validation.
        let offered = hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == PROTOCOL));
        let name = hello.server_name().filter(|_| offered)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let acceptor = acceptor.clone();
        // The handshake is the whole exchange: the connection ends with it.
        tokio::spawn(async move { tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await.map(drop) });
    }
}

#[derive(Sequence)]
struct Tbs {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial_number: u8,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    public_key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct SelfSigned {
    tbs: Tbs,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// The self-signed certificate of RFC 8737 §3: the one name, and the digest in a critical extension.
fn validation_certificate(domain: &str, digest: &[u8; 32]) -> Result<CertifiedKey> {
    let key = CertificateKey::generate(KeyKind::EcP256)?;
    let der = self_signed(&key, domain, digest)?;
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.pkcs8_der().to_vec()));
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private)
        .map_err(|error| Error::local(format!("the validation key is unusable: {error}")))?;
    Ok(CertifiedKey::new(vec![CertificateDer::from(der)], signing))
}

fn self_signed(key: &CertificateKey, domain: &str, digest: &[u8; 32]) -> Result<Vec<u8>> {
    // The algorithm stands in what is signed, so that it must be known before.
    let (algorithm, _) = key.sign(b"")?;
    let subject = Name::default();
    let names = alternative_names(&[domain.to_owned()])?.to_extension(&subject, &[]).map_err(encoding)?;
    let digest = OctetString::new(digest.as_slice()).and_then(|digest| digest.to_der()).map_err(encoding)?;
    let identifier =
        Extension { extn_id: ACME_IDENTIFIER, critical: true, extn_value: OctetString::new(digest).map_err(encoding)? };
    let time = |year| der::DateTime::new(year, 1, 1, 0, 0, 0).and_then(UtcTime::from_date_time).map(Time::UtcTime);
    let tbs = Tbs {
        version: 2,
        serial_number: 1,
        signature: algorithm_identifier(algorithm),
        issuer: subject.clone(),
        validity: Validity::new(time(2020).map_err(encoding)?, time(2049).map_err(encoding)?),
        subject,
        public_key: SubjectPublicKeyInfoOwned::from_der(&key.public_key().to_spki_der()).map_err(encoding)?,
        extensions: vec![names, identifier],
    };
    let (algorithm, signature) = key.sign(&tbs.to_der().map_err(encoding)?)?;
    let signature = BitString::from_bytes(&signature).map_err(encoding)?;
    SelfSigned { tbs, algorithm: algorithm_identifier(algorithm), signature }.to_der().map_err(encoding)
}

fn encoding(error: impl std::fmt::Display) -> Error {
    Error::local(format!("cannot write the validation certificate: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::relying_service::Link;

    #[test]
    fn the_validation_certificate_carries_one_name_and_the_digest_and_signs_itself() {
        let key = CertificateKey::generate(KeyKind::EcP256).unwrap();
        let der = self_signed(&key, "a.test", &[7; 32]).unwrap();
        let link = Link::parsed(&der).unwrap();
        assert_eq!(link.dns_names().unwrap(), ["a.test"]);
        let extensions = link.certificate().tbs_certificate().extensions().unwrap();
        let identifier = extensions.iter().find(|extension| extension.extn_id == ACME_IDENTIFIER).unwrap();
        assert!(identifier.critical);
        assert_eq!(identifier.extn_value.as_bytes(), [&[0x04, 0x20], &[7; 32][..]].concat());
        let algorithm = crate::public_key::SignatureAlgorithm::from_oid(&link.certificate().signature_algorithm().oid);
        let message = link.certificate().tbs_certificate().to_der().unwrap();
        let signature = link.certificate().signature().as_bytes().unwrap();
        assert!(key.public_key().verify(algorithm.unwrap(), &message, signature).is_ok());
    }
}
