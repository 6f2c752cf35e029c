//! `sote-client` for an organisation's people, as a process against `sote-acme dev`: proofs that take their time, invitations,
//! members, certificates and revocation by serial number, several organisations in one directory, JSON and exit statuses.

mod processes;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use processes::{Dev, SOTE_ACME, SOTE_CLIENT, Said, place};
use serde_json::Value;
use sote_acme::names::SerialNumber;
use tempfile::TempDir;

const ORGANISATION: &str = "9990001-6";
const UNIT: &str = "1.2.246.10.99900016.10.1";

/// A server, and one directory for the clients of it.
struct World {
    dev: Dev,
    directory: PathBuf,
    http: String,
    _place: TempDir,
}

impl World {
    fn start() -> Self {
        let (place, directory) = place();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dev = Dev::start(&directory, &["--http-01-port", &port.to_string()]);
        World { dev, directory: place.path().join("client"), http: format!("127.0.0.1:{port}"), _place: place }
    }

    /// `sote-client` as the one that is kept by this name.
    fn client(&self, name: &str, arguments: &[&str]) -> Said {
        let mut command = Command::new(SOTE_CLIENT);
        Said::by(command.arg("--dir").arg(&self.directory).args(["--organisation", name]).args(arguments))
    }

    /// The document that a success prints.
    #[track_caller]
    fn shown(&self, name: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.client(name, &[arguments, &["--json"]].concat()).done()).unwrap()
    }

    /// What an officer does.
    fn officer(&self, arguments: &[&str]) -> Value {
        let socket = self.dev.value("SOTE_ACME_ADMIN_SOCKET");
        let mut command = Command::new(SOTE_ACME);
        let said = Said::by(command.args(arguments).args(["--json", "--socket", socket]));
        serde_json::from_str(&said.done()).unwrap()
    }

    /// A new account at a directory, by an invitation if there is one.
    fn register(&self, name: &str, directory: &str, invitation: Option<(&str, &str)>) -> Said {
        let mut arguments = vec!["account", "new", "--server", self.dev.value(directory), "--agree-tos"];
        arguments.extend(["--tls-root", self.dev.value("SOTE_ACME_TLS_ROOT")]);
        let file = self.directory.with_file_name(format!("{name}.hmac"));
        let file = file.to_str().unwrap();
        if let Some((kid, key)) = invitation {
            fs::write(file, key).unwrap();
            arguments.extend(["--eab-kid", kid, "--eab-hmac-key-file", file]);
        }
        self.client(name, &arguments)
    }

    /// An account by the credentials that an invitation showed.
    fn join(&self, name: &str, invitation: &Value) -> Said {
        let credentials = &invitation["externalAccountBinding"];
        let text = |name: &str| credentials[name].as_str().unwrap();
        self.register(name, "SOTE_ACME_DIRECTORY", Some((text("kid"), text("hmacKey"))))
    }

    /// The administrator, whom an officer invited.
    fn administrator(&self) {
        let made =
            self.officer(&["invitation", "create", ORGANISATION, "--role", "administrator", "--also-unit", UNIT]);
        let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let (kid, key) = (text("kid"), text("hmac_key"));
        self.register("admin", "SOTE_ACME_ORGANISATION_DIRECTORY", Some((&kid, &key))).done();
    }

    fn invite(&self, further: &[&str]) -> Value {
        self.shown("admin", &[&["invite", "--unit", UNIT, "--zone", "test"], further].concat())
    }
}

fn end(url: &Value) -> &str {
    url.as_str().unwrap().rsplit('/').next().unwrap()
}

