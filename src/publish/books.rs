//! What a target remembers of what stands there: a few small JSON files beside the site, the same at every kind of target.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::PublishError;
use super::tree::is_version;
use crate::model::publication::{Manifest, Version};

/// The versions that stand, oldest first; the last one is served.
pub(super) const HISTORY: &str = "historique.json";
/// What an interrupted publication has touched.
pub(super) const UNDER_WAY: &str = "envoi.json";
/// Who publishes at this moment.
pub(super) const LOCK: &str = "verrou";

/// Small files kept beside the site.
pub(super) trait Books {
    /// Where they are, for sentences.
    fn place(&self) -> String;
    /// The bytes of one; `None` when it does not exist.
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, PublishError>;
    /// Writes one, whole or not at all.
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), PublishError>;
    /// Removes one; absent is fine.
    fn discard(&mut self, name: &str) -> Result<(), PublishError>;

    /// One of them as data; `None` when it does not exist.
    fn data<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, PublishError>
    where
        Self: Sized,
    {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let damaged = |_| PublishError::Damaged { place: self.place(), name: name.to_owned() };
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Writes data.
    fn keep_data<T: Serialize>(&mut self, name: &str, data: &T) -> Result<(), PublishError>
    where
        Self: Sized,
    {
        let bytes = serde_json::to_vec(data).unwrap_or_default();
        self.write(name, &bytes)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) versions: Vec<Version>,
    /// Whether files went one by one: the versions before the one served are then not whole folders.
    #[serde(default, rename = "fichier_par_fichier")]
    pub(super) one_by_one: bool,
}

impl History {
    pub(super) fn load(books: &mut impl Books) -> Result<History, PublishError> {
        let history: History = books.data(HISTORY)?.unwrap_or_default();
        if history.versions.iter().any(|one| !is_version(&one.version)) {
            return Err(PublishError::Damaged { place: books.place(), name: HISTORY.into() });
        }
        Ok(history)
    }

    /// The version served.
    pub(super) fn live(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The version served before it.
    pub(super) fn previous(&self) -> Option<&Version> {
        self.versions.iter().rev().nth(1)
    }

    /// A version becomes the one served; the oldest ones beyond `kept` go. Gives those that went.
    pub(super) fn push(&mut self, version: &str, at: Timestamp, kept: usize) -> Vec<Version> {
        self.versions.retain(|one| one.version != version);
        self.versions.push(Version { version: version.to_owned(), at });
        let beyond = self.versions.len().saturating_sub(kept.max(1));
        self.versions.drain(..beyond).collect()
    }

    /// What really stands, when a publication was interrupted between showing a version and writing it down.
    pub(super) fn agree_with(&mut self, live: Option<&Version>) {
        match live {
            None => self.versions.clear(),
            Some(live) => match self.versions.iter().position(|one| one.version == live.version) {
                Some(at) => self.versions.truncate(at + 1),
                None => self.versions.push(live.clone()),
            },
        }
    }
}

/// Name of the manifest of a version.
pub(super) fn manifest_name(version: &str) -> String {
    format!("manifestes/{version}.json")
}

/// What a version holds; nothing when there is none.
pub(super) fn manifest(books: &mut impl Books, version: Option<&Version>) -> Result<Manifest, PublishError> {
    match version {
        Some(version) => Ok(books.data(&manifest_name(&version.version))?.unwrap_or_default()),
        None => Ok(Manifest::default()),
    }
}

/// Takes the lock of a target that has none of its own: a file that names who publishes. `ours` is the same for every run on
/// this machine, so that an interrupted one is simply run again.
pub(super) fn lock(books: &mut impl Books, ours: &str, take_over: bool) -> Result<(), PublishError> {
    let busy = |books: &mut dyn FnMut() -> String| PublishError::Busy { place: books() };
    let there = books.read(LOCK)?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    if there.is_some_and(|there| there != ours) && !take_over {
        return Err(busy(&mut || books.place()));
    }
    books.write(LOCK, ours.as_bytes())?;
    // Two that came at the same instant: the last one to write has it.
    let there = books.read(LOCK)?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    if there.as_deref() != Some(ours) {
        return Err(busy(&mut || books.place()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn versions(history: &History) -> String {
        history.versions.iter().map(|one| one.version.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_history_keeps_so_many_versions_and_each_once() {
        let mut history = History::default();
        for version in ["a", "b", "a", "c"] {
            history.push(version, at(), 3);
        }
        assert_eq!(versions(&history), "b a c");
        let gone = history.push("d", at(), 3);
        assert_eq!((versions(&history).as_str(), gone[0].version.as_str()), ("a c d", "b"));
        assert_eq!(history.previous().map(|one| one.version.as_str()), Some("c"));
    }

    #[test]
    fn what_stands_is_believed_rather_than_what_is_written() {
        let version = |name: &str| Version { version: name.into(), at: at() };
        let mut history = History { versions: vec![version("a"), version("b")], ..History::default() };
        history.agree_with(Some(&version("c")));
        assert_eq!(versions(&history), "a b c");
        history.agree_with(Some(&version("a")));
        assert_eq!(versions(&history), "a");
        history.agree_with(None);
        assert_eq!(versions(&history), "");
    }
}
