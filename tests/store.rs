//! What every store promises, checked against each implementation through the trait alone, and what only the embedded one
//! promises about its directory.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sote_acme::model::audit::{Act, Actor, Event};
use sote_acme::model::{BlockedKey, Language, Organisation, TermsPage};
use sote_acme::names::{AccountId, InvitationId, OrganisationId, TermsPageId};
use sote_acme::store::failing::{FailingStore, Failure};
use sote_acme::store::sled::migration::{Migrated, MigrationError, Upgrade, Upgraded, migrate};
use sote_acme::store::sled::{Format, OpenError, Options, holder};
use sote_acme::store::{
    Change, CommitError, Conflict, Counter, Index, Kind, Range, Read, Record as _, Row, SledStore, Store, StoreError,
    Topic, audit,
};
use sote_acme::time::Timestamp;
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// A store in a directory of its own.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn create(&self) -> Arc<SledStore> {
        Arc::new(SledStore::create(&self.path().join("state"), options(), NOW).unwrap())
    }

    fn open(&self) -> Result<SledStore, OpenError> {
        SledStore::open(&self.path().join("state"), options())
    }

    /// Another place with the same files.
    fn copy(&self) -> Place {
        let copy = Place::new();
        std::fs::create_dir(copy.state()).unwrap();
        for (from, to) in [(self.state(), copy.state()), (self.state().join("store"), copy.state().join("store"))] {
            std::fs::create_dir_all(&to).unwrap();
            for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
            }
        }
        copy
    }

    fn state(&self) -> std::path::PathBuf {
        self.path().join("state")
    }
}

fn options() -> Options {
    Options { cache_bytes: 8 << 20, reserve_bytes: 1 << 20, ..Options::default() }
}

fn page(expires: i64) -> TermsPage {
    let account = AccountId::from_bytes([7; 16]);
    TermsPage { id: TermsPageId::mint(NOW), account, version: "1".into(), expires: Timestamp::from_seconds(expires) }
}

fn organisation(business_id: &str) -> Organisation {
    Organisation {
        id: OrganisationId::mint(NOW),
        business_id: business_id.parse().unwrap(),
        language: Language::Fi,
        test: false,
        profiles: Vec::new(),
        zones: Vec::new(),
        verification: None,
        suspended: None,
        orders_void: None,
        terms: None,
        created: NOW,
    }
}

fn uses(octet: u8) -> Counter {
    Counter::UsesLeft(InvitationId::from_bytes([octet; 16]))
}

fn event(text: &str) -> Change {
    Change::Audit(Event::done(NOW, Actor::Server, Act::KeyBlocked).with("test", text))
}

async fn read(store: &dyn Store, id: &TermsPageId) -> Read<TermsPage> {
    store.get::<TermsPage>(id).await.unwrap().expect("the page is there")
}

fn conflict(result: Result<(), CommitError>) -> Conflict {
    match result {
        Err(CommitError::Conflict(conflict)) => conflict,
        other => panic!("a conflict was expected, not {other:?}"),
    }
}

/// The suite: every store, through the trait alone.
macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod sled {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let place = super::Place::new();
                super::$name(place.create()).await;
            })*
        }
    };
}

suite! {
    a_commit_is_carried_out_whole_or_not_at_all,
    an_inserted_record_must_not_exist,
    a_replacement_needs_the_version_that_was_read,
    a_removed_record_is_gone_with_its_index_entries,
    an_expected_record_must_be_as_it_was_read,
    an_expected_absence_must_last,
    a_commits_own_changes_do_not_break_its_expectations,
    a_unique_index_names_one_record,
    a_unique_key_can_pass_from_one_record_to_another_in_one_commit,
    two_parallel_inserts_of_one_unique_key_end_with_one,
    replacing_moves_index_entries,
    counters_stay_within_their_bounds,
    two_hundred_parallel_adds_need_no_retry,
    two_hundred_parallel_replacements_end_with_one_per_version,
    a_list_is_ascending_and_continues_after_its_cursor,
    a_list_ends_before_its_bound,
    a_list_holds_nothing_of_another_owner,
    audit_numbers_are_dense_across_parallel_commits,
    a_failed_commit_leaves_no_audit_entry,
    many_audit_entries_of_one_commit_follow_each_other,
    a_commit_wakes_those_whom_it_concerns,
    a_settled_store_needs_no_waiting,
    what_was_answered_is_seen_by_the_next_read,
    an_empty_commit_is_nothing,
    a_record_above_the_limit_is_refused,
    large_records_are_kept,
    a_damaged_store_is_not_taken_for_an_absent_record,
}

