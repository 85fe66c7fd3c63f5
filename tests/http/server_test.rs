//! A server of the library in this process, and a plain HTTP client to ask it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mulot::diagnostic::Diagnostic;
use mulot::intake::mailer::{Letterbox, Transport};
use mulot::pictures::PictureCache;
use mulot::pipeline::Base;
use mulot::server::config::{FileSettings, GuichetConfig, HallConfig};
use mulot::server::guichet::{Census, Guichet, Means, Reload};
use mulot::server::listen::{Limits, ListenAddress};
use mulot::server::overview::{self, Overview};
use mulot::server::preview::{Bounds, Preview, PreviewConfig, TerritoirePreview};
use mulot::server::rate::RateLimits;
use mulot::server::receive::FormLimits;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// The form of the catalogue that takes everything: texts, files, a box, an identity.
pub const FORM: &str = "saisir-la-mairie";

/// What the next reading of the configuration gives.
type Next = Arc<Mutex<Result<HallConfig, Vec<Diagnostic>>>>;

/// A running server on a free port, with its folders.
pub struct ServerTest {
    pub address: SocketAddr,
    pub mails: Letterbox,
    /// Builds of a preview after the first.
    pub builds: Arc<AtomicUsize>,
    root: TempDir,
    ahead: Arc<AtomicI64>,
    reload: Option<(Reload, Next)>,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    stopped: Option<tokio::task::JoinHandle<()>>,
}

impl ServerTest {
    /// The production server of the smallest commune, with its usual limits.
    pub fn guichet() -> Self {
        Self::guichet_with(|_| {})
    }

    /// The same, with settings changed.
    pub fn guichet_with(change: impl FnOnce(&mut GuichetConfig)) -> Self {
        let root = tempfile::tempdir().unwrap();
        copy(&manifest().join("tests/communes/minimal"), &root.path().join("commune"));
        let mails = Letterbox::default();
        let mut config = settings(root.path(), &mails);
        change(&mut config);
        Self::start(root, mails, config.into())
    }

