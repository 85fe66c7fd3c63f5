//! Bits flip: what has changed is never delivered as if it had not, and a person is told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{Timestamp, Zoned};
use mulot::intake::deliver::{Step, step};
use mulot::intake::files::{FileStore, UploadLimits};
use mulot::intake::mailer::{Letterbox, Mailer, Transport};
use mulot::intake::store::{Store, StoreError};
use mulot::model::form::FileFormat;
use mulot::model::intake::NewSubmission;
use mulot::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use mulot::model::reference::Reference;
use mulot::model::submission::{Answer, AnswerValue, Sender, StoredFile};

use crate::upgrade::{copy, options};

/// Recipient and bytes of a letter.
type Letters = BTreeSet<(String, Vec<u8>)>;

pub(crate) fn noon() -> Zoned {
    "2026-07-12T12:00:00+02:00[Europe/Paris]".parse().unwrap()
}

pub(crate) fn reference(number: u32) -> Reference {
    let bytes = number.to_be_bytes();
    Reference::new(2026, [9, bytes[0], bytes[1], bytes[2], bytes[3]])
}

pub(crate) fn submission(number: u32, stored: Vec<StoredFile>) -> NewSubmission {
    let reference = reference(number);
    let mail = |role: MailRole, to: &str| Mail {
        role,
        from: Mailbox { name: "Mairie de Saint-Mulot".into(), email: "guichet@saint-mulot.fr".into() },
        to: vec![to.into()],
        reply_to: None,
        subject: format!("[Saisir la mairie] réf. {reference}"),
        text: format!("Un lampadaire est éteint rue du Puits-Perdu, demande {number}\n").repeat(100),
        html: "<html><body><p>Un lampadaire est éteint</p></body></html>".into(),
        message_id: format!("{}.{}@saint-mulot.fr", reference.as_str().to_lowercase(), role.as_str()),
        date: noon().to_string(),
        auto_submitted: AutoSubmitted::Generated,
        in_reply_to: None,
        attachments: if role == MailRole::Mairie { stored.clone() } else { Vec::new() },
        json: None,
        sheets: Vec::new(),
    };
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    NewSubmission {
        mails: vec![mail(MailRole::Mairie, "mairie@saint-mulot.fr"), mail(MailRole::Usager, "zoe.lampion@example.fr")],
        nonce,
        form_id: "saisir-la-mairie".into(),
        form_title: "Saisir la mairie".into(),
        received_at: noon(),
        answers: vec![Answer {
            field: "message".into(),
            step: None,
            question: "Votre demande".into(),
            value: AnswerValue::Text("Un lampadaire est éteint rue du Puits-Perdu".into()),
        }],
        sender: Sender { name: "Zoé Lampion".into(), email: Some("zoe.lampion@example.fr".into()) },
        files: stored,
        receipt: serde_json::json!({ "pour": "Zoé Lampion" }),
        purge_after: "2027-07-12".parse().unwrap(),
        quota: None,
        recipients_backup: vec!["secours@saint-mulot.fr".into()],
        reference,
    }
}

pub(crate) fn upload(files: &FileStore, number: u32) -> StoredFile {
    let limits = UploadLimits { max_bytes: 1 << 20, formats: vec![FileFormat::Pdf] };
    let mut upload = files.begin("Plan de Lampion.pdf", limits).unwrap();
    upload.write(format!("%PDF-1.7 {number} ").repeat(3000).as_bytes()).unwrap();
    let file = upload.finish().unwrap();
    files.accept(std::slice::from_ref(&file)).unwrap();
    file
}

/// Three requests that wait, each with a file.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let files = FileStore::open(dir.path(), store.seal(), 0).unwrap();
    for number in 1..=3 {
        store.record_blocking(submission(number, vec![upload(&files, number)])).unwrap();
    }
    dir
}

/// What is delivered from a folder, and whether a person is told of something.
async fn delivered(dir: &Path) -> Result<(Letters, bool), StoreError> {
    let store = Store::open(dir, options())?;
    let files = FileStore::open(dir, store.seal(), 0)?;
    let letters = Letterbox::default();
    let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
    let mut now: Timestamp = noon().timestamp();
    // A clock that jumps far: a damaged date must not stop this test.
    for _ in 0..100 {
        match step(&store, &mailer, &files, now).await? {
            Step::Idle { next_at: Some(at) } => now = at,
            Step::Idle { next_at: None } => break,
            _ => {}
        }
    }
    let told = store.counts()?.failed > 0 || !store.damaged()?.is_empty() || !store.integrity()?.is_empty();
    Ok((letters.taken().into_iter().map(|letter| (letter.to, letter.bytes.to_vec())).collect(), told))
}

/// All letters as they should be; those to the mairie also without their file, which says so in its words.
async fn expected(dir: &Path) -> Letters {
    let (mut whole, told) = delivered(dir).await.unwrap();
    assert!(!told && whole.len() == 6, "{} letters", whole.len());
    let bare = tempfile::tempdir().unwrap();
    copy(dir, bare.path());
    std::fs::remove_dir_all(bare.path().join("pj")).unwrap();
    let store = Store::open(bare.path(), options()).unwrap();
    for number in 1..=3 {
        store.resend(&reference(number), None, true, noon().timestamp()).unwrap();
    }
    drop(store);
    let (without, _) = delivered(bare.path()).await.unwrap();
    let note = "Fichiers qui n'ont pas pu".as_bytes();
    let noted = without.difference(&whole).filter(|(_, bytes)| bytes.windows(note.len()).any(|part| part == note));
    assert_eq!(noted.count(), 3);
    whole.extend(without);
    whole
}

fn flip(path: &Path, at: usize, bit: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1 << bit;
    std::fs::write(path, bytes).unwrap();
}

