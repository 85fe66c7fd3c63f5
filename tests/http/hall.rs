//! One guichet for the communes of a territoire: who answers where, who sleeps, who is left alone by the trouble of others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp, Zoned};
use mulot::diagnostic::{Code, Diagnostic, Place};

use crate::server_test::*;

/// Waits until something is so.
fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn get(server: &ServerTest, host: &str, path: &str) -> Answer {
    server.ask("GET", path, &[("host", host)], b"")
}

fn post(server: &ServerTest, host: &str, path: &str, fields: &[(String, String)]) -> Answer {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    server.ask("POST", path, &[("host", host), kind], urlencoded(fields).as_bytes())
}

/// A request from its first page to its receipt; gives where the receipt is.
fn send(server: &ServerTest, host: &str, under: &str) -> String {
    // The same words again and again would look written by a machine.
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let number = SENT.fetch_add(1, Ordering::Relaxed);
    let answers = with(valid_answers(), "message", &format!("Une benne devant le numéro {number}, s'il vous plaît."));
    let answers = with(answers, "courriel", &format!("zelie.{number}@exemple.fr"));
    let check = post(server, host, &format!("{under}/guichet/{FORM}/verifier"), &answers);
    assert_eq!(check.status, 200, "{}", check.text());
    let sent = post(server, host, &format!("{under}/guichet/{FORM}/envoyer"), &check.fields());
    assert_eq!(sent.status, 303, "{}", sent.text());
    sent.location().to_owned()
}

fn mails_from(server: &ServerTest, name: &str) -> usize {
    server.mails.taken().iter().filter(|mail| mail.from == format!("formulaires@{name}.example")).count()
}

#[test]
fn each_host_leads_to_its_commune_and_nothing_is_shared() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, _| {});
    assert_eq!((server.census().communes, server.census().awake), (2, 0), "nothing is opened before it is needed");
    for (host, name, other) in
        [("grillon.example", "grillon", "mesange"), ("MESANGE.example:443", "mesange", "grillon")]
    {
        let page = get(&server, host, &format!("/guichet/{FORM}/"));
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.text().contains(name) && !page.text().contains(other), "{}", page.text());
        let place = send(&server, host, "");
        assert_eq!(get(&server, host, &place).status, 200);
        let elsewhere = get(&server, &format!("{other}.example"), &place);
        assert_eq!(elsewhere.status, 404, "a receipt of one commune is unknown to the other");
        until("the mails leave", || mails_from(&server, name) == 2);
        assert!(server.data().join(name).join("guichet.db").is_file());
    }
    let keys = ["grillon", "mesange"].map(|name| std::fs::read(server.data().join(name).join("cle")).unwrap());
    assert_ne!(keys[0], keys[1], "each has its key");
    assert_eq!(server.census().awake, 2);
}

#[test]
fn an_unknown_host_learns_nothing_and_the_machine_itself_learns_only_that_all_is_well() {
    let server = ServerTest::hall_with(&["grillon"], |_, _| {});
    for host in ["ailleurs.example", "grillon.example.ailleurs.example", "127.0.0.1", ""] {
        let answer = get(&server, host, &format!("/guichet/{FORM}/"));
        assert_eq!(answer.status, 421, "{host}");
        assert!(!answer.text().contains("grillon"), "{}", answer.text());
        assert!(answer.header("content-security-policy").is_some());
    }
    let mut nameless = server.connect();
    nameless.send(b"GET /guichet/x/ HTTP/1.0\r\n\r\n");
    assert!(nameless.answer().status >= 400);
    assert_eq!(server.get("/guichet/sante").status, 200);
    let ready = server.get("/guichet/pret");
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (200, "{\"pret\":true,\"raisons\":[],\"communes\":1,\"ouvertes\":0,\"en_panne\":0}\n")
    );
    assert_eq!(get(&server, "grillon.example", "/guichet/pret").status, 200, "the commune's own, on its host");
}

