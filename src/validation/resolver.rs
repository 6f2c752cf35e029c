//! Asks the dns: addresses, TXT and CAA, each as "these records", "none", or "could not be asked". Nothing is cached,
//! since a validation must not see yesterday's answer, and DNSSEC validates unless a zone is excepted. Building a
//! [`Resolver`] asks nobody, so a server starts while its resolver is still away.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::{Proof, PublicKeyBuf, TrustAnchors, Verifier};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::txt::trust_anchor;
use hickory_resolver::{TokioResolver, system_conf};

use super::settings::Settings;
use crate::acme::problem::Problem;
use crate::names::Zone;

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// At least one record.
    Records(Vec<T>),
    /// The name exists, without records of this type.
    NoRecords,
    /// The name does not exist.
    NoSuchName,
}

/// A look-up that gave no usable answer. It never means that there are no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the dns look-up of {question} failed: {reason}")]
pub struct LookupFailure {
    /// The type and the name that were asked for.
    pub question: String,
    /// Why, for a person.
    pub reason: String,
    /// Whether an answer came that DNSSEC refutes: no exception ever applies to it.
    pub bogus: bool,
}

impl From<LookupFailure> for Problem {
    fn from(failure: LookupFailure) -> Self {
        Problem::dns(failure.to_string())
    }
}

/// A CAA record as it was sent (RFC 8659 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaRecord {
    /// The issuer critical flag.
    pub critical: bool,
    /// The property tag, in the sender's case.
    pub tag: String,
    /// The property value, raw.
    pub value: Vec<u8>,
}

/// Why a [`Resolver`] cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// A DNSSEC anchor of a zone cannot be read.
    #[error("zones: an anchor of {zone} is not a DNSKEY record in the form of a zone file: {reason}")]
    Anchor {
        /// The zone.
        zone: Zone,
        /// What the parser said.
        reason: String,
    },
    /// The resolver library refuses the settings.
    #[error("the dns resolver cannot be set up: {0}")]
    Setup(String),
}

/// The configured dns servers, by zone.
#[derive(Clone)]
pub struct Resolver {
    default: Server,
    /// Longest zone first.
    zones: Vec<(Zone, Server)>,
    limit: Duration,
}

#[derive(Clone)]
struct Server {
    inner: TokioResolver,
    validates: bool,
}

/// As long as a chain of aliases may get before it counts as a loop.
const MOST_ALIASES: usize = 16;

impl Resolver {
    /// The resolver that `settings` describe. Nobody is asked yet.
    pub fn new(settings: &Settings) -> Result<Self, ResolverError> {
        let attempts = settings.dns_attempts.max(1);
        let mut zones = Vec::new();
        for zone in &settings.zones {
            let servers = if zone.resolvers.is_empty() { &settings.resolvers } else { &zone.resolvers };
            let anchors = (settings.dnssec && zone.validate).then(|| trust_anchors(&zone.name, &zone.anchors));
            zones.push((zone.name.clone(), server(servers, anchors.transpose()?, settings.dns_timeout, attempts)?));
        }
        zones.sort_by_key(|(zone, _)| std::cmp::Reverse(zone.as_str().len()));
        let anchors = settings.dnssec.then(TrustAnchors::default);
        let default = server(&settings.resolvers, anchors, settings.dns_timeout, attempts)?;
        // The library's own limits are per server and transport; this one holds whatever happens below.
        let limit = settings.dns_timeout.saturating_mul(2 * attempts as u32);
        Ok(Resolver { default, zones, limit })
    }

