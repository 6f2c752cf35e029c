//! Keys in PKCS #8 PEM files that their owner alone may read: EC P-256 and P-384, RSA of 3072 and 4096 bits.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::{Decode, SecretDocument, pem::LineEnding};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{Signer, SignerError};
use crate::public_key::{Curve, PublicKey};
use crate::x509::SigningAlgorithm;

/// A PKCS #8 file of an RSA key of 8192 bits has less than 7000 octets.
const LARGEST_FILE: u64 = 16 * 1024;

/// The PEM label (RFC 7468 §10).
const LABEL: &str = "PRIVATE KEY";

/// A kind of key that [`KeyFile::create`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NewKey {
    /// EC P-256.
    P256,
    /// EC P-384.
    P384,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
}

/// Why a key file cannot be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is no such file.
    #[error("{}: there is no such key file; `init` makes one, nothing else does", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// [`KeyFile::create`] never writes over anything.
    #[error("{}: this file exists already and is not overwritten; choose another name or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may read or write it.
    #[error(
        "{}: mode {mode:04o} lets others use the private key; run `chmod 0600` on it, and consider whether they already have",
        path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a regular file.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Not an unencrypted PKCS #8 PEM file, or one whose private and public parts do not fit.
    #[error("{}: the key file is damaged or no PKCS #8 PEM file: {why}; restore it from its backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A sound key of a kind that does not sign certificates here.
    #[error("{}: {found} does not sign here; keys are EC P-256, EC P-384, or RSA of 3072 or 4096 bits", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// An algorithm was asked for that the key does not fit.
    #[error("{}: a key of kind {found} cannot sign with {asked:?}", path.display())]
    WrongAlgorithm {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What was asked for.
        asked: SigningAlgorithm,
    },
    /// The file system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
    /// The key could not be made.
    #[error("no key could be generated: {0}")]
    Generation(String),
}

/// A private key from a file, held in memory. Its `Debug` shows the public part only.
pub struct KeyFile {
    key: Key,
    public_key: PublicKey,
    algorithm: SigningAlgorithm,
}

/// AWS-LC wipes its key structures when it frees them.
enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl KeyFile {
    /// Reads the key in `path`. It signs with its kind's usual algorithm: SHA-256 for P-256 and RSA, SHA-384 for P-384.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let pem = text_of(path)?;
        let damaged = |why: &str| KeyFileError::Damaged { path: path.to_owned(), why: why.to_owned() };
        if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(damaged("it is encrypted, and no passphrase is ever asked for"));
        }
        let (label, der) = SecretDocument::from_pem(&pem).map_err(|error| damaged(&error.to_string()))?;
        if label != LABEL {
            return Err(damaged(&format!("it begins with \"{label}\" instead of \"{LABEL}\"")));
        }
        PrivateKeyInfoRef::from_der(der.as_bytes()).map_err(|_| damaged("no PrivateKeyInfo"))?;
        Key::from_pkcs8(der.as_bytes()).map_err(|why| damaged(&why)).and_then(|key| KeyFile::checked(path, key))
    }

    /// The same key, signing with another algorithm that fits it.
    pub fn with_algorithm(self, path: &Path, algorithm: SigningAlgorithm) -> Result<Self, KeyFileError> {
        if algorithm.fits(&self.public_key) {
            Ok(KeyFile { algorithm, ..self })
        } else {
            let (path, found) = (path.to_owned(), self.public_key.to_string());
            Err(KeyFileError::WrongAlgorithm { path, found, asked: algorithm })
        }
    }

    /// Makes a key and writes it to `path` (mode 0600, synced, its directory too) where nothing was before.
    pub fn create(path: &Path, kind: NewKey) -> Result<Self, KeyFileError> {
        let key = Key::generate(kind)?;
        let pem = key.to_pem()?;
        write_new(path, pem.as_bytes())?;
        KeyFile::checked(path, key)
    }

    fn checked(path: &Path, key: Key) -> Result<Self, KeyFileError> {
        let public_key = key.public_key().map_err(|why| KeyFileError::Damaged { path: path.to_owned(), why })?;
        let size_is_sound = match &public_key {
            PublicKey::Rsa(rsa) => matches!(rsa.bits(), 3072 | 4096),
            PublicKey::Ec(_) => true,
            PublicKey::Ed25519(_) => false,
        };
        match SigningAlgorithm::for_key(&public_key) {
            Some(algorithm) if size_is_sound => Ok(KeyFile { key, public_key, algorithm }),
            _ => Err(KeyFileError::WrongKind { path: path.to_owned(), found: public_key.to_string() }),
        }
    }
}

