//! Where files go one by one: in an order that never breaks a link, what they replace being kept first.
//!
//! What is about to be touched is written down before it is touched, so that a run that was killed is taken up where it was:
//! a path is known to hold the old file, or the new one, or one of the two.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::books::{Books, HISTORY, History, LOCK, UNDER_WAY, lock, manifest, manifest_name};
use super::error::PublishError;
use super::tree::Tree;
use super::{Access, Host, Order, Result, Standing};
use crate::model::publication::{Manifest, Turn, Version};

/// Files between two notes of how far we are.
const STRIDE: usize = 48;

/// Files that visitors see, and those kept for going back, by fingerprint.
pub(super) trait Shelf: Books {
    /// Puts files, each in one step for whoever reads it.
    fn put(&mut self, files: &[(String, PathBuf)]) -> Result<()>;
    /// Keeps what stands at these paths under its fingerprint.
    fn keep(&mut self, files: &[(String, String)]) -> Result<()>;
    /// Puts what is kept under a fingerprint at a path; `false` when one of them is not kept.
    fn restore(&mut self, files: &[(String, String)]) -> Result<bool>;
    /// Removes files; absent is fine.
    fn remove(&mut self, paths: &[String]) -> Result<()>;
    /// Removes what is kept under these fingerprints; absent is fine.
    fn forget(&mut self, hashes: &[String]) -> Result<()>;
    /// Whether something of visitors stands there that we did not put.
    fn is_foreign(&mut self) -> Result<bool>;
    /// A file that cannot be used there, and is left out (a compressed twin, where nothing chooses between twins).
    fn leaves_out(&self, path: &str, manifest: &Manifest) -> bool;
}

/// What a publication that is under way has touched.
#[derive(Debug, Default, Serialize, Deserialize)]
struct UnderWay {
    /// The version that was served when it began.
    depuis: Option<String>,
    /// Path → what it holds now: a fingerprint, `""` for nothing, `null` for one of the two.
    touches: BTreeMap<String, Option<String>>,
}

/// A target where files go one by one.
pub(super) struct Ordered<S: Shelf> {
    shelf: S,
    kept: usize,
    under_way: UnderWay,
    locked: bool,
}

/// Where the files of the new version come from.
enum From<'a> {
    Tree(&'a Tree),
    Kept,
}

impl<S: Shelf> Ordered<S> {
    pub(super) fn open(mut shelf: S, kept: usize, order: &Order<'_>, access: Access, name: &str) -> Result<Ordered<S>> {
        let history = History::load(&mut shelf)?;
        if history.live().is_some() && !history.one_by_one {
            return Err(PublishError::OtherWay { place: shelf.place() });
        }
        let known = history.live().is_some() || shelf.read(UNDER_WAY)?.is_some();
        if !known && shelf.is_foreign()? {
            return Err(PublishError::NotOurs {
                place: shelf.place(),
                remedy: "donnez un endroit vide ; pour remplir quand même celui-ci, écrivez ordonne = true (SSH) ou un autre \
                         préfixe (S3) dans [publication]",
            });
        }
        let locked = access == Access::Change;
        if locked {
            lock(&mut shelf, name, order.take_over)?;
        }
        Ok(Ordered { shelf, kept, under_way: UnderWay::default(), locked })
    }

    /// What a path holds; `None` when it is one of two things.
    fn holds(&self, path: &str, old: &Manifest) -> Option<String> {
        match self.under_way.touches.get(path) {
            Some(known) => known.clone(),
            None => Some(old.files.get(path).map(|file| file.hash.clone()).unwrap_or_default()),
        }
    }

    /// Makes what visitors see the wanted one.
    fn become_(&mut self, wanted: &Manifest, from: &From<'_>, old: &Manifest) -> Result<()> {
        let mut puts: Vec<(Turn, &String, &String)> = Vec::new();
        for (path, file) in &wanted.files {
            if self.holds(path, old).as_ref() != Some(&file.hash) {
                puts.push((Turn::of(path, !old.files.contains_key(path)), path, &file.hash));
            }
        }
        puts.sort();
        for stride in puts.chunk_by(|one, other| one.0 == other.0).flat_map(|turn| turn.chunks(STRIDE)) {
            let paths: Vec<String> = stride.iter().map(|(_, path, _)| (*path).clone()).collect();
            self.note(&paths, old)?;
            match from {
                From::Tree(tree) => {
                    let files: Vec<_> = paths.iter().map(|path| (path.clone(), tree.file(path))).collect();
                    self.shelf.put(&files)?;
                }
                From::Kept => {
                    let files: Vec<_> =
                        stride.iter().map(|(_, path, hash)| ((*path).clone(), (*hash).clone())).collect();
                    if !self.shelf.restore(&files)? {
                        return Err(PublishError::Damaged { place: self.shelf.place(), name: "objets".into() });
                    }
                }
            }
            for (_, path, hash) in stride {
                self.under_way.touches.insert((*path).clone(), Some((*hash).clone()));
            }
        }
        self.clear(wanted, old)
    }

