//! `mulot backup` and `mulot restore`: a copy of the guichet, and the way back.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::faults::{place_fault, store_fault};
use super::place::{DataPlace, Places, Standing, usual, zone_of};
use super::{Exit, communes, report};
use crate::fs::cause;
use crate::intake::backup::{BackupError, back_up, is_backup, is_inside, restore};
use crate::intake::files::FileTrouble;
use crate::intake::store::{Damage, Store, StoreError};
use crate::intake::token::{KEY_FILE, KeyError};
use crate::text::dates::{short_date, time};
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(
    help_template = super::usage::TEMPLATE,
    after_help = "La sauvegarde est chiffrée comme le dossier de données : sans la clé, elle ne peut pas être relue. Gardez donc la \
                  clé, mais ailleurs : qui vole les deux lit tout, qui perd la clé ne relit rien."
)]
pub(super) struct BackupArgs {
    /// Fichier de configuration du guichet, ou son dossier de données
    #[arg(long = "guichet", short = 'g', value_name = "CHEMIN")]
    guichet: Option<PathBuf>,
    /// Une seule commune d'un territoire : le nom de son dossier (sans cette option : toutes)
    #[arg(long = "commune", value_name = "NOM")]
    commune: Option<String>,
    /// Copie aussi la clé dans la sauvegarde : à réserver à une destination elle-même sous clé
    #[arg(long = "avec-la-cle")]
    with_key: bool,
    /// Dossier à créer pour cette sauvegarde
    #[arg(value_name = "DESTINATION")]
    destination: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    help_template = super::usage::TEMPLATE,
    after_help = "Ce qui attendait au moment de la sauvegarde est envoyé au prochain démarrage du guichet. Un message parti entre la \
                  sauvegarde et la panne part donc deux fois, avec le même identifiant."
)]
pub(super) struct RestoreArgs {
    /// Fichier de configuration du guichet, ou le dossier de données à remplir : vide, ou à créer
    #[arg(
        long = "guichet",
        short = 'g',
        value_name = "CHEMIN",
        default_value = "guichet.toml",
        hide_default_value = true
    )]
    guichet: PathBuf,
    /// Une seule commune d'un territoire : le nom de son dossier (sans cette option : toutes celles de la sauvegarde)
    #[arg(long = "commune", value_name = "NOM")]
    commune: Option<String>,
    /// La clé gardée à part, quand elle n'est pas dans la sauvegarde ; pour un territoire, un dossier qui a COMMUNE/cle
    #[arg(long = "cle", value_name = "FICHIER")]
    key: Option<PathBuf>,
    /// Dossier de la sauvegarde
    #[arg(value_name = "SAUVEGARDE")]
    backup: PathBuf,
}

pub(super) fn run_backup(args: &BackupArgs) -> Exit {
    match DataPlace::find(&usual(args.guichet.as_deref()), args.commune.as_deref(), "mulot backup") {
        Ok(Places::One(place)) => back_up_one(args, *place, &args.destination),
        Ok(Places::All(places)) => {
            let first = places.first();
            let data = first.filter(|place| place.base().is_none()).and_then(|place| place.hall.clone());
            let is_whole = places.iter().all(|place| place.standing != Standing::Unknown);
            let places = communes::with_data(places);
            // A disk that is not there, or a wrong path: a copy that was wanted was not made.
            if places.is_empty() && data.is_some_and(|data| !data.exists()) {
                report::say("erreur : rien n'a été sauvegardé");
                return Exit::Fault;
            }
            if places.is_empty() {
                report::say("Aucune commune n'a encore reçu de demande : il n'y a rien à sauvegarder.");
                return Exit::Done;
            }
            let ended = communes::each(places, report::say, |place| {
                let inside = args.destination.join(place.commune.as_deref().unwrap_or_default());
                back_up_one(args, place, &inside)
            });
            let exit = conclude(&ended, ("sauvegardée", "sauvegardées"));
            if is_whole {
                return exit;
            }
            report::say(
                "erreur : le territoire ne peut pas être lu : il manque peut-être des communes à cette sauvegarde",
            );
            report::say("aide : corrigez territoire.toml, puis recommencez");
            communes::worse(exit, Exit::Fault)
        }
        Err(exit) => exit,
    }
}

