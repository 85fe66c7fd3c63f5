//! Keys of one guichet, and what they sign: the token of the check page and the secret of a receipt's address.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64URL_NOPAD, Encoding, Specification};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::seal::Seal;
use crate::model::reference::Reference;

/// The secret of one guichet; never printed.
#[derive(Clone)]
pub struct Keys {
    token: [u8; 32],
    receipt: [u8; 32],
    seal: Seal,
    follow: [u8; 32],
    act: [u8; 32],
    errand: [u8; 32],
    code: [u8; 32],
    piece: [u8; 32],
    counter: [u8; 32],
}

/// What a page of the mairie other than that of a request is for; a token of one opens no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Confirming a mailbox.
    Mailbox,
    /// Judging what waits in quarantine.
    Quarantine,
}

/// What a token of an errand is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrandCheck {
    /// Ours; it is for the mailbox of this tag.
    Opens([u8; 16]),
    /// Ours, but its time is over.
    Expired,
    /// Not ours, or for something else.
    Forged,
}

/// What the address of a file is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PieceCheck {
    /// Ours; it opens this file of this request.
    Opens(Reference, String),
    /// Ours, but its time is over.
    Expired(Reference),
    /// Not ours.
    Forged,
}

/// What the secret of a link of the counter is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterCheck {
    /// Ours, and its time is not over.
    Opens,
    /// Ours, but its time is over.
    Expired,
    /// Not ours.
    Forged,
}

/// What the address of the mairie's page of actions is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActCheck {
    /// Ours; it opens this request.
    Opens(Reference),
    /// Ours, but its time is over.
    Expired(Reference),
    /// Not ours.
    Forged,
}

/// Why the keys cannot be had.
#[derive(Debug, Error)]
pub enum KeyError {
    /// There is no key file, and what it sealed is there: a new one would open nothing.
    #[error("no key at {}", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold a key.
    #[error("{} does not hold a key", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
    },
    /// The system has no randomness to give.
    #[error("no randomness: {0}")]
    Entropy(getrandom::Error),
}

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenCheck {
    /// Ours, for this form, of the right age; its nonce makes the submission single.
    Fresh {
        /// Single-use number.
        nonce: [u8; 16],
    },
    /// As [`TokenCheck::Fresh`], but confirmed faster than a person reads: one sign of a robot, not a proof.
    Hasty {
        /// Single-use number.
        nonce: [u8; 16],
    },
    /// Ours, for this form, but too old, or from a clock ahead of ours: the check page is shown again, answers kept, unless
    /// the nonce is already recorded.
    Expired {
        /// Single-use number.
        nonce: [u8; 16],
    },
    /// Not ours, or of another form.
    Forged,
}

