//! The lists of the commune's own addresses that a page of questions carries, once each.
//!
//! One list serves all the addresses of a page. It is only offered: whatever else is typed is taken.

use crate::model::addresses::AddressBook;
use crate::model::form::{Field, FieldKind};
use crate::model::submission::RawAnswers;
use crate::render::view::{DatalistView, FieldGroup, FieldView, Text};
use crate::text::slug::slug;
use crate::text::typography::french;

const LINES: &str = "adresses-connues";
const PLACES: &str = "lieux-connus";

/// The list of « Numéro et voie », when there is one.
pub(super) fn lines<'a>(book: &AddressBook) -> Option<Text<'a>> {
    (!book.lines.is_empty()).then(|| LINES.into())
}

/// The list of streets and hamlets, when there is one.
pub(super) fn places<'a>(book: &AddressBook) -> Option<Text<'a>> {
    (!book.places.is_empty()).then(|| PLACES.into())
}

/// The lists that these questions name, and no other: a page without address carries none.
pub(super) fn lists<'a>(groups: &[FieldGroup<'_>], book: &'a AddressBook) -> Vec<DatalistView<'a>> {
    [(LINES, &book.lines), (PLACES, &book.places)]
        .into_iter()
        .filter(|(id, _)| groups.iter().flat_map(|group| &group.fields).any(|field| names(field, id)))
        .map(|(id, options)| DatalistView {
            id: id.into(),
            options: options.iter().map(|option| option.as_str().into()).collect(),
        })
        .collect()
}

fn names(field: &FieldView<'_>, id: &str) -> bool {
    let copies = field.copies.iter().flat_map(|copy| &copy.parts);
    field.list.as_deref() == Some(id) || field.parts.iter().chain(copies).any(|part| names(part, id))
}

/// What is said on the check page of an address in the commune whose street looks mistyped; whoever knows better sends it so.
pub(in crate::render) fn second_look(
    field: &Field,
    answers: &RawAnswers,
    book: &AddressBook,
    commune: &str,
) -> Option<String> {
    let typed = |part: &str| answers.first(&format!("{}.{part}", field.id));
    if field.kind != FieldKind::Address || slug(typed("commune")) != slug(commune) {
        return None;
    }
    let meant = book.meant(typed("voie"))?;
    let note = format!("Vouliez-vous dire « {meant} » ? Si l’adresse est juste, ne changez rien.");
    Some(french(&note).into_owned())
}
