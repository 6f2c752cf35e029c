//! Commits small records from several tasks at once and tells each one's end on standard output, so that a system call trace
//! shows what lay between the write and the answer: `cargo run --release --example commits -- DIR TASKS COMMITS`.
//! `tests/durability.sh` runs it under strace and judges the trace.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sote_acme::model::TermsPage;
use sote_acme::model::audit::{Act, Actor, Event};
use sote_acme::names::{AccountId, TermsPageId};
use sote_acme::store::sled::{Format, Options};
use sote_acme::store::{Change, SledStore, Store};
use sote_acme::time::{Clock, SystemClock};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match arguments.as_slice() {
        [dir, tasks, commits] => tasks.parse().ok().zip(commits.parse().ok()).map(|counts| (dir, counts)),
        _ => None,
    };
    let Some((dir, (tasks, commits))) = parsed else {
        eprintln!("usage: commits DIR TASKS COMMITS");
        return ExitCode::from(2);
    };
    match run(Path::new(dir), tasks, commits) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("commits: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(dir: &Path, tasks: usize, commits: usize) -> Result<(), Failure> {
    let store = match Format::read(dir) {
        Ok(_) => SledStore::open(dir, Options::default())?,
        Err(_) => SledStore::create(dir, Options::default(), SystemClock.now())?,
    };
    let store = Arc::new(store);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begun = Instant::now();
    let mut times = runtime.block_on(async {
        let writers: Vec<_> = (0..tasks).map(|_| tokio::spawn(write(store.clone(), commits / tasks))).collect();
        let mut times = Vec::new();
        for writer in writers {
            times.extend(writer.await?);
        }
        Ok::<_, tokio::task::JoinError>(times)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    times.sort();
    let (count, statistics) = (times.len(), store.statistics());
    let at = |part: f64| times[((count - 1) as f64 * part) as usize];
    eprintln!(
        "{tasks:>3} at once: {count} commits in {} syncs, {:.1} to a group, at most {}; {:.0}/s, p50 {:.2?}, p99 {:.2?}",
        statistics.groups,
        count as f64 / statistics.groups as f64,
        statistics.largest_group,
        count as f64 / seconds,
        at(0.5),
        at(0.99),
    );
    Ok(())
}

async fn write(store: Arc<SledStore>, commits: usize) -> Vec<Duration> {
    let account = AccountId::from_bytes([0; 16]);
    let mut times = Vec::new();
    for _ in 0..commits {
        let now = SystemClock.now();
        let page = TermsPage { id: TermsPageId::mint(now), account, version: "x".repeat(500), expires: now };
        let event = Event::done(now, Actor::Server, Act::TermsAgreed).on("page", page.id);
        let begun = Instant::now();
        store.commit(vec![Change::insert(&page), Change::Audit(event)]).await.expect("the commit is kept");
        times.push(begun.elapsed());
        let _ = std::io::stdout().write_all(format!("acknowledged {}\n", page.id).as_bytes());
    }
    times
}
