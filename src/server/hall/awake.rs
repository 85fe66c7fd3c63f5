//! The guichet of one commune, open: its content, its store, its routes, and what works beside them.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::Notify;

use super::settings::Settings;
use super::source::{Content, Source};
use super::tasks;
use crate::diagnostic::Diagnostic;
use crate::intake::bounces::ImapConfig;
use crate::intake::mailer::Signer;
use crate::model::output::Output;
use crate::publish::is_ahead;
use crate::server::agent::Agents;
use crate::server::config::Role;
use crate::server::desk::{Clock, Desk, DeskOptions, reading};
use crate::server::duties::Duty;
use crate::server::guichet::Means;
use crate::server::headers::{Policy, harden};
use crate::server::listen::{self, Stopper};
use crate::server::office::{Delivery, Office, Outgoing};
use crate::server::rate::Rates;
use crate::server::recu::half_hidden;
use crate::server::{StartError, boite, by_prefix, routes, site};

/// An open guichet.
pub(in crate::server) struct Awake {
    pub(super) router: Router,
    pub(super) desk: Arc<Desk>,
    pub(super) office: Office,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) signed_as: Option<String>,
    source: Arc<Source>,
    address: String,
    zone: TimeZone,
    bounces: Option<ImapConfig>,
    role: Role,
    duties: Vec<Duty>,
    /// Says that the folder is to be read again now.
    refresh: Arc<Notify>,
    tasks: Mutex<Option<Tasks>>,
    /// Given back when the guichet is closed.
    _slot: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// What works beside the routes.
struct Tasks {
    stopper: Stopper,
    delivery: Option<Delivery>,
    joins: Vec<tokio::task::JoinHandle<()>>,
}

/// What outlives an open guichet: floods and wrong codes are not forgotten because it closes for an hour.
#[derive(Clone)]
pub(super) struct Memory {
    pub(super) rates: Arc<Rates>,
    pub(super) agents: Arc<Agents>,
}

