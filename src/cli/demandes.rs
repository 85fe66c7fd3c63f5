//! `mulot demandes`: what was received, what waits, what is stuck; nothing personal unless it is asked for.

pub(super) mod told;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use self::told::Teller;
use super::faults::{file_cause, place_fault};
use super::integrity::Integrity;
use super::place::{DataPlace, Places, Standing, usual, which};
use super::report::{self, Format};
use super::{Exit, communes, destinataires, dkim, etat, exporter, quarantaine};
use crate::intake::files::Reading;
use crate::intake::links::Links;
use crate::intake::store::{Store, StoreError};
use crate::intake::token::{KEY_FILE, Keys};
use crate::load::{self, Layers};
use crate::model::intake::DeliveryState;
use crate::model::reference::Reference;
use crate::server::config::GuichetConfig;
use crate::text::dates::{received_at, short_date};
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(
    help_template = super::usage::TEMPLATE,
    subcommand_help_heading = "Actions",
    subcommand_value_name = "ACTION",
    disable_help_subcommand = true
)]
pub(super) struct DemandesArgs {
    /// Fichier de configuration du guichet, ou son dossier de données
    #[arg(long = "guichet", short = 'g', value_name = "CHEMIN", global = true)]
    guichet: Option<PathBuf>,
    /// La commune, quand le guichet est celui d'un territoire : le nom de son dossier
    #[arg(long = "commune", value_name = "NOM", global = true)]
    commune: Option<String>,
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
    Etat {
        /// Ne relit pas le contenu des pièces jointes, seulement leur présence et leur taille
        #[arg(long)]
        rapide: bool,
    },
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
    /// Vérifie que tout ce qui a été accepté est remis, attend ou a échoué, et que rien n'est perdu ni abîmé
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
    /// Liste les demandes qui ressemblent à de la publicité et attendent
    Quarantaine,
    /// Laisse partir une demande en quarantaine
    Liberer {
        /// Référence
        #[arg(value_name = "RÉFÉRENCE")]
        reference: String,
    },
    /// Met de côté une demande en quarantaine : rien n'est envoyé, rien n'est effacé
    Ecarter {
        /// Référence
        #[arg(value_name = "RÉFÉRENCE")]
        reference: String,
    },
    /// Dit quelles boîtes de la mairie sont confirmées, et confirme les autres
    Destinataires {
        /// Envoie un autre code à cette adresse, ou à toutes celles qui attendent
        #[arg(long, value_name = "ADRESSE", num_args = 0..=1, conflicts_with = "confirmer")]
        renvoyer: Option<Option<String>>,
        /// Code lu dans le message reçu par la boîte
        #[arg(long, value_name = "CODE")]
        confirmer: Option<String>,
    },
    /// Donne l'enregistrement DNS de la signature des messages (DKIM)
    Dkim,
    /// Donne un lien pour remplir un formulaire à la place de quelqu'un, au téléphone ou à l'accueil
    Comptoir,
    /// Donne tout ce qui est gardé d'une demande, pour la personne concernée (droit d'accès)
    Exporter {
        /// Référence
        #[arg(value_name = "RÉFÉRENCE")]
        reference: String,
        /// Copie aussi les pièces jointes dans ce dossier
        #[arg(long, value_name = "DOSSIER")]
        pieces: Option<PathBuf>,
    },
}

pub(super) fn run(args: &DemandesArgs) -> Exit {
    match DataPlace::find(&usual(args.guichet.as_deref()), args.commune.as_deref(), "mulot demandes") {
        Ok(Places::One(place)) => of_one(args, *place),
        Ok(Places::All(places)) => of_all(args, places),
        Err(exit) => exit,
    }
}

/// What is told of all the communes of a territoire at once; the rest is done for one, which a reference is enough to find.
fn of_all(args: &DemandesArgs, places: Vec<DataPlace>) -> Exit {
    let json = args.format == Format::Json;
    match &args.action {
        None | Some(Action::Etat { .. }) => communes::state(&places, json),
        Some(Action::Liste) => communes::queue(&places, json),
        Some(Action::Quarantaine) => communes::quarantine(&places, json),
        Some(Action::Destinataires { renvoyer: None, confirmer: None }) => communes::mailboxes(&places, json),
        Some(Action::Reconcilier { .. } | Action::Purger) if !json => {
            let ended = communes::each(communes::with_data(places), report::give, |place| of_one(args, place));
            communes::worst(&ended)
        }
        Some(
            Action::Voir { reference, .. }
            | Action::Renvoyer { reference, .. }
            | Action::Liberer { reference }
            | Action::Ecarter { reference }
            | Action::Exporter { reference, .. },
        ) => match reference.parse() {
            Ok(reference) => match communes::holder(places, &reference, "mulot demandes") {
                Ok(place) => of_one(args, place),
                Err(exit) => exit,
            },
            Err(_) => not_a_reference(reference),
        },
        _ => which(&places, "mulot demandes"),
    }
}

