//! A clamd that answers whatever it is told to, on a socket in a folder.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use super::*;
use crate::intake::files::sealed::SealedWriter;
use crate::intake::seal::Seal;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut writer = SealedWriter::new(&Seal::from_master(&[7; 32]), ID, Vec::new()).unwrap();
    writer.write(plain).unwrap();
    writer.finish().unwrap()
}

async fn scanned(scanner: &Scanner, plain: &[u8]) -> Verdict {
    let bytes = io::Cursor::new(sealed(plain));
    let open = move || {
        SealedReader::new(&Seal::from_master(&[7; 32]), ID, bytes).map_err(|_| io::ErrorKind::InvalidData.into())
    };
    scanner.scan(open).await
}

/// What clamd would have read, and the scanner that asks it; `answer` gets the file.
fn clamd(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> (tempfile::TempDir, Scanner) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clamd.ctl");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut order = [0; 10];
            stream.read_exact(&mut order).unwrap();
            assert_eq!(&order, b"zINSTREAM\0");
            let mut file = Vec::new();
            loop {
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let length = u32::from_be_bytes(length) as usize;
                if length == 0 {
                    break;
                }
                let start = file.len();
                file.resize(start + length, 0);
                stream.read_exact(&mut file[start..]).unwrap();
            }
            match answer(&file) {
                Some(answer) => stream.write_all(&answer).unwrap(),
                // Kept open, without a word.
                None => std::mem::forget(stream),
            }
        }
    });
    (dir, Scanner::new(ScannerAddress::Unix(path)))
}

#[tokio::test]
async fn the_whole_file_is_given_and_the_answer_is_believed() {
    let plain: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8).collect();
    let expected = plain.clone();
    let (_dir, scanner) = clamd(move |file| {
        Some(if file == expected { b"stream: OK\0".to_vec() } else { b"stream: Autre FOUND\0".to_vec() })
    });
    assert_eq!(scanned(&scanner, &plain).await, Verdict::Clean);
    assert_eq!(scanned(&scanner, b"autre").await, Verdict::Infected);
}

#[tokio::test]
async fn odd_answers_never_mean_clean() {
    for (answer, expected) in [
        (&b"stream: OK\0"[..], Verdict::Clean),
        (b"stream: OK", Verdict::Unknown("odd")),
        (b"OK\0", Verdict::Unknown("odd")),
        (b"stream: ok\0", Verdict::Unknown("odd")),
        (b"stream: OK\0stream: OK\0", Verdict::Unknown("odd")),
        (b"stream: OK\0stream: Eicar FOUND\0", Verdict::Infected),
        (b"stream: Eicar FOUND\0", Verdict::Infected),
        (b"stream: Eicar FOUND\n", Verdict::Infected),
        (b"INSTREAM size limit exceeded. ERROR\0", Verdict::Unknown("error")),
        (b"stream: Can't allocate memory ERROR\0", Verdict::Unknown("error")),
        (b"", Verdict::Unknown("silent")),
        (b"\xff\xfe\0\x01", Verdict::Unknown("odd")),
        (&[b'a'; 5_000], Verdict::Unknown("odd")),
    ] {
        let (_dir, scanner) = clamd(move |_| Some(answer.to_vec()));
        assert_eq!(scanned(&scanner, b"bonjour").await, expected, "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn an_absent_or_silent_clamd_is_left_alone_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let scanner = Scanner::new(ScannerAddress::Unix(dir.path().join("nulle-part")));
    assert_eq!(scanned(&scanner, b"x").await, Verdict::Unknown("absent"));
    assert_eq!(scanned(&scanner, b"x").await, Verdict::Unknown("away"));
    let (_dir, scanner) = clamd(|_| None);
    let scanner = Scanner { patience: Duration::from_millis(200), ..scanner };
    assert_eq!(scanned(&scanner, b"x").await, Verdict::Unknown("slow"));
    assert_eq!(scanned(&scanner, b"x").await, Verdict::Unknown("away"));
}

#[tokio::test]
async fn one_that_closes_at_once_has_not_looked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clamd.ctl");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let scanner = Scanner::new(ScannerAddress::Unix(path));
    assert_eq!(scanned(&scanner, &vec![b'x'; 1 << 20]).await, Verdict::Unknown("silent"));
}
