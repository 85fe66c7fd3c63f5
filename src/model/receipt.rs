//! Receipts: what a person who writes to the mairie is told at once, complete in law.
//!
//! Each legal mention is a field that cannot be left out; the words around it are made in one place, so that the confirmation
//! page, the text mail and the HTML mail say the same thing. Articles are of the code des relations entre le public et
//! l'administration (CRPA) unless said otherwise.

use jiff::Zoned;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::calendar::{HolidayZone, add_delay, working_days_after};
use super::commune::{Commune, Tribunal};
use super::form::{Appeal, Delay, Form, Nature, ServiceContact, Silence};
use super::names::NameForms;
use super::reference::Reference;
use super::submission::Alert;
use crate::text::dates::{received_at, short_date};
use crate::text::numbers::{telephone_display, telephone_link};
use crate::text::typography::french;

/// Working days the mairie has to send the *accusé de réception* when the form cannot (art. R112-11-2).
pub const WORKING_DAYS_TO_RECEIVE: u16 = 10;

/// The commune as receipts and mails name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Name with its articles.
    pub names: NameForms,
    /// INSEE code; empty when blank.
    pub code_insee: String,
    /// Its public holidays.
    pub zone: HolidayZone,
    /// Lines of the mairie's postal address, the town's line last.
    pub address: Vec<String>,
    /// Telephone of the mairie, as written.
    pub telephone: String,
    /// E-mail of the mairie, to which a resident answers.
    pub email: String,
    /// Address the receipts are sent from (art. R112-11-3).
    pub sender: String,
    /// Scheme and host of the site without final slash; may be empty.
    pub site: String,
    /// Competent administrative court, when the mairie has written it.
    pub court: Option<Tribunal>,
}

impl Issuer {
    /// The commune of a `commune.toml`.
    pub fn of(commune: &Commune) -> Self {
        Issuer {
            names: commune.names.clone(),
            code_insee: commune.code_insee.clone(),
            zone: HolidayZone::of_commune(commune),
            address: commune.mairie.address_lines(),
            telephone: commune.mairie.telephone.clone(),
            email: commune.mairie.courriel.clone(),
            sender: commune.guichet.expediteur.clone(),
            site: commune.domaine.clone(),
            court: commune.guichet.tribunal.clone(),
        }
    }
}

/// What every receipt says of what was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envoi {
    /// Reference to give on the telephone.
    pub reference: Reference,
    /// Title of the démarche.
    pub form_title: String,
    /// « de Saint-Mulot », « du Plantay ».
    pub commune_de: String,
    /// Date and hour of reception in the commune's zone (art. R112-11-1, 1°, and R112-11-2).
    pub received_at: Zoned,
    /// Service in charge, its telephone and addresses, whole (art. R112-11-1, 2°).
    pub service: ServiceContact,
    /// Whether an address was given, so that the receipt is mailed; at first, whether one must be.
    pub mailed: bool,
    /// Address the receipt is mailed from (art. R112-11-3).
    pub sender: String,
    /// What is urgent, told again in one sentence each; the form's words, nothing that was typed.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// What happens next, in the mairie's words.
    pub confirmation: Option<String>,
    /// What the answers are used for; follows « pour » (RGPD, art. 13).
    pub purpose: String,
    /// How long the guichet keeps them.
    pub retention: Delay,
    /// Where the page on personal data stands; empty when the site has no domain yet.
    pub data_url: String,
}

/// *Accusé d'enregistrement électronique*: the sending is registered, the mairie's own receipt follows (art. L112-11).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccuseEnregistrement {
    /// What was sent; the date is the one mention required (art. R112-11-2).
    pub envoi: Envoi,
    /// Day by which the mairie is asked to send the *accusé de réception*.
    pub reception_before: Date,
}

/// *Accusé de réception électronique* (art. L112-11 and R112-11-1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccuseReception {
    /// What was sent (1° and 2°).
    pub envoi: Envoi,
    /// What follows in law (3° and 4°).
    pub effect: Effect,
}

