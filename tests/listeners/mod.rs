//! Real listeners over a fresh store, without issuers and without a worker: enough for everything that a peer can do wrong.

#![allow(dead_code)] // Each test file uses its own part.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use sote_acme::acme::external_account::MacAlgorithm;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::{AccountKey, Identity};
use sote_acme::acme::urls::Urls;
use sote_acme::authority::{
    Authority, InvitationKeys, IssuerFacts, OfferedProof, OrganisationRules, Settings as Decisions, Terms,
};
use sote_acme::client::{HttpVersion, Response, Transport};
use sote_acme::config::RegisterSettings;
use sote_acme::http::{
    About, Addresses, App, Listeners, Nonces, Officer, OfficerRole, Officers, Parts, RateLimits, Server, Settings, Tls,
};
use sote_acme::issuer::{Issuers, Status};
use sote_acme::model::PersonKey;
use sote_acme::model::challenge::Attempts;
use sote_acme::names::{BootId, base64url};
use sote_acme::store::Store;
use sote_acme::store::sled::{Options, SledStore};
use sote_acme::time::{FixedClock, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// When the clock of every test stands.
pub const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
/// The key under which identifiers of persons are hashed.
pub const PERSON_KEY: [u8; 32] = [9; 32];
/// No test waits longer for something that should happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Settings under which nothing has to be waited for.
pub fn impatient() -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        handshake_timeout: second,
        first_request_timeout: second * 2,
        head_timeout: second,
        body_timeout: second,
        idle_timeout: second * 2,
        stop_timeout: second * 10,
        rate_limits: RateLimits::off(),
        ..Settings::default()
    }
}

/// Running listeners.
pub struct Ca {
    pub directory: tempfile::TempDir,
    pub clock: FixedClock,
    pub app: Arc<App>,
    pub authority: Authority,
    settings: Settings,
    pub acme: SocketAddr,
    pub public: SocketAddr,
    pub admin: PathBuf,
    pub base: String,
    pub root: String,
    pub tls: Arc<Tls>,
    server: Option<Server>,
}

impl Ca {
    /// Listeners with these bounds.
    pub async fn start(settings: Settings) -> Ca {
        Ca::start_with(settings, None).await
    }

    /// Listeners with these bounds and terms of service.
    pub async fn start_with(settings: Settings, terms: Option<Terms>) -> Ca {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let store = Arc::new(SledStore::create(&state, Options::default(), NOW).unwrap());
        let nonces = Nonces::new(settings.nonce_memory, settings.nonce_lifetime, NOW);
        Ca::serving(directory, store, nonces, settings, terms).await
    }

    /// Listeners that know where to fetch a register's changes.
    pub async fn start_with_register(settings: Settings, register: RegisterSettings) -> Ca {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let store = Arc::new(SledStore::create(&state, Options::default(), NOW).unwrap());
        let nonces = Nonces::new(settings.nonce_memory, settings.nonce_lifetime, NOW);
        Ca::registering(directory, store, nonces, settings, None, register).await
    }

    /// The same state after a graceful stop, served anew on other ports, with these terms.
    pub async fn restarted(mut self, terms: Option<Terms>) -> Ca {
        self.stop().await.unwrap();
        let state = self.directory.path().join("state");
        self.app.nonces().save(&state.join("nonces")).unwrap();
        let Ca { directory, app, authority, settings, .. } = self;
        drop((app, authority));
        let store = Arc::new(SledStore::open(&state, Options::default()).unwrap());
        let (memory, lifetime) = (settings.nonce_memory, settings.nonce_lifetime);
        let nonces = Nonces::load(&state.join("nonces"), memory, lifetime, NOW).unwrap();
        Ca::serving(directory, store, nonces, settings, terms).await
    }

    async fn serving(
        directory: tempfile::TempDir,
        store: Arc<SledStore>,
        nonces: Nonces,
        settings: Settings,
        terms: Option<Terms>,
    ) -> Ca {
        Ca::registering(directory, store, nonces, settings, terms, RegisterSettings::default()).await
    }

