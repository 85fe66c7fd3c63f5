//! Files kept in a bucket that several machines share: a real server that judges signatures, and is away when it is told to be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Zoned};
use mulot::intake::backup::{back_up, restore};
use mulot::intake::deliver::{Step, step};
use mulot::intake::files::{BucketPlace, FileError, FileOptions, FileStore, Reading, UploadLimits, tidy};
use mulot::intake::mailer::{Letterbox, Mailer, Transport};
use mulot::intake::store::Store;
use mulot::model::form::FileFormat;
use mulot::model::submission::StoredFile;

use crate::damage::{noon, reference, submission, upload};
use crate::s3::{KEY_ID, S3Server, SECRET};
use crate::upgrade::options;

/// A server, and where machines keep their own folders.
struct Town {
    server: S3Server,
    root: tempfile::TempDir,
}

impl Town {
    fn new() -> Town {
        Town { server: S3Server::start(), root: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn place(&self) -> BucketPlace {
        place(&format!("{}/mairie/a", self.server.url()), SECRET)
    }

    /// The database, on the first machine.
    fn store(&self) -> Store {
        Store::open(&self.at("un"), options()).unwrap()
    }

    /// The files as a machine sees them.
    fn files(&self, machine: &str, store: &Store) -> FileStore {
        std::fs::create_dir_all(self.at(machine)).unwrap();
        let files = FileStore::open_with(&self.at(machine), store.seal(), hurried(self.place())).unwrap();
        files.adopt(store).unwrap();
        files
    }

    /// What lies in the bucket, the server's own accounts apart.
    fn objects(&self) -> Vec<String> {
        let mut found = below(&self.server.objects());
        found.retain(|path| path.starts_with("mairie/"));
        found
    }
}

fn place(address: &str, secret: &str) -> BucketPlace {
    BucketPlace::new(address, "us-east-1".into(), (KEY_ID.into(), secret.into())).unwrap()
}

fn hurried(bucket: BucketPlace) -> FileOptions {
    FileOptions { patience: Duration::from_millis(800), ..FileOptions::beside(Some(bucket)) }
}

/// Every file below a folder, by its path in it.
fn below(root: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn draft(files: &FileStore) -> Result<StoredFile, FileError> {
    let limits = UploadLimits { max_bytes: 1 << 20, formats: vec![FileFormat::Pdf] };
    let mut upload = files.begin("Plan de Lampion.pdf", limits)?;
    upload.write("%PDF-1.7 Lampion ".repeat(4000).as_bytes())?;
    upload.finish()
}

fn later(hours: i64) -> Zoned {
    Zoned::now().checked_add(SignedDuration::from_hours(hours)).unwrap()
}

#[test]
fn what_one_machine_received_another_confirms_and_a_third_reads() {
    let town = Town::new();
    let store = town.store();
    let (one, two, three) = (town.files("un", &store), town.files("deux", &store), town.files("trois", &store));
    let file = draft(&one).unwrap();
    assert_eq!(below(&town.at("un/entrants")), Vec::<String>::new(), "nothing stays on the machine");
    assert_eq!(two.draft(&file.id).unwrap(), Some(file.clone()));
    two.accept(std::slice::from_ref(&file)).unwrap();
    two.accept(std::slice::from_ref(&file)).unwrap();
    assert_eq!(three.read(&file).unwrap().len() as u64, file.size);
    let objects = town.objects();
    assert_eq!(objects.len(), 4, "the mark, the description, that it was received, the file: {objects:?}");
    for path in &objects {
        let bytes = std::fs::read(town.server.objects().join(path)).unwrap();
        assert!(memchr::memmem::find(&bytes, b"Lampion").is_none(), "{path} is sealed");
    }
    // One byte changed in the bucket, and it is not given back.
    let kept = town.server.objects().join(objects.iter().find(|path| path.contains("/pj/")).unwrap());
    let good = std::fs::read(&kept).unwrap();
    let mut bad = good.clone();
    bad[200] ^= 1;
    std::fs::write(&kept, &bad).unwrap();
    assert!(matches!(three.read(&file), Err(FileError::Damaged { .. })));
    std::fs::write(&kept, &good[..100]).unwrap();
    assert!(matches!(two.accept(std::slice::from_ref(&file)), Err(FileError::Damaged { .. })));
    three.remove(std::slice::from_ref(&file.id)).unwrap();
    assert_eq!(town.objects(), ["mairie/a/marque"]);
    assert_eq!(one.draft(&file.id).unwrap(), None);
    assert!(matches!(one.read(&file), Err(FileError::Missing { .. })));
    assert!(matches!(one.accept(&[file]), Err(FileError::Missing { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_is_not_a_lost_file() {
    let town = Town::new();
    let store = town.store();
    let files = town.files("un", &store);
    let file = upload(&files, 1);
    store.record(submission(1, vec![file.clone()])).await.unwrap();
    let letters = Letterbox::default();
    let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
    town.server.cut_every(1);
    let now = noon().timestamp();
    let mut until = now;
    while let Step::Deferred { until: at } = step(&store, &mailer, &files, now).await.unwrap() {
        until = until.max(at);
    }
    let told = |bytes: &[u8]| memchr::memmem::find(bytes, b"filename").is_some();
    assert!(until > now, "the mail that carries the file waits");
    assert!(!letters.taken().iter().any(|letter| told(&letter.bytes)), "and no other left in its place");
    assert!(draft(&files).is_err_and(|error| error.is_of_bucket()));
    assert!(files.verify(&store, Reading::Sizes).is_err_and(|error| error.is_of_bucket()));
    assert!(tidy(&store, &files, &noon()).is_err_and(|error| error.is_of_bucket()));
    // Nor is a row erased whose file could not be: nobody would ask for that again.
    let late = noon().checked_add(jiff::Span::new().years(30)).unwrap();
    assert!(tidy(&store, &files, &late).is_err_and(|error| error.is_of_bucket()));
    assert_eq!(store.known_files().unwrap().len(), 1);
    assert_eq!(files.bucket_answers(), Some(false));
    town.server.cut_every(0);
    while !matches!(step(&store, &mailer, &files, until).await.unwrap(), Step::Idle { .. }) {}
    let mairie = letters.taken().into_iter().filter(|letter| told(&letter.bytes)).count();
    assert_eq!(mairie, 1, "it left with its file");
    assert_eq!(files.bucket_answers(), Some(true));
    let waiting = draft(&files).unwrap();
    // Nothing is written to a bucket that has lost its mark.
    let mark = town.server.objects().join("mairie/a/marque");
    std::fs::remove_file(&mark).unwrap();
    let again = FileStore::open_with(&town.at("un"), store.seal(), hurried(town.place())).unwrap();
    assert!(matches!(again.draft(&waiting.id), Err(FileError::ForeignBucket { .. })));
    // What a wrong bucket answers is no loss either: nothing of ours is there, not even the mark.
    std::fs::rename(town.server.objects().join("mairie"), town.server.objects().join("ailleurs")).unwrap();
    assert_eq!(files.bucket_answers(), Some(false), "nobody of that name");
    std::fs::create_dir(town.server.objects().join("mairie")).unwrap();
    assert_eq!(files.bucket_answers(), Some(false), "not ours");
    assert!(files.draft(&waiting.id).is_err_and(|error| error.is_of_bucket()), "it has not expired");
    assert!(files.accept(std::slice::from_ref(&waiting)).is_err_and(|error| error.is_of_bucket()));
    assert!(files.read(&file).is_err_and(|error| error.is_of_bucket()));
    let again = FileStore::open_with(&town.at("un"), store.seal(), hurried(town.place())).unwrap();
    assert!(matches!(again.adopt(&store), Err(FileError::ForeignBucket { .. })));
    assert!(matches!(again.verify(&store, Reading::Sizes), Err(FileError::ForeignBucket { .. })));
}

#[test]
fn a_busy_server_is_asked_again_and_a_silent_one_is_given_up() {
    let town = Town::new();
    let store = town.store();
    let files = town.files("un", &store);
    town.server.be_busy(true);
    let patient = FileOptions::beside(Some(town.place()));
    let patient = FileStore::open_with(&town.at("un"), store.seal(), patient).unwrap();
    for number in 0..10 {
        let file = upload(&patient, number);
        assert_eq!(patient.read(&file).unwrap().len() as u64, file.size);
    }
    assert!(town.server.refused() > 10, "{} requests were turned away", town.server.refused());
    town.server.be_busy(false);
    // Held for ever: the resident gets an answer all the same.
    town.server.hold_after(0);
    assert!(draft(&files).is_err_and(|error| error.is_of_bucket()));
    town.server.await_held();
    assert!(draft(&files).is_ok());
}

#[test]
fn what_nobody_confirmed_goes_and_what_a_row_names_stays() {
    let town = Town::new();
    let store = town.store();
    let files = town.files("un", &store);
    let kept = upload(&files, 1);
    store.record_blocking(submission(1, vec![kept.clone()])).unwrap();
    let waiting = draft(&files).unwrap();
    // Left by a machine that died between the bytes and the description.
    let left = draft(&files).unwrap();
    let card = format!("mairie/a/entrants/{}.fiche", left.id);
    std::fs::remove_file(town.server.objects().join(card)).unwrap();
    let now = tidy(&store, &files, &later(1)).unwrap();
    assert_eq!((now.drafts, now.orphans, now.missing.len()), (0, 0, 0), "somebody may still be at it");
    let soon = tidy(&store, &files, &later(3)).unwrap();
    assert_eq!((soon.drafts, soon.orphans), (0, 0), "the database may not be the one of the bucket");
    assert!(files.draft(&waiting.id).unwrap().is_some() && files.draft(&left.id).unwrap().is_none());
    let next_day = tidy(&store, &files, &later(27)).unwrap();
    assert_eq!((next_day.drafts, next_day.orphans, next_day.missing.len()), (1, 0, 0));
    let next_week = tidy(&store, &files, &later(8 * 24)).unwrap();
    assert_eq!((next_week.drafts, next_week.orphans, next_week.missing.len()), (0, 1, 0));
    assert!(files.read(&kept).is_ok());
    assert_eq!(files.verify(&store, Reading::Contents).unwrap(), []);
    let object = format!("mairie/a/pj/{}/{}", &kept.id[..2], kept.id);
    assert_eq!(town.objects(), ["mairie/a/marque".to_owned(), object.clone()]);
    std::fs::remove_file(town.server.objects().join(object)).unwrap();
    assert_eq!(tidy(&store, &files, &later(27)).unwrap().missing.len(), 1, "what is really lost is told");
    assert!(files.verify(&store, Reading::Sizes).unwrap()[0].is_missing);
}

#[test]
fn a_database_with_the_same_key_that_knows_nothing_erases_nothing() {
    let town = Town::new();
    let store = town.store();
    let files = town.files("un", &store);
    for number in 1..=21 {
        store.record_blocking(submission(number, vec![upload(&files, number)])).unwrap();
    }
    std::fs::create_dir(town.at("voisine")).unwrap();
    std::fs::copy(town.at("un/cle"), town.at("voisine/cle")).unwrap();
    let other = Store::open(&town.at("voisine"), options()).unwrap();
    let beside = town.files("voisine", &other);
    // Drafts that nobody came back for go, however many they are: no request ever named them.
    for _ in 0..25 {
        draft(&files).unwrap();
    }
    let told = tidy(&other, &beside, &later(27));
    assert!(matches!(told, Err(FileError::ManyOrphans { orphans: 21, files: 21, .. })), "{told:?}");
    assert!(matches!(tidy(&other, &beside, &later(90)), Err(FileError::ManyOrphans { .. })));
    let state = beside.doubt(&other).unwrap();
    assert!(state.is_none(), "they came just now: {state:?}");
    assert_eq!(files.verify(&store, Reading::Contents).unwrap(), []);
    let own = tidy(&store, &files, &later(90)).unwrap();
    assert_eq!((own.orphans, own.missing.len()), (0, 0));
    assert_eq!(town.objects().len(), 22, "the mark and the files");
}

#[test]
fn what_a_killed_upload_left_on_the_disk_goes_without_the_housework() {
    let town = Town::new();
    let store = town.store();
    let files = town.files("un", &store);
    let part = town.at("un/entrants").join(format!("{}.part", "a".repeat(32)));
    std::fs::write(&part, "Lampion").unwrap();
    assert_eq!(files.sweep_scratch(later(1).timestamp().into()).unwrap(), 0, "somebody may still be writing it");
    assert_eq!(files.sweep_scratch(later(3).timestamp().into()).unwrap(), 1);
    assert!(!part.exists());
}

#[test]
fn drafts_and_accepted_files_are_weighed_together() {
    let town = Town::new();
    let store = town.store();
    let one = town.files("un", &store);
    std::fs::create_dir_all(town.at("deux")).unwrap();
    let limits = FileOptions { max_draft_bytes: 100_000, max_kept_bytes: 190_000, ..hurried(town.place()) };
    let two = FileStore::open_with(&town.at("deux"), store.seal(), limits).unwrap();
    let first = draft(&one).unwrap();
    two.measure_room(&store.weak()).unwrap();
    assert!(two.counts().draft_bytes > first.size && two.counts().kept_bytes == 0, "{:?}", two.counts());
    assert!(matches!(draft(&two), Err(FileError::Quota { kept: false })), "what another machine took counts too");
    store.record_blocking(submission(1, vec![first])).unwrap();
    two.measure_room(&store.weak()).unwrap();
    assert!(two.counts().draft_bytes == 0 && two.counts().kept_bytes > 0, "{:?}", two.counts());
    assert!(draft(&two).is_ok());
}

#[test]
fn what_the_folder_held_goes_to_the_bucket_and_is_never_missed() {
    let town = Town::new();
    let store = town.store();
    let before = FileStore::open(&town.at("un"), store.seal(), 0).unwrap();
    let kept = upload(&before, 1);
    store.record_blocking(submission(1, vec![kept.clone()])).unwrap();
    let (waiting, confirmed) = (draft(&before).unwrap(), draft(&before).unwrap());
    let files = town.files("un", &store);
    assert!(files.read(&kept).is_ok(), "before it is moved");
    assert_eq!(files.verify(&store, Reading::Sizes).unwrap(), []);
    // Confirmed by a resident who had sent it before the bucket was.
    assert!(files.draft(&confirmed.id).unwrap().is_some());
    files.accept(std::slice::from_ref(&confirmed)).unwrap();
    let tidied = tidy(&store, &files, &Zoned::now()).unwrap();
    assert_eq!((tidied.moved, tidied.missing.len()), (2, 0));
    assert_eq!([below(&town.at("un/pj")), below(&town.at("un/entrants"))].concat(), Vec::<String>::new());
    let other = town.files("deux", &store);
    assert!(other.read(&kept).is_ok() && other.read(&confirmed).is_ok());
    assert!(other.draft(&waiting.id).unwrap().is_some());
    assert_eq!(tidy(&store, &files, &Zoned::now()).unwrap().moved, 0);
}

#[test]
fn a_copy_holds_the_files_of_the_bucket_and_brings_them_back_to_one() {
    let town = Town::new();
    let store = town.store();
    let files = town.files("un", &store);
    let kept = upload(&files, 1);
    store.record_blocking(submission(1, vec![kept.clone()])).unwrap();
    let now = jiff::Timestamp::now();
    let key = town.at("un/cle");
    let done = back_up((&store, &files), &town.at("un"), &town.at("copie"), Some(&key), now).unwrap();
    assert_eq!((done.files, done.troubles.len()), (1, 0));
    drop(store);
    let other = place(&format!("{}/mairie/b", town.server.url()), SECRET);
    restore(&town.at("copie"), &town.at("neuf"), (None, None), (None, Some(&other))).unwrap();
    assert_eq!(below(&town.at("neuf/pj")), Vec::<String>::new());
    let store = Store::open(&town.at("neuf"), options()).unwrap();
    let files = FileStore::open_with(&town.at("neuf"), store.seal(), hurried(other)).unwrap();
    files.adopt(&store).unwrap();
    assert_eq!(files.verify(&store, Reading::Contents).unwrap(), []);
    // And from a bucket to a folder.
    restore(&town.at("copie"), &town.at("dossier"), (None, None), (None, None)).unwrap();
    assert_eq!(below(&town.at("dossier/pj")).len(), 1);
    town.server.cut_every(1);
    let third = back_up((&store, &files), &town.at("neuf"), &town.at("copie-3"), None, now);
    assert!(third.is_err() && !town.at("copie-3").exists(), "no copy that lacks its files: {third:?}");
}

#[test]
fn the_bucket_of_another_guichet_and_a_refused_key_are_told() {
    let town = Town::new();
    let store = town.store();
    let file = draft(&town.files("un", &store)).unwrap();
    let stranger = Store::open(&town.at("voisine"), options()).unwrap();
    let foreign = FileStore::open_with(&town.at("voisine"), stranger.seal(), hurried(town.place()));
    assert!(matches!(foreign, Err(FileError::ForeignBucket { .. })), "{foreign:?}");
    let wrong = place(&format!("{}/mairie/a", town.server.url()), "une-autre");
    let refused = FileStore::open_with(&town.at("un"), store.seal(), hurried(wrong.clone())).unwrap_err();
    assert!(refused.is_of_bucket() && !refused.to_string().contains("une-autre"), "{refused}");
    assert!(!format!("{wrong:?}").contains("une-autre"));
    assert_eq!(town.files("un", &store).draft(&file.id).unwrap(), Some(file));
}

#[test]
fn what_a_bucket_did_not_erase_goes_when_it_is_back() {
    let town = Town::new();
    let store = town.store();
    let files = town.files("un", &store);
    let numbers = 1..=25;
    for number in numbers.clone() {
        store.record_blocking(submission(number, vec![upload(&files, number)])).unwrap();
    }
    let now = jiff::Timestamp::now();
    let mut erased: Vec<String> =
        numbers.flat_map(|number| store.erase(&reference(number), now).unwrap().files).collect();
    erased.sort();
    town.server.cut_every(1);
    assert!(files.erase(&store).is_err_and(|error| error.is_of_bucket()));
    assert_eq!((store.to_erase().unwrap(), erased.len()), (erased, 25), "none is forgotten");
    town.server.cut_every(0);
    // More than what a crash leaves, and yet no orphans: the database is known to be theirs.
    assert!(files.doubt(&store).unwrap().is_none());
    let tidied = tidy(&store, &files, &later(8 * 24)).unwrap();
    assert_eq!((tidied.orphans, tidied.missing.len()), (0, 0));
    assert_eq!(store.to_erase().unwrap(), Vec::<String>::new());
    assert_eq!(town.objects(), ["mairie/a/marque"]);
}
