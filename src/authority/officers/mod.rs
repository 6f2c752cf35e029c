//! What registration officers and operators do over the admin socket. Each act is an audit entry with the officer's name.

pub mod approvals;
pub mod audit;
pub mod certificates;
pub mod invitations;
pub mod mandates;
pub mod members;
pub mod organisations;
pub mod register;

use super::Authority;
use super::Result;
use crate::model::{Organisation, Refusal};
use crate::names::BusinessId;
use crate::store::Read;
use crate::store::index::Index;

impl Authority {
    /// The organisation with this Business ID.
    pub(super) async fn organisation_by_business_id(&self, id: &BusinessId) -> Result<Read<Organisation>> {
        let found = self.store.lookup::<Organisation>(Index::OrganisationByBusinessId, id.as_str().as_bytes()).await?;
        Ok(found.ok_or_else(|| {
            unusable(format!("there is no organisation {id}; add it first: sote-acme organisation add"))
        })?)
    }
}

/// An officer's request that cannot be carried out, with what to do instead.
pub(super) fn unusable(why: impl Into<String>) -> Refusal {
    Refusal::Malformed { why: why.into() }
}