    async fn registering(
        directory: tempfile::TempDir,
        store: Arc<SledStore>,
        nonces: Nonces,
        settings: Settings,
        terms: Option<Terms>,
        register: RegisterSettings,
    ) -> Ca {
        let state = directory.path().join("state");
        let addresses = Addresses {
            acme: "127.0.0.1:0".parse().unwrap(),
            public: "127.0.0.1:0".parse().unwrap(),
            admin: ["admin.sock", "officer-2.sock", "nobody.sock"].map(|socket| state.join(socket)).to_vec(),
        };
        let listeners = Listeners::bind(&addresses).await.unwrap();
        let (acme, public) = (listeners.acme_address(), listeners.public_address());
        let base = format!("https://localhost:{}", acme.port());
        let (tls, root) = certificate(&directory);
        let issuers = Arc::new(Issuers::new(Vec::new(), state.join("crl"), "http://localhost", BootId::mint(NOW)));
        let authority = authority(store.clone(), terms, state.clone());
        let uid = rustix::process::getuid().as_raw();
        let officer =
            |name: &str, socket| Officer { name: name.to_owned(), uid, role: OfficerRole::RegistrationOfficer, socket };
        let clock = FixedClock::at(NOW);
        let app = App::new(Parts {
            authority: authority.clone(),
            clock: Arc::new(clock.clone()),
            nonces,
            urls: Urls::new(&base).unwrap(),
            settings: settings.clone(),
            about: About {
                website: Some("https://ca.example.fi".to_owned()),
                caa_identities: vec!["ca.example.fi".to_owned()],
                terms_text: Some("Be <good>.".to_owned()),
            },
            organisation_defaults: sote_acme::config::OrganisationDefaults::default(),
            register,
            officers: Officers::new(vec![officer("first", 0), officer("second", 1)]).unwrap(),
            status: Status::new(store, issuers, Vec::new(), 500.try_into().unwrap()),
            public_url: format!("http://localhost:{}", public.port()),
            directory: state.clone(),
        });
        let server = listeners.serve(&app, tls.clone());
        let admin = state.join("admin.sock");
        Ca { directory, clock, app, authority, settings, acme, public, admin, base, root, tls, server: Some(server) }
    }

    /// The graceful stop, as a task of its own.
    pub fn stop(&mut self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(self.server.take().unwrap().stop())
    }

    /// A client that trusts the server's certificate.
    pub fn client(&self, version: HttpVersion) -> Transport {
        Transport::trusting(self.root.as_bytes(), version).unwrap()
    }

    /// A TLS connection that offers these protocols, to be misused.
    pub async fn connect(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.acme).await.unwrap();
        self.handshake(stream, protocols).await.unwrap()
    }

    /// A TLS handshake on a connection.
    pub async fn handshake(&self, stream: TcpStream, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        self.handshake_in(stream, protocols, &rustls::version::TLS13).await
    }

    /// A handshake of this version of TLS.
    pub async fn handshake_in(
        &self,
        stream: TcpStream,
        protocols: &[&str],
        version: &'static rustls::SupportedProtocolVersion,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.root.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// What comes back until the server closes, after `request` was sent over TLS and HTTP/1.1.
    pub async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect(&["http/1.1"]).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

/// Everything that still comes on a connection; a peer that does not close in time fails the test.
pub async fn rest<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> String {
    let mut octets = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut octets)).await;
    // Without close_notify rustls says UnexpectedEof; closed is closed.
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&octets).into_owned()
}

/// One whole answer with a Content-Length from a connection that stays open.
pub async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let reading = async {
        let mut octets = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&octets).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = field(head, "content-length").map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    return text;
                }
            }
            let mut more = [0; 4096];
            match stream.read(&mut more).await {
                Ok(count) if count > 0 => octets.extend_from_slice(&more[..count]),
                _ => panic!("the connection ended after {text:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer comes")
}

