//! The small dns server of `demo`, `dev` and the tests: it answers the loopback address for every name of its zones, and
//! whatever records a file or a test sets. It is no server for the public: it knows neither delegation nor DNSSEC. Start
//! with [`DnsResponder::start`]; the records' form is in [`records`].

pub mod records;
mod update;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Header, HeaderCounts, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, Record as DnsRecord, RecordType};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use crate::names::Zone;
use records::{Data, Record, Records};

/// What a [`DnsResponder`] answers, and where.
#[derive(Debug, Clone)]
pub struct ResponderSettings {
    /// The address for UDP and TCP alike; port 0 takes any port that is free for both.
    pub listen: SocketAddr,
    /// The zones in which every name exists; outside them none does.
    pub zones: Vec<Zone>,
    /// The addresses of every name that has none set.
    pub addresses: Vec<IpAddr>,
    /// The file with further records, read again whenever it changed; it need not exist.
    pub records: Option<PathBuf>,
}

impl Default for ResponderSettings {
    /// Any port of 127.0.0.1, that address for every name under `test`, no file.
    fn default() -> Self {
        ResponderSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            zones: vec!["test".parse().expect("a zone of one label")],
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            records: None,
        }
    }
}

/// A running dns server. It stops when it is dropped.
pub struct DnsResponder {
    address: SocketAddr,
    records: Arc<Records>,
    server: Server<Answers>,
}

/// So many ports are tried until one is free for UDP and TCP alike.
const PORT_ATTEMPTS: usize = 20;
const TCP_IDLE: Duration = Duration::from_secs(10);
const TCP_BUFFER: usize = 16;
/// Answers change whenever someone edits the file, so nobody may keep them.
const TTL: u32 = 0;
/// As many aliases are followed within one answer.
const MOST_ALIASES: usize = 8;

impl DnsResponder {
    /// Binds the sockets and answers from then on.
    pub async fn start(settings: ResponderSettings) -> io::Result<Self> {
        let (tcp, udp) = sockets(settings.listen).await?;
        let address = tcp.local_addr()?;
        let records = Arc::new(Records::new(settings.records));
        let answers = Answers { records: records.clone(), zones: settings.zones, addresses: settings.addresses };
        let mut server = Server::new(answers);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_BUFFER);
        Ok(DnsResponder { address, records, server })
    }

    /// The address that it really listens on, for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a record in memory, beside those of the file: `NAME TYPE VALUE` as [`records`] describes.
    pub fn add(&self, line: &str) -> Result<(), records::RecordError> {
        self.records.add(line.parse()?);
        Ok(())
    }

    /// Removes from memory the records of `name`, all or those of one type.
    pub fn remove(&self, name: &str, kind: Option<&str>) {
        self.records.remove(name, kind);
    }

    /// Stops, after the questions that are being answered.
    pub async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::debug!(%error, "the dns responder did not stop cleanly");
        }
    }
}

