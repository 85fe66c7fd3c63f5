//! The annuaire: élus, services, associations, shops and places.

use std::borrow::Cow;

use super::{Drawn, Edition, crumb};
use crate::model::commune::OpeningHours;
use crate::model::content::{Association, Commerce, ContactDetails, Content, Elu, Equipement, Kind, Service};
use crate::model::site::{ContentId, Site};
use crate::render::hours::{self, Keeper};
use crate::render::parts;
use crate::render::view::{
    AssociationView, CommerceView, ContactView, Crumb, DirectoryCard, DirectoryCategory, DirectoryGroup,
    DirectoryHomeView, DirectoryKind, DirectoryListView, EluView, EquipementView, PlaceView, ServiceView, TariffRow,
    Text,
};
use crate::text::numbers::{grouped, plural};
use crate::text::slug::slug;
use crate::text::typography::french;

/// One directory of the annuaire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    Elus,
    Services,
    Associations,
    Commerces,
    Equipements,
}

impl Shelf {
    pub(super) const ALL: [Shelf; 5] =
        [Shelf::Elus, Shelf::Services, Shelf::Associations, Shelf::Commerces, Shelf::Equipements];

    pub(super) fn url(self) -> &'static str {
        match self {
            Shelf::Elus => "/annuaire/elus/",
            Shelf::Services => "/annuaire/services/",
            Shelf::Associations => "/annuaire/associations/",
            Shelf::Commerces => "/annuaire/commerces/",
            Shelf::Equipements => "/annuaire/equipements/",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Shelf::Elus => "Les élus",
            Shelf::Services => "Les services",
            Shelf::Associations => "Les associations",
            Shelf::Commerces => "Commerces et artisans",
            Shelf::Equipements => "Lieux et équipements",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Shelf::Elus => "Le maire, ses adjoints et les conseillers municipaux",
            Shelf::Services => "Qui fait quoi à la mairie, horaires et téléphones",
            Shelf::Associations => "Sport, culture, entraide\u{202f}: qui contacter",
            Shelf::Commerces => "Où acheter et qui appeler près de chez vous",
            Shelf::Equipements => "Salles, école, terrains de sport, bibliothèque",
        }
    }

    pub(super) fn ids(self, site: &Site) -> &[ContentId] {
        let directory = &site.directory;
        match self {
            Shelf::Elus => &directory.elus,
            Shelf::Services => &directory.services,
            Shelf::Associations => &directory.associations,
            Shelf::Commerces => &directory.commerces,
            Shelf::Equipements => &directory.equipements,
        }
    }

    fn kind(self) -> DirectoryKind {
        match self {
            Shelf::Elus => DirectoryKind::Elus,
            Shelf::Services => DirectoryKind::Services,
            Shelf::Associations => DirectoryKind::Associations,
            Shelf::Commerces => DirectoryKind::Commerces,
            Shelf::Equipements => DirectoryKind::Equipements,
        }
    }
}

