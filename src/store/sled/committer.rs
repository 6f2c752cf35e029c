//! The one thread that writes. It takes what has been queued as one group, checks it, writes it in one transaction, syncs
//! once and answers everyone; after a failed write it gives the database up and opens it anew when there is room.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::audit_chain::Head;
use super::group::{Group, Rejection};
use super::handle::{Handle, TreeNumber, missing};
use super::survey::{self, GROUP_MARK};
use super::watermark::{Mark, Watermark};
use super::{Options, Shared};
use crate::store::{Change, CommitError, Kind};

/// While the database is given up, how often it is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// After so many octets of rows the length of the log is looked at.
const WEIGHED_EVERY: usize = 4 << 20;

/// Closing leaves no more of the log than this for the next opening to read.
const LEFT_AT_CLOSE: u64 = 64 << 20;

/// While commits come together, how long a group waits for more of them. Each group costs a transaction, a sync and the
/// wake-up of all of sled's threads, however many commits share it.
const GATHERING: Duration = Duration::from_micros(300);

/// One commit on its way.
pub(super) struct Request {
    /// What it changes.
    pub(super) changes: Vec<Change>,
    /// Where the answer goes. A caller that has gone does not stop its commit.
    pub(super) answer: oneshot::Sender<Result<(), CommitError>>,
}

/// The committer's own.
pub(super) struct Committer {
    /// The state directory.
    pub(super) dir: PathBuf,
    /// The options.
    pub(super) options: Options,
    /// What it shares with readers.
    pub(super) shared: Arc<Shared>,
    /// How far commits were answered.
    pub(super) watermark: Watermark,
    /// The newest audit entry.
    pub(super) head: Head,
    /// How many commits the last group had.
    pub(super) together: usize,
    /// How many groups were ever written.
    pub(super) groups: u64,
    /// How many of them when the store was opened.
    pub(super) opened: u64,
    /// Octets of rows written since the length of the log was last looked at.
    pub(super) unweighed: usize,
}

/// Where the answers of a group stand.
enum Ended {
    /// On disk.
    Durable,
    /// Written or not: nobody can tell before the database is opened anew.
    Unknown(String),
}

