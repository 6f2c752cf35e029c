//! RFC 8555 §7.5.1 and §8, RFC 8737: challenges. Rows Z04 to Z07, Z10 to Z20, Z23 and Z26 of `docs/protocol.md`.

use std::time::Duration;

use serde_json::{Value, json};
use sote_acme::acme::challenge_type::ChallengeType;
use sote_acme::acme::problem::Problem;
use sote_acme::acme::status::{AuthorizationStatus, ChallengeStatus};
use sote_acme::client::{Account, Authorization, Responder};

use crate::support::Ca;
use crate::support::judge::refused;

async fn authorization(ca: &Ca, account: &Account, name: &str) -> Authorization {
    ca.order(account, &[name]).await.authorizations().await.unwrap().remove(0)
}

/// Shows `text` in place of the key authorization and gives back what became of the authorization.
async fn after_showing(ca: &Ca, account: &Account, name: &str, text: impl Fn(&str) -> String) -> Authorization {
    let mut authorization = authorization(ca, account, name).await;
    let challenge = authorization.challenge(ChallengeType::Http01).unwrap().clone();
    let proof = authorization.proof(&challenge);
    ca.responder().show(&challenge.token, &text(proof.key_authorization.as_str()));
    authorization.answer(&challenge).await.unwrap();
    ca.until_decided(&mut authorization).await;
    authorization
}

// Z04, Z05, Z07
#[tokio::test]
async fn an_answer_is_any_object_and_comes_back_as_the_challenge_with_a_link_up() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.order(&account, &["a.test"]).await;
    let authorization_url = &order.object().authorizations[0];
    let challenge = order.authorizations().await.unwrap()[0].challenge(ChallengeType::Http01).unwrap().clone();
    for payload in [&b"[]"[..], b"\"x\"", b"null", b"{"] {
        let request = ca.forged(&account, &challenge.url).await.payload_octets(payload);
        refused(request.send(&ca).await, 400, "malformed");
    }
    let payload = json!({ "keyAuthorization": "old clients send it", "resource": "challenge", "x": {} });
    let answer = ca.forged(&account, &challenge.url).await.payload(payload).send(&ca).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.links("up"), [authorization_url.as_str()]);
    let shown: Value = answer.json().unwrap();
    assert_eq!((&shown["url"], &shown["token"]), (&challenge.url.clone().into(), &challenge.token.clone().into()));
    // The first attempt finds nothing; until the next one there is time to look.
    assert_eq!((&shown["status"], answer.retry_after()), (&json!("processing"), Some(1)));
    assert_eq!(account.fetch(authorization_url).await.unwrap().retry_after(), Some(1));
    assert_eq!(account.fetch(&challenge.url).await.unwrap().links("up"), [authorization_url.as_str()]);
}

// Z17, Z18, Z10, Z11
#[tokio::test]
async fn each_method_proves_a_name() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let (dns, tls_alpn) = (ca.dns_responder(), ca.tls_alpn_responder());
    let responders: [&dyn Responder; 3] = [ca.responder(), &dns, tls_alpn];
    for responder in responders {
        let mut authorization = authorization(&ca, &account, "a.test").await;
        authorization.prove(responder).await.unwrap();
        let challenge = authorization.challenge(responder.challenge_type()).unwrap();
        assert_eq!(challenge.status, ChallengeStatus::Valid, "{}", challenge.kind);
        assert!(challenge.validated.is_some());
    }
}

// Z17
#[tokio::test]
async fn white_space_after_the_key_authorization_is_ignored() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let authorization = after_showing(&ca, &account, "a.test", |text| format!("{text} \r\n")).await;
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
}

// Z12, Z13, Z18, Z23, Z03
#[tokio::test]
async fn what_is_not_the_key_authorization_fails_with_a_reason_for_every_attempt() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for wrong in [
        |_: &str| "something else".to_owned(),
        |_: &str| String::new(),
        |text: &str| format!(" {text}"),
        |text: &str| format!("{text}x"),
        |text: &str| text[..text.len() - 1].to_owned(),
        |text: &str| text.split('.').next().unwrap().to_owned(),
    ] {
        let authorization = after_showing(&ca, &account, "a.test", wrong).await;
        assert_eq!(authorization.status(), AuthorizationStatus::Invalid);
        let challenge = authorization.challenge(ChallengeType::Http01).unwrap();
        assert_eq!((challenge.status, challenge.validated), (ChallengeStatus::Invalid, None));
        let error = challenge.error.as_ref().unwrap();
        assert_eq!(error.kind.name(), "incorrectResponse", "{error}");
        assert_eq!((error.subproblems.len(), authorization.object().challenges.len()), (2, 1), "each attempt");
        assert!(!error.detail.contains("something else"), "no answer of the network is repeated");
    }
}

