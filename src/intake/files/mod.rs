//! Keeps the files residents send: streamed to disk as drafts, moved to their final place when a submission is accepted.
//!
//! ```text
//! entrants/<32 hex>.part   a draft, private          entrants/<32 hex>.fiche   its name, type, size and hash
//! pj/<2 hex>/<32 hex>      an accepted file
//! ```
//!
//! All of them are sealed while they are written. What a file is, its content says ([`content`]); a picture is made again from
//! its pixels and takes the place of what was sent ([`picture`]), office documents and PDFs are looked into ([`office`],
//! [`pdf`]). Size and hash are those of what is kept.
//!
//! Everything here blocks on the disk, [`FileStore::settle`] apart: an asynchronous caller runs it in
//! `tokio::task::spawn_blocking`.

mod content;
mod name;
mod office;
mod pdf;
mod picture;
mod reading;
mod room;
pub mod scanner;
mod sealed;
mod tidy;
mod unwanted;
mod upgrade;
mod upload;
mod verify;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;

pub use self::content::Content;
pub use self::name::safe_name;
pub use self::reading::Pieces;
pub use self::room::FileCounts;
use self::room::Room;
use self::scanner::{Scanner, ScannerAddress};
use self::sealed::sealed_size;
pub use self::tidy::{Tidied, tidy};
pub use self::unwanted::Unwanted;
pub(in crate::intake) use self::upgrade::seal_folder;
pub use self::upload::{Upload, UploadLimits};
pub use self::verify::{FileTrouble, Reading};
use super::seal::{Place, Seal, SealError};
use super::store::{StoreError, create_private_dir, free_bytes, sync_dir};
use crate::model::submission::StoredFile;

/// The files of one guichet; clones share it.
#[derive(Debug, Clone)]
pub struct FileStore {
    folders: Arc<Folders>,
}

#[derive(Debug)]
struct Folders {
    dir: PathBuf,
    drafts: PathBuf,
    kept: PathBuf,
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
}