/// What silence does to what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// A declaration: nothing is to be decided.
    Declaration,
    /// An information: nothing is to be decided.
    Information,
    /// A request that calls for no decision.
    SansDecision,
    /// A request deemed accepted on that day if nothing is answered and the file is complete (3°).
    Acceptation {
        /// The delay, as the form says it.
        delay: Delay,
        /// The day.
        on: Date,
    },
    /// A request deemed rejected on that day if nothing is answered and the file is complete (3°).
    Rejet {
        /// The delay, as the form says it.
        delay: Delay,
        /// The day.
        on: Date,
        /// Who judges an appeal (4°): « le tribunal administratif de Nantes (6, allée …) », or in general words.
        court: String,
        /// Whom to turn to before the court.
        #[serde(default)]
        appeal: Appeal,
    },
}

/// What is given for a plain message, which is not a *saisine*.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// What was sent.
    pub envoi: Envoi,
}

/// The receipt of a submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Receipt {
    /// Registered; the mairie sends the *accusé de réception*.
    #[serde(rename = "accuse_enregistrement")]
    Enregistrement(AccuseEnregistrement),
    /// Received, with its legal effect.
    #[serde(rename = "accuse_reception")]
    Reception(AccuseReception),
    /// A plain message.
    #[serde(rename = "message")]
    Message(Acknowledgement),
}

/// What the mairie must not miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// What happens then.
    pub kind: DeadlineKind,
    /// The day.
    pub date: Date,
}

/// What a [`Deadline`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineKind {
    /// The mairie's *accusé de réception* is to be sent by that day, included.
    AccuseReception,
    /// The request is deemed accepted on that day.
    Acceptation,
    /// The request is deemed rejected on that day.
    Rejet,
}

/// The words of a receipt, ready for a page or a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptDocument {
    /// « Accusé de réception électronique ».
    pub title: String,
    /// One sentence.
    pub lead: String,
    /// Facts.
    pub rows: Vec<ReceiptRow>,
    /// Sentences, the legal ones first.
    pub paragraphs: Vec<String>,
    /// How the same text is mailed; for the page only; empty when it is not.
    pub delivery: String,
}

/// A fact of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptRow {
    /// « Téléphone ».
    pub label: String,
    /// « 02 99 00 12 34 ».
    pub value: String,
    /// `tel:` or `mailto:` link, where there is one.
    pub link: Option<String>,
}

impl Receipt {
    /// The receipt due for what was sent with a form, at that moment of the commune's clock.
    pub fn for_submission(form: &Form, issuer: &Issuer, reference: &Reference, received_at: &Zoned) -> Receipt {
        let envoi = envoi(form, issuer, reference, received_at);
        let received = received_at.date();
        if form.nature == Nature::Contact {
            return Receipt::Message(Acknowledgement { envoi });
        }
        let effect = match form.silence {
            Silence::Inconnu => {
                // Art. R112-11-2: ten working days from reception.
                let reception_before = working_days_after(received, WORKING_DAYS_TO_RECEIVE, issuer.zone);
                return Receipt::Enregistrement(AccuseEnregistrement { envoi, reception_before });
            }
            Silence::Acceptation(delay) => Effect::Acceptation { delay, on: add_delay(received, delay) },
            Silence::Rejet(delay) => {
                let (on, court) = (add_delay(received, delay), court(issuer.court.as_ref()));
                Effect::Rejet { delay, on, court, appeal: form.appeal }
            }
            Silence::SansDecision => match form.nature {
                Nature::Declaration => Effect::Declaration,
                Nature::Information => Effect::Information,
                Nature::Demande | Nature::Contact => Effect::SansDecision,
            },
        };
        Receipt::Reception(AccuseReception { envoi, effect })
    }

    /// The same, repeating what is urgent.
    pub fn with_alerts(mut self, alerts: &[Alert]) -> Receipt {
        self.envoi_mut().alerts = alerts.iter().map(|alert| alert.reminder.clone()).collect();
        self
    }

    /// The same for somebody who did or did not give an electronic address, now that it is known.
    pub fn mailed(mut self, mailed: bool) -> Receipt {
        self.envoi_mut().mailed = mailed;
        self
    }

