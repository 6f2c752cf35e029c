//! Fetching the changes of a register from the configured code service, and bringing them into force like an import. The
//! first time everything is fetched; after that, what was modified since the day before the last time.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::fetch::Fetcher;
use super::{Spooled, imported, read};
use crate::authority::Fault;
use crate::authority::officers::register::{Import, ImportReport};
use crate::config::SyncSettings;
use crate::http::app::App;
use crate::http::reply::Error;
use crate::http::texts::Language;
use crate::model::Refusal;
use crate::register;
use crate::time::Timestamp;

/// Why changes were not fetched, or not brought into force.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SyncError(String);

/// More pages are no answer to one question.
const MOST_PAGES: u64 = 20_000;
/// What was modified this long before the last time is fetched again: days are the code service's own.
const OVERLAP: i64 = 86_400;

/// Fetches what has changed and brings it into force.
pub(in crate::http) async fn sync(
    app: &App,
    officer: &str,
    force: bool,
    now: Timestamp,
) -> Result<ImportReport, Error> {
    let unconfigured =
        || Refusal::Malformed { why: "no [register.sync] is configured: there is nothing to fetch from".into() };
    let settings = app.register.sync.as_ref().ok_or_else(unconfigured)?;
    let since = app.authority.register_synced(settings.source).await?;
    let file = fetched(app, settings, since).await?;
    let reading = read(settings.source, file).await?;
    if let Some(lacking) = reading.lacking() {
        return Err(unavailable(format!("the register changed while it was fetched: {lacking}")));
    }
    let import = Import {
        partial: since.is_some(),
        force,
        most_lost: app.register.most_lost,
        synced: Some(now),
        ..Import::of(reading)
    };
    Ok(imported(&app.authority, officer, import, now).await?)
}

/// Every page, one after the other in one file.
async fn fetched(app: &App, settings: &SyncSettings, since: Option<Timestamp>) -> Result<Spooled, Error> {
    let mut fetcher = Fetcher::new(settings).map_err(|error| unavailable(error.to_string()))?;
    let unwritten = |error: std::io::Error| unavailable(format!("a page cannot be written: {error}"));
    let (spooled, mut file) = Spooled::new(&app.directory).await.map_err(unwritten)?;
    let (mut page, mut pages, mut size) = (1, 1, 0);
    while page <= pages {
        let content = fetcher.get(&query(settings, since, page)).await.map_err(|error| failed(page, &error))?;
        let told = register::total_pages(&content).map_err(|error| failed(page, &error))?;
        // An empty answer has no page at all.
        pages = told.ok_or_else(|| failed(page, &"it does not tell how many pages there are"))?;
        size += content.len();
        if pages > MOST_PAGES || size > app.settings.admin_body_size {
            return Err(failed(page, &"the answer is larger than any register"));
        }
        file.write_all(&content).await.map_err(unwritten)?;
        file.write_all(b"\n").await.map_err(unwritten)?;
        page += 1;
    }
    file.flush().await.map_err(unwritten)?;
    Ok(spooled)
}

fn query(settings: &SyncSettings, since: Option<Timestamp>, page: u64) -> String {
    let modified = since.map(|time| time.plus(-OVERLAP).to_string());
    let day = modified.as_deref().and_then(|time| time.get(..10));
    let modified = day.map(|day| format!("modifiedAfter={day}&")).unwrap_or_default();
    format!("{modified}sortBy=CONCEPTCODEID&pageSize={}&page={page}", settings.page_size)
}

fn failed(page: u64, error: &dyn std::fmt::Display) -> Error {
    unavailable(format!("page {page} of the register cannot be fetched: {error}"))
}

fn unavailable(why: String) -> Error {
    Error::Fault(Fault::Unavailable(why))
}

/// Nothing, if the configured code service could be asked: its roots are readable.
///
/// # Errors
/// What is wrong.
pub fn checked_sync(settings: &SyncSettings) -> Result<(), SyncError> {
    Fetcher::new(settings).map(drop).map_err(|error| SyncError(error.to_string()))
}

impl App {
    /// Fetches what has changed in the configured register and brings it into force, for whoever does so at intervals.
    ///
    /// # Errors
    /// Why not. Nothing has changed then.
    pub async fn sync_register(&self, officer: &str) -> Result<ImportReport, SyncError> {
        sync(self, officer, false, self.clock.now()).await.map_err(|error| match error {
            Error::Refused(refusal) => SyncError(Language::default().refusal(&refusal)),
            Error::Form(problem) => SyncError(problem.detail),
            Error::Fault(fault) => SyncError(fault.to_string()),
        })
    }

    /// How long it is until `interval` has passed since changes were last fetched, a restart in between or not.
    pub async fn until_sync(&self, interval: Duration) -> Duration {
        let Some(settings) = &self.register.sync else { return interval };
        // What cannot be read now will be when it is time.
        let synced = self.authority.register_synced(settings.source).await.ok().flatten();
        let passed = synced.map_or(0, |synced| self.clock.now().since(synced).max(0));
        let rest = interval.saturating_sub(Duration::from_secs(passed.unsigned_abs()));
        if synced.is_some() { rest } else { Duration::ZERO }
    }
}
