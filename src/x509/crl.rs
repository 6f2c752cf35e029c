//! Certificate revocation lists (RFC 5280 §5), made by joining entries that are already encoded: what a list of many thousand
//! certificates costs is its hash and its signature.

use const_oid::db::rfc5280;
use der::asn1::{GeneralizedTime, OctetString, Uint};
use der::{Encode, Enumerated};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::DistributionPointName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlNumber, IssuingDistributionPoint};

use super::asn1_time::{from_generalized, generalized, x509_time};
use super::certificate::{full_name, time};
use super::certificate_content::{ContentError, uri};
use super::der_element::{
    DerError, Element, GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME, constructed, encoded, push_header,
};
use super::extension::{self, INVALIDITY_DATE, ISSUING_DISTRIBUTION_POINT, extension as made};
use super::name::DistinguishedName;
use super::signed::{Signed, SigningAlgorithm, assembled};
use super::{Certificate, KeyIdentifier};
use crate::names::{RevocationReason, SerialNumber};
use crate::public_key::{BadSignature, PublicKey};
use crate::time::Timestamp;

/// The largest list that is read, in octets.
const LARGEST_LIST: usize = 128 * 1024 * 1024;

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedEntry {
    /// The revoked certificate.
    pub serial: SerialNumber,
    /// When it was revoked.
    pub date: Timestamp,
    /// Why, if a reason was given.
    pub reason: Option<RevocationReason>,
    /// Since when the certificate is not to be trusted, if that is known to be another time.
    pub invalidity_date: Option<Timestamp>,
}

impl RevokedEntry {
    /// The entry in DER, to be kept and joined into [`CrlContent::tbs_der`]. At most 80 octets.
    pub fn to_der(&self) -> Vec<u8> {
        let serial = encoded(INTEGER, &[&self.serial.der_content()]);
        let date = x509_time(self.date).to_der().expect("a timestamp encodes");
        let extensions = self.extensions();
        if extensions.is_empty() {
            // RFC 5280 §5.3: an empty list of extensions is left out.
            return encoded(SEQUENCE, &[&serial, &date]);
        }
        let extensions = extensions.to_der().expect("two short extensions encode");
        encoded(SEQUENCE, &[&serial, &date, &extensions])
    }

    fn extensions(&self) -> Vec<Extension> {
        // RFC 5280 §5.3.1: no extension for "unspecified", which is no reason at all here.
        let reason = self.reason.map(|reason| made(rfc5280::ID_CE_CRL_REASONS, false, &ReasonCode::from(reason)));
        // RFC 5280 §5.3.2: not critical, a GeneralizedTime always.
        let invalid = self.invalidity_date.map(|date| made(INVALIDITY_DATE, false, &generalized(date)));
        reason.into_iter().chain(invalid).map(|extension| extension.expect("a short value encodes")).collect()
    }
}

/// RFC 5280 §5.3.1.
#[derive(Clone, Copy, Enumerated)]
#[repr(u8)]
enum ReasonCode {
    Unspecified = 0,
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    RemoveFromCrl = 8,
    PrivilegeWithdrawn = 9,
    AaCompromise = 10,
}

impl From<RevocationReason> for ReasonCode {
    fn from(reason: RevocationReason) -> Self {
        match reason {
            RevocationReason::KeyCompromise => ReasonCode::KeyCompromise,
            RevocationReason::CaCompromise => ReasonCode::CaCompromise,
            RevocationReason::AffiliationChanged => ReasonCode::AffiliationChanged,
            RevocationReason::Superseded => ReasonCode::Superseded,
            RevocationReason::CessationOfOperation => ReasonCode::CessationOfOperation,
            RevocationReason::CertificateHold => ReasonCode::CertificateHold,
            RevocationReason::RemoveFromCrl => ReasonCode::RemoveFromCrl,
            RevocationReason::PrivilegeWithdrawn => ReasonCode::PrivilegeWithdrawn,
            RevocationReason::AaCompromise => ReasonCode::AaCompromise,
        }
    }
}

