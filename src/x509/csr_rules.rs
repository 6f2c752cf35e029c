//! What a certificate request may ask for. The key, the identifiers and a common name that is a dns name are taken from a
//! request; everything else in the certificate comes from the profile and the register. So a requested key usage, a TLS
//! feature, an e-mail address in the subject and unknown extensions are ignored, as stock clients send them without meaning.
//! Refused is what asks for a different kind of certificate than the one that will come back.

use const_oid::ObjectIdentifier;

use super::KeyUsage;
use super::alternative_name::AlternativeName;
use super::csr::{CertificateRequest, RequestedConstraint};

/// What a request asks for and does not get. The message is written for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrRefusal {
    /// basicConstraints with CA:TRUE.
    #[error("the certificate request asks for a CA certificate (basicConstraints CA:TRUE); leave the extension out")]
    Authority,
    /// keyCertSign or cRLSign.
    #[error("the certificate request asks for the key usages of a CA (keyCertSign or cRLSign); leave them out")]
    AuthorityUsage,
    /// An extended key usage that the profile does not give.
    #[error(
        "the certificate request asks for the extended key usage {0}, which this profile does not give; leave it out"
    )]
    ExtendedUsage(ObjectIdentifier),
    /// An alternative name that no order can name.
    #[error("the certificate request asks for the alternative name {0}; only what the order names may stand there")]
    AlternativeName(String),
}

/// Checks a request against these rules, given the extended key usages of the order's profile.
pub fn check(request: &CertificateRequest, profile_usages: &[ObjectIdentifier]) -> Result<(), CsrRefusal> {
    let requested = request.extensions();
    match requested.constraint {
        Some(RequestedConstraint::Authority) => return Err(CsrRefusal::Authority),
        Some(RequestedConstraint::EndEntity) | None => {}
    }
    if requested
        .key_usage
        .is_some_and(|usages| usages.contains(KeyUsage::KeyCertSign) || usages.contains(KeyUsage::CRLSign))
    {
        return Err(CsrRefusal::AuthorityUsage);
    }
    if let Some(other) = requested.extended_key_usage.iter().find(|usage| !profile_usages.contains(usage)) {
        return Err(CsrRefusal::ExtendedUsage(*other));
    }
    match requested.alternative_names.iter().find(|name| name.identifier().is_none()) {
        Some(name) => Err(CsrRefusal::AlternativeName(shown(name))),
        None => Ok(()),
    }
}

fn shown(name: &AlternativeName) -> String {
    name.to_string().chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::*;

    fn checked(der: &[u8], usages: &[ObjectIdentifier]) -> Result<(), CsrRefusal> {
        check(&CertificateRequest::parse(der).unwrap(), usages)
    }

    #[test]
    fn an_authoritys_certificate_is_refused() {
        let der = include_bytes!("../../tests/vectors/x509/csr-ec-authority.der");
        assert_eq!(checked(der, &[]), Err(CsrRefusal::Authority));
    }

    #[test]
    fn an_extended_usage_outside_the_profile_and_an_email_address_are_refused() {
        let der = include_bytes!("../../tests/vectors/x509/csr-rsa-much.der");
        let server = rfc5280::ID_KP_SERVER_AUTH;
        let code = rfc5280::ID_KP_CODE_SIGNING;
        assert_eq!(checked(der, &[server]), Err(CsrRefusal::ExtendedUsage(code)));
        let refusal = checked(der, &[server, code]).unwrap_err();
        assert_eq!(refusal, CsrRefusal::AlternativeName("email:it@example.fi".to_owned()));
    }

    #[test]
    fn an_ordinary_request_is_accepted() {
        assert_eq!(checked(include_bytes!("../../tests/vectors/x509/csr-ec-san.der"), &[]), Ok(()));
    }
}
