//! The orders of an organisation's accounts.

use super::super::{Authority, OrderView, Result};
use super::{Gathering, LOOKED_AT, Page};
use crate::acme::status::OrderStatus;
use crate::model::{Account, Deed, Order, Reach};
use crate::names::{AccountId, OrderId, OrganisationId};
use crate::store::index::Index;
use crate::store::{Range, Read};
use crate::time::Timestamp;

/// How many orders one request judges, at most: each status follows from several records.
const JUDGED: usize = 200;

impl Authority {
    /// A page of orders, oldest first, those that failed included; of one status, if one is named.
    pub async fn organisation_orders(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        status: Option<OrderStatus>,
        after: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Page<OrderId>> {
        let access = self.access(account, id, Deed::SeeOrders).await?;
        let range = Range::of(Index::OrdersByOrganisation, *id.as_bytes(), LOOKED_AT).after(after);
        let keys = self.store.list(range).await?;
        let (count, mut page, mut judged) = (keys.len(), Gathering::new(), 0);
        for key in keys {
            let Some((order, owner)) = parts(&key) else { continue };
            let mut wanted = access.reaches(owner);
            if page.is_full() || judged == JUDGED {
                break;
            }
            if let Some(status) = status.filter(|_| wanted) {
                judged += 1;
                wanted = self.any_order(order, now).await?.is_some_and(|view| view.status == status);
            }
            page.looked(key, wanted.then_some(order));
        }
        Ok(page.page(count))
    }

    /// An order as its own account sees it, whoever asks.
    async fn any_order(&self, id: OrderId, now: Timestamp) -> Result<Option<OrderView>> {
        let Some(order) = self.store.get::<Order>(&id).await? else { return Ok(None) };
        let Some(owner) = self.account(order.account).await? else { return Ok(None) };
        self.view(&owner, order.record, now).await.map(Some)
    }

    /// Whether a member may follow an order, or see a certificate, that another account of its organisation ordered.
    pub(in crate::authority) async fn oversees(
        &self,
        account: &Read<Account>,
        organisation: OrganisationId,
        deed: Deed,
    ) -> Result<bool> {
        match self.access(account, organisation, deed).await {
            Ok(access) => Ok(access.reach == Reach::All),
            Err(super::super::Error::Refused(_)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

/// The order and its account in the rest of a key of [`Index::OrdersByOrganisation`].
fn parts(key: &[u8]) -> Option<(OrderId, AccountId)> {
    let (order, account) = key.split_at_checked(16)?;
    Some((OrderId::try_from(order).ok()?, AccountId::try_from(account).ok()?))
}
