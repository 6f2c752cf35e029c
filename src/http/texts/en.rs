//! English sentences. Each says what is wrong and what to do next.

use super::TermsPageTexts;
use crate::acme::problem::{OwnKind, ProblemKind};
use crate::acme::status::{AuthorizationStatus, OrderStatus};
use crate::model::Refusal;
use crate::model::refusal::{IdentifierFault, ValidityFault};

/// What is refused and what to do next.
pub(super) fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::AccountDoesNotExist => {
            "There is no account with this key. Register one with newAccount, or use the key and the account URL of an \
             existing one."
                .into()
        }
        Refusal::AccountDeactivated => {
            "This account was deactivated by its holder, and that is final. Register a new account with another key.".into()
        }
        Refusal::AccountRevoked { reason } => format!(
            "This account was ended by the service: {reason}. Contact the service if you believe that this is a mistake."
        ),
        Refusal::TermsNotAgreed { terms } => format!(
            "The terms of service were not agreed to. Read {terms} and send \"termsOfServiceAgreed\": true with newAccount."
        ),
        Refusal::TermsChanged { instance, .. } => format!(
            "The terms of service have changed. Open {instance} in a browser, read and accept them, then try again."
        ),
        Refusal::InvalidContact { contact } => format!(
            "The contact \"{contact}\" is not one plain mail address. Write each as mailto:name@example.fi, without headers \
             and without a second address, and at most ten of them."
        ),
        Refusal::UnsupportedContact { contact } => format!(
            "The contact \"{contact}\" cannot be used: only mailto: is supported. Give a mail address or leave the contact \
             out."
        ),
        Refusal::ExternalAccountRequired => {
            "New accounts need an external account binding here. Ask an administrator of your organisation for an \
             invitation, and give its key identifier and HMAC key to your client (for certbot: --eab-kid and \
             --eab-hmac-key)."
                .into()
        }
        Refusal::BindingRefused => {
            "The external account binding is not accepted: its key identifier is unknown, its invitation has ended or is \
             used up, or its HMAC key is not the right one. Check both values, or ask your organisation's administrator for \
             a new invitation."
                .into()
        }
        Refusal::BadAccountKey { why } => format!(
            "This key cannot be an account's key: {why}. Use an ECDSA key on P-256 or P-384, an Ed25519 key, or an RSA key \
             of 2048 to 4096 bits that is used for nothing else."
        ),
        Refusal::KeyInUse { .. } => {
            "Another account already has this key; the Location header names it. Make a new key for the change.".into()
        }
        Refusal::Malformed { why } => format!("The request is malformed: {why}."),
        Refusal::NotFound => "There is nothing at this URL. Use the URLs that the directory and earlier answers give.".into(),
        Refusal::NotAMember => {
            "This account belongs to no organisation, so it may not order certificates. Register an account with an \
             external account binding from your organisation's administrator, or prove the organisation with newAuthz of \
             the organisation directory."
                .into()
        }
        Refusal::MembershipPending => {
            "This account's membership waits to be admitted by an administrator of the organisation or by registration \
             officers. Try again when it was admitted."
                .into()
        }
        Refusal::MembershipEnded { reason } => format!(
            "This account may no longer order certificates for its organisation: {reason}. Ask your organisation's \
             administrator for a new invitation."
        ),
        Refusal::AuditorsOrderNothing => {
            "This account is an auditor's: it sees everything of its organisation and orders nothing. Use the account of an \
             administrator or a technical contact."
                .into()
        }
        Refusal::RoleNeeded { role, needed } => {
            let needed: Vec<_> = needed.iter().map(|role| role.name()).collect();
            format!("This account's role is {role}; this needs the role {}. Use the account of such a member.", needed.join(" or "))
        }
        Refusal::LastAdministrator => {
            "The organisation would be left without an administrator. Invite another one first, then try again.".into()
        }
        Refusal::VersionDiffers { version } => format!(
            "It has changed since it was read: its version is now {version}. Read it again, and send the change with that \
             version if it is still right."
        ),
        Refusal::RepeatDiffers => {
            "The idempotencyKey was used for another request within the last 24 hours. Send the same request again to get its \
             answer, or choose a new key."
                .into()
        }
        Refusal::OrganisationNotVerified => {
            "The organisation has not been verified yet. An administrator of it must prove it before certificates can be \
             ordered."
                .into()
        }
        Refusal::OrganisationLapsed { expired } => format!(
            "The verification of the organisation lapsed at {expired}. An administrator of it must renew it; orders can then \
             go on."
        ),
        Refusal::OrganisationSuspended { reason } => format!(
            "The organisation is suspended: {reason}. Contact the service before you try again."
        ),
        Refusal::TestOrganisation { profile } => format!(
            "A test organisation gets test certificates only, and {profile} is no test profile. Choose a test profile."
        ),
        Refusal::UnitNotResolvable => {
            "It is not clear for which unit of the organisation the certificate is. Name a sote-unit in the order (at the \
             organisation directory), or ask your organisation's administrator for an invitation that names the unit."
                .into()
        }
        Refusal::UnitRejected { unit } => format!(
            "The unit {unit} is not in force in the register, or belongs to another organisation. Check the OID, and whether \
             the register is up to date."
        ),
        Refusal::UnitNotAllowed { unit } => format!(
            "This account may not order for the unit {unit}. Ask your organisation's administrator for an invitation that \
             names it."
        ),
        Refusal::NameTooLong { unit } => format!(
            "The name of the unit {unit} is longer than the 64 characters that a certificate has room for, and the register \
             has no shorter one. Ask the register to add an abbreviation to this row."
        ),
        Refusal::ProfileNotAllowed { profile, allowed } => format!(
            "The profile {profile} does not exist or is not open to this account. {}",
            offered(allowed)
        ),
        Refusal::ProfileNeeded { allowed } => {
            format!("The order names no profile, and there is no default for this account. {}", offered(allowed))
        }
        Refusal::IdentifiersRejected { rejected } => format!(
            "{} of the names cannot be had; the subproblems say why for each. Leave them out, or ask your organisation's \
             administrator for an invitation that allows them.",
            rejected.len()
        ),
        Refusal::IdentifiersUnsupported { kinds } => {
            let kinds = kinds.join(", ");
            format!("Identifiers of type {kinds} cannot be used here. Use dns names, or organization-id and sote-unit at the \
                     organisation directory.")
        }
        Refusal::IdentifierAlias { given, canonical } => {
            format!("\"{given}\" is another spelling of an organisation. Name it by the organization-id {canonical}.")
        }
        Refusal::OrganisationRejected { organisation } => format!(
            "This account may not act for {organisation}: no row in force of the register names it, or the account belongs \
             to another organisation, for its whole life. Check the identifier; for another organisation register an account \
             of its own."
        ),
        Refusal::OrganisationOrphaned => {
            "The organisation has lost its last administrator, so nobody can be invited into it. Let a new administrator \
             prove the organisation; two registration officers then admit it (sote-acme member admit)."
                .into()
        }
        Refusal::OwnConfirmation => {
            "You have approved this already, and nobody confirms their own approval. Let another registration officer \
             approve it."
                .into()
        }
        Refusal::MemberNotWaiting => {
            "This member does not wait to be admitted: it was admitted, refused or removed meanwhile. Read it again.".into()
        }
        Refusal::ProofAwaited => {
            "This account was invited as an administrator: it has to prove the organisation itself, or a registration \
             officer admits it. An administrator cannot."
                .into()
        }
        Refusal::AdministratorNeeded => {
            "Only an administrator of the organisation may do this. Use an administrator's account, or ask one.".into()
        }
        Refusal::OneOrganisationOnly => {
            "An order names at most one organization-id or sote-unit. Make an order for each.".into()
        }
        Refusal::DnsNameNeeded => {
            "The profile's certificates are for dns names, and the order has none. Add the names of the server.".into()
        }
        Refusal::TooManyOpenProofs { most } => format!(
            "This account has {most} authorizations of organisations that are not proved yet, and may not have more. Prove \
             or deactivate one of them first."
        ),
        Refusal::TooManyIdentifiers { most } => {
            format!("An order with this profile may have at most {most} names. Split the names over several orders.")
        }
        Refusal::ValidityRefused { why } => validity(why),
        Refusal::OrderNotReady { status } => not_ready(*status),
        Refusal::OrderVoid { reason } => format!("This order was ended: {reason}. Make a new order when that is settled."),
        Refusal::OrderExpired => "The time of this order is over. Make a new order.".into(),
        Refusal::AuthorizationEnded { status } => format!(
            "The authorization is {} and can no longer be proved. Make a new order, which gets a new authorization.",
            authorization_status(*status)
        ),
        Refusal::OtherChallengeProcessing => {
            "Another challenge of this authorization is being validated. Wait for its result: one challenge decides.".into()
        }
        Refusal::NoWildcardInAdvance => {
            "A wildcard name cannot be authorised in advance. Leave the \"*.\" out, or order the wildcard name.".into()
        }
        Refusal::BadCsr { why } => format!(
            "The certificate request is not acceptable: {why}. The order stays as it is: correct the request and finalize \
             again."
        ),
        Refusal::AlreadyReplaced => {
            "The certificate that \"replaces\" names has a replacement already. Order without \"replaces\", or name the \
             newest certificate."
                .into()
        }
        Refusal::ReplacesUnknown => {
            "\"replaces\" names no certificate that this account could replace with such an order. Order without it.".into()
        }
        Refusal::CertificateUnknown => {
            "This certificate was not issued here, or may not be revoked by this key. Sign with the account that ordered it, \
             with an account that is authorised for all of its names, or with the certificate's own key."
                .into()
        }
        Refusal::AlreadyRevoked => "This certificate is already revoked; there is nothing left to do.".into(),
        Refusal::CertificateExpired { not_after } => {
            format!("This certificate ended by itself at {not_after}; it need not be revoked any more.")
        }
        Refusal::BadRevocationReason { reason } => format!(
            "The reason {reason} cannot be given. Allowed are 0 (unspecified), 1 (keyCompromise), 3 (affiliationChanged), 4 \
             (superseded) and 5 (cessationOfOperation), or none."
        ),
        Refusal::RateLimited { limit, retry_after } => format!(
            "There were too many requests ({limit}). Try again after {retry_after} seconds, and see the help link for the \
             limits."
        ),
    }
}

