//! RFC 8555 §7.6: revocation. Rows R01 to R12 of `docs/protocol.md`.

use serde_json::{Value, json};
use sote_acme::client::relying_service::{OcspMethod, OcspStatus};
use sote_acme::client::{Account, CertificateKey, KeyKind, Response};
use sote_acme::names::{RevocationReason, base64url};

use crate::support::judge::{denied, refused};
use crate::support::{Ca, Issued};

async fn revoking(ca: &Ca, account: &Account, payload: Value) -> Response {
    ca.forged(account, &ca.directory().revoke_cert.clone()).await.payload(payload).send(ca).await
}

/// What a relying service learns of a certificate: its CRL's reason (nothing, if it is not on the list) and OCSP by each method.
async fn learned(ca: &Ca, issued: &Issued) -> (Option<Option<RevocationReason>>, Vec<OcspStatus>) {
    let service = ca.relying_service();
    let chain = service.verified(issued.chain.certificates(), "a.test", ca.now()).unwrap();
    let lists = ca.published_lists(&chain).await;
    let statuses = ca.ocsp_answers(&chain).await.into_iter().map(|answer| answer.status).collect();
    (lists[0].entry.as_ref().map(|entry| entry.reason), statuses)
}

// R01, R07
#[tokio::test]
async fn the_account_revokes_its_certificate_and_everyone_learns_it() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let (entry, statuses) = learned(&ca, &issued).await;
    assert_eq!((entry, statuses.iter().all(|status| *status == OcspStatus::Good)), (None, true));
    let payload = json!({ "certificate": base64url::encode(issued.chain.leaf()), "reason": 4 });
    let answer = revoking(&ca, &account, payload.clone()).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    let (entry, statuses) = learned(&ca, &issued).await;
    assert_eq!(entry, Some(Some(RevocationReason::Superseded)));
    for status in statuses {
        assert!(matches!(status, OcspStatus::Revoked { reason: Some(RevocationReason::Superseded), .. }), "{status:?}");
    }
    refused(revoking(&ca, &account, payload).await, 400, "alreadyRevoked");
}

// R07: from the answer on, OCSP says revoked; nothing that was cached before is served.
#[tokio::test]
async fn ocsp_says_revoked_at_once_though_the_answer_was_cached() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let service = ca.relying_service();
    let chain = service.verified(issued.chain.certificates(), "a.test", ca.now()).unwrap();
    for _ in 0..3 {
        assert_eq!(service.ocsp(&chain, OcspMethod::Get, ca.now()).await.unwrap().status, OcspStatus::Good);
    }
    account.revoke(issued.chain.leaf(), None).await.unwrap();
    for method in [OcspMethod::Get, OcspMethod::Post, OcspMethod::PostWithNonce] {
        let status = service.ocsp(&chain, method, ca.now()).await.unwrap().status;
        assert!(matches!(status, OcspStatus::Revoked { .. }), "{method:?}");
    }
}

// R01, R04, R12
#[tokio::test]
async fn the_certificates_key_revokes_whoever_ordered_it() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa2048] {
        let issued = ca.issue_with(&account, &["a.test"], CertificateKey::generate(kind).unwrap()).await;
        ca.client().revoke_by_key(issued.chain.leaf(), &issued.key, None).await.unwrap();
        denied(ca.client().revoke_by_key(issued.chain.leaf(), &issued.key, None).await, 400, "alreadyRevoked");
    }
    let issued = ca.issue(&account, &["a.test"]).await;
    let url = ca.directory().revoke_cert.clone();
    let both = ca.forged(&account, &url).await.header("jwk", account.key().jwk().to_json());
    let payload = json!({ "certificate": base64url::encode(issued.chain.leaf()) });
    refused(both.payload(payload).send(&ca).await, 400, "malformed");
}

// R02, R08
#[tokio::test]
async fn a_stranger_learns_nothing_and_revokes_nothing() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let stranger = ca.account_of_another_organisation().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let others_key = CertificateKey::generate(KeyKind::EcP256).unwrap();
    let theirs = denied(stranger.revoke(issued.chain.leaf(), None).await, 403, "unauthorized");
    let unknown = denied(stranger.revoke(&ca.foreign_certificate(), None).await, 403, "unauthorized");
    let mut altered = issued.chain.leaf().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let spoilt = denied(stranger.revoke(&altered, None).await, 403, "unauthorized");
    denied(ca.client().revoke_by_key(issued.chain.leaf(), &others_key, None).await, 403, "unauthorized");
    assert_eq!((&theirs, &theirs), (&unknown, &spoilt));
    assert!(ca.is_good(&issued.chain, "a.test").await);
    // The same serial number and a key of one's own choice do not make it one's own.
    denied(account.revoke(&altered, None).await, 403, "unauthorized");
}

// R03
#[tokio::test]
async fn an_account_that_holds_every_authorization_revokes_for_its_organisation() {
    let ca = Ca::start().await;
    let (owner, other) = (ca.account().await, ca.account().await);
    let issued = ca.issue(&owner, &["a.test", "b.test"]).await;
    ca.ready_order(&other, &["a.test"]).await;
    denied(other.revoke(issued.chain.leaf(), None).await, 403, "unauthorized");
    ca.ready_order(&other, &["b.test"]).await;
    other.revoke(issued.chain.leaf(), Some(1)).await.unwrap();
}

