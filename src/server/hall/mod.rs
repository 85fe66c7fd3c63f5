//! One guichet for one commune or for all those of a territoire.
//!
//! ```text
//! request → host, path → commune → asleep? it is opened once for all who wait → its own routes
//! ```
//!
//! A commune that is not asked for is closed: nothing of it stays in memory but its name, its addresses and the instant at
//! which something is due. [`rounds`] opens it then, without a visitor. Nothing of a commune is shared with another: each has
//! its database, its key, its limits, its mails; a flood on one, a broken folder or a full queue leaves the others as they are.
//! The guichet of one commune is the same hall with one counter, that never closes.

mod awake;
mod counter;
mod news;
mod pages;
mod plan;
mod rounds;
mod settings;
mod source;
mod tasks;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use self::awake::Awake;
use self::counter::{Counter, Counters};
use self::plan::{Plan, Way};
pub(super) use self::rounds::run as rounds;
use super::answer::crashed;
use super::config::{HallConfig, Role};
use super::desk::Clock;
use super::front::Hosted;
use super::guichet::Means;
use super::headers::{Outside, Policy, Sets, harden};
use super::host;
use super::seats::seated;
use super::{StartError, answer_of, overview, watch};
use crate::diagnostic::Diagnostic;
use crate::intake::store::StoreError;

/// All the guichets of a process.
pub(super) struct Hall {
    plan: RwLock<Arc<Plan>>,
    means: Arc<Means>,
    /// Places for open guichets.
    slots: Arc<Semaphore>,
    /// Who opens one, a few at a time: it takes a processor.
    opening: Semaphore,
    /// Communes that left the configuration and are not closed yet.
    leaving: Mutex<Vec<Arc<Counter>>>,
    /// The page of the territoire as it was drawn last, with its secret.
    overview: tokio::sync::Mutex<Option<(tokio::time::Instant, String, Arc<str>)>>,
}

/// How many communes there are, and how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Communes of the configuration.
    pub communes: usize,
    /// Open now.
    pub awake: usize,
    /// That could not be opened when last tried.
    pub broken: usize,
    /// That no address leads to.
    pub nowhere: usize,
}

/// Why a request cannot be taken in.
enum Refused {
    /// Too many are under way there, or no place is free.
    Busy,
    /// It cannot be opened.
    Trouble,
    /// It has just left the configuration.
    Gone,
}

impl Hall {
    /// Reads the configuration; nothing is opened.
    ///
    /// # Errors
    /// All that is wrong in the territoire.
    pub(super) fn new(config: HallConfig, means: Means) -> Result<Arc<Hall>, Vec<Diagnostic>> {
        let most_awake = config.most_awake;
        let plan = Plan::read(config, &Counters::new(), None, (means.clock)())?;
        Ok(Arc::new(Hall {
            plan: RwLock::new(Arc::new(plan)),
            means: Arc::new(means),
            slots: Arc::new(Semaphore::new(most_awake)),
            opening: Semaphore::new(OPENING),
            leaving: Mutex::default(),
            overview: tokio::sync::Mutex::default(),
        }))
    }

