//! Writes the mails of a submission: the request to the mairie, the receipt to the resident. Pure.
//!
//! A mail is written once as a [`Letter`], then drawn twice, in plain text and in HTML: both say the same. The resident's mail
//! holds nothing of what was typed but the address it goes to: that address is unverified by construction, and what a
//! stranger typed must not reach someone else's mailbox.

use std::fmt::Write as _;

use jiff::Zoned;
use jiff::civil::Date;
use serde::Serialize;

use super::links::{PieceLinks, RequestLinks};
use super::pieces;
use crate::model::calendar::{add_delay, kept_until};
use crate::model::dossier::{Action, Life};
use crate::model::form::{COUNTER_AGENT, COUNTER_CHANNEL, Choice, Delay, FieldKind, Form, Nature, Shape, Silence};
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use crate::model::receipt::{DeadlineKind, Envoi, Issuer, Receipt, acceptation_words, court, delay_words, rejet_words};
use crate::model::submission::{Alert, Answer, AnswerValue, Caution, Entry, StoredFile, ValidAnswers};
use crate::text::dates::{figures, parse_date, parse_hour, received_at, short_date};
use crate::text::numbers::{parse_euros, telephone_display, telephone_link};
use crate::text::typography::french;

/// Characters of a subject at most.
const MAX_SUBJECT: usize = 120;
/// Characters of a subject that begins with what is urgent.
const MAX_URGENT_SUBJECT: usize = MAX_SUBJECT + 44;
/// Characters of the commune's name in a subject.
const MAX_SUBJECT_NAME: usize = 40;
/// Version of the shape of `demande.json` (docs/demande-json.md).
const JSON_VERSION: u8 = 1;
/// What names that shape: docs/schemas/demande-1.json.
const JSON_SCHEMA: &str = "urn:mulot:schema:demande:1";

/// The mails of an accepted submission: to the mairie always, to the resident when an address was given.
///
/// `receipt` is the one made for these answers: reference and date of reception are its own.
pub fn mails(
    form: &Form,
    issuer: &Issuer,
    answers: &ValidAnswers,
    receipt: &Receipt,
    links: &RequestLinks,
) -> Vec<Mail> {
    let mut mails = vec![to_mairie(form, issuer, answers, receipt, links)];
    mails.extend(
        answers.sender.email.as_ref().map(|email| to_resident(issuer, email, receipt, links.follow.as_deref())),
    );
    mails
}

fn to_mairie(form: &Form, issuer: &Issuer, answers: &ValidAnswers, receipt: &Receipt, links: &RequestLinks) -> Mail {
    let envoi = receipt.envoi();
    let pieces = links.pieces.as_ref();
    let mut letter = mairie_letter(form, issuer, answers, (receipt, pieces));
    if let Some(act) = links.act.as_deref() {
        // After what to do and the facts, before what was sent.
        let at = letter.blocks.iter().position(|block| matches!(block, Block::Facts(_))).map_or(1, |at| at + 1);
        let words = act_words(&Life::of(receipt, &[]), envoi.received_at.date(), act);
        letter.blocks.splice(at..at, words.map(Block::Paragraph));
    }
    Mail {
        role: MailRole::Mairie,
        from: Mailbox { name: format!("Guichet en ligne {}", issuer.names.forme_de), email: envoi.sender.clone() },
        to: form.recipients.clone(),
        reply_to: answers.sender.email.clone().map(|email| Mailbox { name: String::new(), email }),
        subject: mairie_subject(form, issuer, receipt, &answers.alerts),
        text: letter.text(&signature(issuer)),
        html: letter.html(&signature(issuer)),
        message_id: message_id(envoi, MailRole::Mairie),
        in_reply_to: None,
        date: rfc3339(&envoi.received_at),
        auto_submitted: AutoSubmitted::Generated,
        attachments: pieces::attached(answers.files(), pieces),
        json: Some(demande_json(form, issuer, answers, (receipt, pieces))),
        sheets: Vec::new(),
    }
}

/// How the mairie acts from its mailbox: what the page will offer.
pub(super) fn act_words(life: &Life, today: Date, act: &str) -> [String; 2] {
    let words: Vec<&str> = life.actions(today).into_iter().map(|action| in_words(action, life)).collect();
    let words = words.join(", ");
    // An accent never begins them.
    let words = format!("{}{}", words[..1].to_uppercase(), &words[1..]);
    [
        format!("{words} : {act}"),
        "Ce lien est pour la mairie seule : effacez-le de votre message si vous répondez à l'usager ou si vous transférez sa demande.".to_owned(),
    ]
}

/// What is urgent in a request, as its mail to the mairie says it.
pub(super) fn alert_titles(request: &Mail) -> Vec<String> {
    let json = request.json.as_deref().and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
    let alerts = json.as_ref().and_then(|json| json["alertes"].as_array());
    alerts.into_iter().flatten().filter_map(|title| title.as_str().map(str::to_owned)).collect()
}

/// An action, in the list of them.
fn in_words(action: Action, life: &Life) -> &'static str {
    match action {
        Action::Accuser if !life.owes_accuse() => "dire ce que vaut le silence",
        Action::Accuser => "envoyer l'accusé de réception",
        Action::Prendre => "prendre en charge",
        Action::Completer => "dire que le dossier est complet",
        Action::Pieces => "demander des documents",
        Action::Accepter => "accepter",
        Action::Refuser => "refuser",
        Action::Transmettre => "transmettre",
        Action::Clore => "répondre et clore",
    }
}

