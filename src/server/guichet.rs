//! `mulot guichet`: the production server of one commune, its delivery worker and its housework beside it.
//!
//! The commune's folder is read at start and again every hour, so that alerts come and go and a changed form is taken up; a
//! folder that has become wrong leaves what was right in place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use jiff::tz::TimeZone;

use super::answer::crashed;
use super::config::GuichetConfig;
use super::desk::{Clock, Desk, DeskContent, DeskOptions, reading};
use super::front::{Front, Hosted, Hosts};
use super::headers::{Outside, Policy, harden, origin};
use super::listen::{self, Limits, ListenAddress, Listener, Stop, Stopper};
use super::observe::observe;
use super::office::Outgoing;
use super::recu::half_hidden;
use super::watch::metrics_router;
use super::{Office, StartError, boite, by_prefix, routes, site};
use crate::diagnostic::Diagnostic;
use crate::intake::bounces::{self, ImapConfig, Strangers};
use crate::intake::mailer::Signer;
use crate::intake::notice;
use crate::intake::store::Store;
use crate::model::commune::Commune;
use crate::model::intake::Quarantined;
use crate::model::output::{Output, Pictures};
use crate::pipeline::{Base, BuildRequest, build};
use crate::render::Options;
use crate::render::guichet::Pages;

/// What the program gives besides the settings.
pub struct Means {
    /// The layers below the commune.
    pub base: Arc<Base>,
    /// Where pictures are made ready.
    pub pictures: Arc<dyn Pictures + Send + Sync>,
    /// « Mulot 0.1.0 ».
    pub generator: String,
    /// Tells the time.
    pub clock: Clock,
}

/// A production server, ready to serve.
pub struct Guichet {
    listener: Listener,
    metrics: Option<Listener>,
    front: Option<Front>,
    router: Router,
    limits: Limits,
    office: Office,
    /// Scheme and host it is reached at.
    address: String,
    zone: TimeZone,
    desk: Arc<Desk>,
    source: Arc<Source>,
    open_forms: Vec<String>,
    signed_as: Option<String>,
    bounces: Option<ImapConfig>,
    diagnostics: Vec<Diagnostic>,
    stopper: Stopper,
    stop: Stop,
}

