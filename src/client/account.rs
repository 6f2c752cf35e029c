//! Accounts (RFC 8555 §7.3): registering, updating, changing the key, deactivating, and the list of orders.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::error::{Error, Result};
use super::session::{Client, Payload, Signer};
use super::transport::Response;
use crate::acme::external_account::MacAlgorithm;
use crate::acme::jws_signing::{AccountKey, Identity, SigningError};
use crate::acme::messages::{AccountObject, AccountUpdate, NewAccount, OrdersList};
use crate::names::base64url;

/// Pages of a list that are followed: beyond, the server goes round in circles.
const PAGE_LIMIT: usize = 10_000;

/// What a new account says of itself.
#[derive(Debug, Clone, Default)]
pub struct Registration {
    /// Contact URLs, `mailto:someone@example.fi`.
    pub contact: Vec<String>,
    /// Whether the holder agrees to the server's terms of service.
    pub terms_agreed: bool,
    /// The credentials that the certificate authority gave out.
    pub external_account: Option<ExternalAccount>,
}

/// The credentials of an external account, which an invitation gives.
#[derive(Clone)]
pub struct ExternalAccount {
    kid: String,
    mac_key: Zeroizing<Vec<u8>>,
    algorithm: MacAlgorithm,
}

impl ExternalAccount {
    /// The credentials with this key id and this MAC key in base64url, for HS256.
    ///
    /// # Errors
    /// `Local` if the MAC key is not base64url.
    pub fn new(kid: &str, mac_key: &str) -> Result<Self> {
        let mac_key = base64url::decode(mac_key.trim().trim_end_matches('='))
            .map_err(|_| Error::local("the MAC key of the external account is not base64url"))?;
        Ok(ExternalAccount { kid: kid.to_owned(), mac_key: Zeroizing::new(mac_key), algorithm: MacAlgorithm::Hs256 })
    }

    /// The same credentials with another algorithm.
    pub fn with_algorithm(mut self, algorithm: MacAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The MAC key.
    pub fn mac_key(&self) -> &[u8] {
        &self.mac_key
    }

    /// The binding of `key` to this account, for a newAccount request to `url` (RFC 8555 §7.3.4).
    ///
    /// # Errors
    /// `Local` if the MAC key is shorter than the algorithm's hash.
    pub fn binding(&self, key: &AccountKey, url: &str) -> Result<Value> {
        let unusable = |error: SigningError| {
            let (length, name) = (self.mac_key.len(), self.algorithm.name());
            Error::local(format!(
                "the MAC key of the external account, {length} octets, does not do for {name}: {error}"
            ))
        };
        key.bind_external(self.algorithm, &self.kid, &self.mac_key, url).map_err(unusable)
    }
}

impl std::fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExternalAccount({}, {})", self.kid, self.algorithm.name())
    }
}

fn cannot_sign(error: SigningError) -> Error {
    Error::local(format!("cannot sign: {error}"))
}

/// An account at a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Account {
    client: Client,
    key: Arc<AccountKey>,
    url: Arc<str>,
}

impl Client {
    /// Registers `key`, or finds the account that it already has.
    ///
    /// # Errors
    /// `Refused`, among others with `externalAccountRequired`; those of [`Client::post`].
    pub async fn register(&self, key: Arc<AccountKey>, registration: &Registration) -> Result<Account> {
        let url = &self.directory().new_account;
        let binding = match &registration.external_account {
            Some(account) => Some(account.binding(&key, url)?),
            None => None,
        };
        let request = NewAccount {
            contact: Some(registration.contact.clone()).filter(|contact| !contact.is_empty()),
            terms_of_service_agreed: registration.terms_agreed.then_some(true),
            only_return_existing: None,
            external_account_binding: binding,
        };
        self.new_account(key, &request).await
    }

    /// The account that `key` has at the server (RFC 8555 §7.3.1).
    ///
    /// # Errors
    /// `Refused` with `accountDoesNotExist` if it has none.
    pub async fn find_account(&self, key: Arc<AccountKey>) -> Result<Account> {
        self.new_account(key, &NewAccount { only_return_existing: Some(true), ..NewAccount::default() }).await
    }

