//! `mulot guichet`: the production server of one commune or of a territoire, its deliveries and its housework beside it.
//!
//! Folders are read when a guichet opens and again every hour, so that alerts come and go and a changed form is taken up; a
//! folder that has become wrong leaves what was right in place.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use super::StartError;
use super::config::HallConfig;
use super::desk::Clock;
use super::front::{Front, Hosts};
use super::hall::{self, Hall};
use super::listen::{self, Limits, ListenAddress, Listener, Stop, Stopper};
use crate::diagnostic::Diagnostic;
use crate::intake::store::{Served, ServedPart, Store};
use crate::model::output::Pictures;
use crate::pipeline::Base;

pub use super::hall::Census;

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

/// Reads the configuration again.
pub type Reread = Arc<dyn Fn() -> Result<HallConfig, Vec<Diagnostic>> + Send + Sync>;

/// A production server, ready to serve.
pub struct Guichet {
    /// `None` when it answers nobody.
    listener: Option<Listener>,
    address: ListenAddress,
    metrics: Option<Listener>,
    front: Option<Front>,
    /// The hosts of that door, replaced with the configuration.
    hosts: Hosts,
    limits: Limits,
    hall: Arc<Hall>,
    /// The one commune, when there is one.
    only: Option<Arc<hall::Awake>>,
    clock: Clock,
    reread: Option<Reread>,
    stopper: Stopper,
    stop: Stop,
    /// Says to other processes that its communes are served.
    _served: Option<Served>,
}

/// Has a running server read its configuration again.
#[derive(Clone)]
pub struct Reload {
    hall: Arc<Hall>,
    hosts: Hosts,
    reread: Option<Reread>,
}

/// A commune alone holds the lock of its database; of many, most are asleep. On a server, several instances are meant to be.
fn served(config: &HallConfig) -> Result<Option<Served>, StartError> {
    if config.territoire.is_none() {
        return Ok(None);
    }
    let parts = [(config.role.receives(), ServedPart::Receiving), (config.role.delivers(), ServedPart::Delivering)];
    let is_alone = config.common.base.is_none();
    let parts: Vec<ServedPart> =
        parts.into_iter().filter(|(does, _)| *does && is_alone).map(|(_, part)| part).collect();
    Ok(Some(Store::serve_under(&config.common.data, &parts)?))
}

impl Guichet {
    /// Reads the configuration and listens; the guichet of one commune is opened, those of a territoire wait to be needed.
    ///
    /// # Errors
    /// [`StartError`] for whatever cannot be used; nothing was promised to anybody.
    pub async fn build(config: impl Into<HallConfig>, means: Means) -> Result<Guichet, StartError> {
        Self::build_on(config, means, None).await
    }

    /// The same on a socket that is already listened to, when one is given.
    ///
    /// # Errors
    /// As [`Guichet::build`].
    pub async fn build_on(
        config: impl Into<HallConfig>,
        means: Means,
        listener: Option<Listener>,
    ) -> Result<Guichet, StartError> {
        let config = config.into();
        let listener = match listener {
            Some(listener) => Some(listener),
            None if config.role.receives() => Some(Listener::bind(&config.common.listen).await?),
            None => None,
        };
        let metrics = match &config.common.metrics {
            Some(address) => Some(Listener::bind(address).await?),
            None => None,
        };
        let (limits, clock, address) =
            (config.common.limits.clone(), means.clock.clone(), config.common.listen.clone());
        let https = config.common.https.clone().filter(|_| config.role.receives());
        let (data, hsts_seconds) = (config.common.data.clone(), config.common.hsts_seconds);
        let served = served(&config)?;
        let hall = tokio::task::spawn_blocking(move || Hall::new(config, means)).await;
        let hall = match hall {
            Ok(hall) => hall.map_err(StartError::Content)?,
            Err(_) => return Err(StartError::Content(Vec::new())),
        };
        let hosts = Hosts::new(hall.hosted());
        let front = match https {
            Some(https) => Some(Front::open(https, hosts.clone(), &data, hsts_seconds, clock.clone()).await?),
            None => None,
        };
        let only = hall.open_only().await?;
        let (stopper, stop) = listen::stop();
        Ok(Guichet {
            listener,
            address,
            metrics,
            front,
            hosts,
            limits,
            hall,
            only,
            clock,
            reread: None,
            stopper,
            stop,
            _served: served,
        })
    }

    /// The same, reading its configuration again when asked to ([`Reload`], SIGHUP) and every hour.
    #[must_use]
    pub fn rereading(mut self, reread: Reread) -> Self {
        self.reread = Some(reread);
        self
    }

    /// What has it read its configuration again.
    pub fn reload(&self) -> Reload {
        Reload { hall: self.hall.clone(), hosts: self.hosts.clone(), reread: self.reread.clone() }
    }

    /// The address, with the port the system chose; the one of the settings when it answers nobody.
    pub fn local_addr(&self) -> &ListenAddress {
        self.listener.as_ref().map_or(&self.address, Listener::local_addr)
    }

    /// The door without anything in front, when asked for.
    pub fn front(&self) -> Option<&Front> {
        self.front.as_ref()
    }