fn to_resident(issuer: &Issuer, email: &str, receipt: &Receipt, follow: Option<&str>) -> Mail {
    let envoi = receipt.envoi();
    let letter = resident_letter(receipt, follow);
    let name = format!("Mairie {}", issuer.names.forme_de);
    let mairie = if envoi.service.email.is_empty() { &issuer.email } else { &envoi.service.email };
    Mail {
        role: MailRole::Usager,
        from: Mailbox { name: name.clone(), email: envoi.sender.clone() },
        to: vec![email.to_owned()],
        reply_to: (!mairie.is_empty()).then(|| Mailbox { name, email: mairie.clone() }),
        subject: subject(&issuer.names.nom, &[&letter.title, &format!("réf. {}", envoi.reference)]),
        text: letter.text(&signature(issuer)),
        html: letter.html(&signature(issuer)),
        message_id: message_id(envoi, MailRole::Usager),
        in_reply_to: None,
        date: rfc3339(&envoi.received_at),
        auto_submitted: AutoSubmitted::Generated,
        attachments: Vec::new(),
        json: None,
        sheets: Vec::new(),
    }
}

/// `[Saisine] Saint-Mulot — réf. 2026-K7M2-QX4D-3 — répondre avant le 21/01/2027`: no name, subjects show on locked screens.
///
/// What is urgent comes first: a list of mails shows some forty characters.
fn mairie_subject(form: &Form, issuer: &Issuer, receipt: &Receipt, alerts: &[Alert]) -> String {
    let usual = usual_subject(form, issuer, receipt);
    match alerts.first() {
        Some(alert) => shortened(&format!("{} — {usual}", clean(&alert.title).to_uppercase()), MAX_URGENT_SUBJECT),
        None => usual,
    }
}

fn usual_subject(form: &Form, issuer: &Issuer, receipt: &Receipt) -> String {
    let reference = format!("réf. {}", receipt.envoi().reference);
    let name = shortened(&issuer.names.nom, MAX_SUBJECT_NAME);
    match receipt.deadline() {
        Some(deadline) => {
            let before = match deadline.kind {
                DeadlineKind::AccuseReception => "accusé à envoyer au plus tard le",
                DeadlineKind::Acceptation | DeadlineKind::Rejet => "répondre avant le",
            };
            subject(&form.subject_word, &[&name, &reference, &format!("{before} {}", figures(deadline.date))])
        }
        None => subject(&form.subject_word, &[&name, &reference]),
    }
}

/// A word between brackets and what follows it, within [`MAX_SUBJECT`]: the word is what gives way.
pub(super) fn subject(word: &str, rest: &[&str]) -> String {
    let rest = clean(&rest.join(" — "));
    let left = MAX_SUBJECT.saturating_sub(rest.chars().count() + 3);
    let word = shortened(&clean(word), left.max(1));
    shortened(&format!("[{word}] {rest}"), MAX_SUBJECT)
}

fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Text on one line without control characters, for a header.
fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>().trim().to_owned()
}

/// Stable over retries: the reference, whom it is for, and the domain it leaves from.
pub(super) fn message_id(envoi: &Envoi, role: MailRole) -> String {
    let domain = envoi.sender.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| domain.is_ascii());
    format!("{}.{}@{}", envoi.reference, role.as_str(), domain.unwrap_or("guichet.invalid"))
}

pub(super) fn rfc3339(moment: &Zoned) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// A mail before it is drawn.
pub(super) struct Letter {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Heading(String),
    Paragraph(String),
    /// What must be seen first.
    Notice(String),
    Facts(Vec<(String, String)>),
    /// A question and the lines of its answer.
    Answer(String, Vec<String>),
    /// A text to copy: its title and its paragraphs.
    Ready(String, Vec<String>),
}

fn resident_letter(receipt: &Receipt, follow: Option<&str>) -> Letter {
    let document = receipt.document();
    let mut blocks = vec![Block::Paragraph(document.lead)];
    blocks.push(Block::Facts(document.rows.into_iter().map(|row| (row.label, row.value)).collect()));
    blocks.extend(document.paragraphs.into_iter().map(Block::Paragraph));
    blocks.extend(follow.map(|follow| Block::Paragraph(format!("Où en est votre demande : {follow}"))));
    blocks.push(Block::Paragraph(
        "Pour écrire à la mairie à ce sujet, répondez à ce message. Il ne recopie pas ce que vous avez envoyé, pour que personne d'autre ne puisse le lire.".into(),
    ));
    blocks.push(Block::Paragraph(
        "Vous n'avez rien envoyé à la mairie ? Quelqu'un s'est peut-être trompé d'adresse : ne tenez pas compte de ce message, ou dites-le à la mairie en y répondant.".into(),
    ));
    Letter { title: document.title, blocks }
}

fn mairie_letter(
    form: &Form,
    issuer: &Issuer,
    answers: &ValidAnswers,
    (receipt, pieces): (&Receipt, Option<&PieceLinks>),
) -> Letter {
    let envoi = receipt.envoi();
    let mut blocks = Vec::new();
    let urgent = |alert: &Alert| {
        Block::Notice(format!(
            "{} : l'usager l'a signalé. Il a lu : « {} »",
            alert.title.to_uppercase(),
            alert.reminder
        ))
    };
    blocks.extend(answers.alerts.iter().map(urgent));
    blocks.extend(counter_words(answers).map(Block::Notice));
    blocks.push(Block::Notice(reply_words(answers)));
    blocks.extend(to_do(form, receipt, answers.sender.email.is_some()).into_iter().map(Block::Paragraph));
    blocks.push(Block::Facts(vec![
        ("Référence".into(), envoi.reference.to_string()),
        ("Reçu".into(), received_at(&envoi.received_at)),
    ]));
    let mut step: Option<&str> = None;
    for answer in &answers.answers {
        if answer.step.as_deref() != step {
            step = answer.step.as_deref();
            blocks.extend(step.map(|title| Block::Heading(title.to_owned())));
        }
        blocks.push(Block::Answer(answer.question.clone(), answer_lines(&answer.value, pieces)));
    }
    blocks.extend(pieces::blocks(answers.files(), pieces, &envoi.received_at));
    if form.nature != Nature::Contact && form.silence == Silence::Inconnu {
        blocks.extend(ready_texts(issuer, receipt));
    }
    blocks.push(Block::Heading("À savoir".into()));
    blocks.extend(footer(form, receipt, answers.sender.email.is_some()).into_iter().map(Block::Paragraph));
    Letter { title: form.title.clone(), blocks }
}

