//! `mulot check`.

use clap::Args;
use serde::Serialize;

use super::report::{self, Format, FormatArgs};
use super::territoire::{self, Order};
use super::{Exit, FolderArgs, day_note, generator, missing_folder, picture_cache};
use crate::diagnostic::{self, Diagnostic};
use crate::load::Territoire;
use crate::pipeline::{self, Base, BuildRequest};

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    report: FormatArgs,
    /// Pour un territoire : tout dire de chaque commune, et pas seulement ses erreurs
    #[arg(long)]
    details: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    conforme: bool,
    resume: String,
    diagnostics: &'a [Diagnostic],
}

pub(super) fn run(args: &CheckArgs) -> Exit {
    let folder = &args.folder.folder;
    if let Some(exit) = missing_folder(folder) {
        return exit;
    }
    if Territoire::is_one(folder) {
        return territoire::check(&Order {
            folder,
            sites: None,
            now: args.folder.now(),
            format: args.report.format,
            anew: true,
            details: args.details,
        });
    }
    let pictures = picture_cache();
    let built = pipeline::check(&BuildRequest {
        folder,
        base: &Base::embedded(),
        territoire: None,
        pictures: &pictures,
        now: args.folder.now(),
        options: crate::render::Options { preview: None, generator: generator() },
    });
    let diagnostics = &built.diagnostics;
    let wrong = diagnostic::has_errors(diagnostics);
    let summary = report::summary(diagnostics);
    match args.report.format {
        Format::Json => {
            let told = Report { conforme: diagnostics.is_empty(), resume: summary, diagnostics };
            report::give(serde_json::to_string_pretty(&told).unwrap_or_default());
        }
        Format::Text => {
            let drawn = report::text(diagnostics, folder, report::colour(&std::io::stdout()));
            if !drawn.is_empty() {
                report::give(drawn.trim_end());
                report::give("");
            }
            let name =
                built.site.as_ref().map_or_else(|| folder.display().to_string(), |site| site.commune.names.nom.clone());
            report::give(match (diagnostics.is_empty(), wrong) {
                (true, _) => format!("{name}{} : rien à signaler", day_note(&args.folder)),
                (false, true) => {
                    format!("{name}{} : {summary} ; le site ne peut pas être construit ainsi", day_note(&args.folder))
                }
                (false, false) => format!("{name}{} : {summary} ; le site peut être construit", day_note(&args.folder)),
            });
        }
    }
    if wrong { Exit::Fault } else { Exit::Done }
}
