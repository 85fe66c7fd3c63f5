//! The morning's digest to the mairie: received, late, stuck, about to be decided by silence. One mail a day and mailbox at
//! most, only when there is something to tell.
//!
//! What is to be told is what has come since the last morning that was looked at, so that a day on which the server was
//! stopped loses nothing; what stays late is told again on Mondays.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Unit, Zoned};

use super::accept::KeptReceipt;
use super::compose::{Block, Letter, rfc3339};
use super::follow::deadline_words;
use super::links::Links;
use super::sheet::{Line, sheet};
use super::store::{NewBulletin, Open, Store, StoreError};
use crate::model::dossier::{Horizon, Life};
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox, Sheet};
use crate::model::reference::Reference;
use crate::text::dates::{long_date, short_date};
use crate::text::numbers::plural;
use crate::text::typography::french;

/// What the digest is made with.
#[derive(Debug, Clone)]
pub struct Digest {
    /// Makes the addresses by which the mairie acts.
    pub links: Links,
    /// The commune's clock.
    pub zone: TimeZone,
    /// Forms whose requests of the day before go with it as a file.
    pub daily: BTreeSet<String>,
}

/// Writes this morning's digest if it is time; `true` when mails were written.
///
/// # Errors
/// [`StoreError`] when the store cannot be read or written; the next step tries again.
pub async fn step(store: &Store, digest: &Digest, now: Timestamp) -> Result<bool, StoreError> {
    let local = now.to_zoned(digest.zone.clone());
    if local.hour() < MORNING {
        return Ok(false);
    }
    let (reading, zone) = (store.clone(), local.clone());
    let digest = digest.clone();
    let looked = tokio::task::spawn_blocking(move || look(&reading, &digest, &zone)).await;
    let Some(bulletin) = looked.unwrap_or(Err(StoreError::Closed))? else { return Ok(false) };
    let count = bulletin.mails.len();
    Ok(store.bulletin(bulletin, now).await? && count > 0)
}

/// The digest of this morning; `None` when it is already written.
fn look(store: &Store, digest: &Digest, now: &Zoned) -> Result<Option<NewBulletin>, StoreError> {
    let (last, today) = (store.last_bulletin()?, now.date());
    if last.is_some_and(|last| last >= today) {
        return Ok(None);
    }
    let since = last.unwrap_or(today.saturating_sub(1.day()));
    let mut sheets = sheets(store, digest, (since, today), now)?;
    let mut mailboxes: BTreeMap<String, (Mail, Vec<Item>)> = BTreeMap::new();
    for open in store.open_requests()? {
        let Some((section, words)) = told(&open, since, today) else { continue };
        let Some(request) = store.request_mail(&open.reference)? else { continue };
        for recipient in &request.to {
            let entry = mailboxes.entry(recipient.clone()).or_insert_with(|| (request.clone(), Vec::new()));
            entry.1.push(Item {
                reference: open.reference.clone(),
                section,
                title: open.form_title.clone(),
                received: open.received_at.date(),
                words: words.clone(),
                act: digest.links.of(&open.reference, now.timestamp()).act,
            });
        }
    }
    // A mailbox with nothing but a file gets it too.
    for (recipient, of_box) in &sheets {
        mailboxes.entry(recipient.clone()).or_insert_with(|| (of_box.request.clone(), Vec::new()));
    }
    let mails = mailboxes.into_iter().filter_map(|(recipient, (request, items))| {
        let of_box = sheets.remove(&recipient);
        let first = items.first().map(|item| &item.reference).or(of_box.as_ref().map(|one| &one.first))?.clone();
        let files = of_box.map(|one| one.sheets).unwrap_or_default();
        Some((first, mail(&recipient, &request, (&items, files), (now, digest.links.counter(now.timestamp())))))
    });
    Ok(Some(NewBulletin { day: today, mails: mails.collect() }))
}

/// The files of one mailbox.
struct Sheets {
    /// The first request in them, and its mail.
    first: Reference,
    request: Mail,
    sheets: Vec<Sheet>,
}

