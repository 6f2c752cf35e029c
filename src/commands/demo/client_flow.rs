//! The demo's client: what a hospital's server does with its invitation, and what a relying service sees of it afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::steps::Steps;
use crate::acme::jws_algorithm::JwsAlgorithm;
use crate::acme::jws_signing::AccountKey;
use crate::client::relying_service::{
    OcspAnswer, OcspMethod, OcspStatus, RelyingService, RevocationList, VerifiedChain,
};
use crate::client::{
    Account, CertificateChain, CertificateKey, Client, Error, ExternalAccount, Http01Responder, HttpVersion, KeyKind,
    Order, OrderRequest, Registration, Result, Transport, certificate_request,
};
use crate::names::RevocationReason;
use crate::time::{Clock, SystemClock, Timestamp};

/// A revocation is published at once; longer than this is a fault.
const PUBLICATION_LIMIT: Duration = Duration::from_secs(5);

/// What the client was told by those who invited it.
pub(super) struct Invited {
    /// The server's directory.
    pub directory: String,
    /// The invitation.
    pub external_account: ExternalAccount,
    /// The root of the server's own HTTPS certificate, PEM.
    pub tls_root: Vec<u8>,
    /// The root of the certificates that it issues, PEM.
    pub issuer_root: Vec<u8>,
    /// The name to be certified.
    pub name: String,
    /// Who shows the proof of the name.
    pub responder: Http01Responder,
}

/// What the client has in the end.
pub(super) struct Obtained {
    /// The certificate with its chain.
    pub chain: CertificateChain,
    /// Its key.
    pub key: CertificateKey,
}

/// How a relying service sees a certificate: the CRL of every level, then OCSP by every method.
struct Seen {
    lists: Vec<RevocationList>,
    answers: Vec<OcspAnswer>,
}

/// The whole way. Everything that was promised is checked; the first promise that is not kept is the error.
pub(super) async fn run(steps: &Steps, invited: &Invited) -> Result<Obtained> {
    let transport = Transport::trusting(&invited.tls_root, HttpVersion::Http2)?;
    steps.chapter("A server of the organisation gets its certificate");
    let discovery = Client::discover(transport.clone(), &invited.directory);
    let client = steps.step("read the directory", discovery, |client| client.directory_url().to_owned()).await?;
    let account = registered(steps, &client, invited).await?;
    let mut order = ordered(steps, &account, invited).await?;
    let key = CertificateKey::generate(KeyKind::EcP256)?;
    let finalized = finalized(&mut order, &key, &invited.name);
    steps
        .step("finalize with a certificate request", finalized, |status| format!("order {status:?}").to_lowercase())
        .await?;
    let downloaded = order.certificate();
    let chain = steps.step("download the certificate", downloaded, serial).await?;

    steps.chapter("A relying service looks at it");
    let service = RelyingService::trusting(&invited.issuer_root, transport)?;
    let verified = verified(&service, &chain, &invited.name);
    let trusted = steps.step("verify the chain to the root", verified, levels).await?;
    let seen = seen(steps, &service, &trusted).await?;
    good(&seen)?;

    steps.chapter("The certificate is no longer needed");
    let revocation = account.revoke(chain.leaf(), Some(RevocationReason::CessationOfOperation.code()));
    steps.step("revoke the certificate", revocation, |()| "reason: cessation of operation".to_owned()).await?;
    let published = published(&service, &trusted);
    steps.step("wait until the CRL is published anew", published, |number| format!("CRL number {number}")).await?;
    let seen = self::seen(steps, &service, &trusted).await?;
    revoked(&seen)?;
    Ok(Obtained { chain, key })
}

async fn registered(steps: &Steps, client: &Client, invited: &Invited) -> Result<Account> {
    let key = AccountKey::generate(JwsAlgorithm::Es256).map_err(|error| Error::Local(error.to_string()))?;
    let registration = Registration {
        contact: vec!["mailto:tuki@sairaala.test".to_owned()],
        terms_agreed: true,
        external_account: Some(invited.external_account.clone()),
    };
    let registering = client.register(Arc::new(key), &registration);
    steps.step("register with the invitation's credentials", registering, |account| account.url().to_owned()).await
}

