//! What happened to an organisation, oldest first.

use super::super::{Authority, Result};
use super::{Gathering, LOOKED_AT, Page};
use crate::model::{Account, Deed, OrganisationEvent};
use crate::names::{EventId, OrganisationId};
use crate::store::index::Index;
use crate::store::{Range, Read};

impl Authority {
    /// A page of events.
    pub async fn organisation_events(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        after: Option<Vec<u8>>,
    ) -> Result<Page<OrganisationEvent>> {
        self.access(account, id, Deed::SeeEvents).await?;
        let range = Range::of(Index::EventsByOrganisation, *id.as_bytes(), LOOKED_AT).after(after);
        let keys = self.store.list(range).await?;
        let (count, mut page) = (keys.len(), Gathering::new());
        for key in keys {
            if page.is_full() {
                break;
            }
            let event = match EventId::try_from(key.as_slice()) {
                Ok(event) => self.store.get::<OrganisationEvent>(&event).await?,
                Err(_) => None,
            };
            page.looked(key, event.map(|event| event.record));
        }
        Ok(page.page(count))
    }
}
