//! Who may order what: the account's limits, the names within them, and the subject that the register gives.

use super::{Account, Invitation, Membership, MembershipState, Organisation, Profile, Refusal, Role, UnitRow, Void};
use crate::acme::identifier::{Identifier, Identifiers};
use crate::names::{BusinessId, ProfileName, UnitOid, Zone};
use crate::time::Timestamp;

use super::refusal::IdentifierFault;

/// The facts behind an account's right to order.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The account.
    pub account: &'a Account,
    /// Its membership, if it has one.
    pub membership: Option<&'a Membership>,
    /// The member's organisation.
    pub organisation: Option<&'a Organisation>,
    /// The invitation that brought the membership, if one did.
    pub invitation: Option<&'a Invitation>,
}

/// What an account may order: its organisation's limits, narrowed by its invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The profiles.
    pub profiles: Vec<ProfileName>,
    /// The profile of orders that name none.
    pub default_profile: Option<ProfileName>,
    /// A name must lie within one zone of each list.
    pub zones: Vec<Vec<Zone>>,
    /// The unit of orders that name none.
    pub unit: Option<UnitOid>,
    /// Whether any unit of the organisation may be chosen, or these only.
    pub units: Option<Vec<UnitOid>>,
}

impl Standing<'_> {
    /// What the account may order now, or why nothing.
    pub fn limits(&self, now: Timestamp) -> Result<Limits, Refusal> {
        self.account.standing()?;
        let (Some(membership), Some(organisation)) = (self.membership, self.organisation) else {
            return Err(Refusal::NotAMember);
        };
        match &membership.state {
            MembershipState::Member => {}
            MembershipState::Pending => return Err(Refusal::MembershipPending),
            MembershipState::Removed { reason, .. } => return Err(Refusal::MembershipEnded { reason: reason.clone() }),
        }
        if let Some(void) = self.invitation.and_then(|invitation| invitation.revoked.as_ref()) {
            return Err(Refusal::MembershipEnded { reason: void.reason.clone() });
        }
        if membership.role == Role::Auditor {
            return Err(Refusal::AuditorsOrderNothing);
        }
        organisation.standing(now)?;
        Ok(limits(organisation, self.invitation))
    }

    /// The newest fact that ends open orders of this account.
    pub fn void(&self) -> Option<&Void> {
        let membership = self.membership.and_then(|m| m.orders_void.as_ref());
        let organisation = self.organisation.and_then(|o| o.orders_void.as_ref());
        let invitation = self.invitation.and_then(|i| i.revoked.as_ref());
        [membership, organisation, invitation].into_iter().flatten().max_by_key(|void| void.before)
    }
}

fn limits(organisation: &Organisation, invitation: Option<&Invitation>) -> Limits {
    let Some(invitation) = invitation else {
        return Limits {
            profiles: organisation.profiles.clone(),
            default_profile: match organisation.profiles.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            },
            zones: vec![organisation.zones.clone()],
            unit: None,
            units: None,
        };
    };
    let profiles: Vec<_> =
        invitation.profiles.iter().filter(|profile| organisation.profiles.contains(profile)).cloned().collect();
    Limits {
        default_profile: invitation.profile_by_default().filter(|profile| profiles.contains(profile)).cloned(),
        profiles,
        zones: vec![organisation.zones.clone(), invitation.zones.clone()],
        unit: invitation.unit.clone(),
        units: Some(invitation.unit.iter().chain(&invitation.units).cloned().collect()),
    }
}

impl Limits {
    /// The profile of an order: the one it names, or the default.
    pub fn profile(&self, asked: Option<&str>) -> Result<ProfileName, Refusal> {
        match asked {
            None => {
                self.default_profile.clone().ok_or_else(|| Refusal::ProfileNeeded { allowed: self.profiles.clone() })
            }
            Some(asked) => self.profiles.iter().find(|profile| profile.as_str() == asked).cloned().ok_or_else(|| {
                match asked.parse() {
                    Ok(profile) => Refusal::ProfileNotAllowed { profile, allowed: self.profiles.clone() },
                    Err(_) => Refusal::ProfileNeeded { allowed: self.profiles.clone() },
                }
            }),
        }
    }

