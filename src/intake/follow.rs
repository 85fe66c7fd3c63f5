//! What follows an accepted request, in words: ready letters of the mairie, legal sentences, mails of each act. Pure.
//!
//! A letter is the agent's own words, which may be changed, then sentences that may not: what the law asks is never lost by
//! editing. What the reference marks as not verified stays « en principe ».

pub mod fields;

use jiff::Zoned;
use jiff::civil::Date;

use super::accept::KeptReceipt;
use super::compose::{Block, Letter, act_words, message_id, ready_start, rfc3339, subject};
use super::links::RequestLinks;
use super::store::Kept;
use crate::model::dossier::{Act, ActKind, Action, Agent, Horizon, Life, Regime, Side};
use crate::model::form::ServiceContact;
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use crate::model::receipt::{Effect, Issuer, Receipt, acceptation_words, court, rejet_words};
use crate::model::submission::StoredFile;
use crate::text::dates::{received_at, short_date};
use crate::text::numbers::{file_size, plural, telephone_display};
use crate::text::typography::french;

/// What a ready letter leaves to be written.
pub const TO_WRITE: &str = "[Votre réponse]";

/// A request whose answers are still kept, and its life.
#[derive(Debug, Clone)]
pub struct Case {
    /// What the store holds.
    pub kept: Kept,
    /// The receipt given at reception.
    pub receipt: Receipt,
    /// What its acts add up to.
    pub life: Life,
}

/// What an agent decides, once it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub kind: ActKind,
    /// The agent's own words.
    pub letter: String,
    /// Why it is refused; empty otherwise.
    pub reasons: String,
}

impl Case {
    /// The case of what is kept; `None` once it is erased.
    pub fn of(kept: Kept) -> Option<Case> {
        let receipt = serde_json::from_value::<KeptReceipt>(kept.receipt.clone()).ok()?.receipt;
        let life = Life::of(&receipt, &kept.acts);
        Some(Case { kept, receipt, life })
    }

    /// The service in charge, as the receipt names it.
    pub fn service(&self) -> &ServiceContact {
        &self.receipt.envoi().service
    }

    /// The case after one act more.
    pub fn after(&self, act: &Act) -> Case {
        let mut kept = self.kept.clone();
        kept.acts.push(act.clone());
        let life = Life::of(&self.receipt, &kept.acts);
        Case { kept, receipt: self.receipt.clone(), life }
    }

    /// « Votre demande « Saisir la mairie », reçue le 21 novembre 2026 ».
    fn named(&self) -> String {
        let (noun, received) = self.noun();
        let day = short_date(self.receipt.envoi().received_at.date());
        format!("{noun} « {} », {received} le {day}", self.kept.form_title)
    }

    /// How it is called, and the word that agrees: a declaration is not a request.
    fn noun(&self) -> (&'static str, &'static str) {
        match &self.receipt {
            Receipt::Message(_) => ("votre message", "reçu"),
            Receipt::Reception(accuse) if matches!(accuse.effect, Effect::Declaration | Effect::Information) => {
                ("votre envoi", "reçu")
            }
            _ => ("votre demande", "reçue"),
        }
    }
}

/// The letter an action begins with; the agent may change every word of it.
pub fn draft(action: Action, case: &Case) -> String {
    let named = case.named();
    let capital = format!("V{}", &named[1..]);
    let (noun, _) = case.noun();
    let body = match action {
        Action::Prendre => {
            format!("Nous avons bien lu {named}.\n\nJe m'en occupe et je vous écris dès qu'une réponse est prête.")
        }
        Action::Accuser => return String::new(),
        Action::Pieces => format!("Pour étudier {named}, il nous manque ce qui suit."),
        Action::Accepter => format!("{capital}, est acceptée."),
        Action::Refuser => format!("Nous avons étudié {named}. Nous ne pouvons pas l'accepter."),
        Action::Transmettre => format!("{capital}, ne relève pas de la mairie."),
        Action::Clore => format!("Voici notre réponse à {noun} « {} » :\n\n{TO_WRITE}", case.kept.form_title),
    };
    french(&format!("Bonjour,\n\n{body}")).into_owned()
}

