//! Challenges (RFC 8555 §7.1.5, §8): the ways to prove an authorization, what was answered, and how far each has come.

use serde::{Deserialize, Serialize};

use super::{Application, Approval, Evidence};
use crate::acme::challenge_type::ChallengeType;
use crate::acme::problem::Problem;
use crate::acme::status::ChallengeStatus;
use crate::names::ChallengeId;
use crate::time::Timestamp;

/// One way to prove an authorization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// Its id.
    pub id: ChallengeId,
    /// Its kind, with what only that kind has.
    pub kind: ChallengeKind,
    /// How far it has come.
    pub progress: ChallengeProgress,
}

/// The kinds of challenge, each with its own data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ChallengeKind {
    /// RFC 8555 §8.3.
    #[serde(rename = "http-01")]
    Http01 {
        /// 256 random bits, base64url.
        token: String,
    },
    /// RFC 8555 §8.4.
    #[serde(rename = "dns-01")]
    Dns01 {
        /// 256 random bits, base64url.
        token: String,
    },
    /// RFC 8737.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01 {
        /// 256 random bits, base64url.
        token: String,
    },
    /// RFC 9447: a token of a national token authority.
    #[serde(rename = "tkauth-01")]
    Tkauth01 {
        /// 256 random bits, base64url.
        token: String,
        /// Where a token can be had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<String>,
    },
    /// A signature by an organisation card or a professional card.
    #[serde(rename = "org-signature-01")]
    OrgSignature01 {
        /// 256 random bits, base64url.
        token: String,
        /// The certificate policies of the cards that are accepted, dotted OIDs.
        #[serde(default)]
        policies: Vec<String>,
    },
    /// A registration officer decides.
    #[serde(rename = "org-approval-01")]
    OrgApproval01 {
        /// 256 random bits, base64url.
        token: String,
        /// How applicant and officer name the application to each other. Unique.
        reference: String,
        /// A page that tells how applications are decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instructions: Option<String>,
    },
}

impl ChallengeKind {
    /// The kind's label.
    pub fn challenge_type(&self) -> ChallengeType {
        match self {
            ChallengeKind::Http01 { .. } => ChallengeType::Http01,
            ChallengeKind::Dns01 { .. } => ChallengeType::Dns01,
            ChallengeKind::TlsAlpn01 { .. } => ChallengeType::TlsAlpn01,
            ChallengeKind::Tkauth01 { .. } => ChallengeType::Tkauth01,
            ChallengeKind::OrgSignature01 { .. } => ChallengeType::OrgSignature01,
            ChallengeKind::OrgApproval01 { .. } => ChallengeType::OrgApproval01,
        }
    }

    /// The token.
    pub fn token(&self) -> &str {
        match self {
            ChallengeKind::Http01 { token }
            | ChallengeKind::Dns01 { token }
            | ChallengeKind::TlsAlpn01 { token }
            | ChallengeKind::Tkauth01 { token, .. }
            | ChallengeKind::OrgSignature01 { token, .. }
            | ChallengeKind::OrgApproval01 { token, .. } => token,
        }
    }

    /// The reference of an application to a registration officer.
    pub fn reference(&self) -> Option<&str> {
        match self {
            ChallengeKind::OrgApproval01 { reference, .. } => Some(reference),
            ChallengeKind::Http01 { .. }
            | ChallengeKind::Dns01 { .. }
            | ChallengeKind::TlsAlpn01 { .. }
            | ChallengeKind::Tkauth01 { .. }
            | ChallengeKind::OrgSignature01 { .. } => None,
        }
    }
}

/// What a client answered, as far as somebody has to look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// Nothing but that the challenge may be validated (RFC 8555 §7.5.1): the key authorization is known.
    #[default]
    Ready,
    /// An authority token, a compact JWS of at most [`MOST_TOKEN`] octets.
    Token {
        /// The token.
        tkauth: String,
    },
    /// A card's signature, a compact JWS; with a mandate of the card's holder at most [`MOST_SIGNATURE`] octets together.
    CardSignature {
        /// The signature.
        signature: String,
        /// The mandate, a compact JWS.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mandate: Option<String>,
    },
    /// An application to a registration officer.
    Application(Application),
}

/// The longest authority token, in octets.
pub const MOST_TOKEN: usize = 16 << 10;
/// The longest card signature with its mandate, in octets: a record with it must fit the store.
pub const MOST_SIGNATURE: usize = 80 << 10;