#[test]
fn an_application_waits_for_officers_and_is_found_again() {
    let world = World::start();
    world.register("kela", "SOTE_ACME_ORGANISATION_DIRECTORY", None).done();
    let error = world.client("kela", &["organisation", "verify"]).refused(1);
    assert!(error.contains("no proof was begun"), "{error}");
    let error = world.client("kela", &["organisation", "show"]).refused(1);
    assert!(error.contains("organisation verify"), "{error}");

    let document = world.directory.with_file_name("extract.pdf");
    fs::write(&document, "trade register").unwrap();
    let applied = world.client(
        "kela",
        &[
            &["organisation", "verify", "0246246-0", "--approval", "--name", "Aino Esimerkki"],
            &["--email", "aino@kela.example.fi", "--phone", "+358 9 000 0000"][..],
            &["--justification", "I lead the department", "--document", document.to_str().unwrap()],
        ]
        .concat(),
    );
    assert_eq!(applied.status, 5, "{}{}", applied.out, applied.error);
    let reference = applied.out.lines().find_map(|line| line.strip_prefix("reference")).unwrap().trim().to_owned();
    assert!(applied.out.contains("received done; underReview underway"), "{}", applied.out);
    // Another run, another process: the same proof, without saying which.
    let again = world.client("kela", &["organisation", "verify", "--json"]);
    assert_eq!(again.status, 5, "{}", again.error);
    let document: Value = serde_json::from_str(&again.out).unwrap();
    let challenges = document["authorization"]["challenges"].as_array().unwrap();
    let challenge = challenges.iter().find(|challenge| challenge["type"] == "org-approval-01").unwrap();
    assert_eq!(challenge["reference"], reference.as_str());
    assert_eq!(challenge["status"], "processing");
    assert!(again.error.contains(&reference), "what is waited for is told on standard error: {}", again.error);
    // It can be waited for, but not for ever.
    assert_eq!(world.client("kela", &["organisation", "verify", "--wait", "1s"]).status, 5);
}

#[test]
fn an_administrator_invites_admits_changes_and_removes_members() {
    let world = World::start();
    world.administrator();
    let shown = world.client("admin", &["organisation", "show"]).done();
    for part in ["NTRFI-9990001-6", "Esimerkin hyvinvointialue / Exempels", "administrator", UNIT] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let said = world.client("admin", &["invite", "--unit", UNIT, "--zone", "test", "--contact", "it@a.test"]).done();
    assert!(said.contains("shown this once") && said.contains("certbot register --server"), "{said}");
    let listed = world.client("admin", &["invitations"]).done();
    assert!(listed.contains("mailto:it@a.test") && !said.contains(&listed), "{listed}");

    let invitation = world.invite(&["--uses", "2", "--require-confirmation"]);
    assert_eq!(invitation["maxUses"], 2);
    world.join("pekka", &invitation).done();
    let members = world.shown("admin", &["members"]);
    let pekka = members["members"].as_array().unwrap().iter().find(|member| member["status"] == "pending").unwrap();
    let own = world.shown("pekka", &["account", "show"]);
    assert_eq!(pekka["thumbprint"], own["thumbprint"], "by this it is known who waits");
    let name = end(&pekka["url"]);
    let error = world.client("pekka", &["obtain", "-d", "www.test", "--http", &world.http]).refused(1);
    assert!(error.contains("unauthorized"), "{error}");
    assert_eq!(world.shown("admin", &["members", "admit", name])["status"], "valid");
    assert_eq!(world.shown("admin", &["members", "role", name, "auditor"])["role"], "auditor");
    let error = world.client("pekka", &["invite"]).refused(1);
    assert!(error.contains("unauthorized") && error.contains("administrator"), "{error}");

    let preview = world.shown("admin", &["members", "remove", name, "--dry-run"]);
    assert_eq!(end(&preview["stopped"][0]), name);
    // Nobody is there to be asked.
    let error = world.client("admin", &["members", "remove", name]).refused(1);
    assert!(error.contains("add --yes"), "{error}");
    let removed = world.shown("admin", &["members", "remove", name, "--yes", "--reason", "left"]);
    assert_eq!(removed["status"], "removed");
    let error = world.client("admin", &["members", "show", "nobody"]).refused(1);
    assert!(error.contains("no member \"nobody\""), "{error}");

    let name = end(&invitation["url"]);
    let revoked = world.shown("admin", &["invitations", "revoke", name, "--yes", "--reason", "enough"]);
    assert_eq!((&revoked["status"], &revoked["reason"]), (&"revoked".into(), &"enough".into()));
    let error = world.join("late", &invitation).refused(1);
    assert!(error.contains("unauthorized"), "{error}");
    let events = world.shown("admin", &["organisation", "events"]);
    assert!(events["events"].as_array().unwrap().len() > 3, "{events}");
    world.client("admin", &["organisation", "agree-tos"]).done();
    let terms = &world.shown("admin", &["organisation", "show"])["termsOfService"];
    assert_eq!(terms["agreed"], terms["version"]);
}

