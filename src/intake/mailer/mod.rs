//! Hands one message to one mail server, a folder or a list in memory, and says exactly what came of it. The only door to
//! the mail library; it neither retries nor reads the store.

mod dkim;
mod mime;
mod smtp;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

pub use self::dkim::{Signer, SignerError};
pub use self::mime::{Attached, Unsendable, render};
use self::smtp::Route;
use crate::model::mail::MailRole;
use crate::model::reference::Reference;

/// Where messages go.
#[derive(Debug, Clone)]
pub enum Transport {
    /// A mail server.
    Smtp(SmtpConfig),
    /// A folder that receives `<reference>-<role>.eml`, then `<reference>-<role>-<number>.eml`, each written whole; for
    /// trying the guichet out.
    Folder(PathBuf),
    /// A list, for tests.
    Memory(Letterbox),
}

/// How to reach a mail server.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Host name; it is checked against the certificate.
    pub host: String,
    /// 465 with [`Security::Tls`], 587 with [`Security::StartTls`], usually.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Name and password, when the server wants them.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Name we introduce ourselves with; the machine's when absent.
    pub hello: Option<String>,
    /// How long each phase may last.
    pub deadlines: Deadlines,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Clear until `STARTTLS`, which is required.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Never protected: only without credentials.
    None,
}

/// A name and a password; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Account name, often the whole address.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(…)")
    }
}

/// How long each phase may last. What is slow before the final dot is cut soon, for nothing was sent; after it, giving up
/// early would have the message delivered twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// TCP connection.
    pub connect: Duration,
    /// Connection, greeting and `EHLO` together; then `STARTTLS`; then `AUTH`.
    pub hello: Duration,
    /// `MAIL`, `RCPT` and `DATA`, each.
    pub command: Duration,
    /// The answer after the final dot; the time to send the bytes is added.
    pub data: Duration,
}

impl Default for Deadlines {
    /// Source of the last one: RFC 5321, § 4.5.3.2.6, ten minutes.
    fn default() -> Self {
        Deadlines {
            connect: Duration::from_secs(30),
            hello: Duration::from_secs(60),
            command: Duration::from_secs(120),
            data: Duration::from_secs(600),
        }
    }
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Names the file in a folder.
    pub reference: Reference,
    /// Names the file in a folder.
    pub role: MailRole,
    /// Envelope sender.
    pub from: String,
    /// Envelope recipient.
    pub to: String,
    /// The message, lines ended by `\r\n`.
    pub bytes: Arc<Vec<u8>>,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server is responsible for it from now on.
    Delivered {
        /// 250, as a rule.
        code: u16,
    },
    /// Not now; nothing was delivered.
    Temporary(Refusal),
    /// Never, this message or this recipient.
    Permanent(Refusal),
    /// The server does not let us write in this sender's name, whatever the message.
    SenderRefused(Refusal),
    /// The server does not accept our name and password, or has no way to take them.
    AuthRefused {
        /// SMTP code, when it gave one.
        code: Option<u16>,
    },
    /// The connection cannot be protected as required.
    TlsRefused {
        /// In English, for the log.
        reason: String,
    },
    /// The server is away or does not talk to anybody now.
    Unreachable {
        /// The host asked.
        host: String,
        /// SMTP code, when it gave one.
        code: Option<u16>,
        /// In English, for the log.
        reason: String,
    },
    /// Sent, without answer after the final dot: perhaps delivered, perhaps not.
    Ambiguous {
        /// In English, for the log.
        reason: String,
    },
}

/// How a server said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub phase: Phase,
    /// SMTP code; `None` when the connection broke instead.
    pub code: Option<u16>,
    /// Enhanced status code (RFC 3463), `5.1.1`.
    pub class: Option<String>,
}

/// Where in the dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before any dialogue: the message itself cannot be made.
    Compose,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Data,
    /// The message and its final dot.
    Message,
}

impl Phase {
    /// The word used in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Compose => "compose",
            Phase::Sender => "sender",
            Phase::Recipient => "recipient",
            Phase::Data => "data",
            Phase::Message => "message",
        }
    }
}

