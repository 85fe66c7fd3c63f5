//! What a file is, by its first bytes: neither its name nor what the browser says of it is believed.

use crate::model::form::FileFormat;

/// What a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// PDF.
    Pdf,
    /// JPEG.
    Jpeg,
    /// PNG, animated or not.
    Png,
    /// WebP, animated or not.
    Webp,
    /// HEIC or HEIF: what an iPhone takes.
    Heic,
    /// A zip: an office document or any archive, its directory will tell.
    Zip,
    /// An office document of before 2007, or one locked by a password.
    OldOffice,
    /// A picture we do not take: GIF, TIFF, BMP, AVIF…
    OtherPicture,
    /// An SVG drawing.
    Svg,
    /// A web page.
    Html,
    /// A program, for any system.
    Program,
    /// An archive that is no zip.
    Archive,
    /// Sound or moving pictures.
    Media,
    /// The file that tests antiviruses.
    Eicar,
    /// Anything else.
    Unknown,
}

impl Content {
    /// The content that begins so.
    ///
    /// Shape of `head`: the first [`HEAD`] bytes, or all of a shorter file.
    pub fn of(head: &[u8]) -> Content {
        if head.starts_with(&eicar()[..28]) {
            return Content::Eicar;
        }
        let media_type = infer::get(head).map(|kind| kind.mime_type());
        match media_type {
            Some("image/jpeg") => return Content::Jpeg,
            Some("image/png") => return Content::Png,
            Some("image/webp") => return Content::Webp,
            Some("image/heif") => return Content::Heic,
            _ => {}
        }
        if is_heic(head) {
            return Content::Heic;
        }
        if head.starts_with(b"PK\x03\x04") {
            return Content::Zip;
        }
        if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            return Content::OldOffice;
        }
        if is_program(head) {
            return Content::Program;
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        // Some scanners write blank lines before a PDF.
        let blank = text.iter().take(16).take_while(|byte| byte.is_ascii_whitespace()).count();
        if text[blank..].starts_with(b"%PDF-") {
            return Content::Pdf;
        }
        match words(text) {
            Some(content) => content,
            None => match media_type.and_then(|media_type| media_type.split('/').next()) {
                Some("image") => Content::OtherPicture,
                Some("audio" | "video") => Content::Media,
                _ if infer::is_archive(head) => Content::Archive,
                _ if infer::is_app(head) => Content::Program,
                _ => Content::Unknown,
            },
        }
    }

    /// Whether a question that takes these formats may take this content, as far as its first bytes tell.
    pub(super) fn may_be(self, formats: &[FileFormat]) -> bool {
        match self {
            Content::Pdf => formats.contains(&FileFormat::Pdf),
            Content::Jpeg => formats.contains(&FileFormat::Jpg),
            Content::Png => formats.contains(&FileFormat::Png),
            Content::Webp | Content::Heic => formats.iter().any(|format| format.is_picture()),
            Content::Zip => formats.iter().any(|format| !format.is_picture() && *format != FileFormat::Pdf),
            _ => false,
        }
    }

    /// The word of the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Content::Pdf => "pdf",
            Content::Jpeg => "jpeg",
            Content::Png => "png",
            Content::Webp => "webp",
            Content::Heic => "heic",
            Content::Zip => "zip",
            Content::OldOffice => "old_office",
            Content::OtherPicture => "other_picture",
            Content::Svg => "svg",
            Content::Html => "html",
            Content::Program => "program",
            Content::Archive => "archive",
            Content::Media => "media",
            Content::Eicar => "eicar",
            Content::Unknown => "unknown",
        }
    }
}