/// Everything that a list says besides its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlContent {
    /// The issuer's name.
    pub issuer: DistinguishedName,
    /// The issuer's key identifier.
    pub issuer_key: KeyIdentifier,
    /// How the issuer will sign.
    pub algorithm: SigningAlgorithm,
    /// The list's number: ascending for ever within one issuer and distribution point.
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one will be there at the latest.
    pub next_update: Timestamp,
    /// The distribution point: the very URL in the certificates that this list covers. None for a list that covers all.
    pub distribution_point: Option<String>,
}

impl CrlContent {
    /// The TBSCertList in DER, with these entries (each made by [`RevokedEntry::to_der`]) in this order.
    pub fn tbs_der<E: AsRef<[u8]>>(&self, entries: &[E]) -> Result<Vec<u8>, ContentError> {
        let head = self.head()?;
        let tail = encoded(constructed(0), &[&self.extensions()?.to_der()?]);
        let entries_length: usize = entries.iter().map(|entry| entry.as_ref().len()).sum();
        let mut list_header = Vec::with_capacity(6);
        // RFC 5280 §5.1.2.6: "When there are no revoked certificates, the revoked certificates list MUST be absent."
        if !entries.is_empty() {
            push_header(&mut list_header, SEQUENCE, entries_length);
        }
        let length = head.len() + list_header.len() + entries_length + tail.len();
        let mut der = Vec::with_capacity(length + 6);
        push_header(&mut der, SEQUENCE, length);
        der.extend_from_slice(&head);
        der.extend_from_slice(&list_header);
        entries.iter().for_each(|entry| der.extend_from_slice(entry.as_ref()));
        der.extend_from_slice(&tail);
        Ok(der)
    }

    fn head(&self) -> Result<Vec<u8>, ContentError> {
        // RFC 5280 §5.1.2.1: version 2 whenever there are extensions.
        let version = [INTEGER, 1, 1];
        let (this_update, next_update) = (x509_time(self.this_update).to_der()?, x509_time(self.next_update).to_der()?);
        Ok([&version, &self.algorithm.identifier_der()[..], self.issuer.as_der(), &this_update, &next_update].concat())
    }

    fn extensions(&self) -> Result<Vec<Extension>, ContentError> {
        let authority_key = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(self.issuer_key.as_bytes())?),
            ..AuthorityKeyIdentifier::default()
        };
        let mut extensions = vec![
            made(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &authority_key)?,
            made(rfc5280::ID_CE_CRL_NUMBER, false, &CrlNumber(Uint::new(&self.number.to_be_bytes())?))?,
        ];
        if let Some(url) = &self.distribution_point {
            let point = IssuingDistributionPoint {
                distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
                only_contains_user_certs: false,
                only_contains_ca_certs: false,
                only_some_reasons: None,
                indirect_crl: false,
                only_contains_attribute_certs: false,
            };
            // RFC 5280 §5.2.5: critical.
            extensions.push(made(ISSUING_DISTRIBUTION_POINT, true, &point)?);
        }
        Ok(extensions)
    }
}

/// The list around a signed TBSCertList, whose octets stay as they are.
pub fn assembled_crl(tbs_der: &[u8], algorithm: SigningAlgorithm, signature: &[u8]) -> Vec<u8> {
    assembled(tbs_der, algorithm, signature)
}

/// A list that was read. Nothing is said of its signature until [`Crl::verify_signed_by`] is asked.
#[derive(Debug, Clone)]
pub struct Crl {
    der: Vec<u8>,
    issuer: DistinguishedName,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    entries: Vec<RevokedEntry>,
    number: Option<u64>,
    authority_key: Option<KeyIdentifier>,
    distribution_point: Option<String>,
    /// Whether it lists certificates of authorities alone (true), of others alone (false), or of both.
    of_authorities: Option<bool>,
}

