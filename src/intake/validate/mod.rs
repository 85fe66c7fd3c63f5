//! Judges what came with a request: valid answers, or what to mend and where. Pure.
//!
//! 1. Which questions are asked, by their conditions; answers to the others are ignored.
//! 2. Each answer is cleaned (spaces, line ends, invisible signs) and read by its kind.
//! 3. All mistakes are told together, in the form's order.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization;

use crate::model::form::{Choice, Condition, Field, FieldKind, FileFormat, Form, IDENTITY_FIELD};
use crate::model::submission::{Answer, AnswerValue, FieldError, RawAnswers, Sender, StoredFile, ValidAnswers};
use crate::text::dates::{ParseDateError, figures, long_date, parse_date, parse_hour, time};
use crate::text::numbers::{file_size, personal_telephone, plural, siret};
use crate::text::typography::french;

/// Characters of an e-mail address at most (RFC 5321, path limit).
const MAX_EMAIL: usize = 254;
/// Characters of the street line of an address.
const MAX_STREET: usize = 200;
/// Characters of the town of an address.
const MAX_TOWN: usize = 100;
/// Characters of a place in words.
const MAX_PLACE: usize = 200;
/// Characters of an identifier that is not an RNA number.
const MAX_RNA: usize = 50;

/// The valid answers of a form, in its order.
///
/// `today` is the commune's day; it only serves the examples shown.
///
/// # Errors
/// Every mistake, in the form's order, each with the input it stands in and a French sentence that says what to do.
pub fn answers(form: &Form, raw: &RawAnswers, today: Date) -> Result<ValidAnswers, Vec<FieldError>> {
    let mut answers = Vec::new();
    let mut errors = Vec::new();
    for field in asked(form, raw) {
        match answer(field, raw, today) {
            Ok(Some(value)) => answers.push(Answer {
                field: field.id.clone(),
                step: field.step.clone(),
                question: field.question.clone(),
                value,
            }),
            Ok(None) => {}
            Err(mistakes) => errors.extend(mistakes),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let sender = sender(&answers, raw.first(IDENTITY_FIELD).trim());
    Ok(ValidAnswers { answers, sender })
}

/// The fields that are asked, given what was answered so far, in the form's order.
pub fn asked<'f>(form: &'f Form, raw: &RawAnswers) -> Vec<&'f Field> {
    form.fields.iter().filter(|field| is_asked(form, field, raw, form.fields.len())).collect()
}

/// What to post again from the check page so that the same answers are read: input names and values, in the form's order.
///
/// Only asked questions and known values stand in it; files are kept apart.
pub fn raw_inputs(form: &Form, raw: &RawAnswers) -> Vec<(String, String)> {
    let mut inputs = Vec::new();
    for field in asked(form, raw) {
        let mut push = |name: String, value: String| {
            if !value.is_empty() {
                inputs.push((name, value));
            }
        };
        match &field.kind {
            FieldKind::Information { .. } | FieldKind::File { .. } => {}
            FieldKind::Address => {
                for part in ADDRESS_PARTS {
                    let name = format!("{}.{part}", field.id);
                    let value = one_line(raw.first(&name));
                    push(name, value);
                }
            }
            FieldKind::Choices { choices } => {
                for choice in chosen(choices, values(raw, &field.id)) {
                    push(field.id.clone(), choice.value.clone());
                }
            }
            FieldKind::LongText { .. } => push(field.id.clone(), lines(raw.first(&field.id))),
            FieldKind::Checkbox => {
                push(field.id.clone(), if ticked(raw, field) { "oui".into() } else { String::new() })
            }
            _ => push(field.id.clone(), one_line(raw.first(&field.id))),
        }
    }
    inputs
}

const ADDRESS_PARTS: [&str; 3] = ["voie", "code_postal", "commune"];

/// `depth` bounds the chain of conditions, so that a form that turns in circles asks nothing instead of hanging.
fn is_asked(form: &Form, field: &Field, raw: &RawAnswers, depth: usize) -> bool {
    let Some(condition) = &field.condition else { return true };
    let Some(parent) = form.field(&condition.field) else { return false };
    depth > 0 && is_asked(form, parent, raw, depth - 1) && holds(condition, parent, raw)
}

fn holds(condition: &Condition, parent: &Field, raw: &RawAnswers) -> bool {
    let listed = |value: &str| condition.values.iter().any(|listed| listed == value);
    let any = match &parent.kind {
        FieldKind::Checkbox => listed(if ticked(raw, parent) { "oui" } else { "non" }),
        FieldKind::Choices { .. } => values(raw, &parent.id).iter().any(|value| listed(value.trim())),
        _ => listed(raw.first(&parent.id).trim()),
    };
    any == condition.equal
}

type Mistakes = Vec<FieldError>;

