//! The writer's transactions on a server: as on SQLite many orders share one, but the connection may be lost at any point.
//!
//! What was not committed is done again on a new connection. When the answer to a commit is lost, the server is asked what
//! became of that transaction; when it cannot say, nobody is told that anything was stored.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::error::{Fault, StoreError};
use super::super::sql::{self, Connection, params};
use super::super::writer::{Job, Writer};
use super::Session;
use super::listen::channel;
use super::open::check_server;

/// Why a job of a transaction that was committed is not part of it.
enum Left {
    /// It was refused.
    Refused(StoreError),
    /// Another transaction was in the way: it is done again, alone.
    Conflict,
}

/// A job of the transaction under way, and what will be said of it.
type Answer = (Box<dyn Job>, Result<(), Left>);

/// Why a transaction was not committed.
enum Failed {
    /// Nothing of it is stored; on another connection it may go.
    Lost(StoreError),
    /// Whether it is stored is not known yet; it had this number.
    Unknown(String, StoreError),
    /// Nothing of it is stored, and there is no use in trying again.
    Refused(StoreError),
}

impl Writer {
    /// Does a batch in one transaction, answers all.
    pub(in crate::intake::store) fn on_server(&mut self, batch: Vec<Box<dyn Job>>) {
        for job in self.round(batch) {
            for job in self.round(vec![job]) {
                job.answer(Err(StoreError::Busy { path: self.path.clone() }));
            }
        }
    }

    /// Connects anew when the connection is known to be lost.
    pub(in crate::intake::store) fn reconnect(&mut self) -> Result<(), StoreError> {
        let (Some(base), Some(session)) = (&self.base, self.connection.postgres()) else { return Ok(()) };
        if !session.is_closed() {
            return Ok(());
        }
        let session = Session::connect(base, session.holder);
        let session = session.map_err(|error| error.for_us(&PathBuf::from(base.name())))?;
        check_server(&session, base)?;
        tracing::warn!(event = "base.reconnected", "the database is joined again");
        self.connection = Connection::Postgres(Box::new(session));
        Ok(())
    }

    /// One transaction; gives the jobs that another one was in the way of, and answers the others.
    fn round(&mut self, batch: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        let mut answers: Vec<Answer> = batch.into_iter().map(|job| (job, Ok(()))).collect();
        let done = self.insist(&mut answers);
        match &done {
            Ok(()) => {
                self.counts.commits.fetch_add(1, Ordering::Relaxed);
                self.counts.orders.fetch_add(answers.len() as u64, Ordering::Relaxed);
                if answers.iter().any(|(job, said)| said.is_ok() && job.wakes()) {
                    self.wake.notify_one();
                }
            }
            Err(error) => tracing::error!(error.reason = %error, "nothing could be written"),
        }
        let mut again = Vec::new();
        for (job, said) in answers {
            match (said, &done) {
                (Err(Left::Refused(error)), _) => job.answer(Err(error)),
                (_, Err(error)) => job.answer(Err(error.clone())),
                (Err(Left::Conflict), Ok(())) => again.push(job),
                (Ok(()), Ok(())) => job.answer(Ok(())),
            }
        }
        again
    }

    /// Tries until the transaction is committed, refused, or the server cannot be had.
    fn insist(&mut self, answers: &mut [Answer]) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            answers.iter_mut().for_each(|(_, said)| *said = Ok(()));
            self.reconnect()?;
            tries += 1;
            let error = match self.attempt(answers) {
                Ok(()) => return Ok(()),
                Err(Failed::Refused(error)) => {
                    self.give_up();
                    return Err(error);
                }
                Err(Failed::Lost(error)) => error,
                Err(Failed::Unknown(number, error)) => match self.fate(&number) {
                    Some(true) => return Ok(()),
                    Some(false) => error,
                    None => return Err(error),
                },
            };
            if tries >= TRIES {
                return Err(error);
            }
        }
    }

    fn attempt(&self, answers: &mut [Answer]) -> Result<(), Failed> {
        let session = self.session()?;
        session.batch("BEGIN").map_err(|error| self.failed(error))?;
        for (job, said) in answers.iter_mut() {
            self.one_on_server(session, job.as_mut(), said)?;
        }
        if answers.iter().any(|(job, said)| said.is_ok() && job.wakes()) {
            let told = session.query("SELECT pg_notify(?1, '')", params![channel(&session.schema)]);
            told.map_err(|error| self.failed(error))?;
        }
        let sql = "SELECT pg_current_xact_id_if_assigned()::text";
        let number: Option<String> =
            self.connection.query_row(sql, &[], |row| row.get(0)).map_err(|error| self.failed(error))?;
        match (session.batch("COMMIT").map_err(|error| self.failed(error)), number) {
            (Err(Failed::Lost(error)), Some(number)) => Err(Failed::Unknown(number, error)),
            (committed, _) => committed,
        }
    }

    /// Runs one job in its own savepoint: a refusal undoes this job alone.
    fn one_on_server(&self, session: &Session, job: &mut dyn Job, said: &mut Result<(), Left>) -> Result<(), Failed> {
        let order = |sql| session.batch(sql).map_err(|error| self.failed(error));
        order("SAVEPOINT job")?;
        let left = match job.run(&self.connection) {
            Ok(()) => return order("RELEASE job"),
            Err(Fault::Store(error)) => Left::Refused(error),
            Err(Fault::Sql(sql::Error::Postgres(error))) if error.is_conflict() => Left::Conflict,
            Err(Fault::Sql(error)) => match self.failed(error) {
                Failed::Refused(error) if !matches!(error, StoreError::Full { .. }) => Left::Refused(error),
                failed => return Err(failed),
            },
        };
        *said = Err(left);
        order("ROLLBACK TO job; RELEASE job")
    }

    /// What an error means for the transaction it comes in.
    fn failed(&self, error: sql::Error) -> Failed {
        let is_lost = matches!(&error, sql::Error::Postgres(error) if error.is_lost());
        let error = StoreError::sql(&self.path, error);
        if is_lost { Failed::Lost(error) } else { Failed::Refused(error) }
    }

    /// Leaves no transaction open.
    fn give_up(&self) {
        if let Some(session) = self.connection.postgres()
            && session.batch("ROLLBACK").is_err()
        {
            session.is_lost.set(true);
        }
    }

    /// What became of a transaction whose answer was lost: committed or not; `None` when that cannot be known now.
    fn fate(&mut self, number: &str) -> Option<bool> {
        for _ in 0..FATE_TRIES {
            // The server may be starting again, or still at it.
            if self.reconnect().is_ok() {
                let sql = "SELECT pg_xact_status(?1::text::xid8)";
                match self.connection.query_row(sql, params![number], |row| row.get::<Option<String>>(0)) {
                    Ok(Some(status)) if status == "committed" => return Some(true),
                    Ok(Some(status)) if status == "aborted" => return Some(false),
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    // Lost again; anything else is of a server that never had this transaction.
                    Err(sql::Error::Postgres(error)) if error.is_lost() => {}
                    Err(_) => return None,
                }
            }
            std::thread::sleep(FATE_PAUSE);
        }
        None
    }

    fn session(&self) -> Result<&Session, Failed> {
        self.connection.postgres().ok_or(Failed::Refused(StoreError::Closed))
    }
}

/// How often a transaction is begun: the second time on a new connection.
const TRIES: u32 = 3;
/// How often a server is asked what became of a transaction.
const FATE_TRIES: u32 = 20;
/// In between.
const FATE_PAUSE: Duration = Duration::from_millis(250);
