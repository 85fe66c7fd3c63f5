//! The site in its folder, as browsers, caches and impatient downloads ask for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use mulot::model::output::Artifact;
use mulot::write::Staging;
use tempfile::TempDir;

use crate::server_test::*;

/// A published site beside an author's folder, served.
struct Published {
    server: ServerTest,
    root: TempDir,
}

impl Published {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("commune")).unwrap();
        publish(root.path(), files);
        let folder = root.path().join("public");
        Published { server: ServerTest::guichet_with(|config| config.site = Some(folder)), root }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("public")
    }

    fn publish(&self, files: &[(&str, &[u8])]) {
        publish(self.root.path(), files);
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.server.ask("GET", path, headers, b"")
    }
}

fn publish(root: &Path, files: &[(&str, &[u8])]) {
    let staging = Staging::open(&root.join("public"), &root.join("commune")).unwrap();
    files.iter().for_each(|(path, bytes)| staging.put(path, &Artifact::Bytes((*bytes).into())));
    staging.publish().unwrap();
}

fn page(words: &str) -> Vec<u8> {
    format!("<!doctype html><title>{words}</title>{}", format!("<p>{words} de la commune</p>").repeat(100)).into_bytes()
}

#[test]
fn a_page_is_compressed_for_who_takes_it_and_keeps_its_length() {
    let home = page("Accueil");
    let site = Published::new(&[("index.html", &home), ("vue.png", b"\x89PNG"), ("court.txt", b"court")]);
    let plain = site.get("/", &[]);
    assert_eq!((plain.status, &plain.body), (200, &home));
    assert_eq!(plain.header("content-encoding"), None);
    for (asked, coding) in [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip")] {
        let coded = site.get("/", &[("accept-encoding", asked)]);
        assert_eq!(coded.header("content-encoding"), Some(coding));
        assert_eq!(coded.header("content-length"), Some(coded.body.len().to_string().as_str()));
        assert!(coded.body.len() < home.len() / 4, "{coding}: {}", coded.body.len());
        assert_ne!(coded.header("etag"), plain.header("etag"), "other bytes, another tag");
        let mut back = Vec::new();
        match coding {
            "br" => brotli::BrotliDecompress(&mut coded.body.as_slice(), &mut back).unwrap(),
            _ => std::io::copy(&mut flate2::read::GzDecoder::new(coded.body.as_slice()), &mut back).map(drop).unwrap(),
        }
        assert_eq!(back, home);
        assert_eq!(coded.header("vary"), Some("accept-encoding"));
    }
    for path in ["/vue.png", "/court.txt"] {
        let small = site.get(path, &[("accept-encoding", "br")]);
        assert_eq!(small.header("content-encoding"), None, "{path}: nothing to save");
    }
    let head = site.server.ask("HEAD", "/", &[("accept-encoding", "br")], b"");
    assert_eq!((head.status, head.body.len(), head.header("content-encoding")), (200, 0, Some("br")));
    assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 20);
}

