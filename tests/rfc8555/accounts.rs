//! RFC 8555 §7.1.1, §7.1.2 and §7.3: the directory and accounts. Rows D and A of `docs/protocol.md`.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use sote_acme::acme::status::{AccountStatus, AuthorizationStatus, OrderStatus};
use sote_acme::client::{Account, Client, OrderRequest, Payload, Response};
use sote_acme::config::Rate;

use crate::support::judge::{denied, refused};
use crate::support::{Ca, key};

// D01, D02, D03, D04, D05, D06, D08
#[tokio::test]
async fn the_directory_names_every_operation_and_describes_the_service() {
    let ca = Ca::start().await;
    let answer = ca.get(ca.client().directory_url()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let directory: Value = answer.json().unwrap();
    for name in ["newNonce", "newAccount", "newOrder", "newAuthz", "revokeCert", "keyChange", "renewalInfo"] {
        assert!(directory[name].as_str().unwrap().starts_with(&ca.base()), "{name}");
    }
    let meta = &directory["meta"];
    assert!(meta["termsOfService"].is_string() && meta["website"].is_string());
    assert_eq!(meta["externalAccountRequired"], true);
    assert!(meta["caaIdentities"].as_array().unwrap().iter().all(Value::is_string));
    assert!(meta["profiles"]["sote-server"].is_string());
}

// D04: the organisations' directory asks for no binding.
#[tokio::test]
async fn the_organisations_directory_shares_the_accounts_but_needs_no_binding() {
    let ca = Ca::start().await;
    let server: Value = ca.get(ca.client().directory_url()).await.json().unwrap();
    let organisation: Value = ca.get(ca.organisation_client().directory_url()).await.json().unwrap();
    assert_ne!(organisation["meta"]["externalAccountRequired"], true);
    assert_eq!(organisation["keyChange"], server["keyChange"]);
    assert_ne!(organisation["newAccount"], server["newAccount"]);
}

async fn new_account(ca: &Ca, client: &Client, request: Value) -> Response {
    ca.forged_by_key(&key(), &client.directory().new_account.clone()).await.payload(request).send(ca).await
}

// A01, A02, A05, A06
#[tokio::test]
async fn a_new_account_is_created_with_what_it_needs_and_nothing_that_was_smuggled_in() {
    let ca = Ca::start().await;
    let request = json!({
        "termsOfServiceAgreed": true, "contact": ["mailto:tuki@a.test"], "status": "revoked", "orders": "https://x.test/",
        "onlyReturnExisting": false, "createdAt": "1970-01-01T00:00:00Z", "evil": 1,
    });
    let answer = new_account(&ca, ca.organisation_client(), request).await;
    let account: Value = answer.json().unwrap();
    assert_eq!(answer.status, 201);
    assert!(answer.header("location").unwrap().starts_with(&ca.base()));
    assert_eq!(account["status"], "valid");
    assert_eq!(account["contact"], json!(["mailto:tuki@a.test"]));
    assert_eq!(account["termsOfServiceAgreed"], true);
    assert_eq!(account["orders"], format!("{}/orders", answer.header("location").unwrap()));
    for name in ["onlyReturnExisting", "createdAt", "evil", "externalAccountBinding", "key"] {
        assert!(account.get(name).is_none(), "{account}");
    }
}

// A03, A37
#[tokio::test]
async fn a_known_key_gets_its_account_back_whatever_else_the_request_says() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let before = account.object().await.unwrap();
    for request in [
        json!({ "contact": ["mailto:other@a.test"], "termsOfServiceAgreed": true }),
        json!({ "onlyReturnExisting": true }),
        json!({ "contact": ["tel:+358"], "externalAccountBinding": { "protected": "x", "payload": "y", "signature": "z" } }),
        json!({}),
    ] {
        let forged = ca.forged_by_key(account.key(), &ca.directory().new_account.clone()).await;
        let answer = forged.payload(request).send(&ca).await;
        assert_eq!((answer.status, answer.header("location")), (200, Some(account.url())));
        assert_eq!(answer.json::<Value>().unwrap(), serde_json::to_value(&before).unwrap());
    }
}

