//! A layer that several communes share: its files are found once, its texts decoded and typed once for all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use unicode_normalization::UnicodeNormalization;

use super::{Embedded, Entry, Text, trouble};
use crate::diagnostic::Diagnostic;
use crate::fs::{self, Stamp, Walk};
use crate::model::content::Layer;
use crate::model::site::FileData;

/// A layer below a commune.
#[derive(Default)]
pub struct Shared {
    files: BTreeMap<String, Known>,
    troubles: Vec<Diagnostic>,
}

/// A file of a shared layer.
pub(super) struct Known {
    pub(super) entry: Entry,
    stamp: Stamp,
    text: OnceLock<Text>,
}

impl Known {
    /// What is written in it; the first who asks has it read.
    pub(super) fn text(&self, path: &str) -> Text {
        self.text.get_or_init(|| super::read(path, &self.entry)).clone()
    }
}

impl Shared {
    /// A layer that lives in the binary: the catalogue.
    pub fn embedded(files: &Embedded) -> Shared {
        let known = files.iter().map(|(path, bytes)| {
            let (data, size) = (FileData::Memory(Arc::from(&bytes[..])), bytes.len() as u64);
            (path.clone(), Known::new(Entry { layer: Layer::Catalogue, data, size }, Stamp::default()))
        });
        Shared { files: known.collect(), troubles: Vec::new() }
    }

    /// The files below a folder; links are followed within `bounds`.
    pub(super) fn folder(folder: &Path, layer: Layer, bounds: &Path) -> Shared {
        // A territoire may have nothing to share.
        let Walk { files, troubles, .. } = if folder.exists() { fs::walk(folder, bounds) } else { Walk::default() };
        let files = files.into_iter().map(|file| {
            let entry = Entry { layer, data: FileData::Disk(file.path), size: file.size };
            (file.relative.nfc().collect(), Known::new(entry, file.stamp))
        });
        Shared { files: files.collect(), troubles: troubles.into_iter().map(trouble).collect() }
    }

    /// The bytes of a file that lives in the binary.
    pub fn bytes(&self, path: &str) -> Option<Arc<[u8]>> {
        match &self.files.get(path)?.entry.data {
            FileData::Memory(bytes) => Some(bytes.clone()),
            FileData::Disk(_) => None,
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&String, &Known)> {
        self.files.iter()
    }

    /// Feeds a hasher with what tells that a file has come, gone or changed.
    pub(super) fn feed(&self, hasher: &mut blake3::Hasher) {
        for (path, known) in &self.files {
            fs::feed(path, known.entry.size, &known.stamp, hasher);
        }
    }

    /// Nanoseconds since 1970 when one of its files was last touched.
    pub(super) fn newest_ns(&self) -> i128 {
        let touched = self.files.values().map(|known| known.stamp.modified_ns.max(known.stamp.changed_ns));
        touched.max().unwrap_or(0)
    }

    /// Takes a file out.
    pub(super) fn take(&mut self, path: &str) -> Option<Known> {
        self.files.remove(path)
    }

    /// What was found wrong while looking for files.
    pub(super) fn take_troubles(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.troubles)
    }
}

impl Known {
    fn new(entry: Entry, stamp: Stamp) -> Self {
        Known { entry, stamp, text: OnceLock::new() }
    }
}
