//! A [`Signer`] for asynchronous callers: its own few threads, a bounded queue before them and a time limit, so that a slow or
//! hanging key stalls nobody but those who wait for it.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Signer, SignerError};
use crate::public_key::PublicKey;
use crate::x509::SigningAlgorithm;

/// How much one key may do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Threads that sign; at least one.
    pub threads: usize,
    /// Requests that may wait for a thread. One more is refused at once.
    pub waiting: usize,
    /// How long a caller waits for its signature, queue included.
    pub time_limit: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits { threads: 2, waiting: 256, time_limit: Duration::from_secs(10) }
    }
}

/// Signs on threads of its own. Clones share them; they end when the last clone is dropped.
#[derive(Clone)]
pub struct SigningPool {
    signer: Arc<dyn Signer>,
    queue: SyncSender<Job>,
    time_limit: Duration,
}

struct Job {
    message: Vec<u8>,
    reply: oneshot::Sender<Result<Vec<u8>, SignerError>>,
}

impl SigningPool {
    /// Starts the threads. `name` appears in their names (15 octets are shown by the system).
    pub fn start(name: &str, signer: Arc<dyn Signer>, limits: PoolLimits) -> Result<Self, SignerError> {
        let (queue, jobs) = sync_channel(limits.waiting.max(1));
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..limits.threads.max(1) {
            let (signer, jobs) = (Arc::clone(&signer), Arc::clone(&jobs));
            std::thread::Builder::new()
                .name(format!("sign-{index}-{name}"))
                .spawn(move || work(&*signer, &jobs))
                .map_err(|error| SignerError::Broken(format!("no thread can be started: {error}")))?;
        }
        Ok(SigningPool { signer, queue, time_limit: limits.time_limit })
    }

    /// The public key that verifies what is signed here.
    pub fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// How it signs.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.signer.algorithm()
    }

    /// The signature over `message`, or [`SignerError::Unavailable`] when the queue is full or the time limit ran out. A
    /// request that nobody waits for any more is not signed, unless it already was on a thread.
    pub async fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, SignerError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Job { message, reply }).map_err(|refused| match refused {
            TrySendError::Full(_) => SignerError::Unavailable("too many requests wait for it".to_owned()),
            TrySendError::Disconnected(_) => SignerError::Broken("its threads have ended".to_owned()),
        })?;
        match tokio::time::timeout(self.time_limit, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SignerError::Broken("the signing thread failed".to_owned())),
            Err(_) => {
                let limit = self.time_limit.as_secs_f32();
                Err(SignerError::Unavailable(format!("no signature within {limit} s")))
            }
        }
    }
}

impl std::fmt::Debug for SigningPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningPool({:?}, {:?})", self.public_key(), self.algorithm())
    }
}

fn work(signer: &dyn Signer, jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting for a job, never while signing.
        let Ok(job) = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv() else {
            return;
        };
        if job.reply.is_closed() {
            continue;
        }
        // A panic in a signer's library must not take the thread with it: the pool would shrink to nothing.
        let signed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| signer.sign(&job.message)));
        let result = signed.unwrap_or_else(|_| Err(SignerError::Broken("the signer panicked".to_owned())));
        // The caller may have given up meanwhile.
        let _ = job.reply.send(result);
    }
}
