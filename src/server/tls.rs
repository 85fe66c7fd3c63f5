//! TLS: the certificates a server shows, by the name the visitor asks for, replaced while it runs.
//!
//! Only what is safe by itself is offered: TLS 1.2 and 1.3, as rustls has them. A visitor who names no host, or one that is
//! not here, gets no certificate at all: nothing of another commune is shown to him.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring as cryptography;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The protocol by which a certificate authority checks a name on this port (RFC 8737).
pub(super) const ACME_PROTOCOL: &[u8] = b"acme-tls/1";
/// HTTP/2, as it is named in a handshake.
pub(super) const HTTP2: &[u8] = b"h2";

/// Why a certificate cannot be used; a French sentence without path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The file holds no certificate in PEM.
    #[error("aucun certificat n'y est lisible (un fichier PEM est attendu)")]
    NoCertificate,
    /// The file holds no private key in PEM.
    #[error("aucune clé privée n'y est lisible (un fichier PEM, sans mot de passe, est attendu)")]
    NoKey,
    /// Certificate and key do not belong together.
    #[error("le certificat n'est pas celui de cette clé privée")]
    Mismatch,
    /// The certificate names no host.
    #[error("le certificat ne porte aucun nom de domaine")]
    NoName,
    /// What the certificate holds is not understood.
    #[error("le certificat ne se lit pas")]
    Unreadable,
}

/// A certificate with its key, ready to be shown.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// Hosts it is good for, `*.exemple.fr` among them.
    pub names: Vec<String>,
    /// Since when it is good.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Certificate").field("names", &self.names).field("until", &self.until).finish()
    }
}

impl Certificate {
    /// Reads a chain and a private key in PEM, which may stand in the same text.
    ///
    /// # Errors
    /// [`CertificateError`] when they cannot be used.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Certificate, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| CertificateError::NoCertificate)?;
        let first = chain.first().ok_or(CertificateError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        let names = {
            let read = webpki::EndEntityCert::try_from(first).map_err(|_| CertificateError::Unreadable)?;
            read.valid_dns_names().map(str::to_ascii_lowercase).collect::<Vec<_>>()
        };
        if names.is_empty() {
            return Err(CertificateError::NoName);
        }
        let (from, until) = validity(first).ok_or(CertificateError::Unreadable)?;
        let key =
            CertifiedKey::from_der(chain, key, &cryptography::default_provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch,
                _ => CertificateError::NoKey,
            })?;
        Ok(Certificate { key: Arc::new(key), names, from, until })
    }

    /// Whether it is good for that host.
    pub fn covers(&self, host: &str) -> bool {
        let wide = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.names.iter().any(|name| name == host || Some(name) == wide.as_ref())
    }

    /// When it must be renewed: after two thirds of its life.
    pub fn renewal(&self) -> Timestamp {
        let life = self.until.as_second() - self.from.as_second();
        Timestamp::from_second(self.from.as_second() + life / 3 * 2).unwrap_or(self.from)
    }
}

/// `notBefore` and `notAfter` of a certificate (RFC 5280, 4.1.2.5).
fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let dates = yasna::parse_der(certificate, |reader| {
        reader.read_sequence(|reader| {
            let dates = reader.next().read_sequence(|reader| {
                // The version may be absent; a serial number never is a tagged value.
                reader
                    .read_optional(|reader| reader.read_tagged(yasna::Tag::context(0), |reader| reader.read_der()))?;
                for _ in ["serial", "algorithm", "issuer"] {
                    reader.next().read_der()?;
                }
                let dates =
                    reader.next().read_sequence(|reader| Ok((reader.next().read_der()?, reader.next().read_der()?)))?;
                while reader.read_optional(|reader| reader.read_der())?.is_some() {}
                Ok(dates)
            })?;
            while reader.read_optional(|reader| reader.read_der())?.is_some() {}
            Ok(dates)
        })
    });
    let (from, until) = dates.ok()?;
    Some((date(&from)?, date(&until)?))
}

