//! Dynamic updates (RFC 2136) of TXT records, unsigned and from this machine only: what `nsupdate` and the rfc2136 modules
//! of ACME clients send. They change the records in memory.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, RData, Record as DnsRecord, RecordType};
use hickory_server::server::Request;

use super::plain;
use super::records::{Data, Record, Records};

/// Applies the update of `request`, whole or not at all, and says how it went.
pub fn applied(request: &Request, records: &Records, ours: impl Fn(&str) -> bool) -> ResponseCode {
    if !request.src().ip().to_canonical().is_loopback() || request.signature.is_some() {
        return ResponseCode::Refused;
    }
    // RFC 2136 §2.3: exactly one zone, named with type SOA.
    let [zone] = request.queries.queries() else { return ResponseCode::FormErr };
    if !ours(&plain(zone.original().name())) {
        return ResponseCode::NotAuth;
    }
    if !request.answers.is_empty() {
        // Prerequisites would promise what a set of test records does not keep.
        return ResponseCode::NotImp;
    }
    let changes: Result<Vec<Change>, ResponseCode> =
        request.authorities.iter().map(|record| change(record, &ours)).collect();
    match changes {
        Ok(changes) => {
            changes.into_iter().for_each(|change| change.apply(records));
            ResponseCode::NoError
        }
        Err(code) => code,
    }
}

enum Change {
    Add(Record),
    Remove(Record),
    RemoveAll(String),
}

impl Change {
    fn apply(self, records: &Records) {
        match self {
            Change::Add(record) => records.add(record),
            Change::Remove(record) => records.remove_exactly(&record),
            Change::RemoveAll(name) => records.remove(&name, Some("TXT")),
        }
    }
}

// RFC 2136 §2.5: class IN adds, class ANY removes a record set, class NONE removes one record.
fn change(record: &DnsRecord, ours: impl Fn(&str) -> bool) -> Result<Change, ResponseCode> {
    let name = plain(&record.name);
    if !ours(&name) {
        return Err(ResponseCode::NotZone);
    }
    match (record.dns_class, &record.data) {
        (DNSClass::IN, RData::TXT(_)) => Ok(Change::Add(Record { name, data: Data::Plain(record.data.clone()) })),
        (DNSClass::NONE, RData::TXT(_)) => Ok(Change::Remove(Record { name, data: Data::Plain(record.data.clone()) })),
        (DNSClass::ANY, RData::Update0(RecordType::TXT | RecordType::ANY)) => Ok(Change::RemoveAll(name)),
        _ => Err(ResponseCode::Refused),
    }
}
