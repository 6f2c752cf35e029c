//! Identifiers of orders and authorizations (RFC 8555 §9.7.7, RFC 8738, and our two of `docs/protocol.md`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::names::{BusinessId, DnsName, NameError, OrganisationIdentifier, UnitOid};

/// What a certificate is ordered for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier {
    /// A dns name.
    Dns(DnsName),
    /// Every name one label below a dns name: `*.example.fi` holds `example.fi`.
    Wildcard(DnsName),
    /// An IP address (RFC 8738). No profile allows it yet.
    Ip(IpAddr),
    /// An organisation.
    Organisation(OrganisationIdentifier),
    /// A unit of an organisation: a row of a national register.
    Unit(UnitOid),
}

/// An identifier exactly as a message carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawIdentifier {
    /// The identifier's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The identifier.
    pub value: String,
}

/// Why a [`RawIdentifier`] is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// The type is unknown here.
    #[error("identifier type \"{0}\" is not supported; supported are dns, organization-id and sote-unit")]
    UnknownType(String),
    /// The value does not fit the type.
    #[error(transparent)]
    Malformed(#[from] NameError),
    /// Another spelling of an organisation: it names the canonical one. Never rewritten silently, since an order's
    /// identifiers are exactly those that were sent (RFC 8555 §7.4).
    #[error("{given} is another spelling; name the organisation by {canonical}")]
    Alias {
        /// What was sent.
        given: String,
        /// How the organisation is named.
        canonical: OrganisationIdentifier,
    },
}

impl Identifier {
    /// The registered type.
    pub fn kind(&self) -> &'static str {
        match self {
            Identifier::Dns(_) | Identifier::Wildcard(_) => "dns",
            Identifier::Ip(_) => "ip",
            Identifier::Organisation(_) => "organization-id",
            Identifier::Unit(_) => "sote-unit",
        }
    }

    /// The value as the order carries it, with `*.` for a wildcard.
    pub fn value(&self) -> String {
        match self {
            Identifier::Wildcard(name) => format!("*.{name}"),
            _ => self.base_value(),
        }
    }

    /// The value as an authorization carries it: without `*.` (RFC 8555 §7.1.4).
    pub fn base_value(&self) -> String {
        match self {
            Identifier::Dns(name) | Identifier::Wildcard(name) => name.to_string(),
            Identifier::Ip(address) => address.to_string(),
            Identifier::Organisation(id) => id.to_string(),
            Identifier::Unit(oid) => oid.to_string(),
        }
    }

    /// The dns name of a dns identifier, wildcard or not.
    pub fn dns_name(&self) -> Option<&DnsName> {
        match self {
            Identifier::Dns(name) | Identifier::Wildcard(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it names an organisation or a unit of one.
    pub fn is_of_organisations(&self) -> bool {
        match self {
            Identifier::Organisation(_) | Identifier::Unit(_) => true,
            Identifier::Dns(_) | Identifier::Wildcard(_) | Identifier::Ip(_) => false,
        }
    }

    /// Whether this is a wildcard.
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Identifier::Wildcard(_))
    }
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.value())
    }
}

impl From<&Identifier> for RawIdentifier {
    fn from(identifier: &Identifier) -> Self {
        RawIdentifier { kind: identifier.kind().to_owned(), value: identifier.value() }
    }
}

impl TryFrom<&RawIdentifier> for Identifier {
    type Error = IdentifierError;

    fn try_from(raw: &RawIdentifier) -> Result<Self, IdentifierError> {
        match raw.kind.as_str() {
            // RFC 8555 §7.1.3: a wildcard is one asterisk and a dot before a name, nothing else.
            "dns" => match raw.value.strip_prefix("*.") {
                Some(name) => Ok(Identifier::Wildcard(name.parse()?)),
                None => Ok(Identifier::Dns(raw.value.parse()?)),
            },
            "ip" => canonical_address(&raw.value).map(Identifier::Ip),
            "organization-id" => match alias(&raw.value) {
                Some(canonical) => Err(IdentifierError::Alias { given: raw.value.clone(), canonical }),
                None => Ok(Identifier::Organisation(raw.value.parse()?)),
            },
            "sote-unit" => Ok(Identifier::Unit(raw.value.parse()?)),
            other => Err(IdentifierError::UnknownType(other.chars().take(64).collect())),
        }
    }
}

/// The organisation whose VAT number (ETSI EN 319 412-1 §5.1.4: `VAT`, the country, a hyphen, the number) `value` is; the
/// hyphen is left out as often as not. A Finnish VAT number is the Business ID without its hyphen.
fn alias(value: &str) -> Option<OrganisationIdentifier> {
    let number = value.strip_prefix("VATFI")?;
    let number = number.strip_prefix('-').unwrap_or(number);
    let (digits, check) = number.split_at_checked(7).filter(|_| number.len() == 8)?;
    Some(OrganisationIdentifier::from(&format!("{digits}-{check}").parse::<BusinessId>().ok()?))
}