/// Who filled the form for somebody, and how the request came.
fn counter_words(answers: &ValidAnswers) -> Option<String> {
    let entry = entered(answers)?;
    Some(format!("Saisi au comptoir par {} ; la demande est arrivée : {}.", entry.agent, entry.canal.to_lowercase()))
}

fn entered(answers: &ValidAnswers) -> Option<DemandeEntered> {
    let said =
        |id: &str| answers.answers.iter().find(|answer| answer.field == id).map(|answer| answer.value.one_line());
    Some(DemandeEntered { agent: said(COUNTER_AGENT)?, canal: said(COUNTER_CHANNEL)? })
}

fn reply_words(answers: &ValidAnswers) -> String {
    let telephone = answers.answers.iter().find(|answer| answer.field == "telephone").map(|answer| &answer.value);
    match (&answers.sender.email, telephone) {
        (Some(_), _) => "Répondre à ce message écrit à l'usager.".into(),
        (None, Some(AnswerValue::Text(telephone))) => {
            format!(
                "L'usager n'a pas donné d'adresse électronique : répondre à ce message ne l'atteint pas. Son téléphone : {telephone}."
            )
        }
        (None, _) => {
            "L'usager n'a donné ni adresse électronique ni téléphone : répondre à ce message ne l'atteint pas.".into()
        }
    }
}

/// What the mairie has to do, and by when.
fn to_do(form: &Form, receipt: &Receipt, has_email: bool) -> Vec<String> {
    // Without an address the receipt is on the page that follows the sending, and nowhere else.
    let got = |what: &str| match has_email {
        true => format!("L'usager a reçu {what}."),
        false => {
            format!("L'usager n'a pas donné d'adresse électronique : {what} s'est affiché à l'écran après l'envoi.")
        }
    };
    let Some(deadline) = receipt.deadline() else {
        return vec![match form.nature {
            Nature::Contact => "C'est un message simple, pas une saisine : aucun délai légal ne court.".into(),
            _ => format!("{} Aucune décision n'est attendue de la mairie.", got("l'accusé de réception")),
        }];
    };
    let on = short_date(deadline.date);
    match deadline.kind {
        // Art. L112-11, R112-11-2.
        DeadlineKind::AccuseReception => vec![format!(
            "{} {} un accusé de réception au plus tard le {on} (dix jours ouvrés après la réception : code des relations entre le public et l'administration, art. R112-11-2). Quatre textes sont prêts à la fin de ce message : choisissez celui qui convient.",
            got("un accusé d'enregistrement"),
            if has_email { "Envoyez-lui" } else { "Remettez-lui ou postez-lui" }
        )],
        // Art. L231-1.
        DeadlineKind::Acceptation => vec![format!(
            "{} Répondez avant le {on} : ce jour-là, sans réponse, sa demande est réputée acceptée, si le dossier est complet. {MISSING_PIECES}",
            got("l'accusé de réception complet")
        )],
        // Art. L231-4.
        DeadlineKind::Rejet => vec![format!(
            "{} Répondez avant le {on} : ce jour-là, sans réponse, sa demande est réputée rejetée, si le dossier est complet. {MISSING_PIECES}",
            got("l'accusé de réception complet")
        )],
    }
}

/// Art. L114-5.
const MISSING_PIECES: &str = "S'il manque un document, dites-lui lequel et pour quand.";

fn footer(form: &Form, receipt: &Receipt, has_email: bool) -> Vec<String> {
    let envoi = receipt.envoi();
    let kept = kept_until(envoi.received_at.date(), envoi.retention);
    let mut words = vec![
        // Art. L111-2.
        "Dans votre réponse, indiquez vos prénom, nom et qualité, et l'adresse de votre service (code des relations entre le public et l'administration, art. L111-2).".into(),
    ];
    if form.identity.is_saisine() && form.nature != Nature::Contact {
        // Art. L112-8 and L114-2.
        words.push("Ne demandez pas à l'usager de confirmer son envoi ni de le refaire sur papier (art. L112-8). Si l'affaire relève d'une autre administration, transmettez-la-lui et dites-le à l'usager (art. L114-2).".into());
    }
    words.push(format!(
        "Les réponses et les fichiers sont tels que l'usager les a envoyés, sauf les photos, réduites et sans leur lieu de prise de vue{}.",
        if has_email { " ; son adresse électronique n'a pas été vérifiée" } else { "" }
    ));
    words.push(format!(
        "Le guichet garde ces réponses {}, jusqu'au {}. Le fichier demande.json contient les mêmes réponses, pour un logiciel.",
        delay_words(envoi.retention),
        short_date(kept)
    ));
    words
}

