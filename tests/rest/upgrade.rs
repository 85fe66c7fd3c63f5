//! What an earlier version wrote is taken over by this one: see `tests/anciens/README.md` for where each folder comes from.
//!
//! A data folder written by the first version, where everything lay in clear, is taken over whole, and no word of it stays
//! in clear on the disk; not even when the program is killed in the middle.
//!
//! `tests/anciens/0001` was made by that version and copied while it was open: seven submissions (1 delivered, 2 refused and
//! copied to the backup, 3 held by the process that died, 4, 5 and 7 waiting, 6 delivered and purged), three files in `pj`
//! and `entrants`, and a log that was never brought back into the database.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mulot::intake::accept::KeptReceipt;
use mulot::intake::deliver::{Step, step};
use mulot::intake::files::{FileStore, Reading};
use mulot::intake::mailer::{Letterbox, Mailer, Parcel, Transport};
use mulot::intake::store::{Access, Claimed, Reconciliation, Store, StoreError, StoreOptions};
use mulot::model::reference::Reference;

const WORDS: [&str; 5] =
    ["Lampion", "Puits-Perdu", "zoe.lampion@example.fr", "secours@saint-mulot.fr", "remblai du puits"];
/// Id of the draft nobody had confirmed yet.
const DRAFT: &str = "65c1d45760b2aee9d90799aca0659d8d";

fn old_folder() -> tempfile::TempDir {
    folder_of("0001")
}

fn folder_of(schema: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/anciens").join(schema), dir.path());
    dir
}

/// A request of a later folder.
struct Old {
    reference: &'static str,
    /// Secret of the address of its receipt, as it was given to the resident.
    secret: &'static str,
    files: usize,
    acts: usize,
    is_held: bool,
}

const fn old(reference: &'static str, secret: &'static str, files: usize) -> Old {
    Old { reference, secret, files, acts: 0, is_held: false }
}

