//! Puts a mail in MIME. The same mail always gives the same bytes: boundaries come from the Message-ID, nothing from the
//! clock nor from chance.

use jiff::Zoned;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use lettre::Message;
use lettre::message::header::{
    ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue, ReplyTo, To,
};
use lettre::message::{Body, Mailbox as Address, Mailboxes, MultiPart, SinglePart};
use thiserror::Error;

use crate::model::mail::{Mail, Mailbox};
use crate::model::submission::StoredFile;

/// A file of the mail and its bytes; `None` leaves it out, with a word about it in the text.
#[derive(Debug, Clone)]
pub struct Attached<'a> {
    /// Name, type and size.
    pub file: &'a StoredFile,
    /// Its bytes.
    pub bytes: Option<Vec<u8>>,
}

/// Why a mail can never be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the mail has no usable {0}")]
pub struct Unsendable(pub &'static str);

/// The message, lines ended by `\r\n`, ASCII only.
///
/// # Errors
/// [`Unsendable`] when an address, the date or the Message-ID cannot stand in a header.
pub fn render(mail: &Mail, attached: Vec<Attached<'_>>) -> Result<Vec<u8>, Unsendable> {
    if !is_message_id(&mail.message_id) {
        return Err(Unsendable("message id"));
    }
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}>", mail.message_id)))
        .from(address(&mail.from).ok_or(Unsendable("sender"))?)
        .subject(one_line(&mail.subject));
    if let Some(first) = mail.in_reply_to.as_ref().filter(|id| is_message_id(id)) {
        builder = builder.in_reply_to(format!("<{first}>")).references(format!("<{first}>"));
    }
    let mut recipients = Mailboxes::new();
    for to in &mail.to {
        recipients.push(Address::new(None, to.parse().map_err(|_| Unsendable("recipient"))?));
    }
    builder = builder.mailbox(To::from(recipients));
    if let Some(reply_to) = &mail.reply_to {
        let address = address(reply_to).ok_or(Unsendable("reply address"))?;
        builder = builder.mailbox(ReplyTo::from(Mailboxes::from(address)));
    }
    let mut message = builder.multipart(body(mail, attached)).map_err(|_| Unsendable("envelope"))?;
    let date = date(&mail.date).ok_or(Unsendable("date"))?;
    for (name, value) in [
        (HeaderName::new_from_ascii_str("Date"), date),
        (HeaderName::new_from_ascii_str("Auto-Submitted"), mail.auto_submitted.as_str().to_owned()),
        (HeaderName::new_from_ascii_str("X-Auto-Response-Suppress"), "All".to_owned()),
    ] {
        message.headers_mut().insert_raw(HeaderValue::new(name, value));
    }
    Ok(message.formatted())
}

fn body(mail: &Mail, attached: Vec<Attached<'_>>) -> MultiPart {
    let left_out: Vec<&StoredFile> =
        attached.iter().filter(|attached| attached.bytes.is_none()).map(|attached| attached.file).collect();
    let words = MultiPart::alternative()
        .boundary(boundary(mail, "texte"))
        .singlepart(SinglePart::plain(lines(&with_note(&mail.text, &left_out))))
        .singlepart(SinglePart::html(lines(&with_html_note(&mail.html, &left_out))));
    let mut whole = MultiPart::mixed().boundary(boundary(mail, "ensemble")).multipart(words);
    for attached in attached {
        if let Some(bytes) = attached.bytes {
            whole = whole.singlepart(file(&attached.file.name, &attached.file.media_type, bytes));
        }
    }
    if let Some(json) = &mail.json {
        whole = whole.singlepart(file("demande.json", "application/json", json.clone().into_bytes()));
    }
    for sheet in &mail.sheets {
        whole = whole.singlepart(file(&sheet.name, "text/csv; charset=utf-8", sheet.text.clone().into_bytes()));
    }
    whole
}

