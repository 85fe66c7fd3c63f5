//! The site to send, frozen: what is built meanwhile changes nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::error::PublishError;
use crate::fs::{self, FsError};
use crate::model::publication::{Fingerprint, Manifest};

/// Marks a folder as a site of ours; never sent as a file of the site.
pub(super) const MARK: &str = ".mulot";

/// A site on this machine, whole, with the fingerprint of each file.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) version: String,
}

impl Tree {
    /// Reads the site that stands in a folder, without touching it.
    pub(super) fn read(root: &Path) -> Result<Tree, PublishError> {
        let manifest = manifest_of(root)?;
        let version = version_of(&manifest);
        Ok(Tree { root: root.to_owned(), manifest, version })
    }

    /// The same, copied by links into `frozen`, which holds nothing else afterwards.
    ///
    /// A build exchanges folders: the folder that stands at the end must be the one that stood at the start.
    pub(super) fn freeze(site: &Path, frozen: &Path) -> Result<Tree, PublishError> {
        fs::remove(frozen)?;
        fs::create_dir(frozen)?;
        let before = identity(site)?;
        let mut folders = BTreeSet::new();
        for path in files_of(site)? {
            let to = frozen.join(&path);
            if let Some(folder) = to.parent().filter(|folder| !folders.contains(*folder)) {
                fs::create_dir(folder)?;
                folders.insert(folder.to_owned());
            }
            fs::link_or_copy(&site.join(&path), &to)?;
        }
        if identity(site)? != before {
            return Err(PublishError::Moved(site.to_owned()));
        }
        Tree::read(frozen)
    }

    /// The file of this machine that a path of the site is.
    pub(super) fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// First sixteen figures of the fingerprint of all paths and what they hold.
pub(super) fn version_of(manifest: &Manifest) -> String {
    let mut hasher = blake3::Hasher::new();
    for (path, file) in &manifest.files {
        hasher.update(format!("{path}\n{}\n", file.hash).as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Whether a text is a version, so that it may name a folder.
pub(super) fn is_version(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn manifest_of(root: &Path) -> Result<Manifest, PublishError> {
    let files: Result<BTreeMap<_, _>, FsError> =
        files_of(root)?.into_par_iter().map(|path| fingerprint(&root.join(&path)).map(|file| (path, file))).collect();
    Ok(Manifest { files: files? })
}

fn fingerprint(path: &Path) -> Result<Fingerprint, FsError> {
    let read = || -> io::Result<Fingerprint> {
        let mut hasher = blake3::Hasher::new();
        let size = io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
        Ok(Fingerprint { hash: hasher.finalize().to_hex().to_string(), size })
    };
    read().map_err(|source| FsError { action: "lire", path: path.to_owned(), source })
}

/// Paths of the files of a site, our mark left out. Unlike the walk of a commune's folder it follows no link and skips nothing.
pub(super) fn files_of(root: &Path) -> Result<Vec<String>, FsError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FsError { action: "lire", path, source }
    };
    let (mut found, mut folders) = (Vec::new(), vec![(root.to_owned(), String::new())]);
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(failed(&folder))? {
            let entry = entry.map_err(failed(&folder))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.file_type().map_err(failed(&entry.path()))? {
                kind if kind.is_dir() => folders.push((entry.path(), format!("{name}/"))),
                kind if kind.is_file() && name != MARK => found.push(name),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Which folder stands at a path.
fn identity(folder: &Path) -> Result<(u64, u64), FsError> {
    use std::os::unix::fs::MetadataExt;
    let failed = |source| FsError { action: "lire", path: folder.to_owned(), source };
    std::fs::metadata(folder).map(|found| (found.dev(), found.ino())).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_site_does_not_change_when_the_site_is_built_again() {
        let root = tempfile::tempdir().expect("a folder");
        let (site, frozen) = (root.path().join("public"), root.path().join("etat/envoi"));
        std::fs::create_dir_all(site.join("a")).expect("a folder");
        std::fs::write(site.join("a/index.html"), "un").expect("written");
        std::fs::write(site.join(MARK), "").expect("written");
        let tree = Tree::freeze(&site, &frozen).expect("frozen");
        assert_eq!(tree.manifest.files.keys().collect::<Vec<_>>(), ["a/index.html"]);
        // As a build does: a new file takes the place of the old one.
        std::fs::remove_file(site.join("a/index.html")).expect("removed");
        std::fs::write(site.join("a/index.html"), "deux").expect("written");
        assert_eq!(std::fs::read_to_string(tree.file("a/index.html")).expect("there"), "un");
        let other = Tree::freeze(&site, &frozen).expect("frozen again");
        assert!(other.version != tree.version && is_version(&other.version));
    }

    #[test]
    fn what_is_not_a_version_names_no_folder() {
        for text in ["", "..", "0123456789abcde/", "0123456789ABCDEF", "0123456789abcdef0"] {
            assert!(!is_version(text), "{text}");
        }
    }
}