// A04
#[tokio::test]
async fn only_return_existing_never_creates() {
    let ca = Ca::start().await;
    let key = key();
    let doors = [ca.client(), ca.organisation_client()];
    for client in doors {
        denied(client.find_account(key.clone()).await, 400, "accountDoesNotExist");
    }
    let account = ca.client().register(key.clone(), &ca.registration()).await.unwrap();
    for client in doors {
        assert_eq!(client.find_account(key.clone()).await.unwrap().url(), account.url());
    }
}

// A07, D06
#[tokio::test]
async fn the_terms_of_service_must_be_agreed_to() {
    let ca = Ca::start().await;
    for request in [json!({}), json!({ "termsOfServiceAgreed": false })] {
        refused(new_account(&ca, ca.organisation_client(), request).await, 400, "malformed");
    }
}

// A08, A09
#[tokio::test]
async fn contacts_are_single_mailboxes_or_none() {
    let ca = Ca::start().await;
    let request = |contact: Value| json!({ "termsOfServiceAgreed": true, "contact": contact });
    let client = ca.organisation_client();
    for (contact, kind) in [
        ("tel:+358405123456", "unsupportedContact"),
        ("https://a.test/", "unsupportedContact"),
        ("mailto:", "invalidContact"),
        ("mailto:a", "invalidContact"),
        ("mailto:a@b.test,c@d.test", "invalidContact"),
        ("mailto:a@b.test?cc=c@d.test", "invalidContact"),
        ("mailto:a@b.test\r\nBcc: x", "invalidContact"),
    ] {
        let answer = new_account(&ca, client, request(json!([contact]))).await;
        let problem = crate::support::judge::problem(&answer);
        assert_eq!((answer.status, problem.name()), (400, Some(kind)), "{contact}: {problem}");
    }
    for contact in [json!([]), Value::Null, json!(["mailto:a@b.test", "mailto:c@d.test"])] {
        assert_eq!(new_account(&ca, client, request(contact)).await.status, 201);
    }
    let without = json!({ "termsOfServiceAgreed": true });
    assert_eq!(new_account(&ca, client, without).await.status, 201);
}

// A10, A11
#[tokio::test]
async fn an_account_changes_its_contacts_and_nothing_else() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let before = account.object().await.unwrap();
    let updated = account.update_contact(&["mailto:new@a.test"]).await.unwrap();
    assert_eq!(updated.contact, ["mailto:new@a.test"]);
    let request = json!({ "status": "valid", "orders": "https://x.test/", "termsOfServiceAgreed": false, "x": 1 });
    let answer = ca.forged(&account, account.url()).await.payload(request).send(&ca).await;
    assert_eq!((answer.status, answer.json::<Value>().unwrap()), (200, serde_json::to_value(&updated).unwrap()));
    assert_eq!(account.update_contact(&[]).await.unwrap().contact, Vec::<String>::new());
    denied(account.update_contact(&["tel:+358"]).await, 400, "unsupportedContact");
    denied(account.update_contact(&["mailto:"]).await, 400, "invalidContact");
    let after = account.object().await.unwrap();
    assert_eq!(
        (after.status, after.orders, after.external_account_binding),
        (before.status, before.orders, before.external_account_binding)
    );
}

// A12
#[tokio::test]
async fn another_account_cannot_change_an_account() {
    let ca = Ca::start().await;
    let (owner, stranger) = (ca.account().await, ca.account().await);
    let request = ca.forged(&stranger, owner.url()).await.payload(json!({ "contact": ["mailto:x@x.test"] }));
    refused(request.send(&ca).await, 404, "malformed");
    assert_ne!(owner.object().await.unwrap().contact, ["mailto:x@x.test"]);
}

async fn ended(ca: &Ca) -> Account {
    let account = ca.account().await;
    assert_eq!(account.deactivate().await.unwrap().status, AccountStatus::Deactivated);
    account
}

