//! Démarches: the list by rubrique, each fiche, its form and its paper twin.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{Drawn, Edition, crumb};
use crate::model::commune::OpeningHours;
use crate::model::content::{Content, Demarche, Handler, Kind};
use crate::model::form::{Door, FieldKind, Form, Silence};
use crate::model::site::ContentId;
use crate::model::submission::RawAnswers;
use crate::render::form::{self, Surroundings};
use crate::render::hours;
use crate::render::markdown;
use crate::render::parts;
use crate::render::view::{
    ActionView, ContactView, DemarcheCard, DemarcheGroup, DemarcheView, DemarchesView, FieldKind as Kinds, FieldView,
    FormView, HandlerKind, HoursView, Link, PaperFormView, Text,
};
use crate::text::dates::short_date;
use crate::text::slug::slug;
use crate::text::typography::french;

/// Rubriques in the order of the list; others follow.
const TOPICS: [&str; 7] =
    ["papiers", "vie-quotidienne", "urbanisme", "famille", "vie-associative", "citoyennete", "autre"];

/// What a form holds before anything is answered.
static NO_ANSWERS: RawAnswers = RawAnswers { values: BTreeMap::new(), files: BTreeMap::new() };
/// What is said at the top of a form that nobody has begun.
static NOTHING_TOLD: form::Told = form::Told { resumed: Vec::new(), give_back_error: None };

/// Démarches read beside one of them.
const RELATED: usize = 4;

