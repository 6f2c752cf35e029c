//! The independent checker, checked itself: it finds nothing in a sound store and the right thing in each spoiled one.

mod checker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use checker::{Notes, check, check_in_place};
use sote_acme::acme::identifier::Identifiers;
use sote_acme::model::audit::{Act, Actor, Event};
use sote_acme::model::{
    Account, AccountStanding, Certificate, CertificateDer, ExternalBinding, Invitation, Order, Progress, Publication,
    Published, Role, Stage,
};
use sote_acme::names::{AccountId, BootId, CertificateId, InvitationId, OrderId, OrganisationId, SerialNumber};
use sote_acme::store::sled::Options;
use sote_acme::store::{Change, Counter, SledStore, Store, audit};
use sote_acme::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// A state directory with one issued, one abandoned and published, and one revoked certificate, an invitation of which one
/// use is spent, and a trail whose beginning is sealed.
struct Sound {
    dir: tempfile::TempDir,
    received: Vec<u8>,
}

impl Sound {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let store: Arc<dyn Store> = Arc::new(SledStore::create(&state, Options::default(), NOW).unwrap());
        commit(&store, account_changes()).await;
        let issued = certificate(Stage::Issued { at: NOW });
        let received = der(&issued.serial, true);
        commit(&store, with_der(&issued, received.clone())).await;
        let abandoned = Stage::Abandoned { at: NOW, reason: "test".into(), published: Some(1) };
        let abandoned = certificate(abandoned);
        commit(&store, with_der(&abandoned, der(&abandoned.serial, false))).await;
        commit(&store, publication_changes(&state, &abandoned.serial)).await;
        commit(&store, vec![Change::insert(&order(Progress::Issued { certificate: issued.id, at: NOW }))]).await;
        audit::seal(&*store, &state, NOW.plus(1), NOW).await.unwrap().unwrap();
        Sound { dir, received }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn notes(&self) -> Notes {
        Notes { certificates: vec![self.received.clone()], at_rest: true }
    }

    /// The faults after `spoil` has done its work on the raw database.
    fn faults_after(&self, spoil: impl FnOnce(&sled::Db)) -> Vec<String> {
        let config = sled::Config::new().path(self.state().join("store")).segment_size(8 << 20);
        let db = config.open().unwrap();
        spoil(&db);
        db.flush().unwrap();
        drop(db);
        check(&self.state(), &self.notes()).faults
    }
}

async fn commit(store: &Arc<dyn Store>, changes: Vec<Change>) {
    store.commit(changes).await.unwrap();
}

fn account_changes() -> Vec<Change> {
    let invitation = Invitation {
        awaits: None,
        id: InvitationId::from_bytes([5; 16]),
        key_generation: "k1".into(),
        organisation: OrganisationId::from_bytes([3; 16]),
        role: Role::TechnicalContact,
        unit: None,
        units: Vec::new(),
        profiles: Vec::new(),
        default_profile: None,
        zones: Vec::new(),
        uses: 3,
        expires: NOW.plus(1000),
        created: NOW,
        created_by: "test".into(),
        inviter: None,
        contact: None,
        revoked: None,
    };
    let key = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;
    let account = Account {
        bound: true,
        id: AccountId::from_bytes([2; 16]),
        key: serde_json::from_str(key).unwrap(),
        contact: Vec::new(),
        terms: None,
        standing: AccountStanding::Valid,
        binding: Some(ExternalBinding { invitation: invitation.id, jws: serde_json::Value::Null }),
        created: NOW,
        touched: NOW,
    };
    let created = Event::done(NOW, Actor::Server, Act::AccountCreated);
    let uses = Change::add(Counter::UsesLeft(invitation.id), 2);
    vec![Change::insert(&invitation), Change::insert(&account), uses, Change::Audit(created)]
}

fn certificate(stage: Stage) -> Certificate {
    Certificate {
        id: CertificateId::mint(NOW),
        issuer: "issuer-1".parse().unwrap(),
        serial: SerialNumber::mint(NOW),
        shard: 3,
        profile: "sote-server".parse().unwrap(),
        account: AccountId::from_bytes([2; 16]),
        organisation: OrganisationId::from_bytes([3; 16]),
        unit: "1.2.246.10.2454372.10.1".parse().unwrap(),
        unit_generation: 1,
        order: OrderId::from_bytes([1; 16]),
        identifiers: identifiers(),
        not_before: NOW,
        not_after: Timestamp::from_seconds(4_000_000_000),
        spki_sha256: [8; 32],
        stage,
        revocation: None,
        replaced_by: None,
    }
}

