//! Looks for what a PDF may start by itself. Cheap and honest: names are looked for in the file as it lies and in its
//! compressed object streams; what is encrypted, or packed by another filter than Flate, is not seen.

use std::io::Read;

use flate2::read::ZlibDecoder;
use memchr::memmem;

use super::content::eicar;
use super::unwanted::Unwanted;
use crate::model::submission::Caution;

/// What the mairie is told of a PDF that may be taken.
///
/// # Errors
/// [`Unwanted`] when it starts a program, holds one, or is another file as well.
pub(super) fn judge(bytes: &[u8]) -> Result<Vec<Caution>, Unwanted> {
    if memmem::find(bytes, &eicar()).is_some() {
        return Err(Unwanted::Virus);
    }
    if is_archive_too(bytes) {
        return Err(Unwanted::Twofold);
    }
    let mut found = Found::default();
    found.names(bytes);
    let mut budget = MAX_INFLATED;
    for at in memmem::find_iter(bytes, b"/ObjStm") {
        if let Some(inside) = object_stream(bytes, at, &mut budget) {
            found.names(&inside);
        }
    }
    if found.launch {
        return Err(Unwanted::Launch);
    }
    if found.program {
        return Err(Unwanted::Embedded);
    }
    Ok(if found.script { vec![Caution::Script] } else { Vec::new() })
}

#[derive(Default)]
struct Found {
    launch: bool,
    script: bool,
    program: bool,
}

impl Found {
    /// Looks at names of PDF objects; `#61` stands for `a` in them (ISO 32000-1, 7.3.5).
    fn names(&mut self, bytes: &[u8]) {
        let mut embeds = false;
        for at in memchr::memchr_iter(b'/', bytes) {
            let (name, length) = name_at(&bytes[at + 1..]);
            match &name[..length] {
                b"Launch" => self.launch = true,
                b"JavaScript" | b"JS" => self.script = true,
                b"EmbeddedFile" | b"EmbeddedFiles" | b"Filespec" => embeds = true,
                // The name of an embedded file: `/F (a.exe)`, `/UF (a.exe)`.
                b"F" | b"UF" => self.program |= embeds && is_program_name(&bytes[at..]),
                _ => {}
            }
        }
        // A name may come before what says that it is that of an embedded file.
        if embeds && !self.program {
            self.program = memchr::memchr_iter(b'/', bytes).any(|at| {
                let (name, length) = name_at(&bytes[at + 1..]);
                matches!(&name[..length], b"F" | b"UF") && is_program_name(&bytes[at..])
            });
        }
    }
}

