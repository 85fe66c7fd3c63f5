//! The hourly housework: answers whose retention is over, drafts nobody came back for, files no submission names.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::time::SystemTime;

use jiff::Zoned;
use serde::Serialize;

use super::bucket::Bucket;
use super::{FileError, FileStore, is_id};
use crate::intake::store::{PurgeReport, Store};
use crate::model::reference::Reference;

/// What the housework did, and what it found wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tidied {
    /// Submissions erased or held back.
    pub purge: PurgeReport,
    /// Files brought from the folder to the bucket.
    pub moved: usize,
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
/// [`FileError`] when the store, the disk or the bucket refuses, [`FileError::ManyOrphans`]; what was done stays done.
pub fn tidy(store: &Store, files: &FileStore, now: &Zoned) -> Result<Tidied, FileError> {
    files.ready_to_erase(store)?;
    let purge = store.purge_elapsed(now)?;
    // What it says when one of them stays keeps nothing else from being done.
    let erased = files.erase(store);
    let clock = SystemTime::from(now.timestamp());
    let (shelves, rows) = (&files.folders.shelves, Rows::of(store));
    let known = |id: &str| rows.know(id);
    let moved = shelves.move_in()?;
    let drafts = shelves.sweep(clock, &known)?;
    // What it says when they are too many keeps nothing else from being looked at.
    let orphans = shelves.collect_orphans(clock, &known);
    files.weigh(&known)?;
    let missing = files.missing(store)?;
    for (file, reference) in &missing {
        tracing::error!(file.id = file, submission.reference = reference.as_str(), "a file is missing");
    }
    erased?;
    Ok(Tidied { purge, moved, drafts, orphans: orphans?, missing })
}

/// Files that requests name, or that are about to be erased, asked for all at once: one by one, a hundred thousand would be as
/// many questions to a server.
struct Rows<'s> {
    store: &'s Store,
    seen: OnceCell<BTreeSet<String>>,
}

impl<'s> Rows<'s> {
    fn of(store: &'s Store) -> Self {
        Rows { store, seen: OnceCell::new() }
    }

    /// Whether a request names it. One that came since is asked for; one that was erased since stays known until the next time.
    fn know(&self, id: &str) -> Result<bool, FileError> {
        if self.seen.get().is_none() {
            let named = self.store.known_files()?.into_iter().map(|(id, _)| id);
            let _ = self.seen.set(named.chain(self.store.to_erase()?).collect());
        }
        Ok(self.seen.get().is_some_and(|seen| seen.contains(id)) || self.store.knows_file(id)?)
    }
}

impl FileStore {
    /// Whether the bucket, if there is one, answers and is ours. To be asked before the rows of files are erased: once they are
    /// gone, nobody else would ask for a file to be.
    ///
    /// # Errors
    /// [`FileError::Bucket`], [`FileError::ForeignBucket`].
    pub fn ready_to_erase(&self, store: &Store) -> Result<(), FileError> {
        self.adopt(store)?;
        self.folders.shelves.bucket.as_ref().map_or(Ok(()), Bucket::seen_again)
    }

    /// Erases the files whose rows are gone. Stopped anywhere, it goes on the next time.
    ///
    /// # Errors
    /// The first [`FileError`] of those that stay; the others are erased, unless too many fail.
    pub fn erase(&self, store: &Store) -> Result<(), FileError> {
        let mut failed = Vec::new();
        for files in store.to_erase()?.chunks(AT_ONCE) {
            let mut gone = files.to_vec();
            gone.retain(|file| {
                failed.len() < FAILED_MAX
                    && self.remove(std::slice::from_ref(file)).map_err(|error| failed.push(error)).is_ok()
            });
            store.erased(&gone)?;
            if failed.len() >= FAILED_MAX {
                break;
            }
        }
        failed.into_iter().next().map_or(Ok(()), Err)
    }

    /// Whether a bucket keeps the files.
    pub fn has_bucket(&self) -> bool {
        self.folders.shelves.bucket.is_some()
    }

    /// Why the bucket is rather not the one of this database: [`FileError::ManyOrphans`].
    ///
    /// # Errors
    /// [`FileError`] when the store or the bucket cannot be read.
    pub fn doubt(&self, store: &Store) -> Result<Option<FileError>, FileError> {
        let Some(bucket) = &self.folders.shelves.bucket else { return Ok(None) };
        let rows = Rows::of(store);
        match bucket.orphans(SystemTime::now(), &|id| rows.know(id)) {
            Err(error @ FileError::ManyOrphans { .. }) => Ok(Some(error)),
            looked => looked.map(|_| None),
        }
    }

    /// Removes what a process that was killed has left of uploads on this disk, when a bucket keeps the files: the housework of
    /// the folder is otherwise [`tidy`]'s. Gives how many files went.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn sweep_scratch(&self, now: SystemTime) -> Result<usize, FileError> {
        let shelves = &self.folders.shelves;
        if shelves.bucket.is_some() { shelves.folder.sweep(now) } else { Ok(0) }
    }

    /// Files that rows name and that are not there.
    pub(super) fn missing(&self, store: &Store) -> Result<Vec<(String, Reference)>, FileError> {
        let (known, sizes) = (store.known_files()?, self.folders.shelves.sizes()?);
        let mut missing = Vec::new();
        for (id, reference) in known {
            let is_there = is_id(&id) && sizes.of(&id)?.is_some();
            // Came, or was erased, since the bucket was listed.
            if !is_there && store.knows_file(&id)? && !(is_id(&id) && self.folders.shelves.open_kept(&id)?.is_some()) {
                missing.push((id, reference));
            }
        }
        Ok(missing)
    }
}

/// Files erased between two notes of it.
const AT_ONCE: usize = 64;
/// Files that cannot be erased before it is given up: a bucket that is away takes its time for each.
const FAILED_MAX: usize = 5;
