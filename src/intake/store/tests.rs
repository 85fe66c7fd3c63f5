use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Barrier;

use super::sql::params;
use super::testing::{self, options};
use super::*;
use crate::intake::files::{FileStore, UploadLimits, tidy};
use crate::intake::sample::{file, noon, now, reference, submission};
use crate::model::form::FileFormat;
use crate::model::intake::DeliveryState;
use crate::model::mail::MailRole;

const PERSONAL: [&str; 3] = ["Lampion", "Puits-Perdu", "zoe.lampion@example.fr"];

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    (dir, store)
}

fn claim(store: &Store, now: Timestamp) -> Claimed {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.claim(now, jiff::SignedDuration::from_mins(10))).unwrap()
}

fn settle(store: &Store, claim: &Claim, settlement: Settlement) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.settle(claim, settlement, Trace { outcome: "test", ..Trace::default() }, now())).unwrap();
}

fn deliver_all(store: &Store) {
    while let Claimed::Mail(mail) = claim(store, now()) {
        settle(store, &mail, Settlement::Delivered);
    }
}

#[test]
fn what_is_recorded_is_found_after_reopening() {
    testing::every_backend(|| {
        let (dir, store) = store();
        let recorded = store.record_blocking(submission(1)).unwrap();
        assert!(recorded.new);
        drop(store);
        let store = Store::open(dir.path(), options()).unwrap();
        let found = store.recorded(&submission(1).nonce).unwrap().unwrap();
        assert_eq!((found.reference, found.received_at), (recorded.reference.clone(), noon()));
        assert_eq!(found.receipt, submission(1).receipt);
        let detail = store.detail(&recorded.reference, true).unwrap().unwrap();
        assert_eq!(detail.answers, submission(1).answers);
        assert_eq!(detail.sender, Some(submission(1).sender));
        assert_eq!(detail.mails.iter().map(|mail| mail.role).collect::<Vec<_>>(), [MailRole::Mairie, MailRole::Usager]);
        assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_log_brought_back_is_left_alone_until_it_has_grown_again() {
    let (_dir, store) = store();
    let checkpoints = || store.inner.counts.checkpoints.load(std::sync::atomic::Ordering::Relaxed);
    let mut number = 0;
    while checkpoints() == 0 {
        number += 1;
        assert!(number < 2000, "the log was never brought back");
        store.record_blocking(submission(number)).unwrap();
    }
    for _ in 0..5 {
        number += 1;
        store.record_blocking(submission(number)).unwrap();
    }
    assert_eq!(checkpoints(), 1, "after {number} submissions");
    println!("{number} submissions for the first checkpoint");
}

#[test]
fn a_detail_says_nothing_of_the_person_unless_asked() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        store.record_blocking(submission(1)).unwrap();
        let detail = serde_json::to_string(&store.detail(&reference(1), false).unwrap()).unwrap();
        assert!(PERSONAL.iter().all(|word| !detail.contains(word)), "{detail}");
    });
}

#[test]
fn sixty_four_presses_on_the_button_make_one_submission() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        let barrier = Barrier::new(64);
        let answers: Vec<Recorded> = std::thread::scope(|scope| {
            let presses: Vec<_> = (0..64u32)
                .map(|press| {
                    let (store, barrier) = (&store, &barrier);
                    scope.spawn(move || {
                        // Each press draws its own reference; the nonce alone says that it is the same request.
                        let again = NewSubmission {
                            reference: reference(1000 + press),
                            mails: submission(1000 + press).mails,
                            ..submission(1)
                        };
                        barrier.wait();
                        store.record_blocking(again).unwrap()
                    })
                })
                .collect();
            presses.into_iter().map(|press| press.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|answer| answer.new).count(), 1);
        assert!(answers.windows(2).all(|pair| pair[0].reference == pair[1].reference));
        let counts = store.counts().unwrap();
        assert_eq!((counts.submissions, counts.waiting), (1, 2));
    });
}

