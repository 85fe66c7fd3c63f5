//! What `mulot demandes` gives: the store's rows in French, for people and, under `--format json`, for programs.
//!
//! The keys are described in docs/guichet.md and are a contract; instants carry the offset of the commune's zone.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::integrity::Integrity;
use crate::intake::follow::act_title;
use crate::intake::store::{Counts, Detail, Event, Reconciliation, RouteState};
use crate::model::dossier::{Act, Agent};
use crate::model::intake::{DeliveryState, MailKind, QueueRow};
use crate::model::mail::MailRole;
use crate::model::reference::Reference;
use crate::model::submission::{Answer, AnswerValue};
use crate::text::dates::{short_date, time};
use crate::text::numbers::plural;

/// What the mairie or the resident did with a request.
#[derive(Serialize)]
struct Done {
    le: String,
    acte: &'static str,
    titre: String,
    par: Option<String>,
}

/// Where everything stands.
#[derive(Serialize)]
pub(in crate::cli) struct State {
    demandes: Submissions,
    messages: Messages,
    serveur: Option<Route>,
    bloques: Vec<Message>,
    plus_ancien_en_attente: Option<String>,
}

#[derive(Serialize)]
struct Submissions {
    acceptees: u64,
    effacees: u64,
}

#[derive(Serialize)]
struct Messages {
    a_envoyer: u64,
    en_cours: u64,
    remis: u64,
    echecs: u64,
    abandonnes: u64,
}

/// The mail server, when it was in the way at the last attempt.
#[derive(Serialize)]
struct Route {
    raison: &'static str,
    echecs_de_suite: u32,
    depuis: String,
    prochain_essai: String,
}

/// One mail to one recipient; no address in it.
#[derive(Serialize)]
pub(in crate::cli) struct Message {
    numero: i64,
    reference: Reference,
    formulaire: String,
    pour: &'static str,
    sorte: &'static str,
    secours: bool,
    etat: DeliveryState,
    raison: Option<String>,
    essais: u32,
    acceptee_le: String,
    prochain_essai: Option<String>,
    code_smtp: Option<u16>,
}

/// All about one reference.
#[derive(Serialize)]
pub(in crate::cli) struct Sheet<'d> {
    reference: &'d Reference,
    formulaire: &'d str,
    titre: &'d str,
    recue_le: String,
    gardee_jusqu_au: Date,
    effacee_le: Option<String>,
    messages: Vec<Message>,
    evenements: Vec<Happening>,
    suites: Vec<Done>,
    fichiers: Vec<File<'d>>,
    usager: Option<Usager<'d>>,
    reponses: Vec<Reply<'d>>,
}

#[derive(Serialize)]
struct Happening {
    le: String,
    message: Option<i64>,
    evenement: String,
    code_smtp: Option<u16>,
    classe: Option<String>,
}

#[derive(Serialize)]
struct File<'d> {
    nom: &'d str,
    type_media: &'d str,
    octets: u64,
}

#[derive(Serialize)]
struct Usager<'d> {
    nom: &'d str,
    courriel: Option<&'d str>,
}

#[derive(Serialize)]
struct Reply<'d> {
    champ: &'d str,
    question: &'d str,
    reponse: String,
}

/// The sums of a period.
#[derive(Serialize)]
pub(in crate::cli) struct Sums<'r> {
    equilibre: bool,
    acceptees: u64,
    remises: u64,
    en_attente: u64,
    en_echec: &'r [Reference],
    sans_message: &'r [Reference],
    sans_preuve: &'r [Reference],
    accuses: Receipts,
    integrite: &'r Integrity,
}

#[derive(Serialize)]
struct Receipts {
    acceptes: u64,
    remis: u64,
    en_echec: u64,
}

/// Tells instants in the zone of the commune: the same as on the receipts.
pub(in crate::cli) struct Teller {
    pub(in crate::cli) zone: TimeZone,
}

impl Teller {
    /// « 26 novembre 2026 à 9 h 32 ».
    pub(in crate::cli) fn when(&self, instant: Timestamp) -> String {
        let zoned = instant.to_zoned(self.zone.clone());
        format!("{} à {}", short_date(zoned.date()), time(zoned.time()))
    }

