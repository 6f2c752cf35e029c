//! Private keys: octets in, a signature out. Only the issuer uses this module. A [`Signer`] blocks while it signs (a token may
//! take seconds), so nothing asynchronous calls one directly: that is what [`SigningPool`] is for. Start with [`Signer`].

mod key_file;
mod pool;

pub use key_file::{KeyFile, KeyFileError, NewKey};
pub use pool::{PoolLimits, SigningPool};

use crate::public_key::PublicKey;
use crate::x509::SigningAlgorithm;

/// A private key that signs, wherever it lives.
pub trait Signer: Send + Sync + 'static {
    /// The public key that verifies what this signer signs. It stays the same for the signer's whole life, also while the key
    /// itself cannot be reached.
    fn public_key(&self) -> &PublicKey;

    /// How it signs.
    fn algorithm(&self) -> SigningAlgorithm;

    /// The signature over `message`, which is hashed here: an ASN.1 `ECDSA-Sig-Value`, or the octets of an RSA signature of
    /// the modulus's length. Blocks; may be called from several threads at once.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// Why there is no signature. What was to be signed is unchanged either way: the same octets may be signed later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The key cannot be reached now: a token that is gone, a queue that is full, a time limit that ran out. Trying again
    /// later is right.
    #[error("the signing key is not available now: {0}")]
    Unavailable(String),
    /// The signer cannot work as it is: a wrong PIN, another key under the same name, a computation that failed. Trying again
    /// without someone looking at it does not help.
    #[error("the signer does not work: {0}")]
    Broken(String),
}
