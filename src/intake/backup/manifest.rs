//! What a copy says it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BackupError, failed};

/// The list of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    #[serde(rename = "format")]
    version: u32,
    /// When it was made.
    #[serde(rename = "faite_le")]
    pub(super) made_at: Timestamp,
    /// The database.
    #[serde(rename = "base")]
    pub(super) database: Entry,
    /// Relative path → file.
    #[serde(rename = "fichiers")]
    pub(super) files: BTreeMap<String, Entry>,
    /// Files the database names that were already gone.
    #[serde(rename = "perdus")]
    pub(super) lost: BTreeSet<String>,
    /// The key, when it was copied too.
    #[serde(rename = "cle", skip_serializing_if = "Option::is_none", default)]
    pub(super) key: Option<Entry>,
}

/// A file as it was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Bytes.
    #[serde(rename = "taille")]
    pub(super) size: u64,
    /// BLAKE3 of them, hexadecimal.
    pub(super) blake3: String,
}

impl Manifest {
    pub(super) fn new(database: Entry) -> Manifest {
        Manifest {
            version: VERSION,
            made_at: Timestamp::UNIX_EPOCH,
            database,
            files: BTreeMap::new(),
            lost: BTreeSet::new(),
            key: None,
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), BackupError> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| failed(path, io::Error::other(error)))?;
        let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
        let mut file = opened.map_err(|error| failed(path, error))?;
        file.write_all(&json).and_then(|()| file.sync_all()).map_err(|error| failed(path, error))
    }

    /// The manifest of a folder.
    pub(super) fn read(backup: &Path) -> Result<Manifest, BackupError> {
        let wrong = |reason: String| BackupError::NotABackup { path: backup.to_owned(), reason };
        let path = backup.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(wrong("manifeste.json n'y est pas".into()));
            }
            read => read.map_err(|error| failed(&path, error))?,
        };
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|_| wrong("manifeste.json est abîmé".into()))?;
        if manifest.version != VERSION {
            return Err(wrong(format!("son format, {}, n'est pas connu de cette version de Mulot", manifest.version)));
        }
        // What a manifest says becomes a path: only the names we give.
        match manifest.files.keys().find(|name| !is_kept_name(name)) {
            Some(name) => Err(wrong(format!("manifeste.json nomme « {} »", name.escape_debug()))),
            None => Ok(manifest),
        }
    }
}

/// `pj/ab/ab…`, nothing else.
fn is_kept_name(name: &str) -> bool {
    let Some((shelf, id)) = name.strip_prefix("pj/").and_then(|rest| rest.split_once('/')) else { return false };
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    id.len() == 32 && is_hex(id) && id.starts_with(shelf) && shelf.len() == 2
}

/// Name of the manifest in a copy.
pub(super) const MANIFEST: &str = "manifeste.json";
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_french() {
        let dir = tempfile::tempdir().unwrap();
        let said = || match Manifest::read(dir.path()) {
            Err(BackupError::NotABackup { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(), "manifeste.json n'y est pas");
        fs::write(dir.path().join(MANIFEST), "{").unwrap();
        assert_eq!(said(), "manifeste.json est abîmé");
    }

    #[test]
    fn only_our_own_names_become_paths() {
        let id = "ab".repeat(16);
        assert!(is_kept_name(&format!("pj/ab/{id}")));
        for name in ["", "pj/", "guichet.db", "../cle", "pj/../cle", &format!("pj/cd/{id}"), &format!("/pj/ab/{id}")] {
            assert!(!is_kept_name(name), "{name}");
        }
    }
}