    async fn new_account(&self, key: Arc<AccountKey>, request: &NewAccount) -> Result<Account> {
        let url = &self.directory().new_account;
        let response = self.post(Signer { key: &key, identity: Identity::Jwk }, url, &Payload::of(request)?).await?;
        let location = response.header("location");
        let account = location.ok_or_else(|| Error::protocol(url, "the new account has no Location"))?;
        Ok(Account { client: self.clone(), url: account.into(), key: Arc::clone(&key) })
    }
}

impl Account {
    /// The account at `url` with this key, as remembered from an earlier run.
    pub fn known(client: Client, key: Arc<AccountKey>, url: &str) -> Self {
        Account { client, key, url: url.into() }
    }

    /// The server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The account's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account's key.
    pub fn key(&self) -> &Arc<AccountKey> {
        &self.key
    }

    /// How the account's requests are signed.
    pub fn signer(&self) -> Signer<'_> {
        Signer { key: &self.key, identity: Identity::Kid(&self.url) }
    }

    /// A signed request of this account.
    ///
    /// # Errors
    /// Those of [`Client::post`].
    pub async fn post(&self, url: &str, payload: &Payload) -> Result<Response> {
        self.client.post(self.signer(), url, payload).await
    }

    /// POST-as-GET.
    ///
    /// # Errors
    /// Those of [`Client::post`].
    pub async fn fetch(&self, url: &str) -> Result<Response> {
        self.post(url, &Payload::Empty).await
    }

    /// The account as the server shows it.
    ///
    /// # Errors
    /// Those of [`Client::post`].
    pub async fn object(&self) -> Result<AccountObject> {
        self.fetch(&self.url).await?.json()
    }

    /// Replaces the contact URLs.
    ///
    /// # Errors
    /// `Refused` with `invalidContact` or `unsupportedContact`; those of [`Client::post`].
    pub async fn update_contact(&self, contact: &[&str]) -> Result<AccountObject> {
        let contact = Some(contact.iter().map(|url| (*url).to_owned()).collect());
        let update = AccountUpdate { contact, ..AccountUpdate::default() };
        self.post(&self.url, &Payload::of(&update)?).await?.json()
    }

    /// Deactivates the account, for ever. Its certificates stay valid.
    ///
    /// # Errors
    /// Those of [`Client::post`].
    pub async fn deactivate(&self) -> Result<AccountObject> {
        let update = AccountUpdate { deactivate: true, ..AccountUpdate::default() };
        self.post(&self.url, &Payload::of(&update)?).await?.json()
    }

    /// Changes the account's key (RFC 8555 §7.3.5) and gives back the account with the new one.
    ///
    /// # Errors
    /// `Refused` with status 409 and a location if `new` already has an account; those of [`Client::post`].
    pub async fn change_key(&self, new: Arc<AccountKey>) -> Result<Account> {
        let url = &self.client.directory().key_change;
        let inner = new.key_change(&self.url, self.key.jwk(), url).map_err(cannot_sign)?;
        self.post(url, &Payload::of(&inner)?).await?;
        Ok(Account { client: self.client.clone(), key: new, url: Arc::clone(&self.url) })
    }

    /// The URLs of the account's orders, from all pages of the list.
    ///
    /// # Errors
    /// Those of [`Client::post`], or `Protocol` if the list never ends.
    pub async fn orders(&self) -> Result<Vec<String>> {
        let pages: Vec<OrdersList> = self.pages(self.object().await?.orders).await?;
        Ok(pages.into_iter().flat_map(|page| page.orders).collect())
    }

    /// Every page of a list, from its first page's URL on.
    ///
    /// # Errors
    /// Those of [`Client::post`], or `Protocol` if the list never ends.
    pub(super) async fn pages<T: DeserializeOwned>(&self, first: String) -> Result<Vec<T>> {
        let (mut pages, mut next) = (Vec::new(), Some(first));
        for _ in 0..PAGE_LIMIT {
            let Some(url) = next else { return Ok(pages) };
            let response = self.fetch(&url).await?;
            pages.push(response.json()?);
            // RFC 8555 §7.1.2.1: more pages are linked with the relation "next".
            next = response.links("next").into_iter().next();
        }
        Err(Error::protocol(&self.url, "the list does not end"))
    }
}
