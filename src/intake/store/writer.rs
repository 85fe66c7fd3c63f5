//! The one thread that writes: it takes all orders that wait, runs them in one transaction, syncs once, then answers all.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::sync::{Notify, mpsc, oneshot};

use super::error::{Fault, StoreError};
use super::postgres::{Base, Instance};
use super::sql::{self, Connection};
use super::upgrade::SCHEMA;

/// An order for the writer.
pub(super) enum Order {
    /// Runs inside the shared transaction.
    Write(Box<dyn Job>),
    /// Runs alone, outside any transaction.
    Alone(Lone),
}

/// Work outside any transaction; it is told the failure after which nothing may be promised.
pub(super) type Lone = Box<dyn FnOnce(&Connection, Option<&StoreError>) + Send>;

/// Work inside the shared transaction, and the one who waits for its answer.
pub(super) trait Job: Send {
    /// Does the work; again, when what was done before is undone.
    fn run(&mut self, connection: &Connection) -> Result<(), Fault>;
    /// Answers, once the transaction is committed or given up.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
    /// Whether it may leave something to deliver.
    fn wakes(&self) -> bool;
}

/// The writer's order for a piece of work, and where its answer will come; `wakes` when it may leave something to deliver.
pub(super) fn order<T, F>(work: F, wakes: bool) -> (Order, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Order::Write(Box::new(Work { work, done: None, reply, wakes })), answer)
}

struct Work<T, F> {
    work: F,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    wakes: bool,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, Fault> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.done = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Work { done, reply, .. } = *self;
        // Nobody waits any more: the browser has gone, what is committed stays so.
        let _ = reply.send(outcome.and_then(|()| done.ok_or(StoreError::Closed)));
    }

    fn wakes(&self) -> bool {
        self.wakes
    }
}

/// A job of the transaction under way, and what will be said of it.
type Answer = (Box<dyn Job>, Result<(), StoreError>);

/// Counts of what the writer did, for the probe and the tests.
#[derive(Debug, Default)]
pub struct WriterCounts {
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Orders answered after a commit.
    pub orders: AtomicU64,
    /// Times the log was brought back into the database.
    pub checkpoints: AtomicU64,
}

/// The writer's state; [`Writer::run`] is the thread.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) batch: usize,
    pub(super) counts: Arc<WriterCounts>,
    /// Told after a commit that may leave something to deliver; never after a claim, or an idle worker would wake itself.
    pub(super) wake: Arc<Notify>,
    /// The failure after which nothing may be promised, until all that was promised is written anew.
    pub(super) poison: Option<StoreError>,
    /// The server, when the database is on one.
    pub(super) base: Option<Base>,
    /// Which of its instances this is.
    pub(super) instance: Option<Instance>,
}

impl Writer {
    /// Of a database that was opened, shown as `path`.
    pub(super) fn new(connection: Connection, path: PathBuf, batch: usize) -> Writer {
        Writer {
            connection,
            path,
            batch: batch.max(1),
            counts: Arc::default(),
            wake: Arc::new(Notify::new()),
            poison: None,
            base: None,
            instance: None,
        }
    }

    /// Starts its thread; gives the queue of its orders.
    pub(super) fn start(self, queue: usize) -> std::io::Result<(mpsc::Sender<Order>, thread::JoinHandle<()>)> {
        let (orders, waiting) = mpsc::channel(queue.max(1));
        let thread = thread::Builder::new().name("guichet-writer".into()).spawn(move || self.run(waiting))?;
        Ok((orders, thread))
    }

