//! Seals the files of a folder from the time when they lay in clear. Stopped at any moment, it can be run again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::folder::{names, remove_if_there};
use super::sealed::{SealedWriter, is_sealed};
use super::{DESCRIPTION, DRAFTS, FileError, FileStore, KEPT, failed, is_id};
use crate::intake::seal::Seal;
use crate::intake::store::sync_dir;
use crate::model::submission::StoredFile;

/// Seals every file of the guichet's folder that is not yet; to be called while nobody else uses it.
///
/// What no draft describes was left by a process that died: it goes.
pub(in crate::intake) fn seal_folder(dir: &Path, seal: &Seal) -> Result<(), FileError> {
    if !dir.join(DRAFTS).exists() && !dir.join(KEPT).exists() {
        return Ok(());
    }
    let store = FileStore::open(dir, seal, 0)?;
    for shelf in names(&store.folders.shelves.folder.kept)? {
        let shelf = store.folders.shelves.folder.kept.join(shelf);
        for id in names(&shelf)?.into_iter().filter(|id| is_id(id)) {
            store.seal_file(&shelf.join(&id), &id)?;
        }
        if shelf.is_dir() {
            sync_dir(&shelf)?;
        }
    }
    store.seal_drafts()?;
    Ok(sync_dir(&store.folders.shelves.folder.drafts)?)
}

impl FileStore {
    fn seal_drafts(&self) -> Result<(), FileError> {
        let folder = &self.folders.shelves.folder.drafts;
        for name in names(folder)? {
            let path = folder.join(&name);
            match name.rsplit_once('.').filter(|(id, _)| is_id(id)) {
                Some((_, DESCRIPTION)) => {}
                Some((id, "json")) => {
                    let bytes = fs::read(&path).map_err(|error| failed(&path, error))?;
                    // One that cannot be read describes nothing: its draft goes with it.
                    if let Some(file) = serde_json::from_slice::<StoredFile>(&bytes).ok().filter(|file| file.id == id) {
                        self.folders.describe(&file)?;
                    }
                    sync_dir(folder)?;
                    remove_if_there(&path)?;
                }
                Some((_, "part")) => {}
                _ => {
                    remove_if_there(&path)?;
                }
            }
        }
        for name in names(folder)? {
            if let Some(id) = name.strip_suffix(".part") {
                let path = folder.join(&name);
                if self.folders.shelves.folder.sidecar_path(id).exists() {
                    self.seal_file(&path, id)?;
                } else {
                    remove_if_there(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Puts a sealed file in the place of the clear one.
    fn seal_file(&self, path: &Path, id: &str) -> Result<(), FileError> {
        let wrong = |error| failed(path, error);
        let mut clear = File::open(path).map_err(wrong)?;
        let mut piece = vec![0; 64 << 10];
        let mut length = read_some(&mut clear, &mut piece).map_err(wrong)?;
        if is_sealed(&piece[..length]) {
            return Ok(());
        }
        let draft = tempfile::NamedTempFile::new_in(&self.folders.shelves.folder.drafts).map_err(wrong)?;
        let mut writer = SealedWriter::new(&self.folders.seal, id, draft).map_err(wrong)?;
        while length > 0 {
            writer.write(&piece[..length]).map_err(wrong)?;
            length = read_some(&mut clear, &mut piece).map_err(wrong)?;
        }
        let mut draft = writer.finish().map_err(wrong)?;
        draft.flush().and_then(|()| draft.as_file().sync_all()).map_err(wrong)?;
        draft.persist(path).map_err(|error| wrong(error.error))?;
        Ok(())
    }
}

/// As many bytes as there are, up to a whole piece.
fn read_some(source: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < piece.len() {
        match source.read(&mut piece[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}
