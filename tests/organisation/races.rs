//! Two things at once, fifty times each: never both where only one may be.

use serde_json::json;
use sote_acme::client::{CertificateKey, KeyKind, certificate_request};
use sote_acme::model::Evidence;
use sote_acme::model::MembershipState;
use sote_acme::names::base64url;
use sote_acme::store::Counter;

use crate::listeners::{NOW, Person, body};
use crate::world::{HOSPITAL, PHARMACY, answered, dns, id, membership, order, proved, store, stored, text, world};

const ROUNDS: usize = 50;

async fn conclude(person: &Person<'_>, (url, challenge): &(String, String)) {
    person.ca.authority.record_proof(id(url), id(challenge), Evidence::default(), NOW).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_first_proofs_one_makes_the_administrator_and_the_other_waits() {
    for _ in 0..ROUNDS {
        let ca = world().await;
        let (one, other) = (ca.stranger().await, ca.stranger().await);
        let (first, second) = (answered(&one, PHARMACY).await, answered(&other, PHARMACY).await);
        tokio::join!(conclude(&one, &first), conclude(&other, &second));
        let members = [membership(&one).await.unwrap(), membership(&other).await.unwrap()];
        assert_eq!(members.iter().filter(|membership| membership.is_administrator()).count(), 1);
        let waits =
            |membership: &&sote_acme::model::Membership| matches!(membership.state, MembershipState::Pending { .. });
        assert_eq!(members.iter().filter(waits).count(), 1);
        let organisation = stored(&ca, PHARMACY).await.unwrap().id;
        assert_eq!(store(&ca).count(Counter::Administrators(organisation)).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_proofs_of_one_account_for_two_organisations_one_binds_it() {
    let ca = world().await;
    for _ in 0..ROUNDS {
        let person = ca.stranger().await;
        let (first, second) = (answered(&person, PHARMACY).await, answered(&person, HOSPITAL).await);
        tokio::join!(conclude(&person, &first), conclude(&person, &second));
        let mut statuses = Vec::new();
        for (url, _) in [&first, &second] {
            statuses.push(text(&body(&person.read(url).await)["status"]).to_owned());
        }
        statuses.sort();
        assert_eq!(statuses, ["invalid", "valid"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_beside_an_order_leaves_no_open_order() {
    let ca = world().await;
    let person = ca.stranger().await;
    proved(&person, PHARMACY).await;
    for round in 0..ROUNDS {
        let suspension = json!({ "business_id": PHARMACY, "reason": "under inquiry" }).to_string();
        let names = [dns(&format!("a{round}.example.fi"))];
        let (ordered, suspended) =
            tokio::join!(order(&person, &names), ca.command("POST", "/organisations/suspend", &suspension));
        assert_eq!(suspended.0, 200);
        if ordered.status == 201 {
            let read = body(&person.read(ordered.header("location").unwrap()).await);
            assert_eq!(read["status"], "invalid", "an order that was there before the suspension is void");
        } else {
            assert_eq!(ordered.status, 403);
        }
        assert_eq!(ca.command("POST", "/organisations/resume", &suspension).await.0, 200);
        ca.clock.advance(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_administrators_who_go_at_once_leave_a_count_of_none_and_one_sign_of_it() {
    for _ in 0..ROUNDS / 5 {
        let ca = world().await;
        let (one, other) = (ca.stranger().await, ca.stranger().await);
        proved(&one, PHARMACY).await;
        proved(&other, PHARMACY).await;
        let admission = json!({ "account": other.account.rsplit('/').next() }).to_string();
        assert_eq!(ca.command("POST", "/members/admit", &admission).await.0, 200);
        assert_eq!(ca.second_command("POST", "/members/admit", &admission).await.0, 200);
        let ended = json!({ "status": "deactivated" });
        let (first, second) = tokio::join!(one.post(&one.account, &ended), other.post(&other.account, &ended));
        assert_eq!((first.status, second.status), (200, 200));
        let organisation = stored(&ca, PHARMACY).await.unwrap().id;
        assert_eq!(store(&ca).count(Counter::Administrators(organisation)).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_narrowed_beside_finalize_lets_no_certificate_be_made() {
    let ca = world().await;
    let person = ca.stranger().await;
    proved(&person, PHARMACY).await;
    let limits = |zone: &str| json!({ "business_id": PHARMACY, "zones": [zone] }).to_string();
    for round in 0..ROUNDS {
        let name = format!("a{round}.example.fi");
        let ordered = order(&person, &[dns(&name)]).await;
        assert_eq!(ordered.status, 201);
        let open = body(&ordered);
        let authorization = text(&open["authorizations"][0]).to_owned();
        let challenge = text(&body(&person.read(&authorization).await)["challenges"][0]["url"]).to_owned();
        person.post(&challenge, &json!({})).await;
        conclude(&person, &(authorization, challenge)).await;
        let key = CertificateKey::generate(KeyKind::EcP256).unwrap();
        let csr = json!({ "csr": base64url::encode(&certificate_request(&key, &[&name]).unwrap()) });
        let narrow = limits("other.fi");
        let (finalized, narrowed) = tokio::join!(
            person.post(text(&open["finalize"]), &csr),
            ca.command("POST", "/organisations/limits", &narrow)
        );
        assert_eq!(narrowed.0, 200);
        match finalized.status {
            // It was first: the worker makes the proof anew, and finds none.
            200 => {
                let id = id(ordered.header("location").unwrap());
                let facts = ca.authority.processing_order(id, NOW).await.unwrap().unwrap();
                assert!(ca.authority.authorized(&facts, NOW).is_err());
            }
            status => assert_eq!(status, 403),
        }
        assert_eq!(ca.command("POST", "/organisations/limits", &limits("*")).await.0, 200);
    }
}
