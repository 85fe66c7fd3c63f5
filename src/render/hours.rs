//! Opening hours in words: is it open on the build day, when does it open again, the table of the week.

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

use super::parts;
use super::view::{HoursException, HoursRow, HoursView, OpeningState, OpeningView, Text};
use crate::model::calendar::{HolidayZone, holiday};
use crate::model::commune::{OpeningHours, TimeRange, WeeklyHours};
use crate::model::content::Moment;
use crate::text::dates;
use crate::text::typography::french;

/// Days told to the script: three weeks.
const DAYS_TOLD: i32 = 21;

/// Days ahead in which a public holiday is announced beside the hours.
const HOLIDAYS_ANNOUNCED: i32 = 30;

/// Hours of a town hall or of a public service, or of anyone else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// Closed on public holidays, unless an exception says otherwise.
    Public(HolidayZone),
    /// Opens as he likes on public holidays.
    Private,
}

impl Keeper {
    /// Name of the public holiday of that day, for who keeps it.
    fn holiday(self, date: Date) -> Option<&'static str> {
        match self {
            Keeper::Public(zone) => holiday(date, zone),
            Keeper::Private => None,
        }
    }
}

/// Ranges of one day.
pub(super) fn ranges(hours: &OpeningHours, keeper: Keeper, date: Date) -> Vec<TimeRange> {
    if let Some(exception) = hours.exceptions.iter().find(|exception| exception.from <= date && date <= exception.until)
    {
        return exception.ranges.clone();
    }
    if keeper.holiday(date).is_some() {
        return Vec::new();
    }
    let day = date.weekday().to_monday_one_offset().unsigned_abs();
    let mut ranges: Vec<TimeRange> = hours
        .weekly
        .iter()
        .filter(|weekly| weekly.days.contains(&day) && is_its_week(weekly, date))
        .flat_map(|weekly| weekly.ranges.iter().copied())
        .collect();
    ranges.sort_by_key(|range| (range.from, range.until));
    ranges.dedup();
    ranges
}

/// « semaines paires » and « semaines impaires » are rules, other notes are words (ISO 8601 weeks).
fn is_its_week(weekly: &WeeklyHours, date: Date) -> bool {
    let note = weekly.note.as_deref().unwrap_or("").to_lowercase();
    let even = date.iso_week_date().week() % 2 == 0;
    if note.contains("semaines impaires") || note.contains("semaine impaire") {
        !even
    } else if note.contains("semaines paires") || note.contains("semaine paire") {
        even
    } else {
        true
    }
}

/// Open or not on the build day; `None` without hours.
pub(super) fn opening(hours: &OpeningHours, keeper: Keeper, today: Date, zone: &str) -> Option<OpeningView<'static>> {
    if hours.weekly.is_empty() {
        return None;
    }
    let days: Vec<(Date, Vec<TimeRange>)> = (0..DAYS_TOLD)
        .filter_map(|offset| today.checked_add(i64::from(offset).days()).ok())
        .map(|date| (date, ranges(hours, keeper, date)))
        .collect();
    let open = days.first().is_some_and(|(_, ranges)| !ranges.is_empty());
    let sentence = match days.first() {
        Some((_, ranges)) if open => format!("Ouvert aujourd’hui {}", spoken(ranges)),
        _ => {
            let closed = keeper
                .holiday(today)
                .map_or("Fermé aujourd’hui.".to_owned(), |name| format!("Fermé aujourd’hui ({name})."));
            match days.iter().skip(1).find_map(|(date, ranges)| Some((*date, ranges.first()?.from))) {
                Some((date, from)) => format!("{closed} Rouvre {} à {}", next_day(today, date), dates::time(from)),
                None => closed.trim_end_matches('.').to_owned(),
            }
        }
    };
    let told: Vec<String> = days
        .iter()
        .map(|(date, ranges)| {
            let ranges: Vec<String> = ranges
                .iter()
                .map(|range| format!("{}-{}", range.from.strftime("%H:%M"), range.until.strftime("%H:%M")))
                .collect();
            format!("{date}={}", ranges.join(","))
        })
        .collect();
    Some(OpeningView {
        state: if open { OpeningState::Ouvert } else { OpeningState::Ferme },
        sentence: sentence.into(),
        date: parts::date_view(Moment::Day(today), &jiff::tz::TimeZone::UTC),
        hours_data: told.join(";").into(),
        time_zone: zone.to_owned().into(),
    })
}

