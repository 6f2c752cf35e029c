//! The owner of a PKCS #11 module: opens it, finds a card's certificate and the private key that belongs to it, signs. One
//! module is loaded once in a process, and a card is used by one thread at a time. Nothing here knows what is signed, and no
//! PIN is kept longer than the card is. Start with [`Module::open`].

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as TokenError, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, CertificateType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

use crate::public_key::{Curve, PublicKey};
use crate::x509::{Certificate, KeyUsage};

/// A loaded module.
pub struct Module {
    path: PathBuf,
    context: Pkcs11,
}

/// Which certificate of which card; whatever is not said must be clear from what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The token's label.
    pub token: Option<String>,
    /// The certificate's label on the token.
    pub certificate: Option<String>,
}

/// A card with an open session.
pub struct Card {
    session: Session,
    key: ObjectHandle,
    mechanisms: Vec<MechanismType>,
    /// The PIN, for keys that want it before every signature.
    asks_each_time: Option<AuthPin>,
    certificate: Certificate,
    chain: Vec<Vec<u8>>,
}

/// Why a card cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The module.
    #[error("{}: this PKCS #11 module cannot be used: {why}", path.display())]
    Module {
        /// The module's file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No card, or not the one that is meant.
    #[error("{0}")]
    NotFound(String),
    /// The PIN.
    #[error("the card refuses the PIN: {0}")]
    Pin(&'static str),
    /// A key that nothing here signs with.
    #[error("the card's key is {0}; keys are EC P-256, EC P-384 or RSA")]
    Key(String),
    /// What the card said to a request.
    #[error("the card: {0}")]
    Card(String),
}

impl From<TokenError> for CardError {
    fn from(error: TokenError) -> Self {
        match &error {
            TokenError::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
                CardError::Pin("it is wrong; a card that refuses several in a row is locked")
            }
            TokenError::Pkcs11(RvError::PinLocked, _) => CardError::Pin("it is locked; unlock it with its PUK"),
            TokenError::Pkcs11(RvError::PinExpired, _) => CardError::Pin("it has expired; set a new one"),
            _ => CardError::Card(error.to_string()),
        }
    }
}

impl Module {
    /// Loads the module, such as `/usr/lib/softhsm/libsofthsm2.so`. A second time in one process fails.
    ///
    /// # Errors
    /// If the file is no PKCS #11 module or refuses to start.
    pub fn open(path: &Path) -> Result<Self, CardError> {
        let failed = |error: TokenError| CardError::Module { path: path.to_owned(), why: error.to_string() };
        let context = Pkcs11::new(path).map_err(failed)?;
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(failed)?;
        Ok(Module { path: path.to_owned(), context })
    }

