//! PostgreSQL behind the store's door: connections, orders, and what its answers mean for us.
//!
//! The client runs on a thread of its own; who asks waits for it in his, whatever runs there. Several instances write to one
//! schema: what must be done once is done by whoever gets the row, or the lock, first.

mod base;
mod export;
mod instance;
mod listen;
mod open;
#[cfg(test)]
mod tests;
mod writing;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Connection as Way, NoTls, Row, Statement};

pub use self::base::{Base, BaseError};
pub(super) use self::instance::Instance;
pub(super) use self::listen::Listener;
pub use self::listen::{News, Turn};
pub(super) use self::open::{Opened, format, open};

use super::error::{Fault, StoreError};
use super::sql::{self, Cell};
use super::wait;

/// Why an order was not done.
#[derive(Debug)]
pub(super) enum Error {
    /// The server's answer, or what happened on the way.
    Told(tokio_postgres::Error),
    /// It could not be asked.
    Away(String),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Error::Told(error)
    }
}

impl Error {
    fn state(&self) -> Option<&SqlState> {
        match self {
            Error::Told(error) => error.code(),
            Error::Away(_) => None,
        }
    }

    /// Whether a value that must be the only one is there already.
    pub(super) fn is_constraint(&self) -> bool {
        self.state() == Some(&SqlState::UNIQUE_VIOLATION)
    }

    /// Whether the connection is good for nothing any more.
    pub(super) fn is_lost(&self) -> bool {
        let Error::Told(error) = self else { return true };
        let Some(answer) = error.as_db_error() else { return true };
        let is_ended = matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        // A server that has become a copy of another one: the next connection finds who writes now.
        is_ended || *answer.code() == SqlState::READ_ONLY_SQL_TRANSACTION
    }

    /// Whether another transaction was in the way, so that doing it again, alone, will do.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self.state(), Some(state) if [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE].contains(state))
    }

    fn reason(&self) -> String {
        match self {
            Error::Told(error) => base::cause(error),
            Error::Away(reason) => reason.clone(),
        }
    }

    /// What it means for the store, whose base is shown as `place`.
    pub(super) fn for_us(self, place: &Path) -> StoreError {
        let (base, reason) = (place.display().to_string(), self.reason());
        let Some(state) = self.state() else {
            return match reason.as_str() {
                "password missing" => StoreError::Refused { base, reason: "aucun mot de passe n'est donné".into() },
                _ => StoreError::Unreachable { base, reason },
            };
        };
        match &state.code()[..2] {
            _ if *state == SqlState::DISK_FULL => StoreError::Full { path: place.to_owned() },
            _ if *state == SqlState::LOCK_NOT_AVAILABLE || self.is_conflict() => {
                StoreError::Busy { path: place.to_owned() }
            }
            // Access, database, schema or rights: a person must act.
            "28" | "3D" | "3F" => StoreError::Refused { base, reason },
            _ if *state == SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Refused { base, reason },
            // Connection, resources (too many clients), orders of the operator (it stops, it starts).
            "08" | "53" | "57" => StoreError::Unreachable { base, reason },
            _ if self.is_lost() => StoreError::Unreachable { base, reason },
            _ => StoreError::Server { base, reason },
        }
    }
}

/// One connection of this program to the server.
pub(super) struct Session {
    client: Client,
    schema: String,
    statements: RefCell<HashMap<String, Statement>>,
    /// The instance that writes through it; nobody's when it only reads.
    holder: Option<i64>,
    /// Whether an answer said that the connection is good for nothing any more.
    is_lost: std::cell::Cell<bool>,
}

impl Session {
    /// Connects; `holder` is the instance that will hold mails through it.
    pub(super) fn connect(base: &Base, holder: Option<i64>) -> Result<Session, Error> {
        let (base, schema) = (base.clone(), base.schema().to_owned());
        let connected = wait(runtime()?.spawn(async move { connect(&base, |_| {}).await }));
        let (client, _) = connected.map_err(|error| Error::Away(error.to_string()))??;
        Ok(Session { client, schema, statements: RefCell::default(), holder, is_lost: std::cell::Cell::new(false) })
    }

    /// Whether the way to the server is known to be gone.
    pub(super) fn is_closed(&self) -> bool {
        self.is_lost.get() || self.client.is_closed()
    }

