//! The format of a database, asked without changing it, and a copy of what an upgrade will change.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::open::{self, create_private_dir, sync_dir};
use super::{StoreOptions, postgres, upgrade};

/// The format of a database, and the one this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// What is there.
    pub found: i32,
    /// What an opening makes of it.
    pub known: i32,
}

impl Format {
    /// Whether the next opening changes it.
    pub fn is_old(self) -> bool {
        self.found < self.known
    }
}

/// The format of the database of `dir`, or of the server that is named. Nothing is written, and no key is asked for.
///
/// # Errors
/// [`StoreError::Absent`] or [`StoreError::Lost`] when there is none, [`StoreError::Newer`] when this program is too old for it,
/// and what keeps it from
/// being read.
pub(super) fn format(dir: &Path, options: &StoreOptions) -> Result<Format, StoreError> {
    if let Some(base) = &options.base {
        return postgres::format(base);
    }
    let path = dir.join(open::FILE);
    if !open::is_in(dir)? {
        return Err(open::absent(dir));
    }
    let reading = if open::is_read_only(dir) { open::Reading::Frozen } else { open::Reading::Shared };
    let connection = open::reading_connection(&path, reading)?;
    match open::owner(&connection, &path)? {
        0 => Err(StoreError::Absent { path }),
        found => Ok(Format { found, known: upgrade::SCHEMA }),
    }
}

/// Copies the data folder as it is to `destination`, which must not exist: database, log, files; neither the key nor the locks.
/// Nobody serves meanwhile.
///
/// # Errors
/// [`StoreError::Locked`] when somebody does, [`StoreError::Full`] or [`StoreError::Io`]; the unfinished copy is removed.
pub(super) fn keep_as_it_is(dir: &Path, destination: &Path) -> Result<(), StoreError> {
    let _nobody_else = open::all_locks(dir)?;
    if destination.exists() {
        return Err(StoreError::io(destination, std::io::ErrorKind::AlreadyExists.into()));
    }
    let mut unfinished = destination.as_os_str().to_owned();
    unfinished.push(".inachevee");
    let unfinished = PathBuf::from(unfinished);
    let copied = create_private_dir(&unfinished).and_then(|()| {
        for name in COPIED {
            copy(&dir.join(name), &unfinished.join(name))?;
        }
        sync_dir(&unfinished)?;
        fs::rename(&unfinished, destination).map_err(|error| StoreError::io(destination, error))
    });
    if copied.is_err() {
        // Why the copy failed is worth more than why its rest stays.
        let _ = fs::remove_dir_all(&unfinished);
    }
    copied
}

/// Copies a file or a folder; nothing when there is none.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    // What a link leads to is copied: the folder of files may lie on another disk.
    let metadata = match fs::metadata(from) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(from, error)),
    };
    if metadata.is_dir() {
        create_private_dir(to)?;
        for entry in fs::read_dir(from).map_err(|error| StoreError::io(from, error))? {
            let entry = entry.map_err(|error| StoreError::io(from, error))?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return sync_dir(to);
    }
    let mut read = File::open(from).map_err(|error| StoreError::io(from, error))?;
    let mut written = open::private_file(to)?;
    std::io::copy(&mut read, &mut written)
        .and_then(|_| written.flush())
        .and_then(|()| written.sync_all())
        .map_err(|error| StoreError::io(to, error))
}

/// What an upgrade may change.
const COPIED: [&str; 4] = [open::FILE, "guichet.db-wal", "pj", "entrants"];
