//! tkauth-01 and org-signature-01 over the wire: a token of a token authority over mutual TLS, cards whose revocation is asked
//! over a network, and what each refusal leaves behind. Rows X07 to X12 of `docs/protocol.md`; the checks one by one are in
//! `tests/organisation_proofs.rs`.

#[path = "evidence/cards.rs"]
mod cards;
#[path = "evidence/mutual_tls.rs"]
mod mutual_tls;
mod support;

use std::path::PathBuf;

use serde_json::{Value, json};
use sote_acme::acme::authority_token::{
    Attested, AuthorityToken, EvidenceAlgorithm, Fingerprint, LocalName, TokenClaims, TokenRequest,
};
use sote_acme::acme::card_signature::CardSignature;
use sote_acme::acme::challenge_type::ChallengeType;
use sote_acme::acme::messages::ChallengeObject;
use sote_acme::acme::status::{AuthorizationStatus, ChallengeStatus};
use sote_acme::client::{Account, Authorization, CardClaim, CardSigner, Payload, Response, signature_answer};
use sote_acme::config::{CardAuthoritySettings, CardHolder, CardUsage, Config, RevocationSource};
use sote_acme::names::{OrganisationIdentifier, base64url};
use sote_acme::public_key::{Curve, PublicKey, fixed_from_asn1};
use sote_acme::signer::{KeyFile, NewKey, Signer as _};
use sote_acme::time::{Clock as _, SystemClock, Timestamp};
use sote_acme::x509::{Certificate, NameAttribute};

use cards::{Card, CardAuthorityKeys, POLICY, StatusServer};
use support::Ca;
use support::judge::refused;

const ORGANISATION: &str = "NTRFI-9990001-6";
/// An organisation of the sample register besides the trial's own.
const UNKNOWN_ORGANISATION: &str = "NTRFI-0245437-2";

/// What a challenge was answered with, and what became of it.
struct Answered {
    authorization: Authorization,
    challenge: ChallengeObject,
}

impl Answered {
    fn error(&self) -> (String, String) {
        let error = self.challenge.error.as_ref().unwrap_or_else(|| panic!("no error: {:?}", self.challenge));
        (error.kind.name().to_owned(), error.detail.clone())
    }
}

async fn begun(account: &Account, kind: ChallengeType) -> (Authorization, ChallengeObject) {
    let authorization = account.pre_authorize("organization-id", ORGANISATION).await.unwrap();
    let challenge = authorization.challenge(kind).unwrap().clone();
    (authorization, challenge)
}

async fn answer(account: &Account, challenge: &ChallengeObject, payload: &Value) -> Response {
    account.post(&challenge.url, &Payload::of(payload).unwrap()).await.unwrap()
}

/// Answers and waits for the end.
async fn decided(ca: &Ca, account: &Account, begun: (Authorization, ChallengeObject), payload: &Value) -> Answered {
    let (mut authorization, challenge) = begun;
    answer(account, &challenge, payload).await;
    ca.until_decided(&mut authorization).await;
    let kind = ChallengeType::from_label(&challenge.kind).unwrap();
    let challenge = authorization.challenge(kind).unwrap().clone();
    Answered { authorization, challenge }
}

fn request(account: &Account, challenge: &ChallengeObject) -> TokenRequest {
    TokenRequest {
        kind: "organization-id".to_owned(),
        value: ORGANISATION.to_owned(),
        fingerprint: Fingerprint(account.key().thumbprint()),
        token: challenge.token.clone(),
        audience: None,
    }
}

