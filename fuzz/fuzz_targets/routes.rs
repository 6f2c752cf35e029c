//! URLs: each resource has one, and a `kid` names an account by exactly its own.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::acme::route::Route;
use sote_acme::acme::urls::Urls;

fuzz_target!(|target: &str| {
    let urls = Urls::new("https://ca.test").expect("a base");
    let url = format!("https://ca.test{target}");
    if let Some(route) = urls.route(&url) {
        assert_eq!(urls.of(&route), url);
    }
    if let Some(account) = urls.account_of_kid(&url) {
        assert_eq!(urls.account(account), url);
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let _ = Route::parse(path, query);
});
