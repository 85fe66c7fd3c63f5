//! From a form to the views of its pages: questions, check, paper. The static page and the guichet's use the same code.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::pages::fiche_link;
use super::parts;
use super::view::{
    ButtonView, ChoiceView, ContactView, CopyView, Crumb, DataNoticeView, FieldGroup, FieldKind as Kind, FieldView,
    FieldWidth, FormError, FormView, HiddenField, KeptFile, PageView, Row, StepView, SummaryGroup, SummaryRow, Text,
};
use crate::model::commune::Dpo;
use crate::model::form::{
    Choice, Condition, DateBounds, Delay, Field, FieldKind, FileFormat, Form, Operator, Shape, Test,
};
use crate::model::submission::{Answer, AnswerValue, FieldError, RawAnswers};
use crate::text::dates::weekday;
use crate::text::numbers::{euros, file_size, plural};
use crate::text::typography::french;

/// What stands around the questions of a form, made once.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// Scheme and host of the site when the page is served elsewhere; else empty.
    pub(super) site_prefix: String,
    /// Scheme and host of the guichet when it is elsewhere; else empty.
    pub(super) action_base: String,
    /// What to have at hand, inline HTML.
    pub(super) prepare_html: Vec<String>,
    /// Ready HTML of each question without question.
    pub(super) information_html: BTreeMap<String, String>,
    /// Page on personal data.
    pub(super) notice_url: Option<String>,
    /// « la commune de Saint-Mulot-des-Champs ».
    pub(super) controller: String,
    /// Name and addresses of the data-protection officer.
    pub(super) dpo: Option<String>,
    /// Hours at which someone answers.
    pub(super) hours_summary: Vec<String>,
}

/// Name, e-mail, address and telephone of the data-protection officer on one line.
pub(super) fn dpo_line(dpo: &Dpo) -> String {
    let parts = [&dpo.nom, &dpo.courriel, &dpo.adresse, &dpo.telephone];
    let filled: Vec<&str> = parts.into_iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    filled.join(", ")
}

/// Address of the control of an input: `adresse.code_postal` → `champ-adresse-code_postal`.
pub(super) fn control_id(input: &str) -> String {
    format!("champ-{}", input.replace('.', "-"))
}

/// What a page of questions is drawn with.
#[derive(Debug, Clone)]
pub(super) struct Asked<'a> {
    pub(super) answers: &'a RawAnswers,
    pub(super) errors: &'a [FieldError],
    /// Which page of questions, from 0; `None`: all on one.
    pub(super) page: Option<usize>,
    /// What the page carries besides its own questions.
    pub(super) hidden: Vec<(String, String)>,
}

/// A page of questions, with what was answered and what was refused.
pub(super) fn questions<'a>(form: &'a Form, around: &'a Surroundings, asked: Asked<'a>, commune: &str) -> FormView<'a> {
    let pages = form.pages();
    let (fields, at) = match asked.page {
        Some(page) if pages.len() > 1 => (pages[page.min(pages.len() - 1)], Some(page.min(pages.len() - 1))),
        _ => (&form.fields[..], None),
    };
    let groups = groups(form, fields, around, asked.answers, asked.errors);
    let errors = summary_of_errors(form, asked.errors);
    let base = format!("{}/guichet/{}", around.action_base, form.id);
    let mut hidden = asked.hidden;
    if let Some(at) = at.filter(|_| !hidden.iter().any(|(name, _)| name == PAGE)) {
        hidden.push((PAGE.to_owned(), (at + 1).to_string()));
    }
    let step = match at {
        Some(at) => StepView {
            current: at + 1,
            total: pages.len() + 1,
            label: fields[0].step.as_deref().map_or("Vos réponses".into(), french),
        },
        None => StepView { current: 1, total: 2, label: "Vos réponses".into() },
    };
    FormView {
        page: page(form, around, french(&form.title), commune, !errors.is_empty()),
        demarche: fiche_link(form, &around.site_prefix),
        step: Some(step),
        action_url: format!("{base}/verifier").into(),
        multipart: true,
        hidden: hidden
            .into_iter()
            .map(|(name, value)| HiddenField { name: name.into(), value: value.into() })
            .collect(),
        intro_html: Text::default(),
        prepare_html: match at {
            Some(1..) => Vec::new(),
            _ => around.prepare_html.iter().map(|html| html.as_str().into()).collect(),
        },
        groups,
        errors,
        submit_label: "Continuer".into(),
        back: at.filter(|at| *at > 0).map(|at| ButtonView {
            action_url: format!("{base}/modifier").into(),
            name: GO_TO.into(),
            value: at.to_string().into(),
            label: "Page précédente".into(),
        }),
        notice: Some(notice(form, around)),
        paper_url: Some(format!("{}{}papier/", around.site_prefix, form.page_url).into()),
        contact: contact(form, around),
    }
}

