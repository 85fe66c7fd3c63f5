//! Says what is wrong with content, as data.
//!
//! A mistake in content is never an `Err`: it is collected, so that the secretary sees all of them at once, each with its
//! place and its remedy. Drawing them for people is the duty of `cli::report`.

use std::fmt;

use serde::Serialize;

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The site cannot be written.
    #[serde(rename = "erreur")]
    Error,
    /// The site is written, something is wrong or incomplete.
    #[serde(rename = "avertissement")]
    Warning,
    /// Something only the mairie knows is left blank.
    #[serde(rename = "a_completer")]
    Blank,
}

impl Severity {
    /// The French word printed before the message.
    pub fn label(self) -> &'static str {
        match self {
            Severity::Error => "erreur",
            Severity::Warning => "avertissement",
            Severity::Blank => "à compléter",
        }
    }
}

/// Where in the author's files something stands.
///
/// Shape: `file` is relative to the layer's folder with `/` separators; `line` and `column` count from 1 and are 0 when the
/// whole file is meant; `length` is in characters (0: unknown).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Place {
    /// File, relative to its layer.
    #[serde(rename = "fichier")]
    pub file: String,
    /// Line, from 1; 0 when unknown.
    #[serde(rename = "ligne")]
    pub line: u32,
    /// Column in characters, from 1; 0 when unknown.
    #[serde(rename = "colonne")]
    pub column: u32,
    /// Length in characters of what is meant; 0 when unknown.
    #[serde(rename = "longueur")]
    pub length: u32,
}

impl Place {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Place { file: file.into(), ..Place::default() }
    }

    /// A line of a file.
    pub fn line(file: impl Into<String>, line: u32) -> Self {
        Place { file: file.into(), line, ..Place::default() }
    }

    /// The place of a byte range of `source`, a text that starts at line `first_line` of `file`.
    pub fn span(file: impl Into<String>, source: &str, span: std::ops::Range<usize>, first_line: u32) -> Self {
        let start = floor_boundary(source, span.start);
        let end = floor_boundary(source, span.end.max(start));
        let before = &source[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let newlines = before.bytes().filter(|byte| *byte == b'\n').count();
        let meant = source[start..end].lines().next().unwrap_or("");
        Place {
            file: file.into(),
            line: first_line + newlines as u32,
            column: before[line_start..].chars().count() as u32 + 1,
            length: meant.chars().count() as u32,
        }
    }
}

fn floor_boundary(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
            if self.column > 0 {
                write!(formatter, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Stable number of a kind of mistake, `M` and four digits.
        ///
        /// `M01` reading, `M02` keys and values, `M03` addresses and links, `M04` images and documents, `M05` theme, `M06`
        /// forms, `M07` what the law asks, `M08` accessibility, `M09` freshness, `M10` the territoire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name),+ }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name),+];

            /// The printed form, `M0301`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),+ }
            }
        }
    };
}

