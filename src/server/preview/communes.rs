//! The list of the communes of a previewed territoire: where each is, and how its last build went.

use std::collections::BTreeMap;
use std::path::Path;

use super::territoire::{LastBuild, Street};
use super::tools::diagnostic_view;
use crate::builds::{self, BuildRecord, Issue};
use crate::diagnostic::Diagnostic;
use crate::load::{self, Layers, Member, Territoire};
use crate::pipeline::Base;
use crate::render::view::{CommuneRow, CommunesView, ToolView};
use crate::server::letterbox::date_words;
use crate::server::workshop::DIAGNOSTICS_URL;
use crate::text::numbers::plural;
use crate::text::slug::slug;
use crate::text::typography::french;

/// A territoire as it was read last.
#[derive(Default)]
pub(super) struct Listed {
    /// Its name, or that of its folder.
    nom: String,
    /// What is wrong with it.
    told: Vec<Diagnostic>,
    /// Why its folder of communes cannot be read.
    trouble: Option<String>,
    /// Its communes by their name under localhost.
    pub(super) communes: BTreeMap<String, ListedCommune>,
}

/// A commune of it.
#[derive(Clone)]
pub(super) struct ListedCommune {
    pub(super) member: Member,
    /// « Saint-Mulot-des-Champs », or the name of its folder.
    nom: String,
    /// Its last `mulot build`, when one is known.
    record: Option<BuildRecord>,
}

impl Listed {
    /// Reads the territoire in `root`; when it cannot be read, the communes known `before` stay.
    pub(super) fn read(root: &Path, base: &Base, before: &Listed) -> Listed {
        let folder = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let folder = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (territoire, told) = Territoire::read(root);
        let known = |trouble| Listed {
            nom: if before.nom.is_empty() { folder.clone() } else { before.nom.clone() },
            told: told.clone(),
            trouble,
            communes: before.communes.clone(),
        };
        let Some(territoire) = territoire else { return known(None) };
        let members = match territoire.members() {
            Ok(members) => members,
            Err(error) => return known(Some(error.sentence())),
        };
        let territoire = std::sync::Arc::new(territoire);
        let sites = territoire.model.sites_in(&territoire.root);
        let mut communes = BTreeMap::new();
        for member in members {
            let (commune, _) = load::described(&Layers::within(&territoire, &member.folder, &base.catalogue));
            let nom = commune.map(|commune| commune.names.nom).filter(|nom| !nom.is_empty());
            let nom = nom.unwrap_or_else(|| member.name.clone());
            let record = builds::read(&sites, &member.name);
            communes.insert(free(&communes, &slug(&member.name)), ListedCommune { member, nom, record });
        }
        Listed { nom: territoire.model.nom.clone(), told, trouble: None, communes }
    }
}

/// `bourg`, or `bourg-2` when another folder has that name under localhost.
fn free(communes: &BTreeMap<String, ListedCommune>, name: &str) -> String {
    let others = (2..).map(|rank| format!("{name}-{rank}"));
    let free = std::iter::once(name.to_owned()).chain(others).find(|name| !communes.contains_key(name));
    free.unwrap_or_default()
}

/// Where a commune is previewed, without final slash.
pub(super) fn address(name: &str, port: u16) -> String {
    format!("http://{name}.localhost:{port}")
}

/// Where the list is.
pub(super) fn list_address(port: u16) -> String {
    format!("http://localhost:{port}/")
}

