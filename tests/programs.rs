//! The two programs against each other, as people use them: `sote-acme dev` serves, `sote-client` obtains, renews and revokes;
//! exit statuses and messages.

mod processes;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use processes::{Dev, SOTE_ACME, SOTE_CLIENT, Said, place};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sote_acme::client::CertificateKey;
use sote_acme::x509::Certificate;
use tempfile::TempDir;

const NAME: &str = "www.sairaala.test";

/// A server, and the state directory of a client.
struct Pair {
    dev: Dev,
    client: PathBuf,
    http: String,
    _place: TempDir,
}

impl Pair {
    fn start() -> Self {
        let (place, directory) = place();
        let port = free_port();
        let dev = Dev::start(&directory, &["--http-01-port", &port.to_string()]);
        fs::write(place.path().join("hmac"), format!("{}\n", dev.value("SOTE_ACME_EAB_HMAC_KEY"))).unwrap();
        Pair { dev, client: place.path().join("client"), http: format!("127.0.0.1:{port}"), _place: place }
    }

    /// `sote-client` with the state directory of this pair.
    fn run(&self, arguments: &[&str]) -> Said {
        Said::by(Command::new(SOTE_CLIENT).arg("--dir").arg(&self.client).args(arguments))
    }

    /// Registers at `server` with these credentials and further arguments.
    fn register(&self, server: &str, kid: &str, hmac_key_file: &str, further: &[&str]) -> Said {
        let hmac = self.client.with_file_name(hmac_key_file).display().to_string();
        let arguments =
            ["--tls-root", self.dev.value("SOTE_ACME_TLS_ROOT"), "--eab-kid", kid, "--eab-hmac-key-file", &hmac];
        self.run(&[&["account", "new", "--server", server], &arguments[..], further].concat())
    }

    /// Registers as the invitation of the server says.
    fn registered(&self) -> String {
        let (server, kid) = (self.dev.value("SOTE_ACME_DIRECTORY"), self.dev.value("SOTE_ACME_EAB_KID"));
        self.register(server, kid, "hmac", &["--agree-tos", "--contact", "it@sairaala.test"]).done()
    }

    fn order(&self, name: &str) -> Said {
        self.run(&["obtain", "-d", name, "--http", &self.http])
    }

    fn verify(&self) -> Said {
        self.run(&["verify", NAME, "--issuer-root", self.dev.value("SOTE_ACME_ISSUER_ROOT")])
    }

    /// The current certificate, judged by the verifier that TLS clients use, and its key.
    fn kept(&self) -> Certificate {
        let directory = self.client.join("certificates").join(NAME).join("current");
        let root = Path::new(self.dev.value("SOTE_ACME_ISSUER_ROOT"));
        verified_by_webpki(root, &directory.join("fullchain.pem"), NAME);
        let chain =
            Certificate::parse_pem_chain(&fs::read_to_string(directory.join("fullchain.pem")).unwrap()).unwrap();
        let key = CertificateKey::from_pkcs8_pem(&fs::read_to_string(directory.join("key.pem")).unwrap()).unwrap();
        assert_eq!(chain[0].public_key(), key.public_key());
        chain.into_iter().next().unwrap()
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn verified_by_webpki(root: &Path, chain: &Path, name: &'static str) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let chain: Vec<_> = CertificateDer::pem_file_iter(chain).unwrap().map(Result::unwrap).collect();
    let name = ServerName::try_from(name).unwrap();
    verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], UnixTime::now()).unwrap();
}

