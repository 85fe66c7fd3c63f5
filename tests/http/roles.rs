//! The real program, in two processes: one receives and knows no password, one delivers and listens to nobody. Either may die.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::server_test::*;

/// A process of the guichet, ended with the test.
struct Process {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Process {
    fn start(mut command: Command) -> Process {
        command.stdout(Stdio::null()).stderr(Stdio::piped()).env("MULOT_JOURNAL", "info");
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Process { child, said }
    }

    /// Reads until a line holds these words.
    fn says(&self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut heard = Vec::new();
        loop {
            match self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => heard.push(line),
                Err(_) => panic!("« {words} » was never said:\n{}", heard.join("\n")),
            }
        }
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(root: &Path, role: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mulot"));
    command.args(["guichet", "--role", role]).arg(root.join("guichet.toml")).env("XDG_CACHE_HOME", root.join("cache"));
    command
}

/// A territoire of two communes whose mails are put in files; the password is where nobody can read it.
fn world(root: &Path) {
    let territoire = root.join("territoire");
    std::fs::create_dir_all(territoire.join("communes")).unwrap();
    std::fs::write(territoire.join("territoire.toml"), "nom = \"Communauté de communes\"\n").unwrap();
    ["grillon", "mesange"].iter().for_each(|name| add_commune(&territoire, name));
    let text = "territoire = \"territoire\"\ndonnees = \"donnees\"\necoute = \"127.0.0.1:0\"\nconfirmer_destinataires = false\n\
        [courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n[limites]\nreserve_mo = 16\n";
    std::fs::write(root.join("guichet.toml"), text).unwrap();
}

fn address(line: &str) -> SocketAddr {
    line.split("Guichet ouvert sur ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn ask(address: SocketAddr, head: &str, path: &str, body: &str) -> Answer {
    let mut connection = Connection::open(address);
    let headers = [("host", "grillon.example"), ("content-type", "application/x-www-form-urlencoded")];
    connection.send_request(head, path, &headers, body.as_bytes());
    connection.answer()
}

fn send(address: SocketAddr, number: usize) {
    let answers = with(valid_answers(), "message", &format!("Une benne au numéro {number}, s'il vous plaît."));
    let check = ask(address, "POST", &format!("/guichet/{FORM}/verifier"), &urlencoded(&answers));
    assert_eq!(check.status, 200, "{}", check.text());
    let sent = ask(address, "POST", &format!("/guichet/{FORM}/envoyer"), &urlencoded(&check.fields()));
    assert_eq!(sent.status, 303, "{}", sent.text());
}

fn letters(root: &Path) -> Vec<PathBuf> {
    let folder = root.join("boite/grillon");
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "eml")).collect()
}

fn until_letters(root: &Path, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while letters(root).len() < count {
        assert!(Instant::now() < deadline, "{count} letters never came: {:?}", letters(root));
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert_eq!(letters(root).len(), count);
}

#[test]
fn one_process_receives_the_other_delivers_and_either_may_be_killed() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    world(root);
    let front = Process::start(program(root, "accueil"));
    let at = address(&front.says("Guichet ouvert sur"));
    send(at, 1);
    assert_eq!(letters(root).len(), 0, "who receives sends nothing");
    assert_eq!(ask(at, "GET", "/guichet/pret", "").status, 200);
    let back = Process::start(program(root, "courrier"));
    back.says("Courrier en marche pour 2");
    until_letters(root, 2);
    // What is accepted while it runs is seen without being told.
    send(at, 2);
    until_letters(root, 4);
    back.signal("-KILL");
    drop(back);
    send(at, 3);
    assert_eq!(letters(root).len(), 4);
    let back = Process::start(program(root, "courrier"));
    until_letters(root, 6);
    // The one that receives dies; the other goes on, and a new one takes its place.
    front.signal("-KILL");
    drop(front);
    let front = Process::start(program(root, "accueil"));
    let at = address(&front.says("Guichet ouvert sur"));
    send(at, 4);
    until_letters(root, 8);
    // A second one of the same role is refused before it opens anything.
    for role in ["accueil", "courrier"] {
        let other = Process::start(program(root, role));
        other.says("un autre guichet utilise déjà");
    }
    send(at, 5);
    until_letters(root, 10);
    for (process, end) in [(&front, "Guichet arrêté"), (&back, "Guichet arrêté")] {
        process.signal("-TERM");
        process.says(end);
    }
}

#[test]
fn a_hangup_takes_the_new_configuration() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    world(root);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mulot"));
    command.arg("guichet").arg(root.join("guichet.toml")).env("XDG_CACHE_HOME", root.join("cache"));
    let process = Process::start(command);
    let line = process.says("Guichet ouvert sur");
    assert!(line.contains("communes"), "{line}");
    let at = address(&line);
    let nouvelle = |at| {
        let mut connection = Connection::open(at);
        connection.send_request("GET", &format!("/guichet/{FORM}/"), &[("host", "nouvelle.example")], b"");
        connection.answer().status
    };
    assert_eq!(nouvelle(at), 421);
    add_commune(&root.join("territoire"), "nouvelle");
    process.signal("-HUP");
    process.says("reloaded");
    assert_eq!(nouvelle(at), 200);
    edit(&root.join("guichet.toml"), "donnees = ", "donnes = ");
    process.signal("-HUP");
    process.says("reload.refused");
    assert_eq!(nouvelle(at), 200);
}

#[test]
fn a_socket_that_the_system_listens_to_is_taken() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    world(root);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    // As systemd does: the socket is the fourth file, the process's own number is in the environment.
    let words = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" guichet --role accueil \"$1\" 3<&0 </dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", words, env!("CARGO_BIN_EXE_mulot")]).arg(root.join("guichet.toml"));
    command.env("XDG_CACHE_HOME", root.join("cache")).stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    let process = Process::start(command);
    assert_eq!(address(&process.says("Guichet ouvert sur")), at);
    send(at, 1);
}
