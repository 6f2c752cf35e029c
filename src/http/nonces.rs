//! Anti-replay nonces (RFC 8555 §6.5) that cost no write: a nonce is a sealed counter and minute of birth, and one bit per
//! counter remembers that it was spent. A graceful stop keeps key, counter and bits in a file, so that nonces outlive the
//! process; after a crash there is a new key, and older nonces are refused. Start with [`Nonces::mint`] and
//! [`Nonces::spend`].

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::names::{BootId, base64url};
use crate::time::Timestamp;

/// Octets of a sealed nonce: counter, second of birth and the AEAD's tag.
const SEALED: usize = 32;
const TAG: usize = 16;
/// What a saved file begins with.
const MAGIC: &[u8; 20] = b"sote-acme nonces 1\n\0";
/// Magic, boot id, key, counter, capacity.
const HEADER: usize = 20 + 16 + 16 + 8 + 8;

/// Gives out nonces and takes each of them at most once.
pub struct Nonces {
    boot: BootId,
    key: Zeroizing<[u8; 16]>,
    sealing: LessSafeKey,
    /// The counter of the next nonce.
    next: AtomicU64,
    /// Bit `counter % capacity`: set once the nonce was spent.
    spent: Box<[AtomicU64]>,
    lifetime: i64,
    /// Set when the state was saved: from then on another process may take these nonces.
    closed: AtomicBool,
}

impl Nonces {
    /// A new key. `memory` octets remember eight times as many nonces, each for at most `lifetime`.
    pub fn new(memory: usize, lifetime: Duration, now: Timestamp) -> Self {
        let mut key = Zeroizing::new([0u8; 16]);
        aws_lc_rs::rand::fill(&mut key[..]).expect("the operating system's random source works");
        let spent = (0..memory.div_ceil(8).max(1)).map(|_| AtomicU64::new(0)).collect();
        Nonces::with_key(BootId::mint(now), key, 0, spent, lifetime)
    }

    fn with_key(
        boot: BootId,
        key: Zeroizing<[u8; 16]>,
        next: u64,
        spent: Box<[AtomicU64]>,
        lifetime: Duration,
    ) -> Self {
        let sealing = LessSafeKey::new(UnboundKey::new(&AES_128_GCM_SIV, &key[..]).expect("the key has 16 octets"));
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        Nonces { boot, key, sealing, next: AtomicU64::new(next), spent, lifetime, closed: AtomicBool::new(false) }
    }

    fn capacity(&self) -> u64 {
        self.spent.len() as u64 * 64
    }

    fn bit(&self, counter: u64) -> (&AtomicU64, u64) {
        let position = counter % self.capacity();
        (&self.spent[(position / 64) as usize], 1 << (position % 64))
    }

    /// A fresh nonce, 43 characters of base64url.
    // RFC 8555 §6.5.1: unique with high probability and not predictable. The counter makes it unique; sealed by
    // AES-GCM-SIV, under which equal AEAD nonces do no harm while the plaintexts differ, it shows nothing of itself.
    pub fn mint(&self, now: Timestamp) -> String {
        let counter = self.next.fetch_add(1, Ordering::SeqCst);
        // The bit still tells of the nonce one round earlier, which is refused from here on.
        let (word, bit) = self.bit(counter);
        word.fetch_and(!bit, Ordering::SeqCst);
        let mut sealed = Vec::with_capacity(SEALED);
        sealed.extend_from_slice(&counter.to_be_bytes());
        sealed.extend_from_slice(&now.to_be_bytes());
        self.sealing
            .seal_in_place_append_tag(zero_nonce(), Aad::from(self.boot.as_bytes()), &mut sealed)
            .expect("sixteen octets can be sealed");
        base64url::encode(&sealed)
    }

    /// Whether `nonce` was given out here, within its lifetime, and is spent by this very call.
    // RFC 8555 §6.5: the server must not accept a nonce twice.
    pub fn spend(&self, nonce: &str, now: Timestamp) -> bool {
        let Some((counter, born)) = self.opened(nonce) else { return false };
        if now.since(born) > self.lifetime || self.closed.load(Ordering::SeqCst) || !self.is_remembered(counter) {
            return false;
        }
        let (word, bit) = self.bit(counter);
        let before = word.fetch_or(bit, Ordering::SeqCst);
        // Asked again: if the bit was cleared for a younger nonce meanwhile, this one has become too old.
        before & bit == 0 && self.is_remembered(counter)
    }

    fn opened(&self, nonce: &str) -> Option<(u64, Timestamp)> {
        let mut sealed: [u8; SEALED] = base64url::decode_array(nonce).ok()?;
        let plain = self.sealing.open_in_place(zero_nonce(), Aad::from(self.boot.as_bytes()), &mut sealed[..]).ok()?;
        let (counter, born) = plain.split_at_checked(8)?;
        let born = i64::from_be_bytes(born.try_into().ok()?);
        Some((u64::from_be_bytes(counter.try_into().ok()?), Timestamp::from_seconds(born)))
    }