/// The list, drawn; `unknown` is the name that was asked for, when it is nobody's.
pub(super) fn page(street: &Street, listed: &Listed, unknown: Option<&str>) -> String {
    let theme = street.theme.as_ref();
    let lasts: Vec<Option<LastBuild>> = listed.communes.keys().map(|name| street.last_build(name)).collect();
    let mut rows: Vec<(bool, CommuneRow<'_>)> = listed
        .communes
        .iter()
        .zip(&lasts)
        .map(|((name, commune), last)| row(name, commune, last.as_ref(), street.port))
        .collect();
    rows.sort_by_cached_key(|(_, row)| slug(&row.name));
    let built = rows.iter().filter(|(_, row)| row.good).count() as u64;
    let count = rows.len() as u64;
    let (refused, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(is_refused, _)| *is_refused);
    let mut words = vec![plural(count, "commune", "communes")];
    words.extend((built > 0).then(|| plural(built, "construite", "construites")));
    words.extend((!refused.is_empty()).then(|| format!("{} à corriger", refused.len())));
    words.extend(listed.trouble.clone());
    let view = CommunesView {
        tool: ToolView {
            title: french("Les communes"),
            folder: listed.nom.as_str().into(),
            stylesheet_url: theme.map_or("", |theme| theme.stylesheet_url()).into(),
            script_url: theme.and_then(|theme| theme.preview_script_url()).map(Into::into),
            site_url: "/".into(),
            letterbox_url: "".into(),
            diagnostics_url: "".into(),
            communes_url: None,
        },
        summary: words.join(", ").into(),
        unknown: unknown.map(|name| format!("{name}.localhost").into()),
        items: listed.told.iter().map(diagnostic_view).collect(),
        refused: refused.into_iter().map(|(_, row)| row).collect(),
        others: others.into_iter().map(|(_, row)| row).collect(),
    };
    let drawn = theme.and_then(|theme| theme.render(&view).ok());
    drawn.unwrap_or_else(|| bare(listed, street.port))
}

/// How a commune stands, and whether it is refused.
fn row<'a>(name: &str, commune: &'a ListedCommune, last: Option<&'a LastBuild>, port: u16) -> (bool, CommuneRow<'a>) {
    let url = commune.member.folder.is_dir().then(|| address(name, port));
    let told = |url: &Option<String>| url.as_ref().map(|url| format!("{url}{DIAGNOSTICS_URL}").into());
    let mut row = CommuneRow {
        name: commune.nom.as_str().into(),
        label: "pas encore ouverte".into(),
        good: false,
        state: "".into(),
        items: Vec::new(),
        diagnostics_url: None,
        url: url.clone().map(|url| format!("{url}/").into()),
    };
    let is_refused = match last {
        None if url.is_none() => {
            row.label = "sans dossier".into();
            row.state = format!("territoire.toml la nomme, mais communes/{} n’existe pas.", commune.member.name).into();
            true
        }
        None => {
            row.state = commune.record.as_ref().map_or_else(String::new, recorded).into();
            false
        }
        Some(LastBuild::Failed) => {
            row.label = "en panne".into();
            row.state =
                "Son aperçu ne s’ouvre pas ; le terminal dit pourquoi. Une nouvelle visite essaie encore.".into();
            true
        }
        Some(LastBuild::Built { is_good: true, files, summary, .. }) => {
            (row.label, row.good) = ("construite".into(), true);
            let said = summary.as_ref().map(|said| format!(" ; {said}")).unwrap_or_default();
            row.state = french(&format!("{}{said}.", plural(*files as u64, "fichier", "fichiers"))).into_owned().into();
            row.diagnostics_url = summary.as_ref().and_then(|_| told(&url));
            false
        }
        Some(LastBuild::Built { has_site, summary, errors, .. }) => {
            row.label = "refusée".into();
            let said = summary.as_deref().unwrap_or("Une erreur");
            let stays = if *has_site { " ; son dernier bon site reste affiché" } else { "" };
            row.state = french(&format!("{said}{stays}.")).into_owned().into();
            row.items = errors.iter().map(diagnostic_view).collect();
            row.diagnostics_url = told(&url);
            true
        }
    };
    (is_refused, row)
}

/// What the last `mulot build` made of it.
fn recorded(record: &BuildRecord) -> String {
    let when = date_words(record.essaye_le.as_second());
    match &record.issue {
        Issue::Construit => format!("Dernier mulot build : {when}."),
        Issue::Refuse(why) => format!("Le dernier mulot build, {when}, l’a refusée : {why}"),
        Issue::Panne(why) => format!("Le dernier mulot build, {when}, n’a pas pu : {why}"),
    }
}

/// When even the built-in theme cannot be used.
fn bare(listed: &Listed, port: u16) -> String {
    let links: String = listed
        .communes
        .keys()
        .map(|name| format!("<li><a href=\"{}/\">{name}</a></li>", address(name, port)))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>Les communes</title></head><body><h1>Les communes</h1><ul>{links}</ul></body></html>\n"
    )
}
