//! Opens the database: library version, lock, owner and version of the file, settings, schema.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::sql;
use super::upgrade::{self, SCHEMA, SEALED};
use super::writer::empty_log;
use super::{Access, StoreOptions};
use crate::intake::backup::MARK;
use crate::intake::files::KEPT;
use crate::intake::token::{KEY_FILE, Keys};

/// The database inside the guichet's folder.
pub(in crate::intake) const FILE: &str = "guichet.db";

/// The lock of the one instance that receives.
const LOCK: &str = "verrou";

/// The lock of the one instance that delivers: most often the same.
const DELIVERY_LOCK: &str = "verrou-courrier";

/// Held, with others, by who serves the guichets of all communes under a folder, asleep or not.
const SERVED: &str = "verrou-territoire";

/// Held while a database is opened: one instance at a time makes it or brings it up to date.
const OPENING_LOCK: &str = "verrou-ouverture";

/// `Mult` in ASCII: marks our databases.
pub(super) const APPLICATION_ID: i32 = 0x4d75_6c74;

/// What opening yields.
pub(super) struct Opened {
    /// The writing connection.
    pub(super) connection: sql::Connection,
    /// Where the database stands.
    pub(super) path: PathBuf,
    /// Held as long as the store lives; `None` beside a serving instance.
    pub(super) lock: Option<Locks>,
    /// The keys it is sealed with.
    pub(super) keys: Keys,
    /// Where they are kept.
    pub(super) key_file: PathBuf,
    /// How the database is read.
    pub(super) reading: Reading,
}

/// The locks of an instance, released by the system when they go.
pub(super) type Locks = Vec<File>;

/// How a connection that only reads finds the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Beside a writer, now or later.
    Shared,
    /// On a disk that takes no write, with nothing in the log: SQLite need not make the files by which it would wait for others.
    Frozen,
}

/// Opens the database of `dir` for writing, creating it when serving.
///
/// The log a dead process left is first written back and emptied. Its end may be what a disk that failed never took, read
/// from the system's memory as if it were safe: whatever was written after it would be lost with it in a power cut.
pub(super) fn open(dir: &Path, options: &StoreOptions) -> Result<Opened, StoreError> {
    if rusqlite::version_number() < 3_051_003 {
        return Err(StoreError::OldSqlite { found: rusqlite::version() });
    }
    let path = dir.join(FILE);
    let names: &[&str] = match options.access {
        Access::Serve => &[LOCK, DELIVERY_LOCK],
        Access::Receive => &[LOCK],
        Access::Deliver => &[DELIVERY_LOCK],
        Access::Beside => &[],
    };
    let mut opening = None;
    let is_there = is_in(dir)?;
    let lock = match options.access {
        // Another one in its place would take requests that nobody looks for, and hide that the others are gone.
        _ if !is_there && has_traces(dir) => return Err(StoreError::Lost { path }),
        Access::Serve | Access::Receive | Access::Deliver => {
            make_dir(dir)?;
            opening = Some(wait_lock(&dir.join(OPENING_LOCK))?);
            Some(names.iter().map(|name| lock(&dir.join(name))).collect::<Result<Locks, _>>()?)
        }
        Access::Beside if !is_there => return Err(StoreError::Absent { path }),
        Access::Beside if is_read_only(dir) => return frozen(dir, options),
        Access::Beside => None,
    };
    let (mut connection, known) = writing_connection(&path)?;
    let wrong = |error| StoreError::database(&path, error);
    if lock.is_some() && !empty_log(&connection).map_err(wrong)? {
        tracing::warn!("the log of the last run stays: another process reads it");
    }
    // Nobody may write in the old way meanwhile.
    let upgrading = match &lock {
        None if known < SCHEMA => {
            opening = Some(wait_lock(&dir.join(OPENING_LOCK))?);
            Some(serving_locks(dir)?)
        }
        _ => None,
    };
    let key_file = options.key_file.clone().unwrap_or_else(|| dir.join(KEY_FILE));
    let keys = if known < SEALED { Keys::read_or_make(&key_file) } else { Keys::read(&key_file) };
    let keys = keys.map_err(StoreError::key)?;
    if known < SCHEMA {
        upgrade::run(&mut connection, &path, known, keys.seal(), APPLICATION_ID)?;
        check_pages(&connection, &path)?;
    }
    let connection = sql::Connection::Sqlite(connection);
    check_key(&connection, &keys, (&path, &key_file))?;
    if let (Some(sqlite), true) = (connection.sqlite(), lock.is_some() || upgrading.is_some()) {
        upgrade::sweep(sqlite).map_err(wrong)?;
        sync_dir(dir)?;
    }
    drop(opening);
    Ok(Opened { connection, path, lock, keys, key_file, reading: Reading::Shared })
}

