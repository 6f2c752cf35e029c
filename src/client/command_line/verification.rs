//! `organisation verify`: begins a proof of an organisation or goes on with one that was begun, and tells where it stands.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::read;
use super::arguments::{Application, CardArguments, TokenArguments, VerifyOrganisation};
use super::organisation::{described, document};
use super::report::{Ending, Report, facts};
use super::terminal::{Progress, confirmed, progress};
use super::{account, now, word};
use crate::acme::card_signature::CardStatement;
use crate::acme::challenge_type::ChallengeType;
use crate::acme::messages::{Applicant, ApplicationDocument, ApprovalAnswer, AuthorizationObject, ChallengeObject};
use crate::acme::problem::ProblemKind;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::client::account::Account;
use crate::client::authorization::Authorization;
use crate::client::card::{CardSigner, SoftCard, WithIssuers};
use crate::client::client_certificate::ClientCertificate;
use crate::client::error::{Error, Result};
use crate::client::order::PATIENCE;
use crate::client::organisation_proof::ORGANISATION;
use crate::client::state_directory::{KnownVerification, StateDirectory};
use crate::client::token_authority::TokenAuthority;
use crate::client::transport::{HttpVersion, Transport};
use crate::names::OrganisationIdentifier;

pub(super) async fn verify(state: &StateDirectory, wanted: VerifyOrganisation) -> Result<Report> {
    let account = account(state).await?;
    let mut authorization = match begun(state, &account, &wanted).await? {
        Some(authorization) => authorization,
        None => begin(state, &account, &wanted).await?,
    };
    if authorization.status() == AuthorizationStatus::Pending && answered(authorization.object()).is_none() {
        answer(&authorization, &wanted).await?;
        authorization.refresh().await?;
    }
    let officers = answered(authorization.object()).and_then(ChallengeObject::challenge_type);
    let usual = if officers == Some(ChallengeType::OrgApproval01) { Duration::ZERO } else { PATIENCE };
    let mut told = Progress::default();
    let patience = wanted.wait.unwrap_or(usual);
    let verdict = authorization.wait_for_verdict_showing(patience, &mut |object| told.tell(stands(object))).await;
    match verdict {
        Ok(()) => {
            state.drop_verification()?;
            proved(&account, &authorization).await
        }
        Err(Error::NotYet { .. }) => undecided(&authorization),
        Err(error @ Error::Failed { .. }) => {
            state.drop_verification()?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// The proof that an earlier run began, unless another one is wanted or it has ended.
async fn begun(
    state: &StateDirectory,
    account: &Account,
    wanted: &VerifyOrganisation,
) -> Result<Option<Authorization>> {
    let Some(known) = state.verification()? else { return Ok(None) };
    if wanted.identifier.as_ref().is_some_and(|identifier| identifier.as_str() != known.organisation) {
        return Ok(None);
    }
    match account.authorization_at(&known.authorization).await {
        // Without a method, how the last one ended is what is asked for.
        Ok(found) if found.status() == AuthorizationStatus::Pending || method(wanted).is_none() => Ok(Some(found)),
        Ok(_) => Ok(None),
        Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A new authorization, remembered before anything is proved with it.
async fn begin(state: &StateDirectory, account: &Account, wanted: &VerifyOrganisation) -> Result<Authorization> {
    if method(wanted).is_none() {
        return Err(Error::local("no proof was begun: say how, with --token, --card or --approval"));
    }
    let organisation = match &wanted.identifier {
        Some(organisation) => organisation.clone(),
        None => own_organisation(account).await?,
    };
    let authorization = account.pre_authorize(ORGANISATION, organisation.as_str()).await?;
    let known =
        KnownVerification { organisation: organisation.to_string(), authorization: authorization.url().to_owned() };
    state.remember_verification(&known)?;
    Ok(authorization)
}

async fn own_organisation(account: &Account) -> Result<OrganisationIdentifier> {
    let missing = || Error::local("say which organisation, by its Business ID");
    let organisation = account.organisation().await?.ok_or_else(missing)?;
    organisation.object().identifier.value.parse().map_err(|_| missing())
}

fn method(wanted: &VerifyOrganisation) -> Option<ChallengeType> {
    match (wanted.token, wanted.card, wanted.approval) {
        (true, _, _) => Some(ChallengeType::Tkauth01),
        (_, true, _) => Some(ChallengeType::OrgSignature01),
        (_, _, true) => Some(ChallengeType::OrgApproval01),
        (false, false, false) => None,
    }
}

/// The challenge that was answered and is not decided yet.
fn answered(authorization: &AuthorizationObject) -> Option<&ChallengeObject> {
    authorization.challenges.iter().find(|challenge| challenge.status == ChallengeStatus::Processing)
}

async fn answer(authorization: &Authorization, wanted: &VerifyOrganisation) -> Result<()> {
    match method(wanted) {
        Some(ChallengeType::Tkauth01) => by_token(authorization, &wanted.token_arguments).await,
        Some(ChallengeType::OrgSignature01) => by_card(authorization, &wanted.card_arguments, wanted.yes).await,
        Some(ChallengeType::OrgApproval01) => {
            authorization.apply(&application(&wanted.application)?).await?;
            Ok(())
        }
        Some(ChallengeType::Http01 | ChallengeType::Dns01 | ChallengeType::TlsAlpn01) | None => {
            Err(Error::local("the proof was begun and nothing was shown yet: add --token, --card or --approval"))
        }
    }
}

async fn by_token(authorization: &Authorization, wanted: &TokenArguments) -> Result<()> {
    let offered = authorization.challenge(ChallengeType::Tkauth01)?.token_authority.as_deref();
    let base = wanted.token_authority.as_deref().or(offered);
    let base = base.ok_or_else(|| Error::local("the server names no token authority: add --token-authority"))?;
    let certificate = ClientCertificate::from_pem(
        &given(wanted.client_certificate.as_deref(), "--client-certificate")?,
        &given(wanted.client_key.as_deref(), "--client-key")?,
    )?;
    let roots = given(wanted.authority_tls_root.as_deref(), "--authority-tls-root")?;
    let transport = Transport::showing(certificate, roots.as_bytes(), HttpVersion::Http1)?;
    let authority = TokenAuthority::new(transport, base, wanted.token_account.as_deref().unwrap_or_default())?;
    progress(&format!("asking {} for a token", authority.url()));
    authorization.answer_by_token(&authority).await.map(drop)
}

/// The text of a file that the command line names.
fn given(path: Option<&Path>, flag: &str) -> Result<String> {
    read(path.ok_or_else(|| Error::local(format!("{flag} is missing")))?)
}

async fn by_card(authorization: &Authorization, wanted: &CardArguments, unasked: bool) -> Result<()> {
    let statement = authorization.card_statement(now())?;
    let answering = {
        let mut card = card(wanted, &statement, unasked)?;
        if let Some(file) = &wanted.card_issuers {
            card = Box::new(WithIssuers::new(card, &read(file)?)?);
        }
        authorization.answer_by_card(card.as_ref(), &statement)
    };
    answering.await.map(drop)
}

/// The card, when its holder has read what it will sign and agrees.
fn card(wanted: &CardArguments, statement: &CardStatement, unasked: bool) -> Result<Box<dyn CardSigner>> {
    let words = [&statement.statement.fi, &statement.statement.sv].into_iter().flatten();
    let shown = words.map(String::as_str).collect::<Vec<_>>().join("\n");
    let agree = |unasked: bool| match unasked {
        true => {
            progress(&shown);
            Ok(())
        }
        false => match confirmed(&shown, "The card signs this.")? {
            true => Ok(()),
            false => Err(Error::local("nothing was signed")),
        },
    };
    #[cfg(feature = "pkcs11")]
    if let Some(module) = &wanted.card_module {
        // Whoever types the PIN agrees by that.
        agree(unasked || wanted.pin_file.is_none())?;
        return Ok(Box::new(card_in_reader(module, wanted)?));
    }
    agree(unasked)?;
    let chain = given(wanted.card_certificate.as_deref(), "--card-certificate")?;
    Ok(Box::new(SoftCard::from_pem(&chain, &given(wanted.card_key.as_deref(), "--card-key")?)?))
}

#[cfg(feature = "pkcs11")]
fn card_in_reader(module: &Path, wanted: &CardArguments) -> Result<crate::pkcs11::Card> {
    use crate::pkcs11::{Choice, Module};
    let failed = |error: crate::pkcs11::CardError| Error::local(error.to_string());
    let choice = Choice { token: wanted.card_label.clone(), certificate: wanted.card_certificate_label.clone() };
    let module = Module::open(module).map_err(failed)?;
    let pin = match &wanted.pin_file {
        Some(file) => zeroize::Zeroizing::new(read(file)?.trim().to_owned()),
        None => super::terminal::pin()?,
    };
    module.card(&choice, &pin.as_str().into()).map_err(failed)
}

fn application(wanted: &Application) -> Result<ApprovalAnswer> {
    let text =
        |value: &Option<String>, flag: &str| value.clone().ok_or_else(|| Error::local(format!("{flag} is missing")));
    Ok(ApprovalAnswer {
        applicant: Applicant {
            name: text(&wanted.name, "--name")?,
            email: text(&wanted.email, "--email")?.trim_start_matches("mailto:").to_owned(),
            phone: wanted.phone.clone(),
        },
        justification: text(&wanted.justification, "--justification")?,
        documents: wanted.documents.iter().map(|path| supporting(path)).collect::<Result<_>>()?,
    })
}

/// A document by its name and its hash.
fn supporting(path: &Path) -> Result<ApplicationDocument> {
    let octets = std::fs::read(path).map_err(|error| Error::local(format!("{}: {error}", path.display())))?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &octets);
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.as_ref());
    let title = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(ApplicationDocument { sha256, title })
}

/// Where a proof stands, in one line.
fn stands(object: &AuthorizationObject) -> String {
    let organisation = &object.identifier.value;
    let Some(challenge) = answered(object) else { return format!("{organisation}: {}", word(object.status)) };
    let mut line = format!("{organisation}: {} {}", challenge.kind, word(challenge.status));
    if let Some(reference) = &challenge.reference {
        line.push_str(&format!(", reference {reference}"));
    }
    for step in &challenge.progress {
        line.push_str(&format!("; {} {}", step.step, word(step.state)));
    }
    if let Some(error) = &challenge.error {
        line.push_str(&format!("; {error}"));
    }
    line
}

/// What a program is told of a proof.
fn shown(authorization: &Authorization) -> Value {
    json!({ "url": authorization.url(), "authorization": authorization.object() })
}

async fn proved(account: &Account, authorization: &Authorization) -> Result<Report> {
    let value = &authorization.object().identifier.value;
    let mut outcome = shown(authorization);
    match account.organisation().await {
        Ok(Some(organisation)) => {
            outcome["organisation"] = document(&organisation)?;
            Report::done(format!("{value} is proved\n\n{}", described(&organisation)), &outcome)
        }
        Ok(None) => Report::done(format!("{value} is proved"), &outcome),
        // Whoever proves an organisation that has administrators waits until one of them admits it.
        Err(error) if error.is(ProblemKind::Unauthorized) => {
            outcome["membership"] = json!({ "pending": true, "message": error.to_string() });
            let text = format!("{value} is proved, but this account is not admitted yet: {error}");
            Ok(Report::done(text, &outcome)?.ending(Ending::Pending))
        }
        Err(error) => Err(error),
    }
}

fn undecided(authorization: &Authorization) -> Result<Report> {
    let challenge = answered(authorization.object());
    let reference = challenge.and_then(|challenge| challenge.reference.clone()).unwrap_or_default();
    let instructions = challenge.and_then(|challenge| challenge.instructions.clone()).unwrap_or_default();
    let thumbprint = authorization.account().key().thumbprint().to_string();
    let text = facts(&[
        ("not decided yet", stands(authorization.object())),
        ("reference", reference),
        ("thumbprint", thumbprint),
        ("instructions", instructions),
        ("go on with", "sote-client organisation verify".to_owned()),
    ]);
    Ok(Report::done(text, &shown(authorization))?.ending(Ending::Pending))
}
