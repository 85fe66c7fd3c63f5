//! Puts an output on disk, whole or not at all.
//!
//! The site is prepared in a folder beside the public one, files that did not change being the same inode, then the two
//! folders are exchanged in one step: a visitor sees the old site or the new one, never half of each. The folder left behind
//! is the previous site; the next build reuses it, so that only what changed is written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::fs::{self, FsError};
use crate::model::output::{Artifact, Output};
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

/// Marks a folder as ours, so that nothing else is ever replaced.
const MARK: &str = ".mulot";

/// Writes the site into `dest`, swapping it with what stood there.
///
/// # Errors
/// [`WriteError`]; the public folder is untouched.
pub fn output(output: &Output, dest: &Path, source: &Path) -> Result<Written, WriteError> {
    keep_apart(dest, source)?;
    let live = dest.is_dir();
    if live && !dest.join(MARK).exists() && !is_empty(dest) {
        return Err(WriteError::NotOurs(dest.to_owned()));
    }
    if !live && dest.exists() {
        return Err(WriteError::NotOurs(dest.to_owned()));
    }
    let staging = staging_of(dest);
    if staging.exists() && !staging.join(MARK).exists() {
        fs::remove(&staging)?;
    }
    fs::create_dir(&staging)?;
    fs::write(&staging.join(MARK), b"")?;
    let written = stage(output, live.then_some(dest), &staging)?;
    if live && written.changed == 0 && written.removed == 0 {
        return Ok(written);
    }
    swap(&staging, dest, live)?;
    Ok(written)
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
enum Outcome {
    Same,
    Changed,
}

fn stage(output: &Output, live: Option<&Path>, staging: &Path) -> Result<Written, WriteError> {
    let folders: BTreeSet<&str> =
        output.files.keys().filter_map(|path| path.rsplit_once('/').map(|(folder, _)| folder)).collect();
    for folder in &folders {
        let folder = staging.join(folder);
        if folder.is_file() {
            fs::remove(&folder)?;
        }
        fs::create_dir(&folder)?;
    }
    let done: Vec<(Outcome, u64)> = output
        .files
        .par_iter()
        .map(|(path, artifact)| stage_file(artifact, live.map(|live| live.join(path)), &staging.join(path)))
        .collect::<Result<_, _>>()?;
    let mut written = Written { files: done.len(), ..Written::default() };
    for (outcome, bytes) in done {
        written.bytes += bytes;
        written.changed += usize::from(matches!(outcome, Outcome::Changed));
    }
    remove_others(output, staging)?;
    if let Some(live) = live {
        written.removed = files_of(live).into_iter().filter(|path| !output.files.contains_key(path)).count();
    }
    Ok(written)
}

fn stage_file(artifact: &Artifact, live: Option<PathBuf>, staged: &Path) -> Result<(Outcome, u64), WriteError> {
    let same = match (&live, artifact) {
        (None, _) => false,
        (Some(live), Artifact::Bytes(bytes)) => is_same(live, bytes),
        (Some(live), Artifact::Copy(FileData::Memory(bytes))) => is_same(live, bytes),
        (Some(live), Artifact::Copy(FileData::Disk(source))) => is_same_file(live, source)?,
    };
    if let Some(live) = live.filter(|_| same) {
        if !is_one_inode(&live, staged) {
            fs::remove(staged)?;
            fs::link_or_copy(&live, staged)?;
        }
        return Ok((Outcome::Same, size(staged)));
    }
    // The staged file may be the same inode as an older public one: never written in place.
    fs::remove(staged)?;
    match artifact {
        Artifact::Bytes(bytes) | Artifact::Copy(FileData::Memory(bytes)) => fs::write(staged, bytes)?,
        Artifact::Copy(FileData::Disk(source)) => fs::copy(source, staged)?,
    }
    Ok((Outcome::Changed, size(staged)))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn is_same(path: &Path, bytes: &[u8]) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes.len() as u64)
        && std::fs::read(path).is_ok_and(|there| there == bytes)
}

fn is_same_file(path: &Path, source: &Path) -> Result<bool, FsError> {
    if !path.is_file() || size(path) != size(source) {
        return Ok(false);
    }
    let bytes = fs::read(source)?;
    Ok(is_same(path, &bytes))
}

#[cfg(unix)]
fn is_one_inode(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (std::fs::metadata(a), std::fs::symlink_metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_one_inode(_: &Path, _: &Path) -> bool {
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

fn remove_others(output: &Output, staging: &Path) -> Result<(), FsError> {
    let mut emptied = BTreeSet::new();
    for path in files_of(staging) {
        if !output.files.contains_key(&path) {
            fs::remove(&staging.join(&path))?;
            let mut folder = path.as_str();
            while let Some((parent, _)) = folder.rsplit_once('/') {
                emptied.insert(parent.to_owned());
                folder = parent;
            }
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
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, staging, CWD, dest, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    // File systems without exchange (NFS, ZFS, FUSE): two renames, a visitor may meet the instant between.
    let aside = staging.with_extension("ancien");
    fs::remove(&aside)?;
    fs::rename(dest, &aside)?;
    if let Err(error) = fs::rename(staging, dest) {
        fs::rename(&aside, dest)?;
        return Err(error);
    }
    fs::rename(&aside, staging)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(files: &[(&str, &str)]) -> Output {
        let mut output = Output::default();
        for (path, text) in files {
            output.put(*path, text.as_bytes());
        }
        output
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
}
