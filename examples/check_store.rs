//! Checks a state directory independently of the server's code, on a copy: `cargo run --example check_store -- DIR [NOTES]`.
//! NOTES are certificate chains in PEM as clients received them, each ended by a line with `=`. Exit status 0 if it is sound.

#[path = "../tests/checker/mod.rs"]
mod checker;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (dir, notes) = match arguments.as_slice() {
        [dir] => (dir, checker::Notes::parse("")),
        [dir, notes] => match std::fs::read_to_string(notes) {
            Ok(text) => (dir, checker::Notes::parse(&text)),
            Err(error) => return refused(&format!("{notes}: {error}")),
        },
        _ => return refused("usage: check_store DIR [NOTES]"),
    };
    let findings = checker::check(Path::new(dir), &notes);
    println!("certificates {:?}, orders {:?}", findings.stages, findings.orders);
    println!("accounts {}, audit entries {}", findings.accounts, findings.audit_entries);
    findings.faults.iter().for_each(|fault| println!("FAULT {fault}"));
    println!("{}", if findings.faults.is_empty() { "sound" } else { "not sound" });
    ExitCode::from(u8::from(!findings.faults.is_empty()))
}

fn refused(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(2)
}
