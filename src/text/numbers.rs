//! Telephone numbers, identifiers, sizes and counts as the French write them.

/// The number to dial behind a `tel:` link, from a number as people write it.
///
/// Shape: `02 99 00 12 34` → `+33299001234`; overseas numbers take their own country code (`0590 12 34 56` →
/// `+590590123456`); an international number keeps its own; short numbers (`15`, `112`, `3919`, `116 117`) stay as they are.
/// What follows the number (« ou », « répondeur ») is left aside. `None` when no number can be read.
pub fn telephone_link(written: &str) -> Option<String> {
    Some(match telephone(written)? {
        Telephone::Short(digits) => digits,
        Telephone::International(digits) => format!("+{digits}"),
        Telephone::National(digits) => format!("+{}{}", country_code(&digits), significant(&digits)),
    })
}

/// A number as it is read: French numbers in pairs (`02 99 00 12 34`, no-break spaces), others as they were written.
pub fn telephone_display(written: &str) -> String {
    let trimmed = written.trim();
    match telephone(trimmed) {
        Some(Telephone::National(digits)) if !trimmed.chars().any(char::is_alphabetic) => pairs(&digits),
        Some(Telephone::Short(digits)) if digits.len() == 6 => format!("{}\u{a0}{}", &digits[..3], &digits[3..]),
        _ => trimmed.replace(' ', "\u{a0}"),
    }
}

/// A telephone number of a person: French (ten digits, or `+33` and nine), overseas or foreign (`+` and 7 to 15 digits).
///
/// Gives the written form: pairs for a French number, `+` and groups otherwise. `None` when it cannot be dialled from
/// elsewhere (short numbers included) or holds anything but figures and separators.
pub fn personal_telephone(written: &str) -> Option<String> {
    if written.chars().any(|letter| !(letter.is_ascii_digit() || is_separator(letter) || letter == '+')) {
        return None;
    }
    match telephone(written)? {
        Telephone::National(digits) => Some(pairs(&digits)),
        Telephone::International(digits) => Some(format!("+{digits}")),
        Telephone::Short(_) => None,
    }
}

enum Telephone {
    /// `0` and nine digits (`0508` and six for Saint-Pierre-et-Miquelon).
    National(String),
    /// Country code and number, without the sign.
    International(String),
    /// Two to four digits, or six starting with 11.
    Short(String),
}

/// Source: French numbering plan (ten digits, `0` first; 15, 17, 18, 112, 114, 116 117, 3919…) and ITU-T E.164 (15 digits at
/// most).
fn telephone(written: &str) -> Option<Telephone> {
    let written = written.trim().replacen("(0)", "", 1);
    let plus = written.starts_with('+') || written.starts_with("00");
    let digits: String = written
        .trim_start_matches('+')
        .chars()
        .take_while(|letter| letter.is_ascii_digit() || is_separator(*letter))
        .filter(char::is_ascii_digit)
        .collect();
    if plus {
        let digits = digits.strip_prefix("00").unwrap_or(&digits);
        return match digits.strip_prefix("33") {
            Some(rest) => {
                let rest = rest.strip_prefix('0').unwrap_or(rest);
                (rest.len() == 9 && !rest.starts_with('0')).then(|| Telephone::National(format!("0{rest}")))
            }
            None => ((7..=15).contains(&digits.len()) && !digits.starts_with('0'))
                .then(|| Telephone::International(digits.to_owned())),
        };
    }
    match digits.len() {
        10 if digits.starts_with('0') && !digits.starts_with("00") => Some(Telephone::National(digits)),
        2..=4 if !digits.starts_with('0') => Some(Telephone::Short(digits)),
        6 if digits.starts_with("11") => Some(Telephone::Short(digits)),
        _ => None,
    }
}

/// The country code of a national number.
///
/// Source: ITU country codes. `06 39 98` is the range kept for fiction in metropolitan France, the rest of `0639` is
/// Mayotte's.
fn country_code(digits: &str) -> &'static str {
    if digits.starts_with("063998") {
        return "33";
    }
    match &digits[..4] {
        "0590" | "0690" | "0691" => "590",
        "0594" | "0694" => "594",
        "0596" | "0696" | "0697" => "596",
        "0262" | "0263" | "0269" | "0639" | "0692" | "0693" => "262",
        "0508" => "508",
        _ => "33",
    }
}

/// The digits after the country code: Saint-Pierre-et-Miquelon has six, the others nine.
fn significant(digits: &str) -> &str {
    digits.strip_prefix("0508").unwrap_or(&digits[1..])
}

fn is_separator(letter: char) -> bool {
    matches!(letter, ' ' | '\u{a0}' | '\u{202f}' | '.' | '-' | '/' | '(' | ')')
}

fn pairs(digits: &str) -> String {
    let pairs: Vec<&str> = (0..digits.len()).step_by(2).map(|at| &digits[at..(at + 2).min(digits.len())]).collect();
    pairs.join("\u{a0}")
}

