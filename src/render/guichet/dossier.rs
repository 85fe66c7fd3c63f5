//! Pages that follow a request: the resident's follow-up and cancelling, the mairie's actions, letters and sheets to print.

use std::borrow::Cow;

use super::super::form::{self, Surroundings};
use super::super::parts;
use super::super::view::{
    ActCardView, ActPageView, CancelView, ComplementView, Crumb, DoneView, FieldGroup, FollowView, HiddenField,
    LetterFormView, Link, MessageKind, MissingView, NoticeView, PageView, Row, Text, TimelineView,
};
use super::{Pages, accuse};
use crate::model::form::{Form, ServiceContact};
use crate::model::receipt::ReceiptDocument;
use crate::model::submission::{Answer, FieldError, RawAnswers};
use crate::text::typography::french;

/// A word at the top of a page.
#[derive(Debug, Clone)]
pub struct Notice {
    /// How it is drawn.
    pub kind: MessageKind,
    /// One sentence.
    pub title: String,
    /// More of it.
    pub paragraphs: Vec<String>,
}

/// One event of a request.
#[derive(Debug, Clone, Default)]
pub struct Event {
    /// « 25 novembre 2026 à 9 h ».
    pub date: String,
    /// For `datetime`.
    pub iso: String,
    /// What was done.
    pub title: String,
    /// « Claire Denis, secrétaire de mairie ».
    pub by: Option<String>,
    /// What was written.
    pub letter: Vec<String>,
    /// Names of the files added.
    pub files: Vec<String>,
}

/// What the follow-up page says.
#[derive(Debug)]
pub struct Following<'a> {
    /// Title of the démarche when it was sent.
    pub form_title: &'a str,
    /// Address of the fiche on the site, when it still stands.
    pub fiche: Option<&'a str>,
    /// « 2026-K7M2-QX4D-3 ».
    pub reference: &'a str,
    /// When it was received, in words and for `datetime`.
    pub received: (String, String),
    /// « Prise en charge ».
    pub state: &'a str,
    /// What has just happened.
    pub notices: Vec<Notice>,
    /// Where it stands, in plain words.
    pub summary: Vec<String>,
    /// What is awaited, and until when.
    pub missing: Option<(String, Vec<String>)>,
    /// The form by which it is completed, where it is posted, what was typed and refused.
    pub complement: Option<(&'a Form, String, &'a RawAnswers, &'a [FieldError])>,
    /// Newest first.
    pub events: Vec<Event>,
    /// The receipt given at reception.
    pub receipt: &'a ReceiptDocument,
    /// Whether a mail holds the address of this page.
    pub mailed: bool,
    /// Where it can be cancelled.
    pub cancel: Option<String>,
    /// Whom to call.
    pub service: &'a ServiceContact,
}

/// What the page before cancelling says.
#[derive(Debug)]
pub struct Cancelling<'a> {
    /// Title of the démarche when it was sent.
    pub form_title: &'a str,
    /// « 2026-K7M2-QX4D-3 ».
    pub reference: &'a str,
    /// Where the button posts, and the follow-up page.
    pub urls: (String, String),
    /// What the form carries.
    pub hidden: Vec<(String, String)>,
    /// Whom to call.
    pub service: &'a ServiceContact,
}

/// What the mairie's page says.
#[derive(Debug)]
pub struct Acting<'a> {
    /// Title of the démarche.
    pub form_title: &'a str,
    /// « 2026-K7M2-QX4D-3 ».
    pub reference: &'a str,
    /// « Prise en charge ».
    pub state: &'a str,
    /// What has just happened.
    pub notices: Vec<Notice>,
    /// A letter that was not sent.
    pub unsent: Vec<String>,
    /// Facts.
    pub rows: Vec<(String, String)>,
    /// Label, hint and address of each action.
    pub actions: Vec<(&'static str, &'static str, String)>,
    /// Name, size and address of each file.
    pub files: Vec<(String, String, String)>,
    /// Newest first.
    pub events: Vec<Event>,
    /// What was sent.
    pub answers: &'a [Answer],
}