impl Answer {
    /// Whether it answers a challenge of this kind, and is no longer than it may be; else what is wrong.
    pub fn fits(&self, kind: ChallengeType) -> Result<(), String> {
        let needs = |what: &str| Err(format!("the answer to {} is an object with {what}", kind.label()));
        let longest = |length: usize, most: usize| match length <= most {
            true => Ok(()),
            false => Err(format!("the answer to {} has at most {most} octets, not {length}", kind.label())),
        };
        match (kind, self) {
            (ChallengeType::Http01 | ChallengeType::Dns01 | ChallengeType::TlsAlpn01, Answer::Ready) => Ok(()),
            (ChallengeType::Tkauth01, Answer::Token { tkauth }) => longest(tkauth.len(), MOST_TOKEN),
            (ChallengeType::OrgSignature01, Answer::CardSignature { signature, mandate }) => {
                longest(signature.len() + mandate.as_ref().map_or(0, String::len), MOST_SIGNATURE)
            }
            (ChallengeType::OrgApproval01, Answer::Application(application)) => application.is_bounded(),
            (ChallengeType::Http01 | ChallengeType::Dns01 | ChallengeType::TlsAlpn01, _) => needs("no member"),
            (ChallengeType::Tkauth01, _) => needs("\"tkauth\""),
            (ChallengeType::OrgSignature01, _) => needs("\"signature\""),
            (ChallengeType::OrgApproval01, _) => needs("\"applicant\" and \"justification\""),
        }
    }

    /// What is kept apart from the record as the evidence; none where the answer says nothing.
    pub fn document(&self) -> Option<String> {
        match self {
            Answer::Ready => None,
            Answer::Token { tkauth } => Some(tkauth.clone()),
            Answer::CardSignature { .. } | Answer::Application(_) => serde_json::to_string(self).ok(),
        }
    }
}

/// How far a challenge has come. The two ends are final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ChallengeProgress {
    /// The client has not answered it.
    Pending,
    /// The client's answer was undone, since the account has got another key: it has to answer anew.
    Restarted {
        /// When.
        at: Timestamp,
        /// Why, for the client.
        problem: Box<Problem>,
    },
    /// The worker has to validate it.
    Processing {
        /// Since when.
        since: Timestamp,
        /// When the next attempt is due.
        due: Timestamp,
        /// The key authorization of the account's key when it answered (RFC 8555 §8.1).
        key_authorization: String,
        /// What it answered.
        #[serde(default)]
        answer: Answer,
        /// The attempts that failed, oldest first.
        failures: Vec<FailedAttempt>,
    },
    /// Registration officers have to decide: no worker ever touches it.
    UnderReview {
        /// Since when.
        since: Timestamp,
        /// The key authorization of the account's key when it answered.
        key_authorization: String,
        /// What was applied for.
        application: Application,
        /// The officers who have approved it so far, where two are needed.
        #[serde(default)]
        approvals: Vec<Approval>,
    },
    /// It was proved.
    Valid {
        /// When.
        validated: Timestamp,
        /// What was seen.
        evidence: Evidence,
    },
    /// It was not.
    Invalid {
        /// When that was clear.
        at: Timestamp,
        /// The last problem, with one subproblem per failed attempt.
        problem: Box<Problem>,
    },
}

/// One failed attempt (RFC 8555 §8.2: an entry after each).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// When.
    pub at: Timestamp,
    /// What went wrong.
    pub problem: Box<Problem>,
}

/// How often a challenge is tried, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How many attempts there are; at least one.
    pub most: u32,
    /// The first pause in seconds; each further pause is twice as long.
    pub first_pause: i64,
    /// The longest pause in seconds.
    pub longest_pause: i64,
    /// After so many seconds no new attempt begins.
    pub within: i64,
}

impl Attempts {
    /// When the next attempt is due after `failed` attempts, or `None` when they are used up.
    pub(super) fn next(&self, failed: usize, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let doubled = self.first_pause.saturating_mul(1 << failed.saturating_sub(1).min(20));
        let due = now.plus(doubled.min(self.longest_pause));
        (failed < self.most as usize && due.since(since) <= self.within).then_some(due)
    }
}

impl ChallengeProgress {
    /// The same with the next attempt due earlier; `None` if it is not being validated, or the attempt is due already.
    // RFC 8555 §8.2: who answers again asks for a retry. It comes no sooner than the first pause after the last attempt, so that
    // answers bring no attempt more than there would be, and none while one runs.
    pub(super) fn sooner(&self, attempts: Attempts, now: Timestamp) -> Option<ChallengeProgress> {
        let ChallengeProgress::Processing { since, due, key_authorization, answer, failures } = self else {
            return None;
        };
        let earliest = failures.last().map_or(now, |last| last.at.plus(attempts.first_pause)).max(now);
        (*due > earliest).then(|| ChallengeProgress::Processing {
            since: *since,
            due: earliest,
            key_authorization: key_authorization.clone(),
            answer: answer.clone(),
            failures: failures.clone(),
        })
    }
}

