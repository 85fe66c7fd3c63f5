//! `mulot demandes exporter`: all that is kept of one request, for the person it is about (RGPD, right of access).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::demandes::unknown;
use super::{Exit, report};
use crate::intake::files::FileStore;
use crate::intake::store::{Detail, Store, StoreError};
use crate::model::reference::Reference;
use crate::model::submission::{AnswerValue, StoredFile};
use crate::text::numbers::plural;

/// Gives the request as JSON, and copies its files to `files` when asked.
pub(super) fn run(
    store: &Store,
    data: &Path,
    reference: &Reference,
    files: Option<&PathBuf>,
) -> Result<Exit, StoreError> {
    let Some(detail) = store.detail(reference, true)? else { return Ok(unknown(reference)) };
    report::give(serde_json::to_string_pretty(&document(&detail)).unwrap_or_default());
    let Some(folder) = files else { return Ok(Exit::Done) };
    match copy(store, data, &detail, folder) {
        Ok(count) => {
            let count = plural(count as u64, "pièce copiée", "pièces copiées");
            report::say(format!(
                "{count} dans « {} » : données personnelles, à effacer après remise",
                folder.display()
            ));
            Ok(Exit::Done)
        }
        Err(error) => {
            report::say(format!("erreur : les pièces ne peuvent pas toutes être copiées ({error})"));
            report::say("aide : vérifiez que le dossier est vide et que vous avez le droit d'y écrire");
            Ok(Exit::Machine)
        }
    }
}

/// What is kept of a request, in words the person can read.
fn document(detail: &Detail) -> Value {
    let files: Vec<Value> = detail
        .files
        .iter()
        .map(|file| json!({ "nom": file.name, "type": file.media_type, "octets": file.size }))
        .collect();
    let events: Vec<Value> =
        detail.events.iter().map(|event| json!({ "date": event.at.to_string(), "evenement": event.kind })).collect();
    json!({
        "reference": detail.reference.as_str(),
        "formulaire": detail.form_id,
        "titre": detail.form_title,
        "recue_le": detail.received_at.to_string(),
        "conservee_jusqu_au": detail.purge_after.to_string(),
        "effacee_le": detail.purged_at.map(|at| at.to_string()),
        "expediteur": detail.sender.as_ref().map(|sender| json!({ "nom": sender.name, "courriel": sender.email })),
        "reponses": detail.answers,
        "pieces": files,
        "evenements": events,
    })
}

/// Copies the files of the answers; never over another one.
fn copy(store: &Store, data: &Path, detail: &Detail, folder: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let kept = FileStore::open(data, store.seal(), 0)?;
    std::fs::create_dir_all(folder)?;
    let of = |value| match value {
        AnswerValue::Files(files) => files,
        _ => Vec::new(),
    };
    let files: Vec<StoredFile> = detail.answers.iter().flat_map(|answer| of(answer.value.clone())).collect();
    for (number, file) in files.iter().enumerate() {
        // Names were made safe when the files came; the number keeps two of the same name apart.
        let path = folder.join(format!("{}-{}", number + 1, file.name));
        let bytes = kept.read(file)?;
        let mut copy = std::fs::OpenOptions::new().create_new(true).write(true).open(path)?;
        std::io::Write::write_all(&mut copy, &bytes)?;
    }
    Ok(files.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sample::{reference, submission};
    use crate::intake::store::StoreOptions;

    #[test]
    fn the_export_holds_all_that_is_kept_and_nothing_once_erased() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions { min_free_bytes: 0, ..StoreOptions::default() }).unwrap();
        store.record_blocking(submission(1)).unwrap();
        let text = |store: &Store| document(&store.detail(&reference(1), true).unwrap().unwrap()).to_string();
        for kept in ["Lampion", "zoe.lampion@example.fr", "Puits-Perdu", "conservee_jusqu_au"] {
            assert!(text(&store).contains(kept), "{kept}");
        }
        assert_eq!(run(&store, dir.path(), &reference(1), Some(&dir.path().join("copie"))).unwrap(), Exit::Done);
        store.erase(&reference(1), jiff::Timestamp::now()).unwrap();
        assert!(!text(&store).contains("Lampion") && text(&store).contains("purged"));
        assert_eq!(run(&store, dir.path(), &reference(2), None).unwrap(), Exit::Fault);
    }
}
