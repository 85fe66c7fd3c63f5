//! Why the system refused, in French; a cause that is not known keeps the number by which it can be looked up.

use std::io::{self, ErrorKind};

/// « il n'y a plus de place sur ce disque ».
pub fn cause(error: &io::Error) -> String {
    let said = match error.kind() {
        ErrorKind::StorageFull => "il n'y a plus de place sur ce disque",
        ErrorKind::QuotaExceeded => "la place qui vous est donnée sur ce disque est épuisée",
        ErrorKind::PermissionDenied => "vous n'en avez pas le droit",
        ErrorKind::NotFound => "ce chemin n'existe pas",
        ErrorKind::AlreadyExists => "ce nom est déjà pris",
        ErrorKind::ReadOnlyFilesystem => "ce disque est en lecture seule",
        ErrorKind::NotADirectory => "ce n'est pas un dossier",
        ErrorKind::IsADirectory => "c'est un dossier",
        ErrorKind::DirectoryNotEmpty => "ce dossier n'est pas vide",
        ErrorKind::InvalidFilename => "ce nom n'est pas permis ici",
        ErrorKind::ResourceBusy => "un autre programme s'en sert",
        ErrorKind::AddrInUse => "cette adresse est déjà prise",
        ErrorKind::AddrNotAvailable => "cette adresse n'est pas à cette machine",
        ErrorKind::ConnectionRefused => "l'autre machine refuse la connexion",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "le réseau ne mène pas à cette machine",
        ErrorKind::TimedOut => "la réponse n'est pas venue à temps",
        _ => return other(error),
    };
    said.to_owned()
}

/// The same for a cause of which only the words are left, the system's or the database's.
pub fn cause_of_words(words: &str) -> String {
    const KNOWN: [(&str, &str); 21] = [
        ("too many levels of symbolic", "ce raccourci tourne en rond"),
        ("no space left", "il n'y a plus de place sur ce disque"),
        ("disk is full", "il n'y a plus de place sur ce disque"),
        ("file is not a database", "ce n'est pas une base de données"),
        ("image is malformed", "la base de données est abîmée"),
        ("disk i/o error", "le disque répond mal"),
        ("input/output error", "le disque répond mal"),
        ("unable to open database", "la base de données ne s'ouvre pas"),
        ("readonly database", "la base de données ne se laisse pas écrire"),
        ("read-only file system", "ce disque est en lecture seule"),
        ("permission denied", "vous n'en avez pas le droit"),
        ("no such file", "ce chemin n'existe pas"),
        ("file exists", "ce nom est déjà pris"),
        ("too many open files", "trop de fichiers sont ouverts sur cette machine"),
        ("inotify watch", "trop de fichiers sont surveillés sur cette machine"),
        ("database is locked", "la base de données est occupée"),
        ("connection refused", "personne n'y répond"),
        ("connection closed", "la liaison a été coupée"),
        ("no answer in time", "rien n'est venu à temps"),
        ("failed to lookup address", "ce nom de machine n'existe pas"),
        ("cannot allocate memory", "la mémoire de cette machine est pleine"),
    ];
    let lower = words.to_lowercase();
    match KNOWN.iter().find(|(known, _)| lower.contains(known)) {
        Some((_, said)) => (*said).to_owned(),
        None => words.to_owned(),
    }
}

/// A cause without a kind of its own: known by its words, else told by its number.
fn other(error: &io::Error) -> String {
    let words = error.to_string();
    let said = cause_of_words(&words);
    match error.raw_os_error() {
        Some(number) if said == words => format!("le système a refusé (erreur {number})"),
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_in_french() {
        // ENOENT, EACCES, EEXIST, EROFS, EMFILE, ENOSPC, EIO, ECONNRESET.
        for (number, said) in [
            (2, "ce chemin n'existe pas"),
            (13, "vous n'en avez pas le droit"),
            (17, "ce nom est déjà pris"),
            (30, "ce disque est en lecture seule"),
            (24, "trop de fichiers sont ouverts sur cette machine"),
            (28, "il n'y a plus de place sur ce disque"),
            (5, "le disque répond mal"),
            (104, "le système a refusé (erreur 104)"),
        ] {
            assert_eq!(cause(&io::Error::from_raw_os_error(number)), said);
        }
        let located = io::Error::other("No such file or directory (os error 2) at path \"/a/.tmpX\"");
        assert_eq!(cause(&located), "ce chemin n'existe pas");
        assert_eq!(cause_of_words("file is not a database"), "ce n'est pas une base de données");
        assert_eq!(cause_of_words("autre chose"), "autre chose");
    }
}
