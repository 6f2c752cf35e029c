//! Accounts (RFC 8555 §7.3): registration with and without a binding, updates, key change, deactivation, lists of orders, and
//! changed terms of service.

mod listeners;

use hyper::{HeaderMap, Method};
use listeners::{Ca, NOW, Person, body, impatient, refused};
use serde_json::{Value, json};
use sote_acme::acme::external_account::MacAlgorithm;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::authority::Terms;
use sote_acme::client::HttpVersion;

fn key() -> AccountKey {
    AccountKey::generate(JwsAlgorithm::Es256).unwrap()
}

#[tokio::test]
async fn an_account_is_created_once_for_each_key_and_shows_nothing_that_was_not_asked_for() {
    let ca = Ca::start(impatient()).await;
    let key = key();
    let odd = json!({ "contact": ["mailto:it@example.fi"], "onlyReturnExisting": false, "orders": "x", "status": "", "odd": 1 });
    let created = ca.new_account("/organisation/new-account", &key, &odd).await;
    assert_eq!(created.status, 201);
    let (url, account) = (created.header("location").unwrap(), body(&created));
    assert_eq!(account["status"], "valid");
    assert_eq!(account["contact"], json!(["mailto:it@example.fi"]));
    assert_eq!(account["orders"], format!("{url}/orders"));
    for absent in ["onlyReturnExisting", "odd", "externalAccountBinding", "key"] {
        assert!(account.get(absent).is_none(), "{absent}");
    }

    let other = json!({ "contact": ["mailto:other@example.fi"] });
    let again = ca.new_account("/organisation/new-account", &key, &other).await;
    assert_eq!((again.status, again.header("location")), (200, Some(url)));
    assert_eq!(body(&again), account, "fields of the second request are ignored");
}

#[tokio::test]
async fn every_kind_of_account_key_registers() {
    let ca = Ca::start(impatient()).await;
    for algorithm in JwsAlgorithm::ALL {
        let key = AccountKey::generate(*algorithm).unwrap();
        assert_eq!(ca.new_account("/organisation/new-account", &key, &json!({})).await.status, 201, "{algorithm}");
    }
}

#[tokio::test]
async fn looking_for_an_account_creates_none_and_needs_no_binding() {
    let ca = Ca::start(impatient()).await;
    let key = key();
    let look = json!({ "onlyReturnExisting": true });
    for door in ["/acme/new-account", "/organisation/new-account"] {
        refused(&ca.new_account(door, &key, &look).await, 400, "accountDoesNotExist");
    }
    assert_eq!(ca.new_account("/organisation/new-account", &key, &json!({})).await.status, 201);
    assert_eq!(ca.new_account("/acme/new-account", &key, &look).await.status, 200);
}

#[tokio::test]
async fn the_server_directory_needs_a_binding_and_shows_the_one_that_it_verified() {
    let ca = Ca::start(impatient()).await;
    refused(&ca.new_account("/acme/new-account", &key(), &json!({})).await, 403, "externalAccountRequired");
    let credentials = ca.invitation(&["*"], 1).await;
    let key = key();
    let payload = ca.bound(&key, &credentials);
    let created = ca.new_account("/acme/new-account", &key, &payload).await;
    assert_eq!(created.status, 201);
    assert_eq!(body(&created)["externalAccountBinding"], payload["externalAccountBinding"]);

    // X-Road asks again with the same binding, which is used up by now, and without the terms.
    let again = ca.new_account("/acme/new-account", &key, &payload).await;
    assert_eq!(again.status, 200);
    let broken = json!({ "externalAccountBinding": { "protected": "x" } });
    assert_eq!(ca.new_account("/acme/new-account", &key, &broken).await.status, 200);
}