impl Crl {
    /// Reads a version 2 list in DER. One with a critical extension that is not understood is refused, since it may not list
    /// what it seems to (RFC 5280 §5.2).
    pub fn parse(der: &[u8]) -> Result<Self, DerError> {
        if der.len() > LARGEST_LIST {
            return Err(DerError("more than 128 MiB"));
        }
        let signed = Signed::parse(der)?;
        let parts = Element::only(signed.tbs)?.children()?;
        let [version, algorithm, issuer, this_update, rest @ ..] = &parts[..] else {
            return Err(DerError("a list has a version and three more parts"));
        };
        if version.tagged(INTEGER)?.content != [1] {
            return Err(DerError("not of version 2"));
        }
        if algorithm.whole != signed.algorithm {
            return Err(DerError("the signature algorithms inside and outside differ"));
        }
        let (next_update, rest) = optional(rest, &[UTC_TIME, GENERALIZED_TIME]);
        let (revoked, rest) = optional(rest, &[SEQUENCE]);
        let (extensions, rest) = optional(rest, &[constructed(0)]);
        if !rest.is_empty() {
            return Err(DerError("something unknown follows the list"));
        }
        let extensions = extensions.map(|found| extension::parsed(found.content)).transpose()?.unwrap_or_default();
        all_critical_known(&extensions)?;
        let number: Option<CrlNumber> = extension::value(&extensions, rfc5280::ID_CE_CRL_NUMBER)?;
        let authority: Option<AuthorityKeyIdentifier> =
            extension::value(&extensions, rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER)?;
        Ok(Crl {
            issuer: DistinguishedName::from_der(issuer.whole)?,
            this_update: time(this_update)?,
            next_update: next_update.map(|found| time(&found)).transpose()?,
            entries: revoked.map(entries).transpose()?.unwrap_or_default(),
            number: number.map(|number| small_number(&number)).transpose()?,
            authority_key: authority
                .and_then(|found| found.key_identifier)
                .map(|octets| KeyIdentifier::from_bytes(octets.as_bytes()))
                .transpose()?,
            distribution_point: point_url(&extensions)?,
            of_authorities: kind_of_certificates(&extensions)?,
            der: der.to_vec(),
        })
    }

    /// The list as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Who issued it.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When the next one will be there at the latest.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }

    /// Its number.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// The identifier of the issuer's key.
    pub fn authority_key(&self) -> Option<&KeyIdentifier> {
        self.authority_key.as_ref()
    }

    /// The distribution point that it covers; none if it covers all of its issuer's certificates.
    pub fn distribution_point(&self) -> Option<&str> {
        self.distribution_point.as_deref()
    }

    /// All entries, in the list's order.
    pub fn entries(&self) -> &[RevokedEntry] {
        &self.entries
    }

    /// The entry of this certificate.
    pub fn entry(&self, serial: &SerialNumber) -> Option<&RevokedEntry> {
        self.entries.iter().find(|entry| entry.serial == *serial)
    }

    /// Whether the list would name this certificate if it were revoked: one of the same issuer, of a kind that it lists, and
    /// at its distribution point.
    // RFC 5280 §6.3.3 (b): the scope of a list with an issuing distribution point.
    pub fn covers(&self, certificate: &Certificate) -> bool {
        let point = self.distribution_point.as_deref();
        self.issuer == *certificate.issuer()
            && self.of_authorities.is_none_or(|authorities| authorities == certificate.is_authority())
            && point.is_none_or(|point| certificate.crl_url() == Some(point))
    }

    /// Checks the signature with the issuer's key. Names and times are the caller's to compare.
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), BadSignature> {
        Signed::parse(&self.der).map_err(|_| BadSignature)?.verify(issuer)
    }
}

