//! The control of a question: what is typed in, what helps, what was refused.

use std::borrow::Cow;

use super::{Surroundings, control_id, error_of, offered};
use crate::model::form::own::{COPY, DROPPED_FILE, KEPT_FILE};
use crate::model::form::{DateBounds, Delay, Field, FieldKind, FileFormat, Form, Shape};
use crate::model::submission::{FieldError, RawAnswers};
use crate::render::parts;
use crate::render::view::{
    ButtonView, ChoiceView, CopyView, FieldKind as Kind, FieldView, FieldWidth, HiddenField, KeptFile, Text,
};
use crate::text::dates::weekday;
use crate::text::numbers::{euros, file_size, plural};
use crate::text::typography::french;

/// The control of a question; `input` is its name, which is longer than its id in a block or a group.
pub(super) fn field_view<'a>(
    form: &'a Form,
    field: &'a Field,
    input: String,
    around: &'a Surroundings,
    answers: &'a RawAnswers,
    errors: &'a [FieldError],
) -> FieldView<'a> {
    let value = answers.first(&input);
    let mut view = FieldView {
        id: control_id(&input).into(),
        name: input.clone().into(),
        label: french(&field.question),
        hint: hint(field),
        required: field.required,
        value: value.into(),
        error: error_of(&input, errors),
        autocomplete: field.autocomplete.as_deref().map(Cow::from),
        ..FieldView::default()
    };
    let chosen =
        |choice: &str| answers.values.get(&input).is_some_and(|values| values.iter().any(|value| value == choice));
    match &field.kind {
        FieldKind::Text { max } => {
            view.maxlength = Some(*max);
            view.width = if matches!(field.id.as_str(), "prenom" | "nom") || *max <= 40 {
                FieldWidth::Moyen
            } else {
                FieldWidth::Long
            };
        }
        FieldKind::LongText { max } => {
            view.kind = Kind::TexteLong;
            view.maxlength = Some(*max);
        }
        FieldKind::Email => one_line(&mut view, Kind::Courriel, "email", Some("email"), FieldWidth::Long),
        FieldKind::Telephone => one_line(&mut view, Kind::Telephone, "tel", Some("tel"), FieldWidth::Moyen),
        FieldKind::Amount { .. } => one_line(&mut view, Kind::Nombre, "text", Some("decimal"), FieldWidth::Court),
        FieldKind::Number { .. } => one_line(&mut view, Kind::Nombre, "text", Some("numeric"), FieldWidth::Court),
        FieldKind::Date { .. } => {
            let kept = !value.is_empty() && value.parse::<jiff::civil::Date>().is_err();
            one_line(&mut view, Kind::Date, if kept { "text" } else { "date" }, None, FieldWidth::Moyen);
        }
        FieldKind::Time => {
            let kept = !value.is_empty() && !is_iso_hour(value);
            one_line(&mut view, Kind::Heure, if kept { "text" } else { "time" }, None, FieldWidth::Court);
        }
        FieldKind::YesNo => {
            view.kind = Kind::OuiNon;
            view.choices = [("oui", "Oui"), ("non", "Non")]
                .into_iter()
                .enumerate()
                .map(|(at, (value, label))| choice_view(&view.id, at, value, label.into(), None, chosen(value)))
                .collect();
        }
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => {
            view.kind = if matches!(field.kind, FieldKind::Choice { .. }) { Kind::Choix } else { Kind::ChoixMultiple };
            view.choices = choices
                .iter()
                .enumerate()
                .map(|(at, choice)| {
                    let help = parts::option(&choice.help);
                    let label = match choice.price {
                        Some(price) => format!("{} ({})", french(&choice.label), euros(u64::from(price))).into(),
                        None => french(&choice.label),
                    };
                    choice_view(&view.id, at, &choice.value, label, help, chosen(&choice.value))
                })
                .collect();
        }
        FieldKind::Checkbox => {
            view.kind = Kind::CaseACocher;
            view.checked = chosen("oui");
        }
        FieldKind::Address => {
            view.kind = Kind::Adresse;
            view.parts = address_parts(field, around, answers, errors);
        }
        FieldKind::Place { suggestions } => {
            view.kind = Kind::Lieu;
            view.suggestions = suggestions.iter().map(|place| place.as_str().into()).collect();
            view.list = offered::places(&around.addresses).filter(|_| suggestions.is_empty());
        }
        FieldKind::File { formats, max_count, max_bytes, .. } => {
            view.kind = Kind::Fichier;
            view.file_limits = Some(file_limits(formats, *max_count, *max_bytes).into());
            view.accept = Some(accept(formats).into());
            view.multiple = *max_count > 1;
            view.files = kept_files(&field.id, answers);
        }
        FieldKind::Information { .. } | FieldKind::Alert { .. } | FieldKind::Exit { .. } => {
            view.kind = Kind::Information;
            view.alert = matches!(field.kind, FieldKind::Alert { .. });
            view.required = true;
            if let FieldKind::Exit { title, .. } = &field.kind {
                view.label = french(title);
            }
            view.body_html =
                around.information_html.get(&field.id).map_or(Text::default(), |html| html.as_str().into());
        }
        FieldKind::Rna => view.width = FieldWidth::Moyen,
        FieldKind::Siret => one_line(&mut view, Kind::Texte, "text", Some("numeric"), FieldWidth::Moyen),
        FieldKind::Iban => view.width = FieldWidth::Long,
        FieldKind::Block { parts, .. } => {
            view.kind = Kind::Bloc;
            view.parts = part_views(form, parts, &input, field.required, around, answers, errors);
            // What bounds its dates is said once, of the whole.
            view.parts.iter_mut().filter(|_| view.hint.is_some()).for_each(|part| part.hint = None);
        }
        FieldKind::Group { one, add, min, max, parts } => {
            view.kind = Kind::Groupe;
            view.required = field.required || *min > 0;
            let copies = field.copies(answers);
            let action = format!("{}{}/modifier", around.action_base, form.path());
            let button = |value: String, label: String, at: usize| ButtonView {
                action_url: format!("{action}#{}", control_id(&format!("{input}.{at}"))).into(),
                name: COPY.into(),
                value: value.into(),
                label: label.into(),
            };
            view.copies = (1..=copies)
                .map(|copy| {
                    let name = format!("{input}.{copy}");
                    let must = copy <= usize::from(*min).max(usize::from(field.required));
                    let can_go = copies > usize::from(*min).max(1);
                    CopyView {
                        id: control_id(&name).into(),
                        title: format!("{} {copy}", french(one)).into(),
                        parts: part_views(form, parts, &name, must, around, answers, errors),
                        remove: can_go.then(|| {
                            button(format!("-{name}"), french(&format!("Retirer « {one} {copy} »")).into_owned(), 1)
                        }),
                    }
                })
                .collect();
            // Words that fit any noun, whatever its gender, when the form gives none.
            let words = || match add {
                Some(add) => french(add).into_owned(),
                None => french(&format!("Ajouter « {one} {} »", copies + 1)).into_owned(),
            };
            view.add = (copies < usize::from(*max)).then(|| button(format!("+{input}"), words(), copies + 1));
        }
    }
    view
}

