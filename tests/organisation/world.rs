//! The small world of these tests: a register with two organisations, and accounts that prove them.

use serde_json::{Value, json};
use sote_acme::client::Response;
use sote_acme::model::{Evidence, Membership, Organisation};
use sote_acme::names::{AccountId, AuthorizationId, ChallengeId, base64url};
use sote_acme::store::Store;
use sote_acme::store::index::Index;
use sote_acme::time::Clock as _;

use crate::listeners::{Ca, Person, body, impatient};

/// An organisation with one row below its own.
pub const HOSPITAL: &str = "0245437-2";
pub const WARD: &str = "1.2.246.10.2454372.10.1";
/// An organisation with one row in all.
pub const PHARMACY: &str = "0112038-9";
pub const PHARMACY_UNIT: &str = "1.2.246.10.1120389.10.0";

const ROWS: &str = "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n\
    1.2.246.10.2454372.10.0,,0245437-2,Esimerkin sairaala,,,Turku,,,2020-01-01,\n\
    1.2.246.10.2454372.10.1,1.2.246.10.2454372.10.0,,Esimerkin osasto,,,Turku,,,2020-01-01,\n\
    1.2.246.10.1120389.10.0,,0112038-9,Esimerkin apteekki,,,Turku,,,2020-01-01,\n";

/// Listeners with the register.
pub async fn world() -> Ca {
    let ca = Ca::start(impatient()).await;
    register(&ca, ROWS).await;
    ca
}

pub async fn register(ca: &Ca, rows: &str) {
    let (status, report) = ca.command("POST", "/register?force=true", rows).await;
    assert_eq!(status, 200, "{report}");
}

pub fn organisation(business_id: &str) -> Value {
    json!({ "type": "organization-id", "value": format!("NTRFI-{business_id}") })
}

pub fn unit(oid: &str) -> Value {
    json!({ "type": "sote-unit", "value": oid })
}

pub fn dns(name: &str) -> Value {
    json!({ "type": "dns", "value": name })
}

/// The last part of a URL, as an id.
pub fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(url: &str) -> T {
    url.rsplit('/').next().unwrap().parse().unwrap()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The answer to newAuthz of the organisation directory.
pub async fn begin(person: &Person<'_>, identifier: &Value) -> Response {
    person.post(&person.ca.url("/organisation/new-authz"), &json!({ "identifier": identifier })).await
}

/// The answer to newOrder of the organisation directory.
pub async fn order(person: &Person<'_>, identifiers: &[Value]) -> Response {
    person.post(&person.ca.url("/organisation/new-order"), &json!({ "identifiers": identifiers })).await
}

/// A challenge of this type of the authorization at `url`.
pub async fn challenge(person: &Person<'_>, url: &str, kind: &str) -> Value {
    let authorization = body(&person.read(url).await);
    let challenges = authorization["challenges"].as_array().unwrap();
    challenges.iter().find(|challenge| challenge["type"] == kind).unwrap_or_else(|| panic!("{authorization}")).clone()
}

/// An authority token of sound form. Nobody looks at what it says here: the tests tell what a validator makes of it.
pub fn token() -> String {
    let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": ["MAA="] });
    let fingerprint = format!("SHA256 {}", ["AB"; 32].join(":"));
    let attested =
        json!({ "tktype": "organization-id", "tkvalue": "NTRFI-0245437-2", "fingerprint": fingerprint, "token": "t" });
    let claims = json!({
        "iss": "https://authority.example.fi", "aud": "https://localhost/organisation/directory", "jti": "1",
        "iat": 1_795_000_000, "nbf": 1_795_000_000, "exp": 1_795_003_600, "atc": attested,
    });
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    format!("{}.{}.{}", part(&header), part(&claims), base64url::encode(&[0; 64]))
}

/// An answered tkauth-01 challenge of the organisation: the authorization's and the challenge's URL.
pub async fn answered(person: &Person<'_>, business_id: &str) -> (String, String) {
    let begun = begin(person, &organisation(business_id)).await;
    assert_eq!(begun.status, 201, "{:?}", String::from_utf8_lossy(&begun.body));
    let url = begun.header("location").unwrap().to_owned();
    let challenge = text(&challenge(person, &url, "tkauth-01").await["url"]).to_owned();
    let answer = person.post(&challenge, &json!({ "tkauth": token() })).await;
    assert_eq!((answer.status, text(&body(&answer)["status"])), (200, "processing"));
    (url, challenge)
}

/// What a validator makes of an answered challenge: the authorization as it is then.
pub async fn concluded(person: &Person<'_>, (url, challenge): &(String, String), evidence: Evidence) -> Value {
    let (authorization, challenge): (AuthorizationId, ChallengeId) = (id(url), id(challenge));
    let ca = person.ca;
    ca.authority.record_proof(authorization, challenge, evidence, ca.clock.now()).await.unwrap();
    body(&person.read(url).await)
}

/// An account that has proved the organisation.
pub async fn proved(person: &Person<'_>, business_id: &str) -> Value {
    let answered = answered(person, business_id).await;
    let authorization = concluded(person, &answered, Evidence::default()).await;
    assert_eq!(authorization["status"], "valid", "{authorization}");
    authorization
}

pub fn store(ca: &Ca) -> &dyn Store {
    ca.authority.store().as_ref()
}

pub async fn membership(person: &Person<'_>) -> Option<Membership> {
    let account: AccountId = id(&person.account);
    store(person.ca).get::<Membership>(&account).await.unwrap().map(|membership| membership.record)
}

pub async fn stored(ca: &Ca, business_id: &str) -> Option<Organisation> {
    let key = business_id.as_bytes();
    let found = store(ca).lookup::<Organisation>(Index::OrganisationByBusinessId, key).await.unwrap();
    found.map(|organisation| organisation.record)
}
