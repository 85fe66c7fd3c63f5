//! `mulot etat`: how all the communes stand, for the one person who looks after them.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::place::usual;
use super::report::{self, Format, FormatArgs};
use super::{Exit, runtime};
use crate::intake::mailer::{Mailer, MailerError};
use crate::pipeline::Base;
use crate::server::config::{HallConfig, Secrets};
use crate::server::overview::mail::{Sent, Weekly, send, to_mairies, to_technician};
use crate::server::overview::{self, Overview, page};
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct OverviewArgs {
    /// Configuration du guichet (guichet.toml s'il n'est pas donné)
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    report: FormatArgs,
    /// Écrit aussi la page dans ce fichier
    #[arg(long = "page", value_name = "FICHIER")]
    page: Option<PathBuf>,
    /// Donne l'adresse secrète où le guichet sert la page
    #[arg(long = "adresse", conflicts_with_all = ["page", "mail", "mairies"])]
    address: bool,
    /// Change cette adresse : l'ancienne ne mène plus à rien
    #[arg(long = "nouvelle-adresse", conflicts_with_all = ["page", "mail", "mairies"])]
    new_address: bool,
    /// Envoie le message de la semaine à qui s'occupe du territoire ([etat] de la configuration), une fois par semaine
    #[arg(long = "courriel")]
    mail: bool,
    /// Envoie à chaque mairie ses quatre points à vérifier, une fois par semaine
    #[arg(long = "mairies")]
    mairies: bool,
}

pub(super) fn run(args: &OverviewArgs) -> Exit {
    let path = usual(args.config.as_deref());
    if let Some(exit) = not_a_file(&path) {
        return exit;
    }
    let sends = args.mail || args.mairies;
    let secrets = match sends {
        true => Secrets::of_service(),
        false => Secrets::beside(),
    };
    let config = match HallConfig::read(&path, &secrets) {
        Ok(config) => config,
        Err(told) => {
            let folder = path.parent().unwrap_or(Path::new("."));
            report::say(report::text(&told, folder, report::colour(&std::io::stderr())).trim_end());
            report::say(GIVE_CONFIG);
            return Exit::Fault;
        }
    };
    if args.address || args.new_address {
        return address(&config, args.new_address);
    }
    let (now, base) = (Timestamp::now(), Base::embedded());
    let overview = match overview::look(&config, &base, now) {
        Ok(overview) => overview,
        Err(told) => {
            report::say(report::text(&told, &config.common.folder, report::colour(&std::io::stderr())).trim_end());
            return Exit::Fault;
        }
    };
    if let Some(path) = &args.page {
        if let Err(exit) = write_page(&overview, &base, path) {
            return exit;
        }
        report::say(format!("Page écrite : {}", path.display()));
    }
    if sends {
        return send_all(args, &config, &overview, now);
    }
    match args.report.format {
        Format::Json => report::give(serde_json::to_string_pretty(&overview).unwrap_or_default()),
        Format::Text => page::text(&overview).iter().for_each(report::give),
    }
    if overview.en_ordre { Exit::Done } else { Exit::Fault }
}

/// A folder, or a path where nothing is, is no configuration.
fn not_a_file(config: &Path) -> Option<Exit> {
    let what = match (config.is_dir(), config.exists()) {
        (true, _) => "est un dossier, et non la configuration du guichet",
        (false, false) => "n'existe pas",
        (false, true) => return None,
    };
    report::say(format!("erreur : « {} » {what}", config.display()));
    report::say(GIVE_CONFIG);
    Some(Exit::Fault)
}

const GIVE_CONFIG: &str = "aide : donnez la configuration du guichet : mulot etat chemin/vers/guichet.toml";

fn write_page(overview: &Overview, base: &Base, path: &Path) -> Result<(), Exit> {
    let drawn = base.plain_theme().and_then(|theme| page::html(overview, &theme)).unwrap_or_default();
    // A folder made for a word mistyped would be looked for long.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        report::say(format!("erreur : le dossier « {} » n'existe pas", folder.display()));
        report::say("aide : vérifiez le chemin de --page, ou faites ce dossier d'abord");
        return Err(Exit::Fault);
    }
    crate::fs::write_atomic_for_all(path, drawn.as_bytes()).map_err(|error| {
        report::say(format!("erreur : {}", error.sentence()));
        report::say("aide : vérifiez le chemin et le droit d'y écrire");
        Exit::Machine
    })
}

