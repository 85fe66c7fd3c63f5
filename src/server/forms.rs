//! The guichet's routes: from the questions to the receipt, by plain forms, without cookie, account nor script.
//!
//! ```text
//! GET  /guichet/{form}/                   questions
//! POST /guichet/{form}/verifier           answers → 200 check page, or 422 questions with what is to mend
//! POST /guichet/{form}/modifier           answers → 200 questions, filled
//! POST /guichet/{form}/envoyer            answers and token → 303 to the receipt, once and for all
//! GET  /guichet/recu/{reference}/{secret} receipt
//! GET  /guichet/sante                     the program answers
//! GET  /guichet/pret                      requests can be taken: 200, or 503 with reasons; without data
//! ```
//!
//! What follows a request is beside: [`suivi`] for the resident, [`agir`] for the mairie.
//!
//! Whatever goes wrong, the page that says so carries what was typed and the mairie's telephone. Nothing is kept on our side
//! before « Envoyer » but files, for hours.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp, Zoned};
use tower::{Layer, ServiceExt};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::guard::{Watched, residents_email, waiting_words};
use super::headers::{Outside, Policy, harden};
use super::listen::Peer;
use super::observe::{FormId, Outcome, observe};
use super::rate::{Act, RateLimits, Rates};
use super::receive::{FormLimits, Received, Refusal, receive};
use super::watch::{self, Watch};
use super::{agir, suivi};
use crate::intake::accept::{AcceptError, Depot, KeptReceipt, accept_held, opened};
use crate::intake::links::Links;
use crate::intake::store::{Detail, StoreError};
use crate::intake::suspicion::Signs;
use crate::intake::token::{Keys, TokenCheck};
use crate::intake::validate;
use crate::model::content::Kind;
use crate::model::form::{Door, Field, FieldKind, Form};
use crate::model::intake::{DeliveryState, Hold, Quarantined, Recorded};
use crate::model::mail::MailRole;
use crate::model::receipt::Issuer;
use crate::model::reference::Reference;
use crate::model::site::Site;
use crate::model::submission::{FieldError, RawAnswers};
use crate::render::guichet::{COPY, Confirmation, GO_TO, HONEYPOT, PAGE, Pages, TOKEN, TRAP_TOLD};
use crate::render::view::MessageKind;
use crate::text::dates::{received_at, short_date};
use crate::text::numbers::file_size;

/// What the guichet of a commune shows and knows; replaced as a whole when the folder changes.
pub struct DeskContent {
    pub(super) site: Site,
    pub(super) pages: Pages,
    pub(super) issuer: Issuer,
    zone: jiff::tz::TimeZone,
}

impl DeskContent {
    /// The content of a built site.
    pub fn new(site: Site, pages: Pages) -> Self {
        let issuer = Issuer::of(&site.commune);
        let zone = jiff::tz::TimeZone::get(&site.commune.fuseau).unwrap_or(jiff::tz::TimeZone::UTC);
        DeskContent { site, pages, issuer, zone }
    }

    /// The site it was made from.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The form, or the page that says why there is none.
    fn form(&self, id: &str) -> Result<&Form, Response> {
        self.site.forms.get(id).ok_or_else(|| self.no_form(id))
    }

    fn no_form(&self, id: &str) -> Response {
        let fiche = self.site.contents.iter().zip(&self.site.urls).find(|(content, _)| {
            content.slug == id && matches!(&content.kind, Kind::Demarche(demarche) if demarche.form.is_some())
        });
        match fiche {
            Some((content, url)) => {
                let words = [
                    format!("« {} » ne peut pas être rempli en ligne en ce moment.", content.title),
                    "Appelez la mairie, écrivez-lui ou venez au guichet : votre démarche sera prise de la même façon."
                        .to_owned(),
                ];
                let link = ("Revenir à la démarche".to_owned(), self.pages.site_url(url));
                let html = self.pages.message(MessageKind::Info, "Ce formulaire est fermé", &words, &[link]);
                page(StatusCode::NOT_FOUND, html, "closed")
            }
            None => {
                let words = ["Ce formulaire n'existe pas, ou n'existe plus.".to_owned()];
                self.message(StatusCode::NOT_FOUND, "no_form", "Formulaire introuvable", &words)
            }
        }
    }