#[test]
fn communes_may_share_a_host_each_under_its_path() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, territoire| {
        let shared = "nom = \"Communauté\"\n[defauts.guichet]\nadresse = \"https://guichet.example/{commune}\"\n";
        std::fs::write(territoire.join("territoire.toml"), shared).unwrap();
    });
    let host = "guichet.example";
    for name in ["grillon", "mesange"] {
        let under = format!("/{name}");
        let page = get(&server, host, &format!("{under}/guichet/{FORM}/"));
        assert_eq!(page.status, 200, "{}", page.text());
        let text = page.text();
        let style = text.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|url| url.ends_with(".css"));
        let style = style.unwrap_or_else(|| panic!("no style: {text}"));
        assert!(style.starts_with(&format!("{under}/assets/")), "{style}");
        let sheet = get(&server, host, style);
        assert_eq!(sheet.status, 200);
        // Its fonts are beside it.
        let font = sheet.text().split("url(\"").nth(1).map(|rest| rest.split('"').next().unwrap().to_owned()).unwrap();
        assert!(!font.contains('/'), "{font}");
        assert_eq!(get(&server, host, &format!("{under}/assets/{font}")).status, 200, "{font}");
        for root_relative in ["action=\"/guichet", "href=\"/guichet", "href=\"/assets", "src=\"/"] {
            assert!(!page.text().contains(root_relative), "{root_relative}: {}", page.text());
        }
        let place = send(&server, host, &under);
        assert!(place.starts_with(&format!("{under}/guichet/recu/")), "{place}");
        let receipt = get(&server, host, &place);
        assert_eq!(receipt.status, 200, "{place}");
        let follow = format!("{under}/guichet/suivi/");
        let text = receipt.text();
        let at = text.find(&follow).unwrap_or_else(|| panic!("no follow-up: {text}"));
        let follow = text[at..].split('"').next().unwrap();
        assert_eq!(get(&server, host, follow).status, 200, "{follow}");
        assert_eq!(get(&server, host, &under).location(), format!("{under}/"));
        until("the mails leave", || mails_from(&server, name) == 2);
    }
    let request = server.mails.taken().into_iter().find(|mail| mail.to == "mairie@mesange.example").unwrap();
    let message = mail_parser::MessageParser::default().parse(request.bytes.as_slice()).unwrap();
    let text = message.body_text(0).unwrap().into_owned();
    let at = text.find("https://guichet.example/mesange/guichet/agir/").unwrap_or_else(|| panic!("{text}"));
    let act = text[at + "https://guichet.example".len()..].split_whitespace().next().unwrap().to_owned();
    let page = get(&server, host, &act);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("href=\"/mesange/guichet/agir/"), "{}", page.text());
    assert_eq!(get(&server, host, "/ailleurs/guichet/x/").status, 404);
    assert_eq!(
        get(&server, "mesange.example", &format!("/guichet/{FORM}/")).status,
        200,
        "its own host leads there too"
    );
}

#[test]
fn two_communes_at_one_address_are_refused_before_anything_is_open() {
    let server = ServerTest::hall_with(&["grillon"], |_, _| {});
    add_commune(&server.territoire(), "double");
    edit(&server.territoire().join("communes/double/commune.toml"), "double.example\"", "grillon.example\"");
    let told = server.reload_with(|_, _| {}).unwrap_err();
    assert!(told[0].message.contains("« grillon.example » est déjà l'adresse de la commune"), "{told:?}");
    assert_eq!(get(&server, "grillon.example", &format!("/guichet/{FORM}/")).status, 200);
}

#[test]
fn communes_that_start_with_one_address_are_reached_by_nobody_and_the_others_are() {
    let server = ServerTest::hall_with(&["grillon", "double", "pinson"], |_, territoire| {
        edit(&territoire.join("communes/double/commune.toml"), "double.example\"", "grillon.example\"");
    });
    assert_eq!(get(&server, "pinson.example", &format!("/guichet/{FORM}/")).status, 200);
    assert_eq!(get(&server, "grillon.example", &format!("/guichet/{FORM}/")).status, 421);
    // What was wrong already keeps nothing else from coming in.
    add_commune(&server.territoire(), "nouvelle");
    server.reload_with(|_, _| {}).unwrap();
    assert_eq!(get(&server, "nouvelle.example", &format!("/guichet/{FORM}/")).status, 200);
    edit(&server.territoire().join("communes/double/commune.toml"), "grillon.example\"", "double.example\"");
    server.reload_with(|_, _| {}).unwrap();
    for name in ["grillon", "double"] {
        assert_eq!(get(&server, &format!("{name}.example"), &format!("/guichet/{FORM}/")).status, 200, "{name}");
    }
}

