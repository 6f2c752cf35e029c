//! The decisions of the registration authority: one use case per function, one commit per decision. A use case reads,
//! lets the rules of `model/` decide, and commits what follows together with the versions it was decided from. It never
//! signs and never renders. Start with `orders.rs`.

mod accounts;
mod authorizations;
mod certificates;
mod facts;
mod invitation_keys;
pub mod officers;
mod orders;
pub mod organisation;
mod renewal;
mod revocations;
mod terms;
mod unfinished;
mod unit_rows;
mod verification;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

pub use accounts::{AccountOutcome, NewAccountRequest};
pub use facts::Facts;
pub use invitation_keys::{InvitationKeyError, InvitationKeys};
pub use orders::{OrderRequest, OrderView};
pub use renewal::RenewalWindow;
pub use revocations::Revoker;
pub use unfinished::OrderFacts;

use crate::config::OrganisationDefaults;
use crate::model::PersonKey;
use crate::model::audit::{Act, Actor, Event};
use crate::model::challenge::Attempts;
use crate::model::{Profile, Refusal};
use crate::names::{AccountId, IssuerName, ProfileName};
use crate::store::{Change, CommitError, Store, StoreError};
use crate::time::Timestamp;

/// What an operator decides about accounts, orders and authorizations. Times in seconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An order that is not finalized ends after this.
    pub order_lifetime: i64,
    /// A pending authorization ends after this.
    pub pending_lifetime: i64,
    /// A valid authorization holds for this long.
    pub valid_lifetime: i64,
    /// How often and how long a challenge is tried.
    pub attempts: Attempts,
    /// CAA records are asked again before issuance when the last answer is older than this.
    pub caa_lifetime: i64,
    /// The terms of service, if there are any.
    pub terms: Option<Terms>,
    /// How long the verification of an organisation holds at most, by whatever method.
    pub verification_lifetime: i64,
    /// How organisations prove themselves.
    pub organisations: OrganisationRules,
    /// The issuers, as far as decisions need them.
    pub issuers: Vec<IssuerFacts>,
    /// After how many seconds clients shall ask for renewal information again.
    pub renewal_retry_after: u64,
    /// The state directory, for the sealed segments of the audit trail.
    pub state_directory: PathBuf,
}

/// How organisations prove themselves. Times in seconds.
#[derive(Debug, Clone)]
pub struct OrganisationRules {
    /// The challenges that an authorization of an organisation offers.
    pub offered: Vec<OfferedProof>,
    /// How long registration officers have to decide an application.
    pub approval_lifetime: i64,
    /// Whether the first verification of an organisation by registration officers needs two of them.
    pub two_officers: bool,
    /// How long what clients showed is kept word by word.
    pub evidence_lifetime: i64,
    /// The limits of an organisation that proves itself.
    pub defaults: OrganisationDefaults,
    /// The key for the identifiers of persons; without it there are no mandates.
    pub person_key: Option<PersonKey>,
}

impl Default for OrganisationRules {
    /// An application to two registration officers, and limits as configured by default.
    fn default() -> Self {
        const DAY: i64 = 86_400;
        OrganisationRules {
            offered: vec![OfferedProof::Approval { instructions: None }],
            approval_lifetime: 30 * DAY,
            two_officers: true,
            evidence_lifetime: 5 * 365 * DAY,
            defaults: OrganisationDefaults::default(),
            person_key: None,
        }
    }
}

/// A challenge that an authorization of an organisation offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferedProof {
    /// tkauth-01.
    Token {
        /// Where tokens can be had: a hint for the client.
        authority: Option<String>,
    },
    /// org-signature-01.
    CardSignature {
        /// The certificate policies of accepted cards, dotted OIDs: a hint for the client.
        policies: Vec<String>,
    },
    /// org-approval-01.
    Approval {
        /// A page that tells how applications are decided.
        instructions: Option<String>,
    },
}

/// The terms of service.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Their version.
    pub version: String,
    /// Where they stand.
    pub url: String,
    /// From when accounts that agreed to another version must agree anew; `None` never forces them.
    pub required_from: Option<Timestamp>,
}

/// What decisions need to know of an issuer.
#[derive(Debug, Clone)]
pub struct IssuerFacts {
    /// Its name.
    pub name: IssuerName,
    /// Its subjectKeyIdentifier, which RFC 9773 identifiers begin with.
    pub key_identifier: Vec<u8>,
    /// The last second of its certificate.
    pub not_after: Timestamp,
}

