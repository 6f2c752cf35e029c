//! Authorizations and challenges (RFC 8555 §7.4.1, §7.5).

use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};

use super::payload;
use super::watch::Watch;
use crate::acme::authority_token::{AuthorityToken, EvidenceFormError};
use crate::acme::card_signature::CardSignature;
use crate::acme::challenge_type::ChallengeType;
use crate::acme::identifier::RawIdentifier;
use crate::acme::messages::{
    ApprovalAnswer, AuthorizationObject, AuthorizationUpdate, ChallengeAnswer, ChallengeObject, NewAuthorization,
    ProgressState, ProgressStep, SignatureAnswer, TokenAnswer,
};
use crate::acme::problem::Problem;
use crate::acme::route::Door;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::http::app::App;
use crate::http::authenticate::Signed;
use crate::http::pipeline::Context;
use crate::http::rate_limits::Attempt;
use crate::http::reply::{Error, Reply};
use crate::model::{Account, Answer, Application, Authorization, Challenge, ChallengeKind, ChallengeProgress, Refusal};
use crate::names::{AuthorizationId, ChallengeId};
use crate::store::{Kind, Read, Record as _};
use crate::time::Timestamp;

/// After how many seconds to ask again while a challenge is being validated.
const ASK_AGAIN: &str = "1";
/// After how many seconds to ask again while registration officers decide.
const ASK_OFFICERS_AGAIN: &str = "3600";

/// newAuthz.
pub(super) async fn create(
    app: &App,
    signed: &Signed<Read<Account>>,
    door: Door,
    context: &Context,
) -> Result<Reply, Error> {
    let NewAuthorization { identifier } = signed.object()?;
    app.limiter.admit(Attempt::NewAuthorization(signed.sender().id))?;
    let made = app.authority.create_authorization(signed.sender(), &identifier, door, context.now).await?;
    Ok(rendered(app, StatusCode::CREATED, &made, context).with(LOCATION, &app.urls.authorization(made.id)))
}

/// An authorization: read, or deactivated.
pub(super) async fn authorization(
    app: &App,
    signed: &Signed<Read<Account>>,
    id: AuthorizationId,
    context: &Context,
) -> Result<Reply, Error> {
    let account = signed.sender();
    let AuthorizationUpdate { deactivate } = match signed.is_read() {
        true => AuthorizationUpdate::default(),
        false => payload(signed.object(), app.authority.authorization(account, id)).await?,
    };
    let authorization = if deactivate {
        app.authority.deactivate_authorization(account, id, context.now).await?
    } else {
        app.authority.authorization(account, id).await?
    };
    Ok(rendered(app, StatusCode::OK, &authorization, context))
}

/// A challenge: read, or answered.
pub(super) async fn challenge(
    app: &App,
    signed: &Signed<Read<Account>>,
    id: ChallengeId,
    context: &Context,
) -> Result<Reply, Error> {
    let account = signed.sender();
    let authorization = if signed.is_read() {
        // RFC 8555 §7.5.1: POST-as-GET reads and starts nothing.
        app.authority.challenge(account, id).await?
    } else {
        let answer = answer(signed, &app.authority.challenge(account, id).await?, id)?;
        app.limiter.admit(Attempt::ChallengeAnswer(account.id))?;
        let authorization = app.authority.answer_challenge(account, id, answer, context.now).await?;
        validated(app, account, id, authorization).await?
    };
    let challenge = authorization.challenge(id).ok_or(Refusal::NotFound)?;
    // RFC 8555 §7.5.1: the challenge links its authorization by "up".
    let reply = Reply::json(StatusCode::OK, &challenge_object(app, challenge))
        .link(&app.urls.authorization(authorization.id), "up");
    Ok(match challenge.status() {
        // RFC 8555 §8.2: Retry-After tells when to look again.
        ChallengeStatus::Processing => reply.with(RETRY_AFTER, ask_again(&authorization)),
        ChallengeStatus::Pending | ChallengeStatus::Valid | ChallengeStatus::Invalid => reply,
    })
}

/// When to ask again for what is processing.
fn ask_again(authorization: &Authorization) -> &'static str {
    if authorization.under_review().is_some() { ASK_OFFICERS_AGAIN } else { ASK_AGAIN }
}

/// The answer to a challenge in the form that its type demands. A fault of form leaves the challenge pending.
fn answer(signed: &Signed<Read<Account>>, authorization: &Authorization, id: ChallengeId) -> Result<Answer, Error> {
    let challenge = authorization.challenge(id).ok_or(Refusal::NotFound)?;
    Ok(match challenge.kind.challenge_type() {
        ChallengeType::Http01 | ChallengeType::Dns01 | ChallengeType::TlsAlpn01 => {
            // RFC 8555 §7.5.1: unknown members of an answer are ignored.
            let ChallengeAnswer {} = signed.object()?;
            Answer::Ready
        }
        // RFC 9447 §3.3.
        ChallengeType::Tkauth01 => {
            let TokenAnswer { tkauth } = signed.object()?;
            AuthorityToken::parse(&tkauth).map_err(of_form("tkauth"))?;
            Answer::Token { tkauth }
        }
        ChallengeType::OrgSignature01 => {
            let SignatureAnswer { signature, mandate } = signed.object()?;
            CardSignature::parse(&signature).map_err(of_form("signature"))?;
            if mandate.is_some() {
                let why = "\"mandate\" is not taken here: registration officers record mandates";
                return Err(Problem::malformed(why).into());
            }
            Answer::CardSignature { signature, mandate }
        }
        ChallengeType::OrgApproval01 => {
            let ApprovalAnswer { applicant, justification, documents } = signed.object()?;
            Answer::Application(Application { applicant, justification, documents })
        }
    })
}

