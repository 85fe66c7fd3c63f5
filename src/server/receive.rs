//! Reads what a form sent: texts in memory, files straight to disk, every count and size bounded.
//!
//! A mistake of the resident never stops the reading: the rest of the form is kept, so that nothing is typed twice. Only
//! what no page of ours can send is refused outright.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::multipart::{Field as Part, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use hyper::body::Frame;

use super::file_words;
use super::listen::BodyError;
use crate::intake::files::{FileError, FileStore, Unwanted, Upload, UploadLimits};
use crate::intake::links::MAIL_BUDGET;
use crate::model::form::own::{DROPPED_FILE, KEPT_FILE};
use crate::model::form::{FieldKind, Form};
use crate::model::submission::{FieldError, RawAnswers, StoredFile};
use crate::text::numbers::file_size;

/// How much a form may send.
#[derive(Debug, Clone)]
pub struct FormLimits {
    /// Bytes of all files together.
    pub files_bytes: u64,
    /// Bytes of one text.
    pub text_bytes: usize,
    /// Bytes of all texts together, as sent.
    pub texts_bytes: usize,
    /// Inputs of one form.
    pub parts: usize,
    /// Bytes read, and thrown away, so that a browser that sends too much still reads our answer.
    pub drained_bytes: u64,
    /// Bytes of files attached to a mail; the others are reached by links in it.
    pub mail_bytes: u64,
}

impl Default for FormLimits {
    fn default() -> Self {
        FormLimits {
            files_bytes: 15 << 20,
            text_bytes: 64 << 10,
            texts_bytes: 1 << 20,
            parts: 200,
            drained_bytes: 64 << 20,
            mail_bytes: MAIL_BUDGET,
        }
    }
}

impl FormLimits {
    /// Tells the journal of the forms whose page announces more files than these limits take: what is said before sending
    /// must stay true.
    pub(super) fn compare<'f>(&self, forms: impl Iterator<Item = &'f Form>) {
        for form in forms {
            let announced = form.fields.iter().map(|field| match field.kind {
                FieldKind::File { max_count, max_bytes, .. } => u64::from(max_count) * max_bytes,
                _ => 0,
            });
            let announced: u64 = announced.sum();
            if announced > self.files_bytes {
                let (announced, taken) = (announced >> 20, self.files_bytes >> 20);
                tracing::warn!(
                    event = "files.limit",
                    form = form.id,
                    announced,
                    taken,
                    "fichiers_mo is below what a form announces"
                );
            }
        }
    }
}

/// What came with a form.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Answers and files that were taken.
    pub(super) raw: RawAnswers,
    /// Files that were refused, told beside their question.
    pub(super) errors: Vec<FieldError>,
    /// Inputs that are no answer: token, trap.
    pub(super) others: BTreeMap<String, String>,
    /// Why no file could be stored, when the disk is at fault.
    pub(super) storage: Option<FileError>,
    /// Files sent before that cannot be looked up now, by question: they are there, and the page must go on naming them.
    pub(super) unread: Vec<(String, String)>,
    /// Bytes of files read.
    pub(super) files_bytes: u64,
}

/// Why a form is not read at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Neither of the two encodings of HTML forms.
    #[error("not a form")]
    NotAForm,
    /// The encoding is broken.
    #[error("malformed form")]
    Malformed,
    /// More inputs than any form has.
    #[error("too many inputs")]
    TooManyParts,
    /// More bytes than any form sends; what had come before is kept.
    #[error("too many bytes")]
    TooLarge(Box<Received>),
    /// The client was too slow.
    #[error("too slow")]
    TooSlow,
    /// The client left.
    #[error("broken off")]
    BrokenOff,
}

