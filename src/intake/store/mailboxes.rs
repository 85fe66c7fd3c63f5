//! The mailboxes requests may be sent to, and what proves that somebody of the mairie reads each of them.
//!
//! A mailbox is confirmed once and for good: by the code of a mail, by the administration, or because a request had reached it
//! before anybody asked.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::error::{Fault, StoreError};
use super::outbox::{RECIPIENT, Trace, log};
use super::sql::{self, Connection, params};
use super::{Store, instant};
use crate::intake::seal::{Place, Seal};
use crate::intake::token::Keys;

/// What stands for an address wherever only sameness counts.
pub type MailboxTag = [u8; 16];

/// A mailbox requests may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxState {
    /// Stands for it in links.
    pub tag: MailboxTag,
    /// Its address, as first written.
    pub address: String,
    /// When it was first seen in the commune's folder.
    pub since: Timestamp,
    /// When it was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// The code in force is made from this instant.
    pub issued_at: Timestamp,
    /// Wrong codes since.
    pub tries: u32,
    /// When a server took the mail with that code.
    pub sent_at: Option<Timestamp>,
    /// When that mail is tried, as long as it is not sent.
    pub next_at: Timestamp,
    /// Attempts to send it.
    pub attempts: u32,
    /// SMTP code by which a server refused it for good, the last time.
    pub refused: Option<u16>,
}

impl MailboxState {
    /// Whether the code in force still opens at `now`.
    pub fn has_code(&self, now: Timestamp) -> bool {
        self.tries < MOST_TRIES && now.duration_since(self.issued_at) < CODE_LIFE
    }
}

/// What a typed code did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It was the one: the mailbox is confirmed.
    Confirmed,
    /// The mailbox was confirmed before.
    Already,
    /// It was not; so many tries are left.
    Wrong {
        /// At least one.
        left: u32,
    },
    /// The code is too old, or was mistyped too often: another one is needed.
    Over,
    /// There is no such mailbox.
    Unknown,
}

/// What is noted of an attempt to send a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeSent {
    /// A server took it.
    Taken,
    /// Not now.
    Later {
        /// Not before then.
        at: Timestamp,
        /// SMTP code, when it was refused for good: the address may be wrong.
        refused: Option<u16>,
    },
}

impl Store {
    /// What stands for an address, whatever its capitals.
    pub fn mailbox_tag(&self, address: &str) -> MailboxTag {
        tag(self.seal(), address)
    }

    /// All mailboxes ever seen, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn mailboxes(&self) -> Result<Vec<MailboxState>, StoreError> {
        self.read(|connection| states(connection, self.seal()))
    }

    /// Tags of the mailboxes that are confirmed.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn confirmed_mailboxes(&self) -> Result<BTreeSet<MailboxTag>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT tag FROM boite WHERE confirmed_ms IS NOT NULL";
            Ok(connection.query_map(sql, params![], |row| row.get(0))?.into_iter().collect())
        })
    }

    /// Takes note of the mailboxes of the commune's folder. One that a request has already reached is confirmed by that; so are
    /// the backup mailboxes of a guichet that was at work before codes were asked for, because nothing may close on update.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn know_mailboxes(
        &self,
        recipients: BTreeSet<String>,
        backups: BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let seal = self.seal().clone();
        self.write_blocking(move |connection| know(connection, &seal, (&recipients, &backups), now))
    }

    /// Tries a code typed by who holds the mail of this mailbox.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub async fn try_mailbox_code(&self, tag: MailboxTag, typed: String, now: Timestamp) -> Result<Tried, StoreError> {
        let keys = self.keys().clone();
        self.write(move |connection| try_code(connection, &keys, (&tag, &typed), now), false).await
    }

    /// Confirms a mailbox at the administration's order; `false` when it was confirmed before, or is not known.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn confirm_mailbox(&self, tag: MailboxTag, now: Timestamp) -> Result<bool, StoreError> {
        self.write_blocking(move |connection| confirm(connection, &tag, "commande", now))
    }

    /// Makes another code for a mailbox that is not confirmed, to be sent at once; `false` when the last one is younger than
    /// `pause`, or the mailbox needs none.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn renew_mailbox_code(
        &self,
        tag: MailboxTag,
        pause: SignedDuration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write_blocking(move |connection| {
            let (now, latest) = (now.as_millisecond(), now.checked_sub(pause).unwrap_or(now).as_millisecond());
            let sql =
                "UPDATE boite SET issued_ms = ?2, next_ms = ?2, tries = 0, sent_ms = NULL, attempts = 0, refused = NULL
                       WHERE tag = ?1 AND confirmed_ms IS NULL AND issued_ms <= ?3";
            Ok(connection.execute(sql, params![tag, now, latest])? > 0)
        })
    }

    /// Notes what became of the mail with the code issued then; nothing when another code was made meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub async fn mailbox_code_sent(
        &self,
        tag: MailboxTag,
        issued: Timestamp,
        sent: CodeSent,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let note = move |connection: &Connection| {
            let (sent_ms, next, refused) = match sent {
                CodeSent::Taken => (Some(now.as_millisecond()), now, None),
                CodeSent::Later { at, refused } => (None, at, refused),
            };
            let sql = "UPDATE boite SET sent_ms = ?3, next_ms = ?4, refused = ?5, attempts = attempts + 1
                       WHERE tag = ?1 AND issued_ms = ?2";
            connection.execute(sql, params![tag, issued.as_millisecond(), sent_ms, next.as_millisecond(), refused])?;
            let outcome = if sent == CodeSent::Taken { "code_sent" } else { "code_refused" };
            log(connection, None, None, &Trace { outcome, code: refused, ..Trace::default() }, now.as_millisecond())?;
            Ok(())
        };
        self.write(note, false).await
    }
}

