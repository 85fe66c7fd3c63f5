//! What a resident sent, once it is valid; it describes itself, so that a mail composed next week does not depend on a form
//! edited meanwhile.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::numbers::file_size;

/// What came with a request, before any judgement: input name → values, in the order they came.
///
/// Shape: text inputs only; files are handed over apart, once they are on disk. An address `adresse` comes as
/// `adresse.voie`, `adresse.code_postal` and `adresse.commune`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawAnswers {
    /// Input name → values.
    pub values: BTreeMap<String, Vec<String>>,
    /// Field id → files already received for it.
    pub files: BTreeMap<String, Vec<StoredFile>>,
}

impl RawAnswers {
    /// The first value of an input, or the empty string.
    pub fn first(&self, name: &str) -> &str {
        self.values.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// All values of an input.
    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a box was ticked.
    pub fn ticked(&self, name: &str) -> bool {
        matches!(self.first(name).trim(), "oui" | "on" | "1" | "true")
    }
}

/// A file received with a submission, already on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Random name in the file store: 32 lower-case hexadecimal digits.
    pub id: String,
    /// Safe display name, at most 100 characters.
    pub name: String,
    /// Media type found in the content.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// BLAKE3 of the bytes, hexadecimal.
    pub hash: String,
    /// What the mairie is told before it opens the file.
    #[serde(default, rename = "reserves", skip_serializing_if = "Vec::is_empty")]
    pub cautions: Vec<Caution>,
}

/// What was found, or could not be looked for, in a file that is taken all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Caution {
    /// The antivirus was to look at it and could not.
    #[serde(rename = "non_analyse")]
    Unscanned,
    /// A PDF that holds a program (JavaScript), as many official forms do.
    #[serde(rename = "script")]
    Script,
}

impl Caution {
    /// In words, for the mairie.
    pub fn words(self) -> &'static str {
        match self {
            Caution::Unscanned => "non analysé par l'antivirus",
            Caution::Script => "contient un programme JavaScript : n'autorisez rien à l'ouverture",
        }
    }
}

/// A valid answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "valeur", rename_all = "snake_case")]
pub enum AnswerValue {
    /// Text; several lines are kept as they are.
    #[serde(rename = "texte")]
    Text(String),
    /// Chosen labels, in the form's order.
    #[serde(rename = "choix")]
    Choices(Vec<String>),
    /// Lines of a postal address.
    #[serde(rename = "adresse")]
    Address(Vec<String>),
    /// Files.
    #[serde(rename = "fichiers")]
    Files(Vec<StoredFile>),
    /// Answers made of several: a person, copies of a group.
    #[serde(rename = "groupe")]
    Group(Vec<Entry>),
}

impl AnswerValue {
    /// Its lines for people, as typed; a file is its name and its size.
    pub fn lines(&self) -> Vec<String> {
        match self {
            AnswerValue::Text(text) => text.split('\n').map(str::to_owned).collect(),
            AnswerValue::Choices(lines) | AnswerValue::Address(lines) => lines.clone(),
            AnswerValue::Files(files) => {
                files.iter().map(|file| format!("{} ({})", file.name, file_size(file.size))).collect()
            }
            AnswerValue::Group(entries) => entries.iter().flat_map(Entry::lines).collect(),
        }
    }

    /// The same where there is room for one line.
    pub fn one_line(&self) -> String {
        match self {
            AnswerValue::Text(text) => text.replace('\n', " "),
            _ => self.lines().join(", "),
        }
    }
}

/// One person, one copy of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// « Enfant 2 »; `None` when there is only one.
    #[serde(rename = "titre", skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// In the form's order; unanswered questions are left out.
    #[serde(rename = "reponses")]
    pub parts: Vec<EntryPart>,
}

/// One answer of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPart {
    /// Id of the part.
    #[serde(rename = "champ")]
    pub part: String,
    /// The question as it was read.
    pub question: String,
    /// The answer in words.
    #[serde(rename = "valeur")]
    pub value: String,
}

impl Entry {
    /// Its lines for people: the title, then « Prénom : Zoé ».
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let parts = self.parts.iter().map(|part| format!("{}\u{a0}: {}", part.question, part.value));
        self.title.clone().into_iter().chain(parts)
    }
}

/// One question with its answer; unanswered questions are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Id of the field.
    #[serde(rename = "champ")]
    pub field: String,
    /// The group it stood in.
    #[serde(rename = "etape", skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
    /// The question as it was read.
    pub question: String,
    /// The answer.
    #[serde(flatten)]
    pub value: AnswerValue,
}

/// Who sent it, as far as known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sender {
    /// Name as it is written to: « Jeanne Martin », or the organisation's.
    pub name: String,
    /// Where the receipt goes; `None` when none was given.
    pub email: Option<String>,
}

/// What an answer makes urgent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// For the mairie: « Danger immédiat ».
    pub title: String,
    /// For who sends, in one sentence.
    pub reminder: String,
}

/// Valid answers of a form, not yet accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidAnswers {
    /// In the form's order.
    pub answers: Vec<Answer>,
    /// Who sent them.
    pub sender: Sender,
    /// What they make urgent, in the form's order.
    pub alerts: Vec<Alert>,
}

impl ValidAnswers {
    /// All files of all answers.
    pub fn files(&self) -> impl Iterator<Item = &StoredFile> {
        self.answers.iter().flat_map(|answer| match &answer.value {
            AnswerValue::Files(files) => files.as_slice(),
            _ => &[],
        })
    }
}

/// Why an answer was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Id of the field; for an address, of its part (`adresse.code_postal`).
    pub input: String,
    /// French sentence that says what to do: « Indiquez votre nom de famille ».
    pub message: String,
}
