//! The headers every answer carries, errors and panics included: the outermost layer of every router.
//!
//! Two departures from the reference set, on purpose. `Referrer-Policy` is not `no-referrer`: browsers then send
//! `Origin: null` with a form, and a form could not be told from a forged one. `upgrade-insecure-requests` and HSTS only
//! stand where the public address is https: on a plain loopback they would break the page.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, map_response_with_state};
use axum::response::{IntoResponse, Response};

/// What a page may load and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Pages of the site: own scripts and styles.
    Site,
    /// Pages of the guichet: no script at all, never kept by a cache.
    Guichet,
    /// Pages of the preview's tools.
    Tool,
    /// A mail shown in a frame of the preview, or something downloaded: nothing may run.
    Sandbox,
}

/// How the outside sees this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outside {
    /// Whether visitors come by https.
    pub(super) https: bool,
    /// Scheme and host of the guichet when it is not where the site is: the site's forms post there.
    pub(super) guichet_origin: Option<String>,
    /// Seconds browsers are told to come back by https only; 0: not told.
    pub(super) hsts_seconds: u64,
}

/// Adds the headers to all that `router` answers.
pub(super) fn harden(router: Router, policy: Policy, outside: &Outside) -> Router {
    let headers = Arc::new(headers(policy, outside));
    router.layer(map_response_with_state(headers, |State(headers): State<Arc<HeaderMap>>, mut response: Response| async move {
        for (name, value) in headers.iter() {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        response
    }))
}

/// Refuses what no page of ours ever sends, before any other work.
pub(super) fn refuse_oddities(router: Router) -> Router {
    router.layer(from_fn(async |request: axum::extract::Request, next: axum::middleware::Next| {
        let encoded = request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
        if encoded {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
        }
        next.run(request).await
    }))
}

/// Scheme and host of an address: what `Origin` holds.
pub(super) fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?;
    Some(format!("{scheme}://{}", uri.authority()?.as_str().to_ascii_lowercase()))
}

fn headers(policy: Policy, outside: &Outside) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    let mut content = match policy {
        Policy::Site => format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
             manifest-src 'self'; form-action 'self'{}; base-uri 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            outside.guichet_origin.as_ref().map(|origin| format!(" {origin}")).unwrap_or_default()
        ),
        Policy::Guichet => "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; \
                            base-uri 'none'; frame-ancestors 'none'"
            .to_owned(),
        Policy::Tool => "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                         connect-src 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
            .to_owned(),
        Policy::Sandbox => {
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'".to_owned()
        }
    };
    if outside.https {
        content.push_str("; upgrade-insecure-requests");
    }
    set(header::CONTENT_SECURITY_POLICY, &content);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, if policy == Policy::Sandbox { "SAMEORIGIN" } else { "DENY" });
    // Another host must see where a form comes from; the same host may see the whole address.
    let referrer = if outside.guichet_origin.is_some() { "strict-origin" } else { "same-origin" };
    set(header::REFERRER_POLICY, referrer);
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-embedder-policy"), "require-corp");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("permissions-policy"), PERMISSIONS);
    set(HeaderName::from_static("origin-agent-cluster"), "?1");
    set(HeaderName::from_static("x-permitted-cross-domain-policies"), "none");
    match policy {
        Policy::Guichet => set(header::CACHE_CONTROL, "no-store"),
        Policy::Tool | Policy::Sandbox => set(header::CACHE_CONTROL, "no-store"),
        Policy::Site => set(header::CACHE_CONTROL, "no-cache"),
    }
    if outside.https && outside.hsts_seconds > 0 {
        set(header::STRICT_TRANSPORT_SECURITY, &format!("max-age={}", outside.hsts_seconds));
    }
    headers
}

const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), \
                           microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=(), browsing-topics=()";