#[test]
fn a_copy_made_before_is_taken_unless_it_is_older_than_its_page() {
    let site = Published::new(&[("index.html", &page("Accueil")), ("index.html.br", b"ready")]);
    let older = SystemTime::now() - Duration::from_secs(60);
    let set = |name: &str, time| {
        std::fs::File::options().append(true).open(site.folder().join(name)).unwrap().set_modified(time).unwrap();
    };
    set("index.html", older);
    assert_eq!(site.get("/", &[("accept-encoding", "br")]).body, b"ready");
    set("index.html", SystemTime::now() + Duration::from_secs(60));
    assert_ne!(site.get("/", &[("accept-encoding", "br")]).body, b"ready");
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let site = Published::new(&[("index.html", &page("Accueil")), ("assets/a-1.css", &page("p {}"))]);
    let first = site.get("/", &[("accept-encoding", "br")]);
    let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    assert!(!tag.starts_with("W/"));
    for condition in [("if-none-match", tag), ("if-modified-since", date), ("if-none-match", "*")] {
        let again = site.get("/", &[("accept-encoding", "br"), condition]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{condition:?}");
        assert_eq!((again.header("etag"), again.header("vary")), (Some(tag), Some("accept-encoding")));
        assert_eq!(again.header("cache-control"), Some("no-cache"));
        assert!(again.header("content-security-policy").is_some());
    }
    assert_eq!(site.get("/", &[("if-none-match", tag)]).status, 200, "the plain page is not the compressed one");
    assert_eq!(site.get("/", &[("if-match", "\"autre\"")]).status, 412);
    let style = site.get("/assets/a-1.css", &[]);
    assert_eq!(style.header("cache-control"), Some("public, max-age=31536000, immutable"));
}

#[test]
fn a_download_goes_on_where_it_was_cut() {
    let small: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let large: Vec<u8> = (0..=250).cycle().take(700_000).collect();
    let site = Published::new(&[("petit.pdf", &small), ("grand.pdf", &large)]);
    for (path, bytes) in [("/petit.pdf", &small), ("/grand.pdf", &large)] {
        let whole = site.get(path, &[]);
        assert_eq!((whole.status, &whole.body), (200, bytes));
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));
        let size = bytes.len();
        let end = site.get(path, &[("range", "bytes=-500")]);
        assert_eq!((end.status, end.body.as_slice()), (206, &bytes[size - 500..]), "{path}");
        assert_eq!(end.header("content-range"), Some(format!("bytes {}-{}/{size}", size - 500, size - 1).as_str()));
        assert_eq!(end.header("content-length"), Some("500"));
        let tag = whole.header("etag").unwrap();
        let same = site.get(path, &[("range", "bytes=1-3"), ("if-range", tag)]);
        assert_eq!((same.status, same.body.as_slice()), (206, &bytes[1..4]));
        let other = site.get(path, &[("range", "bytes=1-3"), ("if-range", "\"autre\"")]);
        assert_eq!((other.status, other.body.len()), (200, size));
        let beyond = site.get(path, &[("range", "bytes=9000000-")]);
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), Some(format!("bytes */{size}").as_str()));
        assert_eq!(beyond.header("cache-control"), Some("no-cache"), "{path}");
        let several = site.get(path, &[("range", "bytes=0-9,50-99")]);
        assert_eq!((several.status, several.body.len()), (200, size), "{path}: several parts are the whole");
    }
}

#[test]
fn former_addresses_redirect_at_once() {
    let refresh = b"<meta http-equiv=refresh content='0;url=/eau/'>";
    let site = Published::new(&[
        ("index.html", &page("Accueil")),
        ("eau/index.html", &page("L'eau")),
        ("vieux/index.html", refresh),
        ("article.php/index.html", refresh),
        ("old.html", refresh),
        ("autre/index.html", &page("Autre")),
        (
            "_redirects",
            b"/vieux/ /eau/ 308\n/article.php/ /eau/ 308\n/old.html /eau/ 308\n/autre/ //mechant.example/ 308\n",
        ),
    ]);
    for old in ["/vieux/", "/vieux", "/article.php", "/old.html"] {
        let moved = site.get(old, &[]);
        assert_eq!((moved.status, moved.location()), (308, "/eau/"), "{old}");
    }
    assert_eq!(site.get("/vieux/?lettre=1", &[]).location(), "/eau/?lettre=1");
    assert_eq!((site.get("/eau", &[]).status, site.get("/eau", &[]).location().to_owned()), (308, "/eau/".to_owned()));
    assert_eq!(site.get("/autre/", &[]).status, 200, "a table never leads to another host");
    assert_eq!(site.get("/_redirects", &[]).status, 404);
    // The page is there again: the table no longer names it.
    site.publish(&[("index.html", &page("Accueil")), ("vieux/index.html", &page("Vieux bourg"))]);
    assert_eq!(site.get("/vieux/", &[]).status, 200);
}

