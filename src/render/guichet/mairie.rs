//! Pages a mailbox of the mairie opens from its mails: confirming it, judging what waits in quarantine.

use super::super::form;
use super::super::parts;
use super::super::view::{CodeView, HeldView, MailboxView, QuarantineView};
use super::dossier::{Notice, notices};
use super::{Pages, french};
use crate::model::submission::Answer;

/// What the page of a mailbox says.
#[derive(Debug, Default)]
pub struct Confirming {
    /// What has just happened.
    pub notices: Vec<Notice>,
    /// Why, and what to do.
    pub paragraphs: Vec<String>,
    /// Where the code is posted, when there is one to type.
    pub action_url: Option<String>,
    /// What is wrong with the code typed.
    pub error: Option<String>,
    /// Where another code is asked for.
    pub renew_url: Option<String>,
}

/// What the page of the quarantine says.
#[derive(Debug, Default)]
pub struct Judging {
    /// What has just happened.
    pub notices: Vec<Notice>,
    /// How it works.
    pub paragraphs: Vec<String>,
    /// What waits.
    pub items: Vec<Held>,
}

/// A request in quarantine, as the mairie judges it.
#[derive(Debug)]
pub struct Held {
    /// Title of the démarche.
    pub title: String,
    /// « 2026-K7M2-QX4D-3 ».
    pub reference: String,
    /// « 21 novembre 2026 à 20 h 15 ».
    pub received: String,
    /// When it leaves by itself, in the same words.
    pub leaves: String,
    /// The signs found.
    pub reasons: String,
    /// What was sent.
    pub answers: Vec<Answer>,
    /// Whether the code of the mairie is asked for, and what is wrong with the one typed.
    pub code: Option<Option<String>>,
    /// Where « let through » and « put aside » post.
    pub urls: (String, String),
}

impl Pages {
    /// The page of a mailbox: its code, or what it already is.
    pub fn mailbox(&self, title: &str, told: &Confirming) -> String {
        let view = MailboxView {
            page: self.of_mairie(title, told.error.is_some()),
            notices: notices(&told.notices),
            paragraphs: parts::texts(&told.paragraphs),
            action_url: told.action_url.as_deref().map(Into::into),
            error: told.error.as_deref().map(french),
            renew_url: told.renew_url.as_deref().map(Into::into),
        };
        self.page(&view, &view.page)
    }

    /// What waits in quarantine for a mailbox.
    pub fn quarantine(&self, title: &str, told: &Judging) -> String {
        let item = |held: &'_ Held| -> String { format!("bloc-{}", held.reference.to_lowercase()) };
        let view = QuarantineView {
            page: self.of_mairie(title, told.items.iter().any(|held| matches!(held.code, Some(Some(_))))),
            notices: notices(&told.notices),
            paragraphs: parts::texts(&told.paragraphs),
            items: told
                .items
                .iter()
                .map(|held| HeldView {
                    id: item(held).into(),
                    title: french(&held.title),
                    reference: held.reference.as_str().into(),
                    received: french(&held.received),
                    leaves: french(&held.leaves),
                    reasons: french(&held.reasons),
                    answers: form::answer_groups(&held.answers),
                    code: held.code.as_ref().map(|error| CodeView {
                        id: format!("code-{}", held.reference.to_lowercase()).into(),
                        error: error.as_deref().map(french),
                    }),
                    release_url: held.urls.0.as_str().into(),
                    aside_url: held.urls.1.as_str().into(),
                })
                .collect(),
        };
        self.page(&view, &view.page)
    }
}
