//! Copies made while requests stream in, and brought back.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use jiff::Timestamp;
use mulot::intake::backup::{BackupError, back_up, restore};
use mulot::intake::deliver::{Step, step};
use mulot::intake::files::{FileStore, Reading};
use mulot::intake::mailer::{Letterbox, Mailer, Transport};
use mulot::intake::store::{Access, Claimed, Settlement, Store, StoreError, StoreOptions, Trace};

use crate::damage::{noon, reference, submission, upload};
use crate::upgrade::{copy, holders, options};

/// Forty requests, every fourth with a file; half of the mails delivered.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let files = FileStore::open(dir.path(), store.seal(), 0).unwrap();
    for number in 0..40 {
        let stored = if number % 4 == 0 { vec![upload(&files, number)] } else { Vec::new() };
        store.record_blocking(submission(number, stored)).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..20 {
        let now = noon().timestamp();
        let claimed = runtime.block_on(store.claim(now, jiff::SignedDuration::from_mins(10))).unwrap();
        let Claimed::Mail(claim) = claimed else { panic!("nothing due") };
        let trace = Trace { outcome: "delivered", ..Trace::default() };
        runtime.block_on(store.settle(&claim, Settlement::Delivered, trace, now)).unwrap();
    }
    dir
}

fn beside(dir: &Path) -> Store {
    Store::open(dir, StoreOptions { access: Access::Beside, ..options() }).unwrap()
}

fn mulot(order: &str, arguments: &[&str], paths: [&Path; 2]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mulot"));
    command.arg(order).arg("--guichet").arg(paths[0]).args(arguments).arg(paths[1]).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap().replace('\u{a0}', " ")
}

#[test]
fn a_copy_made_under_load_is_whole() {
    let (dir, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(dir.path(), options()).unwrap();
    let files = FileStore::open(dir.path(), store.seal(), 0).unwrap();
    let (stop, next) = (AtomicBool::new(false), AtomicU32::new(0));
    let key = dir.path().join("cle");
    let sizes: Vec<u64> = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // Bounded, so that a test that fails ends.
                while !stop.load(Ordering::Relaxed) && next.load(Ordering::Relaxed) < 3000 {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let stored = if number % 3 == 0 { vec![upload(&files, number)] } else { Vec::new() };
                    store.record_blocking(submission(number, stored)).unwrap();
                    if number % 15 == 0 {
                        // A purge at a person's order goes on meanwhile.
                        store.erase(&reference(number), noon().timestamp()).unwrap();
                        files.erase(&store).unwrap();
                    }
                }
            });
        }
        let copies = (0..3).map(|turn| {
            let other = beside(dir.path());
            while next.load(Ordering::Relaxed) < (turn + 1) * 20 {
                std::thread::yield_now();
            }
            let target = away.path().join(turn.to_string());
            let files = FileStore::open(dir.path(), other.seal(), 0).unwrap();
            let done = back_up((&other, &files), dir.path(), &target, Some(&key), Timestamp::now()).unwrap();
            assert_eq!((done.damaged, done.troubles), (Vec::new(), Vec::new()));
            done.submissions
        });
        let sizes = copies.collect();
        stop.store(true, Ordering::Relaxed);
        sizes
    });
    assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]), "requests went on coming: {sizes:?}");
    for (turn, size) in sizes.iter().enumerate() {
        let target = away.path().join(format!("rendu-{turn}"));
        let restored = restore(&away.path().join(turn.to_string()), &target, (None, None), (None, None)).unwrap();
        assert_eq!((restored.counts.submissions, restored.damaged, restored.troubles), (*size, vec![], vec![]));
        let store = Store::open(&target, options()).unwrap();
        let files = FileStore::open(&target, store.seal(), 0).unwrap();
        assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
        assert_eq!(files.verify(&store, Reading::Contents).unwrap(), Vec::new());
        assert!(store.reconcile(Timestamp::MIN, Timestamp::MAX).unwrap().is_balanced());
    }
    let left: Vec<_> = std::fs::read_dir(away.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 6, "no half copy stays behind: {left:?}");
}