    fn plan(&self) -> Arc<Plan> {
        self.plan.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn leaving(&self) -> Vec<Arc<Counter>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> Timestamp {
        (self.means.clock)()
    }

    /// Takes another configuration: new communes come in, those that went finish what they are doing, changed settings apply to
    /// what is opened from now on, and to what is open as soon as nobody is there.
    ///
    /// # Errors
    /// All that is wrong; nothing has changed.
    pub(super) fn reload(&self, config: HallConfig) -> Result<(), Vec<Diagnostic>> {
        let before = self.plan();
        let mut known = before.counters.clone();
        known.extend(self.leaving().into_iter().map(|counter| (counter.settings().name.clone(), counter)));
        let plan = Plan::read(config, &known, Some(&before), self.now())?;
        let gone = known.iter().filter(|(name, _)| !plan.counters.contains_key(*name));
        let gone: Vec<Arc<Counter>> = gone.map(|(_, counter)| counter.clone()).collect();
        gone.iter().for_each(|counter| counter.remove());
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = gone;
        for counter in plan.counters.values() {
            if let Some(awake) = counter.awake() {
                awake.refresh(&counter.settings());
            }
        }
        let communes = plan.counters.len();
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
        tracing::info!(event = "reloaded", communes, "the configuration was read again");
        Ok(())
    }

    /// The names of each commune for a door of our own, the main one first; a guichet on a host that communes share is one more.
    pub(super) fn hosted(&self) -> Vec<Hosted> {
        let plan = self.plan();
        let settings: Vec<_> = plan.counters.values().map(|counter| counter.settings()).collect();
        let sites = settings.iter().filter_map(|one| Hosted::of(one.known.sites.iter().map(String::as_str)));
        // No certificate is asked for what nobody is reached at: two orders for one name would undo each other.
        let is_shared = |one: &Hosted| plan.shared.iter().any(|(host, _)| *host == one.main);
        let mut hosted: Vec<Hosted> = sites.filter(|one| !is_shared(one)).collect();
        for elsewhere in settings.iter().filter_map(|one| Hosted::of([one.known.elsewhere.as_str()])) {
            if hosted.iter().all(|one| one.names().all(|name| name != elsewhere.main)) {
                hosted.push(elsewhere);
            }
        }
        hosted
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> Arc<HallConfig> {
        self.plan().config.clone()
    }

    /// How many communes there are, and how they stand.
    pub(super) fn census(&self) -> Census {
        let plan = self.plan();
        let count = |is: &dyn Fn(&Counter) -> bool| plan.counters.values().filter(|counter| is(counter)).count();
        Census {
            communes: plan.counters.len(),
            awake: count(&|counter| counter.awake().is_some()),
            broken: count(&|counter| counter.trouble().is_some()),
            nowhere: if plan.only.is_some() { 0 } else { count(&|counter| counter.settings().known.is_nowhere()) },
        }
    }

    /// Why some communes are reached by nobody, when the guichet started with that.
    pub(super) fn told(&self) -> Vec<Diagnostic> {
        self.plan().told.clone()
    }

    /// Hosts that are answered for, in order.
    pub(super) fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.plan().hosts().cloned().collect();
        hosts.sort();
        hosts
    }

    /// The one commune, opened; `None` when there are many.
    ///
    /// # Errors
    /// [`StartError`] for whatever cannot be used.
    pub(super) async fn open_only(&self) -> Result<Option<Arc<Awake>>, StartError> {
        let Some(only) = self.plan().only.clone() else { return Ok(None) };
        let mut turn = only.turn.lock().await;
        self.open(&only, &mut turn, None).await.map(Some)
    }

    /// All that is answered.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        let (hall, sets) = (self.clone(), Arc::new(Sets::new(Policy::Site, &Outside::default())));
        // No layers: a file of a site goes through here, and each would cost it as much as its own answer.
        Router::new().fallback(move |request: Request| {
            let (hall, sets) = (hall.clone(), sets.clone());
            async move {
                let is_local = host::is_loopback(&request);
                let answered = AssertUnwindSafe(hall.answer(request)).catch_unwind().await;
                let mut response = answered.unwrap_or_else(crashed);
                sets.add(is_local, &mut response);
                response
            }
        })
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Response {
        let plan = self.plan();
        if plan.only.is_none() && host::is_loopback(&request) {
            match request.uri().path() {
                "/guichet/sante" => return watch::alive(),
                "/guichet/pret" => return self.ready(),
                _ => {}
            }
        }
        let host = host::of(&request);
        let secret = {
            let is_known = || host::is_loopback(&request) || !matches!(plan.way(host.as_deref(), "/"), Way::NoHost);
            let path = request.uri().path().strip_prefix(overview::PATH).filter(|_| is_known());
            path.map(|secret| secret.trim_end_matches('/').to_owned())
        };
        // Whoever knows the address may read; nobody else learns that there is one.
        if let Some(secret) = secret
            && let Some(page) = self.overview(secret).await
        {
            return page;
        }
        match plan.way(host.as_deref(), request.uri().path()) {
            Way::Counter(counter, root) if root.is_empty() => self.at(&counter, request).await,
            Way::Counter(counter, root) => match under(request, &root) {
                Ok(request) => back_under(self.at(&counter, request).await, &root),
                Err(to_folder) => to_folder,
            },
            Way::NoPath => pages::no_path(),
            Way::NoHost => pages::no_host(),
        }
    }

    /// The page of the territoire; `None` when that is not its secret.
    async fn overview(&self, secret: String) -> Option<Response> {
        let (config, now, base) = (self.config(), self.now(), self.means.base.clone());
        let mut last = self.overview.lock().await;
        let fresh = last.as_ref().filter(|(at, known, _)| *known == secret && at.elapsed() < OVERVIEW_STAYS);
        let html = match fresh {
            Some((_, _, html)) => html.clone(),
            None => {
                let wanted = secret.clone();
                let look = move || overview::served(&config, &wanted, &base, now);
                let html: Arc<str> = tokio::task::spawn_blocking(look).await.ok()??.into();
                *last = Some((tokio::time::Instant::now(), secret, html.clone()));
                html
            }
        };
        let router = Router::new().fallback(move || {
            let page = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.to_string());
            async move { page.into_response() }
        });
        Some(answer_of(harden(router, Policy::Sandbox, &Outside::default()), Request::default()).await)
    }

