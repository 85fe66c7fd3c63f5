//! What is slipped into an answer, an address or a header stays what it is: words, never markup, a header, a path, a formula.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use mail_parser::MessageParser;
use mulot::model::mail::MailRole;

use crate::server_test::*;

/// A host that is not ours, to be found nowhere.
const ELSEWHERE: &str = "ailleurs.example";

/// Sends a request to its end; gives its check page, its receipt and the bytes of its mails.
fn sent(server: &ServerTest, answers: Vec<(String, String)>) -> (Answer, Answer, Vec<Vec<u8>>) {
    let check = server.post(&format!("/guichet/{FORM}/verifier"), &answers);
    assert_eq!(check.status, 200, "{}", check.text());
    // As long as a person takes to read it again: haste and markup together would wait in quarantine.
    server.advance(SignedDuration::from_secs(20));
    let done = server.post(&format!("/guichet/{FORM}/envoyer"), &check.fields());
    assert_eq!(done.status, 303, "{}", done.text());
    let receipt = server.get(done.location());
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.mails.taken().len() < 2 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let mut mails = server.mails.taken();
    assert_eq!(mails.len(), 2);
    mails.sort_by_key(|mail| mail.role != MailRole::Mairie);
    (check, receipt, mails.iter().map(|mail| mail.bytes.to_vec()).collect())
}

fn parsed(bytes: &[u8]) -> mail_parser::Message<'_> {
    MessageParser::default().parse(bytes).expect("a mail")
}

#[test]
fn markup_is_text_in_the_pages_and_in_the_mails_the_html_part_included() {
    let server = ServerTest::guichet();
    let nasty = "</p><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7*7 }}{% include 'x' %}";
    let answers = with(with(valid_answers(), "message", nasty), "nom", "<b onclick=x>Martin</b>");
    let (check, receipt, mails) = sent(&server, answers);
    for page in [check.text(), receipt.text()] {
        assert!(!page.contains("<script") && !page.contains("<img src=x") && !page.contains("<b onclick"), "{page}");
        assert!(page.contains("{{ 7*7 }}"), "shown as it was typed: {page}");
    }
    let mairie = parsed(&mails[0]);
    let html = mairie.body_html(0).expect("an HTML part");
    assert!(!html.contains("<script") && !html.contains("<img src=x") && !html.contains("<b onclick"), "{html}");
    assert!(html.contains("&lt;script&gt;"), "{html}");
    let text = mairie.body_text(0).expect("a text part");
    assert!(text.contains("<script>alert(1)</script>"), "the text part says it as it was typed: {text}");
}

#[test]
fn a_line_end_in_an_answer_makes_no_header() {
    let server = ServerTest::guichet();
    let answers = with(valid_answers(), "objet", "Benne\r\nBcc: espion@ailleurs.example\r\n\r\nAutre corps");
    let answers = with(answers, "nom", "Martin\nX-Ajout: oui");
    let (_, _, mails) = sent(&server, answers);
    for bytes in &mails {
        let mail = parsed(bytes);
        assert!(mail.bcc().is_none() && mail.header("X-Ajout").is_none(), "{}", String::from_utf8_lossy(bytes));
        let recipients: Vec<&str> =
            mail.to().into_iter().flat_map(|to| to.iter()).filter_map(|to| to.address()).collect();
        assert_eq!(recipients.len(), 1, "{recipients:?}");
        assert!(!recipients[0].contains(ELSEWHERE));
    }
}

#[test]
fn an_address_that_holds_a_second_one_or_a_header_is_no_address() {
    let server = ServerTest::guichet();
    for wrong in [
        "zelie@exemple.fr, espion@ailleurs.example",
        "zelie@exemple.fr\r\nBcc: espion@ailleurs.example",
        "zelie@exemple.fr>\r\nRCPT TO:<espion@ailleurs.example",
        "\"a@b\"@ailleurs.example.",
        "zelie@exemple.fr%0aBcc:x@ailleurs.example",
        "zelie@exеmple.fr", // a Cyrillic « е »
        "zelie@еxample.fr@exemple.fr",
        "<zelie@exemple.fr>",
    ] {
        let answer = server.post(&format!("/guichet/{FORM}/verifier"), &with(valid_answers(), "courriel", wrong));
        assert_eq!(answer.status, 422, "{wrong:?}");
    }
    assert!(server.mails.taken().is_empty());
}

