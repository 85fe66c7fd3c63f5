//! Gives every content its address, every list its order, every form its service; judges what needs two files at once.
//!
//! Pure: the day is an argument. Links inside bodies are resolved by `render`, which parses the Markdown, through
//! [`Site::targets`].

mod addresses;
mod forms;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::commune::Commune;
use crate::model::content::{Content, DocumentRef, ImageRef, Kind, Layer, Moment};
use crate::model::site::{ContentId, Directory, Hidden, Section, Site, SourceFile, Sources, Target};

/// The site of a commune at a local date and hour.
pub fn site(sources: Sources, now: DateTime) -> (Site, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let Sources { commune, home, contents, broken, addresses, files, .. } = sources;
    let unseen = broken.iter().flat_map(|broken| &broken.named).filter(|named| !files.contains_key(&named.path));
    diagnostics.extend(unseen.map(|named| missing_file(&named.path, named.place.clone(), &files)));
    let mut targets: BTreeMap<_, _> =
        broken.into_iter().map(|broken| (broken.path, Target::Hidden(Hidden::Broken))).collect();
    let mut public: Vec<Content> = Vec::with_capacity(contents.len());
    for mut content in contents {
        attach_siblings(&mut content, &files);
        call_the_mairie(&mut content, &commune);
        match hidden(&content, &commune.catalogue, now) {
            Some(why) => {
                targets.insert(content.path, Target::Hidden(why));
            }
            None => {
                check_files(&content, &files, &mut diagnostics);
                targets.insert(content.path.clone(), Target::Page(public.len()));
                public.push(content);
            }
        }
    }
    if !home.path.is_empty() {
        targets.insert(home.path.clone(), Target::Home);
    }
    let urls: Vec<String> = public.iter().map(addresses::url).collect();
    let redirects = addresses::check(&public, &urls, &mut diagnostics);
    let forms = forms::forms(&public, &urls, &commune, &mut diagnostics);
    let (sections, top_pages) = sections(&public, &urls, &commune.menu_order);
    let mut site = Site {
        commune,
        home,
        now,
        contents: public,
        urls,
        targets,
        sections,
        top_pages,
        news: Vec::new(),
        active_alerts: Vec::new(),
        other_alerts: Vec::new(),
        upcoming_events: Vec::new(),
        past_events: Vec::new(),
        directory: Directory::default(),
        demarches: Vec::new(),
        forms,
        redirects,
        addresses: addresses.into(),
        files,
    };
    lists(&mut site);
    check_references(&site, &mut diagnostics);
    (site, diagnostics)
}

fn hidden(content: &Content, catalogue: &crate::model::commune::CatalogueChoice, now: DateTime) -> Option<Hidden> {
    let today = now.date();
    let publication = &content.publication;
    if publication.draft {
        Some(Hidden::Draft)
    } else if publication.from.is_some_and(|from| today < from) {
        Some(Hidden::NotYet)
    } else if publication.until.is_some_and(|until| until < today) {
        Some(Hidden::Expired)
    } else if content.layer == Layer::Catalogue
        && let Kind::Demarche(demarche) = &content.kind
        && !catalogue.includes(&content.slug, demarche.essential)
    {
        Some(Hidden::SwitchedOff)
    } else {
        None
    }
}

/// The service that is the mairie itself answers at its number, unless its fiche gives another one.
fn call_the_mairie(content: &mut Content, commune: &Commune) {
    let is_mairie = THE_MAIRIE.contains(&content.slug.as_str());
    if let Kind::Service(service) = &mut content.kind
        && is_mairie
        && service.contact.telephone.is_empty()
    {
        service.contact.telephone.clone_from(&commune.mairie.telephone);
    }
}

/// Slugs of the service that is the mairie itself.
const THE_MAIRIE: [&str; 2] = ["secretariat", "mairie"];

/// Extensions of pictures a content may own.
const PICTURES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "svg"];

/// A picture or a PDF with the stem of the `.md` belongs to it.
fn attach_siblings(content: &mut Content, files: &BTreeMap<String, SourceFile>) {
    let stem = content.path.trim_end_matches(".md");
    if content.image.is_none() {
        let own = PICTURES.iter().map(|extension| format!("{stem}.{extension}")).find(|path| files.contains_key(path));
        content.image =
            own.map(|path| ImageRef { path, alt: String::new(), credit: None, place: content.place.clone() });
    }
    let pdf = format!("{stem}.pdf");
    if files.contains_key(&pdf) && content.documents.iter().all(|document| document.path != pdf) {
        content.documents.insert(0, DocumentRef { path: pdf, title: None, place: content.place.clone() });
    }
}

