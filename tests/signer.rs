//! One suite for every implementation of `Signer`, and what belongs to key files and the pool alone.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sote_acme::public_key::PublicKey;
use sote_acme::signer::{KeyFile, KeyFileError, NewKey, PoolLimits, Signer, SignerError, SigningPool};
use sote_acme::x509::SigningAlgorithm;

/// What holds for every signer, whatever its key and wherever it lives.
fn obeys_the_contract(signer: Arc<dyn Signer>) {
    signs_what_its_public_key_verifies(&*signer);
    signs_anything_of_any_length(&*signer);
    signs_from_several_threads_at_once(&signer);
}

fn verify(signer: &dyn Signer, message: &[u8], signature: &[u8]) -> bool {
    signer.public_key().verify(signer.algorithm().verification(), message, signature).is_ok()
}

fn signs_what_its_public_key_verifies(signer: &dyn Signer) {
    assert!(signer.algorithm().fits(signer.public_key()));
    let signature = signer.sign(b"message").unwrap();
    assert!(verify(signer, b"message", &signature));
    assert!(!verify(signer, b"massage", &signature));
}

fn signs_anything_of_any_length(signer: &dyn Signer) {
    for length in [0usize, 1, 63, 64, 65, 1 << 20] {
        let message = vec![0xa5; length];
        assert!(verify(signer, &message, &signer.sign(&message).unwrap()), "{length} octets");
    }
}

fn signs_from_several_threads_at_once(signer: &Arc<dyn Signer>) {
    let threads: Vec<_> = (0..4u8)
        .map(|index| {
            let signer = Arc::clone(signer);
            std::thread::spawn(move || verify(&*signer, &[index], &signer.sign(&[index]).unwrap()))
        })
        .collect();
    threads.into_iter().for_each(|thread| assert!(thread.join().unwrap()));
}

fn created(directory: &Path, kind: NewKey) -> KeyFile {
    KeyFile::create(&directory.join(format!("{kind:?}.pem")), kind).unwrap()
}

#[test]
fn key_files_of_every_kind_obey_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    for kind in [NewKey::P256, NewKey::P384, NewKey::Rsa3072, NewKey::Rsa4096] {
        obeys_the_contract(Arc::new(created(directory.path(), kind)));
    }
}

#[test]
fn an_rsa_key_signs_with_each_of_its_hashes() {
    let directory = tempfile::tempdir().unwrap();
    created(directory.path(), NewKey::Rsa3072);
    let path = directory.path().join("Rsa3072.pem");
    for algorithm in [SigningAlgorithm::RsaSha256, SigningAlgorithm::RsaSha384, SigningAlgorithm::RsaSha512] {
        let signer = KeyFile::open(&path).unwrap().with_algorithm(&path, algorithm).unwrap();
        assert_eq!(signer.algorithm(), algorithm);
        signs_what_its_public_key_verifies(&signer);
    }
    let other = KeyFile::open(&path).unwrap().with_algorithm(&path, SigningAlgorithm::EcdsaP256Sha256);
    assert!(matches!(other, Err(KeyFileError::WrongAlgorithm { .. })));
}

