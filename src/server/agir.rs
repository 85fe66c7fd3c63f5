//! The mairie acts from its mailbox: a signed link opens a page, a page leads to a letter, and only its button does anything.
//!
//! ```text
//! GET  /guichet/agir/{token}                   the request, and what can be done
//! GET  /guichet/agir/{token}/{action}          the letter, ready to change
//! POST /guichet/agir/{token}/{action}          → 303 to the letter that left, 422 with what is to mend, 409 when too late
//! GET  /guichet/agir/{token}/lettre/{number}   what was done, and the sheet to print
//! ```
//!
//! Scanners of mailboxes follow links: nothing changes on a GET.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::civil::Date;

use super::agent::{AGENT_CODE, Typed};
use super::answer::{later, page, with};
use super::desk::{Desk, DeskContent};
use super::rate::Act as RateAct;
use super::receive::receive;
use super::refusal::{refused, too_often};
use super::suivi::{case, events, happened, record, unreadable};
use crate::intake::follow::fields;
use crate::intake::follow::{self, Case, Decision, paragraphs};
use crate::intake::store::Acted;
use crate::intake::token::ActCheck;
use crate::model::dossier::{Act, ActKind, Action, Horizon, Life, Side, State as Stage};
use crate::model::form::Form;
use crate::model::submission::{AnswerValue, FieldError, RawAnswers};
use crate::render::guichet::{Acting, Done, Notice, Writing};
use crate::render::view::MessageKind;
use crate::text::dates::{received_at, short_date, time};
use crate::text::numbers::plural;

/// The routes of the mairie.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/guichet/agir/{token}", get(show))
        .route("/guichet/agir/{token}/{action}", get(write).post(act))
        .route("/guichet/agir/{token}/lettre/{number}", get(letter))
}

/// Name of the input that says what the agent had seen.
const VERSION: &str = "version";

/// The request a token opens, or the page that says why it does not.
async fn open(desk: &Desk, content: &DeskContent, token: &str) -> Result<Case, Response> {
    match desk.keys.check_act(token, (desk.clock)()) {
        ActCheck::Opens(reference) => case(desk, content, &reference).await,
        ActCheck::Expired(_) => {
            let words = [
                "Ce lien a plus de six mois : il n'est plus valable. Rien n'a changé.".to_owned(),
                "Le bulletin du matin donne un lien neuf pour chaque demande qui attend. Vous pouvez aussi répondre à l'usager par courriel ou par téléphone.".to_owned(),
            ];
            Err(content.message(StatusCode::GONE, "act_expired", "Lien périmé", &words))
        }
        ActCheck::Forged => {
            let words = [
                "Ce lien n'est pas complet, ou n'est pas de ce guichet. Rien n'a changé.".to_owned(),
                "Ouvrez de nouveau le message de la demande, et copiez le lien en entier.".to_owned(),
            ];
            Err(content.message(StatusCode::NOT_FOUND, "act_forged", "Lien inconnu", &words))
        }
    }
}

async fn show(State(desk): State<Arc<Desk>>, Path(token): Path<String>) -> Response {
    let content = desk.content();
    match open(&desk, &content, &token).await {
        Ok(case) => {
            page(StatusCode::OK, request_page(&desk, &content, &case, (&token, Vec::new(), Vec::new())), "act_page")
        }
        Err(page) => page,
    }
}

fn request_page(
    desk: &Desk,
    content: &DeskContent,
    case: &Case,
    (token, notices, unsent): (&str, Vec<Notice>, Vec<String>),
) -> String {
    let (kept, life) = (&case.kept, &case.life);
    let mut rows = vec![
        ("Référence".to_owned(), kept.reference.to_string()),
        ("Reçue".to_owned(), received_at(&kept.received_at)),
    ];
    let today = desk.now(content).date();
    let mut notices = notices;
    notices.extend(standing(desk, content, case));
    let is_held = is_held(desk, case);
    rows.extend((!kept.sender.name.is_empty()).then(|| ("De".to_owned(), kept.sender.name.clone())));
    let address = match &kept.sender.email {
        Some(email) if kept.is_undelivered => {
            format!("{email}\nLe dernier courriel n'a pas pu être remis : appelez l'usager, ou écrivez-lui.")
        }
        Some(email) => email.clone(),
        None => "Aucune : la lettre sera à imprimer".to_owned(),
    };
    rows.push(("Adresse électronique".to_owned(), address));
    rows.extend(follow::deadline_words(life, today).map(|words| ("Échéance".to_owned(), words)));
    if !life.state.is_closed() {
        rows.extend(case.asked().map(|missing| ("Documents demandés".to_owned(), missing.asked.join("\n"))));
    }
    content.pages.acting(&Acting {
        form_title: &kept.form_title,
        reference: kept.reference.as_str(),
        state: life.state.words(),
        notices,
        unsent,
        rows,
        actions: life
            .actions(today)
            .into_iter()
            .filter(|_| !is_held)
            .map(|action| {
                let words = words(action, life, today);
                (words.label, words.hint, content.at(&format!("/guichet/agir/{token}/{}", action.slug())))
            })
            .collect(),
        files: super::piece::links(desk, content, case),
        events: events(case),
        answers: &kept.answers,
    })
}

