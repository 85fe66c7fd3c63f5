//! Dates and hours as the French write them.
//!
//! Hours and their numbers are tied by no-break spaces (U+00A0); dates are left breakable.

use jiff::Zoned;
use jiff::civil::{Date, DateTime, Time, Weekday};

const MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// A date with its weekday: `samedi 5 décembre 2026`, `vendredi 1er janvier 2027`.
pub fn long_date(date: Date) -> String {
    format!("{} {}", weekday(date.weekday()), short_date(date))
}

/// A date: `5 décembre 2026`, `1er janvier 2027`.
pub fn short_date(date: Date) -> String {
    format!("{} {}", day_month(date), date.year())
}

/// A date without its year: `5 décembre`.
pub fn day_month(date: Date) -> String {
    format!("{} {}", day(date), month(date))
}

/// A date with its weekday, without its year: `samedi 5 décembre`.
pub fn long_day_month(date: Date) -> String {
    format!("{} {}", weekday(date.weekday()), day_month(date))
}

/// A month: `décembre 2026`.
pub fn month_year(date: Date) -> String {
    format!("{} {}", month(date), date.year())
}

/// A date in figures: `05/12/2026`.
pub fn figures(date: Date) -> String {
    format!("{:02}/{:02}/{:04}", date.day(), date.month(), date.year())
}

/// The name of a month: `décembre`.
pub fn month(date: Date) -> &'static str {
    // A civil date has a month between 1 and 12.
    MONTHS[(date.month() - 1).clamp(0, 11) as usize]
}

/// The name of a day of the week: `samedi`.
pub fn weekday(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "lundi",
        Weekday::Tuesday => "mardi",
        Weekday::Wednesday => "mercredi",
        Weekday::Thursday => "jeudi",
        Weekday::Friday => "vendredi",
        Weekday::Saturday => "samedi",
        Weekday::Sunday => "dimanche",
    }
}

/// An hour given in figures, in words: `14:30` → `14 h 30`, `09:00` → `9 h`; anything else comes back as it is.
pub fn hour(figures: &str) -> String {
    parse_hour(figures).map_or_else(|| figures.to_owned(), time)
}

/// An hour of the day: `14 h 30`, `9 h`.
pub fn time(time: Time) -> String {
    match time.minute() {
        0 => format!("{}\u{a0}h", time.hour()),
        minute => format!("{}\u{a0}h\u{a0}{minute:02}", time.hour()),
    }
}

/// Reads `14:30`, `14h30`, `14 h 30`, `9h` or `9 h`; `None` for anything else.
pub fn parse_hour(text: &str) -> Option<Time> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (hours, minutes) = text.split_once([':', 'h', 'H'])?;
    let minutes = if minutes.is_empty() && !text.ends_with(':') { "00" } else { minutes };
    let figures = |text: &str, lengths: std::ops::RangeInclusive<usize>| -> Option<i8> {
        let good = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| text.parse().ok()).flatten()
    };
    Time::new(figures(hours, 1..=2)?, figures(minutes, 2..=2)?, 0, 0).ok()
}

/// Reads a date in any of the hands people use: `2026-12-05`, `05/12/2026`, `5.12.2026`, `5 décembre 2026`,
/// `samedi 1er août 2026`.
///
/// # Errors
/// [`ParseDateError::Shape`] when it is none of these, [`ParseDateError::Impossible`] when there is no such day (31 February,
/// year 0).
pub fn parse_date(text: &str) -> Result<Date, ParseDateError> {
    let parts: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || matches!(letter, '/' | '-' | '.'))
        .filter(|part| !part.is_empty())
        .collect();
    let parts = match parts.as_slice() {
        [_, rest @ ..] if rest.len() == 3 && is_weekday(parts[0]) => rest,
        parts => parts,
    };
    let [first, month, last] = parts else { return Err(ParseDateError::Shape) };
    let (year, day) = if first.len() == 4 { (first, last) } else { (last, first) };
    if year.len() != 4 {
        return Err(ParseDateError::Shape);
    }
    let figures = |text: &str| -> Option<i16> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let day = if *day == "1er" { "1" } else { day };
    let month = match month_number(month) {
        Some(number) => number,
        None if month.len() <= 2 => figures(month).ok_or(ParseDateError::Shape)?,
        None => return Err(ParseDateError::Shape),
    };
    if day.len() > 2 {
        return Err(ParseDateError::Shape);
    }
    let (year, day) = (figures(year).ok_or(ParseDateError::Shape)?, figures(day).ok_or(ParseDateError::Shape)?);
    if year == 0 {
        return Err(ParseDateError::Impossible);
    }
    Date::new(year, month as i8, day as i8).map_err(|_| ParseDateError::Impossible)
}

/// Why a text is not a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseDateError {
    /// Not written as a date.
    Shape,
    /// Written as a date, but there is no such day.
    Impossible,
}

