//! How fast certificates are issued, and how near that comes to what the cryptography alone costs.
//!
//! A server process (`sote-acme dev`: real TLS, synced sled, its log at `info` in a file) and a client in this process go
//! through the complete flow: newOrder, authorization, challenge with a real http-01 fetch, finalize, download, at 1, 8 and 32
//! at a time. The dns server and the host that is validated are in this process, too. Every certificate is checked. Prints
//! issuances per second, latency, the server's CPU time, context switches and memory per issuance, beside the floor that the
//! unavoidable signatures cost, measured in the same run with every core at work.
//!
//! ```sh
//! cargo bench --bench issuance                      # an empty store
//! cargo bench --bench issuance -- --stored 100000   # then the same with so many certificates stored, compared
//! ```

#[path = "issuance/floor.rs"]
mod floor;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use floor::Floor;
use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::client::relying_service::RelyingService;
use sote_acme::client::{
    Account, CertificateChain, CertificateKey, Client, ExternalAccount, Http01Responder, HttpVersion, KeyKind,
    OrderRequest, Registration, Transport,
};
use sote_acme::commands::dns_responder::{DnsResponder, ResponderSettings};
use sote_acme::time::{Clock, SystemClock};

/// How many are under way at once.
const CONCURRENCY: [usize; 3] = [1, 8, 32];
/// Issuances per account: its JWS are checked with the same key, as an organisation's server does it.
const WARM_UP: usize = 20;
/// What the aims say.
const AIM_CPU: f64 = 2.5;
const AIM_AT_REST: f64 = 30.0;
const AIM_GROWTH: f64 = 1.10;

struct Options {
    stored: usize,
    issuances: usize,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\nusage: cargo bench --bench issuance -- [--stored N] [--issuances N]");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("the benchmark failed: {why}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { stored: 0, issuances: 400 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = |name: &str| {
            let value = arguments.next().and_then(|value| value.parse().ok());
            value.ok_or_else(|| format!("{name} needs a number"))
        };
        match argument.as_str() {
            "--stored" => options.stored = number("--stored")?,
            "--issuances" => options.issuances = number("--issuances")?,
            // Cargo says so to every benchmark.
            "--bench" => {}
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(options)
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

async fn measure(options: &Options) -> Outcome<()> {
    let directory = std::env::temp_dir().join(format!("sote-acme-bench-{}", std::process::id()));
    let floor = Floor::measured()?;
    floor.print();
    let empty = with_store(&directory, options, &floor, 0).await?;
    let mut kept = at_rest_kept(&empty);
    if options.stored > 0 {
        std::fs::remove_dir_all(&directory)?;
        let full = with_store(&directory, options, &floor, options.stored).await?;
        let growth =
            full.last().map_or(0.0, Phase::cpu_milliseconds) / empty.last().map_or(1.0, Phase::cpu_milliseconds);
        kept &= growth <= AIM_GROWTH;
        println!(
            "\ngrowth of the server's CPU time from 0 to {} certificates at {} at a time: {:+.1} % (aim: at most {:.0} %) {}",
            options.stored,
            CONCURRENCY[CONCURRENCY.len() - 1],
            (growth - 1.0) * 100.0,
            (AIM_GROWTH - 1.0) * 100.0,
            verdict(growth <= AIM_GROWTH),
        );
    }
    let ratio = empty.last().map_or(0.0, Phase::cpu_milliseconds) / floor.milliseconds();
    kept &= ratio <= AIM_CPU;
    println!(
        "server CPU at {} at a time: {ratio:.2} times the floor (aim: at most {AIM_CPU}) {}",
        CONCURRENCY[CONCURRENCY.len() - 1],
        verdict(ratio <= AIM_CPU),
    );
    std::fs::remove_dir_all(&directory)?;
    println!("{}", if kept { "every aim was met" } else { "NOT every aim was met" });
    Ok(())
}

fn at_rest_kept(phases: &[Phase]) -> bool {
    let Some(first) = phases.first() else { return false };
    let median = first.percentile(50);
    println!(
        "one issuance at rest: {median:.1} ms, client included (aim: under {AIM_AT_REST} ms) {}",
        verdict(median < AIM_AT_REST)
    );
    median < AIM_AT_REST
}

fn verdict(kept: bool) -> &'static str {
    if kept { "met" } else { "MISSED" }
}

/// All phases against a server over a store of so many certificates.
async fn with_store(directory: &Path, options: &Options, floor: &Floor, stored: usize) -> Outcome<Vec<Phase>> {
    let responder = Http01Responder::listen("127.0.0.1:0".parse()?).await?;
    let dns = DnsResponder::start(ResponderSettings::default()).await?;
    let world = World { http_01: responder.address(), dns: dns.address() };
    if stored > 0 {
        // The first start makes the directory, the load fills its store, the second start is measured.
        drop(Server::start(directory, world).await?);
        load(directory, stored)?;
    }
    let server = Server::start(directory, world).await?;
    let bench = Bench::new(&server, responder).await?;
    bench.run(1, WARM_UP).await?;
    println!("\n{stored} certificates stored; {} issuances per line", options.issuances);
    println!(
        "{:>8} {:>9} {:>8} {:>8} {:>11} {:>10} {:>8} {:>9} {:>13} {:>14}",
        "at once",
        "issued/s",
        "p50 ms",
        "p99 ms",
        "server CPU",
        "in kernel",
        "x floor",
        "switches",
        "memory grown",
        "server memory"
    );
    let mut phases = Vec::new();
    for at_once in CONCURRENCY {
        let before = Usage::of(server.child.id())?;
        let (chains, latencies, taken) = bench.run(at_once, options.issuances).await?;
        let after = Usage::of(server.child.id())?;
        bench.check(&chains)?;
        let phase = Phase { at_once, latencies, taken, before, after };
        phase.print(floor);
        phases.push(phase);
    }
    Ok(phases)
}

fn load(directory: &Path, certificates: usize) -> Outcome<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--release", "--quiet", "--example", "load", "--", &certificates.to_string(), "--dir"])
        .arg(directory)
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("the load example ended with {status}").into()) }
}

