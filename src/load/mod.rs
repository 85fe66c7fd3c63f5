//! Reads the layers of a commune into typed, located, still unlinked sources.
//!
//! 1. every layer gives its files; the nearest wins, path by path;
//! 2. each file is decoded, and typed by its folder;
//! 3. every mistake becomes a [`Diagnostic`].
//!
//! It never writes, and never judges what needs two files at once: that is `resolve`'s.

mod addresses;
mod commune;
mod content;
mod form;
mod hours;
mod publication;
mod shared;
mod territoire;
pub(crate) mod toml_reader;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use unicode_normalization::UnicodeNormalization;

use crate::diagnostic::{Code, Diagnostic, Place, has_errors};
use crate::fs::{self, Walk, WalkTrouble};
use crate::model::addresses::AddressBook;
use crate::model::commune::Commune;
use crate::model::content::{Content, DocumentRef, Home, Layer};
use crate::model::site::{Broken, FileData, SourceFile, Sources};
use crate::model::territoire::Territoire as TerritoireModel;
use crate::text::numbers::plural;

pub use self::shared::Shared;
pub use self::territoire::{Member, Territoire};

/// Files of a layer that live in the binary: path in the folder → bytes.
pub type Embedded = BTreeMap<String, Cow<'static, [u8]>>;

/// Where the layers of a commune are.
pub struct Layers<'a> {
    /// The catalogue.
    pub catalogue: &'a Shared,
    /// The territoire, if the commune is in one.
    pub territoire: Option<Arc<Territoire>>,
    /// The commune's folder.
    pub commune: PathBuf,
    /// What was found wrong with the territoire.
    told: Vec<Diagnostic>,
}

impl<'a> Layers<'a> {
    /// The layers of the commune in that folder; a territoire is recognised by its `territoire.toml` two folders above, and read.
    pub fn of(folder: &Path, catalogue: &'a Shared) -> Self {
        let (territoire, told) = Territoire::above(folder).map_or((None, Vec::new()), |root| Territoire::read(&root));
        let Some(territoire) = territoire.map(Arc::new) else {
            return Layers { catalogue, territoire: None, commune: folder.to_owned(), told };
        };
        let layers = Self::within(&territoire, folder, catalogue);
        Layers { told: [told, layers.told].concat(), ..layers }
    }

    /// The same, the territoire being already read.
    pub fn within(territoire: &Arc<Territoire>, folder: &Path, catalogue: &'a Shared) -> Self {
        let territoire = Some(territoire.clone());
        let mut layers = Layers { catalogue, territoire, commune: folder.to_owned(), told: Vec::new() };
        let declared = |territoire: &Arc<Territoire>| Some(territoire.model.declared(&layers.name())?.told.clone());
        layers.told = layers.territoire.as_ref().and_then(declared).unwrap_or_default();
        layers
    }