    fn envoi_mut(&mut self) -> &mut Envoi {
        match self {
            Receipt::Enregistrement(accuse) => &mut accuse.envoi,
            Receipt::Reception(accuse) => &mut accuse.envoi,
            Receipt::Message(message) => &mut message.envoi,
        }
    }

    /// What was sent.
    pub fn envoi(&self) -> &Envoi {
        match self {
            Receipt::Enregistrement(accuse) => &accuse.envoi,
            Receipt::Reception(accuse) => &accuse.envoi,
            Receipt::Message(message) => &message.envoi,
        }
    }

    /// What the mairie must not miss, if there is something.
    pub fn deadline(&self) -> Option<Deadline> {
        match self {
            Receipt::Enregistrement(accuse) => {
                Some(Deadline { kind: DeadlineKind::AccuseReception, date: accuse.reception_before })
            }
            Receipt::Reception(accuse) => match accuse.effect {
                Effect::Acceptation { on, .. } => Some(Deadline { kind: DeadlineKind::Acceptation, date: on }),
                Effect::Rejet { on, .. } => Some(Deadline { kind: DeadlineKind::Rejet, date: on }),
                _ => None,
            },
            Receipt::Message(_) => None,
        }
    }

    /// The words, in French typography.
    ///
    /// Nothing in it comes from the answers: a stranger's address may be the one that was typed.
    pub fn document(&self) -> ReceiptDocument {
        let (title, lead, service_label, mut paragraphs) = match self {
            Receipt::Enregistrement(accuse) => (
                "Accusé d'enregistrement électronique",
                format!("La mairie {} a enregistré votre envoi.", accuse.envoi.commune_de),
                "Service à joindre",
                enregistrement_words(accuse.reception_before),
            ),
            Receipt::Reception(accuse) => (
                "Accusé de réception électronique",
                format!("La mairie {} a bien reçu votre envoi.", accuse.envoi.commune_de),
                "Service chargé de votre envoi",
                effect_words(&accuse.effect),
            ),
            Receipt::Message(message) => (
                "Message bien reçu",
                format!("La mairie {} a bien reçu votre message.", message.envoi.commune_de),
                "Service à joindre",
                vec![message_words()],
            ),
        };
        let envoi = self.envoi();
        paragraphs.splice(0..0, envoi.alerts.iter().cloned());
        paragraphs.extend(envoi.confirmation.clone());
        paragraphs.push(data_words(envoi));
        ReceiptDocument {
            title: typeset(title),
            lead: typeset(&lead),
            rows: rows(envoi, service_label),
            paragraphs: paragraphs.iter().map(|words| typeset(words)).collect(),
            delivery: typeset(&delivery_words(envoi)),
        }
    }
}

impl ReceiptDocument {
    /// The whole as plain text, with ordinary spaces and lines ended by `\n`.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\n{}\n\n", self.title.to_uppercase(), self.lead);
        for row in &self.rows {
            text.push_str(&row.label);
            text.push_str(" : ");
            text.push_str(&row.value);
            text.push('\n');
        }
        for paragraph in &self.paragraphs {
            text.push('\n');
            text.push_str(paragraph);
            text.push('\n');
        }
        text.replace(['\u{a0}', '\u{202f}'], " ")
    }
}

/// « 2 mois », « 1 jour », « 3 ans ».
pub fn delay_words(delay: Delay) -> String {
    let (count, unit, many) = match delay {
        Delay::Days(count) => (count, "jour", "jours"),
        Delay::Months(count) => (count, "mois", "mois"),
        Delay::Years(count) => (count, "an", "ans"),
    };
    format!("{count}\u{a0}{}", if count < 2 { unit } else { many })
}

/// « de 2 mois », « d'un mois ».
fn of_delay(delay: Delay) -> String {
    match delay {
        Delay::Days(1) => "d'un jour".to_owned(),
        Delay::Months(1) => "d'un mois".to_owned(),
        Delay::Years(1) => "d'un an".to_owned(),
        _ => format!("de {}", delay_words(delay)),
    }
}

