//! Products as data: what a certificate of a profile looks like and who may order it (draft-ietf-acme-profiles).

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::refusal::{IdentifierFault, ValidityFault};
use crate::acme::identifier::{Identifier, Identifiers};
use crate::names::{IssuerName, ProfileName};
use crate::public_key::KeyFamily;
use crate::time::Timestamp;

/// A certificate profile, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name on the wire.
    pub name: ProfileName,
    /// What `meta.profiles` of the directory says of it.
    pub description: String,
    /// The issuer that signs it.
    pub issuer: IssuerName,
    /// Whether it is a test product, which is all that test organisations may have.
    #[serde(default)]
    pub test: bool,
    /// At most so many names.
    #[serde(default = "most_names")]
    pub most_names: usize,
    /// Whether wildcard names are allowed.
    #[serde(default = "yes")]
    pub wildcards: bool,
    /// The validity of orders that ask for none, in days.
    #[serde(default = "validity_days")]
    pub validity_days: u32,
    /// The longest validity that may be asked for, in days. Two years is the most that the service allows.
    #[serde(default = "validity_days")]
    pub ceiling_days: u32,
    /// Whether certificates end at the end of a day in Helsinki.
    #[serde(default)]
    pub end_of_day: bool,
    /// How many seconds before its issuance a certificate begins, for relying services whose clocks are late.
    #[serde(default = "backdate")]
    pub backdate: i64,
    /// The extended key usages.
    #[serde(default = "server_and_client")]
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    /// The certificate policies.
    pub policies: Vec<Policy>,
    /// The kinds of key that are certified.
    #[serde(default = "key_families")]
    pub keys: Vec<KeyFamily>,
    /// Which valid authorizations a new order takes over.
    #[serde(default)]
    pub reuse: Reuse,
}

/// An extended key usage (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExtendedKeyUsage {
    /// id-kp-serverAuth.
    ServerAuth,
    /// id-kp-clientAuth.
    ClientAuth,
}

/// A certificate policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its OID, dotted.
    pub oid: String,
    /// Where its practice statement stands, if the certificate shall say so.
    #[serde(default)]
    pub cps: Option<String>,
}

/// Which valid authorizations a new order takes over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// None.
    None,
    /// Only what the client made itself by newAuthz: X-Road never finalizes an order that begins `ready`.
    #[default]
    PreAuthorized,
    /// Every valid one.
    All,
}

/// The first and the last second of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

/// What ends a certificate besides its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// When the unit's register row ends, if it does.
    pub unit: Option<Timestamp>,
    /// When the issuer's certificate ends.
    pub issuer: Timestamp,
}

fn most_names() -> usize {
    100
}

fn yes() -> bool {
    true
}

// One year and some days: room for a client that asks for now + 365 days, as X-Road does.
fn validity_days() -> u32 {
    397
}

fn backdate() -> i64 {
    60
}

fn server_and_client() -> Vec<ExtendedKeyUsage> {
    vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth]
}

fn key_families() -> Vec<KeyFamily> {
    vec![KeyFamily::P256, KeyFamily::P384, KeyFamily::Rsa]
}

const DAY: i64 = 86_400;
/// A requested notBefore may lie so far in the past or in the future.
const EARLIEST_NOT_BEFORE: i64 = -3_600;
const LATEST_NOT_BEFORE: i64 = 30 * DAY;

impl Profile {
    /// Nothing, if the profile allows these identifiers.
    pub fn admits(&self, identifiers: &Identifiers) -> Result<(), Refusal> {
        if identifiers.of_organisations().count() > 1 {
            return Err(Refusal::OneOrganisationOnly);
        }
        if identifiers.dns().count() > self.most_names {
            return Err(Refusal::TooManyIdentifiers { most: self.most_names });
        }
        let rejected: Vec<_> =
            identifiers.iter().filter_map(|i| self.fault(i).map(|fault| (i.clone(), fault))).collect();
        if !rejected.is_empty() {
            return Err(Refusal::IdentifiersRejected { rejected });
        }
        if identifiers.dns().next().is_none() { Err(Refusal::DnsNameNeeded) } else { Ok(()) }
    }

    fn fault(&self, identifier: &Identifier) -> Option<IdentifierFault> {
        match identifier {
            // An organisation or a unit may be named beside the dns names.
            Identifier::Dns(_) | Identifier::Organisation(_) | Identifier::Unit(_) => None,
            Identifier::Wildcard(_) => (!self.wildcards).then_some(IdentifierFault::NoWildcards),
            Identifier::Ip(_) => Some(IdentifierFault::NotForProfile),
        }
    }

