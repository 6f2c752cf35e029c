//! CRLs (RFC 5280 §5 and §6.3): fetched from the URL that stands in the certificate, verified, searched.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::{Decode, Encode};
use hyper::header::HeaderMap;
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, CrlNumber, CrlReason, IssuingDistributionPoint, SubjectKeyIdentifier,
};

use super::CLOCK_SKEW;
use super::chain::Link;
use super::facts::{encoded, extension, extension_by_oid, is_critical, only_known, signature, timestamp, urls};
use crate::client::error::{Error, Result};
use crate::client::transport::{Response, Transport};
use crate::names::{RevocationReason, SerialNumber};
use crate::time::Timestamp;

// The crate's own type is bound to a wrong OID, so that it must be looked up by this one.
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT;

/// A CRL that was verified, and what it says of the certificate for which it was fetched.
#[derive(Debug, Clone)]
pub struct RevocationList {
    /// Where it came from.
    pub url: String,
    /// Its DER.
    pub der: Vec<u8>,
    /// The headers that it came with.
    pub headers: HeaderMap,
    /// The subject of the certificate for which it was fetched.
    pub certificate: String,
    /// Its number, big-endian.
    pub number: Vec<u8>,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one comes at the latest.
    pub next_update: Timestamp,
    /// How many certificates it revokes.
    pub length: usize,
    /// The entry of the certificate for which it was fetched, if it is revoked.
    pub entry: Option<RevokedEntry>,
}

/// An entry of a CRL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedEntry {
    /// The serial number.
    pub serial_number: SerialNumber,
    /// When it was revoked.
    pub date: Timestamp,
    /// Why, if the list says so.
    pub reason: Option<RevocationReason>,
}

pub(super) async fn fetched(
    transport: &Transport,
    certificate: &Link,
    issuer: &Link,
    now: Timestamp,
) -> Result<RevocationList> {
    let urls = certificate.crl_urls()?;
    let url = urls.first();
    let url = url.ok_or_else(|| Error::untrusted(format!("\"{}\" names no CRL", certificate.subject())))?;
    let response = transport.get(url).await?.successful()?;
    // RFC 5280 §4.2.1.13 and RFC 2585 §4.2: a single DER CRL with this content type.
    if response.header("content-type") != Some("application/pkix-crl") {
        return Err(Error::protocol(url, "a CRL has the content type application/pkix-crl"));
    }
    verified(response, url, certificate, issuer, now)
}

fn verified(
    response: Response,
    url: &str,
    certificate: &Link,
    issuer: &Link,
    now: Timestamp,
) -> Result<RevocationList> {
    let what = format!("the CRL at {url}");
    let list = CertificateList::from_der(&response.body)
        .map_err(|error| Error::untrusted(format!("{what} cannot be read: {error}")))?;
    let tbs = &list.tbs_cert_list;
    signed_by(&list, issuer, &what)?;
    let extensions = tbs.crl_extensions.as_deref().unwrap_or_default();
    only_known(extensions, &[ISSUING_DISTRIBUTION_POINT], &what)?;
    covers(&list, url, certificate, &what)?;
    // RFC 5280 §5.2.3: every CRL of a conforming CA is numbered.
    let number = extension::<CrlNumber>(extensions, "the CRL number")?;
    let number = number.ok_or_else(|| Error::untrusted(format!("{what} has no number")))?;
    let this_update = timestamp(&tbs.this_update);
    // RFC 5280 §5.1.2.5: "Conforming CRL issuers MUST include the nextUpdate field in all CRLs."
    let next_update = tbs.next_update.as_ref().map(timestamp);
    let next_update = next_update.ok_or_else(|| Error::untrusted(format!("{what} never ends")))?;
    if this_update > now.plus(CLOCK_SKEW) || next_update <= now {
        return Err(Error::untrusted(format!("{what} is for {this_update} to {next_update}, not for {now}")));
    }
    let serial = certificate.serial_number()?;
    let entries = tbs.revoked_certificates.as_deref().unwrap_or_default();
    let entry = entries.iter().find(|entry| entry.serial_number.as_bytes() == serial.der_content());
    Ok(RevocationList {
        url: url.to_owned(),
        certificate: certificate.subject(),
        number: number.0.as_bytes().to_vec(),
        this_update,
        next_update,
        length: entries.len(),
        entry: entry.map(|entry| revoked(entry, &what)).transpose()?,
        der: response.body.to_vec(),
        headers: response.headers,
    })
}

