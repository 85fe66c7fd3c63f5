//! Several guichets over one PostgreSQL: the real program three times, a real server, requests from all sides, and failures.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

#[allow(dead_code, reason = "only the numbers are wanted here")]
#[path = "../support/chance.rs"]
mod chance;
#[allow(dead_code, reason = "the harness is shared with the other binaries")]
#[path = "../suite/commune_test.rs"]
mod commune_test;
#[allow(dead_code, reason = "the same")]
#[path = "../support/http.rs"]
mod http;
mod letters;
#[path = "../support/postgres.rs"]
mod postgres;
mod refusals;
#[allow(dead_code, reason = "not every trick of the server is wanted here")]
#[path = "../support/s3.rs"]
mod s3;
mod seau;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::commune_test::CommuneTest;
use crate::http::{Client, contact, hidden_inputs};
use crate::letters::Letters;

/// A commune, three configurations of its guichet with a folder each, one key, one schema.
struct Fleet {
    test: CommuneTest,
    server: &'static postgres::Server,
    schema: String,
    letters: Letters,
    /// Where each instance answers, while it does.
    addresses: [Mutex<Option<SocketAddr>>; 3],
}

impl Fleet {
    fn new(server: &'static postgres::Server) -> Fleet {
        Fleet::with(server, "")
    }

    /// The same with more tables in each configuration.
    fn with(server: &'static postgres::Server, more: &str) -> Fleet {
        let (test, schema, letters) = (CommuneTest::minimal(), postgres::schema(), Letters::start());
        std::fs::create_dir(test.root().join("site")).unwrap();
        for number in 0..3 {
            let config = format!(
                "confirmer_destinataires = false\ndossier = \"commune\"\ndonnees = \"donnees-{number}\"\nsite = \"site\"\n\
                 cle_fichier = \"cle\"\necoute = \"127.0.0.1:0\"\nbase = \"{}\"\nbase_schema = \"{schema}\"\n\n\
                 [courriel]\ntransport = \"smtp\"\nserveur = \"127.0.0.1\"\nport = {}\nchiffrement = \"aucun\"\n\n\
                 [limites]\nenvois_par_adresse = 10000\nenvois_par_heure = 1000000\n\
                 envois_par_formulaire = 100000\nenvois_par_courriel = 10000\nreserve_mo = 16\n\n{more}",
                server.url(),
                letters.port
            );
            std::fs::write(test.root().join(Fleet::config(number)), config).unwrap();
        }
        Fleet { test, server, schema, letters, addresses: Default::default() }
    }

    fn config(number: usize) -> String {
        format!("guichet-{number}.toml")
    }

    /// Starts an instance; ready when it says its address.
    fn start(&self, number: usize) -> Running<'_> {
        let mut command = self.test.command(&["guichet", &Fleet::config(number)]);
        let mut child = command.env("MULOT_JOURNAL", "error").stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            let address =
                line.strip_prefix("Guichet ouvert sur ").and_then(|rest| rest.split(' ').next()?.parse().ok());
            told.push_str(&line);
            if address.is_some() {
                *self.addresses[number].lock().unwrap() = address;
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("{line}")));
                return Running { fleet: self, number, child };
            }
        }
        panic!("{:?} {told}", child.wait());
    }

    /// A connection to an instance that answers, as a balancer gives it.
    fn client(&self, turn: usize) -> io::Result<Client> {
        let address = (turn..turn + 3).find_map(|turn| *self.addresses[turn % 3].lock().unwrap());
        Client::connect(address.ok_or(io::ErrorKind::ConnectionRefused)?)
    }

    /// A number the database tells.
    fn count(&self, what: &str) -> usize {
        let rows = self.server.order(&format!("SELECT count(*) FROM {}.{what}", self.schema));
        rows[0].parse().unwrap()
    }

    /// Ends all connections of the guichets at once.
    fn cut(&self) -> usize {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mulot'";
        self.server.order(sql).len()
    }
}

/// An instance that runs; it is killed with the value.
struct Running<'f> {
    fleet: &'f Fleet,
    number: usize,
    child: Child,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // SIGKILL: no farewell. Whoever asks it meanwhile is cut off.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self.fleet.addresses[self.number].lock().unwrap() = None;
    }
}

/// What residents know of their requests.
#[derive(Default)]
struct Residents {
    begun: AtomicUsize,
    refused: AtomicUsize,
    /// Reference and confirmation of each request whose answer came.
    shown: Mutex<BTreeMap<String, Vec<(String, String)>>>,
}

impl Residents {
    fn count(&self) -> usize {
        self.shown.lock().unwrap().len()
    }

    /// Fills forms and sends them, each step to another instance, again until there is an answer; until told to stop.
    fn send(&self, fleet: &Fleet, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            let path = "/guichet/contact/verifier";
            let page = insist(|turn| fleet.client(number + turn)?.post(path, &contact(number)), 200, &self.refused);
            let fields = hidden_inputs(&page.body);
            let reference = self.press(fleet, number + 1, &fields);
            if number.is_multiple_of(5) {
                assert_eq!(self.press(fleet, number + 2, &fields), reference, "one confirmation, two references");
            }
            self.shown.lock().unwrap().insert(reference, fields);
        }
    }

    /// Presses « Envoyer » until a reference is shown.
    fn press(&self, fleet: &Fleet, turn: usize, fields: &[(String, String)]) -> String {
        let path = "/guichet/contact/envoyer";
        let done = insist(|again| fleet.client(turn + again)?.post(path, fields), 303, &self.refused);
        let location = done.header("location").unwrap().to_uppercase();
        location.split('/').find(|part| part.starts_with("20")).unwrap().to_owned()
    }
}

