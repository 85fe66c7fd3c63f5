//! The legal calendar: public holidays, working days, and the day a delay ends.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday, date};

use super::commune::Commune;
use super::form::Delay;

/// Where a commune stands for its public holidays.
///
/// Source: Code du travail, art. L3133-1 (everywhere), L3134-13 (Alsace and Moselle), L3422-2 with décret 83-1003 (day of
/// the abolition of slavery, overseas).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolidayZone {
    /// Metropolitan France, Saint-Pierre-et-Miquelon, and whatever is not below.
    Common,
    /// Haut-Rhin, Bas-Rhin and Moselle. Good Friday counts for all communes here, though the text limits it to those that
    /// have a Protestant church or a shared one.
    AlsaceMoselle,
    /// 971: 27 May.
    Guadeloupe,
    /// 972: 22 May.
    Martinique,
    /// 973: 10 June.
    Guyane,
    /// 974: 20 December.
    Reunion,
    /// 976: 27 April.
    Mayotte,
    /// 977: 9 October.
    SaintBarthelemy,
    /// 978: 28 May.
    SaintMartin,
}

impl HolidayZone {
    /// The zone of an INSEE code; `alsace_moselle` is what the commune says of itself.
    pub fn of(code_insee: &str, alsace_moselle: bool) -> Self {
        match code_insee.get(..3) {
            Some("971") => HolidayZone::Guadeloupe,
            Some("972") => HolidayZone::Martinique,
            Some("973") => HolidayZone::Guyane,
            Some("974") => HolidayZone::Reunion,
            Some("976") => HolidayZone::Mayotte,
            Some("977") => HolidayZone::SaintBarthelemy,
            Some("978") => HolidayZone::SaintMartin,
            _ if alsace_moselle || matches!(code_insee.get(..2), Some("57" | "67" | "68")) => {
                HolidayZone::AlsaceMoselle
            }
            _ => HolidayZone::Common,
        }
    }

    /// The zone of a commune.
    pub fn of_commune(commune: &Commune) -> Self {
        HolidayZone::of(&commune.code_insee, commune.mairie.hours.alsace_moselle)
    }

    /// Month and day of the abolition of slavery there.
    fn abolition(self) -> Option<(i8, i8)> {
        match self {
            HolidayZone::Common | HolidayZone::AlsaceMoselle => None,
            HolidayZone::Guadeloupe => Some((5, 27)),
            HolidayZone::Martinique => Some((5, 22)),
            HolidayZone::Guyane => Some((6, 10)),
            HolidayZone::Reunion => Some((12, 20)),
            HolidayZone::Mayotte => Some((4, 27)),
            HolidayZone::SaintBarthelemy => Some((10, 9)),
            HolidayZone::SaintMartin => Some((5, 28)),
        }
    }
}

/// Public holidays of a year with their names, in order; two of them may fall on the same day.
///
/// Shape: `year` between 1 and 9998.
pub fn holidays(year: i16, zone: HolidayZone) -> Vec<(Date, &'static str)> {
    let year = year.clamp(1, 9998);
    let easter = easter(year);
    let mut days = vec![
        (date(year, 1, 1), "jour de l’An"),
        (easter.saturating_add(1.day()), "lundi de Pâques"),
        (date(year, 5, 1), "fête du Travail"),
        (date(year, 5, 8), "victoire de 1945"),
        (easter.saturating_add(39.days()), "Ascension"),
        (easter.saturating_add(50.days()), "lundi de Pentecôte"),
        (date(year, 7, 14), "fête nationale"),
        (date(year, 8, 15), "Assomption"),
        (date(year, 11, 1), "Toussaint"),
        (date(year, 11, 11), "armistice de 1918"),
        (date(year, 12, 25), "Noël"),
    ];
    if zone == HolidayZone::AlsaceMoselle {
        days.push((easter.saturating_sub(2.days()), "Vendredi saint"));
        days.push((date(year, 12, 26), "Saint-Étienne"));
    }
    if let Some((month, day)) = zone.abolition() {
        days.push((date(year, month, day), "abolition de l’esclavage"));
    }
    days.sort();
    days
}

/// The name of the public holiday that falls on a day, if there is one.
pub fn holiday(day: Date, zone: HolidayZone) -> Option<&'static str> {
    holidays(day.year(), zone).into_iter().find(|(date, _)| *date == day).map(|(_, name)| name)
}

