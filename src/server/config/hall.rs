//! `guichet.toml` of one commune or of a territoire: what holds for all, what holds for one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use toml::de::DeTable;

use super::super::base::SCHEMA_KEY;
use super::bucket::ADDRESS;
use super::{GuichetConfig, Judge, Secrets, config, read_text, shown_folders};
use crate::diagnostic::{Code, Diagnostic, Place, has_errors};
use crate::intake::mailer::Transport;
use crate::intake::token::KEY_FILE;
use crate::load::toml_reader::{Below, Reader, Source, parse};

/// What a process does of the work of a guichet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// All of it.
    #[default]
    Whole,
    /// Receives: answers visitors, sends nothing, knows no password of a mail account.
    Front,
    /// Delivers, tells the mairie, erases what is due: listens to nobody.
    Back,
}

impl Role {
    /// Whether visitors are answered.
    pub fn receives(self) -> bool {
        self != Role::Back
    }

    /// Whether mails leave.
    pub fn delivers(self) -> bool {
        self != Role::Front
    }
}

/// Settings of a process that serves one commune or many.
#[derive(Debug, Clone)]
pub struct HallConfig {
    /// The commune's settings; for a territoire what holds for all its communes, of which `folder` is the territoire's and
    /// `data` holds one folder for each commune.
    pub common: GuichetConfig,
    /// The territoire's folder; `None`: `common` is the one commune.
    pub territoire: Option<PathBuf>,
    /// Settings of the communes of which something is said apart, by the name of their folder.
    pub own: BTreeMap<String, GuichetConfig>,
    /// Communes that the file names.
    pub named: Vec<(String, Place)>,
    /// What this process does.
    pub role: Role,
    /// Communes open at the same time, at most.
    pub most_awake: usize,
    /// How long a commune without requests stays open.
    pub asleep_after: SignedDuration,
    /// Who gets the weekly mail on the state of all this, and who it comes from.
    pub overview: OverviewMail,
    /// Folder of the keys, one file for each commune; `None`: with its data.
    keys: Option<PathBuf>,
    /// Folder of the credentials of the service.
    credentials: Option<PathBuf>,
}

/// `[etat]`: the weekly mail of who looks after the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverviewMail {
    /// Whom it goes to.
    pub to: Vec<String>,
    /// Who it comes from.
    pub from: String,
}

impl From<GuichetConfig> for HallConfig {
    /// The guichet of one commune.
    fn from(common: GuichetConfig) -> Self {
        HallConfig {
            common,
            territoire: None,
            own: BTreeMap::new(),
            named: Vec::new(),
            role: Role::Whole,
            most_awake: MOST_AWAKE,
            asleep_after: ASLEEP_AFTER,
            overview: OverviewMail::default(),
            keys: None,
            credentials: None,
        }
    }
}

