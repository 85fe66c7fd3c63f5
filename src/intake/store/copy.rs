//! Copies the database while it works, and looks at a copy nobody uses.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::open::reading_connection;
use super::writer::Order;
use super::{Reading, Store, wait};

/// What a copy of the database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::intake) struct Copied {
    /// Submissions in it.
    pub(in crate::intake) submissions: u64,
    /// Files its rows name.
    pub(in crate::intake) files: Vec<String>,
}

impl Store {
    /// Writes the database as it is at one instant to a file that does not exist yet, private and synced. Nobody waits for it:
    /// it is one long read.
    pub(in crate::intake) fn copy_to(&self, target: &Path) -> Result<(), StoreError> {
        let wrong = |error| StoreError::io(target, error);
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(target).map_err(wrong)?;
        let name = target.to_str().ok_or_else(|| wrong(std::io::ErrorKind::InvalidFilename.into()))?;
        let path = &self.inner.path;
        let reading = match &self.inner.reading {
            Reading::File(reading) => *reading,
            Reading::Server(_) => {
                let session = self.reading_connection()?;
                let session = session.postgres().ok_or(StoreError::Closed)?;
                session.export(target, self.seal()).map_err(|fault| self.told(fault))?;
                return file.sync_all().map_err(wrong);
            }
        };
        // SQLite counts a copy as writing; the database itself stays open for reading only.
        let connection = reading_connection(path, reading)?;
        let copied = connection
            .execute_batch("PRAGMA query_only = OFF")
            .and_then(|()| connection.execute("VACUUM INTO ?1", [name]));
        copied.map_err(|error| StoreError::database(path, error))?;
        file.sync_all().map_err(wrong)
    }

    /// Fills the schema of a server with all that a copy holds, in one transaction; `false`, and nothing done, when something
    /// was recorded there before. The copy must be of this program's schema and sealed with the same key.
    pub(in crate::intake) fn fill_from(&self, copy: &Path) -> Result<bool, StoreError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let copy = copy.to_owned();
        self.send_blocking(Order::Alone(Box::new(move |connection, _| {
            let filled = connection.postgres().map_or(Ok(false), |session| session.import(&copy));
            // The one who asked may have gone.
            let _ = reply.send(filled);
        })))?;
        let filled = wait(answer).map_err(|_| StoreError::Closed)?;
        filled.map_err(|fault| self.told(fault))
    }
}

/// Checks a copy from end to end.
pub(in crate::intake) fn examine(path: &Path) -> Result<Copied, StoreError> {
    let wrong = |error| StoreError::database(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON").map_err(wrong)?;
    let report = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    match report.map_err(wrong)? {
        report if report == "ok" => {}
        reason => return Err(StoreError::Damaged { path: path.to_owned(), reason }),
    }
    let count = connection.query_row("SELECT count(*) FROM submission", [], |row| row.get::<_, i64>(0));
    let mut select = connection.prepare("SELECT DISTINCT id FROM file ORDER BY id").map_err(wrong)?;
    let files = select.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(wrong)?;
    Ok(Copied { submissions: count.map_err(wrong)?.unsigned_abs(), files })
}