/// Whether it waits in quarantine and somebody would be written to, who may have asked for nothing.
fn is_held(desk: &Desk, case: &Case) -> bool {
    case.kept.sender.email.is_some() && case.kept.held_until.is_some_and(|until| until > (desk.clock)())
}

/// What is said of a request as long as it is so.
fn standing(desk: &Desk, content: &DeskContent, case: &Case) -> Vec<Notice> {
    let alert = |(title, reminder): (String, String)| Notice {
        kind: MessageKind::Erreur,
        title: format!("{title} : l'usager l'a signalé"),
        paragraphs: vec![format!("Il a lu : « {reminder} »")],
    };
    let mut notices: Vec<Notice> = case.alerts().into_iter().map(alert).collect();
    notices.extend(is_held(desk, case).then(|| held_notice(case, content)));
    notices.extend(case.life.accepted_by_silence(desk.now(content).date()).map(acquired_notice));
    notices
}

fn held_notice(case: &Case, content: &DeskContent) -> Notice {
    let until = case.kept.held_until.map(|until| until.to_zoned(content.zone.clone()));
    let leaves = until.map(|until| {
        format!(
            "Sans geste de votre part, elle part d'elle-même le {} à {}.",
            short_date(until.date()),
            time(until.time())
        )
    });
    let judge = "Elle ressemble à de la publicité, et l'adresse donnée est peut-être celle de quelqu'un qui n'a rien demandé : rien ne lui est écrit avant. Ouvrez le message « à vérifier » que le guichet a envoyé à la mairie, et choisissez « Laisser passer ».";
    Notice {
        kind: MessageKind::Attention,
        title: "Cette demande est en quarantaine : laissez-la d'abord passer".to_owned(),
        paragraphs: std::iter::once(judge.to_owned()).chain(leaves).collect(),
    }
}

/// What the texts at hand say of taking an acceptance back is not known: the agent is sent to who knows.
fn acquired_notice(on: Date) -> Notice {
    Notice {
        kind: MessageKind::Attention,
        title: format!("Le silence de la mairie vaut acceptation depuis le {}, si le dossier était complet", short_date(on)),
        paragraphs: vec![
            "Un droit est acquis : une lettre de refus ordinaire ne peut plus partir d'ici. Revenir sur une acceptation suit des règles à part : avant d'écrire à l'usager, demandez conseil à la préfecture (contrôle de légalité).".to_owned(),
            "Pour confirmer l'acceptation par écrit, choisissez « Accepter ».".to_owned(),
        ],
    }
}

/// How an action is told.
struct Words {
    label: &'static str,
    hint: &'static str,
    /// What sending does.
    intro: &'static str,
    button: &'static str,
}

