//! Makes a picture again from its pixels alone: upright, no larger than is useful, without anything else that its file held
//! — place, camera, owner, thumbnail, colour profile, bytes after the end. Never touches a disk.
//!
//! Memory is the concern: a photograph of 12 million pixels takes 36 MB once decoded. It is made smaller in place, and
//! [`cost`] says beforehand what decoding takes, so that the caller lets few in at a time.

use std::io::{Cursor, Read};

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, Limits};

use super::content::Content;
use super::unwanted::Unwanted;
use crate::model::form::FileFormat;

/// What a picture may be once made again.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    /// Pixels of its longer side.
    pub(super) longest: u32,
    /// Formats the question takes.
    pub(super) formats: &'a [FileFormat],
    /// Bytes.
    pub(super) max_bytes: u64,
}

/// Bytes that decoding takes, its file not counted; read from the first bytes of the file.
///
/// # Errors
/// [`Unwanted::TooManyPixels`], or [`Unwanted::BrokenPicture`] when no size is found.
pub(super) fn cost(content: Content, mut source: impl Read) -> Result<u64, Unwanted> {
    let (width, height, weight) = match content {
        // Its size stands deep in its boxes, and its decoder takes several times its pixels: it goes in alone.
        Content::Heic => return Ok(u64::MAX / 2),
        Content::Jpeg => jpeg_size(&mut source)?,
        _ => {
            let mut head = Vec::with_capacity(40);
            source.take(40).read_to_end(&mut head).map_err(|_| Unwanted::BrokenPicture)?;
            let size = if content == Content::Png { png_size(&head) } else { webp_size(&head) };
            size.ok_or(Unwanted::BrokenPicture)?
        }
    };
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Unwanted::BrokenPicture);
    }
    let bytes = pixels * weight;
    if pixels > MAX_PIXELS || bytes > MAX_DECODED { Err(Unwanted::TooManyPixels) } else { Ok(bytes) }
}

/// The picture made again; an animation keeps its first image.
///
/// # Errors
/// [`Unwanted::BrokenPicture`] when it cannot be read to its end, [`Unwanted::TooManyPixels`]; the format itself for a HEIC
/// that our decoder does not know.
pub(super) fn remade(content: Content, bytes: Vec<u8>, wanted: &Wanted<'_>) -> Result<(FileFormat, Vec<u8>), Unwanted> {
    // A decoder that stumbles over bytes made for it must not pass for a disk at fault.
    std::panic::catch_unwind(|| made(content, bytes, wanted)).unwrap_or(Err(Unwanted::BrokenPicture))
}

fn made(content: Content, bytes: Vec<u8>, wanted: &Wanted<'_>) -> Result<(FileFormat, Vec<u8>), Unwanted> {
    if content == Content::Jpeg && !jpeg_ends(&bytes) {
        return Err(Unwanted::BrokenPicture);
    }
    let (mut pixels, orientation) = decoded(content, bytes)?;
    pixels.fit(wanted.longest);
    let image = pixels.upright(orientation);
    encoded(content, image, wanted)
}

fn decoded(content: Content, bytes: Vec<u8>) -> Result<(Pixels, Orientation), Unwanted> {
    if content == Content::Heic {
        return heic(&bytes).map(|pixels| (pixels, Orientation::NoTransforms));
    }
    let source = Cursor::new(bytes);
    match content {
        Content::Jpeg => pixels_of(JpegDecoder::new(source)),
        Content::Png => pixels_of(PngDecoder::with_limits(source, limits())),
        Content::Webp => pixels_of(WebPDecoder::new(source)),
        _ => Err(Unwanted::BrokenPicture),
    }
}

fn pixels_of(decoder: image::ImageResult<impl ImageDecoder>) -> Result<(Pixels, Orientation), Unwanted> {
    let mut decoder = decoder.map_err(|_| Unwanted::BrokenPicture)?;
    // Looked at again: the first look may have been at another of the sizes that a file gives.
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_DECODED {
        return Err(Unwanted::TooManyPixels);
    }
    decoder.set_limits(limits()).map_err(|_| Unwanted::TooManyPixels)?;
    // What says which side is up may be broken where the picture is not.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|_| Unwanted::BrokenPicture)?;
    Ok((Pixels::of(image), orientation))
}

