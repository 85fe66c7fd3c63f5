//! The preview of a territoire: each commune at its own origin, none in the way of another.

use crate::server_test::*;

fn street() -> ServerTest {
    ServerTest::street_with(&["baneins", "chalamont"], 16, |_| {})
}

fn host(name: &str) -> String {
    format!("{name}.localhost:4000")
}

fn at(server: &ServerTest, name: &str, path: &str) -> Answer {
    server.ask("GET", path, &[("host", &host(name))], b"")
}

fn list(server: &ServerTest) -> String {
    let list = server.ask("GET", "/", &[("host", "localhost:4000")], b"");
    assert_eq!(list.status, 200, "{}", list.text());
    list.text().replace('\u{a0}', " ")
}

/// Opens the flow of events of a host and waits for the first.
fn flow(server: &ServerTest, host: &str) -> Connection {
    let mut connection = server.connect();
    let head = connection.head("GET", "/__mulot/flux", &[("host", host)]);
    connection.send(format!("{head}\r\n").as_bytes());
    connection.read_until("event: recharge");
    connection.read_until("\n\n");
    connection
}

fn next_event(connection: &mut Connection) {
    connection.read_until("event: recharge");
}

/// Sends the form on a commune's preview; gives the reference.
fn send_form(server: &ServerTest, name: &str) -> String {
    let host = host(name);
    let kind = multipart_type();
    let headers = [("host", host.as_str()), ("content-type", kind.as_str())];
    let page = server.ask("POST", &format!("/guichet/{FORM}/verifier"), &headers, &multipart(&texts(&valid_answers())));
    assert_eq!(page.status, 200, "{}", page.text());
    let headers = [("host", host.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let body = urlencoded(&page.fields());
    let sent = server.ask("POST", &format!("/guichet/{FORM}/envoyer"), &headers, body.as_bytes());
    assert_eq!(sent.status, 303, "{}", sent.text());
    sent.location().split('/').nth(3).unwrap().to_owned()
}

/// The letterbox of a commune, once a mail is there.
fn letterbox(server: &ServerTest, name: &str) -> String {
    let mut events = flow(server, &host(name));
    loop {
        let list = at(server, name, "/__mulot/boite").text();
        if list.contains("/__mulot/boite/2") {
            return list;
        }
        next_event(&mut events);
    }
}

#[test]
fn the_list_leads_to_each_commune_at_an_origin_of_its_own() {
    let server = street();
    let page = list(&server);
    for name in ["baneins", "chalamont"] {
        assert!(page.contains(&format!("href=\"http://{name}.localhost:{}/\"", server.address.port())), "{page}");
    }
    assert_eq!(page.matches("pas encore ouverte").count(), 2, "nothing is built before a visit: {page}");
    let home = at(&server, "baneins", "/");
    assert_eq!(home.status, 200, "{}", home.text());
    let sheet = home.text().split("href=\"/assets/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(
        at(&server, "baneins", &format!("/assets/{sheet}")).status,
        200,
        "links from the root stay in the commune"
    );
    assert_eq!(at(&server, "baneins", &format!("/guichet/{FORM}/")).status, 200);
    let page = list(&server);
    assert!(page.contains("1 construite") && page.matches("pas encore ouverte").count() == 1, "{page}");
    let told = at(&server, "baneins", "/__mulot/diagnostics").text();
    assert!(told.contains(&format!("href=\"http://localhost:{}/\"", server.address.port())), "the way back: {told}");
}

#[test]
fn the_list_is_at_every_name_of_this_machine_and_at_no_other() {
    let server = street();
    for name in ["localhost", "127.0.0.1:4000", "[::1]:4000"] {
        assert_eq!(server.ask("GET", "/", &[("host", name)], b"").status, 200, "{name}");
    }
    let unknown = at(&server, "bourg", "/");
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("bourg.localhost") && unknown.text().contains("//baneins.localhost"));
    let sheet = unknown.text().split("href=\"/assets/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for name in ["bourg.localhost", "localhost"] {
        let sheet = server.ask("GET", &format!("/assets/{sheet}"), &[("host", name)], b"");
        assert_eq!((sheet.status, sheet.header("content-type")), (200, Some("text/css; charset=utf-8")), "{name}");
    }
    assert_eq!(server.ask("GET", "/nulle-part/", &[("host", "localhost")], b"").status, 404);
    for name in ["exemple.fr", "baneins.localhost.exemple.fr", "baneins.example"] {
        let refused = server.ask("GET", "/", &[("host", name)], b"");
        assert_eq!(refused.status, 421, "{name}");
        assert!(!refused.text().contains("baneins.localhost:"), "nothing is said to another site's page");
    }
}

#[test]
fn a_save_in_one_commune_is_shown_there_and_leaves_the_other() {
    let server = street();
    assert_eq!(at(&server, "chalamont", "/").status, 200);
    assert_eq!(at(&server, "baneins", "/").status, 200);
    let mut events = flow(&server, &host("baneins"));
    let before = server.builds.load(std::sync::atomic::Ordering::Relaxed);
    let page = server.territoire().join("communes/baneins/pages/mairie/histoire.md");
    std::fs::write(&page, "+++\ntitre = \"Notre histoire\"\n+++\n\nIl était une fois.\n").unwrap();
    next_event(&mut events);
    while at(&server, "baneins", "/mairie/histoire/").status != 200 {
        next_event(&mut events);
    }
    assert_eq!(at(&server, "chalamont", "/mairie/histoire/").status, 404);
    assert!(server.builds.load(std::sync::atomic::Ordering::Relaxed) > before);
}

#[test]
fn a_folder_that_takes_the_name_of_another_is_the_one_that_is_shown() {
    let server = street();
    assert_eq!(at(&server, "baneins", "/").status, 200);
    let communes = server.territoire().join("communes");
    std::fs::rename(communes.join("baneins"), communes.join("Baneins")).unwrap();
    edit(&communes.join("Baneins/commune.toml"), "04 65 71 00 01", "04 65 71 00 02");
    // The list reads the territoire again.
    assert!(list(&server).contains("baneins.localhost"));
    let page = at(&server, "baneins", "/");
    assert!(page.status == 200 && page.text().contains("00\u{a0}02"), "{} {}", page.status, page.text());
}

#[test]
fn what_is_shared_touches_all_those_that_are_open() {
    let server = ServerTest::street_with(&["baneins", "chalamont"], 16, |territoire| {
        std::fs::create_dir_all(territoire.join("commun/pages/mairie")).unwrap();
    });
    let names = ["baneins", "chalamont"];
    let mut flows = names.map(|name| {
        assert_eq!(at(&server, name, "/").status, 200);
        flow(&server, &host(name))
    });
    let page = server.territoire().join("commun/pages/mairie/plui.md");
    std::fs::write(page, "+++\ntitre = \"Le plan d'urbanisme\"\n+++\n\nDe toute la communauté.\n").unwrap();
    for (name, events) in names.iter().zip(&mut flows) {
        while at(&server, name, "/mairie/plui/").status != 200 {
            next_event(events);
        }
    }
    let file = server.territoire().join("territoire.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}nomm = \"faute\"\n")).unwrap();
    for (name, events) in names.iter().zip(&mut flows) {
        while !at(&server, name, "/__mulot/diagnostics").text().contains("nomm") {
            next_event(events);
        }
        assert!(at(&server, name, "/").text().contains("Voir ce qui ne va pas"), "the last good site stays");
    }
    assert!(list(&server).contains("nomm"), "the list tells it too, and still names the communes");
    assert!(list(&server).contains("//baneins.localhost"));
}

