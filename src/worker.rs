//! Carries out whatever the stored facts say is unfinished: validations, issuances, CRLs, removal of what has ended. It
//! never gets a job in memory: it is woken and asks the store, so that going on after a crash is the normal path. It is the
//! only path to the issuer. Start with [`Worker::run`].

mod issuances;
mod tasks;
mod validations;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use self::tasks::Tasks;
use crate::acme::urls::Urls;
use crate::authority::Authority;
use crate::issuer::Issuers;
use crate::model::Publication;
use crate::names::{AuthorizationId, CertificateId, IssuerName, OrderId};
use crate::store::index::{Index, shard_parts};
use crate::store::{Range, Store, Topic};
use crate::time::{Clock, Timestamp};
use crate::validation::Validators;

/// The bounds of the worker's work.
#[derive(Debug, Clone)]
pub struct Settings {
    /// So many validations at once.
    pub validations: usize,
    /// So many issuances at once.
    pub issuances: usize,
    /// How long orders, authorizations and terms pages are kept after their end, in seconds.
    pub retention: i64,
    /// How long accounts without a membership are kept after their last change, in seconds.
    pub strangers: i64,
    /// A prepared certificate that could not be signed for so long is abandoned, in seconds.
    pub abandon_after: i64,
    /// Audit entries older than this are sealed into segment files, in seconds.
    pub seal_audit_after: i64,
    /// How often the worker looks without being woken: for what becomes due by time alone.
    pub tick: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            validations: 64,
            issuances: 16,
            retention: 30 * 86_400,
            strangers: 30 * 86_400,
            abandon_after: 3_600,
            seal_audit_after: 90 * 86_400,
            tick: Duration::from_secs(1),
        }
    }
}

/// What the worker works with.
#[derive(Clone)]
pub struct Worker {
    authority: Authority,
    issuers: Arc<Issuers>,
    validators: Arc<Validators>,
    clock: Arc<dyn Clock>,
    urls: Urls,
    settings: Arc<Settings>,
}

/// One thing to do. In memory it only says what is being done at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Task {
    Validate(AuthorizationId),
    Issue(OrderId),
    Resume(CertificateId),
    Publish(IssuerName, u16),
    Tidy,
}

/// Where commits enter what the worker has to do; what becomes due by time alone, it looks for now and then.
const UNFINISHED: [Index; 4] =
    [Index::ValidationsDue, Index::OrdersProcessing, Index::Unpublished, Index::PublicationsDue];
/// How often ended records are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// So many seconds may the clock stand before the newest audit entry.
const CLOCK_TOLERANCE: i64 = 60;
/// The length of a certificate's id at the end of an index key.
const CERTIFICATE_ID: usize = 16;
/// How many records go in one commit.
const TIDY_BATCH: usize = 500;

impl Worker {
    /// A worker. Nothing happens before [`Worker::run`].
    pub fn new(
        authority: Authority,
        issuers: Arc<Issuers>,
        validators: Arc<Validators>,
        clock: Arc<dyn Clock>,
        urls: Urls,
        settings: Settings,
    ) -> Self {
        Worker { authority, issuers, validators, clock, urls, settings: Arc::new(settings) }
    }

    fn store(&self) -> &dyn Store {
        self.authority.store().as_ref()
    }

