//! RFC 8555 §5 to §6.4: transport, content types, the JWS and its headers, POST-as-GET. Rows T, J and G of `docs/protocol.md`.

use std::sync::Arc;

use serde_json::{Value, json};
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::client::{CertificateKey, HttpVersion, KeyKind, OrderRequest, Response, Transport};
use sote_acme::names::base64url;
use tokio::io::AsyncWriteExt as _;

use crate::listeners;
use crate::support::forged::member;
use crate::support::judge::{linked, problem, refused};
use crate::support::{Ca, key};

// T01
#[tokio::test]
async fn plain_http_is_not_spoken_on_the_acme_listener() {
    let ca = Ca::start().await;
    let answer = ca.octets(b"GET /directory HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(!String::from_utf8_lossy(&answer).contains("newNonce"));
}

// T02
#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_http_1_and_http_2() {
    let ca = Ca::start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for protocol in ["h2", "http/1.1"] {
            let spoken = ca.handshake(version, &[protocol]).await;
            assert_eq!(spoken.as_deref(), Some(protocol), "{version:?}");
        }
        assert_eq!(ca.handshake(version, &[]).await, None, "a client without ALPN is served too");
    }
}

// T02
#[tokio::test]
async fn the_certificate_of_the_listener_can_be_changed_while_it_serves() {
    let ca = listeners::Ca::start(listeners::impatient()).await;
    let mut kept = ca.connect(&["http/1.1"]).await;
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(ca.directory.path().join("tls.pem"), cert.pem()).unwrap();
    std::fs::write(ca.directory.path().join("tls.key"), signing_key.serialize_pem()).unwrap();
    ca.tls.reload().unwrap();
    let renewed = Transport::trusting(cert.pem().as_bytes(), HttpVersion::Http2).unwrap();
    assert_eq!(renewed.get(&ca.url("/directory")).await.unwrap().status, 200);
    assert!(ca.client(HttpVersion::Http2).get(&ca.url("/directory")).await.is_err(), "the old one is gone");
    kept.write_all(b"GET /directory HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(listeners::answer(&mut kept).await.starts_with("HTTP/1.1 200"), "old connections live on");
}

// T03
#[tokio::test]
async fn browsers_of_any_origin_may_use_every_resource() {
    let ca = Ca::start().await;
    for path in ["/directory", "/acme/new-order", "/nothing"] {
        let answer = ca.get(&format!("{}{path}", ca.base())).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        let exposed = answer.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
        for header in ["replay-nonce", "location", "link", "retry-after"] {
            assert!(exposed.contains(header), "{path}: {exposed}");
        }
    }
    let preflight = ca.request("OPTIONS", &ca.directory().new_order.clone()).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("POST"));
    assert!(preflight.header("access-control-allow-headers").unwrap().to_ascii_lowercase().contains("content-type"));
}

// T04, J25
#[tokio::test]
async fn every_other_spelling_of_base64url_is_malformed() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for name in ["protected", "payload", "signature"] {
        for spoil in [padded, with_a_space, with_a_line_break, in_the_other_alphabet, with_trailing_bits] {
            let request = ca.forged(&account, account.url()).await.edit(move |jws| {
                let spoilt = spoil(&member(jws, name));
                jws.insert(name.to_owned(), spoilt.into());
            });
            refused(request.send(&ca).await, 400, "malformed");
        }
    }
}

fn padded(text: &str) -> String {
    format!("{text}=")
}

fn with_a_space(text: &str) -> String {
    format!("{text} ")
}

fn with_a_line_break(text: &str) -> String {
    format!("{}\n{}", &text[..2], &text[2..])
}

fn in_the_other_alphabet(text: &str) -> String {
    format!("{text}+/")
}

/// The same octets in another spelling where the length allows one, else a character too many.
fn with_trailing_bits(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = ALPHABET.iter().position(|b| b == text.as_bytes().last().unwrap()).unwrap();
    if text.len().is_multiple_of(4) {
        return format!("{text}A");
    }
    format!("{}{}", &text[..text.len() - 1], char::from(ALPHABET[last | 1]))
}

// T05
#[tokio::test]
async fn what_is_not_utf_8_is_malformed() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let request = ca.forged(&account, account.url()).await.payload_octets(b"{\"contact\":[\"mailto:\xff@a.test\"]}");
    refused(request.send(&ca).await, 400, "malformed");
    let body = b"{\"protected\":\"\xff\",\"payload\":\"\",\"signature\":\"\"}".to_vec();
    refused(ca.post(account.url(), "application/jose+json", body).await, 400, "malformed");
}

