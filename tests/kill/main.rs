//! Kills the guichet at random moments and asks whether it kept its word.
//!
//! A real process records for several clients and delivers to a folder; it is SIGKILLed, started again, and so on. Whatever it
//! acknowledged must then be stored whole and delivered. A second test makes the disk fail instead (strace, EIO on `fsync`).
//!
//! SIGKILL leaves the system's cache standing: this proves the order of things, not that the disk was reached; only a power
//! cut proves that.
//!
//! `MULOT_KILL_CYCLES` (default 60) and `MULOT_KILL_SEED` (default random, printed) drive it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp, Zoned};
use mulot::intake::deliver::{Step, Worker, step};
use mulot::intake::files::{FileStore, UploadLimits, tidy};
use mulot::intake::mailer::{Mailer, Transport};
use mulot::intake::reference::draw;
use mulot::intake::store::{Store, StoreError, StoreOptions};
use mulot::model::form::FileFormat;
use mulot::model::intake::NewSubmission;
use mulot::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use mulot::model::submission::{Answer, AnswerValue, Sender};

/// Folder the child works in; set, the test binary is the child.
const DIR: &str = "MULOT_KILL_DIR";
/// What the child does: `serve` or `alone`.
const MODE: &str = "MULOT_KILL_MODE";

#[test]
fn a_killed_guichet_keeps_its_word() {
    let cycles: u32 = std::env::var("MULOT_KILL_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut chance = Chance::from_environment();
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let start = Instant::now();
    for cycle in 0..cycles {
        let life = Duration::from_millis(20 + chance.below(330));
        let before = acknowledged.len();
        acknowledged.extend(one_life(dir.path(), life));
        if cycle % 10 == 0 {
            println!("cycle {cycle}: {} acknowledged in {life:?}", acknowledged.len() - before);
        }
    }
    let killed = start.elapsed();
    let report = drained(dir.path());
    println!(
        "{cycles} kills in {killed:?}: {} acknowledged, {} stored, {} letters, drained in {:?}",
        acknowledged.len(),
        report.stored.len(),
        report.letters.len(),
        start.elapsed() - killed
    );
    assert!(acknowledged.len() > cycles as usize, "the children hardly lived");
    assert_eq!(broken_words(&acknowledged, &report), Vec::<String>::new());

    // Each check must be able to fail.
    let never: BTreeSet<String> = ["2026-0000-0000-0".to_owned()].into();
    assert!(!broken_words(&never, &report).is_empty(), "an invented reference passes");
    let first = acknowledged.first().unwrap();
    let mut lost = report.clone();
    lost.letters.remove(&format!("{first}-mairie.eml"));
    assert!(!broken_words(&acknowledged, &lost).is_empty(), "a lost letter passes");
    let database = rusqlite::Connection::open(dir.path().join("guichet.db")).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM outbox WHERE id = 1").unwrap();
    assert_eq!(incomplete(dir.path()), 1, "a missing outbox row passes");
}

#[test]
fn after_a_failed_sync_nothing_is_promised_before_all_is_written_anew() {
    // Once: that submission is refused, and the next one accepted. For good: nothing is accepted any more.
    for (when, refused) in [("25", 1..2), ("25+", 10..40)] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
        command.args(["-e", &format!("inject=fsync,fdatasync:error=EIO:when={when}")]);
        command.arg(std::env::current_exe().unwrap());
        let said = match child(command, dir.path(), "alone").output() {
            Ok(output) if !output.status.success() && output.stdout.is_empty() => {
                println!("skipped, strace may not trace here: {}", String::from_utf8_lossy(&output.stderr));
                return;
            }
            Ok(output) => String::from_utf8(output.stdout).unwrap(),
            Err(error) => panic!("strace is needed for this test ({error}): apt-get install strace"),
        };
        let words: Vec<&str> =
            said.lines().filter(|line| line.starts_with("ACK ") || line.starts_with("NO ")).collect();
        let failure = words.iter().position(|word| word.starts_with("NO ")).expect("the failed sync went unnoticed");
        assert!(failure > 5, "it failed before anything was accepted: {words:?}");
        let refusals = words.iter().filter(|word| **word == "NO poisoned").count();
        assert!(refused.contains(&refusals), "{words:?}");
        assert!(words[failure..failure + refusals].iter().all(|word| *word == "NO poisoned"), "{words:?}");
        let acknowledged: BTreeSet<String> = references(&said).collect();
        assert_eq!(acknowledged.len() + refusals, 40, "{words:?}");
        let report = drained(dir.path());
        assert_eq!(broken_words(&acknowledged, &report), Vec::<String>::new());
    }
}

/// Not a test by itself: the process that is killed. Does nothing unless the environment says so.
#[test]
fn the_process_that_is_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    match std::env::var(MODE).as_deref() {
        Ok("serve") => serve(&dir),
        _ => alone(&dir),
    }
}