fn tag(seal: &Seal, address: &str) -> MailboxTag {
    seal.tag(PLACE, address.trim().to_lowercase().as_bytes())
}

fn states(connection: &Connection, seal: &Seal) -> Result<Vec<MailboxState>, Fault> {
    let sql = "SELECT tag, address, since_ms, confirmed_ms, issued_ms, tries, sent_ms, next_ms, attempts, refused
               FROM boite ORDER BY since_ms, rowid";
    let mut found = Vec::new();
    connection.each(sql, params![], |row| {
        let sealed: Vec<u8> = row.get(1)?;
        let address = seal.open(PLACE, &sealed).map_err(|error| Fault::content("mailbox", error))?;
        found.push(MailboxState {
            tag: row.get(0)?,
            address: String::from_utf8(address).map_err(|error| Fault::content("mailbox", error))?,
            since: instant(row.get(2)?)?,
            confirmed_at: row.get::<Option<i64>>(3)?.map(instant).transpose()?,
            issued_at: instant(row.get(4)?)?,
            tries: row.get(5)?,
            sent_at: row.get::<Option<i64>>(6)?.map(instant).transpose()?,
            next_at: instant(row.get(7)?)?,
            attempts: row.get(8)?,
            refused: row.get(9)?,
        });
        Ok(())
    })?;
    Ok(found)
}

fn know(
    connection: &Connection,
    seal: &Seal,
    (recipients, backups): (&BTreeSet<String>, &BTreeSet<String>),
    now: Timestamp,
) -> Result<(), Fault> {
    let is_first: bool =
        connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM boite)", params![], |row| row.get(0))?;
    let now_ms = now.as_millisecond();
    for (address, is_backup) in
        recipients.iter().map(|address| (address, false)).chain(backups.iter().map(|address| (address, true)))
    {
        let tag = tag(seal, address);
        let known = connection.query_opt("SELECT 1 FROM boite WHERE tag = ?1", params![tag], |_| Ok(()))?;
        if known.is_some() {
            continue;
        }
        let is_reached = match is_backup {
            true => is_first && was_at_work(connection)?,
            false => is_reached(connection, seal, address)?,
        };
        let sealed = seal.close(PLACE, address.trim().as_bytes());
        let sealed = sealed.map_err(|error| Fault::Store(StoreError::unsealed(error)))?;
        let sql = "INSERT INTO boite (tag, address, since_ms, confirmed_ms, proof, issued_ms, next_ms)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?3, ?3) ON CONFLICT DO NOTHING";
        let proof = is_reached.then_some("remise");
        connection.execute(sql, params![tag, sealed, now_ms, is_reached.then_some(now_ms), proof])?;
    }
    Ok(())
}

/// Whether a request has been delivered before.
fn was_at_work(connection: &Connection) -> sql::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM outbox JOIN mail ON mail.id = outbox.mail
               WHERE outbox.role = 'mairie' AND outbox.state = 'remis' AND mail.kind = 'accueil')";
    connection.query_row(sql, params![], |row| row.get(0))
}