async fn sockets(listen: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    for _ in 1..PORT_ATTEMPTS {
        let tcp = TcpListener::bind(listen).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((tcp, udp)),
            // Someone else has that port for UDP: with port 0 another one is taken.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && listen.port() == 0 => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free for UDP and TCP alike"))
}

struct Answers {
    records: Arc<Records>,
    zones: Vec<Zone>,
    addresses: Vec<IpAddr>,
}

/// What one question gets.
enum Reply {
    /// Records, perhaps none.
    Found(Vec<DnsRecord>),
    /// A code and no records.
    Code(ResponseCode),
    /// Nothing at all, as from a server that is down.
    Silence,
}

impl Answers {
    fn reply(&self, name: &Name, wanted: RecordType) -> Reply {
        let records = self.records.current();
        let mut answers = Vec::new();
        let mut name = name.clone();
        for _ in 0..MOST_ALIASES {
            let text = plain(&name);
            let Some(zone) = self.zone_of(&text) else {
                return if answers.is_empty() { Reply::Code(ResponseCode::NXDomain) } else { Reply::Found(answers) };
            };
            let own: Vec<&Record> = records.iter().filter(|record| record.name == text).collect();
            if let Some(fault) = own.iter().find_map(|record| fault(record, wanted)) {
                return fault;
            }
            let alias = own.iter().find_map(|record| match &record.data {
                Data::Plain(RData::CNAME(target)) if wanted != RecordType::CNAME => Some(target.0.clone()),
                _ => None,
            });
            match alias {
                Some(target) => {
                    answers.push(answer(&name, RData::CNAME(hickory_proto::rr::rdata::CNAME(target.clone()))));
                    name = target;
                }
                None => {
                    answers
                        .extend(self.own_data(&own, wanted, zone, &text).into_iter().map(|data| answer(&name, data)));
                    break;
                }
            }
        }
        Reply::Found(answers)
    }

    /// The data of `wanted` at one name: what was set, else what every name has.
    fn own_data(&self, own: &[&Record], wanted: RecordType, zone: &Zone, name: &str) -> Vec<RData> {
        let set: Vec<RData> = own.iter().filter_map(|record| record.data_of(wanted)).collect();
        let addressed =
            own.iter().any(|record| record.data_of(RecordType::A).or(record.data_of(RecordType::AAAA)).is_some());
        let default = |wanted_family: fn(&IpAddr) -> bool| {
            let addresses = self.addresses.iter().copied().filter(|_| !addressed);
            addresses.filter(wanted_family).map(RData::from).collect::<Vec<_>>()
        };
        match wanted {
            RecordType::A if set.is_empty() => default(IpAddr::is_ipv4),
            RecordType::AAAA if set.is_empty() => default(IpAddr::is_ipv6),
            // Clients that look for the zone of a name ask for SOA upwards until one answers.
            RecordType::SOA if name == zone.as_str() => vec![RData::SOA(start_of(zone))],
            RecordType::NS if name == zone.as_str() => {
                server_of(zone).map(|server| RData::NS(NS(server))).into_iter().collect()
            }
            _ => set,
        }
    }

    fn zone_of(&self, name: &str) -> Option<&Zone> {
        let within =
            |zone: &&Zone| name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.zones.iter().filter(within).max_by_key(|zone| zone.as_str().len())
    }

    async fn answered<R: ResponseHandler>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        let (mut answers, mut authorities) = (Vec::new(), Vec::new());
        match request.metadata.op_code {
            OpCode::Update => {
                metadata.response_code = update::applied(request, &self.records, |name| self.zone_of(name).is_some())
            }
            OpCode::Query => match request.queries.queries() {
                [query] => match self.reply(query.original().name(), query.query_type()) {
                    Reply::Found(found) => answers = found,
                    Reply::Code(code) => metadata.response_code = code,
                    Reply::Silence => return silent(metadata),
                },
                _ => metadata.response_code = ResponseCode::FormErr,
            },
            _ => metadata.response_code = ResponseCode::NotImp,
        }
        let query = request.queries.queries().first();
        if let (true, Some(zone)) =
            (answers.is_empty(), query.and_then(|query| self.zone_of(&plain(query.original().name()))))
        {
            // RFC 2308 §2: a negative answer carries the zone's SOA.
            authorities.extend(
                Name::from_ascii(format!("{zone}.")).ok().map(|name| answer(&name, RData::SOA(start_of(zone)))),
            );
        }
        let edns = request.edns.as_ref().map(answering_edns);
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let response = builder.build(metadata, &answers, &authorities, [], []);
        handle.send_response(response).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "a dns answer could not be sent");
            silent(metadata)
        })
    }
}

/// The answering side of EDNS: the size that the asker gave bounds a UDP answer, within what passes every network.
fn answering_edns(asked: &Edns) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(asked.max_payload().clamp(512, 1232));
    edns.set_version(0);
    edns
}

fn silent(metadata: Metadata) -> ResponseInfo {
    ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
}

fn fault(record: &Record, wanted: RecordType) -> Option<Reply> {
    match &record.data {
        Data::Plain(_) => None,
        Data::NoSuchName => Some(Reply::Code(ResponseCode::NXDomain)),
        Data::ServerFailure(of) => of.is_none_or(|of| of == wanted).then_some(Reply::Code(ResponseCode::ServFail)),
        Data::Silence(of) => of.is_none_or(|of| of == wanted).then_some(Reply::Silence),
    }
}

fn answer(name: &Name, data: RData) -> DnsRecord {
    DnsRecord::from_rdata(name.clone(), TTL, data)
}

fn server_of(zone: &Zone) -> Option<Name> {
    Name::from_ascii(format!("ns.{zone}.")).ok()
}

fn start_of(zone: &Zone) -> SOA {
    let server = server_of(zone).unwrap_or_default();
    SOA::new(server.clone(), server, 1, 60, 60, 60, 0)
}

/// A name in lower case without its final dot, as records are compared.
fn plain(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

impl RequestHandler for Answers {
    // The trait comes from a macro; this is the form that it gives to an async method.
    fn handle_request<'life0, 'life1, 'async_trait, R, T>(
        &'life0 self,
        request: &'life1 Request,
        response_handle: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        R: ResponseHandler + 'async_trait,
        T: Time + 'async_trait,
    {
        Box::pin(self.answered(request, response_handle))
    }
}