impl Guichet {
    /// Reads the commune's folder, opens the data folder and listens.
    ///
    /// # Errors
    /// [`StartError`] for whatever cannot be used; nothing was promised to anybody.
    pub async fn build(config: GuichetConfig, means: Means) -> Result<Guichet, StartError> {
        let listener = Listener::bind(&config.listen).await?;
        let metrics = match &config.metrics {
            Some(address) => Some(Listener::bind(address).await?),
            None => None,
        };
        let source = Arc::new(Source { folder: config.folder, means });
        let built = blocking(&source, Source::content).await?;
        let commune = built.content.site().commune.clone();
        let signed_as = config.signer.as_ref().map(Signer::record_name);
        let outgoing = Outgoing { transport: config.transport, per_hour: config.per_hour, signer: config.signer };
        let office = Office::open(&config.data, config.key_file, outgoing, config.files.options(config.reserve_bytes))?;
        config.form_limits.compare(built.content.site().forms.values());
        let open_forms = built.content.site().forms.keys().cloned().collect();
        let options = DeskOptions {
            depot: office.depot(),
            keys: office.keys(),
            limits: config.form_limits,
            rates: Some(config.rates),
            proxies: config.proxies,
            reserve_bytes: config.reserve_bytes,
            address: None,
            confirms_mailboxes: config.confirms_mailboxes,
            agent_code: config.agent_code,
            clock: source.means.clock.clone(),
            watch: office.watch(),
        };
        let desk = Arc::new(Desk::new(built.content, options));
        let looking = desk.clone();
        reading(move || looking.look_at_mailboxes()).await?;
        let outside = outside(&commune, config.hsts_seconds);
        let trusted: Vec<String> =
            [&commune.domaine, &commune.guichet.adresse].into_iter().filter_map(|url| origin(url)).collect();
        let rest = match config.site {
            Some(folder) => {
                harden(site::folder(&folder).layer(axum::middleware::from_fn(observe)), Policy::Site, &outside)
            }
            None => harden(own_files(built.files, site_elsewhere(&commune)), Policy::Site, &outside),
        };
        let router = by_prefix(vec![("/guichet/", routes::router(desk.clone(), &outside, &trusted))], rest)
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(crashed));
        let router = harden(router, Policy::Site, &outside);
        let front = match config.https {
            Some(https) => {
                let hosts = Hosts::new(hosted(&commune));
                let clock = source.means.clock.clone();
                Some(Front::open(https, hosts, &config.data, config.hsts_seconds, clock).await?)
            }
            None => None,
        };
        let (stopper, stop) = listen::stop();
        let diagnostics = built.diagnostics;
        Ok(Guichet {
            listener,
            metrics,
            front,
            router,
            limits: config.limits,
            office,
            address: commune.guichet_address().to_owned(),
            zone: TimeZone::get(&commune.fuseau).unwrap_or(TimeZone::UTC),
            desk,
            source,
            open_forms,
            signed_as,
            bounces: config.bounces,
            diagnostics,
            stopper,
            stop,
        })
    }

    /// The address, with the port the system chose.
    pub fn local_addr(&self) -> &ListenAddress {
        self.listener.local_addr()
    }

    /// The door without anything in front, when asked for.
    pub fn front(&self) -> Option<&Front> {
        self.front.as_ref()
    }

    /// Where measures are given, when asked for.
    pub fn metrics_addr(&self) -> Option<&ListenAddress> {
        self.metrics.as_ref().map(Listener::local_addr)
    }

    /// Slugs of the forms that take requests.
    pub fn open_forms(&self) -> &[String] {
        &self.open_forms
    }

    /// What there is to say of the folder: why a form stays closed, among others.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Mailboxes of the folder that must still be confirmed, and how many forms wait for that; names are half hidden unless
    /// they are `whole`.
    ///
    /// # Errors
    /// [`StartError`] when the store cannot be read.
    pub fn waiting_mailboxes(&self, whole: bool) -> Result<(Vec<String>, usize), StartError> {
        let waiting = self.desk.waiting_mailboxes()?;
        let forms = self.desk.content().site().forms.values().filter(|form| self.desk.waits_for_mailbox(form)).count();
        let name = |address: &str| if whole { address.to_owned() } else { half_hidden(address) };
        Ok((waiting.iter().map(|state| name(&state.address)).collect(), forms))
    }

    /// The DNS name of the key that signs mails, when they are signed.
    pub fn signed_as(&self) -> Option<&str> {
        self.signed_as.as_deref()
    }

    /// Where mails go: a host and port, or a folder.
    pub fn destination(&self) -> String {
        self.office.destination()
    }

    /// All that it answers, for tests without a socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves until `signal` comes: then nothing more is accepted, what is in flight is finished, the mail in hand is sent.
    pub async fn run_until_stopped(self, signal: impl Future<Output = ()>) {
        tracing::info!(event = "started", address = %self.local_addr(), forms = self.open_forms.len(), "the guichet is open");
        let digest = self.office.digest(&self.address, self.zone);
        let desk = self.desk.clone();
        let daily = Arc::new(move || desk.daily_forms());
        let worker = self.office.deliver(digest, daily, self.source.means.clock.clone());
        let asking = tokio::spawn(boite::ask_until_stopped(self.desk.clone(), self.office.mailer(), self.stop.clone()));
        if let Some(bounces) = self.bounces {
            let (store, clock) = (self.office.depot().store, self.source.means.clock.clone());
            tokio::spawn(listen_to_bounces(bounces, store, clock, self.stop.clone()));
        }
        let telling = tokio::spawn(tell(self.desk.clone(), self.office.clone(), self.stop.clone()));
        if let Some(listener) = self.metrics {
            let router = metrics_router(self.office.watch(), self.office.depot(), self.source.means.clock.clone());
            tokio::spawn(listen::serve(listener, router, self.limits.clone(), self.stop.clone()));
        }
        let refreshing = tokio::spawn(refresh(self.source, self.desk, self.stop.clone()));
        let front = self
            .front
            .map(|front| tokio::spawn(front.serve(self.router.clone(), self.limits.clone(), self.stop.clone())));
        let web = tokio::spawn(listen::serve(self.listener, self.router, self.limits, self.stop));
        signal.await;
        tracing::info!(event = "stopping", "the guichet takes no more requests");
        self.stopper.stop();
        for door in [Some(web), front].into_iter().flatten() {
            match door.await {
                Ok(0) => {}
                Ok(cut) => tracing::warn!(event = "cut", connections = cut, "connections were cut after the delay"),
                Err(_) => tracing::error!(event = "web.panic", "the accept loop panicked"),
            }
        }
        // They only wait; a mail under way is sent again at the next start.
        refreshing.abort();
        telling.abort();
        asking.abort();
        worker.stop().await;
        tracing::info!(event = "stopped", "the guichet is closed");
    }
}

/// Where the content comes from.
struct Source {
    folder: PathBuf,
    means: Means,
}

/// A folder, read and ready to show.
struct Content {
    content: DeskContent,
    files: Output,
    diagnostics: Vec<Diagnostic>,
}

impl Source {
    fn content(&self) -> Result<Content, StartError> {
        let options = Options { preview: None, generator: self.means.generator.clone() };
        let pictures = &*self.means.pictures;
        let request = BuildRequest {
            folder: &self.folder,
            base: &self.means.base,
            territoire: None,
            pictures,
            now: (self.means.clock)(),
            options: options.clone(),
        };
        // Of the site, only what the guichet's own pages name: the others are served elsewhere.
        let wanted = |path: &str| path.starts_with(site::ASSETS) || path.starts_with("medias/");
        let (files, mut built) = Output::keep(wanted, |sink| build(&request, sink));
        let is_good = built.is_good();
        let (Some(site), Some(theme), true) = (built.site.take(), &built.theme, is_good) else {
            return Err(StartError::Content(built.diagnostics));
        };
        let (pages, told) = Pages::new(&site, theme, pictures, &options);
        built.diagnostics.extend(told);
        crate::diagnostic::sort(&mut built.diagnostics);
        Ok(Content { content: DeskContent::new(site, pages), files, diagnostics: built.diagnostics })
    }
}

