//! Parts that many pages share: dates in words, telephones, contacts, labels.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::view::{ContactView, DateView, Link, PhoneView, Text};
use crate::model::commune::Mairie;
use crate::model::content::{ContactDetails, Event, Moment};
use crate::model::form::{Delay, ServiceContact};
use crate::text::dates;
use crate::text::numbers;
use crate::text::typography::french;

/// « janv. », « mai ».
const MONTHS: [&str; 12] =
    ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."];

/// The commune's time zone; Paris when its name is unknown.
pub(super) fn time_zone(name: &str) -> TimeZone {
    TimeZone::get(name).or_else(|_| TimeZone::get("Europe/Paris")).unwrap_or(TimeZone::UTC)
}

/// A day, or a day and an hour, in all its clothes.
pub(super) fn date_view(moment: Moment, zone: &TimeZone) -> DateView<'static> {
    let date = moment.date();
    let (iso, time) = match moment {
        Moment::Day(date) => (date.to_string(), None),
        Moment::Time(time) => (iso(time, zone), Some(dates::time(time.time()).into())),
    };
    let weekday = dates::weekday(date.weekday());
    DateView {
        iso: iso.into(),
        long: dates::long_date(date).into(),
        medium: dates::short_date(date).into(),
        weekday: format!("{}.", weekday.get(..3).unwrap_or(weekday)).into(),
        day: if date.day() == 1 { "1er".into() } else { date.day().to_string().into() },
        month: MONTHS[usize::from(date.month().unsigned_abs().clamp(1, 12)) - 1].into(),
        year: date.year().to_string().into(),
        time,
    }
}

/// A local hour with its offset: `2026-12-05T14:30:00+01:00`.
pub(super) fn iso(time: DateTime, zone: &TimeZone) -> String {
    match time.to_zoned(zone.clone()) {
        Ok(zoned) => zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        Err(_) => time.to_string(),
    }
}

/// When an event takes place: « Samedi 5 décembre 2026, de 10 h à 18 h », « Du 3 au 5 décembre ».
///
/// Shape: without the year when `year` is that of every date.
pub(super) fn when(event: &Event, year: Option<i16>) -> String {
    let (first, last) = (event.start.date(), event.last_day());
    let same_year = year.is_some_and(|year| first.year() == year && last.year() == year);
    if last > first {
        let days = dates::days(first, last);
        let days = match same_year {
            true => days.trim_end_matches(char::is_numeric).trim_end().to_owned(),
            false => days,
        };
        let start = match event.start {
            Moment::Time(time) => format!(", à partir de {}", dates::time(time.time())),
            Moment::Day(_) => String::new(),
        };
        return format!("{}{start}", capitalised(&days));
    }
    let day = if same_year { dates::long_day_month(first) } else { dates::long_date(first) };
    let hours = match (event.start, event.end) {
        (Moment::Time(start), Some(Moment::Time(end))) if end > start => {
            format!(", {}", dates::hours(start.time(), end.time()))
        }
        (Moment::Time(start), _) => format!(", à {}", dates::time(start.time())),
        (Moment::Day(_), _) => String::new(),
    };
    format!("{}{hours}", capitalised(&day))
}

/// From a moment to another: « Du vendredi 20 novembre 2026 à 8 h au samedi 21 novembre 2026 à 18 h ».
pub(super) fn period(start: Moment, end: Moment) -> String {
    let words = |moment: Moment| match moment {
        Moment::Day(date) => dates::long_date(date),
        Moment::Time(time) => format!("{} à {}", dates::long_date(time.date()), dates::time(time.time())),
    };
    if start.date() != end.date() {
        let end = match end {
            Moment::Time(time) => format!("{} à {}", dates::long_date(time.date()), dates::end_time(time.time())),
            day => words(day),
        };
        return format!("Du {} au {end}", words(start));
    }
    match (start, end) {
        (Moment::Time(from), Moment::Time(until)) => {
            format!("Le {}, {}", dates::long_date(from.date()), dates::hours(from.time(), until.time()))
        }
        _ => format!("Le {}", words(start)),
    }
}

/// Until when an alert in force lasts: « jusqu'au vendredi 20 novembre à 18 h ».
pub(super) fn until(end: Moment) -> String {
    match end {
        Moment::Day(date) => format!("jusqu’au {}", dates::long_day_month(date)),
        Moment::Time(time) => {
            format!("jusqu’au {} à {}", dates::long_day_month(time.date()), dates::end_time(time.time()))
        }
    }
}

/// « 9 h – 12 h ».
pub(super) fn range(from: Time, until: Time) -> String {
    format!("{}\u{a0}– {}", dates::time(from), dates::end_time(until))
}