/// The sentence that a request may be accepted by silence, and its right (art. R112-11-1, 3° and 4°).
pub(crate) fn acceptation_words(delay: Delay, on: Date) -> [String; 2] {
    [
        // Art. R112-11-1, 3°: implicit acceptance, its date, provided the file is complete.
        format!(
            "Votre demande peut donner lieu à une décision implicite d'acceptation. Sans réponse de la mairie dans un délai {}, et sous réserve que votre dossier soit complet, elle sera considérée comme acceptée le {}.",
            of_delay(delay),
            short_date(on)
        ),
        // Art. R112-11-1, 4°, and L232-3: attestation.
        "Vous pourrez alors demander à la mairie une attestation de cette acceptation (code des relations entre le public et l'administration, art. L232-3).".to_owned(),
    ]
}

/// The sentence that a request may be rejected by silence, and how to contest it (art. R112-11-1, 3° and 4°).
pub(crate) fn rejet_words(delay: Delay, on: Date, court: &str) -> [String; 3] {
    [
        // Art. R112-11-1, 3°: implicit rejection, its date, provided the file is complete.
        format!(
            "Votre demande peut donner lieu à une décision implicite de rejet. Sans réponse de la mairie dans un délai {}, et sous réserve que votre dossier soit complet, elle sera considérée comme rejetée le {}.",
            of_delay(delay),
            short_date(on)
        ),
        // Art. R112-11-1, 4°: ways and delays of appeal. The code de justice administrative (R421-1, R421-2) was not read at
        // the source: « en principe » and « sauf » keep the sentence true of special procedures.
        format!(
            "Si elle est rejetée, vous pouvez demander au maire de revoir sa décision, ou saisir {court}. Le délai pour saisir le tribunal est en principe de deux mois à compter de la date du rejet, sauf si un texte en prévoit un autre (code de justice administrative, art. R421-1 et R421-2)."
        ),
        // Art. L232-4: reasons of an implicit rejection, on request.
        "Vous pouvez aussi demander à la mairie les raisons d'un rejet implicite (code des relations entre le public et l'administration, art. L232-4).".to_owned(),
    ]
}

/// How the refusal of a document is contested: the commission first (art. R311-15 and L342-1), then the court.
pub(crate) fn cada_words(court: &str) -> String {
    format!(
        "Si elle est rejetée, vous pouvez saisir la Commission d'accès aux documents administratifs (CADA), dans un délai de deux mois à compter du rejet (code des relations entre le public et l'administration, art. R311-15). La saisir est un préalable : {court} ne peut l'être qu'après."
    )
}

/// What a missing document does to the delay (art. L114-5 and R112-11-4).
const MISSING_PIECES_ACCEPTATION: &str = "S'il manque un document, la mairie vous dira lequel et pour quand ; le délai ne court alors qu'à partir du jour où elle l'a reçu.";
const MISSING_PIECES_REJET: &str =
    "S'il manque un document, la mairie vous dira lequel et pour quand ; le délai est alors suspendu.";

/// Who judges an appeal: the commune's court when it is known, the general rule in words otherwise.
pub(crate) fn court(court: Option<&Tribunal>) -> String {
    match court {
        Some(court) if !court.nom.trim().is_empty() => {
            let mut letters = court.nom.trim().chars();
            let name: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
            if court.adresse.trim().is_empty() {
                format!("le {name}")
            } else {
                format!("le {name} ({})", court.adresse.trim())
            }
        }
        _ => "le tribunal administratif dont dépend la commune".to_owned(),
    }
}

fn enregistrement_words(before: Date) -> Vec<String> {
    vec![
        // Art. L112-11 and R112-11-1: the accusé de réception follows.
        "La mairie vous enverra ensuite un accusé de réception. Il nommera le service chargé de votre envoi et, si c'est une demande, précisera ce que vaudra le silence de la mairie et à quelle date.".to_owned(),
        // Art. R112-11-2: ten working days. How they are counted is not settled by the text: « en principe ».
        format!(
            "Elle a pour cela dix jours ouvrés, soit en principe jusqu'au {} (code des relations entre le public et l'administration, art. R112-11-2).",
            short_date(before)
        ),
        PROOF.to_owned(),
    ]
}

