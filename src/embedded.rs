//! What the binary carries with it: the starter commune, the catalogue, the theme and the lists of communes.
//!
//! Debug builds embed too (`debug-embed`), so that tests see what users get. Never writes, never decides.

use std::borrow::Cow;

use rust_embed::RustEmbed;

/// A file of an embedded folder: its path in that folder, `/` separated, and its bytes.
pub type EmbeddedFile = (Cow<'static, str>, Cow<'static, [u8]>);

/// Every present commune, gzipped CSV; columns and source in `content/donnees/SOURCE.md`.
pub const COMMUNES: &[u8] = include_bytes!("../content/donnees/communes.csv.gz");

/// Communes déléguées and associées, municipal arrondissements, gzipped CSV.
pub const FORMER_COMMUNES: &[u8] = include_bytes!("../content/donnees/communes_anciennes.csv.gz");

/// Départements and overseas collectivities, CSV.
pub const DEPARTEMENTS: &str = include_str!("../content/donnees/departements.csv");

/// The files of `starter-commune/`, in order of path.
pub fn starter() -> impl Iterator<Item = EmbeddedFile> {
    files::<StarterCommune>()
}

/// The files of `content/` that are contents, in order of path: the lowest layer of every commune.
pub fn catalogue() -> impl Iterator<Item = EmbeddedFile> {
    files::<Catalogue>()
}

/// The files of `content/nouvelle-commune/`, in order of path: what `mulot new` fills in for a real commune.
pub fn new_commune() -> impl Iterator<Item = EmbeddedFile> {
    files::<NewCommune>()
}

/// `territoire.toml` as `mulot new --territoire` fills it in.
pub const NEW_TERRITOIRE: &str = include_str!("../content/nouveau-territoire/territoire.toml");

/// What a rule is about (`M0701`), in the words of the documentation; `None` for one that it does not tell.
pub fn rule_words(code: &str) -> Option<&'static str> {
    let row =
        |line: &'static str| line.strip_prefix("| `")?.strip_prefix(code)?.strip_prefix("` | ")?.strip_suffix(" |");
    RULES.lines().find_map(row)
}

const RULES: &str = include_str!("../docs/diagnostics.md");

/// The files of `themes/mulot/`, in order of path.
pub fn theme() -> impl Iterator<Item = EmbeddedFile> {
    files::<Theme>()
}

fn files<Folder: RustEmbed>() -> impl Iterator<Item = EmbeddedFile> {
    let mut paths: Vec<_> = Folder::iter().collect();
    paths.sort_unstable();
    paths.into_iter().filter_map(|path| Folder::get(&path).map(|file| (path, file.data)))
}

#[derive(RustEmbed)]
#[folder = "starter-commune"]
struct StarterCommune;

#[derive(RustEmbed)]
#[folder = "content"]
#[exclude = "donnees/*"]
#[exclude = "nouvelle-commune/*"]
#[exclude = "nouveau-territoire/*"]
struct Catalogue;

#[derive(RustEmbed)]
#[folder = "content/nouvelle-commune"]
struct NewCommune;

#[derive(RustEmbed)]
#[folder = "themes/mulot"]
struct Theme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_embedded_whole_and_in_order() {
        for (folder, embedded) in [
            ("starter-commune", starter().collect::<Vec<_>>()),
            ("themes/mulot", theme().collect()),
            ("content", catalogue().collect()),
            ("content/nouvelle-commune", new_commune().collect()),
        ] {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut on_disk: Vec<_> = walkdir::WalkDir::new(&root)
                .into_iter()
                .map(|entry| entry.expect("a readable folder"))
                .filter(|entry| entry.file_type().is_file())
                .map(|entry| entry.path().strip_prefix(&root).expect("below the root").to_owned())
                .filter(|path| {
                    !["donnees", "nouvelle-commune", "nouveau-territoire"].iter().any(|aside| path.starts_with(aside))
                })
                .map(|path| path.to_str().expect("an UTF-8 path").replace('\\', "/"))
                .collect();
            on_disk.sort();
            let names: Vec<_> = embedded.iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(names, on_disk, "{folder}");
            for (path, bytes) in &embedded {
                assert_eq!(bytes.as_ref(), std::fs::read(root.join(path.as_ref())).expect(path), "{path}");
            }
        }
    }
}