/// Name of the input that says which page of questions is posted, from 1.
pub const PAGE: &str = "page";
/// Name of the button that asks for a page of questions, from 1.
pub const GO_TO: &str = "aller";
/// Name of the buttons of a group: `+enfants` adds a copy, `-enfants.2` takes the second away.
pub const COPY: &str = "groupe";

/// What the layout needs of a page of the form.
pub(super) fn page<'a>(
    form: &Form,
    around: &Surroundings,
    title: impl Into<Text<'a>>,
    commune: &str,
    refused: bool,
) -> PageView<'a> {
    let title = title.into();
    let error = if refused { "Erreur\u{a0}: " } else { "" };
    let fiche = fiche_link(form, &around.site_prefix);
    PageView {
        head_title: format!("{error}{title} – {}", french(commune)).into(),
        title,
        breadcrumb: vec![
            Crumb { label: "Démarches".into(), url: Some(format!("{}/demarches/", around.site_prefix).into()) },
            Crumb { label: fiche.label, url: Some(fiche.url) },
            Crumb { label: "Formulaire".into(), url: None },
        ],
        noindex: true,
        ..PageView::default()
    }
}

/// Who helps with a form.
pub(super) fn contact<'a>(form: &'a Form, around: &'a Surroundings) -> ContactView<'a> {
    ContactView {
        hours_summary: around.hours_summary.iter().map(|line| line.as_str().into()).collect(),
        ..parts::service_contact(&form.service)
    }
}

/// Questions under the titles of their steps, in order.
pub(super) fn groups<'a>(
    form: &'a Form,
    fields: &'a [Field],
    around: &'a Surroundings,
    answers: &'a RawAnswers,
    errors: &'a [FieldError],
) -> Vec<FieldGroup<'a>> {
    let mut groups: Vec<(Option<&str>, FieldGroup<'a>)> = Vec::new();
    for field in fields {
        // What was settled on another page is not asked again in words.
        if !shows(form, fields, field, answers, form.fields.len()) {
            continue;
        }
        let mut view = field_view(form, field, field.id.clone(), around, answers, errors);
        view.condition = field.condition.as_ref().and_then(|condition| words_of(condition, fields)).map(Cow::from);
        let step = field.step.as_deref();
        match groups.last_mut() {
            // A question without step stays under the title before it.
            Some((last, group)) if *last == step || step.is_none() => group.fields.push(view),
            _ => {
                let number = groups.len() + 1;
                groups.push((
                    step,
                    FieldGroup {
                        id: format!("etape-{number}").into(),
                        title: step.map(french),
                        hint: None,
                        condition: None,
                        fields: vec![view],
                    },
                ));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Whether a question may be asked on a page: what depends on another page is known, what depends on this one is not yet.
fn shows(form: &Form, page: &[Field], field: &Field, answers: &RawAnswers, depth: usize) -> bool {
    let Some(condition) = &field.condition else { return true };
    condition.tests.iter().all(|test| match page.iter().find(|other| other.id == test.field) {
        Some(parent) => depth > 0 && shows(form, page, parent, answers, depth - 1),
        None => form.field(&test.field).is_some_and(|parent| form.asks(parent, answers) && test.holds(parent, answers)),
    })
}

/// The control of a question; `input` is its name, which is longer than its id in a block or a group.
fn field_view<'a>(
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
            view.parts = address_parts(field, answers, errors);
        }
        FieldKind::Place { suggestions } => {
            view.kind = Kind::Lieu;
            view.suggestions = suggestions.iter().map(|place| place.as_str().into()).collect();
        }
        FieldKind::File { formats, max_count, max_bytes, .. } => {
            view.kind = Kind::Fichier;
            view.file_limits = Some(file_limits(formats, *max_count, *max_bytes).into());
            view.accept = Some(accept(formats).into());
            view.multiple = *max_count > 1;
            view.files = kept_files(&field.id, answers);
        }
        FieldKind::Information { .. } | FieldKind::Exit { .. } => {
            view.kind = Kind::Information;
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
        FieldKind::Group { one, min, max, parts } => {
            view.kind = Kind::Groupe;
            view.required = field.required || *min > 0;
            let copies = field.copies(answers);
            let action = format!("{}/guichet/{}/modifier", around.action_base, form.id);
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
                        remove: can_go
                            .then(|| button(format!("-{name}"), format!("Retirer {} {copy}", french(one)), 1)),
                    }
                })
                .collect();
            view.add = (copies < usize::from(*max))
                .then(|| button(format!("+{input}"), format!("Ajouter\u{a0}: {}", french(one)), copies + 1));
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
            joined([date_bounds(parts).and_then(bounds_words), most])
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

fn address_parts<'a>(field: &Field, answers: &'a RawAnswers, errors: &'a [FieldError]) -> Vec<FieldView<'a>> {
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
            hidden: Some(HiddenField { name: format!("fichier.{field}").into(), value: file.id.as_str().into() }),
            remove: Some(HiddenField { name: format!("retirer.{}", file.id).into(), value: "oui".into() }),
        })
        .collect()
}