#[test]
fn a_certificate_is_obtained_verified_renewed_and_revoked() {
    let pair = Pair::start();
    let account = pair.registered();
    assert!(account.starts_with("account     https://localhost:"), "{account}");
    assert_eq!(pair.registered(), account, "registering again finds the account");
    assert!(pair.run(&["account", "show"]).done().contains("mailto:it@sairaala.test"));

    let said = pair.order(NAME).done();
    let first = pair.kept().serial().to_string();
    assert!(said.contains(&format!("{NAME}: certificate {first} in ")), "{said}");
    let said = pair.verify().done();
    for part in ["chain: good", "not on it", "OCSP: Good"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let listed = pair.run(&["list"]).done();
    assert!(listed.contains(&first) && listed.lines().count() == 1, "{listed}");

    let said = pair.run(&["renew", "--http", &pair.http]).done();
    assert!(said.contains("not due yet"), "{said}");
    assert_eq!(pair.kept().serial().to_string(), first);
    pair.run(&["renew", "--force", "--http", &pair.http]).done();
    let second = pair.kept().serial().to_string();
    assert_ne!(second, first);
    pair.verify().done();

    let said = pair.run(&["revoke", NAME, "--reason", "4"]).done();
    assert!(said.contains(&format!("certificate {second} is revoked")), "{said}");
    let error = pair.verify().refused(8);
    assert!(error.contains(&format!("the certificate {NAME} is not good")), "{error}");
    let error = pair.run(&["revoke", NAME, "--by-key"]).refused(1);
    assert!(error.contains("alreadyRevoked"), "{error}");
}

#[test]
fn an_account_is_changed_gets_another_key_and_ends() {
    let pair = Pair::start();
    let url = pair.registered();
    assert!(
        pair.run(&["account", "update", "--contact", "new@sairaala.test"]).done().contains("mailto:new@sairaala.test")
    );
    let key = || fs::read(pair.client.join("account-key.pem")).unwrap();
    let before = key();
    pair.run(&["account", "change-key", "--key", "es384"]).done();
    assert_ne!(key(), before);
    let shown = pair.run(&["account", "show"]).done();
    let url = url.lines().next().unwrap().trim_start_matches("account").trim();
    assert!(shown.contains(url) && shown.contains("status        valid"), "{shown}");
    assert!(pair.run(&["account", "deactivate"]).done().contains("deactivated"));
    let error = pair.order(NAME).refused(1);
    assert!(error.contains("unauthorized") && error.contains("deactivated"), "{error}");
}

#[test]
fn credentials_that_are_wrong_make_no_account_and_the_right_ones_still_do() {
    let pair = Pair::start();
    let (server, kid) = (pair.dev.value("SOTE_ACME_DIRECTORY"), pair.dev.value("SOTE_ACME_EAB_KID"));
    fs::write(pair.client.with_file_name("wrong"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    fs::write(pair.client.with_file_name("short"), "AAAA").unwrap();
    fs::write(pair.client.with_file_name("odd"), "not a key").unwrap();
    let unknown_kid = kid.chars().rev().collect::<String>();
    for (kid, file) in [(kid, "wrong"), (unknown_kid.as_str(), "hmac")] {
        let error = pair.register(server, kid, file, &["--agree-tos"]).refused(1);
        assert!(error.starts_with("sote-client: unauthorized: "), "{error}");
        assert!(error.contains("external account binding") && error.contains("(403 at "), "{error}");
    }
    for (file, cause) in [
        ("short", "the MAC key of the external account, 3 octets, does not do for HS256"),
        ("odd", "the MAC key of the external account is not base64url"),
        ("missing", "missing: No such file"),
    ] {
        let error = pair.register(server, kid, file, &["--agree-tos"]).refused(1);
        assert!(error.contains(cause), "{error}");
    }
    let error = pair.register(server, kid, "hmac", &[]).refused(1);
    assert!(error.contains("terms of service") && error.contains("--agree-tos"), "{error}");
    let error = pair.order(NAME).refused(1);
    assert!(error.contains("no account yet: begin with sote-client account new"), "{error}");
    pair.registered();
}

#[test]
fn a_server_that_cannot_be_reached_or_trusted_is_told_with_the_cause() {
    let pair = Pair::start();
    let nobody = format!("https://localhost:{}/directory", free_port());
    let error = pair.register(&nobody, "k1_x", "hmac", &["--agree-tos"]).refused(4);
    assert!(error.starts_with(&format!("sote-client: cannot reach {nobody}: ")), "{error}");
    assert!(error.contains("refused"), "{error}");
    let server = pair.dev.value("SOTE_ACME_DIRECTORY");
    let register = ["account", "new", "--server", server, "--agree-tos", "--tls-root"];
    let error = pair.run(&[&register[..], &[pair.dev.value("SOTE_ACME_ISSUER_ROOT")]].concat()).refused(4);
    assert!(error.contains(&format!("cannot reach {server}")) && error.contains("certificate"), "{error}");
}

#[test]
fn a_name_outside_the_zone_is_refused_by_name_and_leaves_nothing_behind() {
    let pair = Pair::start();
    pair.registered();
    let error = pair.order("www.sairaala.example").refused(1);
    assert!(error.contains("rejectedIdentifier") && error.contains("www.sairaala.example"), "{error}");
    assert_eq!(pair.run(&["list"]).done(), "");
    let error = pair.run(&["renew", "www.sairaala.example", "--http", &pair.http]).refused(1);
    assert!(error.contains("there is no certificate \"www.sairaala.example\""), "{error}");
}

#[test]
fn a_proof_that_cannot_be_given_fails_with_the_reason() {
    let pair = Pair::start();
    pair.registered();
    let taken = TcpListener::bind(&pair.http).unwrap();
    let error = pair.order(NAME).refused(1);
    assert!(error.contains(&format!("cannot listen on {} for http-01", pair.http)), "{error}");
    drop(taken);
    // It listens where the server does not ask.
    let error = pair.run(&["obtain", "-d", NAME, "--http", "127.0.0.1:0"]).refused(6);
    assert!(error.contains(&format!("the authorization of {NAME} failed: ")), "{error}");
    assert!(error.contains("connection: ") && error.contains(&pair.http), "{error}");
}

#[test]
fn a_command_line_that_is_wrong_exits_with_2() {
    let (_place, directory) = place();
    let run = |arguments: &[&str]| Said::by(Command::new(SOTE_CLIENT).arg("--dir").arg(&directory).args(arguments));
    assert!(run(&["obtain"]).refused(2).contains("--domain"));
    assert!(run(&["revoke", "a.test", "--reason", "many"]).refused(2).contains("--reason"));
    assert!(run(&["fetch"]).refused(2).contains("fetch"));
    assert!(!directory.exists());
}

#[test]
fn the_demo_holds_all_that_it_promises() {
    let place = tempfile::tempdir().unwrap();
    let said = Said::by(Command::new(SOTE_ACME).arg("demo").env("TMPDIR", place.path())).done();
    assert!(said.contains("All of it held, in "), "{said}");
    let proved =
        ["answer with a token, got over mutual TLS", "administrator of Tuulikellon", "invite a technical contact"];
    let issued = ["prove the name by http-01", "revoke the certificate", "revoked since", "CRL number 2"];
    for part in proved.iter().chain(&issued) {
        assert!(said.contains(part), "{part} in {said}");
    }
    let directory = fs::read_dir(place.path()).unwrap().next().unwrap().unwrap().path();
    let certificates = directory.join("client/certificates").join(NAME).join("current");
    verified_by_webpki(&directory.join("ca/certificates/trial-root.pem"), &certificates.join("fullchain.pem"), NAME);
}

/// The example names files of the machine that it was written for: all that is wrong with it elsewhere is that they are missing.
#[test]
fn the_example_configuration_lacks_only_the_files_of_its_machine() {
    let file = "config/sote-acme.toml";
    let mut command = Command::new(SOTE_ACME);
    let said = Said::by(command.args(["check-config", file]).current_dir(env!("CARGO_MANIFEST_DIR")));
    let error = said.refused(1);
    for line in error.lines().filter(|line| !line.contains("faults found")) {
        assert!(line.starts_with(&format!("{file}: ")), "{line}");
        let missing = ["does not exist", "No such file", "there is no such", "sote-acme init"]
            .iter()
            .any(|part| line.contains(part));
        assert!(missing, "{line}");
    }
}
