//! The live preview: what is saved is shown, what is broken is said, nothing leaves the machine.

use crate::server_test::*;

fn preview() -> ServerTest {
    ServerTest::preview_with(|_| {})
}

/// Opens the flow of events and reads the first number.
fn flow(server: &ServerTest) -> (Connection, String) {
    let mut connection = server.connect();
    let head = connection.head("GET", "/__mulot/flux", &[]);
    connection.send(format!("{head}\r\n").as_bytes());
    let version = number(&connection.read_while(|said| number(said).is_none())).expect("a number");
    (connection, version)
}

/// The number of the first event, once it has come whole.
fn number(said: &str) -> Option<String> {
    let (number, _) = said.split_once("\n\ndata: ")?.1.split_once("\n\n")?;
    Some(number.to_owned())
}

/// Waits for an event after the first one.
fn next_event(connection: &mut Connection) {
    connection.read_until("event: recharge");
}

#[test]
fn the_site_is_served_with_its_guichet_inside() {
    let server = preview();
    let home = server.get("/");
    assert_eq!(home.status, 200, "{}", home.text());
    assert!(home.text().contains("Trou-la-Ville") && home.text().contains("apercu"));
    assert_eq!(server.ask("HEAD", "/", &[], b"").body.len(), 0);
    let tag = home.header("etag").unwrap();
    assert_eq!(server.ask("GET", "/", &[("if-none-match", tag)], b"").status, 304);
    let folder = server.get(&format!("/demarches/{FORM}"));
    assert_eq!((folder.status, folder.location()), (308, format!("/demarches/{FORM}/").as_str()));
    assert_eq!(server.get("/nulle-part/").status, 404);
    assert_eq!(server.get(&format!("/guichet/{FORM}/")).status, 200);
    assert_eq!(server.ask("POST", "/", &[], b"x").status, 405);
    let sheet =
        home.text().split("href=\"/assets/").nth(1).map(|rest| format!("/assets/{}", rest.split('"').next().unwrap()));
    let sheet = server.get(&sheet.expect("a file of the theme"));
    assert_eq!(sheet.status, 200);
}

#[test]
fn mails_land_in_the_letterbox() {
    let server = preview();
    assert!(server.get("/__mulot/boite").text().contains("La boîte est vide"));
    let (mut events, _) = flow(&server);
    let sent = server.post(&format!("/guichet/{FORM}/envoyer"), &server.to_check_page());
    assert_eq!(sent.status, 303, "{}", sent.text());
    // The letters make the site be built again: the count in its banner.
    let reference = sent.location().split('/').nth(3).unwrap().to_owned();
    let list = loop {
        let list = server.get("/__mulot/boite").text();
        if list.matches("/__mulot/boite/").count() >= 2 {
            break list;
        }
        next_event(&mut events);
    };
    assert!(list.contains("[Saisine]"), "{list}");
    let place = format!("/__mulot/boite/{reference}-mairie");
    let letter = server.get(&place);
    assert_eq!(letter.status, 200);
    for words in ["formulaires@trou.example", "mairie@trou.example", "Zélie", &format!("{place}/html"), "demande.json"]
    {
        assert!(letter.text().contains(words), "{words}\n{}", letter.text());
    }
    let html = server.get(&format!("{place}/html"));
    assert_eq!(html.status, 200);
    let policy = html.header("content-security-policy").unwrap();
    assert!(policy.starts_with("sandbox;") && policy.contains("frame-ancestors 'self'"));
    let raw = server.get(&format!("{place}/brut"));
    assert!(raw.header("content-disposition").unwrap().starts_with("attachment") && raw.text().contains("Message-ID"));
    let piece = server.get(&format!("{place}/piece/1"));
    assert_eq!(piece.status, 200);
    assert!(piece.header("content-disposition").unwrap().starts_with("attachment"));
    assert_eq!(server.get(&format!("{place}/piece/9")).status, 404);
    assert_eq!(server.get("/__mulot/boite/..%2fguichet").status, 404);
}

#[test]
fn a_save_is_shown_and_told() {
    let server = preview();
    let (mut events, _) = flow(&server);
    let page = server.folder().join("pages/mairie/histoire.md");
    std::fs::write(&page, "+++\ntitre = \"Notre histoire\"\n+++\n\nIl était une fois.\n").unwrap();
    next_event(&mut events);
    let shown = server.get("/mairie/histoire/");
    assert_eq!(shown.status, 200);
    assert!(shown.text().contains("Il était une fois"));
}

#[test]
fn a_file_in_a_new_folder_is_seen() {
    let server = preview();
    let (mut events, _) = flow(&server);
    let folder = server.folder().join("actualites");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("2026-01-05-voeux.md"),
        "+++\ntitre = \"Les vœux\"\nresume = \"À la salle.\"\n+++\n\nVenez.\n",
    )
    .unwrap();
    next_event(&mut events);
    // The folder may have been seen before its file.
    while server.get("/actualites/2026-01-05-voeux/").status != 200 {
        next_event(&mut events);
    }
}

