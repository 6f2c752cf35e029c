//! `sote-client`: the client library on the command line, in place of certbot for a server's plain needs. One file per group of
//! commands; what it keeps is described at [`StateDirectory`].

mod account;
mod arguments;
mod certificates;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::account::Account;
use super::error::{Error, Result};
use super::session::Client;
use super::state_directory::StateDirectory;
use super::transport::{HttpVersion, Transport};
use crate::acme::problem::ProblemKind;
use crate::time::{Clock, SystemClock, Timestamp};
use arguments::{Arguments, Command};

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Error::local(format!("cannot start: {error}"))),
    };
    match runtime.block_on(execute(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> ExitCode {
    eprintln!("sote-client: {error}");
    ExitCode::FAILURE
}

async fn execute(arguments: Arguments) -> Result<()> {
    let state = StateDirectory::open(&arguments.dir)?;
    match arguments.command {
        Command::Register(wanted) => account::register(&state, wanted).await,
        Command::Account => account::show(&state).await,
        Command::Update(wanted) => account::update(&state, wanted).await,
        Command::ChangeKey(wanted) => account::change_key(&state, wanted).await,
        Command::Deactivate => account::deactivate(&state).await,
        Command::Order(wanted) => certificates::order(&state, wanted).await,
        Command::Renew(wanted) => certificates::renew(&state, wanted).await,
        Command::Revoke(wanted) => certificates::revoke(&state, wanted).await,
        Command::List => certificates::list(&state),
        Command::Verify(wanted) => certificates::verify(&state, wanted).await,
    }
}

/// The transport to the server with this state: it trusts the root that was given at registration.
fn transport(state: &StateDirectory) -> Result<Transport> {
    match state.tls_root()? {
        Some(pem) => Transport::trusting(pem.as_bytes(), HttpVersion::Http2),
        None => Err(Error::local("no account yet: begin with sote-client register")),
    }
}

/// The account that was registered.
async fn account(state: &StateDirectory) -> Result<Account> {
    let missing = || Error::local("no account yet: begin with sote-client register");
    let known = state.account()?.ok_or_else(missing)?;
    let client = Client::discover(transport(state)?, &known.directory).await?;
    settle_key_change(state, &client).await?;
    let key = state.account_key()?.ok_or_else(missing)?;
    Ok(Account::known(client, Arc::new(key), &known.account))
}

/// After an interrupted change of keys, asks the server which of the two it knows.
async fn settle_key_change(state: &StateDirectory, client: &Client) -> Result<()> {
    let Some(next) = state.next_account_key()? else { return Ok(()) };
    match client.find_account(Arc::new(next)).await {
        Ok(_) => state.take_next_account_key(),
        Err(error) if error.is(ProblemKind::AccountDoesNotExist) => state.drop_next_account_key(),
        Err(error) => Err(error),
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}
