//! What a proof of an organisation comes to: until when it holds, and what the account that gave it becomes. The rules of
//! takeover are here: whoever proves an organisation that has, or ever had, administrators waits to be admitted.

use super::{
    Account, Awaited, Evidence, Mandate, Membership, MembershipState, Organisation, Role, UniqueKind, UnitRow,
    Verification,
};
use crate::acme::challenge_type::ChallengeType;
use crate::acme::problem::Problem;
use crate::names::{AuthorizationId, OrganisationId, OrganisationIdentifier, UnitOid};
use crate::time::Timestamp;

/// Everything behind a proof, as it was read.
#[derive(Debug, Clone, Copy)]
pub struct ProofFacts<'a> {
    /// What was proved.
    pub identifier: &'a OrganisationIdentifier,
    /// How.
    pub method: ChallengeType,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// What was seen.
    pub evidence: &'a Evidence,
    /// Who proved it.
    pub account: &'a Account,
    /// That account's membership, if it has one.
    pub membership: Option<&'a Membership>,
    /// The organisation, if it is known.
    pub organisation: Option<&'a Organisation>,
    /// Whether the organisation has, or ever had, administrators.
    pub administered: bool,
    /// The register's rows in force that name the organisation.
    pub rows: &'a [UnitRow],
    /// A mandate in force of the organisation for the person who signed.
    pub mandate: Option<&'a Mandate>,
    /// Which of the evidence's unique proofs was shown before, if one was.
    pub spent: Option<UniqueKind>,
    /// How many seconds a verification holds at most.
    pub lifetime: i64,
}

/// What a proof comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Proved {
    /// The verification, which is the organisation's if `standing` says so.
    pub verification: Verification,
    /// What the account becomes.
    pub standing: ProvedStanding,
}

/// What an account becomes by a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvedStanding {
    /// The organisation's first administrator; the verification is the organisation's.
    FirstAdministrator,
    /// It is an administrator already; the verification is the organisation's.
    Renewed,
    /// It was invited as an administrator and has now proved that it acts for the organisation, whose verification this is.
    InvitedAdministrator,
    /// It waits to be admitted; the organisation's verification stays as it is.
    Waits,
    /// It is a member with another role and stays so; the organisation's verification stays as it is.
    Unchanged,
}

impl ProvedStanding {
    /// Whether the proof verifies the organisation at once.
    pub const fn verifies(self) -> bool {
        match self {
            ProvedStanding::FirstAdministrator | ProvedStanding::Renewed | ProvedStanding::InvitedAdministrator => true,
            ProvedStanding::Waits | ProvedStanding::Unchanged => false,
        }
    }

    /// Whether there is one administrator more.
    pub const fn is_new_administrator(self) -> bool {
        match self {
            ProvedStanding::FirstAdministrator | ProvedStanding::InvitedAdministrator => true,
            ProvedStanding::Renewed | ProvedStanding::Waits | ProvedStanding::Unchanged => false,
        }
    }
}

/// Why a proof, good in itself, comes to nothing. The challenge ends with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofRefused {
    /// The account has ended meanwhile.
    #[error("the account has ended; register a new one and begin again")]
    AccountEnded,
    /// It was shown before.
    #[error("{} was used before; get a new one for a new authorization", what(*.0))]
    UsedBefore(UniqueKind),
    /// The account belongs to another organisation.
    #[error(
        "this account belongs to another organisation, for its whole life; register another account to prove this one"
    )]
    OtherOrganisation,
    /// No row in force of the register names the organisation.
    #[error(
        "no row in force of the register names this organisation; have it entered in the register, wait until that has \
         reached this service, then make a new authorization"
    )]
    NotInRegister,
    /// A card that names its organisation by a row of the register, which is not one of this organisation's.
    #[error("the card names {0}, which is no row in force of this organisation in the register")]
    OtherRow(UnitOid),
    /// The evidence's own end has passed.
    #[error("what was shown ended at {0}; get a new one for a new authorization")]
    Ended(Timestamp),
    /// A personal card, and no mandate.
    #[error(
        "the card is a person's own, and the organisation has no mandate in force for that person; have a registration \
         officer add one, or use the organisation's card or another challenge, with a new authorization"
    )]
    NoMandate,
    /// An officer decided so.
    #[error("a registration officer has refused the application: {reason}")]
    Rejected {
        /// Why.
        reason: String,
    },
    /// Nobody decided in time.
    #[error("the application was not decided in time; apply again with a new authorization")]
    NotDecided,
}

fn what(kind: UniqueKind) -> &'static str {
    match kind {
        UniqueKind::AuthorityToken => "this authority token",
        UniqueKind::CardSignature => "this card signature",
    }
}

