//! What a configuration means: which keys are missing, which values cannot be, which contradict each other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::proofs::people_faults;
use super::{
    CardHolder, Config, Fault, InvitationKeyFiles, Issuer, OfficerRole, OrganisationSettings, TlsFiles, Written,
};
use crate::acme::challenge_type::ChallengeType;
use crate::model::Profile;
use crate::public_key::KeyFamily;

/// Collects faults; a check goes on after one, so that all are told.
struct Checks<'a> {
    faults: Vec<Fault>,
    directory: &'a Path,
}

/// The configuration that `written` means, if it has no fault.
pub(super) fn checked(written: Written, directory: &Path) -> Result<Config, Vec<Fault>> {
    let mut checks = Checks { faults: Vec::new(), directory };
    let state = checks.needed("state", written.state, "the state directory, such as /var/lib/sote-acme");
    let state = checks.path(&state);
    let tls = checks.tls(written.tls);
    let config = Config {
        base_url: checks.url("base_url", written.base_url, "https://"),
        listen: checks.needed_or("listen", written.listen, "0.0.0.0:443"),
        public_url: checks.url("public_url", written.public_url, "http://"),
        public_listen: checks.needed_or("public_listen", written.public_listen, "0.0.0.0:80"),
        website: written.website,
        http: written.http,
        tls,
        admin_socket: written.admin_socket.map_or_else(|| state.join("admin.sock"), |path| checks.path(&path)),
        officers: written.officers,
        issuers: written.issuers.into_iter().map(|issuer| checks.issuer_paths(issuer)).collect(),
        roots: written.roots,
        profiles: written.profiles,
        invitation_keys: checks.invitation_keys(written.invitation_keys),
        terms: written.terms,
        validation: written.validation,
        lifetimes: written.lifetimes,
        attempts: written.attempts,
        store: written.store,
        work: written.work,
        log: written.log,
        organisation: written.organisation,
        register: written.register,
        state,
    };
    let config = checks.resolved(config);
    checks.issuers(&config);
    checks.profiles(&config);
    checks.officers(&config);
    checks.organisation(&config);
    checks.terms(&config);
    checks.times(&config);
    checks.sizes(&config);
    checks.faults.extend(config.http.faults());
    checks.faults.extend(config.register.faults());
    if checks.faults.is_empty() { Ok(config) } else { Err(checks.faults) }
}

