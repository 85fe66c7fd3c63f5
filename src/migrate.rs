//! Brings the folder of a commune or of a territoire, written for an earlier version, to the present format.
//!
//! Only the lines that must change do: comments, order and blanks stay. A folder of the present format is left as it is; one of
//! a later format is refused. Each file is replaced whole; a run that was stopped is simply run again.
//!
//! | format | since | what it changed |
//! |---|---|---|
//! | 0 | 21 November 2026 | no `format` key |
//! | 1 | 26 November 2026 | names that the guichet keeps for itself are no longer questions' |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, Value};

use crate::fs::{self, FsError};
use crate::model::commune::Commune;
use crate::model::form::FieldKind;
use crate::model::form::own::is_own;
use crate::model::territoire::Territoire;

/// A file that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path in the folder, `/` separated.
    pub path: String,
    /// What changes, in French, a sentence each.
    pub what: Vec<String>,
    text: String,
}

/// Why a folder was not migrated; nothing of it was changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Neither a commune nor a territoire.
    #[error("« {} » n'est ni le dossier d'une commune, ni celui d'un territoire", .0.display())]
    NotAFolder(PathBuf),
    /// Of a later format: file and format.
    #[error("« {} » est écrit pour un Mulot plus récent (format {format})", path.display())]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// Its format.
        format: i64,
    },
    /// A file that is not TOML.
    #[error("« {} » n'est pas lisible : mulot check dit ce qui ne va pas", .0.display())]
    Unreadable(PathBuf),
    /// A file or folder that cannot be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// What has to change in a folder, nothing being written; empty when it is of the present format.
///
/// # Errors
/// [`MigrateError`].
pub fn plan(folder: &Path) -> Result<Vec<Change>, MigrateError> {
    let mut changes = Vec::new();
    let territoire = folder.join(Territoire::FILE);
    let commune = folder.join(Commune::FILE);
    if territoire.is_file() {
        changes.extend(declared(folder, Territoire::FILE, Territoire::FORMAT)?);
        changes.extend(forms(folder, Territoire::COMMON)?);
        for name in fs::folders(&folder.join(Territoire::COMMUNES))? {
            let inside = format!("{}/{name}", Territoire::COMMUNES);
            if folder.join(&inside).join(Commune::FILE).is_file() {
                changes.extend(of_commune(folder, &inside)?);
            }
        }
    } else if commune.is_file() {
        changes.extend(of_commune(folder, "")?);
    } else {
        return Err(MigrateError::NotAFolder(folder.to_owned()));
    }
    Ok(changes)
}

/// Writes the changes of a plan.
///
/// # Errors
/// [`MigrateError::Fs`]; the files before it are changed, and the plan can be made again.
pub fn apply(folder: &Path, changes: &[Change]) -> Result<(), MigrateError> {
    // The file that says the format comes last: a run that stopped before is seen to be unfinished.
    let is_mark = |change: &&Change| change.path.ends_with(Commune::FILE) || change.path.ends_with(Territoire::FILE);
    for change in changes.iter().filter(|change| !is_mark(change)).chain(changes.iter().filter(is_mark)) {
        fs::write_atomic(&folder.join(&change.path), change.text.as_bytes())?;
    }
    Ok(())
}

fn of_commune(root: &Path, inside: &str) -> Result<Vec<Change>, MigrateError> {
    let file = join(inside, Commune::FILE);
    let own = declared(root, &file, Commune::FORMAT)?;
    // What has the present format was migrated whole.
    if own.is_none() {
        return Ok(Vec::new());
    }
    Ok(forms(root, inside)?.into_iter().chain(own).collect())
}

/// The file that says a folder's format, with the present one; `None` when it says so already.
fn declared(root: &Path, inside: &str, present: i64) -> Result<Option<Change>, MigrateError> {
    let path = root.join(inside);
    let text = read(&path)?;
    let document: DocumentMut = text.parse().map_err(|_| MigrateError::Unreadable(path.clone()))?;
    match document.get("format").and_then(Item::as_integer) {
        Some(format) if format > present => Err(MigrateError::Newer { path, format }),
        Some(format) if format == present => Ok(None),
        _ => {
            let mut document = document;
            document.remove("format");
            let written = with_format(&document.to_string(), present);
            let what = vec![format!("dit son format : format = {present}")];
            Ok(Some(Change { path: inside.to_owned(), what, text: written }))
        }
    }
}

/// The text with its format before its first key, after the words that open it.
fn with_format(text: &str, format: i64) -> String {
    let start = text
        .split_inclusive('\n')
        .take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        .map(str::len)
        .sum::<usize>();
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    format!("{}format = {format}{ending}{}", &text[..start], &text[start..])
}