    /// A message with a link to the list of démarches.
    pub(super) fn message(&self, status: StatusCode, outcome: &'static str, title: &str, words: &[String]) -> Response {
        let link = ("Voir toutes les démarches".to_owned(), self.pages.site_url("/demarches/"));
        let kind = if status.is_server_error() { MessageKind::Erreur } else { MessageKind::Attention };
        page(status, self.pages.message(kind, title, words, &[link]), outcome)
    }
}

/// Tells the time; tests bring their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The guichet of one commune.
pub struct Desk {
    content: RwLock<Arc<DeskContent>>,
    pub(super) depot: Depot,
    pub(super) keys: Keys,
    pub(super) limits: FormLimits,
    rates: Option<Rates>,
    proxies: Vec<IpAddr>,
    reserve_bytes: u64,
    address: Option<String>,
    pub(super) clock: Clock,
    watch: Arc<Watch>,
}

/// What a [`Desk`] is made with, besides its content.
pub struct DeskOptions {
    /// Where requests are kept.
    pub depot: Depot,
    /// Keys of the tokens and receipts.
    pub keys: Keys,
    /// How much a form may send.
    pub limits: FormLimits,
    /// How often; `None`: no limit.
    pub rates: Option<RateLimits>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
    /// Free bytes under which the guichet says it is full.
    pub reserve_bytes: u64,
    /// Scheme and host it is reached at, when it is not where the commune says.
    pub address: Option<String>,
    /// Tells the time.
    pub clock: Clock,
    /// Who watches over it.
    pub(super) watch: Arc<Watch>,
}

impl Desk {
    /// A guichet that shows `content`.
    pub fn new(content: DeskContent, options: DeskOptions) -> Self {
        Desk {
            content: RwLock::new(Arc::new(content)),
            depot: options.depot,
            keys: options.keys,
            limits: options.limits,
            rates: options.rates.map(Rates::new),
            proxies: options.proxies,
            reserve_bytes: options.reserve_bytes,
            address: options.address,
            clock: options.clock,
            watch: options.watch,
        }
    }

    /// Replaces what is shown; requests under way keep what they began with.
    pub fn show(&self, content: DeskContent) {
        *self.content.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(content);
    }

    /// The commune as its mails name it, the mailboxes of each form, and the time there.
    pub(super) fn mailboxes(&self) -> (Issuer, std::collections::BTreeMap<String, Vec<String>>, Zoned) {
        let content = self.content();
        let boxes = content.site.forms.iter().map(|(id, form)| (id.clone(), form.recipients.clone())).collect();
        (content.issuer.clone(), boxes, self.now(&content))
    }

