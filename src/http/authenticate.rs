//! Who sent a request, proved (RFC 8555 §6.2 to §6.5): a [`Signed`] is made by [`Doorkeeper`] only, from a JWS whose form,
//! nonce, key, signature, URL and account have all been checked. Handlers take what they need in their arguments, so a check
//! cannot be left out.

use serde::de::DeserializeOwned;

use super::nonces::Nonces;
use super::reply::Error;
use crate::acme::jwk::Jwk;
use crate::acme::jws::{KeySource, UnverifiedJws, VerifiedJws};
use crate::acme::problem::Problem;
use crate::acme::urls::Urls;
use crate::authority::Authority;
use crate::model::{Account, Refusal};
use crate::store::Read;
use crate::time::Timestamp;

/// A request proved to come from `S`: from an account, or from the holder of a key.
pub(super) struct Signed<S> {
    sender: S,
    jws: VerifiedJws,
}

/// Who sent a revocation: an account, or the holder of the certificate's key.
pub(super) enum Sender {
    Account(Box<Signed<Read<Account>>>),
    Key(Box<Signed<Jwk>>),
}

impl<S> Signed<S> {
    /// Who sent it.
    pub(super) fn sender(&self) -> &S {
        &self.sender
    }

    /// The JWS.
    pub(super) fn jws(&self) -> &VerifiedJws {
        &self.jws
    }

    /// Whether it is a POST-as-GET (RFC 8555 §6.3).
    pub(super) fn is_read(&self) -> bool {
        self.jws.is_post_as_get()
    }

    /// Nothing, if it is a POST-as-GET.
    // RFC 8555 §6.3: its payload is empty; `{}` is not.
    pub(super) fn read_only(&self) -> Result<(), Error> {
        if self.is_read() {
            return Ok(());
        }
        Err(Problem::malformed("this resource can only be read: send an empty payload (POST-as-GET)").into())
    }

    /// Its payload as a message.
    pub(super) fn object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(self.jws.object()?)
    }
}

/// Checks requests.
pub(super) struct Doorkeeper<'a> {
    pub(super) nonces: &'a Nonces,
    pub(super) urls: &'a Urls,
    pub(super) authority: &'a Authority,
    pub(super) now: Timestamp,
}

/// A JWS in the right form, with what became of its nonce.
pub(super) struct Presented {
    jws: UnverifiedJws,
    fresh: bool,
    url: String,
}

impl Doorkeeper<'_> {
    /// The JWS in `body`, which was sent to `url`.
    // RFC 8555 §6.5: a nonce that appeared in a request is invalid from then on, whatever becomes of the request.
    pub(super) fn presented(&self, body: &[u8], url: &str) -> Result<Presented, Error> {
        match UnverifiedJws::parse(body) {
            Ok(jws) => {
                let fresh = self.nonces.spend(&jws.header().nonce, self.now);
                Ok(Presented { jws, fresh, url: url.to_owned() })
            }
            Err(error) => {
                if let Some(nonce) = &error.nonce {
                    self.nonces.spend(nonce, self.now);
                }
                Err(error.problem.into())
            }
        }
    }

    /// The request, signed by an account that may act.
    pub(super) async fn by_account(&self, presented: Presented) -> Result<Signed<Read<Account>>, Error> {
        match presented.jws.header().key.clone() {
            KeySource::Kid(kid) => self.signed_by_account(presented, &kid).await,
            // RFC 8555 §6.2: all other requests name the account.
            KeySource::Jwk(_) => {
                Err(Problem::malformed("this request is signed by an account: name it by \"kid\", not by \"jwk\"")
                    .into())
            }
        }
    }

    /// The request, signed by the key in its header.
    pub(super) fn by_key(&self, presented: Presented) -> Result<Signed<Jwk>, Error> {
        match presented.jws.header().key.clone() {
            KeySource::Jwk(key) => {
                let jws = presented.verified(&key)?;
                Ok(Signed { sender: key, jws })
            }
            // RFC 8555 §6.2: newAccount has "jwk".
            KeySource::Kid(_) => {
                Err(Problem::malformed("this request is signed by a key of its own: send it as \"jwk\", not a \"kid\"")
                    .into())
            }
        }
    }

    /// The request, signed by an account or by the key in its header.
    pub(super) async fn by_either(&self, presented: Presented) -> Result<Sender, Error> {
        match presented.jws.header().key {
            KeySource::Kid(_) => Ok(Sender::Account(Box::new(self.by_account(presented).await?))),
            KeySource::Jwk(_) => Ok(Sender::Key(Box::new(self.by_key(presented)?))),
        }
    }

    async fn signed_by_account(&self, presented: Presented, kid: &str) -> Result<Signed<Read<Account>>, Error> {
        let account = self.account(kid).await?;
        let jws = presented.verified(&account.key)?;
        // RFC 8555 §7.3.6: 401, and only after the signature proved that it is the account's own holder who asks.
        account.standing()?;
        Ok(Signed { sender: account, jws })
    }

    /// The account that a `kid` names, as one exact string.
    async fn account(&self, kid: &str) -> Result<Read<Account>, Error> {
        let Some(id) = self.urls.account_of_kid(kid) else {
            let accounts = format!("{}/acme/account/", self.urls.base());
            if kid.starts_with(&accounts) {
                return Err(Refusal::AccountDoesNotExist.into());
            }
            let detail = format!("\"kid\" is no account URL of this server; they begin with {accounts}");
            return Err(Problem::malformed(detail).into());
        };
        self.authority.account(id).await?.ok_or_else(|| Refusal::AccountDoesNotExist.into())
    }
}

impl Presented {
    /// Signature, nonce and URL, in this order.
    fn verified(self, key: &Jwk) -> Result<VerifiedJws, Error> {
        let jws = self.jws.verify(key)?;
        if !self.fresh {
            let detail = "the nonce was used before, is too old or was not given out here: use the one of this answer";
            return Err(Problem::bad_nonce(detail).into());
        }
        // RFC 8555 §6.4: equality of strings, and unauthorized otherwise.
        if jws.header().url != self.url {
            let detail = format!(
                "the request is signed for another URL than the one that it was sent to, {}: use URLs exactly as the \
                 directory and earlier answers give them",
                self.url
            );
            return Err(Problem::unauthorized(detail).into());
        }
        Ok(jws)
    }
}