impl Awake {
    /// Reads the commune's folder and opens its data folder; nothing works yet.
    ///
    /// # Errors
    /// [`StartError`] for whatever cannot be used; nothing was promised to anybody.
    pub(super) async fn open(settings: &Settings, means: &Arc<Means>, memory: &Memory) -> Result<Awake, StartError> {
        let (config, role) = (settings.config(), settings.hall.role);
        let source = Source::of(settings, config.folder.clone(), means);
        let Content { content, files, diagnostics } = blocking(&source, Source::content).await?;
        let commune = content.site().commune.clone();
        let signed_as = config.signer.as_ref().map(Signer::record_name);
        let outgoing = Outgoing { transport: config.transport, per_hour: config.per_hour, signer: config.signer };
        let (data, key, base) = (config.data, config.key_file, config.base);
        let files_options = config.files.options(config.reserve_bytes);
        let office =
            blocking(&source, move |_| Office::open(&data, (key, base, role), outgoing, files_options)).await?;
        config.form_limits.compare(content.site().forms.values());
        let options = DeskOptions {
            depot: office.depot(),
            keys: office.keys(),
            limits: config.form_limits,
            rates: Some(memory.rates.clone()),
            proxies: config.proxies,
            reserve_bytes: config.reserve_bytes,
            address: None,
            confirms_mailboxes: config.confirms_mailboxes,
            agents: memory.agents.clone(),
            clock: means.clock.clone(),
            watch: office.watch(),
            commune: settings.territoire.as_ref().map(|_| settings.name.clone()),
        };
        let desk = Arc::new(Desk::new(content, options));
        let looking = desk.clone();
        reading(move || looking.look_at_mailboxes()).await?;
        let (depot, now) = (office.depot(), (means.clock)());
        let ahead = reading(move || Ok(depot.store.latest_received()?.filter(|at| is_ahead(*at, now)))).await?;
        if let Some(at) = ahead {
            tracing::error!(
                event = "clock",
                commune = settings.name,
                latest = %at,
                "a request was accepted later than now: the clock of this machine is behind, or was ahead"
            );
        }
        // What opening read of the database is not needed again.
        office.depot().store.rest();
        let outside = &settings.known.outside;
        let guichet = routes::router(desk.clone(), outside, &settings.known.trusted);
        let rest = harden(own_files(files, settings.known.home.clone()), Policy::Site, outside);
        let router = by_prefix(vec![("/guichet/", guichet)], rest)
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(crate::server::answer::crashed));
        let router = harden(router, Policy::Site, outside);
        let mut duties = Vec::new();
        if role.delivers() {
            duties.extend([Duty::Mail, Duty::Digest, Duty::Housework, Duty::Mailboxes, Duty::Quarantine]);
            duties.extend(config.bounces.as_ref().map(|_| Duty::Bounces));
        }
        Ok(Awake {
            router,
            desk,
            office,
            diagnostics,
            signed_as,
            source,
            address: commune.guichet_address().to_owned(),
            zone: TimeZone::get(&commune.fuseau).unwrap_or(TimeZone::UTC),
            bounces: config.bounces,
            role,
            duties,
            refresh: Arc::default(),
            tasks: Mutex::default(),
            _slot: None,
        })
    }

    /// The same, keeping its place among the open ones as long as it lives.
    pub(super) fn at(mut self, slot: Option<tokio::sync::OwnedSemaphorePermit>) -> Self {
        self._slot = slot;
        self
    }

    /// Starts what works beside the routes.
    pub(super) fn start(&self) {
        let (stopper, stop) = listen::stop();
        let clock = self.source.means.clock.clone();
        let digest = self.office.digest(&self.address, self.zone.clone());
        let desk = self.desk.clone();
        let delivery = self.office.deliver(digest, Arc::new(move || desk.daily_forms()), clock.clone());
        let mailer = self.office.mailer();
        let mut joins = vec![
            tokio::spawn(boite::ask_until_stopped(self.desk.clone(), mailer.clone(), stop.clone())),
            tokio::spawn(tasks::refresh(self.source.clone(), self.desk.clone(), self.refresh.clone(), stop.clone())),
        ];
        match mailer {
            Some(mailer) => {
                let told = tasks::tell(self.desk.clone(), self.office.clone(), mailer, stop.clone());
                joins.push(tokio::spawn(told));
                if let Some(bounces) = self.bounces.clone() {
                    joins.push(tokio::spawn(tasks::listen_to_bounces(bounces, self.office.clone(), clock, stop)));
                }
            }
            None => joins.push(tokio::spawn(tasks::weigh(self.office.clone(), stop))),
        }
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Some(Tasks { stopper, delivery, joins });
    }

    /// Ends what works beside the routes, after the mail in hand.
    pub(super) async fn stop(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(tasks) = tasks else { return };
        tasks.stopper.stop();
        for join in tasks.joins {
            // They only wait; a code or a notice under way is sent again at the next start.
            join.abort();
            let _ = join.await;
        }
        if let Some(delivery) = tasks.delivery {
            delivery.stop().await;
        }
    }

    /// When something is to be done without a visitor: now when something is under way, `None` when nothing is foreseen.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        self.office.watch().duties.next(&self.duties, now)
    }

    /// Has the folder read again, over what its territoire now says.
    pub(super) fn refresh(&self, settings: &Settings) {
        *self.source.territoire.write().unwrap_or_else(PoisonError::into_inner) = settings.territoire.clone();
        self.refresh.notify_one();
    }

    /// Whether the folder that those settings name can be read as it now is.
    pub(super) async fn would_open(&self, settings: &Settings) -> bool {
        let source = Source::of(settings, settings.config().folder, &self.source.means);
        blocking(&source, |source| source.content().map(|_| ())).await.is_ok()
    }

    /// Something was received: who delivers must look once more before the guichet closes.
    pub(super) fn received(&self) {
        self.office.watch().duties.news(Duty::Mail);
    }

    /// Another process wrote in the database.
    pub(super) fn look_again(&self) {
        if self.role == Role::Back {
            self.received();
            let watch = self.office.watch();
            watch.duties.news(Duty::Quarantine);
            watch.look_again();
        }
        self.office.depot().store.wake().notify_one();
        self.desk.ask_again();
    }

    /// Gives back the memory that its database does not use.
    pub(super) fn rest(&self) {
        self.office.depot().store.rest();
    }

    /// Slugs of the forms that take requests.
    pub(in crate::server) fn open_forms(&self) -> Vec<String> {
        self.desk.content().site().forms.keys().cloned().collect()
    }

    /// Mailboxes of the folder that must still be confirmed, and how many forms wait for that; names are half hidden unless
    /// they are `whole`.
    pub(in crate::server) fn waiting_mailboxes(&self, whole: bool) -> Result<(Vec<String>, usize), StartError> {
        let waiting = self.desk.waiting_mailboxes()?;
        let forms = self.desk.content().site().forms.values().filter(|form| self.desk.waits_for_mailbox(form)).count();
        let name = |address: &str| if whole { address.to_owned() } else { half_hidden(address) };
        Ok((waiting.iter().map(|state| name(&state.address)).collect(), forms))
    }

    /// What there is to say of the folder.
    pub(in crate::server) fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The DNS name of the key that signs mails.
    pub(in crate::server) fn signed_as(&self) -> Option<&str> {
        self.signed_as.as_deref()
    }

    /// Where mails go.
    pub(in crate::server) fn destination(&self) -> Option<String> {
        self.office.destination()
    }

    /// What is measured of it.
    pub(in crate::server) fn metrics(&self, clock: Clock) -> Router {
        crate::server::watch::metrics_router(self.office.watch(), self.office.depot(), clock)
    }
}

/// Does on a thread that may wait what reads or opens folders.
pub(super) async fn blocking<T: Send + 'static>(
    source: &Arc<Source>,
    work: impl FnOnce(&Source) -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    let source = source.clone();
    let folder = source.folder.clone();
    tokio::task::spawn_blocking(move || work(&source))
        .await
        .unwrap_or_else(|_| Err(StartError::Io { path: folder, source: std::io::ErrorKind::Interrupted.into() }))
}

/// What a guichet on a host of its own serves besides its pages: styles, fonts, the blazon. Its root leads to the site.
fn own_files(files: Output, home: Option<String>) -> Router {
    let shared = Arc::new((files, home));
    Router::new().fallback(move |request: Request| {
        let shared = shared.clone();
        async move {
            match &shared.1 {
                Some(home) if request.uri().path() == "/" => {
                    (StatusCode::SEE_OTHER, [(header::LOCATION, home.as_str())]).into_response()
                }
                _ => site::answer(&shared.0, request).await,
            }
        }
    })
}