/// Documents in a format that the public can read and nobody can change by accident.
const DOCUMENTS: [&str; 14] =
    ["pdf", "csv", "json", "txt", "ics", "gpx", "geojson", "kml", "zip", "odt", "ods", "jpg", "jpeg", "png"];

fn check_files(content: &Content, files: &BTreeMap<String, SourceFile>, diagnostics: &mut Vec<Diagnostic>) {
    let rules = match &content.kind {
        Kind::Equipement(equipement) => equipement.rules.as_ref(),
        _ => None,
    };
    for document in content.documents.iter().chain(rules) {
        let extension = document.path.rsplit('.').next().unwrap_or("").to_lowercase();
        if !files.contains_key(&document.path) {
            diagnostics.push(missing_file(&document.path, document.place.clone(), files));
        } else if !DOCUMENTS.contains(&extension.as_str()) {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadDocument,
                    document.place.clone(),
                    format!("un document .{extension} ne s'ouvre pas partout"),
                )
                .hint("enregistrez-le en PDF : c'est le format que tout le monde peut lire"),
            );
        }
    }
    if let Some(image) = content.image.as_ref().filter(|image| !files.contains_key(&image.path)) {
        diagnostics.push(missing_file(&image.path, image.place.clone(), files));
    }
}

fn missing_file(path: &str, place: crate::diagnostic::Place, files: &BTreeMap<String, SourceFile>) -> Diagnostic {
    let name = path.rsplit('/').next().unwrap_or(path);
    let elsewhere = files.keys().find(|other| {
        let other = other.rsplit('/').next().unwrap_or(other);
        other.eq_ignore_ascii_case(name) || crate::text::slug::slug(other) == crate::text::slug::slug(name)
    });
    Diagnostic::error(Code::MissingFile, place, format!("le fichier « {path} » n'existe pas")).hint(match elsewhere {
        Some(found) => format!("il y a un fichier « {found} » : corrigez le chemin, il part du dossier de ce contenu"),
        None => "copiez le fichier dans le dossier, ou corrigez son nom (majuscules et accents comptent)".into(),
    })
}

fn sections(contents: &[Content], urls: &[String], order: &[String]) -> (Vec<Section>, Vec<ContentId>) {
    let (mut sections, mut top): (BTreeMap<&str, Section>, Vec<ContentId>) = (BTreeMap::new(), Vec::new());
    for (id, content) in contents.iter().enumerate() {
        let Kind::Page { is_index } = content.kind else { continue };
        let inside = content.path.strip_prefix("pages/").unwrap_or(&content.path);
        let Some((folder, rest)) = inside.split_once('/') else {
            if content.in_menu {
                top.push(id);
            }
            continue;
        };
        let section = sections.entry(folder).or_insert_with(|| Section {
            key: folder.to_owned(),
            title: title_of_folder(folder),
            url: format!("/{}/", crate::text::slug::slug(folder)),
            index: None,
            pages: Vec::new(),
        });
        if is_index && !rest.contains('/') {
            section.title.clone_from(&content.title);
            section.index = Some(id);
        } else if content.in_menu {
            section.pages.push(id);
        }
    }
    let rank = |id: &ContentId| {
        let content = &contents[*id];
        (content.order.unwrap_or(i64::MAX), crate::text::slug::slug(&content.title), urls[*id].clone())
    };
    let mut sections: Vec<Section> = sections.into_values().collect();
    for section in &mut sections {
        section.pages.sort_by_cached_key(rank);
    }
    let place = |section: &Section| order.iter().position(|key| *key == section.key).unwrap_or(usize::MAX);
    sections.sort_by_cached_key(|section| {
        let own = section.index.and_then(|id| contents[id].order).unwrap_or(i64::MAX);
        (place(section), own, section.key.clone())
    });
    top.sort_by_cached_key(rank);
    (sections, top)
}

