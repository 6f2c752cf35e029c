//! How requests are made (RFC 8555 §6) and the resources that need no account (§7.1.1, §7.2), over real TLS.

mod listeners;

use std::collections::HashSet;
use std::time::Duration;

use hyper::{HeaderMap, Method};
use listeners::{Ca, body, impatient, refused};
use serde_json::json;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::{AccountKey, Identity};
use sote_acme::authority::Terms;
use sote_acme::client::HttpVersion;
use sote_acme::http::{Rate, RateLimits, Settings};

#[tokio::test]
async fn the_directories_say_what_there_is_and_how_to_come_in() {
    let terms = Terms { version: "1".into(), url: "https://ca.example.fi/terms".into(), required_from: None };
    let ca = Ca::start_with(impatient(), Some(terms)).await;
    let client = ca.client(HttpVersion::Http2);
    for (path, needs_binding) in [("/directory", true), ("/organisation/directory", false)] {
        let got = client.get(&ca.url(path)).await.unwrap();
        assert_eq!((got.status, got.header("content-type")), (200, Some("application/json")));
        let directory = body(&got);
        for name in ["newNonce", "newAccount", "newOrder", "newAuthz", "revokeCert", "keyChange", "renewalInfo"] {
            assert!(directory[name].as_str().unwrap().starts_with(&ca.base), "{name}");
        }
        let meta = &directory["meta"];
        assert_eq!(meta["externalAccountRequired"].as_bool().unwrap_or(false), needs_binding);
        assert_eq!(meta["termsOfService"], "https://ca.example.fi/terms");
        assert_eq!(meta["website"], "https://ca.example.fi");
        assert_eq!(meta["caaIdentities"], json!(["ca.example.fi"]));
        assert_eq!(meta["profiles"], json!({ "sote-server": "Servers" }), "flat, as stock clients want it");
        assert!(got.links("index").is_empty(), "the directory does not link itself");
    }
}

#[tokio::test]
async fn new_nonce_gives_nonces_that_no_cache_keeps() {
    let ca = Ca::start(impatient()).await;
    let (client, url) = (ca.client(HttpVersion::Http1), ca.url("/acme/new-nonce"));
    let mut seen = HashSet::new();
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204)] {
        let got = client.send(method, &url, HeaderMap::new(), Default::default()).await.unwrap();
        assert_eq!((got.status, got.header("cache-control")), (status, Some("no-store")));
        assert!(got.body.is_empty() && seen.insert(got.header("replay-nonce").unwrap().to_owned()));
        assert_eq!(got.links("index"), [ca.url("/directory")]);
    }
}

#[tokio::test]
async fn directory_and_new_nonce_can_be_read_by_post_as_get_too() {
    let ca = Ca::start(impatient()).await;
    let person = ca.stranger().await;
    let got = person.read(&ca.url("/directory")).await;
    assert_eq!(got.status, 200);
    assert!(got.header("replay-nonce").is_some());
    assert_eq!(person.read(&ca.url("/acme/new-nonce")).await.status, 204);
    refused(&person.post(&ca.url("/acme/new-nonce"), &json!({})).await, 400, "malformed");
}

