//! Judges what came with a request: valid answers, or what to mend and where. Pure.
//!
//! 1. Which questions are asked, by their conditions; answers to the others are ignored.
//! 2. Each answer is cleaned (spaces, line ends, invisible signs) and read by its kind.
//! 3. All mistakes are told together, in the form's order.

mod block;
mod clean;
mod email;
mod kinds;
mod price;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;

use jiff::civil::Date;

pub use self::email::email;
pub use self::price::total;
pub use crate::model::form::own::TOTAL;

use self::block::ADDRESS_PARTS;
use self::clean::{lines, one_line};
use crate::model::form::{Choice, Field, FieldKind, FileFormat, Form, IDENTITY_FIELD, IDENTITY_STEP};
use crate::model::submission::{Alert, Answer, AnswerValue, FieldError, RawAnswers, Sender, StoredFile, ValidAnswers};
use crate::text::numbers::{euros, file_size, plural};
use crate::text::typography::french;

/// The valid answers of a form, in its order.
///
/// `today` is the commune's day: some dates must come after it. When choices have prices, the last answer is their sum.
///
/// # Errors
/// Every mistake, in the form's order, each with the input it stands in and a French sentence that says what to do.
pub fn answers(form: &Form, raw: &RawAnswers, today: Date) -> Result<ValidAnswers, Vec<FieldError>> {
    let mut answers = Vec::new();
    let mut errors = Vec::new();
    for field in form.asked(raw) {
        match answer(field, raw, today) {
            Ok(Some(value)) => answers.push(Answer {
                field: field.id.clone(),
                step: field.step.clone(),
                question: field.question.clone(),
                value,
            }),
            Ok(None) => {}
            Err(mistakes) => errors.extend(mistakes.into_iter().map(Mistake::told)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let sender = sender(&answers, raw.first(IDENTITY_FIELD).trim());
    if let Some(cents) = total(form, raw) {
        answers.push(Answer {
            field: TOTAL.to_owned(),
            step: Some("Prix".to_owned()),
            question: "Total indicatif".to_owned(),
            value: AnswerValue::Text(euros(cents)),
        });
    }
    Ok(ValidAnswers { answers, sender, alerts: alerts(form, raw) })
}

/// What the answers make urgent.
pub fn alerts(form: &Form, raw: &RawAnswers) -> Vec<Alert> {
    let alert = |field: &Field| match &field.kind {
        FieldKind::Alert { title, reminder, .. } => Some(Alert { title: title.clone(), reminder: reminder.clone() }),
        _ => None,
    };
    form.asked(raw).into_iter().filter_map(alert).collect()
}

/// What to post again from the check page so that the same answers are read: input names and values, in the form's order.
///
/// Only asked questions and known values stand in it; files are kept apart.
pub fn raw_inputs(form: &Form, raw: &RawAnswers) -> Vec<(String, String)> {
    let mut inputs = Vec::new();
    form.asked(raw).into_iter().for_each(|field| push_inputs(field, raw, &mut inputs));
    inputs
}

/// The same with the answers to questions that are not asked: what pages of questions carry, so that nothing typed is lost
/// before it is said that it is not sent.
pub fn typed_inputs(form: &Form, raw: &RawAnswers) -> Vec<(String, String)> {
    let mut inputs = Vec::new();
    form.fields.iter().for_each(|field| push_inputs(field, raw, &mut inputs));
    inputs
}

fn push_inputs(field: &Field, raw: &RawAnswers, inputs: &mut Vec<(String, String)>) {
    let mut push = |name: String, value: String| {
        if !value.is_empty() {
            inputs.push((name, value));
        }
    };
    match &field.kind {
        _ if field.tells_only() => {}
        FieldKind::File { .. } => {}
        FieldKind::Address => {
            for part in ADDRESS_PARTS {
                let name = format!("{}.{part}", field.id);
                let value = one_line(raw.first(&name));
                push(name, value);
            }
        }
        FieldKind::Choices { choices } => {
            for choice in chosen(choices, raw.all(&field.id)) {
                push(field.id.clone(), choice.value.clone());
            }
        }
        FieldKind::LongText { .. } => push(field.id.clone(), lines(raw.first(&field.id))),
        FieldKind::Checkbox => push(field.id.clone(), if raw.ticked(&field.id) { "oui".into() } else { String::new() }),
        FieldKind::Block { .. } => field.parts(0).iter().for_each(|part| push_inputs(part, raw, inputs)),
        FieldKind::Group { .. } => {
            let parts = (1..=field.copies(raw)).flat_map(|copy| field.parts(copy));
            parts.for_each(|part| push_inputs(&part, raw, inputs));
        }
        _ => push(field.id.clone(), one_line(raw.first(&field.id))),
    }
}

/// What is wrong with an answer.
#[derive(Debug, Clone)]
struct Mistake {
    error: FieldError,
    /// The question it is about, when the words do not say it: in a list of errors « Indiquez un nombre » helps nobody.
    about: Option<String>,
}

type Mistakes = Vec<Mistake>;

impl Mistake {
    /// What is told: « Nombre de personnes : indiquez un nombre entre 1 et 200 ».
    fn told(self) -> FieldError {
        match self.about {
            Some(question) => FieldError { message: named(&question, &self.error.message), ..self.error },
            None => self.error,
        }
    }
}

/// A message after what it is about.
fn named(subject: &str, message: &str) -> String {
    let mut letters = message.chars();
    let start: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
    french(&format!("{} : {start}{}", without_mark(subject), letters.as_str())).into_owned()
}

/// A question without its question mark.
fn without_mark(question: &str) -> &str {
    question.trim_end_matches(['?', '…', ':', ' ', '\u{a0}', '\u{202f}'])
}

fn answer(field: &Field, raw: &RawAnswers, today: Date) -> Result<Option<AnswerValue>, Mistakes> {
    let typed = match &field.kind {
        _ if field.tells_only() => return Ok(None),
        FieldKind::Address => return block::address(field, raw),
        FieldKind::Block { shape, .. } => return block::block(field, shape, raw, today),
        FieldKind::Group { .. } => return block::group(field, raw, today),
        FieldKind::File { formats, max_count, max_bytes, .. } => {
            return files(field, raw, formats, *max_count, *max_bytes);
        }
        FieldKind::Checkbox => {
            return match (raw.ticked(&field.id), field.required) {
                (true, _) => Ok(Some(AnswerValue::Text("Oui".into()))),
                (false, false) => Ok(None),
                (false, true) => Err(mistake(&field.id, missing(field))),
            };
        }
        FieldKind::Choices { choices } => return several(field, choices, raw),
        FieldKind::LongText { .. } => lines(raw.first(&field.id)),
        _ => one_line(raw.first(&field.id)),
    };
    if typed.is_empty() {
        return if field.required { Err(mistake(&field.id, missing(field))) } else { Ok(None) };
    }
    kinds::read(field, &typed, today).map(Some).map_err(|message| {
        let about = (!names_itself(field)).then(|| field.question.clone());
        mistake(&field.id, message).into_iter().map(|mistake| Mistake { about: about.clone(), ..mistake }).collect()
    })
}

/// Whether its messages say what they are about: those of the person who sends, asked once in a form.
fn names_itself(field: &Field) -> bool {
    let known = matches!(field.kind, FieldKind::Email | FieldKind::Telephone | FieldKind::Siret | FieldKind::Rna);
    known && field.step.as_deref() == Some(IDENTITY_STEP)
}

fn several(field: &Field, choices: &[Choice], raw: &RawAnswers) -> Result<Option<AnswerValue>, Mistakes> {
    let given: Vec<&str> =
        raw.all(&field.id).iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect();
    if given.iter().any(|value| !choices.iter().any(|choice| choice.value == *value)) {
        let found = mistake(&field.id, "Choisissez parmi les réponses proposées".into());
        return Err(found.into_iter().map(|one| Mistake { about: Some(field.question.clone()), ..one }).collect());
    }
    let labels: Vec<String> = chosen(choices, raw.all(&field.id)).map(|choice| choice.label.clone()).collect();
    match (labels.is_empty(), field.required) {
        (false, _) => Ok(Some(AnswerValue::Choices(labels))),
        (true, false) => Ok(None),
        (true, true) => Err(mistake(&field.id, missing(field))),
    }
}

fn files(
    field: &Field,
    raw: &RawAnswers,
    formats: &[FileFormat],
    max_count: u8,
    max_bytes: u64,
) -> Result<Option<AnswerValue>, Mistakes> {
    let files = raw.files.get(&field.id).map_or(&[] as &[StoredFile], Vec::as_slice);
    if files.is_empty() {
        return if field.required { Err(mistake(&field.id, missing(field))) } else { Ok(None) };
    }
    let mut mistakes = Vec::new();
    if files.len() > usize::from(max_count) {
        let most = plural(u64::from(max_count), "fichier", "fichiers");
        mistakes.extend(mistake(&field.id, format!("Gardez {most} au plus : vous en avez joint {}", files.len())));
    }
    for file in files {
        let name = &file.name;
        if file.size == 0 {
            mistakes.extend(mistake(&field.id, format!("Choisissez un autre fichier que « {name} » : il est vide")));
        } else if file.size > max_bytes {
            let (size, most) = (file_size(file.size), file_size(max_bytes));
            mistakes
                .extend(mistake(&field.id, format!("Réduisez « {name} » : il pèse {size}, la limite est de {most}")));
        }
        if !formats.iter().any(|format| format.media_type() == file.media_type) {
            let accepted = format_words(formats);
            mistakes.extend(mistake(&field.id, format!("Remplacez « {name} » : les formats acceptés sont {accepted}")));
        }
    }
    if mistakes.is_empty() { Ok(Some(AnswerValue::Files(files.to_vec()))) } else { Err(mistakes) }
}

/// « PDF », « PDF et JPEG », « PDF, JPEG et PNG ».
pub fn format_words(formats: &[FileFormat]) -> String {
    let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} et {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// The choices whose value was given, once each, in the form's order.
fn chosen<'c>(choices: &'c [Choice], given: &[String]) -> impl Iterator<Item = &'c Choice> {
    let given: BTreeSet<String> = given.iter().map(|value| value.trim().to_owned()).collect();
    choices.iter().filter(move |choice| given.contains(&choice.value))
}

fn mistake(input: &str, message: String) -> Mistakes {
    let error = FieldError { input: input.to_owned(), message: french(&message).into_owned() };
    vec![Mistake { error, about: None }]
}

/// What to do about a question left blank.
fn missing(field: &Field) -> String {
    let known = match field.id.as_str() {
        IDENTITY_FIELD => Some("Dites au nom de qui vous écrivez"),
        "prenom" => Some("Indiquez votre prénom"),
        "nom" => Some("Indiquez votre nom"),
        "association" => Some("Indiquez le nom de l'association"),
        "rna" => Some("Indiquez le numéro RNA de l'association"),
        "entreprise" => Some("Indiquez le nom de l'entreprise"),
        "siret" => Some("Indiquez le numéro SIRET"),
        "courriel" => Some("Indiquez votre adresse électronique"),
        "telephone" => Some("Indiquez votre numéro de téléphone"),
        _ => None,
    };
    if let Some(known) = known {
        return known.to_owned();
    }
    let question = field.question.trim();
    match field.kind {
        FieldKind::Choice { .. } | FieldKind::YesNo => format!("Choisissez une réponse à « {question} »"),
        FieldKind::Choices { .. } => format!("Choisissez au moins une réponse à « {question} »"),
        FieldKind::Checkbox => format!("Cochez la case « {question} » pour continuer"),
        FieldKind::File { .. } => format!("Joignez un fichier pour « {question} »"),
        _ => format!("Répondez à « {question} »"),
    }
}

fn sender(answers: &[Answer], capacity: &str) -> Sender {
    let text = |id: &str| {
        answers.iter().find(|answer| answer.field == id).and_then(|answer| match &answer.value {
            AnswerValue::Text(text) => Some(text.as_str()),
            _ => None,
        })
    };
    let organisation = text("association").or_else(|| text("entreprise"));
    let person = [text("prenom"), text("nom")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let name = match organisation {
        Some(organisation) if capacity != "personne" => organisation.to_owned(),
        _ => person,
    };
    Sender { name, email: text("courriel").map(str::to_owned) }
}
