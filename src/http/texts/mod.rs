//! Sentences for people, chosen by Accept-Language. Each language is one file, exhaustive over what may be refused.

mod en;

use hyper::HeaderMap;
use hyper::header::ACCEPT_LANGUAGE;

use crate::acme::problem::{OwnKind, ProblemKind};
use crate::model::Refusal;
use crate::model::refusal::IdentifierFault;

/// The texts of the page on which changed terms are agreed to.
#[derive(Debug, Clone, Copy)]
pub(super) struct TermsPageTexts {
    /// Asks to read the terms, whose link follows.
    pub(super) read: &'static str,
    /// What the box says.
    pub(super) agree: &'static str,
    /// What the button says.
    pub(super) button: &'static str,
    /// What is shown afterwards.
    pub(super) thanks: &'static str,
}

/// A language in which texts exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Language {
    /// English, the default.
    #[default]
    English,
}

impl Language {
    const ALL: [Language; 1] = [Language::English];

    /// The language tag, for Content-Language.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
        }
    }

    /// The first language of Accept-Language that there is, else English.
    // RFC 8555 §6.7: servers may use Accept-Language to localise the "detail".
    pub(super) fn chosen(headers: &HeaderMap) -> Self {
        let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut ranges: Vec<(&str, f32)> = wanted.split(',').take(20).filter_map(range).collect();
        ranges.sort_by(|one, other| other.1.total_cmp(&one.1));
        ranges
            .iter()
            .find_map(|(tag, _)| Language::ALL.into_iter().find(|language| tag.eq_ignore_ascii_case(language.tag())))
            .unwrap_or_default()
    }

    /// What is refused and what to do next.
    pub(super) fn refusal(self, refusal: &Refusal) -> String {
        match self {
            Language::English => en::refusal(refusal),
        }
    }

    /// That the server failed at the request with this id.
    pub(super) fn failed(self, request: &str) -> String {
        match self {
            Language::English => en::failed(request),
        }
    }

    /// That the server cannot answer the request with this id now.
    pub(super) fn unavailable(self, request: &str) -> String {
        match self {
            Language::English => en::unavailable(request),
        }
    }

    /// What an error type means and what to do about it, for the page that explains it.
    pub(super) fn error_page(self, kind: ProblemKind) -> &'static str {
        match self {
            Language::English => en::error_page(kind),
        }
    }

    /// The same for an error type of our own.
    pub(super) fn own_error_page(self, kind: OwnKind) -> &'static str {
        match self {
            Language::English => en::own_error_page(kind),
        }
    }

    /// Title and text of the page about certificates that were revoked.
    pub(super) fn revoked_page(self) -> (&'static str, &'static str) {
        match self {
            Language::English => en::REVOKED_PAGE,
        }
    }

    /// The title of pages about the terms of service.
    pub(super) fn terms_title(self) -> &'static str {
        match self {
            Language::English => en::TERMS_TITLE,
        }
    }

    /// The texts of the page on which changed terms are agreed to.
    pub(super) fn terms_page(self) -> TermsPageTexts {
        match self {
            Language::English => en::TERMS_PAGE,
        }
    }

    /// Why one identifier is refused.
    pub(super) fn identifier_fault(self, fault: IdentifierFault) -> &'static str {
        match self {
            Language::English => en::identifier_fault(fault),
        }
    }
}

/// The primary tag and the weight of one range.
fn range(text: &str) -> Option<(&str, f32)> {
    let (tag, weight) = text.split_once(';').map_or((text, "q=1"), |(tag, weight)| (tag, weight.trim()));
    let primary = tag.trim().split('-').next()?;
    let weight: f32 = weight.strip_prefix("q=")?.parse().ok()?;
    (weight > 0.0).then_some((primary, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_wish_gets_a_language_that_there_is() {
        for wish in ["", "fi", "en-GB,en;q=0.9", "fi;q=0.1, en;q=0.5", "*", ";;;", "en;q=x", "de;q=NaN,en"] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, wish.parse().unwrap());
            assert_eq!(Language::chosen(&headers), Language::English, "{wish}");
        }
    }

    #[test]
    fn a_range_has_a_primary_tag_and_a_weight() {
        assert_eq!(range(" sv-FI ; q=0.5"), Some(("sv", 0.5)));
        assert_eq!(range("fi"), Some(("fi", 1.0)));
        assert_eq!(range("fi;q=0"), None);
    }
}
