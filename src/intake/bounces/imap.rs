//! The dialogue with the mailbox of reports. The only door to the IMAP library.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_imap::Client;
use futures_util::{StreamExt, TryStreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ImapConfig;
use crate::intake::mailer::Security;

/// Why the mailbox cannot be read. None of it holds what the server said: it may quote addresses.
#[derive(Debug, Error)]
pub enum ImapError {
    /// The server is away.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// The connection cannot be protected as required.
    #[error("the connection to {host} cannot be protected: {reason}")]
    Tls {
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// The name or the password is refused.
    #[error("the mailbox of reports refuses the name or the password")]
    Refused,
    /// The folder does not exist, or may not be read.
    #[error("the folder {folder} cannot be opened")]
    Folder {
        /// Its name.
        folder: String,
    },
    /// The server answers what it should not.
    #[error("the mailbox of reports fails during {phase}")]
    Broken {
        /// What was asked.
        phase: &'static str,
    },
    /// It does not answer in time.
    #[error("the mailbox of reports does not answer in time")]
    Late,
}

/// A folder, opened.
pub(super) struct Session {
    session: async_imap::Session<Stream>,
    validity: Option<u32>,
}

impl Session {
    /// Connects, introduces itself and opens the folder.
    pub(super) async fn open(config: &ImapConfig) -> Result<Session, ImapError> {
        let host = format!("{}:{}", config.host, config.port);
        let connected = TcpStream::connect((config.host.as_str(), config.port)).await;
        let tcp =
            connected.map_err(|error| ImapError::Unreachable { host: host.clone(), reason: error.to_string() })?;
        let greeted = |client: Option<()>| client.ok_or(ImapError::Broken { phase: "greeting" });
        let stream = match config.security {
            Security::Tls => Stream::Tls(Box::new(protect(config, tcp).await?)),
            Security::None => Stream::Plain(tcp),
            Security::StartTls => {
                let mut client = Client::new(Stream::Plain(tcp));
                greeted(client.read_response().await.ok().flatten().map(|_| ()))?;
                let refused = |_| ImapError::Tls { host: host.clone(), reason: "STARTTLS is refused".to_owned() };
                client.run_command_and_check_ok("STARTTLS", None).await.map_err(refused)?;
                match client.into_inner() {
                    Stream::Plain(tcp) => Stream::Tls(Box::new(protect(config, tcp).await?)),
                    protected => protected,
                }
            }
        };
        let mut client = Client::new(stream);
        if config.security != Security::StartTls {
            greeted(client.read_response().await.ok().flatten().map(|_| ()))?;
        }
        let credentials = &config.credentials;
        let logged = client.login(&credentials.user, &credentials.password).await;
        let mut session = logged.map_err(|_| ImapError::Refused)?;
        let selected = session.select(&config.folder).await;
        let folder = selected.map_err(|_| ImapError::Folder { folder: config.folder.clone() })?;
        Ok(Session { validity: folder.uid_validity, session })
    }

    /// What the numbers of its messages are worth: they change meaning when this does.
    pub(super) fn validity(&self) -> Option<u32> {
        self.validity
    }

    /// Reports nobody has read, the oldest first.
    pub(super) async fn unread_reports(&mut self) -> Result<Vec<u32>, ImapError> {
        let query = "UNSEEN UNDELETED HEADER Content-Type \"delivery-status\"";
        let found = self.session.uid_search(query).await.map_err(|_| ImapError::Broken { phase: "search" })?;
        let mut numbers: Vec<u32> = found.into_iter().collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The first bytes of a message, left unread; nothing when it has gone meanwhile.
    pub(super) async fn head_of(&mut self, number: u32, most: u32) -> Result<Vec<u8>, ImapError> {
        let wrong = |_| ImapError::Broken { phase: "fetch" };
        let query = format!("(UID BODY.PEEK[]<0.{most}>)");
        let mut fetched = self.session.uid_fetch(number.to_string(), query).await.map_err(wrong)?;
        let mut bytes = Vec::new();
        while let Some(fetch) = fetched.next().await {
            let fetch = fetch.map_err(wrong)?;
            if fetch.uid == Some(number) {
                bytes = fetch.body().unwrap_or_default().to_vec();
            }
        }
        Ok(bytes)
    }

    /// Marks a message as read, then moves it when there is a folder for that; one that cannot be moved stays.
    pub(super) async fn put_away(&mut self, number: u32, folder: Option<&str>) -> Result<(), ImapError> {
        let wrong = |_| ImapError::Broken { phase: "store" };
        let stored = self.session.uid_store(number.to_string(), "+FLAGS.SILENT (\\Seen)").await.map_err(wrong)?;
        stored.try_for_each(|_| std::future::ready(Ok(()))).await.map_err(wrong)?;
        if let Some(folder) = folder
            && self.session.uid_mv(number.to_string(), folder).await.is_err()
        {
            tracing::warn!(event = "bounces.kept", "a report cannot be moved: does its folder exist?");
        }
        Ok(())
    }

    /// Takes leave.
    pub(super) async fn close(mut self) -> Result<(), ImapError> {
        self.session.logout().await.map_err(|_| ImapError::Broken { phase: "logout" })
    }
}

async fn protect(config: &ImapConfig, tcp: TcpStream) -> Result<TlsStream<TcpStream>, ImapError> {
    let wrong = |reason: String| ImapError::Tls { host: format!("{}:{}", config.host, config.port), reason };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &config.ca_file {
        let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
        for certificate in read {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(config.host.clone()).map_err(|error| wrong(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(client));
    connector.connect(name, tcp).await.map_err(|error| wrong(error.to_string()))
}

/// A connection, protected or not.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stream(…)")
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
