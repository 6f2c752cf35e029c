//! The evidence by which organisations prove themselves: every check of tkauth-01 and of org-signature-01 broken one at a time,
//! revocation asked over a real network, tokens from a real token authority over mutual TLS.

#[path = "evidence/cards.rs"]
mod cards;
#[path = "evidence/mutual_tls.rs"]
mod mutual_tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use sote_acme::acme::authority_token::{
    Attested, AuthorityToken, EvidenceAlgorithm, Fingerprint, LocalName, TokenClaims, TokenRequest,
};
use sote_acme::acme::card_signature::{CardSignature, CardStatement, PURPOSE};
use sote_acme::acme::identifier::RawIdentifier;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::acme::problem::ProblemKind;
use sote_acme::commands::token_authority::material::{self, ACCOUNT, MaterialFiles, Plan, TOKEN_SIGNING};
use sote_acme::commands::token_authority::{Settings as AuthoritySettings, TokenAuthority};
use sote_acme::names::{OrganisationIdentifier, base64url};
use sote_acme::public_key::{Curve, fixed_from_asn1};
use sote_acme::signer::{KeyFile, NewKey, Signer};
use sote_acme::time::{Clock as _, SystemClock, Timestamp};
use sote_acme::validation::Settings;
use sote_acme::validation::org_signature_01::{CardFault, CardProof, Holder, OrgSignature01, SignatureClaim};
use sote_acme::validation::pinned::PinnedClient;
use sote_acme::validation::resolver::Resolver;
use sote_acme::validation::revocation_status::{RevocationStatus, StatusError};
use sote_acme::validation::tkauth_01::{Tkauth01, TokenClaim, TokenFault, TokenProof};
use sote_acme::validation::trust::{CardKind, StatusSource, TokenAuthority as TrustedAuthority, Trust};
use sote_acme::x509::ocsp::CertificateStatus;
use sote_acme::x509::path::{PathError, PathRequirements};
use sote_acme::x509::{Certificate, Constraints, KeyUsage, KeyUsages, NameAttribute};

use cards::{Card, CardAuthorityKeys, POLICY, StatusServer};

const ISSUER: &str = "https://authority.test";
const AUDIENCE: &str = "https://ca.test/organisation/directory";
const ORGANISATION: &str = "NTRFI-9990001-6";
const OTHER_ORGANISATION: &str = "NTRFI-0245437-2";
const CHALLENGE_TOKEN: &str = "q3dwm2TqFk6cEvJ8f0Jc0g";
const MEBIBYTE: usize = 1 << 20;

/// Whether a fault is the expected one.
type IsToken = fn(&TokenFault) -> bool;
type IsCard = fn(&CardFault) -> bool;
type IsPath = fn(&PathError) -> bool;
/// Spoils one part of a token.
type SpoilDraft = fn(&mut Draft, Timestamp);

fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn plan() -> Plan {
    Plan {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        listen: localhost(),
        public_listen: localhost(),
        hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        organisation: ORGANISATION.parse().unwrap(),
        on_trial: true,
    }
}

fn status() -> RevocationStatus {
    let settings = Settings { attempt_timeout: Duration::from_secs(5), ..Settings::default() };
    let resolver = Arc::new(Resolver::new(&settings).unwrap());
    RevocationStatus::new(PinnedClient::new(&settings, resolver), MEBIBYTE)
}

fn certificate(path: &Path) -> Certificate {
    Certificate::parse_pem_chain(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0)
}

/// A token authority that runs, and a certificate authority's view of it.
struct World {
    directory: tempfile::TempDir,
    files: MaterialFiles,
    authority: TokenAuthority,
    validator: Tkauth01,
    status: RevocationStatus,
    key: AccountKey,
    now: Timestamp,
}

/// What a token is made of, to be spoilt.
struct Draft {
    claims: TokenClaims,
    algorithm: EvidenceAlgorithm,
    certificates: Vec<Vec<u8>>,
    key: KeyFile,
}

impl World {
    async fn new() -> Self {
        World::with(|_| {}, |_| {}).await
    }

    async fn with(authority: impl FnOnce(&mut AuthoritySettings), trusted: impl FnOnce(&mut TrustedAuthority)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let files = material::create(directory.path(), &plan(), now).unwrap();
        let mut settings = AuthoritySettings::read(&files.config).unwrap();
        authority(&mut settings);
        let running = TokenAuthority::start(&settings, Arc::new(SystemClock)).await.unwrap();
        let crl = format!("http://{}/crl/authority.crl", running.public_address());
        let mut trust = trusted_authority(&files, Some(&crl));
        trusted(&mut trust);
        let validator = Tkauth01::new(vec![trust]);
        let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
        World { directory, files, authority: running, validator, status: status(), key, now }
    }

