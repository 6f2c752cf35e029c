//! Orders (RFC 8555 §7.4): admission, reading, the list, and finalize. What follows from a finalized order is the
//! worker's; this module leaves it in the store.

use super::verification::granted;
use super::{Attempt, Authority, Facts, Fault, OrderFacts, Result};
use crate::acme::identifier::{Identifier, IdentifierError, Identifiers, RawIdentifier};
use crate::acme::jwk::Thumbprint;
use crate::acme::route::Door;
use crate::acme::status::{AuthorizationStatus, OrderStatus};
use crate::model::audit::Act;
use crate::model::issuance::{self, AuthorizedOrder, IssuanceFacts, KeyFacts, MatchedRequest};
use crate::model::policy::{self, product_fits, subject};
use crate::model::profile::{Ends, Reuse};
use crate::model::{
    Account, Authorization, BlockedKey, Certificate, Deed, Failure, Limits, Order, Organisation, Origin, Profile,
    Progress, Refusal, TermsPage,
};
use crate::names::{AuthorizationId, OrderId, UnitOid};
use crate::store::index::{self, Index};
use crate::store::{Change, Range, Read};
use crate::time::Timestamp;
use crate::x509::CertificateRequest;

/// A newOrder request, its values as sent.
#[derive(Debug, Clone)]
pub struct OrderRequest {
    /// The identifiers.
    pub identifiers: Vec<RawIdentifier>,
    /// The requested notBefore.
    pub not_before: Option<String>,
    /// The requested notAfter.
    pub not_after: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// The certificate that is replaced, by its RFC 9773 identifier.
    pub replaces: Option<String>,
    /// By which directory it came: it tells which identifiers may be named.
    pub door: Door,
}

/// An order with what follows from the records around it.
#[derive(Debug, Clone)]
pub struct OrderView {
    /// The order.
    pub order: Order,
    /// Its status.
    pub status: OrderStatus,
    /// Why it is invalid, if it is.
    pub failure: Option<Failure>,
}

/// How many orders a page of the list has.
const PAGE: usize = 100;

impl Authority {
    /// Creates an order with its authorizations, in one commit.
    pub async fn create_order(
        &self,
        account: &Read<Account>,
        request: &OrderRequest,
        now: Timestamp,
    ) -> Result<OrderView> {
        let result = self.decide(|| self.try_create_order(account, request, now)).await;
        if let Err(error) = &result {
            let subject = request.identifiers.first().map_or("", |identifier| identifier.value.as_str());
            self.audit_refusal(account.id, Act::OrderCreated, shown(subject), error, now).await;
        }
        result
    }

    async fn try_create_order(
        &self,
        account: &Read<Account>,
        request: &OrderRequest,
        now: Timestamp,
    ) -> Result<Attempt<OrderView>> {
        let facts = self.facts(account).await?;
        let limits = facts.standing().limits(now)?;
        self.terms_are_current(account, facts.organisation.as_deref(), now).await?;
        let identifiers = self.ordered_identifiers(&request.identifiers, request.door)?;
        let profile_name = limits.profile(request.profile.as_deref())?;
        let profile = self.profile(&profile_name).ok_or_else(|| Refusal::ProfileNotAllowed {
            profile: profile_name.clone(),
            allowed: limits.profiles.clone(),
        })?;
        let organisation = facts.organisation.as_ref().ok_or(Refusal::NotAMember)?;
        product_fits(profile, organisation)?;
        profile.admits(&identifiers)?;
        limits.admits(&identifiers)?;
        policy::own_organisation(&identifiers, organisation)?;
        let unit = self.unit_of(&limits, &identifiers, organisation, now).await?;
        let rows = self.unit_rows(&unit, now).await?;
        let subject = subject(organisation, &unit, &rows, &identifiers, now)?;
        let (not_before, not_after) = (time(&request.not_before, "notBefore")?, time(&request.not_after, "notAfter")?);
        let ends = Ends { unit: subject.unit_ends, issuer: self.issuer_ends(profile)? };
        profile.validity(not_before, not_after, ends, now)?;

        let authorizations = self.authorizations_for(account, organisation, &identifiers, profile, now).await?;
        let order = Order {
            id: OrderId::mint(now),
            account: account.id,
            organisation: organisation.id,
            unit,
            organisation_authorization: organisation_authorization(account, organisation, &authorizations),
            authorizations: authorizations.iter().map(Taken::id).collect(),
            profile: profile_name,
            not_before,
            not_after,
            replaces: request.replaces.clone(),
            created: now,
            expires: now.plus(self.settings.order_lifetime),
            progress: Progress::Open,
            identifiers,
        };
        let mut changes = facts.expected();
        changes.push(Change::insert(&order));
        changes.extend(authorizations.iter().map(Taken::change));
        if let Some(replaces) = &request.replaces {
            changes.extend(self.replacement_claim(replaces, &order, now).await?);
        }
        let statuses: Vec<_> = authorizations.iter().map(|taken| taken.status(now)).collect();
        let view = OrderView { status: order.status(&statuses, None, now), order, failure: None };
        self.commit(changes, view).await
    }