impl Signer for KeyFile {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let random = SystemRandom::new();
        let broken = |_| SignerError::Broken("the computation of the signature failed".to_owned());
        match &self.key {
            Key::Ec(pair) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(broken),
            Key::Rsa(pair) => {
                let padding = rsa_padding(self.algorithm)
                    .ok_or_else(|| SignerError::Broken("an RSA key with an ECDSA algorithm".to_owned()))?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).map_err(broken)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({:?}, {:?})", self.public_key, self.algorithm)
    }
}

fn rsa_padding(algorithm: SigningAlgorithm) -> Option<&'static dyn RsaEncoding> {
    match algorithm {
        SigningAlgorithm::RsaSha256 => Some(&RSA_PKCS1_SHA256),
        SigningAlgorithm::RsaSha384 => Some(&RSA_PKCS1_SHA384),
        SigningAlgorithm::RsaSha512 => Some(&RSA_PKCS1_SHA512),
        SigningAlgorithm::EcdsaP256Sha256 | SigningAlgorithm::EcdsaP384Sha384 => None,
    }
}

const CURVES: [(Curve, &EcdsaSigningAlgorithm); 2] =
    [(Curve::P256, &ECDSA_P256_SHA256_ASN1_SIGNING), (Curve::P384, &ECDSA_P384_SHA384_ASN1_SIGNING)];

impl Key {
    fn generate(kind: NewKey) -> Result<Self, KeyFileError> {
        let made = match kind {
            NewKey::P256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Key::Ec),
            NewKey::P384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Key::Ec),
            NewKey::Rsa3072 => RsaKeyPair::generate(KeySize::Rsa3072).map(Key::Rsa),
            NewKey::Rsa4096 => RsaKeyPair::generate(KeySize::Rsa4096).map(Key::Rsa),
        };
        made.map_err(|_| KeyFileError::Generation("AWS-LC refused".to_owned()))
    }

    /// The key of whatever kind in a PKCS #8 structure. AWS-LC checks that the private and the public part fit.
    fn from_pkcs8(der: &[u8]) -> Result<Self, String> {
        let mut reason = None;
        for (_, algorithm) in CURVES {
            match EcdsaKeyPair::from_pkcs8(algorithm, der) {
                Ok(pair) => return Ok(Key::Ec(pair)),
                Err(rejected) => reason = Some(rejected),
            }
        }
        RsaKeyPair::from_pkcs8(der).map(Key::Rsa).map_err(|rejected| {
            let reason = reason.map_or_else(String::new, |other| format!(", as an EC key: {other}"));
            format!("as an RSA key: {rejected}{reason}")
        })
    }

    fn public_key(&self) -> Result<PublicKey, String> {
        let der: Result<PublicKeyX509Der<'_>, _> = match self {
            Key::Ec(pair) => pair.public_key().as_der(),
            Key::Rsa(pair) => pair.public_key().as_der(),
        };
        let der = der.map_err(|_| "its public part does not encode".to_owned())?;
        PublicKey::from_spki_der(der.as_ref()).map_err(|error| error.to_string())
    }

    fn to_pem(&self) -> Result<Zeroizing<String>, KeyFileError> {
        let failed = || KeyFileError::Generation("the key does not encode".to_owned());
        let document = match self {
            Key::Ec(pair) => SecretDocument::try_from(pair.to_pkcs8v1().map_err(|_| failed())?.as_ref()),
            Key::Rsa(pair) => SecretDocument::try_from(pair.as_der().map_err(|_| failed())?.as_ref()),
        };
        let document = document.map_err(|_| failed())?;
        document.to_pem(LABEL, LineEnding::LF).map_err(|_| failed())
    }
}

/// The text of a file that nobody but its owner may use. The file that is checked is the one that is read.
fn text_of(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
        _ => KeyFileError::Io { path: path.to_owned(), error },
    };
    // Without NONBLOCK, opening a pipe would wait for whoever writes into it.
    let no_wait = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions { path: path.to_owned(), mode });
    }
    let damaged = |why: &str| KeyFileError::Damaged { path: path.to_owned(), why: why.to_owned() };
    if metadata.len() > LARGEST_FILE {
        return Err(damaged("it has more than 16 KiB"));
    }
    // Room for all of it at once: a buffer that grows leaves copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(LARGEST_FILE as usize + 1));
    match file.take(LARGEST_FILE).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged("it is no text")),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that did not exist. After a crash there is either no file, or one that fails to read as a key and whose
/// certificate was never made.
fn write_new(path: &Path, content: &[u8]) -> Result<(), KeyFileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => KeyFileError::Io { path: path.to_owned(), error },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| sync_directory(path));
    written.map_err(|error| {
        // Half a key would stand in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        failed(error)
    })
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
