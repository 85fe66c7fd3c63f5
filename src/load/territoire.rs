//! Reads a territoire's folder: `territoire.toml`, what its communes share, and which communes there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::commune::{self, commune, origin};
use super::shared::Shared;
use super::toml_reader::{Below, Reader, Source, parse};
use crate::diagnostic::{Code, Diagnostic, Place, has_errors};
use crate::fs;
use crate::model::content::Layer;
use crate::model::territoire::{Declared, Territoire as Model};
use crate::text::numbers::luhn;

/// A territoire, read once for all its communes.
pub struct Territoire {
    /// Its folder, canonical.
    pub root: PathBuf,
    /// What its file says.
    pub model: Model,
    file: File,
    /// `commun/`.
    pub(super) common: Shared,
    /// Files of `theme/`, by path inside it.
    pub(super) theme: BTreeMap<String, Vec<u8>>,
}

/// A commune of a territoire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Name of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether the folder is there; a missing one was named by `territoire.toml`.
    pub exists: bool,
}

/// Folder of the communes.
pub const COMMUNES: &str = "communes";
/// Folder of the contents they share.
pub const COMMON: &str = "commun";
/// Folder of the theme they share.
pub const THEME: &str = "theme";
/// Table of what is true of a commune that does not say otherwise.
const DEFAULTS: &str = "defauts";

type Table<'a> = Spanned<DeTable<'a>>;

self_cell::self_cell!(
    /// The text of `territoire.toml` and what it parses to.
    struct File {
        owner: String,
        #[covariant]
        dependent: Table,
    }
);

impl Territoire {
    /// Whether a folder is a territoire's.
    pub fn is_one(folder: &Path) -> bool {
        folder.join(Model::FILE).is_file()
    }

    /// The territoire a commune's folder stands in: two folders above, the one between being `communes`.
    pub fn above(folder: &Path) -> Option<PathBuf> {
        let folder = folder.canonicalize().ok()?;
        let communes = folder.parent()?;
        let root = communes.parent()?;
        (communes.file_name()? == COMMUNES && Self::is_one(root)).then(|| root.to_owned())
    }

    /// Reads the territoire of a folder; `None` when its file has mistakes.
    pub fn read(root: &Path) -> (Option<Territoire>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let text = match fs::read(&root.join(Model::FILE)) {
            Ok(bytes) => super::decode(Model::FILE, &bytes, &mut diagnostics),
            Err(error) => {
                diagnostics.push(super::unreadable(Model::FILE, &error.source));
                None
            }
        };
        let Some(text) = text else { return (None, diagnostics) };
        let file = File::new(text, |text| parse(source(text), &mut diagnostics));
        let model = model(source(file.borrow_owner()), file.borrow_dependent(), &mut diagnostics);
        // A territoire need not share anything.
        let inside = root.join(COMMON);
        let mut common =
            if inside.is_dir() { Shared::folder(&inside, Layer::Territoire, &root) } else { Shared::default() };
        diagnostics.extend(common.take_troubles());
        if common.take(commune::FILE).is_some() {
            let place = Place::file(format!("{COMMON}/{}", commune::FILE));
            let message = "ce que les communes ont en commun ne s'écrit pas dans un commune.toml";
            diagnostics.push(
                Diagnostic::error(Code::Misplaced, place, message)
                    .hint("copiez ces lignes dans territoire.toml, sous [defauts], puis supprimez ce fichier"),
            );
        }
        let theme = theme(&root, &mut diagnostics);
        crate::diagnostic::sort(&mut diagnostics);
        let model = model.filter(|_| !has_errors(&diagnostics));
        (model.map(|model| Territoire { root, model, file, common, theme }), diagnostics)
    }

    /// Its communes in order of name: the folders of `communes/`, and those that are named and not there. Those that are
    /// switched off are left out.
    ///
    /// # Errors
    /// When `communes/` cannot be read.
    pub fn members(&self) -> fs::Result<Vec<Member>> {
        let inside = self.root.join(COMMUNES);
        let mut names: BTreeSet<String> = self.model.communes.keys().cloned().collect();
        names.extend(fs::folders(&inside)?);
        let member = |name: String| {
            let folder = inside.join(&name);
            Member { exists: folder.is_dir(), name, folder }
        };
        Ok(names.into_iter().filter(|name| self.model.is_active(name)).map(member).collect())
    }

    /// What stands below the `commune.toml` of a commune, the nearest first: what is said of it alone, then of all.
    pub(super) fn below(&self, commune: &str) -> Vec<Below<'_, '_>> {
        let (source, table) = (source(self.file.borrow_owner()), self.file.borrow_dependent().get_ref());
        let own = entries(table).find(|entry| named(entry) == Some(commune));
        let defaults = own.into_iter().chain([table]).filter_map(|table| inner(table, DEFAULTS));
        defaults.map(|table| Below { source, table }).collect()
    }

