//! The guichet is killed at random moments under load: whatever reference a resident saw is delivered.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::commune_test::CommuneTest;
use crate::http::{Client, contact, hidden_inputs};

const CYCLES: u64 = 50;
const CLIENTS: usize = 4;

struct Guichet {
    child: Child,
    address: SocketAddr,
}

impl Guichet {
    /// Starts the real program; ready when it says its address.
    fn start(test: &CommuneTest) -> Self {
        let mut child = test
            .command(&["guichet", "guichet.toml"])
            .env("MULOT_JOURNAL", "error")
            .stderr(Stdio::piped())
            .spawn()
            .expect("mulot runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut told = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            told.push_str(&line);
            if let Some(address) =
                line.strip_prefix("Guichet ouvert sur ").and_then(|rest| rest.split(' ').next()?.parse().ok())
            {
                // The pipe is read to its end, so that the program never waits for us.
                std::thread::spawn(move || lines.for_each(drop));
                return Guichet { child, address };
            }
        }
        let _ = child.kill();
        let ended = child.wait();
        panic!("the guichet did not start ({ended:?}): {told}");
    }

    /// SIGKILL: no farewell.
    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }
}

fn configure() -> CommuneTest {
    let test = CommuneTest::minimal();
    let config = "confirmer_destinataires = false\ndossier = \"commune\"\ndonnees = \"donnees\"\necoute = \"127.0.0.1:0\"\n\n[courriel]\ntransport = \"dossier\"\ndossier = \"courriels\"\n\n[limites]\nenvois_par_adresse = 10000\nenvois_par_heure = 1000000\n";
    std::fs::write(test.root().join("guichet.toml"), config).expect("written");
    test
}

/// Sends requests until the connection dies; each reference seen is kept.
fn send_until_cut(address: SocketAddr, counter: &AtomicUsize, seen: &Mutex<BTreeSet<String>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::connect(address) else { return };
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let Ok(check) = client.post("/guichet/contact/verifier", &contact(number)) else { return };
        assert_eq!(check.status, 200, "{}", check.body);
        let Ok(done) = client.post("/guichet/contact/envoyer", &hidden_inputs(&check.body)) else { return };
        assert_eq!(done.status, 303, "{}", done.body);
        let location = done.header("location").expect("a confirmation").to_uppercase();
        let reference = location.split('/').find(|part| part.starts_with("20")).expect("a reference").to_owned();
        seen.lock().expect("a set").insert(reference);
    }
}

#[test]
fn every_reference_shown_is_delivered_though_the_process_is_killed() {
    let test = configure();
    let (seen, counter) = (Mutex::new(BTreeSet::new()), AtomicUsize::new(0));
    // A fixed seed: a failure can be had again.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for life in 0..CYCLES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let guichet = Guichet::start(&test);
        let address = guichet.address;
        let over = &AtomicBool::new(false);
        let (counter, seen) = (&counter, &seen);
        let count = || seen.lock().expect("a set").len();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(move || send_until_cut(address, counter, seen, over));
            }
            // Every other life lasts until it has shown something, however slow the machine.
            let before = count();
            let deadline = Instant::now() + Duration::from_secs(20);
            while life % 2 == 0 && count() == before && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            // The moment of death is the test: the only wait that is not for a condition.
            std::thread::park_timeout(Duration::from_millis(random % 250));
            guichet.kill();
            over.store(true, Ordering::Relaxed);
        });
    }
    let seen = seen.into_inner().expect("a set");
    assert!(seen.len() >= CYCLES as usize / 2, "only {} references were shown in {CYCLES} lives", seen.len());
    let guichet = Guichet::start(&test);
    let delivered = || {
        let names = std::fs::read_dir(test.root().join("courriels")).into_iter().flatten().flatten();
        names
            .map(|entry| entry.file_name().to_string_lossy().to_uppercase())
            .filter(|name| name.contains("MAIRIE"))
            .collect::<Vec<_>>()
    };
    let missing = |names: &[String]| {
        seen.iter().filter(|reference| !names.iter().any(|name| name.contains(reference.as_str()))).count()
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    while missing(&delivered()) > 0 && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert_eq!(missing(&delivered()), 0, "of {} references shown", seen.len());
    guichet.kill();
    let sums = test.run(&["demandes", "reconcilier", "--guichet", "guichet.toml"]);
    assert_eq!(sums.code, 0, "{}{}", sums.stdout, sums.stderr);
}

#[test]
fn a_reference_is_the_same_when_the_confirmation_is_posted_again_after_a_crash() {
    let test = configure();
    let guichet = Guichet::start(&test);
    let mut client = Client::connect(guichet.address).expect("connected");
    let check = client.post("/guichet/contact/verifier", &contact(1)).expect("answered");
    let hidden = hidden_inputs(&check.body);
    let first = client.post("/guichet/contact/envoyer", &hidden).expect("answered");
    guichet.kill();
    let guichet = Guichet::start(&test);
    let mut client = Client::connect(guichet.address).expect("connected");
    assert_eq!(client.get("/guichet/sante").expect("answered").status, 200);
    let again = client.post("/guichet/contact/envoyer", &hidden).expect("answered");
    assert_eq!((first.status, again.status), (303, 303));
    assert_eq!(first.header("location"), again.header("location"));
    guichet.kill();
}
