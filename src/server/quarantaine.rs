//! The mairie judges what waits in quarantine, from the mail that told of it.
//!
//! ```text
//! GET  /guichet/quarantaine/{token}                        what waits for this mailbox, with what was written
//! POST /guichet/quarantaine/{token}/{reference}/passer     it leaves now → 303 to the page, 409 when too late
//! POST /guichet/quarantaine/{token}/{reference}/ecarter    it is put aside → the same
//! ```
//!
//! A GET changes nothing. A button asks for the code of the mairie when there is one, as every act does. A mailbox sees the requests that are addressed to it, and no other.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;

use super::agent::{AGENT_CODE, Typed};
use super::agir::{stopped, wrong_code};
use super::answer::{page, with};
use super::boite::fields;
use super::desk::{Desk, DeskContent, reading};
use super::rate::Act as RateAct;
use super::refusal::too_often;
use super::suivi::unreadable;
use crate::intake::notice::{mailboxes_of, reason_words};
use crate::intake::store::{MailboxTag, Store, StoreError};
use crate::intake::token::{Errand, ErrandCheck};
use crate::model::intake::Quarantined;
use crate::model::reference::Reference;
use crate::model::submission::Answer;
use crate::render::guichet::{Held, Judging, Notice};
use crate::render::view::MessageKind;
use crate::text::dates::{short_date, time};

/// The routes of the quarantine.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/guichet/quarantaine/{token}", get(show))
        .route("/guichet/quarantaine/{token}/{reference}/{act}", get(back).post(decide))
}

/// A request in quarantine and what was written in it.
type Waiting = Vec<(Quarantined, Vec<Answer>)>;

/// The mailbox of a token, or the page that says why there is none.
fn open(desk: &Desk, content: &DeskContent, token: &str) -> Result<MailboxTag, Response> {
    match desk.keys.check_errand(Errand::Quarantine, token, (desk.clock)()) {
        ErrandCheck::Opens(tag) => Ok(tag),
        ErrandCheck::Expired => {
            let words =
                ["Ce lien a plus d'un mois. Ce qui attendait alors est parti à la mairie, ou a été mis de côté."];
            Err(content.message(StatusCode::GONE, "held_expired", "Lien périmé", &words.map(str::to_owned)))
        }
        ErrandCheck::Forged => {
            let words = [
                "Ce lien n'est pas complet, ou n'est pas de ce guichet. Rien n'a changé.".to_owned(),
                "Ouvrez de nouveau le message reçu, et copiez le lien en entier.".to_owned(),
            ];
            Err(content.message(StatusCode::NOT_FOUND, "held_forged", "Lien inconnu", &words))
        }
    }
}

/// What waits and is the business of this mailbox.
fn waiting(desk: &Desk, tag: MailboxTag, now: Timestamp) -> Result<Waiting, StoreError> {
    let (_, boxes, _) = desk.mailboxes();
    let store = &desk.depot.store;
    let is_own = |one: &Quarantined| mailboxes_of(store, &boxes, one).iter().any(|to| store.mailbox_tag(to) == tag);
    let own = store.quarantined(now)?.into_iter().filter(is_own).take(SHOWN);
    own.map(|one| {
        let answers = store.detail(&one.reference, true)?.map(|detail| detail.answers).unwrap_or_default();
        Ok((one, answers))
    })
    .collect()
}

async fn show(State(desk): State<Arc<Desk>>, Path(token): Path<String>, request: Request) -> Response {
    let content = desk.content();
    let tag = match open(&desk, &content, &token) {
        Ok(tag) => tag,
        Err(page) => return page,
    };
    let notices = match request.uri().query() {
        Some("passee") => vec![notice(
            MessageKind::Valide,
            "La demande part à l'instant",
            "Elle arrive dans la boîte de la mairie, et l'accusé chez l'usager.",
        )],
        Some("ecartee") => vec![notice(
            MessageKind::Valide,
            "La demande est mise de côté",
            "Rien n'est envoyé. Elle est gardée jusqu'à sa date : la personne qui s'occupe du guichet peut la reprendre avec mulot demandes renvoyer.",
        )],
        _ => Vec::new(),
    };
    listed(&desk, &content, (&token, tag), (notices, None), StatusCode::OK).await
}