    /// `2026-11-26T09:32:02+01:00`.
    pub(in crate::cli) fn iso(&self, instant: Timestamp) -> String {
        instant.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    pub(in crate::cli) fn state(
        &self,
        counts: &Counts,
        route: Option<&RouteState>,
        stuck: &[QueueRow],
        oldest: Option<Timestamp>,
    ) -> State {
        State {
            demandes: Submissions { acceptees: counts.submissions, effacees: counts.purged },
            messages: Messages {
                a_envoyer: counts.waiting,
                en_cours: counts.sending,
                remis: counts.delivered,
                echecs: counts.failed,
                abandonnes: counts.cancelled,
            },
            serveur: route.map(|route| Route {
                raison: reason(&route.reason),
                echecs_de_suite: route.failures,
                depuis: self.iso(route.since),
                prochain_essai: self.iso(route.blocked_until),
            }),
            bloques: stuck.iter().map(|row| self.message(row, &[])).collect(),
            plus_ancien_en_attente: oldest.map(|instant| self.iso(instant)),
        }
    }

    pub(in crate::cli) fn message(&self, row: &QueueRow, acts: &[Act]) -> Message {
        Message {
            numero: row.id,
            reference: row.reference.clone(),
            formulaire: row.form_id.clone(),
            pour: row.role.as_str(),
            sorte: sort(row, acts),
            secours: row.backup,
            etat: row.state,
            raison: why(row),
            essais: row.attempts,
            acceptee_le: self.iso(row.accepted_at),
            prochain_essai: (row.state == DeliveryState::Waiting).then(|| self.iso(row.next_at)),
            code_smtp: row.last_code,
        }
    }

    pub(in crate::cli) fn sheet<'d>(&self, detail: &'d Detail, acts: &[Act]) -> Sheet<'d> {
        Sheet {
            reference: &detail.reference,
            formulaire: &detail.form_id,
            titre: &detail.form_title,
            recue_le: detail.received_at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            gardee_jusqu_au: detail.purge_after,
            effacee_le: detail.purged_at.map(|instant| self.iso(instant)),
            messages: detail.mails.iter().map(|row| self.message(row, acts)).collect(),
            evenements: detail.events.iter().map(|event| self.happening(event)).collect(),
            suites: acts.iter().map(done).collect(),
            fichiers: detail
                .files
                .iter()
                .map(|file| File { nom: &file.name, type_media: &file.media_type, octets: file.size })
                .collect(),
            usager: detail
                .sender
                .as_ref()
                .map(|sender| Usager { nom: &sender.name, courriel: sender.email.as_deref() }),
            reponses: detail
                .answers
                .iter()
                .map(|answer| Reply { champ: &answer.field, question: &answer.question, reponse: reply(answer) })
                .collect(),
        }
    }

    fn happening(&self, event: &Event) -> Happening {
        Happening {
            le: self.iso(event.at),
            message: event.outbox,
            evenement: outcome(&event.kind).to_owned(),
            code_smtp: event.code,
            classe: event.class.clone(),
        }
    }

    /// One mail on one line.
    pub(in crate::cli) fn line(&self, row: &QueueRow) -> String {
        self.line_with(row, &[])
    }

    /// The same, when what was done with the request is at hand.
    pub(in crate::cli) fn line_with(&self, row: &QueueRow, acts: &[Act]) -> String {
        let to = match (row.role, row.backup) {
            (MailRole::Mairie, false) => "à la mairie",
            (MailRole::Mairie, true) => "à l'adresse de secours",
            (MailRole::Usager, _) => "à l'usager",
        };
        let role = format!("{} {to}", sort(row, acts));
        let why = why(row).map(|why| format!(" : {why}")).unwrap_or_default();
        let code = row.last_code.map(|code| format!(" (réponse {code})")).unwrap_or_default();
        // An attempt that met no server does not count: « 0 essai » would say that none was made.
        let tries = match row.attempts {
            0 => String::new(),
            count => format!(", {}", plural(u64::from(count), "essai", "essais")),
        };
        let next = match row.state {
            DeliveryState::Waiting => format!(", prochain essai le {}", self.when(row.next_at)),
            _ => String::new(),
        };
        format!(
            "{}  {role}  {}{why}{code}{tries}{next}  ({}, acceptée le {})",
            row.reference.as_str(),
            state_words(row.state),
            row.form_id,
            self.when(row.accepted_at)
        )
    }

    /// One act of the mairie or of the resident on one line; nothing of the letter.
    pub(in crate::cli) fn act(&self, act: &Act) -> String {
        let by = act.agent.as_ref().map(|agent| format!(", par {}", agent.words())).unwrap_or_default();
        format!("  {}  {}{by}", self.when(act.at.timestamp()), act_title(&act.kind))
    }

    /// One event on one line.
    pub(in crate::cli) fn event(&self, event: &Event) -> String {
        let code = event.code.map(|code| format!(" (réponse {code})")).unwrap_or_default();
        format!("  {}  {}{code}", self.when(event.at), outcome(&event.kind))
    }
}

