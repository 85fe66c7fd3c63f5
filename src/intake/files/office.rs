//! Looks into office documents, which are zips: what kind they are, and that they hold nothing that runs, nests or swells.
//!
//! The directory is judged first; then each entry is inflated through one small buffer, never kept, and the sizes it
//! announces are held to.

use std::io::Read;

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipFileHeaderRecord, ZipSliceArchive};

use super::content::{Content, eicar};
use super::unwanted::Unwanted;
use crate::model::form::FileFormat;

/// The kind of an office document that is harmless as far as we look.
///
/// # Errors
/// [`Unwanted`], the first thing found.
pub(super) fn judge(bytes: &[u8]) -> Result<FileFormat, Unwanted> {
    // Something in front of a zip is how one file is made to be two.
    if !bytes.starts_with(b"PK\x03\x04") {
        return Err(Unwanted::Format(Content::Unknown));
    }
    let archive = ZipArchive::from_slice(bytes).map_err(|_| Unwanted::BrokenDocument)?;
    let mut seen = Seen::default();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().map_err(|_| Unwanted::BrokenDocument)? {
        seen.entry(&archive, &entry, bytes.len() as u64)?;
    }
    seen.ranges.sort_unstable();
    if seen.ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(Unwanted::Bomb);
    }
    match seen.format() {
        Some(_) if seen.macros => Err(Unwanted::Macros),
        Some(format) => Ok(format),
        None => Err(Unwanted::Format(Content::Zip)),
    }
}

/// What the entries have shown so far.
#[derive(Default)]
struct Seen {
    count: usize,
    total: u64,
    ranges: Vec<(u64, u64)>,
    mimetype: Vec<u8>,
    has_types: bool,
    has_text: bool,
    has_sheets: bool,
    macros: bool,
}