impl Checks<'_> {
    fn fault(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.faults.push(Fault::of(key, why));
    }

    /// A fault unless `holds`.
    fn must(&mut self, holds: bool, key: impl Into<String>, why: impl Into<String>) {
        if !holds {
            self.fault(key, why);
        }
    }

    fn needed<T: Default>(&mut self, key: &str, value: Option<T>, what: &str) -> T {
        if value.is_none() {
            self.fault(key, format!("missing: {what}"));
        }
        value.unwrap_or_default()
    }

    fn needed_or(&mut self, key: &str, value: Option<std::net::SocketAddr>, example: &str) -> std::net::SocketAddr {
        value.unwrap_or_else(|| {
            self.fault(key, format!("missing: an address and port, such as \"{example}\""));
            std::net::SocketAddr::from(([0, 0, 0, 0], 0))
        })
    }

    fn path(&self, path: &Path) -> PathBuf {
        if path.as_os_str().is_empty() { PathBuf::new() } else { self.directory.join(path) }
    }

    fn url(&mut self, key: &str, value: Option<String>, scheme: &str) -> String {
        let Some(url) = value else {
            self.fault(key, format!("missing: a URL that begins with {scheme}"));
            return String::new();
        };
        if let Some(why) = url_fault(&url, scheme) {
            self.fault(key, format!("\"{url}\" {why}"));
        }
        url
    }

    fn tls(&mut self, tls: Option<TlsFiles>) -> TlsFiles {
        let tls = self.needed("tls", tls, "a table with certificate and key");
        TlsFiles { certificate: self.path(&tls.certificate), key: self.path(&tls.key) }
    }

    fn issuer_paths(&mut self, issuer: Issuer) -> Issuer {
        let mut issuer = issuer;
        let paths = [&mut issuer.certificate, &mut issuer.key, &mut issuer.ocsp.certificate, &mut issuer.ocsp.key];
        for path in paths.into_iter().chain(&mut issuer.alternates) {
            *path = self.path(path);
        }
        issuer
    }

    /// The configuration with the remaining paths made whole.
    fn resolved(&mut self, mut config: Config) -> Config {
        for (key, path) in [("tls.certificate", &config.tls.certificate), ("tls.key", &config.tls.key)] {
            if path.as_os_str().is_empty() && !self.faults.iter().any(|fault| fault.key == "tls") {
                self.faults.push(Fault::of(key, "missing: a PEM file"));
            }
        }
        for root in &mut config.roots {
            root.certificate = self.directory.join(&root.certificate);
            root.crl = self.directory.join(&root.crl);
        }
        config.organisation.token_authority.iter_mut().for_each(|authority| authority.resolve(self.directory));
        config.organisation.card_authority.iter_mut().for_each(|authority| authority.resolve(self.directory));
        if let Some(key) = &mut config.organisation.person_key {
            *key = self.directory.join(&key);
        }
        if let Some(root) = config.register.sync.as_mut().and_then(|sync| sync.root.as_mut()) {
            *root = self.directory.join(&root);
        }
        if let Some(text) = config.terms.as_mut().and_then(|terms| terms.text.as_mut()) {
            *text = self.directory.join(&text);
        }
        config
    }

    fn invitation_keys(&mut self, keys: Option<InvitationKeyFiles>) -> InvitationKeyFiles {
        let what = "a table with current, and files by generation, such as files = { k1 = \"/etc/sote-acme/k1.key\" }";
        let absent = keys.is_none();
        let mut keys = self.needed("invitation_keys", keys, what);
        let sound = |name: &str| {
            (1..=16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        for name in keys.files.keys().filter(|name| !sound(name)) {
            self.faults.push(Fault::of(
                format!("invitation_keys.files.{name}"),
                "a generation has 1 to 16 characters of a-z and 0-9",
            ));
        }
        if !absent && !keys.files.contains_key(&keys.current) {
            let why = format!("\"{}\" is none of the generations in invitation_keys.files", keys.current);
            self.fault("invitation_keys.current", why);
        }
        for path in keys.files.values_mut() {
            *path = self.directory.join(&path);
        }
        keys
    }

    fn issuers(&mut self, config: &Config) {
        self.must(!config.issuers.is_empty(), "issuers", "missing: at least one [[issuers]] table");
        let mut names = HashSet::new();
        for (index, issuer) in config.issuers.iter().enumerate() {
            let key = |name: &str| format!("issuers[{index}].{name}");
            self.must(names.insert(&issuer.name), key("name"), format!("\"{}\" stands there twice", issuer.name));
            let crl = &issuer.crl;
            self.must((1..=1024).contains(&crl.shards), key("crl.shards"), "must be between 1 and 1024");
            self.must(crl.interval >= MINUTE, key("crl.interval"), "must be at least 1m");
            let bounds = (10 * MINUTE)..=(370 * DAY);
            self.must(bounds.contains(&crl.validity), key("crl.validity"), "must be between 10m and 370d");
            self.must(
                crl.validity >= 2 * crl.interval,
                key("crl.validity"),
                "must be at least twice crl.interval, so that one failed publication leaves no CRL out of date",
            );
            let bounds = MINUTE..=(10 * DAY);
            self.must(bounds.contains(&issuer.ocsp.validity), key("ocsp.validity"), "must be between 1m and 10d");
        }
        for (index, root) in config.roots.iter().enumerate() {
            let key = format!("roots[{index}].name");
            self.must(names.insert(&root.name), key, format!("\"{}\" is an issuer's or another root's", root.name));
        }
    }

    fn profiles(&mut self, config: &Config) {
        self.must(
            !config.profiles.is_empty(),
            "profiles",
            "missing: at least one [[profiles]] table or a profile file",
        );
        let mut names = HashSet::new();
        for (index, profile) in config.profiles.iter().enumerate() {
            let key = |name: &str| format!("profiles[{index}].{name}");
            self.must(names.insert(&profile.name), key("name"), format!("\"{}\" stands there twice", profile.name));
            let known = config.issuers.iter().any(|issuer| issuer.name == profile.issuer);
            self.must(known, key("issuer"), format!("there is no issuer \"{}\"", profile.issuer));
            self.profile(profile, key);
        }
        for (index, name) in config.organisation.defaults.profiles.iter().enumerate() {
            let key = format!("organisation.defaults.profiles[{index}]");
            self.must(names.contains(name), key, format!("there is no profile \"{name}\""));
        }
    }

    fn profile(&mut self, profile: &Profile, key: impl Fn(&str) -> String) {
        // Two years is the most that the service allows.
        let ceiling = 1..=731;
        self.must(ceiling.contains(&profile.ceiling_days), key("ceiling_days"), "must be between 1 and 731");
        let usual = 1..=profile.ceiling_days.max(1);
        self.must(usual.contains(&profile.validity_days), key("validity_days"), "must be between 1 and ceiling_days");
        self.must((0..=86_400).contains(&profile.backdate), key("backdate"), "must be between 0 and 86400 seconds");
        self.must((1..=1000).contains(&profile.most_names), key("most_names"), "must be between 1 and 1000");
        let certified = |kind: &KeyFamily| matches!(kind, KeyFamily::P256 | KeyFamily::P384 | KeyFamily::Rsa);
        let sound = !profile.keys.is_empty() && profile.keys.iter().all(certified);
        self.must(sound, key("keys"), "must name at least one of \"P-256\", \"P-384\" and \"RSA\", and no other kind");
        let usages = &profile.extended_key_usage;
        self.must(
            !usages.is_empty(),
            key("extended_key_usage"),
            "must name at least one usage, such as \"serverAuth\"",
        );
        for (index, policy) in profile.policies.iter().enumerate() {
            let sound = const_oid::ObjectIdentifier::new(&policy.oid).is_ok();
            self.must(sound, key(&format!("policies[{index}].oid")), format!("\"{}\" is no OID", policy.oid));
            if let Some(why) = policy.cps.as_deref().and_then(web_url_fault) {
                self.fault(key(&format!("policies[{index}].cps")), why);
            }
        }
    }

    fn officers(&mut self, config: &Config) {
        let (mut uids, mut names) = (HashSet::new(), HashSet::new());
        for (index, officer) in config.officers.iter().enumerate() {
            let key = |name: &str| format!("officers[{index}].{name}");
            self.must(uids.insert(officer.uid), key("uid"), format!("{} stands there twice", officer.uid));
            self.must(names.insert(&officer.name), key("name"), format!("\"{}\" stands there twice", officer.name));
            let sound = (1..=64).contains(&officer.name.chars().count()) && !officer.name.chars().any(char::is_control);
            self.must(sound, key("name"), "must have 1 to 64 characters, no control characters");
        }
    }

    fn terms(&mut self, config: &Config) {
        if let Some(why) = config.website.as_deref().and_then(web_url_fault) {
            self.fault("website", why);
        }
        let Some(terms) = &config.terms else { return };
        self.must((1..=64).contains(&terms.version.len()), "terms.version", "must have 1 to 64 characters");
        let shown = terms.url.is_some() || terms.text.is_some();
        self.must(shown, "terms.url", "missing: either url or text tells where the terms are");
        if let Some(why) = terms.url.as_deref().and_then(web_url_fault) {
            self.fault("terms.url", why);
        }
    }

    fn organisation(&mut self, config: &Config) {
        let organisation = &config.organisation;
        self.must(!organisation.challenges.is_empty(), "organisation.challenges", "must name at least one challenge");
        for (index, challenge) in organisation.challenges.iter().enumerate() {
            let key = format!("organisation.challenges[{index}]");
            let label = challenge.label();
            let what = "is no challenge of organisations: tkauth-01, org-signature-01, org-approval-01";
            self.must(challenge.is_of_organisations(), &key, format!("\"{label}\" {what}"));
            let earlier = organisation.challenges.iter().take(index);
            self.must(
                !earlier.into_iter().any(|other| other == challenge),
                &key,
                format!("\"{label}\" stands there twice"),
            );
        }
        self.proofs(organisation);
        if let Some(why) = organisation.instructions.as_deref().and_then(web_url_fault) {
            self.fault("organisation.instructions", why);
        }
        for (key, value, least, most) in [
            ("verification_lifetime", organisation.verification_lifetime, MINUTE, 1_830 * DAY),
            ("approval_lifetime", organisation.approval_lifetime, MINUTE, 90 * DAY),
            ("evidence_lifetime", organisation.evidence_lifetime, MINUTE, 36_500 * DAY),
        ] {
            self.between(format!("organisation.{key}"), value, least, most);
        }
        let officers =
            config.officers.iter().filter(|officer| officer.role == OfficerRole::RegistrationOfficer).count();
        let decides = organisation.challenges.contains(&ChallengeType::OrgApproval01);
        let enough = !(decides && organisation.two_officers && officers == 1);
        let why = "two registration officers are needed, and [[officers]] names one: add another, or set this to false";
        self.must(enough, "organisation.two_officers", why);
    }

    /// The authorities whose evidence is believed, and the challenges that need them.
    fn proofs(&mut self, organisation: &OrganisationSettings) {
        for (index, authority) in organisation.token_authority.iter().enumerate() {
            self.faults.extend(authority.faults(&format!("organisation.token_authority[{index}]")));
        }
        for (index, authority) in organisation.card_authority.iter().enumerate() {
            self.faults.extend(authority.faults(&format!("organisation.card_authority[{index}]")));
        }
        self.faults.extend(people_faults(&organisation.card_authority));
        let offered = |challenge| organisation.challenges.contains(&challenge);
        let tokens = !offered(ChallengeType::Tkauth01) || !organisation.token_authority.is_empty();
        let why = "missing: at least one, since organisation.challenges offers tkauth-01";
        self.must(tokens, "organisation.token_authority", why);
        let cards = !offered(ChallengeType::OrgSignature01) || !organisation.card_authority.is_empty();
        let why = "missing: at least one, since organisation.challenges offers org-signature-01";
        self.must(cards, "organisation.card_authority", why);
        let mut people = organisation.card_authority.iter().map(|authority| authority.kind);
        let keyed = organisation.person_key.is_some() || !people.any(|kind| kind == CardHolder::Professional);
        let why = "missing: cards of professionals need the key under which their holders' numbers are hashed";
        self.must(keyed, "organisation.person_key", why);
        let bounds = (1 << 10)..=(128 << 20);
        self.must(bounds.contains(&organisation.crl_size), "organisation.crl_size", "must be between 1KiB and 128MiB");
    }

    fn times(&mut self, config: &Config) {
        let (lifetimes, attempts) = (&config.lifetimes, &config.attempts);
        for (key, value, least, most) in [
            ("order", lifetimes.order, 10 * MINUTE, 90 * DAY),
            ("pending_authorization", lifetimes.pending_authorization, 10 * MINUTE, 90 * DAY),
            ("valid_authorization", lifetimes.valid_authorization, MINUTE, 398 * DAY),
            ("caa", lifetimes.caa, Duration::from_secs(1), 8 * HOUR),
            ("retention", lifetimes.retention, MINUTE, 3_660 * DAY),
            ("strangers", lifetimes.strangers, HOUR, 3_660 * DAY),
            ("prepared", lifetimes.prepared, MINUTE, DAY),
            ("stop", lifetimes.stop, Duration::from_secs(1), 10 * MINUTE),
            ("renewal_check", lifetimes.renewal_check, MINUTE, 7 * DAY),
        ] {
            self.between(format!("lifetimes.{key}"), value, least, most);
        }
        self.must((1..=20).contains(&attempts.most), "attempts.most", "must be between 1 and 20");
        self.between("attempts.first_pause".into(), attempts.first_pause, Duration::from_secs(1), HOUR);
        self.between("attempts.longest_pause".into(), attempts.longest_pause, attempts.first_pause, 2 * HOUR);
        self.between("attempts.within".into(), attempts.within, Duration::ZERO, DAY);
        let validation = &config.validation;
        self.between("validation.dns_timeout".into(), validation.dns_timeout, Duration::from_millis(10), MINUTE);
        self.between(
            "validation.attempt_timeout".into(),
            validation.attempt_timeout,
            Duration::from_millis(100),
            MINUTE,
        );
        let longest = validation.attempt_timeout;
        self.between(
            "validation.connect_timeout".into(),
            validation.connect_timeout,
            Duration::from_millis(10),
            longest,
        );
        self.must((1..=10).contains(&validation.dns_attempts), "validation.dns_attempts", "must be between 1 and 10");
        self.between("store.seal_audit_after".into(), config.store.seal_audit_after, HOUR, 36_500 * DAY);
        let signing = config.work.signing_timeout;
        self.between("work.signing_timeout".into(), signing, Duration::from_millis(100), 10 * MINUTE);
    }

    fn between(&mut self, key: String, value: Duration, least: Duration, most: Duration) {
        let text = crate::names::quantity::duration::text;
        if !(least..=most).contains(&value) {
            self.fault(key, format!("{} is not between {} and {}", text(value), text(least), text(most)));
        }
    }

    fn sizes(&mut self, config: &Config) {
        let (store, work) = (&config.store, &config.work);
        self.must((1 << 20..=1 << 40).contains(&store.cache), "store.cache", "must be between 1MiB and 1024GiB");
        self.must(store.reserve >= 1 << 20, "store.reserve", "must be at least 1MiB");
        for (key, value, most) in [
            ("validations", work.validations, 10_000),
            ("issuances", work.issuances, 10_000),
            ("signing_threads", work.signing_threads, 1_000),
            ("signing_queue", work.signing_queue, 1_000_000),
            ("ocsp_signatures", work.ocsp_signatures as usize, 1_000_000),
        ] {
            self.must((1..=most).contains(&value), format!("work.{key}"), format!("must be between 1 and {most}"));
        }
        for (index, identity) in config.validation.caa_identities.iter().enumerate() {
            let sound = identity.parse::<crate::names::DnsName>().is_ok();
            let key = format!("validation.caa_identities[{index}]");
            self.must(sound, key, format!("\"{identity}\" is no dns name"));
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// What is wrong with the base of our own URLs.
fn url_fault(url: &str, scheme: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix(scheme) else {
        return Some(if scheme == "https://" {
            "must begin with https://"
        } else {
            "must begin with http://: relying services fetch CRLs and OCSP answers without TLS (RFC 5280 §8)"
        });
    };
    let sound = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]".contains(c);
    if rest.is_empty() || rest.starts_with('/') || !rest.chars().all(sound) {
        return Some("must be scheme, host, port and path only: no query, no fragment, no spaces");
    }
    rest.ends_with('/').then_some("must not end with a slash")
}

/// What is wrong with a URL that is only shown.
fn web_url_fault(url: &str) -> Option<String> {
    let sound = (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= 2_048
        && url.bytes().all(|octet| octet.is_ascii_graphic());
    (!sound).then(|| format!("\"{url}\" is no URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"
        state = "/var/lib/sote-acme"
        base_url = "https://acme.example.fi"
        listen = "0.0.0.0:443"
        public_url = "http://pki.example.fi"
        public_listen = "0.0.0.0:80"
        [tls]
        certificate = "tls.pem"
        key = "tls.key"
        [invitation_keys]
        current = "k1"
        files = { k1 = "k1.key" }
        [[issuers]]
        name = "sote-1"
        certificate = "issuing.pem"
        key = "issuing.key"
        ocsp = { certificate = "ocsp.pem", key = "ocsp.key" }
        [[profiles]]
        name = "sote-server"
        description = "Sote server certificate"
        issuer = "sote-1"
        policies = []
    "#;

    fn faults(text: &str) -> Vec<String> {
        Config::parse(text, Path::new("/etc/sote-acme")).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_small_configuration_is_whole_and_its_paths_are_beside_the_file() {
        let config = Config::parse(SOUND, Path::new("/etc/sote-acme")).unwrap();
        assert_eq!(config.tls.key, Path::new("/etc/sote-acme/tls.key"));
        assert_eq!(config.admin_socket, Path::new("/var/lib/sote-acme/admin.sock"));
        assert_eq!(config.issuers[0].ocsp.key, Path::new("/etc/sote-acme/ocsp.key"));
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let faults = faults("");
        for key in [
            "state",
            "base_url",
            "listen",
            "public_url",
            "public_listen",
            "tls",
            "invitation_keys",
            "issuers",
            "profiles",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(&format!("{key}: missing"))), "{key} in {faults:#?}");
        }
        assert_eq!(faults.len(), 9, "{faults:#?}");
    }

    #[test]
    fn values_that_cannot_be_are_told_with_their_keys() {
        let text = SOUND
            .replace("https://acme.example.fi", "http://acme.example.fi")
            .replace("http://pki.example.fi", "http://pki.example.fi/")
            .replace("current = \"k1\"", "current = \"k2\"")
            .replace("issuer = \"sote-1\"", "issuer = \"sote-2\"\nceiling_days = 800");
        let text = format!("{text}\n[lifetimes]\ncaa = \"9h\"\n[attempts]\nmost = 0\n[work]\nvalidations = 0\n");
        let faults = faults(&text);
        for key in [
            "base_url: ",
            "public_url: ",
            "invitation_keys.current: ",
            "profiles[0].issuer: ",
            "profiles[0].ceiling_days: ",
            "lifetimes.caa: 9h is not between 1s and 8h",
            "attempts.most: ",
            "work.validations: ",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(key)), "{key} in {faults:#?}");
        }
        assert_eq!(faults.len(), 8, "{faults:#?}");
    }
}