fn answer(field: &Field, raw: &RawAnswers, today: Date) -> Result<Option<AnswerValue>, Mistakes> {
    let typed = match &field.kind {
        FieldKind::Information { .. } => return Ok(None),
        FieldKind::Address => return address(field, raw),
        FieldKind::File { formats, max_count, max_bytes } => return files(field, raw, formats, *max_count, *max_bytes),
        FieldKind::Checkbox => {
            return match (ticked(raw, field), field.required) {
                (true, _) => Ok(Some(AnswerValue::Text("Oui".into()))),
                (false, false) => Ok(None),
                (false, true) => Err(mistake(&field.id, missing(field))),
            };
        }
        FieldKind::Choices { choices } => return several(field, choices, raw),
        FieldKind::LongText { .. } => lines(raw.first(&field.id)),
        _ => one_line(raw.first(&field.id)),
    };
    if typed.is_empty() {
        return if field.required { Err(mistake(&field.id, missing(field))) } else { Ok(None) };
    }
    typed_answer(field, &typed, today).map(Some).map_err(|message| mistake(&field.id, message))
}

/// Reads a single typed answer by its kind; `typed` is clean and not empty.
fn typed_answer(field: &Field, typed: &str, today: Date) -> Result<AnswerValue, String> {
    let text = match &field.kind {
        FieldKind::Text { max } | FieldKind::LongText { max } => bounded(typed, *max as usize)?,
        FieldKind::Place { .. } => bounded(typed, MAX_PLACE)?,
        FieldKind::Email => email(typed)?,
        FieldKind::Telephone => personal_telephone(&visible(typed)).ok_or(
            "Vérifiez le numéro de téléphone : dix chiffres, ou le signe + et l'indicatif du pays. Exemple : 02 99 00 12 34",
        )?,
        FieldKind::Number { min, max } => number(typed, *min, *max)?,
        FieldKind::Date => long_date(date(typed, today)?),
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
        FieldKind::Choices { .. }
        | FieldKind::Checkbox
        | FieldKind::Address
        | FieldKind::File { .. }
        | FieldKind::Information { .. } => return Err("Répondez à cette question".into()),
    };
    Ok(AnswerValue::Text(text))
}

fn several(field: &Field, choices: &[Choice], raw: &RawAnswers) -> Result<Option<AnswerValue>, Mistakes> {
    let given: Vec<&str> =
        values(raw, &field.id).iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect();
    if given.iter().any(|value| !choices.iter().any(|choice| choice.value == *value)) {
        return Err(mistake(&field.id, "Choisissez parmi les réponses proposées".into()));
    }
    let labels: Vec<String> = chosen(choices, values(raw, &field.id)).map(|choice| choice.label.clone()).collect();
    match (labels.is_empty(), field.required) {
        (false, _) => Ok(Some(AnswerValue::Choices(labels))),
        (true, false) => Ok(None),
        (true, true) => Err(mistake(&field.id, missing(field))),
    }
}

fn address(field: &Field, raw: &RawAnswers) -> Result<Option<AnswerValue>, Mistakes> {
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
        return Err(mistakes);
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

fn files(
    field: &Field,
    raw: &RawAnswers,
    formats: &[FileFormat],
    max_count: u8,
    max_bytes: u64,
) -> Result<Option<AnswerValue>, Mistakes> {
    let files = raw.files.get(&field.id).map_or(&[] as &[StoredFile], Vec::as_slice);
    if files.is_empty() {
        return if field.required { Err(mistake(&field.id, missing(field))) } else { Ok(None) };
    }
    let mut mistakes = Vec::new();
    if files.len() > usize::from(max_count) {
        let most = plural(u64::from(max_count), "fichier", "fichiers");
        mistakes.extend(mistake(&field.id, format!("Gardez {most} au plus : vous en avez joint {}", files.len())));
    }
    for file in files {
        let name = &file.name;
        if file.size == 0 {
            mistakes.extend(mistake(&field.id, format!("Choisissez un autre fichier que « {name} » : il est vide")));
        } else if file.size > max_bytes {
            let (size, most) = (file_size(file.size), file_size(max_bytes));
            mistakes
                .extend(mistake(&field.id, format!("Réduisez « {name} » : il pèse {size}, la limite est de {most}")));
        }
        if !formats.iter().any(|format| media_type(*format) == file.media_type) {
            let accepted = format_words(formats);
            mistakes.extend(mistake(&field.id, format!("Remplacez « {name} » : les formats acceptés sont {accepted}")));
        }
    }
    if mistakes.is_empty() { Ok(Some(AnswerValue::Files(files.to_vec()))) } else { Err(mistakes) }
}

/// The media type that a format is recognised by.
fn media_type(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Pdf => "application/pdf",
        FileFormat::Jpg => "image/jpeg",
        FileFormat::Png => "image/png",
    }
}

