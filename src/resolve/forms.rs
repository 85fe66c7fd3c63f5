//! Joins a form with its service and its recipients; a form that could not give a complete receipt stays closed.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::commune::{Commune, FormSettings};
use crate::model::content::{Content, Demarche, FormSource, Kind, Layer, Service};
use crate::model::form::{Field, FieldKind, Form, Opening, ServiceContact, Shape};

/// Open forms by the slug of their fiche.
pub(super) fn forms(
    contents: &[Content],
    urls: &[String],
    commune: &Commune,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Form> {
    let services: BTreeMap<&str, (&Content, &Service)> = contents
        .iter()
        .filter_map(|content| match &content.kind {
            Kind::Service(service) => Some((content.slug.as_str(), (content, service))),
            _ => None,
        })
        .collect();
    let mut forms = BTreeMap::new();
    for (content, url) in contents.iter().zip(urls) {
        let Kind::Demarche(demarche) = &content.kind else { continue };
        let Some(source) = &demarche.form else { continue };
        let settings = commune.form_settings.get(&content.slug);
        let Some(service) = service(content, demarche, settings, &services, commune, diagnostics) else { continue };
        let lists = [settings.map(|settings| &settings.recipients), Some(&source.recipients)];
        let recipients = lists.into_iter().flatten().find(|list| !list.is_empty());
        let recipients = recipients.unwrap_or(&commune.guichet.destinataires);
        if source.to_confirm && !settings.is_some_and(|settings| settings.regime_confirmed) {
            diagnostics.push(to_confirm(content, source));
        }
        if recipients.is_empty() || commune.guichet.expediteur.is_empty() {
            let what = if recipients.is_empty() { "destinataires" } else { "expediteur" };
            diagnostics.push(
                Diagnostic::blank(
                    Code::NoRecipient,
                    crate::diagnostic::Place::file("commune.toml"),
                    format!("[guichet] {what} est vide : « {} » reste fermé", content.title),
                )
                .hint(format!("dans commune.toml, sous [guichet], écrivez {what} (une adresse de la mairie)")),
            );
            continue;
        }
        let mut fields = source.fields.clone();
        name_resources(&mut fields, content, contents, diagnostics);
        fields.extend(source.identity.fields());
        let form = Form {
            id: content.slug.clone(),
            title: content.title.clone(),
            page_url: url.clone(),
            nature: source.nature,
            identity: source.identity,
            silence: source.silence,
            appeal: source.appeal,
            legal_basis: source.legal_basis.clone(),
            subject_word: source.subject_word.clone(),
            button: source.button.clone(),
            confirmation: source.confirmation.clone(),
            service,
            recipients: recipients.clone(),
            backup_recipients: commune.guichet.destinataires_secours.clone(),
            data: source.data.clone(),
            opening: opening(source, settings),
            paged: source.paged,
            fields,
        };
        forms.insert(form.id.clone(), form);
    }
    check_settings(contents, commune, diagnostics);
    forms
}

/// What the commune settles replaces what the fiche says, key by key.
fn opening(source: &FormSource, settings: Option<&FormSettings>) -> Opening {
    let fiche = source.opening.clone();
    let Some(own) = settings.map(|settings| settings.opening.clone()) else { return fiche };
    Opening {
        from: own.from.or(fiche.from),
        until: own.until.or(fiche.until),
        waiting: if own.places.is_some() { own.waiting } else { fiche.waiting },
        places: own.places.or(fiche.places),
        closed_message: own.closed_message.or(fiche.closed_message),
    }
}

/// A regime that is only known through commentaries: the mairie has it confirmed before it counts on it.
fn to_confirm(content: &Content, source: &FormSource) -> Diagnostic {
    Diagnostic::blank(
        Code::RegimeToConfirm,
        crate::diagnostic::Place::file("commune.toml"),
        format!(
            "le régime de « {} » ({}) est à faire confirmer, par exemple par la préfecture ou le centre de gestion",
            content.title,
            source.legal_basis.as_deref().unwrap_or("sans texte")
        ),
    )
    .hint(format!(
        "une fois confirmé, écrivez regime_confirme = true sous [demarches.{}] ; en attendant, regime = \"inconnu\" dans une copie de la fiche ne promet rien",
        content.slug
    ))
}

/// Gives each booking the name of its équipement.
fn name_resources(fields: &mut [Field], content: &Content, contents: &[Content], diagnostics: &mut Vec<Diagnostic>) {
    for field in fields {
        let FieldKind::Block { shape: Shape::Booking { resource, name }, .. } = &mut field.kind else { continue };
        let fiche = contents.iter().find(|other| other.slug == *resource && matches!(other.kind, Kind::Equipement(_)));
        match fiche {
            Some(fiche) => *name = fiche.title.clone(),
            None => {
                // A fiche of the catalogue cannot know the commune's buildings: it waits for their fiche.
                *name = "Lieu communal".into();
                let make = if content.layer == Layer::Catalogue { Diagnostic::blank } else { Diagnostic::error };
                diagnostics.push(
                    make(
                        Code::BadForm,
                        content.place.clone(),
                        format!("la question « {} » réserve « {resource} », qui n'a pas de fiche", field.id),
                    )
                    .hint(format!("créez annuaire/equipements/{resource}.md, ou corrigez ressource")),
                );
            }
        }
    }
}

/// Tells `[demarches.…]` of a fiche that does not exist or has no form.
fn check_settings(contents: &[Content], commune: &Commune, diagnostics: &mut Vec<Diagnostic>) {
    let has_form = |slug: &str| {
        contents.iter().any(|content| {
            content.slug == slug && matches!(&content.kind, Kind::Demarche(demarche) if demarche.form.is_some())
        })
    };
    for (slug, settings) in commune.form_settings.iter().filter(|(slug, _)| !has_form(slug)) {
        diagnostics.push(
            Diagnostic::error(
                Code::UnknownForm,
                settings.place.clone(),
                format!("aucune démarche publiée « {slug} » n'a de formulaire"),
            )
            .hint("vérifiez le nom du fichier de la fiche, ou activez-la sous [catalogue] avec avec = [\"…\"]"),
        );
    }
}

/// What a service's fiche lacks for a receipt (CRPA, art. R112-11-1, 2°): keys of the fiche.
pub fn service_blanks(service: &Service, commune: &Commune) -> Vec<&'static str> {
    let mut blanks = Vec::new();
    if service.contact.telephone.is_empty() {
        blanks.push("telephone");
    }
    if service.contact.address.is_empty() && commune.mairie.adresse.is_empty() {
        blanks.push("adresse_postale");
    }
    if service.contact.email.is_empty() && commune.mairie.courriel.is_empty() {
        blanks.push("courriel");
    }
    blanks
}

