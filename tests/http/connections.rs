//! Strangers who hold: every connection has an end.

use std::time::{Duration, Instant};

use mulot::server::config::GuichetConfig;

use crate::server_test::*;

fn short(config: &mut GuichetConfig) {
    config.limits.first_byte = Duration::from_millis(200);
    config.limits.head = Duration::from_millis(300);
    config.limits.idle = Duration::from_millis(400);
    config.limits.body_stall = Duration::from_millis(300);
    config.limits.body_grace = Duration::from_millis(600);
    config.limits.body_rate = 1 << 20;
}

#[test]
fn a_silent_connection_is_closed() {
    let server = ServerTest::guichet_with(short);
    let begun = Instant::now();
    assert_eq!(server.connect().closed(), "");
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[test]
fn half_a_head_is_closed_even_when_it_drips() {
    let server = ServerTest::guichet_with(short);
    let mut connection = server.connect();
    connection.send(b"GET /guichet/sante HTTP/1.1\r\nhost: x\r\n");
    let mut dripping = connection.stream.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        use std::io::Write;
        let begun = Instant::now();
        // Each byte is a sign of life; the whole head has its own end.
        while dripping.write_all(b"x").is_ok() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        begun.elapsed()
    });
    let said = connection.closed();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(drip.join().unwrap() < Duration::from_secs(10));
}

#[test]
fn an_idle_connection_is_closed_and_may_ask_again_before() {
    let server = ServerTest::guichet_with(short);
    let mut connection = server.connect();
    for _ in 0..3 {
        let head = connection.head("GET", "/guichet/sante", &[]);
        connection.send(format!("{head}\r\n").as_bytes());
        connection.read_until("etat");
    }
    assert_eq!(connection.closed(), "");
}

#[test]
fn a_body_that_stalls_is_answered_and_closed() {
    let server = ServerTest::guichet_with(short);
    let mut connection = server.connect();
    let kind = [("content-type", "application/x-www-form-urlencoded"), ("content-length", "1000")];
    let head = connection.head("POST", &format!("/guichet/{FORM}/verifier"), &kind);
    connection.send(format!("{head}\r\nnom=Quatre").as_bytes());
    let said = connection.closed();
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(said.contains("tel:"));
}

#[test]
fn a_body_that_drips_is_cut_by_its_rate() {
    let server = ServerTest::guichet_with(short);
    let mut connection = server.connect();
    let kind = [("content-type", "application/x-www-form-urlencoded"), ("content-length", "100000")];
    let head = connection.head("POST", &format!("/guichet/{FORM}/verifier"), &kind);
    connection.send(format!("{head}\r\n").as_bytes());
    let mut dripping = connection.stream.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        use std::io::Write;
        let begun = Instant::now();
        while dripping.write_all(b"x").is_ok() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        begun.elapsed()
    });
    assert!(connection.closed().starts_with("HTTP/1.1 408"));
    assert!(drip.join().unwrap() < Duration::from_secs(10));
}

#[test]
fn a_client_that_leaves_half_way_leaves_nothing_behind() {
    let server = ServerTest::guichet();
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "plan.pdf", &[PDF, &vec![b' '; 400 << 10]].concat()));
    let body = multipart(&parts);
    let mut connection = server.connect();
    let length = body.len().to_string();
    let kind = [("content-type", multipart_type()), ("content-length", length)];
    let kind: Vec<(&str, &str)> = kind.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let head = connection.head("POST", &format!("/guichet/{FORM}/verifier"), &kind);
    connection.send(format!("{head}\r\n").as_bytes());
    connection.send(&body[..body.len() / 2]);
    drop(connection);
    let deadline = Instant::now() + Duration::from_secs(20);
    let drafts = server.data().join("entrants");
    while std::fs::read_dir(&drafts).unwrap().count() > 0 {
        assert!(Instant::now() < deadline, "a draft stays behind");
        std::thread::yield_now();
    }
}

#[test]
fn connections_beyond_the_last_seat_wait_for_one() {
    let server = ServerTest::guichet_with(|config| {
        short(config);
        config.limits.connections = 4;
        config.limits.first_byte = Duration::from_millis(500);
    });
    let silent: Vec<Connection> = (0..4).map(|_| server.connect()).collect();
    // Served as soon as the silent ones are sent away.
    assert_eq!(server.get("/guichet/sante").status, 200);
    drop(silent);
}

#[test]
fn ten_thousand_silent_strangers_do_not_stop_an_honest_one() {
    let server = ServerTest::guichet();
    for wave in 0..10 {
        let mut strangers: Vec<Connection> = (0..1000).map(|_| server.connect()).collect();
        // Some say half a head, some announce a body that never comes.
        for stranger in strangers.iter_mut().step_by(3) {
            stranger.send(b"GET /guichet/sante HTTP/1.1\r\nhost: x\r\nx-");
        }
        for stranger in strangers.iter_mut().skip(1).step_by(3) {
            stranger.send(b"POST /guichet/contact/verifier HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\nnom=");
        }
        assert_eq!(server.post(&format!("/guichet/{FORM}/verifier"), &valid_answers()).status, 200, "wave {wave}");
        drop(strangers);
    }
}

#[test]
fn malformed_requests_are_refused_one_by_one() {
    let server = ServerTest::guichet();
    let cases: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\nhost: x\r\n\r\n",
    ];
    for case in cases {
        let mut connection = server.connect();
        connection.send(case);
        connection.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let said = connection.closed();
        assert!(!said.starts_with("HTTP/1.1 200"), "{:?} gave {said}", String::from_utf8_lossy(case));
    }
    assert_eq!(server.get("/guichet/sante").status, 200);
}

#[test]
fn a_request_in_flight_is_finished_before_the_stop() {
    let mut server = ServerTest::guichet();
    let body = urlencoded(&valid_answers());
    let mut connection = server.connect();
    let length = body.len().to_string();
    let kind = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-length", length.as_str()),
        ("expect", "100-continue"),
    ];
    let head = connection.head("POST", &format!("/guichet/{FORM}/verifier"), &kind);
    connection.send(format!("{head}\r\n").as_bytes());
    // The server has taken the request up.
    connection.read_until("100 Continue");
    let idle = server.connect();
    server.ask_to_stop();
    assert_eq!(idle.closed(), "", "those who ask nothing are sent away at once");
    connection.send(body.as_bytes());
    let said = connection.read_until("</html>");
    assert!(said.contains("Vérifiez et envoyez"), "{said}");
    server.wait_stopped();
    assert!(std::net::TcpStream::connect(server.address).is_err(), "nobody listens any more");
}

#[test]
fn requests_that_last_too_long_are_cut_at_the_stop() {
    let mut server = ServerTest::guichet_with(|config| config.limits.shutdown = Duration::from_millis(300));
    let mut connection = server.connect();
    let kind =
        [("content-type", "application/x-www-form-urlencoded"), ("content-length", "1000"), ("expect", "100-continue")];
    let head = connection.head("POST", &format!("/guichet/{FORM}/verifier"), &kind);
    connection.send(format!("{head}\r\n").as_bytes());
    connection.read_until("100 Continue");
    server.ask_to_stop();
    server.wait_stopped();
    connection.closed();
}
