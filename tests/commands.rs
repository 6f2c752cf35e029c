//! The program as operators and officers call it: what each command prints, and its exit status.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sote_acme::commands::hierarchy::create_tls;
use sote_acme::signer::NewKey;
use sote_acme::time::{Clock as _, SystemClock};
use sote_acme::x509::AlternativeName;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sote-acme");
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config");

/// What a finished command said.
struct Said {
    status: i32,
    out: String,
    error: String,
}

fn run(directory: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .current_dir(directory)
        .env_remove("SOTE_ACME_ADMIN_SOCKET")
        .output()
        .expect("the program starts");
    Said {
        status: output.status.code().expect("it was not killed"),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

#[track_caller]
fn done(directory: &Path, arguments: &[&str]) -> String {
    let said = run(directory, arguments);
    assert_eq!(said.status, 0, "{arguments:?}: {}{}", said.out, said.error);
    said.out
}

#[track_caller]
fn refused(directory: &Path, arguments: &[&str], status: i32) -> String {
    let said = run(directory, arguments);
    assert_eq!(said.status, status, "{arguments:?}: {}{}", said.out, said.error);
    said.error
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
        let child = Command::new(PROGRAM)
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
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not stop");
    }
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
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
    for key in ["state: ", "tls: ", "roots[0]: ", "roots[1]: ", "issuers[0]: ", "invitation_keys: "] {
        let lines = said.error.lines().filter(|line| line.starts_with(&format!("sote-acme.toml: {key}")));
        assert_eq!(lines.count(), 1, "{key} in {}", said.error);
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
    let register = path.join("register.csv");
    let mut file = fs::File::create(&register).unwrap();
    file.write_all(&fs::read(Path::new(CONFIG).join("sample-register.csv")).unwrap()).unwrap();
    writeln!(file, "1.2.246.1.1,1.2.246.9.9,,Orpo yksikkö,,,,,,,").unwrap();
    let said = run(path, &["register", "import", "register.csv", "--socket", "admin.sock"]);
    assert_eq!(said.status, 3, "{}{}", said.out, said.error);
    assert!(said.out.contains("15 rows are added") && said.out.contains("1 refused"), "{}", said.out);
    assert!(said.error.contains("line 17: ") && said.error.contains("1.2.246.9.9"), "{}", said.error);

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

/// The values of a trial server's `dev.env`.
fn environment(directory: &Path) -> std::collections::BTreeMap<String, String> {
    let text = fs::read_to_string(directory.join("dev.env")).unwrap();
    text.lines().map(|line| line.split_once('=').unwrap()).map(|(name, value)| (name.into(), value.into())).collect()
}

fn trial(directory: &Path, arguments: &[&str]) -> Process {
    let free = ["--listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"];
    let process = Process::start(directory, &[&["dev", "--dir", "trial"], &free[..], arguments].concat(), "log");
    eventually("the trial server is ready", || directory.join("trial/dev.env").exists());
    process
}

#[test]
fn a_trial_server_says_where_it_is_and_is_found_again_at_its_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let first = trial(path, &["--public-listen", "127.0.0.1:0"]);
    let known = environment(&path.join("trial"));
    for name in [
        "SOTE_ACME_DIRECTORY",
        "SOTE_ACME_ORGANISATION_DIRECTORY",
        "SOTE_ACME_TLS_ROOT",
        "SOTE_ACME_ISSUER_ROOT",
        "SOTE_ACME_ALT_ROOT",
        "SOTE_ACME_TEST_ISSUER_ROOT",
        "SOTE_ACME_EAB_KID",
        "SOTE_ACME_EAB_HMAC_KEY",
        "SOTE_ACME_ADMIN_SOCKET",
        "SOTE_ACME_PID",
    ] {
        assert!(known.get(name).is_some_and(|value| !value.is_empty()), "{name} in {known:?}");
    }
    assert_eq!(known["SOTE_ACME_PID"], first.0.id().to_string());
    for file in ["SOTE_ACME_TLS_ROOT", "SOTE_ACME_ISSUER_ROOT", "SOTE_ACME_ALT_ROOT"] {
        assert!(fs::read_to_string(PathBuf::from(&known[file])).unwrap().contains("BEGIN CERTIFICATE"), "{file}");
    }
    let error = refused(path, &["dev", "--dir", "trial", "--listen", "127.0.0.1:0"], 1);
    assert!(error.contains("running") && error.contains("--dir"), "{error}");
    assert_eq!(first.stopped(), Some(0));
    assert!(!path.join("trial/dev.env").exists(), "whoever finds dev.env takes the server for running");

    let error = refused(
        path,
        &[
            "dev",
            "--dir",
            "trial",
            "--listen",
            "127.0.0.1:0",
            "--public-listen",
            "127.0.0.1:1",
            "--dns-listen",
            "127.0.0.1:0",
        ],
        1,
    );
    let address = known["SOTE_ACME_PUBLIC_URL"].trim_start_matches("http://").to_owned();
    assert!(error.contains(&format!("--public-listen {address}")), "{error}");

    let second = trial(path, &["--public-listen", &address]);
    let again = environment(&path.join("trial"));
    for name in ["SOTE_ACME_EAB_KID", "SOTE_ACME_EAB_HMAC_KEY", "SOTE_ACME_PUBLIC_URL", "SOTE_ACME_ISSUER_ROOT"] {
        assert_eq!(again[name], known[name], "{name}");
    }
    // Both officers of a trial are whoever started it, each by a socket.
    let status = |socket: &str| done(path, &["status", "--socket", &format!("trial/{socket}")]);
    assert!(status("admin.sock").contains("officer-1") && status("officer-2.sock").contains("officer-2"));
    assert_eq!(second.stopped(), Some(0));
}
