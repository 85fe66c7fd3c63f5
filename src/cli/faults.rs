//! Faults of the machine, one French sentence with the path and what to do.

use std::io::ErrorKind;

use super::place::DataPlace;
use super::{Exit, report};
use crate::diagnostic::Diagnostic;
use crate::fs::{cause, cause_of_words};
use crate::intake::files::FileError;
use crate::intake::mailer::MailerError;
use crate::intake::store::StoreError;
use crate::intake::token::KeyError;
use crate::model::commune::Commune;
use crate::s3::S3Error;
use crate::server::{ListenError, StartError};

/// Says why the guichet's data cannot be used.
pub(super) fn store_fault(error: &StoreError) -> Exit {
    let (what, hint) = match error {
        StoreError::Full { path } => (
            format!("il n'y a plus assez de place pour « {} »", path.display()),
            "libérez de la place sur ce disque ; rien de ce qui est accepté n'est perdu",
        ),
        StoreError::Busy { path } => (format!("« {} » est occupé", path.display()), "recommencez dans un instant"),
        StoreError::Locked { path } => (
            format!("un autre guichet utilise déjà « {} »", path.display()),
            "un seul guichet par dossier de données : arrêtez l'autre, ou changez la clé donnees",
        ),
        StoreError::Foreign { path, .. } => {
            (format!("« {} » est la base d'un autre programme", path.display()), "changez la clé donnees")
        }
        StoreError::Newer { path, found, known } => (
            format!(
                "« {} » a été écrit par une version plus récente de Mulot (schéma {found}, celui-ci connaît {known})",
                path.display()
            ),
            "installez cette version ou une plus récente",
        ),
        StoreError::Absent { path } => (
            format!("il n'y a pas de demandes dans « {} »", path.display()),
            "vérifiez le chemin ; la base est créée au premier démarrage de mulot guichet",
        ),
        StoreError::Lost { path } => (
            format!("« {} » n'est plus là, alors que le dossier garde des traces de demandes", path.display()),
            "ne supprimez rien : remettez ce fichier, ou restaurez la dernière sauvegarde dans un autre dossier (mulot restore)",
        ),
        StoreError::Damaged { path, reason } => (
            format!("« {} » est illisible ou abîmé : {}", path.display(), cause_of_words(reason)),
            "ne supprimez rien : restaurez la dernière sauvegarde dans un autre dossier, et gardez celui-ci",
        ),
        StoreError::Key(error) => return key_fault(error),
        StoreError::WrongKey { path } => (
            format!("« {} » n'est pas la clé de ces demandes", path.display()),
            "remettez la clé qui va avec ce dossier de données ; sans elle, rien de ce qu'il contient ne peut être relu",
        ),
        StoreError::Poisoned { path, reason } => (
            format!("le disque a refusé une écriture sous « {} » : {}", path.display(), cause_of_words(reason)),
            "vérifiez le disque, puis redémarrez le guichet",
        ),
        StoreError::Io { path, source } if source.kind() == ErrorKind::ReadOnlyFilesystem => (
            format!("« {} » ne se laisse pas écrire : son disque est en lecture seule", path.display()),
            READ_ONLY_HINT,
        ),
        StoreError::Io { path, source } if source.kind() == ErrorKind::PermissionDenied => {
            (format!("ce compte n'a pas le droit d'ouvrir « {} »", path.display()), AS_THE_ACCOUNT)
        }
        StoreError::Io { path, source } => (
            format!("impossible de lire ou d'écrire « {} » : {}", path.display(), cause(source)),
            "vérifiez que le dossier existe et que vous avez le droit d'y écrire",
        ),
        StoreError::Database { path, .. } if error.is_refused_write() => (
            format!("« {} » ne se laisse pas écrire : son disque est en lecture seule", path.display()),
            READ_ONLY_HINT,
        ),
        StoreError::Database { path, source } => (
            format!("« {} » ne peut pas être lu : {}", path.display(), cause_of_words(&source.to_string())),
            "vérifiez le disque, et lancez la commande avec le compte du guichet (sudo -u mulot mulot …)",
        ),
        StoreError::Unreachable { base, reason } => (
            format!("la base « {base} » ne répond pas : {}", cause_of_words(reason)),
            "vérifiez que PostgreSQL tourne et que cette machine peut le joindre ; rien de ce qui a été accepté n'est perdu",
        ),
        StoreError::Bucket(error) => return bucket_fault(error),
        StoreError::ForeignBucket { address } => return foreign_bucket(address),
        StoreError::Refused { base, reason } => (
            format!("la base « {base} » refuse ce compte : {reason}"),
            "vérifiez le nom, le mot de passe (MULOT_BASE_MOT_DE_PASSE ou base_mot_de_passe_fichier) et ses droits dans la base",
        ),
        StoreError::Unfit { base, setting, value } => (
            format!("la base « {base} » ne convient pas : {setting} vaut « {value} »"),
            "PostgreSQL 13 ou plus récent, encodage UTF8, fsync et full_page_writes à « on » : sinon une panne perdrait des demandes",
        ),
        StoreError::Server { base, reason } => (
            format!("la base « {base} » a refusé un ordre : {reason}"),
            "regardez le journal de PostgreSQL ; si cela revient, signalez-le",
        ),
        StoreError::OldSqlite { found } => (
            format!("SQLite {found} est trop ancien : il perd des données dans certaines pannes"),
            "installez SQLite 3.51.3 ou plus récent",
        ),
        StoreError::Content { .. } => (
            "une donnée de la base ne peut pas être relue".to_owned(),
            "gardez le dossier de données ; mulot demandes etat dit quelle demande est abîmée",
        ),
        StoreError::Closed | StoreError::NoPlace | StoreError::ReferenceTaken { .. } => (
            "le guichet n'a pas pu faire ce travail".to_owned(),
            "recommencez ; si cela revient, gardez le dossier de données et signalez-le",
        ),
    };
    report::say(format!("erreur : {what}"));
    report::say(format!("aide : {hint}"));
    match error {
        StoreError::Absent { .. } | StoreError::Locked { .. } => Exit::Fault,
        _ => Exit::Machine,
    }
}

