//! The national registers: what an import brings into force and what it leaves alone, what a broken one leaves behind, what
//! is fetched, and how units are found again years later.

mod listeners;

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use listeners::{Ca, NOW, authority, impatient};
use sote_acme::authority::Authority;
use sote_acme::authority::officers::register::{Import, ImportReport, RegisterQuery, ShownUnits};
use sote_acme::config::{RegisterSettings, SyncSettings};
use sote_acme::http::RateLimits;
use sote_acme::model::Register;
use sote_acme::register::{self, Remark, Source};
use sote_acme::store::failing::{FailingStore, Failure};
use sote_acme::store::index::Index;
use sote_acme::store::sled::{Options, SledStore};
use sote_acme::store::{Range, Store};
use sote_acme::time::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const HEADER: &str =
    "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n";
const TOP: &str = "1.2.246.10.2454372.10.0";

/// A store with an authority over it.
struct Site {
    store: Arc<dyn Store>,
    authority: Authority,
    _directory: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let store: Arc<dyn Store> = Arc::new(SledStore::create(&state, Options::default(), NOW).unwrap());
        Site { authority: authority(store.clone(), None, PathBuf::new()), store, _directory: directory }
    }

    async fn import(&self, source: Source, rows: &str) -> ImportReport {
        self.imported(import(source, rows)).await.unwrap()
    }

    async fn imported(&self, import: Import) -> Result<ImportReport, String> {
        let report = self.authority.import_register("officer", import, NOW).await;
        report.map_err(|error| format!("{error:?}"))
    }

    async fn show(&self, what: &str, at: Option<Timestamp>, generation: Option<u64>) -> ShownUnits {
        let query = RegisterQuery { what: what.to_owned(), at, generation };
        self.authority.show_register(query, NOW).await.unwrap()
    }

    async fn oids(&self, what: &str) -> Vec<String> {
        self.show(what, None, None).await.units.iter().map(|unit| unit.row.oid.to_string()).collect()
    }

    async fn name(&self, oid: &str) -> String {
        self.show(oid, None, None).await.units[0].row.name_fi.clone()
    }

    async fn register(&self) -> Register {
        self.store.get::<Register>(&()).await.unwrap().map(|read| read.record).unwrap_or_default()
    }

    /// How many rows were ever written.
    async fn written(&self) -> usize {
        self.store.list(Range::of(Index::UnitVersions, [], 100_000)).await.unwrap().len()
    }
}

fn import(source: Source, rows: &str) -> Import {
    Import::of(register::read(source, Cursor::new(format!("{HEADER}{rows}"))).unwrap())
}

/// So many units below [`TOP`].
fn units(numbers: std::ops::Range<u32>) -> String {
    let top = format!("{TOP},,0245437-2,Esimerkki,,,Turku,,,,\n");
    numbers.fold(top, |rows, n| format!("{rows}1.2.246.10.2454372.10.{n},{TOP},,Yksikkö numero {n},,,,,,,\n"))
}

fn oids(remarks: &[Remark]) -> Vec<&str> {
    remarks.iter().map(|remark| remark.oid.as_str()).collect()
}

#[tokio::test]
async fn every_row_of_an_export_is_told_of_where_it_belongs() {
    let site = Site::new();
    let first = site.import(Source::Thl, &units(1..21)).await;
    assert_eq!((first.counts.added, first.unchanged, first.generation), (21, 0, 1));
    let second = units(1..20)
        .replace("Yksikkö numero 2,", "Uusi nimi,")
        .replace("Yksikkö numero 3,,,,,,,", "Yksikkö numero 3,,,,,,,2030-12-31")
        .replace("10.4,1.2.246.10.2454372.10.0,,", "10.4,1.2.246.10.2454372.10.0,000000-0,");
    let second = format!(
        "{second}1.2.246.10.2048198.10.7,{TOP},,Vieraan puun alla,,,,,,,\n1.2.246.10.2454372.10.30,1.2.3.4,,Orpo,,,,,,,\n"
    );
    let second = site.import(Source::Thl, &second).await;
    assert_eq!(oids(&second.added), ["1.2.246.10.2048198.10.7"]);
    assert_eq!(oids(&second.changed), ["1.2.246.10.2454372.10.2"]);
    assert!(second.changed[0].reason.contains("name_fi") && second.changed[0].row == Some(4), "{:?}", second.changed);
    assert_eq!(oids(&second.ended), ["1.2.246.10.2454372.10.3"]);
    assert_eq!(oids(&second.missing), ["1.2.246.10.2454372.10.20"]);
    assert_eq!(oids(&second.warned), ["1.2.246.10.2048198.10.7"]);
    assert_eq!(oids(&second.refused), ["1.2.246.10.2454372.10.4", "1.2.246.10.2454372.10.30"]);
    assert_eq!((second.unchanged, second.generation), (17, 2));
    // What is missing, and what was refused, stays as it was.
    assert_eq!(site.name("1.2.246.10.2454372.10.20").await, "Yksikkö numero 20");
    assert_eq!(site.name("1.2.246.10.2454372.10.4").await, "Yksikkö numero 4");
    assert_eq!(site.register().await.units, 22);
}