/// « de 9 h à 12 h et de 14 h à 17 h 30 ».
fn spoken(ranges: &[TimeRange]) -> String {
    let words: Vec<String> = ranges.iter().map(|range| dates::hours(range.from, range.until)).collect();
    words.join(" et ")
}

/// « demain », « lundi », « le lundi 30 novembre ».
fn next_day(today: Date, date: Date) -> String {
    let far = today.until(date).map_or(0, |span| span.get_days());
    match far {
        1 => "demain".to_owned(),
        2..=6 => dates::weekday(date.weekday()).to_owned(),
        _ => format!("le {}", dates::long_day_month(date)),
    }
}

/// The table of the week; `None` without hours.
pub(super) fn table<'a>(hours: &'a OpeningHours, keeper: Keeper, today: Date, zone: &str) -> Option<HoursView<'a>> {
    if hours.weekly.is_empty() {
        return None;
    }
    let rows = (1..=7).map(|day| row(hours, day)).collect();
    let mut exceptions: Vec<(Date, HoursException<'a>)> = hours
        .exceptions
        .iter()
        .filter(|exception| exception.until >= today)
        .map(|exception| {
            let view = HoursException {
                dates: parts::days(exception.from, exception.until).into(),
                ranges: words(&exception.ranges),
                note: parts::option(&exception.note),
            };
            (exception.from, view)
        })
        .collect();
    exceptions.extend(holidays(hours, keeper, today));
    exceptions.sort_by_key(|(from, _)| *from);
    Some(HoursView {
        opening: opening(hours, keeper, today, zone),
        rows,
        exceptions: exceptions.into_iter().map(|(_, view)| view).collect(),
    })
}

/// Public holidays soon to come that fall on a day usually open.
fn holidays(hours: &OpeningHours, keeper: Keeper, today: Date) -> Vec<(Date, HoursException<'static>)> {
    let mut soon = Vec::new();
    for date in (0..HOLIDAYS_ANNOUNCED).filter_map(|offset| today.checked_add(i64::from(offset).days()).ok()) {
        let Some(name) = keeper.holiday(date) else { continue };
        let excepted = hours.exceptions.iter().any(|exception| exception.from <= date && date <= exception.until);
        if !excepted && !ranges(hours, Keeper::Private, date).is_empty() {
            let dates = parts::days(date, date).into();
            soon.push((date, HoursException { dates, ranges: Vec::new(), note: Some(name.into()) }));
        }
    }
    soon
}

fn row(hours: &OpeningHours, day: u8) -> HoursRow<'_> {
    let weekly: Vec<&WeeklyHours> = hours.weekly.iter().filter(|weekly| weekly.days.contains(&day)).collect();
    let notes: Vec<&str> = weekly.iter().filter_map(|weekly| weekly.note.as_deref()).collect();
    let mut ranges: Vec<TimeRange> = weekly.iter().flat_map(|weekly| weekly.ranges.iter().copied()).collect();
    ranges.sort_by_key(|range| (range.from, range.until));
    HoursRow {
        day: parts::capitalised(day_name(day)).into(),
        ranges: words(&ranges),
        note: (!notes.is_empty()).then(|| french(&notes.join(", ")).into_owned().into()),
    }
}

fn words(ranges: &[TimeRange]) -> Vec<Text<'static>> {
    ranges.iter().map(|range| parts::range(range.from, range.until).into()).collect()
}

