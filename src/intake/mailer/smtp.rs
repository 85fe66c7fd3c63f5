//! One SMTP dialogue, phase by phase, so that a failure says whether the message may have been delivered.
//!
//! The library's own `send` knows neither the phase nor a deadline beyond the TCP connection; here each phase has one.

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials as Login, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::time::timeout;

use super::{MailerError, Outcome, Parcel, Phase, Refusal, Security, SmtpConfig};

/// A server, with all that is needed to talk to it.
pub(super) struct Route {
    config: SmtpConfig,
    tls: Option<TlsParameters>,
    hello: ClientId,
}

/// How a phase ended when it did not succeed.
enum Failure {
    /// The server answered no.
    Answer(Refusal),
    /// The connection broke, or the answer was no SMTP.
    Broken(smtp::Error),
    /// The deadline passed.
    Late,
}

impl Route {
    pub(super) fn new(config: SmtpConfig) -> Result<Route, MailerError> {
        if config.security == Security::None && config.credentials.is_some() {
            return Err(MailerError::ClearCredentials { host: config.host });
        }
        let tls = match config.security {
            Security::None => None,
            Security::StartTls | Security::Tls => Some(tls_parameters(&config)?),
        };
        let hello = config.hello.clone().map_or_else(ClientId::default, ClientId::Domain);
        Ok(Route { config, tls, hello })
    }

    pub(super) fn destination(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
    }

