//! Files in an S3-compatible bucket: nothing of them stays on this machine, so that another one can go on with them.
//!
//! ```text
//! PREFIX/marque                   whose bucket this is: the mark of the key
//! PREFIX/entrants/<32 hex>.fiche  the description of a draft, for a day
//! PREFIX/entrants/<32 hex>.recu   says that a request names it, as long as it is described
//! PREFIX/pj/<2 hex>/<32 hex>      a file, from the moment it was judged
//! ```
//!
//! A file is put at its final place at once: accepting it moves nothing, and its description alone makes it a draft. Ages are
//! told by the server's clock, which [`crate::s3`] refuses when it is a quarter of an hour from ours.
//!
//! The mark tells the key, not the database: an old copy of it, or another one with the same key, knows few of these files. What
//! was a draft to its end goes; of what was accepted, or may have been, only as few as a crash leaves ([`is_too_many`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::room::weight;
use super::shelves::{DRAFT_LIFE, Known, Source, UNFINISHED_LIFE, Weights};
use super::{DESCRIPTION, DRAFTS, FileError, KEPT, RECEIVED, is_id};
use crate::s3::{self, Access, Content, S3Error};

/// Where the bucket of a guichet is, and the key to it; never printed.
#[derive(Clone)]
pub struct BucketPlace {
    access: Access,
    /// Empty, or without slash at its ends.
    prefix: String,
}

impl BucketPlace {
    /// The bucket of `https://hôte/seau/prefixe`, with the identifier and the secret of its key.
    ///
    /// # Errors
    /// [`S3Error::BadAddress`].
    pub fn new(address: &str, region: String, (key_id, secret): (String, String)) -> s3::Result<BucketPlace> {
        let (endpoint, bucket, prefix) = s3::split_address(address)?;
        Ok(BucketPlace { access: Access { endpoint, bucket, region, key_id, secret }, prefix })
    }

    /// The part of a commune of a territoire: a folder of its own.
    #[must_use]
    pub fn for_commune(mut self, name: &str) -> BucketPlace {
        self.prefix = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        self
    }

    /// `https://hôte/seau`: what all its parts answer, or fail, with.
    pub fn server(&self) -> String {
        format!("{}/{}", self.access.endpoint, self.access.bucket)
    }

    /// The identifier of its key.
    pub fn key_id(&self) -> &str {
        &self.access.key_id
    }

    /// Asks it for one object, whether it is there or not: what a reader of a state may wait for, no longer.
    ///
    /// # Errors
    /// [`S3Error`]: why it does not answer.
    pub fn reach(&self) -> s3::Result<()> {
        let bucket = s3::Bucket::open(&self.access)?.patience(GLANCE);
        // Not its head alone: only a body tells a bucket that is gone from an object that is not there.
        bucket.get_bytes(&format!("{}{MARK}", self.keys_begin()), 1024).map(|_| ())
    }

    /// What the keys of its objects begin with.
    fn keys_begin(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) }
    }

    /// `https://hôte/seau/prefixe`.
    pub fn address(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", self.server(), self.prefix)
    }

    /// Tells two keys apart in a fingerprint.
    pub(crate) fn hash_into(&self, hasher: &mut blake3::Hasher) {
        hasher.update(self.access.key_id.as_bytes()).update(&[0]).update(self.access.secret.as_bytes()).update(&[0]);
    }
}

impl std::fmt::Debug for BucketPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "BucketPlace({}, {})", self.address(), self.access.region)
    }
}

impl PartialEq for BucketPlace {
    fn eq(&self, other: &BucketPlace) -> bool {
        let told = |place: &BucketPlace| {
            let Access { endpoint, bucket, region, key_id, secret } = place.access.clone();
            (endpoint, bucket, region, key_id, secret, place.prefix.clone())
        };
        told(self) == told(other)
    }
}

impl Eq for BucketPlace {}

/// The objects of one guichet.
pub(super) struct Bucket {
    bucket: s3::Bucket,
    /// Empty, or ended by a slash.
    prefix: String,
    address: String,
    /// What says that these objects are of our key.
    mark: String,
    /// Set once the mark was seen, or put.
    is_ours: OnceLock<()>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Bucket({})", self.address)
    }
}

