//! `migrate`: brings the store to the format of this program. No server may run; a run that was broken off is continued by the
//! next one.

use std::path::PathBuf;

use clap::Args;

use super::server::store_options;
use super::{CommandError, CommandResult, Outcome, print_line};
use crate::config::Config;
use crate::store::sled::migration::{UPGRADES, migrate};
use crate::time::{Clock as _, SystemClock};

/// Brings the store to the format of this program. Stop the server and back the state directory up first.
#[derive(Debug, Args)]
pub(super) struct MigrateCommand {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(command: MigrateCommand) -> CommandResult {
    let config = Config::read(&command.config).map_err(CommandError::failed)?;
    let migrated = migrate(&config.state, store_options(&config.store), UPGRADES, SystemClock.now()).await;
    let migrated = migrated.map_err(CommandError::failed)?;
    let state = config.state.display();
    print_line(if migrated.from == migrated.to {
        format!("{state} has format {} already: nothing to do", migrated.to)
    } else {
        format!("{state}: format {} became {}, {} records upgraded", migrated.from, migrated.to, migrated.records)
    });
    Ok(Outcome::Done)
}
