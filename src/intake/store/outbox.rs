//! What is owed to mail servers: claim one row under a lease, then settle it. No transaction stays open in between.

use jiff::{SignedDuration, Timestamp};

use super::error::{Fault, StoreError};
use super::record::opened;
use super::sql::{self, Connection, params};
use super::{Store, instant, pace};
use crate::intake::retry;
use crate::intake::seal::{Place, Seal, SealError};
use crate::model::intake::DeliveryState;
use crate::model::mail::{Mail, MailRole};
use crate::model::reference::Reference;

/// One mail to one recipient, held until its lease ends.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Number of the outbox row.
    pub id: i64,
    /// End of the lease; another claim may follow.
    pub lease_until: Timestamp,
    /// The submission's reference.
    pub reference: Reference,
    /// Whom it is meant for.
    pub role: MailRole,
    /// Whether it is the copy to a backup recipient.
    pub backup: bool,
    /// Whether it goes without its attachments, which the server refused.
    pub bare: bool,
    /// This attempt, from 1.
    pub attempts: u32,
    /// Start of the period of attempts.
    pub since: Timestamp,
    /// One address.
    pub recipient: String,
    /// As composed at acceptance.
    pub mail: Mail,
    /// When it was due before this claim; given back when the attempt does not count.
    due_ms: i64,
}

/// Answer to a claim.
#[derive(Debug, Clone)]
pub enum Claimed {
    /// A mail to send now.
    Mail(Box<Claim>),
    /// Nothing is due.
    Nothing {
        /// When something will be; `None` when all is settled.
        next_at: Option<Timestamp>,
    },
}

/// What becomes of a claimed mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The server answered 250 to it.
    Delivered,
    /// To be tried again.
    Again {
        /// Not before then.
        at: Timestamp,
        /// From now on without its attachments.
        bare: bool,
    },
    /// The way out is closed: the attempt does not count, no mail is tried for a while.
    Closed {
        /// Whether the server refused us (name, password, sender), which only a person can mend.
        is_refusal: bool,
    },
    /// Refused for good; a request is then copied to the backup recipients.
    Failed,
}

/// The trace of an attempt: no address, no text of the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// In a word: `delivered`, `temporary`, `permanent`, `ambiguous`…
    pub outcome: &'static str,
    /// Where in the dialogue.
    pub phase: Option<&'static str>,
    /// SMTP code.
    pub code: Option<u16>,
    /// Enhanced status code, `5.1.1` (RFC 3463).
    pub class: Option<String>,
}

impl Store {
    /// Takes the next mail that is due under a lease: requests to the mairie, then receipts, then what follows, then digests; in
    /// each the one that waits longest first. None while the hour has had its share ([`super::StoreOptions::per_hour`]).
    ///
    /// The attempt is counted and the next one planned here, so that a mail that kills the process cannot come first for
    /// ever.
    ///
    /// # Errors
    /// [`StoreError`] when the claim cannot be written.
    pub async fn claim(&self, now: Timestamp, lease: SignedDuration) -> Result<Claimed, StoreError> {
        let (seal, per_hour) = (self.seal().clone(), self.inner.per_hour);
        self.write(move |connection| claim(connection, &seal, (now, lease), per_hour), false).await
    }

    /// Writes what became of a claimed mail; gives the instant the way out opens again when it is closed.
    ///
    /// A delivery counts even when the lease has ended meanwhile; anything else then leaves the row alone.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written; the row then stays under its lease and will be sent once more.
    pub async fn settle(
        &self,
        claim: &Claim,
        settlement: Settlement,
        trace: Trace,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (claim, seal, settled) = (claim.clone(), self.seal().clone(), (settlement, trace));
        self.write(move |connection| settle(connection, &seal, &claim, &settled, now), false).await
    }
}

/// An address, sealed for a mail.
pub(super) struct Owed {
    recipient: Vec<u8>,
    tag: [u8; 16],
}

impl Owed {
    pub(super) fn new(seal: &Seal, message_id: &str, recipient: &str) -> Result<Owed, SealError> {
        let row = [message_id.as_bytes()];
        let place = Place(RECIPIENT, &row);
        Ok(Owed { recipient: seal.close(place, recipient.as_bytes())?, tag: seal.tag(place, recipient.as_bytes()) })
    }
}

/// Adds what is owed to one recipient.
pub(super) fn enqueue(connection: &Connection, mail: i64, role: MailRole, owed: &Owed, now: i64) -> sql::Result<()> {
    let sql = "INSERT INTO outbox (mail, role, recipient, tag, state, since_ms, next_ms)
               VALUES (?1, ?2, ?3, ?4, 'à_envoyer', ?5, ?5) ON CONFLICT (mail, tag) DO NOTHING";
    connection.execute(sql, params![mail, role.as_str(), owed.recipient, owed.tag, now]).map(|_| ())
}

