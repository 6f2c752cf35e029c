//! The ACME listener: from a route to the handler that answers it, a file per chapter of RFC 8555. Every answer carries what
//! the protocol puts on all of them; every answer that was computed from records waits until these are durable.

mod accounts;
mod authorizations;
mod certificates;
pub(super) mod directory;
mod orders;
mod pages;
mod renewal;
pub(super) mod revocations;
mod terms;
mod watch;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderName,
};
use hyper::{Method, Response, StatusCode};

use super::app::App;
use super::authenticate::{Doorkeeper, Presented};
use super::connection::{Peer, Service};
use super::organisation;
use super::pipeline::{self, Context, Refused};
use super::reply::{Error, Reply};
use super::request::{self, Arrived};
use crate::acme::problem::Problem;
use crate::acme::route::{Door, Route};
use crate::authority;
use crate::model::Refusal;

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// Answers ACME.
pub(super) struct AcmeListener(pub(super) Arc<App>);

impl Service for AcmeListener {
    fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: Peer,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> {
        Box::pin(async move {
            let app = &self.0;
            pipeline::answer(app, "acme", request, peer, |request, context| reply(app, request, context)).await
        })
    }
}

async fn reply(app: &App, request: Result<Arrived, Refused>, context: Context) -> Reply {
    let (head, admitted) = match request {
        Ok(Arrived { head, body }) => (head, Ok(body)),
        Err(Refused { error, head }) => (head, Err(error)),
    };
    let target = request::target(&head).to_owned();
    // RFC 8555 §6.4: the URL as the client must have signed it. It is made from the configured base, never from Host.
    let url = format!("{}{target}", app.origin);
    let route = app.urls.route(&url);
    let index = index(route.as_ref(), &target);
    let is_directory = matches!(route, Some(Route::Directory(_)));
    let wants_nonce = match &route {
        Some(Route::NewNonce) => head.method != Method::OPTIONS,
        Some(Route::TermsPage(_)) => false,
        Some(_) | None => head.method == Method::POST,
    };
    let answered = match admitted {
        Ok(body) => routed(app, route, &url, Arrived { head, body }, &context).await,
        Err(error) => Err(error),
    };
    let mut reply = answered.unwrap_or_else(|error| error.reply(&app.urls, context.language, &context.id));
    if wants_nonce {
        // RFC 8555 §6.5: in every successful answer to a POST, and in errors as well.
        reply = reply.with(REPLAY_NONCE, &app.nonces.mint(context.now));
    }
    if !is_directory {
        // RFC 8555 §7.1: every resource but the directory links it.
        reply = reply.link(&app.urls.directory(index), "index");
    }
    open_to_browsers(reply)
}

/// The directory that `Link rel="index"` names; unlisted URLs belong to the one whose prefix they have.
fn index(route: Option<&Route>, target: &str) -> Door {
    match route {
        Some(route) => route.index(),
        None if target.starts_with("/organisation/") => Door::Organisation,
        None => Door::Server,
    }
}

// RFC 8555 §6.1: browsers may use every resource, and read the header fields that clients need.
fn open_to_browsers(reply: Reply) -> Reply {
    reply
        .with(ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        .with(ACCESS_CONTROL_EXPOSE_HEADERS, "Replay-Nonce, Location, Link, Retry-After")
}

async fn routed(
    app: &App,
    route: Option<Route>,
    url: &str,
    request: Arrived,
    context: &Context,
) -> Result<Reply, Error> {
    let method = request.head.method.clone();
    let Some(route) = route else {
        return unlisted(app, url, request, context).await;
    };
    if method == Method::OPTIONS {
        return Ok(preflight(&route));
    }
    if !route.methods().contains(&method.as_str()) {
        return Ok(method_refused(&route, &method, context));
    }
    if method != Method::POST {
        return read(app, route, &request, context).await;
    }
    if let Route::TermsPage(id) = route {
        return settled(app, terms::agree(app, id, request, context)).await;
    }
    let presented = presented(app, url, request, context).await?;
    settled(app, posted(app, route, presented, context)).await
}

/// The outcome of `work`, once everything that it may have been computed from is durable. It fails if a write failed
/// meanwhile: what was read may never have been.
async fn settled(app: &App, work: impl Future<Output = Result<Reply, Error>>) -> Result<Reply, Error> {
    let store = app.authority.store();
    let generation = store.generation();
    let outcome = work.await;
    store.settled_since(generation).await?;
    outcome
}

/// What a URL that is not listed gets; others' resources get the very same. A nonce that came with it is spent all the same.
async fn unlisted(app: &App, url: &str, request: Arrived, context: &Context) -> Result<Reply, Error> {
    if request.head.method == Method::POST {
        presented(app, url, request, context).await?;
    }
    Err(Refusal::NotFound.into())
}

/// The payload of a request about a resource; `owned` looks whether that is the sender's. What is not looks like nothing, so an
/// unreadable payload is told to the owner only; who sends a readable one is looked up with the deed itself.
async fn payload<T, U>(
    payload: Result<T, Error>,
    owned: impl Future<Output = authority::Result<U>>,
) -> Result<T, Error> {
    if payload.is_err() {
        owned.await?;
    }
    payload
}

fn preflight(route: &Route) -> Reply {
    let methods = format!("{}, OPTIONS", route.methods().join(", "));
    Reply::empty(StatusCode::NO_CONTENT)
        .with(ALLOW, &methods)
        .with(ACCESS_CONTROL_ALLOW_METHODS, &methods)
        .with(ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, Accept-Language")
        .with(ACCESS_CONTROL_MAX_AGE, "86400")
}

// RFC 8555 §6.3: GET on what takes POST-as-GET is 405 and malformed; RFC 9110 §15.5.6: with Allow.
fn method_refused(route: &Route, method: &Method, context: &Context) -> Reply {
    let allowed = route.methods().join(", ");
    let method: String = method.as_str().chars().take(20).collect();
    let detail =
        format!("{method} is not allowed here, only {allowed}; resources are read by POST with an empty payload");
    let problem = Problem::malformed(detail).with_status(StatusCode::METHOD_NOT_ALLOWED.as_u16());
    Reply::problem(&problem, context.language).with(ALLOW, &format!("{allowed}, OPTIONS"))
}

fn doorkeeper<'a>(app: &'a App, context: &Context) -> Doorkeeper<'a> {
    Doorkeeper { nonces: &app.nonces, urls: &app.urls, authority: &app.authority, now: context.now }
}