fn words(action: Action, life: &Life, today: Date) -> Words {
    let (label, hint, intro, button) = match action {
        Action::Accuser if !life.owes_accuse() => (
            "Dire ce que vaut le silence",
            "L'accusé est parti sans le dire. Les textes sont prêts.",
            "Choisissez un seul texte. Il part tel quel, avec la date calculée.",
            "Envoyer ce texte",
        ),
        Action::Accuser => (
            "Envoyer l'accusé de réception",
            "À faire dans les dix jours ouvrés. Quatre textes sont prêts.",
            "Choisissez un seul texte. Il part tel quel, avec la date calculée.",
            "Envoyer l'accusé",
        ),
        Action::Prendre => (
            "Prendre en charge",
            "L'usager sait qui s'occupe de sa demande.",
            "L'usager reçoit ce message. Sa page de suivi dit que sa demande est prise en charge.",
            "Prendre en charge",
        ),
        Action::Pieces => {
            let (hint, intro) = match life.horizon(today) {
                Horizon::Accuse(_) => (
                    "Cette lettre sert aussi d'accusé de réception.",
                    "L'usager reçoit ce message, et peut ajouter ce qui manque sur sa page de suivi. Il sert aussi d'accusé de réception.",
                ),
                Horizon::On(_, on) if on > today => (
                    "Le délai s'arrête pendant que l'usager complète.",
                    "L'usager reçoit ce message, et peut ajouter ce qui manque sur sa page de suivi. Les nouvelles dates sont calculées.",
                ),
                Horizon::IfComplete(..) => (
                    "S'il manque encore quelque chose : le délai reste arrêté.",
                    "L'usager reçoit ce message, et peut ajouter ce qui manque sur sa page de suivi. Les nouvelles dates sont calculées.",
                ),
                Horizon::Stopped(_) => (
                    "Le délai est déjà arrêté. L'usager complète sur sa page de suivi.",
                    "L'usager reçoit ce message, et peut ajouter ce qui manque sur sa page de suivi. Les nouvelles dates sont calculées.",
                ),
                // No legal delay runs, or silence has already decided.
                Horizon::On(..) | Horizon::Unsaid | Horizon::Nothing => (
                    "L'usager complète sur sa page de suivi.",
                    "L'usager reçoit ce message, et peut ajouter ce qui manque sur sa page de suivi.",
                ),
            };
            ("Demander des documents", hint, intro, "Demander ces documents")
        }
        Action::Completer => (
            "Dire que le dossier est complet",
            "Tout est arrivé : le délai court de nouveau, à partir du jour que vous donnez.",
            match life.regime {
                None => {
                    "L'usager reçoit ce message. Il restera à lui dire ce que vaut votre silence, et à quelle date : la page de la demande le propose."
                }
                Some(_) => "L'usager reçoit ce message. La date à laquelle votre silence vaudra décision est calculée.",
            },
            "Le dossier est complet",
        ),
        Action::Accepter if life.accepted_by_silence(today).is_some() => (
            "Accepter",
            "Le silence l'a déjà acceptée : la lettre le confirme.",
            "L'usager reçoit cette lettre, qui confirme l'acceptation.",
            "Confirmer et envoyer",
        ),
        Action::Accepter => (
            "Accepter",
            "La lettre d'accord est prête.",
            "L'usager reçoit cette lettre. Vous ne pourrez plus changer cette décision ici.",
            "Accepter et envoyer",
        ),
        Action::Refuser => (
            "Refuser",
            "La lettre donne les motifs et les recours.",
            "L'usager reçoit cette lettre. Vous ne pourrez plus changer cette décision ici.",
            "Refuser et envoyer",
        ),
        Action::Transmettre => (
            "Transmettre",
            "Quand un autre organisme est compétent.",
            "Le guichet n'écrit pas à cet organisme : transmettez-lui vous-même la demande et ses pièces, qui sont dans le message reçu. L'usager est prévenu par cette lettre.",
            "Prévenir l'usager",
        ),
        Action::Clore => (
            "Répondre et clore",
            "Pour une réponse simple, ou déjà donnée par téléphone.",
            "L'usager reçoit cette réponse, et sa demande est close.",
            "Répondre et clore",
        ),
    };
    Words { label, hint, intro, button }
}

/// The action of an address, if it can be done now; otherwise the request's page says what it already is.
fn allowed(desk: &Desk, content: &DeskContent, case: &Case, (token, slug): (&str, &str)) -> Result<Action, Response> {
    let Some(action) = Action::of_slug(slug) else {
        let words = ["Cette adresse du guichet n'existe pas.".to_owned()];
        return Err(content.message(StatusCode::NOT_FOUND, "not_found", "Page introuvable", &words));
    };
    let today = desk.now(content).date();
    if is_held(desk, case) || (action == Action::Refuser && case.life.accepted_by_silence(today).is_some()) {
        return Err(withheld(desk, content, case, (token, Vec::new())));
    }
    if case.life.allows(action, today) {
        return Ok(action);
    }
    let notice = Notice {
        kind: MessageKind::Attention,
        title: already(case, words(action, &case.life, desk.now(content).date()).label),
        paragraphs: happened(case).into_iter().collect(),
    };
    let html = request_page(desk, content, case, (token, vec![notice], Vec::new()));
    Err(page(StatusCode::CONFLICT, html, "act_conflict"))
}

