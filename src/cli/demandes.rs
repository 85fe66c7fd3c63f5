//! `mulot demandes`: what was received, what waits, what is stuck; nothing personal unless it is asked for.

mod told;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use self::told::Teller;
use super::Exit;
use super::faults::store_fault;
use super::report::{self, Format};
use crate::intake::files::FileStore;
use crate::intake::store::{Access, Store, StoreError, StoreOptions};
use crate::load::{self, Layers};
use crate::model::intake::DeliveryState;
use crate::model::mail::MailRole;
use crate::model::reference::Reference;
use crate::server::config::GuichetConfig;
use crate::text::dates::{received_at, short_date};
use crate::text::numbers::plural;

/// A mail that waits longer than this is stuck.
const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Args)]
#[command(
    help_template = super::usage::TEMPLATE,
    subcommand_help_heading = "Actions",
    subcommand_value_name = "ACTION",
    disable_help_subcommand = true
)]
pub(super) struct DemandesArgs {
    /// Fichier de configuration du guichet, ou son dossier de données
    #[arg(
        long = "guichet",
        short = 'g',
        value_name = "CHEMIN",
        default_value = "guichet.toml",
        hide_default_value = true,
        global = true
    )]
    guichet: PathBuf,
    /// Forme du rapport : texte ou json
    #[arg(
        long = "format",
        value_name = "FORMAT",
        default_value = "texte",
        hide_default_value = true,
        hide_possible_values = true,
        global = true
    )]
    format: Format,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Dit en une page où en est tout (l'action par défaut)
    Etat,
    /// Liste les messages qui attendent ou qui ont échoué
    Liste,
    /// Montre ce qu'est devenue une demande
    Voir {
        /// Référence, par exemple 2026-K7M2-QX4D-3
        #[arg(value_name = "RÉFÉRENCE")]
        reference: String,
        /// Montre aussi les réponses (données personnelles)
        #[arg(long)]
        reponses: bool,
    },
    /// Envoie de nouveau les messages d'une demande qui ne sont pas arrivés
    Renvoyer {
        /// Référence
        #[arg(value_name = "RÉFÉRENCE")]
        reference: String,
        /// Même ceux qui sont déjà remis
        #[arg(long)]
        tout: bool,
    },
    /// Vérifie que tout ce qui a été accepté est remis, attend ou a échoué
    Reconcilier {
        /// Premier jour (AAAA-MM-JJ)
        #[arg(long, value_name = "DATE")]
        du: Option<Date>,
        /// Dernier jour, compris
        #[arg(long, value_name = "DATE")]
        au: Option<Date>,
    },
    /// Efface les réponses dont la durée de conservation est passée
    Purger,
}

pub(super) fn run(args: &DemandesArgs) -> Exit {
    let (data, zone) = match data_folder(&args.guichet) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let options = StoreOptions { access: Access::Beside, ..StoreOptions::default() };
    let done = Store::open(&data, options).and_then(|store| {
        let office = Office { store, teller: Teller { zone }, json: args.format == Format::Json };
        match args.action.as_ref().unwrap_or(&Action::Etat) {
            Action::Etat => office.state(),
            Action::Liste => office.list(),
            Action::Voir { reference, reponses } => {
                with_reference(reference, |reference| office.show(reference, *reponses))
            }
            Action::Renvoyer { reference, tout } => {
                with_reference(reference, |reference| office.resend(reference, *tout))
            }
            Action::Reconcilier { du, au } => office.reconcile(*du, *au),
            Action::Purger => office.purge(&data),
        }
    });
    done.unwrap_or_else(|error| store_fault(&error))
}

/// The data folder, given or named by a configuration, and the zone of its commune: Paris when no configuration tells.
fn data_folder(path: &Path) -> Result<(PathBuf, TimeZone), Exit> {
    let paris = || TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC);
    if path.is_dir() {
        return Ok((path.to_owned(), paris()));
    }
    // The password is not needed here: nothing is sent.
    let config = GuichetConfig::read(path, Some(String::new())).map_err(|diagnostics| {
        let folder = path.parent().unwrap_or(Path::new("."));
        report::say(report::text(&diagnostics, folder, report::colour(&std::io::stderr())).trim_end());
        report::say(
            "aide : donnez la configuration du guichet ou son dossier de données : mulot demandes --guichet CHEMIN",
        );
        Exit::Fault
    })?;
    let (sources, _) = load::sources(&Layers::of(&config.folder, &load::Embedded::new()));
    let zone = sources.and_then(|sources| TimeZone::get(&sources.commune.fuseau).ok());
    Ok((config.data, zone.unwrap_or_else(paris)))
}

fn with_reference(typed: &str, act: impl FnOnce(&Reference) -> Result<Exit, StoreError>) -> Result<Exit, StoreError> {
    match typed.parse::<Reference>() {
        Ok(reference) => act(&reference),
        Err(_) => {
            report::say(format!("erreur : « {typed} » n'est pas une référence"));
            report::say("aide : elle ressemble à 2026-K7M2-QX4D-3 ; le dernier signe vérifie les autres, relisez-la");
            Ok(Exit::Fault)
        }
    }
}

fn unknown(reference: &Reference) -> Exit {
    report::say(format!("erreur : aucune demande ne porte la référence {}", reference.as_str()));
    Exit::Fault
}

fn give_json(told: &impl serde::Serialize) {
    report::give(serde_json::to_string_pretty(told).unwrap_or_default());
}

/// The store of a guichet, and how it is told.
struct Office {
    store: Store,
    teller: Teller,
    json: bool,
}

