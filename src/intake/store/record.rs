//! Writes one accepted submission: itself, its answers, its files, its mails and what the outbox owes.

use jiff::{Timestamp, Zoned};

use super::Store;
use super::error::{Fault, StoreError};
use super::outbox::{self, Owed};
use super::sql::{self, Connection, params};
use super::{places, quarantine};
use crate::intake::seal::{Place, Seal};
use crate::model::intake::{Hold, NewSubmission, Recorded};
use crate::model::mail::Mail;
use crate::model::reference::Reference;
use crate::model::submission::StoredFile;

/// A submission already put in the words of the table and sealed, so that the writer only writes.
pub(super) struct Row {
    submission: NewSubmission,
    answers: Vec<Vec<u8>>,
    sender: Vec<u8>,
    receipt: Vec<u8>,
    files: Vec<Vec<u8>>,
    mails: Vec<SealedMail>,
    backup: Vec<u8>,
    hold: Hold,
}

/// A mail and its recipients, sealed.
pub(super) struct SealedMail {
    /// The mail.
    pub(super) mail: Vec<u8>,
    /// What is owed to each recipient.
    pub(super) owed: Vec<Owed>,
}

impl SealedMail {
    /// Seals a mail of this submission.
    pub(super) fn new(seal: &Seal, reference: &Reference, mail: &Mail) -> Result<SealedMail, StoreError> {
        let place = Place("mail.mail", &[reference.as_str().as_bytes(), mail.message_id.as_bytes()]);
        let owed = mail.to.iter().map(|recipient| Owed::new(seal, &mail.message_id, recipient));
        Ok(SealedMail {
            mail: sealed(seal, place, mail)?,
            owed: owed.collect::<Result<_, _>>().map_err(StoreError::unsealed)?,
        })
    }
}

/// Seals what is said of a file of this submission.
pub(super) fn sealed_file(seal: &Seal, reference: &Reference, file: &StoredFile) -> Result<Vec<u8>, StoreError> {
    sealed(seal, Place("file.file", &[reference.as_str().as_bytes(), file.id.as_bytes()]), file)
}

impl Row {
    pub(super) fn new(submission: NewSubmission, seal: &Seal) -> Result<Row, StoreError> {
        let reference = submission.reference.as_str().as_bytes();
        let whole = |column| Place(column, std::slice::from_ref(&reference));
        let mut answers = Vec::with_capacity(submission.answers.len());
        for (position, answer) in submission.answers.iter().enumerate() {
            let position = position.to_string();
            answers.push(sealed(seal, Place("answer.answer", &[reference, position.as_bytes()]), answer)?);
        }
        let file = |file| sealed_file(seal, &submission.reference, file);
        let mail = |mail| SealedMail::new(seal, &submission.reference, mail);
        Ok(Row {
            answers,
            sender: sealed(seal, whole("submission.sender"), &submission.sender)?,
            receipt: sealed(seal, whole("submission.receipt"), &submission.receipt)?,
            files: submission.files.iter().map(file).collect::<Result<_, _>>()?,
            mails: submission.mails.iter().map(mail).collect::<Result<_, _>>()?,
            backup: sealed(seal, whole("submission.backup"), &submission.recipients_backup)?,
            hold: Hold::default(),
            submission,
        })
    }

    /// The same, with what keeps its mails back.
    pub(super) fn held(mut self, hold: Hold) -> Row {
        self.hold = hold;
        self
    }

    /// Inserts all of it, or gives what the same nonce gave before.
    pub(super) fn insert(&self, connection: &Connection, seal: &Seal) -> Result<Recorded, Fault> {
        let new = &self.submission;
        let now = new.received_at.timestamp().as_millisecond();
        if new.quota.is_some() {
            places::lock(connection, &new.form_id)?;
            // A second press on the button finds its first, whatever was taken since.
            if let Some(recorded) = known(connection, &new.nonce, seal)? {
                return Ok(recorded);
            }
            if let Err(full) = places::check(connection, &new.form_id, new.quota) {
                // Its first press may have locked nothing, when the form had no places yet, and have ended in between.
                return known(connection, &new.nonce, seal)?.ok_or(full);
            }
        }
        let inserted = connection.insert(
            INSERT,
            params![
                new.reference.as_str(),
                new.nonce.as_slice(),
                new.form_id,
                new.form_title,
                new.received_at.to_string(),
                now,
                new.purge_after.to_string(),
                self.sender,
                self.receipt,
                self.backup,
            ],
        );
        let submission = match inserted {
            Ok(Some(submission)) => submission,
            Ok(None) => {
                return known(connection, &new.nonce, seal)?.ok_or_else(|| Fault::content("submission", "nonce lost"));
            }
            Err(error) if error.is_constraint() => {
                return Err(Fault::Store(StoreError::ReferenceTaken { reference: new.reference.clone() }));
            }
            Err(error) => return Err(error.into()),
        };
        self.insert_parts(connection, submission)?;
        for (mail, sealed) in new.mails.iter().zip(&self.mails) {
            let values = params![submission, mail.message_id, sealed.mail];
            let id = key(connection.insert(MAIL, values)?)?;
            for owed in &sealed.owed {
                outbox::enqueue(connection, id, mail.role, owed, now)?;
            }
        }
        quarantine::hold(connection, submission, &self.hold, now)?;
        Ok(Recorded {
            reference: new.reference.clone(),
            new: true,
            received_at: new.received_at.clone(),
            receipt: new.receipt.clone(),
        })
    }

