//! What belongs to an organisation, as server and client write it. These messages are this server's own: a request with a
//! member that is not known is refused, so that a misspelt limit never widens anything. Start with [`OrganisationObject`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::is_false;
use crate::acme::identifier::RawIdentifier;
use crate::names::Role;
use crate::time::Timestamp;

/// An organisation as its members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganisationObject {
    /// Whether certificates can be ordered.
    pub status: OrganisationStatus,
    /// Why it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its identifier.
    pub identifier: RawIdentifier,
    /// Its names in the register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Names>,
    /// Its units in force, at most a hundred.
    pub units: Vec<UnitObject>,
    /// Whether there are more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more_units: bool,
    /// When it was last verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// When the verification lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// How it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The URL of the authorization by which it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// The profiles that it may use.
    pub profiles: Vec<String>,
    /// The dns zones within which it may have names.
    pub dns_zones: Vec<String>,
    /// The language of its certificates, `fi` or `sv`.
    pub language: String,
    /// Whether it may have test products only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub test: bool,
    /// The terms of service, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<TermsObject>,
    /// The role of whoever asks.
    pub role: Role,
    /// The URL of its members.
    pub members: String,
    /// The URL of its invitations.
    pub invitations: String,
    /// The URL of its accounts' orders.
    pub orders: String,
    /// The URL of its certificates.
    pub certificates: String,
    /// The URL of its revocations.
    pub revocations: String,
    /// The URL of its events.
    pub events: String,
    /// The version that a change names.
    pub version: u64,
}

/// Whether an organisation can have certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrganisationStatus {
    /// It was never verified.
    Pending,
    /// It can.
    Valid,
    /// Its verification has lapsed.
    Expired,
    /// An officer stopped it.
    Suspended,
}

/// Names in the languages of the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// In Finnish.
    pub fi: String,
    /// In Swedish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sv: Option<String>,
}

/// A unit of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitObject {
    /// Its OID.
    pub oid: String,
    /// Its names.
    pub name: Names,
}

/// The terms of service and whether an organisation agreed to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsObject {
    /// The present version.
    pub version: String,
    /// Where they stand.
    pub url: String,
    /// The version to which an administrator agreed for all accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<String>,
}

/// A change of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganisationUpdate {
    /// The version of the terms of service to which an administrator agrees for all accounts.
    pub terms_of_service_agreed: String,
    /// The version of the organisation that was read.
    pub version: u64,
}

/// A page of members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersList {
    /// URLs of members.
    pub members: Vec<String>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberObject {
    /// Whether it may act.
    pub status: MemberStatus,
    /// What it waits for: `admission` or `confirmation` by an administrator, or its own `proof` of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<String>,
    /// The URL of its account, which only that account can read.
    pub account: String,
    /// The SHA-256 thumbprint of the account's key (RFC 7638), if the account still is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
    /// Its role.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
    /// The URL of the invitation that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<String>,
    /// Why it may not act any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
    /// The version that a change names.
    pub version: u64,
}

/// Whether a member may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// It waits to be admitted.
    Pending,
    /// It may.
    Valid,
    /// Its invitation was revoked.
    Stopped,
    /// It was removed, or left.
    Removed,
}

/// A change of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberUpdate {
    /// `removed` ends the membership, `valid` admits one that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Another role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Why, for whoever is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With a removal: whether to revoke the member's invitations too, and so to stop the accounts that they created.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cascade: bool,
    /// Only shows what would be touched.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// The version that was read; a dry run needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// What a change would touch, or has touched: at most a hundred of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TouchedObject {
    /// URLs of the members that would be stopped.
    pub stopped: Vec<String>,
    /// URLs of the members that the removed one's invitations created: they are stopped with `cascade` only.
    pub invited: Vec<String>,
    /// URLs of the certificates in force that those who would be stopped ordered. They are not revoked.
    pub certificates: Vec<String>,
    /// URLs of invitations that could no longer be spent.
    pub invitations: Vec<String>,
    /// Whether there is more than is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

/// A page of invitations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationsList {
    /// URLs of invitations.
    pub invitations: Vec<String>,
}

/// An invitation to make. What is left out is as wide as its inviter's own limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvitation {
    /// The role of the accounts that it creates.
    pub role: Role,
    /// For whom it is: one `mailto:`, as a note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profiles: Option<Vec<String>>,
    /// The profile of orders that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<String>,
    /// The dns zones; an empty list allows no name, `*` any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_zones: Option<Vec<String>>,
    /// The unit in whose name everything is that is ordered by dns names alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Other units that an order may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// How many accounts it may create; one if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    /// Until when it can be spent; 14 days if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whether the accounts that it creates wait to be admitted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_confirmation: bool,
    /// Makes the request one that may be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitationObject {
    /// Whether it can be spent.
    pub status: InvitationStatus,
    /// The role of the accounts that it creates.
    pub role: Role,
    /// For whom it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The profiles.
    pub profiles: Vec<String>,
    /// The profile of orders that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<String>,
    /// The dns zones.
    pub dns_zones: Vec<String>,
    /// The unit of orders by dns names alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Other units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// How many accounts it may create in all.
    pub max_uses: u32,
    /// How many it may still create.
    pub uses_left: i64,
    /// Until when it can be spent.
    pub expires: Timestamp,
    /// Whether its accounts wait to be admitted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_confirmation: bool,
    /// When it was made.
    pub created: Timestamp,
    /// The URL of the member that made it; none if a registration officer did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<String>,
    /// Why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// URLs of the members that it created, at most a hundred.
    pub members: Vec<String>,
    /// The version that a change names.
    pub version: u64,
    /// The credentials: in the answer that made it, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<Credentials>,
    /// How programs spend it, ready to be copied; beside the credentials only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commands: BTreeMap<String, String>,
}

