//! What has changed on the disk since it was written: told by `mulot demandes etat` and `reconcilier`.

use std::path::Path;

use serde::Serialize;

use super::report;
use crate::intake::files::{FileStore, FileTrouble, Reading};
use crate::intake::store::{Damage, Store, StoreError};

/// Everything that is wrong with what is kept; nothing personal in it.
#[derive(Debug, Serialize)]
pub(super) struct Integrity {
    /// What SQLite finds wrong with the database.
    base: Vec<String>,
    /// Values that do not open any more.
    valeurs_abimees: Vec<Damage>,
    /// Files missing or changed.
    fichiers: Vec<FileTrouble>,
}

impl Integrity {
    /// Looks at everything.
    pub(super) fn look(store: &Store, data: &Path, reading: Reading) -> Result<Integrity, StoreError> {
        let files = FileStore::open(data, store.seal(), 0)?;
        Ok(Integrity {
            base: store.integrity()?,
            valeurs_abimees: store.damaged()?,
            fichiers: files.verify(store, reading)?,
        })
    }

    /// Whether nothing is wrong.
    pub(super) fn is_sound(&self) -> bool {
        self.base.is_empty() && self.valeurs_abimees.is_empty() && self.fichiers.is_empty()
    }

    /// Says what is wrong, line by line.
    pub(super) fn tell(&self) {
        if !self.base.is_empty() {
            let count = crate::text::numbers::plural(self.base.len() as u64, "défaut", "défauts");
            report::give(format!("! base abîmée : {count} ; mulot demandes --format json les donne"));
        }
        for damage in &self.valeurs_abimees {
            report::give(format!("! {}  contenu abîmé : {}", damage.reference, words(damage.what)));
        }
        for file in &self.fichiers {
            let what = if file.is_missing { "fichier perdu" } else { "fichier abîmé" };
            report::give(format!("! {}  {what} : {}", file.reference.as_str(), file.id));
        }
        if !self.is_sound() {
            report::say(
                "aide : ce qui est abîmé n'est jamais envoyé tel quel ; ne supprimez rien, gardez ce dossier et restaurez \
                 la dernière sauvegarde dans un autre (docs/guichet.md)",
            );
        }
    }
}

fn words(column: &str) -> &str {
    match column {
        "submission.sender" => "le demandeur",
        "submission.receipt" => "l'accusé",
        "submission.backup" => "les adresses de secours",
        "answer.answer" => "une réponse",
        "file.file" => "le nom d'un fichier",
        "act.payload" => "une suite donnée par la mairie ou l'usager",
        "mail.mail" => "un message",
        "outbox.recipient" => "une adresse",
        other => other,
    }
}