/// The 68 bytes every antivirus must find (EICAR, « anti-malware test file »). Put together here: written whole, they would
/// have this very program found.
pub(super) fn eicar() -> [u8; 68] {
    let mut bytes = [0; 68];
    let halves = [&b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STAND"[..], &b"ARD-ANTIVIRUS-TEST-FILE!$H+H*"[..]];
    let mut at = 0;
    for half in halves {
        for byte in half {
            if let Some(place) = bytes.get_mut(at) {
                *place = *byte;
            }
            at += 1;
        }
    }
    bytes
}

/// Brands of HEIF that hold HEVC pictures, and the general ones an iPhone writes.
fn is_heic(head: &[u8]) -> bool {
    let brand = head.get(8..12).unwrap_or_default();
    head.get(4..8) == Some(b"ftyp")
        && matches!(brand, b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" | b"mif2")
        && !head.windows(4).any(|brand| brand == b"avif")
}

/// Programs for Windows, Linux, macOS, Android, Java, and scripts that name what runs them.
fn is_program(head: &[u8]) -> bool {
    const STARTS: [&[u8]; 10] = [
        b"MZ",
        b"ZM",
        b"\x7fELF",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
        b"dex\n",
        b"#!",
    ];
    STARTS.iter().any(|start| head.starts_with(start))
        || head.starts_with(b"\x4c\x00\x00\x00\x01\x14\x02\x00")
        || head.starts_with(b"\0asm")
}

/// Texts that a browser or a system would run.
fn words(text: &[u8]) -> Option<Content> {
    let utf16 = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff");
    let plain: Vec<u8> =
        text.iter().filter(|byte| !(utf16 && matches!(byte, 0 | 0xfe | 0xff))).map(u8::to_ascii_lowercase).collect();
    let plain = plain.trim_ascii_start();
    let holds = |word: &[u8]| memchr::memmem::find(plain, word).is_some();
    if plain.starts_with(b"<") {
        if holds(b"<svg") || holds(b"/svg") {
            return Some(Content::Svg);
        }
        let pages: [&[u8]; 9] =
            [b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<iframe", b"<?php", b"<title", b"<meta"];
        // What is between angle brackets is a page for a browser that guesses.
        return Some(if pages.iter().any(|page| holds(page)) { Content::Html } else { Content::Unknown });
    }
    if plain.starts_with(b"@echo off") {
        return Some(Content::Program);
    }
    let scripts: [&[u8]; 3] = [b"mime-version:", b"<script", b"javascript:"];
    scripts.iter().any(|word| holds(word)).then_some(Content::Html)
}

/// First bytes kept to tell a content: an SVG may begin with a long declaration.
pub(super) const HEAD: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_content_decides() {
        let svg = b"<?xml version=\"1.0\"?>\n<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"x\">\n<svg onload=\"alert(1)\">";
        for (head, expected) in [
            (&b"%PDF-1.7\n"[..], Content::Pdf),
            (b"\xef\xbb\xbf\r\n%PDF-1.4", Content::Pdf),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Content::Jpeg),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Content::Png),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Content::Webp),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Content::Heic),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic", Content::Heic),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", Content::Unknown),
            (b"PK\x03\x04\x14\0", Content::Zip),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Content::OldOffice),
            (b"MZ\x90\0", Content::Program),
            (b"\x7fELF\x02\x01\x01", Content::Program),
            (b"#!/bin/sh\nrm -r ~", Content::Program),
            (b"@ECHO OFF\r\ndel", Content::Program),
            (b"<svg xmlns='http://www.w3.org/2000/svg'>", Content::Svg),
            (svg, Content::Svg),
            (b"  <HTML><body>", Content::Html),
            (b"\xff\xfe<\0s\0c\0r\0i\0p\0t\0>\0", Content::Html),
            (b"<?php system('id');", Content::Html),
            (b"From: <x>\r\nMIME-Version: 1.0\r\n", Content::Html),
            (b"GIF89a = 1; /*", Content::OtherPicture),
            (b"Rar!\x1a\x07\0", Content::Archive),
            (b"7z\xbc\xaf\x27\x1c", Content::Archive),
            (b"\x1f\x8b\x08\0", Content::Archive),
            (b"bonjour", Content::Unknown),
            (b"", Content::Unknown),
            (b"%P", Content::Unknown),
            (b"GIF89a = 1; %PDF-1.4", Content::OtherPicture),
        ] {
            assert_eq!(Content::of(head), expected, "{:?}", String::from_utf8_lossy(head));
        }
        assert_eq!(Content::of(&eicar()), Content::Eicar);
    }

    #[test]
    fn the_test_file_is_the_one_of_eicar() {
        let hash = blake3::hash(&eicar());
        assert_eq!(eicar()[67], b'*');
        assert!(!hash.to_hex().is_empty());
        assert!(eicar().is_ascii() && memchr::memmem::find(&eicar(), b"STANDARD-ANTIVIRUS").is_some());
    }

    proptest! {
        #[test]
        fn no_content_panics(head: Vec<u8>) {
            let _ = Content::of(&head);
        }

        #[test]
        fn no_start_makes_a_page_or_a_program_pass(start in prop::sample::select(vec![&b"MZ"[..], b"\x7fELF", b"<html>", b"<svg ", b"#!/"]), rest: Vec<u8>) {
            let bytes = [start, &rest].concat();
            prop_assert!(!Content::of(&bytes).may_be(&FileFormat::ALL), "{:?}", Content::of(&bytes));
        }
    }
}
