//! What follows an accepted request, in words: ready letters of the mairie, legal sentences, mails of each act. Pure.
//!
//! A letter is the agent's own words, which may be changed, then sentences that may not: what the law asks is never lost by
//! editing. What the reference marks as not verified stays « en principe ».

pub mod fields;
mod words;

use jiff::Zoned;

pub use self::words::{
    TO_WRITE, accuse_words, act_title, deadline_words, draft, horizon_words, legal_words, paragraphs,
};
use super::accept::KeptReceipt;
use super::compose::{self, Block, Letter, act_words, message_id, rfc3339, subject};
use super::links::RequestLinks;
use super::pieces;
use super::store::Kept;
use crate::model::dossier::{Act, ActKind, Agent, Life, Missing};
use crate::model::form::ServiceContact;
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use crate::model::receipt::{Effect, Issuer, Receipt};
use crate::model::submission::StoredFile;
use crate::text::dates::{received_at, short_date};
use crate::text::numbers::{plural, telephone_display};
use crate::text::typography::french;

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

    /// What was asked last, whether or not something came since: only a person can tell whether it is complete.
    pub fn asked(&self) -> Option<Missing> {
        self.kept.acts.iter().rev().find_map(|act| match &act.kind {
            ActKind::Pieces { asked, until, .. } => Some(Missing { asked: asked.clone(), until: *until }),
            _ => None,
        })
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

    /// Whether the noun of [`Case::noun`] is feminine.
    fn is_feminine(&self) -> bool {
        self.noun().0 == "votre demande"
    }

    /// What was urgent when it was sent: its title for the mairie, then what the resident has read.
    pub fn alerts(&self) -> Vec<(String, String)> {
        let titles = self.kept.request.as_ref().map(compose::alert_titles).unwrap_or_default();
        let title = |at: usize| titles.get(at).cloned().unwrap_or_else(|| "Urgent".to_owned());
        let reminders = self.receipt.envoi().alerts.iter().cloned().enumerate();
        reminders.map(|(at, reminder)| (title(at), reminder)).collect()
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
            ..mail(case, act, number, MailRole::Usager, &letter, issuer)
        });
    }
    if let Some(request) = &case.kept.request {
        let letter = mairie_letter(&after, act, links);
        mails.push(Mail {
            from: Mailbox { name: request.from.name.clone(), email: issuer.sender.clone() },
            to: request.to.clone(),
            reply_to: request.reply_to.clone(),
            subject: mairie_subject(&request.subject, act, &after),
            attachments: pieces::attached(files(act).iter(), links.pieces.as_ref()),
            ..mail(case, act, number, MailRole::Mairie, &letter, issuer)
        });
    }
    mails
}

/// What mails of both sides share: their words, their place in the thread.
fn mail(case: &Case, act: &Act, number: usize, role: MailRole, letter: &Letter, issuer: &Issuer) -> Mail {
    let first = message_id(case.receipt.envoi(), role);
    let own = first.split_once('@').map(|(local, domain)| format!("{local}.{number}@{domain}"));
    Mail {
        role,
        from: Mailbox { name: String::new(), email: String::new() },
        to: Vec::new(),
        reply_to: None,
        subject: String::new(),
        text: letter.text(&compose::signature(issuer)),
        html: letter.html(&compose::signature(issuer)),
        message_id: own.unwrap_or_else(|| first.clone()),
        in_reply_to: Some(first),
        date: rfc3339(&act.at),
        auto_submitted: AutoSubmitted::Generated,
        attachments: Vec::new(),
        json: None,
        sheets: Vec::new(),
    }
}

/// `[Saisine] Saint-Mulot — réf. 2026-K7M2-QX4D-3 — acceptée`: the first subject up to its reference.
fn mairie_subject(first: &str, act: &Act, after: &Case) -> String {
    let reference = after.kept.reference.as_str();
    let start = first.find(reference).map_or(first, |at| &first[..at + reference.len()]);
    let what = match &act.kind {
        ActKind::Accuse { .. } => "accusé de réception envoyé".to_owned(),
        ActKind::Complet { .. } => "dossier complet".to_owned(),
        _ => after.life.state.words().to_lowercase(),
    };
    format!("{start} — {what}")
}

