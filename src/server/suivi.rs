//! The resident's follow-up: where a request stands, what is missing, cancelling. No cookie, no account: the address is the key.
//!
//! ```text
//! GET  /guichet/suivi/{reference}/{secret}             where it stands
//! POST /guichet/suivi/{reference}/{secret}/completer   files and words → 303 to the page, 422, or 409 when too late
//! GET  /guichet/suivi/{reference}/{secret}/annuler     the question, or 409 when too late
//! POST /guichet/suivi/{reference}/{secret}/annuler     → 303 to the page, or 409 when too late
//! ```

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Zoned;

use super::answer::{later, page, with};
use super::desk::{Desk, DeskContent, reading};
use super::forms::LATER;
use super::rate::Act as RateAct;
use super::receive::{Received, receive};
use super::recu::half_hidden;
use super::refusal::{refused, too_often};
use crate::intake::accept::{AcceptError, put_away};
use crate::intake::follow::{self, Case, fields};
use crate::intake::store::{Acted, NewAct, StoreError};
use crate::model::dossier::{Act, ActKind, State as Stage};
use crate::model::reference::Reference;
use crate::model::submission::{FieldError, RawAnswers};
use crate::render::guichet::{Cancelling, Event, Following, Notice};
use crate::render::view::MessageKind;
use crate::text::dates::{received_at, short_date, time};
use crate::text::numbers::telephone_display;

/// The routes of the follow-up.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/guichet/suivi/{reference}/{secret}", get(show))
        .route("/guichet/suivi/{reference}/{secret}/completer", post(complete).get(back))
        .route("/guichet/suivi/{reference}/{secret}/annuler", get(ask).post(cancel))
}

type Address = Path<(String, String)>;

async fn show(State(desk): State<Arc<Desk>>, Path(address): Address, request: Request) -> Response {
    let content = desk.content();
    let case = match open(&desk, &content, &address).await {
        Ok(case) => case,
        Err(page) => return page,
    };
    let notices = match request.uri().query() {
        Some("ajout") => vec![Notice {
            kind: MessageKind::Valide,
            title: "Votre envoi est bien arrivé à la mairie".into(),
            paragraphs: Vec::new(),
        }],
        _ => Vec::new(),
    };
    let raw = RawAnswers::default();
    page(StatusCode::OK, follow_page(&desk, &content, &case, notices, (&raw, &[])), "follow")
}

/// Whoever asks for the address of an answer goes back to the page.
async fn back(Path((reference, secret)): Address) -> Response {
    to(&format!("/guichet/suivi/{reference}/{secret}"), "again")
}

fn to(place: &str, outcome: &'static str) -> Response {
    with(outcome, (StatusCode::SEE_OTHER, [(header::LOCATION, place.to_owned())]).into_response())
}

/// The request of an address, or the page that says why there is none.
async fn open(desk: &Desk, content: &DeskContent, (reference, secret): &(String, String)) -> Result<Case, Response> {
    let parsed = reference.parse::<Reference>();
    // A reference that cannot be one is tried all the same: the answer takes as long.
    let opens = desk.keys.opens_follow(parsed.as_ref().unwrap_or(&Reference::new(0, [0; 5])), secret);
    let (Ok(reference), true) = (parsed, opens) else {
        let words = [
            "Cette adresse ne mène à aucune demande. Vérifiez qu'elle est complète.".to_owned(),
            "Avec votre référence, la mairie peut vous renseigner par téléphone.".to_owned(),
        ];
        return Err(content.message(StatusCode::NOT_FOUND, "no_follow", "Demande introuvable", &words));
    };
    case(desk, content, &reference).await
}

/// What is kept of a request, or the page that says that it is erased or cannot be read.
pub(super) async fn case(desk: &Desk, content: &DeskContent, reference: &Reference) -> Result<Case, Response> {
    let (store, wanted) = (desk.depot.store.clone(), reference.clone());
    match reading(move || store.kept(&wanted)).await {
        Ok(Some(kept)) => Case::of(kept).ok_or_else(|| {
            let words = ["Cette demande a été effacée du guichet, comme annoncé. La mairie peut vous renseigner."];
            content.message(StatusCode::GONE, "erased", "Demande effacée", &words.map(str::to_owned))
        }),
        Ok(None) => {
            let words = ["Cette demande n'est plus gardée.".to_owned()];
            Err(content.message(StatusCode::NOT_FOUND, "no_follow", "Demande introuvable", &words))
        }
        Err(error) => Err(unreadable(content, error)),
    }
}