    /// What a commune answers.
    async fn at(self: &Arc<Self>, counter: &Arc<Counter>, request: Request) -> Response {
        let path = request.uri().path();
        let settings = counter.settings();
        if !path.starts_with("/guichet/")
            && settings.has_site
            && let Some(site) = counter.site()
        {
            return site.answer(request).await;
        }
        let known = &settings.known;
        let Some(presence) = counter.arrive(settings.under_way) else { return pages::busy(known) };
        let mut seat = match self.enter(counter).await {
            Ok(seat) => seat,
            Err(Refused::Busy) => return pages::busy(known),
            Err(Refused::Trouble) => return pages::trouble(known),
            Err(Refused::Gone) => return pages::no_host(),
        };
        seat.is_post = request.method() == Method::POST;
        let Some(router) = seat.awake().map(|awake| awake.router.clone()) else { return pages::busy(known) };
        let response = answer_of(router, request).await;
        seated(response, (seat, presence))
    }

    /// A seat at a commune's guichet, which is opened if need be.
    async fn enter(self: &Arc<Self>, counter: &Arc<Counter>) -> Result<counter::Seat, Refused> {
        for _ in 0..ENTRIES {
            if let Some(seat) = counter.sit(Some(self.now())) {
                return Ok(seat);
            }
            if counter.is_removed() {
                return Err(Refused::Gone);
            }
            if counter.trouble().is_some() {
                return Err(Refused::Trouble);
            }
            let mut turn = counter.turn.clone().lock_owned().await;
            if let Some(seat) = counter.sit(Some(self.now())) {
                return Ok(seat);
            }
            if counter.awake().is_none() && counter.trouble().is_none() {
                let slot = match self.slot().await {
                    None if !is_pinned(&self.plan()) => return Err(Refused::Busy),
                    slot => slot,
                };
                // Beside this request: who asked may leave, what has begun to open must not be left half open.
                let (hall, counter) = (self.clone(), counter.clone());
                let opening = tokio::spawn(async move { hall.open(&counter, &mut turn, slot).await.map(|_| ()) });
                // What failed is told by the next turn.
                let _ = opening.await;
            }
        }
        Err(Refused::Busy)
    }

