//! Organisations: who may have certificates at all, and within which limits.

use serde::{Deserialize, Serialize};

use super::{Refusal, TermsAgreement};
use crate::names::{AccountId, AuthorizationId, BusinessId, OrganisationId, ProfileName, Zone};
use crate::time::Timestamp;

/// An organisation. It carries nothing that changes per order; its administrators are counted apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// Its Business ID.
    pub business_id: BusinessId,
    /// The language of its certificates' subjects.
    pub language: Language,
    /// Whether it may have test products only.
    pub test: bool,
    /// The profiles that it may use.
    pub profiles: Vec<ProfileName>,
    /// The dns zones in which it may have names. Empty allows none.
    pub zones: Vec<Zone>,
    /// How it was last verified.
    pub verification: Option<Verification>,
    /// Whether an officer stopped it.
    pub suspended: Option<Suspension>,
    /// Open orders older than this are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_void: Option<Void>,
    /// The terms of service to which an administrator agreed for all its accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<TermsAgreement>,
    /// When it was added.
    pub created: Timestamp,
}

/// The language of a subject's names; Finnish where the register has no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Finnish.
    #[default]
    Fi,
    /// Swedish.
    Sv,
}

/// That and how an organisation proved itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The method: a challenge type, or `registration-officer`.
    pub method: String,
    /// When.
    pub at: Timestamp,
    /// When it lapses.
    pub expires: Timestamp,
    /// The authorization that proved it, unless an officer added the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<AuthorizationId>,
    /// The account whose authorization that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// How near its end was when the organisation was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Nearness>,
}

/// How near the end of a verification is. Each is told once, by an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nearness {
    /// 60 days or less.
    SixtyDays,
    /// 30 days or less.
    ThirtyDays,
    /// 7 days or less.
    SevenDays,
    /// It has lapsed.
    Lapsed,
}

impl Nearness {
    const ALL: [Nearness; 4] = [Nearness::SixtyDays, Nearness::ThirtyDays, Nearness::SevenDays, Nearness::Lapsed];

    /// So many seconds before the end it begins.
    const fn before(self) -> i64 {
        const DAY: i64 = 86_400;
        match self {
            Nearness::SixtyDays => 60 * DAY,
            Nearness::ThirtyDays => 30 * DAY,
            Nearness::SevenDays => 7 * DAY,
            Nearness::Lapsed => 0,
        }
    }
}

impl Verification {
    /// By an officer's word.
    pub fn by_officer(at: Timestamp, expires: Timestamp) -> Self {
        Verification {
            method: "registration-officer".into(),
            at,
            expires,
            authorization: None,
            account: None,
            told: None,
        }
    }

    /// When the organisation is to be told next that the end is near, or has come.
    pub fn tell_at(&self) -> Option<Timestamp> {
        let next = Nearness::ALL.into_iter().find(|nearness| self.told.is_none_or(|told| *nearness > told));
        next.map(|nearness| self.expires.plus(-nearness.before()))
    }

    /// How near the end is, if the organisation has not been told so yet.
    pub fn untold(&self, now: Timestamp) -> Option<Nearness> {
        let reached = |nearness: &Nearness| self.expires.plus(-nearness.before()) <= now;
        Nearness::ALL.into_iter().rev().find(reached).filter(|nearness| self.told.is_none_or(|told| *nearness > told))
    }
}

/// That an officer stopped an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// When.
    pub at: Timestamp,
    /// The officer.
    pub by: String,
    /// Why, for the organisation.
    pub reason: String,
}

/// One fact that ends every open order older than it, for good: it outlives the end of a suspension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// Orders created before or at this time are void.
    pub before: Timestamp,
    /// Why, for the client.
    pub reason: String,
}