/// A HEIC, turned as it says.
fn heic(bytes: &[u8]) -> Result<Pixels, Unwanted> {
    let unknown = |_| Unwanted::Format(Content::Heic);
    let seen = heic_rs::probe(bytes).map_err(unknown)?;
    let larger = u64::from(seen.width) * u64::from(seen.height);
    if larger.max(u64::from(seen.coded_width) * u64::from(seen.coded_height)) > MAX_HEIC {
        return Err(Unwanted::TooManyPixels);
    }
    let options = heic_rs::DecodeOptions { max_pixels: Some(MAX_HEIC), decode_alpha: false, ..Default::default() };
    let image = heic_rs::decode(bytes, &options).map_err(unknown)?;
    let (width, height, rows) = (image.width, image.height, image.data);
    if width == 0 || height == 0 || rows.len() != width as usize * height as usize * 3 {
        return Err(Unwanted::Format(Content::Heic));
    }
    Ok(Pixels { bytes: rows, width, height, channels: 3 })
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED + (32 << 20));
    limits
}

/// Eight bits a channel: one (grey), three, or four when something shows through.
struct Pixels {
    bytes: Vec<u8>,
    width: u32,
    height: u32,
    channels: usize,
}

impl Pixels {
    fn of(image: DynamicImage) -> Pixels {
        let (width, height) = (image.width(), image.height());
        let (bytes, channels) = match image {
            DynamicImage::ImageLuma8(grey) => (grey.into_raw(), 1),
            DynamicImage::ImageRgb8(colours) => (colours.into_raw(), 3),
            DynamicImage::ImageLuma16(_) => (image.into_luma8().into_raw(), 1),
            DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgb32F(_) => (image.into_rgb8().into_raw(), 3),
            other => (other.into_rgba8().into_raw(), 4),
        };
        let mut pixels = Pixels { bytes, width, height, channels };
        if channels == 4 && pixels.bytes.as_chunks::<4>().0.iter().all(|pixel| pixel[3] == 255) {
            pixels.drop_alpha();
        }
        pixels
    }

    /// Nothing shows through: the fourth channel goes, in place.
    fn drop_alpha(&mut self) {
        let count = self.bytes.len() / 4;
        for at in 0..count {
            self.bytes.copy_within(at * 4..at * 4 + 3, at * 3);
        }
        self.bytes.truncate(count * 3);
        self.bytes.shrink_to_fit();
        self.channels = 3;
    }

    /// Makes the picture smaller in place, until no side is longer.
    ///
    /// Each new pixel is the mean of the area it covers; it is written where pixels have already been read.
    fn fit(&mut self, longest: u32) {
        let (width, height) = (self.width, self.height);
        let side = width.max(height);
        if side <= longest {
            return;
        }
        let scaled = |length: u32| {
            u32::try_from((u64::from(length) * u64::from(longest)).div_ceil(u64::from(side))).unwrap_or(1)
        };
        let (new_width, new_height) = (scaled(width).max(1), scaled(height).max(1));
        let columns = shares(width, new_width);
        let rows = shares(height, new_height);
        let (channels, old_row) = (self.channels, width as usize * self.channels);
        let new_row = new_width as usize * channels;
        let mut sums = vec![0.0_f32; new_row];
        for (y, row) in rows.iter().enumerate() {
            sums.fill(0.0);
            for (at, share) in row.sources() {
                let source = &self.bytes[at * old_row..(at + 1) * old_row];
                for (sums, column) in sums.chunks_exact_mut(channels).zip(&columns) {
                    for (x, part) in column.sources() {
                        let weight = share * part;
                        for (sum, value) in sums.iter_mut().zip(&source[x * channels..(x + 1) * channels]) {
                            *sum += weight * f32::from(*value);
                        }
                    }
                }
            }
            for (value, sum) in self.bytes[y * new_row..(y + 1) * new_row].iter_mut().zip(&sums) {
                *value = (sum + 0.5) as u8;
            }
        }
        self.bytes.truncate(new_row * new_height as usize);
        self.bytes.shrink_to_fit();
        (self.width, self.height) = (new_width, new_height);
    }

    fn upright(self, orientation: Orientation) -> DynamicImage {
        let (width, height) = (self.width, self.height);
        let image = match self.channels {
            1 => image::GrayImage::from_raw(width, height, self.bytes).map(DynamicImage::ImageLuma8),
            3 => image::RgbImage::from_raw(width, height, self.bytes).map(DynamicImage::ImageRgb8),
            _ => image::RgbaImage::from_raw(width, height, self.bytes).map(DynamicImage::ImageRgba8),
        };
        // The buffer has the size of the picture by construction.
        let mut image = image.unwrap_or_default();
        image.apply_orientation(orientation);
        image
    }
}