fn effect_words(effect: &Effect) -> Vec<String> {
    let mut words: Vec<String> = match effect {
        // Art. R112-11-1: 3° and 4° concern requests only.
        Effect::Declaration => {
            vec!["C'est une déclaration : elle n'appelle pas de décision de la mairie.".to_owned()]
        }
        Effect::Information => {
            vec!["C'est une information donnée à la mairie : elle n'appelle pas de décision.".to_owned()]
        }
        Effect::SansDecision => vec![
            "Cette démarche n'appelle pas de décision : la mairie fait le nécessaire, ou vous explique ce qui l'en empêche."
                .to_owned(),
        ],
        Effect::Acceptation { delay, on } => {
            let mut words = acceptation_words(*delay, *on).to_vec();
            words.push(MISSING_PIECES_ACCEPTATION.to_owned());
            words
        }
        Effect::Rejet { delay, on, court, appeal } => {
            let mut words = rejet_words(*delay, *on, court).to_vec();
            if *appeal == Appeal::Cada {
                words[1] = cada_words(court);
            }
            words.push(MISSING_PIECES_REJET.to_owned());
            words
        }
    };
    if *effect != Effect::Information {
        words.push(PROOF.to_owned());
    }
    words
}

/// Art. L112-13: the date on the receipt is the one that counts where a date limit applies.
const PROOF: &str = "Gardez cet accusé : sa date prouve quand vous avez écrit, si votre démarche a une date limite (code des relations entre le public et l'administration, art. L112-13).";

/// Art. R112-9-1: without the whole identity, a message is not a saisine.
fn message_words() -> String {
    "Ce message n'est pas une saisine de l'administration au sens du code des relations entre le public et l'administration : il ne fait courir aucun délai. Si vous attendez une décision de la mairie, faites votre demande avec le formulaire prévu pour cela, par courrier ou au guichet.".to_owned()
}

/// RGPD, art. 13: one line and the page that says all.
fn data_words(envoi: &Envoi) -> String {
    let page = if envoi.data_url.is_empty() {
        "Vos droits sont expliqués sur le site de la commune, à la page « Données personnelles ».".to_owned()
    } else {
        format!("Vos droits : {}", envoi.data_url)
    };
    let purpose = envoi.purpose.trim();
    let elided = purpose.trim_end_matches('.');
    format!("Vos réponses servent à {elided}. Le guichet en ligne les garde {}. {page}", delay_words(envoi.retention))
}

/// Art. R112-11-3: the address receipts are sent from.
fn delivery_words(envoi: &Envoi) -> String {
    if !envoi.mailed {
        // The page says that no copy is sent; there is nothing to add.
        return String::new();
    }
    format!(
        "Ce texte vous est aussi envoyé par courriel, depuis l'adresse {}. S'il n'arrive pas, regardez dans les courriers indésirables. Vous pouvez aussi imprimer cette page ou noter la référence.",
        envoi.sender
    )
}

fn envoi(form: &Form, issuer: &Issuer, reference: &Reference, received_at: &Zoned) -> Envoi {
    let mut service = form.service.clone();
    // A service often writes its street only: the receipt gives the whole address, the town's line included.
    if let Some(town) = issuer.address.last()
        && !service.address.iter().any(|line| holds_postal_code(line))
    {
        service.address.push(town.clone());
    }
    Envoi {
        reference: reference.clone(),
        form_title: form.title.clone(),
        commune_de: issuer.names.forme_de.clone(),
        received_at: received_at.clone(),
        service,
        mailed: form.field("courriel").is_some_and(|field| field.required),
        sender: issuer.sender.clone(),
        alerts: Vec::new(),
        confirmation: form.confirmation.clone(),
        purpose: form.data.purpose.clone(),
        retention: form.data.retention,
        data_url: if issuer.site.is_empty() { String::new() } else { format!("{}/donnees-personnelles/", issuer.site) },
    }
}

fn holds_postal_code(line: &str) -> bool {
    line.split(|letter: char| !letter.is_ascii_digit()).any(|digits| digits.len() == 5)
}