impl HallConfig {
    /// Reads a file; `secrets` are what does not come from it.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn read(path: &Path, secrets: &Secrets) -> Result<Self, Vec<Diagnostic>> {
        Self::read_and(path, secrets, |_, _, _| {})
    }

    /// The same, for a server about to start: the folders it shows must be there.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn read_to_serve(path: &Path, secrets: &Secrets) -> Result<Self, Vec<Diagnostic>> {
        Self::read_and(path, secrets, shown_folders)
    }

    fn read_and(path: &Path, secrets: &Secrets, judge: Judge) -> Result<Self, Vec<Diagnostic>> {
        let (name, text) = read_text(path)?;
        Self::parse_and(&name, &text, path.parent().unwrap_or(Path::new(".")), secrets, judge)
    }

    /// Reads a text; `base` is the folder relative paths are taken from.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn parse(file: &str, text: &str, base: &Path, secrets: &Secrets) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_and(file, text, base, secrets, |_, _, _| {})
    }

    pub(super) fn parse_and(
        file: &str,
        text: &str,
        base: &Path,
        secrets: &Secrets,
        judge: Judge,
    ) -> Result<Self, Vec<Diagnostic>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut diagnostics = Vec::new();
        let source = Source { file, text, first_line: 1 };
        let table = parse(source, &mut diagnostics);
        let mut reader = Reader::new(source, &table);
        let is_shared = reader.has(TERRITOIRE);
        let common = config(&mut reader, base, &secrets.of(None), &mut diagnostics);
        let mut hall = common.map(HallConfig::from);
        if let Some(hall) = &mut hall {
            judge(&hall.common, &reader, &mut diagnostics);
            hall.credentials.clone_from(&secrets.folder);
        }
        if is_shared {
            let keys = reader.text("cles", &mut diagnostics).map(|keys| base.join(keys));
            let awake = reader.integer("eveillees", 1..=10_000, &mut diagnostics);
            let minutes = reader.integer("sommeil_minutes", 1..=1_440, &mut diagnostics);
            let (own, named) = own(&mut reader, (source, table.get_ref()), base, secrets, &mut diagnostics);
            if reader.has("cle_fichier") {
                let told = Diagnostic::error(
                    Code::BadValue,
                    reader.place("cle_fichier"),
                    "chaque commune d'un territoire a sa propre clé",
                );
                diagnostics.push(told.hint(
                    "écrivez cles = \"/etc/mulot/cles\", un dossier où chaque clé porte le nom de sa commune, ou cle_fichier sous [communes.NOM]",
                ));
            }
            if let Some(hall) = &mut hall {
                hall.territoire = Some(hall.common.folder.clone());
                (hall.keys, hall.own, hall.named) = (keys, own, named);
                hall.most_awake = awake.and_then(|most| usize::try_from(most).ok()).unwrap_or(MOST_AWAKE);
                hall.asleep_after = minutes.map_or(ASLEEP_AFTER, SignedDuration::from_mins);
            }
        }
        if let Some(mut table) = reader.table("etat", &mut diagnostics) {
            let overview = overview(&mut table, &mut diagnostics);
            table.finish(&mut diagnostics);
            if let Some(hall) = &mut hall {
                hall.overview = overview;
            }
        }
        reader.finish(&mut diagnostics);
        crate::diagnostic::sort(&mut diagnostics);
        // What is wrong for all was told again for each commune of which something is said.
        diagnostics.dedup();
        hall.filter(|_| !has_errors(&diagnostics)).ok_or(diagnostics)
    }

    /// The settings of a commune of the territoire, whose contents are in `folder`.
    pub fn of(&self, name: &str, folder: &Path) -> GuichetConfig {
        let mut config = match self.own.get(name) {
            Some(own) => own.clone(),
            None => {
                let mut config = self.common.clone();
                apart(&mut config, name, |_| false);
                config
            }
        };
        config.folder = folder.to_owned();
        let in_keys = || self.keys.as_ref().map(|keys| keys.join(name));
        let credential = || {
            let file = self.credentials.as_ref()?.join(format!("{KEY_FILE}-{name}"));
            file.is_file().then_some(file)
        };
        config.key_file = config.key_file.take().or_else(in_keys).or_else(credential);
        config
    }
}

