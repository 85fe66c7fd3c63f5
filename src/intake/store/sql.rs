//! The door to the database: the text of an order is written once, whichever database takes it.
//!
//! Orders name their parameters `?1`, `?2`… and exchange integers, texts and bytes only: no date, no truth value, so that both
//! databases keep the same columns. What only one of them knows how to do is in `open`, `writer` and `postgres`.

use super::error::Fault;
use super::postgres::Session;

/// What an order of either database answers with.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an order was not done.
#[derive(Debug)]
pub(super) enum Error {
    /// SQLite's answer.
    Sqlite(rusqlite::Error),
    /// The answer of PostgreSQL, or of the way to it.
    Postgres(super::postgres::Error),
    /// A column does not hold what was expected of it.
    Column(usize),
    /// There was no row.
    NoRow,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Error::Sqlite(error)
    }
}

impl Error {
    /// Whether a rule of a table forbids the order: a value that must be the only one is there already.
    pub(super) fn is_constraint(&self) -> bool {
        match self {
            Error::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation),
            Error::Postgres(error) => error.is_constraint(),
            Error::Column(_) | Error::NoRow => false,
        }
    }
}

/// A connection to one of the databases.
pub(super) enum Connection {
    /// A file of this machine.
    Sqlite(rusqlite::Connection),
    /// A server.
    Postgres(Box<Session>),
}

