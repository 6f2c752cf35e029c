//! RFC 9773: renewal information and `replaces`. Row O24 of `docs/protocol.md`.

use serde_json::json;
use sote_acme::acme::renewal::RenewalId;
use sote_acme::client::OrderRequest;
use sote_acme::names::SerialNumber;

use crate::support::Ca;
use crate::support::judge::{denied, refused};

#[tokio::test]
async fn the_window_lies_before_the_certificates_end_and_needs_no_signature() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let advice = ca.client().renewal_advice(&issued.chain.renewal_id().unwrap()).await.unwrap();
    let window = advice.info.suggested_window;
    let (not_before, not_after) = issued.validity();
    assert!(not_before < window.start && window.start < window.end && window.end < not_after);
    assert!(advice.ask_again_in.is_some_and(|seconds| seconds > 0));
}

#[tokio::test]
async fn a_revoked_certificate_should_be_renewed_now() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    account.revoke(issued.chain.leaf(), Some(1)).await.unwrap();
    let advice = ca.client().renewal_advice(&issued.chain.renewal_id().unwrap()).await.unwrap();
    assert!(advice.info.suggested_window.end <= ca.now());
}

#[tokio::test]
async fn an_unknown_certificate_is_not_found_and_a_malformed_name_is_malformed() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let known = ca.issue(&account, &["a.test"]).await.chain.renewal_id().unwrap();
    let unknown = RenewalId::new(known.authority_key_identifier(), SerialNumber::mint(ca.now()));
    assert!(ca.client().renewal_advice(&unknown).await.is_err_and(|e| e.refusal().is_some_and(|r| r.status == 404)));
    let base = ca.directory().renewal_info.clone().unwrap();
    refused(ca.get(&format!("{base}/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")).await, 404, "malformed");
    assert_eq!(ca.request("POST", &format!("{base}/{known}")).await.status, 405);
    for name in
        ["x", "a.b.c", "x.y", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AACHZUMh", "aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE", "."]
    {
        refused(ca.get(&format!("{base}/{name}")).await, 400, "malformed");
    }
}

// O24
#[tokio::test]
async fn an_order_names_what_it_replaces_and_a_certificate_is_replaced_once() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let replaced = ca.issue(&account, &["a.test"]).await.chain.renewal_id().unwrap();
    let request = OrderRequest::of_names(["a.test"]).replacing(&replaced);
    let order = account.order(&request).await.unwrap();
    assert_eq!(order.object().replaces.as_deref(), Some(replaced.to_string().as_str()));
    denied(account.order(&request).await, 409, "alreadyReplaced");
    order.authorizations().await.unwrap()[0].deactivate().await.unwrap();
    let issued = ca.obtained(&account, &request).await;
    denied(account.order(&request).await, 409, "alreadyReplaced");
    assert!(ca.is_good(&issued.chain, "a.test").await);
}

// O24
#[tokio::test]
async fn what_cannot_be_replaced_gets_one_answer() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let stranger = ca.account_of_another_organisation().await;
    let own = ca.issue(&account, &["a.test"]).await.chain.renewal_id().unwrap();
    let unknown = RenewalId::new(own.authority_key_identifier(), SerialNumber::mint(ca.now()));
    let not_shared = account.order(&OrderRequest::of_names(["b.test"]).replacing(&own)).await;
    let missing = account.order(&OrderRequest::of_names(["a.test"]).replacing(&unknown)).await;
    let others = stranger.order(&OrderRequest::of_names(["a.test"]).replacing(&own)).await;
    let answers = [not_shared, missing, others].map(|answer| denied(answer, 404, "malformed"));
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

// O24
#[tokio::test]
async fn a_malformed_replaces_is_malformed() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for replaces in [json!(""), json!("x"), json!(1), json!(["a.b"])] {
        let payload = json!({ "identifiers": [{ "type": "dns", "value": "a.test" }], "replaces": replaces });
        let request = ca.forged(&account, &ca.directory().new_order.clone()).await.payload(payload);
        refused(request.send(&ca).await, 400, "malformed");
    }
}

// O24: a colleague's account of the same organisation may take over.
#[tokio::test]
async fn another_account_of_the_organisation_may_replace() {
    let ca = Ca::start().await;
    let (one, other) = (ca.account().await, ca.account().await);
    let replaced = ca.issue(&one, &["a.test"]).await.chain.renewal_id().unwrap();
    assert!(other.order(&OrderRequest::of_names(["a.test"]).replacing(&replaced)).await.is_ok());
}
