//! Erases what the retention says, down to the bytes on disk; the counts and the proof of delivery stay.

use jiff::{Timestamp, Zoned};
use serde::Serialize;
use tokio::sync::oneshot;

use super::admin::submission_id;
use super::error::{Fault, StoreError};
use super::outbox::{Trace, log};
use super::sql::{self, Connection, params};
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
    /// Files no submission needs any more: written down until they are erased ([`Store::to_erase`]).
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
                erase(connection, id, reference.clone(), now, &mut report)?;
            }
            Ok(report)
        })?;
        report.truncated = self.shrink()?;
        Ok(report)
    }

    /// Files whose rows are gone and that may still lie somewhere, in order; those that a row names again are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn to_erase(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            let sql =
                "SELECT id FROM erasure WHERE NOT EXISTS (SELECT 1 FROM file WHERE file.id = erasure.id) ORDER BY id";
            Ok(connection.query_map(sql, params![], |row| row.get(0))?)
        })
    }

    /// Forgets files that lie nowhere any more.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn erased(&self, files: &[String]) -> Result<(), StoreError> {
        let files = files.to_vec();
        self.write_blocking(move |connection| {
            for file in &files {
                connection.execute("DELETE FROM erasure WHERE id = ?1", params![file])?;
            }
            Ok(())
        })
    }

    /// Gives free pages back and empties the log.
    fn shrink(&self) -> Result<bool, StoreError> {
        let (reply, answer) = oneshot::channel();
        let path = self.inner.path.clone();
        self.send_blocking(Order::Alone(Box::new(move |connection, poison| {
            let done = match poison {
                Some(poison) => Err(poison.clone()),
                None => shrink(connection).map_err(|error| StoreError::sql(&path, error)),
            };
            // The one who asked may have gone.
            let _ = reply.send(done);
        })))?;
        wait(answer).unwrap_or(Err(StoreError::Closed))
    }
}

fn elapsed(connection: &Connection, today: &str, now: Timestamp) -> Result<PurgeReport, Fault> {
    let mut report = PurgeReport::default();
    connection.lock("purge")?;
    let mut found: Vec<(i64, Reference, bool)> = Vec::new();
    connection.each(ELAPSED, params![today], |row| {
        found.push((row.get(0)?, super::admin::reference(row, 1)?, row.get(2)?));
        Ok(())
    })?;
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
    connection.lock(&life(&reference))?;
    let now = now.as_millisecond();
    let files: Vec<String> =
        connection.query_map("SELECT id FROM file WHERE submission = ?1", params![id], |row| row.get(0))?;
    connection.execute("DELETE FROM answer WHERE submission = ?1", params![id])?;
    connection.execute("DELETE FROM file WHERE submission = ?1", params![id])?;
    connection.execute(
        "UPDATE outbox SET state = 'annulé', settled_ms = ?2
         WHERE mail IN (SELECT id FROM mail WHERE submission = ?1) AND state IN ('à_envoyer', 'en_cours')",
        params![id, now],
    )?;
    let sql = "SELECT id FROM outbox WHERE mail IN (SELECT id FROM mail WHERE submission = ?1)";
    let owed: Vec<i64> = connection.query_map(sql, params![id], |row| row.get(0))?;
    for row in owed {
        let tag = format!("#{row}").into_bytes();
        connection.execute("UPDATE outbox SET recipient = NULL, tag = ?2 WHERE id = ?1", params![row, tag])?;
    }
    connection.execute("UPDATE mail SET mail = NULL WHERE submission = ?1", params![id])?;
    connection.execute("UPDATE act SET payload = NULL WHERE submission = ?1", params![id])?;
    connection.execute(
        "UPDATE submission SET sender = NULL, receipt = NULL, purged_ms = ?2 WHERE id = ?1",
        params![id, now],
    )?;
    log(connection, Some(id), None, &Trace { outcome: "purged", ..Trace::default() }, now)?;
    for file in files {
        let sql = "SELECT EXISTS (SELECT 1 FROM file WHERE id = ?1)";
        let shared: bool = connection.query_row(sql, params![file], |row| row.get(0))?;
        if !shared {
            connection.execute("INSERT INTO erasure (id) VALUES (?1) ON CONFLICT DO NOTHING", params![file])?;
            report.files.push(file);
        }
    }
    report.erased.push(reference);
    Ok(())
}

/// What whoever adds to the life of a request, or ends it, waits for.
pub(super) fn life(reference: &Reference) -> String {
    format!("dossier {reference}")
}

fn shrink(connection: &Connection) -> sql::Result<bool> {
    if let Some(session) = connection.postgres() {
        return session.vacuum().map(|()| true);
    }
    connection.query_map("PRAGMA incremental_vacuum", params![], |_| Ok(()))?;
    Ok(connection.sqlite().map(empty_log).transpose()?.unwrap_or(true))
}

const ELAPSED: &str = "
    SELECT submission.id, submission.reference,
           EXISTS (SELECT 1 FROM mail JOIN outbox ON outbox.mail = mail.id
                   WHERE mail.submission = submission.id AND mail.kind = 'accueil' AND outbox.role = 'mairie'
                     AND outbox.state IN ('remis', 'annulé'))
    FROM submission WHERE purged_ms IS NULL AND purge_after < ?1 ORDER BY submission.id";