impl Bucket {
    /// Opens the bucket of a guichet whose key has this mark, and looks whether it is the right one. One that does not answer is
    /// told to the log and opened all the same: what needs no file goes on.
    pub(super) fn open(place: &BucketPlace, mark: [u8; 16], patience: Duration) -> Result<Bucket, FileError> {
        let bucket = Bucket {
            bucket: s3::Bucket::open(&place.access)?.patience(patience),
            prefix: place.keys_begin(),
            address: place.address(),
            mark: data_encoding::HEXLOWER.encode(&mark),
            is_ours: OnceLock::new(),
        };
        match bucket.looked() {
            Err(FileError::Bucket(error)) if may_pass(&error) => {
                tracing::error!(event = "files.bucket", error.reason = %error, "the bucket of the files does not answer");
            }
            looked => drop(looked?),
        }
        Ok(bucket)
    }

    /// Whether it answers, and is still ours.
    pub(super) fn answers(&self) -> bool {
        matches!(self.looked(), Ok(true))
    }

    /// A failure of reading an object.
    pub(super) fn cut(&self, error: &io::Error) -> FileError {
        S3Error::Unreachable { host: self.bucket.host().to_owned(), why: crate::fs::cause(error) }.into()
    }

    /// Puts a finished draft: its bytes, then what makes it one.
    pub(super) fn keep(&self, id: &str, path: &Path, card: &[u8]) -> Result<(), FileError> {
        self.own()?;
        self.put_file(id, path)?;
        self.touch(id, card)
    }

    /// Puts the bytes of a file at their place.
    pub(super) fn put_file(&self, id: &str, path: &Path) -> Result<(), FileError> {
        self.own()?;
        Ok(self.bucket.put(&self.kept_key(id), Content::File(path), HEADERS)?)
    }

    /// Puts the description of a draft: its life begins.
    pub(super) fn touch(&self, id: &str, card: &[u8]) -> Result<(), FileError> {
        self.own()?;
        Ok(self.bucket.put(&self.card_key(id), Content::Bytes(card), HEADERS)?)
    }

    /// The description of a draft that lives.
    ///
    /// One older than a day is over, but swept later only: whoever finds one, touches it and has its file recorded is done long
    /// before the file could be taken for an orphan.
    pub(super) fn card(&self, id: &str) -> Result<Option<Vec<u8>>, FileError> {
        let Some(object) = self.bucket.get(&self.card_key(id))? else { return self.seen_again().map(|()| None) };
        if age(object.head.modified, SystemTime::now()) > DRAFT_LIFE {
            return Ok(None);
        }
        let mut card = Vec::new();
        object.take(LONGEST_CARD).read_to_end(&mut card).map_err(|error| self.cut(&error))?;
        Ok(Some(card))
    }

    /// Says that a request names a draft; whether it is said for the first time.
    pub(super) fn receive(&self, id: &str) -> Result<bool, FileError> {
        self.own()?;
        let key = self.received_key(id);
        if self.bucket.head(&key)?.is_some() {
            return Ok(false);
        }
        self.bucket.put(&key, Content::Bytes(b"1"), HEADERS)?;
        Ok(true)
    }

    /// Bytes of one file; `None` when it is not there.
    pub(super) fn size(&self, id: &str) -> Result<Option<u64>, FileError> {
        Ok(self.bucket.head(&self.kept_key(id))?.map(|head| head.size))
    }

    /// Removes files and their descriptions; absent is fine.
    pub(super) fn remove(&self, ids: &[&str]) -> Result<(), FileError> {
        self.own()?;
        for id in ids {
            self.bucket.delete(&self.kept_key(id))?;
            self.bucket.delete(&self.card_key(id))?;
            self.bucket.delete(&self.received_key(id))?;
        }
        Ok(())
    }

    /// A file as it lies there, and its bytes; `None` when it is certain that it does not.
    ///
    /// « Not found » is also what a wrong host or prefix answers, and a mail would leave without its file for ever: only the list
    /// of a bucket that is ours is believed.
    pub(super) fn open_kept(&self, id: &str) -> Result<Option<(Source, u64)>, FileError> {
        let key = self.kept_key(id);
        if let Some(object) = self.bucket.get(&key)? {
            let size = object.head.size;
            return Ok(Some((Box::new(object), size)));
        }
        let (mut is_listed, mut is_ours) = (false, false);
        self.bucket.list(&key, |one| is_listed |= one.key == key)?;
        let mark = self.mark_key();
        self.bucket.list(&mark, |one| is_ours |= one.key == mark)?;
        match (is_listed, is_ours) {
            (true, _) => Err(self.cut(&io::ErrorKind::UnexpectedEof.into())),
            (false, true) => Ok(None),
            (false, false) => Err(self.foreign()),
        }
    }

