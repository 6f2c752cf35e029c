//! What may be said about an organisation.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use crate::acme::messages::organisation::CertificateStatus;
use crate::acme::status::OrderStatus;
use crate::names::quantity::duration;
use crate::names::{BusinessId, OrganisationIdentifier, Role, UnitOid};
use crate::time::Timestamp;

#[derive(Debug, Subcommand)]
pub(in super::super) enum OrganisationCommand {
    /// Prove the organisation, or see where a proof stands that was begun.
    Verify(Box<VerifyOrganisation>),
    /// Show the organisation: names, units, how and until when it is verified, limits.
    Show,
    /// Agree to the present terms of service for all accounts of the organisation.
    AgreeTos,
    /// List what happened to the organisation, oldest first.
    Events,
}

/// Where a card is.
#[cfg(feature = "pkcs11")]
const CARD_SOURCES: [&str; 2] = ["card_module", "card_certificate"];
#[cfg(not(feature = "pkcs11"))]
const CARD_SOURCES: [&str; 1] = ["card_certificate"];

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("method").args(["token", "card", "approval"])))]
#[command(group(ArgGroup::new("card_source").args(CARD_SOURCES)))]
pub(in super::super) struct VerifyOrganisation {
    /// The organisation: its Business ID, 0245437-2, or NTRFI-0245437-2. Default: the one that was begun, or the account's.
    #[arg(value_parser = organisation)]
    pub identifier: Option<OrganisationIdentifier>,
    /// By a token of a token authority.
    #[arg(long)]
    pub token: bool,
    /// By the signature of an organisation's or a professional's card.
    #[arg(long, requires = "card_source")]
    pub card: bool,
    /// By an application that registration officers decide.
    #[arg(long)]
    pub approval: bool,
    /// How long to wait for a decision, such as 2h; tokens and cards are waited for 90 s anyway.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub wait: Option<Duration>,
    /// Do not ask before a card signs.
    #[arg(long, requires = "card")]
    pub yes: bool,
    #[command(flatten)]
    pub token_arguments: TokenArguments,
    #[command(flatten)]
    pub card_arguments: CardArguments,
    #[command(flatten)]
    pub application: Application,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "With --token")]
pub(in super::super) struct TokenArguments {
    /// The token authority's URL; the one that the server names unless given.
    #[arg(long, value_name = "URL", requires = "token")]
    pub token_authority: Option<String>,
    /// The account at the token authority.
    #[arg(long, value_name = "ID", requires = "token", required_if_eq("token", "true"))]
    pub token_account: Option<String>,
    /// A PEM file with the roots that the token authority's HTTPS certificate must lead to.
    #[arg(long, value_name = "FILE", requires = "token", required_if_eq("token", "true"))]
    pub authority_tls_root: Option<PathBuf>,
    /// The client certificate by which the token authority knows the account, PEM.
    #[arg(long, value_name = "FILE", requires = "token", required_if_eq("token", "true"))]
    pub client_certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE", requires = "token", required_if_eq("token", "true"))]
    pub client_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "With --card")]
pub(in super::super) struct CardArguments {
    /// The PKCS #11 module of the card reader's software, such as /usr/lib/libcryptoki.so.
    #[cfg(feature = "pkcs11")]
    #[arg(long, value_name = "FILE", requires = "card")]
    pub card_module: Option<PathBuf>,
    /// The card's label, if there are several.
    #[cfg(feature = "pkcs11")]
    #[arg(long, value_name = "LABEL", requires = "card_module")]
    pub card_label: Option<String>,
    /// The label of the certificate on the card, if there are several.
    #[cfg(feature = "pkcs11")]
    #[arg(long, value_name = "LABEL", requires = "card_module")]
    pub card_certificate_label: Option<String>,
    /// A file with the card's PIN; `-` reads it from the standard input. It is asked for unless given.
    #[cfg(feature = "pkcs11")]
    #[arg(long, value_name = "FILE", requires = "card_module")]
    pub pin_file: Option<PathBuf>,
    /// The certificate of a seal that is kept in files, PEM, with those above it.
    #[arg(long, value_name = "FILE", requires_all = ["card", "card_key"])]
    pub card_certificate: Option<PathBuf>,
    /// Its key, PKCS #8 PEM.
    #[arg(long, value_name = "FILE", requires = "card_certificate")]
    pub card_key: Option<PathBuf>,
    /// Certificates of authorities above the card's that it does not carry itself, PEM.
    #[arg(long, value_name = "FILE", requires = "card")]
    pub card_issuers: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "With --approval")]
pub(in super::super) struct Application {
    /// The applicant's name.
    #[arg(long, value_name = "NAME", requires = "approval", required_if_eq("approval", "true"))]
    pub name: Option<String>,
    /// The applicant's mail address.
    #[arg(long, value_name = "ADDRESS", requires = "approval", required_if_eq("approval", "true"))]
    pub email: Option<String>,
    /// The applicant's telephone number.
    #[arg(long, value_name = "NUMBER", requires = "approval")]
    pub phone: Option<String>,
    /// Why the applicant may act for the organisation.
    #[arg(long, value_name = "TEXT", requires = "approval", required_if_eq("approval", "true"))]
    pub justification: Option<String>,
    /// A document that the registration officers get by another way; only its name and its hash are sent. Repeatable.
    #[arg(long = "document", value_name = "FILE", requires = "approval")]
    pub documents: Vec<PathBuf>,
}

