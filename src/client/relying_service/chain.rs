//! Path validation (RFC 5280 §6) for the paths that this service meets: a server certificate, issuing authorities, a root.

use const_oid::db::{rfc5280, rfc5912};
use const_oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};

use super::facts::{encoded, extension, is_critical, only_known, signature, timestamp, url, urls};
use crate::client::certificate::{parsed, serial_number};
use crate::client::error::{Error, Result};
use crate::names::SerialNumber;
use crate::public_key::PublicKey;
use crate::time::Timestamp;

/// The longest chain that is looked at, the root included.
const LONGEST: usize = 8;

/// The critical extensions that this module acts on. Name constraints are not among them, since no path here has any.
const KNOWN: [ObjectIdentifier; 5] =
    [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID, SubjectAltName::OID, CertificatePolicies::OID];

/// A certificate of a chain.
#[derive(Debug, Clone)]
pub struct Link {
    der: Vec<u8>,
    certificate: Certificate,
    key: PublicKey,
}

/// A chain that was verified: a server certificate first, a trusted root last. Only [`super::RelyingService`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedChain(Vec<Link>);

impl VerifiedChain {
    /// The certificates, the server's first, the root last.
    pub fn links(&self) -> &[Link] {
        &self.0
    }

    /// The server's certificate.
    pub fn leaf(&self) -> &Link {
        &self.0[0]
    }

    /// The certificate that signed the server's.
    pub fn leaf_issuer(&self) -> &Link {
        &self.0[1]
    }

    /// Each certificate below the root with the one that signed it.
    pub fn pairs(&self) -> impl Iterator<Item = (&Link, &Link)> {
        self.0.windows(2).map(|pair| (&pair[0], &pair[1]))
    }
}

pub(super) fn verified(chain: &[Vec<u8>], roots: &[Link], name: &str, now: Timestamp) -> Result<VerifiedChain> {
    if chain.is_empty() || chain.len() > LONGEST {
        return Err(Error::untrusted(format!("a chain has 1 to {LONGEST} certificates, this one has {}", chain.len())));
    }
    let mut links = chain.iter().map(|der| Link::parsed(der)).collect::<Result<Vec<_>>>()?;
    // A server may send the root too; trust comes from our own copy only.
    links.retain(|link| !roots.iter().any(|root| root.der == link.der));
    let last = links.last().ok_or_else(|| Error::untrusted("the chain is a root alone"))?;
    let root = roots.iter().find(|root| root.signed(last).is_ok());
    let root = root
        .ok_or_else(|| Error::untrusted(format!("the chain ends at \"{}\", below no trusted root", last.issuer())))?;
    links.push(root.clone());
    for (below, pair) in links.windows(2).enumerate() {
        pair[1].signed(&pair[0])?;
        pair[1].is_authority(below)?;
    }
    links.iter().try_for_each(|link| link.is_sound(now))?;
    links[0].is_server(name)?;
    Ok(VerifiedChain(links))
}

impl Link {
    /// The certificate from its DER.
    ///
    /// # Errors
    /// `Untrusted` if it cannot be read, or its key is of no known kind.
    pub fn parsed(der: &[u8]) -> Result<Self> {
        let certificate = parsed(der)?;
        let key = encoded(certificate.tbs_certificate().subject_public_key_info(), "a public key")?;
        let key = PublicKey::from_spki_der(&key).map_err(|error| Error::untrusted(error.to_string()))?;
        Ok(Link { der: der.to_vec(), certificate, key })
    }

    /// The DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate, parsed.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certified key.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The subject, as text.
    pub fn subject(&self) -> String {
        self.certificate.tbs_certificate().subject().to_string()
    }

    /// The issuer, as text.
    pub fn issuer(&self) -> String {
        self.certificate.tbs_certificate().issuer().to_string()
    }

    /// The serial number.
    ///
    /// # Errors
    /// `Untrusted` if it is not positive or too long.
    pub fn serial_number(&self) -> Result<SerialNumber> {
        serial_number(&self.certificate)
    }

