//! Brings a copy back into an empty folder: all of it is checked in a corner before the database appears.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::manifest::{Entry, Manifest};
use super::{BackupError, copy_file, failed, is_empty};
use crate::intake::files::{BucketPlace, FileOptions, FileStore, FileTrouble, KEPT, Reading};
use crate::intake::store::{
    Access, Base, Counts, Damage, FILE, Store, StoreError, StoreOptions, create_private_dir, examine, sync_dir,
};
use crate::intake::token::{KEY_FILE, KeyError};

/// What was brought back, and what was already wrong with it when it was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// When the copy was made: what came later is not in it.
    pub made_at: Timestamp,
    /// How many of each.
    pub counts: Counts,
    /// Files brought back.
    pub files: usize,
    /// Values that do not open.
    pub damaged: Vec<Damage>,
    /// Files missing or damaged.
    pub troubles: Vec<FileTrouble>,
}

/// Brings a copy back into `target`, made if needed and otherwise empty.
///
/// The key is `given`, else that of the copy, else the one that is at `key_file` already; it ends at `key_file`, `cle` in the
/// target when there is none. The database goes to `base` when there is one, the files to `bucket`.
///
/// # Errors
/// [`BackupError`]; the target then holds no database.
pub fn restore(
    backup: &Path,
    target: &Path,
    (given, key_file): (Option<&Path>, Option<&Path>),
    (base, bucket): (Option<&Base>, Option<&BucketPlace>),
) -> Result<Restored, BackupError> {
    let manifest = Manifest::read(backup)?;
    let staging = target.join(STAGING);
    // One that was interrupted before is begun again.
    if staging.exists() {
        fs::remove_dir_all(&staging).map_err(|error| failed(&staging, error))?;
    }
    if !is_empty(target)? {
        return Err(BackupError::NotEmpty { path: target.to_owned() });
    }
    create_private_dir(&staging)?;
    let restored = bring_back(&manifest, backup, target, (given, key_file), (base, bucket));
    let cleared = fs::remove_dir_all(&staging).map_err(|error| failed(&staging, error));
    let restored = restored?;
    cleared?;
    sync_dir(target)?;
    Ok(restored)
}

fn bring_back(
    manifest: &Manifest,
    backup: &Path,
    target: &Path,
    (given, key_file): (Option<&Path>, Option<&Path>),
    (base, bucket): (Option<&Base>, Option<&BucketPlace>),
) -> Result<Restored, BackupError> {
    let staging = target.join(STAGING);
    copy_checked(&backup.join(FILE), &staging.join(FILE), &manifest.database)?;
    create_private_dir(&staging.join(KEPT))?;
    for (name, entry) in &manifest.files {
        let to = staging.join(name);
        create_private_dir(to.parent().unwrap_or(&staging))?;
        copy_checked(&backup.join(name), &to, entry)?;
    }
    let database = staging.join(FILE);
    let copied = examine(&database)?;
    let named = |id: &String| format!("{KEPT}/{}/{id}", id.get(..2).unwrap_or_default());
    let is_listed = |name: &String| manifest.files.contains_key(name) || manifest.lost.contains(name);
    if copied.files.iter().map(named).any(|name| !is_listed(&name)) {
        return Err(BackupError::Damaged { path: backup.join(FILE) });
    }
    let place = key_file.map_or_else(|| target.join(KEY_FILE), Path::to_owned);
    let key = staged_key(manifest, backup, given, &place)?;
    if key != place {
        copy_file(&key, &staging.join(KEY_FILE))?;
    }
    let used = if key == place { place.clone() } else { staging.join(KEY_FILE) };
    let restored = look(&staging, used, manifest, bucket).map_err(|error| match error {
        BackupError::Store(StoreError::WrongKey { .. }) => {
            BackupError::Store(StoreError::WrongKey { path: key.clone() })
        }
        BackupError::Store(StoreError::Key(error)) if matches!(*error, KeyError::Malformed { .. }) => {
            BackupError::Store(StoreError::Key(Arc::new(KeyError::Malformed { path: key.clone() })))
        }
        error => error,
    })?;
    let is_new_key = key != place && !place.exists();
    if is_new_key {
        copy_file(&staging.join(KEY_FILE), &place)?;
    }
    for shelf in fs::read_dir(staging.join(KEPT)).map_err(|error| failed(&staging, error))?.flatten() {
        sync_dir(&shelf.path())?;
    }
    // The database last: before it is there, the folder is nobody's guichet.
    let put = |name: &str| {
        let to = target.join(name);
        fs::rename(staging.join(name), &to).map_err(|error| failed(&to, error))?;
        sync_dir(target).map_err(BackupError::from)
    };
    put(KEPT)?;
    match base {
        None => put(FILE)?,
        Some(base) => fill(base, &staging, &place).inspect_err(|_| {
            // So that it can be tried again: the folder is to be as it was.
            let _ = fs::rename(target.join(KEPT), staging.join(KEPT));
            if is_new_key {
                let _ = fs::remove_file(&place);
            }
        })?,
    }
    Ok(restored)
}