    fn draft(&self) -> Draft {
        Draft {
            claims: TokenClaims {
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                issued_at: self.now,
                not_before: self.now,
                expires: self.now.plus(3_600),
                id: "0b6c".to_owned(),
                attested: Attested {
                    kind: "organization-id".to_owned(),
                    value: ORGANISATION.to_owned(),
                    fingerprint: Fingerprint(self.key.thumbprint()),
                    authority: false,
                    token: CHALLENGE_TOKEN.to_owned(),
                    name: LocalName { fi: Some("Esimerkki".to_owned()), sv: None },
                    units: Vec::new(),
                    roles: Vec::new(),
                    valid_until: Some(self.now.plus(86_400)),
                },
            },
            algorithm: EvidenceAlgorithm::Es256,
            certificates: vec![certificate(&self.files.certificate).der().to_vec()],
            key: KeyFile::open(&self.files.key).unwrap(),
        }
    }

    async fn proof(&self, token: &str) -> Result<TokenProof, TokenFault> {
        let token = AuthorityToken::parse(token).unwrap();
        let claim =
            TokenClaim { organisation: ORGANISATION, token: CHALLENGE_TOKEN, thumbprint: &self.key.thumbprint() };
        self.validator.proof(&token, claim, &self.status, self.now).await
    }

    async fn spoilt(&self, spoil: impl FnOnce(&mut Draft)) -> TokenFault {
        let mut draft = self.draft();
        spoil(&mut draft);
        self.proof(&draft.signed()).await.unwrap_err()
    }

    async fn end(self) {
        self.authority.stop().await;
        drop(self.directory);
    }
}

fn trusted_authority(files: &MaterialFiles, crl: Option<&str>) -> TrustedAuthority {
    let root = certificate(&files.root);
    TrustedAuthority {
        name: "national".to_owned(),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        trust: Trust {
            anchors: vec![root.clone()],
            requirements: PathRequirements {
                key_usage: KeyUsages::from(KeyUsage::DigitalSignature),
                extended_key_usage: Some(TOKEN_SIGNING),
                policies: Vec::new(),
            },
            sources: vec![StatusSource {
                authority: root,
                crls: crl.map(|url| url.parse().unwrap()).into_iter().collect(),
                ocsp: Vec::new(),
            }],
        },
    }
}

impl Draft {
    fn signed(&self) -> String {
        let sign = |input: &[u8]| fixed_from_asn1(Curve::P256, &self.key.sign(input).unwrap()).ok_or(());
        AuthorityToken::signed(&self.claims, self.algorithm, &self.certificates, sign).unwrap()
    }
}

fn kind(fault: &TokenFault) -> ProblemKind {
    fault.problem().kind
}

#[tokio::test]
async fn a_sound_token_proves_and_its_proof_is_bounded_and_unique() {
    let world = World::new().await;
    let draft = world.draft();
    let proof = world.proof(&draft.signed()).await.unwrap();
    assert_eq!(proof.until, draft.claims.attested.valid_until);
    assert_eq!(proof.shown_until, draft.claims.expires.plus(120));
    assert_eq!(proof.names, ["Esimerkki"]);
    assert_eq!(proof.trail.len(), 1, "{:?}", proof.trail);
    // X08: the same jti of the same issuer is the same proof, whatever else the token says.
    let mut again = world.draft();
    again.claims.expires = again.claims.expires.plus(-60);
    assert_eq!(world.proof(&again.signed()).await.unwrap().unique, proof.unique);
    again.claims.id = "other".to_owned();
    assert_ne!(world.proof(&again.signed()).await.unwrap().unique, proof.unique);
    world.end().await;
}

#[tokio::test]
async fn row_x07_check_2_the_certificates_lead_to_a_configured_authority() {
    let world = World::new().await;
    let other = World::new().await;
    let stranger = |draft: &mut Draft| {
        draft.certificates = other.draft().certificates;
        draft.key = other.draft().key;
    };
    let fault = world.spoilt(stranger).await;
    assert!(matches!(fault, TokenFault::Path(PathError::KeyIdentifier(_))), "{fault}");
    assert_eq!(kind(&fault), ProblemKind::Unauthorized);
    let client = certificate(&world.files.client);
    let fault = world.spoilt(|draft| draft.certificates = vec![client.der().to_vec()]).await;
    assert!(matches!(fault, TokenFault::Path(PathError::Untrusted(_))), "{fault}");
    let root = certificate(&world.files.root);
    let fault = world.spoilt(|draft| draft.certificates = vec![root.der().to_vec()]).await;
    assert!(matches!(fault, TokenFault::Path(_)), "the anchor signs no tokens itself: {fault}");
    world.end().await;
    other.end().await;
    let needs_more = World::with(
        |_| {},
        |trusted| {
            trusted.trust.requirements.extended_key_usage = Some(rfc5280::ID_KP_CODE_SIGNING);
        },
    );
    let world = needs_more.await;
    let fault = world.spoilt(|_| {}).await;
    assert!(matches!(fault, TokenFault::Path(PathError::ExtendedKeyUsage { .. })), "{fault}");
    world.end().await;
}