/// Why a transport cannot be used at all.
#[derive(Debug, Error)]
pub enum MailerError {
    /// Name and password would travel in clear.
    #[error("credentials for {host} would travel in clear")]
    ClearCredentials {
        /// The server.
        host: String,
    },
    /// The certificate file cannot be read or understood.
    #[error("{}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The TLS library refuses these parameters.
    #[error("TLS parameters for {host}: {reason}")]
    Tls {
        /// The server.
        host: String,
        /// Why.
        reason: String,
    },
    /// The folder cannot be made.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The mailer.
#[derive(Debug)]
pub struct Mailer {
    way: Way,
    signer: Option<Signer>,
}

#[derive(Debug)]
enum Way {
    Smtp(Box<Route>),
    Folder(PathBuf),
    Memory(Letterbox),
}

impl Mailer {
    /// A mailer, once its transport is found fit for use.
    ///
    /// # Errors
    /// [`MailerError::ClearCredentials`] when [`Security::None`] comes with credentials, [`MailerError::CaFile`],
    /// [`MailerError::Tls`] or [`MailerError::Folder`] when something needed cannot be had.
    pub fn new(transport: Transport) -> Result<Mailer, MailerError> {
        let way = match transport {
            Transport::Smtp(config) => Way::Smtp(Box::new(Route::new(config)?)),
            Transport::Folder(path) => match std::fs::create_dir_all(&path) {
                Ok(()) => Way::Folder(path),
                Err(source) => return Err(MailerError::Folder { path, source }),
            },
            Transport::Memory(letterbox) => Way::Memory(letterbox),
        };
        Ok(Mailer { way, signer: None })
    }

    /// The same, signing what it sends.
    pub fn signing(mut self, signer: Option<Signer>) -> Mailer {
        self.signer = signer;
        self
    }

    /// Tries once to deliver a message to one recipient. Never panics, never lasts longer than its deadlines together.
    pub async fn send(&self, parcel: Parcel) -> Outcome {
        let parcel = match &self.signer {
            Some(signer) => {
                let (signer, plain) = (signer.clone(), parcel.bytes.clone());
                let signed = tokio::task::spawn_blocking(move || signer.sign(&plain)).await;
                // The program is ending: the message goes as it is, or never left.
                Parcel { bytes: signed.map_or(parcel.bytes, Arc::new), ..parcel }
            }
            None => parcel,
        };
        match &self.way {
            Way::Smtp(route) => route.send(&parcel).await,
            Way::Folder(dir) => {
                let dir = dir.clone();
                let host = dir.display().to_string();
                let written = tokio::task::spawn_blocking(move || write_letter(&dir, &parcel)).await;
                match written.unwrap_or_else(|error| Err(io::Error::other(error))) {
                    Ok(()) => Outcome::Delivered { code: 250 },
                    Err(error) => Outcome::Unreachable { host, code: None, reason: error.to_string() },
                }
            }
            Way::Memory(letterbox) => letterbox.take(parcel),
        }
    }

    /// Where it sends to, for the start's report: a host and port, or a folder.
    pub fn destination(&self) -> String {
        match &self.way {
            Way::Smtp(route) => route.destination(),
            Way::Folder(dir) => dir.display().to_string(),
            Way::Memory(_) => "memory".to_owned(),
        }
    }
}

/// Messages kept in memory, and the answers planned for the next ones.
#[derive(Debug, Clone, Default)]
pub struct Letterbox {
    inner: Arc<Mutex<Letters>>,
}

#[derive(Debug, Default)]
struct Letters {
    taken: Vec<Parcel>,
    planned: VecDeque<Outcome>,
}

impl Letterbox {
    /// Answers the next message with this outcome instead of taking it.
    pub fn plan(&self, outcome: Outcome) {
        self.letters().planned.push_back(outcome);
    }

    /// What was taken so far, in order.
    pub fn taken(&self) -> Vec<Parcel> {
        self.letters().taken.clone()
    }

    fn take(&self, parcel: Parcel) -> Outcome {
        let mut letters = self.letters();
        let outcome = letters.planned.pop_front().unwrap_or(Outcome::Delivered { code: 250 });
        if matches!(outcome, Outcome::Delivered { .. }) {
            letters.taken.push(parcel);
        }
        outcome
    }

    fn letters(&self) -> std::sync::MutexGuard<'_, Letters> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_letter(dir: &Path, parcel: &Parcel) -> io::Result<()> {
    let mut draft = tempfile::NamedTempFile::new_in(dir)?;
    draft.write_all(&parcel.bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(dir.join(format!("{}.eml", letter_name(parcel))))?;
    std::fs::File::open(dir)?.sync_all()
}

/// How the Message-IDs begin of mails that are of no single request.
const OWN_NAMES: [&str; 4] = ["bulletin.", "boite.", "quarantaine.", "semaine."];

/// `<reference>-<role>`, then what sets the mails of one request apart; the same for each try of the same mail.
fn letter_name(parcel: &Parcel) -> String {
    let first = format!("{}.{}", parcel.reference, parcel.role.as_str());
    let head = String::from_utf8_lossy(&parcel.bytes[..parcel.bytes.len().min(4096)]).into_owned();
    let id = head.lines().find_map(|line| line.strip_prefix("Message-ID: <"));
    let local = id.and_then(|id| id.split('@').next()).unwrap_or_default();
    let is_plain = local.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let own = if is_plain && OWN_NAMES.iter().chain([&first.as_str()]).any(|start| local.starts_with(start)) {
        local
    } else {
        &first
    };
    own.replace('.', "-")
}
