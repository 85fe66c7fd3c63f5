//! The back of a guichet: its data folder opened, its worker, its housework. What stands beside the web server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use super::desk::Clock;
use super::watch::Watch;
use crate::intake::accept::{AcceptError, Depot};
use crate::intake::deliver::Worker;
use crate::intake::digest::{self, Digest};
use crate::intake::files::{FileOptions, FileStore, tidy};
use crate::intake::links::Links;
use crate::intake::mailer::{Mailer, Signer, Transport};
use crate::intake::store::{Base, Store, StoreOptions};
use crate::intake::token::Keys;

/// Tells which forms want a file of their requests each morning; the folder may change.
pub(super) type Daily = Arc<dyn Fn() -> BTreeSet<String> + Send + Sync>;

/// How mails go out.
pub(super) struct Outgoing {
    /// Where they go.
    pub(super) transport: Transport,
    /// Signs them, when the commune does.
    pub(super) signer: Option<Signer>,
    /// How many in an hour, at most.
    pub(super) per_hour: Option<u32>,
}

/// A data folder in use; clones share it.
#[derive(Clone)]
pub(super) struct Office {
    folder: PathBuf,
    depot: Depot,
    keys: Keys,
    mailer: Arc<Mailer>,
    watch: Arc<Watch>,
    _temporary: Option<Arc<tempfile::TempDir>>,
}

impl Office {
    /// Opens the data folder, which is made if needed, and the way out; `key_file` when the key is not in that folder, `base` when
    /// the database is not.
    pub(super) fn open(
        folder: &Path,
        (key_file, base): (Option<PathBuf>, Option<Base>),
        outgoing: Outgoing,
        files: FileOptions,
    ) -> Result<Self, StartError> {
        let per_hour = outgoing.per_hour;
        let options =
            StoreOptions { key_file, base, min_free_bytes: files.min_free_bytes, per_hour, ..StoreOptions::default() };
        let mailer = Arc::new(Mailer::new(outgoing.transport)?.signing(outgoing.signer));
        let store = Store::open(folder, options)?;
        let files = FileStore::open_with(folder, store.seal(), files)?;
        let keys = store.keys().clone();
        let watch = Watch::new(store.key_file().to_owned());
        Ok(Office { folder: folder.to_owned(), depot: Depot { store, files }, keys, mailer, watch, _temporary: None })
    }

    /// The same, keeping a temporary folder as long as it lives.
    pub(super) fn keeping(mut self, temporary: tempfile::TempDir) -> Self {
        self._temporary = Some(Arc::new(temporary));
        self
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn depot(&self) -> Depot {
        self.depot.clone()
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// What the digest is made with, for a guichet reached at `address`.
    pub(super) fn digest(&self, address: &str, zone: TimeZone) -> Digest {
        Digest { links: Links::new(self.keys.clone(), address), zone, daily: BTreeSet::new() }
    }

    pub(super) fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }

    pub(super) fn mailer(&self) -> Arc<Mailer> {
        self.mailer.clone()
    }

    pub(super) fn destination(&self) -> String {
        self.mailer.destination()
    }

    /// Starts the delivery, the morning's digest and the housework.
    pub(super) fn deliver(&self, digest: Digest, daily: Daily, clock: Clock) -> Delivery {
        let (stop, stopping) = watch::channel(false);
        let worker =
            Worker { store: self.depot.store.clone(), mailer: self.mailer.clone(), files: self.depot.files.clone() };
        let delivering = tokio::spawn({
            let stopping = stopping.clone();
            let delivering = self.watch.delivering();
            let clock = clock.clone();
            async move {
                worker.run(stopping, move || clock()).await;
                drop(delivering);
            }
        });
        let mornings = tokio::spawn(mornings(self.depot.store.clone(), (digest, daily), clock, stopping.clone()));
        let housework = tokio::spawn(housework(self.depot.clone(), stopping));
        Delivery { stop, delivering, mornings, housework }
    }
}

/// What works beside the web server.
pub(super) struct Delivery {
    stop: watch::Sender<bool>,
    delivering: JoinHandle<()>,
    mornings: JoinHandle<()>,
    housework: JoinHandle<()>,
}

impl Delivery {
    /// Ends it after the mail in hand.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for task in [self.delivering, self.mornings, self.housework] {
            if task.await.is_err_and(|error| error.is_panic()) {
                tracing::error!(event = "worker.panic", "a task beside the server panicked");
            }
        }
    }
}

/// Looks every minute whether this morning's digest is to be written.
async fn mornings(
    store: Store,
    (mut digest, daily): (Digest, Daily),
    clock: Clock,
    mut stopping: watch::Receiver<bool>,
) {
    while !*stopping.borrow_and_update() {
        digest.daily = daily();
        match digest::step(&store, &digest, clock()).await {
            Ok(true) => tracing::info!(event = "digest", "the morning's digest is written"),
            Ok(false) => {}
            Err(error) => {
                let reason = AcceptError::from(error).as_str();
                tracing::error!(event = "digest.failed", reason, "the morning's digest cannot be written");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(MINUTE) => {}
            changed = stopping.changed() => if changed.is_err() { return },
        }
    }
}

/// Erases what is due and sweeps drafts, at start then every hour.
async fn housework(depot: Depot, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow_and_update() {
        let depot = depot.clone();
        let done = tokio::task::spawn_blocking(move || tidy(&depot.store, &depot.files, &Zoned::now())).await;
        match done {
            Ok(Ok(tidied)) if tidied.missing.is_empty() => {
                tracing::debug!(event = "tidied", drafts = tidied.drafts, orphans = tidied.orphans, "housework done");
            }
            Ok(Ok(tidied)) => {
                tracing::error!(event = "files.missing", files = tidied.missing.len(), "the disk has lost files");
            }
            Ok(Err(error)) => {
                tracing::error!(event = "tidy.failed", reason = super::receive::trouble(&error), "housework failed");
            }
            Err(_) => tracing::error!(event = "tidy.failed", reason = "panic", "housework failed"),
        }
        tokio::select! {
            () = tokio::time::sleep(HOUR) => {}
            changed = stopping.changed() => if changed.is_err() { return },
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
