//! Renewal information (RFC 9773): public, so that clients can ask without a key.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, RETRY_AFTER};

use super::pages;
use crate::acme::messages::{RenewalInfo, SuggestedWindow};
use crate::http::app::App;
use crate::http::pipeline::Context;
use crate::http::reply::{Error, Reply};

/// When to renew the certificate that `name` names.
pub(super) async fn reply(app: &App, name: &str, context: &Context) -> Result<Reply, Error> {
    let window = app.authority.renewal_info(name, context.now).await?;
    let info = RenewalInfo {
        suggested_window: SuggestedWindow { start: window.start, end: window.end },
        explanation_url: window.urgent.then(|| pages::revoked_url(&app.urls)).flatten(),
    };
    // RFC 9773 §4.3: Retry-After is when to ask again.
    Ok(Reply::json(StatusCode::OK, &info)
        .with(RETRY_AFTER, &window.retry_after.to_string())
        .with(CACHE_CONTROL, "no-cache"))
}