fn identifiers() -> Identifiers {
    serde_json::from_str(r#"[{"type":"dns","value":"a.test"}]"#).unwrap()
}

fn order(progress: Progress) -> Order {
    Order {
        organisation_authorization: None,
        id: OrderId::mint(NOW),
        account: AccountId::from_bytes([2; 16]),
        organisation: OrganisationId::from_bytes([3; 16]),
        unit: "1.2.246.10.2454372.10.1".parse().unwrap(),
        identifiers: identifiers(),
        authorizations: Vec::new(),
        profile: "sote-server".parse().unwrap(),
        not_before: None,
        not_after: None,
        replaces: None,
        created: NOW,
        expires: NOW.plus(1000),
        progress,
    }
}

fn with_der(certificate: &Certificate, der: Vec<u8>) -> Vec<Change> {
    let event = Event::done(NOW, Actor::Server, Act::CertificateIssued).on("certificate", certificate.id);
    let der = CertificateDer { id: certificate.id, der };
    vec![Change::insert(certificate), Change::insert(&der), Change::Audit(event)]
}

/// The least DER that has a serial number where a certificate or TBSCertificate has it.
fn der(serial: &SerialNumber, is_signed: bool) -> Vec<u8> {
    let number = sequence(0x02, &serial.der_content());
    let tbs = sequence(0x30, &[sequence(0xa0, &[2, 1, 2]), number].concat());
    if is_signed { sequence(0x30, &tbs) } else { tbs }
}

fn sequence(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

fn publication_changes(state: &Path, serial: &SerialNumber) -> Vec<Change> {
    let entry = sequence(0x30, &sequence(0x02, &serial.der_content()));
    let fields = sequence(0x05, &[]).repeat(5);
    let crl = sequence(0x30, &sequence(0x30, &[fields, sequence(0x30, &entry)].concat()));
    std::fs::create_dir_all(state.join("crl/issuer-1")).unwrap();
    std::fs::write(state.join("crl/issuer-1/3-1.crl"), &crl).unwrap();
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &crl);
    let published = Published {
        number: 1,
        this_update: NOW,
        next_update: NOW,
        file: "3-1.crl".into(),
        sha256: sha256.as_ref().try_into().unwrap(),
        entries: 1,
    };
    let shard = Publication::new("issuer-1".parse().unwrap(), 3, NOW).numbered();
    vec![Change::insert(&shard.with_published(published, NOW).unwrap())]
}

/// Rewrites the JSON of every record of a kind by replacing text.
fn rewrite(db: &sled::Db, kind: &str, from: &str, to: &str) {
    let tree = db.open_tree(format!("kind/{kind}")).unwrap();
    let rows: Vec<_> = tree.iter().map(Result::unwrap).collect();
    let mut changed = 0;
    for (key, value) in rows {
        let json = String::from_utf8(value[9..].to_vec()).unwrap();
        changed += json.matches(from).count();
        tree.insert(key, [&value[..9], json.replace(from, to).as_bytes()].concat()).unwrap();
    }
    assert_ne!(changed, 0, "nothing was spoiled");
}

fn remove_first(db: &sled::Db, tree: &str) {
    db.open_tree(tree).unwrap().pop_min().unwrap().expect("there is one to remove");
}

#[track_caller]
fn assert_found(faults: &[String], expected: &str) {
    assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected:?} is not among {faults:#?}");
}

#[tokio::test]
async fn a_sound_store_has_no_fault() {
    let sound = Sound::new().await;
    let findings = check(&sound.state(), &sound.notes());
    assert_eq!(findings.faults, Vec::<String>::new());
    assert_eq!(findings.stages["issued"], 1);
    assert_eq!(findings.accounts, 1);
    assert!(findings.audit_entries >= 4);
}

#[tokio::test]
async fn a_received_certificate_that_is_not_stored_is_found() {
    let sound = Sound::new().await;
    let notes = Notes { certificates: vec![der(&SerialNumber::mint(NOW), true)], at_rest: true };
    assert_found(&check(&sound.state(), &notes).faults, "a client has received a certificate that is not stored");
    let changed = sound.faults_after(|db| remove_first(db, "kind/certificate-der"));
    assert_found(&changed, "has no DER");
}

#[tokio::test]
async fn a_serial_number_that_exists_twice_is_found() {
    let sound = Sound::new().await;
    let faults = sound.faults_after(|db| {
        let tree = db.open_tree("kind/certificate").unwrap();
        let (_, value) = tree.first().unwrap().unwrap();
        tree.insert([1; 16], value).unwrap();
    });
    assert_found(&faults, "exists twice");
    assert_found(&faults, "lies under another key");
}

#[tokio::test]
async fn a_missing_and_a_left_over_index_entry_are_found() {
    for index in ["certificate-by-serial", "certificates-by-account", "certificates-by-key", "revoked-by-shard"] {
        let faults = Sound::new().await.faults_after(|db| remove_first(db, &format!("index/{index}")));
        assert_found(&faults, &format!("index {index} lacks the entry"));
    }
    let faults = Sound::new().await.faults_after(|db| {
        db.open_tree("index/unpublished").unwrap().insert([1; 27], &[]).unwrap();
    });
    assert_found(&faults, "which no record calls for");
}

#[tokio::test]
async fn what_is_unfinished_at_rest_is_found() {
    let owner = BootId::from_bytes([4; 16]);
    let prepared = certificate(Stage::Prepared { at: NOW, owner });
    let processing = order(Progress::Processing { csr: vec![1], since: NOW, certificate: Some(prepared.id) });
    let sound = Sound::new().await;
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&sound.state(), Options::default()).unwrap());
    commit(&store, with_der(&prepared, der(&prepared.serial, false))).await;
    commit(&store, vec![Change::insert(&processing)]).await;
    drop(store);
    let faults = check(&sound.state(), &sound.notes()).faults;
    assert_found(&faults, "is still prepared");
    assert_found(&faults, "is still processing");
    let running = Notes { at_rest: false, ..sound.notes() };
    assert_eq!(check(&sound.state(), &running).faults, Vec::<String>::new());
}