/// Why one identifier is refused.
pub(super) fn identifier_fault(fault: IdentifierFault) -> &'static str {
    match fault {
        IdentifierFault::OutsideZones => "the name lies outside the dns zones that this account may use",
        IdentifierFault::NoWildcards => "the profile has no wildcard names",
        IdentifierFault::NotForProfile => "the profile has no identifiers of this type",
    }
}

/// Title and text of the page about certificates that were revoked.
pub(super) const REVOKED_PAGE: (&str, &str) = (
    "Why a certificate should be replaced at once",
    "The certificate was revoked, so relying services no longer accept it. Clients that ask for renewal information order a \
     new one by themselves; all others should be told to renew now. Make a new key if the old one may have been disclosed.",
);

/// The title of pages about the terms of service.
pub(super) const TERMS_TITLE: &str = "Terms of service";

/// The texts of the page on which changed terms are agreed to.
pub(super) const TERMS_PAGE: TermsPageTexts = TermsPageTexts {
    read: "The terms of service have changed. Please read them:",
    agree: "I have read the terms of service and agree to them for this account.",
    button: "Agree",
    thanks: "Thank you. The account can order certificates again; its client need not be told.",
};

/// That the server failed.
pub(super) fn failed(request: &str) -> String {
    format!(
        "The server failed, through no fault of the request. Try again later; if it stays so, tell the service the request \
         id {request}."
    )
}