#[tokio::test]
async fn the_same_file_twice_writes_no_row_and_a_dry_run_never_does() {
    let site = Site::new();
    let rows = units(1..5);
    let dry = site.imported(Import { dry_run: true, ..import(Source::Thl, &rows) }).await.unwrap();
    assert_eq!((dry.counts.added, dry.generation, site.written().await), (5, 0, 0));
    site.import(Source::Thl, &rows).await;
    let again = site.import(Source::Thl, &rows).await;
    assert_eq!((again.unchanged, again.generation, site.written().await), (5, 1, 5));
    assert_eq!(again.counts, Default::default());
}

#[tokio::test]
async fn a_shrunken_export_comes_into_force_by_force_only() {
    let site = Site::new();
    site.import(Source::Thl, &units(1..40)).await;
    let pharmacy = "1.2.246.537.6.40003.1,,0204819-8,Apteekki,,,,,,,\n";
    site.import(Source::Pharmacy, pharmacy).await;
    let shrunken = units(1..35).replace("numero 1,", "yksi,");
    let refused = site.imported(import(Source::Thl, &shrunken)).await.unwrap_err();
    assert!(refused.contains("5 of the 40 rows") && refused.contains("--force"), "{refused}");
    let dry = site.imported(Import { dry_run: true, ..import(Source::Thl, &shrunken) }).await.unwrap();
    assert!(dry.needs_force.is_some() && dry.counts.missing == 5);
    let forced = site.imported(Import { force: true, ..import(Source::Thl, &shrunken) }).await.unwrap();
    assert_eq!((forced.counts.changed, forced.counts.missing), (1, 5));
    // An export in which everything has ended is a shrunken one too.
    let ended = units(1..40).replace(",,,,,,,\n", ",,,,,,,2020-01-01\n");
    assert!(site.imported(import(Source::Thl, &ended)).await.unwrap_err().contains("39 of the 40"));
    // Of a part nothing is missing, and another register's rows never are.
    let part = site.imported(Import { partial: true, ..import(Source::Thl, &units(1..2)) }).await.unwrap();
    assert_eq!(part.counts.missing, 0);
    assert_eq!(oids(&site.import(Source::Pharmacy, pharmacy).await.missing), Vec::<&str>::new());
}

#[tokio::test]
async fn registers_do_not_take_each_others_rows_and_an_operator_may_stand_in() {
    let site = Site::new();
    site.import(Source::Thl, &units(1..3)).await;
    let taken = site.import(Source::Pharmacy, &format!("{TOP},,0204819-8,Toinen,,,,,,,\n")).await;
    assert!(taken.refused[0].reason.contains("register \"thl\"") && taken.generation == 1);
    let operator = site.import(Source::Csv, &format!("{TOP},,0245437-2,Korjattu,,,Turku,,,,\n")).await;
    assert_eq!((operator.counts.changed, operator.counts.warned), (1, 1));
    assert_eq!(site.name(TOP).await, "Korjattu");
    let back = site.import(Source::Thl, &units(1..3)).await;
    assert_eq!((back.counts.changed, back.counts.warned, back.counts.missing), (1, 1, 0));
    assert_eq!(site.name(TOP).await, "Esimerkki");
}

