//! Serves the site written in a folder, whatever is put in its place meanwhile.
//!
//! Each request looks at the file on disk, then takes it from the [`shelf`](super::shelf) or reads it. A build that exchanges
//! the folder is seen by the next request; a page taken before still finds its styles and pictures, whose names change with
//! their bytes, in the previous site that the build leaves beside.
//!
//! It never lists a folder, never shows a hidden file, never leaves the folder.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::conditions::{Part, Verdict, judge, part};
use super::headers::{Outside, Policy, Sets};
use super::host;
use super::observe::observe_site;
use super::shelf::{self, Coding, Kept, REDIRECTS, Wanted};
use super::site::NOT_FOUND;
use crate::model::media_type::{ASSETS, cache_control, media_type};

/// Folder of pictures and documents.
const PICTURES: &str = "medias/";
/// How often a file that goes while it is read is looked for.
const LOOKS: usize = 3;
/// How long pictures of the previous site stay: a page loads in less, and a picture taken off a site must be gone.
const PICTURES_STAY: Duration = Duration::from_secs(300);

/// The site written in a folder.
#[derive(Debug)]
pub(super) struct Site {
    root: PathBuf,
    /// The site that stood there before the last build.
    previous: PathBuf,
    headers: Arc<Sets>,
}

/// The site written in a folder, as a router by itself.
pub fn folder(folder: &Path) -> Router {
    let site = Arc::new(Site::new(folder, &Outside::default()));
    Router::new().fallback(move |request: Request| {
        let site = site.clone();
        async move { site.answer(request).await }
    })
}

/// A request, and whether who sent it named this machine itself.
struct Asked {
    parts: Parts,
    is_local: bool,
}

/// A file found for an address.
struct Found {
    /// Path on disk.
    file: String,
    metadata: Metadata,
    /// Path in the site.
    path: String,
}

impl Site {
    /// The site of that folder, which may not be there yet.
    pub(super) fn new(folder: &Path, outside: &Outside) -> Site {
        let headers = Arc::new(Sets::new(Policy::Site, outside));
        Site { previous: crate::write::previous(folder), root: folder.to_owned(), headers }
    }

    /// What it answers, with the headers of a site.
    ///
    /// Shape: `GET` and `HEAD`; `/agenda` leads to `/agenda/` when only the folder exists; a former address leads to the new
    /// one (308); an unknown address gives the site's 404 page.
    pub(super) async fn answer(&self, request: Request) -> Response {
        let (is_local, method) = (host::is_loopback(&request), request.method().clone());
        let asked = Asked { parts: request.into_parts().0, is_local };
        let mut response = self.given(asked).await;
        observe_site(&method, response.status());
        self.headers.add(is_local, &mut response);
        response
    }

    async fn given(&self, asked: Asked) -> Response {
        let request = &asked.parts;
        if request.method != Method::GET && request.method != Method::HEAD {
            return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
        }
        let Some(path) = path_of(request.uri.path()) else { return self.not_found(&asked).await };
        for _ in 0..LOOKS {
            let Some(found) = self.find(&path) else { break };
            let response = self.file(&found, &asked).await;
            // Not there any more: a build was published between the look and the reading. Looked at again, it is in the new
            // site or in the previous one.
            if response.status() != StatusCode::NOT_FOUND {
                return response;
            }
        }
        if !path.ends_with("index.html")
            && let Some(found) = self.find(&format!("{path}/index.html"))
        {
            let wanted = self.wanted(&found);
            let kept = shelf::take(&wanted, &found.metadata, Coding::Plain).await;
            return match kept.as_ref().and_then(|kept| kept.redirect.as_deref()) {
                Some(to) => redirect(to, request),
                // The path is taken as sent, so that nothing is decoded twice.
                None => redirect(&format!("/{}/", request.uri.path().trim_matches('/')), request),
            };
        }
        self.not_found(&asked).await
    }

    fn find(&self, path: &str) -> Option<Found> {
        let of = |root: &Path| {
            let file = format!("{}/{path}", root.display());
            let metadata = std::fs::metadata(&file).ok().filter(Metadata::is_file)?;
            Some(Found { file, metadata, path: path.to_owned() })
        };
        of(&self.root).or_else(|| if self.may_be_of_the_previous(path) { of(&self.previous) } else { None })
    }

