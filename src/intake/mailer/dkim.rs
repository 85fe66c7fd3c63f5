//! Signs messages in the commune's name (DKIM, RFC 6376 and 8463), so that large receivers believe them.
//!
//! The same message always gives the same signature: it holds no time, and both algorithms are deterministic, so that every try
//! sends the same bytes. That is why the mail library's own signer, which dates its signatures, is not used. What is signed was
//! made by [`super::mime`]: ASCII, each header once, lines ended by `\r\n`.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use thiserror::Error;

/// Why there is no signer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignerError {
    /// The text holds neither an RSA key of 2048 to 4096 bits nor an Ed25519 key.
    #[error("no usable key")]
    Key,
    /// The selector or the domain cannot stand in a signature.
    #[error("{0} is no name")]
    Name(String),
}

/// Signs for one domain with one key; clones share it.
#[derive(Clone)]
pub struct Signer {
    selector: String,
    domain: String,
    key: Arc<Key>,
}

enum Key {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// A signer with a private key in PEM (PKCS#8, or PKCS#1 for RSA), or the 32 bytes of an Ed25519 key in base 64.
    ///
    /// # Errors
    /// [`SignerError`] when the key or a name is not usable.
    pub fn new(selector: &str, domain: &str, key: &str) -> Result<Signer, SignerError> {
        for name in [selector, domain] {
            let is_label = |label: &str| {
                !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            };
            if name.len() > 200 || !name.split('.').all(is_label) {
                return Err(SignerError::Name(name.to_owned()));
            }
        }
        let key = read_key(key).ok_or(SignerError::Key)?;
        Ok(Signer { selector: selector.to_owned(), domain: domain.to_ascii_lowercase(), key: Arc::new(key) })
    }

    /// The domain it signs for.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Where receivers look for the public key: `mulot._domainkey.exemple.fr`.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What must stand there, in a TXT record.
    pub fn record(&self) -> String {
        let (kind, public) = match &*self.key {
            Key::Rsa(pair) => ("rsa", spki(pair.public_key().as_ref())),
            Key::Ed25519(pair) => ("ed25519", pair.public_key().as_ref().to_vec()),
        };
        format!("v=DKIM1; k={kind}; p={}", BASE64.encode(&public))
    }

    /// The message behind its signature; as it was when the key refuses, for an unsigned request is worth more than none.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self.signature(message) {
            Some(mut signed) => {
                signed.extend(message);
                signed
            }
            None => {
                tracing::error!(event = "dkim.failed", "a message leaves without its signature");
                message.to_vec()
            }
        }
    }

    /// The header, its `\r\n` included.
    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(message).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let standing = fields(head);
        let mut names: Vec<&str> = Vec::new();
        let mut signed = String::new();
        for (name, value) in &standing {
            if SIGNED.contains(&name.as_str()) {
                names.push(name);
                signed.push_str(&format!("{name}:{value}\r\n"));
            }
        }
        // Named once more than they stand: nobody adds another one below the signature.
        names.extend(SEALED.iter().filter(|name| SIGNED.contains(name)));
        let body = BASE64.encode(digest::digest(&digest::SHA256, relaxed_body(body).as_bytes()).as_ref());
        let algorithm = match &*self.key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        let mut header = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={};\r\n s={};\r\n {}\r\n bh={body};\r\n b=",
            self.domain,
            self.selector,
            folded(&names)
        );
        // As a receiver reads it, without its last line end.
        let own = fields(&header).pop()?.1;
        signed.push_str(&format!("dkim-signature:{own}"));
        let signature = BASE64.encode(&self.raw(signed.as_bytes())?);
        let pieces = signature.as_bytes().chunks(LINE).map(|piece| String::from_utf8_lossy(piece));
        header.push_str(&pieces.collect::<Vec<_>>().join("\r\n "));
        header.push_str("\r\n");
        Some(header.into_bytes())
    }

    fn raw(&self, text: &[u8]) -> Option<Vec<u8>> {
        match &*self.key {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                // The padding of PKCS#1 1.5 is fixed: the randomness only blinds the computation.
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).ok()?;
                Some(signature)
            }
            Key::Ed25519(pair) => {
                // RFC 8463, § 3: the hash is what is signed.
                Some(pair.sign(digest::digest(&digest::SHA256, text).as_ref()).as_ref().to_vec())
            }
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signer({})", self.record_name())
    }
}

fn read_key(text: &str) -> Option<Key> {
    let text = text.trim();
    let body = |text: &str| {
        let bare: String = text.split_whitespace().collect();
        BASE64.decode(bare.as_bytes()).ok()
    };
    let Some(begun) = text.find("-----BEGIN ") else {
        let seed = body(text).filter(|seed| seed.len() == 32)?;
        return Ed25519KeyPair::from_seed_unchecked(&seed).ok().map(Key::Ed25519);
    };
    let (label, rest) = text[begun + "-----BEGIN ".len()..].split_once("-----")?;
    let der = body(rest.split_once("-----END ")?.0)?;
    match label {
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).ok().map(Key::Rsa),
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der)
            .ok()
            .map(Key::Rsa)
            .or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok().map(Key::Ed25519)),
        _ => None,
    }
}