#[test]
fn many_submissions_share_one_sync() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        let (clients, each) = (64, 20);
        std::thread::scope(|scope| {
            for client in 0..clients {
                let store = &store;
                scope.spawn(move || {
                    for turn in 0..each {
                        assert!(store.record_blocking(submission(client * each + turn)).unwrap().new);
                    }
                });
            }
        });
        let (commits, orders) = store.commits_and_orders();
        assert_eq!(orders, u64::from(clients * each));
        assert!(commits * 3 < orders, "{commits} commits for {orders} submissions");
        assert_eq!(store.counts().unwrap().submissions, orders);
    });
}

#[test]
fn the_latest_request_is_dated() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        assert_eq!(store.latest_received().unwrap(), None);
        let first = submission(1);
        let later = NewSubmission {
            received_at: first.received_at.saturating_add(jiff::SignedDuration::from_hours(1)),
            ..submission(2)
        };
        let at = later.received_at.timestamp();
        [later, first].into_iter().for_each(|new| drop(store.record_blocking(new).unwrap()));
        assert_eq!(store.latest_received().unwrap(), Some(at));
    });
}

#[test]
fn a_refused_job_does_not_harm_its_neighbours() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        store.record_blocking(submission(1)).unwrap();
        let taken = NewSubmission { nonce: [9; 16], ..submission(1) };
        let answers: Vec<_> = std::thread::scope(|scope| {
            let all = [taken, submission(2), submission(3)];
            let threads: Vec<_> = all.into_iter().map(|new| scope.spawn(|| store.record_blocking(new))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(matches!(&answers[0], Err(StoreError::ReferenceTaken { reference: taken }) if *taken == reference(1)));
        assert!(answers[1].is_ok() && answers[2].is_ok());
        assert_eq!(store.counts().unwrap().submissions, 3);
        assert_eq!(store.recorded(&[9; 16]).unwrap(), None);
    });
}

#[test]
fn a_full_queue_is_told_at_once() {
    testing::every_backend(|| {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions { queue: 1, ..options() }).unwrap();
        let (enter, entered) = std::sync::mpsc::channel();
        let (leave, left) = std::sync::mpsc::channel::<()>();
        store
            .send_blocking(Order::Alone(Box::new(move |_, _| {
                enter.send(()).unwrap();
                left.recv().unwrap();
            })))
            .unwrap();
        entered.recv().unwrap();
        let waiting = store.submit(submission(1)).unwrap();
        assert!(matches!(store.record_blocking(submission(2)), Err(StoreError::Busy { .. })));
        leave.send(()).unwrap();
        assert!(waiting.blocking_recv().unwrap().unwrap().new);
        assert!(store.record_blocking(submission(2)).unwrap().new, "it recovers alone");
    });
}

#[test]
fn communes_that_are_served_are_nobody_elses_even_asleep() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("donnees");
    let accueil = Store::serve_under(&data, &[ServedPart::Receiving]).unwrap();
    let courrier = Store::serve_under(&data, &[ServedPart::Delivering]).unwrap();
    let second = Store::serve_under(&data, &[ServedPart::Receiving, ServedPart::Delivering]);
    assert!(matches!(second, Err(StoreError::Locked { .. })), "a second guichet of the same communes");
    drop(accueil);
    assert!(Store::serve_under(&data, &[ServedPart::Receiving]).is_ok(), "its next start");
    assert!(matches!(Store::alone_under(&data), Err(StoreError::Locked { .. })));
    drop(courrier);
    let alone = Store::alone_under(&data).unwrap();
    assert!(matches!(Store::alone_under(&data), Err(StoreError::Locked { .. })));
    drop(alone);
    assert!(Store::serve_under(&data, &[ServedPart::Delivering]).is_ok());
}

