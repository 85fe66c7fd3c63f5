//! Pictures of every kind, made here.

use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use proptest::prelude::*;

use super::*;

const ALL: [FileFormat; 2] = [FileFormat::Jpg, FileFormat::Png];

fn wanted(longest: u32) -> Wanted<'static> {
    Wanted { longest, formats: &ALL, max_bytes: 1 << 20 }
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn gradient(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 40])).into()
}

fn content_of(bytes: &[u8]) -> Content {
    Content::of(&bytes[..bytes.len().min(1024)])
}

fn remade_from(bytes: &[u8], longest: u32) -> Result<(FileFormat, DynamicImage), Unwanted> {
    let content = content_of(bytes);
    cost(content, bytes)?;
    let (format, made) = remade(content, bytes.to_vec(), &wanted(longest))?;
    assert!(content_of(&made).may_be(&[format]));
    Ok((format, image::load_from_memory(&made).unwrap()))
}

#[test]
fn each_kind_is_read_made_smaller_and_kept_in_a_format_everybody_opens() {
    let image = gradient(400, 200);
    for (format, expected) in [
        (ImageFormat::Jpeg, FileFormat::Jpg),
        (ImageFormat::Png, FileFormat::Png),
        (ImageFormat::WebP, FileFormat::Jpg),
    ] {
        let (kept, made) = remade_from(&written(&image, format), 100).unwrap();
        assert_eq!((kept, made.width(), made.height()), (expected, 100, 50), "{format:?}");
        let [red, green, blue] = made.to_rgb8().get_pixel(50, 25).0;
        assert!(red.abs_diff(128) < 12 && green.abs_diff(128) < 12 && blue.abs_diff(40) < 12, "{red} {green} {blue}");
        let (_, same) = remade_from(&written(&image, format), 1000).unwrap();
        assert_eq!((same.width(), same.height()), (400, 200), "never larger");
    }
}

#[test]
fn sixteen_bits_grey_and_what_shows_through_are_handled() {
    let deep = DynamicImage::ImageRgb16(gradient(60, 40).into_rgb16());
    assert_eq!(remade_from(&written(&deep, ImageFormat::Png), 30).unwrap().1.color(), image::ColorType::Rgb8);
    let grey = DynamicImage::ImageLuma8(gradient(60, 40).into_luma8());
    for format in [ImageFormat::Jpeg, ImageFormat::Png] {
        assert_eq!(remade_from(&written(&grey, format), 30).unwrap().1.color(), image::ColorType::L8);
    }
    let glass: DynamicImage = RgbaImage::from_pixel(60, 40, Rgba([200, 0, 0, 0])).into();
    let (format, made) = remade_from(&written(&glass, ImageFormat::WebP), 30).unwrap();
    assert_eq!((format, made.color()), (FileFormat::Png, image::ColorType::Rgba8));
    let only_jpeg = Wanted { formats: &[FileFormat::Jpg], ..wanted(30) };
    let (_, made) = remade(Content::Webp, written(&glass, ImageFormat::WebP), &only_jpeg).unwrap();
    assert_eq!(image::load_from_memory(&made).unwrap().to_rgb8().get_pixel(3, 3).0[1], 255, "white paper below");
    let opaque: DynamicImage = RgbaImage::from_pixel(60, 40, Rgba([9, 9, 9, 255])).into();
    assert_eq!(remade_from(&written(&opaque, ImageFormat::Png), 60).unwrap().1.color(), image::ColorType::Rgb8);
}

#[test]
fn the_area_is_averaged_to_the_last_pixel() {
    for (old, new) in [(7, 3), (4000, 3508), (3, 1), (2561, 2560), (10, 10), (5, 4)] {
        let shares = shares(old, new);
        assert_eq!(shares.len(), new as usize);
        for share in &shares {
            let sum: f32 = share.sources().map(|(_, part)| part).sum();
            assert!((sum - 1.0).abs() < 1e-3, "{old} to {new}: {sum}");
            assert!(share.last < old as usize);
        }
    }
    let even: DynamicImage = RgbImage::from_pixel(97, 61, Rgb([200, 100, 50])).into();
    let mut pixels = Pixels::of(even);
    pixels.fit(40);
    assert_eq!((pixels.width, pixels.height), (40, 26));
    assert!(pixels.bytes.as_chunks::<3>().0.iter().all(|pixel| *pixel == [200, 100, 50]));
}

