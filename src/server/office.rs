//! The back of a guichet: its data folder opened, its worker, its housework. What stands beside the web server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use super::config::Role;
use super::desk::Clock;
use super::duties::Duty;
use super::watch::Watch;
use crate::intake::accept::{AcceptError, Depot};
use crate::intake::deliver::{Turn, Worker};
use crate::intake::digest::{self, Digest};
use crate::intake::files::{FileError, FileOptions, FileStore, tidy};
use crate::intake::links::Links;
use crate::intake::mailer::{Mailer, Signer, Transport};
use crate::intake::store::{Access, Base, Store, StoreOptions};
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
    /// `None` in a process that sends nothing.
    mailer: Option<Arc<Mailer>>,
    watch: Arc<Watch>,
    _temporary: Option<Arc<tempfile::TempDir>>,
}

impl Office {
    /// Opens the data folder, which is made if needed, and the way out; `key_file` when the key is not in that folder, `base`
    /// when the database is not. Without deliveries there is no way out.
    pub(super) fn open(
        folder: &Path,
        (key_file, base, role): (Option<PathBuf>, Option<Base>, Role),
        outgoing: Outgoing,
        files: FileOptions,
    ) -> Result<Self, StartError> {
        let per_hour = outgoing.per_hour;
        let access = match role {
            Role::Whole => Access::Serve,
            Role::Front => Access::Receive,
            Role::Back => Access::Deliver,
        };
        let options = StoreOptions {
            access,
            key_file,
            base,
            min_free_bytes: files.min_free_bytes,
            per_hour,
            ..StoreOptions::default()
        };
        let mailer = match role.delivers() {
            true => Some(Arc::new(Mailer::new(outgoing.transport)?.signing(outgoing.signer))),
            false => None,
        };
        let store = Store::open(folder, options)?;
        let files = FileStore::open_with(folder, store.seal(), files)?;
        match files.adopt(&store) {
            // It was told when it was opened; the housework adopts it later.
            Err(FileError::Bucket(_)) => {}
            adopted => adopted?,
        }
        let keys = store.keys().clone();
        let watch = Watch::new(store.key_file().to_owned(), role.delivers());
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

    pub(super) fn mailer(&self) -> Option<Arc<Mailer>> {
        self.mailer.clone()
    }

    /// Where mails go, when this process sends any.
    pub(super) fn destination(&self) -> Option<String> {
        Some(self.mailer.as_ref()?.destination())
    }

    /// Starts the delivery, the morning's digest and the housework; `None` when another process does all that.
    pub(super) fn deliver(&self, digest: Digest, daily: Daily, clock: Clock) -> Option<Delivery> {
        let mailer = self.mailer.clone()?;
        let (stop, stopping) = watch::channel(false);
        let worker = Worker { store: self.depot.store.clone(), mailer, files: self.depot.files.clone() };
        let delivering = tokio::spawn({
            let stopping = stopping.clone();
            let delivering = self.watch.delivering();
            let (clock, watch) = (clock.clone(), self.watch.clone());
            async move {
                let mut round = watch.duties.begin(Duty::Mail);
                let told = |turn| match turn {
                    Turn::Begins => round = watch.duties.begin(Duty::Mail),
                    Turn::Idle { next_at } => watch.duties.done(round, next_at),
                };
                worker.run_telling(stopping, move || clock(), told).await;
                drop(delivering);
            }
        });
        let (own, zone) = ((self.depot.clone(), self.watch.clone()), digest.zone.clone());
        let mornings = tokio::spawn(mornings(own.clone(), (digest, daily), clock.clone(), stopping.clone()));
        let housework = tokio::spawn(housework(own, (zone, clock), stopping));
        Some(Delivery { stop, delivering, mornings, housework })
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
    (depot, watch): (Depot, Arc<Watch>),
    (mut digest, daily): (Digest, Daily),
    clock: Clock,
    mut stopping: watch::Receiver<bool>,
) {
    while !*stopping.borrow_and_update() {
        digest.daily = daily();
        let (round, now) = (watch.duties.begin(Duty::Digest), clock());
        let next = digest::next(&digest.zone, now);
        match digest::step(&depot.store, &digest, now).await {
            Ok(true) => {
                // Its mails are due now.
                watch.duties.news(Duty::Mail);
                watch.duties.done(round, Some(next));
                tracing::info!(event = "digest", "the morning's digest is written");
            }
            Ok(false) => watch.duties.done(round, Some(next)),
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
async fn housework(
    (depot, watch): (Depot, Arc<Watch>),
    (zone, clock): (TimeZone, Clock),
    mut stopping: watch::Receiver<bool>,
) {
    while !*stopping.borrow_and_update() {
        let (depot, round, now) = (depot.clone(), watch.duties.begin(Duty::Housework), clock());
        let local = now.to_zoned(zone.clone());
        let done = tokio::task::spawn_blocking(move || tidy(&depot.store, &depot.files, &local)).await;
        // Closed, the guichet is looked after less often: nothing comes in meanwhile.
        watch.duties.done(round, now.checked_add(TIDY_ASLEEP).ok());
        match done {
            Ok(Ok(tidied)) => {
                if tidied.moved > 0 {
                    tracing::info!(
                        event = "files.moved",
                        files = tidied.moved,
                        "files went from the disk to the bucket"
                    );
                }
                if !tidied.missing.is_empty() {
                    tracing::error!(event = "files.missing", files = tidied.missing.len(), "files are lost");
                }
                tracing::debug!(event = "tidied", drafts = tidied.drafts, orphans = tidied.orphans, "housework done");
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

/// Between two rounds of housework in a guichet that is closed between visits.
const TIDY_ASLEEP: SignedDuration = SignedDuration::from_hours(6);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