/// Gives back what a dead process held.
pub(super) fn give_back(connection: &Connection) -> sql::Result<usize> {
    connection.execute("UPDATE outbox SET state = 'à_envoyer', lease_ms = NULL WHERE state = 'en_cours'", params![])
}

/// Adds a line to what happened.
pub(super) fn log(
    connection: &Connection,
    submission: Option<i64>,
    outbox: Option<i64>,
    trace: &Trace,
    now: i64,
) -> sql::Result<()> {
    let sql =
        "INSERT INTO event (at_ms, submission, outbox, kind, phase, code, class) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![now, submission, outbox, trace.outcome, trace.phase, trace.code, trace.class];
    connection.execute(sql, values).map(|_| ())
}

/// The number of a submission's row.
pub(super) fn submission_of(connection: &Connection, outbox: i64) -> sql::Result<i64> {
    let sql = "SELECT mail.submission FROM outbox JOIN mail ON mail.id = outbox.mail WHERE outbox.id = ?1";
    connection.query_row(sql, params![outbox], |row| row.get(0))
}

fn claim(
    connection: &Connection,
    seal: &Seal,
    (now, lease): (Timestamp, SignedDuration),
    per_hour: Option<u32>,
) -> Result<Claimed, Fault> {
    let now_ms = now.as_millisecond();
    let expired = "UPDATE outbox SET state = 'à_envoyer', lease_ms = NULL
                   WHERE state = 'en_cours' AND (lease_ms <= ?1 OR lease_ms > ?2)";
    let far = now_ms.saturating_add(lease.as_millis().saturating_mul(2).try_into().unwrap_or(i64::MAX));
    connection.execute(expired, params![now_ms, far])?;
    forget_wrong_clock(connection, now_ms)?;
    let sql = "SELECT max(blocked_ms) FROM route WHERE blocked_ms > ?1";
    let blocked: Option<i64> = connection.query_row(sql, params![now_ms], |row| row.get(0))?;
    if let Some(blocked) = blocked {
        let next_at = if waits(connection)? { Some(instant(blocked)?) } else { None };
        return Ok(Claimed::Nothing { next_at });
    }
    if per_hour.is_some() {
        // Two instances must not both take the last place of the hour.
        connection.lock("pace")?;
    }
    if let Some(opens_at) = per_hour.map(|per_hour| pace::opens_at(connection, per_hour, now)).transpose()?.flatten() {
        let next_at = if waits(connection)? { Some(opens_at) } else { None };
        return Ok(Claimed::Nothing { next_at });
    }
    let lease_until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
    while let Some(id) = due(connection, now_ms)? {
        if let Some(claim) = take(connection, seal, id, (lease_until, now))? {
            return Ok(Claimed::Mail(Box::new(claim)));
        }
    }
    let sql = "SELECT min(at) FROM (SELECT min(next_ms) AS at FROM outbox WHERE state = 'à_envoyer'
               UNION ALL SELECT min(lease_ms) FROM outbox WHERE state = 'en_cours') AS planned";
    let next: Option<i64> = connection.query_row(sql, params![], |row| row.get(0))?;
    Ok(Claimed::Nothing { next_at: next.map(instant).transpose()? })
}

/// Brings near what is planned further ahead than anything ever is: it was planned by a clock that was ahead itself, and
/// would wait for years once the clock is right.
fn forget_wrong_clock(connection: &Connection, now: i64) -> sql::Result<()> {
    let farthest = now.saturating_add(FARTHEST_MS);
    let sql = "UPDATE outbox SET next_ms = ?1, since_ms = CASE WHEN since_ms < ?1 THEN since_ms ELSE ?1 END
               WHERE state = 'à_envoyer' AND next_ms > ?2";
    connection.execute(sql, params![now, farthest])?;
    let sql = "UPDATE route SET blocked_ms = ?1 WHERE blocked_ms > ?2";
    connection.execute(sql, params![now, farthest]).map(|_| ())
}

fn waits(connection: &Connection) -> sql::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE state = 'à_envoyer')";
    connection.query_row(sql, params![], |row| row.get(0))
}

