//! From a server to a file and back: a backup holds a SQLite database whatever it was made of, so that it can be brought back to
//! either, and so that a guichet can move from one to the other.

use std::path::Path;

use rusqlite::{Connection as Sqlite, OpenFlags};

use super::super::error::{Fault, StoreError};
use super::super::open::APPLICATION_ID;
use super::super::sql::{self, Cell, Connection, Row, params};
use super::super::upgrade;
use super::Session;
use crate::intake::seal::Seal;

impl Session {
    /// Writes all rows, as they are at one instant, to an empty file: a SQLite database of the present schema.
    pub(in crate::intake::store) fn export(&self, target: &Path, seal: &Seal) -> Result<(), Fault> {
        let wrong = |error| Fault::Store(StoreError::database(target, error));
        let mut sqlite = Sqlite::open(target).map_err(wrong)?;
        sqlite
            .execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = OFF;")
            .map_err(wrong)?;
        upgrade::make(&mut sqlite, seal, APPLICATION_ID).map_err(wrong)?;
        let transaction = sqlite.transaction().map_err(wrong)?;
        // Longer than any question of the day.
        self.batch("SET statement_timeout TO 0; SET idle_in_transaction_session_timeout TO 0")?;
        self.at_one_instant(|| {
            for table in TABLES {
                self.export_table(table, &transaction)?;
            }
            Ok(())
        })?;
        transaction.commit().map_err(wrong)?;
        sqlite.close().map_err(|(_, error)| wrong(error))
    }

    fn export_table(&self, (table, order): (&str, &str), sqlite: &Sqlite) -> Result<(), Fault> {
        let columns = columns(sqlite, table)?;
        let (list, marks) = (columns.join(", "), marks(columns.len()));
        self.batch(&format!("DECLARE copy_{table} NO SCROLL CURSOR FOR SELECT {list} FROM {table} ORDER BY {order}"))?;
        let mut insert =
            sqlite.prepare(&format!("INSERT INTO {table} ({list}) VALUES ({marks})")).map_err(sql::Error::Sqlite)?;
        loop {
            let rows = self.query(&format!("FETCH 200 FROM copy_{table}"), &[])?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in &rows {
                let row = Row::Postgres(row);
                let cells: Vec<Cell<'_>> = (0..columns.len()).map(|at| row.cell(at)).collect::<sql::Result<_>>()?;
                insert.execute(rusqlite::params_from_iter(&cells)).map_err(sql::Error::Sqlite)?;
            }
        }
    }

    /// Takes all rows of a file in, in one transaction; `false` when rows are there already.
    pub(in crate::intake::store) fn import(&self, copy: &Path) -> Result<bool, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Sqlite::open_with_flags(copy, flags);
        let sqlite = Connection::Sqlite(opened.map_err(|error| Fault::Store(StoreError::database(copy, error)))?);
        self.batch("BEGIN")?;
        let done = self.take_all(&sqlite);
        match done {
            Ok(true) => self.batch("COMMIT")?,
            _ => self.batch("ROLLBACK")?,
        }
        done
    }

    fn take_all(&self, copy: &Connection) -> Result<bool, Fault> {
        self.lock("schema")?;
        let rows = self.query("SELECT 1 FROM submission UNION ALL SELECT 1 FROM boite LIMIT 1", &[])?;
        if !rows.is_empty() {
            return Ok(false);
        }
        let Some(sqlite) = copy.sqlite() else { return Ok(false) };
        for (table, order) in TABLES {
            let columns = columns(sqlite, table)?;
            let list = columns.join(", ");
            let insert = format!("INSERT INTO {table} ({list}) VALUES ({})", marks(columns.len()));
            copy.each(&format!("SELECT {list} FROM {table} ORDER BY {order}"), &[], |row| {
                let cells: Vec<Cell<'_>> = (0..columns.len()).map(|at| row.cell(at)).collect::<sql::Result<_>>()?;
                self.execute(&insert, &cells)?;
                Ok(())
            })?;
        }
        for table in ["submission", "mail", "outbox", "event"] {
            // What is numbered next comes after what is there.
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence(?1, 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
            );
            self.query(&sql, params![table])?;
        }
        Ok(true)
    }
}

/// The columns both databases have.
fn columns(sqlite: &Sqlite, table: &str) -> sql::Result<Vec<String>> {
    let mut select = sqlite.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
    let names = select.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// `?1, ?2…`
fn marks(count: usize) -> String {
    (1..=count).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ")
}

/// Every table but the mark of the key, each after those it names, and the order of its rows.
pub(super) const TABLES: [(&str, &str); 12] = [
    ("submission", "id"),
    ("answer", "submission, position"),
    ("file", "rowid"),
    ("mail", "id"),
    ("outbox", "id"),
    ("route", "name"),
    ("event", "id"),
    ("act", "submission, number"),
    ("bulletin", "day"),
    ("quarantine", "submission"),
    ("boite", "rowid"),
    ("erasure", "id"),
];