#[tokio::test]
async fn browsers_may_use_every_resource() {
    let ca = Ca::start(impatient()).await;
    let client = ca.client(HttpVersion::Http1);
    for path in ["/directory", "/acme/new-order", "/nothing"] {
        let got = client.get(&ca.url(path)).await.unwrap();
        assert_eq!(got.header("access-control-allow-origin"), Some("*"), "{path}");
        let exposed = got.header("access-control-expose-headers").unwrap();
        for name in ["Replay-Nonce", "Location", "Link", "Retry-After"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    let url = ca.url("/acme/new-order");
    let preflight = client.send(Method::OPTIONS, &url, HeaderMap::new(), Default::default()).await.unwrap();
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("POST"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("Content-Type"));
}

#[tokio::test]
async fn other_methods_get_405_with_those_that_are_allowed() {
    let ca = Ca::start(impatient()).await;
    let person = ca.stranger().await;
    let client = ca.client(HttpVersion::Http1);
    for url in [ca.url("/acme/new-order"), person.account.clone(), format!("{}/orders", person.account)] {
        let got = client.get(&url).await.unwrap();
        assert_eq!((got.status, body(&got)["type"].as_str()), (405, Some("urn:ietf:params:acme:error:malformed")));
        assert!(got.header("allow").unwrap().contains("POST"), "{url}");
    }
    let put = client.send(Method::PUT, &ca.url("/directory"), HeaderMap::new(), Default::default()).await.unwrap();
    assert_eq!(put.status, 405);
    assert!(put.header("allow").unwrap().contains("GET"));
}

#[tokio::test]
async fn a_post_of_another_type_is_415() {
    let ca = Ca::start(impatient()).await;
    let client = ca.client(HttpVersion::Http1);
    for kind in ["application/json", "text/plain", "application/jose", ""] {
        refused(&client.post(&ca.url("/acme/new-account"), kind, "{}").await.unwrap(), 415, "malformed");
    }
    let with_parameter = "application/jose+json; charset=utf-8";
    let got = client.post(&ca.url("/acme/new-account"), with_parameter, "{}").await.unwrap();
    refused(&got, 400, "malformed");
}

#[tokio::test]
async fn a_body_that_is_no_jws_is_malformed_and_errors_speak_english() {
    let ca = Ca::start(impatient()).await;
    for text in [&b""[..], b"{}", b"[]", b"null", b"{\"protected\":1}", b"\xff\xfe", b"a.b.c", &[b'['; 10_000]] {
        let got = ca.send(&ca.url("/acme/new-order"), text.to_vec()).await;
        refused(&got, 400, "malformed");
        assert_eq!(got.header("content-language"), Some("en"));
    }
}

#[tokio::test]
async fn a_nonce_is_accepted_once_even_by_fifty_at_once() {
    let ca = Ca::start(impatient()).await;
    let person = ca.stranger().await;
    let nonce = ca.nonce().await;
    let body = person.key.sign(Identity::Kid(&person.account), &nonce, &person.account, b"").unwrap();
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let (client, url, body) = (ca.client(HttpVersion::Http1), person.account.clone(), body.clone());
            tokio::spawn(async move { client.post(&url, "application/jose+json", body).await.unwrap() })
        })
        .collect();
    let mut accepted = 0;
    for request in requests {
        let got = request.await.unwrap();
        match got.status {
            200 => accepted += 1,
            _ => refused(&got, 400, "badNonce"),
        }
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn a_refused_nonce_brings_one_that_works_anywhere() {
    let ca = Ca::start(impatient()).await;
    let person = ca.stranger().await;
    let ask = async |nonce: &str, url: &str| {
        let body = person.key.sign(Identity::Kid(&person.account), nonce, url, b"").unwrap();
        ca.send(url, body).await
    };
    let got = ask("bm9uY2U", &person.account).await;
    refused(&got, 400, "badNonce");
    let fresh = got.header("replay-nonce").unwrap();
    assert_eq!(ask(fresh, &format!("{}/orders", person.account)).await.status, 200);
    ca.clock.advance(9 * 3600);
    refused(&ask(got.header("replay-nonce").unwrap(), &person.account).await, 400, "badNonce");
}

#[tokio::test]
async fn a_nonce_is_spent_by_whatever_request_shows_it() {
    let ca = Ca::start(impatient()).await;
    let person = ca.stranger().await;
    let sign = |nonce: &str, url: &str, kid: &str| person.key.sign(Identity::Kid(kid), nonce, url, b"").unwrap();
    let (account, unlisted) = (person.account.clone(), ca.url("/nothing"));
    let unknown = ca.url("/acme/account/AAAAAAAAAAAAAAAAAAAAAA");
    let other_key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
    for case in ["another url", "an unknown account", "an unlisted url", "another key"] {
        let nonce = ca.nonce().await;
        let (url, body) = match case {
            "another url" => (&account, sign(&nonce, &unlisted, &account)),
            "an unknown account" => (&account, sign(&nonce, &account, &unknown)),
            "an unlisted url" => (&unlisted, sign(&nonce, &unlisted, &account)),
            _ => (&account, other_key.sign(Identity::Kid(&account), &nonce, &account, b"").unwrap()),
        };
        assert!(ca.send(url, body).await.status >= 400, "{case}");
        refused(&ca.send(&account, sign(&nonce, &account, &account)).await, 400, "badNonce");
    }
}

#[tokio::test]
async fn the_signed_url_is_the_requests_url_letter_by_letter() {
    let ca = Ca::start(impatient()).await;
    let person = ca.stranger().await;
    let account = &person.account;
    for signed in [
        account.replace("https://", "http://"),
        account.replace("localhost", "LOCALHOST"),
        account.replace("localhost", "127.0.0.1"),
        format!("{account}/"),
        format!("{account}?"),
        account.replace("account", "%61ccount"),
        "/acme/account".to_owned(),
    ] {
        let body = person.key.sign(Identity::Kid(account), &ca.nonce().await, &signed, b"").unwrap();
        refused(&ca.send(account, body).await, 403, "unauthorized");
    }
}

#[tokio::test]
async fn each_request_is_signed_by_the_kind_of_key_that_it_needs() {
    let ca = Ca::start(impatient()).await;
    let person = ca.stranger().await;
    let order = ca.url("/acme/new-order");
    let by_jwk = person.key.sign(Identity::Jwk, &ca.nonce().await, &order, b"{}").unwrap();
    refused(&ca.send(&order, by_jwk).await, 400, "malformed");
    refused(&person.post(&ca.url("/acme/new-account"), &json!({})).await, 400, "malformed");
    for (kid, kind) in [
        (ca.url("/acme/account/AAAAAAAAAAAAAAAAAAAAAA"), "accountDoesNotExist"),
        (ca.url("/acme/account/x"), "accountDoesNotExist"),
        (person.account.replace("localhost", "elsewhere"), "malformed"),
        ("/acme/account/1".to_owned(), "malformed"),
    ] {
        let body = person.key.sign(Identity::Kid(&kid), &ca.nonce().await, &order, b"{}").unwrap();
        refused(&ca.send(&order, body).await, 400, kind);
    }
}

#[tokio::test]
async fn what_belongs_to_others_looks_like_nothing_at_all() {
    let ca = Ca::start(impatient()).await;
    let member = ca.member(&ca.invitation(&["*"], 1).await).await;
    let order = member.order(&["www.example.fi"]).await;
    let order_url = order.header("location").unwrap().to_owned();
    let order = body(&order);
    let authorization = order["authorizations"][0].as_str().unwrap().to_owned();
    let challenge = body(&member.read(&authorization).await)["challenges"][0]["url"].as_str().unwrap().to_owned();
    let orders = format!("{}/orders", member.account);
    let finalize = order["finalize"].as_str().unwrap().to_owned();

    let stranger = ca.stranger().await;
    let nothing = stranger.read(&ca.url("/nothing")).await;
    refused(&nothing, 404, "malformed");
    let shape = |response: &sote_acme::client::Response| {
        let varying = ["replay-nonce", "request-id", "date", "content-length"];
        let fields = response.headers.iter().filter(|(name, _)| !varying.contains(&name.as_str()));
        let mut fields: Vec<_> = fields.map(|field| format!("{field:?}")).collect();
        fields.sort();
        (fields, response.body.clone())
    };
    for url in [&order_url, &authorization, &challenge, &orders, &member.account] {
        let got = stranger.read(url).await;
        assert_eq!(got.status, 404, "{url}");
        assert_eq!(shape(&got), shape(&nothing), "{url}");
    }
    let csr = stranger.post(&finalize, &json!({ "csr": "MAA" })).await;
    assert_eq!(shape(&csr), shape(&nothing));
}

#[tokio::test]
async fn too_many_requests_get_429_with_the_time_to_wait_and_a_page_about_the_limits() {
    let rate = Rate { count: 2, per: Duration::from_secs(600) };
    let limits = RateLimits { new_orders_per_account: rate, ..RateLimits::default() };
    let ca = Ca::start(Settings { rate_limits: limits, ..impatient() }).await;
    let member = ca.member(&ca.invitation(&["*"], 1).await).await;
    for _ in 0..2 {
        assert_eq!(member.order(&["www.example.fi"]).await.status, 201);
    }
    let got = member.order(&["www.example.fi"]).await;
    refused(&got, 429, "rateLimited");
    assert!((200..=300).contains(&got.retry_after().unwrap()), "whole seconds");
    let page = ca.client(HttpVersion::Http1).get(&got.links("help")[0]).await.unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
}

#[tokio::test]
async fn all_requests_of_an_address_are_limited_together_and_also_unlisted_ones() {
    let rate = Rate { count: 5, per: Duration::from_secs(600) };
    let limits = RateLimits { requests_per_address: rate, ..RateLimits::default() };
    let ca = Ca::start(Settings { rate_limits: limits, ..impatient() }).await;
    let client = ca.client(HttpVersion::Http2);
    for _ in 0..5 {
        client.get(&ca.url("/nothing")).await.unwrap();
    }
    let got = client.post(&ca.url("/acme/new-order"), "application/jose+json", "{}").await.unwrap();
    refused(&got, 429, "rateLimited");
    assert!(got.retry_after().is_some());
}

#[tokio::test]
async fn a_certificate_of_the_listener_can_be_changed_while_it_serves() {
    let ca = Ca::start(impatient()).await;
    let mut kept = ca.connect(&["http/1.1"]).await;
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(ca.directory.path().join("tls.pem"), cert.pem()).unwrap();
    std::fs::write(ca.directory.path().join("tls.key"), signing_key.serialize_pem()).unwrap();
    ca.tls.reload().unwrap();
    let renewed = sote_acme::client::Transport::trusting(cert.pem().as_bytes(), HttpVersion::Http2).unwrap();
    assert_eq!(renewed.get(&ca.url("/directory")).await.unwrap().status, 200);
    assert!(ca.client(HttpVersion::Http2).get(&ca.url("/directory")).await.is_err(), "the old one is gone");
    use tokio::io::AsyncWriteExt as _;
    kept.write_all(b"GET /directory HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(listeners::answer(&mut kept).await.starts_with("HTTP/1.1 200"), "old connections live on");
}