/// Whether a request has been delivered to this address. Each tag is bound to its message, so all are looked at: once an
/// address, the first time it is seen.
fn is_reached(connection: &Connection, seal: &Seal, address: &str) -> Result<bool, Fault> {
    let sql = "SELECT mail.message_id, outbox.tag FROM outbox JOIN mail ON mail.id = outbox.mail
               WHERE outbox.role = 'mairie' AND outbox.state = 'remis' AND mail.kind = 'accueil' AND mail.mail IS NOT NULL";
    let mut is_reached = false;
    connection.each(sql, params![], |row| {
        let (message_id, found): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        is_reached |= seal.tag(Place(RECIPIENT, &[message_id.as_bytes()]), address.as_bytes()).as_slice() == found;
        Ok(())
    })?;
    Ok(is_reached)
}

fn try_code(
    connection: &Connection,
    keys: &Keys,
    (tag, typed): (&MailboxTag, &str),
    now: Timestamp,
) -> Result<Tried, Fault> {
    // A wrong code counts, whichever instance it was typed to.
    connection.lock("boite")?;
    let found = states(connection, keys.seal())?.into_iter().find(|state| state.tag == *tag);
    let Some(state) = found else { return Ok(Tried::Unknown) };
    if state.confirmed_at.is_some() {
        return Ok(Tried::Already);
    }
    if !state.has_code(now) {
        return Ok(Tried::Over);
    }
    if keys.is_mailbox_code(tag, state.issued_at, typed) {
        confirm(connection, tag, "code", now)?;
        return Ok(Tried::Confirmed);
    }
    connection.execute("UPDATE boite SET tries = tries + 1 WHERE tag = ?1", params![tag])?;
    Ok(match MOST_TRIES - state.tries - 1 {
        0 => Tried::Over,
        left => Tried::Wrong { left },
    })
}

fn confirm(connection: &Connection, tag: &MailboxTag, proof: &str, now: Timestamp) -> Result<bool, Fault> {
    let now = now.as_millisecond();
    let sql = "UPDATE boite SET confirmed_ms = ?2, proof = ?3 WHERE tag = ?1 AND confirmed_ms IS NULL";
    let is_new = connection.execute(sql, params![tag, now, proof])? > 0;
    if is_new {
        log(connection, None, None, &Trace { outcome: "mailbox_confirmed", ..Trace::default() }, now)?;
    }
    Ok(is_new)
}

/// What an address is sealed for.
const PLACE: Place<'static> = Place("boite.address", &[]);
/// Wrong codes after which another one is needed: one chance in two hundred thousand to guess it, and the link besides.
const MOST_TRIES: u32 = 5;
/// How long a code is good: a secretary works two mornings a week and takes holidays.
const CODE_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);