impl Keys {
    /// The keys in a key file.
    ///
    /// # Errors
    /// [`KeyError`] when the file is not there, cannot be read or understood.
    pub fn read(path: &Path) -> Result<Keys, KeyError> {
        let path = path.to_owned();
        match fs::read(&path) {
            Ok(bytes) => Keys::from_text(&bytes).ok_or(KeyError::Malformed { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KeyError::Absent { path }),
            Err(source) => Err(KeyError::Io { path, source }),
        }
    }

    /// The same, making the file at the first start, private to its owner; its folder must be there.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read, made or understood, or when there is no randomness.
    pub fn read_or_make(path: &Path) -> Result<Keys, KeyError> {
        match Keys::read(path) {
            Err(KeyError::Absent { .. }) => {}
            read => return read,
        }
        let mut master = [0; 32];
        getrandom::fill(&mut master).map_err(KeyError::Entropy)?;
        write_new(path, &master).map_err(|source| KeyError::Io { path: path.to_owned(), source })?;
        // Read back: two processes starting together must end with the same key.
        Keys::read(path)
    }

    /// Whether the key file still holds these keys: without them nothing that is kept could be read at the next start.
    pub fn stand_in(&self, path: &Path) -> bool {
        let found = Keys::read(path).ok();
        found.is_some_and(|found| blake3::Hash::from_bytes(found.token) == blake3::Hash::from_bytes(self.token))
    }

    /// Keys from 32 secret bytes.
    pub fn from_master(master: &[u8; 32]) -> Keys {
        Keys {
            token: blake3::derive_key("mulot guichet: jeton de la page de vérification v1", master),
            receipt: blake3::derive_key("mulot guichet: adresse de l'accusé v1", master),
            seal: Seal::from_master(master),
            follow: blake3::derive_key("mulot guichet: adresse du suivi v1", master),
            act: blake3::derive_key("mulot guichet: lien d'action de la mairie v1", master),
            errand: blake3::derive_key("mulot guichet: pages de la mairie v1", master),
            code: blake3::derive_key("mulot guichet: code d'une boîte v1", master),
            piece: blake3::derive_key("mulot guichet: lien d'un fichier pour la mairie v1", master),
            counter: blake3::derive_key("mulot guichet: lien du comptoir v1", master),
        }
    }

    /// What seals data at rest.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// A token for the check page of a form, with a nonce never given before.
    ///
    /// Shape: 76 characters of URL-safe base 64.
    ///
    /// # Errors
    /// [`getrandom::Error`] when the system has no randomness to give.
    pub fn token(&self, form_id: &str, now: Timestamp) -> Result<String, getrandom::Error> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        Ok(self.sign(form_id, now, nonce))
    }

    /// What a token that came back with a form is worth; `min_age` only tells [`TokenCheck::Hasty`] apart.
    pub fn check(&self, token: &str, form_id: &str, now: Timestamp, min_age: SignedDuration) -> TokenCheck {
        let Some(bytes) = BASE64URL_NOPAD.decode(token.as_bytes()).ok().filter(|bytes| bytes.len() == TOKEN) else {
            return TokenCheck::Forged;
        };
        let (head, tag) = bytes.split_at(HEAD);
        let mut found = [0; 32];
        found.copy_from_slice(tag);
        // `blake3::Hash` compares in constant time.
        if head[0] != VERSION || self.tag(form_id, head) != blake3::Hash::from_bytes(found) {
            return TokenCheck::Forged;
        }
        let (mut issued, mut nonce) = ([0; 8], [0; 16]);
        issued.copy_from_slice(&head[1..9]);
        nonce.copy_from_slice(&head[9..]);
        let Ok(issued) = Timestamp::from_second(i64::from_be_bytes(issued)) else { return TokenCheck::Forged };
        let age = now.duration_since(issued);
        if age > MAX_AGE || age < -CLOCK_SLACK {
            TokenCheck::Expired { nonce }
        } else if age < min_age {
            TokenCheck::Hasty { nonce }
        } else {
            TokenCheck::Fresh { nonce }
        }
    }

    /// The secret part of a receipt's address.
    ///
    /// Shape: 26 lower-case letters and digits (128 bits).
    pub fn secret(&self, reference: &Reference) -> String {
        secret_encoding().encode(&address_tag(&self.receipt, reference))
    }

    /// Whether this secret opens the receipt of this reference; takes as long when it does not.
    pub fn opens(&self, reference: &Reference, secret: &str) -> bool {
        opens_with(&self.receipt, reference, secret)
    }

    /// The secret part of the follow-up page's address. Not the receipt's: it is mailed to an address nobody has verified,
    /// and the receipt shows what was typed.
    ///
    /// Shape: as [`Keys::secret`].
    pub fn follow_secret(&self, reference: &Reference) -> String {
        secret_encoding().encode(&address_tag(&self.follow, reference))
    }

    /// Whether this secret opens the follow-up page of this reference; takes as long when it does not.
    pub fn opens_follow(&self, reference: &Reference, secret: &str) -> bool {
        opens_with(&self.follow, reference, secret)
    }

    /// The token by which the mairie acts on a request until then.
    ///
    /// Shape: 76 characters of URL-safe base 64.
    pub fn act_token(&self, reference: &Reference, until: Timestamp) -> String {
        signed(&self.act, VERSION, until, &[reference.as_str().as_bytes()])
    }