#[tokio::test]
async fn a_pharmacy_changes_hands_on_its_day() {
    let site = Site::new();
    let day = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    let row = |id: &str, from: &str, to: &str| format!("1.2.246.537.6.40003.9,,{id},Apteekki,,,,,,{from},{to}\n");
    let before = row("0204819-8", "2015-01-01", "2100-12-31");
    site.import(Source::Pharmacy, &before).await;
    let handover = row("0204819-8", "2015-01-01", "2027-01-31") + &row("0245437-2", "2027-02-01", "2100-12-31");
    let report = site.import(Source::Pharmacy, &handover).await;
    assert_eq!((report.counts.changed, report.counts.refused), (1, 0), "{report:?}");
    assert_eq!(site.import(Source::Pharmacy, &handover).await.unchanged, 1);
    for (at, owner) in [("2027-01-31T21:59:59Z", "0204819-8"), ("2027-01-31T22:00:00Z", "0245437-2")] {
        let found = site.show("1.2.246.537.6.40003.9", day(at), None).await;
        assert_eq!(found.units[0].row.business_id.as_ref().unwrap().as_str(), owner);
        assert!(found.units[0].in_force);
        assert_eq!(found.units[0].history.len(), 3);
    }
    assert_eq!(site.oids("0204819-8").await, ["1.2.246.537.6.40003.9"]);
    assert_eq!(site.oids("0245437-2").await, Vec::<String>::new());
    assert_eq!(site.show("0245437-2", day("2028-01-01T00:00:00Z"), None).await.units.len(), 1);
}

#[tokio::test]
async fn a_row_is_shown_as_it_was_years_ago() {
    let site = Site::new();
    let years = |n: i64| NOW.plus(n * 365 * 86_400);
    for (n, name) in ["Alku", "Keski", "Loppu"].into_iter().enumerate() {
        let rows = format!("{TOP},,0245437-2,{name} {n},,,Turku,,,,\n");
        let report = site.authority.import_register("officer", import(Source::Thl, &rows), years(n as i64)).await;
        assert_eq!(report.unwrap().generation, n as u64 + 1);
    }
    for (at, generation, name) in [
        (Some(NOW.plus(5)), None, "Alku 0"),
        (Some(years(1)), None, "Keski 1"),
        (Some(years(9)), None, "Loppu 2"),
        (None, Some(1), "Alku 0"),
        (None, Some(2), "Keski 1"),
        (None, None, "Loppu 2"),
    ] {
        let found = site.show(TOP, at, generation).await;
        assert_eq!(found.units[0].row.name_fi, name, "{at:?} {generation:?}");
    }
    let query = RegisterQuery { what: TOP.to_owned(), at: Some(NOW.plus(-5)), generation: None };
    assert!(site.authority.show_register(query, NOW).await.is_err());
    let history = site.show(TOP, None, None).await.units[0].history.clone();
    assert_eq!(history.iter().map(|row| row.generation).collect::<Vec<_>>(), [3, 2, 1]);
}

#[tokio::test]
async fn units_are_found_by_words_of_their_names_as_they_are_now() {
    let site = Site::new();
    let other = "1.2.246.10.2454372.10.1";
    let rows = |name: &str| {
        format!(
            "{TOP},,0245437-2,Tuulikellon Lääkärikeskus,Läkarcentralen Vindklockan,,,,,,\n{other},{TOP},,{name},,,,,,,\n"
        )
    };
    site.import(Source::Thl, &rows("Tuulikellon lääkärit Ratina")).await;
    assert_eq!(site.oids("laakari").await, [TOP, other]);
    assert_eq!(site.oids("RATINA tuuli").await, [other]);
    assert_eq!(site.oids("vindklockan").await, [TOP]);
    site.import(Source::Thl, &rows("Tuulikellon Hämeenlinna")).await;
    assert_eq!(site.oids("ratina").await, Vec::<String>::new());
    assert_eq!(site.oids("hameenl").await, [other]);
    assert_eq!(site.show(other, None, None).await.units[0].above[0].oid.as_str(), TOP);
    let query = RegisterQuery { what: "?".to_owned(), at: None, generation: None };
    assert!(site.authority.show_register(query, NOW).await.is_err());
}

