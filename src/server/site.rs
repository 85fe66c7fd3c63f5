//! Serves a built site from memory, for the preview; [`folder`] serves a written one.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use tower::ServiceExt;
use tower_http::services::ServeFile;

pub use super::folder::folder;
use crate::model::media_type::{cache_control, media_type};
use crate::model::output::{Artifact, Output};
use crate::model::site::FileData;

/// Page shown when nothing else is found.
pub(super) const NOT_FOUND: &str = "404.html";

/// Answers `request` from a built site.
///
/// Shape: `GET` and `HEAD`; `/agenda` leads to `/agenda/` when only the folder exists; an unknown address gives the site's
/// 404 page.
pub async fn answer(output: &Output, request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let Ok(path) = percent_decode_str(request.uri().path()).decode_utf8() else {
        return not_found(output, request).await;
    };
    let path = Output::path_of_url(&path);
    if let Some(artifact) = output.files.get(&path) {
        let artifact = artifact.clone();
        return file(&path, &artifact, StatusCode::OK, request).await;
    }
    if output.files.contains_key(&format!("{path}/index.html")) {
        return to_folder(&request);
    }
    not_found(output, request).await
}

async fn file(path: &str, artifact: &Artifact, status: StatusCode, request: Request) -> Response {
    let bytes: Arc<[u8]> = match artifact {
        Artifact::Bytes(bytes) | Artifact::Copy(FileData::Memory(bytes)) => bytes.clone(),
        Artifact::Copy(FileData::Disk(disk)) => {
            // Ranges and validators of a large file are ServeFile's work.
            let served = ServeFile::new(disk).oneshot(request).await.map(|response| response.map(Body::new));
            let mut response = served.unwrap_or_else(|never| match never {});
            if response.status() == StatusCode::OK {
                *response.status_mut() = status;
            }
            return finish(path, response);
        }
    };
    let tag = format!("\"{}\"", &blake3::hash(&bytes).to_hex()[..32]);
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let unchanged = status == StatusCode::OK
        && known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let length = bytes.len();
        let body = if request.method() == Method::HEAD { Body::empty() } else { Body::from(Bytes::from_owner(bytes)) };
        (status, [(header::CONTENT_LENGTH, length)], body).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    finish(path, response)
}

async fn not_found(output: &Output, request: Request) -> Response {
    match output.files.get(NOT_FOUND) {
        Some(page) => {
            let page = page.clone();
            file(NOT_FOUND, &page, StatusCode::NOT_FOUND, request).await
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The same address with its final slash; the path is taken as sent, so that nothing is decoded twice.
fn to_folder(request: &Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, format!("/{path}/{query}"))]).into_response()
}

/// Media type with charset, cache and `Vary`, whatever served the file.
fn finish(path: &str, mut response: Response) -> Response {
    let found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let name = if found { path } else { NOT_FOUND };
    let name = if name.is_empty() || name.ends_with('/') { "index.html" } else { name };
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_TYPE) || headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    }
    if found {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control(path)));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}
