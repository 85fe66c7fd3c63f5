//! Tells whether the exits of a form leave a way through: tries every answer that a condition can tell apart.

use crate::model::form::{Field, FieldKind, Test, asks};
use crate::model::submission::RawAnswers;

/// Combinations tried at most; a form that asks for more is believed.
const MOST_TRIED: usize = 20_000;

/// Whether every way to answer meets an exit. `fields` are the form's own questions, `identity` those asked after them.
pub(super) fn leave_no_way(fields: &[Field], identity: &[Field]) -> bool {
    let all: Vec<Field> = fields.iter().chain(identity).cloned().collect();
    let exits: Vec<&Field> = all.iter().filter(|field| matches!(field.kind, FieldKind::Exit { .. })).collect();
    let parents = parents(&all, &exits);
    let possible: Vec<Vec<Vec<String>>> = parents.iter().map(|parent| possible(parent, &all)).collect();
    let ways = possible.iter().map(Vec::len).try_fold(1_usize, usize::checked_mul);
    if ways.is_none_or(|ways| ways > MOST_TRIED) {
        return false;
    }
    let mut digits = vec![0; parents.len()];
    loop {
        let mut raw = RawAnswers::default();
        for (at, parent) in parents.iter().enumerate() {
            raw.values.insert(parent.id.clone(), possible[at][digits[at]].clone());
        }
        if !exits.iter().any(|exit| asks(&all, exit, &raw)) {
            return false;
        }
        // The next combination, like an odometer.
        let Some(at) = (0..digits.len()).find(|at| digits[*at] + 1 < possible[*at].len()) else { return true };
        digits[at] += 1;
        digits[..at].fill(0);
    }
}

/// The questions that the conditions of the exits depend on, nearest first, each once.
fn parents<'f>(all: &'f [Field], exits: &[&'f Field]) -> Vec<&'f Field> {
    let mut found: Vec<&Field> = Vec::new();
    let mut to_look: Vec<&Field> = exits.to_vec();
    while let Some(field) = to_look.pop() {
        let tests = field.condition.iter().flat_map(|condition| &condition.tests);
        for parent in tests.filter_map(|test| all.iter().find(|other| other.id == test.field)) {
            if !found.iter().any(|known| known.id == parent.id) {
                found.push(parent);
                to_look.push(parent);
            }
        }
    }
    found
}

/// The answers to a question that conditions can tell apart; none at all when it may be left blank.
fn possible(parent: &Field, all: &[Field]) -> Vec<Vec<String>> {
    let one = |value: &str| vec![value.to_owned()];
    let mut values: Vec<Vec<String>> = match &parent.kind {
        FieldKind::Choice { choices } => choices.iter().map(|choice| one(&choice.value)).collect(),
        // One box at a time, and none: ticking more only meets more exits, unless a condition says « != ».
        FieldKind::Choices { choices } => {
            let every = choices.iter().map(|choice| choice.value.clone()).collect();
            choices.iter().map(|choice| one(&choice.value)).chain([every]).collect()
        }
        FieldKind::YesNo => vec![one("oui"), one("non")],
        FieldKind::Checkbox => vec![one("oui")],
        FieldKind::Number { min, max, .. } => numbers(parent, all, (*min, *max)),
        _ => Vec::new(),
    };
    if !parent.required {
        values.push(Vec::new());
    }
    if values.is_empty() {
        values.push(Vec::new());
    }
    values
}

/// Around each bound that a condition compares with, within the question's own.
fn numbers(parent: &Field, all: &[Field], (min, max): (Option<i64>, Option<i64>)) -> Vec<Vec<String>> {
    let tests = all.iter().flat_map(|field| field.condition.iter().flat_map(|condition| &condition.tests));
    let bounds =
        tests.filter(|test: &&Test| test.field == parent.id).filter_map(|test| test.values.first()?.parse().ok());
    let mut numbers: Vec<i64> =
        bounds.flat_map(|bound: i64| [bound.saturating_sub(1), bound, bound.saturating_add(1)]).collect();
    numbers.extend(min.into_iter().chain(max));
    numbers.retain(|number| min.is_none_or(|min| *number >= min) && max.is_none_or(|max| *number <= max));
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().map(|number| vec![number.to_string()]).collect()
}
