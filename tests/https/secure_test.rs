//! A door in this process, with a small site behind it, and clients that ask it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use jiff::{SignedDuration, Timestamp};
use mulot::server::front::{Front, Hosted, Hosts};
use mulot::server::https_config::{Automatic, CertificateFiles, HttpsConfig};
use mulot::server::listen::{self, Limits, ListenAddress, Stopper};
use mulot::server::site;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const HOST: &str = "www.trou.example";
pub const OTHER: &str = "trou.example";

/// An authority of our own.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Autorité d'essai");
        let pair = rcgen::KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&pair).unwrap().pem();
        Authority { issuer: rcgen::Issuer::new(parameters, pair), pem }
    }

    /// Chain and key for those names, in PEM.
    pub fn issue(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.use_authority_key_identifier_extension = true;
        let pair = rcgen::KeyPair::generate().unwrap();
        (parameters.signed_by(&pair, &self.issuer).unwrap().pem(), pair.serialize_pem())
    }

    /// Writes a certificate for those names; gives its files.
    pub fn write(&self, folder: &Path, names: &[&str]) -> CertificateFiles {
        let files = CertificateFiles { chain: folder.join("chaine.pem"), key: folder.join("cle.pem") };
        let (chain, key) = self.issue(names);
        std::fs::write(&files.chain, chain).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }
}

/// A door that runs.
pub struct Door {
    pub https: SocketAddr,
    pub http: Option<SocketAddr>,
    pub hosts: Hosts,
    pub root: TempDir,
    ahead: Arc<AtomicI64>,
    runtime: Option<Runtime>,
    stopper: Option<Stopper>,
    served: Option<tokio::task::JoinHandle<usize>>,
}

/// How a door is made.
pub struct Plan {
    pub hosted: Vec<Hosted>,
    pub files: Vec<CertificateFiles>,
    pub automatic: Option<Automatic>,
    pub https: u16,
    pub http: Option<u16>,
    pub limits: Limits,
    pub root: TempDir,
}

impl Plan {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let hosted = vec![Hosted { main: HOST.into(), others: vec![OTHER.into()], twin: None }];
        let limits = Limits { shutdown: Duration::from_secs(5), ..Limits::default() };
        Plan { hosted, files: Vec::new(), automatic: None, https: 0, http: Some(0), limits, root }
    }

    /// With a certificate of that authority for all hosts.
    pub fn certified(authority: &Authority) -> Self {
        let mut plan = Plan::new();
        plan.files.push(authority.write(plan.root.path(), &[HOST, OTHER]));
        plan
    }

    pub fn open(self) -> Door {
        // What the door says is shown with a test that fails.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_test_writer().try_init();
        let site = self.root.path().join("site");
        std::fs::create_dir_all(&site).unwrap();
        std::fs::write(site.join("index.html"), page()).unwrap();
        std::fs::write(site.join("grand.bin"), vec![b'x'; 4 << 20]).unwrap();
        let local = |port| ListenAddress::Tcp((Ipv4Addr::LOCALHOST, port).into());
        let config = HttpsConfig {
            listen: local(self.https),
            listen_http: self.http.map(local),
            files: self.files,
            automatic: self.automatic,
            look_every: Duration::from_millis(50),
        };
        let (hosts, ahead) = (Hosts::new(self.hosted), Arc::new(AtomicI64::new(0)));
        let clock = {
            let ahead = ahead.clone();
            Arc::new(move || Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::Relaxed)))
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let front = runtime
            .block_on(Front::open(config, hosts.clone(), &self.root.path().join("donnees"), 300, clock))
            .unwrap_or_else(|error| panic!("{error}"));
        let tcp = |address: &ListenAddress| match address {
            ListenAddress::Tcp(address) => *address,
            ListenAddress::Unix(_) => panic!("not TCP"),
        };
        let (https, http) = (tcp(front.https_addr()), front.http_addr().map(tcp));
        let router = Router::new()
            .route(
                "/hote",
                axum::routing::get(|request: Request| async move {
                    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or("–");
                    format!("{host} {}", request.uri())
                }),
            )
            .route("/corps", axum::routing::post(|body: axum::body::Bytes| async move { body.len().to_string() }))
            .fallback_service(site::folder(&site));
        let (stopper, stop) = listen::stop();
        let served = runtime.spawn(front.serve(router, self.limits, stop));
        let (runtime, stopper, served) = (Some(runtime), Some(stopper), Some(served));
        Door { https, http, hosts, root: self.root, ahead, runtime, stopper, served }
    }
}

impl Door {
    /// Puts the clock of the door forward.
    pub fn advance(&self, days: i64) {
        self.ahead.fetch_add(days * 86_400, Ordering::Relaxed);
    }

    pub fn data(&self) -> PathBuf {
        self.root.path().join("donnees")
    }

    pub fn ask_to_stop(&mut self) {
        self.stopper.take().unwrap().stop();
    }

    /// Waits for the end; gives the number of connections that were cut.
    pub fn wait_stopped(&mut self) -> usize {
        let served = self.served.take().unwrap();
        let within = async { tokio::time::timeout(Duration::from_secs(30), served).await };
        self.runtime.as_ref().unwrap().block_on(within).unwrap().unwrap()
    }

    /// Stops, and gives the folder back for another one.
    pub fn stopped(mut self) -> TempDir {
        self.ask_to_stop();
        self.wait_stopped();
        std::mem::replace(&mut self.root, tempfile::tempdir().unwrap())
    }

    /// Runs in the door's own runtime.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let within = async { tokio::time::timeout(Duration::from_secs(60), work).await };
        self.runtime.as_ref().unwrap().block_on(within).expect("within a minute")
    }

    /// An exchange over TLS as `host`; `Err`: the handshake failed.
    pub fn secure(&self, roots: &str, host: &str) -> Result<Secure, String> {
        Secure::open(self.https, roots, host, &[b"http/1.1"])
    }

    /// What curl gets of `https://host/path`.
    pub fn curl(&self, roots: &str, host: &str, path: &str, more: &[&str]) -> Result<String, i32> {
        let file = self.root.path().join("racine.pem");
        std::fs::write(&file, roots).unwrap();
        let port = self.https.port();
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "30", "--noproxy", "*", "--cacert", file.to_str().unwrap()])
            .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
            .args(more)
            .arg(format!("https://{host}:{port}{path}"))
            .output()
            .unwrap();
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            code => Err(code.unwrap_or(-1)),
        }
    }

    /// What plain HTTP answers.
    pub fn plain(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.http.unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stopper.take();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub fn page() -> String {
    format!("<!doctype html><title>Accueil</title>{}", "<p>La mairie est ouverte.</p>".repeat(300))
}

/// A TLS connection.
pub struct Secure {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
}

pub fn client_config(roots: &str, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    Arc::new(config)
}

impl Secure {
    pub fn open(address: SocketAddr, roots: &str, host: &str, protocols: &[&[u8]]) -> Result<Secure, String> {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let connection = ClientConnection::new(client_config(roots, protocols), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
        }
        Ok(Secure { stream })
    }

    /// The server's certificate.
    pub fn certificate(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// An answer to a `GET`, and the end.
    pub fn get(mut self, host: &str, path: &str) -> String {
        self.stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut said = Vec::new();
        // A connection closed without a word after the answer is fine: its length was told.
        let _ = self.stream.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// Polls until `done` gives something.
pub fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A port that nobody holds.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
