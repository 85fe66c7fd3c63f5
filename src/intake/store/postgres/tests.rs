use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;

use jiff::{SignedDuration, Timestamp};

use super::super::testing::{fresh_base, postgres as real};
use super::super::{Access, Claimed, NewBulletin, Settlement, Store, StoreError, StoreOptions, Trace};
use super::Base;
use crate::intake::backup::{BackupError, back_up, restore};
use crate::intake::files::FileStore;
use crate::intake::sample::{file, mail, now, reference, submission};
use crate::intake::seal::Seal;
use crate::intake::token::Keys;
use crate::model::intake::{NewSubmission, Quota, Recorded};
use crate::model::mail::MailRole;

/// Several instances, each with a folder of its own, one schema and one key.
struct Fleet {
    root: tempfile::TempDir,
    base: Base,
}

impl Fleet {
    fn new() -> Fleet {
        Fleet { root: tempfile::tempdir().unwrap(), base: fresh_base() }
    }

    fn options(&self) -> StoreOptions {
        StoreOptions {
            base: Some(self.base.clone()),
            key_file: Some(self.root.path().join("cle")),
            min_free_bytes: 0,
            ..StoreOptions::default()
        }
    }

    fn open(&self, folder: &str) -> Store {
        Store::open(&self.root.path().join(folder), self.options()).unwrap()
    }

    fn three(&self) -> Vec<Store> {
        thread::scope(|scope| {
            let opened: Vec<_> = ["a", "b", "c"].map(|folder| scope.spawn(move || self.open(folder))).into();
            opened.into_iter().map(|store| store.join().unwrap()).collect()
        })
    }

