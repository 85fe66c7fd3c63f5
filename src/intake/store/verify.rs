//! Opens every sealed value to see whether it still can be.

use serde::Serialize;

use super::error::{Fault, StoreError};
use super::outbox::RECIPIENT;
use super::sql::{self, Connection, params};
use super::{Store, record};
use crate::intake::seal::{Place, Seal};
use crate::model::reference::Reference;
use crate::model::submission::StoredFile;

/// A stored value that has changed since it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Damage {
    /// The submission it belongs to, as the database has it.
    pub reference: String,
    /// Its table and column.
    pub what: &'static str,
}

impl Store {
    /// Every sealed value that does not open any more: changed on the disk, or moved to another row.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn damaged(&self) -> Result<Vec<Damage>, StoreError> {
        let mut damaged = self.read(|connection| {
            let mut damaged = Vec::new();
            for (column, sql) in SEALED {
                look(connection, self.seal(), (column, sql), &mut damaged)?;
            }
            Ok(damaged)
        })?;
        damaged.sort();
        damaged.dedup();
        Ok(damaged)
    }

    /// The files rows name, with their submission; those whose row is damaged are left out ([`Store::damaged`] has them).
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn kept_files(&self) -> Result<Vec<(StoredFile, Reference)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT submission.reference, file.id, file.file FROM file
                       JOIN submission ON submission.id = file.submission ORDER BY file.id";
            let mut kept = Vec::new();
            connection.each(sql, params![], |row| {
                let (name, id, sealed): (String, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let place = Place("file.file", &[name.as_bytes(), id.as_bytes()]);
                let file = record::opened::<StoredFile>(self.seal(), place, &sealed, "file");
                if let (Ok(file), Ok(reference)) = (file, name.parse()) {
                    kept.push((file, reference));
                }
                Ok(())
            })?;
            Ok(kept)
        })
    }
}

/// Rows of a query: reference, sealed value, then the texts that name its row.
fn look(
    connection: &Connection,
    seal: &Seal,
    (column, sql): (&'static str, &str),
    damaged: &mut Vec<Damage>,
) -> Result<(), Fault> {
    connection.each(sql, params![], |row| {
        let names: Vec<String> = (2..row.len()).map(|at| row.get(at)).collect::<sql::Result<_>>()?;
        let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        if seal.open(Place(column, &names), &row.get::<Vec<u8>>(1)?).is_err() {
            damaged.push(Damage { reference: row.get(0)?, what: column });
        }
        Ok(())
    })
}

/// Every sealed column and how its rows are named.
const SEALED: [(&str, &str); 9] = [
    ("boite.address", "SELECT 'boîte', address FROM boite"),
    ("submission.sender", "SELECT reference, sender, reference FROM submission WHERE sender IS NOT NULL"),
    ("submission.receipt", "SELECT reference, receipt, reference FROM submission WHERE receipt IS NOT NULL"),
    ("submission.backup", "SELECT reference, backup, reference FROM submission"),
    (
        "answer.answer",
        "SELECT reference, answer, reference, CAST(position AS TEXT) FROM answer
         JOIN submission ON submission.id = answer.submission",
    ),
    (
        "file.file",
        "SELECT reference, file, reference, file.id FROM file JOIN submission ON submission.id = file.submission",
    ),
    (
        "mail.mail",
        "SELECT reference, mail, reference, message_id FROM mail
         JOIN submission ON submission.id = mail.submission WHERE mail IS NOT NULL",
    ),
    (
        "act.payload",
        "SELECT reference, payload, reference, CAST(number AS TEXT) FROM act
         JOIN submission ON submission.id = act.submission WHERE payload IS NOT NULL",
    ),
    (
        RECIPIENT,
        "SELECT reference, recipient, message_id FROM outbox JOIN mail ON mail.id = outbox.mail
         JOIN submission ON submission.id = mail.submission WHERE recipient IS NOT NULL",
    ),
];
