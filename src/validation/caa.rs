//! CAA (RFC 8659) with the parameters of RFC 8657: whether the holder of a name lets this authority issue for it. A
//! look-up that fails refuses, unless the operator excepted the zone; an answer that DNSSEC refutes always refuses.
//! Start with [`CaaChecker::check`], which is asked at validation and again before a certificate is issued.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::resolver::{Answer, CaaRecord, LookupFailure, Resolver};
use super::settings::Settings;
use crate::acme::challenge_type::ChallengeType;
use crate::acme::identifier::Identifier;
use crate::acme::problem::Problem;
use crate::names::{DnsName, Zone};

/// Checks CAA records.
pub struct CaaChecker {
    resolver: Arc<Resolver>,
    identities: Vec<String>,
    exceptions: Vec<Zone>,
    /// For all look-ups of one check together: a name may have a hundred labels.
    limit: Duration,
}

/// Who asks, and how control was proven.
struct Issuance<'a> {
    identities: &'a [String],
    wildcard: bool,
    method: ChallengeType,
    account_url: &'a str,
}

impl CaaChecker {
    /// A checker for the identities and exceptions of `settings`.
    pub fn new(settings: &Settings, resolver: Arc<Resolver>) -> Self {
        let identities = settings.caa_identities.iter().map(|name| name.trim_end_matches('.').to_owned()).collect();
        CaaChecker {
            resolver,
            identities,
            exceptions: settings.caa_exceptions.clone(),
            limit: settings.attempt_timeout,
        }
    }

    /// Whether CAA permits a certificate for `identifier` to the account at `account_url` after a validation by `method`:
    /// one line of evidence, or a `caa` problem. What is no dns name has no CAA.
    pub async fn check(
        &self,
        identifier: &Identifier,
        method: ChallengeType,
        account_url: &str,
    ) -> Result<String, Problem> {
        self.check_before(Instant::now() + self.limit, identifier, method, account_url).await
    }

    /// As [`check`](CaaChecker::check), with what is left of an attempt's time.
    pub(super) async fn check_before(
        &self,
        deadline: Instant,
        identifier: &Identifier,
        method: ChallengeType,
        account_url: &str,
    ) -> Result<String, Problem> {
        let Some(name) = identifier.dns_name() else {
            return Ok(format!("not applicable to {identifier}"));
        };
        let found = match tokio::time::timeout_at(deadline, self.relevant_set(name)).await {
            Ok(found) => found,
            Err(_) => Err(LookupFailure {
                question: format!("CAA {name}"),
                reason: "the time limit of this attempt passed".to_owned(),
                bogus: false,
            }),
        };
        let (owner, records) = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(format!("no CAA records for {name}")),
            Err(failure) => return self.excepted(name, &failure),
        };
        let wildcard = identifier.is_wildcard();
        let issuance = Issuance { identities: &self.identities, wildcard, method, account_url };
        match issuance.refusal(&records) {
            None => Ok(format!("permitted by the CAA records of {owner}")),
            Some(why) => Err(Problem::caa(format!(
                "the CAA records of {owner} do not permit a certificate for {identifier}: {why}"
            ))),
        }
    }

    // RFC 8659 §3: the first non-empty record set at the name or, label by label, above it. Aliases are followed at each
    // name by the resolver; their own parents do not count.
    async fn relevant_set(&self, name: &DnsName) -> Result<Option<(String, Vec<CaaRecord>)>, LookupFailure> {
        let mut owner = name.as_str();
        loop {
            if let Answer::Records(records) = self.resolver.caa(owner).await? {
                return Ok(Some((owner.to_owned(), records)));
            }
            match owner.split_once('.') {
                Some((_, parent)) => owner = parent,
                None => return Ok(None),
            }
        }
    }

    fn excepted(&self, name: &DnsName, failure: &LookupFailure) -> Result<String, Problem> {
        let zone = self.exceptions.iter().find(|zone| zone.covers(name));
        match zone {
            Some(zone) if !failure.bogus => {
                tracing::warn!(%name, %zone, %failure, "CAA could not be looked up; the zone is excepted by the configuration");
                Ok(format!("{failure}; excepted by the configuration for zone {zone}"))
            }
            _ => Err(Problem::caa(format!("{failure}. Without an answer about CAA no certificate is issued"))),
        }
    }
}