    /// The unit of an order: the one that it names, the invitation's, or the only one that the organisation has.
    async fn unit_of(
        &self,
        limits: &Limits,
        identifiers: &Identifiers,
        organisation: &Organisation,
        now: Timestamp,
    ) -> Result<UnitOid> {
        match limits.unit(identifiers.unit()) {
            // Only what no invitation narrows may be found in the register.
            Err(Refusal::UnitNotResolvable) if limits.units.is_none() => {
                Ok(self.only_unit(organisation, now).await?.ok_or(Refusal::UnitNotResolvable)?)
            }
            unit => Ok(unit?),
        }
    }

    /// The identifiers of a request, as far as they can be used by this directory.
    pub(super) fn ordered_identifiers(&self, raw: &[RawIdentifier], door: Door) -> Result<Identifiers> {
        let mut unsupported = Vec::new();
        let mut identifiers = Vec::new();
        for raw in raw {
            match Identifier::try_from(raw) {
                // No profile has these yet.
                Ok(Identifier::Ip(_)) => unsupported.push(raw.kind.clone()),
                Ok(identifier @ (Identifier::Dns(_) | Identifier::Wildcard(_))) => identifiers.push(identifier),
                Ok(identifier @ (Identifier::Organisation(_) | Identifier::Unit(_))) => match door {
                    Door::Server => unsupported.push(raw.kind.clone()),
                    Door::Organisation => identifiers.push(identifier),
                },
                Err(IdentifierError::Alias { given, canonical }) => match door {
                    Door::Server => unsupported.push(raw.kind.clone()),
                    Door::Organisation => return Err(Refusal::IdentifierAlias { given, canonical }.into()),
                },
                Err(IdentifierError::UnknownType(kind)) => unsupported.push(kind),
                Err(error @ IdentifierError::Malformed(_)) => {
                    return Err(Refusal::Malformed { why: error.to_string() }.into());
                }
            }
        }
        if !unsupported.is_empty() {
            return Err(Refusal::IdentifiersUnsupported { kinds: unsupported }.into());
        }
        Identifiers::try_from(identifiers).map_err(|error| Refusal::Malformed { why: error.to_string() }.into())
    }

    /// When the issuer of a profile ends.
    pub(super) fn issuer_ends(&self, profile: &Profile) -> Result<Timestamp> {
        let issuer = self.settings.issuers.iter().find(|issuer| issuer.name == profile.issuer);
        let missing = || Fault::Internal(format!("profile {} names an unknown issuer", profile.name));
        Ok(issuer.ok_or_else(missing)?.not_after)
    }

