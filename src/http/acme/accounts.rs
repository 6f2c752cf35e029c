//! Accounts (RFC 8555 §7.3), their lists of orders (§7.1.2.1) and the change of their keys (§7.3.5).

use hyper::StatusCode;
use hyper::header::LOCATION;

use crate::acme::external_account::ExternalAccountBinding;
use crate::acme::jwk::Jwk;
use crate::acme::key_change::VerifiedKeyChange;
use crate::acme::messages::{AccountObject, AccountUpdate, NewAccount, OrdersList};
use crate::acme::problem::Problem;
use crate::acme::route::{Cursor, Door, OrganisationResource};
use crate::authority::{AccountOutcome, NewAccountRequest};
use crate::http::app::App;
use crate::http::authenticate::Signed;
use crate::http::pipeline::Context;
use crate::http::rate_limits::Attempt;
use crate::http::reply::{Error, Reply};
use crate::model::{Account, Refusal};
use crate::names::{AccountId, OrderId};
use crate::store::Read;

/// newAccount.
pub(super) async fn create(app: &App, signed: &Signed<Jwk>, door: Door, context: &Context) -> Result<Reply, Error> {
    let request: NewAccount = signed.object()?;
    let only_existing = request.only_return_existing == Some(true);
    let known = app.authority.account_by_key(&signed.sender().thumbprint()).await?.is_some();
    // RFC 8555 §7.3.1: for an existing account every other field is ignored, also a binding that is used up or broken.
    let binding = match &request.external_account_binding {
        Some(binding) if !known && !only_existing => {
            Some(ExternalAccountBinding::parse(binding, &signed.jws().header().url, signed.sender())?)
        }
        Some(_) | None => None,
    };
    if !known && !only_existing {
        app.limiter.admit(Attempt::NewAccount(context.address()))?;
    }
    let request = NewAccountRequest {
        key: signed.sender().clone(),
        contact: request.contact.unwrap_or_default(),
        terms_agreed: request.terms_of_service_agreed == Some(true),
        only_existing,
        binding,
        binding_required: door == Door::Server,
    };
    let (status, account) = match app.authority.create_account(request, context.now).await? {
        AccountOutcome::Created(account) => (StatusCode::CREATED, account),
        AccountOutcome::Existing(account) => (StatusCode::OK, account),
    };
    Ok(rendered(app, status, &account).await?.with(LOCATION, &app.urls.account(account.id)))
}

/// An account: read, changed or deactivated, by itself only.
pub(super) async fn account(
    app: &App,
    signed: &Signed<Read<Account>>,
    id: AccountId,
    context: &Context,
) -> Result<Reply, Error> {
    own(signed, id)?;
    if signed.is_read() {
        return rendered(app, StatusCode::OK, signed.sender()).await;
    }
    let update: AccountUpdate = signed.object()?;
    let account = app.authority.update_account(id, update.contact, update.deactivate, context.now).await?;
    rendered(app, StatusCode::OK, &account).await
}

/// A page of an account's orders.
pub(super) async fn orders(
    app: &App,
    signed: &Signed<Read<Account>>,
    (id, cursor): (AccountId, Option<&Cursor>),
    context: &Context,
) -> Result<Reply, Error> {
    own(signed, id)?;
    signed.read_only()?;
    let after = match cursor {
        Some(cursor) => Some(cursor.as_str().parse::<OrderId>().map_err(|_| Refusal::NotFound)?),
        None => None,
    };
    let (page, next) = app.authority.orders(signed.sender(), after, context.now).await?;
    let list = OrdersList { orders: page.into_iter().map(|order| app.urls.order(order)).collect() };
    let reply = Reply::json(StatusCode::OK, &list);
    // RFC 8555 §7.1.2.1: more pages are linked by "next".
    Ok(match next.and_then(|order| Cursor::parse(&order.to_string())) {
        Some(cursor) => reply.link(&app.urls.orders(id, Some(cursor)), "next"),
        None => reply,
    })
}

/// keyChange.
pub(super) async fn change_key(app: &App, signed: &Signed<Read<Account>>, context: &Context) -> Result<Reply, Error> {
    if signed.is_read() {
        return Err(Problem::malformed("a key change needs the inner JWS of the new key as its payload").into());
    }
    let change = VerifiedKeyChange::within(signed.jws())?;
    let account = app.authority.change_key(signed.sender().id, change.new_key().clone(), context.now).await?;
    rendered(app, StatusCode::OK, &account).await
}

/// Nothing, if the account asks about itself. Another's URL is an unknown URL to it.
fn own(signed: &Signed<Read<Account>>, id: AccountId) -> Result<(), Error> {
    if signed.sender().id == id { Ok(()) } else { Err(Refusal::NotFound.into()) }
}

// RFC 8555 §7.1.2: status and orders always; what was not recognised in the request is never reflected.
async fn rendered(app: &App, status: StatusCode, account: &Account) -> Result<Reply, Error> {
    let organisation = app.authority.organisation_of_account(account).await?;
    let object = AccountObject {
        status: account.status(),
        contact: account.contact.clone(),
        terms_of_service_agreed: account.terms.as_ref().map(|_| true),
        external_account_binding: account.binding.as_ref().map(|binding| binding.jws.clone()),
        orders: app.urls.orders(account.id, None),
        organization: organisation.map(|id| app.urls.of_organisation(id, OrganisationResource::Organisation)),
    };
    Ok(Reply::json(status, &object))
}
