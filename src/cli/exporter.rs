//! `mulot demandes exporter`: all that is kept of one request, for the person it is about (RGPD, right of access).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Zoned;
use serde_json::{Value, json};

use super::demandes::told::{Teller, outcome, reply};
use super::demandes::unknown;
use super::faults::file_cause;
use super::place::DataPlace;
use super::{Exit, report};
use crate::intake::files::FileError;
use crate::intake::follow::{Case, act_title};
use crate::intake::store::{Detail, Kept, Store, StoreError};
use crate::model::dossier::{Act, ActKind, Agent};
use crate::model::reference::Reference;
use crate::model::submission::{AnswerValue, StoredFile};
use crate::text::dates::{received_at, short_date};
use crate::text::numbers::{file_size, plural};

/// Gives the request as a text to read, or as JSON, and copies its files to `files` when asked, with the text beside them.
pub(super) fn run(
    store: &Store,
    place: &DataPlace,
    reference: &Reference,
    (files, json): (Option<&PathBuf>, bool),
) -> Result<Exit, StoreError> {
    let (Some(detail), Some(kept)) = (store.detail(reference, true)?, store.kept(reference)?) else {
        return Ok(unknown(reference));
    };
    let readable = text(&detail, &kept);
    if json {
        report::give(serde_json::to_string_pretty(&document(&detail, &kept)).unwrap_or_default());
    } else {
        report::give(readable.trim_end());
    }
    let Some(folder) = files else { return Ok(Exit::Done) };
    match copy(store, place, &kept, folder)
        .and_then(|count| write_new(&folder.join(TEXT), readable.as_bytes()).map(|()| count))
    {
        Ok(count) => {
            let count = plural(count as u64, "pièce copiée", "pièces copiées");
            report::say(format!(
                "{TEXT} et {count} dans « {} » : données personnelles, à effacer après remise",
                folder.display()
            ));
            Ok(Exit::Done)
        }
        Err(why) => {
            report::say(format!("erreur : les pièces ne peuvent pas toutes être copiées : {why}"));
            report::say("aide : donnez un dossier vide, où vous avez le droit d'écrire");
            Ok(Exit::Machine)
        }
    }
}

/// What is kept of a request, in words the person can read; every instant in the commune's zone, with its offset.
fn document(detail: &Detail, kept: &Kept) -> Value {
    let teller = Teller { zone: detail.received_at.time_zone().clone() };
    let files: Vec<Value> = detail
        .files
        .iter()
        .map(|file| json!({ "nom": file.name, "type": file.media_type, "octets": file.size }))
        .collect();
    let events: Vec<Value> = detail
        .events
        .iter()
        .map(|event| json!({ "date": teller.iso(event.at), "evenement": outcome(&event.kind) }))
        .collect();
    let receipt = Case::of(kept.clone()).map(|case| case.receipt.document().text());
    json!({
        "reference": detail.reference.as_str(),
        "formulaire": detail.form_id,
        "titre": detail.form_title,
        "recue_le": iso(&detail.received_at),
        "conservee_jusqu_au": detail.purge_after.to_string(),
        "effacee_le": detail.purged_at.map(|at| teller.iso(at)),
        "expediteur": detail.sender.as_ref().map(|sender| json!({ "nom": sender.name, "courriel": sender.email })),
        "reponses": detail.answers,
        "accuse": receipt,
        "suites": kept.acts.iter().map(told).collect::<Vec<_>>(),
        "pieces": files,
        "evenements": events,
    })
}

/// What followed: who did what, the letter that was written, what the person added.
fn told(act: &Act) -> Value {
    let mut told = json!({
        "date": iso(&act.at),
        "acte": act_title(&act.kind),
        "par": act.agent.as_ref().map_or_else(|| "l'usager".to_owned(), Agent::words),
        "lettre": act.letter,
    });
    if let ActKind::Complement { text, files } = &act.kind {
        told["texte"] = json!(text);
        told["fichiers"] = files.iter().map(|file| json!(file.name)).collect();
    }
    told
}

