//! `mulot demandes etat`: the technician's page. Is everything in order; what waits and since when; why the way out is closed;
//! the disk; the last backup; which forms are closed and why.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::demandes::told::{self, Teller};
use super::integrity::Integrity;
use super::place::{DataPlace, Standing, is_key_open, open_key_words};
use super::{Exit, destinataires, quarantaine, report, resolved};
use crate::diagnostic::Code;
use crate::intake::backup;
use crate::intake::files::Reading;
use crate::intake::store::{Counts, MailboxState, Pace, RouteState, Store, StoreError};
use crate::model::content::Kind;
use crate::model::intake::{Quarantined, QueueRow};
use crate::model::mail::MailRole;
use crate::server::acme::{self, HostState};
use crate::server::config::GuichetConfig;
use crate::text::numbers::{file_size, plural};

/// A mail that waits longer than this is stuck.
const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// A certificate that ends sooner should have been renewed long ago.
const CERTIFICATE_BEFORE: SignedDuration = SignedDuration::from_hours(7 * 24);

struct StateReport {
    en_ordre: bool,
    comptes: Counts,
    plus_ancien_en_attente: Option<Timestamp>,
    route: Option<RouteState>,
    bloques: Vec<QueueRow>,
    cadence: Option<Pace>,
    quarantaine: Vec<Quarantined>,
    disque: Disk,
    derniere_sauvegarde: Option<Timestamp>,
    /// The key file, when others than its owner can read it.
    cle_lisible: Option<PathBuf>,
    integrite: Integrity,
    /// Mailboxes of the mairie that must still be confirmed.
    boites: Vec<MailboxState>,
    /// Certificates the server asks for by itself.
    certificats: Vec<HostState>,
    /// Unknown when only the data folder was given.
    formulaires: Option<Forms>,
}

/// The same for a program; the keys are those of docs/guichet.md.
#[derive(Serialize)]
struct StateJson<'r> {
    en_ordre: bool,
    #[serde(flatten)]
    etat: told::State,
    /// What waits because the hour has had its share.
    cadence: Option<Cadence>,
    quarantaine: &'r [Quarantined],
    disque: &'r Disk,
    derniere_sauvegarde: Option<String>,
    cle_lisible_par_d_autres: bool,
    integrite: &'r Integrity,
    boites_a_confirmer: Vec<destinataires::Mailbox>,
    certificats: &'r [HostState],
    formulaires: &'r Option<Forms>,
}

fn json_of<'r>(report: &'r StateReport, teller: &Teller) -> StateJson<'r> {
    StateJson {
        en_ordre: report.en_ordre,
        etat: teller.state(&report.comptes, report.route.as_ref(), &report.bloques, report.plus_ancien_en_attente),
        cadence: report.cadence.map(|pace| Cadence { en_attente: pace.due, prochain_envoi: teller.iso(pace.opens_at) }),
        quarantaine: &report.quarantaine,
        disque: &report.disque,
        derniere_sauvegarde: report.derniere_sauvegarde.map(|at| teller.iso(at)),
        cle_lisible_par_d_autres: report.cle_lisible.is_some(),
        integrite: &report.integrite,
        boites_a_confirmer: report.boites.iter().map(|state| destinataires::Mailbox::of(state, None, teller)).collect(),
        certificats: &report.certificats,
        formulaires: &report.formulaires,
    }
}

#[derive(Serialize)]
struct Cadence {
    en_attente: u64,
    prochain_envoi: String,
}

#[derive(Serialize)]
struct Disk {
    octets_libres: u64,
    octets_reserves: Option<u64>,
    plein: bool,
    lecture_seule: bool,
}

#[derive(Serialize, Default)]
struct Forms {
    ouverts: Vec<String>,
    fermes: Vec<Closed>,
}

#[derive(Serialize)]
struct Closed {
    formulaire: String,
    titre: String,
    raisons: Vec<String>,
}

