//! Applications of organisations (org-approval-01): registration officers see what was applied for, by which key, and what the
//! register says, and decide. An organisation's first verification takes two of them, where so configured.

use serde::{Deserialize, Serialize};

use super::super::verification::Proving;
use super::super::{Attempt, Authority, Result};
use super::unusable;
use crate::acme::identifier::Identifier;
use crate::acme::jwk::Thumbprint;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::model::application::is_another;
use crate::model::audit::{Act, Actor, Event};
use crate::model::verification::ProofRefused;
use crate::model::{
    Account, Application, Approval, Attestation, Authorization, ChallengeProgress, Evidence, Organisation, Refusal,
    UnitRow,
};
use crate::names::{AccountId, AuthorizationId, BusinessId};
use crate::store::index::Index;
use crate::store::{Change, Range, Read};
use crate::time::Timestamp;

/// An application in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplicationSummary {
    /// How applicant and officer name it.
    pub reference: String,
    /// The organisation.
    pub organisation: Identifier,
    /// Who applies, by name.
    pub applicant: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when it can be decided.
    pub expires: Timestamp,
    /// The officers who have approved it so far.
    pub approvals: Vec<Approval>,
}

/// A page of the applications that wait, the longest waiting first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplicationPage {
    /// The applications.
    pub applications: Vec<ApplicationSummary>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An application with everything that an officer needs to decide it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplicationView {
    /// How applicant and officer name it.
    pub reference: String,
    /// The organisation.
    pub organisation: Identifier,
    /// How far it has come: `processing`, `valid`, `invalid`, or `pending` after a change of the account's key.
    pub status: ChallengeStatus,
    /// Until when it can be decided, or the proof holds.
    pub expires: Timestamp,
    /// What was applied for; no longer shown once it is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Application>,
    /// The account that applies.
    pub account: AccountId,
    /// The fingerprint of its key, which the applicant reads out: SHA-256 of the key (RFC 7638), in groups of four.
    pub fingerprint: String,
    /// The register's rows in force that name the organisation.
    pub register: Vec<UnitRow>,
    /// Whether the organisation has, or had, administrators: then the applicant has to be admitted besides.
    pub administered: bool,
    /// How many officers have to approve.
    pub officers_needed: usize,
    /// Those who have.
    pub approvals: Vec<Approval>,
}

/// An approval.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The application's reference.
    pub reference: String,
    /// The fingerprint of the account's key as the applicant read it out: its first 16 hexadecimal digits or more. It ties the
    /// decision to the key that the officer saw.
    pub fingerprint: String,
}

/// A rejection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// The application's reference.
    pub reference: String,
    /// Why: the applicant is told.
    pub reason: String,
}

/// An application that waits, with what is behind it.
struct Waiting {
    authorization: Read<Authorization>,
    account: Read<Account>,
    business_id: BusinessId,
}

const PAGE: usize = 100;
/// So many digits of a fingerprint are compared at least.
const LEAST_DIGITS: usize = 16;
const LONGEST_REASON: usize = 1_000;

impl Authority {
    /// A page of the applications that wait for a decision.
    pub async fn list_applications(&self, after: Option<String>, now: Timestamp) -> Result<ApplicationPage> {
        let cursor = after.map(|after| crate::names::base64url::decode(&after)).transpose();
        let cursor = cursor.map_err(|_| unusable("that is no place in the list of applications"))?;
        let keys = self.store.list(Range::of(Index::ApplicationsOpen, [], PAGE).after(cursor)).await?;
        let mut applications = Vec::new();
        for key in &keys {
            let Some(id) = key.get(8..).and_then(|id| AuthorizationId::try_from(id).ok()) else { continue };
            let authorization = self.store.get::<Authorization>(&id).await?;
            let open = authorization.filter(|found| found.status(now) == AuthorizationStatus::Pending);
            applications.extend(open.as_deref().and_then(summary));
        }
        let next = keys.last().filter(|_| keys.len() == PAGE).map(|key| crate::names::base64url::encode(key));
        Ok(ApplicationPage { applications, next })
    }

