//! Orders (RFC 8555 §7.4): from the names to the certificate chain.

use std::time::{Duration, Instant};

use super::account::Account;
use super::authorization::Authorization;
use super::certificate::CertificateChain;
use super::certificate_key::CertificateKey;
use super::challenges::Responder;
use super::csr::certificate_request;
use super::error::{Error, Result};
use super::session::Payload;
use super::transport::Response;
use crate::acme::identifier::RawIdentifier;
use crate::acme::messages::{Finalize, NewOrder, OrderObject};
use crate::acme::renewal::RenewalId;
use crate::acme::status::OrderStatus;
use crate::time::Timestamp;

/// How long a client waits for an order or an authorization, unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// The pause between two looks when the server names none.
const USUAL_PAUSE: Duration = Duration::from_millis(250);
/// The bounds of the longest pause that a server may ask for while the client waits: a twentieth of the wait.
const LONGEST_PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// What to order.
#[derive(Debug, Clone, Default)]
pub struct OrderRequest(NewOrder);

impl OrderRequest {
    /// An order of these dns names; a wildcard is written `*.example.fi`.
    pub fn of_names<I: IntoIterator<Item = T>, T: Into<String>>(names: I) -> Self {
        let dns = |name: T| RawIdentifier { kind: "dns".to_owned(), value: name.into() };
        OrderRequest(NewOrder { identifiers: names.into_iter().map(dns).collect(), ..NewOrder::default() })
    }

    /// Any order at all.
    pub fn of(order: NewOrder) -> Self {
        OrderRequest(order)
    }

    /// The same order and one more identifier.
    pub fn and(mut self, kind: &str, value: &str) -> Self {
        self.0.identifiers.push(RawIdentifier { kind: kind.to_owned(), value: value.to_owned() });
        self
    }

    /// The same order with a profile.
    pub fn profile(mut self, profile: &str) -> Self {
        self.0.profile = Some(profile.to_owned());
        self
    }

    /// The same order with a wanted begin.
    pub fn not_before(mut self, time: Timestamp) -> Self {
        self.0.not_before = Some(time.to_string());
        self
    }

    /// The same order with a wanted end.
    pub fn not_after(mut self, time: Timestamp) -> Self {
        self.0.not_after = Some(time.to_string());
        self
    }

    /// The same order as the successor of a certificate (RFC 9773 §5).
    pub fn replacing(mut self, certificate: &RenewalId) -> Self {
        self.0.replaces = Some(certificate.to_string());
        self
    }

    /// The payload of newOrder.
    pub fn message(&self) -> &NewOrder {
        &self.0
    }
}

/// An order at the server, as it was when last looked at.
#[derive(Debug, Clone)]
pub struct Order {
    account: Account,
    url: String,
    object: OrderObject,
    retry_after: Option<u64>,
}

impl Account {
    /// Places an order.
    ///
    /// # Errors
    /// `Refused`, among others with `rejectedIdentifier` and a subproblem per name.
    pub async fn order(&self, request: &OrderRequest) -> Result<Order> {
        let response = self.post(&self.client().directory().new_order, &Payload::of(&request.0)?).await?;
        let url = response.header("location").map(str::to_owned);
        let url = url.ok_or_else(|| Error::protocol(&response.url, "the new order has no Location"))?;
        Order::of(self, url, &response)
    }

    /// The order with this URL.
    ///
    /// # Errors
    /// `Refused` if there is none of this account.
    pub async fn order_at(&self, url: &str) -> Result<Order> {
        let response = self.fetch(url).await?;
        Order::of(self, url.to_owned(), &response)
    }

    /// The whole way: order, prove every name by `responder`, finalize with a CSR of `key`, download.
    ///
    /// # Errors
    /// Those of every step.
    pub async fn obtain(
        &self,
        request: &OrderRequest,
        key: &CertificateKey,
        responder: &dyn Responder,
    ) -> Result<CertificateChain> {
        let mut order = self.order(request).await?;
        order.authorize(responder).await?;
        let names: Vec<_> = order.dns_names().map(str::to_owned).collect();
        order.finalize(&certificate_request(key, &names)?).await?;
        order.wait_until_issued().await?;
        order.certificate().await
    }
}

impl Order {
    fn of(account: &Account, url: String, response: &Response) -> Result<Self> {
        Ok(Order { account: account.clone(), url, object: response.json()?, retry_after: response.retry_after() })
    }

    /// The order's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account that ordered.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The order as the server showed it last.
    pub fn object(&self) -> &OrderObject {
        &self.object
    }

    /// The order's last known status.
    pub fn status(&self) -> OrderStatus {
        self.object.status
    }