fn service(
    content: &Content,
    demarche: &Demarche,
    settings: Option<&FormSettings>,
    services: &BTreeMap<&str, (&Content, &Service)>,
    commune: &Commune,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ServiceContact> {
    let own = settings.and_then(|settings| settings.service.as_ref().map(|name| (name, &settings.place)));
    let (name, place) = own.or_else(|| demarche.service.as_ref().map(|(name, place)| (name, place)))?;
    let Some((fiche, service)) = services.get(name.as_str()) else {
        // The commune's own form must name a service that exists; a fiche of the catalogue waits for it.
        let waits = content.layer == Layer::Catalogue && own.is_none();
        let make = if waits { Diagnostic::blank } else { Diagnostic::error };
        let place =
            if waits { crate::diagnostic::Place::file(format!("annuaire/services/{name}.md")) } else { place.clone() };
        diagnostics.push(
            make(
                Code::IncompleteService,
                place,
                format!("le service « {name} » n'a pas de fiche : « {} » reste fermé", content.title),
            )
            .hint(format!("créez annuaire/services/{name}.md avec titre et telephone")),
        );
        return None;
    };
    let blanks = service_blanks(service, commune);
    if !blanks.is_empty() {
        diagnostics.push(
            Diagnostic::blank(
                Code::IncompleteService,
                fiche.place.clone(),
                format!(
                    "« {} » n'indique pas : {} ; le formulaire « {} » reste fermé",
                    fiche.title,
                    blanks.join(", "),
                    content.title
                ),
            )
            .hint(format!("complétez {} : l'accusé doit les donner (CRPA, art. R112-11-1)", fiche.path)),
        );
        return None;
    }
    let own = &service.contact;
    let address = if own.address.is_empty() { commune.mairie.address_lines() } else { own.address.clone() };
    Some(ServiceContact {
        name: fiche.title.clone(),
        address,
        telephone: own.telephone.clone(),
        email: if own.email.is_empty() { commune.mairie.courriel.clone() } else { own.email.clone() },
        responsible: service.responsible.as_ref().map(|person| {
            if person.qualite.is_empty() {
                person.full_name()
            } else {
                format!("{}, {}", person.full_name(), person.qualite)
            }
        }),
    })
}
