//! `mulot new`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::{Exit, report};
use crate::load::{self, Layers, Member, Shared, Territoire};
use crate::model::record::{CommuneRecord, Epci};
use crate::model::territoire::Territoire as Model;
use crate::registry::{self, Candidate, FormerKind, Found, FoundEpci, RegistryError};
use crate::starter::{self, Starter, StarterError};
use crate::text::numbers::plural;
use crate::text::slug::slug;

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct NewArgs {
    /// Dossier à créer ; dans un territoire ou l'une de ses communes, le nom de la commune s'il n'est pas donné
    #[arg(value_name = "DOSSIER")]
    folder: Option<PathBuf>,
    /// Code INSEE de la commune (cinq caractères ; ce n'est pas le code postal)
    #[arg(long, value_name = "CODE")]
    insee: Option<String>,
    /// Nom de la commune, si vous ne connaissez pas son code INSEE
    #[arg(long, value_name = "NOM", conflicts_with = "insee")]
    nom: Option<String>,
    /// Code postal, pour départager les communes du même nom
    #[arg(long = "code-postal", value_name = "CODE", conflicts_with = "insee")]
    postal_code: Option<String>,
    /// Crée le dossier d'un territoire avec toutes ses communes : SIREN ou nom de l'intercommunalité
    #[arg(long, value_name = "SIREN", conflicts_with_all = ["insee", "nom", "postal_code"])]
    territoire: Option<String>,
    /// Sans les exemples (qui sont des brouillons, jamais publiés)
    #[arg(long = "sans-exemples", conflicts_with = "with_examples")]
    without_examples: bool,
    /// Avec les exemples, même dans un territoire
    #[arg(long = "avec-exemples")]
    with_examples: bool,
}

impl NewArgs {
    /// Whether examples come along: yes for a commune that stands alone, on demand where there are many.
    fn examples(&self, in_territoire: bool) -> bool {
        if in_territoire { self.with_examples } else { !self.without_examples }
    }
}

pub(super) fn run(args: &NewArgs) -> Exit {
    if let Some(typed) = &args.territoire {
        return territoire(args, typed);
    }
    let found = match (&args.insee, &args.nom, &args.postal_code) {
        (Some(code), ..) => registry::by_code(code).map(Some),
        (None, None, None) => Ok(None),
        (None, name, postal) => match by_name(name.as_deref().unwrap_or(""), postal.as_deref()) {
            Ok(Some(code)) => registry::by_code(&code).map(Some),
            Ok(None) => return Exit::Fault,
            Err(error) => Err(error),
        },
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return refuse(&error),
    };
    let Some((folder, root)) = destination(args, found.as_ref()) else {
        report::say("erreur : il manque le dossier à créer");
        report::say("aide : mulot new le-plantay --insee 01299");
        return Exit::Fault;
    };
    if let Err(exit) = fits(&folder, root.is_some(), found.is_some()) {
        return exit;
    }
    if let (Some(root), Some(found)) = (&root, &found)
        && let Err(exit) = suits(root, &found.commune)
    {
        return exit;
    }
    let what = match &found {
        Some(found) => Starter::Commune { record: &found.commune, examples: args.examples(root.is_some()) },
        None => Starter::Sample,
    };
    let created = match starter::create(&folder, what) {
        Ok(created) => created,
        Err(error) => return failed(&error),
    };
    match &found {
        Some(found) => welcome(found, created.drafts),
        None => report::say("Voici Saint-Mulot-des-Champs, une commune inventée, pour essayer."),
    }
    let folder = created.folder.display();
    report::say(format!("Dossier « {folder} » créé : {}.", plural(created.files as u64, "fichier", "fichiers")));
    report::say("");
    report::say(format!("  mulot serve {folder}    voir le site pendant que vous écrivez"));
    report::say(format!("  mulot check {folder}    savoir ce qu'il reste à compléter"));
    Exit::Done
}

/// Where the folder goes, and the territoire it is then in: from a territoire's own folder, among its communes.
fn destination(args: &NewArgs, found: Option<&Found>) -> Option<(PathBuf, Option<PathBuf>)> {
    let named = args.folder.clone();
    if Territoire::is_one(Path::new(".")) && named.as_ref().is_none_or(|folder| folder.components().count() == 1) {
        let name = named.or_else(|| Some(PathBuf::from(slug(&found?.commune.names.nom))))?;
        return Some((Path::new(Model::COMMUNES).join(name), Some(PathBuf::from("."))));
    }
    let Some(folder) = named else { return around(&slug(&found?.commune.names.nom)) };
    let absolute = std::path::absolute(&folder).ok();
    let communes = absolute.as_deref().and_then(Path::parent);
    let root = communes.filter(|communes| communes.ends_with(Model::COMMUNES)).and_then(Path::parent);
    let root = root.filter(|root| Territoire::is_one(root)).map(Path::to_owned);
    Some((folder, root))
}

