//! The query of an admin command's URL: `name=value` pairs, percent-encoded.

use std::fmt::Display;
use std::str::FromStr;

use crate::model::Refusal;

/// The pairs of a query.
pub(super) struct Query<'a>(Vec<(&'a str, String)>);

impl<'a> Query<'a> {
    pub(super) fn parse(query: Option<&'a str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        Query(pairs.filter_map(|(name, value)| Some((name, percent_decoded(value)?))).collect())
    }

    /// The value of this name, if there is one.
    ///
    /// # Errors
    /// What is wrong with a value that is there and no `T`.
    pub(super) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let Some((_, text)) = self.0.iter().find(|(found, _)| *found == name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| Refusal::Malformed { why: format!("{name}: {error}") })
    }

    /// The value of this name, which must be there.
    ///
    /// # Errors
    /// That it is missing, or what is wrong with it.
    pub(super) fn needed<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Refusal> {
        self.value(name)?.ok_or_else(|| Refusal::Malformed { why: format!("{name} is missing") })
    }
}

/// The text that percent-encoding stands for; none if it is broken or no UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'%' {
            decoded.push(octet);
            continue;
        }
        let mut digit = || char::from(octets.next()?).to_digit(16);
        decoded.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_typed() {
        let query = Query::parse(Some("from=17&name=a%20b%2Fc&bad=%zz&flag"));
        assert_eq!(query.value::<u64>("from"), Ok(Some(17)));
        assert_eq!(query.value::<String>("name"), Ok(Some("a b/c".into())));
        assert_eq!(query.value::<String>("bad"), Ok(None));
        assert!(query.value::<u64>("name").is_err() && query.needed::<u64>("flag").is_err());
        assert_eq!(Query::parse(None).value::<u64>("from"), Ok(None));
    }
}