    /// Name of the commune's folder.
    fn name(&self) -> String {
        let folder = self.commune.canonicalize().unwrap_or_else(|_| self.commune.clone());
        folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}

/// Scheme and host of the commune of a folder, as its site will have it, and where it is written; empty when blank or when it
/// cannot be read. Tells nothing: building the commune does.
pub fn domain(layers: &Layers<'_>) -> (String, Place) {
    match described(layers).0 {
        Some(commune) => (commune.domaine.clone(), commune.place("domaine")),
        None => (String::new(), Place::file(commune::FILE)),
    }
}

/// The text a diagnostic is about, in the nearest layer that has the file: its layer and its lines, ended by `\n`.
///
/// `file` is a [`Place`]'s: relative to its layer, nothing outside of it is ever read.
pub fn source_of(folder: &Path, file: &str, catalogue: impl FnOnce() -> Option<Vec<u8>>) -> Option<(Layer, String)> {
    if file.split('/').any(|part| part == "..") {
        return None;
    }
    let in_territoire = || {
        let root = Territoire::above(folder)?;
        fs::read(&root.join(TerritoireModel::shared(file))).ok().map(|bytes| (Layer::Territoire, bytes))
    };
    let (layer, bytes) = fs::read(&folder.join(file))
        .ok()
        .map(|bytes| (Layer::Commune, bytes))
        .or_else(in_territoire)
        .or_else(|| catalogue().map(|bytes| (Layer::Catalogue, bytes)))?;
    let text = String::from_utf8(bytes).ok()?;
    Some((layer, text.trim_start_matches('\u{feff}').replace("\r\n", "\n")))
}

/// A file of some layer, before it is read.
#[derive(Clone)]
struct Entry {
    layer: Layer,
    data: FileData,
    size: u64,
}

/// Reads a commune. `None` when it has no usable `commune.toml`.
pub fn sources(layers: &Layers<'_>) -> (Option<Sources>, Vec<Diagnostic>) {
    let mut diagnostics = layers.told.clone();
    if layers.territoire.is_none() && has_errors(&diagnostics) {
        // Without what the territoire says of it, a commune would be told of what it does not lack.
        return (None, diagnostics);
    }
    let mut entries = entries(layers, &mut diagnostics);
    let described = entries.remove(commune::FILE);
    let found = described.as_ref().and_then(|file| described_by(&file.entry(), layers, &mut diagnostics));
    let (texts, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(path, _)| !path.starts_with("theme/") && path.ends_with(".md"));
    let read: Vec<Text> = texts.par_iter().map(|(path, file)| file.text(path)).collect();
    let (mut home, mut contents, mut broken) = (None, Vec::with_capacity(read.len()), Vec::new());
    for ((read, told), (path, _)) in read.into_iter().zip(&texts) {
        diagnostics.extend(told);
        match read {
            Read::Home(page) => home = Some(*page),
            Read::Content(content) => contents.push(*content),
            Read::Broken(named) => broken.push(Broken { path: path.clone(), named }),
        }
    }
    if described.is_none() {
        // A wrong folder: what else is in it is nobody's business, unless it is why nothing was found.
        diagnostics.retain(|told| matches!(told.code, Code::LinkLoop | Code::OutsideLink | Code::Unreadable));
        if diagnostics.iter().all(|told| told.code != Code::LinkLoop) {
            diagnostics.push(no_commune(&layers.commune));
        }
        return (None, [layers.told.clone(), diagnostics].concat());
    }
    let mut theme = layers.territoire.as_ref().map_or_else(BTreeMap::new, |territoire| territoire.theme.clone());
    let (mut files, mut addresses) = (BTreeMap::new(), AddressBook::default());
    for (path, file) in others {
        let entry = file.entry();
        if let Some(commune) = found.as_ref().filter(|_| path == addresses::FILE) {
            addresses = address_book(&entry, commune, &mut diagnostics);
        }
        diagnostics.extend(addresses::misnamed(&path));
        if let Some(inside) = path.strip_prefix("theme/") {
            match bytes(&entry.data) {
                Ok(bytes) => {
                    theme.insert(inside.to_owned(), bytes.into_owned());
                }
                Err(cause) => diagnostics.push(unreadable(&path, &cause)),
            }
        } else if !path.ends_with(".toml") {
            let Entry { layer, data, size } = entry.into_owned();
            files.insert(path, SourceFile { layer, data, size });
        } else {
            diagnostics.push(misplaced(&path));
        }
    }
    once_a_folder(&mut diagnostics);
    contents.sort_by(|a, b| a.path.cmp(&b.path));
    let sources = found.map(|commune| Sources {
        commune,
        home: home.unwrap_or_default(),
        contents,
        broken,
        addresses,
        files,
        theme,
    });
    (sources, diagnostics)
}

/// A folder that is no commune's; that of all the communes of a territoire, perhaps.
fn no_commune(folder: &Path) -> Diagnostic {
    if !folder.exists() {
        let message = "le dossier de la commune n'existe pas";
        return Diagnostic::error(Code::NoCommune, Place::file(commune::FILE), message)
            .hint("remettez-le en place, ou créez-en un : mulot new DOSSIER --insee 01299");
    }
    let told = Diagnostic::error(Code::NoCommune, Place::file(commune::FILE), "ce dossier n'a pas de commune.toml");
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if Territoire::is_one(&folder) {
        return told
            .hint("c'est celui d'un territoire : dans guichet.toml, écrivez territoire = à la place de dossier =");
    }
    if let Some(root) =
        folder.parent().filter(|root| folder.ends_with(TerritoireModel::COMMUNES) && Territoire::is_one(root))
    {
        return told.hint(format!("c'est le dossier des communes d'un territoire : donnez « {} »", root.display()));
    }
    let inside = fs::folders(&folder).unwrap_or_default().into_iter().map(|name| folder.join(name));
    match inside.into_iter().find(|inside| Territoire::is_one(inside) || inside.join(commune::FILE).is_file()) {
        Some(inside) => told.hint(format!("est-ce celui-ci ? « {} »", inside.display())),
        None => {
            told.hint("placez-vous dans le dossier de la commune, ou créez-en un : mulot new DOSSIER --insee 01299")
        }
    }
}

/// What `commune.toml` says of a commune, and nothing else of its folder; `None` when it cannot be used.
pub fn described(layers: &Layers<'_>) -> (Option<Commune>, Vec<Diagnostic>) {
    let mut diagnostics = layers.told.clone();
    let data = FileData::Disk(layers.commune.join(commune::FILE));
    let entry = Entry { layer: Layer::Commune, data, size: 0 };
    let commune = described_by(&entry, layers, &mut diagnostics);
    (commune, diagnostics)
}

/// The address file; one that is too large is judged without being read.
fn address_book(entry: &Entry, commune: &Commune, diagnostics: &mut Vec<Diagnostic>) -> AddressBook {
    if entry.size > addresses::BYTES_MAX {
        diagnostics.push(addresses::too_large());
        return AddressBook::default();
    }
    match bytes(&entry.data) {
        Ok(bytes) => addresses::address_book(entry.layer, &bytes, commune, diagnostics),
        Err(cause) => {
            diagnostics.push(unreadable(addresses::FILE, &cause));
            AddressBook::default()
        }
    }
}

/// The commune of its file, over what its territoire says.
fn described_by(entry: &Entry, layers: &Layers<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Commune> {
    let text = match bytes(&entry.data) {
        Ok(bytes) => decode(commune::FILE, &bytes, diagnostics)?,
        Err(cause) => {
            diagnostics.push(unreadable(commune::FILE, &cause));
            return None;
        }
    };
    let mut told = Vec::new();
    let name = layers.name();
    let territoire = layers.territoire.as_deref();
    let below = territoire.map_or_else(Vec::new, |territoire| territoire.below(&name));
    let root = territoire.map_or(Path::new(""), |territoire| &territoire.root);
    let commune = commune::read(&text, (&below, root), &mut told);
    // What its territoire says of it was judged there already.
    diagnostics.extend(once_a_line(told).into_iter().filter(|one| !layers.told.contains(one)));
    let mut commune = commune?;
    commune.guichet.adresse = commune.guichet.adresse.replace(commune::COMMUNE_NAME, &name);
    if let Some(territoire) = territoire {
        let domain = territoire.model.declared(&name).and_then(|declared| declared.domaines.first());
        if let Some(domain) = domain.filter(|_| commune.domaine.is_empty()) {
            commune.domaine.clone_from(domain);
        }
        commune.epci.get_or_insert_with(|| territoire.model.nom.clone());
    }
    Some(commune)
}

/// A text, typed, and what there is to say of it.
type Text = (Read, Vec<Diagnostic>);

/// A file of a commune: its own, or one that it shares.
enum File<'a> {
    Own(Entry),
    Shared(&'a shared::Known),
}

impl File<'_> {
    fn entry(&self) -> Cow<'_, Entry> {
        match self {
            File::Own(entry) => Cow::Borrowed(entry),
            File::Shared(known) => Cow::Borrowed(&known.entry),
        }
    }

