//! Distinguished names of issuers and subjects: made from checked attributes in the order given, with the string types that
//! the Finnish profile wants, and compared by their octets (RFC 5280 §4.1.2.4: a certificate's issuer is its issuer's
//! subject, octet for octet).

use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use der::asn1::{Any, PrintableStringRef};
use der::{Decode, Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use super::der_element::{DerError, Element, SEQUENCE, SET};

/// organizationIdentifier (X.520 §6.4.11, ETSI EN 319 412-1 §5.1.4).
const ORGANISATION_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.97");

/// An attribute that our names may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameAttribute {
    /// C: two letters of ISO 3166.
    Country,
    /// ST.
    StateOrProvince,
    /// L.
    Locality,
    /// O.
    Organisation,
    /// OU.
    OrganisationalUnit,
    /// organizationIdentifier: `NTRFI-0245437-2`.
    OrganisationIdentifier,
    /// serialNumber: in this profile the OID of the unit.
    SerialNumber,
    /// CN.
    CommonName,
}

impl NameAttribute {
    const ALL: [NameAttribute; 8] = [
        NameAttribute::Country,
        NameAttribute::StateOrProvince,
        NameAttribute::Locality,
        NameAttribute::Organisation,
        NameAttribute::OrganisationalUnit,
        NameAttribute::OrganisationIdentifier,
        NameAttribute::SerialNumber,
        NameAttribute::CommonName,
    ];

    /// The attribute's type.
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            NameAttribute::Country => rfc4519::COUNTRY_NAME,
            NameAttribute::StateOrProvince => rfc4519::ST,
            NameAttribute::Locality => rfc4519::LOCALITY_NAME,
            NameAttribute::Organisation => rfc4519::ORGANIZATION_NAME,
            NameAttribute::OrganisationalUnit => rfc4519::ORGANIZATIONAL_UNIT_NAME,
            NameAttribute::OrganisationIdentifier => ORGANISATION_IDENTIFIER,
            NameAttribute::SerialNumber => rfc4519::SERIAL_NUMBER,
            NameAttribute::CommonName => rfc4519::COMMON_NAME,
        }
    }

    /// The attribute of this type, if it is one of ours.
    pub fn from_oid(oid: &ObjectIdentifier) -> Option<Self> {
        NameAttribute::ALL.into_iter().find(|attribute| attribute.oid() == *oid)
    }

    /// The keyword that people write: `CN`, `O`, ...
    pub const fn keyword(self) -> &'static str {
        match self {
            NameAttribute::Country => "C",
            NameAttribute::StateOrProvince => "ST",
            NameAttribute::Locality => "L",
            NameAttribute::Organisation => "O",
            NameAttribute::OrganisationalUnit => "OU",
            NameAttribute::OrganisationIdentifier => "organizationIdentifier",
            NameAttribute::SerialNumber => "serialNumber",
            NameAttribute::CommonName => "CN",
        }
    }

    /// The most characters that a value may have.
    // RFC 5280 appendix A.1, the ub- bounds. organizationIdentifier has none there and gets that of an organisation's name.
    pub const fn longest(self) -> usize {
        match self {
            NameAttribute::Country => 2,
            NameAttribute::StateOrProvince | NameAttribute::Locality => 128,
            NameAttribute::Organisation
            | NameAttribute::OrganisationalUnit
            | NameAttribute::OrganisationIdentifier
            | NameAttribute::SerialNumber
            | NameAttribute::CommonName => 64,
        }
    }

    /// The string type in which the profile writes the attribute.
    // FINEID S2: countryName and serialNumber PrintableString, all others UTF8String.
    pub(crate) const fn string_type(self) -> Tag {
        match self {
            NameAttribute::Country | NameAttribute::SerialNumber => Tag::PrintableString,
            NameAttribute::StateOrProvince
            | NameAttribute::Locality
            | NameAttribute::Organisation
            | NameAttribute::OrganisationalUnit
            | NameAttribute::OrganisationIdentifier
            | NameAttribute::CommonName => Tag::Utf8String,
        }
    }

    /// The identifier octet of [`Self::string_type`].
    pub(crate) fn string_type_octet(self) -> u8 {
        if self.string_type() == Tag::PrintableString { 0x13 } else { 0x0c }
    }

    /// Checks a value against the profile: length, characters, no white space at its ends.
    pub fn check(self, value: &str) -> Result<(), NameFault> {
        let fault = |why| Err(NameFault { attribute: self.keyword(), why });
        let length = value.chars().count();
        if length == 0 {
            return fault("is empty".to_owned());
        }
        if length > self.longest() {
            return fault(format!("has {length} characters; at most {} are allowed", self.longest()));
        }
        if value.trim() != value {
            return fault("begins or ends with white space".to_owned());
        }
        if let Some(strange) = value.chars().find(|c| !is_latin_1_text(*c)) {
            return fault(format!("contains U+{:04X}, which is no character of ISO 8859-1", u32::from(strange)));
        }
        if self == NameAttribute::Country && !value.bytes().all(|b| b.is_ascii_uppercase()) {
            return fault("is not a country's two capital letters".to_owned());
        }
        if self.string_type() == Tag::PrintableString && PrintableStringRef::new(value).is_err() {
            return fault("has a character that PrintableString lacks".to_owned());
        }
        Ok(())
    }
}

