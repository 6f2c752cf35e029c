//! The demo's organisation: nobody at the certificate authority knows it before it proves itself by a token of the token
//! authority, which is asked over mutual TLS on the loopback; then it invites a technical contact.

use std::path::Path;
use std::sync::Arc;

use super::DemoError;
use super::steps::Steps;
use crate::acme::challenge_type::ChallengeType;
use crate::acme::jws_algorithm::JwsAlgorithm;
use crate::acme::jws_signing::AccountKey;
use crate::acme::messages::organisation::NewInvitation;
use crate::client::{
    Account, Authorization, Client, ClientCertificate, Error, ExternalAccount, HttpVersion, ORGANISATION, Organisation,
    Registration, Result, TokenAuthority, Transport,
};
use crate::commands::trial::TrialFacts;
use crate::names::Role;

/// Proves the organisation and gives the credentials of an invitation by which accounts may order names within `zone` for `unit`.
pub(super) async fn run(
    steps: &Steps,
    facts: &TrialFacts,
    unit: &str,
    zone: &str,
) -> std::result::Result<ExternalAccount, DemoError> {
    let authority = facts.token_authority.as_ref();
    let authority = authority.ok_or_else(|| Error::Local("no token authority runs beside the server".to_owned()))?;
    let read = |path: &Path| std::fs::read_to_string(path).map_err(super::at(path));
    let transport = Transport::trusting(read(&facts.tls_root)?.as_bytes(), HttpVersion::Http2)?;
    let certificate = ClientCertificate::from_pem(&read(&authority.client)?, &read(&authority.client_key)?)?;
    let roots = read(&authority.tls_root)?;
    let shown = Transport::showing(certificate, roots.as_bytes(), HttpVersion::Http1)?;
    let tokens = TokenAuthority::new(shown, &authority.url, &authority.account)?;

    steps.chapter("An organisation proves itself");
    let registering = registered(transport, &facts.organisation_directory);
    let what = "register without an invitation";
    let account = steps.step(what, registering, |account| account.url().to_owned()).await?;
    let beginning = account.pre_authorize(ORGANISATION, authority.organisation.as_str());
    let begun = steps.step("ask how it can be proved", beginning, offered).await?;
    let answering = begun.answer_by_token(&tokens);
    let at = |_: &_| tokens.url().to_owned();
    steps.step("answer with a token, got over mutual TLS", answering, at).await?;
    let organisation = steps.step("wait for the verdict", verified(&account, begun), standing).await?;
    let invitation = NewInvitation {
        role: Role::TechnicalContact,
        contact: Some("mailto:tuki@sairaala.test".to_owned()),
        dns_zones: Some(vec![zone.to_owned()]),
        unit: Some(unit.to_owned()),
        profiles: None,
        default_profile: None,
        units: Vec::new(),
        max_uses: Some(1),
        expires: None,
        require_confirmation: false,
        idempotency_key: None,
    };
    let inviting = invited(&organisation, &invitation);
    let kid = |external: &ExternalAccount| format!("key id {}", external.kid());
    Ok(steps.step("invite a technical contact", inviting, kid).await?)
}

async fn registered(transport: Transport, directory: &str) -> Result<Account> {
    let client = Client::discover(transport, directory).await?;
    let key = AccountKey::generate(JwsAlgorithm::Es256).map_err(|error| Error::Local(error.to_string()))?;
    client.register(Arc::new(key), &Registration { terms_agreed: true, ..Registration::default() }).await
}

fn offered(authorization: &Authorization) -> String {
    let of_organisations = |kind: &ChallengeType| kind.is_of_organisations();
    let kinds = authorization.object().challenges.iter().filter_map(|challenge| challenge.challenge_type());
    kinds.filter(of_organisations).map(ChallengeType::label).collect::<Vec<_>>().join(", ")
}

async fn verified(account: &Account, begun: Authorization) -> Result<Organisation> {
    let mut authorization = begun;
    authorization.wait_for_verdict().await?;
    let missing = || Error::Untrusted("the organisation is proved, and the account does not belong to it".to_owned());
    account.organisation().await?.ok_or_else(missing)
}

fn standing(organisation: &Organisation) -> String {
    let object = organisation.object();
    let name = object.name.as_ref().map_or("", |name| name.fi.as_str());
    let until = object.expires.map(|until| until.to_string()).unwrap_or_default();
    format!("{} of {name} until {until}", object.role)
}

async fn invited(organisation: &Organisation, invitation: &NewInvitation) -> Result<ExternalAccount> {
    let made = organisation.invite(invitation).await?;
    let credentials = made.object.external_account_binding;
    let credentials =
        credentials.ok_or_else(|| Error::Untrusted("the new invitation has no credentials".to_owned()))?;
    ExternalAccount::new(&credentials.kid, &credentials.hmac_key)
}