/// The store refuses: nothing was lost, it is to be tried again.
pub(super) fn unreadable(content: &DeskContent, error: impl Into<AcceptError>) -> Response {
    let error: AcceptError = error.into();
    tracing::error!(event = "follow.failed", reason = error.as_str(), "a request cannot be read or written");
    let words = ["Le guichet ne répond pas en ce moment. Rien n'est perdu : revenez dans un moment.".to_owned()];
    let answer = content.message(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Revenez dans un moment", &words);
    later(answer, Duration::from_secs(30))
}

fn follow_page(
    desk: &Desk,
    content: &DeskContent,
    case: &Case,
    mut notices: Vec<Notice>,
    (raw, errors): (&RawAnswers, &[FieldError]),
) -> String {
    let today = desk.now(content).date();
    let (kept, life) = (&case.kept, &case.life);
    if kept.is_undelivered {
        let email = kept.sender.email.as_deref().map(half_hidden).unwrap_or_default();
        notices.push(Notice {
            kind: MessageKind::Attention,
            title: format!("Le courriel envoyé à {email} n'a pas pu être remis"),
            paragraphs: vec![
                "Tout ce que la mairie vous a écrit est sur cette page, l'accusé aussi : imprimez-la, et appelez la mairie pour donner une autre adresse.".into(),
            ],
        });
    }
    let path = desk.links(content).follow_path(&kept.reference);
    let form = fields::complement_form(case);
    let document = case.receipt.document();
    content.pages.follow(&Following {
        form_title: &kept.form_title,
        fiche: content.site.forms.get(&kept.form_id).map(|form| form.page_url.as_str()),
        reference: kept.reference.as_str(),
        received: (received_at(&kept.received_at), iso(&kept.received_at)),
        state: life.state.words(),
        notices,
        summary: summary(case, today),
        missing: life
            .missing
            .as_ref()
            .filter(|_| !life.state.is_closed())
            .map(|missing| (short_date(missing.until), missing.asked.clone())),
        complement: life.takes_complement().then(|| (&form, format!("{path}/completer"), raw, errors)),
        events: events(case),
        receipt: &document,
        mailed: kept.sender.email.is_some() && !kept.is_undelivered,
        cancel: (!life.state.is_closed()).then(|| format!("{path}/annuler")),
        service: case.service(),
    })
}

/// Where it stands, in plain words.
fn summary(case: &Case, today: jiff::civil::Date) -> Vec<String> {
    let state = match case.life.state {
        Stage::Recue => "La mairie a reçu votre demande.".to_owned(),
        Stage::PriseEnCharge => "La mairie s'occupe de votre demande.".to_owned(),
        Stage::PiecesDemandees => "La mairie attend des documents de votre part.".to_owned(),
        Stage::Completee => {
            "La mairie a reçu ce que vous avez ajouté. Elle regarde si votre dossier est complet.".to_owned()
        }
        Stage::Acceptee => "Votre demande est acceptée.".to_owned(),
        Stage::Refusee => {
            "Votre demande est refusée. La lettre ci-dessous dit pourquoi, et comment contester.".to_owned()
        }
        Stage::Transmise => match &case.life.sent_to {
            Some(body) => format!("Votre demande a été transmise à : {body}. C'est cet organisme qui vous répondra."),
            None => "Votre demande a été transmise à l'organisme compétent.".to_owned(),
        },
        Stage::Classee => "La mairie vous a répondu.".to_owned(),
        Stage::Annulee => "Vous avez annulé cette demande. La mairie est prévenue.".to_owned(),
    };
    let mut words = vec![state];
    if case.life.state == Stage::Completee
        && let Some(missing) = case.asked()
    {
        words.push("Documents demandés :".into());
        words.extend(missing.asked.iter().map(|piece| format!("– {piece}")));
        if case.life.takes_complement() {
            let until = short_date(missing.until);
            words.push(format!("S'il en manque encore, ajoutez-les ci-dessous, au plus tard le {until}."));
        }
    }
    words.extend(follow::horizon_words(&case.life, today));
    words
}

/// What happened, newest first, reception last.
pub(super) fn events(case: &Case) -> Vec<Event> {
    let event = |act: &Act| Event {
        date: moment(&act.at),
        iso: iso(&act.at),
        title: follow::act_title(&act.kind),
        by: act.agent.as_ref().map(|agent| agent.words()),
        letter: act.letter.clone(),
        files: match &act.kind {
            ActKind::Complement { files, .. } => files.iter().map(|file| file.name.clone()).collect(),
            _ => Vec::new(),
        },
    };
    let received = Event {
        date: moment(&case.kept.received_at),
        iso: iso(&case.kept.received_at),
        title: "Reçue par le guichet".into(),
        ..Event::default()
    };
    case.kept.acts.iter().rev().map(event).chain([received]).collect()
}

/// « 25 novembre 2026 à 9 h ».
fn moment(at: &Zoned) -> String {
    format!("{} à {}", short_date(at.date()), time(at.time()))
}

pub(super) fn iso(at: &Zoned) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

async fn complete(State(desk): State<Arc<Desk>>, Path(address): Address, request: Request) -> Response {
    let content = desk.content();
    if let Err(wait) = desk.rate(RateAct::Send, desk.client(&request)) {
        return too_often(&content, wait);
    }
    let case = match open(&desk, &content, &address).await {
        Ok(case) => case,
        Err(page) => return page,
    };
    let path = desk.links(&content).follow_path(&case.kept.reference);
    let form = fields::complement_form(&case);
    // Read even when it comes too late: what was typed is given back.
    let received = match receive(request, &form, &[], &desk.depot.files, &desk.limits).await {
        Ok(received) => received,
        Err(refusal) => return refused(&content, None, refusal),
    };
    if !case.life.takes_complement() {
        return not_added(&desk, &content, &case, &received.raw);
    }
    if received.storage.is_some() {
        return not_kept(&desk, &content, &case, &received);
    }
    let now = desk.now(&content);
    let (text, files) = match fields::complement(&form, &received.raw, now.date()) {
        Ok(valid) if received.errors.is_empty() => valid,
        found => {
            let mut errors = received.errors.clone();
            let told: Vec<String> = errors.iter().map(|error| error.input.clone()).collect();
            errors.extend(found.err().unwrap_or_default().into_iter().filter(|error| !told.contains(&error.input)));
            let html = follow_page(&desk, &content, &case, Vec::new(), (&received.raw, &errors));
            return page(StatusCode::UNPROCESSABLE_ENTITY, html, "to_mend");
        }
    };
    match put_away(&desk.depot, files.clone()).await {
        Ok(()) => {}
        Err(AcceptError::FileGone { .. }) => {
            let message = "Un fichier joint plus tôt n'est plus disponible : joignez-le de nouveau".to_owned();
            let errors = [FieldError { input: "pieces".into(), message }];
            let raw = RawAnswers { files: Default::default(), ..received.raw };
            let html = follow_page(&desk, &content, &case, Vec::new(), (&raw, &errors));
            return page(StatusCode::UNPROCESSABLE_ENTITY, html, "to_mend");
        }
        Err(error) => {
            tracing::error!(event = "follow.failed", reason = error.as_str(), "files could not be kept");
            return not_kept(&desk, &content, &case, &received);
        }
    }
    let act = Act { at: now, agent: None, kind: ActKind::Complement { text, files }, letter: Vec::new() };
    match record(&desk, &content, &case, act).await {
        Ok(Acted::Done(_)) => to(&format!("{path}?ajout"), "completed"),
        Ok(Acted::Stale) => match open(&desk, &content, &address).await {
            Ok(case) => not_added(&desk, &content, &case, &received.raw),
            Err(page) => page,
        },
        Err(error) => unreadable(&content, error),
    }
}

/// The files could not be kept (503): the same page, with what was typed and the files that are there.
fn not_kept(desk: &Desk, content: &DeskContent, case: &Case, received: &Received) -> Response {
    let message = "Vos fichiers ne peuvent pas être gardés en ce moment. Rien n'est parti : envoyez de nouveau dans quelques \
                   minutes, ou appelez la mairie";
    let mut errors = vec![FieldError { input: "pieces".into(), message: message.into() }];
    errors.extend(received.errors.iter().filter(|error| error.input != "pieces").cloned());
    let html = follow_page(desk, content, case, Vec::new(), (&received.raw, &errors));
    later(page(StatusCode::SERVICE_UNAVAILABLE, html, "unavailable"), LATER)
}

/// The mairie acted meanwhile: nothing was added, and what was typed is there to copy.
fn not_added(desk: &Desk, content: &DeskContent, case: &Case, typed: &RawAnswers) -> Response {
    let text = follow::paragraphs(typed.first("precisions"));
    let files: Vec<String> = typed.files.values().flatten().map(|file| file.name.clone()).collect();
    let mut why = match case.life.state {
        _ if case.life.takes_complement() || case.life.state.is_closed() => since(case),
        Stage::Completee => {
            vec!["Vous avez déjà complété plusieurs fois cette demande : cette page n'en prend plus.".into()]
        }
        _ => vec!["La mairie n'a pas demandé de document pour le moment.".into()],
    };
    if !text.is_empty() || !files.is_empty() {
        why.push("Ce que vous vouliez envoyer est rappelé ci-dessous : copiez-le avant de quitter cette page.".into());
    }
    why.push(call(case, "Pour le transmettre quand même"));
    let mut notices = vec![attention("Rien n'a été ajouté", why)];
    if !text.is_empty() {
        notices.push(attention("Votre texte, qui n'est pas parti", text));
    }
    if !files.is_empty() {
        notices.push(attention("Vos fichiers, qui ne sont pas partis", files));
    }
    let html = follow_page(desk, content, case, notices, (&RawAnswers::default(), &[]));
    page(StatusCode::CONFLICT, html, "stale")
}

/// The mairie acted meanwhile: nothing was cancelled. A request that is cancelled already stays so, and all is said.
fn not_cancelled(desk: &Desk, content: &DeskContent, case: &Case) -> Response {
    if case.life.state == Stage::Annulee {
        return to(&desk.links(content).follow_path(&case.kept.reference), "closed");
    }
    let mut why = since(case);
    why.push(if case.life.state.is_closed() {
        call(case, "La mairie a terminé : votre demande ne peut plus être annulée ici. Pour en parler")
    } else {
        "Vous pouvez encore l'annuler, en bas de cette page.".into()
    });
    let notices = vec![attention("Votre demande n'a pas été annulée", why)];
    let html = follow_page(desk, content, case, notices, (&RawAnswers::default(), &[]));
    page(StatusCode::CONFLICT, html, "stale")
}

fn attention(title: &str, paragraphs: Vec<String>) -> Notice {
    Notice { kind: MessageKind::Attention, title: title.to_owned(), paragraphs }
}

/// What changed while the resident was writing.
fn since(case: &Case) -> Vec<String> {
    happened(case).map(|what| format!("Cette demande a changé entre-temps : {what}")).into_iter().collect()
}

/// The last act: what, when, by whom.
pub(super) fn happened(case: &Case) -> Option<String> {
    case.kept.acts.last().map(|act| {
        let by = act.agent.as_ref().map_or(String::new(), |agent| format!(", par {}", agent.words()));
        format!("{}, le {}{by}.", follow::act_title(&act.kind), moment(&act.at))
    })
}

fn call(case: &Case, why: &str) -> String {
    format!("{why}, appelez la mairie au {}.", telephone_display(&case.service().telephone))
}

/// Writes an act with its mails, in a task of its own: a client that leaves does not stop it half-way.
pub(super) async fn record(
    desk: &Arc<Desk>,
    content: &Arc<DeskContent>,
    case: &Case,
    act: Act,
) -> Result<Acted, StoreError> {
    let (desk, content, case) = (desk.clone(), content.clone(), case.clone());
    let task = tokio::spawn(async move {
        let files = follow::files(&act);
        let links = desk.links(&content).with_files(&case.kept.reference, files, act.at.timestamp());
        let version = case.kept.acts.len();
        let mails = follow::mails(&case, &act, version + 1, &content.issuer, &links);
        desk.depot.store.act(&case.kept.reference, NewAct { version, act, mails }).await
    });
    task.await.unwrap_or(Err(StoreError::Closed))
}

async fn ask(State(desk): State<Arc<Desk>>, Path(address): Address) -> Response {
    let content = desk.content();
    let case = match open(&desk, &content, &address).await {
        Ok(case) => case,
        Err(page) => return page,
    };
    let path = desk.links(&content).follow_path(&case.kept.reference);
    if case.life.state.is_closed() {
        return not_cancelled(&desk, &content, &case);
    }
    let html = content.pages.cancelling(&Cancelling {
        form_title: &case.kept.form_title,
        reference: case.kept.reference.as_str(),
        urls: (format!("{path}/annuler"), path.clone()),
        hidden: Vec::new(),
        service: case.service(),
    });
    page(StatusCode::OK, html, "cancel_asked")
}

async fn cancel(State(desk): State<Arc<Desk>>, Path(address): Address, request: Request) -> Response {
    let content = desk.content();
    if let Err(wait) = desk.rate(RateAct::Check, desk.client(&request)) {
        return too_often(&content, wait);
    }
    let case = match open(&desk, &content, &address).await {
        Ok(case) => case,
        Err(page) => return page,
    };
    let path = desk.links(&content).follow_path(&case.kept.reference);
    if case.life.state.is_closed() {
        return not_cancelled(&desk, &content, &case);
    }
    let act = Act { at: desk.now(&content), agent: None, kind: ActKind::Annulation, letter: Vec::new() };
    match record(&desk, &content, &case, act).await {
        Ok(Acted::Done(_)) => to(&path, "cancelled"),
        Ok(Acted::Stale) => match open(&desk, &content, &address).await {
            Ok(case) => not_cancelled(&desk, &content, &case),
            Err(page) => page,
        },
        Err(error) => unreadable(&content, error),
    }
}
