//! Names of files that come from anywhere: nothing of them is believed.

use crate::model::form::FileFormat;

/// A name that can be shown, put in a mail and saved anywhere, with the one extension of its content.
///
/// Shape: 1 to 100 characters, at most 200 bytes, one dot, no path, no control nor direction character, no name reserved by
/// Windows.
pub fn safe_name(raw: &str, format: FileFormat) -> String {
    let last = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    let (stem, extension) = match last.rsplit_once('.') {
        Some((stem, extension)) if looks_like_extension(extension) => (stem, extension.to_ascii_lowercase()),
        _ => (last, String::new()),
    };
    let extension = match format.extensions().iter().find(|known| **known == extension) {
        Some(known) => known,
        None => format.extensions()[0],
    };
    let mut name = clean(stem);
    if name.is_empty() {
        name.push_str("fichier");
    } else if is_reserved(&name) {
        name.insert(0, '_');
    }
    format!("{name}.{extension}")
}

/// `pdf`, `jpeg`, `mp4`, but not the `2` of « plan v1.2 ».
fn looks_like_extension(text: &str) -> bool {
    (1..=5).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn clean(stem: &str) -> String {
    let mut name = String::new();
    for character in stem.chars() {
        let character = match character {
            _ if is_invisible(character) => continue,
            _ if character.is_whitespace() => ' ',
            '.' | '<' | '>' | ':' | '"' | '|' | '?' | '*' | '/' | '\\' | ';' | '%' | '$' | '`' => '-',
            other => other,
        };
        if character == ' ' && (name.is_empty() || name.ends_with(' ')) {
            continue;
        }
        name.push(character);
    }
    let mut name = name.trim_matches([' ', '-', '~']).to_owned();
    while name.chars().count() > MAX_CHARS || name.len() > MAX_BYTES {
        name.pop();
    }
    name.truncate(name.trim_end_matches([' ', '-', '~']).len());
    name
}

/// Characters that are not seen or turn the reading direction round: what is read would not be what is there.
fn is_invisible(character: char) -> bool {
    (character.is_control() && !character.is_whitespace())
        || matches!(character,
            '\0'..='\u{8}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
            | '\u{e000}'..='\u{f8ff}' | '\u{1fffe}'..='\u{1ffff}' | '\u{e0000}'..='\u{10ffff}')
}

fn is_reserved(stem: &str) -> bool {
    let upper = stem.to_ascii_uppercase();
    matches!(upper.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || (upper.len() == 4
            && (upper.starts_with("COM") || upper.starts_with("LPT"))
            && upper.ends_with(|last: char| last.is_ascii_digit()))
}

/// Characters of a name without its extension: the longest extension is `.jpeg`, and a reserved name gains one.
const MAX_CHARS: usize = 94;
const MAX_BYTES: usize = 194;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_keep_what_is_harmless() {
        for (raw, format, expected) in [
            ("photo.jpeg", FileFormat::Jpg, "photo.jpeg"),
            ("PHOTO.JPG", FileFormat::Jpg, "PHOTO.jpg"),
            ("Été à la mairie (2).pdf", FileFormat::Pdf, "Été à la mairie (2).pdf"),
            ("C:\\Users\\Jeanne\\plan v1.2", FileFormat::Pdf, "plan v1-2.pdf"),
            ("../../etc/passwd", FileFormat::Png, "passwd.png"),
            ("facture.pdf.exe", FileFormat::Pdf, "facture-pdf.pdf"),
            ("photo.HEIC", FileFormat::Jpg, "photo.jpg"),
            ("gnp.\u{202e}fdp.exe", FileFormat::Pdf, "gnp-fdp.pdf"),
            ("a\r\nBcc: x@y.fr\0.pdf", FileFormat::Pdf, "a Bcc- x@y-fr.pdf"),
            ("nul.pdf", FileFormat::Pdf, "_nul.pdf"),
            ("...", FileFormat::Pdf, "fichier.pdf"),
            ("", FileFormat::Pdf, "fichier.pdf"),
            (".htaccess", FileFormat::Png, "htaccess.png"),
            ("-rf.pdf", FileFormat::Pdf, "rf.pdf"),
        ] {
            assert_eq!(safe_name(raw, format), expected, "for {raw:?}");
        }
    }

    proptest! {
        #[test]
        fn a_safe_name_is_safe(raw in ".{0,300}", format in prop::sample::select(&FileFormat::ALL[..])) {
            let name = safe_name(&raw, format);
            prop_assert!(name.chars().count() <= 100 && name.len() <= 200);
            prop_assert_eq!(name.matches('.').count(), 1);
            let forbidden = |character: char| character.is_control() || is_invisible(character) || "/\\<>:\"|?*".contains(character);
            prop_assert!(!name.contains(forbidden), "{:?}", name);
            prop_assert!(!name.starts_with(['.', ' ', '-']));
            prop_assert_eq!(safe_name(&name, format), name.clone(), "cleaning twice changes nothing");
        }
    }
}