    /// The addresses of `name`, IPv6 and IPv4 as they came. One family may fail while the other answers, but a bogus answer
    /// of either fails.
    pub async fn addresses(&self, name: &str) -> Result<Answer<IpAddr>, LookupFailure> {
        let (v6, v4) = tokio::join!(
            self.records(name, RecordType::AAAA, |data| match data {
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            }),
            self.records(name, RecordType::A, |data| match data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                _ => None,
            }),
        );
        match (v6, v4) {
            (Err(failure), _) | (_, Err(failure)) if failure.bogus => Err(failure),
            (Ok(Answer::Records(mut v6)), Ok(Answer::Records(v4))) => {
                v6.extend(v4);
                Ok(Answer::Records(v6))
            }
            (Ok(Answer::Records(found)), _) | (_, Ok(Answer::Records(found))) => Ok(Answer::Records(found)),
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
            (Ok(Answer::NoSuchName), _) | (_, Ok(Answer::NoSuchName)) => Ok(Answer::NoSuchName),
            (Ok(Answer::NoRecords), Ok(Answer::NoRecords)) => Ok(Answer::NoRecords),
        }
    }

    /// The TXT records of `name`, the strings of each joined (RFC 8555 §8.4 needs one text per record).
    pub async fn texts(&self, name: &str) -> Result<Answer<Vec<u8>>, LookupFailure> {
        let text = |data: &RData| match data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        };
        self.records(name, RecordType::TXT, text).await
    }

    /// The CAA records of exactly `name`, aliases followed (RFC 8659 §3).
    pub async fn caa(&self, name: &str) -> Result<Answer<CaaRecord>, LookupFailure> {
        let caa = |data: &RData| match data {
            RData::CAA(caa) => {
                Some(CaaRecord { critical: caa.issuer_critical, tag: caa.tag.clone(), value: caa.value.clone() })
            }
            _ => None,
        };
        self.records(name, RecordType::CAA, caa).await
    }

    async fn records<T>(
        &self,
        name: &str,
        record_type: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, LookupFailure> {
        let failure =
            |reason: String, bogus| LookupFailure { question: format!("{record_type} {name}"), reason, bogus };
        // With its final dot a name is complete: no search list of this machine applies.
        let question = Name::from_ascii(format!("{}.", name.trim_end_matches('.')))
            .map_err(|error| failure(format!("not a name that can be asked for ({error})"), false))?;
        let server = self.server_of(name);
        let outcome = match tokio::time::timeout(self.limit, server.inner.lookup(question.clone(), record_type)).await {
            Ok(outcome) => outcome,
            Err(_) => return Err(failure(TIMED_OUT.to_owned(), false)),
        };
        match outcome {
            Ok(lookup) => match server.proven(&lookup, &question, record_type) {
                Some(records) => Ok(present(records.iter().filter_map(|record| pick(&record.data)).collect())),
                None => Err(failure(BOGUS.to_owned(), true)),
            },
            Err(error) => absence(&error).map_or_else(|| Err(failure(reason(&error), is_bogus(&error))), Ok),
        }
    }

    fn server_of(&self, name: &str) -> &Server {
        let within = |zone: &Zone| {
            zone.as_str() == "*"
                || name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.zones.iter().find(|(zone, _)| within(zone)).map_or(&self.default, |(_, server)| server)
    }
}

impl Server {
    /// The records of `record_type` at `name` or at the end of its aliases, if DNSSEC leaves no doubt where it is on.
    fn proven<'a>(&self, lookup: &'a Lookup, name: &Name, record_type: RecordType) -> Option<Vec<&'a Record>> {
        let mut names = vec![name.clone()];
        for _ in 0..MOST_ALIASES {
            let alias = lookup.answers().iter().find_map(|record| match &record.data {
                RData::CNAME(target) if Some(&record.name) == names.last() && !names.contains(&target.0) => {
                    Some(target.0.clone())
                }
                _ => None,
            });
            match alias {
                Some(target) => names.push(target),
                None => break,
            }
        }
        let chain: Vec<&Record> = lookup
            .answers()
            .iter()
            .filter(|record| names.contains(&record.name))
            .filter(|record| [record_type, RecordType::CNAME].contains(&record.record_type()))
            .collect();
        let doubtful = |record: &&Record| matches!(record.proof, Proof::Bogus | Proof::Indeterminate);
        (!self.validates || !chain.iter().any(doubtful))
            .then(|| chain.into_iter().filter(|record| record.record_type() == record_type).collect())
    }
}

