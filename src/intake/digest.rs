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
use super::compose::{Block, Letter, alert_titles, rfc3339};
use super::follow::deadline_words;
use super::links::Links;
use super::sheet::{Line, sheet};
use super::store::{NewBulletin, Open, Store, StoreError};
use crate::model::dossier::{Horizon, Life, State};
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox, Sheet};
use crate::model::reference::Reference;
use crate::text::dates::{long_date, short_date, time};
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

/// When the next digest is to be written, the one of `now` being done or not due.
pub fn next(zone: &TimeZone, now: Timestamp) -> Timestamp {
    let local = now.to_zoned(zone.clone());
    let day = if local.hour() < MORNING { local.date() } else { local.date().saturating_add(1.day()) };
    day.at(MORNING, 0, 0, 0).to_zoned(zone.clone()).map_or(now, |morning| morning.timestamp())
}

/// The digest of this morning; `None` when it is already written.
fn look(store: &Store, digest: &Digest, now: &Zoned) -> Result<Option<NewBulletin>, StoreError> {
    let today = now.date();
    let last = store.last_bulletin(today)?;
    if last == Some(today) {
        return Ok(None);
    }
    let since = last.unwrap_or(today.saturating_sub(1.day()));
    let mut sheets = sheets(store, digest, (since, today), now)?;
    let held = store.quarantined(now.timestamp())?;
    let held: BTreeMap<Reference, Timestamp> = held.into_iter().map(|one| (one.reference, one.until)).collect();
    let mut mailboxes: BTreeMap<String, (Mail, Vec<Item>)> = BTreeMap::new();
    let (open_requests, mut unreadable) = store.open_requests()?;
    for open in open_requests {
        let Some((section, words, is_decided)) = told(&open, since, today) else { continue };
        let request = match readable(store.request_mail(&open.reference))? {
            Some(request) => request,
            None => {
                unreadable += 1;
                continue;
            }
        };
        let Some(request) = request else { continue };
        let urgent =
            alert_titles(&request).into_iter().map(|title| format!("{}, signalé par l'usager", title.to_uppercase()));
        let words: Vec<String> = urgent.chain((!words.is_empty()).then_some(words)).collect();
        let words = words.join(". ");
        let held = held.get(&open.reference).map(|until| until.to_zoned(digest.zone.clone()));
        for recipient in &request.to {
            // It is judged first: its own page could only write to somebody who may have asked for nothing.
            let (section, words, link) = match &held {
                Some(until) => {
                    let words = format!(
                        "Ressemble à de la publicité : part d'elle-même le {} à {}, si personne ne la juge avant",
                        short_date(until.date()),
                        time(until.time())
                    );
                    let page = digest.links.quarantine(&store.mailbox_tag(recipient), now.timestamp());
                    (
                        Section::Held,
                        words,
                        page.map(|page| format!("Lire, puis laisser passer ou mettre de côté : {page}")),
                    )
                }
                None => {
                    let page = digest.links.of(&open.reference, now.timestamp()).act;
                    (section, words.clone(), page.map(|page| format!("Agir sur cette demande : {page}")))
                }
            };
            let entry = mailboxes.entry(recipient.clone()).or_insert_with(|| (request.clone(), Vec::new()));
            entry.1.push(Item {
                reference: open.reference.clone(),
                section,
                title: open.form_title.clone(),
                received: open.received_at.date(),
                words,
                link,
                is_decided: is_decided && held.is_none(),
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
        let counter = digest.links.counter(now.timestamp()).map(|(link, _)| link);
        let told = Told { items: &items, unreadable, counter };
        Some((first, mail((&recipient, &request), (told, files), (since, now))))
    });
    Ok(Some(NewBulletin { day: today, mails: mails.collect() }))
}

/// `None` for a value that is damaged: it must not keep the others out of the digest. What else is wrong stays an error.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error @ StoreError::Content { .. }) => {
            tracing::error!(error.reason = %error, "a request cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
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
        let Some(Some(kept)) = readable(store.kept(&reference))? else { continue };
        let Some(request) = kept.request else { continue };
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
    Held,
    Open,
}

impl Section {
    const ALL: [Section; 7] = [
        Section::Silence,
        Section::Soon,
        Section::Late,
        Section::Stuck,
        Section::Received,
        Section::Held,
        Section::Open,
    ];

    fn title(self) -> &'static str {
        match self {
            Section::Silence => "Bientôt décidé par votre silence",
            Section::Soon => "À faire dans les trois jours",
            Section::Late => "En retard",
            Section::Stuck => "Messages qui n'ont pas pu être remis",
            Section::Received => "Reçu depuis le dernier bulletin",
            Section::Held => "En quarantaine : à vérifier",
            Section::Open => "Toujours sans réponse",
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
    /// Where it is acted on, in one sentence.
    link: Option<String>,
    /// Whether silence will decide it.
    is_decided: bool,
}

/// What there is to tell of a request this morning, under its most pressing heading; and whether silence will decide it.
fn told(open: &Open, since: Date, today: Date) -> Option<(Section, String, bool)> {
    let receipt = serde_json::from_value::<KeptReceipt>(open.receipt.clone()).ok()?.receipt;
    let life = Life::of(&receipt, &open.acts);
    let (section, words) = pressing(open, &life, since, today)?;
    let is_decided = match life.horizon(today) {
        Horizon::On(_, on) => on > today,
        Horizon::IfComplete(..) | Horizon::Stopped(_) => true,
        // What silence does is not known yet.
        Horizon::Accuse(_) | Horizon::Unsaid => true,
        Horizon::Nothing => false,
    };
    Some((section, words, is_decided))
}

/// Whether the legal date of a request is past without an answer.
pub fn is_late(open: &Open, now: Timestamp) -> bool {
    let today = now.to_zoned(open.received_at.time_zone().clone()).date();
    let Ok(kept) = serde_json::from_value::<KeptReceipt>(open.receipt.clone()) else { return false };
    let life = Life::of(&kept.receipt, &open.acts);
    !life.state.is_closed()
        && match life.horizon(today) {
            Horizon::On(_, on) | Horizon::IfComplete(_, on) => on <= today,
            Horizon::Accuse(before) => before < today,
            Horizon::Nothing | Horizon::Unsaid | Horizon::Stopped(_) => false,
        }
}

fn pressing(open: &Open, life: &Life, since: Date, today: Date) -> Option<(Section, String)> {
    let is_new = |day: Date| since < day && day <= today;
    let days = |from: Date, to: Date| from.until((Unit::Day, to)).map_or(0, |span| span.get_days());
    // A date that is over is told the next morning, then on Mondays for some weeks.
    let is_told_late = |over: Date| {
        over < today && (since <= over || (today.weekday() == Weekday::Monday && days(over, today) <= MOST_LATE))
    };
    let deadline = || deadline_words(life, today).unwrap_or_default();
    let moved = open.acts.last().map_or(open.received_at.date(), |act| act.at.date());
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
            Horizon::Unsaid if is_told_late(moved) => return Some((Section::Late, deadline())),
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
    if is_received {
        return Some((Section::Received, deadline()));
    }
    // What is asked of the resident has its own date; what silence has decided is told.
    let is_waiting = !life.state.is_closed()
        && life.state != State::PiecesDemandees
        && !matches!(life.horizon(today), Horizon::On(_, on) if on <= today);
    let is_weekly = today.weekday() == Weekday::Monday && moved < today && days(moved, today) <= MOST_LATE;
    (is_waiting && is_weekly).then(|| (Section::Open, deadline()))
}

/// What one mailbox is told.
struct Told<'a> {
    items: &'a [Item],
    /// Requests, of whichever mailbox, that cannot be read any more.
    unreadable: usize,
    /// The page by which an agent fills a form for somebody.
    counter: Option<String>,
}

fn mail(
    (recipient, request): (&str, &Mail),
    (told, sheets): (Told<'_>, Vec<Sheet>),
    (since, now): (Date, &Zoned),
) -> Mail {
    let items = told.items;
    let letter = letter(told, &sheets, now.date());
    let domain = request.message_id.rsplit_once('@').map_or("guichet.invalid", |(_, domain)| domain);
    let mailbox = blake3::hash(format!("{recipient} {since}").as_bytes()).to_hex();
    Mail {
        role: MailRole::Mairie,
        from: Mailbox { name: request.from.name.clone(), email: request.from.email.clone() },
        to: vec![recipient.to_owned()],
        reply_to: None,
        subject: format!("[Bulletin du guichet] {} — {}", short_date(now.date()), count(items, &sheets)),
        text: letter.text(std::slice::from_ref(&request.from.name)),
        html: letter.html(std::slice::from_ref(&request.from.name)),
        // The same all day: a restart does not write it twice. Another one after a clock that had jumped.
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

fn letter(Told { items, unreadable, counter }: Told<'_>, sheets: &[Sheet], today: Date) -> Letter {
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
            blocks.extend(item.link.clone().map(Block::Paragraph));
        }
    }
    if !sheets.is_empty() {
        blocks.push(Block::Heading("Récapitulatif, en pièce jointe".into()));
        blocks.push(Block::Paragraph(
            "Les demandes de la veille, à ouvrir dans un tableur. Chacune a aussi été envoyée à son arrivée.".into(),
        ));
        blocks.extend(sheets.iter().map(|sheet| Block::Paragraph(format!("– {}", sheet.name))));
    }
    if unreadable > 0 {
        let count = plural(
            unreadable as u64,
            "demande gardée ne peut pas être relue",
            "demandes gardées ne peuvent pas être relues",
        );
        blocks.push(Block::Notice(format!(
            "{count} : prévenez la personne qui s'occupe du guichet. La commande mulot demandes etat dit lesquelles."
        )));
    }
    if items.is_empty() {
        return Letter { title: "Bulletin du guichet".into(), blocks };
    }
    blocks.push(Block::Paragraph(
        "Vous avez déjà répondu par courriel ou par téléphone ? Ouvrez le lien et choisissez « Répondre et clore » : le guichet n'en parlera plus.".into(),
    ));
    if items.iter().any(|item| item.is_decided) {
        blocks.push(Block::Paragraph(
            "Pour refuser, choisissez « Refuser », qui donne les motifs et les recours : « Répondre et clore » n'est pas une décision, et n'arrête pas la date à laquelle votre silence décide.".into(),
        ));
    }
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
