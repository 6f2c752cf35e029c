//! Nobody takes an organisation over: whoever proves one that has, or ever had, administrators waits to be admitted.

use serde_json::{Value, json};
use sote_acme::model::MembershipState;
use sote_acme::names::AccountId;

use crate::listeners::{Ca, Person, body, refused};
use crate::world::{PHARMACY, dns, id, membership, order, proved, stored, text, world};

const DAY: i64 = 86_400;

fn account(person: &Person<'_>) -> AccountId {
    id(&person.account)
}

async fn is_pending(person: &Person<'_>) -> bool {
    matches!(membership(person).await.unwrap().state, MembershipState::Pending { .. })
}

fn admission(person: &Person<'_>) -> String {
    json!({ "account": account(person) }).to_string()
}

/// Both officers admit the account.
async fn admitted(ca: &Ca, person: &Person<'_>) -> Value {
    let (status, first) = ca.command("POST", "/members/admit", &admission(person)).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(first["state"]["state"], "pending", "one officer is not enough");
    let (status, second) = ca.second_command("POST", "/members/admit", &admission(person)).await;
    assert_eq!(status, 200, "{second}");
    second
}

// X30
#[tokio::test]
async fn a_second_account_that_proves_an_organisation_waits_and_orders_nothing() {
    let ca = world().await;
    let (first, second) = (ca.stranger().await, ca.stranger().await);
    proved(&first, PHARMACY).await;
    let before = stored(&ca, PHARMACY).await;
    ca.clock.advance(DAY);
    proved(&second, PHARMACY).await;
    assert!(is_pending(&second).await);
    assert_eq!(stored(&ca, PHARMACY).await, before, "its proof changes nothing of the organisation");
    let refusal = order(&second, &[dns("a.example.fi")]).await;
    refused(&refusal, 403, "unauthorized");
    assert!(text(&body(&refusal)["detail"]).contains("waits to be admitted"));
    assert_eq!(order(&first, &[dns("a.example.fi")]).await.status, 201);
    // A proof again changes nothing either.
    proved(&second, PHARMACY).await;
    assert!(is_pending(&second).await);
}

#[tokio::test]
async fn two_officers_with_different_names_admit_and_nobody_confirms_their_own() {
    let ca = world().await;
    let (first, second) = (ca.stranger().await, ca.stranger().await);
    proved(&first, PHARMACY).await;
    proved(&second, PHARMACY).await;
    assert_eq!(ca.command("POST", "/members/admit", &admission(&second)).await.0, 200);
    let (status, refusal) = ca.command("POST", "/members/admit", &admission(&second)).await;
    assert_eq!(status, 409, "{refusal}");
    assert!(text(&refusal["error"]).contains("another"), "{refusal}");
    assert!(is_pending(&second).await);
    let (status, _) = ca.second_command("POST", "/members/admit", &admission(&second)).await;
    assert_eq!(status, 200);
    assert!(membership(&second).await.unwrap().is_administrator());
    assert_eq!(order(&second, &[dns("a.example.fi")]).await.status, 201);
    let (status, again) = ca.command("POST", "/members/admit", &admission(&second)).await;
    assert_eq!(status, 409, "{again}");
}

#[tokio::test]
async fn a_waiting_account_can_be_refused_and_waits_again_after_another_proof() {
    let ca = world().await;
    let (first, second) = (ca.stranger().await, ca.stranger().await);
    proved(&first, PHARMACY).await;
    proved(&second, PHARMACY).await;
    let refusal = json!({ "account": account(&second), "reason": "unknown to the organisation" });
    assert_eq!(ca.command("POST", "/members/refuse", &refusal.to_string()).await.0, 200);
    let got = order(&second, &[dns("a.example.fi")]).await;
    assert!(text(&body(&got)["detail"]).contains("unknown to the organisation"));
    proved(&second, PHARMACY).await;
    assert!(is_pending(&second).await);
}

#[tokio::test]
async fn a_lapsed_and_a_suspended_organisation_cannot_be_taken_over_either() {
    let ca = world().await;
    let (first, second, third) = (ca.stranger().await, ca.stranger().await, ca.stranger().await);
    proved(&first, PHARMACY).await;
    ca.clock.advance(400 * DAY);
    proved(&second, PHARMACY).await;
    assert!(is_pending(&second).await, "lapsed");
    refused(&order(&first, &[dns("a.example.fi")]).await, 403, "unauthorized");
    proved(&first, PHARMACY).await;
    assert_eq!(order(&first, &[dns("a.example.fi")]).await.status, 201, "its administrator renews it at once");
    let suspension = json!({ "business_id": PHARMACY, "reason": "under inquiry" }).to_string();
    assert_eq!(ca.command("POST", "/organisations/suspend", &suspension).await.0, 200);
    proved(&third, PHARMACY).await;
    assert!(is_pending(&third).await, "suspended");
    proved(&first, PHARMACY).await;
    refused(&order(&first, &[dns("a.example.fi")]).await, 403, "unauthorized");
}

#[tokio::test]
async fn the_last_administrator_may_go_and_two_officers_admit_the_next() {
    let ca = world().await;
    let (first, second) = (ca.stranger().await, ca.stranger().await);
    proved(&first, PHARMACY).await;
    let gone = first.post(&first.account, &json!({ "status": "deactivated" })).await;
    assert_eq!((gone.status, text(&body(&gone)["status"])), (200, "deactivated"));
    let invitation = json!({
        "business_id": PHARMACY, "role": "administrator", "profiles": ["sote-server"], "zones": ["*"],
        "uses": 1, "lifetime": 86_400,
    });
    let (status, refusal) = ca.command("POST", "/invitations", &invitation.to_string()).await;
    assert_ne!(status, 200, "an orphaned organisation invites nobody");
    assert!(refusal.to_string().contains("admit"), "{refusal}");
    ca.clock.advance(DAY);
    proved(&second, PHARMACY).await;
    assert!(is_pending(&second).await, "orphaned");
    let before = stored(&ca, PHARMACY).await.unwrap().verification.unwrap();
    admitted(&ca, &second).await;
    assert!(membership(&second).await.unwrap().is_administrator());
    let after = stored(&ca, PHARMACY).await.unwrap().verification.unwrap();
    assert_eq!(after.expires, before.expires.plus(DAY), "its own proof is the organisation's from now on");
    assert_eq!(order(&second, &[dns("a.example.fi")]).await.status, 201);
}

#[tokio::test]
async fn an_organisation_that_an_officer_added_is_its_first_provers() {
    let ca = world().await;
    let added = json!({ "business_id": PHARMACY, "profiles": ["sote-server"], "zones": ["example.fi"] });
    assert_eq!(ca.command("POST", "/organisations", &added.to_string()).await.0, 200);
    let first = ca.stranger().await;
    proved(&first, PHARMACY).await;
    assert!(membership(&first).await.unwrap().is_administrator());
    refused(&order(&first, &[dns("a.example.com")]).await, 403, "rejectedIdentifier");
    assert_eq!(order(&first, &[dns("a.example.fi")]).await.status, 201, "the officer's limits stay");
}