/// A header field of an answer.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The status of an answer, which must be a problem document.
pub fn problem(answer: &str) -> u16 {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert_eq!(field(head, "content-type"), Some("application/problem+json"), "{answer}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(problem["type"].as_str().unwrap().starts_with("urn:ietf:params:acme:error:"), "{body}");
    let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(problem["status"], status);
    status
}

fn certificate(directory: &tempfile::TempDir) -> (Arc<Tls>, String) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (chain, key) = (directory.path().join("tls.pem"), directory.path().join("tls.key"));
    std::fs::write(&chain, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    (Arc::new(Tls::from_files(&chain, &key).unwrap()), cert.pem())
}

/// The decisions over a store, with one profile and one issuer.
pub fn authority(store: Arc<dyn Store>, terms: Option<Terms>, state_directory: PathBuf) -> Authority {
    let day = 86_400;
    let settings = Decisions {
        order_lifetime: 7 * day,
        pending_lifetime: 7 * day,
        valid_lifetime: 30 * day,
        attempts: Attempts { most: 3, first_pause: 1, longest_pause: 1, within: 30 },
        caa_lifetime: 8 * 3600,
        terms,
        verification_lifetime: 365 * day,
        organisations: OrganisationRules {
            offered: vec![
                OfferedProof::Token { authority: Some("https://authority.test/at".into()) },
                OfferedProof::CardSignature { policies: vec!["1.2.246.517.1.10.1".into()] },
                OfferedProof::Approval { instructions: None },
            ],
            person_key: Some(PersonKey::new(zeroize::Zeroizing::new(PERSON_KEY))),
            ..OrganisationRules::default()
        },
        issuers: vec![IssuerFacts {
            name: "sote-1".parse().unwrap(),
            key_identifier: vec![1; 20],
            not_after: NOW.plus(3650 * day),
        }],
        renewal_retry_after: 21_600,
        state_directory,
    };
    let profile = toml::from_str(
        "name = \"sote-server\"\ndescription = \"Servers\"\nissuer = \"sote-1\"\npolicies = [{ oid = \"1.2.246.1\" }]",
    )
    .unwrap();
    let keys = InvitationKeys::new([("k1".to_owned(), zeroize::Zeroizing::new([7; 32]))], "k1").unwrap();
    Authority::new(store, settings, vec![profile], keys)
}

/// An account's holder.
pub struct Person<'a> {
    pub ca: &'a Ca,
    pub key: AccountKey,
    pub account: String,
}

/// The credentials of an invitation.
#[derive(Clone)]
pub struct Credentials {
    pub kid: String,
    pub hmac_key: Vec<u8>,
}

impl Ca {
    /// The URL of a path of the ACME listener.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A fresh nonce.
    pub async fn nonce(&self) -> String {
        let got = self.client(HttpVersion::Http1).head(&self.url("/acme/new-nonce")).await.unwrap();
        got.header("replay-nonce").unwrap().to_owned()
    }

    /// The answer to a body that claims to be a JWS.
    pub async fn send(&self, url: &str, body: impl Into<hyper::body::Bytes>) -> Response {
        self.client(HttpVersion::Http1).post(url, "application/jose+json", body).await.unwrap()
    }

    /// A command over the admin socket: its status and answer.
    pub async fn command(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.command_by(&self.admin, method, path, body).await
    }

    /// The same command by the second officer.
    pub async fn second_command(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.command_by(&self.admin.with_file_name("officer-2.sock"), method, path, body).await
    }