/// A token as the organisation gets it: from the token authority, over mutual TLS.
async fn token(ca: &Ca, request: &TokenRequest) -> String {
    let facts = ca.token_authority();
    let port = facts.url.rsplit(':').next().unwrap().parse().unwrap();
    let client = Some((facts.client.as_path(), facts.client_key.as_path()));
    let (path, body) = (format!("/at/account/{}/token", facts.account), request.to_json().to_string());
    let address = ([127, 0, 0, 1], port).into();
    let (status, answer) = mutual_tls::posted(address, &facts.tls_root, client, &path, &body).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

/// A token signed by the authority's own key, with any claims.
fn forged(ca: &Ca, account: &Account, challenge: &ChallengeObject, change: impl FnOnce(&mut TokenClaims)) -> String {
    let files = &ca.token_authority().files;
    let now = ca.now();
    let mut claims = TokenClaims {
        issuer: "https://token-authority.test".to_owned(),
        audience: ca.organisation_client().directory_url().to_owned(),
        issued_at: now,
        not_before: now,
        expires: now.plus(600),
        id: "one".to_owned(),
        attested: Attested {
            kind: "organization-id".to_owned(),
            value: ORGANISATION.to_owned(),
            fingerprint: Fingerprint(account.key().thumbprint()),
            authority: false,
            token: challenge.token.clone(),
            name: LocalName::default(),
            units: Vec::new(),
            roles: Vec::new(),
            valid_until: None,
        },
    };
    change(&mut claims);
    let key = KeyFile::open(&files.key).unwrap();
    let text = std::fs::read_to_string(&files.certificate).unwrap();
    let certificate = Certificate::parse_pem_chain(&text).unwrap().remove(0);
    let sign = |input: &[u8]| fixed_from_asn1(Curve::P256, &key.sign(input).unwrap()).ok_or(());
    AuthorityToken::signed(&claims, EvidenceAlgorithm::Es256, &[certificate.der().to_vec()], sign).unwrap()
}

fn tkauth(token: &str) -> Value {
    json!({ "tkauth": token })
}

// X07: the whole way; every single check is broken in tests/organisation_proofs.rs.
#[tokio::test]
async fn a_token_of_the_token_authority_proves_the_organisation_and_makes_its_first_administrator() {
    let ca = Ca::start_beside_a_token_authority(|_| {}).await;
    let account = ca.unbound_account().await;
    let (authorization, challenge) = begun(&account, ChallengeType::Tkauth01).await;
    assert_eq!(challenge.tkauth_type.as_deref(), Some("atc"));
    assert_eq!(challenge.token_authority.as_deref(), Some(ca.token_authority().url.as_str()));
    let token = token(&ca, &request(&account, &challenge)).await;
    let answered = decided(&ca, &account, (authorization, challenge), &tkauth(&token)).await;
    assert_eq!(answered.authorization.status(), AuthorizationStatus::Valid, "{:?}", answered.challenge);
}

// X08
#[tokio::test]
async fn a_token_proves_once() {
    let ca = Ca::start_beside_a_token_authority(|_| {}).await;
    let (one, two) = (ca.unbound_account().await, ca.unbound_account().await);
    let first = begun(&one, ChallengeType::Tkauth01).await;
    let used = forged(&ca, &one, &first.1, |_| {});
    assert_eq!(decided(&ca, &one, first, &tkauth(&used)).await.authorization.status(), AuthorizationStatus::Valid);
    // The very token, for another authorization of the same account.
    let again = begun(&one, ChallengeType::Tkauth01).await;
    let (kind, detail) = decided(&ca, &one, again, &tkauth(&used)).await.error();
    assert_eq!(kind, "incorrectResponse");
    assert!(detail.contains("another challenge"), "{detail}");
    // A token that fits in everything and has the same jti.
    let second = begun(&two, ChallengeType::Tkauth01).await;
    let same_id = forged(&ca, &two, &second.1, |_| {});
    let (kind, detail) = decided(&ca, &two, second, &tkauth(&same_id)).await.error();
    assert_eq!(kind, "incorrectResponse");
    assert!(detail.contains("used before"), "{detail}");
}

// X09
#[tokio::test]
async fn a_token_for_another_account_is_an_incorrect_response() {
    let ca = Ca::start_beside_a_token_authority(|_| {}).await;
    let (one, two) = (ca.unbound_account().await, ca.unbound_account().await);
    let begun = begun(&one, ChallengeType::Tkauth01).await;
    let of_two = TokenRequest { fingerprint: Fingerprint(two.key().thumbprint()), ..request(&one, &begun.1) };
    let of_two = token(&ca, &of_two).await;
    let answered = decided(&ca, &one, begun, &tkauth(&of_two)).await;
    assert_eq!(answered.authorization.status(), AuthorizationStatus::Invalid);
    let (kind, detail) = answered.error();
    assert_eq!(kind, "incorrectResponse");
    assert!(detail.contains("another account key"), "{detail}");
}

// X10
#[tokio::test]
async fn a_token_of_another_form_is_malformed_and_leaves_the_challenge_pending() {
    let ca = Ca::start_beside_a_token_authority(|_| {}).await;
    let account = ca.unbound_account().await;
    let (mut authorization, challenge) = begun(&account, ChallengeType::Tkauth01).await;
    let sound = token(&ca, &request(&account, &challenge)).await;
    let (header, rest) = sound.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        format!("{}.{rest}", base64url::encode(header.to_string().as_bytes()))
    };
    let mut only = header.clone();
    only.as_object_mut().unwrap().remove("x5c");
    only["x5u"] = json!("https://authority.example.fi/certificate.pem");
    let only = format!("{}.{rest}", base64url::encode(only.to_string().as_bytes()));
    for token in [
        only,
        with("x5u", json!("https://authority.example.fi/certificate.pem")),
        with("alg", json!("none")),
        with("crit", json!(["exp"])),
        "a.b".to_owned(),
        format!("{sound}="),
        String::new(),
    ] {
        let request = ca.forged(&account, &challenge.url).await.payload(tkauth(&token));
        refused(request.send(&ca).await, 400, "malformed");
    }
    for payload in
        [json!({}), json!({ "tkauth": 1 }), json!({ "tkauth": sound, "x": 1 }), json!({ "signature": sound })]
    {
        let request = ca.forged(&account, &challenge.url).await.payload(payload);
        refused(request.send(&ca).await, 400, "malformed");
    }
    authorization.refresh().await.unwrap();
    assert_eq!(authorization.challenge(ChallengeType::Tkauth01).unwrap().status, ChallengeStatus::Pending);
    let answered = decided(&ca, &account, (authorization, challenge), &tkauth(&sound)).await;
    assert_eq!(answered.authorization.status(), AuthorizationStatus::Valid);
}

