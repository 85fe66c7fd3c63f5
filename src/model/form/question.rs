//! One question: its kind, its choices, its condition.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Delay;
use super::block::Shape;
use crate::model::submission::RawAnswers;

/// A choice of a [`FieldKind::Choice`] or [`FieldKind::Choices`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    /// One more sentence below the label.
    pub help: Option<String>,
    /// What it costs, in cents of a euro.
    pub price: Option<u32>,
}

/// A format of file that a form accepts; recognised by content, never by name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// PDF.
    Pdf,
    /// JPEG.
    Jpg,
    /// PNG.
    Png,
    /// Text of Word and its kin (OOXML).
    Docx,
    /// Text of LibreOffice (OpenDocument).
    Odt,
    /// Sheet of Excel and its kin (OOXML).
    Xlsx,
    /// Sheet of LibreOffice (OpenDocument).
    Ods,
}

impl FileFormat {
    /// Every format, those that any machine opens first.
    pub const ALL: [FileFormat; 7] = [
        FileFormat::Pdf,
        FileFormat::Jpg,
        FileFormat::Png,
        FileFormat::Docx,
        FileFormat::Odt,
        FileFormat::Xlsx,
        FileFormat::Ods,
    ];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            FileFormat::Pdf => "PDF",
            FileFormat::Jpg => "JPEG",
            FileFormat::Png => "PNG",
            FileFormat::Docx => "Word (DOCX)",
            FileFormat::Odt => "texte ODT",
            FileFormat::Xlsx => "Excel (XLSX)",
            FileFormat::Ods => "tableur ODS",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            FileFormat::Pdf => "application/pdf",
            FileFormat::Jpg => "image/jpeg",
            FileFormat::Png => "image/png",
            FileFormat::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            FileFormat::Odt => "application/vnd.oasis.opendocument.text",
            FileFormat::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            FileFormat::Ods => "application/vnd.oasis.opendocument.spreadsheet",
        }
    }

    /// Every extension, the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            FileFormat::Pdf => &["pdf"],
            FileFormat::Jpg => &["jpg", "jpeg"],
            FileFormat::Png => &["png"],
            FileFormat::Docx => &["docx"],
            FileFormat::Odt => &["odt"],
            FileFormat::Xlsx => &["xlsx"],
            FileFormat::Ods => &["ods"],
        }
    }

    /// Whether it is a picture.
    pub fn is_picture(self) -> bool {
        matches!(self, FileFormat::Jpg | FileFormat::Png)
    }
}

/// Between which days a date must fall, counted from the day of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateBounds {
    /// Not before today plus this; `Days(0)`: today.
    pub earliest: Option<Delay>,
    /// Not after today plus this.
    pub latest: Option<Delay>,
    /// Today at the latest.
    pub past: bool,
    /// Of a birth: years at most from that day to the day of the answer; the others are slips of the finger.
    #[serde(default)]
    pub max_age: Option<u8>,
}

impl DateBounds {
    /// First and last day accepted when the answer is given on `today`.
    pub fn on(self, today: Date) -> (Option<Date>, Option<Date>) {
        let after = |delay: Delay| match delay {
            Delay::Days(count) => today.saturating_add(i64::from(count).days()),
            Delay::Months(count) => today.saturating_add(i32::from(count).months()),
            Delay::Years(count) => today.saturating_add(i32::from(count).years()),
        };
        (self.earliest.map(after), if self.past { Some(today) } else { self.latest.map(after) })
    }
}