    /// The token by which the mairie reads one file of a request until then; [`None`] when `file` is no id of the store.
    ///
    /// Shape: 98 characters of URL-safe base 64.
    pub fn piece_token(&self, reference: &Reference, file: &str, until: Timestamp) -> Option<String> {
        let id: [u8; 16] = data_encoding::HEXLOWER.decode(file.as_bytes()).ok()?.try_into().ok()?;
        Some(signed(&self.piece, VERSION, until, &[&id, reference.as_str().as_bytes()]))
    }

    /// What the token of a file is worth.
    pub fn check_piece(&self, token: &str, now: Timestamp) -> PieceCheck {
        let Some((until, body)) = opened(&self.piece, VERSION, token, PIECE) else { return PieceCheck::Forged };
        let (id, reference) = body.split_at(16);
        match std::str::from_utf8(reference).ok().and_then(|text| text.parse().ok()) {
            Some(reference) if now <= until => PieceCheck::Opens(reference, data_encoding::HEXLOWER.encode(id)),
            Some(reference) => PieceCheck::Expired(reference),
            None => PieceCheck::Forged,
        }
    }

    /// The secret of a link by which an agent fills forms for residents until then.
    ///
    /// Shape: 55 characters of URL-safe base 64.
    pub fn counter_token(&self, until: Timestamp) -> String {
        signed(&self.counter, VERSION, until, &[])
    }

    /// What the secret of a link of the counter is worth.
    pub fn check_counter(&self, token: &str, now: Timestamp) -> CounterCheck {
        match opened(&self.counter, VERSION, token, 0) {
            Some((until, _)) if now <= until => CounterCheck::Opens,
            Some(_) => CounterCheck::Expired,
            None => CounterCheck::Forged,
        }
    }

    /// What a token of the mairie is worth.
    pub fn check_act(&self, token: &str, now: Timestamp) -> ActCheck {
        let Some((until, body)) = opened(&self.act, VERSION, token, REFERENCE) else { return ActCheck::Forged };
        match std::str::from_utf8(&body).ok().and_then(|text| text.parse().ok()) {
            Some(reference) if now <= until => ActCheck::Opens(reference),
            Some(reference) => ActCheck::Expired(reference),
            None => ActCheck::Forged,
        }
    }

    /// The token of a page for the mailbox of this tag, good until then.
    ///
    /// Shape: 76 characters of URL-safe base 64.
    pub fn errand_token(&self, errand: Errand, tag: &[u8; 16], until: Timestamp) -> String {
        signed(&self.errand, errand as u8 + 1, until, &[tag])
    }

    /// What a token of an errand is worth.
    pub fn check_errand(&self, errand: Errand, token: &str, now: Timestamp) -> ErrandCheck {
        let Some((until, body)) = opened(&self.errand, errand as u8 + 1, token, 16) else { return ErrandCheck::Forged };
        match body.try_into() {
            Ok(tag) if now <= until => ErrandCheck::Opens(tag),
            Ok(_) => ErrandCheck::Expired,
            Err(_) => ErrandCheck::Forged,
        }
    }

    /// The code that proves that the mailbox of this tag is read; another one for each instant of issue.
    ///
    /// Shape: six digits.
    pub fn mailbox_code(&self, tag: &[u8; 16], issued: Timestamp) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.code);
        hasher.update(tag).update(&issued.as_millisecond().to_be_bytes());
        let mut number = [0; 8];
        number.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        format!("{:06}", u64::from_be_bytes(number) % 1_000_000)
    }

    /// Whether what was typed is that code, spaces aside; takes as long when it is not.
    pub fn is_mailbox_code(&self, tag: &[u8; 16], issued: Timestamp, typed: &str) -> bool {
        let typed: String = typed.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
        // The hashes compare in constant time, and say nothing of how much was right.
        blake3::keyed_hash(&self.code, typed.as_bytes())
            == blake3::keyed_hash(&self.code, self.mailbox_code(tag, issued).as_bytes())
    }
}

