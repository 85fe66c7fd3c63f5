//! The agenda: events to come by month, past ones by page, and each event.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Drawn, EVENTS_PER_PAGE, Edition, crumb, page_count, pagination};
use crate::model::content::{Content, Event, Kind, Moment};
use crate::model::site::{ContentId, Site, Target};
use crate::render::parts;
use crate::render::view::{
    AgendaMonth, AgendaView, ContactView, EventCard, EventView, FeedView, FilterView, PlaceView,
};
use crate::text::dates;
use crate::text::slug::slug;
use crate::text::typography::french;

/// Events read beside one of them.
const MORE: usize = 3;

/// Address of a page of the events to come, of all or of a category.
pub(super) fn list_url(category: Option<&str>, number: usize) -> String {
    let list = category.map_or("/agenda/".to_owned(), |category| format!("/agenda/categorie/{}/", slug(category)));
    if number > 1 { format!("{list}page/{number}/") } else { list }
}

/// Address of a page of past events.
pub(super) fn past_url(number: usize) -> String {
    if number > 1 { format!("/agenda/passes/page/{number}/") } else { "/agenda/passes/".to_owned() }
}

/// Events to come of each category, when there are several.
pub(super) fn categories(site: &Site) -> BTreeMap<&str, Vec<ContentId>> {
    let mut categories: BTreeMap<&str, Vec<ContentId>> = BTreeMap::new();
    for id in &site.upcoming_events {
        if let Kind::Event(Event { category: Some(category), .. }) = &site.contents[*id].kind {
            categories.entry(category).or_default().push(*id);
        }
    }
    if categories.len() < 2 { BTreeMap::new() } else { categories }
}

