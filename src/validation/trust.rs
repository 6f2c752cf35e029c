//! Whom evidence of organisations is believed from: token authorities and the authorities of cards, each with its anchors, what
//! its certificates must be for, and where its revocation is asked. All of it comes from the configuration; nothing is taken
//! from a certificate that somebody sent.

use super::pinned::PinnedUrl;
use crate::time::Timestamp;
use crate::x509::Certificate;
use crate::x509::path::{PathError, PathRequirements, ValidPath, validated};

/// A set of anchors with what goes with them.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The anchors.
    pub anchors: Vec<Certificate>,
    /// What a signer's certificate must be for.
    pub requirements: PathRequirements,
    /// Where revocation is asked, by the authority that issued the certificate in question.
    pub sources: Vec<StatusSource>,
}

/// Where the revocation of one authority's certificates is asked.
#[derive(Debug, Clone)]
pub struct StatusSource {
    /// The authority: its name and its key count.
    pub authority: Certificate,
    /// Its CRLs.
    pub crls: Vec<PinnedUrl>,
    /// Its OCSP responders; asked before the CRLs.
    pub ocsp: Vec<PinnedUrl>,
}

/// A token authority (RFC 9447).
#[derive(Debug, Clone)]
pub struct TokenAuthority {
    /// Its name in the configuration.
    pub name: String,
    /// What its tokens name as their issuer.
    pub issuer: String,
    /// What its tokens must name as their audience: the organisation directory.
    pub audience: String,
    /// Its anchors.
    pub trust: Trust,
}

/// An authority that issues cards or electronic seals.
#[derive(Debug, Clone)]
pub struct CardAuthority {
    /// Its name in the configuration.
    pub name: String,
    /// Whose its cards are.
    pub kind: CardKind,
    /// Its anchors.
    pub trust: Trust,
}

/// Whose a card is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardKind {
    /// An organisation's: its certificate names the organisation.
    Organisation,
    /// A person's: an organisation's mandate for that person is needed.
    Professional {
        /// What stands before the person's number, where more than one authority numbers people; may be empty.
        people: String,
    },
}

impl Trust {
    /// The path of a chain to one of the anchors.
    ///
    /// # Errors
    /// What does not hold.
    pub fn path(&self, chain: &[Vec<u8>], now: Timestamp) -> Result<ValidPath, PathError> {
        validated(chain, &self.anchors, &self.requirements, now)
    }

    /// Where the revocation of certificates that `authority` issued is asked.
    pub fn source(&self, authority: &Certificate) -> Option<&StatusSource> {
        let same = |source: &&StatusSource| {
            source.authority.subject() == authority.subject() && source.authority.public_key() == authority.public_key()
        };
        self.sources.iter().find(same)
    }
}