/// Whether an invitation can be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InvitationStatus {
    /// It can.
    Pending,
    /// All its uses were spent.
    Redeemed,
    /// Its time is over.
    Expired,
    /// Whoever made it is no administrator any more. The accounts that it created go on.
    Closed,
    /// It was revoked, and the accounts that it created are stopped.
    Revoked,
}

/// The credentials of an external account binding (RFC 8555 §7.3.4).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The key identifier.
    pub kid: String,
    /// The HMAC key, base64url.
    pub hmac_key: String,
    /// The MAC algorithm that every client has.
    pub alg: String,
    /// The directory at which it is spent.
    pub directory: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.kid)
    }
}

/// A change of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InvitationUpdate {
    /// `revoked`, the only change there is.
    pub status: String,
    /// Why, for those whose accounts it created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only shows what would be touched.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// The version that was read; a dry run needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// A page of certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatesList {
    /// URLs of certificate records.
    pub certificates: Vec<String>,
}

/// The record of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRecord {
    /// Whether it is in force.
    pub status: CertificateStatus,
    /// The serial number, upper-case hexadecimal without leading zeros.
    pub serial: String,
    /// The issuer's name.
    pub issuer: String,
    /// The identifier of its renewal information (RFC 9773 §4.1).
    #[serde(rename = "ariCertID", default, skip_serializing_if = "Option::is_none")]
    pub ari_cert_id: Option<String>,
    /// The profile.
    pub profile: String,
    /// The unit that it names.
    pub unit: String,
    /// What it is for.
    pub identifiers: Vec<RawIdentifier>,
    /// Its subject, for a person.
    pub subject: String,
    /// The first second of its validity.
    pub not_before: Timestamp,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// SHA-256 of its SubjectPublicKeyInfo, base64url.
    pub spki_sha256: String,
    /// The URL of the account that ordered it.
    pub account: String,
    /// The URL of its order.
    pub order: String,
    /// The URL at which it is downloaded.
    pub certificate: String,
    /// The URL of the order that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// The URL of its revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
}

/// Whether a certificate is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateStatus {
    /// It is.
    Valid,
    /// Its validity is over.
    Expired,
    /// It was revoked, whether or not its validity is over.
    Revoked,
}

/// A change of a certificate's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateUpdate {
    /// `revoked`, the only change there is.
    pub status: String,
    /// The reason code as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Value>,
    /// A note for the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A page of revocations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationsList {
    /// URLs of revocations.
    pub revocations: Vec<String>,
}

/// A revocation by serial number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRevocation {
    /// The serial number in hexadecimal or decimal, in any case, with or without leading zeros and colons.
    pub serial: String,
    /// The issuer's name, should two issuers ever have used one serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The reason code as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Value>,
    /// A note for the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Makes the request one that may be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The revocation of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationObject {
    /// How far it has come. From its begin on OCSP says revoked.
    pub status: RevocationStatus,
    /// The URL of the certificate's record.
    pub certificate: String,
    /// The serial number.
    pub serial: String,
    /// The issuer's name.
    pub issuer: String,
    /// The reason code; 0 if none was given.
    pub reason: u8,
    /// When it was recorded.
    pub received_at: Timestamp,
    /// When it stands on a CRL at the latest.
    pub deadline: Timestamp,
    /// Who revoked it.
    pub by: ActorObject,
    /// The organisation's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The number of the first CRL that lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl_number: Option<u64>,
    /// Where that CRL, or a newer one, is found.
    pub crl: String,
}

/// How far a revocation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationStatus {
    /// No CRL lists it yet.
    Processing,
    /// A CRL lists it.
    Completed,
}

/// A page of events, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsList {
    /// The events themselves: they never change.
    pub events: Vec<EventObject>,
}

/// Something that happened to an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventObject {
    /// Its id, unique and ascending.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: String,
    /// Who.
    pub by: ActorObject,
    /// URLs of what it concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<String>,
    /// Small facts by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ActorObject {
    /// An account.
    Account {
        /// Its URL.
        account: String,
    },
    /// A registration officer.
    Officer,
    /// The holder of a certificate's key.
    CertificateKey,
    /// The server itself.
    Server,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::json;

    #[test]
    fn a_misspelt_limit_is_refused_and_does_not_widen_anything() {
        assert!(json::object::<NewInvitation>(br#"{"role":"auditor","dnsZones":["a.fi"]}"#).is_ok());
        for text in [
            r#"{"role":"auditor","dnszones":["a.fi"]}"#,
            r#"{"role":"owner"}"#,
            r#"{}"#,
            r#"{"role":"auditor","maxUses":-1}"#,
        ] {
            assert!(json::object::<NewInvitation>(text.as_bytes()).is_err(), "{text}");
        }
        assert!(json::object::<MemberUpdate>(br#"{"status":"removed","dryrun":true,"version":1}"#).is_err());
    }

    #[test]
    fn an_actor_is_told_by_kind() {
        let account = ActorObject::Account { account: "u".into() };
        assert_eq!(serde_json::to_string(&account).unwrap(), r#"{"kind":"account","account":"u"}"#);
        assert_eq!(serde_json::to_string(&ActorObject::Officer).unwrap(), r#"{"kind":"officer"}"#);
    }

    #[test]
    fn credentials_do_not_show_their_key_to_a_log() {
        let credentials = Credentials {
            kid: "k1_x".into(),
            hmac_key: "secret".into(),
            alg: "HS256".into(),
            directory: "https://ca.example.fi/directory".into(),
        };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