    /// Opens a commune's guichet; the caller holds its turn.
    async fn open(
        &self,
        counter: &Arc<Counter>,
        turn: &mut counter::Turn,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<Arc<Awake>, StartError> {
        let settings = counter.settings();
        let memory = counter.memory();
        let _one_of_few = self.opening.acquire().await;
        let begun = tokio::time::Instant::now();
        let opened = loop {
            match Awake::open(&settings, &self.means, &memory).await {
                // What was closed a moment ago may still be read by somebody who left.
                Err(error) if turn.was_open && error.is_locked() && begun.elapsed() < UNLOCKED_WITHIN => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                opened => break opened,
            }
        };
        match opened {
            Ok(awake) => {
                let awake = Arc::new(awake.at(slot));
                turn.was_open = true;
                awake.start();
                counter.opened(awake.clone(), settings.fingerprint);
                tracing::debug!(event = "awake", commune = settings.name, "a guichet is open");
                Ok(awake)
            }
            Err(error) => {
                tracing::error!(
                    event = "closed",
                    commune = settings.name,
                    reason = reason(&error),
                    "a guichet cannot be opened"
                );
                let error = Arc::new(error);
                let again = self.now().checked_add(AGAIN_AFTER_TROUBLE).ok();
                counter.failed(error.clone(), again.filter(|_| settings.hall.role.delivers()));
                // Nobody else holds it for long; whoever asks is told why.
                Err(StartError::Closed(error))
            }
        }
    }

    /// Closes a commune's guichet; `false` when somebody was there for longer than `patience`, or when it could not be opened
    /// again: while its folder has errors, what was right stays in place.
    async fn close(&self, counter: &Arc<Counter>, patience: Duration) -> bool {
        let _turn = counter.turn.lock().await;
        let Some(awake) = counter.awake() else { return true };
        let settings = counter.settings();
        if !counter.is_removed() && !awake.would_open(&settings).await {
            tracing::warn!(
                event = "content.refused",
                commune = settings.name,
                "the folder has errors; the guichet stays open with what was right"
            );
            counter.hold_open();
            return false;
        }
        // Who only delivers hears of what others accept by the stamp of the database: one that nobody has looked into yet
        // keeps it open, or a request would wait for the next visit.
        let follows = self.plan().config.role == Role::Back;
        let before = counter::stamp(&settings.data);
        if follows && !counter.knows(&before) {
            return false;
        }
        // Visitors go on meanwhile: the mail in hand may take minutes.
        awake.stop().await;
        if !counter.empty(patience).await || (follows && counter::stamp(&settings.data) != before) {
            awake.start();
            return false;
        }
        let now = self.now();
        let due = awake.due(now);
        let latest = now.checked_add(VISIT_EVERY).ok();
        let due = if self.plan().config.role.delivers() { due.into_iter().chain(latest).min() } else { None };
        let open = counter.close(due);
        // The writer ends, and brings its log back into the database.
        let stamp = tokio::task::spawn_blocking(move || {
            drop((awake, open));
            counter::stamp(&settings.data)
        });
        let stamp = stamp.await.unwrap_or_default();
        // Closing writes only when nobody else has the database open: the log then goes.
        let was_written = follows && stamp != before && stamp[1].is_some();
        counter.closed(stamp);
        if was_written {
            counter.is_due(now);
        }
        tracing::debug!(event = "asleep", commune = counter.settings().name, "a guichet is closed until it is needed");
        true
    }

    /// A place for one more open guichet: a free one, or that of who was asked for least lately; `None` when all are at work.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Some(slot);
        }
        let deadline = tokio::time::Instant::now() + SLOT_WITHIN;
        loop {
            self.make_room().await;
            let wait = tokio::time::timeout(Duration::from_millis(100), self.slots.clone().acquire_owned());
            match wait.await {
                Ok(slot) => return slot.ok(),
                Err(_) if tokio::time::Instant::now() < deadline => {}
                Err(_) => return None,
            }
        }
    }

    /// Closes the guichet that was asked for least lately, of those where nothing is under way.
    async fn make_room(&self) {
        let plan = self.plan();
        let now = self.now();
        let mut idle: Vec<(Option<Timestamp>, &Arc<Counter>)> = Vec::new();
        for counter in plan.counters.values() {
            let glance = counter.glance();
            let Some(awake) = glance.awake.filter(|_| !glance.is_taken && !glance.is_held) else { continue };
            if awake.due(now).is_none_or(|due| due > now) && counter.turn.try_lock().is_ok() {
                idle.push((glance.last, counter));
            }
        }
        idle.sort_by_key(|(last, _)| *last);
        for (_, counter) in idle.into_iter().take(2) {
            if self.close(counter, Duration::ZERO).await {
                return;
            }
        }
    }

    /// What is measured: of the one commune, or of all together.
    pub(super) fn metrics(self: &Arc<Self>, clock: Clock) -> Router {
        let hall = self.clone();
        Router::new().fallback(move |request: Request| {
            let (hall, clock) = (hall.clone(), clock.clone());
            async move {
                let only = hall.plan().only.clone();
                match only.map(|only| only.awake()) {
                    Some(Some(awake)) => answer_of(awake.metrics(clock), request).await,
                    // It is being opened anew.
                    Some(None) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                    None if request.uri().path() == "/metrics" => {
                        let census = hall.census();
                        watch::metrics_of_all((census.communes, census.awake, census.broken))
                    }
                    None => StatusCode::NOT_FOUND.into_response(),
                }
            }
        })
    }

    /// Whether requests can be taken, for all communes together.
    fn ready(&self) -> Response {
        let census = self.census();
        let config = self.config();
        let free = crate::intake::store::free_bytes_of(&config.common.data);
        let is_full = free.is_ok_and(|free| free < config.common.reserve_bytes);
        watch::ready_for_all(is_full, (census.communes, census.awake, census.broken))
    }

    /// Ends all that works, after the mails in hand; nobody is answered any more.
    pub(super) async fn stop(&self) {
        let plan = self.plan();
        let all: Vec<Arc<Counter>> = plan.counters.values().cloned().chain(self.leaving()).collect();
        let mut closing = tokio::task::JoinSet::new();
        for counter in all {
            closing.spawn(async move {
                let Some(awake) = counter.awake() else { return };
                awake.stop().await;
                let open = counter.close(None);
                let _ = tokio::task::spawn_blocking(move || drop((awake, open))).await;
            });
        }
        while closing.join_next().await.is_some() {}
    }
}