/// The first of `rest`, when it has one of these tags, and what follows.
fn optional<'a, 'b>(rest: &'b [Element<'a>], tags: &[u8]) -> (Option<Element<'a>>, &'b [Element<'a>]) {
    match rest {
        [first, after @ ..] if tags.contains(&first.tag) => (Some(*first), after),
        _ => (None, rest),
    }
}

fn all_critical_known(extensions: &[Extension]) -> Result<(), DerError> {
    let known = [ISSUING_DISTRIBUTION_POINT, rfc5280::ID_CE_CRL_NUMBER, rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER];
    let unknown = |extension: &Extension| extension.critical && !known.contains(&extension.extn_id);
    if extensions.iter().any(unknown) { Err(DerError("a critical extension is unknown")) } else { Ok(()) }
}

fn small_number(number: &CrlNumber) -> Result<u64, DerError> {
    let octets = number.0.as_bytes();
    if octets.len() > 8 {
        return Err(DerError("the list's number has more than 64 bits"));
    }
    Ok(octets.iter().fold(0, |value, octet| (value << 8) | u64::from(*octet)))
}

fn point_url(extensions: &[Extension]) -> Result<Option<String>, DerError> {
    let point: Option<IssuingDistributionPoint> = extension::value(extensions, ISSUING_DISTRIBUTION_POINT)?;
    let Some(point) = point else { return Ok(None) };
    if point.only_some_reasons.is_some() || point.indirect_crl || point.only_contains_attribute_certs {
        return Err(DerError("a list of some reasons, of other issuers or of attribute certificates"));
    }
    Ok(full_name(point.distribution_point.as_ref()))
}

fn kind_of_certificates(extensions: &[Extension]) -> Result<Option<bool>, DerError> {
    let point: Option<IssuingDistributionPoint> = extension::value(extensions, ISSUING_DISTRIBUTION_POINT)?;
    match point.map(|point| (point.only_contains_ca_certs, point.only_contains_user_certs)) {
        None | Some((false, false)) => Ok(None),
        Some((true, false)) => Ok(Some(true)),
        Some((false, true)) => Ok(Some(false)),
        Some((true, true)) => Err(DerError("a list of authorities alone and of others alone")),
    }
}

fn entries(list: Element<'_>) -> Result<Vec<RevokedEntry>, DerError> {
    list.children()?.into_iter().map(entry).collect()
}

fn entry(element: Element<'_>) -> Result<RevokedEntry, DerError> {
    let parts = element.tagged(SEQUENCE)?.children()?;
    let (serial, date, extensions) = match &parts[..] {
        [serial, date] => (serial, date, Vec::new()),
        [serial, date, extensions] => (serial, date, extension::parsed(extensions.whole)?),
        _ => return Err(DerError("an entry is a serial number, a date and extensions")),
    };
    if extensions.iter().any(|extension| extension.critical) {
        return Err(DerError("an entry has a critical extension"));
    }
    let serial = serial.tagged(INTEGER)?.content;
    let reason: Option<ReasonCode> = extension::value(&extensions, rfc5280::ID_CE_CRL_REASONS)?;
    let invalid: Option<GeneralizedTime> = extension::value(&extensions, INVALIDITY_DATE)?;
    Ok(RevokedEntry {
        serial: SerialNumber::from_bytes(serial).map_err(|_| DerError("a serial number that no certificate has"))?,
        date: time(date)?,
        reason: reason.and_then(|code| RevocationReason::from_code(code as u8).ok().flatten()),
        invalidity_date: invalid.map(from_generalized),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::x509::tests::authority::{self, ALGORITHM, time as at};

    fn content() -> CrlContent {
        CrlContent {
            issuer: authority::name("Issuer"),
            issuer_key: KeyIdentifier::of(&authority::key(1)),
            algorithm: ALGORITHM,
            number: 128,
            this_update: at("2049-12-31T12:00:00Z"),
            next_update: at("2050-01-01T12:00:00Z"),
            distribution_point: Some("http://pki.example.fi/crl/sote/3.crl".to_owned()),
        }
    }

    fn entries() -> Vec<RevokedEntry> {
        let entry = |serial: &str, reason, invalidity_date| RevokedEntry {
            serial: serial.parse().unwrap(),
            date: at("2027-01-02T03:04:05Z"),
            reason,
            invalidity_date,
        };
        vec![
            entry("0199C1A2B3C4D5E6F708192A3B4C5D6E", None, None),
            entry("FF", Some(RevocationReason::KeyCompromise), Some(at("2026-12-24T00:00:00Z"))),
            entry("1", Some(RevocationReason::AaCompromise), None),
        ]
    }

    fn list(content: &CrlContent, entries: &[RevokedEntry]) -> Vec<u8> {
        let entries: Vec<Vec<u8>> = entries.iter().map(RevokedEntry::to_der).collect();
        let tbs = content.tbs_der(&entries).unwrap();
        assembled_crl(&tbs, ALGORITHM, &authority::sign(1, &tbs))
    }

    #[test]
    fn a_list_reads_back_and_verifies() {
        let crl = Crl::parse(&list(&content(), &entries())).unwrap();
        assert_eq!(crl.entries(), entries());
        assert_eq!((crl.number(), crl.this_update()), (Some(128), content().this_update));
        assert_eq!(crl.next_update(), Some(content().next_update));
        assert_eq!(crl.distribution_point(), content().distribution_point.as_deref());
        assert_eq!(crl.authority_key(), Some(&content().issuer_key));
        assert_eq!(crl.entry(&"ff".parse().unwrap()), Some(&entries()[1]));
        assert_eq!(crl.entry(&"fe".parse().unwrap()), None);
        assert!(crl.verify_signed_by(&authority::key(1)).is_ok() && crl.verify_signed_by(&authority::key(2)).is_err());
    }

    #[test]
    fn an_empty_list_has_no_list_at_all() {
        let crl = Crl::parse(&list(&content(), &[])).unwrap();
        assert!(crl.entries().is_empty());
        let signed = Signed::parse(crl.der()).unwrap();
        assert_eq!(Element::only(signed.tbs).unwrap().children().unwrap().len(), 6);
    }

    #[test]
    fn x509_cert_reads_the_same_list() {
        use der::Decode;
        let der = list(&content(), &entries());
        let read = x509_cert::crl::CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap();
        assert_eq!(read.tbs_cert_list.revoked_certificates.as_ref().unwrap().len(), 3);
        assert_eq!(read.to_der().unwrap(), der);
        let point = &read.tbs_cert_list.crl_extensions.as_ref().unwrap()[2];
        assert!(point.critical && point.extn_id == ISSUING_DISTRIBUTION_POINT);
    }

    #[test]
    fn a_list_with_an_unknown_critical_extension_is_refused() {
        let strange = made(rfc5280::ID_CE_DELTA_CRL_INDICATOR, true, &1u8).unwrap();
        assert!(all_critical_known(&[strange]).is_err());
    }

    #[test]
    fn a_list_covers_its_own_issuers_certificates_at_its_own_point() {
        let server = Certificate::parse(&authority::certificate(&authority::server_content())).unwrap();
        let covers = |point: Option<&str>, issuer: &str| {
            let content = CrlContent {
                distribution_point: point.map(str::to_owned),
                issuer: authority::name(issuer),
                ..content()
            };
            Crl::parse(&list(&content, &[])).unwrap().covers(&server)
        };
        assert!(covers(None, "Issuer") && covers(Some("http://pki.example.fi/crl/sote/3.crl"), "Issuer"));
        assert!(!covers(Some("http://pki.example.fi/crl/sote/4.crl"), "Issuer"));
        assert!(!covers(None, "Other"));
        let mut of_authorities = Crl::parse(&list(&content(), &[])).unwrap();
        of_authorities.of_authorities = Some(true);
        assert!(!of_authorities.covers(&server));
    }

    #[test]
    fn an_ordinary_entry_is_short() {
        assert!(entries()[0].to_der().len() <= 35 && entries()[1].to_der().len() <= 80);
    }

    proptest! {
        #[test]
        fn a_spoiled_list_never_panics_and_never_verifies(index in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut der = list(&content(), &entries());
            let index = index.index(der.len());
            prop_assume!(der[index] != octet);
            der[index] = octet;
            let verified = Crl::parse(&der).is_ok_and(|found| found.verify_signed_by(&authority::key(1)).is_ok());
            prop_assert!(!verified);
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Crl::parse(&octets).is_err());
        }
    }
}