impl<'s> Edition<'s> {
    pub(super) fn directory_home(&self) -> DirectoryHomeView<'s> {
        let categories = Shelf::ALL.into_iter().filter(|shelf| !shelf.ids(self.site).is_empty());
        DirectoryHomeView {
            page: self.page_view("Annuaire", "/annuaire/", None, Vec::new()),
            categories: categories
                .map(|shelf| DirectoryCategory {
                    kind: shelf.kind(),
                    title: shelf.title().into(),
                    url: shelf.url().into(),
                    text: Some(shelf.text().into()),
                    count: shelf.ids(self.site).len(),
                })
                .collect(),
        }
    }

    pub(super) fn directory_list(&self, shelf: Shelf) -> DirectoryListView<'s> {
        DirectoryListView {
            page: self.page_view(
                shelf.title(),
                shelf.url(),
                Some(shelf.text().into()),
                vec![crumb("Annuaire", "/annuaire/")],
            ),
            kind: shelf.kind(),
            intro_html: Cow::Borrowed(""),
            groups: self.groups(shelf),
        }
    }

    /// Cards under their headings: rank of the élus, category of the others when there are several.
    fn groups(&self, shelf: Shelf) -> Vec<DirectoryGroup<'s>> {
        let mut groups: Vec<(u8, String, Vec<DirectoryCard<'s>>)> = Vec::new();
        for id in shelf.ids(self.site) {
            let (rank, title) = self.group_of(*id);
            let Some(card) = self.directory_card(*id) else { continue };
            match groups.iter_mut().find(|group| group.0 == rank && group.1 == title) {
                Some(group) => group.2.push(card),
                None => groups.push((rank, title, vec![card])),
            }
        }
        groups.sort_by_cached_key(|(rank, title, _)| (*rank, slug(title)));
        let cards: usize = groups.iter().map(|(.., cards)| cards.len()).sum();
        // Headings over a card each would only part what is read at a glance.
        if shelf != Shelf::Elus && cards < 2 * groups.len() {
            groups = vec![(0, String::new(), Self::labelled(groups))];
        }
        let alone = groups.len() < 2;
        groups
            .into_iter()
            .map(|(_, title, cards)| DirectoryGroup {
                id: format!("groupe-{}", slug(&title)).into(),
                title: (!alone && !title.is_empty()).then(|| title.into()),
                cards,
            })
            .collect()
    }

    /// Cards of all groups in one list, each saying its category.
    fn labelled(groups: Vec<(u8, String, Vec<DirectoryCard<'s>>)>) -> Vec<DirectoryCard<'s>> {
        let groups = groups.into_iter().map(|(_, title, cards)| (Text::from(title), cards));
        let all = groups.flat_map(|(title, cards)| {
            cards.into_iter().map(move |card| DirectoryCard {
                subtitle: card.subtitle.or_else(|| (!title.is_empty()).then(|| title.clone())),
                ..card
            })
        });
        all.collect()
    }

    fn group_of(&self, id: ContentId) -> (u8, String) {
        match &self.site.contents[id].kind {
            Kind::Elu(elu) => {
                let function = slug(&elu.function);
                if function.starts_with("maire") && !function.contains("adjoint") {
                    (0, "Maire".to_owned())
                } else if function.contains("adjoint") {
                    (1, "Les adjoints".to_owned())
                } else {
                    (2, "Les conseillers municipaux".to_owned())
                }
            }
            Kind::Association(association) => {
                let category = association.category.as_deref().unwrap_or("");
                (
                    u8::from(category.is_empty()),
                    if category.is_empty() { "Autres".to_owned() } else { parts::label(category) },
                )
            }
            Kind::Commerce(commerce) => (0, parts::label(&commerce.category)),
            Kind::Equipement(equipement) => (0, parts::label(&equipement.kind)),
            _ => (0, String::new()),
        }
    }

    fn directory_card(&self, id: ContentId) -> Option<DirectoryCard<'s>> {
        let (content, url) = self.site.page(id);
        let summary = parts::option(&content.summary);
        let mut card = DirectoryCard {
            title: french(&content.title),
            url: url.into(),
            subtitle: None,
            text: summary,
            address_lines: Vec::new(),
            phone: None,
            email: None,
            image: self.image(content.image.as_ref(), &mut Vec::new()),
            opening: None,
        };
        match &content.kind {
            Kind::Elu(elu) => {
                card.title = full_name(elu);
                card.subtitle = Some(parts::capitalised(&french(&elu.function)).into());
                card.text = card.text.or_else(|| joined(&elu.delegations));
                card.phone = elu.telephone.as_deref().and_then(parts::phone);
                card.email = parts::option(&elu.email);
            }
            Kind::Service(service) => self.fill(&mut card, &service.contact, self.public()),
            Kind::Association(association) => {
                card.text = card.text.or_else(|| parts::option(&association.object));
                self.fill(&mut card, &association.contact, Keeper::Private);
            }
            Kind::Commerce(commerce) => {
                card.subtitle = Some(parts::label(&commerce.category).into());
                self.fill(&mut card, &commerce.contact, Keeper::Private);
            }
            Kind::Equipement(equipement) => {
                card.subtitle = Some(parts::capitalised(&equipement.kind).into());
                self.fill(&mut card, &equipement.contact, self.public());
            }
            _ => return None,
        }
        Some(card)
    }

    fn fill(&self, card: &mut DirectoryCard<'s>, details: &'s ContactDetails, keeper: Keeper) {
        card.address_lines = parts::texts(&details.address);
        card.phone = parts::phone(&details.telephone);
        card.email = parts::filled(&details.email);
        card.opening = hours::opening(&details.hours, keeper, self.site.today(), &self.site.commune.fuseau);
    }

    /// Draws the page of someone or some place of the annuaire.
    pub(super) fn directory_page(&self, content: &'s Content, url: &'s str, drawn: &mut Drawn) {
        let shelf = match &content.kind {
            Kind::Elu(_) => Shelf::Elus,
            Kind::Service(_) => Shelf::Services,
            Kind::Association(_) => Shelf::Associations,
            Kind::Commerce(_) => Shelf::Commerces,
            Kind::Equipement(_) => Shelf::Equipements,
            _ => return,
        };
        let section = super::site_view::section_of_shelf(self.site, shelf);
        let breadcrumb = vec![crumb("Annuaire", "/annuaire/"), crumb(shelf.title(), shelf.url())];
        match &content.kind {
            Kind::Elu(elu) => {
                let view = self.elu(content, url, elu, breadcrumb, drawn);
                self.put(drawn, section, url, &view);
            }
            Kind::Service(service) => {
                let view = self.service(content, url, service, breadcrumb, drawn);
                self.put(drawn, section, url, &view);
            }
            Kind::Association(association) => {
                let view = self.association(content, url, association, breadcrumb, drawn);
                self.put(drawn, section, url, &view);
            }
            Kind::Commerce(commerce) => {
                let view = self.commerce(content, url, commerce, breadcrumb, drawn);
                self.put(drawn, section, url, &view);
            }
            Kind::Equipement(equipement) => {
                let view = self.place_page(content, url, equipement, breadcrumb, drawn);
                self.put(drawn, section, url, &view);
            }
            _ => {}
        }
    }

    fn hours_of(&self, hours: &'s OpeningHours, keeper: Keeper) -> Option<crate::render::view::HoursView<'s>> {
        hours::table(hours, keeper, self.site.today(), &self.site.commune.fuseau)
    }

    fn elu(
        &self,
        content: &'s Content,
        url: &str,
        elu: &'s Elu,
        breadcrumb: Vec<Crumb<'s>>,
        drawn: &mut Drawn,
    ) -> EluView<'s> {
        let mut page = self.page_of(content, url, breadcrumb);
        if page.description.is_none() {
            page.description = Some(format!("{}, {}", full_name(elu), elu.function).into());
        }
        EluView {
            page,
            content: self.content_view(content, 2, drawn),
            prenom: french(&elu.first_name),
            nom: french(&elu.last_name),
            fonction: parts::capitalised(&french(&elu.function)).into(),
            delegations: parts::texts(&elu.delegations),
            commissions: parts::texts(&elu.commissions),
            permanence: parts::option(&elu.surgery),
            contact: ContactView {
                phone: elu.telephone.as_deref().and_then(parts::phone),
                email: parts::option(&elu.email),
                ..ContactView::default()
            },
            list_url: Shelf::Elus.url().into(),
        }
    }

    fn service(
        &self,
        content: &'s Content,
        url: &str,
        service: &'s Service,
        breadcrumb: Vec<Crumb<'s>>,
        drawn: &mut Drawn,
    ) -> ServiceView<'s> {
        let demarches = self.site.demarches.iter().filter(|id| match &self.site.contents[**id].kind {
            Kind::Demarche(demarche) => demarche.service.as_ref().is_some_and(|(slug, _)| *slug == content.slug),
            _ => false,
        });
        let mut contact = parts::contact(&service.contact);
        contact.person =
            service.responsible.as_ref().map(|person| format!("{}, {}", person.full_name(), person.qualite).into());
        ServiceView {
            page: self.page_of(content, url, breadcrumb),
            content: self.content_view(content, 2, drawn),
            contact,
            hours: self.hours_of(&service.contact.hours, self.public()),
            demarches: demarches
                .map(|id| parts::link(french(&self.site.contents[*id].title), &*self.site.urls[*id]))
                .collect(),
            list_url: Shelf::Services.url().into(),
        }
    }

    fn association(
        &self,
        content: &'s Content,
        url: &str,
        association: &'s Association,
        breadcrumb: Vec<Crumb<'s>>,
        drawn: &mut Drawn,
    ) -> AssociationView<'s> {
        let mut contact = parts::contact(&association.contact);
        contact.person = parts::option(&association.contact_name);
        AssociationView {
            page: self.page_of(content, url, breadcrumb),
            content: self.content_view(content, 2, drawn),
            category: association.category.as_deref().map(|category| parts::label(category).into()),
            objet: parts::option(&association.object),
            rna: parts::option(&association.rna),
            slots: parts::texts(&association.slots),
            place: parts::option(&association.place).map(|name| PlaceView {
                name,
                url: None,
                address_lines: Vec::new(),
                map_url: None,
            }),
            contact,
            list_url: Shelf::Associations.url().into(),
        }
    }

    fn commerce(
        &self,
        content: &'s Content,
        url: &str,
        commerce: &'s Commerce,
        breadcrumb: Vec<Crumb<'s>>,
        drawn: &mut Drawn,
    ) -> CommerceView<'s> {
        CommerceView {
            page: self.page_of(content, url, breadcrumb),
            content: self.content_view(content, 2, drawn),
            category: parts::label(&commerce.category).into(),
            contact: parts::contact(&commerce.contact),
            hours: self.hours_of(&commerce.contact.hours, Keeper::Private),
            tournee: parts::option(&commerce.round),
            list_url: Shelf::Commerces.url().into(),
        }
    }

    fn place_page(
        &self,
        content: &'s Content,
        url: &str,
        equipement: &'s Equipement,
        breadcrumb: Vec<Crumb<'s>>,
        drawn: &mut Drawn,
    ) -> EquipementView<'s> {
        let mut contact = parts::contact(&equipement.contact);
        contact.map_url = equipement.position.map(|position| parts::map_url(position).into());
        let here = |id: &&ContentId| {
            self.event_of(**id).is_some_and(|event| event.equipement.as_deref() == Some(content.path.as_str()))
        };
        EquipementView {
            page: self.page_of(content, url, breadcrumb),
            content: self.content_view(content, 2, drawn),
            kind: parts::capitalised(&equipement.kind).into(),
            contact,
            hours: self.hours_of(&equipement.contact.hours, self.public()),
            access_pmr: parts::option(&equipement.access),
            capacity: equipement.capacity.map(|count| plural(u64::from(count), "personne", "personnes").into()),
            area: equipement.surface.map(|surface| format!("{}\u{a0}m²", grouped(u64::from(surface))).into()),
            tariffs: equipement
                .prices
                .iter()
                .map(|price| TariffRow {
                    profile: french(&price.profile),
                    price: french(&price.price),
                    note: parts::option(&price.note),
                })
                .collect(),
            rules: equipement.rules.as_ref().and_then(|rules| self.document(rules, &mut drawn.diagnostics)),
            booking: self.booking(content),
            events: self
                .site
                .upcoming_events
                .iter()
                .filter(here)
                .take(3)
                .filter_map(|id| self.event_card(*id))
                .collect(),
            list_url: Shelf::Equipements.url().into(),
        }
    }

    /// The démarche that books this place: one that links to its fiche and whose name says so.
    fn booking(&self, content: &Content) -> Option<crate::render::view::Link<'s>> {
        let name = content.path.rsplit('/').next()?;
        let id = self.site.demarches.iter().find(|id| {
            let demarche = &self.site.contents[**id];
            let books =
                ["reserver", "louer", "location", "reservation"].iter().any(|word| demarche.slug.contains(word));
            books && (demarche.slug.contains(&content.slug) || demarche.body.markdown.contains(name))
        })?;
        let (demarche, url) = self.site.page(*id);
        Some(parts::link(french(&demarche.title), url))
    }
}

fn full_name(elu: &Elu) -> Text<'static> {
    format!("{} {}", elu.first_name, elu.last_name).into()
}

fn joined(texts: &[String]) -> Option<Text<'static>> {
    (!texts.is_empty()).then(|| french(&texts.join(", ")).into_owned().into())
}