impl<'s> Edition<'s> {
    /// The fiche that a content is.
    fn demarche_of(&self, id: ContentId) -> Option<&'s Demarche> {
        match &self.site.contents[id].kind {
            Kind::Demarche(demarche) => Some(demarche),
            _ => None,
        }
    }

    pub(super) fn demarche_list(&self) -> DemarchesView<'s> {
        let mut groups: Vec<(usize, DemarcheGroup<'s>)> = Vec::new();
        for id in &self.site.demarches {
            let Some(demarche) = self.demarche_of(*id) else { continue };
            let (content, url) = self.site.page(*id);
            let (handler, handler_label) = self.handler(demarche);
            let card = DemarcheCard {
                title: french(&content.title),
                url: url.into(),
                summary: parts::option(&content.summary),
                handler,
                handler_label: parts::capitalised(&handler_label).into(),
                online: self.site.forms.contains_key(&content.slug),
            };
            match groups.iter_mut().find(|(_, group)| group.key == demarche.topic) {
                Some((_, group)) => group.items.push(card),
                None => {
                    let rank = TOPICS.iter().position(|topic| *topic == demarche.topic).unwrap_or(TOPICS.len());
                    let title = parts::label(&demarche.topic).into();
                    groups
                        .push((rank, DemarcheGroup { key: demarche.topic.as_str().into(), title, items: vec![card] }));
                }
            }
        }
        groups.sort_by_key(|(rank, group)| (*rank, group.title.to_string()));
        DemarchesView {
            page: self.page_view("Démarches", "/demarches/", None, Vec::new()),
            groups: groups.into_iter().map(|(_, group)| group).collect(),
        }
    }

    /// Who handles a démarche, after « Traité par ».
    fn handler(&self, demarche: &Demarche) -> (HandlerKind, String) {
        let commune = &self.site.commune;
        let (kind, usual) = match demarche.handler {
            Handler::Commune => (HandlerKind::Commune, "la commune".to_owned()),
            Handler::Epci => (
                HandlerKind::Epci,
                commune.epci.as_ref().map_or("l’intercommunalité".to_owned(), |name| format!("la {name}")),
            ),
            Handler::Departement => (HandlerKind::Departement, "le département".to_owned()),
            Handler::Etat => (HandlerKind::Etat, "l’État".to_owned()),
            Handler::Other => (HandlerKind::Autre, "un autre organisme".to_owned()),
        };
        let label = demarche.handler_name.as_deref().map_or(usual, |name| french(name).into_owned());
        (kind, label)
    }

    pub(super) fn demarche(
        &self,
        id: ContentId,
        content: &'s Content,
        url: &'s str,
        demarche: &'s Demarche,
        drawn: &mut Drawn,
    ) -> DemarcheView<'s> {
        let form = self.site.forms.get(&content.slug);
        let (handler, handler_label) = self.handler(demarche);
        let (contact, hours) = self.demarche_contact(demarche, form);
        let closed = match form {
            Some(form) => closed_on(form, self.site.today()),
            None => demarche
                .form
                .as_ref()
                .map(|_| "Le formulaire en ligne n’est pas ouvert. Appelez la mairie ou venez au guichet.".to_owned()),
        };
        let related = self
            .site
            .demarches
            .iter()
            .filter(|other| **other != id)
            .filter(|other| self.demarche_of(**other).is_some_and(|other| other.topic == demarche.topic));
        DemarcheView {
            page: self.page_of(content, url, vec![crumb("Démarches", "/demarches/")]),
            content: self.content_view(content, 3, drawn),
            handler,
            handler_label: handler_label.into(),
            audience: parts::option(&demarche.audience),
            prepare_html: self.prepare(content, demarche, drawn),
            channels: demarche
                .channels
                .iter()
                // What is closed is not offered.
                .filter(|channel| closed.is_none() || slug(channel) != "en-ligne")
                .map(|channel| french(&parts::capitalised(channel)).into_owned().into())
                .collect(),
            action: form.map(|form| form_action(form, url)).or_else(|| self.elsewhere(content, demarche, drawn)),
            paper_url: form.map(|_| format!("{url}papier/").into()),
            delay: parts::option(&demarche.delay),
            silence: form.and_then(silence),
            cost: parts::option(&demarche.cost),
            result: parts::option(&demarche.result),
            contact,
            hours,
            legal_basis: form.and_then(|form| parts::option(&form.legal_basis)),
            closed: closed.map(Cow::from),
            related: related
                .take(RELATED)
                .map(|id| parts::link(french(&self.site.contents[*id].title), &*self.site.urls[*id]))
                .collect(),
            list_url: Cow::Borrowed("/demarches/"),
        }
    }

    fn prepare(&self, content: &'s Content, demarche: &'s Demarche, drawn: &mut Drawn) -> Vec<Text<'s>> {
        demarche.prepare.iter().map(|line| self.inline(content, line, drawn)).collect()
    }

    /// The button of a démarche done on another site.
    fn elsewhere(&self, content: &Content, demarche: &'s Demarche, drawn: &mut Drawn) -> Option<ActionView<'s>> {
        let written = demarche.link.as_deref().filter(|link| !link.is_empty())?;
        let destination = match self.resolve_key(content, written) {
            Ok(destination) => destination,
            Err(broken) => {
                drawn.diagnostics.push(broken.at(content.place.clone()));
                return None;
            }
        };
        let external = matches!(destination, crate::render::links::Destination::External(_));
        Some(ActionView {
            label: parts::option(&demarche.link_title).unwrap_or("Faire la démarche en ligne".into()),
            url: destination.href().into_owned().into(),
            external,
            note: external.then_some("Vous quittez le site de la commune.".into()),
        })
    }

    /// Whom to ask, and his hours: the service of the fiche, else the mairie.
    fn demarche_contact(
        &self,
        demarche: &'s Demarche,
        form: Option<&'s Form>,
    ) -> (ContactView<'s>, Option<HoursView<'s>>) {
        let site = self.site;
        let slug = demarche.service.as_ref().map(|(slug, _)| slug.as_str());
        let id = site.directory.services.iter().copied().find(|id| Some(site.contents[*id].slug.as_str()) == slug);
        let page = id.map(|id| site.page(id));
        let mut contact = match (form, page.map(|(content, _)| (&content.kind, content))) {
            (Some(form), _) => parts::service_contact(&form.service),
            (None, Some((Kind::Service(service), content))) => {
                ContactView { name: Some(french(&content.title)), ..parts::contact(&service.contact) }
            }
            _ => parts::mairie_contact(&site.commune.mairie, format!("Mairie {}", site.commune.names.forme_de)),
        };
        contact.url = page.map(|(_, url)| url.into());
        (contact, hours::table(self.hours_of_service(demarche), self.public(), site.today(), &site.commune.fuseau))
    }

    /// Hours of the service of a fiche; those of the mairie when it has none of its own.
    fn hours_of_service(&self, demarche: &Demarche) -> &'s OpeningHours {
        let slug = demarche.service.as_ref().map(|(slug, _)| slug.as_str());
        let services = self.site.directory.services.iter().map(|id| &self.site.contents[*id]);
        let service =
            services.filter(|content| Some(content.slug.as_str()) == slug).find_map(|content| match &content.kind {
                Kind::Service(service) => Some(service),
                _ => None,
            });
        service
            .map(|service| &service.contact.hours)
            .filter(|hours| !hours.weekly.is_empty())
            .unwrap_or(&self.site.commune.mairie.hours)
    }

    /// The fiche of a form.
    fn fiche(&self, slug: &str) -> Option<(&'s Content, &'s Demarche)> {
        self.site.demarches.iter().find_map(|id| {
            let content = &self.site.contents[*id];
            self.demarche_of(*id).filter(|_| content.slug == slug).map(|demarche| (content, demarche))
        })
    }

    /// What surrounds the questions of a form; the same on the site and at the guichet.
    pub(in crate::render) fn surroundings(&self, form: &'s Form, drawn: &mut Drawn) -> Surroundings {
        let mut around = Surroundings {
            site_prefix: String::new(),
            action_base: self.site.commune.guichet.adresse.trim_end_matches('/').to_owned(),
            prepare_html: Vec::new(),
            information_html: Default::default(),
            notice_url: self.url_among(&["/donnees-personnelles/"]).map(str::to_owned),
            controller: format!("la commune {}", self.site.commune.names.forme_de),
            dpo: self.site.commune.dpo.as_ref().map(form::dpo_line).filter(|line| !line.is_empty()),
            hours_summary: Vec::new(),
            addresses: self.site.addresses.clone(),
        };
        let Some((content, demarche)) = self.fiche(&form.id) else { return around };
        around.prepare_html = self.prepare(content, demarche, drawn).into_iter().map(Cow::into_owned).collect();
        for field in &form.fields {
            if let FieldKind::Information { html } | FieldKind::Alert { html, .. } | FieldKind::Exit { html, .. } =
                &field.kind
            {
                let body = crate::model::content::Body { markdown: html.clone(), first_line: content.place.line };
                let rendered = self.body(&content.path, &body, false, 3);
                let html = self.keep(rendered, drawn);
                around.information_html.insert(field.id.clone(), html);
            }
        }
        around.hours_summary =
            hours::summary(self.hours_of_service(demarche)).into_iter().map(Cow::into_owned).collect();
        around
    }

    /// The questions, static: the same page as the guichet's, empty.
    pub(super) fn form_page(&self, slug: &str, url: &str) -> Option<FormView<'_>> {
        let (form, around) = (self.site.forms.get(slug)?, self.around.get(slug)?);
        self.empty_form(form, around, url, Some(0))
    }

    /// The questions without any answer: a page of them, or all for paper.
    fn empty_form<'a>(
        &'a self,
        form: &'a Form,
        around: &'a Surroundings,
        url: &str,
        page: Option<usize>,
    ) -> Option<FormView<'a>> {
        let asked = form::Asked { answers: &NO_ANSWERS, errors: &[], page, hidden: Vec::new(), told: &NOTHING_TOLD };
        let mut view = form::questions(form, around, asked, &self.site.commune.names.nom);
        view.page.canonical = self.absolute(url).map(Cow::from);
        view.page.scripted = true;
        Some(view)
    }

    /// The same questions on paper.
    pub(super) fn paper_page(&self, slug: &str, url: &str) -> Option<PaperFormView<'_>> {
        let FormView { mut page, demarche, intro_html, prepare_html, mut groups, notice, contact, .. } =
            self.empty_form(self.site.forms.get(slug)?, self.around.get(slug)?, url, None)?;
        page.head_title = format!("{} – formulaire à imprimer – {}", page.title, self.site.commune.names.nom).into();
        page.scripted = false;
        groups.iter_mut().flat_map(|group| &mut group.fields).for_each(on_paper);
        if let Some(last) = page.breadcrumb.last_mut() {
            last.label = "Formulaire à imprimer".into();
        }
        Some(PaperFormView { page, demarche, intro_html, prepare_html, groups, notice, contact })
    }
}