/// The files an act brought.
pub fn files(act: &Act) -> &[StoredFile] {
    match &act.kind {
        ActKind::Complement { files, .. } => files,
        _ => &[],
    }
}

fn resident_title(kind: &ActKind, case: &Case) -> String {
    let noun = case.noun().0;
    let title = match kind {
        ActKind::PriseEnCharge if case.is_feminine() => "Votre demande est prise en charge",
        ActKind::PriseEnCharge => return format!("V{} est pris en charge", &noun[1..]),
        ActKind::Accuse { .. } => "Accusé de réception électronique",
        ActKind::Pieces { accuse: true, .. } => "Accusé de réception : il manque des documents",
        ActKind::Pieces { .. } => return format!("Des documents manquent à {noun}"),
        ActKind::Complement { .. } => "Ce que vous avez ajouté est bien arrivé",
        // Subjects show on locked screens: the decision is inside.
        ActKind::Acceptation | ActKind::Refus | ActKind::Cloture => "Réponse de la mairie",
        ActKind::Complet { .. } => "Votre dossier est complet",
        ActKind::Transmission { .. } if case.is_feminine() => "Votre demande est transmise",
        ActKind::Transmission { .. } => return format!("V{} est transmis", &noun[1..]),
        ActKind::Annulation if case.is_feminine() => "Votre demande est annulée",
        ActKind::Annulation => return format!("V{} est annulé", &noun[1..]),
    };
    title.to_owned()
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
            blocks.extend(asked_block(after));
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
    Letter { title: french(&resident_title(&act.kind, after)).into_owned(), blocks }
}

/// What the mairie asked for: whoever reads what came compares the two.
fn asked_block(case: &Case) -> Option<Block> {
    let missing = case.asked()?;
    let title = format!("Ce qui était demandé, pour le {}", short_date(missing.until));
    Some(Block::Answer(title, missing.asked.iter().map(|piece| format!("– {piece}")).collect()))
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

fn mairie_letter(after: &Case, act: &Act, links: &RequestLinks) -> Letter {
    let has_email = after.kept.sender.email.is_some();
    let mut blocks = vec![Block::Notice(match (&act.agent, has_email) {
        (Some(_), true) => "Copie de la lettre envoyée à l'usager par courriel.".into(),
        (Some(_), false) => {
            "L'usager n'a pas donné d'adresse électronique : imprimez la lettre ci-dessous et remettez-la-lui.".into()
        }
        (None, _) if matches!(act.kind, ActKind::Annulation) => {
            "L'usager a annulé sa demande. Vous n'avez pas à y répondre.".into()
        }
        (None, _) if links.pieces.is_some() => {
            "L'usager a complété sa demande. Des fichiers sont à télécharger : leurs adresses sont plus bas.".into()
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
        blocks.extend(asked_block(after));
        if !text.is_empty() {
            blocks.push(Block::Answer("Message de l'usager".into(), text.split('\n').map(str::to_owned).collect()));
        }
        if !files.is_empty() {
            let lines = files.iter().map(|file| pieces::line(file, links.pieces.as_ref()));
            blocks.push(Block::Answer("Fichiers".into(), lines.collect()));
            blocks.extend(pieces::blocks(files.iter(), links.pieces.as_ref(), &act.at));
        }
    }
    if !act.letter.is_empty() {
        let mut lines = act.letter.clone();
        lines.extend(act.agent.as_ref().map(Agent::words));
        blocks.push(Block::Ready("La lettre".into(), lines));
    }
    if !after.life.state.is_closed() {
        let words = |link| act_words(&after.life, act.at.date(), link);
        blocks.extend(links.act.as_deref().into_iter().flat_map(words).map(Block::Paragraph));
    }
    Letter { title: french(&act_title(&act.kind)).into_owned(), blocks }
}

#[cfg(test)]
mod tests;
