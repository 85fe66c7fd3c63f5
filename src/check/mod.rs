//! Judges a finished site: what the law asks, what is stale, and every page as a visitor receives it.
//!
//! Rules give [`Diagnostic`]s; a page is told by the file it was written in. The contrast of the theme's tokens is judged
//! when the theme is read, by `render`.

mod legal;
mod pages;

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::output::Output;
use crate::model::site::Site;

/// Rules that need only the site: cheap, run by every build.
pub fn site(site: &Site) -> Vec<Diagnostic> {
    let mut diagnostics = legal::mentions(site);
    for content in &site.contents {
        if let Some(day) = content.review_before.filter(|day| *day <= site.today()) {
            diagnostics.push(
                Diagnostic::warning(
                    Code::Stale,
                    content.place.clone(),
                    format!("« {} » était à relire avant le {}", content.title, crate::text::dates::short_date(day)),
                )
                .hint("relisez la page, puis avancez revoir_avant et verifie_le"),
            );
        }
    }
    diagnostics
}

/// Rules on every page of the output: titles, headings, alternatives, links and anchors.
pub fn output(site: &Site, output: &Output) -> Vec<Diagnostic> {
    let places = site
        .contents
        .iter()
        .zip(&site.urls)
        .map(|(content, url)| (Output::path_of_url(url), Place::file(content.path.clone())))
        .collect();
    pages::judge(output, &places, &site.commune.domaine)
}