/// Reads the form that `request` carries. `others` names the inputs to keep besides the answers.
pub(super) async fn receive(
    request: Request,
    form: &Form,
    others: &[&str],
    files: &FileStore,
    limits: &FormLimits,
) -> Result<Received, Refusal> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let mut reading = Reading {
        form,
        others,
        files,
        limits,
        parts: 0,
        texts_bytes: 0,
        kept: Kept::default(),
        received: Received::default(),
    };
    match media.as_str() {
        "application/x-www-form-urlencoded" => reading.urlencoded(request).await?,
        "multipart/form-data" => reading.multipart(request).await?,
        _ => return Err(Refusal::NotAForm),
    }
    reading.finish().await
}

/// Files sent before and shown again: ids by question, and those to be taken away.
#[derive(Debug, Default)]
struct Kept {
    ids: Vec<(String, String)>,
    removed: BTreeSet<String>,
}

struct Reading<'a> {
    form: &'a Form,
    others: &'a [&'a str],
    files: &'a FileStore,
    limits: &'a FormLimits,
    parts: usize,
    texts_bytes: usize,
    kept: Kept,
    received: Received,
}

impl Reading<'_> {
    async fn urlencoded(&mut self, request: Request) -> Result<(), Refusal> {
        let bytes = axum::body::to_bytes(request.into_body(), self.limits.texts_bytes).await;
        let bytes = bytes.map_err(|error| match refusal_of(&error) {
            Refusal::Malformed => Refusal::TooLarge(Box::default()),
            other => other,
        })?;
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            self.count()?;
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = bounded(plus_decoded(halves.next().unwrap_or_default()), self.limits.text_bytes);
            let value = plus_decoded(halves.next().unwrap_or_default());
            self.text(&name, bounded(value, self.limits.text_bytes));
        }
        Ok(())
    }

    async fn multipart(&mut self, request: Request) -> Result<(), Refusal> {
        let (parts, body) = request.into_parts();
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.unwrap_or(0) > self.limits.drained_bytes {
            return Err(Refusal::TooLarge(Box::default()));
        }
        let progress = Arc::new(AtomicUsize::new(0));
        let metered =
            Metered { body, progress: progress.clone(), total: 0, most: self.limits.drained_bytes, rest: false };
        let request = Request::from_parts(parts, Body::new(metered));
        let mut multipart = Multipart::from_request(request, &()).await.map_err(|_| Refusal::Malformed)?;
        loop {
            progress.store(0, Ordering::Relaxed);
            let part = match multipart.next_field().await {
                Ok(Some(part)) => part,
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.stopped(&error)),
            };
            self.count()?;
            let mut chunks = Chunks { part, progress: progress.clone() };
            let name = chunks.part.name().unwrap_or_default().to_owned();
            let read = match chunks.part.file_name().map(str::to_owned) {
                Some(file_name) => self.file(&name, &file_name, &mut chunks).await,
                None => self.text_part(&name, &mut chunks).await,
            };
            if let Err(error) = read {
                return Err(self.stopped(&error));
            }
            if self.texts_bytes > self.limits.texts_bytes {
                return Err(Refusal::TooLarge(Box::new(std::mem::take(&mut self.received))));
            }
        }
    }

    async fn text_part(&mut self, name: &str, chunks: &mut Chunks<'_>) -> Result<(), MultipartError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await? {
            let room = (self.limits.text_bytes + 1).saturating_sub(bytes.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        self.texts_bytes += bytes.len();
        self.text(name, bounded(bytes, self.limits.text_bytes));
        Ok(())
    }

    /// Writes a file to the store, or says why not and reads past it.
    async fn file(&mut self, name: &str, file_name: &str, chunks: &mut Chunks<'_>) -> Result<(), MultipartError> {
        let kind = self.form.field(name).map(|field| &field.kind);
        let Some(FieldKind::File { formats, max_count, max_bytes, photo }) = kind else {
            return chunks.skip().await;
        };
        let mut first = chunks.next().await?;
        if file_name.is_empty() && first.as_ref().is_none_or(Bytes::is_empty) {
            // A file input left empty sends a part without name nor bytes.
            return chunks.skip().await;
        }
        if self.received.raw.files.get(name).map_or(0, Vec::len) > usize::from(*max_count).max(1) {
            // One more than allowed is kept, so that the count is told; the others are not even stored.
            return chunks.skip().await;
        }
        if matches!(self.received.storage, Some(FileError::Bucket(_))) {
            // It has just been asked, for as long as a resident can wait.
            return chunks.skip().await;
        }
        let left = self.limits.files_bytes.saturating_sub(self.received.files_bytes);
        let limits = UploadLimits { max_bytes: (*max_bytes).min(left), formats: formats.clone() };
        let before = self.received.files_bytes;
        let mut uploading = Uploading::begin(self.files.clone(), file_name.to_owned(), limits, *photo).await;
        while let Some(chunk) = first.take() {
            self.received.files_bytes += if uploading.is_going() { chunk.len() as u64 } else { 0 };
            uploading.write(&chunk).await;
            first = chunks.next().await?;
        }
        match uploading.finish().await {
            Ok(file) => {
                // A photograph made lighter leaves more room for the next one.
                self.received.files_bytes = before + file.size;
                self.received.raw.files.entry(name.to_owned()).or_default().push(file);
            }
            Err(error) => self.refused(name, file_name, &error, left < *max_bytes),
        }
        Ok(())
    }

    /// Says beside the question why a file was not taken; a disk at fault is told apart.
    fn refused(&mut self, name: &str, file_name: &str, error: &FileError, by_total: bool) {
        let most = by_total.then_some(self.limits.files_bytes);
        let message = file_words::refusal(self.form, (name, file_name), error, most);
        self.received.errors.push(FieldError { input: name.to_owned(), message });
        match error {
            FileError::Unwanted(unwanted) => {
                tracing::info!(event = "files.unwanted", reason = unwanted.as_str(), "a file was not taken");
            }
            FileError::Quota { kept } => {
                let full = if *kept { "kept" } else { "drafts" };
                tracing::warn!(event = "files.quota", full, "files have no more room");
            }
            _ => {}
        }
        if self.received.storage.is_none() && is_disk_at_fault(error) {
            tracing::error!(event = "files.refused", reason = trouble(error), "a file could not be stored");
            self.received.storage = Some(storage_error(error));
        }
    }

    /// Sorts a text by its name; names that no page of ours sends are dropped.
    fn text(&mut self, name: &str, value: String) {
        if self.others.contains(&name) {
            self.received.others.insert(name.to_owned(), value);
        } else if let Some(field) = name.strip_prefix(KEPT_FILE) {
            if matches!(self.form.field(field).map(|field| &field.kind), Some(FieldKind::File { .. })) {
                self.kept.ids.push((field.to_owned(), value));
            }
        } else if let Some(id) = name.strip_prefix(DROPPED_FILE) {
            self.kept.removed.insert(id.to_owned());
        } else if takes_text(self.form, name) {
            self.received.raw.values.entry(name.to_owned()).or_default().push(value);
        }
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.parts += 1;
        if self.parts > self.limits.parts { Err(Refusal::TooManyParts) } else { Ok(()) }
    }

    /// What an error of the encoding means; what had been read is handed over when there was too much.
    fn stopped(&mut self, error: &MultipartError) -> Refusal {
        match refusal_of(error) {
            Refusal::TooLarge(_) => Refusal::TooLarge(Box::new(std::mem::take(&mut self.received))),
            other => other,
        }
    }

    /// Puts the files sent before in front of the new ones; one that has expired is told.
    async fn finish(mut self) -> Result<Received, Refusal> {
        let mut seen = BTreeSet::new();
        let mut before: BTreeMap<String, Vec<StoredFile>> = BTreeMap::new();
        for (field, id) in std::mem::take(&mut self.kept.ids) {
            if self.kept.removed.contains(&id) || !seen.insert(id.clone()) {
                continue;
            }
            let single = self
                .form
                .field(&field)
                .is_some_and(|field| matches!(field.kind, FieldKind::File { max_count, .. } if max_count <= 1));
            if single && self.received.raw.files.contains_key(&field) {
                // A new file takes the place of the one sent before.
                continue;
            }
            if matches!(self.received.storage, Some(FileError::Bucket(_))) {
                // It has just been asked, for as long as a resident can wait.
                self.received.unread.push((field, id));
                continue;
            }
            let (files, asked) = (self.files.clone(), id.clone());
            match blocking(move || files.draft(&asked)).await {
                Ok(Some(file)) => before.entry(field).or_default().push(file),
                Ok(None) | Err(FileError::Damaged { .. }) => self.received.errors.push(FieldError {
                    input: field,
                    message: "Un fichier joint plus tôt n'est plus disponible : joignez-le de nouveau".into(),
                }),
                Err(error) => {
                    tracing::error!(
                        event = "files.unread",
                        reason = trouble(&error),
                        "a file sent before is not found"
                    );
                    self.received.storage = Some(storage_error(&error));
                    self.received.unread.push((field, id));
                }
            }
        }
        for (field, mut files) in before {
            let list = self.received.raw.files.entry(field).or_default();
            files.append(list);
            *list = files;
        }
        self.bound_total();
        Ok(self.received)
    }

    /// Takes the last files away until all together stay within the limit, those sent before included.
    fn bound_total(&mut self) {
        let mut left = self.limits.files_bytes;
        for (field, files) in &mut self.received.raw.files {
            let before = files.len();
            files.retain(|file| {
                let fits = file.size <= left;
                left -= if fits { file.size } else { 0 };
                fits
            });
            if files.len() < before && !self.received.errors.iter().any(|error| error.input == *field) {
                let most = file_size(self.limits.files_bytes);
                let message =
                    format!("Vos fichiers dépassent {most} en tout : réduisez-les, ou apportez-les à la mairie");
                self.received.errors.push(FieldError { input: field.clone(), message });
            }
        }
    }
}

