//! `mulot serve`: the folder as a site, with the real guichet inside, on this machine only.
//!
//! Mails land in a letterbox page and nothing leaves the machine; every save of a file rebuilds the site and reloads the
//! browser. Nothing is ever written in the author's folder.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Frame;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tower::ServiceExt;

use super::answer::{crashed, page};
use super::config::RESERVE_BYTES;
use super::config::Role;
use super::desk::{Desk, DeskContent, DeskOptions};
use super::headers::{Outside, Policy, harden, is_loopback_host};
use super::letterbox;
use super::listen::{self, Limits, ListenAddress, Listener, Stop, Stopper};
use super::office::Outgoing;
use super::receive::FormLimits;
use super::routes;
use super::site;
use super::workshop::{Board, BuildReport, DIAGNOSTICS_URL, LETTERBOX_URL, Shown, Watcher, Workshop};
use super::{Office, StartError, by_prefix, workshop};
use crate::intake::files::FileOptions;
use crate::intake::links::RequestLinks;
use crate::intake::mailer::Transport;
use crate::intake::specimen;
use crate::model::mail::Mail;
use crate::model::media_type::media_type;
use crate::model::output::Pictures;
use crate::pipeline::Base;
use crate::render::view::{
    DiagnosticView, DiagnosticsView, DocumentView, ExcerptLine, LetterRow, LetterView, LetterboxView, Link, Row,
    SampleRow, Severity as SeverityView, ToolView,
};
use crate::text::numbers::file_size;
use crate::text::typography::french;

/// What a preview is asked.
pub struct PreviewConfig {
    /// The commune's folder.
    pub folder: PathBuf,
    /// Where to listen; port 0 lets the system choose.
    pub listen: ListenAddress,
    /// Folder of the user's caches, under which the guichet of the preview keeps its data; a temporary one when `None`.
    pub state: Option<PathBuf>,
    /// The layers below the commune.
    pub base: Arc<Base>,
    /// Where pictures are made ready.
    pub pictures: Arc<dyn Pictures + Send + Sync>,
    /// « Mulot 0.1.0 ».
    pub generator: String,
    /// The instant to build for, when it is not now.
    pub now: Option<Timestamp>,
    /// How long strangers may hold.
    pub limits: Limits,
    /// Told after every build but the first.
    pub on_build: Box<dyn FnMut(&BuildReport) + Send>,
}

/// A preview, ready to serve.
pub struct Preview {
    listener: Listener,
    router: Router,
    limits: Limits,
    first: BuildReport,
    office: Office,
    stopper: Stopper,
    stop: Stop,
    _watcher: Watcher,
}

impl Preview {
    /// Builds the folder once, listens, and starts watching. A folder that cannot be built is shown as its diagnostics.
    ///
    /// # Errors
    /// [`StartError`] when the address is taken, the data folder cannot be used or the folder not be watched.
    pub async fn build(config: PreviewConfig) -> Result<Preview, StartError> {
        let listener = Listener::bind(&config.listen).await?;
        let office = office(config.state.as_deref(), &config.folder)?;
        let workshop = Workshop {
            folder: config.folder,
            base: config.base,
            pictures: config.pictures,
            generator: config.generator,
            letterbox: office.folder().join(LETTERBOX),
            now: config.now,
        };
        // Watched before it is read: nothing saved meanwhile is missed.
        let (nudge, nudges) = mpsc::channel();
        let watcher = workshop::watch(&workshop, nudge)
            .map_err(|error| StartError::Watch { folder: workshop.folder.clone(), reason: error.to_string() })?;
        let (workshop, (shown, desk, first)) = tokio::task::spawn_blocking(move || {
            let built = workshop.build(None);
            (workshop, built)
        })
        .await
        .map_err(|_| StartError::Watch { folder: PathBuf::new(), reason: "the first build panicked".into() })?;
        let (stopper, stop) = listen::stop();
        let preview = Arc::new(Shop {
            board: Board::new(shown),
            guichet: OnceLock::new(),
            letterbox: workshop.letterbox.clone(),
            address: format!("http://{}", listener.local_addr()),
            stop: stop.clone(),
        });
        preview.open(desk, &office);
        let mut on_build = config.on_build;
        let thread = std::thread::Builder::new().name("apercu".into()).spawn({
            let (preview, office) = (preview.clone(), office.clone());
            move || {
                workshop::run(&workshop, &preview.board, &nudges, |desk, report| {
                    preview.open(desk, &office);
                    on_build(&report);
                });
            }
        });
        thread.map_err(|source| StartError::Io { path: PathBuf::new(), source })?;
        let router = router(preview);
        Ok(Preview { listener, router, limits: config.limits, first, office, stopper, stop, _watcher: watcher })
    }