    fn is_remembered(&self, counter: u64) -> bool {
        let next = self.next.load(Ordering::SeqCst);
        counter < next && next - counter <= self.capacity()
    }

    /// Writes key, counter and bits to `path`, readable by the owner only. No nonce is accepted here any more, so that
    /// none is accepted both here and by the process that reads the file.
    ///
    /// # Errors
    /// Those of the file system. Nonces are then lost, never accepted twice.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        let directory = path.parent().unwrap_or(Path::new("."));
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&self.state())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(directory)?.sync_all()
    }

    fn state(&self) -> Vec<u8> {
        let next = self.next.load(Ordering::SeqCst);
        // Before the first round is full, the words behind the counter are empty.
        let used = (next.div_ceil(64) as usize).min(self.spent.len());
        let mut state = Vec::with_capacity(HEADER + used * 8 + 32);
        state.extend_from_slice(MAGIC);
        state.extend_from_slice(self.boot.as_bytes());
        state.extend_from_slice(&self.key[..]);
        state.extend_from_slice(&next.to_be_bytes());
        state.extend_from_slice(&self.capacity().to_be_bytes());
        for word in &self.spent[..used] {
            state.extend_from_slice(&word.load(Ordering::SeqCst).to_be_bytes());
        }
        let hash = digest::digest(&digest::SHA256, &state);
        state.extend_from_slice(hash.as_ref());
        state
    }

    /// The nonces that an earlier process saved at `path`, or new ones if there is no such file. The file is gone, and its
    /// directory synced, when this returns: a nonce spent from now on can never be accepted by a later start.
    ///
    /// # Errors
    /// Those of the file system while removing the file. A file that is damaged or was made for another size of memory is
    /// removed as well: its nonces are refused, which costs each client one `badNonce`.
    pub fn load(path: &Path, memory: usize, lifetime: Duration, now: Timestamp) -> io::Result<Self> {
        let fresh = || Nonces::new(memory, lifetime, now);
        let saved = match File::open(path) {
            Ok(file) => read_limited(file, HEADER + memory.div_ceil(8) * 8 + 32)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fresh()),
            Err(error) => return Err(error),
        };
        std::fs::remove_file(path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        let words = memory.div_ceil(8).max(1);
        Ok(saved.and_then(|state| Nonces::restored(&state, words, lifetime)).unwrap_or_else(|| {
            tracing::warn!("the saved nonces are damaged or of another size: clients get fresh ones");
            fresh()
        }))
    }

    fn restored(state: &[u8], words: usize, lifetime: Duration) -> Option<Self> {
        let (content, hash) = state.split_at_checked(state.len().checked_sub(32)?)?;
        if digest::digest(&digest::SHA256, content).as_ref() != hash {
            return None;
        }
        let (magic, rest) = content.split_at_checked(MAGIC.len())?;
        let (boot, rest) = rest.split_at_checked(16)?;
        let (key, rest) = rest.split_at_checked(16)?;
        let (next, rest) = rest.split_at_checked(8)?;
        let (capacity, bits) = rest.split_at_checked(8)?;
        let number = |octets: &[u8]| Some(u64::from_be_bytes(octets.try_into().ok()?));
        if magic != MAGIC || number(capacity)? != words as u64 * 64 || bits.len() > words * 8 {
            return None;
        }
        let spent: Box<[AtomicU64]> = (0..words).map(|_| AtomicU64::new(0)).collect();
        for (word, octets) in spent.iter().zip(bits.chunks_exact(8)) {
            word.store(number(octets)?, Ordering::SeqCst);
        }
        let key = Zeroizing::new(key.try_into().ok()?);
        Some(Nonces::with_key(BootId::try_from(boot).ok()?, key, number(next)?, spent, lifetime))
    }
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// The file's content, `None` if it is larger than `limit`.
fn read_limited(file: File, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    Ok((content.len() <= limit).then_some(content))
}

