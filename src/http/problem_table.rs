//! From refusals and failures to problem documents: the one table that says which error type and HTTP status each refusal
//! has, and the header fields that go with some. No arm is a wildcard, so a new refusal has to be given its place.

use super::texts::Language;
use crate::acme::problem::{OwnKind, Problem, ProblemKind, Subproblem};
use crate::acme::route::{PageName, Route};
use crate::acme::urls::Urls;
use crate::model::refusal::IdentifierFault;
use crate::model::{Failure, Refusal};
use crate::names::TermsPageId;

/// The error type and the HTTP status of a refusal.
fn kind(refusal: &Refusal) -> (ProblemKind, u16) {
    use ProblemKind as P;
    match refusal {
        Refusal::AccountDoesNotExist => (P::AccountDoesNotExist, 400),
        // RFC 8555 §7.3.6: 401 and unauthorized.
        Refusal::AccountDeactivated | Refusal::AccountRevoked { .. } => (P::Unauthorized, 401),
        // RFC 8555 §7.3 demands a refusal without naming its type; userActionRequired would need an `instance`.
        Refusal::TermsNotAgreed { .. } => (P::Malformed, 400),
        // RFC 8555 §7.3.3.
        Refusal::TermsChanged { .. } => (P::UserActionRequired, 403),
        Refusal::InvalidContact { .. } => (P::InvalidContact, 400),
        Refusal::UnsupportedContact { .. } => (P::UnsupportedContact, 400),
        Refusal::ExternalAccountRequired => (P::ExternalAccountRequired, 403),
        Refusal::BindingRefused => (P::Unauthorized, 403),
        Refusal::BadAccountKey { .. } => (P::BadPublicKey, 400),
        Refusal::MemberNotWaiting => (P::Malformed, 409),
        // RFC 8555 §7.3.5: 409 and the other account's URL.
        Refusal::KeyInUse { .. } => (P::Malformed, 409),
        Refusal::Malformed { .. } => (P::Malformed, 400),
        Refusal::NotFound | Refusal::ReplacesUnknown => (P::Malformed, 404),
        Refusal::NotAMember
        | Refusal::MembershipPending
        | Refusal::MembershipEnded { .. }
        | Refusal::AuditorsOrderNothing
        | Refusal::OrganisationNotVerified
        | Refusal::OrganisationLapsed { .. }
        | Refusal::OrganisationSuspended { .. }
        | Refusal::UnitNotResolvable
        | Refusal::OrganisationOrphaned
        | Refusal::OwnConfirmation
        | Refusal::ProofAwaited
        | Refusal::AdministratorNeeded
        | Refusal::OrderVoid { .. }
        | Refusal::RoleNeeded { .. }
        // RFC 8555 §7.6: unknown certificates and others' certificates look alike.
        | Refusal::CertificateUnknown => (P::Unauthorized, 403),
        // These have a type of our own.
        Refusal::LastAdministrator | Refusal::VersionDiffers { .. } | Refusal::RepeatDiffers => (P::Malformed, 409),
        Refusal::UnitRejected { .. } | Refusal::UnitNotAllowed { .. } | Refusal::NameTooLong { .. } => {
            (P::RejectedIdentifier, 403)
        }
        Refusal::ProfileNotAllowed { .. } | Refusal::ProfileNeeded { .. } | Refusal::TestOrganisation { .. } => {
            (P::InvalidProfile, 400)
        }
        Refusal::IdentifiersRejected { .. }
        | Refusal::IdentifierAlias { .. }
        | Refusal::OrganisationRejected { .. } => (P::RejectedIdentifier, 403),
        Refusal::IdentifiersUnsupported { .. } => (P::UnsupportedIdentifier, 400),
        Refusal::OneOrganisationOnly
        | Refusal::DnsNameNeeded
        | Refusal::TooManyIdentifiers { .. }
        | Refusal::ValidityRefused { .. }
        | Refusal::AuthorizationEnded { .. }
        | Refusal::OtherChallengeProcessing
        | Refusal::NoWildcardInAdvance
        | Refusal::CertificateExpired { .. } => (P::Malformed, 400),
        // RFC 8555 §7.4: finalizing an order that is not ready is 403 orderNotReady.
        Refusal::OrderNotReady { .. } | Refusal::OrderExpired => (P::OrderNotReady, 403),
        Refusal::BadCsr { .. } => (P::BadCsr, 400),
        // RFC 9773 §5.
        Refusal::AlreadyReplaced => (P::AlreadyReplaced, 409),
        Refusal::AlreadyRevoked => (P::AlreadyRevoked, 400),
        Refusal::BadRevocationReason { .. } => (P::BadRevocationReason, 400),
        Refusal::RateLimited { .. } | Refusal::TooManyOpenProofs { .. } => (P::RateLimited, 429),
    }
}

