//! `mulot build`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::report::{self, Format};
use super::{Exit, FolderArgs, day_note, generator, missing_folder, picture_cache};
use crate::diagnostic::Diagnostic;
use crate::pipeline::{self, Base, BuildRequest};
use crate::text::numbers::{file_size, plural};
use crate::write::{WriteError, Written};

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct BuildArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Où écrire le site (à côté du dossier, sous le nom DOSSIER-public, si elle n'est pas donnée)
    #[arg(long = "sortie", short = 's', value_name = "DIR")]
    output: Option<PathBuf>,
    /// Forme du rapport : texte ou json
    #[arg(
        long = "format",
        value_name = "FORMAT",
        default_value = "texte",
        hide_default_value = true,
        hide_possible_values = true
    )]
    format: Format,
}

#[derive(Serialize)]
struct Report<'a> {
    ecrit: bool,
    sortie: String,
    fichiers: usize,
    octets: u64,
    changes: usize,
    supprimes: usize,
    duree_ms: u128,
    diagnostics: &'a [Diagnostic],
}

pub(super) fn run(args: &BuildArgs) -> Exit {
    let folder = &args.folder.folder;
    if let Some(exit) = missing_folder(folder) {
        return exit;
    }
    let started = Instant::now();
    let dest = args.output.clone().unwrap_or_else(|| beside(folder));
    let pictures = picture_cache();
    let request = BuildRequest {
        folder,
        base: &Base::embedded(),
        pictures: &pictures,
        now: args.folder.now(),
        options: crate::render::Options { preview: None, generator: generator() },
    };
    let (diagnostics, written) = match pipeline::publish(&request, &dest) {
        Ok((built, written)) => (built.diagnostics, Ok(written)),
        Err(error) => (Vec::new(), Err(error)),
    };
    let duration = started.elapsed();
    match args.format {
        Format::Json => {
            let done = written.as_ref().ok().copied().flatten();
            let counts = done.unwrap_or_default();
            let told = Report {
                ecrit: done.is_some(),
                sortie: dest.display().to_string(),
                fichiers: counts.files,
                octets: counts.bytes,
                changes: counts.changed,
                supprimes: counts.removed,
                duree_ms: duration.as_millis(),
                diagnostics: &diagnostics,
            };
            report::give(serde_json::to_string_pretty(&told).unwrap_or_default());
        }
        Format::Text => {
            let drawn = report::text(&diagnostics, folder, report::colour(&std::io::stdout()));
            if !drawn.is_empty() {
                report::give(drawn.trim_end());
                report::give("");
            }
        }
    }
    conclude(written, &dest, args, &diagnostics, duration)
}

fn conclude(
    written: Result<Option<Written>, WriteError>,
    dest: &Path,
    args: &BuildArgs,
    diagnostics: &[Diagnostic],
    duration: std::time::Duration,
) -> Exit {
    let summary = report::summary(diagnostics);
    // Under JSON the report is data alone: the sentence goes beside it.
    let tell = |line: String| match args.format {
        Format::Text => report::give(line),
        Format::Json => report::say(line),
    };
    match written {
        Ok(Some(written)) => {
            let changes = match (written.changed, written.removed) {
                (0, 0) => "rien n'a changé".to_owned(),
                (changed, 0) => plural(changed as u64, "fichier écrit", "fichiers écrits"),
                (changed, removed) => format!(
                    "{}, {}",
                    plural(changed as u64, "fichier écrit", "fichiers écrits"),
                    plural(removed as u64, "supprimé", "supprimés")
                ),
            };
            let with = if summary.is_empty() { String::new() } else { format!(" — {summary}") };
            tell(format!(
                "Site prêt dans « {} »{} : {}, {} ; {changes}, en {} ms{with}",
                dest.display(),
                day_note(&args.folder),
                plural(written.files as u64, "fichier", "fichiers"),
                file_size(written.bytes),
                duration.as_millis(),
            ));
            Exit::Done
        }
        Ok(None) => {
            tell(format!("{summary} : rien n'a été écrit, le site en place reste ce qu'il était"));
            Exit::Fault
        }
        Err(error @ (WriteError::InsideSource(_) | WriteError::NotOurs(_))) => {
            report::say(format!("erreur : {error}"));
            report::say("aide : choisissez un autre dossier : mulot build --sortie DIR");
            Exit::Fault
        }
        Err(WriteError::Fs(error)) => {
            report::say(format!("erreur : {}", error.sentence()));
            report::say(
                "aide : vérifiez la place libre sur le disque et le droit d'écrire à cet endroit ; le site en place n'a pas bougé",
            );
            Exit::Machine
        }
    }
}

/// `../saint-mulot-public` for `saint-mulot`: beside the folder, never in it.
pub(super) fn beside(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().map_or_else(|| "site".into(), |name| name.to_string_lossy().into_owned());
    folder.with_file_name(format!("{name}-public"))
}