impl Organisation {
    /// Nothing, if the organisation may have certificates now.
    pub fn standing(&self, now: Timestamp) -> Result<(), Refusal> {
        if let Some(suspension) = &self.suspended {
            return Err(Refusal::OrganisationSuspended { reason: suspension.reason.clone() });
        }
        match &self.verification {
            None => Err(Refusal::OrganisationNotVerified),
            Some(verification) if verification.expires <= now => {
                Err(Refusal::OrganisationLapsed { expired: verification.expires })
            }
            Some(_) => Ok(()),
        }
    }

    /// The organisation with another verification.
    pub fn verified(&self, verification: Verification) -> Organisation {
        Organisation { verification: Some(verification), ..self.clone() }
    }

    /// The organisation, told how near the end of its verification is.
    pub fn told(&self, nearness: Nearness) -> Organisation {
        let verification = self.verification.clone();
        Organisation { verification: verification.map(|v| Verification { told: Some(nearness), ..v }), ..self.clone() }
    }

    /// The organisation, stopped: nothing more is ordered, and open orders are void.
    pub fn suspended(&self, by: &str, reason: &str, now: Timestamp) -> Organisation {
        Organisation {
            suspended: Some(Suspension { at: now, by: by.to_owned(), reason: reason.to_owned() }),
            orders_void: Some(Void { before: now, reason: reason.to_owned() }),
            ..self.clone()
        }
    }

    /// The organisation, allowed again. Orders that the suspension ended stay ended.
    pub fn resumed(&self) -> Organisation {
        Organisation { suspended: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn organisation() -> Organisation {
        Organisation {
            id: OrganisationId::from_bytes([1; 16]),
            business_id: "0245437-2".parse().unwrap(),
            language: Language::Fi,
            test: false,
            profiles: vec!["sote-server".parse().unwrap()],
            zones: vec![Zone::any()],
            verification: Some(Verification::by_officer(NOW, NOW.plus(100))),
            suspended: None,
            orders_void: None,
            terms: None,
            created: NOW,
        }
    }

    #[test]
    fn a_verification_lapses_at_its_end() {
        assert_eq!(organisation().standing(NOW.plus(99)), Ok(()));
        assert!(matches!(organisation().standing(NOW.plus(100)), Err(Refusal::OrganisationLapsed { .. })));
    }

    #[test]
    fn the_end_of_a_verification_is_told_once_at_each_distance() {
        const DAY: i64 = 86_400;
        let end = NOW.plus(100 * DAY);
        let mut organisation = organisation().verified(Verification::by_officer(NOW, end));
        let mut told = Vec::new();
        for day in 0..=110 {
            let now = NOW.plus(day * DAY);
            let verification = organisation.verification.as_ref().unwrap();
            let due = verification.tell_at().is_some_and(|at| at <= now);
            assert_eq!(due, verification.untold(now).is_some(), "day {day}");
            if let Some(nearness) = verification.untold(now) {
                told.push((day, nearness));
                organisation = organisation.told(nearness);
            }
        }
        let expected =
            [(40, Nearness::SixtyDays), (70, Nearness::ThirtyDays), (93, Nearness::SevenDays), (100, Nearness::Lapsed)];
        assert_eq!(told, expected);
        assert_eq!(organisation.verification.unwrap().tell_at(), None);
    }

    #[test]
    fn only_the_nearest_end_is_told_after_a_long_silence() {
        let verification = Verification::by_officer(NOW, NOW.plus(5 * 86_400));
        assert_eq!(verification.untold(NOW), Some(Nearness::SevenDays));
    }

    #[test]
    fn a_suspension_outlives_itself_in_the_orders_it_ended() {
        let suspended = organisation().suspended("officer", "by request", NOW.plus(5));
        assert!(matches!(suspended.standing(NOW.plus(6)), Err(Refusal::OrganisationSuspended { .. })));
        let resumed = suspended.resumed();
        assert_eq!(resumed.standing(NOW.plus(6)), Ok(()));
        assert_eq!(resumed.orders_void.map(|v| v.before), Some(NOW.plus(5)));
    }
}
