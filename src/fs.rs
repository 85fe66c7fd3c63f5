//! The only file calls of the build: every error carries its path, and says its cause in French.

mod cause;

use std::io;
use std::path::{Path, PathBuf};

pub use cause::{cause, cause_of_words};

/// A call to the file system that failed, with the path it was about.
#[derive(Debug, thiserror::Error)]
#[error("{action} « {path} » : {why}", path = path.display(), why = cause(source))]
pub struct FsError {
    /// What was tried, in French: « lire », « écrire ».
    pub action: &'static str,
    /// The path it was about.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl FsError {
    /// « impossible d'écrire « site/index.html » : il n'y a plus de place sur ce disque […] ».
    pub fn sentence(&self) -> String {
        let elided = self.action.starts_with(['a', 'e', 'é', 'i', 'o', 'u']);
        format!("impossible {}{self}", if elided { "d'" } else { "de " })
    }
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

/// Writes a whole file through a temporary one beside it, so that nobody ever reads half of it; its owner alone may.
///
/// # Errors
/// [`FsError`] when the folder cannot be made, or the file not written or renamed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_through(path, bytes, &mut tempfile::Builder::new())
}

/// The same for a file that others read: it has the rights that this account gives its new files (`umask`).
///
/// # Errors
/// [`FsError`] when the folder cannot be made, or the file not written or renamed.
pub fn write_atomic_for_all(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    write_through(path, bytes, tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o666)))
}

fn write_through(path: &Path, bytes: &[u8], builder: &mut tempfile::Builder<'_, '_>) -> Result<()> {
    use std::io::Write;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_dir(parent)?;
    let mut file = builder.tempfile_in(parent).map_err(failed("écrire", path))?;
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
/// [`FsError`] on the path that is at fault.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy(from, to)
}

/// Copies a file.
///
/// # Errors
/// [`FsError`] on the path that is at fault: the source when it cannot be read, else the target.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(|_| ()).map_err(|error| match std::fs::File::open(from) {
        Err(source) => failed("lire", from)(source),
        Ok(_) => failed("copier vers", to)(error),
    })
}

/// Puts a folder in the place of another, and that one in its place, so that a reader sees one or the other whole.
///
/// # Errors
/// [`FsError`]; both stay where they were.
pub fn exchange(staging: &Path, dest: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, staging, CWD, dest, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    // File systems without exchange (NFS, ZFS, FUSE): two renames, a visitor may meet the instant between.
    let aside = staging.with_extension("ancien");
    remove(&aside)?;
    rename(dest, &aside)?;
    if let Err(error) = rename(staging, dest) {
        rename(&aside, dest)?;
        return Err(error);
    }
    rename(&aside, staging)
}

/// Waits until all that was written to the disk of a folder is on it.
///
/// # Errors
/// [`FsError`] when the folder cannot be opened or the disk answers badly.
pub fn sync_disk_of(folder: &Path) -> Result<()> {
    let file = std::fs::File::open(folder).map_err(failed("écrire", folder))?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&file).map_err(|error| failed("écrire", folder)(error.into()))?;
    #[cfg(not(target_os = "linux"))]
    file.sync_all().map_err(failed("écrire", folder))?;
    Ok(())
}

/// Adds a line to a file and waits until it is on the disk.
///
/// # Errors
/// [`FsError`] when it cannot be opened or written.
pub fn append_line(path: &Path, line: &str) -> Result<()> {
    use std::io::Write;
    let written = std::fs::OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| {
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    });
    written.map_err(failed("écrire", path))
}

/// A file or a folder found by [`walk`].
#[derive(Debug, Clone)]
pub struct Found {
    /// Path relative to the root, `/` separated.
    pub relative: String,
    /// Absolute or as reached from the root given.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// What tells that it was touched.
    pub stamp: Stamp,
}

/// What a file system says of a file, that changes whenever its bytes may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Nanoseconds since 1970 when its bytes were last written.
    pub modified_ns: i128,
    /// Nanoseconds since 1970 when anything of it last changed, its times included: nobody sets this one.
    pub changed_ns: i128,
    /// Which file it is on its disk.
    pub inode: u64,
}

