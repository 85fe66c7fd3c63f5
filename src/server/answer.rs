//! What every answer of the guichet is made with: a page, and what the log and the measures know of it.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::observe::{FormId, Outcome};
use crate::model::form::Form;

/// A page of HTML, with what it came from for the log.
pub(super) fn page(status: StatusCode, html: String, outcome: &'static str) -> Response {
    let html_type = HeaderValue::from_static("text/html; charset=utf-8");
    with(outcome, (status, [(header::CONTENT_TYPE, html_type)], html).into_response())
}

pub(super) fn with(outcome: &'static str, mut response: Response) -> Response {
    response.extensions_mut().insert(Outcome(outcome));
    response
}

pub(super) fn of_form(form: &Form, mut response: Response) -> Response {
    response.extensions_mut().insert(FormId(form.id.clone()));
    response
}

pub(super) fn later(mut response: Response, wait: Duration) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    response
}

/// The page after a defect of ours: plain, for the pages may be what failed.
pub(super) fn crashed(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!(event = "panic", "a request made the server panic");
    let html = "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>Erreur du serveur</title></head><body><main>\
                <h1>Cette page ne peut pas s’afficher</h1><p>C’est une erreur de notre part. Rien n’a été enregistré. Revenez en \
                arrière et essayez de nouveau, ou appelez la mairie.</p></main></body></html>\n";
    page(StatusCode::INTERNAL_SERVER_ERROR, html.to_owned(), "panic")
}
