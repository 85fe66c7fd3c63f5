//! A condition in words, for pages without script: every question of a page is in sight, each says when it counts.

use crate::model::form::{Choice, Condition, Field, FieldKind, Operator, Test};
use crate::text::typography::french;

/// « Si vous avez répondu « Éclairage » à « De quoi s'agit-il ? » ».
///
/// Only what is asked on the same page is said; `None` when all is settled before.
pub(super) fn words_of(condition: &Condition, page: &[Field]) -> Option<String> {
    when(condition, page).map(|words| french(&format!("Si {words}")).into_owned())
}

/// The same without « Si »: « vous avez répondu « Éclairage » à « De quoi s'agit-il ? » ».
pub(super) fn when(condition: &Condition, page: &[Field]) -> Option<String> {
    let parent = |test: &Test| page.iter().find(|field| field.id == test.field);
    let words: Vec<String> = condition.tests.iter().filter_map(|test| Some(test_words(parent(test)?, test))).collect();
    (!words.is_empty()).then(|| french(&words.join(" et si ")).into_owned())
}

fn test_words(field: &Field, test: &Test) -> String {
    let question = &field.question;
    if matches!(field.kind, FieldKind::Checkbox) {
        let ticked = (test.operator == Operator::Is) == test.values.iter().any(|value| value == "oui");
        return format!("vous avez {}coché « {question} »", if ticked { "" } else { "laissé non " });
    }
    let compared = |words: &str| {
        let bound = test.values.first().map_or("", String::as_str);
        format!("vous avez répondu {words} {bound} à « {question} »")
    };
    let answers: Vec<String> =
        test.values.iter().map(|value| format!("« {} »", label_of(&field.kind, value))).collect();
    let answers = answers.join(" ou ");
    match test.operator {
        Operator::Is => format!("vous avez répondu {answers} à « {question} »"),
        Operator::IsNot => format!("vous n’avez pas répondu {answers} à « {question} »"),
        Operator::Below => compared("moins de"),
        Operator::AtMost => compared("au plus"),
        Operator::Above => compared("plus de"),
        Operator::AtLeast => compared("au moins"),
    }
}

/// What is read of a value that is sent.
pub(super) fn label_of<'a>(kind: &'a FieldKind, value: &'a str) -> &'a str {
    match kind {
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => {
            choices.iter().find(|choice: &&Choice| choice.value == value).map_or(value, |choice| choice.label.as_str())
        }
        FieldKind::YesNo if value == "oui" => "Oui",
        FieldKind::YesNo if value == "non" => "Non",
        _ => value,
    }
}
