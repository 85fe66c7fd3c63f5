//! Erases what the retention says, down to the bytes on disk; the counts and the proof of delivery stay.

use jiff::{Timestamp, Zoned};
use rusqlite::{Connection, params};
use serde::Serialize;
use tokio::sync::oneshot;

use super::admin::submission_id;
use super::error::{Fault, StoreError};
use super::outbox::{Trace, log};
use super::writer::{Order, empty_log};
use super::{Store, wait};
use crate::model::reference::Reference;

/// What a purge did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// Submissions whose answers were erased.
    pub erased: Vec<Reference>,
    /// Submissions whose retention is over, kept because no mailbox of the mairie has taken them.
    pub held: Vec<Reference>,
    /// Files no submission needs any more: the caller removes them, or the next collection of orphans does.
    pub files: Vec<String>,
    /// Whether the log was emptied too; `false` when a reader or another process was in the way, then the next purge does it.
    pub truncated: bool,
}

impl Store {
    /// Erases answers, names, addresses, receipts and mails whose last day is before the day of `now`.
    ///
    /// A submission that no mailbox of the mairie has taken is kept: it exists nowhere else. Deleted pages are overwritten
    /// (`secure_delete`), given back, and the log is truncated, for it holds the old pages.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written; what was erased before stays erased.
    pub fn purge_elapsed(&self, now: &Zoned) -> Result<PurgeReport, StoreError> {
        let (today, instant) = (now.date().to_string(), now.timestamp());
        let mut report = self.write_blocking(move |connection| elapsed(connection, &today, instant))?;
        report.truncated = self.shrink()?;
        Ok(report)
    }

    /// Erases one submission at a person's order, delivered or not; what was still to be sent is given up.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn erase(&self, reference: &Reference, now: Timestamp) -> Result<PurgeReport, StoreError> {
        let reference = reference.clone();
        let mut report = self.write_blocking(move |connection| {
            let mut report = PurgeReport::default();
            if let Some(id) = submission_id(connection, &reference)? {
                erase(connection, id, reference, now, &mut report)?;
            }
            Ok(report)
        })?;
        report.truncated = self.shrink()?;
        Ok(report)
    }

    /// Gives free pages back and empties the log.
    fn shrink(&self) -> Result<bool, StoreError> {
        let (reply, answer) = oneshot::channel();
        let path = self.inner.path.clone();
        self.send_blocking(Order::Alone(Box::new(move |connection, poison| {
            let done = match poison {
                Some(poison) => Err(poison.clone()),
                None => shrink(connection).map_err(|error| StoreError::database(path, error)),
            };
            // The one who asked may have gone.
            let _ = reply.send(done);
        })))?;
        wait(answer).unwrap_or(Err(StoreError::Closed))
    }
}

fn elapsed(connection: &Connection, today: &str, now: Timestamp) -> Result<PurgeReport, Fault> {
    let mut report = PurgeReport::default();
    let mut select = connection.prepare(ELAPSED)?;
    let mut rows = select.query([today])?;
    let mut found: Vec<(i64, Reference, bool)> = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let reference = text.parse().map_err(|error| Fault::content("reference", error))?;
        found.push((row.get(0)?, reference, row.get(2)?));
    }
    for (id, reference, is_delivered) in found {
        if is_delivered {
            erase(connection, id, reference, now, &mut report)?;
        } else {
            report.held.push(reference);
        }
    }
    Ok(report)
}

fn erase(
    connection: &Connection,
    id: i64,
    reference: Reference,
    now: Timestamp,
    report: &mut PurgeReport,
) -> Result<(), Fault> {
    let now = now.as_millisecond();
    let files: Vec<String> = connection
        .prepare("SELECT id FROM file WHERE submission = ?1")?
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    connection.execute("DELETE FROM answer WHERE submission = ?1", [id])?;
    connection.execute("DELETE FROM file WHERE submission = ?1", [id])?;
    connection.execute(
        "UPDATE outbox SET state = 'annulé', settled_ms = ?2
         WHERE mail IN (SELECT id FROM mail WHERE submission = ?1) AND state IN ('à_envoyer', 'en_cours')",
        params![id, now],
    )?;
    connection.execute(
        "UPDATE outbox SET recipient = NULL, tag = CAST('#' || id AS BLOB)
         WHERE mail IN (SELECT id FROM mail WHERE submission = ?1)",
        [id],
    )?;
    connection.execute("UPDATE mail SET mail = NULL WHERE submission = ?1", [id])?;
    connection.execute("UPDATE act SET payload = NULL WHERE submission = ?1", [id])?;
    connection.execute(
        "UPDATE submission SET sender = NULL, receipt = NULL, purged_ms = ?2 WHERE id = ?1",
        params![id, now],
    )?;
    log(connection, Some(id), None, &Trace { outcome: "purged", ..Trace::default() }, now)?;
    for file in files {
        let sql = "SELECT EXISTS (SELECT 1 FROM file WHERE id = ?1)";
        let shared: bool = connection.query_row(sql, [&file], |row| row.get(0))?;
        if !shared {
            report.files.push(file);
        }
    }
    report.erased.push(reference);
    Ok(())
}

fn shrink(connection: &Connection) -> rusqlite::Result<bool> {
    let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    empty_log(connection)
}

const ELAPSED: &str = "
    SELECT submission.id, submission.reference,
           EXISTS (SELECT 1 FROM mail JOIN outbox ON outbox.mail = mail.id
                   WHERE mail.submission = submission.id AND mail.kind = 'accueil' AND outbox.role = 'mairie'
                     AND outbox.state IN ('remis', 'annulé'))
    FROM submission WHERE purged_ms IS NULL AND purge_after < ?1 ORDER BY submission.id";
