//! Makes pictures ready for the web: several widths, modern formats, no metadata; cached by content hash outside the folder.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use image::{DynamicImage, ImageDecoder, ImageReader};
use serde::{Deserialize, Serialize};

use crate::fs;
use crate::model::output::{Picture, PictureError, Pictures, Variant};
use crate::model::site::{FileData, SourceFile};
use crate::text::slug::slug;

/// Widths of the variants, in pixels; wider ones than the original are left out.
const WIDTHS: [u32; 3] = [480, 960, 1600];
/// Width of the fallback for browsers without WebP.
const FALLBACK_WIDTH: u32 = 960;
/// Pixels of the largest picture decoded: a 48-megapixel telephone passes, a decompression bomb does not.
const MAX_PIXELS: u64 = 50_000_000;
/// Bytes a decoder may allocate.
const MAX_ALLOC: u64 = 512 * 1024 * 1024;
/// Pictures decoded at the same time: a decoded photograph weighs 50 MB.
const SLOTS: usize = 2;
const WEBP_QUALITY: f32 = 76.0;
const JPEG_QUALITY: u8 = 80;
/// Changes when the same bytes would give other variants.
const RECIPE: &str = "1";

type Done = Arc<OnceLock<Result<Arc<Picture>, PictureError>>>;

/// Pictures with a cache on disk; without a folder, variants stay in memory.
pub struct PictureCache {
    folder: Option<PathBuf>,
    done: Mutex<HashMap<blake3::Hash, Done>>,
    slots: Slots,
}

impl PictureCache {
    /// A cache in that folder, or in memory only.
    pub fn new(folder: Option<PathBuf>) -> Self {
        PictureCache { folder, done: Mutex::default(), slots: Slots::new(SLOTS) }
    }

    fn make(&self, path: &str, bytes: &[u8], hash: blake3::Hash) -> Result<Picture, PictureError> {
        let key = format!("{}-{RECIPE}", &hash.to_hex()[..32]);
        let stem = path.rsplit('/').next().unwrap_or(path).rsplit_once('.').map_or(path, |(stem, _)| stem);
        let name = format!("medias/{}-{}", slug(stem), &key[..8]);
        if let Some(known) = self.folder.as_deref().and_then(|folder| Entry::read(folder, &key)) {
            return Ok(known.picture(&name, &key, self.folder.as_deref()));
        }
        let _slot = self.slots.take();
        let image = decode(bytes)?;
        let (entry, encoded) = encode(&image)?;
        if let Some(folder) = &self.folder
            && entry.write(folder, &key, &encoded).is_ok()
        {
            return Ok(entry.picture(&name, &key, Some(folder)));
        }
        let mut picture = entry.picture(&name, &key, None);
        for (variant, bytes) in picture.variants.iter_mut().zip(encoded) {
            variant.data = FileData::Memory(bytes.into());
        }
        Ok(picture)
    }
}

impl Pictures for PictureCache {
    fn picture(&self, path: &str, file: &SourceFile) -> Result<Arc<Picture>, PictureError> {
        let bytes = self.bytes(file).map_err(|error| PictureError::Io(crate::fs::cause(&error)))?;
        let hash = blake3::hash(&bytes);
        let done = Arc::clone(self.done.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_default());
        done.get_or_init(|| self.make(path, &bytes, hash).map(Arc::new)).clone()
    }

    fn bytes(&self, file: &SourceFile) -> std::io::Result<Vec<u8>> {
        match &file.data {
            FileData::Disk(path) => fs::read(path).map_err(|error| error.source),
            FileData::Memory(bytes) => Ok(bytes.to_vec()),
        }
    }
}

/// Whether a JPEG ends before its end-of-image marker; decoders fill the rest with grey without a word.
fn is_truncated_jpeg(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return false;
    }
    let mut at = 2;
    // Segments have a length; the picture itself starts after SOS, and cannot contain FF D9 before its end.
    while let Some([0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if *marker == 0xda {
            return !bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]);
        }
        at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    true
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, PictureError> {
    if is_truncated_jpeg(bytes) {
        return Err(PictureError::Broken("unexpected end of JPEG".into()));
    }
    let broken = |error: image::ImageError| PictureError::Broken(error.to_string());
    let reader = || ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader().map_err(|error| PictureError::Broken(error.to_string()))?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(PictureError::TooLarge(width, height));
    }
    let orientation = decoder.orientation().map_err(broken)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    // Eight bits a channel, with alpha only where it shows.
    Ok(if image.color().has_alpha() && image.to_rgba8().pixels().any(|pixel| pixel.0[3] < 255) {
        DynamicImage::ImageRgba8(image.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(image.into_rgb8())
    })
}

fn encode(image: &DynamicImage) -> Result<(Entry, Vec<Vec<u8>>), PictureError> {
    let (width, height) = (image.width(), image.height());
    let mut widths: Vec<u32> = WIDTHS.into_iter().filter(|wanted| *wanted < width).collect();
    if widths.len() < WIDTHS.len() {
        widths.push(width);
    }
    let fallback = *widths.iter().filter(|wanted| **wanted <= FALLBACK_WIDTH).max().unwrap_or(&width);
    let mut entry = Entry { width, height, variants: Vec::new() };
    let mut encoded = Vec::new();
    for wanted in widths {
        let resized = resize(image, wanted)?;
        let (bytes, (w, h)) = (resized.as_bytes(), (resized.width(), resized.height()));
        let webp = if resized.color().has_alpha() {
            webp::Encoder::from_rgba(bytes, w, h)
        } else {
            webp::Encoder::from_rgb(bytes, w, h)
        };
        entry.variants.push(EntryVariant { extension: "webp".into(), width: w, height: h });
        encoded.push(webp.encode(WEBP_QUALITY).to_vec());
        if wanted == fallback {
            let (extension, bytes) = encode_fallback(&resized)?;
            entry.variants.push(EntryVariant { extension: extension.into(), width: w, height: h });
            encoded.push(bytes);
        }
    }
    Ok((entry, encoded))
}