fn of_one(args: &DemandesArgs, place: DataPlace) -> Exit {
    if let Some(Action::Dkim) = args.action {
        return dkim::run(place.config.as_ref(), args.format == Format::Json);
    }
    let options = place.beside();
    let done = Store::open(&place.data, options).and_then(|store| {
        let json = args.format == Format::Json;
        let teller = Teller { zone: super::place::zone_of(place.config.as_ref()) };
        let office = Office { store, place: place.clone(), teller, json };
        let (store, teller) = (&office.store, &office.teller);
        match args.action.as_ref().unwrap_or(&Action::Etat { rapide: false }) {
            Action::Etat { rapide } => {
                let reading = if *rapide { Reading::Sizes } else { Reading::Contents };
                etat::state(store, (&place, reading), teller, json)
            }
            Action::Liste => office.list(),
            Action::Voir { reference, reponses } => {
                with_reference(reference, |reference| office.show(reference, *reponses))
            }
            Action::Renvoyer { reference, tout } => {
                with_reference(reference, |reference| office.resend(reference, *tout))
            }
            Action::Reconcilier { du, au } => office.reconcile(*du, *au),
            Action::Purger => office.purge(),
            Action::Quarantaine => quarantaine::list(store, teller, json),
            Action::Liberer { reference } => {
                with_reference(reference, |reference| quarantaine::release(store, reference))
            }
            Action::Ecarter { reference } => {
                with_reference(reference, |reference| quarantaine::set_aside(store, reference))
            }
            Action::Destinataires { renvoyer, confirmer } => {
                let order = match (confirmer, renvoyer) {
                    (Some(code), _) => destinataires::Order::Confirm(code),
                    (None, Some(address)) => destinataires::Order::Renew(address.as_deref()),
                    (None, None) => destinataires::Order::List,
                };
                destinataires::run(store, place.config.as_ref(), &order, (teller, json))
            }
            // Done above: it needs no store.
            Action::Dkim => Ok(Exit::Done),
            Action::Comptoir => Ok(counter(&place.data, place.key_file.as_deref(), place.config.as_ref(), teller)),
            Action::Exporter { reference, pieces } => {
                with_reference(reference, |reference| exporter::run(store, &place, reference, (pieces.as_ref(), json)))
            }
        }
    });
    done.unwrap_or_else(|error| place_fault(&place, &error))
}

fn with_reference(typed: &str, act: impl FnOnce(&Reference) -> Result<Exit, StoreError>) -> Result<Exit, StoreError> {
    match typed.parse::<Reference>() {
        Ok(reference) => act(&reference),
        Err(_) => Ok(not_a_reference(typed)),
    }
}

fn not_a_reference(typed: &str) -> Exit {
    report::say(format!("erreur : « {typed} » n'est pas une référence"));
    report::say("aide : elle ressemble à 2026-K7M2-QX4D-3 ; le dernier signe vérifie les autres, relisez-la");
    Exit::Fault
}

pub(super) fn unknown(reference: &Reference) -> Exit {
    report::say(format!("erreur : aucune demande ne porte la référence {}", reference.as_str()));
    Exit::Fault
}

/// A link of the counter; its address is the commune's, which only the configuration knows.
fn counter(data: &Path, key_file: Option<&Path>, config: Option<&GuichetConfig>, teller: &Teller) -> Exit {
    let own = data.join(KEY_FILE);
    let path = key_file.unwrap_or(&own);
    let Ok(keys) = Keys::read(path) else {
        report::say(format!("erreur : la clé « {} » ne peut pas être lue", path.display()));
        report::say("aide : la commande se lance avec le compte du guichet, le seul qui lise la clé");
        return Exit::Machine;
    };
    let commune = config.and_then(|config| load::sources(&Layers::of(&config.folder, &load::Shared::default())).0);
    let address = commune.map(|sources| sources.commune.guichet_address().to_owned()).unwrap_or_default();
    match Links::new(keys, &address).counter(Timestamp::now()) {
        Some((link, until)) => {
            report::give(link);
            report::say(format!("Valable jusqu'au {}, pour la mairie seule.", teller.when(until)));
            Exit::Done
        }
        None => {
            report::say("erreur : l'adresse du guichet n'est pas connue");
            report::say(
                "aide : donnez guichet.toml par --guichet, et domaine (ou adresse sous [guichet]) dans commune.toml",
            );
            Exit::Fault
        }
    }
}

