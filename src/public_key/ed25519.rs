//! The points that are no Ed25519 key: encodings above the field, and points of small order, under which a signature
//! says nothing.

use super::KeyError;

/// The field's prime 2^255 - 19, little-endian.
const PRIME: [u8; 32] = {
    let mut octets = [0xff; 32];
    octets[0] = 0xed;
    octets[31] = 0x7f;
    octets
};

/// The y coordinates of the eight points of small order: 0 and the prime minus 1 and 1 (order 4, 2 and 1), and two of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = PRIME;
        minus_one[0] -= 1;
        minus_one
    },
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

pub(super) fn checked(point: &[u8; 32]) -> Result<(), KeyError> {
    let mut y = *point;
    y[31] &= 0x7f; // The top bit is the sign of x.
    // RFC 8032 §5.1.3: y is decoded as an integer below the prime.
    if y.iter().rev().ge(PRIME.iter().rev()) {
        return Err(KeyError::new("the Ed25519 key is not a canonical point"));
    }
    if SMALL_ORDER.contains(&y) {
        return Err(KeyError::new("the Ed25519 key is a point of small order"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;

    #[test]
    fn points_of_small_order_are_refused_with_either_sign() {
        for mut y in SMALL_ORDER {
            assert!(checked(&y).is_err());
            y[31] |= 0x80;
            assert!(checked(&y).is_err());
        }
    }

    #[test]
    fn an_encoding_at_or_above_the_prime_is_refused() {
        let mut above = PRIME;
        assert!(checked(&above).is_err());
        above[0] += 1;
        assert!(checked(&above).is_err());
        assert!(checked(&[0xff; 32]).is_err());
        above[0] = 0xea;
        assert!(checked(&above).is_ok(), "the prime minus 3");
    }

    /// Twice a point of order 8 has y = 0, so y² = -x² there, and the curve's equation becomes d·y⁴ + 2·y² = 1.
    #[test]
    fn the_two_constants_have_order_eight() {
        let p = BigUint::from_bytes_le(&PRIME);
        let inverse = BigUint::from(121_666u32).modpow(&(&p - 2u32), &p);
        let d = &p - (BigUint::from(121_665u32) * inverse) % &p;
        for y in &SMALL_ORDER[3..] {
            let square = BigUint::from_bytes_le(y).modpow(&BigUint::from(2u32), &p);
            assert_eq!((&d * &square * &square + &square * 2u32) % &p, BigUint::from(1u32));
        }
    }
}
