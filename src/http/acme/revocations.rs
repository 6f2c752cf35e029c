//! Revocation (RFC 8555 §7.6).

use hyper::StatusCode;
use serde_json::Value;

use crate::acme::messages::Revocation;
use crate::authority::Revoker;
use crate::http::app::App;
use crate::http::authenticate::Sender;
use crate::http::pipeline::Context;
use crate::http::reply::{Error, Reply};
use crate::model::Refusal;

/// How much of a reason that is none is shown.
const LONGEST_SHOWN: usize = 20;

/// revokeCert, by an account or by the certificate's key.
pub(super) async fn revoke(app: &App, sender: Sender, context: &Context) -> Result<Reply, Error> {
    let (revoker, request): (Revoker, Revocation) = match &sender {
        Sender::Account(signed) => (Revoker::Account(Box::new(signed.sender().clone())), signed.object()?),
        Sender::Key(signed) => (Revoker::Key(signed.sender().public_key().clone()), signed.object()?),
    };
    let reason = request.reason_code().map_err(no_reason)?;
    app.authority.revoke(&revoker, &request.certificate, reason, context.now).await?;
    // RFC 8555 §7.6: 200 and nothing else.
    Ok(Reply::empty(StatusCode::OK))
}

/// What was sent as a reason and is none.
pub(in crate::http) fn no_reason(sent: &Value) -> Refusal {
    let reason = sent.to_string().chars().take(LONGEST_SHOWN).collect();
    Refusal::BadRevocationReason { reason }
}