// T06
#[tokio::test]
async fn another_content_type_than_jose_json_is_415() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for content_type in ["", "application/json", "text/plain", "application/jose", "application/jose+jsonx"] {
        let request = ca.forged(&account, account.url()).await.content_type(content_type);
        refused(request.send(&ca).await, 415, "malformed");
    }
}

// T06: acme4j and others add a charset.
#[tokio::test]
async fn parameters_of_the_content_type_do_not_disturb() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let request = ca.forged(&account, account.url()).await.content_type("application/jose+json; charset=utf-8");
    assert_eq!(request.send(&ca).await.status, 200);
}

// T07, T08, T09, N05
#[tokio::test]
async fn every_error_is_a_problem_document_with_a_link_and_a_nonce() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let unknown = format!("{}/nothing", ca.base());
    problem(&ca.get(&unknown).await);
    problem(&ca.get(account.url()).await);
    for url in [unknown.as_str(), ca.directory().new_order.as_str(), ca.directory().revoke_cert.as_str()] {
        for body in [&b""[..], b"{}", b"[]", b"null", b"a.b.c", b"\xff\xfe", b"{\"protected\":1}", &[b'['; 10_000]] {
            let answer = ca.post(url, "application/jose+json", body.to_vec()).await;
            problem(&answer);
            assert!(answer.header("replay-nonce").is_some(), "{url} {body:?}");
        }
    }
}

// T09
#[tokio::test]
async fn every_resource_but_the_directory_links_the_directory() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.order(&account, &["a.test"]).await;
    let authorization = &order.object().authorizations[0];
    let challenge = &order.authorizations().await.unwrap()[0].object().challenges[0].url.clone();
    for url in [account.url(), order.url(), authorization, challenge] {
        linked(&account.fetch(url).await.unwrap());
    }
    linked(&ca.get(&ca.directory().new_nonce.clone()).await);
    assert!(ca.get(ca.client().directory_url()).await.links("index").is_empty());
    let organisation = ca.organisation_client();
    let refused = ca.get(&organisation.directory().new_order).await;
    assert_eq!(refused.links("index"), [organisation.directory_url()]);
}

// T10
#[tokio::test]
async fn a_client_without_a_user_agent_is_served() {
    let ca = Ca::start().await;
    let mut headers = hyper::HeaderMap::new();
    headers.insert("user-agent", "".parse().unwrap());
    let url = ca.client().directory_url().to_owned();
    let answer = ca.transport().send(hyper::Method::GET, &url, headers, Default::default()).await.unwrap();
    assert_eq!(answer.status, 200);
}

// T12
#[tokio::test]
async fn errors_say_in_which_language_they_are() {
    let ca = Ca::start().await;
    let mut headers = hyper::HeaderMap::new();
    headers.insert("accept-language", "tlh, fi;q=0.5".parse().unwrap());
    let url = format!("{}/nothing", ca.base());
    let answer = ca.transport().send(hyper::Method::GET, &url, headers, Default::default()).await.unwrap();
    assert_eq!(answer.header("content-language"), Some("en"), "there is no other language yet");
}

// T13
#[tokio::test]
async fn a_body_above_the_limit_is_refused_and_the_server_lives_on() {
    let ca = Ca::start().await;
    let url = ca.directory().new_account.clone();
    let body = vec![b' '; 1 << 20];
    // The connection may end before the client has read why.
    if let Ok(answer) = ca.transport().post(&url, "application/jose+json", body).await {
        refused(answer, 413, "malformed");
    }
    ca.account().await;
}

