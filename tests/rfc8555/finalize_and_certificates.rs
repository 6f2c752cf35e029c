//! RFC 8555 §7.4 and §7.4.2: finalizing and downloading. Rows O14 to O23, O30 to O34 and S01 of `docs/protocol.md`.

use const_oid::db::{rfc4519, rfc5280, rfc6268};
use der::asn1::OctetString;
use serde_json::{Value, json};
use sote_acme::acme::status::OrderStatus;
use sote_acme::client::relying_service::OcspStatus;
use sote_acme::client::{CertificateKey, CsrDraft, KeyKind, Order, Payload, certificate_request};
use sote_acme::model::Evidence;
use sote_acme::names::base64url;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

use crate::listeners::{self, impatient};
use crate::support::judge::{denied, refused};
use crate::support::{Ca, key};

fn p256() -> CertificateKey {
    CertificateKey::generate(KeyKind::EcP256).unwrap()
}

// O14
#[tokio::test]
async fn finalize_takes_a_csr_in_base64url_der() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.ready_order(&account, &["a.test"]).await;
    let der = ca.csr(&["a.test"]);
    let encoded = base64url::encode(&der);
    let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{encoded}\n-----END CERTIFICATE REQUEST-----\n");
    for payload in [
        json!({}),
        json!({ "csr": null }),
        json!({ "csr": 1 }),
        json!({ "csr": pem }),
        json!({ "csr": format!("{encoded}=") }),
    ] {
        let request = ca.forged(&account, &order.object().finalize).await.payload(payload);
        refused(request.send(&ca).await, 400, "malformed");
    }
    let mut trailing = der.clone();
    trailing.push(0);
    let mut cut = der.clone();
    cut.pop();
    for csr in [vec![], b"hello".to_vec(), trailing, cut] {
        denied(order.finalize(&csr).await, 400, "badCSR");
    }
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Ready);
}

// O14, O16
#[tokio::test]
async fn a_csr_that_its_key_did_not_sign_is_bad_and_the_order_stays_ready() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.ready_order(&account, &["a.test"]).await;
    let mut csr = ca.csr(&["a.test"]);
    *csr.last_mut().unwrap() ^= 1;
    denied(order.finalize(&csr).await, 400, "badCSR");
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Ready);
    ca.finalize(&mut order).await;
    assert_eq!(order.status(), OrderStatus::Valid);
}

// O15
#[tokio::test]
async fn the_names_of_the_csr_are_those_of_the_order() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.ready_order(&account, &["a.test", "b.test"]).await;
    let key = p256();
    for draft in [
        CsrDraft::of_names(&["a.test"]),
        CsrDraft::of_names(&["a.test", "b.test", "c.test"]),
        CsrDraft::of_names(&["a.test", "c.test"]),
        CsrDraft::of_names(&["a.test", "b.test"]).common_name("c.test"),
        CsrDraft::of_names(&["*.a.test", "b.test"]),
        CsrDraft::default(),
    ] {
        denied(order.finalize(&draft.signed(&key).unwrap()).await, 400, "badCSR");
    }
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Ready);
    let csr = CsrDraft::of_names(&["B.TEST"]).common_name("a.test").signed(&key).unwrap();
    order.finalize(&csr).await.unwrap();
    order.wait_until_issued().await.unwrap();
}

// O17, S01
#[tokio::test]
async fn the_key_of_an_account_is_never_certified() {
    let ca = Ca::start().await;
    let (pair, other_pair) = (p256(), p256());
    let account = ca.registered(pair.as_account_key().unwrap()).await;
    ca.registered(other_pair.as_account_key().unwrap()).await;
    let mut order = ca.ready_order(&account, &["a.test"]).await;
    for key in [&pair, &other_pair] {
        let csr = CsrDraft::of_names(&["a.test"]).signed(key).unwrap();
        denied(order.finalize(&csr).await, 400, "badCSR");
    }
}

// O18
#[tokio::test]
async fn a_csr_that_asks_for_another_kind_of_certificate_is_bad() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.ready_order(&account, &["a.test"]).await;
    let key = p256();
    let draft = || CsrDraft::of_names(&["a.test"]);
    let authority = BasicConstraints { ca: true, path_len_constraint: None };
    let bad = [
        draft().extension(&authority).unwrap(),
        draft().extension(&KeyUsage(KeyUsages::KeyCertSign.into())).unwrap(),
        draft().extension(&KeyUsage(KeyUsages::CRLSign.into())).unwrap(),
        draft().extension(&ExtendedKeyUsage(vec![rfc5280::ID_KP_CODE_SIGNING])).unwrap(),
        draft().extension(&ExtendedKeyUsage(vec![rfc5280::ID_KP_OCSP_SIGNING])).unwrap(),
    ];
    for draft in bad {
        denied(order.finalize(&draft.signed(&key).unwrap()).await, 400, "badCSR");
    }
    for kind in [KeyKind::Ed25519] {
        let csr = draft().signed(&CertificateKey::generate(kind).unwrap()).unwrap();
        denied(order.finalize(&csr).await, 400, "badCSR");
    }
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Ready);
}

