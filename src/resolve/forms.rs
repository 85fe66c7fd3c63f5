//! Joins a form with its service and its recipients; a form that could not give a complete receipt stays closed.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::commune::{Commune, FormSettings};
use crate::model::content::{Content, Demarche, FormSource, Kind, Layer, Service};
use crate::model::form::{Appeal, Field, FieldKind, Form, Opening, ServiceContact, Shape, Silence};

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
        let settings = commune.form_settings.get(&content.slug);
        let service = service(content, demarche, settings, &services, commune, (&mut closing, diagnostics));
        let lists = [settings.map(|settings| &settings.recipients), Some(&source.recipients)];
        let recipients = lists.into_iter().flatten().find(|list| !list.is_empty());
        let recipients = recipients.unwrap_or(&commune.guichet.destinataires);
        let is_sure = !source.to_confirm || settings.is_some_and(|settings| settings.regime_confirmed);
        if !is_sure {
            diagnostics.push(to_confirm(content, source, commune));
        }
        let blanks = [("destinataires", recipients.is_empty()), ("expediteur", commune.guichet.expediteur.is_empty())];
        for (what, _) in blanks.iter().filter(|(_, blank)| *blank) {
            let key = format!("[guichet] {what}");
            let hint = format!("dans commune.toml, sous [guichet], écrivez {what} (une adresse de la mairie)");
            let blank = (Code::NoRecipient, commune.place(&key), format!("{key} est vide"), hint);
            closing.entry(blank).or_default().push(content.title.clone());
        }
        let Some(service) = service.filter(|_| blanks.iter().all(|(_, blank)| !blank)) else { continue };
        let mut form = joined(content, url, (source, service), recipients, commune);
        form.opening = opening(source, settings);
        if !is_sure {
            promise_nothing(&mut form);
        }
        name_resources(&mut form.fields, (source, settings), content, contents, diagnostics);
        forms.insert(form.id.clone(), form);
    }
    diagnostics.extend(closing.into_iter().map(|((code, place, message, hint), titles)| {
        Diagnostic::blank(code, place, format!("{message} : {}", stay_closed(&titles))).hint(hint)
    }));
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

/// Says nothing of silence to residents: they get the accusé d'enregistrement at once (CRPA, art. L112-11), and the mairie,
/// which knows, sends the accusé de réception.
fn promise_nothing(form: &mut Form) {
    (form.silence, form.appeal, form.legal_basis) = (Silence::Inconnu, Appeal::Court, None);
}

/// A regime that is only known through commentaries: the mairie has it confirmed before it counts on it.
fn to_confirm(content: &Content, source: &FormSource, commune: &Commune) -> Diagnostic {
    Diagnostic::blank(
        Code::RegimeToConfirm,
        commune.place(&format!("[demarches.{}]", content.slug)),
        format!(
            "le régime de « {} » ({}) est à faire confirmer, par exemple par la préfecture ou le centre de gestion",
            content.title,
            source.legal_basis.as_deref().unwrap_or("sans texte")
        ),
    )
    .hint(format!(
        "une fois confirmé, écrivez regime_confirme = true sous [demarches.{}] ; en attendant, rien n'est promis à l'usager, et la mairie lui envoie l'accusé de réception",
        content.slug
    ))
}