/// Says for how many communes it was done, and names the others.
fn conclude(ended: &[(String, Exit)], (one, many): (&str, &str)) -> Exit {
    let failed: Vec<&str> =
        ended.iter().filter(|(_, exit)| *exit != Exit::Done).map(|(name, _)| name.as_str()).collect();
    let done = ended.len() - failed.len();
    report::say(match failed.as_slice() {
        [] => plural(done as u64, &format!("commune {one}"), &format!("communes {many}")),
        failed => format!(
            "{} sur {} ; à regarder, avec la raison plus haut : {}",
            plural(done as u64, &format!("commune {one}"), &format!("communes {many}")),
            ended.len(),
            failed.join(", ")
        ),
    });
    communes::worst(ended)
}

fn back_up_one(args: &BackupArgs, place: DataPlace, destination: &Path) -> Exit {
    // The folder of one commune lies beside those of the others: none of them is a place for a copy.
    let around = place.hall.as_deref().filter(|around| is_inside(destination, around));
    if around.is_some() {
        return fault(&BackupError::Inside { path: destination.to_owned() });
    }
    let store = match Store::open(&place.data, place.beside()) {
        Ok(store) => store,
        Err(error) => return place_fault(&place, &error),
    };
    let key = store.key_file();
    let copied = args.with_key.then_some(key);
    let files = match place.files(&store) {
        Ok(files) => files,
        Err(error) => return fault(&error.into()),
    };
    let done = match back_up((&store, &files), &place.data, destination, copied, Timestamp::now()) {
        Ok(done) => done,
        Err(error) => return fault(&error),
    };
    report::say(format!(
        "Sauvegarde faite dans « {} » : {}, {} ({} ko)",
        destination.display(),
        plural(done.submissions, "demande", "demandes"),
        plural(done.files as u64, "pièce jointe", "pièces jointes"),
        done.bytes.div_ceil(1024)
    ));
    report::say(if args.with_key {
        "La clé est dans la sauvegarde : qui la prend lit tout. Gardez cette sauvegarde sous clé.".to_owned()
    } else {
        format!(
            "La clé n'y est pas : gardez une copie de « {} » ailleurs ; sans elle, cette sauvegarde ne sert à rien.",
            key.display()
        )
    });
    if let Some(why) = &done.unjudged {
        report::say(format!(
            "avertissement : la copie est faite, mais ses fichiers n'ont pas pu être relus dans le seau : {why}"
        ));
        report::say("aide : quand le seau répond, mulot demandes reconcilier dit si l'un d'eux est abîmé");
    }
    troubles(&done.damaged, &done.troubles)
}

pub(super) fn run_restore(args: &RestoreArgs) -> Exit {
    let held = communes_of(&args.backup);
    match DataPlace::to_fill(&args.guichet, args.commune.as_deref(), "mulot restore") {
        Ok(Places::One(place)) => {
            // The copy of a whole territoire holds one folder for each of its communes.
            let name = place.commune.as_deref().or(args.commune.as_deref());
            let inside = name.map(|name| args.backup.join(name)).filter(|inside| inside.is_dir());
            if inside.is_none() && !held.is_empty() {
                return of_a_territoire(args, name, &held);
            }
            restore_one(args, inside.as_deref().unwrap_or(&args.backup), &place)
        }
        Ok(Places::All(_)) if is_backup(&args.backup) => {
            report::say(format!("erreur : « {} » est la sauvegarde d'une seule commune", args.backup.display()));
            report::say("aide : dites laquelle : --commune NOM");
            Exit::Fault
        }
        Ok(Places::All(places)) => {
            let known: Vec<&str> = places.iter().filter_map(|place| place.commune.as_deref()).collect();
            let strangers: Vec<&str> = held.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
            if !strangers.is_empty() {
                report::say(format!(
                    "avertissement : {} dans cette sauvegarde, et pas dans le territoire : rien n'en est remis",
                    strangers.join(", ")
                ));
                report::say(
                    "aide : pour une commune mise de côté : mulot restore --guichet DONNEES/NOM --cle SA_CLE SAUVEGARDE/NOM",
                );
            }
            let is_there = |place: &DataPlace| args.backup.join(place.commune.as_deref().unwrap_or_default()).is_dir();
            let places: Vec<DataPlace> = places.into_iter().filter(is_there).collect();
            if places.is_empty() {
                report::say(format!(
                    "erreur : « {} » ne contient la sauvegarde d'aucune commune",
                    args.backup.display()
                ));
                report::say("aide : donnez le dossier qu'a rempli mulot backup, ou une commune : --commune NOM");
                return Exit::Fault;
            }
            if args.key.as_ref().is_some_and(|key| !key.is_dir()) {
                report::say("erreur : chaque commune a sa clé : celle-ci n'en ouvre qu'une");
                report::say(
                    "aide : donnez le dossier où elles sont gardées, COMMUNE/cle : --cle DOSSIER ; ou une commune : --commune NOM",
                );
                return Exit::Fault;
            }
            let ended = communes::each(places, report::say, |place| {
                let inside = args.backup.join(place.commune.as_deref().unwrap_or_default());
                restore_one(args, &inside, &place)
            });
            conclude(&ended, ("remise", "remises"))
        }
        Err(exit) => exit,
    }
}

