//! How far the store has answered for, kept beside it. sled takes a damaged or shortened log for one that ends earlier and
//! goes on from there without a word; the watermark tells that acknowledged commits are missing.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The file `acknowledged`: one line of four numbers ([`Mark`]), written in place. Each is true whenever it is read, after a
/// killed process as after a power cut: of a line that was not synced an older one may be left, never a newer one.
#[derive(Debug)]
pub(super) struct Watermark {
    file: File,
}

/// What is known of the store from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The number of the last group that was answered.
    pub(super) group: u64,
    /// What it was when the store was last opened: sled's newest snapshot is no older.
    pub(super) opened: u64,
    /// The length of sled's file when the store was last written.
    pub(super) length: u64,
    /// Whether the store was closed in good order since, and the file therefore still has that length.
    pub(super) is_closed: bool,
}

/// Three numbers of 20 digits, one of one digit, what divides them, and the end of the line.
const LENGTH: usize = 65;

impl Watermark {
    /// The file in the state directory `dir`, made if it is not there.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("acknowledged");
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Watermark { file })
    }

    /// What it says; zeros if nothing readable was kept.
    pub(super) fn read(&self) -> Mark {
        self.parsed().unwrap_or_default()
    }

    fn parsed(&self) -> Option<Mark> {
        let mut text = [0; LENGTH];
        self.file.read_exact_at(&mut text, 0).ok()?;
        let mut numbers = std::str::from_utf8(&text).ok()?.split_ascii_whitespace().map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Mark { group: next()?, opened: next()?, length: next()?, is_closed: next()? == 1 })
    }

    /// Writes the whole line.
    pub(super) fn write(&self, mark: Mark) -> io::Result<()> {
        let Mark { group, opened, length, is_closed } = mark;
        let line = format!("{group:020} {opened:020} {length:020} {}\n", u8::from(is_closed));
        self.file.write_all_at(line.as_bytes(), 0)
    }

    /// Makes the line durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_and_rubbish_is_all_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let watermark = Watermark::open(dir.path()).unwrap();
        assert_eq!(watermark.read(), Mark::default());
        let mark = Mark { group: u64::MAX, opened: 7, length: 8_388_608, is_closed: true };
        watermark.write(mark).unwrap();
        assert_eq!(Watermark::open(dir.path()).unwrap().read(), mark);
        std::fs::write(dir.path().join("acknowledged"), "?").unwrap();
        assert_eq!(Watermark::open(dir.path()).unwrap().read(), Mark::default());
    }
}