async fn ordered(steps: &Steps, account: &Account, invited: &Invited) -> Result<Order> {
    let request = OrderRequest::of_names([invited.name.as_str()]);
    let mut order = steps.step("place an order", account.order(&request), |order| order.url().to_owned()).await?;
    let proving = order.authorize(&invited.responder);
    let where_shown = format!("http://{}/.well-known/acme-challenge/…", invited.name);
    steps.step("prove the name by http-01", proving, |()| where_shown).await?;
    Ok(order)
}

async fn finalized(order: &mut Order, key: &CertificateKey, name: &str) -> Result<crate::acme::status::OrderStatus> {
    order.finalize(&certificate_request(key, &[name])?).await?;
    order.wait_until_issued().await?;
    Ok(order.status())
}

async fn verified(service: &RelyingService, chain: &CertificateChain, name: &str) -> Result<VerifiedChain> {
    service.verified(chain.certificates(), name, now())
}

/// Waits until the serial number stands in the certificate's CRL, which is published at once after a revocation, and gives back
/// that CRL's number.
async fn published(service: &RelyingService, chain: &VerifiedChain) -> Result<u64> {
    let begin = Instant::now();
    loop {
        let lists = service.revocation_lists(chain, now()).await?;
        if let Some(list) = lists.first().filter(|list| list.entry.is_some()) {
            return Ok(list.number.iter().fold(0, |number, octet| (number << 8) | u64::from(*octet)));
        }
        if begin.elapsed() > PUBLICATION_LIMIT {
            return Err(Error::Untrusted("the revoked certificate does not appear in its CRL".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn seen(steps: &Steps, service: &RelyingService, chain: &VerifiedChain) -> Result<Seen> {
    let mut answers = Vec::new();
    for (what, method) in [
        ("ask OCSP by POST with a nonce", OcspMethod::PostWithNonce),
        ("ask OCSP by GET, as caches do", OcspMethod::Get),
    ] {
        answers.push(steps.step(what, service.ocsp(chain, method, now()), told).await?);
    }
    let lists = steps
        .step("fetch the CRL of every level", service.revocation_lists(chain, now()), |lists| listed(lists))
        .await?;
    Ok(Seen { lists, answers })
}

fn good(seen: &Seen) -> Result<()> {
    match seen.answers.iter().all(|answer| answer.status == OcspStatus::Good)
        && seen.lists.iter().all(|list| list.entry.is_none())
    {
        true => Ok(()),
        false => Err(Error::Untrusted("the new certificate is not good everywhere".to_owned())),
    }
}

fn revoked(seen: &Seen) -> Result<()> {
    let by_ocsp = seen.answers.iter().all(|answer| matches!(answer.status, OcspStatus::Revoked { .. }));
    let (own, above) = seen.lists.split_first().ok_or_else(|| Error::Untrusted("no CRL was found".to_owned()))?;
    match by_ocsp && own.entry.is_some() && above.iter().all(|list| list.entry.is_none()) {
        true => Ok(()),
        false => Err(Error::Untrusted("the revoked certificate is not revoked everywhere".to_owned())),
    }
}

fn serial(chain: &CertificateChain) -> String {
    chain.serial_number().map_or_else(|error| error.to_string(), |serial| format!("serial {serial}"))
}

fn levels(chain: &VerifiedChain) -> String {
    let names: Vec<_> = chain.links().iter().map(|link| common_name(&link.subject()).to_owned()).collect();
    names.join(" < ")
}

/// The CN of a subject as text, or the whole of it.
fn common_name(subject: &str) -> &str {
    subject.split(',').find_map(|part| part.trim().strip_prefix("CN=")).unwrap_or(subject)
}

fn told(answer: &OcspAnswer) -> String {
    match answer.status {
        OcspStatus::Good => "good".to_owned(),
        OcspStatus::Revoked { date, .. } => format!("revoked since {date}"),
        OcspStatus::Unknown => "unknown".to_owned(),
    }
}

fn listed(lists: &[RevocationList]) -> String {
    let of = |list: &RevocationList| {
        let entry = if list.entry.is_some() { "revoked" } else { "not on the list" };
        format!("{}: {entry}", common_name(&list.certificate))
    };
    lists.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn now() -> Timestamp {
    SystemClock.now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_shown_by_its_common_name() {
        assert_eq!(common_name("CN=www.a.test,O=Sairaala,C=FI"), "www.a.test");
        assert_eq!(common_name("O=Sairaala"), "O=Sairaala");
    }
}