/// The fiches whose questions have names that the guichet keeps for itself.
fn forms(root: &Path, inside: &str) -> Result<Vec<Change>, MigrateError> {
    let folder = root.join(join(inside, "demarches"));
    let mut changes = Vec::new();
    if !folder.is_dir() {
        return Ok(changes);
    }
    for file in fs::walk(&folder, &folder).files.into_iter().filter(|file| file.relative.ends_with(".md")) {
        let text = read(&file.path)?;
        let path = join(inside, &format!("demarches/{}", file.relative));
        changes.extend(renamed(&text).map(|(text, what)| Change { path, what, text }));
    }
    Ok(changes)
}

/// A fiche with its questions renamed, and what was; `None` when there is nothing to do or it cannot be read.
fn renamed(text: &str) -> Option<(String, Vec<String>)> {
    let opening = text.find("+++")? + 3;
    let closing = opening + text[opening..].find("\n+++")? + 1;
    let mut document: DocumentMut = text[opening..closing].parse().ok()?;
    let questions = document.get("champ")?.as_array_of_tables()?;
    let ids: Vec<String> = questions.iter().filter_map(|table| Some(table.get("id")?.as_str()?.to_owned())).collect();
    let mut names = BTreeMap::new();
    for table in questions {
        let (Some(id), kind) = (table.get("id").and_then(Item::as_str), table.get("type").and_then(Item::as_str))
        else {
            continue;
        };
        // What only a question of several inputs may not be called depends on its kind.
        let dotted = matches!(kind, Some("adresse" | "personne" | "enfant" | "groupe"));
        let stand_in = if dotted { FieldKind::Address } else { FieldKind::Email };
        if is_own(id, &stand_in) {
            let free = (1..)
                .map(|number| if number == 1 { format!("{id}_demande") } else { format!("{id}_demande_{number}") });
            let new = free.into_iter().find(|new| !ids.contains(new) && !names.values().any(|name| name == new))?;
            names.insert(id.to_owned(), new);
        }
    }
    if names.is_empty() {
        return None;
    }
    rename_in(document.as_table_mut(), &names);
    let what = names.iter().map(|(old, new)| format!("la question « {old} » s'appelle « {new} »")).collect();
    Some((format!("{}{document}{}", &text[..opening], &text[closing..]), what))
}

/// Renames questions wherever they are named: their ids, and conditions.
fn rename_in(table: &mut Table, names: &BTreeMap<String, String>) {
    for (key, item) in table.iter_mut() {
        match item {
            Item::Value(value) => {
                let Some(old) = value.as_str() else { continue };
                let new = match key.get() {
                    "id" => names.get(old).cloned(),
                    "si" => Some(condition(old, names)).filter(|new| new != old),
                    _ => None,
                };
                if let Some(new) = new {
                    let decor = value.decor().clone();
                    *value = Value::from(new);
                    *value.decor_mut() = decor;
                }
            }
            Item::Table(inner) => rename_in(inner, names),
            Item::ArrayOfTables(list) => list.iter_mut().for_each(|inner| rename_in(inner, names)),
            Item::None => {}
        }
    }
}

/// A condition whose questions, the first word of each of its parts, are renamed.
fn condition(text: &str, names: &BTreeMap<String, String>) -> String {
    let parts = text.split(" et ").map(|part| {
        let trimmed = part.trim_start();
        let end = trimmed.find([' ', '=', '<', '>', '.']).unwrap_or(trimmed.len());
        let lead = &part[..part.len() - trimmed.len()];
        match names.get(&trimmed[..end]) {
            Some(new) => format!("{lead}{new}{}", &trimmed[end..]),
            None => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join(" et ")
}

fn join(inside: &str, name: &str) -> String {
    if inside.is_empty() { name.to_owned() } else { format!("{inside}/{name}") }
}

fn read(path: &Path) -> Result<String, MigrateError> {
    String::from_utf8(fs::read(path)?).map_err(|_| MigrateError::Unreadable(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_said_before_the_first_key_and_the_rest_stays() {
        assert_eq!(with_format("# Mots\n\nnom = \"A\" # ici\n", 1), "# Mots\n\nformat = 1\nnom = \"A\" # ici\n");
        assert_eq!(with_format("nom = 1\r\n", 1), "format = 1\r\nnom = 1\r\n");
    }

    #[test]
    fn questions_with_a_kept_name_are_renamed_wherever_they_are_named() {
        let fiche = "+++\ntitre = \"D\"   # un mot\n\n[[champ]]\nid = \"page\"\ntype = \"nombre\"\n\n[[champ]]\nid = \"suite\"\n\
                     si = \"page > 3 et autre = page\"\n[[champ]]\nid = \"page_demande\"\n+++\nLa page reste.\n";
        let (text, what) = renamed(fiche).expect("something to rename");
        let wanted = fiche
            .replace("id = \"page\"", "id = \"page_demande_2\"")
            .replace("page > 3 et autre = page", "page_demande_2 > 3 et autre = page");
        assert_eq!(text, wanted);
        assert_eq!(what, ["la question « page » s'appelle « page_demande_2 »"]);
        assert_eq!(renamed(&text), None);
        assert_eq!(renamed("sans en-tête"), None);
    }
}