/// « 3 fichiers au plus, PDF, JPEG ou PNG, 7 Mo chacun ».
fn file_limits(formats: &[FileFormat], count: u8, bytes: u64) -> String {
    let names: Vec<&str> = formats
        .iter()
        .map(|format| match format {
            FileFormat::Pdf => "PDF",
            FileFormat::Jpg => "JPEG",
            FileFormat::Png => "PNG",
        })
        .collect();
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

fn accept(formats: &[FileFormat]) -> String {
    let accepted: Vec<&str> = formats
        .iter()
        .map(|format| match format {
            FileFormat::Pdf => ".pdf,application/pdf",
            FileFormat::Jpg => ".jpg,.jpeg,image/jpeg",
            FileFormat::Png => ".png,image/png",
        })
        .collect();
    accepted.join(",")
}

/// « Si vous avez répondu « Éclairage » à « De quoi s'agit-il ? » ».
///
/// Only what is asked on the same page is said; `None` when all is settled before.
fn words_of(condition: &Condition, page: &[Field]) -> Option<String> {
    let parent = |test: &Test| page.iter().find(|field| field.id == test.field);
    let words: Vec<String> = condition.tests.iter().filter_map(|test| Some(test_words(parent(test)?, test))).collect();
    (!words.is_empty()).then(|| french(&format!("Si {}", words.join(" et si "))).into_owned())
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
fn label_of<'a>(kind: &'a FieldKind, value: &'a str) -> &'a str {
    match kind {
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => {
            choices.iter().find(|choice: &&Choice| choice.value == value).map_or(value, |choice| choice.label.as_str())
        }
        FieldKind::YesNo if value == "oui" => "Oui",
        FieldKind::YesNo if value == "non" => "Non",
        _ => value,
    }
}

fn error_of<'a>(input: &str, errors: &'a [FieldError]) -> Option<Text<'a>> {
    errors.iter().find(|error| error.input == input).map(|error| french(&error.message))
}

/// Errors in the order of the questions, each tied to the control to focus.
pub(super) fn summary_of_errors<'a>(form: &Form, errors: &'a [FieldError]) -> Vec<FormError<'a>> {
    let rank = |input: &str| {
        let (field, _) = form.leaf(input)?;
        form.fields.iter().position(|candidate| candidate.id == field.id)
    };
    let mut ranked: Vec<(usize, FormError<'a>)> = errors
        .iter()
        .map(|error| {
            let at = rank(&error.input);
            let target = form.leaf(&error.input).map_or(String::new(), |(_, leaf)| target_of(leaf, &error.input));
            (at.unwrap_or(usize::MAX), FormError { target: target.into(), message: french(&error.message) })
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, error)| error).collect()
}

/// Id of the control to focus: the first choice of a group, the first line of an address.
pub(super) fn target_of(field: &Field, input: &str) -> String {
    match &field.kind {
        FieldKind::YesNo | FieldKind::Choice { .. } | FieldKind::Choices { .. } => format!("{}-1", control_id(input)),
        FieldKind::Address if input == field.id => control_id(&format!("{input}.voie")),
        FieldKind::Block { parts, .. } => {
            parts.first().map_or_else(|| control_id(input), |part| target_of(part, &format!("{input}.{}", part.id)))
        }
        FieldKind::Group { parts, .. } => {
            parts.first().map_or_else(|| control_id(input), |part| target_of(part, &format!("{input}.1.{}", part.id)))
        }
        _ => control_id(input),
    }
}

/// What is done with the answers (RGPD, art. 13).
pub(super) fn notice<'a>(form: &'a Form, around: &'a Surroundings) -> DataNoticeView<'a> {
    let data = &form.data;
    let retention = parts::delay(data.retention);
    let row =
        |label: &'static str, value: String| Row { label: label.into(), value: french(&value).into_owned().into() };
    let mut rows = vec![
        row("À quoi elles servent", parts::capitalised(&data.purpose)),
        row("Base légale", parts::capitalised(&data.legal_basis)),
        row("Qui les lit", parts::capitalised(&data.recipients)),
        row("Combien de temps", format!("{retention} après la réception")),
        row("Responsable", parts::capitalised(&around.controller)),
    ];
    if let Some(dpo) = &around.dpo {
        rows.push(row("Délégué à la protection des données", dpo.clone()));
    }
    rows.push(row(
        "Vos droits",
        "Vous pouvez consulter vos données, les faire corriger ou effacer, en limiter l’usage ou vous y opposer, et saisir la CNIL (www.cnil.fr).".to_owned(),
    ));
    let summary = format!("Vos réponses servent à {}. Elles sont gardées {retention}.", data.purpose);
    DataNoticeView {
        summary: french(&summary).into_owned().into(),
        rows,
        url: around.notice_url.as_ref().map(|url| format!("{}{url}", around.site_prefix).into()),
    }
}

