//! The only place that draws diagnostics for a terminal, or gives them as JSON.

use std::io::{IsTerminal, Write};
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Severity};
use crate::embedded;
use crate::load;
use crate::model::content::Layer;
use crate::model::territoire::Territoire;
use crate::text::numbers::plural;

/// How a report is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[value(name = "texte")]
    Text,
    /// For tools.
    #[value(name = "json")]
    Json,
}

/// How a command is asked for its report.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct FormatArgs {
    /// Forme du rapport : texte ou json
    #[arg(
        long = "format",
        value_name = "FORMAT",
        default_value = "texte",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(super) format: Format,
}

/// Draws diagnostics with the lines they are about.
///
/// Shape: one block a diagnostic (`erreur[M0302]: …`, place, excerpt, `aide: …`), readable without colour.
pub(super) fn text(diagnostics: &[Diagnostic], folder: &Path, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut drawn = String::new();
    for diagnostic in diagnostics {
        drawn.push_str(&block(diagnostic, folder, &renderer));
        drawn.push_str("\n\n");
    }
    drawn
}

fn block(diagnostic: &Diagnostic, folder: &Path, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Blank => Level::NOTE,
    };
    let level = level.with_name(diagnostic.severity.label());
    let title = level.primary_title(&diagnostic.message).id(diagnostic.code.as_str());
    let place = &diagnostic.place;
    let catalogued =
        || embedded::catalogue().find(|(path, _)| *path == place.file).map(|(_, bytes)| bytes.into_owned());
    let (layer, text) = load::source_of(folder, &place.file, catalogued).unwrap_or((Layer::Commune, String::new()));
    // What all communes of a territoire share does not stand in the commune's folder.
    let path = if layer == Layer::Territoire { Territoire::shared(&place.file) } else { place.file.clone() };
    let mut group = Group::with_title(title);
    match byte_range(&text, place.line, place.column, place.length) {
        Some(range) => {
            group = group.element(Snippet::source(&text).path(path).annotation(AnnotationKind::Primary.span(range)));
        }
        // What cannot be shown is named all the same.
        None if place.line > 0 => {
            group = group.element(annotate_snippets::Origin::path(format!("{path}:{}", place.line)))
        }
        None => group = group.element(annotate_snippets::Origin::path(path)),
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name("aide").message(hint));
    }
    renderer.render(&[group])
}

fn byte_range(text: &str, line: u32, column: u32, length: u32) -> Option<std::ops::Range<usize>> {
    if line == 0 {
        return None;
    }
    let mut start = 0;
    let mut lines = text.split_inclusive('\n');
    for _ in 1..line {
        start += lines.next()?.len();
    }
    let written = lines.next()?.trim_end_matches('\n');
    if column == 0 {
        return Some(start..start + written.len());
    }
    let offset = |count: u32| written.char_indices().nth(count as usize).map_or(written.len(), |(at, _)| at);
    let from = offset(column - 1);
    let until = offset(column - 1 + length).max(from);
    Some(start + from..start + until)
}

/// « 2 erreurs, 1 avertissement, 3 points à compléter »; empty when there is nothing to say.
pub(super) fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|told| told.severity == severity).count() as u64;
    let parts = [
        (count(Severity::Error), "erreur", "erreurs"),
        (count(Severity::Warning), "avertissement", "avertissements"),
        (count(Severity::Blank), "point à compléter", "points à compléter"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| plural(*count, one, many)).collect();
    told.join(", ")
}

/// Whether a stream shows colours.
pub(super) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Says one line to people, on standard error: progress, and why the command itself failed.
pub(super) fn say(line: impl AsRef<str>) {
    // A closed terminal is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
}

/// Gives a line of what was asked for, on standard output: reports, for people or for tools.
pub(super) fn give(data: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", data.as_ref());
}