// FINEID S2: UTF8String with the characters of ISO 8859-1.
fn is_latin_1_text(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{ff}')
}

/// Why an attribute may not stand in a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{attribute} {why}")]
pub struct NameFault {
    attribute: &'static str,
    why: String,
}

/// One attribute of a name that was read: its type, its string type and, when that can be read, its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameEntry {
    /// The attribute's type.
    pub oid: ObjectIdentifier,
    /// The identifier octet of the value (0x0c UTF8String, 0x13 PrintableString, ...).
    pub value_tag: u8,
    /// The value as text; none for a value that is no string, or is one whose octets do not fit its type.
    pub text: Option<String>,
}

/// A distinguished name. Two names are equal when their octets are.
#[derive(Clone)]
pub struct DistinguishedName {
    der: Vec<u8>,
    sets: Vec<Vec<NameEntry>>,
}

impl DistinguishedName {
    /// The name with these attributes, each in an RDN of its own, in this order.
    pub fn new<V: AsRef<str>>(attributes: impl IntoIterator<Item = (NameAttribute, V)>) -> Result<Self, NameFault> {
        let mut sequence = RdnSequence::default();
        let mut sets = Vec::new();
        for (attribute, value) in attributes {
            let value = value.as_ref();
            attribute.check(value)?;
            let (set, entry) = single(attribute, value);
            sequence.push(set);
            sets.push(vec![entry]);
        }
        let der =
            Name::hazmat_from_rdn_sequence(sequence).to_der().expect("checked attributes of bounded length encode");
        Ok(DistinguishedName { der, sets })
    }

    /// Reads a name of any form, as requests and other authorities' certificates bring it.
    pub fn from_der(der: &[u8]) -> Result<Self, DerError> {
        let sets = Element::only(der)?.tagged(SEQUENCE)?.children()?;
        let sets = sets.into_iter().map(entries).collect::<Result<_, _>>()?;
        Ok(DistinguishedName { der: der.to_vec(), sets })
    }

    /// The name's DER.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Whether the name has no attribute.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The attributes in their order.
    pub fn entries(&self) -> impl Iterator<Item = &NameEntry> {
        self.sets.iter().flatten()
    }

    /// The texts of every attribute of this type.
    pub fn values(&self, attribute: NameAttribute) -> impl Iterator<Item = &str> {
        let oid = attribute.oid();
        self.entries().filter(move |entry| entry.oid == oid).filter_map(|entry| entry.text.as_deref())
    }
}

fn single(attribute: NameAttribute, value: &str) -> (RelativeDistinguishedName, NameEntry) {
    let string = Any::new(attribute.string_type(), value.as_bytes()).expect("a checked value is short");
    let mut set = RelativeDistinguishedName::default();
    set.insert(AttributeTypeAndValue { oid: attribute.oid(), value: string }).expect("one attribute is in order");
    let value_tag = attribute.string_type_octet();
    (set, NameEntry { oid: attribute.oid(), value_tag, text: Some(value.to_owned()) })
}

fn entries(set: Element<'_>) -> Result<Vec<NameEntry>, DerError> {
    let members = set.tagged(SET)?.children()?;
    if members.is_empty() {
        return Err(DerError("a name has an empty set"));
    }
    members.into_iter().map(entry).collect()
}

fn entry(member: Element<'_>) -> Result<NameEntry, DerError> {
    let parts = member.tagged(SEQUENCE)?.children()?;
    let [oid, value] = parts[..] else {
        return Err(DerError("an attribute is a type and a value"));
    };
    let oid = ObjectIdentifier::from_der(oid.whole).map_err(|_| DerError("an attribute's type is no OID"))?;
    Ok(NameEntry { oid, value_tag: value.tag, text: text(value) })
}

