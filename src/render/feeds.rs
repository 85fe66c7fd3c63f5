//! Feeds, calendars, site map and small files, for programs rather than people.
//!
//! Every date in them comes from the contents: the same site gives the same bytes on any day and any machine.

use std::collections::{BTreeMap, BTreeSet};

use atom_syndication::{Entry, Feed, FixedDateTime, Generator, Link, Person, Text};
use icalendar::{Calendar, Component as _, Event as CalendarEvent, EventLike as _, Property};
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rayon::prelude::*;

use super::pages::Edition;
use super::parts;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::content::{Content, Event, Kind, Moment};
use crate::model::output::{Artifact, Sink};
use crate::model::site::ContentId;

/// News and alerts told to readers of feeds.
const ENTRIES: usize = 50;

/// Who makes the calendars (RFC 5545, 3.7.3).
const PRODUCT: &str = "-//Mulot//Agenda communal//FR";

/// Draws feeds, calendars, `sitemap.xml` and `robots.txt` of a site whose pages are drawn.
pub(super) fn publish(
    edition: &Edition<'_>,
    drawn: &BTreeSet<String>,
    sink: Sink<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let put = |path: &str, bytes: Vec<u8>| sink(path, Artifact::Bytes(bytes.into()));
    let site = edition.site;
    let commune = &site.commune.names.forme_de;
    let alerts: Vec<ContentId> = site.active_alerts.iter().chain(&site.other_alerts).copied().collect();
    let lists = [
        ("/actualites/", format!("Actualités {commune}"), site.news.as_slice()),
        ("/alertes/", format!("Alertes {commune}"), alerts.as_slice()),
    ];
    for (url, title, ids) in lists {
        match atom(edition, url, &title, ids) {
            Some(bytes) => put(&format!("{}atom.xml", &url[1..]), bytes),
            None => diagnostics.push(Diagnostic::error(
                Code::BadValue,
                Place::default(),
                format!("le flux {url}atom.xml n'a pas pu être écrit"),
            )),
        }
    }
    let events: Vec<ContentId> = site.past_events.iter().rev().chain(&site.upcoming_events).copied().collect();
    put("agenda/agenda.ics", calendar(edition, &format!("Agenda {commune}"), &events));
    events.par_iter().for_each(|id| {
        let (content, url) = site.page(*id);
        let path = format!("{}{}.ics", &url[1..], content.slug);
        put(&path, calendar(edition, &content.title, &[*id]));
    });
    if let Some(sitemap) = sitemap(edition, drawn) {
        put("sitemap.xml", sitemap);
    }
    put("robots.txt", robots(edition));
    if !site.redirects.is_empty() {
        put("_redirects", redirects(&site.redirects));
    }
}

/// Former addresses for the servers that can redirect by themselves: ours, and hosts that know this file of Netlify's. The
/// pages that redirect stay for the others.
fn redirects(table: &BTreeMap<String, String>) -> Vec<u8> {
    let escaped = |path: &str| utf8_percent_encode(path, ADDRESS).to_string();
    table.iter().map(|(old, new)| format!("{old} {} 308\n", escaped(new))).collect::<String>().into_bytes()
}

/// What a path may not hold where it is told in a header.
const ADDRESS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');

/// Address that names something for ever; an `urn:` while the commune has no domain.
fn permanent(edition: &Edition<'_>, url: &str) -> String {
    edition.absolute(url).unwrap_or_else(|| format!("urn:mulot:{}:{url}", edition.site.commune.code_insee))
}

fn atom(edition: &Edition<'_>, list: &str, title: &str, ids: &[ContentId]) -> Option<Vec<u8>> {
    let entries: Vec<Entry> = ids.iter().take(ENTRIES).filter_map(|id| entry(edition, *id)).collect();
    let updated =
        entries.iter().map(|entry| entry.updated).max().or_else(|| instant(edition, Date::constant(2000, 1, 1)))?;
    let address = format!("{list}atom.xml");
    let mut feed = Feed {
        title: Text::plain(clean(title)),
        id: permanent(edition, &address),
        updated,
        authors: vec![author(edition)],
        generator: Some(Generator { value: "Mulot".to_owned(), ..Generator::default() }),
        lang: Some("fr".to_owned()),
        entries,
        ..Feed::default()
    };
    for (rel, url) in [("self", address.as_str()), ("alternate", list)] {
        if let Some(href) = edition.absolute(url) {
            feed.links.push(Link { href, rel: rel.to_owned(), ..Link::default() });
        }
    }
    feed.write_to(Vec::new()).ok()
}

fn author(edition: &Edition<'_>) -> Person {
    Person { name: clean(&format!("Mairie {}", edition.site.commune.names.forme_de)), ..Person::default() }
}

fn entry(edition: &Edition<'_>, id: ContentId) -> Option<Entry> {
    let (content, url) = edition.site.page(id);
    let (date, summary) = match &content.kind {
        Kind::News(news) => (Moment::Day(news.date), content.summary.clone()),
        Kind::Alert(alert) => (alert.start, Some(alert.message.clone())),
        _ => return None,
    };
    let published = moment(edition, date)?;
    Some(Entry {
        title: Text::plain(clean(&crate::text::typography::french(&content.title))),
        id: permanent(edition, url),
        updated: published,
        published: Some(published),
        links: edition
            .absolute(url)
            .map(|href| Link { href, rel: "alternate".into(), ..Link::default() })
            .into_iter()
            .collect(),
        summary: summary.map(|summary| Text::plain(clean(&crate::text::typography::french(&summary)))),
        ..Entry::default()
    })
}