#[test]
fn a_broken_commune_says_whom_to_call_and_the_others_go_on() {
    let server = ServerTest::hall_with(&["casse", "grillon", "pleine"], |_, territoire| {
        std::fs::write(territoire.join("communes/casse/pages/mairie/index.md"), "+++\ntitre = \n+++\n").unwrap();
    });
    std::fs::create_dir_all(server.data()).unwrap();
    std::fs::write(server.data().join("pleine"), "pas un dossier").unwrap();
    for name in ["casse", "pleine"] {
        let answer = get(&server, &format!("{name}.example"), &format!("/guichet/{FORM}/"));
        assert_eq!(answer.status, 503, "{name}");
        assert!(answer.text().contains("04 65 71 00 01") && answer.text().contains(name), "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(get(&server, "grillon.example", &format!("/guichet/{FORM}/")).status, 200);
    assert_eq!(server.census().broken, 2);
}

#[test]
fn an_open_commune_whose_file_breaks_goes_on_with_what_it_had_read() {
    let server = ServerTest::hall_with(&["grillon", "mesange", "pinson"], |_, _| {});
    let form = format!("/guichet/{FORM}/");
    for name in ["grillon", "mesange"] {
        assert_eq!(get(&server, &format!("{name}.example"), &form).status, 200, "{name}");
    }
    let file = |name: &str| server.territoire().join(format!("communes/{name}/commune.toml"));
    // All that follows is taken for a part of a list: even the name of the commune is gone.
    for name in ["grillon", "pinson"] {
        let text = std::fs::read_to_string(file(name)).unwrap();
        std::fs::write(file(name), format!("devise = [\n{text}")).unwrap();
    }
    // Settings that would have it opened anew, too.
    server.reload_with(|config, _| config.common.form_limits.mail_bytes = 3 << 20).unwrap();
    assert_eq!(get(&server, "grillon.example", &form).status, 200);
    server.advance(SignedDuration::from_mins(16));
    until("the other one sleeps", || server.census().awake == 1);
    assert_eq!(get(&server, "grillon.example", &form).status, 200, "it could not be opened again: it stays");
    // Who was asleep cannot be opened; it says whom to call.
    let closed = get(&server, "pinson.example", &form);
    assert!(closed.status == 503 && closed.text().contains("04 65 71 00 01"), "{}", closed.text());
    for name in ["grillon", "pinson"] {
        edit(&file(name), "devise = [\n", "");
    }
    server.reload_with(|_, _| {}).unwrap();
    assert_eq!(get(&server, "pinson.example", &form).status, 200);
    server.advance(SignedDuration::from_mins(16));
    until("all sleep", || server.census().awake == 0);
    assert_eq!(get(&server, "grillon.example", &form).status, 200);
}

#[test]
fn a_territoire_that_moved_is_read_at_its_new_place() {
    let server = ServerTest::hall_with(&["grillon"], |_, _| {});
    let form = format!("/guichet/{FORM}/");
    assert_eq!(get(&server, "grillon.example", &form).status, 200);
    let moved = server.territoire().with_file_name("ailleurs");
    std::fs::rename(server.territoire(), &moved).unwrap();
    edit(&moved.join("communes/grillon/commune.toml"), "04 65 71 00 01", "04 65 71 00 02");
    let there = moved.clone();
    server
        .reload_with(move |config, _| {
            (config.common.folder, config.territoire) = (there.clone(), Some(there));
        })
        .unwrap();
    until("the new place is read", || {
        get(&server, "grillon.example", &form).text().contains("04\u{a0}65\u{a0}71\u{a0}00\u{a0}02")
    });
}

#[test]
fn a_file_that_breaks_before_the_next_start_leaves_the_telephone() {
    let mut first = ServerTest::hall_with(&["grillon"], |_, _| {});
    let form = format!("/guichet/{FORM}/");
    assert_eq!(get(&first, "grillon.example", &form).status, 200);
    first.reload_with(|_, _| {}).unwrap();
    first.ask_to_stop();
    first.wait_stopped();
    let file = first.territoire().join("communes/grillon/commune.toml");
    std::fs::write(&file, format!("devise = [\n{}", std::fs::read_to_string(&file).unwrap())).unwrap();
    let second = ServerTest::hall_with(&[], |config, _| {
        (config.common.folder, config.common.data) = (first.territoire(), first.data());
        config.territoire = Some(first.territoire());
    });
    let closed = get(&second, "grillon.example", &form);
    assert_eq!(closed.status, 503, "{}", closed.text());
    assert!(closed.text().contains("grillon") && closed.text().contains("04 65 71 00 01"), "{}", closed.text());
}

/// The program, run on the guichet of a server that serves.
fn mulot(server: &ServerTest, words: &[&str]) -> (i32, String, String) {
    let data = server.data();
    let root = data.parent().unwrap();
    let config = "territoire = \"territoire\"\ndonnees = \"donnees\"\n[courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n";
    std::fs::write(root.join("guichet.toml"), config).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mulot"));
    let output = command.args(words).current_dir(root).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(['\u{a0}', '\u{202f}'], " ");
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn orders_on_a_territoire_name_the_commune_and_find_it() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, _| {});
    for name in ["grillon", "mesange"] {
        send(&server, &format!("{name}.example"), "");
        until("the mails leave", || mails_from(&server, name) == 2);
    }
    let mail = server.mails.taken().into_iter().find(|mail| mail.from.contains("mesange")).unwrap();
    let reference = mail.reference.as_str();
    let (code, seen, said) = mulot(&server, &["demandes", "voir", reference]);
    assert!(code == 0 && seen.contains(reference) && said.contains("— mesange"), "{seen} {said}");
    let (code, _, said) = mulot(&server, &["demandes", "voir", "2026-K7M2-QX4D-3"]);
    assert!(code == 1 && !said.contains("dites laquelle"), "{said}");
    // What waits is told with its commune, in a file as on a terminal.
    let (code, _, said) = mulot(&server, &["demandes", "renvoyer", reference, "--tout"]);
    assert_eq!(code, 0, "{said}");
    let (_, told, _) = mulot(&server, &["demandes", "liste"]);
    let waiting = told.lines().filter(|line| line.contains("à la mairie") || line.contains("à l'usager"));
    assert!(waiting.clone().all(|line| line.starts_with("mesange  ")) && !told.contains("grillon"), "{told}");
    let (_, told, _) = mulot(&server, &["demandes", "reconcilier"]);
    assert!(told.contains("— grillon\n") && told.contains("— mesange\n"), "{told}");
    let (_, told, _) = mulot(&server, &["demandes", "quarantaine", "--format", "json"]);
    assert_eq!(told.trim(), "[]");
}

#[test]
fn the_mailboxes_of_a_territoire_are_listed_with_their_commune() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |config, _| config.common.confirms_mailboxes = true);
    let told = || mulot(&server, &["demandes", "destinataires"]);
    until("both are known", || told().1.lines().count() == 2);
    let (code, list, _) = told();
    assert_eq!(code, 1, "they are to be confirmed");
    for name in ["grillon", "mesange"] {
        let is_its = |line: &str| line.starts_with(name) && line.contains(&format!("mairie@{name}.example"));
        assert!(list.lines().any(is_its), "{list}");
    }
    // The order that the mail gives is one that is understood.
    until("the codes leave", || server.mails.taken().len() == 2);
    for mail in server.mails.taken() {
        let message = mail_parser::MessageParser::default().parse(mail.bytes.as_slice()).unwrap();
        let text = message.body_text(0).unwrap().into_owned();
        let name = mail.to.split(['@', '.']).nth(1).unwrap();
        assert!(text.contains(&format!("destinataires --commune {name} --confirmer ")), "{text}");
    }
}