impl FileOptions {
    /// No limit but the free space.
    pub fn free(min_free_bytes: u64) -> FileOptions {
        FileOptions { min_free_bytes, max_draft_bytes: u64::MAX, max_kept_bytes: u64::MAX, scanner: None }
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
    /// The store refused to answer.
    #[error(transparent)]
    Store(#[from] StoreError),
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

    /// The same, with limits and an antivirus.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn open_with(dir: &Path, seal: &Seal, options: FileOptions) -> Result<FileStore, FileError> {
        let folders = Folders {
            dir: dir.to_owned(),
            drafts: dir.join(DRAFTS),
            kept: dir.join(KEPT),
            min_free_bytes: options.min_free_bytes,
            seal: seal.clone(),
            room: Room::new(options.max_draft_bytes, options.max_kept_bytes),
            scanner: options.scanner.map(Scanner::new),
        };
        for folder in [&folders.drafts, &folders.kept] {
            create_private_dir(folder).map_err(from_store)?;
        }
        sync_dir(dir).map_err(from_store)?;
        let store = FileStore { folders: Arc::new(folders) };
        store.measure_room()?;
        Ok(store)
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
    /// [`FileError::Io`] when its description cannot be read.
    pub fn draft(&self, id: &str) -> Result<Option<StoredFile>, FileError> {
        if !is_id(id) {
            return Ok(None);
        }
        let path = self.sidecar_path(id);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, error)),
        };
        let plain = self.folders.seal.open(Place(DRAFTS, &[id.as_bytes()]), &bytes);
        let Some(file) = plain.ok().and_then(|plain| serde_json::from_slice::<StoredFile>(&plain).ok()) else {
            return Err(FileError::Damaged { id: id.to_owned() });
        };
        if file.id != id || !(self.draft_path(id).exists() || self.kept_path(id).exists()) {
            return Ok(None);
        }
        self.touch(id)?;
        Ok(Some(file))
    }

    /// Moves drafts to their final place and syncs the folders; already moved is fine. To be called before the submission
    /// that names them is recorded.
    ///
    /// # Errors
    /// [`FileError::Missing`] when a draft has expired, [`FileError::Damaged`] when its size has changed,
    /// [`FileError::Full`] or [`FileError::Io`] otherwise; moved files are then collected as orphans later.
    pub fn accept(&self, files: &[StoredFile]) -> Result<(), FileError> {
        let mut shelves = std::collections::BTreeSet::new();
        for file in files.iter().filter(|file| is_id(&file.id)) {
            let (draft, kept) = (self.draft_path(&file.id), self.kept_path(&file.id));
            let shelf = self.folders.kept.join(&file.id[..2]);
            create_private_dir(&shelf).map_err(from_store)?;
            self.touch(&file.id)?;
            match fs::rename(&draft, &kept) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&kept, error)),
                Err(_) => {}
                Ok(()) => self.folders.room.accepted(file.size),
            }
            match fs::metadata(&kept) {
                Ok(metadata) if metadata.len() == sealed_size(file.size) => shelves.insert(shelf),
                Ok(_) => return Err(FileError::Damaged { id: file.id.clone() }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(FileError::Missing { id: file.id.clone() });
                }
                Err(error) => return Err(failed(&kept, error)),
            };
        }
        if let Some(bad) = files.iter().find(|file| !is_id(&file.id)) {
            return Err(FileError::Missing { id: bad.id.clone() });
        }
        shelves.iter().try_for_each(|shelf| sync_dir(shelf).map_err(from_store))?;
        // Even for a folder that was there: who made it may not have synced its name yet, or have died before.
        if files.is_empty() { Ok(()) } else { sync_dir(&self.folders.kept).map_err(from_store) }
    }

    /// Removes accepted files and their descriptions for good; absent is fine.
    ///
    /// # Errors
    /// [`FileError::Io`] when one remains.
    pub fn remove(&self, ids: &[String]) -> Result<(), FileError> {
        let mut shelves = std::collections::BTreeSet::new();
        for id in ids.iter().filter(|id| is_id(id)) {
            let path = self.kept_path(id);
            let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            if remove_if_there(&path)? {
                self.folders.room.removed(size);
            }
            remove_if_there(&self.sidecar_path(id))?;
            shelves.insert(self.folders.kept.join(&id[..2]));
        }
        shelves.iter().filter(|shelf| shelf.exists()).try_for_each(|shelf| sync_dir(shelf).map_err(from_store))
    }

    /// Starts a draft's life again.
    fn touch(&self, id: &str) -> Result<(), FileError> {
        let path = self.sidecar_path(id);
        let touched = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        match touched {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, error)),
            _ => Ok(()),
        }
    }

    fn draft_path(&self, id: &str) -> PathBuf {
        self.folders.drafts.join(format!("{id}.part"))
    }

    fn sidecar_path(&self, id: &str) -> PathBuf {
        self.folders.drafts.join(format!("{id}.{DESCRIPTION}"))
    }

    fn kept_path(&self, id: &str) -> PathBuf {
        self.folders.kept.join(&id[..2]).join(id)
    }
}

impl Folders {
    /// Writes the description of a draft, sealed.
    fn describe(&self, file: &StoredFile) -> Result<(), FileError> {
        let path = self.drafts.join(format!("{}.{DESCRIPTION}", file.id));
        let wrong = |error| failed(&path, error);
        let json = serde_json::to_vec(file).map_err(|error| wrong(io::Error::other(error)))?;
        let sealed = self.seal.close(Place(DRAFTS, &[file.id.as_bytes()]), &json);
        let sealed = sealed.map_err(|error: SealError| wrong(io::Error::other(error)))?;
        let mut draft = tempfile::NamedTempFile::new_in(&self.drafts).map_err(wrong)?;
        draft.write_all(&sealed).map_err(wrong)?;
        draft.persist(&path).map_err(|error| wrong(error.error))?;
        Ok(())
    }
}

fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn remove_if_there(path: &Path) -> Result<bool, FileError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(path, error)),
    }
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

/// Folder of the drafts.
const DRAFTS: &str = "entrants";
/// Folder of the accepted files.
pub(in crate::intake) const KEPT: &str = "pj";
/// Extension of a draft's description.
const DESCRIPTION: &str = "fiche";

#[cfg(test)]
mod tests;
