//! Reads one typed answer by its kind; what is given is clean and not empty.

use jiff::ToSpan;
use jiff::civil::Date;

use super::clean::{bounded, visible};
use super::email::email;
use crate::model::form::{DateBounds, Field, FieldKind};
use crate::model::submission::AnswerValue;
use crate::text::dates::{ParseDateError, figures, long_date, parse_date, parse_hour, short_date, time};
use crate::text::numbers::{euros, iban, parse_euros, personal_telephone, siret};

/// Characters of a place in words.
const MAX_PLACE: usize = 200;
/// Characters of an identifier that is not an RNA number.
const MAX_RNA: usize = 50;

/// Reads a single typed answer by its kind.
pub(super) fn read(field: &Field, typed: &str, today: Date) -> Result<AnswerValue, String> {
    let text = match &field.kind {
        FieldKind::Text { max } | FieldKind::LongText { max } => bounded(typed, *max as usize)?,
        FieldKind::Place { .. } => bounded(typed, MAX_PLACE)?,
        FieldKind::Email => email(typed)?,
        FieldKind::Telephone => personal_telephone(&visible(typed)).ok_or(
            "Vérifiez le numéro de téléphone : dix chiffres, ou le signe + et l'indicatif du pays. Exemple : 02 99 00 12 34",
        )?,
        FieldKind::Number { min, max, .. } => number(typed, *min, *max)?,
        FieldKind::Amount { min, max } => amount(typed, *min, *max)?,
        FieldKind::Date { bounds } => long_date(date(typed, *bounds, today)?),
        FieldKind::Time => time(parse_hour(typed).ok_or("Écrivez l'heure comme ceci : 14 h 30")?),
        FieldKind::YesNo => match typed {
            "oui" => "Oui".into(),
            "non" => "Non".into(),
            _ => return Err("Choisissez « Oui » ou « Non »".into()),
        },
        FieldKind::Choice { choices } => {
            let choice = choices.iter().find(|choice| choice.value == typed);
            let choice = choice.ok_or("Choisissez une des réponses proposées")?;
            return Ok(AnswerValue::Choices(vec![choice.label.clone()]));
        }
        FieldKind::Rna => rna(typed)?,
        FieldKind::Siret => {
            let digits = siret(&visible(typed)).ok_or(
                "Vérifiez le numéro SIRET : quatorze chiffres, tels qu'ils figurent sur l'avis de situation de l'Insee",
            )?;
            format!("{} {} {} {}", &digits[..3], &digits[3..6], &digits[6..9], &digits[9..])
        }
        FieldKind::Iban => iban(&visible(typed)).ok_or(
            "Vérifiez l'IBAN : recopiez-le en entier, lettres comprises, depuis le relevé d'identité bancaire",
        )?,
        _ => return Err("Répondez à cette question".into()),
    };
    Ok(AnswerValue::Text(text))
}

fn number(typed: &str, min: Option<i64>, max: Option<i64>) -> Result<String, String> {
    let digits: String = visible(typed).chars().filter(|letter| !letter.is_whitespace()).collect();
    let bare = digits.strip_prefix(['-', '−']).unwrap_or(&digits);
    if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("Écrivez un nombre entier, en chiffres".into());
    }
    let inside = |number: i64| min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max);
    match digits.replace('−', "-").parse::<i64>() {
        Ok(number) if inside(number) => Ok(number.to_string()),
        _ => Err(match (min, max) {
            (Some(min), Some(max)) => format!("Indiquez un nombre entre {min} et {max}"),
            (Some(min), None) => format!("Indiquez un nombre d'au moins {min}"),
            (None, Some(max)) => format!("Indiquez un nombre d'au plus {max}"),
            (None, None) => "Indiquez un nombre plus petit".into(),
        }),
    }
}

/// A sum in euros, in words: « 1 250,00 € ».
fn amount(typed: &str, min: Option<u64>, max: Option<u64>) -> Result<String, String> {
    let cents = parse_euros(&visible(typed)).ok_or("Écrivez une somme en euros. Exemple : 150 ou 150,50")?;
    match (min, max) {
        (Some(min), _) if cents < min => Err(format!("Indiquez une somme d'au moins {}", euros(min))),
        (_, Some(max)) if cents > max => Err(format!("Indiquez une somme d'au plus {}", euros(max))),
        _ => Ok(euros(cents)),
    }
}

/// A date inside its bounds; between 1850 and a hundred years from today when it has none: the others are slips of the
/// finger.
pub(super) fn date(typed: &str, bounds: DateBounds, today: Date) -> Result<Date, String> {
    let date = parse_date(&visible(typed)).map_err(|error| match error {
        ParseDateError::Shape => {
            format!("Écrivez la date avec le jour, le mois et l'année. Exemple : {}", figures(today))
        }
        ParseDateError::Impossible => "Vérifiez la date : ce jour n'existe pas dans le calendrier".into(),
    })?;
    if date.year() < 1850 || date > today.saturating_add(100.years()) {
        return Err("Vérifiez l'année de la date".into());
    }
    match bounds.on(today) {
        (Some(earliest), _) if date < earliest && earliest == today => {
            Err("Indiquez une date à venir, ou celle d'aujourd'hui".into())
        }
        (Some(earliest), _) if date < earliest => {
            Err(format!("Choisissez une date à partir du {} : il faut ce délai à la mairie", short_date(earliest)))
        }
        (_, Some(latest)) if latest < date && bounds.past => Err("Indiquez une date passée".into()),
        _ if bounds.max_age.is_some_and(|years| date < today.saturating_sub(i32::from(years).years())) => {
            let years = bounds.max_age.unwrap_or_default();
            Err(format!("Vérifiez l'année : cette date donnerait plus de {years} ans"))
        }
        (_, Some(latest)) if latest < date => Err(format!("Choisissez une date jusqu'au {}", short_date(latest))),
        _ => Ok(date),
    }
}

/// `W` and nine characters when it is one, any other identifier as it is: associations of Alsace-Moselle have none.
fn rna(typed: &str) -> Result<String, String> {
    let typed = bounded(typed, MAX_RNA)?;
    let packed: String = typed.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    if packed.len() == 10 && packed.starts_with('W') && packed[1..].bytes().filter(u8::is_ascii_digit).count() >= 8 {
        return Ok(packed);
    }
    if typed.chars().filter(|letter| letter.is_alphanumeric()).count() < 3 {
        return Err("Indiquez le numéro RNA (W et neuf chiffres) ou un autre numéro d'identification".into());
    }
    Ok(typed)
}
