//! Who watches over a guichet that serves: its readiness, its measures, and the mail that tells the mairie what waits.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::duties::{Duties, Duty};
use super::measures::{Measures, Seen};
use super::observe::Outcome;
use crate::intake::accept::Depot;
use crate::intake::files::FileStore;
use crate::intake::store::{Store, StoreError};
use crate::intake::token::Keys;
use crate::model::intake::Hold;
use crate::model::mail::MailRole;

/// What those who serve and those who watch share.
#[derive(Debug)]
pub(super) struct Watch {
    key_file: PathBuf,
    /// Whether this process is the one that delivers.
    delivers: bool,
    delivering: AtomicBool,
    suspect: Notify,
    measures: Measures,
    /// What is owed without any visitor.
    pub(super) duties: Duties,
    last: tokio::sync::Mutex<Option<(Instant, Verdict)>>,
}

/// What readiness was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    /// Why requests are not taken, in a word each; empty when they are.
    reasons: Vec<&'static str>,
    /// How mails go out; a mail server that is away does not keep requests from being taken.
    mail: &'static str,
    /// Whether the bucket of the files answers, when there is one; what is sent without a file is taken all the same.
    bucket: Option<bool>,
}

impl Watch {
    /// Watches over a guichet, whose key is in this file, and whose mails this process delivers or not.
    pub(super) fn new(key_file: PathBuf, delivers: bool) -> Arc<Self> {
        Arc::new(Watch {
            key_file,
            delivers,
            delivering: AtomicBool::new(false),
            suspect: Notify::new(),
            measures: Measures::default(),
            duties: Duties::default(),
            last: tokio::sync::Mutex::new(None),
        })
    }

    /// Says that mails are delivered as long as what it gives lives, a panic included.
    pub(super) fn delivering(self: &Arc<Self>) -> Delivering {
        self.delivering.store(true, Ordering::Relaxed);
        Delivering(self.clone())
    }

    /// A request was recorded with something kept back.
    pub(super) fn held(&self, hold: &Hold) {
        self.measures.kept_back(hold.quarantine.is_some(), hold.receipt_on_page_only);
        if let Some((suspicion, _)) = &hold.quarantine {
            tracing::info!(
                event = "quarantined",
                points = suspicion.points,
                signs = suspicion.reasons.join(" "),
                "a request waits"
            );
            self.duties.news(Duty::Quarantine);
            self.suspect.notify_one();
        }
        if hold.receipt_on_page_only {
            tracing::info!(event = "receipt.capped", "an address had enough receipts today");
        }
    }

    /// Another process may have put a request in quarantine.
    pub(super) fn look_again(&self) {
        self.suspect.notify_one();
    }

    /// Until a request goes to quarantine.
    pub(super) async fn suspect(&self) {
        self.suspect.notified().await;
    }

    /// Whether requests can be taken: 200 or 503, reasons in a word, nothing else.
    pub(super) async fn ready(&self, depot: &Depot, keys: &Keys, reserve_bytes: u64, now: Timestamp) -> Response {
        let mut last = self.last.lock().await;
        let verdict = match last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            Some((_, verdict)) => verdict.clone(),
            None => {
                let verdict = self.look(depot, keys, reserve_bytes, now).await;
                last.insert((Instant::now(), verdict)).1.clone()
            }
        };
        drop(last);
        let is_ready = verdict.reasons.is_empty();
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let reasons = verdict.reasons.iter().map(|reason| format!("\"{reason}\"")).collect::<Vec<_>>().join(",");
        let bucket = match verdict.bucket {
            Some(true) => ",\"seau\":\"ok\"",
            Some(false) => ",\"seau\":\"injoignable\"",
            None => "",
        };
        let mail = verdict.mail;
        json(status, format!("{{\"pret\":{is_ready},\"raisons\":[{reasons}],\"courriel\":\"{mail}\"{bucket}}}\n"))
    }

    async fn look(&self, Depot { store, files }: &Depot, keys: &Keys, reserve_bytes: u64, now: Timestamp) -> Verdict {
        let mut reasons = Vec::new();
        if !matches!(tokio::time::timeout(PATIENCE, store.writable()).await, Ok(Ok(()))) {
            reasons.push("base");
        }
        let files = files.clone();
        let bucket = tokio::task::spawn_blocking(move || files.bucket_answers());
        let (reading, keys, key_file) = (store.clone(), keys.clone(), self.key_file.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let oldest = [MailRole::Mairie, MailRole::Usager].map(|role| reading.oldest_waiting(role));
            let oldest = oldest.into_iter().collect::<Result<Vec<_>, StoreError>>();
            (reading.free_bytes(), oldest, keys.stand_in(&key_file))
        });
        let Ok((free, oldest, key)) = looked.await else {
            return Verdict { reasons: vec!["base"], mail: "inconnu", bucket: None };
        };
        if free.is_ok_and(|free| free < reserve_bytes) {
            reasons.push("disque");
        }
        if !key {
            reasons.push("cle");
        }
        if self.delivers && !self.delivering.load(Ordering::Relaxed) {
            reasons.push("livraison");
        }
        let mail = oldest.map_or("inconnu", |oldest| mail_state(oldest.into_iter().flatten().min(), now));
        // One that is slow to say no is no longer waited for.
        let bucket =
            tokio::time::timeout(PATIENCE, bucket).await.map_or(Some(false), |told| told.unwrap_or(Some(false)));
        Verdict { reasons, mail, bucket }
    }

    /// What the store says now, for the measures.
    fn seen(&self, store: &Store, files: &FileStore, now: Timestamp) -> Result<Seen, StoreError> {
        let wait = |role: MailRole| {
            let oldest = store.oldest_waiting(role)?;
            let wait = oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs().max(0).unsigned_abs());
            Ok::<_, StoreError>((role, wait))
        };
        let (commits, orders) = store.commits_and_orders();
        Ok(Seen {
            delivered: store.delivered()?.to_vec(),
            oldest: vec![wait(MailRole::Mairie)?, wait(MailRole::Usager)?],
            stuck: store.stuck(now, STUCK_AFTER)?.len() as u64,
            quarantine: store.quarantined(now)?.len() as u64,
            commits,
            orders,
            queue: store.queue_depth() as u64,
            free_bytes: store.free_bytes()?,
            files: files.counts(),
            delivering: self.delivering.load(Ordering::Relaxed),
            route_closed: store.route()?.is_some(),
        })
    }
}

