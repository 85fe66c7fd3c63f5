//! `mulot migrate`: a folder of an earlier version, or the databases of a guichet, brought to the present one.

use std::path::{Path, PathBuf};

use clap::Args;

use super::faults::store_fault;
use super::place::{DataPlace, Places};
use super::{Exit, report};
use crate::intake::backup::is_inside;
use crate::intake::store::{Format, Store, StoreError};
use crate::migrate::{self, MigrateError};
use crate::model::commune::Commune;
use crate::model::territoire::Territoire;
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct MigrateArgs {
    /// Dossier d'une commune ou d'un territoire (le dossier courant s'il n'est pas donné), ou guichet.toml
    #[arg(value_name = "DOSSIER", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Avec guichet.toml : copie d'abord les données telles qu'elles sont, dans ce dossier qui n'existe pas encore
    #[arg(long = "sauvegarde", value_name = "DOSSIER", conflicts_with_all = ["dry_run", "without_copy"])]
    copy: Option<PathBuf>,
    /// Avec guichet.toml : met les bases à jour sans copie, parce qu'il y en a déjà une
    #[arg(long = "sans-sauvegarde", conflicts_with = "dry_run")]
    without_copy: bool,
    /// Avec guichet.toml : une seule commune d'un territoire, le nom de son dossier (sans cette option : toutes)
    #[arg(long = "commune", value_name = "NOM")]
    commune: Option<String>,
    /// Dit ce qui changerait, sans rien écrire
    #[arg(long = "essai")]
    dry_run: bool,
}

pub(super) fn run(args: &MigrateArgs) -> Exit {
    if is_guichet(&args.folder) {
        return bases(args);
    }
    if args.copy.is_some() || args.without_copy || args.commune.is_some() {
        report::say("erreur : --sauvegarde, --sans-sauvegarde et --commune vont avec les bases d'un guichet");
        report::say(
            "aide : donnez sa configuration : mulot migrate guichet.toml ; un dossier de textes se sauvegarde comme les autres",
        );
        return Exit::Fault;
    }
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
            match error {
                MigrateError::Newer { .. } => {
                    report::say("aide : mettez Mulot à jour sur cette machine ; rien n'a été changé");
                }
                MigrateError::NotAFolder(folder) if holds_bases(&folder) => report::say(
                    "aide : ce sont les données d'un guichet : donnez sa configuration : mulot migrate chemin/vers/guichet.toml",
                ),
                MigrateError::NotAFolder(_) => {
                    report::say("aide : donnez le dossier de commune.toml ou de territoire.toml, ou guichet.toml");
                }
                _ => {}
            }
            Exit::Fault
        }
    }
}

/// Whether that is the configuration of a guichet, or a folder of its data.
fn is_guichet(path: &Path) -> bool {
    let is_content = path.ends_with(Commune::FILE) || path.ends_with(Territoire::FILE);
    let is_config = !is_content && !path.is_dir() && path.extension().is_some_and(|extension| extension == "toml");
    is_config || Store::is_in(path)
}

/// Whether that is the data folder of a territoire: one folder, with its database, for each commune.
fn holds_bases(folder: &Path) -> bool {
    let inside = crate::fs::folders(folder).unwrap_or_default();
    inside.iter().any(|name| Store::is_in(&folder.join(name)))
}

