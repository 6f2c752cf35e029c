//! newAuthz for organisations and units: who may ask for what, and what the answer tells.

use serde_json::json;

use crate::listeners::{body, refused};
use crate::world::{HOSPITAL, PHARMACY, PHARMACY_UNIT, WARD, begin, dns, organisation, proved, text, unit, world};

#[tokio::test]
async fn an_authorization_of_an_organisation_offers_what_is_configured() {
    let ca = world().await;
    let stranger = ca.stranger().await;
    let begun = begin(&stranger, &organisation(HOSPITAL)).await;
    assert_eq!(begun.status, 201);
    let authorization = body(&begun);
    assert_eq!((&authorization["status"], &authorization["identifier"]), (&json!("pending"), &organisation(HOSPITAL)));
    let challenges = authorization["challenges"].as_array().unwrap();
    let kinds: Vec<_> = challenges.iter().map(|challenge| text(&challenge["type"])).collect();
    assert_eq!(kinds, ["tkauth-01", "org-signature-01", "org-approval-01"]);
    assert!(challenges.iter().all(|challenge| text(&challenge["token"]).len() == 43));
    assert_eq!(
        (&challenges[0]["tkauth-type"], &challenges[0]["token-authority"]),
        (&json!("atc"), &json!("https://authority.test/at"))
    );
    assert_eq!(challenges[1]["policies"], json!(["1.2.246.517.1.10.1"]));
    assert_eq!(text(&challenges[2]["reference"]).len(), 11);
}

#[tokio::test]
async fn the_directory_of_servers_knows_no_organisations() {
    let ca = world().await;
    let administrator = ca.stranger().await;
    proved(&administrator, HOSPITAL).await;
    for identifier in
        [organisation(HOSPITAL), unit(WARD), json!({"type": "organization-id", "value": "VATFI-02454372"})]
    {
        let payload = json!({ "identifier": identifier });
        let got = administrator.post(&ca.url("/acme/new-authz"), &payload).await;
        refused(&got, 400, "unsupportedIdentifier");
        let payload = json!({ "identifiers": [dns("a.example.fi"), identifier] });
        refused(&administrator.post(&ca.url("/acme/new-order"), &payload).await, 400, "unsupportedIdentifier");
    }
}

// X25, X26
#[tokio::test]
async fn an_organisation_has_one_spelling() {
    let ca = world().await;
    let stranger = ca.stranger().await;
    let ask = async |value: &str| begin(&stranger, &json!({ "type": "organization-id", "value": value })).await;
    for value in ["NTRFI-0245437-3", "ntrfi-0245437-2", "0245437-2", "NTRFI-02454372", "NTRSE-0245437-2", ""] {
        refused(&ask(value).await, 400, "malformed");
    }
    for value in ["VATFI-02454372", "VATFI02454372"] {
        let got = ask(value).await;
        refused(&got, 403, "rejectedIdentifier");
        assert!(text(&body(&got)["detail"]).contains("NTRFI-0245437-2"));
    }
}

#[tokio::test]
async fn an_unknown_organisation_and_one_that_is_not_the_members_own_get_one_answer() {
    let ca = world().await;
    let administrator = ca.stranger().await;
    proved(&administrator, HOSPITAL).await;
    let others = begin(&administrator, &organisation(PHARMACY)).await;
    refused(&others, 403, "rejectedIdentifier");
    let unknown = begin(&administrator, &organisation("2606155-7")).await;
    refused(&unknown, 403, "rejectedIdentifier");
    let told = |got| text(&body(got)["detail"]).replace(PHARMACY, "X").replace("2606155-7", "X");
    assert_eq!(told(&others), told(&unknown));
    refused(&begin(&ca.stranger().await, &organisation("2606155-7")).await, 403, "rejectedIdentifier");
}

