//! What may be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::acme::jws_algorithm::JwsAlgorithm;
use crate::client::certificate_key::KeyKind;

/// An ACME client: obtains, renews and revokes certificates.
#[derive(Debug, Parser)]
#[command(name = "sote-client", version)]
pub(super) struct Arguments {
    /// Where the account, the keys and the certificates are kept.
    #[arg(long, global = true, default_value = "./sote-client", value_name = "DIR")]
    pub dir: PathBuf,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Register an account, or find the one that the key already has.
    Register(Register),
    /// Show the account as the server has it.
    Account,
    /// Replace the account's contact addresses.
    Update(Update),
    /// Give the account a new key.
    ChangeKey(ChangeKey),
    /// Deactivate the account for ever; its certificates stay valid.
    Deactivate,
    /// Obtain a certificate.
    #[command(alias = "certonly")]
    Order(Order),
    /// Renew certificates whose time has come.
    Renew(Renew),
    /// Revoke a certificate.
    Revoke(Revoke),
    /// List the certificates.
    List,
    /// Check a certificate as a relying service does: chain, CRL of every level, OCSP.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(super) struct Register {
    /// The directory URL of the server.
    #[arg(long, value_name = "URL")]
    pub server: String,
    /// A PEM file with the roots that the server's own HTTPS certificate must lead to.
    #[arg(long, value_name = "FILE")]
    pub tls_root: PathBuf,
    /// The key id of the invitation (external account binding).
    #[arg(long, value_name = "KID", requires = "eab_hmac_key_file")]
    pub eab_kid: Option<String>,
    /// A file with the invitation's MAC key in base64url; `-` reads it from the standard input.
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    pub eab_hmac_key_file: Option<PathBuf>,
    /// A contact address, someone@example.fi; repeatable.
    #[arg(long, value_name = "ADDRESS")]
    pub contact: Vec<String>,
    /// Agree to the server's terms of service.
    #[arg(long)]
    pub agree_tos: bool,
    /// The kind of the account's key.
    #[arg(long, value_enum, default_value_t = AccountKeyKind::Es256)]
    pub key: AccountKeyKind,
}

/// A kind of account key by its JWS algorithm.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum AccountKeyKind {
    Es256,
    Es384,
    Rs256,
    Eddsa,
}

impl From<AccountKeyKind> for JwsAlgorithm {
    fn from(kind: AccountKeyKind) -> Self {
        match kind {
            AccountKeyKind::Es256 => JwsAlgorithm::Es256,
            AccountKeyKind::Es384 => JwsAlgorithm::Es384,
            AccountKeyKind::Rs256 => JwsAlgorithm::Rs256,
            AccountKeyKind::Eddsa => JwsAlgorithm::EdDsa,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Update {
    /// A contact address; repeatable. Without any, the account has none.
    #[arg(long, value_name = "ADDRESS")]
    pub contact: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChangeKey {
    /// The kind of the new key.
    #[arg(long, value_enum, default_value_t = AccountKeyKind::Es256)]
    pub key: AccountKeyKind,
}

#[derive(Debug, Args)]
pub(super) struct Order {
    /// A dns name, or `*.` and one; repeatable.
    #[arg(short = 'd', long = "domain", value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// The name under which the certificate is kept; the first dns name unless given.
    #[arg(long, value_name = "NAME")]
    pub cert_name: Option<String>,
    /// The server's profile.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// The kind of the certificate's key.
    #[arg(long, value_enum, default_value_t = KeyKind::EcP256)]
    pub key: KeyKind,
    #[command(flatten)]
    pub proof: ProofArguments,
}

/// How control of the names is proved.
#[derive(Debug, Args)]
pub(super) struct ProofArguments {
    /// Where the http-01 responder listens.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:80", conflicts_with_all = ["tls_alpn", "dns_hook"])]
    pub http: SocketAddr,
    /// Prove by tls-alpn-01 and listen here, usually on port 443.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "dns_hook")]
    pub tls_alpn: Option<SocketAddr>,
    /// Prove by dns-01 with this program: `PROGRAM present|withdraw NAME VALUE`.
    #[arg(long, value_name = "PROGRAM")]
    pub dns_hook: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Renew {
    /// The certificates; all unless given.
    pub names: Vec<String>,
    /// Renew now, whatever the server advises.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub proof: ProofArguments,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The certificate.
    pub name: String,
    /// The reason code of RFC 5280: 1 key compromise, 3 affiliation changed, 4 superseded, 5 cessation of operation.
    #[arg(long, value_name = "CODE")]
    pub reason: Option<u8>,
    /// Sign by the certificate's key instead of the account's.
    #[arg(long)]
    pub by_key: bool,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The certificate.
    pub name: String,
    /// A PEM file with the root to trust.
    #[arg(long, value_name = "FILE")]
    pub issuer_root: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn an_invitation_needs_both_its_parts() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let base = "sote-client register --server https://ca/directory --tls-root root.pem";
        assert!(parse(base).is_ok());
        assert!(parse(&format!("{base} --eab-kid k1")).is_err());
        assert!(parse(&format!("{base} --eab-kid k1 --eab-hmac-key-file -")).is_ok());
        assert!(parse("sote-client certonly -d a.test --http 127.0.0.1:5002").is_ok());
        assert!(parse("sote-client order").is_err());
    }
}
