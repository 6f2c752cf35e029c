//! The tables of the configuration, each with its defaults. They are data: what a value means is said here, what it does is
//! the business of the module that gets it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CardAuthoritySettings, TokenAuthoritySettings};
use crate::acme::challenge_type::ChallengeType;
use crate::model::Language;
use crate::names::quantity::{duration, size};
use crate::names::{IssuerName, ProfileName, Zone};
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

/// `[tls]`: the certificate of the ACME listener, read again on SIGHUP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsFiles {
    /// The chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key, PKCS #8 in PEM, not encrypted.
    pub key: PathBuf,
}

/// `[[officers]]`: who may use the admin socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Officer {
    /// The system's number of the user who calls.
    pub uid: u32,
    /// The name that stands in the audit trail.
    pub name: String,
    /// What the officer may do.
    pub role: OfficerRole,
}

/// What an officer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfficerRole {
    /// Organisations, invitations, revocations, and everything that the others may.
    RegistrationOfficer,
    /// Imports of the register, and everything that an auditor may.
    Operator,
    /// Looks, changes nothing.
    Auditor,
}

/// `[[issuers]]`: a CA key, its certificate and what its certificates say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its name in URLs and records. One name per key, never used for another key.
    pub name: IssuerName,
    /// The issuing certificate in PEM; further certificates up to, and without, the root may follow.
    pub certificate: PathBuf,
    /// Its key: PKCS #8 in PEM, mode 0600.
    pub key: PathBuf,
    /// Other chains for the same key, each a PEM file from the issuing certificate upwards without the root. Clients are
    /// offered them by `Link rel="alternate"`.
    #[serde(default)]
    pub alternates: Vec<PathBuf>,
    /// The delegated OCSP responder.
    pub ocsp: OcspResponder,
    /// Its CRLs.
    #[serde(default)]
    pub crl: CrlSettings,
}

/// `[issuers.ocsp]`: who answers about an issuer's certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcspResponder {
    /// The responder's certificate in PEM, issued by the issuer itself.
    pub certificate: PathBuf,
    /// Its key: PKCS #8 in PEM, mode 0600.
    pub key: PathBuf,
    /// For how long an answer holds.
    #[serde(with = "duration", default = "twelve_hours")]
    pub validity: Duration,
}

fn twelve_hours() -> Duration {
    12 * HOUR
}

/// `[issuers.crl]`: how an issuer's CRLs are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrlSettings {
    /// Into how many CRLs the certificates are spread. It may grow, never shrink: certificates name their CRL.
    pub shards: u16,
    /// How often a CRL is published anew. A revocation publishes at once.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// For how long a CRL holds: thisUpdate to nextUpdate. Longer than `interval`, so that a failed publication is survived.
    #[serde(with = "duration")]
    pub validity: Duration,
}

impl Default for CrlSettings {
    fn default() -> Self {
        CrlSettings { shards: 16, interval: 6 * HOUR, validity: 3 * DAY }
    }
}

/// `[[roots]]`: a root whose certificate and CRL are served. Its key stays away from this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Its name in the URLs of its certificate and its CRL.
    pub name: IssuerName,
    /// Its certificate in PEM.
    pub certificate: PathBuf,
    /// Its CRL, DER: served as `/crl/NAME/0.crl`. Read at start and on SIGHUP.
    pub crl: PathBuf,
}

/// `[invitation_keys]`: the master keys from which the keys of invitations are derived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InvitationKeyFiles {
    /// The generation that makes new invitations.
    pub current: String,
    /// The files by generation: 32 octets each, mode 0600. An old one stays until its last invitation has expired.
    pub files: BTreeMap<String, PathBuf>,
}

/// `[terms]`: the terms of service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Their version.
    pub version: String,
    /// Where they stand; without it, `BASE_URL/terms` shows `text`.
    #[serde(default)]
    pub url: Option<String>,
    /// A text file with the terms, shown where accounts agree to them.
    #[serde(default)]
    pub text: Option<PathBuf>,
    /// From when accounts that agreed to another version must agree anew before they order: `2027-01-01T00:00:00Z`.
    /// Without it nobody is forced.
    #[serde(default)]
    pub required_from: Option<Timestamp>,
}

/// `[lifetimes]`: how long things hold, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifetimes {
    /// An order that is not finalized ends after this.
    #[serde(with = "duration")]
    pub order: Duration,
    /// An authorization without a valid challenge ends after this.
    #[serde(with = "duration")]
    pub pending_authorization: Duration,
    /// A proof of control holds for this long.
    #[serde(with = "duration")]
    pub valid_authorization: Duration,
    /// CAA is asked again before issuance when the last answer is older than this; at most 8h (RFC 8659 and CA/B rules).
    #[serde(with = "duration")]
    pub caa: Duration,
    /// Ended orders and authorizations are kept for this long. Certificates and audit entries stay.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// Accounts that no organisation knows are kept for this long after their last request.
    #[serde(with = "duration")]
    pub strangers: Duration,
    /// A prepared certificate that could not be signed for so long is abandoned.
    #[serde(with = "duration")]
    pub prepared: Duration,
    /// How long a graceful stop lets validations and issuances go on.
    #[serde(with = "duration")]
    pub stop: Duration,
    /// How often clients shall ask whether to renew (RFC 9773).
    #[serde(with = "duration")]
    pub renewal_check: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Lifetimes {
            order: 7 * DAY,
            pending_authorization: 7 * DAY,
            valid_authorization: 30 * DAY,
            caa: 8 * HOUR,
            retention: 30 * DAY,
            strangers: 30 * DAY,
            prepared: HOUR,
            stop: Duration::from_secs(30),
            renewal_check: 6 * HOUR,
        }
    }
}

