//! What a mail is, before MIME: fixed at acceptance, so that every retry sends identical bytes.

use serde::{Deserialize, Serialize};

use super::submission::StoredFile;

/// A mail ready to be put in MIME.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    /// Whom it is meant for.
    pub role: MailRole,
    /// Mailbox of the commune's own domain; its address is the envelope sender too.
    pub from: Mailbox,
    /// Addresses, at least one. Each is delivered apart; all stand in the `To` header.
    pub to: Vec<String>,
    /// Where an answer goes.
    pub reply_to: Option<Mailbox>,
    /// One line, without name of a person.
    pub subject: String,
    /// Complete text, lines ended by `\n`.
    pub text: String,
    /// Complete HTML document.
    pub html: String,
    /// `local@domain`, without angle brackets; unique among all mails, ASCII.
    pub message_id: String,
    /// Message-ID of the mail it follows, so that mail programs show them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// Date of acceptance: RFC 3339 with offset, or the text of a [`jiff::Zoned`].
    pub date: String,
    /// Value of the `Auto-Submitted` header (RFC 3834).
    pub auto_submitted: AutoSubmitted,
    /// Files of the file store to attach.
    pub attachments: Vec<StoredFile>,
    /// Content of the attachment `demande.json`, for the tools of the mairie.
    pub json: Option<String>,
    /// Files made for this mail, besides those of the file store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sheets: Vec<Sheet>,
}

/// A text file made for a mail.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Sheet {
    /// File name, `reserver-une-salle-2026-11-25.csv`.
    pub name: String,
    /// Content, a CSV table.
    pub text: String,
}

/// Whom a mail is meant for.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MailRole {
    /// The request itself, to the mairie.
    #[serde(rename = "mairie")]
    Mairie,
    /// The receipt, to the resident.
    #[serde(rename = "usager")]
    Usager,
}

impl MailRole {
    /// The word used in the store, in file names and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            MailRole::Mairie => "mairie",
            MailRole::Usager => "usager",
        }
    }
}

/// A name and an address.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Mailbox {
    /// Display name, empty for none.
    pub name: String,
    /// `local@domain`.
    pub email: String,
}

/// How a mail came to be, for machines that would answer it (RFC 3834).
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum AutoSubmitted {
    /// `auto-generated`.
    #[serde(rename = "auto-generated")]
    Generated,
    /// `auto-replied`.
    #[serde(rename = "auto-replied")]
    Replied,
}

impl AutoSubmitted {
    /// Value of the header.
    pub fn as_str(self) -> &'static str {
        match self {
            AutoSubmitted::Generated => "auto-generated",
            AutoSubmitted::Replied => "auto-replied",
        }
    }
}
