//! Sample answers to a form, so that its author sees the mail before anyone has written; never sent nor stored. Pure.

use jiff::civil::Date;
use jiff::{ToSpan, Zoned};

use super::compose;
use super::links::RequestLinks;
use super::validate;
use crate::model::form::{DateBounds, Field, FieldKind, FileFormat, Form, Shape};
use crate::model::mail::Mail;
use crate::model::receipt::{Issuer, Receipt};
use crate::model::reference::Reference;
use crate::model::submission::{RawAnswers, StoredFile, ValidAnswers};

/// The mails of a form answered with samples, composed as the real ones are: to the mairie, then to the resident.
pub fn mails(form: &Form, issuer: &Issuer, links: &RequestLinks, now: &Zoned) -> Vec<Mail> {
    let answers = answers(form, now.date());
    let reference = Reference::new(now.year(), [0; 5]);
    let receipt = Receipt::for_submission(form, issuer, &reference, now)
        .with_alerts(&answers.alerts)
        .mailed(answers.sender.email.is_some());
    compose::mails(form, issuer, &answers, &receipt, links)
}

/// A sample answer to every question that is asked when the first choices are taken.
pub fn answers(form: &Form, today: Date) -> ValidAnswers {
    let mut raw = RawAnswers::default();
    for field in &form.fields {
        if form.asks(field, &raw) {
            fill(field, &mut raw, today);
        }
    }
    // What no sample fits is left out: the mail still shows the rest.
    for _ in 0..form.fields.len() {
        match validate::answers(form, &raw, today) {
            Ok(valid) => return valid,
            Err(errors) => errors.iter().for_each(|error| {
                raw.values.remove(&error.input);
            }),
        }
    }
    ValidAnswers::default()
}

fn fill(field: &Field, raw: &mut RawAnswers, today: Date) {
    let mut set = |name: &str, value: &str| {
        raw.values.insert(name.to_owned(), vec![value.to_owned()]);
    };
    let part = field.id.rsplit('.').next().unwrap_or(&field.id);
    match &field.kind {
        FieldKind::Text { max } => {
            let sample = match part {
                "prenom" => "Zélie",
                "nom" => "Quatrebarbes",
                "association" => "Les Amis du lavoir",
                "entreprise" => "Menuiserie Quatrebarbes",
                _ => "Exemple",
            };
            set(&field.id, &sample.chars().take(*max as usize).collect::<String>());
        }
        FieldKind::LongText { .. } => set(&field.id, "Bonjour,\nvoici un exemple de réponse.\nMerci"),
        FieldKind::Email => set(&field.id, "zelie.quatrebarbes@example.fr"),
        // Numbers kept for fiction. Source: Arcep, plan de numérotation.
        FieldKind::Telephone => set(&field.id, "01 99 00 12 34"),
        FieldKind::Number { min, max, .. } => {
            let usual = min.unwrap_or(2).max(2);
            set(&field.id, &max.map_or(usual, |max| usual.min(max)).to_string());
        }
        FieldKind::Amount { min, .. } => set(&field.id, &format!("{}", min.unwrap_or(10_000) / 100)),
        FieldKind::Date { bounds } => set(&field.id, &day(*bounds, today).to_string()),
        FieldKind::Time => set(&field.id, if part == "heure_au" { "18:00" } else { "14:00" }),
        FieldKind::YesNo | FieldKind::Checkbox => set(&field.id, "oui"),
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => {
            choices.first().into_iter().for_each(|choice| set(&field.id, &choice.value));
        }
        FieldKind::Address => {
            for (part, value) in [("voie", "3, rue du Four"), ("code_postal", "53999"), ("commune", "Saint-Mulot")] {
                set(&format!("{}.{part}", field.id), value);
            }
        }
        FieldKind::Place { suggestions } => {
            set(&field.id, suggestions.first().map_or("Devant la mairie", String::as_str));
        }
        FieldKind::Rna => set(&field.id, "W531000000"),
        // Both have the right keys and belong to nobody here. Source: examples of Insee and of ISO 13616.
        FieldKind::Siret => set(&field.id, "73282932000074"),
        FieldKind::Iban => set(&field.id, "FR7630006000011234567890189"),
        FieldKind::File { formats, .. } => {
            raw.files.insert(field.id.clone(), vec![file(formats)]);
        }
        FieldKind::Block { shape, .. } => {
            field.parts(0).iter().for_each(|part| fill(part, raw, today));
            if let Shape::Appointment { days } = shape {
                appointment(field, days, raw);
            }
        }
        FieldKind::Group { .. } => field.parts(1).iter().for_each(|part| fill(part, raw, today)),
        FieldKind::Information { .. } | FieldKind::Alert { .. } | FieldKind::Exit { .. } => {}
    }
}

/// A day inside its bounds; for a birth, a child's.
fn day(bounds: DateBounds, today: Date) -> Date {
    let years = bounds.max_age.map(|years| i32::from(years.min(7)));
    match (years, bounds.on(today)) {
        (Some(years), _) => today.saturating_sub(years.years()),
        (None, (Some(earliest), _)) => earliest,
        (None, (None, Some(latest))) => latest,
        (None, (None, None)) => today,
    }
}

/// The first day from the sample one on which somebody is seen.
fn appointment(field: &Field, days: &[u8], raw: &mut RawAnswers) {
    let name = format!("{}.jour", field.id);
    let Ok(first) = raw.first(&name).parse::<Date>() else { return };
    let seen = |day: &Date| days.is_empty() || days.contains(&(day.weekday().to_monday_one_offset() as u8));
    if let Some(day) = (0..7).map(|after| first.saturating_add(after.days())).find(seen) {
        raw.values.insert(name, vec![day.to_string()]);
    }
}

fn file(formats: &[FileFormat]) -> StoredFile {
    let format = formats.first().copied().unwrap_or(FileFormat::Pdf);
    let extension = format.extensions().first().copied().unwrap_or("pdf");
    StoredFile {
        id: "0".repeat(32),
        name: format!("exemple.{extension}"),
        media_type: format.media_type().to_owned(),
        size: 123_456,
        hash: "0".repeat(64),
        cautions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::validate::tests::every_kind;
    use crate::model::receipt::tests::{issuer, moment};

    #[test]
    fn every_kind_of_question_has_a_sample_answer_in_the_mail() {
        let form = every_kind(true);
        let answers = answers(&form, moment().date());
        for field in form.fields.iter().filter(|field| field.condition.is_none() && !field.tells_only()) {
            assert!(answers.answers.iter().any(|answer| answer.field == field.id), "{}", field.id);
        }
        let mails = mails(&form, &issuer(), &RequestLinks::default(), &moment());
        assert_eq!(mails.len(), 2);
        assert!(mails[0].text.contains("Quatrebarbes") && !mails[1].text.contains("Quatrebarbes"));
    }
}
