//! Brings what the outbox owes to the mail server: claim → compose → send → settle, one mail a step.
//!
//! At least once: between the final dot and the server's answer nobody knows who holds the message, so it is sent again with
//! the same Message-ID and the same bytes. No transaction is open while a server is talked to.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::files::{FileError, FileStore};
use super::mailer::{Attached, Mailer, Outcome, Parcel, Phase, Refusal, render};
use super::retry;
use super::store::{Claim, Claimed, Settlement, Store, StoreError, Trace};

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A server took a mail.
    Sent,
    /// A mail, or the whole way out, waits until then.
    Deferred {
        /// Not before then.
        until: Timestamp,
    },
    /// A mail was refused for good; a request is then copied to its backup recipients.
    Failed,
    /// Nothing is due.
    Idle {
        /// When something will be; `None` when all is settled.
        next_at: Option<Timestamp>,
    },
}

/// Sends the next mail that is due at `now`, if any.
///
/// # Errors
/// [`StoreError`] when the claim or its settlement cannot be written. In the second case the mail may have been delivered:
/// it stays under its lease and will be sent once more.
pub async fn step(store: &Store, mailer: &Mailer, files: &FileStore, now: Timestamp) -> Result<Step, StoreError> {
    let claim = match store.claim(now, LEASE).await? {
        Claimed::Nothing { next_at } => return Ok(Step::Idle { next_at }),
        Claimed::Mail(claim) => claim,
    };
    let outcome = send(mailer, files, &claim).await;
    let (settlement, trace) = judge(&claim, &outcome, now);
    tracing::info!(
        outbox.id = claim.id,
        outbox.role = claim.role.as_str(),
        outbox.attempts = claim.attempts,
        outcome = trace.outcome,
        smtp.phase = trace.phase,
        smtp.code = trace.code,
        smtp.class = trace.class.as_deref(),
        "delivery attempt"
    );
    let opens = settle(store, &claim, &settlement, trace, now).await?;
    Ok(match settlement {
        Settlement::Delivered => Step::Sent,
        Settlement::Again { at, .. } => Step::Deferred { until: at },
        Settlement::Closed { .. } => Step::Deferred { until: opens.unwrap_or(now) },
        Settlement::Failed => Step::Failed,
    })
}

/// The loop around [`step`]: wakes when something is recorded or due, ends when told to, after the mail in hand.
#[derive(Clone)]
pub struct Worker {
    /// Where mails are claimed.
    pub store: Store,
    /// What sends them.
    pub mailer: Arc<Mailer>,
    /// What holds their attachments.
    pub files: FileStore,
}

impl Worker {
    /// Delivers until `stop` becomes `true` or its sender goes; several may run side by side.
    ///
    /// Only the waiting is cut short: a mail being sent is sent and settled first.
    pub async fn run(&self, stop: watch::Receiver<bool>, clock: impl Fn() -> Timestamp) {
        self.run_telling(stop, clock, |_| {}).await;
    }

    /// The same, saying at each turn whether it is at work, or until when nothing is due.
    pub async fn run_telling(
        &self,
        mut stop: watch::Receiver<bool>,
        clock: impl Fn() -> Timestamp,
        mut told: impl FnMut(Turn),
    ) {
        let wake = self.store.wake();
        while !*stop.borrow_and_update() {
            told(Turn::Begins);
            let pause = match step(&self.store, &self.mailer, &self.files, clock()).await {
                Ok(Step::Idle { next_at }) => {
                    told(Turn::Idle { next_at });
                    pause(next_at, clock())
                }
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(error.reason = %error, "delivery stands still");
                    AFTER_ERROR
                }
            };
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        // Another worker may be asleep on the wake this one consumed.
        wake.notify_one();
    }
}

/// Where a [`Worker`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It looks for what is due.
    Begins,
    /// Nothing is.
    Idle {
        /// When something will be; `None` when all is settled.
        next_at: Option<Timestamp>,
    },
}

