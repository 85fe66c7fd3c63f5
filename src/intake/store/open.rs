//! Opens the database: library version, lock, owner and version of the file, settings, schema.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::StoreError;
use super::{Access, StoreOptions};

/// The database inside the guichet's folder.
pub(super) const FILE: &str = "guichet.db";

/// The lock of the one instance that serves.
const LOCK: &str = "verrou";

/// `Mult` in ASCII: marks our databases.
const APPLICATION_ID: i32 = 0x4d75_6c74;

/// Every schema with its number, in order; `user_version` is the number of the last one applied.
const MIGRATIONS: &[(i32, &str)] =
    &[(1, include_str!("../migrations/0001_guichet.sql")), (3, include_str!("../migrations/0003_dossier.sql"))];

/// Newest schema this program knows.
pub(super) const SCHEMA: i32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What opening yields.
pub(super) struct Opened {
    /// The writing connection.
    pub(super) connection: Connection,
    /// Where the database stands.
    pub(super) path: PathBuf,
    /// Held as long as the store lives; `None` beside a serving instance.
    pub(super) lock: Option<File>,
}

/// Opens the database of `dir` for writing, creating it when serving.
pub(super) fn open(dir: &Path, options: &StoreOptions) -> Result<Opened, StoreError> {
    if rusqlite::version_number() < 3_051_003 {
        return Err(StoreError::OldSqlite { found: rusqlite::version() });
    }
    let path = dir.join(FILE);
    let lock = match options.access {
        Access::Serve => {
            create_private_dir(dir)?;
            Some(lock(&dir.join(LOCK))?)
        }
        Access::Beside if !path.exists() => return Err(StoreError::Absent { path }),
        Access::Beside => None,
    };
    let connection = writing_connection(&path)?;
    if options.access == Access::Serve {
        sync_dir(dir)?;
    }
    Ok(Opened { connection, path, lock })
}

/// A connection that only reads.
pub(super) fn reading_connection(path: &Path) -> Result<Connection, StoreError> {
    let wrong = |error| StoreError::database(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection.busy_timeout(BUSY).map_err(wrong)?;
    connection
        .execute_batch(
            "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA query_only = ON;
             PRAGMA cache_size = -2000;",
        )
        .map_err(wrong)?;
    Ok(connection)
}

/// Syncs a folder, so that the names in it survive a power cut.
pub(in crate::intake) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| StoreError::io(dir, error))
}

/// Makes a folder that only its owner may enter, and those above it.
pub(in crate::intake) fn create_private_dir(dir: &Path) -> Result<(), StoreError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| StoreError::io(dir, error))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let wrong = |error| StoreError::io(path, error);
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = opened.map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(wrong(error)),
    }
}

fn writing_connection(path: &Path) -> Result<Connection, StoreError> {
    let wrong = |error| StoreError::database(path, error);
    // SQLite would create it readable by all: made here first, private.
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(StoreError::io(path, error)),
        _ => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection.busy_timeout(BUSY).map_err(wrong)?;
    let known = owner(&connection, path)?;
    if known == 0 {
        // Both only count before the first table.
        connection.execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;").map_err(wrong)?;
    }
    connection.execute_batch(SETTINGS).map_err(wrong)?;
    connection.set_prepared_statement_cache_capacity(64);
    check_settings(&connection, path)?;
    migrate(&mut connection, known).map_err(wrong)?;
    let report: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(wrong)?;
    if report != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned(), reason: report });
    }
    Ok(connection)
}

/// The schema version of the file; 0 when it is still empty.
fn owner(connection: &Connection, path: &Path) -> Result<i32, StoreError> {
    let number = |sql: &str| {
        let read = connection.query_row(sql, [], |row| row.get::<_, i32>(0));
        read.map_err(|error| StoreError::database(path, error))
    };
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application == 0 && is_empty {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned(), found: application });
    }
    if version > SCHEMA {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: SCHEMA });
    }
    Ok(version)
}

fn check_settings(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let wrong = |error| StoreError::database(path, error);
    let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(wrong)?;
    let synchronous: i32 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(wrong)?;
    let secure: i32 = connection.query_row("PRAGMA secure_delete", [], |row| row.get(0)).map_err(wrong)?;
    if (journal.as_str(), synchronous, secure) == ("wal", 2, 1) {
        return Ok(());
    }
    let reason = format!("settings refused: journal {journal}, synchronous {synchronous}, secure_delete {secure}");
    Err(StoreError::Content { what: "settings", reason })
}

fn migrate(connection: &mut Connection, known: i32) -> rusqlite::Result<()> {
    if known == SCHEMA {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated while this one waited for the lock.
    let known: i32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (_, migration) in MIGRATIONS.iter().filter(|(number, _)| *number > known) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}

/// Settings of the writing connection. Checkpoints are made by the writer itself: SQLite's own ones hide a failed sync, and
/// the next sync would then pretend that all is well.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA mmap_size = 0;
    PRAGMA cell_size_check = ON;
    PRAGMA cache_size = -2000;
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
";

/// How long a connection waits for another process.
const BUSY: Duration = Duration::from_secs(5);
