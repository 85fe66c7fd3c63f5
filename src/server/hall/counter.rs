//! A commune's place in the hall: asleep or awake, with those who are being answered there.
//!
//! Awake, a request takes a seat and goes in. Asleep, the first one opens the guichet and the others wait for it. Whoever
//! closes it first has what works beside it end, then waits for the seats to be empty; whoever comes meanwhile waits for the next opening.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::awake::{Awake, Memory};
use super::settings::Settings;
use crate::server::StartError;
use crate::server::agent::Agents;
use crate::server::folder::Site;
use crate::server::rate::Rates;
use crate::server::seats::{self, Seats};

/// A commune in the hall.
pub(super) struct Counter {
    settings: RwLock<Arc<Settings>>,
    seats: Arc<Seats<Awake>>,
    state: Mutex<State>,
    /// Whoever opens or closes it.
    pub(super) turn: Arc<tokio::sync::Mutex<Turn>>,
    /// Requests that are inside or wait for the opening.
    present: AtomicUsize,
    memory: Mutex<Option<([u8; 32], Memory)>>,
    /// What serves the site, made when first asked for.
    site: Mutex<Option<Arc<Site>>>,
}

/// What whoever opens must know.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Whether this process has had it open: its lock may take a moment to be free.
    pub(super) was_open: bool,
}

#[derive(Default)]
struct State {
    /// What it was opened with.
    fingerprint: [u8; 32],
    /// When it must be opened without a visitor.
    due: Option<Timestamp>,
    /// Its database as it was left.
    stamp: Stamp,
    trouble: Option<(Instant, Arc<StartError>)>,
    /// When it was last kept open because its folder had errors.
    held: Option<Instant>,
    /// When closing for new settings was last tried, and how long to wait before the next try.
    retry: Option<(Instant, Duration)>,
}

/// Size and date of the files of a database: another process that writes changes them.
pub(super) type Stamp = [Option<(u64, SystemTime)>; 2];

