//! A file on its way in: streamed and sealed to a draft, then judged by its content, and described last.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::content::{Content, HEAD, eicar};
use super::scanner::Verdict;
use super::sealed::{SealedReader, SealedWriter};
use super::unwanted::Unwanted;
use super::{FileError, FileStore, failed, free_bytes, from_store, name, office, pdf, picture};
use crate::model::form::FileFormat;
use crate::model::submission::{Caution, StoredFile};

/// What an upload may be.
#[derive(Debug, Clone)]
pub struct UploadLimits {
    /// Bytes, at most.
    pub max_bytes: u64,
    /// Formats the question accepts.
    pub formats: Vec<FileFormat>,
}

/// A file on its way in; dropped before [`Upload::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    store: FileStore,
    id: String,
    path: PathBuf,
    /// `None` once closed.
    out: Option<SealedWriter<File>>,
    raw_name: String,
    limits: UploadLimits,
    longest: u32,
    hasher: blake3::Hasher,
    head: Vec<u8>,
    size: u64,
    cautions: Vec<Caution>,
    is_finished: bool,
}

impl FileStore {
    /// Begins an upload under an id that cannot be guessed.
    ///
    /// # Errors
    /// [`FileError::Full`] when space is short, [`FileError::Quota`] when too much is kept, [`FileError::Io`] when the draft
    /// cannot be made.
    pub fn begin(&self, raw_name: &str, limits: UploadLimits) -> Result<Upload, FileError> {
        if free_bytes(&self.folders.dir).map_err(from_store)? < self.folders.min_free_bytes {
            return Err(FileError::Full { path: self.folders.dir.clone() });
        }
        self.folders.room.begin()?;
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| failed(&self.folders.shelves.folder.drafts, io::Error::other(error)))?;
        let id = data_encoding::HEXLOWER.encode(&random);
        let path = self.folders.shelves.folder.draft_path(&id);
        let out = self.sealed(&id, &path)?;
        self.folders.room.opened();
        Ok(Upload {
            store: self.clone(),
            id,
            path,
            out: Some(out),
            raw_name: raw_name.to_owned(),
            limits,
            longest: LONGEST_DOCUMENT,
            hasher: blake3::Hasher::new(),
            head: Vec::new(),
            size: 0,
            cautions: Vec::new(),
            is_finished: false,
        })
    }

    /// Ends an upload as [`Upload::finish`] does, letting few be looked into at the same time, and asks the antivirus.
    ///
    /// What the antivirus cannot say is no reason to refuse: the file is taken, with [`Caution::Unscanned`].
    ///
    /// # Errors
    /// As [`Upload::finish`]; [`Unwanted::Virus`] when the antivirus finds something.
    pub async fn settle(&self, mut upload: Upload) -> Result<StoredFile, FileError> {
        let (upload, cost) = waiting(move || {
            let cost = upload.close()?;
            Ok((upload, cost))
        })
        .await?;
        let gate = self.folders.room.enter(cost).await;
        let mut upload = upload;
        let (upload, mut file) = waiting(move || {
            let file = upload.judge()?;
            Ok((upload, file))
        })
        .await?;
        drop(gate);
        if let Some(scanner) = &self.folders.scanner {
            let path = upload.path.clone();
            let (folders, id) = (self.folders.clone(), upload.id.clone());
            let open = move || {
                let opened = File::open(&path)?;
                SealedReader::new(&folders.seal, &id, opened).map_err(|_| io::ErrorKind::InvalidData.into())
            };
            match scanner.scan(open).await {
                Verdict::Clean => {}
                Verdict::Infected => return Err(upload.refused(Unwanted::Virus)),
                Verdict::Unknown(reason) => {
                    tracing::warn!(event = "files.unscanned", reason, "the antivirus could not look at a file");
                    self.folders.room.unscanned();
                    file.cautions.push(Caution::Unscanned);
                }
            }
        }
        waiting(move || upload.describe(file)).await
    }

    /// A sealed file to write to, private, in the place of what was there.
    fn sealed(&self, id: &str, path: &Path) -> Result<SealedWriter<File>, FileError> {
        let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
        let file = opened.map_err(|error| failed(path, error))?;
        SealedWriter::new(&self.folders.seal, id, file).map_err(|error| failed(path, error))
    }
}

/// Runs work that may wait for the disk.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(FileError::Io { path: PathBuf::new(), source: io::ErrorKind::Interrupted.into() }))
}

