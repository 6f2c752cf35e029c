//! How OCSP names a certificate: hashes of its issuer's name and key, and its serial number.

use aws_lc_rs::digest;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::AnyRef;
use der::{Decode, Encode};
use spki::AlgorithmIdentifierRef;

use crate::names::SerialNumber;
use crate::public_key::PublicKey;
use crate::x509::DistinguishedName;
use crate::x509::der_element::{DerError, Element, INTEGER, OCTET_STRING, SEQUENCE, encoded};
use crate::x509::key_identifier::public_key_bits;

/// A hash function of certificate ids. SHA-1 serves as a name here, not as a proof: RFC 5019 §2.1.1 asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertIdHash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl CertIdHash {
    const fn oid(self) -> ObjectIdentifier {
        match self {
            CertIdHash::Sha1 => rfc5912::ID_SHA_1,
            CertIdHash::Sha256 => rfc5912::ID_SHA_256,
        }
    }

    fn of(self, octets: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            CertIdHash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            CertIdHash::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, octets).as_ref().to_vec()
    }

    fn named_by(algorithm: &[u8]) -> Result<Option<Self>, DerError> {
        let identifier =
            AlgorithmIdentifierRef::from_der(algorithm).map_err(|_| DerError("a hash algorithm is malformed"))?;
        if identifier.parameters.is_some_and(|parameters| parameters != AnyRef::NULL) {
            return Err(DerError("a hash algorithm has parameters"));
        }
        Ok([CertIdHash::Sha1, CertIdHash::Sha256].into_iter().find(|hash| hash.oid() == identifier.oid))
    }
}

/// The id of one certificate, kept as it was received: an answer repeats it octet for octet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertId {
    der: Vec<u8>,
    hash: Option<CertIdHash>,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    serial: SerialNumber,
}

/// An issuer's hashes, computed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerHashes([(CertIdHash, Vec<u8>, Vec<u8>); 2]);

impl IssuerHashes {
    /// The hashes of this issuer.
    pub fn of(name: &DistinguishedName, key: &PublicKey) -> Self {
        let bits = public_key_bits(key);
        let both = |hash: CertIdHash| (hash, hash.of(name.as_der()), hash.of(&bits));
        IssuerHashes([both(CertIdHash::Sha1), both(CertIdHash::Sha256)])
    }
}

impl CertId {
    /// The id of a certificate of this issuer.
    pub fn new(hash: CertIdHash, issuer: &DistinguishedName, key: &PublicKey, serial: &SerialNumber) -> Self {
        let (issuer_name, issuer_key) = (hash.of(issuer.as_der()), hash.of(&public_key_bits(key)));
        let algorithm = AlgorithmIdentifierRef { oid: hash.oid(), parameters: Some(AnyRef::NULL) };
        let der = encoded(
            SEQUENCE,
            &[
                &algorithm.to_der().expect("an algorithm identifier of a few octets encodes"),
                &encoded(OCTET_STRING, &[&issuer_name]),
                &encoded(OCTET_STRING, &[&issuer_key]),
                &encoded(INTEGER, &[&serial.der_content()]),
            ],
        );
        CertId { der, hash: Some(hash), issuer_name, issuer_key, serial: serial.clone() }
    }

    pub(super) fn from_element(element: Element<'_>) -> Result<Self, DerError> {
        let parts = element.tagged(SEQUENCE)?.children()?;
        let [algorithm, name, key, serial] = parts[..] else {
            return Err(DerError("a certificate id has four parts"));
        };
        let serial = serial.tagged(INTEGER)?.content;
        if serial.first().is_none_or(|octet| octet & 0x80 != 0) {
            return Err(DerError("a serial number is not positive"));
        }
        Ok(CertId {
            hash: CertIdHash::named_by(algorithm.whole)?,
            issuer_name: name.tagged(OCTET_STRING)?.content.to_vec(),
            issuer_key: key.tagged(OCTET_STRING)?.content.to_vec(),
            serial: SerialNumber::from_bytes(serial)
                .map_err(|_| DerError("a serial number that no certificate has"))?,
            der: element.whole.to_vec(),
        })
    }

    /// The id as it was received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate's serial number.
    pub fn serial(&self) -> &SerialNumber {
        &self.serial
    }

    /// The hash function; none for one that is not known here, whose ids are of no issuer.
    pub fn hash(&self) -> Option<CertIdHash> {
        self.hash
    }

    /// Whether the id names a certificate of the issuer with these hashes.
    pub fn is_of(&self, issuer: &IssuerHashes) -> bool {
        issuer
            .0
            .iter()
            .any(|(hash, name, key)| self.hash == Some(*hash) && self.issuer_name == *name && self.issuer_key == *key)
    }

    /// Whether both ids name the same certificate in the same way, however the hash's parameters are written.
    pub fn same_certificate(&self, other: &CertId) -> bool {
        self.hash.is_some()
            && self.hash == other.hash
            && self.issuer_name == other.issuer_name
            && self.issuer_key == other.issuer_key
            && self.serial == other.serial
    }
}

/// SHA-1 of a key, by which an answer names its responder (RFC 6960 §4.2.2.3).
pub(super) fn responder_key_hash(key: &PublicKey) -> Vec<u8> {
    CertIdHash::Sha1.of(&public_key_bits(key))
}