impl Stamp {
    #[cfg(unix)]
    fn of(metadata: &std::fs::Metadata) -> Stamp {
        use std::os::unix::fs::MetadataExt;
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Stamp {
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    #[cfg(not(unix))]
    fn of(metadata: &std::fs::Metadata) -> Stamp {
        let since = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).ok();
        let ns = metadata.modified().ok().and_then(since).map_or(0, |since| since.as_nanos() as i128);
        Stamp { modified_ns: ns, changed_ns: ns, inode: 0 }
    }
}

/// Names of the folders directly in `root`, in order, hidden ones (`.x`, `_x`, `~x`) left out; those whose name is not UTF-8 too.
/// A link that leads nowhere is one of them: a folder was meant.
///
/// # Errors
/// [`FsError`] when `root` cannot be read.
pub fn folders(root: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(root).map_err(failed("lire", root))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("lire", root))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        if !name.starts_with(['.', '_', '~']) && (path.is_dir() || path.is_symlink() && !path.exists()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Feeds a hasher with a file's name and what tells that it has changed.
pub fn feed(relative: &str, size: u64, stamp: &Stamp, hasher: &mut blake3::Hasher) {
    hasher.update(&(relative.len() as u64).to_le_bytes()).update(relative.as_bytes()).update(&size.to_le_bytes());
    hasher.update(&stamp.modified_ns.to_le_bytes()).update(&stamp.changed_ns.to_le_bytes());
    hasher.update(&stamp.inode.to_le_bytes());
}

/// What [`walk`] found below a folder.
#[derive(Debug, Default)]
pub struct Walk {
    /// Files, in order of path.
    pub files: Vec<Found>,
    /// Folders, the root among them, in order of path: moving something in or out of one changes its stamp, even when what is
    /// moved keeps its own.
    pub folders: Vec<Found>,
    /// What could not be gone through.
    pub troubles: Vec<WalkTrouble>,
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
    /// A symbolic link that leads out of the folder; path relative to the root and where it leads.
    Outside(String, PathBuf),
}

/// Every file and folder below `root`, hidden ones (`.x`, `_x`) left out.
///
/// Symbolic links are followed within `bounds`, a folder that holds `root`: what lies outside was not put there to be
/// published.
pub fn walk(root: &Path, bounds: &Path) -> Walk {
    let Walk { mut files, mut folders, mut troubles } = Walk::default();
    let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !matches!(entry.file_name().as_encoded_bytes().first(), Some(b'.' | b'_' | b'~'))
    };
    let found = |entry: walkdir::DirEntry| {
        let (size, stamp) = entry.metadata().map_or_else(|_| Default::default(), |data| (data.len(), Stamp::of(&data)));
        Found { relative: relative(entry.path()), path: entry.into_path(), size, stamp }
    };
    let bounds = bounds.canonicalize().unwrap_or_else(|_| bounds.to_owned());
    let mut entries = walkdir::WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible);
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) if entry.depth() > 0 && entry.path_is_symlink() && leads_out(entry.path(), &bounds).is_some() => {
                let target = leads_out(entry.path(), &bounds).unwrap_or_default();
                troubles.push(WalkTrouble::Outside(relative(entry.path()), target));
                if entry.file_type().is_dir() {
                    entries.skip_current_dir();
                }
            }
            Ok(entry) if entry.file_type().is_dir() => folders.push(found(entry)),
            Ok(entry) if entry.file_type().is_file() => {
                if entry.path().strip_prefix(root).is_ok_and(|path| path.to_str().is_none()) {
                    troubles.push(WalkTrouble::BadName(relative(entry.path())));
                    continue;
                }
                files.push(found(entry));
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
    files.sort_by(|a, b| a.relative.cmp(&b.relative));
    folders.sort_by(|a, b| a.relative.cmp(&b.relative));
    Walk { files, folders, troubles }
}

/// Where a link leads, when that is outside of `bounds`.
fn leads_out(link: &Path, bounds: &Path) -> Option<PathBuf> {
    link.canonicalize().ok().filter(|target| !target.starts_with(bounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_is_a_french_sentence() {
        let error = |action| FsError { action, path: "a".into(), source: io::Error::from_raw_os_error(28) };
        assert!(error("écrire").sentence().starts_with("impossible d'écrire « a » : il n'y a plus de place"));
        assert!(error("lire").sentence().starts_with("impossible de lire « a »"));
    }

    #[test]
    fn a_copy_names_the_file_that_is_gone() {
        let root = tempfile::tempdir().expect("a folder");
        let (from, to) = (root.path().join("a.pdf"), root.path().join("absent/b.pdf"));
        let gone = copy(&from, &to).expect_err("no source");
        assert_eq!((gone.action, gone.path.as_path()), ("lire", from.as_path()));
        std::fs::write(&from, "%PDF").expect("a file");
        assert_eq!(copy(&from, &to).expect_err("no folder").path, to);
    }

    #[test]
    fn links_stay_within_bounds() {
        let root = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (root.path().join("dedans"), root.path().join("dehors"));
        for folder in [&inside, &outside] {
            std::fs::create_dir(folder).expect("a folder");
            std::fs::write(folder.join("a.pdf"), "%PDF").expect("a file");
        }
        for (from, to) in [("dedans/a.pdf", "b.pdf"), ("dehors/a.pdf", "c.pdf"), ("dehors", "tout")] {
            std::os::unix::fs::symlink(root.path().join(from), inside.join(to)).expect("a link");
        }
        let names = |bounds| {
            let Walk { files, troubles, .. } = walk(&inside, bounds);
            (files.into_iter().map(|file| file.relative).collect::<Vec<_>>(), troubles.len())
        };
        assert_eq!(names(&inside), (vec!["a.pdf".to_owned(), "b.pdf".to_owned()], 2));
        assert_eq!(names(root.path()).1, 0);
    }
}