/// « vie-pratique » → « Vie pratique », when a section has no `index.md`.
fn title_of_folder(folder: &str) -> String {
    let words = folder.replace(['-', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn lists(site: &mut Site) {
    let today = site.today();
    let now = site.now;
    let start = |moment: Moment| match moment {
        Moment::Day(date) => date.to_datetime(jiff::civil::Time::midnight()),
        Moment::Time(time) => time,
    };
    for (id, content) in site.contents.iter().enumerate() {
        match &content.kind {
            Kind::News(_) => site.news.push(id),
            Kind::Alert(alert) => {
                let ended = match alert.end {
                    Moment::Day(date) => date < today,
                    Moment::Time(time) => time <= now,
                };
                // An alert of the day is shown from the morning: better early than late.
                if alert.start.date() <= today && !ended {
                    site.active_alerts.push(id)
                } else {
                    site.other_alerts.push(id)
                }
            }
            Kind::Event(event) if event.last_day() >= today => site.upcoming_events.push(id),
            Kind::Event(_) => site.past_events.push(id),
            Kind::Elu(_) => site.directory.elus.push(id),
            Kind::Service(_) => site.directory.services.push(id),
            Kind::Association(_) => site.directory.associations.push(id),
            Kind::Commerce(_) => site.directory.commerces.push(id),
            Kind::Equipement(_) => site.directory.equipements.push(id),
            Kind::Demarche(_) => site.demarches.push(id),
            Kind::Page { .. } => {}
        }
    }
    let contents = &site.contents;
    let alert = |id: &ContentId| match &contents[*id].kind {
        Kind::Alert(alert) => Some((Reverse(alert.level), Reverse(start(alert.start)))),
        _ => None,
    };
    site.active_alerts.sort_by_key(alert);
    site.other_alerts.sort_by_key(|id| alert(id).map(|(_, start)| start));
    site.news.sort_by_key(|id| match &contents[*id].kind {
        Kind::News(news) => Some((Reverse(news.date), *id)),
        _ => None,
    });
    let event = |id: &ContentId| match &contents[*id].kind {
        Kind::Event(event) => Some(start(event.start)),
        _ => None,
    };
    site.upcoming_events.sort_by_key(event);
    site.past_events.sort_by_key(|id| Reverse(event(id)));
    let named = |id: &ContentId| {
        let content = &contents[*id];
        let name = match &content.kind {
            Kind::Elu(elu) => crate::text::slug::slug(&format!("{} {}", elu.last_name, elu.first_name)),
            _ => crate::text::slug::slug(&content.title),
        };
        (content.order.unwrap_or(i64::MAX), name, content.path.clone())
    };
    let directory = &mut site.directory;
    for list in [
        &mut directory.elus,
        &mut directory.services,
        &mut directory.associations,
        &mut directory.commerces,
        &mut directory.equipements,
        &mut site.demarches,
    ] {
        list.sort_by_cached_key(named);
    }
}

/// Keys that name another content: the place of an event, the service of a fiche.
fn check_references(site: &Site, diagnostics: &mut Vec<Diagnostic>) {
    let services: BTreeSet<&str> = site.directory.services.iter().map(|id| site.contents[*id].slug.as_str()).collect();
    for content in &site.contents {
        match &content.kind {
            Kind::Event(event) => {
                if let Some(path) =
                    event.equipement.as_deref().filter(|path| !matches!(site.targets.get(*path), Some(Target::Page(_))))
                {
                    diagnostics.push(
                        Diagnostic::error(Code::DeadLink, content.place.clone(), format!("le lieu « {path} » n'a pas de fiche publiée"))
                            .hint("equipement attend le chemin d'une fiche, par exemple \"../annuaire/equipements/salle-des-fetes.md\" ; sinon, écrivez lieu = \"…\""),
                    );
                }
            }
            Kind::Demarche(demarche) if demarche.form.is_none() => {
                if let Some((service, place)) =
                    demarche.service.as_ref().filter(|(service, _)| !services.contains(service.as_str()))
                {
                    // A fiche of the catalogue waits for the commune's service.
                    let waits = content.layer == Layer::Catalogue;
                    let make = if waits { Diagnostic::blank } else { Diagnostic::error };
                    diagnostics.push(
                        make(Code::DeadLink, place.clone(), format!("le service « {service} » n'a pas de fiche"))
                            .hint(format!("créez annuaire/services/{service}.md, ou corrigez la clé service")),
                    );
                }
            }
            _ => {}
        }
    }
}