#[tokio::test]
async fn an_authorization_ends_when_the_authoritys_assertion_does() {
    let ca = Ca::start_beside_a_token_authority(|_| {}).await;
    let account = ca.unbound_account().await;
    let begun = begun(&account, ChallengeType::Tkauth01).await;
    let until = ca.now().plus(5 * 86_400);
    let token = forged(&ca, &account, &begun.1, |claims| claims.attested.valid_until = Some(until));
    let answered = decided(&ca, &account, begun, &tkauth(&token)).await;
    assert_eq!(answered.authorization.object().expires, Some(until));
}

#[tokio::test]
async fn an_organisation_that_no_register_knows_is_not_proved_by_a_token() {
    let ca = Ca::start_beside_a_token_authority(|_| {}).await;
    let account = ca.unbound_account().await;
    let error = account.pre_authorize("organization-id", UNKNOWN_ORGANISATION).await.unwrap_err();
    assert!(error.to_string().contains("rejectedIdentifier"), "{error}");
}

/// A card authority for a certificate authority of tests.
struct Cards {
    directory: tempfile::TempDir,
    keys: std::sync::Arc<CardAuthorityKeys>,
    server: StatusServer,
}

impl Cards {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let keys = std::sync::Arc::new(CardAuthorityKeys::new(directory.path(), "Cards", now));
        std::fs::write(directory.path().join("anchor.pem"), keys.certificate.to_pem()).unwrap();
        let server = StatusServer::start().await;
        let cards = Cards { directory, keys, server };
        cards.publish(&[], now);
        cards
    }

    fn publish(&self, revoked: &[&Card], now: Timestamp) {
        let crl = self.keys.crl(revoked, now, now.plus(86_400));
        self.server.answers(move |_| crl.clone());
    }

    fn anchor(&self) -> PathBuf {
        self.directory.path().join("anchor.pem")
    }

    /// A certificate authority that takes these cards.
    async fn ca(&self, kind: CardHolder) -> Ca {
        let (anchors, url) = (self.anchor(), self.server.url());
        Ca::start_with(move |config: &mut Config| {
            config.organisation.challenges = vec![ChallengeType::OrgSignature01];
            config.organisation.card_authority.push(CardAuthoritySettings {
                name: "cards".to_owned(),
                kind,
                people: String::new(),
                anchors: anchors.clone(),
                policies: vec![POLICY.to_string()],
                key_usage: vec![CardUsage::NonRepudiation],
                revocation: vec![RevocationSource { authority: anchors, crl: vec![url], ocsp: Vec::new() }],
            });
        })
        .await
    }

    fn card(&self, subject: &[(NameAttribute, &str)]) -> Card {
        self.keys.card(subject, NewKey::P256, SystemClock.now(), |_| {})
    }

    fn organisation_card(&self) -> Card {
        self.card(&[(NameAttribute::OrganisationIdentifier, ORGANISATION)])
    }
}