/// Nothing is sent of a request that waits in quarantine, nor a refusal of what silence has accepted; the page says why.
fn withheld(desk: &Desk, content: &DeskContent, case: &Case, (token, unsent): (&str, Vec<String>)) -> Response {
    let title = "Rien n'est parti".to_owned();
    let notice = Notice { kind: MessageKind::Attention, title, paragraphs: Vec::new() };
    let html = request_page(desk, content, case, (token, vec![notice], unsent));
    page(StatusCode::CONFLICT, html, "act_withheld")
}

/// Why an action cannot be begun: « Cette demande est déjà acceptée depuis le 26 novembre 2026 ».
fn already(case: &Case, action: &str) -> String {
    let what = match case.life.state {
        Stage::Acceptee => "est déjà acceptée",
        Stage::Refusee => "est déjà refusée",
        Stage::Transmise => "est déjà transmise à un autre organisme",
        Stage::Classee => "a déjà une réponse",
        Stage::Annulee => "est déjà annulée par l'usager",
        _ => return format!("« {action} » n'est plus à faire pour cette demande"),
    };
    match case.kept.acts.last() {
        Some(act) => format!("Cette demande {what}, depuis le {}", short_date(act.at.date())),
        None => format!("Cette demande {what}"),
    }
}

/// Somebody acted before: who, what, when; and the text typed meanwhile.
fn too_late(desk: &Desk, content: &DeskContent, case: &Case, (token, typed): (&str, &RawAnswers)) -> Response {
    let title = "Cette demande a changé entre-temps : rien n'est parti".to_owned();
    let notice = Notice { kind: MessageKind::Attention, title, paragraphs: happened(case).into_iter().collect() };
    let html = request_page(desk, content, case, (token, vec![notice], unsent(typed)));
    page(StatusCode::CONFLICT, html, "act_conflict")
}

/// What was typed, to be copied.
fn unsent(typed: &RawAnswers) -> Vec<String> {
    ["lettre", "motifs", "pieces"].iter().flat_map(|name| paragraphs(typed.first(name))).collect()
}

async fn write(State(desk): State<Arc<Desk>>, Path((token, slug)): Path<(String, String)>) -> Response {
    let content = desk.content();
    let case = match open(&desk, &content, &token).await {
        Ok(case) => case,
        Err(page) => return page,
    };
    let action = match allowed(&desk, &content, &case, (&token, &slug)) {
        Ok(action) => action,
        Err(page) => return page,
    };
    let form = desk.agents.asked(fields::action_form(action, &case, &content.issuer));
    let raw = fields::action_answers(action, &case, desk.now(&content).date());
    let html = letter_page(&desk, &content, (&case, action), &token, (&form, &raw, &[]));
    page(StatusCode::OK, html, "act_letter")
}

fn letter_page(
    desk: &Desk,
    content: &DeskContent,
    (case, action): (&Case, Action),
    token: &str,
    form: (&Form, &RawAnswers, &[FieldError]),
) -> String {
    let today = desk.now(content).date();
    let words = words(action, &case.life, today);
    let place = content.at(&format!("/guichet/agir/{token}"));
    let mut intro = vec![words.intro.to_owned()];
    if action == Action::Clore {
        intro.extend(not_a_decision(&case.life, today));
    }
    if case.kept.sender.email.is_none() {
        intro.push(
            "L'usager n'a pas donné d'adresse électronique : la lettre vous sera montrée, prête à imprimer.".into(),
        );
    }
    content.pages.writing(&Writing {
        title: words.label,
        about: format!("{} – {}", case.kept.form_title, case.kept.reference),
        intro,
        form,
        urls: (format!("{place}/{}", action.slug()), place),
        hidden: vec![(VERSION.to_owned(), case.kept.acts.len().to_string())],
        added: added(action, case, content, today),
        service: follow::signature(None, case.service()),
        button: words.button,
    })
}

/// A plain answer is no decision: what silence would still do.
fn not_a_decision(life: &Life, today: Date) -> Option<String> {
    let still = match life.horizon(today) {
        Horizon::On(_, on) if on <= today => return None,
        Horizon::On(side, on) | Horizon::IfComplete(side, on) => {
            let word = if side == Side::Acceptation { "acceptée" } else { "rejetée" };
            format!(
                "sans décision, votre silence vaudra quand même décision : la demande sera considérée comme {word} le {}, si le dossier est complet",
                short_date(on)
            )
        }
        Horizon::Stopped(_) | Horizon::Accuse(_) | Horizon::Unsaid => {
            "sans décision, votre silence pourra quand même valoir acceptation ou rejet".to_owned()
        }
        Horizon::Nothing => return None,
    };
    Some(format!(
        "Ce n'est pas une décision. Pour refuser, revenez et choisissez « Refuser » : la lettre donne les motifs et les recours. Pour accepter, choisissez « Accepter ». Après une simple réponse, {still}."
    ))
}

