//! What the token authority decides and signs: tokens for those whom its list entitles, and the CRL of its own certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::accounts::Accounts;
use super::{Settings, TokenAuthorityError};
use crate::acme::authority_token::{
    Attested, AuthorityToken, EvidenceAlgorithm, EvidenceFormError, TokenClaims, TokenRequest,
};
use crate::commands::hierarchy::{HierarchyError, RootCrlContent, root_crl};
use crate::names::base64url;
use crate::public_key::{Curve, PublicKey, fixed_from_asn1};
use crate::signer::{KeyFile, Signer as _, SignerError};
use crate::time::Timestamp;
use crate::x509::{Certificate, RevokedEntry};

/// The identifier type that this authority attests.
const KIND: &str = "organization-id";
/// For how many days a CRL holds, and after how many seconds a new one is signed.
const CRL_DAYS: i64 = 2;
const CRL_INTERVAL: i64 = 3_600;

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub struct Entitlement<'a> {
    /// The account's id in the URL.
    pub account: &'a str,
    /// The client certificate of the TLS connection, DER.
    pub certificate: &'a [u8],
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// 400: the request is not of the right form.
    #[error("the request is refused: {0}")]
    Malformed(EvidenceFormError),
    /// 403: not entitled, or no such account; the two look the same.
    // RFC 9448 §5.5: 403 if the credentials are invalid or the account is unknown.
    #[error("this certificate is not entitled to a token for this identifier at this account")]
    NotEntitled,
    /// 403: for a server that the authority does not know.
    #[error("tokens for this \"aud\" are not given here")]
    Audience,
    /// 500: the authority's own fault. The reason goes to the log.
    #[error("the token authority cannot answer now")]
    Failed(String),
}

/// The keys and what goes with them.
pub(super) struct Issuing {
    issuer: String,
    audiences: Vec<String>,
    lifetime: i64,
    assertion: i64,
    accounts: PathBuf,
    certificates: Vec<Vec<u8>>,
    key: KeyFile,
    algorithm: (EvidenceAlgorithm, Curve),
    root: Certificate,
    root_key: KeyFile,
    revoked: Vec<RevokedEntry>,
    crl: Mutex<Option<(Timestamp, Vec<u8>)>>,
}

impl Issuing {
    pub(super) fn open(settings: &Settings) -> Result<Self, TokenAuthorityError> {
        let unfit = |path: &Path, why: &str| TokenAuthorityError::Unfit { path: path.to_owned(), why: why.to_owned() };
        let certificates = read_certificates(&settings.certificate)?;
        let root = read_certificates(&settings.root)?.swap_remove(0);
        let (key, root_key) = (KeyFile::open(&settings.key)?, KeyFile::open(&settings.root_key)?);
        let signing = certificates.first().ok_or_else(|| unfit(&settings.certificate, "it holds no certificate"))?;
        if signing.public_key() != key.public_key() {
            return Err(unfit(&settings.key, "it is not the key of the certificate that signs tokens"));
        }
        if root.public_key() != root_key.public_key() {
            return Err(unfit(&settings.root_key, "it is not the root's key"));
        }
        let algorithm =
            algorithm(key.public_key()).ok_or_else(|| unfit(&settings.key, "tokens are signed by EC keys"))?;
        let listed = Accounts::read(&settings.accounts);
        listed.map_err(|why| TokenAuthorityError::Unfit { path: settings.accounts.clone(), why })?;
        let revoked = settings.revoked.iter().map(|serial| RevokedEntry {
            serial: serial.clone(),
            date: root.not_before(),
            reason: None,
            invalidity_date: None,
        });
        Ok(Issuing {
            issuer: settings.issuer.clone(),
            audiences: settings.audiences.clone(),
            lifetime: i64::try_from(settings.lifetime.as_secs()).unwrap_or(60),
            assertion: i64::try_from(settings.assertion.as_secs()).unwrap_or(60),
            accounts: settings.accounts.clone(),
            revoked: revoked.collect(),
            certificates: certificates.iter().map(|certificate| certificate.der().to_vec()).collect(),
            key,
            algorithm,
            root,
            root_key,
            crl: Mutex::new(None),
        })
    }