/// The registration authority. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    store: Arc<dyn Store>,
    settings: Arc<Settings>,
    profiles: Arc<BTreeMap<ProfileName, Profile>>,
    invitation_keys: Arc<InvitationKeys>,
    recorded_refusals: Arc<Mutex<RecordedRefusals>>,
    /// Who proposed to accept the clock, and when.
    clock_proposal: Arc<Mutex<Option<(String, Timestamp)>>>,
}

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule refused it.
    #[error("refused: {}", .0.rule())]
    Refused(Box<Refusal>),
    /// The server failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A failure of the server, not of the client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// Try again later: no room, or the store is being reopened, or too much happens at once.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Something is broken; only the log tells what.
    #[error("internal: {0}")]
    Internal(String),
}

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(Box::new(refusal))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Fault::Unavailable(why).into(),
            StoreError::Damaged(why) => Fault::Internal(why).into(),
        }
    }
}

/// One attempt at a decision: done, or overtaken by another commit.
enum Attempt<T> {
    Done(T),
    Overtaken,
}

/// How often a decision is made anew when another commit overtook it.
const MOST_ATTEMPTS: usize = 5;

impl Authority {
    /// A registration authority over `store`.
    pub fn new(
        store: Arc<dyn Store>,
        settings: Settings,
        profiles: Vec<Profile>,
        invitation_keys: InvitationKeys,
    ) -> Self {
        Authority {
            store,
            settings: Arc::new(settings),
            profiles: Arc::new(profiles.into_iter().map(|profile| (profile.name.clone(), profile)).collect()),
            invitation_keys: Arc::new(invitation_keys),
            recorded_refusals: Arc::default(),
            clock_proposal: Arc::default(),
        }
    }

    /// The store, for whoever has to wait for it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The profiles, by name.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// The profile with this name, unless it was withdrawn.
    pub fn profile(&self, name: &ProfileName) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// Makes a decision, anew when another commit overtook it.
    async fn decide<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<Attempt<T>>>,
    {
        for _ in 0..MOST_ATTEMPTS {
            if let Attempt::Done(value) = attempt().await? {
                return Ok(value);
            }
        }
        Err(Fault::Unavailable("the same records keep changing; try again".into()).into())
    }

    /// Commits `changes`; a conflict asks for a new decision.
    async fn commit<T>(&self, changes: Vec<Change>, value: T) -> Result<Attempt<T>> {
        match self.store.commit(changes).await {
            Ok(()) => Ok(Attempt::Done(value)),
            Err(CommitError::Conflict(_)) => Ok(Attempt::Overtaken),
            Err(error) => Err(committed_fault(error)),
        }
    }

    /// Records a refusal that the audit trail keeps, once per account, rule, subject and hour.
    async fn audit_refusal(&self, account: AccountId, act: Act, subject: &str, error: &Error, now: Timestamp) {
        let Error::Refused(refusal) = error else { return };
        if !refusal.is_audited() {
            return;
        }
        let first = match self.recorded_refusals.lock() {
            Ok(mut recorded) => recorded.is_first(account, refusal.rule(), subject, now),
            Err(_) => false,
        };
        if first {
            let event = Event::refused(now, Actor::Account(account), act, refusal.rule()).on("subject", subject);
            // The refusal stands whether or not it could be recorded.
            if let Err(error) = self.store.commit(vec![Change::Audit(event)]).await {
                tracing::warn!(%error, rule = refusal.rule(), "a refusal could not be recorded");
            }
        }
    }
}

/// What a failed commit that was no conflict means to the caller.
fn committed_fault(error: CommitError) -> Error {
    match error {
        CommitError::Conflict(conflict) => Fault::Unavailable(conflict.to_string()).into(),
        CommitError::Unavailable(why) => Fault::Unavailable(why).into(),
        error @ CommitError::TooLarge { .. } => Fault::Internal(error.to_string()).into(),
        CommitError::Unknown(why) => Fault::Unavailable(format!("it is unknown whether it was kept: {why}")).into(),
    }
}

/// Which refusals were recorded in the present hour. Bounded: beyond its size nothing more is recorded until the next.
#[derive(Default)]
struct RecordedRefusals {
    hour: i64,
    seen: HashSet<(AccountId, &'static str, String)>,
}

const MOST_RECORDED: usize = 100_000;

impl RecordedRefusals {
    fn is_first(&mut self, account: AccountId, rule: &'static str, subject: &str, now: Timestamp) -> bool {
        let hour = now.seconds() / 3_600;
        if hour != self.hour {
            *self = RecordedRefusals { hour, seen: HashSet::new() };
        }
        self.seen.len() < MOST_RECORDED && self.seen.insert((account, rule, subject.to_owned()))
    }
}
