//! How much room files take, on the disk and in memory, and what became of them; in numbers only.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::sealed::sealed_size;
use super::shelves::{Known, Weights};
use super::unwanted::Unwanted;
use super::{FileError, FileStore};
use crate::intake::store::{StoreError, WeakStore};

/// Counters of one store.
#[derive(Debug)]
pub(super) struct Room {
    max_drafts: u64,
    max_kept: u64,
    drafts: AtomicU64,
    kept: AtomicU64,
    /// Uploads under way: what they are counted for may not lie on the disk yet.
    writing: AtomicU64,
    gate: Arc<Semaphore>,
    taken: AtomicU64,
    unscanned: AtomicU64,
    read: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

/// What was counted; nothing of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Files taken as drafts.
    pub taken: u64,
    /// Files refused for what they hold, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Files taken though the antivirus could not look at them.
    pub unscanned: u64,
    /// Files given to the mairie by their links.
    pub read: u64,
    /// Bytes of drafts on the disk.
    pub draft_bytes: u64,
    /// Bytes of accepted files on the disk; 0 when no limit is set.
    pub kept_bytes: u64,
}

impl Room {
    pub(super) fn new(max_drafts: u64, max_kept: u64) -> Room {
        Room {
            max_drafts,
            max_kept,
            drafts: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            writing: AtomicU64::new(0),
            gate: Arc::new(Semaphore::new(GATE as usize)),
            taken: AtomicU64::new(0),
            unscanned: AtomicU64::new(0),
            read: AtomicU64::new(0),
            refused: Mutex::default(),
        }
    }

    /// Whether an upload may begin.
    pub(super) fn begin(&self) -> Result<(), FileError> {
        let drafts = self.drafts.load(Ordering::Relaxed);
        if self.kept.load(Ordering::Relaxed).saturating_add(drafts) >= self.max_kept {
            return Err(FileError::Quota { kept: true });
        }
        if drafts >= self.max_drafts {
            return Err(FileError::Quota { kept: false });
        }
        Ok(())
    }

    /// An upload begins to write.
    pub(super) fn opened(&self) {
        self.writing.fetch_add(1, Ordering::Relaxed);
    }

    /// It writes no more, whatever became of it.
    pub(super) fn closed(&self) {
        less(&self.writing, 1);
    }

    /// A draft grows.
    pub(super) fn grow(&self, from: u64, to: u64) -> Result<(), FileError> {
        let more = charged(to) - charged(from);
        let before = self.drafts.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.max_drafts {
            less(&self.drafts, more);
            return Err(FileError::Quota { kept: false });
        }
        Ok(())
    }

    /// A picture was made again.
    pub(super) fn shrink(&self, from: u64, to: u64) {
        less(&self.drafts, charged(from));
        self.drafts.fetch_add(charged(to), Ordering::Relaxed);
    }

    /// An upload ended without a file.
    pub(super) fn dropped(&self, size: u64) {
        less(&self.drafts, charged(size));
    }

    /// A draft became an accepted file.
    pub(super) fn accepted(&self, size: u64) {
        less(&self.drafts, charged(size));
        self.kept.fetch_add(charged(size), Ordering::Relaxed);
    }

    /// An accepted file went; its size as it lay on the disk.
    pub(super) fn removed(&self, on_disk: u64) {
        less(&self.kept, on_disk.max(LEAST));
    }

    /// Lets in what takes `bytes` of memory: at most [`GATE`] megabytes together, or one alone that takes more.
    pub(super) async fn enter(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let megabytes = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(GATE).clamp(1, GATE);
        // The gate is never closed.
        self.gate.clone().acquire_many_owned(megabytes).await.ok()
    }

    pub(super) fn taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unscanned(&self) {
        self.unscanned.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, unwanted: Unwanted) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(unwanted.as_str()).or_default() += 1;
    }

    pub(super) fn counts(&self) -> FileCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FileCounts {
            taken: count(&self.taken),
            refused: self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            unscanned: count(&self.unscanned),
            read: count(&self.read),
            draft_bytes: count(&self.drafts),
            kept_bytes: count(&self.kept),
        }
    }
}

impl FileStore {
    /// Weighs what is kept, when there is a limit to compare it with; at start, then after each housework.
    ///
    /// Several processes over one bucket each count what they take themselves, and learn from this of what the others took: a limit
    /// can be passed by what they take in an hour.
    ///
    /// # Errors
    /// [`FileError`] when the store, the disk or the bucket refuses.
    pub fn measure_room(&self, store: &WeakStore) -> Result<(), FileError> {
        // Held for a question at a time: a guichet that closes meanwhile can be opened again at once.
        self.weigh(&|id| Ok(store.upgrade().ok_or(StoreError::Closed)?.knows_file(id)?))
    }

    pub(super) fn weigh(&self, known: Known<'_>) -> Result<(), FileError> {
        let room = &self.folders.room;
        if room.max_drafts == u64::MAX && room.max_kept == u64::MAX {
            return Ok(());
        }
        let is_still = room.writing.load(Ordering::Relaxed) == 0;
        let before = [&room.drafts, &room.kept].map(|counter| counter.load(Ordering::Relaxed));
        let Weights { drafts, kept } = self.folders.shelves.weigh(known)?;
        // Whoever came or went meanwhile has been counted, and may not have been seen: the next time will do.
        let set = |counter: &AtomicU64, before, now| {
            let _ = counter.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed);
        };
        set(&room.kept, before[1], kept);
        if is_still {
            set(&room.drafts, before[0], drafts);
        }
        Ok(())
    }
}

/// What a file of this size counts for.
fn charged(size: u64) -> u64 {
    if size == 0 { 0 } else { weight(sealed_size(size)) }
}

/// What so many sealed bytes count for: many small files fill a disk too.
pub(super) fn weight(sealed: u64) -> u64 {
    sealed.max(LEAST)
}

/// Takes away without going below nothing: the disk may have been weighed meanwhile.
fn less(counter: &AtomicU64, bytes: u64) {
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |value| Some(value.saturating_sub(bytes)));
}

/// Megabytes of files looked into at the same time: one photograph of 12 million pixels and its file.
const GATE: u32 = 48;
/// Bytes the smallest file takes.
const LEAST: u64 = 4 << 10;
