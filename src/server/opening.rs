//! Whether a form takes requests now: its days, its places, its waiting list.

use axum::http::StatusCode;
use axum::response::Response;

use super::answer::page;
use super::desk::{Desk, DeskContent, reading};
use crate::intake::accept::opened;
use crate::intake::store::StoreError;
use crate::model::form::{Door, Form};
use crate::model::submission::RawAnswers;
use crate::text::dates::short_date;

/// The page of a form that takes nothing now: closed that day, or without places.
pub(super) async fn refusing(desk: &Desk, content: &DeskContent, form: &Form, raw: &RawAnswers) -> Option<Response> {
    match closed(desk, content, form, raw) {
        Some(page) => Some(page),
        None => full(desk, content, form, raw).await,
    }
}

/// What is left of a form's places.
pub(super) enum Room {
    /// There is one.
    Place,
    /// On the waiting list.
    Waiting,
    /// Nothing.
    None,
}

/// What is left of the places of a form that counts them; the same form without limit is always open.
pub(super) async fn room(desk: &Desk, content: &DeskContent, form: &Form) -> Result<Room, StoreError> {
    let Some(places) = form.opening.places else { return Ok(Room::Place) };
    let (store, id, since) = (desk.depot.store.clone(), form.id.clone(), opened(form, &desk.now(content)));
    let taken = reading(move || store.taken(&id, since)).await?;
    Ok(match taken {
        taken if taken < places => Room::Place,
        taken if taken < places.saturating_add(form.opening.waiting) => Room::Waiting,
        _ => Room::None,
    })
}

/// The page that says that no place is left, with what was typed; a database that cannot tell is no reason to refuse.
async fn full(desk: &Desk, content: &DeskContent, form: &Form, raw: &RawAnswers) -> Option<Response> {
    match room(desk, content, form).await {
        Ok(Room::None) => Some(no_place(content, form, raw)),
        _ => None,
    }
}

pub(super) fn no_place(content: &DeskContent, form: &Form, raw: &RawAnswers) -> Response {
    let own = form.opening.closed_message.clone();
    let words = own.unwrap_or_else(|| "Toutes les places sont prises, liste d'attente comprise.".to_owned());
    let call = "Une question ? Appelez la mairie : elle vous dira ce qui reste possible.".to_owned();
    page(StatusCode::FORBIDDEN, content.pages.closed(form, &[words, call], raw), "full")
}

/// The form as this request finds it: the limit it must stay within, and what is said to who waits.
pub(super) fn placed(form: &Form, room: &Room) -> Form {
    let mut form = form.clone();
    if let (Room::Waiting, Some(places)) = (room, form.opening.places) {
        let waits = "Toutes les places sont prises : votre demande est sur la liste d'attente. La mairie vous écrit si une place se libère.";
        form.opening.places = Some(places.saturating_add(form.opening.waiting));
        form.confirmation = Some(waits.to_owned());
        form.subject_word = format!("{} – liste d'attente", form.subject_word);
    }
    form
}

/// The page that says that the form takes nothing that day; `None` when it does.
pub(super) fn closed(desk: &Desk, content: &DeskContent, form: &Form, raw: &RawAnswers) -> Option<Response> {
    if desk.waits_for_mailbox(form) {
        let words = [
            "Ce formulaire ouvrira bientôt : la mairie confirme d'abord la boîte aux lettres où arriveront les demandes."
                .to_owned(),
            "D'ici là, appelez-la : elle prend votre démarche de la même façon.".to_owned(),
        ];
        return Some(page(StatusCode::FORBIDDEN, content.pages.closed(form, &words, raw), "mailbox_waits"));
    }
    let own = form.opening.closed_message.clone();
    let words = match form.opening.on(desk.now(content).date()) {
        Door::Open => return None,
        Door::NotYet(from) => format!("Ce formulaire ouvre le {}.", short_date(from)),
        Door::Over(until) => {
            own.unwrap_or_else(|| format!("Ce formulaire était ouvert jusqu'au {}.", short_date(until)))
        }
    };
    let call = "Une question ? Appelez la mairie : elle vous dira ce qui reste possible.".to_owned();
    Some(page(StatusCode::FORBIDDEN, content.pages.closed(form, &[words, call], raw), "closed"))
}