/// The receipts the mairie may have to send, ready to be copied (art. R112-11-1, R112-11-4).
fn ready_texts(issuer: &Issuer, receipt: &Receipt) -> Vec<Block> {
    const TWO_MONTHS: Delay = Delay::Months(2);
    let envoi = receipt.envoi();
    let on = add_delay(envoi.received_at.date(), TWO_MONTHS);
    let with = |own: Vec<String>| {
        let mut lines = ready_start(envoi);
        lines.extend(own);
        lines
    };
    vec![
        Block::Heading("Accusés de réception prêts à copier".into()),
        Block::Paragraph(
            "Choisissez un seul texte, vérifiez-le, collez-le dans votre réponse. Le délai de deux mois est la règle générale : si un texte en prévoit un autre pour cette demande, changez le délai et la date.".into(),
        ),
        Block::Ready(
            "1. Une information ou une déclaration".into(),
            with(vec!["Votre envoi n'appelle pas de décision de la mairie.".into()]),
        ),
        Block::Ready(
            "2. Une demande : le silence vaut acceptation (règle générale, art. L231-1)".into(),
            with(acceptation_words(TWO_MONTHS, on).into()),
        ),
        Block::Ready(
            "3. Une demande : le silence vaut rejet (demande financière, réclamation, autres cas de l'art. L231-4)".into(),
            with(rejet_words(TWO_MONTHS, on, &court(issuer.court.as_ref())).into()),
        ),
        Block::Ready(
            "4. Il manque un document".into(),
            with(vec![
                "Votre dossier n'est pas complet. Envoyez-nous, au plus tard le [date] : [documents manquants].".into(),
                "Le délai au bout duquel le silence de la mairie vaut décision ne court, ou ne reprend, que lorsque nous les aurons reçus.".into(),
            ]),
        ),
    ]
}

pub(super) fn ready_start(envoi: &Envoi) -> Vec<String> {
    let service = &envoi.service;
    let mut contact = vec![service.name.clone(), telephone_display(&service.telephone)];
    contact.extend((!service.email.is_empty()).then(|| service.email.clone()));
    contact.push(service.address.join(", "));
    contact.retain(|part| !part.is_empty());
    vec![
        "Accusé de réception électronique".into(),
        format!(
            "La mairie {} a reçu votre envoi {}. Référence : {}.",
            envoi.commune_de,
            received_at(&envoi.received_at),
            envoi.reference
        ),
        format!("Service chargé de votre envoi : {}.", contact.join(", ")),
    ]
}

fn answer_lines(value: &AnswerValue, pieces: Option<&PieceLinks>) -> Vec<String> {
    match value {
        AnswerValue::Files(files) => files.iter().map(|file| pieces::line(file, pieces)).collect(),
        other => other.lines(),
    }
}

/// Whose letter it is: the mairie's name, never missing, then how to reach it.
pub(super) fn signature(issuer: &Issuer) -> Vec<String> {
    let telephone = (!issuer.telephone.is_empty()).then(|| format!("Téléphone : {}", issuer.telephone));
    let site = (!issuer.site.is_empty()).then(|| issuer.site.clone());
    let name = format!("Mairie {}", issuer.names.forme_de);
    std::iter::once(name).chain(issuer.address.iter().cloned()).chain(telephone).chain(site).collect()
}

impl Letter {
    /// Plain text with ordinary spaces, lines ended by `\n`; answers are set in, so that they cannot pass for our words.
    ///
    /// `signature` says whose letter it is, its first line at the head: never empty.
    pub(super) fn text(&self, signature: &[String]) -> String {
        let mut text = format!("{}\n\n{}\n", signature[0], self.title.to_uppercase());
        for block in &self.blocks {
            text.push('\n');
            // Writing to a String cannot fail.
            let _ = match block {
                Block::Heading(title) => writeln!(text, "--- {title} ---"),
                Block::Paragraph(words) => writeln!(text, "{}", french(words)),
                Block::Notice(words) => writeln!(text, ">>> {}", french(words)),
                Block::Facts(rows) => rows.iter().try_for_each(|(label, value)| writeln!(text, "{label} : {value}")),
                Block::Answer(question, lines) => {
                    let _ = writeln!(text, "{}", french(question));
                    lines.iter().try_for_each(|line| writeln!(text, "    {line}"))
                }
                Block::Ready(title, lines) => {
                    let _ = writeln!(text, "* {}", french(title));
                    lines.iter().try_for_each(|line| writeln!(text, "\n{}", french(line)))
                }
            };
        }
        text.push('\n');
        signature.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
        let text = text.replace(['\u{a0}', '\u{202f}'], " ");
        text.lines().map(|line| line.trim_end()).fold(String::with_capacity(text.len()), |mut kept, line| {
            kept.push_str(line);
            kept.push('\n');
            kept
        })
    }

    /// A whole HTML document that old mail programs can draw: inline styles, tables for facts, no image; whose letter it is
    /// stands at its head and its foot.
    pub(super) fn html(&self, signature: &[String]) -> String {
        let title = typeset(&self.title);
        let mairie = typeset(&signature[0]);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"fr\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n</head>\n<body style=\"margin:0;padding:16px;background:#ffffff;color:#1a1a1a;font-family:Arial,Helvetica,sans-serif;font-size:16px;line-height:1.5;overflow-wrap:anywhere;word-break:break-word\">\n<div style=\"max-width:640px\">\n<p style=\"margin:0 0 20px;padding:0 0 10px;border-bottom:4px solid #1a1a1a;font-size:18px;font-weight:bold\">{mairie}</p>\n<h1 style=\"font-size:22px;line-height:1.3;margin:0 0 16px\">{title}</h1>\n"
        );
        for block in &self.blocks {
            block.html(&mut html);
        }
        let lines: Vec<String> = signature[1..].iter().map(|line| linked(line)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            html,
            "<p style=\"margin:28px 0 0;padding:12px 0 0;border-top:4px solid #1a1a1a;font-size:14px\"><strong>{mairie}</strong><br>\n{}</p>",
            lines.join("<br>\n")
        );
        html.push_str("</div>\n</body>\n</html>\n");
        html
    }
}

