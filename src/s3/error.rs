//! Why a bucket could not be used, in French, and what to do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fs::{FsError, cause, cause_of_words};

/// Why a bucket could not be used.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The address is not one of a bucket.
    #[error("« {0} » n'est pas l'adresse d'un seau S3")]
    BadAddress(String),
    /// A name that no address can carry.
    #[error("« {0} » ne peut pas être le nom d'un objet")]
    BadKeyName(String),
    /// The file of keys is not two lines.
    #[error("« {} » n'est pas un fichier de clés", .0.display())]
    KeyFile(PathBuf),
    /// The key is not known, or the signature is not the one of that key.
    #[error("la clé d'accès est refusée par {host} ({code})")]
    BadKey {
        /// Who refuses.
        host: String,
        /// The server's word.
        code: String,
    },
    /// The key is known and may not do this.
    #[error("la clé d'accès n'a pas le droit d'agir sur « {key} » du seau « {bucket} » chez {host}")]
    Denied {
        /// Who refuses.
        host: String,
        /// The bucket.
        bucket: String,
        /// The object.
        key: String,
    },
    /// The bucket does not exist.
    #[error("le seau « {bucket} » n'existe pas chez {host}")]
    NoBucket {
        /// Who says so.
        host: String,
        /// The bucket.
        bucket: String,
    },
    /// The bucket is in another region or at another host.
    #[error("le seau « {bucket} » n'est pas chez {host} : il est dans une autre région")]
    Elsewhere {
        /// Who says so.
        host: String,
        /// The bucket.
        bucket: String,
    },
    /// No place left.
    #[error("le seau « {bucket} » est plein chez {host}")]
    Full {
        /// Who says so.
        host: String,
        /// The bucket.
        bucket: String,
    },
    /// Our clock and the server's are too far from each other.
    #[error("l'horloge de cette machine {} {host} {}", if *.seconds > 0 { "avance sur celle de" } else { "retarde sur celle de" }, span(*.seconds))]
    Clock {
        /// Whose clock it was compared with.
        host: String,
        /// Seconds by which ours is ahead; negative when it is behind.
        seconds: i64,
    },
    /// The server says so itself, and does not give its time.
    #[error("{host} ne veut pas de l'heure de cette machine")]
    Skewed {
        /// Who refuses.
        host: String,
    },
    /// No connection, or one that was cut, for all our patience.
    #[error("{host} ne répond pas : {why}")]
    Unreachable {
        /// Who does not answer.
        host: String,
        /// Why, in French.
        why: String,
    },
    /// The server answered that it could not, each time.
    #[error("{host} ne peut pas répondre en ce moment : {tries} essais, toujours l'erreur {status}")]
    Busy {
        /// Who.
        host: String,
        /// HTTP status of the last try.
        status: u16,
        /// How many times it was asked.
        tries: u32,
    },
    /// An answer that we do not know.
    #[error("{}", answer(host, key, *status, code))]
    Answer {
        /// Who.
        host: String,
        /// The object.
        key: String,
        /// HTTP status.
        status: u16,
        /// The server's word; empty when it did not say that it failed, and gave something else than what was asked.
        code: String,
    },
    /// A file of this machine cannot be read.
    #[error("{}", .0.sentence())]
    Local(FsError),
}

impl S3Error {
    /// What to do about it, in French.
    pub fn remedy(&self) -> &'static str {
        match self {
            S3Error::BadAddress(_) => "écrivez s3 = \"https://hôte/seau/prefixe\"",
            S3Error::BadKeyName(_) => "renommez ce fichier",
            S3Error::KeyFile(_) => "il faut deux lignes : l'identifiant de la clé, puis la clé secrète",
            S3Error::BadKey { .. } => {
                "vérifiez l'identifiant et la clé secrète chez l'hébergeur (MULOT_S3_CLE_ID et MULOT_S3_CLE_SECRETE, ou \
                 cle_fichier)"
            }
            S3Error::Denied { .. } => "donnez à cette clé le droit de lire, d'écrire et de supprimer dans ce seau",
            S3Error::NoBucket { .. } => {
                "créez le seau chez l'hébergeur, ou corrigez son nom dans s3 = \"https://hôte/seau\""
            }
            S3Error::Elsewhere { .. } => "corrigez l'hôte de s3 et region : l'hébergeur les donne sur la page du seau",
            S3Error::Full { .. } => "faites de la place, ou demandez-en à l'hébergeur, puis relancez",
            S3Error::Clock { .. } | S3Error::Skewed { .. } => {
                "mettez-la à l'heure (timedatectl set-ntp true), puis relancez"
            }
            S3Error::Unreachable { .. } => {
                "vérifiez le réseau et l'adresse, puis relancez : ce qui est déjà parti ne repart pas"
            }
            S3Error::Busy { .. } => "relancez plus tard : ce qui est déjà parti ne repart pas",
            S3Error::Answer { code, .. } if code.is_empty() => {
                "vérifiez s3 = \"https://hôte/seau\" : un autre programme répond peut-être à la place du stockage ; puis relancez"
            }
            S3Error::Answer { .. } => "donnez cette réponse à l'hébergeur",
            S3Error::Local(_) => "vérifiez que ce fichier existe et que vous avez le droit de le lire",
        }
    }

    /// Whether the order or its settings are at fault rather than a machine.
    pub fn is_order(&self) -> bool {
        matches!(self, S3Error::BadAddress(_) | S3Error::BadKeyName(_) | S3Error::KeyFile(_))
    }
}