    pub(super) fn content(&self) -> Arc<DeskContent> {
        self.content.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Addresses of its pages, for mails.
    pub(super) fn links(&self, content: &DeskContent) -> Links {
        Links::new(self.keys.clone(), self.address.as_deref().unwrap_or_else(|| content.site.commune.guichet_address()))
    }

    pub(super) fn now(&self, content: &DeskContent) -> Zoned {
        (self.clock)().to_zoned(content.zone.clone())
    }

    fn token(&self, form: &Form) -> Result<String, Response> {
        self.keys.token(&form.id, (self.clock)()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }

    pub(super) fn rate(&self, act: Act, client: Option<IpAddr>) -> Result<(), Duration> {
        self.rates.as_ref().map_or(Ok(()), |rates| rates.take(act, client, Instant::now()))
    }

    fn rate_form(&self, form: &Form, email: Option<&str>, nonce: &[u8; 16]) -> Result<(), Duration> {
        self.rates.as_ref().map_or(Ok(()), |rates| rates.take_form(&form.id, email, nonce, Instant::now()))
    }

    /// Who asks: the peer, or the last address a trusted proxy saw. Unknown when it is this machine.
    pub(super) fn client(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
        let believed = peer.is_none_or(|peer| self.proxies.contains(&peer));
        let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let seen = forwarded.flat_map(|list| list.split(',')).filter_map(|one| one.trim().parse::<IpAddr>().ok());
        let client = match believed {
            true => seen.map(|ip| ip.to_canonical()).filter(|ip| !self.proxies.contains(ip)).last(),
            false => peer,
        };
        client.filter(|ip| !ip.is_loopback())
    }
}

/// The guichet's routes with all that protects them. `trusted` are the origins of the site and of the guichet itself.
pub(super) fn router(desk: Arc<Desk>, outside: &Outside, trusted: &[String]) -> Router {
    let routes = Router::new()
        .route("/guichet/sante", get(async || watch::alive()))
        .route("/guichet/pret", get(ready))
        .route("/guichet/{form}", get(questions))
        .route("/guichet/{form}/", get(questions))
        .route("/guichet/{form}/verifier", post(verify).get(restart))
        .route("/guichet/{form}/modifier", post(modify).get(restart))
        .route("/guichet/{form}/envoyer", post(send).get(restart))
        .route("/guichet/recu/{reference}/{secret}", get(receipt))
        .merge(suivi::routes())
        .merge(agir::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .with_state(desk.clone())
        .layer(DefaultBodyLimit::disable());
    let guard = (desk.clone(), cross_site(trusted));
    let routes = routes
        .layer(axum::middleware::from_fn_with_state(guard, refuse_other_sites))
        .layer(axum::middleware::from_fn_with_state(desk.clone(), refuse_oddities))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(crashed))
        .layer(axum::middleware::from_fn_with_state(desk.watch.clone(), watch::count))
        .layer(axum::middleware::from_fn(observe));
    harden(routes, Policy::Guichet, outside)
}

/// Believes forms of these origins, and of this host.
fn cross_site(trusted: &[String]) -> CsrfLayer {
    trusted.iter().fold(CsrfLayer::new(), |layer, origin| match layer.clone().add_trusted_origin(origin) {
        Ok(layer) => layer,
        Err(_) => layer,
    })
}

/// Lets the layer judge method and headers alone: it writes addresses in its trace, and ours may hold the secret of a receipt.
async fn refuse_other_sites(
    State((desk, layer)): State<(Arc<Desk>, CsrfLayer)>,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    let mut shadow = axum::http::Request::new(());
    *shadow.method_mut() = request.method().clone();
    *shadow.headers_mut() = request.headers().clone();
    // Not an async closure: rustc 1.95 then stops on the second incremental build.
    let allowed = tower::service_fn(|_| std::future::ready(Ok::<_, Infallible>(Response::<()>::default())));
    let Ok(judged) = layer.layer(allowed).oneshot(shadow).await;
    if judged.extensions().get::<ProtectionError>().is_some() { foreign(&desk) } else { next.run(request).await }
}

fn foreign(desk: &Desk) -> Response {
    let words = [
        "Ce formulaire a été envoyé depuis un autre site que celui de la commune. Rien n'a été enregistré.".to_owned(),
        "Ouvrez le formulaire sur le site de la commune, puis recommencez.".to_owned(),
    ];
    desk.content().message(StatusCode::FORBIDDEN, "cross_site", "Envoi refusé", &words)
}

/// Refuses what no page of ours sends, before any other work.
async fn refuse_oddities(State(desk): State<Arc<Desk>>, request: Request, next: axum::middleware::Next) -> Response {
    let encoded = request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
    if encoded {
        return refused(&desk.content(), None, Refusal::NotAForm);
    }
    next.run(request).await
}

/// The page after a defect of ours: plain, for the pages may be what failed.
pub(super) fn crashed(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!(event = "panic", "a request made the server panic");
    let html = "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>Erreur du serveur</title></head><body><main>\
                <h1>Cette page ne peut pas s’afficher</h1><p>C’est une erreur de notre part. Rien n’a été enregistré. Revenez en \
                arrière et essayez de nouveau, ou appelez la mairie.</p></main></body></html>\n";
    page(StatusCode::INTERNAL_SERVER_ERROR, html.to_owned(), "panic")
}

async fn nowhere(State(desk): State<Arc<Desk>>) -> Response {
    let words = ["Cette adresse du guichet n'existe pas.".to_owned()];
    desk.content().message(StatusCode::NOT_FOUND, "not_found", "Page introuvable", &words)
}

async fn wrong_method(State(desk): State<Arc<Desk>>) -> Response {
    let words = ["Cette page ne se demande pas de cette façon.".to_owned()];
    desk.content().message(StatusCode::METHOD_NOT_ALLOWED, "method", "Demande impossible", &words)
}

/// Whoever asks for the address of a page that is only an answer begins again.
async fn restart(State(desk): State<Arc<Desk>>, Path(form): Path<String>) -> Response {
    match desk.content().form(&form) {
        Ok(form) => (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/guichet/{}/", form.id))]).into_response(),
        Err(page) => page,
    }
}

async fn questions(State(desk): State<Arc<Desk>>, Path(form): Path<String>) -> Response {
    let content = desk.content();
    match content.form(&form) {
        Ok(form) => match refusing(&desk, &content, form, &RawAnswers::default()).await {
            Some(page) => of_form(form, page),
            None => {
                let html = content.pages.questions(form, &RawAnswers::default(), &[], 0, Vec::new());
                of_form(form, page(StatusCode::OK, html, "questions"))
            }
        },
        Err(page) => page,
    }
}

/// The page of a form that takes nothing now: closed that day, or without places.
async fn refusing(desk: &Desk, content: &DeskContent, form: &Form, raw: &RawAnswers) -> Option<Response> {
    match closed(desk, content, form, raw) {
        Some(page) => Some(page),
        None => full(desk, content, form, raw).await,
    }
}

/// What is left of a form's places.
enum Room {
    /// There is one.
    Place,
    /// On the waiting list.
    Waiting,
    /// Nothing.
    None,
}

/// What is left of the places of a form that counts them; the same form without limit is always open.
async fn room(desk: &Desk, content: &DeskContent, form: &Form) -> Result<Room, StoreError> {
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

fn no_place(content: &DeskContent, form: &Form, raw: &RawAnswers) -> Response {
    let own = form.opening.closed_message.clone();
    let words = own.unwrap_or_else(|| "Toutes les places sont prises, liste d'attente comprise.".to_owned());
    let call = "Une question ? Appelez la mairie : elle vous dira ce qui reste possible.".to_owned();
    page(StatusCode::FORBIDDEN, content.pages.closed(form, &[words, call], raw), "full")
}

/// The form as this request finds it: the limit it must stay within, and what is said to who waits.
fn placed(form: &Form, room: &Room) -> Form {
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
fn closed(desk: &Desk, content: &DeskContent, form: &Form, raw: &RawAnswers) -> Option<Response> {
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

async fn verify(State(desk): State<Arc<Desk>>, Path(form): Path<String>, request: Request) -> Response {
    let content = desk.content();
    let form = match content.form(&form) {
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
    let answer = match refusing(&desk, &content, form, &received.raw).await {
        Some(page) => page,
        None => checked(&desk, &content, form, received),
    };
    of_form(form, answer)
}

/// The next page of questions, the check page, or the questions with what is to mend.
fn checked(desk: &Desk, content: &DeskContent, form: &Form, received: Received) -> Response {
    if received.storage.is_some() {
        return unavailable(content, form, &received.raw, None, Duration::from_secs(120));
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
            page(StatusCode::OK, content.pages.check(form, raw, &valid, hidden, "", &[]), "check")
        }
        None => to_mend(content, form, &received, errors),
    }
}

/// Where one stands in a form of several pages, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    page: usize,
    /// The furthest page shown so far.
    seen: usize,
}

impl Position {
    /// From `2.4`: page 2, the fourth seen; the last page when nothing is said, for a form that posts all at once.
    fn of(form: &Form, said: Option<&str>) -> Position {
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
fn exit_page(content: &DeskContent, form: &Form, raw: &RawAnswers, exit: &Field, seen: usize) -> String {
    let mut carried = hidden(form, raw, None);
    carried.push((PAGE.to_owned(), format!("{}.{}", form.page_of(&exit.id) + 1, seen + 1)));
    content.pages.exit(form, exit, carried)
}

fn page_of_input(form: &Form, input: &str) -> usize {
    form.leaf(input).map_or(0, |(field, _)| form.page_of(&field.id))
}

/// A page of questions that carries the answers of the others.
fn questions_page(content: &DeskContent, form: &Form, raw: &RawAnswers, errors: &[FieldError], at: Position) -> String {
    let shown: Vec<FieldError> =
        errors.iter().filter(|error| page_of_input(form, &error.input) == at.page).cloned().collect();
    let mut carried = Vec::new();
    if form.pages().len() > 1 {
        carried = hidden(form, raw, None);
        carried.retain(|(name, _)| page_of_input(form, name.strip_prefix("fichier.").unwrap_or(name)) != at.page);
        carried.push((PAGE.to_owned(), format!("{}.{}", at.page + 1, at.seen + 1)));
    }
    content.pages.questions(form, raw, &shown, at.page, carried)
}

/// What is to mend: refused files first, then what validation found elsewhere.
fn all_errors(received: &Received, found: Vec<FieldError>) -> Vec<FieldError> {
    let mut errors = received.errors.clone();
    let told: Vec<String> = errors.iter().map(|error| error.input.clone()).collect();
    errors.extend(found.into_iter().filter(|error| !told.contains(&error.input)));
    errors
}

/// The questions of the first page with something to mend, filled.
fn to_mend(content: &DeskContent, form: &Form, received: &Received, found: Vec<FieldError>) -> Response {
    let errors = all_errors(received, found);
    let page_number = errors.iter().map(|error| page_of_input(form, &error.input)).min().unwrap_or(0);
    let at = Position { page: page_number, seen: form.pages().len() - 1 };
    page(StatusCode::UNPROCESSABLE_ENTITY, questions_page(content, form, &received.raw, &errors, at), "to_mend")
}

async fn modify(State(desk): State<Arc<Desk>>, Path(form): Path<String>, request: Request) -> Response {
    let content = desk.content();
    let form = match content.form(&form) {
        Ok(form) => form,
        Err(page) => return page,
    };
    let asked = request.uri().query().and_then(|query| query.strip_prefix(GO_TO)?.strip_prefix('=')).map(str::to_owned);
    let answer = match receive(request, form, &[GO_TO, COPY, PAGE], &desk.depot.files, &desk.limits).await {
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

/// `+enfants` shows one more copy of a group, `-enfants.2` takes the second away and moves the others up.
fn change_copies(form: &Form, raw: &mut RawAnswers, act: &str) {
    let group = |id: &str| form.field(id).filter(|field| matches!(field.kind, FieldKind::Group { .. }));
    if let Some(field) = act.strip_prefix('+').and_then(group) {
        let next = field.copies(raw) + 1;
        if let Some(part) = field.parts(next).first() {
            raw.values.entry(part.id.clone()).or_default();
        }
    } else if let Some((id, gone)) = act.strip_prefix('-').and_then(|act| act.split_once('.'))
        && let (Some(field), Ok(gone)) = (group(id), gone.parse::<usize>())
    {
        let last = field.copies(raw);
        for copy in gone.max(1)..=last {
            for (part, after) in field.parts(copy).iter().zip(field.parts(copy + 1)) {
                match raw.values.remove(&after.id).filter(|_| copy < last) {
                    Some(values) => raw.values.insert(part.id.clone(), values),
                    None => raw.values.remove(&part.id),
                };
            }
        }
    }
}

async fn send(State(desk): State<Arc<Desk>>, Path(form): Path<String>, request: Request) -> Response {
    let content = desk.content();
    let form = match content.form(&form) {
        Ok(form) => form,
        Err(page) => return page,
    };
    let client = desk.client(&request);
    let received = match receive(request, form, &[TOKEN, HONEYPOT, TRAP_TOLD], &desk.depot.files, &desk.limits).await {
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
            Ok(Some(recorded)) => return to_receipt(desk, &recorded, "again"),
            Ok(None) => {}
            Err(error) => return store_failed(desk, content, form, &received, &error.into()),
        }
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
        let html = content.pages.check(form, &received.raw, &valid, hidden, trap, &errors);
        return page(StatusCode::UNPROCESSABLE_ENTITY, html, outcome);
    }
    let email = residents_email(form, &content.issuer, &valid);
    if let Err(wait) = desk.rate(Act::Send, client).and_then(|()| desk.rate_form(form, email, &nonce)) {
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
        let (desk, content, form) = (desk.clone(), content.clone(), placed(form, &room));
        async move {
            let now = desk.now(&content);
            let watched = desk.rates.as_ref().map(|rates| Watched::new(rates, &form, &content.issuer, &valid));
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
        Ok(Ok(recorded)) => to_receipt(desk, &recorded, if recorded.new { "accepted" } else { "again" }),
        // Somebody was faster: the same press, again, finds what is left.
        Ok(Err(AcceptError::Store(StoreError::NoPlace))) => no_place(content, form, &received.raw),
        Ok(Err(error)) => store_failed(desk, content, form, &received, &error),
        Err(_) => crashed(Box::new(())),
    }
}

/// What was recorded under a nonce; the database is read on a thread that may wait.
async fn known(desk: &Desk, nonce: [u8; 16]) -> Result<Option<Recorded>, StoreError> {
    let store = desk.depot.store.clone();
    reading(move || store.recorded(&nonce)).await
}

pub(super) async fn reading<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}

fn to_receipt(desk: &Desk, recorded: &Recorded, outcome: &'static str) -> Response {
    let place = format!("/guichet/recu/{}/{}", recorded.reference, desk.keys.secret(&recorded.reference));
    with(outcome, (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response())
}

/// The disk or the database refuses: a page with all that was typed, to send again by one press.
fn store_failed(desk: &Desk, content: &DeskContent, form: &Form, received: &Received, error: &AcceptError) -> Response {
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
    unavailable(content, form, &received.raw, token, wait)
}

/// Nothing could be kept (503): what was typed, and a button that tries again with the same token.
fn unavailable(
    content: &DeskContent,
    form: &Form,
    raw: &RawAnswers,
    token: Option<String>,
    wait: Duration,
) -> Response {
    let html = content.pages.unavailable(form, raw, hidden(form, raw, token));
    later(page(StatusCode::SERVICE_UNAVAILABLE, html, "unavailable"), wait)
}

/// Too many pages came from there: the texts are read so that the page can keep them, files are not taken.
async fn slowed(desk: &Desk, content: &DeskContent, form: &Form, request: Request, wait: Duration) -> Response {
    let limits = FormLimits { files_bytes: 0, drained_bytes: 1 << 20, ..desk.limits.clone() };
    match receive(request, form, &[], &desk.depot.files, &limits).await {
        Ok(received) => too_many(content, form, &received.raw, None, wait),
        Err(Refusal::TooLarge(received)) => too_many(content, form, &received.raw, None, wait),
        Err(_) => too_often(content, wait),
    }
}

fn too_many(content: &DeskContent, form: &Form, raw: &RawAnswers, token: Option<String>, wait: Duration) -> Response {
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

pub(super) fn later(mut response: Response, wait: Duration) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    response
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

/// What a page carries so that the next one knows the same: answers, files, token.
fn hidden(form: &Form, raw: &RawAnswers, token: Option<String>) -> Vec<(String, String)> {
    let mut inputs = validate::raw_inputs(form, raw);
    for (field, files) in &raw.files {
        inputs.extend(files.iter().map(|file| (format!("fichier.{field}"), file.id.clone())));
    }
    inputs.extend(token.map(|token| (TOKEN.to_owned(), token)));
    inputs
}

async fn receipt(State(desk): State<Arc<Desk>>, Path((reference, secret)): Path<(String, String)>) -> Response {
    let content = desk.content();
    let parsed = reference.parse::<Reference>();
    // A reference that cannot be one is tried all the same: the answer takes as long.
    let opens = desk.keys.opens(parsed.as_ref().unwrap_or(&Reference::new(0, [0; 5])), &secret);
    let (Ok(reference), true) = (parsed, opens) else {
        let words = [
            "Cette adresse ne mène à aucun accusé. Vérifiez qu'elle est complète.".to_owned(),
            "Avec votre référence, la mairie peut vous renseigner par téléphone.".to_owned(),
        ];
        return content.message(StatusCode::NOT_FOUND, "no_receipt", "Accusé introuvable", &words);
    };
    let store = desk.depot.store.clone();
    let (wanted, now) = (reference.clone(), (desk.clock)());
    let found = reading(move || {
        let Some(recorded) = store.receipt(&wanted)? else { return Ok(None) };
        let held = store.quarantine_of(&wanted, now)?;
        Ok(store.detail(&wanted, true)?.map(|detail| (recorded, detail, held)))
    })
    .await;
    match found {
        Ok(Some((recorded, detail, held))) => {
            let follow = desk.links(&content).follow_path(&recorded.reference);
            confirmation(&content, &recorded, &detail, (held.as_ref(), &follow))
        }
        Ok(None) => {
            let words = ["Cet accusé n'est plus gardé.".to_owned()];
            content.message(StatusCode::NOT_FOUND, "no_receipt", "Accusé introuvable", &words)
        }
        Err(error) => {
            tracing::error!(
                event = "receipt.failed",
                reason = AcceptError::from(error).as_str(),
                "a receipt cannot be read"
            );
            let words =
                ["Votre envoi est bien enregistré, mais l'accusé ne peut pas s'afficher en ce moment.".to_owned()];
            let answer =
                content.message(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Revenez dans un moment", &words);
            later(answer, Duration::from_secs(30))
        }
    }
}

fn confirmation(
    content: &DeskContent,
    recorded: &Recorded,
    detail: &Detail,
    (held, follow): (Option<&Quarantined>, &str),
) -> Response {
    let reference = recorded.reference.to_string();
    let Ok(kept) = serde_json::from_value::<KeptReceipt>(recorded.receipt.clone()) else {
        let words = [
            format!(
                "Votre envoi a été enregistré {} sous la référence {reference}.",
                received_at(&recorded.received_at)
            ),
            "Vos réponses ont été effacées du guichet, comme annoncé. La mairie peut vous renseigner.".to_owned(),
        ];
        return content.message(StatusCode::GONE, "receipt_erased", "Accusé effacé", &words);
    };
    let document = kept.receipt.document();
    let Some(form) = content.site.forms.get(&detail.form_id) else {
        let rows = document.rows.iter().map(|row| format!("{} : {}", row.label, row.value));
        let words: Vec<String> =
            [document.lead.clone()].into_iter().chain(rows).chain(document.paragraphs.clone()).collect();
        let html = content.pages.message(MessageKind::Valide, &document.title, &words, &[]);
        return page(StatusCode::OK, html, "receipt");
    };
    let copy = copy_words(detail, held.is_some());
    let waiting = held.map(|held| waiting_words(held, &content.zone, &form.service.telephone));
    // Of what usually follows, the first step is what does not happen yet.
    let usual = next_steps(form).into_iter().skip(usize::from(waiting.is_some()));
    let next: Vec<String> = waiting.into_iter().chain(usual).collect();
    let told = Confirmation {
        reference: &reference,
        received: &received_at(&recorded.received_at),
        received_iso: &recorded.received_at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        copy_sent: copy.as_deref(),
        next_steps: next,
        tracking_url: Some(follow),
    };
    let html = content.pages.confirmation(form, &told, &document, &detail.answers);
    of_form(form, page(StatusCode::OK, html, "receipt"))
}

/// Where the copy of the receipt goes, the address half hidden; or that there is none, or not yet.
fn copy_words(detail: &Detail, is_held: bool) -> Option<String> {
    let email = half_hidden(detail.sender.as_ref()?.email.as_ref()?);
    let mail = detail.mails.iter().find(|mail| mail.role == MailRole::Usager);
    Some(match mail.map(|mail| mail.state) {
        Some(DeliveryState::Failed) => {
            format!("La copie par courriel n'a pas pu être remise à {email} : imprimez cette page")
        }
        Some(DeliveryState::Cancelled)
            if mail.is_some_and(|mail| mail.last_outcome.as_deref() != Some("receipt_capped")) =>
        {
            format!("Aucune copie n'est partie par courriel à {email} : imprimez cette page")
        }
        Some(DeliveryState::Cancelled) => {
            format!(
                "Aucune copie ne part par courriel à {email}, qui en a déjà reçu plusieurs aujourd'hui : imprimez cette page"
            )
        }
        _ if is_held => format!("La copie par courriel à {email} partira plus tard : imprimez cette page"),
        _ => format!("Une copie vous est envoyée à {email}"),
    })
}

/// `helene.aubry@exemple.fr` → `h…y@exemple.fr`: enough to notice a slip.
pub(super) fn half_hidden(email: &str) -> String {
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let first: String = local.chars().take(1).collect();
    let last: String = if local.chars().count() > 3 { local.chars().rev().take(1).collect() } else { String::new() };
    format!("{first}…{last}@{domain}")
}

fn next_steps(form: &Form) -> Vec<String> {
    vec![
        format!("Votre envoi est gardé pour la mairie. Il est suivi par : {}.", form.service.name),
        format!("Sans nouvelles, appelez le {} et donnez votre référence.", form.service.telephone),
    ]
}

async fn ready(State(desk): State<Arc<Desk>>) -> Response {
    desk.watch.ready(&desk.depot.store, &desk.keys, desk.reserve_bytes, (desk.clock)()).await
}

/// A page of HTML, with what it came from for the log.
pub(super) fn page(status: StatusCode, html: String, outcome: &'static str) -> Response {
    let html_type = HeaderValue::from_static("text/html; charset=utf-8");
    with(outcome, (status, [(header::CONTENT_TYPE, html_type)], html).into_response())
}

pub(super) fn with(outcome: &'static str, mut response: Response) -> Response {
    response.extensions_mut().insert(Outcome(outcome));
    response
}

fn of_form(form: &Form, mut response: Response) -> Response {
    response.extensions_mut().insert(FormId(form.id.clone()));
    response
}

/// A person needs longer to read the check page; one sign of a robot among others, never a refusal by itself.
const MIN_AGE: SignedDuration = SignedDuration::from_secs(3);
