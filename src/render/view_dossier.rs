//! Views of the pages that follow a request: the resident's, and those by which the mairie acts.

use serde::Serialize;

use super::view::{
    AccuseView, ContactView, FieldGroup, FormError, HiddenField, Link, MessageKind, PageView, Row, SummaryGroup, Text,
};

/// `guichet/suivi.html`.
#[derive(Debug, Clone, Serialize)]
pub struct FollowView<'a> {
    pub page: PageView<'a>,
    /// Title of the démarche; its address is empty when the fiche is gone.
    pub demarche: Link<'a>,
    pub reference: Text<'a>,
    /// « le samedi 21 novembre 2026 à 20 h 15 (heure de Paris) ».
    pub received: Text<'a>,
    /// The same for `datetime`.
    pub received_iso: Text<'a>,
    /// « Prise en charge ».
    pub state: Text<'a>,
    /// What has just happened, or what went wrong.
    pub notices: Vec<NoticeView<'a>>,
    /// Where it stands, in plain words; the date of a decision by silence.
    pub summary: Vec<Text<'a>>,
    pub missing: Option<MissingView<'a>>,
    pub complement: Option<ComplementView<'a>>,
    /// Newest first.
    pub timeline: Vec<TimelineView<'a>>,
    /// The receipt, to print again; nothing in it was typed.
    pub accuse: AccuseView<'a>,
    /// Whether a mail holds the address of this page.
    pub mailed: bool,
    pub cancel_url: Option<Text<'a>>,
    pub contact: ContactView<'a>,
}

/// A word at the top of a page.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeView<'a> {
    pub kind: MessageKind,
    pub title: Text<'a>,
    pub paragraphs: Vec<Text<'a>>,
}

/// What the mairie awaits.
#[derive(Debug, Clone, Serialize)]
pub struct MissingView<'a> {
    /// « 25 décembre 2026 ».
    pub until: Text<'a>,
    pub asked: Vec<Text<'a>>,
}

/// The form by which a resident completes a request.
#[derive(Debug, Clone, Serialize)]
pub struct ComplementView<'a> {
    pub action_url: Text<'a>,
    pub groups: Vec<FieldGroup<'a>>,
    pub errors: Vec<FormError<'a>>,
}

/// One event.
#[derive(Debug, Clone, Serialize)]
pub struct TimelineView<'a> {
    /// « 25 novembre 2026 à 9 h ».
    pub date: Text<'a>,
    /// For `datetime`.
    pub iso: Text<'a>,
    pub title: Text<'a>,
    /// « Claire Denis, secrétaire de mairie ».
    pub by: Option<Text<'a>>,
    /// What was written, paragraph by paragraph.
    pub letter: Vec<Text<'a>>,
    /// Names of the files added.
    pub files: Vec<Text<'a>>,
}

/// `guichet/annuler.html`: nothing is cancelled before its button is pressed.
#[derive(Debug, Clone, Serialize)]
pub struct CancelView<'a> {
    pub page: PageView<'a>,
    pub demarche: Link<'a>,
    pub reference: Text<'a>,
    pub paragraphs: Vec<Text<'a>>,
    pub action_url: Text<'a>,
    pub hidden: Vec<HiddenField<'a>>,
    pub back_url: Text<'a>,
    pub contact: ContactView<'a>,
}

/// `guichet/agir.html`: a request seen by the mairie, and what can be done.
#[derive(Debug, Clone, Serialize)]
pub struct ActPageView<'a> {
    pub page: PageView<'a>,
    pub reference: Text<'a>,
    pub state: Text<'a>,
    pub notices: Vec<NoticeView<'a>>,
    /// A letter that could not be sent, so that it is not lost.
    pub unsent: Vec<Text<'a>>,
    /// Reference, reception, who writes, deadline.
    pub rows: Vec<Row<'a>>,
    /// Empty once the request is closed.
    pub actions: Vec<ActCardView<'a>>,
    /// Name, size and address of each file.
    pub files: Vec<ActCardView<'a>>,
    /// Newest first.
    pub timeline: Vec<TimelineView<'a>>,
    pub answers: Vec<SummaryGroup<'a>>,
}

/// One thing that can be done.
#[derive(Debug, Clone, Serialize)]
pub struct ActCardView<'a> {
    pub label: Text<'a>,
    pub hint: Text<'a>,
    pub url: Text<'a>,
}

/// `guichet/agir_lettre.html`: a ready letter, to change and send.
#[derive(Debug, Clone, Serialize)]
pub struct LetterFormView<'a> {
    pub page: PageView<'a>,
    /// « Saisir la mairie – 2026-K7M2-QX4D-3 ».
    pub about: Text<'a>,
    /// What sending does.
    pub intro: Vec<Text<'a>>,
    pub action_url: Text<'a>,
    pub hidden: Vec<HiddenField<'a>>,
    pub groups: Vec<FieldGroup<'a>>,
    pub errors: Vec<FormError<'a>>,
    /// What is added to the letter whatever is typed.
    pub added: Vec<Text<'a>>,
    /// The service that is named below the signature.
    pub service: Vec<Row<'a>>,
    /// « Envoyer la lettre ».
    pub submit_label: Text<'a>,
    pub back_url: Text<'a>,
}

/// `guichet/agir_fait.html`: what was done, and the letter to print.
#[derive(Debug, Clone, Serialize)]
pub struct DoneView<'a> {
    pub page: PageView<'a>,
    pub paragraphs: Vec<Text<'a>>,
    /// The sheet: from whom, to whom, when.
    pub sender: Vec<Text<'a>>,
    pub recipient: Vec<Text<'a>>,
    /// « Le Plantay, le 25 novembre 2026 ».
    pub place_and_date: Text<'a>,
    pub subject: Text<'a>,
    pub letter: Vec<Text<'a>>,
    pub signature: Vec<Text<'a>>,
    /// The guichet sends no paper: the letter stands open when nobody else brings it.
    pub is_to_print: bool,
    pub back_url: Text<'a>,
}