    /// An application with everything behind it.
    pub async fn show_application(&self, reference: &str, now: Timestamp) -> Result<ApplicationView> {
        let Waiting { authorization, account, business_id } = self.application(reference).await?;
        let challenge = challenge_of(&authorization, reference)?;
        let (application, approvals) = match &challenge.progress {
            ChallengeProgress::UnderReview { application, approvals, .. } => {
                (Some(application.clone()), approvals.clone())
            }
            ChallengeProgress::Pending
            | ChallengeProgress::Restarted { .. }
            | ChallengeProgress::Processing { .. }
            | ChallengeProgress::Valid { .. }
            | ChallengeProgress::Invalid { .. } => (None, Vec::new()),
        };
        let administered = self.is_administered(&business_id).await?;
        Ok(ApplicationView {
            reference: reference.to_owned(),
            organisation: authorization.identifier.clone(),
            status: challenge.status(),
            expires: authorization.expires,
            application,
            account: account.id,
            fingerprint: fingerprint(&account.key.thumbprint()),
            register: self.rows_naming(&business_id, now).await?,
            administered,
            officers_needed: self.officers_needed(administered),
            approvals,
        })
    }

    /// Approves an application in `officer`'s name. The last approval that is needed makes the challenge valid in the same
    /// commit, with everything that follows from a proof.
    pub async fn approve_application(
        &self,
        officer: &str,
        request: Approve,
        now: Timestamp,
    ) -> Result<ApplicationView> {
        self.decide(|| self.try_approve(officer, &request, now)).await?;
        self.show_application(&request.reference, now).await
    }

    async fn try_approve(&self, officer: &str, request: &Approve, now: Timestamp) -> Result<Attempt<()>> {
        let Waiting { authorization, account, business_id } = self.application(&request.reference).await?;
        let challenge = challenge_of(&authorization, &request.reference)?;
        let ChallengeProgress::UnderReview { approvals, .. } = &challenge.progress else {
            return Err(not_waiting(&request.reference).into());
        };
        if authorization.status(now) != AuthorizationStatus::Pending {
            return Err(not_waiting(&request.reference).into());
        }
        if !names_key(&request.fingerprint, &account.key.thumbprint()) {
            return Err(unusable(format!(
                "the fingerprint is not that of the account's key: read the application again, and give the first \
                 {LEAST_DIGITS} hexadecimal digits or more as the applicant reads them out"
            ))
            .into());
        }
        if !is_another(officer, approvals) {
            return Err(Refusal::OwnConfirmation.into());
        }
        let approval = Approval { officer: officer.to_owned(), at: now };
        let act = Event::done(now, Actor::Officer(officer.to_owned()), Act::ApplicationApproved)
            .on("authorization", authorization.id)
            .on("account", account.id)
            .with("identifier", &authorization.identifier)
            .with("reference", &request.reference);
        let needed = self.officers_needed(self.is_administered(&business_id).await?);
        if approvals.len() + 1 < needed {
            let approved = authorization.approved_by(challenge.id, approval);
            let changes = vec![authorization.replace(&approved), account.expect(), Change::Audit(act)];
            return self.commit(changes, ()).await;
        }
        let rows = self.rows_naming(&business_id, now).await?;
        let evidence = approved_evidence(approvals.iter().chain([&approval]), &rows);
        self.try_record_proof(&authorization, challenge.id, &evidence, &[act], now).await
    }

    /// Rejects an application: the authorization is invalid with the reason.
    pub async fn reject_application(&self, officer: &str, request: Reject, now: Timestamp) -> Result<ApplicationView> {
        let length = request.reason.trim().chars().count();
        if !(1..=LONGEST_REASON).contains(&length) {
            return Err(
                unusable(format!("give a reason of 1 to {LONGEST_REASON} characters; the applicant is told")).into()
            );
        }
        self.decide(|| async {
            let Waiting { authorization, account, .. } = self.application(&request.reference).await?;
            let challenge = challenge_of(&authorization, &request.reference)?;
            let open = authorization.status(now) == AuthorizationStatus::Pending;
            if !open || !matches!(challenge.progress, ChallengeProgress::UnderReview { .. }) {
                return Err(not_waiting(&request.reference).into());
            }
            let act = Event::done(now, Actor::Officer(officer.to_owned()), Act::ApplicationRejected)
                .on("authorization", authorization.id)
                .on("account", account.id)
                .with("reference", &request.reference);
            let evidence = Evidence::default();
            let proving = Proving {
                authorization: &authorization,
                challenge,
                account: &account,
                evidence: &evidence,
                acts: &[act],
            };
            let refused = ProofRefused::Rejected { reason: request.reason.trim().to_owned() };
            self.commit(self.refusing(proving, &refused, now), ()).await
        })
        .await?;
        self.show_application(&request.reference, now).await
    }