/// Says all of it; code 1 when something calls for a person.
pub(super) fn state(
    store: &Store,
    (place, reading): (&DataPlace, Reading),
    teller: &Teller,
    json: bool,
) -> Result<Exit, StoreError> {
    let told = look(store, place, reading)?;
    let exit = if told.en_ordre { Exit::Done } else { Exit::Fault };
    if json {
        report::give(serde_json::to_string_pretty(&json_of(&told, teller)).unwrap_or_default());
        return Ok(exit);
    }
    page(&told, teller).iter().for_each(report::give);
    told.integrite.tell();
    report::say(if told.en_ordre && !told.is_at_risk(Timestamp::now()) {
        "Tout va bien."
    } else if told.en_ordre {
        "Le guichet marche, mais une panne ou un vol coûterait cher : les lignes qui commencent par « ! »."
    } else {
        "Quelque chose demande votre attention : les lignes qui commencent par « ! »."
    });
    Ok(exit)
}

impl StateReport {
    /// Whether what works today is badly protected: no fresh backup, a key that others can read.
    fn is_at_risk(&self, now: Timestamp) -> bool {
        self.cle_lisible.is_some() || !self.has_fresh_backup(now)
    }

    fn has_fresh_backup(&self, now: Timestamp) -> bool {
        self.derniere_sauvegarde.is_some_and(|at| now.duration_since(at) <= backup::OLD_AFTER)
    }
}

fn look(store: &Store, place: &DataPlace, reading: Reading) -> Result<StateReport, StoreError> {
    let (now, data, config) = (Timestamp::now(), &place.data, place.config.as_ref());
    let free = store.free_bytes()?;
    let reserve = config.map(|config| config.reserve_bytes);
    let disque = Disk {
        octets_libres: free,
        octets_reserves: reserve,
        plein: reserve.is_some_and(|reserve| free < reserve),
        lecture_seule: store.is_read_only(),
    };
    let (comptes, route, bloques) = (store.counts()?, store.route()?, store.stuck(now, STUCK_AFTER)?);
    let integrite = Integrity::look(store, place, reading)?;
    let asks = place.standing != Standing::Aside;
    let boites = waiting_mailboxes(store, config.filter(|_| asks))?;
    let certificats = acme::states(data);
    let waiting = boites.iter().map(|state| state.address.to_lowercase()).collect();
    Ok(StateReport {
        en_ordre: integrite.is_sound()
            && comptes.failed == 0
            && route.is_none()
            && bloques.is_empty()
            && boites.is_empty()
            && !certificats.iter().any(|one| lacks_certificate(one, now))
            && !disque.plein
            && !disque.lecture_seule,
        // What waits in quarantine is dated from when it may leave.
        plus_ancien_en_attente: store.oldest_waiting(MailRole::Mairie)?.filter(|oldest| *oldest <= now),
        comptes,
        route,
        bloques,
        cadence: match config.and_then(|config| config.per_hour) {
            Some(per_hour) => store.paced(per_hour, now)?,
            None => None,
        },
        quarantaine: store.quarantined(now)?,
        disque,
        derniere_sauvegarde: backup::last_made(data),
        cle_lisible: Some(store.key_file().to_owned()).filter(|path| is_key_open(path)),
        integrite,
        boites,
        certificats,
        formulaires: config.and_then(|config| forms(&config.folder, &waiting, now)),
    })
}

/// Mailboxes of the folder that are not confirmed; none when the configuration does not ask for it, or is not known.
fn waiting_mailboxes(store: &Store, config: Option<&GuichetConfig>) -> Result<Vec<MailboxState>, StoreError> {
    let Some(config) = config.filter(|config| config.confirms_mailboxes) else { return Ok(Vec::new()) };
    let (states, named) = (store.mailboxes()?, destinataires::named(&config.folder));
    Ok(destinataires::waiting(&states, named.as_ref()).into_iter().cloned().collect())
}

/// Whether visitors of a host are turned away, or soon will be: what should have been renewed weeks ago is not.
fn lacks_certificate(state: &HostState, now: Timestamp) -> bool {
    state.until.is_none_or(|until| until < now + CERTIFICATE_BEFORE)
}