fn moment(edition: &Edition<'_>, moment: Moment) -> Option<FixedDateTime> {
    match moment {
        Moment::Day(date) => instant(edition, date),
        Moment::Time(time) => parts::iso(time, &edition.zone).parse().ok(),
    }
}

fn instant(edition: &Edition<'_>, date: Date) -> Option<FixedDateTime> {
    parts::iso(date.to_datetime(jiff::civil::Time::midnight()), &edition.zone).parse().ok()
}

/// Events as iCalendar: instants in universal time, whole days as dates, so that no reader needs our time zone.
fn calendar(edition: &Edition<'_>, name: &str, ids: &[ContentId]) -> Vec<u8> {
    let mut calendar = Calendar::empty();
    calendar.append_property(Property::new("VERSION", "2.0"));
    calendar.append_property(Property::new("PRODID", PRODUCT));
    calendar.append_property(Property::new("CALSCALE", "GREGORIAN"));
    calendar.append_property(Property::new("METHOD", "PUBLISH"));
    calendar.name(&clean(name));
    for id in ids {
        let (content, url) = edition.site.page(*id);
        if let Kind::Event(event) = &content.kind {
            calendar.push(calendar_event(edition, content, url, event));
        }
    }
    calendar.to_string().into_bytes()
}

fn calendar_event(edition: &Edition<'_>, content: &Content, url: &str, event: &Event) -> CalendarEvent {
    let mut made = CalendarEvent::new();
    let host = edition.site.commune.domaine.split("://").last().filter(|host| !host.is_empty());
    let uid = format!("{}@{}", content.slug, host.unwrap_or("mulot.invalid").trim_end_matches('/'));
    made.uid(&uid);
    made.add_property("DTSTAMP", utc(edition, event.start.date().to_datetime(jiff::civil::Time::midnight())));
    made.summary(&clean(&crate::text::typography::french(&content.title)));
    match event.start {
        Moment::Time(start) => {
            made.add_property("DTSTART", utc(edition, start));
            if let Some(Moment::Time(end)) = event.end.filter(|end| *end > event.start) {
                made.add_property("DTEND", utc(edition, end));
            }
        }
        Moment::Day(start) => {
            made.append_property(day("DTSTART", start));
            // The end of whole days is the day after (RFC 5545, 3.6.1).
            if let Ok(after) = event.last_day().checked_add(1.day()) {
                made.append_property(day("DTEND", after));
            }
        }
    }
    let place = edition.place_of(event);
    if let Some(place) = &place {
        made.location(&clean(place));
    }
    if let Some(summary) = &content.summary {
        made.description(&clean(&crate::text::typography::french(summary)));
    }
    if let Some(url) = edition.absolute(url) {
        made.add_property("URL", url);
    }
    if event.cancelled {
        made.add_property("STATUS", "CANCELLED");
    }
    made
}

fn day(name: &str, date: Date) -> Property {
    let mut property = Property::new(name, date.strftime("%Y%m%d").to_string());
    property.add_parameter("VALUE", "DATE");
    property
}

fn utc(edition: &Edition<'_>, time: DateTime) -> String {
    match time.to_zoned(edition.zone.clone()) {
        Ok(zoned) => zoned.with_time_zone(jiff::tz::TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string(),
        Err(_) => time.strftime("%Y%m%dT%H%M%SZ").to_string(),
    }
}

/// Every page that search engines may keep; `None` while the commune has no domain.
fn sitemap(edition: &Edition<'_>, drawn: &BTreeSet<String>) -> Option<Vec<u8>> {
    use quick_xml::Writer;
    edition.absolute("/")?;
    let mut writer = Writer::new(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec());
    let written = writer
        .create_element("urlset")
        .with_attribute(("xmlns", "http://www.sitemaps.org/schemas/sitemap/0.9"))
        .write_inner_content(|writer| {
            for url in edition.listed_urls(drawn) {
                let Some(address) = edition.absolute(&url.0) else { continue };
                writer.create_element("url").write_inner_content(|writer| {
                    writer.create_element("loc").write_text_content(quick_xml::events::BytesText::new(&address))?;
                    if let Some(date) = url.1 {
                        writer
                            .create_element("lastmod")
                            .write_text_content(quick_xml::events::BytesText::new(&date.to_string()))?;
                    }
                    Ok(())
                })?;
            }
            Ok(())
        });
    written.ok().map(|writer| std::mem::take(writer.get_mut()))
}

fn robots(edition: &Edition<'_>) -> Vec<u8> {
    let mut text = String::from("User-agent: *\nDisallow: /guichet/\n");
    if let Some(sitemap) = edition.absolute("/sitemap.xml") {
        text.push_str(&format!("\nSitemap: {sitemap}\n"));
    }
    text.into_bytes()
}

/// Text without the control characters that XML 1.0 and iCalendar refuse.
fn clean(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || *letter == '\n').collect()
}