impl Issuance<'_> {
    /// Why `records`, one relevant set, do not permit this issuance.
    fn refusal(&self, records: &[CaaRecord]) -> Option<String> {
        // RFC 8659 §4.1: a critical property that is not understood forbids.
        let known = ["issue", "issuewild", "iodef", "issuemail"];
        let unknown = records.iter().find(|record| record.critical && !known.iter().any(|tag| has_tag(record, tag)));
        if let Some(record) = unknown {
            let tag: String = record.tag.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
            return Some(format!("they hold a critical property \"{tag}\" that this authority does not know"));
        }
        let with_tag = |tag| records.iter().filter(|record| has_tag(record, tag)).collect::<Vec<_>>();
        let wild = if self.wildcard { with_tag("issuewild") } else { Vec::new() };
        // RFC 8659 §4.3: for a wildcard issuewild goes before issue; it says nothing about other names.
        let properties = if wild.is_empty() { with_tag("issue") } else { wild };
        if properties.is_empty() {
            return None;
        }
        // One property that permits is enough.
        let refusals: Option<Vec<Refusal>> =
            properties.iter().map(|record| self.property_refusal(&record.value)).collect();
        refusals.map(|refusals| self.explanation(refusals.into_iter().max()))
    }

    fn explanation(&self, nearest: Option<Refusal>) -> String {
        match nearest {
            Some(Refusal::Method) => format!("validationmethods excludes {}", self.method.label()),
            Some(Refusal::Account) => format!("accounturi is not {}", self.account_url),
            Some(Refusal::Issuer) | None if self.identities.is_empty() => {
                "they name other authorities, and this one has no name for CAA".to_owned()
            }
            Some(Refusal::Issuer) | None => {
                format!("they name other authorities; add an issue record for {}", self.identities.join(" or "))
            }
        }
    }

    /// Why one issue or issuewild property does not permit.
    fn property_refusal(&self, value: &[u8]) -> Option<Refusal> {
        // RFC 8659 §4.2: what does not fit the grammar names nobody.
        let Some(property) = Property::parse(value) else {
            return Some(Refusal::Issuer);
        };
        if !self.identities.iter().any(|identity| identity.eq_ignore_ascii_case(property.issuer)) {
            return Some(Refusal::Issuer);
        }
        // RFC 8657 §3: exactly this account's URL; two of them can never be satisfied.
        match property.values("accounturi").as_slice() {
            [] => {}
            [url] if *url == self.account_url => {}
            _ => return Some(Refusal::Account),
        }
        // RFC 8657 §4: a list of labels, of which one must be the method that was used.
        match property.values("validationmethods").as_slice() {
            [] => None,
            [labels] if labels.split(',').any(|label| label == self.method.label()) => None,
            _ => Some(Refusal::Method),
        }
    }
}

/// Ordered by how near the property came to permitting: the nearest explains best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Refusal {
    Issuer,
    Account,
    Method,
}

fn has_tag(record: &CaaRecord, tag: &str) -> bool {
    // RFC 8659 §4.1: tags are matched without regard to case.
    record.tag.eq_ignore_ascii_case(tag)
}

/// The value of an issue or issuewild property: a name, possibly empty, and parameters.
#[derive(Debug, PartialEq, Eq)]
struct Property<'a> {
    issuer: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Property<'a> {
    // RFC 8659 §4.2: issue-value = *WSP [issuer-domain-name *WSP] [";" *WSP [parameters *WSP]]
    fn parse(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii())?;
        let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
        let issuer = parts.next().unwrap_or_default();
        if !issuer.is_empty() && !issuer.split('.').all(is_label) {
            return None;
        }
        let mut parameters = Vec::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let (tag, value) = part.split_once('=')?;
            let (tag, value) = (tag.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']));
            let printable = value.bytes().all(|byte| matches!(byte, 0x21..=0x3a | 0x3c..=0x7e));
            if !is_label(tag) || !printable {
                return None;
            }
            parameters.push((tag, value));
        }
        Some(Property { issuer, parameters })
    }

    fn values(&self, tag: &str) -> Vec<&'a str> {
        self.parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(tag)).map(|(_, value)| *value).collect()
    }
}

