//! org-approval-01: registration officers decide. It takes days, survives restarts, and is bound to the account's key.

use serde_json::{Value, json};
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::{AccountKey, Identity};
use sote_acme::names::base64url;

use crate::listeners::{Ca, Person, body};
use crate::world::{PHARMACY, begin, challenge, membership, organisation, proved, text, world};

const DAY: i64 = 86_400;

fn application() -> Value {
    json!({
        "applicant": { "name": "Aino Esimerkki", "email": "aino@apteekki.example.fi", "phone": "+358 2 000 0000" },
        "justification": "Apteekkari",
        "documents": [{ "sha256": base64url::encode(&[7; 32]), "title": "Kaupparekisteriote" }],
    })
}

/// An application of the person for the pharmacy: the URLs of authorization and challenge, and the reference.
async fn applied(person: &Person<'_>) -> (String, String, String) {
    let begun = begin(person, &organisation(PHARMACY)).await;
    let url = begun.header("location").unwrap().to_owned();
    let offered = challenge(person, &url, "org-approval-01").await;
    let (challenge, reference) = (text(&offered["url"]).to_owned(), text(&offered["reference"]).to_owned());
    let answer = person.post(&challenge, &application()).await;
    assert_eq!((answer.status, text(&body(&answer)["status"])), (200, "processing"));
    (url, challenge, reference)
}

async fn shown(ca: &Ca, reference: &str) -> Value {
    let (status, shown) = ca.command("GET", &format!("/applications/{reference}"), "").await;
    assert_eq!(status, 200, "{shown}");
    shown
}

async fn approval(ca: &Ca, reference: &str) -> String {
    let fingerprint = shown(ca, reference).await["fingerprint"].clone();
    json!({ "reference": reference, "fingerprint": &text(&fingerprint)[..24] }).to_string()
}

async fn approve(ca: &Ca, reference: &str) -> (u16, Value) {
    let message = approval(ca, reference).await;
    ca.command("POST", "/applications/approve", &message).await
}

async fn approve_second(ca: &Ca, reference: &str) -> (u16, Value) {
    let message = approval(ca, reference).await;
    ca.second_command("POST", "/applications/approve", &message).await
}

// X13
#[tokio::test]
async fn an_application_stays_processing_for_days_and_across_a_restart() {
    let ca = world().await;
    let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
    let got = ca.new_account("/organisation/new-account", &key, &json!({ "termsOfServiceAgreed": true })).await;
    let account = got.header("location").unwrap().to_owned();
    let person = Person { ca: &ca, key: key.clone(), account: account.clone() };
    let (url, challenge, reference) = applied(&person).await;
    let path = |url: &str| url.strip_prefix(&ca.base).unwrap().to_owned();
    let (account, url, challenge) = (path(&account), path(&url), path(&challenge));
    let ca = ca.restarted(None).await;
    ca.clock.advance(20 * DAY);
    assert_eq!(ca.authority.next_validation().await.unwrap(), None, "no worker ever touches it");
    assert_eq!(ca.authority.end_applications(sote_acme::time::Clock::now(&ca.clock), 10).await.unwrap(), 0);
    let person = Person { ca: &ca, key, account: ca.url(&account) };
    for url in [&url, &challenge] {
        let got = person.read(&ca.url(url)).await;
        assert_eq!(got.header("retry-after"), Some("3600"), "{url}");
    }
    let read = body(&person.read(&ca.url(&challenge)).await);
    assert_eq!((&read["status"], read.get("error")), (&json!("processing"), None));
    let steps: Vec<_> = read["progress"].as_array().unwrap().iter().map(|step| text(&step["step"])).collect();
    assert_eq!(steps, ["received", "underReview", "decided"]);
    assert_eq!(approve(&ca, &reference).await.0, 200);
    let (status, decided) = approve_second(&ca, &reference).await;
    assert_eq!((status, text(&decided["status"])), (200, "valid"), "{decided}");
    assert_eq!(body(&person.read(&ca.url(&url)).await)["status"], "valid");
    assert!(membership(&person).await.unwrap().is_administrator());
}

#[tokio::test]
async fn the_first_verification_takes_two_officers_and_nobody_confirms_their_own() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (url, challenge, reference) = applied(&person).await;
    let (_, listed) = ca.command("GET", "/applications", "").await;
    assert_eq!(listed["applications"][0]["reference"], reference);
    let seen = shown(&ca, &reference).await;
    assert_eq!((&seen["officers_needed"], &seen["administered"]), (&json!(2), &json!(false)));
    assert_eq!(seen["application"]["applicant"]["name"], "Aino Esimerkki");
    assert_eq!(seen["register"][0]["name_fi"], "Esimerkin apteekki");
    let (status, first) = approve(&ca, &reference).await;
    assert_eq!((status, text(&first["status"])), (200, "processing"));
    let read = body(&person.read(&challenge).await);
    assert_eq!(read["progress"][1]["state"], "done", "the applicant sees how far it has come");
    let (status, own) = approve(&ca, &reference).await;
    assert_eq!(status, 409, "{own}");
    assert_eq!(body(&person.read(&url).await)["status"], "pending");
    assert_eq!(approve_second(&ca, &reference).await.0, 200);
    assert!(membership(&person).await.unwrap().is_administrator());
    let (status, again) = approve(&ca, &reference).await;
    assert_eq!(status, 400, "{again}");
    // A renewal takes one, and what was applied for is no longer in the record.
    let (_, _, renewal) = applied(&person).await;
    assert_eq!(approve(&ca, &renewal).await.1["status"], "valid");
    assert!(shown(&ca, &renewal).await.get("application").is_none());
}