/// Whether an input of that name belongs to a question that is answered in words.
fn takes_text(form: &Form, name: &str) -> bool {
    let address_part = |name: &str| matches!(name.rsplit('.').next(), Some("voie" | "code_postal" | "commune"));
    form.leaf(name).is_some_and(|(field, leaf)| match &leaf.kind {
        FieldKind::File { .. } => false,
        _ if leaf.tells_only() => false,
        FieldKind::Address => name != field.id && address_part(name),
        _ => field.id == name || matches!(field.kind, FieldKind::Block { .. } | FieldKind::Group { .. }),
    })
}

/// Whether the fault is the machine's, not the file's.
pub(super) fn is_disk_at_fault(error: &FileError) -> bool {
    matches!(error, FileError::Full { .. } | FileError::Io { .. } | FileError::Store(_)) || error.is_of_bucket()
}

/// The kind of an error, without path nor name.
pub(super) fn trouble(error: &FileError) -> &'static str {
    match error {
        FileError::Full { .. } => "full",
        FileError::Io { .. } => "io",
        FileError::Store(_) => "store",
        FileError::Missing { .. } => "missing",
        FileError::Damaged { .. } => "damaged",
        FileError::TooLarge { .. } => "too_large",
        FileError::Empty => "empty",
        FileError::Unwanted(Unwanted::Virus) => "virus",
        FileError::Unwanted(_) => "unwanted",
        FileError::Quota { .. } => "quota",
        FileError::Bucket(_) => "bucket",
        FileError::ForeignBucket { .. } => "foreign_bucket",
        FileError::ManyOrphans { .. } => "many_orphans",
    }
}

