//! The host that a request names: the one place where it is read.

use std::borrow::Cow;

use axum::http::header::{self, HeaderMap};
use axum::http::{Request, Uri};

/// The host of a request, lower case, without port nor final dot; `None` when it names none.
pub(super) fn of<B>(request: &Request<B>) -> Option<Cow<'_, str>> {
    named(request.headers(), request.uri())
}

/// The same, of the parts of a request: HTTP/2 names it in the address, HTTP/1.1 in a header.
pub(super) fn named<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<Cow<'r, str>> {
    let named = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(header::HOST)?.to_str().ok()?,
    };
    Some(plain(named)).filter(|host| !host.is_empty())
}

/// The host of an address of a configuration, in the same form; `None` when it has none.
pub(super) fn of_url(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(plain(uri.authority()?.as_str()).into_owned())
}

fn plain(authority: &str) -> Cow<'_, str> {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_end_matches('.');
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    }
}

/// Whether the visitor named this machine itself: `localhost`, `127.0.0.1` or `[::1]`, with or without port.
pub(super) fn is_loopback<B>(request: &Request<B>) -> bool {
    of(request).is_some_and(|host| is_this_machine(&host))
}

/// Whether a host is a name of this machine, where nobody listens on the way.
pub(super) fn is_this_machine(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "::1")
}

/// `saint-mulot` when the visitor named `saint-mulot.localhost`, with or without port. No DNS is asked for such a name, so
/// nobody else's page can have it lead here.
///
/// Source: RFC 6761, section 6.3.
pub(super) fn name_under_localhost<B>(request: &Request<B>) -> Option<String> {
    let host = of(request)?;
    host.strip_suffix(".localhost").filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str) -> Request<()> {
        Request::builder().uri("/x").header("host", host).body(()).unwrap()
    }

    #[test]
    fn a_host_has_one_form_however_it_was_typed() {
        for (typed, host) in [
            ("trou.example", Some("trou.example")),
            ("Trou.example:443", Some("trou.example")),
            ("trou.example.", Some("trou.example")),
            ("[2001:db8::1]:80", Some("[2001:db8::1]")),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(of(&request(typed)).as_deref(), host, "{typed}");
        }
        assert_eq!(named(&HeaderMap::new(), &Uri::from_static("/x")), None);
        let http2 = Request::builder().uri("https://Trou.example/x").header("host", "autre.example").body(()).unwrap();
        assert_eq!(of(&http2).as_deref(), Some("trou.example"));
        assert_eq!(of_url("https://Trou.example:8443/x").as_deref(), Some("trou.example"));
        assert_eq!(of_url("/trou"), None);
    }

    #[test]
    fn only_the_machine_itself_is_loopback() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]", "[::1]:8080", "LOCALHOST:80"] {
            assert!(is_loopback(&request(host)), "{host}");
        }
        for host in ["", ":80", "exemple.fr", "localhost.exemple.fr", "127.0.0.1.exemple.fr:80", "[::1].fr", "0.0.0.0"]
        {
            assert!(!is_loopback(&request(host)), "{host}");
        }
    }

    #[test]
    fn a_name_under_localhost_is_this_machine_and_no_other() {
        let name = |host: &str| name_under_localhost(&request(host));
        assert_eq!(name("Saint-Mulot.localhost:4000").as_deref(), Some("saint-mulot"));
        assert_eq!(name("bourg.localhost").as_deref(), Some("bourg"));
        for host in ["localhost", ".localhost", "bourg.localhost.exemple.fr", "bourglocalhost", "exemple.fr"] {
            assert_eq!(name(host), None, "{host}");
        }
    }
}
