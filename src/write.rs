//! Puts an output on disk, whole or not at all.
//!
//! The site is prepared in a folder beside the public one, files that did not change being the same inode, then the two
//! folders are exchanged in one step: a visitor sees the old site or the new one, never half of each. The folder left behind
//! is the previous site; the next build reuses it, so that only what changed is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fs::{self, FsError};
use crate::model::output::Artifact;
use crate::model::site::FileData;

/// Why an output could not be put on disk. The public folder is then what it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file or folder could not be written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The destination would be inside the author's folder, or the author's folder inside it.
    #[error("la sortie « {} » et le dossier de la commune ne peuvent pas être l'un dans l'autre", .0.display())]
    InsideSource(PathBuf),
    /// The destination is something that we did not make.
    #[error("« {} » existe déjà et n'est pas un site construit par Mulot", .0.display())]
    NotOurs(PathBuf),
}

/// What writing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Files of the site.
    pub files: usize,
    /// Bytes of the site.
    pub bytes: u64,
    /// Files written anew.
    pub changed: usize,
    /// Files that are gone.
    pub removed: usize,
}

/// Whether a folder is a site that we built.
pub fn is_site(folder: &Path) -> bool {
    folder.join(MARK).is_file()
}

/// Marks a folder as ours, so that nothing else is ever replaced.
const MARK: &str = ".mulot";

/// A site being prepared beside the public one: files are put in it as they are drawn, from any thread, and nobody sees it
/// before [`Staging::publish`]. Dropped without it, the public site stays what it was.
pub struct Staging {
    dest: PathBuf,
    folder: PathBuf,
    /// Whether a site stands at `dest`.
    live: bool,
    /// Whether `folder` was made for this build: nothing of an older site is in it.
    fresh: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, (Outcome, u64)>,
    folders: BTreeSet<String>,
    /// The first thing that failed; what follows it is not tried.
    failed: Option<FsError>,
}

impl Staging {
    /// Makes ready to publish at `dest` the site of the commune's folder `source`.
    ///
    /// # Errors
    /// [`WriteError`]: a destination that is not ours or touches the author's folder, a folder that cannot be made.
    pub fn open(dest: &Path, source: &Path) -> Result<Self, WriteError> {
        keep_apart(dest, source)?;
        let live = dest.is_dir();
        if live && !dest.join(MARK).exists() && !is_empty(dest) {
            return Err(WriteError::NotOurs(dest.to_owned()));
        }
        if !live && dest.exists() {
            return Err(WriteError::NotOurs(dest.to_owned()));
        }
        let folder = staging_of(dest);
        if folder.exists() && !folder.join(MARK).exists() {
            fs::remove(&folder)?;
        }
        let fresh = !folder.exists();
        fs::create_dir(&folder)?;
        fs::write(&folder.join(MARK), b"")?;
        Ok(Staging { dest: dest.to_owned(), folder, live, fresh, state: Mutex::default() })
    }

    /// Puts a file in; a failure is told by [`Staging::publish`].
    pub fn put(&self, path: &str, artifact: &Artifact) {
        let done = self.make_folder_of(path).and_then(|ready| {
            if !ready {
                return Ok(None);
            }
            let live = self.live.then(|| self.dest.join(path));
            stage_file(artifact, live, &self.folder.join(path), self.fresh).map(Some)
        });
        let mut state = self.state();
        match done {
            Ok(Some(outcome)) => {
                state.files.insert(path.to_owned(), outcome);
            }
            Ok(None) => {}
            Err(error) => {
                state.failed.get_or_insert(error);
            }
        }
    }

