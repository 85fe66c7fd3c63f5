//! Brings a database of an earlier schema to the present one, under the lock of the one who serves. Each step is one
//! transaction, or can be run again: a process that dies in between leaves the next one the rest.

use std::path::Path;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, TransactionBehavior, params};

use super::error::StoreError;
use crate::intake::files::seal_folder;
use crate::intake::seal::{Place, Seal};

/// One step from a schema to the next.
enum Step {
    /// Only SQL.
    Words(&'static str),
    /// SQL that seals what was clear; files first, so that the database still tells what is to be done.
    Seal(&'static str),
}

/// Every step with its number, in order; `user_version` is the number of the last one done.
const STEPS: &[(i32, Step)] = &[
    (1, Step::Words(include_str!("../migrations/0001_guichet.sql"))),
    (SEALED, Step::Seal(include_str!("../migrations/0002_scelle.sql"))),
    (3, Step::Words(include_str!("../migrations/0003_dossier.sql"))),
    (4, Step::Words(include_str!("../migrations/0004_quarantaine.sql"))),
    (5, Step::Words(include_str!("../migrations/0005_boites.sql"))),
    (6, Step::Words(include_str!("../migrations/0006_effacement.sql"))),
];

/// Newest schema this program knows.
pub(super) const SCHEMA: i32 = STEPS[STEPS.len() - 1].0;

/// First schema whose values are sealed: from there on the key must be the one that sealed them.
pub(super) const SEALED: i32 = 2;

/// Does the steps that remain after `known`.
pub(super) fn run(
    connection: &mut Connection,
    path: &Path,
    known: i32,
    seal: &Seal,
    application_id: i32,
) -> Result<(), StoreError> {
    let wrong = |error| StoreError::database(path, error);
    for (version, step) in STEPS.iter().filter(|(version, _)| *version > known) {
        match step {
            Step::Words(sql) => transaction(connection, sql, (*version, application_id), None).map_err(wrong)?,
            Step::Seal(sql) => {
                seal_folder(path.parent().unwrap_or(Path::new(".")), seal)?;
                with_functions(connection, seal, |connection| {
                    // A new database has nothing to sweep.
                    transaction(connection, sql, (*version, application_id), Some((seal.mark(), known == 0)))
                })
                .map_err(wrong)?;
            }
        }
    }
    Ok(())
}

/// Makes the tables of a database that is still empty and has no files beside it.
pub(super) fn make(connection: &mut Connection, seal: &Seal, application_id: i32) -> rusqlite::Result<()> {
    with_functions(connection, seal, |connection| {
        for (version, step) in STEPS {
            let (sql, mark) = match step {
                Step::Words(sql) => (sql, None),
                Step::Seal(sql) => (sql, Some((seal.mark(), true))),
            };
            transaction(connection, sql, (*version, application_id), mark)?;
        }
        Ok(())
    })
}

fn transaction(
    connection: &mut Connection,
    sql: &str,
    (version, application_id): (i32, i32),
    mark: Option<([u8; 16], bool)>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited for the lock.
    let known: i32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if known >= version {
        return Ok(());
    }
    transaction.execute_batch(sql)?;
    if let Some((mark, is_swept)) = mark {
        transaction.execute("INSERT INTO seal (id, mark, swept) VALUES (1, ?1, ?2)", params![mark, is_swept])?;
    }
    transaction.pragma_update(None, "application_id", application_id)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// Lends `sealed()` and `tagged()` to a step that rebuilds tables, foreign keys off as SQLite asks for that.
fn with_functions(
    connection: &mut Connection,
    seal: &Seal,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let (closing, tagging) = (seal.clone(), seal.clone());
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("sealed", -1, flags, move |context| {
        with_place(context, |place, text| {
            closing.close(place, text).map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))
        })
    })?;
    connection.create_scalar_function("tagged", -1, flags, move |context| {
        with_place(context, |place, text| Ok(tagging.tag(place, text).to_vec()))
    })?;
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    let done = work(connection);
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    connection.remove_function("sealed", -1)?;
    connection.remove_function("tagged", -1)?;
    done
}

/// Arguments: the text, its column, what names its row.
fn with_place(
    context: &Context<'_>,
    work: impl FnOnce(Place<'_>, &[u8]) -> rusqlite::Result<Vec<u8>>,
) -> rusqlite::Result<Option<Vec<u8>>> {
    if context.get_raw(0) == ValueRef::Null {
        return Ok(None);
    }
    let words: Vec<String> = (0..context.len()).map(|at| context.get(at)).collect::<Result<_, _>>()?;
    let [text, column, row @ ..] = words.as_slice() else { return Err(rusqlite::Error::InvalidQuery) };
    let row: Vec<&[u8]> = row.iter().map(String::as_bytes).collect();
    work(Place(column, &row), text.as_bytes()).map(Some)
}

/// Rewrites the whole file and empties the log, unless done before: no word written in clear stays on disk.
pub(super) fn sweep(connection: &Connection) -> rusqlite::Result<()> {
    if connection.query_row("SELECT swept FROM seal", [], |row| row.get(0))? {
        return Ok(());
    }
    connection.execute_batch("VACUUM")?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        // A reader of the administration is in the way: the next start does it.
        tracing::warn!("words written in clear before the upgrade are still in the log");
        return Ok(());
    }
    connection.execute("UPDATE seal SET swept = 1", []).map(|_| ())
}
