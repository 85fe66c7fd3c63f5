//! Files of the sites kept in memory, each read again as soon as the disk holds another one.
//!
//! All sites of a process share one shelf of a fixed weight, so that ten communes or ten thousand cost the same memory. A
//! page is compressed once, when it is first asked for: nothing is added to a build nor to a disk. A copy that stands beside
//! the file (`index.html.br`) and is not older is taken as it is.
//!
//! It never answers for a file that it has not just looked at: the caller gives the state of the file on disk.

use std::fs::Metadata;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::http::header::{self, HeaderMap, HeaderValue};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use super::headers::Sets;
use crate::model::media_type::{cache_control, media_type};

/// Bytes that all sites together may hold in memory.
const WEIGHT: u64 = 32 << 20;
/// What the headers of a file weigh, about.
const HEADERS: usize = 5000;
/// Largest file kept that is sent as it is; a larger one is read from the disk each time.
const LARGEST: u64 = 256 << 10;
/// Largest file kept when it can be compressed.
const LARGEST_TEXT: u64 = 2 << 20;
/// Below this a compressed copy saves no packet.
const WORTH_COMPRESSING: usize = 800;
/// Level of Brotli: above five it costs more than it saves.
const BROTLI: i32 = 5;
/// Files read and compressed at the same time; the others of a crowd find them done.
const LOADING: usize = 2;
/// Addresses that lead elsewhere, one a line: `/ancienne/ /nouvelle/ 308`.
pub(super) const REDIRECTS: &str = "_redirects";

/// How the bytes of an answer are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
    Brotli,
}

impl Coding {
    /// The best of what a browser says it takes.
    pub(super) fn accepted(headers: &HeaderMap) -> Coding {
        let (mut gzip, mut brotli) = (0.0_f32, 0.0_f32);
        let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for one in lists.flat_map(|list| list.split(',')) {
            let (name, parameters) = one.split_once(';').unwrap_or((one, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            match name.trim() {
                "br" => brotli = weight,
                "gzip" | "x-gzip" => gzip = weight,
                _ => {}
            }
        }
        match () {
            () if brotli > 0.0 && brotli >= gzip => Coding::Brotli,
            () if gzip > 0.0 => Coding::Gzip,
            () => Coding::Plain,
        }
    }

    /// The first character of a key, the end of a tag.
    fn letter(self) -> char {
        match self {
            Coding::Plain => 'p',
            Coding::Gzip => 'g',
            Coding::Brotli => 'b',
        }
    }
}

/// What tells two states of a file apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let inode = (0, 0);
        Stamp { inode, size: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// A file ready to be sent.
#[derive(Debug)]
pub(super) struct Kept {
    stamp: Stamp,
    pub(super) bytes: Bytes,
    /// What tells these bytes from others.
    pub(super) tag: String,
    sets: Arc<Sets>,
    local: HeaderMap,
    outside: HeaderMap,
    /// To the second, as HTTP has it.
    pub(super) modified: Option<SystemTime>,
    /// Where this page only leads.
    pub(super) redirect: Option<String>,
}

impl Kept {
    /// All headers of an answer of it: those of its bytes (`ETag`, `Last-Modified`, media type, length, cache, coding), then those
    /// of its site.
    pub(super) fn headers(&self, is_local: bool) -> &HeaderMap {
        if is_local { &self.local } else { &self.outside }
    }
}

/// A file of a site: where it is, and under which address.
pub(super) struct Wanted<'a> {
    /// The site's folder.
    pub(super) root: &'a Path,
    /// Path of the file on disk.
    pub(super) file: &'a str,
    /// Path in the site, `agenda/index.html`.
    pub(super) path: &'a str,
    /// The headers of that site.
    pub(super) sets: &'a Arc<Sets>,
}

#[derive(Clone)]
struct Bytewise;

impl Weighter<String, Arc<Kept>> for Bytewise {
    fn weight(&self, key: &String, kept: &Arc<Kept>) -> u64 {
        (key.len() + kept.bytes.len() + HEADERS) as u64
    }
}

struct Shelf {
    kept: Cache<String, Arc<Kept>, Bytewise>,
    loading: Semaphore,
}

static SHELF: LazyLock<Shelf> =
    LazyLock::new(|| Shelf { kept: Cache::with_weighter(2048, WEIGHT, Bytewise), loading: Semaphore::new(LOADING) });

/// The file in that coding, or as it is when that saves nothing; `None`: too large to be kept, or gone.
pub(super) async fn take(wanted: &Wanted<'_>, metadata: &Metadata, coding: Coding) -> Option<Arc<Kept>> {
    let text = is_text(media_type(wanted.path));
    if metadata.len() > if text { LARGEST_TEXT } else { LARGEST } {
        return None;
    }
    let coding = if text { coding } else { Coding::Plain };
    let stamp = Stamp::of(metadata);
    let mut key = String::with_capacity(wanted.file.len() + 1);
    key.push(coding.letter());
    key.push_str(wanted.file);
    let fresh = |key: &str| SHELF.kept.get(key).filter(|kept| kept.stamp == stamp && kept.sets == *wanted.sets);
    if let Some(kept) = fresh(&key) {
        return Some(kept);
    }
    let _turn = SHELF.loading.acquire().await.ok()?;
    if let Some(kept) = fresh(&key) {
        return Some(kept);
    }
    let load = Load {
        root: wanted.root.to_owned(),
        file: PathBuf::from(wanted.file),
        path: wanted.path.to_owned(),
        sets: wanted.sets.clone(),
        coding,
    };
    let kept = tokio::task::spawn_blocking(move || load.read()).await.ok()?.ok().map(Arc::new)?;
    SHELF.kept.insert(key, kept.clone());
    Some(kept)
}

/// A file to be read, owned.
struct Load {
    root: PathBuf,
    file: PathBuf,
    path: String,
    sets: Arc<Sets>,
    coding: Coding,
}

impl Load {
    fn read(&self) -> std::io::Result<Kept> {
        let open = std::fs::File::open(&self.file)?;
        let metadata = open.metadata()?;
        // What is sent and what is told of it come from one open file, whatever is put in its place meanwhile.
        let mut plain = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        (&open).take(LARGEST_TEXT + 1).read_to_end(&mut plain)?;
        if plain.len() as u64 > LARGEST_TEXT {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let redirect = if self.path.ends_with("html") { self.redirect() } else { None };
        let digest = blake3::hash(&plain).to_hex();
        let coded = self.coded(&plain, metadata.modified().ok());
        let coding = if coded.is_some() { self.coding } else { Coding::Plain };
        // A strong tag is that of the bytes sent: each coding has its own.
        let tag = format!("\"{}{}\"", &digest[..30], coding.letter());
        let modified = metadata.modified().ok().and_then(to_second);
        let mut headers = HeaderMap::with_capacity(24);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(&self.path)));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control(&self.path)));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(date) = modified.and_then(|date| HeaderValue::from_str(&httpdate::fmt_http_date(date)).ok()) {
            headers.insert(header::LAST_MODIFIED, date);
        }
        match coding {
            Coding::Plain => {}
            Coding::Gzip => drop(headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))),
            Coding::Brotli => drop(headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"))),
        }
        let bytes = Bytes::from(coded.unwrap_or(plain));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        let with = |is_local| {
            let mut headers = headers.clone();
            self.sets.add_to(is_local, &mut headers);
            headers
        };
        let (local, outside) = (with(true), with(false));
        Ok(Kept {
            stamp: Stamp::of(&metadata),
            bytes,
            tag,
            sets: self.sets.clone(),
            local,
            outside,
            modified,
            redirect,
        })
    }

    /// The coded bytes, when they are worth it.
    fn coded(&self, plain: &[u8], modified: Option<SystemTime>) -> Option<Vec<u8>> {
        let extension = match self.coding {
            Coding::Plain => return None,
            Coding::Gzip => "gz",
            Coding::Brotli => "br",
        };
        if plain.len() < WORTH_COMPRESSING {
            return None;
        }
        let beside = PathBuf::from(format!("{}.{extension}", self.file.display()));
        let is_current = std::fs::metadata(&beside)
            .is_ok_and(|found| found.is_file() && found.len() <= LARGEST_TEXT && found.modified().ok() >= modified);
        let ready = if is_current { std::fs::read(&beside).ok() } else { None };
        let coded = match ready {
            Some(coded) => coded,
            None if self.coding == Coding::Gzip => gzip(plain)?,
            None => brotli(plain)?,
        };
        (coded.len() < plain.len() / 10 * 9).then_some(coded)
    }

    /// Where the site's table of former addresses sends this page.
    fn redirect(&self) -> Option<String> {
        let table = std::fs::read_to_string(self.root.join(REDIRECTS)).ok()?;
        let page = self.path.strip_suffix("index.html").unwrap_or(&self.path);
        let page = page.trim_end_matches('/');
        let lines = table.lines().map(|line| line.split_whitespace());
        lines.filter_map(|mut words| Some((words.next()?, words.next()?))).find_map(|(from, to)| {
            let is_ours = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
            let from = from.strip_prefix('/')?.trim_end_matches('/');
            (is_ours && from == page).then(|| to.to_owned())
        })
    }
}

