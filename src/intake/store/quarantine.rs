//! Requests whose mails wait because they look written by a machine.
//!
//! They are accepted like any other. Their rows of the outbox are due later, that is all: when nobody looks they leave by
//! themselves, even if this code were gone.

use jiff::Timestamp;

use super::admin::submission_id;
use super::error::{Fault, StoreError};
use super::outbox::{Trace, log};
use super::sql::{self, Cell, Connection, params};
use super::{Store, instant, record};
use crate::model::intake::{Hold, NewSubmission, Quarantined, Recorded};
use crate::model::reference::Reference;

impl Store {
    /// As [`Store::record`], with what keeps its mails back, in the same transaction.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub async fn record_held(&self, submission: NewSubmission, hold: Hold) -> Result<Recorded, StoreError> {
        let answer = self.submit_row(record::Row::new(submission, self.seal())?.held(hold))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Requests in quarantine at `now`, the one that waits longest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn quarantined(&self, now: Timestamp) -> Result<Vec<Quarantined>, StoreError> {
        self.read(|connection| {
            let sql = format!("{SELECT} ORDER BY quarantine.since_ms, quarantine.submission");
            quarantined(connection, &sql, params![now.as_millisecond()])
        })
    }

    /// The quarantine of one request, if it is still in it at `now`.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn quarantine_of(&self, reference: &Reference, now: Timestamp) -> Result<Option<Quarantined>, StoreError> {
        self.read(|connection| {
            let sql = format!("{SELECT} AND submission.reference = ?2");
            Ok(quarantined(connection, &sql, params![now.as_millisecond(), reference.as_str()])?.pop())
        })
    }

    /// Lets the mails of a request leave at once; `false` when it was not in quarantine.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn release(&self, reference: &Reference, now: Timestamp) -> Result<bool, StoreError> {
        self.end_quarantine(reference, now, "libérée", "released", "next_ms = ?2, since_ms = ?2")
    }

    /// Puts a request aside: its mails are given up, its answers are kept as long as the form says; `false` when it was not
    /// in quarantine. [`Store::resend`] takes it back.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn set_aside(&self, reference: &Reference, now: Timestamp) -> Result<bool, StoreError> {
        self.end_quarantine(reference, now, "écartée", "set_aside", "state = 'annulé', settled_ms = ?2")
    }

    /// Notes that the mairie was told of these requests.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub async fn quarantine_told(&self, references: Vec<Reference>, now: Timestamp) -> Result<(), StoreError> {
        let told = move |connection: &Connection| {
            for reference in &references {
                if let Some(id) = submission_id(connection, reference)? {
                    let sql = "UPDATE quarantine SET told_ms = ?2 WHERE submission = ?1";
                    connection.execute(sql, params![id, now.as_millisecond()])?;
                }
            }
            log(connection, None, None, &Trace { outcome: "notice_sent", ..Trace::default() }, now.as_millisecond())?;
            Ok(())
        };
        self.write(told, false).await
    }

    /// When the mairie was last told of something in quarantine, whatever became of it since; a moment after `now` was told
    /// by a clock that had jumped, and counts for nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn last_quarantine_notice(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT max(told_ms) FROM quarantine WHERE told_ms <= ?1";
            let told: Option<i64> = connection.query_row(sql, params![now.as_millisecond()], |row| row.get(0))?;
            told.map(instant).transpose()
        })
    }

    fn end_quarantine(
        &self,
        reference: &Reference,
        now: Timestamp,
        settled: &'static str,
        kind: &'static str,
        change: &'static str,
    ) -> Result<bool, StoreError> {
        let reference = reference.clone();
        self.write_blocking(move |connection| {
            let Some(submission) = submission_id(connection, &reference)? else { return Ok(false) };
            let now = now.as_millisecond();
            let sql = "UPDATE quarantine SET settled_ms = ?2, settled = ?3
                       WHERE submission = ?1 AND settled_ms IS NULL AND until_ms > ?2";
            if connection.execute(sql, params![submission, now, settled])? == 0 {
                return Ok(false);
            }
            let sql = format!(
                "UPDATE outbox SET {change}
                 WHERE mail IN (SELECT id FROM mail WHERE submission = ?1) AND state = 'à_envoyer'"
            );
            connection.execute(&sql, params![submission, now])?;
            log(connection, Some(submission), None, &Trace { outcome: kind, ..Trace::default() }, now)?;
            Ok(true)
        })
    }
}

