//! The guichet beside the raw speed of the disk.
//!
//! `cargo bench --bench guichet`:
//!
//! - *fsync*: one 4 kB append and one fdatasync after another, the rate of a store that syncs each submission alone;
//! - *acceptées*: confirmations of « contact » sent by 32 clients, each answered once it is durable; the ratio to the rate
//!   above is what group commit gives;
//! - start time until the first answer, idle memory (VmRSS) before and after the load.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

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
    let bodies: Vec<String> = (0..SUBMISSIONS).map(|number| prepared(number)).collect();
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
        "dossier = {folder:?}\ndonnees = {data:?}\necoute = \"127.0.0.1:{PORT}\"\n\n[courriel]\ntransport = \"dossier\"\ndossier = {letters:?}\n",
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

fn answers() -> bool {
    TcpStream::connect(("127.0.0.1", PORT)).is_ok_and(|stream| {
        let mut stream = stream;
        stream.write_all(b"GET /guichet/sante HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").is_ok() && {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
        }
    })
}

/// The body of a confirmation, from the check page of its own submission.
fn prepared(number: usize) -> String {
    let typed = [
        ("message", format!("Bonjour, ceci est le message numéro {number}.")),
        ("nom", "Jeanne Martin".into()),
        ("courriel", "jeanne@exemple.example".into()),
    ];
    let body: Vec<String> = typed.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).expect("connected");
    let (status, page) = post(&mut stream, "/guichet/contact/verifier", &(body.join("&") + "&objet=Essai"));
    assert_eq!(status, 200, "{page}");
    let hidden = hidden_inputs(&page);
    hidden.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

fn submit(bodies: Vec<String>) -> (f64, Duration) {
    let queue = Mutex::new(bodies);
    let worst = Mutex::new(Duration::ZERO);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(("127.0.0.1", PORT)).expect("connected");
                loop {
                    let Some(body) = queue.lock().expect("a queue").pop() else { return };
                    let sent = Instant::now();
                    let (status, page) = post(&mut stream, "/guichet/contact/envoyer", &body);
                    assert_eq!(status, 303, "{page}");
                    let mut worst = worst.lock().expect("a duration");
                    *worst = worst.max(sent.elapsed());
                }
            });
        }
    });
    let rate = SUBMISSIONS as f64 / started.elapsed().as_secs_f64();
    (rate, worst.into_inner().expect("a duration"))
}

fn post(stream: &mut TcpStream, path: &str, body: &str) -> (u16, String) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:{PORT}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let mut chunk = [0u8; 16 * 1024];
    loop {
        let read = stream.read(&mut chunk).expect("read");
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..read]);
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let chunked_end = head.contains("transfer-encoding: chunked") && answer.ends_with(b"0\r\n\r\n");
        if chunked_end || length.is_some_and(|length| answer.len() >= end + 4 + length) {
            let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
            return (status, String::from_utf8_lossy(&answer[end + 4..]).into_owned());
        }
    }
}

fn hidden_inputs(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let at = tag.find(&format!("{name}=\""))? + name.len() + 2;
        Some(
            tag[at..]
                .split('"')
                .next()?
                .replace("&#x27;", "'")
                .replace("&#39;", "'")
                .replace("&quot;", "\"")
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
        )
    };
    let tags = page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or(""));
    tags.filter(|tag| tag.contains("type=\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, " name")?, attribute(tag, " value")?)))
        .collect()
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