// O18, C11: what stock clients ask for without meaning is left out, not refused.
#[tokio::test]
async fn the_subject_comes_from_the_register_whatever_the_csr_says() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.ready_order(&account, &["a.test"]).await;
    let unknown =
        Extension { extn_id: rfc6268::ID_DATA, critical: false, extn_value: OctetString::new(vec![5, 0]).unwrap() };
    let csr = CsrDraft::of_names(&["a.test"])
        .subject_part(rfc4519::ORGANIZATION_NAME, "Somebody Else Ltd")
        .subject_part(rfc4519::COUNTRY_NAME, "SE")
        .extension(&KeyUsage(KeyUsages::NonRepudiation.into()))
        .unwrap()
        .extension(unknown)
        .unwrap()
        .signed(&p256())
        .unwrap();
    order.finalize(&csr).await.unwrap();
    order.wait_until_issued().await.unwrap();
    let chain = order.certificate().await.unwrap();
    let leaf = sote_acme::client::relying_service::Link::parsed(chain.leaf()).unwrap();
    assert!(!leaf.subject().contains("Somebody") && leaf.subject().contains("C=FI"), "{}", leaf.subject());
    assert!(leaf.subject().contains("CN=a.test"), "{}", leaf.subject());
    let extensions = leaf.certificate().tbs_certificate().extensions().unwrap();
    assert!(extensions.iter().all(|extension| extension.extn_id != rfc6268::ID_DATA));
}

// O19, O30, O34
#[tokio::test]
async fn finalize_answers_with_the_order_and_the_chain_is_plain_pem_leaf_first() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.ready_order(&account, &["a.test"]).await;
    let payload = Payload::of(&json!({ "csr": base64url::encode(&ca.csr(&["a.test"])) })).unwrap();
    let answer = account.post(&order.object().finalize, &payload).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (200, Some(order.url())));
    let mut order = account.order_at(order.url()).await.unwrap();
    order.wait_until_issued().await.unwrap();
    assert!(order.object().expires.is_some());
    let chain = order.certificate().await.unwrap();
    let pem = chain.pem();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && pem.ends_with("-----END CERTIFICATE-----\n"));
    assert!(!pem.contains("\n\n") && !pem.contains('\r'), "RFC 8555 erratum 5983");
    assert!(pem.lines().all(|line| line.len() <= 64));
    let verified = ca.relying_service().verified(chain.certificates(), "a.test", ca.now()).unwrap();
    assert_eq!(verified.links().len(), chain.certificates().len() + 1, "the root is not sent");
}

// O19
#[tokio::test]
async fn finalize_is_usually_valid_at_once() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.ready_order(&account, &["a.test"]).await;
    assert_eq!(order.finalize(&ca.csr(&["a.test"])).await.unwrap(), OrderStatus::Valid);
    assert!(order.object().certificate.is_some());
}

// O19: without a worker the order stays as finalize left it.
#[tokio::test]
async fn while_it_is_issued_an_order_is_processing_and_says_when_to_ask_again() {
    let settings = sote_acme::http::Settings { finalize_wait: std::time::Duration::from_millis(100), ..impatient() };
    let ca = listeners::Ca::start(settings).await;
    let member = ca.member(&ca.invitation(&["*"], 1).await).await;
    let placed = member.order(&["www.example.fi"]).await;
    let (order, url) = (listeners::body(&placed), placed.header("location").unwrap());
    let authorization = order["authorizations"][0].as_str().unwrap();
    let challenge = listeners::body(&member.read(authorization).await)["challenges"][0]["url"].clone();
    assert_eq!(member.post(challenge.as_str().unwrap(), &json!({})).await.status, 200);
    let id = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    let (of, proved) = (id(authorization).parse().unwrap(), id(challenge.as_str().unwrap()).parse().unwrap());
    let evidence = Evidence::default();
    ca.authority.record_proof(of, proved, evidence, listeners::NOW).await.unwrap();

    let csr = certificate_request(&p256(), &["www.example.fi"]).unwrap();
    let payload = json!({ "csr": base64url::encode(&csr) });
    let finalize = order["finalize"].as_str().unwrap();
    let answer = member.post(finalize, &payload).await;
    assert_eq!((answer.status, answer.header("location")), (200, Some(url)));
    for answer in [answer, member.read(url).await] {
        assert_eq!((&listeners::body(&answer)["status"], answer.retry_after()), (&json!("processing"), Some(1)));
    }
    listeners::refused(&member.post(finalize, &payload).await, 403, "orderNotReady");
}

