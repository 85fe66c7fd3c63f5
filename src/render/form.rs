//! From a form to the views of its pages: questions, check, paper. The static page and the guichet's use the same code.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::pages::fiche_link;
use super::parts;
use super::view::{
    ChoiceView, ContactView, Crumb, DataNoticeView, FieldGroup, FieldKind as Kind, FieldView, FieldWidth, FormError,
    FormView, HiddenField, KeptFile, PageView, Row, StepView, SummaryGroup, SummaryRow, Text,
};
use crate::model::commune::Dpo;
use crate::model::form::{Choice, Condition, Field, FieldKind, FileFormat, Form};
use crate::model::submission::{Answer, AnswerValue, FieldError, RawAnswers};
use crate::text::numbers::{file_size, plural};
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

/// The page of questions, with what was answered and what was refused.
pub(super) fn questions<'a>(
    form: &'a Form,
    around: &'a Surroundings,
    answers: &'a RawAnswers,
    errors: &'a [FieldError],
    commune: &str,
) -> FormView<'a> {
    let groups = groups(form, around, answers, errors);
    let errors = summary_of_errors(form, errors);
    FormView {
        page: page(form, around, french(&form.title), commune, !errors.is_empty()),
        demarche: fiche_link(form, &around.site_prefix),
        step: Some(StepView { current: 1, total: 2, label: "Vos réponses".into() }),
        action_url: format!("{}/guichet/{}/verifier", around.action_base, form.id).into(),
        multipart: true,
        hidden: Vec::new(),
        intro_html: Text::default(),
        prepare_html: around.prepare_html.iter().map(|html| html.as_str().into()).collect(),
        groups,
        errors,
        submit_label: "Continuer".into(),
        notice: Some(notice(form, around)),
        paper_url: Some(format!("{}{}papier/", around.site_prefix, form.page_url).into()),
        contact: contact(form, around),
    }
}

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
    around: &'a Surroundings,
    answers: &'a RawAnswers,
    errors: &'a [FieldError],
) -> Vec<FieldGroup<'a>> {
    let mut groups: Vec<(Option<&str>, FieldGroup<'a>)> = Vec::new();
    for field in &form.fields {
        let view = field_view(form, field, around, answers, errors);
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

fn field_view<'a>(
    form: &'a Form,
    field: &'a Field,
    around: &'a Surroundings,
    answers: &'a RawAnswers,
    errors: &'a [FieldError],
) -> FieldView<'a> {
    let id = control_id(&field.id);
    let value = answers.first(&field.id);
    let mut view = FieldView {
        id: id.into(),
        name: field.id.as_str().into(),
        label: french(&field.question),
        hint: parts::option(&field.help),
        required: field.required,
        condition: field.condition.as_ref().map(|condition| words_of(form, condition).into()),
        value: value.into(),
        error: error_of(&field.id, errors),
        autocomplete: field.autocomplete.as_deref().map(Cow::from),
        ..FieldView::default()
    };
    let chosen =
        |choice: &str| answers.values.get(&field.id).is_some_and(|values| values.iter().any(|value| value == choice));
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
        FieldKind::Number { .. } => one_line(&mut view, Kind::Nombre, "text", Some("numeric"), FieldWidth::Court),
        FieldKind::Date => {
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
                    choice_view(&view.id, at, &choice.value, french(&choice.label), help, chosen(&choice.value))
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
        FieldKind::File { formats, max_count, max_bytes } => {
            view.kind = Kind::Fichier;
            view.file_limits = Some(file_limits(formats, *max_count, *max_bytes).into());
            view.accept = Some(accept(formats).into());
            view.multiple = *max_count > 1;
            view.files = kept_files(&field.id, answers);
        }
        FieldKind::Information { .. } => {
            view.kind = Kind::Information;
            view.required = true;
            view.body_html =
                around.information_html.get(&field.id).map_or(Text::default(), |html| html.as_str().into());
        }
        FieldKind::Rna => view.width = FieldWidth::Moyen,
        FieldKind::Siret => one_line(&mut view, Kind::Texte, "text", Some("numeric"), FieldWidth::Moyen),
    }
    view
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
fn words_of(form: &Form, condition: &Condition) -> String {
    let Some(field) = form.field(&condition.field) else { return String::new() };
    let question = &field.question;
    let sentence = if matches!(field.kind, FieldKind::Checkbox) {
        let ticked = condition.equal == condition.values.iter().any(|value| value == "oui");
        format!("Si vous avez {}coché « {question} »", if ticked { "" } else { "laissé non " })
    } else {
        let answers: Vec<String> =
            condition.values.iter().map(|value| format!("« {} »", label_of(&field.kind, value))).collect();
        let opening = if condition.equal { "Si vous avez répondu" } else { "Sauf si vous avez répondu" };
        format!("{opening} {} à « {question} »", answers.join(" ou "))
    };
    french(&sentence).into_owned()
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
        let field = input.split('.').next().unwrap_or(input);
        form.fields.iter().position(|candidate| candidate.id == field)
    };
    let mut ranked: Vec<(usize, FormError<'a>)> = errors
        .iter()
        .map(|error| {
            let at = rank(&error.input);
            let target = at.map_or(String::new(), |at| target_of(&form.fields[at], &error.input));
            (at.unwrap_or(usize::MAX), FormError { target: target.into(), message: french(&error.message) })
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, error)| error).collect()
}

/// Id of the control to focus: the first choice of a group, the first line of an address.
fn target_of(field: &Field, input: &str) -> String {
    match &field.kind {
        FieldKind::YesNo | FieldKind::Choice { .. } | FieldKind::Choices { .. } => format!("{}-1", control_id(input)),
        FieldKind::Address if input == field.id => control_id(&format!("{input}.voie")),
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
    edit: impl Fn(&str) -> String,
) -> Vec<SummaryGroup<'a>> {
    let mut groups: Vec<(Option<&str>, SummaryGroup<'a>)> = Vec::new();
    for field in &form.fields {
        if matches!(field.kind, FieldKind::Information { .. }) || !is_asked(form, field, raw, 0) {
            continue;
        }
        let answer = answers.iter().find(|answer| answer.field == field.id);
        let row = SummaryRow {
            label: french(&field.question),
            lines: answer.map_or_else(Vec::new, |answer| lines(&answer.value)),
            edit_url: Some(edit(&target_of(field, &field.id)).into()),
        };
        push_row(&mut groups, field.step.as_deref(), row);
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
fn lines(value: &AnswerValue) -> Vec<Text<'_>> {
    match value {
        AnswerValue::Text(text) => text.lines().map(Cow::from).collect(),
        AnswerValue::Choices(choices) => choices.iter().map(|choice| choice.as_str().into()).collect(),
        AnswerValue::Address(lines) => lines.iter().map(|line| line.as_str().into()).collect(),
        AnswerValue::Files(files) => {
            files.iter().map(|file| format!("{} ({})", file.name, file_size(file.size)).into()).collect()
        }
    }
}

/// Whether a question is asked, given what was answered before; conditions may depend on one another.
fn is_asked(form: &Form, field: &Field, raw: &RawAnswers, depth: usize) -> bool {
    let Some(condition) = &field.condition else { return true };
    let Some(other) = form.field(&condition.field).filter(|_| depth < form.fields.len()) else { return false };
    let given = raw.values.get(&other.id).map_or(&[][..], Vec::as_slice);
    let matches = given.iter().any(|value| condition.values.contains(value));
    is_asked(form, other, raw, depth + 1) && matches == condition.equal
}

/// Answers typed, as they are, when nothing could be accepted: to copy or print.
pub(super) fn typed_groups<'a>(form: &'a Form, raw: &'a RawAnswers) -> Vec<SummaryGroup<'a>> {
    let mut groups: Vec<(Option<&str>, SummaryGroup<'a>)> = Vec::new();
    for field in &form.fields {
        let inputs: Vec<String> = match field.kind {
            FieldKind::Address => {
                ["voie", "code_postal", "commune"].iter().map(|part| format!("{}.{part}", field.id)).collect()
            }
            FieldKind::Information { .. } => continue,
            _ => vec![field.id.clone()],
        };
        let mut typed: Vec<Text<'a>> = Vec::new();
        for values in inputs.iter().filter_map(|input| raw.values.get(input)) {
            let filled = values.iter().filter(|value| !value.is_empty());
            typed.extend(filled.flat_map(|value| label_of(&field.kind, value).lines().map(Cow::from)));
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