    /// The dns names ordered, with `*.` where it is a wildcard.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.object.identifiers.iter().filter(|i| i.kind == "dns").map(|i| i.value.as_str())
    }

    /// Looks at the order again.
    ///
    /// # Errors
    /// Those of [`Account::fetch`].
    pub async fn refresh(&mut self) -> Result<OrderStatus> {
        let response = self.account.fetch(&self.url).await?;
        self.object = response.json()?;
        self.retry_after = response.retry_after();
        Ok(self.object.status)
    }

    /// The order's authorizations.
    ///
    /// # Errors
    /// Those of [`Account::fetch`].
    pub async fn authorizations(&self) -> Result<Vec<Authorization>> {
        let mut authorizations = Vec::with_capacity(self.object.authorizations.len());
        for url in &self.object.authorizations {
            authorizations.push(self.account.authorization_at(url).await?);
        }
        Ok(authorizations)
    }

    /// Proves every pending authorization by `responder` and waits until all are valid.
    ///
    /// # Errors
    /// `Failed` with the server's reason if one becomes invalid; `NotYet` if one takes too long.
    pub async fn authorize(&mut self, responder: &dyn Responder) -> Result<()> {
        for mut authorization in self.authorizations().await? {
            authorization.prove(responder).await?;
        }
        Ok(())
    }

    /// Sends the CSR. The order is often `valid` at once; [`Order::wait_until_issued`] waits if it is not.
    ///
    /// # Errors
    /// `Refused`, among others with `badCSR` (the order stays ready) and `orderNotReady`.
    pub async fn finalize(&mut self, csr: &[u8]) -> Result<OrderStatus> {
        let payload = Payload::of(&Finalize { csr: csr.to_vec() })?;
        let response = self.account.post(&self.object.finalize, &payload).await?;
        self.object = response.json()?;
        self.retry_after = response.retry_after();
        Ok(self.object.status)
    }

    /// Waits until the certificate is there.
    ///
    /// # Errors
    /// `Failed` with the server's reason if the order becomes invalid; `NotYet` after [`PATIENCE`].
    pub async fn wait_until_issued(&mut self) -> Result<()> {
        self.wait_until_issued_showing(&mut |_| {}).await
    }

    /// The same, with every look at the order shown.
    ///
    /// # Errors
    /// Those of [`Order::wait_until_issued`].
    pub async fn wait_until_issued_showing(&mut self, seen: &mut (dyn FnMut(&OrderObject) + Send)) -> Result<()> {
        let waiting = Waiting::begin(PATIENCE);
        loop {
            seen(&self.object);
            match self.object.status {
                OrderStatus::Valid => return Ok(()),
                OrderStatus::Invalid => return Err(self.failed()),
                OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing => {
                    waiting.pause(self.retry_after, "the order", self.object.status).await?;
                    self.refresh().await?;
                }
            }
        }
    }

    fn failed(&self) -> Error {
        let why = self.object.error.as_ref().map_or("the server gives no reason".to_owned(), ToString::to_string);
        Error::Failed { what: format!("the order {}", self.url), why }
    }

    /// Downloads the certificate with its chain.
    ///
    /// # Errors
    /// `Protocol` if the order has no certificate yet; those of [`Account::fetch`].
    pub async fn certificate(&self) -> Result<CertificateChain> {
        let url = self.object.certificate.as_ref();
        let url = url.ok_or_else(|| Error::protocol(&self.url, "the order has no certificate yet"))?;
        self.account.certificate_at(url).await
    }
}

/// A wait with an end.
pub(super) struct Waiting {
    begin: Instant,
    limit: Duration,
}

impl Waiting {
    pub(super) fn begin(limit: Duration) -> Self {
        Waiting { begin: Instant::now(), limit }
    }

    /// Sleeps before the next look: as long as the server asks for, or a moment.
    pub(super) async fn pause(
        &self,
        retry_after: Option<u64>,
        what: &str,
        status: impl serde::Serialize,
    ) -> Result<()> {
        if self.begin.elapsed() >= self.limit {
            let status = serde_json::to_value(status).ok();
            let status = status.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned();
            return Err(Error::NotYet { what: what.to_owned(), status, seconds: self.limit.as_secs() });
        }
        // RFC 8555 §7.4: the client polls "at the interval provided by the server in the Retry-After".
        let asked = retry_after.map_or(USUAL_PAUSE, Duration::from_secs);
        let longest = (self.limit / 20).clamp(LONGEST_PAUSES.0, LONGEST_PAUSES.1);
        tokio::time::sleep(asked.clamp(Duration::from_millis(50), longest)).await;
        Ok(())
    }
}
