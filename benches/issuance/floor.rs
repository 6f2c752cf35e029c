//! What one issuance costs at least: its signatures, measured by the same library and the same calls as the server's, and what
//! the kernel takes for its requests, told apart.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sote_acme::client::{CertificateKey, KeyKind};
use sote_acme::public_key::{Hash, SignatureAlgorithm};

use crate::Outcome;

/// Signed requests of one issuance: newOrder, authorization, challenge, authorization, finalize, download. A poll more is the
/// server's own doing.
const JWS_PER_ISSUANCE: f64 = 6.0;

/// What the cryptography of one issuance costs at least, in CPU time of one core.
pub struct Floor {
    verification: Duration,
    signature: Duration,
    /// One request and its answer over a kept TCP connection, the kernel's share alone.
    request: Duration,
    /// One connection that is made, used once and closed.
    fetch: Duration,
}

impl Floor {
    /// Measured on this thread, by the same library and the same calls as the server's, while the other cores do the same: cores
    /// that share their parts are slower together, and so they are while a server and its clients work.
    ///
    /// # Errors
    /// Those of the system and of the library.
    pub fn measured() -> Outcome<Self> {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let others = std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
            for _ in 0..others {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let _ = Self::of_this_thread(100);
                    }
                });
            }
            let measured = Self::of_this_thread(4_000);
            over.store(true, Ordering::Relaxed);
            let (verification, signature) = measured?;
            let (request, fetch) = (kept_connection(2_000)?, single_connections(500)?);
            Ok(Floor { verification, signature, request, fetch })
        })
    }

    fn of_this_thread(times: u32) -> Outcome<(Duration, Duration)> {
        let key = CertificateKey::generate(KeyKind::EcP256)?;
        let account = key.as_account_key()?;
        let message = [7; 600];
        let signature = account.signature(&message)?;
        let begin = cpu_time()?;
        for _ in 0..times {
            key.public_key().verify(SignatureAlgorithm::EcdsaFixed(Hash::Sha256), &message, &signature)?;
        }
        let verified = cpu_time()?;
        for _ in 0..times {
            std::hint::black_box(key.sign(&message)?);
        }
        Ok(((verified - begin) / times, (cpu_time()? - verified) / times))
    }

    /// The JWS of every request, the CSR's own signature, the check of our signature; and the signature.
    pub fn milliseconds(&self) -> f64 {
        let verifications = JWS_PER_ISSUANCE + 2.0;
        (self.verification.as_secs_f64() * verifications + self.signature.as_secs_f64()) * 1000.0
    }

    /// Tells what it is made of.
    pub fn print(&self) {
        println!(
            "floor: {:.3} ms = {JWS_PER_ISSUANCE} JWS, the CSR and the issuer's own signature verified ({:.1} us each), 1 P-256 signature ({:.1} us)",
            self.milliseconds(),
            self.verification.as_secs_f64() * 1e6,
            self.signature.as_secs_f64() * 1e6,
        );
        println!(
            "       and {:.3} ms in the kernel, not counted: {JWS_PER_ISSUANCE} requests over TCP ({:.1} us each) and an http-01 fetch ({:.1} us)",
            (self.request.as_secs_f64() * JWS_PER_ISSUANCE + self.fetch.as_secs_f64()) * 1000.0,
            self.request.as_secs_f64() * 1e6,
            self.fetch.as_secs_f64() * 1e6,
        );
    }
}

/// Octets of a request and of an answer, as an ACME request has them.
const MESSAGE: [u8; 700] = [7; 700];

/// What each of so many requests over one connection costs the side that answers.
fn kept_connection(times: u32) -> Outcome<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let peer = std::thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        for _ in 0..times {
            stream.write_all(&MESSAGE)?;
            stream.read_exact(&mut [0; MESSAGE.len()])?;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let begin = cpu_time()?;
    for _ in 0..times {
        stream.read_exact(&mut [0; MESSAGE.len()])?;
        stream.write_all(&MESSAGE)?;
    }
    let taken = (cpu_time()? - begin) / times;
    peer.join().map_err(|_| "a thread has failed")??;
    Ok(taken)
}

/// What each of so many connections with one request costs the side that asks.
fn single_connections(times: u32) -> Outcome<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let peer = std::thread::spawn(move || -> std::io::Result<()> {
        for _ in 0..times {
            let (mut stream, _) = listener.accept()?;
            stream.read_exact(&mut [0; MESSAGE.len()])?;
            stream.write_all(&MESSAGE)?;
        }
        Ok(())
    });
    let begin = cpu_time()?;
    for _ in 0..times {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&MESSAGE)?;
        stream.read_exact(&mut [0; MESSAGE.len()])?;
    }
    let taken = (cpu_time()? - begin) / times;
    peer.join().map_err(|_| "a thread has failed")??;
    Ok(taken)
}

/// The CPU time of this thread.
fn cpu_time() -> Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.ok_or("the kernel keeps no schedstat")?))
}
