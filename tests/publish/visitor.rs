//! Somebody who reads the site all the while.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Gives the bytes of a path of the site, as a visitor gets them.
pub type Reader = Arc<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// Reads files of a folder.
pub fn of_folder(folder: &Path) -> Reader {
    let folder = folder.to_owned();
    Arc::new(move |path| std::fs::read(folder.join(path)).ok())
}

/// Reads over HTTP below an address.
pub fn of_address(address: std::net::SocketAddr, prefix: &str) -> Reader {
    let prefix = prefix.to_owned();
    Arc::new(move |path| get(address, &format!("{prefix}/{path}")))
}

fn get(address: std::net::SocketAddr, path: &str) -> Option<Vec<u8>> {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(address).ok()?;
    write!(socket, "GET {path} HTTP/1.1\r\nhost: visiteur\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    answer.starts_with(b"HTTP/1.1 200").then(|| answer[end + 4..].to_vec())
}

/// A visitor at work; what was wrong is told by [`Visitor::leave`].
pub struct Visitor {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<String>>,
}

impl Visitor {
    /// Reads every page of the two versions, which must each be one of the two, whole, and never the old one after the new one.
    pub fn of_versions(read: Reader, old: &Path, new: &Path) -> Visitor {
        let (old, new) = (files(old), files(new));
        Visitor::start(move |wrong| {
            let mut newest = None;
            for (path, before) in &old {
                let Some(after) = new.get(path) else { continue };
                let Some(bytes) = read(path) else {
                    wrong.push(format!("{path} is not there"));
                    continue;
                };
                if before == after {
                    continue;
                }
                match (&bytes == before, &bytes == after) {
                    (_, true) => newest = Some(path.clone()),
                    (true, _) if newest.is_some() => {
                        wrong.push(format!("{path} is of the old version after {newest:?} was of the new one"));
                    }
                    (true, _) => {}
                    (false, false) => wrong.push(format!("{path} is of neither version")),
                }
            }
        })
    }

    /// Goes from link to link from the home page: nothing that a page names may be missing.
    pub fn of_links(read: Reader) -> Visitor {
        Visitor::start(move |wrong| crawl(&read, wrong))
    }

    fn start(round: impl Fn(&mut Vec<String>) + Send + 'static) -> Visitor {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (stop.clone(), rounds.clone());
        let thread = std::thread::spawn(move || {
            let mut wrong = Vec::new();
            while !stopped.load(Ordering::SeqCst) && wrong.len() < 20 {
                round(&mut wrong);
                counted.fetch_add(1, Ordering::SeqCst);
            }
            wrong
        });
        let visitor = Visitor { stop, rounds, thread };
        visitor.await_round();
        visitor
    }

    /// Waits until a whole round more was made.
    fn await_round(&self) {
        let wanted = self.rounds.load(Ordering::SeqCst) + 1;
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while self.rounds.load(Ordering::SeqCst) < wanted && !self.thread.is_finished() {
            assert!(std::time::Instant::now() < until, "the visitor does not come around");
            std::thread::yield_now();
        }
    }

    /// What was wrong, after a last round.
    pub fn leave(self) {
        self.await_round();
        self.stop.store(true, Ordering::SeqCst);
        let rounds = self.rounds.load(Ordering::SeqCst);
        let wrong = self.thread.join().expect("the visitor did not fall");
        assert!(rounds >= 2, "{rounds} rounds");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// Every file below a folder, our mark left out.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder").flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
            if name != ".mulot" {
                found.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

/// Follows every link of every page; what is missing is asked again, for its page may have just changed.
pub fn crawl(read: &Reader, wrong: &mut Vec<String>) {
    let (mut seen, mut next) = (BTreeSet::from(["index.html".to_owned()]), vec!["index.html".to_owned()]);
    while let Some(page) = next.pop() {
        let Some(bytes) = read(&page) else { continue };
        for link in links(&bytes) {
            if !seen.insert(link.clone()) {
                continue;
            }
            if read(&link).is_some() {
                if link.ends_with(".html") {
                    next.push(link);
                }
                continue;
            }
            // A page that named it, and does so still while it is still missing.
            let still = read(&page).is_some_and(|bytes| links(&bytes).contains(&link));
            if still && read(&link).is_none() && read(&page).is_some_and(|bytes| links(&bytes).contains(&link)) {
                wrong.push(format!("{page} names {link}, which is missing"));
            }
        }
    }
    assert!(seen.len() > 20, "{} addresses", seen.len());
}

/// Paths of the site that a page names.
fn links(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = BTreeSet::new();
    for mark in ["href=\"/", "src=\"/", "href=/", "src=/"] {
        for (at, _) in text.match_indices(mark) {
            let rest = &text[at + mark.len()..];
            let end = rest.find(['"', ' ', '>', '#', '?']).unwrap_or(rest.len());
            let path = &rest[..end];
            if path.starts_with('/') || path.starts_with("guichet/") {
                continue;
            }
            let index = path.is_empty() || path.ends_with('/');
            found.insert(if index { format!("{path}index.html") } else { path.to_owned() });
        }
    }
    found
}
