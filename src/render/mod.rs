//! Draws a site: from the model to the bytes of every page, feed and small file.
//!
//! Pure: no file, clock, network or randomness. The same site, theme and pictures give the same bytes.
//!
//! 1. Header and footer are drawn once per section.
//! 2. Every page is drawn on its own, in parallel: its Markdown, its view, its template; it is given away and forgotten.
//! 3. Links to headings are verified once every page has told its own.
//! 4. Feeds, calendars, sitemap and the files that pages named join them.

mod assets;
mod feeds;
mod form;
pub mod guichet;
mod hours;
mod links;
mod markdown;
mod pages;
mod palette;
mod parts;
#[cfg(test)]
mod test_site;
#[cfg(test)]
mod tests;
mod theme;
// The names of the fields of a view say what they hold; where they do not, they are documented.
#[allow(missing_docs)]
pub mod view;
// As in `view`.
#[allow(missing_docs)]
mod view_dossier;
// As in `view`.
mod view_etat;
#[allow(missing_docs)]
mod view_mairie;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{self, Code, Diagnostic};
use crate::model::output::{Artifact, Pictures, Sink};
use crate::model::site::{ContentId, Site, Target};

pub use theme::{Theme, Uncolored};

/// What the pages say besides the site's own content.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Present under `mulot serve`.
    pub preview: Option<PreviewInfo>,
    /// « Mulot 0.1.0 ».
    pub generator: String,
}

/// What `mulot serve` adds to every page.
#[derive(Debug, Clone, Default)]
pub struct PreviewInfo {
    /// Address of the letterbox page.
    pub letterbox_url: String,
    /// Mails waiting there.
    pub letters: usize,
    /// Address of the diagnostics page.
    pub diagnostics_url: String,
    /// « 2 avertissements »; `None`: nothing to say.
    pub diagnostics: Option<String>,
    /// Address of the script that reloads the page; the theme's own when `None`.
    pub script_url: Option<String>,
}

/// Draws the whole site into `sink`.
///
/// The diagnostics are sorted and may hold errors, in which case what was drawn should not be published. Identical input
/// gives identical bytes.
pub fn output(
    site: &Site,
    theme: &Theme,
    pictures: &dyn Pictures,
    options: &Options,
    sink: Sink<'_>,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut edition = pages::Edition::new(site, theme, pictures, options, &mut diagnostics);
    let mut headings: BTreeMap<Option<ContentId>, Vec<(u8, String, String)>> = BTreeMap::new();
    let mut anchors = edition.form_anchors();
    let mut drawn = BTreeSet::new();
    for page in edition.pages(sink) {
        diagnostics.extend(page.diagnostics);
        anchors.extend(page.anchors);
        if let Some(target) = page.target {
            headings.insert(shown(target), page.headings);
        }
        drawn.insert(page.path);
    }
    verify_anchors(&headings, &anchors, &mut diagnostics);
    feeds::publish(&edition, &drawn, sink, &mut diagnostics);
    for (path, bytes) in theme.files() {
        let preview_only = theme.preview_script_url().is_some_and(|url| url[1..] == *path);
        if options.preview.is_some() || !preview_only {
            sink(path, Artifact::Bytes(bytes.clone()));
        }
    }
    edition.links.media.publish(sink);
    diagnostic::sort(&mut diagnostics);
    diagnostics
}

/// The content that a page shows; `None` for the home page.
fn shown(target: Target) -> Option<ContentId> {
    match target {
        Target::Page(id) => Some(id),
        Target::Home | Target::Hidden(_) => None,
    }
}

/// Says which links lead to a heading that its page does not have.
fn verify_anchors(
    headings: &BTreeMap<Option<ContentId>, Vec<(u8, String, String)>>,
    anchors: &[markdown::AnchorLink],
    diagnostics: &mut Vec<Diagnostic>,
) {
    for link in anchors {
        let Some(known) = headings.get(&shown(link.target)) else { continue };
        if known.iter().any(|(_, id, _)| *id == link.anchor) {
            continue;
        }
        let ids: Vec<&str> = known.iter().map(|(_, id, _)| id.as_str()).collect();
        let hint = match (links::nearest(&link.anchor, ids.iter().copied()), ids.is_empty()) {
            (Some(near), _) => format!("vouliez-vous dire « #{near} » ?"),
            (None, true) => "cette page n'a pas d'intertitre : retirez ce qui suit « # »".to_owned(),
            (None, false) => format!("intertitres de cette page : {}", ids.join(", ")),
        };
        diagnostics.push(
            Diagnostic::error(
                Code::DeadAnchor,
                link.place.clone(),
                format!("aucun intertitre « #{} » au bout de ce lien", link.anchor),
            )
            .hint(hint),
        );
    }
}
