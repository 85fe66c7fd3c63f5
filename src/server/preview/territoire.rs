//! The preview of a territoire: one process, its communes each at an origin of its own, `http://NOM.localhost:4000/`.
//!
//! ```text
//! localhost, 127.0.0.1     → the list of the communes
//! saint-mulot.localhost    → its commune: asleep? it is built once for all who wait → its own site, guichet, tools
//! anything else            → refused: a page of another site must not have itself read here
//! ```
//!
//! A commune nobody looks at is closed: of it stay its name and what its last build said. Its letterbox is on the disk, and is
//! found again. A page left open in a browser keeps its commune open, for it waits for changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::communes::{self, Listed};
use super::shop::theme_file;
use super::{Means, News, PreviewConfig, Running, Spot, flow, only_this_machine, serve};
use crate::diagnostic::{Diagnostic, Severity};
use crate::render::Theme;
use crate::server::answer::{crashed, page};
use crate::server::headers::{Outside, Policy, harden};
use crate::server::host::name_under_localhost;
use crate::server::listen::{self, Limits, ListenAddress, Listener, Stop, Stopper};
use crate::server::seats::{Seat, Seats, seated};
use crate::server::workshop::{BuildReport, summary};
use crate::server::{StartError, answer_of};

/// How much of a territoire is held in memory.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Communes open at the same time; one more takes the place of who was looked at least lately.
    pub most_open: usize,
    /// How long a commune that nobody looks at stays open.
    pub asleep_after: SignedDuration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { most_open: 16, asleep_after: SignedDuration::from_mins(10) }
    }
}

/// The preview of a territoire, ready to serve.
pub struct TerritoirePreview {
    listener: Listener,
    street: Arc<Street>,
    limits: Limits,
    stopper: Stopper,
    stop: Stop,
}

impl TerritoirePreview {
    /// Listens; no commune is built before somebody visits it. `config.folder` is the territoire's.
    ///
    /// # Errors
    /// [`StartError`] when the address is taken.
    pub async fn build(config: PreviewConfig, bounds: Bounds) -> Result<TerritoirePreview, StartError> {
        let listener = Listener::bind(&config.listen).await?;
        let port = match listener.local_addr() {
            ListenAddress::Tcp(address) => address.port(),
            _ => 0,
        };
        let (stopper, stop) = listen::stop();
        let (limits, root, told) = (config.limits.clone(), config.folder.clone(), config.told.clone());
        let means = Arc::new(Means::of(config, stop.clone()));
        let street = Arc::new(Street {
            theme: means.base.plain_theme(),
            root,
            port,
            bounds,
            means,
            told,
            listed: RwLock::default(),
            stands: Mutex::default(),
            slots: Arc::new(Semaphore::new(bounds.most_open)),
            opening: Semaphore::new(OPENING),
            news: watch::Sender::new(0),
        });
        street.clone().look().await;
        Ok(TerritoirePreview { listener, street, limits, stopper, stop })
    }

    /// The address of the list, with the port the system chose.
    pub fn local_addr(&self) -> &ListenAddress {
        self.listener.local_addr()
    }

    /// How many communes there are.
    pub fn communes(&self) -> usize {
        self.street.listed().communes.len()
    }

    /// Serves until `signal` comes, then finishes what is in flight.
    pub async fn run_until_stopped(self, signal: impl Future<Output = ()>) {
        let router = self.street.router();
        let rounds = tokio::spawn(rounds(self.street.clone(), self.stop.clone()));
        serve((self.listener, router, self.limits), (self.stopper, self.stop), signal).await;
        let _ = rounds.await;
        for stand in self.street.all() {
            if let Some(open) = stand.seats.open() {
                open.running.rest().await;
            }
        }
    }
}

