//! `mulot demandes`: what was received, what waits, what is stuck; nothing personal unless it is asked for.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};
use serde::Serialize;

use super::faults::store_fault;
use super::integrity::Integrity;
use super::place::DataPlace;
use super::report::{self, Format};
use super::{Exit, etat, exporter, quarantaine};
use crate::intake::files::{FileStore, Reading};
use crate::intake::store::{Access, Reconciliation, Store, StoreError, StoreOptions};
use crate::model::intake::{DeliveryState, QueueRow};
use crate::model::mail::MailRole;
use crate::model::reference::Reference;
use crate::model::submission::{AnswerValue, Entry};
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
    let place = match DataPlace::find(&args.guichet, "mulot demandes") {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let data = place.data;
    let options = StoreOptions { access: Access::Beside, key_file: place.key_file, ..StoreOptions::default() };
    let done = Store::open(&data, options).and_then(|store| {
        let json = args.format == Format::Json;
        match args.action.as_ref().unwrap_or(&Action::Etat { rapide: false }) {
            Action::Etat { rapide } => {
                let reading = if *rapide { Reading::Sizes } else { Reading::Contents };
                etat::state(&store, &data, (place.config.as_ref(), reading), json)
            }
            Action::Liste => list(&store, json),
            Action::Voir { reference, reponses } => {
                with_reference(reference, |reference| show(&store, reference, *reponses, json))
            }
            Action::Renvoyer { reference, tout } => {
                with_reference(reference, |reference| resend(&store, reference, *tout))
            }
            Action::Reconcilier { du, au } => reconcile(&store, &data, (*du, *au), json),
            Action::Purger => purge(&store, &data),
            Action::Quarantaine => quarantaine::list(&store, json),
            Action::Liberer { reference } => {
                with_reference(reference, |reference| quarantaine::release(&store, reference))
            }
            Action::Ecarter { reference } => {
                with_reference(reference, |reference| quarantaine::set_aside(&store, reference))
            }
            Action::Exporter { reference, pieces } => {
                with_reference(reference, |reference| exporter::run(&store, &data, reference, pieces.as_ref()))
            }
        }
    });
    done.unwrap_or_else(|error| store_fault(&error))
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

pub(super) fn reason(word: &str) -> &'static str {
    match word {
        "auth_refused" => "refuse l'identifiant ou le mot de passe",
        "tls_refused" => "n'offre pas de connexion chiffrée valable",
        "sender_refused" => "refuse l'adresse d'expédition",
        _ => "ne répond pas",
    }
}

pub(super) fn when(instant: Timestamp) -> String {
    let zoned = instant.to_zoned(TimeZone::system());
    format!("{} à {}", short_date(zoned.date()), crate::text::dates::time(zoned.time()))
}

pub(super) fn line(row: &QueueRow) -> String {
    let role = match (row.role, row.backup) {
        (MailRole::Mairie, false) => "à la mairie",
        (MailRole::Mairie, true) => "à l'adresse de secours",
        (MailRole::Usager, _) => "accusé à l'usager",
    };
    let code = row.last_code.map(|code| format!(", réponse {code}")).unwrap_or_default();
    let next = match row.state {
        DeliveryState::Waiting => format!(", prochain essai {}", when(row.next_at)),
        _ => String::new(),
    };
    format!(
        "{}  {role}  {}  {}{code}{next}  ({}, acceptée {})",
        row.reference.as_str(),
        state_words(row.state),
        plural(u64::from(row.attempts), "essai", "essais"),
        row.form_id,
        when(row.accepted_at)
    )
}

fn state_words(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "à envoyer",
        DeliveryState::Sending => "en cours d'envoi",
        DeliveryState::Delivered => "remis",
        DeliveryState::Failed => "échec définitif",
        DeliveryState::Cancelled => "abandonné",
    }
}

fn list(store: &Store, json: bool) -> Result<Exit, StoreError> {
    let rows = store.queue(&[DeliveryState::Waiting, DeliveryState::Sending, DeliveryState::Failed], 1_000)?;
    if json {
        report::give(serde_json::to_string_pretty(&rows).unwrap_or_default());
    } else {
        rows.iter().for_each(|row| report::give(line(row)));
        report::say(if rows.is_empty() {
            "Rien n'attend.".to_owned()
        } else {
            plural(rows.len() as u64, "message", "messages")
        });
    }
    Ok(Exit::Done)
}