impl CardSigner for Card {
    fn chain(&self) -> Vec<Vec<u8>> {
        vec![self.certificate.der().to_vec()]
    }

    fn public_key(&self) -> PublicKey {
        self.certificate.public_key().clone()
    }

    fn sign(&self, message: &[u8]) -> sote_acme::client::Result<Vec<u8>> {
        Ok(Card::sign(self, message))
    }
}

/// What the card signs for the account.
fn signed(ca: &Ca, account: &Account, challenge: &ChallengeObject, card: &Card) -> Value {
    let organisation: OrganisationIdentifier = ORGANISATION.parse().unwrap();
    let claim = CardClaim {
        organisation: &organisation,
        account: account.url(),
        thumbprint: &account.key().thumbprint(),
        challenge: &challenge.url,
        token: &challenge.token,
        directory: ca.organisation_client().directory_url(),
    };
    signature_answer(card, &claim.statement(ca.now())).unwrap()
}

#[tokio::test]
async fn an_organisations_card_proves_it() {
    let cards = Cards::new().await;
    let ca = cards.ca(CardHolder::Organisation).await;
    let account = ca.unbound_account().await;
    let begun = begun(&account, ChallengeType::OrgSignature01).await;
    assert_eq!(begun.1.policies, [POLICY.to_string()]);
    let card = cards.organisation_card();
    let payload = signed(&ca, &account, &begun.1, &card);
    let answered = decided(&ca, &account, begun, &payload).await;
    assert_eq!(answered.authorization.status(), AuthorizationStatus::Valid, "{:?}", answered.challenge);
}

// X11
#[tokio::test]
async fn a_signature_for_another_challenge_or_account_is_an_incorrect_response() {
    let cards = Cards::new().await;
    let ca = cards.ca(CardHolder::Organisation).await;
    let (account, other) = (ca.unbound_account().await, ca.unbound_account().await);
    let card = cards.organisation_card();
    let (first, second) =
        (begun(&account, ChallengeType::OrgSignature01).await, begun(&other, ChallengeType::OrgSignature01).await);
    let for_second = signed(&ca, &account, &second.1, &card);
    let answered = decided(&ca, &account, first, &for_second).await;
    assert_eq!(answered.authorization.status(), AuthorizationStatus::Invalid);
    assert_eq!(answered.error().0, "incorrectResponse");
    let by_the_first = signed(&ca, &account, &second.1, &card);
    assert_eq!(decided(&ca, &other, second, &by_the_first).await.error().0, "incorrectResponse");
}

// X12
#[tokio::test]
async fn a_revoked_card_and_one_of_an_unknown_authority_are_unauthorized() {
    let cards = Cards::new().await;
    let ca = cards.ca(CardHolder::Organisation).await;
    let account = ca.unbound_account().await;
    let revoked = cards.organisation_card();
    cards.publish(&[&revoked], SystemClock.now());
    let strangers = Cards::new().await;
    for card in [revoked, strangers.organisation_card()] {
        let begun = begun(&account, ChallengeType::OrgSignature01).await;
        let payload = signed(&ca, &account, &begun.1, &card);
        let answered = decided(&ca, &account, begun, &payload).await;
        assert_eq!(answered.authorization.status(), AuthorizationStatus::Invalid);
        assert_eq!(answered.error().0, "unauthorized");
    }
}

