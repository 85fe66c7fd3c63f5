use std::sync::Arc;

use super::*;
use crate::intake::files::{UploadLimits, tidy};
use crate::intake::mailer::{Letterbox, Transport};
use crate::intake::sample::{noon, now, reference, submission};
use crate::intake::store::testing;
use crate::model::form::FileFormat;
use crate::model::mail::MailRole;

struct World {
    dir: tempfile::TempDir,
    store: Store,
    files: FileStore,
    letters: Letterbox,
    mailer: Mailer,
    now: Timestamp,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), testing::options()).unwrap();
        let letters = Letterbox::default();
        World {
            files: FileStore::open(dir.path(), store.seal(), 0).unwrap(),
            store,
            mailer: Mailer::new(Transport::Memory(letters.clone())).unwrap(),
            letters,
            dir,
            now: now(),
        }
    }

    async fn step(&self) -> Step {
        step(&self.store, &self.mailer, &self.files, self.now).await.unwrap()
    }

    /// Steps until all is settled, moving the clock; gives the steps that did something.
    async fn until_idle(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            match self.step().await {
                Step::Idle { next_at: None } => return steps,
                Step::Idle { next_at: Some(at) } => {
                    assert!(at > self.now, "the clock goes on");
                    self.now = at;
                }
                step => steps.push(step),
            }
            assert!(steps.len() < 1000, "it never ends");
        }
    }

    fn upload(&self, name: &str, bytes: &[u8]) -> crate::model::submission::StoredFile {
        let limits = UploadLimits { max_bytes: 1 << 20, formats: vec![FileFormat::Pdf] };
        let mut upload = self.files.begin(name, limits).unwrap();
        upload.write(bytes).unwrap();
        upload.finish().unwrap()
    }
}

fn refusal(phase: Phase, code: u16, class: &str) -> Refusal {
    Refusal { phase, code: Some(code), class: Some(class.into()) }
}

fn unreachable() -> Outcome {
    Outcome::Unreachable { host: "smtp".into(), code: None, reason: "down".into() }
}

#[tokio::test]
async fn a_request_and_its_receipt_leave() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        world.store.record(submission(1)).await.unwrap();
        assert_eq!(world.until_idle().await, [Step::Sent, Step::Sent]);
        let taken = world.letters.taken();
        assert_eq!(taken.iter().map(|letter| letter.role).collect::<Vec<_>>(), [MailRole::Mairie, MailRole::Usager]);
        assert_eq!((taken[0].from.as_str(), taken[0].to.as_str()), ("guichet@saint-mulot.fr", "mairie@saint-mulot.fr"));
        assert_eq!(world.step().await, Step::Idle { next_at: None });
    })
    .await;
}

#[tokio::test]
async fn every_try_sends_the_same_bytes() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        let file = world.upload("plan.pdf", b"%PDF-1.7 plan");
        world.files.accept(std::slice::from_ref(&file)).unwrap();
        let mut with_file = submission(1);
        with_file.mails.truncate(1);
        with_file.mails[0].attachments.push(file.clone());
        with_file.files.push(file);
        world.store.record(with_file).await.unwrap();
        assert_eq!(world.step().await, Step::Sent);
        assert_eq!(world.store.resend(&reference(1), None, true, world.now).unwrap(), 1);
        world.until_idle().await;
        let taken = world.letters.taken();
        assert_eq!(taken.len(), 2);
        assert_eq!(taken[0].bytes, taken[1].bytes);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_burns_no_attempt() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        for number in 0..5 {
            world.store.record(submission(number)).await.unwrap();
        }
        for _ in 0..20 {
            world.letters.plan(unreachable());
        }
        let steps = world.until_idle().await;
        assert_eq!(steps.len(), 30, "one probe each pause, then all ten");
        assert!(steps[..20].iter().all(|step| matches!(step, Step::Deferred { .. })));
        assert!(world.now <= now() + SignedDuration::from_hours(5), "probed at least each quarter of an hour");
        let rows = world.store.queue(&[crate::model::intake::DeliveryState::Delivered], 100).unwrap();
        assert!(rows.iter().all(|row| row.attempts == 1), "{rows:?}");
    })
    .await;
}

#[tokio::test]
async fn a_refused_password_loses_nothing() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        world.store.record(submission(1)).await.unwrap();
        for outcome in [
            Outcome::AuthRefused { code: Some(535) },
            Outcome::TlsRefused { reason: "expired".into() },
            Outcome::SenderRefused(refusal(Phase::Sender, 553, "5.7.1")),
        ] {
            world.letters.plan(outcome);
            let Step::Deferred { until } = world.step().await else { panic!("not deferred") };
            assert!(until >= world.now + SignedDuration::from_mins(10), "it hammers");
            assert_eq!(world.step().await, Step::Idle { next_at: Some(until) });
            world.now = until;
        }
        assert_eq!(world.store.route().unwrap().unwrap().reason, "sender_refused");
        assert_eq!(world.until_idle().await, [Step::Sent, Step::Sent]);
    })
    .await;
}

