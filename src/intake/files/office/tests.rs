//! Office documents, good and bad, made here.

use std::io::Write;

use flate2::write::DeflateEncoder;
use proptest::prelude::*;

use super::*;

/// A zip of these entries, packed or not, as an office program writes it.
pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(entries, |_, size| size)
}

/// The same, lying about sizes.
fn zip_with(entries: &[(&str, &[u8])], announced: impl Fn(&str, u32) -> u32) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let stored = *name == "mimetype";
        let packed = if stored {
            content.to_vec()
        } else {
            let mut packer = DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(content).unwrap();
            packer.finish().unwrap()
        };
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut common = vec![20, 0, 0, 0, if stored { 0 } else { 8 }, 0, 0, 0, 0x21, 0];
        common.extend(crc.sum().to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend(announced(name, content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        let at = bytes.len() as u32;
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(&packed);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, size, count) = (bytes.len() as u32, directory.len() as u32, entries.len() as u16);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

const TYPES: (&str, &[u8]) = ("[Content_Types].xml", b"<Types/>");
const TEXT: (&str, &[u8]) = ("word/document.xml", b"<document/>");
const ODT: (&str, &[u8]) = ("mimetype", b"application/vnd.oasis.opendocument.text");

fn docx(more: &[(&str, &[u8])]) -> Vec<u8> {
    zip(&[&[TYPES, TEXT][..], more].concat())
}

#[test]
fn the_entries_tell_the_kind() {
    assert_eq!(judge(&docx(&[])), Ok(FileFormat::Docx));
    assert_eq!(judge(&zip(&[TYPES, ("xl/workbook.xml", b"<workbook/>")])), Ok(FileFormat::Xlsx));
    assert_eq!(judge(&zip(&[ODT, ("content.xml", b"<x/>")])), Ok(FileFormat::Odt));
    let ods = ("mimetype", &b"application/vnd.oasis.opendocument.spreadsheet"[..]);
    assert_eq!(judge(&zip(&[ods, ("Basic/script-lc.xml", b"<x/>")])), Ok(FileFormat::Ods));
    for odd in [zip(&[("a.txt", b"bonjour")]), zip(&[ODT, TYPES, TEXT]), zip(&[TYPES, TEXT, ("xl/workbook.xml", b"")])]
    {
        assert_eq!(judge(&odd), Err(Unwanted::Format(Content::Zip)));
    }
    let cut = docx(&[]);
    assert_eq!(judge(&cut[..cut.len() / 2]), Err(Unwanted::BrokenDocument));
    assert_eq!(judge(&[b"MZ", &cut[..]].concat()), Err(Unwanted::Format(Content::Unknown)));
}

#[test]
fn what_runs_or_nests_is_refused() {
    let eicar = eicar();
    let inner = zip(&[("a", b"b")]);
    let noise = vec![b' '; 40_000];
    let late = [&noise[..BUFFER - 30], &eicar, &noise].concat();
    for (entry, content, expected) in [
        ("word/vbaProject.bin", &b"x"[..], Unwanted::Macros),
        ("xl/macrosheets/sheet1.xml", b"x", Unwanted::Macros),
        ("word/activeX/activeX1.xml", b"x", Unwanted::Embedded),
        ("word/embeddings/oleObject1.bin", b"x", Unwanted::Embedded),
        ("word/embeddings/objet.bin", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Unwanted::Embedded),
        ("word/media/a.png", b"MZ\x90\0", Unwanted::Embedded),
        ("word/media/a.exe", b"x", Unwanted::Embedded),
        ("word/media/a.png", &inner, Unwanted::Nested),
        ("word/media/a.png", b"\x1f\x8b\x08\0", Unwanted::Nested),
        ("../../etc/passwd", b"x", Unwanted::BrokenDocument),
        ("word/a.xml", &eicar, Unwanted::Virus),
        ("word/a.xml", &late, Unwanted::Virus),
    ] {
        assert_eq!(judge(&docx(&[(entry, content)])), Err(expected), "{entry}");
    }
    let enabled = (
        "[Content_Types].xml",
        &b"<Override ContentType=\"application/vnd.ms-word.document.macroEnabled.main+xml\"/>"[..],
    );
    assert_eq!(judge(&zip(&[enabled, TEXT])), Err(Unwanted::Macros));
    assert_eq!(judge(&zip(&[ODT, ("Basic/Standard/Module1.xml", b"Sub Main")])), Err(Unwanted::Macros));
    assert_eq!(judge(&zip(&[ODT, ("Scripts/python/a.py", b"import os")])), Err(Unwanted::Macros));
}

#[test]
fn bombs_are_refused_and_cost_little() {
    let zeros = vec![0; 8 << 20];
    let started = std::time::Instant::now();
    assert_eq!(judge(&docx(&[("word/a.xml", &zeros)])), Err(Unwanted::Bomb), "a thousand times its size");
    let liar =
        zip_with(&[TYPES, TEXT, ("word/a.xml", &zeros)], |name, size| if name == "word/a.xml" { 1_000 } else { size });
    assert_eq!(judge(&liar), Err(Unwanted::Bomb), "more than it said");
    let huge = zip_with(&[TYPES, TEXT], |_, _| 4_000_000_000);
    assert_eq!(judge(&huge), Err(Unwanted::Bomb));
    let names: Vec<String> = (0..2_000).map(|number| format!("word/{number}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    assert_eq!(judge(&zip(&many)), Err(Unwanted::Bomb));
    // Two entries of the directory that lead to the same bytes.
    let mut twice = docx(&[("word/b.xml", b"x")]);
    let second = memchr::memmem::rfind(&twice, b"PK\x01\x02").unwrap();
    let first = memchr::memmem::find(&twice, b"PK\x01\x02").unwrap();
    let (offset, crc_and_sizes) = (twice[first + 42..first + 46].to_vec(), twice[first + 16..first + 28].to_vec());
    twice[second + 42..second + 46].copy_from_slice(&offset);
    twice[second + 16..second + 28].copy_from_slice(&crc_and_sizes);
    assert_eq!(judge(&twice), Err(Unwanted::Bomb));
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}

proptest! {
    #[test]
    fn nothing_panics(bytes: Vec<u8>, at in 0usize..400, value: u8) {
        let _ = judge(&[b"PK\x03\x04", &bytes[..]].concat());
        let mut changed = docx(&[("word/a.xml", b"<x/>")]);
        let at = at % changed.len();
        changed[at] = value;
        let _ = judge(&changed);
    }
}