fn signed_by(list: &CertificateList, issuer: &Link, what: &str) -> Result<()> {
    let tbs = &list.tbs_cert_list;
    if encoded(&tbs.issuer, what)? != encoded(issuer.certificate().tbs_certificate().subject(), what)? {
        return Err(Error::untrusted(format!("{what} is of another issuer: \"{}\"", tbs.issuer)));
    }
    if tbs.signature != list.signature_algorithm {
        return Err(Error::untrusted(format!("{what} names two signature algorithms")));
    }
    let message = tbs.to_der().map_err(|error| Error::untrusted(format!("{what} cannot be encoded: {error}")))?;
    signature(issuer.public_key(), &list.signature_algorithm, &message, list.signature.as_bytes(), what)?;
    let extensions = tbs.crl_extensions.as_deref().unwrap_or_default();
    let named = extension::<AuthorityKeyIdentifier>(extensions, "the authority key identifier")?;
    let own = extension::<SubjectKeyIdentifier>(issuer.extensions(), "the subject key identifier")?;
    // RFC 5280 §5.2.1: the list names the key that signed it.
    match (own, named.and_then(|identifier| identifier.key_identifier)) {
        (Some(own), Some(named)) if own.0 == named => Ok(()),
        _ => Err(Error::untrusted(format!("{what} does not name its issuer's key"))),
    }
}

/// Nothing, if the list is about this certificate.
// RFC 5280 §6.3.3 (b)(2): the names of the two distribution points must meet, and the list must not leave such a certificate out.
fn covers(list: &CertificateList, url: &str, certificate: &Link, what: &str) -> Result<()> {
    let extensions = list.tbs_cert_list.crl_extensions.as_deref().unwrap_or_default();
    let point: Option<IssuingDistributionPoint> =
        extension_by_oid(extensions, ISSUING_DISTRIBUTION_POINT, "the issuing distribution point")?;
    let Some(point) = point else { return Ok(()) };
    if !is_critical(extensions, ISSUING_DISTRIBUTION_POINT) {
        return Err(Error::untrusted(format!("the issuing distribution point of {what} is not critical")));
    }
    let named = urls(point.distribution_point.as_ref());
    if point.distribution_point.is_some() && !named.iter().any(|name| name == url) {
        return Err(Error::untrusted(format!("{what} is the list of {}", named.join(", "))));
    }
    let constraints =
        extension::<x509_cert::ext::pkix::BasicConstraints>(certificate.extensions(), "the basic constraints")?;
    let authority = constraints.is_some_and(|constraints| constraints.ca);
    let leaves_out = point.only_contains_attribute_certs
        || point.indirect_crl
        || point.only_some_reasons.is_some()
        || (authority && point.only_contains_user_certs)
        || (!authority && point.only_contains_ca_certs);
    if leaves_out { Err(Error::untrusted(format!("{what} does not cover such a certificate"))) } else { Ok(()) }
}

fn revoked(entry: &RevokedCert, what: &str) -> Result<RevokedEntry> {
    let extensions = entry.crl_entry_extensions.as_deref().unwrap_or_default();
    only_known(extensions, &[], what)?;
    let reason = extension::<CrlReason>(extensions, "the reason code")?;
    let unfit = |error: crate::names::NameError| Error::untrusted(format!("{what}: {error}"));
    Ok(RevokedEntry {
        serial_number: SerialNumber::from_bytes(entry.serial_number.as_bytes()).map_err(unfit)?,
        date: timestamp(&entry.revocation_date),
        reason: match reason {
            // RFC 5280 §5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0)".
            Some(CrlReason::Unspecified) => return Err(Error::untrusted(format!("{what} gives the reason 0"))),
            Some(reason) => Some(RevocationReason::try_from(reason as u8).map_err(unfit)?),
            None => None,
        },
    })
}

impl RevocationList {
    /// The entry of any certificate of the same issuer.
    ///
    /// # Errors
    /// `Untrusted` if the list or the entry cannot be read.
    pub fn entry_of(&self, serial: &SerialNumber) -> Result<Option<RevokedEntry>> {
        let what = format!("the CRL at {}", self.url);
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&self.der);
        let list = list.map_err(|error| Error::untrusted(format!("{what} cannot be read: {error}")))?;
        let entries = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
        let entry = entries.iter().find(|entry| entry.serial_number.as_bytes() == serial.der_content());
        entry.map(|entry| revoked(entry, &what)).transpose()
    }
}
