//! The headers every answer carries, errors and panics included: the outermost layer of every router.
//!
//! Two departures from the reference set, on purpose. `Referrer-Policy` is not `no-referrer`: browsers then send
//! `Origin: null` with a form, and a form could not be told from a forged one. `upgrade-insecure-requests` and HSTS only
//! stand where the public address is https: on a plain loopback they would break the page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::host;

/// What a page may load and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Pages of the site: own scripts and styles.
    Site,
    /// Pages of the guichet: no script at all, never kept by a shared cache.
    Guichet,
    /// Pages of the preview's tools.
    Tool,
    /// A mail shown in a frame of the preview, or something downloaded: nothing may run.
    Sandbox,
}

/// How the outside sees this server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outside {
    /// Whether visitors come by https.
    pub(super) https: bool,
    /// Scheme and host of the guichet when it is not where the site is: the site's forms post there.
    pub(super) guichet_origin: Option<String>,
    /// Seconds browsers are told to come back by https only; 0: not told.
    pub(super) hsts_seconds: u64,
}

/// The headers of the pages of a site, for a web server that serves its folder itself: name and value, in order of name.
///
/// `public` is scheme and host of the site, `guichet` that of the guichet when it is elsewhere, else empty.
pub fn of_site(public: &str, guichet: &str, hsts_seconds: u64) -> Vec<(String, String)> {
    let outside = Outside { https: public.starts_with("https://"), guichet_origin: origin(guichet), hsts_seconds };
    let set = headers(Policy::Site, &outside);
    let mut list: Vec<_> = set
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    list.sort();
    list
}

/// Adds the headers to all that `router` answers; what an inner layer has set stays.
pub(super) fn harden(router: Router, policy: Policy, outside: &Outside) -> Router {
    router.layer(from_fn_with_state(Arc::new(Sets::new(policy, outside)), add))
}

/// The headers of a policy, made once.
#[derive(Debug)]
pub(super) struct Sets {
    policy: Policy,
    told: Outside,
    /// Where the visitor named this machine itself.
    local: HeaderMap,
    outside: HeaderMap,
}

impl PartialEq for Sets {
    /// Whether they say the same: all is made of these two.
    fn eq(&self, other: &Sets) -> bool {
        std::ptr::eq(self, other) || (self.policy == other.policy && self.told == other.told)
    }
}

impl Sets {
    pub(super) fn new(policy: Policy, told: &Outside) -> Sets {
        let plain = Outside { https: false, ..told.clone() };
        let (local, outside) = (headers(policy, &plain), headers(policy, told));
        Sets { policy, told: told.clone(), local, outside }
    }

    /// Adds them to an answer, local ones or not; what it has stays.
    pub(super) fn add(&self, is_local: bool, response: &mut Response) {
        self.add_to(is_local, response.headers_mut());
    }

    /// The same, of the headers that answers will have.
    pub(super) fn add_to(&self, is_local: bool, headers: &mut HeaderMap) {
        let set = if is_local { &self.local } else { &self.outside };
        if headers.contains_key(SPOKEN) {
            // An inner policy has spoken: the one promise that only the door to the outside knows is added.
            if let Some(value) = set.get(header::STRICT_TRANSPORT_SECURITY) {
                headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert_with(|| value.clone());
            }
            return;
        }
        headers.reserve(set.len());
        for (name, value) in set {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}

async fn add(State(sets): State<Arc<Sets>>, request: Request, next: Next) -> Response {
    let is_local = host::is_loopback(&request);
    let posted = request.method() == Method::POST && sets.policy == Policy::Guichet;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if posted && response_stays_in_history(headers) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(HISTORY));
    }
    sets.add(is_local, &mut response);
    response
}

/// For the pages that answer a form: questions to mend, check page.
///
/// With `no-store` Chromium cannot show them when someone goes « back » from the confirmation: it says
/// `ERR_CACHE_MISS`, and offers to send the form again. The price: until that browser forgets its history, who sits at the
/// same computer after may go back to the answers, as he may to any form that was just filled; a public computer is left
/// by closing the window. Nothing between the browser and us may keep them, and the receipt, whose address is a secret
/// that may be copied, stays out of every cache.
const HISTORY: &str = "private, no-cache";

/// Whether this answer to a form is a page, and not already told how long it may be kept.
fn response_stays_in_history(headers: &HeaderMap) -> bool {
    let html = |value: &HeaderValue| value.as_bytes().starts_with(b"text/html");
    !headers.contains_key(header::CACHE_CONTROL) && headers.get(header::CONTENT_TYPE).is_some_and(html)
}

/// Scheme and host of an address: what `Origin` holds.
pub fn origin(url: &str) -> Option<String> {
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
    let mut content = content_policy(policy, outside);
    if outside.https {
        content.push_str("; upgrade-insecure-requests");
        if outside.hsts_seconds > 0 {
            set(header::STRICT_TRANSPORT_SECURITY, &format!("max-age={}", outside.hsts_seconds));
        }
    }
    set(header::CONTENT_SECURITY_POLICY, &content);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, if policy == Policy::Sandbox { "SAMEORIGIN" } else { "DENY" });
    // Another host must see where a form comes from; the same host may see the whole address.
    set(header::REFERRER_POLICY, if outside.guichet_origin.is_some() { "strict-origin" } else { "same-origin" });
    set(header::CACHE_CONTROL, if policy == Policy::Site { "no-cache" } else { "no-store" });
    for (name, value) in FIXED {
        // A sandboxed frame is of no origin: asking for an agent of its own only makes browsers complain.
        if policy != Policy::Sandbox || name != "origin-agent-cluster" {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    headers
}

fn content_policy(policy: Policy, outside: &Outside) -> String {
    let form_action = outside.guichet_origin.as_ref().map(|origin| format!(" {origin}")).unwrap_or_default();
    match policy {
        Policy::Site => format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
             manifest-src 'self'; form-action 'self'{form_action}; base-uri 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'"
        ),
        Policy::Guichet => "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; \
                            base-uri 'none'; frame-ancestors 'none'"
            .to_owned(),
        Policy::Tool => "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                         connect-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
            .to_owned(),
        Policy::Sandbox => {
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
                .to_owned()
        }
    }
}

/// A header that every policy has and nobody sets by hand: where it stands, a policy has spoken.
const SPOKEN: &str = "x-permitted-cross-domain-policies";

const FIXED: [(&str, &str); 6] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
         midi=(), payment=(), publickey-credentials-get=(), usb=(), browsing-topics=()",
    ),
    ("origin-agent-cluster", "?1"),
    (SPOKEN, "none"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_and_host() {
        assert_eq!(origin("https://Guichet.example/x").as_deref(), Some("https://guichet.example"));
        assert_eq!(origin("http://127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(origin("guichet.example"), None);
    }

    #[test]
    fn nothing_of_https_is_promised_on_plain_http() {
        let outside = Outside { https: true, hsts_seconds: 300, guichet_origin: None };
        let secure = headers(Policy::Site, &outside);
        assert!(secure.contains_key("strict-transport-security"));
        let plain = headers(Policy::Site, &Outside { https: false, ..outside });
        assert!(!plain.contains_key("strict-transport-security"));
        assert!(!plain["content-security-policy"].to_str().unwrap().contains("upgrade-insecure"));
    }

    #[test]
    fn guichet_pages_may_run_no_script_and_stay_in_no_cache() {
        let headers = headers(Policy::Guichet, &Outside::default());
        let content = headers["content-security-policy"].to_str().unwrap();
        assert!(content.contains("default-src 'none'") && !content.contains("script-src"));
        assert_eq!(headers["cache-control"], "no-store");
    }
}
