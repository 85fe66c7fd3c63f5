//! Says whether a commune's site is still the right one by looking at its files, not into them.
//!
//! As git does: path, size, inode and times, of files and of folders. What was touched within [`RACY_NS`] of the look could
//! change again within the resolution of the clock: such a commune gets no fingerprint and is built again.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::fs::{self, Walk};
use crate::load::{Member, Territoire};

/// Fingerprints of the communes of a territoire, by one program.
pub(super) struct Fingerprints<'t> {
    territoire: &'t Territoire,
    shared: blake3::Hash,
    /// Nanoseconds since 1970 from which on a file is too new to be trusted.
    too_new_ns: i128,
    is_shared_new: bool,
}

/// How long before a look a file or a folder must have been left alone: two seconds, the coarsest clock of file systems in use (FAT).
const RACY_NS: i128 = 2_000_000_000;

impl<'t> Fingerprints<'t> {
    /// Makes ready to look at communes; `program` tells one program from another.
    pub(super) fn of(territoire: &'t Territoire, program: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"mulot 1").update(program);
        territoire.feed(&mut hasher);
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        let too_new_ns = now_ns - RACY_NS;
        let is_shared_new = territoire.newest_ns() >= too_new_ns;
        Fingerprints { territoire, shared: hasher.finalize(), too_new_ns, is_shared_new }
    }

    /// The same, which trust what has just been touched.
    #[cfg(test)]
    pub(super) fn trusting(self) -> Self {
        Fingerprints { too_new_ns: i128::MAX, is_shared_new: false, ..self }
    }

    /// The fingerprint of a commune, hexadecimal; empty when it cannot be trusted.
    pub(super) fn commune(&self, member: &Member) -> String {
        let Walk { files, folders, troubles } = fs::walk(&member.folder, &self.territoire.root);
        let found = || folders.iter().chain(&files);
        let newest = found().map(|file| file.stamp.modified_ns.max(file.stamp.changed_ns)).max();
        if self.is_shared_new || !troubles.is_empty() || newest.is_none_or(|newest| newest >= self.too_new_ns) {
            return String::new();
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.shared.as_bytes()).update(member.name.as_bytes());
        self.territoire.feed_own(&member.name, &mut hasher);
        for file in found() {
            fs::feed(&file.relative, file.size, &file.stamp, &mut hasher);
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Tells this program from another: its version, and the file it runs from.
pub fn program(version: &str, executable: Option<&Path>) -> Vec<u8> {
    let mut identity = version.as_bytes().to_vec();
    if let Some(data) = executable.and_then(|path| std::fs::metadata(path).ok()) {
        let modified = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        identity.extend(data.len().to_le_bytes());
        identity.extend(modified.map_or(0, |since| since.as_nanos()).to_le_bytes());
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_went_and_came_back_shows_though_no_file_of_it_changed() {
        let root = tempfile::tempdir().expect("a folder");
        let commune = root.path().join("communes/aulnay");
        std::fs::create_dir_all(commune.join("actualites")).expect("a folder");
        std::fs::write(root.path().join("territoire.toml"), "nom = \"Pays\"\n").expect("a file");
        std::fs::write(commune.join("actualites/a.md"), "+++\n+++\n").expect("a file");
        // Otherwise all could happen within one tick of the clock.
        std::fs::File::open(&commune).and_then(|it| it.set_modified(UNIX_EPOCH)).expect("an old folder");
        let (territoire, told) = Territoire::read(root.path());
        let territoire = territoire.unwrap_or_else(|| panic!("{told:?}"));
        let print = || {
            let members = territoire.members().expect("members");
            Fingerprints::of(&territoire, b"").trusting().commune(&members[0])
        };
        let before = print();
        assert!(!before.is_empty());
        assert_eq!(before, print());
        let aside = root.path().join("ailleurs");
        std::fs::rename(commune.join("actualites"), &aside).expect("moved");
        assert_ne!(before, print());
        std::fs::rename(&aside, commune.join("actualites")).expect("moved back");
        assert_ne!(before, print());
    }

    #[test]
    fn what_has_just_been_touched_is_not_trusted() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("communes/aulnay/pages")).expect("a folder");
        std::fs::write(root.path().join("territoire.toml"), "nom = \"Pays\"\n").expect("a file");
        let (territoire, told) = Territoire::read(root.path());
        let territoire = territoire.unwrap_or_else(|| panic!("{told:?}"));
        let member = &territoire.members().expect("members")[0];
        assert_eq!(Fingerprints::of(&territoire, b"").commune(member), "", "its folders are new");
        assert_ne!(Fingerprints::of(&territoire, b"").trusting().commune(member), "");
    }
}
