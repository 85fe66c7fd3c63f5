//! The hourly housework: answers whose retention is over, drafts nobody came back for, files no submission names.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Zoned;
use serde::Serialize;

use super::{DESCRIPTION, FileError, FileStore, failed, is_id, remove_if_there};
use crate::intake::store::{PurgeReport, Store};
use crate::model::reference::Reference;

/// What the housework did, and what it found wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tidied {
    /// Submissions erased or held back.
    pub purge: PurgeReport,
    /// Drafts removed.
    pub drafts: usize,
    /// Accepted files without submission removed.
    pub orphans: usize,
    /// Files a submission names that are not there: the disk lost them, a person must know.
    pub missing: Vec<(String, Reference)>,
}

/// Erases what is due and compares rows and files; at start, then every hour.
///
/// # Errors
/// [`FileError`] when the store or the disk refuses; what was done stays done.
pub fn tidy(store: &Store, files: &FileStore, now: &Zoned) -> Result<Tidied, FileError> {
    let purge = store.purge_elapsed(now)?;
    files.remove(&purge.files)?;
    let clock = SystemTime::from(now.timestamp());
    let drafts = files.sweep_drafts(clock)?;
    let orphans = files.collect_orphans(store, clock)?;
    files.measure_room()?;
    let missing = files.missing(store)?;
    for (file, reference) in &missing {
        tracing::error!(file.id = file, submission.reference = reference.as_str(), "a file is missing");
    }
    Ok(Tidied { purge, drafts, orphans, missing })
}

impl FileStore {
    /// Removes drafts unused for a day, and unfinished ones of two hours; gives how many files went.
    pub(super) fn sweep_drafts(&self, now: SystemTime) -> Result<usize, FileError> {
        let mut count = 0;
        for name in names(&self.folders.drafts)? {
            let path = self.folders.drafts.join(&name);
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
    pub(super) fn collect_orphans(&self, store: &Store, now: SystemTime) -> Result<usize, FileError> {
        let mut count = 0;
        for shelf in names(&self.folders.kept)? {
            let shelf = self.folders.kept.join(shelf);
            for id in names(&shelf)?.into_iter().filter(|id| is_id(id)) {
                // Somebody may still be about to confirm: the description of a draft keeps its file.
                let is_recent = age(&shelf.join(&id), now)?.is_none_or(|age| age <= UNFINISHED_LIFE);
                if is_recent || self.sidecar_path(&id).exists() || store.knows_file(&id)? {
                    continue;
                }
                count += usize::from(remove_if_there(&shelf.join(&id))?);
            }
        }
        Ok(count)
    }

    /// Files that rows name and that are not there.
    pub(super) fn missing(&self, store: &Store) -> Result<Vec<(String, Reference)>, FileError> {
        let known = store.known_files()?;
        Ok(known.into_iter().filter(|(id, _)| !(is_id(id) && self.kept_path(id).is_file())).collect())
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

/// How long a finished draft waits for its owner: twice the life of a token.
const DRAFT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a file may be without description or row: far more than an upload or a commit takes.
const UNFINISHED_LIFE: Duration = Duration::from_secs(2 * 60 * 60);
