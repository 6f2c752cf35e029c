//! A process that commits is killed at random moments; each time the store opens again, holds every acknowledged commit, and
//! of those under way either all or nothing. 8 kills by default; `SOTE_ACME_KILLS=500 cargo test --test store_kills` for more.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use sote_acme::model::TermsPage;
use sote_acme::model::audit::{Act, Actor, Event};
use sote_acme::names::{AccountId, OrganisationId, TermsPageId};
use sote_acme::store::sled::Options;
use sote_acme::store::{Change, Counter, Index, Range, SledStore, Store, audit};
use sote_acme::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
const TASKS: u8 = 8;
/// How many steps each task has made.
type Steps = [u64; TASKS as usize];
/// A step removes what the step so many before has inserted, so that sled has space to reclaim.
const KEPT_STEPS: u64 = 12;

/// The page that says how many steps a task has made: replaced by every step.
fn ledger(task: u8, step: u64) -> TermsPage {
    TermsPage { version: step.to_string(), ..page(task, 0, 0) }
}

fn page(task: u8, step: u64, number: u64) -> TermsPage {
    let mut id = [0; 16];
    id[0] = task;
    id[1..9].copy_from_slice(&step.to_be_bytes());
    id[9..11].copy_from_slice(&(number as u16).to_be_bytes());
    let size = if step == 0 { 1 } else { 100 + (step * 131 + number * 977) % 9_000 };
    let account = AccountId::from_bytes([task; 16]);
    let version = "x".repeat(size as usize);
    TermsPage { id: TermsPageId::from_bytes(id), account, version, expires: NOW.plus(i64::from(task)) }
}

/// How many pages a step inserts.
fn pages(task: u8, step: u64) -> u64 {
    if step.is_multiple_of(40) { 250 } else { (step * 7 + u64::from(task)) % 20 }
}

fn counter(task: u8) -> Counter {
    Counter::Administrators(OrganisationId::from_bytes([task; 16]))
}

async fn steps_made(store: &dyn Store, task: u8) -> u64 {
    let ledger = store.get::<TermsPage>(&page(task, 0, 0).id).await.unwrap();
    ledger.map_or(0, |ledger| ledger.version.parse().unwrap())
}

async fn make_step(store: &dyn Store, task: u8, step: u64) {
    let mut changes: Vec<Change> = (0..pages(task, step)).map(|n| Change::insert(&page(task, step, n))).collect();
    match store.get::<TermsPage>(&page(task, 0, 0).id).await.unwrap() {
        Some(read) => changes.push(read.replace(&ledger(task, step))),
        None => changes.push(Change::insert(&ledger(task, step))),
    }
    if step > KEPT_STEPS {
        for number in 0..pages(task, step - KEPT_STEPS) {
            let old = store.get::<TermsPage>(&page(task, step - KEPT_STEPS, number).id).await.unwrap();
            changes.push(old.expect("a page of a kept step").remove());
        }
    }
    changes.push(Change::add(counter(task), pages(task, step) as i64));
    changes
        .push(Change::Audit(Event::done(NOW, Actor::Server, Act::TermsAgreed).with("task", task).with("step", step)));
    store.commit(changes).await.unwrap();
}

