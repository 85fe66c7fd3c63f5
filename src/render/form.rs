//! From a form to the views of its pages: questions, check, paper. The static page and the guichet's use the same code.

mod condition;
mod control;
mod offered;
mod summary;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use self::offered::second_look;
pub(super) use self::summary::{answer_groups, check_groups, typed_groups, unsent};

use self::condition::words_of;
use self::control::field_view;
use super::pages::fiche_link;
use super::parts;
use super::view::{
    ButtonView, ContactView, Crumb, DataNoticeView, FieldGroup, FormError, FormView, GiveBackView, HiddenField,
    PageView, Row, StepView, Text,
};
use crate::model::addresses::AddressBook;
use crate::model::commune::Dpo;
use crate::model::form::own::{AGENT_CODE, GIVEN_BACK, GO_TO, PAGE};
use crate::model::form::{Field, FieldKind, Form};
use crate::model::submission::{FieldError, RawAnswers};
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
    /// Streets and hamlets offered to who types an address.
    pub(super) addresses: Arc<AddressBook>,
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
    /// What is said at its top.
    pub(super) told: &'a Told,
}

/// What is said at the top of a page of questions.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// A form put aside was given back: what to know.
    pub resumed: Vec<String>,
    /// Why a file that was given back cannot be used.
    pub give_back_error: Option<String>,
}

/// A page of questions, with what was answered and what was refused.
pub(super) fn questions<'a>(form: &'a Form, around: &'a Surroundings, asked: Asked<'a>, commune: &str) -> FormView<'a> {
    let pages = form.pages();
    let (fields, at) = match asked.page {
        Some(page) if pages.len() > 1 => (pages[page.min(pages.len() - 1)], Some(page.min(pages.len() - 1))),
        _ => (&form.fields[..], None),
    };
    let groups = groups(form, fields, around, asked.answers, asked.errors);
    let mut errors = summary_of_errors(form, asked.errors);
    errors.extend(
        asked
            .told
            .give_back_error
            .as_ref()
            .map(|why| FormError { target: control_id(GIVEN_BACK).into(), message: french(why) }),
    );
    let base = format!("{}{}", around.action_base, form.path());
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
        lists: offered::lists(&groups, &around.addresses),
        groups,
        errors,
        submit_label: "Continuer".into(),
        back: at.filter(|at| *at > 0).map(|at| ButtonView {
            action_url: format!("{base}/modifier").into(),
            name: GO_TO.into(),
            value: at.to_string().into(),
            label: "Page précédente".into(),
        }),
        resumed: asked.told.resumed.iter().map(|words| french(words)).collect(),
        put_aside_url: format!("{base}/mettre-de-cote").into(),
        give_back: matches!(at, None | Some(0)).then(|| GiveBackView {
            action_url: format!("{base}/reprendre").into(),
            id: control_id(GIVEN_BACK).into(),
            name: GIVEN_BACK.into(),
            error: asked.told.give_back_error.as_deref().map(french),
        }),
        has_files: form.takes_files(),
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

/// Whether a question is shown on its page, which another page may rule out.
pub fn shows_on_its_page(form: &Form, field: &Field, answers: &RawAnswers) -> bool {
    let pages = form.pages();
    let page = pages.get(form.page_of(&field.id)).copied().unwrap_or(&form.fields);
    shows(form, page, field, answers, form.fields.len())
}

/// Whether a question may be asked on a page: what depends on another page is known, what depends on this one is not yet.
fn shows(form: &Form, page: &[Field], field: &Field, answers: &RawAnswers, depth: usize) -> bool {
    let Some(condition) = &field.condition else { return true };
    condition.tests.iter().all(|test| match page.iter().find(|other| other.id == test.field) {
        Some(parent) => depth > 0 && shows(form, page, parent, answers, depth - 1),
        None => form.field(&test.field).is_some_and(|parent| form.asks(parent, answers) && test.holds(parent, answers)),
    })
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
            let target = match form.leaf(&error.input) {
                Some((_, leaf)) => target_of(leaf, &error.input),
                None if error.input == AGENT_CODE => control_id(AGENT_CODE),
                None => String::new(),
            };
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
