//! What the administration asks: what waits, what failed, what became of one reference, whether the sums agree.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::error::{Fault, StoreError};
use super::outbox::{Trace, log};
use super::sql::{self, Cell, Connection, Row, params};
use super::{Store, instant, record};
use crate::intake::seal::{Place, Seal};
use crate::model::intake::{DeliveryState, MailKind, QueueRow};
use crate::model::mail::MailRole;
use crate::model::reference::Reference;
use crate::model::submission::{Answer, Sender, StoredFile};

/// How many of each, over the whole store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Submissions ever accepted.
    pub submissions: u64,
    /// Of them, those whose answers are erased.
    pub purged: u64,
    /// Mails to send, now or later.
    pub waiting: u64,
    /// Mails a worker holds.
    pub sending: u64,
    /// Mails a server took.
    pub delivered: u64,
    /// Mails refused for good.
    pub failed: u64,
    /// Mails given up by a person.
    pub cancelled: u64,
}

/// The way out, when it is closed or was at the last attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteState {
    /// Failures in a row.
    pub failures: u32,
    /// First of them.
    pub since: Timestamp,
    /// Next probe.
    pub blocked_until: Timestamp,
    /// `unreachable`, `auth_refused`, `tls_refused` or `sender_refused`.
    pub reason: String,
}

/// All about one reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detail {
    /// Its reference.
    pub reference: Reference,
    /// The form's slug.
    pub form_id: String,
    /// The form's title when it was sent.
    pub form_title: String,
    /// When it was received, in the commune's zone.
    pub received_at: jiff::Zoned,
    /// Last day the answers are kept.
    pub purge_after: jiff::civil::Date,
    /// When they were erased.
    pub purged_at: Option<Timestamp>,
    /// One line each mail and recipient.
    pub mails: Vec<QueueRow>,
    /// What happened to them, in order.
    pub events: Vec<Event>,
    /// Its files, until the purge; their names only when the answers are asked for.
    pub files: Vec<DetailFile>,
    /// Who sent it; only when asked for.
    pub sender: Option<Sender>,
    /// The answers; only when asked for.
    pub answers: Vec<Answer>,
}

/// One line of what happened to a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The outbox row, when it is about one.
    pub outbox: Option<i64>,
    /// In a word: `delivered`, `temporary`, `backup_queued`…
    pub kind: String,
    /// Where in the dialogue with the server.
    pub phase: Option<String>,
    /// SMTP code.
    pub code: Option<u16>,
    /// Enhanced status code.
    pub class: Option<String>,
}

/// A file of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DetailFile {
    /// Name in the file store.
    pub id: String,
    /// Display name; empty unless the answers are asked for.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
}

