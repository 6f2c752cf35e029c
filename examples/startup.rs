//! How long a store takes to open and what memory it takes, sled's own share told apart:
//! `cargo run --release --example startup -- DIR [--kill]`. With `--kill` another process first opens the store, commits for
//! a second and is killed, so that sled has to recover; without it the store was closed in good order.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use sote_acme::model::TermsPage;
use sote_acme::names::{AccountId, TermsPageId};
use sote_acme::store::sled::Options;
use sote_acme::store::{Change, Counter, SledStore, Store};
use sote_acme::time::{Clock, SystemClock};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [dir] => measure(Path::new(dir)),
        [dir, "--kill"] => kill_one(Path::new(dir)).and_then(|()| measure(Path::new(dir))),
        [dir, "--be-killed"] => commit_for_ever(Path::new(dir)),
        _ => Err("usage: startup DIR [--kill]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("startup: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(dir: &Path) -> Result<(), Failure> {
    let before = resident()?;
    let begun = Instant::now();
    let store = SledStore::open(dir, Options::default())?;
    let (ready, after) = (begun.elapsed(), resident()?);
    let statistics = store.statistics();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let certificates = runtime.block_on(store.count(Counter::Certificates))?;
    let sled = statistics.sled_opened_in;
    println!("{certificates} certificates, {} MiB on disk", statistics.octets_on_disk >> 20);
    println!("ready after {ready:.2?}: sled {sled:.2?}, our own {:.2?}", ready.saturating_sub(sled));
    println!("memory {} MiB, of which the open store {} MiB", after >> 20, after.saturating_sub(before) >> 20);
    Ok(())
}

/// The process's resident memory in octets.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

fn kill_one(dir: &Path) -> Result<(), Failure> {
    let mut child =
        Command::new(std::env::current_exe()?).arg(dir).arg("--be-killed").stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let first = BufReader::new(output).lines().next().ok_or("the other process ended")??;
    std::thread::sleep(Duration::from_secs(1));
    child.kill()?;
    child.wait()?;
    println!("{first}, and killed");
    Ok(())
}

fn commit_for_ever(dir: &Path) -> Result<(), Failure> {
    let store = SledStore::open(dir, Options::default())?;
    println!("opened by another process");
    std::io::stdout().flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let account = AccountId::from_bytes([0; 16]);
    loop {
        let now = SystemClock.now();
        let page = TermsPage { id: TermsPageId::mint(now), account, version: "1".into(), expires: now };
        runtime.block_on(store.commit(vec![Change::insert(&page)]))?;
    }
}
