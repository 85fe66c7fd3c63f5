//! `mulot serve`: the folder as a site, with the real guichet inside, on this machine only.
//!
//! Mails land in a letterbox page and nothing leaves the machine; every save of a file rebuilds the site and reloads the
//! browser. Nothing is ever written in the author's folder. [`TerritoirePreview`] does it for all the communes of a territoire.

mod communes;
mod flow;
mod shop;
mod territoire;
mod tools;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use self::shop::{Running, Spot};
pub use self::territoire::{Bounds, TerritoirePreview};
use super::StartError;
use super::host::{is_loopback, name_under_localhost};
use super::listen::{self, Limits, ListenAddress, Listener, Stop, Stopper};
use super::workshop::BuildReport;
use crate::model::output::Pictures;
use crate::pipeline::Base;

/// What a preview is asked.
pub struct PreviewConfig {
    /// The commune's folder, or a territoire's.
    pub folder: PathBuf,
    /// Where to listen; port 0 lets the system choose.
    pub listen: ListenAddress,
    /// Folder of the user's caches, under which the guichet of the preview keeps its data; a temporary one when `None`.
    pub state: Option<PathBuf>,
    /// The layers below the commune.
    pub base: Arc<Base>,
    /// Where pictures are made ready.
    pub pictures: Arc<dyn Pictures + Send + Sync>,
    /// « Mulot 0.1.0 ».
    pub generator: String,
    /// The instant to build for, when it is not now.
    pub now: Option<Timestamp>,
    /// How long strangers may hold.
    pub limits: Limits,
    /// Told after every build but the first of a commune that is shown alone.
    pub told: Arc<dyn Fn(News<'_>) + Send + Sync>,
}

/// What becomes of a commune's preview.
pub enum News<'a> {
    /// Its folder, and what a build did.
    Built(&'a Path, &'a BuildReport),
    /// Its folder, and why it cannot be shown at all.
    Failed(&'a Path, &'a StartError),
}

/// What every commune of a preview is built and shown with.
struct Means {
    state: Option<PathBuf>,
    base: Arc<Base>,
    pictures: Arc<dyn Pictures + Send + Sync>,
    generator: String,
    now: Option<Timestamp>,
    stop: Stop,
}

/// A preview, ready to serve.
pub struct Preview {
    listener: Listener,
    limits: Limits,
    first: BuildReport,
    running: Running,
    stopper: Stopper,
    stop: Stop,
}

impl Preview {
    /// Builds the folder once, listens, and starts watching. A folder that cannot be built is shown as its diagnostics.
    ///
    /// # Errors
    /// [`StartError`] when the address is taken, the data folder cannot be used or the folder not be watched.
    pub async fn build(config: PreviewConfig) -> Result<Preview, StartError> {
        let listener = Listener::bind(&config.listen).await?;
        let (stopper, stop) = listen::stop();
        let spot = Spot {
            folder: config.folder.clone(),
            address: format!("http://{}", listener.local_addr()),
            communes_url: None,
            patience: Duration::ZERO,
        };
        let limits = config.limits.clone();
        let (folder, told) = (config.folder.clone(), config.told.clone());
        let on_build = Box::new(move |report: &BuildReport| told(News::Built(&folder, report)));
        let means = Arc::new(Means::of(config, stop.clone()));
        let (running, first) = Running::open(&means, spot, on_build).await?;
        Ok(Preview { listener, limits, first, running, stopper, stop })
    }

    /// The address, with the port the system chose.
    pub fn local_addr(&self) -> &ListenAddress {
        self.listener.local_addr()
    }

    /// What the first build did.
    pub fn first_build(&self) -> &BuildReport {
        &self.first
    }

    /// All that it answers, for tests without a socket.
    pub fn router(&self) -> Router {
        self.running.router()
    }

    /// Serves until `signal` comes, then finishes what is in flight.
    pub async fn run_until_stopped(self, signal: impl Future<Output = ()>) {
        let router = self.running.router();
        serve((self.listener, router, self.limits), (self.stopper, self.stop), signal).await;
        self.running.rest().await;
    }
}

impl Means {
    fn of(config: PreviewConfig, stop: Stop) -> Means {
        let PreviewConfig { state, base, pictures, generator, now, .. } = config;
        Means { state, base, pictures, generator, now, stop }
    }
}

/// Serves until `signal` comes, then finishes what is in flight.
async fn serve(
    (listener, router, limits): (Listener, Router, Limits),
    (stopper, stop): (Stopper, Stop),
    signal: impl Future<Output = ()>,
) {
    let web = listen::serve(listener, router, limits, stop);
    let signal = async {
        signal.await;
        stopper.stop();
        std::future::pending::<()>().await
    };
    tokio::select! {
        _ = web => {}
        () = signal => {}
    }
}

/// A page of another site cannot have itself read through a name that leads here (DNS rebinding).
async fn only_this_machine(request: Request, next: Next) -> Response {
    if is_loopback(&request) || name_under_localhost(&request).is_some() {
        return next.run(request).await;
    }
    let words = "L'aperçu ne répond qu'à cette machine : ouvrez http://localhost suivi du port.\n";
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    (StatusCode::MISDIRECTED_REQUEST, [(header::CONTENT_TYPE, text)], words).into_response()
}
