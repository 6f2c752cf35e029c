//! DER at the level of single elements: cutting an encoding into the exact octets of its parts (what was signed is what was
//! received, never a second encoding of it), joining octets to an element, and telling whether an encoding is canonical.
//! Knows nothing of X.509.

/// Deeper nesting than any certificate, request or list has.
const DEEPEST: usize = 32;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

const NULL: u8 = 0x05;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const IA5_STRING: u8 = 0x16;
const CONSTRUCTED: u8 = 0x20;
const CLASS: u8 = 0xc0;

/// The tag `[number]` of a constructed element.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// The tag `[number]` of a primitive element.
pub(crate) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// Why octets are not DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not DER: {0}")]
pub struct DerError(pub(crate) &'static str);

/// One element and the octets that it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// The identifier octet: class, form and number.
    pub tag: u8,
    /// The content octets.
    pub content: &'a [u8],
    /// Identifier, length and content octets.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element of `input` and what follows it.
    pub fn first(input: &'a [u8]) -> Result<(Self, &'a [u8]), DerError> {
        let (&tag, rest) = input.split_first().ok_or(DerError("an element is missing"))?;
        if tag & 0x1f == 0x1f {
            return Err(DerError("a tag number above 30"));
        }
        let (length, rest) = length(rest)?;
        let content = rest.get(..length).ok_or(DerError("an element is cut off"))?;
        let after = &rest[length..];
        Ok((Element { tag, content, whole: &input[..input.len() - after.len()] }, after))
    }

    /// The one element that `input` consists of.
    pub fn only(input: &'a [u8]) -> Result<Self, DerError> {
        match Element::first(input)? {
            (element, []) => Ok(element),
            _ => Err(DerError("octets follow the end")),
        }
    }

    /// The elements inside this one.
    pub fn children(&self) -> Result<Vec<Element<'a>>, DerError> {
        let mut rest = self.content;
        let mut children = Vec::new();
        while !rest.is_empty() {
            let (child, after) = Element::first(rest)?;
            children.push(child);
            rest = after;
        }
        Ok(children)
    }

    /// This element, when it has `tag`.
    pub fn tagged(self, tag: u8) -> Result<Self, DerError> {
        if self.tag == tag { Ok(self) } else { Err(DerError("an element of another type was expected")) }
    }

    /// The octets of a BIT STRING that ends at an octet.
    pub fn whole_bits(self) -> Result<&'a [u8], DerError> {
        match self.tagged(BIT_STRING)?.content.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(DerError("a bit string does not end at an octet")),
        }
    }
}

// X.690 §10.1: the definite form in the fewest octets.
fn length(input: &[u8]) -> Result<(usize, &[u8]), DerError> {
    let (&first, rest) = input.split_first().ok_or(DerError("a length is missing"))?;
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(DerError("a length of indefinite form or above four octets"));
    }
    let octets = rest.get(..count).ok_or(DerError("a length is cut off"))?;
    let value = octets.iter().fold(0usize, |value, octet| (value << 8) | usize::from(*octet));
    if octets[0] == 0 || value < 0x80 {
        return Err(DerError("a length in more octets than needed"));
    }
    Ok((value, &rest[count..]))
}

/// The element with this tag whose content is `parts` joined.
pub(crate) fn encoded(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut der = Vec::with_capacity(length + 6);
    push_header(&mut der, tag, length);
    parts.iter().for_each(|part| der.extend_from_slice(part));
    der
}

/// Writes the identifier and length octets of an element whose content has `length` octets.
pub(crate) fn push_header(der: &mut Vec<u8>, tag: u8, length: usize) {
    der.push(tag);
    if length < 0x80 {
        der.push(length as u8);
        return;
    }
    let octets = length.to_be_bytes();
    let significant = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
    der.push(0x80 | significant.len() as u8);
    der.extend_from_slice(significant);
}

/// Checks that `input` is one element in DER, all the way down: lengths, integers, booleans, bit strings, times and sets in
/// their one form. What only a schema can tell (a DEFAULT value that is written, the order of a set that is tagged anew) is
/// not seen here.
pub fn canonical(input: &[u8]) -> Result<(), DerError> {
    canonical_element(&Element::only(input)?, DEEPEST)
}

fn canonical_element(element: &Element<'_>, depth: usize) -> Result<(), DerError> {
    if element.tag & CONSTRUCTED == 0 {
        return if element.tag & CLASS == 0 { canonical_primitive(element) } else { Ok(()) };
    }
    if element.tag & CLASS == 0 && element.tag != SEQUENCE && element.tag != SET {
        return Err(DerError("a string in several pieces"));
    }
    let depth = depth.checked_sub(1).ok_or(DerError("nested too deeply"))?;
    let children = element.children()?;
    // X.690 §11.6: the elements of a SET OF ascend.
    if element.tag == SET && !children.is_sorted_by(|a, b| a.whole <= b.whole) {
        return Err(DerError("a set that is not in order"));
    }
    children.iter().try_for_each(|child| canonical_element(child, depth))
}

