//! Copies a guichet while it works, and brings a copy back; never touches what it copies,
//! but for a mark that says when.
//!
//! ```text
//! manifeste.json        what the copy holds, with the BLAKE3 of each file
//! guichet.db   pj/…     as in the data folder, sealed
//! cle                   only when asked for
//! ```

mod manifest;
mod restore;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use thiserror::Error;

use self::manifest::{Entry, MANIFEST, Manifest};
pub use self::restore::{Restored, restore};
use super::files::{FileError, FileStore, FileTrouble, KEPT, Reading};
use super::store::{Damage, FILE, Store, StoreError, create_private_dir, examine, sync_dir};
use super::token::KEY_FILE;

/// Why a copy is not made, or not brought back.
#[derive(Debug, Error)]
pub enum BackupError {
    /// There is something already.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// It would be inside of what is copied.
    #[error("{} is inside of the data folder", path.display())]
    Inside {
        /// The destination.
        path: PathBuf,
    },
    /// No manifest, or one that cannot be read.
    #[error("{} is not a backup: {reason}", path.display())]
    NotABackup {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the copy has changed, or is gone.
    #[error("{} has changed since the backup was made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The key is nowhere: neither given, nor in the copy, nor at its place.
    #[error("no key for {}", path.display())]
    KeyMissing {
        /// The copy.
        path: PathBuf,
    },
    /// The disk refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<FileError> for BackupError {
    fn from(error: FileError) -> Self {
        BackupError::Store(error.into())
    }
}

/// What was copied, and what was found wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// Submissions in the copy.
    pub submissions: u64,
    /// Files in the copy, the database apart.
    pub files: usize,
    /// Bytes in all.
    pub bytes: u64,
    /// Values that were already damaged.
    pub damaged: Vec<Damage>,
    /// Files that were already missing or damaged.
    pub troubles: Vec<FileTrouble>,
    /// Why it is not known whether they were: the copy is whole, but the bucket failed when it was read again.
    pub unjudged: Option<String>,
}

/// Copies the guichet of `data` into `destination`, which must not exist or be empty, with its key when `key_file` is given.
///
/// The database is copied as it is at one instant, then the files it names, from wherever they are kept; all is synced before the copy appears under its
/// name. Submissions come in meanwhile as ever.
///
/// # Errors
/// [`BackupError`]; nothing then appears at the destination.
pub fn back_up(
    (store, files): (&Store, &FileStore),
    data: &Path,
    destination: &Path,
    key_file: Option<&Path>,
    now: Timestamp,
) -> Result<BackedUp, BackupError> {
    if is_inside(destination, data) {
        return Err(BackupError::Inside { path: destination.to_owned() });
    }
    if !is_empty(destination)? {
        return Err(BackupError::NotEmpty { path: destination.to_owned() });
    }
    let parent = destination.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_private_dir(parent)?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let staging = tempfile::Builder::new().prefix(".mulot-sauvegarde-").tempdir_in(parent);
        let staging = staging.map_err(|source| BackupError::Io { path: parent.to_owned(), source })?;
        // The last time, what a purge takes away is let go: the restored purge takes its row away too.
        let Some((mut manifest, submissions)) = gather((store, files), staging.path(), attempt >= ATTEMPTS)? else {
            continue;
        };
        if let Some(key_file) = key_file {
            manifest.key = Some(copy_file(key_file, &staging.path().join(KEY_FILE))?);
        }
        manifest.made_at = now;
        manifest.write(&staging.path().join(MANIFEST))?;
        sync_dir(staging.path())?;
        let staging = staging.keep();
        // Over a folder that is there and empty, a rename works; over anything else, it fails.
        fs::rename(&staging, destination)
            .map_err(|source| BackupError::Io { path: destination.to_owned(), source })
            .inspect_err(|_| drop(fs::remove_dir_all(&staging)))?;
        sync_dir(parent)?;
        // Says when to who looks at the state of the guichet.
        let mark = data.join(MARK);
        match fs::write(&mark, format!("{now}\n")) {
            // The copy is made, and needed: the disk is going.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            marked => marked.map_err(|source| failed(&mark, source))?,
        }
        let (troubles, unjudged) = match files.verify(store, Reading::Contents) {
            Err(FileError::Bucket(error)) => (Vec::new(), Some(error.to_string())),
            Err(FileError::ForeignBucket { address }) => {
                (Vec::new(), Some(format!("« {address} » n'est pas le seau de ce guichet")))
            }
            troubles => (troubles?, None),
        };
        return Ok(BackedUp {
            submissions,
            files: manifest.files.len(),
            bytes: manifest.database.size + manifest.files.values().map(|entry| entry.size).sum::<u64>(),
            damaged: store.damaged()?,
            troubles,
            unjudged,
        });
    }
}

