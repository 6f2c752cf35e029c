//! The audit trail: sealed segments, then the entries in the store, as one chain without gaps.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;

use super::{Findings, State, octets, sha256, text};

/// The chain so far.
struct Chain {
    number: u64,
    hash: Vec<u8>,
}

/// Checks numbers, hashes and segment files.
pub(super) fn check(state: &State<'_>, findings: &mut Findings) {
    let mut chain = Chain { number: 0, hash: vec![0; 32] };
    for (raw, segment) in state.json("audit-segment", findings) {
        let (first, last, file) = (segment["first"].as_u64(), segment["last"].as_u64(), text(&segment["file"]));
        if first != Some(chain.number + 1) || raw.key != (chain.number + 1).to_be_bytes() {
            findings.fault(format!("segment {file} does not follow entry {}", chain.number));
        }
        let lines = std::fs::read(state.dir.join("audit").join(&file)).unwrap_or_default();
        if sha256(&lines) != octets(&segment["sha256"]) {
            findings.fault(format!("segment {file} is missing or was changed"));
        }
        for line in lines.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
            follow(&mut chain, line, findings);
        }
        if Some(chain.number) != last || chain.hash != octets(&segment["last_hash"]) {
            findings.fault(format!("segment {file} does not end as its record says"));
        }
    }
    for raw in state.raw("audit", findings) {
        if raw.key != (chain.number + 1).to_be_bytes() {
            findings.fault(format!("the audit entry after {} is missing", chain.number));
        }
        follow(&mut chain, &raw.octets, findings);
    }
    findings.audit_entries = chain.number;
    if chain.number == 0 {
        findings.fault("there is no audit entry at all");
    }
}

fn follow(chain: &mut Chain, json: &[u8], findings: &mut Findings) {
    let entry: Value = serde_json::from_slice(json).unwrap_or_default();
    let number = entry["number"].as_u64();
    if number != Some(chain.number + 1) {
        findings.fault(format!("audit entry {} follows entry {}", entry["number"], chain.number));
    }
    if text(&entry["previous"]) != Base64UrlUnpadded::encode_string(&chain.hash) {
        findings.fault(format!("audit entry {} does not name the hash of the one before", entry["number"]));
    }
    *chain = Chain { number: number.unwrap_or(chain.number + 1), hash: sha256(json) };
}
