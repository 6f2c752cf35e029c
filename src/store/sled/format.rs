//! The state directory: its layout, `format.json`, the lock that keeps a second process out, and every reason why a store
//! is not opened. Nothing here touches sled's files. Start with [`Format::read`].

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::names::base64url;
use crate::time::Timestamp;

/// The format that this program writes. A change of the layout raises it; a change of one record's shape raises only
/// that record's schema.
const FORMAT: u32 = 1;

/// Why a store was not opened or made. Nothing was changed on disk by the attempt.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory holds no store.
    #[error("{} holds no store (no format.json): make one with `sote-acme init`", .0.display())]
    Missing(PathBuf),
    /// A store is there already, or the rest of an attempt to make one.
    #[error("{} already holds a store or part of one: give another directory, or move this one away first", .0.display())]
    Exists(PathBuf),
    /// A newer program made it.
    #[error("the store in {} has format {found}, this program knows up to {FORMAT}: run the newer program", .dir.display())]
    Newer {
        /// The state directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
    },
    /// An older program made it.
    #[error("the store in {} has the older format {found}: stop the server, back the directory up and run `sote-acme migrate`", .dir.display())]
    Older {
        /// The state directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Another process has it.
    #[error("the store in {} is in use by {}: one process at a time", .dir.display(), process(*.pid))]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// Who has it, as the lock file tells.
        pid: Option<u32>,
    },
    /// It cannot be trusted.
    #[error(
        "the store in {} is damaged: {what}. Nothing was overwritten. Copy the whole directory aside before anything \
         else, then restore the newest backup",
        .dir.display()
    )]
    Damaged {
        /// The state directory.
        dir: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file could not be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// For `map_err`: an I/O error with the path that it concerns.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |error| OpenError::Io { path: path.to_owned(), error }
}

/// What `format.json` says of the store. It can be read while a server runs, without touching the store itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The version of the layout.
    pub format: u32,
    /// The store's own id, 22 characters of base64url; also kept inside the store, so that neither is exchanged.
    pub store: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Format {
    /// What the state directory `dir` holds, if this program can use it.
    ///
    /// # Errors
    /// Every variant of [`OpenError`] that can be told without opening the store.
    pub fn read(dir: &Path) -> Result<Self, OpenError> {
        let format = Self::read_old(dir)?;
        if format.format == FORMAT {
            return Ok(format);
        }
        Err(OpenError::Older { dir: dir.to_owned(), found: format.format })
    }

    /// What the state directory `dir` holds, of this format or an older one.
    pub(super) fn read_old(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("format.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(OpenError::Missing(dir.to_owned())),
            Err(error) => return Err(OpenError::Io { path, error }),
        };
        let damaged = |e| OpenError::Damaged { dir: dir.to_owned(), what: format!("format.json cannot be read ({e})") };
        // The version is read alone first: a newer format may have other members.
        let Version { format: found } = serde_json::from_slice(&text).map_err(damaged)?;
        if found > FORMAT {
            return Err(OpenError::Newer { dir: dir.to_owned(), found });
        }
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// The same store's, in the format that this program writes.
    pub(super) fn present(&self) -> Self {
        Format { format: FORMAT, ..self.clone() }
    }

    /// A new store's.
    pub(super) fn new(created: Timestamp) -> Self {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).expect("the operating system's random source works");
        Format { format: FORMAT, store: base64url::encode(&id), created }
    }

    /// Writes `format.json`: the last step of making or migrating a store, so that a broken attempt is not taken for one.
    pub(super) fn write(&self, dir: &Path) -> Result<(), OpenError> {
        let mut text = serde_json::to_vec_pretty(self).expect("text and numbers are JSON");
        text.push(b'\n');
        write_durably(dir, "format.json", &text).map_err(at(dir))
    }
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Writes `dir/name` so that after a crash either nothing or all of it is there under that name.
pub(crate) fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, dir.join(name))?;
    sync_directory(dir)
}

/// Makes the names in `dir` durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes `path` with mode 0700, with its parents; nothing if it is there.
pub(super) fn make_directory(path: &Path) -> Result<(), OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

/// The lock on a state directory. It ends with this value, or with the process however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `dir` and writes our process id into it.
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(at(&path))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(OpenError::InUse { dir: dir.to_owned(), pid: written_pid(&mut file) });
        }
        let text = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(at(&path))?;
        Ok(Lock { _file: file })
    }
}

fn written_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether a process holds the store in `dir` now, and which. Takes nothing and waits for nothing.
pub fn holder(dir: &Path) -> Option<OpenError> {
    let mut file = File::open(dir.join("lock")).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => None,
        Err(_) => Some(OpenError::InUse { dir: dir.to_owned(), pid: written_pid(&mut file) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_says_how_to_make_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let error = Format::read(dir.path()).unwrap_err();
        assert!(error.to_string().contains("sote-acme init"), "{error}");
    }

    #[test]
    fn other_formats_are_refused_by_number_whatever_else_they_hold() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("format.json"), r#"{"format":2,"unheard":[]}"#).unwrap();
        assert!(matches!(Format::read(dir.path()), Err(OpenError::Newer { found: 2, .. })));
        let old = r#"{"format":0,"store":"s","created":"2026-11-24T00:00:00Z"}"#;
        fs::write(dir.path().join("format.json"), old).unwrap();
        assert!(matches!(Format::read(dir.path()), Err(OpenError::Older { found: 0, .. })));
        fs::write(dir.path().join("format.json"), "{").unwrap();
        assert!(matches!(Format::read(dir.path()), Err(OpenError::Damaged { .. })));
    }

    #[test]
    fn a_second_lock_is_refused_with_the_first_ones_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let error = Lock::take(dir.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        assert!(holder(dir.path()).is_some());
        drop(first);
        assert!(holder(dir.path()).is_none());
        Lock::take(dir.path()).unwrap();
    }
}