/// The communes of which a folder holds a copy each; none when it is the copy of one guichet.
fn communes_of(backup: &Path) -> Vec<String> {
    if is_backup(backup) {
        return Vec::new();
    }
    let folders = crate::fs::folders(backup).unwrap_or_default();
    folders.into_iter().filter(|name| is_backup(&backup.join(name))).collect()
}

/// The copy of a territoire, and nothing that says where the data of each commune go.
fn of_a_territoire(args: &RestoreArgs, name: Option<&str>, held: &[String]) -> Exit {
    let count = plural(held.len() as u64, "commune", "communes");
    report::say(match name {
        Some(name) => {
            format!("erreur : « {} » est la sauvegarde de {count}, et « {name} » n'en est pas", args.backup.display())
        }
        None => format!(
            "erreur : « {} » est la sauvegarde d'un territoire ({count}), et « {} » un seul dossier de données",
            args.backup.display(),
            args.guichet.display()
        ),
    });
    let some = held.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    report::say(format!(
        "aide : donnez la configuration du guichet du territoire (--guichet guichet.toml), ou une commune : --commune NOM ; \
         par exemple {some}"
    ));
    Exit::Fault
}

fn restore_one(args: &RestoreArgs, backup: &Path, place: &DataPlace) -> Exit {
    let name = place.commune.as_ref().or(args.commune.as_ref());
    let key = args.key.as_ref().map(|key| match (key.is_dir(), name) {
        (true, Some(name)) => key.join(name).join(KEY_FILE),
        _ => key.clone(),
    });
    let keys = (key.as_deref(), place.key_file.as_deref());
    let done = match restore(backup, &place.data, keys, (place.base(), place.bucket())) {
        Ok(done) => done,
        Err(error) => return no_restore(args, place, &error),
    };
    let made = done.made_at.to_zoned(zone_of(place.config.as_ref()));
    let waiting = done.counts.waiting + done.counts.sending;
    report::say(format!(
        "Sauvegarde du {} à {} remise dans « {} » : {}, {}",
        short_date(made.date()),
        time(made.time()),
        place.base().map_or_else(|| place.data.display().to_string(), |base| base.name().to_owned()),
        plural(done.counts.submissions, "demande", "demandes"),
        plural(done.files as u64, "pièce jointe", "pièces jointes")
    ));
    report::say(match waiting {
        0 => "Rien n'attendait d'être envoyé.".to_owned(),
        count => format!(
            "{} au prochain démarrage du guichet ; ce qui était déjà parti depuis la sauvegarde arrivera deux fois.",
            plural(count, "message partira", "messages partiront")
        ),
    });
    report::say(
        "Les demandes reçues après cette date ne sont pas ici : celles qui étaient déjà parties sont dans la boîte de la mairie.",
    );
    troubles(&done.damaged, &done.troubles)
}