#[tokio::test]
async fn an_approval_is_for_the_key_that_the_officer_was_read_out() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (_, _, reference) = applied(&person).await;
    for fingerprint in ["", "ABCD", "0000 0000 0000 0000", "not hexadecimal at all"] {
        let message = json!({ "reference": reference, "fingerprint": fingerprint }).to_string();
        let (status, refusal) = ca.command("POST", "/applications/approve", &message).await;
        assert_eq!(status, 400, "{refusal}");
    }
    let unknown = json!({ "reference": "00000-00000", "fingerprint": "ABCD ABCD ABCD ABCD" }).to_string();
    assert_eq!(ca.command("POST", "/applications/approve", &unknown).await.0, 400);
}

// X14
#[tokio::test]
async fn a_change_of_the_accounts_key_restarts_an_application() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (_, challenge, reference) = applied(&person).await;
    assert_eq!(approve(&ca, &reference).await.0, 200);
    let old = approval(&ca, &reference).await;
    let person = rolled_over(person).await;
    let read = body(&person.read(&challenge).await);
    assert_eq!(read["status"], "pending");
    assert!(text(&read["error"]["detail"]).contains("changed its key"), "{read}");
    assert_eq!(ca.second_command("POST", "/applications/approve", &old).await.0, 400, "nothing waits");
    let answer = person.post(&challenge, &application()).await;
    assert_eq!(body(&answer)["status"], "processing");
    assert_eq!(ca.second_command("POST", "/applications/approve", &old).await.0, 400, "the old key's fingerprint");
    let (_, first) = approve(&ca, &reference).await;
    assert_eq!(first["status"], "processing", "the approval of the old key's application does not count");
    assert_eq!(approve_second(&ca, &reference).await.1["status"], "valid");
}

/// The person with another key.
async fn rolled_over(person: Person<'_>) -> Person<'_> {
    let ca = person.ca;
    let new = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
    let url = ca.url("/acme/key-change");
    let payload = json!({ "account": person.account, "oldKey": person.key.jwk().to_json() }).to_string();
    let header = json!({ "alg": new.jwk().algorithm().name(), "jwk": new.jwk().to_json(), "url": url }).to_string();
    let (header, payload) = (base64url::encode(header.as_bytes()), base64url::encode(payload.as_bytes()));
    let signature = base64url::encode(&new.signature(format!("{header}.{payload}").as_bytes()).unwrap());
    let inner = json!({ "protected": header, "payload": payload, "signature": signature });
    let nonce = ca.nonce().await;
    let body = person.key.sign(Identity::Kid(&person.account), &nonce, &url, inner.to_string().as_bytes()).unwrap();
    assert_eq!(ca.send(&url, body).await.status, 200);
    Person { key: new, ..person }
}

#[tokio::test]
async fn a_rejected_application_ends_with_the_officers_reason() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (url, challenge, reference) = applied(&person).await;
    let empty = json!({ "reference": reference, "reason": " " }).to_string();
    assert_eq!(ca.command("POST", "/applications/reject", &empty).await.0, 400);
    let message = json!({ "reference": reference, "reason": "nobody answers the telephone" }).to_string();
    let (status, decided) = ca.command("POST", "/applications/reject", &message).await;
    assert_eq!((status, text(&decided["status"])), (200, "invalid"), "{decided}");
    let read = body(&person.read(&challenge).await);
    assert_eq!(read["error"]["type"], "urn:ietf:params:acme:error:unauthorized");
    assert!(text(&read["error"]["detail"]).contains("nobody answers the telephone"));
    assert_eq!(body(&person.read(&url).await)["status"], "invalid");
    assert!(membership(&person).await.is_none());
    let (_, trail) = ca.command("GET", "/audit?from=1", "").await;
    let rejected = trail["entries"].as_array().unwrap().iter().find(|entry| entry["act"] == "application-rejected");
    assert_eq!(rejected.unwrap()["actor"]["name"], "first");
}

#[tokio::test]
async fn an_application_that_nobody_decides_ends() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (url, challenge, reference) = applied(&person).await;
    ca.clock.advance(30 * DAY);
    assert_eq!(body(&person.read(&url).await)["status"], "invalid");
    assert_eq!(approve(&ca, &reference).await.0, 400);
    assert_eq!(ca.authority.end_applications(sote_acme::time::Clock::now(&ca.clock), 10).await.unwrap(), 1);
    let read = body(&person.read(&challenge).await);
    assert_eq!(read["status"], "invalid");
    assert!(text(&read["error"]["detail"]).contains("not decided in time"));
}

#[tokio::test]
async fn an_application_for_an_administered_organisation_ends_as_a_waiting_member() {
    let ca = world().await;
    let (first, second) = (ca.stranger().await, ca.stranger().await);
    proved(&first, PHARMACY).await;
    let (_, _, reference) = applied(&second).await;
    let seen = shown(&ca, &reference).await;
    assert_eq!((&seen["officers_needed"], &seen["administered"]), (&json!(1), &json!(true)));
    assert_eq!(approve(&ca, &reference).await.1["status"], "valid");
    assert!(!membership(&second).await.unwrap().is_in_force());
}

#[tokio::test]
async fn a_holder_takes_an_application_back_by_ending_its_authorization() {
    let ca = world().await;
    let person = ca.stranger().await;
    let (url, _, reference) = applied(&person).await;
    assert_eq!(person.post(&url, &json!({ "status": "deactivated" })).await.status, 200);
    assert_eq!(approve(&ca, &reference).await.0, 400);
    let (_, listed) = ca.command("GET", "/applications", "").await;
    assert_eq!(listed["applications"], json!([]));
}