/// An answer that we do not know, in a sentence; one that begins well may end by a failure.
fn answer(host: &str, key: &str, status: u16, code: &str) -> String {
    match (status, code) {
        (_, "") => format!("la réponse de {host} n'est pas comprise : ce n'est pas une liste d'objets"),
        (200, code) => format!("{host} répond par l'erreur {code} pour « {key} »"),
        (status, code) => format!("{host} répond par l'erreur {status} ({code}) pour « {key} »"),
    }
}

/// « d'un jour », « de 3 heures ».
fn span(seconds: i64) -> String {
    let minutes = seconds.unsigned_abs().div_ceil(60);
    let of = |count: u64, masculine: &str, one: &str, many: &str| match count {
        1 => format!("d'{masculine} {one}"),
        _ => format!("de {count} {many}"),
    };
    match minutes {
        0..120 => of(minutes, "une", "minute", "minutes"),
        120..2_160 => match (minutes + 30) / 60 {
            24 => of(1, "un", "jour", "jours"),
            hours => of(hours, "une", "heure", "heures"),
        },
        _ => of((minutes + 720) / 1_440, "un", "jour", "jours"),
    }
}

/// A try that failed.
pub(super) enum Fault {
    /// The line or the host; `lost` when another try is useless.
    Line { why: String, lost: bool },
    /// The server said that it could not, and perhaps when to come back.
    Busy { status: u16, retry_after: Option<Duration> },
    /// A file of ours.
    Local(FsError),
}

impl Fault {
    pub(super) fn local(path: &Path, source: std::io::Error) -> Fault {
        Fault::Local(FsError { action: "lire", path: path.to_owned(), source })
    }

    /// What the HTTP client says, in French.
    pub(super) fn of(error: ureq::Error) -> Fault {
        let (why, lost) = match error {
            ureq::Error::HostNotFound => ("ce nom de machine n'existe pas".to_owned(), false),
            ureq::Error::Timeout(_) => ("la réponse n'est pas venue à temps".to_owned(), false),
            ureq::Error::Io(source) if is_cut(&source) => ("la connexion a été coupée".to_owned(), false),
            ureq::Error::Io(source) => (cause(&source), false),
            ureq::Error::ConnectionFailed => ("l'autre machine refuse la connexion".to_owned(), false),
            ureq::Error::Rustls(error) => (certificate(&error), true),
            ureq::Error::Protocol(_) | ureq::Error::BodyStalled => ("la connexion a été coupée".to_owned(), false),
            other => (cause_of_words(&other.to_string()), false),
        };
        Fault::Line { why, lost }
    }

    pub(super) fn is_final(&self) -> bool {
        matches!(self, Fault::Line { lost: true, .. } | Fault::Local(_))
    }

    /// How long the server asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Fault::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn told(self, host: &str, tries: u32) -> S3Error {
        match self {
            Fault::Line { why, .. } => S3Error::Unreachable { host: host.to_owned(), why },
            Fault::Busy { status, .. } => S3Error::Busy { host: host.to_owned(), status, tries },
            Fault::Local(error) => S3Error::Local(error),
        }
    }
}

/// Whether the other side hung up.
fn is_cut(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

/// Why an encrypted connection is not trusted.
fn certificate(error: &rustls::Error) -> String {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    match error {
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => "son certificat n'est pas valable à la date de cette machine : l'un des deux n'est pas à jour".to_owned(),
        rustls::Error::InvalidCertificate(_) => "son certificat n'est pas reconnu par cette machine".to_owned(),
        _ => "la connexion chiffrée échoue".to_owned(),
    }
}

/// The word by which an answer says what went wrong.
pub(super) fn code_of(answer: &str) -> Option<String> {
    let (_, error) = answer.split_once("<Error")?;
    let (code, _) = error.split_once("<Code>")?.1.split_once("</Code>")?;
    let plain = !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_clocks_are_said_as_people_say_them() {
        let said =
            [(1_200, "de 20 minutes"), (86_400, "d'un jour"), (-90_000, "de 25 heures"), (3 * 86_400, "de 3 jours")];
        for (seconds, words) in said {
            let error = S3Error::Clock { host: "s3.exemple.fr".into(), seconds };
            assert!(error.to_string().ends_with(words), "{error}");
        }
        let behind = S3Error::Clock { host: "s3.exemple.fr".into(), seconds: -86_400 };
        assert_eq!(behind.to_string(), "l'horloge de cette machine retarde sur celle de s3.exemple.fr d'un jour");
    }

    #[test]
    fn what_is_no_list_is_not_called_an_error_200() {
        let error = |status, code: &str| S3Error::Answer {
            host: "s3.exemple.fr".into(),
            key: "a".into(),
            status,
            code: code.into(),
        };
        assert!(error(200, "").to_string().contains("n'est pas comprise"), "{}", error(200, ""));
        assert!(error(200, "").remedy().contains("vérifiez s3"));
        assert_eq!(error(200, "SlowDown").to_string(), "s3.exemple.fr répond par l'erreur SlowDown pour « a »");
        assert!(error(418, "Odd").to_string().contains("l'erreur 418 (Odd)"));
    }

    #[test]
    fn the_word_of_an_answer_is_found() {
        let answer = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>…</Message></Error>";
        assert_eq!(code_of(answer).as_deref(), Some("SlowDown"));
        assert_eq!(code_of("<html>503</html>"), None);
        assert_eq!(code_of("<Error><Code>a b</Code></Error>"), None);
    }
}