    /// To be asked before « not found » is believed: a bucket that was replaced, or emptied, answers that too.
    pub(super) fn seen_again(&self) -> Result<(), FileError> {
        if self.looked()? { Ok(()) } else { Err(self.foreign()) }
    }

    /// Whether it was marked by our key: one that was not holds nothing of ours, and tells nothing of what is lost.
    pub(super) fn is_ours(&self) -> Result<bool, FileError> {
        Ok(self.is_ours.get().is_some() || self.looked()?)
    }

    /// Marks it as ours.
    pub(super) fn adopt(&self) -> Result<(), FileError> {
        if !self.is_ours()? {
            self.bucket.put(&self.mark_key(), Content::Bytes(self.mark.as_bytes()), HEADERS)?;
        }
        Ok(())
    }

    /// What is said of a bucket that is not ours.
    pub(super) fn foreign(&self) -> FileError {
        FileError::ForeignBucket { address: self.address.clone() }
    }

    /// Bytes of every file, by id.
    pub(super) fn sizes(&self) -> Result<BTreeMap<String, u64>, FileError> {
        let mut sizes = BTreeMap::new();
        self.bucket.list(&self.key(&format!("{KEPT}/")), |one| {
            sizes.extend(id_of(&one.key).map(|id| (id.to_owned(), one.size)));
        })?;
        Ok(sizes)
    }

    /// Removes the descriptions of drafts that are over, and the files of those that no request ever named; gives how many files.
    pub(super) fn sweep(&self, now: SystemTime, known: Known<'_>) -> Result<usize, FileError> {
        self.own()?;
        let (mut living, mut over, mut received) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        self.bucket.list(&self.key(&format!("{DRAFTS}/")), |one| {
            let is_over = age(one.modified, now) > DRAFT_LIFE + UNFINISHED_LIFE;
            let name = one.key.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
            match name.filter(|(id, _)| is_id(id)) {
                Some((id, DESCRIPTION)) if is_over => drop(over.insert(id.to_owned())),
                Some((id, DESCRIPTION)) => drop(living.insert(id.to_owned())),
                Some((id, RECEIVED)) => drop(received.insert(id.to_owned(), is_over)),
                _ => {}
            }
        })?;
        let mut count = 0;
        for id in &over {
            // Its description goes last: as long as it is there, the next time does it again.
            if !received.contains_key(id) && !known(id)? {
                self.bucket.delete(&self.kept_key(id))?;
                count += 1;
            }
            self.bucket.delete(&self.card_key(id))?;
        }
        for (id, _) in received.iter().filter(|(id, is_over)| **is_over && !living.contains(*id)) {
            self.bucket.delete(&self.received_key(id))?;
        }
        Ok(count)
    }

    /// Removes files that neither a description nor a row names, a week after they came; gives how many.
    pub(super) fn collect_orphans(&self, now: SystemTime, known: Known<'_>) -> Result<usize, FileError> {
        self.own()?;
        let orphans = self.orphans(now, known)?;
        orphans.iter().try_for_each(|id| self.bucket.delete(&self.kept_key(id)))?;
        Ok(orphans.len())
    }

    /// Files that neither a description nor a row has named for a week.
    ///
    /// All of more than two hours are judged together: a database that is not theirs misses more each day, and is found out before
    /// the first of them goes.
    ///
    /// # Errors
    /// [`FileError::ManyOrphans`] when they are more than a crash leaves.
    pub(super) fn orphans(&self, now: SystemTime, known: Known<'_>) -> Result<Vec<String>, FileError> {
        let mut old = Vec::new();
        self.bucket.list(&self.key(&format!("{KEPT}/")), |one| {
            let age = age(one.modified, now);
            let is_old = age > UNFINISHED_LIFE;
            old.extend(id_of(&one.key).filter(|_| is_old).map(|id| (id.to_owned(), age > ORPHAN_LIFE)));
        })?;
        // In this order: what has no description now gets none any more, and its row, if it has one, is there.
        let described = self.described()?;
        let files = old.len();
        let mut orphans = Vec::new();
        for (id, is_over) in old.into_iter().filter(|(id, _)| !described.contains(id)) {
            if !known(&id)? {
                orphans.push((id, is_over));
            }
        }
        if is_too_many(orphans.len(), files) {
            return Err(FileError::ManyOrphans { address: self.address.clone(), orphans: orphans.len(), files });
        }
        Ok(orphans.into_iter().filter_map(|(id, is_over)| is_over.then_some(id)).collect())
    }

