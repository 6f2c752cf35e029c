//! How far the store has answered for, kept beside it. sled takes a damaged or shortened log for one that ends earlier and
//! goes on from there without a word; the watermark tells that acknowledged commits are missing.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The file `acknowledged`: the number of the last group that was answered, in 20 digits. Written in place after each
/// group's sync, so that it survives a killed process; after a power cut it may be older, never newer, than the store.
#[derive(Debug)]
pub(super) struct Watermark {
    file: File,
}

/// What the file holds: 20 digits and the end of the line.
const LENGTH: usize = 21;

impl Watermark {
    /// The file in the state directory `dir`, made if it is not there.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("acknowledged");
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Watermark { file })
    }

    /// The last group that was answered; zero if nothing readable was kept.
    pub(super) fn group(&self) -> u64 {
        let mut text = [0; LENGTH];
        let read = self.file.read_exact_at(&mut text, 0);
        let group = read.ok().and_then(|()| std::str::from_utf8(&text).ok()?.strip_suffix('\n')?.parse().ok());
        group.unwrap_or(0)
    }

    /// Group `group` is on disk and about to be answered.
    pub(super) fn raise(&self, group: u64) -> io::Result<()> {
        self.file.write_all_at(format!("{group:020}\n").as_bytes(), 0)
    }

    /// Makes it durable; for a store that is being closed.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_group_is_read_back_and_rubbish_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Watermark::open(dir.path()).unwrap();
        assert_eq!(mark.group(), 0);
        mark.raise(1_234).unwrap();
        mark.raise(u64::MAX).unwrap();
        assert_eq!(Watermark::open(dir.path()).unwrap().group(), u64::MAX);
        std::fs::write(dir.path().join("acknowledged"), "?").unwrap();
        assert_eq!(Watermark::open(dir.path()).unwrap().group(), 0);
    }
}