#[tokio::test]
async fn greylisting_delays_one_mail_only() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        world.store.record(submission(1)).await.unwrap();
        world.store.record(submission(2)).await.unwrap();
        world.letters.plan(Outcome::Temporary(refusal(Phase::Recipient, 450, "4.2.0")));
        let Step::Deferred { until } = world.step().await else { panic!("not deferred") };
        assert!(until > world.now);
        for _ in 0..3 {
            assert_eq!(world.step().await, Step::Sent);
        }
        assert_eq!(world.step().await, Step::Idle { next_at: Some(until) });
        assert_eq!(world.until_idle().await, [Step::Sent]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_request_reaches_the_backup() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        world.store.record(submission(1)).await.unwrap();
        world.letters.plan(Outcome::Permanent(refusal(Phase::Recipient, 550, "5.1.1")));
        assert_eq!(world.until_idle().await, [Step::Failed, Step::Sent, Step::Sent]);
        let to: Vec<String> = world.letters.taken().into_iter().map(|letter| letter.to).collect();
        assert_eq!(to, ["secours@saint-mulot.fr", "zoe.lampion@example.fr"]);
        let sums = world.store.reconcile(now(), now() + SignedDuration::from_secs(1)).unwrap();
        assert_eq!((sums.delivered, sums.failed), (1, Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn a_mail_is_given_up_after_its_days_and_says_so() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        let mut alone = submission(1);
        alone.recipients_backup.clear();
        world.store.record(alone).await.unwrap();
        for _ in 0..2000 {
            world.letters.plan(Outcome::Temporary(refusal(Phase::Recipient, 450, "4.2.0")));
        }
        let steps = world.until_idle().await;
        assert_eq!(steps.iter().filter(|step| **step == Step::Failed).count(), 2);
        assert_eq!(world.now, now() + SignedDuration::from_hours(30 * 24));
        let sums = world.store.reconcile(now(), now() + SignedDuration::from_secs(1)).unwrap();
        assert_eq!((sums.failed, sums.receipts), (vec![reference(1)], [1, 0, 1]));
    })
    .await;
}

#[tokio::test]
async fn a_message_too_heavy_leaves_without_its_files() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        let file = world.upload("plan.pdf", b"%PDF-1.7 plan");
        world.files.accept(std::slice::from_ref(&file)).unwrap();
        let mut with_file = submission(1);
        with_file.mails[0].attachments.push(file.clone());
        with_file.files.push(file);
        world.store.record(with_file).await.unwrap();
        world.letters.plan(Outcome::Permanent(refusal(Phase::Message, 552, "5.3.4")));
        assert_eq!(world.step().await, Step::Deferred { until: world.now });
        assert_eq!(world.until_idle().await, [Step::Sent, Step::Sent]);
        let text = String::from_utf8(world.letters.taken()[0].bytes.to_vec()).unwrap();
        assert!(text.contains("- plan.pdf"), "{text}");
        assert!(!text.contains("application/pdf"));
        world.store.resend(&reference(1), Some(MailRole::Mairie), true, world.now).unwrap();
        world.letters.plan(Outcome::Permanent(refusal(Phase::Message, 552, "5.3.4")));
        assert_eq!(world.step().await, Step::Failed, "without files it is really refused");
    })
    .await;
}

#[tokio::test]
async fn a_file_the_disk_lost_does_not_stop_the_request() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        let file = world.upload("plan.pdf", b"%PDF-1.7 plan");
        world.files.accept(std::slice::from_ref(&file)).unwrap();
        let mut with_file = submission(1);
        with_file.mails[0].attachments.push(file.clone());
        with_file.files.push(file.clone());
        world.store.record(with_file).await.unwrap();
        std::fs::remove_file(world.dir.path().join("pj").join(&file.id[..2]).join(&file.id)).unwrap();
        assert_eq!(world.until_idle().await, [Step::Sent, Step::Sent]);
        let text = String::from_utf8(world.letters.taken()[0].bytes.to_vec()).unwrap();
        assert!(text.contains("- plan.pdf"));
        let tidied = tidy(&world.store, &world.files, &noon()).unwrap();
        assert_eq!(tidied.missing, [(file.id, reference(1))]);
    })
    .await;
}

#[tokio::test]
async fn an_ambiguous_end_is_tried_again() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        world.store.record(submission(1)).await.unwrap();
        world.letters.plan(Outcome::Ambiguous { reason: "cut".into() });
        assert!(matches!(world.step().await, Step::Deferred { .. }));
        assert_eq!(world.until_idle().await, [Step::Sent, Step::Sent]);
    })
    .await;
}

