//! A clock that jumps: what was taken while it was wrong leaves once it is right, and nothing leaves twice for it.

use jiff::{SignedDuration, Timestamp, Zoned};
use mulot::intake::deliver::{Step, step};
use mulot::intake::files::FileStore;
use mulot::intake::mailer::{Letterbox, Mailer, Outcome, Transport};
use mulot::intake::reference::draw;
use mulot::intake::store::{Claimed, Store, StoreOptions};
use mulot::model::intake::NewSubmission;
use mulot::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use mulot::model::submission::Sender;

/// A store and a letterbox, driven by the hour the test says it is.
struct Desk {
    _dir: tempfile::TempDir,
    store: Store,
    files: FileStore,
    letters: Letterbox,
    mailer: Mailer,
}

impl Desk {
    fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions { min_free_bytes: 0, ..StoreOptions::default() }).unwrap();
        let files = FileStore::open(dir.path(), store.seal(), 0).unwrap();
        let letters = Letterbox::default();
        let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
        Desk { _dir: dir, store, files, letters, mailer }
    }

    /// Takes a request at that hour.
    fn take(&self, now: &Zoned, nonce: u8) -> String {
        self.store.record_blocking(submission(now, nonce)).unwrap().reference.to_string()
    }

    /// Delivers all that is due at that hour.
    async fn deliver(&self, now: Timestamp) -> Option<Timestamp> {
        loop {
            if let Step::Idle { next_at } = step(&self.store, &self.mailer, &self.files, now).await.unwrap() {
                return next_at;
            }
        }
    }
}

fn submission(now: &Zoned, nonce: u8) -> NewSubmission {
    let reference = draw(now).unwrap();
    NewSubmission {
        nonce: [nonce; 16],
        form_id: "contact".into(),
        form_title: "Écrire à la mairie".into(),
        received_at: now.clone(),
        answers: Vec::new(),
        sender: Sender::default(),
        files: Vec::new(),
        receipt: serde_json::Value::Null,
        purge_after: now.date().saturating_add(jiff::Span::new().days(365)),
        quota: None,
        recipients_backup: Vec::new(),
        mails: vec![Mail {
            role: MailRole::Mairie,
            from: Mailbox { name: String::new(), email: "guichet@saint-mulot.fr".into() },
            to: vec!["mairie@saint-mulot.fr".into()],
            reply_to: None,
            subject: format!("réf. {reference}"),
            text: "Bonjour".into(),
            html: "<p>Bonjour</p>".into(),
            message_id: format!("{reference}@saint-mulot.fr"),
            in_reply_to: None,
            date: now.to_string(),
            auto_submitted: AutoSubmitted::Generated,
            attachments: Vec::new(),
            json: None,
            sheets: Vec::new(),
        }],
        reference,
    }
}

fn hour(text: &str) -> Zoned {
    format!("{text}[Europe/Paris]").parse().unwrap()
}

const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

#[tokio::test]
async fn what_was_taken_by_a_clock_a_year_ahead_leaves_when_it_is_right() {
    let (desk, now) = (Desk::new(), hour("2026-11-26T12:00:00+01:00"));
    let wrong = &now + YEAR;
    desk.take(&wrong, 1);
    desk.letters.plan(Outcome::Unreachable { host: "x".into(), code: None, reason: "away".into() });
    desk.deliver(wrong.timestamp()).await;
    assert_eq!(desk.letters.taken().len(), 0, "the server was away, and the way out is closed, a year ahead");
    desk.deliver(now.timestamp()).await;
    assert_eq!(desk.letters.taken().len(), 1, "it waits for next year");
}

#[tokio::test]
async fn what_was_held_by_a_clock_a_year_ahead_is_given_back() {
    let (desk, now) = (Desk::new(), hour("2026-11-26T12:00:00+01:00"));
    let wrong = &now + YEAR;
    desk.take(&wrong, 1);
    let held = desk.store.claim(wrong.timestamp(), SignedDuration::from_hours(1)).await.unwrap();
    assert!(matches!(held, Claimed::Mail(_)));
    let next = desk.deliver(now.timestamp()).await;
    let soon = next.unwrap_or(now.timestamp());
    assert!(soon < now.timestamp() + SignedDuration::from_hours(24), "held until next year");
    desk.deliver(soon).await;
    assert_eq!(desk.letters.taken().len(), 1);
}

#[tokio::test]
async fn a_clock_that_goes_back_a_year_or_an_hour_delays_nothing_and_sends_nothing_twice() {
    for back in [YEAR, SignedDuration::from_hours(1)] {
        let (desk, now) = (Desk::new(), hour("2026-11-26T12:00:00+01:00"));
        desk.take(&now, 1);
        desk.deliver(now.timestamp()).await;
        assert_eq!(desk.letters.taken().len(), 1);
        let earlier = &now - back;
        let second = desk.take(&earlier, 2);
        let first_again = desk.take(&earlier, 1);
        assert_ne!(first_again, second, "the first nonce keeps its reference");
        desk.deliver(earlier.timestamp()).await;
        desk.deliver(now.timestamp()).await;
        assert_eq!(desk.letters.taken().len(), 2);
        let sums = desk.store.reconcile(earlier.timestamp() - YEAR, now.timestamp() + YEAR).unwrap();
        assert!(sums.is_balanced() && sums.accepted == 2 && sums.delivered == 2, "{sums:?}");
    }
}

#[tokio::test]
async fn the_hour_that_comes_twice_is_told_apart_and_the_one_that_never_comes_passes() {
    // 25 October 2026, 2:30 comes twice in France; 29 March 2026 has none.
    for (first, second) in [
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),
        ("2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00"),
    ] {
        let desk = Desk::new();
        desk.take(&hour(first), 1);
        desk.take(&hour(second), 2);
        let again = desk.store.recorded(&[1; 16]).unwrap().unwrap();
        assert_eq!(again.received_at, hour(first), "the offset is kept: the receipt is to the second");
        desk.deliver(hour(second).timestamp()).await;
        assert_eq!(desk.letters.taken().len(), 2);
        let sums = desk.store.reconcile(hour(first).timestamp(), hour(second).timestamp()).unwrap();
        assert_eq!(sums.accepted, 1, "the second is not in the hour of the first");
    }
}
