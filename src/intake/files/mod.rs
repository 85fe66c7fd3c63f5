//! Keeps the files residents send: streamed to disk as drafts, moved to their final place when a submission is accepted.
//!
//! ```text
//! entrants/<32 hex>.part   a draft, private          entrants/<32 hex>.fiche   its name, type, size and hash
//! pj/<2 hex>/<32 hex>      an accepted file
//! ```
//!
//! All of them are sealed while they are written; size and hash are those of what the resident sent.
//!
//! Everything here blocks on the disk: an asynchronous caller runs it in `tokio::task::spawn_blocking`.

mod name;
mod sealed;
mod tidy;
mod upgrade;
mod verify;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;

pub use self::name::{format_of, media_type, safe_name};
use self::sealed::{ReadFault, SealedWriter, open_pieces, sealed_size};
pub use self::tidy::{Tidied, tidy};
pub(in crate::intake) use self::upgrade::seal_folder;
pub use self::verify::{FileTrouble, Reading};
use super::seal::{Place, Seal, SealError};
use super::store::{StoreError, create_private_dir, free_bytes, sync_dir};
use crate::model::form::FileFormat;
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
}

/// What an upload may be.
#[derive(Debug, Clone)]
pub struct UploadLimits {
    /// Bytes, at most.
    pub max_bytes: u64,
    /// Formats the question accepts.
    pub formats: Vec<FileFormat>,
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
    /// A format the question does not accept; [`None`] when it is not one we know.
    #[error("format not accepted: {found:?}")]
    Format {
        /// What the content is.
        found: Option<FileFormat>,
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

/// A file on its way in; dropped before [`Upload::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    store: FileStore,
    id: String,
    path: PathBuf,
    /// `None` once finished.
    out: Option<SealedWriter<File>>,
    raw_name: String,
    limits: UploadLimits,
    hasher: blake3::Hasher,
    head: Vec<u8>,
    size: u64,
    is_finished: bool,
}

impl FileStore {
    /// Opens the file store of the guichet's folder, making its folders; `seal` is that of the store beside it.
    ///
    /// No upload begins when fewer than `min_free_bytes` are free.
    ///
    /// # Errors
    /// [`FileError::Full`] or [`FileError::Io`] when a folder cannot be made.
    pub fn open(dir: &Path, seal: &Seal, min_free_bytes: u64) -> Result<FileStore, FileError> {
        let folders = Folders {
            dir: dir.to_owned(),
            drafts: dir.join(DRAFTS),
            kept: dir.join(KEPT),
            min_free_bytes,
            seal: seal.clone(),
        };
        for folder in [&folders.drafts, &folders.kept] {
            create_private_dir(folder).map_err(from_store)?;
        }
        sync_dir(dir).map_err(from_store)?;
        Ok(FileStore { folders: Arc::new(folders) })
    }

    /// Begins an upload under an id that cannot be guessed.
    ///
    /// # Errors
    /// [`FileError::Full`] when space is short, [`FileError::Io`] when the draft cannot be made.
    pub fn begin(&self, raw_name: &str, limits: UploadLimits) -> Result<Upload, FileError> {
        if free_bytes(&self.folders.dir).map_err(from_store)? < self.folders.min_free_bytes {
            return Err(FileError::Full { path: self.folders.dir.clone() });
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| failed(&self.folders.drafts, io::Error::other(error)))?;
        let id = data_encoding::HEXLOWER.encode(&random);
        let path = self.draft_path(&id);
        let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| failed(&path, error))?;
        let out = SealedWriter::new(&self.folders.seal, &id, file).map_err(|error| failed(&path, error))?;
        Ok(Upload {
            store: self.clone(),
            id,
            path,
            out: Some(out),
            raw_name: raw_name.to_owned(),
            limits,
            hasher: blake3::Hasher::new(),
            head: Vec::with_capacity(HEAD),
            size: 0,
            is_finished: false,
        })
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
                _ => {}
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