    /// Whether a file that is gone may still be given to who has the page that names it.
    fn may_be_of_the_previous(&self, path: &str) -> bool {
        is_fingerprinted(path) || (is_picture(path) && exchanged(&self.root).is_some_and(|since| since < PICTURES_STAY))
    }

    fn wanted<'a>(&'a self, found: &'a Found) -> Wanted<'a> {
        let (file, path) = (found.file.as_str(), found.path.as_str());
        Wanted { root: &self.root, file, path, sets: &self.headers }
    }

    async fn file(&self, found: &Found, asked: &Asked) -> Response {
        let request = &asked.parts;
        // A part of a compressed copy is of no use to who asks for a part.
        let is_part = request.headers.contains_key(header::RANGE);
        let coding = if is_part { Coding::Plain } else { Coding::accepted(&request.headers) };
        match shelf::take(&self.wanted(found), &found.metadata, coding).await {
            Some(kept) => match &kept.redirect {
                Some(to) => redirect(to, request),
                None => give(&kept, asked),
            },
            None => large(found, request.clone()).await,
        }
    }

    async fn not_found(&self, asked: &Asked) -> Response {
        let page = match self.find(NOT_FOUND) {
            Some(found) => {
                let coding = Coding::accepted(&asked.parts.headers);
                shelf::take(&self.wanted(&found), &found.metadata, coding).await
            }
            None => None,
        };
        let Some(page) = page else { return StatusCode::NOT_FOUND.into_response() };
        let mut response = whole(&page, asked);
        *response.status_mut() = StatusCode::NOT_FOUND;
        for name in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
            response.headers_mut().remove(name);
        }
        response
    }
}

/// The path in the site of an address: `/agenda/` → `agenda/index.html`; `None` for what no site holds.
fn path_of(address: &str) -> Option<String> {
    let path = percent_decode_str(address.strip_prefix('/')?).decode_utf8().ok()?;
    let mut parts = path.split('/').peekable();
    let mut first = true;
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let hidden = part.starts_with('.') && !(first && part == ".well-known");
        if hidden || (part.is_empty() && !is_last) || part.contains(['\\', '\0']) {
            return None;
        }
        first = false;
    }
    if path == REDIRECTS {
        return None;
    }
    let is_folder = path.is_empty() || path.ends_with('/');
    Some(if is_folder { format!("{path}index.html") } else { path.into_owned() })
}

/// Whether the name of a file changes with its bytes.
fn is_fingerprinted(path: &str) -> bool {
    path.starts_with(ASSETS)
}

/// Whether a name may be that of a picture made ready: `medias/vue-3fa9c2d1-960.webp`.
fn is_picture(path: &str) -> bool {
    let Some((stem, _)) = path.strip_prefix(PICTURES).and_then(|name| name.rsplit_once('.')) else { return false };
    let mut parts = stem.rsplit('-');
    let width = parts.next().is_some_and(|width| !width.is_empty() && width.bytes().all(|byte| byte.is_ascii_digit()));
    width && parts.next().is_some_and(|print| print.len() == 8 && print.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// How long ago a folder took the place of another one: a rename is the last thing that happens to it.
#[cfg(unix)]
fn exchanged(folder: &Path) -> Option<Duration> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(std::fs::metadata(folder).ok()?.ctime()).ok()?;
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).ok()
}

#[cfg(not(unix))]
fn exchanged(_: &Path) -> Option<Duration> {
    None
}

fn redirect(to: &str, request: &Parts) -> Response {
    let query = request.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let headers = [(header::LOCATION, format!("{to}{query}")), (header::CACHE_CONTROL, "no-cache".to_owned())];
    (StatusCode::PERMANENT_REDIRECT, headers).into_response()
}

/// A file kept in memory, its conditions and its part.
fn give(kept: &Kept, asked: &Asked) -> Response {
    let (request, tag) = (&asked.parts, kept.tag.as_str());
    match judge(&request.headers, tag, kept.modified) {
        Verdict::Send => {}
        Verdict::NotModified => return without_body(StatusCode::NOT_MODIFIED, kept, asked.is_local),
        Verdict::Failed => return without_body(StatusCode::PRECONDITION_FAILED, kept, asked.is_local),
    }
    let size = kept.bytes.len() as u64;
    let wanted =
        if request.method == Method::GET { part(&request.headers, size, tag, kept.modified) } else { Part::Whole };
    match wanted {
        Part::Whole => whole(kept, asked),
        Part::Range(range) => {
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
            let (from, to) = (at(*range.start()), at(*range.end()).saturating_add(1).min(kept.bytes.len()));
            let told = format!("bytes {}-{}/{size}", range.start(), range.end());
            let mut response = Body::from(kept.bytes.slice(from..to)).into_response();
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            *response.headers_mut() = kept.headers(asked.is_local).clone();
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
            if let Ok(told) = HeaderValue::from_str(&told) {
                response.headers_mut().insert(header::CONTENT_RANGE, told);
            }
            response
        }
        Part::Beyond => {
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))]).into_response()
        }
    }
}