/// Who gets the weekly mail: both keys go together.
fn overview(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> OverviewMail {
    let to = table.texts("destinataires", diagnostics);
    let from = table.text("expediteur", diagnostics).unwrap_or_default();
    for address in to.iter().chain([&from]).filter(|address| !address.is_empty() && !address.contains('@')) {
        let message = format!("« {address} » n'est pas une adresse électronique");
        let told = Diagnostic::error(Code::BadValue, table.table_place(), message);
        diagnostics.push(told.hint("écrivez par exemple \"technique@exemple.fr\""));
    }
    if to.is_empty() || from.is_empty() {
        diagnostics.push(
            Diagnostic::error(Code::MissingKey, table.table_place(), "[etat] demande destinataires et expediteur")
                .hint("écrivez destinataires = [\"technique@exemple.fr\"] et expediteur = \"guichet@exemple.fr\""),
        );
    }
    OverviewMail { to, from }
}

/// Gives a commune its part of what was said of all: its own folder of data, of site and of mails.
fn apart(config: &mut GuichetConfig, name: &str, is_own: impl Fn(&str) -> bool) {
    if !is_own("donnees") {
        config.data.push(name);
    }
    if !is_own(SCHEMA_KEY) {
        config.base = config.base.take().map(|base| base.for_commune(name));
    }
    if !is_own(FILES) {
        config.files.bucket = config.files.bucket.take().map(|bucket| bucket.for_commune(name));
    }
    if let Some(site) = config.site.as_mut().filter(|_| !is_own("site")) {
        site.push(name);
    }
    if let Transport::Folder(folder) = &mut config.transport
        && !is_own("courriel")
    {
        folder.push(name);
    }
    config.rates.under_way = config.rates.under_way.or(Some(UNDER_WAY));
}

/// The settings of each commune of which something is said: `[communes.NOM]`, over what is said of all.
fn own<'t, 'a>(
    reader: &mut Reader<'t, 'a>,
    (source, root): (Source<'a>, &'t DeTable<'a>),
    base: &Path,
    secrets: &Secrets,
    diagnostics: &mut Vec<Diagnostic>,
) -> (BTreeMap<String, GuichetConfig>, Vec<(String, Place)>) {
    let below = [Below { source, table: root }];
    let tables = reader.table(COMMUNES, diagnostics).map_or_else(Vec::new, |table| table.named_tables(diagnostics));
    let mut tables: BTreeMap<String, Reader<'t, 'a>> = tables.into_iter().collect();
    let named: Vec<(String, Place)> = tables.iter().map(|(name, table)| (name.clone(), table.table_place())).collect();
    let mut names: BTreeSet<String> = tables.keys().cloned().collect();
    names.extend(secrets.named());
    let mut configs = BTreeMap::new();
    for name in names {
        let mut said: BTreeSet<&str> = BTreeSet::new();
        let told = match tables.remove(&name) {
            Some(mut table) => {
                said.extend(KEYS.into_iter().filter(|key| table.has(key)));
                // A key to the bucket of all is no bucket of its own.
                if !table.table(FILES, &mut Vec::new()).is_some_and(|files| files.has(ADDRESS)) {
                    said.remove(FILES);
                }
                for key in FOR_ALL.into_iter().filter(|key| table.has(key)) {
                    let message = format!("« {key} » se règle pour toutes les communes à la fois");
                    let told = Diagnostic::error(Code::BadValue, table.place(key), message);
                    diagnostics.push(told.hint("écrivez cette clé en haut du fichier, avant les tables"));
                }
                let mut table = table.above(&below);
                let told = config(&mut table, base, &secrets.of(Some(&name)), diagnostics);
                table.finish(diagnostics);
                told
            }
            // A password of its own, and nothing else.
            None => config(&mut Reader::of(source, root), base, &secrets.of(Some(&name)), diagnostics),
        };
        if let Some(mut told) = told {
            apart(&mut told, &name, |key| said.contains(key));
            configs.insert(name, told);
        }
    }
    (configs, named)
}

/// Folder of a territoire.
pub(super) const TERRITOIRE: &str = "territoire";
/// Table of what is said of some communes.
const COMMUNES: &str = "communes";
/// What a commune may have to itself, and what is otherwise shared out by name.
const KEYS: [&str; 5] = ["donnees", "site", "courriel", FILES, SCHEMA_KEY];
/// Table of the bucket of files.
const FILES: &str = "fichiers";
/// What only the process can be told.
const FOR_ALL: [&str; 8] = ["territoire", "dossier", "ecoute", "https", "proxy", "mesures", "clamav", "hsts_jours"];
/// Communes open at the same time, unless told otherwise: another one opens in some twenty milliseconds, and each takes about a
/// megabyte (`benches/territoire.rs`).
const MOST_AWAKE: usize = 32;
/// How long a commune without requests stays open, unless told otherwise.
const ASLEEP_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// Requests of one commune under way at the same time, unless told otherwise: others must find a thread, too.
const UNDER_WAY: usize = 128;