    /// Nothing, if every dns name lies within the zones.
    pub fn admits(&self, identifiers: &Identifiers) -> Result<(), Refusal> {
        let outside = |identifier: &&Identifier| {
            let Some(name) = identifier.dns_name() else { return false };
            !self.zones.iter().all(|zones| zones.iter().any(|zone| zone.covers(name)))
        };
        let rejected: Vec<_> = identifiers
            .iter()
            .filter(outside)
            .map(|identifier| (identifier.clone(), IdentifierFault::OutsideZones))
            .collect();
        if rejected.is_empty() { Ok(()) } else { Err(Refusal::IdentifiersRejected { rejected }) }
    }

    /// The unit of an order: the one it names, if the account may choose it, or the invitation's.
    pub fn unit(&self, asked: Option<&UnitOid>) -> Result<UnitOid, Refusal> {
        match (asked, &self.units) {
            (None, _) => self.unit.clone().ok_or(Refusal::UnitNotResolvable),
            (Some(unit), Some(units)) if !units.contains(unit) => Err(Refusal::UnitNotAllowed { unit: unit.clone() }),
            (Some(unit), _) => Ok(unit.clone()),
        }
    }
}

/// Nothing, if a product of `profile` may go to the organisation.
pub fn product_fits(profile: &Profile, organisation: &Organisation) -> Result<(), Refusal> {
    // A test organisation never gets a production product.
    if organisation.test && !profile.test {
        return Err(Refusal::TestOrganisation { profile: profile.name.clone() });
    }
    Ok(())
}

/// The subject of an order's certificate, from the register alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSubject {
    /// O: the long name of the organisation's top row.
    pub organisation: String,
    /// OU: the unit's long name, when it is another row.
    pub unit: Option<String>,
    /// serialNumber: the unit's OID.
    pub serial_number: UnitOid,
    /// L: the municipality.
    pub locality: Option<String>,
    /// CN: the order's first dns name that fits.
    pub common_name: Option<String>,
    /// The generation of the unit's row.
    pub unit_generation: u64,
    /// When the unit's row, or one above it, ends.
    pub unit_ends: Option<Timestamp>,
}

/// The longest CN (RFC 5280 appendix A: ub-common-name).
const LONGEST_COMMON_NAME: usize = 64;

/// The subject for a unit. `rows` begins with the unit's row in force and goes up through its parents.
///
/// The unit belongs to `organisation` when its row, or the nearest row above that names any Business ID, names the
/// organisation's.
pub fn subject(
    organisation: &Organisation,
    unit: &UnitOid,
    rows: &[UnitRow],
    identifiers: &Identifiers,
    now: Timestamp,
) -> Result<OrderSubject, Refusal> {
    let rejected = || Refusal::UnitRejected { unit: unit.clone() };
    let own = rows.first().filter(|_| owns(organisation, rows, now)).ok_or_else(rejected)?;
    // The top row is the last one upwards that still belongs to the organisation.
    let above = rows.iter().skip(1).take_while(|row| {
        row.is_in_force(now) && row.business_id.as_ref().is_none_or(|id| *id == organisation.business_id)
    });
    let (top, ends) = above.fold((own, own.valid_to), |(_, ends), row| (row, earlier(ends, row.valid_to)));
    let unit_name = match top.oid == own.oid {
        true => None,
        false => Some(own.certificate_name(organisation.language)?.to_owned()),
    };
    Ok(OrderSubject {
        organisation: top.certificate_name(organisation.language)?.to_owned(),
        unit: unit_name,
        serial_number: own.oid.clone(),
        locality: own.municipality.clone().or_else(|| top.municipality.clone()),
        common_name: identifiers.dns().map(Identifier::value).find(|name| name.len() <= LONGEST_COMMON_NAME),
        unit_generation: own.generation,
        unit_ends: ends,
    })
}

/// Whether a unit's rows, from its own upwards, are in force and belong to the organisation.
pub fn owns(organisation: &Organisation, rows: &[UnitRow], now: Timestamp) -> bool {
    rows.first().is_some_and(|row| row.is_in_force(now)) && owner(rows, now) == Some(&organisation.business_id)
}

/// The Business ID of the nearest row, from the unit upwards, that names one.
fn owner(rows: &[UnitRow], now: Timestamp) -> Option<&BusinessId> {
    rows.iter().take_while(|row| row.is_in_force(now)).find_map(|row| row.business_id.as_ref())
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