    pub(super) async fn send(&self, parcel: &Parcel) -> Outcome {
        let unsendable = || {
            let refusal = Refusal { phase: Phase::Compose, code: None, class: None };
            Outcome::Permanent(refusal)
        };
        let (Ok(from), Ok(to)) = (parcel.from.parse::<Address>(), parcel.to.parse::<Address>()) else {
            return unsendable();
        };
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(outcome) => return outcome,
        };
        let mut parameters = Vec::new();
        if !(from.as_ref() as &str).is_ascii() || !(to.as_ref() as &str).is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                leave(connection);
                return unsendable();
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let outcome = self.transaction(&mut connection, from, to, parameters, &parcel.bytes).await;
        leave(connection);
        outcome
    }

    /// Connection, protection, then name and password: what fails here concerns every message.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Outcome> {
        let limit = self.config.deadlines;
        let implicit = self.tls.clone().filter(|_| self.config.security == Security::Tls);
        let server = (self.config.host.as_str(), self.config.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(limit.connect), &self.hello, implicit, None);
        let mut connection = match within(limit.hello, Phase::Sender, connecting).await {
            Ok(connection) => connection,
            Err(Failure::Broken(error)) if is_tls(&error) => {
                return Err(Outcome::TlsRefused { reason: error.to_string() });
            }
            Err(failure) => return Err(self.unreachable(failure)),
        };
        if self.config.security == Security::StartTls {
            self.protect(&mut connection).await?;
        }
        if let Some(credentials) = &self.config.credentials {
            // Route::new refused this combination; the bytes of a password deserve a second look.
            if self.config.security == Security::None || !connection.is_encrypted() {
                return Err(Outcome::TlsRefused { reason: "the connection is not protected".to_owned() });
            }
            let login = Login::new(credentials.user.clone(), credentials.password.clone());
            let authenticating = connection.auth(&[Mechanism::Plain, Mechanism::Login], &login);
            match within(limit.hello, Phase::Sender, authenticating).await {
                Ok(_) => {}
                Err(Failure::Answer(Refusal { code: code @ Some(500..), .. })) => {
                    return Err(Outcome::AuthRefused { code });
                }
                Err(Failure::Broken(error)) if error.is_client() => return Err(Outcome::AuthRefused { code: None }),
                Err(failure) => return Err(self.unreachable(failure)),
            }
        }
        Ok(connection)
    }

    async fn protect(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Outcome> {
        let Some(tls) = self.tls.clone().filter(|_| connection.can_starttls()) else {
            return Err(Outcome::TlsRefused { reason: "STARTTLS is not offered".to_owned() });
        };
        match within(self.config.deadlines.hello, Phase::Sender, connection.starttls(tls, &self.hello)).await {
            Ok(()) => Ok(()),
            Err(Failure::Broken(error)) => Err(Outcome::TlsRefused { reason: error.to_string() }),
            Err(failure) => Err(self.unreachable(failure)),
        }
    }

    async fn transaction(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: Address,
        to: Address,
        parameters: Vec<MailParameter>,
        bytes: &[u8],
    ) -> Outcome {
        let limit = self.config.deadlines;
        let sender = connection.command(Mail::new(Some(from), parameters));
        if let Err(failure) = within(limit.command, Phase::Sender, sender).await {
            return match refused(failure, Phase::Sender) {
                Outcome::Permanent(refusal) if !refusal.is_about_size() => Outcome::SenderRefused(refusal),
                outcome => outcome,
            };
        }
        if let Err(failure) =
            within(limit.command, Phase::Recipient, connection.command(Rcpt::new(to, Vec::new()))).await
        {
            return refused(failure, Phase::Recipient);
        }
        if let Err(failure) = within(limit.command, Phase::Data, connection.command(Data)).await {
            return refused(failure, Phase::Data);
        }
        // The library adds the line end before the dot.
        let bytes = bytes.strip_suffix(b"\r\n").unwrap_or(bytes);
        let patience = limit.data + Duration::from_millis(bytes.len() as u64 * 1000 / SLOWEST_BYTES_PER_SECOND);
        match within(patience, Phase::Message, connection.message_iter(bytes.chunks(CHUNK))).await {
            Ok(response) => Outcome::Delivered { code: response.code().into() },
            Err(failure @ Failure::Answer(_)) => refused(failure, Phase::Message),
            // The bytes may all have left before the connection broke: nobody can tell which side owns the message.
            Err(Failure::Broken(error)) => Outcome::Ambiguous { reason: error.to_string() },
            Err(Failure::Late) => Outcome::Ambiguous { reason: "no answer in time".to_owned() },
        }
    }

    fn unreachable(&self, failure: Failure) -> Outcome {
        let (code, reason) = match failure {
            Failure::Answer(refusal) => (refusal.code, "the server refuses to talk".to_owned()),
            Failure::Broken(error) => (None, error.to_string()),
            Failure::Late => (None, "no answer in time".to_owned()),
        };
        Outcome::Unreachable { host: self.config.host.clone(), code, reason }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Route").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Refusal {
    /// Whether the message is too large for this server or this mailbox.
    pub(in crate::intake) fn is_about_size(&self) -> bool {
        self.code == Some(552) || self.class.as_deref() == Some("5.3.4")
    }
}

/// What a failure before the final dot means: nothing was delivered.
fn refused(failure: Failure, phase: Phase) -> Outcome {
    match failure {
        Failure::Answer(refusal) if refusal.code >= Some(500) => Outcome::Permanent(refusal),
        Failure::Answer(refusal) => Outcome::Temporary(refusal),
        Failure::Broken(_) | Failure::Late => Outcome::Temporary(Refusal { phase, code: None, class: None }),
    }
}

async fn within<T>(
    limit: Duration,
    phase: Phase,
    work: impl Future<Output = Result<T, smtp::Error>>,
) -> Result<T, Failure> {
    match timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(match error.status() {
            Some(code) => {
                let class = error.source().and_then(|text| enhanced_class(&text.to_string()));
                Failure::Answer(Refusal { phase, code: Some(code.into()), class })
            }
            None => Failure::Broken(error),
        }),
        Err(_) => Err(Failure::Late),
    }
}

/// Takes leave without keeping the caller: what was delivered must be settled now.
fn leave(mut connection: AsyncSmtpConnection) {
    tokio::spawn(async move {
        // Nothing depends on the answer.
        let _ = timeout(Duration::from_secs(5), connection.quit()).await;
    });
}

/// `5.1.1` at the start of an answer (RFC 3463); the rest may hold addresses and is not kept.
fn enhanced_class(text: &str) -> Option<String> {
    let class = text.split_whitespace().next()?;
    let parts: Vec<&str> = class.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(is_number)).then(|| class.to_owned())
}

/// Whether a connection failed for its protection: the TLS library speaks through invalid data.
fn is_tls(error: &smtp::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        source = cause.source();
    }
    error.is_tls()
}

fn tls_parameters(config: &SmtpConfig) -> Result<TlsParameters, MailerError> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let wrong = |reason: String| MailerError::CaFile { path: path.clone(), reason };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| MailerError::Tls { host: config.host.clone(), reason: error.to_string() })
}

/// Slowest uplink the deadline of a message allows for: a village's worst line.
const SLOWEST_BYTES_PER_SECOND: u64 = 8 * 1024;
/// Bytes encoded at once.
const CHUNK: usize = 64 * 1024;
