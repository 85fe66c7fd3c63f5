//! The guichet beside the raw speed of the disk.
//!
//! `cargo bench --bench guichet`:
//!
//! - *fsync*: one 4 kB append and one fdatasync after another, the rate of a store that syncs each submission alone;
//! - *acceptées*: confirmations of « contact » sent by 32 clients, each answered once it is durable; the ratio to the rate
//!   above is what group commit gives;
//! - start time until the first answer, idle memory (VmRSS) before and after the load.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use all of it")]
#[path = "../tests/support/http.rs"]
mod http;

use http::{Client, contact, hidden_inputs};

const CLIENTS: usize = 32;
const SUBMISSIONS: usize = 3_200;

fn main() {
    let root = tempfile::tempdir().expect("a folder");
    let config = configure(root.path());
    let fsync = raw_fsync_rate(root.path());
    let started = Instant::now();
    let mut guichet = Guichet::start(&config);
    let start = started.elapsed();
    let idle = guichet.memory();
    let bodies: Vec<_> = (0..SUBMISSIONS).map(prepared).collect();
    let (rate, worst) = submit(bodies);
    let after = guichet.memory();
    guichet.stop();
    println!("démarrage jusqu'à la première réponse : {:.0} ms", start.as_secs_f64() * 1e3);
    println!("mémoire au repos : {idle} kB ; après {SUBMISSIONS} demandes : {after} kB");
    println!("fsync seul : {fsync:.0} par seconde");
    println!(
        "demandes acceptées, {CLIENTS} clients : {rate:.0} par seconde, soit {:.1} fois le fsync seul ; la plus lente {:.0} ms",
        rate / fsync,
        worst.as_secs_f64() * 1e3
    );
}

const PORT: u16 = 47_815;

fn configure(root: &Path) -> std::path::PathBuf {
    let config = root.join("guichet.toml");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
    let text = format!(
        "dossier = {folder:?}\ndonnees = {data:?}\necoute = \"127.0.0.1:{PORT}\"\n\n[courriel]\ntransport = \"dossier\"\ndossier = {letters:?}\n\n[limites]\nenvois_par_adresse = 10000\nenvois_par_heure = 1000000\n",
        data = root.join("donnees"),
        letters = root.join("courriels"),
    );
    std::fs::write(&config, text).expect("written");
    config
}

fn raw_fsync_rate(root: &Path) -> f64 {
    let mut file = std::fs::File::create(root.join("sonde")).expect("a file");
    let block = [7u8; 4096];
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < Duration::from_secs(3) {
        file.write_all(&block).expect("written");
        file.sync_data().expect("synced");
        count += 1;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

struct Guichet(Child);

impl Guichet {
    fn start(config: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_mulot"))
            .arg("guichet")
            .arg(config)
            .env("MULOT_JOURNAL", "error")
            .stdout(Stdio::null())
            .spawn()
            .expect("mulot runs");
        let guichet = Guichet(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !answers() {
            assert!(Instant::now() < deadline, "the guichet never answered");
            std::thread::sleep(Duration::from_millis(1));
        }
        guichet
    }

    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    fn stop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("waited");
    }
}

fn address() -> std::net::SocketAddr {
    ([127, 0, 0, 1], PORT).into()
}

fn answers() -> bool {
    Client::connect(address())
        .and_then(|mut client| client.get("/guichet/sante"))
        .is_ok_and(|answer| answer.status == 200)
}

/// The fields of a confirmation, from the check page of its own submission.
fn prepared(number: usize) -> Vec<(String, String)> {
    let mut client = Client::connect(address()).expect("connected");
    let check = client.post("/guichet/contact/verifier", &contact(number)).expect("answered");
    assert_eq!(check.status, 200, "{}", check.body);
    hidden_inputs(&check.body)
}

fn submit(bodies: Vec<Vec<(String, String)>>) -> (f64, Duration) {
    let queue = Mutex::new(bodies);
    let worst = Mutex::new(Duration::ZERO);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(address()).expect("connected");
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