/// The same without a name, from the `communes/` of a territoire or from below.
fn around(name: &str) -> Option<(PathBuf, Option<PathBuf>)> {
    let here = Path::new(".").canonicalize().ok()?;
    let communes = here
        .ancestors()
        .find(|folder| folder.ends_with(Model::COMMUNES) && folder.parent().is_some_and(Territoire::is_one))?;
    let folder = if communes == here { PathBuf::from(name) } else { communes.join(name) };
    Some((folder, communes.parent().map(Path::to_owned)))
}

/// Refuses what would be published with the communes of a territoire and is none of them: a folder inside one of theirs, an
/// invented commune.
fn fits(folder: &Path, is_in_territoire: bool, is_real: bool) -> Result<(), Exit> {
    if let Some(name) = commune_around(folder) {
        report::say(format!("erreur : « {} » serait dans le dossier de la commune « {name} »", folder.display()));
        report::say("aide : placez-vous dans le dossier du territoire, ou donnez un chemin hors de celui-ci");
        return Err(Exit::Fault);
    }
    if is_in_territoire && !is_real {
        report::say(
            "erreur : la commune d'exemple est inventée : dans un territoire, elle serait construite et publiée avec les autres",
        );
        report::say(
            "aide : pour une vraie commune, son code : mulot new --insee 01299 ; pour un essai, un dossier ailleurs",
        );
        return Err(Exit::Fault);
    }
    Ok(())
}

/// The commune of a territoire inside whose folder a path lies.
fn commune_around(folder: &Path) -> Option<String> {
    let absolute = std::path::absolute(folder).ok()?;
    let above = absolute.parent()?;
    let is_commune = |folder: &&Path| {
        let communes = folder.parent().filter(|communes| communes.ends_with(Model::COMMUNES));
        communes.and_then(Path::parent).is_some_and(Territoire::is_one)
    };
    Some(above.ancestors().find(is_commune)?.file_name()?.to_string_lossy().into_owned())
}

/// Refuses a commune that its territoire has already; tells one of another EPCI, which may be wanted.
fn suits(root: &Path, record: &CommuneRecord) -> Result<(), Exit> {
    // What is wrong with the territoire is told by who builds it.
    let Some(territoire) = Territoire::read(root).0.map(Arc::new) else { return Ok(()) };
    let catalogue = Shared::default();
    let same = |member: &Member| {
        let commune = load::described(&Layers::within(&territoire, &member.folder, &catalogue)).0;
        commune.is_some_and(|commune| commune.code_insee == record.code_insee)
    };
    let (nom, code) = (&record.names.nom, &record.code_insee);
    if let Some(there) = territoire.members().unwrap_or_default().iter().find(|member| same(member)) {
        report::say(format!(
            "erreur : {nom} ({code}) est déjà dans ce territoire : {}/{}",
            Model::COMMUNES,
            there.name
        ));
        report::say("aide : une commune n'y a qu'un dossier ; mulot check dit ce qu'il reste à y compléter");
        return Err(Exit::Fault);
    }
    let epci =
        record.epci.as_ref().filter(|epci| !territoire.model.siren.is_empty() && epci.siren != territoire.model.siren);
    if let Some(epci) = epci {
        report::say(format!(
            "avertissement : {nom} est de « {} » (SIREN {}), pas de « {} » : son dossier est créé quand même",
            epci.nom, epci.siren, territoire.model.nom
        ));
    }
    Ok(())
}

/// Creates the folder of an EPCI with all its communes.
fn territoire(args: &NewArgs, typed: &str) -> Exit {
    let (epci, communes) = match registry::by_epci(typed) {
        Ok(FoundEpci::One(epci, communes)) => (epci, communes),
        Ok(FoundEpci::Candidates(candidates)) => return suggest_epci(typed, &candidates),
        Err(error) => return refuse(&error),
    };
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(slug(&epci.nom)));
    match starter::create_territoire(&folder, &epci, &communes, args.examples(true)) {
        Ok(created) => {
            let folder = created.folder.display();
            let count = plural(communes.len() as u64, "commune", "communes");
            report::say(format!("{} (SIREN {}) : {count}.", epci.nom, epci.siren));
            report::say(format!(
                "Dossier « {folder} » créé : {}.",
                plural(created.files as u64, "fichier", "fichiers")
            ));
            report::say("");
            report::say(format!(
                "  {folder}/territoire.toml    ce qui est vrai de toutes les communes : à compléter d'abord"
            ));
            report::say(format!("  mulot build {folder}    construire tous les sites"));
            report::say(format!("  mulot check {folder}    savoir ce qu'il reste à compléter, commune par commune"));
            report::say(format!("  mulot serve {folder}    voir le site de chaque commune pendant qu'on l'écrit"));
            Exit::Done
        }
        Err(error) => failed(&error),
    }
}