/// The address of the page, made at the first time it is asked for.
fn address(config: &HallConfig, anew: bool) -> Exit {
    let data = &config.common.data;
    let known = overview::secret(data).filter(|_| !anew);
    let secret = match known.map_or_else(|| overview::make_secret(data), Ok) {
        Ok(secret) => secret,
        Err(error) => {
            report::say(format!("erreur : {}", error.sentence()));
            report::say("aide : lancez la commande avec le compte du guichet : sudo -u mulot mulot etat … --adresse");
            return Exit::Machine;
        }
    };
    report::give(format!("/guichet/etat/{secret}"));
    report::say("Cette adresse suit celle d'un site du territoire, par exemple https://www.exemple.fr/guichet/etat/…");
    report::say(
        "Elle ne montre rien de ce que les habitants ont écrit. Qui la connaît la lit : --nouvelle-adresse la change.",
    );
    Exit::Done
}

fn send_all(args: &OverviewArgs, config: &HallConfig, overview: &Overview, now: Timestamp) -> Exit {
    let settings = &config.overview;
    if args.mail && settings.to.is_empty() {
        report::say("erreur : la configuration ne dit pas à qui envoyer l'état");
        report::say(
            "aide : ajoutez [etat] avec destinataires = [\"technique@exemple.fr\"] et expediteur = \"guichet@exemple.fr\"",
        );
        return Exit::Fault;
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let mut mails: Vec<(Weekly, Result<Mailer, MailerError>)> = Vec::new();
    if args.mail {
        let mailer = Mailer::new(config.common.transport.clone());
        let mailer = mailer.map(|mailer| mailer.signing(config.common.signer.clone()));
        mails.push((to_technician(overview, &settings.from, &settings.to), mailer));
    }
    if args.mairies {
        for letter in to_mairies(overview) {
            let own = match &config.territoire {
                Some(root) => {
                    let folder = root.join(crate::model::territoire::Territoire::COMMUNES).join(&letter.name);
                    config.of(&letter.name, &folder)
                }
                None => config.common.clone(),
            };
            let mailer = Mailer::new(own.transport).map(|mailer| mailer.signing(own.signer));
            mails.push((letter, mailer));
        }
    }
    let silent = overview.communes.iter().filter(|row| row.boites.is_empty() || row.expediteur.is_empty()).count();
    if args.mairies && silent > 0 {
        report::say(format!(
            "{} sans boîte ou sans expéditeur ([guichet] de commune.toml) : rien ne peut {} être écrit",
            plural(silent as u64, "commune", "communes"),
            if silent > 1 { "leur" } else { "lui" }
        ));
    }
    let (mut taken, mut already, mut refused) = (0, 0, 0);
    for (weekly, mailer) in mails {
        let sent = match mailer {
            Ok(mailer) => runtime.block_on(send(&weekly, &mailer, &config.common.data, now)),
            Err(error) => Ok(Sent::Refused(error.to_string())),
        };
        match sent {
            Ok(Sent::Taken) => taken += 1,
            Ok(Sent::Already) => already += 1,
            Ok(Sent::Refused(why)) => {
                refused += 1;
                report::say(format!("{} : {why}", weekly.name));
            }
            Err(error) => {
                refused += 1;
                report::say(format!("{} : {}", weekly.name, error.sentence()));
            }
        }
    }
    let mut parts = vec![plural(taken, "message parti", "messages partis")];
    if already > 0 {
        parts.push(format!("{} cette semaine", plural(already, "déjà parti", "déjà partis")));
    }
    if refused > 0 {
        parts.push(plural(refused, "non parti", "non partis"));
    }
    report::give(parts.join(", "));
    if refused == 0 { Exit::Done } else { Exit::Machine }
}