/// The text of a string of any type that names have ever had.
fn text(value: Element<'_>) -> Option<String> {
    match value.tag {
        // UTF8String, NumericString, PrintableString, IA5String, VisibleString.
        0x0c | 0x12 | 0x13 | 0x16 | 0x1a => String::from_utf8(value.content.to_vec()).ok(),
        // TeletexString, which everyone wrote as ISO 8859-1.
        0x14 => Some(value.content.iter().map(|octet| char::from(*octet)).collect()),
        // BMPString.
        0x1e if value.content.len().is_multiple_of(2) => {
            let units = value.content.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for DistinguishedName {}

impl std::hash::Hash for DistinguishedName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.der.hash(state);
    }
}

/// `C=FI, O=Kansanelakelaitos, CN=Todistuspalvelu`: in the order of the name, not reversed. Characters with a meaning of
/// their own, and controls, are escaped as in RFC 4514 §2.4.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (set_index, set) in self.sets.iter().enumerate() {
            for (index, entry) in set.iter().enumerate() {
                f.write_str(match (set_index, index) {
                    (0, 0) => "",
                    (_, 0) => ", ",
                    (_, _) => " + ",
                })?;
                write!(f, "{entry}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for NameEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NameAttribute::from_oid(&self.oid) {
            Some(attribute) => f.write_str(attribute.keyword())?,
            None => write!(f, "{}", self.oid)?,
        }
        f.write_str("=")?;
        match &self.text {
            Some(text) => text.chars().try_for_each(|c| escaped(f, c)),
            None => f.write_str("(not a text)"),
        }
    }
}

fn escaped(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        ',' | '+' | '"' | '\\' | '<' | '>' | ';' => write!(f, "\\{c}"),
        c if c.is_control() => {
            let mut octets = [0; 4];
            c.encode_utf8(&mut octets).bytes().try_for_each(|octet| write!(f, "\\{octet:02X}"))
        }
        c => write!(f, "{c}"),
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NameAttribute::*;
    use proptest::prelude::*;

    fn kanta() -> DistinguishedName {
        DistinguishedName::new([
            (Country, "FI"),
            (Locality, "Hämeenlinna"),
            (Organisation, "Kansaneläkelaitos"),
            (OrganisationIdentifier, "NTRFI-0246246-0"),
            (SerialNumber, "1.2.246.556.12.21.2"),
            (CommonName, "Todistuspalvelu"),
        ])
        .unwrap()
    }

    #[test]
    fn a_name_keeps_its_order_and_reads_back_to_the_same_octets() {
        let name = kanta();
        assert_eq!(
            name.to_string(),
            "C=FI, L=Hämeenlinna, O=Kansaneläkelaitos, organizationIdentifier=NTRFI-0246246-0, \
             serialNumber=1.2.246.556.12.21.2, CN=Todistuspalvelu"
        );
        let again = DistinguishedName::from_der(name.as_der()).unwrap();
        assert_eq!((again.as_der(), &again.sets), (name.as_der(), &name.sets));
    }

    #[test]
    fn country_and_serial_number_are_printable_strings_and_all_else_is_utf8() {
        let tags: Vec<u8> = kanta().entries().map(|entry| entry.value_tag).collect();
        assert_eq!(tags, [0x13, 0x0c, 0x0c, 0x0c, 0x13, 0x0c]);
    }

    #[test]
    fn values_that_the_profile_does_not_allow_are_refused_with_the_attribute_and_the_reason() {
        let refusal = |attribute, value: &str| DistinguishedName::new([(attribute, value)]).unwrap_err().to_string();
        assert_eq!(refusal(CommonName, &"å".repeat(65)), "CN has 65 characters; at most 64 are allowed");
        assert!(refusal(Organisation, "Łódź").contains("U+0141"));
        assert!(refusal(Organisation, "a\u{7}").contains("U+0007"));
        assert!(refusal(Country, "fi").contains("two capital letters"));
        assert!(refusal(SerialNumber, "a_b").contains("PrintableString"));
        for (attribute, bad) in [(CommonName, ""), (CommonName, " a"), (Country, "FIN"), (Country, "1")] {
            refusal(attribute, bad);
        }
        assert!(DistinguishedName::new([(CommonName, "å".repeat(64))]).is_ok(), "characters count, not octets");
    }

    #[test]
    fn text_cannot_pretend_to_be_another_attribute() {
        let name = DistinguishedName::new([(Organisation, "a, CN=b")]).unwrap();
        assert_eq!(name.to_string(), "O=a\\, CN=b");
    }

    #[test]
    fn old_string_types_are_read() {
        let der =
            [0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x04, 0x03, 0x1e, 0x04, 0x00, 0xe4, 0x00, 0x62];
        let name = DistinguishedName::from_der(&der).unwrap();
        assert_eq!(name.values(CommonName).collect::<Vec<_>>(), ["äb"]);
    }

    proptest! {
        #[test]
        fn a_spoiled_name_never_panics(index in 0usize..100, octet in any::<u8>()) {
            let mut der = kanta().as_der().to_vec();
            let index = index % der.len();
            der[index] = octet;
            if let Ok(name) = DistinguishedName::from_der(&der) {
                let _ = name.to_string();
            }
        }
    }
}
