//! The signature algorithms of requests (RFC 8555 §6.2) and the key that each one needs.

use super::problem::Problem;
use crate::public_key::{Curve, Hash, PublicKey, SignatureAlgorithm};

/// A JWS algorithm that an account key may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JwsAlgorithm {
    /// ECDSA over P-256 with SHA-256. RFC 8555 §6.2: every server implements it.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256: the default of certbot, uacme and mod_md.
    Rs256,
    /// Ed25519 (RFC 8037).
    EdDsa,
}

impl JwsAlgorithm {
    /// Every algorithm, in the order in which an error offers them.
    pub const ALL: &[JwsAlgorithm] =
        &[JwsAlgorithm::Es256, JwsAlgorithm::Es384, JwsAlgorithm::EdDsa, JwsAlgorithm::Rs256];

    /// The registered name (RFC 7518 §3.1, RFC 8037 §5).
    pub const fn name(self) -> &'static str {
        match self {
            JwsAlgorithm::Es256 => "ES256",
            JwsAlgorithm::Es384 => "ES384",
            JwsAlgorithm::Rs256 => "RS256",
            JwsAlgorithm::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this registered name; `Ed25519` (RFC 9864) is the same as `EdDSA` here.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(JwsAlgorithm::EdDsa),
            _ => JwsAlgorithm::ALL.iter().copied().find(|algorithm| algorithm.name() == name),
        }
    }

    /// The one algorithm that fits `key`; none for a kind of key that no account has.
    // RFC 8725 §3.1: the key decides the algorithm, never the message alone.
    pub fn for_key(key: &PublicKey) -> Option<Self> {
        match key {
            PublicKey::Ec(key) => match key.curve() {
                Curve::P256 => Some(JwsAlgorithm::Es256),
                Curve::P384 => Some(JwsAlgorithm::Es384),
                Curve::P521 => None,
            },
            PublicKey::Rsa(_) => Some(JwsAlgorithm::Rs256),
            PublicKey::Ed25519(_) => Some(JwsAlgorithm::EdDsa),
        }
    }

    /// The computation behind the name.
    pub const fn signature_algorithm(self) -> SignatureAlgorithm {
        match self {
            JwsAlgorithm::Es256 => SignatureAlgorithm::EcdsaFixed(Hash::Sha256),
            JwsAlgorithm::Es384 => SignatureAlgorithm::EcdsaFixed(Hash::Sha384),
            JwsAlgorithm::Rs256 => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            JwsAlgorithm::EdDsa => SignatureAlgorithm::Ed25519,
        }
    }

    /// The same algorithm as josekit names it.
    pub fn josekit(self) -> &'static dyn josekit::jws::JwsAlgorithm {
        match self {
            JwsAlgorithm::Es256 => &josekit::jws::ES256,
            JwsAlgorithm::Es384 => &josekit::jws::ES384,
            JwsAlgorithm::Rs256 => &josekit::jws::RS256,
            JwsAlgorithm::EdDsa => &josekit::jws::EdDSA,
        }
    }

    /// The answer to a request that was signed by another algorithm.
    // RFC 8555 §6.2: the problem document MUST include "algorithms".
    pub fn unsupported(detail: impl Into<String>) -> Problem {
        let mut problem = Problem::bad_signature_algorithm(detail);
        problem.algorithms = JwsAlgorithm::ALL.iter().map(|algorithm| algorithm.name().to_owned()).collect();
        problem
    }
}

impl std::fmt::Display for JwsAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_josekit_agrees() {
        for algorithm in JwsAlgorithm::ALL {
            assert_eq!(JwsAlgorithm::from_name(algorithm.name()), Some(*algorithm));
            assert_eq!(algorithm.josekit().name(), algorithm.name());
        }
        for other in ["none", "HS256", "ES512", "RS1", "ES256K", "es256", ""] {
            assert_eq!(JwsAlgorithm::from_name(other), None, "{other}");
        }
    }

    #[test]
    fn the_refusal_of_an_algorithm_lists_the_supported_ones() {
        assert_eq!(JwsAlgorithm::unsupported("no").algorithms, ["ES256", "ES384", "EdDSA", "RS256"]);
    }
}
