//! Reads opening hours and their exceptions, the same keys in `commune.toml` and in the directory.

use jiff::civil::Date;

use super::toml_reader::Reader;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::commune::{HoursException, OpeningHours, TimeRange, WeeklyHours};
use crate::text::dates::parse_hour;

/// Days of the week, Monday first.
const DAYS: [&str; 7] = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];

/// Reads `jours`, a list of days of the week, Monday being 1.
pub(super) fn days(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<u8> {
    let mut days = Vec::new();
    for word in table.texts("jours", diagnostics) {
        match DAYS.iter().position(|day| word.eq_ignore_ascii_case(day)) {
            Some(at) => days.push(at as u8 + 1),
            None => diagnostics.push(
                Diagnostic::error(
                    Code::BadValue,
                    table.place("jours"),
                    format!("« {word} » n'est pas un jour de la semaine"),
                )
                .hint(format!("jours possibles : {}", DAYS.join(", "))),
            ),
        }
    }
    days
}

/// Reads `horaires` and `exceptions` of a table.
pub(super) fn opening_hours(
    reader: &mut Reader<'_, '_>,
    alsace_moselle: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> OpeningHours {
    let mut hours = OpeningHours { alsace_moselle, ..OpeningHours::default() };
    for mut table in reader.tables("horaires", diagnostics) {
        let days = days(&mut table, diagnostics);
        if days.is_empty() && !table.has("jours") {
            diagnostics.push(table.missing("jours"));
        }
        let ranges = time_ranges(&mut table, diagnostics);
        let note = table.text("note", diagnostics);
        table.finish(diagnostics);
        hours.weekly.push(WeeklyHours { days, ranges, note });
    }
    for mut table in reader.tables("exceptions", diagnostics) {
        let from = table.date("du", diagnostics);
        let until = table.date("au", diagnostics);
        let ranges = time_ranges(&mut table, diagnostics);
        let note = table.text("note", diagnostics);
        let place = table.table_place();
        if from.is_none() && !table.has("du") {
            diagnostics.push(table.missing("du"));
        }
        table.finish(diagnostics);
        let Some(from) = from else { continue };
        let until = until.unwrap_or(from);
        if until < from {
            diagnostics.push(
                Diagnostic::error(Code::BadDate, place, "cette exception finit avant de commencer")
                    .hint("« au » est le dernier jour, le même que « du » ou après"),
            );
        }
        hours.exceptions.push(HoursException { from, until: Date::max(from, until), ranges, note });
    }
    hours
}

fn time_ranges(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<TimeRange> {
    let mut ranges: Vec<TimeRange> = Vec::new();
    for text in table.texts("heures", diagnostics) {
        let pair = text.split_once(['-', '–']).and_then(|(from, until)| Some((parse_hour(from)?, parse_hour(until)?)));
        let problem = match pair {
            Some((from, until)) if from >= until => Some("finit avant de commencer"),
            Some((from, _)) if ranges.last().is_some_and(|last| from < last.until) => {
                Some("commence avant la fin de la précédente")
            }
            Some((from, until)) => {
                ranges.push(TimeRange { from, until });
                None
            }
            None => Some("n'est pas une plage d'heures"),
        };
        if let Some(problem) = problem {
            diagnostics.push(
                Diagnostic::error(Code::BadDate, table.place("heures"), format!("« {text} » {problem}"))
                    .hint("écrivez par exemple heures = [\"09:00-12:00\", \"14:00-17:30\"]"),
            );
        }
    }
    ranges
}
