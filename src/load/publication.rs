//! Reads a `[publication]` table: where a site goes.

use std::path::{Path, PathBuf};

use super::toml_reader::Reader;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::publication::{FolderTarget, S3Target, SshTarget, Target};
use crate::model::territoire::Territoire;

/// Versions kept when the table does not say how many.
const VERSIONS: usize = 3;

/// The target that `[publication]` describes; `None` without it, or when it is not right. Relative paths of this machine that
/// stand in `territoire.toml` are taken from `territoire`, its folder; the commune's stay as they are written.
pub(crate) fn publication(
    reader: &mut Reader<'_, '_>,
    territoire: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Target> {
    let mut table = reader.table("publication", diagnostics)?;
    let before = diagnostics.len();
    // Of any kind of place, so that an exception keeps what all have.
    let versions = table.integer("versions", 1..=50, diagnostics).map_or(VERSIONS, |count| count as usize);
    table.choose(&["dossier", "ssh", "s3"]);
    let folder = table.text("dossier", diagnostics);
    let ssh = table.text("ssh", diagnostics);
    let s3 = table.text("s3", diagnostics);
    let chosen: Vec<&str> = [("dossier", &folder), ("ssh", &ssh), ("s3", &s3)]
        .into_iter()
        .filter_map(|(key, value)| value.as_ref().map(|_| key))
        .collect();
    if chosen.len() != 1 && diagnostics.len() == before {
        let (code, message) = match chosen.len() {
            0 => (Code::MissingKey, "[publication] ne dit pas où va le site".to_owned()),
            _ => (Code::BadValue, format!("[publication] dit {} endroits : {}", chosen.len(), chosen.join(", "))),
        };
        diagnostics.push(
            Diagnostic::error(code, table.table_place(), message)
                .hint("gardez une seule des clés dossier, ssh et s3 (docs/publier.md)"),
        );
    }
    let target = match (folder, ssh, s3) {
        (Some(folder), None, None) => {
            let path = based(&table, "dossier", folder, territoire);
            Some(Target::Folder(FolderTarget { path, versions }))
        }
        (None, Some(ssh), None) => ssh_target(&mut table, &ssh, (versions, territoire), diagnostics).map(Target::Ssh),
        (None, None, Some(s3)) => s3_target(&mut table, s3, (versions, territoire), diagnostics).map(Target::S3),
        _ => {
            // What depends on the kind of place is not judged without it; a key badly spelt is told all the same.
            table.leave(&["port", "cle_fichier", "hotes_connus", "ordonne", "region", "public"]);
            None
        }
    };
    table.finish(diagnostics);
    target
}

/// A path of this machine: one that all communes share is written once, for a folder that is none of theirs.
fn based(table: &Reader<'_, '_>, key: &str, written: String, territoire: &Path) -> PathBuf {
    if table.place(key).file == Territoire::FILE { territoire.join(written) } else { PathBuf::from(written) }
}

fn ssh_target(
    table: &mut Reader<'_, '_>,
    written: &str,
    (versions, territoire): (usize, &Path),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<SshTarget> {
    let port = table.integer("port", 1..=65_535, diagnostics).and_then(|port| u16::try_from(port).ok());
    let key_file = table.text("cle_fichier", diagnostics).map(|key| based(table, "cle_fichier", key, territoire));
    let known_hosts =
        table.text("hotes_connus", diagnostics).map(|hosts| based(table, "hotes_connus", hosts, territoire));
    let ordered = table.flag("ordonne", diagnostics).unwrap_or(false);
    match split_ssh(written) {
        Some((host, path)) => Some(SshTarget { host, path, port, key_file, known_hosts, ordered, versions }),
        None => {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadValue,
                    table.place("ssh"),
                    format!("« {written} » n'est pas un dossier d'une autre machine"),
                )
                .hint(
                    "écrivez ssh = \"compte@serveur.exemple.fr:/srv/www/site\" ; le port se donne à part : port = 2222",
                ),
            );
            None
        }
    }
}

/// `web@hote:/chemin` in two. Nothing in it may look like an option of `ssh`, nor climb above where it says.
fn split_ssh(written: &str) -> Option<(String, String)> {
    let colon = match written.split_once('[').filter(|(before, _)| !before.contains(':')) {
        Some((before, rest)) => before.len() + 1 + rest.find("]:")? + 1,
        None => written.find(':')?,
    };
    let (host, path) = (&written[..colon], written[colon + 1..].trim_end_matches('/'));
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '[' | ']' | ':' | '{' | '}');
    let plain_host = !host.is_empty() && !host.starts_with('-') && host.chars().all(fit) && !host.ends_with('@');
    let plain_path = !path.is_empty()
        && !path.starts_with(['-', '~'])
        && !path.chars().any(char::is_control)
        && !path.split('/').any(|part| matches!(part, "." | ".."));
    (plain_host && plain_path).then(|| (host.to_owned(), path.to_owned()))
}