/// Puts the database of a copy on a server, where nothing may have been recorded yet.
fn fill(base: &Base, staging: &Path, key_file: &Path) -> Result<(), BackupError> {
    let key_file = Some(key_file.to_owned());
    let options = StoreOptions { base: Some(base.clone()), key_file, ..StoreOptions::default() };
    // In the corner: whoever serves takes a place of his own in the folder.
    let is_filled = Store::open(staging, options)?.fill_from(&staging.join(FILE))?;
    if is_filled { Ok(()) } else { Err(BackupError::NotEmpty { path: PathBuf::from(base.name()) }) }
}

/// Where the key is read from; one that is already in place is never replaced.
fn staged_key(manifest: &Manifest, backup: &Path, given: Option<&Path>, place: &Path) -> Result<PathBuf, BackupError> {
    if place.exists() {
        return Ok(place.to_owned());
    }
    match (given, &manifest.key) {
        (Some(given), _) => Ok(given.to_owned()),
        (None, Some(entry)) => {
            let key = backup.join(KEY_FILE);
            check(&key, entry)?;
            Ok(key)
        }
        (None, None) => Err(BackupError::KeyMissing { path: backup.to_owned() }),
    }
}

/// Opens what was brought back with its key and reads all of it; one of an older version is taken over here.
/// Then puts the files into the bucket, which a guichet that is not there yet cannot miss: what is tried in vain is an orphan there.
fn look(
    staging: &Path,
    key_file: PathBuf,
    manifest: &Manifest,
    bucket: Option<&BucketPlace>,
) -> Result<Restored, BackupError> {
    let options = StoreOptions { access: Access::Beside, key_file: Some(key_file), ..StoreOptions::default() };
    let store = Store::open(staging, options)?;
    let files = FileStore::open(staging, store.seal(), 0)?;
    let restored = Restored {
        made_at: manifest.made_at,
        counts: store.counts()?,
        files: manifest.files.len(),
        damaged: store.damaged()?,
        troubles: files.verify(&store, Reading::Contents)?,
    };
    if let Some(bucket) = bucket {
        let shared = FileStore::open_with(staging, store.seal(), FileOptions::beside(Some(bucket.clone())))?;
        for name in manifest.files.keys() {
            shared.put_back(name.rsplit('/').next().unwrap_or_default(), &staging.join(name))?;
        }
        fs::remove_dir_all(staging.join(KEPT)).map_err(|error| failed(staging, error))?;
        create_private_dir(&staging.join(KEPT))?;
    }
    Ok(restored)
}

fn copy_checked(from: &Path, to: &Path, expected: &Entry) -> Result<(), BackupError> {
    match copy_file(from, to) {
        Ok(found) if found == *expected => Ok(()),
        Ok(_) => Err(BackupError::Damaged { path: from.to_owned() }),
        Err(BackupError::Io { path, source }) if source.kind() == std::io::ErrorKind::NotFound && path == from => {
            Err(BackupError::Damaged { path })
        }
        Err(error) => Err(error),
    }
}

fn check(path: &Path, expected: &Entry) -> Result<(), BackupError> {
    match super::hash_file(path) {
        Ok(found) if found == *expected => Ok(()),
        Err(BackupError::Io { source, .. }) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(path, source))
        }
        _ => Err(BackupError::Damaged { path: path.to_owned() }),
    }
}

/// Corner of the target where a copy is checked.
const STAGING: &str = ".restauration";
