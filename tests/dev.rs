//! `sote-acme dev` as a process: what it writes, what it refuses, what survives a restart and a kill.

mod processes;

use std::collections::HashSet;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use processes::{Dev, PATIENCE, SOTE_ACME, Said, place};
use sote_acme::acme::challenge_type::ChallengeType;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::acme::status::AuthorizationStatus;
use sote_acme::client::{Account, Client, ExternalAccount, OrderRequest, Registration};

fn refused(directory: &Path, addresses: &[&str], further: &[&str]) -> String {
    Said::by(&mut Dev::command(directory, addresses, further)).refused(1)
}

#[test]
fn dev_env_names_everything_that_clients_need_once_the_server_is_ready() {
    let (_place, directory) = place();
    let dev = Dev::start(&directory, &[]);
    assert_eq!(dev.value("SOTE_ACME_PID"), dev.process.id().to_string());
    for name in ["TLS_ROOT", "ISSUER_ROOT", "ALT_ROOT", "TEST_ISSUER_ROOT"] {
        let pem = fs::read_to_string(dev.value(&format!("SOTE_ACME_{name}"))).unwrap();
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{name}");
    }
    assert!(fs::metadata(dev.value("SOTE_ACME_ADMIN_SOCKET")).unwrap().mode() & 0o777 == 0o660);
    // Both officers of a trial are whoever started it, each by a socket.
    for (socket, officer) in [("admin.sock", "officer-1"), ("officer-2.sock", "officer-2")] {
        let status = Said::by(Command::new(SOTE_ACME).args(["status", "--socket"]).arg(directory.join(socket))).done();
        assert!(status.contains(officer), "{status}");
    }
    assert!(dev.value("SOTE_ACME_EAB_KID").starts_with("k1_"));
    assert!(dev.value("SOTE_ACME_EAB_HMAC_KEY").len() >= 43, "at least 32 octets");

    let (status, server) = dev.get(dev.value("SOTE_ACME_DIRECTORY"));
    let server: serde_json::Value = serde_json::from_slice(&server).unwrap();
    assert_eq!(status, 200);
    let meta = &server["meta"];
    assert_eq!(meta["externalAccountRequired"], true);
    assert!(meta["profiles"]["sote-server"].is_string());
    assert!(meta["caaIdentities"][0].is_string() && meta["website"].is_string());
    assert_eq!(dev.get(meta["termsOfService"].as_str().unwrap()).0, 200);
    assert_eq!(dev.get(dev.value("SOTE_ACME_ORGANISATION_DIRECTORY")).0, 200);

    // The terminal shows lines to copy.
    let banner = fs::read_to_string(directory.with_extension("out")).unwrap();
    for part in ["certbot certonly", "lego --server", dev.value("SOTE_ACME_EAB_KID"), dev.value("SOTE_ACME_DIRECTORY")]
    {
        assert!(banner.contains(part), "{part} in {banner}");
    }
}

#[test]
fn the_roots_are_published_where_the_issuing_certificates_say() {
    let (_place, directory) = place();
    let dev = Dev::start(&directory, &[]);
    for name in ["trial-1.pem", "trial-1-by-trial-root-2.pem"] {
        let pem = fs::read_to_string(directory.join("certificates").join(name)).unwrap();
        let issuing = sote_acme::x509::Certificate::parse_pem_chain(&pem).unwrap().remove(0);
        let (status, root) = dev.get(issuing.issuer_url().unwrap());
        assert_eq!(status, 200);
        let root = sote_acme::x509::Certificate::parse(&root).unwrap();
        issuing.verify_signed_by(root.public_key()).unwrap();
        let (status, crl) = dev.get(issuing.crl_url().unwrap());
        assert_eq!(status, 200);
        sote_acme::x509::Crl::parse(&crl).unwrap().verify_signed_by(root.public_key()).unwrap();
    }
}