#[test]
fn the_drill_brings_back_everything_and_what_waited_is_delivered() {
    let (dir, away) = (folder(), tempfile::tempdir().unwrap());
    let (backup, target) = (away.path().join("sauvegarde"), away.path().join("donnees"));
    let output = mulot("backup", &[], [dir.path(), &backup]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("40 demandes, 10 pièces jointes"), "{}", said(&output));
    assert!(said(&output).contains("La clé n'y est pas"), "{}", said(&output));
    assert!(!backup.join("cle").exists());
    assert!(dir.path().join("derniere-sauvegarde").is_file(), "the state of the guichet can tell when");
    for word in ["Lampion", "Puits-Perdu", "zoe.lampion@example.fr"] {
        assert!(holders(&backup, word).is_empty(), "{word} lies in clear in the copy");
    }
    // The machine burns; the key was kept elsewhere.
    let key = away.path().join("cle-gardee");
    std::fs::rename(dir.path().join("cle"), &key).unwrap();
    drop(dir);

    let without = mulot("restore", &[], [&target, &backup]);
    assert!(without.status.code() == Some(1) && said(&without).contains("--cle FICHIER"), "{}", said(&without));
    let output = mulot("restore", &["--cle", key.to_str().unwrap()], [&target, &backup]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("60 messages partiront"), "{}", said(&output));
    let mut names: Vec<_> = std::fs::read_dir(&target).unwrap().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["cle", "guichet.db", "pj"]);

    let store = Store::open(&target, options()).unwrap();
    let files = FileStore::open(&target, store.seal(), 0).unwrap();
    let letters = Letterbox::default();
    let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let one = || runtime.block_on(step(&store, &mailer, &files, noon().timestamp())).unwrap();
    while !matches!(one(), Step::Idle { .. }) {}
    assert_eq!(letters.taken().len(), 60, "what was delivered before the copy is not sent again");
    let sums = store.reconcile(Timestamp::MIN, Timestamp::MAX).unwrap();
    assert_eq!((sums.accepted, sums.delivered), (40, 40));
    let again = store.record_blocking(submission(7, Vec::new())).unwrap();
    assert!(!again.new, "a page confirmed before the copy finds its receipt");
}

#[test]
fn the_communes_of_a_territoire_come_back_with_the_keys_of_one_folder() {
    let root = tempfile::tempdir().unwrap();
    let [territoire, data, safe, backup] =
        ["territoire", "donnees", "coffre", "sauvegarde"].map(|name| root.path().join(name));
    for commune in ["amont", "aval"] {
        std::fs::create_dir_all(territoire.join("communes").join(commune)).unwrap();
        std::fs::create_dir_all(&data).unwrap();
        std::fs::rename(folder().keep(), data.join(commune)).unwrap();
    }
    std::fs::create_dir(territoire.join("commun")).unwrap();
    std::fs::write(territoire.join("territoire.toml"), "format = 1\nnom = \"Le pays\"\n").unwrap();
    let config = root.path().join("guichet.toml");
    let text = "territoire = \"territoire\"\ndonnees = \"donnees\"\n\
                [courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n";
    std::fs::write(&config, text).unwrap();
    let output = mulot("backup", &[], [&config, &backup]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // The machine burns; the keys were kept elsewhere.
    for commune in ["amont", "aval"] {
        std::fs::create_dir_all(safe.join(commune)).unwrap();
        std::fs::rename(data.join(commune).join("cle"), safe.join(commune).join("cle")).unwrap();
    }
    std::fs::remove_dir_all(&data).unwrap();

    let one_key = safe.join("amont/cle");
    let refused = mulot("restore", &["--cle", one_key.to_str().unwrap()], [&config, &backup]);
    assert!(refused.status.code() == Some(1) && said(&refused).contains("COMMUNE/cle"), "{}", said(&refused));
    let keys = safe.to_str().unwrap();
    let one = mulot("restore", &["--commune", "aval", "--cle", keys], [&config, &backup]);
    assert_eq!(one.status.code(), Some(0), "{}", said(&one));
    assert!(data.join("aval/guichet.db").is_file() && !data.join("amont").exists());
    std::fs::remove_dir_all(&data).unwrap();
    // Without keys, then with the key of another commune: an order at fault, and what to give.
    let without = mulot("restore", &[], [&config, &backup]);
    let told = said(&without);
    assert!(without.status.code() == Some(1) && told.contains("--cle DOSSIER") && !told.contains("FICHIER"), "{told}");
    let wrong = root.path().join("faux");
    for (commune, key) in [("amont", "amont"), ("aval", "amont")] {
        std::fs::create_dir_all(wrong.join(commune)).unwrap();
        std::fs::copy(safe.join(key).join("cle"), wrong.join(commune).join("cle")).unwrap();
    }
    let refused = mulot("restore", &["--cle", wrong.to_str().unwrap()], [&config, &backup]);
    let told = said(&refused);
    assert!(refused.status.code() == Some(1) && told.contains("donnez la bonne clé : --cle DOSSIER"), "{told}");
    std::fs::remove_dir_all(&data).unwrap();
    let all = mulot("restore", &["--cle", keys], [&config, &backup]);
    assert_eq!(all.status.code(), Some(0), "{}", said(&all));
    for commune in ["amont", "aval"] {
        let store = beside(&data.join(commune));
        assert_eq!(store.reconcile(Timestamp::MIN, Timestamp::MAX).unwrap().accepted, 40, "{commune}");
    }
}

#[test]
fn a_damaged_copy_is_refused_with_a_sentence() {
    let (dir, away) = (folder(), tempfile::tempdir().unwrap());
    let backup = away.path().join("sauvegarde");
    assert_eq!(mulot("backup", &["--avec-la-cle"], [dir.path(), &backup]).status.code(), Some(0));
    let shelf = std::fs::read_dir(backup.join("pj")).unwrap().flatten().next().unwrap().path();
    let piece = std::fs::read_dir(shelf).unwrap().flatten().next().unwrap().path();
    let piece = piece.strip_prefix(&backup).unwrap().to_owned();
    let harm = |name: &Path, harm: &dyn Fn(&Path)| {
        let (copied, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(&backup, copied.path());
        harm(&copied.path().join(name));
        let output = mulot("restore", &[], [target.path(), copied.path()]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0, "nothing is left in the target");
        said(&output)
    };
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(path, bytes).unwrap();
    };
    for name in [Path::new("guichet.db"), Path::new("cle"), &piece] {
        let told = harm(name, &flip);
        assert!(told.contains("a changé depuis la sauvegarde"), "{told}");
        let told = harm(name, &|path| std::fs::remove_file(path).unwrap());
        assert!(told.contains("manque ou a changé") || told.contains("--cle FICHIER"), "{told}");
    }
    let told = harm(Path::new("manifeste.json"), &|path| std::fs::remove_file(path).unwrap());
    assert!(told.contains("n'est pas une sauvegarde"), "{told}");
    let told = harm(Path::new("manifeste.json"), &|path| std::fs::write(path, "{").unwrap());
    assert!(told.contains("n'est pas une sauvegarde"), "{told}");
}

#[test]
fn a_copy_inside_of_what_it_copies_is_refused_with_a_sentence() {
    let (dir, away) = (folder(), tempfile::tempdir().unwrap());
    let link = away.path().join("raccourci");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    for inside in [dir.path().join("sauvegarde"), dir.path().join("a/b"), link.join("sauvegarde")] {
        let output = mulot("backup", &[], [dir.path(), &inside]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("est dans le dossier de données"), "{}", said(&output));
        assert!(!inside.exists() && !dir.path().join("a").exists());
    }
    let absent = mulot("restore", &[], [&away.path().join("donnees"), away.path()]);
    assert!(said(&absent).contains("manifeste.json n'y est pas"), "{}", said(&absent));
}

#[test]
fn a_period_that_ends_before_it_begins_is_refused() {
    let dir = folder();
    let ask = |from: &str, until: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mulot"));
        let order = ["demandes", "reconcilier", "--du", from, "--au", until, "--guichet"];
        command.args(order).arg(dir.path()).output().unwrap()
    };
    let wrong = ask("2026-12-01", "2026-11-01");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(!said(&wrong).contains("Le compte") && said(&wrong).contains("avant de commencer"), "{}", said(&wrong));
    assert!(said(&ask("2026-11-01", "2026-11-01")).contains("Le compte est bon"), "one day is a period");
}