/// All the communes of a preview.
pub(super) struct Street {
    /// The territoire's folder.
    pub(super) root: PathBuf,
    pub(super) port: u16,
    pub(super) means: Arc<Means>,
    /// The built-in theme, for the list.
    pub(super) theme: Option<Theme>,
    bounds: Bounds,
    told: Arc<dyn Fn(News<'_>) + Send + Sync>,
    /// The territoire as it was read last.
    listed: RwLock<Arc<Listed>>,
    /// Communes somebody has visited, by their name under localhost.
    stands: Mutex<BTreeMap<String, Arc<Stand>>>,
    /// Places for open communes.
    slots: Arc<Semaphore>,
    /// Who opens one, a few at a time: a build takes all processors.
    opening: Semaphore,
    /// Changes whenever the list does.
    news: watch::Sender<u64>,
}

/// A commune that somebody has visited.
struct Stand {
    folder: PathBuf,
    seats: Arc<Seats<Open>>,
    /// Whoever opens or closes it; whether it has been open.
    turn: Arc<tokio::sync::Mutex<bool>>,
    last: Mutex<Option<LastBuild>>,
}

/// A commune's preview and the place it takes.
struct Open {
    running: Running,
    _slot: OwnedSemaphorePermit,
}

/// What the last build of a commune said.
#[derive(Debug, Clone)]
pub(super) enum LastBuild {
    /// It was built, or refused.
    Built {
        is_good: bool,
        /// Whether an earlier site is shown, or this one.
        has_site: bool,
        /// Files of the site.
        files: usize,
        /// « 2 erreurs, 1 avertissement ».
        summary: Option<String>,
        /// The first errors.
        errors: Vec<Diagnostic>,
    },
    /// It could not even be opened.
    Failed,
}

impl LastBuild {
    fn of(report: &BuildReport) -> LastBuild {
        let errors = report.diagnostics.iter().filter(|told| told.severity == Severity::Error);
        LastBuild::Built {
            is_good: report.is_good,
            has_site: report.files > 0,
            files: report.files,
            summary: summary(report.diagnostics.iter()),
            errors: errors.take(ERRORS_LISTED).cloned().collect(),
        }
    }
}

/// Why a commune is not shown.
enum Refused {
    /// As many as may be are open, each looked at.
    Full,
    /// It cannot be opened.
    Failed,
}

impl Street {
    fn router(self: &Arc<Self>) -> Router {
        let street = self.clone();
        let answer = move |request: Request| {
            let street = street.clone();
            async move { street.answer(request).await }
        };
        let router = Router::new()
            .fallback(answer)
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(crashed))
            .layer(axum::middleware::from_fn(only_this_machine));
        harden(router, Policy::Site, &Outside::default())
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let Some(name) = name_under_localhost(&request) else { return self.list(&path).await };
        let Some(stand) = self.stand(&name).await else {
            return self.aside(StatusCode::NOT_FOUND, Some(name), &path).await;
        };
        let seat = match self.enter(&name, &stand).await {
            Ok(seat) => seat,
            Err(Refused::Failed) => return self.aside(StatusCode::SERVICE_UNAVAILABLE, None, &path).await,
            Err(Refused::Full) => return crowded(),
        };
        let Some(router) = seat.open().map(|open| open.running.router()) else { return crowded() };
        let may_receive = request.method() == Method::POST;
        let response = answer_of(router, request).await;
        if let Some(open) = seat.open().filter(|_| may_receive) {
            open.running.received();
        }
        seated(response, seat)
    }

    /// What stands at the address of the territoire itself.
    async fn list(self: &Arc<Self>, path: &str) -> Response {
        match path {
            "/" => self.page(StatusCode::OK, None).await,
            "/__mulot/flux" => flow::flow(self.news.subscribe(), || 0, self.means.stop.clone()),
            _ => self.aside(StatusCode::NOT_FOUND, None, path).await,
        }
    }

    /// The list in place of what was asked for, or a file that it is drawn with.
    async fn aside(self: &Arc<Self>, status: StatusCode, unknown: Option<String>, path: &str) -> Response {
        match self.theme.as_ref().and_then(|theme| theme_file(theme, path.trim_start_matches('/'))) {
            Some(file) => file,
            None => self.page(status, unknown).await,
        }
    }

    /// The list of the communes; `unknown` is the name that was asked for, when it is nobody's.
    async fn page(self: &Arc<Self>, status: StatusCode, unknown: Option<String>) -> Response {
        let listed = self.clone().look().await;
        let html = communes::page(self, &listed, unknown.as_deref());
        let router = Router::new().fallback(move || {
            let page = page(status, html.clone(), "communes");
            async move { page }
        });
        answer_of(harden(router, Policy::Tool, &Outside::default()), Request::default()).await
    }

    fn listed(&self) -> Arc<Listed> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the territoire again; what cannot be read leaves the communes known until now.
    async fn look(self: Arc<Self>) -> Arc<Listed> {
        let street = self.clone();
        // A defect while reading leaves what was known.
        let read =
            tokio::task::spawn_blocking(move || Listed::read(&street.root, &street.means.base, &street.listed()));
        if let Ok(read) = read.await {
            *self.listed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        }
        self.listed()
    }

    /// The commune of a name under localhost; the territoire is read again before it is said that there is none.
    async fn stand(self: &Arc<Self>, name: &str) -> Option<Arc<Stand>> {
        let mut listed = self.listed();
        if !listed.communes.contains_key(name) {
            listed = self.clone().look().await;
        }
        let folder = listed.communes.get(name).filter(|commune| commune.member.folder.is_dir())?.member.folder.clone();
        let mut stands = self.stands();
        if let Some(stand) = stands.get(name).filter(|stand| stand.folder == folder) {
            return Some(stand.clone());
        }
        // A first visit, or another folder than the one that had this name.
        let stand = Arc::new(Stand { folder, seats: Arc::default(), turn: Arc::default(), last: Mutex::default() });
        stands.insert(name.to_owned(), stand.clone());
        Some(stand)
    }

