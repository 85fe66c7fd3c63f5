//! A small client of S3-compatible buckets: the one door to request signing and to the blocking HTTP client.
//!
//! It knows objects and nothing of what they are. Every call tries again by itself when the server is busy or the line is
//! cut, until [`Bucket::patience`] is over; what it then says is a French sentence. It never follows a redirection, and never
//! prints a key or a signed address.

mod ask;
mod error;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusty_s3::{Credentials, UrlStyle};
use ureq::Agent;
use ureq::http::{Method, Response};

use ask::agent;
pub use error::S3Error;
use error::code_of;

/// Result of a call to a bucket.
pub type Result<T> = std::result::Result<T, S3Error>;

/// How long a signed address stays valid: a request is sent at once.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);
/// Beyond this distance of the two clocks no server accepts a signature (S3 API, `RequestTimeTooSkewed`).
const SKEW: Duration = Duration::from_secs(15 * 60);
/// Pauses between tries: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));
/// A server that asks for more patience than this is asked again all the same.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(60);
/// How long a connection may be silent in the middle of a request.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a host that has not answered once yet is tried: a wrong name must be told soon.
const FIRST_CONTACT: Duration = Duration::from_secs(10);

/// Where a bucket is and who asks.
#[derive(Clone)]
pub struct Access {
    /// `https://s3.fr-par.scw.cloud`, without the bucket.
    pub endpoint: String,
    /// Name of the bucket.
    pub bucket: String,
    /// `fr-par`.
    pub region: String,
    /// Identifier of the key.
    pub key_id: String,
    /// The key itself.
    pub secret: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Access").field("endpoint", &self.endpoint).field("bucket", &self.bucket).finish()
    }
}

/// What is put into an object.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// A file, streamed; its length must not change meanwhile.
    File(&'a Path),
}

/// What an object tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Bytes.
    pub size: u64,
    /// Entity tag, quotes included, when the server gives one.
    pub etag: Option<String>,
    /// Last change, by the server's clock.
    pub modified: Option<Timestamp>,
    /// The media type it is served with.
    pub media_type: Option<String>,
}

/// One object of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Last change, by the server's clock.
    pub modified: Option<Timestamp>,
}

/// An object being read.
pub struct Object {
    /// What it tells of itself.
    pub head: Head,
    read: u64,
    body: Box<dyn Read + Send>,
}

impl Read for Object {
    /// A connection cut in the middle is an error, never a shorter object.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.body.read(buffer)?;
        self.read += count as u64;
        if count == 0 && !buffer.is_empty() && self.read < self.head.size {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }
}

/// A bucket that answers to our key. Cheap to share between threads.
pub struct Bucket {
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
    agent: Agent,
    host: String,
    patience: Duration,
    /// Whether the host has answered anything yet.
    met: AtomicBool,
}

