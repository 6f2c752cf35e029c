//! What each tree of a closed store takes, by sled alone: `cargo run --release --example sizes -- DIR`. DIR is a state
//! directory that no server holds. Rows, octets of keys and of values, and the two per certificate; what sled adds on disk
//! is the difference to the file's length.

use std::path::Path;
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let Some(dir) = std::env::args().nth(1) else {
        eprintln!("usage: sizes DIR");
        return ExitCode::from(2);
    };
    match print_sizes(Path::new(&dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sizes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_sizes(dir: &Path) -> Result<(), Failure> {
    // The segment size is part of the store's format.
    let config = sled::Config::new().path(dir.join("store")).segment_size(8 << 20).cache_capacity(64 << 20);
    let db = config.open()?;
    let certificates = db.open_tree("kind/certificate")?.iter().keys().count().max(1) as u64;
    println!("{certificates} certificates");
    println!("{:<40} {:>9} {:>12} {:>12} {:>8}", "tree", "rows", "keys", "values", "each");
    let mut total = 0;
    for name in db.tree_names() {
        let (mut rows, mut keys, mut values) = (0u64, 0u64, 0u64);
        for row in db.open_tree(&name)?.iter() {
            let (key, value) = row?;
            rows += 1;
            keys += key.len() as u64;
            values += value.len() as u64;
        }
        total += keys + values;
        if rows > 0 {
            let each = (keys + values) / certificates;
            println!("{:<40} {rows:>9} {keys:>12} {values:>12} {each:>8}", String::from_utf8_lossy(&name));
        }
    }
    let on_disk = db.size_on_disk()?;
    println!("keys and values {total}, {} per certificate", total / certificates);
    println!("on disk {on_disk}, {} per certificate", on_disk / certificates);
    Ok(())
}
