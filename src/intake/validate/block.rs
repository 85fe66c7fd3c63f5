//! Reads answers made of several: an address, a person, a stay, copies of a group.

use jiff::ToSpan;
use jiff::civil::{Date, Time};

use super::clean::{bounded, one_line};
use super::kinds;
use super::{Mistake, Mistakes, answer, mistake, named, without_mark};
use crate::model::form::{DateBounds, Field, FieldKind, IDENTITY_STEP, OTHER_ADDRESS, SAME_ADDRESS, Shape};
use crate::model::submission::{AnswerValue, Entry, EntryPart, FieldError, RawAnswers};
use crate::text::dates::{days, long_date, parse_hour, time, weekday};
use crate::text::numbers::plural;

/// Inputs of an address.
pub(super) const ADDRESS_PARTS: [&str; 3] = ["voie", "code_postal", "commune"];
/// Characters of the street line of an address.
const MAX_STREET: usize = 200;
/// Years ahead that a hall is booked or somebody is seen; beyond, it is a slip of the finger. Our choice.
const MAX_AHEAD: i32 = 3;
/// Characters of the town of an address.
const MAX_TOWN: usize = 100;

/// A postal address: street line, then code and town.
pub(super) fn address(field: &Field, raw: &RawAnswers) -> Result<Option<AnswerValue>, Mistakes> {
    let name = |part: &str| format!("{}.{part}", field.id);
    let [street, code, town] = ADDRESS_PARTS.map(|part| one_line(raw.first(&name(part))));
    if !field.required && street.is_empty() && code.is_empty() && town.is_empty() {
        return Ok(None);
    }
    let mut mistakes = Vec::new();
    let mut refuse = |part: &str, message: String| mistakes.extend(mistake(&name(part), message));
    match bounded(&street, MAX_STREET) {
        _ if street.is_empty() => refuse("voie", "Indiquez le numéro et la rue, ou le lieu-dit".into()),
        Ok(_) => {}
        Err(message) => refuse("voie", message),
    }
    if code.is_empty() {
        refuse("code_postal", "Indiquez le code postal".into());
    } else if !is_postal_code(&code, &town) {
        refuse(
            "code_postal",
            "Écrivez les cinq chiffres du code postal. Pour une adresse à l'étranger, ajoutez le pays après la ville : « Bruxelles, Belgique »".into(),
        );
    }
    match bounded(&town, MAX_TOWN) {
        _ if town.is_empty() => refuse("commune", "Indiquez la commune".into()),
        Ok(_) => {}
        Err(message) => refuse("commune", message),
    }
    if !mistakes.is_empty() {
        // The address of the person who sends is the one that needs no name.
        let own = field.step.as_deref() == Some(IDENTITY_STEP);
        return Err(if own { mistakes } else { about(without_mark(&field.question), mistakes) });
    }
    let code: String = if is_french_code(&code) { code.split_whitespace().collect() } else { code };
    Ok(Some(AnswerValue::Address(vec![street, format!("{code} {town}")])))
}

fn is_french_code(code: &str) -> bool {
    let digits: String = code.split_whitespace().collect();
    digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Five digits, or any short code when the town's line names a country after a comma.
fn is_postal_code(code: &str, town: &str) -> bool {
    let abroad = town.contains(',') || town.contains('(');
    is_french_code(code)
        || abroad
            && code.len() <= 12
            && code.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '-'))
}

/// A block: its parts, then what they make together.
pub(super) fn block(
    field: &Field,
    shape: &Shape,
    raw: &RawAnswers,
    today: Date,
) -> Result<Option<AnswerValue>, Mistakes> {
    let parts = field.parts(0);
    // A round button cannot be let go: the one of a block that is left blank must not hold a person up.
    let counts = |part: &&Field| !part.id.ends_with(SAME_ADDRESS);
    if !field.required && parts.iter().filter(counts).all(|part| is_blank(part, raw)) {
        return Ok(None);
    }
    let question = without_mark(&field.question);
    let entry = entry(&parts, raw, today, None).map_err(|found| about(question, found))?;
    whole(field, shape, (entry, raw), today).map_err(|found| about(question, found))
}