#[tokio::test]
async fn row_x07_check_2_a_revoked_authority_is_not_believed_and_an_unknown_status_is_no_good_one() {
    let revoked = |settings: &mut AuthoritySettings| {
        settings.revoked = vec![certificate(&settings.certificate).serial().clone()];
    };
    let world = World::with(revoked, |_| {}).await;
    let fault = world.spoilt(|_| {}).await;
    assert!(matches!(fault, TokenFault::Status(StatusError::Revoked { .. })), "{fault}");
    assert_eq!(kind(&fault), ProblemKind::Unauthorized);
    world.end().await;

    let nowhere = World::with(|_| {}, |trusted| trusted.trust.sources.clear()).await;
    let fault = nowhere.spoilt(|_| {}).await;
    assert!(matches!(fault, TokenFault::Status(StatusError::NoSource(_))), "{fault}");
    assert_eq!(kind(&fault), ProblemKind::Unauthorized);
    nowhere.end().await;

    let away = World::with(
        |_| {},
        |trusted| {
            trusted.trust.sources[0].crls = vec!["http://127.0.0.1:9/crl".parse().unwrap()];
        },
    );
    let away = away.await;
    let fault = away.spoilt(|_| {}).await;
    assert!(matches!(fault, TokenFault::Status(StatusError::Unavailable { .. })), "{fault}");
    assert_eq!(kind(&fault), ProblemKind::Connection, "another attempt may succeed");
    away.end().await;
}

#[tokio::test]
async fn row_x07_checks_2_and_3_algorithm_key_and_signature_belong_together() {
    let world = World::new().await;
    let fault = world.spoilt(|draft| draft.algorithm = EvidenceAlgorithm::Es384).await;
    assert_eq!((fault.clone(), kind(&fault)), (TokenFault::Algorithm, ProblemKind::Unauthorized));
    let other = KeyFile::open(&world.files.client_key).unwrap();
    let fault = world.spoilt(|draft| draft.key = other).await;
    assert_eq!((fault.clone(), kind(&fault)), (TokenFault::Signature, ProblemKind::Unauthorized));
    world.end().await;
}

#[tokio::test]
async fn row_x07_checks_4_and_5_type_audience_issuer_and_times() {
    let world = World::new().await;
    let now = world.now;
    let checks: [(SpoilDraft, IsToken); 7] = [
        (|draft, _| draft.claims.audience = "https://other.test/d".into(), |f| matches!(f, TokenFault::Audience(_))),
        (|draft, _| draft.claims.issuer = "https://other.test".into(), |f| matches!(f, TokenFault::Issuer)),
        (|draft, now| draft.claims.expires = now.plus(-120), |f| matches!(f, TokenFault::Expired(_))),
        (|draft, now| draft.claims.not_before = now.plus(121), |f| matches!(f, TokenFault::NotYet(_))),
        (|draft, now| draft.claims.issued_at = now.plus(121), |f| matches!(f, TokenFault::NotYet(_))),
        (|draft, now| draft.claims.expires = now.plus(86_401), |f| matches!(f, TokenFault::Lifetime(_))),
        (
            |draft, now| {
                draft.claims.expires = now;
                draft.claims.issued_at = now.plus(1);
            },
            |f| matches!(f, TokenFault::Lifetime(_)),
        ),
    ];
    for (spoil, is_expected) in checks {
        let fault = world.spoilt(|draft| spoil(draft, now)).await;
        assert!(is_expected(&fault), "{fault}");
        assert_eq!(kind(&fault), ProblemKind::IncorrectResponse);
    }
    // A sound content under another typ, as another protocol would have it signed.
    let sound = world.draft();
    let token = sound.signed();
    let (header, rest) = token.split_once('.').unwrap();
    let header = String::from_utf8(base64url::decode(header).unwrap()).unwrap().replace("\"JWT\"", "\"at+jwt\"");
    let input = format!("{}.{}", base64url::encode(header.as_bytes()), rest.split('.').next().unwrap());
    let signature = fixed_from_asn1(Curve::P256, &sound.key.sign(input.as_bytes()).unwrap()).unwrap();
    let fault = world.proof(&format!("{input}.{}", base64url::encode(&signature))).await.unwrap_err();
    assert_eq!((fault.clone(), kind(&fault)), (TokenFault::Type, ProblemKind::IncorrectResponse));

    let edge = |draft: &mut Draft| {
        (draft.claims.expires, draft.claims.issued_at) = (now.plus(-119), now.plus(-3_000));
        draft.claims.not_before = now.plus(-3_000);
    };
    let mut draft = world.draft();
    edge(&mut draft);
    assert!(world.proof(&draft.signed()).await.is_ok(), "clocks may differ by two minutes");
    world.end().await;
}

#[tokio::test]
async fn rows_x07_x09_checks_6_to_9_identifier_account_challenge_and_authority() {
    let world = World::new().await;
    let other = Fingerprint(AccountKey::generate(JwsAlgorithm::Es256).unwrap().thumbprint());
    type Spoil = Box<dyn Fn(&mut Attested)>;
    let checks: [(Spoil, IsToken); 6] = [
        (Box::new(|atc| atc.kind = "TNAuthList".into()), |f| matches!(f, TokenFault::Kind)),
        (Box::new(|atc| atc.value = OTHER_ORGANISATION.into()), |f| matches!(f, TokenFault::Value(_))),
        (Box::new(|atc| atc.value = "ntrfi-9990001-6".into()), |f| matches!(f, TokenFault::Value(_))),
        (Box::new(move |atc| atc.fingerprint = other), |f| matches!(f, TokenFault::AccountKey(_))),
        (Box::new(|atc| atc.token = "another".into()), |f| matches!(f, TokenFault::Challenge)),
        (Box::new(|atc| atc.authority = true), |f| matches!(f, TokenFault::Authority)),
    ];
    for (spoil, is_expected) in checks {
        let fault = world.spoilt(|draft| spoil(&mut draft.claims.attested)).await;
        assert!(is_expected(&fault), "{fault}");
        assert_eq!(kind(&fault), ProblemKind::IncorrectResponse);
    }
    world.end().await;
}

