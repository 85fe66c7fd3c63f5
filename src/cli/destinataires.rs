//! `mulot demandes destinataires`: the mailboxes requests are sent to, which of them are confirmed, and how to confirm the others.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::demandes::told::Teller;
use super::{Exit, report, resolved};
use crate::intake::store::{MailboxState, Store, StoreError};
use crate::server::config::GuichetConfig;
use crate::text::numbers::plural;

/// What is asked.
pub(super) enum Order<'a> {
    /// The list.
    List,
    /// Another code for this address, or for all that wait.
    Renew(Option<&'a str>),
    /// This code was read in a mailbox.
    Confirm(&'a str),
}

/// A mailbox, for a program.
#[derive(Serialize)]
pub(super) struct Mailbox {
    adresse: String,
    confirmee_le: Option<String>,
    code_envoye_le: Option<String>,
    code_valable: bool,
    refus_smtp: Option<u16>,
    dans_le_dossier: Option<bool>,
}

impl Mailbox {
    /// What is told of a mailbox.
    pub(super) fn of(state: &MailboxState, named: Option<&BTreeSet<String>>, teller: &Teller) -> Mailbox {
        Mailbox {
            confirmee_le: state.confirmed_at.map(|at| teller.iso(at)),
            code_envoye_le: state.sent_at.map(|at| teller.iso(at)),
            code_valable: state.confirmed_at.is_none() && state.has_code(Timestamp::now()),
            refus_smtp: state.refused,
            dans_le_dossier: named.map(|named| is_named(named, &state.address)),
            adresse: state.address.clone(),
        }
    }
}

/// Does what is asked; code 1 when a mailbox of the folder is not confirmed after it.
pub(super) fn run(
    store: &Store,
    config: Option<&GuichetConfig>,
    order: &Order<'_>,
    (teller, json): (&Teller, bool),
) -> Result<Exit, StoreError> {
    match order {
        Order::Confirm(code) => return confirm(store, code),
        Order::Renew(address) => return renew(store, *address),
        Order::List => {}
    }
    let told = told(store, config, teller)?;
    let exit = if told.waiting == 0 { Exit::Done } else { Exit::Fault };
    if json {
        let list: Vec<&Mailbox> = told.mailboxes.iter().map(|(_, mailbox)| mailbox).collect();
        report::give(serde_json::to_string_pretty(&list).unwrap_or_default());
        return Ok(exit);
    }
    told.mailboxes.iter().for_each(|(line, _)| report::give(line));
    if config.is_some_and(|config| !config.confirms_mailboxes) {
        report::say("confirmer_destinataires = false : toutes les boîtes reçoivent, confirmées ou non.");
    } else {
        conclude(told.mailboxes.len(), told.waiting, "");
    }
    Ok(exit)
}

/// The mailboxes of a mairie.
pub(super) struct Told {
    /// A line each, and the same for a program.
    pub(super) mailboxes: Vec<(String, Mailbox)>,
    /// Of the folder, those that must still be confirmed; none when nobody asks for it.
    pub(super) waiting: usize,
}

/// The mailboxes that a store knows.
pub(super) fn told(store: &Store, config: Option<&GuichetConfig>, teller: &Teller) -> Result<Told, StoreError> {
    let named = config.and_then(|config| named(&config.folder));
    let states = store.mailboxes()?;
    let waits = waiting(&states, named.as_ref());
    let asked = config.is_none_or(|config| config.confirms_mailboxes);
    let one = |state: &MailboxState| {
        let is_old = named.as_ref().is_some_and(|named| !is_named(named, &state.address));
        let old = if is_old { " (n'est plus dans le dossier)" } else { "" };
        let mark = if waits.contains(&state) && asked { "!" } else { " " };
        let line = format!("{mark} {}  {}{old}", state.address, line(state, teller));
        (line, Mailbox::of(state, named.as_ref(), teller))
    };
    let waiting = if asked { waits.len() } else { 0 };
    Ok(Told { mailboxes: states.iter().map(one).collect(), waiting })
}

/// Says what is to be done of them; `whose` is what names one of many communes.
pub(super) fn conclude(known: usize, waiting: usize, whose: &str) {
    if known == 0 {
        report::say("Aucune boîte n'est connue : elles le sont au premier démarrage de mulot guichet.");
    } else if waiting > 0 {
        report::say(format!(
            "Chaque boîte a reçu un code : tapez-le sur la page du message, ou mulot demandes destinataires{whose} --confirmer CODE \
             (--renvoyer : un autre code)"
        ));
    }
}

/// Mailboxes that must still be confirmed: of the folder, when it is known.
pub(super) fn waiting<'s>(states: &'s [MailboxState], named: Option<&BTreeSet<String>>) -> Vec<&'s MailboxState> {
    let is_wanted = |state: &&MailboxState| named.is_none_or(|named| is_named(named, &state.address));
    states.iter().filter(|state| state.confirmed_at.is_none()).filter(is_wanted).collect()
}

