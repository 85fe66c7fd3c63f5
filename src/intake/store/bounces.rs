//! What a mail server says afterwards of a mail it took: that it could not deliver it, or not yet.

use jiff::Timestamp;

use super::Store;
use super::error::{Fault, StoreError};
use super::outbox::{RECIPIENT, Refused, Trace, log, queue_backups};
use super::sql::{Connection, params};
use crate::intake::bounces::Bounce;
use crate::intake::seal::{Place, Seal};
use crate::model::mail::MailRole;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounced {
    /// The mail counts as refused for good from now on; a request goes to the backup mailboxes.
    Failed,
    /// It is late: that is noted, nothing else.
    Noted,
    /// It was known before, or the mail was not said to be delivered.
    Already,
    /// It names no mail of ours.
    Unknown,
}

impl Store {
    /// Writes what a report says. Only a mail that counts as delivered can change, and only once: whoever forges a report can at
    /// most have a request copied to the backup mailboxes.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub async fn bounced(&self, bounce: Bounce, now: Timestamp) -> Result<Bounced, StoreError> {
        let seal = self.seal().clone();
        self.write(move |connection| bounced(connection, &seal, &bounce, now), true).await
    }
}

/// A row of the outbox that a report may be about.
struct Sent {
    id: i64,
    tag: Vec<u8>,
    role: String,
    backup: bool,
    bare: bool,
    state: String,
    submission: i64,
    reference: String,
    /// Whether its words are still kept; those of a digest are not, once it is taken.
    is_kept: bool,
}

fn bounced(connection: &Connection, seal: &Seal, bounce: &Bounce, now: Timestamp) -> Result<Bounced, Fault> {
    // Two instances told of the same report must not both believe it.
    connection.lock("bounces")?;
    let rows: Vec<Sent> = connection.query_map(SENT, params![bounce.message_id], |row| {
        Ok(Sent {
            id: row.get(0)?,
            tag: row.get(1)?,
            role: row.get(2)?,
            backup: row.get(3)?,
            bare: row.get(4)?,
            state: row.get(5)?,
            submission: row.get(6)?,
            reference: row.get(7)?,
            is_kept: row.get(8)?,
        })
    })?;
    let Some(sent) = concerned(seal, bounce, rows) else { return Ok(Bounced::Unknown) };
    let now_ms = now.as_millisecond();
    let outcome = if bounce.is_final { "bounced" } else { "late" };
    let sql = "SELECT 1 FROM event WHERE outbox = ?1 AND kind = ?2 AND coalesce(class, '') = coalesce(?3, '') LIMIT 1";
    let told = connection.query_opt(sql, params![sent.id, outcome, bounce.class], |_| Ok(()))?;
    if sent.state != "remis" || (told.is_some() && (!bounce.is_final || !sent.is_kept)) {
        return Ok(Bounced::Already);
    }
    let trace = Trace { outcome, phase: Some("report"), code: bounce.code, class: bounce.class.clone() };
    log(connection, Some(sent.submission), Some(sent.id), &trace, now_ms)?;
    // A digest that came back is not sent again: the requests it told of come back by themselves.
    if !bounce.is_final || !sent.is_kept {
        return Ok(Bounced::Noted);
    }
    let sql = "UPDATE outbox SET state = 'définitif', settled_ms = ?2, last_code = ?3, last_outcome = 'bounced' WHERE id = ?1";
    connection.execute(sql, params![sent.id, now_ms, bounce.code])?;
    if sent.role == MailRole::Mairie.as_str() && !sent.backup {
        let refused =
            Refused { outbox: sent.id, reference: &sent.reference, message_id: &bounce.message_id, bare: sent.bare };
        queue_backups(connection, seal, &refused, sent.submission, now_ms)?;
    }
    Ok(Bounced::Failed)
}

/// The row of the recipient a report names; the only one, when the address changed on its way (an alias).
fn concerned(seal: &Seal, bounce: &Bounce, mut rows: Vec<Sent>) -> Option<Sent> {
    let place = Place(RECIPIENT, &[bounce.message_id.as_bytes()]);
    let is_named = |sent: &Sent| {
        bounce.recipients.iter().any(|address| {
            // Domains change their capitals on the way, local parts sometimes.
            [address.clone(), address.to_lowercase()]
                .iter()
                .any(|address| seal.tag(place, address.as_bytes()).as_slice() == sent.tag)
        })
    };
    if let Some(at) = rows.iter().position(is_named) {
        return Some(rows.swap_remove(at));
    }
    if rows.len() == 1 { rows.pop() } else { None }
}