/// Schema, its requests in order, mails that wait; all names are those of [`WORDS`].
fn later_folders() -> [(&'static str, Vec<Old>, u64); 4] {
    [
        (
            "0002",
            vec![
                old("2026-4ZYE-17AJ-C", "xwyg2t1qmgz6d7pvfvd8q6fhrm", 1),
                old("2026-R93F-JSW8-R", "n09ee7q49xfmwh2v9dzaq49fc4", 0),
                old("2026-E7QT-3NNB-C", "5c7jpx2vnxcm7975aww6r89y3r", 1),
            ],
            2,
        ),
        (
            "0003",
            vec![
                Old { acts: 1, ..old("2026-3B55-J3C7-Q", "y3vhwvjzavc10zcpy60tkrdawm", 1) },
                old("2026-ZE4R-VCGT-B", "cet2ngsb5zvbzvx6g8bz2cdaxw", 0),
                old("2026-XBVE-Z2Z3-6", "jfrs7cb1c8s8thf0784ed23my8", 1),
            ],
            4,
        ),
        (
            "0004",
            vec![
                Old { acts: 1, ..old("2026-6802-877N-E", "39ta8srszek7w0d732qmsqtdwc", 1) },
                old("2026-DVX5-PCT9-K", "nferryvc8d99khbaa0mbvh1rd4", 0),
                old("2026-BRTY-JCMC-N", "kgpn2cq31wemqya3s38v4q7bbr", 1),
                Old { is_held: true, ..old("2026-DMD3-18YR-1", "kqjwa1hn59zy95nc24mm7t4x0g", 0) },
            ],
            6,
        ),
        (
            "0005",
            vec![
                Old { acts: 1, ..old("2026-4DXC-JZ24-V", "gdbv7cbq5hb9ebzf14kxeqdzx4", 1) },
                old("2026-E3FH-J8FE-0", "zvrwgnm0q4zksqjpwk3a4v6s98", 0),
                old("2026-M4S4-Z915-C", "6srr5jg5bv96zhsar0gw5a24k4", 1),
                Old { is_held: true, ..old("2026-D3S8-YHJB-8", "ch84hppfa8cszgexaw78avyb34", 0) },
            ],
            6,
        ),
    ]
}

#[test]
fn every_later_folder_is_taken_over_with_its_requests_files_and_receipts() {
    let then: Timestamp = "2026-11-26T21:00:00Z".parse().unwrap();
    for (schema, requests, waiting) in later_folders() {
        let dir = folder_of(schema);
        let store = Store::open(dir.path(), options()).unwrap_or_else(|error| panic!("{schema}: {error}"));
        let files = FileStore::open(dir.path(), store.seal(), 0).unwrap();
        assert_eq!(store.integrity().unwrap(), Vec::<String>::new(), "{schema}");
        assert_eq!(store.damaged().unwrap(), Vec::new(), "{schema}");
        assert_eq!(files.verify(&store, Reading::Contents).unwrap(), Vec::new(), "{schema}");
        let counts = store.counts().unwrap();
        assert_eq!(
            (counts.submissions, counts.waiting, counts.sending),
            (requests.len() as u64, waiting, 0),
            "{schema}"
        );
        for request in requests {
            let reference: Reference = request.reference.parse().unwrap();
            assert!(
                store.keys().opens(&reference, request.secret),
                "{schema}: the address of the receipt still opens it"
            );
            let receipt = store.receipt(&reference).unwrap().expect("the receipt");
            let kept = serde_json::from_value::<KeptReceipt>(receipt.receipt).expect("a receipt that can be drawn");
            assert!(format!("{:?}", kept.receipt).contains("Saisir la mairie"), "{schema}: {kept:?}");
            let detail = store.detail(&reference, true).unwrap().expect("the request");
            assert_eq!(detail.sender.unwrap().email.as_deref(), Some("zoe.lampion@example.fr"));
            assert_eq!(detail.form_id, "saisir-la-mairie");
            let names: Vec<&str> = detail.files.iter().map(|file| file.name.as_str()).collect();
            assert_eq!(names, vec!["Plan de Lampion.pdf"; request.files], "{schema} {reference}");
            let kept = store.kept(&reference).unwrap().expect("its life");
            assert_eq!(kept.acts.len(), request.acts, "{schema} {reference}");
            let held = store.quarantine_of(&reference, then).unwrap();
            assert_eq!(held.is_some(), request.is_held, "{schema} {reference}");
        }
        drop(store);
        for word in WORDS {
            assert_eq!(holders(dir.path(), word), Vec::<PathBuf>::new(), "{word} lies in clear in {schema}");
        }
    }
}

/// Delivers from that moment on until nothing waits: the letters that left, and the sums after.
async fn deliver_all(folder: &Path, from: &str) -> (Vec<Parcel>, Reconciliation) {
    let store = Store::open(folder, options()).unwrap();
    let files = FileStore::open(folder, store.seal(), 0).unwrap();
    let letters = Letterbox::default();
    let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
    let mut now: Timestamp = from.parse().unwrap();
    loop {
        match step(&store, &mailer, &files, now).await.unwrap() {
            Step::Idle { next_at: Some(at) } => now = at,
            Step::Idle { next_at: None } => break,
            _ => {}
        }
    }
    (letters.taken(), store.reconcile(Timestamp::MIN, Timestamp::MAX).unwrap())
}

#[tokio::test]
async fn what_waited_in_a_later_folder_is_delivered_after() {
    for (schema, requests, waiting) in later_folders() {
        let dir = folder_of(schema);
        let (taken, sums) = deliver_all(dir.path(), "2026-11-26T21:00:00Z").await;
        assert!(sums.is_balanced() && sums.waiting == 0, "{schema}: {sums:?}");
        assert_eq!(taken.len() as u64, waiting, "{schema}: what was delivered is not sent again");
        let last = requests.iter().rfind(|request| request.files > 0).unwrap();
        assert!(taken.iter().any(|letter| letter.reference.to_string() == last.reference), "{schema}");
    }
}

#[test]
fn the_format_of_a_folder_is_told_without_touching_it() {
    for (schema, number) in [("0001", 1), ("0002", 2), ("0003", 3), ("0004", 4)] {
        let dir = folder_of(schema);
        let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap_or_default();
        let before = (bytes("guichet.db"), bytes("guichet.db-wal"));
        let format = Store::format(dir.path(), &options()).unwrap();
        assert_eq!((format.found, format.is_old()), (number, true), "{schema}");
        assert_eq!((bytes("guichet.db"), bytes("guichet.db-wal")), before, "{schema}");
        drop(Store::open(dir.path(), options()).unwrap());
        assert!(!Store::format(dir.path(), &options()).unwrap().is_old(), "{schema}");
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn options() -> StoreOptions {
    StoreOptions { min_free_bytes: 0, ..StoreOptions::default() }
}

fn reference(number: u8) -> Reference {
    Reference::new(2026, [7, 0, 0, 0, number])
}

pub(crate) fn holders(dir: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holders(&path, word));
        } else if std::fs::read(&path).unwrap().windows(word.len()).any(|window| window == word.as_bytes()) {
            found.push(path);
        }
    }
    found
}

/// All that the old folder held, asked of the new program.
fn assert_taken_over(dir: &Path) {
    let store = Store::open(dir, options()).unwrap();
    let files = FileStore::open(dir, store.seal(), 0).unwrap();
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    assert_eq!(store.damaged().unwrap(), Vec::new());
    assert_eq!(files.verify(&store, Reading::Contents).unwrap(), Vec::new());
    let counts = store.counts().unwrap();
    assert_eq!((counts.submissions, counts.purged, counts.failed, counts.sending), (7, 1, 1, 0));
    for number in [1, 2, 3, 4, 5, 7] {
        let recorded = store.recorded(&[number; 16]).unwrap().unwrap();
        assert_eq!((&recorded.reference, recorded.receipt["pour"].as_str()), (&reference(number), Some("Zoé Lampion")));
        let detail = store.detail(&reference(number), true).unwrap().unwrap();
        assert_eq!(detail.sender.unwrap().email.as_deref(), Some("zoe.lampion@example.fr"));
        assert_eq!(detail.answers[0].question, "Votre demande");
        let names: Vec<&str> = detail.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, if matches!(number, 1 | 4) { vec!["Plan de Lampion.pdf"] } else { vec![] });
    }
    assert!(store.recorded(&[6; 16]).unwrap().unwrap().receipt.is_null());
    let draft = files.draft(DRAFT).unwrap().unwrap();
    assert_eq!(draft.name, "Brouillon de Lampion.pdf");
    files.accept(std::slice::from_ref(&draft)).unwrap();
    assert_eq!(files.read(&draft).unwrap(), b"%PDF-1.7 Puits-Perdu brouillon\n");
    drop(store);
    for word in WORDS {
        assert_eq!(holders(dir, word), Vec::<PathBuf>::new(), "{word} lies in clear");
    }
}

