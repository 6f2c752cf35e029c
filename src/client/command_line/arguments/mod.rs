//! What may be said on the command line.

mod organisation;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::organisation::{
    Application, CardArguments, CertificatesCommand, CertificatesList, Invitations, InvitationsCommand, Invite,
    Members, MembersCommand, Orders, OrganisationCommand, TokenArguments, VerifyOrganisation,
};
use super::report::EXIT_STATUSES;
use crate::acme::jws_algorithm::JwsAlgorithm;
use crate::client::certificate_key::KeyKind;
use crate::names::UnitOid;

/// An ACME client: obtains, renews and revokes certificates, proves an organisation and looks after what belongs to it.
#[derive(Debug, Parser)]
#[command(name = "sote-client", version, after_help = EXIT_STATUSES)]
pub(super) struct Arguments {
    /// Where accounts, keys and certificates are kept.
    #[arg(long, global = true, default_value = "./sote-client", value_name = "DIR")]
    pub dir: PathBuf,
    /// The name of one of several organisations whose accounts are kept apart in the directory.
    #[arg(long = "organisation", id = "kept-as", global = true, value_name = "NAME")]
    pub organisation: Option<String>,
    /// Print one JSON document on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The account: make it, show it, change it.
    #[command(subcommand)]
    Account(AccountCommand),
    /// The organisation: verify it, show it, agree to terms for it, see what happened to it.
    #[command(subcommand)]
    Organisation(OrganisationCommand),
    /// List the names under which organisations are kept here.
    Organisations,
    /// Invite somebody to an account of the organisation. Its credentials are shown this once.
    Invite(Invite),
    /// List the organisation's invitations, or revoke one.
    Invitations(Invitations),
    /// List the organisation's members, admit one, change its role or remove it.
    Members(Members),
    /// List the organisation's orders with their progress.
    Orders(Orders),
    /// List the organisation's certificates.
    #[command(subcommand)]
    Certificates(CertificatesCommand),
    /// Revoke a certificate: one that is kept here, or any of the organisation's by its serial number.
    Revoke(Revoke),
    /// Obtain a certificate.
    #[command(alias = "certonly", alias = "order")]
    Obtain(Obtain),
    /// Renew certificates whose time has come.
    Renew(Renew),
    /// List the certificates that are kept here.
    List,
    /// Check a certificate that is kept here as a relying service does: chain, CRL of every level, OCSP.
    Verify(Verify),
}

#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Register an account, or find the one that the key already has.
    New(NewAccount),
    /// Show the account as the server has it.
    Show,
    /// Replace the account's contact addresses.
    Update(Update),
    /// Give the account a new key.
    ChangeKey(ChangeKey),
    /// Deactivate the account for ever; its certificates stay valid.
    Deactivate,
}

#[derive(Debug, Args)]
pub(super) struct NewAccount {
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
pub(super) struct Obtain {
    /// A dns name, or `*.` and one; repeatable.
    #[arg(short = 'd', long = "domain", value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// The name under which the certificate is kept; the first dns name unless given.
    #[arg(long, value_name = "NAME")]
    pub cert_name: Option<String>,
    /// The unit in whose name it is, where the account may order for more than one; its OID.
    #[arg(long, value_name = "OID")]
    pub unit: Option<UnitOid>,
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
    /// The certificate, by the name under which it is kept here.
    #[arg(required_unless_present = "serial", conflicts_with = "serial")]
    pub name: Option<String>,
    /// The serial number of a certificate of the organisation, hexadecimal or decimal; 0x… is hexadecimal in any case.
    #[arg(long, value_name = "NUMBER", conflicts_with = "by_key")]
    pub serial: Option<String>,
    /// The issuer's name, should two issuers have used one serial number.
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub issuer: Option<String>,
    /// A note for the organisation.
    #[arg(long, value_name = "TEXT", conflicts_with = "name")]
    pub comment: Option<String>,
    /// Do not ask before a certificate is revoked by its serial number.
    #[arg(long, conflicts_with = "name")]
    pub yes: bool,
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
        let base = "sote-client account new --server https://ca/directory --tls-root root.pem";
        assert!(parse(base).is_ok());
        assert!(parse(&format!("{base} --eab-kid k1")).is_err());
        assert!(parse(&format!("{base} --eab-kid k1 --eab-hmac-key-file -")).is_ok());
        assert!(parse("sote-client certonly -d a.test --http 127.0.0.1:5002").is_ok());
        assert!(parse("sote-client obtain").is_err());
    }

    #[test]
    fn a_certificate_is_revoked_by_its_name_or_by_its_serial_number() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).is_ok();
        assert!(parse("sote-client revoke www.a.test --by-key"));
        assert!(parse("sote-client revoke --serial 0A1B --yes --reason 4 --organisation eks"));
        for wrong in ["", " a --serial 0A", " --serial 0A --by-key", " a --yes", " a --comment x"] {
            assert!(!parse(&format!("sote-client revoke{wrong}")), "{wrong}");
        }
    }

    #[test]
    fn an_organisation_is_verified_by_one_method_with_what_that_needs() {
        let parse =
            |line: &str| Arguments::try_parse_from(format!("sote-client organisation verify {line}").split(' '));
        let token = "--token-account a --authority-tls-root r --client-certificate c --client-key k";
        let application = "--name A --email a@b.fi --justification j";
        assert!(Arguments::try_parse_from(["sote-client", "organisation", "verify"]).is_ok());
        for right in [
            format!("9990001-6 --token {token}"),
            "NTRFI-9990001-6 --card --card-module m --pin-file p".to_owned(),
            "9990001-6 --card --card-certificate c --card-key k --yes".to_owned(),
            format!("9990001-6 --approval {application} --wait 2h"),
        ] {
            let parsed = parse(&right);
            assert!(parsed.is_ok(), "{right}: {parsed:?}");
        }
        for wrong in [
            "9990001-7 --card --card-module m".to_owned(),
            "9990001-6 --token".to_owned(),
            format!("9990001-6 --token --card {token} --card-module m"),
            "9990001-6 --card".to_owned(),
            "9990001-6 --card --card-certificate c".to_owned(),
            "9990001-6 --card --card-module m --card-certificate c --card-key k".to_owned(),
            "9990001-6 --approval".to_owned(),
            format!("9990001-6 {application}"),
            format!("9990001-6 {token}"),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
    }
}
