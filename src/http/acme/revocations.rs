//! Revocation (RFC 8555 §7.6).

use hyper::StatusCode;

use crate::acme::messages::Revocation;
use crate::authority::Revoker;
use crate::http::app::App;
use crate::http::authenticate::Sender;
use crate::http::pipeline::Context;
use crate::http::reply::{Error, Reply};

/// revokeCert, by an account or by the certificate's key.
pub(super) async fn revoke(app: &App, sender: Sender, context: &Context) -> Result<Reply, Error> {
    let (revoker, request): (Revoker, Revocation) = match &sender {
        Sender::Account(signed) => (Revoker::Account(Box::new(signed.sender().clone())), signed.object()?),
        Sender::Key(signed) => (Revoker::Key(signed.sender().public_key().clone()), signed.object()?),
    };
    let reason = request.reason_code()?;
    app.authority.revoke(&revoker, &request.certificate, reason, context.now).await?;
    // RFC 8555 §7.6: 200 and nothing else.
    Ok(Reply::empty(StatusCode::OK))
}