/// What the page of a letter says.
#[derive(Debug)]
pub struct Writing<'a> {
    /// « Accepter la demande ».
    pub title: &'a str,
    /// « Saisir la mairie – 2026-K7M2-QX4D-3 ».
    pub about: String,
    /// What sending does.
    pub intro: Vec<String>,
    /// Its questions, what was typed and refused.
    pub form: (&'a Form, &'a RawAnswers, &'a [FieldError]),
    /// Where it is posted, and the way back.
    pub urls: (String, String),
    /// What it carries.
    pub hidden: Vec<(String, String)>,
    /// What is added whatever is typed.
    pub added: Vec<String>,
    /// The service named below the signature.
    pub service: Vec<(String, String)>,
    /// Words on the button.
    pub button: &'a str,
}

/// What the page after an act says.
#[derive(Debug)]
pub struct Done<'a> {
    /// « La lettre est partie ».
    pub title: &'a str,
    /// What happens now.
    pub paragraphs: Vec<String>,
    /// Lines of the mairie.
    pub sender: Vec<String>,
    /// Lines of the person written to.
    pub recipient: Vec<String>,
    /// « Le Plantay, le 25 novembre 2026 ».
    pub place_and_date: String,
    /// What it is about.
    pub subject: String,
    /// The letter.
    pub letter: Vec<String>,
    /// Who signs.
    pub signature: Vec<String>,
    /// Whether nobody else brings the letter.
    pub is_to_print: bool,
    /// The page of the request.
    pub back: String,
}

impl Pages {
    /// The resident's page: where the request stands, what was written, what is awaited.
    pub fn follow(&self, told: &Following<'_>) -> String {
        let around = Surroundings::default();
        let errors: &[FieldError] = told.complement.as_ref().map_or(&[], |(.., errors)| errors);
        let view = FollowView {
            page: self.followed(told.form_title, told.fiche, "Suivre ma demande", !errors.is_empty()),
            demarche: link(told.form_title, told.fiche.map(|url| self.site_url(url))),
            reference: told.reference.into(),
            received: told.received.0.as_str().into(),
            received_iso: told.received.1.as_str().into(),
            state: french(told.state),
            notices: notices(&told.notices),
            summary: parts::texts(&told.summary),
            missing: told
                .missing
                .as_ref()
                .map(|(until, asked)| MissingView { until: until.as_str().into(), asked: parts::texts(asked) }),
            complement: told.complement.as_ref().map(|(form, url, raw, errors)| ComplementView {
                action_url: url.as_str().into(),
                groups: one_at_least(form::groups(form, &form.fields, &around, raw, errors)),
                errors: form::summary_of_errors(form, errors),
            }),
            timeline: timeline(&told.events),
            accuse: accuse(told.receipt),
            mailed: told.mailed,
            cancel_url: told.cancel.as_deref().map(Cow::from),
            contact: parts::service_contact(told.service),
        };
        self.page(&view, &view.page)
    }

    /// The page before cancelling.
    pub fn cancelling(&self, told: &Cancelling<'_>) -> String {
        let view = CancelView {
            page: self.followed(told.form_title, None, "Annuler ma demande ?", false),
            demarche: link(told.form_title, None),
            reference: told.reference.into(),
            paragraphs: vec![
                french("La mairie est prévenue et ne traite plus cette demande."),
                french(
                    "Vous ne pourrez pas revenir en arrière. Il faudra en envoyer une nouvelle si vous changez d'avis.",
                ),
            ],
            action_url: told.urls.0.as_str().into(),
            hidden: hidden(&told.hidden),
            back_url: told.urls.1.as_str().into(),
            contact: parts::service_contact(told.service),
        };
        self.page(&view, &view.page)
    }

    /// The mairie's page of a request.
    pub fn acting(&self, told: &Acting<'_>) -> String {
        let view = ActPageView {
            page: self.of_mairie(told.form_title, false),
            reference: told.reference.into(),
            state: french(told.state),
            notices: notices(&told.notices),
            unsent: parts::texts(&told.unsent),
            rows: rows(&told.rows),
            actions: told
                .actions
                .iter()
                .map(|(label, hint, url)| ActCardView {
                    label: french(label),
                    hint: french(hint),
                    url: url.as_str().into(),
                })
                .collect(),
            files: told
                .files
                .iter()
                .map(|(name, size, url)| ActCardView {
                    label: name.as_str().into(),
                    hint: french(size),
                    url: url.as_str().into(),
                })
                .collect(),
            timeline: timeline(&told.events),
            answers: form::answer_groups(told.answers),
        };
        self.page(&view, &view.page)
    }

