//! `mulot registre`: the register of processing, from the forms.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Exit, FolderArgs, missing_folder, report, resolved, territoire};
use crate::load::Territoire;
use crate::records;
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct RegistreArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Forme du registre : csv (tableur) ou md (texte)
    #[arg(
        long = "format",
        value_name = "FORMAT",
        default_value = "csv",
        hide_default_value = true,
        hide_possible_values = true
    )]
    format: Shape,
    /// Fichier à écrire (la sortie ordinaire s'il n'est pas donné) ; pour un territoire, dossier où mettre celui de chaque commune
    #[arg(long = "sortie", short = 's', value_name = "CHEMIN")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    Csv,
    Md,
}

pub(super) fn run(args: &RegistreArgs) -> Exit {
    let folder = &args.folder.folder;
    if let Some(exit) = missing_folder(folder) {
        return exit;
    }
    if Territoire::is_one(folder) {
        return all(args);
    }
    one(args, folder, args.output.as_deref())
}

/// The registers of all communes of a territoire, a file each in the folder that is asked for.
fn all(args: &RegistreArgs) -> Exit {
    let Some(output) = &args.output else {
        report::say("erreur : chaque commune a son registre : dites dans quel dossier les écrire");
        report::say("aide : mulot registre TERRITOIRE --sortie registres");
        return Exit::Fault;
    };
    let read = match territoire::read(&args.folder.folder) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    if let Err(error) = crate::fs::create_dir(output) {
        report::say(format!("erreur : {}", error.sentence()));
        return Exit::Machine;
    }
    let extension = match args.format {
        Shape::Csv => "csv",
        Shape::Md => "md",
    };
    let mut worst = Exit::Done;
    for member in &read.members {
        report::say(format!("── {} ──", member.name));
        let exit = one(args, &member.folder, Some(&output.join(format!("{}.{extension}", member.name))));
        if exit != Exit::Done && worst != Exit::Machine {
            worst = exit;
        }
    }
    worst
}

fn one(args: &RegistreArgs, folder: &Path, output: Option<&Path>) -> Exit {
    let Some((site, _)) = resolved(folder, args.folder.now()) else {
        report::say(format!("erreur : « {} » n'a pas de commune.toml utilisable", folder.display()));
        report::say("aide : mulot check DOSSIER dit ce qui ne va pas");
        return Exit::Fault;
    };
    let entries = records::entries(&site);
    let text = match args.format {
        Shape::Csv => records::csv(&entries).unwrap_or_default(),
        Shape::Md => records::markdown(&entries, &site.commune),
    };
    match output {
        None => report::give(text.trim_end()),
        Some(path) => {
            if let Err(error) = std::fs::write(path, &text) {
                report::say(format!(
                    "erreur : impossible d'écrire « {} » : {}",
                    path.display(),
                    crate::fs::cause(&error)
                ));
                report::say("aide : vérifiez le chemin et le droit d'y écrire");
                return Exit::Machine;
            }
        }
    }
    let sensitive: usize = entries.iter().map(|entry| entry.sensitive.len()).sum();
    report::say(format!("{} au registre", plural(entries.len() as u64, "formulaire ouvert", "formulaires ouverts")));
    if sensitive > 0 {
        report::say(format!(
            "{} à justifier : santé, croyances, origine… (RGPD, art. 9)",
            plural(sensitive as u64, "question sensible", "questions sensibles")
        ));
    }
    if site.commune.dpo.is_none() {
        report::say("le délégué à la protection des données n'est pas dit : clé dpo de commune.toml");
    }
    Exit::Done
}