#[tokio::test]
async fn a_binding_that_is_not_right_in_every_part_creates_nothing() {
    let ca = Ca::start(impatient()).await;
    let credentials = ca.invitation(&["*"], 1).await;
    let url = ca.url("/acme/new-account");
    let key = key();
    let bind = |kid: &str, mac_key: &[u8], url: &str| json!({ "externalAccountBinding": key.bind_external(MacAlgorithm::Hs256, kid, mac_key, url).unwrap() });
    let ask = async |payload: Value| ca.new_account("/acme/new-account", &key, &payload).await;
    let (kid, mac_key) = (&credentials.kid, &credentials.hmac_key);
    refused(&ask(bind("k1_AAAAAAAAAAAAAAAAAAAAAA", mac_key, &url)).await, 403, "unauthorized");
    refused(&ask(bind("odd", mac_key, &url)).await, 403, "unauthorized");
    refused(&ask(bind(kid, &[9; 32], &url)).await, 403, "unauthorized");
    let other_door = ca.url("/organisation/new-account");
    refused(&ask(bind(kid, mac_key, &other_door)).await, 400, "malformed");
    refused(&ask(json!({ "externalAccountBinding": "x" })).await, 400, "malformed");
    let of_another_key = ca.bound(&self::key(), &credentials);
    refused(&ask(of_another_key).await, 400, "malformed");

    // One answer for an unknown key identifier and for a wrong MAC.
    let (unknown, wrong) = (ask(bind("odd", mac_key, &url)).await, ask(bind(kid, &[9; 32], &url)).await);
    assert_eq!(unknown.body, wrong.body);

    refused(&ask(json!({ "onlyReturnExisting": true })).await, 400, "accountDoesNotExist");
    assert_eq!(ask(ca.bound(&key, &credentials)).await.status, 201, "the invitation is not used up by failures");
    let second = ca.new_account("/acme/new-account", &self::key(), &ca.bound(&self::key(), &credentials)).await;
    assert!(second.status == 400 || second.status == 403);
}

#[tokio::test]
async fn an_invitation_is_spent_by_as_many_accounts_as_it_allows() {
    let ca = Ca::start(impatient()).await;
    let credentials = ca.invitation(&["*"], 3).await;
    let attempts: Vec<_> = (0..8).map(|_| key()).collect();
    let mut created = 0;
    let requests = attempts.iter().map(|key| {
        let payload = ca.bound(key, &credentials);
        let ca = &ca;
        async move { ca.new_account("/acme/new-account", key, &payload).await }
    });
    for got in join_all(requests).await {
        match got.status {
            201 => created += 1,
            _ => refused(&got, 403, "unauthorized"),
        }
    }
    assert_eq!(created, 3);
}

/// All of them at once.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, done) in &mut running {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test]
async fn an_account_reads_and_changes_itself() {
    let ca = Ca::start(impatient()).await;
    let person = ca.stranger().await;
    assert_eq!(person.read(&person.account).await.status, 200);
    let changed = person
        .post(&person.account, &json!({ "contact": ["mailto:new@example.fi"], "status": "valid", "orders": "x" }))
        .await;
    assert_eq!((changed.status, body(&changed)["contact"].clone()), (200, json!(["mailto:new@example.fi"])));
    assert_eq!(
        body(&person.post(&person.account, &json!({})).await),
        body(&changed),
        "an empty update changes nothing"
    );
    let emptied = person.post(&person.account, &json!({ "contact": [] })).await;
    assert!(body(&emptied).get("contact").is_none());
    refused(&person.post(&person.account, &json!({ "contact": ["tel:+358"] })).await, 400, "unsupportedContact");
    refused(&person.post(&person.account, &json!({ "contact": ["mailto:"] })).await, 400, "invalidContact");
    let other = ca.stranger().await;
    refused(&other.post(&person.account, &json!({ "contact": [] })).await, 404, "malformed");
}

#[tokio::test]
async fn a_deactivated_account_is_refused_from_then_on() {
    let ca = Ca::start(impatient()).await;
    let member = ca.member(&ca.invitation(&["*"], 1).await).await;
    let order = member.order(&["www.example.fi"]).await;
    let ended = member.post(&member.account, &json!({ "status": "deactivated" })).await;
    assert_eq!((ended.status, body(&ended)["status"].clone()), (200, json!("deactivated")));
    for url in [&member.account, order.header("location").unwrap(), &ca.url("/acme/new-order")] {
        refused(&member.read(url).await, 401, "unauthorized");
    }
    refused(&ca.new_account("/acme/new-account", &member.key, &json!({})).await, 401, "unauthorized");
}

async fn change_key(
    person: &Person<'_>,
    new: &AccountKey,
    account: &str,
    old: &AccountKey,
) -> sote_acme::client::Response {
    let url = person.ca.url("/acme/key-change");
    person.post(&url, &new.key_change(account, old.jwk(), &url).unwrap()).await
}

