//! Invitations of an organisation.

use super::{Organisation, Resource, chosen};
use crate::acme::messages::organisation::{
    InvitationObject, InvitationUpdate, InvitationsList, NewInvitation, TouchedObject,
};
use crate::client::error::Result;

/// An invitation.
type Invitation = Resource<InvitationObject>;

impl Organisation {
    /// Makes an invitation. Only this answer has its credentials.
    ///
    /// # Errors
    /// `Refused`, among others with `unauthorized` if it would allow more than its inviter may.
    pub async fn invite(&self, wanted: &NewInvitation) -> Result<Invitation> {
        self.create(&self.object.invitations, wanted).await
    }

    /// Every invitation.
    ///
    /// # Errors
    /// `Refused` with `unauthorized` unless the account's role may see them.
    pub async fn invitations(&self) -> Result<Vec<Invitation>> {
        self.all(self.invitation_urls().await?).await
    }

    /// The invitation that `wanted` means: its URL, or the last part of it.
    ///
    /// # Errors
    /// `Local` if there is none.
    pub async fn invitation(&self, wanted: &str) -> Result<Invitation> {
        self.at(chosen(&self.invitation_urls().await?, wanted, "invitation")?).await
    }

    async fn invitation_urls(&self) -> Result<Vec<String>> {
        let pages: Vec<InvitationsList> = self.account.pages(self.object.invitations.clone()).await?;
        Ok(pages.into_iter().flat_map(|page| page.invitations).collect())
    }

    /// What the revocation of an invitation would touch. Nothing is changed.
    ///
    /// # Errors
    /// `Refused`.
    pub async fn invitation_revocation(&self, invitation: &Invitation) -> Result<TouchedObject> {
        self.change(&invitation.url, &revoked(None, None)).await
    }

    /// Revokes an invitation, which stops the accounts that it created.
    ///
    /// # Errors
    /// `Refused`, among others if it was changed since it was looked at.
    pub async fn revoke_invitation(&self, invitation: &Invitation, reason: Option<String>) -> Result<Invitation> {
        let update = revoked(Some(invitation.object.version), reason);
        Ok(Resource { url: invitation.url.clone(), object: self.change(&invitation.url, &update).await? })
    }
}

/// The change; without a version it only shows what it would touch.
fn revoked(version: Option<u64>, reason: Option<String>) -> InvitationUpdate {
    InvitationUpdate { status: "revoked".to_owned(), reason, dry_run: version.is_none(), version }
}