    /// Puts the site in the place of the one that stood there.
    ///
    /// # Errors
    /// [`WriteError`]: the first file that could not be written, or the exchange; the public folder is untouched.
    pub fn publish(self) -> Result<Written, WriteError> {
        let mut state = std::mem::take(&mut *self.state());
        if let Some(failed) = state.failed.take() {
            return Err(failed.into());
        }
        let files = state.files;
        let mut written = Written { files: files.len(), ..Written::default() };
        for (outcome, bytes) in files.values() {
            written.bytes += bytes;
            written.changed += usize::from(matches!(outcome, Outcome::Changed));
        }
        let others_of = |folder: &Path, wanted: bool| match wanted {
            true => files_of(folder).into_iter().filter(|path| !files.contains_key(path)).collect(),
            false => Vec::new(),
        };
        let (stale, gone) = rayon::join(|| others_of(&self.folder, !self.fresh), || others_of(&self.dest, self.live));
        written.removed = gone.len();
        if self.live && written.changed == 0 && written.removed == 0 {
            // The previous site stays whole: pages taken before the last change still ask for its styles.
            return Ok(written);
        }
        remove_all(&stale, &self.folder)?;
        swap(&self.folder, &self.dest, self.live)?;
        Ok(written)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the folder of a path is there; `false` when writing has already failed.
    fn make_folder_of(&self, path: &str) -> Result<bool, FsError> {
        let mut state = self.state();
        if state.failed.is_some() {
            return Ok(false);
        }
        if let Some((folder, _)) = path.rsplit_once('/').filter(|(folder, _)| !state.folders.contains(*folder)) {
            if !self.fresh {
                self.remove_files_above(folder)?;
            }
            fs::create_dir(&self.folder.join(folder))?;
            state.folders.insert(folder.to_owned());
        }
        Ok(true)
    }
}

impl Staging {
    /// A file of an older site may stand where a folder is wanted.
    fn remove_files_above(&self, folder: &str) -> Result<(), FsError> {
        let mut above = self.folder.clone();
        for part in folder.split('/') {
            above.push(part);
            if above.is_file() {
                fs::remove(&above)?;
            }
        }
        Ok(())
    }
}

impl Drop for Staging {
    /// Where no site stands yet, nothing is left of one that was not published.
    fn drop(&mut self) {
        if !self.live {
            // Nobody is left to tell; the next build starts by looking at this folder.
            let _ = fs::remove(&self.folder);
        }
    }
}

/// Where the site that stood at `dest` before the last change is, if there was one.
pub fn previous(dest: &Path) -> PathBuf {
    staging_of(dest)
}

/// The folder a site is prepared in: `.site-public.precedent` beside `site-public`.
fn staging_of(dest: &Path) -> PathBuf {
    let name = dest.file_name().map_or_else(|| "public".into(), |name| name.to_string_lossy().into_owned());
    dest.with_file_name(format!(".{name}.precedent"))
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Refuses a destination that touches the author's folder.
fn keep_apart(dest: &Path, source: &Path) -> Result<(), WriteError> {
    let source = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let absolute = std::path::absolute(dest).unwrap_or_else(|_| dest.to_owned());
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(&absolute);
    let rest = absolute.strip_prefix(existing).unwrap_or(Path::new(""));
    let absolute = existing.canonicalize().unwrap_or_else(|_| existing.to_owned()).join(rest);
    if absolute.starts_with(&source) || source.starts_with(&absolute) {
        return Err(WriteError::InsideSource(dest.to_owned()));
    }
    Ok(())
}

/// What became of one file.
#[derive(Clone, Copy)]
enum Outcome {
    Same,
    Changed,
}

/// Puts one file in the staging folder: the public one itself when it is the same, a new one otherwise.
fn stage_file(
    artifact: &Artifact,
    live: Option<PathBuf>,
    staged: &Path,
    fresh: bool,
) -> Result<(Outcome, u64), FsError> {
    let bytes = match artifact {
        Artifact::Bytes(bytes) | Artifact::Copy(FileData::Memory(bytes)) => Content::Memory(bytes),
        Artifact::Copy(FileData::Disk(source)) => Content::Disk(source, size(source)),
    };
    let size = bytes.size();
    if let Some((live, metadata)) = live.and_then(|live| std::fs::metadata(&live).ok().map(|found| (live, found)))
        && metadata.is_file()
        && metadata.len() == size
        && std::fs::read(&live).is_ok_and(|there| bytes.is(&there))
    {
        if !is_inode_of(staged, &metadata) {
            fs::remove(staged)?;
            fs::link_or_copy(&live, staged)?;
        }
        return Ok((Outcome::Same, size));
    }
    if !fresh {
        // The staged file may be the same inode as an older public one: never written in place.
        fs::remove(staged)?;
    }
    match bytes {
        Content::Memory(bytes) => fs::write(staged, bytes)?,
        Content::Disk(source, _) => fs::copy(source, staged)?,
    }
    Ok((Outcome::Changed, size))
}

/// What a file is to hold.
enum Content<'a> {
    Memory(&'a [u8]),
    /// A file and its size in bytes.
    Disk(&'a Path, u64),
}

impl Content<'_> {
    fn size(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::Disk(_, size) => *size,
        }
    }

    /// Whether it is these bytes; a file that cannot be read is told when it is copied.
    fn is(&self, there: &[u8]) -> bool {
        match self {
            Content::Memory(bytes) => *bytes == there,
            Content::Disk(source, _) => std::fs::read(source).is_ok_and(|bytes| bytes == there),
        }
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[cfg(unix)]
fn is_inode_of(path: &Path, of: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (of.dev(), of.ino()))
}

#[cfg(not(unix))]
fn is_inode_of(_: &Path, _: &std::fs::Metadata) -> bool {
    false
}

/// Paths of the files of a site, our mark left out.
fn files_of(folder: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![(folder.to_owned(), String::new())]);
    while let Some((folder, prefix)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push((entry.path(), format!("{name}/")));
            } else if name != MARK {
                found.push(name);
            }
        }
    }
    found
}

