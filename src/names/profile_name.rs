//! Names that an operator gives in the configuration and that stand in URLs and records for years.

use std::str::FromStr;

use super::{NameError, text_value};

macro_rules! configured_names {
    ($($(#[$doc:meta])* $name:ident: $what:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        text_value!($name);

        impl $name {
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let sound = (1..=64).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    && !text.starts_with('-')
                    && !text.ends_with('-');
                if !sound {
                    return Err(NameError::new(concat!(
                        $what, " has 1 to 64 characters of a-z, 0-9 and -, and neither begins nor ends with -")));
                }
                Ok($name(text.into()))
            }
        }
    )*};
}

configured_names! {
    /// A certificate profile, such as `sote-server` (draft-ietf-acme-profiles).
    ProfileName: "a profile name",
    /// An issuer: one name per CA key, never reused. It stands in CRL, OCSP and issuer URLs.
    IssuerName: "an issuer name",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_a_url_are_accepted_and_others_refused() {
        assert!("sote-server-test".parse::<ProfileName>().is_ok());
        for bad in ["", "Sote", "a/b", "-a", "a-", "a b", &"a".repeat(65)] {
            assert!(bad.parse::<ProfileName>().is_err(), "{bad:?}");
        }
    }
}
