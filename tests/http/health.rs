//! What those who watch over the guichet ask: alive, ready, measures.

use std::net::{SocketAddr, TcpStream};

use mulot::server::listen::ListenAddress;

use crate::server_test::*;

#[test]
fn a_guichet_that_serves_is_ready_and_says_nothing_else() {
    let server = ServerTest::guichet();
    let ready = server.get("/guichet/pret");
    assert_eq!((ready.status, ready.text().as_str()), (200, "{\"pret\":true,\"raisons\":[],\"courriel\":\"ok\"}\n"));
}

#[test]
fn a_key_that_went_away_is_said_while_the_guichet_goes_on() {
    let server = ServerTest::guichet();
    std::fs::remove_file(server.data().join("cle")).unwrap();
    let ready = server.get("/guichet/pret");
    assert_eq!((ready.status, ready.text().contains("[\"cle\"]")), (503, true), "{}", ready.text());
    assert_eq!(server.get("/guichet/sante").status, 200);
}

#[test]
fn measures_are_given_on_their_own_address_and_name_nobody() {
    // A port of the system's choice, given back just before it is asked for.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = ServerTest::guichet_with(|config| config.metrics = Some(ListenAddress::Tcp(free)));
    assert_eq!(server.post(&format!("/guichet/{FORM}/envoyer"), &server.to_check_page()).status, 303);
    let wrong = with(valid_answers(), "courriel", "pas une adresse");
    assert_eq!(server.post(&format!("/guichet/{FORM}/verifier"), &wrong).status, 422);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.mails.taken().len() < 2 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    let text = loop {
        let text = scrape(free);
        // The mails are settled a moment after they are taken.
        if text.contains("mulot_messages_remis_total{role=\"usager\"} 1") || std::time::Instant::now() > deadline {
            break text;
        }
    };
    for line in [
        "mulot_demandes_acceptees_total 1",
        "mulot_demandes_refusees_total{raison=\"to_mend\"} 1",
        "mulot_messages_remis_total{role=\"mairie\"} 1",
        "mulot_messages_bloques 0",
        "mulot_envoi_secondes_count 1",
        "mulot_livraison_en_marche 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    for personal in ["Quatrebarbes", "zelie", "exemple.fr", "127.0.0.1", FORM] {
        assert!(!text.contains(personal), "{personal}\n{text}");
    }
    assert_eq!(server.get("/metrics").status, 404, "not on the public address");
}

fn scrape(address: SocketAddr) -> String {
    assert!(TcpStream::connect(address).is_ok());
    let mut connection = Connection::open(address);
    connection.send_request("GET", "/metrics", &[], b"");
    let answer = connection.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    answer.text()
}
