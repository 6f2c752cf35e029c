//! A certificate authority for tests: the real server in this process, over real TLS and a synced store in a directory of its
//! own, with its own dns, a clock that can be moved, and a small vocabulary: `ca.account()`, `ca.order(..)`, `ca.issue(..)`,
//! `ca.advance(..)`, `ca.restart()`.

// Each test binary uses its own part of the vocabulary.
#![allow(dead_code)]

pub mod forged;
pub mod judge;
mod organisations;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use sote_acme::acme::challenge_type::ChallengeType;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::acme::messages::Directory;
use sote_acme::acme::status::{AuthorizationStatus, OrderStatus};
use sote_acme::client::relying_service::{
    Link, OcspAnswer, OcspMethod, OcspStatus, RelyingService, RevocationList, VerifiedChain,
};
use sote_acme::client::{
    Account, Authorization, CertificateChain, CertificateKey, Client, ExternalAccount, Http01Responder, HttpVersion,
    KeyKind, Order, OrderRequest, Proof, Registration, Responder, Responding, Result, TlsAlpn01Responder, Transport,
    certificate_request,
};
use sote_acme::commands::dns_responder::DnsResponder;
use sote_acme::commands::trial::{self, TokenAuthorityFacts, Trial, TrialFacts, TrialSettings};
use sote_acme::config::Config;
use sote_acme::time::{Clock, SystemClock, Timestamp};

/// A running certificate authority with everything around it.
pub struct Ca {
    trial: Option<Trial>,
    facts: TrialFacts,
    client: Client,
    organisation_client: Client,
    responder: Http01Responder,
    tls_alpn_responder: TlsAlpn01Responder,
    clock: MovedClock,
    directory: tempfile::TempDir,
}

/// A certificate with everything that belongs to it.
pub struct Issued {
    /// The order.
    pub order: Order,
    /// The chain.
    pub chain: CertificateChain,
    /// The certified key.
    pub key: CertificateKey,
}

impl Issued {
    /// The first and the last second of the certificate.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        Link::parsed(self.chain.leaf()).unwrap().validity()
    }
}

/// The machine's clock, moved: time goes on, so that the server's pauses end.
#[derive(Clone, Default)]
struct MovedClock(Arc<AtomicI64>);

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.0.load(Ordering::SeqCst))
    }
}

/// A new ES256 account key.
pub fn key() -> Arc<AccountKey> {
    Arc::new(AccountKey::generate(JwsAlgorithm::Es256).unwrap())
}

impl Ca {
    /// A new authority.
    pub async fn start() -> Self {
        Ca::start_with(|_| {}).await
    }

    /// A new authority whose configuration is changed first.
    pub async fn start_with(adjust: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        Ca::begin(false, adjust).await
    }

    /// A new authority that believes a token authority, which runs beside it. Its configuration is changed first.
    pub async fn start_beside_a_token_authority(adjust: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        Ca::begin(true, adjust).await
    }

    async fn begin(token_authority: bool, adjust: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let loopback = "127.0.0.1:0".parse().unwrap();
        let responder = Http01Responder::listen(loopback).await.unwrap();
        let tls_alpn_responder = TlsAlpn01Responder::listen(loopback).await.unwrap();
        let clock = MovedClock::default();
        let mut settings = TrialSettings::on_free_ports(&directory.path().join("ca"));
        settings.http_01_port = responder.address().port();
        settings.tls_alpn_01_port = tls_alpn_responder.address().port();
        settings.clock = Arc::new(clock.clone());
        settings.token_authority = token_authority.then(trial::organisation);
        settings.adjust = Some(adjusted(adjust));
        let trial = Trial::start(settings).await.unwrap();
        let facts = trial.facts.clone();
        let (client, organisation_client) = clients(&facts).await;
        Ca { trial: Some(trial), facts, client, organisation_client, responder, tls_alpn_responder, clock, directory }
    }

    /// Stops the server gracefully and starts it again over the same directory and ports.
    pub async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same with another configuration.
    pub async fn restart_with(&mut self, adjust: impl FnOnce(&mut Config) + Send + 'static) {
        self.trial.take().unwrap().stop().await;
        self.client.transport().close_idle();
        let mut settings = TrialSettings::on_free_ports(&self.facts.directory);
        settings.listen = self.acme_address();
        settings.http_01_port = self.responder.address().port();
        settings.tls_alpn_01_port = self.tls_alpn_responder.address().port();
        settings.clock = Arc::new(self.clock.clone());
        settings.adjust = Some(adjusted(adjust));
        let trial = Trial::start(settings).await.unwrap();
        self.facts = trial.facts.clone();
        self.trial = Some(trial);
        (self.client, self.organisation_client) = clients(&self.facts).await;
    }