/// A `UTCTime` (two digits of year) or a `GeneralizedTime` (four), both in UTC.
fn date(der: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(der.get(2..)?).ok()?;
    let text = match der.first()? {
        0x17 if text.get(..2)? < "50" => format!("20{text}"),
        0x17 => format!("19{text}"),
        _ => text.to_owned(),
    };
    jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", &text)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// The certificates of a server, by host.
#[derive(Debug, Default)]
pub struct Certificates {
    by_name: RwLock<BTreeMap<String, Certificate>>,
    /// Shown to a certificate authority that checks a name, and to nobody else.
    proofs: RwLock<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Shows a certificate from now on, for each of its names; connections already open keep theirs.
    pub fn show(&self, certificate: &Certificate) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        for name in &certificate.names {
            by_name.insert(name.clone(), certificate.clone());
        }
    }

    /// The certificate shown for a host.
    pub fn of(&self, host: &str) -> Option<Certificate> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let wide = || by_name.get(&format!("*.{}", host.split_once('.')?.1));
        by_name.get(&host).or_else(wide).cloned()
    }

    /// Proves to a certificate authority that this machine answers for `host`: a certificate of our own with `digest` in it.
    ///
    /// # Errors
    /// When it cannot be made: a name that is none, among others.
    pub(super) fn prove(&self, host: &str, digest: &[u8]) -> Result<(), rcgen::Error> {
        let mut parameters = rcgen::CertificateParams::new(vec![host.to_owned()])?;
        parameters.custom_extensions.push(rcgen::CustomExtension::new_acme_identifier(digest));
        let pair = rcgen::KeyPair::generate()?;
        let certificate = parameters.self_signed(&pair)?;
        let key = PrivateKeyDer::try_from(pair.serialize_der()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let key = cryptography::sign::any_supported_type(&key).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        // Not `from_der`: it reads the certificate, and what proves is an extension that it must not know.
        let key = CertifiedKey::new(vec![certificate.der().clone()], key);
        self.proofs.write().unwrap_or_else(PoisonError::into_inner).insert(host.to_ascii_lowercase(), Arc::new(key));
        Ok(())
    }

    /// Forgets a proof.
    pub(super) fn proved(&self, host: &str) {
        self.proofs.write().unwrap_or_else(PoisonError::into_inner).remove(&host.to_ascii_lowercase());
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?;
        if hello.alpn().is_some_and(|mut offered| offered.any(|one| one == ACME_PROTOCOL)) {
            return self.proofs.read().unwrap_or_else(PoisonError::into_inner).get(&host.to_ascii_lowercase()).cloned();
        }
        self.of(host).map(|certificate| certificate.key)
    }
}

/// How TLS is spoken: with these certificates, HTTP/2 first.
///
/// # Errors
/// When the cryptography refuses what it offers itself.
pub(super) fn server_config(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(cryptography::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec(), ACME_PROTOCOL.to_vec()];
    // Tickets whose key is drawn here and replaced every six hours: nothing about visitors is kept.
    config.ticketer = cryptography::Ticketer::new()?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let pair = rcgen::KeyPair::generate().unwrap();
        (parameters.self_signed(&pair).unwrap().pem(), pair.serialize_pem())
    }

    #[test]
    fn a_certificate_tells_its_names_and_its_life() {
        let (chain, key) = made(&["Trou.example", "*.trou.example"]);
        let read = Certificate::read(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.names, ["trou.example", "*.trou.example"]);
        assert_eq!(read.from.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(read.until.to_string(), "2026-04-01T00:00:00Z");
        assert_eq!(read.renewal().to_string(), "2026-03-02T00:00:00Z");
        assert!(read.covers("www.trou.example") && !read.covers("a.b.trou.example") && !read.covers("autre.example"));
        let both = format!("{key}{chain}");
        assert!(Certificate::read(both.as_bytes(), both.as_bytes()).is_ok(), "one file for both");
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let ((chain, key), (_, other)) = (made(&["trou.example"]), made(&["trou.example"]));
        let read = |chain: &str, key: &str| Certificate::read(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(read("", &key), CertificateError::NoCertificate);
        assert_eq!(read(&chain, &chain), CertificateError::NoKey);
        assert_eq!(read(&chain, &other), CertificateError::Mismatch);
        let (nameless, key) = made(&[]);
        assert_eq!(read(&nameless, &key), CertificateError::NoName);
    }

    #[test]
    fn a_host_finds_its_certificate_or_none() {
        let certificates = Certificates::default();
        for names in [["trou.example"].as_slice(), ["*.bocage.example"].as_slice()] {
            let (chain, key) = made(names);
            certificates.show(&Certificate::read(chain.as_bytes(), key.as_bytes()).unwrap());
        }
        assert!(certificates.of("TROU.example.").is_some());
        assert!(certificates.of("mouron.bocage.example").is_some());
        for host in ["www.trou.example", "bocage.example", "a.b.bocage.example", "", "example"] {
            assert!(certificates.of(host).is_none(), "{host}");
        }
    }
}
