//! RFC 8555 §7.3.4: external account binding. Rows A30 to A37 of `docs/protocol.md`.

use std::sync::Arc;

use serde_json::{Value, json};
use sote_acme::acme::external_account::MacAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::client::{ExternalAccount, Registration, Response};
use sote_acme::names::base64url;

use crate::support::judge::{denied, problem, refused};
use crate::support::{Ca, key};

async fn bound_by(ca: &Ca, key: &Arc<AccountKey>, binding: Value) -> Response {
    let request = json!({ "termsOfServiceAgreed": true, "externalAccountBinding": binding });
    ca.forged_by_key(key, &ca.directory().new_account.clone()).await.payload(request).send(ca).await
}

/// A binding of which each part can be put otherwise, with a right MAC over whatever it says.
fn binding(account: &ExternalAccount, header: Value, payload: &[u8]) -> Value {
    let (protected, payload) = (base64url::encode(header.to_string().as_bytes()), base64url::encode(payload));
    let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, account.mac_key());
    let mac = aws_lc_rs::hmac::sign(&mac_key, format!("{protected}.{payload}").as_bytes());
    json!({ "protected": protected, "payload": payload, "signature": base64url::encode(mac.as_ref()) })
}

// A30
#[tokio::test]
async fn without_a_binding_no_account_is_made_by_the_servers_directory() {
    let ca = Ca::start().await;
    let (key, unbound) = (key(), Registration { terms_agreed: true, ..Registration::default() });
    denied(ca.client().register(key.clone(), &unbound).await, 403, "externalAccountRequired");
    denied(ca.client().find_account(key).await, 400, "accountDoesNotExist");
}

// A31, A34
#[tokio::test]
async fn a_binding_by_hs256_hs384_or_hs512_is_accepted_and_shown_as_it_came() {
    let ca = Ca::start().await;
    for algorithm in MacAlgorithm::ALL {
        let (key, account) = (key(), ca.external_account().with_algorithm(*algorithm));
        let binding = account.binding(&key, &ca.directory().new_account).unwrap();
        let answer = bound_by(&ca, &key, binding.clone()).await;
        assert_eq!(answer.status, 201, "{algorithm:?}");
        assert_eq!(answer.json::<Value>().unwrap()["externalAccountBinding"], binding);
    }
}

// A31, A32, A33, A35
#[tokio::test]
async fn a_binding_of_a_wrong_form_makes_no_account() {
    let ca = Ca::start().await;
    let account = ca.external_account();
    let url = ca.directory().new_account.clone();
    let (key, other) = (key(), key());
    let (own, others) = (key.jwk().to_json().to_string(), other.jwk().to_json().to_string());
    let header = json!({ "alg": "HS256", "kid": account.kid(), "url": url });
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header
    };
    let without = |name: &str| {
        let mut header = header.clone();
        header.as_object_mut().unwrap().remove(name);
        header
    };
    let mut private = key.jwk().to_json();
    private["d"] = "AQAB".into();
    let right = binding(&account, header.clone(), own.as_bytes());
    let mut with_header = right.clone();
    with_header["header"] = json!({});
    let wrong = [
        binding(&account, with("alg", "ES256".into()), own.as_bytes()),
        binding(&account, with("alg", "none".into()), own.as_bytes()),
        binding(&account, with("nonce", ca.nonce().await.into()), own.as_bytes()),
        binding(&account, with("url", ca.directory().new_order.clone().into()), own.as_bytes()),
        binding(&account, with("url", ca.organisation_client().directory().new_account.clone().into()), own.as_bytes()),
        binding(&account, with("jwk", key.jwk().to_json()), own.as_bytes()),
        binding(&account, with("crit", json!(["exp"])), own.as_bytes()),
        binding(&account, with("b64", false.into()), own.as_bytes()),
        binding(&account, without("url"), own.as_bytes()),
        binding(&account, without("kid"), own.as_bytes()),
        binding(&account, header.clone(), others.as_bytes()),
        binding(&account, header.clone(), private.to_string().as_bytes()),
        binding(&account, header.clone(), b"{}"),
        binding(&account, header.clone(), b""),
        with_header,
        json!({}),
        json!("binding"),
        json!([right]),
    ];
    for wrong in wrong {
        let answer = bound_by(&ca, &key, wrong.clone()).await;
        let kind = problem(&answer);
        assert_eq!((answer.status, kind.name()), (400, Some("malformed")), "{wrong}: {kind}");
    }
    denied(ca.client().find_account(key.clone()).await, 400, "accountDoesNotExist");
    assert_eq!(bound_by(&ca, &key, right).await.status, 201);
}

// A32, A35, A36
#[tokio::test]
async fn an_unknown_spent_expired_or_revoked_invitation_and_a_wrong_mac_get_one_answer() {
    let ca = Ca::start().await;
    let known = ca.external_account();
    let mac_key = base64url::encode(known.mac_key());
    let spent = ca.invite(|invitation| invitation.uses = 1).await;
    ca.register_with(&spent).await.unwrap();
    let expired = ca.invite(|invitation| invitation.lifetime = 60).await;
    let revoked = ca.invite(|_| {}).await;
    ca.revoke_invitation(revoked.kid()).await;
    ca.advance(61);
    let mut unknown_kid = known.kid().to_owned();
    unknown_kid.replace_range(unknown_kid.len() - 4.., "AAAA");
    let refused_accounts = [
        spent,
        expired,
        revoked,
        ExternalAccount::new(&unknown_kid, &mac_key).unwrap(),
        ExternalAccount::new("kid", &mac_key).unwrap(),
        ExternalAccount::new(known.kid(), &base64url::encode(&[0; 32])).unwrap(),
    ];
    let mut answers = Vec::new();
    for account in refused_accounts {
        let key = key();
        let binding = account.binding(&key, &ca.directory().new_account).unwrap();
        answers.push(refused(bound_by(&ca, &key, binding).await, 403, "unauthorized"));
        denied(ca.client().find_account(key).await, 400, "accountDoesNotExist");
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

// A36
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_invitation_for_three_makes_three_accounts_however_many_ask_at_once() {
    let ca = Ca::start().await;
    let account = ca.invite(|invitation| invitation.uses = 3).await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let client = ca.client().clone();
        let registration =
            Registration { terms_agreed: true, external_account: Some(account.clone()), ..Registration::default() };
        requests.spawn(async move { client.register(key(), &registration).await.is_ok() });
    }
    let made = requests.join_all().await.into_iter().filter(|made| *made).count();
    assert_eq!(made, 3);
}

// A37
#[tokio::test]
async fn a_known_key_comes_back_though_its_invitation_is_spent() {
    let ca = Ca::start().await;
    let external = ca.invite(|invitation| invitation.uses = 1).await;
    let account = ca.register_with(&external).await.unwrap();
    let before = account.object().await.unwrap().external_account_binding;
    let registration = Registration { external_account: Some(external), ..Registration::default() };
    let again = ca.client().register(account.key().clone(), &registration).await.unwrap();
    assert_eq!(again.url(), account.url());
    assert_eq!(again.object().await.unwrap().external_account_binding, before);
}

// A30: an account of the organisations' directory may still bring a binding.
#[tokio::test]
async fn the_organisations_directory_accepts_a_binding_too() {
    let ca = Ca::start().await;
    let account = ca.organisation_client().register(key(), &ca.registration()).await.unwrap();
    assert!(account.object().await.unwrap().external_account_binding.is_some());
}