/// The requests of the days from `since` to the one before `today`, a file each form that asks for one, for each mailbox they
/// were sent to.
fn sheets(
    store: &Store,
    digest: &Digest,
    (since, today): (Date, Date),
    now: &Zoned,
) -> Result<BTreeMap<String, Sheets>, StoreError> {
    let midnight = |day: Date| day.to_zoned(digest.zone.clone()).map_or(now.timestamp(), |day| day.timestamp());
    let mut lines: BTreeMap<(String, String), (Reference, Mail, Vec<Line>)> = BTreeMap::new();
    for (form, reference) in store.left_between(&digest.daily, (midnight(since), midnight(today)))? {
        let (Some(kept), Some(request)) = (store.kept(&reference)?, store.request_mail(&reference)?) else { continue };
        let line = Line {
            reference: reference.to_string(),
            received: kept.received_at.strftime("%Y-%m-%d %H:%M").to_string(),
            name: kept.sender.name,
            email: kept.sender.email.unwrap_or_default(),
            answers: kept.answers,
        };
        for recipient in &request.to {
            let of_form = lines.entry((recipient.clone(), form.clone()));
            of_form.or_insert_with(|| (reference.clone(), request.clone(), Vec::new())).2.push(line.clone());
        }
    }
    let mut boxes: BTreeMap<String, Sheets> = BTreeMap::new();
    for ((recipient, form), (first, request, lines)) in lines {
        let name = format!("{form}-{}.csv", today.saturating_sub(1.day()));
        let of_box = boxes.entry(recipient).or_insert_with(|| Sheets { first, request, sheets: Vec::new() });
        of_box.sheets.push(sheet(name, &lines));
    }
    Ok(boxes)
}

/// Under which heading a request stands, the most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Silence,
    Soon,
    Late,
    Stuck,
    Received,
}

impl Section {
    const ALL: [Section; 5] = [Section::Silence, Section::Soon, Section::Late, Section::Stuck, Section::Received];

    fn title(self) -> &'static str {
        match self {
            Section::Silence => "Bientôt décidé par votre silence",
            Section::Soon => "À faire dans les trois jours",
            Section::Late => "En retard",
            Section::Stuck => "Messages qui n'ont pas pu être remis",
            Section::Received => "Reçu depuis le dernier bulletin",
        }
    }
}

/// A request in the digest of one mailbox.
struct Item {
    reference: Reference,
    section: Section,
    title: String,
    received: Date,
    words: String,
    act: Option<String>,
}

/// What there is to tell of a request this morning, under its most pressing heading.
fn told(open: &Open, since: Date, today: Date) -> Option<(Section, String)> {
    let receipt = serde_json::from_value::<KeptReceipt>(open.receipt.clone()).ok()?.receipt;
    let life = Life::of(&receipt, &open.acts);
    let is_new = |day: Date| since < day && day <= today;
    let days = |from: Date, to: Date| from.until((Unit::Day, to)).map_or(0, |span| span.get_days());
    // A date that is over is told the next morning, then on Mondays for some weeks.
    let is_told_late = |over: Date| {
        over < today && (since <= over || (today.weekday() == Weekday::Monday && days(over, today) <= MOST_LATE))
    };
    let deadline = || deadline_words(&life, today).unwrap_or_default();
    if !life.state.is_closed() {
        match life.horizon(today) {
            Horizon::On(_, on) | Horizon::IfComplete(_, on)
                if on > today && REMINDERS.iter().any(|days| is_new(on.saturating_sub(days.days()))) =>
            {
                return Some((Section::Silence, deadline()));
            }
            // A decision made by silence is told once.
            Horizon::On(_, on) | Horizon::IfComplete(_, on) if is_new(on) => return Some((Section::Late, deadline())),
            Horizon::Accuse(before) if is_told_late(before) => return Some((Section::Late, deadline())),
            Horizon::Accuse(before) if before >= today && is_new(before.saturating_sub(REMINDERS[1].days())) => {
                return Some((Section::Soon, deadline()));
            }
            _ => {}
        }
        if let Some(missing) = &life.missing
            && is_told_late(missing.until)
        {
            let words = format!("Documents demandés pour le {}, pas encore reçus", short_date(missing.until));
            return Some((Section::Late, words));
        }
    }
    let failed = open.failed.iter().rfind(|(_, at)| {
        let day = at.to_zoned(open.received_at.time_zone().clone()).date();
        is_told_late(day) || day == today
    });
    if let Some((role, _)) = failed {
        let words = match role {
            MailRole::Mairie => "Une boîte de la mairie a refusé le message",
            MailRole::Usager => "L'adresse de l'usager a refusé le message : appelez-le ou écrivez-lui",
        };
        return Some((Section::Stuck, words.to_owned()));
    }
    let received = open.received_at.date();
    let is_received = since <= received && received < today && !life.state.is_closed();
    is_received.then(|| (Section::Received, deadline()))
}