/// Why a form takes nothing on a day; `None` when it does.
fn closed_on(form: &Form, today: Date) -> Option<String> {
    match form.opening.on(today) {
        Door::Open => None,
        Door::NotYet(from) => Some(format!("Le formulaire en ligne ouvre le {}.", short_date(from))),
        Door::Over(until) => Some(
            form.opening
                .closed_message
                .clone()
                .unwrap_or_else(|| format!("Le formulaire en ligne était ouvert jusqu’au {}.", short_date(until))),
        ),
    }
}

/// A question as paper asks it: what only a screen knows (weights of files, how an address is typed) is left out, and a text
/// that is only for some says for whom.
fn on_paper(field: &mut FieldView<'_>) {
    match field.kind {
        Kinds::Fichier => field.file_limits = None,
        Kinds::Courriel | Kinds::Telephone => {
            let kept = field.hint.as_deref().and_then(|hint| hint.split("Exemple").next()).map(str::trim);
            field.hint = kept.filter(|kept| !kept.is_empty()).map(|kept| kept.to_owned().into());
        }
        Kinds::Information => {
            let Some(condition) = field.condition.take() else { return };
            let mut html = String::from("<p class=\"condition\">");
            markdown::escape(&condition, &mut html);
            html.push_str("</p>");
            html.push_str(&field.body_html);
            field.body_html = html.into();
        }
        _ => {}
    }
}

fn form_action(form: &Form, url: &str) -> ActionView<'static> {
    let note = if form.identity.is_saisine() {
        "Sans compte. Un accusé vous est remis aussitôt."
    } else {
        "Sans compte, en quelques minutes."
    };
    ActionView {
        label: french(&form.button).into_owned().into(),
        url: format!("{url}formulaire/").into(),
        external: false,
        note: Some(note.into()),
    }
}

/// What the law says of silence; `None` when nothing can be said beforehand.
fn silence(form: &Form) -> Option<Text<'static>> {
    match form.silence {
        Silence::Acceptation(delay) => {
            Some(format!("Sans réponse dans un délai de {}, votre demande est acceptée.", parts::delay(delay)).into())
        }
        Silence::Rejet(delay) => {
            Some(format!("Sans réponse dans un délai de {}, votre demande est refusée.", parts::delay(delay)).into())
        }
        Silence::SansDecision | Silence::Inconnu => None,
    }
}

/// A link to the fiche of a form.
pub(in crate::render) fn fiche_link(form: &Form, prefix: &str) -> Link<'static> {
    parts::link(french(&form.title).into_owned(), format!("{prefix}{}", form.page_url))
}