/// Easter Sunday in the Gregorian calendar.
///
/// Source: the anonymous algorithm published in Nature (1876), as Meeus gives it.
pub fn easter(year: i16) -> Date {
    let year = i32::from(year.clamp(1, 9998));
    let (century, rest) = (year / 100, year % 100);
    let golden = year % 19;
    let moon_correction = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - moon_correction + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (rest / 4) - epact - rest % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let days = epact + weekday - 7 * late + 114;
    date(year as i16, (days / 31) as i8, (days % 31 + 1) as i8)
}

/// Whether a mairie may be expected to work that day: Monday to Friday, not a public holiday.
///
/// Source: the ministry's reading followed by the platforms of the départements; no text read defines the « jour ouvré » of
/// CRPA, art. R112-11-2.
pub fn is_working_day(day: Date, zone: HolidayZone) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && holiday(day, zone).is_none()
}

/// The working day that comes `count` working days after a day, that day not counted; the day itself for 0.
pub fn working_days_after(day: Date, count: u16, zone: HolidayZone) -> Date {
    let mut end = day;
    let mut left = count;
    while left > 0 && end < Date::MAX {
        end = end.saturating_add(1.day());
        if is_working_day(end, zone) {
            left -= 1;
        }
    }
    end
}

/// The day a decision is acquired by silence, for a request received on a day.
///
/// The delay starts on the day after reception: received on 15 April, 2 months, the decision is acquired on 16 June. When
/// the month of arrival is too short, it is its last day (received on 30 December, 2 months: 28 February).
///
/// Source: convention of demarches-simplifiees.fr (SVA/SVR calculator); the legal rule itself was not read.
pub fn add_delay(reception: Date, delay: Delay) -> Date {
    let start = reception.saturating_add(1.day());
    match delay {
        Delay::Days(days) => start.saturating_add(i32::from(days).days()),
        Delay::Months(months) => start.saturating_add(i32::from(months).months()),
        // More years than the calendar holds would not be a span.
        Delay::Years(years) => start.saturating_add(i32::from(years.min(9_999)).years()),
    }
}