impl Block {
    fn html(&self, html: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Block::Heading(title) => writeln!(
                html,
                "<h2 style=\"font-size:18px;margin:28px 0 8px;padding-top:12px;border-top:1px solid #c8c8c8\">{}</h2>",
                typeset(title)
            ),
            Block::Paragraph(words) => writeln!(html, "<p style=\"margin:0 0 12px\">{}</p>", linked(words)),
            Block::Notice(words) => writeln!(
                html,
                "<p style=\"margin:0 0 12px;padding:8px 12px;border-left:4px solid #1a1a1a;background:#f2f2f2\"><strong>{}</strong></p>",
                typeset(words)
            ),
            Block::Facts(rows) => {
                html.push_str("<table style=\"border-collapse:collapse;margin:0 0 16px\">\n");
                for (label, value) in rows {
                    let _ = writeln!(
                        html,
                        "<tr><th scope=\"row\" style=\"text-align:left;vertical-align:top;font-weight:bold;padding:4px 16px 4px 0\">{}</th><td style=\"vertical-align:top;padding:4px 0\">{}</td></tr>",
                        typeset(label),
                        escaped(value)
                    );
                }
                writeln!(html, "</table>")
            }
            Block::Answer(question, lines) => {
                let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
                writeln!(
                    html,
                    "<p style=\"margin:12px 0 2px\"><strong>{}</strong></p>\n<p style=\"margin:0 0 12px;padding-left:12px;border-left:3px solid #c8c8c8\">{}</p>",
                    typeset(question),
                    lines.join("<br>\n")
                )
            }
            Block::Ready(title, lines) => {
                let _ = writeln!(html, "<h3 style=\"font-size:16px;margin:16px 0 4px\">{}</h3>", typeset(title));
                html.push_str("<div style=\"margin:0 0 12px;padding:8px 12px;border:1px solid #c8c8c8\">\n");
                for line in lines {
                    let _ = writeln!(html, "<p style=\"margin:0 0 8px\">{}</p>", typeset(line));
                }
                writeln!(html, "</div>")
            }
        };
    }
}

/// Our words in HTML: French spaces, without the narrow one that some mail programs draw as a box.
fn typeset(words: &str) -> String {
    escaped(&french(words))
}

/// The same, with the address that ends a sentence made a link.
fn linked(words: &str) -> String {
    // Plain `http` is the preview's, on this machine.
    match words.find("https://").or_else(|| words.find("http://127.0.0.1")) {
        Some(at) if !words[at..].contains(char::is_whitespace) => {
            let url = escaped(&words[at..]);
            format!("{}<a href=\"{url}\">{url}</a>", typeset(&words[..at]))
        }
        _ => typeset(words),
    }
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\u{202f}' => html.push('\u{a0}'),
            letter => html.push(letter),
        }
    }
    html
}

/// `demande.json`, described in docs/demande-json.md; keys only ever get added within a version.
#[derive(Serialize)]
struct Demande<'s> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    format: &'static str,
    version: u8,
    reference: &'s str,
    recu_le: String,
    fuseau: Option<&'s str>,
    commune: DemandeCommune<'s>,
    formulaire: DemandeForm<'s>,
    accuse: &'static str,
    echeance: Option<DemandeDeadline>,
    usager: DemandeSender<'s>,
    /// `null` when the resident filled it.
    saisie: Option<DemandeEntered>,
    /// What is urgent, as the form names it.
    alertes: Vec<&'s str>,
    reponses: Vec<DemandeAnswer<'s>>,
    conserve_jusqu_au: Date,
}

/// Who filled the form for the resident.
#[derive(Serialize)]
struct DemandeEntered {
    agent: String,
    canal: String,
}

#[derive(Serialize)]
struct DemandeCommune<'s> {
    nom: &'s str,
    code_insee: &'s str,
}

#[derive(Serialize)]
struct DemandeForm<'s> {
    id: &'s str,
    titre: &'s str,
    nature: Nature,
}

#[derive(Serialize)]
struct DemandeDeadline {
    sens: &'static str,
    date: Date,
}

#[derive(Serialize)]
struct DemandeSender<'s> {
    nom: &'s str,
    courriel: Option<&'s str>,
}

#[derive(Serialize)]
struct DemandeAnswer<'s> {
    champ: &'s str,
    etape: Option<&'s str>,
    question: &'s str,
    #[serde(rename = "type")]
    kind: &'static str,
    valeur: serde_json::Value,
    texte: String,
}

#[derive(Serialize)]
struct DemandeFile<'s> {
    nom: &'s str,
    #[serde(rename = "type")]
    media_type: &'s str,
    taille: u64,
    blake3: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lien: Option<&'s str>,
    #[serde(skip_serializing_if = "<[Caution]>::is_empty")]
    reserves: &'s [Caution],
}

