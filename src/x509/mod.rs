//! DER in, DER out: certificate requests, certificates, revocation lists, OCSP and the lint. Nothing here knows a record of
//! the store or a private key: whoever signs gets octets from here and brings a signature back. Start with
//! [`CertificateContent`] (what goes into a certificate) and [`CertificateRequest`] (what a client sends).

mod alternative_name;
mod asn1_time;
mod certificate;
mod certificate_content;
mod crl;
mod csr;
pub mod csr_rules;
mod der_element;
mod extension;
mod key_identifier;
pub mod lint;
mod name;
pub mod ocsp;
pub mod path;
pub mod pem;
mod signed;
#[cfg(test)]
pub(crate) mod tests;

pub use alternative_name::AlternativeName;
pub use certificate::{Certificate, CertificateError};
pub use certificate_content::{
    CertificateContent, CertificatePolicy, Constraints, ContentError, assembled_certificate,
};
pub use crl::{Crl, CrlContent, RevokedEntry, assembled_crl};
pub use csr::{CertificateRequest, CsrError, LARGEST_REQUEST, RequestedConstraint, RequestedExtensions};
pub use der_element::{DerError, canonical};
pub use key_identifier::KeyIdentifier;
pub use name::{DistinguishedName, NameAttribute, NameEntry, NameFault};
pub use signed::SigningAlgorithm;

/// One bit of a keyUsage extension (RFC 5280 §4.2.1.3).
pub use x509_cert::ext::pkix::KeyUsages as KeyUsage;

/// A set of key usages: `KeyUsage::DigitalSignature | KeyUsage::KeyEncipherment`.
pub type KeyUsages = der::flagset::FlagSet<KeyUsage>;