impl<'s> Edition<'s> {
    /// The event that a content is.
    pub(super) fn event_of(&self, id: ContentId) -> Option<&'s Event> {
        match &self.site.contents[id].kind {
            Kind::Event(event) => Some(event),
            _ => None,
        }
    }

    fn calendar(&self) -> FeedView<'s> {
        self.feed(format!("Agenda {}", self.site.commune.names.forme_de), "/agenda/agenda.ics", "text/calendar")
    }

    /// Events to come of a category, or all of them.
    fn upcoming(&self, category: Option<&str>) -> &[ContentId] {
        match category {
            Some(category) => self.event_categories.get(category).map_or(&[][..], Vec::as_slice),
            None => &self.site.upcoming_events,
        }
    }

    /// Pages that the events to come take.
    pub(super) fn agenda_pages(&self, category: Option<&str>) -> usize {
        page_count(self.upcoming(category).len(), EVENTS_PER_PAGE)
    }

    pub(super) fn agenda(&self, category: Option<&'s str>, number: usize, url: &str) -> AgendaView<'s> {
        let site = self.site;
        let categories = &self.event_categories;
        let ids = self.upcoming(category);
        let shown: Vec<ContentId> =
            ids.iter().copied().skip((number - 1) * EVENTS_PER_PAGE).take(EVENTS_PER_PAGE).collect();
        let all = (None, site.upcoming_events.len());
        let kinds = categories.iter().map(|(key, ids)| (Some(*key), ids.len()));
        let filters = [all].into_iter().chain(kinds).map(|(key, count)| FilterView {
            label: key.map_or("Tous".to_owned(), parts::label).into(),
            url: list_url(key, 1).into(),
            count,
            current: key == category,
        });
        let (title, breadcrumb) = match category {
            Some(category) => (format!("Agenda\u{a0}: {}", parts::label(category)), vec![crumb("Agenda", "/agenda/")]),
            None => ("Agenda".to_owned(), Vec::new()),
        };
        AgendaView {
            page: self.page_view(title, url, None, breadcrumb),
            filters: if categories.is_empty() { Vec::new() } else { filters.collect() },
            months: self.months(&shown),
            past: false,
            other: (!site.past_events.is_empty()).then(|| parts::link("Évènements passés", "/agenda/passes/")),
            calendar: Some(self.calendar()),
            pagination: pagination("Pages de l’agenda", number, self.agenda_pages(category), |number| {
                list_url(category, number)
            }),
        }
    }

    pub(super) fn past_events(&self, number: usize, url: &str) -> AgendaView<'s> {
        let past = &self.site.past_events;
        let total = page_count(past.len(), EVENTS_PER_PAGE);
        let shown: Vec<ContentId> =
            past.iter().copied().skip((number - 1) * EVENTS_PER_PAGE).take(EVENTS_PER_PAGE).collect();
        AgendaView {
            page: self.page_view("Évènements passés", url, None, vec![crumb("Agenda", "/agenda/")]),
            filters: Vec::new(),
            months: self.months(&shown),
            past: true,
            other: Some(parts::link("Évènements à venir", "/agenda/")),
            calendar: None,
            pagination: pagination("Pages d’évènements passés", number, total, past_url),
        }
    }

    /// Events by month, in the order given; an event going on stands under the month of the build day.
    fn months(&self, ids: &[ContentId]) -> Vec<AgendaMonth<'s>> {
        let mut months: Vec<AgendaMonth<'s>> = Vec::new();
        let today = self.site.today();
        for id in ids {
            let (Some(event), Some(card)) = (self.event_of(*id), self.event_card(*id)) else { continue };
            let start = event.start.date();
            let day = if start < today && event.last_day() >= today { today } else { start };
            let key = day.strftime("%Y-%m").to_string();
            match months.iter_mut().find(|month| month.key == key) {
                Some(month) => month.events.push(card),
                None => months.push(AgendaMonth {
                    key: key.into(),
                    title: parts::capitalised(&dates::month_year(day)).into(),
                    events: vec![card],
                }),
            }
        }
        months
    }

    pub(super) fn event_card(&self, id: ContentId) -> Option<EventCard<'s>> {
        let (content, url) = self.site.page(id);
        let event = self.event_of(id)?;
        let several = event.last_day() > event.start.date();
        Some(EventCard {
            title: french(&content.title),
            url: url.into(),
            start: parts::date_view(event.start, &self.zone),
            end: several.then(|| parts::date_view(Moment::Day(event.last_day()), &self.zone)),
            when: parts::when(event, Some(self.site.today().year())).into(),
            place: self.place_name(event),
            category: event.category.as_deref().map(|category| parts::label(category).into()),
            summary: parts::option(&content.summary),
            image: self.image(content.image.as_ref(), &mut Vec::new()),
            cancelled: event.cancelled,
        })
    }

    pub(super) fn place_name(&self, event: &'s Event) -> Option<Cow<'s, str>> {
        parts::option(&event.place).or_else(|| {
            let id = self.equipement(event)?;
            Some(french(&self.site.contents[id].title))
        })
    }

    fn equipement(&self, event: &Event) -> Option<ContentId> {
        match self.site.targets.get(event.equipement.as_deref()?) {
            Some(Target::Page(id)) => Some(*id),
            _ => None,
        }
    }

    fn place(&self, event: &'s Event) -> Option<PlaceView<'s>> {
        let Some(id) = self.equipement(event) else {
            return parts::option(&event.place).map(|name| PlaceView {
                name,
                url: None,
                address_lines: Vec::new(),
                map_url: None,
            });
        };
        let (content, url) = self.site.page(id);
        let (address, position) = match &content.kind {
            Kind::Equipement(equipement) => (parts::texts(&equipement.contact.address), equipement.position),
            _ => (Vec::new(), None),
        };
        Some(PlaceView {
            name: parts::option(&event.place).unwrap_or_else(|| french(&content.title)),
            url: Some(url.into()),
            address_lines: address,
            map_url: position.map(|position| parts::map_url(position).into()),
        })
    }

    pub(super) fn event(
        &self,
        id: ContentId,
        content: &'s Content,
        url: &'s str,
        event: &'s Event,
        drawn: &mut Drawn,
    ) -> EventView<'s> {
        let several = event.last_day() > event.start.date() || matches!(event.end, Some(Moment::Time(_)));
        let contact = ContactView {
            name: parts::option(&event.contact),
            phone: event.telephone.as_deref().and_then(parts::phone),
            email: parts::option(&event.email),
            ..ContactView::default()
        };
        let reachable = contact.name.is_some() || contact.phone.is_some() || contact.email.is_some();
        let more = self.site.upcoming_events.iter().filter(|other| **other != id).take(MORE);
        EventView {
            page: self.page_of(content, url, vec![crumb("Agenda", "/agenda/")]),
            content: self.content_view(content, 2, drawn),
            start: parts::date_view(event.start, &self.zone),
            end: event.end.filter(|_| several).map(|end| parts::date_view(end, &self.zone)),
            when: parts::when(event, None).into(),
            place: self.place(event),
            organizer: parts::option(&event.organizer),
            price: parts::option(&event.price),
            contact: reachable.then_some(contact),
            category: event.category.as_deref().map(|category| parts::label(category).into()),
            cancelled: event.cancelled,
            past: event.last_day() < self.site.today(),
            ics_url: Some(format!("{url}{}.ics", content.slug).into()),
            more: more.filter_map(|id| self.event_card(*id)).collect(),
            list_url: Cow::Borrowed("/agenda/"),
        }
    }
}