    /// Weighs what is kept; a draft is what has a description and no row.
    pub(super) fn weigh(&self, known: Known<'_>) -> Result<Weights, FileError> {
        let described = self.described()?;
        let mut weights = Weights::default();
        for (id, size) in self.sizes()? {
            let is_draft = described.contains(&id) && !known(&id)?;
            *if is_draft { &mut weights.drafts } else { &mut weights.kept } += weight(size);
        }
        Ok(weights)
    }

    /// Ids that have a description.
    fn described(&self) -> Result<BTreeSet<String>, FileError> {
        let mut ids = BTreeSet::new();
        self.bucket.list(&self.key(&format!("{DRAFTS}/")), |one| {
            let name = one.key.rsplit('/').next().unwrap_or_default();
            ids.extend(name.strip_suffix(DESCRIPTION).and_then(|name| name.strip_suffix('.')).map(str::to_owned));
        })?;
        Ok(ids)
    }

    /// Whether the mark is there; another key's is an error: two guichets would take each other's files for orphans.
    fn looked(&self) -> Result<bool, FileError> {
        match self.bucket.get_bytes(&self.mark_key(), 64)? {
            Some(mark) if mark == self.mark.as_bytes() => {
                let _ = self.is_ours.set(());
                Ok(true)
            }
            Some(_) => Err(self.foreign()),
            None => Ok(false),
        }
    }

    /// To be asked before anything is written or removed.
    fn own(&self) -> Result<(), FileError> {
        if self.is_ours()? { Ok(()) } else { Err(self.foreign()) }
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn mark_key(&self) -> String {
        self.key(MARK)
    }

    fn card_key(&self, id: &str) -> String {
        self.key(&format!("{DRAFTS}/{id}.{DESCRIPTION}"))
    }

    fn received_key(&self, id: &str) -> String {
        self.key(&format!("{DRAFTS}/{id}.{RECEIVED}"))
    }

    fn kept_key(&self, id: &str) -> String {
        self.key(&format!("{KEPT}/{}/{id}", &id[..2]))
    }
}

impl From<S3Error> for FileError {
    fn from(error: S3Error) -> FileError {
        FileError::Bucket(Arc::new(error))
    }
}

/// Whether an error may be over in a while, without anybody changing the settings.
fn may_pass(error: &S3Error) -> bool {
    matches!(error, S3Error::Unreachable { .. } | S3Error::Busy { .. } | S3Error::Full { .. } | S3Error::Answer { .. })
}

/// Whether so many orphans among so many files are more than what died between its bytes and its description, or between its
/// acceptance and its row: the database is then rather not the one of these files.
fn is_too_many(orphans: usize, files: usize) -> bool {
    orphans > FEW_ORPHANS && orphans * 10 > files
}

/// The id that a key of a file ends with.
fn id_of(key: &str) -> Option<&str> {
    key.rsplit('/').next().filter(|id| is_id(id))
}

/// Time since an object was put; none for one of which the server does not say it: it stays.
fn age(modified: Option<Timestamp>, now: SystemTime) -> Duration {
    modified.and_then(|modified| now.duration_since(modified.into()).ok()).unwrap_or_default()
}

/// How long a bucket is asked whether it answers.
const GLANCE: Duration = Duration::from_secs(3);
/// Whose objects these are.
const MARK: &str = "marque";
/// How long a file that nothing names is kept, in case the database is not the one of the bucket.
const ORPHAN_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Orphans that surprise nobody, however few files there are.
const FEW_ORPHANS: usize = 20;
/// Bytes of a description, at most.
const LONGEST_CARD: u64 = 64 << 10;
/// They are sealed: no browser is to make anything of them.
const HEADERS: &[(&str, &str)] = &[("content-type", "application/octet-stream")];
