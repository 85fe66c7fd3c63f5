//! Nothing personal is ever logged, at any level.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

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

/// The journal of all servers of this process, at the most talkative level.
fn journal() -> &'static Journal {
    static JOURNAL: OnceLock<Journal> = OnceLock::new();
    JOURNAL.get_or_init(|| {
        let journal = Journal::default();
        let subscriber =
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(journal.clone()).finish();
        tracing::subscriber::set_global_default(subscriber).expect("the first of this process");
        journal
    })
}

#[test]
fn nothing_of_a_person_is_in_the_journal_at_any_level() {
    let journal = journal();
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
    assert_eq!(first_trace(&said), None);
    let (followed, acted) = (follow.rsplit('/').next().unwrap(), act.rsplit('/').next().unwrap());
    for personal in ["203.0.113.77", "73 46 28", "0299734628", secret.as_str(), token.as_str(), followed, acted] {
        assert!(!said.contains(personal), "{personal}:\n{said}");
    }
}

fn first_trace(said: &str) -> Option<String> {
    said.to_lowercase().lines().find(|line| line.contains("canari")).map(str::to_owned)
}

/// Canaries let out so far.
static LET_OUT: AtomicUsize = AtomicUsize::new(0);

fn canary() -> String {
    format!("canari{:06}", LET_OUT.fetch_add(1, Ordering::Relaxed))
}

/// Headers of a talkative browser behind a talkative proxy.
fn canary_headers(content_type: &str) -> Vec<(String, String)> {
    let known = [
        "user-agent",
        "referer",
        "cookie",
        "authorization",
        "accept-language",
        "from",
        "via",
        "forwarded",
        "x-real-ip",
    ];
    let mut headers: Vec<(String, String)> = known.iter().map(|name| ((*name).to_owned(), canary())).collect();
    headers.extend((0..30).map(|_| (format!("x-{}", canary()), canary())));
    if !content_type.is_empty() {
        headers.push(("content-type".into(), content_type.into()));
    }
    headers
}

fn canary_query() -> String {
    (0..10).map(|_| format!("{}={}", canary(), canary())).collect::<Vec<_>>().join("&")
}

fn ask(server: &ServerTest, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
    let headers = canary_headers(content_type);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    server.ask(method, &format!("{path}?{}", canary_query()), &headers, body)
}

/// Answers made of canaries that the form accepts.
fn canary_answers() -> Vec<(String, String)> {
    let fields = ["objet", "message", "prenom", "nom", "adresse.voie", "adresse.commune"];
    let answers = fields.iter().fold(valid_answers(), |answers, field| with(answers, field, &canary()));
    with(answers, "courriel", &format!("{}@exemple.fr", canary()))
}

const URLENCODED: &str = "application/x-www-form-urlencoded";

fn post(server: &ServerTest, path: &str, fields: &[(String, String)]) -> Answer {
    ask(server, "POST", path, URLENCODED, urlencoded(fields).as_bytes())
}

