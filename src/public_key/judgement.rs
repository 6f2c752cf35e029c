//! Which keys are strong enough for which use (CA/Browser Forum Baseline Requirements §6.1.1.3 and §6.1.6).

use serde::{Deserialize, Serialize};

use super::{Curve, KeyError, PublicKey, RsaKey, rsa_weakness};

/// A kind of key that a policy may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyFamily {
    /// EC P-256.
    #[serde(rename = "P-256")]
    P256,
    /// EC P-384.
    #[serde(rename = "P-384")]
    P384,
    /// RSA of 2048 to 4096 bits.
    #[serde(rename = "RSA")]
    Rsa,
    /// Ed25519.
    Ed25519,
}

/// The kinds of key that a use allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPolicy {
    families: Vec<KeyFamily>,
    smallest_modulus: usize,
}

/// RFC 7518 §3.3 and Baseline Requirements §6.1.5: 2048 bits at least. The upper bound keeps a check cheap.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

impl KeyPolicy {
    /// What an account key may be: P-256, P-384, RSA of 2048 to 4096 bits, Ed25519.
    pub fn account() -> Self {
        KeyPolicy::allowing([KeyFamily::P256, KeyFamily::P384, KeyFamily::Rsa, KeyFamily::Ed25519])
    }

    /// A policy that allows these kinds, RSA from 2048 bits.
    pub fn allowing(families: impl IntoIterator<Item = KeyFamily>) -> Self {
        KeyPolicy { families: families.into_iter().collect(), smallest_modulus: *MODULUS_BITS.start() }
    }

    /// The same policy with another least size of an RSA modulus, in bits; sizes below 2048 change nothing.
    pub fn with_smallest_modulus(mut self, bits: usize) -> Self {
        self.smallest_modulus = bits.max(*MODULUS_BITS.start());
        self
    }

    fn refusal(&self, key: &PublicKey) -> KeyError {
        let allowed: Vec<String> = self.families.iter().map(|family| self.described(*family)).collect();
        KeyError::new(format!("{key} is not allowed here; allowed are: {}", allowed.join(", ")))
    }

    fn described(&self, family: KeyFamily) -> String {
        match family {
            KeyFamily::P256 => "P-256".to_owned(),
            KeyFamily::P384 => "P-384".to_owned(),
            KeyFamily::Rsa => format!("RSA with {} to {} bits", self.smallest_modulus, MODULUS_BITS.end()),
            KeyFamily::Ed25519 => "Ed25519".to_owned(),
        }
    }
}

pub(super) fn judge(key: &PublicKey, policy: &KeyPolicy) -> Result<(), KeyError> {
    let family = match key {
        PublicKey::Ec(key) => match key.curve() {
            Curve::P256 => Some(KeyFamily::P256),
            Curve::P384 => Some(KeyFamily::P384),
            Curve::P521 => None,
        },
        PublicKey::Rsa(_) => Some(KeyFamily::Rsa),
        PublicKey::Ed25519(_) => Some(KeyFamily::Ed25519),
    };
    if !family.is_some_and(|family| policy.families.contains(&family)) {
        return Err(policy.refusal(key));
    }
    match key {
        PublicKey::Rsa(rsa) => judge_rsa(rsa, policy),
        PublicKey::Ec(_) | PublicKey::Ed25519(_) => Ok(()),
    }
}

fn judge_rsa(key: &RsaKey, policy: &KeyPolicy) -> Result<(), KeyError> {
    let bits = key.bits();
    if bits < policy.smallest_modulus || bits > *MODULUS_BITS.end() {
        return Err(policy.refusal(&PublicKey::Rsa(key.clone())));
    }
    if !bits.is_multiple_of(8) {
        return Err(KeyError::new(format!("the RSA modulus has {bits} bits, which is not a whole number of octets")));
    }
    exponent(key.exponent())?;
    rsa_weakness::checked(key.modulus())
}

// Baseline Requirements §6.1.6: an odd exponent, 2^16 + 1 at least. Their upper bound is 2^256 - 1; AWS-LC computes with 33
// bits at most, so a larger one could never be verified and is refused by its name here.
fn exponent(exponent: &[u8]) -> Result<(), KeyError> {
    let value = exponent.iter().try_fold(0u64, |value, octet| {
        (value < 1 << 32).then_some((value << 8) | u64::from(*octet)).filter(|value| *value < 1 << 33)
    });
    match value {
        Some(value) if value >= 65_537 && value % 2 == 1 => Ok(()),
        Some(_) | None => Err(KeyError::new(
            "the RSA exponent must be odd, at least 65537 and below 2^33; nearly every key has 65537",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use josekit::jwk::KeyPair;
    use josekit::jwk::alg::{ec::EcCurve, ec::EcKeyPair, rsa::RsaKeyPair};

    fn ec(curve: EcCurve) -> PublicKey {
        PublicKey::from_spki_der(&EcKeyPair::generate(curve).unwrap().to_der_public_key()).unwrap()
    }

    fn rsa(bits: u32) -> PublicKey {
        PublicKey::from_spki_der(&RsaKeyPair::generate(bits).unwrap().to_der_public_key()).unwrap()
    }

    #[test]
    fn a_policy_allows_what_it_names_and_says_so_when_it_refuses() {
        let policy = KeyPolicy::allowing([KeyFamily::P256, KeyFamily::Rsa]);
        assert!(ec(EcCurve::P256).judge(&policy).is_ok());
        let refusal = ec(EcCurve::P384).judge(&policy).unwrap_err().to_string();
        assert_eq!(refusal, "P-384 is not allowed here; allowed are: P-256, RSA with 2048 to 4096 bits");
        assert!(ec(EcCurve::P521).judge(&KeyPolicy::account()).is_err());
    }

    #[test]
    fn rsa_keys_of_the_usual_sizes_are_sound() {
        assert_eq!(rsa(2048).judge(&KeyPolicy::account()), Ok(()));
        assert_eq!(rsa(3072).judge(&KeyPolicy::account()), Ok(()));
    }

    #[test]
    fn rsa_keys_of_other_sizes_are_refused() {
        assert!(rsa(1024).judge(&KeyPolicy::account()).is_err());
        assert!(rsa(2052).judge(&KeyPolicy::account()).unwrap_err().to_string().contains("2052"));
        assert!(rsa(2048).judge(&KeyPolicy::account().with_smallest_modulus(3072)).is_err());
        let large = PublicKey::rsa(&[0xff; 513], &[1, 0, 1]).unwrap();
        assert!(large.judge(&KeyPolicy::account()).is_err());
    }

    #[test]
    fn an_exponent_is_odd_and_neither_small_nor_huge() {
        for good in [&[1u8, 0, 1][..], &[1, 0, 3], &[0xff, 0xff, 0xff, 0xff], &[1, 0xff, 0xff, 0xff, 0xff]] {
            assert!(exponent(good).is_ok(), "{good:?}");
        }
        for bad in [&[1u8][..], &[3], &[0xff, 0xff], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1; 33]] {
            assert!(exponent(bad).is_err(), "{bad:?}");
        }
    }
}