impl Store {
    /// Mails in these states, oldest submission first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn queue(&self, states: &[DeliveryState], limit: usize) -> Result<Vec<QueueRow>, StoreError> {
        let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
        self.read(|connection| {
            let sql = format!("{QUEUE} WHERE ?1 LIKE '%|' || outbox.state || '|%' ORDER BY outbox.id LIMIT ?2");
            let states = format!("|{}|", states.join("|"));
            queue_rows(connection, &sql, params![states, limit as i64])
        })
    }

    /// Mails still not delivered `older_than` after acceptance, and those refused for good; what waits in quarantine does so
    /// on purpose.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn stuck(&self, now: Timestamp, older_than: SignedDuration) -> Result<Vec<QueueRow>, StoreError> {
        let limit = now.checked_sub(older_than).unwrap_or(Timestamp::MIN).as_millisecond();
        self.read(|connection| {
            let sql = format!(
                "{QUEUE} WHERE outbox.state = 'définitif' OR
                   (outbox.state IN ('à_envoyer', 'en_cours') AND submission.received_ms <= ?1 AND NOT EXISTS
                     (SELECT 1 FROM quarantine WHERE quarantine.submission = submission.id
                        AND settled_ms IS NULL AND until_ms > ?2)) ORDER BY outbox.id"
            );
            queue_rows(connection, &sql, params![limit, now.as_millisecond()])
        })
    }

    /// When the oldest mail of this role that is still to be sent was accepted.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn oldest_waiting(&self, role: MailRole) -> Result<Option<Timestamp>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT min(since_ms) FROM outbox WHERE state IN ('à_envoyer', 'en_cours') AND role = ?1";
            let oldest: Option<i64> = connection.query_row(sql, params![role.as_str()], |row| row.get(0))?;
            oldest.map(instant).transpose()
        })
    }

    /// When the latest submission was accepted, by the clock of then.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn latest_received(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT max(received_ms) FROM submission";
            let latest: Option<i64> = connection.query_row(sql, params![], |row| row.get(0))?;
            latest.map(instant).transpose()
        })
    }

    /// How many of each.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.read(|connection| {
            let mut counts = Counts::default();
            let sql = "SELECT count(*), count(purged_ms) FROM submission";
            (counts.submissions, counts.purged) =
                connection.query_row(sql, params![], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?;
            connection.each("SELECT state, count(*) FROM outbox GROUP BY state", params![], |row| {
                let count = unsigned(row, 1)?;
                match state(&row.get::<String>(0)?)? {
                    DeliveryState::Waiting => counts.waiting = count,
                    DeliveryState::Sending => counts.sending = count,
                    DeliveryState::Delivered => counts.delivered = count,
                    DeliveryState::Failed => counts.failed = count,
                    DeliveryState::Cancelled => counts.cancelled = count,
                }
                Ok(())
            })?;
            Ok(counts)
        })
    }

    /// The way out, when its last attempt failed.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn route(&self) -> Result<Option<RouteState>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT failures, since_ms, blocked_ms, reason FROM route WHERE name = 'smtp'";
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?, row.get(3)?));
            let found = connection.query_opt(sql, params![], read)?;
            found
                .map(|(failures, since, blocked, reason)| {
                    Ok(RouteState { failures, since: instant(since)?, blocked_until: instant(blocked)?, reason })
                })
                .transpose()
        })
    }

    /// All about one reference; what the person wrote only when `answers` is asked for.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn detail(&self, reference: &Reference, answers: bool) -> Result<Option<Detail>, StoreError> {
        self.read(|connection| {
            let id = submission_id(connection, reference)?;
            id.map(|id| detail(connection, self.seal(), (id, reference), answers)).transpose()
        })
    }

    /// Sends again the mails of a reference that were refused, given up or, when `delivered` too, already taken; gives how
    /// many. The way out is tried at once.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn resend(
        &self,
        reference: &Reference,
        role: Option<MailRole>,
        delivered: bool,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let reference = reference.clone();
        self.write_blocking(move |connection| {
            let Some(submission) = submission_id(connection, &reference)? else { return Ok(0) };
            let sql = "
                UPDATE outbox SET state = 'à_envoyer', attempts = 0, since_ms = ?2, next_ms = ?2, settled_ms = NULL
                WHERE mail IN (SELECT id FROM mail WHERE submission = ?1 AND mail IS NOT NULL)
                  AND state <> 'en_cours' AND (?3 = 1 OR state <> 'remis') AND (CAST(?4 AS TEXT) IS NULL OR role = ?4)";
            let now = now.as_millisecond();
            let role = role.map(MailRole::as_str);
            let count = connection.execute(sql, params![submission, now, delivered, role])?;
            if count == 0 {
                return Ok(0);
            }
            connection.execute("DELETE FROM route", params![])?;
            let trace = Trace { outcome: "resent", ..Trace::default() };
            log(connection, Some(submission), None, &trace, now)?;
            Ok(count)
        })
    }

    /// Gives up the mails of a reference that are not delivered; gives how many.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn cancel(&self, reference: &Reference, role: Option<MailRole>, now: Timestamp) -> Result<usize, StoreError> {
        let reference = reference.clone();
        self.write_blocking(move |connection| {
            let Some(submission) = submission_id(connection, &reference)? else { return Ok(0) };
            let sql = "
                UPDATE outbox SET state = 'annulé', settled_ms = ?2
                WHERE mail IN (SELECT id FROM mail WHERE submission = ?1)
                  AND state IN ('à_envoyer', 'définitif') AND (CAST(?3 AS TEXT) IS NULL OR role = ?3)";
            let now = now.as_millisecond();
            let count = connection.execute(sql, params![submission, now, role.map(MailRole::as_str)])?;
            if count == 0 {
                return Ok(0);
            }
            let trace = Trace { outcome: "cancelled", ..Trace::default() };
            log(connection, Some(submission), None, &trace, now)?;
            Ok(count)
        })
    }

    /// Files that rows name, whatever their submission; for the check against the file store.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn known_files(&self) -> Result<Vec<(String, Reference)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT submission.reference, file.id FROM file
                       JOIN submission ON submission.id = file.submission ORDER BY file.id";
            let mut known = Vec::new();
            connection.each(sql, params![], |row| {
                known.push((row.get(1)?, reference(row, 0)?));
                Ok(())
            })?;
            Ok(known)
        })
    }

    /// Whether a row names this file.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn knows_file(&self, id: &str) -> Result<bool, StoreError> {
        self.read(|connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM file WHERE id = ?1)";
            Ok(connection.query_row(sql, params![id], |row| row.get(0))?)
        })
    }

    /// The database's full check of itself; empty when it is sound.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            if let Some(session) = connection.postgres() {
                return session.integrity();
            }
            let mut lines: Vec<String> = connection.query_map("PRAGMA integrity_check", params![], |row| row.get(0))?;
            let broken: Vec<String> = connection.query_map("PRAGMA foreign_key_check", params![], |row| row.get(0))?;
            lines.retain(|line| line != "ok");
            lines.extend(broken.into_iter().map(|table| format!("foreign key broken in {table}")));
            Ok(lines)
        })
    }
}

