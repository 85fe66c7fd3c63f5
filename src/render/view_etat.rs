//! What the page of a territoire shows: all its words, ready to be read.

use serde::Serialize;

use super::view::Text;

/// `etat.html`.
#[derive(Debug, Clone, Serialize)]
pub struct OverviewView<'a> {
    /// « Communauté de communes de la Dombes ».
    pub title: Text<'a>,
    /// « Tout va bien. », « 2 communes à regarder. ».
    pub summary: String,
    /// Whether nothing calls for a person.
    pub in_order: bool,
    /// « 26 novembre 2026 à 14 h 05 ».
    pub seen: String,
    /// Communes that call for a person.
    pub to_see: Vec<ToSee>,
    /// « 36 communes ».
    pub caption: String,
    /// All communes.
    pub rows: Vec<OverviewRow>,
    /// « M0701 dans 12 communes : une mention que la loi demande manque ».
    pub rules: Vec<String>,
    /// « 79 Go libres pour /var/lib/mulot », « https://s3.exemple.fr/seau répond ».
    pub machine: Vec<String>,
}

/// Why a commune calls for a person.
#[derive(Debug, Clone, Serialize)]
pub struct ToSee {
    /// Its name.
    pub name: String,
    /// A sentence each.
    pub words: Vec<String>,
}

/// A line of the table; « – » where there is nothing to say.
#[derive(Debug, Clone, Serialize)]
pub struct OverviewRow {
    /// Name of the commune.
    pub name: String,
    /// « construit le 26 novembre », « refusé ».
    pub site: String,
    /// Day of the last publication.
    pub published: String,
    /// Errors and warnings of its content.
    pub to_mend: String,
    /// Contents to be read again.
    pub stale: String,
    /// Requests received.
    pub received: String,
    /// Requests neither answered nor closed.
    pub open: String,
    /// Of them, those that are late.
    pub late: String,
    /// Mails that are stuck.
    pub stuck: String,
    /// Requests that wait for somebody to look at them.
    pub quarantine: String,
    /// Day its certificate ends.
    pub certificate: String,
    /// Day of the last backup.
    pub backup: String,
    /// Whether it calls for a person.
    pub wrong: bool,
}
