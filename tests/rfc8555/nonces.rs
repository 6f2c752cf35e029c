//! RFC 8555 §6.5 and §7.2: nonces. Rows N of `docs/protocol.md`.

use std::collections::HashSet;

use serde_json::json;

use crate::support::Ca;
use crate::support::judge::{problem, refused};

// N01, N02, N03
#[tokio::test]
async fn new_nonce_answers_head_and_get_and_nobody_keeps_it() {
    let ca = Ca::start().await;
    let url = ca.directory().new_nonce.clone();
    for (method, status) in [("HEAD", 200), ("GET", 204)] {
        let answer = ca.request(method, &url).await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{method}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("replay-nonce").is_some());
    }
}

// N04, N05
#[tokio::test]
async fn every_answer_to_a_post_brings_a_nonce() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let good = ca.forged(&account, account.url()).await.send(&ca).await;
    assert_eq!(good.status, 200);
    let bad = ca.forged(&account, account.url()).await.payload_octets(b"[]").send(&ca).await;
    problem(&bad);
    for answer in [good, bad] {
        let nonce = answer.header("replay-nonce").unwrap().to_owned();
        assert_eq!(ca.forged(&account, account.url()).await.header("nonce", nonce).send(&ca).await.status, 200);
    }
}

// N06, N07
#[tokio::test]
async fn an_unknown_missing_or_spent_nonce_is_bad_and_the_answer_brings_a_good_one() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let request = async || ca.forged(&account, account.url()).await;
    let spent = request().await;
    let nonce = spent.nonce();
    assert_eq!(spent.send(&ca).await.status, 200);
    let mut altered = ca.nonce().await;
    altered.replace_range(..1, if altered.starts_with('A') { "B" } else { "A" });
    for forged in [
        request().await.header("nonce", nonce),
        request().await.header("nonce", "bm90IG9uZSBvZiBvdXJz"),
        request().await.header("nonce", ""),
        request().await.header("nonce", altered),
        request().await.without("nonce"),
    ] {
        let answer = forged.send(&ca).await;
        let fresh = answer.header("replay-nonce").unwrap().to_owned();
        refused(answer, 400, "badNonce");
        assert_eq!(request().await.header("nonce", fresh).send(&ca).await.status, 200);
    }
}

// J28: a nonce that appeared in a well-formed request is spent, whatever follows.
#[tokio::test]
async fn the_nonce_of_a_refused_request_is_spent() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let url = ca.directory().new_order.clone();
    let refused_request = ca.forged(&account, &url).await.payload(json!({ "identifiers": [] }));
    let nonce = refused_request.nonce();
    refused(refused_request.send(&ca).await, 400, "malformed");
    refused(ca.forged(&account, account.url()).await.header("nonce", nonce).send(&ca).await, 400, "badNonce");
    let nowhere = ca.forged(&account, &format!("{}/acme/nothing", ca.base())).await;
    let nonce = nowhere.nonce();
    refused(nowhere.send(&ca).await, 404, "malformed");
    refused(ca.forged(&account, account.url()).await.header("nonce", nonce).send(&ca).await, 400, "badNonce");
}

// N08
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_requests_with_one_nonce_one_succeeds() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let nonce = ca.nonce().await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let request = ca.forged(&account, account.url()).await.header("nonce", nonce.clone());
        let (transport, url) = (ca.transport().clone(), account.url().to_owned());
        let body = request.jws().to_string();
        requests.spawn(async move { transport.post(&url, "application/jose+json", body).await.unwrap().status });
    }
    let statuses = requests.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 49);
}

// N09, N10
#[tokio::test]
async fn nonces_are_long_base64url_and_never_repeat() {
    let ca = Ca::start().await;
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let nonce = ca.nonce().await;
        assert!(nonce.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{nonce}");
        assert!(nonce.len() >= 22, "128 bits at least");
        assert!(seen.insert(nonce));
    }
}

// N11
#[tokio::test]
async fn a_nonce_serves_every_resource_and_every_account() {
    let ca = Ca::start().await;
    let (one, other) = (ca.account().await, ca.account().await);
    let answer = ca.forged(&one, one.url()).await.send(&ca).await;
    let nonce = answer.header("replay-nonce").unwrap().to_owned();
    let request = ca.forged(&other, &ca.directory().new_order.clone()).await.header("nonce", nonce);
    let request = request.payload(json!({ "identifiers": [{ "type": "dns", "value": "a.test" }] }));
    assert_eq!(request.send(&ca).await.status, 201);
}

// N11
#[tokio::test]
async fn unused_nonces_survive_a_restart_and_spent_ones_stay_spent() {
    let mut ca = Ca::start().await;
    let account = ca.account().await;
    let unused = ca.nonce().await;
    let spent = ca.forged(&account, account.url()).await;
    let spent_nonce = spent.nonce();
    assert_eq!(spent.send(&ca).await.status, 200);
    ca.restart().await;
    refused(ca.forged(&account, account.url()).await.header("nonce", spent_nonce).send(&ca).await, 400, "badNonce");
    assert_eq!(ca.forged(&account, account.url()).await.header("nonce", unused.clone()).send(&ca).await.status, 200);
    refused(ca.forged(&account, account.url()).await.header("nonce", unused).send(&ca).await, 400, "badNonce");
}

// N12
#[tokio::test]
async fn a_nonce_lives_an_hour_and_not_for_ever() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let (first, second) = (ca.nonce().await, ca.nonce().await);
    ca.advance(3_600);
    assert_eq!(ca.forged(&account, account.url()).await.header("nonce", first).send(&ca).await.status, 200);
    ca.advance(10 * 86_400);
    refused(ca.forged(&account, account.url()).await.header("nonce", second).send(&ca).await, 400, "badNonce");
}