#[test]
fn a_store_that_rests_holds_no_idle_connection_and_answers_as_before() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        let idle = || store.inner.readers.lock().unwrap().len();
        store.record_blocking(submission(1)).unwrap();
        assert_eq!(store.counts().unwrap().submissions, 1);
        assert_eq!(idle(), 1);
        store.rest();
        assert_eq!(idle(), 0);
        assert_eq!(store.counts().unwrap().submissions, 1);
        assert!(store.record_blocking(submission(2)).unwrap().new);
        store.rest();
        // Nothing was asked meanwhile: it does not trouble the writer again.
        assert!(!store.inner.is_asked.load(Ordering::Acquire));
        assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_second_instance_is_refused_but_the_administration_is_not() {
    let (dir, store) = store();
    store.record_blocking(submission(1)).unwrap();
    assert!(matches!(Store::open(dir.path(), options()), Err(StoreError::Locked { .. })));
    let beside = Store::open(dir.path(), StoreOptions { access: Access::Beside, ..options() }).unwrap();
    assert_eq!(beside.counts().unwrap().submissions, 1);
    drop(store);
    Store::open(dir.path(), options()).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let absent = Store::open(empty.path(), StoreOptions { access: Access::Beside, ..options() });
    assert!(matches!(absent, Err(StoreError::Absent { .. })));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing is made by asking");
}

#[test]
fn a_disk_that_takes_no_write_is_read_all_the_same() {
    let (dir, store) = store();
    store.record_blocking(submission(1)).unwrap();
    let frozen = || Store::of(super::open::frozen(dir.path(), &options()).unwrap(), dir.path(), &options()).unwrap();
    assert_eq!(frozen().counts().unwrap().submissions, 1, "with its log");
    drop(store);
    let log = dir.path().join("guichet.db-wal");
    assert!(!log.exists(), "the log went with the last connection");
    let names = || std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    let before = names();
    let store = frozen();
    assert_eq!(store.counts().unwrap().submissions, 1);
    assert!(store.detail(&reference(1), true).unwrap().is_some());
    let refused = store.cancel(&reference(1), None, now());
    assert!(
        matches!(&refused, Err(StoreError::Database { source, .. })
        if source.sqlite_error().is_some_and(|error| error.code == rusqlite::ErrorCode::ReadOnly)),
        "{refused:?}"
    );
    assert_eq!(names(), before, "nothing is made");
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let damaged = tempfile::tempdir().unwrap();
    std::fs::write(damaged.path().join("guichet.db"), b"not a database, but long enough to look at").unwrap();
    let answer = Store::open(damaged.path(), options()).err().unwrap();
    assert!(matches!(&answer, StoreError::Damaged { path, .. } if path.ends_with("guichet.db")), "{answer}");

    let foreign = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(foreign.path().join("guichet.db")).unwrap();
    connection.execute_batch("CREATE TABLE recipe (name TEXT); PRAGMA application_id = 77").unwrap();
    drop(connection);
    let before = std::fs::read(foreign.path().join("guichet.db")).unwrap();
    let answer = Store::open(foreign.path(), options()).err().unwrap();
    assert!(matches!(answer, StoreError::Foreign { found: 77, .. }), "{answer}");
    assert_eq!(before, std::fs::read(foreign.path().join("guichet.db")).unwrap());

    let (newer, store) = store();
    drop(store);
    let connection = rusqlite::Connection::open(newer.path().join("guichet.db")).unwrap();
    connection.pragma_update(None, "user_version", upgrade::SCHEMA + 1).unwrap();
    drop(connection);
    let answer = Store::open(newer.path(), options()).err().unwrap();
    assert!(matches!(answer, StoreError::Newer { known, .. } if known == upgrade::SCHEMA), "{answer}");
}

#[test]
fn a_damaged_page_is_found_at_start() {
    let (dir, store) = store();
    for number in 0..50 {
        store.record_blocking(submission(number)).unwrap();
    }
    drop(store);
    let path = dir.path().join("guichet.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let pages = bytes.len() / 8192;
    for page in 2..pages {
        bytes[page * 8192..page * 8192 + 64].fill(0xa5);
    }
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(Store::open(dir.path(), options()), Err(StoreError::Damaged { .. })));
}

#[test]
fn submissions_are_refused_below_the_reserve() {
    testing::every_backend(|| {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions { min_free_bytes: u64::MAX, ..options() }).unwrap();
        assert!(matches!(store.record_blocking(submission(1)), Err(StoreError::Full { .. })));
        assert_eq!(store.counts().unwrap().submissions, 0);
    });
}