/// Numbers that look random, the same each time.
fn chances() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    }
}

#[tokio::test]
async fn a_bit_flipped_anywhere_in_the_database_delivers_nothing_else() {
    let pristine = folder();
    let whole = {
        let dir = tempfile::tempdir().unwrap();
        copy(pristine.path(), dir.path());
        expected(dir.path()).await
    };
    let size = std::fs::metadata(pristine.path().join("guichet.db")).unwrap().len() as usize;
    let mut below = chances();
    let (mut refused, mut told_of) = (0, 0);
    for turn in 0..120 {
        let dir = tempfile::tempdir().unwrap();
        copy(pristine.path(), dir.path());
        // One in six in the header, a hundred bytes that chance alone would miss.
        let (at, bit) = (below(if turn % 6 == 0 { 100 } else { size }), below(8));
        flip(&dir.path().join("guichet.db"), at, bit);
        match delivered(dir.path()).await {
            Ok((letters, told)) => {
                assert!(letters.is_subset(&whole), "bit {bit} of byte {at} was delivered");
                told_of += u32::from(told);
            }
            Err(_) => refused += 1,
        }
    }
    println!("of 120 bits, {refused} stopped the store and {told_of} were told");
    assert!(refused > 0 && told_of > 0);
}

#[tokio::test]
async fn a_bit_flipped_in_a_sealed_value_is_told_and_its_mail_stays() {
    let pristine = folder();
    let path = pristine.path().join("guichet.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    let mut select = database.prepare("SELECT mail FROM mail UNION ALL SELECT recipient FROM outbox").unwrap();
    let values: Vec<Vec<u8>> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(select);
    drop(database);
    let disk = std::fs::read(&path).unwrap();
    let mut below = chances();
    for value in &values {
        let found = disk.windows(32).position(|window| window == &value[..32]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        copy(pristine.path(), dir.path());
        flip(&dir.path().join("guichet.db"), found + below(32), below(8));
        let state = Command::new(env!("CARGO_BIN_EXE_mulot")).args(["demandes", "--guichet"]).arg(dir.path()).output();
        let state = state.unwrap();
        assert_eq!(state.status.code(), Some(1), "{state:?}");
        assert!(String::from_utf8_lossy(&state.stdout).contains("abîmé"), "{state:?}");
        let (letters, told) = delivered(dir.path()).await.unwrap();
        assert!(told && letters.len() < 6, "{} letters", letters.len());
    }
}

#[tokio::test]
async fn a_bit_flipped_in_a_file_is_told_and_the_file_stays() {
    let pristine = folder();
    let whole = {
        let dir = tempfile::tempdir().unwrap();
        copy(pristine.path(), dir.path());
        expected(dir.path()).await
    };
    let mut below = chances();
    for _ in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        copy(pristine.path(), dir.path());
        let file = one_file(&dir.path().join("pj"));
        let size = std::fs::metadata(&file).unwrap().len() as usize;
        flip(&file, below(size), below(8));
        let (state, out) = demandes(dir.path(), &["etat"]);
        assert_eq!((state, out.contains("fichier abîmé")), (Some(1), true), "{out}");
        let (state, _) = demandes(dir.path(), &["reconcilier"]);
        assert_eq!(state, Some(1));
        let (letters, _) = delivered(dir.path()).await.unwrap();
        assert!(letters.is_subset(&whole), "the damaged file was delivered");
        assert_eq!(letters.len(), 6, "the words leave all the same, and say that the file does not");
    }
}

#[test]
fn a_lost_file_is_told_and_the_sums_are_refused() {
    let dir = folder();
    assert_eq!(demandes(dir.path(), &["reconcilier"]).0, Some(0));
    std::fs::remove_file(one_file(&dir.path().join("pj"))).unwrap();
    let (state, out) = demandes(dir.path(), &["etat", "--rapide"]);
    assert_eq!((state, out.contains("fichier perdu")), (Some(1), true), "{out}");
    let (state, out) = demandes(dir.path(), &["reconcilier"]);
    assert_eq!((state, out.contains("fichier perdu")), (Some(1), true), "{out}");
}

#[test]
fn the_sums_are_printed_for_a_period_and_refused_when_a_row_is_lost() {
    let dir = folder();
    let (state, out) = demandes(dir.path(), &["reconcilier", "--du", "2026-07-12", "--au", "2026-07-12"]);
    assert_eq!(state, Some(0), "{out}");
    for line in ["Acceptées   3", "Remises     0", "En attente  3", "En échec    0"] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    let (_, out) = demandes(dir.path(), &["reconcilier", "--du", "2026-07-13"]);
    assert!(out.contains("Acceptées   0"), "{out}");
    let database = rusqlite::Connection::open(dir.path().join("guichet.db")).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM outbox WHERE id = 1").unwrap();
    drop(database);
    assert_eq!(demandes(dir.path(), &["reconcilier"]).0, Some(1));
    let database = rusqlite::Connection::open(dir.path().join("guichet.db")).unwrap();
    database.execute_batch("UPDATE outbox SET state = 'remis' WHERE id = 3").unwrap();
    drop(database);
    let (state, out) = demandes(dir.path(), &["reconcilier"]);
    assert!(state == Some(1) && out.contains("sans preuve de remise"), "{out}");
}

pub(crate) fn demandes(dir: &Path, order: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mulot"));
    let output = command.arg("demandes").args(order).arg("--guichet").arg(dir).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn one_file(dir: &Path) -> PathBuf {
    let shelf = std::fs::read_dir(dir).unwrap().flatten().next().unwrap().path();
    std::fs::read_dir(shelf).unwrap().flatten().next().unwrap().path()
}