#[test]
fn nothing_is_ever_written_over() {
    let (dir, away) = (folder(), tempfile::tempdir().unwrap());
    let backup = away.path().join("sauvegarde");
    let store = beside(dir.path());
    let key = dir.path().join("cle");
    let files = FileStore::open(dir.path(), store.seal(), 0).unwrap();
    back_up((&store, &files), dir.path(), &backup, Some(&key), Timestamp::now()).unwrap();
    let again = back_up((&store, &files), dir.path(), &backup, Some(&key), Timestamp::now());
    assert!(matches!(again, Err(BackupError::NotEmpty { .. })), "{again:?}");
    let over = restore(&backup, dir.path(), (None, None), (None, None));
    assert!(matches!(over, Err(BackupError::NotEmpty { .. })), "{over:?}");
    let other = away.path().join("autre-cle");
    std::fs::write(&other, "11".repeat(32)).unwrap();
    let wrong = restore(&backup, &away.path().join("donnees"), (Some(other.as_path()), None), (None, None));
    assert!(matches!(&wrong, Err(BackupError::Store(StoreError::WrongKey { path })) if *path == other), "{wrong:?}");
    let elsewhere = away.path().join("secrets-cle");
    let restored =
        restore(&backup, &away.path().join("donnees"), (None, Some(elsewhere.as_path())), (None, None)).unwrap();
    assert_eq!(restored.counts.submissions, 40);
    assert!(elsewhere.is_file() && !away.path().join("donnees/cle").exists(), "the key goes where it belongs");
}

#[test]
fn what_was_lost_before_the_copy_is_told_and_the_rest_is_kept() {
    let (dir, away) = (folder(), tempfile::tempdir().unwrap());
    let shelf = std::fs::read_dir(dir.path().join("pj")).unwrap().flatten().next().unwrap().path();
    std::fs::remove_dir_all(shelf).unwrap();
    let (backup, target) = (away.path().join("sauvegarde"), away.path().join("donnees"));
    for output in
        [mulot("backup", &["--avec-la-cle"], [dir.path(), &backup]), mulot("restore", &[], [&target, &backup])]
    {
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("étaient déjà abîmées ou incomplètes"), "{}", said(&output));
    }
    assert_eq!(beside(&target).counts().unwrap().submissions, 40);
}
