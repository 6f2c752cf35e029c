//! Certificates at the server: downloading chains and their alternates (RFC 8555 §7.4.2), revoking (§7.6), and asking when to
//! renew (RFC 9773).

use const_oid::AssociatedOid;
use der::{Decode, Encode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_cert::Certificate;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

use super::account::Account;
use super::certificate_key::CertificateKey;
use super::error::{Error, Result};
use super::session::{Client, Payload, Signer};
use super::transport::Response;
use crate::acme::jws_signing::Identity;
use crate::acme::messages::{RenewalInfo, Revocation};
use crate::acme::renewal::RenewalId;
use crate::names::SerialNumber;

/// A certificate with those above it, as the server sent it.
#[derive(Debug, Clone)]
pub struct CertificateChain {
    url: String,
    pem: String,
    certificates: Vec<Vec<u8>>,
    alternates: Vec<String>,
}

/// When to renew, and when to ask again.
#[derive(Debug, Clone)]
pub struct RenewalAdvice {
    /// The suggested window, perhaps with a page that explains it.
    pub info: RenewalInfo,
    /// Seconds until the next question (RFC 9773 §4.3), if the server says so.
    pub ask_again_in: Option<u64>,
}

impl CertificateChain {
    /// The chain in a PEM text.
    ///
    /// # Errors
    /// `Local` if there is no certificate in it.
    pub fn from_pem(pem: &str) -> Result<Self> {
        CertificateChain::new("", pem.to_owned(), Vec::new())
            .map_err(|why| Error::local(format!("no certificate chain: {why}")))
    }

    fn new(url: &str, pem: String, alternates: Vec<String>) -> std::result::Result<Self, String> {
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            certificates.push(certificate.map_err(|error| error.to_string())?.to_vec());
        }
        if certificates.is_empty() {
            return Err("it holds no PEM certificate".to_owned());
        }
        Ok(CertificateChain { url: url.to_owned(), pem, certificates, alternates })
    }

    fn downloaded(response: &Response) -> Result<Self> {
        let wrong = |why: String| Error::protocol(&response.url, why);
        let pem = String::from_utf8(response.body.to_vec()).map_err(|_| wrong("it is not text".to_owned()))?;
        CertificateChain::new(&response.url, pem, response.links("alternate")).map_err(wrong)
    }

    /// The URL that it came from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The PEM text exactly as it came.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The PEM text of the ordered certificate, and of those above it.
    pub fn pem_parts(&self) -> (&str, &str) {
        const END: &str = "-----END CERTIFICATE-----\n";
        let end = self.pem.find(END).map_or(self.pem.len(), |begin| begin + END.len());
        self.pem.split_at(end)
    }

    /// The certificates in DER, the ordered one first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The ordered certificate in DER.
    pub fn leaf(&self) -> &[u8] {
        &self.certificates[0]
    }

    /// The URLs of other chains of the same certificate.
    pub fn alternates(&self) -> &[String] {
        &self.alternates
    }

    /// The serial number of the ordered certificate.
    ///
    /// # Errors
    /// `Untrusted` if the certificate cannot be read.
    pub fn serial_number(&self) -> Result<SerialNumber> {
        serial_number(&parsed(self.leaf())?)
    }

    /// The name of the ordered certificate in renewal information and in `replaces` (RFC 9773 §4.1).
    ///
    /// # Errors
    /// `Untrusted` if the certificate has no authority key identifier.
    pub fn renewal_id(&self) -> Result<RenewalId> {
        let certificate = parsed(self.leaf())?;
        let extensions = certificate.tbs_certificate().extensions().map_or(&[][..], Vec::as_slice);
        let extension = extensions.iter().find(|extension| extension.extn_id == AuthorityKeyIdentifier::OID);
        let identifier = extension
            .and_then(|extension| AuthorityKeyIdentifier::from_der(extension.extn_value.as_bytes()).ok())
            .and_then(|identifier| identifier.key_identifier)
            .ok_or_else(|| Error::untrusted("the certificate has no authority key identifier"))?;
        Ok(RenewalId::new(identifier.as_bytes(), serial_number(&certificate)?))
    }
}

/// A certificate from its DER.
pub(super) fn parsed(der: &[u8]) -> Result<Certificate> {
    let unreadable = |why: &dyn std::fmt::Display| Error::untrusted(format!("the certificate cannot be read: {why}"));
    let certificate = Certificate::from_der(der).map_err(|error| unreadable(&error))?;
    match certificate.to_der() {
        Ok(again) if again == der => Ok(certificate),
        _ => Err(unreadable(&"it is not in its DER form")),
    }
}

pub(super) fn serial_number(certificate: &Certificate) -> Result<SerialNumber> {
    SerialNumber::from_bytes(certificate.tbs_certificate().serial_number().as_bytes())
        .map_err(|error| Error::untrusted(error.to_string()))
}

impl Account {
    /// Downloads a certificate with its chain.
    ///
    /// # Errors
    /// `Protocol` if the answer is no PEM chain; those of [`Account::fetch`].
    pub async fn certificate_at(&self, url: &str) -> Result<CertificateChain> {
        let accept = Some("application/pem-certificate-chain");
        let response = self.client().post_accepting(self.signer(), url, &Payload::Empty, accept).await?;
        match response.header("content-type").map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
            // RFC 8555 §7.4.2: the default format.
            Some("application/pem-certificate-chain") => CertificateChain::downloaded(&response),
            other => Err(Error::protocol(url, format!("the certificate has content type {}", other.unwrap_or("none")))),
        }
    }

    /// Revokes a certificate by the account, with a reason code (RFC 5280 §5.3.1) or none.
    ///
    /// # Errors
    /// `Refused`, among others with `alreadyRevoked`, `badRevocationReason` and `unauthorized`.
    pub async fn revoke(&self, certificate: &[u8], reason: Option<u8>) -> Result<()> {
        self.client().revoke(self.signer(), certificate, reason).await
    }
}

impl Client {
    /// Revokes a certificate by its own key, without an account.
    ///
    /// # Errors
    /// Those of [`Account::revoke`].
    pub async fn revoke_by_key(&self, certificate: &[u8], key: &CertificateKey, reason: Option<u8>) -> Result<()> {
        // RFC 8555 §7.6: such a request is signed with the certificate's key, in the "jwk" header.
        let key = key.as_account_key()?;
        self.revoke(Signer { key: &key, identity: Identity::Jwk }, certificate, reason).await
    }

    async fn revoke(&self, signer: Signer<'_>, certificate: &[u8], reason: Option<u8>) -> Result<()> {
        let request = Revocation { certificate: certificate.to_vec(), reason: reason.map(Into::into) };
        self.post(signer, &self.directory().revoke_cert, &Payload::of(&request)?).await.map(drop)
    }

    /// Asks when to renew a certificate (RFC 9773 §4); no signature is needed.
    ///
    /// # Errors
    /// `Protocol` if the server has no renewal information; `Refused` if it does not know the certificate.
    pub async fn renewal_advice(&self, certificate: &RenewalId) -> Result<RenewalAdvice> {
        let base = self.directory().renewal_info.as_ref();
        let base = base.ok_or_else(|| Error::protocol(self.directory_url(), "there is no renewalInfo"))?;
        let url = format!("{}/{certificate}", base.trim_end_matches('/'));
        let response = self.transport().get(&url).await?.successful()?;
        Ok(RenewalAdvice { info: response.json()?, ask_again_in: response.retry_after() })
    }
}
