//! What the store does on a full disk. Needs a small file system of its own, so run it by `tests/full_disk.sh`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sote_acme::model::TermsPage;
use sote_acme::model::audit::{Act, Actor, Event};
use sote_acme::names::{AccountId, TermsPageId};
use sote_acme::store::sled::Options;
use sote_acme::store::{Change, CommitError, Index, Range, SledStore, Store, StoreError, audit};
use sote_acme::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// The small file system, emptied for one test.
fn small_disk(name: &str) -> PathBuf {
    let disk = std::env::var("SOTE_ACME_SMALL_DISK").expect("run this by tests/full_disk.sh");
    let dir = Path::new(&disk).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).unwrap();
    dir
}

fn free(dir: &Path) -> u64 {
    let disk = rustix::fs::statvfs(dir).unwrap();
    disk.f_bavail * disk.f_frsize
}

/// Fills the disk until only `left` octets are free.
fn fill(dir: &Path, left: u64) -> PathBuf {
    let path = dir.join("ballast");
    let mut ballast = File::options().create(true).append(true).open(&path).unwrap();
    while free(dir) > left {
        let part = vec![1; usize::try_from((free(dir) - left).min(1 << 20)).unwrap()];
        if ballast.write_all(&part).is_err() {
            break;
        }
    }
    path
}

fn page(size: usize) -> TermsPage {
    let (id, account) = (TermsPageId::mint(NOW), AccountId::from_bytes([7; 16]));
    TermsPage { id, account, version: "x".repeat(size), expires: NOW }
}

/// A page and the audit entry that belongs to it, in one commit.
fn changes(page: &TermsPage) -> Vec<Change> {
    let event = Event::done(NOW, Actor::Server, Act::TermsAgreed).on("page", page.id);
    vec![Change::insert(page), Change::Audit(event)]
}

async fn eventually_open(store: &dyn Store) {
    let end = Instant::now() + Duration::from_secs(20);
    while store.list(Range::of(Index::TermsPagesByExpiry, [], 1)).await.is_err() {
        assert!(Instant::now() < end, "the store did not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything acknowledged is there, and what there is, is there with its audit entry and its index entry.
async fn assert_whole(store: &dyn Store, dir: &Path, acknowledged: &[TermsPage]) {
    for page in acknowledged {
        let found = store.get::<TermsPage>(&page.id).await.unwrap().expect("an acknowledged page is there");
        assert_eq!(&found.record, page);
    }
    audit::verify(store, dir).await.unwrap();
    let entries = audit::entries(store, dir, 1, usize::MAX).await.unwrap();
    let recorded = entries.iter().filter(|r| r.entry.event.act == Act::TermsAgreed).count();
    let listed = store.list(Range::of(Index::TermsPagesByExpiry, [], usize::MAX)).await.unwrap();
    assert_eq!(listed.len(), recorded);
    for key in listed {
        let id = TermsPageId::try_from(&key[8..]).unwrap();
        assert!(store.get::<TermsPage>(&id).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system: tests/full_disk.sh"]
async fn commits_are_refused_below_the_reserve_and_reads_go_on() {
    let dir = small_disk("reserve");
    let options = Options { cache_bytes: 4 << 20, reserve_bytes: 8 << 20, ..Options::default() };
    let store: Arc<dyn Store> = Arc::new(SledStore::create(&dir.join("state"), options, NOW).unwrap());
    let (before, refused, after) = (page(1000), page(1000), page(1000));
    store.commit(changes(&before)).await.unwrap();
    let generation = store.generation();
    let ballast = fill(&dir, 4 << 20);
    let answer = store.commit(changes(&refused)).await;
    assert!(matches!(&answer, Err(CommitError::Unavailable(why)) if why.contains("reserve")), "{answer:?}");
    assert!(store.get::<TermsPage>(&before.id).await.unwrap().is_some());
    assert!(store.get::<TermsPage>(&refused.id).await.unwrap().is_none());
    store.settled_since(generation).await.unwrap();
    std::fs::remove_file(ballast).unwrap();
    store.commit(changes(&after)).await.unwrap();
    assert_whole(&*store, &dir.join("state"), &[before, after]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system: tests/full_disk.sh"]
async fn a_disk_that_fills_up_loses_nothing_acknowledged_and_service_resumes_when_there_is_room() {
    let dir = small_disk("full");
    let state = dir.join("state");
    // No reserve, so that the disk really fills up under the store's own writes.
    let options = Options { cache_bytes: 4 << 20, reserve_bytes: 0, ..Options::default() };
    let sled = Arc::new(SledStore::create(&state, options, NOW).unwrap());
    let store: Arc<dyn Store> = sled.clone();
    let mut acknowledged = Vec::new();
    // Whatever part of sled's work it is that finds no room.
    for (cycle, left) in [1 << 20, 200_000, 5 << 20, 0].into_iter().enumerate() {
        let generation = store.generation();
        acknowledged.push(page(1000));
        store.commit(changes(&acknowledged[acknowledged.len() - 1])).await.unwrap();
        let ballast = fill(&dir, left);
        acknowledged.extend(write_until_failure(&store).await);
        assert_eq!(sled.statistics().failures, cycle as u64 + 1);
        // Whoever had read before the failure may have seen what is lost now.
        assert!(matches!(store.settled_since(generation).await, Err(StoreError::Unavailable(_))));
        assert_ne!(store.generation(), generation);
        let closed = store.commit(changes(&page(10))).await;
        assert!(matches!(closed, Err(CommitError::Unavailable(_))), "{closed:?}");
        assert!(matches!(store.get::<TermsPage>(&acknowledged[0].id).await, Err(StoreError::Unavailable(_))));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(store.commit(changes(&page(10))).await.is_err(), "there is still no room");
        std::fs::remove_file(ballast).unwrap();
        eventually_open(&*store).await;
        assert_whole(&*store, &state, &acknowledged).await;
        for _ in 0..100 {
            acknowledged.push(page(1000));
            store.commit(changes(&acknowledged[acknowledged.len() - 1])).await.unwrap();
        }
    }
    store.settled().await.unwrap();
    println!("{} commits acknowledged, {:?}", acknowledged.len(), sled.statistics());
    drop((store, sled));
    let store = SledStore::open(&state, Options::default()).unwrap();
    assert_whole(&store, &state, &acknowledged).await;
}

/// Eight writers until the disk is full; what they were told is kept. Each failure is one of the two that promise nothing.
async fn write_until_failure(store: &Arc<dyn Store>) -> Vec<TermsPage> {
    let writers = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            loop {
                let page = page(20_000);
                match store.commit(changes(&page)).await {
                    Ok(()) => acknowledged.push(page),
                    Err(CommitError::Unknown(_) | CommitError::Unavailable(_)) => return acknowledged,
                    Err(other) => panic!("{other}"),
                }
            }
        })
    });
    let mut acknowledged = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        acknowledged.extend(writer.await.unwrap());
    }
    acknowledged
}
