//! A mail server with a will of its own: it answers, stalls or hangs up where the test says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server does at a command instead of the usual.
#[derive(Debug, Clone)]
pub(crate) enum Whim {
    /// Answers this line.
    Answer(&'static str),
    /// Answers this line byte after byte, each in a packet of its own.
    Drip(&'static str),
    /// Answers nothing and keeps the line open.
    Stall,
    /// Hangs up.
    Cut,
}

/// The server; `GREETING`, `EHLO`, `STARTTLS`, `AUTH`, `MAIL`, `RCPT`, `DATA`, `BODY` (after its first line) and `.` may have
/// a whim.
#[derive(Debug, Clone, Default)]
pub(crate) struct Odd {
    /// Verb → what it does.
    pub(crate) whims: BTreeMap<&'static str, Whim>,
    /// Lines of the answer to `EHLO` besides the name.
    pub(crate) extensions: Vec<&'static str>,
    /// Certificate and key: offers what `STARTTLS` says, or speaks TLS at once with `implicit`.
    pub(crate) certificate: Option<Certificate>,
    /// TLS from the first byte.
    pub(crate) implicit: bool,
}

/// A self-signed certificate for `localhost`.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) pem: PathBuf,
    key: PathBuf,
    _dir: Arc<tempfile::TempDir>,
}

impl Certificate {
    pub(crate) fn new(name: &str) -> Certificate {
        let (dir, subject) = (tempfile::tempdir().unwrap(), format!("/CN={name}"));
        let alternative = format!("subjectAltName=DNS:{name}");
        openssl(
            dir.path(),
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &subject,
                "-addext",
                &alternative,
            ]
            .into_iter()
            .chain(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"])
            .collect::<Vec<_>>(),
        );
        Self::of(dir)
    }

    /// One whose time was over long ago; only `openssl ca` writes the past.
    pub(crate) fn expired(name: &str) -> Certificate {
        let (dir, subject) = (tempfile::tempdir().unwrap(), format!("/CN={name}"));
        let extensions = format!("subjectAltName=DNS:{name}\nbasicConstraints=critical,CA:FALSE\n");
        let ca = "[ca]\ndefault_ca=x\n[x]\ndatabase=index\nserial=serial\npolicy=p\n[p]\ncommonName=supplied\n";
        for (file, text) in [("index", ""), ("serial", "01\n"), ("ca.cnf", ca), ("ext.cnf", &extensions)] {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        openssl(
            dir.path(),
            &["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", "key.pem", "-out", "csr"],
        );
        let during = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
        let signed = ["ca", "-batch", "-selfsign", "-config", "ca.cnf", "-extfile", "ext.cnf", "-md", "sha256"];
        let files = ["-outdir", ".", "-keyfile", "key.pem", "-in", "csr", "-out", "cert.pem", "-notext"];
        openssl(dir.path(), &[&signed[..], &during, &files].concat());
        Self::of(dir)
    }

    fn of(dir: tempfile::TempDir) -> Certificate {
        let (pem, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        Certificate { pem, key, _dir: Arc::new(dir) }
    }

    /// The key, for a server that reads it by itself.
    pub(crate) fn key(&self) -> &Path {
        &self.key
    }

    fn config(&self) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_file(&self.pem).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
    }
}

fn openssl(dir: &Path, words: &[&str]) {
    let made = Command::new("openssl").args(words).current_dir(dir).output();
    let made = made.expect("openssl is needed for this test: apt-get install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A running server.
pub(crate) struct Running {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Every command heard so far, and `MESSAGE` for each complete message.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn heard_verb(&self, verb: &str) -> bool {
        self.heard().iter().any(|line| line.to_ascii_uppercase().starts_with(verb))
    }
}

impl Odd {
    pub(crate) fn whim(mut self, verb: &'static str, whim: Whim) -> Odd {
        self.whims.insert(verb, whim);
        self
    }

    /// Serves on a free port until the test ends.
    pub(crate) fn start(self) -> Running {
        let listener = TcpListener::bind("localhost:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let running = Running { port, heard: Arc::clone(&heard) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (odd, heard) = (self.clone(), Arc::clone(&heard));
                std::thread::spawn(move || odd.serve(stream, &heard));
            }
        });
        running
    }

    fn serve(&self, stream: TcpStream, heard: &Mutex<Vec<String>>) {
        // A client that hangs up is none of our business: the test looks at what it was told.
        if let (true, Some(certificate)) = (self.implicit, &self.certificate) {
            let connection = ServerConnection::new(certificate.config()).unwrap();
            let _ = self.talk(Line::new(StreamOwned::new(connection, stream)), heard, true);
            return;
        }
        if let Some(Next::Protect(stream)) = self.talk(Line::new(stream), heard, false)
            && let Some(certificate) = &self.certificate
        {
            let connection = ServerConnection::new(certificate.config()).unwrap();
            let _ = self.talk(Line::new(StreamOwned::new(connection, stream)), heard, true);
        }
    }

    /// `None` when the line is over.
    fn talk<S: Read + Write>(&self, mut line: Line<S>, heard: &Mutex<Vec<String>>, protected: bool) -> Option<Next<S>> {
        if !protected || self.implicit {
            self.react(&mut line, "GREETING", "220 odd.test ESMTP")?;
        }
        loop {
            let command = line.read()?;
            heard.lock().unwrap().push(command.clone());
            let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let mut answer = "250-odd.test\r\n".to_owned();
                    for extension in self.extensions.iter().filter(|name| !(protected && **name == "STARTTLS")) {
                        answer.push_str(&format!("250-{extension}\r\n"));
                    }
                    self.react(&mut line, "EHLO", &format!("{answer}250 HELP"))?;
                }
                "STARTTLS" => {
                    self.react(&mut line, "STARTTLS", "220 go")?;
                    return Some(Next::Protect(line.into_inner()));
                }
                "AUTH" => self.react(&mut line, "AUTH", "235 2.7.0 welcome")?,
                "MAIL" => self.react(&mut line, "MAIL", "250 2.1.0 ok")?,
                "RCPT" => self.react(&mut line, "RCPT", "250 2.1.5 ok")?,
                "DATA" => {
                    self.react(&mut line, "DATA", "354 go")?;
                    self.body(&mut line, heard)?;
                }
                "QUIT" => {
                    line.write("221 bye")?;
                    return None;
                }
                _ => line.write("500 what")?,
            }
        }
    }