#[test]
fn a_broken_save_leaves_the_last_good_site_and_says_what_is_wrong() {
    let server = preview();
    let (mut events, _) = flow(&server);
    let page = server.folder().join("pages/mairie/index.md");
    let good = std::fs::read_to_string(&page).unwrap();
    std::fs::write(&page, good.replacen("titre", "titree", 1)).unwrap();
    next_event(&mut events);
    let home = server.get("/mairie/");
    assert_eq!(home.status, 200, "the last good page stays");
    assert!(home.text().contains("Voir ce qui ne va pas"), "{}", home.text());
    let told = server.get("/__mulot/diagnostics");
    assert!(told.text().contains("titree") && told.text().contains("pages/mairie/index.md"), "{}", told.text());
    assert_eq!(server.get(&format!("/guichet/{FORM}/")).status, 200);
    std::fs::write(&page, good).unwrap();
    next_event(&mut events);
    assert!(!server.get("/mairie/").text().contains("Voir ce qui ne va pas"));
}

#[test]
fn a_folder_that_was_never_good_is_shown_as_its_diagnostics() {
    let server =
        ServerTest::preview_with(|folder| std::fs::write(folder.join("commune.toml"), "nom = Bourg\n").unwrap());
    for place in ["/", "/mairie/", &format!("/guichet/{FORM}/")] {
        let page = server.get(place);
        assert_eq!(page.status, 503, "{place}");
        assert!(page.text().contains("commune.toml") && page.text().contains("guillemets"), "{}", page.text());
    }
    let (mut events, _) = flow(&server);
    let minimal = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal/commune.toml");
    std::fs::copy(minimal, server.folder().join("commune.toml")).unwrap();
    next_event(&mut events);
    assert_eq!(server.get("/").status, 200);
    assert_eq!(server.get(&format!("/guichet/{FORM}/")).status, 200, "the guichet opens with the first good site");
}

#[test]
fn reading_the_folder_builds_nothing() {
    let server = preview();
    let (mut events, first) = flow(&server);
    for _ in 0..20 {
        std::fs::read(server.folder().join("commune.toml")).unwrap();
    }
    // A real change is the first event to come, one number later.
    std::fs::write(server.folder().join("pages/mairie/a.md"), "+++\ntitre = \"A\"\n+++\nA\n").unwrap();
    let next = number(&events.read_while(|said| number(said).is_none())).expect("a number");
    assert_eq!(next.parse::<u64>().unwrap(), first.parse::<u64>().unwrap() + 1);
    let builds = server.builds.load(std::sync::atomic::Ordering::Relaxed);
    assert!(builds <= 3, "{builds} builds: reading is taken for a change");
}

#[test]
fn only_this_machine_by_its_own_name_is_answered() {
    let server = preview();
    let port = server.address.port();
    let ask = |host: &str| server.ask("GET", "/", &[("host", host)], b"").status;
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(ask(&host), 200, "{host}");
    }
    for host in
        ["mechant.example", "localhost.mechant.example", "127.0.0.1.nip.io", "192.168.1.12", "169.254.169.254", ""]
    {
        assert_eq!(ask(host), 421, "{host}");
    }
}

#[test]
fn nothing_is_written_in_the_folder() {
    let server = preview();
    let sent = server.post(&format!("/guichet/{FORM}/envoyer"), &server.to_check_page());
    assert_eq!(sent.status, 303);
    let mut names: Vec<String> = std::fs::read_dir(server.folder())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["annuaire", "commune.toml", "pages"]);
}

#[test]
fn a_stop_ends_the_flow_of_events() {
    let mut server = preview();
    let (events, _) = flow(&server);
    server.ask_to_stop();
    server.wait_stopped();
    events.closed();
}

#[test]
fn the_mail_of_a_form_is_seen_before_anyone_has_written() {
    let server = preview();
    let list = server.get("/__mulot/boite");
    assert!(list.text().contains(&format!("/__mulot/essai/{FORM}/mairie")), "{}", list.text());
    assert!(list.text().contains(&format!("/demarches/{FORM}/papier/")));
    let mail = server.get(&format!("/__mulot/essai/{FORM}/mairie"));
    assert_eq!(mail.status, 200, "{}", mail.text());
    assert!(mail.text().contains("Quatrebarbes") && mail.text().contains("demande.json"), "{}", mail.text());
    assert_eq!(server.get(&format!("/__mulot/essai/{FORM}/mairie/html")).status, 200);
    assert_eq!(server.get(&format!("/__mulot/essai/{FORM}/usager")).status, 200);
    assert_eq!(server.get("/__mulot/essai/absent/mairie").status, 404);
}
