//! Views of the pages a mailbox of the mairie opens from its mails, besides those of a request.

use serde::Serialize;

use super::view::{PageView, SummaryGroup, Text};
use super::view_dossier::NoticeView;

/// `guichet/boite.html`: nothing is confirmed before the code is posted.
#[derive(Debug, Clone, Serialize)]
pub struct MailboxView<'a> {
    pub page: PageView<'a>,
    pub notices: Vec<NoticeView<'a>>,
    pub paragraphs: Vec<Text<'a>>,
    /// Where the code is posted; `None`: there is nothing to type.
    pub action_url: Option<Text<'a>>,
    /// What is wrong with the code typed.
    pub error: Option<Text<'a>>,
    /// Where another code is asked for.
    pub renew_url: Option<Text<'a>>,
}

/// `guichet/quarantaine.html`: what waits, to be let through or put aside.
#[derive(Debug, Clone, Serialize)]
pub struct QuarantineView<'a> {
    pub page: PageView<'a>,
    pub notices: Vec<NoticeView<'a>>,
    pub paragraphs: Vec<Text<'a>>,
    /// The one that waits longest first.
    pub items: Vec<HeldView<'a>>,
}

/// The input of the code of the mairie, `code_mairie`; what was typed never comes back.
#[derive(Debug, Clone, Serialize)]
pub struct CodeView<'a> {
    pub id: Text<'a>,
    pub error: Option<Text<'a>>,
}

/// A request in quarantine.
#[derive(Debug, Clone, Serialize)]
pub struct HeldView<'a> {
    /// Unique on the page: `bloc-2026-k7m2-qx4d-3`.
    pub id: Text<'a>,
    pub title: Text<'a>,
    pub reference: Text<'a>,
    /// « le 21 novembre 2026 à 20 h 15 ».
    pub received: Text<'a>,
    /// « le 23 novembre 2026 à 20 h 15 ».
    pub leaves: Text<'a>,
    /// « beaucoup de liens, envoi très rapide ».
    pub reasons: Text<'a>,
    pub answers: Vec<SummaryGroup<'a>>,
    /// The code of the mairie, when one is asked for.
    pub code: Option<CodeView<'a>>,
    /// Where each button posts.
    pub release_url: Text<'a>,
    pub aside_url: Text<'a>,
}
