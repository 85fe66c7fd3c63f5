//! Where files are kept: folders of this machine, or a bucket that several machines share.
//!
//! Whatever comes in is written to the folder of drafts first and judged there. With a bucket that folder is scratch space; what
//! the folders held before the bucket was told of is still found, and moved by the housework ([`Shelves::move_in`]).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::bucket::Bucket;
use super::folder::{Folder, names, remove_if_there};
use super::{DESCRIPTION, FileError, failed, is_id};

/// An accepted file being read, sealed.
pub(super) type Source = Box<dyn Read + Send>;

/// Tells whether a row names a file.
pub(super) type Known<'a> = &'a dyn Fn(&str) -> Result<bool, FileError>;

/// Bytes that lie there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weights {
    pub(super) drafts: u64,
    pub(super) kept: u64,
}

/// The place of the files of one guichet.
#[derive(Debug)]
pub(super) struct Shelves {
    pub(super) folder: Folder,
    pub(super) bucket: Option<Bucket>,
}

/// Sizes of accepted files: asked of the disk one by one, of a bucket all at once.
pub(super) struct Sizes<'a> {
    shelves: &'a Shelves,
    listed: BTreeMap<String, u64>,
}

impl Sizes<'_> {
    /// Bytes of an accepted file as it lies there; `None` when it does not.
    pub(super) fn of(&self, id: &str) -> Result<Option<u64>, FileError> {
        if let Some(size) = self.listed.get(id) {
            return Ok(Some(*size));
        }
        match (self.shelves.folder.size(id)?, &self.shelves.bucket) {
            (None, Some(bucket)) if !bucket.is_ours()? => Err(bucket.foreign()),
            (found, _) => Ok(found),
        }
    }
}

impl Shelves {
    /// A draft is finished and judged: its description makes it one.
    pub(super) fn describe(&self, id: &str, card: &[u8]) -> Result<(), FileError> {
        let Some(bucket) = &self.bucket else { return self.folder.describe(id, card) };
        let path = self.folder.draft_path(id);
        bucket.keep(id, &path, card)?;
        // What cannot be removed now is swept later.
        let _ = fs::remove_file(&path);
        Ok(())
    }

    /// The sealed description of a draft, whose life starts again.
    pub(super) fn card(&self, id: &str) -> Result<Option<Vec<u8>>, FileError> {
        let Some(bucket) = &self.bucket else { return self.folder.card(id) };
        match bucket.card(id)? {
            None => self.folder.card(id),
            card => Ok(card),
        }
    }

    /// Starts a draft's life again.
    pub(super) fn touch(&self, id: &str, card: &[u8]) -> Result<(), FileError> {
        self.folder.touch(id)?;
        self.bucket.as_ref().map_or(Ok(()), |bucket| bucket.touch(id, card))
    }

    /// Has drafts of these ids and sealed sizes at their final place, for good; already there is fine. Each one that was a draft
    /// until now is told to `moved`.
    pub(super) fn accept(&self, files: &[(&str, u64)], mut moved: impl FnMut(&str)) -> Result<(), FileError> {
        let Some(bucket) = &self.bucket else { return self.folder.accept(files, moved) };
        for (id, size) in files {
            // They are there since they were judged; their life began again when this request was read.
            let found = match bucket.size(id)? {
                None => {
                    self.move_one(bucket, id)?;
                    bucket.size(id)?
                }
                found => found,
            };
            match found {
                Some(found) if found == *size => {
                    if bucket.receive(id)? {
                        moved(id);
                    }
                }
                Some(_) => return Err(FileError::Damaged { id: (*id).to_owned() }),
                None => {
                    bucket.seen_again()?;
                    return Err(FileError::Missing { id: (*id).to_owned() });
                }
            }
        }
        Ok(())
    }

    /// Makes sure that what was accepted is there after a power cut.
    pub(super) fn sync(&self) -> Result<(), FileError> {
        if self.bucket.is_none() { self.folder.sync() } else { Ok(()) }
    }

    /// Removes accepted files and their descriptions; absent is fine. The bytes of each that was there are told to `gone`.
    pub(super) fn remove(&self, ids: &[&str], mut gone: impl FnMut(u64)) -> Result<(), FileError> {
        self.folder.remove(ids, &mut gone)?;
        if let Some(bucket) = self.bucket.as_ref().filter(|_| !ids.is_empty()) {
            bucket.remove(ids)?;
            // How large each was would be one more question; the next weighing tells.
            ids.iter().for_each(|_| gone(0));
        }
        Ok(())
    }

    /// An accepted file as it lies there, and its bytes; `None` when it does not.
    pub(super) fn open_kept(&self, id: &str) -> Result<Option<(Source, u64)>, FileError> {
        let Some(bucket) = &self.bucket else { return self.folder.open_kept(id) };
        // Not moved yet, it is on this machine: the bucket is asked first, for a move may end in between.
        match bucket.open_kept(id) {
            Ok(None) => self.folder.open_kept(id),
            Err(error) => self.folder.open_kept(id)?.map_or(Err(error), |found| Ok(Some(found))),
            found => found,
        }
    }