    /// Ends every connection this schema has, as an operator or a crash of the server does.
    fn cut(&self) -> usize {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mulot'
             AND pid IN (SELECT pid FROM pg_locks JOIN pg_class ON pg_class.oid = relation
                         JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = '{0}')
             OR query LIKE '%{0}%' AND pid <> pg_backend_pid()",
            self.base.schema()
        );
        real::server().order(&sql).len()
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn claim(store: &Store, at: Timestamp) -> Claimed {
    wait(store.claim(at, SignedDuration::from_mins(10))).unwrap()
}

/// Claims and delivers until nothing is due; gives the rows.
fn deliver(store: &Store, at: Timestamp) -> Vec<i64> {
    let mut taken = Vec::new();
    while let Claimed::Mail(claim) = claim(store, at) {
        let trace = Trace { outcome: "delivered", ..Trace::default() };
        wait(store.settle(&claim, Settlement::Delivered, trace, at)).unwrap();
        taken.push(claim.id);
    }
    taken
}

#[test]
fn both_databases_have_the_same_tables_and_columns() {
    let fleet = Fleet::new();
    drop(fleet.open("a"));
    let sql = format!(
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = '{}'",
        fleet.base.schema()
    );
    let mut server: BTreeSet<String> = real::server().order(&sql).into_iter().collect();
    for own in ["mulot.version", "file.rowid", "boite.rowid", "outbox.holder"] {
        assert!(server.remove(own), "{own}");
    }
    let mut sqlite = rusqlite::Connection::open_in_memory().unwrap();
    super::super::upgrade::make(&mut sqlite, &Seal::from_master(&[7; 32]), 1).unwrap();
    let sql = "SELECT schema.name || '.' || info.name FROM sqlite_schema AS schema
               JOIN pragma_table_info(schema.name) AS info WHERE schema.type = 'table'";
    let mut select = sqlite.prepare(sql).unwrap();
    let file: BTreeSet<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(file, server);
    let tables: BTreeSet<&str> = file.iter().filter_map(|name| name.split('.').next()).collect();
    let copied: BTreeSet<&str> = super::export::TABLES.iter().map(|(table, _)| *table).chain(["seal"]).collect();
    assert_eq!(tables, copied, "a backup has them all");
}

#[test]
fn three_instances_start_together_on_nothing_and_share_all() {
    let fleet = Fleet::new();
    let stores = fleet.three();
    for (number, store) in (0..).zip(&stores) {
        assert!(store.record_blocking(submission(number)).unwrap().new);
    }
    for store in &stores {
        assert_eq!(store.counts().unwrap().submissions, 3);
        assert!(store.receipt(&reference(2)).unwrap().is_some());
        assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
        assert_eq!(store.damaged().unwrap(), Vec::new());
    }
    let strange = StoreOptions { key_file: Some(fleet.root.path().join("autre")), ..fleet.options() };
    let refused = Store::open(&fleet.root.path().join("d"), strange).err().unwrap();
    assert!(matches!(refused, StoreError::Key(_)), "a key is never made for what is there: {refused}");
}

#[test]
fn one_confirmation_gives_one_reference_whatever_instance_takes_it() {
    let fleet = Fleet::new();
    let stores = fleet.three();
    let answers: Vec<Recorded> = thread::scope(|scope| {
        let press = |press: u32| {
            let store = &stores[press as usize % 3];
            let (again, first) = (reference(1000 + press), submission(1));
            let mails = submission(1000 + press).mails;
            let quota = press.is_multiple_of(2).then_some(Quota { limit: 1, since: Timestamp::MIN });
            store.record_blocking(NewSubmission { reference: again, mails, quota, ..first }).unwrap()
        };
        let presses: Vec<_> = (0..24).map(|number| scope.spawn(move || press(number))).collect();
        presses.into_iter().map(|press| press.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.new).count(), 1);
    assert!(answers.windows(2).all(|pair| pair[0].reference == pair[1].reference));
    assert_eq!(stores[0].counts().unwrap().submissions, 1);
}

#[test]
fn the_last_place_is_given_once() {
    let fleet = Fleet::new();
    let stores = fleet.three();
    let taken = thread::scope(|scope| {
        let ask = |number: u32| {
            let quota = Some(Quota { limit: 5, since: Timestamp::MIN });
            match stores[number as usize % 3].record_blocking(NewSubmission { quota, ..submission(number) }) {
                Ok(recorded) => usize::from(recorded.new),
                Err(StoreError::NoPlace) => 0,
                Err(error) => panic!("{error}"),
            }
        };
        let asks: Vec<_> = (0..30).map(|number| scope.spawn(move || ask(number))).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).sum::<usize>()
    });
    assert_eq!(taken, 5);
}

#[test]
fn each_mail_is_taken_by_one_instance() {
    let fleet = Fleet::new();
    let stores = fleet.three();
    for number in 0..30 {
        stores[0].record_blocking(submission(number)).unwrap();
    }
    let taken: Vec<i64> = thread::scope(|scope| {
        let takers: Vec<_> = stores.iter().map(|store| scope.spawn(|| deliver(store, now()))).collect();
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
    });
    assert_eq!((taken.len(), taken.iter().collect::<BTreeSet<_>>().len()), (60, 60));
    let sums = stores[1].reconcile(Timestamp::MIN, Timestamp::MAX).unwrap();
    assert!(sums.is_balanced() && sums.delivered == 30, "{sums:?}");
}

#[test]
fn the_hour_is_shared_by_all_instances() {
    let fleet = Fleet::new();
    let options = || StoreOptions { per_hour: Some(7), ..fleet.options() };
    let stores = ["a", "b", "c"].map(|folder| Store::open(&fleet.root.path().join(folder), options()).unwrap());
    for number in 0..10 {
        stores[0].record_blocking(submission(number)).unwrap();
    }
    let taken: usize = thread::scope(|scope| {
        let takers: Vec<_> = stores.iter().map(|store| scope.spawn(|| deliver(store, now()).len())).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    // Who was refused because others had theirs in hand comes back later.
    let rest: usize = stores.iter().map(|store| deliver(store, now()).len()).sum();
    assert_eq!(taken + rest, 7);
}

#[test]
fn an_instance_that_lives_keeps_what_it_holds_and_a_dead_one_does_not() {
    let fleet = Fleet::new();
    let first = fleet.open("a");
    first.record_blocking(submission(1)).unwrap();
    let Claimed::Mail(held) = claim(&first, now()) else { panic!("nothing due") };
    let second = fleet.open("a");
    let elsewhere = fleet.open("b");
    assert_eq!(elsewhere.counts().unwrap().sending, 1, "it lives");
    drop(first);
    drop(elsewhere);
    let elsewhere = fleet.open("b");
    assert_eq!(elsewhere.counts().unwrap().sending, 1, "another folder proves nothing: the lease does");
    let third = fleet.open("a");
    assert_eq!(third.counts().unwrap().sending, 0, "its place was free: it is dead");
    drop(second);
    let Claimed::Mail(_) = claim(&third, held.lease_until) else { panic!("it is due again") };
}

#[test]
fn what_one_instance_commits_wakes_the_others() {
    let fleet = Fleet::new();
    let stores = fleet.three();
    let wake = stores[2].wake();
    wait(wake.notified());
    // The first one was the connection's own.
    assert!(matches!(claim(&stores[2], now()), Claimed::Nothing { .. }));
    stores[0].record_blocking(submission(1)).unwrap();
    wait(async { tokio::time::timeout(std::time::Duration::from_secs(20), wake.notified()).await }).unwrap();
    assert!(matches!(claim(&stores[2], now()), Claimed::Mail(_)));
}

#[test]
fn a_morning_is_looked_at_by_one_instance() {
    let fleet = Fleet::new();
    let stores = fleet.three();
    stores[0].record_blocking(submission(1)).unwrap();
    let day = "2026-07-13".parse().unwrap();
    let written: usize = thread::scope(|scope| {
        let write = |store: &Store| {
            let mut digest = mail(&reference(1), MailRole::Mairie, "mairie@saint-mulot.fr");
            digest.message_id = "bulletin.2026-07-13@saint-mulot.fr".into();
            let new = NewBulletin { day, mails: vec![(reference(1), digest)] };
            usize::from(wait(store.bulletin(new, now())).unwrap())
        };
        let writers: Vec<_> = stores.iter().map(|store| scope.spawn(move || write(store))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!((written, stores[0].counts().unwrap().waiting), (1, 3));
}

#[test]
fn a_turn_is_of_one_instance_until_it_ends() {
    let fleet = Fleet::new();
    let (one, two) = (fleet.open("a"), fleet.open("b"));
    wait(async {
        let turn = one.turn("codes").await.unwrap();
        assert!(turn.is_some() && two.turn("codes").await.unwrap().is_none());
        assert!(two.turn("notices").await.unwrap().is_some(), "of something else");
        drop(turn);
        let since = std::time::Instant::now();
        // The server learns of the end when it reads that the connection is closed.
        while two.turn("codes").await.unwrap().is_none() {
            assert!(since.elapsed().as_secs() < 20, "it never ends");
        }
    });
}

#[test]
fn connections_are_cut_again_and_again_and_all_that_was_acknowledged_is_there() {
    let fleet = Fleet::new();
    let stores = fleet.three();
    let (next, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let acknowledged: BTreeMap<u32, Recorded> = thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|client| {
                let (stores, next, refused) = (&stores, &next, &refused);
                scope.spawn(move || {
                    let mut done = BTreeMap::new();
                    for turn in 0..40 {
                        let number = next.fetch_add(1, Ordering::Relaxed) as u32;
                        // As a resident does: again, until there is an answer.
                        let recorded = loop {
                            match stores[(client + turn) % 3].record_blocking(submission(number)) {
                                Ok(recorded) => break recorded,
                                Err(StoreError::Unreachable { .. }) => refused.fetch_add(1, Ordering::Relaxed),
                                Err(error) => panic!("{error}"),
                            };
                        };
                        done.insert(number, recorded);
                    }
                    done
                })
            })
            .collect();
        let cutting = scope.spawn(|| {
            let mut cuts = 0;
            while next.load(Ordering::Relaxed) < 220 {
                cuts += fleet.cut();
            }
            cuts
        });
        let done = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        let cuts = cutting.join().unwrap();
        println!("{cuts} connections cut, {} answers were errors", refused.load(Ordering::Relaxed));
        assert!(cuts > 3);
        done
    });
    assert_eq!(acknowledged.len(), 240);
    let counts = stores[0].counts().unwrap();
    assert_eq!((counts.submissions, counts.waiting), (240, 480), "nothing twice, nothing half");
    for (number, recorded) in acknowledged {
        assert_eq!(stores[0].recorded(&submission(number).nonce).unwrap().unwrap().reference, recorded.reference);
    }
}

/// What the way to the server does with the next commit.
const LET_GO: u8 = 0;
const CUT_BEFORE: u8 = 1;
const CUT_AFTER: u8 = 2;

/// A way to the real server that can be cut around a commit.
struct Road {
    port: u16,
    next: Arc<AtomicU8>,
}

impl Road {
    fn new() -> Road {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let road = Road { port: listener.local_addr().unwrap().port(), next: Arc::default() };
        let next = road.next.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (next, server) = (next.clone(), real::server().connect());
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || carry_back(back));
                thread::spawn(move || carry(client, server, &next));
            }
        });
        road
    }

