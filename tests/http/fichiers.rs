//! Files as residents send them and as the mairie gets them: pictures made again, dangers refused, links, limits, antivirus.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use mail_parser::{MessageParser, MimeHeaders};
use mulot::intake::files::scanner::ScannerAddress;
use mulot::model::mail::MailRole;

use crate::photo::photo;
use crate::server_test::*;

/// Posts the answers with these files; gives the page.
fn verified(server: &ServerTest, files: &[(&str, &[u8])]) -> Answer {
    let mut parts = texts(&valid_answers());
    parts.extend(files.iter().map(|(name, bytes)| file("pieces", name, bytes)));
    server.post_parts(&format!("/guichet/{FORM}/verifier"), &parts)
}

/// Sends the request; gives the text of the mairie's mail, its attachments, and its JSON.
fn sent(server: &ServerTest, check: &Answer) -> (String, Vec<(String, Vec<u8>)>) {
    assert_eq!(check.status, 200, "{}", check.text());
    let receipt = server.post(&format!("/guichet/{FORM}/envoyer"), &check.fields());
    assert_eq!(receipt.status, 303, "{}", receipt.text());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(mail) = server.mails.taken().iter().find(|mail| mail.role == MailRole::Mairie) {
            let message = MessageParser::default().parse(mail.bytes.as_slice()).unwrap();
            let text = message.body_text(0).unwrap().replace("\r\n", "\n");
            let attached = message
                .attachments()
                .map(|part| (part.attachment_name().unwrap_or("").to_owned(), part.contents().to_vec()));
            return (text, attached.collect());
        }
        assert!(Instant::now() < deadline, "no mail came");
        std::thread::yield_now();
    }
}

/// A PDF of so many bytes.
fn pdf(size: usize) -> Vec<u8> {
    let mut bytes = b"%PDF-1.4\n%".to_vec();
    bytes.resize(size - 7, b' ');
    bytes.extend(b"\n%%EOF\n");
    bytes
}

/// The 68 bytes that every antivirus must find, in two halves so that none finds them here.
fn eicar() -> Vec<u8> {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STAND", "ARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[test]
fn photos_reach_the_mairie_upright_and_without_their_place() {
    let server = ServerTest::guichet();
    let heic = include_bytes!("../fichiers/degrade.heic");
    let check = verified(&server, &[("IMG_0001.JPG", &photo(400, 200)), ("IMG_0002.HEIC", heic)]);
    assert!(check.text().contains("IMG_0002.jpg"), "{}", check.text());
    let (_, attached) = sent(&server, &check);
    let names: Vec<&str> = attached.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["IMG_0001.jpg", "IMG_0002.jpg", "demande.json"]);
    let upright = image::load_from_memory(&attached[0].1).unwrap();
    assert_eq!((upright.width(), upright.height()), (200, 400));
    for (name, bytes) in &attached[..2] {
        for gone in [&b"CANARI"[..], b"Exif", b"<script"] {
            assert!(!holds(bytes, gone), "{name}");
        }
    }
}