impl ProofRefused {
    /// The rule's name for logs, metrics and the audit trail.
    pub const fn rule(&self) -> &'static str {
        match self {
            ProofRefused::AccountEnded => "proof-account-ended",
            ProofRefused::UsedBefore(_) => "proof-used-before",
            ProofRefused::OtherOrganisation => "proof-other-organisation",
            ProofRefused::NotInRegister => "proof-not-in-register",
            ProofRefused::OtherRow(_) => "proof-other-row",
            ProofRefused::Ended(_) => "proof-ended",
            ProofRefused::NoMandate => "proof-no-mandate",
            ProofRefused::Rejected { .. } => "proof-rejected",
            ProofRefused::NotDecided => "proof-not-decided",
        }
    }

    /// What the challenge shows.
    pub fn problem(&self) -> Problem {
        let detail = self.to_string();
        match self {
            // What was shown before answers another challenge.
            ProofRefused::UsedBefore(_) => Problem::incorrect_response(detail),
            ProofRefused::AccountEnded
            | ProofRefused::OtherRow(_)
            | ProofRefused::Ended(_)
            | ProofRefused::NoMandate
            | ProofRefused::Rejected { .. }
            | ProofRefused::NotDecided => Problem::unauthorized(detail),
            ProofRefused::OtherOrganisation | ProofRefused::NotInRegister => Problem::rejected_identifier(detail),
        }
    }
}

/// Decides what a proof comes to at `now`.
pub fn proved(facts: ProofFacts<'_>, now: Timestamp) -> Result<Proved, ProofRefused> {
    facts.account.standing().map_err(|_| ProofRefused::AccountEnded)?;
    if let Some(kind) = facts.spent {
        return Err(ProofRefused::UsedBefore(kind));
    }
    let standing = standing(&facts)?;
    if facts.rows.is_empty() {
        return Err(ProofRefused::NotInRegister);
    }
    if let Some(row) = &facts.evidence.row
        && !facts.rows.iter().any(|known| known.oid == *row)
    {
        return Err(ProofRefused::OtherRow(row.clone()));
    }
    let mandated = match (facts.evidence.person, facts.mandate) {
        (None, _) => None,
        (Some(_), Some(mandate)) => Some(mandate.until),
        (Some(_), None) => return Err(ProofRefused::NoMandate),
    };
    if let Some(until) = facts.evidence.until.filter(|until| *until <= now) {
        return Err(ProofRefused::Ended(until));
    }
    let most = now.plus(facts.lifetime);
    let ends = [facts.evidence.until, mandated, register_end(facts.rows)];
    let verification = Verification {
        method: facts.method.label().to_owned(),
        at: now,
        expires: ends.into_iter().flatten().chain([most]).min().unwrap_or(most),
        authorization: Some(facts.authorization),
        account: Some(facts.account.id),
        told: None,
    };
    Ok(Proved { verification, standing })
}

fn standing(facts: &ProofFacts<'_>) -> Result<ProvedStanding, ProofRefused> {
    let first = || match facts.administered {
        false => ProvedStanding::FirstAdministrator,
        true => ProvedStanding::Waits,
    };
    let Some(membership) = facts.membership else { return Ok(first()) };
    let organisation: Option<OrganisationId> = facts.organisation.map(|organisation| organisation.id);
    if organisation != Some(membership.organisation) {
        return Err(ProofRefused::OtherOrganisation);
    }
    Ok(match (&membership.state, membership.role) {
        (MembershipState::Member, Role::Administrator) => ProvedStanding::Renewed,
        (MembershipState::Member, Role::TechnicalContact | Role::Auditor) => match facts.administered {
            false => ProvedStanding::FirstAdministrator,
            true => ProvedStanding::Unchanged,
        },
        (MembershipState::Pending { awaits: Awaited::Proof, .. }, Role::Administrator) => {
            ProvedStanding::InvitedAdministrator
        }
        (MembershipState::Pending { .. } | MembershipState::Removed { .. }, _) => first(),
    })
}

