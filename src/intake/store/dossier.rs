//! The life of a request in the database: its acts with the mails they cause, and what the morning's digest looks at.

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use super::admin::{answers, submission_id};
use super::error::{Fault, StoreError};
use super::purge::life;
use super::record::SealedMail;
use super::sql::{self, Connection, Row, params};
use super::{Store, outbox, record};
use crate::intake::seal::{Place, Seal};
use crate::model::dossier::{Act, ActKind};
use crate::model::mail::{Mail, MailRole};
use crate::model::reference::Reference;
use crate::model::submission::{Answer, Sender, StoredFile};

/// All that is kept of a request and its life.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its reference.
    pub reference: Reference,
    /// The form's slug.
    pub form_id: String,
    /// The form's title when it was sent.
    pub form_title: String,
    /// When it was received, in the commune's zone.
    pub received_at: Zoned,
    /// Last day it is kept.
    pub purge_after: Date,
    /// The receipt, opaque to the store; [`serde_json::Value::Null`] once erased.
    pub receipt: serde_json::Value,
    /// Who sent it.
    pub sender: Sender,
    /// What was sent.
    pub answers: Vec<Answer>,
    /// Events, in order; their count is the version an act is made against.
    pub acts: Vec<Act>,
    /// The request's mail to the mairie, as composed at acceptance; `None` once erased.
    pub request: Option<Mail>,
    /// Whether the last mail to the resident was refused for good.
    pub is_undelivered: bool,
    /// Until when its mails wait in quarantine, unless somebody judged it.
    pub held_until: Option<Timestamp>,
}

/// An act to write, with all it causes.
#[derive(Debug, Clone)]
pub struct NewAct {
    /// Acts known to who makes this one.
    pub version: usize,
    /// The event.
    pub act: Act,
    /// Mails it causes.
    pub mails: Vec<Mail>,
}

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// Written; its number.
    Done(usize),
    /// Somebody acted before: nothing was written.
    Stale,
}

/// A request the digest may tell of.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its reference.
    pub reference: Reference,
    /// The form's title.
    pub form_title: String,
    /// When it was received, in the commune's zone.
    pub received_at: Zoned,
    /// The receipt, opaque to the store.
    pub receipt: serde_json::Value,
    /// Events, in order.
    pub acts: Vec<Act>,
    /// Mails about it that a server refused for good: whom they were for.
    pub failed: Vec<(MailRole, Timestamp)>,
}

/// The digest of a morning.
#[derive(Debug, Clone)]
pub struct NewBulletin {
    /// Its day.
    pub day: Date,
    /// One mail each mailbox, each with the first request it tells of.
    pub mails: Vec<(Reference, Mail)>,
}

