//! `site`: what every page of a commune shares, and the values that bodies may use.

use std::borrow::Cow;

use serde::Serialize;
use tera::Context;

use super::Edition;
use super::alerts;
use super::directory::Shelf;
use crate::diagnostic::Diagnostic;
use crate::model::commune::Commune;
use crate::model::content::Kind;
use crate::model::site::{ContentId, Site};
use crate::render::Options;
use crate::render::hours;
use crate::render::parts;
use crate::render::view::{
    CommuneView, EmergencyView, FeedView, ImageView, Link, MairieView, MenuSection, PreviewView, SiteView, Text,
};
use crate::text::numbers::plural;
use crate::text::typography::french;

/// Sections of the main menu at most.
const MENU_LENGTH: usize = 7;

/// One entry of the main menu.
struct Entry<'s> {
    key: &'s str,
    title: &'s str,
    url: &'s str,
    pages: &'s [ContentId],
}

/// The main menu: the sections of `pages/`, then démarches, news and agenda, then lone pages, as many as fit.
fn menu(site: &Site) -> Vec<Entry<'_>> {
    let mut menu: Vec<Entry<'_>> = site
        .sections
        .iter()
        .map(|section| Entry { key: &section.key, title: &section.title, url: &section.url, pages: &section.pages })
        .collect();
    let lists = [
        ("demarches", "Démarches", "/demarches/", !site.demarches.is_empty()),
        ("actualites", "Actualités", "/actualites/", true),
        ("agenda", "Agenda", "/agenda/", true),
    ];
    for (key, title, url, shown) in lists {
        if shown && (menu.len() < MENU_LENGTH || key == "demarches") {
            menu.push(Entry { key, title, url, pages: &[] });
        }
    }
    for id in &site.top_pages {
        if menu.len() < MENU_LENGTH {
            let (content, url) = site.page(*id);
            menu.push(Entry { key: &content.path, title: &content.title, url, pages: &[] });
        }
    }
    menu
}

/// Keys of the sections of the main menu.
pub(super) fn menu_keys(site: &Site) -> Vec<String> {
    menu(site).into_iter().map(|entry| entry.key.to_owned()).collect()
}

/// The section of the menu under which a directory stands, by the usual names of sections; `""` when there is none.
pub(super) fn section_of_shelf(site: &Site, shelf: Shelf) -> &str {
    let wanted: &[&str] = match shelf {
        Shelf::Elus | Shelf::Services => &["mairie", "la-mairie", "commune", "vie-municipale", "municipalite"],
        Shelf::Associations => &["vie-locale", "vie-associative", "loisirs", "associations", "vivre"],
        Shelf::Commerces => &["vie-locale", "economie", "commerces", "vie-pratique", "vie-economique"],
        Shelf::Equipements => &["vie-locale", "village", "vie-pratique", "equipements", "loisirs"],
    };
    wanted
        .iter()
        .find_map(|key| site.sections.iter().find(|section| section.key == *key))
        .map_or("", |section| section.key.as_str())
}