#[tokio::test]
async fn the_first_check_that_fails_is_the_one_that_is_told() {
    let world = World::new().await;
    let client_key = KeyFile::open(&world.files.client_key).unwrap();
    // Everything from check 3 on is wrong.
    let fault = world
        .spoilt(|draft| {
            draft.key = client_key;
            draft.claims.audience = "https://other.test".to_owned();
            draft.claims.expires = draft.claims.issued_at.plus(-1_000);
            draft.claims.attested.kind = "x".to_owned();
        })
        .await;
    assert_eq!(fault, TokenFault::Signature);
    world.end().await;
}

/// What a person with a client certificate does: asks the token authority over mutual TLS.
async fn asked(world: &World, client: Option<(&Path, &Path)>, path: &str, body: &str) -> Option<(u16, String)> {
    mutual_tls::posted(world.authority.address(), &world.files.tls_root, client, path, body).await
}

fn request(world: &World, organisation: &str) -> TokenRequest {
    TokenRequest {
        kind: "organization-id".to_owned(),
        value: organisation.to_owned(),
        fingerprint: Fingerprint(world.key.thumbprint()),
        token: CHALLENGE_TOKEN.to_owned(),
        audience: None,
    }
}

#[tokio::test]
async fn the_token_authority_gives_a_token_that_proves_to_whom_its_list_entitles_and_to_nobody_else() {
    let world = World::new().await;
    let client = (world.files.client.as_path(), world.files.client_key.as_path());
    let path = format!("/at/account/{ACCOUNT}/token");
    let body = request(&world, ORGANISATION).to_json();
    for body in [body.to_string(), body["atc"].to_string()] {
        let (status, answer) = asked(&world, Some(client), &path, &body).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let proof = world.proof(answer["token"].as_str().unwrap()).await.unwrap();
        assert_eq!(proof.issuer, ISSUER);
    }
    for (path, body, expected) in [
        (path.as_str(), request(&world, OTHER_ORGANISATION).to_json().to_string(), 403),
        ("/at/account/unknown/token", body.to_string(), 403),
        (path.as_str(), "{".to_owned(), 400),
        (path.as_str(), "[]".to_owned(), 400),
        (path.as_str(), body.to_string().replace("\"ca\":false", "\"ca\":true"), 400),
        (path.as_str(), body.to_string().replace("organization-id", "TNAuthList"), 403),
        ("/at/account//token", body.to_string(), 404),
        ("/", body.to_string(), 404),
        (path.as_str(), "x".repeat(20_000), 413),
    ] {
        let (status, answer) = asked(&world, Some(client), path, &body).await.unwrap();
        assert_eq!(status, expected, "{path} {answer}");
    }
    // Another audience than its own.
    let elsewhere = TokenRequest { audience: Some("https://x.test".into()), ..request(&world, ORGANISATION) };
    assert_eq!(asked(&world, Some(client), &path, &elsewhere.to_json().to_string()).await.unwrap().0, 403);
    // No certificate, and one of another authority.
    assert_eq!(asked(&world, None, &path, &body.to_string()).await, None);
    let other = World::new().await;
    let stranger = (other.files.client.as_path(), other.files.client_key.as_path());
    assert_eq!(asked(&world, Some(stranger), &path, &body.to_string()).await, None);
    // A certificate of the right authority that the list no longer names.
    std::fs::write(&world.files.accounts, "accounts = []\n").unwrap();
    assert_eq!(asked(&world, Some(client), &path, &body.to_string()).await.unwrap().0, 403);
    std::fs::write(&world.files.accounts, "accounts = 7\n").unwrap();
    let (status, answer) = asked(&world, Some(client), &path, &body.to_string()).await.unwrap();
    assert_eq!(status, 500);
    assert!(!answer.contains("accounts"), "the client learns nothing of the file: {answer}");
    world.end().await;
    other.end().await;
}

/// A card authority, its status server and a certificate authority's view of both.
struct Cards {
    _directory: tempfile::TempDir,
    keys: Arc<CardAuthorityKeys>,
    server: StatusServer,
    key: AccountKey,
    now: Timestamp,
}

const ACCOUNT_URL: &str = "https://ca.test/acme/account/a";
const CHALLENGE_URL: &str = "https://ca.test/acme/challenge/c";

