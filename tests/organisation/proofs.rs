//! What a proof comes to: the first administrator, limits from the configuration, ends, proofs that are shown twice, mandates.

use serde_json::json;
use sote_acme::acme::problem::Problem;
use sote_acme::model::evidence::EvidenceDocument;
use sote_acme::model::{Evidence, PersonHash, Role, SpentProof, UniqueKind, UniqueProof};
use sote_acme::names::AccountId;
use sote_acme::store::Counter;

use crate::listeners::{NOW, body, refused};
use crate::world::{
    HOSPITAL, PHARMACY, answered, begin, concluded, dns, id, membership, order, organisation, proved, register, store,
    stored, text, token, world,
};

const DAY: i64 = 86_400;

#[tokio::test]
async fn the_first_proof_makes_the_organisation_and_its_administrator() {
    let ca = world().await;
    let person = ca.stranger().await;
    assert!(stored(&ca, PHARMACY).await.is_none());
    let authorization = proved(&person, PHARMACY).await;
    let organisation = stored(&ca, PHARMACY).await.unwrap();
    assert_eq!(organisation.zones.iter().map(ToString::to_string).collect::<Vec<_>>(), ["*"]);
    assert_eq!(organisation.profiles.len(), 1, "every profile that is no test product");
    let verification = organisation.verification.unwrap();
    assert_eq!((verification.method.as_str(), verification.expires), ("tkauth-01", NOW.plus(365 * DAY)));
    assert_eq!(authorization["expires"], verification.expires.to_string());
    let membership = membership(&person).await.unwrap();
    assert!(membership.is_administrator() && membership.organisation == organisation.id);
    assert_eq!(store(&ca).count(Counter::Administrators(organisation.id)).await.unwrap(), 1);
    assert_eq!(order(&person, &[dns("a.example.fi")]).await.status, 201);
}

#[tokio::test]
async fn evidence_that_fails_ends_the_authorization_with_its_reason() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (url, challenge) = answered(&person, PHARMACY).await;
    let problem = Problem::incorrect_response("the token is for another account");
    ca.authority.record_refutation(id(&url), id(&challenge), problem, NOW).await.unwrap();
    let got = person.read(&challenge).await;
    assert_eq!(got.status, 200);
    let shown = body(&got);
    assert_eq!(
        (text(&shown["status"]), text(&shown["error"]["detail"])),
        ("invalid", "the token is for another account")
    );
    assert_eq!(body(&person.read(&url).await)["status"], "invalid");
    assert!(membership(&person).await.is_none() && stored(&ca, PHARMACY).await.is_none());
}

#[tokio::test]
async fn a_proof_waits_while_somebody_cannot_be_asked_however_long_that_takes() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (url, challenge) = answered(&person, PHARMACY).await;
    for minute in 1..20 {
        let problem = Problem::connection("the card's CA does not answer");
        let (now, until) = (NOW.plus(60 * minute), NOW.plus(60 * minute + 60));
        ca.authority.record_wait(id(&url), id(&challenge), problem, until, now).await.unwrap();
    }
    let got = person.read(&challenge).await;
    let shown = body(&got);
    assert_eq!(shown["status"], "processing");
    assert_eq!(shown["error"]["type"], "urn:ietf:params:acme:error:connection");
    assert!(got.retry_after().is_some());
    assert_eq!(ca.authority.next_validation().await.unwrap(), Some(NOW.plus(20 * 60)));
}

#[tokio::test]
async fn a_verification_ends_with_the_evidence_the_register_or_its_lifetime_whichever_is_first() {
    let ca = world().await;
    let person = ca.stranger().await;
    let proof = answered(&person, PHARMACY).await;
    let evidence = Evidence { until: Some(NOW.plus(30 * DAY)), ..Evidence::default() };
    let authorization = concluded(&person, &proof, evidence).await;
    assert_eq!(authorization["expires"], NOW.plus(30 * DAY).to_string());
    assert_eq!(stored(&ca, PHARMACY).await.unwrap().verification.unwrap().expires, NOW.plus(30 * DAY));
    let rows = "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n\
        1.2.246.10.1120389.10.0,,0112038-9,Esimerkin apteekki,,,Turku,,,2020-01-01,2026-12-01\n";
    register(&ca, rows).await;
    proved(&person, PHARMACY).await;
    let expires = stored(&ca, PHARMACY).await.unwrap().verification.unwrap().expires;
    assert!(expires < NOW.plus(20 * DAY), "{expires}");
}