/// Removes files, then the folders that they leave empty.
fn remove_all(files: &[String], staging: &Path) -> Result<(), FsError> {
    let mut emptied = BTreeSet::new();
    for path in files {
        fs::remove(&staging.join(path))?;
        let mut folder = path.as_str();
        while let Some((parent, _)) = folder.rsplit_once('/') {
            emptied.insert(parent.to_owned());
            folder = parent;
        }
    }
    for folder in emptied.into_iter().rev() {
        // A folder that still holds something stays: the failure is the test.
        let _ = std::fs::remove_dir(staging.join(folder));
    }
    Ok(())
}

fn swap(staging: &Path, dest: &Path, live: bool) -> Result<(), FsError> {
    if !live {
        return fs::rename(staging, dest);
    }
    fs::exchange(staging, dest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(files: &[(&'static str, &str)]) -> Vec<(&'static str, Artifact)> {
        files.iter().map(|(path, text)| (*path, Artifact::Bytes(text.as_bytes().into()))).collect()
    }

    fn output(files: &[(&str, Artifact)], dest: &Path, source: &Path) -> Result<Written, WriteError> {
        let staging = Staging::open(dest, source)?;
        files.iter().for_each(|(path, artifact)| staging.put(path, artifact));
        staging.publish()
    }

    fn read(folder: &Path, path: &str) -> String {
        std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| format!("{error}"))
    }

    #[test]
    fn only_what_changed_is_written_and_the_rest_keeps_its_inode() {
        use std::os::unix::fs::MetadataExt;
        let root = tempfile::tempdir().expect("a folder");
        let (source, dest) = (root.path().join("commune"), root.path().join("public"));
        std::fs::create_dir(&source).expect("a folder");
        let first = output(&site(&[("index.html", "a"), ("x/index.html", "b"), ("y/z.html", "c")]), &dest, &source)
            .expect("written");
        assert_eq!((first.files, first.changed), (3, 3));
        let inode = |path: &str| std::fs::metadata(dest.join(path)).expect("there").ino();
        let before = inode("index.html");
        for round in 0..4 {
            let text = format!("b{round}");
            let again =
                output(&site(&[("index.html", "a"), ("x/index.html", &text)]), &dest, &source).expect("written");
            assert_eq!((again.changed, again.removed), (1, usize::from(round == 0)));
            assert_eq!(read(&dest, "x/index.html"), text);
            assert_eq!(inode("index.html"), before);
            assert!(!dest.join("y").exists());
        }
        let same = output(&site(&[("index.html", "a"), ("x/index.html", "b3")]), &dest, &source).expect("written");
        assert_eq!((same.changed, same.removed), (0, 0));
    }

    #[test]
    fn the_author_s_folder_and_strangers_are_never_written() {
        let root = tempfile::tempdir().expect("a folder");
        let source = root.path().join("commune");
        std::fs::create_dir(&source).expect("a folder");
        let one = site(&[("index.html", "a")]);
        assert!(matches!(output(&one, &source.join("public"), &source), Err(WriteError::InsideSource(_))));
        assert!(matches!(output(&one, root.path(), &source), Err(WriteError::InsideSource(_))));
        let stranger = root.path().join("documents");
        std::fs::create_dir(&stranger).expect("a folder");
        std::fs::write(stranger.join("these.odt"), "précieux").expect("written");
        assert!(matches!(output(&one, &stranger, &source), Err(WriteError::NotOurs(_))));
        assert_eq!(read(&stranger, "these.odt"), "précieux");
    }

    #[test]
    fn a_file_may_become_a_folder_and_a_folder_a_file() {
        let root = tempfile::tempdir().expect("a folder");
        let (source, dest) = (root.path().join("commune"), root.path().join("public"));
        std::fs::create_dir(&source).expect("a folder");
        let one = [("a/b", "fichier")];
        let other = [("a/b/c/d", "dossier")];
        for round in 0..6 {
            let files = if round % 2 == 0 { site(&one) } else { site(&other) };
            let done = output(&files, &dest, &source).expect("written");
            assert_eq!((done.files, done.changed), (1, 1));
        }
        assert_eq!(read(&dest, "a/b/c/d"), "dossier");
    }

    #[test]
    fn what_is_not_published_leaves_no_trace() {
        let root = tempfile::tempdir().expect("a folder");
        let (source, dest) = (root.path().join("commune"), root.path().join("public"));
        std::fs::create_dir(&source).expect("a folder");
        let names = || std::fs::read_dir(root.path()).expect("read").flatten().count();
        let staging = Staging::open(&dest, &source).expect("opened");
        staging.put("index.html", &Artifact::Bytes(b"a".as_slice().into()));
        drop(staging);
        assert_eq!(names(), 1, "only the commune's folder");
        output(&site(&[("index.html", "a")]), &dest, &source).expect("written");
        let staging = Staging::open(&dest, &source).expect("opened");
        staging.put("index.html", &Artifact::Bytes(b"b".as_slice().into()));
        drop(staging);
        assert_eq!(read(&dest, "index.html"), "a");
    }

    #[test]
    fn the_first_file_that_cannot_be_written_is_told_and_nothing_is_published() {
        let root = tempfile::tempdir().expect("a folder");
        let (source, dest) = (root.path().join("commune"), root.path().join("public"));
        std::fs::create_dir(&source).expect("a folder");
        output(&site(&[("index.html", "a")]), &dest, &source).expect("written");
        let lost = Artifact::Copy(FileData::Disk(root.path().join("absent.jpg")));
        let files = [("index.html", Artifact::Bytes(b"b".as_slice().into())), ("absent.jpg", lost)];
        let Err(WriteError::Fs(error)) = output(&files, &dest, &source) else { panic!("published") };
        assert!(error.to_string().contains("absent.jpg"), "{error}");
        assert_eq!(read(&dest, "index.html"), "a");
    }
}