    async fn command_by(&self, socket: &std::path::Path, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    /// An organisation, its unit and an invitation with these zones and uses, made by an officer.
    pub async fn invitation(&self, zones: &[&str], uses: u32) -> Credentials {
        let rows = "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n\
                    1.2.246.10.2454372.10.0,,0245437-2,Esimerkin terveys,,,Turku,,,2020-01-01,\n";
        assert_eq!(self.command("POST", "/register", rows).await.0, 200);
        let organisation = json!({ "business_id": "0245437-2", "profiles": ["sote-server"], "zones": ["*"] });
        let added = self.command("POST", "/organisations", &organisation.to_string()).await;
        assert!(added.0 == 200 || added.1.to_string().contains("already"), "{added:?}");
        let invitation = json!({
            "business_id": "0245437-2",
            "role": "technical-contact",
            "unit": "1.2.246.10.2454372.10.0",
            "profiles": ["sote-server"],
            "zones": zones,
            "uses": uses,
            "lifetime": 86_400,
        });
        let (status, made) = self.command("POST", "/invitations", &invitation.to_string()).await;
        assert_eq!(status, 200, "{made}");
        Credentials {
            kid: made["kid"].as_str().unwrap().to_owned(),
            hmac_key: base64url::decode(made["hmac_key"].as_str().unwrap()).unwrap(),
        }
    }

    /// A newAccount request with a fresh key and this payload.
    pub async fn new_account(&self, path: &str, key: &AccountKey, payload: &Value) -> Response {
        let url = self.url(path);
        let body = key.sign(Identity::Jwk, &self.nonce().await, &url, payload.to_string().as_bytes()).unwrap();
        self.send(&url, body).await
    }

    /// An account without an organisation.
    pub async fn stranger(&self) -> Person<'_> {
        let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
        let terms = json!({ "termsOfServiceAgreed": true });
        let got = self.new_account("/organisation/new-account", &key, &terms).await;
        assert_eq!(got.status, 201);
        Person { ca: self, account: got.header("location").unwrap().to_owned(), key }
    }

    /// An account that an invitation made.
    pub async fn member(&self, credentials: &Credentials) -> Person<'_> {
        let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
        let got = self.new_account("/acme/new-account", &key, &self.bound(&key, credentials)).await;
        assert_eq!(got.status, 201, "{:?}", got.body);
        Person { ca: self, account: got.header("location").unwrap().to_owned(), key }
    }

    /// The payload of a newAccount request with an external account binding.
    pub fn bound(&self, key: &AccountKey, credentials: &Credentials) -> Value {
        let url = self.url("/acme/new-account");
        let binding = key.bind_external(MacAlgorithm::Hs256, &credentials.kid, &credentials.hmac_key, &url).unwrap();
        json!({ "termsOfServiceAgreed": true, "externalAccountBinding": binding })
    }
}

impl Person<'_> {
    /// The answer to a signed request.
    pub async fn post(&self, url: &str, payload: &Value) -> Response {
        self.send(url, payload.to_string().as_bytes()).await
    }

    /// The answer to a POST-as-GET.
    pub async fn read(&self, url: &str) -> Response {
        self.send(url, b"").await
    }

    /// The answer to a signed payload.
    pub async fn send(&self, url: &str, payload: &[u8]) -> Response {
        let nonce = self.ca.nonce().await;
        let body = self.key.sign(Identity::Kid(&self.account), &nonce, url, payload).unwrap();
        self.ca.send(url, body).await
    }

    /// A new order for dns names.
    pub async fn order(&self, names: &[&str]) -> Response {
        let identifiers: Vec<_> = names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
        self.post(&self.ca.url("/acme/new-order"), &json!({ "identifiers": identifiers })).await
    }
}

/// The body as JSON.
pub fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("no JSON: {:?}", response.body))
}

/// Nothing, if the answer is a problem document of this kind and status.
#[track_caller]
pub fn refused(response: &Response, status: u16, kind: &str) {
    let problem = body(response);
    assert_eq!((response.status, &problem["type"]), (status, &json!(format!("urn:ietf:params:acme:error:{kind}"))));
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert!(response.header("replay-nonce").is_some(), "every answer to a POST brings a nonce");
    assert_eq!(response.links("index").len(), 1);
}
