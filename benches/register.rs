//! How fast a whole national register comes into force, what memory that takes, and what others notice of it.
//!
//! A server process (`sote-acme dev`: real TLS, synced sled) is asked for accounts and new orders by several clients, first
//! alone, then while `sote-acme register import` brings an export in THL's XML into force: all new, the same again, and with
//! one row in a hundred changed. Prints the times, the server's peak memory, and the 99th percentile of answers beside each other.
//!
//! ```sh
//! cargo bench --bench register                     # 100,000 rows
//! cargo bench --bench register -- --rows 20000
//! ```

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sote_acme::acme::jws_algorithm::JwsAlgorithm;
use sote_acme::acme::jws_signing::AccountKey;
use sote_acme::client::{Account, Client, ExternalAccount, HttpVersion, OrderRequest, Registration, Transport};

/// Clients that ask at the same time, each with its own account and connection.
const CLIENTS: usize = 8;
/// A client waits so long between two requests.
const PAUSE: Duration = Duration::from_millis(10);
/// Of so many requests of a client one is a newOrder; the others read the account.
const ORDER_EVERY: usize = 5;
/// How long the clients ask alone.
const ALONE: Duration = Duration::from_secs(10);
/// What the aims say.
const AIM_SECONDS: f64 = 30.0;
const AIM_MEBIBYTES: f64 = 300.0;

