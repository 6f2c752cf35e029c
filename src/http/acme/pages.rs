//! Pages for people: what an error means, why a certificate should be renewed at once, the terms of service.

use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::acme::problem::{OwnKind, ProblemKind};
use crate::acme::route::{PageName, Route};
use crate::acme::urls::Urls;
use crate::http::pipeline::Context;
use crate::http::reply::{Error, Reply};
use crate::http::texts::Language;
use crate::model::Refusal;

/// The name of the page that explains why a revoked certificate's renewal window has passed.
const REVOKED: &str = "revoked";

/// The page about an error type.
pub(super) fn error_page(name: &PageName, context: &Context) -> Result<Reply, Error> {
    let registered = ProblemKind::ALL.iter().find(|kind| kind.name() == name.as_str());
    let text = match OwnKind::ALL.iter().find(|kind| kind.name() == name.as_str()) {
        Some(own) => context.language.own_error_page(*own),
        None => context.language.error_page(*registered.ok_or(Refusal::NotFound)?),
    };
    Ok(page(StatusCode::OK, name.as_str(), &paragraph(text), context.language))
}

/// The page about an unusual renewal window.
pub(super) fn explanation_page(name: &PageName, context: &Context) -> Result<Reply, Error> {
    if name.as_str() != REVOKED {
        return Err(Refusal::NotFound.into());
    }
    let (title, text) = context.language.revoked_page();
    Ok(page(StatusCode::OK, title, &paragraph(text), context.language))
}

/// Where the page about revoked certificates stands.
pub(super) fn revoked_url(urls: &Urls) -> Option<String> {
    PageName::parse(REVOKED).map(|name| urls.of(&Route::ExplanationPage(name)))
}

/// A page with a title and content that is HTML already.
pub(super) fn page(status: StatusCode, title: &str, content: &str, language: Language) -> Reply {
    let (tag, title) = (language.tag(), escaped(title));
    let html = format!(
        "<!doctype html>\n<html lang=\"{tag}\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font:1em/1.5 sans-serif;max-width:42em;margin:2em auto;padding:0 1em}}pre{{white-space:pre-wrap}}</style>\n\
         <h1>{title}</h1>\n{content}\n"
    );
    // Nothing of a page comes from elsewhere, and no other page may show it in a frame to borrow a click.
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    Reply::content(status, "text/html; charset=utf-8", html)
        .with(CONTENT_LANGUAGE, tag)
        .with(CONTENT_SECURITY_POLICY, policy)
        .with(X_FRAME_OPTIONS, "DENY")
        .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .with(REFERRER_POLICY, "no-referrer")
        .with(CACHE_CONTROL, "no-store")
}

/// A paragraph of plain text.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escaped(text))
}

/// Text as HTML shows it.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let reply = page(StatusCode::OK, "<script>", &paragraph("\"a\" & 'b' <b>"), Language::English);
        let html = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>"));
        assert!(html.contains("&quot;a&quot; &amp; &#39;b&#39; &lt;b&gt;"));
    }

    #[test]
    fn every_error_type_has_a_page() {
        for kind in ProblemKind::ALL {
            assert!(Language::English.error_page(*kind).len() > 20, "{kind:?}");
            assert!(PageName::parse(kind.name()).is_some());
        }
        for kind in OwnKind::ALL {
            assert!(Language::English.own_error_page(*kind).len() > 20, "{kind:?}");
            assert!(PageName::parse(kind.name()).is_some());
        }
    }
}
