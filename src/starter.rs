//! Creates a commune's folder, whole or not at all.
//!
//! Either the starter commune byte for byte, to play with; or a real commune: what the official lists know is filled in, what
//! only its mairie knows is left blank, and the starter's contents come as drafts, so that nothing fictional is ever published.
//! Never touches a folder that holds something.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::embedded;
use crate::fs::{self, FsError};
use crate::model::record::{CommuneRecord, Epci};
use crate::model::territoire::Territoire;
use crate::text::slug::slug;

/// What to create.
#[derive(Debug, Clone, Copy)]
pub enum Starter<'a> {
    /// The starter commune, Saint-Mulot-des-Champs.
    Sample,
    /// A real commune.
    Commune {
        /// What the official lists say of it.
        record: &'a CommuneRecord,
        /// Whether the starter's contents come along as drafts.
        examples: bool,
    },
}

/// What was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The folder, as it was asked for.
    pub folder: PathBuf,
    /// Files written.
    pub files: usize,
    /// Of which contents that are drafts.
    pub drafts: usize,
}

/// Why nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum StarterError {
    /// The folder holds something.
    #[error("« {} » n'est pas vide : choisissez un autre dossier, ou videz celui-ci", .0.display())]
    NotEmpty(PathBuf),
    /// A file has that name.
    #[error("« {} » existe déjà et n'est pas un dossier", .0.display())]
    NotAFolder(PathBuf),
    /// A file or folder could not be made.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Files of a new folder: path, `/` separated → bytes.
pub type Files = BTreeMap<String, Cow<'static, [u8]>>;

