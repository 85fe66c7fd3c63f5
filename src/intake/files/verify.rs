//! Compares what the rows say of files with what the disk holds.

use std::fs;
use std::io;

use serde::Serialize;

use super::sealed::sealed_size;
use super::{FileError, FileStore, failed, is_id};
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
    /// [`FileError`] when the store cannot be read or the disk refuses.
    pub fn verify(&self, store: &Store, reading: Reading) -> Result<Vec<FileTrouble>, FileError> {
        let mut troubles = Vec::new();
        for (file, reference) in store.kept_files()? {
            let found = match reading {
                Reading::Sizes => self.measure(&file),
                Reading::Contents => self.pieces(&file, |_| {}),
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

    fn measure(&self, file: &StoredFile) -> Result<(), FileError> {
        if !is_id(&file.id) {
            return Err(FileError::Missing { id: file.id.clone() });
        }
        let path = self.kept_path(&file.id);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() == sealed_size(file.size) => Ok(()),
            Ok(_) => Err(FileError::Damaged { id: file.id.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FileError::Missing { id: file.id.clone() }),
            Err(error) => Err(failed(&path, error)),
        }
    }
}