#[test]
fn a_created_key_is_its_owners_alone_and_reads_back_as_the_same_key() {
    let directory = tempfile::tempdir().unwrap();
    for kind in [NewKey::P256, NewKey::P384, NewKey::Rsa3072] {
        let key = created(directory.path(), kind);
        let path = directory.path().join(format!("{kind:?}.pem"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(KeyFile::open(&path).unwrap().public_key(), key.public_key());
    }
}

#[test]
fn a_key_is_never_written_over_anything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, "something").unwrap();
    assert!(matches!(KeyFile::create(&path, NewKey::P256), Err(KeyFileError::Exists { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "something");
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    KeyFile::create(&path, NewKey::P256).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o620, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refusal = KeyFile::open(&path).unwrap_err();
        assert!(matches!(refusal, KeyFileError::Permissions { .. }), "{mode:o}");
        assert!(refusal.to_string().contains("chmod 0600"), "{refusal}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(KeyFile::open(&path).is_ok());
}

#[test]
fn missing_damaged_and_foreign_files_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    assert!(matches!(KeyFile::open(&path), Err(KeyFileError::Missing { .. })));
    assert!(matches!(
        KeyFile::open(directory.path()),
        Err(KeyFileError::NotAFile { .. } | KeyFileError::Permissions { .. })
    ));
    KeyFile::create(&path, NewKey::P256).unwrap();
    let sound = std::fs::read_to_string(&path).unwrap();
    let spoiled = [
        String::new(),
        "no key".to_owned(),
        sound[..sound.len() / 2].to_owned(),
        sound.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        sound.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        sound.replacen("MIGH", "MIGG", 1),
        "a".repeat(20_000),
    ];
    for text in spoiled {
        std::fs::write(&path, &text).unwrap();
        let refusal = KeyFile::open(&path).unwrap_err();
        assert!(matches!(refusal, KeyFileError::Damaged { .. }), "{text:.40}: {refusal}");
    }
    std::fs::write(&path, [0xff, 0xfe, 0]).unwrap();
    assert!(matches!(KeyFile::open(&path), Err(KeyFileError::Damaged { .. })));
}

#[test]
fn a_pipe_in_place_of_a_key_file_is_refused_at_once() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert!(matches!(KeyFile::open(&path), Err(KeyFileError::NotAFile { .. })));
}

#[test]
fn a_key_of_a_kind_that_does_not_sign_here_is_refused_by_its_name() {
    use aws_lc_rs::encoding::AsDer;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, sote_acme::x509::pem::encoded("PRIVATE KEY", der.as_ref())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refusal = KeyFile::open(&path).unwrap_err();
    assert!(matches!(refusal, KeyFileError::WrongKind { .. }), "{refusal}");
    assert!(refusal.to_string().contains("2048"), "{refusal}");
}

#[test]
fn debug_output_shows_no_private_key() {
    let directory = tempfile::tempdir().unwrap();
    let key = created(directory.path(), NewKey::P256);
    let pem = std::fs::read_to_string(directory.path().join("P256.pem")).unwrap();
    let secret = pem.lines().nth(1).unwrap();
    assert!(!format!("{key:?}").contains(&secret[40..]));
}

/// A signer that signs one message each time it is allowed to.
struct Gate {
    key: KeyFile,
    allowed: Mutex<Receiver<()>>,
}

impl Signer for Gate {
    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    fn algorithm(&self) -> SigningAlgorithm {
        self.key.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        if message == b"panic" {
            panic!("a library's fault");
        }
        self.allowed.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        self.key.sign(message)
    }
}

fn gated(limits: PoolLimits) -> (SigningPool, Sender<()>) {
    let directory = tempfile::tempdir().unwrap();
    let (allow, allowed) = channel();
    let gate = Gate { key: created(directory.path(), NewKey::P256), allowed: Mutex::new(allowed) };
    (SigningPool::start("gate", Arc::new(gate), limits).unwrap(), allow)
}

fn limits(waiting: usize, milliseconds: u64) -> PoolLimits {
    PoolLimits { threads: 1, waiting, time_limit: Duration::from_millis(milliseconds) }
}

#[tokio::test]
async fn a_pool_signs_what_its_public_key_verifies() {
    let directory = tempfile::tempdir().unwrap();
    let signer: Arc<dyn Signer> = Arc::new(created(directory.path(), NewKey::P256));
    let pool = SigningPool::start("test", Arc::clone(&signer), PoolLimits::default()).unwrap();
    let signature = pool.sign(b"message".to_vec()).await.unwrap();
    assert!(verify(&*signer, b"message", &signature));
    assert_eq!((pool.public_key(), pool.algorithm()), (signer.public_key(), signer.algorithm()));
}

#[tokio::test]
async fn a_signer_that_hangs_stalls_nobody_beyond_the_time_limit() {
    let (pool, allow) = gated(limits(8, 800));
    let begun = Instant::now();
    let other_work = tokio::spawn(async { tokio::time::sleep(Duration::from_millis(10)).await });
    let refusal = pool.sign(b"a".to_vec()).await.unwrap_err();
    assert!(matches!(refusal, SignerError::Unavailable(_)), "{refusal}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    other_work.await.unwrap();
    // The pool works again once the signer does.
    allow.send(()).unwrap();
    allow.send(()).unwrap();
    assert!(pool.sign(b"b".to_vec()).await.is_ok());
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (pool, _allow) = gated(limits(1, 60_000));
    let waiting: Vec<_> = (0..4u8)
        .map(|index| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.sign(vec![index]).await })
        })
        .collect();
    let mut refused = 0;
    for task in waiting {
        match tokio::time::timeout(Duration::from_millis(500), task).await {
            Ok(finished) => {
                assert!(matches!(finished.unwrap(), Err(SignerError::Unavailable(_))));
                refused += 1;
            }
            Err(_) => continue,
        }
    }
    // One on the thread and one in the queue, at most.
    assert!(refused >= 2, "{refused}");
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_not_signed() {
    let (pool, allow) = gated(limits(8, 800));
    for index in 0..3u8 {
        assert!(pool.sign(vec![index]).await.is_err());
    }
    // Only the first is on the thread; one permission for it, and one for the next that somebody waits for.
    allow.send(()).unwrap();
    allow.send(()).unwrap();
    assert!(pool.sign(b"wanted".to_vec()).await.is_ok());
}

#[tokio::test]
async fn a_signer_that_panics_is_broken_and_its_thread_lives_on() {
    let (pool, allow) = gated(limits(8, 5_000));
    assert!(matches!(pool.sign(b"panic".to_vec()).await, Err(SignerError::Broken(_))));
    allow.send(()).unwrap();
    assert!(pool.sign(b"message".to_vec()).await.is_ok());
}