#[tokio::test]
async fn an_import_that_ends_at_any_commit_changes_nothing_and_its_number_is_never_used_again() {
    // Enough rows for several batches.
    let (before, after) = (units(1..500), units(1..500).replace("Yksikkö numero", "Uusi nimi"));
    let failures = (1..=5).flat_map(|n| [Failure::Before(n), Failure::Lost(n), Failure::After(n)]);
    for failure in failures {
        let site = Site::new();
        site.import(Source::Thl, &before).await;
        let failing = Arc::new(FailingStore::for_good(site.store.clone(), failure));
        let dying = authority(failing.clone(), None, PathBuf::new());
        let broken = dying.import_register("officer", import(Source::Thl, &after), NOW).await;
        assert!(broken.is_err() && failing.has_failed(), "{failure:?}");
        let was_kept = matches!(failure, Failure::After(5));
        let (name, generation) = if was_kept { ("Uusi nimi 7", 2) } else { ("Yksikkö numero 7", 1) };
        assert_eq!(site.name("1.2.246.10.2454372.10.7").await, name, "{failure:?}");
        assert_eq!(site.register().await.current, generation, "{failure:?}");
        // Another register's import comes first: what the broken one wrote still counts for nothing.
        let pharmacy = site.import(Source::Pharmacy, "1.2.246.537.6.40003.1,,0204819-8,Apteekki,,,,,,,\n").await;
        assert!(pharmacy.generation > generation, "{failure:?}");
        assert_eq!(site.name("1.2.246.10.2454372.10.7").await, name, "{failure:?}");
        let whole = site.import(Source::Thl, &after).await;
        assert_eq!(whole.counts.changed, if was_kept { 0 } else { 499 }, "{failure:?}");
        assert_eq!(site.name("1.2.246.10.2454372.10.7").await, "Uusi nimi 7", "{failure:?}");
        assert_eq!(site.oids("uusi 499").await, ["1.2.246.10.2454372.10.499"], "{failure:?}");
    }
}

#[tokio::test]
async fn of_imports_at_once_each_comes_into_force_whole_or_not_at_all() {
    let site = Site::new();
    site.import(Source::Thl, &units(1..300)).await;
    let named = |name: &str| import(Source::Thl, &units(1..300).replace("Yksikkö numero", name));
    for round in 0..10 {
        let names = [format!("Yksi {round} a"), format!("Kaksi {round} b"), format!("Kolme {round} c")];
        let imports = names.iter().map(|name| {
            let (authority, import) = (site.authority.clone(), named(name));
            tokio::spawn(async move { authority.import_register("officer", import, NOW).await.is_ok() })
        });
        let mut done = Vec::new();
        for import in imports.collect::<Vec<_>>() {
            done.push(import.await.unwrap());
        }
        assert!(done.contains(&true), "{done:?}");
        let name = site.name("1.2.246.10.2454372.10.1").await;
        let winner = names.iter().position(|wanted| name.starts_with(wanted.as_str())).unwrap();
        assert!(done[winner], "{name} {done:?}");
        for n in [2, 150, 299] {
            let oid = format!("1.2.246.10.2454372.10.{n}");
            assert_eq!(site.name(&oid).await, format!("{} {n}", names[winner]));
        }
    }
}

fn thl_export(rows: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><arb:result xmlns:arb=\"urn::codeservice\"><arb:document><body>\
         <termsystem id=\"1.2.246.537.6.202.2008\">{rows}</termsystem></body></arb:document></arb:result>"
    )
}

fn thl_row(number: u32, name: &str) -> String {
    format!(
        "<termitementry id=\"1.2.246.10.2454372.10.{number}\" begindate=\"1900-01-01T00:00:01\" \
         expirationdate=\"2100-12-31T23:59:59\"><attribute type=\"longname\">{name}</attribute>\
         <attribute type=\"Y-Tunnus\">0245437-2</attribute></termitementry>\n"
    )
}

