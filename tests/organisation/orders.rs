//! Orders of an organisation's members: what they may name, and what the order shows of the organisation.

use serde_json::{Value, json};
use sote_acme::client::{CertificateKey, KeyKind, certificate_request};
use sote_acme::names::base64url;

use crate::listeners::{body, refused};
use crate::world::{
    HOSPITAL, PHARMACY, PHARMACY_UNIT, WARD, dns, id, order, organisation, proved, stored, text, unit, world,
};

fn csr(names: &[&str]) -> Value {
    let key = CertificateKey::generate(KeyKind::EcP256).unwrap();
    json!({ "csr": base64url::encode(&certificate_request(&key, names).unwrap()) })
}

// X01
#[tokio::test]
async fn an_order_for_dns_names_alone_never_lists_an_organisation() {
    let ca = world().await;
    let administrator = ca.stranger().await;
    let proof = proved(&administrator, PHARMACY).await;
    for door in ["/acme", "/organisation"] {
        let payload = json!({ "identifiers": [dns("a.example.fi"), dns("b.example.fi")] });
        let got = administrator.post(&ca.url(&format!("{door}/new-order")), &payload).await;
        assert_eq!(got.status, 201);
        let order = body(&got);
        assert_eq!(order["authorizations"].as_array().unwrap().len(), 2);
        for url in order["authorizations"].as_array().unwrap() {
            assert_eq!(body(&administrator.read(text(url)).await)["identifier"]["type"], "dns");
        }
        let named = body(&administrator.read(text(&order["organizationAuthorization"])).await);
        assert_eq!(named, proof, "the proof by which the account proved it, which it may read");
    }
}

// X02
#[tokio::test]
async fn an_order_that_names_the_organisation_lists_its_authorization_valid_by_membership() {
    let ca = world().await;
    let administrator = ca.stranger().await;
    proved(&administrator, PHARMACY).await;
    for identifier in [organisation(PHARMACY), unit(PHARMACY_UNIT)] {
        let got = order(&administrator, &[dns("a.example.fi"), identifier.clone()]).await;
        assert_eq!(got.status, 201);
        let order = body(&got);
        assert_eq!(order["identifiers"], json!([dns("a.example.fi"), identifier]));
        let (names, listed) = (&order["authorizations"][0], &order["authorizations"][1]);
        assert_eq!(&order["organizationAuthorization"], listed);
        assert_eq!(body(&administrator.read(text(names)).await)["status"], "pending");
        let listed = body(&administrator.read(text(listed)).await);
        assert_eq!((&listed["status"], &listed["identifier"]), (&json!("valid"), &identifier));
    }
}

#[tokio::test]
async fn an_order_names_one_organisation_its_own_and_dns_names() {
    let ca = world().await;
    let administrator = ca.stranger().await;
    proved(&administrator, HOSPITAL).await;
    let name = || dns("a.example.fi");
    let ask = async |identifiers: &[Value]| order(&administrator, identifiers).await;
    refused(&ask(&[name(), organisation(HOSPITAL), unit(WARD)]).await, 400, "malformed");
    refused(&ask(&[organisation(HOSPITAL)]).await, 400, "malformed");
    refused(&ask(&[name(), organisation(PHARMACY)]).await, 403, "rejectedIdentifier");
    // X24
    refused(&ask(&[name(), unit(PHARMACY_UNIT)]).await, 403, "rejectedIdentifier");
    assert_eq!(ask(&[name(), unit(WARD)]).await.status, 201);
}

#[tokio::test]
async fn a_first_administrator_names_a_unit_unless_the_organisation_has_one_row_only() {
    let ca = world().await;
    let hospital = ca.stranger().await;
    proved(&hospital, HOSPITAL).await;
    refused(&order(&hospital, &[dns("a.example.fi")]).await, 403, "unauthorized");
    refused(&order(&hospital, &[dns("a.example.fi"), organisation(HOSPITAL)]).await, 403, "unauthorized");
    let pharmacy = ca.stranger().await;
    proved(&pharmacy, PHARMACY).await;
    assert_eq!(order(&pharmacy, &[dns("a.example.fi")]).await.status, 201);
}

// X03, X04
#[tokio::test]
async fn a_request_for_another_organisation_is_bad_and_one_that_names_none_is_not() {
    let ca = world().await;
    let administrator = ca.stranger().await;
    proved(&administrator, PHARMACY).await;
    let order = body(&order(&administrator, &[dns("a.example.fi"), organisation(PHARMACY)]).await);
    let authorization = text(&order["authorizations"][0]);
    let challenge = body(&administrator.read(authorization).await)["challenges"][0]["url"].clone();
    administrator.post(text(&challenge), &json!({})).await;
    let now = crate::listeners::NOW;
    ca.authority.record_proof(id(authorization), id(text(&challenge)), Default::default(), now).await.unwrap();
    let finalize = text(&order["finalize"]);
    for (named, good) in [(Some("NTRFI-0245437-2"), false), (Some("NTRFI-0112038-9"), true)] {
        let got = administrator.post(finalize, &naming(named)).await;
        match good {
            false => refused(&got, 400, "badCSR"),
            true => assert_eq!(got.status, 200, "{:?}", String::from_utf8_lossy(&got.body)),
        }
    }
    refused(&administrator.post(finalize, &csr(&["a.example.fi"])).await, 403, "orderNotReady");
}

/// A request whose subject names an organisation (2.5.4.97).
fn naming(organisation: Option<&str>) -> Value {
    let mut params = rcgen::CertificateParams::new(vec!["a.example.fi".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(id) = organisation {
        params.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 97]), id);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    json!({ "csr": base64url::encode(params.serialize_request(&key).unwrap().der()) })
}

// X06
#[tokio::test]
async fn a_lapsed_organisation_orders_nothing_and_its_open_orders_go_on_after_renewal() {
    let ca = world().await;
    let administrator = ca.stranger().await;
    proved(&administrator, PHARMACY).await;
    let end = stored(&ca, PHARMACY).await.unwrap().verification.unwrap().expires;
    ca.clock.advance(end.since(crate::listeners::NOW) - 3_600);
    let got = order(&administrator, &[dns("a.example.fi")]).await;
    let (url, open) = (got.header("location").unwrap().to_owned(), body(&got));
    ca.clock.advance(3_600);
    let refusal = order(&administrator, &[dns("a.example.fi")]).await;
    refused(&refusal, 403, "unauthorized");
    assert!(text(&body(&refusal)["detail"]).contains("must renew it"));
    refused(&administrator.post(text(&open["finalize"]), &csr(&["a.example.fi"])).await, 403, "unauthorized");
    assert_eq!(body(&administrator.read(&url).await)["status"], "pending", "the order stays as it is");
    proved(&administrator, PHARMACY).await;
    assert_eq!(order(&administrator, &[dns("a.example.fi")]).await.status, 201);
    refused(&administrator.post(text(&open["finalize"]), &csr(&["a.example.fi"])).await, 403, "orderNotReady");
}
