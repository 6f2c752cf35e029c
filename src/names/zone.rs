//! The dns zones within which an organisation or an invitation may have names.

use std::str::FromStr;

use super::{DnsName, NameError, text_value};

/// A dns zone that covers itself and every name below it on a label border, or `*` for any name at all. A zone may be a
/// single label (`test`), which a [`DnsName`] may not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(Box<str>);

text_value!(Zone);

impl Zone {
    /// The zone's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Any name.
    pub fn any() -> Self {
        Zone("*".into())
    }

    /// Whether `name` lies within this zone. A wildcard `*.name` lies where `name` does.
    pub fn covers(&self, name: &DnsName) -> bool {
        &*self.0 == "*" || name.is_within(&self.0)
    }

    /// Whether every name of `inner` lies within this zone: no invitation exceeds its inviter's limits.
    pub fn contains(&self, inner: &Zone) -> bool {
        &*self.0 == "*" || inner.0.strip_suffix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for Zone {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "*" {
            return Ok(Zone::any());
        }
        // A single label is checked as the last label of a name.
        let probe = if text.contains('.') { text.to_owned() } else { format!("a.{text}") };
        let name: DnsName = probe.parse()?;
        let canonical = if text.contains('.') { name.as_str() } else { &name.as_str()[2..] };
        Ok(Zone(canonical.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_covers_itself_and_names_below_it() {
        let zone: Zone = "Example.fi".parse().unwrap();
        assert!(zone.covers(&"example.fi".parse().unwrap()));
        assert!(zone.covers(&"a.b.example.fi".parse().unwrap()));
        assert!(!zone.covers(&"badexample.fi".parse().unwrap()));
        assert!("test".parse::<Zone>().unwrap().covers(&"www.test".parse().unwrap()));
        assert!(Zone::any().covers(&"www.test".parse().unwrap()));
    }

    #[test]
    fn only_any_contains_any() {
        let zone: Zone = "example.fi".parse().unwrap();
        assert!(zone.contains(&"a.example.fi".parse().unwrap()) && Zone::any().contains(&zone));
        assert!(!zone.contains(&Zone::any()));
    }
}
