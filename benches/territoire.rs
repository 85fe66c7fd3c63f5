//! One process for a thousand communes: how soon it answers, and what memory they take.
//!
//! `cargo bench --bench territoire` (`MULOT_COMMUNES` for another number):
//!
//! - *référence*: the program's own start, `mulot --version`;
//! - from the start of the process to the first page of a form, which opens one commune;
//! - memory once the rounds have nothing left to do, then with as many communes open as may be at a time, then with all asked for in turn;
//! - the first page of a commune that sleeps, and that of one that is open.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MULOT: &str = env!("CARGO_BIN_EXE_mulot");

/// Communes open at a time unless `eveillees` says otherwise.
const OPEN: usize = 32;

fn main() {
    let count = std::env::var("MULOT_COMMUNES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let root = tempfile::tempdir().expect("a folder");
    let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    world(root.path(), address, count);

    let begun = Instant::now();
    Command::new(MULOT).arg("--version").stdout(Stdio::null()).status().expect("mulot");
    println!("mulot --version : {:.0} ms", ms(begun.elapsed()));

    let begun = Instant::now();
    let process = Process::start(root.path());
    let first = loop {
        if let Some(status) = page(address, 0) {
            assert_eq!(status, 200);
            break begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it never answers");
        std::thread::sleep(Duration::from_millis(2));
    };
    println!("{count} communes, du lancement à la première page : {:.0} ms", ms(first));
    println!("mémoire à ce moment : {} ko ({} anonymes)", process.memory().0, process.memory().1);

    let open = (0..OPEN.min(count)).map(|number| timed(address, number)).collect::<Vec<_>>();
    println!("ouvrir une commune : médiane {:.0} ms, la plus lente {:.0} ms", median(&open), slowest(&open));
    println!("mémoire, {OPEN} communes ouvertes : {} ko ({} anonymes)", process.memory().0, process.memory().1);
    let again = (0..OPEN.min(count)).map(|number| timed(address, number)).collect::<Vec<_>>();
    println!("la même page, commune ouverte : médiane {:.1} ms", median(&again));

    let all = (0..count).map(|number| timed(address, number)).collect::<Vec<_>>();
    println!("toutes à la suite : médiane {:.0} ms, la plus lente {:.0} ms", median(&all), slowest(&all));
    println!("mémoire ensuite : {} ko ({} anonymes)", process.memory().0, process.memory().1);
    drop(process);

    // Now each has a database: the rounds visit them all.
    let begun = Instant::now();
    let process = Process::start(root.path());
    let first = loop {
        if page(address, 0) == Some(200) {
            break begun.elapsed();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    println!("{count} communes qui ont des données, du lancement à la première page : {:.0} ms", ms(first));
    // Over when none was open beside the one asked for, time after time: two visits may have an instant between them.
    let (mut quiet, mut visited) = (0, begun.elapsed());
    while quiet < 20 {
        std::thread::sleep(Duration::from_millis(200));
        if open_communes(address) <= 1 {
            quiet += 1;
        } else {
            (quiet, visited) = (0, begun.elapsed());
        }
    }
    println!("ronde de toutes les communes : {:.0} s", visited.as_secs_f64());
    println!("mémoire au repos : {} ko ({} anonymes)", process.memory().0, process.memory().1);
}

/// A territoire of so many small communes.
fn world(root: &Path, address: SocketAddr, count: usize) {
    let communes = root.join("territoire/communes");
    std::fs::create_dir_all(&communes).expect("a folder");
    std::fs::write(root.join("territoire/territoire.toml"), "nom = \"Territoire\"\n").expect("a file");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
    for number in 0..count {
        let folder = communes.join(format!("commune-{number}"));
        copy(&model, &folder);
        let file = folder.join("commune.toml");
        let text = std::fs::read_to_string(&file).expect("commune.toml");
        std::fs::write(&file, text.replace("trou.example", &format!("c{number}.example"))).expect("a file");
    }
    let text = format!(
        "territoire = \"territoire\"\ndonnees = \"donnees\"\necoute = \"{address}\"\nconfirmer_destinataires = false\n\
         [courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n"
    );
    std::fs::write(root.join("guichet.toml"), text).expect("a file");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// The status of a form's first page; `None` while nobody listens.
fn page(address: SocketAddr, number: usize) -> Option<u16> {
    ask(address, &format!("c{number}.example"), "/guichet/saisir-la-mairie/")?.split(' ').nth(1)?.parse().ok()
}

fn ask(address: SocketAddr, host: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn open_communes(address: SocketAddr) -> usize {
    let answer = ask(address, "localhost", "/guichet/pret").unwrap_or_default();
    let told = answer.split("\"ouvertes\":").nth(1).and_then(|rest| rest.split(',').next());
    told.and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

fn timed(address: SocketAddr, number: usize) -> Duration {
    let begun = Instant::now();
    assert_eq!(page(address, number), Some(200));
    begun.elapsed()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    ms(times[times.len() / 2])
}

fn slowest(times: &[Duration]) -> f64 {
    times.iter().max().copied().map_or(0.0, ms)
}

struct Process(Child);

impl Process {
    fn start(root: &Path) -> Process {
        let mut command = Command::new(MULOT);
        command.arg("guichet").arg(root.join("guichet.toml")).env("XDG_CACHE_HOME", root.join("cache"));
        Process(command.env("MULOT_JOURNAL", "off").stderr(Stdio::null()).spawn().expect("mulot"))
    }

    /// Memory in kilobytes: all of it, and what is not the program's own file.
    fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        (line("VmRSS:"), line("RssAnon:"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
