//! `mulot migrate`: a folder of an earlier version, brought to the present one.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, report};
use crate::migrate::{self, MigrateError};
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct MigrateArgs {
    /// Dossier d'une commune ou d'un territoire (le dossier courant s'il n'est pas donné)
    #[arg(value_name = "DOSSIER", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Dit ce qui changerait, sans rien écrire
    #[arg(long = "essai")]
    dry_run: bool,
}

pub(super) fn run(args: &MigrateArgs) -> Exit {
    match migrated(&args.folder, args.dry_run) {
        Ok(()) => Exit::Done,
        Err(MigrateError::Fs(error)) => {
            report::say(format!("erreur : {}", error.sentence()));
            report::say(
                "aide : vérifiez le chemin et le droit d'y écrire, puis recommencez : ce qui est fait reste fait",
            );
            Exit::Machine
        }
        Err(error) => {
            report::say(format!("erreur : {error}"));
            if let MigrateError::Newer { .. } = error {
                report::say("aide : mettez Mulot à jour sur cette machine ; rien n'a été changé");
            }
            Exit::Fault
        }
    }
}

fn migrated(folder: &Path, dry_run: bool) -> Result<(), MigrateError> {
    let changes = migrate::plan(folder)?;
    if changes.is_empty() {
        report::give(format!("« {} » est à jour : rien à changer", folder.display()));
        return Ok(());
    }
    for change in &changes {
        report::give(format!("{} : {}", change.path, change.what.join(" ; ")));
    }
    let count = plural(changes.len() as u64, "fichier", "fichiers");
    if dry_run {
        report::give(format!("{count} à changer ; rien n'a été écrit (sans --essai, mulot migrate le fait)"));
        return Ok(());
    }
    migrate::apply(folder, &changes)?;
    report::give(format!("{count} mis à jour ; relisez-les, puis : mulot check {}", folder.display()));
    Ok(())
}