fn storage_error(error: &FileError) -> FileError {
    match error {
        FileError::Bucket(error) => FileError::Bucket(error.clone()),
        FileError::Full { path } | FileError::Io { path, .. } => FileError::Full { path: path.clone() },
        _ => FileError::Full { path: std::path::PathBuf::new() },
    }
}

/// The parts of a form come from the browser in chunks; each one shows that the encoding makes sense.
struct Chunks<'a> {
    part: Part<'a>,
    progress: Arc<AtomicUsize>,
}

impl Chunks<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, MultipartError> {
        let chunk = self.part.chunk().await?;
        self.progress.store(0, Ordering::Relaxed);
        Ok(chunk)
    }

    async fn skip(&mut self) -> Result<(), MultipartError> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}

/// A file on its way to the store; the disk is only touched from threads that may wait.
struct Uploading {
    files: FileStore,
    state: Result<Upload, FileError>,
    buffer: Vec<u8>,
}

impl Uploading {
    async fn begin(files: FileStore, name: String, limits: UploadLimits, photo: bool) -> Self {
        let store = files.clone();
        let begun = blocking(move || store.begin(&name, limits)).await;
        let state = if photo { begun.map(Upload::as_photo) } else { begun };
        Uploading { files, state, buffer: Vec::new() }
    }

