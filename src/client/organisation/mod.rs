//! The organisation that an account belongs to, and what its people do about it over the protocol: members, invitations,
//! certificates, revocations, events. Everything is found from the links of the organisation. Start with
//! [`Account::organisation`].

mod certificates;
mod invitations;
mod members;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::certificates::CertificateFilter;

use super::account::Account;
use super::error::{Error, Result};
use super::session::Payload;
use crate::acme::messages::organisation::{EventObject, EventsList, OrganisationObject, OrganisationUpdate};
use crate::acme::messages::{OrderObject, OrdersList};
use crate::acme::status::OrderStatus;

/// The organisation of an account, as it was when last looked at.
#[derive(Debug, Clone)]
pub struct Organisation {
    account: Account,
    url: String,
    object: OrganisationObject,
}

/// Something that has a URL, as the server showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource<T> {
    /// Its URL.
    pub url: String,
    /// What the server shows.
    #[serde(flatten)]
    pub object: T,
}

impl<T> Resource<T> {
    /// The last part of its URL, by which people name it.
    pub fn name(&self) -> &str {
        name(&self.url)
    }
}

/// The last part of a URL.
fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// The URL among `urls` that `wanted` means: one of them, or the last part of one.
fn chosen(urls: &[String], wanted: &str, what: &str) -> Result<String> {
    let found = urls.iter().find(|url| *url == wanted || name(url) == wanted);
    found.cloned().ok_or_else(|| Error::local(format!("the organisation has no {what} \"{wanted}\"")))
}

impl Account {
    /// The organisation that the account belongs to; none if it belongs to none.
    ///
    /// # Errors
    /// `Refused`, among others with `unauthorized` if the membership waits to be admitted.
    pub async fn organisation(&self) -> Result<Option<Organisation>> {
        let Some(url) = self.object().await?.organization else { return Ok(None) };
        let object = self.fetch(&url).await?.json()?;
        Ok(Some(Organisation { account: self.clone(), url, object }))
    }
}

impl Organisation {
    /// The organisation's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The organisation as the server showed it last.
    pub fn object(&self) -> &OrganisationObject {
        &self.object
    }

    /// The account by which it is looked at.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Agrees to this version of the terms of service for all accounts of the organisation.
    ///
    /// # Errors
    /// `Refused`, among others if it is not the present version, or the organisation was changed since it was looked at.
    pub async fn agree_to_terms(&mut self, version: &str) -> Result<()> {
        let update = OrganisationUpdate { terms_of_service_agreed: version.to_owned(), version: self.object.version };
        self.object = self.account.post(&self.url, &Payload::of(&update)?).await?.json()?;
        Ok(())
    }

    /// The orders of all accounts that the account may see, those with this status if one is given.
    ///
    /// # Errors
    /// Those of [`Account::fetch`].
    pub async fn orders(&self, status: Option<OrderStatus>) -> Result<Vec<Resource<OrderObject>>> {
        let status = status.map(serde_json::to_value).transpose().map_err(|error| Error::local(error.to_string()))?;
        let status = status.as_ref().and_then(serde_json::Value::as_str).map(|word| ("status", word.to_owned()));
        let pages: Vec<OrdersList> = self.account.pages(with_query(&self.object.orders, status)).await?;
        self.all(pages.into_iter().flat_map(|page| page.orders)).await
    }

    /// What happened to the organisation, oldest first.
    ///
    /// # Errors
    /// Those of [`Account::fetch`].
    pub async fn events(&self) -> Result<Vec<EventObject>> {
        let pages: Vec<EventsList> = self.account.pages(self.object.events.clone()).await?;
        Ok(pages.into_iter().flat_map(|page| page.events).collect())
    }

    async fn at<T: DeserializeOwned>(&self, url: String) -> Result<Resource<T>> {
        let object = self.account.fetch(&url).await?.json()?;
        Ok(Resource { url, object })
    }

    async fn all<T: DeserializeOwned>(&self, urls: impl IntoIterator<Item = String>) -> Result<Vec<Resource<T>>> {
        let mut found = Vec::new();
        for url in urls {
            found.push(self.at(url).await?);
        }
        Ok(found)
    }

    /// Sends a change and gives back what it answers.
    async fn change<T: DeserializeOwned>(&self, url: &str, change: &impl Serialize) -> Result<T> {
        self.account.post(url, &Payload::of(change)?).await?.json()
    }

    /// Makes something: its URL is the `Location`.
    async fn create<T: DeserializeOwned>(&self, url: &str, wanted: &impl Serialize) -> Result<Resource<T>> {
        let response = self.account.post(url, &Payload::of(wanted)?).await?;
        let location = response.header("location").map(str::to_owned);
        let location = location.ok_or_else(|| Error::protocol(url, "what was made has no Location"))?;
        Ok(Resource { url: location, object: response.json()? })
    }
}

/// A URL with a query; values are percent-encoded.
fn with_query(url: &str, query: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut text = url.to_owned();
    for (index, (name, value)) in query.into_iter().enumerate() {
        text.push_str(if index == 0 { "?" } else { "&" });
        text.push_str(name);
        text.push('=');
        for octet in value.bytes() {
            match octet {
                // RFC 3986 §2.3: what needs no encoding anywhere.
                b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => text.push(char::from(b)),
                b => text.push_str(&format!("%{b:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(with_query("u", None), "u");
        let query = [("status", "valid".to_owned()), ("expiresBefore", "2027-01-31T12:00:00Z".to_owned())];
        assert_eq!(with_query("u", query), "u?status=valid&expiresBefore=2027-01-31T12%3A00%3A00Z");
    }

    #[test]
    fn a_resource_is_named_by_its_url_or_the_end_of_it() {
        let urls = ["https://ca/organisation/o/members/a".to_owned(), "https://ca/organisation/o/members/b".to_owned()];
        assert_eq!(chosen(&urls, "b", "member").unwrap(), urls[1]);
        assert_eq!(chosen(&urls, &urls[0], "member").unwrap(), urls[0]);
        assert!(chosen(&urls, "members/a", "member").is_err());
    }
}
