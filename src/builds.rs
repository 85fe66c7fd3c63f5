//! What is known of the last build of each commune of a territoire, kept beside the sites: `sites/.etat/NOM.json`.
//!
//! Decides nothing. A record that is missing or cannot be read only means that the commune is built again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fs::{self, FsError};

/// The last build of a commune.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Name of the commune; empty when it has never been read.
    pub nom: String,
    /// Scheme and host of its site; empty when blank.
    pub domaine: String,
    /// What the site was built from, hexadecimal; empty when it must be built again whatever happens.
    pub empreinte: String,
    /// The fingerprint of which every page was checked without an error; empty when none was.
    #[serde(default)]
    pub verifie: String,
    /// Instant the site was built for.
    pub pour: Timestamp,
    /// From this instant on the same folder gives another site.
    pub jusqu_a: Timestamp,
    /// When the site in place was written; `None` when there is none.
    pub construit_le: Option<Timestamp>,
    /// Files of the site in place.
    pub fichiers: usize,
    /// Bytes of the site in place.
    pub octets: u64,
    /// When it was tried last.
    pub essaye_le: Timestamp,
    /// How that went.
    pub issue: Issue,
    /// Diagnostics of the last try.
    pub signale: Counts,
    /// The same by rule: `M0701` → how many.
    #[serde(default)]
    pub regles: BTreeMap<String, usize>,
}

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issue {
    /// The site in place is that of the folder.
    Construit,
    /// The folder has errors; the first one, in a sentence.
    Refuse(String),
    /// The machine failed, in a sentence.
    Panne(String),
}

/// Diagnostics, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Errors.
    pub erreurs: usize,
    /// Warnings.
    pub avertissements: usize,
    /// Blanks.
    pub a_completer: usize,
}

/// Folder of the records, in that of the sites.
const FOLDER: &str = ".etat";

/// The last build of a commune, when it is known.
pub fn read(sites: &Path, commune: &str) -> Option<BuildRecord> {
    let bytes = std::fs::read(path(sites, commune)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Keeps the last build of a commune.
///
/// # Errors
/// [`FsError`] when it cannot be written.
pub fn keep(sites: &Path, commune: &str, record: &BuildRecord) -> Result<(), FsError> {
    let bytes = serde_json::to_vec_pretty(record).unwrap_or_default();
    // It holds nothing that the site does not show: another account may ask how it stands.
    fs::write_atomic_for_all(&path(sites, commune), &bytes)
}

fn path(sites: &Path, commune: &str) -> PathBuf {
    sites.join(FOLDER).join(format!("{commune}.json"))
}

/// Keeps two builds of the same sites from running at once; released when dropped.
pub struct Lock(#[allow(dead_code)] File);

impl Lock {
    /// Takes it, or `None` when another program holds it.
    ///
    /// # Errors
    /// [`FsError`] when its file cannot be made.
    pub fn take(sites: &Path) -> Result<Option<Lock>, FsError> {
        let folder = sites.join(FOLDER);
        fs::create_dir(&folder)?;
        let path = folder.join("verrou");
        let failed = |source| FsError { action: "verrouiller", path: path.clone(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
