//! A relying service: what a hospital's system does with a certificate that another one shows it. It trusts roots and nothing
//! else, verifies the chain, fetches the CRL of every level and asks OCSP, all by its own reading of the standards: it shares no
//! parser with the issuer, so a mistake of the issuer is not repeated here.

mod chain;
mod facts;
mod ocsp_messages;
mod ocsp_status;
mod revocation_list;

pub use chain::{Link, VerifiedChain};
pub use ocsp_status::{OcspAnswer, OcspMethod, OcspStatus};
pub use revocation_list::{RevocationList, RevokedEntry};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::{Error, Result};
use super::transport::Transport;
use crate::time::Timestamp;

/// Clocks may differ by so many seconds.
const CLOCK_SKEW: i64 = 60;

/// Checks certificates against roots that it trusts.
#[derive(Clone)]
pub struct RelyingService {
    roots: Vec<Link>,
    transport: Transport,
}

impl RelyingService {
    /// A service that trusts the certificates in `roots` (PEM) and fetches CRLs and OCSP answers by `transport`.
    ///
    /// # Errors
    /// `Local` if there is no certificate in `roots`; `Untrusted` if one cannot be read.
    pub fn trusting(roots: &[u8], transport: Transport) -> Result<Self> {
        let mut trusted = Vec::new();
        for root in CertificateDer::pem_slice_iter(roots) {
            let root = root.map_err(|error| Error::local(format!("the root is not PEM: {error}")))?;
            trusted.push(Link::parsed(&root)?);
        }
        if trusted.is_empty() {
            return Err(Error::local("there is no root certificate to trust"));
        }
        Ok(RelyingService { roots: trusted, transport })
    }

    /// The chain, if it leads from a server certificate for `name` to a trusted root and is valid at `now`.
    ///
    /// # Errors
    /// `Untrusted` with the first thing that does not hold.
    pub fn verified(&self, chain: &[Vec<u8>], name: &str, now: Timestamp) -> Result<VerifiedChain> {
        chain::verified(chain, &self.roots, name, now)
    }

    /// The CRLs of every certificate in the chain below the root, fetched from the URL that stands in it and checked. Whether
    /// the certificate is on its list is for the caller to look at.
    ///
    /// # Errors
    /// `Untrusted` if a list does not hold; those of the transport.
    pub async fn revocation_lists(&self, chain: &VerifiedChain, now: Timestamp) -> Result<Vec<RevocationList>> {
        let mut lists = Vec::new();
        for (certificate, issuer) in chain.pairs() {
            lists.push(revocation_list::fetched(&self.transport, certificate, issuer, now).await?);
        }
        Ok(lists)
    }

    /// What the OCSP responder named in the certificate says of it, verified.
    ///
    /// # Errors
    /// `Untrusted` if the answer does not hold; those of the transport.
    pub async fn ocsp(&self, chain: &VerifiedChain, method: OcspMethod, now: Timestamp) -> Result<OcspAnswer> {
        ocsp_status::asked(&self.transport, chain.leaf(), chain.leaf_issuer(), method, now).await
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    };

    use super::*;

    /// A root and an issuing authority, made by another library than the one under test.
    pub(super) struct Authority {
        root: Vec<u8>,
        intermediate: Vec<u8>,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        pub(super) fn new() -> Self {
            let root_key = KeyPair::generate().unwrap();
            let root_params = authority("Test Root");
            let root = root_params.self_signed(&root_key).unwrap();
            let root_issuer = Issuer::new(root_params, root_key);
            let key = KeyPair::generate().unwrap();
            let params = authority("Test Issuer");
            let intermediate = params.signed_by(&key, &root_issuer).unwrap();
            Authority {
                root: root.der().to_vec(),
                intermediate: intermediate.der().to_vec(),
                issuer: Issuer::new(params, key),
            }
        }

        pub(super) fn roots(&self) -> Vec<Link> {
            vec![Link::parsed(&self.root).unwrap()]
        }

        /// A new certificate for `name` and the issuing authority's.
        pub(super) fn chain(&self, name: &str) -> Vec<Vec<u8>> {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            within_2026(&mut params);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            let leaf = params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap();
            vec![leaf.der().to_vec(), self.intermediate.clone()]
        }
    }

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        within_2026(&mut params);
        params
    }

    fn within_2026(params: &mut CertificateParams) {
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 6, 1);
    }
}
