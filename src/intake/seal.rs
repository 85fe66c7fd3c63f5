//! Seals what people wrote before it reaches the disk, and opens it again only whole and in its own place; never stores
//! anything.
//!
//! XChaCha20-Poly1305 with random nonces. A value is bound to its column and row, so that one put in the place of another is
//! refused like one that has changed.

use std::fmt;

use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use thiserror::Error;

/// The keys that seal, derived from the secret of one guichet; never printed.
#[derive(Clone)]
pub struct Seal {
    values: XChaCha20Poly1305,
    files: [u8; 32],
    tags: [u8; 32],
    mark: [u8; 16],
}

/// Why a value cannot be sealed or opened.
#[derive(Debug, Clone, Copy, Error)]
pub enum SealError {
    /// Changed since it was sealed, put in another place, or sealed with another key.
    #[error("the seal is broken")]
    Broken,
    /// The system has no randomness to give.
    #[error("no randomness: {0}")]
    Entropy(getrandom::Error),
}

/// Where a value stands: its table and column, and what names its row.
#[derive(Debug, Clone, Copy)]
pub(in crate::intake) struct Place<'a>(pub(in crate::intake) &'a str, pub(in crate::intake) &'a [&'a [u8]]);

impl Place<'_> {
    /// The words of a place, each with its length: no two places read the same.
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        for part in std::iter::once(self.0.as_bytes()).chain(self.1.iter().copied()) {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        bytes
    }
}

impl Seal {
    /// The keys of 32 secret bytes.
    pub fn from_master(master: &[u8; 32]) -> Seal {
        let values = Key::from(blake3::derive_key("mulot guichet: valeurs scellées de la base v1", master));
        let mut mark = [0; 16];
        mark.copy_from_slice(&blake3::derive_key("mulot guichet: marque de la clé v1", master)[..16]);
        Seal {
            values: XChaCha20Poly1305::new(&values),
            files: blake3::derive_key("mulot guichet: fichiers scellés v1", master),
            tags: blake3::derive_key("mulot guichet: empreintes des adresses v1", master),
            mark,
        }
    }

    /// Tells this key from another one, and nothing else of it; kept beside what it seals.
    pub fn mark(&self) -> [u8; 16] {
        self.mark
    }

    /// Seals a value for its place.
    pub(in crate::intake) fn close(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(SealError::Entropy)?;
        let payload = Payload { msg: plain, aad: &place.bytes() };
        let closed = self.values.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Broken)?;
        let mut sealed = Vec::with_capacity(1 + NONCE + closed.len());
        sealed.push(VERSION);
        sealed.extend(nonce);
        sealed.extend(closed);
        Ok(sealed)
    }

    /// Opens a value in its place.
    pub(in crate::intake) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let Some(([VERSION], rest)) = sealed.split_first_chunk() else { return Err(SealError::Broken) };
        let Some((nonce, closed)) = rest.split_first_chunk::<NONCE>() else { return Err(SealError::Broken) };
        let payload = Payload { msg: closed, aad: &place.bytes() };
        self.values.decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::Broken)
    }

    /// What stands for a value where only sameness counts; says nothing of it without the key.
    pub(in crate::intake) fn tag(&self, place: Place<'_>, plain: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.tags);
        hasher.update(&place.bytes()).update(plain);
        let mut tag = [0; 16];
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        tag
    }

    /// Seals the file of this id, piece after piece.
    pub(in crate::intake) fn file_closer(&self, id: &str, nonce: [u8; FILE_NONCE]) -> FileCloser {
        EncryptorBE32::new(&self.file_key(id), &nonce.into())
    }

    /// Opens the file of this id, piece after piece.
    pub(in crate::intake) fn file_opener(&self, id: &str, nonce: [u8; FILE_NONCE]) -> FileOpener {
        DecryptorBE32::new(&self.file_key(id), &nonce.into())
    }

    /// Each file has a key of its own: pieces of one never fit another.
    fn file_key(&self, id: &str) -> Key {
        Key::from(*blake3::keyed_hash(&self.files, id.as_bytes()).as_bytes())
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seal(…)")
    }
}

/// Seals the pieces of a file in their order, the last one as the last.
pub(in crate::intake) type FileCloser = EncryptorBE32<XChaCha20Poly1305>;
/// Opens them; a missing, moved or added piece is refused.
pub(in crate::intake) type FileOpener = DecryptorBE32<XChaCha20Poly1305>;

/// Bytes of randomness before the pieces of a file: a nonce less the number of the piece and the mark of the last.
pub(in crate::intake) const FILE_NONCE: usize = 19;
const NONCE: usize = 24;
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal() -> Seal {
        Seal::from_master(&[7; 32])
    }

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let place = Place("mail.mail", &[b"2026-A", b"b"]);
        let sealed = seal().close(place, b"Lampion").unwrap();
        assert_eq!(seal().open(place, &sealed).unwrap(), b"Lampion");
        for other in [
            Place("answer.answer", &[b"2026-A", b"b"]),
            Place("mail.mail", &[b"2026-B", b"b"]),
            Place("mail.mail", &[b"2026-Ab", b""]),
            Place("mail.mail", &[b"2026-A"]),
        ] {
            assert!(matches!(seal().open(other, &sealed), Err(SealError::Broken)), "{other:?}");
        }
        assert!(Seal::from_master(&[8; 32]).open(place, &sealed).is_err());
        assert_ne!(sealed, seal().close(place, b"Lampion").unwrap(), "the same words never look the same");
    }

    #[test]
    fn a_key_is_told_from_another_and_never_printed() {
        assert_ne!(seal().mark(), Seal::from_master(&[8; 32]).mark());
        assert_eq!(format!("{:?}", seal()), "Seal(…)");
        let place = Place("outbox.recipient", &[b"m"]);
        assert_eq!(seal().tag(place, b"a@ex.fr"), seal().tag(place, b"a@ex.fr"));
        assert_ne!(seal().tag(place, b"a@ex.fr"), seal().tag(Place("outbox.recipient", &[b"n"]), b"a@ex.fr"));
    }

    proptest! {
        #[test]
        fn a_changed_bit_is_refused(plain: Vec<u8>, at: prop::sample::Index, bit in 0u32..8) {
            let place = Place("answer.answer", &[b"2026-A"]);
            let mut sealed = seal().close(place, &plain).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(seal().open(place, &sealed).is_err());
        }

        #[test]
        fn nothing_that_is_read_panics(bytes: Vec<u8>) {
            prop_assert!(seal().open(Place("answer.answer", &[]), &bytes).is_err());
        }
    }
}