    fn body<S: Read + Write>(&self, line: &mut Line<S>, heard: &Mutex<Vec<String>>) -> Option<()> {
        line.read()?;
        self.react(line, "BODY", "")?;
        while line.read()? != "." {}
        heard.lock().unwrap().push("MESSAGE".into());
        self.react(line, ".", "250 2.0.0 queued")
    }

    fn react<S: Read + Write>(&self, line: &mut Line<S>, verb: &str, usual: &str) -> Option<()> {
        match self.whims.get(verb) {
            Some(Whim::Answer(answer)) => line.write(answer),
            Some(Whim::Drip(answer)) => line.drip(answer),
            Some(Whim::Stall) => {
                // Until the client hangs up.
                while line.read().is_some() {}
                None
            }
            Some(Whim::Cut) => None,
            None if usual.is_empty() => Some(()),
            None => line.write(usual),
        }
    }
}

enum Next<S> {
    Protect(S),
}

struct Line<S>(BufReader<S>);

impl<S: Read + Write> Line<S> {
    fn new(stream: S) -> Line<S> {
        Line(BufReader::new(stream))
    }

    fn read(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line) {
            Ok(1..) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()),
            _ => None,
        }
    }

    fn write(&mut self, text: &str) -> Option<()> {
        let stream = self.0.get_mut();
        stream.write_all(format!("{text}\r\n").as_bytes()).and_then(|()| stream.flush()).ok()
    }

    fn drip(&mut self, text: &str) -> Option<()> {
        let stream = self.0.get_mut();
        format!("{text}\r\n").as_bytes().chunks(1).try_for_each(|byte| {
            stream.write_all(byte).and_then(|()| stream.flush()).ok()?;
            std::thread::yield_now();
            Some(())
        })
    }

    fn into_inner(self) -> S {
        self.0.into_inner()
    }
}
