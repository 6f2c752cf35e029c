//! The program as operators and officers call it: what each command prints, and its exit status.

mod processes;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use processes::{SOTE_ACME, Said, eventually};
use sote_acme::commands::hierarchy::create_tls;
use sote_acme::signer::NewKey;
use sote_acme::time::{Clock as _, SystemClock};
use sote_acme::x509::AlternativeName;
use tempfile::TempDir;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config");

fn run(directory: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(SOTE_ACME);
    Said::by(command.args(arguments).current_dir(directory).env_remove("SOTE_ACME_ADMIN_SOCKET"))
}

#[track_caller]
fn done(directory: &Path, arguments: &[&str]) -> String {
    run(directory, arguments).done()
}

#[track_caller]
fn refused(directory: &Path, arguments: &[&str], status: i32) -> String {
    run(directory, arguments).refused(status)
}

/// A server process, ended with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn start(directory: &Path, arguments: &[&str], log: &str) -> Self {
        let log = fs::File::create(directory.join(log)).unwrap();
        let child = Command::new(SOTE_ACME)
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Process(child)
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Stops it as a service manager does; its exit status.
    fn stopped(mut self) -> Option<i32> {
        self.signal("-TERM");
        let mut ended = None;
        eventually("the server stops", || {
            ended = self.0.try_wait().unwrap();
            ended.is_some()
        });
        ended.and_then(|status| status.code())
    }
}

/// A directory with a configuration on free ports, whose officers are whoever runs the test, and a TLS certificate.
fn configured() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let uid = fs::metadata(directory.path()).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).unwrap();
    let example = fs::read_to_string(Path::new(CONFIG).join("sote-acme.toml")).unwrap();
    let config = example
        .replace("/var/lib/sote-acme", "state")
        .replace("/run/sote-acme/admin.sock", "admin.sock")
        .replace("https://acme.sote.example.fi", "https://localhost:24000")
        .replace("0.0.0.0:443", "127.0.0.1:0")
        .replace("0.0.0.0:80", "127.0.0.1:0")
        .replace("tls/acme.pem", "certificates/tls.pem")
        .replace("tls/acme.key", "keys/tls.key")
        .replace("uid = 2001", &format!("uid = {uid}"))
        .replace("#level = \"info\"", "level = \"info\"");
    fs::write(directory.path().join("sote-acme.toml"), config).unwrap();
    fs::create_dir(directory.path().join("profiles")).unwrap();
    fs::copy(Path::new(CONFIG).join("profiles/sote-server.toml"), directory.path().join("profiles/sote-server.toml"))
        .unwrap();
    directory
}

fn with_tls(directory: &Path) {
    let names = vec![AlternativeName::MalformedDns("localhost".to_owned())];
    create_tls(directory, NewKey::P256, names, SystemClock.now()).unwrap();
}

fn initialised() -> TempDir {
    let directory = configured();
    with_tls(directory.path());
    done(directory.path(), &["init", "--config", "sote-acme.toml", "--software-keys", "--key-type", "p256"]);
    directory
}

fn serving(directory: &Path) -> Process {
    let process = Process::start(directory, &["serve", "--config", "sote-acme.toml"], "log");
    eventually("the server is ready", || run(directory, &["status", "--config", "sote-acme.toml"]).status == 0);
    process
}

#[test]
fn check_config_tells_every_fault_with_its_key_and_init_makes_what_was_missing() {
    let directory = configured();
    let path = directory.path();
    let said = run(path, &["check-config", "sote-acme.toml"]);
    assert_eq!(said.status, 1);
    // A root has a certificate and a CRL; an issuer two chains, a key, and its responder's certificate and key.
    let faults =
        [("state", 1), ("tls", 1), ("roots[0]", 2), ("roots[1]", 2), ("issuers[0]", 5), ("invitation_keys", 1)];
    for (key, count) in faults {
        let lines = said.error.lines().filter(|line| line.starts_with(&format!("sote-acme.toml: {key}: ")));
        assert_eq!(lines.count(), count, "{key} in {}", said.error);
    }
    with_tls(path);
    let out = done(path, &["init", "--config", "sote-acme.toml", "--software-keys"]);
    assert!(out.contains("made ./keys/sote-1.key") && out.contains("keys/invitation-k1.key"), "{out}");
    let plan = done(path, &["check-config", "sote-acme.toml"]);
    for part in
        ["format 1", "not in use", "sote-1: C=FI", "alternate chains: 1", "CRL until", "the configuration is sound"]
    {
        assert!(plan.contains(part), "{part} in {plan}");
    }
}

