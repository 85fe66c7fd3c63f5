//! What the answers cost, when the choices have prices. Nothing is paid here: the mairie's own sum is the one that counts.

use crate::model::form::{Choice, Field, FieldKind, Form};
use crate::model::submission::RawAnswers;

/// The sum of a form's priced answers, in cents; `None` when no question has a price.
pub fn total(form: &Form, raw: &RawAnswers) -> Option<u64> {
    let priced = form.fields.iter().any(has_price);
    priced.then(|| form.asked(raw).into_iter().map(|field| of(field, raw)).sum())
}

fn has_price(field: &Field) -> bool {
    match &field.kind {
        FieldKind::Number { unit_price, .. } => unit_price.is_some(),
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => {
            choices.iter().any(|choice| choice.price.is_some())
        }
        FieldKind::Group { parts, .. } => parts.iter().any(has_price),
        _ => false,
    }
}

fn of(field: &Field, raw: &RawAnswers) -> u64 {
    let chosen = |choices: &[Choice]| {
        let given = raw.all(&field.id);
        let picked = choices.iter().filter(|choice| given.iter().any(|value| value.trim() == choice.value));
        picked.filter_map(|choice| choice.price).map(u64::from).sum()
    };
    match &field.kind {
        FieldKind::Number { unit_price: Some(price), .. } => {
            let digits: String = raw.first(&field.id).chars().filter(|letter| !letter.is_whitespace()).collect();
            u64::from(*price).saturating_mul(digits.parse().unwrap_or(0))
        }
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => chosen(choices),
        FieldKind::Group { .. } => {
            (1..=field.copies(raw)).flat_map(|copy| field.parts(copy)).map(|part| of(&part, raw)).sum()
        }
        _ => 0,
    }
}
