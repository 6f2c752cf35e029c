//! RFC 8555 §7.3.5: account key roll-over. Rows A21 and A40 to A44 of `docs/protocol.md`.

use std::sync::Arc;

use serde_json::{Value, json};
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::acme::status::OrderStatus;
use sote_acme::client::{Account, Response};
use sote_acme::names::base64url;

use crate::support::judge::{denied, refused};
use crate::support::{Ca, key};

/// An inner JWS of which each part can be put otherwise, signed by `key`.
fn inner(key: &AccountKey, header: &Value, payload: &Value) -> Value {
    let protected = base64url::encode(header.to_string().as_bytes());
    let payload = base64url::encode(payload.to_string().as_bytes());
    let signature = key.signature(format!("{protected}.{payload}").as_bytes()).unwrap();
    json!({ "protected": protected, "payload": payload, "signature": base64url::encode(&signature) })
}

async fn change(ca: &Ca, account: &Account, inner: Value) -> Response {
    ca.forged(account, &ca.directory().key_change.clone()).await.payload(inner).send(ca).await
}

fn header(key: &AccountKey, url: &str) -> Value {
    json!({ "alg": key.jwk().algorithm().name(), "jwk": key.jwk().to_json(), "url": url })
}

fn payload(account: &Account) -> Value {
    json!({ "account": account.url(), "oldKey": account.key().jwk().to_json() })
}

// A43
#[tokio::test]
async fn after_a_change_the_new_key_signs_and_the_old_one_is_unknown() {
    let ca = Ca::start().await;
    let mut account = ca.account().await;
    for algorithm in JwsAlgorithm::ALL {
        let new = account.change_key(Arc::new(AccountKey::generate(*algorithm).unwrap())).await.unwrap();
        assert_eq!(new.url(), account.url());
        assert!(new.object().await.is_ok());
        // The old key's signature is judged by the new key, which may be of another kind.
        let kind = if account.key().jwk().algorithm() == *algorithm { "malformed" } else { "badPublicKey" };
        denied(account.object().await, 400, kind);
        denied(ca.client().find_account(account.key().clone()).await, 400, "accountDoesNotExist");
        assert_eq!(ca.client().find_account(new.key().clone()).await.unwrap().url(), new.url());
        account = new;
    }
}

// A43
#[tokio::test]
async fn orders_and_authorizations_live_through_a_change_and_proofs_follow_the_new_key() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let ready = ca.ready_order(&account, &["a.test"]).await;
    let pending = ca.order(&account, &["b.test"]).await;
    let account = account.change_key(key()).await.unwrap();
    let mut ready = account.order_at(ready.url()).await.unwrap();
    assert_eq!(ready.status(), OrderStatus::Ready);
    ca.finalize(&mut ready).await;
    assert_eq!(ready.status(), OrderStatus::Valid);
    let mut pending = account.order_at(pending.url()).await.unwrap();
    pending.authorize(ca.responder()).await.unwrap();
    assert_eq!(pending.refresh().await.unwrap(), OrderStatus::Ready);
}

// A40, A41, A44
#[tokio::test]
async fn each_broken_part_of_a_key_change_is_refused_and_changes_nothing() {
    let ca = Ca::start().await;
    let (account, other) = (ca.account().await, ca.account().await);
    let (new, url) = (key(), ca.directory().key_change.clone());
    let (good_header, good_payload) = (header(&new, &url), payload(&account));
    let altered = |value: &Value, name: &str, to: Value| {
        let mut value = value.clone();
        if to.is_null() {
            value.as_object_mut().unwrap().remove(name)
        } else {
            value.as_object_mut().unwrap().insert(name.into(), to)
        };
        value
    };
    let mut wrong = vec![
        inner(&new, &altered(&good_header, "url", ca.directory().new_order.clone().into()), &good_payload),
        inner(&new, &altered(&good_header, "url", Value::Null), &good_payload),
        inner(&new, &altered(&good_header, "nonce", ca.nonce().await.into()), &good_payload),
        inner(&new, &altered(&good_header, "jwk", Value::Null), &good_payload),
        inner(&new, &altered(&good_header, "kid", account.url().into()), &good_payload),
        inner(&new, &altered(&good_header, "crit", json!(["exp"])), &good_payload),
        inner(&new, &altered(&good_header, "b64", false.into()), &good_payload),
        inner(&new, &good_header, &altered(&good_payload, "account", other.url().into())),
        inner(&new, &good_header, &altered(&good_payload, "account", format!("{}/", account.url()).into())),
        inner(&new, &good_header, &altered(&good_payload, "account", Value::Null)),
        inner(&new, &good_header, &altered(&good_payload, "oldKey", other.key().jwk().to_json())),
        inner(&new, &good_header, &altered(&good_payload, "oldKey", Value::Null)),
        inner(&key(), &good_header, &good_payload),
        json!({}),
        json!({ "protected": "", "payload": "", "signature": "" }),
    ];
    let mut with_header = inner(&new, &good_header, &good_payload);
    with_header["header"] = json!({});
    wrong.push(with_header);
    for wrong in wrong {
        refused(change(&ca, &account, wrong).await, 400, "malformed");
    }
    for (algorithm, kind) in
        [("none", "badSignatureAlgorithm"), ("HS256", "badSignatureAlgorithm"), ("ES384", "badPublicKey")]
    {
        let forged = inner(&new, &altered(&good_header, "alg", algorithm.into()), &good_payload);
        refused(change(&ca, &account, forged).await, 400, kind);
    }
    assert!(account.object().await.is_ok());
    assert_eq!(change(&ca, &account, inner(&new, &good_header, &good_payload)).await.status, 200);
}

// A42, A21
#[tokio::test]
async fn a_key_that_an_account_has_is_a_conflict_that_names_the_account() {
    let ca = Ca::start().await;
    let (account, other) = (ca.account().await, ca.account().await);
    for taken in [&other, &account] {
        let error = account.change_key(taken.key().clone()).await.unwrap_err();
        assert_eq!(error.refusal().unwrap().location.as_deref(), Some(taken.url()));
        denied::<()>(Err(error), 409, "malformed");
    }
    assert!(account.object().await.is_ok());
}

// A40: the outer JWS is the account's as for every other request.
#[tokio::test]
async fn a_key_change_is_signed_by_the_old_key() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let (new, url) = (key(), ca.directory().key_change.clone());
    let inner = inner(&new, &header(&new, &url), &payload(&account));
    let request = ca.forged(&account, &url).await.payload(inner.clone()).signed_by(&new);
    refused(request.send(&ca).await, 400, "malformed");
    refused(ca.forged_by_key(account.key(), &url).await.payload(inner).send(&ca).await, 400, "malformed");
    denied(account.fetch(&url).await, 400, "malformed");
}

// A43: when the two keys race, one wins and the account is never without a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_changes_at_once_one_wins() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut changes = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let account = account.clone();
        changes.spawn(async move { account.change_key(key()).await.ok() });
    }
    let won: Vec<_> = changes.join_all().await.into_iter().flatten().collect();
    assert!(!won.is_empty());
    let mut alive = 0;
    for account in won {
        alive += usize::from(account.object().await.is_ok());
    }
    assert_eq!(alive, 1);
}
