//! Files on a disk of this machine: a folder of drafts, a folder of accepted ones.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::room::weight;
use super::shelves::{DRAFT_LIFE, Known, Source, UNFINISHED_LIFE, Weights};
use super::{DESCRIPTION, DRAFTS, FileError, KEPT, failed, from_store, is_id};
use crate::intake::store::{create_private_dir, sync_dir};

/// The folders of one guichet.
#[derive(Debug)]
pub(super) struct Folder {
    /// Drafts, and the descriptions of drafts.
    pub(super) drafts: PathBuf,
    /// Accepted files.
    pub(super) kept: PathBuf,
}

impl Folder {
    /// Opens the folders below `dir`, which are made if needed.
    pub(super) fn open(dir: &Path) -> Result<Folder, FileError> {
        let folder = Folder { drafts: dir.join(DRAFTS), kept: dir.join(KEPT) };
        for path in [&folder.drafts, &folder.kept] {
            create_private_dir(path).map_err(from_store)?;
        }
        sync_dir(dir).map_err(from_store)?;
        Ok(folder)
    }

    pub(super) fn draft_path(&self, id: &str) -> PathBuf {
        self.drafts.join(format!("{id}.part"))
    }

    pub(super) fn sidecar_path(&self, id: &str) -> PathBuf {
        self.drafts.join(format!("{id}.{DESCRIPTION}"))
    }

    pub(super) fn kept_path(&self, id: &str) -> PathBuf {
        self.kept.join(&id[..2]).join(id)
    }

    /// Writes the sealed description of a draft.
    pub(super) fn describe(&self, id: &str, card: &[u8]) -> Result<(), FileError> {
        let path = self.sidecar_path(id);
        let wrong = |error| failed(&path, error);
        let mut draft = tempfile::NamedTempFile::new_in(&self.drafts).map_err(wrong)?;
        draft.write_all(card).map_err(wrong)?;
        draft.persist(&path).map_err(|error| wrong(error.error))?;
        Ok(())
    }

    /// The sealed description of a draft, or of an accepted file that was one lately.
    pub(super) fn card(&self, id: &str) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.sidecar_path(id);
        match fs::read(&path) {
            Ok(card) => Ok(Some(card).filter(|_| self.draft_path(id).exists() || self.kept_path(id).exists())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// Starts a draft's life again.
    pub(super) fn touch(&self, id: &str) -> Result<(), FileError> {
        let path = self.sidecar_path(id);
        let touched = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        match touched {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, error)),
            _ => Ok(()),
        }
    }

