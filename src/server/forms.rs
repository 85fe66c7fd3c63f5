//! The journey of a request: questions, check, « Envoyer »; by plain forms, without cookie, account nor script.
//!
//! Whatever goes wrong, the page that says so carries what was typed and the mairie's telephone. Nothing is kept on our side
//! before « Envoyer » but files, for hours.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;

use super::agent::{AGENT_CODE, Typed};
use super::agir::{stopped, wrong_code};
use super::answer::{crashed, of_form, page, with};
use super::asking::{Position, all_errors, change_copies, exit_page, hidden, page_of_input, questions_page, to_mend};
use super::desk::{Desk, DeskContent, FormPath, reading};
use super::guard::{Watched, residents_email};
use super::opening::{Room, closed, no_place, placed, refusing, room};
use super::rate::Act;
use super::receive::{Received, receive};
use super::refusal::{refused, slowed, store_failed, too_many, unavailable};
use crate::intake::accept::{AcceptError, accept_held};
use crate::intake::store::StoreError;
use crate::intake::suspicion::Signs;
use crate::intake::token::TokenCheck;
use crate::intake::validate;
use crate::model::form::Form;
use crate::model::form::own::{COPY, GO_TO, HONEYPOT, PAGE, TOKEN, TRAP_TOLD};
use crate::model::intake::{Hold, Recorded};
use crate::model::submission::{FieldError, RawAnswers};

/// Whoever asks for the address of a page that is only an answer begins again.
pub(super) async fn restart(State(desk): State<Arc<Desk>>, Path(at): Path<FormPath>) -> Response {
    match desk.content().form_at(&desk, &at) {
        Ok(form) => (StatusCode::SEE_OTHER, [(header::LOCATION, format!("{}/", form.path()))]).into_response(),
        Err(page) => page,
    }
}

pub(super) async fn questions(State(desk): State<Arc<Desk>>, Path(at): Path<FormPath>) -> Response {
    let content = desk.content();
    match content.form_at(&desk, &at) {
        Ok(form) => match refusing(&desk, &content, &form, &RawAnswers::default()).await {
            Some(page) => of_form(&form, page),
            None => {
                let html = content.pages.questions(&form, &RawAnswers::default(), &[], 0, Vec::new());
                of_form(&form, page(StatusCode::OK, html, "questions"))
            }
        },
        Err(page) => page,
    }
}

pub(super) async fn verify(State(desk): State<Arc<Desk>>, Path(at): Path<FormPath>, request: Request) -> Response {
    let content = desk.content();
    let form = &match content.form_at(&desk, &at) {
        Ok(form) => form,
        Err(page) => return page,
    };
    if !form.is_at_counter()
        && let Err(wait) = desk.rate(Act::Check, desk.client(&request))
    {
        return of_form(form, slowed(&desk, &content, form, request, wait).await);
    }
    let received = match receive(request, form, &[PAGE], &desk.depot.files, &desk.limits).await {
        Ok(received) => received,
        Err(refusal) => return of_form(form, refused(&content, Some((form, &desk.limits)), refusal)),
    };
    let answer = match refusing(&desk, &content, form, &received.raw).await {
        Some(page) => page,
        None => checked(&desk, &content, form, received),
    };
    of_form(form, answer)
}

/// When to come back after the machine could not keep or find a file.
pub(super) const LATER: Duration = Duration::from_secs(120);

