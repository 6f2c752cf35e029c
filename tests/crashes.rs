//! A whole issuance with a failure before and after every one of its commits, then a restart: the client goes on, and in the
//! end there is exactly one certificate, nothing is unfinished, and the audit chain is whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sote_acme::acme::external_account::{ExternalAccountBinding, MacAlgorithm};
use sote_acme::acme::identifier::RawIdentifier;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::acme::key_authorization::KeyAuthorization;
use sote_acme::acme::route::Door;
use sote_acme::acme::status::OrderStatus;
use sote_acme::acme::urls::Urls;
use sote_acme::authority::officers::invitations::{CreateInvitation, NewInvitation};
use sote_acme::authority::officers::organisations::AddOrganisation;
use sote_acme::authority::officers::register::Import;
use sote_acme::authority::{
    self, AccountOutcome, Authority, Error, InvitationKeys, IssuerFacts, NewAccountRequest, OrderRequest,
};
use sote_acme::client::{CertificateKey, KeyKind, certificate_request};
use sote_acme::commands::dns_responder::{DnsResponder, ResponderSettings};
use sote_acme::issuer::{Issuer, Issuers, Responder};
use sote_acme::model::challenge::Attempts;
use sote_acme::model::{Answer, Certificate, ChallengeKind, Role, Stage};
use sote_acme::names::{BootId, CertificateId, IssuerName, OrderId, SerialNumber, Zone, base64url};
use sote_acme::register::{self, Source};
use sote_acme::signer::{KeyFile, NewKey, PoolLimits, Signer, SigningPool};
use sote_acme::store::failing::{FailingStore, Failure};
use sote_acme::store::index::Index;
use sote_acme::store::sled::{Options, SledStore};
use sote_acme::store::{Range, Read, Store, audit};
use sote_acme::time::{Clock, SystemClock, Timestamp};
use sote_acme::validation::{Settings as ValidationSettings, Validators};
use sote_acme::worker::{Settings as WorkerSettings, Worker};
use sote_acme::x509::{
    Certificate as Parsed, CertificateContent, Constraints, DistinguishedName, KeyUsage, NameAttribute,
    SigningAlgorithm, assembled_certificate,
};

const NAME: &str = "www.apteekki.test";
const NEW_ACCOUNT: &str = "https://ca.test/acme/new-account";

fn now() -> Timestamp {
    SystemClock.now()
}

/// The keys and certificates of a small hierarchy, on disk so that every run of the process opens the same ones.
struct Hierarchy {
    issuing: Parsed,
    responder: Parsed,
}

fn issued(
    issuer_key: &KeyFile,
    issuer: &DistinguishedName,
    subject: &DistinguishedName,
    key: &KeyFile,
    constraints: Constraints,
) -> Parsed {
    let content = CertificateContent {
        serial: SerialNumber::mint(now()),
        issuer: issuer.clone(),
        issuer_key: None,
        not_before: now().plus(-60),
        not_after: now().plus_years(5),
        subject: subject.clone(),
        public_key: key.public_key().clone(),
        algorithm: SigningAlgorithm::for_key(issuer_key.public_key()).unwrap(),
        constraints,
        key_usage: KeyUsage::KeyCertSign | KeyUsage::CRLSign | KeyUsage::DigitalSignature,
        extended_key_usage: vec![],
        policies: vec![],
        alternative_names: vec![],
        crl_url: None,
        ocsp_url: None,
        issuer_url: None,
        ocsp_no_check: false,
    };
    let tbs = content.tbs_der().unwrap();
    let signature = issuer_key.sign(&tbs).unwrap();
    Parsed::parse(&assembled_certificate(&tbs, content.algorithm, &signature)).unwrap()
}

impl Hierarchy {
    fn create(directory: &Path) -> Self {
        let name = |common: &str| DistinguishedName::new([(NameAttribute::CommonName, common)]).unwrap();
        let issuing_key = KeyFile::create(&directory.join("issuing.pem"), NewKey::P256).unwrap();
        let responder_key = KeyFile::create(&directory.join("responder.pem"), NewKey::P256).unwrap();
        let authority = Constraints::Authority { path_length: Some(0) };
        let issuing = issued(&issuing_key, &name("Issuing"), &name("Issuing"), &issuing_key, authority);
        let responder =
            issued(&issuing_key, issuing.subject(), &name("Responder"), &responder_key, Constraints::EndEntity);
        Hierarchy { issuing, responder }
    }