/// « PDF », « PDF et JPEG », « PDF, JPEG et PNG ».
pub fn format_words(formats: &[FileFormat]) -> String {
    let names: Vec<&str> = formats
        .iter()
        .map(|format| match format {
            FileFormat::Pdf => "PDF",
            FileFormat::Jpg => "JPEG",
            FileFormat::Png => "PNG",
        })
        .collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} et {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn bounded(typed: &str, max: usize) -> Result<String, String> {
    if typed.chars().any(is_refused) {
        return Err(
            "Retapez cette réponse : elle contient un signe invisible, venu sans doute d'un copier-coller".into()
        );
    }
    let length = typed.chars().count();
    if length > max {
        let extra = plural((length - max) as u64, "caractère", "caractères");
        return Err(format!("Raccourcissez cette réponse : {extra} de trop ({max} au plus)"));
    }
    Ok(typed.to_owned())
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

/// A date between 1850 and a hundred years from today: the others are slips of the finger.
fn date(typed: &str, today: Date) -> Result<Date, String> {
    let date = parse_date(&visible(typed)).map_err(|error| match error {
        ParseDateError::Shape => {
            format!("Écrivez la date avec le jour, le mois et l'année. Exemple : {}", figures(today))
        }
        ParseDateError::Impossible => "Vérifiez la date : ce jour n'existe pas dans le calendrier".into(),
    })?;
    if date.year() < 1850 || date > today.saturating_add(100.years()) {
        return Err("Vérifiez l'année de la date".into());
    }
    Ok(date)
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

/// An address that any mail server understands: dot-atom, at most 254 characters, a domain with a dot.
///
/// Source: RFC 5321 and 5322, without quoted local parts, literals nor non-ASCII addresses. The domain comes back in lower
/// case.
pub fn email(typed: &str) -> Result<String, String> {
    const EXAMPLE: &str = "Exemple : nom@exemple.fr";
    let typed = visible(typed);
    if typed.chars().any(char::is_whitespace) {
        return Err(format!("Écrivez l'adresse électronique sans espace. {EXAMPLE}"));
    }
    if !typed.is_ascii() {
        return Err(format!("Écrivez l'adresse électronique sans accent. {EXAMPLE}"));
    }
    let Some((local, domain)) = typed.rsplit_once('@') else {
        return Err(format!("Ajoutez le signe @ et ce qui le suit dans l'adresse électronique. {EXAMPLE}"));
    };
    let domain = domain.to_ascii_lowercase();
    let dotted = domain.replace(',', ".");
    let right = known_slip(&dotted).map(str::to_owned).or_else(|| (dotted != domain).then_some(dotted));
    let local_good = is_local_part(local);
    if let Some(right) = right.filter(|right| local_good && is_domain(right)) {
        return Err(format!("Vérifiez la fin de l'adresse électronique : est-ce {local}@{right} ?"));
    }
    if !local_good || !is_domain(&domain) || typed.len() > MAX_EMAIL {
        return Err(format!("Vérifiez l'adresse électronique. {EXAMPLE}"));
    }
    Ok(format!("{local}@{domain}"))
}

fn is_local_part(local: &str) -> bool {
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
    local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = domain.rsplit('.').next().unwrap_or("");
    let top_good = top.len() >= 2 && (top.bytes().all(|byte| byte.is_ascii_alphabetic()) || top.starts_with("xn--"));
    domain.contains('.') && top_good && domain.split('.').all(label)
}

/// The domain that was meant, for slips that no one's real address ends with.
///
/// Near misses that do exist (`ymail.com`, `laposte.fr`) are left alone: no one must be locked out.
fn known_slip(domain: &str) -> Option<&'static str> {
    Some(match domain {
        "gmial.com" | "gmai.com" | "gmal.com" | "gamil.com" | "gmaill.com" | "gmail.con" | "gmail.co" | "gmail.cm"
        | "gmail.comm" | "gmail.om" | "gmail.fr" | "gnail.com" | "gmail" => "gmail.com",
        "hotmial.com" | "hotmal.com" | "hotmai.com" | "hotmail.con" | "hotmail.co" | "homail.com" | "hotmail.comm" => {
            "hotmail.com"
        }
        "hotmial.fr" | "hotmal.fr" | "hotmai.fr" | "homail.fr" | "hotmail.ff" | "hotmail" => "hotmail.fr",
        "oragne.fr" | "ornage.fr" | "orange.ff" | "orange.frr" | "ornge.fr" | "orang.fr" | "orange" => "orange.fr",
        "wanadou.fr" | "wanado.fr" | "wandoo.fr" | "wanadoo.ff" | "wanadoo.frr" | "wanadoo" => "wanadoo.fr",
        "yaho.fr" | "yahou.fr" | "yahoo.ff" | "yahoo.frr" => "yahoo.fr",
        "yaho.com" | "yahoo.con" | "yahoo.comm" => "yahoo.com",
        "laposte.ne" | "laposte.nett" | "lapost.net" | "lapsote.net" | "laposte" => "laposte.net",
        "outlok.fr" | "outloook.fr" | "outlook.ff" => "outlook.fr",
        "outlok.com" | "outloook.com" | "outlook.con" => "outlook.com",
        "icloud.con" | "iclould.com" | "iclod.com" => "icloud.com",
        "free.ff" | "free.frr" | "freee.fr" => "free.fr",
        "sfr.ff" | "sfr.frr" => "sfr.fr",
        _ => return None,
    })
}

fn values<'r>(raw: &'r RawAnswers, name: &str) -> &'r [String] {
    raw.values.get(name).map_or(&[], Vec::as_slice)
}