#[test]
fn marks_that_turn_the_text_around_are_taken_out() {
    let server = ServerTest::guichet();
    let answers = with(valid_answers(), "nom", "Martin\u{202e}gpj.exe\u{2066}");
    let answers = with(answers, "message", "Un\u{202d} message\u{2069} ordinaire\u{200f}.");
    let (check, receipt, mails) = sent(&server, answers);
    let mairie = parsed(&mails[0]);
    let text = mairie.body_text(0).expect("a text part").into_owned();
    for shown in [check.text(), receipt.text(), text, mairie.subject().unwrap_or_default().to_owned()] {
        assert!(!shown.contains(['\u{202d}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200f}']), "{shown}");
    }
    assert!(receipt.text().contains("Martingpj.exe"));
}

#[test]
fn a_host_that_is_not_ours_changes_no_address() {
    let server = ServerTest::guichet();
    let ask = |method: &str, path: &str, body: &[u8]| {
        let headers = [
            ("host", ELSEWHERE),
            ("x-forwarded-host", ELSEWHERE),
            ("forwarded", "host=ailleurs.example;proto=https"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        server.ask(method, path, &headers, body)
    };
    for path in ["/", "/guichet/", &format!("/guichet/{FORM}/"), "/guichet/inconnu/", "/guichet/recu/x/y"] {
        let answer = ask("GET", path, b"");
        assert!(!answer.text().contains(ELSEWHERE), "{path}: {}", answer.text());
        assert!(!answer.headers.iter().any(|(_, value)| value.contains(ELSEWHERE)), "{path}: {:?}", answer.headers);
    }
    let check = ask("POST", &format!("/guichet/{FORM}/verifier"), urlencoded(&valid_answers()).as_bytes());
    assert_eq!(check.status, 200, "{}", check.text());
    let done = ask("POST", &format!("/guichet/{FORM}/envoyer"), urlencoded(&check.fields()).as_bytes());
    assert_eq!(done.status, 303);
    assert!(done.location().starts_with("/guichet/recu/"), "{}", done.location());
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.mails.taken().len() < 2 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    for mail in server.mails.taken() {
        assert!(!String::from_utf8_lossy(&mail.bytes).contains(ELSEWHERE), "a link of a mail leads elsewhere");
    }
}

#[test]
fn no_address_of_ours_leads_elsewhere() {
    let server = ServerTest::guichet();
    for path in [
        "//ailleurs.example/",
        "//ailleurs.example/guichet/contact",
        "/\\ailleurs.example/",
        "/guichet//ailleurs.example/",
        "/guichet/%2f%2failleurs.example/",
        "/guichet/%5cailleurs.example/verifier",
        "/guichet/contact/verifier?retour=https://ailleurs.example/",
        "/guichet/contact/modifier?page=//ailleurs.example/",
        "/guichet/suivi/..%2f..%2f%2failleurs.example/x",
        "/guichet/recu/https:%2f%2failleurs.example/x",
        "/%0d%0alocation:%20https://ailleurs.example/",
        "/guichet/%0d%0aset-cookie:%20a=b/verifier",
    ] {
        let answer = server.get(path);
        if let Some(location) = answer.header("location") {
            assert!(location.starts_with('/') && !location.starts_with("//"), "{path} leads to {location}");
            assert!(!location.contains('\\') && !location.contains(ELSEWHERE), "{path} leads to {location}");
        }
        assert!(answer.header("set-cookie").is_none(), "{path}");
        assert!(!answer.text().contains("href=\"//ailleurs") && !answer.text().contains("https://ailleurs"), "{path}");
    }
}

#[test]
fn a_path_that_climbs_finds_nothing_that_was_not_published() {
    let root = tempfile::tempdir().unwrap();
    let site = root.path().join("site");
    std::fs::create_dir_all(site.join("assets")).unwrap();
    std::fs::write(site.join("index.html"), "<h1>Accueil</h1>").unwrap();
    std::fs::write(root.path().join("secret.txt"), "à ne pas lire").unwrap();
    std::os::unix::fs::symlink(root.path().join("secret.txt"), site.join("lien.txt")).unwrap();
    let server = ServerTest::guichet_with(|config| config.site = Some(site.clone()));
    assert!(server.get("/").text().contains("Accueil"));
    for path in [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "/.../secret.txt",
        "/assets//..//..//secret.txt",
        "/guichet/../../secret.txt",
        "/secret.txt%00.html",
        "/%c0%ae%c0%ae/secret.txt",
    ] {
        let answer = server.get(path);
        assert_ne!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("à ne pas lire"), "{path}");
    }
    // The database and the key of the guichet are never under an address.
    for path in ["/donnees/guichet.db", "/guichet.db", "/guichet/cle", "/cle", "/guichet.toml", "/commune.toml"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}