    /// Opens the card that `choice` describes and finds the certificate to sign with: the only one with a private key, or of
    /// several the only one that is for signatures that bind (nonRepudiation).
    ///
    /// # Errors
    /// If there is no such card or certificate, or more than one; if the PIN is refused.
    pub fn card(&self, choice: &Choice, pin: &AuthPin) -> Result<Card, CardError> {
        let slot = self.slot(choice)?;
        let session = self.context.open_ro_session(slot)?;
        match session.login(UserType::User, Some(pin)) {
            // The login holds for all sessions of the process.
            Ok(()) | Err(TokenError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let found = certificates(&session)?;
        let (certificate, key) = chosen(&session, &found, choice)?;
        supported(certificate.public_key())?;
        let asks = session.get_attributes(key, &[AttributeType::AlwaysAuthenticate])?;
        let asks = asks.iter().any(|attribute| matches!(attribute, Attribute::AlwaysAuthenticate(true)));
        Ok(Card {
            chain: chain(&certificate, &found),
            mechanisms: self.context.get_mechanism_list(slot)?,
            asks_each_time: asks.then(|| pin.clone()),
            session,
            key,
            certificate,
        })
    }

    fn slot(&self, choice: &Choice) -> Result<Slot, CardError> {
        let mut found = Vec::new();
        for slot in self.context.get_slots_with_initialized_token()? {
            let label = self.context.get_token_info(slot)?.label().to_owned();
            if choice.token.as_ref().is_none_or(|wanted| *wanted == label) {
                found.push((slot, label));
            }
        }
        match &found[..] {
            [(slot, _)] => Ok(*slot),
            [] => Err(CardError::NotFound(match &choice.token {
                Some(wanted) => format!("{} shows no card \"{wanted}\"", self.path.display()),
                None => format!("{} shows no card; is it in the reader?", self.path.display()),
            })),
            several => {
                let labels: Vec<&str> = several.iter().map(|(_, label)| label.as_str()).collect();
                Err(CardError::NotFound(format!("there are several cards, name one of them: {}", labels.join(", "))))
            }
        }
    }
}

/// A certificate on a card.
struct Found {
    certificate: Certificate,
    label: String,
    id: Vec<u8>,
}

/// Every certificate on the card that can be read.
fn certificates(session: &Session) -> Result<Vec<Found>, CardError> {
    let template = [Attribute::Class(ObjectClass::CERTIFICATE), Attribute::CertificateType(CertificateType::X_509)];
    let mut found = Vec::new();
    for object in session.find_objects(&template)? {
        let wanted = [AttributeType::Value, AttributeType::Label, AttributeType::Id];
        let (mut value, mut label, mut id) = (Vec::new(), Vec::new(), Vec::new());
        for attribute in session.get_attributes(object, &wanted)? {
            match attribute {
                Attribute::Value(octets) => value = octets,
                Attribute::Label(octets) => label = octets,
                Attribute::Id(octets) => id = octets,
                _ => {}
            }
        }
        // A card also carries what nobody here reads; it is no reason not to use the rest.
        if let Ok(certificate) = Certificate::parse(&value) {
            found.push(Found { certificate, label: String::from_utf8_lossy(&label).trim().to_owned(), id });
        }
    }
    Ok(found)
}

fn chosen(session: &Session, found: &[Found], choice: &Choice) -> Result<(Certificate, ObjectHandle), CardError> {
    let mut usable = Vec::new();
    for certificate in found {
        let named = choice.certificate.as_ref().is_none_or(|wanted| *wanted == certificate.label);
        if named && !certificate.certificate.is_authority() {
            let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(certificate.id.clone())];
            if let Some(key) = session.find_objects(&template)?.into_iter().next() {
                usable.push((certificate, key));
            }
        }
    }
    if usable.len() > 1 {
        let binds =
            |found: &Found| found.certificate.key_usage().is_some_and(|usage| usage.contains(KeyUsage::NonRepudiation));
        let binding: Vec<_> = usable.iter().filter(|(found, _)| binds(found)).cloned().collect();
        if binding.len() == 1 {
            usable = binding;
        }
    }
    match &usable[..] {
        [(found, key)] => Ok((found.certificate.clone(), *key)),
        [] => {
            Err(CardError::NotFound("the card has no certificate with a private key, or not the one named".to_owned()))
        }
        several => {
            let labels: Vec<&str> = several.iter().map(|(found, _)| found.label.as_str()).collect();
            Err(CardError::NotFound(format!(
                "the card has several certificates, name one of them: {}",
                labels.join(", ")
            )))
        }
    }
}

/// The card's certificate and the authorities above it, as far as the card carries them.
fn chain(certificate: &Certificate, found: &[Found]) -> Vec<Vec<u8>> {
    let mut chain = vec![certificate.clone()];
    while let Some(last) = chain.last() {
        let issued = |found: &&Found| {
            found.certificate.is_authority()
                && found.certificate.subject() == last.issuer()
                && !chain.contains(&found.certificate)
        };
        match found.iter().find(issued) {
            Some(issuer) => chain.push(issuer.certificate.clone()),
            None => break,
        }
    }
    chain.iter().map(|certificate| certificate.der().to_vec()).collect()
}

fn supported(key: &PublicKey) -> Result<(), CardError> {
    let sound = match key {
        PublicKey::Ec(key) => matches!(key.curve(), Curve::P256 | Curve::P384),
        PublicKey::Rsa(_) => true,
        PublicKey::Ed25519(_) => false,
    };
    if sound { Ok(()) } else { Err(CardError::Key(key.to_string())) }
}

impl Card {
    /// The certificate that goes with the key.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate and the authorities above it that the card carries, in DER, the card's own first.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The signature over `message` in the form of JWS (RFC 7518 §3): ES256 or ES384 as `r || s`, or RS256.
    ///
    /// # Errors
    /// What the card says.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CardError> {
        let signature = match (self.certificate.public_key(), &self.asks_each_time) {
            (PublicKey::Ec(key), None) => {
                // Many cards know bare ECDSA alone: the digest is made here.
                self.session.sign(&Mechanism::Ecdsa, self.key, &hashed(key.curve(), message))?
            }
            (PublicKey::Rsa(_), None) if !self.mechanisms.contains(&MechanismType::SHA256_RSA_PKCS) => {
                self.session.sign(&Mechanism::RsaPkcs, self.key, &digest_info(message))?
            }
            (PublicKey::Rsa(_), None) => self.session.sign(&Mechanism::Sha256RsaPkcs, self.key, message)?,
            (PublicKey::Ec(key), Some(pin)) => {
                let mechanism = match key.curve() {
                    Curve::P256 => Mechanism::EcdsaSha256,
                    Curve::P384 => Mechanism::EcdsaSha384,
                    Curve::P521 => return Err(CardError::Key("P-521".to_owned())),
                };
                self.signed_after_login(&mechanism, pin, message)?
            }
            (PublicKey::Rsa(_), Some(pin)) => self.signed_after_login(&Mechanism::Sha256RsaPkcs, pin, message)?,
            (PublicKey::Ed25519(_), _) => return Err(CardError::Key("Ed25519".to_owned())),
        };
        Ok(signature)
    }

    /// A signature by a key that wants its PIN again between its beginning and its end.
    fn signed_after_login(
        &self,
        mechanism: &Mechanism<'_>,
        pin: &AuthPin,
        message: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        self.session.sign_init(mechanism, self.key)?;
        self.session.login(UserType::ContextSpecific, Some(pin))?;
        self.session.sign_update(message)?;
        Ok(self.session.sign_final()?)
    }
}

// RFC 7518 §3.4: each curve has its one hash.
fn hashed(curve: Curve, message: &[u8]) -> Vec<u8> {
    let algorithm = match curve {
        Curve::P256 => &digest::SHA256,
        Curve::P384 => &digest::SHA384,
        Curve::P521 => &digest::SHA512,
    };
    digest::digest(algorithm, message).as_ref().to_vec()
}

// RFC 8017 §9.2, note 1: the DigestInfo of SHA-256.
fn digest_info(message: &[u8]) -> Vec<u8> {
    const PREFIX: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20,
    ];
    [&PREFIX, digest::digest(&digest::SHA256, message).as_ref()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_module_is_told_by_its_name() {
        let error = Module::open(Path::new("/nonexistent/module.so")).err().unwrap().to_string();
        assert!(error.contains("/nonexistent/module.so"), "{error}");
    }

    #[test]
    fn a_digest_info_is_as_long_as_it_says() {
        let info = digest_info(b"message");
        assert_eq!(usize::from(info[1]) + 2, info.len());
    }
}