impl Committer {
    /// Commits until nobody can ask any more, then gives the database back.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.blocking_recv() {
            let requests = self.gather(first, &mut queue);
            let Some(handle) = self.shared.handle.load_full() else { break };
            if let Err(why) = self.room() {
                refuse(requests, &why);
                continue;
            }
            if !self.commit(&handle, requests) {
                self.recover(Some(handle), &mut queue);
            } else if self.has_grown() {
                drop(handle);
                self.renew(&mut queue);
            }
        }
        self.close();
    }

    /// Gives the database back, with little left for the next opening to read. sled's own closing writes no snapshot.
    fn close(&self) {
        if !self.shared.release() {
            return;
        }
        let closed = self.note_closed().and_then(|()| {
            if survey::octets_to_read(&self.dir.join("store"))? > LEFT_AT_CLOSE {
                // Whatever keeps it from opening now, the next start will find and tell.
                drop(Handle::open(&self.dir, self.options.cache_bytes, &self.watermark));
                self.note_closed()?;
            }
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the length of the closed store could not be kept");
        }
    }

    /// Whether the next opening would have to read more of the log than it should.
    fn has_grown(&mut self) -> bool {
        if self.unweighed < WEIGHED_EVERY {
            return false;
        }
        self.unweighed = 0;
        let left = survey::octets_to_read(&self.dir.join("store"));
        left.is_ok_and(|octets| octets > self.options.renewal_octets)
    }

    /// Closes the database and opens it anew, by which sled writes a snapshot. Readers and commits wait.
    fn renew(&mut self, queue: &mut mpsc::Receiver<Request>) {
        let begun = Instant::now();
        self.shared.renewal.send_replace(true);
        let renewed = if self.shared.release() {
            self.note_closed().map_err(|e| e.to_string()).and_then(|()| self.reopen())
        } else {
            Err("somebody still reads from it".to_owned())
        };
        self.shared.renewal.send_replace(false);
        match renewed {
            Ok(()) => {
                self.shared.statistics.renewals.fetch_add(1, Ordering::Relaxed);
                tracing::info!(milliseconds = begun.elapsed().as_millis() as u64, "sled's log was shortened");
            }
            Err(why) => {
                tracing::warn!(%why, "the store was closed to shorten sled's log, and stays closed");
                self.recover(None, queue);
            }
        }
    }

    /// Notes that sled has closed its file, and with which length.
    fn note_closed(&self) -> io::Result<()> {
        let file = File::open(self.dir.join("store").join("db"))?;
        file.sync_all()?;
        let length = file.metadata()?.len();
        self.watermark.write(Mark { group: self.groups, length, is_closed: true, ..self.watermark.read() })?;
        self.watermark.sync()
    }

    /// What is queued now and, if commits came together before, a moment later, up to the size of one group.
    fn gather(&mut self, first: Request, queue: &mut mpsc::Receiver<Request>) -> Vec<Request> {
        if self.together > 1 {
            std::thread::sleep(GATHERING);
        }
        let more = std::iter::from_fn(|| queue.try_recv().ok());
        let requests: Vec<_> = std::iter::once(first).chain(more).take(self.options.group_commits).collect();
        self.together = requests.len();
        requests
    }

    /// Whether there is room on the disk for more than the reserve, which reopening after a failure needs.
    fn room(&self) -> Result<(), String> {
        let free = super::free_octets(&self.dir).map_err(|e| format!("free space cannot be read: {e}"))?;
        if free >= self.options.reserve_bytes {
            return Ok(());
        }
        let mebibytes = |octets: u64| octets / (1 << 20);
        Err(format!(
            "the disk has {} MiB left, of which {} MiB are kept in reserve",
            mebibytes(free),
            mebibytes(self.options.reserve_bytes)
        ))
    }

    /// Commits `requests` in as few groups as their size allows. False if the database can no longer be used.
    fn commit(&mut self, handle: &Arc<Handle>, requests: Vec<Request>) -> bool {
        let mut rest = requests.into_iter().peekable();
        while rest.peek().is_some() {
            let mut members = Vec::new();
            let mut group = Group::new(handle, self.head.clone());
            let mut readable = true;
            while group.octets() < self.options.group_octets
                && readable
                && let Some(request) = rest.next()
            {
                let admitted = catch_unwind(AssertUnwindSafe(|| group.admit(request.changes)));
                let admitted = admitted.unwrap_or_else(|_| {
                    Err(Rejection::Unreadable(sled::Error::ReportableBug("a check stopped".to_owned())))
                });
                match admitted {
                    Ok(()) => members.push(request.answer),
                    Err(rejection) => readable = self.reject(request.answer, rejection),
                }
            }
            let whole = readable && self.finish(handle, group, members);
            if !whole {
                refuse(rest, "a write just failed");
                return false;
            }
        }
        true
    }

    /// Answers a commit that did not join. False if that is the database's fault.
    fn reject(&self, answer: oneshot::Sender<Result<(), CommitError>>, rejection: Rejection) -> bool {
        let (error, readable) = match rejection {
            Rejection::Conflict(conflict) => {
                self.shared.statistics.conflicts.fetch_add(1, Ordering::Relaxed);
                (CommitError::Conflict(conflict), true)
            }
            // One damaged record must not stop all others; a failing disk or a broken check does.
            Rejection::Unreadable(error @ sled::Error::Corruption { .. }) => {
                tracing::error!(%error, "a record that a commit rests on is damaged");
                (CommitError::Unavailable(format!("damaged: {error}")), true)
            }
            Rejection::Unreadable(error) => {
                tracing::error!(%error, "the store cannot be read");
                (CommitError::Unavailable(error.to_string()), false)
            }
        };
        let _ = answer.send(Err(error));
        readable
    }

    /// Writes, syncs and answers one group.
    fn finish(
        &mut self,
        handle: &Handle,
        group: Group<'_>,
        members: Vec<oneshot::Sender<Result<(), CommitError>>>,
    ) -> bool {
        if members.is_empty() {
            return true;
        }
        let octets = group.octets();
        let (mut rows, head) = group.into_parts();
        rows[TreeNumber::OWN.place()].insert(b"group".to_vec(), Some(group_value(self.groups + 1)));
        // Counted before the first row can be seen, so that whoever sees one waits for the sync.
        self.shared.durable.start();
        let written = catch_unwind(AssertUnwindSafe(|| handle.write(&rows).and_then(|()| handle.sync())));
        let ended = match written {
            Ok(Ok(())) => Ended::Durable,
            Ok(Err(error)) => Ended::Unknown(error.to_string()),
            Err(_) => Ended::Unknown("the write stopped midway".to_owned()),
        };
        match ended {
            Ended::Durable => {
                (self.head, self.groups) = (head, self.groups + 1);
                self.unweighed += octets;
                let length = handle.length();
                let mark = Mark { group: self.groups, opened: self.opened, length, is_closed: false };
                if let Err(error) = self.watermark.write(mark) {
                    tracing::warn!(%error, "the file `acknowledged` could not be written");
                }
                self.shared.advance(&self.head, members.len(), octets, &rows);
                members.into_iter().for_each(|answer| drop(answer.send(Ok(()))));
                true
            }
            Ended::Unknown(why) => {
                tracing::error!(error = %why, commits = members.len(), "a write failed; the store will be reopened");
                self.shared.fail();
                members.into_iter().for_each(|answer| drop(answer.send(Err(CommitError::Unknown(why.clone())))));
                false
            }
        }
    }

    /// Drops the broken database, if it is still there, and opens it anew as soon as that succeeds. Meanwhile nothing is
    /// read or written.
    fn recover(&mut self, mut broken: Option<Arc<Handle>>, queue: &mut mpsc::Receiver<Request>) {
        self.shared.fail();
        while pause(queue) {
            // sled's own lock ends only when the last reader has let go.
            broken = broken.and_then(|handle| Arc::try_unwrap(handle).map(discard).err());
            if broken.is_some() {
                continue;
            }
            match self.reopen() {
                Ok(()) => {
                    tracing::info!("the store is open again");
                    return;
                }
                Err(why) => tracing::warn!(%why, "the store stays closed"),
            }
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        self.room()?;
        let handle = Handle::open(&self.dir, self.options.cache_bytes, &self.watermark).map_err(|e| e.to_string())?;
        // Whatever was kept of the failed group is now what the store holds; it must be durable before it is shown.
        handle.sync().map_err(|e| e.to_string())?;
        let groups = groups(&handle).map_err(|e| e.to_string())?;
        if groups < self.groups {
            return Err(format!("{}: restore a backup", missing(groups, self.groups)));
        }
        self.opened = groups;
        self.head = newest(&handle).map_err(|e| e.to_string())?;
        self.groups = groups;
        self.shared.reopened(handle, &self.head);
        Ok(())
    }
}

/// Lets a little time pass and answers meanwhile. False when nobody can ask any more.
fn pause(queue: &mut mpsc::Receiver<Request>) -> bool {
    let end = Instant::now() + RETRY;
    while Instant::now() < end {
        match queue.try_recv() {
            Ok(request) => refuse([request], "it is being reopened after a failed write"),
            Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(5)),
            Err(mpsc::error::TryRecvError::Disconnected) => return false,
        }
    }
    true
}

/// Drops a broken database; that it cannot write its rest is no news.
fn discard(handle: Handle) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
}

/// The newest audit entry.
pub(super) fn newest(handle: &Handle) -> sled::Result<Head> {
    Head::read(handle.tree(TreeNumber::kind(Kind::Audit)), handle.tree(TreeNumber::kind(Kind::AuditSegment)))
}

/// How many groups were ever written.
pub(super) fn groups(handle: &Handle) -> sled::Result<u64> {
    let value = handle.get(TreeNumber::OWN, b"group")?;
    let number = value.and_then(|value| value.strip_prefix(&GROUP_MARK)?.try_into().map(u64::from_be_bytes).ok());
    Ok(number.unwrap_or(0))
}

/// A group's number as it is kept: the survey finds it in the log by its mark.
pub(super) fn group_value(number: u64) -> sled::IVec {
    sled::IVec::from([GROUP_MARK, number.to_be_bytes()].concat())
}

fn refuse(requests: impl IntoIterator<Item = Request>, why: &str) {
    for request in requests {
        let _ = request.answer.send(Err(CommitError::Unavailable(why.to_owned())));
    }
}
