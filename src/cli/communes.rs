//! What an order says of all the communes of a territoire: a table, lines that each name their commune, or each in its turn.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::demandes::told::Teller;
use super::faults::store_fault;
use super::place::{DataPlace, Standing, which, zone_of};
use super::{Exit, destinataires, quarantaine, report};
use crate::diagnostic::has_errors;
use crate::intake::backup;
use crate::intake::files::FileError;
use crate::intake::store::{Store, StoreError};
use crate::load::{self, Layers, Shared, Territoire};
use crate::model::commune::Commune;
use crate::model::intake::DeliveryState;
use crate::model::reference::Reference;
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
    derniere_sauvegarde: Option<String>,
    /// Whether there is something to lose, and no copy of this week; the guichet works all the same.
    sauvegarde_a_faire: bool,
    #[serde(skip)]
    sauvegarde: String,
    /// Why it cannot be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    panne: Option<&'static str>,
}

/// One line a commune; code 1 when one of them calls for a person.
pub(super) fn state(places: &[DataPlace], json: bool) -> Exit {
    // Read once for all its communes.
    let root = places.iter().find_map(|place| Territoire::above(&place.config.as_ref()?.folder));
    let territoire = root.and_then(|root| Territoire::read(&root).0).map(Arc::new);
    let rows: Vec<Row> = places.iter().map(|place| row(place, territoire.as_ref())).collect();
    let wrong = rows.iter().filter(|row| !row.en_ordre).count();
    let exit = if wrong == 0 { Exit::Done } else { Exit::Fault };
    if json {
        report::give(serde_json::to_string_pretty(&rows).unwrap_or_default());
        return exit;
    }
    let width = rows.iter().map(|row| row.commune.chars().count()).max().unwrap_or(0).max("Commune".len());
    report::give(format!(
        "  {:<width$}  {:>9}  {:>6}  {:>9}  {:>8}  {:>11}  {:>11}  {:>12}",
        "Commune", "Acceptées", "Remis", "À envoyer", "En échec", "Quarantaine", "À confirmer", "Sauvegarde"
    ));
    for row in &rows {
        report::give(line(row, width));
    }
    let communes = plural(rows.len() as u64, "commune", "communes");
    let uncopied = rows.iter().filter(|row| row.en_ordre && row.sauvegarde_a_faire).count();
    report::say(match (wrong, uncopied) {
        (0, 0) => format!("{communes} : tout va bien."),
        (0, uncopied) => format!(
            "{communes} : les guichets marchent, mais {} : mulot backup",
            plural(
                uncopied as u64,
                "n'a pas de sauvegarde de cette semaine",
                "n'ont pas de sauvegarde de cette semaine"
            )
        ),
        (wrong, _) => format!(
            "{communes}, dont {wrong} à regarder (les lignes qui commencent par « ! ») : mulot demandes --commune NOM"
        ),
    });
    exit
}

fn line(row: &Row, width: usize) -> String {
    let mark = if row.en_ordre && !row.sauvegarde_a_faire { " " } else { "!" };
    let name = &row.commune;
    if let Some(why) = row.panne {
        return format!("{mark} {name:<width$}  {why}");
    }
    if row.vide {
        return format!("{mark} {name:<width$}  {:>9}", "–");
    }
    let closed = if row.messagerie_fermee { "  serveur de courriel fermé" } else { "" };
    format!(
        "{mark} {name:<width$}  {:>9}  {:>6}  {:>9}  {:>8}  {:>11}  {:>11}  {:>12}{closed}",
        row.acceptees, row.remis, row.a_envoyer, row.en_echec, row.quarantaine, row.boites_a_confirmer, row.sauvegarde
    )
}

fn row(place: &DataPlace, territoire: Option<&Arc<Territoire>>) -> Row {
    let commune = place.commune.clone().unwrap_or_default();
    let row = match open(place)
        .and_then(|store| Ok((counted(&store, place, commune.clone())?, bucket_trouble(&store, place))))
    {
        Ok((row, None)) => row,
        Ok((row, panne)) => Row { en_ordre: false, panne, ..row },
        Err(StoreError::Absent { .. }) => Row { commune, vide: true, en_ordre: true, ..Row::default() },
        Err(error) => {
            let panne = match error {
                StoreError::Key(_) => "la clé ne peut pas être lue",
                StoreError::WrongKey { .. } => "la clé n'est pas celle de ces demandes",
                StoreError::Damaged { .. } => "la base est illisible ou abîmée",
                StoreError::Lost { .. } => "la base n'est plus là : restaurez la dernière sauvegarde",
                StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                    "ce compte n'a pas le droit de la lire (sudo -u mulot mulot …)"
                }
                StoreError::Newer { .. } => "la base vient d'une version plus récente de Mulot",
                _ => "la base ne peut pas être lue",
            };
            Row { commune, panne: Some(panne), ..Row::default() }
        }
    };
    match territoire.and_then(|territoire| content_trouble(place, territoire)).filter(|_| row.panne.is_none()) {
        None => row,
        panne => Row { en_ordre: false, panne, ..row },
    }
}

