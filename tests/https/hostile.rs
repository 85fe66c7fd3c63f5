//! Those who hold, flood or send nonsense, over TLS and HTTP/2.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use axum::http::Request;
use h2::client::SendRequest;
use mulot::server::listen::Limits;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::secure_test::*;

fn short() -> Limits {
    Limits {
        first_byte: Duration::from_millis(300),
        head: Duration::from_millis(400),
        idle: Duration::from_millis(500),
        write_stall: Duration::from_millis(600),
        body_stall: Duration::from_millis(400),
        ..Limits::default()
    }
}

fn door(authority: &Authority, limits: Limits) -> Door {
    let mut plan = Plan::certified(authority);
    plan.limits = limits;
    plan.open()
}

fn request(path: &str) -> Request<()> {
    Request::builder().uri(format!("https://{HOST}{path}")).body(()).unwrap()
}

/// An HTTP/2 connection with small windows; the task tells how it ended.
async fn h2(
    door: &Door,
    authority: &Authority,
    window: u32,
) -> (SendRequest<axum::body::Bytes>, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let stream = tokio::net::TcpStream::connect(door.https).await.unwrap();
    let tls = TlsConnector::from(client_config(&authority.pem, &[b"h2"]));
    let stream = tls.connect(ServerName::try_from(HOST).unwrap(), stream).await.unwrap();
    let (client, connection) = h2::client::Builder::new().initial_window_size(window).handshake(stream).await.unwrap();
    (client, tokio::spawn(connection))
}

#[test]
fn a_handshake_that_never_comes_is_closed() {
    let authority = Authority::new();
    let door = door(&authority, short());
    for first in [&b""[..], &b"\x16\x03\x01\x02\x00\x01"[..], &b"GET / HTTP/1.1\r\n\r\n"[..]] {
        let mut stream = TcpStream::connect(door.https).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(first).unwrap();
        let mut said = Vec::new();
        // Closed, with or without an alert; a read that times out would be another error.
        if let Err(error) = stream.read_to_end(&mut said) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        assert!(said.len() < 20, "{said:?}");
    }
    assert!(door.secure(&authority.pem, HOST).is_ok());
}

#[test]
fn an_idle_connection_is_closed_even_when_it_pings() {
    let authority = Authority::new();
    let door = door(&authority, short());
    door.block_on(async {
        let (mut client, connection) = h2(&door, &authority, 65_535).await;
        let (answer, _) = client.send_request(request("/"), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        let begun = Instant::now();
        let _ = connection.await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
}

#[test]
fn who_does_not_take_an_answer_is_cut() {
    let authority = Authority::new();
    let door = door(&authority, short());
    door.block_on(async {
        // A window of no byte: the answer waits for ever, and so would its memory.
        let (mut client, connection) = h2(&door, &authority, 0).await;
        let (answer, _) = client.send_request(request("/grand.bin"), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let begun = Instant::now();
        let _ = connection.await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_body_that_stalls_is_cut() {
    let authority = Authority::new();
    let door = door(&authority, short());
    door.block_on(async {
        let (mut client, _connection) = h2(&door, &authority, 65_535).await;
        let post = Request::builder().method("POST").uri(format!("https://{HOST}/corps")).body(()).unwrap();
        let (answer, mut body) = client.send_request(post, false).unwrap();
        body.send_data("abc".into(), false).unwrap();
        let answer = answer.await;
        assert!(answer.as_ref().map_or(true, |answer| !answer.status().is_success()), "{answer:?}");
    });
}

#[test]
fn opening_and_resetting_streams_without_end_closes_the_connection() {
    let authority = Authority::new();
    let door = door(&authority, Limits::default());
    door.block_on(async {
        let (client, connection) = h2(&door, &authority, 65_535).await;
        let mut opened = 0;
        for _ in 0..20_000 {
            let Ok(mut ready) = client.clone().ready().await else { break };
            let Ok((answer, mut stream)) = ready.send_request(request("/"), true) else { break };
            stream.send_reset(h2::Reason::CANCEL);
            drop(answer);
            opened += 1;
            if connection.is_finished() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(client);
        let ended = connection.await.unwrap();
        // « Enhance your calm », or the closed door that comes before it is read.
        assert!(ended.is_err() && opened < 20_000, "{ended:?} after {opened}");
    });
    let told = door.curl(&authority.pem, HOST, "/", &["--http2", "-o", "/dev/null", "-w", "%{http_code}"]);
    assert_eq!(told.unwrap(), "200");
}

#[test]
fn headers_without_end_are_refused() {
    let authority = Authority::new();
    let door = door(&authority, Limits::default());
    door.block_on(async {
        let (mut client, _connection) = h2(&door, &authority, 65_535).await;
        let mut heavy = request("/");
        for number in 0..40 {
            let name = axum::http::HeaderName::try_from(format!("x-{number}")).unwrap();
            heavy.headers_mut().insert(name, "v".repeat(1000).parse().unwrap());
        }
        let refused = match client.send_request(heavy, true) {
            Ok((answer, _)) => answer.await.map_or(true, |answer| answer.status() == 431),
            Err(_) => true,
        };
        assert!(refused);
    });
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[test]
fn a_flood_of_continuations_closes_the_connection() {
    let authority = Authority::new();
    let door = door(&authority, Limits::default());
    let mut raw = Secure::open(door.https, &authority.pem, HOST, &[b"h2"]).unwrap();
    raw.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    raw.stream.write_all(&frame(4, 0, 0, &[])).unwrap();
    // HEADERS without END_HEADERS, then nothing but CONTINUATION.
    raw.stream.write_all(&frame(1, 0, 1, &[0x82, 0x87, 0x84])).unwrap();
    let more = frame(9, 0, 1, &[&[0x40, 0x01, b'x', 0x7f, 0x81, 0x01][..], &[b'v'; 256][..]].concat());
    let mut sent = 0;
    while sent < 200_000 && raw.stream.write_all(&more).and_then(|()| raw.stream.flush()).is_ok() {
        sent += 1;
    }
    assert!(sent < 200_000, "two hundred thousand frames were taken");
}

#[test]
fn h2_prefaces_in_clear_get_nothing() {
    let authority = Authority::new();
    let door = door(&authority, short());
    let mut stream = TcpStream::connect(door.http.unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn a_thousand_silent_strangers_do_not_stop_an_honest_one() {
    let authority = Authority::new();
    let door = door(&authority, Limits::default());
    let mut strangers: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(door.https).unwrap()).collect();
    for stranger in strangers.iter_mut().step_by(2) {
        stranger.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
    }
    let told = door.curl(&authority.pem, HOST, "/", &["--http2", "-o", "/dev/null", "-w", "%{http_code}"]);
    assert_eq!(told.unwrap(), "200");
}