// J01, J02, J03
#[tokio::test]
async fn only_the_flattened_serialization_is_a_request() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let jws = ca.forged(&account, account.url()).await.jws();
    let (protected, payload, signature) = (&jws["protected"], &jws["payload"], &jws["signature"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let compact = format!("{}.{}.{}", text(protected), text(payload), text(signature));
    let one = json!({ "protected": protected, "signature": signature });
    let bodies = [
        json!({ "contact": [] }).to_string(),
        compact.clone(),
        Value::String(compact).to_string(),
        json!({ "payload": payload, "signatures": [one] }).to_string(),
        json!({ "protected": protected, "payload": payload, "signature": signature, "signatures": [] }).to_string(),
        json!([jws]).to_string(),
        format!("{jws} trailing"),
    ];
    for body in bodies {
        refused(ca.post(account.url(), "application/jose+json", body.clone().into_bytes()).await, 400, "malformed");
    }
}

// J04, J05, J06, J23
#[tokio::test]
async fn forbidden_parts_of_a_jws_are_malformed() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let request = async || ca.forged(&account, account.url()).await;
    let forged = [
        request().await.header("b64", false),
        request().await.header("b64", false).header("crit", json!(["b64"])),
        request().await.header("crit", json!(["exp"])).header("exp", 1),
        request().await.header("crit", json!(["exp"])),
        request().await.header("crit", json!([])),
        request().await.header("crit", "exp"),
        request().await.header("crit", json!(["alg"])),
        request().await.edit(|jws| drop(jws.insert("header".to_owned(), json!({})))),
        request().await.edit(|jws| drop(jws.insert("header".to_owned(), json!({"kid": "x"})))),
        request().await.edit(|jws| drop(jws.remove("payload"))),
        request().await.edit(|jws| drop(jws.remove("protected"))),
        request().await.edit(|jws| drop(jws.remove("signature"))),
        request().await.edit(|jws| drop(jws.insert("payload".to_owned(), Value::Null))),
        request().await.edit(|jws| drop(jws.insert("signature".to_owned(), json!(1)))),
    ];
    for request in forged {
        refused(request.send(&ca).await, 400, "malformed");
    }
}

// J07, J11, J20
#[tokio::test]
async fn the_protected_header_has_alg_url_nonce_and_one_of_jwk_and_kid() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let request = async || ca.forged(&account, account.url()).await;
    let jwk = account.key().jwk().to_json();
    for forged in [
        request().await.without("alg"),
        request().await.without("url"),
        request().await.without("kid"),
        request().await.header("jwk", jwk),
        request().await.header("alg", 1),
        request().await.header("url", 1),
        request().await.header("kid", json!([])),
        request().await.header("nonce", 1),
    ] {
        refused(forged.send(&ca).await, 400, "malformed");
    }
    refused(request().await.without("nonce").send(&ca).await, 400, "badNonce");
    let in_payload = request().await.without("url").payload(json!({ "url": account.url() }));
    refused(in_payload.send(&ca).await, 400, "malformed");
}

// J08, J14
#[tokio::test]
async fn an_algorithm_that_is_not_supported_is_refused_with_those_that_are() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for algorithm in ["none", "HS256", "HS512", "ES256K", "RS1", "PS256", "ES512", "foo", ""] {
        let request = ca.forged(&account, account.url()).await.header("alg", algorithm);
        let problem = refused(request.send(&ca).await, 400, "badSignatureAlgorithm");
        for supported in ["ES256", "ES384", "EdDSA", "RS256"] {
            assert!(problem.algorithms.iter().any(|name| name == supported), "{problem:?}");
        }
    }
}

// J09, J10
#[tokio::test]
async fn accounts_sign_by_es256_es384_eddsa_and_rs256() {
    let ca = Ca::start().await;
    for algorithm in JwsAlgorithm::ALL {
        let key = Arc::new(AccountKey::generate(*algorithm).unwrap());
        let account = ca.client().register(key, &ca.registration()).await.unwrap();
        assert!(account.order(&OrderRequest::of_names(["a.test"])).await.is_ok(), "{algorithm}");
    }
}

// J12
#[tokio::test]
async fn new_account_is_signed_by_a_key_not_by_an_account() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let url = ca.directory().new_account.clone();
    refused(ca.forged(&account, &url).await.send(&ca).await, 400, "malformed");
}

// J13
#[tokio::test]
async fn everything_else_is_signed_by_an_account() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let url = ca.directory().new_order.clone();
    refused(ca.forged_by_key(account.key(), &url).await.send(&ca).await, 400, "malformed");
}