impl Cards {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let keys = Arc::new(CardAuthorityKeys::new(directory.path(), "Cards", now));
        let server = StatusServer::start().await;
        let crl = keys.crl(&[], now, now.plus(7_200));
        server.answers(move |_| crl.clone());
        let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
        Cards { _directory: directory, keys, server, key, now }
    }

    fn organisation_card(&self) -> Card {
        let subject =
            [(NameAttribute::Organisation, "Esimerkki"), (NameAttribute::OrganisationIdentifier, ORGANISATION)];
        self.keys.card(&subject, NewKey::P256, self.now, |_| {})
    }

    fn key_authorization(&self) -> String {
        format!("{CHALLENGE_TOKEN}.{}", self.key.thumbprint())
    }

    fn statement(&self) -> CardStatement {
        CardStatement {
            key_authorization: self.key_authorization(),
            identifier: RawIdentifier { kind: "organization-id".to_owned(), value: ORGANISATION.to_owned() },
            account: ACCOUNT_URL.to_owned(),
            challenge: CHALLENGE_URL.to_owned(),
            audience: AUDIENCE.to_owned(),
            purpose: PURPOSE.to_owned(),
            statement: LocalName { fi: Some("Valtuutan ACME-tilin".to_owned()), sv: None },
            issued_at: self.now,
            expires: self.now.plus(600),
        }
    }

    fn signature(&self, card: &Card, statement: &CardStatement) -> String {
        let sign = |input: &[u8]| Ok::<_, ()>(card.sign(input));
        CardSignature::signed(statement, card.algorithm(), &[card.certificate.der().to_vec()], sign).unwrap()
    }

    async fn judged(&self, kind: CardKind, signature: &str, status: &RevocationStatus) -> Result<CardProof, CardFault> {
        let validator = OrgSignature01::new(vec![self.keys.authority(kind, Some(&self.server.url()), None)]);
        self.judged_by(&validator, signature, status).await
    }

    async fn judged_by(
        &self,
        validator: &OrgSignature01,
        signature: &str,
        status: &RevocationStatus,
    ) -> Result<CardProof, CardFault> {
        let organisation: OrganisationIdentifier = ORGANISATION.parse().unwrap();
        let claim = SignatureClaim {
            organisation: &organisation,
            key_authorization: &self.key_authorization(),
            thumbprint: &self.key.thumbprint(),
            account: ACCOUNT_URL,
            challenge: CHALLENGE_URL,
            audience: AUDIENCE,
        };
        validator.proof(&CardSignature::parse(signature).unwrap(), claim, status, self.now).await
    }

    async fn proof(&self, card: &Card) -> Result<CardProof, CardFault> {
        let signature = self.signature(card, &self.statement());
        self.judged(CardKind::Organisation, &signature, &status()).await
    }

    /// The fault of a card with this subject.
    async fn subject(&self, subject: &[(NameAttribute, &str)]) -> Result<Holder, CardFault> {
        let card = self.keys.card(subject, NewKey::P256, self.now, |_| {});
        self.proof(&card).await.map(|proof| proof.holder)
    }
}

#[tokio::test]
async fn an_organisations_card_proves_with_every_kind_of_key() {
    let cards = Cards::new().await;
    for kind in [NewKey::P256, NewKey::P384, NewKey::Rsa3072] {
        let subject =
            [(NameAttribute::Organisation, "Esimerkki"), (NameAttribute::OrganisationIdentifier, ORGANISATION)];
        let card = cards.keys.card(&subject, kind, cards.now, |_| {});
        let proof = cards.proof(&card).await.unwrap();
        assert_eq!((proof.holder, proof.until), (Holder::Organisation, card.certificate.not_after()));
        assert_eq!(proof.names, ["Esimerkki"]);
    }
}

#[tokio::test]
async fn the_twin_of_an_ecdsa_signature_is_the_same_proof() {
    let cards = Cards::new().await;
    let card = cards.organisation_card();
    let statement = cards.statement();
    let one = cards.judged(CardKind::Organisation, &cards.signature(&card, &statement), &status()).await.unwrap();
    // ECDSA signs with fresh randomness: other octets, the same content.
    let two = cards.judged(CardKind::Organisation, &cards.signature(&card, &statement), &status()).await.unwrap();
    assert_eq!(one.unique, two.unique);
}

#[tokio::test]
async fn row_x12_an_expired_a_revoked_and_an_unknown_authoritys_card_are_unauthorized() {
    let cards = Cards::new().await;
    let unauthorized = |fault: CardFault| {
        assert_eq!(fault.problem().kind, ProblemKind::Unauthorized, "{fault}");
        fault
    };
    let subject = [(NameAttribute::OrganisationIdentifier, ORGANISATION)];
    let expired = cards.keys.card(&subject, NewKey::P256, cards.now, |content| content.not_after = cards.now.plus(-1));
    let fault = unauthorized(cards.proof(&expired).await.unwrap_err());
    assert!(matches!(fault, CardFault::Path(PathError::Validity { .. })), "{fault}");

    let revoked = cards.organisation_card();
    let crl = cards.keys.crl(&[&revoked], cards.now, cards.now.plus(7_200));
    cards.server.answers(move |_| crl.clone());
    let fault = unauthorized(cards.proof(&revoked).await.unwrap_err());
    assert!(matches!(fault, CardFault::Status(StatusError::Revoked { .. })), "{fault}");

    let directory = tempfile::tempdir().unwrap();
    let other = CardAuthorityKeys::new(directory.path(), "Other cards", cards.now);
    let stranger = other.card(&subject, NewKey::P256, cards.now, |_| {});
    let fault = unauthorized(cards.proof(&stranger).await.unwrap_err());
    assert!(matches!(fault, CardFault::Path(PathError::Untrusted(_))), "{fault}");
}