/// The last day that answers received on a day are kept, for that retention.
pub fn kept_until(reception: Date, retention: Delay) -> Date {
    match retention {
        Delay::Days(days) => reception.saturating_add(i32::from(days).days()),
        Delay::Months(months) => reception.saturating_add(i32::from(months).months()),
        Delay::Years(years) => reception.saturating_add(i32::from(years.min(9_999)).years()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn easter_falls_where_it_fell() {
        for (year, month, day) in [
            (1818, 3, 22),
            (1943, 4, 25),
            (2000, 4, 23),
            (2008, 3, 23),
            (2024, 3, 31),
            (2026, 4, 5),
            (2027, 3, 28),
            (2038, 4, 25),
        ] {
            assert_eq!(easter(year), date(year, month, day));
        }
    }

    #[test]
    fn a_zone_has_its_own_holidays() {
        for (code, day, name) in [
            ("97105", date(2026, 5, 27), "abolition de l’esclavage"),
            ("97209", date(2026, 5, 22), "abolition de l’esclavage"),
            ("97302", date(2026, 6, 10), "abolition de l’esclavage"),
            ("97411", date(2026, 12, 20), "abolition de l’esclavage"),
            ("97608", date(2026, 4, 27), "abolition de l’esclavage"),
            ("97701", date(2026, 10, 9), "abolition de l’esclavage"),
            ("97801", date(2026, 5, 28), "abolition de l’esclavage"),
            ("67482", date(2026, 4, 3), "Vendredi saint"),
            ("57463", date(2026, 12, 26), "Saint-Étienne"),
        ] {
            assert_eq!(holiday(day, HolidayZone::of(code, false)), Some(name), "{code}");
            assert_eq!(holiday(day, HolidayZone::of("53999", false)), None, "{code}");
        }
        assert_eq!(HolidayZone::of("88413", true), HolidayZone::AlsaceMoselle);
        assert_eq!(HolidayZone::of("97502", false), HolidayZone::Common);
        assert_eq!(HolidayZone::of("", false), HolidayZone::Common);
        assert_eq!(HolidayZone::of("2A004", false), HolidayZone::Common);
    }

    #[test]
    fn the_common_holidays_are_eleven() {
        let names: Vec<_> = holidays(2026, HolidayZone::Common);
        assert_eq!(names.len(), 11);
        assert_eq!(holiday(date(2026, 5, 14), HolidayZone::Common), Some("Ascension"));
        assert_eq!(holiday(date(2026, 5, 25), HolidayZone::Common), Some("lundi de Pentecôte"));
        // Ascension fell on 1 May in 2008: both are listed, the day is a holiday once.
        assert_eq!(holidays(2008, HolidayZone::Common).iter().filter(|(day, _)| *day == date(2008, 5, 1)).count(), 2);
    }

    #[test]
    fn ten_working_days_skip_the_end_of_the_year() {
        let after = |day| working_days_after(day, 10, HolidayZone::Common);
        assert_eq!(after(date(2026, 12, 5)), date(2026, 12, 18));
        assert_eq!(after(date(2026, 12, 21)), date(2027, 1, 6));
        assert_eq!(working_days_after(date(2026, 12, 21), 10, HolidayZone::AlsaceMoselle), date(2027, 1, 6));
        assert_eq!(working_days_after(date(2025, 12, 19), 10, HolidayZone::AlsaceMoselle), date(2026, 1, 7));
        assert_eq!(working_days_after(date(2026, 12, 5), 0, HolidayZone::Common), date(2026, 12, 5));
        assert_eq!(working_days_after(date(2026, 12, 4), 1, HolidayZone::Common), date(2026, 12, 7));
    }

    #[test]
    fn a_delay_starts_on_the_day_after_reception() {
        for (reception, delay, decision) in [
            (date(2026, 4, 15), Delay::Months(2), date(2026, 6, 16)),
            (date(2026, 11, 21), Delay::Months(2), date(2027, 1, 22)),
            (date(2026, 12, 31), Delay::Months(2), date(2027, 3, 1)),
            // December 31, then a short February.
            (date(2026, 12, 30), Delay::Months(2), date(2027, 2, 28)),
            (date(2027, 12, 30), Delay::Months(2), date(2028, 2, 29)),
            (date(2026, 1, 30), Delay::Months(1), date(2026, 2, 28)),
            (date(2028, 2, 28), Delay::Years(1), date(2029, 2, 28)),
            (date(2026, 4, 30), Delay::Months(1), date(2026, 6, 1)),
            (date(2026, 4, 15), Delay::Days(15), date(2026, 5, 1)),
            (date(2026, 4, 15), Delay::Months(4), date(2026, 8, 16)),
        ] {
            assert_eq!(add_delay(reception, delay), decision, "{reception} {delay:?}");
        }
    }

    fn any_date() -> impl Strategy<Value = Date> {
        (1900i16..2200, 1i8..=12, 1i8..=31).prop_map(|(year, month, day)| {
            let first = date(year, month, 1);
            date(year, month, day.min(first.days_in_month()))
        })
    }

    fn any_delay() -> impl Strategy<Value = Delay> {
        prop_oneof![
            any::<u16>().prop_map(Delay::Days),
            any::<u16>().prop_map(Delay::Months),
            any::<u16>().prop_map(Delay::Years)
        ]
    }

    proptest! {
        #[test]
        fn easter_is_a_sunday_of_spring(year in 1i16..=9998) {
            let easter = easter(year);
            prop_assert_eq!(easter.weekday(), Weekday::Sunday);
            prop_assert!(easter >= date(year, 3, 22) && easter <= date(year, 4, 25));
        }

        #[test]
        fn who_writes_later_is_not_answered_earlier(day in any_date(), later in 1i32..400, delay in any_delay()) {
            let other = day.saturating_add(later.days());
            prop_assert!(add_delay(day, delay) <= add_delay(other, delay));
            prop_assert!(add_delay(day, delay) > day);
        }

        #[test]
        fn whole_months_end_on_the_day_after_or_on_the_last_of_the_month(day in any_date(), months in 1u16..=24) {
            let end = add_delay(day, Delay::Months(months));
            let start = day.saturating_add(1.day());
            prop_assert!(end.day() == start.day() || (end.day() < start.day() && end == end.last_of_month()));
            let between = (i32::from(end.year()) - i32::from(start.year())) * 12 + i32::from(end.month()) - i32::from(start.month());
            prop_assert_eq!(between, i32::from(months));
        }

        #[test]
        fn working_days_are_counted_one_by_one(day in any_date(), count in 1u16..40) {
            let end = working_days_after(day, count, HolidayZone::Common);
            prop_assert!(is_working_day(end, HolidayZone::Common));
            let mut counted = 0;
            let mut at = day;
            while at < end {
                at = at.saturating_add(1.day());
                counted += u16::from(is_working_day(at, HolidayZone::Common));
            }
            prop_assert_eq!(counted, count);
        }
    }
}