// Z18
#[tokio::test]
async fn nobody_listening_is_a_connection_problem_and_no_such_name_a_dns_problem() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for (name, record, kind) in [("a.test", "a.test A 127.0.0.2", "connection"), ("b.test", "b.test NXDOMAIN", "dns")] {
        ca.dns_record(record);
        let mut authorization = authorization(&ca, &account, name).await;
        let challenge = authorization.challenge(ChallengeType::Http01).unwrap().clone();
        authorization.answer(&challenge).await.unwrap();
        ca.until_decided(&mut authorization).await;
        let error = authorization.challenge(ChallengeType::Http01).unwrap().error.clone().unwrap();
        assert_eq!((authorization.status(), error.kind.name()), (AuthorizationStatus::Invalid, kind), "{error}");
    }
}

// Z14
#[tokio::test]
async fn a_proof_that_appears_between_two_attempts_is_found() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut authorization = authorization(&ca, &account, "a.test").await;
    let challenge = authorization.challenge(ChallengeType::Http01).unwrap().clone();
    let proof = authorization.proof(&challenge);
    authorization.answer(&challenge).await.unwrap();
    ca.settle().await;
    ca.responder().show(&challenge.token, proof.key_authorization.as_str());
    ca.until_decided(&mut authorization).await;
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
}

// Z14: whoever has repaired what failed need not wait for the end of a long pause.
#[tokio::test]
async fn an_answer_sent_again_brings_the_next_attempt_forward() {
    let ca = Ca::start_with(|config| {
        config.attempts.most = 3;
        config.attempts.first_pause = Duration::from_secs(3);
        config.attempts.longest_pause = Duration::from_secs(6);
    })
    .await;
    let account = ca.account().await;
    let mut authorization = authorization(&ca, &account, "a.test").await;
    let challenge = authorization.challenge(ChallengeType::Http01).unwrap().clone();
    assert!(authorization.answer(&challenge).await.unwrap().error.is_some());
    let two = |error: &Problem| error.subproblems.len() == 2;
    while !authorization.challenge(ChallengeType::Http01).unwrap().error.as_ref().is_some_and(two) {
        assert_eq!(authorization.refresh().await.unwrap(), AuthorizationStatus::Pending);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let proof = authorization.proof(&challenge);
    ca.responder().show(&challenge.token, proof.key_authorization.as_str());
    let due = ca.stored_attempt_due(authorization.url()).await;
    let (first, second) = tokio::join!(authorization.answer(&challenge), authorization.answer(&challenge));
    assert!(first.is_ok() && second.is_ok());
    ca.until_decided(&mut authorization).await;
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
    let challenge = authorization.challenge(ChallengeType::Http01).unwrap();
    assert!(challenge.validated.unwrap() < due, "the pause was not waited for");
    assert_eq!(ca.responder().times_fetched(&challenge.token), 1);
}

// Z19
#[tokio::test]
async fn any_of_several_txt_records_may_be_the_right_one() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut authorization = authorization(&ca, &account, "a.test").await;
    let challenge = authorization.challenge(ChallengeType::Dns01).unwrap().clone();
    let proof = authorization.proof(&challenge);
    for value in ["another", &proof.key_authorization.dns_value(), "third"] {
        ca.dns_record(&format!("_acme-challenge.a.test TXT {value}"));
    }
    authorization.answer(&challenge).await.unwrap();
    ca.until_decided(&mut authorization).await;
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
}

// Z19
#[tokio::test]
async fn a_wildcard_is_proved_at_its_base_name() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut authorization = authorization(&ca, &account, "*.a.test").await;
    let dns = ca.dns_responder();
    authorization.prove(&dns).await.unwrap();
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
}

// Z26, Z10
#[tokio::test]
async fn answering_a_finished_challenge_changes_nothing() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let order = ca.ready_order(&account, &["a.test"]).await;
    let authorization = order.authorizations().await.unwrap().remove(0);
    let done = authorization.challenge(ChallengeType::Http01).unwrap().clone();
    assert_eq!(authorization.answer(&done).await.unwrap(), done);
    let other = authorization.object().challenges.iter().find(|challenge| challenge.url != done.url);
    assert!(other.is_none(), "the one that proved it is all that is shown");
    let again = account.authorization_at(authorization.url()).await.unwrap();
    assert_eq!(again.object(), authorization.object());
}