/// What a mail is: « accusé », « lettre », « copie »…
fn sort(row: &QueueRow, acts: &[Act]) -> &'static str {
    let act = |number: Option<usize>| number.and_then(|number| acts.get(number.checked_sub(1)?));
    match (row.kind, row.role) {
        (MailKind::Digest, _) => "bulletin",
        (MailKind::First, MailRole::Mairie) => "demande",
        (MailKind::First, MailRole::Usager) => "accusé",
        // What the resident did is told to both; what the mairie did is a letter, of which it keeps a copy.
        (MailKind::Followed(number), role) => match (act(number).map(|act| act.agent.is_some()), role) {
            (Some(true), MailRole::Mairie) => "copie",
            (Some(true), MailRole::Usager) => "lettre",
            (Some(false), MailRole::Mairie) => "ajout de l'usager",
            (Some(false), MailRole::Usager) => "accusé de l'ajout",
            (None, _) => "suite",
        },
    }
}

fn done(act: &Act) -> Done {
    Done {
        le: act.at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        acte: act.kind.as_str(),
        titre: act_title(&act.kind),
        par: act.agent.as_ref().map(Agent::words),
    }
}

/// Whether all that was accepted is accounted for.
pub(in crate::cli) fn balanced(sums: &Reconciliation) -> bool {
    sums.is_balanced()
}

pub(in crate::cli) fn sums<'r>(sums: &'r Reconciliation, integrity: &'r Integrity) -> Sums<'r> {
    let [acceptes, remis, en_echec] = sums.receipts;
    Sums {
        equilibre: balanced(sums) && integrity.is_sound(),
        acceptees: sums.accepted,
        remises: sums.delivered,
        en_attente: sums.waiting,
        en_echec: &sums.failed,
        sans_message: &sums.without_mail,
        sans_preuve: &sums.unproven,
        accuses: Receipts { acceptes, remis, en_echec },
        integrite: integrity,
    }
}

/// An answer for who reads a terminal or a JSON: a text keeps its lines.
pub(in crate::cli) fn reply(answer: &Answer) -> String {
    match &answer.value {
        AnswerValue::Text(text) => text.clone(),
        value => value.one_line(),
    }
}

/// « 3 demandes effacées ; 1 reste, que la mairie n'a pas encore reçue (mulot demandes liste) ».
pub(in crate::cli) fn purged(erased: usize, held: usize) -> String {
    let done = match erased {
        0 => "Aucune demande à effacer".to_owned(),
        count => plural(count as u64, "demande effacée", "demandes effacées"),
    };
    match held {
        0 => format!("{done}."),
        1 => format!("{done} ; une autre est gardée, car la mairie ne l'a pas encore reçue : mulot demandes liste"),
        count => format!(
            "{done} ; {count} autres sont gardées, car la mairie ne les a pas encore reçues : mulot demandes liste"
        ),
    }
}

/// What is wrong with the mail server, after « Serveur de courriel ».
pub(in crate::cli) fn reason(word: &str) -> &'static str {
    match word {
        "auth_refused" => "refuse l'identifiant ou le mot de passe",
        "tls_refused" => "n'offre pas de connexion chiffrée valable",
        "sender_refused" => "refuse l'adresse d'expédition",
        _ => "ne répond pas",
    }
}

/// Why a mail is not there yet, or never will be.
fn why(row: &QueueRow) -> Option<String> {
    let told = matches!(row.state, DeliveryState::Waiting | DeliveryState::Sending | DeliveryState::Failed);
    row.last_outcome.as_deref().filter(|_| told).map(|word| outcome(word).to_owned())
}

