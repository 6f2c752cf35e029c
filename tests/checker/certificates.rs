//! Certificates: one record per issuer and serial number, its index entries and no others, its DER, its place on the CRL,
//! and what clients have received.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Findings, Notes, State, der, octets, sha256, text, time_octets};

/// An index entry: its tree, its key and its value.
type Entry = (&'static str, Vec<u8>, Vec<u8>);

/// The indexes that hold nothing but certificates.
const INDEXES: [&str; 8] = [
    "certificate-by-serial",
    "certificates",
    "certificates-by-account",
    "certificates-by-organisation",
    "certificates-by-key",
    "certificates-prepared",
    "revoked-by-shard",
    "unpublished",
];

/// Checks every certificate record and what belongs to it.
pub(super) fn check(state: &State<'_>, notes: &Notes, findings: &mut Findings) {
    let ders: BTreeMap<Vec<u8>, Vec<u8>> =
        state.raw("certificate-der", findings).into_iter().map(|raw| (raw.key, raw.octets)).collect();
    let mut serials = BTreeSet::new();
    let mut expected: BTreeSet<Entry> = BTreeSet::new();
    let mut issued = BTreeSet::new();
    let mut revoked = Vec::new();
    for (raw, record) in state.json("certificate", findings) {
        let name =
            format!("certificate {} ({} {})", text(&record["id"]), text(&record["issuer"]), text(&record["serial"]));
        if octets(&record["id"]) != raw.key {
            findings.fault(format!("{name} lies under another key"));
        }
        if !serials.insert((text(&record["issuer"]), text(&record["serial"]))) {
            findings.fault(format!("{name}: its serial number exists twice"));
        }
        let stage = text(&record["stage"]["state"]);
        if stage == "prepared" && notes.at_rest {
            findings.fault(format!("{name} is still prepared"));
        }
        expected.extend(entries(&record, &raw.key));
        check_der(&name, &stage, &record, ders.get(&raw.key).map(Vec::as_slice), findings);
        if stage == "issued" {
            issued.extend(ders.get(&raw.key).and_then(|der| der.get(16..)).map(<[u8]>::to_vec));
        }
        if stage == "abandoned" || !record["revocation"].is_null() {
            revoked.push((name, record));
        }
        *findings.stages.entry(stage).or_default() += 1;
    }
    check_indexes(state, &expected, findings);
    if notes.at_rest {
        check_crls(state, &revoked, findings);
    }
    for der in &notes.certificates {
        if !issued.contains(der) {
            let serial = der::serial(der, true).unwrap_or_default();
            findings.fault(format!("a client has received a certificate that is not stored: serial {}", hex(&serial)));
        }
    }
}

/// The index entries that a certificate's record calls for.
fn entries(record: &Value, id: &[u8]) -> Vec<Entry> {
    let none = Vec::new;
    let owned = |owner: Vec<u8>| [owner, id.to_vec()].concat();
    let mut shard = text(&record["issuer"]).into_bytes();
    shard.push(0);
    let mut serial = vec![0; 20];
    let number = unhex(&text(&record["serial"]));
    serial[20 - number.len().min(20)..].copy_from_slice(&number[..number.len().min(20)]);
    let by_serial = [shard.clone(), serial].concat();
    shard.extend((record["shard"].as_u64().unwrap_or(u64::MAX) as u16).to_be_bytes());
    let stage = &record["stage"];
    let mut entries = vec![
        ("certificate-by-serial", by_serial, id.to_vec()),
        ("certificates", id.to_vec(), none()),
        ("certificates-by-account", owned(octets(&record["account"])), none()),
        ("certificates-by-organisation", owned(octets(&record["organisation"])), none()),
        ("certificates-by-key", owned(octets(&record["spki_sha256"])), none()),
    ];
    if stage["state"] == "prepared" {
        entries.push(("certificates-prepared", owned(time_octets(&stage["at"])), none()));
    }
    let end = if record["revocation"].is_null() { stage } else { &record["revocation"] };
    if stage["state"] == "abandoned" || !record["revocation"].is_null() {
        entries.push(("revoked-by-shard", owned(shard.clone()), none()));
        if end["published"].is_null() {
            entries.push(("unpublished", owned(shard), none()));
        }
    }
    entries
}

fn check_indexes(state: &State<'_>, expected: &BTreeSet<Entry>, findings: &mut Findings) {
    let mut found: BTreeSet<Entry> = BTreeSet::new();
    for index in INDEXES {
        found.extend(state.rows(&format!("index/{index}")).into_iter().map(|(key, value)| (index, key, value)));
    }
    for (index, key, _) in expected.difference(&found) {
        findings.fault(format!("index {index} lacks the entry {}", hex(key)));
    }
    for (index, key, _) in found.difference(expected) {
        findings.fault(format!("index {index} has the entry {}, which no record calls for", hex(key)));
    }
}

fn check_der(name: &str, stage: &str, record: &Value, stored: Option<&[u8]>, findings: &mut Findings) {
    let Some((id, der)) = stored.and_then(|stored| stored.split_at_checked(16)) else {
        if stage != "abandoned" {
            findings.fault(format!("{name} has no DER"));
        }
        return;
    };
    if id != octets(&record["id"]) {
        findings.fault(format!("{name}: the DER belongs to another record"));
    }
    if der::serial(der, stage == "issued") != Some(unhex(&text(&record["serial"]))) {
        findings.fault(format!("{name}: the DER has another serial number"));
    }
}

/// Whatever is revoked or abandoned and not yet expired stands on the published CRL of its shard.
fn check_crls(state: &State<'_>, revoked: &[(String, Value)], findings: &mut Findings) {
    let mut listed: BTreeMap<(String, u64), BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (_, publication) in state.json("publication", findings) {
        let (issuer, shard) = (text(&publication["issuer"]), publication["shard"].as_u64().unwrap_or(u64::MAX));
        let published = &publication["published"];
        if published.is_null() {
            continue;
        }
        let file = text(&published["file"]);
        let crl = std::fs::read(state.dir.join("crl").join(&issuer).join(&file)).unwrap_or_default();
        if sha256(&crl) != octets(&published["sha256"]) {
            findings.fault(format!("the CRL crl/{issuer}/{file} is missing or was changed"));
        }
        listed.insert((issuer, shard), der::revoked_serials(&crl).unwrap_or_default().into_iter().collect());
    }
    let now = time_octets(&Value::String(jiff::Timestamp::now().to_string()));
    for (name, record) in revoked.iter().filter(|(_, record)| time_octets(&record["not_after"]) > now) {
        let shard = (text(&record["issuer"]), record["shard"].as_u64().unwrap_or(u64::MAX));
        let on_crl = listed.get(&shard).is_some_and(|serials| serials.contains(&unhex(&text(&record["serial"]))));
        if !on_crl {
            findings.fault(format!("{name} is revoked or abandoned, and no CRL lists it"));
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    let digits = if digits.len() % 2 == 1 { [vec![0], digits].concat() } else { digits };
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).skip_while(|octet| *octet == 0).collect()
}
