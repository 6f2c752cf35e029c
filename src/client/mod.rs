//! An ACME client (RFC 8555, RFC 9773, profiles) and a relying service that checks what it got. It shares the wire with the
//! server and nothing else: `sote-client`, `demo`, the tests and the benchmark all work through it.
//!
//! ```no_run
//! # async fn example() -> sote_acme::client::Result<()> {
//! use std::sync::Arc;
//! use sote_acme::acme::{jws_algorithm::JwsAlgorithm, jws_signing::AccountKey};
//! use sote_acme::client::*;
//!
//! let transport = Transport::trusting(&std::fs::read("tls-root.pem").unwrap(), HttpVersion::Http2)?;
//! let client = Client::discover(transport, "https://ca.example.fi/directory").await?;
//! let key = Arc::new(AccountKey::generate(JwsAlgorithm::Es256).unwrap());
//! let external_account = Some(ExternalAccount::new("k1_AAAA", "c2VjcmV0")?);
//! let registration = Registration { terms_agreed: true, external_account, ..Registration::default() };
//! let account = client.register(key, &registration).await?;
//! let responder = Http01Responder::listen("0.0.0.0:80".parse().unwrap()).await?;
//! let certificate_key = CertificateKey::generate(KeyKind::EcP256)?;
//! let chain = account.obtain(&OrderRequest::of_names(["www.example.fi"]), &certificate_key, &responder).await?;
//! println!("{}", chain.pem());
//! # Ok(()) }
//! ```

mod account;
mod authorization;
mod card;
mod certificate;
mod certificate_key;
mod challenges;
mod client_certificate;
pub mod command_line;
mod csr;
mod dns_hook;
mod error;
mod http01_responder;
mod order;
mod organisation;
mod organisation_proof;
pub mod relying_service;
mod session;
mod state_directory;
mod tls_alpn01_responder;
mod token_authority;
mod transport;

pub use account::{Account, ExternalAccount, Registration};
pub use authorization::Authorization;
pub use card::{CardClaim, CardSigner, SoftCard, WithIssuers, signature_answer};
pub use certificate::{CertificateChain, RenewalAdvice};
pub use certificate_key::{CertificateKey, KeyKind};
pub use challenges::{Proof, Responder, Responding};
pub use client_certificate::ClientCertificate;
pub use csr::{CsrDraft, certificate_request};
pub use dns_hook::DnsHook;
pub use error::{Error, ProblemDocument, Refusal, Result};
pub use http01_responder::Http01Responder;
pub use order::{Order, OrderRequest, PATIENCE};
pub use organisation::{CertificateFilter, Organisation, Resource};
pub use organisation_proof::ORGANISATION;
pub use session::{Client, Payload, Signer};
pub use state_directory::{KnownAccount, KnownCertificate, KnownVerification, StateDirectory};
pub use tls_alpn01_responder::TlsAlpn01Responder;
pub use token_authority::TokenAuthority;
pub use transport::{HttpVersion, Response, Transport};