const TIMED_OUT: &str = "no answer in time; are the servers of the zone reachable?";
const BOGUS: &str = "DNSSEC validation failed: the zone's signatures, or its DS records at the parent, are wrong";

fn present<T>(records: Vec<T>) -> Answer<T> {
    if records.is_empty() { Answer::NoRecords } else { Answer::Records(records) }
}

/// What `error` says about the records, if it is an answer and not a failure.
fn absence<T>(error: &NetError) -> Option<Answer<T>> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. })) => no_records(*response_code),
        // An unsigned zone below a signed one: its answer "no such records" carries no proof, and needs none.
        NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. }) => no_records(response.response_code),
        _ => None,
    }
}

fn no_records<T>(code: ResponseCode) -> Option<Answer<T>> {
    match code {
        ResponseCode::NXDomain => Some(Answer::NoSuchName),
        ResponseCode::NoError => Some(Answer::NoRecords),
        _ => None,
    }
}

fn is_bogus(error: &NetError) -> bool {
    matches!(error, NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. }))
}

fn reason(error: &NetError) -> String {
    match error {
        _ if is_bogus(error) => BOGUS.to_owned(),
        NetError::Timeout => TIMED_OUT.to_owned(),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the server answered {code}"),
        NetError::NoConnections => "no dns server could be reached".to_owned(),
        other => other.to_string(),
    }
}

/// The root's anchors and those of `lines`.
fn trust_anchors(zone: &Zone, lines: &[String]) -> Result<TrustAnchors, ResolverError> {
    let wrong = |reason: String| ResolverError::Anchor { zone: zone.clone(), reason };
    let mut anchors = TrustAnchors::default();
    for line in lines {
        let entries = trust_anchor::Parser::new(line.as_str()).parse().map_err(|error| wrong(error.to_string()))?;
        if entries.is_empty() {
            return Err(wrong("the line is empty".to_owned()));
        }
        for entry in entries {
            let trust_anchor::Entry::DNSKEY(record) = entry else {
                return Err(wrong("it is no DNSKEY record".to_owned()));
            };
            let key = record.data().key().map_err(|error| wrong(error.to_string()))?;
            let key = PublicKeyBuf::new(key.public_bytes().to_vec(), record.data().algorithm());
            let mut owner = record.name().clone();
            owner.set_fqdn(true);
            anchors.insert_with_name(&key, owner.into());
        }
    }
    Ok(anchors)
}

fn server(
    servers: &[SocketAddr],
    anchors: Option<TrustAnchors>,
    timeout: Duration,
    attempts: usize,
) -> Result<Server, ResolverError> {
    let config = ResolverConfig::from_name_servers(name_servers(servers));
    let validates = anchors.is_some();
    let mut options = ResolverOpts::default();
    options.timeout = timeout;
    options.attempts = attempts - 1;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.validate = validates;
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
    let builder = match anchors {
        Some(anchors) => builder.with_trust_anchor(std::sync::Arc::new(anchors)),
        None => builder,
    };
    let inner = builder.build().map_err(|error| ResolverError::Setup(error.to_string()))?;
    Ok(Server { inner, validates })
}

fn name_servers(servers: &[SocketAddr]) -> Vec<NameServerConfig> {
    if servers.is_empty() {
        return system_servers();
    }
    let with_port = |server: &SocketAddr| {
        let mut config = NameServerConfig::udp_and_tcp(server.ip());
        config.connections.iter_mut().for_each(|connection| connection.port = server.port());
        config
    };
    servers.iter().map(with_port).collect()
}

/// The servers of `/etc/resolv.conf`, or as resolv.conf(5) says without one: a server on this machine.
fn system_servers() -> Vec<NameServerConfig> {
    match system_conf::read_system_conf() {
        Ok((config, _)) if !config.name_servers().is_empty() => config.name_servers().to_vec(),
        Ok(_) | Err(_) => vec![NameServerConfig::udp_and_tcp(IpAddr::from([127, 0, 0, 1]))],
    }
}