async fn blocking<T: Send + 'static>(
    source: &Arc<Source>,
    work: impl FnOnce(&Source) -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    let source = source.clone();
    let folder = source.folder.clone();
    tokio::task::spawn_blocking(move || work(&source))
        .await
        .unwrap_or_else(|_| Err(StartError::Io { path: folder, source: std::io::ErrorKind::Interrupted.into() }))
}

/// Reads the folder again every hour.
async fn refresh(source: Arc<Source>, desk: Arc<Desk>, mut stop: Stop) {
    loop {
        tokio::select! {
            () = stop.asked() => return,
            () = tokio::time::sleep(HOUR) => {}
        }
        match blocking(&source, Source::content).await {
            Ok(built) => {
                desk.show(built.content);
                let looking = desk.clone();
                if let Err(error) = reading(move || looking.look_at_mailboxes()).await {
                    tracing::error!(event = "mailbox.failed", error.reason = %error, "mailboxes could not be looked at");
                }
                desk.mailbox_due.notify_one();
            }
            Err(StartError::Content(told)) => {
                let errors = told.iter().filter(|one| one.severity == crate::diagnostic::Severity::Error).count();
                tracing::warn!(
                    event = "content.refused",
                    errors,
                    "the folder has errors; what was right stays in place"
                );
            }
            Err(_) => {
                tracing::warn!(event = "content.refused", "the folder cannot be read; what was right stays in place")
            }
        }
    }
}

/// Tells the mairie of what goes to quarantine, at once; what it could not be told, later and later.
async fn tell(desk: Arc<Desk>, office: Office, mut stop: Stop) {
    let (watch, store, mailer) = (office.watch(), office.depot().store, office.mailer());
    let mut pause = TELL_AGAIN;
    loop {
        let (issuer, boxes, now) = desk.mailboxes();
        let links = desk.links(&desk.content());
        let recipients = |one: &Quarantined| notice::mailboxes_of(&store, &boxes, one);
        let is_refused = match notice::tell(&store, &mailer, (&issuer, &links), recipients, &now).await {
            Ok(told) => told.refused > 0,
            Err(error) => {
                tracing::error!(event = "quarantine.failed", error.reason = %error, "the mairie could not be told");
                true
            }
        };
        pause = if is_refused { (pause * 2).min(HOUR) } else { TELL_AGAIN };
        tokio::select! {
            () = stop.asked() => return,
            // A flood is no reason to try a server that refuses more often.
            () = watch.suspect(), if !is_refused => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Reads the mailbox of reports, now and then; one that cannot be read keeps nothing else from working.
async fn listen_to_bounces(config: ImapConfig, store: Store, clock: Clock, mut stop: Stop) {
    let (mut strangers, mut pause) = (Strangers::default(), BOUNCES_AGAIN);
    loop {
        let looked = tokio::select! {
            () = stop.asked() => return,
            looked = bounces::look(&config, &store, &mut strangers, clock()) => looked,
        };
        match looked {
            Ok(looked) => {
                pause = BOUNCES_AGAIN;
                if looked.ours > 0 {
                    let (ours, failed) = (looked.ours, looked.failed);
                    tracing::info!(event = "bounces", ours, failed, "servers report what they could not deliver");
                }
            }
            Err(error) => {
                pause = (pause * 2).min(HOUR);
                tracing::warn!(event = "bounces.failed", error.reason = %error, "the mailbox of reports cannot be read");
            }
        }
        tokio::select! {
            () = stop.asked() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
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

/// Address of the site, when the guichet is on another host.
fn site_elsewhere(commune: &Commune) -> Option<String> {
    let elsewhere = !commune.guichet.adresse.is_empty() && !commune.domaine.is_empty();
    elsewhere.then(|| format!("{}/", commune.domaine.trim_end_matches('/')))
}

/// The hosts of the site and of a guichet that has one of its own.
fn hosted(commune: &Commune) -> Vec<Hosted> {
    let site = Hosted::of([commune.domaine.as_str()]);
    let guichet = Hosted::of([commune.guichet.adresse.as_str()]).filter(|one| site.as_ref() != Some(one));
    site.into_iter().chain(guichet).collect()
}

fn outside(commune: &Commune, hsts_seconds: u64) -> Outside {
    let elsewhere = &commune.guichet.adresse;
    let public = if elsewhere.is_empty() { &commune.domaine } else { elsewhere };
    Outside { https: public.starts_with("https://"), guichet_origin: origin(elsewhere), hsts_seconds }
}

/// Between two looks at what the mairie was not told yet.
const TELL_AGAIN: Duration = Duration::from_secs(300);
/// Between two looks at the mailbox of reports.
const BOUNCES_AGAIN: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);