impl Office {
    fn state(&self) -> Result<Exit, StoreError> {
        let (counts, route) = (self.store.counts()?, self.store.route()?);
        let stuck = self.store.stuck(Timestamp::now(), STUCK_AFTER)?;
        let oldest = self.store.oldest_waiting(MailRole::Mairie)?;
        let trouble = counts.failed > 0 || !stuck.is_empty() || route.is_some();
        let exit = if trouble { Exit::Fault } else { Exit::Done };
        if self.json {
            give_json(&self.teller.state(&counts, route.as_ref(), &stuck, oldest));
            return Ok(exit);
        }
        report::give(format!("Demandes acceptées        {}", counts.submissions));
        report::give(format!("  dont réponses effacées  {}", counts.purged));
        report::give(format!("Messages remis            {}", counts.delivered));
        report::give(format!("  à envoyer               {}", counts.waiting + counts.sending));
        report::give(format!("  en échec définitif      {}", counts.failed));
        report::give(format!("  abandonnés              {}", counts.cancelled));
        if let Some(oldest) = oldest {
            report::give(format!("Plus ancien en attente    {}", self.teller.when(oldest)));
        }
        if let Some(route) = &route {
            report::give(format!(
                "Serveur de courriel       {} depuis le {} ; prochain essai le {}",
                told::reason(&route.reason),
                self.teller.when(route.since),
                self.teller.when(route.blocked_until)
            ));
        }
        for row in &stuck {
            report::give(self.teller.line(row));
        }
        let end =
            if trouble { "Quelque chose demande votre attention : mulot demandes liste" } else { "Tout va bien." };
        report::give(end);
        Ok(exit)
    }

    fn list(&self) -> Result<Exit, StoreError> {
        let states = [DeliveryState::Waiting, DeliveryState::Sending, DeliveryState::Failed];
        let rows = self.store.queue(&states, 1_000)?;
        if self.json {
            give_json(&rows.iter().map(|row| self.teller.message(row)).collect::<Vec<_>>());
            return Ok(Exit::Done);
        }
        rows.iter().for_each(|row| report::give(self.teller.line(row)));
        report::give(match rows.len() {
            0 => "Rien n'attend.".to_owned(),
            count => plural(count as u64, "message", "messages"),
        });
        Ok(Exit::Done)
    }

    fn show(&self, reference: &Reference, answers: bool) -> Result<Exit, StoreError> {
        let Some(detail) = self.store.detail(reference, answers)? else { return Ok(unknown(reference)) };
        if self.json {
            give_json(&self.teller.sheet(&detail));
            return Ok(Exit::Done);
        }
        report::give(format!("{}  {}", detail.reference.as_str(), detail.form_title));
        report::give(format!("Reçue {}", received_at(&detail.received_at)));
        report::give(match detail.purged_at {
            Some(instant) => format!("Réponses effacées le {}", self.teller.when(instant)),
            None => format!("Réponses gardées jusqu'au {}", short_date(detail.purge_after)),
        });
        detail.mails.iter().for_each(|row| report::give(self.teller.line(row)));
        detail.events.iter().for_each(|event| report::give(self.teller.event(event)));
        for answer in &detail.answers {
            report::give(format!("{} : {}", answer.question, told::reply(answer)));
        }
        Ok(Exit::Done)
    }

    fn resend(&self, reference: &Reference, all: bool) -> Result<Exit, StoreError> {
        if self.store.detail(reference, false)?.is_none() {
            return Ok(unknown(reference));
        }
        let count = self.store.resend(reference, None, all, Timestamp::now())?;
        report::give(match count {
            0 => "Rien à renvoyer : tout est remis (--tout renvoie quand même)".to_owned(),
            count => format!(
                "{} de nouveau à envoyer ; le guichet s'en charge dès qu'il tourne",
                plural(count as u64, "message", "messages")
            ),
        });
        Ok(Exit::Done)
    }

    fn reconcile(&self, from: Option<Date>, until: Option<Date>) -> Result<Exit, StoreError> {
        let zone = &self.teller.zone;
        let instant = |date: Date| date.to_zoned(zone.clone()).map_or(Timestamp::MAX, |zoned| zoned.timestamp());
        let from = from.map_or(Timestamp::MIN, instant);
        let until = until.and_then(|date| date.tomorrow().ok()).map_or(Timestamp::MAX, instant);
        let sums = self.store.reconcile(from, until)?;
        let balanced = told::balanced(&sums);
        let exit = if balanced { Exit::Done } else { Exit::Fault };
        if self.json {
            give_json(&told::sums(&sums));
            return Ok(exit);
        }
        report::give(format!("Acceptées   {}", sums.accepted));
        report::give(format!("Remises     {}", sums.delivered));
        report::give(format!("En attente  {}", sums.waiting));
        report::give(format!("En échec    {}", sums.failed.len()));
        sums.failed.iter().for_each(|reference| report::give(format!("  {}", reference.as_str())));
        sums.without_mail.iter().for_each(|reference| report::give(format!("  sans message : {}", reference.as_str())));
        report::give(if balanced {
            "Le compte est bon."
        } else {
            "Le compte n'est pas bon : gardez le dossier de données et appelez votre technicien."
        });
        Ok(exit)
    }

    fn purge(&self, data: &Path) -> Result<Exit, StoreError> {
        let report = self.store.purge_elapsed(&Zoned::now().with_time_zone(self.teller.zone.clone()))?;
        if let Err(error) = FileStore::open(data, 0).and_then(|files| files.remove(&report.files)) {
            report::say(format!(
                "avertissement : des fichiers restent à effacer ({}) ; la prochaine purge les reprendra",
                crate::fs::cause_of_words(&error.to_string())
            ));
        }
        report::give(told::purged(report.erased.len(), report.held.len()));
        Ok(Exit::Done)
    }
}
