//! A folder of this machine: the new version is prepared beside the one served and takes its place in one step.
//!
//! Beside `site` stands `site.versions`: the versions kept, each a whole folder whose unchanged files are links to the same
//! contents, and what [`super::books`] remembers.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::books::{Books, HISTORY, History, manifest, manifest_name};
use super::error::PublishError;
use super::tree::{MARK, Tree, files_of, is_version};
use super::{Access, Host, Order, Result, Standing};
use crate::fs::{self, FsError};
use crate::model::publication::{FolderTarget, Manifest, Version};

const REMEDY: &str =
    "donnez un dossier vide ou qui n'existe pas encore : rien de ce que Mulot n'a pas fait n'est jamais remplacé";

/// The folder served and what is beside it.
pub(super) struct Folder {
    served: PathBuf,
    beside: Beside,
    kept: usize,
    /// Held as long as this runs.
    _lock: Option<File>,
}

impl Folder {
    pub(super) fn open(target: &FolderTarget, order: &Order<'_>, access: Access) -> Result<Folder> {
        let served = real_path(&target.path);
        for used in [order.site, order.state] {
            let used = real_path(used);
            if served.starts_with(&used) || used.starts_with(&served) {
                return Err(PublishError::Inside(target.path.clone()));
            }
        }
        let name = served.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.is_empty() {
            return Err(PublishError::Inside(target.path.clone()));
        }
        if served.exists() && !is_ours(&served) {
            return Err(PublishError::NotOurs { place: target.path.display().to_string(), remedy: REMEDY });
        }
        let beside = Beside { folder: served.with_file_name(format!("{name}.versions")) };
        let lock = match access {
            Access::Look => None,
            Access::Change => Some(beside.lock()?),
        };
        let folder = Folder { served, beside, kept: target.versions, _lock: lock };
        if access == Access::Change {
            folder.name_folders_right()?;
        }
        Ok(folder)
    }

    /// A run that was killed right after the exchange left the old version under the name of the new one.
    fn name_folders_right(&self) -> Result<()> {
        for name in self.beside.versions() {
            let folder = self.beside.version(&name);
            match marked(&folder) {
                Some(inside) if inside.version == name => {}
                Some(inside) if is_version(&inside.version) => {
                    let right = self.beside.version(&inside.version);
                    fs::remove(&right)?;
                    fs::rename(&folder, &right)?;
                }
                _ => fs::remove(&folder)?,
            }
        }
        Ok(())
    }

    /// Prepares a version beside the one served: links to what did not change, copies of the rest.
    fn stage(&self, tree: &Tree, old: &Manifest) -> Result<PathBuf> {
        let staging = self.beside.folder.join("envoi");
        fs::create_dir(&staging)?;
        for path in files_of(&staging)?.iter().filter(|path| !tree.manifest.files.contains_key(*path)) {
            fs::remove(&staging.join(path))?;
        }
        for (path, file) in &tree.manifest.files {
            let (from, to) = (tree.file(path), staging.join(path));
            let live = self.served.join(path);
            let unchanged = old.files.get(path).is_some_and(|there| there.hash == file.hash) && live.is_file();
            if !unchanged && holds(&to, &from, file.size) {
                continue;
            }
            make_folders(&staging, path)?;
            fs::remove(&to)?;
            match unchanged {
                true => fs::link_or_copy(&live, &to)?,
                false => fs::copy(&from, &to)?,
            }
        }
        Ok(staging)
    }

    /// Shows a version that stands whole beside; the one that was served takes its place there.
    fn show(&mut self, version: &Version, standing: &Standing) -> Result<()> {
        let whole = self.beside.version(&version.version);
        if !self.served.exists() {
            return Ok(fs::rename(&whole, &self.served)?);
        }
        fs::exchange(&whole, &self.served)?;
        match standing.history.live() {
            Some(old) => {
                let right = self.beside.version(&old.version);
                fs::remove(&right)?;
                fs::rename(&whole, &right)?;
            }
            None => fs::remove(&whole)?,
        }
        Ok(())
    }

    /// Removes what the history does not name any more.
    fn prune(&mut self, history: &History) -> Result<()> {
        let named = |name: &str| history.versions.iter().any(|one| one.version == name);
        for name in self.beside.versions().into_iter().filter(|name| !named(name)) {
            fs::remove(&self.beside.version(&name))?;
        }
        let manifests = self.beside.folder.join("manifestes");
        for name in names(&manifests).iter().filter(|name| !named(name.trim_end_matches(".json"))) {
            fs::remove(&manifests.join(name))?;
        }
        Ok(())
    }
}

