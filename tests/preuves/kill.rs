//! The guichet is killed at random moments under load: whatever reference a resident saw is delivered.
//!
//! SIGKILL leaves the system's cache standing: this proves the order of things, not that the disk was reached; that is
//! `power`. `MULOT_KILL_CYCLES` and `MULOT_KILL_SEED` drive it: 40 lives by default, 1,000 in the long form.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Filled, PATIENCE, reference};
use crate::http::Client;
use crate::is_long;

const CLIENTS: usize = 4;
/// Lives of one data folder, so that checking all its pages each time stays cheap.
const LIVES_OF_A_FOLDER: u64 = 50;

/// What residents know of their requests.
#[derive(Default)]
struct Residents {
    counter: AtomicUsize,
    /// Reference and confirmation of each request whose answer came.
    shown: Mutex<BTreeMap<String, Filled>>,
    /// Confirmations whose answer never came.
    unanswered: Mutex<Vec<Filled>>,
}

impl Residents {
    fn count(&self) -> usize {
        self.shown.lock().unwrap().len()
    }

    fn references(&self) -> BTreeSet<String> {
        self.shown.lock().unwrap().keys().cloned().collect()
    }

    /// Sends requests, every fourth with a file, until the connection dies.
    fn send_until_cut(&self, address: SocketAddr, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let Ok(mut client) = Client::connect(address) else { return };
            let number = self.counter.fetch_add(1, Ordering::Relaxed);
            let filled = if number.is_multiple_of(4) {
                let Ok(page) = Filled::with_file(&mut client, number) else { return };
                page.unwrap_or_else(|page| panic!("{} {}", page.status, page.body))
            } else {
                let Ok(filled) = Filled::contact(&mut client, number) else { return };
                filled
            };
            let Ok(done) = filled.send(&mut client) else {
                self.unanswered.lock().unwrap().push(filled);
                return;
            };
            let reference = reference(&done).unwrap_or_else(|| panic!("{} {}", done.status, done.body));
            self.shown.lock().unwrap().insert(reference, filled);
        }
    }

    /// Presses « Envoyer » again for what the last life left: what was shown is shown again, what was not is taken once.
    fn press_again(&self, address: SocketAddr) {
        let mut client = Client::connect(address).unwrap();
        let last = self.shown.lock().unwrap().pop_last();
        if let Some((shown, filled)) = last {
            assert_eq!(reference(&filled.send(&mut client).unwrap()).as_ref(), Some(&shown), "another reference");
            self.shown.lock().unwrap().insert(shown, filled);
        }
        for filled in self.unanswered.lock().unwrap().drain(..) {
            let first = reference(&filled.send(&mut client).unwrap()).expect("taken");
            let second = reference(&filled.send(&mut client).unwrap()).expect("taken");
            assert_eq!(first, second, "one confirmation, two references");
            self.shown.lock().unwrap().insert(first, filled);
        }
    }
}

#[test]
fn every_reference_shown_is_delivered_though_the_process_is_killed() {
    let cycles = std::env::var("MULOT_KILL_CYCLES").ok().and_then(|text| text.parse().ok());
    let cycles: u64 = cycles.unwrap_or(if is_long() { 1000 } else { 40 });
    let seed = std::env::var("MULOT_KILL_SEED").ok().and_then(|text| text.parse().ok());
    let mut random: u64 = seed.unwrap_or(0x9e37_79b9_7f4a_7c15);
    println!("MULOT_KILL_SEED={random}");
    let (mut shown, mut begun, mut left) = (0, 0, cycles);
    while left > 0 {
        let lives = left.min(LIVES_OF_A_FOLDER);
        let residents = one_folder(lives, &mut random);
        shown += residents.count();
        begun += residents.counter.into_inner();
        left -= lives;
        println!("{} of {cycles} kills: {shown} references shown of {begun} requests, 0 lost", cycles - left);
    }
}

/// That many lives of one data folder; all that was shown in them is delivered.
fn one_folder(lives: u64, random: &mut u64) -> Residents {
    let (bench, residents) = (Bench::new(), Residents::default());
    for life in 0..lives {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        let guichet = bench.start();
        bench.assert_pages();
        residents.press_again(guichet.address);
        let (address, over) = (guichet.address, &AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| residents.send_until_cut(address, over));
            }
            // Every other life lasts until it has shown something, however slow the machine.
            let before = residents.count();
            let deadline = Instant::now() + PATIENCE;
            while life % 2 == 0 && residents.count() == before && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            // The moment of death is the test: the only wait that is not for a condition.
            std::thread::park_timeout(Duration::from_millis(*random % 250));
            guichet.kill();
            over.store(true, Ordering::Relaxed);
        });
    }
    let guichet = bench.start();
    residents.press_again(guichet.address);
    let shown = residents.references();
    assert!(shown.len() >= lives as usize / 2, "only {} references were shown in {lives} lives", shown.len());
    bench.hasten(&shown);
    bench.await_delivery(&shown);
    bench.assert_sound();
    let lost: Vec<_> = shown.difference(&bench.stored()).cloned().collect();
    assert!(lost.is_empty(), "{lost:?}");
    guichet.kill();
    residents
}

#[test]
fn a_reference_is_the_same_when_the_confirmation_is_posted_again_after_a_crash() {
    let bench = Bench::new();
    let guichet = bench.start();
    let mut client = guichet.client();
    let filled = Filled::contact(&mut client, 1).unwrap();
    let first = filled.send(&mut client).unwrap();
    guichet.kill();
    let guichet = bench.start();
    let mut client = guichet.client();
    assert_eq!(client.get("/guichet/sante").unwrap().status, 200);
    let again = filled.send(&mut client).unwrap();
    assert_eq!((first.status, again.status), (303, 303));
    assert_eq!(first.header("location"), again.header("location"));
    guichet.kill();
}