impl Counter {
    pub(super) fn new(settings: Settings, due: Option<Timestamp>) -> Arc<Counter> {
        Arc::new(Counter {
            settings: RwLock::new(Arc::new(settings)),
            seats: Arc::default(),
            state: Mutex::new(State { due, ..State::default() }),
            turn: Arc::default(),
            present: AtomicUsize::new(0),
            memory: Mutex::default(),
            site: Mutex::default(),
        })
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other settings; what is open keeps its own until it is closed.
    pub(super) fn set(&self, settings: Settings) {
        *self.site.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        let mut state = self.state();
        state.trouble = None;
        state.retry = None;
        state.held = None;
        self.seats.set_removed(false);
    }

    /// The one who serves its site.
    pub(super) fn site(&self) -> Option<Arc<Site>> {
        let mut site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        if site.is_none() {
            let settings = self.settings();
            let folder = settings.config().site?;
            *site = Some(Arc::new(Site::new(&folder, &settings.known.outside)));
        }
        site.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts who comes, unless there are too many.
    pub(super) fn arrive(self: &Arc<Self>, most: Option<usize>) -> Option<Presence> {
        let presence = Presence(self.clone());
        let before = self.present.fetch_add(1, Ordering::AcqRel);
        (most.is_none_or(|most| before < most)).then_some(presence)
    }

    /// A seat, when the guichet is open.
    pub(super) fn sit(&self, now: Option<Timestamp>) -> Option<Seat> {
        Some(Seat { seat: self.seats.sit(now)?, is_post: false })
    }

    pub(super) fn is_removed(&self) -> bool {
        self.seats.is_removed()
    }

    /// Lets nobody in any more.
    pub(super) fn remove(&self) {
        self.seats.set_removed(true);
    }

    /// What keeps it from being opened, if it was tried a moment ago.
    pub(super) fn trouble(&self) -> Option<Arc<StartError>> {
        let state = self.state();
        state.trouble.as_ref().filter(|(at, _)| at.elapsed() < TRY_AGAIN).map(|(_, error)| error.clone())
    }

    /// What works there now.
    pub(super) fn awake(&self) -> Option<Arc<Awake>> {
        self.seats.open()
    }

    /// It is open.
    pub(super) fn opened(&self, awake: Arc<Awake>, fingerprint: [u8; 32]) {
        let mut state = self.state();
        state.fingerprint = fingerprint;
        (state.trouble, state.due, state.held) = (None, None, None);
        self.seats.opened(awake);
    }

    /// It cannot be opened; it is tried again without a visitor at `again`.
    pub(super) fn failed(&self, error: Arc<StartError>, again: Option<Timestamp>) {
        let mut state = self.state();
        state.trouble = Some((Instant::now(), error));
        state.due = again;
    }

    /// Lets nobody in and waits for the seats to be empty, `patience` at most; `false`: they were not, all goes on.
    pub(super) async fn empty(&self, patience: Duration) -> bool {
        self.seats.empty(patience).await
    }

    /// Closes it, once it is empty; what became due while it was open stays so.
    pub(super) fn close(&self, due: Option<Timestamp>) -> Option<Arc<Awake>> {
        let mut state = self.state();
        state.due = state.due.into_iter().chain(due).min();
        self.seats.close()
    }

    /// It may be opened again; `stamp` is its database as it was left.
    pub(super) fn closed(&self, stamp: Stamp) {
        let mut state = self.state();
        state.stamp = stamp;
        self.seats.closed();
    }

    /// What its guichet is opened with whatever happens: floods and wrong codes are remembered as long as the limits are the
    /// same.
    pub(super) fn memory(&self) -> Memory {
        let settings = self.settings();
        let mut kept = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((fingerprint, memory)) if *fingerprint == settings.fingerprint => memory.clone(),
            _ => {
                let config = settings.config();
                let memory = Memory {
                    rates: Arc::new(Rates::new(config.rates)),
                    agents: Arc::new(Agents::new(config.agent_code)),
                };
                *kept = Some((settings.fingerprint, memory.clone()));
                memory
            }
        }
    }

    /// How it stands, for who goes round.
    pub(super) fn glance(&self) -> Glance {
        let wanted = self.settings().fingerprint;
        let state = self.state();
        let seats::Glance { open, is_taken, last } = self.seats.glance();
        Glance {
            is_stale: open.is_some() && state.fingerprint != wanted,
            awake: open,
            is_taken,
            last,
            due: state.due,
            is_held: state.held.is_some_and(|at| at.elapsed() < HELD),
            may_retry: state.retry.is_none_or(|(at, wait)| at.elapsed() >= wait),
        }
    }

    /// Closing did not succeed: the next try comes later and later, for each makes visitors wait.
    pub(super) fn put_off(&self) {
        let mut state = self.state();
        let wait = state.retry.map_or(FIRST_RETRY, |(_, wait)| (wait * 2).min(LAST_RETRY));
        state.retry = Some((Instant::now(), wait));
    }

    /// It could not be opened again if it were closed: the next try is for later.
    pub(super) fn hold_open(&self) {
        self.state().held = Some(Instant::now());
    }

    /// Whether the database was last seen with that stamp.
    pub(super) fn knows(&self, stamp: &Stamp) -> bool {
        self.state().stamp == *stamp
    }

    /// Whether its database is no longer as it was; it is from now on.
    pub(super) fn was_written(&self, stamp: Stamp) -> bool {
        let before = std::mem::replace(&mut self.state().stamp, stamp);
        before != stamp
    }

    /// Somebody asks for it elsewhere: it stays open as for a visitor of its own.
    pub(super) fn touch(&self, now: Timestamp) {
        self.seats.touch(now);
    }

    /// Has it opened without a visitor.
    pub(super) fn is_due(&self, at: Timestamp) {
        self.state().due = Some(at);
    }
}

/// How a commune stands.
pub(super) struct Glance {
    pub(super) awake: Option<Arc<Awake>>,
    pub(super) is_taken: bool,
    /// Open with settings that are no longer its own.
    pub(super) is_stale: bool,
    pub(super) last: Option<Timestamp>,
    pub(super) due: Option<Timestamp>,
    pub(super) may_retry: bool,
    /// Whether it was found lately that it could not be opened again.
    pub(super) is_held: bool,
}

/// The stamp of the database in a data folder.
pub(super) fn stamp(data: &Path) -> Stamp {
    ["guichet.db", "guichet.db-wal"].map(|name| {
        let metadata = std::fs::metadata(data.join(name)).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

/// Somebody is there, inside or waiting.
pub(super) struct Presence(Arc<Counter>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A seat at an open guichet, until the last byte of the answer.
pub(super) struct Seat {
    seat: seats::Seat<Awake>,
    /// Whether something may have been received here.
    pub(super) is_post: bool,
}

impl Seat {
    pub(super) fn awake(&self) -> Option<&Arc<Awake>> {
        self.seat.open()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Even when the visitor left before the answer: what was accepted must leave before the guichet closes.
        if let Some(awake) = self.seat.open().filter(|_| self.is_post) {
            awake.received();
        }
    }
}

/// All communes by name.
pub(super) type Counters = BTreeMap<String, Arc<Counter>>;

/// How long what could not be opened is not tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How long what could not be opened again is not closed.
const HELD: Duration = Duration::from_secs(600);
/// Between two tries to close for new settings.
const FIRST_RETRY: Duration = Duration::from_secs(30);
const LAST_RETRY: Duration = Duration::from_secs(3600);