    fn base(&self, schema: &str) -> Base {
        Base::new(&format!("postgresql://mulot@127.0.0.1:{}/postgres", self.port), None, schema, None).unwrap()
    }
}

fn carry_back((mut server, mut client): (UnixStream, TcpStream)) {
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

fn carry(mut client: TcpStream, mut server: UnixStream, next: &AtomicU8) {
    let mut bytes = [0; 64 << 10];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let is_commit = bytes[..length].windows(6).any(|word| word == b"COMMIT");
        let cut = if is_commit { next.swap(LET_GO, Ordering::SeqCst) } else { LET_GO };
        if cut == CUT_AFTER {
            // The server gets the order, its answer gets nowhere.
            let _ = client.shutdown(Shutdown::Both);
        }
        if cut == CUT_BEFORE || server.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Write);
}

#[test]
fn a_commit_whose_answer_is_lost_is_looked_up_and_never_guessed() {
    let (fleet, road) = (Fleet::new(), Road::new());
    let direct = fleet.open("a");
    let options = StoreOptions { base: Some(road.base(fleet.base.schema())), ..fleet.options() };
    let store = Store::open(&fleet.root.path().join("b"), options).unwrap();
    for (number, cut) in [(1, CUT_AFTER), (2, CUT_BEFORE), (3, CUT_AFTER), (4, LET_GO)] {
        road.next.store(cut, Ordering::SeqCst);
        let recorded = store.record_blocking(submission(number)).unwrap();
        assert!(recorded.new, "{number}: it was stored by this order, and once");
        assert!(direct.recorded(&submission(number).nonce).unwrap().is_some(), "{number}");
        assert_eq!(road.next.load(Ordering::SeqCst), LET_GO, "the way was cut");
    }
    assert_eq!(direct.counts().unwrap().submissions, 4);
    // A claim is no exception: what is taken is known to be taken, not left to its lease.
    road.next.store(CUT_AFTER, Ordering::SeqCst);
    let Claimed::Mail(claimed) = claim(&store, now()) else { panic!("nothing due") };
    assert_eq!(direct.counts().unwrap().sending, 1);
    road.next.store(CUT_BEFORE, Ordering::SeqCst);
    wait(store.settle(&claimed, Settlement::Delivered, Trace { outcome: "delivered", ..Trace::default() }, now()))
        .unwrap();
    assert_eq!(direct.counts().unwrap().delivered, 1);
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_name_and_no_password() {
    let fleet = Fleet::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgresql://mulot@127.0.0.1:{port}/mairie");
    let base = Base::new(&url, Some("chut".into()), "guichet", None).unwrap();
    let options = StoreOptions { base: Some(base), ..fleet.options() };
    let error = Store::open(&fleet.root.path().join("a"), options).err().unwrap();
    assert!(matches!(&error, StoreError::Unreachable { base, .. } if *base == url), "{error}");
    assert!(!format!("{error:?} {error}").contains("chut"));
    let nobody = real::server().url().replace("mulot@", "personne@");
    let options = StoreOptions { base: Some(Base::new(&nobody, None, "x", None).unwrap()), ..fleet.options() };
    let error = Store::open(&fleet.root.path().join("a"), options).err().unwrap();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
}

#[test]
fn a_schema_that_is_not_ours_or_too_new_is_left_alone() {
    let fleet = Fleet::new();
    let beside = StoreOptions { access: Access::Beside, ..fleet.options() };
    let absent = Store::open(&fleet.root.path().join("a"), beside).err().unwrap();
    assert!(matches!(absent, StoreError::Absent { .. }), "{absent}");
    let schema = fleet.base.schema();
    real::server().order(&format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.recette (nom TEXT)"));
    let foreign = Store::open(&fleet.root.path().join("a"), fleet.options()).err().unwrap();
    assert!(matches!(foreign, StoreError::Foreign { .. }), "{foreign}");
    let fleet = Fleet::new();
    drop(fleet.open("a"));
    real::server().order(&format!("UPDATE {}.mulot SET version = 99", fleet.base.schema()));
    let newer = Store::open(&fleet.root.path().join("a"), fleet.options()).err().unwrap();
    assert!(matches!(newer, StoreError::Newer { found: 99, .. }), "{newer}");
}

#[test]
fn a_schema_of_an_earlier_version_is_upgraded_with_what_it_holds() {
    let fleet = Fleet::new();
    let keys = Keys::read_or_make(&fleet.root.path().join("cle")).unwrap();
    let mark = data_encoding::HEXLOWER.encode(&keys.seal().mark());
    real::server().order(&format!(
        "CREATE SCHEMA {schema}; SET search_path TO {schema}; {first}
         INSERT INTO seal (id, mark, swept) VALUES (1, '\\x{mark}', 1);
         INSERT INTO bulletin (day, mails) VALUES ('2026-11-26', 3)",
        schema = fleet.base.schema(),
        first = include_str!("../../migrations/postgres/0005.sql"),
    ));
    let format = || super::format(&fleet.base).map(|format| (format.found, format.known)).unwrap();
    let known = super::super::upgrade::SCHEMA;
    assert_eq!(format(), (5, known));
    let stores = fleet.three();
    assert_eq!(format(), (known, known));
    assert!(stores[0].record_blocking(submission(1)).unwrap().new);
    assert_eq!(stores[1].to_erase().unwrap(), Vec::<String>::new());
    let kept = real::server().order(&format!("SELECT mails FROM {}.bulletin", fleet.base.schema()));
    assert_eq!(kept, ["3"]);
}

#[test]
fn a_backup_goes_from_a_file_to_a_server_and_back() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let alone = || StoreOptions { min_free_bytes: 0, ..StoreOptions::default() };
    let store = Store::open(&at("fichier"), alone()).unwrap();
    for number in 0..4 {
        store.record_blocking(submission(number)).unwrap();
    }
    store.record_blocking(NewSubmission { files: vec![file('a')], ..submission(4) }).unwrap();
    store.know_mailboxes(["a@x.fr".to_owned(), "b@x.fr".to_owned()].into(), BTreeSet::new(), now()).unwrap();
    deliver(&store, now());
    store.record_blocking(submission(5)).unwrap();
    store.erase(&reference(4), now()).unwrap();
    let key = store.key_file().to_owned();
    let said = |store: &Store| {
        let details: Vec<_> = (0..6).map(|number| store.detail(&reference(number), true).unwrap()).collect();
        let all = (store.counts().unwrap(), store.mailboxes().unwrap(), details, store.to_erase().unwrap());
        format!("{all:?}")
    };
    assert_eq!(store.to_erase().unwrap(), [file('a').id]);
    let expected = said(&store);
    back_up(
        (&store, &FileStore::open(&at("fichier"), store.seal(), 0).unwrap()),
        &at("fichier"),
        &at("copie-1"),
        Some(&key),
        now(),
    )
    .unwrap();
    drop(store);

    let base = fresh_base();
    restore(&at("copie-1"), &at("serveur"), (None, None), (Some(&base), None)).unwrap();
    let twice = restore(&at("copie-1"), &at("encore"), (None, None), (Some(&base), None));
    assert!(matches!(twice, Err(BackupError::NotEmpty { .. })), "nothing is written over: {twice:?}");
    assert_eq!(std::fs::read_dir(at("encore")).unwrap().count(), 0, "and it can be tried again elsewhere");
    let store = Store::open(&at("serveur"), StoreOptions { base: Some(base), ..alone() }).unwrap();
    assert_eq!(said(&store), expected);
    assert!(store.record_blocking(submission(6)).unwrap().new, "numbers go on");
    assert_eq!(deliver(&store, now()).len(), 4);
    store.erase(&reference(6), now()).unwrap();
    let expected = said(&store);
    back_up(
        (&store, &FileStore::open(&at("serveur"), store.seal(), 0).unwrap()),
        &at("serveur"),
        &at("copie-2"),
        Some(&at("serveur/cle")),
        now(),
    )
    .unwrap();
    drop(store);

    restore(&at("copie-2"), &at("retour"), (None, None), (None, None)).unwrap();
    let store = Store::open(&at("retour"), alone()).unwrap();
    assert_eq!(said(&store), expected);
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    assert_eq!(store.damaged().unwrap(), Vec::new());
}

/// Prints how many submissions a server takes: `cargo test --release --lib probe -- --ignored --nocapture`.
#[test]
#[ignore = "a measure, not a test"]
fn probe_of_the_server() {
    let fleet = Fleet::new();
    let store = fleet.open("a");
    let (second, next) = (std::time::Duration::from_secs(3), AtomicUsize::new(0));
    for clients in [1, 16, 64, 256] {
        let (commits, orders) = store.commits_and_orders();
        let start = std::time::Instant::now();
        thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    while start.elapsed() < second {
                        let _ = store.record_blocking(submission(next.fetch_add(1, Ordering::Relaxed) as u32));
                    }
                });
            }
        });
        let (elapsed, (after, done)) = (start.elapsed().as_secs_f64(), store.commits_and_orders());
        let rate = |count: u64| count as f64 / elapsed;
        println!("{clients} clients: {:.0} submissions/s, {:.0} commits/s", rate(done - orders), rate(after - commits));
    }
}