fn file(name: &str, media_type: &str, bytes: Vec<u8>) -> SinglePart {
    let media_type = ContentType::parse(media_type).or_else(|_| ContentType::parse("application/octet-stream"));
    let mut part = SinglePart::builder().header(ContentDisposition::attachment(&one_line(name)));
    if let Ok(media_type) = media_type {
        part = part.header(media_type);
    }
    // Always base 64: a body that happens to be ASCII would have its line ends changed.
    match Body::new_with_encoding(bytes, ContentTransferEncoding::Base64) {
        Ok(body) => part.body(body),
        Err(bytes) => part.body(bytes),
    }
}

/// A boundary no text can hold by chance: nobody knows the Message-ID before the submission is accepted.
fn boundary(mail: &Mail, part: &str) -> String {
    let hash = blake3::Hasher::new().update(part.as_bytes()).update(mail.message_id.as_bytes()).finalize();
    format!("=-{}", &hash.to_hex()[..32])
}

fn address(mailbox: &Mailbox) -> Option<Address> {
    let name = one_line(&mailbox.name);
    Some(Address::new((!name.is_empty()).then_some(name), mailbox.email.parse().ok()?))
}

/// A header holds one line and no control character, whatever was typed.
fn one_line(text: &str) -> String {
    let spaced = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    spaced.collect::<String>().trim().to_owned()
}

/// Lines ended by `\n` alone, so that the message never holds a bare carriage return (SMTP smuggling).
fn lines(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn is_message_id(id: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>@()[],;:\\\"".contains(&byte))
    };
    id.len() <= 250 && id.split_once('@').is_some_and(|(left, right)| is_part(left) && is_part(right))
}

/// The date as mail writes it, with its offset (RFC 5322, § 3.3).
fn date(text: &str) -> Option<String> {
    let zoned: Zoned = match text.parse::<Zoned>() {
        Ok(zoned) => zoned,
        Err(_) => {
            let pieces = Pieces::parse(text).ok()?;
            let offset = pieces.to_numeric_offset()?;
            let clock = pieces.date().to_datetime(pieces.time()?);
            offset.to_timestamp(clock).ok()?.to_zoned(TimeZone::fixed(offset))
        }
    };
    jiff::fmt::rfc2822::to_string(&zoned).ok()
}

fn with_note(text: &str, left_out: &[&StoredFile]) -> String {
    if left_out.is_empty() {
        return text.to_owned();
    }
    let names: String = left_out.iter().map(|file| format!("- {}\n", one_line(&file.name))).collect();
    format!("{}\n\n{NOTE} :\n{names}{}\n", text.trim_end(), note_end(text))
}

fn with_html_note(html: &str, left_out: &[&StoredFile]) -> String {
    if left_out.is_empty() {
        return html.to_owned();
    }
    let names: String = left_out.iter().map(|file| format!("<li>{}</li>", escaped(&one_line(&file.name)))).collect();
    let note = format!("<p>{NOTE} :</p><ul>{names}</ul><p>{}</p>", note_end(html));
    match html.rfind("</body>") {
        Some(at) => format!("{}{note}{}", &html[..at], &html[at..]),
        None => format!("{html}{note}"),
    }
}

/// Where the files are to be had: the page of actions has them all, when the mail leads to it.
fn note_end(text: &str) -> &'static str {
    if text.contains("/guichet/agir/") { NOTE_LINK } else { NOTE_END }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const NOTE: &str = "Fichiers qui n'ont pas pu être joints à ce courriel";
const NOTE_LINK: &str =
    "Ouvrez le lien « Prendre en charge… » de ce message : la page de la demande permet de les télécharger.";