    fn text(&self, path: &str) -> Text {
        match self {
            File::Own(entry) => read(path, entry),
            File::Shared(known) => known.text(path),
        }
    }
}

#[derive(Clone)]
enum Read {
    Home(Box<Home>),
    Content(Box<Content>),
    /// Nothing to show; the files it names all the same.
    Broken(Vec<DocumentRef>),
}

fn read(path: &str, entry: &Entry) -> (Read, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let text = match bytes(&entry.data) {
        Ok(bytes) => decode(path, &bytes, &mut diagnostics),
        Err(cause) => {
            diagnostics.push(unreadable(path, &cause));
            None
        }
    };
    let Some(text) = text else { return (Read::Broken(Vec::new()), diagnostics) };
    let mut named = Vec::new();
    let read = if path == content::HOME {
        content::home(path, &text, &mut diagnostics).map(|home| Read::Home(Box::new(home)))
    } else if let Some(kind) = content::Type::of(path) {
        content::content(path, entry.layer, kind, &text, (&mut named, &mut diagnostics))
            .map(|content| Read::Content(Box::new(content)))
    } else {
        diagnostics.push(misplaced(path));
        None
    };
    (read.unwrap_or(Read::Broken(named)), once_a_line(diagnostics))
}

/// A line that is not TOML has no meaning: what else was said of it is left out.
fn once_a_line(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let syntax = |told: &Diagnostic| told.code == Code::BadToml || told.code == Code::BadDate;
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(diagnostics.len());
    for told in diagnostics {
        if !kept.iter().any(|other| syntax(other) && other.place.line == told.place.line) {
            kept.push(told);
        }
    }
    kept
}