/// What is added after the agent's own words, whatever they are. `today` is the day it is sent.
pub fn legal_words(decision: &Decision, case: &Case, issuer: &Issuer, today: Date) -> Vec<String> {
    match &decision.kind {
        ActKind::Accuse { regime } => accuse_words(*regime, case, issuer),
        ActKind::Pieces { asked, until, accuse } => pieces_words(asked, *until, *accuse, case, today),
        ActKind::Refus => refusal_words(&decision.reasons, issuer),
        ActKind::Transmission { body } => transmission_words(body, case, today),
        _ => Vec::new(),
    }
}

/// Art. R112-11-1: what the receipt given at once could not say.
pub fn accuse_words(regime: Regime, case: &Case, issuer: &Issuer) -> Vec<String> {
    let mut words = ready_start(case.receipt.envoi());
    let on = case.life.decided_on(regime);
    match regime {
        Regime::SansDecision => words.push("Votre envoi n'appelle pas de décision de la mairie.".into()),
        Regime::Acceptation(delay) => words.extend(acceptation_words(delay, on)),
        Regime::Rejet(delay) => words.extend(rejet_words(delay, on, &court(issuer.court.as_ref()))),
    }
    words
}

fn pieces_words(asked: &[String], until: Date, accuse: bool, case: &Case, today: Date) -> Vec<String> {
    let mut words = vec![format!("Envoyez-nous, au plus tard le {} :", short_date(until))];
    words.extend(asked.iter().map(|piece| format!("– {piece}")));
    let already = matches!(case.life.horizon(today), Horizon::On(_, on) if on <= today);
    // Art. L114-5 and R112-11-4.
    let effect = match case.life.regime {
        _ if already => None,
        Some(Regime::SansDecision) => None,
        Some(Regime::Acceptation(_)) => Some(
            "Le délai au bout duquel votre demande est considérée comme acceptée ne court qu'à partir du jour où nous les aurons reçus (code des relations entre le public et l'administration, art. L114-5).",
        ),
        Some(Regime::Rejet(_)) => Some(
            "Le délai au bout duquel votre demande est considérée comme rejetée est suspendu pendant ce temps (code des relations entre le public et l'administration, art. L114-5).",
        ),
        None => Some(
            "Le délai au bout duquel le silence de la mairie vaut décision ne court, ou ne reprend, que lorsque nous les aurons reçus.",
        ),
    };
    words.extend(effect.map(str::to_owned));
    words.push("Vous pouvez les ajouter sur la page de suivi de votre demande, répondre au message de la mairie, ou les apporter à la mairie.".into());
    if accuse {
        // Art. R112-11-4: the receipt lists what is missing.
        words.push("Cette lettre est aussi l'accusé de réception électronique de votre envoi.".into());
        words.extend(ready_start(case.receipt.envoi()).into_iter().skip(1));
    }
    words
}

fn refusal_words(reasons: &str, issuer: &Issuer) -> Vec<String> {
    let mut words = vec!["Motifs de ce refus :".to_owned()];
    words.extend(paragraphs(reasons));
    // The same words as the receipts: the code de justice administrative was not read at the source.
    words.push(format!(
        "Vous pouvez demander au maire de revoir cette décision, ou saisir {}. Le délai pour saisir le tribunal est en principe de deux mois à compter du jour où vous recevez cette lettre, sauf si un texte en prévoit un autre (code de justice administrative, art. R421-1 et R421-2).",
        court(issuer.court.as_ref())
    ));
    words
}

fn transmission_words(body: &str, case: &Case, today: Date) -> Vec<String> {
    // Art. L114-2.
    let mut words = vec![format!(
        "La mairie l'a transmise à l'organisme compétent le {} : {body} (code des relations entre le public et l'administration, art. L114-2). C'est lui qui vous répondra : adressez-vous à lui pour connaître la suite.",
        short_date(today)
    )];
    match case.life.horizon(today) {
        // How the delays run was not read again at the source: « en principe ».
        Horizon::On(Side::Rejet, on) if on > today => words.push(format!(
            "La date du {}, à laquelle votre demande sera considérée comme rejetée sans réponse, reste en principe la même.",
            short_date(on)
        )),
        Horizon::On(Side::Acceptation, on) if on > today => words.push(format!(
            "La date du {} donnée dans l'accusé de réception ne vaut plus : en principe, le délai court maintenant à partir du jour où cet organisme reçoit votre demande.",
            short_date(on)
        )),
        _ => {}
    }
    words
}