/// Runs a child for that long, kills it, and gives what it acknowledged.
fn one_life(dir: &Path, life: Duration) -> Vec<String> {
    let command = Command::new(std::env::current_exe().unwrap());
    let mut child = child(command, dir, "serve").stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let pipe = child.stdout.take().unwrap();
    let (heard, hear) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if heard.send(line).is_err() {
                break;
            }
        }
    });
    let mut lines = vec![hear.recv_timeout(Duration::from_secs(30)).expect("the child never speaks")];
    let end = Instant::now() + life;
    while let Ok(line) = hear.recv_timeout(end.saturating_duration_since(Instant::now())) {
        lines.push(line);
    }
    assert!(child.try_wait().unwrap().is_none(), "the child died by itself: {lines:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    lines.extend(hear.iter());
    listener.join().unwrap();
    references(&lines.join("\n")).collect()
}

fn child(mut command: Command, dir: &Path, mode: &str) -> Command {
    command.args(["--exact", "the_process_that_is_killed", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).env(MODE, mode);
    command
}

/// References in what a child said; a line cut by the kill does not parse and was never heard by anybody.
fn references(said: &str) -> impl Iterator<Item = String> {
    said.lines()
        .filter_map(|line| line.strip_prefix("ACK "))
        .filter_map(|text| text.parse::<mulot::model::reference::Reference>().ok())
        .map(String::from)
}

/// The child: eight clients, two delivering workers, until it is killed.
fn serve(dir: &Path) {
    let store = store(dir);
    let files = FileStore::open(dir, store.seal(), 0).unwrap();
    let mailer = Arc::new(mailer(dir));
    say("ready");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    for _ in 0..2 {
        let worker = Worker { store: store.clone(), mailer: Arc::clone(&mailer), files: files.clone() };
        let stopping = stopping.clone();
        runtime.spawn(async move { worker.run(stopping, Timestamp::now).await });
    }
    std::thread::scope(|scope| {
        for client in 0..8u32 {
            let (store, files) = (&store, &files);
            scope.spawn(move || {
                for turn in 0.. {
                    let submission = submission(files, (turn + client) % 4 == 0);
                    // The queue is refused at once when it is full; the disk of this test is not.
                    match store.record_blocking(submission) {
                        Ok(recorded) => say(&format!("ACK {}", recorded.reference)),
                        Err(StoreError::Busy { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    // Residents, not a flood: what is stored must also be delivered before this test ends.
                    std::thread::park_timeout(Duration::from_millis(40));
                }
            });
        }
    });
}

/// The other child: one client, forty submissions, each told accepted or not.
fn alone(dir: &Path) {
    let store = store(dir);
    let files = FileStore::open(dir, store.seal(), 0).unwrap();
    for _ in 0..40 {
        match store.record_blocking(submission(&files, false)) {
            Ok(recorded) => say(&format!("ACK {}", recorded.reference)),
            Err(StoreError::Poisoned { .. }) => say("NO poisoned"),
            Err(error) => say(&format!("NO {error}")),
        }
    }
}

/// What is found once nobody is killed any more and all is delivered.
#[derive(Clone)]
struct Report {
    stored: BTreeSet<String>,
    letters: BTreeSet<String>,
    integrity: Vec<String>,
    incomplete: i64,
    missing_files: usize,
    unsettled: u64,
}

fn drained(dir: &Path) -> Report {
    let store = store(dir);
    let files = FileStore::open(dir, store.seal(), 0).unwrap();
    let mailer = Arc::new(mailer(dir));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // The clock of this test only matters to leave the delays of interrupted mails behind.
    let mut now = Timestamp::now();
    while let Some(at) = runtime.block_on(delivered(&store, &files, &mailer, now)) {
        now = at;
    }
    let tidied = tidy(&store, &files, &now.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
    let letters = std::fs::read_dir(dir.join("courrier")).unwrap();
    let counts = store.counts().unwrap();
    let hour = SignedDuration::from_hours(1);
    let sums = store.reconcile(now - hour * 24, now + hour).unwrap();
    assert_eq!(sums.accepted, counts.submissions);
    let database = rusqlite::Connection::open(dir.join("guichet.db")).unwrap();
    let mut select = database.prepare("SELECT reference FROM submission").unwrap();
    Report {
        stored: select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect(),
        letters: letters.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect(),
        integrity: store.integrity().unwrap(),
        incomplete: incomplete(dir),
        missing_files: tidied.missing.len(),
        unsettled: counts.waiting + counts.sending + counts.failed + (counts.submissions - sums.delivered),
    }
}

/// Delivers all that is due, many at once so that they share their syncs; gives when more will be.
async fn delivered(store: &Store, files: &FileStore, mailer: &Arc<Mailer>, now: Timestamp) -> Option<Timestamp> {
    let one = |_| {
        let (store, files, mailer) = (store.clone(), files.clone(), Arc::clone(mailer));
        tokio::spawn(async move {
            loop {
                if let Step::Idle { .. } = step(&store, &mailer, &files, now).await.unwrap() {
                    break;
                }
            }
        })
    };
    let workers: Vec<_> = (0..16).map(one).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    match step(store, mailer, files, now).await.unwrap() {
        Step::Idle { next_at } => next_at,
        _ => Some(now),
    }
}

/// Submissions that lack one of their two outbox rows, their answer or, when their form has a file, its row.
fn incomplete(dir: &Path) -> i64 {
    let database = rusqlite::Connection::open(dir.join("guichet.db")).unwrap();
    let sql = "
        SELECT count(*) FROM submission
        WHERE (SELECT count(*) FROM mail JOIN outbox ON outbox.mail = mail.id WHERE mail.submission = submission.id) <> 2
           OR (SELECT count(*) FROM answer WHERE answer.submission = submission.id) <> 1
           OR (SELECT count(*) FROM file WHERE file.submission = submission.id) <> (form_id = 'avec-piece')";
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Every way the guichet broke its word; none is the only good answer.
fn broken_words(acknowledged: &BTreeSet<String>, report: &Report) -> Vec<String> {
    let mut broken: Vec<String> = report.integrity.clone();
    for reference in acknowledged {
        if !report.stored.contains(reference) {
            broken.push(format!("{reference} was acknowledged and is not stored"));
        }
    }
    for reference in &report.stored {
        for role in ["mairie", "usager"] {
            if !report.letters.contains(&format!("{reference}-{role}.eml")) {
                broken.push(format!("{reference} was stored and not delivered to the {role}"));
            }
        }
    }
    for (count, what) in [
        (report.incomplete as u64, "submissions are not whole"),
        (report.missing_files as u64, "files are named and not there"),
        (report.unsettled, "mails are not settled"),
    ] {
        if count > 0 {
            broken.push(format!("{count} {what}"));
        }
    }
    broken
}

fn store(dir: &Path) -> Store {
    Store::open(dir, StoreOptions { min_free_bytes: 0, ..StoreOptions::default() }).unwrap()
}

fn mailer(dir: &Path) -> Mailer {
    Mailer::new(Transport::Folder(dir.join("courrier"))).unwrap()
}

fn submission(files: &FileStore, with_file: bool) -> NewSubmission {
    let now = Zoned::now();
    let reference = draw(&now).unwrap();
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).unwrap();
    let mut stored = Vec::new();
    if with_file {
        let limits = UploadLimits { max_bytes: 1 << 20, formats: vec![FileFormat::Pdf] };
        let mut upload = files.begin("plan.pdf", limits).unwrap();
        upload.write(format!("%PDF-1.7 {reference}").as_bytes()).unwrap();
        stored.push(upload.finish().unwrap());
        files.accept(&stored).unwrap();
    }
    let mail = |role: MailRole| Mail {
        role,
        from: Mailbox { name: String::new(), email: "guichet@saint-mulot.fr".into() },
        to: vec!["mairie@saint-mulot.fr".into()],
        reply_to: None,
        subject: format!("réf. {reference}"),
        text: "Bonjour\n".repeat(100),
        html: "<p>Bonjour</p>".into(),
        message_id: format!("{reference}.{}@saint-mulot.fr", role.as_str()),
        in_reply_to: None,
        date: now.to_string(),
        auto_submitted: AutoSubmitted::Generated,
        attachments: if role == MailRole::Mairie { stored.clone() } else { Vec::new() },
        json: None,
        sheets: Vec::new(),
    };
    NewSubmission {
        mails: vec![mail(MailRole::Mairie), mail(MailRole::Usager)],
        nonce,
        form_id: if with_file { "avec-piece" } else { "saisir-la-mairie" }.into(),
        form_title: "Saisir la mairie".into(),
        received_at: now,
        answers: vec![Answer {
            field: "message".into(),
            step: None,
            question: "Votre demande".into(),
            value: AnswerValue::Text("Bonjour".into()),
        }],
        sender: Sender::default(),
        files: stored,
        receipt: serde_json::Value::Null,
        purge_after: "9999-12-31".parse().unwrap(),
        quota: None,
        recipients_backup: Vec::new(),
        reference,
    }
}

/// One line in one write: the pipe holds it whole or not at all, whatever happens to us next.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

/// Numbers that look random and can be had again.
struct Chance(u64);

impl Chance {
    fn from_environment() -> Chance {
        let seed = std::env::var("MULOT_KILL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).unwrap();
            u64::from_be_bytes(bytes)
        });
        println!("MULOT_KILL_SEED={seed}");
        Chance(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
