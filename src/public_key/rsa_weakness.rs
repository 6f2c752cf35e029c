//! RSA moduli that can be factored: small factors, primes too close together, and the primes of a faulty chip library.

use num_bigint::BigUint;

use super::KeyError;

/// Rounds of Fermat's method (Baseline Requirements §6.1.1.3 asks for 100).
const FERMAT_ROUNDS: u32 = 100;

/// Baseline Requirements §6.1.6: "no factors smaller than 752".
const SMALL_FACTOR_LIMIT: u32 = 752;

/// The faulty library's primes are congruent to a power of this modulo every small prime.
const ROCA_GENERATOR: u32 = 65_537;

/// The largest small prime that the library used for its shortest keys; longer keys used more.
const ROCA_PRIME_LIMIT: u32 = 167;

pub(super) fn checked(modulus: &[u8]) -> Result<(), KeyError> {
    let modulus = BigUint::from_bytes_be(modulus);
    if primes_below(SMALL_FACTOR_LIMIT).any(|prime| remainder(&modulus, prime) == 0) {
        return Err(KeyError::new("the RSA modulus has a small factor"));
    }
    if has_roca_fingerprint(&modulus) {
        return Err(KeyError::new("the RSA key comes from a faulty generator (ROCA, CVE-2017-15361): make a new key"));
    }
    if has_close_primes(&modulus) {
        return Err(KeyError::new("the RSA modulus is the product of two close primes: make a new key"));
    }
    Ok(())
}

/// Fermat's method: with `modulus = a² - b²`, close primes have an `a` just above the square root.
fn has_close_primes(modulus: &BigUint) -> bool {
    let mut a = modulus.sqrt();
    if &a * &a < *modulus {
        a += 1u32;
    }
    let mut rest = &a * &a - modulus;
    for _ in 0..FERMAT_ROUNDS {
        if is_square(&rest) {
            return true;
        }
        rest += &a * 2u32 + 1u32;
        a += 1u32;
    }
    false
}

fn is_square(number: &BigUint) -> bool {
    // A square is 0, 1, 4 or 9 modulo 16: three of four numbers need no root.
    if !matches!(remainder(number, 16), 0 | 1 | 4 | 9) {
        return false;
    }
    let root = number.sqrt();
    &root * &root == *number
}

/// Nemec et al., "The Return of Coppersmith's Attack" (2017): every residue of such a modulus is a power of 65537. A sound
/// modulus looks so once in some 2^27.
fn has_roca_fingerprint(modulus: &BigUint) -> bool {
    primes_below(ROCA_PRIME_LIMIT + 1)
        .filter(|prime| *prime > 2)
        .all(|prime| is_power_of_generator(remainder(modulus, prime), prime))
}

fn is_power_of_generator(residue: u32, prime: u32) -> bool {
    let generator = ROCA_GENERATOR % prime;
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * generator % prime;
        if power == 1 {
            return false;
        }
    }
}

fn remainder(number: &BigUint, divisor: u32) -> u32 {
    // The remainder is below a 32-bit divisor, so it has one digit at most.
    (number % divisor).iter_u32_digits().next().unwrap_or(0)
}

fn primes_below(limit: u32) -> impl Iterator<Item = u32> {
    (2..limit).filter(|n| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product_of_small_primes() -> BigUint {
        primes_below(ROCA_PRIME_LIMIT + 1).map(BigUint::from).product()
    }

    #[test]
    fn a_modulus_with_a_small_factor_is_refused() {
        let modulus = (BigUint::from(1u32) << 2040u32) + 1u32;
        let factor = BigUint::from(751u32);
        assert!(checked(&(modulus * factor).to_bytes_be()).unwrap_err().to_string().contains("small factor"));
    }

    #[test]
    fn close_primes_are_found_also_in_the_last_round() {
        let middle = (BigUint::from(0xfeed_beef_u32) << 992u32) + 12_345u32;
        for distance in [0u32, 2, 1 << 20] {
            assert!(has_close_primes(&((&middle + distance) * (&middle - distance))), "{distance}");
        }
        // The distance at which `a` lies a hundred above the root, and the next one that is too far.
        let reach = (&middle * 2u32 * 99u32).sqrt();
        assert!(has_close_primes(&((&middle + &reach) * (&middle - &reach))));
        let beyond = reach * 2u32;
        assert!(!has_close_primes(&((&middle + &beyond) * (&middle - &beyond))));
    }

    #[test]
    fn factors_of_the_faulty_generators_form_show_in_the_modulus() {
        let m = product_of_small_primes();
        let generator = BigUint::from(ROCA_GENERATOR);
        let factor = |k: u32, a: u32| &m * k + generator.modpow(&BigUint::from(a), &m);
        let modulus = factor(0x1234_5678, 1_000_003) * factor(0x8765_4321, 777_777);
        assert!(has_roca_fingerprint(&modulus));
        assert!(!has_roca_fingerprint(&(modulus + 2u32)));
    }

    #[test]
    fn the_primes_are_the_primes() {
        assert_eq!(primes_below(30).collect::<Vec<_>>(), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert_eq!(primes_below(SMALL_FACTOR_LIMIT).count(), 133);
    }
}
