//! Where the database server is and how it is reached; a password is never part of what is shown of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A database of a PostgreSQL server, and in it the schema of one commune; clones share it.
#[derive(Clone)]
pub struct Base {
    pub(super) config: Config,
    /// What is shown of it: `postgresql://user@host:port/name`.
    name: String,
    schema: String,
    tls: Option<Arc<ClientConfig>>,
}

/// Why an address is not one of a database we could use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BaseError {
    /// It is not understood.
    #[error("not an address of PostgreSQL: {0}")]
    Url(String),
    /// It holds a password, which would be in a file that others read.
    #[error("the address holds a password")]
    Password,
    /// It names no user, host or database.
    #[error("the address names no {0}")]
    Incomplete(&'static str),
    /// Requests would travel in clear to another machine.
    #[error("what is sent to another machine would be in clear")]
    Clear,
    /// A schema has a short name: `a` to `z`, `0` to `9`, `_`.
    #[error("{0:?} is no name of a schema")]
    Schema(String),
    /// The certificate cannot be read.
    #[error("{}: {reason}", path.display())]
    Certificate {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Base {
    /// Whether the other leads to the same database as the same user, with the same password.
    pub fn is_same(&self, other: &Base) -> bool {
        (&self.config, &self.name) == (&other.config, &other.name)
    }

    /// Reads `postgresql://user@host:port/name`, as libpq writes it. To another machine the way is always encrypted and the
    /// server's certificate judged: by `authority`, a file of PEM certificates, else by those of the system.
    ///
    /// # Errors
    /// [`BaseError`], for whichever part is wrong.
    pub fn new(url: &str, password: Option<String>, schema: &str, authority: Option<&Path>) -> Result<Base, BaseError> {
        let words = |error: tokio_postgres::Error| BaseError::Url(cause(&error));
        if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
            return Err(BaseError::Url("postgresql://…".into()));
        }
        // Judging the certificate is no choice here: what libpq calls so is what is always done.
        let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().map_err(words)?;
        if config.get_password().is_some() {
            return Err(BaseError::Password);
        }
        if !is_schema(schema) {
            return Err(BaseError::Schema(schema.to_owned()));
        }
        let user = config.get_user().ok_or(BaseError::Incomplete("user"))?;
        let database = config.get_dbname().ok_or(BaseError::Incomplete("database"))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(BaseError::Incomplete("host"));
        }
        let name = format!("postgresql://{user}@{}/{database}", hosts(&config));
        let is_encrypted = match (config.get_ssl_mode(), is_local(&config)) {
            (SslMode::Disable, false) => return Err(BaseError::Clear),
            (SslMode::Disable | SslMode::Prefer, true) => false,
            _ => true,
        };
        config.ssl_mode(if is_encrypted { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = password {
            config.password(password);
        }
        config
            .application_name("mulot")
            .connect_timeout(Duration::from_secs(5))
            .tcp_user_timeout(Duration::from_secs(20))
            .keepalives_idle(Duration::from_secs(15))
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let tls = if is_encrypted { Some(Arc::new(tls(authority)?)) } else { None };
        Ok(Base { config, name, schema: schema.to_owned(), tls })
    }

    /// The same server for one commune of several, by the name of its folder: a schema of its own, `commune_le_plantay`.
    #[must_use]
    pub fn for_commune(mut self, name: &str) -> Base {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut schema: String =
            name.bytes().map(|byte| if is_plain(byte) && byte != b'-' { char::from(byte) } else { '_' }).collect();
        if !name.bytes().all(is_plain) || schema.len() > LONGEST_NAME {
            // « a-b » and « a_b » are two communes.
            schema.truncate(LONGEST_NAME - 9);
            schema.push_str(&format!("_{}", &blake3::hash(name.as_bytes()).to_hex()[..8]));
        }
        self.schema = format!("commune_{schema}");
        self
    }

    /// What is shown of it to people; never a password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema of the commune.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// How the way is encrypted, when it is.
    pub(super) fn tls(&self) -> Option<MakeRustlsConnect> {
        self.tls.as_ref().map(|config| MakeRustlsConnect::new(ClientConfig::clone(config)))
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base({}, {})", self.name, self.schema)
    }
}

/// What is at the bottom of an error, without our own words around it.
pub(super) fn cause(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return answer.message().to_owned();
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(below) = deepest.source() {
        deepest = below;
    }
    deepest.to_string()
}

/// One of the host names as people write it, port left out when it is the usual one.
fn hosts(config: &Config) -> String {
    let names: Vec<String> = match config.get_hosts() {
        [] => config.get_hostaddrs().iter().map(ToString::to_string).collect(),
        hosts => hosts
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect(),
    };
    let ports = config.get_ports();
    let with_port = |(at, name): (usize, String)| match ports.get(at).or(ports.first()) {
        Some(port) if *port != 5432 => format!("{name}:{port}"),
        _ => name,
    };
    names.into_iter().enumerate().map(with_port).collect::<Vec<_>>().join(",")
}

/// Whether nothing leaves this machine.
fn is_local(config: &Config) -> bool {
    let is_near = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    };
    // An address in figures is what is really joined.
    match config.get_hostaddrs() {
        [] => config.get_hosts().iter().all(is_near),
        addresses => addresses.iter().all(std::net::IpAddr::is_loopback),
    }
}

/// A name that needs no quoting and no translation.
/// Letters of a commune's folder that go into the name of its schema: 48 in all.
const LONGEST_NAME: usize = 40;

fn is_schema(name: &str) -> bool {
    let is_fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let is_reserved = name.starts_with("pg_") || name == "information_schema";
    !is_reserved && name.len() <= 48 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(is_fit)
}

fn tls(authority: Option<&Path>) -> Result<ClientConfig, BaseError> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(path) => {
            let wrong = |reason: String| BaseError::Certificate { path: path.to_owned(), reason };
            let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("no certificate in it".into()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| BaseError::Url(error.to_string()))?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Base, BaseError> {
        Base::new(url, None, "guichet", None)
    }

    #[test]
    fn an_address_never_shows_a_password() {
        assert_eq!(read("postgresql://mulot:secret@localhost/mairie").unwrap_err(), BaseError::Password);
        let base =
            Base::new("postgresql://mulot@127.0.0.1:5433/mairie", Some("secret".into()), "guichet", None).unwrap();
        assert_eq!(base.name(), "postgresql://mulot@127.0.0.1:5433/mairie");
        assert!(!format!("{base:?}").contains("secret"));
    }

    #[test]
    fn another_machine_is_only_spoken_to_behind_encryption() {
        assert_eq!(read("postgresql://mulot@base.exemple.fr/mairie?sslmode=disable").unwrap_err(), BaseError::Clear);
        let remote = read("postgresql://mulot@base.exemple.fr/mairie").unwrap();
        assert!(remote.tls().is_some() && remote.config.get_ssl_mode() == SslMode::Require);
        for near in ["localhost", "127.0.0.1", "[::1]", "%2Frun%2Fpostgresql"] {
            let base = read(&format!("postgresql://mulot@{near}/mairie")).unwrap();
            assert!(base.tls().is_none() && base.config.get_ssl_mode() == SslMode::Disable, "{near}");
        }
        for asked in ["require", "verify-full", "verify-ca"] {
            let base = read(&format!("postgresql://mulot@localhost/mairie?sslmode={asked}")).unwrap();
            assert!(base.tls().is_some(), "{asked}");
        }
        let forged = read("postgresql://mulot@localhost/mairie?hostaddr=192.0.2.1&sslmode=disable");
        assert_eq!(forged.unwrap_err(), BaseError::Clear, "the figures are what is joined");
    }

    #[test]
    fn what_is_missing_or_misspelt_is_told() {
        assert!(matches!(read("mysql://x@y/z"), Err(BaseError::Url(_))));
        assert_eq!(read("postgresql://localhost/mairie").unwrap_err(), BaseError::Incomplete("user"));
        assert_eq!(read("postgresql://mulot@localhost").unwrap_err(), BaseError::Incomplete("database"));
        assert_eq!(read("postgresql://mulot@/mairie").unwrap_err(), BaseError::Incomplete("host"));
        for schema in ["", "Guichet", "a-b", "pg_x", "1a", "a\"b"] {
            let told = Base::new("postgresql://mulot@localhost/m", None, schema, None).unwrap_err();
            assert_eq!(told, BaseError::Schema(schema.into()));
        }
    }
}