/// The row number of a reference.
pub(super) fn submission_id(connection: &Connection, reference: &Reference) -> sql::Result<Option<i64>> {
    let sql = "SELECT id FROM submission WHERE reference = ?1";
    connection.query_opt(sql, params![reference.as_str()], |row| row.get(0))
}

fn detail(
    connection: &Connection,
    seal: &Seal,
    (id, reference): (i64, &Reference),
    with_answers: bool,
) -> Result<Detail, Fault> {
    let name = reference.as_str().as_bytes();
    let sql = "SELECT form_id, form_title, received_at, purge_after, purged_ms, sender FROM submission WHERE id = ?1";
    type Texts = (String, String, String, String, Option<i64>, Option<Vec<u8>>);
    let read = |row: &Row<'_>| -> sql::Result<Texts> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    };
    let (form_id, form_title, received_at, purge_after, purged, sender) =
        connection.query_row(sql, params![id], read)?;
    let answers = if with_answers { answers(connection, seal, id, name)? } else { Vec::new() };
    Ok(Detail {
        reference: reference.clone(),
        form_id,
        form_title,
        received_at: record::zoned(&received_at)?,
        purge_after: purge_after.parse().map_err(|error| Fault::content("purge date", error))?,
        purged_at: purged.map(instant).transpose()?,
        mails: queue_rows(
            connection,
            &format!("{QUEUE} WHERE submission.id = ?1 AND mail.kind <> 'bulletin' ORDER BY outbox.id"),
            params![id],
        )?,
        events: events(connection, id)?,
        files: files(connection, seal, (id, name), with_answers)?,
        sender: match sender.filter(|_| with_answers) {
            Some(sealed) => Some(record::opened(seal, Place("submission.sender", &[name]), &sealed, "sender")?),
            None => None,
        },
        answers,
    })
}