/// What the server asks: both are in this process, so that their CPU time is not the server's.
#[derive(Clone, Copy)]
struct World {
    http_01: SocketAddr,
    dns: SocketAddr,
}

/// A server process of its own, so that its CPU time is its own.
struct Server {
    child: Child,
    environment: Vec<(String, String)>,
}

impl Server {
    async fn start(directory: &Path, world: World) -> Outcome<Self> {
        let ready = directory.join("dev.env");
        match std::fs::remove_file(&ready) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        std::fs::create_dir_all(directory)?;
        let log = File::options().create(true).append(true).open(directory.join("bench.log"))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_sote-acme"))
            .arg("dev")
            .arg("--dir")
            .arg(directory)
            .args(["--listen", "127.0.0.1:0", "--public-listen", "127.0.0.1:0", "--dns", &world.dns.to_string()])
            .args(["--http-01-port", &world.http_01.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let begin = Instant::now();
        while !ready.exists() {
            if let Some(status) = child.try_wait()? {
                return Err(format!("the server ended with {status}").into());
            }
            if begin.elapsed() > Duration::from_secs(120) {
                let _ = child.kill();
                return Err("the server is not ready after 120 s".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("server ready after {:.2} s", begin.elapsed().as_secs_f64());
        let environment = std::fs::read_to_string(&ready)?.lines().filter_map(assignment).collect();
        Ok(Server { child, environment })
    }

    fn value(&self, name: &str) -> Outcome<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.ok_or_else(|| format!("dev.env has no {name}").into())
    }
}

/// `NAME=value`, the value perhaps in quotes.
fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().trim_start_matches("export ").split_once('=')?;
    Some((name.to_owned(), value.trim_matches(|c| c == '\'' || c == '"').to_owned()))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let begin = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if begin.elapsed() > Duration::from_secs(30) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The client's side.
struct Bench {
    accounts: Vec<Account>,
    responder: Arc<Http01Responder>,
    service: RelyingService,
}

type Measured = (Vec<(String, CertificateChain)>, Vec<Duration>, Duration);

impl Bench {
    async fn new(server: &Server, responder: Http01Responder) -> Outcome<Self> {
        let tls_root = std::fs::read(PathBuf::from(server.value("SOTE_ACME_TLS_ROOT")?))?;
        let issuer_root = std::fs::read(PathBuf::from(server.value("SOTE_ACME_ISSUER_ROOT")?))?;
        let external =
            ExternalAccount::new(server.value("SOTE_ACME_EAB_KID")?, server.value("SOTE_ACME_EAB_HMAC_KEY")?)?;
        let mut accounts = Vec::new();
        // A connection each, as as many servers would have.
        for _ in 0..CONCURRENCY[CONCURRENCY.len() - 1] {
            let transport = Transport::trusting(&tls_root, HttpVersion::Http1)?;
            let client = Client::discover(transport, server.value("SOTE_ACME_DIRECTORY")?).await?;
            let registration = Registration {
                terms_agreed: true,
                external_account: Some(external.clone()),
                ..Registration::default()
            };
            accounts.push(client.register(Arc::new(AccountKey::generate(JwsAlgorithm::Es256)?), &registration).await?);
        }
        let service = RelyingService::trusting(&issuer_root, accounts[0].client().transport().clone())?;
        Ok(Bench { accounts, responder: Arc::new(responder), service })
    }

    /// So many issuances, `at_once` under way at a time.
    async fn run(&self, at_once: usize, issuances: usize) -> Outcome<Measured> {
        let keys: Arc<Vec<_>> =
            Arc::new((0..issuances).map(|_| CertificateKey::generate(KeyKind::EcP256)).collect::<Result<_, _>>()?);
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for account in self.accounts.iter().take(at_once) {
            let (account, responder, keys, next) =
                (account.clone(), Arc::clone(&self.responder), Arc::clone(&keys), Arc::clone(&next));
            tasks.spawn(async move {
                let mut done = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(key) = keys.get(number) else { return Ok::<_, sote_acme::client::Error>(done) };
                    let name = format!("n{number}.bench.test");
                    let begin = Instant::now();
                    let request = OrderRequest::of_names([name.as_str()]);
                    let chain = account.obtain(&request, key, responder.as_ref()).await?;
                    done.push((name, chain, begin.elapsed()));
                }
            });
        }
        let (mut chains, mut latencies) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            for (name, chain, latency) in done?? {
                chains.push((name, chain));
                latencies.push(latency);
            }
        }
        Ok((chains, latencies, begin.elapsed()))
    }

    /// Every certificate is one that a relying service accepts, and none was given twice.
    fn check(&self, chains: &[(String, CertificateChain)]) -> Outcome<()> {
        let mut serials = std::collections::HashSet::new();
        for (name, chain) in chains {
            self.service.verified(chain.certificates(), name, SystemClock.now())?;
            if !serials.insert(chain.serial_number()?) {
                return Err("a serial number was given twice".into());
            }
        }
        Ok(())
    }
}

/// What a process has used so far.
#[derive(Clone, Copy)]
struct Usage {
    cpu: Duration,
    in_kernel: Duration,
    switches: u64,
    resident: u64,
    peak: u64,
}

impl Usage {
    fn of(process: u32) -> Outcome<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in parentheses may hold spaces: user and system time are the 14th and 15th fields of all.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
        let time = |index: usize| {
            let ticks = fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
            Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
        };
        let (in_user_space, in_kernel) = (time(11), time(12));
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().trim_end_matches(" kB").trim().parse().ok()
        };
        Ok(Usage {
            cpu: in_user_space + in_kernel,
            in_kernel,
            switches: switches(process)?,
            resident: kibibytes("VmRSS").unwrap_or(0),
            peak: kibibytes("VmHWM").unwrap_or(0),
        })
    }
}

