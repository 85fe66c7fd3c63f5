//! The requests of a day to one form, as a file for a spreadsheet. Pure.
//!
//! `;` between cells and a byte order mark, so that Excel in French opens it as it is; what was typed can never be a formula.

use csv::{Terminator, WriterBuilder};

use crate::model::mail::Sheet;
use crate::model::submission::{Answer, AnswerValue, Entry};
use crate::text::numbers::file_size;

/// A request, as a row.
#[derive(Debug, Clone)]
pub struct Line {
    /// « 2026-K7M2-QX4D-3 ».
    pub reference: String,
    /// « 2026-11-25 10:30 ».
    pub received: String,
    /// Who sent it.
    pub name: String,
    /// Where an answer goes; empty when nowhere.
    pub email: String,
    /// What was answered.
    pub answers: Vec<Answer>,
}

/// The file of a form; a question that was asked of some only has an empty cell for the others.
pub fn sheet(name: String, lines: &[Line]) -> Sheet {
    // Columns in the order in which the questions first come, by id and words: a form may change during the day.
    let mut columns: Vec<(&str, &str)> = Vec::new();
    for answer in lines.iter().flat_map(|line| &line.answers) {
        let column = (answer.field.as_str(), answer.question.as_str());
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let mut writer = WriterBuilder::new().delimiter(b';').terminator(Terminator::CRLF).from_writer(Vec::new());
    let head = ["Référence", "Reçue le", "Nom", "Courriel"].into_iter().chain(columns.iter().map(|(_, words)| *words));
    let mut rows = vec![head.map(safe).collect::<Vec<_>>()];
    rows.extend(lines.iter().map(|line| {
        let own = [&line.reference, &line.received, &line.name, &line.email].into_iter().map(|cell| safe(cell));
        let answer = |column: &(&str, &str)| {
            let found = line.answers.iter().find(|one| (one.field.as_str(), one.question.as_str()) == *column);
            found.map_or_else(String::new, |one| safe(&words(&one.value)))
        };
        own.chain(columns.iter().map(answer)).collect()
    }));
    // Writing to a Vec cannot fail.
    let written = rows.iter().all(|row| writer.write_record(row).is_ok());
    let bytes = writer.into_inner().unwrap_or_default();
    debug_assert!(written);
    Sheet { name, text: format!("\u{feff}{}", String::from_utf8_lossy(&bytes)) }
}

fn words(value: &AnswerValue) -> String {
    match value {
        AnswerValue::Text(text) => text.clone(),
        AnswerValue::Choices(lines) | AnswerValue::Address(lines) => lines.join(", "),
        AnswerValue::Files(files) => {
            files.iter().map(|file| format!("{} ({})", file.name, file_size(file.size))).collect::<Vec<_>>().join(", ")
        }
        AnswerValue::Group(entries) => {
            let entry = |entry: &Entry| entry.lines().collect::<Vec<_>>().join(", ");
            entries.iter().map(entry).collect::<Vec<_>>().join("\n")
        }
    }
}

/// A cell that no spreadsheet takes for a formula (OWASP, CSV injection).
fn safe(text: &str) -> String {
    let text = text.replace('\0', "");
    let first = text.trim_start_matches([' ', '\u{a0}']).chars().next();
    match first {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|' | '%') => format!("'{text}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(field: &str, text: &str) -> Answer {
        let question = format!("Question {field}");
        Answer { field: field.into(), step: None, question, value: AnswerValue::Text(text.into()) }
    }

    fn line(number: u8, answers: Vec<Answer>) -> Line {
        Line {
            reference: format!("2026-K7M2-QX4D-{number}"),
            received: "2026-11-25 10:30".into(),
            name: "Zoé; L'Hénoret".into(),
            email: "zoe@exemple.fr".into(),
            answers,
        }
    }

    fn read(sheet: &Sheet) -> Vec<Vec<String>> {
        let text = sheet.text.strip_prefix('\u{feff}').expect("a mark for Excel");
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').has_headers(false).from_reader(text.as_bytes());
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn each_request_is_a_row_and_each_question_a_column() {
        let lines =
            [line(1, vec![answer("a", "un\ndeux"), answer("b", "=1+1")]), line(2, vec![answer("c", "\"quatre\"")])];
        let rows = read(&sheet("jour.csv".into(), &lines));
        assert_eq!(rows[0], ["Référence", "Reçue le", "Nom", "Courriel", "Question a", "Question b", "Question c"]);
        assert_eq!(rows[1][2..], ["Zoé; L'Hénoret", "zoe@exemple.fr", "un\ndeux", "'=1+1", ""]);
        assert_eq!(rows[2][4..], ["", "", "\"quatre\""]);
    }

    proptest! {
        #[test]
        fn no_cell_is_ever_a_formula(typed in "(?s).{0,40}", start in "[ =+@|%\\-\t\r\n]{0,3}") {
            let rows = read(&sheet("jour.csv".into(), &[line(1, vec![answer("a", &format!("{start}{typed}"))])]));
            prop_assert_eq!(rows.len(), 2);
            let cell = rows[1][4].trim_start_matches([' ', '\u{a0}']);
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']), "{:?}", cell);
        }
    }
}