    /// The first and the last second of the certificate.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        let validity = self.certificate.tbs_certificate().validity();
        (timestamp(&validity.not_before), timestamp(&validity.not_after))
    }

    /// The dns names that it is for.
    ///
    /// # Errors
    /// `Untrusted` if they cannot be read.
    pub fn dns_names(&self) -> Result<Vec<String>> {
        let names = extension::<SubjectAltName>(self.extensions(), "the alternative names")?;
        let dns = |name: GeneralName| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        };
        Ok(names.map(|names| names.0.into_iter().filter_map(dns).collect()).unwrap_or_default())
    }

    /// The URLs of its CRL.
    ///
    /// # Errors
    /// `Untrusted` if they cannot be read.
    pub fn crl_urls(&self) -> Result<Vec<String>> {
        let points = extension::<CrlDistributionPoints>(self.extensions(), "the CRL distribution points")?;
        let points = points.map(|points| points.0).unwrap_or_default();
        Ok(points.iter().flat_map(|point| urls(point.distribution_point.as_ref())).collect())
    }

    /// The URLs of one kind of authority information: OCSP responders, issuer certificates.
    ///
    /// # Errors
    /// `Untrusted` if they cannot be read.
    pub fn authority_urls(&self, method: ObjectIdentifier) -> Result<Vec<String>> {
        let access = extension::<AuthorityInfoAccessSyntax>(self.extensions(), "the authority information access")?;
        let access = access.map(|access| access.0).unwrap_or_default();
        let of_method = access.iter().filter(|description| description.access_method == method);
        Ok(of_method.filter_map(|description| url(&description.access_location)).map(str::to_owned).collect())
    }

    pub(super) fn extensions(&self) -> &[Extension] {
        self.certificate.tbs_certificate().extensions().map_or(&[], Vec::as_slice)
    }

    /// Whether the certificate's extended key usages contain this one.
    pub(super) fn may(&self, usage: ObjectIdentifier) -> Result<bool> {
        let usages = extension::<ExtendedKeyUsage>(self.extensions(), "the extended key usage")?;
        Ok(usages.is_some_and(|usages| usages.0.contains(&usage)))
    }

    /// Nothing, if this certificate's key signed `other` and the two name each other.
    pub(super) fn signed(&self, other: &Link) -> Result<()> {
        let what = format!("the certificate \"{}\"", other.subject());
        let tbs = other.certificate.tbs_certificate();
        if encoded(tbs.issuer(), "a name")? != encoded(self.certificate.tbs_certificate().subject(), "a name")? {
            return Err(Error::untrusted(format!("{what} names another issuer than \"{}\"", self.subject())));
        }
        // RFC 5280 §4.1.1.2: both algorithm fields must be the same.
        if tbs.signature() != other.certificate.signature_algorithm() {
            return Err(Error::untrusted(format!("{what} names two signature algorithms")));
        }
        let message = encoded(tbs, &what)?;
        let octets = other.certificate.signature().as_bytes();
        signature(&self.key, other.certificate.signature_algorithm(), &message, octets, &what)?;
        self.key_identifiers_agree(other, &what)
    }

    // RFC 5280 §4.2.1.1 and §4.2.1.2: the issuer's subject key identifier stands in what it signs.
    fn key_identifiers_agree(&self, other: &Link, what: &str) -> Result<()> {
        let own = extension::<SubjectKeyIdentifier>(self.extensions(), "the subject key identifier")?;
        let named = extension::<AuthorityKeyIdentifier>(other.extensions(), "the authority key identifier")?;
        let named = named.and_then(|identifier| identifier.key_identifier);
        match (own, named) {
            (Some(own), Some(named)) if own.0 == named => Ok(()),
            (Some(_), Some(_)) => Err(Error::untrusted(format!("{what} names another key of its issuer"))),
            (None, _) | (_, None) => Err(Error::untrusted(format!("{what} or its issuer has no key identifier"))),
        }
    }

    // RFC 5280 §4.2.1.9 and §4.2.1.3: what may sign certificates.
    fn is_authority(&self, below: usize) -> Result<()> {
        let refused = |why: &str| Err(Error::untrusted(format!("\"{}\" may not issue: {why}", self.subject())));
        let constraints = extension::<BasicConstraints>(self.extensions(), "the basic constraints")?;
        match constraints {
            Some(constraints) if constraints.ca => {
                if constraints.path_len_constraint.is_some_and(|longest| below > usize::from(longest)) {
                    return refused("its path length is exceeded");
                }
            }
            Some(_) | None => return refused("it is no authority"),
        }
        if !is_critical(self.extensions(), BasicConstraints::OID) {
            return refused("its basic constraints are not critical");
        }
        let usage = extension::<KeyUsage>(self.extensions(), "the key usage")?;
        if !usage.is_some_and(|usage| usage.key_cert_sign() && usage.crl_sign()) {
            return refused("its key usage is not for certificates and CRLs");
        }
        Ok(())
    }

    fn is_sound(&self, now: Timestamp) -> Result<()> {
        let what = format!("the certificate \"{}\"", self.subject());
        only_known(self.extensions(), &KNOWN, &what)?;
        if extension::<NameConstraints>(self.extensions(), "the name constraints")?.is_some() {
            return Err(Error::untrusted(format!("{what} has name constraints, which are not understood here")));
        }
        self.serial_number()?;
        let (not_before, not_after) = self.validity();
        if now < not_before || now > not_after {
            return Err(Error::untrusted(format!("{what} is valid from {not_before} to {not_after}, not at {now}")));
        }
        Ok(())
    }

    fn is_server(&self, name: &str) -> Result<()> {
        let constraints = extension::<BasicConstraints>(self.extensions(), "the basic constraints")?;
        if constraints.is_some_and(|constraints| constraints.ca) {
            return Err(Error::untrusted("the server's certificate is one of an authority"));
        }
        let usage = extension::<KeyUsage>(self.extensions(), "the key usage")?;
        if !usage.is_some_and(|usage| usage.digital_signature()) {
            return Err(Error::untrusted("the server's certificate is not for digital signatures"));
        }
        if !self.may(rfc5280::ID_KP_SERVER_AUTH)? {
            return Err(Error::untrusted("the certificate is not for servers"));
        }
        let names = self.dns_names()?;
        match names.iter().any(|pattern| covers(pattern, name)) {
            true => Ok(()),
            false => Err(Error::untrusted(format!("the certificate is for {}, not for {name}", names.join(", ")))),
        }
    }
}

