//! The preview's letterbox: what the guichet would have sent, read back from its folder. The one door to the mail parser.

use std::path::{Path, PathBuf};

use mail_parser::{Address, MessageParser, MimeHeaders};

use crate::text::dates::{short_date, time};

/// A mail of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LetterHead {
    /// File name without its extension: `2026-K7M2-QX4D-3-mairie`.
    pub(super) name: String,
    /// Its subject.
    pub(super) subject: String,
    /// « Mairie de Saint-Mulot <formulaires@…> ».
    pub(super) from: String,
    /// Recipients.
    pub(super) to: String,
    /// When it was written, seconds since 1970.
    pub(super) date: i64,
    /// Attachments.
    pub(super) attachments: usize,
}

/// A whole mail.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// As in the list.
    pub(super) head: LetterHead,
    /// Names and values of the headers worth reading.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Text part.
    pub(super) text: String,
    /// HTML part.
    pub(super) html: Option<String>,
    /// Name, media type and bytes of each attachment.
    pub(super) attachments: Vec<(String, String, Vec<u8>)>,
    /// The message as it would be sent.
    pub(super) raw: Vec<u8>,
}

/// Every mail of the folder, newest first.
pub(super) fn letters(folder: &Path) -> Vec<LetterHead> {
    let mut letters: Vec<LetterHead> =
        names(folder).iter().filter_map(|name| Some(letter(folder, name)?.head)).collect();
    letters.sort_by(|a, b| (b.date, &b.name).cmp(&(a.date, &a.name)));
    letters
}

/// How many mails the folder holds.
pub(super) fn count(folder: &Path) -> usize {
    names(folder).len()
}

/// One mail by its name; `None` when there is none or the name is not one of ours.
pub(super) fn letter(folder: &Path, name: &str) -> Option<Letter> {
    let raw = std::fs::read(path(folder, name)?).ok()?;
    let message = MessageParser::default().parse(&raw)?;
    let attachments: Vec<(String, String, Vec<u8>)> = message
        .attachments()
        .map(|part| {
            let media = part.content_type().map_or_else(
                || "application/octet-stream".to_owned(),
                |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("octet-stream")),
            );
            (part.attachment_name().unwrap_or("piece-jointe").to_owned(), media, part.contents().to_vec())
        })
        .collect();
    let head = LetterHead {
        name: name.to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        from: addresses(message.from()),
        to: addresses(message.to()),
        date: message.date().map_or(0, |date| date.to_timestamp()),
        attachments: attachments.len(),
    };
    let headers = vec![
        ("De", head.from.clone()),
        ("À", head.to.clone()),
        ("Répondre à", addresses(message.reply_to())),
        ("Objet", head.subject.clone()),
        ("Date", date_words(head.date)),
        ("Identifiant", message.message_id().unwrap_or_default().to_owned()),
    ];
    Some(Letter {
        headers: headers.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        html: message.html_part(0).and_then(|_| message.body_html(0)).map(|html| html.into_owned()),
        attachments,
        head,
        raw,
    })
}

/// « 24 nov. 2026, 14 h 30 », in Paris; empty when it cannot be a date.
pub(super) fn date_words(seconds: i64) -> String {
    let Ok(instant) = jiff::Timestamp::from_second(seconds) else { return String::new() };
    let local = instant.to_zoned(jiff::tz::TimeZone::get("Europe/Paris").unwrap_or(jiff::tz::TimeZone::UTC));
    format!("{}, {}", short_date(local.date()), time(local.time()))
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names =
        entries.flatten().filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".eml")?.to_owned()));
    names.filter(|name| is_name(name)).collect()
}

/// Only letters, digits and hyphens: never a path.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 80 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn path(folder: &Path, name: &str) -> Option<PathBuf> {
    is_name(name).then(|| folder.join(format!("{name}.eml")))
}

fn addresses(list: Option<&Address<'_>>) -> String {
    let one = |address: &mail_parser::Addr<'_>| match (address.name(), address.address()) {
        (Some(name), Some(email)) => format!("{name} <{email}>"),
        (_, Some(email)) => email.to_owned(),
        (Some(name), None) => name.to_owned(),
        (None, None) => String::new(),
    };
    list.map_or_else(String::new, |list| list.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_back_and_a_path_is_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let raw = "From: =?utf-8?q?Mairie_d=C3=A9mo?= <m@ex.fr>\r\nTo: a@ex.fr\r\nSubject: Essai\r\nDate: Sat, 21 Nov 2026 20:15:00 +0100\r\n\
                   MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n\
                   --y\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBonjour\r\n--y\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Bonjour</p>\r\n--y--\r\n\
                   --x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"plan.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--x--\r\n";
        std::fs::write(folder.path().join("2026-ABCD-mairie.eml"), raw).unwrap();
        let list = letters(folder.path());
        assert_eq!(list.len(), 1);
        assert_eq!(
            (list[0].from.as_str(), list[0].subject.as_str(), list[0].attachments),
            ("Mairie démo <m@ex.fr>", "Essai", 1)
        );
        let letter = letter(folder.path(), "2026-ABCD-mairie").unwrap();
        assert_eq!(letter.text.trim(), "Bonjour");
        assert_eq!(letter.html.as_deref().map(str::trim), Some("<p>Bonjour</p>"));
        assert_eq!(letter.attachments, [("plan.pdf".to_owned(), "application/pdf".to_owned(), b"%PDF".to_vec())]);
        assert!(super::letter(folder.path(), "../2026-ABCD-mairie").is_none());
    }
}
