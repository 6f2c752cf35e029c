//! `docs/hospital.md` as it stands there: a hospital verifies itself by its card, invites two technical contacts, ten servers get
//! their certificates with one invitation, one is revoked by its serial number, the supplier's contract ends. Its people use
//! the real `sote-client`; certbot's part on the ten servers is played by the built-in client.

#[path = "evidence/cards.rs"]
mod cards;
mod processes;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cards::{CardAuthorityKeys, POLICY, StatusServer};
use processes::{SOTE_CLIENT, Said};
use serde_json::Value;
use sote_acme::acme::challenge_type::ChallengeType;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::acme::problem::ProblemKind;
use sote_acme::client::relying_service::{OcspMethod, OcspStatus, RelyingService};
use sote_acme::client::{
    Account, CertificateChain, CertificateKey, Client, ExternalAccount, Http01Responder, HttpVersion, KeyKind,
    OrderRequest, Registration, Result, Transport,
};
use sote_acme::commands::trial::{Trial, TrialFacts, TrialSettings};
use sote_acme::config::{CardAuthoritySettings, CardHolder, CardUsage, Config, RevocationSource};
use sote_acme::signer::NewKey;
use sote_acme::time::{Clock as _, SystemClock};
use sote_acme::x509::NameAttribute;

const UNIT: &str = "1.2.246.10.99900016.10.1";
const SERVERS: usize = 10;

/// The hospital's world: a certificate authority that believes the cards of one authority, and the hospital's own card.
struct World {
    trial: Trial,
    /// Where every server of the hospital answers http-01.
    http: SocketAddr,
    directory: tempfile::TempDir,
    _revocation: StatusServer,
}

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let keys = CardAuthorityKeys::new(&directory.path().join("cards"), "Organisation cards", now);
        let subject = [
            (NameAttribute::Country, "FI"),
            (NameAttribute::OrganisationIdentifier, "NTRFI-9990001-6"),
            (NameAttribute::CommonName, "Esimerkin hyvinvointialue"),
        ];
        let card = keys.card(&subject, NewKey::P256, now, |_| {});
        let file = |name: &str| directory.path().join(name);
        fs::write(file("anchor.pem"), keys.certificate.to_pem()).unwrap();
        fs::write(file("card.pem"), card.certificate.to_pem()).unwrap();
        fs::rename(directory.path().join("cards/card-16.key"), file("card.key")).unwrap();
        let revocation = StatusServer::start().await;
        let crl = keys.crl(&[], now, now.plus(86_400));
        revocation.answers(move |_| crl.clone());

        let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut settings = TrialSettings::on_free_ports(&file("ca"));
        settings.http_01_port = http.port();
        let (anchors, url) = (file("anchor.pem"), revocation.url());
        settings.adjust = Some(Box::new(move |config| believe_cards(config, anchors, url)));
        World { trial: Trial::start(settings).await.unwrap(), http, directory, _revocation: revocation }
    }

    fn facts(&self) -> &TrialFacts {
        &self.trial.facts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `sote-client --organisation eha` as this person, each with a directory of their own.
    fn person(&self, name: &str, arguments: &[&str]) -> Said {
        let mut command = Command::new(SOTE_CLIENT);
        Said::by(command.arg("--dir").arg(self.path(name)).args(["--organisation", "eha"]).args(arguments))
    }

    #[track_caller]
    fn shown(&self, name: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.person(name, &[arguments, &["--json"]].concat()).done()).unwrap()
    }

    fn tls_root(&self) -> &str {
        self.facts().tls_root.to_str().unwrap()
    }
}

fn believe_cards(config: &mut Config, anchors: PathBuf, crl: String) {
    config.organisation.challenges = vec![ChallengeType::OrgSignature01];
    config.organisation.card_authority.push(CardAuthoritySettings {
        name: "organisation-cards".to_owned(),
        kind: CardHolder::Organisation,
        people: String::new(),
        anchors: anchors.clone(),
        policies: vec![POLICY.to_string()],
        key_usage: vec![CardUsage::NonRepudiation],
        revocation: vec![RevocationSource { authority: anchors, crl: vec![crl], ocsp: Vec::new() }],
    });
}

/// What certbot does on one server: an account by the invitation, an order, http-01, finalize.
struct Server {
    account: Account,
    chain: CertificateChain,
}

