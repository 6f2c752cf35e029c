//! A proof by token and one by two officers, with a failure before and after every one of their commits: whoever was told of
//! a failure goes on, and in the end there is one organisation with one administrator, and the audit chain is whole.

use std::path::Path;
use std::sync::Arc;

use sote_acme::acme::challenge_type::ChallengeType;
use sote_acme::acme::identifier::RawIdentifier;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::acme::messages::Applicant;
use sote_acme::acme::route::Door;
use sote_acme::acme::status::{AuthorizationStatus, ChallengeStatus};
use sote_acme::authority::officers::approvals::Approve;
use sote_acme::authority::officers::register::Import;
use sote_acme::authority::{AccountOutcome, Authority, Error, NewAccountRequest};
use sote_acme::model::{
    Account, Answer, Application, Authorization, Evidence, Membership, Organisation, SpentProof, UniqueKind,
    UniqueProof,
};
use sote_acme::names::AuthorizationId;
use sote_acme::register::{self, Source};
use sote_acme::store::failing::{FailingStore, Failure};
use sote_acme::store::index::Index;
use sote_acme::store::sled::{Options, SledStore};
use sote_acme::store::{Counter, Range, Read, Store, audit};

use crate::listeners::{NOW, authority};
use crate::world::PHARMACY;

const ROWS: &str = "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n\
    1.2.246.10.1120389.10.0,,0112038-9,Esimerkin apteekki,,,Turku,,,2020-01-01,\n";

/// How the organisation is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Token,
    Officers,
}

/// Who remembers what was acknowledged, and goes on from there.
struct Applicantship {
    key: AccountKey,
    way: Way,
    authorization: Option<AuthorizationId>,
}

fn evidence() -> Evidence {
    let unique = UniqueProof { kind: UniqueKind::AuthorityToken, hash: [1; 32], until: NOW.plus(3_600) };
    Evidence { unique: vec![unique], ..Evidence::default() }
}

fn application() -> Answer {
    let applicant = Applicant { name: "Aino".into(), email: "a@b.fi".into(), phone: None };
    Answer::Application(Application { applicant, justification: "Apteekkari".into(), documents: vec![] })
}

impl Applicantship {
    async fn go_on(&mut self, authority: &Authority) -> Result<(), Error> {
        let account = self.account(authority).await?;
        let id = match self.authorization {
            Some(id) => id,
            None => {
                let identifier = RawIdentifier { kind: "organization-id".into(), value: format!("NTRFI-{PHARMACY}") };
                let made = authority.create_authorization(&account, &identifier, Door::Organisation, NOW).await?;
                *self.authorization.insert(made.id)
            }
        };
        let authorization = authority.authorization(&account, id).await?;
        let (kind, answer) = match self.way {
            Way::Token => (ChallengeType::Tkauth01, Answer::Token { tkauth: "a.b.c".into() }),
            Way::Officers => (ChallengeType::OrgApproval01, application()),
        };
        let challenge = authorization.challenges.iter().find(|c| c.kind.challenge_type() == kind).unwrap();
        if challenge.status() == ChallengeStatus::Pending {
            authority.answer_challenge(&account, challenge.id, answer, NOW).await?;
        }
        match self.way {
            Way::Token => authority.record_proof(id, challenge.id, evidence(), NOW).await,
            Way::Officers => approved(authority, challenge.kind.reference().unwrap()).await,
        }
    }

    async fn account(&self, authority: &Authority) -> Result<Read<Account>, Error> {
        let request = NewAccountRequest {
            key: self.key.jwk().clone(),
            contact: vec![],
            terms_agreed: true,
            only_existing: false,
            binding: None,
            binding_required: false,
        };
        let account = match authority.create_account(request, NOW).await? {
            AccountOutcome::Created(account) | AccountOutcome::Existing(account) => account,
        };
        Ok(authority.account(account.id).await?.expect("it was just acknowledged"))
    }
}

/// Both officers approve, as far as that is still to be done.
async fn approved(authority: &Authority, reference: &str) -> Result<(), Error> {
    for officer in ["one", "two"] {
        let shown = authority.show_application(reference, NOW).await?;
        let done = shown.status == ChallengeStatus::Valid || shown.approvals.iter().any(|a| a.officer == officer);
        if !done {
            let request = Approve { reference: reference.to_owned(), fingerprint: shown.fingerprint };
            authority.approve_application(officer, request, NOW).await?;
        }
    }
    Ok(())
}

/// Proves the organisation while one commit fails, then goes on over what is left. Returns whether the failure was reached.
async fn proof_with(way: Way, failure: Failure) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let sled: Arc<dyn Store> = Arc::new(SledStore::create(&state, Options::default(), NOW).unwrap());
    let reading = register::read(Source::Csv, std::io::Cursor::new(ROWS)).unwrap();
    let whole = authority(Arc::clone(&sled), None, state.clone());
    whole.import_register("officer", Import::of(reading), NOW).await.unwrap();
    let failing = Arc::new(FailingStore::for_good(Arc::clone(&sled), failure));
    let broken = authority(Arc::clone(&failing) as Arc<dyn Store>, None, state.clone());
    let mut client =
        Applicantship { key: AccountKey::generate(JwsAlgorithm::Es256).unwrap(), way, authorization: None };
    let first = client.go_on(&broken).await;
    let reached = failing.has_failed();
    assert_eq!(first.is_ok(), !reached, "{way:?} {failure:?}: {first:?}");
    drop((failing, broken, whole, sled));

    let sled: Arc<dyn Store> = Arc::new(SledStore::open(&state, Options::default()).unwrap());
    let after = authority(Arc::clone(&sled), None, state.clone());
    client.go_on(&after).await.unwrap_or_else(|error| panic!("{way:?} {failure:?}: {error}"));
    whole_and_once(&client, &after, &state).await;
    reached
}

/// One organisation, one administrator, one valid authorization, everything shown remembered once, a whole chain.
async fn whole_and_once(client: &Applicantship, authority: &Authority, state: &Path) {
    let store: &dyn Store = authority.store().as_ref();
    let account = client.account(authority).await.unwrap();
    let authorization = store.get::<Authorization>(&client.authorization.unwrap()).await.unwrap().unwrap();
    assert_eq!(authorization.status(NOW), AuthorizationStatus::Valid);
    assert_eq!(store.list(Range::of(Index::Organisations, [], 10)).await.unwrap().len(), 1);
    let membership = store.get::<Membership>(&account.id).await.unwrap().unwrap();
    let organisation = store.get::<Organisation>(&membership.organisation).await.unwrap().unwrap();
    assert!(membership.is_administrator());
    assert_eq!(organisation.verification.as_ref().unwrap().authorization, Some(authorization.id));
    for counter in [Counter::Administrators(organisation.id), Counter::AdministratorsEver(organisation.id)] {
        assert_eq!(store.count(counter).await.unwrap(), 1);
    }
    let spent = store.get::<SpentProof>(&[1; 32]).await.unwrap();
    assert_eq!(spent.is_some(), client.way == Way::Token);
    audit::verify(store, state).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_administrator_comes_of_a_proof_whichever_commit_fails() {
    // Account, authorization, answer, proof; account, authorization, answer, two approvals.
    for (way, commits) in [(Way::Token, 4), (Way::Officers, 5)] {
        for flavour in [Failure::Before, Failure::Lost, Failure::After] {
            let mut commit = 1;
            while proof_with(way, flavour(commit)).await {
                commit += 1;
            }
            assert!(commit > commits, "{way:?}: only {} commits were made to fail", commit - 1);
        }
    }
}