/// The same for the data of one commune: one that got nothing yet has no mistake in its path.
pub(super) fn place_fault(place: &DataPlace, error: &StoreError) -> Exit {
    match (error, &place.commune) {
        (StoreError::Absent { .. }, Some(name)) => {
            report::say(format!("erreur : « {name} » : aucune demande encore"));
            report::say(
                "aide : sa base est créée quand son guichet s'ouvre la première fois ; si elle en a reçu, vérifiez donnees dans guichet.toml",
            );
            Exit::Fault
        }
        _ => store_fault(error),
    }
}

/// Says why the bucket of the files cannot be used.
fn bucket_fault(error: &S3Error) -> Exit {
    report::say(format!("erreur : les fichiers joints ne peuvent ni être lus ni gardés : {error}"));
    report::say(format!(
        "aide : {} ([fichiers] de guichet.toml) ; rien de ce que le seau contient n'est perdu",
        error.remedy()
    ));
    if error.is_order() { Exit::Fault } else { Exit::Machine }
}

/// Says that a bucket is not the one of this guichet.
fn foreign_bucket(address: &str) -> Exit {
    report::say(format!(
        "erreur : « {address} » n'est pas le seau de ce guichet : il est à une autre clé, ou n'a pas les fichiers des demandes gardées ici"
    ));
    report::say(
        "aide : corrigez s3 sous [fichiers], un préfixe par guichet ; pour changer de seau, copiez d'abord tout l'ancien, marque comprise",
    );
    Exit::Fault
}

/// What to do when another account owns what is asked for.
pub(super) const AS_THE_ACCOUNT: &str = "lancez la commande avec le compte du guichet (sudo -u mulot mulot …)";

const READ_ONLY_HINT: &str = "un disque se met ainsi quand il va mal : regardez le journal du système (dmesg), réparez ou changez le disque, \
     puis redémarrez la machine ; en attendant, mulot demandes liste et voir marchent encore";

/// Why a file of the guichet cannot be kept or given back, in French.
pub(super) fn file_cause(error: &FileError) -> String {
    match error {
        FileError::Io { source, .. } => cause(source),
        FileError::Full { .. } => "il n'y a plus assez de place".to_owned(),
        FileError::Missing { .. } => "elle n'y est plus".to_owned(),
        FileError::Damaged { .. } => "elle est abîmée".to_owned(),
        FileError::Bucket(error) => error.to_string(),
        FileError::ForeignBucket { address } => format!("« {address} » n'est pas le seau de ce guichet"),
        FileError::ManyOrphans { address, orphans, files } => format!(
            "{orphans} des {files} fichiers de « {address} » ne sont d'aucune demande de cette base : rien n'en est effacé"
        ),
        FileError::Store(StoreError::Io { source, .. }) => cause(source),
        FileError::Store(StoreError::Database { source, .. }) => cause_of_words(&source.to_string()),
        _ => "le dossier de données ne répond pas comme il faut".to_owned(),
    }
}

/// Says why the key of the guichet cannot be used.
fn key_fault(error: &KeyError) -> Exit {
    let (what, hint) = match error {
        KeyError::Absent { path } => (
            format!("la clé « {} » manque : les demandes gardées ne peuvent pas être relues", path.display()),
            "remettez la clé sauvegardée à part, ou dites où elle est : cle_fichier dans guichet.toml, ou la variable \
             MULOT_CLE_FICHIER",
        ),
        KeyError::Malformed { path } => (
            format!("« {} » n'est pas une clé du guichet", path.display()),
            "remettez celle que vous avez sauvegardée ; sans elle, les demandes gardées ne peuvent pas être relues",
        ),
        KeyError::Io { path, source } => (
            format!("la clé « {} » ne peut pas être lue ou créée : {}", path.display(), cause(source)),
            "vérifiez que son dossier existe et que le compte du guichet peut la lire",
        ),
        KeyError::Entropy(_) => ("la machine ne donne pas de nombres au hasard".to_owned(), "redémarrez la machine"),
    };
    report::say(format!("erreur : {what}"));
    report::say(format!("aide : {hint}"));
    Exit::Machine
}