/// A size as computers show it in France, 1 ko being 1 024 bytes: `512 octets`, `48 ko`, `1,2 Mo`, `7 Mo`, `1,4 Go`.
///
/// The limits of forms are written in the same unit, so that a limit and a size can be compared by eye.
pub fn file_size(bytes: u64) -> String {
    const KO: u64 = 1 << 10;
    const MO: u64 = 1 << 20;
    const GO: u64 = 1 << 30;
    match bytes {
        0..=1 => format!("{bytes}\u{a0}octet"),
        2..KO => format!("{bytes}\u{a0}octets"),
        // What would be rounded to 1 024 goes to the next unit.
        KO.. if bytes < MO - KO / 2 => format!("{}\u{a0}ko", (bytes + KO / 2) / KO),
        _ if bytes < GO - MO / 20 => format!("{}\u{a0}Mo", tenths(bytes, MO)),
        _ => format!("{}\u{a0}Go", tenths(bytes, GO)),
    }
}

fn tenths(bytes: u64, unit: u64) -> String {
    let tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;
    match tenths % 10 {
        0 => grouped(tenths / 10),
        rest => format!("{},{rest}", grouped(tenths / 10)),
    }
}

/// A whole number with its thousands apart: `3 500` (narrow no-break space, U+202F).
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + 3 * (digits.len() / 3));
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `0 fichier`, `1 fichier`, `2 fichiers`.
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", grouped(count), if count < 2 { one } else { many })
}

/// A sum of cents in euros: `4,50 €`, `1 250 €` (whole sums without cents).
pub fn euros(cents: u64) -> String {
    match cents % 100 {
        0 => format!("{}\u{a0}€", grouped(cents / 100)),
        rest => format!("{},{rest:02}\u{a0}€", grouped(cents / 100)),
    }
}