    /// Serves orders until all senders are gone.
    pub(super) fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(first) = orders.blocking_recv() {
            let mut next = Some(first);
            let mut batch = Vec::new();
            let alone = loop {
                match next.take() {
                    Some(Order::Write(job)) => batch.push(job),
                    Some(Order::Alone(work)) => break Some(work),
                    None => break None,
                }
                if batch.len() < self.batch {
                    next = orders.try_recv().ok();
                }
            };
            if !batch.is_empty() {
                self.commit(batch);
                self.checkpoint();
            }
            if let Some(work) = alone {
                self.mend();
                work(&self.connection, self.poison.as_ref());
            }
        }
    }

    fn commit(&mut self, batch: Vec<Box<dyn Job>>) {
        if self.base.is_some() {
            return self.on_server(batch);
        }
        self.mend();
        if let Some(poison) = &self.poison {
            let poison = poison.clone();
            batch.into_iter().for_each(|job| job.answer(Err(poison.clone())));
            return;
        }
        let mut answers: Vec<Answer> = batch.into_iter().map(|job| (job, Ok(()))).collect();
        match self.transaction(&mut answers) {
            Ok(()) => {
                self.counts.commits.fetch_add(1, Ordering::Relaxed);
                self.counts.orders.fetch_add(answers.len() as u64, Ordering::Relaxed);
                if answers.iter().any(|(job, _)| job.wakes()) {
                    self.wake.notify_one();
                }
            }
            Err(error) => {
                if error.is_fatal() {
                    tracing::error!(error.reason = %error, "the store stops accepting");
                    self.poison = Some(error.clone());
                }
                answers.iter_mut().filter(|(_, outcome)| outcome.is_ok()).for_each(|(_, outcome)| {
                    *outcome = Err(error.clone());
                });
            }
        }
        answers.into_iter().for_each(|(job, outcome)| job.answer(outcome));
    }

    /// After a failure of the disk, tries to make the store trustworthy again, before anything else is promised.
    ///
    /// A sync that failed is never asked again: Linux may have forgotten what it could not write, and the next sync would
    /// say that all is well. All that was promised is written anew instead, from the part of the log that was synced before
    /// the failure, into the database, which is synced; then the log, and what was refused with it, is emptied. Last, something
    /// is written and synced: an empty log asks nothing of the disk, and says nothing of it. When any of this fails, nothing is
    /// accepted and the next order tries again.
    fn mend(&mut self) {
        let Some(sqlite) = self.connection.sqlite() else {
            // On a server there is nothing to mend but the way to it; an order that finds none says so.
            return drop(self.reconnect());
        };
        if !matches!(self.poison, Some(StoreError::Poisoned { .. })) || !sqlite.is_autocommit() {
            return;
        }
        let tried = empty_log(sqlite).and_then(|is_empty| {
            if is_empty {
                // Writes the first page though nothing changes; an UPDATE to the same value would write none.
                sqlite.pragma_update(None, "user_version", SCHEMA)?;
            }
            Ok(is_empty)
        });
        match tried {
            Ok(true) => {
                tracing::warn!("the disk works again, all that was promised is written anew: the store accepts");
                self.poison = None;
            }
            Ok(false) => tracing::error!("the store cannot be mended while another process reads it"),
            Err(error) => tracing::error!(error.reason = %error, "the disk still fails"),
        }
    }

    /// Runs all jobs and commits; an error means that nothing of them is stored.
    fn transaction(&self, jobs: &mut [Answer]) -> Result<(), StoreError> {
        self.execute("BEGIN IMMEDIATE")?;
        let run = jobs.iter_mut().try_for_each(|(job, outcome)| self.one(job.as_mut(), outcome));
        let done = run.and_then(|()| self.execute("COMMIT"));
        if done.is_err() && !self.is_autocommit() {
            // SQLite rolls back by itself after the worst errors; when it did not, what we refuse must not stay.
            self.execute("ROLLBACK").map_err(|error| StoreError::Poisoned {
                path: self.path.clone(),
                reason: format!("what was refused cannot be undone: {error}"),
            })?;
        }
        done
    }

    /// Runs one job in its own savepoint: a refusal undoes this job alone, an error of the machine gives all up.
    fn one(&self, job: &mut dyn Job, outcome: &mut Result<(), StoreError>) -> Result<(), StoreError> {
        let wrong = |error| StoreError::sql(&self.path, error);
        self.execute("SAVEPOINT job")?;
        let fault = match job.run(&self.connection) {
            Ok(()) => return self.execute("RELEASE job"),
            Err(Fault::Store(error)) => error,
            Err(Fault::Sql(error)) => wrong(error),
        };
        if fault.is_fatal() || matches!(fault, StoreError::Full { .. }) || self.is_autocommit() {
            return Err(fault);
        }
        *outcome = Err(fault);
        self.execute("ROLLBACK TO job")?;
        self.execute("RELEASE job")
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute(sql, &[]).map(|_| ()).map_err(|error| StoreError::sql(&self.path, error))
    }

    fn is_autocommit(&self) -> bool {
        self.connection.sqlite().is_some_and(rusqlite::Connection::is_autocommit)
    }

    /// Brings the log back into the database once it has grown; those who waited have their answer already.
    fn checkpoint(&mut self) {
        if self.poison.is_some() || self.base.is_some() {
            return;
        }
        let run = self.waiting_pages().and_then(|pages| match pages < CHECKPOINT_PAGES {
            true => Ok(()),
            false => {
                self.counts.checkpoints.fetch_add(1, Ordering::Relaxed);
                self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", &[], |_| Ok(()))
            }
        });
        if let Err(error) = run {
            let error = StoreError::sql(&self.path, error);
            tracing::error!(error.reason = %error, "the checkpoint failed");
            if error.is_fatal() {
                self.poison = Some(error);
            }
        }
    }

    /// Pages of the log that are not in the database yet. The size of the file would not do: a log that was brought back is
    /// written over from its beginning and stays as long as it was.
    fn waiting_pages(&self) -> sql::Result<i64> {
        let sql = "PRAGMA wal_checkpoint(NOOP)";
        self.connection.query_row(sql, &[], |row| Ok(row.get::<i64>(1)? - row.get::<i64>(2)?))
    }
}

/// Writes the whole log back into the database, syncs that, then empties the log; `false` when a reader is in the way.
pub(super) fn empty_log(connection: &rusqlite::Connection) -> rusqlite::Result<bool> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

/// Pages waiting in the log from which they are brought back: 32 MB. Each time costs two syncs, shared by what came meanwhile.
const CHECKPOINT_PAGES: i64 = 4000;