/// A public RSA key as records hold it: a SubjectPublicKeyInfo around the key itself (RFC 8017, A.1).
fn spki(key: &[u8]) -> Vec<u8> {
    let mut bits = vec![0];
    bits.extend(key);
    // rsaEncryption, no parameter.
    let algorithm = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut inner = der(0x30, &algorithm);
    inner.extend(der(0x03, &bits));
    der(0x30, &inner)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        length @ 0..=127 => bytes.push(length as u8),
        length @ 128..=255 => bytes.extend([0x81, length as u8]),
        length => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend(content);
    bytes
}

/// Names in lower case and values on one line, single spaces (RFC 6376, § 3.4.2).
fn fields(head: &str) -> Vec<(String, String)> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((
            name.trim().to_ascii_lowercase(),
            value.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
        ))
    };
    unfolded.split("\r\n").filter_map(field).collect()
}

/// Spaces brought to one, none at the end of a line, no empty line at the end (RFC 6376, § 3.4.4).
fn relaxed_body(body: &str) -> String {
    let mut relaxed = String::with_capacity(body.len());
    for line in body.split("\r\n") {
        let mut is_space = false;
        for letter in line.trim_end_matches([' ', '\t']).chars() {
            let space = matches!(letter, ' ' | '\t');
            if !(space && is_space) {
                relaxed.push(if space { ' ' } else { letter });
            }
            is_space = space;
        }
        relaxed.push_str("\r\n");
    }
    let kept = relaxed.trim_end_matches("\r\n").len();
    relaxed.truncate(kept);
    if kept > 0 {
        relaxed.push_str("\r\n");
    }
    relaxed
}

/// `h=…;` on lines of a fair length, cut between names where spaces mean nothing.
fn folded(names: &[&str]) -> String {
    let (mut text, mut length) = (String::from("h="), 2);
    for (at, name) in names.iter().enumerate() {
        let end = if at + 1 == names.len() { ";" } else { ":" };
        if length + name.len() + 1 > LINE {
            text.push_str("\r\n ");
            length = 0;
        }
        text.push_str(name);
        text.push_str(end);
        length += name.len() + 1;
    }
    text
}

/// Headers that are signed, as far as they stand.
const SIGNED: [&str; 11] = [
    "from",
    "to",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "auto-submitted",
];
/// Headers nobody may add.
const SEALED: [&str; 5] = ["from", "to", "reply-to", "subject", "date"];
/// Characters of a line, about.
const LINE: usize = 70;

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const MESSAGE: &[u8] = b"From: a@b.fr\r\nSubject: un\r\n  deux \r\nTo: c@d.fr\r\n\r\nBonjour  \t toi \r\n\r\n\r\n";

    fn signer() -> Signer {
        Signer::new("mulot", "Exemple.fr", SEED).unwrap()
    }

    #[test]
    fn the_record_is_that_of_the_key() {
        let signer = signer();
        assert_eq!(signer.record_name(), "mulot._domainkey.exemple.fr");
        // Source: RFC 8463, A.2, the same key and its record.
        assert_eq!(signer.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn what_is_no_key_and_no_name_is_refused() {
        for key in ["", "abc", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
            assert_eq!(Signer::new("mulot", "exemple.fr", key).unwrap_err(), SignerError::Key, "{key}");
        }
        for name in ["", "a b", "a;b", "é.fr", "a..fr"] {
            assert_eq!(Signer::new("mulot", name, SEED).unwrap_err(), SignerError::Name(name.to_owned()));
        }
        assert!(!format!("{:?}", signer()).contains("nWGx"));
    }

    #[test]
    fn bodies_and_headers_are_relaxed_as_the_text_says() {
        assert_eq!(relaxed_body(" C \r\nD \t E\r\n\r\n\r\n"), " C\r\nD E\r\n", "RFC 6376, § 3.4.5");
        assert_eq!(relaxed_body(""), "");
        assert_eq!(relaxed_body("\r\n\r\n"), "");
        assert_eq!(fields("A: X\r\nB : Y\t\r\n\tZ  "), [("a".into(), "X".into()), ("b".into(), "Y Z".into())]);
    }

    #[test]
    fn every_try_gives_the_same_signed_bytes_and_short_lines() {
        let signed = signer().sign(MESSAGE);
        assert_eq!(signed, signer().sign(MESSAGE));
        assert!(signed.ends_with(MESSAGE) && signed.starts_with(b"DKIM-Signature: v=1; a=ed25519-sha256;"));
        let text = String::from_utf8(signed).unwrap();
        assert!(text.split("\r\n").all(|line| line.len() < 100), "{text}");
        assert!(!text.contains("t="), "no time stands in it\n{text}");
    }
}