impl Host for Folder {
    fn standing(&mut self) -> Result<Standing> {
        let mut history = History::load(&mut self.beside)?;
        let live = marked(&self.served);
        history.agree_with(live.as_ref());
        let manifest = manifest(&mut self.beside, live.as_ref())?;
        // A site put there by `mulot build`, or whose description was lost, is read as it is.
        let unknown = self.served.exists() && manifest.files.is_empty();
        let manifest = if unknown { Tree::read(&self.served)?.manifest } else { manifest };
        Ok(Standing { history, manifest, unfinished: false })
    }

    fn manifest_of(&mut self, version: &Version) -> Result<Manifest> {
        let whole = self.beside.version(&version.version);
        if marked(&whole).is_none() {
            return Err(PublishError::Incomplete { place: self.beside.place(), at: version.at });
        }
        manifest(&mut self.beside, Some(version))
    }

    fn send(&mut self, tree: &Tree, standing: &mut Standing, now: Timestamp) -> Result<()> {
        let staging = match self.stage(tree, &standing.manifest) {
            Ok(staging) => staging,
            Err(error) => {
                // Half of a site is of no use on a disk that is full; what is told is why.
                let _ = fs::remove(&self.beside.folder.join("envoi"));
                return Err(error);
            }
        };
        let version = Version { version: tree.version.clone(), at: now };
        self.beside.keep_data(&manifest_name(&version.version), &tree.manifest)?;
        fs::write(&staging.join(MARK), &serde_json::to_vec(&version).unwrap_or_default())?;
        fs::sync_disk_of(&staging)?;
        let whole = self.beside.version(&version.version);
        fs::remove(&whole)?;
        fs::rename(&staging, &whole)?;
        self.show(&version, standing)?;
        standing.history.push(&version.version, now, self.kept);
        self.beside.keep_data(HISTORY, &standing.history)?;
        self.prune(&standing.history)
    }

    fn go_back(&mut self, standing: &mut Standing, to: &Version, _: &Manifest) -> Result<()> {
        self.show(to, standing)?;
        standing.history.agree_with(Some(to));
        self.beside.keep_data(HISTORY, &standing.history)?;
        self.prune(&standing.history)
    }
}

/// The folder beside the one served.
struct Beside {
    folder: PathBuf,
}

impl Beside {
    fn version(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Names of the versions that stand there.
    fn versions(&self) -> Vec<String> {
        names(&self.folder).into_iter().filter(|name| is_version(name)).collect()
    }

    fn lock(&self) -> Result<File> {
        fs::create_dir(&self.folder)?;
        let path = self.folder.join("verrou");
        let failed = |source| FsError { action: "écrire", path: path.clone(), source };
        let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(PublishError::Busy { place: self.place() }),
            Err(TryLockError::Error(source)) => Err(failed(source).into()),
        }
    }
}

impl Books for Beside {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.folder.join(name);
        if path.exists() { Ok(Some(fs::read(&path)?)) } else { Ok(None) }
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(fs::write_atomic(&self.folder.join(name), bytes)?)
    }

    fn discard(&mut self, name: &str) -> Result<()> {
        Ok(fs::remove(&self.folder.join(name))?)
    }
}

/// Whether a folder may be replaced: empty, or a site of ours.
fn is_ours(folder: &Path) -> bool {
    folder.is_dir() && (folder.join(MARK).is_file() || names(folder).is_empty())
}

/// The version a folder says it is.
fn marked(folder: &Path) -> Option<Version> {
    serde_json::from_slice(&std::fs::read(folder.join(MARK)).ok()?).ok()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Whether a file left by an interrupted run is already what is wanted.
fn holds(there: &Path, wanted: &Path, size: u64) -> bool {
    let same_size = std::fs::symlink_metadata(there).is_ok_and(|found| found.is_file() && found.len() == size);
    same_size && matches!((std::fs::read(there), std::fs::read(wanted)), (Ok(one), Ok(other)) if one == other)
}

/// Makes the folders above a path, in the place of files an older site may have had there.
fn make_folders(root: &Path, path: &str) -> Result<()> {
    let mut above = root.to_owned();
    for part in path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
        above.push(part);
        if above.is_file() {
            fs::remove(&above)?;
        }
    }
    if root.join(path).is_dir() {
        fs::remove(&root.join(path))?;
    }
    Ok(fs::create_dir(&above)?)
}

/// Where a path leads, whatever of it exists.
fn real_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(&absolute);
    let rest = absolute.strip_prefix(existing).unwrap_or(Path::new(""));
    let real = existing.canonicalize().unwrap_or_else(|_| existing.to_owned());
    if rest.as_os_str().is_empty() { real } else { real.join(rest) }
}
