//! RFC 8555 §7.1.3, §7.1.6 and §7.4: orders up to finalize. Rows O01 to O13, O20 and E05 of `docs/protocol.md`.

use std::time::Duration;

use serde_json::{Value, json};
use sote_acme::acme::messages::NewOrder;
use sote_acme::acme::status::{AuthorizationStatus, OrderStatus};
use sote_acme::client::{Account, OrderRequest, Response};

use crate::support::Ca;
use crate::support::judge::{denied, problem, refused};

async fn ordered(ca: &Ca, account: &Account, payload: Value) -> Response {
    ca.forged(account, &ca.directory().new_order.clone()).await.payload(payload).send(ca).await
}

fn dns(names: &[&str]) -> Value {
    let identifiers: Vec<_> = names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
    json!({ "identifiers": identifiers })
}

// O01, O02
#[tokio::test]
async fn a_new_order_has_what_a_client_needs_next() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let answer = ordered(&ca, &account, dns(&["a.test", "b.test"])).await;
    assert_eq!(answer.status, 201);
    let location = answer.header("location").unwrap().to_owned();
    let order: Value = answer.json().unwrap();
    assert_eq!(order["status"], "pending");
    assert!(order["expires"].as_str().unwrap().ends_with('Z'));
    assert_eq!(order["identifiers"], dns(&["a.test", "b.test"])["identifiers"]);
    assert_eq!(order["authorizations"].as_array().unwrap().len(), 2);
    assert_eq!(order["finalize"], format!("{location}/finalize"));
    for absent in ["certificate", "error", "notBefore", "notAfter", "replaces"] {
        assert!(order.get(absent).is_none(), "{absent}");
    }
    assert_eq!(account.fetch(&location).await.unwrap().json::<Value>().unwrap(), order);
}

// O03
#[tokio::test]
async fn identifiers_and_authorizations_never_change() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.order(&account, &["a.test", "*.b.test", "c.test"]).await;
    let before = (order.object().identifiers.clone(), order.object().authorizations.clone());
    ca.authorize(&mut order).await;
    order.refresh().await.unwrap();
    assert_eq!((order.object().identifiers.clone(), order.object().authorizations.clone()), before);
    ca.finalize(&mut order).await;
    assert_eq!((order.object().identifiers.clone(), order.object().authorizations.clone()), before);
}

// O04
#[tokio::test]
async fn an_unknown_identifier_type_is_unsupported() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for kind in ["email", "ip", "DNS", "", "permanent-identifier"] {
        let order = json!({ "identifiers": [{ "type": kind, "value": "192.0.2.1" }] });
        refused(ordered(&ca, &account, order).await, 400, "unsupportedIdentifier");
    }
}

// O04, E05, E04
#[tokio::test]
async fn each_refused_name_gets_a_subproblem_with_its_identifier() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let answer = ordered(&ca, &account, dns(&["a.test", "b.example.fi", "c.example.fi"])).await;
    let problem = refused(answer, 403, "rejectedIdentifier");
    let named: Vec<_> = problem.subproblems.iter().filter_map(|part| part.identifier.clone()).collect();
    assert_eq!(Value::from(named), dns(&["b.example.fi", "c.example.fi"])["identifiers"]);
    assert!(problem.subproblems.iter().all(|part| part.name() == Some("rejectedIdentifier")));
}

// O05
#[tokio::test]
async fn an_order_has_a_list_of_identifiers_each_once() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let many: Vec<_> = (0..101).map(|n| format!("n{n}.test")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for order in [
        json!({}),
        json!({ "identifiers": [] }),
        json!({ "identifiers": null }),
        json!({ "identifiers": { "type": "dns", "value": "a.test" } }),
        json!({ "identifiers": ["a.test"] }),
        json!({ "identifiers": [{ "type": "dns" }] }),
        json!({ "identifiers": [{ "type": "dns", "value": 1 }] }),
        dns(&["a.test", "a.test"]),
        dns(&["a.test", "A.test"]),
        dns(&many),
    ] {
        let answer = ordered(&ca, &account, order.clone()).await;
        let problem = problem(&answer);
        assert_eq!((answer.status, problem.name()), (400, Some("malformed")), "{order}: {problem}");
    }
}