/// When the last of the rows that name the organisation ends, if all of them do.
fn register_end(rows: &[UnitRow]) -> Option<Timestamp> {
    rows.iter().map(|row| row.valid_to).collect::<Option<Vec<_>>>()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mandate::{MandateScope, PersonHash};
    use crate::model::policy::tests::{NOW, account, membership, organisation, row};
    use crate::names::MandateId;

    const LIFETIME: i64 = 1_000;

    struct Case {
        evidence: Evidence,
        account: Account,
        membership: Option<Membership>,
        organisation: Option<Organisation>,
        administered: bool,
        rows: Vec<UnitRow>,
        mandate: Option<Mandate>,
        spent: Option<UniqueKind>,
    }

    fn case() -> Case {
        Case {
            evidence: Evidence::default(),
            account: account(),
            membership: None,
            organisation: Some(organisation()),
            administered: false,
            rows: vec![row("1.2.246.10.2454372.10.0")],
            mandate: None,
            spent: None,
        }
    }

    fn outcome(change: impl FnOnce(&mut Case)) -> Result<Proved, ProofRefused> {
        let mut case = case();
        change(&mut case);
        let facts = ProofFacts {
            identifier: &OrganisationIdentifier::from(&organisation().business_id),
            method: ChallengeType::Tkauth01,
            authorization: AuthorizationId::from_bytes([8; 16]),
            evidence: &case.evidence,
            account: &case.account,
            membership: case.membership.as_ref(),
            organisation: case.organisation.as_ref(),
            administered: case.administered,
            rows: &case.rows,
            mandate: case.mandate.as_ref(),
            spent: case.spent,
            lifetime: LIFETIME,
        };
        proved(facts, NOW)
    }

    fn became(change: impl FnOnce(&mut Case)) -> ProvedStanding {
        outcome(change).unwrap().standing
    }

    #[test]
    fn the_first_proof_of_an_organisation_makes_its_administrator() {
        assert_eq!(became(|_| {}), ProvedStanding::FirstAdministrator);
        assert_eq!(became(|c| c.organisation = None), ProvedStanding::FirstAdministrator);
    }

    // X30
    #[test]
    fn whoever_proves_an_organisation_that_was_ever_administered_waits() {
        assert_eq!(became(|c| c.administered = true), ProvedStanding::Waits);
        let with = |state: MembershipState| {
            became(|c| {
                c.administered = true;
                c.membership = Some(Membership { state, ..membership() });
            })
        };
        assert_eq!(with(MembershipState::Removed { at: NOW, reason: "left".into() }), ProvedStanding::Waits);
        let pending = |awaits| MembershipState::Pending { awaits, approvals: vec![] };
        assert_eq!(with(pending(Awaited::Admission)), ProvedStanding::Waits);
        assert_eq!(with(pending(Awaited::Confirmation)), ProvedStanding::Waits);
        assert_eq!(with(MembershipState::Member), ProvedStanding::Unchanged, "a technical contact stays one");
    }

    #[test]
    fn an_administrator_renews_at_once_and_an_invited_one_proves_itself() {
        let administrator = Membership { role: Role::Administrator, ..membership() };
        let renewed = became(|c| (c.administered, c.membership) = (true, Some(administrator.clone())));
        assert_eq!(renewed, ProvedStanding::Renewed);
        let invited = administrator.pending(Awaited::Proof, None, NOW);
        let confirmed = became(|c| (c.administered, c.membership) = (true, Some(invited)));
        assert_eq!(confirmed, ProvedStanding::InvitedAdministrator);
    }

    #[test]
    fn each_reason_why_a_proof_comes_to_nothing_is_told_by_itself() {
        let refused = |change: fn(&mut Case)| outcome(change).unwrap_err().rule();
        assert_eq!(refused(|c| c.account = c.account.deactivated(NOW)), "proof-account-ended");
        assert_eq!(refused(|c| c.spent = Some(UniqueKind::AuthorityToken)), "proof-used-before");
        let other = |c: &mut Case| {
            c.membership = Some(Membership { organisation: OrganisationId::from_bytes([7; 16]), ..membership() });
        };
        assert_eq!(refused(other), "proof-other-organisation");
        let unknown = |c: &mut Case| (c.membership, c.organisation) = (Some(membership()), None);
        assert_eq!(refused(unknown), "proof-other-organisation");
        assert_eq!(refused(|c| c.rows.clear()), "proof-not-in-register");
        let other_row = |c: &mut Case| c.evidence.row = Some("1.2.246.10.99900016.10.0".parse().unwrap());
        assert_eq!(refused(other_row), "proof-other-row");
        assert!(outcome(|c| c.evidence.row = Some("1.2.246.10.2454372.10.0".parse().unwrap())).is_ok());
        assert_eq!(refused(|c| c.evidence.until = Some(NOW)), "proof-ended");
        assert_eq!(refused(|c| c.evidence.person = Some(PersonHash([1; 32]))), "proof-no-mandate");
    }

    #[test]
    fn a_verification_ends_with_the_first_thing_that_it_rests_on() {
        let end = |change: fn(&mut Case)| outcome(change).unwrap().verification.expires.since(NOW);
        assert_eq!(end(|_| {}), LIFETIME);
        assert_eq!(end(|c| c.evidence.until = Some(NOW.plus(300))), 300);
        assert_eq!(end(|c| c.evidence.until = Some(NOW.plus(3_000))), LIFETIME);
        assert_eq!(end(|c| c.rows[0].valid_to = Some(NOW.plus(200))), 200);
        assert_eq!(
            end(|c| {
                c.rows[0].valid_to = Some(NOW.plus(200));
                c.rows.push(row("1.2.246.10.2454372.10.9"));
            }),
            LIFETIME,
            "another row of the organisation goes on"
        );
        let mandated = |c: &mut Case| {
            c.evidence.person = Some(PersonHash([1; 32]));
            c.mandate = Some(Mandate {
                id: MandateId::from_bytes([1; 16]),
                business_id: organisation().business_id,
                person: PersonHash([1; 32]),
                scope: MandateScope::Verification,
                from: NOW,
                until: NOW.plus(100),
                added_by: "officer".into(),
                ended: None,
            });
        };
        assert_eq!(end(mandated), 100);
    }
}