/// Creates the folder.
///
/// The files are prepared in a hidden folder beside it, then take its name in one step; an empty folder that already stands
/// there receives them one by one, `commune.toml` last.
///
/// # Errors
/// [`StarterError`]; nothing of what was prepared is left behind.
pub fn create(dest: &Path, what: Starter<'_>) -> Result<Created, StarterError> {
    let exists = check_free(dest)?;
    let files = files(what);
    let drafts = files.values().filter(|bytes| bytes.windows(DRAFT.len()).any(|part| part == DRAFT.as_bytes())).count();
    let created = Created { folder: dest.to_owned(), files: files.len(), drafts };
    let parent = match dest.parent() {
        Some(parent) if !exists => parent,
        _ => dest,
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    fs::create_dir(parent)?;
    let staging = staging(parent)?;
    let prepared = staging.path().join("prepared");
    fs::create_dir(&prepared)?;
    if let Starter::Commune { .. } = what {
        for folder in FOLDERS {
            fs::create_dir(&prepared.join(folder))?;
        }
    }
    for (path, bytes) in &files {
        let path = prepared.join(path);
        fs::create_dir(path.parent().unwrap_or(&prepared))?;
        fs::write(&path, bytes)?;
    }
    if exists {
        fill(&prepared, dest, &files)?
    } else {
        fs::rename(&prepared, dest)?
    }
    Ok(created)
}

/// Creates the folder of a territoire: its file, an empty layer for what its communes share, and one folder a commune, filled in
/// from the lists. Prepared aside, it takes its name in one step.
///
/// # Errors
/// [`StarterError`]; nothing of what was prepared is left behind.
pub fn create_territoire(
    dest: &Path,
    epci: &Epci,
    communes: &[CommuneRecord],
    examples: bool,
) -> Result<Created, StarterError> {
    if check_free(dest)? {
        // Nothing is in it, and a folder can only take the name of none.
        std::fs::remove_dir(dest).map_err(|source| FsError { action: "remplacer", path: dest.to_owned(), source })?;
    }
    let parent = dest.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir(parent)?;
    let staging = staging(parent)?;
    let prepared = staging.path().join("prepared");
    fs::create_dir(&prepared.join(Territoire::COMMON))?;
    for folder in ["actualites", "annuaire/services", "demarches", "pages"] {
        fs::create_dir(&prepared.join(Territoire::COMMON).join(folder))?;
    }
    let names = folder_names(communes);
    let text = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let first = names.first().map_or("", String::as_str).to_owned();
    let values = [("nom", text(&epci.nom)), ("siren", epci.siren.clone()), ("exemple", first)];
    let file = fill_in(embedded::NEW_TERRITOIRE, &values);
    fs::write(&prepared.join(Territoire::FILE), file.as_bytes())?;
    let mut created = Created { folder: dest.to_owned(), files: 1, drafts: 0 };
    for (name, record) in names.iter().zip(communes) {
        let one = create(&prepared.join(Territoire::COMMUNES).join(name), Starter::Commune { record, examples })?;
        created.files += one.files;
        created.drafts += one.drafts;
    }
    fs::rename(&prepared, dest)?;
    Ok(created)
}

/// The folder of each commune: its name as in an address; where two would be the same, the INSEE code follows.
pub fn folder_names(communes: &[CommuneRecord]) -> Vec<String> {
    let slugs: Vec<String> = communes.iter().map(|commune| slug(&commune.names.nom)).collect();
    let is_alone = |name: &String| slugs.iter().filter(|other| *other == name).count() == 1;
    let name = |(name, commune): (&String, &CommuneRecord)| match is_alone(name) {
        true => name.clone(),
        false => format!("{name}-{}", commune.code_insee.to_lowercase()),
    };
    slugs.iter().zip(communes).map(name).collect()
}

/// The files of a new folder, without its empty folders.
pub fn files(what: Starter<'_>) -> Files {
    let sample = || embedded::starter().map(|(path, bytes)| (path.into_owned(), bytes));
    let Starter::Commune { record, examples } = what else { return sample().collect() };
    let mut files: Files = embedded::new_commune()
        .map(|(path, bytes)| {
            let text = filled(&String::from_utf8_lossy(&bytes), record, examples, path.ends_with(".toml"));
            (path.into_owned(), Cow::Owned(text.into_bytes()))
        })
        .collect();
    if examples {
        let catalogue: BTreeSet<String> = embedded::catalogue().map(|(path, _)| path.into_owned()).collect();
        let drafts = sample().filter(|(path, _)| is_an_example(path) && !catalogue.contains(path));
        for (path, bytes) in drafts {
            let bytes = if path.ends_with(".md") { as_draft(bytes) } else { bytes };
            files.entry(path).or_insert(bytes);
        }
    }
    files
}

/// Whether a file of the starter is worth adapting: an alert shows at once on every page, its addresses are of nowhere, the rest
/// is written anew.
fn is_an_example(path: &str) -> bool {
    !matches!(path, "commune.toml" | "accueil.md" | "adresses.csv")
        && !path.starts_with("alertes/")
        && !path.starts_with("theme/")
}

/// The line that makes a draft.
const DRAFT: &str = "brouillon = true   # exemple à adapter : retirez cette ligne pour publier\n";

/// The content with [`DRAFT`] as first line of its front matter; a content that already says so is left as it is.
fn as_draft(bytes: Cow<'static, [u8]>) -> Cow<'static, [u8]> {
    let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
    match text.split_once('\n') {
        Some((fence, rest)) if fence.trim_end() == "+++" => {
            let own = rest.lines().take_while(|line| line.trim_end() != "+++");
            let rest: String = if own.clone().any(|line| line.starts_with("brouillon")) {
                rest.split_inclusive('\n').filter(|line| !line.starts_with("brouillon")).collect()
            } else {
                rest.to_owned()
            };
            Cow::Owned(format!("{fence}\n{DRAFT}{rest}").into_bytes())
        }
        _ => bytes,
    }
}

/// A text of the model with its `%blanks%` filled in.
fn filled(model: &str, record: &CommuneRecord, examples: bool, toml: bool) -> String {
    let text = |value: &str| if toml { value.replace('\\', "\\\\").replace('"', "\\\"") } else { value.to_owned() };
    let first_code = record.postal_codes.first().map_or("", String::as_str);
    let values = [
        ("nom", text(&record.names.nom)),
        ("forme_de", text(&record.names.forme_de)),
        ("forme_a", text(&record.names.forme_a)),
        ("code_insee", text(&record.code_insee)),
        ("siren", record.siren.as_ref().map_or(String::new(), |siren| format!(" ; ils commencent par {siren}"))),
        ("population", population(record.population)),
        ("epci", epci(record, &text)),
        ("departement", text(&record.departement)),
        ("region", text(&record.region)),
        ("fuseau", record.fuseau.to_owned()),
        ("code_postal", first_code.to_owned()),
        ("codes_postaux", other_codes(&record.postal_codes)),
        ("alsace_moselle", if record.alsace_moselle { ALSACE_MOSELLE.to_owned() } else { String::new() }),
        ("publicite", publicity(record.population).to_owned()),
        ("exemples", if examples { EXAMPLES.to_owned() } else { String::new() }),
    ];
    fill_in(model, &values)
}

/// A text with its `%blanks%` filled in.
fn fill_in(model: &str, values: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(model.len() + 256);
    let mut rest = model;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match values.iter().find_map(|(name, value)| Some((value, after.strip_prefix(name)?.strip_prefix('%')?))) {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out + rest
}

fn population(count: Option<u32>) -> String {
    match count {
        Some(count) => format!("population = {count}"),
        None => "# population = 0".to_owned(),
    }
}

fn epci(record: &CommuneRecord, text: &dyn Fn(&str) -> String) -> String {
    match &record.epci {
        Some(epci) => format!("epci = \"{}\"", text(&epci.nom)),
        None => "# epci = \"\"   # aucun, d'après la liste de la DGCL".to_owned(),
    }
}

fn other_codes(codes: &[String]) -> String {
    match codes {
        [] | [_] => String::new(),
        [_, others @ ..] => format!("   # aussi : {}", others.join(", ")),
    }
}

/// Why acts are published on the site (CGCT, art. L2131-1, IV).
fn publicity(population: Option<u32>) -> &'static str {
    if population.is_some_and(|count| count >= 3_500) {
        "obligatoire à partir de 3 500 habitants (CGCT, art. L2131-1)"
    } else {
        "la règle, sauf délibération contraire : \"affichage\" ou \"papier\" (CGCT, art. L2131-1)"
    }
}

const ALSACE_MOSELLE: &str = "alsace_moselle = true   # Vendredi saint et 26 décembre sont fériés\n";

const EXAMPLES: &str = "\
Les autres fichiers sont des exemples, pris dans une commune imaginaire. Ils sont en brouillon : rien n'en est publié.
Pour vous servir d'un exemple, changez-en le texte, puis retirez la ligne qui commence par « brouillon ».
Ceux qui ne vous servent pas peuvent être supprimés.
";

/// Folders every commune fills sooner or later.
const FOLDERS: [&str; 11] = [
    "actualites",
    "agenda",
    "alertes",
    "annuaire/associations",
    "annuaire/commerces",
    "annuaire/elus",
    "annuaire/equipements",
    "annuaire/services",
    "demarches",
    "medias",
    "pages",
];

/// Whether an empty folder already stands there.
fn check_free(dest: &Path) -> Result<bool, StarterError> {
    match std::fs::read_dir(dest) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(StarterError::NotEmpty(dest.to_owned())),
            None => Ok(true),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(StarterError::NotAFolder(dest.to_owned()))
        }
        Err(source) => Err(FsError { action: "lire", path: dest.to_owned(), source }.into()),
    }
}

