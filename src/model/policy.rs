//! Who may order what: the account's limits, the names within them, and the subject that the register gives.

use super::deed::reach;
use super::{
    Account, Deed, Invitation, Membership, MembershipState, Organisation, Profile, Reach, Refusal, UnitRow, Void,
};
use crate::acme::identifier::{Identifier, Identifiers};
use crate::names::{BusinessId, OrganisationIdentifier, ProfileName, UnitOid, Zone};
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
        let membership = self.member()?;
        let organisation = self.organisation.ok_or(Refusal::NotAMember)?;
        if reach(membership.role, Deed::Order) == Reach::Nothing {
            return Err(Refusal::AuditorsOrderNothing);
        }
        organisation.standing(now)?;
        Ok(limits(organisation, self.invitation))
    }

    /// The account's membership, if it is in force, whatever the organisation's standing; else why not.
    pub fn member(&self) -> Result<&Membership, Refusal> {
        self.account.standing()?;
        let membership = self.membership.ok_or(Refusal::NotAMember)?;
        in_force(membership, self.invitation)?;
        Ok(membership)
    }

    /// The newest fact that ends open orders of this account.
    pub fn void(&self) -> Option<&Void> {
        let membership = self.membership.and_then(|m| m.orders_void.as_ref());
        let organisation = self.organisation.and_then(|o| o.orders_void.as_ref());
        let invitation = self.invitation.and_then(|i| i.revoked.as_ref());
        [membership, organisation, invitation].into_iter().flatten().max_by_key(|void| void.before)
    }
}

/// Nothing, if a membership is in force: neither waiting nor ended, and its invitation not revoked.
pub fn in_force(membership: &Membership, invitation: Option<&Invitation>) -> Result<(), Refusal> {
    match &membership.state {
        MembershipState::Member => {}
        MembershipState::Pending { .. } => return Err(Refusal::MembershipPending),
        MembershipState::Removed { reason, .. } => return Err(Refusal::MembershipEnded { reason: reason.clone() }),
    }
    match invitation.and_then(|invitation| invitation.revoked.as_ref()) {
        Some(void) => Err(Refusal::MembershipEnded { reason: void.reason.clone() }),
        None => Ok(()),
    }
}

