//! What a certificate or a list says in its extensions, each read at most once and none overlooked.

use const_oid::AssociatedOid;
use const_oid::ObjectIdentifier;
use der::{DecodeOwned, Encode};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::time::Time;

use crate::client::error::{Error, Result};
use crate::public_key::{PublicKey, SignatureAlgorithm};
use crate::time::Timestamp;

/// The value of the extension of this type, if it is there.
pub(super) fn extension<T: DecodeOwned + AssociatedOid>(extensions: &[Extension], what: &str) -> Result<Option<T>> {
    extension_by_oid(extensions, T::OID, what)
}

pub(super) fn extension_by_oid<T: DecodeOwned>(
    extensions: &[Extension],
    oid: ObjectIdentifier,
    what: &str,
) -> Result<Option<T>> {
    let Some(found) = extensions.iter().find(|extension| extension.extn_id == oid) else { return Ok(None) };
    let value = T::from_der(found.extn_value.as_bytes());
    value.map(Some).map_err(|error| Error::untrusted(format!("{what} cannot be read: {error}")))
}

/// Refuses extensions that stand twice, and critical ones that are not among `known`.
// RFC 5280 §4.2: "A certificate MUST NOT include more than one instance of a particular extension", and a critical extension
// that is not recognised means rejection.
pub(super) fn only_known(extensions: &[Extension], known: &[ObjectIdentifier], what: &str) -> Result<()> {
    for (index, extension) in extensions.iter().enumerate() {
        let oid = extension.extn_id;
        if extensions[..index].iter().any(|earlier| earlier.extn_id == oid) {
            return Err(Error::untrusted(format!("{what} has the extension {oid} twice")));
        }
        if extension.critical && !known.contains(&oid) {
            return Err(Error::untrusted(format!("{what} has the unknown critical extension {oid}")));
        }
    }
    Ok(())
}

pub(super) fn is_critical(extensions: &[Extension], oid: ObjectIdentifier) -> bool {
    extensions.iter().any(|extension| extension.extn_id == oid && extension.critical)
}

/// Checks a signature over something already encoded.
pub(super) fn signature(
    key: &PublicKey,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: Option<&[u8]>,
    what: &str,
) -> Result<()> {
    let unknown = || Error::untrusted(format!("{what} is signed with {}, which is not trusted", algorithm.oid));
    let known = SignatureAlgorithm::from_oid(&algorithm.oid).ok_or_else(unknown)?;
    let broken = || Error::untrusted(format!("the signature of {what} does not verify"));
    key.verify(known, message, signature.ok_or_else(broken)?).map_err(|_| broken())
}

/// The DER of something that was decoded from DER.
pub(super) fn encoded(value: &impl Encode, what: &str) -> Result<Vec<u8>> {
    value.to_der().map_err(|error| Error::untrusted(format!("{what} cannot be encoded: {error}")))
}

pub(super) fn timestamp(time: &Time) -> Timestamp {
    seconds(time.to_unix_duration())
}

pub(super) fn seconds(since_1970: std::time::Duration) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX))
}

/// The URLs of a distribution point.
pub(super) fn urls(point: Option<&DistributionPointName>) -> Vec<String> {
    match point {
        Some(DistributionPointName::FullName(names)) => names.iter().filter_map(url).map(str::to_owned).collect(),
        Some(DistributionPointName::NameRelativeToCRLIssuer(_)) | None => Vec::new(),
    }
}

pub(super) fn url(name: &GeneralName) -> Option<&str> {
    match name {
        GeneralName::UniformResourceIdentifier(url) => Some(url.as_str()),
        GeneralName::OtherName(_)
        | GeneralName::Rfc822Name(_)
        | GeneralName::DnsName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => None,
    }
}