impl Connection {
    /// Does an order; gives how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: &[Cell<'_>]) -> Result<usize> {
        match self {
            Connection::Sqlite(sqlite) => Ok(sqlite.prepare_cached(sql)?.execute(bound(params))?),
            Connection::Postgres(session) => session.execute(sql, params),
        }
    }

    /// Inserts a row of a table whose key is `id`; gives that key, nothing when a conflict was to be let alone.
    pub(super) fn insert(&self, sql: &str, params: &[Cell<'_>]) -> Result<Option<i64>> {
        match self {
            Connection::Sqlite(sqlite) => {
                let inserted = sqlite.prepare_cached(sql)?.execute(bound(params))?;
                Ok((inserted > 0).then(|| sqlite.last_insert_rowid()))
            }
            Connection::Postgres(session) => {
                let rows = session.query(&format!("{sql} RETURNING id"), params)?;
                rows.first().map(|row| Row::Postgres(row).get(0)).transpose()
            }
        }
    }

    /// The first row of a question, which has one.
    pub(super) fn query_row<T>(
        &self,
        sql: &str,
        params: &[Cell<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.query_opt(sql, params, read)?.ok_or(Error::NoRow)
    }

    /// The first row of a question, if there is one.
    pub(super) fn query_opt<T>(
        &self,
        sql: &str,
        params: &[Cell<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        match self {
            Connection::Sqlite(sqlite) => {
                let mut select = sqlite.prepare_cached(sql)?;
                let mut rows = select.query(bound(params))?;
                rows.next()?.map(|row| read(&Row::Sqlite(row))).transpose()
            }
            Connection::Postgres(session) => {
                session.query(sql, params)?.first().map(|row| read(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// All rows of a question.
    pub(super) fn query_map<T>(
        &self,
        sql: &str,
        params: &[Cell<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        match self {
            Connection::Sqlite(sqlite) => {
                let mut select = sqlite.prepare_cached(sql)?;
                let mut rows = select.query(bound(params))?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(read(&Row::Sqlite(row))?);
                }
                Ok(found)
            }
            Connection::Postgres(session) => {
                session.query(sql, params)?.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }

    /// Goes through the rows of a question; what is done with each may ask more, and refuse.
    pub(super) fn each(
        &self,
        sql: &str,
        params: &[Cell<'_>],
        mut work: impl FnMut(&Row<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self {
            Connection::Sqlite(sqlite) => {
                let mut select = sqlite.prepare_cached(sql).map_err(Error::Sqlite)?;
                let mut rows = select.query(bound(params)).map_err(Error::Sqlite)?;
                while let Some(row) = rows.next().map_err(Error::Sqlite)? {
                    work(&Row::Sqlite(row))?;
                }
                Ok(())
            }
            Connection::Postgres(session) => {
                session.query(sql, params)?.iter().try_for_each(|row| work(&Row::Postgres(row)))
            }
        }
    }

    /// Has what follows in this transaction wait for every other one that named the same thing. SQLite has one writer: nothing
    /// to do.
    pub(super) fn lock(&self, what: &str) -> Result<()> {
        match self {
            Connection::Sqlite(_) => Ok(()),
            Connection::Postgres(session) => session.lock(what),
        }
    }

    /// What is added to a question about the outbox so that a row another instance has in hand is passed over.
    pub(super) fn passing_over_held(&self) -> &'static str {
        match self {
            Connection::Sqlite(_) => "",
            Connection::Postgres(_) => " FOR UPDATE OF outbox SKIP LOCKED",
        }
    }

    /// Asks several questions of the database as it is at one instant.
    pub(super) fn at_one_instant<T>(&self, work: impl FnOnce(&Self) -> Result<T, Fault>) -> Result<T, Fault> {
        match self {
            Connection::Sqlite(sqlite) => {
                let _instant = sqlite.unchecked_transaction().map_err(Error::Sqlite)?;
                work(self)
            }
            Connection::Postgres(session) => session.at_one_instant(|| work(self)),
        }
    }

    /// Says which instance has a row of the outbox in hand; SQLite knows one alone.
    pub(super) fn hold(&self, outbox: i64) -> Result<()> {
        match self {
            Connection::Sqlite(_) => Ok(()),
            Connection::Postgres(session) => session.hold(outbox),
        }
    }

    /// Whether it is known to be of no more use.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Connection::Sqlite(_) => false,
            Connection::Postgres(session) => session.is_closed(),
        }
    }

    /// Gives back the pages of the database that it holds in memory.
    pub(super) fn rest(&self) {
        if let Connection::Sqlite(sqlite) = self {
            // It is only memory: nothing depends on it.
            let _ = sqlite.execute_batch("PRAGMA shrink_memory");
        }
    }

    /// SQLite's connection, for what only SQLite does.
    pub(super) fn sqlite(&self) -> Option<&rusqlite::Connection> {
        match self {
            Connection::Sqlite(sqlite) => Some(sqlite),
            Connection::Postgres(_) => None,
        }
    }

    /// PostgreSQL's session, for what only PostgreSQL does.
    pub(super) fn postgres(&self) -> Option<&Session> {
        match self {
            Connection::Sqlite(_) => None,
            Connection::Postgres(session) => Some(session),
        }
    }
}

/// A row of an answer.
pub(super) enum Row<'r> {
    /// Of SQLite, valid until the next one is asked for.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of PostgreSQL.
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// The value of a column, from 0.
    pub(super) fn get<T: Column>(&self, at: usize) -> Result<T> {
        T::read(self.cell(at)?).ok_or(Error::Column(at))
    }

    /// How many columns there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Row::Sqlite(row) => row.as_ref().column_count(),
            Row::Postgres(row) => row.len(),
        }
    }

    /// The value of a column, not yet read as anything.
    pub(super) fn cell(&self, at: usize) -> Result<Cell<'_>> {
        use rusqlite::types::ValueRef;
        match self {
            Row::Sqlite(row) => match row.get_ref(at)? {
                ValueRef::Null => Ok(Cell::Null),
                ValueRef::Integer(number) => Ok(Cell::Int(number)),
                ValueRef::Text(text) => std::str::from_utf8(text).map(Cell::Text).map_err(|_| Error::Column(at)),
                ValueRef::Blob(bytes) => Ok(Cell::Blob(bytes)),
                ValueRef::Real(_) => Err(Error::Column(at)),
            },
            Row::Postgres(row) => row.try_get(at).map_err(|_| Error::Column(at)),
        }
    }
}

/// A value as either database gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Null,
    /// An integer, or the truth of a comparison.
    Int(i64),
    /// Words.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// What a column can be read as.
pub(super) trait Column: Sized {
    /// `None` when the value is nothing of the kind.
    fn read(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl Column for $kind {
            fn read(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    Cell::Int(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
        impl Bind for $kind {
            fn bind(&self) -> Cell<'_> {
                Cell::Int(i64::from(*self))
            }
        }
    )*};
}
integers!(i64, i32, u32, u16);

impl Column for bool {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(number) => Some(number != 0),
            _ => None,
        }
    }
}

impl Column for String {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl Column for Vec<u8> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Blob(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl<const N: usize> Column for [u8; N] {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Blob(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::read(cell).map(Some),
        }
    }
}

/// What can be a parameter of an order.
pub(super) trait Bind {
    /// The parameter.
    fn bind(&self) -> Cell<'_>;
}

impl Bind for bool {
    fn bind(&self) -> Cell<'_> {
        Cell::Int(i64::from(*self))
    }
}

impl Bind for str {
    fn bind(&self) -> Cell<'_> {
        Cell::Text(self)
    }
}

impl Bind for String {
    fn bind(&self) -> Cell<'_> {
        Cell::Text(self)
    }
}

impl Bind for [u8] {
    fn bind(&self) -> Cell<'_> {
        Cell::Blob(self)
    }
}

impl Bind for Vec<u8> {
    fn bind(&self) -> Cell<'_> {
        Cell::Blob(self)
    }
}

impl<const N: usize> Bind for [u8; N] {
    fn bind(&self) -> Cell<'_> {
        Cell::Blob(self)
    }
}

impl<T: Bind> Bind for Option<T> {
    fn bind(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, Bind::bind)
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn bind(&self) -> Cell<'_> {
        (**self).bind()
    }
}

/// The parameters of an order, `?1` first.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::intake::store::sql::Bind::bind(&$value)),*]
    };
}
pub(super) use params;

impl rusqlite::ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Int(number) => ValueRef::Integer(*number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Parameters as SQLite takes them.
fn bound<'p>(params: &'p [Cell<'p>]) -> rusqlite::ParamsFromIter<&'p [Cell<'p>]> {
    rusqlite::params_from_iter(params)
}