/// The limits of an organisation's account that came by `invitation`, or of the organisation itself.
pub fn limits(organisation: &Organisation, invitation: Option<&Invitation>) -> Limits {
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

    /// Whether every name of `zone` lies within the zones.
    pub fn contain(&self, zone: &Zone) -> bool {
        self.zones.iter().all(|zones| zones.iter().any(|outer| outer.contains(zone)))
    }

    /// The zones that lie within every list: what may be given at most.
    pub fn common_zones(&self) -> Vec<Zone> {
        let mut common: Vec<_> = self.zones.iter().flatten().filter(|zone| self.contain(zone)).cloned().collect();
        common.sort();
        common.dedup();
        common
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

/// Nothing, unless an order names another organisation than its account's.
pub fn own_organisation(identifiers: &Identifiers, organisation: &Organisation) -> Result<(), Refusal> {
    let own = OrganisationIdentifier::from(&organisation.business_id);
    let other = identifiers.iter().find_map(|identifier| match identifier {
        Identifier::Organisation(id) if *id != own => Some(id),
        Identifier::Organisation(_) => None,
        Identifier::Dns(_) | Identifier::Wildcard(_) | Identifier::Ip(_) | Identifier::Unit(_) => None,
    });
    match other {
        Some(organisation) => Err(Refusal::OrganisationRejected { organisation: organisation.clone() }),
        None => Ok(()),
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{AccountStanding, Awaited, Language, Role, Verification};
    use crate::names::{AccountId, InvitationId, OrganisationId};

    pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    const UNIT: &str = "1.2.246.10.2454372.10.1";

    pub(crate) fn account() -> Account {
        let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        Account {
            id: AccountId::from_bytes([1; 16]),
            key: serde_json::from_str(key).unwrap(),
            contact: vec![],
            terms: None,
            standing: AccountStanding::Valid,
            binding: None,
            created: NOW,
            touched: NOW,
            bound: false,
        }
    }

    pub(crate) fn organisation() -> Organisation {
        Organisation {
            id: OrganisationId::from_bytes([2; 16]),
            business_id: "0245437-2".parse().unwrap(),
            language: Language::Fi,
            test: false,
            profiles: vec!["sote-server".parse().unwrap(), "sote-short".parse().unwrap()],
            zones: vec!["example.fi".parse().unwrap()],
            verification: Some(Verification::by_officer(NOW, NOW.plus(1_000))),
            suspended: None,
            orders_void: None,
            terms: None,
            created: NOW,
        }
    }

    pub(crate) fn invitation() -> Invitation {
        Invitation {
            id: InvitationId::from_bytes([3; 16]),
            key_generation: "k1".into(),
            organisation: organisation().id,
            role: Role::TechnicalContact,
            unit: Some(UNIT.parse().unwrap()),
            units: vec![],
            profiles: vec!["sote-server".parse().unwrap(), "sote-gone".parse().unwrap()],
            default_profile: Some("sote-server".parse().unwrap()),
            zones: vec!["apteekki.example.fi".parse().unwrap(), "other.fi".parse().unwrap()],
            uses: 1,
            expires: NOW.plus(100),
            created: NOW,
            created_by: "officer".into(),
            inviter: None,
            contact: None,
            awaits: None,
            revoked: None,
        }
    }

    pub(crate) fn membership() -> Membership {
        Membership {
            account: account().id,
            organisation: organisation().id,
            role: Role::TechnicalContact,
            invitation: Some(invitation().id),
            since: NOW,
            state: MembershipState::Member,
            proof: None,
            orders_void: None,
        }
    }

    pub(crate) fn row(oid: &str) -> UnitRow {
        UnitRow {
            oid: oid.parse().unwrap(),
            generation: 1,
            part: 0,
            recorded: None,
            source: crate::register::Source::Csv,
            parent: None,
            business_id: None,
            name_fi: format!("Yksikkö {oid}"),
            name_sv: None,
            abbreviation: None,
            municipality: None,
            sector: None,
            unit_kind: None,
            valid_from: None,
            valid_to: None,
        }
    }

    /// The unit, and the organisation's own row above it.
    pub(crate) fn rows() -> Vec<UnitRow> {
        let top = "1.2.246.10.2454372.10.0";
        let unit = UnitRow { parent: Some(top.parse().unwrap()), municipality: Some("Espoo".into()), ..row(UNIT) };
        vec![unit, UnitRow { business_id: Some(organisation().business_id), ..row(top) }]
    }

    pub(crate) fn names(list: &[&str]) -> Identifiers {
        let list: Vec<_> = list.iter().map(|n| format!(r#"{{"type":"dns","value":"{n}"}}"#)).collect();
        serde_json::from_str(&format!("[{}]", list.join(","))).unwrap()
    }

    struct Case {
        account: Account,
        membership: Option<Membership>,
        organisation: Organisation,
        invitation: Option<Invitation>,
    }

    fn case() -> Case {
        let (membership, invitation) = (Some(membership()), Some(invitation()));
        Case { account: account(), membership, organisation: organisation(), invitation }
    }

    impl Case {
        fn standing(&self) -> Standing<'_> {
            Standing {
                account: &self.account,
                membership: self.membership.as_ref(),
                organisation: Some(&self.organisation),
                invitation: self.invitation.as_ref(),
            }
        }

        fn limits(&self) -> Result<Limits, Refusal> {
            self.standing().limits(NOW)
        }
    }

    #[test]
    fn an_invitation_narrows_its_organisations_limits() {
        let limits = case().limits().unwrap();
        assert_eq!(limits.profiles, ["sote-server".parse().unwrap()], "only what both allow");
        assert_eq!(limits.admits(&names(&["www.apteekki.example.fi"])), Ok(()));
        let outside = limits.admits(&names(&["www.apteekki.example.fi", "www.example.fi", "www.other.fi"]));
        let Err(Refusal::IdentifiersRejected { rejected }) = outside else { panic!("{outside:?}") };
        assert_eq!(rejected.len(), 2, "one lies outside the invitation's zones, one outside the organisation's");
    }

    #[test]
    fn the_zones_that_may_be_given_are_the_narrower_of_each_list() {
        let zones = |list: &[&str]| list.iter().map(|zone| zone.parse().unwrap()).collect::<Vec<Zone>>();
        let mut limits = case().limits().unwrap();
        limits.zones = vec![zones(&["a.fi", "c.fi"]), zones(&["x.a.fi", "b.fi", "c.fi"])];
        assert_eq!(limits.common_zones(), zones(&["c.fi", "x.a.fi"]));
        limits.zones = vec![vec![Zone::any()], vec![]];
        assert_eq!(limits.common_zones(), [], "an empty list allows nothing");
    }

    #[test]
    fn each_fact_that_stops_an_account_is_told() {
        let stopped = |change: fn(&mut Case)| {
            let mut case = case();
            change(&mut case);
            case.limits().unwrap_err().rule()
        };
        assert_eq!(stopped(|c| c.account = c.account.deactivated(NOW)), "account-deactivated");
        assert_eq!(stopped(|c| c.membership = None), "not-a-member");
        assert_eq!(
            stopped(|c| c.membership = c.membership.as_ref().map(|m| m.removed("left", NOW))),
            "membership-ended"
        );
        assert_eq!(
            stopped(|c| c.invitation = c.invitation.as_ref().map(|i| i.revoked("leaked", NOW))),
            "membership-ended"
        );
        assert_eq!(stopped(|c| c.organisation = c.organisation.suspended("o", "why", NOW)), "organisation-suspended");
        assert_eq!(stopped(|c| c.organisation.verification = None), "organisation-not-verified");
        assert_eq!(stopped(|c| c.organisation.verification.as_mut().unwrap().expires = NOW), "organisation-lapsed");
        assert_eq!(stopped(|c| c.membership.as_mut().unwrap().role = Role::Auditor), "auditors-order-nothing");
        assert_eq!(
            stopped(|c| c.membership.as_mut().unwrap().state =
                MembershipState::Pending { awaits: Awaited::Admission, approvals: vec![] }),
            "membership-pending"
        );
    }

    #[test]
    fn an_invitation_that_expired_or_is_used_up_does_not_stop_the_accounts_it_created() {
        let mut case = case();
        case.invitation.as_mut().unwrap().expires = NOW;
        assert!(case.limits().is_ok());
    }

    #[test]
    fn the_newest_void_counts() {
        let mut case = case();
        case.membership.as_mut().unwrap().orders_void = Some(Void { before: NOW.plus(5), reason: "member".into() });
        case.organisation.orders_void = Some(Void { before: NOW.plus(9), reason: "organisation".into() });
        assert_eq!(case.standing().void().unwrap().reason, "organisation");
    }

    #[test]
    fn a_profile_is_the_one_named_or_the_default() {
        let limits = case().limits().unwrap();
        assert_eq!(limits.profile(None).unwrap().as_str(), "sote-server");
        assert!(limits.profile(Some("sote-server")).is_ok());
        for other in ["sote-short", "sote-gone", "unknown", "Not A Profile"] {
            assert!(limits.profile(Some(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn a_unit_outside_the_invitation_cannot_be_chosen() {
        let limits = case().limits().unwrap();
        assert_eq!(limits.unit(None).unwrap().as_str(), UNIT);
        let other = "1.2.246.10.2454372.10.9".parse().unwrap();
        assert!(matches!(limits.unit(Some(&other)), Err(Refusal::UnitNotAllowed { .. })));
    }

    #[test]
    fn the_subject_comes_from_the_register() {
        let unit = UNIT.parse().unwrap();
        let long = format!("{}.example.fi", "a".repeat(60));
        let subject = subject(&organisation(), &unit, &rows(), &names(&[&long, "www.example.fi"]), NOW).unwrap();
        assert_eq!(subject.organisation, "Yksikkö 1.2.246.10.2454372.10.0");
        assert_eq!(subject.unit.as_deref(), Some("Yksikkö 1.2.246.10.2454372.10.1"));
        assert_eq!(subject.locality.as_deref(), Some("Espoo"));
        assert_eq!(subject.common_name.as_deref(), Some("www.example.fi"), "the first name of at most 64 characters");
    }

    #[test]
    fn an_organisation_that_is_its_own_unit_has_no_ou() {
        let top = &rows()[1..];
        let subject = subject(&organisation(), &top[0].oid, top, &names(&["www.example.fi"]), NOW).unwrap();
        assert_eq!(subject.unit, None);
    }

    #[test]
    fn a_unit_belongs_to_the_nearest_business_id_above_it() {
        let unit = UNIT.parse().unwrap();
        let refused = |rows: &[UnitRow]| subject(&organisation(), &unit, rows, &names(&["a.fi"]), NOW).is_err();
        assert!(!refused(&rows()));
        let mut foreign = rows();
        foreign[0].business_id = Some("0112038-9".parse().unwrap());
        assert!(refused(&foreign), "the unit's own row names another organisation");
        assert!(refused(&rows()[..1]), "nothing above it names one");
        let mut ended = rows();
        ended[1].valid_to = Some(NOW.plus(-1));
        assert!(refused(&ended), "the row above has ended");
        assert!(refused(&[]));
    }

    #[test]
    fn a_certificate_ends_with_the_first_row_that_ends() {
        let mut rows = rows();
        (rows[0].valid_to, rows[1].valid_to) = (Some(NOW.plus(500)), Some(NOW.plus(300)));
        let unit = UNIT.parse().unwrap();
        let subject = subject(&organisation(), &unit, &rows, &names(&["a.fi"]), NOW).unwrap();
        assert_eq!(subject.unit_ends, Some(NOW.plus(300)));
    }
}
