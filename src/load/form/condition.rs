//! Reads a condition, « categorie = eclairage | voirie et participants > 50 », and judges it by the questions before it.

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::load::toml_reader::nearest;
use crate::model::form::{Condition, Field, FieldKind, Operator, Test};

/// Signs of a comparison; the longer ones first.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::IsNot),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=", Operator::Is),
    (">", Operator::Above),
    ("<", Operator::Below),
];

/// The condition that a text writes.
pub(super) fn read(text: &str, place: &Place, diagnostics: &mut Vec<Diagnostic>) -> Option<Condition> {
    let mut tests = Vec::new();
    for part in text.split(" et ") {
        let found = OPERATORS.iter().filter_map(|(sign, operator)| Some((part.find(sign)?, *sign, *operator)));
        // The first sign of the text; of two that start there, the longer.
        let Some((at, sign, operator)) = found.min_by_key(|(at, sign, _)| (*at, 2 - sign.len())) else {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadCondition,
                    place.clone(),
                    format!("la condition « {text} » n'est pas comprise"),
                )
                .hint("écrivez si = \"categorie = eclairage\", si = \"categorie = eclairage | voirie\" ou si = \"nombre > 50\" ; « et » relie deux conditions"),
            );
            return None;
        };
        let values = part[at + sign.len()..].split('|').map(|value| value.trim().to_owned());
        let values = values.filter(|value| !value.is_empty()).collect();
        tests.push(Test { field: part[..at].trim().to_owned(), operator, values });
    }
    Some(Condition { tests })
}

/// Tells what is wrong with the condition of `field`, given the questions asked before it and those of the identity.
pub(super) fn check(
    field: &Field,
    earlier: &[Field],
    identity: &[Field],
    place: &Place,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(condition) = &field.condition else { return };
    for test in &condition.tests {
        match earlier.iter().chain(identity).find(|other| other.id == test.field) {
            Some(parent) => check_test(field, test, parent, place, diagnostics),
            None => diagnostics.push(not_before(field, test, earlier, place)),
        }
    }
    let contradict = |one: &Test, other: &Test| {
        let single = |test: &Test| test.operator == Operator::Is && !test.values.is_empty();
        one.field == other.field
            && single(one)
            && single(other)
            && !one.values.iter().any(|value| other.values.contains(value))
    };
    let contradicts = condition
        .tests
        .iter()
        .enumerate()
        .any(|(at, test)| condition.tests[at + 1..].iter().any(|other| contradict(test, other)));
    if contradicts {
        diagnostics.push(never(field, place));
    }
}

fn not_before(field: &Field, test: &Test, earlier: &[Field], place: &Place) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        Code::BadCondition,
        place.clone(),
        format!("la condition de « {} » parle d'une question « {} » qui n'est pas posée avant", field.id, test.field),
    );
    diagnostic.hint(match nearest(&test.field, earlier.iter().map(|other| other.id.as_str())) {
        Some(near) => format!("vouliez-vous dire « {near} » ?"),
        None => "placez la question dont elle dépend plus haut, ou corrigez l'id".into(),
    })
}

fn never(field: &Field, place: &Place) -> Diagnostic {
    Diagnostic::error(Code::BadCondition, place.clone(), format!("la question « {} » ne serait jamais posée", field.id))
        .hint("corrigez sa condition si")
}

fn check_test(field: &Field, test: &Test, parent: &Field, place: &Place, diagnostics: &mut Vec<Diagnostic>) {
    let bad = |message: String, hint: String| Diagnostic::error(Code::BadCondition, place.clone(), message).hint(hint);
    let compares = !matches!(test.operator, Operator::Is | Operator::IsNot);
    let possible: Vec<&str> = match &parent.kind {
        FieldKind::Number { .. } => {
            if test.values.len() != 1 || test.values[0].parse::<i64>().is_err() {
                diagnostics.push(bad(
                    format!("« {} » se compare à un nombre entier", parent.id),
                    format!("écrivez si = \"{} > 50\"", parent.id),
                ));
            }
            return;
        }
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => {
            choices.iter().map(|choice| choice.value.as_str()).collect()
        }
        FieldKind::YesNo => vec!["oui", "non"],
        FieldKind::Checkbox => vec!["oui"],
        _ => {
            diagnostics.push(bad(
                format!("la question « {} » n'a pas de réponses à choisir", parent.id),
                "une condition porte sur une question de type choix, choix_multiple, oui_non, case_a_cocher ou nombre"
                    .into(),
            ));
            return;
        }
    };
    if compares {
        diagnostics.push(bad(
            format!("« {} » ne se compare pas : ce n'est pas un nombre", parent.id),
            format!("écrivez si = \"{} = {}\"", parent.id, possible.first().unwrap_or(&"oui")),
        ));
        return;
    }
    for value in test.values.iter().filter(|value| !possible.contains(&value.as_str())) {
        diagnostics.push(bad(
            format!("« {value} » n'est pas une réponse de « {} »", parent.id),
            format!("réponses possibles : {}", possible.join(", ")),
        ));
    }
    let unreachable = match test.operator {
        Operator::Is => test.values.is_empty(),
        _ => possible.iter().all(|value| test.values.iter().any(|listed| listed == value)),
    };
    if unreachable {
        diagnostics.push(never(field, place));
    }
}