#[tokio::test]
async fn an_upload_is_read_by_its_content_and_bad_rows_are_told_with_their_places() {
    let ca = Ca::start(impatient()).await;
    let export = thl_export(&(thl_row(1, "Kelpo") + &thl_row(2, "Yksi & kaksi") + &thl_row(3, "Kolmas")));
    let (status, report) = ca.command("POST", "/register?source=thl&dry-run=true", &export).await;
    assert_eq!((status, report["counts"]["added"].as_u64(), report["generation"].as_u64()), (200, Some(2), Some(0)));
    let (status, report) = ca.command("POST", "/register?source=thl", &export).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(report["refused"][0]["oid"], "1.2.246.10.2454372.10.2");
    assert_eq!(report["refused"][0]["row"], 2);
    let (status, found) = ca.command("GET", "/register?what=kolmas", "").await;
    assert_eq!((status, found["units"][0]["row"]["oid"].as_str()), (200, Some("1.2.246.10.2454372.10.3")));
    for (source, body, why) in [
        ("thl", "<!DOCTYPE html><html><body>Palvelu ei ole käytettävissä</body></html>", "HTML"),
        ("thl", &export[..export.len() - 20], "cut short"),
        ("practitioner", &export, "the register \"thl\""),
        ("csv", &export, "--source"),
        ("thl", "{\"conceptCodes\": [{\"a\"", "cut short"),
        ("thl", "", "empty"),
    ] {
        let (status, answer) = ca.command("POST", &format!("/register?source={source}"), body).await;
        assert!(status == 400 && answer["error"].as_str().unwrap().contains(why), "{why}: {status} {answer}");
    }
    let (status, answer) = ca.command("POST", "/register?source=nobody", &export).await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn requests_are_answered_while_an_import_goes_on() {
    let ca = Ca::start(impatient()).await;
    ca.invitation(&["*"], 1_000).await;
    let rows: String = (1..6_000).map(|n| thl_row(n, &format!("Yksikkö {n}"))).collect();
    let importing = {
        let (authority, export) = (ca.authority.clone(), thl_export(&rows));
        tokio::spawn(async move {
            let import = Import::of(register::read(Source::Thl, Cursor::new(export)).unwrap());
            authority.import_register("officer", import, NOW).await.unwrap()
        })
    };
    let mut answered = 0;
    while !importing.is_finished() {
        assert!(!ca.nonce().await.is_empty());
        let (status, invitations) = ca.command("GET", "/invitations?organisation=0245437-2", "").await;
        assert_eq!(status, 200, "{invitations}");
        let (status, found) = ca.command("GET", "/register?what=yksikko", "").await;
        // Nothing is seen of the import before it is whole.
        let shown = found["units"].as_array().unwrap().len();
        assert!(status == 200 && (shown == 0 || shown == 100), "{found}");
        answered += 1;
    }
    assert!(answered > 3, "{answered}");
    assert_eq!(importing.await.unwrap().counts.added, 5_999);
}

/// A code service on this machine that has these pages and remembers what it was asked.
struct CodeService {
    url: String,
    root: Option<PathBuf>,
    asked: Arc<Mutex<Vec<String>>>,
    pages: Arc<Mutex<Vec<String>>>,
}

impl CodeService {
    async fn start() -> Self {
        CodeService::serving(None, None).await
    }

    /// A service over TLS, whose certificate is its own root, in a file below `directory`.
    async fn secured(directory: &std::path::Path) -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let root = directory.join("code-service.pem");
        std::fs::write(&root, cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        CodeService::serving(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))), Some(root)).await
    }

    async fn serving(tls: Option<tokio_rustls::TlsAcceptor>, root: Option<PathBuf>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let origin = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let url = format!("{origin}:{port}/codeserver/conceptcodes");
        let (asked, pages) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::<String>::new())));
        let service = CodeService { url, root, asked: asked.clone(), pages: pages.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, pages, tls) = (asked.clone(), pages.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => page_answered(stream, &asked, &pages).await,
                        // A client that does not trust the certificate goes away.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                page_answered(stream, &asked, &pages).await;
                            }
                        }
                    }
                });
            }
        });
        service
    }

    fn has(&self, pages: &[&[(u32, &str)]]) {
        let total = pages.len();
        let row = |(number, name): &(u32, &str)| {
            serde_json::json!({
                "conceptCodeId": format!("1.2.246.10.2454372.10.{number}"),
                "beginDate": "1900-01-01T00:00:01",
                "expirationDate": "2100-12-31T23:59:59",
                "attributes": [
                    {"attributeName": "LongName", "attributeValue": [name]},
                    {"attributeName": "Y-Tunnus", "attributeValue": ["0245437-2"]},
                ],
            })
        };
        let page = |(number, rows): (usize, &&[(u32, &str)])| {
            let rows: Vec<_> = rows.iter().map(row).collect();
            serde_json::json!({"totalPages": total, "page": number + 1, "conceptCodes": rows}).to_string()
        };
        *self.pages.lock().unwrap() = pages.iter().enumerate().map(page).collect();
    }

    fn settings(&self) -> RegisterSettings {
        let sync = SyncSettings {
            url: self.url.clone(),
            source: Source::Thl,
            root: self.root.clone(),
            page_size: 2,
            interval: None,
        };
        RegisterSettings { sync: Some(sync), ..RegisterSettings::default() }
    }
}