/// What time brings, told to the resident; `None` when there is nothing to say.
pub fn horizon_words(life: &Life, today: Date) -> Option<String> {
    let on = |word: &str, on: Date| {
        if on <= today {
            format!(
                "Sans réponse de la mairie, et si le dossier était complet, votre demande est considérée comme {word} depuis le {}.",
                short_date(on)
            )
        } else {
            format!(
                "Sans réponse de la mairie, et sous réserve que votre dossier soit complet, votre demande sera considérée comme {word} le {}.",
                short_date(on)
            )
        }
    };
    if life.state == crate::model::dossier::State::Transmise {
        return None;
    }
    Some(match life.horizon(today) {
        Horizon::Nothing => return None,
        Horizon::Accuse(_) => "La mairie doit encore vous envoyer un accusé de réception : il dira ce que vaut son silence, et à quelle date.".into(),
        Horizon::Stopped(Side::Acceptation) => {
            "Le délai au bout duquel votre demande est considérée comme acceptée ne court pas tant que des documents manquent. Une date sera donnée ici quand ils seront arrivés.".into()
        }
        Horizon::Stopped(Side::Rejet) => {
            "Le délai au bout duquel votre demande est considérée comme rejetée est suspendu pendant le temps laissé pour envoyer les documents. Une date sera donnée ici ensuite.".into()
        }
        Horizon::On(Side::Acceptation, day) => on("acceptée", day),
        Horizon::On(Side::Rejet, day) => on("rejetée", day),
    })
}

/// The same, told to the mairie.
pub fn deadline_words(life: &Life, today: Date) -> Option<String> {
    if life.state.is_closed() {
        return None;
    }
    Some(match life.horizon(today) {
        Horizon::Nothing => return None,
        Horizon::Accuse(before) => format!("Accusé de réception à envoyer au plus tard le {}", short_date(before)),
        Horizon::Stopped(_) => "Délai arrêté : des documents sont attendus".into(),
        Horizon::On(Side::Acceptation, on) if on <= today => {
            format!("Acceptée par le silence de la mairie depuis le {}, si le dossier était complet", short_date(on))
        }
        Horizon::On(Side::Rejet, on) if on <= today => {
            format!("Rejetée par le silence de la mairie depuis le {}, si le dossier était complet", short_date(on))
        }
        Horizon::On(Side::Acceptation, on) => format!("Réponse avant le {} : sinon, acceptée", short_date(on)),
        Horizon::On(Side::Rejet, on) => format!("Réponse avant le {} : sinon, rejetée", short_date(on)),
    })
}

/// What an act is called, for the resident's page and for the mairie's.
pub fn act_title(kind: &ActKind) -> String {
    match kind {
        ActKind::PriseEnCharge => "Prise en charge par la mairie".into(),
        ActKind::Accuse { .. } => "Accusé de réception envoyé par la mairie".into(),
        ActKind::Pieces { until, .. } => {
            format!("Documents demandés, à envoyer au plus tard le {}", short_date(*until))
        }
        ActKind::Complement { files, .. } if files.is_empty() => "Informations ajoutées".into(),
        ActKind::Complement { files, .. } => plural(files.len() as u64, "document ajouté", "documents ajoutés"),
        ActKind::Acceptation => "Demande acceptée".into(),
        ActKind::Refus => "Demande refusée".into(),
        ActKind::Transmission { body } => format!("Transmise à l'organisme compétent : {body}"),
        ActKind::Cloture => "Réponse donnée par la mairie".into(),
        ActKind::Annulation => "Annulée par l'usager".into(),
    }
}