    /// Works until `stop` turns true, then lets what is running end.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut work = self.authority.store().subscribe(Topic::Entries(&UNFINISHED));
        let mut tasks = Tasks::new(self.settings.validations, self.settings.issuances);
        let mut tidied = tokio::time::Instant::now();
        let mut resumed: Option<tokio::time::Instant> = None;
        while !*stop.borrow() {
            // What was prepared and not signed waits for a key, not for a commit: looked for at the start and now and then.
            let resume = resumed.is_none_or(|at| at.elapsed() >= self.settings.tick);
            match self.begin_due(&mut tasks, resume).await {
                Ok(()) if resume => resumed = Some(tokio::time::Instant::now()),
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "the worker cannot see what is unfinished"),
            }
            if tidied.elapsed() >= TIDY_EVERY && self.begin(&mut tasks, Task::Tidy) {
                tidied = tokio::time::Instant::now();
            }
            tokio::select! {
                () = work.changed() => {}
                () = tasks.finished() => {}
                () = tokio::time::sleep(self.settings.tick) => {}
                _ = stop.changed() => {}
            }
        }
        tasks.drained().await;
    }

    /// Publishes every CRL that is due, in this call. Before the first certificate, its shard's CRL must stand.
    pub async fn publish_due(&self) -> crate::authority::Result<()> {
        let now = self.clock.now();
        for (issuer, shard) in self.publications_due(now).await? {
            self.publish(&issuer, shard).await;
        }
        Ok(())
    }

    /// Begins everything that is unfinished and not being done; certificates that were left prepared only with `resume`.
    async fn begin_due(&self, tasks: &mut Tasks, resume: bool) -> crate::authority::Result<()> {
        let now = self.clock.now();
        if tasks.room_for_validations() > 0 {
            for id in self.authority.validations_due(now, 2 * self.settings.validations).await? {
                self.begin(tasks, Task::Validate(id));
            }
        }
        if !self.clock_is_sound(now).await? {
            return Ok(());
        }
        if resume && tasks.room_for_issuances() > 0 {
            for prepared in self.authority.certificates_prepared(2 * self.settings.issuances).await? {
                // What this process prepared is still on its way, unless its task has ended without success.
                if !tasks.is_running(&Task::Issue(prepared.order)) {
                    self.begin(tasks, Task::Resume(prepared.id));
                }
            }
        }
        if tasks.room_for_issuances() > 0 {
            for id in self.authority.orders_processing(2 * self.settings.issuances).await? {
                self.begin(tasks, Task::Issue(id));
            }
        }
        for (issuer, shard) in self.publications_due(now).await? {
            self.begin(tasks, Task::Publish(issuer, shard));
        }
        Ok(())
    }

    /// Whether the clock stands where it may: nothing is issued or published while it stands well before the newest audit
    /// entry, since dates of certificates and CRLs would go back.
    async fn clock_is_sound(&self, now: Timestamp) -> crate::authority::Result<bool> {
        let newest = self.store().audit_head().await?.time;
        let behind = newest.map_or(0, |newest| newest.since(now));
        if behind > CLOCK_TOLERANCE {
            tracing::error!(
                behind,
                "the clock stands before the newest audit entry: nothing is issued or published; \
                set it right, or accept it: sote-acme clock accept"
            );
        }
        Ok(behind <= CLOCK_TOLERANCE)
    }

    fn begin(&self, tasks: &mut Tasks, task: Task) -> bool {
        let worker = self.clone();
        tasks.begin(task.clone(), async move { worker.carry_out(task).await })
    }

    /// Does one thing; `false` asks for a pause before it is tried again.
    async fn carry_out(&self, task: Task) -> bool {
        match task {
            Task::Validate(id) => self.validate(id).await,
            Task::Issue(id) => self.issue(id).await,
            Task::Resume(id) => self.resume(id).await,
            Task::Publish(issuer, shard) => self.publish(&issuer, shard).await,
            Task::Tidy => self.tidy().await,
        }
    }

    /// The shards with something unpublished, and those whose next CRL is due. A shard that the configuration no longer
    /// uses is among them: certificates that name it are out there.
    async fn publications_due(&self, now: Timestamp) -> crate::authority::Result<Vec<(IssuerName, u16)>> {
        let mut due = Vec::new();
        let mut cursor = None;
        // One look per shard with something unpublished, however much that is.
        while let Some(entry) = self.store().list(Range::of(Index::Unpublished, [], 1).after(cursor)).await?.pop() {
            let shard = &entry[..entry.len().saturating_sub(CERTIFICATE_ID)];
            due.extend(shard_parts(shard));
            cursor = Some([shard, &[0xff; CERTIFICATE_ID]].concat());
        }
        let range = Range::of(Index::PublicationsDue, [], 1_000).below(now.plus(1).to_be_bytes());
        for key in self.store().list(range).await? {
            due.extend(key.get(8..).and_then(shard_parts).filter(|publication| !due.contains(publication)));
        }
        due.retain(|(issuer, _)| self.issuers.issuer(issuer).is_some());
        Ok(due)
    }

    async fn publish(&self, issuer: &IssuerName, shard: u16) -> bool {
        match self.issuers.publish(self.store(), issuer, shard, self.clock.now()).await {
            Ok(Publication { number, published, .. }) => {
                let entries = published.map_or(0, |published| published.entries);
                tracing::info!(%issuer, shard, number, entries, "CRL published");
                true
            }
            Err(error) => {
                tracing::error!(%issuer, shard, %error, "a CRL could not be published; the old one stays");
                false
            }
        }
    }

    /// Removes what has ended and seals old audit entries, a batch at a time.
    async fn tidy(&self) -> bool {
        match self.try_tidy(self.clock.now()).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "what has ended could not be removed");
                false
            }
        }
    }

    async fn try_tidy(&self, now: Timestamp) -> crate::authority::Result<()> {
        self.authority.end_applications(now, TIDY_BATCH).await?;
        while self.authority.tell_of_lapses(now, TIDY_BATCH).await? >= TIDY_BATCH {}
        while self.authority.remove_ended(now, self.settings.retention, TIDY_BATCH).await? >= TIDY_BATCH {}
        self.authority.forget_repeats(now, TIDY_BATCH).await?;
        self.authority.remove_strangers(now.plus(-self.settings.strangers), now, TIDY_BATCH).await?;
        while self.authority.seal_audit(now.plus(-self.settings.seal_audit_after), now).await? {}
        Ok(())
    }
}
