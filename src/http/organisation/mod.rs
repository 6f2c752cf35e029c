//! The resources of an organisation: from a resource to the handler that answers it. Everything is signed by a member's
//! account; the authority says who may do what. Nothing here is kept by caches.

mod certificates;
mod events;
mod invitations;
mod lists;
mod members;
mod orders;
mod organisations;
mod revocations;

use hyper::header::CACHE_CONTROL;
use serde_json::Value;

use super::acme::revocations::no_reason;
use super::app::App;
use super::authenticate::Signed;
use super::pipeline::Context;
use super::rate_limits::Attempt;
use super::reply::{Error, Reply};
use crate::acme::messages::organisation::ActorObject;
use crate::acme::messages::reason_code;
use crate::acme::route::OrganisationResource;
use crate::acme::urls::Urls;
use crate::authority::organisation::RepeatKey;
use crate::model::audit::Actor;
use crate::model::{Account, Refusal};
use crate::names::{AccountId, OrganisationId};
use crate::store::Read;

/// A request about an organisation.
struct Asked<'a> {
    app: &'a App,
    signed: &'a Signed<Read<Account>>,
    id: OrganisationId,
    context: &'a Context,
}

/// Answers a member, or whoever says so.
pub(super) async fn answer(
    app: &App,
    signed: &Signed<Read<Account>>,
    id: OrganisationId,
    resource: &OrganisationResource,
    context: &Context,
) -> Result<Reply, Error> {
    use OrganisationResource as R;
    let asked = Asked { app, signed, id, context };
    // Whatever the request says, whoever belongs elsewhere gets what an unknown URL gets.
    if app.authority.organisation_of_account(signed.sender()).await? != Some(id) {
        return Err(Refusal::NotFound.into());
    }
    if !signed.is_read() {
        app.limiter.admit(Attempt::OrganisationChange(signed.sender().id))?;
    }
    let reply = match resource {
        R::Organisation => organisations::organisation(&asked).await,
        R::Members(query) => members::list(&asked, query).await,
        R::Member(member) => members::member(&asked, *member).await,
        R::Invitations(query) => invitations::list(&asked, query).await,
        R::Invitation(invitation) => invitations::invitation(&asked, *invitation).await,
        R::Orders(query) => orders::list(&asked, query).await,
        R::Certificates(query) => certificates::list(&asked, query).await,
        R::Certificate(certificate) => certificates::record(&asked, *certificate).await,
        R::Revocations(query) => revocations::list(&asked, query).await,
        R::Revocation(certificate) => revocations::revocation(&asked, *certificate).await,
        R::Events(query) => events::list(&asked, query).await,
    };
    Ok(reply?.with(CACHE_CONTROL, "no-store"))
}

impl Asked<'_> {
    fn account(&self) -> &Read<Account> {
        self.signed.sender()
    }

    fn urls(&self) -> &Urls {
        &self.app.urls
    }

    /// The URL of a resource of the same organisation.
    fn url(&self, resource: OrganisationResource) -> String {
        self.urls().of_organisation(self.id, resource)
    }

    fn member_url(&self, member: AccountId) -> String {
        self.url(OrganisationResource::Member(member))
    }

    /// The key under which the request may be sent again.
    fn repeat(&self, key: Option<&str>) -> Result<Option<RepeatKey>, Error> {
        let jws = self.signed.jws();
        Ok(key.map(|key| RepeatKey::new(key, &jws.header().url, jws.payload())).transpose()?)
    }
}

/// Who did something, as members see it: an officer's name is the service's own affair.
fn actor(urls: &Urls, actor: &Actor) -> ActorObject {
    match actor {
        Actor::Account(id) => ActorObject::Account { account: urls.account(*id) },
        Actor::Officer(_) => ActorObject::Officer,
        Actor::CertificateKey(_) => ActorObject::CertificateKey,
        Actor::Server => ActorObject::Server,
    }
}

/// A reason code as it came.
fn reason(reason: Option<&Value>) -> Result<Option<u8>, Error> {
    Ok(reason_code(reason).map_err(no_reason)?)
}

fn malformed(why: impl Into<String>) -> Error {
    Refusal::Malformed { why: why.into() }.into()
}

/// The only change of status that a resource knows, or an error that names it.
fn status(found: &str, known: &str) -> Result<(), Error> {
    match found == known {
        true => Ok(()),
        false => Err(malformed(format!("\"status\" can only become \"{known}\" here"))),
    }
}
