//! The caller's side of the admin socket: one HTTP request over a Unix socket, JSON back. The server knows the caller by the
//! kernel's word for its user. Start with [`Connection::get`].

use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::UnixStream;

use super::{CommandError, print_line};
use crate::config::Config;

/// Where the server is, and how its answers are shown.
#[derive(Debug, Clone, Args)]
pub(super) struct Connection {
    /// The server's admin socket [default: $SOTE_ACME_ADMIN_SOCKET].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The server's configuration, which names the admin socket.
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// Print the server's answer as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// The largest answer, in octets: a page has a hundred records or a thousand audit entries.
const LARGEST_ANSWER: usize = 64 << 20;
/// An import of the whole national register takes a minute.
const PATIENCE: Duration = Duration::from_secs(600);

impl Connection {
    /// Asks for what is at `path`.
    ///
    /// # Errors
    /// No server, or its refusal.
    pub(super) async fn get(&self, path: &str) -> Result<Value, CommandError> {
        self.request(Method::GET, path, "application/json", Full::new(Bytes::new())).await
    }

    /// Sends `message` to `path`.
    ///
    /// # Errors
    /// No server, or its refusal.
    pub(super) async fn post(&self, path: &str, message: &impl Serialize) -> Result<Value, CommandError> {
        let body = serde_json::to_vec(message).map_err(CommandError::failed)?;
        self.request(Method::POST, path, "application/json", Full::new(body.into())).await
    }

    /// Sends a file to `path`, piece by piece.
    ///
    /// # Errors
    /// No server, or its refusal.
    pub(super) async fn upload(&self, path: &str, content_type: &str, file: File) -> Result<Value, CommandError> {
        self.request(Method::POST, path, content_type, FileBody { file, piece: vec![0; PIECE] }).await
    }

    /// Every element of the pages of a list, whose member `items` holds them.
    ///
    /// # Errors
    /// No server, or its refusal.
    pub(super) async fn pages(&self, path: &str, items: &str) -> Result<Vec<Value>, CommandError> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page = match after.as_str() {
                "" => self.get(path).await?,
                after => self.get(&format!("{path}{separator}after={after}")).await?,
            };
            all.extend(page.get(items).and_then(Value::as_array).into_iter().flatten().cloned());
            match page.get("next").and_then(Value::as_str) {
                Some(next) if next != after => after = next.to_owned(),
                _ => return Ok(all),
            }
        }
    }

    /// Prints `value` as JSON if that was asked for; else `lines`.
    pub(super) fn show<L: std::fmt::Display>(&self, value: &Value, lines: impl IntoIterator<Item = L>) {
        if self.json {
            print_line(serde_json::to_string_pretty(value).unwrap_or_default());
        } else {
            lines.into_iter().for_each(print_line);
        }
    }

    fn path(&self) -> Result<PathBuf, CommandError> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        if let Some(file) = &self.config {
            return Config::read(file).map(|config| config.admin_socket).map_err(CommandError::failed);
        }
        std::env::var_os("SOTE_ACME_ADMIN_SOCKET").map(PathBuf::from).ok_or_else(|| {
            CommandError::Failed(
                "which server? Give --socket PATH or --config FILE, or set SOTE_ACME_ADMIN_SOCKET".to_owned(),
            )
        })
    }

    async fn request<B>(&self, method: Method, path: &str, content_type: &str, body: B) -> Result<Value, CommandError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let socket = self.path()?;
        let stream = UnixStream::connect(&socket).await.map_err(|error| unreachable(&socket, &error))?;
        let broken = |error: &dyn std::fmt::Display| {
            CommandError::NoServer(format!("the server at {} broke off: {error}", socket.display()))
        };
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(|error| broken(&error))?;
        let serving = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, content_type)
            .body(body)
            .map_err(CommandError::failed)?;
        let answered = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        let answer = answered.map_err(|_| broken(&"no answer in ten minutes"))?.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| broken(&error))?.to_bytes();
        serving.abort();
        let value: Value = serde_json::from_slice(&body).map_err(|_| {
            CommandError::Failed(format!(
                "the server answered {status} and no JSON: is it a sote-acme of this version?"
            ))
        })?;
        if status.is_success() { Ok(value) } else { Err(refusal(&value, status.as_u16())) }
    }
}