// J13, J17
#[tokio::test]
async fn a_kid_is_the_exact_url_of_an_account() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let request = async || ca.forged(&account, &ca.directory().new_order.clone()).await;
    let path = account.url().strip_prefix(&ca.base()).unwrap().to_owned();
    refused(
        request().await.header("kid", format!("{}/acme/account/x", ca.base())).send(&ca).await,
        400,
        "accountDoesNotExist",
    );
    for kid in [path.clone(), format!("https://other.test{path}"), ca.directory().new_order.clone(), String::new()] {
        refused(request().await.header("kid", kid.clone()).send(&ca).await, 400, "malformed");
    }
    let mut unknown = account.url().to_owned();
    unknown.replace_range(unknown.len() - 4.., "AAAA");
    refused(request().await.header("kid", unknown).send(&ca).await, 400, "accountDoesNotExist");
}

// J15
#[tokio::test]
async fn a_key_that_does_not_fit_its_algorithm_or_is_too_weak_is_refused() {
    let ca = Ca::start().await;
    let url = ca.directory().new_account.clone();
    let p384 = Arc::new(AccountKey::generate(JwsAlgorithm::Es384).unwrap());
    let forged = ca.forged_by_key(&p384, &url).await.header("alg", "ES256");
    refused(forged.send(&ca).await, 400, "badPublicKey");
    let weak = json!({ "kty": "RSA", "e": "AQAB", "n": base64url::encode(&[0xc1; 128]) });
    let forged = ca.forged_by_key(&key(), &url).await.header("alg", "RS256").header("jwk", weak);
    assert!(refused(forged.send(&ca).await, 400, "badPublicKey").detail.contains("1024"));
    let ed448 = json!({ "kty": "OKP", "crv": "Ed448", "x": base64url::encode(&[1; 57]) });
    let forged = ca.forged_by_key(&key(), &url).await.header("alg", "EdDSA").header("jwk", ed448);
    refused(forged.send(&ca).await, 400, "badPublicKey");
    let off_curve =
        json!({ "kty": "EC", "crv": "P-256", "x": base64url::encode(&[1; 32]), "y": base64url::encode(&[1; 32]) });
    let forged = ca.forged_by_key(&key(), &url).await.header("jwk", off_curve);
    refused(forged.send(&ca).await, 400, "badPublicKey");
}

// J16
#[tokio::test]
async fn a_signature_that_does_not_verify_is_malformed() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for name in ["protected", "payload", "signature"] {
        let request = ca.forged(&account, account.url()).await.payload(json!({ "contact": [] })).edit(move |jws| {
            let mut octets = base64url::decode(&member(jws, name)).unwrap();
            let middle = octets.len() / 2;
            octets[middle] ^= 1;
            jws.insert(name.to_owned(), base64url::encode(&octets).into());
        });
        refused(request.send(&ca).await, 400, "malformed");
    }
    let by_another = ca.forged(&account, account.url()).await.signed_by(&key());
    refused(by_another.send(&ca).await, 400, "malformed");
}

// J18, J19
#[tokio::test]
async fn the_signed_url_is_the_requested_one_octet_by_octet() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let right = account.url().to_owned();
    let (base, path) = (ca.base(), right.strip_prefix(&ca.base()).unwrap());
    let wrong = [
        format!("{base}/acme/new-order"),
        format!("{right}/"),
        format!("{right}?x=1"),
        format!("{base}{}", path.replace("acme", "ACME")),
        format!("{base}{}", path.replacen("acc", "%61cc", 1)),
        right.replacen("https", "http", 1),
        right.replacen("localhost", "127.0.0.1", 1),
        format!("https://localhost:1{path}"),
        path.to_owned(),
        String::new(),
    ];
    for url in wrong {
        refused(ca.forged(&account, &right).await.header("url", url).send(&ca).await, 403, "unauthorized");
    }
}

// J18: a request that is sent to another spelling of its URL.
#[tokio::test]
async fn another_spelling_of_a_path_is_not_the_resource() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for url in [format!("{}/", account.url()), account.url().replacen("account", "%61ccount", 1)] {
        refused(ca.forged(&account, &url).await.send(&ca).await, 404, "malformed");
    }
}

// J21
#[tokio::test]
async fn a_nonce_that_is_no_base64url_is_malformed_not_bad() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for nonce in ["a+b/=", "YQ==", "Y Q", "YR", "ä"] {
        refused(ca.forged(&account, account.url()).await.header("nonce", nonce).send(&ca).await, 400, "malformed");
    }
}