/// One line a host that lacks a certificate or waits for a better one; one for all the others.
fn certificates(states: &[HostState], teller: &Teller, now: Timestamp) -> Vec<String> {
    let good = states.iter().filter(|one| one.trouble.is_none() && !lacks_certificate(one, now)).count();
    let mut lines = Vec::new();
    if good > 0 {
        lines.push(format!("  Certificats en règle      {good}"));
    }
    for one in states.iter().filter(|one| one.trouble.is_some() || lacks_certificate(one, now)) {
        let mark = if lacks_certificate(one, now) { "!" } else { " " };
        let until = one.until.map_or_else(|| "aucun".to_owned(), |until| format!("jusqu'au {}", teller.when(until)));
        let why = one.trouble.as_ref().map(|why| format!(" ; {why}")).unwrap_or_default();
        let again = one.again.map(|again| format!(" ; nouvel essai le {}", teller.when(again))).unwrap_or_default();
        lines.push(format!("{mark} Certificat                {} : {until}{why}{again}", one.host));
    }
    lines
}

/// Forms of the commune's folder: those that take requests, and why the others do not.
fn forms(folder: &Path, waiting: &BTreeSet<String>, now: Timestamp) -> Option<Forms> {
    let (site, told) = resolved(folder, now)?;
    let mut forms = Forms::default();
    for form in site.forms.values() {
        if form.mailboxes().all(|address| waiting.contains(&address.trim().to_lowercase())) {
            let (formulaire, titre) = (form.id.clone(), form.title.clone());
            let raisons = vec!["aucune de ses boîtes n'est confirmée".to_owned()];
            forms.fermes.push(Closed { formulaire, titre, raisons });
        } else {
            forms.ouverts.push(form.id.clone());
        }
    }
    for content in &site.contents {
        let Kind::Demarche(demarche) = &content.kind else { continue };
        if demarche.form.is_none() || site.forms.contains_key(&content.slug) {
            continue;
        }
        let about = |one: &&crate::diagnostic::Diagnostic| {
            matches!(one.code, Code::NoRecipient | Code::IncompleteService)
                // A list of many forms names the first ones only.
                && (one.message.contains(&format!("« {} »", content.title)) || one.message.contains("restent fermés, dont"))
        };
        // What the others are is told on their own lines.
        let reason = |one: &crate::diagnostic::Diagnostic| {
            one.message.split_once(" : ").map_or(one.message.clone(), |(reason, _)| reason.to_owned())
        };
        let raisons = told.iter().filter(about).map(reason).collect();
        forms.fermes.push(Closed { formulaire: content.slug.clone(), titre: content.title.clone(), raisons });
    }
    Some(forms)
}