#[test]
fn backups_of_a_territoire_are_dated_made_apart_and_brought_back() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, _| {});
    for name in ["grillon", "mesange"] {
        send(&server, &format!("{name}.example"), "");
    }
    let (_, told, said) = mulot(&server, &["demandes"]);
    assert!(told.contains("Sauvegarde") && told.matches("jamais").count() == 2, "{told} {said}");
    let (code, _, said) = mulot(&server, &["backup", "donnees/copie"]);
    assert!(code == 1 && said.contains("est dans le dossier de données"), "{said}");
    assert!(!server.data().join("copie").exists());
    let (code, _, said) = mulot(&server, &["backup", "copie", "--avec-la-cle"]);
    assert!(code == 0 && said.contains("2 communes sauvegardées"), "{said}");
    let (_, told, _) = mulot(&server, &["demandes"]);
    assert!(!told.contains("jamais") && told.contains("moins d'1 h"), "{told}");
    let (_, told, _) = mulot(&server, &["demandes", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(rows[0]["derniere_sauvegarde"].is_string() && rows[0]["sauvegarde_a_faire"] == false, "{rows}");
    // The copy of all communes fits no folder of one.
    let (code, _, said) = mulot(&server, &["restore", "--guichet", "ailleurs", "copie"]);
    assert!(
        code == 1 && said.contains("la sauvegarde d'un territoire (2 communes)") && said.contains("grillon"),
        "{said}"
    );
    let (code, _, said) = mulot(&server, &["restore", "--guichet", "ailleurs", "--commune", "grillon", "copie"]);
    assert!(code == 0 && said.contains("1 demande"), "{said}");
    assert!(server.data().with_file_name("ailleurs").join("grillon/guichet.db").is_file());
    // Brought back over what is there: nothing is, and it says for whom.
    let (code, _, said) = mulot(&server, &["restore", "copie"]);
    assert!(code == 1 && said.contains("0 commune remise sur 2") && said.contains("grillon, mesange"), "{said}");
    // What a commune that is set aside has received is still counted, copied and to be erased.
    let aside = "nom = \"Territoire\"\n[[commune]]\ndossier = \"grillon\"\nactive = false\n";
    std::fs::write(server.territoire().join("territoire.toml"), aside).unwrap();
    let (code, _, said) = mulot(&server, &["backup", "copie-2"]);
    assert!(code == 0 && said.contains("2 communes sauvegardées"), "{said}");
    assert!(said.contains("guichet fermé, commune mise de côté ou dossier absent : grillon ;"), "{said}");
    let (_, told, _) = mulot(&server, &["demandes"]);
    assert!(told.lines().any(|line| line.contains("grillon")), "{told}");
    let (code, _, said) = mulot(&server, &["demandes", "purger", "--commune", "grillon"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_commune_sleeps_when_nobody_asks_and_many_who_wake_it_wait_for_one_opening() {
    let server = ServerTest::hall_with(&["grillon"], |_, _| {});
    let place = send(&server, "grillon.example", "");
    until("the mails leave", || mails_from(&server, "grillon") == 2);
    server.advance(SignedDuration::from_mins(16));
    until("it sleeps", || server.census().awake == 0);
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..16).map(|_| scope.spawn(|| get(&server, "grillon.example", &place).status)).collect();
        for answer in asked {
            assert_eq!(answer.join().unwrap(), 200);
        }
    });
    assert_eq!(server.census().awake, 1);
}

#[test]
fn no_more_communes_are_awake_than_may_be_and_the_least_asked_for_sleeps_first() {
    let names = ["un", "deux", "trois", "quatre"];
    let server = ServerTest::hall_with(&names, |config, _| config.most_awake = 2);
    for round in 0..2 {
        for name in names {
            let answer = get(&server, &format!("{name}.example"), &format!("/guichet/{FORM}/"));
            assert_eq!(answer.status, 200, "{name} {round}");
            assert!(server.census().awake <= 2);
        }
    }
}

/// A clock at nine in the morning of a Monday, as far ahead as need be.
fn to_monday_morning(server: &ServerTest) {
    let zone = jiff::tz::TimeZone::get("Europe/Paris").unwrap();
    let now: Zoned = Timestamp::now().to_zoned(zone);
    let days = match now.weekday().to_monday_zero_offset() {
        0 => 7,
        day => 7 - i64::from(day),
    };
    let monday = now.date().saturating_add(jiff::Span::new().days(days)).at(9, 0, 0, 0);
    let monday = monday.to_zoned(now.time_zone().clone()).unwrap();
    server.advance(monday.timestamp().duration_since(now.timestamp()));
}

#[test]
fn duties_of_a_sleeping_commune_are_done_without_a_visitor() {
    let server = ServerTest::hall_with(&["grillon"], |_, _| {});
    let place = send(&server, "grillon.example", "");
    until("the mails leave", || mails_from(&server, "grillon") == 2);
    server.advance(SignedDuration::from_mins(16));
    until("it sleeps", || server.census().awake == 0);
    // The digest of the morning, and on Mondays what is still open.
    to_monday_morning(&server);
    until("the digest leaves", || mails_from(&server, "grillon") == 3);
    let digest = server.mails.taken().pop().unwrap();
    assert!(String::from_utf8_lossy(&digest.bytes).contains("Bulletin"), "{}", String::from_utf8_lossy(&digest.bytes));
    until("it sleeps again", || server.census().awake == 0);
    // Answers are erased when their time has come, whoever sleeps.
    let erased = || {
        let options =
            mulot::intake::store::StoreOptions { access: mulot::intake::store::Access::Beside, ..Default::default() };
        let store = mulot::intake::store::Store::open(&server.data().join("grillon"), options).unwrap();
        store.counts().unwrap().purged
    };
    assert_eq!(erased(), 0);
    server.advance(SignedDuration::from_hours(24 * 366 * 6));
    until("the answers are erased", || erased() == 1);
    until("it sleeps for good", || server.census().awake == 0);
    assert_eq!(get(&server, "grillon.example", &place).status, 410, "the receipt says so");
}

#[test]
fn a_clock_that_is_behind_what_was_received_is_told() {
    let server = ServerTest::hall_with(&["grillon"], |_, _| {});
    server.advance(SignedDuration::from_hours(24));
    send(&server, "grillon.example", "");
    let now = Timestamp::now();
    let behind = server.overview(now);
    let received = behind.communes[0].demandes.as_ref().and_then(|requests| requests.derniere_le);
    assert!(received.is_some_and(|at| at > now), "{received:?}");
    assert_eq!((behind.plus_tard_que_maintenant, behind.en_ordre), (received, false));
    let right = server.overview(now.saturating_add(SignedDuration::from_hours(24)).unwrap());
    assert_eq!(right.plus_tard_que_maintenant, None);
}

#[test]
fn what_waited_when_the_process_stopped_leaves_without_a_visitor() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, _| {});
    send(&server, "grillon.example", "");
    until("the mails leave", || mails_from(&server, "grillon") == 2);
    server.advance(SignedDuration::from_mins(16));
    until("it sleeps", || server.census().awake == 0);
    // An order of the administration, beside the server: all mails once more.
    let options =
        mulot::intake::store::StoreOptions { access: mulot::intake::store::Access::Beside, ..Default::default() };
    let store = mulot::intake::store::Store::open(&server.data().join("grillon"), options).unwrap();
    let reference = server.mails.taken()[0].reference.clone();
    assert_eq!(store.resend(&reference, None, true, Timestamp::now()).unwrap(), 2);
    drop(store);
    until("they leave again", || mails_from(&server, "grillon") == 4);
}

