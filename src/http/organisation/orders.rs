//! The orders of an organisation's accounts. Each is read at its own URL, with `progress`.

use hyper::StatusCode;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::lists::Filters;
use super::{Asked, malformed};
use crate::acme::messages::OrdersList;
use crate::acme::route::{ListQuery, OrganisationResource as R};
use crate::acme::status::OrderStatus;
use crate::http::reply::{Error, Reply};

/// A page of orders.
pub(super) async fn list(asked: &Asked<'_>, query: &ListQuery) -> Result<Reply, Error> {
    asked.signed.read_only()?;
    let filters = Filters::of(query, &["status"])?;
    let status = filters.text("status").map(order_status).transpose()?;
    let (after, now) = (filters.cursor()?, asked.context.now);
    let page = asked.app.authority.organisation_orders(asked.account(), asked.id, status, after, now).await?;
    let orders = page.items.into_iter().map(|order| asked.urls().order(order)).collect();
    let reply = Reply::json(StatusCode::OK, &OrdersList { orders });
    Ok(asked.linked(reply, page.next, query, R::Orders))
}

fn order_status(word: &str) -> Result<OrderStatus, Error> {
    let word: StrDeserializer<'_, ValueError> = word.into_deserializer();
    OrderStatus::deserialize(word)
        .map_err(|_| malformed("status is one of pending, ready, processing, valid and invalid"))
}