fn whole(kept: &Kept, asked: &Asked) -> Response {
    let body = if asked.parts.method == Method::HEAD { Body::empty() } else { Body::from(kept.bytes.clone()) };
    let mut response = Response::new(body);
    *response.headers_mut() = kept.headers(asked.is_local).clone();
    response
}

/// What a 304 repeats of the headers: all but those of a body.
fn without_body(status: StatusCode, kept: &Kept, is_local: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = kept.headers(is_local).clone();
    *response.status_mut() = status;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::ACCEPT_RANGES] {
        response.headers_mut().remove(name);
    }
    response
}

/// A file too large to be kept: read from the disk while it is sent.
async fn large(found: &Found, mut request: Parts) -> Response {
    // A part of an answer that has no body is nothing (RFC 9110, section 14.2).
    if request.method != Method::GET {
        request.headers.remove(header::RANGE);
    }
    if request.headers.contains_key(header::IF_RANGE) && !is_same_file(found, &request).await {
        request.headers.remove(header::RANGE);
    }
    let mut response = from_disk(found, request).await;
    let is_given = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(&found.path)));
    }
    if is_given {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control(&found.path)));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

async fn from_disk(found: &Found, request: Parts) -> Response {
    // Several parts at once are answered by the whole, as those of a small file are.
    let file = ServeFile::new(&found.file).ignore_multi_range_requests(true);
    // A part of a compressed copy is of no use to who asks for a part.
    let file =
        if request.headers.contains_key(header::RANGE) { file } else { file.precompressed_br().precompressed_gzip() };
    let served = file.oneshot(Request::from_parts(request, Body::empty())).await;
    served.unwrap_or_else(|never| match never {}).map(Body::new)
}

/// Whether the part asked for is of the file that is there: the kept service does not look at `If-Range`.
async fn is_same_file(found: &Found, request: &Parts) -> bool {
    let mut look = request.clone();
    look.method = Method::HEAD;
    look.headers = request.headers.get(header::RANGE).map(|range| (header::RANGE, range.clone())).into_iter().collect();
    let told = from_disk(found, look).await;
    let text = |name| told.headers().get(name).and_then(|value| value.to_str().ok());
    let modified = text(header::LAST_MODIFIED).and_then(|date| httpdate::parse_http_date(date).ok());
    part(&request.headers, found.metadata.len(), text(header::ETAG).unwrap_or(""), modified) != Part::Whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_leaves_the_site() {
        let cases = [
            ("/", Some("index.html")),
            ("/agenda/", Some("agenda/index.html")),
            ("/plan.txt", Some("plan.txt")),
            ("/f%C3%AAte/", Some("fête/index.html")),
            ("/.well-known/security.txt", Some(".well-known/security.txt")),
            ("/..%2f..%2fetc/passwd", None),
            ("/../etc/passwd", None),
            ("/a/./b", None),
            ("/a//b", None),
            ("//etc/passwd", None),
            ("/.mulot", None),
            ("/a/.git/config", None),
            ("/a/.well-known/x", None),
            ("/a%00b", None),
            ("/a%5c..%5cb", None),
            ("/%ff", None),
            ("/_redirects", None),
        ];
        for (address, path) in cases {
            assert_eq!(path_of(address).as_deref(), path, "{address}");
        }
    }

    #[test]
    fn only_names_that_change_with_their_bytes_outlive_their_site() {
        assert!(is_fingerprinted("assets/mulot-1234.css") && !is_fingerprinted("x/assets/a.css"));
        assert!(is_picture("medias/village-3fa9c2d1-960.webp"));
        for path in [
            "medias/plan.pdf",
            "medias/budget-2026.pdf",
            "medias/a-20260101-x.jpg",
            "medias/a-b",
            "a-3fa9c2d1-960.webp",
        ] {
            assert!(!is_picture(path), "{path}");
        }
    }
}
