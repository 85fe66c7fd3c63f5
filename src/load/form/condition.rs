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
    let never = format!("la question « {} » ne serait jamais posée", field.id);
    judge(condition, (&format!("la condition de « {} »", field.id), &never), (earlier, identity), place, diagnostics);
}

/// Tells what is wrong with the condition of a route, given all questions of its form.
pub(super) fn check_route(
    condition: &Condition,
    fields: &[Field],
    identity: &[Field],
    place: &Place,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let words = ("l'aiguillage", "cet aiguillage ne servirait jamais");
    judge(condition, words, (fields, identity), place, diagnostics);
}

/// `who` begins a sentence, `never` says what becomes of a condition that cannot hold.
fn judge(
    condition: &Condition,
    (who, never): (&str, &str),
    (earlier, identity): (&[Field], &[Field]),
    place: &Place,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let never = || Diagnostic::error(Code::BadCondition, place.clone(), never).hint("corrigez sa condition si");
    for test in &condition.tests {
        match earlier.iter().chain(identity).find(|other| other.id == test.field) {
            Some(parent) => {
                if check_test(test, parent, place, diagnostics) {
                    diagnostics.push(never());
                }
            }
            None => diagnostics.push(not_before(who, test, earlier, place)),
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
        diagnostics.push(never());
    }
}

fn not_before(who: &str, test: &Test, earlier: &[Field], place: &Place) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        Code::BadCondition,
        place.clone(),
        format!("{who} parle d'une question « {} » qui n'est pas posée avant", test.field),
    );
    diagnostic.hint(match nearest(&test.field, earlier.iter().map(|other| other.id.as_str())) {
        Some(near) => format!("vouliez-vous dire « {near} » ?"),
        None => "placez la question dont elle dépend plus haut, ou corrigez l'id".into(),
    })
}

/// Judges one test; `true` when it never holds.
fn check_test(test: &Test, parent: &Field, place: &Place, diagnostics: &mut Vec<Diagnostic>) -> bool {
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
            return false;
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
            return false;
        }
    };
    if compares {
        diagnostics.push(bad(
            format!("« {} » ne se compare pas : ce n'est pas un nombre", parent.id),
            format!("écrivez si = \"{} = {}\"", parent.id, possible.first().unwrap_or(&"oui")),
        ));
        return false;
    }
    for value in test.values.iter().filter(|value| !possible.contains(&value.as_str())) {
        diagnostics.push(bad(
            format!("« {value} » n'est pas une réponse de « {} »", parent.id),
            format!("réponses possibles : {}", possible.join(", ")),
        ));
    }
    match test.operator {
        Operator::Is => test.values.is_empty(),
        _ => possible.iter().all(|value| test.values.iter().any(|listed| listed == value)),
    }
}