async fn listed(
    desk: &Arc<Desk>,
    content: &DeskContent,
    (token, tag): (&str, MailboxTag),
    (notices, wrong): (Vec<Notice>, Option<(&Reference, String)>),
    status: StatusCode,
) -> Response {
    let (looking, now) = (desk.clone(), (desk.clock)());
    let found = match reading(move || waiting(&looking, tag, now)).await {
        Ok(found) => found,
        Err(error) => return unreadable(content, error),
    };
    let outcome = match status {
        StatusCode::OK => "held_page",
        StatusCode::UNPROCESSABLE_ENTITY => "to_mend",
        _ => "held_conflict",
    };
    let title = if found.is_empty() { "Rien n'attend en quarantaine" } else { "Envois à vérifier" };
    let paragraphs = if found.is_empty() {
        vec!["Ce qui attendait est parti à la mairie, ou a été mis de côté.".to_owned()]
    } else {
        vec![
            "Ces envois ressemblent à de la publicité. Lisez-les, puis choisissez ; sans geste de votre part, chacun part de lui-même à la date indiquée. N'ouvrez aucun lien écrit dans un envoi.".to_owned(),
        ]
    };
    let moment = |at: Timestamp| {
        let at = at.to_zoned(content.zone.clone());
        format!("le {} à {}", short_date(at.date()), time(at.time()))
    };
    let place =
        |one: &Quarantined, act: &str| content.at(&format!("/guichet/quarantaine/{token}/{}/{act}", one.reference));
    let item = |(one, answers): (Quarantined, Vec<Answer>)| Held {
        code: desk.agents.asks().then(|| {
            let of_it = wrong.as_ref().filter(|(reference, _)| **reference == one.reference);
            of_it.map(|(_, message)| message.clone())
        }),
        urls: (place(&one, RELEASE), place(&one, ASIDE)),
        received: moment(one.since),
        leaves: moment(one.until),
        reasons: one.reasons.iter().map(|reason| reason_words(reason)).collect::<Vec<_>>().join(", "),
        reference: one.reference.to_string(),
        title: one.form_title,
        answers,
    };
    let told = Judging { notices, paragraphs, items: found.into_iter().map(item).collect() };
    page(status, content.pages.quarantine(title, &told), outcome)
}

async fn decide(
    State(desk): State<Arc<Desk>>,
    Path((token, reference, act)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    let content = desk.content();
    if let Err(wait) = desk.rate(RateAct::Check, desk.client(&request)) {
        return too_often(&content, wait);
    }
    let tag = match open(&desk, &content, &token) {
        Ok(tag) => tag,
        Err(page) => return page,
    };
    type Decision = fn(&Store, &Reference, Timestamp) -> Result<bool, StoreError>;
    let (decision, done): (Decision, _) = match act.as_str() {
        RELEASE => (Store::release, "passee"),
        ASIDE => (Store::set_aside, "ecartee"),
        _ => {
            let words = ["Cette adresse du guichet n'existe pas.".to_owned()];
            return content.message(StatusCode::NOT_FOUND, "not_found", "Page introuvable", &words);
        }
    };
    let (looking, now) = (desk.clone(), (desk.clock)());
    let found = reading(move || {
        // A reference of another mailbox is as good as none.
        let own = waiting(&looking, tag, now)?.into_iter().find(|(one, _)| one.reference.as_str() == reference);
        Ok(own.map(|(one, _)| one.reference))
    });
    let own = match found.await {
        Ok(own) => own,
        Err(error) => return unreadable(&content, error),
    };
    if let Some(reference) = own.as_ref().filter(|_| desk.agents.asks()) {
        let typed = fields(request).await.and_then(|mut fields| fields.remove(AGENT_CODE)).unwrap_or_default();
        match desk.agents.judge(reference.as_str(), &typed, Instant::now()) {
            Typed::Right => {}
            Typed::Wrong => {
                let wrong = Some((reference, wrong_code(&typed).message));
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return listed(&desk, &content, (&token, tag), (Vec::new(), wrong), status).await;
            }
            Typed::Stopped(wait) => return stopped(&content, wait),
        }
    }
    let working = desk.clone();
    let decided = reading(move || own.map_or(Ok(false), |reference| decision(&working.depot.store, &reference, now)));
    match decided.await {
        Ok(true) => {
            tracing::info!(event = "quarantine.judged", decision = done, "the mairie judged a request");
            let place = format!("/guichet/quarantaine/{token}?{done}");
            with("held_judged", (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response())
        }
        Ok(false) => {
            let words = "Elle est déjà partie, ou quelqu'un l'a déjà jugée : rien n'a changé.";
            let notices = vec![notice(MessageKind::Attention, "Cette demande n'attend plus", words)];
            listed(&desk, &content, (&token, tag), (notices, None), StatusCode::CONFLICT).await
        }
        Err(error) => unreadable(&content, error),
    }
}

/// Whoever asks for the address of a button goes back to the page.
async fn back(Path((token, ..)): Path<(String, String, String)>) -> Response {
    with(
        "again",
        (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/guichet/quarantaine/{token}"))]).into_response(),
    )
}

fn notice(kind: MessageKind, title: &str, words: &str) -> Notice {
    Notice { kind, title: title.to_owned(), paragraphs: vec![words.to_owned()] }
}

const RELEASE: &str = "passer";
const ASIDE: &str = "ecarter";
/// Requests on one page.
const SHOWN: usize = 20;
