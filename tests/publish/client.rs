//! The client of buckets against a server that judges it, and against lines that fail.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use mulot::s3::{Access, Bucket, Content, S3Error};

use crate::s3::{BUCKET, KEY_ID, S3Server, SECRET};

fn access(server: &S3Server) -> Access {
    Access {
        endpoint: format!("http://{}", server.address),
        bucket: BUCKET.into(),
        region: "fr-par".into(),
        key_id: KEY_ID.into(),
        secret: SECRET.into(),
    }
}

fn bucket(server: &S3Server) -> Bucket {
    Bucket::open(&access(server)).unwrap().patience(Duration::from_secs(20))
}

#[test]
fn objects_are_put_read_copied_listed_and_removed() {
    let server = S3Server::start();
    let bucket = bucket(&server);
    let odd = "pages/été & hiver/a+b (1).html";
    bucket.put(odd, Content::Bytes(b"un"), &[("content-type", "text/html; charset=utf-8")]).unwrap();
    let head = bucket.head(odd).unwrap().unwrap();
    assert_eq!((head.size, head.media_type.as_deref()), (2, Some("text/html; charset=utf-8")));
    assert!(head.etag.is_some() && head.modified.is_some());
    assert!(bucket.copy(odd, "b/c", &[("content-type", "text/plain")]).unwrap());
    assert_eq!(bucket.get_bytes("b/c", 100).unwrap().as_deref(), Some(&b"un"[..]));
    assert!(!bucket.copy("absent", "b/d", &[]).unwrap());
    assert_eq!(bucket.get_bytes("absent", 100).unwrap(), None);
    assert_eq!(bucket.head("absent").unwrap(), None);
    bucket.delete(odd).unwrap();
    bucket.delete(odd).unwrap();
    assert_eq!(bucket.head(odd).unwrap(), None);
}

#[test]
fn a_file_is_streamed_and_comes_back_whole() {
    let server = S3Server::start();
    let bucket = bucket(&server);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gros");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|number| (number * 7 % 251) as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    bucket.put("gros", Content::File(&path), &[]).unwrap();
    let mut object = bucket.get("gros").unwrap().unwrap();
    assert_eq!(object.head.size, 3_000_000);
    let mut back = Vec::new();
    object.read_to_end(&mut back).unwrap();
    assert!(back == bytes);
    let lost = bucket.put("perdu", Content::File(&folder.path().join("absent")), &[]).unwrap_err();
    assert!(matches!(&lost, S3Error::Local(_)) && lost.to_string().contains("absent"), "{lost}");
}

#[test]
fn a_list_goes_over_every_page() {
    let server = S3Server::start();
    // Written beside the server, which lists what stands in its folder: a thousand a page.
    let folder = server.objects().join("liste");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..1_205 {
        std::fs::write(folder.join(format!("{number:04}")), b"x").unwrap();
    }
    let mut keys = Vec::new();
    bucket(&server).list("liste/", |one| keys.push((one.key, one.size))).unwrap();
    assert_eq!(keys.len(), 1_205);
    assert_eq!(keys[1_204], ("liste/1204".to_owned(), 1));
    let pages = server.take_log().len();
    assert!(pages >= 2, "{pages} pages");
}

#[test]
fn a_busy_server_and_cut_lines_are_asked_again() {
    let server = S3Server::start();
    let bucket = bucket(&server);
    server.be_busy(true);
    server.cut_every(5);
    for number in 0..20 {
        bucket.put(&format!("objet/{number}"), Content::Bytes(&[b'x'; 50_000]), &[]).unwrap();
    }
    for number in 0..20 {
        assert_eq!(
            bucket.get_bytes(&format!("objet/{number}"), 1 << 20).unwrap().map(|bytes| bytes.len()),
            Some(50_000)
        );
    }
    assert!(server.refused() > 20, "{} refusals", server.refused());
}

#[test]
fn what_another_try_would_not_change_is_told_at_once_in_french() {
    let server = S3Server::start();
    let told = |change: &dyn Fn(&mut Access)| {
        let mut access = access(&server);
        change(&mut access);
        let error = Bucket::open(&access).unwrap().put("a", Content::Bytes(b"a"), &[]).unwrap_err();
        assert!(!error.remedy().is_empty());
        error
    };
    let wrong = told(&|access| access.secret = "une-autre".into());
    assert!(matches!(wrong, S3Error::BadKey { .. }), "{wrong}");
    let unknown = told(&|access| access.key_id = "INCONNU".into());
    assert!(matches!(unknown, S3Error::BadKey { .. } | S3Error::Denied { .. }), "{unknown}");
    let other = Access { bucket: "un-autre-seau".into(), ..access(&server) };
    let lost = Bucket::open(&other).unwrap().list("", |_| {}).unwrap_err();
    assert!(lost.to_string().contains("le seau « un-autre-seau » n'existe pas"), "{lost}");
}

/// A server that answers these bytes, whatever is asked, to each connection in turn; then nobody listens any more.
fn canned(answers: Vec<String>) -> Bucket {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut socket, _)) = listener.accept() else { return };
            let mut request = [0; 8_192];
            let _ = socket.read(&mut request);
            let _ = socket.write_all(answer.as_bytes());
        }
    });
    let (bucket, region) = ("seau".to_owned(), "fr".to_owned());
    let access = Access { endpoint, bucket, region, key_id: "a".into(), secret: "b".into() };
    Bucket::open(&access).unwrap().patience(Duration::from_millis(1_500))
}

#[test]
fn a_clock_that_is_wrong_is_named() {
    let yesterday = jiff::Zoned::now().checked_sub(jiff::Span::new().days(1)).unwrap();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&yesterday.timestamp()).unwrap();
    let answer = format!("HTTP/1.1 403 Forbidden\r\ndate: {date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let error = canned(vec![answer]).head("a").unwrap_err();
    assert!(error.to_string().starts_with("l'horloge de cette machine avance sur celle de 127.0.0.1"), "{error}");
    assert!(error.to_string().ends_with("d'un jour"), "{error}");
}

#[test]
fn an_object_that_is_cut_is_never_taken_for_a_shorter_one() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nla moitié".to_owned();
    let bucket = canned(vec![half.clone(), half]);
    let mut object = bucket.get("a").unwrap().unwrap();
    assert!(object.read_to_end(&mut Vec::new()).is_err());
    // The second half answer, then nobody: it gives up and says so.
    assert!(matches!(bucket.get_bytes("a", 1_000), Err(S3Error::Unreachable { .. })));
}

#[test]
fn a_server_that_says_when_to_come_back_is_listened_to() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
    let done = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
    let started = std::time::Instant::now();
    canned(vec![busy, done]).put("a", Content::Bytes(b"x"), &[]).unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "asked again after {:?}", started.elapsed());
}

#[test]
fn a_host_that_is_not_there_is_told_within_seconds() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let access = Access {
        endpoint: format!("http://127.0.0.1:{port}"),
        bucket: "seau".into(),
        region: "fr".into(),
        key_id: "a".into(),
        secret: "b".into(),
    };
    let error = Bucket::open(&access).unwrap().patience(Duration::from_millis(300)).head("a").unwrap_err();
    assert!(error.to_string().contains("refuse la connexion"), "{error}");
}