    /// The guichet of a territoire of such communes, each at `https://NAME.example`, with its settings and files changed.
    pub fn hall_with(communes: &[&str], change: impl FnOnce(&mut HallConfig, &Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let territoire = root.path().join("territoire");
        std::fs::create_dir_all(territoire.join("communes")).unwrap();
        std::fs::write(territoire.join("territoire.toml"), "nom = \"Communauté de communes\"\n").unwrap();
        communes.iter().for_each(|name| add_commune(&territoire, name));
        let mails = Letterbox::default();
        let common = GuichetConfig { folder: territoire.clone(), ..settings(root.path(), &mails) };
        let mut config = HallConfig::from(common);
        config.territoire = Some(territoire.clone());
        change(&mut config, &territoire);
        Self::start(root, mails, config)
    }

    fn start(root: TempDir, mails: Letterbox, config: HallConfig) -> Self {
        let ahead = Arc::new(AtomicI64::new(0));
        let runtime = runtime();
        let clock = ahead.clone();
        let means = Means {
            base: Arc::new(Base::embedded()),
            pictures: Arc::new(PictureCache::new(None)),
            generator: "Mulot".into(),
            clock: Arc::new(move || Timestamp::now() + SignedDuration::from_secs(clock.load(Ordering::Relaxed))),
        };
        let next = Arc::new(Mutex::new(Ok(config.clone())));
        let guichet = runtime.block_on(Guichet::build(config, means)).unwrap_or_else(|error| panic!("{error:?}"));
        let reread = next.clone();
        let guichet = guichet.rereading(Arc::new(move || reread.lock().unwrap().clone()));
        let reload = Some((guichet.reload(), next));
        let ListenAddress::Tcp(address) = *guichet.local_addr() else { panic!("not TCP") };
        let (stop, signal) = oneshot::channel::<()>();
        let stopped = runtime.spawn(guichet.run_until_stopped(async {
            let _ = signal.await;
        }));
        let (runtime, stop, stopped) = (Some(runtime), Some(stop), Some(stopped));
        ServerTest { address, mails, builds: Arc::default(), root, ahead, reload, runtime, stop, stopped }
    }

    /// Has the server read its configuration again: the one in force, changed.
    pub fn reload_with(&self, change: impl FnOnce(&mut HallConfig, &Path)) -> Result<(), Vec<Diagnostic>> {
        let (reload, next) = self.reload.as_ref().unwrap();
        if let Ok(config) = &mut *next.lock().unwrap() {
            change(config, &self.territoire());
        }
        reload.now()
    }

    /// What `mulot etat` sees of it at an instant.
    pub fn overview(&self, now: Timestamp) -> Overview {
        let config = self.reload.as_ref().unwrap().1.lock().unwrap().clone().unwrap();
        overview::look(&config, &Base::embedded(), now).unwrap()
    }

    /// How its communes stand.
    pub fn census(&self) -> Census {
        self.reload.as_ref().unwrap().0.census()
    }

    /// The territoire's folder.
    pub fn territoire(&self) -> PathBuf {
        self.root.path().join("territoire")
    }

    /// The preview of the smallest commune, changed first.
    pub fn preview_with(change: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("commune");
        copy(&manifest().join("tests/communes/minimal"), &folder);
        change(&folder);
        let builds = Arc::<AtomicUsize>::default();
        let config = previewed(root.path(), folder, &builds);
        let runtime = runtime();
        let preview = runtime.block_on(Preview::build(config)).unwrap_or_else(|error| panic!("{error:?}"));
        let ListenAddress::Tcp(address) = *preview.local_addr() else { panic!("not TCP") };
        let (stop, signal) = oneshot::channel::<()>();
        let stopped = runtime.spawn(preview.run_until_stopped(async {
            let _ = signal.await;
        }));
        Self::previewing(root, builds, address, (runtime, stop, stopped))
    }

    /// The preview of a territoire of such communes, no more than `most_open` at a time.
    pub fn street_with(communes: &[&str], most_open: usize, change: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let territoire = root.path().join("territoire");
        std::fs::create_dir_all(territoire.join("communes")).unwrap();
        std::fs::write(territoire.join("territoire.toml"), "nom = \"Communauté de communes\"\n").unwrap();
        communes.iter().for_each(|name| add_commune(&territoire, name));
        change(&territoire);
        let builds = Arc::<AtomicUsize>::default();
        let config = previewed(root.path(), territoire, &builds);
        let runtime = runtime();
        let bounds = Bounds { most_open, ..Bounds::default() };
        let preview =
            runtime.block_on(TerritoirePreview::build(config, bounds)).unwrap_or_else(|error| panic!("{error:?}"));
        let ListenAddress::Tcp(address) = *preview.local_addr() else { panic!("not TCP") };
        let (stop, signal) = oneshot::channel::<()>();
        let stopped = runtime.spawn(preview.run_until_stopped(async {
            let _ = signal.await;
        }));
        Self::previewing(root, builds, address, (runtime, stop, stopped))
    }

    fn previewing(
        root: TempDir,
        builds: Arc<AtomicUsize>,
        address: SocketAddr,
        (runtime, stop, stopped): (Runtime, oneshot::Sender<()>, tokio::task::JoinHandle<()>),
    ) -> Self {
        let (runtime, stop, stopped) = (Some(runtime), Some(stop), Some(stopped));
        let mails = Letterbox::default();
        ServerTest { address, mails, builds, root, ahead: Arc::default(), reload: None, runtime, stop, stopped }
    }

    /// The commune's folder.
    pub fn folder(&self) -> PathBuf {
        self.root.path().join("commune")
    }

    /// The guichet's data folder.
    pub fn data(&self) -> PathBuf {
        self.root.path().join("donnees")
    }

    /// Puts the server's clock forward.
    pub fn advance(&self, by: SignedDuration) {
        self.ahead.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    /// Asks the server to stop, without waiting.
    pub fn ask_to_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    /// Waits until the server has stopped.
    pub fn wait_stopped(&mut self) {
        let (runtime, stopped) = (self.runtime.as_ref().unwrap(), self.stopped.take().unwrap());
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), stopped).await }).unwrap().unwrap();
    }

    /// A connection of its own.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// An answer to a `GET`.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// An answer to any request, on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.send_request(method, path, headers, body);
        connection.answer()
    }

    /// Posts pairs as a form without files does.
    pub fn post(&self, path: &str, fields: &[(String, String)]) -> Answer {
        let body = urlencoded(fields);
        self.ask("POST", path, &[("content-type", "application/x-www-form-urlencoded")], body.as_bytes())
    }

    /// Posts parts as a form with files does.
    pub fn post_parts(&self, path: &str, parts: &[Part]) -> Answer {
        let body = multipart(parts);
        self.ask("POST", path, &[("content-type", &multipart_type())], &body)
    }

    /// Goes as far as the check page with valid answers; gives what it carries.
    pub fn to_check_page(&self) -> Vec<(String, String)> {
        let page = self.post_parts(&format!("/guichet/{FORM}/verifier"), &texts(&valid_answers()));
        assert_eq!(page.status, 200, "{}", page.text());
        page.fields()
    }
}