pub(super) fn answers(connection: &Connection, seal: &Seal, id: i64, name: &[u8]) -> Result<Vec<Answer>, Fault> {
    let sql = "SELECT position, answer FROM answer WHERE submission = ?1 ORDER BY position";
    let mut answers = Vec::new();
    connection.each(sql, params![id], |row| {
        let (position, sealed) = (row.get::<i64>(0)?.to_string(), row.get::<Vec<u8>>(1)?);
        let place = Place("answer.answer", &[name, position.as_bytes()]);
        answers.push(record::opened(seal, place, &sealed, "answer")?);
        Ok(())
    })?;
    Ok(answers)
}

fn events(connection: &Connection, id: i64) -> Result<Vec<Event>, Fault> {
    let sql = "SELECT at_ms, outbox, kind, phase, code, class FROM event WHERE submission = ?1 ORDER BY id";
    let mut events = Vec::new();
    connection.each(sql, params![id], |row| {
        events.push(Event {
            at: instant(row.get(0)?)?,
            outbox: row.get(1)?,
            kind: row.get(2)?,
            phase: row.get(3)?,
            code: row.get(4)?,
            class: row.get(5)?,
        });
        Ok(())
    })?;
    Ok(events)
}

fn files(
    connection: &Connection,
    seal: &Seal,
    (id, name): (i64, &[u8]),
    named: bool,
) -> Result<Vec<DetailFile>, Fault> {
    let sql = "SELECT id, file FROM file WHERE submission = ?1 ORDER BY rowid";
    let mut files = Vec::new();
    connection.each(sql, params![id], |row| {
        let (id, sealed): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let file: StoredFile = record::opened(seal, Place("file.file", &[name, id.as_bytes()]), &sealed, "file")?;
        let name = if named { file.name } else { String::new() };
        files.push(DetailFile { id, name, media_type: file.media_type, size: file.size });
        Ok(())
    })?;
    Ok(files)
}

fn queue_rows(connection: &Connection, sql: &str, params: &[Cell<'_>]) -> Result<Vec<QueueRow>, Fault> {
    let mut queue = Vec::new();
    connection.each(sql, params, |row| {
        let role: String = row.get(3)?;
        queue.push(QueueRow {
            id: row.get(0)?,
            reference: reference(row, 1)?,
            form_id: row.get(2)?,
            role: if role == MailRole::Usager.as_str() { MailRole::Usager } else { MailRole::Mairie },
            backup: row.get(4)?,
            state: state(&row.get::<String>(5)?)?,
            attempts: row.get(6)?,
            accepted_at: instant(row.get(7)?)?,
            next_at: instant(row.get(8)?)?,
            last_code: row.get(9)?,
            last_outcome: row.get(10)?,
            kind: match row.get::<String>(11)?.as_str() {
                "suite" => MailKind::Followed(act_number(&row.get::<String>(12)?)),
                "bulletin" => MailKind::Digest,
                _ => MailKind::First,
            },
        });
        Ok(())
    })?;
    Ok(queue)
}

/// The number of the act a mail follows, from 1, as its name has it: `2026-KJM2-QYJD-9.usager.2@…`.
fn act_number(message_id: &str) -> Option<usize> {
    let (local, _) = message_id.split_once('@')?;
    local.rsplit_once('.')?.1.parse().ok()
}

pub(super) fn reference(row: &Row<'_>, column: usize) -> Result<Reference, Fault> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| Fault::content("reference", error))
}

fn state(text: &str) -> Result<DeliveryState, Fault> {
    let found = DeliveryState::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| Fault::content("state", text))
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> sql::Result<u64> {
    row.get::<i64>(column).map(|count| count.max(0) as u64)
}

const QUEUE: &str = "
    SELECT outbox.id, submission.reference, submission.form_id, outbox.role, outbox.backup, outbox.state, outbox.attempts,
           submission.received_ms, outbox.next_ms, outbox.last_code, outbox.last_outcome, mail.kind, mail.message_id
    FROM outbox JOIN mail ON mail.id = outbox.mail JOIN submission ON submission.id = mail.submission";