impl Seen {
    fn entry(
        &mut self,
        archive: &ZipSliceArchive<&[u8]>,
        entry: &ZipFileHeaderRecord<'_>,
        whole: u64,
    ) -> Result<(), Unwanted> {
        self.count += 1;
        let (packed, announced) = (entry.compressed_size_hint(), entry.uncompressed_size_hint());
        self.total = self.total.saturating_add(announced);
        if self.count > MAX_ENTRIES || self.total > MAX_TOTAL || packed > whole {
            return Err(Unwanted::Bomb);
        }
        if announced > RATIO_FREE && announced / packed.max(1) > MAX_RATIO {
            return Err(Unwanted::Bomb);
        }
        if entry.flags().is_encrypted() {
            return Err(Unwanted::Locked);
        }
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).to_ascii_lowercase();
        self.name(&name)?;
        if entry.is_dir() {
            return Ok(());
        }
        let found = archive.get_entry(entry.wayfinder()).map_err(|_| Unwanted::BrokenDocument)?;
        self.ranges.push(found.compressed_data_range());
        match entry.compression_method() {
            CompressionMethod::STORE => self.content(&name, found.data(), announced),
            CompressionMethod::DEFLATE => self.content(&name, DeflateDecoder::new(found.data()), announced),
            // Office programs write nothing else.
            _ => Err(Unwanted::BrokenDocument),
        }
    }

    /// What the name of an entry tells.
    fn name(&mut self, name: &str) -> Result<(), Unwanted> {
        if name.starts_with('/') || name.contains('\\') || name.split('/').any(|part| part == "..") {
            return Err(Unwanted::BrokenDocument);
        }
        self.has_types |= name == "[content_types].xml";
        self.has_text |= name == "word/document.xml";
        self.has_sheets |= name == "xl/workbook.xml";
        let file = name.rsplit('/').next().unwrap_or(name);
        self.macros |= file.starts_with("vbaproject") || file == "vbadata.xml" || name.contains("/macrosheets/");
        // OpenDocument keeps its macros in these two folders; LibreOffice leaves lists of none in them.
        let is_list = matches!(file, "" | "script-lc.xml" | "script-lb.xml" | "dialog-lc.xml" | "dialog-lb.xml");
        self.macros |= (name.starts_with("basic/") || name.starts_with("scripts/")) && !is_list;
        if name.contains("/activex/") || file.starts_with("oleobject") {
            return Err(Unwanted::Embedded);
        }
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        if RUNNING.contains(&extension) {
            return Err(Unwanted::Embedded);
        }
        Ok(())
    }

    /// Reads an entry to its end through one buffer.
    fn content(&mut self, name: &str, mut source: impl Read, announced: u64) -> Result<(), Unwanted> {
        let eicar = eicar();
        let finder = memchr::memmem::Finder::new(&eicar);
        let types = memchr::memmem::Finder::new(b"macroEnabled");
        let looks_for_types = name == "[content_types].xml";
        let mut buffer = vec![0; KEPT + BUFFER];
        let (mut kept, mut size, mut first) = (0, 0_u64, true);
        loop {
            let read = fill(&mut source, &mut buffer[kept..]).map_err(|_| Unwanted::BrokenDocument)?;
            size += read as u64;
            if size > announced {
                return Err(Unwanted::Bomb);
            }
            let filled = &buffer[..kept + read];
            if finder.find(filled).is_some() {
                return Err(Unwanted::Virus);
            }
            self.macros |= looks_for_types && types.find(filled).is_some();
            if std::mem::take(&mut first) {
                if name == "mimetype" {
                    self.mimetype = filled.iter().copied().take(100).collect();
                }
                self.nested(name, filled)?;
            }
            if read == 0 {
                return Ok(());
            }
            // The end of what was read may be the beginning of what is looked for.
            let end = filled.len();
            kept = end.min(KEPT);
            buffer.copy_within(end - kept..end, 0);
        }
    }

    /// What an entry may not be.
    fn nested(&self, name: &str, start: &[u8]) -> Result<(), Unwanted> {
        match Content::of(&start[..start.len().min(super::content::HEAD)]) {
            Content::Zip | Content::Archive => Err(Unwanted::Nested),
            Content::Program => Err(Unwanted::Embedded),
            // Printer settings and thumbnails are harmless; anything in the old format may hold macros.
            Content::OldOffice if !name.contains("printersettings") => Err(Unwanted::Embedded),
            _ => Ok(()),
        }
    }

    fn format(&self) -> Option<FileFormat> {
        let mimetype = self.mimetype.trim_ascii();
        let open = [FileFormat::Odt, FileFormat::Ods];
        let open = open.into_iter().find(|format| format.media_type().as_bytes() == mimetype);
        match (open, self.has_types, self.has_text, self.has_sheets) {
            (Some(format), false, _, _) => Some(format),
            (None, true, true, false) => Some(FileFormat::Docx),
            (None, true, false, true) => Some(FileFormat::Xlsx),
            // Two kinds at once is none.
            _ => None,
        }
    }
}

/// As many bytes as the buffer takes, or all that are left.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Entries of a document: a long one with pictures has two hundred.
const MAX_ENTRIES: usize = 1_000;
/// Bytes of all entries once inflated.
const MAX_TOTAL: u64 = 100 << 20;
/// How much an entry may swell: XML rarely goes beyond 30.
const MAX_RATIO: u64 = 100;
/// Bytes under which swelling does not matter: an empty sheet swells a lot, into nothing.
const RATIO_FREE: u64 = 1 << 20;
const BUFFER: usize = 32 << 10;
/// Bytes looked at again with the next ones: one less than the longest thing looked for.
const KEPT: usize = 67;
/// Extensions of what a system runs.
const RUNNING: [&str; 16] =
    ["exe", "com", "bat", "cmd", "scr", "pif", "msi", "dll", "js", "jse", "vbs", "vbe", "wsf", "hta", "ps1", "jar"];

#[cfg(test)]
mod tests;
