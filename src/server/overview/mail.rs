//! Sends the weekly mails: all of it to who looks after the territoire, four points to each mairie.
//!
//! At most once a week, whatever the number of runs: the Monday of the last one is kept in the data folder once a server took
//! the mail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Overview, page, week_of};
use crate::fs::{self, FsError};
use crate::intake::mailer::{Mailer, Outcome, Parcel, render};
use crate::intake::reference;
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};

/// A weekly mail.
pub struct Weekly {
    /// Whose it is, to be kept apart from the others: `territoire`, or the folder of a commune.
    pub name: String,
    /// Who it comes from.
    pub from: String,
    /// Whom it goes to.
    pub to: Vec<String>,
    subject: String,
    text: String,
}

/// What became of a weekly mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A server took it.
    Taken,
    /// It had already left this week.
    Already,
    /// It could not be sent; a French sentence.
    Refused(String),
}

/// The mail of who looks after the territoire.
pub fn to_technician(overview: &Overview, from: &str, to: &[String]) -> Weekly {
    let to_see = overview.communes.iter().filter(|row| !row.a_regarder.is_empty()).count();
    let subject = match to_see {
        0 => format!("[{}] {}", overview.territoire, overview.machine_trouble().unwrap_or("Tout va bien")),
        1 => format!("[{}] 1 commune à regarder", overview.territoire),
        count => format!("[{}] {count} communes à regarder", overview.territoire),
    };
    let text = page::text(overview).join("\n") + "\n";
    Weekly { name: "territoire".to_owned(), from: from.to_owned(), to: to.to_vec(), subject, text }
}

/// The letters of the mairies that can be written to.
pub fn to_mairies(overview: &Overview) -> Vec<Weekly> {
    let rows = overview.communes.iter().filter(|row| !row.boites.is_empty() && !row.expediteur.is_empty());
    rows.map(|row| {
        let (subject, text) = page::letter(row);
        Weekly { name: row.dossier.clone(), from: row.expediteur.clone(), to: row.boites.clone(), subject, text }
    })
    .collect()
}

/// Sends a mail unless it left this week; `data` is where that is kept.
///
/// # Errors
/// [`FsError`] when it left and that cannot be written down.
pub async fn send(weekly: &Weekly, mailer: &Mailer, data: &Path, now: Timestamp) -> Result<Sent, FsError> {
    let (mark, week) = (mark(data, &weekly.name), week_of(now).to_string());
    if std::fs::read_to_string(&mark).is_ok_and(|last| last.trim() == week) {
        return Ok(Sent::Already);
    }
    for to in &weekly.to {
        if let Some(why) = send_one(weekly, to, mailer, now, &week).await {
            return Ok(Sent::Refused(why));
        }
    }
    fs::write_atomic(&mark, week.as_bytes())?;
    Ok(Sent::Taken)
}

async fn send_one(weekly: &Weekly, to: &str, mailer: &Mailer, now: Timestamp, week: &str) -> Option<String> {
    let here = now.to_zoned(jiff::tz::TimeZone::system());
    let Ok(reference) = reference::draw(&here) else { return Some("cette machine ne donne pas de hasard".to_owned()) };
    let domain = weekly.from.rsplit_once('@').map_or("guichet.invalid", |(_, domain)| domain);
    // The same all week: who gets it twice, after a cut, sees one.
    let own = &blake3::hash(format!("{}\0{to}\0{week}", weekly.name).as_bytes()).to_hex()[..24];
    let escaped = weekly.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mail = Mail {
        role: MailRole::Mairie,
        from: Mailbox { name: "Mulot".to_owned(), email: weekly.from.clone() },
        to: vec![to.to_owned()],
        reply_to: None,
        subject: weekly.subject.clone(),
        text: weekly.text.clone(),
        html: format!(
            "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>{}</title></head><body>\
             <pre style=\"font:inherit;white-space:pre-wrap\">{escaped}</pre></body></html>\n",
            weekly.subject.replace('&', "&amp;").replace('<', "&lt;")
        ),
        message_id: format!("semaine.{own}@{domain}"),
        date: here.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        auto_submitted: AutoSubmitted::Generated,
        in_reply_to: None,
        attachments: Vec::new(),
        json: None,
        sheets: Vec::new(),
    };
    let bytes = match render(&mail, Vec::new()) {
        Ok(bytes) => Arc::new(bytes),
        Err(error) => return Some(format!("le message ne peut pas être écrit ({})", error.0)),
    };
    let parcel = Parcel { reference, role: MailRole::Mairie, from: weekly.from.clone(), to: to.to_owned(), bytes };
    match mailer.send(parcel).await {
        Outcome::Delivered { .. } => None,
        outcome => Some(why(&outcome)),
    }
}

fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Unreachable { host, .. } => format!("le serveur de courriel « {host} » ne répond pas"),
        Outcome::AuthRefused { .. } => "le serveur de courriel refuse le compte ou le mot de passe".to_owned(),
        Outcome::TlsRefused { .. } => "la liaison avec le serveur de courriel ne peut pas être chiffrée".to_owned(),
        Outcome::SenderRefused(_) => "le serveur de courriel refuse cet expéditeur".to_owned(),
        _ => "le serveur de courriel ne l'a pas pris".to_owned(),
    }
}

fn mark(data: &Path, name: &str) -> PathBuf {
    data.join("semaine").join(name)
}