/// What the valid parts of a block make together.
fn whole(
    field: &Field,
    shape: &Shape,
    (entry, raw): (Entry, &RawAnswers),
    today: Date,
) -> Result<Option<AnswerValue>, Mistakes> {
    let given = |part: &str| one_line(raw.first(&format!("{}.{part}", field.id)));
    let at = |part: &str| format!("{}.{part}", field.id);
    let any = DateBounds::default();
    if matches!(shape, Shape::Booking { .. } | Shape::Appointment { .. }) {
        for part in ["du", "au", "jour"] {
            let far = |date: Date| date < today || date > today.saturating_add(MAX_AHEAD.years());
            if kinds::date(&given(part), any, today).is_ok_and(far) {
                return Err(mistake(&at(part), "Vérifiez l'année : cette date est passée, ou trop lointaine".into()));
            }
        }
    }
    match shape {
        Shape::Person if given(SAME_ADDRESS) == "non" && given(OTHER_ADDRESS).is_empty() => {
            Err(mistake(&at(OTHER_ADDRESS), "Indiquez son adresse postale".into()))
        }
        Shape::Person | Shape::Child => Ok(Some(AnswerValue::Group(vec![entry]))),
        Shape::Period { max_days } => {
            let [from, until] = ["du", "au"].map(|part| kinds::date(&given(part), any, today));
            let (Ok(from), Ok(until)) = (from, until) else { return Ok(None) };
            in_order(from, until, &at("au"))?;
            if let Some(most) = max_days.filter(|most| count(from, until) > i64::from(*most)) {
                let most = plural(u64::from(most), "jour", "jours");
                return Err(mistake(&at("au"), format!("Choisissez une durée de {most} au plus")));
            }
            Ok(Some(AnswerValue::Text(days(from, until))))
        }
        Shape::Booking { name, .. } => {
            let [from, until] = ["du", "au"].map(|part| kinds::date(&given(part), any, today));
            let [start, end] = ["heure_du", "heure_au"].map(|part| parse_hour(&given(part)));
            let (Ok(from), Ok(until), Some(start), Some(end)) = (from, until, start, end) else { return Ok(None) };
            in_order(from, until, &at("au"))?;
            if from == until && end <= start {
                return Err(mistake(&at("heure_au"), "Indiquez une heure de fin après celle du début".into()));
            }
            Ok(Some(AnswerValue::Text(format!("{name}, {}", stay((from, start), (until, end))))))
        }
        Shape::Appointment { days } => {
            let Ok(day) = kinds::date(&given("jour"), any, today) else { return Ok(None) };
            let number = day.weekday().to_monday_one_offset() as u8;
            if !days.is_empty() && !days.contains(&number) {
                let possible: Vec<&str> = days.iter().filter_map(|day| day_name(*day)).collect();
                let message = format!(
                    "Choisissez un autre jour que le {} : les rendez-vous se prennent le {}",
                    weekday(day.weekday()),
                    possible.join(", le ")
                );
                return Err(mistake(&at("jour"), message));
            }
            let moment = entry.parts.iter().find(|part| part.part == "moment").map(|part| part.value.clone());
            let words = moment.map_or_else(String::new, |moment| format!(", {moment}"));
            Ok(Some(AnswerValue::Text(format!("{}{words}", long_date(day)))))
        }
    }
}

fn day_name(number: u8) -> Option<&'static str> {
    jiff::civil::Weekday::from_monday_one_offset(number as i8).ok().map(weekday)
}

fn in_order(from: Date, until: Date, input: &str) -> Result<(), Mistakes> {
    if until < from { Err(mistake(input, "Indiquez une fin qui ne vient pas avant le début".into())) } else { Ok(()) }
}

/// Days from one to the other, both included.
fn count(from: Date, until: Date) -> i64 {
    from.duration_until(until).as_hours() / 24 + 1
}

fn stay((from, start): (Date, Time), (until, end): (Date, Time)) -> String {
    if from == until {
        return format!("{} de {} à {}", long_date(from), time(start), time(end));
    }
    format!("du {} à {} au {} à {}", long_date(from), time(start), long_date(until), time(end))
}

/// The copies of a group: those that hold an answer, and at least as many as it asks for.
pub(super) fn group(field: &Field, raw: &RawAnswers, today: Date) -> Result<Option<AnswerValue>, Mistakes> {
    let FieldKind::Group { one, min, .. } = &field.kind else { return Ok(None) };
    let (mut entries, mut mistakes) = (Vec::new(), Vec::new());
    let least = usize::from(*min).max(usize::from(field.required));
    for copy in 1..=field.copies(raw) {
        let parts = field.parts(copy);
        if copy > least && parts.iter().all(|part| is_blank(part, raw)) {
            continue;
        }
        match entry(&parts, raw, today, Some(format!("{one} {}", entries.len() + 1))) {
            Ok(entry) => entries.push(entry),
            Err(found) => mistakes.extend(about(&format!("{one} {copy}"), found)),
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok((!entries.is_empty()).then_some(AnswerValue::Group(entries)))
}

/// Says what each mistake is about: « Enfant 2 : répondez à « Prénom » », « Enfant 2, date de naissance : indiquez… ».
fn about(subject: &str, mistakes: Mistakes) -> Mistakes {
    let said = |mistake: Mistake| {
        let subject = match &mistake.about {
            Some(part) => format!("{subject}, {}", lowered(part)),
            None => subject.to_owned(),
        };
        let message = named(&subject, &mistake.error.message);
        Mistake { error: FieldError { message, ..mistake.error }, about: None }
    };
    mistakes.into_iter().map(said).collect()
}

fn lowered(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// Whether nothing at all was answered to a part.
fn is_blank(part: &Field, raw: &RawAnswers) -> bool {
    if let FieldKind::Block { .. } = part.kind {
        return part.parts(0).iter().all(|inner| is_blank(inner, raw));
    }
    raw.all(&part.id).iter().all(|value| value.trim().is_empty())
}

fn entry(parts: &[Field], raw: &RawAnswers, today: Date, title: Option<String>) -> Result<Entry, Mistakes> {
    let (mut read, mut mistakes) = (Vec::new(), Vec::new());
    for part in parts {
        match answer(part, raw, today) {
            Ok(Some(value)) => read.push(EntryPart {
                part: part.id.rsplit('.').next().unwrap_or(&part.id).to_owned(),
                question: part.question.clone(),
                value: value.one_line(),
            }),
            Ok(None) => {}
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() { Ok(Entry { title, parts: read }) } else { Err(mistakes) }
}
