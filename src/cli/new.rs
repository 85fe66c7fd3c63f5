//! `mulot new`.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, report};
use crate::registry::{self, Candidate, FormerKind, Found, RegistryError};
use crate::starter::{self, Starter, StarterError};
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct NewArgs {
    /// Dossier à créer
    #[arg(value_name = "DOSSIER")]
    folder: PathBuf,
    /// Code INSEE de la commune (cinq caractères ; ce n'est pas le code postal)
    #[arg(long, value_name = "CODE")]
    insee: Option<String>,
    /// Nom de la commune, si vous ne connaissez pas son code INSEE
    #[arg(long, value_name = "NOM", conflicts_with = "insee")]
    nom: Option<String>,
    /// Code postal, pour départager les communes du même nom
    #[arg(long = "code-postal", value_name = "CODE", conflicts_with = "insee")]
    postal_code: Option<String>,
    /// Sans les exemples (qui sont des brouillons, jamais publiés)
    #[arg(long = "sans-exemples")]
    without_examples: bool,
}

pub(super) fn run(args: &NewArgs) -> Exit {
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
    let what = match &found {
        Some(found) => Starter::Commune { record: &found.commune, examples: !args.without_examples },
        None => Starter::Sample,
    };
    match starter::create(&args.folder, what) {
        Ok(created) => {
            match &found {
                Some(found) => welcome(found, created.drafts),
                None => report::say("Voici Saint-Mulot-des-Champs, une commune inventée, pour essayer."),
            }
            let folder = created.folder.display();
            report::say(format!(
                "Dossier « {folder} » créé : {}.",
                plural(created.files as u64, "fichier", "fichiers")
            ));
            report::say("");
            report::say(format!("  mulot serve {folder}    voir le site pendant que vous écrivez"));
            report::say(format!("  mulot check {folder}    savoir ce qu'il reste à compléter"));
            Exit::Done
        }
        Err(error @ (StarterError::NotEmpty(_) | StarterError::NotAFolder(_))) => {
            report::say(format!("erreur : {error}"));
            Exit::Fault
        }
        Err(StarterError::Fs(error)) => {
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