#[test]
fn a_directory_in_use_is_refused_and_the_running_server_goes_on() {
    let (_place, directory) = place();
    let dev = Dev::start(&directory, &[]);
    let refusal = refused(&directory, &["--public-listen", "127.0.0.1:0"], &[]);
    assert!(refusal.contains("a server is running in this directory"), "{refusal}");
    assert!(refusal.contains(dev.value("SOTE_ACME_PID")) && refusal.contains("--dir"), "{refusal}");
    assert!(directory.join("dev.env").exists() && directory.join("admin.sock").exists());
    assert_eq!(dev.get(dev.value("SOTE_ACME_DIRECTORY")).0, 200);
}

#[test]
fn a_restart_finds_everything_again_and_a_stop_is_clean() {
    let (_place, directory) = place();
    let first = Dev::start(&directory, &[]);
    let same = ["SOTE_ACME_EAB_KID", "SOTE_ACME_EAB_HMAC_KEY", "SOTE_ACME_PUBLIC_URL", "SOTE_ACME_ISSUER_ROOT"];
    let values: Vec<String> = same.iter().map(|name| first.value(name).to_owned()).collect();
    let root = fs::read(first.value("SOTE_ACME_ISSUER_ROOT")).unwrap();
    // SIGHUP only reads again.
    first.signal("HUP");
    assert_eq!(first.get(first.value("SOTE_ACME_DIRECTORY")).0, 200);
    assert!(first.ended_by("TERM"), "a stop is a success");
    assert!(!directory.join("dev.env").exists(), "no server, no dev.env");
    assert!(directory.join("nonces").exists(), "the nonces wait for the next start");

    let second = Dev::start(&directory, &[]);
    assert_eq!(same.map(|name| second.value(name).to_owned()).to_vec(), values);
    assert_eq!(fs::read(second.value("SOTE_ACME_ISSUER_ROOT")).unwrap(), root);
    assert!(!directory.join("nonces").exists());
    // Killed, it leaves dev.env and a lock file, which stop nobody.
    assert!(!second.ended_by("KILL"));
    let third = Dev::start(&directory, &["--allow-zone", "other.test"]);
    assert_eq!(third.value("SOTE_ACME_PUBLIC_URL"), values[2]);
    assert_ne!(third.value("SOTE_ACME_EAB_KID"), values[0], "another zone needs another invitation");
    assert!(third.ended_by("INT"));
}

#[test]
fn another_public_port_is_refused_with_the_flag_to_give() {
    let (_place, directory) = place();
    let dev = Dev::start(&directory, &[]);
    let address = dev.value("SOTE_ACME_PUBLIC_URL").strip_prefix("http://").unwrap().to_owned();
    assert!(dev.ended_by("TERM"));
    let refusal = refused(&directory, &["--public-listen", "127.0.0.1:1"], &[]);
    assert!(refusal.contains(&format!("--public-listen {address}")), "{refusal}");
    let again = Dev::start_with(&directory, &["--public-listen", &address, "--dns-listen", "127.0.0.1:0"], &[]);
    assert_eq!(again.value("SOTE_ACME_PUBLIC_URL"), format!("http://{address}"));
}

#[test]
fn a_given_resolver_need_not_be_there_yet_and_the_embedded_responder_stays_away() {
    let (_place, directory) = place();
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let responder = free.local_addr().unwrap().to_string();
    let resolver = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    // The port is taken: a responder that tried to answer there would fail.
    let addresses = ["--public-listen", "127.0.0.1:0", "--dns-listen", &responder];
    let dev = Dev::start_with(&directory, &addresses, &["--dns", &resolver]);
    assert_eq!(dev.value("SOTE_ACME_DNS"), resolver);
    assert_eq!(dev.directory, directory);
}