    fn stands(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Stand>>> {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Stand>> {
        self.stands().values().cloned().collect()
    }

    /// What the last build of a commune said, if it was visited.
    pub(super) fn last_build(&self, name: &str) -> Option<LastBuild> {
        let stand = self.stands().get(name)?.clone();
        let last = stand.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    /// Keeps what a build said, and tells who looks at the list.
    fn keep(&self, stand: &Stand, last: LastBuild) {
        *stand.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        self.news.send_modify(|version| *version += 1);
    }

    /// A seat at a commune's preview, which is opened if need be.
    async fn enter(self: &Arc<Self>, name: &str, stand: &Arc<Stand>) -> Result<Seat<Open>, Refused> {
        for _ in 0..ENTRIES {
            if let Some(seat) = stand.seats.sit(Some(Timestamp::now())) {
                return Ok(seat);
            }
            let mut turn = stand.turn.clone().lock_owned().await;
            if stand.seats.open().is_some() {
                continue;
            }
            let (street, name, stand) = (self.clone(), name.to_owned(), stand.clone());
            // Beside this request: who asked may leave, what has begun to open must not be left half open.
            let opening = tokio::spawn(async move {
                let opened = street.open(&name, &stand, *turn).await;
                *turn = true;
                opened
            });
            opening.await.unwrap_or(Err(Refused::Failed))?;
        }
        Err(Refused::Full)
    }

    /// Opens a commune's preview; the caller holds its turn.
    async fn open(self: &Arc<Self>, name: &str, stand: &Arc<Stand>, was_open: bool) -> Result<(), Refused> {
        let Some(slot) = self.slot().await else { return Err(Refused::Full) };
        let _one_of_few = self.opening.acquire().await;
        let spot = Spot {
            folder: stand.folder.clone(),
            address: communes::address(name, self.port),
            communes_url: Some(communes::list_address(self.port)),
            patience: if was_open { UNLOCKED_WITHIN } else { Duration::ZERO },
        };
        let (street, built) = (Arc::downgrade(self), Arc::downgrade(stand));
        let on_build = Box::new(move |report: &BuildReport| {
            if let (Some(street), Some(stand)) = (street.upgrade(), built.upgrade()) {
                (street.told)(News::Built(&stand.folder, report));
                street.keep(&stand, LastBuild::of(report));
            }
        });
        match Running::open(&self.means, spot, on_build).await {
            Ok((running, first)) => {
                (self.told)(News::Built(&stand.folder, &first));
                self.keep(stand, LastBuild::of(&first));
                stand.seats.opened(Arc::new(Open { running, _slot: slot }));
                Ok(())
            }
            Err(error) => {
                (self.told)(News::Failed(&stand.folder, &error));
                self.keep(stand, LastBuild::Failed);
                Err(Refused::Failed)
            }
        }
    }

    /// Closes a commune's preview, unless somebody is there or somebody else opens or closes it; whether it is closed.
    async fn close(&self, stand: &Stand) -> bool {
        let Ok(_turn) = stand.turn.try_lock() else { return false };
        let Some(open) = stand.seats.open() else { return true };
        if open.running.is_writing() || !stand.seats.empty(Duration::ZERO).await {
            return false;
        }
        open.running.stop().await;
        let last = stand.seats.close();
        // The writer ends, and brings its log back into the database.
        let _ = tokio::task::spawn_blocking(move || drop((open, last))).await;
        stand.seats.closed();
        true
    }

    /// A place for one more open commune: a free one, or that of who was looked at least lately; `None` when all are looked at.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let free = || self.slots.clone().try_acquire_owned().ok();
        if let Some(slot) = free() {
            return Some(slot);
        }
        let glances = self.all().into_iter().map(|stand| (stand.seats.glance(), stand));
        let mut idle: Vec<_> = glances
            .filter(|(glance, _)| glance.open.is_some() && !glance.is_taken)
            .map(|(glance, stand)| (glance.last, stand))
            .collect();
        idle.sort_by_key(|(last, _)| *last);
        for (_, stand) in idle {
            if self.close(&stand).await
                && let Some(slot) = free()
            {
                return Some(slot);
            }
        }
        None
    }
}

/// Closes those that nobody looks at, until told to stop.
async fn rounds(street: Arc<Street>, mut stop: Stop) {
    loop {
        tokio::select! {
            () = stop.asked() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        let now = Timestamp::now();
        for stand in street.all() {
            let glance = stand.seats.glance();
            let is_idle = glance.last.is_none_or(|last| now.duration_since(last) >= street.bounds.asleep_after);
            let may_sleep = glance.open.is_some() && !glance.is_taken && is_idle;
            // Who closes must be the last to hold it.
            drop(glance);
            if may_sleep {
                street.close(&stand).await;
            }
        }
    }
}

/// Too many communes are looked at.
fn crowded() -> Response {
    let words = "Trop de communes sont ouvertes à la fois. Fermez les onglets de celles que vous ne regardez plus, puis rechargez.\n";
    let text = [("content-type", "text/plain; charset=utf-8"), ("retry-after", "5")];
    (StatusCode::SERVICE_UNAVAILABLE, text, words).into_response()
}

/// Communes opened at the same time.
const OPENING: usize = 2;
/// Errors of a commune that the list tells; its own page tells them all.
const ERRORS_LISTED: usize = 5;
/// Times a request tries to come in: it may find a door that closes.
const ENTRIES: usize = 8;
/// Between two rounds.
const TICK: Duration = Duration::from_secs(2);
/// How long the data of a commune that was closed may take to be free.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(5);
