//! One file per sub-command; the only place that knows every part.

pub mod dev;
pub mod dns;
pub mod dns_responder;
pub mod hierarchy;
mod lifetime;
pub mod logging;
pub mod server;
pub mod trial;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A certificate authority for Finnish social welfare and healthcare service certificates, over ACME (RFC 8555).
#[derive(Debug, Parser)]
#[command(name = "sote-acme", version, about)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::DevCommand),
    Dns(dns::DnsCommand),
}

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    let outcome = match Program::parse().command {
        Command::Dev(command) => within_runtime(dev::run(command)),
        Command::Dns(command) => dns::run(command).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sote-acme: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that needs timers and sockets.
fn within_runtime<E: std::fmt::Display>(command: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime cannot be started: {error}"))?;
    runtime.block_on(command).map_err(|error| error.to_string())
}