/// The JWS of a POST.
async fn presented(app: &App, url: &str, request: Arrived, context: &Context) -> Result<Presented, Error> {
    // RFC 8555 §6.2: application/jose+json, else 415.
    if request::media_type(&request.head.headers).as_deref() != Some("application/jose+json") {
        let detail = "the request's Content-Type must be application/jose+json";
        return Err(Problem::malformed(detail).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16()).into());
    }
    let body = request::body(request.body, app.settings.body_size, app.settings.body_timeout).await?;
    doorkeeper(app, context).presented(&body, url)
}

/// Answers GET and HEAD.
async fn read(app: &App, route: Route, request: &Arrived, context: &Context) -> Result<Reply, Error> {
    match route {
        Route::Directory(door) => Ok(directory::reply(app, door)),
        Route::NewNonce => Ok(directory::new_nonce(request.head.method == Method::HEAD)),
        Route::RenewalInfo(name) => settled(app, renewal::reply(app, &name, context)).await,
        Route::Terms => terms::terms(app),
        Route::TermsPage(id) => settled(app, terms::page(app, id, context)).await,
        Route::ErrorPage(name) => pages::error_page(&name, context),
        Route::ExplanationPage(name) => pages::explanation_page(&name, context),
        // `Route::methods` lets no other be read.
        Route::NewAccount(_)
        | Route::NewOrder(_)
        | Route::NewAuthorization(_)
        | Route::RevokeCertificate
        | Route::KeyChange
        | Route::Account(_)
        | Route::Orders(..)
        | Route::Order(_)
        | Route::Finalize(_)
        | Route::Authorization(_)
        | Route::Challenge(_)
        | Route::Certificate(_)
        | Route::AlternateChain(..)
        | Route::OfOrganisation(..) => Err(Refusal::NotFound.into()),
    }
}

/// Answers a signed POST. Each handler takes the proof that it needs, so none runs without.
async fn posted(app: &App, route: Route, presented: Presented, context: &Context) -> Result<Reply, Error> {
    let keeper = doorkeeper(app, context);
    match route {
        // RFC 8555 §6.3: directory and newNonce take POST-as-GET, too.
        Route::Directory(door) => {
            keeper.by_account(presented).await?.read_only()?;
            Ok(directory::reply(app, door))
        }
        Route::NewNonce => {
            keeper.by_account(presented).await?.read_only()?;
            Ok(directory::new_nonce(false))
        }
        Route::NewAccount(door) => accounts::create(app, &keeper.by_key(presented)?, door, context).await,
        Route::NewOrder(door) => orders::create(app, &keeper.by_account(presented).await?, door, context).await,
        Route::NewAuthorization(door) => {
            authorizations::create(app, &keeper.by_account(presented).await?, door, context).await
        }
        Route::RevokeCertificate => revocations::revoke(app, keeper.by_either(presented).await?, context).await,
        Route::KeyChange => accounts::change_key(app, &keeper.by_account(presented).await?, context).await,
        Route::Account(id) => accounts::account(app, &keeper.by_account(presented).await?, id, context).await,
        Route::Orders(id, cursor) => {
            let page = (id, cursor.as_ref());
            accounts::orders(app, &keeper.by_account(presented).await?, page, context).await
        }
        Route::Order(id) => orders::order(app, &keeper.by_account(presented).await?, id, context).await,
        Route::Finalize(id) => orders::finalize(app, &keeper.by_account(presented).await?, id, context).await,
        Route::Authorization(id) => {
            authorizations::authorization(app, &keeper.by_account(presented).await?, id, context).await
        }
        Route::Challenge(id) => authorizations::challenge(app, &keeper.by_account(presented).await?, id, context).await,
        Route::Certificate(id) => certificates::download(app, &keeper.by_account(presented).await?, id, 0).await,
        Route::AlternateChain(id, chain) => {
            certificates::download(app, &keeper.by_account(presented).await?, id, usize::from(chain)).await
        }
        Route::OfOrganisation(id, resource) => {
            let signed = keeper.by_account(presented).await?;
            organisation::answer(app, &signed, id, &resource, context).await
        }
        // `Route::methods` lets no POST through to these, and the terms' form is no JWS.
        Route::RenewalInfo(_)
        | Route::Terms
        | Route::TermsPage(_)
        | Route::ErrorPage(_)
        | Route::ExplanationPage(_) => Err(Refusal::NotFound.into()),
    }
}