/// Mails are being delivered.
pub(super) struct Delivering(Arc<Watch>);

impl Drop for Delivering {
    fn drop(&mut self) {
        self.0.delivering.store(false, Ordering::Relaxed);
    }
}

/// Counts the answers to posted forms.
pub(super) async fn count(State(watch): State<Arc<Watch>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let is_form = request.method() == Method::POST && request.extensions().get::<MatchedPath>().is_some();
    let response = next.run(request).await;
    if is_form {
        let outcome = response.extensions().get::<Outcome>().map_or("other", |outcome| outcome.0);
        let is_refusal = response.status().is_client_error() || response.status().is_server_error();
        watch.measures.answer(outcome, is_refusal, begun.elapsed());
    }
    response
}

/// What a collector of this machine asks: `/metrics`.
pub(super) fn metrics_router(watch: Arc<Watch>, depot: Depot, clock: super::desk::Clock) -> Router {
    let answer = move || {
        let (watch, depot, now) = (watch.clone(), depot.clone(), clock());
        async move {
            let look = move || Ok(watch.measures.text(&watch.seen(&depot.store, &depot.files, now)?));
            let text = tokio::task::spawn_blocking(look).await;
            match text.unwrap_or(Err(StoreError::Closed)) {
                Ok(text) => {
                    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                    ([(header::CONTENT_TYPE, kind)], text).into_response()
                }
                Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        }
    };
    Router::new().route("/metrics", get(answer))
}

/// That the program answers, whatever the state of the rest: a supervisor that restarts it for a full disk mends nothing.
pub(super) fn alive() -> Response {
    json(StatusCode::OK, "{\"etat\":\"ok\"}\n".to_owned())
}

/// The measures of many communes: how many there are, and how they stand.
pub(super) fn metrics_of_all(census: (usize, usize, usize)) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], super::measures::census(census)).into_response()
}

/// The same for many communes: whether the disk has room, and how many communes stand how.
pub(super) fn ready_for_all(is_full: bool, (communes, awake, broken): (usize, usize, usize)) -> Response {
    let status = if is_full { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let reasons = if is_full { "\"disque\"" } else { "" };
    let body = format!(
        "{{\"pret\":{},\"raisons\":[{reasons}],\"communes\":{communes},\"ouvertes\":{awake},\"en_panne\":{broken}}}\n",
        !is_full
    );
    json(status, body)
}

fn json(status: StatusCode, body: String) -> Response {
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
    response.extensions_mut().insert(Outcome("health"));
    response
}

/// How long the oldest mail has waited, in a word.
fn mail_state(oldest: Option<Timestamp>, now: Timestamp) -> &'static str {
    match oldest.map(|oldest| now.duration_since(oldest)) {
        Some(wait) if wait > SignedDuration::from_hours(24) => "bloqué",
        Some(wait) if wait > SignedDuration::from_hours(1) => "en retard",
        _ => "ok",
    }
}

/// How long a verdict is given again: whoever asks a thousand times a second makes one look.
const FRESH: Duration = Duration::from_millis(500);
/// How long the writer may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// A mail that waits longer than this is stuck.
const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(15);