/// Says why a server does not start; `in_use` is what to do when its address is taken.
pub(super) fn start_fault(error: &StartError, in_use: &str) -> Exit {
    let told = |what: String, hint: &str, exit: Exit| {
        report::say(format!("erreur : {what}"));
        report::say(format!("aide : {hint}"));
        exit
    };
    match error {
        StartError::Closed(error) => start_fault(error, in_use),
        StartError::Listen(ListenError::InUse(address)) => {
            told(format!("l'adresse {address} est déjà prise par un autre programme"), in_use, Exit::Machine)
        }
        StartError::Listen(ListenError::Io { address, source }) => told(
            format!("impossible d'écouter sur {address} : {}", cause(source)),
            "vérifiez l'adresse ; un port sous 1024 demande des droits particuliers",
            Exit::Machine,
        ),
        StartError::Content(diagnostics) => {
            report::say(
                report::text(diagnostics, std::path::Path::new("."), report::colour(&std::io::stderr())).trim_end(),
            );
            // A configuration stands in no folder of texts.
            let is_of_texts = |one: &Diagnostic| {
                one.place.file.contains('/')
                    || !one.place.file.ends_with(".toml")
                    || one.place.file.ends_with(Commune::FILE)
            };
            let summary = report::summary(diagnostics);
            match diagnostics.iter().any(is_of_texts) {
                true => told(
                    format!("{summary} dans le dossier de la commune"),
                    "corrigez-les : mulot check DOSSIER les montre toutes",
                    Exit::Fault,
                ),
                false => {
                    told(format!("{summary} dans les réglages"), "corrigez ce fichier, puis relancez", Exit::Fault)
                }
            }
        }
        StartError::Store(error) | StartError::Files(FileError::Store(error)) => store_fault(error),
        StartError::Files(FileError::Bucket(error)) => bucket_fault(error),
        StartError::Files(FileError::ForeignBucket { address }) => foreign_bucket(address),
        StartError::Files(error) => told(
            format!("les fichiers reçus ne peuvent pas être gardés : {}", file_cause(error)),
            "vérifiez la place libre et le droit d'écrire dans le dossier de données",
            Exit::Machine,
        ),
        StartError::Mailer(MailerError::ClearCredentials { host }) => told(
            format!("le mot de passe partirait en clair vers {host}"),
            "écrivez chiffrement = \"starttls\" (port 587) ou \"tls\" (port 465)",
            Exit::Fault,
        ),
        StartError::Mailer(error) => told(
            format!("les courriels ne peuvent pas partir : {}", cause_of_words(&error.to_string())),
            "vérifiez la partie [courriel] de la configuration",
            Exit::Machine,
        ),
        StartError::Watch { folder, reason } => told(
            format!("le dossier « {} » ne peut pas être surveillé : {}", folder.display(), cause_of_words(reason)),
            "trop de fichiers sont peut-être surveillés sur cette machine : fermez d'autres programmes",
            Exit::Machine,
        ),
        StartError::Certificate { path, source } => told(
            format!("le certificat « {} » ne peut pas servir : {source}", path.display()),
            "vérifiez [[https.certificats]] : certificat est la chaîne (fullchain.pem), cle_privee la clé qui va avec",
            Exit::Machine,
        ),
        StartError::Tls(reason) => told(
            format!("le chiffrement ne peut pas être mis en route : {reason}"),
            "redémarrez la machine ; si cela revient, signalez-le",
            Exit::Machine,
        ),
        StartError::Io { path, source } if source.kind() == ErrorKind::NotFound => told(
            format!("« {} » n'existe pas", path.display()),
            "vérifiez son chemin dans guichet.toml : certificat ou cle_privee sous [[https.certificats]], ou donnees",
            Exit::Machine,
        ),
        StartError::Io { path, source } => told(
            format!("impossible d'utiliser « {} » : {}", path.display(), cause(source)),
            "vérifiez la place libre et vos droits à cet endroit",
            Exit::Machine,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_file_is_not_kept_is_said_in_french() {
        let path = std::path::PathBuf::from("pj");
        // EROFS.
        let error = FileError::Io { path: path.clone(), source: std::io::Error::from_raw_os_error(30) };
        assert_eq!(file_cause(&error), "ce disque est en lecture seule");
        assert_eq!(file_cause(&FileError::Full { path }), "il n'y a plus assez de place");
    }
}