fn is_weekday(word: &str) -> bool {
    const DAYS: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    DAYS.iter().any(|day| weekday(*day) == word.to_lowercase())
}

/// The number of a month from its name, with or without accents.
fn month_number(word: &str) -> Option<i16> {
    let word = word.to_lowercase().replace('é', "e").replace('û', "u");
    let at = MONTHS.iter().position(|month| month.replace('é', "e").replace('û', "u") == word)?;
    Some(at as i16 + 1)
}

/// Days from one to the other, both included: `le 5 décembre 2026`, `du 5 au 7 décembre 2026`,
/// `du 30 novembre au 2 décembre 2026`, `du 30 décembre 2026 au 2 janvier 2027`.
///
/// The order does not matter.
pub fn days(start: Date, end: Date) -> String {
    let (start, end) = if end < start { (end, start) } else { (start, end) };
    if start == end {
        format!("le {}", short_date(start))
    } else if start.year() != end.year() {
        format!("du {} au {}", short_date(start), short_date(end))
    } else if start.month() != end.month() {
        format!("du {} au {}", day_month(start), short_date(end))
    } else {
        format!("du {} au {}", day(start), short_date(end))
    }
}

/// A moment and, if known, its end: `le 5 décembre 2026 à 14 h`, `le 5 décembre 2026 de 14 h à 17 h 30`,
/// `du 5 décembre 2026 à 20 h au 6 décembre 2026 à 2 h`.
pub fn moment(start: DateTime, end: Option<DateTime>) -> String {
    match end {
        Some(end) if end.date() != start.date() => format!(
            "du {} à {} au {} à {}",
            short_date(start.date()),
            time(start.time()),
            short_date(end.date()),
            time(end.time())
        ),
        Some(end) if end.time() != start.time() => {
            format!("le {} {}", short_date(start.date()), hours(start.time(), end.time()))
        }
        _ => format!("le {} à {}", short_date(start.date()), time(start.time())),
    }
}

/// Hours from one to the other: `de 14 h à 17 h 30`, `de 20 h à minuit`.
pub fn hours(start: Time, end: Time) -> String {
    format!("de {} à {}", time(start), end_time(end))
}

/// The hour at which something ends: the last minute of a day, which is how an end at midnight is written, is `minuit`.
pub fn end_time(end: Time) -> String {
    if (end.hour(), end.minute()) == (23, 59) { "minuit".to_owned() } else { time(end) }
}

/// When something was received, with the clock it was read on: `le 5 décembre 2026 à 14 h 30 (heure de Paris, UTC+1)`.
pub fn received_at(moment: &Zoned) -> String {
    let offset = offset(moment);
    let clock = match moment.time_zone().iana_name().and_then(zone_words) {
        Some(words) => format!("heure {words}, {offset}"),
        None => offset,
    };
    format!("le {} à {} ({clock})", short_date(moment.date()), time(moment.time()))
}

/// The offset of a moment from universal time: `UTC+1`, `UTC−9:30`, `UTC`.
fn offset(moment: &Zoned) -> String {
    let minutes = moment.offset().seconds() / 60;
    let sign = if minutes < 0 { '−' } else { '+' };
    match (minutes.abs() / 60, minutes.abs() % 60) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, rest) => format!("UTC{sign}{hours}:{rest:02}"),
    }
}

/// The words after « heure » for the zones where French communes stand.
fn zone_words(zone: &str) -> Option<&'static str> {
    Some(match zone {
        "Europe/Paris" => "de Paris",
        "America/Guadeloupe" => "de la Guadeloupe",
        "America/Martinique" => "de la Martinique",
        "America/Cayenne" => "de la Guyane",
        "Indian/Reunion" => "de La Réunion",
        "Indian/Mayotte" => "de Mayotte",
        "America/Miquelon" => "de Saint-Pierre-et-Miquelon",
        "America/Marigot" => "de Saint-Martin",
        "America/St_Barthelemy" => "de Saint-Barthélemy",
        "Pacific/Noumea" => "de la Nouvelle-Calédonie",
        "Pacific/Tahiti" => "de Tahiti",
        "Pacific/Marquesas" => "des Marquises",
        "Pacific/Gambier" => "des Gambier",
        "Pacific/Wallis" => "de Wallis-et-Futuna",
        _ => return None,
    })
}