/// Why what a commune says of itself keeps its guichet from being opened; its pages are for `mulot check` and `mulot etat`.
fn content_trouble(place: &DataPlace, territoire: &Arc<Territoire>) -> Option<&'static str> {
    let folder = &place.config.as_ref().filter(|_| place.standing == Standing::Served)?.folder;
    if !folder.join(Commune::FILE).is_file() {
        return None;
    }
    let (commune, told) = load::described(&Layers::within(territoire, folder, &Shared::default()));
    (commune.is_none() || has_errors(&told))
        .then_some("son dossier a une faute : le guichet ne pourrait pas s'ouvrir (mulot check)")
}

/// Why the bucket of a commune's files keeps its guichet closed. One that only does not answer keeps nobody out: the guichet
/// says it where it is asked whether it is ready.
fn bucket_trouble(store: &Store, place: &DataPlace) -> Option<&'static str> {
    place.bucket()?;
    let error = place.files(store).err().filter(FileError::is_of_bucket)?;
    Some(match error {
        FileError::ForeignBucket { .. } => "le seau des fichiers n'est pas le sien",
        _ => "le seau des fichiers la refuse",
    })
}

fn counted(store: &Store, place: &DataPlace, commune: String) -> Result<Row, StoreError> {
    let (counts, now) = (store.counts()?, Timestamp::now());
    // Nobody of a closed guichet is asked for a code.
    let asked = if place.standing == Standing::Aside { Vec::new() } else { store.mailboxes()? };
    let waiting = asked.iter().filter(|mailbox| mailbox.confirmed_at.is_none()).count() as u64;
    let messagerie_fermee = store.route()?.is_some();
    let copied = backup::last_made(&place.data);
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
        derniere_sauvegarde: copied.map(|at| teller(place).iso(at)),
        sauvegarde_a_faire: counts.submissions > 0
            && copied.is_none_or(|copied| now.duration_since(copied) > backup::OLD_AFTER),
        sauvegarde: copied.map_or_else(|| "jamais".to_owned(), |at| age(now.duration_since(at))),
        panne: None,
    })
}

/// « 3 jours ».
fn age(since: SignedDuration) -> String {
    match since.as_hours() {
        // Copied by a clock that was ahead, or read by one that is behind.
        ..0 => "date à venir".to_owned(),
        0 => "moins d'1 h".to_owned(),
        hours @ 1..48 => format!("{hours} h"),
        hours => format!("{} jours", hours / 24),
    }
}

fn open(place: &DataPlace) -> Result<Store, StoreError> {
    Store::open(&place.data, place.beside())
}

fn teller(place: &DataPlace) -> Teller {
    Teller { zone: zone_of(place.config.as_ref()) }
}

fn name(place: &DataPlace) -> &str {
    place.commune.as_deref().unwrap_or_default()
}

/// A line, and the same for a program.
type Told = (String, Value);

/// An object, and whose it is.
#[derive(Serialize)]
struct Named<'a> {
    commune: &'a str,
    #[serde(flatten)]
    told: &'a Value,
}

/// What waits or failed, in all communes.
pub(super) fn queue(places: &[DataPlace], json: bool) -> Exit {
    let states = [DeliveryState::Waiting, DeliveryState::Sending, DeliveryState::Failed];
    let (count, exit) = lines(places, json, |store, place| {
        let (rows, teller) = (store.queue(&states, 1_000)?, teller(place));
        Ok(rows.iter().map(|row| (teller.line(row), value(&teller.message(row, &[])))).collect())
    });
    if !json {
        report::give(match count {
            0 => "Rien n'attend.".to_owned(),
            count => plural(count as u64, "message", "messages"),
        });
    }
    exit
}