/// Whether a kind of file gets smaller.
fn is_text(media_type: &str) -> bool {
    let kinds = ["text/", "application/json", "application/manifest", "application/geo", "application/xml"];
    kinds.iter().any(|kind| media_type.starts_with(kind)) || media_type.contains("+xml")
}

fn to_second(time: SystemTime) -> Option<SystemTime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}

fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut coder = flate2::write::GzEncoder::new(Vec::with_capacity(plain.len() / 3), flate2::Compression::new(6));
    coder.write_all(plain).ok()?;
    coder.finish().ok()
}

fn brotli(plain: &[u8]) -> Option<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI,
        size_hint: plain.len(),
        ..brotli::enc::BrotliEncoderParams::default()
    };
    let mut coded = Vec::with_capacity(plain.len() / 3);
    let mut plain = plain;
    brotli::BrotliCompress(&mut plain, &mut coded, &parameters).ok()?;
    Some(coded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &'static str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        Coding::accepted(&headers)
    }

    #[test]
    fn the_best_coding_a_browser_takes_is_chosen() {
        let cases = [
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("gzip", Coding::Gzip),
            ("br;q=0, gzip;q=0.5", Coding::Gzip),
            ("br;q=0.1, gzip;q=0.5", Coding::Gzip),
            ("br; q=0.5,gzip; q=0.5", Coding::Brotli),
            ("identity", Coding::Plain),
            ("gzip;q=0", Coding::Plain),
            ("br;q=deux", Coding::Plain),
            ("", Coding::Plain),
        ];
        for (value, coding) in cases {
            assert_eq!(accepted(value), coding, "{value}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), Coding::Plain);
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let text = "Le bulletin de la commune paraît trois fois par an. ".repeat(200);
        let mut back = Vec::new();
        let coded = brotli(text.as_bytes()).unwrap();
        assert!(coded.len() < text.len() / 4);
        brotli::BrotliDecompress(&mut coded.as_slice(), &mut back).unwrap();
        assert_eq!(back, text.as_bytes());
        let mut back = String::new();
        flate2::read::GzDecoder::new(gzip(text.as_bytes()).unwrap().as_slice()).read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
    }
}
