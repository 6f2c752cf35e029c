//! Orders (RFC 8555 §7.4): created, read, finalized.

use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};

use super::payload;
use super::watch::Watch;
use crate::acme::identifier::RawIdentifier;
use crate::acme::messages::{Finalize, NewOrder, OrderObject, ProgressState, ProgressStep};
use crate::acme::route::Door;
use crate::acme::status::OrderStatus;
use crate::authority::{OrderRequest, OrderView};
use crate::http::app::App;
use crate::http::authenticate::Signed;
use crate::http::pipeline::Context;
use crate::http::problem_table;
use crate::http::rate_limits::Attempt;
use crate::http::reply::{Error, Reply};
use crate::model::{Account, Order, Progress};
use crate::names::OrderId;
use crate::store::{Kind, Read, Record as _};
use crate::time::Timestamp;

/// After how many seconds to ask again for an order that is being processed.
const ASK_AGAIN: &str = "1";

/// newOrder.
pub(super) async fn create(
    app: &App,
    signed: &Signed<Read<Account>>,
    door: Door,
    context: &Context,
) -> Result<Reply, Error> {
    let NewOrder { identifiers, not_before, not_after, replaces, profile, system_name: _ } = signed.object()?;
    let account = signed.sender();
    admit(app, account).await?;
    let request = OrderRequest { identifiers, not_before, not_after, profile, replaces, door };
    let view = app.authority.create_order(account, &request, context.now).await?;
    Ok(rendered(app, StatusCode::CREATED, &view, context))
}

/// The limits of the account, and of its organisation if it has one.
async fn admit(app: &App, account: &Read<Account>) -> Result<(), Error> {
    app.limiter.admit(Attempt::NewOrder(account.id))?;
    if app.limiter.is_on()
        && let Some(organisation) = app.authority.facts(account).await?.organisation
    {
        app.limiter.admit(Attempt::OrganisationOrder(organisation.id))?;
    }
    Ok(())
}

/// An order, read.
pub(super) async fn order(
    app: &App,
    signed: &Signed<Read<Account>>,
    id: OrderId,
    context: &Context,
) -> Result<Reply, Error> {
    let view = app.authority.order(signed.sender(), id, context.now).await?;
    signed.read_only()?;
    Ok(rendered(app, StatusCode::OK, &view, context))
}

/// finalize. It waits a moment for the certificate, so that most clients need not poll.
pub(super) async fn finalize(
    app: &App,
    signed: &Signed<Read<Account>>,
    id: OrderId,
    context: &Context,
) -> Result<Reply, Error> {
    let owned = app.authority.order(signed.sender(), id, context.now);
    let Finalize { csr } = payload(signed.object(), owned).await?;
    app.authority.finalize(signed.sender(), id, &csr, context.now).await?;
    let view = processed(app, signed.sender(), id).await?;
    Ok(rendered(app, StatusCode::OK, &view, context))
}

/// The order, as soon as it is no longer being processed, or as it is when the time is up.
async fn processed(app: &App, account: &Read<Account>, id: OrderId) -> Result<OrderView, Error> {
    let mut watch = Watch::begin(app, Kind::Order, Order::key(&id), app.settings.finalize_wait);
    loop {
        let late = !watch.changed(app).await?;
        let view = app.authority.order(account, id, app.clock.now()).await?;
        if view.status != OrderStatus::Processing || late {
            return Ok(view);
        }
    }
}

fn rendered(app: &App, status: StatusCode, view: &OrderView, context: &Context) -> Reply {
    let object = object(app, view, context);
    let reply = Reply::json(status, &object).with(LOCATION, &app.urls.order(view.order.id));
    match view.status {
        // RFC 8555 §7.4: Retry-After tells when to ask again; whole seconds, since some clients read nothing else.
        OrderStatus::Processing => reply.with(RETRY_AFTER, ASK_AGAIN),
        OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Valid | OrderStatus::Invalid => reply,
    }
}

fn object(app: &App, view: &OrderView, context: &Context) -> OrderObject {
    let order = &view.order;
    OrderObject {
        status: view.status,
        expires: Some(order.expires),
        // Exactly what was ordered: stock clients compare.
        identifiers: order.identifiers.iter().map(RawIdentifier::from).collect(),
        not_before: order.not_before.map(|time| time.to_string()),
        not_after: order.not_after.map(|time| time.to_string()),
        profile: Some(order.profile.to_string()),
        replaces: order.replaces.clone(),
        system_name: None,
        error: view.failure.as_ref().map(|failure| problem_table::failure(failure, &app.urls, context.language)),
        authorizations: order.authorizations.iter().map(|id| app.urls.authorization(*id)).collect(),
        finalize: app.urls.finalize(order.id),
        certificate: match order.progress {
            Progress::Issued { certificate, .. } => Some(app.urls.certificate(certificate)),
            Progress::Open | Progress::Processing { .. } | Progress::Failed { .. } => None,
        },
        organization_authorization: order.organisation_authorization.map(|id| app.urls.authorization(id)),
        progress: steps(view),
    }
}

/// Where the order stands, for a person.
fn steps(view: &OrderView) -> Vec<ProgressStep> {
    use ProgressState as S;
    let order = &view.order;
    let (domains, finalized, issued) = match (&order.progress, view.status) {
        (Progress::Issued { at, .. }, _) => ((S::Done, None), (S::Done, None), (S::Done, Some(*at))),
        (Progress::Processing { since, .. }, _) => ((S::Done, None), (S::Done, Some(*since)), (S::Underway, None)),
        (Progress::Failed { at, .. }, _) => ((S::Done, None), (S::Done, None), (S::Failed, Some(*at))),
        (Progress::Open, OrderStatus::Invalid) => ((S::Failed, None), (S::Waiting, None), (S::Waiting, None)),
        (Progress::Open, OrderStatus::Ready) => ((S::Done, None), (S::Underway, None), (S::Waiting, None)),
        (Progress::Open, OrderStatus::Pending | OrderStatus::Processing | OrderStatus::Valid) => {
            ((S::Underway, None), (S::Waiting, None), (S::Waiting, None))
        }
    };
    let step =
        |name: &str, (state, at): (ProgressState, Option<Timestamp>)| ProgressStep { step: name.to_owned(), state, at };
    vec![
        step("received", (S::Done, Some(order.created))),
        // An order is made only for an organisation in good standing.
        step("organization", (S::Done, Some(order.created))),
        step("domains", domains),
        step("finalized", finalized),
        step("issued", issued),
    ]
}
