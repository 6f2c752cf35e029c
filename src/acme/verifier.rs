//! AWS-LC behind josekit's verifier trait: faster than OpenSSL, which is the second opinion in the tests below.

use josekit::JoseError;
use josekit::jws::JwsVerifier;

use super::jwk::Jwk;

/// Verifies by the one algorithm of a key.
#[derive(Debug, Clone)]
pub(super) struct Verifier(Jwk);

impl Verifier {
    pub(super) fn new(jwk: Jwk) -> Self {
        Verifier(jwk)
    }
}

impl JwsVerifier for Verifier {
    fn algorithm(&self) -> &dyn josekit::jws::JwsAlgorithm {
        self.0.algorithm().josekit()
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        self.0
            .public_key()
            .verify(self.0.algorithm().signature_algorithm(), message, signature)
            .map_err(|error| JoseError::InvalidSignature(error.into()))
    }

    fn box_clone(&self) -> Box<dyn JwsVerifier> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::jws_algorithm::JwsAlgorithm;
    use crate::acme::jws_signing::AccountKey;
    use num_bigint::BigUint;

    const MESSAGE: &[u8] = b"eyJhbGciOiJFUzI1NiJ9.e30";

    /// Our verifier and josekit's own for one key.
    struct Pair {
        key: AccountKey,
        ours: Box<dyn JwsVerifier>,
        theirs: Box<dyn JwsVerifier>,
    }

    impl Pair {
        fn new(algorithm: JwsAlgorithm) -> Self {
            let key = AccountKey::generate(algorithm).unwrap();
            let jwk = key.jwk().to_josekit();
            let theirs: Box<dyn JwsVerifier> = match algorithm {
                JwsAlgorithm::Es256 => Box::new(josekit::jws::ES256.verifier_from_jwk(&jwk).unwrap()),
                JwsAlgorithm::Es384 => Box::new(josekit::jws::ES384.verifier_from_jwk(&jwk).unwrap()),
                JwsAlgorithm::Rs256 => Box::new(josekit::jws::RS256.verifier_from_jwk(&jwk).unwrap()),
                JwsAlgorithm::EdDsa => Box::new(josekit::jws::EdDSA.verifier_from_jwk(&jwk).unwrap()),
            };
            Pair { ours: key.jwk().verifier(algorithm).unwrap(), theirs, key }
        }

        /// What both say.
        fn verdict(&self, message: &[u8], signature: &[u8]) -> bool {
            let ours = self.ours.verify(message, signature).is_ok();
            assert_eq!(ours, self.theirs.verify(message, signature).is_ok(), "{:?} {signature:02x?}", self.key);
            ours
        }
    }

    #[test]
    fn both_libraries_accept_what_was_signed_and_refuse_every_changed_bit() {
        for algorithm in JwsAlgorithm::ALL {
            let pair = Pair::new(*algorithm);
            let signature = pair.key.signature(MESSAGE).unwrap();
            assert!(pair.verdict(MESSAGE, &signature));
            for bit in 0..signature.len() * 8 {
                let mut changed = signature.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(!pair.verdict(MESSAGE, &changed));
            }
            for octet in 0..MESSAGE.len() {
                let mut changed = MESSAGE.to_vec();
                changed[octet] ^= 1;
                assert!(!pair.verdict(&changed, &signature));
            }
        }
    }

    #[test]
    fn both_libraries_refuse_signatures_of_other_lengths_and_of_extreme_values() {
        for algorithm in JwsAlgorithm::ALL {
            let pair = Pair::new(*algorithm);
            let signature = pair.key.signature(MESSAGE).unwrap();
            let length = signature.len();
            for wrong in [
                Vec::new(),
                signature[..length - 1].to_vec(),
                signature[..length / 2].to_vec(),
                [&signature[..], &[0]].concat(),
                [&[0], &signature[..]].concat(),
                signature.iter().rev().copied().collect(),
                vec![0; length],
                vec![0xff; length],
                vec![1; 4096],
            ] {
                assert!(!pair.verdict(MESSAGE, &wrong));
            }
        }
    }

    #[test]
    fn both_libraries_accept_the_twin_of_an_ecdsa_signature_so_nothing_may_rest_on_its_octets() {
        let order =
            BigUint::parse_bytes(b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16).unwrap();
        let pair = Pair::new(JwsAlgorithm::Es256);
        let signature = pair.key.signature(MESSAGE).unwrap();
        let twin = |r: &[u8], s: &BigUint| {
            let s = s.to_bytes_be();
            [r, &vec![0; 32 - s.len()], &s].concat()
        };
        let (r, s) = signature.split_at(32);
        let s = BigUint::from_bytes_be(s);
        assert!(pair.verdict(MESSAGE, &twin(r, &(&order - &s))));
        // The group's order itself is out of range, in either place.
        assert!(!pair.verdict(MESSAGE, &twin(r, &order)));
        assert!(!pair.verdict(MESSAGE, &twin(&order.to_bytes_be(), &s)));
    }

    #[test]
    fn both_libraries_refuse_the_signature_of_another_key_of_the_same_kind() {
        for algorithm in JwsAlgorithm::ALL {
            let (pair, other) = (Pair::new(*algorithm), AccountKey::generate(*algorithm).unwrap());
            assert!(!pair.verdict(MESSAGE, &other.signature(MESSAGE).unwrap()));
        }
    }
}