/// What is added to the letter, before anything is typed.
fn added(action: Action, case: &Case, content: &DeskContent, today: Date) -> Vec<String> {
    let words = |kind: ActKind, reasons: &str| {
        let decision = Decision { kind, letter: String::new(), reasons: reasons.to_owned() };
        follow::legal_words(&decision, case, &content.issuer, today)
    };
    match action {
        Action::Refuser => words(ActKind::Refus, "[Vos motifs]"),
        Action::Transmettre => words(ActKind::Transmission { body: "[Cet organisme]".into() }, ""),
        Action::Pieces => {
            let kind = ActKind::Pieces {
                asked: vec!["[Ce qui manque]".into()],
                until: today,
                accuse: case.life.owes_accuse(),
            };
            let date = short_date(today);
            words(kind, "")
                .into_iter()
                .map(|line| line.replace(&format!("au plus tard le {date}"), "au plus tard le [date]"))
                .collect()
        }
        Action::Completer => {
            vec![match case.life.regime {
                None => "La date que vous donnez.".to_owned(),
                Some(_) => "La date que vous donnez, et celle à laquelle votre silence vaudra décision.".to_owned(),
            }]
        }
        Action::Accuser => vec!["Le texte que vous choisissez, avec la date calculée.".into()],
        Action::Accepter => words(ActKind::Acceptation, ""),
        Action::Prendre | Action::Clore => Vec::new(),
    }
}

async fn act(State(desk): State<Arc<Desk>>, Path((token, slug)): Path<(String, String)>, request: Request) -> Response {
    let content = desk.content();
    if let Err(wait) = desk.rate(RateAct::Check, desk.client(&request)) {
        return too_often(&content, wait);
    }
    let case = match open(&desk, &content, &token).await {
        Ok(case) => case,
        Err(page) => return page,
    };
    let Some(action) = Action::of_slug(&slug) else {
        let words = ["Cette adresse du guichet n'existe pas.".to_owned()];
        return content.message(StatusCode::NOT_FOUND, "not_found", "Page introuvable", &words);
    };
    let form = fields::action_form(action, &case, &content.issuer);
    let received = match receive(request, &form, &[VERSION, AGENT_CODE], &desk.depot.files, &desk.limits).await {
        Ok(received) => received,
        Err(refusal) => return refused(&content, None, refusal),
    };
    let seen = received.others.get(VERSION).and_then(|version| version.parse::<usize>().ok());
    let now = desk.now(&content);
    let decided = fields::decision(action, &case, &form, &received.raw, now.date());
    if is_held(&desk, &case) {
        return withheld(&desk, &content, &case, (&token, unsent(&received.raw)));
    }
    if seen != Some(case.kept.acts.len()) || !case.life.allows(action, now.date()) {
        // A second press on the button finds its first.
        if let (Some(seen), Ok((decision, _))) = (seen, &decided)
            && is_same(case.kept.acts.get(seen), decision)
        {
            return to_letter(&token, seen + 1, "again");
        }
        if action == Action::Refuser && case.life.accepted_by_silence(now.date()).is_some() {
            return withheld(&desk, &content, &case, (&token, unsent(&received.raw)));
        }
        return too_late(&desk, &content, &case, (&token, &received.raw));
    }
    let typed = received.others.get(AGENT_CODE).map_or("", String::as_str);
    let wrong = match desk.agents.judge(case.kept.reference.as_str(), typed, Instant::now()) {
        Typed::Right => None,
        Typed::Wrong => Some(wrong_code(typed)),
        Typed::Stopped(wait) => return stopped(&content, wait),
    };
    let (decision, agent) = match (decided, wrong) {
        (Ok(decided), None) => decided,
        (decided, wrong) => {
            let mut errors = decided.err().unwrap_or_default();
            errors.extend(wrong);
            let form = desk.agents.asked(form);
            let html = letter_page(&desk, &content, (&case, action), &token, (&form, &received.raw, &errors));
            return page(StatusCode::UNPROCESSABLE_ENTITY, html, "to_mend");
        }
    };
    let act = follow::act(decision, agent, &case, &content.issuer, &now);
    match record(&desk, &content, &case, act).await {
        Ok(Acted::Done(number)) => to_letter(&token, number, "acted"),
        Ok(Acted::Stale) => match open(&desk, &content, &token).await {
            Ok(case) => too_late(&desk, &content, &case, (&token, &received.raw)),
            Err(page) => page,
        },
        Err(error) => unreadable(&content, error),
    }
}