#[tokio::test]
async fn a_changed_key_signs_and_the_old_one_does_not() {
    let ca = Ca::start(impatient()).await;
    let mut member = ca.member(&ca.invitation(&["*"], 1).await).await;
    let order = member.order(&["www.example.fi"]).await.header("location").unwrap().to_owned();
    let new = AccountKey::generate(JwsAlgorithm::EdDsa).unwrap();
    assert_eq!(change_key(&member, &new, &member.account, &member.key).await.status, 200);
    refused(&member.read(&member.account).await, 400, "badPublicKey");
    member.key = new;
    assert_eq!(body(&member.read(&order).await)["status"], "pending", "orders live on");
}

#[tokio::test]
async fn a_key_that_an_account_has_is_taken() {
    let ca = Ca::start(impatient()).await;
    let (person, other) = (ca.stranger().await, ca.stranger().await);
    for (key, owner) in [(&other.key, &other.account), (&person.key, &person.account)] {
        let got = change_key(&person, key, &person.account, &person.key).await;
        refused(&got, 409, "malformed");
        assert_eq!(got.header("location"), Some(owner.as_str()));
    }
    refused(&change_key(&person, &key(), &other.account, &person.key).await, 400, "malformed");
    refused(&change_key(&person, &key(), &person.account, &other.key).await, 400, "malformed");
    refused(&person.read(&ca.url("/acme/key-change")).await, 400, "malformed");
}

#[tokio::test]
async fn the_list_of_orders_has_pages_that_cover_all_of_them_once() {
    let ca = Ca::start(impatient()).await;
    let member = ca.member(&ca.invitation(&["*"], 1).await).await;
    let mut made = std::collections::BTreeSet::new();
    for _ in 0..103 {
        made.insert(member.order(&["www.example.fi"]).await.header("location").unwrap().to_owned());
    }
    let (mut next, mut listed, mut pages) = (Some(format!("{}/orders", member.account)), Vec::new(), 0);
    while let Some(url) = next {
        let got = member.read(&url).await;
        assert_eq!(got.status, 200);
        listed.extend(body(&got)["orders"].as_array().unwrap().iter().map(|url| url.as_str().unwrap().to_owned()));
        next = got.links("next").first().cloned();
        pages += 1;
    }
    assert_eq!((listed.len(), pages), (103, 2));
    assert_eq!(listed.into_iter().collect::<std::collections::BTreeSet<_>>(), made);
    for query in ["?cursor=", "?cursor=x", "?page=2", "?"] {
        refused(&member.read(&format!("{}/orders{query}", member.account)).await, 404, "malformed");
    }
}

fn terms(required_from: bool) -> Terms {
    let required_from = required_from.then_some(NOW);
    Terms { version: "2".into(), url: "https://ca.example.fi/terms".into(), required_from }
}

#[tokio::test]
async fn terms_that_were_not_agreed_to_refuse_an_account() {
    let ca = Ca::start_with(impatient(), Some(terms(false))).await;
    for payload in [json!({}), json!({ "termsOfServiceAgreed": false })] {
        refused(&ca.new_account("/organisation/new-account", &key(), &payload).await, 400, "malformed");
    }
    let agreed = ca.new_account("/organisation/new-account", &key(), &json!({ "termsOfServiceAgreed": true })).await;
    assert_eq!((agreed.status, body(&agreed)["termsOfServiceAgreed"].clone()), (201, json!(true)));
}

#[tokio::test]
async fn the_terms_themselves_can_be_read() {
    let ca = Ca::start_with(impatient(), Some(terms(false))).await;
    let got = ca.client(HttpVersion::Http1).get(&ca.url("/terms")).await.unwrap();
    assert_eq!(got.status, 200);
    assert!(String::from_utf8_lossy(&got.body).contains("Be &lt;good&gt;."));
}

#[tokio::test]
async fn an_unknown_page_of_terms_is_nothing() {
    let ca = Ca::start_with(impatient(), Some(terms(true))).await;
    let client = ca.client(HttpVersion::Http1);
    let url = ca.url("/terms/AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(client.get(&url).await.unwrap().status, 404);
    let form = client.post(&url, "application/x-www-form-urlencoded", "agree=yes").await.unwrap();
    assert_eq!(form.status, 404);
    let head = client.send(Method::HEAD, &url, HeaderMap::new(), Default::default()).await.unwrap();
    assert_eq!(head.status, 404);
}