/// The stretch of old pixels that a new one covers.
struct Share {
    first: usize,
    last: usize,
    /// Parts of the first, of each between, and of the last; they add up to one.
    parts: (f32, f32, f32),
}

impl Share {
    fn sources(&self) -> impl Iterator<Item = (usize, f32)> {
        (self.first..=self.last).map(|at| {
            let part = match at {
                at if at == self.first => self.parts.0,
                at if at == self.last => self.parts.2,
                _ => self.parts.1,
            };
            (at, part)
        })
    }
}

/// Shares of `old` pixels in fewer `new` ones.
fn shares(old: u32, new: u32) -> Vec<Share> {
    let ratio = f64::from(old) / f64::from(new);
    let share = |at: u32| {
        let (start, end) = (f64::from(at) * ratio, (f64::from(at + 1) * ratio).min(f64::from(old)));
        let first = (start as usize).min(old as usize - 1);
        // A stretch that ends on the edge of a pixel does not enter the next one.
        let last = ((end - 1e-9).max(start) as usize).clamp(first, old as usize - 1);
        let whole = end - start;
        let first_part = ((first + 1) as f64).min(end) - start;
        let last_part = if last > first { end - last as f64 } else { 0.0 };
        Share { first, last, parts: ((first_part / whole) as f32, (1.0 / whole) as f32, (last_part / whole) as f32) }
    };
    (0..new).map(share).collect()
}

/// JPEG for photographs, PNG for what came as PNG or shows something through; less fine, then smaller, until it fits.
fn encoded(content: Content, mut image: DynamicImage, wanted: &Wanted<'_>) -> Result<(FileFormat, Vec<u8>), Unwanted> {
    let takes = |format| wanted.formats.contains(&format);
    let see_through = image.color().has_alpha();
    let as_png = takes(FileFormat::Png) && (content == Content::Png || see_through || !takes(FileFormat::Jpg));
    if as_png {
        let bytes = png(&image)?;
        if bytes.len() as u64 <= wanted.max_bytes {
            return Ok((FileFormat::Png, bytes));
        }
    }
    if takes(FileFormat::Jpg) {
        if see_through {
            image = on_white(image);
        }
        for quality in QUALITIES {
            let bytes = jpeg(&image, quality)?;
            if bytes.len() as u64 <= wanted.max_bytes {
                return Ok((FileFormat::Jpg, bytes));
            }
        }
    }
    // Noise in a PNG, or very little room: half the size, four times lighter.
    let side = image.width().max(image.height());
    if side < 64 {
        return Err(Unwanted::TooManyPixels);
    }
    let mut pixels = Pixels::of(image);
    pixels.fit(side / 2);
    encoded(content, pixels.upright(Orientation::NoTransforms), wanted)
}

/// What shows through shows white paper: a JPEG shows nothing through.
fn on_white(image: DynamicImage) -> DynamicImage {
    let mut seen = image.into_rgba8();
    for pixel in seen.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        let mixed = |value: u8| ((u16::from(value) * u16::from(alpha) + 255 * (255 - u16::from(alpha))) / 255) as u8;
        pixel.0 = [mixed(red), mixed(green), mixed(blue), 255];
    }
    DynamicImage::ImageRgba8(seen).into_rgb8().into()
}

fn jpeg(image: &DynamicImage, quality: u8) -> Result<Vec<u8>, Unwanted> {
    let mut bytes = Vec::new();
    let (width, height) = (image.width(), image.height());
    let colours = if image.color().has_color() { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    encoder.write_image(image.as_bytes(), width, height, colours).map_err(|_| Unwanted::BrokenPicture)?;
    Ok(bytes)
}

fn png(image: &DynamicImage) -> Result<Vec<u8>, Unwanted> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    image.write_with_encoder(encoder).map_err(|_| Unwanted::BrokenPicture)?;
    Ok(bytes)
}