impl Store {
    /// A request with its whole life; `None` when there is no such reference.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn kept(&self, reference: &Reference) -> Result<Option<Kept>, StoreError> {
        self.read(|connection| {
            submission_id(connection, reference)?.map(|id| kept(connection, self.seal(), id, reference)).transpose()
        })
    }

    /// Writes an act, its files and its mails in one transaction, if nobody has acted since `version`; when this returns
    /// [`Acted::Done`], it survives a power cut.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the act is then stored.
    pub async fn act(&self, reference: &Reference, new: NewAct) -> Result<Acted, StoreError> {
        if self.free_bytes()? < self.inner.min_free_bytes {
            return Err(StoreError::Full { path: self.inner.dir.clone() });
        }
        let (reference, sealed) = (reference.clone(), SealedAct::new(self.seal(), reference, &new)?);
        self.write(move |connection| act(connection, &reference, &new, &sealed), true).await
    }

    /// Requests that are neither erased nor closed nor put aside, oldest first, for the digest; and those with a mail refused
    /// for good. With them, how many more cannot be read any more.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn open_requests(&self) -> Result<(Vec<Open>, usize), StoreError> {
        self.read(|connection| {
            let (mut open, mut unreadable) = (Vec::new(), 0);
            connection.each(OPEN, params![], |row| {
                match open_request(connection, self.seal(), row) {
                    Ok(request) => open.push(request),
                    // One that is damaged must not keep the others out of the digest; the state of the guichet shows it.
                    Err(Fault::Store(error)) => {
                        tracing::error!(error.reason = %error, "a request cannot be read");
                        unreadable += 1;
                    }
                    Err(fault) => return Err(fault),
                }
                Ok(())
            })?;
            Ok((open, unreadable))
        })
    }

    /// The request's mail to the mairie, as composed at acceptance; `None` once erased.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn request_mail(&self, reference: &Reference) -> Result<Option<Mail>, StoreError> {
        self.read(|connection| match submission_id(connection, reference)? {
            Some(id) => request_mail(connection, self.seal(), id, reference),
            None => Ok(None),
        })
    }

    /// Requests to these forms that left for the mairie from `from` (included) to `to` (excluded), oldest first: when they were
    /// accepted, or when they came out of quarantine. What is put aside, or still waits, is not among them.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn left_between(
        &self,
        forms: &std::collections::BTreeSet<String>,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<(String, Reference)>, StoreError> {
        if forms.is_empty() {
            return Ok(Vec::new());
        }
        self.read(|connection| {
            let (from, to) = (from.as_millisecond(), to.as_millisecond());
            let mut left = Vec::new();
            connection.each(LEFT, params![from, to, from.saturating_sub(LONGEST_QUARANTINE_MS)], |row| {
                let form: String = row.get(0)?;
                if forms.contains(&form) {
                    left.push((form, super::admin::reference(row, 1)?));
                }
                Ok(())
            })?;
            Ok(left)
        })
    }

    /// The last morning that was looked at, up to `today`: what a clock that had jumped left behind counts for nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn last_bulletin(&self, today: Date) -> Result<Option<Date>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT max(day) FROM bulletin WHERE day <= ?1";
            let day: Option<String> = connection.query_row(sql, params![today.to_string()], |row| row.get(0))?;
            day.map(|day| day.parse().map_err(|error| Fault::content("day", error))).transpose()
        })
    }

    /// Writes the digest of a day, once: `false` when that day has been looked at before.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it is then stored.
    pub async fn bulletin(&self, new: NewBulletin, now: Timestamp) -> Result<bool, StoreError> {
        let sealed = new.mails.iter().map(|(reference, mail)| SealedMail::new(self.seal(), reference, mail));
        let mails: Vec<SealedMail> = sealed.collect::<Result<_, _>>()?;
        self.write(move |connection| bulletin(connection, &new, &mails, now), true).await
    }
}

/// An act in the words of the tables, sealed, so that the writer only writes.
struct SealedAct {
    payload: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
    mails: Vec<SealedMail>,
}

impl SealedAct {
    fn new(seal: &Seal, reference: &Reference, new: &NewAct) -> Result<SealedAct, StoreError> {
        let number = (new.version + 1).to_string();
        let place = Place("act.payload", &[reference.as_str().as_bytes(), number.as_bytes()]);
        let files = match &new.act.kind {
            ActKind::Complement { files, .. } => files.as_slice(),
            _ => &[],
        };
        let file = |file: &StoredFile| Ok((file.id.clone(), record::sealed_file(seal, reference, file)?));
        Ok(SealedAct {
            payload: record::sealed(seal, place, &new.act)?,
            files: files.iter().map(file).collect::<Result<_, StoreError>>()?,
            mails: new.mails.iter().map(|mail| SealedMail::new(seal, reference, mail)).collect::<Result<_, _>>()?,
        })
    }
}

fn kept(connection: &Connection, seal: &Seal, id: i64, reference: &Reference) -> Result<Kept, Fault> {
    let sql = "SELECT form_id, form_title, received_at, purge_after, sender, receipt FROM submission WHERE id = ?1";
    type Texts = (String, String, String, String, Option<Vec<u8>>, Option<Vec<u8>>);
    let read = |row: &Row<'_>| -> sql::Result<Texts> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    };
    let (form_id, form_title, received_at, purge_after, sender, receipt) =
        connection.query_row(sql, params![id], read)?;
    let name = reference.as_str().as_bytes();
    let sender = sender.map(|sealed| record::opened(seal, Place("submission.sender", &[name]), &sealed, "sender"));
    Ok(Kept {
        reference: reference.clone(),
        form_id,
        form_title,
        received_at: record::zoned(&received_at)?,
        purge_after: purge_after.parse().map_err(|error| Fault::content("purge date", error))?,
        receipt: opened_receipt(seal, name, receipt)?,
        sender: sender.transpose()?.unwrap_or_default(),
        answers: answers(connection, seal, id, name)?,
        acts: acts(connection, seal, id, name)?,
        request: request_mail(connection, seal, id, reference)?,
        is_undelivered: connection.query_opt(UNDELIVERED, params![id], |row| row.get(0))? == Some(true),
        held_until: connection
            .query_opt(HELD, params![id], |row| row.get::<i64>(0))?
            .map(super::instant)
            .transpose()?,
    })
}