    /// The address, with the port the system chose.
    pub fn local_addr(&self) -> &ListenAddress {
        self.listener.local_addr()
    }

    /// What the first build did.
    pub fn first_build(&self) -> &BuildReport {
        &self.first
    }

    /// All that it answers, for tests without a socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves until `signal` comes, then finishes what is in flight.
    pub async fn run_until_stopped(self, signal: impl Future<Output = ()>) {
        let paris = TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC);
        let digest = self.office.digest(&format!("http://{}", self.listener.local_addr()), paris);
        let worker = self.office.deliver(digest, Arc::new(Default::default), Arc::new(Timestamp::now));
        let web = listen::serve(self.listener, self.router, self.limits, self.stop);
        let stopper = self.stopper;
        let signal = async {
            signal.await;
            stopper.stop();
            std::future::pending::<()>().await
        };
        tokio::select! {
            _ = web => {}
            () = signal => {}
        }
        if let Some(worker) = worker {
            worker.stop().await;
        }
    }
}

/// The data of the preview of a folder: the same from one run to the next, or a temporary one while another preview of it
/// runs.
fn office(state: Option<&Path>, folder: &Path) -> Result<Office, StartError> {
    let open = |data: &Path| {
        let letterbox = data.join(LETTERBOX);
        std::fs::create_dir_all(&letterbox).map_err(|source| StartError::Io { path: letterbox.clone(), source })?;
        let outgoing = Outgoing { transport: Transport::Folder(letterbox), per_hour: None, signer: None };
        Office::open(data, (None, None, Role::Whole), outgoing, FileOptions::free(RESERVE_BYTES))
    };
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let hash = blake3::hash(whole.as_os_str().as_encoded_bytes()).to_hex();
    if let Some(state) = state
        && let Ok(office) = open(&state.join("apercu").join(&hash[..16]))
    {
        return Ok(office);
    }
    let temporary = tempfile::tempdir().map_err(|source| StartError::Io { path: std::env::temp_dir(), source })?;
    Ok(open(temporary.path())?.keeping(temporary))
}

/// What the routes share.
struct Shop {
    board: Board,
    guichet: OnceLock<(Arc<Desk>, Router)>,
    letterbox: PathBuf,
    /// Scheme and host of the preview, for the links of its mails.
    address: String,
    stop: Stop,
}

impl Shop {
    /// Shows the guichet of a good build.
    fn open(&self, content: Option<DeskContent>, office: &Office) {
        let Some(content) = content else { return };
        match self.guichet.get() {
            Some((desk, _)) => desk.show(content),
            None => {
                let desk = Arc::new(Desk::new(
                    content,
                    DeskOptions {
                        depot: office.depot(),
                        keys: office.keys(),
                        limits: FormLimits::default(),
                        rates: None,
                        proxies: Vec::new(),
                        reserve_bytes: RESERVE_BYTES,
                        address: Some(self.address.clone()),
                        confirms_mailboxes: false,
                        agents: Arc::default(),
                        clock: Arc::new(Timestamp::now),
                        watch: office.watch(),
                    },
                ));
                let routes = routes::router(desk.clone(), &Outside::default(), &[]);
                // Only this thread opens it.
                let _ = self.guichet.set((desk, routes));
            }
        }
    }
}

fn router(shop: Arc<Shop>) -> Router {
    let outside = Outside::default();
    let tools = Router::new()
        .route("/__mulot/flux", get(flow))
        .route(DIAGNOSTICS_URL, get(diagnostics))
        .route(LETTERBOX_URL, get(letters))
        .route("/__mulot/boite/{name}", get(letter))
        .route("/__mulot/essai/{form}/{role}", get(sample))
        .with_state(shop.clone());
    let sandboxed = Router::new()
        .route("/__mulot/boite/{name}/html", get(letter_html))
        .route("/__mulot/essai/{form}/{role}/html", get(sample_html))
        .route("/__mulot/boite/{name}/brut", get(letter_raw))
        .route("/__mulot/boite/{name}/piece/{number}", get(letter_piece))
        .with_state(shop.clone());
    let tools = harden(tools, Policy::Tool, &outside).merge(harden(sandboxed, Policy::Sandbox, &outside));
    let guichet = Router::new().fallback(guichet).with_state(shop.clone());
    let pages = harden(Router::new().fallback(site).with_state(shop), Policy::Site, &outside);
    let all = by_prefix(vec![("/__mulot/", tools), ("/guichet/", guichet)], pages)
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(crashed))
        .layer(from_fn(only_this_machine));
    harden(all, Policy::Site, &outside)
}

