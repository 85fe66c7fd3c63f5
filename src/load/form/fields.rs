//! Reads the list of questions: their ids, their order, what they ask together.

use std::collections::BTreeMap;

use super::kind;
use super::{condition, exits, prudence};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::load::toml_reader::{Item, Reader};
use crate::model::form::own::is_own;
use crate::model::form::{Field, FieldKind, Identity, Shape};
use crate::text::typography::french;

/// Bytes all files of a form may weigh together, so that the mail to the mairie can be delivered.
const MAX_FORM_BYTES: u64 = 15 * 1024 * 1024;
/// Characters of a question that is still read at a glance.
const MAX_QUESTION: usize = 200;

/// All questions of a form but those of the identity; and where each booking names what it books.
pub(super) fn all(
    items: Vec<Item<'_, '_>>,
    identity: Identity,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<Field>, BTreeMap<String, Place>) {
    let (mut resources, mut exit_place) = (BTreeMap::new(), None);
    let mut fields: Vec<Field> = Vec::new();
    let taken = identity.fields();
    let mut bytes = 0;
    for item in items {
        let Item::Table(mut table) = item else { continue };
        let (id_place, condition_place) = (table.place("id"), table.place("si"));
        let Some(mut field) = one(&mut table, false, diagnostics) else {
            table.finish(diagnostics);
            continue;
        };
        // A question without `etape` stays in the group of the one before it.
        field.step = field.step.or_else(|| fields.last().and_then(|field| field.step.clone()));
        if let FieldKind::File { max_count, max_bytes, .. } = field.kind {
            bytes += u64::from(max_count) * max_bytes;
        }
        let taken_by = if fields.iter().any(|other| other.id == field.id) {
            Some((format!("deux questions portent l'id « {} »", field.id), "donnez à chacune un id différent"))
        } else if taken.iter().any(|other| other.id == field.id) {
            Some((
                format!("l'id « {} » est réservé aux questions d'identité", field.id),
                "choisissez un autre id ; le nom, l'adresse et le courriel sont déjà demandés par identite",
            ))
        } else if is_own(&field.id, &field.kind) {
            Some((
                format!("l'id « {} » est réservé au guichet", field.id),
                "choisissez un autre id : le guichet se sert de celui-ci pour lui-même",
            ))
        } else {
            None
        };
        if let Some((message, hint)) = taken_by {
            diagnostics.push(Diagnostic::error(Code::DuplicateField, id_place, message).hint(hint));
        }
        condition::check(&field, &fields, &taken, &condition_place, diagnostics);
        prudence::check(&field, &table.place("question"), diagnostics);
        if let FieldKind::Block { shape: Shape::Booking { .. }, .. } = field.kind {
            resources.insert(field.id.clone(), table.place("ressource"));
        }
        if let FieldKind::Exit { .. } = field.kind {
            exit_place = Some(table.place("si"));
        }
        let files_place = table.place("nombre_max");
        table.finish(diagnostics);
        if bytes > MAX_FORM_BYTES {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadForm,
                    files_place,
                    "les pièces jointes de ce formulaire dépassent 15 Mo en tout",
                )
                .hint("réduisez nombre_max ou taille_max : un courriel plus lourd n'arriverait pas à la mairie"),
            );
            bytes = 0;
        }
        fields.push(field);
    }
    if let Some(place) = exit_place.filter(|_| exits::leave_no_way(&fields, &taken)) {
        diagnostics.push(
            Diagnostic::error(
                Code::NoWayThrough,
                place,
                "avec ces sorties, aucune réponse ne mène au bout du formulaire",
            )
            .hint("laissez au moins une réponse qui ne rencontre aucune sortie, ou retirez le formulaire"),
        );
    }
    (fields, resources)
}

/// One question; `inside` a group, which takes simple kinds only.
pub(super) fn one(table: &mut Reader<'_, '_>, inside: bool, diagnostics: &mut Vec<Diagnostic>) -> Option<Field> {
    let id = table.required("id", diagnostics)?;
    let valid = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && id.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !valid {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, table.place("id"), format!("l'id « {id} » ne convient pas"))
                .hint("des minuscules sans accent, des chiffres et des soulignés : \"nombre_de_personnes\""),
        );
    }
    let kind = kind::read(table, inside, diagnostics);
    let is_parent = kind.is_some() && table.text("type", diagnostics).as_deref() == Some("second_parent");
    let question = table.text("question", diagnostics).map(|text| french(&text).into_owned());
    let question = question.or_else(|| is_parent.then(|| "L’autre parent ou responsable, s’il y en a un".to_owned()));
    let tells_only =
        matches!(kind, Some(FieldKind::Information { .. } | FieldKind::Alert { .. } | FieldKind::Exit { .. }));
    if question.is_none() && !tells_only && !table.has("question") {
        diagnostics.push(table.missing("question"));
    }
    if question.as_ref().is_some_and(|question| question.chars().count() > MAX_QUESTION) {
        diagnostics.push(
            Diagnostic::warning(Code::BadForm, table.place("question"), "cette question est très longue")
                .hint("une question courte, le reste dans aide"),
        );
    }
    let condition = if inside {
        None
    } else {
        let place = table.place("si");
        table.text("si", diagnostics).and_then(|text| condition::read(&text, &place, diagnostics))
    };
    if matches!(kind, Some(FieldKind::Exit { .. })) && condition.is_none() && !table.has("si") {
        diagnostics.push(
            Diagnostic::error(Code::BadForm, table.place("type"), "cette sortie arrêterait toutes les demandes")
                .hint("ajoutez si = \"…\" : une sortie ne concerne que certaines réponses"),
        );
    }
    if matches!(kind, Some(FieldKind::Alert { .. })) && condition.is_none() && !table.has("si") {
        diagnostics.push(
            Diagnostic::error(
                Code::BadForm,
                table.place("type"),
                "cette alerte serait donnée pour toutes les demandes",
            )
            .hint("ajoutez si = \"danger = oui\" : une alerte ne concerne que certaines réponses"),
        );
    }
    let required = table.flag("obligatoire", diagnostics).unwrap_or(false);
    if required && tells_only {
        diagnostics.push(
            Diagnostic::error(
                Code::BadForm,
                table.place("obligatoire"),
                "un texte sans question ne peut pas être obligatoire",
            )
            .hint("retirez obligatoire, ou posez une question de type case_a_cocher"),
        );
    }
    let step = if inside { None } else { table.text("etape", diagnostics).map(|text| french(&text).into_owned()) };
    let own_help = "Si vous êtes seul à répondre de l’enfant, laissez vide. Vous-même, vous vous présentez plus loin.";
    let help = table.text("aide", diagnostics).map(|text| french(&text).into_owned());
    Some(Field {
        id,
        kind: kind?,
        question: question.unwrap_or_default(),
        help: help.or_else(|| is_parent.then(|| own_help.to_owned())),
        required,
        step,
        condition,
        autocomplete: None,
    })
}