#[tokio::test]
async fn a_card_whose_revocation_nobody_tells_waits_and_proves_when_somebody_does() {
    let cards = Cards::new().await;
    let ca = cards.ca(CardHolder::Organisation).await;
    let account = ca.unbound_account().await;
    cards.server.answers(|_| Vec::new());
    let (mut authorization, challenge) = begun(&account, ChallengeType::OrgSignature01).await;
    let payload = signed(&ca, &account, &challenge, &cards.organisation_card());
    answer(&account, &challenge, &payload).await;
    for _ in 0..3 {
        ca.settle().await;
        authorization.refresh().await.unwrap();
        let shown = authorization.challenge(ChallengeType::OrgSignature01).unwrap();
        assert_eq!(shown.status, ChallengeStatus::Processing);
        assert_eq!(shown.error.as_ref().unwrap().kind.name(), "connection");
        ca.advance(31);
    }
    let response = account.fetch(&challenge.url).await.unwrap();
    assert!(response.header("retry-after").is_some());
    // The signature itself holds for ten minutes, so that somebody must answer within them.
    cards.publish(&[], SystemClock.now());
    ca.advance(31);
    ca.until_decided(&mut authorization).await;
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
}

#[tokio::test]
async fn a_professionals_card_without_a_mandate_is_unauthorized() {
    let cards = Cards::new().await;
    let ca = cards.ca(CardHolder::Professional).await;
    let account = ca.unbound_account().await;
    let card =
        cards.card(&[(NameAttribute::SerialNumber, "99910000001A"), (NameAttribute::CommonName, "Meikäläinen Maija")]);
    let begun = begun(&account, ChallengeType::OrgSignature01).await;
    let payload = signed(&ca, &account, &begun.1, &card);
    let (kind, detail) = decided(&ca, &account, begun, &payload).await.error();
    assert_eq!(kind, "unauthorized");
    assert!(detail.contains("mandate") && !detail.contains("99910000001A"), "{detail}");
}

#[tokio::test]
async fn a_card_may_name_a_row_of_the_organisation_in_the_register_and_no_other() {
    let cards = Cards::new().await;
    let ca = cards.ca(CardHolder::Organisation).await;
    let account = ca.unbound_account().await;
    for (row, expected) in [
        ("1.2.246.10.2454372.10.0", AuthorizationStatus::Invalid),
        ("1.2.246.10.99900016.10.0", AuthorizationStatus::Valid),
    ] {
        let begun = begun(&account, ChallengeType::OrgSignature01).await;
        let payload = signed(&ca, &account, &begun.1, &cards.card(&[(NameAttribute::SerialNumber, row)]));
        let answered = decided(&ca, &account, begun, &payload).await;
        assert_eq!(answered.authorization.status(), expected, "{row}: {:?}", answered.challenge);
    }
}

#[tokio::test]
async fn a_signature_of_another_form_is_malformed_and_leaves_the_challenge_pending() {
    let cards = Cards::new().await;
    let ca = cards.ca(CardHolder::Organisation).await;
    let account = ca.unbound_account().await;
    let (mut authorization, challenge) = begun(&account, ChallengeType::OrgSignature01).await;
    let sound = signed(&ca, &account, &challenge, &cards.organisation_card());
    assert!(CardSignature::parse(sound["signature"].as_str().unwrap()).is_ok());
    let with_mandate = json!({ "signature": sound["signature"], "mandate": "a.b.c" });
    for payload in [json!({}), json!({ "signature": "a.b.c" }), json!({ "tkauth": sound["signature"] }), with_mandate] {
        let request = ca.forged(&account, &challenge.url).await.payload(payload);
        refused(request.send(&ca).await, 400, "malformed");
    }
    authorization.refresh().await.unwrap();
    assert_eq!(authorization.challenge(ChallengeType::OrgSignature01).unwrap().status, ChallengeStatus::Pending);
}
