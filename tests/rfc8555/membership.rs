//! The organisation behind an account: who may order what, by which door, and how it ends. `docs/protocol.md`, "Membership".

use sote_acme::acme::status::OrderStatus;
use sote_acme::client::{Account, OrderRequest, Registration};

use crate::support::judge::denied;
use crate::support::{Ca, key};

async fn unbound(ca: &Ca) -> Account {
    let registration = Registration { terms_agreed: true, ..Registration::default() };
    ca.organisation_client().register(key(), &registration).await.unwrap()
}

#[tokio::test]
async fn an_account_without_an_organisation_is_refused_by_every_door() {
    let ca = Ca::start().await;
    let account = unbound(&ca).await;
    for client in [ca.client(), ca.organisation_client()] {
        let account = Account::known(client.clone(), account.key().clone(), account.url());
        denied(account.order(&OrderRequest::of_names(["a.test"])).await, 403, "unauthorized");
        denied(account.pre_authorize("dns", "a.test").await, 403, "unauthorized");
    }
    assert!(account.object().await.is_ok());
}

#[tokio::test]
async fn an_account_with_an_organisation_may_come_by_either_door() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for client in [ca.client(), ca.organisation_client()] {
        let account = Account::known(client.clone(), account.key().clone(), account.url());
        assert!(account.order(&OrderRequest::of_names(["a.test"])).await.is_ok());
    }
}

#[tokio::test]
async fn names_outside_the_invitations_zones_are_rejected() {
    let ca = Ca::start().await;
    let external = ca.invite(|invitation| invitation.zones = vec!["hospital.test".parse().unwrap()]).await;
    let account = ca.register_with(&external).await.unwrap();
    for name in ["hospital.test", "www.hospital.test", "*.hospital.test", "WWW.Hospital.TEST"] {
        assert!(account.order(&OrderRequest::of_names([name])).await.is_ok(), "{name}");
    }
    for name in ["other.test", "nothospital.test", "hospital.test.evil.test", "*.test.fi"] {
        denied(account.order(&OrderRequest::of_names([name])).await, 403, "rejectedIdentifier");
        if !name.starts_with('*') {
            denied(account.pre_authorize("dns", name).await, 403, "rejectedIdentifier");
        }
    }
}

#[tokio::test]
async fn an_invitation_without_zones_allows_no_name() {
    let ca = Ca::start().await;
    let external = ca.invite(|invitation| invitation.zones = vec![]).await;
    let account = ca.register_with(&external).await.unwrap();
    denied(account.order(&OrderRequest::of_names(["a.test"])).await, 403, "rejectedIdentifier");
}

#[tokio::test]
async fn a_revoked_invitation_stops_the_accounts_that_it_created() {
    let ca = Ca::start().await;
    let external = ca.invite(|_| {}).await;
    let account = ca.register_with(&external).await.unwrap();
    let issued = ca.issue(&account, &["a.test"]).await;
    let mut ready = ca.ready_order(&account, &["b.test"]).await;
    let pending = ca.order(&account, &["c.test"]).await;
    let authorization = pending.authorizations().await.unwrap().remove(0);
    let challenge = authorization.object().challenges[0].clone();
    ca.revoke_invitation(external.kid()).await;
    denied(account.order(&OrderRequest::of_names(["a.test"])).await, 403, "unauthorized");
    denied(account.pre_authorize("dns", "a.test").await, 403, "unauthorized");
    denied(authorization.answer(&challenge).await, 403, "unauthorized");
    let finalized = ready.finalize(&ca.csr(&["b.test"])).await;
    assert!(finalized.is_err_and(|error| error.refusal().is_some_and(|refusal| refusal.status == 403)));
    assert_eq!(ready.refresh().await.unwrap(), OrderStatus::Invalid);
    assert!(ready.object().error.is_some());
    // Reading and the certificate's own key go on; the account's key revokes nothing.
    assert!(account.fetch(issued.chain.url()).await.is_ok());
    denied(account.revoke(issued.chain.leaf(), None).await, 403, "unauthorized");
    ca.client().revoke_by_key(issued.chain.leaf(), &issued.key, None).await.unwrap();
    assert!(account.deactivate().await.is_ok());
}

#[tokio::test]
async fn a_suspended_organisation_orders_nothing_and_its_open_orders_stay_dead_after_it_resumes() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut open = ca.ready_order(&account, &["a.test"]).await;
    ca.suspend_organisation("under investigation").await;
    let refusal = denied(account.order(&OrderRequest::of_names(["b.test"])).await, 403, "unauthorized");
    assert!(refusal.detail.contains("under investigation"), "{refusal}");
    ca.advance(1);
    ca.resume_organisation().await;
    assert_eq!(open.refresh().await.unwrap(), OrderStatus::Invalid);
    let issued = ca.issue(&account, &["b.test"]).await;
    assert!(ca.is_good(&issued.chain, "b.test").await);
}

#[tokio::test]
async fn a_unit_that_leaves_the_register_is_certified_no_more() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut ready = ca.ready_order(&account, &["a.test"]).await;
    ca.end_unit().await;
    assert!(account.order(&OrderRequest::of_names(["b.test"])).await.is_err());
    let finalized = ready.finalize(&ca.csr(&["a.test"])).await;
    assert!(finalized.is_err_and(|error| error.refusal().is_some_and(|refusal| refusal.status < 500)));
}

#[tokio::test]
async fn the_subject_is_the_unit_of_the_invitation_as_the_register_names_it() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let subject = sote_acme::client::relying_service::Link::parsed(issued.chain.leaf()).unwrap().subject();
    for part in ca.expected_subject() {
        assert!(subject.contains(&part), "{part} in {subject}");
    }
}

#[tokio::test]
async fn what_stops_an_account_is_seen_by_open_requests_too() {
    let ca = Ca::start().await;
    let external = ca.invite(|_| {}).await;
    let account = ca.register_with(&external).await.unwrap();
    let order = ca.order(&account, &["a.test"]).await;
    ca.revoke_invitation(external.kid()).await;
    let mut order = account.order_at(order.url()).await.unwrap();
    assert_eq!(order.refresh().await.unwrap(), OrderStatus::Invalid);
}
