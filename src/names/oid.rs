//! OIDs of units in the national registers.

use std::str::FromStr;

use super::{NameError, text_value};

/// The dotted OID of a register row, of any arc (`1.2.246.10.2454372.10.1`). At most 128 characters; arcs without leading
/// zeros. The parts are compared as text, never as numbers: some registers number below one level.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitOid(Box<str>);

text_value!(UnitOid);

impl UnitOid {
    /// The dotted text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UnitOid {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let arcs: Vec<&str> = text.split('.').collect();
        let arc = |a: &&str| {
            !a.is_empty()
                && a.len() <= 39
                && a.bytes().all(|b| b.is_ascii_digit())
                && (*a == "0" || !a.starts_with('0'))
        };
        let root_is_sound = match arcs.first() {
            Some(&"0" | &"1") => arcs.get(1).and_then(|a| a.parse::<u8>().ok()).is_some_and(|a| a < 40),
            Some(&"2") => arcs.len() > 1,
            _ => false,
        };
        if text.len() > 128 || arcs.len() < 3 || !arcs.iter().all(arc) || !root_is_sound {
            return Err(NameError::new("a unit is named by its dotted OID: 1.2.246.10.2454372.10.1"));
        }
        Ok(UnitOid(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oids_of_every_register_are_accepted() {
        for oid in ["1.2.246.10.2454372.10.1", "1.2.246.556.12.21.2", "1.2.246.537.28.10000222116"] {
            assert!(oid.parse::<UnitOid>().is_ok(), "{oid}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for oid in ["", "1", "1.2", "1..2", "1.2.03", "3.1.1", "1.40.1", "1.2.a", "1.2.3.", " 1.2.3"] {
            assert!(oid.parse::<UnitOid>().is_err(), "{oid}");
        }
    }

    proptest::proptest! {
        /// An OID reads back as it was written, and no text with an empty or padded arc is one.
        #[test]
        fn arcs_are_kept_as_they_are(arcs in proptest::collection::vec(0_u64..u64::MAX, 1..6), place in 0_usize..6) {
            let text = arcs.iter().fold("1.2".to_owned(), |text, arc| format!("{text}.{arc}"));
            proptest::prop_assert_eq!(text.parse::<UnitOid>().unwrap().to_string(), text.clone());
            let dots: Vec<_> = text.match_indices('.').map(|(at, _)| at).collect();
            let dot = dots[place % dots.len()];
            for inserted in [".", "0", " ", "-"] {
                let mut wrong = text.clone();
                wrong.insert_str(dot + 1, inserted);
                proptest::prop_assert!(wrong.parse::<UnitOid>().is_err(), "{}", wrong);
            }
        }
    }
}
