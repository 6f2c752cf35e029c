//! How long a store takes to open and what memory it takes, sled's own share told apart:
//! `cargo run --release --example startup -- [--dir DIR] [N ...]`, by default with 0, 100,000 and 1,000,000 certificates below
//! `./startup`. Stores that are not there are first filled as by `load`, which takes minutes. Each is opened by a process of
//! its own three times: after a clean stop, after a process that committed for a second was killed, and after one was killed
//! that loaded certificates for twenty seconds, which leaves sled much of its log to read. Memory is the most that was in use
//! at once, when the store was ready and after 50,000 certificates were read all over it.

mod filling;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use filling::{Failure, fill, open_or_create};
use sote_acme::model::TermsPage;
use sote_acme::names::{AccountId, TermsPageId};
use sote_acme::store::sled::Options;
use sote_acme::store::{Change, Counter, Index, Kind, Range, SledStore, Store};
use sote_acme::time::{Clock, SystemClock};

/// So many certificates are read for the memory in use.
const READS: u64 = 50_000;
/// How many certificates are stored, unless others are asked for.
const COUNTS: [usize; 3] = [0, 100_000, 1_000_000];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--measure", dir] => measure(Path::new(dir)),
        ["--commit", dir] => commit_for_ever(Path::new(dir)),
        ["--load", dir] => load_for_ever(Path::new(dir)),
        ["--dir", dir, counts @ ..] => measure_all(Path::new(dir), counts),
        counts => measure_all(&PathBuf::from("startup"), counts),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("startup: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all(dir: &Path, counts: &[&str]) -> Result<(), Failure> {
    let asked: Result<Vec<usize>, _> = counts.iter().map(|count| count.parse()).collect();
    let asked = asked.map_err(|_| "usage: startup [--dir DIR] [N ...]")?;
    let counts = if asked.is_empty() { COUNTS.to_vec() } else { asked };
    for count in &counts {
        fill_once(&dir.join(count.to_string()), *count)?;
    }
    println!("certificates  after            ready      sled   our own   memory  in use     disk");
    for count in counts {
        let dir = dir.join(count.to_string());
        measure_apart(&dir, "clean stop")?;
        run_and_kill(&dir, "--commit", Duration::from_secs(1))?;
        measure_apart(&dir, "kill")?;
        if count > 0 {
            run_and_kill(&dir, "--load", Duration::from_secs(20))?;
            measure_apart(&dir, "kill in load")?;
        }
    }
    Ok(())
}

fn fill_once(dir: &Path, count: usize) -> Result<(), Failure> {
    if dir.join("format.json").exists() {
        return Ok(());
    }
    let store = open_or_create(dir)?;
    runtime()?.block_on(fill(&store, dir, count, false))
}

/// Runs [`measure`] in a process of its own.
fn measure_apart(dir: &Path, after: &str) -> Result<(), Failure> {
    let output = Command::new(std::env::current_exe()?).arg("--measure").arg(dir).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let line = String::from_utf8_lossy(&output.stdout);
    let (certificates, rest) = line.trim_end().split_once(' ').ok_or("no line")?;
    println!("{certificates:>12}  {after:<12}{rest}");
    Ok(())
}

fn measure(dir: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    let store = SledStore::open(dir, Options::default())?;
    let ready = begun.elapsed();
    let statistics = store.statistics();
    let certificates = runtime()?.block_on(store.count(Counter::Certificates))?;
    let sled = statistics.sled_opened_in;
    let at_start = memory("VmHWM:")?;
    runtime()?.block_on(read_here_and_there(&store))?;
    println!(
        "{certificates} {:>6} ms {:>6} ms {:>6} ms {:>4} MiB {:>3} MiB {:>4} MiB",
        ready.as_millis(),
        sled.as_millis(),
        ready.saturating_sub(sled).as_millis(),
        at_start >> 20,
        memory("VmHWM:")? >> 20,
        statistics.octets_on_disk >> 20
    );
    Ok(())
}

/// Reads certificates all over the store, record and DER, so that sled's cache is full.
async fn read_here_and_there(store: &SledStore) -> Result<(), Failure> {
    let first = store.list(Range::of(Index::Certificates, [], 1)).await?.pop().unwrap_or_default();
    let mut place = u64::from_be_bytes(first.first_chunk().copied().unwrap_or_default());
    // Ids begin with the milliseconds in 48 bits, so that steps in them are steps in time.
    let span = ((u64::try_from(SystemClock.now().seconds())? * 1_000) << 16).saturating_sub(place);
    for _ in 0..READS {
        let after = Some([place.to_be_bytes(), [0; 8]].concat());
        let found = store.list(Range::of(Index::Certificates, [], 1).after(after)).await?;
        if let Some(id) = found.first() {
            store.read(Kind::Certificate, id).await?;
            store.read(Kind::CertificateDer, id).await?;
        }
        place += span / READS;
    }
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// The process's memory in octets.
fn memory(what: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).ok_or("the system tells no memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// Kills another process `life` after it has opened the store.
fn run_and_kill(dir: &Path, what: &str, life: Duration) -> Result<(), Failure> {
    let mut child = Command::new(std::env::current_exe()?).arg(what).arg(dir).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    output.next().ok_or("the other process ended")??;
    std::thread::sleep(life);
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Small commits, one by one.
fn commit_for_ever(dir: &Path) -> Result<(), Failure> {
    let store = opened(dir)?;
    let runtime = runtime()?;
    let account = AccountId::from_bytes([0; 16]);
    loop {
        let now = SystemClock.now();
        let page = TermsPage { id: TermsPageId::mint(now), account, version: "1".into(), expires: now };
        runtime.block_on(store.commit(vec![Change::insert(&page)]))?;
    }
}

fn load_for_ever(dir: &Path) -> Result<(), Failure> {
    let store = opened(dir)?;
    runtime()?.block_on(fill(&store, dir, usize::MAX, false))
}

fn opened(dir: &Path) -> Result<SledStore, Failure> {
    let store = SledStore::open(dir, Options::default())?;
    println!("opened");
    std::io::stdout().flush()?;
    Ok(store)
}