/// The choices whose value was given, once each, in the form's order.
fn chosen<'c>(choices: &'c [Choice], given: &[String]) -> impl Iterator<Item = &'c Choice> {
    let given: BTreeSet<String> = given.iter().map(|value| value.trim().to_owned()).collect();
    choices.iter().filter(move |choice| given.contains(&choice.value))
}

fn ticked(raw: &RawAnswers, field: &Field) -> bool {
    matches!(raw.first(&field.id).trim(), "oui" | "on" | "1" | "true")
}

/// Text on one line, its accents composed: every run of spaces and line ends becomes one plain space.
fn one_line(typed: &str) -> String {
    let words: Vec<&str> = typed.split(is_blank).filter(|word| !word.is_empty()).collect();
    words.join(" ").trim().nfc().collect()
}

/// Text on several lines, its accents composed: line ends become `\n`, tabs become spaces, ends of lines and of the text are trimmed.
fn lines(typed: &str) -> String {
    let unified = typed.replace("\r\n", "\n").replace(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
    let lines: Vec<String> = unified
        .split('\n')
        .map(|line| line.replace('\t', "    ").replace('\u{feff}', "").trim_end().to_owned())
        .collect();
    lines.join("\n").trim().nfc().collect()
}

/// Spaces of every kind but those that tie French words, and the invisible ones that only editors leave.
fn is_blank(letter: char) -> bool {
    letter == '\u{feff}' || letter.is_whitespace() && !matches!(letter, '\u{a0}' | '\u{202f}')
}

/// What stands for something to the eye: marks of direction and zero-width signs, which telephones put around copied numbers,
/// are dropped.
fn visible(typed: &str) -> String {
    let kept: String = typed
        .chars()
        .filter(|letter| !is_direction(*letter) && !matches!(letter, '\u{200b}'..='\u{200d}' | '\u{2060}'))
        .collect();
    kept.trim().to_owned()
}

/// Signs that would let a text show otherwise than it is, or break what reads it.
fn is_refused(letter: char) -> bool {
    letter != '\n' && letter.is_control() || is_direction(letter)
}

fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn mistake(input: &str, message: String) -> Mistakes {
    vec![FieldError { input: input.to_owned(), message: french(&message).into_owned() }]
}

/// What to do about a question left blank.
fn missing(field: &Field) -> String {
    let known = match field.id.as_str() {
        IDENTITY_FIELD => Some("Dites au nom de qui vous écrivez"),
        "prenom" => Some("Indiquez votre prénom"),
        "nom" => Some("Indiquez votre nom"),
        "association" => Some("Indiquez le nom de l'association"),
        "rna" => Some("Indiquez le numéro RNA de l'association"),
        "entreprise" => Some("Indiquez le nom de l'entreprise"),
        "siret" => Some("Indiquez le numéro SIRET"),
        "courriel" => Some("Indiquez votre adresse électronique"),
        "telephone" => Some("Indiquez votre numéro de téléphone"),
        _ => None,
    };
    if let Some(known) = known {
        return known.to_owned();
    }
    let question = field.question.trim();
    match field.kind {
        FieldKind::Choice { .. } | FieldKind::YesNo => format!("Choisissez une réponse à « {question} »"),
        FieldKind::Choices { .. } => format!("Choisissez au moins une réponse à « {question} »"),
        FieldKind::Checkbox => format!("Cochez la case « {question} » pour continuer"),
        FieldKind::File { .. } => format!("Joignez un fichier pour « {question} »"),
        _ => format!("Répondez à « {question} »"),
    }
}

fn sender(answers: &[Answer], capacity: &str) -> Sender {
    let text = |id: &str| {
        answers.iter().find(|answer| answer.field == id).and_then(|answer| match &answer.value {
            AnswerValue::Text(text) => Some(text.as_str()),
            _ => None,
        })
    };
    let organisation = text("association").or_else(|| text("entreprise"));
    let person = [text("prenom"), text("nom")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let name = match organisation {
        Some(organisation) if capacity != "personne" => organisation.to_owned(),
        _ => person,
    };
    Sender { name, email: text("courriel").map(str::to_owned) }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::model::form::{Identity, Nature, Silence};
    use crate::model::receipt::tests::form as bare_form;

    const TODAY: Date = date(2026, 11, 21);

    fn field(id: &str, kind: FieldKind, required: bool) -> Field {
        Field {
            id: id.into(),
            kind,
            question: format!("Question {id}"),
            help: None,
            required,
            step: Some("Votre demande".into()),
            condition: None,
            autocomplete: None,
        }
    }

    fn choices(values: &[&str]) -> Vec<Choice> {
        values.iter().map(|value| Choice { value: (*value).into(), label: value.to_uppercase(), help: None }).collect()
    }

    fn on(mut field: Field, parent: &str, equal: bool, values: &[&str]) -> Field {
        field.condition = Some(Condition {
            field: parent.into(),
            equal,
            values: values.iter().map(|value| (*value).into()).collect(),
        });
        field
    }

    /// A form with a question of every kind, and conditions.
    pub(crate) fn every_kind(required: bool) -> Form {
        let mut form = bare_form(Nature::Demande, Identity::All, Silence::Inconnu);
        let file =
            FieldKind::File { formats: vec![FileFormat::Pdf, FileFormat::Jpg], max_count: 2, max_bytes: 5 << 20 };
        let fields = vec![
            field("objet", FieldKind::Text { max: 20 }, required),
            field("message", FieldKind::LongText { max: 60 }, required),
            field("mel", FieldKind::Email, required),
            field("tel", FieldKind::Telephone, required),
            field("nombre", FieldKind::Number { min: Some(1), max: Some(300) }, required),
            field("date", FieldKind::Date, required),
            field("heure", FieldKind::Time, required),
            field("danger", FieldKind::YesNo, required),
            on(
                field("appel", FieldKind::Information { html: "<p>Appelez</p>".into() }, false),
                "danger",
                true,
                &["oui"],
            ),
            field("categorie", FieldKind::Choice { choices: choices(&["voirie", "eclairage", "autre"]) }, required),
            on(field("lampe", FieldKind::Text { max: 20 }, required), "categorie", true, &["eclairage"]),
            on(field("precision", FieldKind::Text { max: 20 }, required), "categorie", false, &["voirie", "eclairage"]),
            on(field("profonde", FieldKind::Text { max: 20 }, required), "lampe", false, &["rien"]),
            field("jours", FieldKind::Choices { choices: choices(&["lundi", "mardi", "jeudi"]) }, required),
            on(field("pourquoi_mardi", FieldKind::Text { max: 20 }, required), "jours", true, &["mardi"]),
            field("reglement", FieldKind::Checkbox, required),
            field("chantier", FieldKind::Address, required),
            field("lieu", FieldKind::Place { suggestions: vec!["Le Bourg".into()] }, required),
            field("pieces", file, required),
        ];
        form.fields = fields.into_iter().chain(Identity::All.fields()).collect();
        form
    }

    fn raw(pairs: &[(&str, &str)]) -> RawAnswers {
        let mut raw = RawAnswers::default();
        for (name, value) in pairs {
            raw.values.entry((*name).to_owned()).or_default().push((*value).to_owned());
        }
        raw
    }

    fn stored(name: &str, media_type: &str, size: u64) -> StoredFile {
        StoredFile { id: "0".repeat(32), name: name.into(), media_type: media_type.into(), size, hash: "0".repeat(64) }
    }

    /// Answers of a resident that are all right.
    pub(crate) fn good() -> RawAnswers {
        let mut raw = raw(&[
            ("objet", "  Une  benne e\u{301} "),
            ("message", "Bonjour,\r\n\r\nje voudrais…\t\r\n"),
            ("mel", "Jeanne.Martin@Exemple.FR"),
            ("tel", "0612345678"),
            ("nombre", "1 2"),
            ("date", "05/12/2026"),
            ("heure", "14h30"),
            ("danger", "non"),
            ("categorie", "eclairage"),
            ("lampe", "B 12"),
            ("profonde", "x"),
            ("precision", "ignorée"),
            ("jours", "jeudi"),
            ("jours", "lundi"),
            ("reglement", "on"),
            ("chantier.voie", "3, rue du Four"),
            ("chantier.code_postal", "53 999"),
            ("chantier.commune", "Saint-Mulot"),
            ("lieu", "Le Bourg"),
            ("qualite", "association"),
            ("association", "Les Amis du tilleul"),
            ("rna", "w 53 1234567".trim()),
            ("prenom", "Jeanne"),
            ("nom", "Martin"),
            ("adresse.voie", "Grand-Place 1"),
            ("adresse.code_postal", "1000"),
            ("adresse.commune", "Bruxelles, Belgique"),
            ("courriel", "jeanne@exemple.fr"),
            ("inconnu", "ignoré"),
        ]);
        raw.files.insert("pieces".into(), vec![stored("plan.pdf", "application/pdf", 1_258_291)]);
        raw
    }

    fn said(form: &Form, raw: &RawAnswers) -> BTreeMap<String, String> {
        let errors = answers(form, raw, TODAY).expect_err("something is wrong");
        errors.into_iter().map(|error| (error.input, error.message.replace(['\u{a0}', '\u{202f}'], " "))).collect()
    }

    #[test]
    fn good_answers_come_back_clean_and_in_order() {
        let valid = answers(&every_kind(true), &good(), TODAY).expect("all is right");
        let value =
            |id: &str| valid.answers.iter().find(|answer| answer.field == id).map(|answer| answer.value.clone());
        let text = |text: &str| Some(AnswerValue::Text(text.into()));
        assert_eq!(value("objet"), text("Une benne é"));
        assert_eq!(value("message"), text("Bonjour,\n\nje voudrais…"));
        assert_eq!(value("mel"), text("Jeanne.Martin@exemple.fr"));
        assert_eq!(value("tel"), text("06\u{a0}12\u{a0}34\u{a0}56\u{a0}78"));
        assert_eq!(value("nombre"), text("12"));
        assert_eq!(value("date"), text("samedi 5 décembre 2026"));
        assert_eq!(value("heure"), text("14\u{a0}h\u{a0}30"));
        assert_eq!(value("danger"), text("Non"));
        assert_eq!(value("categorie"), Some(AnswerValue::Choices(vec!["ECLAIRAGE".into()])));
        assert_eq!(value("lampe"), text("B 12"));
        assert_eq!(value("precision"), None);
        assert_eq!(value("profonde"), text("x"));
        assert_eq!(value("jours"), Some(AnswerValue::Choices(vec!["LUNDI".into(), "JEUDI".into()])));
        assert_eq!(value("pourquoi_mardi"), None);
        assert_eq!(value("reglement"), text("Oui"));
        assert_eq!(value("rna"), text("W531234567"));
        assert_eq!(
            value("chantier"),
            Some(AnswerValue::Address(vec!["3, rue du Four".into(), "53999 Saint-Mulot".into()]))
        );
        assert_eq!(
            value("adresse"),
            Some(AnswerValue::Address(vec!["Grand-Place 1".into(), "1000 Bruxelles, Belgique".into()]))
        );
        assert_eq!(
            valid.sender,
            Sender { name: "Les Amis du tilleul".into(), email: Some("jeanne@exemple.fr".into()) }
        );
        let order: Vec<&str> = valid.answers.iter().map(|answer| answer.field.as_str()).collect();
        assert_eq!(order[..3], ["objet", "message", "mel"]);
    }

    #[test]
    fn blanks_are_told_all_at_once_and_say_what_to_do() {
        let said = said(&every_kind(true), &RawAnswers::default());
        for (input, message) in [
            ("objet", "Répondez à « Question objet »"),
            ("danger", "Choisissez une réponse à « Question danger »"),
            ("jours", "Choisissez au moins une réponse à « Question jours »"),
            ("reglement", "Cochez la case « Question reglement » pour continuer"),
            ("pieces", "Joignez un fichier pour « Question pieces »"),
            ("chantier.voie", "Indiquez le numéro et la rue, ou le lieu-dit"),
            ("adresse.code_postal", "Indiquez le code postal"),
            ("nom", "Indiquez votre nom"),
            ("courriel", "Indiquez votre adresse électronique"),
            ("qualite", "Dites au nom de qui vous écrivez"),
        ] {
            assert_eq!(said.get(input).map(String::as_str), Some(message));
        }
        assert!(!said.contains_key("lampe") && !said.contains_key("association") && !said.contains_key("telephone"));
    }

    #[test]
    fn nothing_is_required_of_an_optional_form_but_the_identity() {
        let said = said(&every_kind(false), &RawAnswers::default());
        assert!(
            said.keys().all(|input| ["qualite", "prenom", "nom", "courriel"].contains(&input.as_str())
                || input.starts_with("adresse.")),
            "{said:?}"
        );
        let identity = raw(&[
            ("qualite", "personne"),
            ("association", "Restée d'avant"),
            ("prenom", "Jeanne"),
            ("nom", "Martin"),
            ("adresse.voie", "3, rue du Four"),
            ("adresse.code_postal", "53999"),
            ("adresse.commune", "Saint-Mulot"),
            ("courriel", "jeanne@exemple.fr"),
        ]);
        let valid = answers(&every_kind(false), &identity, TODAY).expect("enough");
        assert_eq!(valid.sender.name, "Jeanne Martin");
        // An unanswered choice is none of those excluded: the question that depends on it is asked, not required here.
        assert!(valid.answers.iter().all(|answer| answer.field != "association"));
    }

    #[test]
    fn each_mistake_says_what_to_do() {
        let form = every_kind(true);
        for (input, typed, message) in [
            ("objet", "x".repeat(32), "Raccourcissez cette réponse : 12 caractères de trop (20 au plus)"),
            ("objet", "x".repeat(21), "Raccourcissez cette réponse : 1 caractère de trop (20 au plus)"),
            (
                "objet",
                "a\0b".into(),
                "Retapez cette réponse : elle contient un signe invisible, venu sans doute d’un copier-coller",
            ),
            (
                "objet",
                "a\u{202e}b".into(),
                "Retapez cette réponse : elle contient un signe invisible, venu sans doute d’un copier-coller",
            ),
            (
                "mel",
                "jeanne".into(),
                "Ajoutez le signe @ et ce qui le suit dans l’adresse électronique. Exemple : nom@exemple.fr",
            ),
            ("mel", "jeanne@gmial.com".into(), "Vérifiez la fin de l’adresse électronique : est-ce jeanne@gmail.com ?"),
            (
                "mel",
                "jeanne@exemple,fr".into(),
                "Vérifiez la fin de l’adresse électronique : est-ce jeanne@exemple.fr ?",
            ),
            (
                "mel",
                "jeanne @exemple.fr".into(),
                "Écrivez l’adresse électronique sans espace. Exemple : nom@exemple.fr",
            ),
            ("mel", "jérôme@exemple.fr".into(), "Écrivez l’adresse électronique sans accent. Exemple : nom@exemple.fr"),
            (
                "tel",
                "12345".into(),
                "Vérifiez le numéro de téléphone : dix chiffres, ou le signe + et l’indicatif du pays. Exemple : 02 99 00 12 34",
            ),
            ("nombre", "301".into(), "Indiquez un nombre entre 1 et 300"),
            ("nombre", "douze".into(), "Écrivez un nombre entier, en chiffres"),
            ("nombre", "99999999999999999999".into(), "Indiquez un nombre entre 1 et 300"),
            ("date", "31/02/2026".into(), "Vérifiez la date : ce jour n’existe pas dans le calendrier"),
            ("date", "demain".into(), "Écrivez la date avec le jour, le mois et l’année. Exemple : 21/11/2026"),
            ("date", "05/12/0026".into(), "Vérifiez l’année de la date"),
            ("heure", "midi".into(), "Écrivez l’heure comme ceci : 14 h 30"),
            ("categorie", "pirate".into(), "Choisissez une des réponses proposées"),
            ("jours", "pirate".into(), "Choisissez parmi les réponses proposées"),
            (
                "chantier.code_postal",
                "3500".into(),
                "Écrivez les cinq chiffres du code postal. Pour une adresse à l’étranger, ajoutez le pays après la ville : « Bruxelles, Belgique »",
            ),
        ] {
            let mut raw = good();
            raw.values.insert(input.into(), vec![typed.clone()]);
            let said = said(&form, &raw);
            assert_eq!(said.get(input).map(String::as_str), Some(message), "{typed:?}");
            assert_eq!(said.keys().filter(|other| *other != "precision").count(), 1, "{said:?}");
        }
    }

    #[test]
    fn files_are_judged_by_number_size_and_content() {
        let form = every_kind(true);
        let with = |files: Vec<StoredFile>| {
            let mut raw = good();
            raw.files.insert("pieces".into(), files);
            answers(&form, &raw, TODAY)
                .err()
                .unwrap_or_default()
                .into_iter()
                .map(|error| error.message.replace(['\u{a0}', '\u{202f}'], " "))
                .collect::<Vec<_>>()
        };
        let pdf = || stored("plan.pdf", "application/pdf", 1_000);
        assert_eq!(with(vec![pdf(), pdf()]), Vec::<String>::new());
        assert_eq!(with(vec![pdf(), pdf(), pdf()]), ["Gardez 2 fichiers au plus : vous en avez joint 3"]);
        assert_eq!(
            with(vec![stored("gros.pdf", "application/pdf", 8 << 20)]),
            ["Réduisez « gros.pdf » : il pèse 8 Mo, la limite est de 5 Mo"]
        );
        assert_eq!(
            with(vec![stored("a.docx", "application/zip", 9)]),
            ["Remplacez « a.docx » : les formats acceptés sont PDF et JPEG"]
        );
        assert_eq!(
            with(vec![stored("vide.pdf", "application/pdf", 0)]),
            ["Choisissez un autre fichier que « vide.pdf » : il est vide"]
        );
    }

    #[test]
    fn addresses_that_work_are_accepted_and_others_are_not() {
        for good in [
            "a@b.fr",
            "prenom.nom+mairie@sous.domaine.example",
            "o'neil@exemple.fr",
            "x@ymail.com",
            "a@laposte.fr",
            "\u{202a}a@b.fr\u{202c}",
        ] {
            assert!(email(good).is_ok(), "{good}");
        }
        let long = format!("{}@{}.fr", "a".repeat(64), "b.".repeat(100) + &"c".repeat(20));
        for bad in [
            "a@b",
            "@b.fr",
            "a@",
            "a@@b.fr",
            "a..b@c.fr",
            ".a@b.fr",
            "a.@b.fr",
            "a@-b.fr",
            "a@b-.fr",
            "a@b..fr",
            "a@b.f",
            "a@[127.0.0.1]",
            "a@b.fr\r\nBcc: c@d.fr",
            "\"a b\"@c.fr",
            "a@b.fr,c@d.fr",
            "a@b.fr;c@d.fr",
            "<a@b.fr>",
            "a@b.123",
            "",
            &long,
        ] {
            assert!(email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn conditions_that_turn_in_circles_ask_nothing() {
        let mut form = every_kind(false);
        form.fields.push(on(field("a", FieldKind::YesNo, true), "b", true, &["oui"]));
        form.fields.push(on(field("b", FieldKind::YesNo, true), "a", true, &["oui"]));
        let raw = raw(&[("a", "oui"), ("b", "oui")]);
        assert!(asked(&form, &raw).iter().all(|field| field.id != "a" && field.id != "b"));
    }

    fn typed() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => ".{0,30}",
            2 => "(?s)[a-z0-9é@. \r\n\t\u{0}\u{a0}\u{202e}\u{200b}/:+-]{0,30}",
            4 => prop::sample::select(vec![
                "oui", "non", "on", "voirie", "eclairage", "autre", "lundi", "mardi", "personne", "association", "entreprise",
                "05/12/2026", "2026-12-05", "14:30", "9 h", "0612345678", "+44 20 7946 0958", "12", "-3", "53999", "1000",
                "Bruxelles, Belgique", "a@b.fr", "W531234567", "73282932000074", "deux\r\nlignes", " \u{a0} ", "",
            ]).prop_map(str::to_owned),
        ]
    }

    fn any_raw() -> impl Strategy<Value = RawAnswers> {
        let names: Vec<String> = every_kind(true)
            .fields
            .iter()
            .flat_map(|field| match field.kind {
                FieldKind::Address => ADDRESS_PARTS.iter().map(|part| format!("{}.{part}", field.id)).collect(),
                _ => vec![field.id.clone()],
            })
            .collect();
        let size = names.len();
        (prop::collection::vec(prop::collection::vec(typed(), 0..3), size), any::<bool>()).prop_map(
            move |(values, start_good)| {
                let mut raw = if start_good { good() } else { RawAnswers::default() };
                for (name, values) in names.iter().zip(values) {
                    // From good answers, one input in three is replaced.
                    if !start_good || values.len() == 2 {
                        raw.values.insert(name.clone(), values);
                    }
                }
                raw
            },
        )
    }

    /// What a browser posts of hidden inputs: line ends become CR LF.
    fn reposted(form: &Form, before: &RawAnswers) -> RawAnswers {
        let mut raw = RawAnswers { files: before.files.clone(), ..RawAnswers::default() };
        for (name, value) in raw_inputs(form, before) {
            raw.values.entry(name).or_default().push(value.replace('\n', "\r\n"));
        }
        raw
    }

    proptest! {
        #[test]
        fn whatever_is_posted_is_judged(raw in any_raw(), required: bool) {
            let form = every_kind(required);
            match answers(&form, &raw, TODAY) {
                Ok(valid) => {
                    for answer in &valid.answers {
                        let texts = match &answer.value {
                            AnswerValue::Text(text) => vec![text.clone()],
                            AnswerValue::Choices(lines) | AnswerValue::Address(lines) => lines.clone(),
                            AnswerValue::Files(_) => vec![],
                        };
                        let long = matches!(form.field(&answer.field).map(|field| &field.kind), Some(FieldKind::LongText { .. }));
                        for text in texts {
                            prop_assert!(!text.trim().is_empty());
                            prop_assert!(text.chars().all(|letter| !is_refused(letter)));
                            prop_assert!(long || !text.contains('\n'));
                        }
                    }
                }
                Err(errors) => {
                    prop_assert!(!errors.is_empty());
                    for error in errors {
                        prop_assert!(!error.message.is_empty() && !error.message.contains("euillez"));
                        let id = error.input.split('.').next().unwrap_or("");
                        prop_assert!(form.field(id).is_some());
                    }
                }
            }
        }

        #[test]
        fn the_check_page_posts_the_same_answers_again(raw in any_raw()) {
            let form = every_kind(false);
            let first = answers(&form, &raw, TODAY);
            let again = answers(&form, &reposted(&form, &raw), TODAY);
            if let Ok(first) = first {
                prop_assert_eq!(Ok(first), again);
            }
        }

        #[test]
        fn the_check_page_of_good_answers_posts_them_again(extra in typed()) {
            let form = every_kind(true);
            let mut raw = good();
            raw.values.insert("message".into(), vec![extra]);
            let first = answers(&form, &raw, TODAY);
            prop_assume!(first.is_ok());
            prop_assert_eq!(first, answers(&form, &reposted(&form, &raw), TODAY));
        }
    }
}
