//! The real program serving a commune from a temporary folder, and what is found in that folder afterwards.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::commune_test::CommuneTest;
use crate::http::{Answer, Client, contact, hidden_inputs};

/// The form that takes a file.
pub const WITH_FILE: &str = "saisir-la-mairie";

/// A PDF larger than one sealed piece.
pub fn pdf(number: usize) -> Vec<u8> {
    let mut bytes = format!("%PDF-1.7\n% {number}\n").into_bytes();
    bytes.resize(70_000, b' ');
    bytes
}

/// A commune, the guichet's settings, its data and the letters it delivers.
pub struct Bench {
    test: CommuneTest,
}

impl Bench {
    /// Letters are put in a folder.
    pub fn new() -> Bench {
        Bench::with("transport = \"dossier\"\ndossier = \"courriels\"")
    }

    /// Nobody takes the letters: they wait, and the disk is left to the requests.
    pub fn silent() -> Bench {
        Bench::with_server(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port())
    }

    /// Letters go to a server of this machine.
    pub fn with_server(port: u16) -> Bench {
        Bench::with(&format!("transport = \"smtp\"\nserveur = \"127.0.0.1\"\nport = {port}\nchiffrement = \"aucun\""))
    }

    fn with(mail: &str) -> Bench {
        let test = CommuneTest::minimal();
        std::fs::create_dir(test.root().join("site")).unwrap();
        std::fs::write(test.root().join("site/index.html"), "<!doctype html><title>Trou-la-Ville</title>").unwrap();
        let config = format!(
            "confirmer_destinataires = false\ndossier = \"commune\"\ndonnees = \"donnees\"\nsite = \"site\"\necoute = \"127.0.0.1:0\"\n\n\
             [courriel]\n{mail}\n\n\
             [limites]\nenvois_par_adresse = 10000\nenvois_par_heure = 1000000\n\
             envois_par_formulaire = 100000\nenvois_par_courriel = 10000\nreserve_mo = 16\n"
        );
        std::fs::write(test.root().join("guichet.toml"), config).unwrap();
        Bench { test }
    }

    pub fn root(&self) -> &Path {
        self.test.root()
    }

    pub fn data(&self) -> PathBuf {
        self.root().join("donnees")
    }

    /// The program that serves.
    pub fn program(&self) -> Command {
        let mut command = self.test.command(&["guichet", "guichet.toml"]);
        command.env("MULOT_JOURNAL", "error");
        command
    }

    pub fn start(&self) -> Guichet {
        Guichet::start(self.program())
    }

    /// Names of the letters delivered, upper case.
    pub fn letters(&self) -> BTreeSet<String> {
        let names = std::fs::read_dir(self.root().join("courriels")).into_iter().flatten().flatten();
        names.map(|entry| entry.file_name().to_string_lossy().to_uppercase()).collect()
    }

    /// Of these references, those no letter to the mairie carries.
    pub fn undelivered<'a>(&self, references: &'a BTreeSet<String>) -> Vec<&'a String> {
        let letters = self.letters();
        references.iter().filter(|reference| !letters.contains(&format!("{reference}-MAIRIE.EML"))).collect()
    }

    /// Waits until all are delivered; a minute without any progress is a failure.
    pub fn await_delivery(&self, references: &BTreeSet<String>) {
        let (mut least, mut since) = (usize::MAX, Instant::now());
        loop {
            let waiting = self.undelivered(references);
            if waiting.is_empty() {
                return;
            }
            if waiting.len() < least {
                (least, since) = (waiting.len(), Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "shown and never delivered: {waiting:?}\n{}", self.state());
            pause();
        }
    }

    /// Has what waits for its next attempt tried now: each death in the middle of a delivery puts the next one off, by design.
    pub fn hasten(&self, references: &BTreeSet<String>) {
        for reference in self.undelivered(references) {
            let run = self.test.run(&["demandes", "renvoyer", reference, "--guichet", "guichet.toml"]);
            assert_eq!(run.code, 0, "{reference}: {}{}", run.stdout, run.stderr);
        }
    }

    /// Waits until a server that nobody answers for is known to be away: the database then rests.
    pub fn await_silence(&self) {
        let since = Instant::now();
        let is_closed = "SELECT EXISTS (SELECT 1 FROM route WHERE blocked_ms > 0)
                         AND NOT EXISTS (SELECT 1 FROM outbox WHERE state = 'en_cours')";
        while !self.database().query_row(is_closed, [], |row| row.get::<_, bool>(0)).unwrap() {
            assert!(since.elapsed() < PATIENCE, "the way out never closes\n{}", self.state());
            pause();
        }
    }

    /// Waits until nothing is to be sent any more and all that was sent is written down.
    pub fn await_rest(&self) {
        let since = Instant::now();
        while !self.is_at_rest() {
            assert!(since.elapsed() < PATIENCE, "mails never settled\n{}", self.state());
            pause();
        }
    }

    /// Whether nothing is to be sent any more.
    pub fn is_at_rest(&self) -> bool {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM outbox WHERE state IN ('à_envoyer', 'en_cours'))";
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Whether all that this request owed is sent, and written down as sent.
    pub fn is_settled(&self, reference: &str) -> bool {
        let sql = "SELECT NOT EXISTS (
                       SELECT 1 FROM outbox JOIN mail ON mail.id = outbox.mail
                       JOIN submission ON submission.id = mail.submission
                       WHERE submission.reference = ?1 AND outbox.state IN ('à_envoyer', 'en_cours'))";
        self.database().query_row(sql, [reference], |row| row.get(0)).unwrap()
    }

    /// What `mulot demandes` says, for the message of a failure.
    pub fn state(&self) -> String {
        let run = self.test.run(&["demandes", "--guichet", "guichet.toml"]);
        format!("{}{}", run.stdout, run.stderr)
    }

    /// References in the database.
    pub fn stored(&self) -> BTreeSet<String> {
        let database = self.database();
        let mut select = database.prepare("SELECT reference FROM submission").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The database's pages are sound; asked while the program serves, so that the log stays its own.
    pub fn assert_pages(&self) {
        let report: String = self.database().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(report, "ok");
    }

    /// The same, the sums agree, and no file is lost.
    pub fn assert_sound(&self) {
        self.assert_pages();
        let sums = self.test.run(&["demandes", "reconcilier", "--guichet", "guichet.toml"]);
        assert_eq!(sums.code, 0, "{}{}", sums.stdout, sums.stderr);
    }

    fn database(&self) -> rusqlite::Connection {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(self.data().join("guichet.db"), flags).unwrap();
        database.busy_timeout(Duration::from_secs(20)).unwrap();
        database
    }
}