/// The whole journey and every way to leave it, each request with its canaries.
fn every_route(server: &ServerTest) {
    let act = |act: &str| format!("/guichet/{FORM}/{act}");
    let (verify, modify, send) = (act("verifier"), act("modifier"), act("envoyer"));
    for path in [act(""), verify.clone(), modify.clone(), send.clone(), "/guichet/sante".into(), "/guichet/pret".into()]
    {
        ask(server, "GET", &path, "", b"");
        ask(server, "PUT", &path, "", b"");
    }
    ask(server, &canary().to_uppercase(), &verify, "", b"");
    for path in ["/guichet/", "/", "/guichet/recu/", "/guichet/recu/2026-AAAA-AAAA-A/"] {
        ask(server, "GET", &format!("{path}{}", canary()), "", b"");
    }
    // Names of fields, of parts and of files that no page of ours sends.
    let mut strange: Vec<(String, String)> = (0..60).map(|_| (canary(), canary())).collect();
    strange.extend(canary_answers());
    assert_eq!(post(server, &verify, &strange).status, 200);
    let mut parts = texts(&strange);
    parts.push(file("pieces", &format!("{}.exe", canary()), format!("MZ {}", canary()).as_bytes()));
    parts.push(file("pieces", &format!("{}.pdf", canary()), PDF));
    parts.push(file(&canary(), &format!("../../{}", canary()), PDF));
    assert_eq!(ask(server, "POST", &verify, &multipart_type(), &multipart(&parts)).status, 422);
    ask(server, "POST", &modify, &multipart_type(), &multipart(&parts));
    // What is not a form, and forms cut short.
    for kind in ["application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=canariborne"] {
        ask(server, "POST", &verify, kind, canary().as_bytes());
    }
    let cut = multipart(&texts(&canary_answers()));
    ask(server, "POST", &verify, &multipart_type(), &cut[..cut.len() / 2]);
    let many: Vec<(String, String)> = (0..300).map(|_| (canary(), canary())).collect();
    assert_eq!(post(server, &verify, &many).status, 400);
    let foreign = [("origin", "https://canari.example"), ("content-type", URLENCODED)];
    assert_eq!(server.ask("POST", &verify, &foreign, urlencoded(&canary_answers()).as_bytes()).status, 403);
    // The journey: to mend, forged, trapped, accepted, again, suspect.
    post(server, &verify, &with(canary_answers(), "courriel", &canary()));
    let check = post(server, &verify, &canary_answers());
    assert_eq!(check.status, 200, "{}", check.text());
    let fields = check.fields();
    assert_eq!(post(server, &send, &with(fields.clone(), "jeton", &canary())).status, 422);
    assert_eq!(post(server, &send, &with(fields.clone(), "site_web", &canary())).status, 422);
    assert_eq!(post(server, &send, &with(fields.clone(), "fichier.pieces", &"0".repeat(32))).status, 422);
    let sent = post(server, &send, &fields);
    assert_eq!(sent.status, 303);
    assert_eq!(post(server, &send, &fields).status, 303);
    assert_eq!(ask(server, "GET", sent.location(), "", b"").status, 200);
    ask(server, "GET", &sent.location()[..sent.location().len() - 3], "", b"");
    let selling = format!("<a href=https://{}.example>casino</a> https://{}.example", canary(), canary());
    let check = post(server, &verify, &with(canary_answers(), "message", &selling));
    assert_eq!(post(server, &send, &check.fields()).status, 303);
}

#[test]
fn ten_thousand_canaries_over_every_route_and_error_leave_no_trace() {
    let journal = journal();
    let begun = Instant::now();
    let server = ServerTest::guichet_with(|config| {
        config.rates.receipts = 1;
        config.rates.form_sends = 1000;
    });
    let mut rounds = 0;
    while LET_OUT.load(Ordering::Relaxed) < 10_000 {
        assert!(begun.elapsed() < Duration::from_secs(240), "too slow: {rounds} rounds");
        every_route(&server);
        rounds += 1;
    }
    // The same address again and again, then a disk that is full, then a guichet that stops taking.
    let answers = canary_answers();
    for _ in 0..2 {
        let check = post(&server, &format!("/guichet/{FORM}/verifier"), &answers);
        post(&server, &format!("/guichet/{FORM}/envoyer"), &check.fields());
    }
    let full = ServerTest::guichet_with(|config| {
        config.reserve_bytes = u64::MAX >> 1;
        config.rates.email_sends = 1;
    });
    let check = post(&full, &format!("/guichet/{FORM}/verifier"), &canary_answers());
    assert_eq!(post(&full, &format!("/guichet/{FORM}/envoyer"), &check.fields()).status, 503);
    let again = post(&full, &format!("/guichet/{FORM}/verifier"), &with(check.fields(), "message", &canary()));
    assert_eq!(post(&full, &format!("/guichet/{FORM}/envoyer"), &again.fields()).status, 429);
    let said = String::from_utf8_lossy(&journal.0.lock().unwrap()).into_owned();
    for outcome in [
        "questions",
        "check",
        "to_mend",
        "modify",
        "accepted",
        "again",
        "trap",
        "forged",
        "receipt",
        "no_receipt",
        "no_form",
        "not_found",
        "method",
        "not_a_form",
        "malformed",
        "too_many_parts",
        "cross_site",
        "too_many",
        "unavailable",
    ] {
        assert!(said.contains(&format!("outcome=\"{outcome}\"")), "{outcome} was reached");
    }
    assert!(said.contains("quarantined") && said.contains("receipt.capped") && said.contains("accept.failed"));
    assert_eq!(first_trace(&said), None, "after {} canaries", LET_OUT.load(Ordering::Relaxed));
}