fn show(store: &Store, reference: &Reference, answers: bool, json: bool) -> Result<Exit, StoreError> {
    let Some(detail) = store.detail(reference, answers)? else { return Ok(unknown(reference)) };
    if json {
        report::give(serde_json::to_string_pretty(&detail).unwrap_or_default());
        return Ok(Exit::Done);
    }
    report::give(format!("{}  {}", detail.reference.as_str(), detail.form_title));
    report::give(format!("Reçue {}", received_at(&detail.received_at)));
    match detail.purged_at {
        Some(instant) => report::give(format!("Réponses effacées le {}", when(instant))),
        None => report::give(format!("Réponses gardées jusqu'au {}", short_date(detail.purge_after))),
    }
    detail.mails.iter().for_each(|row| report::give(line(row)));
    for event in &detail.events {
        let code = event.code.map(|code| format!(" {code}")).unwrap_or_default();
        report::give(format!("  {}  {}{code}", when(event.at), event.kind));
    }
    for answer in &detail.answers {
        let value = match &answer.value {
            AnswerValue::Text(text) => text.clone(),
            AnswerValue::Choices(choices) => choices.join(", "),
            AnswerValue::Address(lines) => lines.join(", "),
            AnswerValue::Files(files) => files.iter().map(|file| file.name.clone()).collect::<Vec<_>>().join(", "),
            AnswerValue::Group(entries) => entries.iter().flat_map(Entry::lines).collect::<Vec<_>>().join(", "),
        };
        report::give(format!("{} : {value}", answer.question));
    }
    Ok(Exit::Done)
}

pub(super) fn unknown(reference: &Reference) -> Exit {
    report::say(format!("erreur : aucune demande ne porte la référence {}", reference.as_str()));
    Exit::Fault
}

fn resend(store: &Store, reference: &Reference, all: bool) -> Result<Exit, StoreError> {
    if store.detail(reference, false)?.is_none() {
        return Ok(unknown(reference));
    }
    let count = store.resend(reference, None, all, Timestamp::now())?;
    report::say(match count {
        0 => "Rien à renvoyer : tout est remis (--tout renvoie quand même)".to_owned(),
        count => format!(
            "{} de nouveau à envoyer ; le guichet s'en charge dès qu'il tourne",
            plural(count as u64, "message", "messages")
        ),
    });
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct SumsReport {
    #[serde(flatten)]
    comptes: Reconciliation,
    integrite: Integrity,
}

fn reconcile(
    store: &Store,
    data: &Path,
    (from, until): (Option<Date>, Option<Date>),
    json: bool,
) -> Result<Exit, StoreError> {
    let instant = |date: Date| date.to_zoned(TimeZone::system()).map_or(Timestamp::MAX, |zoned| zoned.timestamp());
    let from = from.map_or(Timestamp::MIN, instant);
    let until = until.and_then(|date| date.tomorrow().ok()).map_or(Timestamp::MAX, instant);
    let told = SumsReport {
        comptes: store.reconcile(from, until)?,
        integrite: Integrity::look(store, data, Reading::Contents)?,
    };
    let sums = &told.comptes;
    let is_good = sums.is_balanced() && told.integrite.is_sound();
    if json {
        report::give(serde_json::to_string_pretty(&told).unwrap_or_default());
        return Ok(if is_good { Exit::Done } else { Exit::Fault });
    }
    report::give(format!("Acceptées   {}", sums.accepted));
    report::give(format!("Remises     {}", sums.delivered));
    report::give(format!("En attente  {}", sums.waiting));
    report::give(format!("En échec    {}", sums.failed.len()));
    sums.failed.iter().for_each(|reference| report::give(format!("  {}", reference.as_str())));
    let wrong = [("sans message", &sums.without_mail), ("sans preuve de remise", &sums.unproven)];
    for (what, references) in wrong {
        references.iter().for_each(|reference| report::give(format!("  {what} : {}", reference.as_str())));
    }
    told.integrite.tell();
    report::say(if is_good {
        "Le compte est bon."
    } else {
        "Le compte n'est pas bon : gardez le dossier de données et appelez votre technicien."
    });
    Ok(if is_good { Exit::Done } else { Exit::Fault })
}

fn purge(store: &Store, data: &Path) -> Result<Exit, StoreError> {
    let report = store.purge_elapsed(&Zoned::now())?;
    match FileStore::open(data, store.seal(), 0).and_then(|files| files.remove(&report.files)) {
        Ok(()) => {}
        Err(error) => report::say(format!(
            "avertissement : des fichiers restent à effacer ({error}) ; la prochaine purge les reprendra"
        )),
    }
    report::say(format!(
        "{} ; {} car personne ne les a encore",
        plural(report.erased.len() as u64, "demande effacée", "demandes effacées"),
        plural(report.held.len() as u64, "gardée", "gardées")
    ));
    Ok(Exit::Done)
}