fn mail(
    recipient: &str,
    request: &Mail,
    (items, sheets): (&[Item], Vec<Sheet>),
    (now, counter): (&Zoned, Option<(String, Timestamp)>),
) -> Mail {
    let letter = letter(items, &sheets, now.date(), counter.map(|(link, _)| link));
    let domain = request.message_id.rsplit_once('@').map_or("guichet.invalid", |(_, domain)| domain);
    let mailbox = blake3::hash(recipient.as_bytes()).to_hex();
    Mail {
        role: MailRole::Mairie,
        from: Mailbox { name: request.from.name.clone(), email: request.from.email.clone() },
        to: vec![recipient.to_owned()],
        reply_to: None,
        subject: format!("[Bulletin du guichet] {} — {}", short_date(now.date()), count(items, &sheets)),
        text: letter.text(std::slice::from_ref(&request.from.name)),
        html: letter.html(std::slice::from_ref(&request.from.name)),
        // The same all day: a restart does not write it twice.
        message_id: format!("bulletin.{}.{}@{domain}", now.date(), &mailbox[..12]),
        in_reply_to: None,
        date: rfc3339(now),
        auto_submitted: AutoSubmitted::Generated,
        attachments: Vec::new(),
        json: None,
        sheets,
    }
}

fn count(items: &[Item], sheets: &[Sheet]) -> String {
    let (many, one, more) = match items.len() {
        0 => (sheets.len(), "fichier", "fichiers"),
        count => (count, "demande", "demandes"),
    };
    plural(many as u64, one, more).replace('\u{a0}', " ")
}

fn letter(items: &[Item], sheets: &[Sheet], today: Date, counter: Option<String>) -> Letter {
    let mut blocks =
        vec![Block::Paragraph(format!("Ce que le guichet en ligne vous signale ce {}.", long_date(today)))];
    for section in Section::ALL {
        let mut of_section = items.iter().filter(|item| item.section == section).peekable();
        if of_section.peek().is_some() {
            blocks.push(Block::Heading(french(section.title()).into_owned()));
        }
        for item in of_section {
            let mut facts = vec![
                ("Référence".into(), item.reference.to_string()),
                ("Démarche".into(), item.title.clone()),
                ("Reçue".into(), format!("le {}", short_date(item.received))),
            ];
            if !item.words.is_empty() {
                facts.push(("À savoir".into(), french(&item.words).into_owned()));
            }
            blocks.push(Block::Facts(facts));
            blocks.extend(item.act.as_ref().map(|act| Block::Paragraph(format!("Agir sur cette demande : {act}"))));
        }
    }
    if !sheets.is_empty() {
        blocks.push(Block::Heading("Récapitulatif, en pièce jointe".into()));
        blocks.push(Block::Paragraph(
            "Les demandes de la veille, à ouvrir dans un tableur. Chacune a aussi été envoyée à son arrivée.".into(),
        ));
        blocks.extend(sheets.iter().map(|sheet| Block::Paragraph(format!("– {}", sheet.name))));
    }
    if items.is_empty() {
        return Letter { title: "Bulletin du guichet".into(), blocks };
    }
    blocks.push(Block::Paragraph(
        "Vous avez déjà répondu par courriel ou par téléphone ? Ouvrez le lien et choisissez « Répondre et clore » : le guichet n'en parlera plus.".into(),
    ));
    blocks.extend(counter.map(|link| {
        Block::Paragraph(format!("Quelqu'un appelle ou se présente ? Remplissez le formulaire pour lui (lien valable un mois, pour la mairie seule) : {link}"))
    }));
    Letter { title: "Bulletin du guichet".into(), blocks }
}

/// Hour from which the digest leaves, on the commune's clock.
const MORNING: i8 = 7;
/// Days before a decision by silence on which the mairie is reminded; our choice, the law sets none.
const REMINDERS: [i32; 2] = [15, 3];
/// Days for which what is late is told again.
const MOST_LATE: i32 = 56;

#[cfg(test)]
mod tests;
