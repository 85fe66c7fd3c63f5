//! Keeps the files residents send: streamed to disk as drafts, moved to their final place when a submission is accepted.
//!
//! ```text
//! entrants/<32 hex>.part   a draft, private          entrants/<32 hex>.fiche   its name, type, size and hash
//! pj/<2 hex>/<32 hex>      an accepted file
//! ```
//!
//! Where that place is, [`shelves`] alone knows: these folders ([`folder`]), or a bucket that several machines share ([`bucket`]).
//!
//! All of them are sealed while they are written. What a file is, its content says ([`content`]); a picture is made again from
//! its pixels and takes the place of what was sent ([`picture`]), office documents and PDFs are looked into ([`office`],
//! [`pdf`]). Size and hash are those of what is kept.
//!
//! Everything here blocks on the disk, [`FileStore::settle`] apart: an asynchronous caller runs it in
//! `tokio::task::spawn_blocking`.

mod bucket;
mod content;
mod folder;
mod name;
mod office;
mod pdf;
mod picture;
mod reading;
mod room;
pub mod scanner;
mod sealed;
mod shelves;
mod tidy;
mod unwanted;
mod upgrade;
mod upload;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use self::bucket::Bucket;
pub use self::bucket::BucketPlace;
pub use self::content::Content;
use self::folder::Folder;
pub use self::name::safe_name;
pub use self::reading::Pieces;
pub use self::room::FileCounts;
use self::room::Room;
use self::scanner::{Scanner, ScannerAddress};
use self::sealed::sealed_size;
use self::shelves::Shelves;
pub use self::tidy::{Tidied, tidy};
pub use self::unwanted::Unwanted;
pub(in crate::intake) use self::upgrade::seal_folder;
pub use self::upload::{Upload, UploadLimits};
pub use self::verify::{FileTrouble, Reading};
use super::seal::{Place, Seal, SealError};
use super::store::{Store, StoreError, free_bytes};
use crate::model::submission::StoredFile;
use crate::s3::S3Error;

/// The files of one guichet; clones share it.
#[derive(Debug, Clone)]
pub struct FileStore {
    folders: Arc<Folders>,
}

#[derive(Debug)]
struct Folders {
    dir: PathBuf,
    shelves: Shelves,
    min_free_bytes: u64,
    seal: Seal,
    room: Room,
    scanner: Option<Scanner>,
}

/// How much a store may hold, and who looks at what comes in.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// Free bytes on the disk below which no upload begins.
    pub min_free_bytes: u64,
    /// Bytes of all drafts together.
    pub max_draft_bytes: u64,
    /// Bytes of all accepted files together.
    pub max_kept_bytes: u64,
    /// The antivirus, when there is one.
    pub scanner: Option<ScannerAddress>,
    /// The bucket that keeps files; `None`: the folder does.
    pub bucket: Option<BucketPlace>,
    /// How long the bucket is asked again before it is given up: seconds when somebody waits for the page.
    pub patience: Duration,
}

impl FileOptions {
    /// No limit but the free space, in the folder.
    pub fn free(min_free_bytes: u64) -> FileOptions {
        FileOptions {
            min_free_bytes,
            max_draft_bytes: u64::MAX,
            max_kept_bytes: u64::MAX,
            scanner: None,
            bucket: None,
            patience: PATIENT,
        }
    }

    /// For an order of the administration, for which nobody waits at a page.
    pub fn beside(bucket: Option<BucketPlace>) -> FileOptions {
        FileOptions { bucket, ..FileOptions::free(0) }
    }
}

/// Why a file was not taken, or cannot be given back.
#[derive(Debug, Error)]
pub enum FileError {
    /// Larger than the question allows.
    #[error("more than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// No byte at all.
    #[error("empty file")]
    Empty,
    /// Not a content that may be taken.
    #[error("not taken: {}", .0.as_str())]
    Unwanted(Unwanted),
    /// Too many files are kept already, whatever room the disk has.
    #[error("no room for files")]
    Quota {
        /// Whether it is the accepted ones that fill it; otherwise files that nobody has sent yet, which go within a day.
        kept: bool,
    },
    /// No space is left, or less than the reserve.
    #[error("no space left under {}", path.display())]
    Full {
        /// The folder.
        path: PathBuf,
    },
    /// The draft has expired, or never was.
    #[error("no file {id}")]
    Missing {
        /// Its name in the store.
        id: String,
    },
    /// The bytes are not those that were received.
    #[error("file {id} is damaged")]
    Damaged {
        /// Its name in the store.
        id: String,
    },
    /// The disk refused something.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bucket cannot be used now; what it holds is not lost.
    #[error(transparent)]
    Bucket(Arc<S3Error>),
    /// The bucket is another guichet's, or should hold files of this one and has never seen it.
    #[error("{address} is not the bucket of this guichet")]
    ForeignBucket {
        /// `https://hôte/seau/prefixe`.
        address: String,
    },
    /// So many files of the bucket are without request that the database must be another one than theirs: none was removed.
    #[error("{orphans} of {files} files of {address} are without request")]
    ManyOrphans {
        /// `https://hôte/seau/prefixe`.
        address: String,
        /// Those that no request names.
        orphans: usize,
        /// Those that have been there for two hours.
        files: usize,
    },
    /// The store refused to answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FileError {
    /// Whether it is a bucket that fails: what it holds is neither missing nor damaged for that.
    pub fn is_of_bucket(&self) -> bool {
        matches!(self, FileError::Bucket(_) | FileError::ForeignBucket { .. } | FileError::ManyOrphans { .. })
    }
}

