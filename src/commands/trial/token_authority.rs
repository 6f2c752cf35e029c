//! The token authority beside a server on trial: a process of its own in all but name, over a real network boundary, which
//! the server believes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{LOCALHOST, TrialError};
use crate::acme::challenge_type::ChallengeType;
use crate::commands::token_authority::material::{self, ACCOUNT, MaterialFiles, Plan, TOKEN_SIGNING};
use crate::commands::token_authority::{Settings, TokenAuthority};
use crate::config::{Config, RevocationSource, TokenAuthoritySettings};
use crate::names::OrganisationIdentifier;
use crate::time::Clock;

/// What tokens name as their issuer.
const ISSUER: &str = "https://token-authority.test";
/// The directory below the trial's.
const DIRECTORY: &str = "token-authority";

/// What clients of the token authority need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAuthorityFacts {
    /// Its URL; tokens are asked for at `/at/account/ACCOUNT/token` below it.
    pub url: String,
    /// The client's account.
    pub account: String,
    /// The organisation that the client is entitled to.
    pub organisation: OrganisationIdentifier,
    /// The root of its HTTPS certificate, PEM.
    pub tls_root: PathBuf,
    /// The client's certificate, PEM.
    pub client: PathBuf,
    /// The client's key.
    pub client_key: PathBuf,
    /// Everything that was made for it.
    pub files: MaterialFiles,
}

/// Starts the token authority, made in `directory` unless it is there, and makes `config` believe it.
pub(super) async fn started(
    directory: &Path,
    config: &mut Config,
    organisation: OrganisationIdentifier,
    clock: Arc<dyn Clock>,
) -> Result<(TokenAuthority, TokenAuthorityFacts), TrialError> {
    let directory = directory.join(DIRECTORY);
    let anywhere = SocketAddr::new(LOCALHOST, 0);
    let audience = format!("{}/organisation/directory", config.base_url);
    let plan = Plan {
        issuer: ISSUER.to_owned(),
        audiences: vec![audience.clone()],
        listen: anywhere,
        public_listen: anywhere,
        hosts: vec!["localhost".to_owned(), LOCALHOST.to_string()],
        organisation: organisation.clone(),
        on_trial: true,
    };
    let files = match directory.exists() {
        true => MaterialFiles::below(&directory),
        false => material::create(&directory, &plan, clock.now())?,
    };
    let mut settings =
        Settings::read(&files.config).map_err(crate::commands::token_authority::TokenAuthorityError::from)?;
    // The ports of an earlier start may be taken, and the server's may be another.
    (settings.listen, settings.public_listen, settings.audiences) = (anywhere, anywhere, vec![audience]);
    let running = TokenAuthority::start(&settings, clock).await?;
    let url = format!("https://localhost:{}", running.address().port());
    let crl = format!("http://{}/crl/authority.crl", running.public_address());
    believe(config, &files, &url, crl);
    let facts = TokenAuthorityFacts {
        url,
        account: ACCOUNT.to_owned(),
        organisation,
        tls_root: files.tls_root.clone(),
        client: files.client.clone(),
        client_key: files.client_key.clone(),
        files,
    };
    Ok((running, facts))
}

fn believe(config: &mut Config, files: &MaterialFiles, url: &str, crl: String) {
    let organisation = &mut config.organisation;
    if !organisation.challenges.contains(&ChallengeType::Tkauth01) {
        organisation.challenges.insert(0, ChallengeType::Tkauth01);
    }
    organisation.token_authority.push(TokenAuthoritySettings {
        name: "trial".to_owned(),
        issuer: ISSUER.to_owned(),
        audience: None,
        url: Some(url.to_owned()),
        anchors: files.root.clone(),
        extended_key_usage: Some(TOKEN_SIGNING.to_string()),
        policies: Vec::new(),
        revocation: vec![RevocationSource { authority: files.root.clone(), crl: vec![crl], ocsp: Vec::new() }],
    });
}