// RFC 8659 §4.2: (ALPHA / DIGIT) *( *("-") (ALPHA / DIGIT))
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "https://ca.test/acme/account/1";

    fn record(text: &str) -> CaaRecord {
        let mut parts = text.splitn(3, ' ');
        let critical = parts.next() == Some("128");
        let tag = parts.next().unwrap_or_default().to_owned();
        CaaRecord { critical, tag, value: parts.next().unwrap_or_default().as_bytes().to_vec() }
    }

    fn permits(records: &[&str], wildcard: bool) -> bool {
        let identities = ["ca.test".to_owned(), "other-ca.test".to_owned()];
        let issuance =
            Issuance { identities: &identities, wildcard, method: ChallengeType::Http01, account_url: ACCOUNT };
        let records: Vec<CaaRecord> = records.iter().map(|text| record(text)).collect();
        issuance.refusal(&records).is_none()
    }

    #[test]
    fn sets_that_permit() {
        for set in [
            &["0 issue ca.test"][..],
            &["0 issue CA.Test"],
            &["0 ISSUE ca.test"],
            &["0 issue other-ca.test"],
            &["128 issue ca.test"],
            &["0 issue  ca.test ;"],
            &["0 issue ca.test; policy=ev"],
            &["0 issue ;", "0 issue ca.test"],
            &["0 issue someone.test", "0 issue ca.test"],
            &["0 iodef mailto:a@b.test"],
            &["128 iodef mailto:a@b.test"],
            &["0 issuewild ;"],
            &["0 issuemail ;"],
            &["0 future value"],
            &["0 issue ca.test; accounturi=https://ca.test/acme/account/1"],
            &["0 issue ca.test; validationmethods=dns-01,http-01"],
            &["0 issue ca.test; validationmethods=http-01; accounturi=https://ca.test/acme/account/1"],
            &["0 issue ca.test;accounturi = https://ca.test/acme/account/1"],
        ] {
            assert!(permits(set, false), "{set:?}");
        }
        assert!(permits(&["0 issue ca.test"], true));
        assert!(permits(&["0 issue ;", "0 issuewild ca.test"], true));
    }

    #[test]
    fn sets_that_forbid() {
        for set in [
            &["0 issue ;"][..],
            &["0 issue"],
            &["0 issue someone.test"],
            &["0 issue ca.test.evil.test"],
            &["0 issue %%%%%"],
            &["0 issue ca.test policy=ev"],
            &["0 issue ca.test; nonsense"],
            &["0 issue ca.test; accounturi=https://ca.test/acme/account/2"],
            &["0 issue ca.test; accounturi=https://ca.test/acme/account/1/"],
            &["0 issue ca.test; accounturi=HTTPS://ca.test/acme/account/1"],
            &["0 issue ca.test; accounturi="],
            &["0 issue ca.test; ACCOUNTURI=https://ca.test/acme/account/2"],
            &["0 issue ca.test; accounturi=https://ca.test/acme/account/1; accounturi=https://ca.test/acme/account/1"],
            &["0 issue ca.test; validationmethods=dns-01"],
            &["0 issue ca.test; validationmethods="],
            &["0 issue ca.test; validationmethods=http-01x"],
            &["0 issue ca.test; validationmethods=http-01; validationmethods=http-01"],
            &["128 future value", "0 issue ca.test"],
            &["128 contactemail a@b.test"],
        ] {
            assert!(!permits(set, false), "{set:?}");
        }
        assert!(!permits(&["0 issue ca.test", "0 issuewild ;"], true));
        assert!(!permits(&["0 issue ca.test", "0 issuewild someone.test"], true));
    }

    #[test]
    fn bytes_outside_ascii_forbid() {
        let identities = ["ca.test".to_owned()];
        let issuance =
            Issuance { identities: &identities, wildcard: false, method: ChallengeType::Dns01, account_url: ACCOUNT };
        let bad = CaaRecord { critical: false, tag: "issue".into(), value: b"ca.test; a=\xff".to_vec() };
        assert!(issuance.refusal(&[bad]).is_some());
    }

    #[test]
    fn the_refusal_names_what_came_nearest() {
        let identities = ["ca.test".to_owned()];
        let issuance =
            Issuance { identities: &identities, wildcard: false, method: ChallengeType::Http01, account_url: ACCOUNT };
        let why = |set: &[&str]| issuance.refusal(&set.iter().map(|text| record(text)).collect::<Vec<_>>()).unwrap();
        assert!(why(&["0 issue someone.test"]).contains("add an issue record for ca.test"));
        assert!(why(&["0 issue someone.test", "0 issue ca.test; accounturi=x"]).contains("accounturi is not"));
        assert!(why(&["0 issue ca.test; validationmethods=dns-01"]).contains("excludes http-01"));
    }
}
