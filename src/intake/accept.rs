//! What happens when a resident presses « Envoyer »: the one place where the steps of acceptance are chained.
//!
//! 1. files move to their final, synced place;
//! 2. a reference is drawn, the receipt made, the mails composed — fixed from now on;
//! 3. submission, files and mails are recorded in one transaction.
//!
//! When [`accept`] gives `Ok`, the request survives a power cut. It knows nothing of HTTP.

use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::files::{FileError, FileStore};
use super::links::Links;
use super::store::{Store, StoreError};
use super::{compose, reference};
use crate::model::calendar::kept_until;
use crate::model::form::Form;
use crate::model::intake::{Hold, NewSubmission, Quota, Recorded};
use crate::model::receipt::{Issuer, Receipt};
use crate::model::reference::Reference;
use crate::model::submission::{StoredFile, ValidAnswers};

/// Where accepted requests are kept.
#[derive(Clone)]
pub struct Depot {
    /// The database.
    pub store: Store,
    /// The files beside it.
    pub files: FileStore,
}

/// Why a request was not accepted. Nothing of it is then kept but files that the housework collects.
#[derive(Debug, Error)]
pub enum AcceptError {
    /// A file sent earlier is no longer there: it must be joined again.
    #[error("the file {id} is gone")]
    FileGone {
        /// Its name in the file store.
        id: String,
    },
    /// The files cannot be put away.
    #[error(transparent)]
    Files(FileError),
    /// The database refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no randomness to give.
    #[error("no randomness: {0}")]
    Entropy(getrandom::Error),
    /// The receipt cannot be written down.
    #[error("the receipt cannot be kept: {0}")]
    Receipt(serde_json::Error),
}

impl AcceptError {
    /// Whether it may work in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            AcceptError::Store(StoreError::Busy { .. } | StoreError::Unreachable { .. })
                | AcceptError::Files(FileError::Bucket(_))
        )
    }

    /// The kind in a word, for the log: no path, no name.
    pub fn as_str(&self) -> &'static str {
        match self {
            AcceptError::FileGone { .. } => "file_gone",
            AcceptError::Files(FileError::Full { .. }) | AcceptError::Store(StoreError::Full { .. }) => "full",
            AcceptError::Files(error) if error.is_of_bucket() => "bucket",
            AcceptError::Files(_) => "files",
            AcceptError::Store(StoreError::Busy { .. }) => "busy",
            AcceptError::Store(StoreError::Poisoned { .. }) => "poisoned",
            AcceptError::Store(StoreError::Unreachable { .. }) => "unreachable",
            AcceptError::Store(_) => "store",
            AcceptError::Entropy(_) => "entropy",
            AcceptError::Receipt(_) => "receipt",
        }
    }
}

/// What the confirmation page is drawn from, kept with the submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptReceipt {
    /// The receipt as it was given.
    #[serde(rename = "accuse")]
    pub receipt: Receipt,
}

/// Takes valid answers for good, mails with addresses of `links` included; the same nonce gives the first reference again, however often.
///
/// # Errors
/// [`AcceptError`]; nothing was promised and nothing will be sent.
pub async fn accept(
    depot: &Depot,
    form: &Form,
    (issuer, links): (&Issuer, &Links),
    (answers, nonce): (ValidAnswers, [u8; 16]),
    now: &Zoned,
) -> Result<Recorded, AcceptError> {
    accept_held(depot, form, (issuer, links), (answers, nonce, Hold::default()), now).await
}

/// The same, with what keeps its mails back: quarantine, or an address that has had enough receipts.
///
/// # Errors
/// As [`accept`].
pub async fn accept_held(
    depot: &Depot,
    form: &Form,
    (issuer, links): (&Issuer, &Links),
    (answers, nonce, hold): (ValidAnswers, [u8; 16], Hold),
    now: &Zoned,
) -> Result<Recorded, AcceptError> {
    let files: Vec<StoredFile> = answers.files().cloned().collect();
    put_away(depot, files.clone()).await?;
    for _ in 0..DRAWS {
        let reference = reference::draw(now).map_err(AcceptError::Entropy)?;
        let submission = submission(form, (issuer, links), &answers, &reference, now)?;
        let submission = NewSubmission { nonce, files: files.clone(), ..submission };
        match depot.store.record_held(submission, hold.clone()).await {
            Err(StoreError::ReferenceTaken { .. }) => {}
            recorded => return Ok(recorded?),
        }
    }
    Err(AcceptError::Entropy(getrandom::Error::UNEXPECTED))
}

/// Moves files from the drafts to their place; already there is fine.
///
/// # Errors
/// [`AcceptError::FileGone`] when one has expired, [`AcceptError::Files`] when the disk refuses.
pub async fn put_away(depot: &Depot, files: Vec<StoredFile>) -> Result<(), AcceptError> {
    if files.is_empty() {
        return Ok(());
    }
    let store = depot.files.clone();
    let moved = tokio::task::spawn_blocking(move || store.accept(&files)).await;
    match moved {
        Ok(Ok(())) => Ok(()),
        Ok(Err(FileError::Missing { id } | FileError::Damaged { id })) => Err(AcceptError::FileGone { id }),
        Ok(Err(error)) => Err(AcceptError::Files(error)),
        Err(_) => Err(AcceptError::Store(StoreError::Closed)),
    }
}

/// Everything that is fixed at acceptance. Pure.
fn submission(
    form: &Form,
    (issuer, links): (&Issuer, &Links),
    answers: &ValidAnswers,
    reference: &Reference,
    now: &Zoned,
) -> Result<NewSubmission, AcceptError> {
    let receipt = Receipt::for_submission(form, issuer, reference, now)
        .with_alerts(&answers.alerts)
        .mailed(answers.sender.email.is_some());
    let links = links.with_files(reference, answers.files(), now.timestamp());
    let mails = compose::mails(form, issuer, answers, &receipt, &links);
    Ok(NewSubmission {
        reference: reference.clone(),
        nonce: [0; 16],
        form_id: form.id.clone(),
        form_title: form.title.clone(),
        received_at: now.clone(),
        answers: answers.answers.clone(),
        sender: answers.sender.clone(),
        files: Vec::new(),
        receipt: serde_json::to_value(KeptReceipt { receipt }).map_err(AcceptError::Receipt)?,
        purge_after: kept_until(now.date(), form.data.retention),
        mails,
        quota: quota(form, now),
        recipients_backup: form.backup_recipients.clone(),
    })
}

/// The places of a form, counted from the day it opened.
fn quota(form: &Form, now: &Zoned) -> Option<Quota> {
    let limit = form.opening.places?;
    Some(Quota { limit, since: opened(form, now) })
}

/// When the requests of a form began to count: the day it opened, or ever since.
pub fn opened(form: &Form, now: &Zoned) -> Timestamp {
    let day = form.opening.from.and_then(|day| day.to_zoned(now.time_zone().clone()).ok());
    day.map_or(Timestamp::UNIX_EPOCH, |day| day.timestamp())
}

/// References drawn before giving up: two in a row would already be a broken source of randomness.
const DRAWS: usize = 3;
