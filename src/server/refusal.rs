//! Pages that say no: each keeps what was typed, says why and whom to call.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{later, page};
use super::asking::{Position, hidden, page_of_input, questions_page, to_mend};
use super::desk::{Desk, DeskContent};
use super::receive::{FormLimits, Received, Refusal, receive};
use crate::intake::accept::AcceptError;
use crate::model::form::own::{KEPT_FILE, TOKEN};
use crate::model::form::{FieldKind, Form};
use crate::model::submission::{FieldError, RawAnswers};
use crate::text::numbers::file_size;

/// The disk or the database refuses: a page with all that was typed, to send again by one press.
pub(super) fn store_failed(
    desk: &Desk,
    content: &DeskContent,
    form: &Form,
    received: &Received,
    error: &AcceptError,
) -> Response {
    if let AcceptError::FileGone { id } = error {
        let gone = received.raw.files.iter().find(|(_, files)| files.iter().any(|file| file.id == *id));
        let mut kept = Received { raw: received.raw.clone(), ..Received::default() };
        if let Some((field, _)) = gone {
            kept.raw.files.remove(field);
            let message = "Un fichier joint plus tôt n'est plus disponible : joignez-le de nouveau".to_owned();
            kept.errors.push(FieldError { input: field.clone(), message });
        }
        return to_mend(content, form, &kept, Vec::new());
    }
    tracing::error!(event = "accept.failed", reason = error.as_str(), "a request could not be kept");
    let wait = Duration::from_secs(if error.is_passing() { 5 } else { 120 });
    let token = received.others.get(TOKEN).cloned().or_else(|| desk.token(form).ok());
    unavailable(content, form, received, token, wait)
}

/// Nothing could be kept (503): what was typed, and a button that tries again with the same token.
pub(super) fn unavailable(
    content: &DeskContent,
    form: &Form,
    received: &Received,
    token: Option<String>,
    wait: Duration,
) -> Response {
    let mut inputs = hidden(form, &received.raw, token);
    inputs.extend(received.unread.iter().map(|(field, id)| (format!("{KEPT_FILE}{field}"), id.clone())));
    let html = content.pages.unavailable(form, &received.raw, inputs);
    later(page(StatusCode::SERVICE_UNAVAILABLE, html, "unavailable"), wait)
}

/// Too many pages came from there: the texts are read so that the page can keep them, files are not taken.
pub(super) async fn slowed(
    desk: &Desk,
    content: &DeskContent,
    form: &Form,
    request: Request,
    wait: Duration,
) -> Response {
    let limits = FormLimits { files_bytes: 0, drained_bytes: 1 << 20, ..desk.limits.clone() };
    match receive(request, form, &[], &desk.depot.files, &limits).await {
        Ok(received) => too_many(content, form, &received.raw, None, wait),
        Err(Refusal::TooLarge(received)) => too_many(content, form, &received.raw, None, wait),
        Err(_) => too_often(content, wait),
    }
}

pub(super) fn too_many(
    content: &DeskContent,
    form: &Form,
    raw: &RawAnswers,
    token: Option<String>,
    wait: Duration,
) -> Response {
    let minutes = wait.as_secs().div_ceil(60);
    let html = content.pages.slowed(form, raw, hidden(form, raw, token), minutes);
    later(page(StatusCode::TOO_MANY_REQUESTS, html, "too_many"), wait)
}

pub(super) fn too_often(content: &DeskContent, wait: Duration) -> Response {
    let words = [
        format!("Trop d'envois viennent de votre connexion. Attendez {} minutes.", wait.as_secs().div_ceil(60)),
        "Revenez ensuite à la page précédente : vos réponses y sont encore.".to_owned(),
    ];
    later(content.message(StatusCode::TOO_MANY_REQUESTS, "too_many", "Un peu de patience", &words), wait)
}

/// The page for a form that was not read.
pub(super) fn refused(content: &DeskContent, form: Option<(&Form, &FormLimits)>, refusal: Refusal) -> Response {
    let (status, outcome, title, words) = match refusal {
        Refusal::TooLarge(received) => return too_large(content, form, &received),
        Refusal::NotAForm => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_a_form",
            "Envoi illisible",
            "Le guichet n'a pas pu lire ce qui a été envoyé.",
        ),
        Refusal::Malformed | Refusal::BrokenOff => {
            (StatusCode::BAD_REQUEST, "malformed", "Envoi illisible", "Le guichet n'a pas pu lire ce qui a été envoyé.")
        }
        Refusal::TooManyParts => {
            (StatusCode::BAD_REQUEST, "too_many_parts", "Envoi illisible", "Ce formulaire compte trop de réponses.")
        }
        Refusal::TooSlow => (
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "Connexion trop lente",
            "L'envoi a pris trop de temps. Essayez avec des fichiers plus petits, ou d'un endroit où le réseau passe mieux.",
        ),
    };
    let back = "Revenez à la page précédente : vos réponses y sont encore. Vous pouvez aussi appeler la mairie.";
    content.message(status, outcome, title, &[words.to_owned(), back.to_owned()])
}

/// Too much was sent: what came before is kept in the page.
fn too_large(content: &DeskContent, form: Option<(&Form, &FormLimits)>, received: &Received) -> Response {
    let most = form.map_or(15 << 20, |(_, limits)| limits.files_bytes);
    let message =
        format!("Vos fichiers dépassent {} en tout : réduisez-les, ou apportez-les à la mairie", file_size(most));
    match form.filter(|_| !received.raw.values.is_empty()) {
        Some((form, _)) => {
            let field = form.fields.iter().find(|field| matches!(field.kind, FieldKind::File { .. }));
            let input = field.map_or_else(String::new, |field| field.id.clone());
            let mut errors = vec![FieldError { input, message }];
            errors.extend(
                received.errors.iter().filter(|error| error.input != errors[0].input).cloned().collect::<Vec<_>>(),
            );
            let at = Position { page: page_of_input(form, &errors[0].input), seen: form.pages().len() - 1 };
            let html = questions_page(content, form, &received.raw, &errors, at);
            page(StatusCode::PAYLOAD_TOO_LARGE, html, "too_large")
        }
        None => {
            let back = "Revenez à la page précédente : vos réponses y sont encore.".to_owned();
            content.message(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "Envoi trop lourd",
                &[format!("{message}."), back],
            )
        }
    }
}