/// That the server cannot answer now.
pub(super) fn unavailable(request: &str) -> String {
    format!(
        "The server cannot do this now. Nothing was changed that earlier answers do not show; try again in a few seconds. \
         The request id is {request}."
    )
}

/// What an error type of our own means and what to do about it.
pub(super) fn own_error_page(kind: OwnKind) -> &'static str {
    match kind {
        OwnKind::Conflict => {
            "What the request wants to change has been changed by somebody else since it was read, or its idempotencyKey was \
             used for another request within a day. Read the resource again, and decide again."
        }
        OwnKind::LastAdministrator => {
            "An organisation keeps at least one administrator. Invite another one, who proves the organisation or is confirmed \
             by a registration officer; then the present one can be removed or get another role."
        }
    }
}

/// What an error type means and what to do about it.
pub(super) fn error_page(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::AccountDoesNotExist => {
            "The request is signed by a key, or names an account URL, that this server does not know. Register the account \
             first. After a move to another server, remove the old account from the client's configuration."
        }
        ProblemKind::AlreadyReplaced => {
            "The order says that it replaces a certificate which another order has replaced already. Order without \
             \"replaces\"."
        }
        ProblemKind::AlreadyRevoked => "The certificate is revoked already. There is nothing left to do.",
        ProblemKind::BadCsr => {
            "The certificate request does not fit the order: other names, an unsuitable key, or extensions that are not \
             allowed. The order stays ready; finalize it again with a corrected request."
        }
        ProblemKind::BadNonce => {
            "The request's nonce was used before, is too old, or was made by another server. Every answer brings a fresh one; \
             clients try again with it by themselves."
        }
        ProblemKind::BadPublicKey => {
            "The key is too weak, of an unsupported kind, known to be disclosed, or used elsewhere already. Make a new one."
        }
        ProblemKind::BadRevocationReason => {
            "Allowed reasons are 0 (unspecified), 1 (keyCompromise), 3 (affiliationChanged), 4 (superseded) and 5 \
             (cessationOfOperation)."
        }
        ProblemKind::BadSignatureAlgorithm => {
            "The request is signed by an algorithm that this server does not take. The error lists those that it takes."
        }
        ProblemKind::Caa => {
            "A CAA record of the domain forbids this authority to issue, or could not be read. Add a record that names one of \
             the directory's caaIdentities, or mend the domain's dns."
        }
        ProblemKind::Compound => "Several things are wrong; the subproblems tell them apart.",
        ProblemKind::Connection => {
            "The server could not connect to the machine that shall prove the name. Check firewalls, the address in dns and \
             that the web server runs."
        }
        ProblemKind::Dns => "The name, or the record that shall prove it, could not be found in dns.",
        ProblemKind::ExternalAccountRequired => {
            "Accounts of this directory are made with an invitation. Ask your organisation's administrator for one: its key \
             identifier and HMAC key are what clients call external account binding."
        }
        ProblemKind::IncorrectResponse => {
            "The machine answered, but not with what the challenge demands. Check that the request reaches the client's own \
             answer and no other web server or cache."
        }
        ProblemKind::InvalidContact => "A contact is one mail address each, as mailto:name@example.fi.",
        ProblemKind::InvalidProfile => {
            "The profile does not exist or is not open to the account. The directory lists the profiles."
        }
        ProblemKind::Malformed => {
            "The request does not have the form that the protocol demands; the detail says where."
        }
        ProblemKind::OrderNotReady => {
            "An order can be finalized when all of its authorizations are valid, and once only. Read the order for its status."
        }
        ProblemKind::RateLimited => {
            "There were too many requests of one kind. Wait as long as Retry-After says. Limits count accounts, organisations \
             and source addresses apart; renew certificates when renewal information asks for it and not all at once. An \
             organisation with many machines may ask the service for higher limits."
        }
        ProblemKind::RejectedIdentifier => {
            "The name may not be had by this account: it lies outside the dns zones of the organisation or its invitation, or \
             the profile does not allow it. The subproblems tell which names and why."
        }
        ProblemKind::ServerInternal => {
            "The server failed or has no room. Try again later; if it stays so, tell the service the request id."
        }
        ProblemKind::Tls => "The TLS connection to the machine that shall prove the name failed.",
        ProblemKind::Unauthorized => {
            "The key that signed may not do this: the account has ended, its organisation or membership is not in force, or \
             what it asks for belongs to another."
        }
        ProblemKind::UnsupportedContact => "Only mailto: contacts are supported.",
        ProblemKind::UnsupportedIdentifier => {
            "Orders take dns names; at the organisations' directory also organization-id and sote-unit."
        }
        ProblemKind::UserActionRequired => {
            "A person has to do something first, usually to accept changed terms of service. The error's instance is the page."
        }
    }
}

