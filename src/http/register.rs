//! The import of a register's export over the admin socket: written to a file as it comes, so that a slow or broken upload
//! costs no memory, and read when it is complete. The file is gone when the request ends.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::Serialize;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;

use super::app::App;
use super::reply::Error;
use super::request::{self, Arrived};
use crate::acme::problem::Problem;
use crate::authority::Fault;
use crate::authority::officers::register::ImportReport;
use crate::model::{Refusal, UnitRow};
use crate::register::{Reading, csv};
use crate::time::Timestamp;

/// What an import came to, with the lines that were left out.
#[derive(Debug, Serialize)]
pub(super) struct Imported {
    #[serde(flatten)]
    report: ImportReport,
    /// Lines that are not in force now, each with the reason.
    refused: Vec<String>,
}

/// Reads the uploaded export and brings its sound rows into force.
pub(super) async fn import(
    app: &App,
    officer: &str,
    request: Arrived,
    dry_run: bool,
    now: Timestamp,
) -> Result<Imported, Error> {
    let (limit, patience) = (app.settings.admin_body_size, app.settings.body_timeout);
    let file = spooled(&app.directory, request.body, limit, patience).await?;
    let reading = tokio::task::spawn_blocking(move || reading(&file.0)).await;
    let reading = reading.map_err(|error| Error::Fault(Fault::Internal(error.to_string())))??;
    let known = app.authority.known_units(reading.parents_elsewhere()).await?;
    let checked = reading.checked(&known);
    let rows = checked.rows.into_iter().map(UnitRow::from).collect();
    let report = app.authority.import_register(officer, rows, dry_run, now).await?;
    Ok(Imported { report, refused: checked.refused.iter().map(ToString::to_string).collect() })
}

fn reading(path: &Path) -> Result<Reading, Error> {
    let file = std::fs::File::open(path)
        .map_err(|error| Error::Fault(Fault::Internal(format!("an upload cannot be read: {error}"))))?;
    csv::read(io::BufReader::new(file)).map_err(|error| Refusal::Malformed { why: error.to_string() }.into())
}

/// An upload's file, removed when dropped.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        // What stays behind harms nobody: no name is used twice.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The upload in a file below `directory`. A peer that sends nothing for `patience` has given up.
async fn spooled(directory: &Path, mut body: Incoming, limit: usize, patience: Duration) -> Result<Spooled, Error> {
    let spooled = Spooled(directory.join(format!("upload-{}", request::request_id())));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&spooled.0).await.map_err(unwritten)?;
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