fn give_json(told: &impl serde::Serialize) {
    report::give(serde_json::to_string_pretty(told).unwrap_or_default());
}

/// The store of a guichet, and how it is told.
struct Office {
    store: Store,
    place: DataPlace,
    teller: Teller,
    json: bool,
}

impl Office {
    fn list(&self) -> Result<Exit, StoreError> {
        let states = [DeliveryState::Waiting, DeliveryState::Sending, DeliveryState::Failed];
        let rows = self.store.queue(&states, 1_000)?;
        if self.json {
            give_json(&rows.iter().map(|row| self.teller.message(row, &[])).collect::<Vec<_>>());
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
        let acts = self.store.kept(reference)?.map(|kept| kept.acts).unwrap_or_default();
        if self.json {
            give_json(&self.teller.sheet(&detail, &acts));
            return Ok(Exit::Done);
        }
        report::give(format!("{}  {}", detail.reference.as_str(), detail.form_title));
        report::give(format!("Reçue {}", received_at(&detail.received_at)));
        report::give(match detail.purged_at {
            Some(instant) => format!("Réponses effacées le {}", self.teller.when(instant)),
            None => format!("Réponses gardées jusqu'au {}", short_date(detail.purge_after)),
        });
        detail.mails.iter().for_each(|row| report::give(self.teller.line_with(row, &acts)));
        detail.events.iter().for_each(|event| report::give(self.teller.event(event)));
        acts.iter().for_each(|act| report::give(self.teller.act(act)));
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
        if let (Some(first), Some(last)) = (from, until)
            && last < first
        {
            report::say(format!(
                "erreur : la période finit le {}, avant de commencer le {}",
                short_date(last),
                short_date(first)
            ));
            report::say("aide : --du donne le premier jour, --au le dernier");
            return Ok(Exit::Fault);
        }
        let zone = &self.teller.zone;
        let instant = |date: Date| date.to_zoned(zone.clone()).map_or(Timestamp::MAX, |zoned| zoned.timestamp());
        let from = from.map_or(Timestamp::MIN, instant);
        let until = until.and_then(|date| date.tomorrow().ok()).map_or(Timestamp::MAX, instant);
        let sums = self.store.reconcile(from, until)?;
        let integrity = Integrity::look(&self.store, &self.place, Reading::Contents)?;
        let balanced = told::balanced(&sums) && integrity.is_sound();
        let exit = if balanced { Exit::Done } else { Exit::Fault };
        if self.json {
            give_json(&told::sums(&sums, &integrity));
            return Ok(exit);
        }
        report::give(format!("Acceptées   {}", sums.accepted));
        report::give(format!("Remises     {}", sums.delivered));
        report::give(format!("En attente  {}", sums.waiting));
        report::give(format!("En échec    {}", sums.failed.len()));
        sums.failed.iter().for_each(|reference| report::give(format!("  {}", reference.as_str())));
        for (what, references) in [("sans message", &sums.without_mail), ("sans preuve de remise", &sums.unproven)] {
            references.iter().for_each(|reference| report::give(format!("  {what} : {}", reference.as_str())));
        }
        integrity.tell();
        report::give(if balanced {
            "Le compte est bon."
        } else {
            "Le compte n'est pas bon : gardez le dossier de données et appelez votre technicien."
        });
        Ok(exit)
    }

    fn purge(&self) -> Result<Exit, StoreError> {
        let files = self.place.files(&self.store).and_then(|files| files.ready_to_erase(&self.store).map(|()| files));
        let files = match files {
            Ok(files) => files,
            Err(error) if error.is_of_bucket() => {
                report::say(format!(
                    "erreur : les fichiers joints ne peuvent pas être effacés : {}",
                    file_cause(&error)
                ));
                report::say("aide : rien n'a été effacé ; recommencez quand le seau répond");
                return Ok(Exit::Machine);
            }
            Err(error) => return Err(error.into()),
        };
        let report = self.store.purge_elapsed(&Zoned::now().with_time_zone(self.teller.zone.clone()))?;
        if let Err(error) = files.erase(&self.store) {
            let then = match self.place.standing {
                Standing::Aside => "recommencez mulot demandes purger, personne d'autre ne le fera",
                _ => "l'entretien les reprendra",
            };
            report::say(format!("avertissement : des fichiers restent à effacer ({}) ; {then}", file_cause(&error)));
        }
        report::give(told::purged(report.erased.len(), report.held.len()));
        Ok(Exit::Done)
    }
}
