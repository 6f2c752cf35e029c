//! Orders, authorizations and challenges (RFC 8555 §7.4, §7.5) up to the moment at which the worker takes over, and renewal
//! information (RFC 9773).

mod listeners;

use hyper::{HeaderMap, Method};
use listeners::{Ca, NOW, Person, body, impatient, refused};
use serde_json::{Value, json};
use sote_acme::acme::problem::Problem;
use sote_acme::authority::Terms;
use sote_acme::client::{CertificateKey, HttpVersion, KeyKind, Response, certificate_request};
use sote_acme::model::Evidence;
use sote_acme::names::base64url;

async fn member(ca: &Ca) -> Person<'_> {
    ca.member(&ca.invitation(&["*"], 10).await).await
}

/// The last part of a URL, as an id.
fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(url: &Value) -> T {
    url.as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The order at this URL, all its authorizations proved.
async fn proved(member: &Person<'_>, order: &Response) -> String {
    for url in body(order)["authorizations"].as_array().unwrap() {
        let authorization = body(&member.read(text(url)).await);
        let challenge = &authorization["challenges"][0]["url"];
        assert_eq!(member.post(text(challenge), &json!({})).await.status, 200);
        let evidence = Evidence::default();
        member.ca.authority.record_proof(id(url), id(challenge), evidence, NOW).await.unwrap();
    }
    order.header("location").unwrap().to_owned()
}

fn request(names: &[&str]) -> Value {
    let key = CertificateKey::generate(KeyKind::EcP256).unwrap();
    json!({ "csr": base64url::encode(&certificate_request(&key, names).unwrap()) })
}

#[tokio::test]
async fn an_order_shows_exactly_what_was_asked_for() {
    let ca = Ca::start(impatient()).await;
    let member = member(&ca).await;
    let payload = json!({
        "identifiers": [{ "type": "dns", "value": "www.example.fi" }, { "type": "dns", "value": "*.example.fi" }],
        "notAfter": NOW.plus(365 * 86_400).to_string(),
        "profile": "sote-server",
        "expires": "0001-01-01T00:00:00Z", "authorizations": null, "finalize": "", "certificate": "", "status": "",
    });
    let got = member.post(&ca.url("/acme/new-order"), &payload).await;
    assert_eq!(got.status, 201);
    let (url, order) = (got.header("location").unwrap(), body(&got));
    assert_eq!((&order["status"], &order["identifiers"]), (&json!("pending"), &payload["identifiers"]));
    assert_eq!((&order["profile"], &order["notAfter"]), (&json!("sote-server"), &payload["notAfter"]));
    assert!(order["expires"].is_string() && order.get("notBefore").is_none() && order.get("certificate").is_none());
    assert_eq!(order["finalize"], format!("{url}/finalize"));
    assert_eq!(order["authorizations"].as_array().unwrap().len(), 2);
    assert_eq!(body(&member.read(url).await), order);
    refused(&member.post(url, &json!({})).await, 400, "malformed");
}

#[tokio::test]
async fn what_cannot_be_ordered_is_refused_with_its_reason() {
    let ca = Ca::start(impatient()).await;
    let member = ca.member(&ca.invitation(&["example.fi"], 1).await).await;
    let url = ca.url("/acme/new-order");
    let ask = async |payload: Value| member.post(&url, &payload).await;
    let dns = |name: &str| json!({ "type": "dns", "value": name });
    for identifiers in [json!([]), json!("x"), json!(null), json!([dns("a.example.fi"), dns("A.example.fi")])] {
        refused(&ask(json!({ "identifiers": identifiers })).await, 400, "malformed");
    }
    refused(&ask(json!({})).await, 400, "malformed");
    refused(&ask(json!({ "identifiers": [{ "type": "email", "value": "a@b" }] })).await, 400, "unsupportedIdentifier");
    let far = NOW.plus(3 * 365 * 86_400).to_string();
    refused(&ask(json!({ "identifiers": [dns("a.example.fi")], "notAfter": far })).await, 400, "malformed");
    refused(&ask(json!({ "identifiers": [dns("a.example.fi")], "notAfter": "soon" })).await, 400, "malformed");
    refused(&ask(json!({ "identifiers": [dns("a.example.fi")], "profile": "other" })).await, 400, "invalidProfile");

    let outside =
        ask(json!({ "identifiers": [dns("a.example.fi"), dns("b.example.com"), dns("c.example.org")] })).await;
    refused(&outside, 403, "rejectedIdentifier");
    let problem = body(&outside);
    let named: Vec<_> = problem["subproblems"].as_array().unwrap().iter().map(|part| &part["identifier"]).collect();
    assert_eq!(named, [&dns("b.example.com"), &dns("c.example.org")]);
    assert!(problem.get("identifier").is_none());
}

#[tokio::test]
async fn without_an_organisation_nothing_is_ordered_by_any_door() {
    let ca = Ca::start(impatient()).await;
    let stranger = ca.stranger().await;
    let order = json!({ "identifiers": [{ "type": "dns", "value": "www.example.fi" }] });
    let authorization = json!({ "identifier": { "type": "dns", "value": "www.example.fi" } });
    for door in ["/acme", "/organisation"] {
        let got = stranger.post(&ca.url(&format!("{door}/new-order")), &order).await;
        refused(&got, 403, "unauthorized");
        refused(&stranger.post(&ca.url(&format!("{door}/new-authz")), &authorization).await, 403, "unauthorized");
    }
    let got = stranger.post(&ca.url("/organisation/new-order"), &order).await;
    assert_eq!(got.links("index"), [ca.url("/organisation/directory")]);
}

#[tokio::test]
async fn an_authorization_shows_its_challenges_until_one_decides() {
    let ca = Ca::start(impatient()).await;
    let member = member(&ca).await;
    let order = member.order(&["www.example.fi"]).await;
    let url = text(&body(&order)["authorizations"][0]).to_owned();
    let pending = body(&member.read(&url).await);
    assert_eq!(pending["status"], "pending");
    assert_eq!(pending["identifier"], json!({ "type": "dns", "value": "www.example.fi" }));
    assert!(pending["expires"].is_string() && pending.get("wildcard").is_none());
    let kinds: Vec<_> = pending["challenges"].as_array().unwrap().iter().map(|c| text(&c["type"])).collect();
    assert_eq!(kinds, ["http-01", "dns-01", "tls-alpn-01"]);
    let tokens: std::collections::HashSet<_> =
        pending["challenges"].as_array().unwrap().iter().map(|challenge| text(&challenge["token"])).collect();
    assert!(tokens.len() == 3 && tokens.iter().all(|token| base64url::decode(token).unwrap().len() >= 16));

    let challenge = text(&pending["challenges"][0]["url"]).to_owned();
    let read = member.read(&challenge).await;
    assert_eq!(body(&read)["status"], "pending", "reading starts nothing");
    assert_eq!(read.links("up"), std::slice::from_ref(&url));
    for payload in [&b"[]"[..], b"null", b"1"] {
        refused(&member.send(&challenge, payload).await, 400, "malformed");
    }
    let answered = member.post(&challenge, &json!({ "keyAuthorization": "of old clients", "odd": 1 })).await;
    assert_eq!((answered.status, text(&body(&answered)["status"])), (200, "processing"));
    assert!(answered.retry_after().is_some() && member.read(&url).await.retry_after().is_some());

    let evidence = Evidence::default();
    let (authorization, http_01) = (json!(url), json!(challenge));
    ca.authority.record_proof(id(&authorization), id(&http_01), evidence, NOW).await.unwrap();
    let valid = body(&member.read(&url).await);
    assert_eq!((text(&valid["status"]), valid["challenges"].as_array().unwrap().len()), ("valid", 1));
    assert_eq!(valid["challenges"][0]["validated"], NOW.to_string());
    assert_eq!(body(&member.read(order.header("location").unwrap()).await)["status"], "ready");
}

#[tokio::test]
async fn a_failed_challenge_is_shown_alone_with_its_attempts_and_ends_the_order() {
    let ca = Ca::start(impatient()).await;
    let member = member(&ca).await;
    let order = member.order(&["www.example.fi"]).await;
    let url = body(&order)["authorizations"][0].clone();
    let challenge = body(&member.read(text(&url)).await)["challenges"][1]["url"].clone();
    assert_eq!(member.post(text(&challenge), &json!({})).await.status, 200);
    for _ in 0..3 {
        let problem = Problem::connection("nobody answers");
        ca.authority.record_failed_attempt(id(&url), id(&challenge), problem, NOW).await.unwrap();
    }
    let invalid = body(&member.read(text(&url)).await);
    assert_eq!((text(&invalid["status"]), invalid["challenges"].as_array().unwrap().len()), ("invalid", 1));
    let error = &invalid["challenges"][0]["error"];
    assert_eq!(error["type"], "urn:ietf:params:acme:error:connection");
    assert_eq!(error["subproblems"].as_array().unwrap().len(), 3);
    let ended = body(&member.read(order.header("location").unwrap()).await);
    assert_eq!(ended["status"], "invalid");
    assert!(ended["error"]["detail"].is_string(), "{ended}");
}

#[tokio::test]
async fn an_authorization_can_be_deactivated_and_ends_its_order() {
    let ca = Ca::start(impatient()).await;
    let member = member(&ca).await;
    let order = member.order(&["www.example.fi"]).await;
    let url = text(&body(&order)["authorizations"][0]).to_owned();
    assert_eq!(body(&member.post(&url, &json!({ "status": "valid" })).await)["status"], "pending");
    for _ in 0..2 {
        let got = member.post(&url, &json!({ "status": "deactivated" })).await;
        assert_eq!((got.status, text(&body(&got)["status"])), (200, "deactivated"));
    }
    assert_eq!(body(&member.read(order.header("location").unwrap()).await)["status"], "invalid");
}

#[tokio::test]
async fn a_name_can_be_authorised_in_advance_and_a_wildcard_cannot() {
    let ca = Ca::start(impatient()).await;
    let member = member(&ca).await;
    let ask = async |name: &str| {
        let payload = json!({ "identifier": { "type": "dns", "value": name } });
        member.post(&ca.url("/acme/new-authz"), &payload).await
    };
    let made = ask("www.example.fi").await;
    assert_eq!(made.status, 201);
    let url = made.header("location").unwrap();
    assert_eq!(body(&member.read(url).await), body(&made));
    refused(&ask("*.example.fi").await, 400, "malformed");
    refused(&ask("-").await, 400, "malformed");

    // The order that follows begins ready: only what the client proved in advance is taken over.
    let challenge = body(&made)["challenges"][0]["url"].clone();
    member.post(text(&challenge), &json!({})).await;
    let evidence = Evidence::default();
    ca.authority.record_proof(id(&json!(url)), id(&challenge), evidence, NOW).await.unwrap();
    let order = body(&member.order(&["www.example.fi"]).await);
    assert_eq!((&order["status"], &order["authorizations"]), (&json!("ready"), &json!([url])));
}

#[tokio::test]
async fn finalize_takes_a_fitting_request_once_and_only_when_the_order_is_ready() {
    let ca =
        Ca::start(sote_acme::http::Settings { finalize_wait: std::time::Duration::from_millis(100), ..impatient() })
            .await;
    let member = member(&ca).await;
    let order = member.order(&["www.example.fi"]).await;
    let finalize = text(&body(&order)["finalize"]).to_owned();
    refused(&member.post(&finalize, &request(&["www.example.fi"])).await, 403, "orderNotReady");
    let url = proved(&member, &order).await;

    for payload in [json!({}), json!({ "csr": "MAA=" }), json!({ "csr": 1 })] {
        refused(&member.post(&finalize, &payload).await, 400, "malformed");
    }
    for other in [json!({ "csr": "MAA" }), request(&["other.example.fi"]), request(&["www.example.fi", "a.example.fi"])]
    {
        refused(&member.post(&finalize, &other).await, 400, "badCSR");
    }
    assert_eq!(body(&member.read(&url).await)["status"], "ready", "a bad request leaves the order as it was");

    let got = member.post(&finalize, &request(&["WWW.example.fi"])).await;
    assert_eq!((got.status, got.header("location")), (200, Some(url.as_str())));
    assert_eq!((text(&body(&got)["status"]), got.retry_after()), ("processing", Some(1)));
    refused(&member.post(&finalize, &request(&["www.example.fi"])).await, 403, "orderNotReady");
}

#[tokio::test]
async fn an_order_that_nobody_finalizes_ends_at_its_time() {
    let ca = Ca::start(impatient()).await;
    let member = member(&ca).await;
    let url = member.order(&["www.example.fi"]).await.header("location").unwrap().to_owned();
    ca.clock.advance(8 * 86_400);
    let ended = body(&member.read(&url).await);
    assert_eq!((text(&ended["status"]), ended["error"]["detail"].is_string()), ("invalid", true));
    assert_eq!(body(&member.read(&format!("{}/orders", member.account)).await)["orders"], json!([]));
}

#[tokio::test]
async fn a_suspended_organisation_orders_nothing_and_its_open_orders_end_with_the_reason() {
    let ca = Ca::start(impatient()).await;
    let member = member(&ca).await;
    let url = member.order(&["www.example.fi"]).await.header("location").unwrap().to_owned();
    let suspend = json!({ "business_id": "0245437-2", "reason": "by its own request" }).to_string();
    assert_eq!(ca.command("POST", "/organisations/suspend", &suspend).await.0, 200);
    let refusal = member.order(&["www.example.fi"]).await;
    refused(&refusal, 403, "unauthorized");
    assert!(text(&body(&refusal)["detail"]).contains("by its own request"));
    assert_eq!(ca.command("POST", "/organisations/resume", &suspend).await.0, 200);
    assert_eq!(member.order(&["www.example.fi"]).await.status, 201);
    let ended = body(&member.read(&url).await);
    assert_eq!(ended["status"], "invalid", "also after the suspension");
    assert!(text(&ended["error"]["detail"]).contains("by its own request"));
}

#[tokio::test]
async fn changed_terms_ask_for_a_person_and_go_on_when_one_agreed() {
    let terms = |version: &str, required_from| Terms {
        version: version.into(),
        url: "https://ca.example.fi/terms".into(),
        required_from,
    };
    let ca = Ca::start_with(impatient(), Some(terms("1", None))).await;
    let old = member(&ca).await;
    let (key, account) = (old.key.clone(), old.account.clone());
    let ca = ca.restarted(Some(terms("2", Some(NOW)))).await;
    let account = account.replace(&account[..account.find("/acme/").unwrap()], &ca.base);
    let member = Person { ca: &ca, key, account };

    let asked = member.order(&["www.example.fi"]).await;
    refused(&asked, 403, "userActionRequired");
    assert_eq!(asked.links("terms-of-service"), ["https://ca.example.fi/terms"]);
    let page = text(&body(&asked)["instance"]).to_owned();
    let client = ca.client(HttpVersion::Http1);
    let shown = client.get(&page).await.unwrap();
    assert_eq!(shown.status, 200);
    assert!(shown.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let form = "application/x-www-form-urlencoded";
    assert_eq!(client.post(&page, form, "version=2").await.unwrap().status, 400, "without the tick");
    assert_eq!(client.post(&page, "text/plain", "agree=yes").await.unwrap().status, 415);
    assert_eq!(client.post(&page, form, "version=2&agree=yes").await.unwrap().status, 200);
    assert_eq!(client.get(&page).await.unwrap().status, 404, "the page is used up");
    assert_eq!(member.order(&["www.example.fi"]).await.status, 201);
}

#[tokio::test]
async fn renewal_information_of_what_was_never_issued_is_refused() {
    let ca = Ca::start(impatient()).await;
    let client = ca.client(HttpVersion::Http1);
    let status = async |path: &str| client.get(&ca.url(path)).await.unwrap().status;
    assert_eq!(status("/acme/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").await, 404);
    for malformed in ["x", "x.y", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AACHZUMh"] {
        assert_eq!(status(&format!("/acme/renewal-info/{malformed}")).await, 400, "{malformed}");
    }
    let url = ca.url("/acme/renewal-info/x.y");
    let posted = client.send(Method::POST, &url, HeaderMap::new(), Default::default()).await.unwrap();
    assert_eq!(posted.status, 405);
}

#[tokio::test]
async fn revocation_refuses_what_it_does_not_know() {
    let ca = Ca::start(impatient()).await;
    let member = member(&ca).await;
    let url = ca.url("/acme/revoke");
    refused(&member.post(&url, &json!({ "certificate": "MAA" })).await, 400, "malformed");
    refused(&member.post(&url, &json!({})).await, 400, "malformed");
    refused(&member.read(&url).await, 400, "malformed");
    let foreign = rcgen::generate_simple_self_signed(vec!["a.fi".to_owned()]).unwrap().cert;
    let payload = json!({ "certificate": base64url::encode(foreign.der()) });
    refused(&member.post(&url, &payload).await, 403, "unauthorized");
    let by_key = sote_acme::acme::jws_signing::Identity::Jwk;
    let body = member.key.sign(by_key, &ca.nonce().await, &url, payload.to_string().as_bytes()).unwrap();
    refused(&ca.send(&url, body).await, 403, "unauthorized");
    let reason = json!({ "certificate": base64url::encode(foreign.der()), "reason": "1" });
    refused(&member.post(&url, &reason).await, 400, "badRevocationReason");
}