fn rows(envoi: &Envoi, service_label: &str) -> Vec<ReceiptRow> {
    let service = &envoi.service;
    let mut rows = vec![
        row("Référence", envoi.reference.as_str()),
        row("Démarche", &envoi.form_title),
        // Art. R112-11-1, 1°, and R112-11-2: date of reception.
        row("Reçu", &received_at(&envoi.received_at)),
        // Art. R112-11-1, 2°: service in charge, telephone, e-mail or postal address.
        row(service_label, &service.name),
    ];
    if let Some(responsible) = &service.responsible {
        // Art. L111-2: first name, last name and title of the agent.
        rows.push(row("Votre interlocuteur", responsible));
    }
    rows.push(ReceiptRow {
        link: telephone_link(&service.telephone).map(|number| format!("tel:{number}")),
        ..row("Téléphone", &telephone_display(&service.telephone))
    });
    if !service.email.is_empty() {
        rows.push(ReceiptRow {
            link: Some(format!("mailto:{}", service.email)),
            ..row("Adresse électronique", &service.email)
        });
    }
    if !service.address.is_empty() {
        rows.push(row("Adresse postale", &service.address.join(", ")));
    }
    rows
}

fn row(label: &str, value: &str) -> ReceiptRow {
    ReceiptRow { label: typeset(label), value: typeset(value), link: None }
}

