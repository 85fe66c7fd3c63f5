//! What has changed on the disk since it was written: told by `mulot demandes etat` and `reconcilier`.

use serde::Serialize;

use super::faults::file_cause;
use super::place::DataPlace;
use super::report;
use crate::intake::files::{FileTrouble, Reading};
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
    /// Why the bucket of the files cannot be looked into; what it holds is then not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    seau: Option<String>,
}

impl Integrity {
    /// Looks at everything.
    pub(super) fn look(store: &Store, place: &DataPlace, reading: Reading) -> Result<Integrity, StoreError> {
        let looked = place.files(store).and_then(|files| Ok((files.verify(store, reading)?, files.doubt(store)?)));
        let (fichiers, seau) = match looked {
            Ok((troubles, doubt)) => (troubles, doubt.as_ref().map(file_cause)),
            Err(error) if error.is_of_bucket() => (Vec::new(), Some(file_cause(&error))),
            Err(error) => return Err(error.into()),
        };
        Ok(Integrity { base: store.integrity()?, valeurs_abimees: store.damaged()?, fichiers, seau })
    }

    /// Whether nothing is wrong.
    pub(super) fn is_sound(&self) -> bool {
        self.is_whole() && self.seau.is_none()
    }

    /// Whether nothing is lost nor damaged, as far as could be looked.
    fn is_whole(&self) -> bool {
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
        if let Some(why) = &self.seau {
            report::give(format!("! seau des fichiers joints : {why}"));
            report::say("aide : rien n'est perdu pour autant : vérifiez [fichiers] de guichet.toml, puis relancez");
        }
        if !self.is_whole() {
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