#[tokio::test]
async fn housework_removes_what_nobody_names() {
    testing::every_backend_async(async || {
        let world = World::new();
        let (kept, orphan, draft) = (
            world.upload("a.pdf", b"%PDF-1.7 a"),
            world.upload("b.pdf", b"%PDF-1.7 b"),
            world.upload("c.pdf", b"%PDF-1.7 c"),
        );
        world.files.accept(&[kept.clone(), orphan.clone()]).unwrap();
        let mut with_file = submission(1);
        with_file.files.push(kept.clone());
        world.store.record(with_file).await.unwrap();
        let hours =
            |hours| Timestamp::now().checked_add(SignedDuration::from_hours(hours)).unwrap().in_tz("UTC").unwrap();
        let tidied = tidy(&world.store, &world.files, &hours(3)).unwrap();
        assert_eq!((tidied.drafts, tidied.orphans), (0, 0), "somebody may still confirm");
        let tidied = tidy(&world.store, &world.files, &hours(25)).unwrap();
        assert_eq!((tidied.drafts, tidied.orphans), (4, 1), "three descriptions, one draft; one orphan");
        assert_eq!(tidied.missing, []);
        assert_eq!(world.files.read(&kept).unwrap(), b"%PDF-1.7 a");
        assert!(matches!(world.files.read(&orphan), Err(FileError::Missing { .. })));
        assert_eq!(world.files.draft(&draft.id).unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn the_worker_wakes_for_a_new_request_and_stops_when_told() {
    testing::every_backend_async(async || {
        let world = World::new();
        let worker = Worker { store: world.store.clone(), mailer: Arc::new(world.mailer), files: world.files.clone() };
        let (stop, stopping) = watch::channel(false);
        let at = world.now;
        let running: Vec<_> = (0..2)
            .map(|_| {
                let (worker, stopping) = (worker.clone(), stopping.clone());
                tokio::spawn(async move { worker.run(stopping, move || at).await })
            })
            .collect();
        for number in 0..10 {
            world.store.record(submission(number)).await.unwrap();
        }
        let all = async {
            while world.letters.taken().len() < 20 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
        stop.send(true).unwrap();
        for worker in running {
            tokio::time::timeout(Duration::from_secs(20), worker).await.unwrap().unwrap();
        }
        assert_eq!(world.store.counts().unwrap().delivered, 20);
    })
    .await;
}

#[tokio::test]
async fn an_idle_worker_rests() {
    testing::every_backend_async(async || {
        let world = World::new();
        world.store.record(submission(1)).await.unwrap();
        let worker = Worker { store: world.store.clone(), mailer: Arc::new(world.mailer), files: world.files.clone() };
        let (_stop, stopping) = watch::channel(false);
        let at = world.now;
        let running = tokio::spawn(async move { worker.run(stopping, move || at).await });
        let quarter = Duration::from_millis(250);
        while world.letters.taken().len() < 2 {
            tokio::task::yield_now().await;
        }
        // Nothing to wait for: only the time that passes shows that it does nothing.
        let _ = tokio::time::timeout(quarter, std::future::pending::<()>()).await;
        let (_, before) = world.store.commits_and_orders();
        let _ = tokio::time::timeout(quarter, std::future::pending::<()>()).await;
        let (_, after) = world.store.commits_and_orders();
        running.abort();
        assert_eq!(after, before, "it turns in circles");
    })
    .await;
}

#[tokio::test]
async fn the_log_of_a_delivery_names_nobody() {
    testing::every_backend_async(async || {
        #[derive(Clone, Default)]
        struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        // As long as there is only one, the first thread that comes to an event decides for all whether it is wanted.
        let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
        let _guard = tracing::subscriber::set_default(subscriber);
        // While there is but one subscriber, tracing lets whichever thread meets an event first decide for all whether anybody
        // listens; a test beside this one has none. A second subscriber makes it ask them all.
        let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
        let mut world = World::new();
        world.store.record(submission(1)).await.unwrap();
        for outcome in [
            unreachable(),
            Outcome::Temporary(refusal(Phase::Recipient, 450, "4.2.0")),
            Outcome::Ambiguous { reason: "cut".into() },
            Outcome::Permanent(refusal(Phase::Recipient, 550, "5.1.1")),
        ] {
            world.letters.plan(outcome);
        }
        world.until_idle().await;
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(log.matches("delivery attempt").count() >= 5, "{log}");
        for word in ["Lampion", "lampion", "Zoé", "Puits", "@", "lampadaire"] {
            assert!(!log.contains(word), "{word} is in the log:\n{log}");
        }
    })
    .await;
}