/// Paragraphs of a text typed by a person: its lines that are not blank.
pub fn paragraphs(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The act of a decision, with its whole letter.
pub fn act(decision: Decision, agent: Agent, case: &Case, issuer: &Issuer, now: &Zoned) -> Act {
    let legal = legal_words(&decision, case, issuer, now.date());
    let own = paragraphs(&decision.letter);
    // A receipt begins with what it is; any other letter with what the agent says.
    let letter = match &decision.kind {
        ActKind::Accuse { .. } => [legal, own].concat(),
        _ => [own, legal].concat(),
    };
    Act { at: now.clone(), agent: Some(agent), kind: decision.kind, letter }
}

/// The mails of an act, which is number `number` of the case: to the resident when an address was given, and to the mairie.
pub fn mails(case: &Case, act: &Act, number: usize, issuer: &Issuer, links: &RequestLinks) -> Vec<Mail> {
    let after = case.after(act);
    let mut mails = Vec::new();
    if let Some(email) = &case.kept.sender.email {
        let letter = resident_letter(&after, act, links.follow.as_deref());
        let name = format!("Mairie {}", issuer.names.forme_de);
        let service = case.service();
        let mairie = if service.email.is_empty() { &issuer.email } else { &service.email };
        let reference = format!("réf. {}", case.kept.reference);
        mails.push(Mail {
            role: MailRole::Usager,
            from: Mailbox { name: name.clone(), email: issuer.sender.clone() },
            to: vec![email.clone()],
            reply_to: (!mairie.is_empty()).then(|| Mailbox { name, email: mairie.clone() }),
            subject: subject(&issuer.names.nom, &[&letter.title, &reference]),
            ..mail(case, act, number, MailRole::Usager, &letter)
        });
    }
    if let Some(request) = &case.kept.request {
        let letter = mairie_letter(&after, act, links.act.as_deref());
        mails.push(Mail {
            from: Mailbox { name: request.from.name.clone(), email: issuer.sender.clone() },
            to: request.to.clone(),
            reply_to: request.reply_to.clone(),
            subject: mairie_subject(&request.subject, act, &after),
            attachments: files(act).to_vec(),
            ..mail(case, act, number, MailRole::Mairie, &letter)
        });
    }
    mails
}

/// What mails of both sides share: their words, their place in the thread.
fn mail(case: &Case, act: &Act, number: usize, role: MailRole, letter: &Letter) -> Mail {
    let first = message_id(case.receipt.envoi(), role);
    let own = first.split_once('@').map(|(local, domain)| format!("{local}.{number}@{domain}"));
    Mail {
        role,
        from: Mailbox { name: String::new(), email: String::new() },
        to: Vec::new(),
        reply_to: None,
        subject: String::new(),
        text: letter.text(),
        html: letter.html(),
        message_id: own.unwrap_or_else(|| first.clone()),
        in_reply_to: Some(first),
        date: rfc3339(&act.at),
        auto_submitted: AutoSubmitted::Generated,
        attachments: Vec::new(),
        json: None,
    }
}

/// `[Saisine] Saint-Mulot — réf. 2026-K7M2-QX4D-3 — acceptée`: the first subject up to its reference.
fn mairie_subject(first: &str, act: &Act, after: &Case) -> String {
    let reference = after.kept.reference.as_str();
    let start = first.find(reference).map_or(first, |at| &first[..at + reference.len()]);
    let what = match &act.kind {
        ActKind::Accuse { .. } => "accusé de réception envoyé".to_owned(),
        _ => after.life.state.words().to_lowercase(),
    };
    format!("{start} — {what}")
}

fn files(act: &Act) -> &[StoredFile] {
    match &act.kind {
        ActKind::Complement { files, .. } => files,
        _ => &[],
    }
}

fn resident_title(kind: &ActKind) -> &'static str {
    match kind {
        ActKind::PriseEnCharge => "Votre demande est prise en charge",
        ActKind::Accuse { .. } => "Accusé de réception électronique",
        ActKind::Pieces { accuse: true, .. } => "Accusé de réception : il manque des documents",
        ActKind::Pieces { .. } => "Des documents manquent à votre demande",
        ActKind::Complement { .. } => "Ce que vous avez ajouté est bien arrivé",
        // Subjects show on locked screens: the decision is inside.
        ActKind::Acceptation | ActKind::Refus | ActKind::Cloture => "Réponse de la mairie",
        ActKind::Transmission { .. } => "Votre demande est transmise",
        ActKind::Annulation => "Votre demande est annulée",
    }
}