fn suggest_epci(typed: &str, candidates: &[(Epci, usize)]) -> Exit {
    if candidates.is_empty() {
        report::say(format!("erreur : aucune intercommunalité à fiscalité propre ne répond à « {typed} »"));
        report::say("aide : donnez son SIREN (neuf chiffres), ou un mot de son nom : --territoire Dombes");
        return Exit::Fault;
    }
    report::say(format!("erreur : plusieurs intercommunalités répondent à « {typed} »"));
    report::say("aide : choisissez par son SIREN :");
    for (epci, communes) in candidates.iter().take(12) {
        let count = plural(*communes as u64, "commune", "communes");
        report::say(format!("  --territoire {}    {} ({count})", epci.siren, epci.nom));
    }
    if candidates.len() > 12 {
        report::say(format!("  … et {} autres : donnez un nom plus précis", candidates.len() - 12));
    }
    Exit::Fault
}

fn failed(error: &StarterError) -> Exit {
    match error {
        StarterError::NotEmpty(_) | StarterError::NotAFolder(_) => {
            report::say(format!("erreur : {error}"));
            Exit::Fault
        }
        StarterError::Fs(error) => {
            report::say(format!("erreur : {}", error.sentence()));
            report::say("aide : vérifiez la place libre et le droit d'écrire à cet endroit ; rien n'a été créé");
            Exit::Machine
        }
    }
}

fn welcome(found: &Found, drafts: usize) {
    let commune = &found.commune;
    if let Some(former) = &found.former {
        let kind = match former.kind {
            FormerKind::CommuneDeleguee => "une commune déléguée",
            FormerKind::CommuneAssociee => "une commune associée",
            FormerKind::ArrondissementMunicipal => "un arrondissement",
        };
        report::say(format!(
            "{} ({}) est aujourd'hui {kind} {} : le dossier est celui de cette commune.",
            former.nom, former.code_insee, commune.names.forme_de
        ));
    }
    report::say(format!("Bienvenue {} !", commune.names.forme_a));
    if drafts > 0 {
        report::say(format!(
            "{} d'exemple sont là pour vous servir de modèles ; ils restent invisibles tant qu'ils portent brouillon = true.",
            plural(drafts as u64, "contenu", "contenus")
        ));
    }
}

/// The code of the one commune of that name; says the candidates when there are several, or none.
fn by_name(name: &str, postal: Option<&str>) -> Result<Option<String>, RegistryError> {
    let mut found = registry::search(name, postal)?;
    let exact: Vec<_> = found
        .iter()
        .filter(|one| crate::text::slug::slug(&one.nom) == crate::text::slug::slug(name))
        .cloned()
        .collect();
    if let [one] = exact.as_slice() {
        return Ok(Some(one.code_insee.clone()));
    }
    if found.len() == 1 {
        return Ok(found.pop().map(|one| one.code_insee));
    }
    let asked = [name, postal.unwrap_or("")].join(" ");
    if found.is_empty() {
        report::say(format!("erreur : aucune commune ne répond à « {} »", asked.trim()));
        report::say("aide : vérifiez l'orthographe, ou donnez le code INSEE : mulot new DOSSIER --insee 01299");
    } else {
        report::say(format!("erreur : plusieurs communes répondent à « {} »", asked.trim()));
        suggest(&found);
    }
    Ok(None)
}

fn suggest(candidates: &[Candidate]) {
    report::say("aide : choisissez par son code INSEE :");
    for one in candidates.iter().take(12) {
        let formerly = one.formerly.as_ref().map(|name| format!(" ; autrefois {name}")).unwrap_or_default();
        report::say(format!(
            "  --insee {}    {} ({}, {}{formerly})",
            one.code_insee, one.nom, one.postal_code, one.departement
        ));
    }
    if candidates.len() > 12 {
        report::say(format!("  … et {} autres : ajoutez --code-postal", candidates.len() - 12));
    }
}

fn refuse(error: &RegistryError) -> Exit {
    report::say(format!("erreur : {error}"));
    if let RegistryError::Damaged(_) = error {
        return Exit::Machine;
    }
    match error.candidates() {
        [] => report::say("aide : cherchez par le nom : mulot new DOSSIER --nom \"Le Plantay\""),
        candidates => suggest(candidates),
    }
    Exit::Fault
}