/// Width and height of a JPEG, and bytes that decoding takes for each pixel.
fn jpeg_size(source: &mut impl Read) -> Result<(u32, u32, u64), Unwanted> {
    let mut pair = [0; 2];
    let read = |source: &mut dyn Read, bytes: &mut [u8]| source.read_exact(bytes).map_err(|_| Unwanted::BrokenPicture);
    read(source, &mut pair)?;
    for _ in 0..MAX_SEGMENTS {
        read(source, &mut pair[..1])?;
        if pair[0] != 0xff {
            return Err(Unwanted::BrokenPicture);
        }
        let mut marker = [0xff];
        // Any number of fillers may stand before a marker.
        for _ in 0..64 {
            read(source, &mut marker)?;
            if marker[0] != 0xff {
                break;
            }
        }
        match marker[0] {
            0x01 | 0xd0..=0xd8 => continue,
            0xd9 | 0xda | 0xff => return Err(Unwanted::BrokenPicture),
            _ => {}
        }
        read(source, &mut pair)?;
        let length = u64::from(u16::from_be_bytes(pair)).saturating_sub(2);
        // Every kind of frame but the tables that share its numbers (ITU-T T.81, table B.1).
        if matches!(marker[0], 0xc0..=0xcf) && !matches!(marker[0], 0xc4 | 0xc8 | 0xcc) {
            let mut frame = [0; 6];
            read(source, &mut frame)?;
            let [_, h1, h2, w1, w2, components] = frame;
            let (width, height) = (u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2]));
            let channels = if components == 1 { 1 } else { 3 };
            // A progressive one keeps two bytes for each coefficient until its last scan.
            let kept = if marker[0] == 0xc0 || marker[0] == 0xc1 { 0 } else { 2 * u64::from(components.min(4)) };
            return Ok((width.into(), height.into(), channels + kept));
        }
        let skipped = std::io::copy(&mut source.by_ref().take(length), &mut std::io::sink());
        if skipped.map_err(|_| Unwanted::BrokenPicture)? != length {
            return Err(Unwanted::BrokenPicture);
        }
    }
    Err(Unwanted::BrokenPicture)
}

/// Width, height and bytes a pixel of a PNG, from its first chunk.
fn png_size(head: &[u8]) -> Option<(u32, u32, u64)> {
    let number = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let (depth, kind) = (*head.get(24)?, *head.get(25)?);
    let channels = match kind {
        0 => 1,
        2 | 3 => 3,
        _ => 4,
    };
    // A palette may have one transparent colour; sixteen bits are halved by a copy.
    let weight = if depth == 16 { channels * 3 } else { channels + u64::from(kind == 3) };
    (head.get(12..16) == Some(b"IHDR")).then_some((number(16)?, number(20)?, weight))
}

/// Width, height and bytes a pixel of a WebP, from its first chunk.
fn webp_size(head: &[u8]) -> Option<(u32, u32, u64)> {
    let byte = |at: usize| head.get(at).map(|byte| u32::from(*byte));
    // Planes of a lossy one are kept beside the pixels.
    match head.get(12..16)? {
        b"VP8X" => {
            let long = |at: usize| Some(1 + byte(at)? + (byte(at + 1)? << 8) + (byte(at + 2)? << 16));
            Some((long(24)?, long(27)?, 8))
        }
        b"VP8L" => {
            let bits = byte(21)? | byte(22)? << 8 | byte(23)? << 16 | byte(24)? << 24;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, 8))
        }
        b"VP8 " => Some((byte(26)? | (byte(27)? & 0x3f) << 8, byte(28)? | (byte(29)? & 0x3f) << 8, 5)),
        _ => None,
    }
}

/// Whether a JPEG has an end after its last scan began; decoders fill what is missing with grey without a word.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    // Segments have a length; the picture itself starts after SOS, and cannot contain FF D9 before its end.
    while let Some([0xff, marker, rest @ ..]) = bytes.get(at..) {
        match (*marker, rest) {
            (0xda, _) => return memchr::memmem::find(&bytes[at..], b"\xff\xd9").is_some(),
            (0xff, _) => at += 1,
            (0x01 | 0xd0..=0xd8, _) => at += 2,
            (_, [high, low, ..]) => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        }
    }
    false
}

/// A telephone of 48 million pixels passes, a bomb does not.
const MAX_PIXELS: u64 = 50_000_000;
/// Bytes of decoded pixels: three for each of those, or fewer pixels when each takes more.
const MAX_DECODED: u64 = 150_000_000 + (1 << 20);
/// Pixels of a HEIC: what an iPhone takes unless asked for 48 million, at seven bytes each while it is decoded.
const MAX_HEIC: u64 = 25_000_000;
/// Segments before the size of a JPEG: a panorama has dozens.
const MAX_SEGMENTS: usize = 2_000;
/// The first is hard to tell from the original; the last still reads.
const QUALITIES: [u8; 3] = [85, 72, 55];

#[cfg(test)]
mod tests;
