//! Kills a real server process at random moments while clients obtain certificates, and lets an independent checker compare
//! what is stored with what the clients were told: `cargo run --release --example kills -- 25`. Builds nothing of the server
//! itself: `cargo build --release` first, or name the program in `SOTE_ACME_BINARY`. Exit status 0 only if nothing was lost
//! and enough was interrupted: of 25 kills, 5 with an order in processing and 3 with a prepared certificate.

#[path = "../tests/checker/mod.rs"]
#[allow(dead_code)]
mod checker;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::client::{
    CertificateKey, Client, ExternalAccount, Http01Responder, HttpVersion, KeyKind, OrderRequest, Registration,
    Transport,
};

const CLIENTS: usize = 8;
/// So many kills hit one state directory: the checker reads all of it after each.
const OF_ONE_STORE: u32 = 25;
/// A restarted server has so long to end everything unfinished.
const REST: Duration = Duration::from_secs(10);
const READY: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where everything of a run is.
struct Place {
    binary: PathBuf,
    state: PathBuf,
    log: PathBuf,
    notes: PathBuf,
    listen: SocketAddr,
    public: SocketAddr,
    http_01: SocketAddr,
}

/// A running server; killed when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What clients remember: their keys, and every certificate that they were given.
struct Clients {
    keys: Vec<Arc<AccountKey>>,
    notes: Mutex<File>,
    obtained: AtomicU64,
}

