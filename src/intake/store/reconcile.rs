//! The sums that must agree, over any period.

use jiff::Timestamp;
use serde::Serialize;

use super::Store;
use super::admin::{reference, unsigned};
use super::error::{Fault, StoreError};
use super::sql::{Connection, params};
use crate::model::reference::Reference;

/// Sums over a period that must agree: what was accepted is delivered, waits, or has failed in sight of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// Submissions accepted, counted apart from all that follows.
    pub accepted: u64,
    /// Of them, those one mailbox of the mairie took.
    pub delivered: u64,
    /// Not delivered, with a mail to the mairie still to be tried.
    pub waiting: u64,
    /// Not delivered, and nothing more will be tried.
    pub failed: Vec<Reference>,
    /// Accepted without any mail to the mairie; always empty but for a defect.
    pub without_mail: Vec<Reference>,
    /// Said to be delivered without the trace of a server's answer; always empty but for a defect.
    pub unproven: Vec<Reference>,
    /// Receipts accepted, delivered and failed.
    pub receipts: [u64; 3],
}

impl Reconciliation {
    /// Whether nothing is lost.
    pub fn is_balanced(&self) -> bool {
        let told = self.delivered + self.waiting + self.failed.len() as u64;
        self.accepted == told && self.without_mail.is_empty() && self.unproven.is_empty()
    }
}

impl Store {
    /// The sums over submissions accepted from `from` (included) to `to` (excluded).
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn reconcile(&self, from: Timestamp, to: Timestamp) -> Result<Reconciliation, StoreError> {
        // Both questions must see the same instant.
        self.read(|connection| connection.at_one_instant(|connection| sums(connection, from, to)))
    }
}

fn sums(connection: &Connection, from: Timestamp, to: Timestamp) -> Result<Reconciliation, Fault> {
    let (from, to) = (from.as_millisecond(), to.as_millisecond());
    let sql = "SELECT count(*) FROM submission WHERE received_ms >= ?1 AND received_ms < ?2";
    let accepted = connection.query_row(sql, params![from, to], |row| unsigned(row, 0))?;
    let mut sums = Reconciliation { accepted, ..Reconciliation::default() };
    connection.each(RECONCILE, params![from, to], |row| {
        let (all, taken, open) = (unsigned(row, 1)?, unsigned(row, 2)?, unsigned(row, 3)?);
        match (all, taken, open) {
            (0, ..) => sums.without_mail.push(reference(row, 0)?),
            (_, 1.., _) => sums.delivered += 1,
            (_, 0, 1..) => sums.waiting += 1,
            (_, 0, 0) => sums.failed.push(reference(row, 0)?),
        }
        if unsigned(row, 7)? > 0 {
            sums.unproven.push(reference(row, 0)?);
        }
        for (sum, column) in sums.receipts.iter_mut().zip(4..) {
            *sum += unsigned(row, column)?;
        }
        Ok(())
    })?;
    Ok(sums)
}

const RECONCILE: &str = "
    SELECT submission.reference,
           count(outbox.id) FILTER (WHERE outbox.role = 'mairie'),
           count(outbox.id) FILTER (WHERE outbox.role = 'mairie' AND outbox.state = 'remis'),
           count(outbox.id) FILTER (WHERE outbox.role = 'mairie' AND outbox.state IN ('à_envoyer', 'en_cours')),
           count(outbox.id) FILTER (WHERE outbox.role = 'usager'),
           count(outbox.id) FILTER (WHERE outbox.role = 'usager' AND outbox.state = 'remis'),
           count(outbox.id) FILTER (WHERE outbox.role = 'usager' AND outbox.state IN ('définitif', 'annulé')),
           count(outbox.id) FILTER (WHERE outbox.state = 'remis' AND NOT EXISTS (
               SELECT 1 FROM event
               WHERE event.submission = submission.id AND event.outbox = outbox.id AND event.kind = 'delivered'))
    FROM submission LEFT JOIN mail ON mail.submission = submission.id AND mail.kind = 'accueil'
    LEFT JOIN outbox ON outbox.mail = mail.id
    WHERE submission.received_ms >= ?1 AND submission.received_ms < ?2
    GROUP BY submission.id ORDER BY submission.id";