// J22
#[tokio::test]
async fn a_member_named_twice_is_malformed_anywhere() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let twice = |text: String| text.replacen("{\"alg\"", "{\"alg\":\"ES256\",\"alg\"", 1);
    refused(ca.forged(&account, account.url()).await.header_text(twice).send(&ca).await, 400, "malformed");
    let escaped = |text: String| text.replacen('{', "{\"\\u0061lg\":\"none\",", 1);
    refused(ca.forged(&account, account.url()).await.header_text(escaped).send(&ca).await, 400, "malformed");
    let payload = br#"{"contact":[],"contact":["mailto:a@b.test"]}"#;
    refused(ca.forged(&account, account.url()).await.payload_octets(payload).send(&ca).await, 400, "malformed");
    let jws = ca.forged(&account, account.url()).await.jws().to_string();
    let body = jws.replacen('{', "{\"payload\":\"\",", 1).into_bytes();
    refused(ca.post(account.url(), "application/jose+json", body).await, 400, "malformed");
}

// J24
#[tokio::test]
async fn an_ecdsa_signature_in_der_is_malformed() {
    let ca = Ca::start().await;
    let pair = CertificateKey::generate(KeyKind::EcP256).unwrap();
    let account_key = Arc::new(pair.as_account_key().unwrap());
    let account = ca.client().register(account_key, &ca.registration()).await.unwrap();
    let request = ca.forged(&account, account.url()).await.edit(move |jws| {
        let input = format!("{}.{}", member(jws, "protected"), member(jws, "payload"));
        let (_, der) = pair.sign(input.as_bytes()).unwrap();
        jws.insert("signature".to_owned(), base64url::encode(&der).into());
    });
    refused(request.send(&ca).await, 400, "malformed");
    for length in [0, 63, 65, 96, 1000] {
        let request = ca.forged(&account, account.url()).await.edit(move |jws| {
            jws.insert("signature".to_owned(), base64url::encode(&vec![1; length]).into());
        });
        refused(request.send(&ca).await, 400, "malformed");
    }
}

// J26
#[tokio::test]
async fn a_jwk_with_a_private_part_is_refused() {
    let ca = Ca::start().await;
    let url = ca.directory().new_account.clone();
    let key = key();
    for name in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        let mut jwk = key.jwk().to_json();
        jwk[name] = "AQAB".into();
        refused(ca.forged_by_key(&key, &url).await.header("jwk", jwk).send(&ca).await, 400, "badPublicKey");
    }
    let symmetric = json!({ "kty": "oct", "k": "AQAB" });
    refused(ca.forged_by_key(&key, &url).await.header("jwk", symmetric).send(&ca).await, 400, "badPublicKey");
}

// J27
#[tokio::test]
async fn a_payload_is_a_json_object() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for payload in ["[]", "null", "\"x\"", "1", "{", "{}{}", "\u{feff}{}"] {
        let request = ca.forged(&account, &ca.directory().new_order.clone()).await.payload_octets(payload.as_bytes());
        refused(request.send(&ca).await, 400, "malformed");
    }
}

// G01
#[tokio::test]
async fn get_of_a_protected_resource_is_405_and_says_what_is_allowed() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let authorization = issued.order.object().authorizations[0].clone();
    let challenge = issued.order.authorizations().await.unwrap()[0].object().challenges[0].url.clone();
    let object = account.object().await.unwrap();
    let urls = [account.url(), &object.orders, issued.order.url(), &authorization, &challenge, issued.chain.url()];
    for url in urls.into_iter().chain([ca.directory().new_order.as_str(), &ca.directory().new_account]) {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
            let answer = ca.request(method, url).await;
            assert_eq!(answer.status, 405, "{method} {url}");
            assert!(answer.header("allow").unwrap().contains("POST"), "{method} {url}");
            if method != "HEAD" {
                refused(answer, 405, "malformed");
            }
        }
    }
}

// G03
#[tokio::test]
async fn directory_and_new_nonce_take_get_and_post_as_get() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let directory = account.fetch(ca.client().directory_url()).await.unwrap();
    assert_eq!(directory.status, 200);
    assert!(directory.header("replay-nonce").is_some());
    assert_eq!(directory.json::<Value>().unwrap(), ca.get(ca.client().directory_url()).await.json::<Value>().unwrap());
    let nonce = account.fetch(&ca.directory().new_nonce.clone()).await.unwrap();
    assert_eq!(nonce.status, 204);
    assert!(nonce.header("replay-nonce").is_some());
    let object = ca.forged(&account, &ca.directory().new_nonce.clone()).await.payload(json!({}));
    refused(object.send(&ca).await, 400, "malformed");
}

