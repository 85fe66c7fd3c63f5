//! Writes one accepted submission: itself, its answers, its files, its mails and what the outbox owes.

use jiff::{Timestamp, Zoned};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::{Fault, StoreError};
use super::{Store, outbox};
use crate::model::intake::{NewSubmission, Recorded};
use crate::model::reference::Reference;

/// A submission already put in the words of the table, so that the writer only writes.
pub(super) struct Row {
    submission: NewSubmission,
    answers: Vec<String>,
    sender: String,
    receipt: String,
    mails: Vec<String>,
    backup: String,
}

impl Row {
    pub(super) fn new(submission: NewSubmission) -> Result<Row, StoreError> {
        Ok(Row {
            answers: submission.answers.iter().map(json).collect::<Result<_, _>>()?,
            sender: json(&submission.sender)?,
            receipt: json(&submission.receipt)?,
            mails: submission.mails.iter().map(json).collect::<Result<_, _>>()?,
            backup: json(&submission.recipients_backup)?,
            submission,
        })
    }

    /// Inserts all of it, or gives what the same nonce gave before.
    pub(super) fn insert(&self, connection: &Connection) -> Result<Recorded, Fault> {
        let new = &self.submission;
        let now = new.received_at.timestamp().as_millisecond();
        let mut insert = connection.prepare_cached(INSERT)?;
        let inserted = insert.execute(params![
            new.reference.as_str(),
            new.nonce.as_slice(),
            new.form_id,
            new.form_title,
            new.received_at.to_string(),
            now,
            new.purge_after.to_string(),
            self.sender,
            self.receipt,
            self.backup,
        ]);
        match inserted {
            Ok(0) => return known(connection, &new.nonce)?.ok_or_else(|| Fault::content("submission", "nonce lost")),
            Ok(_) => {}
            Err(error) if is_constraint(&error) => {
                return Err(Fault::Store(StoreError::ReferenceTaken { reference: new.reference.clone() }));
            }
            Err(error) => return Err(error.into()),
        }
        let submission = connection.last_insert_rowid();
        self.insert_parts(connection, submission)?;
        let mut insert =
            connection.prepare_cached("INSERT INTO mail (submission, message_id, mail) VALUES (?1, ?2, ?3)")?;
        for (mail, json) in new.mails.iter().zip(&self.mails) {
            insert.execute(params![submission, mail.message_id, json])?;
            let id = connection.last_insert_rowid();
            for recipient in &mail.to {
                outbox::enqueue(connection, id, mail.role, recipient, now)?;
            }
        }
        Ok(Recorded {
            reference: new.reference.clone(),
            new: true,
            received_at: new.received_at.clone(),
            receipt: new.receipt.clone(),
        })
    }

    fn insert_parts(&self, connection: &Connection, submission: i64) -> rusqlite::Result<()> {
        let mut insert =
            connection.prepare_cached("INSERT INTO answer (submission, position, answer) VALUES (?1, ?2, ?3)")?;
        for (position, answer) in self.answers.iter().enumerate() {
            insert.execute(params![submission, position as i64, answer])?;
        }
        let mut insert = connection.prepare_cached(
            "INSERT INTO file (submission, id, name, media_type, size, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
        )?;
        for file in &self.submission.files {
            insert.execute(params![submission, file.id, file.name, file.media_type, file.size as i64, file.hash])?;
        }
        Ok(())
    }
}

impl Store {
    /// What was recorded under this nonce, if anything: asked before anything else when a page is confirmed, for a second
    /// press on the button must find its first.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn recorded(&self, nonce: &[u8; 16]) -> Result<Option<Recorded>, StoreError> {
        self.read(|connection| known(connection, nonce))
    }

    /// The receipt shown for this reference, once the secret of its address is checked.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn receipt(&self, reference: &Reference) -> Result<Option<Recorded>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT reference, received_at, receipt FROM submission WHERE reference = ?1";
            connection.query_row(sql, [reference.as_str()], recorded).optional()?.transpose()
        })
    }
}

fn known(connection: &Connection, nonce: &[u8; 16]) -> Result<Option<Recorded>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT reference, received_at, receipt FROM submission WHERE nonce = ?1")?;
    select.query_row([nonce.as_slice()], recorded).optional()?.transpose()
}

fn recorded(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Recorded, Fault>> {
    let (reference, received_at): (String, String) = (row.get(0)?, row.get(1)?);
    let receipt: Option<String> = row.get(2)?;
    Ok(read_recorded(&reference, &received_at, receipt.as_deref()))
}

fn read_recorded(reference: &str, received_at: &str, receipt: Option<&str>) -> Result<Recorded, Fault> {
    Ok(Recorded {
        reference: reference.parse().map_err(|error| Fault::content("reference", error))?,
        new: false,
        received_at: zoned(received_at)?,
        receipt: match receipt {
            Some(text) => serde_json::from_str(text).map_err(|error| Fault::content("receipt", error))?,
            None => serde_json::Value::Null,
        },
    })
}

/// A date and hour with its zone; a zone that no longer exists leaves the instant, in UTC.
pub(super) fn zoned(text: &str) -> Result<Zoned, Fault> {
    text.parse::<Zoned>()
        .or_else(|_| text.parse::<Timestamp>().map(|instant| instant.to_zoned(jiff::tz::TimeZone::UTC)))
        .map_err(|error| Fault::content("date of reception", error))
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Content { what: "submission", reason: error.to_string() })
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

const INSERT: &str = "
    INSERT INTO submission (reference, nonce, form_id, form_title, received_at, received_ms, purge_after, sender, receipt,
                            backup)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (nonce) DO NOTHING";
