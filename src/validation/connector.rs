//! From a host's name to an open connection: resolve, judge every address by [`Networks`], then connect to exactly the
//! address that was judged, IPv6 and IPv4 in turn until one answers. Nothing else in this module opens a connection to
//! an applicant's host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::networks::Networks;
use super::resolver::{Answer, Resolver};
use super::settings::Settings;
use crate::acme::identifier::Identifier;
use crate::acme::problem::{Problem, ProblemKind};
use crate::names::DnsName;

/// A host to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By its dns name.
    Name(DnsName),
    /// By its address.
    Address(IpAddr),
}

impl Host {
    /// The host that `identifier` names; a wildcard, an organisation and a unit name none.
    pub fn of(identifier: &Identifier) -> Option<Host> {
        match identifier {
            Identifier::Dns(name) => Some(Host::Name(name.clone())),
            Identifier::Ip(address) => Some(Host::Address(*address)),
            Identifier::Wildcard(_) | Identifier::Organisation(_) | Identifier::Unit(_) => None,
        }
    }

    /// The host of a URL: a dns name, an IPv4 address in its usual form, or an IPv6 address in brackets. Other spellings
    /// of addresses (`0x7f000001`, `127.1`) are none.
    pub fn parse(text: &str) -> Option<Host> {
        if let Some(inner) = text.strip_prefix('[') {
            return inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(|address| Host::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Host::Address(address.into()));
        }
        text.strip_suffix('.').unwrap_or(text).parse().ok().map(Host::Name)
    }
}

/// As a URL and a Host header carry it.
impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Name(name) => write!(f, "{name}"),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Opens connections to the hosts of applicants.
#[derive(Clone)]
pub struct Connector {
    resolver: Arc<Resolver>,
    networks: Networks,
    connect_timeout: Duration,
}

/// More addresses of one host are not tried: a name with hundreds must not make this server a scanner.
const MOST_ADDRESSES: usize = 8;

impl Connector {
    /// A connector with the networks and the time limit of `settings`.
    pub fn new(settings: &Settings, resolver: Arc<Resolver>) -> Self {
        Connector { resolver, networks: Networks::new(settings), connect_timeout: settings.connect_timeout }
    }

    /// The addresses of `host` that may be reached, in the order to try them.
    pub async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, Problem> {
        let found = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match self.resolver.addresses(name.as_str()).await? {
                Answer::Records(addresses) => addresses,
                Answer::NoRecords => {
                    return Err(Problem::dns(format!("{name} has no address: publish an A or AAAA record for it")));
                }
                Answer::NoSuchName => {
                    return Err(Problem::dns(format!(
                        "{name} does not exist in the dns (NXDOMAIN): publish an A or AAAA record for it"
                    )));
                }
            },
        };
        let (allowed, refused): (Vec<_>, Vec<_>) = found
            .into_iter()
            .map(|address| self.networks.check(address).map_err(|why| (address, why)))
            .partition(Result::is_ok);
        let mut allowed = interleaved(allowed.into_iter().filter_map(Result::ok).collect());
        allowed.truncate(MOST_ADDRESSES);
        match refused.into_iter().find_map(Result::err) {
            Some((address, why)) if allowed.is_empty() => Err(Problem::connection(format!(
                "{host} leads to {address}, which this server does not visit: {why}. Ask its operator to allow that network, or use dns-01"
            ))),
            _ => Ok(allowed),
        }
    }

    /// A connection to `address`, within the connect limit and before `deadline`. The error is for a person.
    pub async fn connect(&self, address: IpAddr, port: u16, deadline: Instant) -> Result<TcpStream, String> {
        let at = SocketAddr::new(address, port);
        let until = deadline.min(Instant::now() + self.connect_timeout);
        match tokio::time::timeout_at(until, TcpStream::connect(at)).await {
            Ok(Ok(stream)) => {
                // Small requests must not wait for more to come; failing to say so costs only time.
                let _ = stream.set_nodelay(true);
                Ok(stream)
            }
            Ok(Err(error)) => Err(format!("{at}: {}", connect_reason(&error))),
            Err(_) => Err(format!("{at}: no answer in time; is a firewall dropping connections?")),
        }
    }
}

fn connect_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused; is a server listening there?".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::HostUnreachable => "no route to it".to_owned(),
        kind => kind.to_string(),
    }
}

/// IPv6 and IPv4 in turn, IPv6 first, so that one dead family costs one attempt and not all the time.
fn interleaved(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut seen = std::collections::HashSet::new();
    let (v6, v4): (Vec<_>, Vec<_>) =
        addresses.into_iter().filter(|address| seen.insert(*address)).partition(IpAddr::is_ipv6);
    let longest = v6.len().max(v4.len());
    (0..longest).flat_map(|place| [v6.get(place).copied(), v4.get(place).copied()]).flatten().collect()
}

/// `step`, or a problem of `kind` that names the step when `deadline` passes.
pub async fn within<T>(
    deadline: Instant,
    kind: ProblemKind,
    step: impl Future<Output = Result<T, Problem>>,
    what: impl FnOnce() -> String,
) -> Result<T, Problem> {
    match tokio::time::timeout_at(deadline, step).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Problem::new(kind, format!("the time limit of this attempt passed while {}", what()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_ipv6_is_first() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let mixed = parse(&["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(interleaved(mixed), parse(&["2001:db8::1", "192.0.2.1", "192.0.2.2"]));
    }

    #[test]
    fn only_usual_spellings_are_hosts() {
        assert_eq!(Host::parse("www.example.fi."), Some(Host::Name("www.example.fi".parse().unwrap())));
        assert_eq!(Host::parse("[::1]"), Some(Host::Address("::1".parse().unwrap())));
        assert_eq!(Host::parse("127.0.0.1"), Some(Host::Address("127.0.0.1".parse().unwrap())));
        for other in [
            "",
            ".",
            "localhost",
            "127.1",
            "0x7f000001",
            "0x7f.0.0.1",
            "2130706433",
            "0177.0.0.1",
            "[::1",
            "[fe80::1%25eth0]",
            "::1",
        ] {
            assert_eq!(Host::parse(other), None, "{other}");
        }
    }
}