#[tokio::test]
async fn an_organisation_that_has_left_the_register_is_not_proved() {
    let ca = world().await;
    let person = ca.stranger().await;
    let proof = answered(&person, PHARMACY).await;
    let rows = "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n\
        1.2.246.10.1120389.10.0,,0112038-9,Esimerkin apteekki,,,Turku,,,2020-01-01,2021-01-01\n";
    register(&ca, rows).await;
    let authorization = concluded(&person, &proof, Evidence::default()).await;
    assert_eq!(authorization["status"], "invalid");
    assert!(text(&authorization["challenges"][0]["error"]["detail"]).contains("the register"));
    refused(&begin(&person, &organisation(PHARMACY)).await, 403, "rejectedIdentifier");
}

fn unique(octet: u8) -> Evidence {
    let unique = UniqueProof { kind: UniqueKind::AuthorityToken, hash: [octet; 32], until: NOW.plus(DAY) };
    Evidence { unique: vec![unique], ..Evidence::default() }
}

// X08
#[tokio::test]
async fn what_may_be_shown_once_proves_once_whoever_shows_it() {
    let ca = world().await;
    let (first, second) = (ca.stranger().await, ca.stranger().await);
    let proof = answered(&first, PHARMACY).await;
    assert_eq!(concluded(&first, &proof, unique(1)).await["status"], "valid");
    for (person, business_id) in [(&first, PHARMACY), (&second, HOSPITAL)] {
        let proof = answered(person, business_id).await;
        let authorization = concluded(person, &proof, unique(1)).await;
        assert_eq!(authorization["status"], "invalid");
        assert!(text(&authorization["challenges"][0]["error"]["detail"]).contains("used before"));
    }
    assert!(membership(&second).await.is_none());
    assert!(store(&ca).get::<SpentProof>(&[1; 32]).await.unwrap().is_some());
    ca.authority.remove_ended(NOW.plus(2 * DAY), 30 * DAY, 100).await.unwrap();
    assert!(store(&ca).get::<SpentProof>(&[1; 32]).await.unwrap().is_none(), "it could not be shown again anyhow");
}

#[tokio::test]
async fn what_was_shown_is_kept_apart_and_the_record_has_its_hash_only() {
    let ca = world().await;
    let person = ca.stranger().await;
    let proof = answered(&person, PHARMACY).await;
    concluded(&person, &proof, Evidence::default()).await;
    let authorization = ca.authority.any_authorization(id(&proof.0)).await.unwrap().unwrap();
    let record = serde_json::to_string(&authorization.record).unwrap();
    assert!(!record.contains(&token()), "{record}");
    let kept = store(&ca).get::<EvidenceDocument>(&authorization.id).await.unwrap().unwrap();
    assert_eq!(kept.content, token());
    assert_eq!(authorization.proof().unwrap().2.document, Some(kept.hash()));
    ca.authority.remove_ended(kept.until.plus(1), 30 * DAY, 100).await.unwrap();
    assert!(store(&ca).get::<EvidenceDocument>(&authorization.id).await.unwrap().is_none());
}

#[tokio::test]
async fn an_account_with_two_proofs_under_way_is_bound_by_the_first() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (one, other) = (answered(&person, PHARMACY).await, answered(&person, HOSPITAL).await);
    assert_eq!(concluded(&person, &one, Evidence::default()).await["status"], "valid");
    let authorization = concluded(&person, &other, Evidence::default()).await;
    assert_eq!(authorization["status"], "invalid");
    let error = &authorization["challenges"][0]["error"];
    assert_eq!(error["type"], "urn:ietf:params:acme:error:rejectedIdentifier");
    assert!(stored(&ca, HOSPITAL).await.is_none());
}