impl FileStore {
    /// Opens the file store of the guichet's folder, making its folders; `seal` is that of the store beside it.
    ///
    /// No upload begins when fewer than `min_free_bytes` are free.
    ///
    /// # Errors
    /// [`FileError::Full`] or [`FileError::Io`] when a folder cannot be made.
    pub fn open(dir: &Path, seal: &Seal, min_free_bytes: u64) -> Result<FileStore, FileError> {
        Self::open_with(dir, seal, FileOptions::free(min_free_bytes))
    }

    /// The same, with limits and an antivirus, or in a bucket.
    ///
    /// # Errors
    /// As [`FileStore::open`]; [`FileError::Bucket`] when the bucket refuses us, [`FileError::ForeignBucket`]. One that does not
    /// answer is opened all the same.
    pub fn open_with(dir: &Path, seal: &Seal, options: FileOptions) -> Result<FileStore, FileError> {
        let bucket = options.bucket.map(|place| Bucket::open(&place, seal.mark(), options.patience)).transpose()?;
        let folders = Folders {
            dir: dir.to_owned(),
            shelves: Shelves { folder: Folder::open(dir)?, bucket },
            min_free_bytes: options.min_free_bytes,
            seal: seal.clone(),
            room: Room::new(options.max_draft_bytes, options.max_kept_bytes),
            scanner: options.scanner.map(Scanner::new),
        };
        let store = FileStore { folders: Arc::new(folders) };
        // What a bucket holds is weighed beside, at once: nobody waits for a list of thousands of objects.
        if store.folders.shelves.bucket.is_none() {
            store.weigh(&|_| Ok(true))?;
        }
        Ok(store)
    }

    /// Says that this guichet keeps its files here from now on; to be called by who serves it, before it does.
    ///
    /// # Errors
    /// [`FileError::ForeignBucket`] when rows name files that this bucket has never seen, [`FileError::Bucket`],
    /// [`FileError::Store`].
    pub fn adopt(&self, store: &Store) -> Result<(), FileError> {
        let shelves = &self.folders.shelves;
        match &shelves.bucket {
            // Rows are many: they are asked for once only, the first time.
            Some(bucket) if !bucket.is_ours()? => {
                shelves.adopt(store.known_files()?.into_iter().map(|(id, _)| id).filter(|id| is_id(id)))
            }
            _ => Ok(()),
        }
    }

    /// Whether the bucket answers; `None` without a bucket.
    pub fn bucket_answers(&self) -> Option<bool> {
        self.folders.shelves.bucket.as_ref().map(Bucket::answers)
    }

    /// Bytes of an accepted file as they lie there, sealed, for a copy; `None` when it does not.
    ///
    /// # Errors
    /// [`FileError::Io`], [`FileError::Bucket`].
    pub(in crate::intake) fn sealed_bytes(&self, id: &str) -> Result<Option<Box<dyn io::Read + Send>>, FileError> {
        let found = if is_id(id) { self.folders.shelves.open_kept(id)? } else { None };
        Ok(found.map(|(source, _)| source))
    }

    /// A failure of reading what [`FileStore::sealed_bytes`] gave.
    pub(in crate::intake) fn unread(&self, id: &str, error: io::Error) -> FileError {
        self.folders.shelves.unread(id, error)
    }

    /// Puts the sealed bytes of an accepted file into the bucket, from a copy of the guichet; marks a bucket that was nobody's.
    ///
    /// # Errors
    /// [`FileError::Bucket`], [`FileError::ForeignBucket`].
    pub(in crate::intake) fn put_back(&self, id: &str, path: &Path) -> Result<(), FileError> {
        self.folders.shelves.adopt(std::iter::empty())?;
        self.folders.shelves.put_back(id, path)
    }

    /// What was taken, refused and read since the start, and how much is kept.
    pub fn counts(&self) -> FileCounts {
        self.folders.room.counts()
    }