// O22, O13
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_finalizations_at_once_one_makes_a_certificate() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.ready_order(&account, &["a.test"]).await;
    let mut finalizations = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mut order, csr): (Order, _) = (order.clone(), ca.csr(&["a.test"]));
        finalizations.spawn(async move { order.finalize(&csr).await.map(drop) });
    }
    let results = finalizations.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for result in results.into_iter().filter(Result::is_err) {
        denied(result, 403, "orderNotReady");
    }
}

// O31
#[tokio::test]
async fn alternate_chains_begin_with_the_same_certificate_and_end_at_the_other_root() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    assert_eq!(issued.chain.alternates().len(), 1);
    let alternate = account.certificate_at(&issued.chain.alternates()[0]).await.unwrap();
    assert_eq!(alternate.leaf(), issued.chain.leaf());
    assert_ne!(alternate.certificates(), issued.chain.certificates());
    assert!(ca.relying_service().verified(issued.chain.certificates(), "a.test", ca.now()).is_ok());
    assert!(ca.alternate_relying_service().verified(alternate.certificates(), "a.test", ca.now()).is_ok());
    let beyond = format!("{}/99", issued.chain.url());
    denied(account.fetch(&beyond).await, 404, "malformed");
}

// O32
#[tokio::test]
async fn whatever_is_accepted_the_chain_is_sent_as_pem() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    for accept in ["application/pem-certificate-chain", "*/*", "application/pkix-cert", "image/png"] {
        let client = ca.client();
        let answer = client.post_accepting(account.signer(), issued.chain.url(), &Payload::Empty, Some(accept)).await;
        let answer = answer.unwrap();
        let content_type = answer.header("content-type");
        assert_eq!((answer.status, content_type), (200, Some("application/pem-certificate-chain")), "{accept}");
    }
}

// O33
#[tokio::test]
async fn a_certificate_is_the_same_for_ever_also_after_a_restart() {
    let mut ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    ca.restart().await;
    let again = ca.again(&account).certificate_at(issued.chain.url()).await.unwrap();
    assert_eq!(again.pem(), issued.chain.pem());
}

// O21: what the worker refuses makes the order invalid with the reason.
#[tokio::test]
async fn an_order_whose_organisation_is_suspended_says_why_it_is_invalid() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = ca.ready_order(&account, &["a.test"]).await;
    ca.suspend_organisation("its contract ended").await;
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Invalid);
    assert!(order.object().error.as_ref().unwrap().detail.contains("its contract ended"));
}

// O18
#[tokio::test]
async fn p256_p384_and_rsa_keys_are_certified() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa2048] {
        let mut order = ca.ready_order(&account, &["a.test"]).await;
        let key = CertificateKey::generate(kind).unwrap();
        order.finalize(&CsrDraft::of_names(&["a.test"]).signed(&key).unwrap()).await.unwrap();
        order.wait_until_issued().await.unwrap();
        let chain = order.certificate().await.unwrap();
        let verified = ca.relying_service().verified(chain.certificates(), "a.test", ca.now()).unwrap();
        assert_eq!(verified.leaf().public_key(), key.public_key(), "{kind:?}");
    }
}

// The whole way, as a relying service sees it.
#[tokio::test]
async fn a_fresh_certificate_is_good_by_ocsp_and_on_no_crl_at_every_level() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test", "*.b.test"]).await;
    let service = ca.relying_service();
    for name in ["a.test", "www.b.test"] {
        let chain = service.verified(issued.chain.certificates(), name, ca.now()).unwrap();
        assert!(ca.ocsp_answers(&chain).await.iter().all(|answer| answer.status == OcspStatus::Good));
        let lists = service.revocation_lists(&chain, ca.now()).await.unwrap();
        assert_eq!(lists.len(), chain.links().len() - 1);
        assert!(lists.iter().all(|list| list.entry.is_none()));
    }
}

// O14: numbers and texts of any size are an answer, not a crash.
#[tokio::test]
async fn strange_payloads_of_finalize_are_refused_and_the_server_lives_on() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.ready_order(&account, &["a.test"]).await;
    for (csr, kind) in [
        (json!("A".repeat(90_000)), "badCSR"),
        (json!([[[[[[]]]]]]), "malformed"),
        (json!({ "a": 1 }), "malformed"),
        (Value::Bool(true), "malformed"),
    ] {
        let request = ca.forged(&account, &order.object().finalize).await.payload(json!({ "csr": csr }));
        refused(request.send(&ca).await, 400, kind);
    }
    assert!(ca.client().register(key(), &ca.registration()).await.is_ok());
}