fn main() -> ExitCode {
    let rows = match rows() {
        Ok(rows) => rows,
        Err(why) => {
            eprintln!("{why}\nusage: cargo bench --bench register -- [--rows N]");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(measure(rows)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("the benchmark failed: {why}");
            ExitCode::FAILURE
        }
    }
}

fn rows() -> Result<usize, String> {
    let mut rows = 100_000;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rows" => rows = arguments.next().and_then(|value| value.parse().ok()).ok_or("--rows needs a number")?,
            // Cargo says so to every benchmark.
            "--bench" => {}
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(rows)
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

async fn measure(rows: usize) -> Outcome<()> {
    let directory = std::env::temp_dir().join(format!("sote-acme-register-{}", std::process::id()));
    let server = Server::start(&directory.join("state")).await?;
    let load = Load::new(&server).await?;
    println!(
        "{:<34} {:>8} {:>10} {:>9} {:>9} {:>9} {:>12}",
        "", "seconds", "requests", "p50 ms", "p99 ms", "max ms", "peak MiB"
    );
    let alone = load.during(tokio::time::sleep(ALONE)).await?;
    line("no import", ALONE, &alone, server.peak()?);
    let file = directory.join("export.xml");
    let (mut slowest, mut worst) = (0.0_f64, 0.0_f64);
    for (name, version) in [("all new", 0), ("the same again", 0), ("one in a hundred changed", 1)] {
        export(&file, rows, version)?;
        let begin = Instant::now();
        let importing = server.import(&file);
        let latencies = load.during(importing).await?;
        let taken = begin.elapsed();
        line(&format!("{rows} rows, {name}"), taken, &latencies, server.peak()?);
        slowest = slowest.max(taken.as_secs_f64());
        worst = worst.max(percentile(&latencies, 99));
    }
    let peak = server.peak()? as f64 / 1024.0;
    println!("slowest import {slowest:.1} s (aim: under {AIM_SECONDS} s) {}", verdict(slowest < AIM_SECONDS));
    println!(
        "peak memory of the server {peak:.0} MiB (aim: under {AIM_MEBIBYTES} MiB) {}",
        verdict(peak < AIM_MEBIBYTES)
    );
    println!("p99 of answers {worst:.1} ms during an import, {:.1} ms without", percentile(&alone, 99));
    drop(server);
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

fn verdict(kept: bool) -> &'static str {
    if kept { "met" } else { "MISSED" }
}

fn line(name: &str, taken: Duration, latencies: &[Duration], peak: u64) {
    println!(
        "{name:<34} {:>8.1} {:>10} {:>9.1} {:>9.1} {:>9.1} {:>12.1}",
        taken.as_secs_f64(),
        latencies.len(),
        percentile(latencies, 50),
        percentile(latencies, 99),
        percentile(latencies, 100),
        peak as f64 / 1024.0,
    );
}

/// In milliseconds.
fn percentile(latencies: &[Duration], percent: usize) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

/// Words of which names are made, as registers have them.
const WORDS: [&str; 12] = [
    "terveysasema",
    "Hammashoitola",
    "Neuvola",
    "Kotihoito",
    "Vuodeosasto",
    "Poliklinikka",
    "Palvelutalo",
    "Lastensuojelu",
    "Röntgen",
    "Laboratorio",
    "Fysioterapia",
    "Mielenterveyspalvelut",
];
const PLACES: [&str; 10] =
    ["Espoo", "Helsinki", "Tampere", "Turku", "Oulu", "Kuopio", "Jyväskylä", "Lahti", "Pori", "Rovaniemi"];

/// An export of organisations with nine units each, two levels deep. In version 1 one name in a hundred is another.
fn export(file: &Path, rows: usize, version: usize) -> Outcome<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<arb:result xmlns:arb=\"urn::codeservice\"><arb:document><body>\n\
         <termsystem id=\"1.2.246.537.6.202.2008\">\n"
    )?;
    let mut numbers = (1_000_000..).filter_map(business_id);
    let mut organisation = numbers.next().ok_or("no Business ID")?;
    for row in 0..rows {
        let unit = row % 10;
        if unit == 0 {
            organisation = numbers.next().ok_or("no Business ID")?;
        }
        let arc = organisation.replace('-', "");
        let parent = match unit {
            0 => String::new(),
            1..=4 => format!("<attribute type=\"parentid\">1.2.246.10.{arc}.10.0</attribute>"),
            _ => format!("<attribute type=\"parentid\">1.2.246.10.{arc}.10.{}</attribute>", unit - 4),
        };
        let id =
            if unit == 0 { format!("<attribute type=\"Y-Tunnus\">{organisation}</attribute>") } else { String::new() };
        let (word, place) = (WORDS[row % WORDS.len()], PLACES[row / 10 % PLACES.len()]);
        let changed = if version > 0 && row % 100 == 0 { " uusi" } else { "" };
        writeln!(
            out,
            "<termitementry id=\"1.2.246.10.{arc}.10.{unit}\" language=\"fi\" createdate=\"2023-01-01T00:00:00\" \
             begindate=\"2023-01-01T00:00:00\" expirationdate=\"2100-12-31T23:59:59\" lastmodifieddate=\"2026-11-02T03:15:00\" \
             lastmodifiedby=\"Version Loader\">\n<attribute type=\"status\" datatype=\"ST\">1</attribute>\
             <attribute type=\"longname\" datatype=\"ST\" language=\"fi\">{place} {word} {row}{changed}</attribute>\
             <attribute type=\"longname\" datatype=\"ST\" language=\"sv\">{place} enhet {row}</attribute>\
             <attribute type=\"abbreviation\" datatype=\"ST\">{row}</attribute>{parent}{id}\
             <attribute type=\"officestreetaddress\" datatype=\"ST\">Esimerkkikatu {row}</attribute>\
             <attribute type=\"postnumber\" datatype=\"ST\">00100</attribute>\
             <attribute type=\"Sektori\" datatype=\"ST\">2 yksityinen</attribute>\
             <attribute type=\"Sijainti kunta\" datatype=\"ST\">900 {place}</attribute>\
             <attribute type=\"Terv.palveluyksikkö\" datatype=\"ST\">T</attribute>\
             <attribute type=\"Sos.palveluyksikkö\" datatype=\"ST\">F</attribute></termitementry>"
        )?;
    }
    writeln!(out, "</termsystem></body></arb:document></arb:result>")?;
    Ok(out.flush()?)
}

