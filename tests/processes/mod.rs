//! The programs as processes: one that runs to its end, and a `dev` server that stays up.

// Each test binary uses its own part.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sote_acme::client::{HttpVersion, Transport};
use tempfile::TempDir;

/// The server's program.
pub const SOTE_ACME: &str = env!("CARGO_BIN_EXE_sote-acme");
/// The client's program.
pub const SOTE_CLIENT: &str = env!("CARGO_BIN_EXE_sote-client");
/// Longer than any start takes on a machine that does much else at the same time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a finished command said.
pub struct Said {
    /// Its exit status.
    pub status: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub error: String,
}

impl Said {
    /// Runs a command to its end.
    pub fn by(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().expect("the program starts");
        Said {
            status: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The standard output of a success.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.status, 0, "{}{}", self.out, self.error);
        self.out
    }

    /// The standard error of a failure with this status.
    #[track_caller]
    pub fn refused(self, status: i32) -> String {
        assert_eq!(self.status, status, "{}{}", self.out, self.error);
        self.error
    }
}

/// Waits until something holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A directory for a `dev` server, and what removes it.
pub fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dev");
    (directory, path)
}

/// A `dev` process; it is killed when it is dropped.
pub struct Dev {
    /// The process.
    pub process: Child,
    /// Its directory.
    pub directory: PathBuf,
    values: BTreeMap<String, String>,
}

impl Dev {
    /// Starts it on free ports and waits until it is ready.
    pub fn start(directory: &Path, further: &[&str]) -> Self {
        Dev::start_with(directory, &["--public-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"], further)
    }

    /// The same with other listeners.
    pub fn start_with(directory: &Path, addresses: &[&str], further: &[&str]) -> Self {
        let mut process = Dev::command(directory, addresses, further)
            .stdin(Stdio::null())
            .stdout(fs::File::create(directory.with_extension("out")).unwrap())
            .stderr(fs::File::create(directory.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        let file = directory.join("dev.env");
        let begun = Instant::now();
        // One that a killed server left behind names another process.
        let own = format!("SOTE_ACME_PID={}\n", process.id());
        while !fs::read_to_string(&file).is_ok_and(|text| text.contains(&own)) {
            let ended = process.try_wait().unwrap();
            let log = || fs::read_to_string(directory.with_extension("log")).unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}: {}", log());
            assert!(begun.elapsed() < PATIENCE, "it did not become ready: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let values = fs::read_to_string(&file).unwrap();
        let values = values.lines().map(|line| line.split_once('=').unwrap());
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Dev { process, directory: directory.to_owned(), values }
    }

    /// The command that starts one.
    pub fn command(directory: &Path, addresses: &[&str], further: &[&str]) -> Command {
        let mut command = Command::new(SOTE_ACME);
        command.args(["dev", "--listen", "127.0.0.1:0", "--dir"]).arg(directory).args(addresses).args(further);
        command
    }

    /// A value of its `dev.env`.
    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).unwrap_or_else(|| panic!("dev.env has no {name}: {:?}", self.values))
    }

    /// A transport that trusts it.
    pub fn transport(&self) -> Transport {
        let root = fs::read(self.value("SOTE_ACME_TLS_ROOT")).unwrap();
        Transport::trusting(&root, HttpVersion::Http1).unwrap()
    }

    /// The status and the body of a GET.
    pub fn get(&self, url: &str) -> (u16, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async { self.transport().get(url).await.unwrap() });
        (answer.status, answer.body.to_vec())
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Ends it and returns whether that was its success.
    pub fn ended_by(mut self, signal: &str) -> bool {
        self.signal(signal);
        let mut ended = None;
        eventually("it ends", || {
            ended = self.process.try_wait().unwrap();
            ended.is_some()
        });
        ended.is_some_and(|status| status.success())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