/// Says why a copy is not brought back. A key is looked for where it was given, and one that is in place is never replaced.
fn no_restore(args: &RestoreArgs, place: &DataPlace, error: &BackupError) -> Exit {
    // That of one commune is a file; those of all, a folder.
    let is_one = args.commune.is_some() || place.commune.is_none();
    let option = if is_one { "--cle FICHIER" } else { "--cle DOSSIER, qui a COMMUNE/cle" };
    let own = place.data.join(KEY_FILE);
    let (what, hint) = match (error, wrong_key(error)) {
        (BackupError::KeyMissing { path }, _) => (
            format!("la clé n'est pas dans « {} »", path.display()),
            format!("donnez celle que vous avez gardée à part : {option}"),
        ),
        (_, Some(path)) => {
            let in_place = path == own || place.key_file.as_deref() == Some(path);
            let hint = match in_place {
                true => "remettez à cet endroit la clé qui va avec cette sauvegarde ; rien n'a été remis".to_owned(),
                false => format!("donnez la bonne clé : {option} ; rien n'a été remis en place"),
            };
            (format!("« {} » n'est pas la clé de cette sauvegarde", path.display()), hint)
        }
        (error, None) => return fault(error),
    };
    report::say(format!("erreur : {what}"));
    report::say(format!("aide : {hint}"));
    Exit::Fault
}

/// The file that is not the key of a copy, when that is what is wrong.
fn wrong_key(error: &BackupError) -> Option<&Path> {
    match error {
        BackupError::Store(StoreError::WrongKey { path }) => Some(path),
        BackupError::Store(StoreError::Key(error)) => match &**error {
            KeyError::Malformed { path } => Some(path),
            _ => None,
        },
        _ => None,
    }
}

/// What was already wrong when the copy was made.
fn troubles(damaged: &[Damage], files: &[FileTrouble]) -> Exit {
    let references = damaged
        .iter()
        .map(|one| one.reference.as_str())
        .chain(files.iter().map(|one| one.reference.as_str()))
        .collect::<std::collections::BTreeSet<_>>();
    if references.is_empty() {
        return Exit::Done;
    }
    let list = references.into_iter().collect::<Vec<_>>().join(", ");
    report::say(format!("avertissement : ces demandes étaient déjà abîmées ou incomplètes : {list}"));
    report::say("aide : mulot demandes etat dit ce qui manque ; une sauvegarde plus ancienne l'a peut-être encore");
    Exit::Fault
}

fn fault(error: &BackupError) -> Exit {
    let (what, hint, exit) = match error {
        BackupError::NotEmpty { path } => (
            format!("« {} » n'est pas vide", path.display()),
            "donnez un dossier vide ou qui n'existe pas encore : rien n'est jamais écrasé",
            Exit::Fault,
        ),
        BackupError::Inside { path } => (
            format!("« {} » est dans le dossier de données, que la sauvegarde doit justement protéger", path.display()),
            "donnez un dossier hors de celui-ci, sur un autre disque si possible",
            Exit::Fault,
        ),
        BackupError::NotABackup { path, reason } => (
            format!("« {} » n'est pas une sauvegarde de Mulot ({reason})", path.display()),
            "donnez le dossier qui contient manifeste.json ; si ce fichier est abîmé, prenez une autre sauvegarde",
            Exit::Fault,
        ),
        BackupError::Damaged { path } => (
            format!("« {} » manque ou a changé depuis la sauvegarde", path.display()),
            "cette sauvegarde est abîmée : prenez-en une autre ; rien n'a été remis en place",
            Exit::Fault,
        ),
        BackupError::KeyMissing { path } => (
            format!("la clé n'est pas dans « {} »", path.display()),
            "donnez celle que vous avez gardée à part : --cle FICHIER",
            Exit::Fault,
        ),
        BackupError::Io { path, source } => (
            format!("impossible de lire ou d'écrire « {} » : {}", path.display(), cause(source)),
            "vérifiez que le dossier existe et que vous avez le droit d'y écrire",
            Exit::Machine,
        ),
        BackupError::Store(error) => return store_fault(error),
    };
    report::say(format!("erreur : {what}"));
    report::say(format!("aide : {hint}"));
    exit
}