/// The page, line by line; what calls for a person begins with « ! ».
fn page(told: &StateReport, teller: &Teller) -> Vec<String> {
    let counts = &told.comptes;
    let mark = |is_wrong: bool| if is_wrong { "!" } else { " " };
    let mut lines = vec![
        format!("  Demandes acceptées        {}", counts.submissions),
        format!("    dont réponses effacées  {}", counts.purged),
        format!("  Messages remis            {}", counts.delivered),
        format!("    à envoyer               {}", counts.waiting + counts.sending),
        format!("{}   en échec définitif      {}", mark(counts.failed > 0), counts.failed),
        format!("    abandonnés              {}", counts.cancelled),
    ];
    lines.extend(
        told.plus_ancien_en_attente.map(|oldest| format!("  Plus ancien en attente    {}", teller.when(oldest))),
    );
    lines.push(match &told.route {
        Some(route) => format!(
            "! Serveur de courriel       {} depuis le {} ; prochain essai le {}",
            told::reason(&route.reason),
            teller.when(route.since),
            teller.when(route.blocked_until)
        ),
        None => "  Serveur de courriel       aucun refus au dernier essai".to_owned(),
    });
    lines.extend(told.cadence.map(|pace| {
        format!(
            "  Cadence (par_heure)       atteinte : {} ; le suivant part le {}",
            plural(pace.due, "message attend", "messages attendent"),
            teller.when(pace.opens_at)
        )
    }));
    let reserve =
        told.disque.octets_reserves.map(|bytes| format!(" (réserve {})", file_size(bytes))).unwrap_or_default();
    lines.push(format!(
        "{} Place libre               {}{reserve}",
        mark(told.disque.plein),
        file_size(told.disque.octets_libres)
    ));
    if told.disque.lecture_seule {
        lines.push("! Disque                    en lecture seule : rien ne peut être reçu ni envoyé (journal du système : dmesg)".to_owned());
    }
    lines.push(match told.derniere_sauvegarde {
        Some(at) if !told.has_fresh_backup(Timestamp::now()) => {
            format!("! Dernière sauvegarde       {} : elle est ancienne, faites-en une avec mulot backup", teller.when(at))
        }
        Some(at) => format!("  Dernière sauvegarde       {}", teller.when(at)),
        None => "! Dernière sauvegarde       inconnue : si ce disque casse, tout est perdu ; faites-en une avec mulot backup".to_owned(),
    });
    lines.extend(
        told.cle_lisible.as_deref().map(|path| format!("! Clé                       {}", open_key_words(path))),
    );
    lines.push(match &told.formulaires {
        Some(forms) => format!(
            "  Formulaires               {}, {}",
            plural(forms.ouverts.len() as u64, "ouvert", "ouverts"),
            plural(forms.fermes.len() as u64, "fermé", "fermés")
        ),
        None => "  Formulaires               inconnus : donnez guichet.toml à --guichet".to_owned(),
    });
    for closed in told.formulaires.iter().flat_map(|forms| &forms.fermes) {
        let why = if closed.raisons.is_empty() { "voir mulot check".to_owned() } else { closed.raisons.join(" ; ") };
        lines.push(format!("    {} : {why}", closed.formulaire));
    }
    for state in &told.boites {
        lines.push(format!("! Boîte de la mairie        {} : {}", state.address, destinataires::line(state, teller)));
    }
    if !told.boites.is_empty() {
        lines.push("    comment faire : mulot demandes destinataires".to_owned());
    }
    lines.extend(certificates(&told.certificats, teller, Timestamp::now()));
    lines.push(format!("  En quarantaine            {}", told.quarantaine.len()));
    lines.extend(told.quarantaine.iter().map(|one| format!("    {}", quarantaine::line(one, teller))));
    lines.extend(told.bloques.iter().map(|row| format!("! {}", teller.line(row))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::backup::MARK as BACKUP_MARK;
    use crate::intake::sample::submission;
    use crate::intake::store::{Access, StoreOptions};
    use crate::model::intake::{Hold, Suspicion};

    fn teller() -> Teller {
        Teller { zone: jiff::tz::TimeZone::UTC }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { access: Access::Serve, min_free_bytes: 0, ..StoreOptions::default() };
        let store = Store::open(dir.path(), options).unwrap();
        (dir, store)
    }

    #[test]
    fn an_empty_guichet_is_in_order_and_says_what_is_not_known() {
        let (dir, store) = store();
        let told = look(&store, &DataPlace::folder(dir.path()), Reading::Sizes).unwrap();
        assert!(told.en_ordre && told.formulaires.is_none() && told.derniere_sauvegarde.is_none());
        let page = page(&told, &teller()).join("\n");
        assert!(page.contains("! Dernière sauvegarde       inconnue") && page.matches('!').count() == 1, "{page}");
        assert!(told.is_at_risk(Timestamp::now()), "it works, but nothing is copied");
        assert_eq!(
            state(&store, (&DataPlace::folder(dir.path()), Reading::Sizes), &teller(), false).unwrap(),
            Exit::Done
        );
        std::fs::write(dir.path().join(BACKUP_MARK), "").unwrap();
        let told = look(&store, &DataPlace::folder(dir.path()), Reading::Sizes).unwrap();
        assert!(told.derniere_sauvegarde.is_some() && !told.is_at_risk(Timestamp::now()));
        assert!(told.is_at_risk(Timestamp::now() + backup::OLD_AFTER * 2), "an old one");
    }

    #[test]
    fn a_host_without_certificate_calls_and_one_that_only_lacks_a_name_does_not() {
        let now = Timestamp::now();
        let state = |host: &str, days: Option<i64>, trouble: Option<&str>| HostState {
            host: host.into(),
            until: days.map(|days| now + SignedDuration::from_hours(24 * days)),
            trouble: trouble.map(str::to_owned),
            again: trouble.map(|_| now),
        };
        let states = [
            state("bon.example", Some(60), None),
            state("sans.example", None, Some("sans.example : ce nom n'a pas d'adresse dans le DNS")),
            state("bientot.example", Some(3), None),
            state("partiel.example", Some(60), Some("www.partiel.example : ce nom n'a pas d'adresse")),
        ];
        let lines = certificates(&states, &teller(), now);
        assert_eq!(lines[0], "  Certificats en règle      1");
        assert!(
            lines[1].starts_with("! Certificat                sans.example : aucun ; sans.example : ce nom"),
            "{lines:?}"
        );
        assert!(lines[2].starts_with("! Certificat                bientot.example : jusqu'au "), "{lines:?}");
        assert!(lines[3].starts_with("  Certificat                partiel.example : jusqu'au "), "{lines:?}");
        let (dir, store) = store();
        std::fs::create_dir(dir.path().join(acme::FOLDER)).unwrap();
        std::fs::write(dir.path().join("certificats/etat.json"), serde_json::to_vec(&states).unwrap()).unwrap();
        let told = look(&store, &DataPlace::folder(dir.path()), Reading::Sizes).unwrap();
        assert!(!told.en_ordre && told.certificats == states);
    }

    #[test]
    fn a_key_that_others_can_read_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, store) = store();
        std::fs::write(dir.path().join(BACKUP_MARK), "").unwrap();
        std::fs::set_permissions(store.key_file(), std::fs::Permissions::from_mode(0o640)).unwrap();
        let told = look(&store, &DataPlace::folder(dir.path()), Reading::Sizes).unwrap();
        let page = page(&told, &teller()).join("\n");
        assert!(told.en_ordre && told.is_at_risk(Timestamp::now()) && page.contains("chmod 600"), "{page}");
    }

    #[test]
    fn what_waits_too_long_calls_and_quarantine_is_listed() {
        let (dir, store) = store();
        store.record_blocking(submission(1)).unwrap();
        let suspicion = Suspicion { points: 3, reasons: vec!["liens"] };
        let until = Timestamp::now() + SignedDuration::from_hours(48);
        let hold = Hold { quarantine: Some((suspicion, until)), ..Hold::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.record_held(submission(2), hold)).unwrap();
        let told = look(&store, &DataPlace::folder(dir.path()), Reading::Sizes).unwrap();
        assert!(!told.en_ordre, "the first is of last July");
        let page = page(&told, &teller()).join("\n");
        assert!(page.contains("En quarantaine            1") && page.contains("beaucoup de liens"), "{page}");
        assert!(page.contains("\n! ") && !page.contains("Lampion"), "{page}");
        assert_eq!(
            state(&store, (&DataPlace::folder(dir.path()), Reading::Sizes), &teller(), true).unwrap(),
            Exit::Fault
        );
    }

    #[test]
    fn closed_forms_are_named_with_their_reason() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("commune.toml"), "nom = \"Trou\"\ncode_insee = \"01299\"\n").unwrap();
        let forms = forms(folder.path(), &BTreeSet::new(), Timestamp::now()).unwrap();
        assert!(forms.ouverts.is_empty());
        let one = forms.fermes.iter().find(|one| one.formulaire == "saisir-la-mairie").expect("it is in the catalogue");
        assert!(one.raisons.iter().any(|reason| reason.contains("n'a pas de fiche")), "{:?}", one.raisons);
    }
}
