//! The newest audit entry: what the next one is numbered after and chained to.

use sled::Tree;

use super::group::split;
use crate::model::audit::{AuditEntry, Event};
use crate::names::base64url;
use crate::store::audit::{AuditHead, AuditSegment, sha256};

/// The chain's newest entry. Before the first: number 0 and 32 zero octets.
#[derive(Debug, Clone, Default)]
pub(super) struct Head(AuditHead);

impl Head {
    /// The newest entry in `entries`, or the last one of the newest of the sealed `segments`.
    pub(super) fn read(entries: &Tree, segments: &Tree) -> sled::Result<Self> {
        let unreadable = |e: serde_json::Error| sled::Error::ReportableBug(format!("an audit entry: {e}"));
        if let Some((_, value)) = entries.last()? {
            let json = record(&value)?;
            let entry: AuditEntry = serde_json::from_slice(json).map_err(unreadable)?;
            let head = AuditHead { number: entry.number, hash: sha256(json), time: Some(entry.event.time) };
            return Ok(Head(head));
        }
        let Some((_, value)) = segments.last()? else { return Ok(Head::default()) };
        let segment: AuditSegment = serde_json::from_slice(record(&value)?).map_err(unreadable)?;
        Ok(Head(AuditHead { number: segment.last, hash: segment.last_hash, time: Some(segment.last_time) }))
    }

    /// Appends `event`: its key and its canonical JSON, which is never written again in another form.
    pub(super) fn append(&mut self, event: Event) -> (Vec<u8>, Vec<u8>) {
        let time = event.time;
        let entry = AuditEntry { number: self.0.number + 1, previous: base64url::encode(&self.0.hash), event };
        let json = serde_json::to_vec(&entry).expect("an audit entry has string keys and whole numbers");
        self.0 = AuditHead { number: entry.number, hash: sha256(&json), time: Some(time) };
        (entry.number.to_be_bytes().to_vec(), json)
    }

    /// What others may know of it.
    pub(super) fn shown(&self) -> AuditHead {
        self.0.clone()
    }
}

/// The record in an enveloped value, without version and schema.
fn record(value: &[u8]) -> sled::Result<&[u8]> {
    let (_, rest) = split(value)?;
    rest.get(1..).ok_or_else(|| sled::Error::ReportableBug("an empty record".to_owned()))
}
