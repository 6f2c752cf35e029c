//! The commands about the account.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::arguments::{ChangeKey, NewAccount, Update};
use super::report::{Report, facts};
use super::{account, transport, word};
use crate::acme::jws_signing::AccountKey;
use crate::acme::messages::AccountObject;
use crate::client::account::{ExternalAccount, Registration};
use crate::client::error::{Error, Result};
use crate::client::organisation::Resource;
use crate::client::session::Client;
use crate::client::state_directory::{KnownAccount, StateDirectory};

pub(super) async fn register(state: &StateDirectory, wanted: NewAccount) -> Result<Report> {
    let root = read(&wanted.tls_root)?;
    state.remember_tls_root(&root)?;
    let key = match state.account_key()? {
        Some(key) => key,
        None => new_key(wanted.key.into())?,
    };
    // The key first: an account whose key is lost is of no use to anyone.
    state.remember_account_key(&key)?;
    let client = Client::discover(transport(state)?, &wanted.server).await?;
    let terms = client.directory().meta.as_ref().and_then(|meta| meta.terms_of_service.as_ref());
    if let Some(terms) = terms.filter(|_| !wanted.agree_tos) {
        return Err(Error::local(format!("read the terms of service at {terms}, then add --agree-tos")));
    }
    let external_account = match (&wanted.eab_kid, &wanted.eab_hmac_key_file) {
        (Some(kid), Some(file)) => Some(ExternalAccount::new(kid, read(file)?.trim())?),
        _ => None,
    };
    let contact = wanted.contact.iter().map(|address| mailto(address)).collect();
    let registration = Registration { contact, terms_agreed: wanted.agree_tos, external_account };
    let account = client.register(Arc::new(key), &registration).await?;
    state.remember_account(&KnownAccount { directory: wanted.server, account: account.url().to_owned() })?;
    let thumbprint = account.key().thumbprint().to_string();
    let text = facts(&[("account", account.url().to_owned()), ("thumbprint", thumbprint.clone())]);
    Report::done(text, &json!({ "url": account.url(), "thumbprint": thumbprint }))
}

pub(super) async fn show(state: &StateDirectory) -> Result<Report> {
    let account = account(state).await?;
    let object = account.object().await?;
    let thumbprint = account.key().thumbprint().to_string();
    let mut shown = described(account.url(), &object);
    shown.push(("thumbprint", thumbprint.clone()));
    shown.push(("orders", account.orders().await?.len().to_string()));
    let text = facts(&shown);
    let mut document = serde_json::to_value(Resource { url: account.url().to_owned(), object })
        .map_err(|error| Error::local(error.to_string()))?;
    document["thumbprint"] = thumbprint.into();
    Report::done(text, &document)
}

pub(super) async fn update(state: &StateDirectory, wanted: Update) -> Result<Report> {
    let account = account(state).await?;
    let contact: Vec<_> = wanted.contact.iter().map(|address| mailto(address)).collect();
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    changed(account.url(), account.update_contact(&contact).await?)
}

pub(super) async fn change_key(state: &StateDirectory, wanted: ChangeKey) -> Result<Report> {
    let account = account(state).await?;
    let key = Arc::new(new_key(wanted.key.into())?);
    // Both keys are kept until the server has decided: whichever it knows afterwards is at hand.
    state.remember_next_account_key(&key)?;
    let account = account.change_key(key).await?;
    state.take_next_account_key()?;
    let (url, thumbprint) = (account.url(), account.key().thumbprint().to_string());
    let text = format!("account {url} has a new key, thumbprint {thumbprint}");
    Report::done(text, &json!({ "url": url, "thumbprint": thumbprint }))
}

pub(super) async fn deactivate(state: &StateDirectory) -> Result<Report> {
    let account = account(state).await?;
    changed(account.url(), account.deactivate().await?)
}

fn changed(url: &str, object: AccountObject) -> Result<Report> {
    let text = facts(&described(url, &object));
    Report::done(text, &Resource { url: url.to_owned(), object })
}

fn described(url: &str, object: &AccountObject) -> Vec<(&'static str, String)> {
    vec![
        ("account", url.to_owned()),
        ("status", word(object.status)),
        ("contact", object.contact.join(", ")),
        ("organisation", object.organization.clone().unwrap_or_default()),
    ]
}

fn new_key(algorithm: crate::acme::jws_algorithm::JwsAlgorithm) -> Result<AccountKey> {
    AccountKey::generate(algorithm).map_err(|error| Error::local(format!("cannot make an account key: {error}")))
}

pub(super) fn mailto(address: &str) -> String {
    if address.contains(':') { address.to_owned() } else { format!("mailto:{address}") }
}

/// The text of a file; `-` stands for the standard input, so that no secret need be on the command line.
pub(super) fn read(path: &Path) -> Result<String> {
    let failed = |error: std::io::Error| Error::local(format!("{}: {error}", path.display()));
    if path == Path::new("-") {
        let mut text = String::new();
        return std::io::stdin().read_to_string(&mut text).map(|_| text).map_err(failed);
    }
    std::fs::read_to_string(path).map_err(failed)
}
