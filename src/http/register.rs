//! The register over the admin socket: imports, fetched changes, look-ups. An upload is written to a file as it comes, so
//! that a slow or broken one costs no memory, and read when it is complete; the file is gone when the request ends. Start
//! with [`import`].

mod fetch;
mod sync;

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::Incoming;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;

use super::app::App;
use super::query::Query;
use super::reply::Error;
use super::request::{self, Arrived};
use crate::acme::problem::Problem;
use crate::authority::officers::register::{Import, ImportReport, RegisterQuery, ShownUnits};
use crate::authority::{self, Authority, Fault};
use crate::model::Refusal;
use crate::register::{self, Reading, Source, Unreadable};
use crate::time::Timestamp;
pub(super) use sync::sync;
pub use sync::{SyncError, checked_sync};

/// Reads the uploaded export and brings its sound rows into force.
pub(super) async fn import(
    app: &App,
    officer: &str,
    request: Arrived,
    query: &Query<'_>,
    now: Timestamp,
) -> Result<ImportReport, Error> {
    let source = query.value("source")?.unwrap_or(Source::Csv);
    let flag = |name| query.value::<bool>(name).map(|value| value.unwrap_or(false));
    let (dry_run, force, partial) = (flag("dry-run")?, flag("force")?, flag("partial")?);
    let (limit, patience) = (app.settings.admin_body_size, app.settings.body_timeout);
    let file = spooled(&app.directory, request.body, limit, patience).await?;
    let reading = read(source, file).await?;
    let partial = partial || !source.is_complete();
    let import = Import { partial, dry_run, force, most_lost: app.register.most_lost, ..Import::of(reading) };
    Ok(imported(&app.authority, officer, import, now).await?)
}

/// The units that a query means.
pub(super) async fn show(app: &App, query: &Query<'_>, now: Timestamp) -> Result<ShownUnits, Error> {
    let wanted =
        RegisterQuery { what: query.needed("what")?, at: query.value("at")?, generation: query.value("generation")? };
    Ok(app.authority.show_register(wanted, now).await?)
}

/// Carries an import out to its end, also when whoever asked for it has gone.
async fn imported(
    authority: &Authority,
    officer: &str,
    import: Import,
    now: Timestamp,
) -> authority::Result<ImportReport> {
    let (authority, officer) = (authority.clone(), officer.to_owned());
    let task = tokio::spawn(async move { authority.import_register(&officer, import, now).await });
    task.await.map_err(|error| Fault::Internal(error.to_string()))?
}

async fn read(source: Source, file: Spooled) -> Result<Reading, Error> {
    let reading = tokio::task::spawn_blocking(move || {
        let opened = std::fs::File::open(&file.0)?;
        register::read(source, BufReader::with_capacity(64 << 10, opened))
    });
    let reading = reading.await.map_err(|error| Error::Fault(Fault::Internal(error.to_string())))?;
    reading.map_err(|error| match error {
        Unreadable::Io(error) => Error::Fault(Fault::Internal(format!("an upload cannot be read: {error}"))),
        other => Refusal::Malformed { why: other.to_string() }.into(),
    })
}

/// An upload's file, removed when dropped.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        // What stays behind harms nobody: no name is used twice.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Spooled {
    /// An empty file below `directory`.
    async fn new(directory: &Path) -> io::Result<(Self, tokio::fs::File)> {
        let spooled = Spooled(directory.join(format!("upload-{}", request::request_id())));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&spooled.0).await?;
        Ok((spooled, file))
    }
}

/// The upload in a file below `directory`. A peer that sends nothing for `patience` has given up.
async fn spooled(directory: &Path, mut body: Incoming, limit: usize, patience: Duration) -> Result<Spooled, Error> {
    let (spooled, mut file) = Spooled::new(directory).await.map_err(unwritten)?;
    let mut size = 0;
    loop {
        let frame = match tokio::time::timeout(patience, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Problem::malformed("the upload broke off").into()),
            Err(_) => {
                let problem = Problem::malformed("the upload did not go on");
                return Err(problem.with_status(StatusCode::REQUEST_TIMEOUT.as_u16()).into());
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size > limit {
            request::linger(&mut body).await;
            let detail = format!("the upload is larger than {} MiB: raise http.admin_body_size", limit >> 20);
            return Err(Problem::malformed(detail).with_status(StatusCode::PAYLOAD_TOO_LARGE.as_u16()).into());
        }
        file.write_all(&data).await.map_err(unwritten)?;
    }
    file.flush().await.map_err(unwritten)?;
    Ok(spooled)
}

fn unwritten(error: io::Error) -> Error {
    Error::Fault(Fault::Unavailable(format!("an upload cannot be written: {error}")))
}
