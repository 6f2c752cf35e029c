//! `serve`: the production server.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::lifetime::{self, Signals};
use super::logging::Logging;
use super::server::{self, Parts, Server};
use super::{CommandError, CommandResult, Outcome};
use crate::config::Config;
use crate::http::Listeners;
use crate::time::SystemClock;

/// Runs the server. It makes neither a store nor a key: `sote-acme init` does.
#[derive(Debug, Args)]
pub(super) struct ServeCommand {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(command: ServeCommand) -> CommandResult {
    let config = Config::read(&command.config).map_err(CommandError::failed)?;
    let logging = Logging::start(&config.log).map_err(CommandError::failed)?;
    let mut signals = Signals::listen().map_err(CommandError::failed)?;
    let (server, store) = tokio::select! {
        started = started(&config) => started?,
        // Nothing has been promised to anyone yet.
        () = signals.stop() => return Ok(Outcome::Done),
    };
    let sound = lifetime::until_stopped(server, signals, || read_level_again(&command, &logging)).await;
    server::close(store).await;
    if sound { Ok(Outcome::Done) } else { Err(CommandError::failed("the server has failed; its log tells why")) }
}

async fn started(config: &Config) -> Result<(Server, Arc<crate::store::SledStore>), CommandError> {
    // The store first: whoever holds its lock owns the sockets too. Opening takes as long as sled needs.
    let settings = config.clone();
    let opened = tokio::task::spawn_blocking(move || server::open_store(&settings)).await;
    let store = Arc::new(opened.map_err(CommandError::failed)?.map_err(CommandError::failed)?);
    let listeners = Listeners::bind(&server::addresses(config)).await.map_err(CommandError::failed)?;
    let (acme, public) = (listeners.acme_address(), listeners.public_address());
    let parts = Parts {
        store: store.clone(),
        listeners,
        clock: Arc::new(SystemClock),
        further_officers: Vec::new(),
        on_trial: false,
    };
    let server = Server::start(config, parts).await.map_err(CommandError::failed)?;
    let statistics = store.statistics();
    tracing::info!(
        %acme,
        %public,
        sled_milliseconds = u64::try_from(statistics.sled_opened_in.as_millis()).unwrap_or(u64::MAX),
        store_milliseconds = u64::try_from(statistics.own_opened_in.as_millis()).unwrap_or(u64::MAX),
        store_octets = statistics.octets_on_disk,
        "ready"
    );
    Ok((server, store))
}

/// Changes the log's level to what the configuration says now. What cannot be used is logged, and the old level stays.
fn read_level_again(command: &ServeCommand, logging: &Logging) {
    let config = match Config::read(&command.config) {
        Ok(config) => config,
        Err(faults) => return tracing::error!(%faults, "the log's level stays as it was"),
    };
    match logging.change_level(&config.log.level) {
        Ok(()) => tracing::info!(level = config.log.level, "the log's level was read again"),
        Err(error) => tracing::error!(%error, "the log's level stays as it was"),
    }
}