impl Bucket {
    /// Makes ready to ask; nothing is sent yet.
    ///
    /// # Errors
    /// [`S3Error::BadAddress`].
    pub fn open(access: &Access) -> Result<Bucket> {
        let bad = || S3Error::BadAddress(access.endpoint.clone());
        let endpoint = access.endpoint.parse().map_err(|_| bad())?;
        let bucket = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, access.bucket.clone(), access.region.clone())
            .map_err(|_| bad())?;
        let url = bucket.base_url();
        let host = url.host_str().ok_or_else(bad)?.to_owned();
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let agent = agent(url.scheme() == "https", SILENCE);
        let credentials = Credentials::new(access.key_id.clone(), access.secret.clone());
        Ok(Bucket { bucket, credentials, agent, host, patience: Duration::from_secs(120), met: AtomicBool::new(false) })
    }

    /// How long a request is tried again before it is given up: two minutes unless said otherwise. One try alone is silent for
    /// no longer either.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        if patience < SILENCE {
            self.agent = agent(self.bucket.base_url().scheme() == "https", patience);
        }
        self
    }

    /// `s3.fr-par.scw.cloud`, for sentences.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Name of the bucket, for sentences.
    pub fn name(&self) -> &str {
        self.bucket.name()
    }

    /// An object to be read; `None` when it does not exist.
    ///
    /// # Errors
    /// [`S3Error`]; an error while reading is told by the reader.
    pub fn get(&self, key: &str) -> Result<Option<Object>> {
        let action = self.bucket.get_object(Some(&self.credentials), checked(key)?);
        let Some(response) = self.ask(Method::GET, action, &[], None, key)? else { return Ok(None) };
        let head = head_of(&response);
        Ok(Some(Object { head, read: 0, body: Box::new(response.into_body().into_reader()) }))
    }

    /// The bytes of an object, at most `limit`; `None` when it does not exist. A reading that is cut is tried again.
    ///
    /// # Errors
    /// [`S3Error`].
    pub fn get_bytes(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let until = Instant::now() + self.patience;
        loop {
            let Some(object) = self.get(key)? else { return Ok(None) };
            let mut bytes = Vec::new();
            match object.take(limit).read_to_end(&mut bytes) {
                Ok(_) => return Ok(Some(bytes)),
                Err(source) if Instant::now() >= until => {
                    return Err(S3Error::Unreachable { host: self.host.clone(), why: crate::fs::cause(&source) });
                }
                Err(_) => std::thread::sleep(PAUSES.0),
            }
        }
    }

    /// What an object tells of itself; `None` when it does not exist.
    ///
    /// # Errors
    /// [`S3Error`].
    pub fn head(&self, key: &str) -> Result<Option<Head>> {
        let action = self.bucket.head_object(Some(&self.credentials), checked(key)?);
        Ok(self.ask(Method::HEAD, action, &[], None, key)?.as_ref().map(head_of))
    }

    /// Puts an object, in one step for whoever reads it. Headers are in lower case: `content-type`, `cache-control`.
    ///
    /// # Errors
    /// [`S3Error`]; the object is then what it was.
    pub fn put(&self, key: &str, content: Content<'_>, headers: &[(&str, &str)]) -> Result<()> {
        let action = self.bucket.put_object(Some(&self.credentials), checked(key)?);
        self.ask(Method::PUT, action, headers, Some(content), key)?.ok_or_else(|| self.no_bucket())?;
        Ok(())
    }

    /// Copies an object within the bucket, with new headers; `false` when `from` does not exist.
    ///
    /// # Errors
    /// [`S3Error`].
    pub fn copy(&self, from: &str, to: &str, headers: &[(&str, &str)]) -> Result<bool> {
        let action = self.bucket.put_object(Some(&self.credentials), checked(to)?);
        // The source is written as the path of its address is: encoded, the bucket first.
        let base = self.bucket.base_url().path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let path = self.bucket.object_url(checked(from)?);
        let key = path.path().strip_prefix(self.bucket.base_url().path()).unwrap_or_default();
        let source = format!("/{base}/{key}");
        let mut all = vec![("x-amz-copy-source", source.as_str()), ("x-amz-metadata-directive", "REPLACE")];
        all.extend_from_slice(headers);
        let Some(mut response) = self.ask(Method::PUT, action, &all, Some(Content::Bytes(b"")), to)? else {
            return Ok(false);
        };
        // A copy that fails on the way answers 200 all the same, with an error inside (S3 API, CopyObject).
        let told = response.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_or_default();
        match code_of(&told) {
            Some(code) => Err(S3Error::Answer { host: self.host.clone(), key: to.to_owned(), status: 200, code }),
            None => Ok(true),
        }
    }

    /// Removes an object; absent is fine.
    ///
    /// # Errors
    /// [`S3Error`].
    pub fn delete(&self, key: &str) -> Result<()> {
        let action = self.bucket.delete_object(Some(&self.credentials), checked(key)?);
        self.ask(Method::DELETE, action, &[], None, key).map(drop)
    }

    /// Gives every object whose key starts with `prefix` to `take`, page after page.
    ///
    /// # Errors
    /// [`S3Error`].
    pub fn list(&self, prefix: &str, mut take: impl FnMut(Listed)) -> Result<()> {
        let mut next: Option<String> = None;
        loop {
            let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
            action.with_prefix(prefix);
            if let Some(token) = next.take() {
                action.with_continuation_token(token);
            }
            let mut response = self.ask(Method::GET, action, &[], None, prefix)?.ok_or_else(|| self.no_bucket())?;
            let told = response.body_mut().with_config().limit(64 << 20).read_to_string();
            let page = told.ok().and_then(|told| rusty_s3::actions::ListObjectsV2::parse_response(&told).ok());
            let Some(page) = page else {
                // No word of the server: what came is no list.
                let (host, key) = (self.host.clone(), prefix.to_owned());
                return Err(S3Error::Answer { host, key, status: 200, code: String::new() });
            };
            for one in page.contents {
                let modified = one.last_modified.and_then(|text| text.parse().ok());
                take(Listed { key: one.key, size: one.size.unwrap_or_default(), modified });
            }
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    fn no_bucket(&self) -> S3Error {
        S3Error::NoBucket { host: self.host.clone(), bucket: self.name().to_owned() }
    }
}

/// A key that an address can carry: no empty, `.` or `..` part, which would name another object or the bucket itself.
fn checked(key: &str) -> Result<&str> {
    let bad = key.split('/').any(|part| matches!(part, "" | "." | ".."));
    if bad { Err(S3Error::BadKeyName(key.to_owned())) } else { Ok(key) }
}

fn head_of(response: &Response<ureq::Body>) -> Head {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    Head {
        size: text("content-length").and_then(|text| text.parse().ok()).unwrap_or(0),
        etag: text("etag").map(str::to_owned),
        modified: text("last-modified")
            .and_then(|text| jiff::fmt::rfc2822::parse(text).ok())
            .map(|zoned| zoned.timestamp()),
        media_type: text("content-type").map(str::to_owned),
    }
}

/// Where the bucket of `https://hote/seau/prefixe` is: endpoint, bucket, prefix (empty, or without slash at its ends).
///
/// # Errors
/// [`S3Error::BadAddress`].
pub fn split_address(address: &str) -> Result<(String, String, String)> {
    let bad = || S3Error::BadAddress(address.to_owned());
    let (scheme, rest) = address.split_once("://").ok_or_else(bad)?;
    let (host, path) = rest.split_once('/').ok_or_else(bad)?;
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let prefix = prefix.trim_matches('/');
    let clean = |text: &str| !text.contains(['?', '#', ' ', '@', '\\']);
    let parts = prefix.is_empty() || checked(prefix).is_ok();
    if !matches!(scheme, "https" | "http") || host.is_empty() || bucket.is_empty() || !clean(rest) || !parts {
        return Err(bad());
    }
    Ok((format!("{scheme}://{host}"), bucket.to_owned(), prefix.to_owned()))
}

/// Variables of the environment that hold identifier and secret of a key.
pub const KEY_VARIABLES: [&str; 2] = ["MULOT_S3_CLE_ID", "MULOT_S3_CLE_SECRETE"];

/// One of [`KEY_VARIABLES`] without the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{given} est donnée, {missing} ne l'est pas")]
pub struct HalfKey {
    /// The variable that says something.
    pub given: &'static str,
    /// The one that is absent or blank.
    pub missing: &'static str,
}

/// Identifier and secret of a key, from the environment; `None` when neither is given.
///
/// # Errors
/// [`HalfKey`].
pub fn keys_of_environment() -> std::result::Result<Option<(String, String)>, HalfKey> {
    keys_among(|name| std::env::var(name).ok())
}

/// The same, of these variables.
///
/// # Errors
/// [`HalfKey`].
pub fn keys_among(variable: impl Fn(&str) -> Option<String>) -> std::result::Result<Option<(String, String)>, HalfKey> {
    let [id, secret] = KEY_VARIABLES;
    match KEY_VARIABLES.map(|name| variable(name).filter(|value| !value.trim().is_empty())) {
        [Some(id), Some(secret)] => Ok(Some((id, secret))),
        [None, None] => Ok(None),
        [Some(_), None] => Err(HalfKey { given: id, missing: secret }),
        [None, Some(_)] => Err(HalfKey { given: secret, missing: id }),
    }
}

/// The two lines of a file of keys: identifier, then secret.
///
/// # Errors
/// [`S3Error::Local`] when it cannot be read, [`S3Error::KeyFile`] when it is not two lines.
pub fn read_keys(path: &Path) -> Result<(String, String)> {
    let bytes = crate::fs::read(path).map_err(S3Error::Local)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next(), lines.next()) {
        (Some(id), Some(secret), None) => Ok((id.to_owned(), secret.to_owned())),
        _ => Err(S3Error::KeyFile(PathBuf::from(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_endpoint_a_bucket_and_a_prefix() {
        let split = |text| split_address(text).ok();
        let told = |one: &str, two: &str, three: &str| Some((one.to_owned(), two.to_owned(), three.to_owned()));
        assert_eq!(split("https://s3.exemple.fr/seau/a/b/"), told("https://s3.exemple.fr", "seau", "a/b"));
        assert_eq!(split("http://127.0.0.1:8014/seau"), told("http://127.0.0.1:8014", "seau", ""));
        for wrong in
            ["s3.exemple.fr/seau", "https://s3.exemple.fr", "https://s3.exemple.fr/", "ftp://a/b", "https://a/b/../c"]
        {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keys_that_would_name_something_else_are_refused() {
        assert!(checked("a/b.html").is_ok() && checked(".mulot/manifeste.json").is_ok());
        for wrong in ["", "a/../b", "a//b", "/a", "a/", "."] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let access = Access {
            endpoint: "https://s3.exemple.fr".into(),
            bucket: "seau".into(),
            region: "fr".into(),
            key_id: "identifiant".into(),
            secret: "tres-secret".into(),
        };
        assert!(!format!("{access:?}").contains("secret"));
    }
}
