//! Fills a store with really signed certificates: `cargo run --release --example load -- N [--dir DIR] [--seal]`. Each is
//! committed with everything that an issuance leaves behind, in batches of 1,000. A directory that holds a store already is
//! added to. With `--seal` audit entries move to segment files, as they do in a server once they are old enough; without it the
//! store keeps all of them.

mod filling;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use filling::{Failure, fill, open_or_create};
use sote_acme::store::{Counter, Store};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let seal = arguments.iter().position(|argument| argument == "--seal").map(|at| arguments.remove(at)).is_some();
    let (count, dir) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [count] => (count.parse().ok(), PathBuf::from("load")),
        [count, "--dir", dir] | ["--dir", dir, count] => (count.parse().ok(), PathBuf::from(dir)),
        _ => (None, PathBuf::new()),
    };
    let Some(count) = count else {
        eprintln!("usage: load N [--dir DIR] [--seal]");
        return ExitCode::from(2);
    };
    match load(count, &dir, seal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load(count: usize, dir: &Path, seal: bool) -> Result<(), Failure> {
    let store = open_or_create(dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (before, begun) = (store.statistics(), Instant::now());
    runtime.block_on(fill(&store, dir, count, seal))?;
    let seconds = begun.elapsed().as_secs_f64();
    let (after, certificates) = (store.statistics(), runtime.block_on(store.count(Counter::Certificates))?);
    println!(
        "{count} certificates in {seconds:.1} s, {} commits, {} syncs, sled opened anew {} times",
        after.commits, after.groups, after.renewals
    );
    let written = after.octets_written - before.octets_written;
    println!("keys and values: {} octets per certificate", written / count.max(1) as u64);
    let closing = Instant::now();
    drop(store);
    println!("closed in {:.1} s; at most {} MiB of memory were in use", closing.elapsed().as_secs_f64(), peak()? >> 20);
    let octets = directory_octets(&dir.join("store"))?;
    println!(
        "{certificates} certificates take {octets} octets on disk: {} per certificate",
        octets / certificates.max(1) as u64
    );
    Ok(())
}

fn directory_octets(dir: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(dir)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// The most memory that the process had at once, in octets.
fn peak() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