/// An outcome of the store in French; a word that is not known is said as it is.
pub(in crate::cli) fn outcome(word: &str) -> &str {
    match word {
        "delivered" => "remis",
        "temporary" => "refusé pour l'instant",
        "ambiguous" => "pas de réponse du serveur après l'envoi",
        "permanent" => "refusé pour de bon",
        "expired" => "abandonné après des jours d'essais",
        "too_heavy" => "trop lourd : renvoyé sans les pièces jointes",
        "sender_refused" => "adresse d'expédition refusée",
        "auth_refused" => "identifiant ou mot de passe refusé",
        "tls_refused" => "pas de connexion chiffrée valable",
        "unreachable" => "serveur de courriel injoignable",
        "resent" => "nouvel envoi demandé",
        "cancelled" => "abandon demandé",
        "unreadable" => "message illisible dans la base",
        "backup_queued" => "copie à l'adresse de secours",
        "purged" => "réponses effacées",
        "quarantined" => "mise en quarantaine",
        "released" => "sortie de quarantaine",
        "set_aside" => "écartée : rien n'est envoyé",
        "bounced" => "revenu : un serveur n'a pas pu le remettre",
        "late" => "en retard chez un autre serveur",
        "receipt_capped" => "accusé donné sur la page seulement",
        other => other,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: DeliveryState, attempts: u32, outcome: &str) -> QueueRow {
        QueueRow {
            id: 1,
            reference: Reference::new(2026, [1; 5]),
            form_id: "contact".into(),
            role: MailRole::Mairie,
            kind: MailKind::First,
            backup: false,
            state,
            attempts,
            accepted_at: "2026-11-21T13:30:00Z".parse().unwrap(),
            next_at: "2026-11-21T13:45:00Z".parse().unwrap(),
            last_code: None,
            last_outcome: Some(outcome.into()),
        }
    }

    fn teller() -> Teller {
        Teller { zone: TimeZone::get("Europe/Paris").unwrap() }
    }

    #[test]
    fn a_line_is_french_and_in_the_commune_s_hour() {
        let line = teller().line(&row(DeliveryState::Waiting, 0, "unreachable")).replace(['\u{a0}', '\u{202f}'], " ");
        assert!(line.contains("à la mairie  à envoyer : serveur de courriel injoignable, prochain essai le"), "{line}");
        assert!(line.contains("14 h 45") && line.contains("14 h 30"), "{line}");
        assert!(!line.contains("0 essai"), "{line}");
        let line = teller().line(&row(DeliveryState::Failed, 2, "permanent")).replace('\u{a0}', " ");
        assert!(line.contains("échec définitif : refusé pour de bon, 2 essais  ("), "{line}");
    }

    #[test]
    fn a_line_names_its_mail() {
        let agent = Agent { first_name: "Claire".into(), last_name: "Denis".into(), title: "maire".into() };
        let at: jiff::Zoned = "2026-11-26T09:32:02+01:00[Europe/Paris]".parse().unwrap();
        let kind = crate::model::dossier::ActKind::Acceptation;
        let acts = [
            Act { at: at.clone(), agent: Some(agent), kind: kind.clone(), letter: Vec::new() },
            Act { at, agent: None, kind, letter: Vec::new() },
        ];
        let said = |kind, role| {
            let row = QueueRow { kind, role, ..row(DeliveryState::Delivered, 1, "delivered") };
            teller().line_with(&row, &acts).split("  ").nth(1).unwrap().to_owned()
        };
        assert_eq!(said(MailKind::First, MailRole::Usager), "accusé à l'usager");
        assert_eq!(said(MailKind::First, MailRole::Mairie), "demande à la mairie");
        assert_eq!(said(MailKind::Followed(Some(1)), MailRole::Usager), "lettre à l'usager");
        assert_eq!(said(MailKind::Followed(Some(1)), MailRole::Mairie), "copie à la mairie");
        assert_eq!(said(MailKind::Followed(Some(2)), MailRole::Mairie), "ajout de l'usager à la mairie");
        assert_eq!(said(MailKind::Followed(None), MailRole::Mairie), "suite à la mairie");
        assert_eq!(said(MailKind::Digest, MailRole::Mairie), "bulletin à la mairie");
    }

    #[test]
    fn every_outcome_that_is_known_is_said_in_french() {
        let words = "delivered temporary ambiguous permanent expired too_heavy sender_refused auth_refused tls_refused \
                     unreachable resent cancelled unreadable backup_queued purged quarantined released set_aside \
                     receipt_capped";
        words.split_whitespace().for_each(|word| assert_ne!(outcome(word), word));
    }

    #[test]
    fn json_keys_are_french_and_instants_carry_their_offset() {
        let json = serde_json::to_value(teller().message(&row(DeliveryState::Waiting, 1, "temporary"), &[])).unwrap();
        assert_eq!(json["acceptee_le"], "2026-11-21T14:30:00+01:00");
        assert_eq!(json["raison"], "refusé pour l'instant");
        assert_eq!(json["etat"], "à_envoyer");
        assert_eq!(json["pour"], "mairie");
    }

    #[test]
    fn a_purge_is_told_in_a_sentence() {
        assert_eq!(purged(0, 0), "Aucune demande à effacer.");
        assert_eq!(purged(1, 0).replace('\u{a0}', " "), "1 demande effacée.");
        assert!(purged(2, 3).contains("3 autres sont gardées, car la mairie ne les a pas encore reçues"));
    }
}
