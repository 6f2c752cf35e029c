//! The Finnish Business ID (Y-tunnus) and the identifier form that ETSI EN 319 412-1 §5.1.4 makes of it.

use std::str::FromStr;

use super::{NameError, text_value};

/// A Business ID such as `0245437-2`: seven digits, a hyphen and a verified check digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusinessId(Box<str>);

text_value!(BusinessId);

impl BusinessId {
    /// The canonical text, `0245437-2`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Business ID that an organisation arc of an OID carries: leading zeros and the hyphen are dropped there
    /// (JHS 159), so 7 or 8 digits are padded to 8 again.
    pub fn from_oid_arc(digits: &str) -> Result<Self, NameError> {
        if !(6..=8).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NameError::new(format!("\"{digits}\" is not a Business ID without its hyphen")));
        }
        let padded = format!("{digits:0>8}");
        format!("{}-{}", &padded[..7], &padded[7..]).parse()
    }
}

impl FromStr for BusinessId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let well_formed =
            bytes.len() == 9 && bytes[7] == b'-' && bytes.iter().enumerate().all(|(i, b)| i == 7 || b.is_ascii_digit());
        if !well_formed {
            return Err(NameError::new(
                "a Business ID (Y-tunnus) is seven digits, a hyphen and a check digit: 0245437-2",
            ));
        }
        if check_digit(&bytes[..7]) != Some(bytes[8]) {
            return Err(NameError::new(format!("the check digit of Business ID {text} is wrong")));
        }
        Ok(BusinessId(text.into()))
    }
}

/// Weights 7, 9, 10, 5, 8, 4, 2 modulo 11; a remainder of 1 is never issued.
fn check_digit(digits: &[u8]) -> Option<u8> {
    let sum: u32 = digits.iter().zip([7, 9, 10, 5, 8, 4, 2]).map(|(d, w)| u32::from(d - b'0') * w).sum();
    match sum % 11 {
        0 => Some(b'0'),
        1 => None,
        rest => Some(b'0' + (11 - rest) as u8),
    }
}

/// `NTRFI-0245437-2`: an organisation as subject.organizationIdentifier and as the ACME identifier `organization-id`.
/// Only the canonical spelling is accepted; comparison is octet equality.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganisationIdentifier(Box<str>);

text_value!(OrganisationIdentifier);

impl OrganisationIdentifier {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Business ID inside.
    pub fn business_id(&self) -> BusinessId {
        BusinessId(self.0["NTRFI-".len()..].into())
    }
}

impl From<&BusinessId> for OrganisationIdentifier {
    fn from(id: &BusinessId) -> Self {
        OrganisationIdentifier(format!("NTRFI-{id}").into())
    }
}

impl FromStr for OrganisationIdentifier {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let id = text.strip_prefix("NTRFI-").ok_or_else(|| {
            NameError::new("an organization-id is written NTRFI- and the Business ID: NTRFI-0245437-2")
        })?;
        Ok(OrganisationIdentifier::from(&id.parse::<BusinessId>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_business_ids_are_accepted() {
        for id in
            ["0112038-9", "0245442-8", "0204819-8", "0245929-6", "0246246-0", "0828618-9", "1572860-0", "2606155-7"]
        {
            assert!(id.parse::<BusinessId>().is_ok(), "{id}");
        }
    }

    #[test]
    fn a_wrong_check_digit_or_form_is_refused() {
        for id in ["1069459-1", "0112038-8", "000000-0", "01120389", "0112038-9 ", "FI01120389", ""] {
            assert!(id.parse::<BusinessId>().is_err(), "{id}");
        }
    }

    #[test]
    fn an_oid_arc_regains_its_zero_and_hyphen() {
        assert_eq!(BusinessId::from_oid_arc("2048198").unwrap().as_str(), "0204819-8");
    }

    #[test]
    fn only_the_canonical_organization_id_is_accepted() {
        let id: OrganisationIdentifier = "NTRFI-0245437-2".parse().unwrap();
        assert_eq!(id.business_id().as_str(), "0245437-2");
        for bad in ["ntrfi-0245437-2", "VATFI-02454372", "NTRFI-02454372", "NTRSE-0245437-2"] {
            assert!(bad.parse::<OrganisationIdentifier>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        /// One wrong digit, or two neighbours in the wrong order, is noticed.
        #[test]
        fn a_typing_error_is_noticed(number in 0_u32..10_000_000, place in 0_usize..7, digit in 0_u8..10) {
            let id = (0..10).find_map(|check| format!("{number:07}-{check}").parse::<BusinessId>().ok());
            let Some(id) = id else { return Ok(()) };
            let mut wrong = id.as_str().as_bytes().to_vec();
            wrong[place] = b'0' + digit;
            let wrong = String::from_utf8(wrong).unwrap();
            proptest::prop_assert_eq!(wrong.parse::<BusinessId>().is_ok(), wrong == id.as_str());
            let arc = id.as_str().replace('-', "").trim_start_matches('0').to_owned();
            if arc.len() >= 6 {
                proptest::prop_assert_eq!(BusinessId::from_oid_arc(&arc), Ok(id));
            }
        }
    }
}