#[tokio::test]
async fn row_x12_a_card_is_of_an_accepted_policy_and_for_signing() {
    let cards = Cards::new().await;
    let subject = [(NameAttribute::OrganisationIdentifier, ORGANISATION)];
    let other = ObjectIdentifier::new_unwrap("1.2.3.4");
    type Change = Box<dyn Fn(&mut sote_acme::x509::CertificateContent)>;
    let changes: [(Change, IsPath); 4] = [
        (Box::new(move |content| content.policies[0].oid = other), |e| matches!(e, PathError::Policy(_))),
        (Box::new(|content| content.policies.clear()), |e| matches!(e, PathError::Policy(_))),
        (Box::new(|content| content.key_usage = KeyUsage::KeyEncipherment.into()), |e| {
            matches!(e, PathError::KeyUsage)
        }),
        (Box::new(|content| content.constraints = Constraints::Authority { path_length: None }), |e| {
            matches!(e, PathError::SignerIsAuthority)
        }),
    ];
    for (change, is_expected) in changes {
        let card = cards.keys.card(&subject, NewKey::P256, cards.now, change);
        let fault = cards.proof(&card).await.unwrap_err();
        assert!(matches!(&fault, CardFault::Path(error) if is_expected(error)), "{fault}");
        assert_eq!(fault.problem().kind, ProblemKind::Unauthorized);
    }
    assert_eq!(POLICY.to_string(), "1.2.246.517.1.10.999.1");
}

#[tokio::test]
async fn row_x11_a_signature_over_anything_else_is_an_incorrect_response() {
    let cards = Cards::new().await;
    let card = cards.organisation_card();
    type Spoil = fn(&mut CardStatement);
    let checks: [(Spoil, IsCard); 12] = [
        (|said| said.key_authorization.push('x'), |f| matches!(f, CardFault::KeyAuthorization)),
        (|said| said.identifier.value = OTHER_ORGANISATION.into(), |f| matches!(f, CardFault::Identifier(_))),
        (|said| said.identifier.kind = "dns".into(), |f| matches!(f, CardFault::Identifier(_))),
        (|said| said.account.push('x'), |f| matches!(f, CardFault::Account(_))),
        (|said| said.challenge.push('x'), |f| matches!(f, CardFault::Challenge(_))),
        (|said| said.audience = "https://other.test/directory".into(), |f| matches!(f, CardFault::Audience(_))),
        (|said| said.purpose = "payment".into(), |f| matches!(f, CardFault::Purpose)),
        (|said| said.expires = said.issued_at.plus(601), |f| matches!(f, CardFault::Lifetime(601))),
        (|said| said.expires = said.issued_at, |f| matches!(f, CardFault::Lifetime(0))),
        (|said| said.issued_at = said.issued_at.plus(121), |f| matches!(f, CardFault::NotYet(_))),
        (|said| said.expires = said.issued_at.plus(-120), |f| matches!(f, CardFault::Expired(_))),
        (
            |said| (said.issued_at, said.expires) = (said.issued_at.plus(-900), said.issued_at.plus(-300)),
            |f| matches!(f, CardFault::Expired(_)),
        ),
    ];
    let status = status();
    for (spoil, is_expected) in checks {
        let mut statement = cards.statement();
        spoil(&mut statement);
        let signature = cards.signature(&card, &statement);
        let fault = cards.judged(CardKind::Organisation, &signature, &status).await.unwrap_err();
        assert!(is_expected(&fault), "{fault}");
        assert_eq!(fault.problem().kind, ProblemKind::IncorrectResponse);
    }
    assert_eq!(cards.server.asked(), 1, "the CRL is kept");
}

#[tokio::test]
async fn row_x11_a_signature_of_another_type_is_an_incorrect_response() {
    let cards = Cards::new().await;
    let card = cards.organisation_card();
    // The same content under another typ, as another protocol would have it signed.
    let sound = cards.signature(&card, &cards.statement());
    let (header, rest) = sound.split_once('.').unwrap();
    let header = String::from_utf8(base64url::decode(header).unwrap()).unwrap();
    let header = base64url::encode(header.replace("acme-org-signature+jws", "JWT").as_bytes());
    let input = format!("{header}.{}", rest.split('.').next().unwrap());
    let other = format!("{input}.{}", base64url::encode(&card.sign(input.as_bytes())));
    let fault = cards.judged(CardKind::Organisation, &other, &status()).await.unwrap_err();
    assert_eq!((fault.clone(), fault.problem().kind), (CardFault::Type, ProblemKind::IncorrectResponse));
}