/// The next page of questions, the check page, or the questions with what is to mend.
fn checked(desk: &Desk, content: &DeskContent, form: &Form, received: Received) -> Response {
    if received.storage.is_some() {
        return unavailable(content, form, &received, None, LATER);
    }
    let raw = &received.raw;
    let at = Position::of(form, received.others.get(PAGE).map(String::as_str));
    if let Some(exit) = form.exit(raw).filter(|exit| form.page_of(&exit.id) <= at.page) {
        return page(StatusCode::OK, exit_page(content, form, raw, exit, at.seen), "exit");
    }
    let (valid, found) = match validate::answers(form, raw, desk.now(content).date()) {
        Ok(valid) => (Some(valid), Vec::new()),
        Err(found) => (None, found),
    };
    let errors = all_errors(&received, found);
    let wrong = errors.iter().map(|error| page_of_input(form, &error.input)).min();
    if let Some(wrong) = wrong.filter(|wrong| *wrong <= at.page) {
        let html = questions_page(content, form, raw, &errors, Position { page: wrong, seen: at.seen });
        return page(StatusCode::UNPROCESSABLE_ENTITY, html, "to_mend");
    }
    let pages = form.pages();
    let asks = |number: &usize| pages[*number].iter().any(|field| form.asks(field, raw));
    let unseen = |number: &usize| *number > at.seen || wrong == Some(*number);
    if let Some(next) = (at.page + 1..pages.len()).filter(asks).find(unseen) {
        let html = questions_page(content, form, raw, &[], Position { page: next, seen: at.seen.max(next) });
        return page(StatusCode::OK, html, "next");
    }
    match valid.filter(|_| errors.is_empty()) {
        Some(valid) => {
            let token = match desk.token(form) {
                Ok(token) => token,
                Err(page) => return page,
            };
            let hidden = hidden(form, raw, Some(token));
            page(
                StatusCode::OK,
                content.pages.check(form, raw, &valid, hidden, ("", desk.asks_code(form)), &[]),
                "check",
            )
        }
        None => to_mend(content, form, &received, errors),
    }
}

pub(super) async fn modify(State(desk): State<Arc<Desk>>, Path(at): Path<FormPath>, request: Request) -> Response {
    let content = desk.content();
    let form = &match content.form_at(&desk, &at) {
        Ok(form) => form,
        Err(page) => return page,
    };
    let asked = request.uri().query().and_then(|query| query.strip_prefix(GO_TO)?.strip_prefix('=')).map(str::to_owned);
    let answer = match receive(request, form, &[GO_TO, COPY, PAGE], &desk.depot.files, &desk.limits).await {
        // A page without the files that cannot be looked up would lose them.
        Ok(received) if received.storage.is_some() => unavailable(&content, form, &received, None, LATER),
        Ok(mut received) => {
            let other = |name: &str| received.others.get(name).map(String::as_str);
            let before = Position::of(form, other(PAGE).or(Some("1")));
            let wanted = asked.as_deref().or(other(GO_TO)).map(|page| Position::of(form, Some(page)).page);
            let seen = if asked.is_some() { form.pages().len() - 1 } else { before.seen };
            if let Some(act) = received.others.get(COPY).cloned() {
                change_copies(form, &mut received.raw, &act);
            }
            let at = Position { page: wanted.unwrap_or(before.page), seen };
            let html = questions_page(&content, form, &received.raw, &received.errors, at);
            page(StatusCode::OK, html, "modify")
        }
        Err(refusal) => refused(&content, Some((form, &desk.limits)), refusal),
    };
    of_form(form, answer)
}

pub(super) async fn send(State(desk): State<Arc<Desk>>, Path(at): Path<FormPath>, request: Request) -> Response {
    let content = desk.content();
    let form = &match content.form_at(&desk, &at) {
        Ok(form) => form,
        Err(page) => return page,
    };
    let client = desk.client(&request);
    let received = match receive(
        request,
        form,
        &[TOKEN, HONEYPOT, TRAP_TOLD, AGENT_CODE],
        &desk.depot.files,
        &desk.limits,
    )
    .await
    {
        Ok(received) => received,
        Err(refusal) => return of_form(form, refused(&content, Some((form, &desk.limits)), refusal)),
    };
    let answer = sent(&desk, &content, form, received, client).await;
    of_form(form, answer)
}