/// `[attempts]`: how often a challenge is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttemptSettings {
    /// How many attempts there are.
    pub most: u32,
    /// The first pause; each further one is twice as long.
    #[serde(with = "duration")]
    pub first_pause: Duration,
    /// The longest pause.
    #[serde(with = "duration")]
    pub longest_pause: Duration,
    /// No attempt begins later than this after the client's answer, so that it sees the reason before its own patience ends.
    #[serde(with = "duration")]
    pub within: Duration,
}

impl Default for AttemptSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        AttemptSettings { most: 3, first_pause: seconds(5), longest_pause: seconds(15), within: seconds(30) }
    }
}

/// `[store]`: the embedded store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// The page cache. The process takes up to six times as much.
    #[serde(with = "size")]
    pub cache: usize,
    /// Nothing is committed while the disk has less room than this: reopening after a failure needs some.
    #[serde(with = "size")]
    pub reserve: usize,
    /// Audit entries older than this move to sealed segment files.
    #[serde(with = "duration")]
    pub seal_audit_after: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings { cache: 24 << 20, reserve: 64 << 20, seal_audit_after: 90 * DAY }
    }
}

/// `[work]`: how much is done at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkSettings {
    /// Validations at once.
    pub validations: usize,
    /// Issuances at once.
    pub issuances: usize,
    /// Threads that sign, for each key.
    pub signing_threads: usize,
    /// Signatures that may wait for a thread, for each key.
    pub signing_queue: usize,
    /// How long one signature may take, waiting included.
    #[serde(with = "duration")]
    pub signing_timeout: Duration,
    /// OCSP answers per second that are signed on demand: with a nonce, or for an unknown serial number.
    pub ocsp_signatures: u32,
}

impl Default for WorkSettings {
    fn default() -> Self {
        WorkSettings {
            validations: 64,
            issuances: 32,
            signing_threads: 2,
            signing_queue: 256,
            signing_timeout: Duration::from_secs(10),
            ocsp_signatures: 500,
        }
    }
}

/// `[log]`: what is logged on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,sote_acme::validation=debug`. Read again on
    /// SIGHUP.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { level: "info".to_owned(), format: LogFormat::Json }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[organisation]`: how organisations prove themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrganisationSettings {
    /// The limits of an organisation for which an officer names none, and of one that proves itself.
    pub defaults: OrganisationDefaults,
    /// The challenges that an authorization of an organisation offers: `tkauth-01`, `org-signature-01`, `org-approval-01`.
    pub challenges: Vec<ChallengeType>,
    /// A verification holds for this long at most, by whatever method.
    #[serde(with = "duration")]
    pub verification_lifetime: Duration,
    /// How long registration officers have to decide an application.
    #[serde(with = "duration")]
    pub approval_lifetime: Duration,
    /// Whether an organisation's first verification by registration officers needs two of them.
    pub two_officers: bool,
    /// A page that tells applicants how applications are decided, `https://`.
    pub instructions: Option<String>,
    /// What clients showed word by word, with its personal data, is kept for this long after the decision.
    #[serde(with = "duration")]
    pub evidence_lifetime: Duration,
    /// The key under which the identifiers of persons are hashed: 32 octets, mode 0600. Needed for mandates.
    pub person_key: Option<PathBuf>,
    /// The largest CRL of a token authority or a card authority that is fetched; one takes several times as much memory.
    #[serde(with = "size")]
    pub crl_size: usize,
    /// Token authorities, for `tkauth-01`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_authority: Vec<TokenAuthoritySettings>,
    /// Authorities of cards, for `org-signature-01`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub card_authority: Vec<CardAuthoritySettings>,
}

impl Default for OrganisationSettings {
    fn default() -> Self {
        OrganisationSettings {
            defaults: OrganisationDefaults::default(),
            challenges: vec![ChallengeType::OrgApproval01],
            verification_lifetime: 398 * DAY,
            approval_lifetime: 30 * DAY,
            two_officers: true,
            instructions: None,
            evidence_lifetime: 5 * 365 * DAY,
            person_key: None,
            crl_size: 16 << 20,
            token_authority: Vec::new(),
            card_authority: Vec::new(),
        }
    }
}

/// `[organisation.defaults]`: the limits of an organisation for which an officer names none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrganisationDefaults {
    /// The profiles; empty: every profile that is no test product.
    pub profiles: Vec<ProfileName>,
    /// The dns zones; `*` is any name.
    pub zones: Vec<Zone>,
    /// The language of subjects.
    pub language: Language,
}

impl Default for OrganisationDefaults {
    fn default() -> Self {
        OrganisationDefaults { profiles: Vec::new(), zones: vec![Zone::any()], language: Language::Fi }
    }
}
