//! Authorizations and challenges (RFC 8555 §7.4.1, §7.5).

use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};

use super::payload;
use super::watch::Watch;
use crate::acme::identifier::RawIdentifier;
use crate::acme::messages::{
    AuthorizationObject, AuthorizationUpdate, ChallengeAnswer, ChallengeObject, NewAuthorization,
};
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::http::app::App;
use crate::http::authenticate::Signed;
use crate::http::pipeline::Context;
use crate::http::rate_limits::Attempt;
use crate::http::reply::{Error, Reply};
use crate::model::{Account, Authorization, Challenge, ChallengeProgress, Refusal};
use crate::names::{AuthorizationId, ChallengeId};
use crate::store::{Kind, Read, Record as _};
use crate::time::Timestamp;

/// After how many seconds to ask again while a challenge is being validated.
const ASK_AGAIN: &str = "1";

/// newAuthz.
pub(super) async fn create(app: &App, signed: &Signed<Read<Account>>, context: &Context) -> Result<Reply, Error> {
    let NewAuthorization { identifier } = signed.object()?;
    app.limiter.admit(Attempt::NewAuthorization(signed.sender().id))?;
    let made = app.authority.create_authorization(signed.sender(), &identifier, context.now).await?;
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
        // RFC 8555 §7.5.1: unknown members of an answer are ignored.
        let ChallengeAnswer {} = payload(signed.object(), app.authority.challenge(account, id)).await?;
        app.limiter.admit(Attempt::ChallengeAnswer(account.id))?;
        let mut watch = Watch::begin(app, Kind::Authorization, app.settings.answer_wait);
        let authorization = app.authority.answer_challenge(account, id, context.now).await?;
        validated(app, account, id, authorization, &mut watch).await?
    };
    let challenge = authorization.challenge(id).ok_or(Refusal::NotFound)?;
    // RFC 8555 §7.5.1: the challenge links its authorization by "up".
    let reply = Reply::json(StatusCode::OK, &challenge_object(app, challenge))
        .link(&app.urls.authorization(authorization.id), "up");
    Ok(match challenge.status() {
        // RFC 8555 §8.2: Retry-After tells when to look again.
        ChallengeStatus::Processing => reply.with(RETRY_AFTER, ASK_AGAIN),
        ChallengeStatus::Pending | ChallengeStatus::Valid | ChallengeStatus::Invalid => reply,
    })
}

/// The authorization of a challenge that was just answered, as soon as the first attempt has ended, or as it is when the time is
/// up. A challenge that is no longer being validated is not waited for.
async fn validated(
    app: &App,
    account: &Read<Account>,
    id: ChallengeId,
    answered: Authorization,
    watch: &mut Watch,
) -> Result<Authorization, Error> {
    let error = |authorization: &Authorization| authorization.challenge(id).and_then(Challenge::error);
    let mut authorization = answered;
    let (before, key) = (error(&authorization), Authorization::key(&authorization.id));
    while authorization.processing().is_some() && error(&authorization) == before {
        if !watch.changed(app, &key).await? {
            break;
        }
        authorization = app.authority.challenge(account, id).await?;
    }
    Ok(authorization)
}

fn rendered(app: &App, status: StatusCode, authorization: &Authorization, context: &Context) -> Reply {
    let reply = Reply::json(status, &object(app, authorization, context.now));
    if authorization.processing().is_some() { reply.with(RETRY_AFTER, ASK_AGAIN) } else { reply }
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
    ChallengeObject {
        kind: challenge.kind.challenge_type().label().to_owned(),
        url: app.urls.challenge(challenge.id),
        status: challenge.status(),
        token: challenge.kind.token().to_owned(),
        // RFC 8555 §8: required once valid.
        validated: match challenge.progress {
            ChallengeProgress::Valid { validated, .. } => Some(validated),
            ChallengeProgress::Pending | ChallengeProgress::Processing { .. } | ChallengeProgress::Invalid { .. } => {
                None
            }
        },
        error: challenge.error(),
    }
}