/// A tiny file system, gone with the value.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(size: &str) -> Option<Tmpfs> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Tmpfs(dir)),
            Ok(output) => {
                println!("skipped, no tmpfs can be mounted: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped, mount cannot be run: {error}");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("guichet")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_and_recovers_alone() {
    let Some(disk) = Tmpfs::mount("3m") else { return };
    let store = Store::open(&disk.path(), options()).unwrap();
    let ballast = disk.path().join("ballast");
    store.record_blocking(submission(0)).unwrap();
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let mut recorded = 1;
    let refusal = loop {
        let large = NewSubmission { receipt: serde_json::json!("x".repeat(40_000)), ..submission(recorded) };
        match store.record_blocking(large) {
            Ok(_) => recorded += 1,
            Err(error) => break error,
        }
        assert!(recorded < 1000, "the disk never fills");
    };
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
    assert_eq!(store.counts().unwrap().submissions, u64::from(recorded), "what was refused is not there");
    assert!(matches!(store.record_blocking(submission(500)), Ok(_) | Err(StoreError::Full { .. })));
    std::fs::remove_file(&ballast).unwrap();
    assert!(store.record_blocking(submission(501)).is_ok(), "space came back");
    drop(store);
    let store = Store::open(&disk.path(), options()).unwrap();
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    assert!(store.recorded(&submission(501).nonce).unwrap().is_some());
    assert!(store.recorded(&submission(recorded - 1).nonce).unwrap().is_some());
}

#[test]
fn requests_leave_before_receipts_and_a_lease_returns() {
    testing::every_backend(|| {
        let (dir, store) = store();
        store.record_blocking(submission(1)).unwrap();
        let Claimed::Mail(first) = claim(&store, now()) else { panic!("nothing due") };
        assert_eq!(
            (first.role, first.attempts, first.recipient.as_str()),
            (MailRole::Mairie, 1, "mairie@saint-mulot.fr")
        );
        let Claimed::Mail(second) = claim(&store, now()) else { panic!("nothing due") };
        assert_eq!(second.role, MailRole::Usager);
        let Claimed::Nothing { next_at } = claim(&store, now()) else { panic!("claimed twice") };
        assert_eq!(next_at, Some(first.lease_until));
        let Claimed::Mail(again) = claim(&store, first.lease_until) else { panic!("the lease never ends") };
        assert_eq!((again.id, again.attempts), (first.id, 2));
        settle(&store, &first, Settlement::Failed);
        let counts = store.counts().unwrap();
        assert_eq!((counts.sending, counts.failed), (1, 0), "who lost the lease decides nothing");
        settle(&store, &first, Settlement::Delivered);
        assert_eq!(store.counts().unwrap().delivered, 1, "but what was delivered is");
        drop(store);
        let store = Store::open(dir.path(), options()).unwrap();
        assert_eq!(store.counts().unwrap().sending, 0, "a dead process holds nothing");
    });
}

#[test]
fn a_claim_that_finds_nothing_wakes_nobody() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        let wake = store.wake();
        if testing::is_on_server() {
            // Once it hears the others, something may have been missed before.
            wait(wake.notified());
        }
        let mut told = std::pin::pin!(wake.notified());
        assert!(matches!(claim(&store, now()), Claimed::Nothing { .. }));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(told.as_mut().poll(&mut context).is_pending(), "a worker would turn for ever");
        store.record_blocking(submission(1)).unwrap();
        assert!(told.as_mut().poll(&mut context).is_ready());
    });
}

