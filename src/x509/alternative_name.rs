//! Subject alternative names (RFC 5280 §4.2.1.6).

use std::net::IpAddr;

use der::asn1::Ia5String;
use x509_cert::ext::pkix::name::GeneralName;

use crate::acme::identifier::{Identifier, RawIdentifier};

/// One subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlternativeName {
    /// A dns name, a wildcard or an IP address.
    Identifier(Identifier),
    /// A dNSName that is no dns name, as it was found.
    MalformedDns(String),
    /// An e-mail address.
    Email(String),
    /// A URI.
    Uri(String),
    /// A name of another kind, or an IP address of a strange length; the text says which.
    Other(&'static str),
}

impl AlternativeName {
    /// The identifier that an order names for it.
    pub fn identifier(&self) -> Option<&Identifier> {
        match self {
            AlternativeName::Identifier(identifier) => Some(identifier),
            AlternativeName::MalformedDns(_)
            | AlternativeName::Email(_)
            | AlternativeName::Uri(_)
            | AlternativeName::Other(_) => None,
        }
    }

    pub(crate) fn from_general_name(name: &GeneralName) -> Self {
        match name {
            GeneralName::DnsName(text) => dns(text.as_str()),
            GeneralName::IpAddress(octets) => address(octets.as_bytes()),
            GeneralName::Rfc822Name(text) => AlternativeName::Email(text.as_str().to_owned()),
            GeneralName::UniformResourceIdentifier(text) => AlternativeName::Uri(text.as_str().to_owned()),
            GeneralName::OtherName(_) => AlternativeName::Other("otherName"),
            GeneralName::DirectoryName(_) => AlternativeName::Other("directoryName"),
            GeneralName::EdiPartyName(_) => AlternativeName::Other("ediPartyName"),
            GeneralName::RegisteredId(_) => AlternativeName::Other("registeredID"),
        }
    }

    /// The name as a certificate carries it; none for what we never certify.
    pub(crate) fn to_general_name(&self) -> Option<GeneralName> {
        match self {
            AlternativeName::Identifier(identifier) => match identifier {
                Identifier::Dns(_) | Identifier::Wildcard(_) => {
                    Ia5String::new(&identifier.value()).ok().map(GeneralName::DnsName)
                }
                Identifier::Ip(address) => Some(GeneralName::from(*address)),
                Identifier::Organisation(_) | Identifier::Unit(_) => None,
            },
            AlternativeName::Email(address) => Ia5String::new(address).ok().map(GeneralName::Rfc822Name),
            // No customer is certified for it, but a server on trial names itself so in its own TLS certificate.
            AlternativeName::MalformedDns(text) if text == "localhost" => {
                Ia5String::new(text).ok().map(GeneralName::DnsName)
            }
            AlternativeName::MalformedDns(_) | AlternativeName::Uri(_) | AlternativeName::Other(_) => None,
        }
    }
}

impl From<Identifier> for AlternativeName {
    fn from(identifier: Identifier) -> Self {
        AlternativeName::Identifier(identifier)
    }
}

/// `dns:a.example.fi`, `email:tuki@example.fi`: for messages.
impl std::fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AlternativeName::Identifier(identifier) => write!(f, "{}:{identifier}", identifier.kind()),
            AlternativeName::MalformedDns(text) => write!(f, "dns:{}", text.escape_default()),
            AlternativeName::Email(text) => write!(f, "email:{}", text.escape_default()),
            AlternativeName::Uri(text) => write!(f, "uri:{}", text.escape_default()),
            AlternativeName::Other(kind) => f.write_str(kind),
        }
    }
}

/// The dns identifier that `text` is, wildcards included.
pub(crate) fn dns_identifier(text: &str) -> Option<Identifier> {
    Identifier::try_from(&RawIdentifier { kind: "dns".to_owned(), value: text.to_owned() }).ok()
}

fn dns(text: &str) -> AlternativeName {
    match dns_identifier(text) {
        Some(identifier) => AlternativeName::Identifier(identifier),
        None => AlternativeName::MalformedDns(text.to_owned()),
    }
}

// RFC 5280 §4.2.1.6: four octets for IPv4, sixteen for IPv6.
fn address(octets: &[u8]) -> AlternativeName {
    let address = match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
        (Ok(four), _) => Some(IpAddr::from(four)),
        (_, Ok(sixteen)) => Some(IpAddr::from(sixteen)),
        (Err(_), Err(_)) => None,
    };
    match address {
        Some(address) => AlternativeName::Identifier(Identifier::Ip(address)),
        None => AlternativeName::Other("iPAddress of a strange length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_certified_kind_read_back() {
        let names = [
            AlternativeName::Identifier(dns_identifier("a.example.fi").unwrap()),
            AlternativeName::Identifier(dns_identifier("*.example.fi").unwrap()),
            AlternativeName::Identifier(Identifier::Ip("192.0.2.1".parse().unwrap())),
            AlternativeName::Identifier(Identifier::Ip("2001:db8::1".parse().unwrap())),
            AlternativeName::Email("tuki@example.fi".to_owned()),
        ];
        for name in names {
            assert_eq!(AlternativeName::from_general_name(&name.to_general_name().unwrap()), name);
        }
    }

    #[test]
    fn a_dns_name_that_is_none_is_kept_as_it_was_found() {
        assert_eq!(dns("a_b"), AlternativeName::MalformedDns("a_b".to_owned()));
        assert_eq!(address(&[1, 2, 3]), AlternativeName::Other("iPAddress of a strange length"));
    }
}