/// A page of another site cannot have itself read through a name that leads here (DNS rebinding).
async fn only_this_machine(request: Request, next: Next) -> Response {
    if is_loopback_host(&request) {
        return next.run(request).await;
    }
    let words = "L'aperçu ne répond qu'à cette machine : ouvrez http://localhost suivi du port.\n";
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    (StatusCode::MISDIRECTED_REQUEST, [(header::CONTENT_TYPE, text)], words).into_response()
}

async fn site(State(shop): State<Arc<Shop>>, request: Request) -> Response {
    let shown = shop.board.shown();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    if !shown.output.files.contains_key(&path)
        && let Some(bytes) = shown.theme.as_ref().and_then(|theme| theme.files().find(|(name, _)| *name == path))
    {
        let kind = HeaderValue::from_static(media_type(&path));
        return ([(header::CONTENT_TYPE, kind)], Bytes::from_owner(bytes.1.clone())).into_response();
    }
    if !shown.has_site {
        return diagnostics_page(&shown, StatusCode::SERVICE_UNAVAILABLE);
    }
    site::answer(&shown.output, request).await
}

async fn guichet(State(shop): State<Arc<Shop>>, request: Request) -> Response {
    match shop.guichet.get() {
        Some((_, routes)) => match routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => diagnostics_page(&shop.board.shown(), StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Server-sent events: the number of what is shown, at once and at each change.
async fn flow(State(shop): State<Arc<Shop>>) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let mut versions = shop.board.versions();
    let mut stop = shop.stop.clone();
    tokio::spawn(async move {
        loop {
            let version = *versions.borrow_and_update();
            let count = shop.board.shown().told.len();
            let event =
                format!("event: diagnostics\ndata: {count}\n\nevent: recharge\ndata: {version}\n\ndata: {version}\n\n");
            if sender.send(Bytes::from(event)).await.is_err() {
                return;
            }
            loop {
                tokio::select! {
                    () = stop.asked() => return,
                    () = sender.closed() => return,
                    changed = versions.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    () = tokio::time::sleep(HEARTBEAT) => {
                        if sender.send(Bytes::from_static(b":\n\n")).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    });
    let stream = HeaderValue::from_static("text/event-stream; charset=utf-8");
    ([(header::CONTENT_TYPE, stream)], Body::new(Flow(receiver))).into_response()
}

/// A body made of what comes through a channel.
struct Flow(tokio::sync::mpsc::Receiver<Bytes>);

impl hyper::body::Body for Flow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn diagnostics(State(shop): State<Arc<Shop>>) -> Response {
    diagnostics_page(&shop.board.shown(), StatusCode::OK)
}

fn diagnostics_page(shown: &Shown, status: StatusCode) -> Response {
    let summary = shown.summary().unwrap_or_else(|| "Tout va bien".to_owned());
    let items = shown.told.iter().map(|told| {
        let diagnostic = &told.diagnostic;
        let place = &diagnostic.place;
        DiagnosticView {
            severity: match diagnostic.severity {
                crate::diagnostic::Severity::Error => SeverityView::Erreur,
                crate::diagnostic::Severity::Warning => SeverityView::Avertissement,
                crate::diagnostic::Severity::Blank => SeverityView::Conseil,
            },
            severity_label: capitalised(diagnostic.severity.label()).into(),
            code: diagnostic.code.as_str().into(),
            file: (!place.file.is_empty()).then(|| place.file.as_str().into()),
            line: (place.line > 0).then_some(place.line as usize),
            column: (place.column > 0).then_some(place.column as usize),
            message: capitalised(&french(&diagnostic.message)).into(),
            remedy: diagnostic.hint.as_deref().map(Into::into),
            excerpt: told.excerpt.iter().map(|(number, text)| excerpt_line(*number, text, place)).collect(),
        }
    });
    let view = DiagnosticsView {
        tool: tool(shown, "Diagnostics"),
        summary: summary.as_str().into(),
        stale: shown.is_broken && shown.has_site,
        items: items.collect(),
    };
    let drawn = shown.theme.as_ref().and_then(|theme| theme.render(&view).ok());
    page(status, drawn.unwrap_or_else(|| bare_diagnostics(shown)), "diagnostics")
}

/// A line of source, the fault apart when it stands on it.
fn excerpt_line<'a>(number: usize, text: &'a str, place: &crate::diagnostic::Place) -> ExcerptLine<'a> {
    let byte_at = |characters: usize| text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    let marked = number == place.line as usize && place.column > 0;
    let start = if marked { byte_at(place.column as usize - 1) } else { text.len() };
    let end = if marked { byte_at(place.column as usize - 1 + place.length as usize) } else { text.len() };
    ExcerptLine { number, before: text[..start].into(), marked: text[start..end].into(), after: text[end..].into() }
}

/// When even the built-in theme cannot be used.
fn bare_diagnostics(shown: &Shown) -> String {
    let lines = shown.told.iter().map(|told| {
        let words = format!("{} : {}", told.diagnostic.place, told.diagnostic.message);
        format!("<li>{}</li>", words.replace('&', "&amp;").replace('<', "&lt;"))
    });
    let list: String = lines.collect();
    format!(
        "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>Diagnostics</title></head><body><h1>Diagnostics</h1><ul>{list}</ul></body></html>\n"
    )
}

fn tool<'a>(shown: &'a Shown, title: &'a str) -> ToolView<'a> {
    let theme = shown.theme.as_ref();
    ToolView {
        title: title.into(),
        folder: shown.title.as_str().into(),
        stylesheet_url: theme.map_or("", |theme| theme.stylesheet_url()).into(),
        script_url: theme.and_then(|theme| theme.preview_script_url()).map(Into::into),
        site_url: "/".into(),
        letterbox_url: LETTERBOX_URL.into(),
        diagnostics_url: DIAGNOSTICS_URL.into(),
    }
}

async fn letters(State(shop): State<Arc<Shop>>) -> Response {
    let folder = shop.letterbox.clone();
    let letters = blocking(move || letterbox::letters(&folder)).await;
    let shown = shop.board.shown();
    let rows = letters.iter().map(|letter| LetterRow {
        url: format!("{LETTERBOX_URL}/{}", letter.name).into(),
        subject: letter.subject.as_str().into(),
        from: letter.from.as_str().into(),
        to: letter.to.as_str().into(),
        date: letterbox::date_words(letter.date).into(),
        attachments: letter.attachments,
    });
    let content = shop.guichet.get().map(|(desk, _)| desk.content());
    let forms = content.iter().flat_map(|content| content.site().forms.values());
    let mut forms: Vec<SampleRow<'_>> = forms
        .map(|form| SampleRow {
            title: french(&form.title),
            mairie_url: format!("{SAMPLE_URL}/{}/mairie", form.id).into(),
            resident_url: form.field("courriel").map(|_| format!("{SAMPLE_URL}/{}/usager", form.id).into()),
            paper_url: format!("{}papier/", form.page_url).into(),
        })
        .collect();
    forms.sort_by(|one, other| one.title.cmp(&other.title));
    let view = LetterboxView { tool: tool(&shown, "Boîte aux lettres"), letters: rows.collect(), forms };
    draw(&shown, &view)
}

/// A mail of a form answered with samples, composed as the real one.
fn sample_mail(shop: &Shop, form: &str, role: &str) -> Option<Mail> {
    let (desk, _) = shop.guichet.get()?;
    let content = desk.content();
    let form = content.site().forms.get(form)?;
    let links = RequestLinks {
        follow: Some(format!("{}/guichet/suivi/exemple/exemple", shop.address)),
        act: Some(format!("{}/guichet/agir/exemple", shop.address)),
        pieces: None,
    };
    let mails = specimen::mails(form, &content.issuer, &links, &desk.now(&content));
    mails.into_iter().find(|mail| mail.role.as_str() == role)
}

async fn sample(State(shop): State<Arc<Shop>>, UrlPath((form, role)): UrlPath<(String, String)>) -> Response {
    let Some(mail) = sample_mail(&shop, &form, &role) else { return StatusCode::NOT_FOUND.into_response() };
    let shown = shop.board.shown();
    let row = |label: &'static str, value: String| Row { label: label.into(), value: value.into() };
    let mut headers = vec![
        row("De", format!("{} <{}>", mail.from.name, mail.from.email)),
        row("À", mail.to.join(", ")),
        row("Objet", mail.subject.clone()),
    ];
    headers.extend(mail.reply_to.as_ref().map(|to| row("Répondre à", to.email.clone())));
    let mut joined: Vec<String> = mail.attachments.iter().map(|file| file.name.clone()).collect();
    joined.extend(mail.json.is_some().then(|| "demande.json".to_owned()));
    headers.extend((!joined.is_empty()).then(|| row("Pièces jointes", joined.join(", "))));
    let view = LetterView {
        tool: tool(&shown, "Message d’exemple"),
        subject: mail.subject.as_str().into(),
        headers,
        text: mail.text.as_str().into(),
        html_url: Some(format!("{SAMPLE_URL}/{form}/{role}/html").into()),
        attachments: Vec::new(),
        links: Vec::new(),
        raw_url: None,
    };
    draw(&shown, &view)
}

async fn sample_html(State(shop): State<Arc<Shop>>, UrlPath((form, role)): UrlPath<(String, String)>) -> Response {
    match sample_mail(&shop, &form, &role) {
        Some(mail) => page(StatusCode::OK, mail.html, "sample"),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn letter(State(shop): State<Arc<Shop>>, UrlPath(name): UrlPath<String>) -> Response {
    let Some(letter) = read(&shop, name).await else { return StatusCode::NOT_FOUND.into_response() };
    let shown = shop.board.shown();
    let url = format!("{LETTERBOX_URL}/{}", letter.head.name);
    let headers =
        letter.headers.iter().map(|(label, value)| Row { label: (*label).into(), value: value.as_str().into() });
    let attachments = letter.attachments.iter().enumerate().map(|(at, (name, media, bytes))| DocumentView {
        title: name.as_str().into(),
        url: format!("{url}/piece/{}", at + 1).into(),
        format: media.rsplit('/').next().unwrap_or("").to_ascii_uppercase().into(),
        size: file_size(bytes.len() as u64).into(),
        pages: None,
    });
    let view = LetterView {
        tool: tool(&shown, "Message"),
        subject: letter.head.subject.as_str().into(),
        headers: headers.collect(),
        text: letter.text.as_str().into(),
        html_url: letter.html.is_some().then(|| format!("{url}/html").into()),
        attachments: attachments.collect(),
        links: links(&letter.text, &shop.address),
        raw_url: Some(format!("{url}/brut").into()),
    };
    draw(&shown, &view)
}

/// The pages of this guichet that a mail leads to.
fn links<'a>(text: &'a str, address: &str) -> Vec<Link<'a>> {
    let paths = text.split_whitespace().filter_map(|word| word.strip_prefix(address));
    let mut links: Vec<Link<'a>> = Vec::new();
    for path in paths {
        let label = if path.starts_with("/guichet/agir/") {
            "Ce que voit la mairie"
        } else if path.starts_with("/guichet/suivi/") {
            "Ce que voit l’usager"
        } else {
            continue;
        };
        if links.iter().all(|link| link.url != path) {
            links.push(Link { label: label.into(), url: path.into(), external: false, current: false });
        }
    }
    links
}

async fn letter_html(State(shop): State<Arc<Shop>>, UrlPath(name): UrlPath<String>) -> Response {
    match read(&shop, name).await.and_then(|letter| letter.html) {
        Some(html) => page(StatusCode::OK, html, "letter"),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn letter_raw(State(shop): State<Arc<Shop>>, UrlPath(name): UrlPath<String>) -> Response {
    match read(&shop, name).await {
        Some(letter) => download("message/rfc822", &format!("{}.eml", letter.head.name), letter.raw),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn letter_piece(State(shop): State<Arc<Shop>>, UrlPath((name, number)): UrlPath<(String, usize)>) -> Response {
    let letter = read(&shop, name).await;
    match letter.and_then(|letter| letter.attachments.into_iter().nth(number.checked_sub(1)?)) {
        Some((name, media, bytes)) => download(&media, &name, bytes),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn read(shop: &Shop, name: String) -> Option<letterbox::Letter> {
    let folder = shop.letterbox.clone();
    blocking(move || letterbox::letter(&folder, &name)).await
}

async fn blocking<T: Default + Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

/// Bytes to save, never to show in the page.
fn download(media: &str, name: &str, bytes: Vec<u8>) -> Response {
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect();
    let disposition = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    let mut response = bytes.into_response();
    for (header, value) in [(header::CONTENT_TYPE, media), (header::CONTENT_DISPOSITION, disposition.as_str())] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(header, value);
        }
    }
    response
}

fn draw<V: crate::render::view::View>(shown: &Shown, view: &V) -> Response {
    match shown.theme.as_ref().and_then(|theme| theme.render(view).ok()) {
        Some(html) => page(StatusCode::OK, html, "tool"),
        None => diagnostics_page(shown, StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Address of the sample mails.
const SAMPLE_URL: &str = "/__mulot/essai";
/// Folder of the mails inside the data folder.
const LETTERBOX: &str = "boite";
/// A word now and then, so that a browser that left is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