fn main() -> ExitCode {
    let kills = std::env::args().nth(1).map_or(Ok(25), |number| number.parse::<u32>());
    let Ok(kills) = kills else {
        eprintln!("usage: kills [NUMBER]");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    match runtime.block_on(run(kills)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kills: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the kills so far came to.
#[derive(Default)]
struct Tally {
    kills: u32,
    left_processing: u32,
    left_prepared: u32,
    certificates: u64,
}

async fn run(kills: u32) -> Result<bool, Failure> {
    let directory = tempfile::tempdir()?;
    let (mut tally, began) = (Tally::default(), Instant::now());
    println!("kill  after  obtained  left processing  left prepared  at rest in");
    while tally.kills < kills {
        let until = kills.min(tally.kills + OF_ONE_STORE);
        let state = directory.path().join(until.to_string());
        std::fs::create_dir(&state)?;
        if let Err(error) = kill_until(until, &Place::below(&state)?, &mut tally).await {
            // What a failure has left is the only trace of its cause.
            eprintln!("kept in {}", directory.keep().display());
            return Err(error);
        }
        std::fs::remove_dir_all(&state)?;
    }
    let enough = |found: u32, of_25: u32| u64::from(found) * 25 >= u64::from(of_25) * u64::from(kills);
    let sharp = enough(tally.left_processing, 5) && enough(tally.left_prepared, 3);
    println!(
        "{kills} kills in {} s: {} left an order processing, {} a prepared certificate; {} certificates received, none \
         lost, none twice, none unknown",
        began.elapsed().as_secs(),
        tally.left_processing,
        tally.left_prepared,
        tally.certificates
    );
    if !sharp {
        eprintln!("too few kills interrupted something: this run proves little");
    }
    Ok(sharp)
}

/// Kills the servers of one state directory until there were `until` kills in all.
async fn kill_until(until: u32, place: &Place, tally: &mut Tally) -> Result<(), Failure> {
    let clients = Arc::new(Clients {
        keys: (0..CLIENTS)
            .map(|_| AccountKey::generate(JwsAlgorithm::Es256).map(Arc::new))
            .collect::<Result<_, _>>()?,
        notes: Mutex::new(OpenOptions::new().create(true).append(true).open(&place.notes)?),
        obtained: AtomicU64::new(0),
    });
    let responder = Arc::new(Http01Responder::listen(place.http_01).await?);
    while tally.kills < until {
        let server = place.start().await?;
        let life = Duration::from_millis(400 + u64::from(random()) % 1_600);
        let work = under_load(place, &clients, &responder);
        tokio::time::sleep(life).await;
        drop(server);
        work.ended().await;
        tally.kills += 1;

        // What the kill interrupted, as the next process will find it.
        let left = checker::check(&place.state, &checker::Notes::default());
        let (orders, certificates) = (count(&left.orders, "processing"), count(&left.stages, "prepared"));
        tally.left_processing += u32::from(orders > 0);
        tally.left_prepared += u32::from(certificates > 0);

        let rested = place.restart_and_rest().await?;
        println!(
            "{:>4}  {:>4} ms  {:>8}  {orders:>15}  {certificates:>13}  {:>7} ms",
            tally.kills,
            life.as_millis(),
            clients.obtained.load(Ordering::SeqCst),
            rested.as_millis()
        );
    }
    tally.certificates += clients.obtained.load(Ordering::SeqCst);
    Ok(())
}

impl Place {
    fn below(directory: &Path) -> Result<Self, Failure> {
        let beside = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("sote-acme"));
        let binary = std::env::var_os("SOTE_ACME_BINARY").map(PathBuf::from).or_else(beside);
        let binary = binary.filter(|path| path.is_file()).ok_or("build the server first: cargo build --release")?;
        Ok(Place {
            binary,
            state: directory.join("state"),
            log: directory.join("server.log"),
            notes: directory.join("notes"),
            listen: free_address()?,
            public: free_address()?,
            http_01: free_address()?,
        })
    }

    /// Starts the server and waits until it is ready.
    async fn start(&self) -> Result<Server, Failure> {
        let ready = self.state.join("dev.env");
        let _ = std::fs::remove_file(&ready);
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.binary)
            .arg("dev")
            .arg("--dir")
            .arg(&self.state)
            .args(["--listen", &self.listen.to_string()])
            .args(["--public-listen", &self.public.to_string()])
            .args(["--http-01-port", &self.http_01.port().to_string()])
            .args(["--dns-listen", "127.0.0.1:0", "--log", "warn"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut server = Server(child);
        let deadline = Instant::now() + READY;
        while !ready.exists() {
            if let Some(status) = server.0.try_wait()? {
                return Err(format!("the server ended: {status}\n{}", self.log_end()).into());
            }
            if Instant::now() > deadline {
                return Err(format!("the server was not ready within 30 s\n{}", self.log_end()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// Starts the server without load until nothing is unfinished, stops it, and has everything checked. How long servers
    /// ran for it; the time of the checker does not count.
    async fn restart_and_rest(&self) -> Result<Duration, Failure> {
        let mut rested = Duration::ZERO;
        loop {
            let began = Instant::now();
            let mut server = self.start().await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            terminate(&mut server)?;
            rested += began.elapsed();
            let findings = checker::check(&self.state, &checker::Notes::parse(&std::fs::read_to_string(&self.notes)?));
            if findings.faults.is_empty() {
                return Ok(rested);
            }
            if rested > REST {
                let faults = findings.faults.join("\n  ");
                return Err(format!("not sound:\n  {faults}\n{}", self.log_end()).into());
            }
        }
    }

    fn variable(&self, name: &str) -> Result<String, Failure> {
        let text = std::fs::read_to_string(self.state.join("dev.env"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        Ok(value.ok_or_else(|| format!("dev.env has no {name}"))?.to_owned())
    }

    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Clients at work, until the server is gone.
struct Load(tokio::task::JoinSet<()>);

impl Load {
    async fn ended(mut self) {
        // A client whose request hangs is no use any more.
        let _ =
            tokio::time::timeout(Duration::from_secs(5), async { while self.0.join_next().await.is_some() {} }).await;
    }
}

fn under_load(place: &Place, clients: &Arc<Clients>, responder: &Arc<Http01Responder>) -> Load {
    let mut load = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let settings = (|| {
            let root = std::fs::read(place.variable("SOTE_ACME_TLS_ROOT")?)?;
            let directory = place.variable("SOTE_ACME_DIRECTORY")?;
            let kid = place.variable("SOTE_ACME_EAB_KID")?;
            Ok::<_, Failure>((root, directory, kid, place.variable("SOTE_ACME_EAB_HMAC_KEY")?))
        })();
        let Ok(settings) = settings else { continue };
        let (clients, responder) = (Arc::clone(clients), Arc::clone(responder));
        load.spawn(async move {
            // It ends when the server is killed: any error is that.
            let _ = obtain_for_ever(number, settings, &clients, &responder).await;
        });
    }
    Load(load)
}

async fn obtain_for_ever(
    number: usize,
    (root, directory, kid, mac_key): (Vec<u8>, String, String, String),
    clients: &Clients,
    responder: &Http01Responder,
) -> Result<(), Failure> {
    let client = Client::discover(Transport::trusting(&root, HttpVersion::Http2)?, &directory).await?;
    let registration = Registration {
        terms_agreed: true,
        external_account: Some(ExternalAccount::new(&kid, &mac_key)?),
        ..Registration::default()
    };
    let account = client.register(Arc::clone(&clients.keys[number]), &registration).await?;
    let name = format!("client-{number}.test");
    // Half of the clients prove their name once and then order again and again: more certificates are under way then.
    if number.is_multiple_of(2) {
        account.pre_authorize("dns", &name).await?.prove(responder).await?;
    }
    loop {
        let key = CertificateKey::generate(KeyKind::EcP256)?;
        let chain = account.obtain(&OrderRequest::of_names([name.as_str()]), &key, responder).await?;
        let mut notes = clients.notes.lock().map_err(|_| "the notes are broken")?;
        notes.write_all(format!("{}=\n", chain.pem()).as_bytes())?;
        clients.obtained.fetch_add(1, Ordering::SeqCst);
    }
}

fn count(counts: &std::collections::BTreeMap<String, usize>, name: &str) -> usize {
    counts.get(name).copied().unwrap_or(0)
}

/// Asks a server to stop and waits until it has.
fn terminate(server: &mut Server) -> Result<(), Failure> {
    let pid = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    server.0.wait()?;
    Ok(())
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn random() -> u32 {
    let mut octets = [0; 4];
    aws_lc_rs::rand::fill(&mut octets).expect("the operating system's random source works");
    u32::from_be_bytes(octets)
}