    /// The mairie's letter, ready to change and send.
    pub fn writing(&self, told: &Writing<'_>) -> String {
        let (form, raw, errors) = told.form;
        let around = Surroundings::default();
        let view = LetterFormView {
            page: self.of_mairie(told.title, !errors.is_empty()),
            about: french(&told.about),
            intro: parts::texts(&told.intro),
            action_url: told.urls.0.as_str().into(),
            hidden: hidden(&told.hidden),
            groups: hiding_secrets(form::groups(form, &form.fields, &around, raw, errors)),
            errors: form::summary_of_errors(form, errors),
            added: parts::texts(&told.added),
            service: rows(&told.service),
            submit_label: french(told.button),
            back_url: told.urls.1.as_str().into(),
        };
        self.page(&view, &view.page)
    }

    /// What an agent has just done, and the letter to print.
    pub fn done(&self, told: &Done<'_>) -> String {
        let view = DoneView {
            page: self.of_mairie(told.title, false),
            paragraphs: parts::texts(&told.paragraphs),
            sender: parts::texts(&told.sender),
            recipient: parts::texts(&told.recipient),
            place_and_date: french(&told.place_and_date),
            subject: french(&told.subject),
            letter: parts::texts(&told.letter),
            signature: parts::texts(&told.signature),
            is_to_print: told.is_to_print,
            back_url: told.back.as_str().into(),
        };
        self.page(&view, &view.page)
    }

    /// A page of the resident, below the démarche.
    fn followed<'a>(&self, form_title: &'a str, fiche: Option<&str>, title: &'a str, refused: bool) -> PageView<'a> {
        let mut page = self.page_view(title);
        let fiche = Crumb { label: french(form_title), url: fiche.map(|url| self.site_url(url).into()) };
        page.breadcrumb.insert(1, fiche);
        if refused {
            page.head_title = format!("Erreur\u{a0}: {}", page.head_title).into();
        }
        page
    }

    /// A page of the mairie: it stands nowhere in the site.
    pub(super) fn of_mairie<'a>(&self, title: &'a str, refused: bool) -> PageView<'a> {
        let mut page = self.page_view(title);
        page.breadcrumb.clear();
        if refused {
            page.head_title = format!("Erreur\u{a0}: {}", page.head_title).into();
        }
        page
    }
}

/// A secret is not shown to whoever stands at the counter.
fn hiding_secrets(mut groups: Vec<FieldGroup<'_>>) -> Vec<FieldGroup<'_>> {
    let fields = groups.iter_mut().flat_map(|group| &mut group.fields);
    fields.filter(|field| field.autocomplete.as_deref() == Some("current-password")).for_each(|field| {
        field.input_type = "password".into();
    });
    groups
}

/// One answer is enough, whichever: « facultatif » said of each would be untrue of all.
fn one_at_least(mut groups: Vec<FieldGroup<'_>>) -> Vec<FieldGroup<'_>> {
    groups.iter_mut().flat_map(|group| &mut group.fields).for_each(|field| field.required = true);
    groups
}

fn link<'a>(label: &'a str, url: Option<String>) -> Link<'a> {
    parts::link(french(label), url.unwrap_or_default())
}

fn hidden(inputs: &[(String, String)]) -> Vec<HiddenField<'_>> {
    let input = |(name, value): &'_ (String, String)| -> (Text<'static>, Text<'static>) {
        (name.clone().into(), value.clone().into())
    };
    inputs.iter().map(input).map(|(name, value)| HiddenField { name, value }).collect()
}

fn rows(rows: &[(String, String)]) -> Vec<Row<'_>> {
    rows.iter().map(|(label, value)| Row { label: french(label), value: french(value) }).collect()
}

pub(super) fn notices(notices: &[Notice]) -> Vec<NoticeView<'_>> {
    let notice = notices.iter();
    notice
        .map(|notice| NoticeView {
            kind: notice.kind,
            title: french(&notice.title),
            paragraphs: parts::texts(&notice.paragraphs),
        })
        .collect()
}

fn timeline(events: &[Event]) -> Vec<TimelineView<'_>> {
    let event = events.iter();
    event
        .map(|event| TimelineView {
            date: event.date.as_str().into(),
            iso: event.iso.as_str().into(),
            title: french(&event.title),
            by: event.by.as_deref().map(french),
            letter: parts::texts(&event.letter),
            files: event.files.iter().map(|name| name.as_str().into()).collect(),
        })
        .collect()
}