impl Drop for ServerTest {
    fn drop(&mut self) {
        self.ask_to_stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Answers that [`FORM`] accepts, of a person.
pub fn valid_answers() -> Vec<(String, String)> {
    [
        ("objet", "Une benne rue du Four"),
        ("message", "Bonjour,\r\nJe voudrais poser une benne.\r\nMerci"),
        ("qualite", "personne"),
        ("prenom", "Zélie"),
        ("nom", "Quatrebarbes"),
        ("adresse.voie", "3, rue du Four"),
        ("adresse.code_postal", "01500"),
        ("adresse.commune", "Trou-la-Ville"),
        ("courriel", "zelie@exemple.fr"),
        ("telephone", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// The same pairs with one value changed.
pub fn with(mut fields: Vec<(String, String)>, name: &str, value: &str) -> Vec<(String, String)> {
    fields.retain(|(one, _)| one != name);
    fields.push((name.to_owned(), value.to_owned()));
    fields
}

/// A PDF small enough to be written here.
pub const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";

/// A part of a form with files.
pub struct Part {
    pub name: String,
    pub file: Option<String>,
    pub bytes: Vec<u8>,
}

/// Parts of texts.
pub fn texts(fields: &[(String, String)]) -> Vec<Part> {
    let part =
        |(name, value): &(String, String)| Part { name: name.clone(), file: None, bytes: value.clone().into_bytes() };
    fields.iter().map(part).collect()
}

/// A part with a file.
pub fn file(name: &str, file: &str, bytes: &[u8]) -> Part {
    Part { name: name.into(), file: Some(file.into()), bytes: bytes.to_vec() }
}

const BOUNDARY: &str = "----mulot0123456789";

pub fn multipart_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

pub fn multipart(parts: &[Part]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        let file =
            part.file.as_ref().map(|file| format!("; filename=\"{file}\"\r\nContent-Type: application/octet-stream"));
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"{}\r\n\r\n",
            part.name,
            file.unwrap_or_default()
        );
        body.extend(head.as_bytes());
        body.extend(&part.bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub fn urlencoded(fields: &[(String, String)]) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// A connection that can be as rude as it likes.
pub struct Connection {
    pub stream: TcpStream,
    address: SocketAddr,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Connection { stream, address }
    }

    /// Sends bytes; a server that has closed meanwhile is fine.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }

    pub fn send_request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let head = format!("{}{length}connection: close\r\n\r\n", self.head(method, path, headers));
        self.send(head.as_bytes());
        self.send(body);
    }

    /// Reads one answer of a connection that will be closed.
    pub fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        // A reset after the answer is fine: what came is read.
        let _ = self.stream.read_to_end(&mut bytes);
        Answer::parse(&bytes)
    }

    /// Reads until the text holds `words`.
    pub fn read_until(&mut self, words: &str) -> String {
        self.read_while(|text| !text.contains(words))
    }

    /// Reads as long as the text is not all that is wanted.
    pub fn read_while(&mut self, is_partial: impl Fn(&str) -> bool) -> String {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if !is_partial(&text) {
                return text;
            }
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => panic!("what was awaited never came: {text}"),
                Ok(count) => bytes.extend(&buffer[..count]),
            }
        }
    }

    /// Waits for the server to close; gives what it said before.
    pub fn closed(mut self) -> String {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("still open after thirty seconds")
            }
            _ => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let body = &bytes[end + 4..];
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        Answer { status, headers, body: if chunked { unchunked(body) } else { body.to_vec() } }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Where a redirect leads.
    pub fn location(&self) -> &str {
        self.header("location").expect("a location")
    }

    /// What the page would post: hidden inputs and filled controls of its form, by name and value.
    pub fn fields(&self) -> Vec<(String, String)> {
        let page = self.text();
        let mut fields = Vec::new();
        for tag in page.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or("");
            if !tag.starts_with("input ") {
                continue;
            }
            let kind = attribute(tag, "type").unwrap_or_default();
            let ticked = !matches!(kind.as_str(), "radio" | "checkbox") || tag.contains(" checked");
            if let (Some(name), true, true) = (attribute(tag, "name"), ticked, kind != "file") {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        for area in page.split("<textarea ").skip(1) {
            let (tag, rest) = area.split_once('>').unwrap();
            let value = rest.split("</textarea>").next().unwrap();
            fields.push((attribute(tag, "name").unwrap(), unescaped(value.strip_prefix('\n').unwrap_or(value))));
        }
        fields
    }

    /// The value of a field of the page.
    pub fn field(&self, name: &str) -> Option<String> {
        self.fields().into_iter().find(|(one, _)| one == name).map(|(_, value)| value)
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    Some(unescaped(&tag[start..start + tag[start..].find('"')?]))
}

fn unescaped(text: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#x2F;", "/"),
        ("&amp;", "&"),
    ];
    named.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(String::from_utf8_lossy(&body[..end]).trim(), 16).unwrap_or(0);
        if size == 0 || body.len() < end + 2 + size {
            break;
        }
        bytes.extend(&body[end + 2..end + 2 + size]);
        body = &body[(end + 4 + size).min(body.len())..];
    }
    bytes
}

/// Settings of the smallest commune in `root`, its mails kept in memory.
fn settings(root: &Path, mails: &Letterbox) -> GuichetConfig {
    GuichetConfig {
        folder: root.join("commune"),
        data: root.join("donnees"),
        base: None,
        key_file: None,
        listen: loopback(),
        site: None,
        proxies: Vec::new(),
        hsts_seconds: 300,
        transport: Transport::Memory(mails.clone()),
        limits: Limits::default(),
        form_limits: FormLimits::default(),
        rates: RateLimits::default(),
        reserve_bytes: 1 << 20,
        confirms_mailboxes: false,
        agent_code: None,
        per_hour: None,
        signer: None,
        bounces: None,
        metrics: None,
        files: FileSettings::default(),
        https: None,
    }
}

/// A commune like the smallest one, of that name, in a territoire.
pub fn add_commune(territoire: &Path, name: &str) {
    let folder = territoire.join("communes").join(name);
    copy(&manifest().join("tests/communes/minimal"), &folder);
    edit(&folder.join("commune.toml"), "Trou-la-Ville\"\ncode", &format!("{name}\"\ncode"));
    edit(&folder.join("commune.toml"), "trou.example", &format!("{name}.example"));
}

/// Changes a file.
pub fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from} in {}", file.display());
    std::fs::write(file, text.replace(from, to)).unwrap();
}

/// What the preview of a folder is asked; its builds are counted.
fn previewed(root: &Path, folder: PathBuf, builds: &Arc<AtomicUsize>) -> PreviewConfig {
    let builds = builds.clone();
    PreviewConfig {
        folder,
        listen: loopback(),
        state: Some(root.join("cache")),
        base: Arc::new(Base::embedded()),
        pictures: Arc::new(PictureCache::new(None)),
        generator: "Mulot".into(),
        now: None,
        limits: Limits { shutdown: Duration::from_secs(2), ..Limits::default() },
        told: Arc::new(move |_| {
            builds.fetch_add(1, Ordering::Relaxed);
        }),
    }
}

fn loopback() -> ListenAddress {
    ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