/// The error type of our own that a refusal has, if it has one. Only the resources of organisations know such refusals.
fn own_kind(refusal: &Refusal) -> Option<OwnKind> {
    let conflicts = matches!(refusal, Refusal::VersionDiffers { .. } | Refusal::RepeatDiffers);
    let last = matches!(refusal, Refusal::LastAdministrator);
    last.then_some(OwnKind::LastAdministrator).or(conflicts.then_some(OwnKind::Conflict))
}

/// A refusal as a problem document.
pub(super) fn problem(refusal: &Refusal, urls: &Urls, language: Language) -> Problem {
    let (kind, status) = kind(refusal);
    let refusal = &with_urls(refusal, urls);
    let mut problem = Problem::new(kind, language.refusal(refusal)).with_status(status);
    if let Refusal::IdentifiersRejected { rejected } = refusal {
        problem.subproblems = rejected
            .iter()
            .map(|(identifier, fault)| {
                let detail = language.identifier_fault(*fault);
                Subproblem { kind: part_kind(*fault), detail: detail.to_owned(), identifier: Some(identifier.clone()) }
            })
            .collect();
    }
    if let Some(own) = own_kind(refusal)
        && let Some(name) = PageName::parse(own.name())
    {
        let page = urls.of(&Route::ErrorPage(name));
        problem = Problem::of_our_own(own, page, problem.detail);
    }
    if let Refusal::TermsChanged { instance, .. } = refusal {
        problem.instance = Some(instance.clone());
    }
    problem
}

/// Why something failed, as the problem document that an order shows.
pub(super) fn failure(failure: &Failure, urls: &Urls, language: Language) -> Problem {
    match failure {
        Failure::Rule(refusal) => problem(refusal, urls, language),
        Failure::World(problem) => (**problem).clone(),
    }
}

/// Header fields that go with a refusal, beside those that every answer has.
pub(super) fn fields(refusal: &Refusal, urls: &Urls) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if let Refusal::KeyInUse { account } = refusal {
        fields.push(("location", urls.account(*account)));
    }
    if let Refusal::TermsChanged { terms, .. } = refusal {
        fields.push(("link", format!("<{terms}>;rel=\"terms-of-service\"")));
    }
    if let Refusal::RateLimited { retry_after, .. } = refusal {
        // RFC 8555 §6.6: Retry-After, and a link to an explanation.
        fields.push(("retry-after", retry_after.to_string()));
        if let Some(name) = PageName::parse(ProblemKind::RateLimited.name()) {
            fields.push(("link", format!("<{}>;rel=\"help\"", urls.of(&Route::ErrorPage(name)))));
        }
    }
    fields
}

/// The type of a subproblem.
fn part_kind(fault: IdentifierFault) -> ProblemKind {
    match fault {
        IdentifierFault::OutsideZones | IdentifierFault::NoWildcards => ProblemKind::RejectedIdentifier,
        IdentifierFault::NotForProfile => ProblemKind::UnsupportedIdentifier,
    }
}

