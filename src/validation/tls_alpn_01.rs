//! tls-alpn-01 (RFC 8737): the host answers a TLS handshake for the protocol `acme-tls/1` with a self-signed certificate
//! that carries the digest of the key authorization.

use std::net::IpAddr;

use aws_lc_rs::digest;
use const_oid::ObjectIdentifier;
use der::{Decode, asn1::OctetString};
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{SubjectAltName, name::GeneralName};

use super::connector::{Connector, Host, within};
use super::settings::Settings;
use super::{Attempt, peer_certificate};
use crate::acme::problem::{Problem, ProblemKind};
use crate::model::evidence::Evidence;

const PROTOCOL: &[u8] = b"acme-tls/1";
/// id-pe-acmeIdentifier (RFC 8737 §6.1).
const ACME_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.31");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// Validates by tls-alpn-01.
pub struct TlsAlpn01 {
    connector: Connector,
    port: u16,
    tls: TlsConnector,
}

impl TlsAlpn01 {
    /// A validator for the port of `settings`.
    pub fn new(settings: &Settings, connector: Connector) -> Self {
        let tls = TlsConnector::from(peer_certificate::client_config(PROTOCOL));
        TlsAlpn01 { connector, port: settings.tls_alpn_01_port, tls }
    }

    /// What proved control before `deadline`, or why nothing did.
    pub async fn evidence(&self, attempt: &Attempt, deadline: Instant) -> Result<Evidence, Problem> {
        let Some(host) = Host::of(&attempt.identifier) else {
            return Err(Problem::unauthorized(format!(
                "tls-alpn-01 cannot validate {}; use dns-01",
                attempt.identifier
            )));
        };
        let resolving = self.connector.addresses(&host);
        let addresses =
            within(deadline, ProblemKind::Dns, resolving, || format!("looking up the addresses of {host}")).await?;
        let mut failures = Vec::new();
        for address in addresses {
            match self.connector.connect(address, self.port, deadline).await {
                Ok(stream) => {
                    let shaking = self.presented(stream, &host, address);
                    let certificate = within(deadline, ProblemKind::Tls, shaking, || {
                        format!("doing the TLS handshake with {address} port {}", self.port)
                    })
                    .await?;
                    checked(&certificate, &host, &attempt.key_authorization).map_err(|why| {
                        Problem::incorrect_response(format!(
                            "the certificate of {host} at {address} port {} {why}",
                            self.port
                        ))
                    })?;
                    let trail = vec![format!("acme-tls/1 {host} port {}", self.port)];
                    return Ok(Evidence { address: Some(address), trail, ..Evidence::default() });
                }
                Err(why) => failures.push(why),
            }
        }
        Err(Problem::connection(format!("{host} could not be reached: {}", failures.join("; "))))
    }

    /// The certificate that the host presents for `acme-tls/1`. The connection is closed without a byte of application data.
    async fn presented(&self, stream: TcpStream, host: &Host, address: IpAddr) -> Result<Vec<u8>, Problem> {
        let failed = |why: String| Problem::tls(format!("{host} at {address} port {}: {why}", self.port));
        let name = indicated_name(host)?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| failed(format!("the TLS handshake for acme-tls/1 failed: {error}")))?;
        let (_, session) = stream.get_ref();
        // RFC 8737 §3: the server must have selected acme-tls/1, and nothing below TLS 1.2 will do.
        if session.alpn_protocol() != Some(PROTOCOL) {
            return Err(failed("it does not speak acme-tls/1; is another server answering at this port?".to_owned()));
        }
        if !matches!(session.protocol_version(), Some(ProtocolVersion::TLSv1_2 | ProtocolVersion::TLSv1_3)) {
            return Err(failed("it speaks no TLS 1.2 or 1.3".to_owned()));
        }
        let first = session.peer_certificates().and_then(|certificates| certificates.first());
        first.map(|certificate| certificate.to_vec()).ok_or_else(|| failed("it presented no certificate".to_owned()))
    }
}

/// What the handshake's server name indication carries.
fn indicated_name(host: &Host) -> Result<ServerName<'static>, Problem> {
    match host {
        Host::Name(_) => peer_certificate::server_name(host),
        // RFC 8738 §6: an address is indicated by its name for reverse look-ups.
        Host::Address(address) => ServerName::try_from(reverse_name(*address))
            .map_err(|_| Problem::tls(format!("{address} cannot be named in a TLS handshake"))),
    }
}

/// The name of `address` below `in-addr.arpa` or `ip6.arpa` (RFC 1035 §3.5, RFC 3596 §2.5).
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 0xf, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

/// Checks `der` against RFC 8737 §3. The error continues the sentence "the certificate of …".
fn checked(der: &[u8], host: &Host, key_authorization: &str) -> Result<(), &'static str> {
    let certificate = CertificateInner::<Raw>::from_der(der).map_err(|_| "cannot be parsed")?;
    let extensions = certificate.tbs_certificate().extensions().map(Vec::as_slice).unwrap_or_default();
    named(single(extensions, SUBJECT_ALT_NAME).ok_or("has not exactly one subject alternative name extension")?, host)?;
    let proof = single(extensions, ACME_IDENTIFIER)
        .ok_or("has not exactly one acmeIdentifier extension; is the answer of the ordinary web server?")?;
    if !proof.critical {
        return Err("has an acmeIdentifier extension that is not critical");
    }
    let value = OctetString::from_der(proof.extn_value.as_bytes())
        .map_err(|_| "has an acmeIdentifier extension that is not an octet string")?;
    let expected = digest::digest(&digest::SHA256, key_authorization.as_bytes());
    if value.as_bytes() != expected.as_ref() {
        return Err("carries another acmeIdentifier; is it of another account or an older order?");
    }
    if !peer_certificate::is_self_signed(der) {
        return Err("is not self-signed");
    }
    Ok(())
}

fn single(extensions: &[Extension], id: ObjectIdentifier) -> Option<&Extension> {
    let mut found = extensions.iter().filter(|extension| extension.extn_id == id);
    found.next().filter(|_| found.next().is_none())
}

// RFC 8737 §3, RFC 8738 §6: one dNSName, or one iPAddress, and no other entry.
fn named(extension: &Extension, host: &Host) -> Result<(), &'static str> {
    let names = SubjectAltName::from_der(extension.extn_value.as_bytes())
        .map_err(|_| "has a subject alternative name that cannot be parsed")?;
    let fits = match (names.0.as_slice(), host) {
        ([GeneralName::DnsName(found)], Host::Name(name)) => found.as_str().eq_ignore_ascii_case(name.as_str()),
        ([GeneralName::IpAddress(found)], Host::Address(IpAddr::V4(address))) => found.as_bytes() == address.octets(),
        ([GeneralName::IpAddress(found)], Host::Address(IpAddr::V6(address))) => found.as_bytes() == address.octets(),
        _ => false,
    };
    if fits { Ok(()) } else { Err("does not name exactly what is being validated") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_indicated_by_their_reverse_names() {
        assert_eq!(reverse_name("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
        assert_eq!(
            reverse_name("2001:db8::1".parse().unwrap()),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }
}