    /// Removes what no page names any more: pages first, then what they named.
    fn clear(&mut self, wanted: &Manifest, old: &Manifest) -> Result<()> {
        let known: Vec<String> = old.files.keys().chain(self.under_way.touches.keys()).cloned().collect();
        let mut gone: Vec<String> = known
            .into_iter()
            .filter(|path| !wanted.files.contains_key(path) && self.holds(path, old).as_deref() != Some(""))
            .collect();
        gone.sort_by_key(|path| (!path.ends_with(".html"), path.clone()));
        gone.dedup();
        for stride in gone.chunks(STRIDE) {
            self.note(stride, old)?;
            self.shelf.remove(stride)?;
            for path in stride {
                self.under_way.touches.insert(path.clone(), Some(String::new()));
            }
        }
        Ok(())
    }

    /// Keeps what is about to be replaced, then writes down that it will be.
    fn note(&mut self, paths: &[String], old: &Manifest) -> Result<()> {
        let untouched = paths.iter().filter(|path| !self.under_way.touches.contains_key(*path));
        let keep: Vec<(String, String)> =
            untouched.filter_map(|path| Some((path.clone(), old.files.get(path)?.hash.clone()))).collect();
        self.shelf.keep(&keep)?;
        for path in paths {
            self.under_way.touches.insert(path.clone(), None);
        }
        self.shelf.keep_data(UNDER_WAY, &self.under_way)
    }

    /// Writes down what stands from now on, and removes what is kept for versions that went.
    fn settle(&mut self, history: &History, gone: &[(Version, Manifest)]) -> Result<()> {
        self.shelf.keep_data(HISTORY, history)?;
        self.shelf.discard(UNDER_WAY)?;
        self.under_way = UnderWay::default();
        let mut named = std::collections::BTreeSet::new();
        for version in &history.versions {
            named.extend(manifest(&mut self.shelf, Some(version))?.files.into_values().map(|file| file.hash));
        }
        for (version, manifest) in gone {
            let mut hashes: Vec<String> = manifest.files.values().map(|file| file.hash.clone()).collect();
            hashes.retain(|hash| !named.contains(hash));
            hashes.sort();
            hashes.dedup();
            self.shelf.forget(&hashes)?;
            self.shelf.discard(&manifest_name(&version.version))?;
        }
        Ok(())
    }

    fn with_manifests(&mut self, versions: Vec<Version>) -> Result<Vec<(Version, Manifest)>> {
        versions.into_iter().map(|one| manifest(&mut self.shelf, Some(&one)).map(|manifest| (one, manifest))).collect()
    }

    fn begin(&mut self, standing: &Standing) {
        if !standing.unfinished {
            self.under_way = UnderWay::default();
        }
        self.under_way.depuis = standing.history.live().map(|live| live.version.clone());
    }
}

impl<S: Shelf> Host for Ordered<S> {
    fn standing(&mut self) -> Result<Standing> {
        let history = History::load(&mut self.shelf)?;
        let manifest = manifest(&mut self.shelf, history.live())?;
        let under_way: Option<UnderWay> = self.shelf.data(UNDER_WAY)?;
        // One that was left by a run that ended between its last two notes is about a version that is served no more.
        let live = history.live().map(|live| live.version.clone());
        let unfinished = under_way.as_ref().is_some_and(|under_way| under_way.depuis == live);
        self.under_way = under_way.filter(|_| unfinished).unwrap_or_default();
        Ok(Standing { history, manifest, unfinished })
    }

    fn manifest_of(&mut self, version: &Version) -> Result<Manifest> {
        let found = manifest(&mut self.shelf, Some(version))?;
        if found.files.is_empty() {
            return Err(PublishError::Incomplete { place: self.shelf.place(), at: version.at });
        }
        Ok(found)
    }

    fn send(&mut self, tree: &Tree, standing: &mut Standing, now: Timestamp) -> Result<()> {
        self.begin(standing);
        standing.history.one_by_one = true;
        let mut wanted = tree.manifest.clone();
        let shelf = &self.shelf;
        wanted.files.retain(|path, _| !shelf.leaves_out(path, &tree.manifest));
        self.become_(&wanted, &From::Tree(tree), &standing.manifest)?;
        self.shelf.keep_data(&manifest_name(&tree.version), &wanted)?;
        let gone = standing.history.push(&tree.version, now, self.kept);
        let gone = self.with_manifests(gone)?;
        self.settle(&standing.history, &gone)
    }

    fn go_back(&mut self, standing: &mut Standing, to: &Version, wanted: &Manifest) -> Result<()> {
        self.begin(standing);
        self.become_(wanted, &From::Kept, &standing.manifest)?;
        let before = standing.history.versions.clone();
        standing.history.agree_with(Some(to));
        let gone = before[standing.history.versions.len()..].to_vec();
        let gone = self.with_manifests(gone)?;
        self.settle(&standing.history, &gone)
    }
}

impl<S: Shelf> Drop for Ordered<S> {
    /// Whoever comes next finds the door open; a run that was killed leaves its own name on it.
    fn drop(&mut self) {
        if self.locked {
            let _ = self.shelf.discard(LOCK);
        }
    }
}