async fn a_commit_is_carried_out_whole_or_not_at_all(store: Arc<dyn Store>) {
    let (first, second) = (page(10), page(20));
    store.commit(vec![Change::insert(&first)]).await.unwrap();
    let failed = store
        .commit(vec![Change::insert(&second), Change::add(uses(1), 5), event("never"), Change::insert(&first)])
        .await;
    assert_eq!(conflict(failed), Conflict::Version(Kind::TermsPage));
    assert!(store.get::<TermsPage>(&second.id).await.unwrap().is_none());
    assert_eq!(store.count(uses(1)).await.unwrap(), 0);
    let listed = store.list(Range::of(Index::TermsPagesByExpiry, [], 10)).await.unwrap();
    assert_eq!(listed.len(), 1);
}

async fn an_inserted_record_must_not_exist(store: Arc<dyn Store>) {
    let page = page(10);
    store.commit(vec![Change::insert(&page)]).await.unwrap();
    assert_eq!(read(&*store, &page.id).await.version(), 1);
    assert_eq!(conflict(store.commit(vec![Change::insert(&page)]).await), Conflict::Version(Kind::TermsPage));
}

async fn a_replacement_needs_the_version_that_was_read(store: Arc<dyn Store>) {
    let old = page(10);
    store.commit(vec![Change::insert(&old)]).await.unwrap();
    let first = read(&*store, &old.id).await;
    let newer = TermsPage { version: "2".into(), ..old.clone() };
    store.commit(vec![first.replace(&newer)]).await.unwrap();
    let second = read(&*store, &old.id).await;
    assert_eq!((second.version(), second.record.version.as_str()), (2, "2"));
    assert_eq!(conflict(store.commit(vec![first.replace(&old)]).await), Conflict::Version(Kind::TermsPage));
    assert_eq!(conflict(store.commit(vec![first.remove()]).await), Conflict::Version(Kind::TermsPage));
}

async fn a_removed_record_is_gone_with_its_index_entries(store: Arc<dyn Store>) {
    let organisation = organisation("0245437-2");
    store.commit(vec![Change::insert(&organisation)]).await.unwrap();
    let read = store.get::<Organisation>(&organisation.id).await.unwrap().unwrap();
    store.commit(vec![read.remove()]).await.unwrap();
    assert!(store.get::<Organisation>(&organisation.id).await.unwrap().is_none());
    assert!(store.find(Index::OrganisationByBusinessId, b"0245437-2").await.unwrap().is_none());
    assert!(store.list(Range::of(Index::Organisations, [], 10)).await.unwrap().is_empty());
    assert_eq!(conflict(store.commit(vec![read.remove()]).await), Conflict::Version(Kind::Organisation));
}

async fn an_expected_record_must_be_as_it_was_read(store: Arc<dyn Store>) {
    let (limits, order) = (page(10), page(20));
    store.commit(vec![Change::insert(&limits)]).await.unwrap();
    let seen = read(&*store, &limits.id).await;
    store.commit(vec![seen.expect(), Change::insert(&order)]).await.unwrap();
    store.commit(vec![seen.replace(&TermsPage { version: "2".into(), ..limits })]).await.unwrap();
    let late = store.commit(vec![seen.expect(), Change::insert(&page(30))]).await;
    assert_eq!(conflict(late), Conflict::Version(Kind::TermsPage));
}

async fn an_expected_absence_must_last(store: Arc<dyn Store>) {
    let blocked = BlockedKey { spki_sha256: [9; 32], at: NOW, reason: "leaked".into() };
    let absent = Change::expect_absent::<BlockedKey>(&[9; 32]);
    store.commit(vec![absent.clone(), Change::insert(&page(1))]).await.unwrap();
    store.commit(vec![Change::insert(&blocked)]).await.unwrap();
    assert_eq!(conflict(store.commit(vec![absent]).await), Conflict::Version(Kind::BlockedKey));
}

async fn a_commits_own_changes_do_not_break_its_expectations(store: Arc<dyn Store>) {
    let old = page(10);
    store.commit(vec![Change::insert(&old)]).await.unwrap();
    let seen = read(&*store, &old.id).await;
    let newer = TermsPage { version: "2".into(), ..old };
    store.commit(vec![seen.replace(&newer), seen.expect()]).await.unwrap();
}

async fn a_unique_index_names_one_record(store: Arc<dyn Store>) {
    let (first, second) = (organisation("0245437-2"), organisation("0245437-2"));
    store.commit(vec![Change::insert(&first)]).await.unwrap();
    let taken = store.commit(vec![Change::insert(&second)]).await;
    assert_eq!(conflict(taken), Conflict::Taken(Index::OrganisationByBusinessId));
    let found = store.lookup::<Organisation>(Index::OrganisationByBusinessId, b"0245437-2").await.unwrap().unwrap();
    assert_eq!(found.record, first);
    let one_commit = vec![Change::insert(&organisation("1234567-1")), Change::insert(&organisation("1234567-1"))];
    assert_eq!(conflict(store.commit(one_commit).await), Conflict::Taken(Index::OrganisationByBusinessId));
}