/// Asks until the answer is the good one; a cut connection or « try again in a moment » is met with another try, elsewhere.
fn insist(mut ask: impl FnMut(usize) -> io::Result<http::Answer>, good: u16, refused: &AtomicUsize) -> http::Answer {
    let since = Instant::now();
    for turn in 0.. {
        match ask(turn) {
            Ok(answer) if answer.status == good => return answer,
            Ok(answer) if answer.status < 500 => panic!("{} {}", answer.status, answer.body),
            Ok(_) | Err(_) => refused.fetch_add(1, Ordering::Relaxed),
        };
        assert!(since.elapsed() < PATIENCE, "nobody answers any more");
    }
    unreachable!("the loop has no end")
}

/// Waits until a condition holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn instances_and_connections_die_under_load_and_nothing_is_lost_nor_sent_twice() {
    let (fleet, residents, over) = (Fleet::new(postgres::server()), Residents::default(), AtomicBool::new(false));
    let more = |count: usize| {
        let from = residents.count();
        until("requests are taken", || residents.count() >= from + count);
    };
    // All three at once, on a schema that is not there yet.
    let mut running: Vec<Option<Running<'_>>> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..3)
            .map(|number| {
                scope.spawn({
                    let fleet = &fleet;
                    move || fleet.start(number)
                })
            })
            .collect();
        starting.into_iter().map(|one| Some(one.join().unwrap())).collect()
    });
    let (mut kills, mut cuts) = (0, 0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| residents.send(&fleet, &over));
        }
        more(20);
        for victim in [1, 0] {
            running[victim] = None;
            kills += 1;
            more(10);
            for _ in 0..4 {
                cuts += fleet.cut();
                more(5);
            }
            running[victim] = Some(fleet.start(victim));
            more(10);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(cuts > 20, "{cuts} connections were cut");
    // What a dead instance had in hand is tried later, by design: the mairie's order makes it now.
    until("all was tried once", || fleet.count("outbox WHERE state = 'à_envoyer' AND attempts = 0") == 0);
    let shown: BTreeSet<String> = residents.shown.lock().unwrap().keys().cloned().collect();
    for reference in shown.iter().filter(|reference| fleet.letters.of_mairie(reference) == 0) {
        let run = fleet.test.run(&["demandes", "renvoyer", reference, "--guichet", &Fleet::config(2)]);
        assert_eq!(run.code, 0, "{reference}: {}{}", run.stdout, run.stderr);
    }
    until("all is delivered", || shown.iter().all(|reference| fleet.letters.of_mairie(reference) > 0));
    assert_eq!(fleet.count("submission"), shown.len(), "what was shown is there, once, and nothing else");
    let twice = fleet.letters.sent_again();
    println!(
        "{} requests, {} answers were errors; {kills} kills, {cuts} connections cut, {} mails sent again",
        shown.len(),
        residents.refused.load(Ordering::Relaxed),
        twice.len()
    );
    assert!(twice.len() <= kills, "only what was in hand at a kill may leave twice: {twice:?}");
    let sums = fleet.test.run(&["demandes", "reconcilier", "--guichet", &Fleet::config(2)]);
    assert_eq!(sums.code, 0, "{}{}", sums.stdout, sums.stderr);
    let ready = fleet.client(0).unwrap().get("/guichet/pret").unwrap();
    assert_eq!(ready.status, 200, "{}", ready.body);
}

#[test]
fn a_database_that_goes_away_is_told_costs_nothing_and_is_found_again() {
    let server: &'static postgres::Server = Box::leak(Box::new(postgres::server_with("")));
    let fleet = Fleet::new(server);
    let _running = fleet.start(0);
    let mut client = fleet.client(0).unwrap();
    let page = client.post("/guichet/contact/verifier", &contact(7)).unwrap();
    let fields = hidden_inputs(&page.body);
    server.hide();
    let refused = client.post("/guichet/contact/envoyer", &fields).unwrap();
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("message numéro 7"), "the answers are kept: {}", refused.body);
    let ready = || fleet.client(0).unwrap().get("/guichet/pret").unwrap();
    until("it says that it is not ready", || ready().status == 503);
    assert!(ready().body.contains("\"base\""), "{}", ready().body);
    assert_eq!(client.get("/guichet/sante").unwrap().status, 200);
    server.show();
    let done = client.post("/guichet/contact/envoyer", &fields).unwrap();
    assert_eq!(done.status, 303, "{}", done.body);
    until("it is ready again", || ready().status == 200);
    until("the request leaves", || fleet.count("outbox WHERE state = 'remis'") == 2);
    assert_eq!(fleet.count("submission"), 1);
}

const CLIENTS: usize = 6;
/// How long a condition is waited for, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(90);