/// The OID of OCSP responders in the authority information access.
pub(super) const OCSP_ACCESS: ObjectIdentifier = rfc5912::ID_AD_OCSP;

/// Whether a name of a certificate covers `name`; an asterisk stands for one label (RFC 9525 §6.3).
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(zone) => match name.strip_prefix("*.") {
            Some(wanted) => wanted.eq_ignore_ascii_case(zone),
            None => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(zone)),
        },
        None => pattern.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Authority;
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    #[test]
    fn an_asterisk_covers_one_label() {
        assert!(covers("a.test", "A.test") && covers("*.test.fi", "a.test.fi") && covers("*.test.fi", "*.test.fi"));
        assert!(!covers("*.test.fi", "test.fi") && !covers("*.test.fi", "a.b.test.fi") && !covers("a.fi", "*.fi"));
    }

    #[test]
    fn a_chain_to_a_trusted_root_holds() {
        let authority = Authority::new();
        let chain = authority.chain("a.test");
        let verified = verified(&chain, &authority.roots(), "a.test", NOW).unwrap();
        assert_eq!((verified.links().len(), verified.pairs().count()), (3, 2));
    }

    #[test]
    fn what_does_not_hold_is_named() {
        let authority = Authority::new();
        let chain = authority.chain("a.test");
        let refusal = |chain: &[Vec<u8>], roots: &[Link], name: &str, now: Timestamp| {
            verified(chain, roots, name, now).unwrap_err().to_string()
        };
        assert!(refusal(&chain, &authority.roots(), "b.test", NOW).contains("not for b.test"));
        assert!(refusal(&chain, &authority.roots(), "a.test", NOW.plus(400 * 86_400)).contains("valid from"));
        assert!(refusal(&chain, &Authority::new().roots(), "a.test", NOW).contains("trusted root"));
        assert!(refusal(&chain[..1], &authority.roots(), "a.test", NOW).contains("trusted root"));
        let mut spoilt = chain.clone();
        let last = spoilt[0].len() - 1;
        spoilt[0][last] ^= 1;
        assert!(refusal(&spoilt, &authority.roots(), "a.test", NOW).contains("signature"));
    }
}