// A13, A14
#[tokio::test]
async fn a_deactivated_account_is_refused_everywhere() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    assert_eq!(account.deactivate().await.unwrap().status, AccountStatus::Deactivated);
    denied(account.fetch(account.url()).await, 401, "unauthorized");
    denied(account.fetch(issued.order.url()).await, 401, "unauthorized");
    denied(account.fetch(issued.chain.url()).await, 401, "unauthorized");
    denied(account.order(&OrderRequest::of_names(["a.test"])).await, 401, "unauthorized");
    denied(account.deactivate().await, 401, "unauthorized");
    denied(account.revoke(issued.chain.leaf(), None).await, 401, "unauthorized");
}

// A15
#[tokio::test]
async fn deactivation_ends_open_orders_and_leaves_certificates_alone() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let open = ca.ready_order(&account, &["b.test"]).await;
    account.deactivate().await.unwrap();
    assert!(ca.is_good(&issued.chain, "a.test").await);
    let status = ca.stored_order_status(open.url()).await;
    assert_eq!(status, OrderStatus::Invalid);
}

// A16
#[tokio::test]
async fn the_key_of_a_deactivated_account_makes_no_other_one() {
    let ca = Ca::start().await;
    let account = ended(&ca).await;
    denied(ca.client().register(account.key().clone(), &ca.registration()).await, 401, "unauthorized");
    denied(ca.client().find_account(account.key().clone()).await, 401, "unauthorized");
}

// A18, A19
#[tokio::test]
async fn the_list_of_orders_holds_the_accounts_own_and_no_invalid_ones() {
    let ca = Ca::start().await;
    let (account, other) = (ca.account().await, ca.account().await);
    let pending = ca.order(&account, &["a.test"]).await;
    let issued = ca.issue(&account, &["b.test"]).await;
    let invalid = ca.order(&account, &["c.test"]).await;
    let mut authorization = invalid.authorizations().await.unwrap().remove(0);
    assert_eq!(authorization.deactivate().await.unwrap(), AuthorizationStatus::Deactivated);
    ca.order(&other, &["d.test"]).await;
    let listed: HashSet<_> = account.orders().await.unwrap().into_iter().collect();
    assert_eq!(listed, HashSet::from([pending.url().to_owned(), issued.order.url().to_owned()]));
    assert_eq!(ca.account().await.orders().await.unwrap(), Vec::<String>::new());
}

// A20
#[tokio::test]
async fn a_long_list_of_orders_comes_in_pages_that_hold_each_order_once() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut placed = HashSet::new();
    for _ in 0..105 {
        placed.insert(ca.order(&account, &["a.test"]).await.url().to_owned());
    }
    let list = account.object().await.unwrap().orders;
    let first = account.fetch(&list).await.unwrap();
    let next = first.links("next");
    assert_eq!(next.len(), 1, "105 orders are more than a page");
    let listed = account.orders().await.unwrap();
    assert_eq!(listed.len(), placed.len());
    assert_eq!(listed.into_iter().collect::<HashSet<_>>(), placed);
    for query in ["?cursor=", "?cursor=x", "?page=2", "?"] {
        denied(account.fetch(&format!("{list}{query}")).await, 404, "malformed");
    }
    let other_url = ca.forged(&account, &next[0]).await.header("url", list).payload_octets(b"");
    refused(other_url.send(&ca).await, 403, "unauthorized");
}

// A22, S02
#[tokio::test]
async fn urls_cannot_be_guessed_and_tell_nothing() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.order(&account, &["secret-name.test"]).await;
    for url in [account.url(), order.url(), &order.object().authorizations[0]] {
        let id = url.rsplit('/').next().unwrap();
        assert!(id.len() >= 22, "{url}");
        assert!(!url.contains("secret"), "{url}");
    }
    let account_id = account.url().rsplit('/').next().unwrap().to_owned();
    assert!(!order.url().contains(&account_id));
}