/// A name without its slash, unescaped, cut at the length of the longest one looked for.
fn name_at(bytes: &[u8]) -> ([u8; LONGEST], usize) {
    let (mut name, mut length, mut at) = ([0; LONGEST], 0, 0);
    while length < LONGEST {
        let Some(byte) = bytes.get(at) else { break };
        let hex = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let (byte, width) = match (byte, hex(at + 1), hex(at + 2)) {
            (b'#', Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
            (byte, _, _) if byte.is_ascii_alphanumeric() => (*byte, 1),
            _ => break,
        };
        name[length] = byte;
        length += 1;
        at += width;
    }
    (name, length)
}

/// Whether the string that follows, between parentheses, ends like the name of a program.
fn is_program_name(bytes: &[u8]) -> bool {
    let near = &bytes[..bytes.len().min(300)];
    let Some(start) = near.iter().position(|byte| *byte == b'(').filter(|start| *start < 8) else { return false };
    let Some(length) = near[start..].iter().position(|byte| *byte == b')') else { return false };
    // UTF-16 and ASCII alike.
    let name: Vec<u8> =
        near[start + 1..start + length].iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
    RUNNING.iter().any(|extension| name.ends_with(extension))
}

/// Inflates the object stream whose dictionary holds `/ObjStm` at this place.
fn object_stream(bytes: &[u8], at: usize, budget: &mut u64) -> Option<Vec<u8>> {
    let near = &bytes[at..bytes.len().min(at + 2_000)];
    let start = at + memmem::find(near, b"stream")? + b"stream".len();
    let skipped = bytes[start..].iter().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let mut inside = Vec::new();
    let limit = (*budget).min(MAX_STREAM);
    // What was read before an error is looked at too.
    let _ = ZlibDecoder::new(&bytes[start + skipped..]).take(limit).read_to_end(&mut inside);
    *budget -= inside.len() as u64;
    Some(inside)
}

/// Whether a zip program would open the file: the end of a directory that lies in it.
fn is_archive_too(bytes: &[u8]) -> bool {
    let tail = bytes.len().saturating_sub(66_000);
    memmem::rfind(&bytes[tail..], b"PK\x05\x06").is_some_and(|at| {
        let end = &bytes[tail + at..];
        let size = end.get(12..16).and_then(|size| size.try_into().ok()).map_or(0, u32::from_le_bytes);
        size > 0
            && (tail + at).checked_sub(size as usize).is_some_and(|start| bytes[start..].starts_with(b"PK\x01\x02"))
    })
}

/// Bytes of object streams looked at, in one and in all.
const MAX_STREAM: u64 = 4 << 20;
const MAX_INFLATED: u64 = 32 << 20;
/// `EmbeddedFiles` and one more, so that a longer name is not taken for it.
const LONGEST: usize = 14;
const RUNNING: [&[u8]; 14] = [
    b".exe", b".com", b".bat", b".cmd", b".scr", b".msi", b".dll", b".js", b".vbs", b".wsf", b".hta", b".ps1", b".jar",
    b".lnk",
];

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn pdf(inside: &str) -> Vec<u8> {
        format!("%PDF-1.7\n1 0 obj\n{inside}\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF\n").into_bytes()
    }

    fn packed(inside: &str) -> Vec<u8> {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(inside.as_bytes()).unwrap();
        let stream = packer.finish().unwrap();
        let head = format!(
            "%PDF-1.7\n1 0 obj<</Type/ObjStm/N 1/First 5/Filter/FlateDecode/Length {}>>stream\r\n",
            stream.len()
        );
        [head.as_bytes(), &stream, b"\nendstream endobj\n%%EOF"].concat()
    }

    #[test]
    fn what_runs_is_found_in_clear_escaped_or_packed() {
        assert_eq!(judge(&pdf("<</Type/Catalog>>")), Ok(Vec::new()));
        let launch = "<</S/Launch/F(cmd.exe)>>";
        assert_eq!(judge(&pdf(launch)), Err(Unwanted::Launch));
        assert_eq!(judge(&pdf("<</S/L#61unch/F(x)>>")), Err(Unwanted::Launch));
        assert_eq!(judge(&packed(launch)), Err(Unwanted::Launch));
        assert_eq!(judge(&pdf("<</S/JavaScript/JS(app.alert(1))>>")), Ok(vec![Caution::Script]));
        assert_eq!(judge(&packed("<</S/JavaScript/JS(app.alert(1))>>")), Ok(vec![Caution::Script]));
        assert_eq!(judge(&pdf("<</Type/Filespec/F(facture.exe)/EF<<>>>>")), Err(Unwanted::Embedded));
        assert_eq!(judge(&pdf("<</F(facture.exe)/Type/Filespec>>")), Err(Unwanted::Embedded));
        assert_eq!(judge(&pdf("<</Type/Filespec/F(facture.pdf)>>")), Ok(Vec::new()));
        assert_eq!(judge(&pdf("<</LaunchPad/JSON/JSX>>")), Ok(Vec::new()));
        let eicar = String::from_utf8(eicar().to_vec()).unwrap();
        assert_eq!(judge(&pdf(&eicar)), Err(Unwanted::Virus));
    }

    #[test]
    fn a_pdf_that_is_a_zip_too_is_refused() {
        let mut both = pdf("<<>>");
        let at = both.len() as u32;
        both.extend(b"PK\x01\x02");
        both.extend([0; 42]);
        both.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        both.extend(46_u32.to_le_bytes());
        both.extend(at.to_le_bytes());
        both.extend([0, 0]);
        assert_eq!(judge(&both), Err(Unwanted::Twofold));
    }

    #[test]
    fn a_bomb_of_object_streams_costs_little() {
        let swelling = "a".repeat(8 << 20);
        let one = packed(&swelling);
        let many: Vec<u8> = std::iter::repeat_n(one, 20).flatten().collect();
        assert_eq!(judge(&many), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, inside in "[ -~]{0,80}") {
            let _ = judge(&bytes);
            let _ = judge(&pdf(&inside));
            let _ = judge(&[b"/ObjStm stream\n", &bytes[..]].concat());
        }
    }
}