async fn a_unique_key_can_pass_from_one_record_to_another_in_one_commit(store: Arc<dyn Store>) {
    let (first, second) = (organisation("0245437-2"), organisation("0245437-2"));
    store.commit(vec![Change::insert(&first)]).await.unwrap();
    let read = store.get::<Organisation>(&first.id).await.unwrap().unwrap();
    store.commit(vec![read.remove(), Change::insert(&second)]).await.unwrap();
    let found = store.find(Index::OrganisationByBusinessId, b"0245437-2").await.unwrap();
    assert_eq!(found.as_deref(), Some(second.id.as_bytes().as_slice()));
}

async fn two_parallel_inserts_of_one_unique_key_end_with_one(store: Arc<dyn Store>) {
    let commits = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(vec![Change::insert(&organisation("0245437-2"))]).await.is_ok() })
    });
    let mut kept = 0;
    for commit in commits.collect::<Vec<_>>() {
        kept += usize::from(commit.await.unwrap());
    }
    assert_eq!(kept, 1);
    assert_eq!(store.list(Range::of(Index::Organisations, [], 10)).await.unwrap().len(), 1);
}

async fn replacing_moves_index_entries(store: Arc<dyn Store>) {
    let old = page(10);
    store.commit(vec![Change::insert(&old)]).await.unwrap();
    let later = TermsPage { expires: Timestamp::from_seconds(99), ..old.clone() };
    store.commit(vec![read(&*store, &old.id).await.replace(&later)]).await.unwrap();
    let listed = store.list(Range::of(Index::TermsPagesByExpiry, [], 10)).await.unwrap();
    assert_eq!(listed, vec![[99i64.to_be_bytes().as_slice(), old.id.as_bytes()].concat()]);
}

async fn counters_stay_within_their_bounds(store: Arc<dyn Store>) {
    store.commit(vec![Change::add(uses(1), 2)]).await.unwrap();
    store.commit(vec![Change::add(uses(1), -2)]).await.unwrap();
    assert_eq!(conflict(store.commit(vec![Change::add(uses(1), -1)]).await), Conflict::Bound(uses(1)));
    let capped = |by| Change::Add { counter: uses(2), by, floor: -3, ceiling: 10 };
    store.commit(vec![capped(10)]).await.unwrap();
    assert_eq!(conflict(store.commit(vec![capped(1)]).await), Conflict::Bound(uses(2)));
    store.commit(vec![capped(-13)]).await.unwrap();
    assert_eq!(store.count(uses(2)).await.unwrap(), -3);
    assert_eq!(conflict(store.commit(vec![capped(-1)]).await), Conflict::Bound(uses(2)));
    store.commit(vec![Change::add(uses(3), i64::MAX)]).await.unwrap();
    assert_eq!(conflict(store.commit(vec![Change::add(uses(3), 1)]).await), Conflict::Bound(uses(3)));
}

async fn two_hundred_parallel_adds_need_no_retry(store: Arc<dyn Store>) {
    store.commit(vec![Change::add(uses(1), 150)]).await.unwrap();
    let commits = (0..200).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(vec![Change::add(uses(1), -1), Change::insert(&page(n))]).await })
    });
    let mut kept = 0;
    for commit in commits.collect::<Vec<_>>() {
        match commit.await.unwrap() {
            Ok(()) => kept += 1,
            Err(error) => assert!(matches!(error, CommitError::Conflict(Conflict::Bound(_))), "{error}"),
        }
    }
    assert_eq!(kept, 150);
    assert_eq!(store.count(uses(1)).await.unwrap(), 0);
    assert_eq!(store.list(Range::of(Index::TermsPagesByExpiry, [], 500)).await.unwrap().len(), 150);
}

async fn two_hundred_parallel_replacements_end_with_one_per_version(store: Arc<dyn Store>) {
    let old = page(10);
    store.commit(vec![Change::insert(&old)]).await.unwrap();
    let seen = read(&*store, &old.id).await;
    let commits = (0..200).map(|n| {
        let (store, change) = (store.clone(), seen.replace(&TermsPage { version: n.to_string(), ..old.clone() }));
        tokio::spawn(async move { store.commit(vec![change]).await.is_ok() })
    });
    let mut kept = 0;
    for commit in commits.collect::<Vec<_>>() {
        kept += usize::from(commit.await.unwrap());
    }
    assert_eq!(kept, 1);
    assert_eq!(read(&*store, &old.id).await.version(), 2);
}

