//! tkauth-01 (RFC 9447) for organisations: a token of a configured token authority says that this account may speak for this
//! organisation. The checks and their order are those of `docs/protocol.md`; the first (the form) was made when the client
//! answered, the last two (never seen before, in the register) belong to the commit. Start with [`Tkauth01::proof`].

use aws_lc_rs::digest;

use super::revocation_status::{CLOCK_SKEW, RevocationStatus, StatusError};
use super::trust::TokenAuthority;
use crate::acme::authority_token::{AuthorityToken, Fingerprint, TOKEN_TYPE, TokenClaims};
use crate::acme::jwk::Thumbprint;
use crate::acme::problem::Problem;
use crate::time::Timestamp;
use crate::x509::Certificate;
use crate::x509::path::{PathError, ValidPath};

/// The longest that a token may hold, in seconds.
const LONGEST_LIFETIME: i64 = 24 * 3_600;

/// The identifier type of the tokens that are accepted here.
const KIND: &str = "organization-id";

/// What a token is compared with.
#[derive(Debug, Clone, Copy)]
pub struct TokenClaim<'a> {
    /// The authorization's organisation.
    pub organisation: &'a str,
    /// The challenge's token.
    pub token: &'a str,
    /// The thumbprint of the account's key.
    pub thumbprint: &'a Thumbprint,
}

/// Why a token proves nothing. The numbers are those of the checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// 2: no path to an anchor.
    #[error("the token's certificates are not those of a token authority that is trusted here: {0}")]
    Path(PathError),
    /// 2: revoked, or not to be found out.
    #[error("the token's certificates: {0}")]
    Status(StatusError),
    /// 2: the algorithm is not the key's.
    #[error("the token's \"alg\" does not go with the key of its first certificate")]
    Algorithm,
    /// 3: the signature.
    #[error("the token's signature does not verify")]
    Signature,
    /// 4: the type.
    #[error("the token's \"typ\" is not \"{TOKEN_TYPE}\"")]
    Type,
    /// 4: the audience.
    #[error("the token is for another server: its \"aud\" is not {0}")]
    Audience(String),
    /// 4: the issuer.
    #[error("the token's \"iss\" is not the one of the token authority whose certificates it brings")]
    Issuer,
    /// 5: too late.
    #[error("the token ended at {0}; get a new one")]
    Expired(Timestamp),
    /// 5: too early.
    #[error("the token holds from {0} on, which lies ahead; is a clock wrong?")]
    NotYet(Timestamp),
    /// 5: made for too long.
    #[error("the token holds for {0} seconds; at most {LONGEST_LIFETIME} are accepted")]
    Lifetime(i64),
    /// 6: another kind of identifier.
    #[error("the token is for an identifier of another type: its \"tktype\" is not \"{KIND}\"")]
    Kind,
    /// 6: another organisation.
    #[error("the token is for another organisation than {0}: its \"tkvalue\" must be the same text")]
    Value(String),
    /// 7: another account.
    #[error("the token is for another account key: its \"fingerprint\" is not {0}")]
    AccountKey(String),
    /// 8: another challenge.
    #[error("the token is for another challenge: its \"token\" is not the one of this challenge")]
    Challenge,
    /// 9: for authorities.
    #[error("the token's \"ca\" is true; this server issues no certificates to authorities")]
    Authority,
}

impl TokenFault {
    /// What the challenge shows.
    pub fn problem(&self) -> Problem {
        let detail = self.to_string();
        match self {
            // The attempt failed, and another one may find somebody who answers.
            TokenFault::Status(StatusError::Unavailable { .. }) => Problem::connection(detail),
            TokenFault::Path(_) | TokenFault::Status(_) | TokenFault::Algorithm | TokenFault::Signature => {
                Problem::unauthorized(detail)
            }
            TokenFault::Type
            | TokenFault::Audience(_)
            | TokenFault::Issuer
            | TokenFault::Expired(_)
            | TokenFault::NotYet(_)
            | TokenFault::Lifetime(_)
            | TokenFault::Kind
            | TokenFault::Value(_)
            | TokenFault::AccountKey(_)
            | TokenFault::Challenge
            | TokenFault::Authority => Problem::incorrect_response(detail),
        }
    }
}

/// What a token that passed proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenProof {
    /// SHA-256 of issuer and `jti`: no other proof may have it.
    pub unique: [u8; 32],
    /// Until when the token could be shown again.
    pub shown_until: Timestamp,
    /// Until when the authority asserts it.
    pub until: Option<Timestamp>,
    /// Who asserts it.
    pub issuer: String,
    /// The organisation's names as attested.
    pub names: Vec<String>,
    /// SHA-256 of the certificate that signed.
    pub certificate: [u8; 32],
    /// A line for every certificate of the path: what said that it is good.
    pub trail: Vec<String>,
}

/// The token authorities of the configuration.
pub struct Tkauth01 {
    authorities: Vec<TokenAuthority>,
}

impl Tkauth01 {
    /// A validator that believes these.
    pub fn new(authorities: Vec<TokenAuthority>) -> Self {
        Tkauth01 { authorities }
    }