    /// A token for what `body` asks. Blocks: it reads the list and signs.
    pub(super) fn token(&self, who: Entitlement<'_>, body: &[u8], now: Timestamp) -> Result<String, TokenRefusal> {
        let request = TokenRequest::parse(body).map_err(TokenRefusal::Malformed)?;
        let certificate = Certificate::parse(who.certificate).map_err(|_| TokenRefusal::NotEntitled)?;
        let accounts = Accounts::read(&self.accounts);
        let accounts = accounts.map_err(|why| TokenRefusal::Failed(format!("{}: {why}", self.accounts.display())))?;
        let entitled =
            (request.kind == KIND).then(|| accounts.entitled(who.account, &certificate, &request.value, now));
        let entitled = entitled.flatten().ok_or(TokenRefusal::NotEntitled)?;
        let asserted = now.plus(self.assertion);
        let claims = TokenClaims {
            issuer: self.issuer.clone(),
            audience: self.audience(request.audience.as_deref())?,
            issued_at: now,
            not_before: now,
            expires: now.plus(self.lifetime),
            id: fresh_id()?,
            attested: Attested {
                kind: request.kind,
                value: request.value,
                fingerprint: request.fingerprint,
                authority: false,
                token: request.token,
                name: entitled.name.clone(),
                units: entitled.units.clone(),
                roles: vec!["administrator".to_owned()],
                valid_until: Some(entitled.until.unwrap_or(asserted).min(asserted)),
            },
        };
        let token = self.signed(&claims)?;
        tracing::info!(account = who.account, organisation = claims.attested.value, id = claims.id, "gave a token");
        Ok(token)
    }

    fn audience(&self, wanted: Option<&str>) -> Result<String, TokenRefusal> {
        let known = match wanted {
            Some(wanted) => self.audiences.iter().find(|audience| *audience == wanted),
            None => self.audiences.first(),
        };
        known.cloned().ok_or(TokenRefusal::Audience)
    }

    fn signed(&self, claims: &TokenClaims) -> Result<String, TokenRefusal> {
        let (algorithm, curve) = self.algorithm;
        let sign = |input: &[u8]| {
            let signature = self.key.sign(input)?;
            fixed_from_asn1(curve, &signature).ok_or_else(|| SignerError::Broken("no ECDSA signature".to_owned()))
        };
        let token = AuthorityToken::signed(claims, algorithm, &self.certificates, sign);
        token.map_err(|error| TokenRefusal::Failed(error.to_string()))
    }

    /// The CRL of the root's certificates: signed anew after an hour. Its number is the time.
    pub(super) fn crl(&self, now: Timestamp) -> Result<Vec<u8>, HierarchyError> {
        let mut kept = self.crl.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, crl)) = kept.as_ref()
            && (0..CRL_INTERVAL).contains(&now.since(*at))
        {
            return Ok(crl.clone());
        }
        let number = u64::try_from(now.seconds()).unwrap_or_default();
        let content = RootCrlContent { number, days: CRL_DAYS, entries: self.revoked.clone() };
        let crl = root_crl(&self.root, &self.root_key, &content, now)?;
        *kept = Some((now, crl.clone()));
        Ok(crl)
    }
}

fn algorithm(key: &PublicKey) -> Option<(EvidenceAlgorithm, Curve)> {
    match key {
        PublicKey::Ec(ec) => EvidenceAlgorithm::for_key(key).map(|algorithm| (algorithm, ec.curve())),
        PublicKey::Rsa(_) | PublicKey::Ed25519(_) => None,
    }
}

/// 128 random bits: the `jti` of one token.
fn fresh_id() -> Result<String, TokenRefusal> {
    let mut octets = [0; 16];
    let filled = aws_lc_rs::rand::fill(&mut octets);
    filled.map_err(|_| TokenRefusal::Failed("the system's random source fails".to_owned()))?;
    Ok(base64url::encode(&octets))
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, TokenAuthorityError> {
    let text = fs::read_to_string(path).map_err(TokenAuthorityError::at(path))?;
    Certificate::parse_pem_chain(&text)
        .map_err(|error| TokenAuthorityError::Certificate { path: path.to_owned(), error })
}
