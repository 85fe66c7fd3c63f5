//! `mulot build`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::report::{self, Format, FormatArgs};
use super::territoire::{self, Order};
use super::{Exit, FolderArgs, day_note, generator, missing_folder, picture_cache};
use crate::diagnostic::Diagnostic;
use crate::fleet::{self, Outcome};
use crate::fs::FsError;
use crate::load::Territoire;
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
    #[command(flatten)]
    report: FormatArgs,
    /// Pour un territoire : construire aussi les communes où rien n'a changé
    #[arg(long = "tout")]
    anew: bool,
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
    if Territoire::is_one(folder) {
        return territoire::build(&Order {
            folder,
            sites: args.output.clone(),
            now: args.folder.now(),
            format: args.report.format,
            anew: args.anew,
            details: false,
        });
    }
    let started = Instant::now();
    let done = match Territoire::above(folder).filter(|_| args.output.is_none()) {
        Some(root) => member(args, &root),
        None => commune(args),
    };
    let done = match done {
        Ok(done) => done,
        Err(exit) => return exit,
    };
    let duration = started.elapsed();
    match args.report.format {
        Format::Json => {
            let counts = done.written.unwrap_or_default();
            let told = Report {
                ecrit: done.written.is_some(),
                sortie: done.dest.display().to_string(),
                fichiers: counts.files,
                octets: counts.bytes,
                changes: counts.changed,
                supprimes: counts.removed,
                duree_ms: duration.as_millis(),
                diagnostics: &done.diagnostics,
            };
            report::give(serde_json::to_string_pretty(&told).unwrap_or_default());
        }
        Format::Text => {
            let drawn = report::text(&done.diagnostics, folder, report::colour(&std::io::stdout()));
            if !drawn.is_empty() {
                report::give(drawn.trim_end());
                report::give("");
            }
        }
    }
    conclude(&done, args, duration)
}

/// What a build gave: nothing is written when there are errors.
struct Done {
    dest: PathBuf,
    diagnostics: Vec<Diagnostic>,
    written: Option<Written>,
}

/// A commune that stands alone, or whose site is wanted somewhere else.
fn commune(args: &BuildArgs) -> Result<Done, Exit> {
    let folder = &args.folder.folder;
    let dest = args.output.clone().unwrap_or_else(|| beside(folder));
    let pictures = picture_cache();
    let request = BuildRequest {
        folder,
        base: &Base::embedded(),
        territoire: None,
        pictures: &pictures,
        now: args.folder.now(),
        options: crate::render::Options { preview: None, generator: generator() },
    };
    match pipeline::publish(&request, &dest, folder) {
        Ok((built, written)) => Ok(Done { dest, diagnostics: built.diagnostics, written }),
        Err(error @ (WriteError::InsideSource(_) | WriteError::NotOurs(_))) => {
            report::say(format!("erreur : {error}"));
            report::say("aide : choisissez un autre dossier : mulot build --sortie DIR");
            Err(Exit::Fault)
        }
        Err(WriteError::Fs(error)) if is_gone(&error) => Err(gone(&error.sentence())),
        Err(WriteError::Fs(error)) => Err(machine(&error.sentence())),
    }
}

/// A commune of a territoire: its site goes with the others'.
fn member(args: &BuildArgs, root: &Path) -> Result<Done, Exit> {
    let folder = &args.folder.folder;
    let read = territoire::read(root)?;
    let name = folder.canonicalize().ok().and_then(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()));
    let Some(member) = read.members.iter().find(|member| Some(&member.name) == name.as_ref()) else {
        report::say(format!("erreur : « {} » est mis de côté par territoire.toml (active = false)", folder.display()));
        report::say("aide : retirez cette ligne, ou construisez la commune ailleurs : mulot build --sortie DIR");
        return Err(Exit::Fault);
    };
    let sites = fleet::sites_of(&read.territoire);
    territoire::refuse_inside(&sites, &read.territoire.root)?;
    let _lock = territoire::lock(&sites)?;
    let tools = territoire::Tools::new();
    let line = fleet::build_alone(&tools.request(&read.territoire, &sites, args.folder.now()), member);
    let dest = fleet::site_of(&sites, &member.name);
    match line.outcome {
        Outcome::Built(written) => Ok(Done { dest, diagnostics: line.diagnostics, written: Some(written) }),
        Outcome::Failed(sentence) => Err(machine(&sentence)),
        Outcome::Refused | Outcome::Unchanged => Ok(Done { dest, diagnostics: line.diagnostics, written: None }),
    }
}

fn machine(sentence: &str) -> Exit {
    report::say(format!("erreur : {sentence}"));
    report::say(
        "aide : vérifiez la place libre sur le disque et le droit d'écrire à cet endroit, puis relancez ; le site en place n'a pas bougé",
    );
    Exit::Machine
}

fn is_gone(error: &FsError) -> bool {
    error.action == "lire" && error.source.kind() == std::io::ErrorKind::NotFound
}

/// A file of the folder that was there when it was listed, and not when it was copied.
fn gone(sentence: &str) -> Exit {
    report::say(format!("erreur : {sentence}"));
    report::say(
        "aide : ce fichier a changé pendant la construction : relancez la commande ; le site en place n'a pas bougé",
    );
    Exit::Machine
}

fn conclude(done: &Done, args: &BuildArgs, duration: std::time::Duration) -> Exit {
    let summary = report::summary(&done.diagnostics);
    // Under JSON the report is data alone: the sentence goes beside it.
    let tell = |line: String| match args.report.format {
        Format::Text => report::give(line),
        Format::Json => report::say(line),
    };
    let Some(written) = done.written else {
        tell(format!("{summary} : rien n'a été écrit, le site en place reste ce qu'il était"));
        return Exit::Fault;
    };
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
        done.dest.display(),
        day_note(&args.folder),
        plural(written.files as u64, "fichier", "fichiers"),
        file_size(written.bytes),
        duration.as_millis(),
    ));
    Exit::Done
}

/// `../saint-mulot-public` for `saint-mulot`: beside the folder, never in it.
pub(super) fn beside(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().map_or_else(|| "site".into(), |name| name.to_string_lossy().into_owned());
    folder.with_file_name(format!("{name}-public"))
}
