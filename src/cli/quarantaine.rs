//! `mulot demandes quarantaine`, `liberer`, `ecarter`: what looks written by a machine, and what a person decides of it.

use jiff::Timestamp;

use super::demandes::told::Teller;
use super::demandes::unknown;
use super::{Exit, report};
use crate::intake::notice::reason_words;
use crate::intake::store::{Store, StoreError};
use crate::model::intake::Quarantined;
use crate::model::reference::Reference;
use crate::text::numbers::plural;

/// Lists what waits.
pub(super) fn list(store: &Store, teller: &Teller, json: bool) -> Result<Exit, StoreError> {
    let waiting = store.quarantined(Timestamp::now())?;
    if json {
        report::give(serde_json::to_string_pretty(&waiting).unwrap_or_default());
        return Ok(Exit::Done);
    }
    waiting.iter().for_each(|one| report::give(line(one, teller)));
    conclude(waiting.len());
    Ok(Exit::Done)
}

/// Says how many there are, and what to do of them.
pub(super) fn conclude(count: usize) {
    report::say(match count {
        0 => "Rien n'est en quarantaine.".to_owned(),
        count => format!(
            "{} en quarantaine ; mulot demandes voir RÉFÉRENCE --reponses montre ce qui est écrit, puis liberer ou ecarter",
            plural(count as u64, "demande", "demandes")
        ),
    });
}

/// « 2026-K7M2-QX4D-3  contact  beaucoup de liens  (acceptée le …, part seule le …) ».
pub(super) fn line(one: &Quarantined, teller: &Teller) -> String {
    let reasons = one.reasons.iter().map(|reason| reason_words(reason)).collect::<Vec<_>>().join(", ");
    let told = if one.told_at.is_some() { "mairie prévenue" } else { "mairie pas encore prévenue" };
    format!(
        "{}  {}  {reasons}  (acceptée le {}, part seule le {}, {told})",
        one.reference.as_str(),
        one.form_id,
        teller.when(one.since),
        teller.when(one.until)
    )
}

/// Lets a request leave now.
pub(super) fn release(store: &Store, reference: &Reference) -> Result<Exit, StoreError> {
    decide(
        store,
        reference,
        Store::release,
        "elle part à la mairie, et l'accusé à l'habitant, dès que le guichet tourne",
    )
}

/// Puts a request aside.
pub(super) fn set_aside(store: &Store, reference: &Reference) -> Result<Exit, StoreError> {
    decide(
        store,
        reference,
        Store::set_aside,
        "rien ne part ; ses réponses restent jusqu'à leur date, et mulot demandes renvoyer la reprend",
    )
}

fn decide(
    store: &Store,
    reference: &Reference,
    act: impl FnOnce(&Store, &Reference, Timestamp) -> Result<bool, StoreError>,
    done: &str,
) -> Result<Exit, StoreError> {
    if act(store, reference, Timestamp::now())? {
        report::say(format!("{} : {done}", reference.as_str()));
        return Ok(Exit::Done);
    }
    if store.detail(reference, false)?.is_none() {
        return Ok(unknown(reference));
    }
    report::say(format!("erreur : {} n'est pas, ou plus, en quarantaine", reference.as_str()));
    report::say("aide : mulot demandes voir RÉFÉRENCE dit ce qu'elle est devenue");
    Ok(Exit::Fault)
}