fn canonical_primitive(element: &Element<'_>) -> Result<(), DerError> {
    let content = element.content;
    let sound = match element.tag {
        BOOLEAN => matches!(content, [0x00 | 0xff]),
        INTEGER | ENUMERATED => match content {
            [] => false,
            [0x00, second, ..] => second & 0x80 != 0,
            [0xff, second, ..] => second & 0x80 == 0,
            [_, ..] => true,
        },
        BIT_STRING => canonical_bits(content),
        NULL => content.is_empty(),
        OBJECT_IDENTIFIER => canonical_oid(content),
        UTF8_STRING => std::str::from_utf8(content).is_ok(),
        IA5_STRING => content.is_ascii(),
        UTC_TIME => digits_and_z(content, 12),
        GENERALIZED_TIME => digits_and_z(content, 14),
        SEQUENCE | SET => true,
        0x10 | 0x11 => false,
        _ => true,
    };
    if sound { Ok(()) } else { Err(DerError("a value that is not in its one form")) }
}

// X.690 §11.2: unused bits are zero.
fn canonical_bits(content: &[u8]) -> bool {
    match content {
        [] => false,
        [unused] => *unused == 0,
        [unused, .., last] => *unused < 8 && last.trailing_zeros() >= u32::from(*unused),
    }
}

fn canonical_oid(content: &[u8]) -> bool {
    let starts = |index: usize| index == 0 || content[index - 1] & 0x80 == 0;
    let padded = content.iter().enumerate().any(|(index, octet)| *octet == 0x80 && starts(index));
    content.last().is_some_and(|last| last & 0x80 == 0) && !padded
}

// RFC 5280 §4.1.2.5: seconds, no fraction, Z.
fn digits_and_z(content: &[u8], digits: usize) -> bool {
    content.len() == digits + 1 && content[..digits].iter().all(u8::is_ascii_digit) && content[digits] == b'Z'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_element_is_cut_into_its_exact_octets() {
        let der = [0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x01, 0xaa];
        let children = Element::only(&der).unwrap().children().unwrap();
        assert_eq!(children[0].whole, [0x02, 0x01, 0x05]);
        assert_eq!(children[1].content, [0xaa]);
        assert_eq!(encoded(SEQUENCE, &[children[0].whole, children[1].whole]), der);
    }

    #[test]
    fn lengths_are_written_in_the_fewest_octets_and_read_in_no_other_form() {
        for size in [0usize, 127, 128, 255, 256, 65535, 65536] {
            let der = encoded(OCTET_STRING, &[&vec![7; size]]);
            assert_eq!(Element::only(&der).unwrap().content.len(), size);
        }
        for bad in
            [&[0x04, 0x81, 0x01, 0xaa][..], &[0x04, 0x80, 0, 0], &[0x04, 0x82, 0, 0x80], &[0x04, 2, 0], &[0x04], &[]]
        {
            assert!(Element::only(bad).is_err(), "{bad:?}");
        }
        assert!(Element::only(&[0x05, 0x00, 0x00]).is_err(), "an octet follows");
    }

    #[test]
    fn every_value_has_one_canonical_form() {
        let good: [&[u8]; 8] = [
            &[0x01, 0x01, 0xff],
            &[0x02, 0x02, 0x00, 0x80],
            &[0x02, 0x01, 0x00],
            &[0x03, 0x02, 0x07, 0x80],
            &[0x05, 0x00],
            &[0x06, 0x03, 0x55, 0x04, 0x03],
            &[0x31, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02],
            &[0x17, 13, b'2', b'6', b'0', b'1', b'0', b'1', b'0', b'0', b'0', b'0', b'0', b'0', b'Z'],
        ];
        let bad: [&[u8]; 11] = [
            &[0x01, 0x01, 0x01],
            &[0x02, 0x02, 0x00, 0x01],
            &[0x02, 0x00],
            &[0x03, 0x02, 0x07, 0x81],
            &[0x03, 0x01, 0x01],
            &[0x05, 0x01, 0x00],
            &[0x06, 0x03, 0x55, 0x80, 0x03],
            &[0x31, 0x06, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01],
            &[0x24, 0x03, 0x04, 0x01, 0x00],
            &[0x10, 0x00],
            &[0x17, 11, b'2', b'6', b'0', b'1', b'0', b'1', b'0', b'0', b'0', b'0', b'Z'],
        ];
        good.iter().for_each(|der| assert!(canonical(der).is_ok(), "{der:?}"));
        bad.iter().for_each(|der| assert!(canonical(der).is_err(), "{der:?}"));
    }

    #[test]
    fn deep_nesting_ends_in_an_error() {
        let der = (0..5000).fold(vec![0x05, 0x00], |inner, _| encoded(SEQUENCE, &[&inner]));
        assert!(canonical(&der).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = canonical(&octets);
        }
    }
}