    /// Where measures are given, when asked for.
    pub fn metrics_addr(&self) -> Option<&ListenAddress> {
        self.metrics.as_ref().map(Listener::local_addr)
    }

    /// How many communes there are, and how they stand.
    pub fn census(&self) -> Census {
        self.hall.census()
    }

    /// Why some communes are reached by nobody: their address is another's, too.
    pub fn unreached(&self) -> Vec<Diagnostic> {
        self.hall.told()
    }

    /// Hosts that are answered for, in order.
    pub fn hosts(&self) -> Vec<String> {
        self.hall.hosts()
    }

    /// Slugs of the forms of the one commune that take requests; `None` when there are many communes.
    pub fn open_forms(&self) -> Option<Vec<String>> {
        Some(self.only.as_ref()?.open_forms())
    }

    /// What there is to say of the one commune's folder: why a form stays closed, among others.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        self.only.as_ref().map_or(&[], |only| only.diagnostics())
    }

    /// Mailboxes of the one commune that must still be confirmed, and how many forms wait for that; names are half hidden
    /// unless they are `whole`.
    ///
    /// # Errors
    /// [`StartError`] when the store cannot be read.
    pub fn waiting_mailboxes(&self, whole: bool) -> Result<(Vec<String>, usize), StartError> {
        self.only.as_ref().map_or(Ok((Vec::new(), 0)), |only| only.waiting_mailboxes(whole))
    }

    /// The DNS name of the key that signs the mails of the one commune, when they are signed.
    pub fn signed_as(&self) -> Option<&str> {
        self.only.as_ref()?.signed_as()
    }

    /// Where the mails of the one commune go: a host and port, or a folder.
    pub fn destination(&self) -> Option<String> {
        self.only.as_ref()?.destination()
    }

    /// All that it answers, for tests without a socket.
    pub fn router(&self) -> Router {
        self.hall.router()
    }

    /// Serves until `signal` comes: then nothing more is accepted, what is in flight is finished, the mail in hand is sent.
    pub async fn run_until_stopped(self, signal: impl Future<Output = ()>) {
        let communes = self.hall.census().communes;
        let address = self.listener.is_some().then(|| self.local_addr().to_string());
        tracing::info!(event = "started", address = address.as_deref(), communes, "the guichet is open");
        let reload = self.reload();
        // Held until here for what was asked at start; from now on the hall alone says what is open.
        drop(self.only);
        let rounds = tokio::spawn(hall::rounds(self.hall.clone(), self.stop.clone()));
        let rereading = tokio::spawn(reread(reload, self.stop.clone()));
        if let Some(listener) = self.metrics {
            let router = self.hall.metrics(self.clock.clone());
            tokio::spawn(listen::serve(listener, router, self.limits.clone(), self.stop.clone()));
        }
        let router = self.hall.router();
        let front =
            self.front.map(|front| tokio::spawn(front.serve(router.clone(), self.limits.clone(), self.stop.clone())));
        let web = self.listener.map(|listener| tokio::spawn(listen::serve(listener, router, self.limits, self.stop)));
        signal.await;
        tracing::info!(event = "stopping", "the guichet takes no more requests");
        self.stopper.stop();
        for door in [web, front].into_iter().flatten() {
            match door.await {
                Ok(0) => {}
                Ok(cut) => tracing::warn!(event = "cut", connections = cut, "connections were cut after the delay"),
                Err(_) => tracing::error!(event = "web.panic", "the accept loop panicked"),
            }
        }
        rereading.abort();
        let _ = rounds.await;
        self.hall.stop().await;
        tracing::info!(event = "stopped", "the guichet is closed");
    }
}

impl Reload {
    /// How many communes there are, and how they stand.
    pub fn census(&self) -> Census {
        self.hall.census()
    }

    /// Reads the configuration again and takes it, or leaves the one in force as it is.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn now(&self) -> Result<(), Vec<Diagnostic>> {
        let Some(reread) = &self.reread else { return Ok(()) };
        let mut config = reread()?;
        config.role = self.hall.config().role;
        self.hall.reload(config)?;
        self.hosts.set(self.hall.hosted());
        Ok(())
    }
}

/// Reads the configuration again at each SIGHUP, and every hour.
async fn reread(reload: Reload, mut stop: Stop) {
    if reload.reread.is_none() {
        return;
    }
    let mut hangups = Hangups::new();
    loop {
        tokio::select! {
            () = stop.asked() => return,
            () = hangups.next() => {}
            () = tokio::time::sleep(HOUR) => {}
        }
        let reload = reload.clone();
        let done = tokio::task::spawn_blocking(move || reload.now()).await;
        if let Ok(Err(told)) = done {
            let first = told.first().map(|one| format!("{} : {}", one.place, one.message)).unwrap_or_default();
            tracing::error!(
                event = "reload.refused",
                mistakes = told.len(),
                first,
                "the configuration has mistakes; the one in force stays"
            );
        }
    }
}

/// SIGHUP, as often as it comes.
struct Hangups(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

impl Hangups {
    #[cfg(unix)]
    fn new() -> Self {
        Hangups(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Hangups()
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

const HOUR: Duration = Duration::from_secs(3600);