async fn a_list_is_ascending_and_continues_after_its_cursor(store: Arc<dyn Store>) {
    let pages: Vec<TermsPage> = (0..25).rev().map(page).collect();
    store.commit(pages.iter().map(Change::insert).collect()).await.unwrap();
    let mut cursor = None;
    let mut seen = Vec::new();
    loop {
        let range = Range::of(Index::TermsPagesByExpiry, [], 10).after(cursor.clone());
        let part = store.list(range).await.unwrap();
        let Some(last) = part.last() else { break };
        cursor = Some(last.clone());
        seen.extend(part);
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
}

async fn a_list_ends_before_its_bound(store: Arc<dyn Store>) {
    store.commit((0..10).map(|n| Change::insert(&page(n))).collect()).await.unwrap();
    let due = Range::of(Index::TermsPagesByExpiry, [], 100).below(Timestamp::from_seconds(4).to_be_bytes());
    assert_eq!(store.list(due.clone()).await.unwrap().len(), 4);
    assert_eq!(store.list(due.below([])).await.unwrap().len(), 0);
    assert_eq!(store.list(Range::of(Index::TermsPagesByExpiry, [], 0)).await.unwrap().len(), 0);
}

async fn a_list_holds_nothing_of_another_owner(store: Arc<dyn Store>) {
    store.commit((0..10).map(|n| Change::insert(&page(n))).collect()).await.unwrap();
    let one = Range::of(Index::TermsPagesByExpiry, 5i64.to_be_bytes(), 100);
    let listed = store.list(one).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].len(), 16, "the owner is cut off");
    let all_ones = Range::of(Index::TermsPagesByExpiry, [0xff; 8], 100);
    assert!(store.list(all_ones).await.unwrap().is_empty());
}

/// All audit entries, checked as a chain.
async fn chain(store: &dyn Store) -> Vec<audit::Recorded> {
    let nowhere = Path::new("/nonexistent");
    audit::verify(store, nowhere).await.unwrap();
    audit::entries(store, nowhere, 1, usize::MAX).await.unwrap()
}

async fn audit_numbers_are_dense_across_parallel_commits(store: Arc<dyn Store>) {
    let before = store.audit_head().await.unwrap().number;
    let commits = (0..100).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(vec![event(&n.to_string()), event("again")]).await.unwrap() })
    });
    for commit in commits.collect::<Vec<_>>() {
        commit.await.unwrap();
    }
    let entries = chain(&*store).await;
    assert_eq!(entries.len() as u64, before + 200);
    let told: BTreeSet<&str> =
        entries.iter().filter_map(|r| r.entry.event.facts.first()).map(|f| f.1.as_str()).collect();
    assert_eq!(told.len(), 101);
    let head = store.audit_head().await.unwrap();
    assert_eq!((head.number, head.time), (before + 200, Some(NOW)));
}

async fn a_failed_commit_leaves_no_audit_entry(store: Arc<dyn Store>) {
    let page = page(1);
    store.commit(vec![Change::insert(&page), event("one")]).await.unwrap();
    let head = store.audit_head().await.unwrap();
    store.commit(vec![event("two"), Change::insert(&page)]).await.unwrap_err();
    assert_eq!(store.audit_head().await.unwrap(), head);
    store.commit(vec![event("three")]).await.unwrap();
    assert_eq!(chain(&*store).await.len() as u64, head.number + 1);
}