    /// A failure of reading what [`Shelves::open_kept`] gave.
    pub(super) fn unread(&self, id: &str, error: io::Error) -> FileError {
        match &self.bucket {
            Some(bucket) => bucket.cut(&error),
            None => failed(Path::new(id), error),
        }
    }

    /// Sizes of all accepted files.
    pub(super) fn sizes(&self) -> Result<Sizes<'_>, FileError> {
        let listed = self.bucket.as_ref().map_or(Ok(BTreeMap::new()), Bucket::sizes)?;
        Ok(Sizes { shelves: self, listed })
    }

    /// Marks the bucket as this guichet's, unless it should hold files of `known` that are neither there nor on this machine: it is
    /// then another one, and must not be taken for one that has lost them.
    pub(super) fn adopt(&self, mut known: impl Iterator<Item = String>) -> Result<(), FileError> {
        let Some(bucket) = self.bucket.as_ref() else { return Ok(()) };
        if bucket.is_ours()? {
            return Ok(());
        }
        let is_elsewhere =
            known.try_fold(false, |found, id| Ok::<_, FileError>(found || self.folder.size(&id)?.is_none()))?;
        if is_elsewhere { Err(bucket.foreign()) } else { bucket.adopt() }
    }

    /// Puts an accepted file that comes from a copy; the folder of a guichet is filled otherwise.
    pub(super) fn put_back(&self, id: &str, path: &Path) -> Result<(), FileError> {
        self.bucket.as_ref().map_or(Ok(()), |bucket| bucket.put_file(id, path))
    }

    /// Brings what the folders still hold to the bucket; gives how many files. Stopped anywhere, it goes on the next time.
    pub(super) fn move_in(&self) -> Result<usize, FileError> {
        let Some(bucket) = &self.bucket else { return Ok(0) };
        let mut ids = self.folder.kept_ids()?;
        let drafts = names(&self.folder.drafts)?;
        ids.extend(drafts.iter().filter_map(|name| described_id(name)).map(str::to_owned));
        ids.sort_unstable();
        ids.dedup();
        ids.iter().try_for_each(|id| self.move_one(bucket, id))?;
        Ok(ids.len())
    }

    /// Brings one file of the folders to the bucket, with its description: bytes first, and nothing is removed before all of it
    /// is there.
    fn move_one(&self, bucket: &Bucket, id: &str) -> Result<(), FileError> {
        let card = self.folder.card(id)?;
        let (draft, kept) = (self.folder.draft_path(id), self.folder.kept_path(id));
        // An undescribed draft is being written, or was left.
        let path = [&kept, &draft].into_iter().find(|path| path.is_file() && (*path == &kept || card.is_some()));
        let Some(path) = path else { return Ok(()) };
        let size = fs::metadata(path).map_err(|error| failed(path, error))?.len();
        bucket.put_file(id, path)?;
        if bucket.size(id)? != Some(size) {
            return Err(FileError::Damaged { id: id.to_owned() });
        }
        if let Some(card) = card {
            bucket.touch(id, &card)?;
            if path == &kept {
                bucket.receive(id)?;
            }
        }
        for gone in [&kept, &draft, &self.folder.sidecar_path(id)] {
            remove_if_there(gone)?;
        }
        Ok(())
    }

    /// Removes drafts that are over; gives how many files went.
    pub(super) fn sweep(&self, now: SystemTime, known: Known<'_>) -> Result<usize, FileError> {
        let count = self.folder.sweep(now)?;
        Ok(count + self.bucket.as_ref().map_or(Ok(0), |bucket| bucket.sweep(now, known))?)
    }

    /// Removes files that no row names, when nobody can be about to confirm them; gives how many.
    pub(super) fn collect_orphans(&self, now: SystemTime, known: Known<'_>) -> Result<usize, FileError> {
        let count = self.folder.collect_orphans(now, known)?;
        Ok(count + self.bucket.as_ref().map_or(Ok(0), |bucket| bucket.collect_orphans(now, known))?)
    }

    /// Weighs what lies there; with a bucket, what is being written on this machine as well.
    pub(super) fn weigh(&self, known: Known<'_>) -> Result<Weights, FileError> {
        let own = self.folder.weigh()?;
        let shared = self.bucket.as_ref().map_or(Ok(Weights::default()), |bucket| bucket.weigh(known))?;
        Ok(Weights { drafts: own.drafts + shared.drafts, kept: own.kept + shared.kept })
    }
}

/// The id of a description.
fn described_id(name: &str) -> Option<&str> {
    name.strip_suffix(DESCRIPTION)?.strip_suffix('.').filter(|id| is_id(id))
}

/// How long a finished draft waits for its owner: twice the life of a token.
pub(super) const DRAFT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a file may be without description or row: far more than an upload or a commit takes.
pub(super) const UNFINISHED_LIFE: Duration = Duration::from_secs(2 * 60 * 60);