fn typeset(words: &str) -> String {
    french(words).into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::model::form::{DataNotice, Identity};

    /// A form of the commune of the tests.
    pub(crate) fn form(nature: Nature, identity: Identity, silence: Silence) -> Form {
        Form {
            id: "occuper-la-place".into(),
            title: "Occuper la place du Tilleul".into(),
            page_url: "/demarches/occuper-la-place/".into(),
            nature,
            identity,
            silence,
            appeal: Default::default(),
            legal_basis: None,
            subject_word: "Place du Tilleul".into(),
            button: "Faire la demande".into(),
            confirmation: None,
            service: ServiceContact {
                name: "Secrétariat de la mairie".into(),
                address: vec!["12, place du Tilleul".into()],
                telephone: "02 61 91 12 34".into(),
                email: "mairie@saint-mulot.example".into(),
                responsible: Some("Claire Denis, secrétaire de mairie".into()),
            },
            recipients: vec!["mairie@saint-mulot.example".into()],
            backup_recipients: Vec::new(),
            delivery: Default::default(),
            data: DataNotice {
                purpose: "instruire votre demande".into(),
                legal_basis: "mission d’intérêt public".into(),
                retention: Delay::Months(12),
                recipients: "le secrétariat de la mairie".into(),
            },
            opening: Default::default(),
            paged: false,
            counter: None,
            fields: identity.fields(),
        }
    }

    /// The commune of the tests.
    pub(crate) fn issuer() -> Issuer {
        Issuer {
            names: NameForms {
                nom: "Saint-Mulot".into(),
                forme_de: "de Saint-Mulot".into(),
                forme_a: "à Saint-Mulot".into(),
            },
            code_insee: "53999".into(),
            zone: HolidayZone::Common,
            address: vec!["12, place du Tilleul".into(), "53999 Saint-Mulot".into()],
            telephone: "02 61 91 12 34".into(),
            email: "mairie@saint-mulot.example".into(),
            sender: "formulaires@saint-mulot.example".into(),
            site: "https://www.saint-mulot.example".into(),
            court: Some(Tribunal {
                nom: "Tribunal administratif de Nantes".into(),
                adresse: "6, allée de l’Île-Gloriette, 44000 Nantes".into(),
            }),
        }
    }

    /// 21 November 2026, 14:30 in Paris.
    pub(crate) fn moment() -> Zoned {
        date(2026, 11, 21).at(14, 30, 12, 0).in_tz("Europe/Paris").expect("a known zone")
    }

    /// A fixed reference.
    pub(crate) fn reference() -> Reference {
        Reference::new(2026, [0x9c, 0xa8, 0x2b, 0xfa, 0x4d])
    }

    fn receipt(form: &Form) -> Receipt {
        Receipt::for_submission(form, &issuer(), &reference(), &moment())
    }

    #[track_caller]
    fn golden(name: &str, receipt: &Receipt, expected: &str) {
        let document = receipt.document();
        let text = format!("{}\n{}\n", document.text(), document.delivery.replace(['\u{a0}', '\u{202f}'], " "));
        if let Some(folder) = std::env::var_os("MULOT_GOLDEN") {
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.txt")), &text).expect("a folder");
            return;
        }
        assert_eq!(text, expected, "{name}: run with MULOT_GOLDEN=tests/receipts to write it again, then read it");
    }

    #[test]
    fn each_regime_has_its_receipt() {
        let two_months = Delay::Months(2);
        for (name, nature, silence, expected) in [
            (
                "enregistrement",
                Nature::Demande,
                Silence::Inconnu,
                include_str!("../../tests/receipts/enregistrement.txt"),
            ),
            (
                "acceptation",
                Nature::Demande,
                Silence::Acceptation(two_months),
                include_str!("../../tests/receipts/acceptation.txt"),
            ),
            ("rejet", Nature::Demande, Silence::Rejet(two_months), include_str!("../../tests/receipts/rejet.txt")),
            (
                "sans-decision",
                Nature::Demande,
                Silence::SansDecision,
                include_str!("../../tests/receipts/sans-decision.txt"),
            ),
            (
                "declaration",
                Nature::Declaration,
                Silence::SansDecision,
                include_str!("../../tests/receipts/declaration.txt"),
            ),
        ] {
            golden(name, &receipt(&form(nature, Identity::All, silence)), expected);
        }
        let mut information = form(Nature::Information, Identity::None, Silence::SansDecision);
        information.confirmation = Some("La mairie regarde votre signalement.".into());
        golden("information", &receipt(&information), include_str!("../../tests/receipts/information.txt"));
        let contact = form(Nature::Contact, Identity::Free, Silence::SansDecision);
        golden("contact", &receipt(&contact), include_str!("../../tests/receipts/contact.txt"));
    }

    #[test]
    fn without_a_known_court_the_appeal_is_still_told() {
        let mut issuer = issuer();
        issuer.court = None;
        let form = form(Nature::Demande, Identity::Person, Silence::Rejet(Delay::Months(1)));
        let receipt = Receipt::for_submission(&form, &issuer, &reference(), &moment());
        golden("rejet-tribunal-inconnu", &receipt, include_str!("../../tests/receipts/rejet-tribunal-inconnu.txt"));
    }

    #[test]
    fn the_mairie_has_a_deadline_when_the_law_gives_one() {
        let deadline = |nature, silence| receipt(&form(nature, Identity::All, silence)).deadline();
        assert_eq!(
            deadline(Nature::Demande, Silence::Inconnu),
            Some(Deadline { kind: DeadlineKind::AccuseReception, date: date(2026, 12, 4) })
        );
        assert_eq!(
            deadline(Nature::Demande, Silence::Rejet(Delay::Months(2))),
            Some(Deadline { kind: DeadlineKind::Rejet, date: date(2027, 1, 22) })
        );
        assert_eq!(deadline(Nature::Declaration, Silence::SansDecision), None);
        assert_eq!(deadline(Nature::Contact, Silence::Inconnu), None);
    }

    #[test]
    fn a_receipt_reads_back_from_the_store() {
        for silence in [Silence::Inconnu, Silence::Rejet(Delay::Months(2)), Silence::SansDecision] {
            let receipt = receipt(&form(Nature::Demande, Identity::All, silence));
            let stored = serde_json::to_value(&receipt).expect("a receipt is JSON");
            assert_eq!(serde_json::from_value::<Receipt>(stored).expect("and back"), receipt);
        }
    }

    #[test]
    fn a_request_never_gets_a_receipt_without_its_date() {
        for days in (1..400u16).step_by(7) {
            let form = form(Nature::Demande, Identity::All, Silence::Rejet(Delay::Days(days)));
            let receipt = receipt(&form);
            let on = receipt.deadline().expect("a rejection has a date").date;
            assert!(receipt.document().text().contains(&short_date(on)));
        }
    }
}