#[test]
fn a_flood_on_one_commune_leaves_the_others_answering() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |config, _| {
        config.common.rates.under_way = Some(8);
    });
    assert_eq!(get(&server, "mesange.example", &format!("/guichet/{FORM}/")).status, 200);
    // Uploads that never end take every seat of one commune.
    let slow: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = server.connect();
            let headers =
                [("host", "grillon.example"), ("content-type", &*multipart_type()), ("content-length", "1000000")];
            let head = format!("{}\r\n------", connection.head("POST", &format!("/guichet/{FORM}/verifier"), &headers));
            connection.send(head.as_bytes());
            connection
        })
        .collect();
    let mut waiting = slow;
    for connection in &mut waiting {
        connection.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut bytes = [0; 400];
        if let Ok(count) = std::io::Read::read(&mut connection.stream, &mut bytes) {
            panic!("answered too soon: {}", String::from_utf8_lossy(&bytes[..count]));
        }
    }
    let slow = waiting;
    until("the seats are taken", || get(&server, "grillon.example", &format!("/guichet/{FORM}/")).status == 503);
    let crowded = get(&server, "grillon.example", &format!("/guichet/{FORM}/"));
    assert!(crowded.text().contains("très demandé") && crowded.text().contains("04 65 71 00 01"), "{}", crowded.text());
    send(&server, "mesange.example", "");
    for _ in 0..20 {
        assert_eq!(get(&server, "mesange.example", &format!("/guichet/{FORM}/")).status, 200);
    }
    drop(slow);
    until("the seats are free", || get(&server, "grillon.example", &format!("/guichet/{FORM}/")).status == 200);
}