/// « code envoyé le 26 novembre 2026 à 9 h 32 ».
pub(super) fn line(state: &MailboxState, teller: &Teller) -> String {
    match (state.confirmed_at, state.refused, state.sent_at) {
        (Some(at), ..) => format!("confirmée le {}", teller.when(at)),
        (None, Some(code), _) => format!("à confirmer : le serveur refuse cette adresse ({code}), vérifiez-la"),
        _ if !state.has_code(Timestamp::now()) => {
            "à confirmer : le code ne vaut plus, demandez-en un autre avec --renvoyer".to_owned()
        }
        (None, None, Some(at)) => format!("à confirmer : code envoyé le {}", teller.when(at)),
        (None, None, None) => "à confirmer : le code part dès que le guichet tourne".to_owned(),
    }
}

/// The mailboxes of the commune's folder.
pub(super) fn named(folder: &Path) -> Option<BTreeSet<String>> {
    let (site, _) = resolved(folder, Timestamp::now())?;
    let own = site.forms.values().flat_map(|form| form.mailboxes().chain(&form.backup_recipients));
    Some(own.map(|address| address.trim().to_lowercase()).collect())
}

fn is_named(named: &BTreeSet<String>, address: &str) -> bool {
    named.contains(&address.trim().to_lowercase())
}

fn confirm(store: &Store, code: &str) -> Result<Exit, StoreError> {
    let now = Timestamp::now();
    let states = store.mailboxes()?;
    let is_its = |state: &&MailboxState| {
        state.confirmed_at.is_none()
            && state.has_code(now)
            && store.keys().is_mailbox_code(&state.tag, state.issued_at, code)
    };
    let mut found = states.iter().filter(is_its);
    match (found.next(), found.next()) {
        (Some(state), None) => {
            store.confirm_mailbox(state.tag, now)?;
            report::say(format!("{} est confirmée ; ses formulaires ouvrent dans les dix secondes", state.address));
            Ok(Exit::Done)
        }
        (None, _) => {
            report::say("erreur : ce code n'est celui d'aucune boîte qui attend");
            report::say("aide : prenez le code du dernier message reçu, ou --renvoyer pour en recevoir un autre");
            Ok(Exit::Fault)
        }
        (Some(_), Some(_)) => {
            report::say("erreur : deux boîtes ont ce code, par hasard");
            report::say("aide : tapez-le sur la page du message, ou --renvoyer pour en recevoir un autre");
            Ok(Exit::Fault)
        }
    }
}

fn renew(store: &Store, address: Option<&str>) -> Result<Exit, StoreError> {
    let now = Timestamp::now();
    let wanted = address.map(|address| store.mailbox_tag(address));
    let mut count = 0;
    for state in store.mailboxes()?.iter().filter(|state| wanted.is_none_or(|wanted| state.tag == wanted)) {
        count += u64::from(store.renew_mailbox_code(state.tag, SignedDuration::ZERO, now)?);
    }
    if count == 0 {
        report::say(match address {
            Some(address) => format!("erreur : « {address} » n'attend pas de code"),
            None => "Aucune boîte n'attend de code.".to_owned(),
        });
        return Ok(if address.is_some() { Exit::Fault } else { Exit::Done });
    }
    report::say(format!(
        "{} ; le guichet les envoie dès qu'il tourne, et les codes d'avant ne valent plus",
        plural(count, "code neuf", "codes neufs")
    ));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::store::StoreOptions;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions { min_free_bytes: 0, ..StoreOptions::default() }).unwrap();
        let own = ["mairie@a.fr", "ecole@a.fr"].map(str::to_owned).into();
        store.know_mailboxes(own, BTreeSet::new(), Timestamp::now()).unwrap();
        (dir, store)
    }

    #[test]
    fn a_code_confirms_its_mailbox_and_another_one_replaces_it() {
        let (_dir, store) = store();
        let state = store.mailboxes().unwrap().remove(0);
        let code = store.keys().mailbox_code(&state.tag, state.issued_at);
        assert_eq!(confirm(&store, "12").unwrap(), Exit::Fault);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(renew(&store, Some(&state.address.to_uppercase())).unwrap(), Exit::Done);
        assert_eq!(confirm(&store, &code).unwrap(), Exit::Fault, "the old one");
        let state = store.mailboxes().unwrap().remove(0);
        let code = store.keys().mailbox_code(&state.tag, state.issued_at);
        assert_eq!(confirm(&store, &code).unwrap(), Exit::Done);
        assert_eq!(renew(&store, Some(&state.address)).unwrap(), Exit::Fault, "it needs none");
        let states = store.mailboxes().unwrap();
        assert_eq!(waiting(&states, None).len(), 1);
        assert!(waiting(&states, Some(&["mairie@a.fr".to_owned()].into())).len() <= 1);
        let teller = Teller { zone: jiff::tz::TimeZone::UTC };
        assert!(line(&states[0], &teller).starts_with("confirmée le"));
        assert!(line(&states[1], &teller).contains("dès que le guichet tourne"));
        assert_eq!(run(&store, None, &Order::List, (&teller, true)).unwrap(), Exit::Fault);
    }
}