/// Not a test of its own: what the process that is killed runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the other test, which kills it"]
async fn commit_until_killed() {
    let Ok(dir) = std::env::var("SOTE_ACME_KILL_DIR") else { return };
    let store: Arc<dyn Store> = Arc::new(SledStore::open(Path::new(&dir), options()).unwrap());
    println!("\nopened");
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(make_steps(store.clone(), task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn make_steps(store: Arc<dyn Store>, task: u8) {
    for step in steps_made(&*store, task).await + 1.. {
        make_step(&*store, task, step).await;
        // One write of less than a pipe's capacity is whole or not there.
        println!("\nacknowledged {task} {step} .");
    }
}

fn options() -> Options {
    // sled is closed and opened anew so often that kills hit that too.
    Options { cache_bytes: 16 << 20, renewal_octets: 16 << 20, ..Options::default() }
}

/// When to kill: so long after the start, whatever the process does then, or after it has opened the store.
enum Moment {
    AfterStart(Duration),
    AfterOpening(Duration),
}

/// Every fourth kill hits the start itself, sled's recovery included.
fn moment(kill: u64) -> Moment {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let random = u64::from(clock.subsec_micros());
    if kill % 4 == 3 {
        return Moment::AfterStart(Duration::from_millis(random % 300));
    }
    Moment::AfterOpening(Duration::from_millis(random % 600))
}

/// Runs the other process until it is killed; what it was told, by task.
fn run_and_kill(dir: &Path, moment: &Moment) -> Steps {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "commit_until_killed", "--ignored", "--nocapture"])
        .env("SOTE_ACME_KILL_DIR", dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (opened, when_opened) = channel();
    let reader = std::thread::spawn(move || {
        let mut acknowledged = Steps::default();
        for line in output.lines().map_while(Result::ok) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["opened"] => drop(opened.send(())),
                ["acknowledged", task, step, "."] => {
                    acknowledged[task.parse::<usize>().unwrap()] = step.parse().unwrap();
                }
                _ => {}
            }
        }
        acknowledged
    });
    match moment {
        Moment::AfterStart(time) => std::thread::sleep(*time),
        Moment::AfterOpening(time) => {
            when_opened.recv_timeout(Duration::from_secs(60)).expect("the store opens");
            std::thread::sleep(*time);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Checks the store against what was there or acknowledged; what is there now.
async fn check(dir: &Path, acknowledged: &Steps) -> Steps {
    let store: Arc<dyn Store> = Arc::new(SledStore::open(dir, options()).unwrap_or_else(|error| panic!("{error}")));
    let (mut now, mut total) = (Steps::default(), 0);
    for task in 0..TASKS {
        let (made, told) = (steps_made(&*store, task).await, acknowledged[usize::from(task)]);
        assert!(made == told || made == told + 1, "task {task}: {told} acknowledged, {made} kept");
        now[usize::from(task)] = made;
        total += made;
        let mut expected = u64::from(made > 0);
        for step in made.saturating_sub(KEPT_STEPS) + 1..=made {
            for number in 0..pages(task, step) {
                let kept = store.get::<TermsPage>(&page(task, step, number).id).await.unwrap();
                assert_eq!(kept.map(|read| read.record), Some(page(task, step, number)));
            }
            expected += pages(task, step);
        }
        let owner = NOW.plus(i64::from(task)).to_be_bytes();
        let listed = store.list(Range::of(Index::TermsPagesByExpiry, owner, usize::MAX)).await.unwrap();
        assert_eq!(listed.len() as u64, expected, "task {task}: index entries");
        let counted = (1..=made).map(|step| pages(task, step) as i64).sum::<i64>();
        assert_eq!(store.count(counter(task)).await.unwrap(), counted);
    }
    let verified = audit::verify(&*store, dir).await.unwrap();
    assert_eq!(verified.entries, total + 1, "one audit entry for each step and one for the store");
    now
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_acknowledged_and_leaves_no_half_commit() {
    let kills: u64 = std::env::var("SOTE_ACME_KILLS").map_or(8, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    drop(SledStore::create(&state, options(), NOW).unwrap());
    let (begun, mut unanswered) = (Instant::now(), 0);
    let mut made = Steps::default();
    for kill in 0..kills {
        let told = run_and_kill(&state, &moment(kill));
        // A process that was killed before its first answer has told nothing new.
        for (made, told) in made.iter_mut().zip(told) {
            *made = told.max(*made);
        }
        let now = check(&state, &made).await;
        unanswered += now.iter().sum::<u64>() - made.iter().sum::<u64>();
        made = now;
        if kill % 25 == 24 {
            println!("{} kills, {unanswered} commits kept without an answer, {:?}", kill + 1, begun.elapsed());
        }
    }
    println!("{kills} kills, steps {made:?}, {unanswered} of them kept without an answer");
}