/// How much of a file is read at once.
const PIECE: usize = 64 << 10;

/// A file as a request's body.
struct FileBody {
    file: File,
    piece: Vec<u8>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let FileBody { file, piece } = self.get_mut();
        let mut buffer = ReadBuf::new(piece);
        ready!(Pin::new(file).poll_read(context, &mut buffer))?;
        let read = Bytes::copy_from_slice(buffer.filled());
        Poll::Ready((!read.is_empty()).then(|| Ok(Frame::data(read))))
    }
}

fn unreachable(socket: &std::path::Path, error: &std::io::Error) -> CommandError {
    let path = socket.display();
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => CommandError::NoServer(format!(
            "no server runs at {path} ({error}): start it with `sote-acme serve`, or give another --socket or --config"
        )),
        std::io::ErrorKind::PermissionDenied => CommandError::Failed(format!(
            "{path}: {error}: only users who may write the socket can administer; see its owner and group"
        )),
        _ => CommandError::NoServer(format!("{path}: {error}")),
    }
}

/// What the server says: what is wrong, and what to do next.
fn refusal(value: &Value, status: u16) -> CommandError {
    let text = |member: &str| value.get(member).and_then(Value::as_str).unwrap_or_default();
    let (error, next) = (text("error"), text("next"));
    CommandError::Failed(match (error, next) {
        ("", _) => format!("the server answered {status}: {value}"),
        (error, "") => error.to_owned(),
        (error, next) => format!("{error}\n  {next}"),
    })
}

/// A member as people read it: text without quotes, nothing for null.
pub(super) fn member(value: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(value, |value, name| value.get(name));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        Some(other) => other.to_string(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Rows below a heading, in columns that are as wide as they must be.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    if rows.is_empty() {
        return vec!["none".to_owned()];
    }
    let heading: Vec<String> = heading.iter().map(|name| (*name).to_owned()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&heading).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(&heading).chain(rows).map(line).collect()
}

/// A message with only what was given: the server has its own idea of what was not.
pub(super) fn named(mut message: Value) -> Value {
    if let Value::Object(members) = &mut message {
        members.retain(|_, value| !value.is_null() && !value.as_array().is_some_and(Vec::is_empty));
    }
    message
}

/// A value in a query: everything that is not plain is percent-encoded.
pub(super) fn escaped(value: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    value
        .bytes()
        .map(|octet| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_tells_what_to_do_next() {
        let error = refusal(&json!({"error": "there is no organisation", "next": "add it first"}), 400);
        assert_eq!(error.to_string(), "there is no organisation\n  add it first");
    }

    #[test]
    fn members_are_found_by_path_and_shown_plainly() {
        let value = json!({"a": {"b": ["x", "y"]}, "c": null, "d": 3});
        assert_eq!(
            (member(&value, "a.b"), member(&value, "c"), member(&value, "d")),
            ("x y".into(), "".into(), "3".into())
        );
    }

    #[test]
    fn columns_stand_below_each_other() {
        let lines = table(&["ID", "NAME"], &[vec!["1".into(), "ä".into()], vec!["100".into(), "b".into()]]);
        assert_eq!(lines, ["ID   NAME", "1    ä", "100  b"]);
    }

    #[tokio::test]
    async fn without_a_server_the_message_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection { socket: Some(directory.path().join("admin.sock")), config: None, json: false };
        let error = connection.get("/me").await.unwrap_err();
        assert!(matches!(&error, CommandError::NoServer(why) if why.contains("sote-acme serve")), "{error}");
    }
}