/// What « Envoyer » does, once all is read.
async fn sent(
    desk: &Arc<Desk>,
    content: &Arc<DeskContent>,
    form: &Form,
    received: Received,
    client: Option<IpAddr>,
) -> Response {
    let other = |name: &str| received.others.get(name).map_or("", String::as_str);
    let check = desk.keys.check(other(TOKEN), &form.id, (desk.clock)(), MIN_AGE);
    if let TokenCheck::Fresh { nonce } | TokenCheck::Hasty { nonce } | TokenCheck::Expired { nonce } = check {
        // A second press on the button finds its first, whatever has changed since.
        match known(desk, nonce).await {
            Ok(Some(recorded)) => return to_receipt(desk, form, &recorded, "again"),
            Ok(None) => {}
            Err(error) => return store_failed(desk, content, form, &received, &error.into()),
        }
    }
    if received.storage.is_some() {
        // A file that is there and cannot be looked up is not one that was never joined.
        return unavailable(content, form, &received, Some(other(TOKEN).to_owned()), LATER);
    }
    if let Some(page) = closed(desk, content, form, &received.raw) {
        return page;
    }
    if let Some(exit) = form.exit(&received.raw) {
        let html = exit_page(content, form, &received.raw, exit, form.pages().len() - 1);
        return page(StatusCode::UNPROCESSABLE_ENTITY, html, "exit");
    }
    let valid = match validate::answers(form, &received.raw, desk.now(content).date()) {
        Ok(valid) if received.errors.is_empty() => valid,
        found => return to_mend(content, form, &received, found.err().unwrap_or_default()),
    };
    let trap = other(HONEYPOT);
    // Whoever was asked to empty the trap and did not is waited for no more: perhaps a program fills it for a person.
    let passes = trap.is_empty() || !other(TRAP_TOLD).is_empty();
    let (nonce, stale) = match check {
        TokenCheck::Fresh { nonce } | TokenCheck::Hasty { nonce } if passes => (nonce, None),
        TokenCheck::Fresh { .. } | TokenCheck::Hasty { .. } => ([0; 16], Some("trap")),
        TokenCheck::Expired { .. } => ([0; 16], Some("expired")),
        TokenCheck::Forged => ([0; 16], Some("forged")),
    };
    if let Some(outcome) = stale {
        let token = match desk.token(form) {
            Ok(token) => token,
            Err(page) => return page,
        };
        let message = "Relisez vos réponses, puis envoyez-les : cette page était restée ouverte trop longtemps";
        let error = FieldError { input: TOKEN.to_owned(), message: message.to_owned() };
        let errors = if outcome == "trap" { vec![] } else { vec![error] };
        let mut hidden = hidden(form, &received.raw, Some(token));
        hidden.extend((!trap.is_empty()).then(|| (TRAP_TOLD.to_owned(), "oui".to_owned())));
        let html = content.pages.check(form, &received.raw, &valid, hidden, (trap, desk.asks_code(form)), &errors);
        return page(StatusCode::UNPROCESSABLE_ENTITY, html, outcome);
    }
    if let Some(counter) = form.counter.as_ref().filter(|_| desk.asks_code(form)) {
        let typed = other(AGENT_CODE);
        match desk.agents.judge(&format!("comptoir {counter}"), typed, Instant::now()) {
            Typed::Right => {}
            Typed::Wrong => {
                let hidden = hidden(form, &received.raw, Some(other(TOKEN).to_owned()));
                let errors = [wrong_code(typed)];
                let html = content.pages.check(form, &received.raw, &valid, hidden, (trap, true), &errors);
                return page(StatusCode::UNPROCESSABLE_ENTITY, html, "to_mend");
            }
            Typed::Stopped(wait) => return stopped(content, wait),
        }
    }
    let email = residents_email(form, &content.issuer, &valid);
    // An agent is no flood: the link is the proof.
    let counted = !form.is_at_counter();
    if counted && let Err(wait) = desk.rate(Act::Send, client).and_then(|()| desk.rate_form(form, email, &nonce)) {
        let token = other(TOKEN).to_owned();
        return too_many(content, form, &received.raw, Some(token), wait);
    }
    let signs = Signs { hasty: matches!(check, TokenCheck::Hasty { .. }), trapped: !trap.is_empty(), same_before: 0 };
    let room = match room(desk, content, form).await {
        Ok(room) => room,
        Err(error) => return store_failed(desk, content, form, &received, &error.into()),
    };
    if matches!(room, Room::None) {
        return no_place(content, form, &received.raw);
    }
    // In a task of its own: a client that leaves does not stop it half-way.
    let task = tokio::spawn({
        let (desk, content, form) = (desk.clone(), content.clone(), desk.addressed(placed(form, &room), &received.raw));
        async move {
            let now = desk.now(&content);
            let watched = desk
                .rates
                .as_ref()
                .filter(|_| counted)
                .map(|rates| Watched::new(rates, &form, &content.issuer, &valid));
            let hold = watched.as_ref().map_or_else(Hold::default, |one| one.hold(&valid, signs, now.timestamp()));
            let (issuer, links) = (&content.issuer, desk.links(&content));
            let accepted = accept_held(&desk.depot, &form, (issuer, &links), (valid, nonce, hold.clone()), &now).await;
            if let Some(watched) = &watched {
                let is_new = accepted.as_ref().is_ok_and(|recorded| recorded.new);
                watched.settle(&hold, is_new);
                if is_new {
                    desk.watch.held(&hold);
                }
            }
            accepted
        }
    });
    match task.await {
        Ok(Ok(recorded)) => to_receipt(desk, form, &recorded, if recorded.new { "accepted" } else { "again" }),
        // Somebody was faster: the same press, again, finds what is left.
        Ok(Err(AcceptError::Store(StoreError::NoPlace))) => no_place(content, form, &received.raw),
        Ok(Err(error)) => store_failed(desk, content, form, &received, &error),
        Err(_) => crashed(Box::new(())),
    }
}