/// What is in quarantine, in all communes.
pub(super) fn quarantine(places: &[DataPlace], json: bool) -> Exit {
    let (count, exit) = lines(places, json, |store, place| {
        let (rows, teller) = (store.quarantined(Timestamp::now())?, teller(place));
        Ok(rows.iter().map(|one| (quarantaine::line(one, &teller), value(one))).collect())
    });
    if !json {
        quarantaine::conclude(count);
    }
    exit
}

/// The mailboxes of all mairies; code 1 when one is still to be confirmed.
pub(super) fn mailboxes(places: &[DataPlace], json: bool) -> Exit {
    let waiting = std::cell::Cell::new(0);
    let (count, exit) = lines(places, json, |store, place| {
        let told = destinataires::told(store, place.config.as_ref(), &teller(place))?;
        waiting.set(waiting.get() + told.waiting);
        Ok(told.mailboxes.into_iter().map(|(line, mailbox)| (line, value(&mailbox))).collect())
    });
    if !json {
        destinataires::conclude(count, waiting.get(), " --commune NOM");
    }
    if exit == Exit::Done && waiting.get() > 0 { Exit::Fault } else { exit }
}

fn value(told: &impl Serialize) -> Value {
    serde_json::to_value(told).unwrap_or_default()
}

/// Gives the lines of all communes, each after the name of its own, or one list for a program; how many, and the worst code.
fn lines(
    places: &[DataPlace],
    json: bool,
    of: impl Fn(&Store, &DataPlace) -> Result<Vec<Told>, StoreError>,
) -> (usize, Exit) {
    let (mut all, mut exit) = (Vec::new(), Exit::Done);
    for place in places {
        match open(place).and_then(|store| of(&store, place)) {
            Ok(told) => all.extend(told.into_iter().map(|told| (name(place), told))),
            Err(StoreError::Absent { .. }) => {}
            Err(error) => {
                report::say(format!("— {}", name(place)));
                exit = worse(exit, store_fault(&error));
            }
        }
    }
    if json {
        let objects: Vec<Named<'_>> = all.iter().map(|(commune, (_, told))| Named { commune, told }).collect();
        report::give(serde_json::to_string_pretty(&objects).unwrap_or_default());
    } else {
        let width = all.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        all.iter().for_each(|(name, (line, _))| report::give(format!("{name:<width$}  {line}")));
    }
    (all.len(), exit)
}

/// The commune that holds a request; told when none does, or more than one.
pub(super) fn holder(places: Vec<DataPlace>, reference: &Reference, order: &str) -> Result<DataPlace, Exit> {
    let (mut holding, mut unread) = (Vec::new(), Vec::new());
    for place in places {
        match open(&place).and_then(|store| store.detail(reference, false)) {
            Ok(Some(_)) => holding.push(place),
            Ok(None) | Err(StoreError::Absent { .. }) => {}
            Err(_) => unread.push(name(&place).to_owned()),
        }
    }
    if holding.len() > 1 {
        return Err(which(&holding, order));
    }
    if holding.is_empty() && !unread.is_empty() {
        report::say(format!(
            "avertissement : les demandes de {} ne peuvent pas être lues : mulot demandes --commune NOM dit pourquoi",
            unread.join(", ")
        ));
    }
    let Some(place) = holding.pop() else { return Err(super::demandes::unknown(reference)) };
    report::say(format!("— {}", name(&place)));
    Ok(place)
}

/// Those that have received something.
pub(super) fn with_data(places: Vec<DataPlace>) -> Vec<DataPlace> {
    let is_there = |place: &DataPlace| match place.base() {
        None => Store::is_in(&place.data),
        Some(_) => !matches!(open(place), Err(StoreError::Absent { .. })),
    };
    places.into_iter().filter(is_there).collect()
}

/// The order for each commune, under its name, that `title` shows; how each ended.
pub(super) fn each(
    places: Vec<DataPlace>,
    title: fn(String),
    mut order: impl FnMut(DataPlace) -> Exit,
) -> Vec<(String, Exit)> {
    let mut ended = Vec::new();
    for place in places {
        let name = name(&place).to_owned();
        title(format!("— {name}"));
        ended.push((name, order(place)));
    }
    ended
}

/// The worst of their codes.
pub(super) fn worst(ended: &[(String, Exit)]) -> Exit {
    ended.iter().fold(Exit::Done, |worst, (_, exit)| worse(worst, *exit))
}

pub(super) fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Machine, _) | (_, Exit::Machine) => Exit::Machine,
        (Exit::Fault, _) | (_, Exit::Fault) => Exit::Fault,
        _ => Exit::Done,
    }
}