/// Reads a sum in euros, in cents: `150`, `150,5`, `1 250.50 €`; `None` for anything else or above ten billion euros.
pub fn parse_euros(written: &str) -> Option<u64> {
    let figures: String = written
        .trim()
        .trim_end_matches(['€', ' ', '\u{a0}', '\u{202f}'])
        .chars()
        .filter(|l| !l.is_whitespace())
        .collect();
    let figures = figures.trim_end_matches("euros").trim_end_matches("euro").trim_end_matches("EUR");
    let (whole, rest) = figures.split_once([',', '.']).unwrap_or((figures, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 10 || rest.len() > 2 || !digits(whole) || !digits(rest) {
        return None;
    }
    let cents: u64 = format!("{rest:0<2}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 100 + cents)
}

/// An IBAN in groups of four, if its length and its key are right.
///
/// Source: ISO 13616 (key modulo 97); a French one has 27 characters.
pub fn iban(written: &str) -> Option<String> {
    let packed: String =
        written.chars().filter(|letter| !is_separator(*letter)).collect::<String>().to_ascii_uppercase();
    let country = packed.get(..2)?;
    let shape = (15..=34).contains(&packed.len())
        && packed.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && packed[2..4].bytes().all(|byte| byte.is_ascii_digit())
        && (country != "FR" || packed.len() == 27);
    if !shape {
        return None;
    }
    let turned = packed[4..].bytes().chain(packed[..4].bytes());
    let remainder = turned.fold(0u32, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    let groups = packed.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned());
    (remainder == 1).then(|| groups.collect::<Vec<_>>().join(" "))
}

/// Whether a string of digits ends with the right Luhn key; false when empty or when anything but digits is there.
pub fn luhn(digits: &str) -> bool {
    luhn_sum(digits).is_some_and(|sum| sum % 10 == 0)
}

fn luhn_sum(digits: &str) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.chars().rev().enumerate().try_fold(0, |sum, (at, digit)| {
        let digit = digit.to_digit(10)?;
        let doubled = if at % 2 == 1 { digit * 2 } else { digit };
        Some(sum + doubled / 10 + doubled % 10)
    })
}

/// The fourteen digits of a SIRET number written with or without spaces, if its key is right.
///
/// Shape: nine digits of SIREN, five of NIC; Luhn key. La Poste's establishments (SIREN 356 000 000) are numbered so that
/// the plain sum of the digits is a multiple of 5. A number made of zeros is refused.
pub fn siret(written: &str) -> Option<String> {
    let digits: String = written.chars().filter(|letter| !is_separator(*letter)).collect();
    if digits.len() != 14
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || digits.bytes().all(|byte| byte == b'0')
    {
        return None;
    }
    let plain: u32 = digits.bytes().map(|byte| u32::from(byte - b'0')).sum();
    let la_poste = digits.starts_with("356000000") && plain.is_multiple_of(5);
    (luhn(&digits) || la_poste).then_some(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_can_be_dialled_from_anywhere() {
        for (written, link) in [
            ("02 99 00 12 34", Some("+33299001234")),
            ("02.99.00.12.34", Some("+33299001234")),
            ("+33 (0)2 99 00 12 34", Some("+33299001234")),
            ("0033 2 99 00 12 34", Some("+33299001234")),
            ("06 39 98 12 34", Some("+33639981234")),
            ("0590 12 34 56", Some("+590590123456")),
            ("0692 12 34 56", Some("+262692123456")),
            ("0639 01 23 45", Some("+262639012345")),
            ("0696 12 34 56", Some("+596696123456")),
            ("0694 12 34 56", Some("+594694123456")),
            ("0508 41 23 45", Some("+508412345")),
            ("+687 26 31 31", Some("+687263131")),
            ("+32 470 12 34 56", Some("+32470123456")),
            ("15", Some("15")),
            ("112", Some("112")),
            ("3919", Some("3919")),
            ("39 19", Some("3919")),
            ("116 117", Some("116117")),
            ("02 99 00 12 34 (répondeur)", Some("+33299001234")),
            ("02 99 00 12 34 ou 06 00 00 00 00", Some("+33299001234")),
            ("02 99", None),
            ("", None),
            ("secrétariat", None),
            ("00 00 00 00 00", None),
        ] {
            assert_eq!(telephone_link(written).as_deref(), link, "{written}");
        }
    }

    #[test]
    fn numbers_are_read_in_pairs() {
        assert_eq!(telephone_display("0299001234"), "02\u{a0}99\u{a0}00\u{a0}12\u{a0}34");
        assert_eq!(telephone_display("+33 2 99 00 12 34"), "02\u{a0}99\u{a0}00\u{a0}12\u{a0}34");
        assert_eq!(telephone_display("116117"), "116\u{a0}117");
        assert_eq!(telephone_display(" 3919 "), "3919");
        assert_eq!(telephone_display("02 99 00 12 34 ou 18"), "02\u{a0}99\u{a0}00\u{a0}12\u{a0}34\u{a0}ou\u{a0}18");
        assert_eq!(telephone_display(""), "");
    }

    #[test]
    fn a_person_has_a_full_number() {
        assert_eq!(personal_telephone("0612345678").as_deref(), Some("06\u{a0}12\u{a0}34\u{a0}56\u{a0}78"));
        assert_eq!(personal_telephone("+44 20 7946 0958").as_deref(), Some("+442079460958"));
        for refused in ["15", "12345", "06 12 34 56 78 le soir", "+0", "0612345678901"] {
            assert_eq!(personal_telephone(refused), None, "{refused}");
        }
    }

    #[test]
    fn sizes_are_rounded_and_never_overflow_their_unit() {
        for (bytes, words) in [
            (0, "0 octet"),
            (1, "1 octet"),
            (999, "999 octets"),
            (1_023, "1023 octets"),
            (1_024, "1 ko"),
            (48 * 1_024, "48 ko"),
            ((1 << 20) - 512, "1 Mo"),
            (1_258_291, "1,2 Mo"),
            (7 << 20, "7 Mo"),
            ((1 << 30) - 1, "1 Go"),
            (1_503_238_553, "1,4 Go"),
        ] {
            assert_eq!(file_size(bytes).replace('\u{a0}', " "), words);
        }
        assert!(file_size(u64::MAX).ends_with("Go"));
    }

    #[test]
    fn zero_and_one_are_singular() {
        assert_eq!(plural(0, "fichier", "fichiers"), "0\u{a0}fichier");
        assert_eq!(plural(1, "fichier", "fichiers"), "1\u{a0}fichier");
        assert_eq!(plural(3500, "habitant", "habitants"), "3\u{202f}500\u{a0}habitants");
    }

    #[test]
    fn a_siret_has_a_key_and_la_poste_its_own() {
        assert_eq!(siret("732 829 320 00074").as_deref(), Some("73282932000074"));
        assert_eq!(siret("73282932000075"), None);
        assert_eq!(siret("35600000000048").as_deref(), Some("35600000000048"));
        assert_eq!(siret("356 000 000 49837").as_deref(), Some("35600000049837"));
        assert_eq!(siret("00000000000000"), None);
        assert_eq!(siret("7328293200007"), None);
        assert_eq!(siret("7328293200007A"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_not(text in ".*") {
            let _ = telephone_display(&text);
            let _ = siret(&text);
            if let Some(link) = telephone_link(&text) {
                prop_assert!(link.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit()));
            }
            if let Some(written) = personal_telephone(&text) {
                prop_assert_eq!(personal_telephone(&written), Some(written));
            }
        }
    }

    #[test]
    fn euros_are_written_and_read_back() {
        for (cents, words) in
            [(0, "0\u{a0}€"), (450, "4,50\u{a0}€"), (8_000, "80\u{a0}€"), (125_005, "1\u{202f}250,05\u{a0}€")]
        {
            assert_eq!(euros(cents), words);
            assert_eq!(parse_euros(words), Some(cents), "{words}");
        }
        assert_eq!(parse_euros("12,5"), Some(1_250));
        for refused in ["", "€", "-3", "1,234", "douze", "1e3", "99999999999"] {
            assert_eq!(parse_euros(refused), None, "{refused}");
        }
    }
}