/// The request as the commune sees it, its path taken off; at the path itself, the way to its folder.
fn under(mut request: Request, root: &str) -> Result<Request, Response> {
    let uri = request.uri();
    let rest = uri.path().strip_prefix(root).unwrap_or(uri.path());
    if rest.is_empty() {
        return Err(pages::to_folder(root));
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(format!("{rest}{query}")).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    Ok(request)
}

/// An answer that leads elsewhere in the same guichet leads under its path.
fn back_under(mut response: Response, root: &str) -> Response {
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let own = |location: &str| location.starts_with("/guichet/") || location.starts_with("/assets/");
    if let Some(location) = location.filter(|location| own(location))
        && let Ok(location) = HeaderValue::from_str(&format!("{root}{location}"))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Why a guichet cannot be opened, in a word for the log.
fn reason(error: &StartError) -> &'static str {
    match error {
        StartError::Content(_) => "content",
        StartError::Store(StoreError::Locked { .. }) => "locked",
        StartError::Store(StoreError::Full { .. }) => "full",
        StartError::Store(StoreError::Key(_) | StoreError::WrongKey { .. }) => "key",
        StartError::Store(StoreError::Damaged { .. }) => "damaged",
        StartError::Store(_) => "store",
        StartError::Files(error) if error.is_of_bucket() => "bucket",
        StartError::Files(_) => "files",
        StartError::Mailer(_) => "mailer",
        _ => "machine",
    }
}

/// Whether the guichet of one commune is open for good.
fn is_pinned(plan: &Plan) -> bool {
    plan.only.is_some()
}

/// Guichets opened at the same time.
const OPENING: usize = 2;
/// Times a request tries to come in: it may find a door that closes.
const ENTRIES: usize = 8;
/// How long the page of the territoire is shown again without looking.
const OVERVIEW_STAYS: Duration = Duration::from_secs(30);
/// How long a request waits for a place.
const SLOT_WITHIN: Duration = Duration::from_secs(10);
/// How long the lock of a guichet that was closed may take to be free.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(5);
/// A commune with data is opened at least so often.
const VISIT_EVERY: SignedDuration = SignedDuration::from_hours(6);
/// When what could not be opened is tried again without a visitor.
const AGAIN_AFTER_TROUBLE: SignedDuration = SignedDuration::from_mins(15);