impl Desk {
    /// Whether the code of the mairie is asked of who fills this form.
    fn asks_code(&self, form: &Form) -> bool {
        form.is_at_counter() && self.agents.asks()
    }
}

/// What was recorded under a nonce; the database is read on a thread that may wait.
async fn known(desk: &Desk, nonce: [u8; 16]) -> Result<Option<Recorded>, StoreError> {
    let store = desk.depot.store.clone();
    reading(move || store.recorded(&nonce)).await
}

fn to_receipt(desk: &Desk, form: &Form, recorded: &Recorded, outcome: &'static str) -> Response {
    let seen_by = if form.is_at_counter() { "?comptoir" } else { "" };
    let place = format!("/guichet/recu/{}/{}{seen_by}", recorded.reference, desk.keys.secret(&recorded.reference));
    with(outcome, (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response())
}

/// A person needs longer to read the check page; one sign of a robot among others, never a refusal by itself.
const MIN_AGE: SignedDuration = SignedDuration::from_secs(3);

/// The forms an agent may fill, under a link of the counter.
pub(super) async fn counter(State(desk): State<Arc<Desk>>, Path(token): Path<String>) -> Response {
    let content = desk.content();
    if let Err(page) = content.counter_opens(&desk, &token) {
        return page;
    }
    let forms = content.site.forms.values();
    let mut links: Vec<(String, String)> =
        forms.map(|form| (form.title.clone(), content.at(&format!("{}/", form.at_counter(&token).path())))).collect();
    links.sort();
    let words = [
        "Choisissez le formulaire à remplir pour la personne au téléphone ou devant vous.".to_owned(),
        "Ce lien est pour la mairie seule. Ce que vous enregistrez arrive comme les autres demandes, avec votre nom."
            .to_owned(),
    ];
    page(StatusCode::OK, content.pages.counter(&words, &links), "counter")
}