/// Whether a folder holds a database, whatever it is.
pub(super) fn is_in(dir: &Path) -> Result<bool, StoreError> {
    let path = dir.join(FILE);
    match path.try_exists() {
        // What was named is a file itself.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        found => found.map_err(|error| StoreError::io(&path, error)),
    }
}

/// Why there is none in a folder.
pub(super) fn absent(dir: &Path) -> StoreError {
    let path = dir.join(FILE);
    if has_traces(dir) { StoreError::Lost { path } } else { StoreError::Absent { path } }
}

/// Whether a folder has held a database: its log is there, requests left files, or a copy of what was served was made. A key alone
/// says nothing, nor a mark where nobody has served: both may be laid there before.
fn has_traces(dir: &Path) -> bool {
    let inside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    dir.join(format!("{FILE}-wal")).exists()
        || dir.join(MARK).exists() && dir.join(OPENING_LOCK).exists()
        || inside(&dir.join(KEPT)).any(|folder| inside(&folder).next().is_some())
}

/// Opens the database of a disk that takes no write: all is read, every order to write is refused.
///
/// Without a log the file is complete. With one, what it holds is read too, as long as its index is there.
pub(super) fn frozen(dir: &Path, options: &StoreOptions) -> Result<Opened, StoreError> {
    let path = dir.join(FILE);
    let log = fs::metadata(dir.join(format!("{FILE}-wal"))).map_or(0, |metadata| metadata.len());
    let reading = if log == 0 { Reading::Frozen } else { Reading::Shared };
    let connection = reading_connection(&path, reading)?;
    if owner(&connection, &path)? < SCHEMA {
        return Err(StoreError::io(&path, std::io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    check_pages(&connection, &path)?;
    let key_file = options.key_file.clone().unwrap_or_else(|| dir.join(KEY_FILE));
    let keys = Keys::read(&key_file).map_err(StoreError::key)?;
    let connection = sql::Connection::Sqlite(connection);
    check_key(&connection, &keys, (&path, &key_file))?;
    Ok(Opened { connection, path, lock: None, keys, key_file, reading })
}

/// Whether the file system of `dir` takes no write.
pub(super) fn is_read_only(dir: &Path) -> bool {
    rustix::fs::statvfs(dir).is_ok_and(|numbers| numbers.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Whether these keys sealed the database.
pub(super) fn check_key(
    connection: &sql::Connection,
    keys: &Keys,
    (path, key_file): (&Path, &Path),
) -> Result<(), StoreError> {
    let mark: sql::Result<Option<Vec<u8>>> = connection.query_opt("SELECT mark FROM seal", &[], |row| row.get(0));
    match mark.map_err(|error| StoreError::sql(path, error))? {
        Some(mark) if mark == keys.seal().mark().as_slice() => Ok(()),
        _ => Err(StoreError::WrongKey { path: key_file.to_owned() }),
    }
}

/// A connection that only reads.
pub(super) fn reading_connection(path: &Path, reading: Reading) -> Result<Connection, StoreError> {
    let wrong = |error| StoreError::database(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = match (reading, path.to_str()) {
        (Reading::Frozen, Some(name)) => {
            let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let address = format!("file:{name}?immutable=1");
            Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => Connection::open_with_flags(path, flags),
    };
    let connection = opened.map_err(wrong)?;
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

/// Makes the guichet's folder, whose own name survives a power cut too.
fn make_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    create_private_dir(dir)?;
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_dir(above)
}

/// Makes a folder that only its owner may enter, and those above it.
pub(in crate::intake) fn create_private_dir(dir: &Path) -> Result<(), StoreError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| StoreError::io(dir, error))
}

/// All the locks of a data folder: nobody serves, opens nor upgrades it as long as they are held.
pub(super) fn all_locks(dir: &Path) -> Result<Locks, StoreError> {
    let opening = wait_lock(&dir.join(OPENING_LOCK))?;
    let mut locks = serving_locks(dir)?;
    locks.push(opening);
    Ok(locks)
}

fn serving_locks(dir: &Path) -> Result<Locks, StoreError> {
    [LOCK, DELIVERY_LOCK].iter().map(|name| lock(&dir.join(name))).collect()
}

/// A new file that only its owner may read.
pub(super) fn private_file(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    opened.map_err(|error| StoreError::io(path, error))
}

/// Waits for a lock that is never held for long.
fn wait_lock(path: &Path) -> Result<File, StoreError> {
    let file = lock_file(path)?;
    file.lock().map_err(|error| StoreError::io(path, error))?;
    Ok(file)
}

fn lock_file(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    opened.map_err(|error| StoreError::io(path, error))
}

/// Says, as long as the value lives, that the guichets under `dir` are served, and by whom: one process that receives, one that
/// delivers. What cannot be written down is left out: each base has its own lock all the same.
pub(super) fn serve_under(dir: &Path, parts: &[ServedPart]) -> Result<Served, StoreError> {
    let mut held = Vec::new();
    if make_dir(dir).is_err() {
        return Ok(Served(held));
    }
    held.extend(lock_file(&dir.join(SERVED)).ok().filter(|file| file.try_lock_shared().is_ok()));
    for part in parts {
        match lock(&dir.join(part.file())) {
            Ok(file) => held.push(file),
            Err(StoreError::Locked { .. }) => return Err(StoreError::Locked { path: dir.to_owned() }),
            Err(_) => {}
        }
    }
    Ok(Served(held))
}

/// A part of serving that one process alone does over the same data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedPart {
    /// Answers visitors.
    Receiving,
    /// Sends the mails.
    Delivering,
}

impl ServedPart {
    fn file(self) -> &'static str {
        match self {
            ServedPart::Receiving => "verrou-accueil",
            ServedPart::Delivering => "verrou-courrier",
        }
    }
}

/// The guichets of a folder are served as long as this lives.
#[derive(Debug)]
pub struct Served(#[expect(dead_code, reason = "held, never read")] Vec<File>);

/// Keeps the guichets under `dir` from being served, as long as the value lives.
pub(super) fn alone_under(dir: &Path) -> Result<File, StoreError> {
    lock(&dir.join(SERVED))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let wrong = |error| StoreError::io(path, error);
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(wrong(error)),
    }
}

/// The writing connection and the schema it found, its pages checked.
fn writing_connection(path: &Path) -> Result<(Connection, i32), StoreError> {
    let wrong = |error| StoreError::database(path, error);
    // SQLite would create it readable by all: made here first, private.
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(StoreError::io(path, error)),
        _ => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection.busy_timeout(BUSY).map_err(wrong)?;
    let known = owner(&connection, path)?;
    if known == 0 {
        // Both only count before the first table.
        connection.execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;").map_err(wrong)?;
    }
    connection.execute_batch(SETTINGS).map_err(wrong)?;
    connection.set_prepared_statement_cache_capacity(64);
    check_settings(&connection, path)?;
    check_pages(&connection, path)?;
    Ok((connection, known))
}

/// SQLite's quick check.
fn check_pages(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let report = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match report.map_err(|error| StoreError::database(path, error))? {
        report if report == "ok" => Ok(()),
        reason => Err(StoreError::Damaged { path: path.to_owned(), reason }),
    }
}

/// The schema version of the file; 0 when it is still empty.
pub(super) fn owner(connection: &Connection, path: &Path) -> Result<i32, StoreError> {
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