fn offered(profiles: &[crate::names::ProfileName]) -> String {
    if profiles.is_empty() {
        return "No profile is open to it: ask your organisation's administrator.".to_owned();
    }
    let names: Vec<_> = profiles.iter().map(|profile| profile.as_str()).collect();
    format!("Choose one of: {}.", names.join(", "))
}

fn validity(fault: &ValidityFault) -> String {
    let latest = |what: &str, latest| {
        format!("The requested notAfter lies beyond {what}. Ask for {latest} at the latest, or leave notAfter out.")
    };
    match fault {
        ValidityFault::Backwards => {
            "The requested notAfter does not lie after notBefore, or has passed. Ask for a later one, or leave both out."
                .into()
        }
        ValidityFault::NotBeforeOutOfBounds => {
            "The requested notBefore lies too far in the past or in the future. Leave it out, or ask for a time between an \
             hour ago and 30 days ahead."
                .into()
        }
        ValidityFault::BeyondProfile { latest: time } => latest("what the profile allows", time),
        ValidityFault::BeyondUnit { latest: time } => latest("the end of the unit's row in the register", time),
        ValidityFault::BeyondIssuer { latest: time } => latest("the end of the issuer's own certificate", time),
    }
}

fn not_ready(status: OrderStatus) -> String {
    match status {
        OrderStatus::Pending => {
            "The order is pending: some of its authorizations are not valid yet. Answer a challenge of each, wait until the \
             order is ready, then finalize."
        }
        OrderStatus::Processing => {
            "The order was finalized already and its certificate is being made. Poll the order until it is valid."
        }
        OrderStatus::Valid => "The order was finalized already: its certificate is ready at the order's certificate URL.",
        OrderStatus::Invalid => "The order has become invalid; its error says why. Make a new order.",
        OrderStatus::Ready => "The order has just become ready. Finalize again.",
    }
    .into()
}

fn authorization_status(status: AuthorizationStatus) -> &'static str {
    match status {
        AuthorizationStatus::Pending => "pending",
        AuthorizationStatus::Valid => "valid already",
        AuthorizationStatus::Invalid => "invalid",
        AuthorizationStatus::Deactivated => "deactivated",
        AuthorizationStatus::Expired => "expired",
        AuthorizationStatus::Revoked => "revoked",
    }
}