#[test]
fn a_broken_commune_says_why_and_stops_no_other() {
    let server = ServerTest::street_with(&["baneins", "chalamont"], 16, |territoire| {
        let file = territoire.join("communes/baneins/pages/mairie/index.md");
        let good = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, good.replacen("titre", "titree", 1)).unwrap();
    });
    let broken = at(&server, "baneins", "/");
    assert_eq!(broken.status, 503);
    assert!(broken.text().contains("titree") && broken.text().contains("pages/mairie/index.md"), "{}", broken.text());
    assert_eq!(at(&server, "chalamont", "/").status, 200);
    let page = list(&server);
    assert!(page.contains("refusée") && page.contains("titree") && page.contains("pages/mairie/index.md"), "{page}");
    assert!(page.contains("1 construite"), "{page}");
    // Mended, the list is told.
    let mut events = flow(&server, "localhost");
    let file = server.territoire().join("communes/baneins/pages/mairie/index.md");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("titree", "titre", 1)).unwrap();
    while !list(&server).contains("2 construites") {
        next_event(&mut events);
    }
    assert_eq!(at(&server, "baneins", "/").status, 200);
}

#[test]
fn a_form_lands_in_the_letterbox_of_its_commune_only() {
    let server = ServerTest::street_with(&["baneins", "chalamont"], 16, |territoire| {
        // In production the guichet is elsewhere, under the path of each commune.
        let file = territoire.join("territoire.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let more = "[defauts.guichet]\nadresse = \"https://guichet.example/{commune}\"\n";
        std::fs::write(file, format!("{text}{more}")).unwrap();
    });
    let reference = send_form(&server, "baneins");
    let letters = letterbox(&server, "baneins");
    assert!(letters.contains(&reference), "{letters}");
    let letter = at(&server, "baneins", &format!("/__mulot/boite/{reference}-mairie")).text();
    assert!(letter.contains(&format!("http://baneins.localhost:{}/guichet/agir/", server.address.port())), "{letter}");
    assert!(at(&server, "chalamont", "/__mulot/boite").text().contains("La boîte est vide"));
    let other = at(&server, "chalamont", &format!("/__mulot/boite/{reference}-mairie"));
    assert_eq!(other.status, 404);
    let foreign = [("host", host("baneins")), ("origin", "http://chalamont.localhost:4000".to_owned())];
    let foreign = foreign.each_ref().map(|(name, value)| (*name, value.as_str()));
    let sent = server.ask("POST", &format!("/guichet/{FORM}/verifier"), &foreign, b"objet=x");
    assert_eq!(sent.status, 403, "a page of one commune sends nothing to another");
}

#[test]
fn a_commune_gives_its_place_and_is_found_again_as_it_was() {
    let server = ServerTest::street_with(&["baneins", "chalamont"], 1, |_| {});
    let reference = send_form(&server, "baneins");
    assert!(letterbox(&server, "baneins").contains(&reference));
    // An answer under way keeps its place until it is read whole.
    while at(&server, "chalamont", "/").status != 200 {}
    let page = list(&server);
    assert!(page.contains("2 construites"), "what was closed keeps what its build said: {page}");
    while at(&server, "baneins", "/").status != 200 {}
    let letters = at(&server, "baneins", "/__mulot/boite").text();
    assert!(letters.contains(&reference), "the same letterbox: {letters}");
    // As long as a page waits for changes, its commune stays.
    let events = flow(&server, &host("baneins"));
    let crowded = at(&server, "chalamont", "/");
    assert_eq!(crowded.status, 503);
    assert!(crowded.text().contains("onglets"), "{}", crowded.text());
    drop(events);
}