#[test]
fn what_is_too_heavy_is_made_less_fine_then_smaller() {
    let noise: DynamicImage = RgbImage::from_fn(500, 400, |x, y| {
        let hash = blake3::hash(&[x.to_le_bytes(), y.to_le_bytes()].concat());
        Rgb([hash.as_bytes()[0], hash.as_bytes()[1], hash.as_bytes()[2]])
    })
    .into();
    let png = written(&noise, ImageFormat::Png);
    for formats in [&ALL[..], &[FileFormat::Png]] {
        let little = Wanted { longest: 500, formats, max_bytes: 60_000 };
        let (format, made) = remade(Content::Png, png.clone(), &little).unwrap();
        assert!(made.len() <= 60_000 && formats.contains(&format));
    }
}

#[test]
fn bombs_are_refused_from_their_first_bytes() {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(64_000u32.to_be_bytes());
    png.extend(64_000u32.to_be_bytes());
    png.extend([8, 2, 0, 0, 0]);
    assert_eq!(cost(Content::Png, &png[..]), Err(Unwanted::TooManyPixels));
    let jpeg = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03";
    assert_eq!(cost(Content::Jpeg, &jpeg[..]), Err(Unwanted::TooManyPixels));
    let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
    webp.extend([0xff; 16]);
    assert_eq!(cost(Content::Webp, &webp[..]), Err(Unwanted::TooManyPixels));
    assert_eq!(cost(Content::Jpeg, &b"\xff\xd8"[..]), Err(Unwanted::BrokenPicture));
    // Sizes that differ between the head that is looked at first and the image itself.
    let mut liar = written(&gradient(400, 400), ImageFormat::WebP);
    liar[30] ^= 1;
    let _ = remade_from(&liar, 100);
}

#[test]
fn a_picture_that_ends_too_early_is_told_broken() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let bytes = written(&gradient(300, 200), format);
        let cut = &bytes[..bytes.len() * 2 / 3];
        assert_eq!(remade_from(cut, 100).unwrap_err(), Unwanted::BrokenPicture, "{format:?}");
    }
}

#[test]
fn costs_are_those_of_the_pixels() {
    let jpeg = written(&gradient(400, 200), ImageFormat::Jpeg);
    assert_eq!(cost(Content::Jpeg, &jpeg[..]), Ok(400 * 200 * 3));
    let png = written(&gradient(400, 200), ImageFormat::Png);
    assert_eq!(cost(Content::Png, &png[..]), Ok(400 * 200 * 3));
    assert!(cost(Content::Webp, &written(&gradient(400, 200), ImageFormat::WebP)[..]).unwrap() >= 400 * 200 * 3);
}

#[test]
fn a_photo_of_an_iphone_becomes_a_jpeg() {
    let heic = include_bytes!("../../../../tests/fichiers/degrade.heic");
    assert_eq!(content_of(heic), Content::Heic);
    let (format, made) = remade_from(heic, 48).unwrap();
    assert_eq!((format, made.width(), made.height()), (FileFormat::Jpg, 48, 32));
    let [red, green, _] = made.to_rgb8().get_pixel(24, 16).0;
    assert!(red.abs_diff(128) < 25 && green.abs_diff(128) < 25, "{red} {green}");
    assert_eq!(remade_from(&heic[..300], 48).unwrap_err(), Unwanted::Format(Content::Heic));
}

#[test]
fn no_side_comes_to_nothing() {
    let thin = written(&gradient(4_000, 1), ImageFormat::Png);
    let (_, made) = remade_from(&thin, 100).unwrap();
    assert_eq!((made.width(), made.height()), (100, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, at: prop::sample::Index, value: u8, kind in 0usize..3) {
        let mut heic = include_bytes!("../../../../tests/fichiers/degrade.heic").to_vec();
        let touched = at.index(heic.len());
        heic[touched] = value;
        let _ = remade(Content::Heic, heic, &wanted(50));
        for (content, start) in [
            (Content::Jpeg, &b"\xff\xd8\xff"[..]),
            (Content::Png, b"\x89PNG\r\n\x1a\n"),
            (Content::Webp, b"RIFF\x40\0\0\0WEBP"),
        ] {
            let bytes = [start, &bytes[..]].concat();
            let _ = cost(content, &bytes[..]);
            let _ = remade(content, bytes, &wanted(50));
        }
        let format = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP][kind];
        let mut changed = written(&gradient(20, 30), format);
        let at = at.index(changed.len());
        changed[at] = value;
        let content = content_of(&changed);
        if cost(content, &changed[..]).is_ok() {
            let _ = remade(content, changed, &wanted(15));
        }
    }
}
