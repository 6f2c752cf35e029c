//! The extensions of requests, certificates and lists: found by OID, none twice, and the few forms that x509-cert lacks.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc6960};
use der::asn1::OctetString;
use der::{Decode, Encode};
use x509_cert::ext::Extension;

use super::der_element::DerError;

/// issuingDistributionPoint (RFC 5280 §5.2.5). x509-cert ties its type to another OID, so it is always found by this one.
pub(crate) const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
/// invalidityDate (RFC 5280 §5.3.2).
pub(crate) const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");
/// The TLS feature extension (RFC 7633): "must staple".
pub(crate) const TLS_FEATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24");
/// id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1).
pub(crate) const OCSP_NO_CHECK: ObjectIdentifier = rfc6960::ID_PKIX_OCSP_NOCHECK;
/// The access methods of authorityInfoAccess.
pub(crate) const ACCESS_OCSP: ObjectIdentifier = rfc5280::ID_AD_OCSP;
pub(crate) const ACCESS_ISSUER: ObjectIdentifier = rfc5280::ID_AD_CA_ISSUERS;

/// An extension whose value is `value`.
pub(crate) fn extension(oid: ObjectIdentifier, critical: bool, value: &impl Encode) -> der::Result<Extension> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// The extensions in a DER `Extensions`.
// RFC 5280 §4.2: "A certificate MUST NOT include more than one instance of a particular extension."
pub(crate) fn parsed(der: &[u8]) -> Result<Vec<Extension>, DerError> {
    let extensions = Vec::<Extension>::from_der(der).map_err(|_| DerError("the extensions are malformed"))?;
    let mut seen = std::collections::HashSet::new();
    if extensions.iter().all(|extension| seen.insert(extension.extn_id)) {
        Ok(extensions)
    } else {
        Err(DerError("an extension stands there twice"))
    }
}

/// The value of the extension with this OID.
pub(crate) fn value<'a, T>(extensions: &'a [Extension], oid: ObjectIdentifier) -> Result<Option<T>, DerError>
where
    T: Decode<'a>,
{
    match extensions.iter().find(|extension| extension.extn_id == oid) {
        None => Ok(None),
        Some(extension) => match T::from_der(extension.extn_value.as_bytes()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(DerError("an extension's value is malformed")),
        },
    }
}
