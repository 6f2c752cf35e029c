//! draft-ietf-acme-profiles. Row O25 of `docs/protocol.md`.

use sote_acme::client::OrderRequest;

use crate::support::Ca;
use crate::support::judge::denied;

#[tokio::test]
async fn the_directory_lists_profiles_flat_and_each_can_be_ordered() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let profiles = ca.directory().meta.clone().unwrap().profiles;
    assert!(profiles.contains_key("sote-server"));
    for name in profiles.keys() {
        let issued = ca.obtained(&account, &OrderRequest::of_names(["a.test"]).profile(name)).await;
        assert_eq!(issued.order.object().profile.as_deref(), Some(name.as_str()));
    }
}

#[tokio::test]
async fn an_unknown_profile_is_an_invalid_one() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for name in ["nothing", "", "SOTE-SERVER", "sote server"] {
        let order = account.order(&OrderRequest::of_names(["a.test"]).profile(name)).await;
        denied(order, 400, "invalidProfile");
    }
}

#[tokio::test]
async fn an_order_without_a_profile_gets_the_default_and_says_so() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.order(&account, &["a.test"]).await;
    assert_eq!(order.object().profile.as_deref(), Some("sote-server"));
}

#[tokio::test]
async fn a_profile_outside_the_invitations_limits_is_an_invalid_one() {
    let ca = Ca::start().await;
    let external = ca.invite(|invitation| invitation.profiles = vec!["sote-server".parse().unwrap()]).await;
    let account = ca.register_with(&external).await.unwrap();
    assert!(account.order(&OrderRequest::of_names(["a.test"])).await.is_ok());
    for name in ca.directory().meta.clone().unwrap().profiles.keys().filter(|name| *name != "sote-server") {
        denied(account.order(&OrderRequest::of_names(["a.test"]).profile(name)).await, 400, "invalidProfile");
    }
}
