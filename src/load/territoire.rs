//! Reads a territoire's folder: `territoire.toml`, what its communes share, and which communes there are.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::commune::{self, commune, origin};
use super::shared::Shared;
use super::toml_reader::{Below, Reader, Source, parse};
use crate::diagnostic::{Code, Diagnostic, Place, Severity, has_errors};
use crate::fs::{self, Walk};
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

const COMMUNES: &str = Model::COMMUNES;
const COMMON: &str = Model::COMMON;
const THEME: &str = Model::THEME;
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
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                let message = format!("« {} » n'a pas de {}", root.display(), Model::FILE);
                let told = Diagnostic::error(Code::Unreadable, Place::file(Model::FILE), message);
                diagnostics.push(match root.join(commune::FILE).is_file() {
                    true => told.hint(
                        "c'est le dossier d'une commune : dans guichet.toml, écrivez dossier = à la place de territoire =",
                    ),
                    false => told.hint("donnez le dossier du territoire, ou créez-en un : mulot new --territoire SIREN"),
                });
                None
            }
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
        diagnostics.extend(below(COMMON, common.take_troubles()));
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

    /// The `[[commune]]` table of a commune.
    fn entry<'t, 'a>(&self, table: &'t DeTable<'a>, commune: &str) -> Option<&'t DeTable<'a>> {
        let place = self.model.declared(commune)?.rank;
        match table.get("commune")?.get_ref() {
            DeValue::Array(items) => match items.get(place)?.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            },
            _ => None,
        }
    }

    /// What stands below the `commune.toml` of a commune, the nearest first: what is said of it alone, then of all.
    pub(super) fn below(&self, commune: &str) -> Vec<Below<'_, '_>> {
        let (source, table) = (source(self.file.borrow_owner()), self.file.borrow_dependent().get_ref());
        let own = self.entry(table, commune);
        let defaults = own.into_iter().chain([table]).filter_map(|table| inner(table, DEFAULTS));
        defaults.map(|table| Below { source, table }).collect()
    }

    /// Feeds a hasher with all that the site of any of its communes depends on: name, defaults, `commun/`, `theme/`.
    pub fn feed(&self, hasher: &mut blake3::Hasher) {
        feed_bytes(self.model.nom.as_bytes(), hasher);
        let table = self.file.borrow_dependent().get_ref();
        feed_table(inner(table, DEFAULTS), hasher);
        self.common.feed(hasher);
        for (path, bytes) in &self.theme {
            feed_bytes(path.as_bytes(), hasher);
            feed_bytes(bytes, hasher);
        }
    }

    /// Nanoseconds since 1970 when something its communes share was last touched. Its file and theme, whose words are fed, do
    /// not count.
    pub fn newest_ns(&self) -> i128 {
        self.common.newest_ns()
    }

    /// Feeds a hasher with what its file says of one commune.
    pub fn feed_own(&self, commune: &str, hasher: &mut blake3::Hasher) {
        let table = self.file.borrow_dependent().get_ref();
        feed_table(self.entry(table, commune), hasher);
    }
}

/// What is written in a table, wherever in the file it stands.
fn feed_table(table: Option<&DeTable<'_>>, hasher: &mut blake3::Hasher) {
    let Some(table) = table else {
        hasher.update(b"-");
        return;
    };
    hasher.update(b"{");
    for (key, value) in table.iter() {
        feed_bytes(key.get_ref().as_bytes(), hasher);
        feed_value(value.get_ref(), hasher);
    }
    hasher.update(b"}");
}

fn feed_value(value: &DeValue<'_>, hasher: &mut blake3::Hasher) {
    match value {
        DeValue::Table(table) => feed_table(Some(table), hasher),
        DeValue::Array(items) => {
            hasher.update(b"[");
            items.iter().for_each(|item| feed_value(item.get_ref(), hasher));
            hasher.update(b"]");
        }
        DeValue::String(text) => feed_bytes(text.as_bytes(), hasher),
        DeValue::Integer(number) => feed_bytes(number.to_string().as_bytes(), hasher),
        DeValue::Float(number) => feed_bytes(number.to_string().as_bytes(), hasher),
        DeValue::Boolean(flag) => feed_bytes(&[u8::from(*flag)], hasher),
        DeValue::Datetime(moment) => feed_bytes(moment.to_string().as_bytes(), hasher),
    }
}

/// Bytes with their length before them, so that no two lists of texts feed alike.
fn feed_bytes(bytes: &[u8], hasher: &mut blake3::Hasher) {
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
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

fn model(source: Source<'_>, table: &Table<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Model> {
    let mut reader = Reader::new(source, table);
    if reader.is_newer(Model::FORMAT, diagnostics) {
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
    let is_valid = siren.len() == 9 && luhn(&siren);
    if !siren.is_empty() && !is_valid {
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
        commune(table, Path::new(""), &mut told);
        diagnostics.extend(told.into_iter().filter(|one| one.code != Code::MissingKey));
    }
}

fn declared(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, Declared> {
    let mut communes: BTreeMap<String, Declared> = BTreeMap::new();
    for (rank, mut entry) in reader.tables("commune", diagnostics).into_iter().enumerate() {
        let name = entry.required("dossier", diagnostics);
        let mut told = Vec::new();
        let written = entry.texts("domaines", &mut told);
        let domaines = written.into_iter().map(|domain| origin(domain, "domaines", &entry, &mut told)).collect();
        let active = entry.flag("active", &mut told).unwrap_or(true);
        defaults(&mut entry, &mut told);
        let place = entry.place("dossier");
        entry.finish(&mut told);
        let Some(name) = name else {
            diagnostics.extend(told);
            continue;
        };
        if name.contains(['/', '\\']) || name.starts_with(['.', '_']) {
            let message = format!("« {name} » n'est pas le nom d'un dossier de {COMMUNES}/");
            let told = Diagnostic::error(Code::BadValue, place, message);
            diagnostics.push(told.hint("écrivez le nom seul, sans chemin : dossier = \"saint-mulot\""));
            continue;
        }
        if !active {
            // Nobody else would tell it before it is switched on again.
            let harmless = told.drain(..).map(|one| Diagnostic { severity: Severity::Warning, ..one });
            diagnostics.extend(harmless);
        }
        match communes.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(Declared { rank, domaines, active, place, told });
            }
            Entry::Occupied(mut known) => {
                let message = format!("la commune « {} » est décrite deux fois", known.key());
                let twice = Diagnostic::error(Code::BadValue, place, message).hint("gardez un seul titre [[commune]]");
                known.get_mut().told.push(twice);
            }
        }
    }
    communes
}

/// What is told of a folder of the territoire, by its path from there.
fn below(folder: &str, told: impl IntoIterator<Item = Diagnostic>) -> impl Iterator<Item = Diagnostic> {
    told.into_iter().map(move |mut one| {
        one.place.file = format!("{folder}/{}", one.place.file);
        one
    })
}

fn theme(root: &Path, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, Vec<u8>> {
    let folder = root.join(THEME);
    let Walk { files, troubles, .. } = if folder.is_dir() { fs::walk(&folder, root) } else { Walk::default() };
    diagnostics.extend(below(THEME, troubles.into_iter().map(super::trouble)));
    let mut theme = BTreeMap::new();
    for file in files {
        match fs::read(&file.path) {
            Ok(bytes) => {
                theme.insert(file.relative, bytes);
            }
            Err(error) => diagnostics.push(super::unreadable(&format!("{THEME}/{}", file.relative), &error.source)),
        }
    }
    theme
}
