//! What an order says of all the communes of a territoire: a table, or each in its turn.

use serde::Serialize;

use super::faults::store_fault;
use super::place::DataPlace;
use super::{Exit, report};
use crate::intake::store::{Access, Store, StoreError, StoreOptions};
use crate::model::intake::DeliveryState;
use crate::text::numbers::plural;

/// How a commune stands, in numbers.
#[derive(Debug, Default, Serialize)]
struct Row {
    commune: String,
    /// Nothing has been received yet: there is no database.
    vide: bool,
    en_ordre: bool,
    acceptees: u64,
    remis: u64,
    a_envoyer: u64,
    en_echec: u64,
    quarantaine: u64,
    boites_a_confirmer: u64,
    messagerie_fermee: bool,
    /// Why it cannot be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    panne: Option<&'static str>,
}

/// One line a commune; code 1 when one of them calls for a person.
pub(super) fn state(places: &[DataPlace], json: bool) -> Exit {
    let rows: Vec<Row> = places.iter().map(row).collect();
    let wrong = rows.iter().filter(|row| !row.en_ordre).count();
    let exit = if wrong == 0 { Exit::Done } else { Exit::Fault };
    if json {
        report::give(serde_json::to_string_pretty(&rows).unwrap_or_default());
        return exit;
    }
    let width = rows.iter().map(|row| row.commune.chars().count()).max().unwrap_or(0).max("Commune".len());
    report::give(format!(
        "  {:<width$}  {:>9}  {:>6}  {:>9}  {:>8}  {:>11}  {:>15}",
        "Commune", "Acceptées", "Remis", "À envoyer", "En échec", "Quarantaine", "À confirmer"
    ));
    for row in &rows {
        report::give(line(row, width));
    }
    let communes = plural(rows.len() as u64, "commune", "communes");
    report::say(match wrong {
        0 => format!("{communes} : tout va bien."),
        wrong => format!(
            "{communes}, dont {wrong} à regarder (les lignes qui commencent par « ! ») : mulot demandes --commune NOM"
        ),
    });
    exit
}

fn line(row: &Row, width: usize) -> String {
    let mark = if row.en_ordre { " " } else { "!" };
    let name = &row.commune;
    if let Some(why) = row.panne {
        return format!("{mark} {name:<width$}  {why}");
    }
    if row.vide {
        return format!("{mark} {name:<width$}  {:>9}", "–");
    }
    let closed = if row.messagerie_fermee { "  serveur de courriel fermé" } else { "" };
    format!(
        "{mark} {name:<width$}  {:>9}  {:>6}  {:>9}  {:>8}  {:>11}  {:>15}{closed}",
        row.acceptees, row.remis, row.a_envoyer, row.en_echec, row.quarantaine, row.boites_a_confirmer
    )
}

fn row(place: &DataPlace) -> Row {
    let commune = place.commune.clone().unwrap_or_default();
    match open(place).and_then(|store| counted(&store, commune.clone())) {
        Ok(row) => row,
        Err(StoreError::Absent { .. }) => Row { commune, vide: true, en_ordre: true, ..Row::default() },
        Err(error) => {
            let panne = match error {
                StoreError::Key(_) => "la clé ne peut pas être lue",
                StoreError::WrongKey { .. } => "la clé n'est pas celle de ces demandes",
                StoreError::Damaged { .. } => "la base est illisible ou abîmée",
                StoreError::Newer { .. } => "la base vient d'une version plus récente de Mulot",
                _ => "la base ne peut pas être lue",
            };
            Row { commune, panne: Some(panne), ..Row::default() }
        }
    }
}

fn counted(store: &Store, commune: String) -> Result<Row, StoreError> {
    let (counts, now) = (store.counts()?, jiff::Timestamp::now());
    let waiting = store.mailboxes()?.iter().filter(|mailbox| mailbox.confirmed_at.is_none()).count() as u64;
    let messagerie_fermee = store.route()?.is_some();
    Ok(Row {
        commune,
        vide: false,
        en_ordre: counts.failed == 0 && waiting == 0 && !messagerie_fermee,
        acceptees: counts.submissions,
        remis: counts.delivered,
        a_envoyer: counts.waiting + counts.sending,
        en_echec: counts.failed,
        quarantaine: store.quarantined(now)?.len() as u64,
        boites_a_confirmer: waiting,
        messagerie_fermee,
        panne: None,
    })
}

fn open(place: &DataPlace) -> Result<Store, StoreError> {
    let key_file = place.key_file.clone();
    Store::open(&place.data, StoreOptions { access: Access::Beside, key_file, ..StoreOptions::default() })
}

/// A message that waits or failed, and whose it is.
#[derive(Serialize)]
struct Waiting {
    commune: String,
    #[serde(flatten)]
    message: super::demandes::told::Message,
}

/// What waits or failed, in all communes; for a program.
pub(super) fn queue(places: &[DataPlace]) -> Exit {
    let states = [DeliveryState::Waiting, DeliveryState::Sending, DeliveryState::Failed];
    let mut all = Vec::new();
    for place in places {
        let rows = match open(place).and_then(|store| store.queue(&states, 1_000)) {
            Ok(rows) => rows,
            Err(StoreError::Absent { .. }) => continue,
            Err(error) => return store_fault(&error),
        };
        let teller = super::demandes::told::Teller { zone: super::place::zone_of(place.config.as_ref()) };
        all.extend(rows.iter().map(|row| Waiting {
            commune: place.commune.clone().unwrap_or_default(),
            message: teller.message(row, &[]),
        }));
    }
    report::give(serde_json::to_string_pretty(&all).unwrap_or_default());
    Exit::Done
}

/// Those that have received something.
pub(super) fn with_data(places: Vec<DataPlace>) -> Vec<DataPlace> {
    places.into_iter().filter(|place| place.data.join("guichet.db").exists()).collect()
}

/// The order for each commune, under its name; the worst of their codes.
pub(super) fn each(places: Vec<DataPlace>, mut order: impl FnMut(DataPlace) -> Exit) -> Exit {
    let mut worst = Exit::Done;
    for place in places {
        report::say(format!("— {}", place.commune.as_deref().unwrap_or_default()));
        worst = match (worst, order(place)) {
            (Exit::Machine, _) | (_, Exit::Machine) => Exit::Machine,
            (Exit::Fault, _) | (_, Exit::Fault) => Exit::Fault,
            _ => Exit::Done,
        };
    }
    worst
}