// R03
#[tokio::test]
async fn an_account_of_another_organisation_revokes_nothing_though_it_holds_the_names() {
    let ca = Ca::start().await;
    let owner = ca.account().await;
    let other = ca.account_of_another_organisation().await;
    let issued = ca.issue(&owner, &["a.test"]).await;
    ca.ready_order(&other, &["a.test"]).await;
    denied(other.revoke(issued.chain.leaf(), None).await, 403, "unauthorized");
}

// R05
#[tokio::test]
async fn only_the_reasons_of_a_holder_are_accepted() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let certificate = base64url::encode(issued.chain.leaf());
    for reason in [
        json!(2),
        json!(6),
        json!(7),
        json!(8),
        json!(10),
        json!(-1),
        json!(99),
        json!(256),
        json!("1"),
        json!(1.5),
        json!([]),
    ] {
        let answer = revoking(&ca, &account, json!({ "certificate": certificate, "reason": reason })).await;
        let problem = refused(answer, 400, "badRevocationReason");
        assert!(["0", "1", "3", "4", "5"].iter().all(|code| problem.detail.contains(code)), "{problem}");
    }
    assert!(ca.is_good(&issued.chain, "a.test").await);
    for reason in [1, 3, 4, 5] {
        let issued = ca.issue(&account, &["a.test"]).await;
        account.revoke(issued.chain.leaf(), Some(reason)).await.unwrap();
        let (entry, _) = learned(&ca, &issued).await;
        assert_eq!(entry.unwrap().map(RevocationReason::code), Some(reason));
    }
}

// R06
#[tokio::test]
async fn without_a_reason_and_with_reason_0_the_list_gives_none() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for reason in [None, Some(0)] {
        let issued = ca.issue(&account, &["a.test"]).await;
        account.revoke(issued.chain.leaf(), reason).await.unwrap();
        let (entry, statuses) = learned(&ca, &issued).await;
        assert_eq!(entry, Some(None));
        assert!(statuses.iter().all(|status| matches!(status, OcspStatus::Revoked { reason: None, .. })));
    }
}

// R08
#[tokio::test]
async fn what_is_no_certificate_is_malformed() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let padded = format!("{}=", base64url::encode(issued.chain.leaf()));
    for payload in [
        json!({}),
        json!({ "certificate": "" }),
        json!({ "certificate": "MAA" }),
        json!({ "certificate": 1 }),
        json!({ "certificate": padded }),
        json!({ "certificate": issued.chain.pem() }),
    ] {
        refused(revoking(&ca, &account, payload).await, 400, "malformed");
    }
    denied(account.fetch(&ca.directory().revoke_cert.clone()).await, 400, "malformed");
}

// R09
#[tokio::test]
async fn an_expired_certificate_is_not_revoked() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    ca.advance(issued.validity().1.since(ca.now()) + 1);
    denied(account.revoke(issued.chain.leaf(), None).await, 400, "malformed");
}

// R10
#[tokio::test]
async fn a_key_reported_as_compromised_is_never_certified_again() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    ca.client().revoke_by_key(issued.chain.leaf(), &issued.key, Some(1)).await.unwrap();
    let mut order = ca.ready_order(&account, &["b.test"]).await;
    let csr = sote_acme::client::certificate_request(&issued.key, &["b.test"]).unwrap();
    denied(order.finalize(&csr).await, 400, "badCSR");
}

// R11
#[tokio::test]
async fn a_revoked_certificate_is_raised_to_key_compromise_once_by_its_key() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    account.revoke(issued.chain.leaf(), Some(4)).await.unwrap();
    denied(account.revoke(issued.chain.leaf(), Some(1)).await, 400, "alreadyRevoked");
    ca.client().revoke_by_key(issued.chain.leaf(), &issued.key, Some(1)).await.unwrap();
    denied(ca.client().revoke_by_key(issued.chain.leaf(), &issued.key, Some(1)).await, 400, "alreadyRevoked");
    let (entry, _) = learned(&ca, &issued).await;
    assert_eq!(entry, Some(Some(RevocationReason::KeyCompromise)));
}

// R07
#[tokio::test]
async fn a_revocation_outlives_a_restart() {
    let mut ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    account.revoke(issued.chain.leaf(), Some(5)).await.unwrap();
    ca.restart().await;
    let (entry, statuses) = learned(&ca, &issued).await;
    assert_eq!(entry, Some(Some(RevocationReason::CessationOfOperation)));
    assert!(statuses.iter().all(|status| matches!(status, OcspStatus::Revoked { .. })));
}

// R07: only the reason of the first one counts when two race.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_revocations_at_once_one_succeeds() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let mut revocations = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (account, der) = (account.clone(), issued.chain.leaf().to_vec());
        revocations.spawn(async move { account.revoke(&der, Some(4)).await });
    }
    let (done, late): (Vec<_>, Vec<_>) = revocations.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    late.into_iter().for_each(|late| drop(denied(late, 400, "alreadyRevoked")));
}