/// Usual hours in a few lines: « Lundi et mardi : 9 h – 12 h, 14 h – 17 h 30 ».
pub(super) fn summary(hours: &OpeningHours) -> Vec<Text<'static>> {
    hours
        .weekly
        .iter()
        .filter(|weekly| !weekly.ranges.is_empty())
        .map(|weekly| {
            let ranges: Vec<String> = weekly.ranges.iter().map(|range| parts::range(range.from, range.until)).collect();
            let note = weekly.note.as_ref().map_or(String::new(), |note| format!(" ({})", french(note)));
            format!("{}\u{a0}: {}{note}", parts::capitalised(&day_names(&weekly.days)), ranges.join(", ")).into()
        })
        .collect()
}

/// « lundi et mardi », « lundi, mardi et jeudi », « du lundi au vendredi ».
fn day_names(days: &[u8]) -> String {
    let mut days = days.to_vec();
    days.sort_unstable();
    days.dedup();
    let follow = days.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match days.as_slice() {
        [] => String::new(),
        [day] => day_name(*day).to_owned(),
        [first, .., last] if follow && days.len() > 2 => format!("du {} au {}", day_name(*first), day_name(*last)),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(|day| day_name(*day)).collect();
            format!("{} et {}", first.join(", "), day_name(*last))
        }
    }
}

fn day_name(day: u8) -> &'static str {
    Weekday::from_monday_one_offset(day as i8).map_or("", dates::weekday)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;
    use crate::model::commune;

    fn hours() -> OpeningHours {
        let range = |from: i8, until: i8| TimeRange { from: time(from, 0, 0, 0), until: time(until, 30, 0, 0) };
        OpeningHours {
            weekly: vec![
                WeeklyHours { days: vec![1, 2], ranges: vec![range(9, 12), range(14, 17)], note: None },
                WeeklyHours { days: vec![6], ranges: vec![range(9, 12)], note: Some("semaines paires".into()) },
            ],
            exceptions: vec![commune::HoursException {
                from: date(2026, 12, 24),
                until: date(2026, 12, 28),
                ranges: vec![],
                note: Some("fêtes".into()),
            }],
            alsace_moselle: false,
        }
    }

    #[test]
    fn the_day_is_told_right() {
        let told = |day: Date| {
            opening(&hours(), Keeper::Public(HolidayZone::of("", false)), day, "Europe/Paris")
                .unwrap()
                .sentence
                .into_owned()
        };
        assert_eq!(
            told(date(2026, 11, 23)),
            "Ouvert aujourd’hui de 9\u{a0}h à 12\u{a0}h\u{a0}30 et de 14\u{a0}h à 17\u{a0}h\u{a0}30"
        );
        // 21 November 2026 is the Saturday of week 47, an odd one.
        assert_eq!(told(date(2026, 11, 21)), "Fermé aujourd’hui. Rouvre lundi à 9\u{a0}h");
        assert_eq!(told(date(2026, 11, 22)), "Fermé aujourd’hui. Rouvre demain à 9\u{a0}h");
        assert!(told(date(2026, 12, 24)).ends_with("Rouvre mardi à 9\u{a0}h"));
    }

    #[test]
    fn the_summary_groups_days() {
        assert_eq!(
            summary(&hours())[0],
            "Lundi et mardi\u{a0}: 9\u{a0}h\u{a0}– 12\u{a0}h\u{a0}30, 14\u{a0}h\u{a0}– 17\u{a0}h\u{a0}30"
        );
        assert_eq!(day_names(&[1, 2, 3, 4, 5]), "du lundi au vendredi");
    }

    #[test]
    fn exceptions_past_are_forgotten() {
        let hours = hours();
        assert_eq!(table(&hours, Keeper::Private, date(2026, 12, 28), "").unwrap().exceptions.len(), 1);
        assert_eq!(table(&hours, Keeper::Private, date(2026, 12, 29), "").unwrap().exceptions.len(), 0);
    }
}