/// `2026-11-26T09:32:02+01:00`.
fn iso(at: &Zoned) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Copies the files of the answers and those added later; never over another one. Otherwise says why, in French.
fn copy(store: &Store, place: &DataPlace, kept: &Kept, folder: &Path) -> Result<usize, String> {
    let source = place
        .files(store)
        .map_err(|error| format!("« {} » ne peut pas être lu : {}", place.data.display(), file_cause(&error)))?;
    std::fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))?;
    let answered = kept.answers.iter().filter_map(|answer| match &answer.value {
        AnswerValue::Files(files) => Some(files),
        _ => None,
    });
    let added = kept.acts.iter().filter_map(|act| match &act.kind {
        ActKind::Complement { files, .. } => Some(files),
        _ => None,
    });
    let files: Vec<&StoredFile> = answered.chain(added).flatten().collect();
    for (number, file) in files.iter().enumerate() {
        // Names were made safe when the files came; the number keeps two of the same name apart.
        let path = folder.join(format!("{}-{}", number + 1, file.name));
        let bytes = source.read(file).map_err(|error| not_read(file, &error))?;
        write_new(&path, &bytes)?;
    }
    Ok(files.len())
}

/// Writes a file that was not there.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), String> {
    use std::os::unix::fs::OpenOptionsExt;
    // What somebody wrote to the mairie: for whoever gave the order alone.
    let new = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    new.and_then(|mut copy| std::io::Write::write_all(&mut copy, bytes)).map_err(|error| not_written(path, &error))
}

/// The same as [`document`], to be read and handed over.
fn text(detail: &Detail, kept: &Kept) -> String {
    let teller = Teller { zone: detail.received_at.time_zone().clone() };
    let mut lines = vec![
        format!("{} – référence {}", detail.form_title, detail.reference.as_str()),
        "Tout ce que la mairie garde de cette demande, remis à la personne concernée (RGPD, article 15).".to_owned(),
        String::new(),
        format!("Reçue {}", received_at(&detail.received_at)),
        match detail.purged_at {
            Some(at) => format!("Réponses effacées le {}", teller.when(at)),
            None => format!("Gardée jusqu'au {}", short_date(detail.purge_after)),
        },
    ];
    if let Some(sender) = &detail.sender {
        lines.extend((!sender.name.is_empty()).then(|| format!("Nom : {}", sender.name)));
        lines.extend(sender.email.as_ref().map(|email| format!("Adresse électronique : {email}")));
    }
    let mut chapter = |title: &str, body: Vec<String>| {
        if !body.is_empty() {
            lines.extend([String::new(), title.to_uppercase(), String::new()]);
            lines.extend(body);
        }
    };
    let indented = |text: &str| text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>();
    let answers = detail
        .answers
        .iter()
        .flat_map(|answer| [vec![format!("{} :", answer.question)], indented(&reply(answer))].concat());
    chapter("Les réponses", answers.collect());
    let files = detail.files.iter().map(|file| {
        let name = if file.name.is_empty() { "fichier effacé" } else { &file.name };
        format!("{name} ({}, {})", file.media_type, file_size(file.size))
    });
    chapter("Les pièces jointes", files.collect());
    let receipt = Case::of(kept.clone()).map(|case| case.receipt.document().text());
    chapter("L'accusé donné à l'envoi", receipt.as_deref().map(indented).unwrap_or_default());
    let acts = kept.acts.iter().flat_map(|act| {
        let by = act.agent.as_ref().map_or_else(|| "l'usager".to_owned(), Agent::words);
        let mut told = vec![format!("{} – {}, par {by}", received_at(&act.at), act_title(&act.kind))];
        if let ActKind::Complement { text, files } = &act.kind {
            told.extend(indented(text));
            told.extend(files.iter().map(|file| format!("    Fichier : {}", file.name)));
        }
        told.extend(act.letter.iter().flat_map(|paragraph| indented(paragraph)));
        told
    });
    chapter("Les suites et les lettres", acts.collect());
    let events = detail.events.iter().map(|event| format!("{} – {}", teller.when(event.at), outcome(&event.kind)));
    chapter("Les envois de courriels et les effacements", events.collect());
    lines.join("\n") + "\n"
}

/// Name of the text beside the files.
const TEXT: &str = "demande.txt";

fn not_read(file: &StoredFile, error: &FileError) -> String {
    let name = &file.name;
    match error {
        FileError::Missing { .. } => format!("la pièce « {name} » n'est plus là"),
        FileError::Damaged { .. } => format!("la pièce « {name} » est abîmée"),
        error => format!("la pièce « {name} » ne peut pas être lue : {}", file_cause(error)),
    }
}