    fn issuers(&self, directory: &Path, boot: BootId) -> Issuers {
        let pool = |file: &str| {
            let key = KeyFile::open(&directory.join(file)).unwrap();
            SigningPool::start(file, Arc::new(key), PoolLimits::default()).unwrap()
        };
        let issuer = Issuer {
            name: issuer_name(),
            certificate: self.issuing.clone(),
            chains: vec![vec![self.issuing.clone()]],
            key: pool("issuing.pem"),
            responder: Responder { certificate: self.responder.clone(), key: pool("responder.pem") },
            shards: 2,
            crl_interval: 3_600,
            crl_validity: 7_200,
            ocsp_validity: 3_600,
        };
        Issuers::new(vec![issuer], directory.join("crl"), "http://status.test", boot)
    }
}

fn issuer_name() -> IssuerName {
    "sote-1".parse().unwrap()
}

const UNIT: &str = "1.2.246.10.2454372.10.1";
const ROWS: &str = "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n\
                    1.2.246.10.2454372.10.1,,0245437-2,Esimerkin apteekki,,,Helsinki,,,,\n";

/// One run of the process over a state directory.
struct Process {
    authority: Authority,
    stop: tokio::sync::watch::Sender<bool>,
    worker: tokio::task::JoinHandle<()>,
}

fn authority(store: Arc<dyn Store>, hierarchy: &Hierarchy, state: &Path) -> Authority {
    let settings = authority::Settings {
        order_lifetime: 3_600,
        pending_lifetime: 3_600,
        valid_lifetime: 3_600,
        attempts: Attempts { most: 3, first_pause: 1, longest_pause: 1, within: 30 },
        caa_lifetime: 28_800,
        terms: None,
        verification_lifetime: 86_400,
        organisations: Default::default(),
        issuers: vec![IssuerFacts {
            name: issuer_name(),
            key_identifier: hierarchy.issuing.subject_key().unwrap().as_bytes().to_vec(),
            not_after: hierarchy.issuing.not_after(),
        }],
        renewal_retry_after: 3_600,
        state_directory: state.to_owned(),
    };
    let profile = toml::from_str(
        r#"name = "sote-server"
           description = "Sote server certificate"
           issuer = "sote-1"
           policies = [{ oid = "1.2.246.517.1.10.358.2", cps = "http://cps.test/" }]"#,
    );
    let keys = InvitationKeys::new([("k1".to_owned(), zeroize::Zeroizing::new([7; 32]))], "k1").unwrap();
    Authority::new(store, settings, vec![profile.unwrap()], keys)
}

impl Process {
    async fn start(store: Arc<dyn Store>, hierarchy: &Hierarchy, directory: &Path, dns: &DnsResponder) -> Self {
        let authority = authority(Arc::clone(&store), hierarchy, &directory.join("state"));
        let issuers = Arc::new(hierarchy.issuers(directory, BootId::mint(now())));
        // A process that fails here ends here; the next run does the same again.
        let _ = issuers.load_crls(store.as_ref(), now()).await;
        let validation = ValidationSettings {
            resolvers: vec![dns.address()],
            dnssec: false,
            public_networks: false,
            ..ValidationSettings::default()
        };
        let validators = Arc::new(Validators::new(&validation).unwrap());
        let urls = Urls::new("https://ca.test").unwrap();
        let settings = WorkerSettings { tick: Duration::from_millis(50), ..WorkerSettings::default() };
        let worker = Worker::new(authority.clone(), issuers, validators, Arc::new(SystemClock), urls, settings);
        let _ = worker.publish_due().await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let worker = tokio::spawn(worker.run(stopped));
        Process { authority, stop, worker }
    }