// G04, A12, O23, Z25, Z08
#[tokio::test]
async fn what_belongs_to_another_account_looks_exactly_like_nothing() {
    let ca = Ca::start().await;
    let (owner, stranger) = (ca.account().await, ca.account().await);
    let issued = ca.issue(&owner, &["a.test"]).await;
    let authorization = issued.order.object().authorizations[0].clone();
    let challenge = issued.order.authorizations().await.unwrap()[0].object().challenges[0].url.clone();
    let object = owner.object().await.unwrap();
    let urls = [
        owner.url(),
        &object.orders,
        &format!("{}?cursor=AAAAAAAAAAAAAAAAAAAAAA", object.orders),
        issued.order.url(),
        &issued.order.object().finalize,
        &authorization,
        &challenge,
        issued.chain.url(),
        &issued.chain.alternates()[0],
        &format!("{}/99", issued.chain.url()),
    ];
    let nothing = format!("{}/acme/nothing", ca.base());
    let payloads: [&[u8]; 8] = [
        b"",
        b"{}",
        b"[]",
        b"{",
        br#"{"status":"deactivated"}"#,
        br#"{"status":1}"#,
        br#"{"csr":"MAA"}"#,
        br#"{"contact":["tel:1"]}"#,
    ];
    for payload in payloads {
        let asked = async |url: &str| ca.forged(&stranger, url).await.payload_octets(payload).send(&ca).await;
        let unknown = asked(&nothing).await;
        let looks = (shape(&unknown), unknown.body.clone());
        refused(unknown, 404, "malformed");
        for url in urls {
            for answer in [asked(url).await, asked(&with_another_id(url)).await] {
                assert_eq!((shape(&answer), answer.body), looks, "{url} {}", String::from_utf8_lossy(payload));
            }
        }
    }
    assert_eq!(owner.object().await.unwrap().status, sote_acme::acme::status::AccountStatus::Valid);
}

/// The status and the headers, each but those that differ from answer to answer with its values.
fn shape(response: &Response) -> (u16, Vec<String>) {
    let varying = ["replay-nonce", "request-id", "date"];
    let fields = response.headers.iter().map(|(name, value)| match varying.contains(&name.as_str()) {
        true => name.to_string(),
        false => format!("{name}: {value:?}"),
    });
    let mut fields: Vec<_> = fields.collect();
    fields.sort();
    (response.status, fields)
}

/// The URL with another id in place of its own.
fn with_another_id(url: &str) -> String {
    let id = url.split('/').find(|segment| segment.len() == 22).unwrap();
    url.replace(id, &sote_acme::names::OrderId::mint(sote_acme::time::Timestamp::from_seconds(1)).to_string())
}

// G02, G05
#[tokio::test]
async fn reading_a_challenge_does_not_answer_it() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.order(&account, &["a.test"]).await;
    let authorization = &order.authorizations().await.unwrap()[0];
    for challenge in &authorization.object().challenges {
        let read: Value = account.fetch(&challenge.url).await.unwrap().json().unwrap();
        assert_eq!(read["status"], "pending");
    }
    ca.settle().await;
    let again = account.authorization_at(authorization.url()).await.unwrap();
    assert_eq!(again.object(), authorization.object());
}

// G06
#[tokio::test]
async fn an_empty_object_is_no_post_as_get() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let before = account.object().await.unwrap();
    let answer = ca.forged(&account, account.url()).await.payload(json!({})).send(&ca).await;
    assert_eq!(answer.json::<Value>().unwrap(), serde_json::to_value(before).unwrap());
    let order = ca.order(&account, &["a.test"]).await;
    let answer = ca.forged(&account, order.url()).await.payload(json!({})).send(&ca).await;
    refused(answer, 400, "malformed");
    let certificate = ca.issue(&account, &["a.test"]).await.chain.url().to_owned();
    refused(ca.forged(&account, &certificate).await.payload(json!({})).send(&ca).await, 400, "malformed");
}

// T06: HAProxy sends every request so.
#[tokio::test]
async fn a_chunked_request_body_is_read() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let jws = ca.forged(&account, account.url()).await.jws().to_string();
    let answer = ca.chunked(account.url(), "application/jose+json", jws.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