fn not_written(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => format!("« {path} » existe déjà, et n'est pas remplacé"),
        ErrorKind::PermissionDenied => format!("vous n'avez pas le droit d'écrire « {path} »"),
        ErrorKind::StorageFull => format!("il n'y a plus de place pour « {path} »"),
        _ => format!("« {path} » ne peut pas être écrit : {}", crate::fs::cause(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sample::{reference, submission};
    use crate::intake::store::{Acted, NewAct, StoreOptions};

    #[test]
    fn the_export_holds_all_that_is_kept_and_nothing_once_erased() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions { min_free_bytes: 0, ..StoreOptions::default() }).unwrap();
        store.record_blocking(submission(1)).unwrap();
        let text = |store: &Store| {
            let detail = store.detail(&reference(1), true).unwrap().unwrap();
            document(&detail, &store.kept(&reference(1)).unwrap().unwrap()).to_string()
        };
        for kept in ["Lampion", "zoe.lampion@example.fr", "Puits-Perdu", "conservee_jusqu_au"] {
            assert!(text(&store).contains(kept), "{kept}");
        }
        let folder = dir.path().join("copie");
        assert_eq!(
            run(&store, &DataPlace::folder(dir.path()), &reference(1), (Some(&folder), false)).unwrap(),
            Exit::Done
        );
        let readable = std::fs::read_to_string(folder.join(TEXT)).unwrap();
        for words in ["Lampion", "LES RÉPONSES", "Reçue le", "Gardée jusqu'au"] {
            assert!(readable.contains(words), "{words}: {readable}");
        }
        assert!(!readable.contains('{') && !readable.contains("zone"), "a text, not a dump: {readable}");
        assert_eq!(
            run(&store, &DataPlace::folder(dir.path()), &reference(1), (Some(&folder), false)).unwrap(),
            Exit::Machine,
            "never over"
        );
        store.erase(&reference(1), jiff::Timestamp::now()).unwrap();
        assert!(!text(&store).contains("Lampion") && text(&store).contains("réponses effacées"));
        assert_eq!(run(&store, &DataPlace::folder(dir.path()), &reference(2), (None, true)).unwrap(), Exit::Fault);
    }

    #[tokio::test]
    async fn what_followed_is_exported_too_and_no_file_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions { min_free_bytes: 0, ..StoreOptions::default() }).unwrap();
        store.record(submission(1)).await.unwrap();
        let agent =
            Agent { first_name: "Claire".into(), last_name: "Denis".into(), title: "secrétaire de mairie".into() };
        let at: Zoned = "2026-11-26T09:32:02+01:00[Europe/Paris]".parse().unwrap();
        let act = Act { at, agent: Some(agent), kind: ActKind::Acceptation, letter: vec!["C'est d'accord.".into()] };
        let new = NewAct { version: 0, act, mails: Vec::new() };
        assert!(matches!(store.act(&reference(1), new).await.unwrap(), Acted::Done(1)));
        let (detail, kept) =
            (store.detail(&reference(1), true).unwrap().unwrap(), store.kept(&reference(1)).unwrap().unwrap());
        let readable = text(&detail, &kept).replace(['\u{a0}', '\u{202f}'], " ");
        for words in
            ["Demande acceptée, par Claire Denis, secrétaire de mairie", "    C'est d'accord.", "26 novembre 2026"]
        {
            assert!(readable.contains(words), "{words}: {readable}");
        }
        let told = document(&detail, &kept);
        let followed = &told["suites"][0];
        assert_eq!(followed["date"], "2026-11-26T09:32:02+01:00");
        assert_eq!(followed["acte"], "Demande acceptée");
        assert_eq!(followed["par"], "Claire Denis, secrétaire de mairie");
        assert_eq!(followed["lettre"][0], "C'est d'accord.");
        assert!(!told["recue_le"].as_str().unwrap().contains('['), "{told}");
        let why = not_written(Path::new("copie/1-plan.pdf"), &ErrorKind::AlreadyExists.into());
        assert_eq!(why, "« copie/1-plan.pdf » existe déjà, et n'est pas remplacé");
    }
}