/// Answers of the questions that were asked, under the titles of their steps; each with its « Modifier » button when
/// `edit` gives its address.
pub(super) fn check_groups<'a>(
    form: &'a Form,
    raw: &RawAnswers,
    answers: &'a [Answer],
    edit: impl Fn(&Field) -> String,
) -> Vec<SummaryGroup<'a>> {
    let mut groups: Vec<(Option<&str>, SummaryGroup<'a>)> = Vec::new();
    for field in &form.fields {
        if field.tells_only() || !form.asks(field, raw) {
            continue;
        }
        let answer = answers.iter().find(|answer| answer.field == field.id);
        let row = SummaryRow {
            label: french(&field.question),
            lines: match (answer, &field.kind) {
                (Some(answer), _) => lines(&answer.value),
                // An empty box says no, which is an answer.
                (None, FieldKind::Checkbox) => vec!["Non".into()],
                (None, _) => Vec::new(),
            },
            edit_url: Some(edit(field).into()),
        };
        push_row(&mut groups, field.step.as_deref(), row);
    }
    for answer in answers.iter().filter(|answer| form.field(&answer.field).is_none()) {
        // What the guichet reckoned itself: the sum of the prices.
        let row = SummaryRow { label: french(&answer.question), lines: lines(&answer.value), edit_url: None };
        push_row(&mut groups, answer.step.as_deref(), row);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Answers that describe themselves, without buttons.
pub(super) fn answer_groups(answers: &[Answer]) -> Vec<SummaryGroup<'_>> {
    let mut groups: Vec<(Option<&str>, SummaryGroup<'_>)> = Vec::new();
    for answer in answers {
        let row = SummaryRow { label: french(&answer.question), lines: lines(&answer.value), edit_url: None };
        push_row(&mut groups, answer.step.as_deref(), row);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn push_row<'a>(groups: &mut Vec<(Option<&'a str>, SummaryGroup<'a>)>, step: Option<&'a str>, row: SummaryRow<'a>) {
    match groups.last_mut() {
        Some((last, group)) if *last == step || step.is_none() => group.rows.push(row),
        _ => groups.push((step, SummaryGroup { title: step.map(french), rows: vec![row] })),
    }
}

/// An answer in lines, as typed.
fn lines(value: &AnswerValue) -> Vec<Text<'static>> {
    value.lines().into_iter().map(Cow::from).collect()
}

/// Answers typed, as they are, when nothing could be accepted: to copy or print.
pub(super) fn typed_groups<'a>(form: &'a Form, raw: &'a RawAnswers) -> Vec<SummaryGroup<'a>> {
    let mut groups: Vec<(Option<&str>, SummaryGroup<'a>)> = Vec::new();
    for field in &form.fields {
        let inputs: Vec<String> = match &field.kind {
            FieldKind::Address => {
                ["voie", "code_postal", "commune"].iter().map(|part| format!("{}.{part}", field.id)).collect()
            }
            FieldKind::Information { .. } | FieldKind::Exit { .. } => continue,
            FieldKind::Block { .. } => field.parts(0).into_iter().map(|part| part.id).collect(),
            FieldKind::Group { .. } => {
                (1..=field.copies(raw)).flat_map(|copy| field.parts(copy)).map(|part| part.id).collect()
            }
            _ => vec![field.id.clone()],
        };
        let mut typed: Vec<Text<'a>> = Vec::new();
        for (input, values) in inputs.iter().filter_map(|input| Some((input, raw.values.get(input)?))) {
            let filled = values.iter().filter(|value| !value.is_empty());
            let leaf = |input: &str| form.leaf(input).map_or(&field.kind, |(_, leaf)| &leaf.kind);
            typed.extend(filled.flat_map(|value| label_of(leaf(input), value).lines().map(Cow::from)));
        }
        let files = raw.files.get(&field.id).map_or(&[][..], Vec::as_slice);
        typed.extend(files.iter().map(|file| Cow::from(file.name.as_str())));
        if !typed.is_empty() {
            push_row(
                &mut groups,
                field.step.as_deref(),
                SummaryRow { label: french(&field.question), lines: typed, edit_url: None },
            );
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}
