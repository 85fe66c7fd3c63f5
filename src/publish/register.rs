//! The register of publication: one line of JSON for each version put online, only ever added to, beside the site that was built.
//!
//! Each line holds the fingerprint of the line before it (`chaine`): a line changed or taken away afterwards shows.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::PublishError;
use crate::fs;
use crate::model::publication::{Changes, Manifest, Version};

/// Name of the file.
pub const REGISTER: &str = "registre.jsonl";

/// A line of the register.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// When the version was put online, by the clock of the machine that sent it.
    pub publie_le: Timestamp,
    /// `publication`, or `retour` to a previous version.
    pub action: String,
    /// Where.
    pub destination: String,
    /// What is online from then on.
    pub version: String,
    /// What was online before.
    pub precedente: Option<String>,
    /// Files of the version.
    pub fichiers: usize,
    /// Files that did not exist before.
    pub ajoutes: usize,
    /// Files that hold something else.
    pub modifies: usize,
    /// Files that are gone.
    pub retires: usize,
    /// Documents that appeared, changed or went.
    pub documents: Vec<Document>,
    /// Fingerprint of the line before this one; of nothing for the first.
    pub chaine: String,
}

/// A document given to the public, as acts are today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// `paru`, `modifie` or `retire`.
    pub etat: String,
    /// Path in the site.
    pub chemin: String,
    /// BLAKE3 of its bytes: the new ones, or those that went.
    pub empreinte: String,
}

/// What a line is about.
pub(super) struct Told<'a> {
    pub(super) action: &'a str,
    pub(super) place: String,
    pub(super) version: &'a Version,
    pub(super) before: Option<&'a Version>,
    pub(super) old: &'a Manifest,
    pub(super) new: &'a Manifest,
    pub(super) changes: &'a Changes,
}

/// Adds a line, unless the last one about this place already says the same.
pub(super) fn add(folder: &Path, told: &Told<'_>) -> Result<(), PublishError> {
    let path = folder.join(REGISTER);
    let text = if path.exists() { String::from_utf8_lossy(&fs::read(&path)?).into_owned() } else { String::new() };
    let mut same_place = text.lines().rev().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    let last = same_place.find(|entry| entry.destination == told.place);
    if last.is_some_and(|entry| entry.version == told.version.version) {
        return Ok(());
    }
    let entry = Entry {
        publie_le: told.version.at,
        action: told.action.to_owned(),
        destination: told.place.clone(),
        version: told.version.version.clone(),
        precedente: told.before.map(|before| before.version.clone()),
        fichiers: told.new.files.len(),
        ajoutes: told.changes.added.len(),
        modifies: told.changes.changed.len(),
        retires: told.changes.removed.len(),
        documents: documents(told),
        chaine: link(text.lines().last().unwrap_or("")),
    };
    let line = serde_json::to_string(&entry).unwrap_or_default();
    // A line that a full disk or a power cut left unfinished stays as it is: the next one starts on its own line.
    let line = if text.is_empty() || text.ends_with('\n') { line } else { format!("\n{line}") };
    Ok(fs::append_line(&path, &line)?)
}

/// The first line, counted from 1, that does not follow from the one before it.
pub fn broken_at(text: &str) -> Option<usize> {
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str::<Entry>(line) {
            Ok(entry) if entry.chaine == link(before) => before = line,
            _ => return Some(number + 1),
        }
    }
    None
}

fn link(line: &str) -> String {
    blake3::hash(line.as_bytes()).to_hex().to_string()
}

fn documents(told: &Told<'_>) -> Vec<Document> {
    let list = |paths: &[String], etat: &str, manifest: &Manifest| {
        let of = |path: &String| {
            let file = manifest.files.get(path).filter(|_| is_document(path))?;
            Some(Document { etat: etat.to_owned(), chemin: path.clone(), empreinte: file.hash.clone() })
        };
        paths.iter().filter_map(of).collect::<Vec<_>>()
    };
    let mut documents = list(&told.changes.added, "paru", told.new);
    documents.extend(list(&told.changes.changed, "modifie", told.new));
    documents.extend(list(&told.changes.removed, "retire", told.old));
    documents
}

/// Whether a file is a document to read or keep, rather than a page, a picture or a style.
fn is_document(path: &str) -> bool {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
    matches!(end.as_str(), "pdf" | "odt" | "ods" | "odp" | "docx" | "xlsx" | "pptx" | "csv" | "zip" | "mp3" | "mp4")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::publication::Fingerprint;

    fn manifest(files: &[(&str, &str)]) -> Manifest {
        let file = |hash: &str| Fingerprint { hash: hash.into(), size: 1 };
        Manifest { files: files.iter().map(|(path, hash)| ((*path).to_owned(), file(hash))).collect() }
    }

    #[test]
    fn each_line_holds_the_fingerprint_of_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let steps = [
            manifest(&[("index.html", "1"), ("medias/arrete.pdf", "a")]),
            manifest(&[("index.html", "2"), ("medias/arrete.pdf", "b")]),
            manifest(&[("index.html", "3")]),
        ];
        let (mut old, mut before) = (Manifest::default(), None);
        for (number, new) in steps.into_iter().enumerate() {
            let version = Version { version: format!("{number:016}"), at: Timestamp::UNIX_EPOCH };
            let changes = Changes::between(&old, &new);
            let told = Told {
                action: "publication",
                place: "/var/www/a".into(),
                version: &version,
                before: before.as_ref(),
                old: &old,
                new: &new,
                changes: &changes,
            };
            add(folder.path(), &told).expect("added");
            add(folder.path(), &told).expect("not added twice");
            (old, before) = (new, Some(version));
        }
        let text = std::fs::read_to_string(folder.path().join(REGISTER)).expect("there");
        let entries: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
        let states: Vec<_> = entries.iter().flat_map(|entry| &entry.documents).map(|one| one.etat.as_str()).collect();
        assert_eq!(states, ["paru", "modifie", "retire"]);
        assert_eq!(broken_at(&text), None);
        assert_eq!(broken_at(&text.replace("\"ajoutes\":2", "\"ajoutes\":1")), Some(2));
    }
}