/// « Du jeudi 24 au samedi 26 décembre 2026 », « Jeudi 31 décembre 2026 ».
pub(super) fn days(from: Date, until: Date) -> String {
    if from == until {
        return capitalised(&dates::long_date(from));
    }
    let first = match (from.year() == until.year(), from.month() == until.month()) {
        (true, true) => {
            let day = if from.day() == 1 { "1er".to_owned() } else { from.day().to_string() };
            format!("{} {day}", dates::weekday(from.weekday()))
        }
        (true, false) => dates::long_day_month(from),
        _ => dates::long_date(from),
    };
    format!("Du {first} au {}", dates::long_date(until))
}

/// The same words, the first letter a capital.
pub(super) fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A telephone with its link; `None` when blank or unreadable.
pub(super) fn phone(written: &str) -> Option<PhoneView<'static>> {
    let number = numbers::telephone_link(written)?;
    Some(PhoneView { display: numbers::telephone_display(written).into(), href: format!("tel:{number}").into() })
}

/// A text that is not blank.
pub(super) fn filled(text: &str) -> Option<Text<'_>> {
    (!text.trim().is_empty()).then(|| french(text))
}

/// An optional text, with French typography.
pub(super) fn option(text: &Option<String>) -> Option<Text<'_>> {
    text.as_deref().and_then(filled)
}

/// Texts, with French typography.
pub(super) fn texts(texts: &[String]) -> Vec<Text<'_>> {
    texts.iter().map(|text| french(text)).collect()
}

/// A link of the site.
pub(super) fn link<'a>(label: impl Into<Text<'a>>, url: impl Into<Text<'a>>) -> Link<'a> {
    Link { label: label.into(), url: url.into(), external: false, current: false }
}

/// « www.exemple.fr » for a web site's address.
pub(super) fn website(url: &str) -> Link<'_> {
    let bare = url.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let safe = url.starts_with("https://") || url.starts_with("http://");
    let url = if safe { Cow::Borrowed(url) } else { Cow::Owned(format!("https://{url}")) };
    Link { label: bare.into(), url, external: true, current: false }
}

/// How to reach the mairie itself.
pub(super) fn mairie_contact<'a>(mairie: &'a Mairie, name: impl Into<Text<'a>>) -> ContactView<'a> {
    ContactView {
        name: Some(name.into()),
        address_lines: mairie.address_lines().into_iter().map(|line| french(&line).into_owned().into()).collect(),
        phone: phone(&mairie.telephone),
        email: filled(&mairie.courriel),
        ..ContactView::default()
    }
}

/// How to reach a service, an association, a shop or a place.
pub(super) fn contact(details: &ContactDetails) -> ContactView<'_> {
    ContactView {
        address_lines: texts(&details.address),
        phone: phone(&details.telephone),
        email: (!details.email.is_empty()).then_some(Cow::Borrowed(details.email.as_str())),
        website: details.website.as_deref().filter(|url| !url.is_empty()).map(website),
        ..ContactView::default()
    }
}

/// How to reach the service in charge of a form.
pub(super) fn service_contact(service: &ServiceContact) -> ContactView<'_> {
    ContactView {
        name: Some(french(&service.name)),
        person: option(&service.responsible),
        address_lines: texts(&service.address),
        phone: phone(&service.telephone),
        email: (!service.email.is_empty()).then_some(Cow::Borrowed(service.email.as_str())),
        ..ContactView::default()
    }
}

/// A page of OpenStreetMap centred on a place.
pub(super) fn map_url((latitude, longitude): (f64, f64)) -> String {
    format!("https://www.openstreetmap.org/?mlat={latitude:.5}&mlon={longitude:.5}#map=18/{latitude:.5}/{longitude:.5}")
}

/// « 2 mois », « 15 jours ».
pub(super) fn delay(delay: Delay) -> String {
    match delay {
        Delay::Days(count) => numbers::plural(u64::from(count), "jour", "jours"),
        Delay::Months(count) => format!("{count}\u{a0}mois"),
        Delay::Years(count) => numbers::plural(u64::from(count), "an", "ans"),
    }
}

/// The reading words of a vocabulary's key: `vie-municipale` → « Vie municipale ».
pub(super) fn label(key: &str) -> String {
    match key {
        "evenement" => "Évènement".to_owned(),
        "ecole" => "École".to_owned(),
        "fete" => "Fête".to_owned(),
        "conseil" => "Conseil municipal".to_owned(),
        "marche" => "Marché".to_owned(),
        "reunion" => "Réunion".to_owned(),
        "citoyennete" => "Citoyenneté".to_owned(),
        "papiers" => "Papiers".to_owned(),
        "autre" => "Autres démarches".to_owned(),
        other => french(&capitalised(&other.replace(['-', '_'], " "))).into_owned(),
    }
}