#[test]
fn dangers_are_refused_with_words_and_the_rest_is_kept() {
    let server = ServerTest::guichet();
    let eicar = eicar();
    let launch = b"%PDF-1.7\n1 0 obj<</S/Launch/F(cmd.exe)>>endobj\n%%EOF\n";
    for (name, bytes, words) in [
        ("facture.pdf", &b"MZ\x90\0\x03\0\0\0"[..], "est un programme"),
        ("logo.png", b"<svg onload=\"alert(1)\">", "dessin SVG"),
        ("page.pdf", b"<!DOCTYPE html><script>1</script>", "page web"),
        ("dossier.pdf", b"PK\x03\x04\x14\0\0\0\x08\0", "dossier compress"),
        ("contrat.pdf", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ancien format"),
        ("anim.png", b"GIF89a", "pas d’un format accept"),
        ("test.pdf", &eicar, "contient un virus"),
        ("lance.pdf", launch, "lance un programme"),
        ("coupee.jpg", &photo(80, 60)[..900], "abîmée ou incomplète"),
        ("iphone.heic", &include_bytes!("../fichiers/degrade.heic")[..300], "capture d’écran"),
    ] {
        let page = verified(&server, &[(name, bytes), ("plan.pdf", PDF)]);
        let text = page.text();
        assert_eq!(page.status, 422, "{name}");
        assert!(text.contains(words), "{name}: {words}\n{text}");
        assert_eq!(page.field("objet").as_deref(), Some("Une benne rue du Four"));
        assert!(page.field("fichier.pieces").is_some() && text.contains("plan.pdf"), "the good one stays");
    }
    let drafts = std::fs::read_dir(server.data().join("entrants")).unwrap().count();
    assert_eq!(drafts, 20, "ten good files and their descriptions, nothing of the others");
}

/// The path of a file in a mail.
fn piece_path(text: &str) -> String {
    let at = text.find("/guichet/piece/").unwrap_or_else(|| panic!("no link: {text}"));
    text[at..].split_whitespace().next().unwrap().to_owned()
}

#[test]
fn what_is_too_heavy_for_the_mail_is_read_by_a_link() {
    let server = ServerTest::guichet();
    let (first, second) = (pdf(4 << 20), pdf((4 << 20) + 1));
    let check = verified(&server, &[("premier.pdf", &first), ("le « second » é.pdf", &second)]);
    let (text, attached) = sent(&server, &check);
    let names: Vec<&str> = attached.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["premier.pdf", "demande.json"], "the mail stays under seven megabytes");
    for words in ["joint à ce message", "à télécharger (adresse plus bas)", "(30 jours)", "Fichiers à télécharger"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let path = piece_path(&text);
    let json = String::from_utf8(attached[1].1.clone()).unwrap();
    assert!(json.contains(&path), "{json}");
    for _ in 0..2 {
        let given = server.get(&path);
        assert_eq!(given.status, 200);
        assert!(given.body == second, "the same bytes, as often as they are asked for");
        assert_eq!(given.header("content-type"), Some("application/pdf"));
        let disposition = given.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\"le _ second _ _.pdf\"; filename*=UTF-8''le%20%C2%AB"));
        assert_eq!(given.header("cache-control"), Some("no-store"));
        assert_eq!(given.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(given.header("content-security-policy"), Some("default-src 'none'; sandbox"));
        assert_eq!(given.header("x-frame-options"), Some("DENY"));
        for name in ["permissions-policy", "cross-origin-resource-policy", "referrer-policy"] {
            assert!(given.header(name).is_some(), "{name}");
        }
    }
    assert_eq!(server.ask("HEAD", &path, &[], b"").status, 200);
    let mut forged = path.clone().into_bytes();
    let at = forged.len() - 40;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let unknown = server.get(&String::from_utf8(forged).unwrap());
    assert_eq!((unknown.status, unknown.text().contains("Lien inconnu")), (404, true));
    assert_eq!(server.get("/guichet/piece/abc").status, 404);

    server.advance(SignedDuration::from_hours(24 * 31));
    let expired = server.get(&path);
    assert_eq!(expired.status, 410);
    assert!(expired.text().contains("plus de trente jours"), "{}", expired.text());
    // The page of the request gives a new link, for both files.
    let at = text.find("/guichet/agir/").unwrap();
    let page = server.get(text[at..].split_whitespace().next().unwrap()).text();
    let fresh: Vec<&str> = page.split("href=\"").filter(|rest| rest.starts_with("/guichet/piece/")).collect();
    assert_eq!(fresh.len(), 2, "{page}");
    assert!(server.get(fresh[1].split('"').next().unwrap()).body == second);

    // A byte of the disk changes: what was not sent is never given.
    for shelf in std::fs::read_dir(server.data().join("pj")).unwrap().flatten() {
        for kept in std::fs::read_dir(shelf.path()).unwrap().flatten() {
            let mut bytes = std::fs::read(kept.path()).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(kept.path(), bytes).unwrap();
        }
    }
    let cut = server.get(fresh[1].split('"').next().unwrap());
    assert!(cut.body.len() < second.len(), "cut short");
}

#[test]
fn too_many_files_in_waiting_are_told_with_another_way() {
    let server = ServerTest::guichet_with(|config| config.files.max_draft_bytes = 100_000);
    let one = pdf(60_000);
    assert_eq!(verified(&server, &[("a.pdf", &one)]).status, 200);
    let page = verified(&server, &[("b.pdf", &one)]);
    assert_eq!(page.status, 422);
    for words in ["trop de fichiers en attente", "Vos réponses sont gardées", "appelez le"] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
    assert_eq!(page.field("nom").as_deref(), Some("Quatrebarbes"));
    // Without a file the request goes.
    assert_eq!(verified(&server, &[]).status, 200);
}

