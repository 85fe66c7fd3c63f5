//! The files of a request, for the mairie: signed addresses that its mails and its page of actions carry.
//!
//! ```text
//! GET /guichet/piece/{token}   the file, to save; 404 and 410 say why there is none
//! ```
//!
//! Whoever reads the mairie's mailbox may already read the files that fit a mail: the address is worth as much, for one file
//! and a month. Scanners of mailboxes follow links: nothing changes on a GET but a count.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::{Frame, SizeHint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::mpsc;

use super::answer::{later, with};
use super::desk::{Desk, DeskContent};
use super::receive::blocking;
use super::suivi::case;
use crate::intake::files::{FileError, Pieces};
use crate::intake::follow::{self, Case};
use crate::intake::token::PieceCheck;
use crate::model::submission::{AnswerValue, StoredFile};
use crate::text::numbers::file_size;

/// The routes of files.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new().route("/guichet/piece/{token}", get(piece))
}

/// Name, words and address of each file of a request: those of the answers, then those added later.
pub(super) fn links(desk: &Desk, content: &DeskContent, case: &Case) -> Vec<(String, String, String)> {
    let (links, now) = (desk.links(content), (desk.clock)());
    let link = |file: &StoredFile| {
        let cautions: String = file.cautions.iter().map(|caution| format!(", {}", caution.words())).collect();
        let path = links.piece_path(&case.kept.reference, &file.id, now)?;
        Some((file.name.clone(), format!("{}{cautions}", file_size(file.size)), path))
    };
    files(case).filter_map(link).collect()
}

/// Every file of a request.
fn files(case: &Case) -> impl Iterator<Item = &StoredFile> {
    let answered = case.kept.answers.iter().filter_map(|answer| match &answer.value {
        AnswerValue::Files(files) => Some(files.as_slice()),
        _ => None,
    });
    answered.chain(case.kept.acts.iter().map(follow::files)).flatten()
}

async fn piece(State(desk): State<Arc<Desk>>, Path(token): Path<String>, method: Method) -> Response {
    let content = desk.content();
    let (reference, id) = match desk.keys.check_piece(&token, (desk.clock)()) {
        PieceCheck::Opens(reference, id) => (reference, id),
        PieceCheck::Expired(_) => return gone(&content, "piece_expired", EXPIRED),
        PieceCheck::Forged => return unknown(&content),
    };
    let case = match case(&desk, &content, &reference).await {
        Ok(case) => case,
        Err(page) => return page,
    };
    let Some(file) = files(&case).find(|file| file.id == id).cloned() else { return unknown(&content) };
    let (store, wanted) = (desk.depot.files.clone(), file.clone());
    if method == Method::HEAD {
        return sent(&file, Body::empty());
    }
    match blocking(move || store.give(&wanted)).await {
        Ok(pieces) => {
            tracing::info!(event = "piece.read", "a file was given to the mairie");
            sent(&file, Body::new(Given::of(pieces, file.size)))
        }
        Err(error) => {
            tracing::error!(
                event = "piece.unreadable",
                reason = super::receive::trouble(&error),
                "a file cannot be given"
            );
            if error.is_of_bucket() {
                let words = LATER.map(str::to_owned);
                let page =
                    content.message(StatusCode::SERVICE_UNAVAILABLE, "piece_later", "Revenez dans un moment", &words);
                return later(page, std::time::Duration::from_secs(120));
            }
            gone(&content, "piece_lost", LOST)
        }
    }
}

fn gone(content: &DeskContent, outcome: &'static str, words: [&str; 2]) -> Response {
    content.message(StatusCode::GONE, outcome, "Fichier indisponible", &words.map(str::to_owned))
}

fn unknown(content: &DeskContent) -> Response {
    let words = [
        "Ce lien n'est pas complet, ou n'est pas de ce guichet.".to_owned(),
        "Ouvrez de nouveau le message de la demande, et copiez le lien en entier.".to_owned(),
    ];
    content.message(StatusCode::NOT_FOUND, "piece_forged", "Lien inconnu", &words)
}

const EXPIRED: [&str; 2] = [
    "Ce lien a plus de trente jours : il n'est plus valable.",
    "Le lien « Prendre en charge… » du même message, ou celui du bulletin du matin, ouvre la page de la demande : elle donne un lien neuf, tant que la demande est gardée.",
];
const LATER: [&str; 2] = [
    "Ce fichier est gardé sur une autre machine, qui ne répond pas en ce moment. Rien n'est perdu.",
    "Revenez dans quelques minutes ; si cela dure, prévenez la personne qui tient le guichet.",
];
const LOST: [&str; 2] = [
    "Ce fichier ne peut pas être relu sur la machine du guichet.",
    "Prévenez la personne qui la tient (commande : mulot demandes), et demandez le fichier à l'usager.",
];

/// An answer that no browser shows nor runs, and nobody keeps on the way.
fn sent(file: &StoredFile, body: Body) -> Response {
    let mut headers = HeaderMap::new();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &file.media_type);
    set(header::CONTENT_LENGTH, &file.size.to_string());
    set(header::CONTENT_DISPOSITION, &disposition(&file.name));
    set(header::CACHE_CONTROL, "no-store");
    set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::HeaderName::from_static("x-robots-tag"), "noindex, nofollow");
    with("piece", (StatusCode::OK, headers, body).into_response())
}

/// The name in ASCII for old programs, then whole (RFC 6266, RFC 8187).
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " ._-()".contains(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ATTRIBUTE))
}

/// All that RFC 8187 does not let stand in a value.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A body that gives a file as fast as it is read, holding two pieces; no thread waits for a slow reader.
struct Given {
    pieces: mpsc::Receiver<Result<Bytes, FileError>>,
    left: u64,
}

impl Given {
    fn of(mut pieces: Pieces, size: u64) -> Given {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let read = blocking(move || {
                    let bytes = pieces.next_bytes()?;
                    Ok((pieces, bytes))
                })
                .await;
                let (sent, more) = match read {
                    Ok((back, Some(bytes))) => (Ok(bytes.into()), Some(back)),
                    Ok((_, None)) => return,
                    Err(error) => {
                        let reason = super::receive::trouble(&error);
                        tracing::error!(event = "piece.cut", reason, "a file was cut short");
                        (Err(error), None)
                    }
                };
                let (true, Some(back)) = (sender.send(sent).await.is_ok(), more) else { return };
                pieces = back;
            }
        });
        Given { pieces: receiver, left: size }
    }
}

impl HttpBody for Given {
    type Data = Bytes;
    type Error = FileError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FileError>>> {
        self.pieces.poll_recv(context).map(|received| {
            received.map(|bytes| {
                bytes.map(|bytes| {
                    self.left = self.left.saturating_sub(bytes.len() as u64);
                    Frame::data(bytes)
                })
            })
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_given_twice() {
        assert_eq!(
            disposition("Été – plan (2).pdf"),
            "attachment; filename=\"_t_ _ plan (2).pdf\"; filename*=UTF-8''%C3%89t%C3%A9%20%E2%80%93%20plan%20%282%29.pdf"
        );
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_header(name in "\\PC{0,80}") {
            let line = disposition(&name);
            prop_assert!(HeaderValue::from_str(&line).is_ok());
            prop_assert_eq!(line.matches('"').count(), 2);
            let encoded = line.rsplit("''").next().unwrap();
            prop_assert_eq!(percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap(), name);
        }
    }
}