    /// The text of its file.
    pub fn text(&self) -> &str {
        self.file.borrow_owner()
    }
}

fn source(text: &str) -> Source<'_> {
    Source { file: Model::FILE, text, first_line: 1 }
}

fn inner<'t, 'a>(table: &'t DeTable<'a>, key: &str) -> Option<&'t DeTable<'a>> {
    match table.get(key)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// The `[[commune]]` tables.
fn entries<'t, 'a>(table: &'t DeTable<'a>) -> impl Iterator<Item = &'t DeTable<'a>> {
    let list = table.get("commune").and_then(|value| match value.get_ref() {
        DeValue::Array(items) => Some(items),
        _ => None,
    });
    list.into_iter().flat_map(|items| items.iter()).filter_map(|item| match item.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    })
}

fn named<'t>(entry: &'t DeTable<'_>) -> Option<&'t str> {
    match entry.get("dossier")?.get_ref() {
        DeValue::String(name) => Some(name.trim()),
        _ => None,
    }
}

fn model(source: Source<'_>, table: &Table<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Model> {
    let mut reader = Reader::new(source, table);
    if let Some(format) = reader.integer("format", 1..=i64::MAX, diagnostics).filter(|format| *format > Model::FORMAT) {
        let place = reader.place("format");
        let message = format!("ce territoire est écrit pour un Mulot plus récent (format {format})");
        let told = Diagnostic::error(Code::NewerFormat, place, message);
        diagnostics.push(told.hint(format!("mettez Mulot à jour : celui-ci connaît le format {}", Model::FORMAT)));
        return None;
    }
    let nom = reader.required("nom", diagnostics);
    let siren = siren(&mut reader, diagnostics);
    let sites = reader.text("sites", diagnostics);
    let communes = declared(&mut reader, diagnostics);
    defaults(&mut reader, diagnostics);
    reader.finish(diagnostics);
    Some(Model { nom: nom?, siren, sites, communes })
}

fn siren(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    let siren = reader.text("siren", diagnostics).unwrap_or_default().replace([' ', '\u{a0}', '\u{202f}'], "");
    if !siren.is_empty() && !(siren.len() == 9 && luhn(&siren)) {
        let message = format!("« {siren} » n'est pas un numéro SIREN");
        let told = Diagnostic::error(Code::BadValue, reader.place("siren"), message);
        diagnostics.push(told.hint("neuf chiffres entre guillemets ; le dernier est une clé de contrôle"));
    }
    siren
}

/// Judges `[defauts]` once, as what it is: a `commune.toml` in which everything may be left out.
fn defaults(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) {
    if let Some(table) = reader.table(DEFAULTS, diagnostics) {
        let mut told = Vec::new();
        commune(table, &mut told);
        diagnostics.extend(told.into_iter().filter(|one| one.code != Code::MissingKey));
    }
}

fn declared(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, Declared> {
    let mut communes: BTreeMap<String, Declared> = BTreeMap::new();
    for mut entry in reader.tables("commune", diagnostics) {
        let name = entry.required("dossier", diagnostics);
        let domaines = entry.texts("domaines", diagnostics);
        let domaines = domaines.into_iter().map(|domain| origin(domain, "domaines", &entry, diagnostics)).collect();
        let active = entry.flag("active", diagnostics).unwrap_or(true);
        defaults(&mut entry, diagnostics);
        let place = entry.place("dossier");
        entry.finish(diagnostics);
        let Some(name) = name else { continue };
        if name.contains(['/', '\\']) || name.starts_with(['.', '_']) {
            let message = format!("« {name} » n'est pas le nom d'un dossier de {COMMUNES}/");
            let told = Diagnostic::error(Code::BadValue, place, message);
            diagnostics.push(told.hint("écrivez le nom seul, sans chemin : dossier = \"saint-mulot\""));
        } else if communes.contains_key(&name) {
            let message = format!("la commune « {name} » est décrite deux fois");
            diagnostics
                .push(Diagnostic::error(Code::BadValue, place, message).hint("gardez un seul titre [[commune]]"));
        } else {
            communes.insert(name, Declared { domaines, active, place });
        }
    }
    communes
}

fn theme(root: &Path, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, Vec<u8>> {
    let folder = root.join(THEME);
    let (found, troubles) = if folder.is_dir() { fs::walk(&folder, root) } else { Default::default() };
    diagnostics.extend(troubles.into_iter().map(super::trouble));
    let mut theme = BTreeMap::new();
    for file in found {
        match fs::read(&file.path) {
            Ok(bytes) => {
                theme.insert(file.relative, bytes);
            }
            Err(error) => diagnostics.push(super::unreadable(&format!("{THEME}/{}", file.relative), &error.source)),
        }
    }
    theme
}