fn encode_fallback(image: &DynamicImage) -> Result<(&'static str, Vec<u8>), PictureError> {
    let mut bytes = Vec::new();
    let done = if image.color().has_alpha() {
        image.write_with_encoder(image::codecs::png::PngEncoder::new(&mut bytes)).map(|()| "png")
    } else {
        image
            .write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
            .map(|()| "jpg")
    };
    done.map(|extension| (extension, bytes)).map_err(|error| PictureError::Broken(error.to_string()))
}

fn resize(image: &DynamicImage, width: u32) -> Result<DynamicImage, PictureError> {
    if width == image.width() {
        return Ok(image.clone());
    }
    let height = (u64::from(image.height()) * u64::from(width) / u64::from(image.width())).max(1) as u32;
    let mut resized = DynamicImage::new(width, height, image.color());
    fast_image_resize::Resizer::new()
        .resize(image, &mut resized, None)
        .map_err(|error| PictureError::Broken(error.to_string()))?;
    Ok(resized)
}

/// What the cache says of a picture; the bytes stand beside it.
#[derive(Serialize, Deserialize)]
struct Entry {
    width: u32,
    height: u32,
    variants: Vec<EntryVariant>,
}

#[derive(Serialize, Deserialize)]
struct EntryVariant {
    extension: String,
    width: u32,
    height: u32,
}

impl EntryVariant {
    fn file(&self, key: &str) -> String {
        format!("{key}-{}.{}", self.width, self.extension)
    }
}

impl Entry {
    /// The entry of a key, if it and all its files are there.
    fn read(folder: &Path, key: &str) -> Option<Entry> {
        let entry: Entry = serde_json::from_slice(&fs::read(&folder.join(format!("{key}.json"))).ok()?).ok()?;
        entry.variants.iter().all(|variant| folder.join(variant.file(key)).is_file()).then_some(entry)
    }

    /// Files first, the entry last: an entry never promises what is not there.
    fn write(&self, folder: &Path, key: &str, encoded: &[Vec<u8>]) -> fs::Result<()> {
        for (variant, bytes) in self.variants.iter().zip(encoded) {
            fs::write_atomic(&folder.join(variant.file(key)), bytes)?;
        }
        let entry = serde_json::to_vec(self).unwrap_or_default();
        fs::write_atomic(&folder.join(format!("{key}.json")), &entry)
    }

    fn picture(&self, name: &str, key: &str, folder: Option<&Path>) -> Picture {
        let variants = self.variants.iter().map(|variant| Variant {
            path: format!("{name}-{}.{}", variant.width, variant.extension),
            media_type: match variant.extension.as_str() {
                "webp" => "image/webp",
                "png" => "image/png",
                _ => "image/jpeg",
            },
            width: variant.width,
            height: variant.height,
            data: match folder {
                Some(folder) => FileData::Disk(folder.join(variant.file(key))),
                None => FileData::Memory(Arc::from([])),
            },
        });
        Picture { width: self.width, height: self.height, variants: variants.collect() }
    }
}

/// A counting gate.
struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

struct Slot<'a>(&'a Slots);

impl Slots {
    fn new(count: usize) -> Self {
        Slots { free: Mutex::new(count), freed: Condvar::new() }
    }

    fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: Vec<u8>) -> SourceFile {
        let size = bytes.len() as u64;
        SourceFile { layer: crate::model::content::Layer::Commune, data: FileData::Memory(bytes.into()), size }
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let image =
            DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 9])));
        encode_fallback(&image).expect("encodes").1
    }

    #[test]
    fn variants_are_never_wider_than_the_original() {
        let picture = PictureCache::new(None).picture("medias/Été.jpg", &source(jpeg(1000, 500))).expect("decodes");
        let widths: Vec<_> = picture.variants.iter().map(|v| (v.width, v.media_type)).collect();
        assert_eq!(widths, [(480, "image/webp"), (960, "image/webp"), (960, "image/jpeg"), (1000, "image/webp")]);
        assert!(picture.variants[0].path.starts_with("medias/ete-"));
        assert!(picture.variants.iter().all(|v| matches!(&v.data, FileData::Memory(bytes) if !bytes.is_empty())));
    }

    #[test]
    fn a_cached_picture_is_the_same_as_a_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = source(jpeg(700, 300));
        let first = PictureCache::new(Some(folder.path().into())).picture("a.jpg", &file).expect("decodes");
        let again = PictureCache::new(Some(folder.path().into())).picture("a.jpg", &file).expect("cached");
        assert_eq!(first, again);
    }

    #[test]
    fn a_truncated_jpeg_and_a_text_are_told_broken() {
        let mut bytes = jpeg(800, 600);
        bytes.truncate(bytes.len() / 3);
        let cache = PictureCache::new(None);
        assert!(matches!(cache.picture("a.jpg", &source(bytes)), Err(PictureError::Broken(_))));
        assert!(matches!(cache.picture("a.jpg", &source(b"bonjour".to_vec())), Err(PictureError::Broken(_))));
    }

    #[test]
    fn a_bomb_is_refused_from_its_header() {
        // A PNG header that announces 20,000 × 20,000 pixels.
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(20_000u32.to_be_bytes());
        png.extend(20_000u32.to_be_bytes());
        png.extend([8, 2, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..]);
        png.extend(crc.sum().to_be_bytes());
        png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        let told = PictureCache::new(None).picture("a.png", &source(png));
        assert!(matches!(told, Err(PictureError::TooLarge(20_000, 20_000))), "{told:?}");
    }
}
