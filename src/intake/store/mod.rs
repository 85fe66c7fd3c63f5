//! Keeps submissions and their mails for sure: one writer, many orders in one sync; SQLite, or PostgreSQL when several instances
//! serve a commune.
//!
//! This is the only door to the database. It never sends anything and never phrases anything for people.

mod admin;
mod bounces;
mod copy;
mod dossier;
mod error;
mod format;
mod mailboxes;
mod open;
mod outbox;
mod pace;
mod places;
mod postgres;
mod probe;
mod purge;
mod quarantine;
mod reconcile;
mod record;
mod sql;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upgrade;
mod verify;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};

pub use self::admin::{Counts, Detail, DetailFile, Event, RouteState};
pub use self::bounces::Bounced;
pub(in crate::intake) use self::copy::examine;
pub use self::dossier::{Acted, Kept, NewAct, NewBulletin, Open};
pub use self::error::StoreError;
pub use self::format::Format;
pub use self::mailboxes::{CodeSent, MailboxState, MailboxTag, Tried};
pub(in crate::intake) use self::open::{FILE, create_private_dir, sync_dir};
pub use self::open::{Served, ServedPart};
pub use self::outbox::{Claim, Claimed, Settlement, Trace};
pub use self::pace::Pace;
pub use self::postgres::{Base, BaseError, News, Turn};
pub use self::purge::PurgeReport;
pub use self::reconcile::Reconciliation;
pub use self::verify::Damage;
pub use self::writer::WriterCounts;

use self::error::Fault;
use self::postgres::{Listener, Session};
use self::sql::Connection;
use self::writer::{Order, Writer};
use super::seal::Seal;
use super::token::Keys;
use crate::model::intake::{NewSubmission, Recorded};

/// How the database is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Whether this is the one instance that serves.
    pub access: Access,
    /// The database server, when the database is no file of the folder.
    pub base: Option<Base>,
    /// The key file, when it is not `cle` in the same folder.
    pub key_file: Option<PathBuf>,
    /// Free bytes below which no submission is recorded, so that deliveries and the purge can still be written.
    pub min_free_bytes: u64,
    /// Mails handed to the mail server in an hour, at most; `None`: as many as are due.
    pub per_hour: Option<u32>,
    /// Orders that may wait for the writer.
    pub queue: usize,
    /// Orders in one transaction, at most.
    pub batch: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            access: Access::Serve,
            base: None,
            key_file: None,
            min_free_bytes: 64 << 20,
            per_hour: None,
            queue: 256,
            batch: 256,
        }
    }
}

/// Who opens the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The one instance that receives and delivers, or one of several on a server; makes the database when there is none.
    Serve,
    /// The one that receives, another delivering.
    Receive,
    /// The one that delivers, another receiving.
    Deliver,
    /// An order of the administration, perhaps while an instance serves; never creates nor delivers.
    Beside,
}

/// The store; clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// A store that this does not keep open.
#[derive(Clone)]
pub struct WeakStore(Weak<Inner>);

impl WeakStore {
    /// The store, while somebody keeps it open.
    pub fn upgrade(&self) -> Option<Store> {
        self.0.upgrade().map(|inner| Store { inner })
    }
}

impl std::fmt::Debug for WeakStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("WeakStore")
    }
}

struct Inner {
    /// `None` only while dropping.
    orders: Option<mpsc::Sender<Order>>,
    writer: Option<thread::JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
    /// Whether anything was asked since it last rested.
    is_asked: AtomicBool,
    dir: PathBuf,
    path: PathBuf,
    reading: Reading,
    min_free_bytes: u64,
    per_hour: Option<u32>,
    counts: Arc<WriterCounts>,
    wake: Arc<Notify>,
    keys: Keys,
    key_file: PathBuf,
    /// Released by the system when the store goes.
    _lock: Option<open::Locks>,
    /// Hears what other instances commit.
    _listener: Option<Listener>,
}

/// How the database is read.
enum Reading {
    /// A file of this machine.
    File(open::Reading),
    /// A server.
    Server(Box<Base>),
}