/// How often the threads of a process were taken from a core.
fn switches(process: u32) -> Outcome<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while it is looked at.
        let status = std::fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
        let counts = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
        sum += counts.filter_map(|line| line.rsplit('\t').next()?.parse::<u64>().ok()).sum::<u64>();
    }
    Ok(sum)
}

/// Linux counts a process's time in hundredths of a second for user space, on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// One line of the table.
struct Phase {
    at_once: usize,
    latencies: Vec<Duration>,
    taken: Duration,
    before: Usage,
    after: Usage,
}

impl Phase {
    fn issuances(&self) -> f64 {
        self.latencies.len() as f64
    }

    fn cpu_milliseconds(&self) -> f64 {
        (self.after.cpu - self.before.cpu).as_secs_f64() * 1000.0 / self.issuances()
    }

    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort();
        let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    }

    fn print(&self, floor: &Floor) {
        let grown = self.after.resident.saturating_sub(self.before.resident) as f64 / self.issuances();
        println!(
            "{:>8} {:>9.1} {:>8.1} {:>8.1} {:>8.2} ms {:>7.2} ms {:>8.2} {:>9.1} {:>9.1} KiB {:>10.1} MiB",
            self.at_once,
            self.issuances() / self.taken.as_secs_f64(),
            self.percentile(50),
            self.percentile(99),
            self.cpu_milliseconds(),
            (self.after.in_kernel - self.before.in_kernel).as_secs_f64() * 1000.0 / self.issuances(),
            self.cpu_milliseconds() / floor.milliseconds(),
            self.after.switches.saturating_sub(self.before.switches) as f64 / self.issuances(),
            grown,
            self.after.peak as f64 / 1024.0,
        );
    }
}
