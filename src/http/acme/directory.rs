//! The two directories and newNonce (RFC 8555 §7.1.1, §7.2).

use std::collections::BTreeMap;

use hyper::StatusCode;
use hyper::header::CACHE_CONTROL;

use crate::acme::messages::DirectoryMeta;
use crate::acme::route::Door;
use crate::acme::urls::Urls;
use crate::authority::Authority;
use crate::http::app::{About, App};
use crate::http::reply::Reply;

/// A directory in JSON. It does not change while the process runs, so it is written once.
pub(in crate::http) fn rendered(door: Door, urls: &Urls, authority: &Authority, about: &About) -> String {
    // draft-ietf-acme-profiles: a flat map of names to descriptions. Every profile can be had by a dns order so far, so both
    // directories list them all.
    let profiles: BTreeMap<_, _> =
        authority.profiles().map(|profile| (profile.name.to_string(), profile.description.clone())).collect();
    let meta = DirectoryMeta {
        terms_of_service: authority.settings().terms.as_ref().map(|terms| terms.url.clone()),
        website: about.website.clone(),
        caa_identities: about.caa_identities.clone(),
        // RFC 8555 §7.3.4: true where newAccount needs a binding; dehydrated sends one only then.
        external_account_required: match door {
            Door::Server => true,
            Door::Organisation => false,
        },
        profiles,
    };
    serde_json::to_string(&urls.directory_object(door, meta)).unwrap_or_default()
}

/// A directory.
pub(super) fn reply(app: &App, door: Door) -> Reply {
    Reply::content(StatusCode::OK, "application/json", app.directory(door)).with(CACHE_CONTROL, "no-cache")
}

/// newNonce; the pipeline adds the nonce.
// RFC 8555 §7.2: 200 for HEAD, 204 for GET, and never from a cache.
pub(super) fn new_nonce(is_head: bool) -> Reply {
    let status = if is_head { StatusCode::OK } else { StatusCode::NO_CONTENT };
    Reply::empty(status).with(CACHE_CONTROL, "no-store")
}