fn resident_letter(after: &Case, act: &Act, follow: Option<&str>) -> Letter {
    let mut blocks = vec![Block::Facts(vec![
        ("Référence".into(), after.kept.reference.to_string()),
        ("Démarche".into(), after.kept.form_title.clone()),
        ("Reçu".into(), received_at(&after.receipt.envoi().received_at)),
    ])];
    blocks.extend(act.letter.iter().cloned().map(Block::Paragraph));
    match &act.kind {
        // Art. L112-11: what is sent later gets a receipt as well. Nothing of it is repeated.
        ActKind::Complement { files, .. } => {
            let count = match files.len() {
                0 => String::new(),
                count => format!(" ({})", plural(count as u64, "fichier", "fichiers")),
            };
            blocks.push(Block::Paragraph(format!(
                "La mairie {} a reçu {} ce que vous avez ajouté à votre demande{count}.",
                after.receipt.envoi().commune_de,
                received_at(&act.at)
            )));
            blocks.extend(horizon_words(&after.life, act.at.date()).map(Block::Paragraph));
        }
        ActKind::Annulation => blocks.push(Block::Paragraph(format!(
            "Vous avez annulé cette demande {}. La mairie est prévenue : vous n'avez plus rien à faire.",
            received_at(&act.at)
        ))),
        _ => {}
    }
    blocks.push(Block::Facts(signature(act.agent.as_ref(), after.service())));
    blocks.extend(follow.map(|follow| Block::Paragraph(format!("Suivre votre demande : {follow}"))));
    blocks.push(Block::Paragraph("Pour écrire à la mairie à ce sujet, répondez à ce message.".into()));
    Letter { title: french(resident_title(&act.kind)).into_owned(), blocks }
}

/// Art. L111-2: who acts, and the address of the service.
pub fn signature(agent: Option<&Agent>, service: &ServiceContact) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    rows.extend(agent.map(|agent| ("Votre interlocuteur".to_owned(), agent.words())));
    for (label, value) in [
        ("Service", service.name.clone()),
        ("Téléphone", telephone_display(&service.telephone)),
        ("Adresse électronique", service.email.clone()),
        ("Adresse postale", service.address.join(", ")),
    ] {
        if !value.is_empty() {
            rows.push((label.to_owned(), value));
        }
    }
    rows
}

fn mairie_letter(after: &Case, act: &Act, link: Option<&str>) -> Letter {
    let has_email = after.kept.sender.email.is_some();
    let mut blocks = vec![Block::Notice(match (&act.agent, has_email) {
        (Some(_), true) => "Copie de la lettre envoyée à l'usager par courriel.".into(),
        (Some(_), false) => {
            "L'usager n'a pas donné d'adresse électronique : imprimez la lettre ci-dessous et remettez-la-lui.".into()
        }
        (None, _) if matches!(act.kind, ActKind::Annulation) => {
            "L'usager a annulé sa demande. Vous n'avez pas à y répondre.".into()
        }
        (None, _) => "L'usager a complété sa demande. Les fichiers sont joints à ce message.".into(),
    })];
    let mut facts = vec![
        ("Référence".into(), after.kept.reference.to_string()),
        ("Démarche".into(), after.kept.form_title.clone()),
        ("Reçue".into(), received_at(&after.receipt.envoi().received_at)),
        ("État".into(), after.life.state.words().to_owned()),
    ];
    facts.extend(act.agent.as_ref().map(|agent| ("Par".into(), agent.words())));
    facts.extend(
        deadline_words(&after.life, act.at.date()).map(|words| ("Échéance".into(), french(&words).into_owned())),
    );
    blocks.push(Block::Facts(facts));
    if let ActKind::Complement { text, files } = &act.kind {
        if !text.is_empty() {
            blocks.push(Block::Answer("Message de l'usager".into(), text.split('\n').map(str::to_owned).collect()));
        }
        if !files.is_empty() {
            let lines = files.iter().map(|file| format!("{} ({})", file.name, file_size(file.size)));
            blocks.push(Block::Answer("Fichiers joints".into(), lines.collect()));
        }
    }
    if !act.letter.is_empty() {
        let mut lines = act.letter.clone();
        lines.extend(act.agent.as_ref().map(Agent::words));
        blocks.push(Block::Ready("La lettre".into(), lines));
    }
    if !after.life.state.is_closed() {
        blocks.extend(link.into_iter().flat_map(act_words).map(Block::Paragraph));
    }
    Letter { title: french(&act_title(&act.kind)).into_owned(), blocks }
}

#[cfg(test)]
mod tests;