#[test]
fn hidden_files_and_folders_are_not_there() {
    let site = Published::new(&[
        ("index.html", &page("Accueil")),
        ("404.html", &page("Introuvable")),
        (".well-known/security.txt", b"Contact: mailto:mairie@exemple.fr"),
        ("vide/plan.txt", b"x"),
    ]);
    std::fs::write(site.folder().join(".secret"), "secret").unwrap();
    for path in
        ["/.mulot", "/.secret", "/vide/", "/vide", "/./index.html", "/%2e%2e/commune", "/vide//plan.txt", "/plan.txt/"]
    {
        let missing = site.get(path, &[("accept-encoding", "br")]);
        assert_eq!(missing.status, 404, "{path}");
        assert_eq!(missing.header("content-encoding"), Some("br"));
        assert_eq!(missing.header("etag"), None);
    }
    assert_eq!(site.get("/.well-known/security.txt", &[]).status, 200);
}

#[test]
fn a_new_build_is_seen_at_once_and_an_old_page_keeps_its_styles() {
    let build = |number: usize| -> Vec<(String, Vec<u8>)> {
        vec![
            ("index.html".to_owned(), page(&format!("Build {number} "))),
            (format!("assets/style-{number}.css"), page(&format!("style {number} "))),
            (format!("medias/vue-0000000{number}-320.webp"), vec![b'x'; 100]),
            (format!("medias/note-{number}.pdf"), vec![b'x'; 100]),
        ]
    };
    fn refs(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect()
    }
    let site = Published::new(&refs(&build(1)));
    assert!(site.get("/", &[]).text().contains("Build 1 "));
    site.publish(&refs(&build(2)));
    assert!(site.get("/", &[]).text().contains("Build 2 "), "the very next request");
    for (path, status) in [
        ("/assets/style-1.css", 200),
        ("/medias/vue-00000001-320.webp", 200),
        ("/assets/style-2.css", 200),
        // A document taken off is gone.
        ("/medias/note-1.pdf", 404),
    ] {
        assert_eq!(site.get(path, &[]).status, status, "{path}");
    }
    // Building the same again must not take them away.
    site.publish(&refs(&build(2)));
    assert_eq!(site.get("/assets/style-1.css", &[]).status, 200);
}

#[test]
fn forty_builds_under_load_are_never_half_seen() {
    let build = |number: usize| {
        let home = format!("<link href=/assets/style-{number}.css>{}", "x".repeat(3000));
        let style = format!("/* {number} */{}", "y".repeat(3000));
        (home.into_bytes(), format!("assets/style-{number}.css"), style.into_bytes())
    };
    let (home, name, style) = build(0);
    let site = Published::new(&[("index.html", &home), (&name, &style)]);
    let (over, published) = (AtomicBool::new(false), AtomicUsize::new(0));
    // The build that each reader saw published before it asked for its page.
    let begun: [AtomicUsize; 4] = Default::default();
    let read = |mine: &AtomicUsize| {
        let mut pages = 0;
        while !over.load(Ordering::SeqCst) {
            mine.store(published.load(Ordering::SeqCst), Ordering::SeqCst);
            let page = site.get("/", &[]);
            assert_eq!(page.status, 200);
            let text = page.text();
            let style = text.split("href=").nth(1).unwrap().split('>').next().unwrap();
            let sheet = site.get(style, &[]);
            assert_eq!(sheet.status, 200, "{style}");
            let number = style.trim_start_matches("/assets/style-").trim_end_matches(".css");
            assert!(sheet.text().starts_with(&format!("/* {number} */")), "{style}");
            pages += 1;
        }
        pages
    };
    let pages: usize = std::thread::scope(|scope| {
        let readers: Vec<_> = begun.iter().map(|mine| scope.spawn(|| read(mine))).collect();
        for number in 1..=40 {
            let (home, name, style) = build(number);
            site.publish(&[("index.html", &home), (&name, &style)]);
            assert!(site.get("/", &[]).text().contains(&format!("style-{number}.css")), "seen at once");
            published.store(number, Ordering::SeqCst);
            // One build at a time may come between a page and its style.
            while begun.iter().any(|one| one.load(Ordering::SeqCst) < number)
                && !readers.iter().any(|one| one.is_finished())
            {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::SeqCst);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    assert!(pages > 40, "{pages}");
}