/// The refusal with the page's URL in the place of its id.
fn with_urls(refusal: &Refusal, urls: &Urls) -> Refusal {
    if let Refusal::TermsChanged { instance, terms } = refusal
        && let Ok(id) = instance.parse::<TermsPageId>()
    {
        return Refusal::TermsChanged { instance: urls.of(&Route::TermsPage(id)), terms: terms.clone() };
    }
    refusal.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::identifier::Identifier;
    use crate::acme::status::OrderStatus;
    use crate::names::AccountId;

    fn urls() -> Urls {
        Urls::new("https://ca.example.fi").unwrap()
    }

    fn rendered(refusal: &Refusal) -> Problem {
        problem(refusal, &urls(), Language::English)
    }

    #[test]
    fn the_matrix_of_types_and_statuses_holds() {
        use ProblemKind as P;
        let rows = [
            (Refusal::AccountDoesNotExist, P::AccountDoesNotExist, 400),
            (Refusal::AccountDeactivated, P::Unauthorized, 401),
            (Refusal::NotFound, P::Malformed, 404),
            (Refusal::BindingRefused, P::Unauthorized, 403),
            (Refusal::ExternalAccountRequired, P::ExternalAccountRequired, 403),
            (Refusal::KeyInUse { account: AccountId::from_bytes([0; 16]) }, P::Malformed, 409),
            (Refusal::OrderNotReady { status: OrderStatus::Pending }, P::OrderNotReady, 403),
            (Refusal::BadCsr { why: "x".into() }, P::BadCsr, 400),
            (Refusal::AlreadyReplaced, P::AlreadyReplaced, 409),
            (Refusal::AlreadyRevoked, P::AlreadyRevoked, 400),
            (Refusal::BadRevocationReason { reason: "6".into() }, P::BadRevocationReason, 400),
            (Refusal::RateLimited { limit: "x".into(), retry_after: 7 }, P::RateLimited, 429),
        ];
        for (refusal, kind, status) in rows {
            let problem = rendered(&refusal);
            assert_eq!((problem.kind, problem.status), (kind, status), "{refusal:?}");
            assert!(problem.detail.len() > 20, "{refusal:?} says what to do next");
        }
    }

    #[test]
    fn each_rejected_name_has_a_subproblem_and_the_outer_problem_has_no_identifier() {
        let name = |text: &str| Identifier::Dns(text.parse().unwrap());
        let rejected = vec![
            (name("a.example.com"), IdentifierFault::OutsideZones),
            (Identifier::Wildcard("b.example.com".parse().unwrap()), IdentifierFault::NoWildcards),
        ];
        let json = serde_json::to_value(rendered(&Refusal::IdentifiersRejected { rejected })).unwrap();
        assert!(json.get("identifier").is_none());
        assert_eq!(json["subproblems"][0]["identifier"]["value"], "a.example.com");
        assert_eq!(json["subproblems"][1]["identifier"]["value"], "*.b.example.com");
    }

    #[test]
    fn changed_terms_name_their_page_and_link_the_terms() {
        let id = TermsPageId::from_bytes([7; 16]);
        let refusal = Refusal::TermsChanged { instance: id.to_string(), terms: "https://ca.example.fi/t".into() };
        let problem = rendered(&refusal);
        assert_eq!(problem.instance, Some(format!("https://ca.example.fi/terms/{id}")));
        assert!(problem.detail.contains(&format!("https://ca.example.fi/terms/{id}")));
        let fields = fields(&refusal, &urls());
        assert_eq!(fields, [("link", "<https://ca.example.fi/t>;rel=\"terms-of-service\"".to_owned())]);
    }

    #[test]
    fn a_type_of_our_own_names_its_page_and_not_the_registered_namespace() {
        for (refusal, page) in [
            (Refusal::LastAdministrator, "https://ca.example.fi/errors/lastAdministrator"),
            (Refusal::VersionDiffers { version: 7 }, "https://ca.example.fi/errors/conflict"),
            (Refusal::RepeatDiffers, "https://ca.example.fi/errors/conflict"),
        ] {
            let problem = rendered(&refusal);
            assert_eq!((problem.own.as_deref(), problem.status), (Some(page), 409));
        }
    }

    #[test]
    fn a_rate_limit_says_when_to_try_again_and_where_the_limits_stand() {
        let fields = fields(&Refusal::RateLimited { limit: "x".into(), retry_after: 7 }, &urls());
        assert_eq!(fields[0], ("retry-after", "7".to_owned()));
        assert_eq!(fields[1].1, "<https://ca.example.fi/errors/rateLimited>;rel=\"help\"");
    }
}