/// What kind of answer a question takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldKind {
    /// One line, at most `max` characters.
    Text {
        /// Characters.
        max: u32,
    },
    /// Several lines, at most `max` characters.
    LongText {
        /// Characters.
        max: u32,
    },
    /// An e-mail address.
    Email,
    /// A telephone number.
    Telephone,
    /// A whole number between bounds.
    Number {
        /// Smallest accepted.
        min: Option<i64>,
        /// Largest accepted.
        max: Option<i64>,
        /// What one of them costs, in cents of a euro.
        unit_price: Option<u32>,
    },
    /// A sum in euros.
    Amount {
        /// Smallest accepted, in cents.
        min: Option<u64>,
        /// Largest accepted, in cents.
        max: Option<u64>,
    },
    /// A calendar date.
    Date {
        /// Which ones.
        bounds: DateBounds,
    },
    /// An hour of the day.
    Time,
    /// Yes or no.
    YesNo,
    /// One of.
    Choice {
        /// At least two.
        choices: Vec<Choice>,
    },
    /// Several of.
    Choices {
        /// At least two.
        choices: Vec<Choice>,
    },
    /// One box.
    Checkbox,
    /// Street, postal code, commune: three inputs `id.voie`, `id.code_postal`, `id.commune`.
    Address,
    /// A place in free words, with suggestions.
    Place {
        /// Hamlets and streets offered.
        suggestions: Vec<String>,
    },
    /// Files.
    File {
        /// Accepted formats.
        formats: Vec<FileFormat>,
        /// How many at most.
        max_count: u8,
        /// Bytes a file.
        max_bytes: u64,
        /// Pictures taken by a person, not documents.
        photo: bool,
    },
    /// Words without a question (Markdown).
    Information {
        /// Markdown.
        html: String,
    },
    /// Words that must not be missed when they are asked for: shown with the questions, told again once the request is sent,
    /// and first in the mairie's mail.
    Alert {
        /// For the mairie, a few words: « Danger immédiat ».
        title: String,
        /// Markdown.
        html: String,
        /// One plain sentence for who sends: « Appelez le 18 ou le 112. »
        reminder: String,
    },
    /// « Ce n'est pas ici »: the request cannot be sent.
    Exit {
        /// Title of the page.
        title: String,
        /// Markdown: whom to call, where to go.
        html: String,
    },
    /// An association's RNA number (`W` and nine digits; another identifier is accepted, the reference marks the pattern as
    /// not verified).
    Rna,
    /// A SIRET number (fourteen digits, Luhn key).
    Siret,
    /// A bank account number (ISO 13616, key modulo 97).
    Iban,
    /// Questions that make one answer: inputs `id.part`.
    Block {
        /// What they make together.
        shape: Shape,
        /// In order; simple kinds only.
        parts: Vec<Field>,
    },
    /// Questions asked several times: inputs `id.1.part`, `id.2.part`…
    Group {
        /// What one of them is: « Enfant ».
        one: String,
        /// Words of the button that adds one: « Ajouter un enfant ».
        #[serde(default)]
        add: Option<String>,
        /// Copies asked at least; 0: none is required.
        min: u8,
        /// Copies at most.
        max: u8,
        /// In order; simple kinds only.
        parts: Vec<Field>,
    },
}

/// How an answer is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// One of the values.
    Is,
    /// None of the values.
    IsNot,
    /// A number below.
    Below,
    /// A number below or equal.
    AtMost,
    /// A number above.
    Above,
    /// A number above or equal.
    AtLeast,
}

/// One comparison of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// Id of an earlier field.
    pub field: String,
    /// How.
    pub operator: Operator,
    /// With what: values of choices, or one whole number.
    pub values: Vec<String>,
}

/// When a question is asked: when all tests hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// At least one.
    pub tests: Vec<Test>,
}

impl Condition {
    /// That a field has one of these values.
    pub fn is(field: &str, values: &[&str]) -> Condition {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Condition { tests: vec![Test { field: field.to_owned(), operator: Operator::Is, values }] }
    }
}