    /// A file uploaded before, by its id; its life as a draft starts again. `None` when it has expired or never was.
    ///
    /// Whoever knows the id sent the file: it has 128 random bits and is given to nobody else.
    ///
    /// # Errors
    /// [`FileError::Io`] or [`FileError::Bucket`] when its description cannot be read.
    pub fn draft(&self, id: &str) -> Result<Option<StoredFile>, FileError> {
        if !is_id(id) {
            return Ok(None);
        }
        let Some(card) = self.folders.shelves.card(id)? else { return Ok(None) };
        let plain = self.folders.seal.open(Place(DRAFTS, &[id.as_bytes()]), &card);
        let Some(file) = plain.ok().and_then(|plain| serde_json::from_slice::<StoredFile>(&plain).ok()) else {
            return Err(FileError::Damaged { id: id.to_owned() });
        };
        if file.id != id {
            return Ok(None);
        }
        self.folders.shelves.touch(id, &card)?;
        Ok(Some(file))
    }

    /// Has drafts at their final place for good; already there is fine. To be called before the submission that names them is
    /// recorded, and soon after [`FileStore::draft`] gave them.
    ///
    /// # Errors
    /// [`FileError::Missing`] when a draft has expired, [`FileError::Damaged`] when its size has changed,
    /// [`FileError::Full`], [`FileError::Io`] or [`FileError::Bucket`] otherwise; moved files are then collected as orphans later.
    pub fn accept(&self, files: &[StoredFile]) -> Result<(), FileError> {
        let sealed = files.iter().filter(|file| is_id(&file.id)).map(|file| (file.id.as_str(), sealed_size(file.size)));
        let sealed: Vec<(&str, u64)> = sealed.collect();
        self.folders.shelves.accept(&sealed, |id| {
            // With several processes over one bucket this is a guess, until the hourly weighing.
            files.iter().filter(|file| file.id == id).for_each(|file| self.folders.room.accepted(file.size));
        })?;
        if let Some(bad) = files.iter().find(|file| !is_id(&file.id)) {
            return Err(FileError::Missing { id: bad.id.clone() });
        }
        if files.is_empty() { Ok(()) } else { self.folders.shelves.sync() }
    }

    /// Removes accepted files and their descriptions for good; absent is fine.
    ///
    /// # Errors
    /// [`FileError::Io`] or [`FileError::Bucket`] when one remains.
    pub fn remove(&self, ids: &[String]) -> Result<(), FileError> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).filter(|id| is_id(id)).collect();
        self.folders.shelves.remove(&ids, |size| self.folders.room.removed(size))
    }
}

impl Folders {
    /// Makes a draft of a file that was judged: it is described, sealed.
    fn describe(&self, file: &StoredFile) -> Result<(), FileError> {
        self.shelves.describe(&file.id, &self.card(file)?)
    }

    /// The sealed description of a draft.
    fn card(&self, file: &StoredFile) -> Result<Vec<u8>, FileError> {
        let wrong = |error| failed(&self.shelves.folder.sidecar_path(&file.id), error);
        let json = serde_json::to_vec(file).map_err(|error| wrong(io::Error::other(error)))?;
        let sealed = self.seal.close(Place(DRAFTS, &[file.id.as_bytes()]), &json);
        sealed.map_err(|error: SealError| wrong(io::Error::other(error)))
    }
}

fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn failed(path: &Path, source: io::Error) -> FileError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FileError::Full { path: path.to_owned() },
        _ => FileError::Io { path: path.to_owned(), source },
    }
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> StoreError {
        match error {
            FileError::Full { path } => StoreError::Full { path },
            FileError::Io { path, source } => StoreError::io(path, source),
            FileError::Store(error) => error,
            FileError::Bucket(error) => StoreError::Bucket(error),
            FileError::ForeignBucket { address } | FileError::ManyOrphans { address, .. } => {
                StoreError::ForeignBucket { address }
            }
            other => StoreError::Content { what: "file", reason: other.to_string() },
        }
    }
}

fn from_store(error: StoreError) -> FileError {
    match error {
        StoreError::Full { path } => FileError::Full { path },
        other => FileError::Store(other),
    }
}

/// How long a bucket is asked again when nobody waits.
const PATIENT: Duration = Duration::from_secs(60);
/// Folder of the drafts.
const DRAFTS: &str = "entrants";
/// Folder of the accepted files.
pub(in crate::intake) const KEPT: &str = "pj";
/// Extension of what says, in a bucket, that a request names a draft.
const RECEIVED: &str = "recu";
/// Extension of a draft's description.
const DESCRIPTION: &str = "fiche";

#[cfg(test)]
mod tests;