    fn insert_parts(&self, connection: &Connection, submission: i64) -> sql::Result<()> {
        let sql = "INSERT INTO answer (submission, position, answer) VALUES (?1, ?2, ?3)";
        for (position, answer) in self.answers.iter().enumerate() {
            connection.execute(sql, params![submission, position as i64, answer])?;
        }
        for (file, sealed) in self.submission.files.iter().zip(&self.files) {
            connection.execute(FILE, params![submission, file.id, sealed])?;
        }
        Ok(())
    }
}

impl Store {
    /// What was recorded under this nonce, if anything: asked before anything else when a page is confirmed, for a second
    /// press on the button must find its first.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn recorded(&self, nonce: &[u8; 16]) -> Result<Option<Recorded>, StoreError> {
        self.read(|connection| known(connection, nonce, self.seal()))
    }

    /// The receipt shown for this reference, once the secret of its address is checked.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn receipt(&self, reference: &Reference) -> Result<Option<Recorded>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT reference, received_at, receipt FROM submission WHERE reference = ?1";
            let found = connection.query_opt(sql, params![reference.as_str()], read_row)?;
            found.map(|row| recorded(row, self.seal())).transpose()
        })
    }
}

fn known(connection: &Connection, nonce: &[u8; 16], seal: &Seal) -> Result<Option<Recorded>, Fault> {
    let sql = "SELECT reference, received_at, receipt FROM submission WHERE nonce = ?1";
    let found = connection.query_opt(sql, params![nonce], read_row)?;
    found.map(|row| recorded(row, seal)).transpose()
}

/// Reference, date of reception and sealed receipt.
type ReceiptRow = (String, String, Option<Vec<u8>>);

fn read_row(row: &sql::Row<'_>) -> sql::Result<ReceiptRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn recorded((reference, received_at, receipt): ReceiptRow, seal: &Seal) -> Result<Recorded, Fault> {
    Ok(Recorded {
        new: false,
        received_at: zoned(&received_at)?,
        receipt: match receipt {
            Some(sealed) => opened(seal, Place("submission.receipt", &[reference.as_bytes()]), &sealed, "receipt")?,
            None => serde_json::Value::Null,
        },
        reference: reference.parse().map_err(|error| Fault::content("reference", error))?,
    })
}

/// Reads back a sealed value.
pub(super) fn opened<T: serde::de::DeserializeOwned>(
    seal: &Seal,
    place: Place<'_>,
    sealed: &[u8],
    what: &'static str,
) -> Result<T, Fault> {
    let plain = seal.open(place, sealed).map_err(|error| Fault::content(what, error))?;
    serde_json::from_slice(&plain).map_err(|error| Fault::content(what, error))
}

/// A date and hour with its zone; a zone that no longer exists leaves the instant, in UTC.
pub(super) fn zoned(text: &str) -> Result<Zoned, Fault> {
    text.parse::<Zoned>()
        .or_else(|_| text.parse::<Timestamp>().map(|instant| instant.to_zoned(jiff::tz::TimeZone::UTC)))
        .map_err(|error| Fault::content("date of reception", error))
}

/// A value in the words of the table, sealed.
pub(super) fn sealed(seal: &Seal, place: Place<'_>, value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(value)
        .map_err(|error| StoreError::Content { what: "submission", reason: error.to_string() })?;
    seal.close(place, &json).map_err(StoreError::unsealed)
}

/// The key of a row that nothing keeps from being inserted.
pub(super) fn key(inserted: Option<i64>) -> Result<i64, Fault> {
    inserted.ok_or(Fault::Sql(sql::Error::NoRow))
}

const MAIL: &str = "INSERT INTO mail (submission, message_id, mail) VALUES (?1, ?2, ?3)";

/// Adds a file, unless the submission has it.
pub(super) const FILE: &str = "INSERT INTO file (submission, id, file) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

const INSERT: &str = "
    INSERT INTO submission (reference, nonce, form_id, form_title, received_at, received_ms, purge_after, sender, receipt,
                            backup)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (nonce) DO NOTHING";