// O06, O07
#[tokio::test]
async fn requested_times_are_kept_exactly_or_refused() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let year = ca.now().plus(365 * 86_400);
    let request = OrderRequest::of_names(["a.test"]).not_after(year);
    let issued = ca.obtained(&account, &request).await;
    assert_eq!(issued.order.object().not_after.as_deref(), Some(year.to_string().as_str()));
    assert_eq!(issued.validity().1, year);
    for (name, time) in [
        ("notAfter", ca.now().plus(3 * 366 * 86_400).to_string()),
        ("notAfter", ca.now().plus(-60).to_string()),
        ("notBefore", ca.now().plus(-86_400).to_string()),
        ("notBefore", ca.now().plus(366 * 86_400).to_string()),
        ("notAfter", "next year".to_owned()),
        ("notAfter", "2027-01-01".to_owned()),
    ] {
        let mut order = dns(&["a.test"]);
        order[name] = time.into();
        refused(ordered(&ca, &account, order).await, 400, "malformed");
    }
}

// O07
#[tokio::test]
async fn a_time_with_an_offset_means_that_moment() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let moment = ca.now().plus(100 * 86_400);
    let shifted = moment.plus(4 * 3600).to_string().replace('Z', "+04:00");
    let order = NewOrder { not_after: Some(shifted.clone()), ..OrderRequest::of_names(["a.test"]).message().clone() };
    let issued = ca.obtained(&account, &OrderRequest::of(order)).await;
    let echoed = issued.order.object().not_after.clone().unwrap();
    assert_eq!(echoed.parse::<sote_acme::time::Timestamp>().unwrap(), moment, "{shifted} became {echoed}");
    assert_eq!(issued.validity().1, moment);
}

// O08, O09
#[tokio::test]
async fn names_are_lower_case_a_labels_with_at_most_one_asterisk_in_front() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for name in [
        "",
        "*",
        "*.",
        "a.*.test",
        "**.a.test",
        "*.*.a.test",
        "*a.test",
        "a..test",
        ".a.test",
        "a.test.",
        "-a.test",
        "a_b.test",
        "å.test",
        "xn--a.test",
        "192.0.2.1",
        "::1",
        "a b.test",
        "a.test:80",
        "https://a.test",
    ] {
        refused(ordered(&ca, &account, dns(&[name])).await, 400, "malformed");
    }
    let order = ca.order(&account, &["XN--MNCHEN-3YA.TEST"]).await;
    assert_eq!(order.object().identifiers[0].value, "xn--mnchen-3ya.test");
}

// O09, Z02
#[tokio::test]
async fn a_wildcard_is_authorised_by_its_base_name() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.order(&account, &["*.a.test", "a.test"]).await;
    let authorizations = order.authorizations().await.unwrap();
    let wildcard: Vec<_> = authorizations.iter().filter(|one| one.object().wildcard).collect();
    assert_eq!((authorizations.len(), wildcard.len()), (2, 1));
    assert!(authorizations.iter().all(|one| one.object().identifier.value == "a.test"));
    let kinds: Vec<_> = wildcard[0].object().challenges.iter().map(|challenge| challenge.kind.as_str()).collect();
    assert_eq!(kinds, ["dns-01"], "only dns-01 proves a whole zone");
    let raw: Value = account.fetch(&order.object().authorizations[1]).await.unwrap().json().unwrap();
    let other: Value = account.fetch(&order.object().authorizations[0]).await.unwrap().json().unwrap();
    let shown: Vec<_> = [&raw, &other].into_iter().filter_map(|one| one.get("wildcard")).collect();
    assert_eq!(shown, [&json!(true)], "true, or absent");
}

// O11
#[tokio::test]
async fn an_order_is_ready_when_every_authorization_is_valid() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.order(&account, &["a.test", "b.test"]).await;
    let mut authorizations = order.authorizations().await.unwrap();
    authorizations[0].prove(ca.responder()).await.unwrap();
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Pending);
    authorizations[1].prove(ca.responder()).await.unwrap();
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Ready);
}

