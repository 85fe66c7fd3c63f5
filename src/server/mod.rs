//! HTTP, nothing but HTTP: connections, the guichet's routes, the live preview, the production server.

pub mod acme;
pub mod agent;
mod agir;
mod answer;
mod asking;
pub mod base;
mod boite;
mod conditions;
pub mod config;
pub mod desk;
mod duties;
mod file_words;
mod folder;
mod forms;
pub mod front;
mod guard;
pub mod guichet;
mod hall;
pub mod headers;
mod held;
mod host;
pub mod https_config;
mod letterbox;
pub mod listen;
mod measures;
mod observe;
mod office;
mod opening;
pub mod overview;
mod piece;
pub mod preview;
mod progress;
pub mod proxy;
mod quarantaine;
pub mod rate;
pub mod receive;
mod recu;
mod refusal;
mod routes;
mod seats;
mod shelf;
pub mod site;
mod suivi;
pub mod tls;
mod watch;
mod workshop;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tower::ServiceExt;

use crate::diagnostic::Diagnostic;
use crate::intake::files::FileError;
use crate::intake::mailer::MailerError;
use crate::intake::store::StoreError;

pub use self::listen::ListenError;
use self::office::Office;
pub use self::workshop::{BuildReport, DIAGNOSTICS_URL};

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened to.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The folder of the commune cannot be served: errors stand in it.
    #[error("the folder of the commune has errors")]
    Content(Vec<Diagnostic>),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file store cannot be opened.
    #[error(transparent)]
    Files(#[from] FileError),
    /// Mails could not be sent.
    #[error(transparent)]
    Mailer(#[from] MailerError),
    /// The guichet of a commune cannot be opened.
    #[error(transparent)]
    Closed(std::sync::Arc<StartError>),
    /// The folder cannot be watched.
    #[error("{} cannot be watched: {reason}", folder.display())]
    Watch {
        /// The commune's folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate cannot be used.
    #[error("{}: {source}", path.display())]
    Certificate {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: self::tls::CertificateError,
    },
    /// TLS cannot be spoken at all.
    #[error("TLS: {0}")]
    Tls(String),
    /// A folder or a thread cannot be made.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was to be made.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StartError {
    /// Whether another process, or an earlier use that has not ended yet, holds the database.
    fn is_locked(&self) -> bool {
        let (StartError::Store(error) | StartError::Files(FileError::Store(error))) = self else { return false };
        matches!(error, StoreError::Locked { .. })
    }
}

/// What a router answers.
async fn answer_of(router: Router, request: Request) -> Response {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Sends each request to the router of its prefix, or to `rest`; each keeps its own headers and its own « not found ».
fn by_prefix(branches: Vec<(&'static str, Router)>, rest: Router) -> Router {
    let branches = Arc::new(branches);
    Router::new().fallback(move |request: Request| {
        let path = request.uri().path();
        let branch = branches.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or(&rest, |(_, router)| router);
        answer_of(branch.clone(), request)
    })
}