    async fn application(&self, reference: &str) -> Result<Waiting> {
        let unknown = || unusable(format!("there is no application {reference}; see sote-acme approval list"));
        let found = self.store.lookup::<Authorization>(Index::AuthorizationByReference, reference.as_bytes()).await?;
        let authorization = found.ok_or_else(unknown)?;
        let Identifier::Organisation(organisation) = &authorization.identifier else { return Err(unknown().into()) };
        let business_id = organisation.business_id();
        let account = self.account(authorization.account).await?.ok_or_else(unknown)?;
        Ok(Waiting { authorization, account, business_id })
    }

    async fn is_administered(&self, id: &BusinessId) -> Result<bool> {
        let found = self.store.lookup::<Organisation>(Index::OrganisationByBusinessId, id.as_str().as_bytes()).await?;
        match found {
            Some(organisation) => self.was_ever_administered(organisation.id).await,
            None => Ok(false),
        }
    }

    /// How many officers approve an application. For an organisation that was ever administered one is enough: the applicant
    /// is an administrator of it already, or has to be admitted besides.
    fn officers_needed(&self, administered: bool) -> usize {
        if self.settings.organisations.two_officers && !administered { 2 } else { 1 }
    }
}

fn summary(authorization: &Authorization) -> Option<ApplicationSummary> {
    let challenge = authorization.under_review()?;
    let ChallengeProgress::UnderReview { since, application, approvals, .. } = &challenge.progress else { return None };
    Some(ApplicationSummary {
        reference: challenge.kind.reference()?.to_owned(),
        organisation: authorization.identifier.clone(),
        applicant: application.applicant.name.clone(),
        since: *since,
        expires: authorization.expires,
        approvals: approvals.clone(),
    })
}

fn challenge_of<'a>(authorization: &'a Authorization, reference: &str) -> Result<&'a crate::model::Challenge> {
    let found = authorization.challenges.iter().find(|challenge| challenge.kind.reference() == Some(reference));
    Ok(found.ok_or_else(|| not_waiting(reference))?)
}

fn not_waiting(reference: &str) -> Refusal {
    unusable(format!(
        "the application {reference} does not wait for a decision: it was decided, its time is over, its authorization was \
         ended, or the account has changed its key and has to apply again; see sote-acme approval show {reference}"
    ))
}

/// What officers attest: the organisation's names in the register.
fn approved_evidence<'a>(approvals: impl Iterator<Item = &'a Approval>, rows: &[UnitRow]) -> Evidence {
    Evidence {
        trail: approvals.map(|approval| format!("approved by {} at {}", approval.officer, approval.at)).collect(),
        attested: Some(Attestation {
            by: "registration officers".to_owned(),
            names: rows.iter().map(|row| row.name_fi.clone()).take(10).collect(),
            certificate: None,
        }),
        ..Evidence::default()
    }
}

/// The fingerprint of a key for people: hexadecimal, in groups of four.
fn fingerprint(thumbprint: &Thumbprint) -> String {
    let groups: Vec<String> =
        thumbprint.as_bytes().chunks(2).map(|octets| octets.iter().map(|o| format!("{o:02X}")).collect()).collect();
    groups.join(" ")
}

/// Whether `written` is the beginning of the key's fingerprint, however it is grouped.
fn names_key(written: &str, thumbprint: &Thumbprint) -> bool {
    let digits = |text: &str| -> String {
        text.chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_uppercase()).collect()
    };
    let sound = written.chars().all(|c| c.is_ascii_hexdigit() || c.is_ascii_whitespace() || c == ':' || c == '-');
    let written = digits(written);
    sound && written.len() >= LEAST_DIGITS && digits(&fingerprint(thumbprint)).starts_with(&written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_compared_however_it_is_written_and_never_by_a_few_digits() {
        let thumbprint = Thumbprint::from_bytes([0xab; 32]);
        assert_eq!(fingerprint(&thumbprint).split(' ').count(), 16);
        for good in ["ABAB ABAB ABAB ABAB", "abab:abab:abab:abab", &fingerprint(&thumbprint)] {
            assert!(names_key(good, &thumbprint), "{good}");
        }
        for bad in ["", "ABAB", "ABAB ABAB ABAB ABA", "ABAB ABAB ABAB ABAC", "ABAB ABAB ABAB ABAB x"] {
            assert!(!names_key(bad, &thumbprint), "{bad}");
        }
    }
}
