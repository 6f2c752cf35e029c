//! Real listeners over a fresh store, without issuers and without a worker: enough for everything that a peer can do wrong.

#![allow(dead_code)] // Each test file uses its own part.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use sote_acme::acme::urls::Urls;
use sote_acme::authority::{Authority, InvitationKeys, IssuerFacts, Settings as Decisions, Terms};
use sote_acme::client::{HttpVersion, Transport};
use sote_acme::http::{
    About, Addresses, App, Listeners, Nonces, Officer, OfficerRole, Officers, Parts, RateLimits, Server, Settings, Tls,
};
use sote_acme::issuer::{Issuers, Status};
use sote_acme::model::authorization::Attempts;
use sote_acme::names::BootId;
use sote_acme::store::sled::{Options, SledStore};
use sote_acme::time::{FixedClock, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// When the clock of every test stands.
pub const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
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
        let addresses = Addresses {
            acme: "127.0.0.1:0".parse().unwrap(),
            public: "127.0.0.1:0".parse().unwrap(),
            admin: vec![state.join("admin.sock"), state.join("officer-2.sock")],
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
            nonces: Nonces::new(settings.nonce_memory, settings.nonce_lifetime, NOW),
            urls: Urls::new(&base).unwrap(),
            settings,
            about: About {
                website: Some("https://ca.example.fi".to_owned()),
                caa_identities: vec!["ca.example.fi".to_owned()],
                terms_text: Some("Be <good>.".to_owned()),
            },
            organisation_defaults: sote_acme::config::OrganisationDefaults::default(),
            officers: Officers::new(vec![officer("first", 0)]).unwrap(),
            status: Status::new(store, issuers, Vec::new(), 500.try_into().unwrap()),
            public_url: format!("http://localhost:{}", public.port()),
            directory: state.clone(),
        });
        let server = listeners.serve(&app, tls.clone());
        let admin = state.join("admin.sock");
        Ca { directory, clock, app, authority, acme, public, admin, base, root, tls, server: Some(server) }
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
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.root.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
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

fn authority(store: Arc<SledStore>, terms: Option<Terms>, state_directory: PathBuf) -> Authority {
    let day = 86_400;
    let settings = Decisions {
        order_lifetime: 7 * day,
        pending_lifetime: 7 * day,
        valid_lifetime: 30 * day,
        attempts: Attempts { most: 3, first_pause: 1, longest_pause: 1, within: 30 },
        caa_lifetime: 8 * 3600,
        terms,
        verification_lifetime: 365 * day,
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