    /// What `token` proves for `claim` at `now`.
    ///
    /// # Errors
    /// The first check that fails, in the order of the specification.
    pub async fn proof(
        &self,
        token: &AuthorityToken,
        claim: TokenClaim<'_>,
        status: &RevocationStatus,
        now: Timestamp,
    ) -> Result<TokenProof, TokenFault> {
        let (authority, path) = self.authority(token, now)?;
        let trail = match status.of_path(&path, &authority.trust, now).await {
            Ok(trail) => trail,
            Err(error) => {
                // Nobody waits for an answer about a token that has ended.
                if error.may_pass() {
                    timely(token.claims(), now)?;
                }
                return Err(TokenFault::Status(error));
            }
        };
        signed(token, path.signer())?;
        meant_for(token, authority)?;
        timely(token.claims(), now)?;
        attests(token.claims(), claim)?;
        Ok(proven(token, path.signer(), trail))
    }

    /// 2: the authority whose anchor the token's certificates lead to. The issuer that the token names is only a hint here:
    /// whether it is that authority's is check 4.
    fn authority(&self, token: &AuthorityToken, now: Timestamp) -> Result<(&TokenAuthority, ValidPath), TokenFault> {
        let named = |authority: &&TokenAuthority| authority.issuer == token.claims().issuer;
        let (first, others): (Vec<_>, Vec<_>) = self.authorities.iter().partition(named);
        let mut fault = None;
        for authority in first.into_iter().chain(others) {
            match authority.trust.path(token.certificates(), now) {
                Ok(path) => return Ok((authority, path)),
                // The first was the one that was meant, so that its fault is the one to tell.
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        Err(TokenFault::Path(fault.unwrap_or_else(|| PathError::Untrusted("anyone".to_owned()))))
    }
}

/// 2 (its last part) and 3.
fn signed(token: &AuthorityToken, signer: &Certificate) -> Result<(), TokenFault> {
    if !token.algorithm().fits(signer.public_key()) {
        return Err(TokenFault::Algorithm);
    }
    token.verify(signer.public_key()).map_err(|_| TokenFault::Signature)
}

/// 4.
fn meant_for(token: &AuthorityToken, authority: &TokenAuthority) -> Result<(), TokenFault> {
    if token.typ() != TOKEN_TYPE {
        return Err(TokenFault::Type);
    }
    if token.claims().audience != authority.audience {
        return Err(TokenFault::Audience(authority.audience.clone()));
    }
    if token.claims().issuer == authority.issuer { Ok(()) } else { Err(TokenFault::Issuer) }
}

/// 5.
fn timely(claims: &TokenClaims, now: Timestamp) -> Result<(), TokenFault> {
    let ahead = claims.not_before.max(claims.issued_at);
    if ahead > now.plus(CLOCK_SKEW) {
        return Err(TokenFault::NotYet(ahead));
    }
    if claims.expires.plus(CLOCK_SKEW) <= now {
        return Err(TokenFault::Expired(claims.expires));
    }
    let lifetime = claims.expires.since(claims.issued_at);
    if (1..=LONGEST_LIFETIME).contains(&lifetime) { Ok(()) } else { Err(TokenFault::Lifetime(lifetime)) }
}

/// 6 to 9.
fn attests(claims: &TokenClaims, claim: TokenClaim<'_>) -> Result<(), TokenFault> {
    let attested = &claims.attested;
    // RFC 9448 §6, steps 5 and 6.
    if attested.kind != KIND {
        return Err(TokenFault::Kind);
    }
    if attested.value != claim.organisation {
        return Err(TokenFault::Value(claim.organisation.to_owned()));
    }
    // RFC 9448 §6, step 8.
    if attested.fingerprint.0 != *claim.thumbprint {
        return Err(TokenFault::AccountKey(Fingerprint(*claim.thumbprint).to_string()));
    }
    if attested.token != claim.token {
        return Err(TokenFault::Challenge);
    }
    if attested.authority { Err(TokenFault::Authority) } else { Ok(()) }
}

fn proven(token: &AuthorityToken, signer: &Certificate, trail: Vec<String>) -> TokenProof {
    let claims = token.claims();
    let name = &claims.attested.name;
    TokenProof {
        unique: issuer_and_id(&claims.issuer, &claims.id),
        shown_until: claims.expires.plus(CLOCK_SKEW),
        until: claims.attested.valid_until,
        issuer: claims.issuer.clone(),
        names: [&name.fi, &name.sv].into_iter().flatten().cloned().collect(),
        certificate: sha256(&[signer.der()]),
        trail,
    }
}

/// SHA-256 of an issuer and a token's id, each after its length, so that no two pairs run together.
fn issuer_and_id(issuer: &str, id: &str) -> [u8; 32] {
    let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes();
    sha256(&[&length(issuer), issuer.as_bytes(), &length(id), id.as_bytes()])
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_and_ids_never_run_together() {
        assert_ne!(issuer_and_id("ab", "c"), issuer_and_id("a", "bc"));
        assert_eq!(issuer_and_id("a", "b"), issuer_and_id("a", "b"));
    }
}