#[test]
fn a_certificate_is_found_by_its_serial_number_in_both_forms_and_revoked() {
    let world = World::start();
    world.administrator();
    world.join("pekka", &world.invite(&[])).done();
    let mut serials = Vec::new();
    for name in ["one.test", "two.test"] {
        let obtained = world.client("pekka", &["obtain", "-d", name, "--http", &world.http, "--json"]);
        assert!(obtained.error.contains(&format!("{name}: order https://")), "{}", obtained.error);
        let obtained: Value = serde_json::from_str(&obtained.done()).unwrap();
        serials.push(obtained["serial"].as_str().unwrap().to_owned());
    }
    let orders = world.client("admin", &["orders", "--status", "valid"]).done();
    assert!(orders.contains("valid (issued done)") && orders.lines().count() == 3, "{orders}");
    let listed = |filter: &[&str]| {
        let listed = world.shown("admin", &[&["certificates", "list"], filter].concat());
        listed["certificates"].as_array().unwrap().len()
    };
    assert_eq!(listed(&[]), 2);
    assert_eq!(listed(&["--status", "valid", "--unit", UNIT, "--profile", "sote-server"]), 2);
    assert_eq!(listed(&["--expires-before", "2020-01-01T00:00:00Z"]), 0);
    assert_eq!(listed(&["--serial", &serials[0]]), 1);

    let decimal = decimal(&serials[0].parse().unwrap());
    let shown = world.client("admin", &["certificates", "show", &decimal]).done();
    for part in [serials[0].as_str(), "O=Esimerkin hyvinvointialue", "one.test", "until"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let error = world.client("admin", &["revoke", "--serial", &decimal]).refused(1);
    assert!(error.contains("no way back") && error.contains("one.test") && error.contains("add --yes"), "{error}");
    let revoke = ["revoke", "--serial", &decimal, "--reason", "5", "--comment", "scrapped", "--yes"];
    let revoked = world.shown("admin", &revoke);
    assert_eq!((&revoked["status"], &revoked["reason"]), (&"completed".into(), &5.into()));
    assert!(revoked["crlNumber"].as_u64().unwrap() > 1, "{revoked}");
    assert_eq!(listed(&["--status", "revoked"]), 1);
    let root = world.dev.value("SOTE_ACME_ISSUER_ROOT").to_owned();
    world.client("pekka", &["verify", "one.test", "--issuer-root", &root]).refused(8);
    world.client("pekka", &["verify", "two.test", "--issuer-root", &root]).done();

    let failed = world.client("admin", &[&revoke[..], &["--json"]].concat());
    let failure: Value = serde_json::from_str(&failed.out).unwrap();
    assert_eq!((failed.status, &failure["error"]["kind"]), (1, &"refused".into()), "{failure}");
    assert_eq!(failure["error"]["type"], "urn:ietf:params:acme:error:alreadyRevoked");
    let error = world.client("admin", &["revoke", "--serial", "0BAD", "--yes"]).refused(1);
    assert!(error.contains("no certificate with the serial number 0BAD"), "{error}");
}

#[test]
fn organisations_are_kept_apart_in_one_directory() {
    let world = World::start();
    let none = Said::by(Command::new(SOTE_CLIENT).arg("--dir").arg(&world.directory).arg("organisations"));
    assert_eq!(none.done().trim(), "none");
    for name in ["kela", "eks"] {
        world.register(name, "SOTE_ACME_ORGANISATION_DIRECTORY", None).done();
    }
    let urls: Vec<_> = ["kela", "eks"].map(|name| world.shown(name, &["account", "show"])["url"].clone()).into();
    assert_ne!(urls[0], urls[1]);
    let mut command = Command::new(SOTE_CLIENT);
    let listed = Said::by(command.arg("--dir").arg(&world.directory).args(["organisations", "--json"])).done();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let named =
        |index: usize| (listed["organisations"][index]["name"].as_str(), &listed["organisations"][index]["account"]);
    assert_eq!((named(0), named(1)), ((Some("eks"), &urls[1]), (Some("kela"), &urls[0])));
    let error = world.client("../x", &["account", "show"]).refused(1);
    assert!(error.contains("cannot name an organisation"), "{error}");
    let error = world.client("other", &["account", "show"]).refused(1);
    assert!(error.contains("no account yet"), "{error}");
}

/// The decimal digits of a serial number.
fn decimal(serial: &SerialNumber) -> String {
    let mut digits = vec![0u8];
    for octet in serial.as_bytes() {
        let mut carry = u32::from(*octet);
        for digit in digits.iter_mut().rev() {
            let value = u32::from(*digit) * 256 + carry;
            (*digit, carry) = ((value % 10) as u8, value / 10);
        }
        while carry > 0 {
            digits.insert(0, (carry % 10) as u8);
            carry /= 10;
        }
    }
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}
