//! The terms of service and the page on which an account's holder agrees to changed ones (RFC 8555 §7.3.3).

use hyper::StatusCode;
use hyper::header::LOCATION;

use super::pages;
use crate::acme::problem::Problem;
use crate::http::app::App;
use crate::http::pipeline::Context;
use crate::http::reply::{Error, Reply};
use crate::http::request::{self, Arrived};
use crate::http::texts::Language;
use crate::model::Refusal;
use crate::names::TermsPageId;

/// The terms themselves, or the way to where they stand.
pub(super) fn terms(app: &App) -> Result<Reply, Error> {
    if let Some(text) = &app.about.terms_text {
        let language = Language::default();
        let content = format!("<pre>{}</pre>", pages::escaped(text));
        return Ok(pages::page(StatusCode::OK, language.terms_title(), &content, language));
    }
    match &app.authority.settings().terms {
        Some(terms) if !is_here(app, &terms.url) => Ok(Reply::empty(StatusCode::SEE_OTHER).with(LOCATION, &terms.url)),
        Some(_) | None => Err(Refusal::NotFound.into()),
    }
}

fn is_here(app: &App, url: &str) -> bool {
    app.urls.route(url).is_some()
}

/// The page that asks an account's holder to agree.
pub(super) async fn page(app: &App, id: TermsPageId, context: &Context) -> Result<Reply, Error> {
    let page = app.authority.terms_page(id, context.now).await?;
    let url = app.authority.settings().terms.as_ref().map(|terms| terms.url.as_str()).unwrap_or_default();
    let texts = context.language.terms_page();
    let content = format!(
        "<p>{} <a href=\"{url}\">{url}</a></p>\n<form method=\"post\">\n\
         <input type=\"hidden\" name=\"version\" value=\"{version}\">\n\
         <p><label><input type=\"checkbox\" name=\"agree\" value=\"yes\" required> {}</label></p>\n\
         <p><button>{}</button></p>\n</form>",
        pages::escaped(texts.read),
        pages::escaped(texts.agree),
        pages::escaped(texts.button),
        url = pages::escaped(url),
        version = pages::escaped(&page.version),
    );
    Ok(pages::page(StatusCode::OK, context.language.terms_title(), &content, context.language))
}

/// The page's form was sent.
pub(super) async fn agree(app: &App, id: TermsPageId, request: Arrived, context: &Context) -> Result<Reply, Error> {
    if request::media_type(&request.head.headers).as_deref() != Some("application/x-www-form-urlencoded") {
        let problem = Problem::malformed("send the page's own form");
        return Err(problem.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16()).into());
    }
    let body = request::body(request.body, app.settings.body_size, app.settings.body_timeout).await?;
    if !body.split(|octet| *octet == b'&').any(|field| field == b"agree=yes") {
        return Err(Problem::malformed("the form does not say that you agree: tick the box and send it again").into());
    }
    app.authority.agree_on_page(id, context.address().to_string(), context.now).await?;
    let texts = context.language.terms_page();
    let content = pages::paragraph(texts.thanks);
    Ok(pages::page(StatusCode::OK, context.language.terms_title(), &content, context.language))
}