// RFC 8738 §3: IPv6 addresses are written as RFC 5952 says.
fn canonical_address(text: &str) -> Result<IpAddr, IdentifierError> {
    let wrong = || NameError::new("an ip identifier is an IPv4 address, or an IPv6 address in the form of RFC 5952");
    let address: IpAddr = text.parse().map_err(|_| wrong())?;
    if address.to_string() == text { Ok(address) } else { Err(wrong().into()) }
}

impl Serialize for Identifier {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawIdentifier::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawIdentifier::deserialize(deserializer)?;
        Identifier::try_from(&raw).map_err(serde::de::Error::custom)
    }
}

/// The identifiers of an order: at least one, none twice, in the order in which the client named them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Identifier>", into = "Vec<Identifier>")]
pub struct Identifiers(Vec<Identifier>);

impl Identifiers {
    /// The identifiers, in the client's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Identifier> {
        self.0.iter()
    }

    /// How many there are; never zero.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `identifier` is among them.
    pub fn contains(&self, identifier: &Identifier) -> bool {
        self.0.contains(identifier)
    }

    /// Those that name an organisation or a unit.
    pub fn of_organisations(&self) -> impl Iterator<Item = &Identifier> {
        self.0.iter().filter(|identifier| identifier.is_of_organisations())
    }

    /// The unit that is named, if one is.
    pub fn unit(&self) -> Option<&UnitOid> {
        self.0.iter().find_map(|identifier| match identifier {
            Identifier::Unit(oid) => Some(oid),
            Identifier::Dns(_) | Identifier::Wildcard(_) | Identifier::Ip(_) | Identifier::Organisation(_) => None,
        })
    }

    /// The dns identifiers, wildcards included.
    pub fn dns(&self) -> impl Iterator<Item = &Identifier> {
        self.0.iter().filter(|identifier| identifier.dns_name().is_some())
    }
}

impl TryFrom<Vec<Identifier>> for Identifiers {
    type Error = NameError;

    fn try_from(identifiers: Vec<Identifier>) -> Result<Self, NameError> {
        if identifiers.is_empty() {
            return Err(NameError::new("an order names at least one identifier"));
        }
        let mut seen = std::collections::HashSet::new();
        match identifiers.iter().find(|identifier| !seen.insert(*identifier)) {
            Some(twice) => Err(NameError::new(format!("identifier {twice} is named twice"))),
            None => Ok(Identifiers(identifiers)),
        }
    }
}

impl From<Identifiers> for Vec<Identifier> {
    fn from(identifiers: Identifiers) -> Self {
        identifiers.0
    }
}

impl<'a> IntoIterator for &'a Identifiers {
    type Item = &'a Identifier;
    type IntoIter = std::slice::Iter<'a, Identifier>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, value: &str) -> Result<Identifier, IdentifierError> {
        Identifier::try_from(&RawIdentifier { kind: kind.into(), value: value.into() })
    }

    #[test]
    fn a_wildcard_is_one_asterisk_before_a_name() {
        let wildcard = read("dns", "*.example.fi").unwrap();
        assert_eq!((wildcard.value(), wildcard.base_value()), ("*.example.fi".into(), "example.fi".into()));
        for bad in ["*", "*.", "**.example.fi", "a.*.example.fi", "*.*.example.fi", "*example.fi", "*.fi"] {
            assert!(read("dns", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_type_is_told_apart_from_a_malformed_value() {
        assert!(matches!(read("email", "a@b.fi"), Err(IdentifierError::UnknownType(_))));
        assert!(matches!(read("dns", "192.0.2.1"), Err(IdentifierError::Malformed(_))));
        assert!(matches!(read("ip", "2001:DB8::1"), Err(IdentifierError::Malformed(_))));
    }

    // X25, X26
    #[test]
    fn an_organisation_has_one_spelling_and_its_vat_number_is_told_the_right_one() {
        assert!(matches!(read("organization-id", "NTRFI-0245437-2"), Ok(Identifier::Organisation(_))));
        for alias in ["VATFI-02454372", "VATFI02454372"] {
            let Err(error @ IdentifierError::Alias { .. }) = read("organization-id", alias) else { panic!("{alias}") };
            assert!(error.to_string().contains("NTRFI-0245437-2"), "{error}");
        }
        for bad in ["NTRFI-0245437-3", "ntrfi-0245437-2", "VATFI-02454373", "VATFI-0245437-2", "VATFI", "VATSE02454372"]
        {
            assert!(matches!(read("organization-id", bad), Err(IdentifierError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn identifiers_are_never_empty_and_never_repeat() {
        let name = || read("dns", "a.fi").unwrap();
        assert!(Identifiers::try_from(vec![]).is_err());
        assert!(Identifiers::try_from(vec![name(), read("dns", "A.fi").unwrap()]).is_err());
        assert_eq!(Identifiers::try_from(vec![name()]).unwrap().len(), 1);
    }
}
