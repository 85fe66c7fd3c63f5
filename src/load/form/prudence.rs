//! Tells the questions that the law forbids or that a mairie has no need of; the words are looked for, a person decides.

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::form::Field;

/// Words that make a question doubtful, and why.
const DOUBTFUL: [(&str, &str, &str); 6] = [
    (
        "justificatif de domicile",
        "un justificatif de domicile ne se demande que dans quelques cas (CRPA, art. R113-8)",
        "demandez l'adresse ; sinon, dites dans aide quel texte le permet",
    ),
    (
        "copie certifiée",
        "une administration ne demande pas de copie certifiée conforme (CRPA, art. R113-10)",
        "demandez une copie lisible",
    ),
    (
        "certifiée conforme",
        "une administration ne demande pas de copie certifiée conforme (CRPA, art. R113-10)",
        "demandez une copie lisible",
    ),
    (
        "sécurité sociale",
        "le numéro de sécurité sociale n'est pas une donnée pour un formulaire de mairie",
        "retirez cette question",
    ),
    (
        "allergie",
        "une donnée de santé ne doit pas passer par un courriel",
        "demandez seulement s'il faut prévoir un accueil particulier, et proposez d'appeler la mairie",
    ),
    (
        "traitement médical",
        "une donnée de santé ne doit pas passer par un courriel",
        "demandez seulement s'il faut prévoir un accueil particulier, et proposez d'appeler la mairie",
    ),
];

/// Warns of a doubtful question.
pub(super) fn check(field: &Field, place: &Place, diagnostics: &mut Vec<Diagnostic>) {
    let question = field.question.to_lowercase();
    if let Some((_, message, hint)) = DOUBTFUL.iter().find(|(word, ..)| question.contains(word)) {
        diagnostics.push(Diagnostic::warning(Code::DoubtfulQuestion, place.clone(), *message).hint(*hint));
    }
}