// Z14: many answers to one challenge start one validation.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_answers_at_once_start_one_validation() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut authorization = authorization(&ca, &account, "a.test").await;
    let challenge = authorization.challenge(ChallengeType::Http01).unwrap().clone();
    let proof = authorization.proof(&challenge);
    ca.responder().show(&challenge.token, proof.key_authorization.as_str());
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (authorization, challenge) = (authorization.clone(), challenge.clone());
        answers.spawn(async move { authorization.answer(&challenge).await.is_ok() });
    }
    assert!(answers.join_all().await.into_iter().all(|answered| answered));
    ca.until_decided(&mut authorization).await;
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
    assert_eq!(ca.responder().times_fetched(&challenge.token), 1);
}

// Z10, Z13
#[tokio::test]
async fn a_validation_goes_on_after_a_restart() {
    let mut ca = Ca::start().await;
    let account = ca.account().await;
    let before = authorization(&ca, &account, "a.test").await;
    let challenge = before.challenge(ChallengeType::Http01).unwrap().clone();
    let proof = before.proof(&challenge);
    // The answer waits for the first attempt, which finds nothing; the second one follows a second later.
    let answered = before.answer(&challenge).await.unwrap();
    assert_eq!(answered.status, ChallengeStatus::Processing);
    assert!(answered.error.is_some());
    ca.responder().show(&challenge.token, proof.key_authorization.as_str());
    ca.restart().await;
    let account = ca.again(&account);
    let mut authorization = account.authorization_at(before.url()).await.unwrap();
    ca.until_decided(&mut authorization).await;
    assert_eq!(authorization.status(), AuthorizationStatus::Valid);
}

// Z18, S06
#[tokio::test]
async fn caa_that_names_another_authority_forbids_and_one_that_names_us_allows() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let ours = ca.directory().meta.clone().unwrap().caa_identities[0].clone();
    ca.dns_record("a.test CAA 0 issue \"other-ca.example\"");
    ca.dns_record(&format!("b.test CAA 0 issue \"{ours}\""));
    ca.dns_record(&format!("c.test CAA 0 issue \"{ours}; accounturi={}\"", account.url()));
    ca.dns_record(&format!("d.test CAA 0 issue \"{ours}; accounturi=https://x.test/account\""));
    ca.dns_record(&format!("e.test CAA 0 issue \"{ours}; validationmethods=dns-01\""));
    for (name, allowed) in [
        ("a.test", false),
        ("b.test", true),
        ("www.b.test", true),
        ("c.test", true),
        ("d.test", false),
        ("e.test", false),
    ] {
        let authorization = after_showing(&ca, &account, name, str::to_owned).await;
        let error = authorization.challenge(ChallengeType::Http01).unwrap().error.clone();
        if allowed {
            assert_eq!(authorization.status(), AuthorizationStatus::Valid, "{name}: {error:?}");
        } else {
            assert_eq!(authorization.status(), AuthorizationStatus::Invalid, "{name}");
            assert_eq!(error.unwrap().kind.name(), "caa", "{name}");
        }
    }
}

// Z15: the key authorization of the account that is asked, not of another one.
#[tokio::test]
async fn the_key_authorization_of_another_account_proves_nothing() {
    let ca = Ca::start().await;
    let (account, other) = (ca.account().await, ca.account().await);
    let thumbprint = other.key().thumbprint();
    let authorization =
        after_showing(&ca, &account, "a.test", |text| format!("{}.{thumbprint}", text.split('.').next().unwrap()))
            .await;
    assert_eq!(authorization.status(), AuthorizationStatus::Invalid);
}

// S03
#[tokio::test]
async fn validation_reaches_no_network_that_it_may_not_and_no_other_port() {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for address in ["10.0.0.1", "169.254.169.254", "127.0.0.2", "192.168.0.1"] {
        ca.dns_record(&format!("n{}.test A {address}", address.replace('.', "-")));
        let mut authorization = authorization(&ca, &account, &format!("n{}.test", address.replace('.', "-"))).await;
        let challenge = authorization.challenge(ChallengeType::Http01).unwrap().clone();
        authorization.answer(&challenge).await.unwrap();
        ca.until_decided(&mut authorization).await;
        assert_eq!(authorization.status(), AuthorizationStatus::Invalid, "{address}");
    }
}