    /// Moves drafts of these ids and sealed sizes to their final place, and syncs the folders; already moved is fine. Each one
    /// that was a draft is told to `moved`.
    pub(super) fn accept(&self, files: &[(&str, u64)], mut moved: impl FnMut(&str)) -> Result<(), FileError> {
        let mut shelves = BTreeSet::new();
        for (id, size) in files {
            let (draft, kept) = (self.draft_path(id), self.kept_path(id));
            let shelf = self.kept.join(&id[..2]);
            create_private_dir(&shelf).map_err(from_store)?;
            self.touch(id)?;
            match fs::rename(&draft, &kept) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&kept, error)),
                Err(_) => {}
                Ok(()) => moved(id),
            }
            match self.size(id)? {
                Some(found) if found == *size => shelves.insert(shelf),
                Some(_) => return Err(FileError::Damaged { id: (*id).to_owned() }),
                None => return Err(FileError::Missing { id: (*id).to_owned() }),
            };
        }
        shelves.iter().try_for_each(|shelf| sync_dir(shelf).map_err(from_store))
    }

    /// Syncs the folder of accepted files, even one that was there: who made it may not have synced its name yet, or have died
    /// before.
    pub(super) fn sync(&self) -> Result<(), FileError> {
        sync_dir(&self.kept).map_err(from_store)
    }

    /// Removes accepted files and their descriptions; absent is fine. The bytes of each that was there are told to `gone`.
    pub(super) fn remove(&self, ids: &[&str], mut gone: impl FnMut(u64)) -> Result<(), FileError> {
        let mut shelves = BTreeSet::new();
        for id in ids {
            let path = self.kept_path(id);
            let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            if remove_if_there(&path)? {
                gone(size);
            }
            remove_if_there(&self.sidecar_path(id))?;
            shelves.insert(self.kept.join(&id[..2]));
        }
        shelves.iter().filter(|shelf| shelf.exists()).try_for_each(|shelf| sync_dir(shelf).map_err(from_store))
    }

    /// An accepted file as it lies there, and its bytes; `None` when it does not.
    pub(super) fn open_kept(&self, id: &str) -> Result<Option<(Source, u64)>, FileError> {
        let path = self.kept_path(id);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| failed(&path, error))?,
        };
        let size = opened.metadata().map_err(|error| failed(&path, error))?.len();
        Ok(Some((Box::new(opened), size)))
    }

    /// Bytes of an accepted file as it lies there; `None` when it does not.
    pub(super) fn size(&self, id: &str) -> Result<Option<u64>, FileError> {
        let path = self.kept_path(id);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len()).filter(|_| metadata.is_file())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// Every accepted file, by its id.
    pub(super) fn kept_ids(&self) -> Result<Vec<String>, FileError> {
        let mut ids = Vec::new();
        for shelf in names(&self.kept)? {
            ids.extend(names(&self.kept.join(shelf))?.into_iter().filter(|id| is_id(id)));
        }
        Ok(ids)
    }

    /// Removes drafts unused for a day, and unfinished ones of two hours; gives how many files went.
    pub(super) fn sweep(&self, now: SystemTime) -> Result<usize, FileError> {
        let mut count = 0;
        for name in names(&self.drafts)? {
            let path = self.drafts.join(&name);
            let (id, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
            let sidecar = self.sidecar_path(id);
            let (dated, life) = if extension == "part" && is_id(id) && sidecar.exists() {
                (sidecar, DRAFT_LIFE)
            } else if extension == DESCRIPTION {
                (path.clone(), DRAFT_LIFE)
            } else {
                (path.clone(), UNFINISHED_LIFE)
            };
            if age(&dated, now)?.is_some_and(|age| age > life) {
                count += usize::from(remove_if_there(&path)?);
            }
        }
        Ok(count)
    }

    /// Removes accepted files that no row names, two hours after they came to their place; gives how many.
    pub(super) fn collect_orphans(&self, now: SystemTime, known: Known<'_>) -> Result<usize, FileError> {
        let mut count = 0;
        for id in self.kept_ids()? {
            let path = self.kept_path(&id);
            // Somebody may still be about to confirm: the description of a draft keeps its file.
            let is_recent = age(&path, now)?.is_none_or(|age| age <= UNFINISHED_LIFE);
            if is_recent || self.sidecar_path(&id).exists() || known(&id)? {
                continue;
            }
            count += usize::from(remove_if_there(&path)?);
        }
        Ok(count)
    }

    /// Weighs what lies on the disk.
    pub(super) fn weigh(&self) -> Result<Weights, FileError> {
        let of = |path: &Path| fs::metadata(path).map_or(0, |found| weight(found.len()));
        let mut weights = Weights::default();
        for name in names(&self.drafts)?.iter().filter(|name| name.ends_with(".part")) {
            weights.drafts += of(&self.drafts.join(name));
        }
        for shelf in names(&self.kept)? {
            let shelf = self.kept.join(shelf);
            weights.kept += names(&shelf)?.iter().map(|name| of(&shelf.join(name))).sum::<u64>();
        }
        Ok(weights)
    }
}

/// Names in a folder, in order; none when the folder went meanwhile.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(|error| failed(dir, error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(dir, error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

pub(super) fn remove_if_there(path: &Path) -> Result<bool, FileError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(path, error)),
    }
}

/// Time since a file was written, renamed or touched, whichever came last; `None` when it is not there.
fn age(path: &Path, now: SystemTime) -> Result<Option<Duration>, FileError> {
    match fs::metadata(path) {
        Ok(metadata) => {
            let last = metadata.ctime().max(metadata.mtime());
            let last = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(last).unwrap_or(0));
            Ok(Some(now.duration_since(last).unwrap_or(Duration::ZERO)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, error)),
    }
}