#[tokio::test]
async fn algorithm_key_and_signature_of_a_card_belong_together() {
    let cards = Cards::new().await;
    let (card, other) = (cards.organisation_card(), cards.organisation_card());
    let certificates = [card.certificate.der().to_vec()];
    let signed = |algorithm, by: &Card| {
        let sign = |input: &[u8]| Ok::<_, ()>(by.sign(input));
        CardSignature::signed(&cards.statement(), algorithm, &certificates, sign).unwrap()
    };
    let judged = async |signature: String| {
        let fault = cards.judged(CardKind::Organisation, &signature, &status()).await.unwrap_err();
        assert_eq!(fault.problem().kind, ProblemKind::Unauthorized);
        fault
    };
    assert_eq!(judged(signed(EvidenceAlgorithm::Es384, &card)).await, CardFault::Algorithm);
    assert_eq!(judged(signed(EvidenceAlgorithm::Es256, &other)).await, CardFault::Signature);
}

#[tokio::test]
async fn a_card_names_its_organisation_by_its_identifier_its_number_or_a_row_of_the_register() {
    use NameAttribute::{Organisation, OrganisationIdentifier, SerialNumber};
    let cards = Cards::new().await;
    assert_eq!(cards.subject(&[(OrganisationIdentifier, ORGANISATION)]).await, Ok(Holder::Organisation));
    assert_eq!(cards.subject(&[(SerialNumber, "9990001-6")]).await, Ok(Holder::Organisation));
    assert_eq!(cards.subject(&[(SerialNumber, "FI99900016")]).await, Ok(Holder::Organisation));
    let row = "1.2.246.10.99900016.10.0";
    assert_eq!(cards.subject(&[(SerialNumber, row)]).await, Ok(Holder::Row(row.parse().unwrap())));
    for (subject, is_expected) in [
        (
            &[(OrganisationIdentifier, OTHER_ORGANISATION)][..],
            (|f| matches!(f, CardFault::OtherOrganisation(_))) as IsCard,
        ),
        (&[(OrganisationIdentifier, OTHER_ORGANISATION), (SerialNumber, "9990001-6")], |f| {
            matches!(f, CardFault::OtherOrganisation(_))
        }),
        (&[(OrganisationIdentifier, "VATFI-99900016")], |f| matches!(f, CardFault::OtherOrganisation(_))),
        (&[(SerialNumber, "0245437-2")], |f| matches!(f, CardFault::OtherOrganisation(_))),
        (&[(SerialNumber, "99910000001A")], |f| matches!(f, CardFault::NamesNobody)),
        (&[(Organisation, "Esimerkki")], |f| matches!(f, CardFault::NamesNobody)),
        (&[(SerialNumber, "9990001-6"), (SerialNumber, "0245437-2")], |f| matches!(f, CardFault::NamesSeveral(_))),
    ] {
        let fault = cards.subject(subject).await.unwrap_err();
        assert!(is_expected(&fault), "{subject:?}: {fault}");
        assert_eq!(fault.problem().kind, ProblemKind::Unauthorized);
    }
}

#[tokio::test]
async fn a_professionals_card_names_a_person_and_no_name_of_theirs_is_kept() {
    let cards = Cards::new().await;
    let subject = [(NameAttribute::SerialNumber, "99910000001A"), (NameAttribute::CommonName, "Meikäläinen Maija")];
    let card = cards.keys.card(&subject, NewKey::P256, cards.now, |_| {});
    let signature = cards.signature(&card, &cards.statement());
    let judged = |people: &str| CardKind::Professional { people: people.to_owned() };
    let proof = cards.judged(judged(""), &signature, &status()).await.unwrap();
    assert_eq!((proof.holder, proof.names.len()), (Holder::Person("99910000001A".to_owned()), 0));
    let proof = cards.judged(judged("finuid"), &signature, &status()).await.unwrap();
    assert_eq!(proof.holder, Holder::Person("finuid:99910000001A".to_owned()));
    let nobody = cards.keys.card(&[(NameAttribute::CommonName, "x")], NewKey::P256, cards.now, |_| {});
    let signature = cards.signature(&nobody, &cards.statement());
    assert_eq!(cards.judged(judged(""), &signature, &status()).await, Err(CardFault::NoPerson));
    // Errors stand in records and logs.
    let ended = cards.keys.card(&subject, NewKey::P256, cards.now, |content| content.not_after = cards.now.plus(-1));
    let signature = cards.signature(&ended, &cards.statement());
    let told = cards.judged(judged(""), &signature, &status()).await.unwrap_err().to_string();
    assert!(!told.contains("Maija") && !told.contains("9991"), "{told}");
    let crl = cards.keys.crl(&[&card], cards.now, cards.now.plus(7_200));
    cards.server.answers(move |_| crl.clone());
    let signature = cards.signature(&card, &cards.statement());
    let told = cards.judged(judged(""), &signature, &status()).await.unwrap_err().to_string();
    assert!(told.contains("revoked") && !told.contains("Maija"), "{told}");
}