    /// Waits for an answer, and remembers when it says that there will be no other.
    fn answer<T>(&self, asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Error> {
        wait(asked).map_err(|error| {
            let error = Error::Told(error);
            if error.is_lost() {
                self.is_lost.set(true);
            }
            error
        })
    }

    /// Does an order; gives how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: &[Cell<'_>]) -> sql::Result<usize> {
        let statement = self.statement(sql)?;
        let changed = self.answer(self.client.execute_raw(&statement, params))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Asks; gives all rows.
    pub(super) fn query(&self, sql: &str, params: &[Cell<'_>]) -> sql::Result<Vec<Row>> {
        let statement = self.statement(sql)?;
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
        Ok(self.answer(self.client.query(&statement, &params))?)
    }

    /// Does orders without parameters, one after the other.
    pub(super) fn batch(&self, sql: &str) -> sql::Result<()> {
        Ok(self.answer(self.client.batch_execute(sql))?)
    }

    /// Until the end of the transaction, whoever names the same thing in the same schema waits.
    pub(super) fn lock(&self, what: &str) -> sql::Result<()> {
        self.query("SELECT pg_advisory_xact_lock(?1)", sql::params![key(&self.schema, what)]).map(|_| ())
    }

    /// Says which instance has a row of the outbox in hand.
    pub(super) fn hold(&self, outbox: i64) -> sql::Result<()> {
        let params = sql::params![outbox, self.holder];
        self.execute("UPDATE outbox SET holder = ?2 WHERE id = ?1", params).map(|_| ())
    }

    /// Asks several questions of the database as it is at one instant.
    pub(super) fn at_one_instant<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let done = work();
        // Nothing was written; a connection that does not end its transaction is not used again.
        self.batch("COMMIT")?;
        done
    }

    /// Gives back the room of rows that are gone. Nobody waits for it; what they held is sealed, and not written over at once.
    pub(super) fn vacuum(&self) -> sql::Result<()> {
        self.batch("VACUUM submission, answer, file, mail, outbox, act")
    }

    /// What the server's own books say is wrong: it checks its pages as it reads them, so all of them are read.
    pub(super) fn integrity(&self) -> Result<Vec<String>, Fault> {
        let mut wrong = Vec::new();
        for (table, column, parent) in REFERENCES {
            let sql = format!(
                "SELECT count(*) FROM {table} WHERE {column} IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM {parent} WHERE {parent}.id = {table}.{column})"
            );
            let rows = self.query(&sql, &[])?;
            if rows.first().map(|row| sql::Row::Postgres(row).get::<i64>(0)).transpose()? != Some(0) {
                wrong.push(format!("foreign key broken in {table}"));
            }
        }
        Ok(wrong)
    }

    fn statement(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.answer(self.client.prepare(&numbered(sql)))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl From<Error> for sql::Error {
    fn from(error: Error) -> Self {
        sql::Error::Postgres(error)
    }
}

/// Connects and sets what the server must keep to for us; `told` is called with the channel of each notification. With the client comes what
/// ends when the connection does.
async fn connect(base: &Base, told: impl Fn(&str) + Send + 'static) -> Result<(Client, JoinHandle<()>), Error> {
    let joining = async {
        let (client, driver) = match base.tls() {
            None => {
                let (client, way) = base.config.connect(NoTls).await?;
                (client, tokio::spawn(drive(way, told)))
            }
            Some(tls) => {
                let (client, way) = base.config.connect(tls).await?;
                (client, tokio::spawn(drive(way, told)))
            }
        };
        client.batch_execute(&format!("SET search_path TO \"{}\"; {SETTINGS}", base.schema())).await?;
        Ok((client, driver))
    };
    tokio::time::timeout(PATIENCE, joining).await.unwrap_or_else(|_| Err(Error::Away("no answer in time".into())))
}

/// Carries what goes and comes until the connection ends.
async fn drive<S, T>(mut way: Way<S, T>, told: impl Fn(&str))
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = std::future::poll_fn(|context| way.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message {
            told(notification.channel());
        }
    }
}

/// The thread of the client, one for the whole program.
fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let build = || Builder::new_multi_thread().worker_threads(1).thread_name("guichet-base").enable_all().build().ok();
    RUNTIME.get_or_init(build).as_ref().ok_or_else(|| Error::Away("no thread can be started".into()))
}

/// A number that stands for a thing of a schema wherever the server wants one.
fn key(schema: &str, what: &str) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mulot\0").update(schema.as_bytes()).update(b"\0").update(what.as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    i64::from_le_bytes(bytes)
}

/// The same order with its parameters named as PostgreSQL does.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

impl ToSql for Cell<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (*self, kind) {
            (Cell::Null, _) => Ok(IsNull::Yes),
            (Cell::Int(number), &Type::INT8) => number.to_sql(kind, out),
            (Cell::Int(number), &Type::INT4) => i32::try_from(number)?.to_sql(kind, out),
            (Cell::Int(number), &Type::BOOL) => (number != 0).to_sql(kind, out),
            (Cell::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::NAME) => text.to_sql(kind, out),
            (Cell::Blob(bytes), &Type::BYTEA) => bytes.to_sql(kind, out),
            _ => Err(format!("a parameter of the wrong kind for {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT8 => Cell::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Cell::Int(i32::from_sql(kind, raw)?.into()),
            Type::BOOL => Cell::Int(bool::from_sql(kind, raw)?.into()),
            Type::BYTEA => Cell::Blob(raw),
            Type::TEXT | Type::VARCHAR | Type::NAME => Cell::Text(std::str::from_utf8(raw)?),
            _ => return Err(format!("a column of the kind {kind}").into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What a commit promises, whatever the server's own file says; and how long anything waits or is waited for.
const SETTINGS: &str = "
    SET synchronous_commit TO on; SET lock_timeout TO '5s'; SET statement_timeout TO '60s';
    SET idle_in_transaction_session_timeout TO '60s'; SET client_min_messages TO warning";

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which columns name a row of another table.
const REFERENCES: [(&str, &str, &str); 8] = [
    ("answer", "submission", "submission"),
    ("file", "submission", "submission"),
    ("mail", "submission", "submission"),
    ("outbox", "mail", "mail"),
    ("event", "submission", "submission"),
    ("event", "outbox", "outbox"),
    ("act", "submission", "submission"),
    ("quarantine", "submission", "submission"),
];
