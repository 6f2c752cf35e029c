//! RFC 8555 §7.1.4, §7.4.1 and §7.5.2: authorizations. Rows Z01 to Z03, Z08, Z09 and Z21 to Z24 of `docs/protocol.md`.

use serde_json::{Value, json};
use sote_acme::acme::status::{AuthorizationStatus, ChallengeStatus, OrderStatus};
use sote_acme::client::OrderRequest;

use crate::support::Ca;
use crate::support::judge::{denied, refused};

// Z01, Z16, and what stock clients read by patterns
#[tokio::test]
async fn a_pending_authorization_offers_challenges_with_a_token_each_and_the_known_ones_first() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.order(&account, &["a.test"]).await;
    let answer = account.fetch(&order.object().authorizations[0]).await.unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let authorization: Value = answer.json().unwrap();
    assert_eq!(authorization["status"], "pending");
    assert_eq!(authorization["identifier"], json!({ "type": "dns", "value": "a.test" }));
    assert!(authorization["expires"].is_string() && authorization.get("wildcard").is_none());
    let challenges = authorization["challenges"].as_array().unwrap();
    let kinds: Vec<_> = challenges.iter().map(|challenge| challenge["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["http-01", "dns-01", "tls-alpn-01"]);
    let mut tokens: Vec<_> = challenges.iter().map(|challenge| challenge["token"].as_str().unwrap()).collect();
    assert!(
        tokens.iter().all(
            |token| token.len() >= 22 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        )
    );
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), challenges.len(), "no token is shared");
    assert_eq!(text.matches("\"value\":").count(), 1, "acme.sh takes the first value for the name");
}

// Z01, Z03, Z11
#[tokio::test]
async fn a_valid_authorization_shows_when_it_ends_and_the_challenge_that_proved_it() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.ready_order(&account, &["a.test"]).await;
    let authorization = &order.authorizations().await.unwrap()[0];
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
    assert!(authorization.object().expires.unwrap() > ca.now());
    let [challenge] = &authorization.object().challenges[..] else { panic!("the one that proved it") };
    assert_eq!((challenge.status, challenge.kind.as_str()), (ChallengeStatus::Valid, "http-01"));
    assert!(challenge.validated.is_some() && challenge.error.is_none());
}

// Z08
#[tokio::test]
async fn a_deactivated_authorization_stays_so_and_serves_no_order() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut authorization = account.pre_authorize("dns", "a.test").await.unwrap();
    authorization.prove(ca.responder()).await.unwrap();
    assert_eq!(authorization.deactivate().await.unwrap(), AuthorizationStatus::Deactivated);
    assert_eq!(authorization.deactivate().await.unwrap(), AuthorizationStatus::Deactivated);
    let order = ca.order(&account, &["a.test"]).await;
    assert_ne!(order.object().authorizations, [authorization.url()]);
    let challenge = authorization.object().challenges[0].clone();
    assert_eq!(challenge.status, ChallengeStatus::Valid);
    assert_eq!(authorization.answer(&challenge).await.unwrap(), challenge, "what has ended does not change");
    ca.settle().await;
    assert_eq!(authorization.refresh().await.unwrap(), AuthorizationStatus::Deactivated);
}

// Z08, Z09
#[tokio::test]
async fn a_ready_order_ends_when_its_authorization_is_given_up() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.ready_order(&account, &["a.test"]).await;
    order.authorizations().await.unwrap()[0].deactivate().await.unwrap();
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Invalid);
    denied(order.finalize(&ca.csr(&["a.test"])).await, 403, "orderNotReady");
}

// Z08: only this change exists.
#[tokio::test]
async fn an_authorization_takes_no_other_status() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let authorization = account.pre_authorize("dns", "a.test").await.unwrap();
    for status in ["valid", "revoked", "expired", ""] {
        let request = ca.forged(&account, authorization.url()).await.payload(json!({ "status": status }));
        assert_eq!(request.send(&ca).await.status, 200, "{status} is ignored");
        let now = account.authorization_at(authorization.url()).await.unwrap();
        assert_eq!(now.status(), AuthorizationStatus::Pending);
    }
}

// Z21
#[tokio::test]
async fn new_authz_makes_a_pending_authorization_or_finds_the_valid_one() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let url = ca.directory().new_authz.clone().unwrap();
    let payload = json!({ "identifier": { "type": "dns", "value": "a.test" } });
    let answer = ca.forged(&account, &url).await.payload(payload).send(&ca).await;
    assert_eq!(answer.status, 201);
    assert!(answer.header("location").is_some());
    let mut authorization = account.authorization_at(answer.header("location").unwrap()).await.unwrap();
    assert_eq!(authorization.status(), AuthorizationStatus::Pending);
    authorization.prove(ca.responder()).await.unwrap();
    let again = account.pre_authorize("dns", "a.test").await.unwrap();
    assert_eq!((again.url(), again.status()), (authorization.url(), AuthorizationStatus::Valid));
}

// Z21
#[tokio::test]
async fn new_authz_refuses_wildcards_other_types_and_names_outside_the_zones() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    denied(account.pre_authorize("dns", "*.a.test").await, 400, "malformed");
    denied(account.pre_authorize("email", "a@a.test").await, 400, "unsupportedIdentifier");
    denied(account.pre_authorize("dns", "a.example.fi").await, 403, "rejectedIdentifier");
    denied(account.pre_authorize("dns", "not a name").await, 400, "malformed");
    let url = ca.directory().new_authz.clone().unwrap();
    for payload in [json!({}), json!({ "identifier": "a.test" }), json!({ "identifier": {} })] {
        refused(ca.forged(&account, &url).await.payload(payload).send(&ca).await, 400, "malformed");
    }
}

// Z24
#[tokio::test]
async fn an_authorization_ends_with_its_time() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut valid = account.pre_authorize("dns", "a.test").await.unwrap();
    valid.prove(ca.responder()).await.unwrap();
    valid.refresh().await.unwrap();
    let pending = account.pre_authorize("dns", "b.test").await.unwrap();
    ca.advance(valid.object().expires.unwrap().since(ca.now()) + 1);
    let order = ca.order(&account, &["a.test"]).await;
    assert_ne!(order.object().authorizations, [valid.url()]);
    let pending = account.authorization_at(pending.url()).await.unwrap();
    assert_eq!(pending.status(), AuthorizationStatus::Invalid);
}

// Z22: an order by dns names never lists an authorization of another type.
#[tokio::test]
async fn an_order_lists_one_dns_authorization_per_name_and_no_other() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = account.order(&OrderRequest::of_names(["a.test", "b.test"])).await.unwrap();
    assert!(order.object().identifiers.iter().all(|identifier| identifier.kind == "dns"));
    let authorizations = order.authorizations().await.unwrap();
    assert_eq!(authorizations.len(), 2);
    assert!(authorizations.iter().all(|authorization| authorization.object().identifier.kind == "dns"));
}
