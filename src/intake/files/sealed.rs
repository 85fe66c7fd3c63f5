//! Files as they lie on the disk: a head, then pieces sealed one after the other; memory holds one piece.
//!
//! ```text
//! "MULOT" 00 01 0a   nonce (19)   piece (16384 + 16)*   last piece (1 to 16384, + 16)
//! ```

use std::io::{self, Read, Write};

use crate::intake::seal::{FILE_NONCE, FileCloser, FileOpener, Seal};

/// Seals what is written to it.
pub(super) struct SealedWriter<W> {
    closer: FileCloser,
    id: String,
    piece: Vec<u8>,
    out: W,
}

impl<W: Write> SealedWriter<W> {
    /// Begins the sealed file of this id.
    pub(super) fn new(seal: &Seal, id: &str, mut out: W) -> io::Result<SealedWriter<W>> {
        let mut nonce = [0; FILE_NONCE];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        out.write_all(MAGIC)?;
        out.write_all(&nonce)?;
        let piece = Vec::with_capacity(PIECE + TAG);
        Ok(SealedWriter { closer: seal.file_closer(id, nonce), id: id.to_owned(), piece, out })
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // A full piece waits until more comes: the last one is sealed as the last.
            if self.piece.len() == PIECE {
                self.closer.encrypt_next_in_place(self.id.as_bytes(), &mut self.piece).map_err(io::Error::other)?;
                self.out.write_all(&self.piece)?;
                self.piece.clear();
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Ends the file and gives back what it was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.closer.encrypt_last_in_place(self.id.as_bytes(), &mut self.piece).map_err(io::Error::other)?;
        self.out.write_all(&self.piece)?;
        Ok(self.out)
    }
}

impl<W> std::fmt::Debug for SealedWriter<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealedWriter(…)")
    }
}

/// Why a sealed file cannot be read to its end.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// Not sealed by us for this id, changed, cut or lengthened.
    Broken,
    /// The disk refuses.
    Io(io::Error),
}

impl From<io::Error> for ReadFault {
    fn from(error: io::Error) -> Self {
        ReadFault::Io(error)
    }
}

/// Opens a sealed file piece after piece, in order; what was given before a fault must be thrown away.
pub(super) struct SealedReader<R> {
    source: R,
    id: String,
    /// `None` once the last piece was given.
    opener: Option<FileOpener>,
    piece: Vec<u8>,
    ahead: Vec<u8>,
    /// Bytes of the piece already given by [`Read`].
    given: usize,
}

impl<R: Read> SealedReader<R> {
    /// Begins to read the sealed file of this id.
    pub(super) fn new(seal: &Seal, id: &str, mut source: R) -> Result<SealedReader<R>, ReadFault> {
        let mut head = Vec::with_capacity(HEAD);
        source.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        let nonce = head.strip_prefix(MAGIC).and_then(|nonce| nonce.try_into().ok()).ok_or(ReadFault::Broken)?;
        let mut ahead = Vec::with_capacity(PIECE + TAG);
        fill(&mut source, &mut ahead)?;
        let piece = Vec::with_capacity(PIECE + TAG);
        Ok(SealedReader {
            source,
            id: id.to_owned(),
            opener: Some(seal.file_opener(id, nonce)),
            piece,
            ahead,
            given: 0,
        })
    }

    /// The next piece, opened; `None` after the last.
    pub(super) fn next_piece(&mut self) -> Result<Option<&[u8]>, ReadFault> {
        let Some(mut opener) = self.opener.take() else { return Ok(None) };
        std::mem::swap(&mut self.piece, &mut self.ahead);
        fill(&mut self.source, &mut self.ahead)?;
        if self.ahead.is_empty() {
            opener.decrypt_last_in_place(self.id.as_bytes(), &mut self.piece).map_err(|_| ReadFault::Broken)?;
        } else {
            opener.decrypt_next_in_place(self.id.as_bytes(), &mut self.piece).map_err(|_| ReadFault::Broken)?;
            self.opener = Some(opener);
        }
        Ok(Some(&self.piece))
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() {
            self.given = 0;
            match self.next_piece() {
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.piece.clear();
                    return Ok(0);
                }
                Err(ReadFault::Broken) => return Err(io::ErrorKind::InvalidData.into()),
                Err(ReadFault::Io(error)) => return Err(error),
            }
        }
        let length = buffer.len().min(self.piece.len() - self.given);
        buffer[..length].copy_from_slice(&self.piece[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}

impl<R> std::fmt::Debug for SealedReader<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealedReader(…)")
    }
}

fn fill(source: &mut impl Read, piece: &mut Vec<u8>) -> io::Result<()> {
    piece.clear();
    source.take((PIECE + TAG) as u64).read_to_end(piece).map(|_| ())
}

/// Whether bytes begin like a sealed file; no format a resident may send does.
pub(super) fn is_sealed(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Bytes on the disk of a file of `size` bytes.
pub(super) fn sealed_size(size: u64) -> u64 {
    let pieces = size.div_ceil(PIECE as u64).max(1);
    size.saturating_add(HEAD as u64).saturating_add(pieces.saturating_mul(TAG as u64))
}

const MAGIC: &[u8] = b"MULOT\0\x01\n";
const HEAD: usize = MAGIC.len() + FILE_NONCE;
/// Small enough for hundreds of uploads at once, large enough that seals cost a thousandth.
const PIECE: usize = 16 << 10;
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn seal() -> Seal {
        Seal::from_master(&[7; 32])
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut writer = SealedWriter::new(&seal(), ID, Vec::new()).unwrap();
        plain.chunks(1000).for_each(|chunk| writer.write(chunk).unwrap());
        writer.finish().unwrap()
    }

    fn opened(id: &str, bytes: &[u8]) -> Result<Vec<u8>, ReadFault> {
        let mut plain = Vec::new();
        let mut reader = SealedReader::new(&seal(), id, bytes)?;
        while let Some(piece) = reader.next_piece()? {
            plain.extend_from_slice(piece);
        }
        Ok(plain)
    }

    #[test]
    fn every_size_around_a_piece_comes_back_and_is_foretold() {
        for size in [1, 100, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 7] {
            let plain: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let bytes = sealed(&plain);
            assert_eq!(bytes.len() as u64, sealed_size(size as u64), "{size}");
            assert_eq!(opened(ID, &bytes).unwrap(), plain, "{size}");
            assert!(is_sealed(&bytes));
        }
    }

    #[test]
    fn what_is_changed_cut_moved_or_lengthened_is_refused() {
        let bytes = sealed(&vec![b'x'; 3 * PIECE]);
        for at in (0..bytes.len()).step_by(97) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(matches!(opened(ID, &changed), Err(ReadFault::Broken)), "bit of byte {at}");
        }
        for length in [0, 5, HEAD, HEAD + 3, HEAD + PIECE + TAG, HEAD + 2 * (PIECE + TAG), bytes.len() - 1] {
            assert!(opened(ID, &bytes[..length]).is_err(), "cut at {length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(opened(ID, &longer).is_err());
        let mut swapped = bytes.clone();
        let (first, second) = swapped[HEAD..].split_at_mut(PIECE + TAG);
        first.swap_with_slice(&mut second[..PIECE + TAG]);
        assert!(opened(ID, &swapped).is_err());
        assert!(opened(&ID.replace('0', "1"), &bytes).is_err(), "under the name of another file");
    }
}