/// A folder with a wrong name is told once, not file by file.
fn once_a_folder(diagnostics: &mut Vec<Diagnostic>) {
    let folder_of = |told: &Diagnostic| -> Option<String> {
        let (first, rest) = told.place.file.split_once('/').filter(|_| told.code == Code::Misplaced)?;
        // The folders of the annuaire are one level down.
        let second = rest.split_once('/').map(|(second, _)| second).filter(|_| first == "annuaire");
        Some(second.map_or(first.to_owned(), |second| format!("{first}/{second}")))
    };
    let mut folders: BTreeMap<String, u64> = BTreeMap::new();
    diagnostics.retain(|told| match folder_of(told) {
        Some(folder) => {
            *folders.entry(folder).or_default() += 1;
            false
        }
        None => true,
    });
    diagnostics.extend(folders.into_iter().map(|(folder, count)| {
        let left = plural(count, "fichier est laissé de côté", "fichiers sont laissés de côté");
        let message = format!("« {folder} » n'est pas un dossier que Mulot publie : {left}");
        let told = Diagnostic::warning(Code::Misplaced, Place::file(&folder), message);
        match toml_reader::nearest(&folder, content::Type::folders()) {
            Some(near) => told.hint(format!("renommez le dossier en « {near} »")),
            None => told.hint(POSSIBLE_FOLDERS),
        }
    }));
}

/// Where contents live.
const POSSIBLE_FOLDERS: &str = "dossiers possibles : actualites, alertes, agenda, annuaire/…, demarches, pages ; un nom qui commence par _ fait ignorer le fichier";

fn misplaced(path: &str) -> Diagnostic {
    Diagnostic::warning(Code::Misplaced, Place::file(path), "ce fichier n'est dans aucun dossier que Mulot publie")
        .hint(POSSIBLE_FOLDERS)
}

fn unreadable(path: &str, cause: &std::io::Error) -> Diagnostic {
    Diagnostic::error(
        Code::Unreadable,
        Place::file(path),
        format!("ce fichier ne peut pas être lu : {}", fs::cause(cause)),
    )
    .hint("vérifiez qu'il existe et que vous avez le droit de le lire")
}

fn bytes(data: &FileData) -> std::io::Result<Cow<'_, [u8]>> {
    match data {
        FileData::Disk(path) => fs::read(path).map(Cow::Owned).map_err(|error| error.source),
        FileData::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
    }
}

/// UTF-8 text with `\n` line ends and no byte-order mark.
fn decode(path: &str, bytes: &[u8], diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
            let utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
            let encoding = if utf16 { "UTF-16" } else { "un ancien encodage de Windows" };
            diagnostics.push(
                Diagnostic::error(
                    Code::NotUtf8,
                    Place::line(path, line),
                    format!("ce fichier n'est pas en UTF-8 (sans doute {encoding})"),
                )
                .hint("dans le Bloc-notes : Fichier, Enregistrer sous, Encodage « UTF-8 », puis Enregistrer"),
            );
            return None;
        }
    };
    if text.contains('\r') { Some(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Some(text.to_owned()) }
}

/// Every file of every layer by path, the nearest layer winning, with the troubles of the walk.
fn entries<'a>(layers: &'a Layers<'_>, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, File<'a>> {
    let mut entries = BTreeMap::new();
    let common = layers.territoire.as_deref().map(|territoire| &territoire.common);
    for layer in [Some(layers.catalogue), common].into_iter().flatten() {
        entries.extend(layer.files().map(|(path, known)| (path.clone(), File::Shared(known))));
    }
    // A commune may link to what its territoire shares, and to nothing else.
    let bounds = layers.territoire.as_ref().map_or(&layers.commune, |territoire| &territoire.root);
    let Walk { files, troubles, .. } = fs::walk(&layers.commune, bounds);
    for file in files {
        let entry = Entry { layer: Layer::Commune, data: FileData::Disk(file.path), size: file.size };
        entries.insert(file.relative.nfc().collect(), File::Own(entry));
    }
    // A folder that is not there is told once, by what it lacks.
    if layers.commune.exists() {
        diagnostics.extend(troubles.into_iter().map(trouble));
    }
    entries
}

fn trouble(trouble: WalkTrouble) -> Diagnostic {
    match trouble {
        WalkTrouble::Loop(path) => {
            Diagnostic::error(Code::LinkLoop, Place::file(path), "ce raccourci ramène à un dossier qui le contient")
                .hint("supprimez ce lien : il tourne en rond")
        }
        WalkTrouble::Unreadable(path, cause) => unreadable(if path.is_empty() { "." } else { &path }, &cause),
        WalkTrouble::Outside(path, target) => Diagnostic::error(
            Code::OutsideLink,
            Place::file(path),
            format!("ce raccourci mène hors du dossier de la commune, à « {} »", target.display()),
        )
        .hint("copiez le fichier lui-même à cet endroit, ou supprimez ce raccourci"),
        WalkTrouble::BadName(path) => {
            Diagnostic::error(Code::NotUtf8, Place::file(path), "le nom de ce fichier n'est pas lisible")
                .hint("renommez-le, de préférence sans accents")
        }
    }
}