    fn is_going(&self) -> bool {
        self.state.is_ok()
    }

    async fn write(&mut self, chunk: &[u8]) {
        if self.state.is_ok() {
            self.buffer.extend_from_slice(chunk);
            if self.buffer.len() >= BUFFER {
                self.flush().await;
            }
        }
    }

    async fn flush(&mut self) {
        let Ok(mut upload) = std::mem::replace(&mut self.state, Err(FileError::Empty)) else { return };
        let bytes = std::mem::take(&mut self.buffer);
        self.state = blocking(move || {
            upload.write(&bytes)?;
            Ok(upload)
        })
        .await;
    }

    async fn finish(mut self) -> Result<StoredFile, FileError> {
        if self.state.is_ok() && !self.buffer.is_empty() {
            self.flush().await;
        }
        self.files.settle(self.state?).await
    }
}

/// Runs work that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => {
            Err(FileError::Io { path: std::path::PathBuf::new(), source: std::io::ErrorKind::Interrupted.into() })
        }
    }
}

/// A body that lets the reader of parts hold little: it gives one chunk a turn, and stops when too much comes without any
/// part nor content being found in it, or in all.
struct Metered {
    body: Body,
    progress: Arc<AtomicUsize>,
    total: u64,
    most: u64,
    rest: bool,
}

/// Why a [`Metered`] body stopped.
#[derive(Debug, thiserror::Error)]
enum MeterError {
    #[error("more than a form sends")]
    TooLarge,
    #[error("nothing that looks like a form")]
    Shapeless,
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if std::mem::take(&mut self.rest) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        self.rest = true;
        let length = frame.data_ref().map_or(0, Bytes::len);
        self.total += length as u64;
        if self.total > self.most {
            return Poll::Ready(Some(Err(MeterError::TooLarge.into())));
        }
        if self.progress.fetch_add(length, Ordering::Relaxed) > UNSHAPED {
            return Poll::Ready(Some(Err(MeterError::Shapeless.into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

/// Finds what stopped a body below the errors that wrap it.
fn refusal_of(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match (error.downcast_ref::<MeterError>(), error.downcast_ref::<BodyError>()) {
            (Some(MeterError::TooLarge), _) => return Refusal::TooLarge(Box::default()),
            (Some(MeterError::Shapeless), _) => return Refusal::Malformed,
            (_, Some(BodyError::TooSlow)) => return Refusal::TooSlow,
            (_, Some(BodyError::Broken(_))) => return Refusal::BrokenOff,
            _ => cause = error.source(),
        }
    }
    Refusal::Malformed
}

/// `+` is a space in forms.
fn plus_decoded(bytes: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

/// Text of at most `most` bytes; what is cut is far beyond what any question takes, so that validation tells it.
fn bounded(bytes: Vec<u8>, most: usize) -> String {
    let mut text =
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// Bytes gathered before a file is written to: two hundred files come in at once in a few megabytes.
const BUFFER: usize = 32 << 10;
/// Bytes that may come between two parts, their heads included.
const UNSHAPED: usize = 64 << 10;