/// A Business ID with or without its prefix.
fn organisation(text: &str) -> Result<OrganisationIdentifier, String> {
    let of_business_id = |id: BusinessId| OrganisationIdentifier::from(&id);
    let parsed = match text.starts_with("NTRFI-") {
        true => text.parse(),
        false => text.parse().map(of_business_id),
    };
    parsed.map_err(|error| error.to_string())
}

#[derive(Debug, Args)]
pub(in super::super) struct Invite {
    /// What the accounts may do.
    #[arg(long, value_enum, default_value_t = RoleName::TechnicalContact)]
    pub role: RoleName,
    /// For whom it is, a mail address: a note for the organisation.
    #[arg(long, value_name = "ADDRESS")]
    pub contact: Option<String>,
    /// The unit in whose name everything is that the accounts order by dns names alone; its OID.
    #[arg(long, value_name = "OID")]
    pub unit: Option<UnitOid>,
    /// Another unit that an order may name; repeatable.
    #[arg(long = "also-unit", value_name = "OID")]
    pub units: Vec<UnitOid>,
    /// A dns zone in which names may lie; repeatable. Default: all that you may.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<String>,
    /// A profile that may be ordered; repeatable. Default: all that you may.
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// The profile of orders that name none; needed with several profiles.
    #[arg(long, value_name = "NAME")]
    pub default_profile: Option<String>,
    /// How many accounts it may create.
    #[arg(long, value_name = "COUNT")]
    pub uses: Option<u32>,
    /// Until when it can be spent, such as 2027-01-31T12:00:00Z. Default: 14 days.
    #[arg(long, value_name = "TIME", conflicts_with = "valid_for")]
    pub expires: Option<Timestamp>,
    /// For how long it can be spent, such as 14d.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub valid_for: Option<Duration>,
    /// Let the accounts wait until an administrator admits them.
    #[arg(long)]
    pub require_confirmation: bool,
    /// Any text: the same invitation asked for again with the same text within a day is made once.
    #[arg(long, value_name = "TEXT")]
    pub idempotency_key: Option<String>,
}

/// A role by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum RoleName {
    /// Invites, sees and revokes everything of the organisation.
    Administrator,
    /// Orders, and sees and revokes its own.
    TechnicalContact,
    /// Sees; changes nothing.
    Auditor,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Administrator => Role::Administrator,
            RoleName::TechnicalContact => Role::TechnicalContact,
            RoleName::Auditor => Role::Auditor,
        }
    }
}

#[derive(Debug, Args)]
pub(in super::super) struct Invitations {
    #[command(subcommand)]
    pub command: Option<InvitationsCommand>,
}

#[derive(Debug, Subcommand)]
pub(in super::super) enum InvitationsCommand {
    /// List them.
    List,
    /// Show one, with the members that it created.
    Show {
        /// Its URL, or the end of it.
        invitation: String,
    },
    /// Revoke one: the accounts that it created are stopped. What that touches is shown first.
    Revoke {
        /// Its URL, or the end of it.
        invitation: String,
        /// Why, for those whose accounts it created.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        care: Care,
    },
}

/// How careful to be with what stops others.
#[derive(Debug, Clone, Copy, Args)]
pub(in super::super) struct Care {
    /// Only show what would be touched.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub(in super::super) struct Members {
    #[command(subcommand)]
    pub command: Option<MembersCommand>,
}

#[derive(Debug, Subcommand)]
pub(in super::super) enum MembersCommand {
    /// List them.
    List,
    /// Show one.
    Show {
        /// Its URL, or the end of it.
        member: String,
    },
    /// Admit one that waits for it. Compare the thumbprint of its key with what its holder says.
    Admit {
        /// Its URL, or the end of it.
        member: String,
    },
    /// Give one another role.
    Role {
        /// Its URL, or the end of it.
        member: String,
        /// The new role.
        #[arg(value_enum)]
        role: RoleName,
    },
    /// Remove one: its account is stopped. What that touches is shown first.
    Remove {
        /// Its URL, or the end of it.
        member: String,
        /// Revoke the invitations that it made too, which stops the accounts that they created.
        #[arg(long)]
        cascade: bool,
        /// Why, for whoever is removed.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        care: Care,
    },
}

#[derive(Debug, Args)]
pub(in super::super) struct Orders {
    /// Those with this status.
    #[arg(long, value_name = "STATUS", value_parser = word::<OrderStatus>)]
    pub status: Option<OrderStatus>,
}

#[derive(Debug, Subcommand)]
pub(in super::super) enum CertificatesCommand {
    /// List them, newest last.
    List(CertificatesList),
    /// Show one.
    Show {
        /// Its serial number, hexadecimal or decimal.
        serial: String,
    },
}

#[derive(Debug, Args)]
pub(in super::super) struct CertificatesList {
    /// Those with this status: valid, expired or revoked.
    #[arg(long, value_name = "STATUS", value_parser = word::<CertificateStatus>)]
    pub status: Option<CertificateStatus>,
    /// Those that end before this time, such as 2027-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub expires_before: Option<Timestamp>,
    /// Those of this profile.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Those that name this unit, by its OID.
    #[arg(long, value_name = "OID")]
    pub unit: Option<UnitOid>,
    /// Those with this serial number, hexadecimal or decimal.
    #[arg(long, value_name = "NUMBER")]
    pub serial: Option<String>,
}

/// A word of the protocol.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| error.to_string())
}