#[cfg(test)]
mod tests {
    use super::super::{Claimed, Settlement, testing};
    use super::*;
    use crate::intake::sample::{now, submission};

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), testing::options()).unwrap();
        (dir, store)
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn set(addresses: &[&str]) -> BTreeSet<String> {
        addresses.iter().map(|address| (*address).to_owned()).collect()
    }

    fn know(store: &Store, recipients: &[&str], backups: &[&str]) {
        store.know_mailboxes(set(recipients), set(backups), now()).unwrap();
    }

    fn try_code(store: &Store, address: &str, typed: &str, at: Timestamp) -> Tried {
        wait(store.try_mailbox_code(store.mailbox_tag(address), typed.to_owned(), at)).unwrap()
    }

    fn code(store: &Store, address: &str) -> String {
        let tag = store.mailbox_tag(address);
        let state = store.mailboxes().unwrap().into_iter().find(|state| state.tag == tag).unwrap();
        store.keys().mailbox_code(&tag, state.issued_at)
    }

    const ADDRESS: &str = "mairie@saint-mulot.fr";

    #[test]
    fn a_new_mailbox_is_confirmed_by_its_code_once() {
        testing::every_backend(|| {
            let (dir, store) = store();
            know(&store, &[ADDRESS], &[]);
            assert!(store.confirmed_mailboxes().unwrap().is_empty());
            let code = code(&store, ADDRESS);
            let spaced = format!(" {} {} ", &code[..3], &code[3..]);
            assert_eq!(try_code(&store, "MAIRIE@saint-mulot.fr", &spaced, now()), Tried::Confirmed);
            assert_eq!(try_code(&store, ADDRESS, &code, now()), Tried::Already);
            assert_eq!(store.confirmed_mailboxes().unwrap().len(), 1);
            know(&store, &["Mairie@Saint-Mulot.fr"], &[]);
            assert_eq!(store.mailboxes().unwrap().len(), 1, "capitals make no other mailbox");
            drop(store);
            if testing::is_on_server() {
                return;
            }
            let bytes = std::fs::read(dir.path().join("guichet.db")).unwrap();
            assert!(!bytes.windows(ADDRESS.len()).any(|window| window == ADDRESS.as_bytes()), "it is sealed");
        });
    }

    #[test]
    fn a_code_is_guessed_five_times_and_lives_a_month() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            know(&store, &[ADDRESS], &[]);
            let (right, issued) = (code(&store, ADDRESS), now());
            for left in (1..5).rev() {
                assert_eq!(try_code(&store, ADDRESS, "abc", issued), Tried::Wrong { left });
            }
            assert_eq!(try_code(&store, ADDRESS, "", issued), Tried::Over);
            assert_eq!(try_code(&store, ADDRESS, &right, issued), Tried::Over, "even the right one");
            let tag = store.mailbox_tag(ADDRESS);
            let later = issued + SignedDuration::from_hours(1);
            assert!(!store.renew_mailbox_code(tag, SignedDuration::from_hours(2), later).unwrap(), "too soon");
            assert!(store.renew_mailbox_code(tag, SignedDuration::from_mins(10), later).unwrap());
            assert_ne!(code(&store, ADDRESS), right);
            assert_eq!(try_code(&store, ADDRESS, &right, later), Tried::Wrong { left: 4 }, "the old one is dead");
            let month = later + SignedDuration::from_hours(24 * 31);
            assert_eq!(try_code(&store, ADDRESS, &code(&store, ADDRESS), month), Tried::Over);
            assert_eq!(try_code(&store, "autre@saint-mulot.fr", "1", now()), Tried::Unknown);
        });
    }

    #[test]
    fn a_mailbox_that_a_request_has_reached_needs_no_code() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            store.record_blocking(submission(1)).unwrap();
            know(&store, &["attente@saint-mulot.fr"], &[]);
            let Claimed::Mail(claim) = wait(store.claim(now(), SignedDuration::from_mins(1))).unwrap() else {
                panic!("due")
            };
            let trace = Trace { outcome: "delivered", ..Trace::default() };
            wait(store.settle(&claim, Settlement::Delivered, trace, now())).unwrap();
            know(&store, &[ADDRESS, "attente@saint-mulot.fr", "neuve@saint-mulot.fr"], &["secours@saint-mulot.fr"]);
            assert_eq!(store.confirmed_mailboxes().unwrap(), [store.mailbox_tag(ADDRESS)].into());
        });
    }

    #[test]
    fn the_backups_of_a_guichet_at_work_go_on_without_a_code() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            store.record_blocking(submission(1)).unwrap();
            let Claimed::Mail(claim) = wait(store.claim(now(), SignedDuration::from_mins(1))).unwrap() else {
                panic!("due")
            };
            let trace = Trace { outcome: "delivered", ..Trace::default() };
            wait(store.settle(&claim, Settlement::Delivered, trace, now())).unwrap();
            know(&store, &[ADDRESS], &["secours@saint-mulot.fr"]);
            assert_eq!(store.confirmed_mailboxes().unwrap().len(), 2);
            know(&store, &[ADDRESS], &["secours@saint-mulot.fr", "autre@saint-mulot.fr"]);
            assert_eq!(store.confirmed_mailboxes().unwrap().len(), 2, "a later one is asked");
        });
    }

    #[test]
    fn the_administration_confirms_and_what_became_of_a_code_is_noted() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            know(&store, &[ADDRESS], &[]);
            let tag = store.mailbox_tag(ADDRESS);
            let later = now() + SignedDuration::from_hours(1);
            wait(store.mailbox_code_sent(tag, now(), CodeSent::Later { at: later, refused: Some(550) }, now()))
                .unwrap();
            let state = &store.mailboxes().unwrap()[0];
            assert_eq!((state.next_at, state.refused, state.attempts), (later, Some(550), 1));
            wait(store.mailbox_code_sent(tag, now(), CodeSent::Taken, later)).unwrap();
            assert_eq!(store.mailboxes().unwrap()[0].sent_at, Some(later));
            wait(store.mailbox_code_sent(tag, later, CodeSent::Later { at: later, refused: None }, later)).unwrap();
            assert_eq!(store.mailboxes().unwrap()[0].sent_at, Some(later), "of another code");
            assert!(store.confirm_mailbox(tag, now()).unwrap());
            assert!(!store.confirm_mailbox(tag, now()).unwrap());
        });
    }
}
