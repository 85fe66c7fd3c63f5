//! What every answer carries.

use crate::server_test::*;

/// Headers that no answer may lack.
fn check(answer: &Answer, what: &str) {
    let header = |name: &str| answer.header(name).unwrap_or_else(|| panic!("{what}: no {name}"));
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(!policy.contains("unsafe"), "{what}: {policy}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(header("x-frame-options"), "DENY", "{what}");
    assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{what}");
    assert!(header("permissions-policy").contains("camera=()"), "{what}");
    assert_ne!(header("referrer-policy"), "no-referrer", "{what}: forms would then have no origin");
    assert!(answer.header("server").is_none() && answer.header("x-powered-by").is_none(), "{what}");
    assert!(answer.header("set-cookie").is_none(), "{what}: no cookie, ever");
    assert!(answer.header("strict-transport-security").is_none(), "{what}: not on plain loopback");
    if let Some(kind) = answer.header("content-type").filter(|kind| kind.starts_with("text/")) {
        assert!(kind.ends_with("charset=utf-8"), "{what}: {kind}");
    }
    assert_eq!(answer.headers.iter().filter(|(name, _)| name == "content-security-policy").count(), 1, "{what}");
}

#[test]
fn every_status_of_the_guichet_is_hardened() {
    let server = ServerTest::guichet_with(|config| config.form_limits.drained_bytes = 1 << 20);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let verify = format!("/guichet/{FORM}/verifier");
    let cases = [
        (200, server.get(&format!("/guichet/{FORM}/"))),
        (200, server.get("/guichet/sante")),
        (303, server.get(&verify)),
        (400, server.ask("POST", &verify, &[("content-type", "multipart/form-data")], b"x")),
        (403, server.ask("POST", &verify, &[("origin", "https://mechant.example"), form[0]], b"x=1")),
        (404, server.get("/guichet/rien/")),
        (404, server.get("/guichet/recu/2026-AAAA-AAAA-A/x")),
        (405, server.ask("PUT", &verify, &form, b"x=1")),
        (413, server.ask("POST", &verify, &[("content-type", &multipart_type())], &vec![b'x'; 2 << 20])),
        (415, server.ask("POST", &verify, &[("content-type", "application/json")], b"{}")),
        (422, server.ask("POST", &verify, &form, b"nom=x")),
    ];
    for (status, answer) in cases {
        assert_eq!(answer.status, status, "{}", answer.text());
        check(&answer, &status.to_string());
        // What answers a form stays in the history of that browser, so that « back » shows it; nothing else is kept.
        let posted = matches!(status, 400 | 403 | 413 | 415 | 422);
        let kept = if posted { "private, no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(kept), "{status}");
        assert!(
            !answer.header("content-security-policy").unwrap().contains("script-src"),
            "{status}: pages without script"
        );
    }
}

#[test]
fn a_guichet_on_its_own_serves_its_styles() {
    let server = ServerTest::guichet();
    let page = server.get(&format!("/guichet/{FORM}/")).text();
    let start = page.find("href=\"/assets/").expect("a stylesheet") + 6;
    let place = page[start..].split('"').next().unwrap();
    let sheet = server.get(place);
    assert_eq!(sheet.status, 200);
    check(&sheet, place);
    assert!(sheet.header("cache-control").unwrap().contains("immutable"));
    let tag = sheet.header("etag").expect("an ETag");
    let again = server.ask("GET", place, &[("if-none-match", tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    check(&again, "304");
    check(&server.get("/nulle-part"), "404 of the site");
}

#[test]
fn a_visitor_who_comes_by_https_is_told_to_stay_there() {
    let server = ServerTest::guichet();
    let answer = server.ask("GET", &format!("/guichet/{FORM}/"), &[("host", "trou.example")], b"");
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=300"));
    assert!(answer.header("content-security-policy").unwrap().contains("upgrade-insecure-requests"));
}

#[test]
fn a_published_folder_is_served_with_the_guichet() {
    let site = tempfile::tempdir().unwrap();
    std::fs::write(site.path().join("index.html"), "<p>Accueil</p>").unwrap();
    std::fs::write(site.path().join("404.html"), "<p>Rien ici</p>").unwrap();
    std::fs::write(site.path().join("plan.txt"), "é").unwrap();
    std::fs::create_dir(site.path().join("agenda")).unwrap();
    std::fs::write(site.path().join("agenda/index.html"), "<p>Agenda</p>").unwrap();
    let folder = site.path().to_owned();
    let server = ServerTest::guichet_with(|config| config.site = Some(folder));
    let home = server.get("/");
    assert_eq!((home.status, home.text().as_str()), (200, "<p>Accueil</p>"));
    assert_eq!(home.header("content-type"), Some("text/html; charset=utf-8"));
    check(&home, "home");
    assert!(home.header("content-security-policy").unwrap().contains("script-src 'self'"));
    assert_eq!(server.get("/agenda/").text(), "<p>Agenda</p>");
    assert_eq!(server.get("/agenda").header("location"), Some("/agenda/"));
    assert_eq!(server.get("/plan.txt").header("content-type"), Some("text/plain; charset=utf-8"));
    let missing = server.get("/nulle-part/");
    assert_eq!((missing.status, missing.text().as_str()), (404, "<p>Rien ici</p>"));
    assert_eq!(missing.header("content-type"), Some("text/html; charset=utf-8"));
    check(&missing, "404");
    check(&server.get("/../../etc/passwd"), "traversal");
    assert_ne!(server.get("/..%2f..%2fetc/passwd").status, 200);
    assert_eq!(server.ask("POST", "/", &[], b"x").status, 405);
    let unchanged = server.ask("GET", "/", &[("if-none-match", home.header("etag").unwrap())], b"");
    assert_eq!(unchanged.status, 304);
    assert!(unchanged.header("vary").is_some());
    assert_eq!(server.get(&format!("/guichet/{FORM}/")).status, 200);
}
