//! Certificate downloads (RFC 8555 §7.4.2).

use hyper::StatusCode;

use crate::http::app::App;
use crate::http::authenticate::Signed;
use crate::http::reply::{Error, Reply};
use crate::model::{Account, Refusal};
use crate::names::CertificateId;
use crate::store::Read;
use crate::x509::pem;

/// A certificate with its `wanted`th chain; 0 is the default one.
pub(super) async fn download(
    app: &App,
    signed: &Signed<Read<Account>>,
    id: CertificateId,
    wanted: usize,
) -> Result<Reply, Error> {
    let (certificate, der) = app.authority.certificate(signed.sender(), id).await?;
    let chains = app.status.chains(&certificate.issuer);
    let chain = chains.get(wanted).ok_or(Refusal::NotFound)?;
    signed.read_only()?;
    // RFC 8555 §9.1 and RFC 7468: strict PEM, leaf first, no text and no blank line between certificates.
    let pem: String = std::iter::once(der.as_slice())
        .chain(chain.iter().copied())
        .map(|certificate| pem::encoded("CERTIFICATE", certificate))
        .collect();
    let mut reply = Reply::content(StatusCode::OK, "application/pem-certificate-chain", pem);
    // RFC 8555 §7.4.2: other chains are linked by "alternate".
    for number in (0..chains.len()).filter(|number| *number != wanted) {
        let url = match u16::try_from(number) {
            Ok(0) | Err(_) => app.urls.certificate(id),
            Ok(number) => app.urls.alternate_chain(id, number),
        };
        reply = reply.link(&url, "alternate");
    }
    Ok(reply)
}