/// [`serde_json::Value::Null`] once erased.
fn opened_receipt(seal: &Seal, name: &[u8], sealed: Option<Vec<u8>>) -> Result<serde_json::Value, Fault> {
    let place = Place("submission.receipt", std::slice::from_ref(&name));
    sealed.map_or(Ok(serde_json::Value::Null), |sealed| record::opened(seal, place, &sealed, "receipt"))
}

fn acts(connection: &Connection, seal: &Seal, id: i64, name: &[u8]) -> Result<Vec<Act>, Fault> {
    let sql = "SELECT number, payload FROM act WHERE submission = ?1 AND payload IS NOT NULL ORDER BY number";
    let mut acts = Vec::new();
    connection.each(sql, params![id], |row| {
        let (number, sealed) = (row.get::<i64>(0)?.to_string(), row.get::<Vec<u8>>(1)?);
        acts.push(record::opened(seal, Place("act.payload", &[name, number.as_bytes()]), &sealed, "act")?);
        Ok(())
    })?;
    Ok(acts)
}

fn request_mail(connection: &Connection, seal: &Seal, id: i64, reference: &Reference) -> Result<Option<Mail>, Fault> {
    let sql = "SELECT mail.message_id, mail.mail FROM mail JOIN outbox ON outbox.mail = mail.id
               WHERE mail.submission = ?1 AND mail.kind = 'accueil' AND outbox.role = 'mairie' ORDER BY mail.id LIMIT 1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let found: Option<(String, Option<Vec<u8>>)> = connection.query_opt(sql, params![id], read)?;
    let Some((message_id, Some(sealed))) = found else { return Ok(None) };
    let place = Place("mail.mail", &[reference.as_str().as_bytes(), message_id.as_bytes()]);
    record::opened(seal, place, &sealed, "mail").map(Some)
}