impl Test {
    /// Whether it holds for what was answered to `parent`, its field.
    pub fn holds(&self, parent: &Field, raw: &RawAnswers) -> bool {
        let listed = |value: &str| self.values.iter().any(|listed| listed == value);
        let any = |is: bool| match &parent.kind {
            FieldKind::Checkbox => listed(if raw.ticked(&parent.id) { "oui" } else { "non" }) == is,
            FieldKind::Choices { .. } => raw.all(&parent.id).iter().any(|value| listed(value.trim())) == is,
            _ => listed(raw.first(&parent.id).trim()) == is,
        };
        let number = |compare: fn(&i64, &i64) -> bool| {
            let given: String = raw.first(&parent.id).chars().filter(|letter| !letter.is_whitespace()).collect();
            let bound = self.values.first().and_then(|value| value.parse::<i64>().ok());
            given.parse::<i64>().ok().zip(bound).is_some_and(|(given, bound)| compare(&given, &bound))
        };
        match self.operator {
            Operator::Is => any(true),
            Operator::IsNot => any(false),
            Operator::Below => number(i64::lt),
            Operator::AtMost => number(i64::le),
            Operator::Above => number(i64::gt),
            Operator::AtLeast => number(i64::ge),
        }
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Unique in its form; lower case, digits and `_`.
    pub id: String,
    /// Kind of answer.
    pub kind: FieldKind,
    /// The question as read; empty for [`FieldKind::Information`].
    pub question: String,
    /// One more sentence.
    pub help: Option<String>,
    /// Whether an answer is required (when the question is asked).
    pub required: bool,
    /// Title of the group the question stands in.
    pub step: Option<String>,
    /// When it is asked.
    pub condition: Option<Condition>,
    /// HTML `autocomplete` token (WCAG 1.3.5), for questions on the person.
    pub autocomplete: Option<String>,
}

impl Field {
    /// A question without help, condition nor step.
    pub fn plain(id: &str, kind: FieldKind, question: &str, required: bool) -> Field {
        Field {
            id: id.to_owned(),
            kind,
            question: question.to_owned(),
            help: None,
            required,
            step: None,
            condition: None,
            autocomplete: None,
        }
    }

    /// Whether it only tells something.
    pub fn tells_only(&self) -> bool {
        matches!(self.kind, FieldKind::Information { .. } | FieldKind::Alert { .. } | FieldKind::Exit { .. })
    }

    /// The questions of a block, or of one copy of a group, with the ids of their inputs.
    ///
    /// `copy` counts from 1 and is left aside for a block. Parts of a block that may be left blank are not required until one
    /// of them is answered: that is the caller's to judge.
    pub fn parts(&self, copy: usize) -> Vec<Field> {
        let (prefix, parts) = match &self.kind {
            FieldKind::Block { parts, .. } => (self.id.clone(), parts),
            FieldKind::Group { parts, .. } => (format!("{}.{copy}", self.id), parts),
            _ => return Vec::new(),
        };
        parts.iter().map(|part| Field { id: format!("{prefix}.{}", part.id), ..part.clone() }).collect()
    }

    /// The same, down to the questions that have an input of their own: a block in a group gives its parts.
    pub fn leaves(&self, copy: usize) -> Vec<Field> {
        let down = |part: Field| match part.kind {
            FieldKind::Block { .. } => part.parts(0),
            _ => vec![part],
        };
        self.parts(copy).into_iter().flat_map(down).collect()
    }

    /// The question that the rest of an input's name leads to in this one.
    pub(super) fn leaf(&self, rest: &str) -> Option<&Field> {
        let (FieldKind::Block { parts, .. } | FieldKind::Group { parts, .. }) = &self.kind else { return Some(self) };
        let (id, rest) = rest.split_once('.').unwrap_or((rest, ""));
        parts.iter().find(|part| part.id == id)?.leaf(rest)
    }

    /// Copies of a group to show: those that were shown, filled or not, and as many as it asks for.
    pub fn copies(&self, raw: &RawAnswers) -> usize {
        let FieldKind::Group { min, max, .. } = &self.kind else { return 0 };
        let prefix = format!("{}.", self.id);
        let copy = |name: &String| name.strip_prefix(&prefix)?.split('.').next()?.parse::<usize>().ok();
        let last = raw.values.keys().filter_map(copy).max();
        last.unwrap_or(0).max(usize::from(*min).max(1)).min(usize::from(*max))
    }
}
