//! What a build yields: files, given one by one to whoever takes them — the writer, or the memory of a server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::site::FileData;

/// One file of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artifact {
    /// Made by us.
    Bytes(Arc<[u8]>),
    /// Copied as it is.
    Copy(FileData),
}

/// Takes the files of a site one by one as they are drawn, from any thread; a path given twice is the last one given.
///
/// A site of ten thousand pages is never whole in memory unless the taker keeps it.
pub type Sink<'a> = &'a (dyn Fn(&str, Artifact) + Sync);

/// Path relative to the site's root (`actualites/index.html`) → file. Ordered, so that output is reproducible.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The files.
    pub files: BTreeMap<String, Artifact>,
}

impl Output {
    /// Adds a text or bytes made by us.
    pub fn put(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), Artifact::Bytes(bytes.into().into()));
    }

    /// What `draw` gives to its sink, of the paths that `wanted` accepts.
    pub fn keep<T>(wanted: impl Fn(&str) -> bool + Sync, draw: impl FnOnce(Sink<'_>) -> T) -> (Output, T) {
        let files = Mutex::new(BTreeMap::new());
        let done = draw(&|path, artifact| {
            if wanted(path) {
                files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), artifact);
            }
        });
        (Output { files: files.into_inner().unwrap_or_else(PoisonError::into_inner) }, done)
    }

    /// Path of the file that answers an address: `/agenda/` → `agenda/index.html`.
    pub fn path_of_url(url: &str) -> String {
        let path = url.trim_start_matches('/');
        if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() }
    }
}

/// A picture made ready for the web: variants in several widths and formats, without metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Size of the original after orientation, in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Variants, smallest first, the fallback format and WebP side by side.
    pub variants: Vec<Variant>,
}

/// One file of a [`Picture`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Path in the site: `medias/village-3fa9c2d1-960.webp`.
    pub path: String,
    /// Media type, `image/webp`.
    pub media_type: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The bytes, in the cache or in memory.
    pub data: FileData,
}

/// Why a picture could not be made ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureError {
    /// Cannot be decoded; technical words for the log.
    Broken(String),
    /// More pixels than we accept to decode: width, height.
    TooLarge(u32, u32),
    /// The file or the cache cannot be read or written: path and cause.
    Io(String),
}

/// Gives pictures ready for the web. Implemented at an edge, with a cache; taken by `render` as an argument.
pub trait Pictures: Sync {
    /// The picture stored at `path` of the folder (JPEG, PNG, WebP or GIF).
    ///
    /// # Errors
    /// [`PictureError`] when it cannot be decoded, is too large, or cannot be read.
    fn picture(&self, path: &str, file: &super::site::SourceFile) -> Result<Arc<Picture>, PictureError>;

    /// The bytes of a file of the folder, for those published after a cleaning (SVG).
    ///
    /// # Errors
    /// When it cannot be read.
    fn bytes(&self, file: &super::site::SourceFile) -> std::io::Result<Vec<u8>>;
}