    /// The token authority beside it.
    pub fn token_authority(&self) -> &TokenAuthorityFacts {
        self.facts.token_authority.as_ref().unwrap()
    }

    /// A new account without an organisation, at the organisations' directory.
    pub async fn unbound_account(&self) -> Account {
        let registration = Registration { external_account: None, ..self.registration() };
        self.organisation_client.register(key(), &registration).await.unwrap()
    }

    /// Moves the server's clock.
    pub fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The server's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Gives the worker time for what it would do by itself.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    fn trial(&self) -> &Trial {
        self.trial.as_ref().unwrap()
    }

    fn dns(&self) -> &DnsResponder {
        self.trial().dns.as_ref().unwrap()
    }

    /// A client of the servers' directory.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A client of the organisations' directory.
    pub fn organisation_client(&self) -> &Client {
        &self.organisation_client
    }

    /// The servers' directory.
    pub fn directory(&self) -> &Directory {
        self.client.directory()
    }

    /// Shows http-01 proofs where the server looks for them.
    pub fn responder(&self) -> &Http01Responder {
        &self.responder
    }

    /// Shows tls-alpn-01 proofs where the server looks for them.
    pub fn tls_alpn_responder(&self) -> &TlsAlpn01Responder {
        &self.tls_alpn_responder
    }

    /// Shows dns-01 proofs where the server looks for them.
    pub fn dns_responder(&self) -> DnsRecords<'_> {
        DnsRecords(self.dns())
    }

    /// Sets a record, `NAME TYPE VALUE`.
    pub fn dns_record(&self, line: &str) {
        self.dns().add(line).unwrap();
    }

    /// A new account of the sample organisation.
    pub async fn account(&self) -> Account {
        self.client.register(key(), &self.registration()).await.unwrap()
    }

    /// A new account with this key.
    pub async fn registered(&self, key: AccountKey) -> Account {
        self.client.register(Arc::new(key), &self.registration()).await.unwrap()
    }

    /// A new account by an invitation.
    pub async fn register_with(&self, external: &ExternalAccount) -> Result<Account> {
        let registration = Registration { external_account: Some(external.clone()), ..self.registration() };
        self.client.register(key(), &registration).await
    }

    /// What registers an account of the sample organisation.
    pub fn registration(&self) -> Registration {
        Registration {
            contact: vec!["mailto:tuki@a.test".to_owned()],
            terms_agreed: true,
            external_account: Some(self.external_account()),
        }
    }

    /// The sample invitation.
    pub fn external_account(&self) -> ExternalAccount {
        ExternalAccount::new(&self.facts.eab_kid, &self.facts.eab_hmac_key).unwrap()
    }

    /// The same account by the client of a restarted server.
    pub fn again(&self, account: &Account) -> Account {
        Account::known(self.client.clone(), account.key().clone(), account.url())
    }

    /// A new order.
    pub async fn order(&self, account: &Account, names: &[&str]) -> Order {
        account.order(&OrderRequest::of_names(names.iter().copied())).await.unwrap()
    }

    /// A new order with every authorization valid.
    pub async fn ready_order(&self, account: &Account, names: &[&str]) -> Order {
        let mut order = self.order(account, names).await;
        self.authorize(&mut order).await;
        order
    }

    /// Proves every name: wildcards by dns-01, others by http-01.
    pub async fn authorize(&self, order: &mut Order) {
        for mut authorization in order.authorizations().await.unwrap() {
            if authorization.object().wildcard {
                authorization.prove(&self.dns_responder()).await.unwrap();
            } else {
                authorization.prove(&self.responder).await.unwrap();
            }
        }
        assert_eq!(order.refresh().await.unwrap(), OrderStatus::Ready);
    }

    /// A certificate request of a new key.
    pub fn csr(&self, names: &[&str]) -> Vec<u8> {
        certificate_request(&CertificateKey::generate(KeyKind::EcP256).unwrap(), names).unwrap()
    }

    /// Finalizes a ready order with a new key and waits for the certificate.
    pub async fn finalize(&self, order: &mut Order) {
        let names: Vec<_> = order.dns_names().map(str::to_owned).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        order.finalize(&self.csr(&names)).await.unwrap();
        order.wait_until_issued().await.unwrap();
    }

    /// A certificate for these names.
    pub async fn issue(&self, account: &Account, names: &[&str]) -> Issued {
        self.issue_with(account, names, CertificateKey::generate(KeyKind::EcP256).unwrap()).await
    }

    /// A certificate for these names and this key.
    pub async fn issue_with(&self, account: &Account, names: &[&str], key: CertificateKey) -> Issued {
        self.obtained_with(account, &OrderRequest::of_names(names.iter().copied()), key).await
    }

    /// The certificate that an order brings.
    pub async fn obtained(&self, account: &Account, request: &OrderRequest) -> Issued {
        self.obtained_with(account, request, CertificateKey::generate(KeyKind::EcP256).unwrap()).await
    }

    async fn obtained_with(&self, account: &Account, request: &OrderRequest, key: CertificateKey) -> Issued {
        let mut order = account.order(request).await.unwrap();
        self.authorize(&mut order).await;
        let names: Vec<_> = order.dns_names().map(str::to_owned).collect();
        order.finalize(&certificate_request(&key, &names).unwrap()).await.unwrap();
        order.wait_until_issued().await.unwrap();
        let chain = order.certificate().await.unwrap();
        Issued { order, chain, key }
    }

    /// Waits until an authorization is no longer pending.
    pub async fn until_decided(&self, authorization: &mut Authorization) {
        let begin = Instant::now();
        while authorization.refresh().await.unwrap() == AuthorizationStatus::Pending {
            assert!(begin.elapsed() < Duration::from_secs(60), "still pending: {:?}", authorization.object());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A relying service that trusts the root.
    pub fn relying_service(&self) -> RelyingService {
        self.trusting(&self.facts.issuer_root)
    }

    /// A relying service that trusts the other root.
    pub fn alternate_relying_service(&self) -> RelyingService {
        self.trusting(&self.facts.alternate_root)
    }

    fn trusting(&self, root: &std::path::Path) -> RelyingService {
        RelyingService::trusting(&std::fs::read(root).unwrap(), self.client.transport().clone()).unwrap()
    }

    /// What OCSP says of a certificate by each method.
    pub async fn ocsp_answers(&self, chain: &VerifiedChain) -> Vec<OcspAnswer> {
        let mut answers = Vec::new();
        for method in [OcspMethod::PostWithNonce, OcspMethod::Post, OcspMethod::Get] {
            let answer = self.relying_service().ocsp(chain, method, self.now()).await.unwrap();
            assert_eq!(answer.nonce_returned, method == OcspMethod::PostWithNonce);
            answers.push(answer);
        }
        answers
    }

    /// The CRLs of a chain, once the certificate's own says what OCSP says.
    pub async fn published_lists(&self, chain: &VerifiedChain) -> Vec<RevocationList> {
        let service = self.relying_service();
        let known = match service.ocsp(chain, OcspMethod::PostWithNonce, self.now()).await.unwrap().status {
            OcspStatus::Revoked { reason, .. } => Some(reason),
            OcspStatus::Good | OcspStatus::Unknown => None,
        };
        let begin = Instant::now();
        loop {
            let lists = service.revocation_lists(chain, self.now()).await.unwrap();
            if lists[0].entry.as_ref().map(|entry| entry.reason) == known {
                return lists;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "the CRL does not follow OCSP");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether a relying service accepts a certificate for `name`: chain, CRLs and OCSP.
    pub async fn is_good(&self, chain: &CertificateChain, name: &str) -> bool {
        let verified = self.relying_service().verified(chain.certificates(), name, self.now()).unwrap();
        let listed = self.published_lists(&verified).await.iter().any(|list| list.entry.is_some());
        !listed && self.ocsp_answers(&verified).await.iter().all(|answer| answer.status == OcspStatus::Good)
    }
}

/// What tests change of a trial's configuration: fewer attempts, so that what must fail fails soon.
fn adjusted(adjust: impl FnOnce(&mut Config) + Send + 'static) -> Box<dyn FnOnce(&mut Config) + Send> {
    Box::new(|config| {
        config.attempts.most = 2;
        adjust(config);
    })
}

async fn clients(facts: &TrialFacts) -> (Client, Client) {
    let roots = std::fs::read(&facts.tls_root).unwrap();
    let transport = Transport::trusting(&roots, HttpVersion::Http1).unwrap();
    let client = Client::discover(transport.clone(), &facts.acme_directory).await.unwrap();
    (client, Client::discover(transport, &facts.organisation_directory).await.unwrap())
}

/// Shows dns-01 proofs by the embedded dns server.
pub struct DnsRecords<'a>(&'a DnsResponder);

impl Responder for DnsRecords<'_> {
    fn challenge_type(&self) -> ChallengeType {
        ChallengeType::Dns01
    }

    fn present<'a>(&'a self, proof: &'a Proof) -> Responding<'a> {
        let line = format!("{} TXT {}", proof.dns_record(), proof.key_authorization.dns_value());
        self.0.add(&line).unwrap();
        Box::pin(std::future::ready(Ok(())))
    }

    fn withdraw<'a>(&'a self, proof: &'a Proof) -> Responding<'a> {
        self.0.remove(&proof.dns_record(), Some("TXT"));
        Box::pin(std::future::ready(Ok(())))
    }
}