/// What is wrong with the form of evidence: the challenge stays as it was.
fn of_form(member: &str) -> impl FnOnce(EvidenceFormError) -> Error + '_ {
    move |error| Problem::malformed(format!("\"{member}\" is refused: {error}")).into()
}

/// The authorization of a challenge that was just answered, as soon as the first attempt has ended, or as it is when the time is
/// up. A challenge that is no longer being validated is not waited for.
async fn validated(
    app: &App,
    account: &Read<Account>,
    id: ChallengeId,
    answered: Authorization,
) -> Result<Authorization, Error> {
    let error = |authorization: &Authorization| authorization.challenge(id).and_then(Challenge::error);
    let mut authorization = answered;
    let (before, key) = (error(&authorization), Authorization::key(&authorization.id));
    let mut watch = Watch::begin(app, Kind::Authorization, key, app.settings.answer_wait);
    while authorization.processing().is_some() && error(&authorization) == before {
        if !watch.changed(app).await? {
            break;
        }
        authorization = app.authority.challenge(account, id).await?;
    }
    Ok(authorization)
}

fn rendered(app: &App, status: StatusCode, authorization: &Authorization, context: &Context) -> Reply {
    let reply = Reply::json(status, &object(app, authorization, context.now));
    match authorization.answered_challenge() {
        Some(_) => reply.with(RETRY_AFTER, ask_again(authorization)),
        None => reply,
    }
}

fn object(app: &App, authorization: &Authorization, now: Timestamp) -> AuthorizationObject {
    let status = authorization.status(now);
    let identifier = &authorization.identifier;
    AuthorizationObject {
        // RFC 8555 §7.1.4: without the wildcard's asterisk.
        identifier: RawIdentifier { kind: identifier.kind().to_owned(), value: identifier.base_value() },
        status,
        expires: Some(authorization.expires),
        challenges: shown(authorization, status).map(|challenge| challenge_object(app, challenge)).collect(),
        wildcard: identifier.is_wildcard(),
    }
}

/// The challenges to show.
// RFC 8555 §7.1.4: all while pending; the validated one once valid; the failed one once invalid.
fn shown(authorization: &Authorization, status: AuthorizationStatus) -> impl Iterator<Item = &Challenge> {
    let decided = authorization.challenges.iter().any(|challenge| decides(challenge, status));
    authorization.challenges.iter().filter(move |challenge| !decided || decides(challenge, status))
}

fn decides(challenge: &Challenge, status: AuthorizationStatus) -> bool {
    match status {
        AuthorizationStatus::Valid | AuthorizationStatus::Expired => challenge.status() == ChallengeStatus::Valid,
        AuthorizationStatus::Invalid => challenge.status() == ChallengeStatus::Invalid,
        AuthorizationStatus::Pending | AuthorizationStatus::Deactivated | AuthorizationStatus::Revoked => false,
    }
}

fn challenge_object(app: &App, challenge: &Challenge) -> ChallengeObject {
    let plain = ChallengeObject {
        kind: challenge.kind.challenge_type().label().to_owned(),
        url: app.urls.challenge(challenge.id),
        status: challenge.status(),
        token: challenge.kind.token().to_owned(),
        // RFC 8555 §8: required once valid.
        validated: match challenge.progress {
            ChallengeProgress::Valid { validated, .. } => Some(validated),
            ChallengeProgress::Pending
            | ChallengeProgress::Restarted { .. }
            | ChallengeProgress::Processing { .. }
            | ChallengeProgress::UnderReview { .. }
            | ChallengeProgress::Invalid { .. } => None,
        },
        tkauth_type: None,
        token_authority: None,
        policies: Vec::new(),
        instructions: None,
        reference: None,
        progress: Vec::new(),
        error: challenge.error(),
    };
    match &challenge.kind {
        ChallengeKind::Http01 { .. } | ChallengeKind::Dns01 { .. } | ChallengeKind::TlsAlpn01 { .. } => plain,
        // RFC 9447 §3: "atc" is the only type of token.
        ChallengeKind::Tkauth01 { authority, .. } => {
            ChallengeObject { tkauth_type: Some("atc".to_owned()), token_authority: authority.clone(), ..plain }
        }
        ChallengeKind::OrgSignature01 { policies, .. } => ChallengeObject { policies: policies.clone(), ..plain },
        ChallengeKind::OrgApproval01 { reference, instructions, .. } => ChallengeObject {
            instructions: instructions.clone(),
            reference: Some(reference.clone()),
            progress: steps(&challenge.progress),
            ..plain
        },
    }
}

/// Where an application stands, for a person.
fn steps(progress: &ChallengeProgress) -> Vec<ProgressStep> {
    use ProgressState as S;
    let step = |name: &str, state, at| ProgressStep { step: name.to_owned(), state, at };
    match progress {
        ChallengeProgress::Pending | ChallengeProgress::Restarted { .. } | ChallengeProgress::Processing { .. } => {
            Vec::new()
        }
        ChallengeProgress::UnderReview { since, approvals, .. } => vec![
            step("received", S::Done, Some(*since)),
            match approvals.last() {
                Some(approval) => step("underReview", S::Done, Some(approval.at)),
                None => step("underReview", S::Underway, Some(*since)),
            },
            step("decided", if approvals.is_empty() { S::Waiting } else { S::Underway }, None),
        ],
        ChallengeProgress::Valid { validated, .. } => vec![step("decided", S::Done, Some(*validated))],
        ChallengeProgress::Invalid { at, .. } => vec![step("decided", S::Failed, Some(*at))],
    }
}
