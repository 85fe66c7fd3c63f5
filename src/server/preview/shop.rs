//! The preview of one commune, at work: its site in memory, its guichet, its letterbox, and who watches its folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::tools::{self, diagnostics_page};
use super::{Means, only_this_machine};
use crate::intake::files::FileOptions;
use crate::intake::mailer::Transport;
use crate::model::media_type::media_type;
use crate::render::Theme;
use crate::server::answer::crashed;
use crate::server::config::{RESERVE_BYTES, Role};
use crate::server::desk::{Desk, DeskContent, DeskOptions};
use crate::server::duties::Duty;
use crate::server::headers::{Outside, Policy, harden};
use crate::server::listen::Stop;
use crate::server::office::{Delivery, Outgoing};
use crate::server::receive::FormLimits;
use crate::server::workshop::{self, Board, BuildReport, Watcher, Workshop};
use crate::server::{Office, StartError, answer_of, by_prefix, routes, site};

/// Where a commune's preview is.
pub(super) struct Spot {
    /// The commune's folder.
    pub(super) folder: PathBuf,
    /// Scheme and host of the preview, for the links of its mails.
    pub(super) address: String,
    /// The page of all communes, when there are many.
    pub(super) communes_url: Option<String>,
    /// How long its data may stay locked by an earlier use that is ending.
    pub(super) patience: Duration,
}

/// A commune's preview with all that works for it.
pub(super) struct Running {
    router: Router,
    office: Office,
    works: Mutex<Option<Works>>,
}

/// What works beside the pages.
struct Works {
    watcher: Watcher,
    builder: JoinHandle<()>,
    delivery: Option<Delivery>,
}

impl Running {
    /// Builds the folder once and starts watching it; `on_build` is told of every build after. A folder that cannot be built is
    /// shown as its diagnostics.
    ///
    /// # Errors
    /// [`StartError`] when the data folder cannot be used or the folder not be watched.
    pub(super) async fn open(
        means: &Arc<Means>,
        spot: Spot,
        mut on_build: Box<dyn FnMut(&BuildReport) + Send>,
    ) -> Result<(Running, BuildReport), StartError> {
        let panicked = || StartError::Watch { folder: PathBuf::new(), reason: "the first build panicked".into() };
        let working = means.clone();
        let opened =
            tokio::task::spawn_blocking(move || first_build(&working, spot)).await.map_err(|_| panicked())??;
        let First { spot, office, workshop, built: (shown, desk, first), watcher, nudges } = opened;
        let shop = Arc::new(Shop {
            board: Board::new(shown),
            guichet: OnceLock::new(),
            letterbox: workshop.letterbox.clone(),
            address: spot.address,
            communes_url: spot.communes_url,
            stop: means.stop.clone(),
        });
        shop.open(desk, &office);
        let builder = std::thread::Builder::new().name("apercu".into()).spawn({
            let (shop, office) = (shop.clone(), office.clone());
            move || {
                workshop::run(
                    &workshop,
                    &shop.board,
                    &nudges,
                    |desk| shop.open(desk, &office),
                    |report| on_build(&report),
                );
            }
        });
        let builder = builder.map_err(|source| StartError::Io { path: PathBuf::new(), source })?;
        let paris = TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC);
        let digest = office.digest(&shop.address, paris);
        let delivery = office.deliver(digest, Arc::new(Default::default), Arc::new(Timestamp::now));
        let works = Mutex::new(Some(Works { watcher, builder, delivery }));
        Ok((Running { router: router(shop), office, works }, first))
    }

    /// All that it answers.
    pub(super) fn router(&self) -> Router {
        self.router.clone()
    }

    /// A form may have been sent: its mails are to be written before this is closed.
    pub(super) fn received(&self) {
        self.office.watch().duties.news(Duty::Mail);
    }

    /// Whether mails are still to be written.
    pub(super) fn is_writing(&self) -> bool {
        let now = Timestamp::now();
        self.office.watch().duties.next(&[Duty::Mail], now).is_some_and(|due| due <= now)
    }

    /// Ends the delivery, after the mail in hand.
    pub(super) async fn rest(&self) {
        let delivery = self.works().as_mut().and_then(|works| works.delivery.take());
        if let Some(delivery) = delivery {
            delivery.stop().await;
        }
    }

    /// Ends all that works: nothing else holds the data folder then but who is being answered.
    pub(super) async fn stop(&self) {
        self.rest().await;
        let works = self.works().take();
        let Some(Works { watcher, builder, .. }) = works else { return };
        // The builder ends when nobody watches any more, after the build in hand.
        let _ = tokio::task::spawn_blocking(move || {
            drop(watcher);
            builder.join()
        })
        .await;
    }

    fn works(&self) -> std::sync::MutexGuard<'_, Option<Works>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the first build leaves.
struct First {
    spot: Spot,
    office: Office,
    workshop: Workshop,
    built: (workshop::Shown, Option<DeskContent>, BuildReport),
    watcher: Watcher,
    nudges: mpsc::Receiver<()>,
}