/// The controls of a block or of a copy; none is required where the whole may be left blank.
fn part_views<'a>(
    form: &'a Form,
    parts: &'a [Field],
    prefix: &str,
    must: bool,
    around: &'a Surroundings,
    answers: &'a RawAnswers,
    errors: &'a [FieldError],
) -> Vec<FieldView<'a>> {
    let view = |part: &'a Field| {
        let view = field_view(form, part, format!("{prefix}.{}", part.id), around, answers, errors);
        // « facultatif » is said of the whole when the whole is.
        FieldView { required: view.required || !must, ..view }
    };
    parts.iter().map(view).collect()
}

/// What helps to answer: the fiche's words, then what the kind asks.
fn hint(field: &Field) -> Option<Text<'_>> {
    let bounds = match &field.kind {
        FieldKind::Date { bounds } => bounds_words(*bounds),
        FieldKind::Block { shape: Shape::Period { max_days }, parts } => {
            let most = max_days.map(|days| format!("{} au plus.", plural(u64::from(days), "jour", "jours")));
            let one_day = Some("Pour un seul jour, la même date deux fois.".to_owned());
            joined([one_day, date_bounds(parts).and_then(bounds_words), most])
        }
        FieldKind::Block { shape: Shape::Booking { name, .. }, parts } => {
            joined([Some(format!("{name}.")), date_bounds(parts).and_then(bounds_words)])
        }
        FieldKind::Block { shape: Shape::Appointment { days }, .. } if !days.is_empty() => {
            let names: Vec<&str> = days
                .iter()
                .filter_map(|day| jiff::civil::Weekday::from_monday_one_offset(*day as i8).ok())
                .map(weekday)
                .collect();
            Some(format!("Le {}.", names.join(", le ")))
        }
        FieldKind::Number { unit_price: Some(price), .. } => Some(format!("{} l’unité.", euros(u64::from(*price)))),
        FieldKind::Amount { .. } => Some("En euros.".to_owned()),
        _ => None,
    };
    match (field.help.as_deref().filter(|help| !help.is_empty()), bounds) {
        (Some(help), Some(bounds)) => Some(format!("{} {}", french(help), french(&bounds)).into()),
        (Some(help), None) => Some(french(help)),
        (None, bounds) => bounds.map(|bounds| french(&bounds).into_owned().into()),
    }
}

