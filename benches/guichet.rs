//! The guichet beside the raw speed of the disk.
//!
//! `cargo bench --bench guichet`:
//!
//! - *fsync*: one 4 kB append and one fdatasync after another, the rate of a store that syncs each submission alone;
//! - *acceptées*: confirmations of « contact » sent by 32 clients, each answered once it is durable; the ratio to the rate
//!   above is what group commit gives;
//! - start time until the first answer, idle memory (VmRSS) before and after the load.
//!
//! The first round is on this machine's disk. A virtual disk that syncs in a tenth of a millisecond says nothing of group
//! commit: there the processor is the limit. The second round, when strace is there, gives each sync of the probe and of
//! the guichet the 5 ms of an ordinary disk.

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
    if std::env::args().nth(1).as_deref() == Some(PROBE) {
        let folder = std::env::args().nth(2).expect("a folder");
        println!("{}", raw_fsync_rate(Path::new(&folder)));
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

const PROBE: &str = "sonde-fsync";

/// Each sync of the program that follows returns 5 ms later; its other calls are not slowed.
const SLOW_DISK: [&str; 10] = [
    "strace",
    "-f",
    "--seccomp-bpf",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=fsync,fdatasync",
    "-e",
    "inject=fsync,fdatasync:delay_exit=5000",
];

fn round(under: &[&str]) {
    let root = tempfile::tempdir().expect("a folder");
    let config = configure(root.path());
    let myself = std::env::current_exe().expect("a path");
    let probe = command(under, &myself).arg(PROBE).arg(root.path()).output().expect("the probe runs");
    let fsync: f64 = String::from_utf8_lossy(&probe.stdout).trim().parse().expect("a rate");
    let started = Instant::now();
    let mut guichet = Guichet::start(under, &config);
    let start = started.elapsed();
    let idle = guichet.memory();
    let bodies: Vec<_> = (0..SUBMISSIONS).map(prepared).collect();
    let (rate, worst) = submit(bodies);
    let after = guichet.memory();
    guichet.stop();
    if under.is_empty() {
        println!("  démarrage jusqu'à la première réponse : {:.0} ms", start.as_secs_f64() * 1e3);
        println!("  mémoire au repos : {idle} ko ; après {SUBMISSIONS} demandes : {after} ko");
    }
    println!("  fsync seul : {fsync:.0} par seconde");
    println!(
        "  demandes acceptées, {CLIENTS} clients : {rate:.0} par seconde, soit {:.1} fois le fsync seul ; la plus lente {:.0} ms",
        rate / fsync,
        worst.as_secs_f64() * 1e3
    );
}

/// A program, run by another one when there are words before it.
fn command(under: &[&str], program: &Path) -> Command {
    match under.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

const PORT: u16 = 47_815;

fn configure(root: &Path) -> std::path::PathBuf {
    let config = root.join("guichet.toml");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
    let text = format!(
        "confirmer_destinataires = false\ndossier = {folder:?}\ndonnees = {data:?}\necoute = \"127.0.0.1:{PORT}\"\n\n[courriel]\ntransport = \"dossier\"\ndossier = {letters:?}\n\n[limites]\nenvois_par_adresse = 10000\nenvois_par_heure = 1000000\n",
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
    fn start(under: &[&str], config: &Path) -> Self {
        let child = command(under, Path::new(env!("CARGO_BIN_EXE_mulot")))
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

    /// Ends the guichet, and strace with it when it runs under it.
    fn stop(&mut self) {
        let pid = self.0.id();
        let traced = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let last = traced.split_whitespace().next().map_or_else(|| pid.to_string(), str::to_owned);
        assert!(Command::new("kill").args(["-KILL", &last]).status().is_ok_and(|status| status.success()), "killed");
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