    /// The bytes of an accepted file, checked against its seal, size and hash.
    ///
    /// # Errors
    /// [`FileError::Missing`], [`FileError::Damaged`], or [`FileError::Io`].
    pub fn read(&self, file: &StoredFile) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0).min(64 << 20));
        self.pieces(file, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Gives an accepted file to `take` piece after piece; what was given before an error must be thrown away.
    fn pieces(&self, file: &StoredFile, mut take: impl FnMut(&[u8])) -> Result<(), FileError> {
        let missing = || FileError::Missing { id: file.id.clone() };
        let damaged = || FileError::Damaged { id: file.id.clone() };
        if !is_id(&file.id) {
            return Err(missing());
        }
        let path = self.kept_path(&file.id);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            opened => opened.map_err(|error| failed(&path, error))?,
        };
        // Before the first byte: no more memory than the file that was received ever took.
        if opened.metadata().map_err(|error| failed(&path, error))?.len() != sealed_size(file.size) {
            return Err(damaged());
        }
        let mut hasher = blake3::Hasher::new();
        let read = open_pieces(&self.folders.seal, &file.id, opened, |piece| {
            hasher.update(piece);
            take(piece);
        });
        match read {
            Err(ReadFault::Io(error)) => Err(failed(&path, error)),
            Err(ReadFault::Broken) => Err(damaged()),
            Ok(()) if hasher.finalize().to_hex().as_str() != file.hash => Err(damaged()),
            Ok(()) => Ok(()),
        }
    }

    /// Removes accepted files and their descriptions for good; absent is fine.
    ///
    /// # Errors
    /// [`FileError::Io`] when one remains.
    pub fn remove(&self, ids: &[String]) -> Result<(), FileError> {
        let mut shelves = std::collections::BTreeSet::new();
        for id in ids.iter().filter(|id| is_id(id)) {
            remove_if_there(&self.kept_path(id))?;
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

impl Upload {
    /// Adds bytes.
    ///
    /// # Errors
    /// [`FileError::TooLarge`] as soon as the limit is passed, [`FileError::Format`] as soon as the first bytes show a format
    /// that is not accepted, [`FileError::Full`] or [`FileError::Io`].
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), FileError> {
        let size = self.size.saturating_add(chunk.len() as u64);
        if size > self.limits.max_bytes {
            return Err(FileError::TooLarge { max_bytes: self.limits.max_bytes });
        }
        if self.head.len() < HEAD {
            let missing = (HEAD - self.head.len()).min(chunk.len());
            self.head.extend_from_slice(&chunk[..missing]);
            if self.head.len() == HEAD {
                self.format()?;
            }
        }
        self.hasher.update(chunk);
        let out = self.out.as_mut().ok_or_else(|| failed(&self.path, io::ErrorKind::BrokenPipe.into()))?;
        out.write(chunk).map_err(|error| failed(&self.path, error))?;
        self.size = size;
        Ok(())
    }

    /// Ends the upload: the file is synced and can be found again by its id.
    ///
    /// # Errors
    /// [`FileError::Empty`], [`FileError::Format`], [`FileError::Full`] or [`FileError::Io`]; nothing then remains.
    pub fn finish(mut self) -> Result<StoredFile, FileError> {
        if self.size == 0 {
            return Err(FileError::Empty);
        }
        let format = self.format()?;
        let out = self.out.take().ok_or_else(|| failed(&self.path, io::ErrorKind::BrokenPipe.into()))?;
        out.finish().and_then(|file| file.sync_all()).map_err(|error| failed(&self.path, error))?;
        let file = StoredFile {
            id: self.id.clone(),
            name: safe_name(&self.raw_name, format),
            media_type: media_type(format).to_owned(),
            size: self.size,
            hash: self.hasher.finalize().to_hex().to_string(),
        };
        self.store.folders.describe(&file)?;
        self.is_finished = true;
        Ok(file)
    }

    fn format(&self) -> Result<FileFormat, FileError> {
        match format_of(&self.head) {
            Some(format) if self.limits.formats.contains(&format) => Ok(format),
            found => Err(FileError::Format { found }),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed now is swept later.
            let _ = fs::remove_file(&self.path);
        }
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
/// First bytes kept to find the format: longer than any signature, and than the blanks allowed before one.
const HEAD: usize = 64;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PDF: &[u8] = b"%PDF-1.7\nbonjour\n%%EOF\n";

    fn store() -> (tempfile::TempDir, FileStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path(), &Seal::from_master(&[7; 32]), 0).unwrap();
        (dir, store)
    }

    fn limits(max_bytes: u64) -> UploadLimits {
        UploadLimits { max_bytes, formats: vec![FileFormat::Pdf, FileFormat::Jpg] }
    }

    fn upload(store: &FileStore, name: &str, bytes: &[u8]) -> Result<StoredFile, FileError> {
        let mut upload = store.begin(name, limits(1 << 20))?;
        bytes.chunks(7).try_for_each(|chunk| upload.write(chunk))?;
        upload.finish()
    }

    fn draft_count(store: &FileStore) -> usize {
        fs::read_dir(&store.folders.drafts).unwrap().count()
    }

    #[test]
    fn a_file_is_found_again_then_kept_then_read_back() {
        let (dir, store) = store();
        let file = upload(&store, "../Plan du terrain.PDF", PDF).unwrap();
        assert_eq!((file.name.as_str(), file.media_type.as_str()), ("Plan du terrain.pdf", "application/pdf"));
        assert_eq!(file.size, PDF.len() as u64);
        assert_eq!(store.draft(&file.id).unwrap().as_ref(), Some(&file));
        let mode = fs::metadata(store.draft_path(&file.id)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        store.accept(std::slice::from_ref(&file)).unwrap();
        let kept = dir.path().join("pj").join(&file.id[..2]).join(&file.id);
        assert!(kept.is_file());
        assert_eq!(store.read(&file).unwrap(), PDF);
        store.accept(std::slice::from_ref(&file)).unwrap();
        assert_eq!(store.draft(&file.id).unwrap(), Some(file.clone()), "a second press still finds it");
        store.remove(std::slice::from_ref(&file.id)).unwrap();
        assert!(matches!(store.read(&file), Err(FileError::Missing { .. })));
        assert_eq!(draft_count(&store), 0);
    }

    #[test]
    fn what_is_refused_leaves_nothing_behind() {
        let (_dir, store) = store();
        let mut large = store.begin("a.pdf", limits(10)).unwrap();
        large.write(b"%PDF-1.7\n").unwrap();
        assert!(matches!(large.write(b"ab"), Err(FileError::TooLarge { max_bytes: 10 })));
        drop(large);
        assert!(matches!(upload(&store, "vide.pdf", b""), Err(FileError::Empty)));
        assert!(matches!(upload(&store, "virus.pdf", b"MZ\x90\0"), Err(FileError::Format { found: None })));
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        assert!(matches!(upload(&store, "a.png", png), Err(FileError::Format { found: Some(FileFormat::Png) })));
        let mut early = store.begin("a.pdf", limits(1 << 20)).unwrap();
        assert!(matches!(early.write(&[b'x'; 100]), Err(FileError::Format { .. })), "refused before it is all sent");
        drop(early);
        assert_eq!(draft_count(&store), 0);
    }

    #[test]
    fn no_upload_begins_without_space() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path(), &Seal::from_master(&[7; 32]), u64::MAX).unwrap();
        assert!(matches!(store.begin("a.pdf", limits(10)), Err(FileError::Full { .. })));
    }

    #[test]
    fn a_changed_file_is_not_given_back() {
        let (_dir, store) = store();
        let file = upload(&store, "a.pdf", PDF).unwrap();
        store.accept(std::slice::from_ref(&file)).unwrap();
        let mut changed = PDF.to_vec();
        changed[12] ^= 1;
        fs::write(store.kept_path(&file.id), changed).unwrap();
        assert!(matches!(store.read(&file), Err(FileError::Damaged { .. })));
    }

    #[test]
    fn ids_are_never_paths() {
        let (_dir, store) = store();
        for id in ["", "../../../../etc/passwd", "0123", "é", &"A".repeat(32), &"/".repeat(32), &"é".repeat(16)] {
            assert_eq!(store.draft(id).unwrap(), None, "{id:?}");
            let file = StoredFile {
                id: id.into(),
                name: "a.pdf".into(),
                media_type: "application/pdf".into(),
                size: 1,
                hash: String::new(),
            };
            assert!(matches!(store.read(&file), Err(FileError::Missing { .. })));
            assert!(matches!(store.accept(&[file]), Err(FileError::Missing { .. })));
            store.remove(&[id.to_owned()]).unwrap();
        }
    }
}