pub(super) fn wrong_code(typed: &str) -> FieldError {
    let message =
        if typed.trim().is_empty() { "Tapez le code de la mairie" } else { "Ce n'est pas le code de la mairie" };
    FieldError { input: AGENT_CODE.to_owned(), message: message.to_owned() }
}

/// Too many wrong codes: somebody guesses, or the code has changed.
pub(super) fn stopped(content: &DeskContent, wait: Duration) -> Response {
    tracing::warn!(event = "agent.stopped", "too many wrong codes of the mairie for a request");
    let words = [
        format!(
            "Le code de la mairie a été mal tapé cinq fois. Rien n'est parti. Réessayez dans {}.",
            plural(wait.as_secs().div_ceil(60), "minute", "minutes")
        ),
        "Revenez à la page précédente : ce que vous avez écrit y est encore. La personne qui s'occupe du guichet connaît le code."
            .to_owned(),
    ];
    later(content.message(StatusCode::TOO_MANY_REQUESTS, "agent_stopped", "Trop d'essais", &words), wait)
}

/// Whether an act is this decision, already written.
fn is_same(act: Option<&Act>, decision: &Decision) -> bool {
    let own = paragraphs(&decision.letter);
    act.is_some_and(|act| act.kind == decision.kind && (act.letter.starts_with(&own) || act.letter.ends_with(&own)))
}

fn to_letter(token: &str, number: usize, outcome: &'static str) -> Response {
    let place = format!("/guichet/agir/{token}/lettre/{number}");
    with(outcome, (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response())
}

async fn letter(State(desk): State<Arc<Desk>>, Path((token, number)): Path<(String, String)>) -> Response {
    let content = desk.content();
    let case = match open(&desk, &content, &token).await {
        Ok(case) => case,
        Err(page) => return page,
    };
    let number = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let written = number.and_then(|at| case.kept.acts.get(at));
    let Some((act, agent)) = written.and_then(|act| Some((act, act.agent.as_ref()?))) else {
        let words = ["Cette lettre n'existe pas.".to_owned()];
        return content.message(StatusCode::NOT_FOUND, "not_found", "Page introuvable", &words);
    };
    let issuer = &content.issuer;
    let is_to_print = case.kept.sender.email.is_none();
    let (title, paragraphs) = match &case.kept.sender.email {
        Some(email) => (
            "La lettre part à l'instant",
            vec![format!("Elle est envoyée à {email}, et une copie arrive dans la boîte de la mairie.")],
        ),
        None if recipient(&case).is_empty() => (
            "La réponse est sur la page de suivi",
            vec![
                "L'usager n'a laissé ni nom ni adresse : il la lira sur sa page de suivi. Vous pouvez aussi l'imprimer."
                    .to_owned(),
            ],
        ),
        None => (
            "La lettre est à imprimer",
            vec![
                "L'usager n'a pas donné d'adresse électronique : imprimez cette page, et remettez-la-lui ou postez-la."
                    .to_owned(),
            ],
        ),
    };
    let service = case.service();
    let mut sender = vec![format!("Mairie {}", issuer.names.forme_de), service.name.clone()];
    sender.extend(service.address.iter().cloned());
    sender.extend([service.telephone.clone(), service.email.clone()].into_iter().filter(|line| !line.is_empty()));
    let html = content.pages.done(&Done {
        title,
        paragraphs,
        sender,
        recipient: recipient(&case),
        place_and_date: format!("{}, le {}", issuer.names.nom, short_date(act.at.date())),
        subject: format!("{} – référence {}", case.kept.form_title, case.kept.reference),
        letter: act.letter.clone(),
        signature: vec![format!("{} {}", agent.first_name, agent.last_name), agent.title.clone()],
        is_to_print,
        back: content.at(&format!("/guichet/agir/{token}")),
    });
    page(StatusCode::OK, html, "act_done")
}

/// Name and postal address of the person written to, as far as they were given.
fn recipient(case: &Case) -> Vec<String> {
    let name = Some(case.kept.sender.name.clone()).filter(|name| !name.is_empty());
    let address = case.kept.answers.iter().find(|answer| answer.field == "adresse").map(|answer| &answer.value);
    let lines = match address {
        Some(AnswerValue::Address(lines)) => lines.clone(),
        _ => Vec::new(),
    };
    name.into_iter().chain(lines).collect()
}