#[tokio::test]
async fn a_personal_card_needs_a_mandate_in_force() {
    let ca = world().await;
    let key = crate::listeners::PERSON_KEY;
    let hash: PersonHash = sote_acme::model::PersonKey::new(zeroize::Zeroizing::new(key)).hash("99910000001A");
    let evidence = || Evidence { person: Some(hash), ..Evidence::default() };
    let person = ca.stranger().await;
    let without = answered(&person, PHARMACY).await;
    let authorization = concluded(&person, &without, evidence()).await;
    assert_eq!(authorization["status"], "invalid");
    assert!(text(&authorization["challenges"][0]["error"]["detail"]).contains("mandate"));

    let until = NOW.plus(50 * DAY).to_string();
    let mandate = json!({ "business_id": PHARMACY, "person": " 99910000001a ", "until": until });
    let (status, added) = ca.command("POST", "/mandates", &mandate.to_string()).await;
    assert_eq!(status, 200, "{added}");
    assert!(!added.to_string().contains("99910000001"), "the identifier is shown to nobody: {added}");
    let elsewhere = answered(&person, HOSPITAL).await;
    assert_eq!(concluded(&person, &elsewhere, evidence()).await["status"], "invalid", "another organisation's");
    let proof = answered(&person, PHARMACY).await;
    let authorization = concluded(&person, &proof, evidence()).await;
    assert_eq!((&authorization["status"], &authorization["expires"]), (&json!("valid"), &json!(until)));

    let end = json!({ "id": added["id"] }).to_string();
    assert_eq!(ca.command("POST", "/mandates/end", &end).await.0, 200);
    let (_, listed) = ca.command("GET", &format!("/mandates?organisation={PHARMACY}"), "").await;
    assert!(listed["mandates"][0]["ended"].is_object());
    let proof = answered(&person, PHARMACY).await;
    assert_eq!(concluded(&person, &proof, evidence()).await["status"], "invalid", "it was ended");
}

#[tokio::test]
async fn an_organisation_is_told_once_each_60_30_and_7_days_before_its_verification_ends_and_at_the_end() {
    let ca = world().await;
    let person = ca.stranger().await;
    proved(&person, PHARMACY).await;
    let mut told = Vec::new();
    for day in 0..=370 {
        let count = ca.authority.tell_of_lapses(NOW.plus(day * DAY), 100).await.unwrap();
        told.extend(std::iter::repeat_n(day, count));
    }
    assert_eq!(told, [305, 335, 358, 365]);
    proved(&person, PHARMACY).await;
    assert_eq!(ca.authority.tell_of_lapses(NOW, 100).await.unwrap(), 0, "a renewed verification begins anew");
}

#[tokio::test]
async fn strangers_and_their_requests_do_not_grow_the_store() {
    let ca = world().await;
    let idle = ca.stranger().await;
    let proving = ca.stranger().await;
    let member = ca.stranger().await;
    proved(&member, PHARMACY).await;
    ca.clock.advance(29 * DAY);
    begin(&proving, &organisation(HOSPITAL)).await;
    let there = async |person: &crate::listeners::Person<'_>| {
        let account: AccountId = id(&person.account);
        ca.authority.account(account).await.unwrap().is_some()
    };
    let now = NOW.plus(31 * DAY);
    ca.authority.remove_strangers(now.plus(-30 * DAY), now, 100).await.unwrap();
    assert!(!there(&idle).await, "30 days after its last change");
    assert!(there(&proving).await && there(&member).await);
    let now = NOW.plus(29 * DAY + 61 * DAY);
    ca.authority.remove_strangers(now.plus(-30 * DAY), now, 100).await.unwrap();
    assert!(!there(&proving).await, "its proof has ended");
    assert!(there(&member).await, "a member stays");
    let got = idle.post(&ca.url("/organisation/new-authz"), &json!({ "identifier": organisation(HOSPITAL) })).await;
    refused(&got, 400, "accountDoesNotExist");
}

#[tokio::test]
async fn a_technical_contact_that_proves_its_own_organisation_stays_one() {
    let ca = world().await;
    let contact = ca.member(&ca.invitation(&["*"], 1).await).await;
    let administrator = ca.stranger().await;
    proved(&administrator, HOSPITAL).await;
    let before = stored(&ca, HOSPITAL).await.unwrap().verification;
    ca.clock.advance(DAY);
    proved(&contact, HOSPITAL).await;
    assert_eq!(membership(&contact).await.unwrap().role, Role::TechnicalContact);
    assert_eq!(stored(&ca, HOSPITAL).await.unwrap().verification, before, "administrators renew it");
}