/// The number with its check digit, if it is ever issued.
fn business_id(number: u32) -> Option<String> {
    let digits = format!("{number:07}");
    let sum: u32 =
        digits.bytes().zip([7, 9, 10, 5, 8, 4, 2]).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    match sum % 11 {
        0 => Some(format!("{digits}-0")),
        1 => None,
        rest => Some(format!("{digits}-{}", 11 - rest)),
    }
}

/// Clients that ask all the time.
struct Load {
    accounts: Vec<Account>,
    orders: Arc<AtomicUsize>,
}

impl Load {
    async fn new(server: &Server) -> Outcome<Self> {
        let tls_root = std::fs::read(PathBuf::from(server.value("SOTE_ACME_TLS_ROOT")?))?;
        let external =
            ExternalAccount::new(server.value("SOTE_ACME_EAB_KID")?, server.value("SOTE_ACME_EAB_HMAC_KEY")?)?;
        let mut accounts = Vec::new();
        for _ in 0..CLIENTS {
            let transport = Transport::trusting(&tls_root, HttpVersion::Http1)?;
            let client = Client::discover(transport, server.value("SOTE_ACME_DIRECTORY")?).await?;
            let registration = Registration {
                terms_agreed: true,
                external_account: Some(external.clone()),
                ..Registration::default()
            };
            accounts.push(client.register(Arc::new(AccountKey::generate(JwsAlgorithm::Es256)?), &registration).await?);
        }
        Ok(Load { accounts, orders: Arc::default() })
    }

    /// How long each answer took until `done` is done.
    async fn during<T: Done>(&self, done: impl Future<Output = T>) -> Outcome<Vec<Duration>> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = tokio::task::JoinSet::new();
        for account in &self.accounts {
            let (account, stop, orders) = (account.clone(), Arc::clone(&stop), Arc::clone(&self.orders));
            clients.spawn(async move {
                let mut latencies = Vec::new();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    if number % ORDER_EVERY == 0 {
                        let name = format!("n{}.bench.test", orders.fetch_add(1, Ordering::Relaxed));
                        account.order(&OrderRequest::of_names([name])).await?;
                    } else {
                        account.object().await?;
                    }
                    latencies.push(begin.elapsed());
                    number += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok::<_, sote_acme::client::Error>(latencies)
            });
        }
        done.await.done()?;
        stop.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        while let Some(measured) = clients.join_next().await {
            latencies.extend(measured??);
        }
        Ok(latencies)
    }
}

/// What may have gone wrong meanwhile.
trait Done {
    fn done(self) -> Outcome<()>;
}

impl Done for () {
    fn done(self) -> Outcome<()> {
        Ok(())
    }
}

impl Done for Outcome<()> {
    fn done(self) -> Outcome<()> {
        self
    }
}

/// A server process of its own, so that its memory is its own.
struct Server {
    child: Child,
    environment: Vec<(String, String)>,
}

impl Server {
    async fn start(directory: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(directory.parent().unwrap_or(directory))?;
        let ready = directory.join("dev.env");
        let mut child = Command::new(env!("CARGO_BIN_EXE_sote-acme"))
            .arg("dev")
            .arg("--dir")
            .arg(directory)
            .args(["--listen", "127.0.0.1:0", "--public-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
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
        let environment = std::fs::read_to_string(&ready)?.lines().filter_map(assignment).collect();
        Ok(Server { child, environment })
    }

    fn value(&self, name: &str) -> Outcome<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.ok_or_else(|| format!("dev.env has no {name}").into())
    }

    /// Imports by the command that an operator gives; the sample's own rows go missing, hence the force.
    async fn import(&self, file: &Path) -> Outcome<()> {
        let socket = self.value("SOTE_ACME_ADMIN_SOCKET")?.to_owned();
        let file = file.to_owned();
        let output = tokio::task::spawn_blocking(move || {
            Command::new(env!("CARGO_BIN_EXE_sote-acme"))
                .args(["register", "import", "--source", "thl", "--force", "--socket", &socket])
                .arg(file)
                .output()
        });
        let output = output.await??;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(())
    }

    /// The most memory that it ever had, in KiB.
    fn peak(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
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
