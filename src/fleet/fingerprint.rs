//! Says whether a commune's site is still the right one by looking at its files, not into them.
//!
//! As git does: path, size, inode and times. A file touched within [`RACY_NS`] of the look could change again within the
//! resolution of the clock: such a commune gets no fingerprint and is built again.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::fs;
use crate::load::{Member, Territoire};

/// Fingerprints of the communes of a territoire, by one program.
pub(super) struct Fingerprints<'t> {
    territoire: &'t Territoire,
    shared: blake3::Hash,
    /// Nanoseconds since 1970 from which on a file is too new to be trusted.
    too_new_ns: i128,
    is_shared_new: bool,
}

/// How long before a look a file must have been left alone: two seconds, the coarsest clock of file systems in use (FAT).
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

    /// The fingerprint of a commune, hexadecimal; empty when it cannot be trusted.
    pub(super) fn commune(&self, member: &Member) -> String {
        let (found, troubles) = fs::walk(&member.folder, &self.territoire.root);
        let newest = found.iter().map(|file| file.stamp.modified_ns.max(file.stamp.changed_ns)).max();
        if self.is_shared_new || !troubles.is_empty() || newest.is_none_or(|newest| newest >= self.too_new_ns) {
            return String::new();
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.shared.as_bytes()).update(member.name.as_bytes());
        self.territoire.feed_own(&member.name, &mut hasher);
        for file in &found {
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