fn first_build(means: &Means, spot: Spot) -> Result<First, StartError> {
    let office = office(means.state.as_deref(), &spot)?;
    let workshop = Workshop {
        folder: spot.folder.clone(),
        base: means.base.clone(),
        pictures: means.pictures.clone(),
        generator: means.generator.clone(),
        letterbox: office.folder().join(LETTERBOX),
        now: means.now,
    };
    // Watched before it is read: nothing saved meanwhile is missed.
    let (nudge, nudges) = mpsc::channel();
    let watcher = workshop::watch(&workshop, nudge)
        .map_err(|error| StartError::Watch { folder: workshop.folder.clone(), reason: error.to_string() })?;
    let built = workshop.build(None);
    Ok(First { spot, office, workshop, built, watcher, nudges })
}

/// The data of the preview of a folder: the same from one run to the next, or a temporary one while another preview of it
/// runs.
fn office(state: Option<&Path>, spot: &Spot) -> Result<Office, StartError> {
    let open = |data: &Path| {
        let letterbox = data.join(LETTERBOX);
        std::fs::create_dir_all(&letterbox).map_err(|source| StartError::Io { path: letterbox.clone(), source })?;
        let outgoing = Outgoing { transport: Transport::Folder(letterbox), per_hour: None, signer: None };
        Office::open(data, (None, None, Role::Whole), outgoing, FileOptions::free(RESERVE_BYTES))
    };
    let whole = spot.folder.canonicalize().unwrap_or_else(|_| spot.folder.clone());
    let hash = blake3::hash(whole.as_os_str().as_encoded_bytes()).to_hex();
    if let Some(state) = state {
        let (data, begun) = (state.join("apercu").join(&hash[..16]), Instant::now());
        loop {
            match open(&data) {
                Ok(office) => return Ok(office),
                Err(error) if error.is_locked() && begun.elapsed() < spot.patience => std::thread::sleep(A_MOMENT),
                Err(_) => break,
            }
        }
    }
    let temporary = tempfile::tempdir().map_err(|source| StartError::Io { path: std::env::temp_dir(), source })?;
    Ok(open(temporary.path())?.keeping(temporary))
}

/// What the routes share.
pub(super) struct Shop {
    pub(super) board: Board,
    pub(super) guichet: OnceLock<(Arc<Desk>, Router)>,
    pub(super) letterbox: PathBuf,
    /// Scheme and host of the preview, for the links of its mails.
    pub(super) address: String,
    /// The page of all communes, when there are many.
    pub(super) communes_url: Option<String>,
    pub(super) stop: Stop,
}

impl Shop {
    /// Shows the guichet of a good build.
    fn open(&self, content: Option<DeskContent>, office: &Office) {
        let Some(content) = content else { return };
        match self.guichet.get() {
            Some((desk, _)) => desk.show(content),
            None => {
                let desk = Arc::new(Desk::new(
                    content,
                    DeskOptions {
                        depot: office.depot(),
                        keys: office.keys(),
                        limits: FormLimits::default(),
                        rates: None,
                        proxies: Vec::new(),
                        reserve_bytes: RESERVE_BYTES,
                        address: Some(self.address.clone()),
                        confirms_mailboxes: false,
                        agents: Arc::default(),
                        clock: Arc::new(Timestamp::now),
                        watch: office.watch(),
                        commune: None,
                    },
                ));
                let routes = routes::router(desk.clone(), &Outside::default(), &[]);
                // Only this thread opens it.
                let _ = self.guichet.set((desk, routes));
            }
        }
    }
}

fn router(shop: Arc<Shop>) -> Router {
    let outside = Outside::default();
    let tools = tools::router(shop.clone());
    let guichet = Router::new().fallback(guichet).with_state(shop.clone());
    let pages = harden(Router::new().fallback(site).with_state(shop), Policy::Site, &outside);
    let all = by_prefix(vec![("/__mulot/", tools), ("/guichet/", guichet)], pages)
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(crashed))
        .layer(axum::middleware::from_fn(only_this_machine));
    harden(all, Policy::Site, &outside)
}

async fn site(State(shop): State<Arc<Shop>>, request: Request) -> Response {
    let shown = shop.board.shown();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    if !shown.output.files.contains_key(&path)
        && let Some(file) = shown.theme.as_ref().and_then(|theme| theme_file(theme, &path))
    {
        return file;
    }
    if !shown.has_site {
        return diagnostics_page(&shop, &shown, StatusCode::SERVICE_UNAVAILABLE);
    }
    site::answer(&shown.output, request).await
}

async fn guichet(State(shop): State<Arc<Shop>>, request: Request) -> Response {
    match shop.guichet.get() {
        Some((_, routes)) => answer_of(routes.clone(), request).await,
        None => diagnostics_page(&shop, &shop.board.shown(), StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// A file of the theme, for the pages of the tools.
pub(super) fn theme_file(theme: &Theme, path: &str) -> Option<Response> {
    let (_, bytes) = theme.files().find(|(name, _)| *name == path)?;
    let kind = HeaderValue::from_static(media_type(path));
    Some(([(header::CONTENT_TYPE, kind)], Bytes::from_owner(bytes.clone())).into_response())
}

/// Folder of the mails inside the data folder.
const LETTERBOX: &str = "boite";
/// Between two tries to open what is still locked.
const A_MOMENT: Duration = Duration::from_millis(20);