#[test]
fn nothing_is_sent_while_the_way_out_is_closed() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        store.record_blocking(submission(1)).unwrap();
        let Claimed::Mail(mail) = claim(&store, now()) else { panic!("nothing due") };
        settle(&store, &mail, Settlement::Closed { is_refusal: false });
        let route = store.route().unwrap().unwrap();
        assert_eq!((route.failures, route.blocked_until), (1, now() + jiff::SignedDuration::from_mins(1)));
        let Claimed::Nothing { next_at } = claim(&store, now()) else { panic!("it hammers") };
        assert_eq!(next_at, Some(route.blocked_until));
        let Claimed::Mail(mail) = claim(&store, route.blocked_until) else { panic!("never probed") };
        assert_eq!(mail.attempts, 1, "no attempt was burnt");
        settle(&store, &mail, Settlement::Delivered);
        assert_eq!(store.route().unwrap(), None);
    });
}

#[test]
fn a_refused_request_is_copied_once_to_the_backup() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        let mut two = submission(1);
        two.mails[0].to.push("maire@saint-mulot.fr".into());
        store.record_blocking(two).unwrap();
        let mut recipients = Vec::new();
        while let Claimed::Mail(mail) = claim(&store, now()) {
            let copy = mail.backup;
            recipients.push((mail.recipient.clone(), copy));
            settle(&store, &mail, if copy { Settlement::Delivered } else { Settlement::Failed });
        }
        let of_backup: Vec<_> = recipients.iter().filter(|(_, copy)| *copy).collect();
        assert_eq!(of_backup, [&("secours@saint-mulot.fr".to_owned(), true)], "{recipients:?}");
        let counts = store.counts().unwrap();
        assert_eq!((counts.failed, counts.delivered), (3, 1));
        assert_eq!(store.stuck(now(), jiff::SignedDuration::from_hours(1)).unwrap().len(), 3);
    });
}

#[test]
fn an_unreadable_mail_stops_nobody() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        store.record_blocking(submission(1)).unwrap();
        store.record_blocking(submission(2)).unwrap();
        store
            .write_blocking(|connection| {
                Ok(connection.execute("UPDATE mail SET mail = ?1 WHERE submission = 1", params![[1u8]])?)
            })
            .unwrap();
        let Claimed::Mail(mail) = claim(&store, now()) else { panic!("nothing due") };
        assert_eq!(mail.reference, reference(2));
        let shown = store.queue(&[DeliveryState::Failed], 10).unwrap();
        assert_eq!(shown[0].last_outcome.as_deref(), Some("unreadable"));
    });
}

#[test]
fn the_sums_agree() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        for number in 0..4 {
            store.record_blocking(submission(number)).unwrap();
        }
        let hour = jiff::SignedDuration::from_hours(1);
        for _ in 0..3 {
            let Claimed::Mail(mail) = claim(&store, now()) else { panic!("nothing due") };
            let failed = mail.reference == reference(1);
            settle(&store, &mail, if failed { Settlement::Failed } else { Settlement::Delivered });
        }
        store.cancel(&reference(1), Some(MailRole::Mairie), now()).unwrap();
        let sums = store.reconcile(now() - hour, now() + hour).unwrap();
        assert_eq!((sums.accepted, sums.delivered, sums.waiting), (4, 2, 1));
        assert_eq!((sums.failed, sums.without_mail), (vec![reference(1)], Vec::new()));
        assert_eq!(sums.receipts, [4, 0, 0]);
        assert_eq!(store.reconcile(now() + hour, now() + hour * 2).unwrap().accepted, 0);
        assert_eq!(store.oldest_waiting(MailRole::Mairie).unwrap(), Some(now()));
        assert_eq!(store.resend(&reference(1), None, false, now()).unwrap(), 3, "request, its copy, receipt");
        assert_eq!(store.resend(&reference(99), None, false, now()).unwrap(), 0);
        let asked = || store.detail(&reference(0), false).unwrap().unwrap().events.len();
        let before = asked();
        store.cancel(&reference(0), None, now()).unwrap();
        let cancelled = asked();
        assert_eq!(store.cancel(&reference(0), None, now()).unwrap(), 0);
        assert_eq!((before + 1, asked()), (cancelled, cancelled), "what changes nothing leaves no trace");
        store.record_blocking(submission(5)).unwrap();
        while let Claimed::Mail(mail) = claim(&store, now()) {
            settle(&store, &mail, Settlement::Delivered);
        }
        let asked = || store.detail(&reference(5), false).unwrap().unwrap().events.len();
        let before = asked();
        assert_eq!(store.resend(&reference(5), None, false, now()).unwrap(), 0);
        assert_eq!(asked(), before, "nothing was sent again");
    });
}