// O10, O11
#[tokio::test]
async fn an_order_takes_over_what_was_authorised_in_advance_and_nothing_else() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut authorization = account.pre_authorize("dns", "a.test").await.unwrap();
    authorization.prove(ca.responder()).await.unwrap();
    let order = ca.order(&account, &["a.test"]).await;
    assert_eq!(order.object().authorizations, [authorization.url()]);
    assert_eq!(order.status(), OrderStatus::Ready);
    let earlier = ca.issue(&account, &["b.test"]).await;
    let again = ca.order(&account, &["b.test"]).await;
    assert_ne!(again.object().authorizations, earlier.order.object().authorizations);
    assert_eq!(again.status(), OrderStatus::Pending);
}

// O12, Z09
#[tokio::test]
async fn an_order_ends_with_any_of_its_authorizations() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.order(&account, &["a.test", "b.test"]).await;
    let mut authorizations = order.authorizations().await.unwrap();
    assert_eq!(authorizations[1].deactivate().await.unwrap(), AuthorizationStatus::Deactivated);
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Invalid);
    assert!(order.object().error.is_some());
}

// O13
#[tokio::test]
async fn an_order_that_is_not_ready_is_not_finalized() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut pending = ca.order(&account, &["a.test"]).await;
    denied(pending.finalize(&ca.csr(&["a.test"])).await, 403, "orderNotReady");
    let mut issued = ca.issue(&account, &["b.test"]).await;
    denied(issued.order.finalize(&ca.csr(&["b.test"])).await, 403, "orderNotReady");
    let mut invalid = ca.order(&account, &["c.test"]).await;
    invalid.authorizations().await.unwrap()[0].deactivate().await.unwrap();
    denied(invalid.finalize(&ca.csr(&["c.test"])).await, 403, "orderNotReady");
}

// O20, Z24
#[tokio::test]
async fn an_order_that_nobody_finishes_becomes_invalid() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut pending = ca.order(&account, &["a.test"]).await;
    let mut ready = ca.ready_order(&account, &["b.test"]).await;
    let expires = pending.object().expires.unwrap();
    ca.advance(expires.since(ca.now()) + 1);
    assert_eq!(pending.refresh().await.unwrap(), OrderStatus::Invalid);
    assert_eq!(ready.refresh().await.unwrap(), OrderStatus::Invalid);
    denied(ready.finalize(&ca.csr(&["b.test"])).await, 403, "orderNotReady");
}

// O20: of an order that ended, the authorizations may have ended long before, and be gone.
#[tokio::test]
async fn an_ended_order_is_shown_though_its_authorizations_are_gone() {
    let ca = Ca::start_with(|config| config.lifetimes.pending_authorization = Duration::from_secs(3_600)).await;
    let account = ca.account().await;
    let mut order = ca.order(&account, &["a.test"]).await;
    let expires = order.object().expires.unwrap();
    ca.advance(expires.since(ca.now()) + 1);
    let removed = ca.authority().remove_ended(expires.plus(-60), 0, 100).await.unwrap();
    assert_eq!(removed, 1, "the authorization, and not yet the order");
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Invalid);
    assert_eq!(account.orders().await.unwrap(), Vec::<String>::new());
    denied(order.finalize(&ca.csr(&["a.test"])).await, 403, "orderNotReady");
}

// O01: what Caddy sends beside the members that count.
#[tokio::test]
async fn the_odd_members_of_stock_clients_do_not_disturb() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = dns(&["a.test"]);
    for (name, value) in [
        ("expires", json!("0001-01-01T00:00:00Z")),
        ("authorizations", Value::Null),
        ("finalize", json!("")),
        ("certificate", json!("")),
        ("status", json!("")),
        ("unknown", json!({ "a": [1] })),
    ] {
        order[name] = value;
    }
    assert_eq!(ordered(&ca, &account, order).await.status, 201);
}
