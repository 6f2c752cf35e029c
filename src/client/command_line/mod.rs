//! `sote-client`: the client library on the command line, in place of certbot for a server's plain needs. One file per group of
//! commands; what it keeps is described at [`StateDirectory`].

mod account;
mod arguments;
mod certificates;
mod invitations;
mod members;
mod organisation;
mod organisation_certificates;
mod report;
mod terminal;
mod verification;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::account::Account;
use super::error::{Error, Result};
use super::organisation::Organisation;
use super::session::Client;
use super::state_directory::StateDirectory;
use super::transport::{HttpVersion, Transport};
use crate::acme::problem::ProblemKind;
use crate::time::{Clock, SystemClock, Timestamp};
use arguments::{AccountCommand, Arguments, CertificatesCommand, Command, OrganisationCommand};
use report::Report;

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let as_json = arguments.json;
    let outcome = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(execute(arguments)),
        Err(error) => Err(Error::local(format!("cannot start: {error}"))),
    };
    match outcome {
        Ok(report) => report.print(as_json),
        Err(error) => report::print_failure(&error, as_json),
    }
}

async fn execute(arguments: Arguments) -> Result<Report> {
    let Arguments { dir, organisation: kept_as, command, .. } = arguments;
    if let Command::Organisations = command {
        return organisation::kept(&dir);
    }
    let state = match kept_as {
        Some(name) => StateDirectory::named(&dir, &name)?,
        None => StateDirectory::open(&dir)?,
    };
    let state = &state;
    match command {
        Command::Account(command) => match command {
            AccountCommand::New(wanted) => account::register(state, wanted).await,
            AccountCommand::Show => account::show(state).await,
            AccountCommand::Update(wanted) => account::update(state, wanted).await,
            AccountCommand::ChangeKey(wanted) => account::change_key(state, wanted).await,
            AccountCommand::Deactivate => account::deactivate(state).await,
        },
        Command::Organisation(command) => match command {
            OrganisationCommand::Verify(wanted) => verification::verify(state, *wanted).await,
            OrganisationCommand::Show => organisation::show(state).await,
            OrganisationCommand::AgreeTos => organisation::agree(state).await,
            OrganisationCommand::Events => organisation::events(state).await,
        },
        Command::Organisations => organisation::kept(&dir),
        Command::Invite(wanted) => invitations::invite(state, wanted).await,
        Command::Invitations(wanted) => invitations::invitations(state, wanted.command).await,
        Command::Members(wanted) => members::members(state, wanted.command).await,
        Command::Orders(wanted) => organisation_certificates::orders(state, wanted.status).await,
        Command::Certificates(CertificatesCommand::List(filter)) => {
            organisation_certificates::list(state, filter).await
        }
        Command::Certificates(CertificatesCommand::Show { serial }) => {
            organisation_certificates::show(state, &serial).await
        }
        Command::Revoke(wanted) => certificates::revoke(state, wanted).await,
        Command::Obtain(wanted) => certificates::obtain(state, wanted).await,
        Command::Renew(wanted) => certificates::renew(state, wanted).await,
        Command::List => certificates::list(state),
        Command::Verify(wanted) => certificates::verify(state, wanted).await,
    }
}

const NO_ACCOUNT: &str = "no account yet: begin with sote-client account new";

/// The transport to the server with this state: it trusts the root that was given at registration.
fn transport(state: &StateDirectory) -> Result<Transport> {
    match state.tls_root()? {
        Some(pem) => Transport::trusting(pem.as_bytes(), HttpVersion::Http2),
        None => Err(Error::local(NO_ACCOUNT)),
    }
}

/// The account that was registered.
async fn account(state: &StateDirectory) -> Result<Account> {
    let missing = || Error::local(NO_ACCOUNT);
    let known = state.account()?.ok_or_else(missing)?;
    let client = Client::discover(transport(state)?, &known.directory).await?;
    settle_key_change(state, &client).await?;
    let key = state.account_key()?.ok_or_else(missing)?;
    Ok(Account::known(client, Arc::new(key), &known.account))
}

/// The organisation that the account belongs to.
async fn organisation(state: &StateDirectory) -> Result<Organisation> {
    let organisation = account(state).await?.organisation().await?;
    organisation.ok_or_else(|| {
        Error::local("the account belongs to no organisation yet: prove one with sote-client organisation verify")
    })
}

/// The word that the protocol has for a value.
fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