async fn registered(client: &Client, credentials: &Value) -> Result<Account> {
    let text = |name: &str| credentials[name].as_str().unwrap();
    let registration = Registration {
        contact: vec!["mailto:pekka@eha.example.fi".to_owned()],
        terms_agreed: true,
        external_account: Some(ExternalAccount::new(text("kid"), text("hmacKey"))?),
    };
    client.register(Arc::new(AccountKey::generate(JwsAlgorithm::Es256).unwrap()), &registration).await
}

async fn certified(client: &Client, credentials: &Value, name: &str, responder: &Http01Responder) -> Server {
    let account = registered(client, credentials).await.unwrap();
    let key = CertificateKey::generate(KeyKind::EcP256).unwrap();
    let chain = account.obtain(&OrderRequest::of_names([name]), &key, responder).await.unwrap();
    Server { account, chain }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_goes_its_whole_way() {
    let world = World::start().await;
    verified_by_card(&world);
    let (pekka, supplier) = invited(&world);
    let servers = ten_servers(&world, &pekka).await;
    supplied(&world, &supplier);
    looked_after(&world, &servers);
    revoked_by_serial(&world, &servers).await;
    contract_ended(&world);
    let World { trial, .. } = world;
    trial.stop().await;
}

/// 1. The hospital verifies itself by card.
fn verified_by_card(world: &World) {
    let server = world.facts().organisation_directory.clone();
    let tls_root = world.tls_root();
    let new = ["account", "new", "--server", &server, "--tls-root", tls_root, "--agree-tos"];
    world.person("aino", &[&new[..], &["--contact", "aino@eha.example.fi"]].concat()).done();
    let (certificate, key) = (world.path("card.pem"), world.path("card.key"));
    let card = ["--card-certificate", certificate.to_str().unwrap(), "--card-key", key.to_str().unwrap(), "--yes"];
    let verify = [&["organisation", "verify", "9990001-6", "--card"], &card[..]].concat();
    let said = world.person("aino", &verify);
    assert!(said.error.contains("Valtuutan tilin") && said.error.contains("Jag befullmäktigar"), "{}", said.error);
    let said = said.done();
    for part in ["NTRFI-9990001-6 is proved", "Esimerkin hyvinvointialue", "org-signature-01", "administrator", UNIT] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// 2. She invites two technical contacts: the credentials of each.
fn invited(world: &World) -> (Value, Value) {
    let invite = |contact: &str, zone: &str, further: &[&str]| {
        let who = ["invite", "--contact", contact, "--unit", UNIT, "--zone", zone];
        let made = world.shown("aino", &[&who[..], further].concat());
        assert_eq!(made["role"], "technical-contact");
        assert!(made["commands"]["certbot"].as_str().unwrap().starts_with("certbot register --server https://"));
        made["externalAccountBinding"].clone()
    };
    let pekka = invite("pekka@eha.example.fi", "sairaala.test", &["--uses", "10", "--valid-for", "14d"]);
    (pekka, invite("acme@toimittaja.example", "labra.sairaala.test", &[]))
}

fn server_name(number: usize) -> String {
    format!("www{number}.sairaala.test")
}

/// 3. Ten servers get their certificates with one invitation; there is no eleventh.
async fn ten_servers(world: &World, credentials: &Value) -> Vec<Server> {
    let root = fs::read(&world.facts().tls_root).unwrap();
    let transport = Transport::trusting(&root, HttpVersion::Http2).unwrap();
    let client = Client::discover(transport, credentials["directory"].as_str().unwrap()).await.unwrap();
    let responder = Http01Responder::listen(world.http).await.unwrap();
    let mut servers = Vec::new();
    for number in 1..=SERVERS {
        servers.push(certified(&client, credentials, &server_name(number), &responder).await);
    }
    drop(responder);
    let refusal = registered(&client, credentials).await.unwrap_err();
    assert!(refusal.is(ProblemKind::Unauthorized), "{refusal}");
    let service = relying_service(world);
    for (index, server) in servers.iter().enumerate() {
        let name = server_name(index + 1);
        let verified = service.verified(server.chain.certificates(), &name, SystemClock.now()).unwrap();
        let subject = verified.links()[0].subject();
        for part in ["O=Esimerkin hyvinvointialue", "OU=Esimerkin keskussairaala"] {
            assert!(subject.contains(part), "{part} in {subject}");
        }
    }
    servers
}

fn relying_service(world: &World) -> RelyingService {
    let read = |path: &Path| fs::read(path).unwrap();
    let transport = Transport::trusting(&read(&world.facts().tls_root), HttpVersion::Http2).unwrap();
    RelyingService::trusting(&read(&world.facts().issuer_root), transport).unwrap()
}

/// The supplier's own account, and a name that is none of its business.
fn supplied(world: &World, credentials: &Value) {
    let hmac = world.path("hmac");
    fs::write(&hmac, credentials["hmacKey"].as_str().unwrap()).unwrap();
    let server = credentials["directory"].as_str().unwrap();
    let new = ["account", "new", "--server", server, "--tls-root", world.tls_root(), "--agree-tos"];
    let eab = ["--eab-kid", credentials["kid"].as_str().unwrap(), "--eab-hmac-key-file", hmac.to_str().unwrap()];
    world.person("supplier", &[&new[..], &eab].concat()).done();
    let http = world.http.to_string();
    let obtain = |name: &str| world.person("supplier", &["obtain", "-d", name, "--http", &http]);
    obtain("lims.labra.sairaala.test").done();
    assert!(obtain("www1.sairaala.test").refused(1).contains("rejectedIdentifier"));
}

/// 4. Aino sees what there is.
fn looked_after(world: &World, servers: &[Server]) {
    let count = |arguments: &[&str], list: &str| world.shown("aino", arguments)[list].as_array().unwrap().len();
    assert_eq!(count(&["members"], "members"), servers.len() + 2);
    let certificates = servers.len() + 1;
    assert_eq!(count(&["orders"], "orders"), certificates);
    assert_eq!(count(&["certificates", "list", "--status", "valid"], "certificates"), certificates);
    let soon = ["certificates", "list", "--expires-before", "2100-01-01T00:00:00Z", "--profile", "sote-server"];
    assert_eq!(count(&soon, "certificates"), certificates);
    let events = world.person("aino", &["organisation", "events"]).done();
    assert!(events.lines().count() > 3, "{events}");
}

/// 5. One certificate is revoked by its serial number, by Aino and not by the supplier.
async fn revoked_by_serial(world: &World, servers: &[Server]) {
    let scrapped = servers.last().unwrap();
    let serial = scrapped.chain.serial_number().unwrap().to_string();
    let revoke = ["revoke", "--serial", &serial, "--reason", "5", "--comment", "www10 is scrapped", "--yes"];
    let error = world.person("supplier", &revoke).refused(1);
    assert!(error.contains("no certificate with the serial number"), "{error}");
    let said = world.person("aino", &revoke);
    for part in ["O=Esimerkin hyvinvointialue", "www10.sairaala.test", "until"] {
        assert!(said.error.contains(part), "{part} in {}", said.error);
    }
    assert!(said.done().contains("CRL number"));
    let service = relying_service(world);
    for (server, good) in [(scrapped, false), (&servers[0], true)] {
        let name = if good { server_name(1) } else { server_name(SERVERS) };
        let verified = service.verified(server.chain.certificates(), &name, SystemClock.now()).unwrap();
        let lists = service.revocation_lists(&verified, SystemClock.now()).await.unwrap();
        let answer = service.ocsp(&verified, OcspMethod::PostWithNonce, SystemClock.now()).await.unwrap();
        assert_eq!((answer.status == OcspStatus::Good, lists[0].entry.is_none()), (good, good));
    }
    assert!(servers[0].account.object().await.unwrap().organization.is_some());
}

/// 6. The supplier's contract ends.
fn contract_ended(world: &World) {
    let invitations = world.shown("aino", &["invitations"]);
    let suppliers = |invitation: &&Value| invitation["contact"] == "mailto:acme@toimittaja.example";
    let invitation = invitations["invitations"].as_array().unwrap().iter().find(suppliers).unwrap();
    let name = invitation["url"].as_str().unwrap().rsplit('/').next().unwrap();
    let touched = world.shown("aino", &["invitations", "revoke", name, "--dry-run"]);
    for list in ["stopped", "certificates"] {
        assert_eq!(touched[list].as_array().unwrap().len(), 1, "{list} in {touched}");
    }
    let revoke = ["invitations", "revoke", name, "--reason", "contract ended", "--yes"];
    assert_eq!(world.shown("aino", &revoke)["status"], "revoked");
    let obtain = ["obtain", "-d", "lims.labra.sairaala.test", "--http", "127.0.0.1:0"];
    let error = world.person("supplier", &obtain).refused(1);
    assert!(error.contains("unauthorized") && error.contains("contract ended"), "{error}");
}