/// Gives each booking the name of its équipement: the one the commune settles, or the fiche's.
fn name_resources(
    fields: &mut [Field],
    (source, settings): (&FormSource, Option<&FormSettings>),
    content: &Content,
    contents: &[Content],
    diagnostics: &mut Vec<Diagnostic>,
) {
    let settled = settings.and_then(|settings| settings.resource.as_ref());
    let mut books = false;
    for field in fields {
        let FieldKind::Block { shape: Shape::Booking { resource, name }, .. } = &mut field.kind else { continue };
        books = true;
        if let Some((own, _)) = settled {
            resource.clone_from(own);
        }
        let fiche = contents.iter().find(|other| other.slug == *resource && matches!(other.kind, Kind::Equipement(_)));
        match fiche {
            Some(fiche) => *name = fiche.title.clone(),
            None => {
                // A fiche of the catalogue cannot know the commune's buildings: it waits for their fiche.
                *name = "Lieu communal".into();
                let waits = content.layer == Layer::Catalogue && settled.is_none();
                let make = if waits { Diagnostic::blank } else { Diagnostic::error };
                let place = settled.map(|(_, place)| place).or_else(|| source.resources.get(&field.id));
                diagnostics.push(
                    make(
                        Code::BadForm,
                        place.unwrap_or(&content.place).clone(),
                        format!("la question « {} » réserve « {resource} », qui n'a pas de fiche", field.id),
                    )
                    .hint(format!("créez annuaire/equipements/{resource}.md, ou corrigez ressource")),
                );
            }
        }
    }
    if let Some((_, place)) = settled.filter(|_| !books) {
        diagnostics.push(
            Diagnostic::error(
                Code::BadForm,
                place.clone(),
                format!("« {} » n'a pas de question de type reservation", content.title),
            )
            .hint("retirez ressource, ou copiez la fiche et ajoutez-y une question de type reservation"),
        );
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

fn joined(
    content: &Content,
    url: &str,
    (source, service): (&FormSource, ServiceContact),
    recipients: &[String],
    commune: &Commune,
) -> Form {
    let mut fields = source.fields.clone();
    fields.extend(source.identity.fields().into_iter().map(|field| Field {
        required: field.required || source.telephone_required && field.id == "telephone",
        ..field
    }));
    Form {
        id: content.slug.clone(),
        title: content.title.clone(),
        page_url: url.to_owned(),
        nature: source.nature,
        identity: source.identity,
        silence: source.silence,
        appeal: source.appeal,
        legal_basis: source.legal_basis.clone(),
        subject_word: source.subject_word.clone(),
        button: source.button.clone(),
        confirmation: source.confirmation.clone(),
        service,
        recipients: recipients.to_vec(),
        backup_recipients: commune.guichet.destinataires_secours.clone(),
        delivery: source.delivery.clone(),
        data: source.data.clone(),
        opening: source.opening.clone(),
        paged: source.paged,
        counter: None,
        fields,
    }
}

/// « le formulaire « Contact » reste fermé », « les formulaires « A », « B » et « C » restent fermés », « 19 formulaires restent
/// fermés, dont « A », « B » et « C » ».
fn stay_closed(titles: &[String]) -> String {
    let quoted: Vec<String> = titles.iter().map(|title| format!("« {title} »")).collect();
    if let [first, second, third, _, _, ..] = quoted.as_slice() {
        return format!("{} formulaires restent fermés, dont {first}, {second} et {third}", quoted.len());
    }
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
    settings: Option<&FormSettings>,
    services: &BTreeMap<&str, (&Content, &Service)>,
    commune: &Commune,
    (closing, diagnostics): (&mut Closing, &mut Vec<Diagnostic>),
) -> Option<ServiceContact> {
    let own = settings.and_then(|settings| settings.service.as_ref().map(|name| (name, &settings.place)));
    let (name, place) = own.or_else(|| demarche.service.as_ref().map(|(name, place)| (name, place)))?;
    let Some((fiche, service)) = services.get(name.as_str()) else {
        let message = format!("le service « {name} » n'a pas de fiche");
        let hint = format!("créez annuaire/services/{name}.md avec titre et telephone");
        // The commune's own form must name a service that exists; a fiche of the catalogue waits for it.
        if content.layer == Layer::Catalogue && own.is_none() {
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
        let message = format!("« {} » n'indique pas de téléphone", fiche.title);
        let or = if super::THE_MAIRIE.contains(&fiche.slug.as_str()) {
            ", ou [mairie] telephone dans commune.toml"
        } else {
            ""
        };
        let hint = format!("complétez {}{or} : l'accusé doit le donner (CRPA, art. R112-11-1)", fiche.path);
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