impl<'s> Edition<'s> {
    /// `site`, with addresses of pages behind `prefix` (empty on the site; its scheme and host for a guichet elsewhere).
    pub(in crate::render) fn site_view(
        &self,
        options: &Options,
        prefix: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> SiteView<'s> {
        let site = self.site;
        let commune = &site.commune;
        let at = |url: &str| -> Text<'s> { format!("{prefix}{url}").into() };
        // Never behind the prefix: a guichet elsewhere serves it too, for no page loads anything from another host.
        let blazon = self.blazon(diagnostics);
        let icon =
            blazon.as_ref().filter(|image| image.src.ends_with(".svg")).map(|image| image.src.clone().into_owned());
        SiteView {
            commune: commune_view(commune),
            mairie: self.mairie_view(prefix),
            base_url: commune.domaine.trim_end_matches('/').into(),
            home_url: at("/"),
            blazon,
            assets: self.theme.assets(icon),
            menu: menu(site).into_iter().map(|entry| self.menu_section(entry, prefix)).collect(),
            quick_links: self.quick_links(prefix),
            more_links: self.more_links(prefix),
            footer_links: self.footer_links(prefix),
            accessibility: parts::link(
                format!("Accessibilité\u{a0}: {}", commune.accessibilite.etat),
                at(self.url_among(&["/accessibilite/", "/declaration-d-accessibilite/"]).unwrap_or("/plan-du-site/")),
            ),
            feeds: vec![FeedView {
                title: format!("Actualités {}", commune.names.forme_de).into(),
                url: at("/actualites/atom.xml"),
                mime: "application/atom+xml".into(),
            }],
            alerts: site
                .active_alerts
                .iter()
                .filter_map(|id| {
                    let mut card = alerts::card(site, *id)?;
                    card.url = at(&card.url);
                    Some(card)
                })
                .collect(),
            preview: options.preview.as_ref().map(|preview| PreviewView {
                script_url: preview
                    .script_url
                    .clone()
                    .or_else(|| self.theme.preview_script_url().map(str::to_owned))
                    .unwrap_or_default()
                    .into(),
                letterbox_url: preview.letterbox_url.clone().into(),
                letters: preview.letters,
                diagnostics_url: preview.diagnostics_url.clone().into(),
                diagnostics: preview.diagnostics.clone().map(Cow::from),
            }),
            generator: options.generator.clone().into(),
            generator_url: None,
        }
    }

    fn menu_section(&self, entry: Entry<'s>, prefix: &str) -> MenuSection<'s> {
        let pages = entry.pages.iter().map(|id| {
            let (content, url) = self.site.page(*id);
            parts::link(french(&content.title), format!("{prefix}{url}"))
        });
        MenuSection {
            key: entry.key.into(),
            title: french(entry.title),
            url: format!("{prefix}{}", entry.url).into(),
            pages: pages.collect(),
        }
    }

    fn blazon(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<ImageView<'s>> {
        let path = self.site.commune.identite.blason.as_deref().filter(|path| !path.is_empty())?;
        match self.links.media.image(path, "", None) {
            Ok(image) => Some(image),
            Err(broken) => {
                diagnostics.push(broken.at(crate::diagnostic::Place::file("commune.toml")));
                None
            }
        }
    }

    fn mairie_view(&self, prefix: &str) -> MairieView<'s> {
        let commune = &self.site.commune;
        let mairie = &commune.mairie;
        let service = self.main_service().map(|id| format!("{prefix}{}", self.site.urls[id]));
        MairieView {
            name: french(&format!("Mairie {}", commune.names.forme_de)).into_owned().into(),
            address_lines: mairie.address_lines().into_iter().map(|line| french(&line).into_owned().into()).collect(),
            phone: parts::phone(&mairie.telephone),
            email: (!mairie.courriel.is_empty()).then(|| mairie.courriel.as_str().into()),
            url: service.map(Cow::from),
            hours_summary: hours::summary(&mairie.hours),
            opening: hours::opening(&mairie.hours, self.public(), self.site.today(), &commune.fuseau),
            emergency: mairie.urgence.as_ref().and_then(|urgence| {
                Some(EmergencyView { label: french(&urgence.libelle), phone: parts::phone(&urgence.telephone)? })
            }),
        }
    }

    /// The service that welcomes: the secretariat, or the first of the list.
    pub(super) fn main_service(&self) -> Option<ContentId> {
        let services = &self.site.directory.services;
        let named = |names: &[&str]| {
            services.iter().copied().find(|id| names.iter().any(|name| self.site.contents[*id].slug.starts_with(name)))
        };
        named(&["secretariat", "mairie", "accueil"])
    }

