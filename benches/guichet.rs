//! The guichet beside the raw speed of the disk.
//!
//! `cargo bench --bench guichet`:
//!
//! - *fsync*: one 4 kB append and one fdatasync after another, the rate of a store that syncs each submission alone;
//! - *acceptées*: confirmations of « contact » sent by 64 clients, each answered once it is durable; the ratio to the rate
//!   above is what group commit gives;
//! - start time until the first answer, idle memory before and after the load: resident, and the part that is its own.
//!
//! The first round is on this machine's disk. A virtual disk that syncs in a tenth of a millisecond says nothing of group
//! commit: there the processor is the limit. The second round, when strace is there, gives each sync of the probe and of
//! the guichet the 5 ms of an ordinary disk.

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use all of it")]
#[path = "../tests/support/http.rs"]
mod http;
#[path = "support/guichet.rs"]
mod support;

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::Client;
use support::{Guichet, SLOW_DISK, configure, free_address, ms, probe, rate, to_folder};

const CLIENTS: usize = 64;
const SUBMISSIONS: usize = 6_400;

fn main() {
    if support::is_probe() {
        return;
    }
    println!("disque de cette machine");
    round(&[]);
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("disque ordinaire : chaque synchronisation dure 5 ms de plus");
        round(&SLOW_DISK);
    } else {
        println!("strace n'est pas là : pas de mesure sur un disque ordinaire");
    }
}

fn round(under: &[&str]) {
    let root = tempfile::tempdir().expect("a folder");
    let address = free_address();
    let config = configure(root.path(), address, &to_folder(root.path()));
    let fsync = rate(&probe(under, root.path()));
    let guichet = Guichet::start(under, &config, address);
    let idle = guichet.memory();
    let bodies: Vec<_> = (0..SUBMISSIONS).map(|number| guichet.prepared(number)).collect();
    let (accepted, worst) = submit(&guichet, bodies);
    let after = guichet.memory();
    if under.is_empty() {
        println!("  démarrage jusqu'à la première réponse : {:.0} ms", ms(guichet.start));
        println!(
            "  mémoire au repos : {} ko, dont {} à lui ; après {SUBMISSIONS} demandes : {} et {} ko",
            idle.0, idle.1, after.0, after.1
        );
    }
    guichet.stop();
    println!("  fsync seul : {fsync:.0} par seconde");
    println!(
        "  demandes acceptées, {CLIENTS} clients : {accepted:.0} par seconde, soit {:.1} fois le fsync seul ; la plus lente {:.0} ms",
        accepted / fsync,
        ms(worst)
    );
}

fn submit(guichet: &Guichet, bodies: Vec<Vec<(String, String)>>) -> (f64, Duration) {
    let queue = Mutex::new(bodies);
    let worst = Mutex::new(Duration::ZERO);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(guichet.address).expect("connected");
                loop {
                    let Some(body) = queue.lock().expect("a queue").pop() else { return };
                    let sent = Instant::now();
                    let answer = client.post("/guichet/contact/envoyer", &body).expect("answered");
                    assert_eq!(answer.status, 303, "{}", answer.body);
                    let mut worst = worst.lock().expect("a duration");
                    *worst = worst.max(sent.elapsed());
                }
            });
        }
    });
    let rate = SUBMISSIONS as f64 / started.elapsed().as_secs_f64();
    (rate, worst.into_inner().expect("a duration"))
}