// E01, E02, E03
#[tokio::test]
async fn beyond_the_rate_limit_comes_429_with_whole_seconds_and_a_page_of_help() {
    let ca = Ca::start_with(|config| {
        config.http.rate_limits.enabled = true;
        config.http.rate_limits.new_orders_per_account = Rate { count: 3, per: Duration::from_secs(3600) };
    })
    .await;
    let account = ca.account().await;
    let payload = Payload::of(OrderRequest::of_names(["a.test"]).message()).unwrap();
    let mut limited = None;
    for _ in 0..10 {
        if let Err(error) = account.post(&ca.directory().new_order.clone(), &payload).await {
            limited = error.refusal().cloned();
            break;
        }
    }
    let limited = limited.expect("the limit was reached");
    assert_eq!((limited.status, limited.problem.name()), (429, Some("rateLimited")));
    assert!(limited.retry_after.unwrap() > 0);
    assert_eq!(limited.help.len(), 1);
    let page = ca.get(&limited.help[0]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
}

// E01: all requests of an address together, also those that lead nowhere.
#[tokio::test]
async fn an_address_is_limited_whatever_it_asks_for() {
    let ca = Ca::start_with(|config| {
        config.http.rate_limits.enabled = true;
        config.http.rate_limits.requests_per_address = Rate { count: 20, per: Duration::from_secs(3600) };
    })
    .await;
    for _ in 0..20 {
        ca.get(&format!("{}/nothing", ca.base())).await;
    }
    let answer = ca.post(&ca.directory().new_order.clone(), "application/jose+json", b"{}".to_vec()).await;
    assert!(answer.retry_after().is_some_and(|seconds| seconds > 0));
    refused(answer, 429, "rateLimited");
}

// E07
#[tokio::test]
async fn after_a_change_of_terms_an_order_names_the_page_where_to_agree() {
    let mut ca = Ca::start().await;
    let account = ca.account().await;
    let since = ca.now().plus(-1);
    ca.restart_with(move |config| {
        let terms = config.terms.as_mut().unwrap();
        terms.version = "2".to_owned();
        terms.required_from = Some(since);
    })
    .await;
    let account = ca.again(&account);
    let error = account.order(&OrderRequest::of_names(["a.test"])).await.unwrap_err();
    let refusal = error.refusal().unwrap().clone();
    assert_eq!((refusal.status, refusal.problem.name()), (403, Some("userActionRequired")));
    assert_eq!(refusal.help.len(), 1, "Link rel=terms-of-service");
    let page = refusal.problem.instance.unwrap();
    let shown = ca.get(&page).await;
    assert_eq!(shown.status, 200);
    assert!(shown.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let form = "application/x-www-form-urlencoded";
    assert_eq!(ca.post(&page, form, b"version=2".to_vec()).await.status, 400, "without the tick");
    assert_eq!(ca.post(&page, "text/plain", b"agree=yes".to_vec()).await.status, 415);
    let unknown = format!("{}/AAAAAAAAAAAAAAAAAAAAAA", page.rsplit_once('/').unwrap().0);
    assert_eq!(ca.post(&unknown, form, b"version=2&agree=yes".to_vec()).await.status, 404);
    assert_eq!(ca.post(&page, form, b"version=2&agree=yes".to_vec()).await.status, 200);
    for gone in [&page, &unknown] {
        for method in ["GET", "HEAD"] {
            assert_eq!(ca.request(method, gone).await.status, 404, "{gone}");
        }
    }
    assert!(account.order(&OrderRequest::of_names(["a.test"])).await.is_ok());
}

// A21: two requests with one new key at once make one account.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_never_gets_two_accounts() {
    let ca = Ca::start().await;
    let key = key();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, key, registration) = (ca.client().clone(), key.clone(), ca.registration());
        requests.spawn(async move { client.register(key, &registration).await.unwrap().url().to_owned() });
    }
    let urls: HashSet<_> = requests.join_all().await.into_iter().collect();
    assert_eq!(urls.len(), 1);
}

// A09: what stock clients send beside the members that count.
#[tokio::test]
async fn the_odd_members_of_stock_clients_do_not_disturb() {
    let ca = Ca::start().await;
    let caddy = json!({ "status": "", "orders": "", "contact": ["mailto:a@b.test"], "termsOfServiceAgreed": true });
    assert_eq!(new_account(&ca, ca.organisation_client(), caddy).await.status, 201);
}