/// Keeps back the mails of a submission just inserted.
pub(super) fn hold(connection: &Connection, submission: i64, hold: &Hold, now: i64) -> sql::Result<()> {
    if hold.receipt_on_page_only {
        let sql = "UPDATE outbox SET state = 'annulé', settled_ms = ?2, last_outcome = 'receipt_capped'
                   WHERE role = 'usager' AND mail IN (SELECT id FROM mail WHERE submission = ?1)";
        connection.execute(sql, params![submission, now])?;
        log(connection, Some(submission), None, &Trace { outcome: "receipt_capped", ..Trace::default() }, now)?;
    }
    if let Some((suspicion, until)) = &hold.quarantine {
        let until = until.as_millisecond().max(now);
        let sql =
            "INSERT INTO quarantine (submission, points, reasons, since_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
        let reasons = suspicion.reasons.join(" ");
        connection.execute(sql, params![submission, suspicion.points, reasons, now, until])?;
        // The retry period counts from when it may leave.
        let sql = "UPDATE outbox SET next_ms = ?2, since_ms = ?2
                   WHERE state = 'à_envoyer' AND mail IN (SELECT id FROM mail WHERE submission = ?1)";
        connection.execute(sql, params![submission, until])?;
        log(connection, Some(submission), None, &Trace { outcome: "quarantined", ..Trace::default() }, now)?;
    }
    Ok(())
}

