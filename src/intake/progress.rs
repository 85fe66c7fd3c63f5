//! A form put aside: the answers so far in a small sealed file that the resident keeps and gives back. Nothing of it is kept on
//! our side.
//!
//! The file is sealed by the key of the guichet: whoever finds it reads nothing, and what was changed in it is refused. Files
//! attached to the form are not in it: their drafts live hours, it lives days.

use std::collections::BTreeMap;

use blake3::Hasher;
use data_encoding::BASE64_MIME;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::seal::{Place, Seal, SealError};
use crate::model::form::{Field, FieldKind, Form};
use crate::model::submission::RawAnswers;
use crate::text::dates::short_date;

/// Bytes of such a file at most; a whole form of texts is a fifth of it.
pub const MAX_BYTES: usize = 2 << 20;
/// How long it can be given back; our choice: long enough for a missing document, short enough for a shared computer.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The answers of a form put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Slug of the form.
    pub form: String,
    /// What its questions were.
    shape: String,
    /// Page of questions, from 0, and the furthest one shown.
    pub at: (usize, usize),
    /// Seconds since 1970 until which it can be given back.
    until: i64,
    /// Input name → values.
    values: BTreeMap<String, Vec<String>>,
    /// Field id → how many files were attached, which are not here.
    files: BTreeMap<String, usize>,
}

/// Why a file that is given back cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProgressError {
    /// Not one of ours, changed, cut, or sealed by another guichet.
    #[error("not a form put aside here")]
    Unreadable,
    /// Its time is over.
    #[error("expired on {0}")]
    Expired(Date),
    /// It belongs to another form.
    #[error("of the form {0}")]
    OtherForm(String),
}

/// What a file that is given back holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenBack {
    /// Answers to questions that the form still asks.
    pub raw: RawAnswers,
    /// Where to go on: page of questions, from 0, and the furthest one shown; the first when the form has changed.
    pub at: (usize, usize),
    /// Whether the questions have changed since.
    pub is_changed: bool,
    /// Questions whose files must be attached again, and how many there were.
    pub files: Vec<(String, usize)>,
}

/// Last day a form put aside now can be given back.
pub fn until(now: &Zoned) -> Date {
    now.saturating_add(LIFETIME).date()
}

/// The file of the answers so far.
///
/// # Errors
/// [`SealError::Entropy`] when the system has no randomness to give.
pub fn put_aside(
    seal: &Seal,
    form: &Form,
    raw: &RawAnswers,
    at: (usize, usize),
    now: &Zoned,
) -> Result<Vec<u8>, SealError> {
    let known = |name: &&String| form.leaf(name).is_some();
    let filled = |values: &Vec<String>| values.iter().any(|value| !value.is_empty());
    let progress = Progress {
        form: form.id.clone(),
        shape: shape(form),
        at,
        until: now.timestamp().saturating_add(LIFETIME).unwrap_or(Timestamp::MAX).as_second(),
        values: raw
            .values
            .iter()
            .filter(|(name, values)| known(name) && filled(values))
            .map(|(name, values)| (name.clone(), values.clone()))
            .collect(),
        files: raw.files.iter().map(|(field, files)| (field.clone(), files.len())).collect(),
    };
    // Strings and numbers always have a JSON form.
    let plain = serde_json::to_vec(&progress).unwrap_or_default();
    let sealed = seal.close(PLACE, &plain)?;
    let words = format!(
        "{HEAD}\r\n\r\nCe fichier contient vos réponses, illisibles pour tout autre que le guichet de votre commune.\r\n\
         Rendez-le à la première page du formulaire, au plus tard le {}.\r\nAprès l'envoi, effacez-le.\r\n\r\n{MARK}\r\n",
        short_date(until(now)).replace('\u{a0}', " ")
    );
    Ok([words.as_bytes(), BASE64_MIME.encode(&sealed).as_bytes()].concat())
}

/// The answers of a file, for the form at which it is given back.
///
/// # Errors
/// [`ProgressError`]: nothing of it is used.
pub fn give_back(seal: &Seal, form: &Form, file: &[u8], now: &Zoned) -> Result<GivenBack, ProgressError> {
    let unreadable = || ProgressError::Unreadable;
    let text = std::str::from_utf8(file).map_err(|_| unreadable())?;
    let (_, encoded) = text.split_once(MARK).ok_or_else(unreadable)?;
    let packed: String = encoded.split_whitespace().collect();
    let sealed = data_encoding::BASE64.decode(packed.as_bytes()).map_err(|_| unreadable())?;
    let plain = seal.open(PLACE, &sealed).map_err(|_| unreadable())?;
    let progress: Progress = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
    if progress.form != form.id {
        return Err(ProgressError::OtherForm(progress.form));
    }
    let end = Timestamp::from_second(progress.until).map_err(|_| unreadable())?;
    if end < now.timestamp() {
        return Err(ProgressError::Expired(end.to_zoned(now.time_zone().clone()).date()));
    }
    let is_changed = progress.shape != shape(form);
    let mut raw = RawAnswers::default();
    raw.values.extend(progress.values.into_iter().filter(|(name, _)| form.leaf(name).is_some()));
    let question = |id: String, count: usize| form.field(&id).map(|field| (field.question.clone(), count));
    let files = progress.files.into_iter().filter_map(|(id, count)| question(id, count)).collect();
    Ok(GivenBack { raw, at: if is_changed { (0, 0) } else { progress.at }, is_changed, files })
}