    /// The first of these addresses that the site has.
    pub(super) fn url_among(&self, urls: &[&'static str]) -> Option<&'static str> {
        urls.iter().copied().find(|url| self.links.has_page(url))
    }

    fn quick_links(&self, prefix: &str) -> Vec<Link<'s>> {
        let wanted = [("/demarches/signaler-un-probleme/", "Signaler un problème"), ("/demarches/contact/", "Contact")];
        let found = wanted.into_iter().filter(|(url, _)| self.links.has_page(url));
        found.map(|(url, label)| parts::link(label, format!("{prefix}{url}"))).collect()
    }

    /// What the menu has no room for and people look for in the footer.
    fn more_links(&self, prefix: &str) -> Vec<Link<'s>> {
        let held = Shelf::ALL.into_iter().any(|shelf| !shelf.ids(self.site).is_empty());
        held.then(|| parts::link("Annuaire", format!("{prefix}/annuaire/"))).into_iter().collect()
    }

    fn footer_links(&self, prefix: &str) -> Vec<Link<'s>> {
        let wanted = [
            ("/mentions-legales/", "Mentions légales"),
            ("/donnees-personnelles/", "Données personnelles"),
            ("/conditions-du-guichet/", "Conditions du guichet"),
        ];
        let found = wanted.into_iter().filter(|(url, _)| self.links.has_page(url));
        found
            .chain([("/plan-du-site/", "Plan du site")])
            .map(|(url, label)| parts::link(label, format!("{prefix}{url}")))
            .collect()
    }
}

fn commune_view(commune: &Commune) -> CommuneView<'_> {
    CommuneView {
        nom: french(&commune.names.nom),
        forme_de: french(&commune.names.forme_de),
        forme_a: french(&commune.names.forme_a),
        devise: parts::option(&commune.devise),
        code_insee: commune.code_insee.as_str().into(),
        departement: parts::option(&commune.departement),
        region: parts::option(&commune.region),
        epci: parts::option(&commune.epci),
        population: commune.population.map(|count| plural(u64::from(count), "habitant", "habitants").into()),
    }
}

/// A form, for the pages that list them (personal data, terms of the guichet).
#[derive(Serialize)]
struct FormValue<'a> {
    titre: &'a str,
    url: &'a str,
    finalite: &'a str,
    base_legale: &'a str,
    conservation: String,
    destinataires: &'a str,
    service: &'a str,
    donnees: Vec<&'a str>,
}

/// What the bodies with `variables = true` may use: `commune`, `formulaires`, and `apercu`, whether only the author reads.
pub(super) fn values(site: &Site, preview: bool) -> Context {
    let forms: Vec<FormValue<'_>> = site
        .forms
        .values()
        .map(|form| FormValue {
            titre: &form.title,
            url: &form.page_url,
            finalite: &form.data.purpose,
            base_legale: &form.data.legal_basis,
            conservation: parts::delay(form.data.retention),
            destinataires: &form.data.recipients,
            service: &form.service.name,
            donnees: form
                .fields
                .iter()
                .filter(|field| !field.tells_only())
                .map(|field| field.question.as_str())
                .collect(),
        })
        .collect();
    let mut values = Context::new();
    values.insert("commune", &site.commune);
    values.insert("formulaires", &forms);
    values.insert("apercu", &preview);
    values
}

/// Names of the kinds of content that a section lists without holding them.
pub(super) fn related<'s>(site: &'s Site, key: &str) -> Vec<Link<'s>> {
    let mut links: Vec<Link<'s>> = Shelf::ALL
        .into_iter()
        .filter(|shelf| section_of_shelf(site, *shelf) == key && !shelf.ids(site).is_empty())
        .map(|shelf| parts::link(shelf.title(), shelf.url()))
        .collect();
    if key == "vie-pratique" && site.contents.iter().any(|content| matches!(content.kind, Kind::Demarche(_))) {
        links.push(parts::link("Toutes les démarches", "/demarches/"));
    }
    if key == "vie-locale" {
        links.push(parts::link("L’agenda", "/agenda/"));
    }
    links
}