fn quarantined(connection: &Connection, sql: &str, params: &[Cell<'_>]) -> Result<Vec<Quarantined>, Fault> {
    let mut found = Vec::new();
    connection.each(sql, params, |row| {
        let (reference, reasons): (String, String) = (row.get(0)?, row.get(6)?);
        found.push(Quarantined {
            reference: reference.parse().map_err(|error| Fault::content("reference", error))?,
            form_id: row.get(1)?,
            form_title: row.get(2)?,
            since: instant(row.get(3)?)?,
            until: instant(row.get(4)?)?,
            points: row.get(5)?,
            reasons: reasons.split_whitespace().map(str::to_owned).collect(),
            told_at: row.get::<Option<i64>>(7)?.map(instant).transpose()?,
        });
        Ok(())
    })?;
    Ok(found)
}

const SELECT: &str = "
    SELECT submission.reference, submission.form_id, submission.form_title, quarantine.since_ms, quarantine.until_ms,
           quarantine.points, quarantine.reasons, quarantine.told_ms
    FROM quarantine JOIN submission ON submission.id = quarantine.submission
    WHERE quarantine.settled_ms IS NULL AND quarantine.until_ms > ?1";

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::{Claimed, testing};
    use super::*;
    use crate::intake::sample::{now, reference, submission};
    use crate::model::intake::{DeliveryState, Suspicion};
    use crate::model::mail::MailRole;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), testing::options()).unwrap();
        (dir, store)
    }

    fn suspect() -> Hold {
        let suspicion = Suspicion { points: 4, reasons: vec!["liens", "formules"] };
        Hold { quarantine: Some((suspicion, now() + DAY * 2)), receipt_on_page_only: false }
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn claim(store: &Store, at: Timestamp) -> Option<MailRole> {
        match wait(store.claim(at, SignedDuration::from_mins(10))).unwrap() {
            Claimed::Mail(claim) => Some(claim.role),
            Claimed::Nothing { .. } => None,
        }
    }

    #[test]
    fn a_suspect_request_waits_and_leaves_by_itself_when_nobody_looks() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            assert!(wait(store.record_held(submission(1), suspect())).unwrap().new);
            let waiting = store.quarantined(now()).unwrap();
            assert_eq!((waiting[0].points, waiting[0].reasons.join("+")), (4, "liens+formules".to_owned()));
            assert_eq!(claim(&store, now() + DAY), None);
            assert!(store.stuck(now() + DAY, SignedDuration::from_mins(15)).unwrap().is_empty(), "it waits on purpose");
            let next = wait(store.claim(now(), DAY)).unwrap();
            assert!(matches!(next, Claimed::Nothing { next_at: Some(at) } if at == now() + DAY * 2), "{next:?}");
            let later = now() + DAY * 2;
            assert!(store.quarantined(later).unwrap().is_empty());
            assert_eq!(claim(&store, later), Some(MailRole::Mairie));
            assert_eq!(claim(&store, later), Some(MailRole::Usager));
            assert!(!store.release(&reference(1), later).unwrap(), "there is nothing left to release");
        });
    }

    #[test]
    fn a_released_request_leaves_at_once() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            wait(store.record_held(submission(1), suspect())).unwrap();
            assert!(store.release(&reference(1), now()).unwrap());
            assert!(!store.release(&reference(1), now()).unwrap(), "once");
            assert_eq!(claim(&store, now()), Some(MailRole::Mairie));
            assert_eq!(claim(&store, now()), Some(MailRole::Usager));
        });
    }

    #[test]
    fn a_request_put_aside_sends_nothing_is_kept_and_can_be_taken_back() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            wait(store.record_held(submission(1), suspect())).unwrap();
            assert!(store.set_aside(&reference(1), now()).unwrap());
            assert_eq!(claim(&store, now() + DAY * 3), None);
            assert_eq!(store.detail(&reference(1), true).unwrap().unwrap().answers, submission(1).answers);
            let sums = store.reconcile(Timestamp::MIN, Timestamp::MAX).unwrap();
            assert_eq!((sums.accepted, sums.failed.len()), (1, 1), "it is in sight of all");
            assert_eq!(store.resend(&reference(1), None, false, now()).unwrap(), 2);
            assert_eq!(claim(&store, now()), Some(MailRole::Mairie));
        });
    }

    #[test]
    fn a_receipt_beyond_the_cap_stays_on_its_page_and_the_request_leaves() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            let hold = Hold { receipt_on_page_only: true, ..Hold::default() };
            wait(store.record_held(submission(1), hold)).unwrap();
            assert_eq!(claim(&store, now()), Some(MailRole::Mairie));
            assert_eq!(claim(&store, now()), None);
            let detail = store.detail(&reference(1), false).unwrap().unwrap();
            assert!(
                detail.mails.iter().any(|mail| mail.state == DeliveryState::Cancelled && mail.role == MailRole::Usager)
            );
            assert!(detail.events.iter().any(|event| event.kind == "receipt_capped"));
        });
    }

    #[test]
    fn the_same_nonce_is_held_once() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            wait(store.record_held(submission(1), suspect())).unwrap();
            assert!(!wait(store.record_held(submission(1), suspect())).unwrap().new);
            assert_eq!(store.quarantined(now()).unwrap().len(), 1);
        });
    }

    #[test]
    fn what_the_mairie_was_told_is_noted() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            wait(store.record_held(submission(1), suspect())).unwrap();
            wait(store.quarantine_told(vec![reference(1)], now())).unwrap();
            assert_eq!(store.quarantined(now()).unwrap()[0].told_at, Some(now()));
            assert_eq!(store.last_quarantine_notice(now()).unwrap(), Some(now()));
            assert_eq!(store.last_quarantine_notice(now() - DAY).unwrap(), None, "a clock that had jumped");
            assert!(store.release(&reference(1), now()).unwrap());
            assert_eq!(store.last_quarantine_notice(now() + DAY).unwrap(), Some(now()), "though it is released");
        });
    }

    #[test]
    fn the_purge_leaves_no_word_behind_it() {
        testing::every_backend(|| {
            let (_dir, store) = store();
            wait(store.record_held(submission(1), suspect())).unwrap();
            store.erase(&reference(1), now()).unwrap();
            assert_eq!(claim(&store, now() + DAY * 3), None);
        });
    }
}