/// What the questions of a form are: an added, moved or retyped question changes it, a word does not.
fn shape(form: &Form) -> String {
    let mut hasher = Hasher::new();
    for field in &form.fields {
        add(&mut hasher, field);
    }
    hasher.update(if form.paged { b"p" } else { b"-" });
    hasher.finalize().to_hex()[..16].to_owned()
}

fn add(hasher: &mut Hasher, field: &Field) {
    let mut line = |text: &str| {
        hasher.update(text.as_bytes()).update(b"\n");
    };
    line(&field.id);
    line(field.step.as_deref().unwrap_or_default());
    match &field.kind {
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => {
            choices.iter().for_each(|choice| line(&choice.value));
        }
        FieldKind::Block { parts, .. } | FieldKind::Group { parts, .. } => {
            parts.iter().for_each(|part| add(hasher, part));
        }
        _ => {}
    }
}

const PLACE: Place<'static> = Place("formulaire mis de côté", &[]);
const HEAD: &str = "Formulaire mis de côté";
const MARK: &str = "-----";

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::intake::validate::tests::{every_kind, good};
    use crate::model::receipt::tests::moment;

    fn seal() -> Seal {
        Seal::from_master(&[7; 32])
    }

    #[test]
    fn what_was_typed_comes_back_at_the_page_it_was_left() {
        let form = every_kind(true);
        let file = put_aside(&seal(), &form, &good(), (0, 0), &moment()).unwrap();
        let back = give_back(&seal(), &form, &file, &moment()).unwrap();
        assert!(!back.is_changed);
        for (name, values) in good().values.iter().filter(|(name, _)| form.leaf(name).is_some()) {
            if values.iter().any(|value| !value.is_empty()) {
                assert_eq!(back.raw.all(name), values, "{name}");
            }
        }
        assert!(back.raw.files.is_empty(), "drafts of files do not live that long");
        assert!(!back.files.is_empty(), "and it is said which must be attached again");
    }

    #[test]
    fn whoever_finds_the_file_reads_nothing_in_it() {
        let form = every_kind(true);
        let file = String::from_utf8(put_aside(&seal(), &form, &good(), (0, 0), &moment()).unwrap()).unwrap();
        for value in good().values.values().flatten().filter(|value| value.len() > 4) {
            assert!(!file.contains(value.as_str()), "{value}");
        }
    }

    #[test]
    fn a_file_of_another_time_form_or_hand_is_refused() {
        let form = every_kind(true);
        let file = put_aside(&seal(), &form, &good(), (0, 0), &moment()).unwrap();
        let late = moment().saturating_add(31.days());
        assert!(matches!(give_back(&seal(), &form, &file, &late), Err(ProgressError::Expired(_))));
        let other = Form { id: "autre".into(), ..form.clone() };
        assert_eq!(give_back(&seal(), &other, &file, &moment()), Err(ProgressError::OtherForm(form.id.clone())));
        let mut forged = file.clone();
        let last = forged.len() - 10;
        forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
        let others_key = Seal::from_master(&[8; 32]);
        for (seal, bytes) in [
            (&seal(), &forged[..]),
            (&others_key, &file[..]),
            (&seal(), &file[..file.len() / 2]),
            (&seal(), b"".as_slice()),
            (&seal(), &[0xff, 0xfe, 0x00][..]),
        ] {
            assert_eq!(give_back(seal, &form, bytes, &moment()), Err(ProgressError::Unreadable));
        }
    }

    #[test]
    fn a_form_that_has_changed_takes_what_it_still_asks_from_its_first_page() {
        let form = every_kind(true);
        let file = put_aside(&seal(), &form, &good(), (1, 2), &moment()).unwrap();
        let mut changed = form.clone();
        let gone = changed.fields.remove(0);
        let back = give_back(&seal(), &changed, &file, &moment()).unwrap();
        assert!(back.is_changed && back.at == (0, 0));
        assert!(back.raw.values.keys().all(|name| *name != gone.id && !name.starts_with(&format!("{}.", gone.id))));
    }
}