impl Store {
    /// Whether a folder holds a database of ours, or has held one; never mind whether it can be opened, or looked into.
    pub fn is_in(dir: &Path) -> bool {
        // Traces are looked for only where there is none: this is asked of a thousand folders at once.
        !matches!(open::is_in(dir), Ok(false)) || matches!(open::absent(dir), StoreError::Lost { .. })
    }

    /// The same, not kept open by who holds it.
    pub fn weak(&self) -> WeakStore {
        WeakStore(Arc::downgrade(&self.inner))
    }

    /// Opens the database of `dir`, `guichet.db`, or the one of the server that is named, and starts its writer. One of an earlier version is first brought to this
    /// one, its words and files sealed. The key is made with the database, never for one that is there.
    ///
    /// When serving, mails that a dead process held are given back at once: the lock proves that it is dead.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another instance serves, [`StoreError::Foreign`], [`StoreError::Newer`] or
    /// [`StoreError::Damaged`] when the file is not ours to write, [`StoreError::Absent`] when there is none, [`StoreError::Lost`] when there has been one, and
    /// [`Access::Beside`] was asked, [`StoreError::Key`] or [`StoreError::WrongKey`] when it could not be read, [`StoreError::Full`], [`StoreError::Io`] or [`StoreError::Database`] otherwise.
    ///
    /// On a server no lock tells that nobody else serves: what another instance holds stays so until its lease ends, unless it
    /// shared this folder and is dead.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        if let Some(base) = &options.base {
            return Self::on_server(postgres::open(base, dir, &options)?, base.clone(), dir, &options);
        }
        let opened = open::open(dir, &options)?;
        if matches!(options.access, Access::Serve | Access::Deliver) {
            outbox::give_back(&opened.connection).map_err(|error| StoreError::sql(&opened.path, error))?;
        }
        Self::of(opened, dir, &options)
    }

    /// The format of the database that [`Store::open`] would open. Nothing is written, and no key is asked for.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when there is none, [`StoreError::Newer`] when this program is too old for it, and what keeps it
    /// from being read.
    pub fn format(dir: &Path, options: &StoreOptions) -> Result<Format, StoreError> {
        format::format(dir, options)
    }

    /// Copies a data folder as it is to `destination`, which must not exist: database, log, files; neither the key nor the locks.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when somebody serves, [`StoreError::Full`] or [`StoreError::Io`]; no unfinished copy stays.
    pub fn keep_as_it_is(dir: &Path, destination: &Path) -> Result<(), StoreError> {
        format::keep_as_it_is(dir, destination)
    }

    /// Says, as long as the value lives, that the guichets of all communes under `dir` are served, even those that are asleep
    /// and hold no lock of their own, and that those parts of it are this process's.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process does one of them.
    pub fn serve_under(dir: &Path, parts: &[ServedPart]) -> Result<Served, StoreError> {
        open::serve_under(dir, parts)
    }

    /// Keeps them from being served, as long as the value lives.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when they are served, [`StoreError::Io`].
    pub fn alone_under(dir: &Path) -> Result<File, StoreError> {
        open::alone_under(dir)
    }

    /// Starts the writer of what was opened.
    fn of(opened: open::Opened, dir: &Path, options: &StoreOptions) -> Result<Store, StoreError> {
        let writer = Writer::new(opened.connection, opened.path.clone(), options.batch);
        let (counts, wake) = (Arc::clone(&writer.counts), Arc::clone(&writer.wake));
        let (orders, thread) = writer.start(options.queue).map_err(|error| StoreError::io(dir, error))?;
        Ok(Store {
            inner: Arc::new(Inner {
                orders: Some(orders),
                writer: Some(thread),
                readers: Mutex::new(Vec::new()),
                is_asked: AtomicBool::new(true),
                dir: dir.to_owned(),
                path: opened.path,
                reading: Reading::File(opened.reading),
                min_free_bytes: options.min_free_bytes,
                per_hour: options.per_hour,
                counts,
                wake,
                keys: opened.keys,
                key_file: opened.key_file,
                _lock: opened.lock,
                _listener: None,
            }),
        })
    }

    /// The same, on a server.
    fn on_server(
        opened: postgres::Opened,
        base: Base,
        dir: &Path,
        options: &StoreOptions,
    ) -> Result<Store, StoreError> {
        let path = PathBuf::from(base.name());
        // Each order is a few journeys to the server, and other instances wait for what its transaction has locked.
        let mut writer = Writer::new(opened.connection, path.clone(), options.batch.min(MOST_ON_SERVER));
        writer.base = Some(base.clone());
        writer.instance = opened.instance;
        let (counts, wake) = (Arc::clone(&writer.counts), Arc::clone(&writer.wake));
        let (orders, thread) = writer.start(options.queue).map_err(|error| StoreError::io(dir, error))?;
        let serves = options.access != Access::Beside;
        let listener = if serves { Listener::new(&base, Arc::clone(&wake)) } else { None };
        Ok(Store {
            inner: Arc::new(Inner {
                orders: Some(orders),
                writer: Some(thread),
                readers: Mutex::new(Vec::new()),
                is_asked: AtomicBool::new(true),
                dir: dir.to_owned(),
                path,
                reading: Reading::Server(Box::new(base)),
                min_free_bytes: options.min_free_bytes,
                per_hour: options.per_hour,
                counts,
                wake,
                keys: opened.keys,
                key_file: opened.key_file,
                _lock: None,
                _listener: listener,
            }),
        })
    }

    /// The right to do something that one of several instances does at a time; `None` when another one does it now. What is
    /// to be done must be looked up after this.
    ///
    /// # Errors
    /// [`StoreError`] when the server cannot be asked.
    pub async fn turn(&self, what: &str) -> Result<Option<Turn>, StoreError> {
        match &self.inner.reading {
            Reading::File(_) => Ok(Some(Turn::alone())),
            Reading::Server(base) => Turn::take(base, what).await,
        }
    }

    /// Records a submission; when this returns `Ok`, it survives a power cut.
    ///
    /// The same nonce gives the same reference, however often and from however many threads. Its files must be in place and
    /// synced before ([`crate::intake::files::FileStore::accept`]).
    ///
    /// # Errors
    /// [`StoreError::Full`] when space is short, [`StoreError::Busy`] when too many wait, [`StoreError::Poisoned`] after the
    /// disk failed, [`StoreError::ReferenceTaken`] once in 2⁴⁰. After any error nothing of the submission is stored.
    pub async fn record(&self, submission: NewSubmission) -> Result<Recorded, StoreError> {
        let answer = self.submit(submission)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The same, for a thread that is not asynchronous.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub fn record_blocking(&self, submission: NewSubmission) -> Result<Recorded, StoreError> {
        wait(self.record(submission))
    }

    /// The keys of this guichet.
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// Where they are kept.
    pub fn key_file(&self) -> &Path {
        &self.inner.key_file
    }

    /// What seals data at rest.
    pub fn seal(&self) -> &Seal {
        self.inner.keys.seal()
    }

    /// Told after each commit that may leave something to deliver: a submission, an order of the administration.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.wake)
    }

    /// Whether the store's disk takes no write: all can be read, nothing received nor sent.
    pub fn is_read_only(&self) -> bool {
        open::is_read_only(&self.inner.dir)
    }

    /// Free bytes on the store's file system.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the system does not tell.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        free_bytes(&self.inner.dir)
    }

    /// Transactions committed and orders served since opening.
    pub fn commits_and_orders(&self) -> (u64, u64) {
        let counts = &self.inner.counts;
        (counts.commits.load(Ordering::Relaxed), counts.orders.load(Ordering::Relaxed))
    }

    fn submit(&self, submission: NewSubmission) -> Result<oneshot::Receiver<Result<Recorded, StoreError>>, StoreError> {
        self.submit_row(record::Row::new(submission, self.seal())?)
    }

    fn submit_row(&self, row: record::Row) -> Result<oneshot::Receiver<Result<Recorded, StoreError>>, StoreError> {
        if self.free_bytes()? < self.inner.min_free_bytes {
            return Err(StoreError::Full { path: self.inner.dir.clone() });
        }
        let seal = self.seal().clone();
        let (order, answer) = writer::order(move |connection| row.insert(connection, &seal), true);
        self.inner.is_asked.store(true, Ordering::Release);
        let orders = self.inner.orders.as_ref().ok_or(StoreError::Closed)?;
        orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy { path: self.inner.path.clone() },
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        Ok(answer)
    }

    /// Has the writer do something, waiting for a place in its queue; `wakes` when it may leave something to deliver. On a server
    /// the work is done again when the connection was lost before it was committed.
    async fn write<T, F>(&self, work: F, wakes: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (order, answer) = writer::order(work, wakes);
        self.inner.is_asked.store(true, Ordering::Release);
        let orders = self.inner.orders.as_ref().ok_or(StoreError::Closed)?;
        orders.send(order).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The same, for the administration's threads.
    fn write_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        wait(self.write(work, true))
    }

    fn send_blocking(&self, order: Order) -> Result<(), StoreError> {
        let orders = self.inner.orders.as_ref().ok_or(StoreError::Closed)?;
        wait(orders.send(order)).map_err(|_| StoreError::Closed)
    }

    /// Gives back what idle connections hold, memory here and sessions of a server, when something was asked since the last
    /// time; they are had again when needed. A thousand guichets of one process are mostly idle.
    pub fn rest(&self) {
        if !self.inner.is_asked.swap(false, Ordering::AcqRel) {
            return;
        }
        let idle = std::mem::take(&mut *self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner));
        drop(idle);
        if let Some(orders) = &self.inner.orders {
            // A queue that is full is no rest.
            let _ = orders.try_send(Order::Alone(Box::new(|connection, _| connection.rest())));
        }
    }

    /// Reads through a connection of its own: never waits for the writer, never makes it wait.
    fn read<T>(&self, work: impl Fn(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.inner.is_asked.store(true, Ordering::Release);
        let readers = || self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = readers().pop();
        let (was_idle, connection) = match idle {
            Some(connection) if !connection.is_closed() => (true, connection),
            _ => (false, self.reading_connection()?),
        };
        let mut answer = work(&connection);
        let mut connection = connection;
        // A server that was started again ends connections that were idle: nothing was asked of it yet.
        if was_idle && answer.is_err() && connection.is_closed() {
            connection = self.reading_connection()?;
            answer = work(&connection);
        }
        let answer = answer.map_err(|fault| self.told(fault));
        let mut idle = readers();
        let most = match &self.inner.reading {
            Reading::File(_) => IDLE_READERS,
            Reading::Server(_) => IDLE_SESSIONS,
        };
        if answer.is_ok() && idle.len() < most {
            idle.push(connection);
        }
        answer
    }

    /// What a fault is for who asked.
    fn told(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Store(error) => error,
            Fault::Sql(error) => StoreError::sql(&self.inner.path, error),
        }
    }

    fn reading_connection(&self) -> Result<Connection, StoreError> {
        let path = &self.inner.path;
        match &self.inner.reading {
            Reading::File(reading) => open::reading_connection(path, *reading).map(Connection::Sqlite),
            Reading::Server(base) => {
                let session = Session::connect(base, None);
                Ok(Connection::Postgres(Box::new(session.map_err(|error| StoreError::sql(path, error.into()))?)))
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer's connection is the last: closing it brings the log back into the database.
        self.readers.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        self.orders = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has already lost its callers their answers; there is nobody to tell here.
            let _ = writer.join();
        }
    }
}

/// Free bytes on the file system of `dir`, for a process without privileges.
pub(in crate::intake) fn free_bytes(dir: &Path) -> Result<u64, StoreError> {
    let numbers = rustix::fs::statvfs(dir).map_err(|error| StoreError::io(dir, error.into()))?;
    Ok(numbers.f_bavail.saturating_mul(numbers.f_frsize))
}

/// The same for whoever has no store open.
///
/// # Errors
/// [`StoreError::Io`] when the system does not tell.
pub fn free_bytes_of(dir: &Path) -> Result<u64, StoreError> {
    free_bytes(dir)
}

/// Waits in this thread, whatever runs in it: the writer has a thread of its own.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

fn instant(ms: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(ms).map_err(|error| Fault::content("instant", error))
}

/// Orders in one transaction on a server, at most.
const MOST_ON_SERVER: usize = 64;

/// Reading connections kept open.
const IDLE_READERS: usize = 4;
/// The same, of a server: it has a hundred for all, and each is a process of its own there.
const IDLE_SESSIONS: usize = 2;