/// Answers one request for a page, and closes.
async fn page_answered(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    asked: &Mutex<Vec<String>>,
    pages: &Mutex<Vec<String>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(octet) = stream.read_u8().await else { return };
        head.push(octet);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let number: usize = target.rsplit("&page=").next().unwrap().parse().unwrap();
    asked.lock().unwrap().push(target);
    let page = pages.lock().unwrap().get(number - 1).cloned();
    let (status, body) = page.map_or(("404 Not Found", "none".to_owned()), |page| ("200 OK", page));
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.unwrap();
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn pages_are_fetched_over_tls_from_a_service_that_leads_to_the_configured_root_only() {
    let directory = tempfile::tempdir().unwrap();
    let service = CodeService::secured(directory.path()).await;
    service.has(&[&[(1, "Yksi")], &[(2, "Kaksi")]]);
    let ca = Ca::start_with_register(impatient(), service.settings()).await;
    let (status, report) = ca.command("POST", "/register/sync", "").await;
    assert_eq!((status, report["counts"]["added"].as_u64()), (200, Some(2)), "{report}");
    let other = tempfile::tempdir().unwrap();
    let another = CodeService::secured(other.path()).await;
    let mut settings = another.settings();
    settings.sync.as_mut().unwrap().root = service.root.clone();
    let ca = Ca::start_with_register(impatient(), settings).await;
    let (status, answer) = ca.command("POST", "/register/sync", "").await;
    assert!(status == 503 && answer["error"].as_str().unwrap().contains("no TLS"), "{status} {answer}");
    assert!(another.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn changed_pages_are_fetched_and_brought_into_force() {
    let service = CodeService::start().await;
    service.has(&[&[(1, "Yksi"), (2, "Kaksi")], &[(3, "Kolme")]]);
    let settings = sote_acme::http::Settings { rate_limits: RateLimits::off(), ..impatient() };
    let ca = Ca::start_with_register(settings, service.settings()).await;
    let (status, report) = ca.command("POST", "/register/sync", "").await;
    assert_eq!((status, report["counts"]["added"].as_u64()), (200, Some(3)), "{report}");
    service.has(&[&[(2, "Kaksi uusi")]]);
    let (status, report) = ca.command("POST", "/register/sync", "").await;
    assert_eq!((status, report["counts"]["changed"].as_u64()), (200, Some(1)), "{report}");
    assert_eq!(report["counts"]["missing"], 0, "changes name what has changed only");
    service.has(&[&[]]);
    let (status, report) = ca.command("POST", "/register/sync", "").await;
    assert_eq!((status, report["generation"].as_u64()), (200, Some(2)), "{report}");
    let asked = service.asked.lock().unwrap().clone();
    let path = "/codeserver/conceptcodes?";
    assert_eq!(asked[0], format!("{path}sortBy=CONCEPTCODEID&pageSize=2&page=1"));
    assert_eq!(asked[1], format!("{path}sortBy=CONCEPTCODEID&pageSize=2&page=2"));
    let day_before = &NOW.plus(-86_400).to_string()[..10];
    assert_eq!(asked[2], format!("{path}modifiedAfter={day_before}&sortBy=CONCEPTCODEID&pageSize=2&page=1"));
    let (_, found) = ca.command("GET", "/register?what=kaksi", "").await;
    assert_eq!(found["units"][0]["row"]["name_fi"], "Kaksi uusi");
}

#[tokio::test]
async fn an_answer_that_is_no_page_changes_nothing() {
    let service = CodeService::start().await;
    let ca = Ca::start_with_register(impatient(), service.settings()).await;
    for page in [
        "<html>Virhe</html>",
        "{}",
        "{\"conceptCodes\": []}",
        "{\"totalPages\": 2, \"conceptCodes\": []}",
        "{\"totalPages\":",
    ] {
        *service.pages.lock().unwrap() = vec![page.to_owned()];
        let (status, answer) = ca.command("POST", "/register/sync", "").await;
        assert_eq!(status, 503, "{page}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("page"), "{answer}");
    }
    let kept = std::fs::read_dir(ca.admin.parent().unwrap()).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!kept.iter().any(|name| name.starts_with("upload")), "{kept:?}");
}
