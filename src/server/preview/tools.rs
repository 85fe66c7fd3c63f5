//! The pages of the preview's own tools: what is wrong, the letterbox, mails with sample answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::shop::Shop;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::intake::links::RequestLinks;
use crate::intake::specimen;
use crate::model::mail::Mail;
use crate::render::view::{
    DiagnosticView, DiagnosticsView, DocumentView, ExcerptLine, LetterRow, LetterView, LetterboxView, Link, Row,
    SampleRow, Severity as SeverityView, ToolView, View,
};
use crate::server::answer::page;
use crate::server::headers::{Outside, Policy, harden};
use crate::server::letterbox;
use crate::server::workshop::{DIAGNOSTICS_URL, LETTERBOX_URL, Shown};
use crate::text::numbers::file_size;
use crate::text::typography::french;

/// The routes under `/__mulot/`.
pub(super) fn router(shop: Arc<Shop>) -> Router {
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
        .with_state(shop);
    harden(tools, Policy::Tool, &outside).merge(harden(sandboxed, Policy::Sandbox, &outside))
}

async fn flow(State(shop): State<Arc<Shop>>) -> Response {
    let board = shop.clone();
    super::flow::flow(shop.board.versions(), move || board.board.shown().told.len(), shop.stop.clone())
}

async fn diagnostics(State(shop): State<Arc<Shop>>) -> Response {
    diagnostics_page(&shop, &shop.board.shown(), StatusCode::OK)
}

pub(super) fn diagnostics_page(shop: &Shop, shown: &Shown, status: StatusCode) -> Response {
    let summary = shown.summary().unwrap_or_else(|| "Tout va bien".to_owned());
    let items = shown.told.iter().map(|told| DiagnosticView {
        excerpt: told
            .excerpt
            .iter()
            .map(|(number, text)| excerpt_line(*number, text, &told.diagnostic.place))
            .collect(),
        ..diagnostic_view(&told.diagnostic)
    });
    let view = DiagnosticsView {
        tool: tool(shop, shown, "Diagnostics"),
        summary: summary.as_str().into(),
        stale: shown.is_broken && shown.has_site,
        items: items.collect(),
    };
    let drawn = shown.theme.as_ref().and_then(|theme| theme.render(&view).ok());
    page(status, drawn.unwrap_or_else(|| bare_diagnostics(shown)), "diagnostics")
}

/// A diagnostic without its lines of source.
pub(super) fn diagnostic_view(diagnostic: &Diagnostic) -> DiagnosticView<'_> {
    let place = &diagnostic.place;
    DiagnosticView {
        severity: match diagnostic.severity {
            Severity::Error => SeverityView::Erreur,
            Severity::Warning => SeverityView::Avertissement,
            Severity::Blank => SeverityView::Conseil,
        },
        severity_label: capitalised(diagnostic.severity.label()).into(),
        code: diagnostic.code.as_str().into(),
        file: (!place.file.is_empty()).then(|| place.file.as_str().into()),
        line: (place.line > 0).then_some(place.line as usize),
        column: (place.column > 0).then_some(place.column as usize),
        message: capitalised(&french(&diagnostic.message)).into(),
        remedy: diagnostic.hint.as_deref().map(Into::into),
        excerpt: Vec::new(),
    }
}

/// A line of source, the fault apart when it stands on it.
fn excerpt_line<'a>(number: usize, text: &'a str, place: &Place) -> ExcerptLine<'a> {
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

fn tool<'a>(shop: &'a Shop, shown: &'a Shown, title: &'a str) -> ToolView<'a> {
    let theme = shown.theme.as_ref();
    ToolView {
        title: title.into(),
        folder: shown.title.as_str().into(),
        stylesheet_url: theme.map_or("", |theme| theme.stylesheet_url()).into(),
        script_url: theme.and_then(|theme| theme.preview_script_url()).map(Into::into),
        site_url: "/".into(),
        letterbox_url: LETTERBOX_URL.into(),
        diagnostics_url: DIAGNOSTICS_URL.into(),
        communes_url: shop.communes_url.as_deref().map(Into::into),
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
    let view = LetterboxView { tool: tool(&shop, &shown, "Boîte aux lettres"), letters: rows.collect(), forms };
    draw(&shop, &shown, &view)
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
        tool: tool(&shop, &shown, "Message d’exemple"),
        subject: mail.subject.as_str().into(),
        headers,
        text: mail.text.as_str().into(),
        html_url: Some(format!("{SAMPLE_URL}/{form}/{role}/html").into()),
        attachments: Vec::new(),
        links: Vec::new(),
        raw_url: None,
    };
    draw(&shop, &shown, &view)
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
        tool: tool(&shop, &shown, "Message"),
        subject: letter.head.subject.as_str().into(),
        headers: headers.collect(),
        text: letter.text.as_str().into(),
        html_url: letter.html.is_some().then(|| format!("{url}/html").into()),
        attachments: attachments.collect(),
        links: links(&letter.text, &shop.address),
        raw_url: Some(format!("{url}/brut").into()),
    };
    draw(&shop, &shown, &view)
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

fn draw<V: View>(shop: &Shop, shown: &Shown, view: &V) -> Response {
    match shown.theme.as_ref().and_then(|theme| theme.render(view).ok()) {
        Some(html) => page(StatusCode::OK, html, "tool"),
        None => diagnostics_page(shop, shown, StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Address of the sample mails.
const SAMPLE_URL: &str = "/__mulot/essai";