const SENT: &str = "
    SELECT outbox.id, outbox.tag, outbox.role, outbox.backup, outbox.bare, outbox.state, mail.submission, submission.reference,
           mail.mail IS NOT NULL
    FROM outbox JOIN mail ON mail.id = outbox.mail JOIN submission ON submission.id = mail.submission
    WHERE mail.message_id = ?1 AND outbox.recipient IS NOT NULL ORDER BY outbox.id";

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::{Claimed, Settlement, testing};
    use super::*;
    use crate::intake::sample::{now, reference, submission};
    use crate::model::intake::DeliveryState;
    use crate::model::mail::Mail;

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// A store whose two mails were taken by a server.
    fn delivered() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), testing::options()).unwrap();
        store.record_blocking(submission(1)).unwrap();
        deliver(&store);
        (dir, store)
    }

    fn deliver(store: &Store) -> Vec<String> {
        let mut to = Vec::new();
        while let Claimed::Mail(claim) = wait(store.claim(now(), SignedDuration::from_mins(1))).unwrap() {
            let trace = Trace { outcome: "delivered", ..Trace::default() };
            wait(store.settle(&claim, Settlement::Delivered, trace, now())).unwrap();
            to.push(claim.recipient.clone());
        }
        to
    }

    fn report(role: MailRole, recipient: &str, is_final: bool) -> Bounce {
        let mail = submission(1).mails.into_iter().find(|mail| mail.role == role).unwrap();
        Bounce {
            message_id: mail.message_id,
            recipients: vec![recipient.to_owned()],
            is_final,
            class: Some("5.1.1".into()),
            code: Some(550),
        }
    }

    fn told(store: &Store, bounce: Bounce) -> Bounced {
        wait(store.bounced(bounce, now())).unwrap()
    }

    #[test]
    fn a_receipt_that_came_back_shows_on_the_follow_up_page() {
        testing::every_backend(|| {
            let (_dir, store) = delivered();
            assert!(!store.kept(&reference(1)).unwrap().unwrap().is_undelivered);
            assert_eq!(told(&store, report(MailRole::Usager, "Zoe.Lampion@example.fr", true)), Bounced::Failed);
            assert!(store.kept(&reference(1)).unwrap().unwrap().is_undelivered);
            assert_eq!(told(&store, report(MailRole::Usager, "zoe.lampion@example.fr", true)), Bounced::Already);
            assert_eq!(deliver(&store), Vec::<String>::new(), "nobody else gets a receipt");
            let (open, _) = store.open_requests().unwrap();
            assert_eq!(open[0].failed[0].0, MailRole::Usager, "the digest tells it");
        });
    }

    #[test]
    fn a_request_that_came_back_goes_to_the_backup_once_and_the_sums_say_so() {
        testing::every_backend(|| {
            let (_dir, store) = delivered();
            assert_eq!(told(&store, report(MailRole::Mairie, "mairie@saint-mulot.fr", true)), Bounced::Failed);
            assert_eq!(store.reconcile(Timestamp::MIN, Timestamp::MAX).unwrap().waiting, 1);
            assert_eq!(told(&store, report(MailRole::Mairie, "mairie@saint-mulot.fr", true)), Bounced::Already);
            assert_eq!(deliver(&store), ["secours@saint-mulot.fr"]);
            let sums = store.reconcile(Timestamp::MIN, Timestamp::MAX).unwrap();
            assert!(sums.is_balanced() && sums.delivered == 1, "{sums:?}");
            let detail = store.detail(&reference(1), false).unwrap().unwrap();
            assert_eq!(detail.mails[0].state, DeliveryState::Failed);
            assert!(
                detail.events.iter().any(|event| event.kind == "bounced" && event.class.as_deref() == Some("5.1.1"))
            );
            assert_eq!(
                store.resend(&reference(1), Some(MailRole::Mairie), false, now()).unwrap(),
                1,
                "it can be sent again"
            );
        });
    }

    #[test]
    fn an_address_that_forwards_is_known_by_its_message() {
        testing::every_backend(|| {
            let (_dir, store) = delivered();
            assert_eq!(told(&store, report(MailRole::Mairie, "claire@ailleurs.fr", true)), Bounced::Failed);
        });
    }

    #[test]
    fn what_is_late_is_noted_once_and_what_names_nothing_of_ours_changes_nothing() {
        testing::every_backend(|| {
            let (_dir, store) = delivered();
            let late = || report(MailRole::Usager, "zoe.lampion@example.fr", false);
            assert_eq!((told(&store, late()), told(&store, late())), (Bounced::Noted, Bounced::Already));
            let forged = Bounce { message_id: "2026-AAAA-AAAA-A.mairie@saint-mulot.fr".into(), ..late() };
            assert_eq!(told(&store, Bounce { is_final: true, ..forged }), Bounced::Unknown);
            let counts = store.counts().unwrap();
            assert_eq!((counts.delivered, counts.failed), (2, 0));
        });
    }

    #[test]
    fn a_digest_that_came_back_is_noted_and_sent_to_nobody_else() {
        testing::every_backend(|| {
            use super::super::NewBulletin;
            use crate::intake::sample::mail;

            let (_dir, store) = delivered();
            let digest = Mail {
                message_id: "bulletin.1@saint-mulot.fr".into(),
                ..mail(&reference(1), MailRole::Mairie, "m@x.fr")
            };
            let new = NewBulletin { day: "2026-07-13".parse().unwrap(), mails: vec![(reference(1), digest)] };
            assert!(wait(store.bulletin(new, now())).unwrap());
            assert_eq!(deliver(&store), ["m@x.fr"]);
            let back = || Bounce {
                message_id: "bulletin.1@saint-mulot.fr".into(),
                ..report(MailRole::Mairie, "m@x.fr", true)
            };
            assert_eq!((told(&store, back()), told(&store, back())), (Bounced::Noted, Bounced::Already));
            assert_eq!(deliver(&store), Vec::<String>::new());
            assert_eq!(store.counts().unwrap().failed, 0);
        });
    }

    #[test]
    fn a_mail_still_to_be_sent_is_not_stopped_by_a_report() {
        testing::every_backend(|| {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), testing::options()).unwrap();
            store.record_blocking(submission(1)).unwrap();
            assert_eq!(told(&store, report(MailRole::Mairie, "mairie@saint-mulot.fr", true)), Bounced::Already);
            assert_eq!(deliver(&store).len(), 2);
            store.erase(&reference(1), now()).unwrap();
            assert_eq!(
                told(&store, report(MailRole::Mairie, "mairie@saint-mulot.fr", true)),
                Bounced::Unknown,
                "erased"
            );
        });
    }
}