#[tokio::test]
async fn nothing_tells_a_stranger_whether_an_organisation_is_verified() {
    let ca = world().await;
    let before = body(&begin(&ca.stranger().await, &organisation(HOSPITAL)).await);
    proved(&ca.stranger().await, HOSPITAL).await;
    let after = body(&begin(&ca.stranger().await, &organisation(HOSPITAL)).await);
    let shape = |authorization: &serde_json::Value| {
        let challenges = authorization["challenges"].as_array().unwrap().iter();
        let members: Vec<_> = challenges.map(|c| c.as_object().unwrap().keys().cloned().collect::<Vec<_>>()).collect();
        (authorization["status"].clone(), authorization["expires"].clone(), members)
    };
    assert_eq!(shape(&before), shape(&after));
}

#[tokio::test]
async fn an_account_has_at_most_five_unproved_organisations_and_one_authorization_for_each() {
    let ca = world().await;
    let ids = ["0245442-8", "0204819-8", "0245929-6", "0246246-0", "0828618-9", "1572860-0"];
    let header = "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n";
    let row = |(number, id): (usize, &&str)| format!("1.2.246.10.99.10.{number},,{id},Nimi,,,Turku,,,2020-01-01,\n");
    let rows: String = ids.iter().enumerate().map(row).collect();
    crate::world::register(&ca, &format!("{header}{rows}")).await;
    let stranger = ca.stranger().await;
    let mut urls = Vec::new();
    for id in &ids[..5] {
        let begun = begin(&stranger, &organisation(id)).await;
        assert_eq!(begun.status, 201);
        urls.push(begun.header("location").unwrap().to_owned());
    }
    let again = begin(&stranger, &organisation(ids[0])).await;
    assert_eq!((again.status, again.header("location")), (201, Some(urls[0].as_str())));
    refused(&begin(&stranger, &organisation(ids[5])).await, 429, "rateLimited");
    assert_eq!(stranger.post(&urls[1], &json!({ "status": "deactivated" })).await.status, 200);
    assert_eq!(begin(&stranger, &organisation(ids[5])).await.status, 201);
}

// X24
#[tokio::test]
async fn a_unit_is_its_organisations_and_needs_no_proof_of_its_own() {
    let ca = world().await;
    let administrator = ca.stranger().await;
    refused(&begin(&administrator, &unit(WARD)).await, 403, "unauthorized");
    let proof = proved(&administrator, HOSPITAL).await;
    let granted = begin(&administrator, &unit(WARD)).await;
    assert_eq!(granted.status, 201);
    let granted = body(&granted);
    assert_eq!((&granted["status"], &granted["expires"]), (&json!("valid"), &proof["expires"]));
    assert_eq!((&granted["identifier"], &granted["challenges"]), (&unit(WARD), &json!([])));
    refused(&begin(&administrator, &unit(PHARMACY_UNIT)).await, 403, "rejectedIdentifier");
    refused(&begin(&administrator, &unit("1.2.246.10.2454372.10.9")).await, 403, "rejectedIdentifier");
}

#[tokio::test]
async fn an_answer_for_an_organisation_has_the_form_of_its_challenge_or_leaves_it_pending() {
    let ca = world().await;
    let stranger = ca.stranger().await;
    let authorization = body(&begin(&stranger, &organisation(HOSPITAL)).await);
    let application = json!({ "applicant": { "name": "A", "email": "a@b.fi" }, "justification": "j" });
    let answers = [json!({ "tkauth": "a.b.c" }), json!({ "signature": "a.b.c" }), application];
    for (number, challenge) in authorization["challenges"].as_array().unwrap().iter().enumerate() {
        let url = text(&challenge["url"]);
        for (other, answer) in answers.iter().enumerate().filter(|(other, _)| *other != number) {
            let got = stranger.post(url, answer).await;
            refused(&got, 400, "malformed");
            assert_eq!(body(&stranger.read(url).await)["status"], "pending", "{other}");
        }
        refused(&stranger.post(url, &json!({})).await, 400, "malformed");
        let mut odd = answers[number].clone();
        odd["odd"] = json!(1);
        refused(&stranger.post(url, &odd).await, 400, "malformed");
    }
    let long = json!({ "tkauth": "a".repeat(16 * 1024 + 1) });
    refused(&stranger.post(text(&authorization["challenges"][0]["url"]), &long).await, 400, "malformed");
}
