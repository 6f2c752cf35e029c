//! The configuration of a trial server: production's defaults, except where a trial on one machine needs others.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::TrialSettings;
use super::material::{INVITATION_KEY, ISSUER, Material, PERSON_KEY, TERMS};
use crate::config::{
    AttemptSettings, Config, CrlSettings, HttpSettings, InvitationKeyFiles, Issuer, Lifetimes, LogSettings,
    OcspResponder, Officer, OfficerRole, OrganisationSettings, RateLimits, RegisterSettings, Root, StoreSettings,
    Terms, TlsFiles, WorkSettings,
};
use crate::http::Listeners;
use crate::model::Profile;
use crate::validation;

/// The name by which CAA records permit a trial server.
const CAA_IDENTITY: &str = "ca.test";

/// Everything that is set.
pub(super) fn config(
    settings: &TrialSettings,
    directory: &Path,
    material: &Material,
    listeners: &Listeners,
    resolver: SocketAddr,
) -> Config {
    let port = listeners.acme_address().port();
    Config {
        state: directory.to_owned(),
        base_url: format!("https://localhost:{port}"),
        listen: listeners.acme_address(),
        public_url: material.public_url.clone(),
        public_listen: listeners.public_address(),
        website: Some("https://sote-acme.example.fi".to_owned()),
        tls: TlsFiles { certificate: material.tls.certificate.clone(), key: material.tls.key.clone() },
        admin_socket: directory.join("admin.sock"),
        officers: vec![officer("officer-1")],
        issuers: vec![issuer(material)],
        roots: roots(material),
        profiles: profiles(),
        invitation_keys: InvitationKeyFiles {
            current: "k1".to_owned(),
            files: [("k1".to_owned(), directory.join(INVITATION_KEY))].into(),
        },
        terms: Some(Terms {
            version: "1".to_owned(),
            url: None,
            text: Some(directory.join(TERMS)),
            required_from: None,
        }),
        validation: validation(settings, resolver),
        http: HttpSettings {
            rate_limits: if settings.rate_limits { RateLimits::default() } else { RateLimits::off() },
            ..HttpSettings::default()
        },
        lifetimes: Lifetimes::default(),
        attempts: AttemptSettings {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(1),
            ..AttemptSettings::default()
        },
        store: StoreSettings::default(),
        work: WorkSettings::default(),
        log: LogSettings::default(),
        organisation: OrganisationSettings {
            // A directory that an earlier version made has none: no mandates there.
            person_key: Some(directory.join(PERSON_KEY)).filter(|path| path.exists()),
            ..OrganisationSettings::default()
        },
        register: RegisterSettings::default(),
    }
}

fn issuer(material: &Material) -> Issuer {
    let files = &material.authority;
    Issuer {
        name: ISSUER.parse().expect("a name for URLs"),
        certificate: files.issuer_certificate.clone(),
        key: files.issuer_key.clone(),
        alternates: vec![files.cross_certificate.clone()],
        ocsp: OcspResponder {
            certificate: files.responder_certificate.clone(),
            key: files.responder_key.clone(),
            validity: Duration::from_secs(12 * 3600),
        },
        crl: CrlSettings::default(),
    }
}

fn roots(material: &Material) -> Vec<Root> {
    let files = [("trial-root", &material.authority.root), ("trial-root-2", &material.authority.alternate_root)];
    let root = |(name, files): (&str, &super::super::hierarchy::RootFiles)| Root {
        name: name.parse().expect("a name for URLs"),
        certificate: files.certificate.clone(),
        crl: files.crl.clone(),
    };
    files.into_iter().map(root).collect()
}

/// Every officer of a trial is the user who started it.
fn officer(name: &str) -> Officer {
    Officer { uid: rustix::process::getuid().as_raw(), name: name.to_owned(), role: OfficerRole::RegistrationOfficer }
}

/// Who stands behind the second socket, for what needs two officers.
pub(super) fn second_officer() -> Vec<Officer> {
    vec![officer("officer-2")]
}

fn validation(settings: &TrialSettings, resolver: SocketAddr) -> validation::Settings {
    let own = ["127.0.0.1/32", "::1/128"].map(|network| network.parse().expect("a network"));
    validation::Settings {
        http_01_port: settings.http_01_port,
        tls_alpn_01_port: settings.tls_alpn_01_port,
        resolvers: vec![resolver],
        // The resolver is taken as it is: names on trial are in no signed zone.
        dnssec: false,
        // Exactly this machine, and what was allowed besides.
        public_networks: false,
        allow_networks: own.into_iter().chain(settings.networks.iter().copied()).collect(),
        caa_identities: vec![CAA_IDENTITY.to_owned()],
        ..validation::Settings::default()
    }
}

/// The policy is NIST's first one for tests.
fn profiles() -> Vec<Profile> {
    let text = format!(
        "name = \"sote-server\"\n\
         description = \"Server certificate of a social welfare and healthcare service provider (trial)\"\n\
         issuer = \"{ISSUER}\"\n\
         [[policies]]\n\
         oid = \"2.16.840.1.101.3.2.1.48.1\"\n\
         cps = \"https://sote-acme.example.fi/cps\"\n"
    );
    vec![toml::from_str(&text).expect("the profile of trials is well formed")]
}