impl Upload {
    /// For a question that asks for a photograph: a picture sent elsewhere may be a document, which stays finer.
    #[must_use]
    pub fn as_photo(mut self) -> Upload {
        self.longest = LONGEST_PHOTO;
        self
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`FileError::TooLarge`] as soon as the limit is passed, [`FileError::Unwanted`] as soon as the first bytes show a
    /// format that is not accepted, [`FileError::Quota`], [`FileError::Full`] or [`FileError::Io`].
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), FileError> {
        let size = self.size.saturating_add(chunk.len() as u64);
        if size > self.limits.max_bytes {
            return Err(FileError::TooLarge { max_bytes: self.limits.max_bytes });
        }
        if self.head.len() < HEAD {
            let missing = (HEAD - self.head.len()).min(chunk.len());
            self.head.extend_from_slice(&chunk[..missing]);
            if self.head.len() == HEAD {
                self.content()?;
            }
        }
        self.store.folders.room.grow(self.size, size)?;
        self.size = size;
        self.hasher.update(chunk);
        let out = self.out.as_mut().ok_or_else(|| failed(&self.path, io::ErrorKind::BrokenPipe.into()))?;
        out.write(chunk).map_err(|error| failed(&self.path, error))
    }

    /// Ends the upload: the file is judged, synced and can be found again by its id. The antivirus is not asked.
    ///
    /// # Errors
    /// [`FileError::Empty`], [`FileError::Unwanted`], [`FileError::TooLarge`], [`FileError::Full`] or [`FileError::Io`];
    /// nothing then remains.
    pub fn finish(mut self) -> Result<StoredFile, FileError> {
        self.close()?;
        let file = self.judge()?;
        self.describe(file)
    }

    /// Ends the writing; gives the bytes of memory that judging will take.
    fn close(&mut self) -> Result<u64, FileError> {
        if self.size == 0 {
            return Err(FileError::Empty);
        }
        let content = self.content()?;
        let out = self.out.take().ok_or_else(|| failed(&self.path, io::ErrorKind::BrokenPipe.into()))?;
        out.finish().map_err(|error| failed(&self.path, error))?;
        let pixels = match content {
            Content::Jpeg | Content::Png | Content::Webp | Content::Heic => {
                let found = picture::cost(content, self.reader()?);
                found.map_err(|unwanted| self.refused(unwanted))?
            }
            _ => 0,
        };
        Ok(self.size.saturating_add(pixels))
    }

    /// Looks into the content, and puts a picture made again in the place of what was sent.
    fn judge(&mut self) -> Result<StoredFile, FileError> {
        let content = self.content()?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        io::Read::read_to_end(&mut self.reader()?, &mut bytes).map_err(|error| failed(&self.path, error))?;
        let judged = match content {
            Content::Pdf => pdf::judge(&bytes).map(|cautions| {
                self.cautions = cautions;
                (FileFormat::Pdf, None)
            }),
            Content::Zip => office::judge(&bytes).map(|format| (format, None)),
            _ if memchr::memmem::find(&bytes, &eicar()).is_some() => Err(Unwanted::Virus),
            content => {
                let wanted = picture::Wanted {
                    longest: self.longest,
                    formats: &self.limits.formats,
                    max_bytes: self.limits.max_bytes,
                };
                picture::remade(content, bytes, &wanted).map(|(format, made)| (format, Some(made)))
            }
        };
        let (format, made) = judged.map_err(|unwanted| self.refused(unwanted))?;
        if !self.limits.formats.contains(&format) {
            return Err(self.refused(Unwanted::Format(content)));
        }
        let mut hash = self.hasher.finalize();
        if let Some(made) = made {
            hash = blake3::hash(&made);
            self.replace(&made)?;
        }
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.map_err(|error| failed(&self.path, error))?;
        Ok(StoredFile {
            id: self.id.clone(),
            name: name::safe_name(&self.raw_name, format),
            media_type: format.media_type().to_owned(),
            size: self.size,
            hash: hash.to_hex().to_string(),
            cautions: std::mem::take(&mut self.cautions),
        })
    }

    /// Puts other bytes in the place of what was sent, sealed as well.
    fn replace(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let beside = self.path.with_extension("neuf");
        let written = self.store.sealed(&self.id, &beside).and_then(|mut out| {
            let done = out.write(bytes).and_then(|()| out.finish()).and_then(|file| file.sync_all());
            done.and_then(|()| fs::rename(&beside, &self.path)).map_err(|error| failed(&beside, error))
        });
        if written.is_err() {
            // What cannot be removed now is swept later.
            let _ = fs::remove_file(&beside);
        }
        written?;
        self.store.folders.room.shrink(self.size, bytes.len() as u64);
        self.size = bytes.len() as u64;
        Ok(())
    }

    /// Writes the description, by which the draft is found.
    fn describe(mut self, file: StoredFile) -> Result<StoredFile, FileError> {
        self.store.folders.describe(&file)?;
        self.is_finished = true;
        self.store.folders.room.taken();
        Ok(file)
    }

    fn reader(&self) -> Result<impl io::Read + use<>, FileError> {
        let opened = File::open(&self.path).map_err(|error| failed(&self.path, error))?;
        let reader = SealedReader::new(&self.store.folders.seal, &self.id, opened);
        reader.map_err(|_| FileError::Damaged { id: self.id.clone() })
    }

    fn content(&self) -> Result<Content, FileError> {
        match Content::of(&self.head) {
            content if content.may_be(&self.limits.formats) => Ok(content),
            Content::Eicar => Err(self.refused(Unwanted::Virus)),
            content => Err(self.refused(Unwanted::Format(content))),
        }
    }

    /// Counts a refusal.
    fn refused(&self, unwanted: Unwanted) -> FileError {
        self.store.folders.room.refused(unwanted);
        FileError::Unwanted(unwanted)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.store.folders.room.closed();
        if !self.is_finished {
            self.store.folders.room.dropped(self.size);
            // What cannot be removed now is swept later.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Pixels of the longer side of a photograph: a whole screen, and more than a mail program shows.
const LONGEST_PHOTO: u32 = 2_560;
/// Of a picture that may be a document: a page of A4 at 300 dots an inch is 3,508 long.
const LONGEST_DOCUMENT: u32 = 3_508;