fn demande_json(
    form: &Form,
    issuer: &Issuer,
    answers: &ValidAnswers,
    (receipt, pieces): (&Receipt, Option<&PieceLinks>),
) -> String {
    let envoi = receipt.envoi();
    let demande = Demande {
        schema: JSON_SCHEMA,
        format: "mulot-demande",
        version: JSON_VERSION,
        reference: envoi.reference.as_str(),
        recu_le: rfc3339(&envoi.received_at),
        fuseau: envoi.received_at.time_zone().iana_name(),
        commune: DemandeCommune { nom: &issuer.names.nom, code_insee: &issuer.code_insee },
        formulaire: DemandeForm { id: &form.id, titre: &form.title, nature: form.nature },
        accuse: match receipt {
            Receipt::Enregistrement(_) => "enregistrement",
            Receipt::Reception(_) => "reception",
            Receipt::Message(_) => "message",
        },
        echeance: receipt.deadline().map(|deadline| DemandeDeadline {
            sens: match deadline.kind {
                DeadlineKind::AccuseReception => "accuse_de_reception",
                DeadlineKind::Acceptation => "acceptation_implicite",
                DeadlineKind::Rejet => "rejet_implicite",
            },
            date: deadline.date,
        }),
        usager: DemandeSender { nom: &answers.sender.name, courriel: answers.sender.email.as_deref() },
        saisie: entered(answers),
        alertes: answers.alerts.iter().map(|alert| alert.title.as_str()).collect(),
        reponses: answers.answers.iter().map(|answer| demande_answer(form, answer, pieces)).collect(),
        conserve_jusqu_au: kept_until(envoi.received_at.date(), envoi.retention),
    };
    // Strings, numbers and dates always have a JSON form.
    serde_json::to_string_pretty(&demande).unwrap_or_default()
}

fn demande_answer<'s>(form: &'s Form, answer: &'s Answer, pieces: Option<&PieceLinks>) -> DemandeAnswer<'s> {
    let kind = form.field(&answer.field).map(|field| &field.kind);
    DemandeAnswer {
        champ: &answer.field,
        etape: answer.step.as_deref(),
        question: &answer.question,
        kind: kind.map_or("texte", kind_word),
        valeur: machine_value(kind, &answer.value, pieces),
        texte: match &answer.value {
            AnswerValue::Text(text) => text.clone(),
            AnswerValue::Choices(lines) => lines.join(", "),
            AnswerValue::Address(lines) => lines.join("\n"),
            AnswerValue::Files(files) => files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", "),
            AnswerValue::Group(entries) => entries.iter().flat_map(Entry::lines).collect::<Vec<_>>().join("\n"),
        },
    }
}

/// The answer for a program: figures, dates and identifiers in their standard forms.
fn machine_value(kind: Option<&FieldKind>, value: &AnswerValue, pieces: Option<&PieceLinks>) -> serde_json::Value {
    use serde_json::{Value, json};
    match (kind, value) {
        (Some(FieldKind::Date { .. }), AnswerValue::Text(text)) => {
            parse_date(text).map_or_else(|_| json!(text), |date| json!(date.to_string()))
        }
        (Some(FieldKind::Time), AnswerValue::Text(text)) => {
            parse_hour(text).map_or_else(|| json!(text), |hour| json!(hour.strftime("%H:%M").to_string()))
        }
        (Some(FieldKind::Number { .. }), AnswerValue::Text(text)) => {
            text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
        }
        (Some(FieldKind::Telephone), AnswerValue::Text(text)) => {
            telephone_link(text).map_or_else(|| json!(text), |number| json!(number))
        }
        (Some(FieldKind::Siret | FieldKind::Iban), AnswerValue::Text(text)) => json!(text.replace(' ', "")),
        (Some(FieldKind::Amount { .. }), AnswerValue::Text(text)) => {
            parse_euros(text).map_or_else(|| json!(text), |cents| json!(cents as f64 / 100.0))
        }
        (Some(FieldKind::YesNo | FieldKind::Checkbox), AnswerValue::Text(text)) => json!(text == "Oui"),
        (Some(FieldKind::Choice { choices }), AnswerValue::Choices(labels)) => {
            values_of(choices, labels).into_iter().next().map_or(Value::Null, Value::from)
        }
        (Some(FieldKind::Choices { choices }), AnswerValue::Choices(labels)) => json!(values_of(choices, labels)),
        (_, AnswerValue::Text(text)) => json!(text),
        (_, AnswerValue::Choices(lines) | AnswerValue::Address(lines)) => json!(lines),
        (_, AnswerValue::Files(files)) => {
            json!(files.iter().map(|file| demande_file(file, pieces)).collect::<Vec<_>>())
        }
        (_, AnswerValue::Group(entries)) => json!(entries.iter().map(demande_entry).collect::<Vec<_>>()),
    }
}

fn values_of(choices: &[Choice], labels: &[String]) -> Vec<String> {
    choices.iter().filter(|choice| labels.contains(&choice.label)).map(|choice| choice.value.clone()).collect()
}

/// One entry of a group: the answers by the ids of their questions.
fn demande_entry(entry: &Entry) -> serde_json::Map<String, serde_json::Value> {
    entry.parts.iter().map(|part| (part.part.clone(), part.value.clone().into())).collect()
}

fn demande_file<'s>(file: &'s StoredFile, pieces: Option<&'s PieceLinks>) -> DemandeFile<'s> {
    DemandeFile {
        nom: &file.name,
        media_type: &file.media_type,
        taille: file.size,
        blake3: &file.hash,
        lien: pieces.and_then(|pieces| pieces.url(file)),
        reserves: &file.cautions,
    }
}

