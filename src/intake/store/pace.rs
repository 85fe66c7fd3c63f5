//! How many messages were handed to the mail server in the last hour: operators close the account of who sends more than they
//! allow. Counted from what is stored, so that a restart forgets nothing.

use jiff::{SignedDuration, Timestamp};

use super::error::{Fault, StoreError};
use super::sql::{Connection, params};
use super::{Store, instant};

/// How the pace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Messages that are due.
    pub due: u64,
    /// When the next one may leave.
    pub opens_at: Timestamp,
}

impl Store {
    /// What waits because `per_hour` messages have left within the hour; `None` when nothing does.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn paced(&self, per_hour: u32, now: Timestamp) -> Result<Option<Pace>, StoreError> {
        self.read(|connection| {
            let Some(opens_at) = opens_at(connection, per_hour, now)? else { return Ok(None) };
            let sql = "SELECT count(*) FROM outbox WHERE state = 'à_envoyer' AND next_ms <= ?1";
            let due: i64 = connection.query_row(sql, params![now.as_millisecond()], |row| row.get(0))?;
            let due = due.unsigned_abs();
            Ok((due > 0).then_some(Pace { due, opens_at }))
        })
    }
}

/// When one more message may leave; `None`: now. What is in hand counts; an event dated after `now` does not, for a clock that
/// was put back must not close the way out for days.
pub(super) fn opens_at(connection: &Connection, per_hour: u32, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    let sql = "SELECT count(*), min(lease_ms) FROM outbox WHERE state = 'en_cours'";
    let (sending, lease): (i64, Option<i64>) =
        connection.query_row(sql, params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if sending >= i64::from(per_hour) {
        return lease.map(instant).transpose();
    }
    let (now_ms, hour) = (now.as_millisecond(), HOUR.as_millis() as i64);
    // The event whose hour must be over before one more leaves.
    let offset = i64::from(per_hour) - 1 - sending;
    let last: Option<i64> = connection.query_opt(COUNTED, params![now_ms - hour, now_ms, offset], |row| row.get(0))?;
    last.map(|at| instant(at + hour)).transpose()
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What reached a server, taken or not: refusals are counted by operators too.
const COUNTED: &str = "
    SELECT at_ms FROM event
    WHERE at_ms > ?1 AND at_ms <= ?2 AND kind IN ('delivered', 'ambiguous', 'temporary', 'permanent', 'expired', 'too_heavy',
        'sender_refused', 'code_sent', 'code_refused', 'notice_sent')
    ORDER BY at_ms DESC LIMIT 1 OFFSET ?3";

#[cfg(test)]
mod tests {
    use super::super::{Claimed, Settlement, StoreOptions, Trace, testing};
    use super::*;
    use crate::intake::sample::{now, submission};
    use crate::model::mail::MailRole;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn open(dir: &std::path::Path, per_hour: u32) -> Store {
        let options = StoreOptions { per_hour: Some(per_hour), ..testing::options() };
        Store::open(dir, options).unwrap()
    }

    /// Sends what is due and may leave at this instant; gives the roles in order, and when the next may.
    fn send(store: &Store, at: Timestamp) -> (Vec<MailRole>, Option<Timestamp>) {
        let mut sent = Vec::new();
        loop {
            match wait(store.claim(at, MINUTE)).unwrap() {
                Claimed::Nothing { next_at } => return (sent, next_at),
                Claimed::Mail(claim) => {
                    sent.push(claim.role);
                    let trace = Trace { outcome: "delivered", ..Trace::default() };
                    wait(store.settle(&claim, Settlement::Delivered, trace, at)).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_hour_is_held_across_a_restart_and_the_mairie_comes_first() {
        testing::every_backend(|| {
            use MailRole::{Mairie, Usager};
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path(), 3);
            for number in 1..=2 {
                store.record_blocking(submission(number)).unwrap();
            }
            assert_eq!(send(&store, now()), (vec![Mairie, Mairie, Usager], Some(now() + HOUR)));
            let pace = store.paced(3, now()).unwrap().unwrap();
            assert_eq!((pace.due, pace.opens_at), (1, now() + HOUR));
            drop(store);
            let store = open(dir.path(), 3);
            for number in 3..=4 {
                store.record_blocking(submission(number)).unwrap();
            }
            assert_eq!(send(&store, now() + MINUTE).0, []);
            assert_eq!(send(&store, now() + HOUR).0, [Mairie, Mairie, Usager], "requests before a receipt that waits");
            assert_eq!(send(&store, now() + HOUR * 2).0, [Usager, Usager], "nothing is lost");
            assert_eq!(store.paced(3, now() + HOUR * 2).unwrap(), None);
        });
    }

    #[test]
    fn a_clock_put_back_does_not_close_the_way_out() {
        testing::every_backend(|| {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path(), 2);
            store.record_blocking(submission(1)).unwrap();
            assert_eq!(send(&store, now() + HOUR * 48).0.len(), 2);
            store.record_blocking(submission(2)).unwrap();
            assert_eq!(send(&store, now()).0.len(), 2);
        });
    }

    #[test]
    fn what_is_in_hand_counts() {
        testing::every_backend(|| {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path(), 1);
            store.record_blocking(submission(1)).unwrap();
            let Claimed::Mail(claim) = wait(store.claim(now(), MINUTE)).unwrap() else { panic!("due") };
            assert!(matches!(wait(store.claim(now(), MINUTE)).unwrap(), Claimed::Nothing { .. }));
            let trace = Trace { outcome: "unreachable", ..Trace::default() };
            wait(store.settle(&claim, Settlement::Closed { is_refusal: false }, trace, now())).unwrap();
            assert_eq!(send(&store, now() + MINUTE * 30).0.len(), 1, "what never reached the server does not");
        });
    }
}
