//! One line of log for each request, without any personal data: neither path, query, address nor what was typed.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// What came of a request, in a word; put in the extensions of its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome(pub(super) &'static str);

/// The form a request was about, once it is known to exist.
#[derive(Debug, Clone)]
pub(super) struct FormId(pub(super) String);

/// Logs what was asked and what came of it.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = method(request.method());
    let response = next.run(request).await;
    // A file of the site that was given tells nothing without its address, and a thousand lines of it hide the rest.
    let is_told = response.extensions().get::<Outcome>().is_some();
    let is_plain = route.is_none() && !is_told && method != "POST" && !response.status().is_server_error();
    if is_plain {
        return response;
    }
    tracing::info!(
        event = "request",
        route = route.as_deref().unwrap_or("–"),
        method,
        form = response.extensions().get::<FormId>().map(|form| form.0.as_str()),
        outcome = response.extensions().get::<Outcome>().map(|outcome| outcome.0),
        status = response.status().as_u16(),
        duration_ms = begun.elapsed().as_millis() as u64,
        "request answered"
    );
    response
}

/// Logs what a site was asked that none is asked for, and what it could not give.
pub(super) fn observe_site(asked: &Method, status: StatusCode) {
    if asked == Method::POST || status.is_server_error() {
        tracing::info!(event = "request", method = method(asked), status = status.as_u16(), "request answered");
    }
}

/// A method of the standard; a stranger may have made up another one.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "other",
    }
}
