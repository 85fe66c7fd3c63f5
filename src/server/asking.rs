//! The pages of questions of a form: which one is shown, with what is to mend, and what it carries for the others.

use axum::http::StatusCode;
use axum::response::Response;

use super::answer::page;
use super::desk::DeskContent;
use super::receive::Received;
use crate::intake::validate;
use crate::model::form::own::{KEPT_FILE, PAGE, TOKEN};
use crate::model::form::{Field, FieldKind, Form};
use crate::model::submission::{FieldError, RawAnswers};
use crate::render::guichet::{Told, shows_on_its_page};

/// Where one stands in a form of several pages, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) page: usize,
    /// The furthest page shown so far.
    pub(super) seen: usize,
}

impl Position {
    /// From `2.4`: page 2, the fourth seen; the last page when nothing is said, for a form that posts all at once.
    pub(super) fn of(form: &Form, said: Option<&str>) -> Position {
        let last = form.pages().len() - 1;
        let number =
            |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0).map(|number| (number - 1).min(last));
        let Some(said) = said else { return Position { page: last, seen: last } };
        let (page, seen) = said.split_once('.').unwrap_or((said, said));
        let page = number(page).unwrap_or(0);
        Position { page, seen: number(seen).unwrap_or(page).max(page) }
    }
}

/// « Ce n'est pas ici », with a way back to the answer that led there.
pub(super) fn exit_page(content: &DeskContent, form: &Form, raw: &RawAnswers, exit: &Field, seen: usize) -> String {
    let mut carried = hidden(form, raw, None);
    carried.push((PAGE.to_owned(), format!("{}.{}", form.page_of(&exit.id) + 1, seen + 1)));
    content.pages.exit(form, exit, carried)
}

pub(super) fn page_of_input(form: &Form, input: &str) -> usize {
    form.leaf(input).map_or(0, |(field, _)| form.page_of(&field.id))
}

/// A page of questions with something said at its top.
pub(super) fn told_page(content: &DeskContent, form: &Form, raw: &RawAnswers, at: Position, told: &Told) -> String {
    content.pages.questions_told(form, raw, (&[], told), at.page, carried(form, raw, at))
}

/// A page of questions that carries the answers of the others.
pub(super) fn questions_page(
    content: &DeskContent,
    form: &Form,
    raw: &RawAnswers,
    errors: &[FieldError],
    at: Position,
) -> String {
    let shown: Vec<FieldError> =
        errors.iter().filter(|error| page_of_input(form, &error.input) == at.page).cloned().collect();
    content.pages.questions(form, raw, &shown, at.page, carried(form, raw, at))
}

/// What a page of questions carries: the answers of the others, and where it stands.
fn carried(form: &Form, raw: &RawAnswers, at: Position) -> Vec<(String, String)> {
    if form.pages().len() <= 1 {
        return Vec::new();
    }
    let mut carried = hidden(form, raw, None);
    // A question of this page that another page rules out is not shown: its answer is carried too.
    let is_shown = |name: &str| {
        form.leaf(name.strip_prefix(KEPT_FILE).unwrap_or(name))
            .is_some_and(|(field, _)| form.page_of(&field.id) == at.page && shows_on_its_page(form, field, raw))
    };
    carried.retain(|(name, _)| !is_shown(name));
    carried.push((PAGE.to_owned(), format!("{}.{}", at.page + 1, at.seen + 1)));
    carried
}

/// What is to mend: refused files first, then what validation found elsewhere.
pub(super) fn all_errors(received: &Received, found: Vec<FieldError>) -> Vec<FieldError> {
    let mut errors = received.errors.clone();
    let told: Vec<String> = errors.iter().map(|error| error.input.clone()).collect();
    errors.extend(found.into_iter().filter(|error| !told.contains(&error.input)));
    errors
}

/// The questions of the first page with something to mend, filled.
pub(super) fn to_mend(content: &DeskContent, form: &Form, received: &Received, found: Vec<FieldError>) -> Response {
    let errors = all_errors(received, found);
    let page_number = errors.iter().map(|error| page_of_input(form, &error.input)).min().unwrap_or(0);
    let at = Position { page: page_number, seen: form.pages().len() - 1 };
    page(StatusCode::UNPROCESSABLE_ENTITY, questions_page(content, form, &received.raw, &errors, at), "to_mend")
}

/// What a page carries so that the next one knows the same: answers, files, token. With the token, which only the page that
/// sends holds, answers to questions that are not asked are left out.
pub(super) fn hidden(form: &Form, raw: &RawAnswers, token: Option<String>) -> Vec<(String, String)> {
    let mut inputs = if token.is_some() { validate::raw_inputs(form, raw) } else { validate::typed_inputs(form, raw) };
    for (field, files) in &raw.files {
        inputs.extend(files.iter().map(|file| (format!("{KEPT_FILE}{field}"), file.id.clone())));
    }
    inputs.extend(token.map(|token| (TOKEN.to_owned(), token)));
    inputs
}

/// `+enfants` shows one more copy of a group, `-enfants.2` takes the second away and moves the others up.
pub(super) fn change_copies(form: &Form, raw: &mut RawAnswers, act: &str) {
    let group = |id: &str| form.field(id).filter(|field| matches!(field.kind, FieldKind::Group { .. }));
    if let Some(field) = act.strip_prefix('+').and_then(group) {
        let next = field.copies(raw) + 1;
        if let Some(part) = field.leaves(next).first() {
            raw.values.entry(part.id.clone()).or_default();
        }
    } else if let Some((id, gone)) = act.strip_prefix('-').and_then(|act| act.split_once('.'))
        && let (Some(field), Ok(gone)) = (group(id), gone.parse::<usize>())
    {
        let last = field.copies(raw);
        for copy in gone.max(1)..=last {
            for (part, after) in field.leaves(copy).iter().zip(field.leaves(copy + 1)) {
                match raw.values.remove(&after.id).filter(|_| copy < last) {
                    Some(values) => raw.values.insert(part.id.clone(), values),
                    None => raw.values.remove(&part.id),
                };
            }
        }
    }
}
