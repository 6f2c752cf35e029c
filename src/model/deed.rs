//! What a member of an organisation may do with the organisation's things: one table of role and deed.

use super::Role;

/// Something that is done with what belongs to an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// Reading the organisation itself.
    SeeOrganisation,
    /// Agreeing to terms of service for all its accounts.
    AgreeToTerms,
    /// Reading its members.
    SeeMembers,
    /// Admitting, changing and removing its members.
    ChangeMembers,
    /// Reading its invitations.
    SeeInvitations,
    /// Making and revoking invitations.
    Invite,
    /// Ordering certificates.
    Order,
    /// Following orders.
    SeeOrders,
    /// Reading certificates and their revocations.
    SeeCertificates,
    /// Revoking certificates.
    Revoke,
    /// Reading what happened.
    SeeEvents,
}

/// On what a member may do a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On nothing.
    Nothing,
    /// On what its own account ordered.
    Own,
    /// On everything of the organisation.
    All,
}

impl Deed {
    /// Every deed.
    pub const ALL: [Deed; 11] = [
        Deed::SeeOrganisation,
        Deed::AgreeToTerms,
        Deed::SeeMembers,
        Deed::ChangeMembers,
        Deed::SeeInvitations,
        Deed::Invite,
        Deed::Order,
        Deed::SeeOrders,
        Deed::SeeCertificates,
        Deed::Revoke,
        Deed::SeeEvents,
    ];

    /// The roles that may do it at all.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| reach(*role, self) != Reach::Nothing)
    }
}

/// How far a role reaches.
pub fn reach(role: Role, deed: Deed) -> Reach {
    match (role, deed) {
        (
            Role::Administrator,
            Deed::SeeOrganisation
            | Deed::AgreeToTerms
            | Deed::SeeMembers
            | Deed::ChangeMembers
            | Deed::SeeInvitations
            | Deed::Invite
            | Deed::SeeOrders
            | Deed::SeeCertificates
            | Deed::Revoke
            | Deed::SeeEvents,
        ) => Reach::All,
        // Whoever it is, one orders for one's own account.
        (Role::Administrator | Role::TechnicalContact, Deed::Order) => Reach::Own,
        (Role::TechnicalContact, Deed::SeeOrganisation) => Reach::All,
        (Role::TechnicalContact, Deed::SeeOrders | Deed::SeeCertificates | Deed::Revoke) => Reach::Own,
        (
            Role::TechnicalContact,
            Deed::AgreeToTerms
            | Deed::SeeMembers
            | Deed::ChangeMembers
            | Deed::SeeInvitations
            | Deed::Invite
            | Deed::SeeEvents,
        ) => Reach::Nothing,
        (
            Role::Auditor,
            Deed::SeeOrganisation
            | Deed::SeeMembers
            | Deed::SeeInvitations
            | Deed::SeeOrders
            | Deed::SeeCertificates
            | Deed::SeeEvents,
        ) => Reach::All,
        (Role::Auditor, Deed::AgreeToTerms | Deed::ChangeMembers | Deed::Invite | Deed::Order | Deed::Revoke) => {
            Reach::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // X16
    #[test]
    fn an_auditor_sees_everything_and_changes_nothing() {
        for deed in Deed::ALL {
            let sees = matches!(
                deed,
                Deed::SeeOrganisation
                    | Deed::SeeMembers
                    | Deed::SeeInvitations
                    | Deed::SeeOrders
                    | Deed::SeeCertificates
                    | Deed::SeeEvents
            );
            assert_eq!(reach(Role::Auditor, deed), if sees { Reach::All } else { Reach::Nothing }, "{deed:?}");
        }
    }

    // X16
    #[test]
    fn an_administrator_may_do_everything_and_somebody_may_do_each_deed() {
        for deed in Deed::ALL {
            assert_ne!(reach(Role::Administrator, deed), Reach::Nothing, "{deed:?}");
            assert!(deed.roles().count() > 0);
        }
    }

    // X16
    #[test]
    fn a_technical_contact_reaches_its_own_only() {
        let wider: Vec<_> =
            Deed::ALL.into_iter().filter(|deed| reach(Role::TechnicalContact, *deed) == Reach::All).collect();
        assert_eq!(wider, [Deed::SeeOrganisation]);
    }
}
