//! Certificate serial numbers.

use std::str::FromStr;

use super::{NameError, id::ascending_octets};
use crate::time::Timestamp;

/// A positive serial number of at most 20 octets (RFC 5280 §4.1.2.2), held without leading zeros and compared as a number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SerialNumber(Vec<u8>);

/// The longest text that is worth being read as a decimal number: leading zeros included.
const LONGEST_DECIMAL: usize = 64;

impl SerialNumber {
    /// A new serial: 16 octets, 48 bits of milliseconds and then 80 random bits, so that keys ascend and nobody can
    /// predict one. The top bit stays clear until the year 6429.
    pub fn mint(now: Timestamp) -> Self {
        Self::from_bytes(&ascending_octets(now)).expect("16 octets that begin with the time are a serial number")
    }

    /// The serial with these unsigned octets; leading zeros are dropped.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, NameError> {
        let first = octets.iter().position(|b| *b != 0).ok_or_else(|| NameError::new("a serial number is positive"))?;
        let octets = &octets[first..];
        if octets.len() > 20 || (octets.len() == 20 && octets[0] & 0x80 != 0) {
            return Err(NameError::new("a serial number has at most 20 octets (RFC 5280 §4.1.2.2)"));
        }
        Ok(SerialNumber(octets.to_vec()))
    }

    /// The ways in which a person's text can be read as a serial number: hexadecimal, with or without `0x`, separators and
    /// leading zeros; and decimal, where it has digits only.
    ///
    /// # Errors
    /// If it can be read in neither way.
    pub fn readings(text: &str) -> Result<Vec<Self>, NameError> {
        let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let mut readings: Vec<Self> = hexadecimal.unwrap_or(text).parse().into_iter().collect();
        if hexadecimal.is_none() {
            readings.extend(Self::from_decimal(text).filter(|decimal| !readings.contains(decimal)));
        }
        if readings.is_empty() {
            let why = "a serial number is written in hexadecimal (0198A3F0…) or in decimal, and has at most 20 octets";
            return Err(NameError::new(why));
        }
        Ok(readings)
    }

    /// The serial with these decimal digits.
    fn from_decimal(text: &str) -> Option<Self> {
        if !(1..=LONGEST_DECIMAL).contains(&text.len()) {
            return None;
        }
        let mut octets = [0u8; 24];
        for digit in text.bytes() {
            let mut carry = u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
            for octet in octets.iter_mut().rev() {
                let value = u16::from(*octet) * 10 + carry;
                *octet = value as u8;
                carry = value >> 8;
            }
            if carry != 0 {
                return None;
            }
        }
        Self::from_bytes(&octets).ok()
    }

    /// The unsigned octets without leading zeros.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The content octets of the DER INTEGER: a leading zero octet where the top bit is set (RFC 9773 §4.1 uses these).
    pub fn der_content(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.0.len() + 1);
        if self.0[0] & 0x80 != 0 {
            content.push(0);
        }
        content.extend_from_slice(&self.0);
        content
    }

    /// A key of fixed length for the store: 20 octets, big-endian, so that byte order is numeric order.
    pub fn store_key(&self) -> [u8; 20] {
        let mut key = [0u8; 20];
        key[20 - self.0.len()..].copy_from_slice(&self.0);
        key
    }
}

impl PartialOrd for SerialNumber {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SerialNumber {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.store_key().cmp(&other.store_key())
    }
}

/// Upper-case hexadecimal, as certificate viewers show it.
impl std::fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02X}"))
    }
}

impl std::fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

impl FromStr for SerialNumber {
    type Err = NameError;

    /// Hexadecimal, with or without separators (`:`, space) and leading zeros.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b':' | b' ')).collect();
        let wrong = || NameError::new("a serial number is written in hexadecimal: 0198A3F0…");
        if digits.is_empty() || digits.len() > 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong());
        }
        let padded: Vec<u8> = (digits.len() % 2 == 1).then_some(b'0').into_iter().chain(digits).collect();
        let octets: Option<Vec<u8>> = padded
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|t| u8::from_str_radix(t, 16).ok()))
            .collect();
        Self::from_bytes(&octets.ok_or_else(wrong)?)
    }
}

impl serde::Serialize for SerialNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SerialNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_leading_zeros_do_not_matter() {
        let serial: SerialNumber = "00:0A 1b".parse().unwrap();
        assert_eq!(serial.to_string(), "0A1B");
        assert_eq!(serial, "A1B".parse().unwrap());
    }

    #[test]
    fn a_serial_number_is_read_in_hexadecimal_and_in_decimal() {
        let readings = |text: &str| {
            SerialNumber::readings(text).map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(readings("00:0a 1B"), Ok(vec!["0A1B".to_owned()]));
        assert_eq!(readings("0x10"), Ok(vec!["10".to_owned()]));
        assert_eq!(readings("0256"), Ok(vec!["0256".to_owned(), "0100".to_owned()]));
        assert_eq!(readings("7"), Ok(vec!["07".to_owned()]), "both readings are the same");
        let greatest = "730750818665451459101842416358141509827966271487";
        assert_eq!(readings(greatest).unwrap().last().unwrap(), &format!("7F{}", "FF".repeat(19)));
        for bad in ["", "0", "00", "-1", "1.5", "xyz", "0x", &"9".repeat(65)] {
            assert!(readings(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_serial_number_is_found_by_its_decimal_form(number in 1u128..) {
            let readings = SerialNumber::readings(&number.to_string()).unwrap();
            let expected = SerialNumber::from_bytes(&number.to_be_bytes()).unwrap();
            proptest::prop_assert!(readings.contains(&expected));
        }
    }

    #[test]
    fn a_high_top_bit_gets_a_sign_octet_in_der() {
        assert_eq!("87654321".parse::<SerialNumber>().unwrap().der_content(), [0, 0x87, 0x65, 0x43, 0x21]);
    }

    #[test]
    fn zero_and_more_than_twenty_octets_are_refused() {
        assert!("00".parse::<SerialNumber>().is_err());
        assert!("01".repeat(21).parse::<SerialNumber>().is_err());
        assert!(format!("8{}", "0".repeat(39)).parse::<SerialNumber>().is_err());
    }
}