/// Composes the bytes and hands them over.
async fn send(mailer: &Mailer, files: &FileStore, claim: &Claim) -> Outcome {
    let (files, mail, bare) = (files.clone(), claim.mail.clone(), claim.bare);
    let composed = tokio::task::spawn_blocking(move || {
        let mut attached = Vec::with_capacity(mail.attachments.len());
        for file in &mail.attachments {
            let bytes = match if bare { Ok(None) } else { files.read(file).map(Some) } {
                // The disk lost it: the request itself must leave, with a word about the file.
                Err(FileError::Missing { id } | FileError::Damaged { id }) => {
                    tracing::error!(file.id = id, "a file cannot be attached");
                    None
                }
                Err(error) => {
                    tracing::error!(error.reason = %error, "a file cannot be read now");
                    return Err(Outcome::Temporary(composing()));
                }
                Ok(bytes) => bytes,
            };
            attached.push(Attached { file, bytes });
        }
        render(&mail, attached).map_err(|_| Outcome::Permanent(composing()))
    });
    match composed.await {
        Ok(Ok(bytes)) => {
            let parcel = Parcel {
                reference: claim.reference.clone(),
                role: claim.role,
                from: claim.mail.from.email.clone(),
                to: claim.recipient.clone(),
                bytes: Arc::new(bytes),
            };
            mailer.send(parcel).await
        }
        Ok(Err(outcome)) => outcome,
        // The thread panicked or the program is ending: nothing left.
        Err(_) => Outcome::Temporary(composing()),
    }
}

/// What becomes of a mail after this outcome, and the trace it leaves. Pure.
fn judge(claim: &Claim, outcome: &Outcome, now: Timestamp) -> (Settlement, Trace) {
    let again = |outcome: &'static str| match retry::next(claim.role, claim.since, claim.attempts, claim.id, now) {
        Some(at) => (Settlement::Again { at, bare: false }, outcome),
        None => (Settlement::Failed, "expired"),
    };
    let ((settlement, word), refusal) = match outcome {
        Outcome::Delivered { code } => {
            let trace = Trace { outcome: "delivered", code: Some(*code), ..Trace::default() };
            return (Settlement::Delivered, trace);
        }
        Outcome::Temporary(refusal) => (again("temporary"), Some(refusal)),
        Outcome::Ambiguous { .. } => (again("ambiguous"), None),
        Outcome::Permanent(refusal) if may_go_bare(claim, refusal) => {
            ((Settlement::Again { at: now, bare: true }, "too_heavy"), Some(refusal))
        }
        Outcome::Permanent(refusal) => ((Settlement::Failed, "permanent"), Some(refusal)),
        Outcome::SenderRefused(refusal) => ((Settlement::Closed { is_refusal: true }, "sender_refused"), Some(refusal)),
        Outcome::AuthRefused { code } => {
            let trace = Trace { outcome: "auth_refused", code: *code, ..Trace::default() };
            return (Settlement::Closed { is_refusal: true }, trace);
        }
        Outcome::TlsRefused { .. } => ((Settlement::Closed { is_refusal: true }, "tls_refused"), None),
        Outcome::Unreachable { code, .. } => {
            let trace = Trace { outcome: "unreachable", code: *code, ..Trace::default() };
            return (Settlement::Closed { is_refusal: false }, trace);
        }
    };
    let trace = Trace {
        outcome: word,
        phase: refusal.map(|refusal| refusal.phase.as_str()),
        code: refusal.and_then(|refusal| refusal.code),
        class: refusal.and_then(|refusal| refusal.class.clone()),
    };
    (settlement, trace)
}

/// Whether the files may be what the server refused: too large, or disliked by its filter. The words then go without them.
fn may_go_bare(claim: &Claim, refusal: &Refusal) -> bool {
    let about_content = refusal.phase == Phase::Message && matches!(refusal.code, Some(550 | 552 | 554));
    !claim.bare && !claim.mail.attachments.is_empty() && (refusal.is_about_size() || about_content)
}

/// Settles; when the store is short of space, busy or away, insists while the lease lasts, for a mail that was delivered and not
/// settled would be delivered again.
async fn settle(
    store: &Store,
    claim: &Claim,
    settlement: &Settlement,
    trace: Trace,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut pause = Duration::from_millis(100);
    let mut insisted = Duration::ZERO;
    loop {
        match store.settle(claim, settlement.clone(), trace.clone(), now).await {
            Err(StoreError::Full { .. } | StoreError::Busy { .. } | StoreError::Unreachable { .. })
                if insisted < INSIST =>
            {
                tokio::time::sleep(pause).await;
                insisted += pause;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            settled => return settled,
        }
    }
}

pub(super) fn composing() -> Refusal {
    Refusal { phase: Phase::Compose, code: None, class: None }
}

/// Until the next instant something is due, looking up now and then for what another process queued.
fn pause(next_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let until = next_at.map_or(LOOK_UP, |next| Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO));
    until.clamp(Duration::from_millis(10), LOOK_UP)
}

/// Longer than a send can last: all phases, ten minutes after the dot, and a heavy message on a slow line.
const LEASE: SignedDuration = SignedDuration::from_hours(1);
/// How long a settlement is tried again.
const INSIST: Duration = Duration::from_secs(60);
/// Pause after an error of the store.
const AFTER_ERROR: Duration = Duration::from_secs(5);
/// Longest pause.
const LOOK_UP: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
