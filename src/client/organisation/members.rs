//! Members of an organisation.

use super::{Organisation, Resource, chosen};
use crate::acme::messages::organisation::{MemberObject, MemberUpdate, MembersList, TouchedObject};
use crate::client::error::Result;
use crate::names::Role;

/// A member.
type Member = Resource<MemberObject>;

impl Organisation {
    /// Every member.
    ///
    /// # Errors
    /// `Refused` with `unauthorized` unless the account's role may see them.
    pub async fn members(&self) -> Result<Vec<Member>> {
        self.all(self.member_urls().await?).await
    }

    /// The member that `wanted` means: its URL, or the last part of it.
    ///
    /// # Errors
    /// `Local` if there is none.
    pub async fn member(&self, wanted: &str) -> Result<Member> {
        self.at(chosen(&self.member_urls().await?, wanted, "member")?).await
    }

    async fn member_urls(&self) -> Result<Vec<String>> {
        let pages: Vec<MembersList> = self.account.pages(self.object.members.clone()).await?;
        Ok(pages.into_iter().flat_map(|page| page.members).collect())
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// `Refused`, among others if it is the last administrator, or was changed since it was looked at.
    pub async fn change_role(&self, member: &Member, role: Role) -> Result<Member> {
        self.change_member(member, MemberUpdate { role: Some(role), ..MemberUpdate::default() }).await
    }

    /// Admits a member that waits for it.
    ///
    /// # Errors
    /// `Refused`, among others if it does not wait, or was changed since it was looked at.
    pub async fn admit(&self, member: &Member) -> Result<Member> {
        self.change_member(member, MemberUpdate { status: Some("valid".to_owned()), ..MemberUpdate::default() }).await
    }

    /// What the removal of a member would touch. Nothing is changed.
    ///
    /// # Errors
    /// `Refused`, among others if it is the last administrator.
    pub async fn removal(&self, member: &Member, cascade: bool) -> Result<TouchedObject> {
        let update =
            MemberUpdate { dry_run: true, cascade, status: Some("removed".to_owned()), ..MemberUpdate::default() };
        self.change(&member.url, &update).await
    }

    /// Removes a member; with `cascade` the invitations that it made are revoked too.
    ///
    /// # Errors
    /// `Refused`, among others if it is the last administrator, or was changed since it was looked at.
    pub async fn remove(&self, member: &Member, cascade: bool, reason: Option<String>) -> Result<Member> {
        let update = MemberUpdate { cascade, reason, status: Some("removed".to_owned()), ..MemberUpdate::default() };
        self.change_member(member, update).await
    }

    async fn change_member(&self, member: &Member, update: MemberUpdate) -> Result<Member> {
        let update = MemberUpdate { version: Some(member.object.version), ..update };
        Ok(Resource { url: member.url.clone(), object: self.change(&member.url, &update).await? })
    }
}
