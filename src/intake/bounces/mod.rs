//! What comes back: reads the mailbox where mail servers report what they could not deliver, when the commune names one.
//!
//! Without it the answer of the first server is the only proof. Only reports about mails of ours are marked as read, or moved;
//! nothing is ever deleted, and whatever else is in the mailbox is left as it was.

mod imap;
mod report;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

pub use self::imap::ImapError;
pub use self::report::{Bounce, read};
use super::mailer::{Credentials, Security};
use super::store::{Bounced, Store, StoreError};

/// How to reach the mailbox of reports.
#[derive(Debug, Clone)]
pub struct ImapConfig {
    /// Host name; it is checked against the certificate.
    pub host: String,
    /// 993 with [`Security::Tls`], 143 otherwise, usually.
    pub port: u16,
    /// How the connection is protected; never bare, but to this machine.
    pub security: Security,
    /// Account and password.
    pub credentials: Credentials,
    /// Certificates (PEM) trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Folder to read: `INBOX`, as a rule.
    pub folder: String,
    /// Folder where reports that were read go; they stay, marked as read, when there is none.
    pub done_folder: Option<String>,
}

/// What one look did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Reports of a mail of ours.
    pub ours: usize,
    /// Mails that count as refused from now on.
    pub failed: usize,
    /// Reports that name nothing of ours.
    pub strange: usize,
}

/// Why a look could not be finished; the next one begins again.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The mailbox.
    #[error(transparent)]
    Imap(#[from] ImapError),
    /// The store: what was not written is read again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was seen and is not ours, so that it is fetched once.
#[derive(Debug, Default)]
pub struct Strangers {
    /// The mailbox they were numbered in.
    validity: Option<u32>,
    seen: BTreeSet<u32>,
}

/// Looks once: every report that was not read yet is written in the store, then marked. A report is marked after it is written:
/// a power cut in between has it read again, which changes nothing.
///
/// # Errors
/// [`LookError`]; nothing is marked that was not written.
pub async fn look(
    config: &ImapConfig,
    store: &Store,
    strangers: &mut Strangers,
    now: Timestamp,
) -> Result<Looked, LookError> {
    // Of several instances one reads: what it marks, the others would look for in vain.
    let Some(_turn) = store.turn("bounces").await? else { return Ok(Looked::default()) };
    let mut mailbox = within(imap::Session::open(config)).await?;
    let mut looked = Looked::default();
    if strangers.validity != mailbox.validity() {
        *strangers = Strangers { validity: mailbox.validity(), seen: BTreeSet::new() };
    }
    let mut unread = within(mailbox.unread_reports()).await?;
    unread.retain(|number| !strangers.seen.contains(number));
    for number in unread.into_iter().take(MOST) {
        let bytes = within(mailbox.head_of(number, MOST_BYTES)).await?;
        let mut is_ours = false;
        for bounce in read(&bytes) {
            let bounced = store.bounced(bounce, now).await?;
            is_ours |= bounced != Bounced::Unknown;
            looked.failed += usize::from(bounced == Bounced::Failed);
        }
        if is_ours {
            looked.ours += 1;
            within(mailbox.put_away(number, config.done_folder.as_deref())).await?;
        } else {
            looked.strange += 1;
            strangers.seen.insert(number);
        }
    }
    within(mailbox.close()).await?;
    Ok(looked)
}

async fn within<T>(work: impl Future<Output = Result<T, ImapError>>) -> Result<T, ImapError> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(ImapError::Late))
}

/// Reports read in one look; the next one goes on.
const MOST: usize = 200;
/// Bytes read of a report: what matters stands at its beginning, before the message it returns.
const MOST_BYTES: u32 = 256 * 1024;
/// How long the server may take for one thing.
const PATIENCE: Duration = Duration::from_secs(60);
