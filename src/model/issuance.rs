//! The two proofs without which nothing is issued: that an order may be issued now ([`AuthorizedOrder`]), and that a
//! certificate request fits it ([`MatchedRequest`]). Each is made by the check that it stands for and lives within one
//! step; the worker makes both anew from the stored facts just before it prepares a certificate, so that whatever
//! changed since finalize is caught.

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;

use super::policy::{Standing, product_fits, subject};
use super::profile::{Ends, ExtendedKeyUsage, Validity};
use super::{Authorization, Order, OrderSubject, Profile, Progress, Refusal, UnitRow};
use crate::acme::identifier::Identifier;
use crate::acme::status::{AuthorizationStatus, OrderStatus};
use crate::names::OrganisationIdentifier;
use crate::public_key::{KeyPolicy, PublicKey};
use crate::time::Timestamp;
use crate::x509::CertificateRequest;
use crate::x509::csr_rules;

/// The stored facts from which an order's right to a certificate follows.
#[derive(Debug, Clone, Copy)]
pub struct IssuanceFacts<'a> {
    /// The order.
    pub order: &'a Order,
    /// Its authorizations.
    pub authorizations: &'a [Authorization],
    /// The account and what stands behind it.
    pub standing: Standing<'a>,
    /// The profile, unless it was withdrawn.
    pub profile: Option<&'a Profile>,
    /// The unit's rows in force, from its own upwards.
    pub unit: &'a [UnitRow],
    /// The last second of the issuer's certificate.
    pub issuer_ends: Timestamp,
}

/// An order that may be issued: open or processing, every authorization valid, the account a member in force of a
/// verified organisation, names and profile within its limits, the unit in the register.
#[derive(Debug, Clone)]
pub struct AuthorizedOrder {
    order: Order,
    profile: Profile,
    subject: OrderSubject,
    validity: Validity,
    organisation: OrganisationIdentifier,
}

impl AuthorizedOrder {
    /// The order.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The certificate's subject, from the register.
    pub fn subject(&self) -> &OrderSubject {
        &self.subject
    }

    /// The certificate's validity if it is issued now.
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

/// Checks that an order may be issued at `now`.
pub fn authorized(facts: IssuanceFacts<'_>, now: Timestamp) -> Result<AuthorizedOrder, Refusal> {
    let order = facts.order;
    let limits = facts.standing.limits(now)?;
    let organisation = facts.standing.organisation.ok_or(Refusal::NotAMember)?;
    if let Some(void) = facts.standing.void().filter(|void| order.created <= void.before) {
        return Err(Refusal::OrderVoid { reason: void.reason.clone() });
    }
    ready(order, facts.authorizations, now)?;
    // draft-ietf-acme-profiles §4: finalizing under a profile that is no longer offered is invalidProfile.
    let profile = limits.profile(Some(order.profile.as_str()))?;
    let profile = facts
        .profile
        .filter(|found| found.name == profile)
        .ok_or_else(|| Refusal::ProfileNotAllowed { profile, allowed: limits.profiles.clone() })?;
    product_fits(profile, organisation)?;
    profile.admits(&order.identifiers)?;
    limits.admits(&order.identifiers)?;
    let subject = subject(organisation, &order.unit, facts.unit, &order.identifiers, now)?;
    let ends = Ends { unit: subject.unit_ends, issuer: facts.issuer_ends };
    let validity = profile.validity(order.not_before, order.not_after, ends, now)?;
    Ok(AuthorizedOrder {
        order: order.clone(),
        profile: profile.clone(),
        subject,
        validity,
        organisation: OrganisationIdentifier::from(&organisation.business_id),
    })
}

/// Nothing, if the order waits to be finalized or was, and all its authorizations are valid.
fn ready(order: &Order, authorizations: &[Authorization], now: Timestamp) -> Result<(), Refusal> {
    let statuses: Vec<_> = authorizations.iter().map(|authorization| authorization.status(now)).collect();
    match &order.progress {
        Progress::Open => match order.status(&statuses, None, now) {
            OrderStatus::Ready => Ok(()),
            status => Err(Refusal::OrderNotReady { status }),
        },
        Progress::Processing { since, .. } => {
            // An authorization counts as it stood when the order was finalized: only its holder can end it after that.
            let ended = authorizations.iter().map(|a| a.status(*since)).find(|s| *s != AuthorizationStatus::Valid);
            match ended {
                Some(status) => Err(Refusal::AuthorizationEnded { status }),
                None => Ok(()),
            }
        }
        Progress::Issued { .. } => Err(Refusal::OrderNotReady { status: OrderStatus::Valid }),
        Progress::Failed { .. } => Err(Refusal::OrderNotReady { status: OrderStatus::Invalid }),
    }
}

/// What the store knows of a request's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFacts {
    /// Some account has it.
    pub of_an_account: bool,
    /// It may not be certified.
    pub blocked: bool,
}

