//! Joins a form with its service and its recipients; a form that could not give a complete receipt stays closed.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::commune::Commune;
use crate::model::content::{Content, Demarche, Kind, Layer, Service};
use crate::model::form::{Form, ServiceContact};

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
        let Some(service) = service(content, demarche, &services, commune, diagnostics) else { continue };
        let recipients = if source.recipients.is_empty() { &commune.guichet.destinataires } else { &source.recipients };
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
        fields.extend(source.identity.fields());
        let form = Form {
            id: content.slug.clone(),
            title: content.title.clone(),
            page_url: url.clone(),
            nature: source.nature,
            identity: source.identity,
            silence: source.silence,
            legal_basis: source.legal_basis.clone(),
            subject_word: source.subject_word.clone(),
            button: source.button.clone(),
            confirmation: source.confirmation.clone(),
            service,
            recipients: recipients.clone(),
            backup_recipients: commune.guichet.destinataires_secours.clone(),
            data: source.data.clone(),
            fields,
        };
        forms.insert(form.id.clone(), form);
    }
    forms
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
    services: &BTreeMap<&str, (&Content, &Service)>,
    commune: &Commune,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ServiceContact> {
    let (name, place) = demarche.service.as_ref()?;
    let Some((fiche, service)) = services.get(name.as_str()) else {
        // The commune's own form must name a service that exists; a fiche of the catalogue waits for it.
        let make = if content.layer == Layer::Catalogue { Diagnostic::blank } else { Diagnostic::error };
        let place = if content.layer == Layer::Catalogue {
            crate::diagnostic::Place::file(format!("annuaire/services/{name}.md"))
        } else {
            place.clone()
        };
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
