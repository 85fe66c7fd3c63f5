use super::*;
use crate::intake::sample::{mail, noon, reference, submission};
use crate::intake::store::testing::{self, options};
use crate::intake::store::{Access, StoreOptions, open};
use crate::model::dossier::{ActKind, Agent};

fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path(), options()).unwrap()
}

fn written(kind: ActKind) -> Act {
    let agent = Agent { first_name: "Claire".into(), last_name: "Denis".into(), title: "secrétaire".into() };
    Act { at: noon(), agent: Some(agent), kind, letter: vec!["Une lettre pour Zoé Lampion".into()] }
}

fn new(number: u32, version: usize, kind: ActKind) -> NewAct {
    let mut mail = mail(&reference(number), MailRole::Usager, "zoe.lampion@example.fr");
    mail.message_id = format!("{version}.{}", mail.message_id);
    NewAct { version, act: written(kind), mails: vec![mail] }
}

#[tokio::test]
async fn an_act_is_kept_with_its_mails_or_not_at_all() {
    testing::every_backend_async(async || {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        store.record(submission(1)).await.unwrap();
        assert_eq!(store.act(&reference(1), new(1, 0, ActKind::PriseEnCharge)).await.unwrap(), Acted::Done(1));
        assert_eq!(store.act(&reference(1), new(1, 0, ActKind::Refus)).await.unwrap(), Acted::Stale, "somebody acted");
        assert_eq!(
            store.act(&reference(2), new(2, 0, ActKind::Refus)).await.unwrap(),
            Acted::Stale,
            "nothing of that name"
        );
        // A Message-ID that is taken: neither the act nor its mail.
        let mut twice = new(1, 1, ActKind::Acceptation);
        twice.mails[0].message_id = new(1, 0, ActKind::Refus).mails[0].message_id.clone();
        assert!(store.act(&reference(1), twice).await.is_err());
        let kept = store.kept(&reference(1)).unwrap().unwrap();
        assert_eq!(kept.acts, [written(ActKind::PriseEnCharge)]);
        assert_eq!(kept.request.unwrap().to, ["mairie@saint-mulot.fr"]);
        assert_eq!(store.counts().unwrap().waiting, 3);
        drop(store);
        let again = Store::open(dir.path(), options()).unwrap();
        assert_eq!(again.kept(&reference(1)).unwrap().unwrap().acts.len(), 1, "it survives");
    })
    .await;
}

#[tokio::test]
async fn of_many_who_act_at_once_one_does() {
    testing::every_backend_async(async || {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        store.record(submission(1)).await.unwrap();
        let acts: Vec<_> = (0..16)
            .map(|_| {
                let (store, act) = (store.clone(), NewAct { mails: Vec::new(), ..new(1, 0, ActKind::Cloture) });
                tokio::spawn(async move { store.act(&reference(1), act).await.unwrap() })
            })
            .collect();
        let mut done = 0;
        for act in acts {
            done += usize::from(act.await.unwrap() == Acted::Done(1));
        }
        assert_eq!(done, 1);
    })
    .await;
}

#[tokio::test]
async fn the_purge_takes_letters_and_added_files_from_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    store.record(submission(1)).await.unwrap();
    let file = StoredFile {
        id: "a".repeat(32),
        name: "plan de Zoé.pdf".into(),
        media_type: "application/pdf".into(),
        size: 1,
        hash: "0".repeat(64),
        cautions: Vec::new(),
    };
    let kind = ActKind::Complement { text: "Canari complément".into(), files: vec![file.clone()] };
    store.act(&reference(1), new(1, 0, kind)).await.unwrap();
    assert!(store.knows_file(&file.id).unwrap());
    let (erasing, at) = (store.clone(), noon().timestamp());
    let report = std::thread::spawn(move || erasing.erase(&reference(1), at).unwrap()).join().unwrap();
    assert_eq!(report.files, [file.id]);
    assert!(report.truncated);
    let kept = store.kept(&reference(1)).unwrap().unwrap();
    assert!(kept.acts.is_empty() && kept.request.is_none() && kept.receipt.is_null());
    assert_eq!(store.act(&reference(1), new(1, 1, ActKind::Cloture)).await.unwrap(), Acted::Stale, "it is erased");
    drop(store);
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        for word in ["Canari", "Lampion", "plan de Zo"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} in {entry:?}");
        }
    }
}

#[test]
fn a_database_of_the_first_schema_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    // As the first version left it: its tables, one request, its number.
    let connection = rusqlite::Connection::open(dir.path().join(open::FILE)).unwrap();
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;").unwrap();
    connection.execute_batch(include_str!("../../migrations/0001_guichet.sql")).unwrap();
    let old = submission(1);
    connection
        .execute(
            "INSERT INTO submission (reference, nonce, form_id, form_title, received_at, received_ms, purge_after, sender,
                                     receipt, backup)
             VALUES (?1, ?2, 'saisir', 'Saisir', ?3, 0, '2027-07-12', '{\"name\":\"\",\"email\":null}', '{}', '[]')",
            rusqlite::params![old.reference.as_str(), old.nonce.as_slice(), noon().to_string()],
        )
        .unwrap();
    connection.pragma_update(None, "application_id", 0x4d75_6c74).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);
    let store = Store::open(dir.path(), options()).unwrap();
    let kept = store.kept(&reference(1)).unwrap().unwrap();
    assert_eq!((kept.form_title.as_str(), kept.acts.len()), ("Saisir", 0));
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    drop(store);
    Store::open(dir.path(), StoreOptions { access: Access::Beside, ..options() }).unwrap();
}