/// Brings the databases of a guichet to the present format, or only says which would change.
fn bases(args: &MigrateArgs) -> Exit {
    if !args.folder.exists() {
        report::say(format!("erreur : « {} » n'existe pas", args.folder.display()));
        report::say("aide : donnez la configuration du guichet : mulot migrate chemin/vers/guichet.toml");
        return Exit::Fault;
    }
    let places = match DataPlace::find(&args.folder, args.commune.as_deref(), "mulot migrate") {
        Ok(Places::One(place)) => vec![*place],
        Ok(Places::All(places)) => places,
        Err(exit) => return exit,
    };
    if let Some(copy) = &args.copy
        && let Some(data) = places.iter().map(DataPlace::whole).find(|data| is_inside(copy, data))
    {
        report::say(format!(
            "erreur : « {} » est dans « {} », que la copie doit protéger",
            copy.display(),
            data.display()
        ));
        report::say("aide : donnez un dossier hors de celui-ci, sur un autre disque si possible");
        return Exit::Fault;
    }
    let mut old = Vec::new();
    let mut worst = Exit::Done;
    for place in places {
        let name = named(&place);
        match Store::format(&place.data, &place.beside()) {
            Ok(format) if format.is_old() => {
                report::give(format!("{name} : format {}, à mettre au format {}", format.found, format.known));
                old.push((place, format));
            }
            Ok(format) => report::give(format!("{name} : format {}, à jour", format.known)),
            Err(StoreError::Absent { .. }) => report::give(format!("{name} : aucune demande encore")),
            Err(error) => {
                report::say(format!("{name} :"));
                worst = worst.max(store_fault(&error));
            }
        }
    }
    let count = plural(old.len() as u64, "base", "bases");
    if old.is_empty() {
        if worst == Exit::Done {
            let copied = args.copy.as_ref().map_or("", |_| " : aucune copie n'a été faite");
            report::give(format!("Rien à changer{copied}"));
        }
        return worst;
    }
    if args.dry_run {
        report::give(format!("{count} à mettre à jour ; rien n'a été écrit (sans --essai, mulot migrate le fait)"));
        return worst;
    }
    if args.copy.is_none() && !args.without_copy {
        report::say(format!("erreur : {count} à mettre à jour, et aucune copie n'est demandée : rien n'a été changé"));
        report::say(
            "aide : une base mise à jour ne se relit plus avec le Mulot d'avant. Ajoutez --sauvegarde DOSSIER pour garder d'abord les \
             données telles qu'elles sont, ou --sans-sauvegarde si vous avez déjà une copie",
        );
        return Exit::Fault;
    }
    let alone = old.iter().find_map(|(place, _)| place.hall.as_deref()).map(Store::alone_under).transpose();
    if let Err(error) = &alone {
        return match error {
            StoreError::Locked { .. } => {
                report::say("erreur : un guichet sert ces communes : rien n'a été changé");
                report::say(
                    "aide : arrêtez-le (systemctl stop mulot-accueil mulot-courrier, ou mulot), puis recommencez",
                );
                Exit::Fault
            }
            error => store_fault(error),
        };
    }
    for (place, format) in &old {
        worst = worst.max(upgraded(args, place, *format));
    }
    if args.copy.is_some() && worst == Exit::Done {
        report::say(
            "La clé n'est pas dans la copie ; supprimez cette copie quand tout va bien : la purge n'y passe pas.",
        );
    }
    worst
}

/// Copies one base, opens it, which brings it to the present format, and reads it all.
fn upgraded(args: &MigrateArgs, place: &DataPlace, format: Format) -> Exit {
    let name = named(place);
    let said = |error: &StoreError| {
        report::say(format!("{name} :"));
        if let StoreError::Locked { .. } = error {
            report::say("erreur : son guichet travaille : rien n'y a été changé");
            report::say("aide : arrêtez-le (systemctl stop mulot-accueil mulot-courrier), puis recommencez");
            return Exit::Fault;
        }
        store_fault(error)
    };
    if let Some(copy) = &args.copy {
        if let Some(base) = place.base() {
            report::say(format!(
                "erreur : {name} : « {} » est sur un serveur, que cette commande ne copie pas",
                base.name()
            ));
            report::say("aide : copiez-la avec pg_dump, puis recommencez avec --sans-sauvegarde");
            return Exit::Fault;
        }
        let inside = place.commune.as_ref().map_or_else(|| copy.clone(), |commune| copy.join(commune));
        if let Err(error) = Store::keep_as_it_is(&place.data, &inside) {
            return said(&error);
        }
        report::give(format!("{name} : données copiées dans « {} »", inside.display()));
    }
    let checked = Store::open(&place.data, place.beside())
        .and_then(|store| Ok((store.integrity()?, store.damaged()?, store.counts()?.submissions)));
    match checked {
        Ok((wrong, damaged, submissions)) => {
            let count = plural(submissions, "demande", "demandes");
            report::give(format!("{name} : mise du format {} au format {}, {count}", format.found, format.known));
            if wrong.is_empty() && damaged.is_empty() {
                return Exit::Done;
            }
            report::say(format!(
                "avertissement : {name} : {} ne se relit pas",
                plural(damaged.len().max(1) as u64, "demande", "demandes")
            ));
            report::say("aide : mulot demandes dit lesquelles ; ne supprimez pas la copie");
            Exit::Fault
        }
        Err(error) => said(&error),
    }
}

/// What a base is called: its commune, or its folder.
fn named(place: &DataPlace) -> String {
    let folder =
        || place.data.file_name().map_or_else(|| "données".to_owned(), |name| name.to_string_lossy().into_owned());
    place.commune.clone().unwrap_or_else(folder)
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
