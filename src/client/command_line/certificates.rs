//! The commands about certificates.

use super::account::read;
use super::arguments::{Order, ProofArguments, Renew, Revoke, Verify};
use super::{account, now, transport};
use crate::acme::renewal::RenewalId;
use crate::client::account::Account;
use crate::client::certificate_key::CertificateKey;
use crate::client::challenges::Responder;
use crate::client::dns_hook::DnsHook;
use crate::client::error::{Error, Result};
use crate::client::http01_responder::Http01Responder;
use crate::client::order::OrderRequest;
use crate::client::relying_service::{Link, OcspMethod, OcspStatus, RelyingService};
use crate::client::state_directory::{KnownCertificate, StateDirectory};
use crate::client::tls_alpn01_responder::TlsAlpn01Responder;

/// Without advice of the server, a certificate is renewed when so much of its time is left.
const LAST_PART: i64 = 3;

pub(super) async fn order(state: &StateDirectory, wanted: Order) -> Result<()> {
    let account = account(state).await?;
    let responder = responder(&wanted.proof).await?;
    let first = wanted.names.first().map_or("", |name| name.trim_start_matches("*."));
    let name = wanted.cert_name.clone().unwrap_or_else(|| first.to_owned());
    let known = KnownCertificate { names: wanted.names, profile: wanted.profile, key: wanted.key };
    obtain(state, &account, &name, &known, None, responder.as_ref()).await
}

async fn responder(proof: &ProofArguments) -> Result<Box<dyn Responder>> {
    if let Some(program) = &proof.dns_hook {
        return Ok(Box::new(DnsHook::new(program)));
    }
    match proof.tls_alpn {
        Some(address) => Ok(Box::new(TlsAlpn01Responder::listen(address).await?)),
        None => Ok(Box::new(Http01Responder::listen(proof.http).await?)),
    }
}

async fn obtain(
    state: &StateDirectory,
    account: &Account,
    name: &str,
    known: &KnownCertificate,
    replaces: Option<&RenewalId>,
    responder: &dyn Responder,
) -> Result<()> {
    let mut request = OrderRequest::of_names(known.names.iter().map(String::as_str));
    if let Some(profile) = &known.profile {
        request = request.profile(profile);
    }
    if let Some(replaced) = replaces {
        request = request.replacing(replaced);
    }
    let key = CertificateKey::generate(known.key)?;
    let chain = account.obtain(&request, &key, responder).await?;
    let current = state.keep_certificate(name, known, &chain, &key)?;
    println!("{name}: certificate {} in {}", chain.serial_number()?, current.display());
    Ok(())
}

pub(super) async fn renew(state: &StateDirectory, wanted: Renew) -> Result<()> {
    let account = account(state).await?;
    let names = if wanted.names.is_empty() { state.certificate_names()? } else { wanted.names };
    let mut responder_at_work = None;
    let mut failures = 0;
    for name in &names {
        let due = wanted.force || is_due(state, &account, name).await?;
        if !due {
            println!("{name}: not due yet");
            continue;
        }
        if responder_at_work.is_none() {
            responder_at_work = Some(responder(&wanted.proof).await?);
        }
        let Some(responder) = &responder_at_work else { continue };
        if let Err(error) = renew_one(state, &account, name, responder.as_ref()).await {
            eprintln!("sote-client: {name}: {error}");
            failures += 1;
        }
    }
    match failures {
        0 => Ok(()),
        count => Err(Error::local(format!("{count} of {} certificates were not renewed", names.len()))),
    }
}

async fn renew_one(state: &StateDirectory, account: &Account, name: &str, responder: &dyn Responder) -> Result<()> {
    let known = state.known_certificate(name)?;
    // Only a server that gives renewal information understands `replaces` (RFC 9773 §5).
    let replaced = account.client().directory().renewal_info.as_ref().and(state.chain(name)?.renewal_id().ok());
    obtain(state, account, name, &known, replaced.as_ref(), responder).await
}

/// Whether the server advises to renew, or, without advice, whether the last part of the certificate's time has begun.
async fn is_due(state: &StateDirectory, account: &Account, name: &str) -> Result<bool> {
    let chain = state.chain(name)?;
    let (not_before, not_after) = Link::parsed(chain.leaf())?.validity();
    if account.client().directory().renewal_info.is_some() {
        let advice = account.client().renewal_advice(&chain.renewal_id()?).await?;
        if let Some(page) = &advice.info.explanation_url {
            println!("{name}: about the renewal window: {page}");
        }
        // RFC 9773 §4.2: at a random time within the window; a run of this program is as good a time as any in it.
        return Ok(now() >= advice.info.suggested_window.start);
    }
    Ok(not_after.since(now()) < not_after.since(not_before) / LAST_PART)
}

pub(super) async fn revoke(state: &StateDirectory, wanted: Revoke) -> Result<()> {
    let account = account(state).await?;
    let chain = state.chain(&wanted.name)?;
    if wanted.by_key {
        let key = state.certificate_key(&wanted.name)?;
        account.client().revoke_by_key(chain.leaf(), &key, wanted.reason).await?;
    } else {
        account.revoke(chain.leaf(), wanted.reason).await?;
    }
    println!("{}: certificate {} is revoked", wanted.name, chain.serial_number()?);
    Ok(())
}

pub(super) fn list(state: &StateDirectory) -> Result<()> {
    for name in state.certificate_names()? {
        let (known, chain) = (state.known_certificate(&name)?, state.chain(&name)?);
        let (_, not_after) = Link::parsed(chain.leaf())?.validity();
        let days = not_after.since(now()) / 86_400;
        println!("{name}: {} until {not_after} ({days} days): {}", chain.serial_number()?, known.names.join(", "));
    }
    Ok(())
}

pub(super) async fn verify(state: &StateDirectory, wanted: Verify) -> Result<()> {
    let root = read(&wanted.issuer_root)?;
    let (known, chain) = (state.known_certificate(&wanted.name)?, state.chain(&wanted.name)?);
    let service = RelyingService::trusting(root.as_bytes(), transport(state)?)?;
    let name = known.names.first().map_or("", String::as_str);
    let verified = service.verified(chain.certificates(), name, now())?;
    println!("chain: good, {} certificates up to \"{}\"", verified.links().len(), root_of(&verified.links()[1..]));
    let mut revoked = false;
    for list in service.revocation_lists(&verified, now()).await? {
        let entry = list.entry.as_ref().map_or("not on it".to_owned(), |entry| format!("revoked {}", entry.date));
        revoked |= list.entry.is_some();
        println!("CRL of \"{}\": {entry} ({} entries, until {})", list.certificate, list.length, list.next_update);
    }
    let answer = service.ocsp(&verified, OcspMethod::PostWithNonce, now()).await?;
    println!("OCSP: {:?}, as of {}", answer.status, answer.this_update);
    match answer.status {
        OcspStatus::Good if !revoked => Ok(()),
        OcspStatus::Good | OcspStatus::Revoked { .. } | OcspStatus::Unknown => {
            Err(Error::untrusted(format!("the certificate {} is not good", wanted.name)))
        }
    }
}

fn root_of(links: &[Link]) -> String {
    links.last().map(Link::subject).unwrap_or_default()
}