    async fn end(self) {
        let _ = self.stop.send(true);
        let _ = self.worker.await;
    }
}

/// A client that remembers what it was told, and goes on from there.
struct Client {
    key: AccountKey,
    certified: CertificateKey,
    invitation: NewInvitation,
    order: Option<OrderId>,
}

impl Client {
    /// Goes on until it has a certificate, or the server fails.
    async fn go_on(&mut self, authority: &Authority, dns: &DnsResponder) -> Result<CertificateId, Error> {
        let request = NewAccountRequest {
            key: self.key.jwk().clone(),
            contact: vec![],
            terms_agreed: true,
            only_existing: false,
            binding: Some(self.binding()),
            binding_required: true,
        };
        let account = match authority.create_account(request, now()).await? {
            AccountOutcome::Created(account) | AccountOutcome::Existing(account) => account,
        };
        let account = authority.account(account.id).await?.expect("it was just acknowledged");
        let id = match self.order {
            Some(id) => id,
            None => {
                let request = OrderRequest {
                    identifiers: vec![RawIdentifier { kind: "dns".into(), value: NAME.into() }],
                    not_before: None,
                    not_after: None,
                    profile: None,
                    replaces: None,
                    door: Door::Server,
                };
                let id = authority.create_order(&account, &request, now()).await?.order.id;
                *self.order.insert(id)
            }
        };
        // While the server fails, the worker cannot go on either: a client would give up after a while.
        for _ in 0..200 {
            let view = authority.order(&account, id, now()).await?;
            match view.status {
                OrderStatus::Pending => self.answer(authority, &account, &view.order, dns).await?,
                OrderStatus::Ready => {
                    let csr = certificate_request(&self.certified, &[NAME]).unwrap();
                    authority.finalize(&account, id, &csr, now()).await.map(drop)?;
                }
                OrderStatus::Processing => {}
                OrderStatus::Valid => {
                    let sote_acme::model::Progress::Issued { certificate, .. } = view.order.progress else {
                        panic!("valid without a certificate")
                    };
                    return Ok(certificate);
                }
                OrderStatus::Invalid => panic!("the order became invalid: {:?}", view.failure),
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(authority::Fault::Unavailable("no progress".into()).into())
    }

    fn binding(&self) -> ExternalAccountBinding {
        let key = base64url::decode(&self.invitation.hmac_key).unwrap();
        let jws = self.key.bind_external(MacAlgorithm::Hs256, &self.invitation.kid, &key, NEW_ACCOUNT).unwrap();
        ExternalAccountBinding::parse(&jws, NEW_ACCOUNT, self.key.jwk()).unwrap()
    }

    async fn answer(
        &self,
        authority: &Authority,
        account: &Read<sote_acme::model::Account>,
        order: &sote_acme::model::Order,
        dns: &DnsResponder,
    ) -> Result<(), Error> {
        let authorization = authority.authorization(account, order.authorizations[0]).await?;
        let challenge =
            authorization.challenges.iter().find(|c| matches!(c.kind, ChallengeKind::Dns01 { .. })).unwrap();
        let value = KeyAuthorization::new(challenge.kind.token(), &self.key.thumbprint()).dns_value();
        dns.add(&format!("_acme-challenge.{NAME} TXT {value}")).unwrap();
        authority.answer_challenge(account, challenge.id, Answer::Ready, now()).await.map(drop)
    }
}

async fn prepared_organisation(store: Arc<dyn Store>, hierarchy: &Hierarchy, state: &Path) -> NewInvitation {
    let authority = authority(store, hierarchy, state);
    let organisation = AddOrganisation {
        business_id: "0245437-2".parse().unwrap(),
        language: Default::default(),
        test: false,
        profiles: vec!["sote-server".parse().unwrap()],
        zones: vec![Zone::any()],
    };
    authority.add_organisation("officer", organisation, now()).await.unwrap();
    let reading = register::read(Source::Csv, std::io::Cursor::new(ROWS)).unwrap();
    authority.import_register("officer", Import::of(reading), now()).await.unwrap();
    let invitation = CreateInvitation {
        business_id: "0245437-2".parse().unwrap(),
        role: Role::TechnicalContact,
        unit: Some(UNIT.parse().unwrap()),
        units: vec![],
        profiles: vec!["sote-server".parse().unwrap()],
        default_profile: None,
        zones: vec!["test".parse().unwrap()],
        uses: 1,
        lifetime: 3_600,
    };
    authority.create_invitation("officer", invitation, now()).await.unwrap()
}

/// Runs an issuance in which one commit fails and the process ends there, then goes on in a new process. Returns whether
/// the failure was reached.
async fn issuance_with(failure: Failure) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let dns = DnsResponder::start(ResponderSettings::default()).await.unwrap();
    let hierarchy = Hierarchy::create(directory);
    let state = directory.join("state");

    let sled: Arc<dyn Store> = Arc::new(SledStore::create(&state, Options::default(), now()).unwrap());
    let invitation = prepared_organisation(Arc::clone(&sled), &hierarchy, &state).await;
    let mut client = Client {
        key: AccountKey::generate(JwsAlgorithm::Es256).unwrap(),
        certified: CertificateKey::generate(KeyKind::EcP256).unwrap(),
        invitation,
        order: None,
    };

    // The CRLs stand before the failure is armed: their commits are no part of an issuance.
    Process::start(Arc::clone(&sled), &hierarchy, directory, &dns).await.end().await;
    let failing = Arc::new(FailingStore::for_good(Arc::clone(&sled), failure));
    let process = Process::start(Arc::clone(&failing) as Arc<dyn Store>, &hierarchy, directory, &dns).await;
    let first = tokio::time::timeout(Duration::from_secs(10), client.go_on(&process.authority, &dns)).await.unwrap();
    process.end().await;
    let reached = failing.has_failed();
    assert_eq!(first.is_ok(), !reached, "{failure:?}: {first:?}");

    // Everything of the ended process is dropped, then the directory is opened anew.
    drop((failing, sled));
    let sled: Arc<dyn Store> = Arc::new(SledStore::open(&state, Options::default()).unwrap());
    let process = Process::start(Arc::clone(&sled), &hierarchy, directory, &dns).await;
    let certificate = client.go_on(&process.authority, &dns).await.unwrap_or_else(|e| panic!("{failure:?}: {e}"));
    settled(sled.as_ref()).await;
    process.end().await;

    check(sled.as_ref(), &state, certificate, failure).await;
    dns.stop().await;
    reached
}

/// Waits until nothing is unfinished.
async fn settled(store: &dyn Store) {
    for _ in 0..200 {
        let mut unfinished = 0;
        for index in [Index::OrdersProcessing, Index::CertificatesPrepared, Index::Unpublished] {
            unfinished += store.list(Range::of(index, [], 1)).await.unwrap().len();
        }
        if unfinished == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("something is still unfinished after 10 s");
}

async fn check(store: &dyn Store, state: &Path, certificate: CertificateId, failure: Failure) {
    let mut issued = Vec::new();
    for id in store.list(Range::of(Index::Certificates, [], 100)).await.unwrap() {
        let id = CertificateId::try_from(id.as_slice()).unwrap();
        let record = store.get::<Certificate>(&id).await.unwrap().unwrap();
        match record.stage {
            Stage::Issued { .. } => issued.push(id),
            Stage::Abandoned { published, .. } => assert!(published.is_some(), "{failure:?}: abandoned, on no CRL"),
            Stage::Prepared { .. } => panic!("{failure:?}: a certificate is still prepared"),
        }
    }
    assert_eq!(issued, [certificate], "{failure:?}: exactly one certificate");
    audit::verify(store, state).await.unwrap_or_else(|e| panic!("{failure:?}: {e}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_comes_of_an_issuance_whichever_commit_fails() {
    for flavour in [Failure::Before, Failure::Lost, Failure::After] {
        let mut commit = 1;
        while issuance_with(flavour(commit)).await {
            commit += 1;
        }
        // Account, order, answer, proof, finalize, prepared, issued.
        assert!(commit > 7, "only {} commits were made to fail", commit - 1);
    }
}