async fn many_audit_entries_of_one_commit_follow_each_other(store: Arc<dyn Store>) {
    store.commit((0..50).map(|n| event(&n.to_string())).collect()).await.unwrap();
    let entries = chain(&*store).await;
    let told: Vec<String> = entries.iter().filter_map(|r| r.entry.event.facts.first()).map(|f| f.1.clone()).collect();
    assert_eq!(told, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    let part = audit::entries(&*store, Path::new("/nonexistent"), 3, 4).await.unwrap();
    assert_eq!(part.iter().map(|r| r.entry.number).collect::<Vec<_>>(), [3, 4, 5, 6]);
}

async fn a_commit_wakes_those_whom_it_concerns(store: Arc<dyn Store>) {
    let page = page(1);
    let of_record = |id: &TermsPageId| Topic::Record(Kind::TermsPage, TermsPage::key(id));
    let of_index = |indexes| store.subscribe(Topic::Entries(indexes));
    let mut concerned = [store.subscribe(of_record(&page.id)), of_index(&[Index::TermsPagesByExpiry])];
    let mut others = [store.subscribe(of_record(&TermsPageId::mint(NOW))), of_index(&[Index::OrdersByExpiry])];
    store.commit(vec![Change::insert(&page)]).await.unwrap();
    for subscription in &mut concerned {
        tokio::time::timeout(Duration::from_secs(5), subscription.changed()).await.unwrap();
    }
    for subscription in &mut others {
        assert!(tokio::time::timeout(Duration::from_millis(20), subscription.changed()).await.is_err());
    }
}

async fn a_settled_store_needs_no_waiting(store: Arc<dyn Store>) {
    let generation = store.generation();
    store.commit(vec![Change::insert(&page(1))]).await.unwrap();
    store.settled_since(generation).await.unwrap();
    store.settled().await.unwrap();
    assert_eq!(store.generation(), generation);
}

async fn what_was_answered_is_seen_by_the_next_read(store: Arc<dyn Store>) {
    let writers = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..25 {
                let page = page(n);
                store.commit(vec![Change::insert(&page)]).await.unwrap();
                assert_eq!(read(&*store, &page.id).await.record, page);
                store.settled().await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

async fn an_empty_commit_is_nothing(store: Arc<dyn Store>) {
    store.commit(Vec::new()).await.unwrap();
}

async fn a_record_above_the_limit_is_refused(store: Arc<dyn Store>) {
    let huge = TermsPage { version: "x".repeat(110_000), ..page(1) };
    let refused = store.commit(vec![event("never"), Change::insert(&huge)]).await;
    assert!(matches!(refused, Err(CommitError::TooLarge { kind: Kind::TermsPage, .. })), "{refused:?}");
    assert!(store.get::<TermsPage>(&huge.id).await.unwrap().is_none());
}

async fn large_records_are_kept(store: Arc<dyn Store>) {
    let large: Vec<TermsPage> = (0..60).map(|n| TermsPage { version: "x".repeat(100_000), ..page(n) }).collect();
    for page in &large {
        store.commit(vec![Change::insert(page)]).await.unwrap();
    }
    for page in &large {
        assert_eq!(&read(&*store, &page.id).await.record, page);
    }
}

async fn a_damaged_store_is_not_taken_for_an_absent_record(store: Arc<dyn Store>) {
    let page = page(1);
    store.commit(vec![Change::insert(&page)]).await.unwrap();
    let read = read(&*store, &page.id).await;
    let Change::Replace { mut row, version, was } = read.replace(&page) else { panic!("a replacement") };
    row.value = b"{".to_vec();
    store.commit(vec![Change::Replace { row, version, was }]).await.unwrap();
    assert!(matches!(store.get::<TermsPage>(&page.id).await, Err(StoreError::Damaged(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_there_after_reopening() {
    let place = Place::new();
    let (kept, organisation) = (page(10), organisation("0245437-2"));
    let store = place.create();
    store.commit(vec![Change::insert(&kept), Change::add(uses(1), 7), event("kept")]).await.unwrap();
    store.commit(vec![Change::insert(&organisation)]).await.unwrap();
    let head = store.audit_head().await.unwrap();
    drop(store);
    let store = place.open().unwrap();
    assert_eq!(read(&store, &kept.id).await.record, kept);
    assert_eq!(store.count(uses(1)).await.unwrap(), 7);
    assert!(store.find(Index::OrganisationByBusinessId, b"0245437-2").await.unwrap().is_some());
    assert_eq!(store.audit_head().await.unwrap(), head);
    store.commit(vec![event("after")]).await.unwrap();
    assert_eq!(chain(&store).await.len() as u64, head.number + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_grown_is_shortened_while_readers_and_writers_wait() {
    let place = Place::new();
    let shortened = Options { renewal_octets: 24 << 20, ..options() };
    let store = Arc::new(SledStore::create(&place.state(), shortened, NOW).unwrap());
    let kept = page(0);
    store.commit(vec![Change::insert(&kept)]).await.unwrap();
    let reader = {
        let (store, id): (Arc<dyn Store>, _) = (store.clone(), kept.id);
        tokio::spawn(async move {
            loop {
                read(&*store, &id).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let mut pages = vec![kept];
    while store.statistics().renewals < 2 && pages.len() < 4_000 {
        let large: Vec<_> = (0..20).map(|n| TermsPage { version: "x".repeat(60_000), ..page(n) }).collect();
        store.commit(large.iter().map(Change::insert).collect()).await.unwrap();
        pages.extend(large);
    }
    assert_eq!(store.statistics().renewals, 2);
    assert!(!reader.is_finished(), "no read failed meanwhile");
    reader.abort();
    let _ = reader.await;
    assert_all(&*store, &pages).await;
    drop(store);
    assert_all(&place.open().unwrap(), &pages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_the_next_start_little_to_read() {
    let place = Place::new();
    let store = place.create();
    let mut pages = Vec::new();
    for _ in 0..80 {
        let large: Vec<_> = (0..20).map(|n| TermsPage { version: "x".repeat(60_000), ..page(n) }).collect();
        store.commit(large.iter().map(Change::insert).collect()).await.unwrap();
        pages.extend(large);
    }
    let snapshots = || {
        let names = std::fs::read_dir(place.state().join("store")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("snap.")).count()
    };
    assert_eq!(snapshots(), 0, "sled writes one only when it opens a log");
    drop(store);
    assert_eq!(snapshots(), 1);
    assert_all(&place.open().unwrap(), &pages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_arrive_together_share_a_sync() {
    let place = Place::new();
    let store = place.create();
    let commits = (0..400).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(vec![Change::insert(&page(n))]).await.unwrap() })
    });
    for commit in commits.collect::<Vec<_>>() {
        commit.await.unwrap();
    }
    let statistics = store.statistics();
    assert_eq!(statistics.commits, 400);
    assert!(statistics.groups < 200, "{statistics:?}");
    assert!(statistics.largest_group > 2, "{statistics:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_becomes_a_file_that_sled_does_not_sync() {
    let place = Place::new();
    let store = place.create();
    large_records_are_kept(store.clone()).await;
    let first = store.list(Range::of(Index::TermsPagesByExpiry, [], 100)).await.unwrap();
    for key in first {
        let id = TermsPageId::try_from(&key[8..]).unwrap();
        let read = read(&*store, &id).await;
        let change = read.replace(&TermsPage { version: "y".repeat(100_000), ..read.record.clone() });
        store.commit(vec![change]).await.unwrap();
    }
    drop(store);
    drop(place.open().unwrap());
    let blobs = std::fs::read_dir(place.state().join("store/blobs")).unwrap().count();
    assert_eq!(blobs, 0);
}

#[test]
fn a_store_is_refused_to_a_second_opener_with_the_holders_process() {
    let place = Place::new();
    let store = place.create();
    let error = place.open().unwrap_err();
    assert!(matches!(error, OpenError::InUse { pid: Some(_), .. }), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert!(holder(&place.state()).is_some());
    drop(store);
    assert!(holder(&place.state()).is_none());
    place.open().unwrap();
}

#[test]
fn a_store_is_never_made_over_another() {
    let place = Place::new();
    let id = place.create().format().store.clone();
    let again = SledStore::create(&place.state(), options(), NOW);
    assert!(matches!(again, Err(OpenError::Exists(_))));
    assert_eq!(Format::read(&place.state()).unwrap().store, id);
}

#[test]
fn a_directory_without_a_store_is_refused_and_stays_empty() {
    let place = Place::new();
    std::fs::create_dir(place.state()).unwrap();
    assert!(matches!(place.open(), Err(OpenError::Missing(_))));
    assert_eq!(std::fs::read_dir(place.state()).unwrap().count(), 0);
}

#[test]
fn a_lost_or_exchanged_database_is_refused_and_not_made_anew() {
    let (place, other) = (Place::new(), Place::new());
    drop((place.create(), other.create()));
    std::fs::remove_dir_all(place.state().join("store")).unwrap();
    let error = place.open().unwrap_err();
    assert!(error.to_string().contains("store/db is missing"), "{error}");
    assert!(!place.state().join("store").exists());
    std::fs::rename(other.state().join("store"), place.state().join("store")).unwrap();
    let error = place.open().unwrap_err();
    assert!(error.to_string().contains("does not belong"), "{error}");
}

#[test]
fn a_damaged_database_is_refused_with_what_to_do() {
    let place = Place::new();
    drop(place.create());
    drop(place.open().unwrap());
    for entry in std::fs::read_dir(place.state().join("store")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
            std::fs::write(path, [0x55; 100]).unwrap();
        }
    }
    let error = place.open().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("Copy the whole directory aside"), "{error}");
}

type Spoil = fn(&mut Vec<u8>);

#[tokio::test(flavor = "multi_thread")]
async fn a_shortened_or_spoiled_database_is_refused_because_answered_commits_are_missing() {
    let spoils: [(Spoil, &str); 2] = [
        (|db| db[200_000] ^= 1, "acknowledged commits are missing"),
        (|db| db.truncate(150_000), "store/db has 150000 octets"),
    ];
    for (spoil, expected) in spoils {
        let place = Place::new();
        let store = place.create();
        for n in 0..300 {
            store.commit(vec![Change::insert(&TermsPage { version: "x".repeat(1000), ..page(n) })]).await.unwrap();
        }
        drop(store);
        let path = place.state().join("store/db");
        let mut db = std::fs::read(&path).unwrap();
        spoil(&mut db);
        std::fs::write(&path, &db).unwrap();
        let error = place.open().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(std::fs::read(&path).unwrap() == db, "nothing is overwritten");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_in_the_log_is_refused_and_nothing_is_overwritten() {
    let place = Place::new();
    let store = place.create();
    let mut pages: Vec<TermsPage> = Vec::new();
    for n in 0..400 {
        pages.push(TermsPage { version: "x".repeat(50_000 + n * 100), ..page(n as i64) });
        store.commit(vec![Change::insert(&pages[n])]).await.unwrap();
    }
    drop(store);
    let whole = std::fs::read(place.state().join("store/db")).unwrap();
    assert!(whole.len() > 3 * (8 << 20), "several segments");
    let spoils: [fn(&mut Vec<u8>, usize); 3] =
        [|db, at| db[at] ^= 0x10, |db, at| db[at..at + 70_000].fill(0), |db, at| db.truncate(at)];
    let mut refused = 0;
    for (n, spoil) in (0..12).zip(spoils.iter().cycle()) {
        // Opening changes more than the log: each attempt has a copy of everything.
        let copy = place.copy();
        let path = copy.state().join("store/db");
        let mut spoiled = whole.clone();
        spoil(&mut spoiled, (whole.len() - 80_000) * n / 12 + 4_321);
        std::fs::write(&path, &spoiled).unwrap();
        match copy.open() {
            Err(error) => {
                assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
                refused += 1;
                assert!(std::fs::read(&path).unwrap() == spoiled, "nothing is overwritten");
            }
            // What was spoiled was no longer part of the log: old octets behind its end.
            Ok(store) => assert_all(&store, &pages).await,
        }
    }
    assert!(refused >= 6, "{refused} of 12 were refused");
    assert_all(&place.open().unwrap(), &pages).await;
}

async fn assert_all(store: &dyn Store, pages: &[TermsPage]) {
    for page in pages {
        assert_eq!(&read(store, &page.id).await.record, page);
    }
}

/// Before there was a format 1, a terms page called its end `ends`, and nothing listed pages by it.
fn upgraded_page(old: &[u8]) -> Result<Upgraded, String> {
    let mut page: serde_json::Value = serde_json::from_slice(old).map_err(|e| e.to_string())?;
    let ends = page.as_object_mut().and_then(|page| page.remove("ends")).ok_or("it has no end")?;
    page["expires"] = ends;
    let page: TermsPage = serde_json::from_value(page).map_err(|e| e.to_string())?;
    let Row { value, entries, .. } = Row::of(&page);
    Ok(Upgraded { value, gone: Vec::new(), new: entries })
}

const UPGRADE: Upgrade = Upgrade { kind: Kind::TermsPage, from: 0, upgraded: upgraded_page };

/// A store of format 0 with `pages`.
async fn old_store(place: &Place, pages: &[TermsPage]) {
    let store = place.create();
    for page in pages {
        let mut row = Row::of(page);
        let text = String::from_utf8(row.value).unwrap().replace("expires", "ends");
        (row.schema, row.value, row.entries) = (0, text.into_bytes(), Vec::new());
        store.commit(vec![Change::Insert(row)]).await.unwrap();
    }
    drop(store);
    write_format(place, 0);
}

fn write_format(place: &Place, format: u32) {
    let path = place.state().join("format.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["format"] = format.into();
    std::fs::write(path, json.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_an_older_format_is_refused_until_its_records_are_upgraded() {
    let place = Place::new();
    let pages: Vec<_> = (0..1_100).map(page).collect();
    old_store(&place, &pages).await;
    let error = place.open().unwrap_err();
    assert!(error.to_string().contains("sote-acme migrate"), "{error}");

    let migrated = migrate(&place.state(), options(), &[UPGRADE], NOW).await.unwrap();
    assert_eq!(migrated, Migrated { from: 0, to: 1, records: 1_100 });
    let store = place.open().unwrap();
    assert_all(&store, &pages).await;
    let listed = store.list(Range::of(Index::TermsPagesByExpiry, [], usize::MAX)).await.unwrap();
    assert_eq!(listed.len(), pages.len());
    assert_eq!(audit::verify(&store, &place.state()).await.unwrap().entries, 2);
    drop(store);
    let again = migrate(&place.state(), options(), &[UPGRADE], NOW).await.unwrap();
    assert_eq!(again, Migrated { from: 1, to: 1, records: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_broken_off_is_continued() {
    let place = Place::new();
    let mut pages: Vec<_> = (0..600).map(page).collect();
    old_store(&place, &pages).await;
    // What cannot be upgraded breaks the run off after the first batch; the format stays.
    write_format(&place, 1);
    let store = place.open().unwrap();
    let unfit = TermsPage { id: TermsPageId::from_bytes([255; 16]), ..page(0) };
    let Change::Insert(mut row) = Change::insert(&unfit) else { unreachable!() };
    row.schema = 0;
    store.commit(vec![Change::Insert(row)]).await.unwrap();
    drop(store);
    write_format(&place, 0);
    let error = migrate(&place.state(), options(), &[UPGRADE], NOW).await.unwrap_err();
    assert!(error.to_string().contains("it has no end"), "{error}");
    assert!(matches!(place.open(), Err(OpenError::Older { found: 0, .. })));

    let taken = Upgrade {
        upgraded: |old| upgraded_page(old).or_else(|_| Ok(Upgraded { value: old.to_vec(), ..Upgraded::default() })),
        ..UPGRADE
    };
    let migrated = migrate(&place.state(), options(), &[taken], NOW).await.unwrap();
    assert_eq!(migrated.records, 101, "500 were upgraded by the first run");
    pages.push(unfit);
    assert_all(&place.open().unwrap(), &pages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_or_held_store_is_not_migrated() {
    let place = Place::new();
    let store = place.create();
    write_format(&place, 0);
    let held = migrate(&place.state(), options(), &[], NOW).await;
    assert!(matches!(held, Err(MigrationError::Open(OpenError::InUse { .. }))), "{held:?}");
    drop(store);
    write_format(&place, 2);
    let newer = migrate(&place.state(), options(), &[], NOW).await;
    assert!(matches!(newer, Err(MigrationError::Open(OpenError::Newer { found: 2, .. }))), "{newer:?}");
}

#[test]
fn nobody_else_may_read_the_state_directory() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    drop(place.create());
    let mode = |path: &str| std::fs::metadata(place.state().join(path)).unwrap().permissions().mode() & 0o777;
    for (path, expected) in [("", 0o700), ("store", 0o700), ("format.json", 0o600), ("store/db", 0o600)] {
        assert_eq!(mode(path), expected, "{path:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_entries_leave_the_store_and_stay_in_the_chain() {
    let place = Place::new();
    let store = place.create();
    let old = Event::done(NOW.plus(-1000), Actor::Server, Act::KeyBlocked);
    // The entry that the store began with is younger than these: order of number decides, not of time.
    assert_eq!(audit::seal(&*store, &place.state(), NOW.plus(-500), NOW).await.unwrap(), None);
    store.commit((0..30).map(|n| Change::Audit(old.clone().with("n", n))).collect()).await.unwrap();
    let before = audit::entries(&*store, &place.state(), 1, 1000).await.unwrap();
    let sealed = audit::seal(&*store, &place.state(), NOW.plus(1), NOW.plus(5)).await.unwrap().unwrap();
    assert_eq!((sealed.first, sealed.last), (1, 30), "the newest entry stays");
    assert!(store.read(Kind::Audit, &30u64.to_be_bytes()).await.unwrap().is_none());
    let after = audit::entries(&*store, &place.state(), 1, 1000).await.unwrap();
    assert_eq!(after[..31], before[..]);
    assert_eq!(after.len(), 32, "the sealing is an entry too");
    let second = audit::seal(&*store, &place.state(), NOW.plus(10), NOW.plus(9)).await.unwrap().unwrap();
    assert_eq!((second.first, second.last), (31, 31));
    drop(store);
    let store = place.open().unwrap();
    let verified = audit::verify(&store, &place.state()).await.unwrap();
    assert_eq!((verified.entries, verified.segments), (33, 2));
    let part = audit::entries(&store, &place.state(), 29, 3).await.unwrap();
    assert_eq!(part.iter().map(|r| r.entry.number).collect::<Vec<_>>(), [29, 30, 31]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_segment_file_breaks_the_chain_where_it_was_changed() {
    let place = Place::new();
    let store = place.create();
    store.commit((0..9).map(|n| event(&n.to_string())).collect()).await.unwrap();
    let sealed = audit::seal(&*store, &place.state(), NOW.plus(1), NOW.plus(5)).await.unwrap().unwrap();
    let path = place.state().join("audit").join(sealed.file);
    let text = std::fs::read_to_string(&path).unwrap().replace("\"5\"", "\"6\"");
    std::fs::write(path, text).unwrap();
    let error = audit::verify(&*store, &place.state()).await.unwrap_err();
    assert!(matches!(error, audit::AuditFault::Broken { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_store_keeps_what_was_kept_and_nothing_else() {
    for (failure, kept) in [(Failure::Before(2), false), (Failure::Lost(2), false), (Failure::After(2), true)] {
        let place = Place::new();
        let inner = place.create();
        let store: Arc<dyn Store> = Arc::new(FailingStore::for_good(inner.clone(), failure));
        let (first, second) = (page(1), page(2));
        store.commit(vec![Change::insert(&first)]).await.unwrap();
        store.commit(vec![Change::insert(&second)]).await.unwrap_err();
        assert!(store.get::<TermsPage>(&first.id).await.is_err(), "a process that ended reads nothing");
        assert!(store.commit(vec![Change::insert(&page(3))]).await.is_err());
        let inner: Arc<dyn Store> = inner;
        assert_eq!(inner.get::<TermsPage>(&second.id).await.unwrap().is_some(), kept, "{failure:?}");
    }
}
