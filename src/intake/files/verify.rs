//! Compares what the rows say of files with what is held.

use serde::Serialize;

use super::sealed::sealed_size;
use super::shelves::Sizes;
use super::{FileError, FileStore, is_id};
use crate::intake::store::Store;
use crate::model::reference::Reference;
use crate::model::submission::StoredFile;

/// How thoroughly files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Whether they are there and as long as they should be.
    Sizes,
    /// Every byte.
    Contents,
}

/// A file that a submission names and that cannot be given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileTrouble {
    /// Its name in the file store.
    pub id: String,
    /// The submission that names it.
    pub reference: Reference,
    /// Whether it is gone; otherwise its bytes have changed.
    pub is_missing: bool,
}

impl FileStore {
    /// Files that submissions name and that are missing or damaged.
    ///
    /// # Errors
    /// [`FileError`] when the store cannot be read, the disk refuses or the bucket does not answer.
    pub fn verify(&self, store: &Store, reading: Reading) -> Result<Vec<FileTrouble>, FileError> {
        let mut troubles = Vec::new();
        let sizes = match reading {
            Reading::Sizes => Some(self.folders.shelves.sizes()?),
            Reading::Contents => None,
        };
        for (file, reference) in store.kept_files()? {
            let found = match &sizes {
                Some(sizes) => measure(sizes, &file),
                None => self.pieces(&file, |_| {}),
            };
            let is_missing = match found {
                Ok(()) => continue,
                Err(FileError::Missing { .. }) => true,
                Err(FileError::Damaged { .. }) => false,
                Err(error) => return Err(error),
            };
            // Erased since the list was drawn up: nobody misses it.
            if store.knows_file(&file.id)? {
                troubles.push(FileTrouble { id: file.id, reference, is_missing });
            }
        }
        Ok(troubles)
    }
}

fn measure(sizes: &Sizes<'_>, file: &StoredFile) -> Result<(), FileError> {
    let found = if is_id(&file.id) { sizes.of(&file.id)? } else { None };
    match found {
        Some(size) if size == sealed_size(file.size) => Ok(()),
        Some(_) => Err(FileError::Damaged { id: file.id.clone() }),
        None => Err(FileError::Missing { id: file.id.clone() }),
    }
}