fn act(connection: &Connection, reference: &Reference, new: &NewAct, sealed: &SealedAct) -> Result<Acted, Fault> {
    let Some(id) = submission_id(connection, reference)? else { return Ok(Acted::Stale) };
    connection.lock(&life(reference))?;
    let sql =
        "SELECT (SELECT count(*) FROM act WHERE submission = ?1), purged_ms IS NOT NULL FROM submission WHERE id = ?1";
    let (count, purged): (i64, bool) = connection.query_row(sql, params![id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if purged || usize::try_from(count).ok() != Some(new.version) {
        return Ok(Acted::Stale);
    }
    let (number, now) = (count + 1, new.act.at.timestamp().as_millisecond());
    let sql = "INSERT INTO act (submission, number, at_ms, kind, payload) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.execute(sql, params![id, number, now, new.act.kind.as_str(), sealed.payload])?;
    for (file, sealed) in &sealed.files {
        connection.execute(record::FILE, params![id, file, sealed])?;
    }
    for (mail, sealed) in new.mails.iter().zip(&sealed.mails) {
        post(connection, id, "suite", (mail, sealed), now)?;
    }
    Ok(Acted::Done(new.version + 1))
}

/// Adds a mail and what is owed to each of its recipients.
fn post(
    connection: &Connection,
    id: i64,
    kind: &str,
    (mail, sealed): (&Mail, &SealedMail),
    now: i64,
) -> Result<(), Fault> {
    let sql = "INSERT INTO mail (submission, message_id, mail, kind) VALUES (?1, ?2, ?3, ?4)";
    let key = record::key(connection.insert(sql, params![id, mail.message_id, sealed.mail, kind])?)?;
    Ok(sealed.owed.iter().try_for_each(|owed| outbox::enqueue(connection, key, mail.role, owed, now))?)
}

fn open_request(connection: &Connection, seal: &Seal, row: &Row<'_>) -> Result<Open, Fault> {
    let id: i64 = row.get(0)?;
    let (reference, received_at, receipt): (String, String, Option<Vec<u8>>) = (row.get(1)?, row.get(3)?, row.get(4)?);
    let failed: Vec<(String, i64)> = connection.query_map(FAILED, params![id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let role = |word: &str| if word == MailRole::Usager.as_str() { MailRole::Usager } else { MailRole::Mairie };
    Ok(Open {
        reference: reference.parse().map_err(|error| Fault::content("reference", error))?,
        form_title: row.get(2)?,
        received_at: record::zoned(&received_at)?,
        receipt: opened_receipt(seal, reference.as_bytes(), receipt)?,
        acts: acts(connection, seal, id, reference.as_bytes())?,
        failed: failed.iter().map(|(word, at)| Ok((role(word), super::instant(*at)?))).collect::<Result<_, Fault>>()?,
    })
}

fn bulletin(connection: &Connection, new: &NewBulletin, mails: &[SealedMail], now: Timestamp) -> Result<bool, Fault> {
    // A clock had jumped: those mornings are still to come.
    connection.execute("DELETE FROM bulletin WHERE day > ?1", params![new.day.to_string()])?;
    let sql = "INSERT INTO bulletin (day, mails) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    if connection.execute(sql, params![new.day.to_string(), mails.len() as i64])? == 0 {
        return Ok(false);
    }
    for ((reference, mail), sealed) in new.mails.iter().zip(mails) {
        let sql = "SELECT EXISTS (SELECT 1 FROM mail WHERE message_id = ?1)";
        if connection.query_row(sql, params![mail.message_id], |row| row.get::<bool>(0))? {
            continue;
        }
        if let Some(id) = submission_id(connection, reference)? {
            post(connection, id, "bulletin", (mail, sealed), now.as_millisecond())?;
        }
    }
    Ok(true)
}

/// Whether the newest mail to the resident that is settled was refused.
const UNDELIVERED: &str = "
    SELECT outbox.state = 'définitif' FROM outbox JOIN mail ON mail.id = outbox.mail
    WHERE mail.submission = ?1 AND outbox.role = 'usager' AND outbox.state IN ('définitif', 'remis')
    ORDER BY outbox.id DESC LIMIT 1";

const FAILED: &str = "
    SELECT outbox.role, coalesce(outbox.settled_ms, outbox.next_ms) FROM outbox JOIN mail ON mail.id = outbox.mail
    WHERE mail.submission = ?1 AND mail.kind <> 'bulletin' AND outbox.state = 'définitif' ORDER BY outbox.id";

/// Eight days: a quarantine lasts seven at most.
const LONGEST_QUARANTINE_MS: i64 = 8 * 24 * 3_600_000;

const LEFT: &str = "
    SELECT form_id, reference FROM (
        SELECT submission.id, form_id, reference,
               coalesce(CASE WHEN quarantine.settled = 'libérée' THEN quarantine.settled_ms END, quarantine.until_ms,
                        submission.received_ms) AS left_ms
        FROM submission LEFT JOIN quarantine ON quarantine.submission = submission.id
        WHERE submission.received_ms >= ?3 AND submission.received_ms < ?2 AND purged_ms IS NULL
          AND coalesce(quarantine.settled, '') <> 'écartée') AS gone
    WHERE left_ms >= ?1 AND left_ms < ?2 ORDER BY id";

const HELD: &str = "SELECT until_ms FROM quarantine WHERE submission = ?1 AND settled_ms IS NULL";

const OPEN: &str = "
    SELECT id, reference, form_title, received_at, receipt FROM submission
    WHERE purged_ms IS NULL AND receipt IS NOT NULL AND (
        NOT EXISTS (SELECT 1 FROM act WHERE act.submission = submission.id
                    AND act.kind IN ('acceptation', 'refus', 'transmission', 'cloture', 'annulation'))
        OR EXISTS (SELECT 1 FROM outbox JOIN mail ON mail.id = outbox.mail
                   WHERE mail.submission = submission.id AND mail.kind <> 'bulletin' AND outbox.state = 'définitif'))
      AND NOT EXISTS (SELECT 1 FROM quarantine WHERE quarantine.submission = submission.id AND settled = 'écartée'
                      AND NOT EXISTS (SELECT 1 FROM outbox JOIN mail ON mail.id = outbox.mail
                                      WHERE mail.submission = submission.id AND mail.kind = 'accueil'
                                        AND outbox.role = 'mairie' AND outbox.state <> 'annulé'))
    ORDER BY id";

#[cfg(test)]
mod tests;