#[tokio::test]
async fn an_abandoned_serial_that_is_on_no_crl_is_found() {
    let sound = Sound::new().await;
    std::fs::write(sound.state().join("crl/issuer-1/3-1.crl"), b"").unwrap();
    let faults = check(&sound.state(), &sound.notes()).faults;
    assert_found(&faults, "no CRL lists it");
    assert_found(&faults, "is missing or was changed");
}

#[tokio::test]
async fn uses_that_do_not_add_up_are_found() {
    let faults = Sound::new().await.faults_after(|db| remove_first(db, "kind/account"));
    assert_found(&faults, "3 uses, 2 left, 0 accounts");
    let faults = Sound::new().await.faults_after(|db| remove_first(db, "kind/invitation"));
    assert_found(&faults, "which is not there");
}

#[tokio::test]
async fn a_changed_or_missing_audit_entry_is_found() {
    let faults = Sound::new().await.faults_after(|db| rewrite(db, "audit", "\"done\"", "\"gone\""));
    assert_found(&faults, "does not name the hash of the one before");
    let faults = Sound::new().await.faults_after(|db| remove_first(db, "kind/audit"));
    assert_found(&faults, "is missing");
    let sound = Sound::new().await;
    std::fs::write(sound.state().join("audit/000000000001.jsonl"), b"{}\n").unwrap();
    assert_found(&check(&sound.state(), &sound.notes()).faults, "was changed");
}

#[tokio::test]
async fn another_stores_database_is_found() {
    let (sound, other) = (Sound::new().await, Sound::new().await);
    std::fs::copy(other.state().join("format.json"), sound.state().join("format.json")).unwrap();
    assert_found(&check_in_place(&sound.state(), &sound.notes()).faults, "do not name the same store");
}

#[test]
fn notes_of_a_client_that_was_cut_off_end_with_its_last_whole_chain() {
    let block = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    let text = format!("{block}{block}=\n-----BEGIN CERTIFICATE-----\nBAUG\n-----END CERTIFICATE-----\n=\n{block}");
    assert_eq!(Notes::parse(&text).certificates, [vec![1, 2, 3], vec![4, 5, 6]]);
}