/// Copies the database and its files; `None` when a purge took one of them away in between.
fn gather(
    (store, files): (&Store, &FileStore),
    staging: &Path,
    lets_go: bool,
) -> Result<Option<(Manifest, u64)>, BackupError> {
    let database = staging.join(FILE);
    store.copy_to(&database)?;
    let copied = examine(&database)?;
    let mut manifest = Manifest::new(hash_file(&database)?);
    let kept = staging.join(KEPT);
    create_private_dir(&kept)?;
    for id in &copied.files {
        let Some(shelf) = id.get(..2) else { continue };
        let name = format!("{KEPT}/{shelf}/{id}");
        create_private_dir(&kept.join(shelf))?;
        match files.sealed_bytes(id)? {
            Some(source) => {
                let entry = copy(source, &staging.join(&name), |error| files.unread(id, error).into())?;
                manifest.files.insert(name, entry);
            }
            // It is lost: the copy is made all the same, and says so.
            None => {
                if !lets_go && !store.knows_file(id)? {
                    return Ok(None);
                }
                manifest.lost.insert(name);
            }
        }
    }
    for shelf in fs::read_dir(&kept).map_err(|source| failed(&kept, source))?.flatten() {
        sync_dir(&shelf.path())?;
    }
    sync_dir(&kept)?;
    Ok(Some((manifest, copied.submissions)))
}

/// Copies one file, private and synced, and gives what the manifest says of it.
fn copy_file(from: &Path, to: &Path) -> Result<Entry, BackupError> {
    let source = File::open(from).map_err(|error| failed(from, error))?;
    copy(source, to, |error| failed(from, error))
}

/// The same from what is already open; `unread` says what a failure of reading it is.
fn copy(mut source: impl Read, to: &Path, unread: impl Fn(io::Error) -> BackupError) -> Result<Entry, BackupError> {
    let target = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to);
    let mut target = target.map_err(|error| failed(to, error))?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let length = source.read(&mut piece).map_err(&unread)?;
        if length == 0 {
            break;
        }
        hasher.update(&piece[..length]);
        target.write_all(&piece[..length]).map_err(|error| failed(to, error))?;
        size += length as u64;
    }
    target.sync_all().map_err(|error| failed(to, error))?;
    Ok(Entry { size, blake3: hasher.finalize().to_hex().to_string() })
}

fn hash_file(path: &Path) -> Result<Entry, BackupError> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(|error| failed(path, error))?;
    hasher.update_reader(file).map_err(|error| failed(path, error))?;
    Ok(Entry { size: hasher.count(), blake3: hasher.finalize().to_hex().to_string() })
}

/// When the guichet of a data folder was last copied; `None`: never, or by other means.
pub fn last_made(data: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(data.join(MARK)).and_then(|metadata| metadata.modified()).ok()?;
    Timestamp::try_from(modified).ok()
}

/// Whether a folder is the copy of a guichet.
pub fn is_backup(folder: &Path) -> bool {
    folder.join(MANIFEST).is_file()
}

/// Whether there is nothing at this path, or an empty folder.
fn is_empty(path: &Path) -> Result<bool, BackupError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(failed(path, error)),
    }
}

/// Whether a path, of which the end may not exist yet, leads into `data`.
pub fn is_inside(path: &Path, data: &Path) -> bool {
    let (Ok(whole), Ok(data)) = (std::path::absolute(path), data.canonicalize()) else { return false };
    let there = whole.ancestors().find_map(|above| above.canonicalize().ok());
    there.is_some_and(|there| there.starts_with(&data))
}

fn failed(path: &Path, source: io::Error) -> BackupError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BackupError::Store(StoreError::Full { path: path.to_owned() })
        }
        _ => BackupError::Io { path: path.to_owned(), source },
    }
}

/// Touched in the data folder each time a copy was made.
pub const MARK: &str = "derniere-sauvegarde";
/// A backup older than this is told.
pub const OLD_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often a copy is begun again when a purge removes files under it.
const ATTEMPTS: u32 = 3;