/// A certificate request that fits its order.
#[derive(Debug, Clone)]
pub struct MatchedRequest {
    key: PublicKey,
}

impl MatchedRequest {
    /// The key to certify: the only thing that is taken from the request.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// Checks a request against its order (RFC 8555 §7.4).
pub fn matching(
    order: &AuthorizedOrder,
    request: &CertificateRequest,
    key: KeyFacts,
) -> Result<MatchedRequest, Refusal> {
    let bad = |why: String| Err(Refusal::BadCsr { why });
    if let Err(refusal) = csr_rules::check(request, &usages(&order.profile)) {
        return bad(refusal.to_string());
    }
    if let Err(why) = names_match(order, request) {
        return bad(why);
    }
    if let Err(error) = request.public_key().judge(&key_policy(&order.profile)) {
        return bad(format!("the key of the certificate request is not accepted: {error}"));
    }
    if key.of_an_account {
        // RFC 8555 §11.1: a certified key is no account's key.
        return bad("the certificate request has the key of an ACME account; make a key of its own".into());
    }
    if key.blocked {
        return bad("the key of the certificate request is known to be disclosed; make a new one".into());
    }
    Ok(MatchedRequest { key: request.public_key().clone() })
}

// RFC 8555 §7.4: the request indicates exactly the same set of identifiers as the order.
fn names_match(order: &AuthorizedOrder, request: &CertificateRequest) -> Result<(), String> {
    let ordered: BTreeSet<Identifier> = order.order.identifiers.dns().cloned().collect();
    let asked = request.identifiers();
    let list = |names: Vec<&Identifier>| names.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let extra: Vec<_> = asked.difference(&ordered).collect();
    if !extra.is_empty() {
        return Err(format!("the certificate request names {}, which the order does not", list(extra)));
    }
    let missing: Vec<_> = ordered.difference(&asked).collect();
    if !missing.is_empty() {
        return Err(format!("the certificate request lacks {}, which the order names", list(missing)));
    }
    // The subject comes from the register, but a request for another organisation is a mistake worth telling.
    match request.organisation_identifiers().find(|id| *id != order.organisation.as_str()) {
        Some(other) => Err(format!(
            "the certificate request names the organisation {}; this account's is {}",
            other.chars().take(64).collect::<String>(),
            order.organisation
        )),
        None => Ok(()),
    }
}

fn usages(profile: &Profile) -> Vec<ObjectIdentifier> {
    profile.extended_key_usage.iter().map(|usage| usage.oid()).collect()
}

fn key_policy(profile: &Profile) -> KeyPolicy {
    KeyPolicy::allowing(profile.keys.iter().copied())
}

impl ExtendedKeyUsage {
    /// Its OID.
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            ExtendedKeyUsage::ServerAuth => const_oid::db::rfc5280::ID_KP_SERVER_AUTH,
            ExtendedKeyUsage::ClientAuth => const_oid::db::rfc5280::ID_KP_CLIENT_AUTH,
        }
    }
}
