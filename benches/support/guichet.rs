//! A guichet to measure: its settings, its process, the disk under it.

#![allow(dead_code, unreachable_pub, reason = "shared by benches that each use a part of it")]

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{Client, contact, hidden_inputs};

/// A running guichet.
pub struct Guichet {
    child: Child,
    /// Where it answers.
    pub address: SocketAddr,
    /// Time from its start to its first answer.
    pub start: Duration,
}

impl Guichet {
    /// Starts one with these settings, under another program when there are words.
    pub fn start(under: &[&str], config: &Path, address: SocketAddr) -> Self {
        let started = Instant::now();
        let child = command(under, Path::new(env!("CARGO_BIN_EXE_mulot")))
            .arg("guichet")
            .arg(config)
            .env("MULOT_JOURNAL", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mulot runs");
        let mut guichet = Guichet { child, address, start: Duration::ZERO };
        while !guichet.answers() {
            assert!(started.elapsed() < Duration::from_secs(60), "the guichet never answered");
            std::thread::sleep(Duration::from_millis(1));
        }
        guichet.start = started.elapsed();
        guichet
    }

    fn answers(&self) -> bool {
        let asked = Client::connect(self.address).and_then(|mut client| client.get("/guichet/sante"));
        asked.is_ok_and(|answer| answer.status == 200)
    }

    /// Resident memory in kB: all of it, and the part that is its own (RssAnon), not pages of files.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("alive");
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        (value("VmRSS:"), value("RssAnon:"))
    }

    /// Ends it, and the program it runs under.
    pub fn stop(mut self) {
        let pid = self.child.id();
        let traced = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let last = traced.split_whitespace().next().map_or_else(|| pid.to_string(), str::to_owned);
        assert!(Command::new("kill").args(["-KILL", &last]).status().is_ok_and(|status| status.success()), "killed");
        self.child.wait().expect("waited");
    }

    /// The fields of a confirmation, from the check page of its own submission.
    pub fn prepared(&self, number: usize) -> Vec<(String, String)> {
        let mut client = Client::connect(self.address).expect("connected");
        let check = client.post("/guichet/contact/verifier", &contact(number)).expect("answered");
        assert_eq!(check.status, 200, "{}", check.body);
        hidden_inputs(&check.body)
    }
}

/// A free port of this machine.
pub fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// Writes settings without limits of pace; `mail` is the table of mails.
pub fn configure(root: &Path, address: SocketAddr, mail: &str) -> PathBuf {
    let config = root.join("guichet.toml");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
    let text = format!(
        "confirmer_destinataires = false\ndossier = {folder:?}\ndonnees = {data:?}\necoute = \"{address}\"\n\n[courriel]\n{mail}\n\n[limites]\nenvois_par_adresse = 10000\nenvois_par_heure = 1000000\nconnexions_par_adresse = 1000\n",
        data = root.join("donnees"),
    );
    std::fs::write(&config, text).expect("written");
    config
}

/// The table of mails that go to a folder.
pub fn to_folder(root: &Path) -> String {
    format!("transport = \"dossier\"\ndossier = {:?}", root.join("courriels"))
}

/// A program, run by another one when there are words before it.
pub fn command(under: &[&str], program: &Path) -> Command {
    match under.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// Each sync of the program that follows returns 5 ms later; its other calls are not slowed.
pub const SLOW_DISK: [&str; 10] = [
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

/// Word that makes a bench measure the disk instead, so that it can be run under strace.
pub const PROBE: &str = "sonde-fsync";

/// Durations of a 4 kB append and its sync, one after another for three seconds, in the folder given on the command line.
///
/// Returns whether this process was asked to.
pub fn is_probe() -> bool {
    if std::env::args().nth(1).as_deref() != Some(PROBE) {
        return false;
    }
    let folder = std::env::args().nth(2).expect("a folder");
    let mut file = std::fs::File::create(Path::new(&folder).join("sonde")).expect("a file");
    let block = [7u8; 4096];
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        let one = Instant::now();
        file.write_all(&block).expect("written");
        file.sync_data().expect("synced");
        println!("{}", one.elapsed().as_micros());
    }
    true
}

/// What the probe measures in a folder, sorted.
pub fn probe(under: &[&str], folder: &Path) -> Vec<Duration> {
    let myself = std::env::current_exe().expect("a path");
    let output = command(under, &myself).arg(PROBE).arg(folder).output().expect("the probe runs");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut durations: Vec<Duration> =
        lines.lines().filter_map(|line| Some(Duration::from_micros(line.parse().ok()?))).collect();
    assert!(!durations.is_empty(), "the disk was not measured");
    durations.sort();
    durations
}

/// Syncs per second of what the probe measured.
pub fn rate(durations: &[Duration]) -> f64 {
    durations.len() as f64 / durations.iter().sum::<Duration>().as_secs_f64()
}

/// The value below which this part of sorted durations lies.
pub fn quantile(sorted: &[Duration], part: f64) -> Duration {
    sorted[((sorted.len() as f64 * part) as usize).min(sorted.len() - 1)]
}

/// Milliseconds, for people.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