#[test]
fn init_changes_nothing_that_is_there_and_serve_makes_nothing() {
    let directory = initialised();
    let key = fs::read(directory.path().join("keys/sote-1.key")).unwrap();
    let error = refused(directory.path(), &["init", "--config", "sote-acme.toml", "--software-keys"], 1);
    assert!(error.contains("holds a store already"), "{error}");
    assert_eq!(fs::read(directory.path().join("keys/sote-1.key")).unwrap(), key);

    let bare = configured();
    let error = refused(bare.path(), &["serve", "--config", "sote-acme.toml"], 1);
    assert!(error.contains("sote-acme init"), "{error}");
    assert!(!bare.path().join("state").exists() && !bare.path().join("keys").exists());
}

#[test]
fn a_wrong_configuration_is_one_line_per_fault_and_nothing_starts() {
    let directory = configured();
    let file = directory.path().join("sote-acme.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("public_url =", "public_ulr =").replace("#order = \"7d\"", "order = \"7 days\"");
    fs::write(&file, text).unwrap();
    let error = refused(directory.path(), &["serve", "--config", "sote-acme.toml"], 1);
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(error.contains("public_ulr: unknown key; the nearest known key is \"public_url\""), "{error}");
    assert!(error.contains("lifetimes.order: \"7 days\" is not a duration"), "{error}");
}

#[test]
fn officers_administer_a_running_server_over_its_socket() {
    let directory = initialised();
    let path = directory.path();
    let server = serving(path);
    let administer = |words: &[&str]| done(path, &[words, &["--socket", "admin.sock"]].concat());

    assert!(administer(&["status"]).contains("you are Maija Meikäläinen, registration-officer"));
    let sample = |name: &str| Path::new(CONFIG).join(name).to_str().unwrap().to_owned();
    for (source, name, units) in [
        ("thl", "sample-register.xml", 16),
        ("pharmacy", "sample-pharmacies.csv", 4),
        ("practitioner", "sample-practitioners.xml", 3),
    ] {
        let said = administer(&["register", "import", "--source", source, &sample(name)]);
        assert!(said.contains(&format!("{units} units are added")) && said.contains("0 refused"), "{said}");
        let again = administer(&["register", "import", "--source", source, &sample(name)]);
        assert!(again.contains(&format!("0 changed, 0 ended, {units} unchanged")), "{again}");
    }
    let header = "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to";
    let rows = "1.2.246.1.1,1.2.246.9.9,,Orpo yksikkö,,,,,,,\n1.2.246.1.2,,,Kelpo yksikkö,,,,,,,\n";
    fs::write(path.join("register.csv"), format!("{header}\n{rows}")).unwrap();
    let said = run(path, &["register", "import", "register.csv", "--socket", "admin.sock"]);
    assert_eq!(said.status, 3, "{}{}", said.out, said.error);
    assert!(said.out.contains("1 units are added") && said.out.contains("1 refused"), "{}", said.out);
    assert!(said.error.contains("row 2: ") && said.error.contains("1.2.246.9.9"), "{}", said.error);
    let other =
        ["register", "import", "--source", "pharmacy", &sample("sample-register.xml"), "--socket", "admin.sock"];
    assert!(refused(path, &other, 1).contains("is the register \"thl\""));
    for (what, found) in [
        ("9990002-4", "1.2.246.10.99900024.10.0"),
        ("ratina tuulik", "1.2.246.10.99900024.10.1"),
        ("1.2.246.537.6.40003.9004", "every state"),
    ] {
        let shown = administer(&["register", "show", what]);
        assert!(shown.contains(found), "{what}: {shown}");
    }
    let unconfigured = refused(path, &["register", "sync", "--socket", "admin.sock"], 1);
    assert!(unconfigured.contains("[register.sync]"), "{unconfigured}");

    let added = administer(&["organisation", "add", "9990002-4", "--zone", "tuulikello.example.fi"]);
    assert!(added.contains("profiles sote-server; zones tuulikello.example.fi"), "{added}");
    let again = refused(path, &["organisation", "add", "9990002-4", "--socket", "admin.sock"], 1);
    assert!(again.contains("is there already"), "{again}");
    let invited =
        administer(&["invitation", "create", "9990002-4", "--unit", "1.2.246.10.99900024.10.1", "--uses", "2"]);
    assert!(invited.contains("key id:   k1_") && invited.contains("HMAC key: "), "{invited}");
    let kid = invited.lines().next().unwrap().trim_start_matches("key id:").trim().to_owned();
    let foreign = ["invitation", "create", "9990002-4", "--unit", "1.2.246.10.99900016.10.1", "--socket", "admin.sock"];
    assert!(refused(path, &foreign, 1).contains("1.2.246.10.99900016.10.1"));
    assert!(administer(&["invitation", "revoke", &kid, "--reason", "lost"]).contains("revoked"));
    assert!(administer(&["invitation", "list", "9990002-4"]).contains("2 of 2"));

    administer(&["organisation", "suspend", "9990002-4", "--reason", "by request"]);
    assert!(administer(&["organisation", "list"]).contains("suspended"));
    administer(&["organisation", "resume", "9990002-4", "--reason", "by request"]);
    let list: serde_json::Value = serde_json::from_str(&administer(&["organisation", "list", "--json"])).unwrap();
    assert_eq!(list["organisations"][0]["business_id"], "9990002-4");
    assert_eq!(administer(&["certificate", "list"]).trim(), "none");
    assert!(administer(&["audit", "verify"]).contains("the audit trail is whole"));
    let entries = administer(&["audit", "list", "--from", "2", "--limit", "3"]);
    assert_eq!(entries.lines().count(), 3, "{entries}");
    assert!(entries.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(administer(&["clock", "accept"]).contains("the clock is sound"));
    assert_eq!(server.stopped(), Some(0));
}

#[test]
fn without_a_server_the_message_says_so_and_the_status_is_4() {
    let directory = initialised();
    for how in [&["--config", "sote-acme.toml"][..], &["--socket", "admin.sock"]] {
        let error = refused(directory.path(), &[&["organisation", "list"], how].concat(), 4);
        assert!(error.contains("no server runs") && error.contains("sote-acme serve"), "{error}");
    }
    let error = refused(directory.path(), &["organisation", "list"], 1);
    assert!(error.contains("--socket") && error.contains("SOTE_ACME_ADMIN_SOCKET"), "{error}");
    refused(directory.path(), &["organisation", "add", "1234567-8"], 2);
}

#[test]
fn two_servers_never_share_a_state_directory_and_check_config_tells_who_holds_it() {
    let directory = initialised();
    let server = serving(directory.path());
    let error = refused(directory.path(), &["serve", "--config", "sote-acme.toml"], 1);
    assert!(error.contains(&format!("process {}", server.0.id())), "{error}");
    let plan = done(directory.path(), &["check-config", "sote-acme.toml"]);
    assert!(plan.contains(&format!("held by process {}", server.0.id())), "{plan}");
    // The refused server left the running one's socket alone.
    done(directory.path(), &["status", "--config", "sote-acme.toml"]);
    assert_eq!(server.stopped(), Some(0));
    let plan = done(directory.path(), &["check-config", "sote-acme.toml"]);
    assert!(plan.contains("not in use"), "{plan}");
}

#[test]
fn a_hangup_reads_the_certificate_and_the_level_again_and_survives_what_is_wrong_with_them() {
    let directory = initialised();
    let path = directory.path();
    let server = serving(path);
    let log = |text: &str| fs::read_to_string(path.join("log")).unwrap().contains(text);
    server.signal("-HUP");
    eventually("the certificate is read again", || log("the certificate of the ACME listener was read again"));

    fs::write(path.join("certificates/tls.pem"), "nonsense").unwrap();
    let config = fs::read_to_string(path.join("sote-acme.toml")).unwrap();
    fs::write(path.join("sote-acme.toml"), config.replace("level = \"info\"", "level = \"error\"")).unwrap();
    server.signal("-HUP");
    eventually("the certificate stays", || log("the certificate of the ACME listener stays as it was"));
    done(path, &["status", "--socket", "admin.sock"]);
    assert_eq!(server.stopped(), Some(0));
}