#[test]
fn limits_are_remembered_while_a_commune_sleeps() {
    let server = ServerTest::hall_with(&["grillon"], |config, _| config.common.rates.form_sends = 1);
    send(&server, "grillon.example", "");
    until("the mails leave", || mails_from(&server, "grillon") == 2);
    server.advance(SignedDuration::from_mins(16));
    until("it sleeps", || server.census().awake == 0);
    let check = post(&server, "grillon.example", &format!("/guichet/{FORM}/verifier"), &valid_answers());
    let again = post(&server, "grillon.example", &format!("/guichet/{FORM}/envoyer"), &check.fields());
    assert_eq!(again.status, 429);
}

#[test]
fn a_new_configuration_is_taken_under_load_without_losing_a_request() {
    let server = ServerTest::hall_with(&["grillon", "partante"], |config, _| {
        config.common.rates.form_sends = 100_000;
        config.common.rates.all_sends = 100_000;
        config.common.rates.receipts = 100_000;
        config.common.rates.email_sends = 100_000;
    });
    assert_eq!(get(&server, "nouvelle.example", &format!("/guichet/{FORM}/")).status, 421);
    assert_eq!(get(&server, "partante.example", &format!("/guichet/{FORM}/")).status, 200);
    let stop = AtomicBool::new(false);
    let sent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    send(&server, "grillon.example", "");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let reached = |count: usize| until("requests", || sent.load(Ordering::Relaxed) >= count);
        reached(5);
        add_commune(&server.territoire(), "nouvelle");
        std::fs::remove_dir_all(server.territoire().join("communes/partante")).unwrap();
        // Other settings: the open guichet is opened anew while they send.
        server.reload_with(|config, _| config.common.form_limits.mail_bytes = 3 << 20).unwrap();
        assert_eq!(get(&server, "nouvelle.example", &format!("/guichet/{FORM}/")).status, 200);
        assert_eq!(get(&server, "partante.example", &format!("/guichet/{FORM}/")).status, 421);
        let before = sent.load(Ordering::Relaxed);
        reached(before + 10);
        stop.store(true, Ordering::Relaxed);
    });
    let sent = sent.load(Ordering::Relaxed);
    until("all mails leave", || mails_from(&server, "grillon") == 2 * sent);
    until("who left is closed", || server.census().awake == 2);
}