/// A hidden folder in `parent`, removed with all it holds when dropped.
fn staging(parent: &Path) -> Result<tempfile::TempDir, FsError> {
    tempfile::Builder::new().prefix(".mulot-").tempdir_in(parent).map_err(|source| FsError {
        action: "créer un dossier dans",
        path: parent.to_owned(),
        source,
    })
}

/// Moves what was prepared into an empty folder, taking it back at the first failure.
fn fill(prepared: &Path, dest: &Path, files: &Files) -> Result<(), FsError> {
    let mut names: BTreeSet<&str> = files.keys().map(|path| path.split('/').next().unwrap_or(path)).collect();
    names.extend(FOLDERS.iter().map(|path| path.split('/').next().unwrap_or(path)));
    let present = |name: &&str| prepared.join(name).exists();
    let commune = names.take("commune.toml");
    let names: Vec<&str> = names.into_iter().chain(commune).filter(present).collect();
    for (at, name) in names.iter().enumerate() {
        if let Err(error) = fs::rename(&prepared.join(name), &dest.join(name)) {
            for moved in &names[..at] {
                // The first failure is the one to tell; what cannot be taken back stays visible.
                let _ = fs::remove(&dest.join(moved));
            }
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;
    use crate::registry;

    fn record(code: &str) -> CommuneRecord {
        registry::by_code(code).expect(code).commune
    }

    fn text(files: &Files, path: &str) -> String {
        String::from_utf8(files[path].to_vec()).expect("UTF-8")
    }

    #[test]
    fn the_sample_is_the_starter_byte_for_byte() {
        let root = tempfile::tempdir().expect("a folder");
        let dest = root.path().join("essai");
        let created = create(&dest, Starter::Sample).expect("created");
        assert_eq!(created.files, embedded::starter().count());
        for (path, bytes) in embedded::starter() {
            assert_eq!(std::fs::read(dest.join(path.as_ref())).expect("a file"), bytes.as_ref(), "{path}");
        }
        assert_eq!(std::fs::read_dir(root.path()).expect("a folder").count(), 1, "nothing else is left");
    }

    #[test]
    fn a_real_commune_is_filled_in() {
        let record = record("01299");
        let files = files(Starter::Commune { record: &record, examples: false });
        let filled: Vec<_> = text(&files, "commune.toml").lines().skip(8).take(20).map(str::to_owned).collect();
        let expected = r##"nom = "Le Plantay"
forme_de = "du Plantay"   # pour écrire « la mairie du Plantay »
forme_a = "au Plantay"   # pour écrire « bienvenue au Plantay »
code_insee = "01299"
siret = ""   # quatorze chiffres ; ils commencent par 210102992
population = 559
epci = "Communauté de communes de la Dombes"
departement = "Ain"
region = "Auvergne-Rhône-Alpes"
fuseau = "Europe/Paris"
devise = ""   # facultatif : une phrase sous le nom
domaine = ""   # l'adresse du site, par exemple "https://www.exemple.fr"
maire = { prenom = "", nom = "", qualite = "maire" }

[mairie]
adresse = []   # par exemple ["12, place de l'Église"]
code_postal = "01330"
ville = "Le Plantay"
telephone = ""
courriel = """##;
        assert_eq!(filled.join("\n"), expected);
        assert!(text(&files, "accueil.md").contains("Bienvenue au Plantay."));
        assert!(files.keys().all(|path| !path.starts_with("actualites")));
    }

    #[test]
    fn the_addresses_of_the_sample_are_offered_to_nobody_else() {
        let record = record("01299");
        assert!(files(Starter::Sample).contains_key("adresses.csv"));
        assert!(!files(Starter::Commune { record: &record, examples: true }).contains_key("adresses.csv"));
    }

    #[test]
    fn every_commune_of_france_can_be_read_back() {
        registry::all().expect("the list").par_iter().for_each(|record| {
            let files = files(Starter::Commune { record, examples: false });
            for (path, bytes) in &files {
                let text = std::str::from_utf8(bytes).expect("UTF-8");
                assert!(!text.contains('%'), "{path} of {}", record.names.nom);
            }
            let table: toml::Table = text(&files, "commune.toml").parse().expect(&record.names.nom);
            for (key, value) in [
                ("nom", &record.names.nom),
                ("forme_de", &record.names.forme_de),
                ("code_insee", &record.code_insee),
                ("departement", &record.departement),
            ] {
                assert_eq!(table[key].as_str(), Some(value.as_str()));
            }
            assert_eq!(
                table.get("epci").and_then(toml::Value::as_str),
                record.epci.as_ref().map(|epci| epci.nom.as_str())
            );
            assert_eq!(table["mairie"].get("alsace_moselle").is_some(), record.alsace_moselle);
        });
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let dest = root.path().join("mairie");
        std::fs::create_dir(&dest).expect("a folder");
        std::fs::write(dest.join("notes.txt"), "à garder").expect("a file");
        let refused = create(&dest, Starter::Sample).expect_err("refused");
        assert!(refused.to_string().ends_with("n'est pas vide : choisissez un autre dossier, ou videz celui-ci"));
        assert_eq!(std::fs::read_dir(&dest).expect("a folder").count(), 1);
        let file = dest.join("notes.txt");
        assert!(matches!(create(&file, Starter::Sample), Err(StarterError::NotAFolder(_))));
    }

    #[test]
    fn an_empty_folder_is_filled_where_it_stands() {
        let root = tempfile::tempdir().expect("a folder");
        let record = record("01299");
        let what = Starter::Commune { record: &record, examples: false };
        create(root.path(), what).expect("created");
        let nested = root.path().join("medias").join("a").join("b");
        create(&nested, what).expect("created, with the folders above");
        let mut names: Vec<_> = std::fs::read_dir(root.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        let expected = [
            "_lisez-moi.txt",
            "accueil.md",
            "actualites",
            "agenda",
            "alertes",
            "annuaire",
            "commune.toml",
            "demarches",
            "medias",
            "pages",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_draft_says_so_once_on_its_first_line() {
        let draft =
            |text: &'static str| String::from_utf8(as_draft(Cow::Borrowed(text.as_bytes())).to_vec()).expect("UTF-8");
        assert_eq!(draft("+++\ntitre = \"A\"\n+++\nTexte"), format!("+++\n{DRAFT}titre = \"A\"\n+++\nTexte"));
        assert_eq!(draft("+++\r\nbrouillon = false\r\n+++\r\n"), format!("+++\r\n{DRAFT}+++\r\n"));
        assert_eq!(draft("sans en-tête"), "sans en-tête");
    }
}
