//! Faults of the machine, one French sentence with the path and what to do.

use super::{Exit, report};
use crate::intake::store::StoreError;

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
        StoreError::Damaged { path, reason } => (
            format!("« {} » est illisible ou abîmé ({reason})", path.display()),
            "ne supprimez rien : restaurez la dernière sauvegarde dans un autre dossier, et gardez celui-ci",
        ),
        StoreError::Poisoned { path, reason } => (
            format!("le disque a refusé une écriture sous « {} » ({reason})", path.display()),
            "vérifiez le disque, puis redémarrez le guichet",
        ),
        StoreError::Io { path, source } => (
            format!("impossible de lire ou d'écrire « {} » ({source})", path.display()),
            "vérifiez que le dossier existe et que vous avez le droit d'y écrire",
        ),
        other => {
            (other.to_string(), "redémarrez le guichet ; si cela revient, gardez le dossier de données et signalez-le")
        }
    };
    report::say(format!("erreur : {what}"));
    report::say(format!("aide : {hint}"));
    match error {
        StoreError::Absent { .. } | StoreError::Locked { .. } => Exit::Fault,
        _ => Exit::Machine,
    }
}