#[test]
fn a_configuration_with_mistakes_is_refused_as_a_whole() {
    let server = ServerTest::hall_with(&["grillon"], |_, _| {});
    add_commune(&server.territoire(), "nouvelle");
    edit(&server.territoire().join("territoire.toml"), "nom = ", "nomm = ");
    let told = server.reload_with(|_, _| {}).unwrap_err();
    assert!(told.iter().any(|one: &Diagnostic| one.code == Code::UnknownKey), "{told:?}");
    assert_ne!(told[0].place, Place::file(""));
    assert_eq!(get(&server, "nouvelle.example", "/guichet/sante").status, 421, "nothing of it is taken");
    assert_eq!(get(&server, "grillon.example", &format!("/guichet/{FORM}/")).status, 200);
}

#[test]
fn what_cannot_be_seen_is_not_taken_for_what_is_not_there() {
    use std::os::unix::fs::PermissionsExt;
    let server = ServerTest::hall_with(&["grillon"], |_, _| {});
    send(&server, "grillon.example", "");
    assert_eq!(mulot(&server, &["demandes"]).0, 0);
    // A folder that nobody may open, for a root that may not pass over rights.
    std::fs::set_permissions(server.data(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let lessened = |words: &[&str]| {
        let caps = "-dac_override,-dac_read_search";
        let is_root = std::fs::read_dir(server.data()).is_ok();
        let mut command = std::process::Command::new(if is_root { "setpriv" } else { "env" });
        if is_root {
            command.args(["--inh-caps", caps, "--bounding-set", caps]);
        }
        command.arg(env!("CARGO_BIN_EXE_mulot")).args(words).current_dir(server.data().parent().unwrap());
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for words in [&["demandes"][..], &["demandes", "liste"], &["demandes", "purger"], &["backup", "copie"]] {
        let (code, said) = lessened(words);
        assert!(code == 2 && said.contains("ce compte n'a pas le droit d'ouvrir"), "{words:?} {code} {said}");
    }
    assert!(!server.data().with_file_name("copie").exists());
    std::fs::set_permissions(server.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
    // Data that are not there at all: a disk that is not mounted, a path badly written.
    let away = server.data().with_file_name("ailleurs");
    std::fs::rename(server.data(), &away).unwrap();
    let (code, _, said) = mulot(&server, &["backup", "copie"]);
    assert!(code == 1 && said.contains("n'existe pas") && said.contains("rien n'a été sauvegardé"), "{said}");
    std::fs::rename(&away, server.data()).unwrap();
}

#[test]
fn a_base_that_is_lost_is_told_and_never_made_anew() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, _| {});
    for name in ["grillon", "mesange"] {
        send(&server, &format!("{name}.example"), "");
        until("the mails leave", || mails_from(&server, name) == 2);
    }
    assert_eq!(mulot(&server, &["backup", "copie"]).0, 0);
    server.advance(SignedDuration::from_mins(16));
    until("they sleep", || server.census().awake == 0);
    for file in ["guichet.db", "guichet.db-wal", "guichet.db-shm"] {
        let _ = std::fs::remove_file(server.data().join("grillon").join(file));
    }
    let answer = get(&server, "grillon.example", &format!("/guichet/{FORM}/"));
    assert_eq!(answer.status, 503, "no empty base takes its place");
    assert!(!server.data().join("grillon/guichet.db").exists());
    let (code, told, _) = mulot(&server, &["demandes"]);
    assert!(code == 1 && told.contains("la base n'est plus là : restaurez la dernière sauvegarde"), "{code} {told}");
    let (code, _, said) = mulot(&server, &["backup", "copie-2"]);
    assert!(code == 2 && said.contains("alors que le dossier garde des traces de demandes"), "{code} {said}");
    assert!(said.contains("1 commune sauvegardée sur 2"), "{said}");
}

#[test]
fn what_was_received_is_copied_whatever_the_contents_have_become() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, _| {});
    send(&server, "grillon.example", "");
    std::fs::write(server.territoire().join("territoire.toml"), "nom = Territoire\n").unwrap();
    let (code, _, said) = mulot(&server, &["backup", "copie"]);
    assert!(code == 1 && said.contains("territoire.toml:1"), "the copy may lack a commune: {said}");
    assert!(said.contains("voici les communes dont les données sont là") && said.contains("corrigez"), "{said}");
    assert!(server.data().with_file_name("copie").join("grillon/guichet.db").is_file());
    let (code, _, said) = mulot(&server, &["demandes", "--commune", "grillon"]);
    assert!(code < 2 && !said.contains("aucune commune du territoire"), "{code} {said}");
}