/// A token good until then: its kind, its end of life, what it opens, and the tag of this key over all of it.
fn signed(key: &[u8; 32], kind: u8, until: Timestamp, body: &[&[u8]]) -> String {
    let mut bytes = vec![kind];
    bytes.extend(until.as_second().to_be_bytes());
    bytes.extend(body.concat());
    let tag = blake3::keyed_hash(key, &bytes);
    bytes.extend(tag.as_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

/// The end of life of a token of that kind and what it opens, `length` bytes; `None` when this key did not sign it.
fn opened(key: &[u8; 32], kind: u8, token: &str, length: usize) -> Option<(Timestamp, Vec<u8>)> {
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok().filter(|bytes| bytes.len() == 1 + 8 + length + 32)?;
    let (head, tag) = bytes.split_last_chunk::<32>()?;
    let (until, body) = head.get(1..)?.split_first_chunk::<8>()?;
    // `blake3::Hash` compares in constant time.
    let is_ours = blake3::keyed_hash(key, head) == blake3::Hash::from_bytes(*tag) && head[0] == kind;
    let until = Timestamp::from_second(i64::from_be_bytes(*until)).ok()?;
    is_ours.then(|| (until, body.to_vec()))
}

/// Whether a secret is the one this key makes for a reference; takes as long when it is not.
fn opens_with(key: &[u8; 32], reference: &Reference, secret: &str) -> bool {
    let given = secret_encoding().decode(secret.to_ascii_lowercase().as_bytes()).unwrap_or_default();
    let mut padded = [0; 32];
    let well_formed = given.len() == SECRET;
    if well_formed {
        padded[..SECRET].copy_from_slice(&given);
    }
    let mut expected = [0; 32];
    expected[..SECRET].copy_from_slice(&address_tag(key, reference));
    (blake3::Hash::from_bytes(expected) == blake3::Hash::from_bytes(padded)) & well_formed
}

impl Keys {
    fn sign(&self, form_id: &str, now: Timestamp, nonce: [u8; 16]) -> String {
        let mut bytes = Vec::with_capacity(TOKEN);
        bytes.push(VERSION);
        bytes.extend(now.as_second().to_be_bytes());
        bytes.extend(nonce);
        let tag = self.tag(form_id, &bytes);
        bytes.extend(tag.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    fn tag(&self, form_id: &str, head: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.token);
        hasher.update(head).update(form_id.as_bytes());
        hasher.finalize()
    }

    fn from_text(bytes: &[u8]) -> Option<Keys> {
        let master = data_encoding::HEXLOWER_PERMISSIVE.decode(bytes.trim_ascii()).ok()?;
        let master: [u8; 32] = master.try_into().ok()?;
        Some(Keys::from_master(&master))
    }
}

fn address_tag(key: &[u8; 32], reference: &Reference) -> [u8; SECRET] {
    let hash = blake3::keyed_hash(key, reference.as_str().as_bytes());
    let mut tag = [0; SECRET];
    tag.copy_from_slice(&hash.as_bytes()[..SECRET]);
    tag
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(…)")
    }
}

/// Writes the key whole or not at all, and never over another one.
fn write_new(path: &Path, master: &[u8; 32]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let draft = dir.join(format!("{KEY_FILE}.{}", data_encoding::HEXLOWER.encode(&random)));
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
    let written = file
        .write_all(data_encoding::HEXLOWER.encode(master).as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    fs::remove_file(&draft)?;
    written?;
    fs::File::open(dir)?.sync_all()
}

fn secret_encoding() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    // The alphabet is a constant of 32 distinct ASCII letters: it is always a valid base.
    specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
}

/// The key file inside the guichet's folder, when it is not kept elsewhere.
pub const KEY_FILE: &str = "cle";
const VERSION: u8 = 1;
const HEAD: usize = 1 + 8 + 16;
const TOKEN: usize = HEAD + 32;
const SECRET: usize = 16;
/// A reference with its hyphens.
const REFERENCE: usize = 16;
/// The id of a file, and the reference of its request.
const PIECE: usize = 16 + REFERENCE;
/// Source: WCAG 2.2, 2.2.1 — far more than a person needs, and the answers are kept beyond.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(12);
/// How far ahead a clock that issued a token may have been.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(2);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    const FORM: &str = "saisir-la-mairie";
    const MIN: SignedDuration = SignedDuration::from_secs(3);

    fn keys() -> Keys {
        Keys::from_master(&[7; 32])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_token_lives_twelve_hours() {
        let token = keys().sign(FORM, at(0), [5; 16]);
        let check = |second| keys().check(&token, FORM, at(second), MIN);
        assert_eq!(token.len(), 76);
        assert_eq!(check(0), TokenCheck::Hasty { nonce: [5; 16] });
        assert_eq!(check(3), TokenCheck::Fresh { nonce: [5; 16] });
        assert_eq!(check(12 * 3600), TokenCheck::Fresh { nonce: [5; 16] });
        assert_eq!(check(12 * 3600 + 1), TokenCheck::Expired { nonce: [5; 16] });
        assert_eq!(check(-100), TokenCheck::Hasty { nonce: [5; 16] });
        assert_eq!(check(-121), TokenCheck::Expired { nonce: [5; 16] });
    }

    #[test]
    fn a_token_serves_one_form_of_one_guichet() {
        let token = keys().token(FORM, at(0)).unwrap();
        assert_eq!(keys().check(&token, "salle-des-fetes", at(10), MIN), TokenCheck::Forged);
        assert_eq!(Keys::from_master(&[8; 32]).check(&token, FORM, at(10), MIN), TokenCheck::Forged);
        assert_ne!(token, keys().token(FORM, at(0)).unwrap(), "each has its own nonce");
    }

    #[test]
    fn the_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        assert!(matches!(Keys::read(&path), Err(KeyError::Absent { .. })));
        let first = Keys::read_or_make(&path).unwrap();
        let again = Keys::read_or_make(&path).unwrap();
        let reference = Reference::new(2026, [1; 5]);
        assert!(again.opens(&reference, &first.secret(&reference)));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays behind");
        assert!(!format!("{first:?}").contains("token"));
        fs::write(&path, "short").unwrap();
        assert!(matches!(Keys::read_or_make(&path), Err(KeyError::Malformed { .. })));
    }

    #[test]
    fn processes_that_start_together_share_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let reference = Reference::new(2026, [1; 5]);
        let secrets: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| Keys::read_or_make(&dir.path().join(KEY_FILE)).unwrap().secret(&reference)))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(secrets.len(), 1);
    }

    #[test]
    fn a_receipt_opens_with_its_secret_only() {
        let (mine, other) = (Reference::new(2026, [1; 5]), Reference::new(2026, [2; 5]));
        let secret = keys().secret(&mine);
        assert_eq!(secret.len(), 26);
        assert!(keys().opens(&mine, &secret));
        assert!(keys().opens(&mine, &secret.to_uppercase()));
        assert!(!keys().opens(&other, &secret));
        assert!(!keys().opens(&mine, ""));
        assert!(!keys().opens(&mine, &secret[1..]));
        assert!(!Keys::from_master(&[8; 32]).opens(&mine, &secret));
    }

    #[test]
    fn the_follow_up_page_has_a_secret_of_its_own() {
        let mine = Reference::new(2026, [1; 5]);
        assert_ne!(keys().follow_secret(&mine), keys().secret(&mine));
        assert!(keys().opens_follow(&mine, &keys().follow_secret(&mine)));
        assert!(!keys().opens_follow(&mine, &keys().secret(&mine)));
        assert!(!keys().opens(&mine, &keys().follow_secret(&mine)));
        assert!(!keys().opens_follow(&Reference::new(2026, [2; 5]), &keys().follow_secret(&mine)));
    }

    #[test]
    fn the_mairie_acts_on_one_request_for_a_time() {
        let mine = Reference::new(2026, [1; 5]);
        let token = keys().act_token(&mine, at(100));
        assert_eq!(keys().check_act(&token, at(100)), ActCheck::Opens(mine.clone()));
        assert_eq!(keys().check_act(&token, at(101)), ActCheck::Expired(mine));
        assert_eq!(Keys::from_master(&[8; 32]).check_act(&token, at(0)), ActCheck::Forged);
        assert_eq!(keys().check_act(&keys().sign(FORM, at(0), [5; 16]), at(0)), ActCheck::Forged);
        let mut later = BASE64URL_NOPAD.decode(token.as_bytes()).unwrap();
        later[8] += 1;
        assert_eq!(keys().check_act(&BASE64URL_NOPAD.encode(&later), at(0)), ActCheck::Forged);
    }

    #[test]
    fn a_page_of_the_mairie_opens_for_its_errand_and_its_time() {
        let keys = keys();
        let token = keys.errand_token(Errand::Mailbox, &[7; 16], at(1000));
        assert_eq!(keys.check_errand(Errand::Mailbox, &token, at(1000)), ErrandCheck::Opens([7; 16]));
        assert_eq!(keys.check_errand(Errand::Mailbox, &token, at(1001)), ErrandCheck::Expired);
        assert_eq!(keys.check_errand(Errand::Quarantine, &token, at(1000)), ErrandCheck::Forged);
        assert_eq!(Keys::from_master(&[1; 32]).check_errand(Errand::Mailbox, &token, at(1000)), ErrandCheck::Forged);
        assert_eq!(keys.check_errand(Errand::Mailbox, &token[1..], at(1000)), ErrandCheck::Forged);
    }

    #[test]
    fn a_code_has_six_digits_and_is_of_one_mailbox_and_one_instant() {
        let keys = keys();
        let code = keys.mailbox_code(&[7; 16], at(5));
        assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        assert!(keys.is_mailbox_code(&[7; 16], at(5), &format!("{} {}", &code[..3], &code[3..])));
        for (tag, issued) in [([8; 16], at(5)), ([7; 16], at(6))] {
            assert!(!keys.is_mailbox_code(&tag, issued, &code));
        }
        assert!(!keys.is_mailbox_code(&[7; 16], at(5), ""));
    }

    proptest! {
        #[test]
        fn any_changed_character_is_forged(at_char in 0usize..76, by in 1usize..64) {
            let token = keys().sign(FORM, at(0), [5; 16]);
            const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let mut bytes = token.into_bytes();
            let place = ALPHABET.iter().position(|letter| *letter == bytes[at_char]).unwrap();
            bytes[at_char] = ALPHABET[(place + by) % 64];
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(keys().check(&changed, FORM, at(10), MIN), TokenCheck::Forged);
        }

        #[test]
        fn nothing_that_is_sent_panics(text in ".*", reference: [u8; 5]) {
            prop_assert_eq!(keys().check(&text, FORM, at(10), MIN), TokenCheck::Forged);
            prop_assert!(!keys().opens(&Reference::new(2026, reference), &text));
            prop_assert_eq!(keys().check_act(&text, at(10)), ActCheck::Forged);
        }
    }

    #[test]
    fn a_link_of_the_counter_opens_until_its_day_and_only_here() {
        let now: Timestamp = "2026-11-26T09:00:00Z".parse().unwrap();
        let until = now + SignedDuration::from_hours(24);
        let (keys, other) = (Keys::from_master(&[1; 32]), Keys::from_master(&[2; 32]));
        let token = keys.counter_token(until);
        assert_eq!(token.len(), 55);
        assert_eq!(keys.check_counter(&token, now), CounterCheck::Opens);
        assert_eq!(keys.check_counter(&token, until + SignedDuration::from_secs(1)), CounterCheck::Expired);
        assert_eq!(other.check_counter(&token, now), CounterCheck::Forged);
        let later = keys.counter_token(until + SignedDuration::from_hours(1));
        let forged = format!("{}{}", &later[..12], &token[12..]);
        assert_eq!(keys.check_counter(&forged, now), CounterCheck::Forged);
        assert_eq!(keys.check_counter("", now), CounterCheck::Forged);
    }
}
