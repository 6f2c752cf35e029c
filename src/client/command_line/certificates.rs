//! The commands about certificates.

use serde_json::{Value, json};

use super::account::read;
use super::arguments::{Obtain, ProofArguments, Renew, Revoke, Verify};
use super::report::{Ending, Report};
use super::terminal::{Progress, progress};
use super::{account, now, organisation_certificates, transport, word};
use crate::acme::messages::{OrderObject, ProgressState};
use crate::acme::renewal::RenewalId;
use crate::client::account::Account;
use crate::client::certificate_key::CertificateKey;
use crate::client::challenges::Responder;
use crate::client::csr::certificate_request;
use crate::client::dns_hook::DnsHook;
use crate::client::error::{Error, Result};
use crate::client::http01_responder::Http01Responder;
use crate::client::order::OrderRequest;
use crate::client::relying_service::{Link, OcspMethod, OcspStatus, RelyingService};
use crate::client::state_directory::{KnownCertificate, StateDirectory};
use crate::client::tls_alpn01_responder::TlsAlpn01Responder;

/// Without advice of the server, a certificate is renewed when so much of its time is left.
const LAST_PART: i64 = 3;

pub(super) async fn obtain(state: &StateDirectory, wanted: Obtain) -> Result<Report> {
    let account = account(state).await?;
    let responder = responder(&wanted.proof).await?;
    let first = wanted.names.first().map_or("", |name| name.trim_start_matches("*."));
    let name = wanted.cert_name.clone().unwrap_or_else(|| first.to_owned());
    let known = KnownCertificate {
        names: wanted.names,
        unit: wanted.unit.map(|unit| unit.to_string()),
        profile: wanted.profile,
        key: wanted.key,
    };
    let kept = obtained(state, &account, &name, &known, None, responder.as_ref()).await?;
    Report::done(kept.0, &kept.1)
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

/// Orders, proves, finalizes, waits and keeps the certificate as `name`: what is to be told of it, for people and for programs.
async fn obtained(
    state: &StateDirectory,
    account: &Account,
    name: &str,
    known: &KnownCertificate,
    replaces: Option<&RenewalId>,
    responder: &dyn Responder,
) -> Result<(String, Value)> {
    let mut request = OrderRequest::of_names(known.names.iter().map(String::as_str));
    if let Some(unit) = &known.unit {
        request = request.and("sote-unit", unit);
    }
    if let Some(profile) = &known.profile {
        request = request.profile(profile);
    }
    if let Some(replaced) = replaces {
        request = request.replacing(replaced);
    }
    let key = CertificateKey::generate(known.key)?;
    let mut order = account.order(&request).await?;
    progress(&format!("{name}: order {}", order.url()));
    order.authorize(responder).await?;
    let names: Vec<_> = order.dns_names().map(str::to_owned).collect();
    order.finalize(&certificate_request(&key, &names)?).await?;
    let mut told = Progress::default();
    order.wait_until_issued_showing(&mut |order| told.tell(format!("{name}: {}", steps(order)))).await?;
    let chain = order.certificate().await?;
    let current = state.keep_certificate(name, known, &chain, &key)?;
    let (serial, current) = (chain.serial_number()?.to_string(), current.display().to_string());
    let text = format!("{name}: certificate {serial} in {current}");
    Ok((text, json!({ "name": name, "serial": serial, "directory": current, "names": known.names })))
}

/// Where an order stands: its status and the step that it is in.
pub(super) fn steps(order: &OrderObject) -> String {
    let status = word(order.status);
    let current = order.progress.iter().rev().find(|step| step.state != ProgressState::Waiting);
    current.map_or(status.clone(), |step| format!("{status} ({} {})", step.step, word(step.state)))
}

pub(super) async fn renew(state: &StateDirectory, wanted: Renew) -> Result<Report> {
    let account = account(state).await?;
    let names = if wanted.names.is_empty() { state.certificate_names()? } else { wanted.names };
    let mut responder_at_work = None;
    let (mut lines, mut documents, mut failures) = (Vec::new(), Vec::new(), 0);
    for name in &names {
        let due = wanted.force || is_due(state, &account, name).await?;
        if !due {
            lines.push(format!("{name}: not due yet"));
            documents.push(json!({ "name": name, "renewed": false }));
            continue;
        }
        if responder_at_work.is_none() {
            responder_at_work = Some(responder(&wanted.proof).await?);
        }
        let Some(responder) = &responder_at_work else { continue };
        match renewed(state, &account, name, responder.as_ref()).await {
            Ok((line, mut document)) => {
                document["renewed"] = true.into();
                lines.push(line);
                documents.push(document);
            }
            Err(error) => {
                progress(&format!("sote-client: {name}: {error}"));
                documents.push(json!({ "name": name, "renewed": false, "error": error.to_string() }));
                failures += 1;
            }
        }
    }
    if failures == names.len() && failures > 0 {
        return Err(Error::local(format!("{failures} of {failures} certificates were not renewed")));
    }
    let ending = if failures == 0 { Ending::Done } else { Ending::InPart };
    Ok(Report::done(lines.join("\n"), &json!({ "certificates": documents }))?.ending(ending))
}

async fn renewed(
    state: &StateDirectory,
    account: &Account,
    name: &str,
    responder: &dyn Responder,
) -> Result<(String, Value)> {
    let known = state.known_certificate(name)?;
    // Only a server that gives renewal information understands `replaces` (RFC 9773 §5).
    let replaced = account.client().directory().renewal_info.as_ref().and(state.chain(name)?.renewal_id().ok());
    obtained(state, account, name, &known, replaced.as_ref(), responder).await
}

/// Whether the server advises to renew, or, without advice, whether the last part of the certificate's time has begun.
async fn is_due(state: &StateDirectory, account: &Account, name: &str) -> Result<bool> {
    let chain = state.chain(name)?;
    let (not_before, not_after) = Link::parsed(chain.leaf())?.validity();
    if account.client().directory().renewal_info.is_some() {
        let advice = account.client().renewal_advice(&chain.renewal_id()?).await?;
        if let Some(page) = &advice.info.explanation_url {
            progress(&format!("{name}: about the renewal window: {page}"));
        }
        // RFC 9773 §4.2: at a random time within the window; a run of this program is as good a time as any in it.
        return Ok(now() >= advice.info.suggested_window.start);
    }
    Ok(not_after.since(now()) < not_after.since(not_before) / LAST_PART)
}

pub(super) async fn revoke(state: &StateDirectory, wanted: Revoke) -> Result<Report> {
    let Some(name) = &wanted.name else {
        return organisation_certificates::revoke(state, wanted).await;
    };
    let account = account(state).await?;
    let chain = state.chain(name)?;
    if wanted.by_key {
        let key = state.certificate_key(name)?;
        account.client().revoke_by_key(chain.leaf(), &key, wanted.reason).await?;
    } else {
        account.revoke(chain.leaf(), wanted.reason).await?;
    }
    let serial = chain.serial_number()?.to_string();
    let text = format!("{name}: certificate {serial} is revoked");
    Report::done(text, &json!({ "name": name, "serial": serial, "revoked": true }))
}

pub(super) fn list(state: &StateDirectory) -> Result<Report> {
    let (mut lines, mut documents) = (Vec::new(), Vec::new());
    for name in state.certificate_names()? {
        let (known, chain) = (state.known_certificate(&name)?, state.chain(&name)?);
        let (_, not_after) = Link::parsed(chain.leaf())?.validity();
        let (serial, days) = (chain.serial_number()?.to_string(), not_after.since(now()) / 86_400);
        lines.push(format!("{name}: {serial} until {not_after} ({days} days): {}", known.names.join(", ")));
        let document = json!({ "name": name, "serial": serial, "notAfter": not_after, "names": known.names });
        documents.push(document);
    }
    Report::done(lines.join("\n"), &json!({ "certificates": documents }))
}

pub(super) async fn verify(state: &StateDirectory, wanted: Verify) -> Result<Report> {
    let root = read(&wanted.issuer_root)?;
    let (known, chain) = (state.known_certificate(&wanted.name)?, state.chain(&wanted.name)?);
    let service = RelyingService::trusting(root.as_bytes(), transport(state)?)?;
    let name = known.names.first().map_or("", String::as_str);
    let verified = service.verified(chain.certificates(), name, now())?;
    let levels = verified.links().len();
    let mut lines = vec![format!("chain: good, {levels} certificates up to \"{}\"", root_of(&verified.links()[1..]))];
    let mut revoked = false;
    for list in service.revocation_lists(&verified, now()).await? {
        let entry = list.entry.as_ref().map_or("not on it".to_owned(), |entry| format!("revoked {}", entry.date));
        revoked |= list.entry.is_some();
        let (length, next) = (list.length, list.next_update);
        lines.push(format!("CRL of \"{}\": {entry} ({length} entries, until {next})", list.certificate));
    }
    let answer = service.ocsp(&verified, OcspMethod::PostWithNonce, now()).await?;
    lines.push(format!("OCSP: {:?}, as of {}", answer.status, answer.this_update));
    match answer.status {
        OcspStatus::Good if !revoked => {
            Report::done(lines.join("\n"), &json!({ "name": wanted.name, "good": true, "seen": lines }))
        }
        OcspStatus::Good | OcspStatus::Revoked { .. } | OcspStatus::Unknown => {
            let seen = lines.join("; ");
            Err(Error::untrusted(format!("the certificate {} is not good: {seen}", wanted.name)))
        }
    }
}

fn root_of(links: &[Link]) -> String {
    links.last().map(Link::subject).unwrap_or_default()
}
