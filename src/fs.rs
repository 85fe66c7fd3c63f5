//! The only file calls of the build: every error carries its path.

use std::io;
use std::path::{Path, PathBuf};

/// A call to the file system that failed, with the path it was about.
#[derive(Debug, thiserror::Error)]
#[error("{action} « {path} » : {source}", path = path.display())]
pub struct FsError {
    /// What was tried, in French: « lire », « écrire ».
    pub action: &'static str,
    /// The path it was about.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// Result of a file call.
pub type Result<T> = std::result::Result<T, FsError>;

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FsError {
    let path = path.to_owned();
    move |source| FsError { action, path, source }
}

/// The bytes of a file.
///
/// # Errors
/// [`FsError`] when it cannot be opened or read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(failed("lire", path))
}

/// Writes a whole file through a temporary one beside it, so that nobody ever reads half of it.
///
/// # Errors
/// [`FsError`] when the folder cannot be made, or the file not written or renamed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let parent = path.parent().unwrap_or(Path::new("."));
    create_dir(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(failed("écrire", path))?;
    file.write_all(bytes).map_err(failed("écrire", path))?;
    file.persist(path).map_err(|error| FsError { action: "écrire", path: path.to_owned(), source: error.error })?;
    Ok(())
}

/// Writes a file where nobody reads yet.
///
/// # Errors
/// [`FsError`] when it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(failed("écrire", path))
}

/// Makes a folder and those above it.
///
/// # Errors
/// [`FsError`] when it cannot be made.
pub fn create_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(failed("créer le dossier", path))
}

/// Removes a file or a whole folder; absent is fine.
///
/// # Errors
/// [`FsError`] when something of it remains.
pub fn remove(path: &Path) -> Result<()> {
    let done = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("supprimer", path)(error)),
        _ => Ok(()),
    }
}

/// Renames a file or a folder.
///
/// # Errors
/// [`FsError`] on the target's path.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(failed("renommer", to))
}

/// Makes `to` the same file as `from`, or a copy where hard links are impossible.
///
/// # Errors
/// [`FsError`] on the target's path.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy(from, to)
}

/// Copies a file.
///
/// # Errors
/// [`FsError`] on the target's path.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(|_| ()).map_err(failed("copier vers", to))
}

/// A file found by [`walk`].
#[derive(Debug, Clone)]
pub struct Found {
    /// Path relative to the root, `/` separated.
    pub relative: String,
    /// Absolute or as reached from the root given.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

/// What [`walk`] could not go through.
#[derive(Debug)]
pub enum WalkTrouble {
    /// A symbolic link leads back to a folder above it; path relative to the root.
    Loop(String),
    /// A folder or file that cannot be read; path relative to the root and cause.
    Unreadable(String, io::Error),
    /// A name that is not UTF-8; the name with replacement characters.
    BadName(String),
}

/// Every file below `root` in order of path, hidden ones (`.x`, `_x`) left out, symbolic links followed.
pub fn walk(root: &Path) -> (Vec<Found>, Vec<WalkTrouble>) {
    let (mut found, mut troubles) = (Vec::new(), Vec::new());
    let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !matches!(entry.file_name().as_encoded_bytes().first(), Some(b'.' | b'_' | b'~'))
    };
    for entry in walkdir::WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                if entry.path().strip_prefix(root).is_ok_and(|path| path.to_str().is_none()) {
                    troubles.push(WalkTrouble::BadName(relative(entry.path())));
                    continue;
                }
                let size = entry.metadata().map_or(0, |metadata| metadata.len());
                found.push(Found { relative: relative(entry.path()), path: entry.into_path(), size });
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().map_or_else(String::new, relative);
                if error.loop_ancestor().is_some() {
                    troubles.push(WalkTrouble::Loop(path));
                } else {
                    let cause = error.into_io_error().unwrap_or_else(|| io::Error::other("illisible"));
                    troubles.push(WalkTrouble::Unreadable(path, cause));
                }
            }
        }
    }
    found.sort_by(|a, b| a.relative.cmp(&b.relative));
    (found, troubles)
}