/// Every file under a folder, with its bytes.
fn all_bytes(dir: &std::path::Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_bytes(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

/// Which of these words of sixteen bytes lie somewhere under a folder.
fn found_on_disk(dir: &std::path::Path, words: &HashSet<[u8; 16]>) -> HashSet<[u8; 16]> {
    let disk = all_bytes(dir);
    let windows = disk.iter().flat_map(|(_, bytes)| bytes.windows(16));
    windows.filter_map(|window| words.get(window).copied()).collect()
}

fn holders(dir: &std::path::Path, word: &str) -> Vec<PathBuf> {
    let holds = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    all_bytes(dir).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
}

/// What stands for the words of the person on disk: both ends of every sealed value and of every file.
fn sealed_traces(store: &Store, dir: &std::path::Path) -> HashSet<[u8; 16]> {
    let tables = ["sender FROM submission", "receipt FROM submission", "answer FROM answer", "file FROM file"];
    let more = ["mail FROM mail", "recipient FROM outbox", "tag FROM outbox"];
    let mut traces: Vec<Vec<u8>> = store
        .read(|connection| {
            let mut traces = Vec::new();
            for table in tables.into_iter().chain(more) {
                traces.extend(connection.query_map(&format!("SELECT {table}"), &[], |row| row.get::<Vec<u8>>(0))?);
            }
            Ok(traces)
        })
        .unwrap();
    for folder in ["pj", "entrants"] {
        traces.extend(all_bytes(&dir.join(folder)).into_iter().map(|(_, bytes)| bytes));
    }
    traces.iter().flat_map(|bytes| [bytes.first_chunk::<16>(), bytes.last_chunk::<16>()]).flatten().copied().collect()
}

#[test]
fn nothing_the_person_wrote_lies_in_clear_and_nothing_at_all_after_the_purge() {
    let (dir, store) = store();
    let files = FileStore::open(dir.path(), store.seal(), 0).unwrap();
    let limits = UploadLimits { max_bytes: 1 << 20, formats: vec![FileFormat::Pdf] };
    for number in 0..40 {
        let mut upload = files.begin("Plan de Lampion.pdf", limits.clone()).unwrap();
        upload.write(b"%PDF-1.7 zoe.lampion@example.fr ").unwrap();
        upload.write("rue du Puits-Perdu ".repeat(if number == 7 { 4000 } else { 3 }).as_bytes()).unwrap();
        let file = upload.finish().unwrap();
        files.accept(std::slice::from_ref(&file)).unwrap();
        let mut new = submission(number);
        new.mails[0].attachments.push(file.clone());
        store.record_blocking(NewSubmission { files: vec![file], ..new }).unwrap();
    }
    deliver_all(&store);
    for word in PERSONAL {
        assert_eq!(holders(dir.path(), word), Vec::<PathBuf>::new(), "{word} lies in clear");
    }
    assert!(!holders(dir.path(), "saisir-la-mairie").is_empty(), "the search can find");
    let traces = sealed_traces(&store, dir.path());
    assert!(traces.len() > 40 * 20, "{} traces", traces.len());
    assert_eq!(found_on_disk(dir.path(), &traces).len(), traces.len(), "the search can find");

    let day_of = noon().with().year(2027).build().unwrap();
    assert_eq!(store.purge_elapsed(&day_of).unwrap().erased.len(), 0, "the last day is kept");
    let tidied = tidy(&store, &files, &day_of.tomorrow().unwrap()).unwrap();
    assert_eq!((tidied.purge.erased.len(), tidied.purge.truncated), (40, true));
    assert_eq!(found_on_disk(dir.path(), &traces).len(), 0, "traces are still on disk");
    assert_eq!(all_bytes(&dir.path().join("pj")).len() + all_bytes(&dir.path().join("entrants")).len(), 0);
    let counts = store.counts().unwrap();
    assert_eq!((counts.submissions, counts.purged, counts.delivered), (40, 40, 80), "the counts stay");
    let found = store.recorded(&submission(1).nonce).unwrap().unwrap();
    assert_eq!((found.reference, found.receipt), (reference(1), serde_json::Value::Null));
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    assert_eq!(store.damaged().unwrap(), Vec::new());
}

#[test]
fn what_the_mairie_never_got_is_not_purged() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        store.record_blocking(submission(1)).unwrap();
        let late = noon().with().year(2030).build().unwrap();
        let report = store.purge_elapsed(&late).unwrap();
        assert_eq!((report.erased, report.held), (Vec::new(), vec![reference(1)]));
        let report = store.erase(&reference(1), late.timestamp()).unwrap();
        assert_eq!(report.erased, [reference(1)]);
        assert!(matches!(claim(&store, late.timestamp()), Claimed::Nothing { next_at: None }));
    });
}

