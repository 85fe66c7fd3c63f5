//! Nothing personal is ever logged, at any level.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::server_test::*;

/// Everything logged by this process.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<u8>>>);

impl Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = Journal;

    fn make_writer(&'a self) -> Journal {
        self.clone()
    }
}

#[test]
fn nothing_of_a_person_is_in_the_journal_at_any_level() {
    let journal = Journal::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(journal.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first of this process");
    let server = ServerTest::guichet_with(|config| config.proxies = vec!["127.0.0.1".parse().unwrap()]);
    let canaries = [
        ("objet", "canariobjet"),
        ("message", "canarimessage"),
        ("prenom", "Canariprenom"),
        ("nom", "Canarinom"),
        ("adresse.voie", "1 rue canarivoie"),
        ("adresse.commune", "Canariville"),
        ("courriel", "canaricourriel@exemple.fr"),
        ("telephone", "02 99 73 46 28"),
    ];
    let answers = canaries.iter().fold(valid_answers(), |fields, (name, value)| with(fields, name, value));
    let mut parts = texts(&answers);
    parts.push(file("pieces", "canarifichier.pdf", PDF));
    parts.push(file("pieces", "canarirefuse.exe", b"MZ canaricontenu"));
    let verify = format!("/guichet/{FORM}/verifier?canariquestion=1");
    assert_eq!(server.post_parts(&verify, &parts).status, 422);
    parts.pop();
    let headers = [
        ("content-type", multipart_type()),
        ("x-forwarded-for", "203.0.113.77".into()),
        ("user-agent", "canariagent".into()),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let check = server.ask("POST", &verify, &headers, &multipart(&parts));
    assert_eq!(check.status, 200);
    let sent = server.post(&format!("/guichet/{FORM}/envoyer"), &check.fields());
    assert_eq!(sent.status, 303);
    assert_eq!(server.get(sent.location()).status, 200);
    assert_eq!(server.get("/guichet/canariadresse@exemple.fr/").status, 404);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.mails.taken().len() < 2 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    // What follows: the resident's page, the mairie's letter, a file more.
    let page = server.get(sent.location()).text();
    let follow = page.split("href=\"").find(|rest| rest.starts_with("/guichet/suivi/")).unwrap();
    let follow = follow.split('"').next().unwrap().to_owned();
    assert_eq!(server.get(&follow).status, 200);
    let request = server.mails.taken().into_iter().find(|mail| mail.role.as_str() == "mairie").unwrap();
    let request = mail_parser::MessageParser::default().parse(request.bytes.as_slice()).unwrap();
    let text = request.body_text(0).unwrap().into_owned();
    let act = text.split_whitespace().find(|word| word.contains("/guichet/agir/")).unwrap();
    let act = act[act.find("/guichet/").unwrap()..].to_owned();
    let letter = [
        ("version", "0"),
        ("lettre", "canarilettre"),
        ("pieces", "canaripiece"),
        ("date_limite", "2099-01-01"),
        ("agent_prenom", "Canariagent"),
        ("agent_nom", "Canarisigne"),
        ("agent_qualite", "canariqualite"),
    ];
    let letter = letter.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(server.post(&format!("{act}/demander-des-pieces"), &letter).status, 303);
    let more = [file("pieces", "canarisuite.pdf", PDF)];
    assert_eq!(server.post_parts(&format!("{follow}/completer"), &more).status, 303);
    while server.mails.taken().len() < 6 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    let said = String::from_utf8(journal.0.lock().unwrap().clone()).unwrap();
    assert!(
        said.contains("outcome=\"accepted\"") && said.contains("delivery attempt"),
        "the journal was read:\n{said}"
    );
    let secret = sent.location().rsplit('/').next().unwrap().to_owned();
    let token = check.field("jeton").unwrap();
    assert_eq!(said.to_lowercase().lines().find(|line| line.contains("canari")), None);
    let (followed, acted) = (follow.rsplit('/').next().unwrap(), act.rsplit('/').next().unwrap());
    for personal in ["203.0.113.77", "73 46 28", "0299734628", secret.as_str(), token.as_str(), followed, acted] {
        assert!(!said.contains(personal), "{personal}:\n{said}");
    }
}