#[test]
fn a_port_that_is_taken_is_told_with_the_flag() {
    let (_place, directory) = place();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refusal = refused(&directory, &["--public-listen", &address, "--dns-listen", "127.0.0.1:0"], &[]);
    assert!(refusal.contains(&address) && refusal.contains("--public-listen"), "{refusal}");
    assert!(!directory.join("keys").exists(), "nothing was made for an address that cannot be had");
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refusal = refused(&directory, &["--public-listen", "127.0.0.1:0", "--dns-listen", &address], &[]);
    assert!(refusal.contains(&address) && refusal.contains("--dns-listen"), "{refusal}");
    // The directory can be used afterwards.
    drop(Dev::start(&directory, &[]));
}

impl Dev {
    /// A client of the server, and an account by its invitation.
    async fn account(&self) -> (Client, Account) {
        let client = Client::discover(self.transport(), self.value("SOTE_ACME_DIRECTORY")).await.unwrap();
        let key = Arc::new(AccountKey::generate(JwsAlgorithm::Es256).unwrap());
        let external_account =
            ExternalAccount::new(self.value("SOTE_ACME_EAB_KID"), self.value("SOTE_ACME_EAB_HMAC_KEY")).unwrap();
        let registration =
            Registration { contact: vec![], terms_agreed: true, external_account: Some(external_account) };
        let account = client.register(key, &registration).await.unwrap();
        (client, account)
    }
}

#[tokio::test]
async fn a_challenge_that_cannot_succeed_is_invalid_within_a_minute_though_dns_never_answers() {
    let (_place, directory) = place();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dev = Dev::start(&directory, &["--dns", &silent.local_addr().unwrap().to_string()]);
    let (_, account) = dev.account().await;
    let order = account.order(&OrderRequest::of_names(["www.silent.test"])).await.unwrap();
    let mut authorization = order.authorizations().await.unwrap().remove(0);
    let challenge = authorization.challenge(ChallengeType::Http01).unwrap().clone();
    let begun = Instant::now();
    authorization.answer(&challenge).await.unwrap();
    while authorization.refresh().await.unwrap() != AuthorizationStatus::Invalid {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let error = authorization.challenge(ChallengeType::Http01).unwrap().error.clone();
    assert!(error.is_some_and(|error| error.to_string().contains("dns")));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_at_once_and_a_hundred_idle_connections_of_one_address_are_normal() {
    let (_place, directory) = place();
    let dev = Dev::start(&directory, &[]);
    let address = dev.value("SOTE_ACME_DIRECTORY").strip_prefix("https://localhost:").unwrap();
    let port: u16 = address.strip_suffix("/directory").unwrap().parse().unwrap();
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let accounts: Vec<_> = (0..50).map(|_| dev.account()).collect();
    let mut urls = HashSet::new();
    for (_, account) in futures_of(accounts).await {
        urls.insert(account.url().to_owned());
    }
    assert_eq!(urls.len(), 50);
    // Hundreds of requests by one account in a row meet no limit.
    let (client, account) = dev.account().await;
    for _ in 0..300 {
        account.object().await.unwrap();
    }
    client.nonce().await.unwrap();
    drop(idle);
}

/// All of them at the same time.
async fn futures_of<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs = Vec::new();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                outputs.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outputs
}

#[test]
fn a_root_s_next_list_is_served_after_sighup() {
    let (_place, directory) = place();
    let dev = Dev::start(&directory, &[]);
    let file = |name: &str| directory.join(name);
    let mut sign = Command::new(SOTE_ACME);
    sign.args(["root-crl", "--certificate"]).arg(file("certificates/trial-root.pem"));
    sign.arg("--key").arg(file("keys/trial-root.key")).arg("--crl").arg(file("certificates/trial-root.crl"));
    Said::by(&mut sign).done();
    let served = || {
        let (_, crl) = dev.get(&format!("{}/crl/trial-root/0.crl", dev.value("SOTE_ACME_PUBLIC_URL")));
        sote_acme::x509::Crl::parse(&crl).unwrap().number()
    };
    assert_eq!(served(), Some(1));
    dev.signal("HUP");
    let begun = Instant::now();
    while served() != Some(2) {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
}