impl Challenge {
    /// The status on the wire.
    pub fn status(&self) -> ChallengeStatus {
        match self.progress {
            ChallengeProgress::Pending | ChallengeProgress::Restarted { .. } => ChallengeStatus::Pending,
            ChallengeProgress::Processing { .. } | ChallengeProgress::UnderReview { .. } => ChallengeStatus::Processing,
            ChallengeProgress::Valid { .. } => ChallengeStatus::Valid,
            ChallengeProgress::Invalid { .. } => ChallengeStatus::Invalid,
        }
    }

    /// The key authorization of the account's key when it answered, while the answer counts.
    pub fn key_authorization(&self) -> Option<&str> {
        match &self.progress {
            ChallengeProgress::Processing { key_authorization, .. }
            | ChallengeProgress::UnderReview { key_authorization, .. } => Some(key_authorization),
            ChallengeProgress::Pending
            | ChallengeProgress::Restarted { .. }
            | ChallengeProgress::Valid { .. }
            | ChallengeProgress::Invalid { .. } => None,
        }
    }

    /// What was answered, while that counts and says something.
    pub fn document(&self) -> Option<String> {
        match &self.progress {
            ChallengeProgress::Processing { answer, .. } => answer.document(),
            ChallengeProgress::UnderReview { application, .. } => Answer::Application(application.clone()).document(),
            ChallengeProgress::Pending
            | ChallengeProgress::Restarted { .. }
            | ChallengeProgress::Valid { .. }
            | ChallengeProgress::Invalid { .. } => None,
        }
    }

    /// The error to show: the last failed attempt while processing, the whole story once invalid.
    // Erratum 5732: `error` may stand with `processing`, too. While an officer decides there is none.
    pub fn error(&self) -> Option<Problem> {
        match &self.progress {
            ChallengeProgress::Processing { failures, .. } => summary(failures),
            ChallengeProgress::Restarted { problem, .. } | ChallengeProgress::Invalid { problem, .. } => {
                Some((**problem).clone())
            }
            ChallengeProgress::Pending | ChallengeProgress::UnderReview { .. } | ChallengeProgress::Valid { .. } => {
                None
            }
        }
    }
}

/// The last failure, with every attempt as a subproblem when there was more than one.
pub(super) fn summary(failures: &[FailedAttempt]) -> Option<Problem> {
    let last = failures.last()?;
    let attempts = failures.iter().map(|failure| failure.problem.as_ref().clone().about(None)).collect();
    let problem = last.problem.as_ref().clone();
    Some(if failures.len() > 1 { problem.with_subproblems(attempts) } else { problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_fits_its_own_kind_of_challenge_only() {
        let token = Answer::Token { tkauth: "a.b.c".into() };
        let signature = Answer::CardSignature { signature: "a.b.c".into(), mandate: None };
        let application = Answer::Application(super::super::application::tests::application());
        for kind in ChallengeType::ALL {
            let fitting: Vec<_> =
                [&Answer::Ready, &token, &signature, &application].map(|answer| answer.fits(*kind).is_ok()).into();
            assert_eq!(fitting.iter().filter(|fits| **fits).count(), 1, "{kind:?}");
        }
        assert!(token.fits(ChallengeType::Tkauth01).is_ok());
        assert!(signature.fits(ChallengeType::OrgSignature01).is_ok());
        assert!(application.fits(ChallengeType::OrgApproval01).is_ok());
    }

    #[test]
    fn answers_are_bounded() {
        let token = |length| Answer::Token { tkauth: "a".repeat(length) };
        assert!(token(MOST_TOKEN).fits(ChallengeType::Tkauth01).is_ok());
        assert!(token(MOST_TOKEN + 1).fits(ChallengeType::Tkauth01).is_err());
        let mandate = Some("a".repeat(10));
        let signature = |length| Answer::CardSignature { signature: "a".repeat(length), mandate: mandate.clone() };
        assert!(signature(MOST_SIGNATURE - 10).fits(ChallengeType::OrgSignature01).is_ok());
        assert!(signature(MOST_SIGNATURE).fits(ChallengeType::OrgSignature01).is_err());
    }

    #[test]
    fn a_challenge_that_was_answered_before_answers_were_kept_reads_back() {
        let json = r#"{"state":"processing","since":"2026-11-24T00:00:00Z","due":"2026-11-24T00:00:00Z",
            "key_authorization":"t.k","failures":[]}"#;
        let progress: ChallengeProgress = serde_json::from_str(json).unwrap();
        assert!(matches!(progress, ChallengeProgress::Processing { answer: Answer::Ready, .. }));
    }
}