#[test]
fn an_old_folder_is_taken_over_and_no_word_stays_in_clear() {
    let dir = old_folder();
    assert!(WORDS.iter().all(|word| !holders(dir.path(), word).is_empty()), "the search can find");
    drop(Store::open(dir.path(), options()).unwrap());
    assert_taken_over(dir.path());
}

#[tokio::test]
async fn what_waited_before_the_upgrade_is_delivered_after() {
    let dir = old_folder();
    let (taken, sums) = deliver_all(dir.path(), "2026-08-21T12:00:00Z").await;
    assert_eq!((sums.accepted, sums.delivered, sums.waiting), (7, 7, 0), "{sums:?}");
    assert!(sums.is_balanced(), "{sums:?}");
    let of = |number| taken.iter().filter(move |letter| letter.reference == reference(number));
    assert!(of(1).all(|letter| letter.to != "mairie@saint-mulot.fr"), "what was delivered is not sent again");
    assert!(of(2).any(|letter| letter.to == "secours@saint-mulot.fr"), "the copy to the backup waited too");
    let plan = of(4).find(|letter| letter.to == "mairie@saint-mulot.fr").unwrap();
    assert!(plan.bytes.len() > 51_000, "its file goes with it");
}

#[test]
fn an_order_of_the_administration_upgrades_only_when_nobody_serves() {
    let dir = old_folder();
    let beside = || Store::open(dir.path(), StoreOptions { access: Access::Beside, ..options() });
    let lock = std::fs::File::create(dir.path().join("verrou")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(beside(), Err(StoreError::Locked { .. })), "the old program is still serving");
    drop(lock);
    assert_eq!(beside().unwrap().counts().unwrap().submissions, 7);
    assert_taken_over(dir.path());
}

#[test]
fn a_sealed_database_opens_with_its_own_key_only() {
    let dir = old_folder();
    drop(Store::open(dir.path(), options()).unwrap());
    let (key, away) = (dir.path().join("cle"), tempfile::tempdir().unwrap());
    let kept = away.path().join("cle-du-guichet");
    std::fs::rename(&key, &kept).unwrap();
    assert!(matches!(Store::open(dir.path(), options()), Err(StoreError::Key(_))));
    assert!(!key.exists(), "no other key is made for a database that is there");
    std::fs::write(&key, "00".repeat(32)).unwrap();
    assert!(matches!(Store::open(dir.path(), options()), Err(StoreError::WrongKey { .. })));
    std::fs::remove_file(&key).unwrap();
    let elsewhere = StoreOptions { key_file: Some(kept), ..options() };
    let store = Store::open(dir.path(), elsewhere).unwrap();
    assert!(store.recorded(&[1; 16]).unwrap().is_some(), "the key may live elsewhere");
}

/// Folder the child upgrades; set, the test binary is the child.
const CHILD: &str = "MULOT_UPGRADE_DIR";

/// Not a test by itself: the process that is killed. Does nothing unless the environment says so.
#[test]
fn the_process_that_is_killed() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    println!("\nready");
    drop(Store::open(&dir, options()));
    println!("\ndone");
}

#[test]
fn an_upgrade_killed_at_any_moment_is_taken_up_again() {
    let mut finished = 0;
    for cycle in 0..24u64 {
        let dir = old_folder();
        // Killed again and again, each time a little later, until one life is long enough.
        for turn in 0..3 {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "upgrade::the_process_that_is_killed", "--nocapture", "--test-threads=1"]);
            let mut child = command.env(CHILD, dir.path()).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
            lines.by_ref().map_while(Result::ok).find(|line| line == "ready").expect("the child speaks");
            std::thread::sleep(Duration::from_millis(cycle * 5 + turn));
            child.kill().unwrap();
            child.wait().unwrap();
            finished += u32::from(lines.map_while(Result::ok).any(|line| line == "done"));
        }
        assert_taken_over(dir.path());
    }
    println!("{finished} of 72 lives were long enough");
    assert!(finished < 72, "nobody was killed in time");
}

#[test]
fn the_lease_of_the_process_that_died_is_given_back() {
    let dir = old_folder();
    let store = Store::open(dir.path(), options()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let now: Timestamp = "2026-08-21T12:00:00Z".parse().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    while let Claimed::Mail(claim) = runtime.block_on(store.claim(now, SignedDuration::from_mins(10))).unwrap() {
        seen.insert(claim.reference.as_str().to_owned());
    }
    assert!(seen.contains(reference(3).as_str()), "{seen:?}");
}