#[test]
fn an_absent_antivirus_stops_nobody_and_the_mairie_is_told() {
    let server = ServerTest::guichet_with(|config| {
        config.files.scanner = Some(ScannerAddress::Unix("/nulle/part/clamd.ctl".into()));
    });
    let (text, attached) = sent(&server, &verified(&server, &[("plan.pdf", PDF)]));
    assert!(text.contains("non analysé par l'antivirus"), "{text}");
    assert!(text.contains("L’antivirus n’a pas pu regarder"), "{text}");
    assert!(String::from_utf8(attached[1].1.clone()).unwrap().contains("non_analyse"));
}

#[test]
fn what_the_antivirus_finds_is_refused_and_what_it_passes_is_not_called_safe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clamd.ctl");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut all = Vec::new();
            let mut chunk = [0; 4096];
            while !all.ends_with(&[0, 0, 0, 0]) {
                let read = stream.read(&mut chunk).unwrap();
                all.extend(&chunk[..read]);
            }
            let answer: &[u8] = if holds(&all, b"MAUVAIS") { b"stream: Essai FOUND\0" } else { b"stream: OK\0" };
            stream.write_all(answer).unwrap();
        }
    });
    let server = ServerTest::guichet_with(|config| config.files.scanner = Some(ScannerAddress::Unix(path)));
    let bad = verified(&server, &[("a.pdf", b"%PDF-1.4\n%MAUVAIS\n%%EOF\n")]);
    assert_eq!((bad.status, bad.text().contains("contient un virus")), (422, true), "{}", bad.text());
    let (text, _) = sent(&server, &verified(&server, &[("plan.pdf", PDF)]));
    assert!(!text.contains("antivirus"), "{text}");
}

/// A clamd of our own: its socket, its signatures and nothing of the system's; ended with the value.
struct Clamd {
    folder: tempfile::TempDir,
    child: Child,
}

impl Clamd {
    fn start() -> Clamd {
        let folder = tempfile::Builder::new().prefix("mulot-clamd").tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("base")).unwrap();
        // Two signatures of our own, in hexadecimal: the test file of EICAR, and a word of these tests.
        let hex = |text: &[u8]| data_encoding::HEXLOWER.encode(text);
        let signatures =
            format!("Essai.Eicar:0:*:{}\nEssai.Mot:0:*:{}\n", hex(&eicar()), hex(b"MOT-QUE-L-ANTIVIRUS-CHERCHE"));
        std::fs::write(path("base/essai.ndb"), signatures).unwrap();
        let settings = format!(
            "LocalSocket {}\nDatabaseDirectory {}\nForeground yes\nLogFile {}\nStreamMaxLength 2M\nOfficialDatabaseOnly no\n",
            path("clamd.ctl"),
            path("base"),
            path("journal"),
        );
        std::fs::write(path("clamd.conf"), settings).unwrap();
        let program = ["/usr/sbin/clamd", "clamd"].into_iter().find(|program| {
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        });
        let program = program.expect("clamd is needed: apt install clamav-daemon (tests/tout.sh does it)");
        let child = Command::new(program)
            .arg(format!("--config-file={}", path("clamd.conf")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let clamd = Clamd { folder, child };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::os::unix::net::UnixStream::connect(clamd.socket()).is_err() {
            let journal = std::fs::read_to_string(clamd.folder.path().join("journal")).unwrap_or_default();
            assert!(Instant::now() < deadline, "clamd does not answer: {journal}");
            std::thread::sleep(Duration::from_millis(50));
        }
        clamd
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("clamd.ctl")
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_clamd_is_asked() {
    let clamd = Clamd::start();
    let socket = clamd.socket();
    let server = ServerTest::guichet_with(|config| config.files.scanner = Some(ScannerAddress::Unix(socket)));
    let found = verified(&server, &[("a.pdf", b"%PDF-1.4\n%MOT-QUE-L-ANTIVIRUS-CHERCHE\n%%EOF\n")]);
    assert_eq!((found.status, found.text().contains("contient un virus")), (422, true), "{}", found.text());
    // Larger than this clamd takes: it says so, and the file is taken with a word to the mairie.
    let check = verified(&server, &[("sain.pdf", PDF), ("lourd.pdf", &pdf(3 << 20))]);
    let (text, _) = sent(&server, &check);
    let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(!line("sain.pdf").contains("analys"), "{text}");
    assert!(line("lourd.pdf").contains("non analysé"), "{text}");
}