fn s3_target(
    table: &mut Reader<'_, '_>,
    address: String,
    (versions, territoire): (usize, &Path),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<S3Target> {
    let region = table.text("region", diagnostics).unwrap_or_else(|| "us-east-1".into());
    let key_file = table.text("cle_fichier", diagnostics).map(|key| based(table, "cle_fichier", key, territoire));
    let public = table.flag("public", diagnostics).unwrap_or(false);
    if crate::s3::split_address(&address).is_err() {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                table.place("s3"),
                format!("« {address} » n'est pas l'adresse d'un seau"),
            )
            .hint("écrivez s3 = \"https://hôte/seau\" ou \"https://hôte/seau/prefixe\", sans clé dedans"),
        );
        return None;
    }
    Some(S3Target { address: address.trim_end_matches('/').to_owned(), region, key_file, public, versions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::toml_reader::{Source, parse};

    fn read(text: &str) -> (Option<Target>, Vec<String>) {
        read_in("commune.toml", text)
    }

    fn read_in(file: &str, text: &str) -> (Option<Target>, Vec<String>) {
        let mut diagnostics = Vec::new();
        let source = Source { file, text, first_line: 1 };
        let table = parse(source, &mut diagnostics);
        let mut reader = Reader::new(source, &table);
        let target = publication(&mut reader, Path::new("/base"), &mut diagnostics);
        (target, diagnostics.into_iter().map(|told| told.message).collect())
    }

    #[test]
    fn the_three_kinds_of_targets_are_read() {
        let place = |text: &str| {
            let (target, told) = read(&format!("[publication]\n{text}\n"));
            assert!(told.is_empty(), "{told:?}");
            target.map(|target| target.place())
        };
        assert_eq!(place("dossier = \"/var/www/a\"").as_deref(), Some("/var/www/a"));
        assert_eq!(place("dossier = \"../a\"").as_deref(), Some("../a"));
        assert_eq!(place("ssh = \"web@h.fr:/srv/a/\"\nport = 2222").as_deref(), Some("web@h.fr:/srv/a"));
        assert_eq!(place("ssh = \"web@h.fr:/srv/[a]:b\"").as_deref(), Some("web@h.fr:/srv/[a]:b"));
        assert_eq!(place("ssh = \"web@[2001:db8::1]:www\"").as_deref(), Some("web@[2001:db8::1]:www"));
        assert_eq!(place("s3 = \"https://h/seau/a/\"\nregion = \"fr-par\"").as_deref(), Some("https://h/seau/a"));
        assert_eq!(read("a = 1").0, None);
    }

    #[test]
    fn what_depends_on_the_place_is_not_judged_without_it() {
        assert_eq!(
            read("[publication]\nport = 22\ncle_fichier = \"a\"\n").1,
            ["[publication] ne dit pas où va le site"]
        );
    }

    #[test]
    fn a_path_that_the_territoire_gives_is_taken_from_its_folder() {
        let text = "[publication]\nssh = \"web@h:www/{commune}\"\ncle_fichier = \"cles/web\"\n";
        let (Some(Target::Ssh(ssh)), told) = read_in("territoire.toml", text) else { panic!("no target") };
        assert_eq!((ssh.key_file.as_deref(), told), (Some(Path::new("/base/cles/web")), Vec::new()));
        let (folder, _) = read_in("territoire.toml", "[publication]\ndossier = \"www/{commune}\"\n");
        assert_eq!(folder.map(|folder| folder.place()).as_deref(), Some("/base/www/{commune}"));
    }

    #[test]
    fn what_is_not_a_target_is_told() {
        for (text, words) in [
            ("versions = 3", "ne dit pas où va le site"),
            ("dosier = \"a\"", "la clé « dosier » n'existe pas ici"),
            ("dossier = \"a\"\ns3 = \"https://h/s\"", "dit 2 endroits : dossier, s3"),
            ("ssh = \"-oProxyCommand=x:/a\"", "n'est pas un dossier d'une autre machine"),
            ("ssh = \"web@h\"", "n'est pas un dossier d'une autre machine"),
            ("ssh = \"web@h:/a/../b\"", "n'est pas un dossier d'une autre machine"),
            ("s3 = \"h/s\"", "n'est pas l'adresse d'un seau"),
            ("dossier = \"a\"\nport = 22", "la clé « port » n'existe pas ici"),
            ("dossier = \"a\"\nversions = 0", "« versions » vaut 0"),
        ] {
            let (_, told) = read(&format!("[publication]\n{text}\n"));
            assert!(told.iter().any(|message| message.contains(words)), "{text}: {told:?}");
        }
    }
}