    /// One authorization per identifier: a valid one that the profile lets the order take over, or a new one.
    async fn authorizations_for(
        &self,
        account: &Read<Account>,
        organisation: &Organisation,
        identifiers: &Identifiers,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<Vec<Taken>> {
        let mut taken = Vec::with_capacity(identifiers.len());
        for identifier in identifiers {
            let reused = self.reusable(account, identifier, profile.reuse, now).await?;
            taken.push(match reused {
                Some(authorization) => Taken::Reused(Box::new(authorization)),
                // A member need not prove its own organisation again.
                None if identifier.is_of_organisations() => {
                    Taken::New(Box::new(granted(account, organisation, identifier, Origin::Order, now)))
                }
                None => Taken::New(Box::new(self.new_authorization(account, identifier, Origin::Order, now))),
            });
        }
        Ok(taken)
    }

    /// A valid authorization of the account for exactly this identifier, the youngest first.
    pub(super) async fn reusable(
        &self,
        account: &Read<Account>,
        identifier: &Identifier,
        reuse: Reuse,
        now: Timestamp,
    ) -> Result<Option<Read<Authorization>>> {
        if reuse == Reuse::None {
            return Ok(None);
        }
        let owner = index::account_and_identifier(&account.id, identifier);
        for id in self.store.list(Range::of(Index::AuthorizationsByIdentifier, owner, PAGE)).await?.iter().rev() {
            let Ok(id) = AuthorizationId::try_from(id.as_slice()) else { continue };
            let Some(authorization) = self.store.get::<Authorization>(&id).await? else { continue };
            let wanted = reuse == Reuse::All || authorization.origin == Origin::PreAuthorization;
            if wanted && authorization.status(now) == AuthorizationStatus::Valid {
                return Ok(Some(authorization));
            }
        }
        Ok(None)
    }

    /// An order of the account, or one that it oversees for its organisation, with its status.
    pub async fn order(&self, account: &Read<Account>, id: OrderId, now: Timestamp) -> Result<OrderView> {
        let order = self.store.get::<Order>(&id).await?.ok_or(Refusal::NotFound)?;
        if order.account == account.id {
            return self.view(account, order.record, now).await;
        }
        // Those who look after all of the organisation's orders see them as their own accounts do.
        if !self.oversees(account, order.organisation, Deed::SeeOrders).await? {
            return Err(Refusal::NotFound.into());
        }
        let owner = self.account(order.account).await?.ok_or(Refusal::NotFound)?;
        self.view(&owner, order.record, now).await
    }

    /// A page of the account's orders that are not invalid, oldest first, and where the next page begins.
    // RFC 8555 §7.1.2.1: invalid orders should not be listed.
    pub async fn orders(
        &self,
        account: &Read<Account>,
        after: Option<OrderId>,
        now: Timestamp,
    ) -> Result<(Vec<OrderId>, Option<OrderId>)> {
        let range = Range::of(Index::OrdersByAccount, *account.id.as_bytes(), PAGE)
            .after(after.map(|id| id.as_bytes().to_vec()));
        let page = self.store.list(range).await?;
        let ids: Vec<_> = page.iter().filter_map(|id| OrderId::try_from(id.as_slice()).ok()).collect();
        let next = ids.last().copied().filter(|_| page.len() == PAGE);
        let mut listed = Vec::with_capacity(ids.len());
        for id in ids {
            match self.order(account, id, now).await {
                Ok(view) if view.status != OrderStatus::Invalid => listed.push(id),
                Ok(_) | Err(super::Error::Refused(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok((listed, next))
    }

    /// Finalizes an order: checks the request against it and leaves it to the worker (RFC 8555 §7.4).
    pub async fn finalize(
        &self,
        account: &Read<Account>,
        id: OrderId,
        csr: &[u8],
        now: Timestamp,
    ) -> Result<OrderView> {
        let result = self.decide(|| self.try_finalize(account, id, csr, now)).await;
        if let Err(error) = &result {
            self.audit_refusal(account.id, Act::OrderFinalized, &id.to_string(), error, now).await;
        }
        result
    }

    async fn try_finalize(
        &self,
        account: &Read<Account>,
        id: OrderId,
        csr: &[u8],
        now: Timestamp,
    ) -> Result<Attempt<OrderView>> {
        let order = self.own_order(account, id).await?;
        if matches!(order.progress, Progress::Open) && order.expires <= now {
            return Err(Refusal::OrderExpired.into());
        }
        // RFC 8555 §7.4: an order is finalized once. Its certificate may be signed already, for the first request.
        if let Progress::Processing { .. } = order.progress {
            return Err(Refusal::OrderNotReady { status: OrderStatus::Processing }.into());
        }
        let facts = self.order_facts(order, account, now).await?;
        let authorized = self.authorized(&facts, now)?;
        self.matched(&authorized, csr).await?;
        let finalized = facts.order.finalized(csr.to_vec(), now);
        let mut changes = facts.expected();
        changes.push(facts.order.replace(&finalized));
        let view = OrderView { order: finalized, status: OrderStatus::Processing, failure: None };
        self.commit(changes, view).await
    }

    /// The proof that an order may be issued, from facts that were just read.
    pub fn authorized(&self, facts: &OrderFacts, now: Timestamp) -> Result<AuthorizedOrder> {
        let profile = self.profile(&facts.order.profile);
        let issuer_ends = match profile {
            Some(profile) => self.issuer_ends(profile)?,
            None => now,
        };
        let authorizations: Vec<_> = facts.authorizations.iter().map(|read| read.record.clone()).collect();
        let issuance = IssuanceFacts {
            order: &facts.order,
            authorizations: &authorizations,
            standing: facts.account.standing(),
            profile,
            unit: &facts.unit,
            issuer_ends,
        };
        Ok(issuance::authorized(issuance, now)?)
    }

    /// The proof that a request fits its order.
    pub async fn matched(&self, order: &AuthorizedOrder, csr: &[u8]) -> Result<MatchedRequest> {
        let request = CertificateRequest::parse(csr).map_err(|error| Refusal::BadCsr { why: error.to_string() })?;
        let key = request.public_key();
        let of_an_account = self.account_by_key(&Thumbprint::of(key)).await?.is_some();
        let blocked = self.store.get::<BlockedKey>(&key.spki_sha256()).await?.is_some();
        Ok(issuance::matching(order, &request, KeyFacts { of_an_account, blocked })?)
    }

    async fn own_order(&self, account: &Read<Account>, id: OrderId) -> Result<Read<Order>> {
        let order = self.store.get::<Order>(&id).await?;
        // RFC 8555 §7.5: another account's order looks like none.
        Ok(order.filter(|order| order.account == account.id).ok_or(Refusal::NotFound)?)
    }

    pub(super) async fn view(&self, account: &Read<Account>, order: Order, now: Timestamp) -> Result<OrderView> {
        if let Progress::Failed { failure, .. } = &order.progress {
            let failure = Some(failure.clone());
            return Ok(OrderView { order, status: OrderStatus::Invalid, failure });
        }
        if !matches!(order.progress, Progress::Open) {
            let status = order.status(&[], None, now);
            return Ok(OrderView { order, status, failure: None });
        }
        let facts = self.facts(account).await?;
        let authorizations = match order.expires <= now {
            true => self.authorizations_left(&order).await?,
            false => self.authorizations_of(&order).await?,
        };
        let statuses: Vec<_> = authorizations.iter().map(|authorization| authorization.status(now)).collect();
        let standing = facts.standing();
        let void = standing.void();
        let status = order.status(&statuses, void, now);
        let failure = match status {
            OrderStatus::Invalid => Some(why_invalid(&order, &authorizations, &facts, now)),
            OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => None,
        };
        Ok(OrderView { order, status, failure })
    }

    pub(super) async fn authorizations_of(&self, order: &Order) -> Result<Vec<Read<Authorization>>> {
        let authorizations = self.authorizations_left(order).await?;
        if authorizations.len() < order.authorizations.len() {
            return Err(Fault::Internal(format!("order {} names an authorization that is missing", order.id)).into());
        }
        Ok(authorizations)
    }

    /// Those that are still there. An authorization may end, and be removed, before an order whose time is over.
    async fn authorizations_left(&self, order: &Order) -> Result<Vec<Read<Authorization>>> {
        let mut authorizations = Vec::with_capacity(order.authorizations.len());
        for id in &order.authorizations {
            authorizations.extend(self.store.get::<Authorization>(id).await?);
        }
        Ok(authorizations)
    }

    // RFC 8555 §7.3.3: an account that agreed to other terms is sent to a page, when the operator has set a date.
    // An administrator may have agreed for all accounts of the organisation.
    async fn terms_are_current(
        &self,
        account: &Read<Account>,
        organisation: Option<&Organisation>,
        now: Timestamp,
    ) -> Result<()> {
        let Some(terms) = &self.settings.terms else { return Ok(()) };
        let agreements = account.terms.iter().chain(organisation.and_then(|organisation| organisation.terms.as_ref()));
        let agreed = agreements.into_iter().any(|agreed| agreed.version == terms.version);
        if agreed || terms.required_from.is_none_or(|from| now < from) {
            return Ok(());
        }
        let page = TermsPage::new(account.id, &terms.version, now);
        self.decide(|| self.commit(vec![Change::insert(&page)], ())).await?;
        Err(Refusal::TermsChanged { instance: page.id.to_string(), terms: terms.url.clone() }.into())
    }

    /// Claims the certificate that an order replaces (RFC 9773 §5): one compare-and-swap.
    async fn replacement_claim(&self, replaces: &str, order: &Order, now: Timestamp) -> Result<Vec<Change>> {
        let unknown = || Refusal::ReplacesUnknown;
        let old: Read<Certificate> = self.certificate_by_renewal_id(replaces).await?.ok_or_else(unknown)?;
        let entitled = old.organisation == order.organisation
            && old.identifiers.iter().any(|identifier| order.identifiers.contains(identifier));
        if !entitled {
            return Err(unknown().into());
        }
        if let Some(claim) = old.replaced_by
            && self.holds_claim(claim, now).await?
        {
            return Err(Refusal::AlreadyReplaced.into());
        }
        let claimed = Certificate { replaced_by: Some(order.id), ..old.record.clone() };
        Ok(vec![old.replace(&claimed)])
    }

    /// Whether the order that claimed a certificate's replacement is not invalid.
    async fn holds_claim(&self, id: OrderId, now: Timestamp) -> Result<bool> {
        let Some(order) = self.store.get::<Order>(&id).await? else { return Ok(false) };
        let Some(account) = self.account(order.account).await? else { return Ok(false) };
        Ok(self.view(&account, order.record, now).await?.status != OrderStatus::Invalid)
    }
}

/// An authorization of a new order.
enum Taken {
    New(Box<Authorization>),
    Reused(Box<Read<Authorization>>),
}

impl Taken {
    fn authorization(&self) -> &Authorization {
        match self {
            Taken::New(authorization) => authorization,
            Taken::Reused(authorization) => authorization,
        }
    }

    fn id(&self) -> AuthorizationId {
        self.authorization().id
    }

    fn change(&self) -> Change {
        match self {
            Taken::New(authorization) => Change::insert(authorization.as_ref()),
            Taken::Reused(authorization) => authorization.expect(),
        }
    }

    fn status(&self, now: Timestamp) -> AuthorizationStatus {
        self.authorization().status(now)
    }
}

/// The organisation's authorization that an order rests on, as far as the account may read it.
fn organisation_authorization(
    account: &Account,
    organisation: &Organisation,
    authorizations: &[Taken],
) -> Option<AuthorizationId> {
    let listed = authorizations.iter().find(|taken| taken.authorization().identifier.is_of_organisations());
    let proved = organisation.verification.as_ref().filter(|verification| verification.account == Some(account.id));
    listed.map(Taken::id).or_else(|| proved.and_then(|verification| verification.authorization))
}

fn why_invalid(order: &Order, authorizations: &[Read<Authorization>], facts: &Facts, now: Timestamp) -> Failure {
    if let Some(void) = order.voided_by(facts.standing().void()) {
        return Refusal::OrderVoid { reason: void.reason.clone() }.into();
    }
    for authorization in authorizations {
        let error = authorization.challenges.iter().find_map(|challenge| challenge.error());
        match authorization.status(now) {
            AuthorizationStatus::Pending | AuthorizationStatus::Valid => {}
            AuthorizationStatus::Invalid if error.is_some() => {
                return error.map_or(Refusal::OrderExpired.into(), Failure::from);
            }
            status => return Refusal::AuthorizationEnded { status }.into(),
        }
    }
    Refusal::OrderExpired.into()
}

fn time(text: &Option<String>, member: &str) -> Result<Option<Timestamp>> {
    let parsed = text.as_deref().map(str::parse::<Timestamp>).transpose();
    parsed.map_err(|error| Refusal::Malformed { why: format!("{member} is {error}") }.into())
}

/// At most 100 characters of what a client sent, for the audit trail.
fn shown(text: &str) -> &str {
    text.char_indices().nth(100).map_or(text, |(end, _)| &text[..end])
}
