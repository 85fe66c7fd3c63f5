//! Joins a form with its service and its recipients; a form that could not give a complete receipt stays closed.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::commune::Commune;
use crate::model::content::{Content, Demarche, FormSource, Kind, Layer, Service};
use crate::model::form::{Form, ServiceContact};

/// What keeps forms closed, with their titles: each blank is told once, all of them at once.
type Closing = BTreeMap<(Code, Place, String, String), Vec<String>>;

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
    let (mut forms, mut closing) = (BTreeMap::new(), Closing::new());
    for (content, url) in contents.iter().zip(urls) {
        let Kind::Demarche(demarche) = &content.kind else { continue };
        let Some(source) = &demarche.form else { continue };
        let service = service(content, demarche, &services, commune, (&mut closing, diagnostics));
        let recipients = if source.recipients.is_empty() { &commune.guichet.destinataires } else { &source.recipients };
        let blanks = [("destinataires", recipients.is_empty()), ("expediteur", commune.guichet.expediteur.is_empty())];
        for (what, _) in blanks.iter().filter(|(_, blank)| *blank) {
            let key = format!("[guichet] {what}");
            let hint = format!("dans commune.toml, sous [guichet], écrivez {what} (une adresse de la mairie)");
            let blank = (Code::NoRecipient, commune.place(&key), format!("{key} est vide"), hint);
            closing.entry(blank).or_default().push(content.title.clone());
        }
        let Some(service) = service.filter(|_| blanks.iter().all(|(_, blank)| !blank)) else { continue };
        let form = joined(content, url, (source, service), recipients, commune);
        forms.insert(form.id.clone(), form);
    }
    diagnostics.extend(closing.into_iter().map(|((code, place, message, hint), titles)| {
        Diagnostic::blank(code, place, format!("{message} : {}", stay_closed(&titles))).hint(hint)
    }));
    forms
}

fn joined(
    content: &Content,
    url: &str,
    (source, service): (&FormSource, ServiceContact),
    recipients: &[String],
    commune: &Commune,
) -> Form {
    let mut fields = source.fields.clone();
    fields.extend(source.identity.fields());
    Form {
        id: content.slug.clone(),
        title: content.title.clone(),
        page_url: url.to_owned(),
        nature: source.nature,
        identity: source.identity,
        silence: source.silence,
        legal_basis: source.legal_basis.clone(),
        subject_word: source.subject_word.clone(),
        button: source.button.clone(),
        confirmation: source.confirmation.clone(),
        service,
        recipients: recipients.to_vec(),
        backup_recipients: commune.guichet.destinataires_secours.clone(),
        data: source.data.clone(),
        fields,
    }
}

/// « le formulaire « Contact » reste fermé », « les formulaires « A », « B » et « C » restent fermés ».
fn stay_closed(titles: &[String]) -> String {
    let quoted: Vec<String> = titles.iter().map(|title| format!("« {title} »")).collect();
    match quoted.split_last() {
        Some((last, [])) => format!("le formulaire {last} reste fermé"),
        Some((last, others)) => format!("les formulaires {} et {last} restent fermés", others.join(", ")),
        None => String::new(),
    }
}

/// Who answers for a form; `None`, told, when the receipt could not name, reach or place the service (CRPA, art. R112-11-1).
fn service(
    content: &Content,
    demarche: &Demarche,
    services: &BTreeMap<&str, (&Content, &Service)>,
    commune: &Commune,
    (closing, diagnostics): (&mut Closing, &mut Vec<Diagnostic>),
) -> Option<ServiceContact> {
    let (name, place) = demarche.service.as_ref()?;
    let Some((fiche, service)) = services.get(name.as_str()) else {
        let message = format!("le service « {name} » n'a pas de fiche");
        let hint = format!("créez annuaire/services/{name}.md avec titre et telephone");
        // The commune's own form must name a service that exists; a fiche of the catalogue waits for it.
        if content.layer == Layer::Catalogue {
            let place = Place::file(format!("annuaire/services/{name}.md"));
            closing.entry((Code::IncompleteService, place, message, hint)).or_default().push(content.title.clone());
        } else {
            let message = format!("{message} : {}", stay_closed(std::slice::from_ref(&content.title)));
            diagnostics.push(Diagnostic::error(Code::IncompleteService, place.clone(), message).hint(hint));
        }
        return None;
    };
    let own = &service.contact;
    if own.telephone.is_empty() {
        let message = format!("« {} » n'indique pas de telephone", fiche.title);
        let hint = format!("complétez {} : l'accusé doit le donner (CRPA, art. R112-11-1)", fiche.path);
        let blank = (Code::IncompleteService, fiche.place.clone(), message, hint);
        closing.entry(blank).or_default().push(content.title.clone());
    }
    let mairie = &commune.mairie;
    let address =
        if own.address.is_empty() && !mairie.adresse.is_empty() { mairie.address_lines() } else { own.address.clone() };
    let email = if own.email.is_empty() { mairie.courriel.clone() } else { own.email.clone() };
    // The mairie's address and e-mail serve for its services: where they are blank, the mentions légales ask for them already.
    if own.telephone.is_empty() || address.is_empty() || email.is_empty() {
        return None;
    }
    Some(ServiceContact {
        name: fiche.title.clone(),
        address,
        telephone: own.telephone.clone(),
        email,
        responsible: service.responsible.as_ref().map(|person| {
            if person.qualite.is_empty() {
                person.full_name()
            } else {
                format!("{}, {}", person.full_name(), person.qualite)
            }
        }),
    })
}