#[test]
fn files_whose_rows_are_gone_are_written_down_until_they_are_erased() {
    testing::every_backend(|| {
        let (_dir, store) = store();
        let with_file = |number| NewSubmission { files: vec![file('a')], ..submission(number) };
        let erase = |number| store.erase(&reference(number), now()).unwrap().files;
        let (none, one) = (Vec::<String>::new(), vec![file('a').id]);
        store.record_blocking(with_file(1)).unwrap();
        store.record_blocking(with_file(2)).unwrap();
        assert_eq!((erase(1), store.to_erase().unwrap()), (none.clone(), none.clone()), "another request names it");
        assert_eq!((erase(2), store.to_erase().unwrap()), (one.clone(), one.clone()));
        // A resident who confirms twice names again what was a draft of theirs.
        store.record_blocking(with_file(3)).unwrap();
        assert_eq!(store.to_erase().unwrap(), none);
        assert_eq!((erase(3), store.to_erase().unwrap()), (one.clone(), one.clone()));
        store.erased(&one).unwrap();
        assert_eq!(store.to_erase().unwrap(), none);
    });
}

/// Prints what group commit gives on this disk: `cargo test --release --lib probe -- --ignored --nocapture`.
#[test]
#[ignore = "a measure, not a test"]
fn probe_of_the_group_commit() {
    use std::io::Write;
    let (dir, store) = store();
    let mut raw = std::fs::File::create(dir.path().join("raw")).unwrap();
    let second = std::time::Duration::from_secs(3);
    let start = std::time::Instant::now();
    let mut syncs = 0u64;
    while start.elapsed() < second {
        raw.write_all(&[7; 4096]).unwrap();
        raw.sync_data().unwrap();
        syncs += 1;
    }
    let raw_rate = syncs as f64 / start.elapsed().as_secs_f64();
    println!("raw append and sync: {raw_rate:.0}/s");
    let next = std::sync::atomic::AtomicU32::new(0);
    for clients in [1, 16, 64, 256] {
        let (commits, orders) = store.commits_and_orders();
        let start = std::time::Instant::now();
        let mut waits: Vec<std::time::Duration> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients)
                .map(|_| {
                    scope.spawn(|| {
                        let mut waits = Vec::new();
                        while start.elapsed() < second {
                            let new = submission(next.fetch_add(1, Ordering::Relaxed));
                            let begin = std::time::Instant::now();
                            if store.record_blocking(new).is_ok() {
                                waits.push(begin.elapsed());
                            }
                        }
                        waits
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let elapsed = start.elapsed().as_secs_f64();
        waits.sort_unstable();
        let (commits_after, orders_after) = store.commits_and_orders();
        let rate = (orders_after - orders) as f64 / elapsed;
        println!(
            "{clients} clients: {rate:.0} submissions/s ({:.1} × raw), {:.0} commits/s, p50 {:?}, p99 {:?}",
            rate / raw_rate,
            (commits_after - commits) as f64 / elapsed,
            waits[waits.len() / 2],
            waits[waits.len() * 99 / 100]
        );
    }
}