    /// The validity of a certificate issued at `now`. What was asked for is given exactly or refused
    /// (RFC 8555 §7.4); what was not asked for is cut by what ends earlier.
    pub fn validity(
        &self,
        not_before: Option<Timestamp>,
        not_after: Option<Timestamp>,
        ends: Ends,
        now: Timestamp,
    ) -> Result<Validity, Refusal> {
        let refused = |why| Err(Refusal::ValidityRefused { why });
        let begin = not_before.unwrap_or_else(|| now.plus(-self.backdate));
        let asked = not_before.map_or(0, |asked| asked.since(now));
        if !(EARLIEST_NOT_BEFORE..=LATEST_NOT_BEFORE).contains(&asked) {
            return refused(ValidityFault::NotBeforeOutOfBounds);
        }
        // Both ends count (RFC 5280 §4.1.2.5): a validity of N days ends one second before the same time of day.
        let longest = begin.plus(i64::from(self.ceiling_days) * DAY - 1).min(begin.plus_years(2).plus(-1));
        let Some(not_after) = not_after else {
            let usual = begin.plus(i64::from(self.validity_days) * DAY - 1).min(longest);
            let usual = if self.end_of_day { end_of_day_within(usual, longest) } else { usual };
            let end = ends.unit.into_iter().chain([ends.issuer, usual]).min().unwrap_or(usual);
            let validity = Validity { not_before: begin, not_after: end };
            return if end <= now { refused(ValidityFault::BeyondUnit { latest: end }) } else { Ok(validity) };
        };
        if not_after <= begin || not_after <= now {
            return refused(ValidityFault::Backwards);
        }
        if not_after > longest {
            return refused(ValidityFault::BeyondProfile { latest: longest });
        }
        if let Some(latest) = ends.unit.filter(|end| not_after > *end) {
            return refused(ValidityFault::BeyondUnit { latest });
        }
        if not_after > ends.issuer {
            return refused(ValidityFault::BeyondIssuer { latest: ends.issuer });
        }
        Ok(Validity { not_before: begin, not_after })
    }
}

/// The end of `time`'s day in Helsinki, or of the day before when that would pass `longest`.
fn end_of_day_within(time: Timestamp, longest: Timestamp) -> Timestamp {
    let end = time.end_of_helsinki_day();
    if end <= longest { end } else { time.plus(-DAY).end_of_helsinki_day() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    const FREE: Ends = Ends { unit: None, issuer: Timestamp::from_seconds(2_500_000_000) };

    pub(crate) fn profile() -> Profile {
        Profile {
            name: "sote-server".parse().unwrap(),
            description: "Sote server certificate".into(),
            issuer: "sote-1".parse().unwrap(),
            test: false,
            most_names: 2,
            wildcards: true,
            validity_days: 397,
            ceiling_days: 397,
            end_of_day: false,
            backdate: 60,
            extended_key_usage: server_and_client(),
            policies: vec![],
            keys: key_families(),
            reuse: Reuse::PreAuthorized,
        }
    }

    fn names(list: &[&str]) -> Identifiers {
        let list: Vec<_> = list.iter().map(|n| format!(r#"{{"type":"dns","value":"{n}"}}"#)).collect();
        serde_json::from_str(&format!("[{}]", list.join(","))).unwrap()
    }

    #[test]
    fn too_many_names_and_unwanted_wildcards_are_refused() {
        assert_eq!(profile().admits(&names(&["a.test", "*.b.test"])), Ok(()));
        assert!(matches!(
            profile().admits(&names(&["a.test", "b.test", "c.test"])),
            Err(Refusal::TooManyIdentifiers { .. })
        ));
        let strict = Profile { wildcards: false, ..profile() };
        assert!(matches!(strict.admits(&names(&["*.b.test"])), Err(Refusal::IdentifiersRejected { .. })));
    }

    #[test]
    fn a_year_from_now_fits_and_is_given_exactly() {
        let asked = NOW.plus(365 * DAY);
        assert_eq!(profile().validity(None, Some(asked), FREE, NOW).unwrap().not_after, asked);
    }

    #[test]
    fn what_was_asked_for_is_never_shortened_silently() {
        let validity = |after, ends| profile().validity(None, Some(after), ends, NOW);
        let refusal = |result| match result {
            Err(Refusal::ValidityRefused { why }) => why,
            other => panic!("{other:?}"),
        };
        assert!(matches!(refusal(validity(NOW.plus(400 * DAY), FREE)), ValidityFault::BeyondProfile { .. }));
        assert!(matches!(refusal(validity(NOW, FREE)), ValidityFault::Backwards));
        let unit = Ends { unit: Some(NOW.plus(10 * DAY)), ..FREE };
        assert!(matches!(refusal(validity(NOW.plus(11 * DAY), unit)), ValidityFault::BeyondUnit { .. }));
        let issuer = Ends { unit: None, issuer: NOW.plus(10 * DAY) };
        assert!(matches!(refusal(validity(NOW.plus(11 * DAY), issuer)), ValidityFault::BeyondIssuer { .. }));
    }

    #[test]
    fn what_was_not_asked_for_ends_with_the_unit_and_the_issuer() {
        let unit = Ends { unit: Some(NOW.plus(10 * DAY)), ..FREE };
        assert_eq!(profile().validity(None, None, unit, NOW).unwrap().not_after, NOW.plus(10 * DAY));
        assert!(profile().validity(None, None, Ends { unit: Some(NOW), ..FREE }, NOW).is_err());
    }

    #[test]
    fn no_profile_goes_beyond_two_years() {
        let long = Profile { validity_days: 900, ceiling_days: 900, ..profile() };
        let validity = long.validity(None, None, FREE, NOW).unwrap();
        assert_eq!(validity.not_after, validity.not_before.plus_years(2).plus(-1));
        let end_of_day = Profile { end_of_day: true, ..long };
        let validity = end_of_day.validity(None, None, FREE, NOW).unwrap();
        assert!(validity.not_after <= validity.not_before.plus_years(2).plus(-1));
        assert_eq!(validity.not_after, validity.not_after.end_of_helsinki_day());
    }

    #[test]
    fn a_requested_begin_lies_near() {
        assert!(profile().validity(Some(NOW.plus(-7200)), None, FREE, NOW).is_err());
        assert!(profile().validity(Some(NOW.plus(31 * DAY)), None, FREE, NOW).is_err());
        assert_eq!(profile().validity(Some(NOW.plus(DAY)), None, FREE, NOW).unwrap().not_before, NOW.plus(DAY));
    }
}