#[test]
fn a_guichet_that_its_own_folder_keeps_closed_is_told_with_the_others() {
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, _| {});
    send(&server, "grillon.example", "");
    assert_eq!(mulot(&server, &["demandes"]).0, 0);
    let file = server.territoire().join("communes/mesange/commune.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("nom = \"", "nom = ", 1)).unwrap();
    let (code, told, _) = mulot(&server, &["demandes"]);
    let line = told.lines().find(|line| line.contains("mesange")).unwrap_or_default();
    assert!(code == 1 && line.contains("son dossier a une faute"), "{code} {told}");
}

#[test]
fn settings_of_a_commune_that_left_close_nobody() {
    let named = |config: &mut mulot::server::config::HallConfig, name: &str| {
        config.named.push((name.into(), Place::file("guichet.toml")));
    };
    let server = ServerTest::hall_with(&["grillon", "mesange"], |config, territoire| {
        named(config, "grillon");
        let aside = "nom = \"Territoire\"\n[[commune]]\ndossier = \"grillon\"\nactive = false\n";
        std::fs::write(territoire.join("territoire.toml"), aside).unwrap();
    });
    assert_eq!(get(&server, "mesange.example", &format!("/guichet/{FORM}/")).status, 200);
    assert_eq!(get(&server, "grillon.example", &format!("/guichet/{FORM}/")).status, 421);
    // A name that is nobody's is a mistake.
    let told = server.reload_with(|config, _| named(config, "mesanje")).unwrap_err();
    assert!(told[0].hint.as_deref().is_some_and(|hint| hint.contains("[communes.mesange]")), "{told:?}");
}

#[test]
fn a_mistake_of_the_territoire_about_one_commune_closes_no_other() {
    let mistaken = |territoire: &std::path::Path| {
        let text = "nom = \"Territoire\"\n[[commune]]\ndossier = \"grillon\"\ndomaines = [\"www.grillon.example\"]\n";
        std::fs::write(territoire.join("territoire.toml"), text).unwrap();
    };
    let status =
        |server: &ServerTest, name: &str| get(server, &format!("{name}.example"), &format!("/guichet/{FORM}/")).status;
    // Those who are served go on as they were.
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, _| {});
    mistaken(&server.territoire());
    let told = server.reload_with(|_, _| {}).unwrap_err();
    assert!(told[0].message.contains("n'est pas une adresse de site"), "{told:?}");
    assert_eq!((status(&server, "grillon"), status(&server, "mesange")), (200, 200));
    // At start there is nothing to go on with.
    let server = ServerTest::hall_with(&["grillon", "mesange"], |_, territoire| mistaken(territoire));
    assert_eq!((status(&server, "grillon"), status(&server, "mesange")), (503, 200));
}
