//! A form put aside and given back: two posts, no cookie, nothing kept here.
//!
//! ```text
//! POST /guichet/{form}/mettre-de-cote   answers so far → a sealed file to keep
//! POST /guichet/{form}/reprendre        that file → 200 the questions, filled where they were left; 422 when it cannot be used
//! ```

use std::sync::Arc;

use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::answer::{of_form, page, with};
use super::asking::{Position, told_page};
use super::desk::{Desk, DeskContent, FormPath};
use super::forms::LATER;
use super::opening::refusing;
use super::rate::Act;
use super::receive::{Refusal, receive};
use super::refusal::{refused, slowed, too_often, unavailable};
use crate::intake::progress::{self, GivenBack, ProgressError};
use crate::model::form::Form;
use crate::model::form::own::{GIVEN_BACK, PAGE};
use crate::model::submission::RawAnswers;
use crate::render::guichet::Told;
use crate::text::dates::short_date;
use crate::text::numbers::plural;

pub(super) async fn put_aside(State(desk): State<Arc<Desk>>, Path(at): Path<FormPath>, request: Request) -> Response {
    let content = desk.content();
    let form = &match content.form_at(&desk, &at) {
        Ok(form) => form,
        Err(page) => return page,
    };
    if let Err(wait) = desk.rate(Act::Check, desk.client(&request)) {
        return of_form(form, slowed(&desk, &content, form, request, wait).await);
    }
    let received = match receive(request, form, &[PAGE], &desk.depot.files, &desk.limits).await {
        Ok(received) => received,
        Err(refusal) => return of_form(form, refused(&content, Some((form, &desk.limits)), refusal)),
    };
    if received.storage.is_some() {
        return of_form(form, unavailable(&content, form, &received, None, LATER));
    }
    let now = desk.now(&content);
    let at = Position::of(form, received.others.get(PAGE).map(String::as_str).or(Some("1")));
    match progress::put_aside(desk.keys.seal(), form, &received.raw, (at.page, at.seen), &now) {
        Ok(bytes) => of_form(form, with("put_aside", download(&format!("{}-{}.mulot", form.id, now.date()), bytes))),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A file to save; its name is a slug and a date.
fn download(name: &str, bytes: Vec<u8>) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

pub(super) async fn give_back(State(desk): State<Arc<Desk>>, Path(at): Path<FormPath>, request: Request) -> Response {
    let content = desk.content();
    let form = &match content.form_at(&desk, &at) {
        Ok(form) => form,
        Err(page) => return page,
    };
    if let Err(wait) = desk.rate(Act::Check, desk.client(&request)) {
        return of_form(form, too_often(&content, wait));
    }
    let file = match file_of(request).await {
        Ok(file) => file,
        Err(refusal) => return of_form(form, refused(&content, None, refusal)),
    };
    if let Some(page) = refusing(&desk, &content, form, &RawAnswers::default()).await {
        return of_form(form, page);
    }
    let now = desk.now(&content);
    let answer = match file.map(|file| progress::give_back(desk.keys.seal(), form, &file, &now)) {
        Some(Ok(back)) => resumed(&content, form, &back),
        Some(Err(error)) => unused(&content, form, &why(&error, &content)),
        None => unused(&content, form, "Choisissez le fichier que vous avez mis de côté"),
    };
    of_form(form, answer)
}

/// The file that was given back; `None` when none was chosen.
async fn file_of(request: Request) -> Result<Option<Vec<u8>>, Refusal> {
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| Refusal::NotAForm)?;
    let mut found = None;
    let mut left = progress::MAX_BYTES;
    while let Some(mut part) = parts.next_field().await.map_err(|_| Refusal::Malformed)? {
        let is_file = part.name() == Some(GIVEN_BACK);
        let mut bytes = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(|_| Refusal::BrokenOff)? {
            left = left.checked_sub(chunk.len()).ok_or_else(|| Refusal::TooLarge(Box::default()))?;
            if is_file {
                bytes.extend_from_slice(&chunk);
            }
        }
        if is_file && !bytes.is_empty() {
            found = Some(bytes);
        }
    }
    Ok(found)
}

/// The questions, filled, where they were left.
fn resumed(content: &DeskContent, form: &Form, back: &GivenBack) -> Response {
    let mut words =
        vec!["Voici vos réponses, à la page où vous les aviez laissées. Rien n'est encore envoyé.".to_owned()];
    if back.is_changed {
        words[0] = "Voici vos réponses. Le formulaire a changé depuis : relisez-le depuis le début.".to_owned();
    }
    if !back.files.is_empty() {
        let list = back
            .files
            .iter()
            .map(|(question, count)| format!("« {question} » ({})", plural(*count as u64, "fichier", "fichiers")));
        words.push(format!("À joindre de nouveau : {}.", list.collect::<Vec<_>>().join(", ")));
    }
    words.push("Sur un ordinateur partagé, effacez maintenant le fichier que vous venez de rendre.".to_owned());
    let last = form.pages().len() - 1;
    let at = Position { page: back.at.0.min(last), seen: back.at.1.min(last) };
    let told = Told { resumed: words, ..Told::default() };
    page(StatusCode::OK, told_page(content, form, &back.raw, at, &told), "resumed")
}

fn unused(content: &DeskContent, form: &Form, why: &str) -> Response {
    let told = Told { give_back_error: Some(why.to_owned()), ..Told::default() };
    let html = told_page(content, form, &RawAnswers::default(), Position { page: 0, seen: 0 }, &told);
    page(StatusCode::UNPROCESSABLE_ENTITY, html, "not_resumed")
}

/// Why a file cannot be used, and what to do.
fn why(error: &ProgressError, content: &DeskContent) -> String {
    match error {
        ProgressError::Unreadable => {
            "Choisissez un autre fichier : celui-ci n'a pas été mis de côté ici, ou il est abîmé".to_owned()
        }
        ProgressError::Expired(day) => {
            format!("Remplissez de nouveau le formulaire : ce fichier pouvait être rendu jusqu'au {}", short_date(*day))
        }
        ProgressError::OtherForm(id) => match content.site.forms.get(id) {
            Some(form) => format!("Rendez ce fichier à la démarche « {} » : c'est son formulaire", form.title),
            None => "Choisissez un autre fichier : celui-ci est d'un formulaire qui n'existe plus".to_owned(),
        },
    }
}