fn due(connection: &Connection, now: i64) -> sql::Result<Option<i64>> {
    let sql = format!(
        "SELECT outbox.id FROM outbox JOIN mail ON mail.id = outbox.mail
         WHERE outbox.state = 'à_envoyer' AND outbox.role = ?1 AND outbox.next_ms <= ?2 AND mail.kind = ?3
         ORDER BY outbox.next_ms, outbox.id LIMIT 1{}",
        connection.passing_over_held()
    );
    for (role, kind) in ORDER {
        let found = connection.query_opt(&sql, params![role.as_str(), now, kind], |row| row.get(0))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// What leaves first: requests, receipts, what follows them, digests.
const ORDER: [(MailRole, &str); 5] = [
    (MailRole::Mairie, "accueil"),
    (MailRole::Usager, "accueil"),
    (MailRole::Usager, "suite"),
    (MailRole::Mairie, "suite"),
    (MailRole::Mairie, "bulletin"),
];

/// A row of the outbox with what surrounds it, as read.
struct Due {
    reference: String,
    role: String,
    backup: bool,
    bare: bool,
    attempts: u32,
    since_ms: i64,
    due_ms: i64,
    recipient: Option<Vec<u8>>,
    mail: Option<Vec<u8>>,
    message_id: String,
}

impl Due {
    fn read(row: &sql::Row<'_>) -> sql::Result<Due> {
        Ok(Due {
            reference: row.get(0)?,
            role: row.get(1)?,
            backup: row.get(2)?,
            bare: row.get(3)?,
            attempts: row.get(4)?,
            since_ms: row.get(5)?,
            due_ms: row.get(6)?,
            recipient: row.get(7)?,
            mail: row.get(8)?,
            message_id: row.get(9)?,
        })
    }

    fn claim(self, seal: &Seal, id: i64, lease_until: Timestamp) -> Result<Claim, Fault> {
        let row = [self.reference.as_bytes(), self.message_id.as_bytes()];
        let sealed = self.mail.as_deref().unwrap_or_default();
        let mail: Mail = opened(seal, Place("mail.mail", &row), sealed, "mail")?;
        let sealed = self.recipient.as_deref().unwrap_or_default();
        let recipient =
            seal.open(Place(RECIPIENT, &row[1..]), sealed).map_err(|error| Fault::content("mail", error))?;
        let recipient = String::from_utf8(recipient).map_err(|error| Fault::content("mail", error))?;
        Ok(Claim {
            id,
            lease_until,
            reference: self.reference.parse().map_err(|error| Fault::content("reference", error))?,
            role: if self.role == MailRole::Usager.as_str() { MailRole::Usager } else { MailRole::Mairie },
            backup: self.backup,
            bare: self.bare,
            attempts: self.attempts.saturating_add(1),
            since: instant(self.since_ms)?,
            recipient,
            mail,
            due_ms: self.due_ms,
        })
    }
}

/// Takes one row; `None` when its mail cannot be read any more, which settles it: it must not stop the others.
fn take(
    connection: &Connection,
    seal: &Seal,
    id: i64,
    (lease_until, now): (Timestamp, Timestamp),
) -> Result<Option<Claim>, Fault> {
    let due = connection.query_row(TAKE, params![id], Due::read)?;
    let now_ms = now.as_millisecond();
    let Ok(claim) = due.claim(seal, id, lease_until) else {
        let sql = "UPDATE outbox SET state = 'définitif', settled_ms = ?2, last_outcome = 'unreadable' WHERE id = ?1";
        connection.execute(sql, params![id, now_ms])?;
        let trace = Trace { outcome: "unreadable", ..Trace::default() };
        log(connection, Some(submission_of(connection, id)?), Some(id), &trace, now_ms)?;
        return Ok(None);
    };
    let next = retry::next(claim.role, claim.since, claim.attempts, id, now).unwrap_or(now);
    let sql = "UPDATE outbox SET state = 'en_cours', lease_ms = ?2, attempts = ?3, next_ms = ?4 WHERE id = ?1";
    connection.execute(sql, params![id, lease_until.as_millisecond(), claim.attempts, next.as_millisecond()])?;
    connection.hold(id)?;
    Ok(Some(claim))
}

fn settle(
    connection: &Connection,
    seal: &Seal,
    claim: &Claim,
    (settlement, trace): &(Settlement, Trace),
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    let now_ms = now.as_millisecond();
    let (state, next_ms, bare, attempts) = match settlement {
        Settlement::Delivered => (DeliveryState::Delivered, now_ms, claim.bare, claim.attempts),
        Settlement::Again { at, bare } => {
            (DeliveryState::Waiting, at.as_millisecond(), claim.bare || *bare, claim.attempts)
        }
        Settlement::Closed { .. } => (DeliveryState::Waiting, claim.due_ms, claim.bare, claim.attempts - 1),
        Settlement::Failed => (DeliveryState::Failed, now_ms, claim.bare, claim.attempts),
    };
    let settled = matches!(state, DeliveryState::Delivered | DeliveryState::Failed).then_some(now_ms);
    let changed = connection.execute(
        SETTLE,
        params![
            claim.id,
            state.as_str(),
            next_ms,
            bare,
            attempts,
            settled,
            trace.code,
            trace.outcome,
            claim.lease_until.as_millisecond(),
        ],
    )?;
    let submission = submission_of(connection, claim.id)?;
    log(connection, Some(submission), Some(claim.id), trace, now_ms)?;
    if *settlement == Settlement::Delivered {
        // What a digest tells is of many requests, each with its own last day: once it is taken nothing of it is kept.
        let sql = "UPDATE mail SET mail = NULL WHERE kind = 'bulletin' AND id = (SELECT mail FROM outbox WHERE id = ?1)
                   AND NOT EXISTS (SELECT 1 FROM outbox WHERE mail = mail.id AND state IN ('à_envoyer', 'en_cours'))";
        connection.execute(sql, params![claim.id])?;
    }
    if *settlement == Settlement::Failed && changed > 0 && claim.role == MailRole::Mairie && !claim.backup {
        let refused = Refused {
            outbox: claim.id,
            reference: claim.reference.as_str(),
            message_id: &claim.mail.message_id,
            bare: claim.bare,
        };
        queue_backups(connection, seal, &refused, submission, now_ms)?;
    }
    match settlement {
        Settlement::Closed { is_refusal } => close_route(connection, *is_refusal, trace.outcome, now).map(Some),
        _ => {
            connection.execute("DELETE FROM route", params![])?;
            Ok(None)
        }
    }
}

/// A mail to the mairie that was refused for good.
pub(super) struct Refused<'a> {
    pub(super) outbox: i64,
    pub(super) reference: &'a str,
    pub(super) message_id: &'a str,
    pub(super) bare: bool,
}

/// One copy to each backup recipient, once a submission, whichever mailbox refused.
pub(super) fn queue_backups(
    connection: &Connection,
    seal: &Seal,
    refused: &Refused<'_>,
    submission: i64,
    now: i64,
) -> Result<(), Fault> {
    let sql = "SELECT backup FROM submission WHERE id = ?1";
    let sealed: Vec<u8> = connection.query_row(sql, params![submission], |row| row.get(0))?;
    let place = Place("submission.backup", &[refused.reference.as_bytes()]);
    let (outcome, backups): (_, Vec<String>) = match opened(seal, place, &sealed, "backup recipients") {
        Ok(backups) => ("backup_queued", backups),
        // Damaged: the refusal must be settled all the same, and a person sees both.
        Err(_) => ("backup_unreadable", Vec::new()),
    };
    let sql = "INSERT INTO outbox (mail, role, recipient, tag, backup, bare, state, since_ms, next_ms)
               SELECT mail, role, ?2, ?3, 1, ?4, 'à_envoyer', ?5, ?5 FROM outbox WHERE id = ?1
               ON CONFLICT (mail, tag) DO NOTHING";
    for backup in backups {
        let owed = Owed::new(seal, refused.message_id, &backup);
        let owed = owed.map_err(|error| Fault::Store(StoreError::unsealed(error)))?;
        connection.execute(sql, params![refused.outbox, owed.recipient, owed.tag, refused.bare, now])?;
    }
    log(connection, Some(submission), Some(refused.outbox), &Trace { outcome, ..Trace::default() }, now)?;
    Ok(())
}

fn close_route(connection: &Connection, is_refusal: bool, reason: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    let sql = "SELECT failures FROM route WHERE name = 'smtp'";
    let failures: Option<u32> = connection.query_opt(sql, params![], |row| row.get(0))?;
    let failures = failures.unwrap_or(0).saturating_add(1);
    let until = now.checked_add(retry::route_pause(failures, is_refusal)).unwrap_or(Timestamp::MAX);
    connection.execute(
        "INSERT INTO route (name, failures, since_ms, blocked_ms, reason) VALUES ('smtp', ?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET failures = ?1, blocked_ms = ?3, reason = ?4",
        params![failures, now.as_millisecond(), until.as_millisecond(), reason],
    )?;
    Ok(until)
}

/// Further ahead than any retry, pause or quarantine (a week at most) is planned.
const FARTHEST_MS: i64 = 8 * 24 * 60 * 60 * 1000;

/// Column of the addresses; each is bound to its message.
pub(super) const RECIPIENT: &str = "outbox.recipient";

const SETTLE: &str = "
    UPDATE outbox SET state = ?2, next_ms = ?3, bare = ?4, attempts = ?5, settled_ms = ?6, last_code = ?7,
           last_outcome = ?8, lease_ms = NULL
    WHERE id = ?1 AND ((state = 'en_cours' AND lease_ms = ?9) OR (?2 = 'remis' AND state <> 'remis'))";

const TAKE: &str = "
    SELECT submission.reference, outbox.role, outbox.backup, outbox.bare, outbox.attempts, outbox.since_ms, outbox.next_ms,
           outbox.recipient, mail.mail, mail.message_id
    FROM outbox JOIN mail ON mail.id = outbox.mail JOIN submission ON submission.id = mail.submission
    WHERE outbox.id = ?1";