/// The words of docs/contenu.md.
fn kind_word(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Text { .. } => "texte",
        FieldKind::LongText { .. } => "texte_long",
        FieldKind::Email => "courriel",
        FieldKind::Telephone => "telephone",
        FieldKind::Number { .. } => "nombre",
        FieldKind::Date { .. } => "date",
        FieldKind::Time => "heure",
        FieldKind::YesNo => "oui_non",
        FieldKind::Choice { .. } => "choix",
        FieldKind::Choices { .. } => "choix_multiple",
        FieldKind::Checkbox => "case_a_cocher",
        FieldKind::Address => "adresse",
        FieldKind::Place { .. } => "lieu",
        FieldKind::File { .. } => "fichier",
        FieldKind::Information { .. } => "information",
        FieldKind::Alert { .. } => "alerte",
        FieldKind::Rna => "rna",
        FieldKind::Siret => "siret",
        FieldKind::Iban => "iban",
        FieldKind::Amount { .. } => "montant",
        FieldKind::Exit { .. } => "sortie",
        FieldKind::Group { .. } => "groupe",
        FieldKind::Block { shape, .. } => match shape {
            Shape::Person => "personne",
            Shape::Child => "enfant",
            Shape::Period { .. } => "periode",
            Shape::Booking { .. } => "reservation",
            Shape::Appointment { .. } => "rendez_vous",
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::intake::validate::answers;
    use crate::intake::validate::tests::{every_kind, good};
    use crate::model::form::Identity;
    use crate::model::receipt::tests::{form as bare_form, issuer, moment, reference};
    use crate::model::submission::Sender;

    fn composed(form: &Form, answers: &ValidAnswers) -> Vec<Mail> {
        let receipt = Receipt::for_submission(form, &issuer(), &reference(), &moment());
        mails(form, &issuer(), answers, &receipt, &links())
    }

    fn links() -> RequestLinks {
        RequestLinks {
            follow: Some("https://www.saint-mulot.example/guichet/suivi/2026-KJM2-QYJD-9/secret".into()),
            act: Some("https://www.saint-mulot.example/guichet/agir/jeton".into()),
            pieces: None,
        }
    }

    fn valid(form: &Form) -> ValidAnswers {
        answers(form, &good(), moment().date()).expect("good answers")
    }

    #[track_caller]
    fn golden(name: &str, text: &str, expected: &str) {
        if let Some(folder) = std::env::var_os("MULOT_GOLDEN") {
            std::fs::write(std::path::Path::new(&folder).join(name), text).expect("a folder");
            return;
        }
        assert_eq!(text, expected, "{name}: run with MULOT_GOLDEN=tests/receipts to write it again, then read it");
    }

    #[test]
    fn the_published_schema_knows_every_kind_of_answer() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../docs/schemas/demande-1.json")).unwrap();
        assert_eq!(schema["$id"], JSON_SCHEMA);
        assert_eq!(schema["properties"]["version"]["const"], JSON_VERSION);
        let words = schema["$defs"]["reponse"]["properties"]["type"]["enum"].as_array().unwrap();
        let words: Vec<&str> = words.iter().filter_map(|word| word.as_str()).collect();
        // A kind without an answer is in no request.
        let answered = |kind: &&FieldKind| !matches!(kind, FieldKind::Information { .. } | FieldKind::Exit { .. });
        let form = every_kind(true);
        for kind in form.fields.iter().map(|field| &field.kind).filter(answered) {
            assert!(words.contains(&kind_word(kind)), "{}", kind_word(kind));
        }
        let documented = include_str!("../../docs/demande-json.md");
        for word in words {
            assert!(documented.contains(&format!("`{word}`")), "docs/demande-json.md forgets {word}");
        }
    }

    #[test]
    fn the_mairie_gets_everything_and_the_resident_the_receipt() {
        let form = every_kind(true);
        let mails = composed(&form, &valid(&form));
        let [mairie, resident] = mails.as_slice() else { panic!("two mails") };
        golden("courriel-mairie.txt", &mairie.text, include_str!("../../tests/receipts/courriel-mairie.txt"));
        golden("courriel-mairie.html", &mairie.html, include_str!("../../tests/receipts/courriel-mairie.html"));
        golden("courriel-usager.txt", &resident.text, include_str!("../../tests/receipts/courriel-usager.txt"));
        let json = format!("{}\n", mairie.json.as_deref().unwrap_or(""));
        golden("demande.json", &json, include_str!("../../tests/receipts/demande.json"));
        assert_eq!(
            mairie.subject,
            "[Place du Tilleul] Saint-Mulot — réf. 2026-KJM2-QYJD-9 — accusé à envoyer au plus tard le 04/12/2026"
        );
        assert_eq!(mairie.to, ["mairie@saint-mulot.example"]);
        assert_eq!(mairie.reply_to, Some(Mailbox { name: String::new(), email: "jeanne@exemple.fr".into() }));
        assert_eq!(mairie.message_id, "2026-KJM2-QYJD-9.mairie@saint-mulot.example");
        assert_eq!(mairie.date, "2026-11-21T14:30:12+01:00");
        assert_eq!(mairie.attachments.len(), 1);
        assert_eq!(resident.subject, "[Saint-Mulot] Accusé d’enregistrement électronique — réf. 2026-KJM2-QYJD-9");
        assert_eq!(resident.to, ["jeanne@exemple.fr"]);
        assert_eq!(resident.from.name, "Mairie de Saint-Mulot");
        assert_eq!(resident.reply_to.as_ref().map(|to| to.email.as_str()), Some("mairie@saint-mulot.example"));
        assert!(resident.attachments.is_empty() && resident.json.is_none());
    }

    #[test]
    fn without_an_address_only_the_mairie_is_written_to() {
        let form = bare_form(Nature::Information, Identity::None, Silence::SansDecision);
        let answers = ValidAnswers { answers: Vec::new(), sender: Sender::default(), ..ValidAnswers::default() };
        let mails = composed(&form, &answers);
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].reply_to, None);
        assert_eq!(mails[0].subject, "[Place du Tilleul] Saint-Mulot — réf. 2026-KJM2-QYJD-9");
        assert!(mails[0].text.contains("ne l’atteint pas"));
        assert!(mails[0].text.contains("s’est affiché à l’écran"), "{}", mails[0].text);
        for untrue in ["L’usager a reçu", "n’a pas été vérifiée", "ccepter", "efuser"] {
            assert!(!mails[0].text.contains(untrue), "{untrue}: {}", mails[0].text);
        }
        assert!(
            mails[0].text.contains("\nPrendre en charge, demander des documents, transmettre, répondre et clore : "),
            "what the page offers: {}",
            mails[0].text
        );
        assert!(!mails[0].text.contains("prêts à copier"));
    }

    #[test]
    fn what_is_urgent_comes_before_all_else() {
        let form = bare_form(Nature::Information, Identity::None, Silence::SansDecision);
        let reminder = "Un danger ? Appelez le 18 ou le 112.".to_owned();
        let alerts = vec![crate::model::submission::Alert { title: "Danger immédiat".into(), reminder }];
        let answers = ValidAnswers {
            sender: Sender { name: String::new(), email: Some("jeanne@exemple.fr".into()) },
            alerts,
            ..ValidAnswers::default()
        };
        let receipt = Receipt::for_submission(&form, &issuer(), &reference(), &moment()).with_alerts(&answers.alerts);
        let mails = mails(&form, &issuer(), &answers, &receipt, &links());
        assert!(mails[0].subject.starts_with("DANGER IMMÉDIAT — [Place du Tilleul]"), "{}", mails[0].subject);
        assert!(mails[0].subject.contains("réf. 2026-KJM2-QYJD-9"), "the thread is found by it");
        let first = mails[0].text.find(">>> ").map(|at| &mails[0].text[at..]).unwrap_or_default();
        assert!(first.starts_with(">>> DANGER IMMÉDIAT"), "{first}");
        assert!(mails[1].text.contains("Appelez le 18 ou le 112"), "{}", mails[1].text);
        assert!(mails[0].json.as_deref().is_some_and(|json| json.contains("\"Danger immédiat\"")));
    }

    #[test]
    fn a_decision_by_silence_is_in_the_subject() {
        let form = bare_form(Nature::Demande, Identity::Person, Silence::Rejet(Delay::Months(2)));
        let answers = ValidAnswers { answers: Vec::new(), sender: Sender::default(), ..ValidAnswers::default() };
        let mails = composed(&form, &answers);
        assert!(mails[0].subject.ends_with("répondre avant le 22/01/2027"));
        assert!(mails[0].text.contains("réputée rejetée"));
    }

    #[test]
    fn what_is_typed_is_never_markup() {
        let form = every_kind(true);
        let mut answers = valid(&form);
        answers.answers[0].value = AnswerValue::Text("<script>alert('x')</script> & \"y\"".into());
        let mails = composed(&form, &answers);
        assert!(mails[0].html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;"));
        assert!(!mails[0].html.contains("<script"));
    }

    /// The words of a drawing, without its marks, to compare the two.
    fn words(text: &str) -> Vec<String> {
        let mut inside = false;
        let bare: String = text
            .chars()
            .map(|letter| match letter {
                '<' => {
                    inside = true;
                    ' '
                }
                '>' => {
                    inside = false;
                    ' '
                }
                _ if inside => ' ',
                letter => letter,
            })
            .collect();
        let bare = bare
            .replace("&#39;", "'")
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        bare.to_uppercase()
            .split(|letter: char| letter.is_whitespace() || matches!(letter, ':' | '-' | '*' | '>'))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn text_and_html_say_the_same() {
        let form = every_kind(true);
        for mail in composed(&form, &valid(&form)) {
            let html = mail.html.split_once("<body").expect("a body").1;
            let html = format!("<body{html}");
            assert_eq!(words(&html), words(&mail.text));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_resident_is_never_sent_what_was_typed(typed in "[A-Za-z0-9]{12,40}") {
            let form = every_kind(true);
            let mut answers = valid(&form);
            for answer in &mut answers.answers {
                answer.value = AnswerValue::Text(format!("https://{typed}.example/ {typed}"));
            }
            answers.sender.name = typed.clone();
            let mails = composed(&form, &answers);
            for part in [&mails[1].text, &mails[1].html, &mails[1].subject, &mails[1].from.name] {
                prop_assert!(!part.contains(&typed));
            }
        }

        #[test]
        fn headers_stay_on_one_short_line(word in ".{0,200}", name in ".{0,200}") {
            let mut form = every_kind(true);
            form.subject_word = word;
            let mut issuer = issuer();
            issuer.names.nom = name;
            let receipt = Receipt::for_submission(&form, &issuer, &reference(), &moment());
            for mail in mails(&form, &issuer, &valid(&form), &receipt, &links()) {
                prop_assert!(mail.subject.chars().count() <= MAX_SUBJECT);
                prop_assert!(!mail.subject.chars().any(char::is_control));
                prop_assert!(mail.subject.contains("2026-KJM2-QYJD-9"));
                prop_assert!(mail.message_id.is_ascii());
            }
        }

        #[test]
        fn any_answer_makes_a_well_formed_mail(typed in "(?s).{0,80}") {
            let form = every_kind(true);
            let mut answers = valid(&form);
            answers.answers[1].value = AnswerValue::Text(typed);
            let mails = composed(&form, &answers);
            prop_assert_eq!(mails[0].html.matches("<p ").count(), mails[0].html.matches("</p>").count());
            let json: serde_json::Value = serde_json::from_str(mails[0].json.as_deref().unwrap_or("")).expect("JSON");
            prop_assert_eq!(&json["reference"], "2026-KJM2-QYJD-9");
        }
    }
}
