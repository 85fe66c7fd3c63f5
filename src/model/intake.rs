//! What the guichet keeps: an accepted submission, the answer to its record, the state of its mails.

use jiff::{Timestamp, Zoned, civil};
use serde::{Deserialize, Serialize};

use super::mail::{Mail, MailRole};
use super::reference::Reference;
use super::submission::{Answer, Sender, StoredFile};

/// All that one transaction writes when a submission is accepted.
///
/// Nothing in it depends on the form afterwards: the mails are fixed, the questions stand with their answers.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSubmission {
    /// Drawn before the mails are composed.
    pub reference: Reference,
    /// The single-use number of the check page; the same nonce is the same submission.
    pub nonce: [u8; 16],
    /// The form's slug.
    pub form_id: String,
    /// The form's title at that time.
    pub form_title: String,
    /// Date and hour of reception in the commune's zone.
    pub received_at: Zoned,
    /// In the form's order.
    pub answers: Vec<Answer>,
    /// Who sent it.
    pub sender: Sender,
    /// Files already in their final, synced place.
    pub files: Vec<StoredFile>,
    /// The receipt shown on the confirmation page; opaque to the store.
    pub receipt: serde_json::Value,
    /// Last day the answers are kept.
    pub purge_after: civil::Date,
    /// Mails to deliver; one outbox row each recipient.
    pub mails: Vec<Mail>,
    /// Requests of its form that may be taken, this one included; `None`: no limit.
    pub quota: Option<Quota>,
    /// Mailboxes that get a copy when a mailbox of the mairie refuses for good.
    pub recipients_backup: Vec<String>,
}

/// The signs that a machine wrote a request; no proof, and never a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Suspicion {
    /// All signs together.
    pub points: u32,
    /// Each sign in a word, without anything of what was typed: `liens`, `alphabet`…
    pub reasons: Vec<&'static str>,
}

/// What keeps the mails of a submission back when it is recorded; nothing, as a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hold {
    /// The request waits in quarantine: why, and until when if nobody looks.
    pub quarantine: Option<(Suspicion, Timestamp)>,
    /// The receipt stays on the page: its address has had enough of them today.
    pub receipt_on_page_only: bool,
}

/// A request in quarantine, or that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Its reference.
    pub reference: Reference,
    /// The form's slug.
    pub form_id: String,
    /// The form's title.
    pub form_title: String,
    /// When it was accepted.
    pub since: Timestamp,
    /// When it leaves for the mairie if nobody looks.
    pub until: Timestamp,
    /// Its points.
    pub points: u32,
    /// The signs found, in a word each.
    pub reasons: Vec<String>,
    /// When the mairie was told of it.
    pub told_at: Option<Timestamp>,
}

/// How many requests a form takes, judged in the transaction that records one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// At most so many.
    pub limit: u32,
    /// Received from then on; those the resident called off are not counted.
    pub since: Timestamp,
}

/// A submission that is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The reference to show; the first one when the nonce was already known.
    pub reference: Reference,
    /// Whether this call recorded it; `false` when the nonce was already known.
    pub new: bool,
    /// Date and hour of the first reception.
    pub received_at: Zoned,
    /// The receipt of the first reception; [`serde_json::Value::Null`] once the answers are erased.
    pub receipt: serde_json::Value,
}

/// Where a mail to one recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeliveryState {
    /// To be sent, now or at the next attempt.
    #[serde(rename = "à_envoyer")]
    Waiting,
    /// A worker holds it under a lease.
    #[serde(rename = "en_cours")]
    Sending,
    /// A mail server answered 250.
    #[serde(rename = "remis")]
    Delivered,
    /// Refused for good, or given up after days.
    #[serde(rename = "définitif")]
    Failed,
    /// Given up by a person.
    #[serde(rename = "annulé")]
    Cancelled,
}

impl DeliveryState {
    /// Every state, in the order of a mail's life.
    pub const ALL: [DeliveryState; 5] = [
        DeliveryState::Waiting,
        DeliveryState::Sending,
        DeliveryState::Delivered,
        DeliveryState::Failed,
        DeliveryState::Cancelled,
    ];

    /// The word used in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "à_envoyer",
            DeliveryState::Sending => "en_cours",
            DeliveryState::Delivered => "remis",
            DeliveryState::Failed => "définitif",
            DeliveryState::Cancelled => "annulé",
        }
    }
}

/// What a mail of a submission tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum MailKind {
    /// The request, or its receipt.
    First,
    /// What was done after: the number of the act, from 1, when its name tells.
    Followed(Option<usize>),
    /// The morning's digest, kept with the first request it tells of.
    Digest,
}

/// One mail to one recipient, as the administration sees it; no address in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueRow {
    /// Number of the outbox row.
    pub id: i64,
    /// The submission's reference.
    pub reference: Reference,
    /// The form's slug.
    pub form_id: String,
    /// Whom the mail is meant for.
    pub role: MailRole,
    /// What it tells.
    pub kind: MailKind,
    /// Whether it is the copy to a backup recipient.
    pub backup: bool,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts that counted (a mail server that cannot be reached does not count).
    pub attempts: u32,
    /// When the submission was accepted.
    pub accepted_at: Timestamp,
    /// Not before then.
    pub next_at: Timestamp,
    /// Last SMTP code, when the server gave one.
    pub last_code: Option<u16>,
    /// Last outcome, in a word (`delivered`, `temporary`, `permanent`, `ambiguous`…).
    pub last_outcome: Option<String>,
}
