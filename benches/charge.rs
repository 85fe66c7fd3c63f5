//! The guichet under a steady flow of requests that does not wait for the answers (open model): what a resident waits.
//!
//! `cargo bench --bench charge`:
//!
//! - *référence*: a bare axum handler that stores nothing, asked at the same pace on the same machine;
//! - 100 requests a second for ten seconds, each at its own instant whatever became of the others; time counts from the
//!   instant the request was due, so that a queue is not hidden;
//! - the same with a photo of 2 MB in each, at a pace such a machine can read;
//! - 200 uploads of 7 MB at once: the memory they take;
//! - from « Envoyer » to the end of DATA at a mail server of this machine;
//! - start with 100,000 requests in the store (`MULOT_LONG=1`).

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use all of it")]
#[path = "../tests/support/http.rs"]
mod http;
#[path = "support/guichet.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Answer, Client, contact, hidden_inputs};
use support::{Guichet, configure, free_address, ms, probe, quantile, to_folder};

const PACE: usize = 100;
const SECONDS: usize = 10;
const PHOTO_PACE: usize = 5;

fn main() {
    if support::is_probe() {
        return;
    }
    let root = tempfile::tempdir().expect("a folder");
    let address = free_address();
    let config = configure(root.path(), address, &to_folder(root.path()));
    let fsync = probe(&[], root.path());
    println!("fsync seul : p50 {:.1} ms, p99 {:.1} ms", ms(quantile(&fsync, 0.5)), ms(quantile(&fsync, 0.99)));

    let bare = bare_axum();
    let bodies = (0..PACE * SECONDS).map(contact).collect();
    told("axum nu, sans rien garder", &flow(bare, PACE, bodies, |client, body| client.post("/", body)));

    let guichet = Guichet::start(&[], &config, address);
    let idle = guichet.memory();
    let bodies: Vec<_> = (0..PACE * SECONDS).map(|number| guichet.prepared(number)).collect();
    let waits = flow(address, PACE, bodies, |client, body| client.post("/guichet/contact/envoyer", body));
    told(&format!("{PACE} demandes par seconde"), &waits);
    let aim = quantile(&fsync, 0.99) * 2 + Duration::from_millis(5);
    println!("  p99 visé : {:.1} ms (deux fois celui du fsync, plus 5 ms)", ms(aim));
    let loaded = guichet.memory();

    let photos = (0..PHOTO_PACE * SECONDS).map(|number| (number, photo())).collect();
    let waits = flow(address, PHOTO_PACE, photos, |client, (number, photo)| {
        let check = client.post_with_file(
            "/guichet/saisir-la-mairie/verifier",
            &request(*number),
            ("pieces", "photo.jpg", photo),
        )?;
        assert_eq!(check.status, 200, "{}", check.body);
        client.post("/guichet/saisir-la-mairie/envoyer", &hidden_inputs(&check.body))
    });
    told(&format!("{PHOTO_PACE} demandes par seconde avec une photo de 2 Mo, deux pages chacune"), &waits);
    let with_photos = guichet.memory();
    println!(
        "mémoire (dont la sienne) : {} ({}) ko au repos, {} ({}) après les demandes, {} ({}) après les photos",
        idle.0, idle.1, loaded.0, loaded.1, with_photos.0, with_photos.1
    );
    println!("200 envois de 7 Mo à la fois : {} ko au plus", at_once(&guichet, 200));
    guichet.stop();

    to_data();
    if std::env::var_os("MULOT_LONG").is_some() {
        with_many_stored(100_000);
    }
}

/// Sends each body at its own instant, on a few connections that are all busy only when the server is behind; gives the
/// waits, sorted, counted from the instants.
fn flow<B: Send + Sync>(
    address: SocketAddr,
    pace: usize,
    bodies: Vec<B>,
    send: impl Fn(&mut Client, &B) -> std::io::Result<Answer> + Sync,
) -> Vec<Duration> {
    let (hand, take) = mpsc::channel::<(Instant, B)>();
    let take = Mutex::new(take);
    let waits = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let mut client = Client::connect(address).expect("connected");
                loop {
                    let Ok((due, body)) = take.lock().expect("a queue").recv() else { return };
                    let answer = send(&mut client, &body).expect("answered");
                    assert!(matches!(answer.status, 200 | 303), "{} {}", answer.status, answer.body);
                    waits.lock().expect("a list").push(due.elapsed());
                }
            });
        }
        let begun = Instant::now();
        for (number, body) in bodies.into_iter().enumerate() {
            let due = begun
                + Duration::from_secs(1) * u32::try_from(number).expect("few") / u32::try_from(pace).expect("few");
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            hand.send((due, body)).expect("somebody takes");
        }
        drop(hand);
    });
    let mut waits = waits.into_inner().expect("a list");
    waits.sort();
    waits
}

fn told(what: &str, waits: &[Duration]) {
    println!(
        "{what} : p50 {:.1} ms, p99 {:.1} ms, la plus lente {:.1} ms ({} réponses)",
        ms(quantile(waits, 0.5)),
        ms(quantile(waits, 0.99)),
        ms(*waits.last().expect("some")),
        waits.len()
    );
}

/// A server that reads a form and stores nothing.
fn bare_axum() -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("heard");
            let form = |axum::Form(_): axum::Form<Vec<(String, String)>>| async { "reçu" };
            let router = axum::Router::new().route("/", axum::routing::post(form));
            axum::serve(listener, router).await.expect("served");
        });
    });
    told.recv().expect("an address")
}