const NOTE_END: &str = "Demandez-les, avec la référence, à la personne qui tient le guichet de la commune.";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::mail::{AutoSubmitted, MailRole};

    fn mail() -> Mail {
        Mail {
            role: MailRole::Mairie,
            from: Mailbox { name: "Mairie de Saint-Mulot – guichet".into(), email: "guichet@saint-mulot.fr".into() },
            to: vec!["mairie@saint-mulot.fr".into(), "adjoint@saint-mulot.fr".into()],
            reply_to: Some(Mailbox { name: "Zoé L'Hénoret".into(), email: "zoe@example.fr".into() }),
            subject: "[Salle des fêtes] demande du 12 juillet — réf. 2026-K7M2-QX4D-3".into(),
            text: "Bonjour,\n.\nUne ligne accentuée.\n".into(),
            html: "<html><body><p>Bonjour</p></body></html>".into(),
            message_id: "2026-k7m2-qx4d-3.mairie@saint-mulot.fr".into(),
            in_reply_to: None,
            date: "2026-07-12T14:03:05+02:00[Europe/Paris]".into(),
            auto_submitted: AutoSubmitted::Generated,
            attachments: vec![stored("plan.pdf")],
            json: Some("{\"a\":1}".into()),
            sheets: Vec::new(),
        }
    }

    fn stored(name: &str) -> StoredFile {
        StoredFile {
            id: "0".repeat(32),
            name: name.into(),
            media_type: "application/pdf".into(),
            size: 3,
            hash: String::new(),
            cautions: Vec::new(),
        }
    }

    fn rendered(mail: &Mail) -> String {
        let attached = mail.attachments.iter().map(|file| Attached { file, bytes: Some(b"PDF".to_vec()) }).collect();
        String::from_utf8(render(mail, attached).unwrap()).unwrap()
    }

    #[test]
    fn every_try_gives_the_same_bytes() {
        assert_eq!(rendered(&mail()), rendered(&mail()));
        let golden = include_str!("../../../tests/receipts/message.eml.txt");
        assert_eq!(rendered(&mail()).replace("\r\n", "\n").trim_end(), golden.trim_end());
    }

    #[test]
    fn a_date_keeps_its_offset() {
        assert_eq!(date("2026-07-12T14:03:05+02:00").as_deref(), Some("Sun, 12 Jul 2026 14:03:05 +0200"));
        assert_eq!(date("2026-01-02T14:03:05+01:00[Europe/Paris]").as_deref(), Some("Fri, 2 Jan 2026 14:03:05 +0100"));
        assert_eq!(date("hier"), None);
    }

    #[test]
    fn a_file_left_out_is_named_in_the_text() {
        let mail = mail();
        let odd = stored("<b>plan</b>.pdf");
        let message = String::from_utf8(render(&mail, vec![Attached { file: &odd, bytes: None }]).unwrap()).unwrap();
        assert!(message.contains("- <b>plan</b>.pdf"), "{message}");
        assert!(message.contains("&lt;b&gt;plan&lt;/b&gt;.pdf"));
        assert!(!message.contains("Content-Disposition: attachment; filename=\"plan.pdf\""));
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_refused() {
        for (broken, what) in [
            (Mail { message_id: "a b@c".into(), ..mail() }, "message id"),
            (Mail { message_id: "a@b>\r\nBcc: x@y.fr".into(), ..mail() }, "message id"),
            (Mail { date: "demain".into(), ..mail() }, "date"),
            (Mail { to: vec!["a@b.fr\r\nBcc: x@y.fr".into()], ..mail() }, "recipient"),
            (Mail { from: Mailbox { name: String::new(), email: "moi".into() }, ..mail() }, "sender"),
        ] {
            assert_eq!(render(&broken, Vec::new()), Err(Unsendable(what)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_typed_text_adds_a_header(subject in "[\\PC\r\n\t\0]{0,200}", name in "[\\PC\r\n]{0,80}", text in "(?s).{0,400}", file in "[\\PC\r\n\"]{1,60}") {
            let mut mail = mail();
            (mail.subject, mail.text) = (format!("{subject}\r\nBcc: x@y.fr"), text);
            mail.reply_to = Some(Mailbox { name: format!("{name}\r\nBcc: x@y.fr"), email: "zoe@example.fr".into() });
            mail.attachments[0].name = file;
            let message = rendered(&mail);
            prop_assert!(message.is_ascii());
            prop_assert!(!message.replace("\r\n", "").contains(['\r', '\n', '\0']), "bare line end");
            prop_assert!(message.split("\r\n").all(|line| line.len() <= 998));
            let head = message.split("\r\n\r\n").next().unwrap_or_default();
            let names: Vec<&str> = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).filter_map(|line| line.split(':').next()).collect();
            prop_assert_eq!(names, ["Message-ID", "From", "Subject", "To", "Reply-To", "MIME-Version", "Date", "Auto-Submitted", "X-Auto-Response-Suppress", "Content-Type"]);
        }
    }
}