fn joined<const N: usize>(words: [Option<String>; N]) -> Option<String> {
    let words: Vec<String> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn date_bounds(parts: &[Field]) -> Option<DateBounds> {
    parts.iter().find_map(|part| match part.kind {
        FieldKind::Date { bounds } => Some(bounds),
        _ => None,
    })
}

/// « Au moins 15 jours après aujourd’hui. »
fn bounds_words(bounds: DateBounds) -> Option<String> {
    let earliest = match bounds.earliest {
        Some(Delay::Days(0)) | None => None,
        Some(delay) => Some(format!("Au moins {} après aujourd’hui.", parts::delay(delay))),
    };
    let latest = match bounds.latest {
        Some(delay) if !bounds.past => Some(format!("Au plus tard dans {}.", parts::delay(delay))),
        _ => None,
    };
    joined([earliest, latest])
}

fn one_line(
    view: &mut FieldView<'_>,
    kind: Kind,
    input_type: &'static str,
    inputmode: Option<&'static str>,
    width: FieldWidth,
) {
    view.kind = kind;
    view.input_type = input_type.into();
    view.inputmode = inputmode.map(Cow::from);
    view.width = width;
}

/// `14:30`, as `<input type="time">` takes it.
fn is_iso_hour(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 5 && bytes[2] == b':' && value.parse::<jiff::civil::Time>().is_ok()
}

fn choice_view<'a>(
    field: &str,
    at: usize,
    value: &'a str,
    label: Text<'a>,
    hint: Option<Text<'a>>,
    checked: bool,
) -> ChoiceView<'a> {
    ChoiceView { id: format!("{field}-{}", at + 1).into(), value: value.into(), label, hint, checked }
}

fn address_parts<'a>(
    field: &Field,
    around: &Surroundings,
    answers: &'a RawAnswers,
    errors: &'a [FieldError],
) -> Vec<FieldView<'a>> {
    let parts = [
        ("voie", "Numéro et voie", "address-line1", FieldWidth::Long, None),
        ("code_postal", "Code postal", "postal-code", FieldWidth::Court, Some("numeric")),
        ("commune", "Commune", "address-level2", FieldWidth::Moyen, None),
    ];
    parts
        .into_iter()
        .map(|(part, label, token, width, inputmode)| {
            let name = format!("{}.{part}", field.id);
            FieldView {
                id: control_id(&name).into(),
                label: label.into(),
                required: field.required,
                value: answers.first(&name).into(),
                error: error_of(&name, errors),
                autocomplete: field.autocomplete.as_ref().map(|_| token.into()),
                inputmode: inputmode.map(Cow::from),
                list: offered::lines(&around.addresses).filter(|_| part == "voie"),
                width,
                name: name.into(),
                ..FieldView::default()
            }
        })
        .collect()
}

fn kept_files<'a>(field: &str, answers: &'a RawAnswers) -> Vec<KeptFile<'a>> {
    let files = answers.files.get(field).map_or(&[][..], Vec::as_slice);
    files
        .iter()
        .map(|file| KeptFile {
            name: file.name.as_str().into(),
            size: file_size(file.size).into(),
            hidden: Some(HiddenField { name: format!("{KEPT_FILE}{field}").into(), value: file.id.as_str().into() }),
            remove: Some(HiddenField { name: format!("{DROPPED_FILE}{}", file.id).into(), value: "oui".into() }),
        })
        .collect()
}

/// « 3 fichiers au plus, PDF, JPEG ou PNG, 7 Mo chacun ».
fn file_limits(formats: &[FileFormat], count: u8, bytes: u64) -> String {
    let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
    let names = match names.as_slice() {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} ou {last}", names.join(", ")),
    };
    let size = file_size(bytes);
    if count > 1 {
        format!("{} au plus, {names}, {size} chacun", plural(u64::from(count), "fichier", "fichiers"))
    } else {
        format!("Un fichier {names}, {size} au plus")
    }
}

/// What the browser offers to pick. Never `image/heic` nor `image/*`: an iPhone turns its photos into JPEG by itself only when
/// the page asks for JPEG. WebP is turned into one of the two on arrival.
fn accept(formats: &[FileFormat]) -> String {
    let mut accepted = Vec::new();
    for format in formats {
        accepted.extend(format.extensions().iter().map(|extension| format!(".{extension}")));
        accepted.push(format.media_type().to_owned());
    }
    if formats.iter().any(|format| format.is_picture()) {
        accepted.extend([".webp".to_owned(), "image/webp".to_owned()]);
    }
    accepted.join(",")
}
