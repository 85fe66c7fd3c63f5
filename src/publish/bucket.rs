//! A bucket: objects put one by one, what they replace copied within the bucket.
//!
//! What we remember stands below `.mulot/`, beside the site: its descriptions, and the contents of the versions kept, named by
//! their fingerprints.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::books::Books;
use super::error::PublishError;
use super::ordered::Shelf;
use super::{Order, Result};
use crate::model::media_type::{cache_control, media_type};
use crate::model::publication::{Manifest, S3Target};
use crate::s3::{self, Access, Bucket, Content, S3Error};

/// Requests under way at once.
const AT_ONCE: usize = 6;
/// Largest description we read: thirty thousand files.
const LIMIT: u64 = 16 << 20;

/// The objects of a bucket below a prefix.
pub(super) struct Shelves {
    bucket: Bucket,
    address: String,
    /// Empty, or ended by a slash.
    prefix: String,
    public: bool,
}

impl Shelves {
    pub(super) fn open(target: &S3Target, order: &Order<'_>) -> Result<Shelves> {
        let (endpoint, bucket, prefix) = s3::split_address(&target.address)?;
        let place = || target.address.clone();
        let (key_id, secret) = match (&order.keys, &target.key_file) {
            (Ok(Some(keys)), _) => keys.clone(),
            (_, Some(path)) => s3::read_keys(path)?,
            (Err(half), None) => return Err(PublishError::HalfKey { place: place(), half: *half }),
            (Ok(None), None) => return Err(PublishError::NoKeys { place: place() }),
        };
        let access = Access { endpoint, bucket, region: target.region.clone(), key_id, secret };
        let prefix = if prefix.is_empty() { prefix } else { format!("{prefix}/") };
        Ok(Shelves { bucket: Bucket::open(&access)?, address: target.address.clone(), prefix, public: target.public })
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn book(&self, name: &str) -> String {
        format!("{}.mulot/{name}", self.prefix)
    }

    fn object(&self, hash: &str) -> String {
        self.book(&format!("objets/{hash}"))
    }

    /// What an object of the site is served with.
    fn headers(&self, path: &str) -> Vec<(&'static str, &'static str)> {
        let mut headers = vec![("content-type", media_type(path)), ("cache-control", cache_control(path))];
        if self.public {
            headers.push(("x-amz-acl", "public-read"));
        }
        headers
    }
}

impl Books for Shelves {
    fn place(&self) -> String {
        self.address.clone()
    }

    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.bucket.get_bytes(&self.book(name), LIMIT)?)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(self.bucket.put(&self.book(name), Content::Bytes(bytes), &[("content-type", "application/json")])?)
    }

    fn discard(&mut self, name: &str) -> Result<()> {
        Ok(self.bucket.delete(&self.book(name))?)
    }
}

impl Shelf for Shelves {
    fn put(&mut self, files: &[(String, PathBuf)]) -> Result<()> {
        let put = |(path, file): &(String, PathBuf)| {
            self.bucket.put(&self.key(path), Content::File(file), &self.headers(path)).map(|()| true)
        };
        at_once(files, put).map(drop)
    }

    fn keep(&mut self, files: &[(String, String)]) -> Result<()> {
        let keep = |(path, hash): &(String, String)| {
            self.bucket.copy(&self.key(path), &self.object(hash), &[("content-type", "application/octet-stream")])
        };
        at_once(files, keep).map(drop)
    }

    fn restore(&mut self, files: &[(String, String)]) -> Result<bool> {
        at_once(files, |(path, hash)| self.bucket.copy(&self.object(hash), &self.key(path), &self.headers(path)))
    }

    fn remove(&mut self, paths: &[String]) -> Result<()> {
        at_once(paths, |path| self.bucket.delete(&self.key(path)).map(|()| true)).map(drop)
    }

    fn forget(&mut self, hashes: &[String]) -> Result<()> {
        at_once(hashes, |hash| self.bucket.delete(&self.object(hash)).map(|()| true)).map(drop)
    }

    fn is_foreign(&mut self) -> Result<bool> {
        let (own, mut foreign) = (self.book(""), false);
        self.bucket.list(&self.prefix, |one| foreign |= !one.key.starts_with(&own))?;
        Ok(foreign)
    }

    /// A bucket gives each object as it is: it cannot choose between a page and its compressed twin.
    fn leaves_out(&self, path: &str, manifest: &Manifest) -> bool {
        let twin = path.strip_suffix(".br").or_else(|| path.strip_suffix(".gz"));
        twin.is_some_and(|plain| manifest.files.contains_key(plain))
    }
}

/// Does something for each, several at once; whether all said yes. The first that fails stops those that have not begun.
fn at_once<T: Sync>(items: &[T], act: impl Fn(&T) -> s3::Result<bool> + Sync) -> Result<bool> {
    let next = AtomicUsize::new(0);
    let all = AtomicBool::new(true);
    let failed: Mutex<Option<S3Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match act(item) {
                        Ok(yes) => drop(all.fetch_and(yes, Ordering::Relaxed)),
                        Err(error) => {
                            next.store(items.len(), Ordering::Relaxed);
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error.into()),
        None => Ok(all.into_inner()),
    }
}