const _: () = assert!(SEALED == 16 + TAG);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Barrier;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn nonces() -> Nonces {
        Nonces::new(1024, HOUR, NOW)
    }

    #[test]
    fn a_nonce_is_accepted_once() {
        let nonces = nonces();
        let nonce = nonces.mint(NOW);
        assert!(nonces.spend(&nonce, NOW));
        assert!(!nonces.spend(&nonce, NOW));
    }

    #[test]
    fn of_fifty_parallel_spends_exactly_one_succeeds() {
        let nonces = nonces();
        for _ in 0..20 {
            let (nonce, barrier) = (nonces.mint(NOW), Barrier::new(50));
            let accepted = std::thread::scope(|scope| {
                let spend = || {
                    barrier.wait();
                    nonces.spend(&nonce, NOW)
                };
                let threads: Vec<_> = (0..50).map(|_| scope.spawn(spend)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).filter(|accepted| *accepted).count()
            });
            assert_eq!(accepted, 1);
        }
    }

    #[test]
    fn a_nonce_ends_with_its_lifetime() {
        let nonces = nonces();
        let (first, second) = (nonces.mint(NOW), nonces.mint(NOW));
        assert!(nonces.spend(&first, NOW.plus(3600)));
        assert!(!nonces.spend(&second, NOW.plus(3601)));
    }

    #[test]
    fn a_nonce_older_than_the_memory_is_refused_and_its_bit_is_free_again() {
        let nonces = nonces();
        let (spent, unspent) = (nonces.mint(NOW), nonces.mint(NOW));
        assert!(nonces.spend(&spent, NOW));
        let younger: Vec<_> = (0..1024 * 8).map(|_| nonces.mint(NOW)).collect();
        assert!(!nonces.spend(&spent, NOW) && !nonces.spend(&unspent, NOW));
        assert!(younger.iter().all(|nonce| nonces.spend(nonce, NOW)));
        assert!(!younger.iter().any(|nonce| nonces.spend(nonce, NOW)));
    }

    #[test]
    fn foreign_forged_and_misspelt_nonces_are_refused() {
        let (ours, theirs) = (nonces(), nonces());
        let nonce = ours.mint(NOW);
        assert!(!ours.spend(&theirs.mint(NOW), NOW));
        let forged = format!("{}{}", if nonce.starts_with('A') { 'B' } else { 'A' }, &nonce[1..]);
        for wrong in ["", "A", &nonce[..42], &format!("{nonce}="), &format!("{nonce}AAAA"), &forged, "ä"] {
            assert!(!ours.spend(wrong, NOW), "{wrong}");
        }
        assert!(ours.spend(&nonce, NOW));
    }

    #[test]
    fn nonces_are_unique_base64url_without_a_pattern() {
        let nonces = Nonces::new(8 << 20, HOUR, NOW);
        let many = 20_000;
        let minted: Vec<_> = (0..many).map(|_| nonces.mint(NOW)).collect();
        assert_eq!(minted.iter().collect::<HashSet<_>>().len(), many);
        assert!(minted.iter().all(|nonce| nonce.len() == 43 && base64url::decode(nonce).is_ok()));
        // Every bit of the sealed octets is set about half of the time: six standard deviations on each side.
        let mut set = [0u32; SEALED * 8];
        for nonce in &minted {
            let octets: [u8; SEALED] = base64url::decode_array(nonce).unwrap();
            set.iter_mut().enumerate().for_each(|(i, count)| *count += u32::from(octets[i / 8] >> (i % 8) & 1));
        }
        let (half, deviation) = (many as f64 / 2.0, (many as f64).sqrt() / 2.0);
        assert!(set.iter().all(|count| (f64::from(*count) - half).abs() < 6.0 * deviation), "{set:?}");
    }

    #[test]
    fn a_restart_keeps_unspent_nonces_and_accepts_no_spent_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nonces");
        let before = nonces();
        let (spent, unspent) = (before.mint(NOW), before.mint(NOW));
        assert!(before.spend(&spent, NOW));
        before.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!before.spend(&unspent, NOW), "a saved state accepts nothing any more");

        let after = Nonces::load(&path, 1024, HOUR, NOW).unwrap();
        assert!(!path.exists());
        assert!(!after.spend(&spent, NOW) && after.spend(&unspent, NOW) && !after.spend(&unspent, NOW));
        assert!(after.spend(&after.mint(NOW), NOW));

        let crashed = Nonces::load(&path, 1024, HOUR, NOW).unwrap();
        assert!(!crashed.spend(&unspent, NOW) && crashed.spend(&crashed.mint(NOW), NOW));
    }

    #[test]
    fn a_full_round_survives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nonces");
        let before = Nonces::new(8, HOUR, NOW);
        let minted: Vec<_> = (0..100).map(|_| before.mint(NOW)).collect();
        assert!(before.spend(&minted[99], NOW) && before.spend(&minted[40], NOW));
        before.save(&path).unwrap();
        let after = Nonces::load(&path, 8, HOUR, NOW).unwrap();
        let accepted: Vec<_> = (0..100).filter(|i| after.spend(&minted[*i], NOW)).collect();
        assert_eq!(accepted, (36..99).filter(|i| *i != 40).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_or_foreign_file_is_removed_and_its_nonces_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nonces");
        let before = nonces();
        let nonce = before.mint(NOW);
        before.save(&path).unwrap();
        let saved = std::fs::read(&path).unwrap();
        let mut flipped = saved.clone();
        flipped[60] ^= 1;
        for (content, memory) in [(&flipped[..], 1024), (&saved[..30], 1024), (b"", 1024), (&saved, 2048)] {
            std::fs::write(&path, content).unwrap();
            assert!(!Nonces::load(&path, memory, HOUR, NOW).unwrap().spend(&nonce, NOW));
            assert!(!path.exists());
        }
    }
}