/// Answers of « saisir la mairie ».
fn request(number: usize) -> Vec<(String, String)> {
    [
        ("objet", "Un arbre menace la route".to_owned()),
        ("message", format!("Bonjour, voici la photo numéro {number}.")),
        ("qualite", "personne".to_owned()),
        ("prenom", "Jeanne".to_owned()),
        ("nom", "Martin".to_owned()),
        ("adresse.voie", "3 rue du Four".to_owned()),
        ("adresse.code_postal", "01500".to_owned()),
        ("adresse.commune", "Trou-la-Ville".to_owned()),
        ("courriel", format!("jeanne.{number}@exemple.example")),
        ("telephone", String::new()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// A JPEG of about 2 MB with the pixels of a telephone.
fn photo() -> Arc<Vec<u8>> {
    static PHOTO: std::sync::OnceLock<Arc<Vec<u8>>> = std::sync::OnceLock::new();
    PHOTO
        .get_or_init(|| {
            // Noise weighs much, flat colour nothing: a mix of both weighs what a photograph does.
            let picture = image::RgbImage::from_fn(3024, 2016, |x, y| {
                let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 27;
                image::Rgb([(x / 12) as u8, (y / 8) as u8, noise as u8])
            });
            let mut bytes = Vec::new();
            let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
            picture.write_with_encoder(encoder).expect("a picture");
            Arc::new(bytes)
        })
        .clone()
}

/// The most memory (kB) while so many clients send 7 MB each and have not finished.
fn at_once(guichet: &Guichet, clients: usize) -> u64 {
    let boundary = "----charge";
    let size = 7 << 20;
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"pieces\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.4\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let length = head.len() + size + tail.len();
    let most = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let Ok(mut stream) = TcpStream::connect(guichet.address) else { return };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(120)));
                let start = format!("POST /guichet/saisir-la-mairie/verifier HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary={boundary}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{head}");
                let _ = stream.write_all(start.as_bytes());
                let block = vec![b' '; 64 << 10];
                for _ in 0..size / block.len() {
                    if stream.write_all(&block).is_err() {
                        break;
                    }
                    let now = guichet.memory().0;
                    let mut most = most.lock().expect("a number");
                    *most = now.max(*most);
                }
                let _ = stream.write_all(tail.as_bytes());
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    most.into_inner().expect("a number")
}

/// From the answer of « Envoyer » to the end of DATA at a mail server that takes everything.
fn to_data() {
    let root = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, arrived) = mpsc::channel::<Instant>();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || swallow(stream, &tell));
        }
    });
    let address = free_address();
    let mail = format!("transport = \"smtp\"\nserveur = \"127.0.0.1\"\nport = {port}\nchiffrement = \"aucun\"");
    let guichet = Guichet::start(&[], &configure(root.path(), address, &mail), address);
    let mut waits = Vec::new();
    for number in 0..40 {
        let body = guichet.prepared(number);
        let mut client = Client::connect(address).expect("connected");
        let sent = Instant::now();
        assert_eq!(client.post("/guichet/contact/envoyer", &body).expect("answered").status, 303);
        let first = arrived.recv_timeout(Duration::from_secs(30)).expect("a mail");
        waits.push(first.saturating_duration_since(sent));
        arrived.recv_timeout(Duration::from_secs(30)).expect("the receipt");
    }
    waits.sort();
    println!(
        "d'« Envoyer » à la fin de DATA : médiane {:.0} ms, p99 {:.0} ms",
        ms(quantile(&waits, 0.5)),
        ms(quantile(&waits, 0.99))
    );
    guichet.stop();
}

/// A mail server that says yes.
fn swallow(stream: TcpStream, tell: &mpsc::Sender<Instant>) {
    let mut writer = stream.try_clone().expect("a socket");
    let mut say = |line: &str| writer.write_all(format!("{line}\r\n").as_bytes());
    let mut lines = BufReader::new(stream);
    let _ = say("220 charge ESMTP");
    let mut is_data = false;
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let words = String::from_utf8_lossy(&line).trim_end().to_ascii_uppercase();
        let answer = match words.as_str() {
            "." if is_data => {
                is_data = false;
                let _ = tell.send(Instant::now());
                "250 ok"
            }
            _ if is_data => continue,
            "DATA" => {
                is_data = true;
                "354 go"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        if say(answer).is_err() {
            return;
        }
    }
}

/// Start of a guichet that has kept so many requests.
fn with_many_stored(count: usize) {
    let root = tempfile::tempdir().expect("a folder");
    let address = free_address();
    let config = configure(root.path(), address, &to_folder(root.path()));
    let guichet = Guichet::start(&[], &config, address);
    let numbers = Mutex::new(0..count);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let mut client = Client::connect(address).expect("connected");
                loop {
                    let Some(number) = numbers.lock().expect("a number").next() else { return };
                    let check = client.post("/guichet/contact/verifier", &contact(number)).expect("answered");
                    let sent = client.post("/guichet/contact/envoyer", &hidden_inputs(&check.body)).expect("answered");
                    assert_eq!(sent.status, 303, "{}", sent.body);
                }
            });
        }
    });
    guichet.stop();
    let again = Guichet::start(&[], &config, address);
    let memory = again.memory();
    println!(
        "démarrage avec {count} demandes gardées : {:.0} ms, {} ko dont {} à lui",
        ms(again.start),
        memory.0,
        memory.1
    );
    again.stop();
}
