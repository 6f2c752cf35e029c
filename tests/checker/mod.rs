//! An independent reader of a state directory: sled, JSON and SHA-256 alone, none of the server's own code, so that a fault
//! of the store cannot hide itself. It opens a copy (opening changes sled's files) and says everything that is wrong.
//! Start with [`check`].

mod audit;
mod certificates;
mod der;

use std::collections::BTreeMap;
use std::path::Path;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;

/// What a state directory shall be compared with.
#[derive(Debug, Default)]
pub struct Notes {
    /// The DER of every certificate that a client has received.
    pub certificates: Vec<Vec<u8>>,
    /// Whether everything unfinished has had its time: no `Prepared`, no order in processing, abandoned serials on CRLs.
    pub at_rest: bool,
}

impl Notes {
    /// Notes of clients: any text with PEM blocks in it, the first block of each chain being what was issued. A chain ends
    /// with a line that begins with `=`. A last chain without such a line was cut off with its client and does not count.
    pub fn parse(text: &str) -> Self {
        let whole = &text[..text.rfind("\n=").unwrap_or(0)];
        let certificates = whole.split("\n=").filter_map(first_pem_block).collect();
        Notes { certificates, at_rest: true }
    }
}

fn first_pem_block(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    base64ct::Base64::decode_vec(&body).ok()
}

/// What was found in a state directory.
#[derive(Debug, Default)]
pub struct Findings {
    /// Everything that is wrong, in sentences. Empty if the directory is sound.
    pub faults: Vec<String>,
    /// How many certificate records there are, by stage: `prepared`, `issued`, `abandoned`.
    pub stages: BTreeMap<String, usize>,
    /// How many orders there are, by state.
    pub orders: BTreeMap<String, usize>,
    /// How many accounts there are.
    pub accounts: usize,
    /// How many audit entries there are, sealed ones included.
    pub audit_entries: u64,
}

impl Findings {
    fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }
}

/// Checks a copy of the state directory `dir` against `notes`.
pub fn check(dir: &Path, notes: &Notes) -> Findings {
    let copy = tempfile::tempdir().expect("a place for the copy");
    let copied = copy.path().join("state");
    copy_directory(dir, &copied).expect("the state directory can be copied");
    check_in_place(&copied, notes)
}

/// Checks the state directory `dir` itself, whose store no other process may have open.
pub fn check_in_place(dir: &Path, notes: &Notes) -> Findings {
    let mut findings = Findings::default();
    // The segment size is part of the store's format.
    let config = sled::Config::new().path(dir.join("store")).segment_size(8 << 20).cache_capacity(64 << 20);
    let db = match config.open() {
        Ok(db) => db,
        Err(error) => {
            findings.fault(format!("sled cannot open the store: {error}"));
            return findings;
        }
    };
    let state = State { dir, db };
    state.check_identity(&mut findings);
    audit::check(&state, &mut findings);
    certificates::check(&state, notes, &mut findings);
    state.check_orders(notes, &mut findings);
    state.check_invitations(&mut findings);
    findings
}

fn copy_directory(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_directory(&entry.path(), &to)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// A record as it lies in sled: its key, its version and its octets.
struct Raw {
    key: Vec<u8>,
    version: u64,
    octets: Vec<u8>,
}

/// An open state directory.
struct State<'a> {
    dir: &'a Path,
    db: sled::Db,
}

impl State<'_> {
    fn rows(&self, tree: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let tree = self.db.open_tree(tree).expect("a tree can be opened");
        tree.iter().map(|row| row.expect("a row can be read")).map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
    }

    /// The records of a kind: eight octets of version, one of schema, the record.
    fn raw(&self, kind: &str, findings: &mut Findings) -> Vec<Raw> {
        let mut records = Vec::new();
        for (key, value) in self.rows(&format!("kind/{kind}")) {
            let Some((version, [schema, octets @ ..])) = value.split_first_chunk::<8>() else {
                findings.fault(format!("a {kind} has no version and schema"));
                continue;
            };
            let version = u64::from_be_bytes(*version);
            if version == 0 || *schema != 1 {
                findings.fault(format!("a {kind} has version {version} and schema {schema}"));
            }
            records.push(Raw { key, version, octets: octets.to_vec() });
        }
        records
    }

    fn json(&self, kind: &str, findings: &mut Findings) -> Vec<(Raw, Value)> {
        let mut records = Vec::new();
        for raw in self.raw(kind, findings) {
            match serde_json::from_slice(&raw.octets) {
                Ok(value) => records.push((raw, value)),
                Err(error) => findings.fault(format!("a {kind} of version {} is not JSON: {error}", raw.version)),
            }
        }
        records
    }

    fn check_identity(&self, findings: &mut Findings) {
        let text = std::fs::read(self.dir.join("format.json")).unwrap_or_default();
        let format: Value = serde_json::from_slice(&text).unwrap_or_default();
        let own: BTreeMap<Vec<u8>, Vec<u8>> = self.rows("own").into_iter().collect();
        if own.get(b"store".as_slice()).map(Vec::as_slice) != format["store"].as_str().map(str::as_bytes) {
            findings.fault("format.json and the store do not name the same store");
        }
    }

    fn check_orders(&self, notes: &Notes, findings: &mut Findings) {
        for (_, order) in self.json("order", findings) {
            let state = text(&order["progress"]["state"]);
            if state == "processing" && notes.at_rest {
                findings.fault(format!("order {} is still processing", text(&order["id"])));
            }
            *findings.orders.entry(state).or_default() += 1;
        }
    }

    /// An invitation's uses that are spent are the accounts which it has made.
    fn check_invitations(&self, findings: &mut Findings) {
        let mut made: BTreeMap<String, i64> = BTreeMap::new();
        for (_, account) in self.json("account", findings) {
            findings.accounts += 1;
            if let Some(invitation) = account["binding"]["invitation"].as_str() {
                *made.entry(invitation.to_owned()).or_default() += 1;
            }
        }
        let counters: BTreeMap<Vec<u8>, Vec<u8>> = self.rows("counters").into_iter().collect();
        for (raw, invitation) in self.json("invitation", findings) {
            let id = text(&invitation["id"]);
            let left = counters.get(&[b"uses-left/".as_slice(), &raw.key].concat());
            let left = left.map_or(0, |octets| octets.as_slice().try_into().map_or(-1, i64::from_be_bytes));
            let (uses, made) = (invitation["uses"].as_i64().unwrap_or(-1), made.remove(&id).unwrap_or(0));
            if uses - left != made {
                findings.fault(format!("invitation {id}: {uses} uses, {left} left, {made} accounts"));
            }
        }
        for (id, accounts) in made {
            findings.fault(format!("{accounts} accounts name invitation {id}, which is not there"));
        }
    }
}

/// The text of a JSON string, or what else the value is.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The octets of an id or hash.
fn octets(value: &Value) -> Vec<u8> {
    value.as_str().and_then(|text| Base64UrlUnpadded::decode_vec(text).ok()).unwrap_or_default()
}

/// The eight octets of a time in a key.
fn time_octets(value: &Value) -> Vec<u8> {
    let seconds = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).map_or(-1, |t| t.as_second());
    seconds.to_be_bytes().to_vec()
}

fn sha256(octets: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref().to_vec()
}