#[tokio::test]
async fn an_account_cannot_vouch_for_itself_with_its_own_key_on_a_card() {
    let mut cards = Cards::new().await;
    let card = cards.organisation_card();
    let pem = std::fs::read_to_string(cards._directory.path().join("card-16.key")).unwrap();
    cards.key = AccountKey::from_pkcs8_pem(&pem).unwrap();
    assert_eq!(cards.proof(&card).await, Err(CardFault::AccountKey));
}

#[tokio::test]
async fn revocation_fails_hard_whatever_the_server_says() {
    let cards = Cards::new().await;
    let card = cards.organisation_card();
    let now = cards.now;
    let directory = tempfile::tempdir().unwrap();
    let other = CardAuthorityKeys::new(directory.path(), "Cards", now);
    for (what, answer) in [
        ("nothing", Vec::new()),
        ("noise", vec![0x30, 0x03, 1, 2, 3]),
        ("another authority of the same name", other.crl(&[], now, now.plus(7_200))),
        ("an old list", cards.keys.crl(&[], now.plus(-7_200), now)),
        ("a list of the future", cards.keys.crl(&[], now.plus(600), now.plus(7_200))),
        ("a list that is too large", vec![0; MEBIBYTE + 1]),
    ] {
        cards.server.answers(move |_| answer.clone());
        let fault = cards.proof(&card).await.unwrap_err();
        assert!(matches!(fault, CardFault::Status(StatusError::Unavailable { .. })), "{what}: {fault}");
        assert_eq!(fault.problem().kind, ProblemKind::Connection);
    }
}

#[tokio::test]
async fn a_kept_list_serves_while_its_server_is_away_and_an_older_one_never_replaces_it() {
    let mut cards = Cards::new().await;
    let (card, revoked) = (cards.organisation_card(), cards.organisation_card());
    let status = status();
    let start = cards.now;
    let crl = cards.keys.crl(&[&revoked], start, start.plus(3 * 3_600));
    cards.server.answers(move |_| crl.clone());
    let judged = async |cards: &Cards, card: &Card| {
        let signature = cards.signature(card, &cards.statement());
        cards.judged(CardKind::Organisation, &signature, &status).await
    };
    assert!(judged(&cards, &card).await.is_ok() && judged(&cards, &card).await.is_ok());
    assert_eq!(cards.server.asked(), 1);
    // An hour later the list is fetched anew; what comes is older and forgets the revocation.
    cards.now = start.plus(3_601);
    let older = cards.keys.crl(&[], start.plus(-60), start.plus(3 * 3_600));
    cards.server.answers(move |_| older.clone());
    assert!(matches!(judged(&cards, &revoked).await, Err(CardFault::Status(StatusError::Revoked { .. }))));
    assert_eq!(cards.server.asked(), 2);
    assert!(judged(&cards, &card).await.is_ok(), "the kept list still holds");
    assert_eq!(cards.server.asked(), 2, "nobody asks again at once after a failure");
    // When it does not hold any more, nothing is known.
    cards.now = start.plus(3 * 3_600);
    assert!(matches!(judged(&cards, &card).await, Err(CardFault::Status(StatusError::Unavailable { .. }))));
    // And nobody waits for what has ended.
    let mut statement = cards.statement();
    (statement.issued_at, statement.expires) = (cards.now.plus(-600), cards.now.plus(-120));
    let signature = cards.signature(&card, &statement);
    let fault = cards.judged(CardKind::Organisation, &signature, &status).await.unwrap_err();
    assert!(matches!(fault, CardFault::Expired(_)), "{fault}");
}

#[tokio::test]
async fn ocsp_is_asked_first_and_the_crl_when_no_responder_answers() {
    let cards = Cards::new().await;
    let card = cards.organisation_card();
    let responder = StatusServer::start().await;
    let validator = OrgSignature01::new(vec![cards.keys.authority(
        CardKind::Organisation,
        Some(&cards.server.url()),
        Some(&responder.url()),
    )]);
    let signature = cards.signature(&card, &cards.statement());
    let now = cards.now;
    let says = |status: CertificateStatus| {
        let keys = Arc::clone(&cards.keys);
        responder.answers(move |request| keys.ocsp(request, status, now));
    };
    let judged = async || cards.judged_by(&validator, &signature, &status()).await;
    says(CertificateStatus::Good);
    let trail = judged().await.unwrap().trail;
    assert!(trail[0].starts_with("good by"), "{trail:?}");
    assert_eq!(cards.server.asked(), 0, "a definite answer needs no second one");
    says(CertificateStatus::Revoked { time: now, reason: None });
    assert!(matches!(judged().await, Err(CardFault::Status(StatusError::Revoked { .. }))));
    says(CertificateStatus::Unknown);
    assert!(matches!(judged().await, Err(CardFault::Status(StatusError::Unknown(_)))));
    // An answer that another authority signed, then none at all: the CRL decides.
    let directory = tempfile::tempdir().unwrap();
    let other = CardAuthorityKeys::new(directory.path(), "Cards", now);
    responder.answers(move |request| other.ocsp(request, CertificateStatus::Good, now));
    assert!(judged().await.unwrap().trail[0].starts_with("not on the CRL"));
    responder.answers(|_| Vec::new());
    assert!(judged().await.is_ok());
    assert_eq!(cards.server.asked(), 2);
}
