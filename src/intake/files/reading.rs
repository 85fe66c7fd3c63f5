//! Gives accepted files back: whole for a mail, piece after piece for a browser.

use super::sealed::{ReadFault, SealedReader, sealed_size};
use super::shelves::Source;
use super::{FileError, FileStore, is_id};
use crate::model::submission::StoredFile;

/// An accepted file, opened and read piece after piece; each piece is proved before it is given.
#[derive(Debug)]
pub struct Pieces {
    reader: SealedReader<Source>,
    hasher: blake3::Hasher,
    store: FileStore,
    file: StoredFile,
}

impl Pieces {
    /// The next bytes, about 64 kB; `None` after the last.
    ///
    /// # Errors
    /// [`FileError::Damaged`] when the bytes are not those that were received, [`FileError::Io`], [`FileError::Bucket`].
    pub fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        let mut bytes = Vec::new();
        while bytes.len() < TOGETHER {
            match self.reader.next_piece() {
                Ok(Some(piece)) => bytes.extend_from_slice(piece),
                Ok(None) => break,
                Err(ReadFault::Broken) => return Err(self.damaged()),
                Err(ReadFault::Io(error)) => {
                    return Err(self.store.folders.shelves.unread(&self.file.id, error));
                }
            }
        }
        self.hasher.update(&bytes);
        if bytes.is_empty() {
            return if self.hasher.finalize().to_hex().as_str() == self.file.hash {
                Ok(None)
            } else {
                Err(self.damaged())
            };
        }
        Ok(Some(bytes))
    }

    fn damaged(&self) -> FileError {
        FileError::Damaged { id: self.file.id.clone() }
    }
}

impl FileStore {
    /// The bytes of an accepted file, checked against its seal, size and hash.
    ///
    /// # Errors
    /// [`FileError::Missing`], [`FileError::Damaged`], or [`FileError::Io`], [`FileError::Bucket`] when it may be there.
    pub fn read(&self, file: &StoredFile) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0).min(64 << 20));
        self.pieces(file, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Opens an accepted file, for the mairie that follows a link; counted.
    ///
    /// # Errors
    /// As [`FileStore::read`].
    pub fn give(&self, file: &StoredFile) -> Result<Pieces, FileError> {
        let pieces = self.opened(file)?;
        self.folders.room.read();
        Ok(pieces)
    }

    /// Gives an accepted file to `take` piece after piece; what was given before an error must be thrown away.
    pub(super) fn pieces(&self, file: &StoredFile, mut take: impl FnMut(&[u8])) -> Result<(), FileError> {
        let mut pieces = self.opened(file)?;
        while let Some(bytes) = pieces.next_bytes()? {
            take(&bytes);
        }
        Ok(())
    }

    fn opened(&self, file: &StoredFile) -> Result<Pieces, FileError> {
        let missing = || FileError::Missing { id: file.id.clone() };
        let damaged = || FileError::Damaged { id: file.id.clone() };
        if !is_id(&file.id) {
            return Err(missing());
        }
        let (source, size) = self.folders.shelves.open_kept(&file.id)?.ok_or_else(missing)?;
        // Before the first byte: no more memory than the file that was received ever took.
        if size != sealed_size(file.size) {
            return Err(damaged());
        }
        match SealedReader::new(&self.folders.seal, &file.id, source) {
            Ok(reader) => Ok(Pieces { reader, hasher: blake3::Hasher::new(), store: self.clone(), file: file.clone() }),
            Err(ReadFault::Broken) => Err(damaged()),
            Err(ReadFault::Io(error)) => Err(self.folders.shelves.unread(&file.id, error)),
        }
    }
}

/// Bytes given together.
const TOGETHER: usize = 64 << 10;