codes! {
    /// The folder has no `commune.toml`.
    NoCommune = "M0101",
    /// A file is not UTF-8.
    NotUtf8 = "M0102",
    /// A file or folder cannot be read.
    Unreadable = "M0103",
    /// A content has no `+++` front matter.
    NoFrontMatter = "M0104",
    /// A file stands where no type of content lives.
    Misplaced = "M0105",
    /// A symbolic link leads back to a folder above it.
    LinkLoop = "M0106",
    /// A symbolic link leads out of the folder.
    OutsideLink = "M0107",
    /// `adresses.csv` is not a Base Adresse Locale, or not as it should be.
    NotAddresses = "M0108",
    /// A row of `adresses.csv` that cannot be read.
    BadAddressRow = "M0109",
    /// `adresses.csv` holds rows of another commune.
    OtherCommune = "M0110",
    /// TOML that cannot be parsed.
    BadToml = "M0201",
    /// An unknown key.
    UnknownKey = "M0202",
    /// A required key is missing or empty.
    MissingKey = "M0203",
    /// A value of the wrong type or outside its range.
    BadValue = "M0204",
    /// A date or hour that does not exist.
    BadDate = "M0205",
    /// Two contents claim one address.
    AddressCollision = "M0301",
    /// A link to a file that does not exist.
    DeadLink = "M0302",
    /// A link to a draft, or to a content not published on that day.
    HiddenTarget = "M0303",
    /// A link to a heading that does not exist.
    DeadAnchor = "M0304",
    /// An absolute or foreign link that cannot work.
    BadLink = "M0305",
    /// A document named by a content does not exist.
    MissingFile = "M0401",
    /// An image that cannot be decoded.
    BrokenImage = "M0402",
    /// An image too large to be decoded safely.
    HugeImage = "M0403",
    /// A document in a format the public should not be given.
    BadDocument = "M0404",
    /// A template that does not compile or fails.
    Template = "M0501",
    /// A colour that had to be adjusted, or a pair of tokens without enough contrast.
    Contrast = "M0502",
    /// A theme file that cannot be read as a theme.
    BadTheme = "M0503",
    /// Two questions with one id.
    DuplicateField = "M0601",
    /// A condition that points nowhere.
    BadCondition = "M0602",
    /// The fiche's service does not exist or lacks what the receipt must say (CRPA, art. R112-11-1).
    IncompleteService = "M0603",
    /// A form without its data-protection notice (RGPD, art. 13).
    NoDataNotice = "M0604",
    /// A form without recipient.
    NoRecipient = "M0605",
    /// Any other mistake in a form's definition.
    BadForm = "M0606",
    /// What silence is worth is said twice, or of something that is not decided.
    BadRegime = "M0607",
    /// A form that would never be open, or a waiting list without places.
    BadOpening = "M0608",
    /// A group of questions that cannot be repeated.
    BadGroup = "M0609",
    /// A question that the law forbids, or that asks for more than is needed.
    DoubtfulQuestion = "M0610",
    /// A regime of silence that the mairie should have confirmed before it is told to residents.
    RegimeToConfirm = "M0611",
    /// Answers would be erased before the day they are about.
    KeptTooShort = "M0612",
    /// `[demarches.…]` of a fiche that does not exist or has no form.
    UnknownForm = "M0613",
    /// Exits that leave no way through a form.
    NoWayThrough = "M0614",
    /// A legal mention is missing.
    LegalMention = "M0701",
    /// A page without title, or with two.
    Title = "M0801",
    /// An image without alternative.
    Alternative = "M0802",
    /// Headings that skip a level.
    Headings = "M0803",
    /// A link without text that says where it goes.
    LinkText = "M0804",
    /// A content to be read again.
    Stale = "M0901",
    /// A commune or a territoire written for a newer version of the program.
    NewerFormat = "M1001",
    /// A commune that `territoire.toml` names has no folder.
    NoFolder = "M1002",
    /// Two communes with one domain.
    SharedDomain = "M1003",
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing to say about the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad.
    #[serde(rename = "gravite")]
    pub severity: Severity,
    /// Which rule.
    pub code: Code,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// One French sentence without final stop.
    pub message: String,
    /// What to do about it, in French.
    #[serde(rename = "remede", skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error: the site will not be written.
    pub fn error(code: Code, place: Place, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Error, code, place, message: message.into(), hint: None }
    }

    /// A warning: the site is written all the same.
    pub fn warning(code: Code, place: Place, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, place, message) }
    }

    /// A blank that only the mairie can fill.
    pub fn blank(code: Code, place: Place, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Blank, ..Diagnostic::error(code, place, message) }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Whether the list holds an error, so that nothing may be written.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// The first error, with its place, in a sentence; empty when there is none.
pub fn first_error(diagnostics: &[Diagnostic]) -> String {
    let error = diagnostics.iter().find(|told| told.severity == Severity::Error);
    error.map_or_else(String::new, |told| format!("{} : {}", told.place, told.message))
}

/// Sorts for reading: file, line, then code; the same list always gives the same order.
///
/// A blank at a place where an error stands is left out: what is badly written is not « empty ».
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    let wrong: std::collections::BTreeSet<Place> = diagnostics
        .iter()
        .filter(|told| told.severity == Severity::Error && told.place.line > 0)
        .map(|told| told.place.clone())
        .collect();
    diagnostics.retain(|told| told.severity != Severity::Blank || !wrong.contains(&told.place));
    diagnostics.sort_by(|a, b| (&a.place, a.code, &a.message).cmp(&(&b.place, b.code, &b.message)));
    diagnostics.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_lines_and_characters() {
        let source = "titre = \"é\"\ndate = 2026-02-31\n";
        let at = source.find("2026").unwrap_or(0);
        let place = Place::span("a.md", source, at..at + 10, 2);
        assert_eq!(place.to_string(), "a.md:3:8");
        assert_eq!(place.length, 10);
    }

    #[test]
    fn codes_are_unique_and_sorted() {
        let texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
