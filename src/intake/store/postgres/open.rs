//! Opens the schema of a commune: what the server is set to, tables, key.

use std::path::{Path, PathBuf};

use super::super::error::StoreError;
use super::super::format::Format;
use super::super::open::{check_key, create_private_dir};
use super::super::sql::{self, Connection, params};
use super::super::{Access, StoreOptions};
use super::{Base, Instance, Session};
use crate::intake::token::{KEY_FILE, Keys};

/// Every step with its number, in order. A new schema begins with the first, which has all SQLite had by then.
const STEPS: &[(i32, &str)] =
    &[(5, include_str!("../../migrations/postgres/0005.sql")), (6, include_str!("../../migrations/postgres/0006.sql"))];

/// What opening yields.
pub(in crate::intake::store) struct Opened {
    /// The writing connection.
    pub(in crate::intake::store) connection: Connection,
    /// Which instance this is; none beside those that serve.
    pub(in crate::intake::store) instance: Option<Instance>,
    /// The keys the schema is sealed with.
    pub(in crate::intake::store) keys: Keys,
    /// Where they are kept.
    pub(in crate::intake::store) key_file: PathBuf,
}

/// Opens the schema, making it when serving. Several instances may do so at once: one makes it, the others wait.
pub(in crate::intake::store) fn open(base: &Base, dir: &Path, options: &StoreOptions) -> Result<Opened, StoreError> {
    let place = PathBuf::from(base.name());
    let wrong = |error| StoreError::sql(&place, error);
    let serves = options.access != Access::Beside;
    let (instance, dead) = match serves {
        true => {
            create_private_dir(dir)?;
            let (instance, dead) = Instance::take(dir)?;
            (Some(instance), dead)
        }
        false => (None, Vec::new()),
    };
    let session = Session::connect(base, instance.as_ref().map(|instance| instance.number));
    let session = session.map_err(|error| wrong(error.into()))?;
    check_server(&session, base)?;
    let key_file = options.key_file.clone().unwrap_or_else(|| dir.join(KEY_FILE));
    // Ends with the connection, whatever happens in between.
    session.batch("BEGIN").map_err(wrong)?;
    session.lock("schema").map_err(wrong)?;
    let known = owner(&session, base)?;
    if known == 0 && !serves {
        return Err(StoreError::Absent { path: place });
    }
    let keys = if known == 0 { Keys::read_or_make(&key_file) } else { Keys::read(&key_file) };
    let keys = keys.map_err(StoreError::key)?;
    if known == 0 {
        make(&session, base, &keys).map_err(wrong)?;
    }
    if known > 0 {
        steps_after(known, &session).map_err(wrong)?;
    }
    session.batch("COMMIT").map_err(wrong)?;
    let connection = Connection::Postgres(Box::new(session));
    check_key(&connection, &keys, (&place, &key_file))?;
    for number in dead {
        give_back(&connection, number).map_err(wrong)?;
    }
    Ok(Opened { connection, instance, keys, key_file })
}

/// The version of the schema, and the one this program writes; nothing is changed.
pub(in crate::intake::store) fn format(base: &Base) -> Result<Format, StoreError> {
    let place = PathBuf::from(base.name());
    let session = Session::connect(base, None).map_err(|error| StoreError::sql(&place, error.into()))?;
    match owner(&session, base)? {
        0 => Err(StoreError::Absent { path: place }),
        found => Ok(Format { found, known: STEPS[STEPS.len() - 1].0 }),
    }
}

/// Makes the schema, its tables, and the mark of its key.
fn make(session: &Session, base: &Base, keys: &Keys) -> sql::Result<()> {
    let exists = session.query("SELECT 1 FROM pg_namespace WHERE nspname = ?1", params![base.schema()])?;
    if exists.is_empty() {
        session.batch(&format!("CREATE SCHEMA \"{}\"", base.schema()))?;
    }
    steps_after(0, session)?;
    let mark = keys.seal().mark();
    session.execute("INSERT INTO seal (id, mark, swept) VALUES (1, ?1, 1)", params![mark]).map(|_| ())
}

/// Does the steps that remain after `known`.
fn steps_after(known: i32, session: &Session) -> sql::Result<()> {
    for (version, step) in STEPS.iter().filter(|(version, _)| *version > known) {
        session.batch(step)?;
        session.execute("UPDATE mulot SET version = ?1", params![*version])?;
    }
    Ok(())
}

/// The schema's version; 0 when it is still to be made.
fn owner(session: &Session, base: &Base) -> Result<i32, StoreError> {
    let place = PathBuf::from(base.name());
    let wrong = |error| StoreError::sql(&place, error);
    let sql = "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
               WHERE nspname = ?1 AND relkind IN ('r', 'p', 'v', 'm')";
    let tables = session.query(sql, params![base.schema()]).map_err(wrong)?;
    if tables.is_empty() {
        return Ok(0);
    }
    let names: Vec<String> =
        tables.iter().map(|row| sql::Row::Postgres(row).get(0)).collect::<sql::Result<_>>().map_err(wrong)?;
    if !names.iter().any(|name| name == "mulot") {
        return Err(StoreError::Foreign { path: place, found: 0 });
    }
    let rows = session.query("SELECT version FROM mulot", &[]).map_err(wrong)?;
    let version: Option<i32> = rows.first().map(|row| sql::Row::Postgres(row).get(0)).transpose().map_err(wrong)?;
    let known = STEPS[STEPS.len() - 1].0;
    match version {
        None => Err(StoreError::Foreign { path: place, found: 0 }),
        Some(found) if found > known => Err(StoreError::Newer { path: place, found, known }),
        Some(found) => Ok(found),
    }
}

/// A server that forgets what it has promised in a power cut, or cannot hold our words, is not used.
pub(super) fn check_server(session: &Session, base: &Base) -> Result<(), StoreError> {
    let place = PathBuf::from(base.name());
    for (setting, is_fit) in FIT {
        let rows = session.query("SELECT current_setting(?1)", params![*setting]);
        let rows = rows.map_err(|error| StoreError::sql(&place, error))?;
        let value: Option<String> = rows.first().and_then(|row| sql::Row::Postgres(row).get(0).ok());
        let value = value.unwrap_or_default();
        if !is_fit(&value) {
            return Err(StoreError::Unfit { base: base.name().to_owned(), setting, value });
        }
    }
    Ok(())
}

/// A setting of the server and whether we can work with a value of it.
type Fit = (&'static str, fn(&str) -> bool);

const FIT: &[Fit] = &[
    // The status of a transaction whose answer was lost can be asked from 13 on.
    ("server_version_num", |value| value.parse::<u32>().is_ok_and(|number| number >= 130_000)),
    ("server_encoding", |value| value == "UTF8"),
    ("fsync", |value| value == "on"),
    ("full_page_writes", |value| value == "on"),
    ("synchronous_commit", |value| value == "on"),
];

/// Gives back what an instance held that is proved to be dead.
fn give_back(connection: &Connection, holder: i64) -> sql::Result<usize> {
    let sql = "UPDATE outbox SET state = 'à_envoyer', lease_ms = NULL, holder = NULL
               WHERE state = 'en_cours' AND holder = ?1";
    connection.execute(sql, params![holder])
}
