//! Answers to read again: on the check page, on the receipt, on a page that could keep nothing.

use std::borrow::Cow;

use super::condition::{label_of, when};
use crate::model::form::{Field, FieldKind, Form};
use crate::model::submission::{Answer, AnswerValue, RawAnswers};
use crate::render::view::{SummaryGroup, SummaryRow, Text};
use crate::text::typography::french;

/// Answers of the questions that were asked, under the titles of their steps; each with its « Modifier » button, to the
/// address that `edit` gives, and what `note` has to say of it.
pub(in crate::render) fn check_groups<'a>(
    form: &'a Form,
    raw: &RawAnswers,
    answers: &'a [Answer],
    edit: impl Fn(&Field) -> String,
    note: impl Fn(&Field) -> Option<String>,
) -> Vec<SummaryGroup<'a>> {
    let mut groups: Vec<(Option<&str>, SummaryGroup<'a>)> = Vec::new();
    for field in &form.fields {
        if field.tells_only() || !form.asks(field, raw) {
            continue;
        }
        let answer = answers.iter().find(|answer| answer.field == field.id);
        let row = SummaryRow {
            label: french(&field.question),
            lines: match (answer, &field.kind) {
                (Some(answer), _) => lines(&answer.value),
                // An empty box says no, which is an answer.
                (None, FieldKind::Checkbox) => vec!["Non".into()],
                (None, _) => Vec::new(),
            },
            edit_url: Some(edit(field).into()),
            note: note(field).map(Cow::from),
        };
        push_row(&mut groups, field.step.as_deref(), row);
    }
    for answer in answers.iter().filter(|answer| form.field(&answer.field).is_none()) {
        // What the guichet reckoned itself: the sum of the prices.
        let row =
            SummaryRow { label: french(&answer.question), lines: lines(&answer.value), edit_url: None, note: None };
        push_row(&mut groups, answer.step.as_deref(), row);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Answers that describe themselves, without buttons.
pub(in crate::render) fn answer_groups(answers: &[Answer]) -> Vec<SummaryGroup<'_>> {
    let mut groups: Vec<(Option<&str>, SummaryGroup<'_>)> = Vec::new();
    for answer in answers {
        let row =
            SummaryRow { label: french(&answer.question), lines: lines(&answer.value), edit_url: None, note: None };
        push_row(&mut groups, answer.step.as_deref(), row);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn push_row<'a>(groups: &mut Vec<(Option<&'a str>, SummaryGroup<'a>)>, step: Option<&'a str>, row: SummaryRow<'a>) {
    match groups.last_mut() {
        Some((last, group)) if *last == step || step.is_none() => group.rows.push(row),
        _ => groups.push((step, SummaryGroup { title: step.map(french), rows: vec![row] })),
    }
}

/// An answer in lines, as typed.
fn lines(value: &AnswerValue) -> Vec<Text<'static>> {
    value.lines().into_iter().map(Cow::from).collect()
}

/// Answers typed, as they are, when nothing could be accepted: to copy or print.
pub(in crate::render) fn typed_groups<'a>(form: &'a Form, raw: &'a RawAnswers) -> Vec<SummaryGroup<'a>> {
    let mut groups: Vec<(Option<&str>, SummaryGroup<'a>)> = Vec::new();
    for field in &form.fields {
        let lines = typed(form, field, raw);
        if !lines.is_empty() {
            let row = SummaryRow { label: french(&field.question), lines, edit_url: None, note: None };
            push_row(&mut groups, field.step.as_deref(), row);
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Answers typed to questions that are not asked, which are not sent: each with its reason.
pub(in crate::render) fn unsent<'a>(form: &Form, raw: &RawAnswers) -> Vec<Text<'a>> {
    let told = |field: &Field| {
        let when = field.condition.as_ref().and_then(|condition| when(condition, &form.fields))?;
        let words = format!(
            "Vous avez répondu à « {} » : cette réponse ne sera pas envoyée, parce que la question se pose seulement si {when}.",
            field.question
        );
        Some(french(&words).into_owned().into())
    };
    let idle = |field: &&Field| !form.asks(field, raw) && !typed(form, field, raw).is_empty();
    form.fields.iter().filter(idle).filter_map(told).collect()
}

/// What was typed to a question, as it is.
fn typed<'a>(form: &'a Form, field: &'a Field, raw: &'a RawAnswers) -> Vec<Text<'a>> {
    let inputs: Vec<String> = match &field.kind {
        FieldKind::Address => {
            ["voie", "code_postal", "commune"].iter().map(|part| format!("{}.{part}", field.id)).collect()
        }
        _ if field.tells_only() => return Vec::new(),
        FieldKind::Block { .. } => field.parts(0).into_iter().map(|part| part.id).collect(),
        FieldKind::Group { .. } => {
            (1..=field.copies(raw)).flat_map(|copy| field.leaves(copy)).map(|part| part.id).collect()
        }
        _ => vec![field.id.clone()],
    };
    let mut typed: Vec<Text<'a>> = Vec::new();
    for (input, values) in inputs.iter().filter_map(|input| Some((input, raw.values.get(input)?))) {
        let filled = values.iter().filter(|value| !value.trim().is_empty());
        let leaf = |input: &str| form.leaf(input).map_or(&field.kind, |(_, leaf)| &leaf.kind);
        typed.extend(filled.flat_map(|value| label_of(leaf(input), value).lines().map(Cow::from)));
    }
    let files = raw.files.get(&field.id).map_or(&[][..], Vec::as_slice);
    typed.extend(files.iter().map(|file| Cow::from(file.name.as_str())));
    typed
}