/// A server that runs.
pub struct Guichet {
    pub child: Child,
    pub address: SocketAddr,
}

impl Guichet {
    /// Starts the program; ready when it says its address.
    pub fn start(command: Command) -> Guichet {
        Guichet::try_start(command).unwrap_or_else(|told| panic!("the guichet did not start: {told}"))
    }

    /// The same; what it said when it gave up.
    pub fn try_start(mut command: Command) -> Result<Guichet, String> {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            told.push_str(&line);
            let address =
                line.strip_prefix("Guichet ouvert sur ").and_then(|rest| rest.split(' ').next()?.parse().ok());
            if let Some(address) = address {
                // The pipe is read to its end, so that the program never waits for us; what it says is shown on failure.
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("{line}")));
                return Ok(Guichet { child, address });
            }
        }
        let ended = child.wait();
        Err(format!("{ended:?} {told}"))
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// SIGKILL: no farewell.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Guichet {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request filled in: what the check page carries, ready to be confirmed, again and again if need be.
pub struct Filled {
    pub form: &'static str,
    pub fields: Vec<(String, String)>,
}

/// Answers that [`WITH_FILE`] accepts, those of nobody else.
pub fn answers(number: usize) -> Vec<(String, String)> {
    [
        ("objet", format!("Une benne rue du Four, {number}")),
        ("message", format!("Bonjour, je voudrais poser la benne numéro {number}.")),
        ("qualite", "personne".to_owned()),
        ("prenom", "Zélie".to_owned()),
        ("nom", format!("Quatrebarbes{number}")),
        ("adresse.voie", "3, rue du Four".to_owned()),
        ("adresse.code_postal", "01500".to_owned()),
        ("adresse.commune", "Trou-la-Ville".to_owned()),
        ("courriel", format!("zelie.{number}@exemple.fr")),
        ("telephone", String::new()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

impl Filled {
    /// The form « contact », without a file.
    pub fn contact(client: &mut Client, number: usize) -> io::Result<Filled> {
        let page = client.post("/guichet/contact/verifier", &contact(number))?;
        assert_eq!(page.status, 200, "{}", page.body);
        Ok(Filled { form: "contact", fields: hidden_inputs(&page.body) })
    }

    /// [`WITH_FILE`], with a file; the page that was given when it is not the check page.
    pub fn with_file(client: &mut Client, number: usize) -> io::Result<Result<Filled, Answer>> {
        let path = format!("/guichet/{WITH_FILE}/verifier");
        let page = client.post_with_file(&path, &answers(number), ("pieces", "plan.pdf", &pdf(number)))?;
        Ok(Filled::of_page(page))
    }

    pub fn of_page(page: Answer) -> Result<Filled, Answer> {
        if page.status != 200 {
            return Err(page);
        }
        Ok(Filled { form: WITH_FILE, fields: hidden_inputs(&page.body) })
    }

    /// Presses « Envoyer ».
    pub fn send(&self, client: &mut Client) -> io::Result<Answer> {
        client.post(&format!("/guichet/{}/envoyer", self.form), &self.fields)
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}

/// The reference an answer shows, if it is an acceptance.
pub fn reference(answer: &Answer) -> Option<String> {
    let location = answer.header("location").filter(|_| answer.status == 303)?.to_uppercase();
    location.split('/').find(|part| part.starts_with("20")).map(str::to_owned)
}

/// Between two looks at a condition.
pub fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}

/// How long a condition is waited for, however slow the machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