fn day(date: Date) -> String {
    match date.day() {
        1 => "1er".to_owned(),
        day => day.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_ends_in_the_last_minute_of_a_day_ends_at_midnight() {
        let at = |hour, minute| Time::constant(hour, minute, 0, 0);
        assert_eq!(hours(at(20, 0), at(23, 59)), "de 20\u{a0}h à minuit");
        assert_eq!(hours(at(20, 0), at(23, 30)), "de 20\u{a0}h à 23\u{a0}h\u{a0}30");
        assert_eq!(time(at(23, 59)), "23\u{a0}h\u{a0}59", "an instant stays what it is");
    }

    #[test]
    fn dates_are_written_as_the_french_do() {
        assert_eq!(long_date(date(2026, 12, 5)), "samedi 5 décembre 2026");
        assert_eq!(short_date(date(2027, 1, 1)), "1er janvier 2027");
        assert_eq!(long_day_month(date(2026, 8, 1)), "samedi 1er août");
        assert_eq!(month_year(date(2026, 2, 9)), "février 2026");
        assert_eq!(figures(date(2026, 2, 9)), "09/02/2026");
    }

    #[test]
    fn hours_are_read_in_several_hands_and_written_in_one() {
        for (figures, words) in [
            ("14:30", "14\u{a0}h\u{a0}30"),
            ("09:00", "9\u{a0}h"),
            ("0:05", "0\u{a0}h\u{a0}05"),
            ("14h30", "14\u{a0}h\u{a0}30"),
            ("14 h 30", "14\u{a0}h\u{a0}30"),
            ("9h", "9\u{a0}h"),
            ("25:00", "25:00"),
            ("9:5", "9:5"),
            ("9:", "9:"),
            ("midi", "midi"),
        ] {
            assert_eq!(hour(figures), words);
        }
    }

    #[test]
    fn ranges_say_each_thing_once() {
        assert_eq!(days(date(2026, 12, 5), date(2026, 12, 5)), "le 5 décembre 2026");
        assert_eq!(days(date(2026, 12, 5), date(2026, 12, 7)), "du 5 au 7 décembre 2026");
        assert_eq!(days(date(2026, 11, 30), date(2026, 12, 2)), "du 30 novembre au 2 décembre 2026");
        assert_eq!(days(date(2027, 1, 1), date(2026, 12, 30)), "du 30 décembre 2026 au 1er janvier 2027");
        let start = date(2026, 12, 5).at(14, 0, 0, 0);
        assert_eq!(moment(start, None), "le 5 décembre 2026 à 14\u{a0}h");
        assert_eq!(
            moment(start, Some(date(2026, 12, 5).at(17, 30, 0, 0))),
            "le 5 décembre 2026 de 14\u{a0}h à 17\u{a0}h\u{a0}30"
        );
        assert_eq!(
            moment(start, Some(date(2026, 12, 6).at(2, 0, 0, 0))),
            "du 5 décembre 2026 à 14\u{a0}h au 6 décembre 2026 à 2\u{a0}h"
        );
    }

    #[test]
    fn dates_are_read_in_several_hands() {
        for text in [
            "2026-08-01",
            "01/08/2026",
            "1/8/2026",
            "1.8.2026",
            "1er août 2026",
            "Samedi 1er AOUT 2026",
            " 1 août 2026 ",
        ] {
            assert_eq!(parse_date(text), Ok(date(2026, 8, 1)), "{text}");
        }
        for text in ["2026", "demain", "01/08/26", "8/2026", "", "1 brumaire 2026", "001/08/2026", "2026-08-01-02"] {
            assert_eq!(parse_date(text), Err(ParseDateError::Shape), "{text}");
        }
        for text in ["31/02/2026", "2026-13-01", "29 février 2027", "01/01/0000"] {
            assert_eq!(parse_date(text), Err(ParseDateError::Impossible), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_date_that_is_written_can_be_read(year in 1000i16..=9999, month in 1i8..=12, day in 1i8..=28) {
            let date = date(year, month, day);
            for text in [long_date(date), short_date(date), figures(date), date.to_string()] {
                proptest::prop_assert_eq!(parse_date(&text), Ok(date));
            }
        }

        #[test]
        fn nothing_that_is_typed_panics(text in ".*") {
            let _ = parse_date(&text);
            let _ = parse_hour(&text);
        }
    }

    #[test]
    fn a_reception_tells_its_clock() {
        let at = |zone: &str, month: i8| {
            let moment = date(2026, month, 5).at(14, 30, 59, 0).in_tz(zone).expect("a known zone");
            received_at(&moment).replace('\u{a0}', " ")
        };
        assert_eq!(at("Europe/Paris", 12), "le 5 décembre 2026 à 14 h 30 (heure de Paris, UTC+1)");
        assert_eq!(at("Europe/Paris", 7), "le 5 juillet 2026 à 14 h 30 (heure de Paris, UTC+2)");
        assert_eq!(at("Indian/Reunion", 7), "le 5 juillet 2026 à 14 h 30 (heure de La Réunion, UTC+4)");
        assert_eq!(at("Pacific/Marquesas", 7), "le 5 juillet 2026 à 14 h 30 (heure des Marquises, UTC−9:30)");
        assert_eq!(at("Africa/Tunis", 7), "le 5 juillet 2026 à 14 h 30 (UTC+1)");
        assert_eq!(at("UTC", 7), "le 5 juillet 2026 à 14 h 30 (UTC)");
    }
}
