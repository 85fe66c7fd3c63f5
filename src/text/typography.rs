//! French typography for plain text: spaces before `; ! ? : »` and after `«`, apostrophes, ellipsis, and figures that stay on
//! one line with what they count (« 17 h 30 », « 1 200 € », « 02 61 91 12 34 », « n° 5 »).
//!
//! It never touches what is written for machines: addresses of pages and of people, hours like `14:30`, `::`, code.

use std::borrow::Cow;
use std::ops::Range;

/// Narrow no-break space, before `; ! ? »`, after `«`, between thousands.
const NARROW: &str = "\u{202f}";
/// No-break space, before `:` and inside a telephone number or a measure.
const WIDE: &str = "\u{a0}";

/// What a figure may count and should not be parted from.
const UNITS: [&str; 14] = ["€", "%", "h", "min", "km", "m", "m²", "m³", "cm", "mm", "ha", "kg", "°C", "kWh"];

/// The same text with French spaces, apostrophes and ellipsis; borrowed when nothing changes.
///
/// Shape: only spaces are put in or replaced, `'` between two letters becomes `’`, three dots become `…`; letters and
/// figures never change. Done twice, it changes nothing more.
///
/// # Example
/// `Ouvert aujourd'hui ?` gives `Ouvert aujourd’hui\u{202f}?`; `https://a.fr/?q=l'eau` stays as it is.
pub fn french(text: &str) -> Cow<'_, str> {
    let mut edit = Edit { text, edited: String::new(), copied: 0 };
    let mut at = 0;
    while let Some(found) = next_sign(text.as_bytes(), at) {
        let word = word_around(text, at, found);
        at = word.end;
        if !is_for_machines(&text[word.clone()]) {
            mend_word(&mut edit, word);
        }
    }
    edit.finish()
}

/// The same text with its straight quotes made « guillemets », where they clearly go in pairs; borrowed when none does.
///
/// Shape: an opening quote stands at the beginning of a word, the next one at the end of a word; otherwise (inches, code, a
/// lone quote) nothing is touched. [`french`] then puts the spaces.
///
/// # Example
/// `la salle "Beau Site" ouvre` gives `la salle «Beau Site» ouvre`.
pub fn quotes(text: &str) -> Cow<'_, str> {
    let marks: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
    if marks.is_empty() || !marks.len().is_multiple_of(2) {
        return Cow::Borrowed(text);
    }
    let opens = |at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + 1..].chars().next();
        before.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '’' | '\'' | '–' | '—'))
            && after.is_some_and(|c| !c.is_whitespace() && c != '"')
    };
    let closes = |at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + 1..].chars().next();
        before.is_some_and(|c| !c.is_whitespace() && c != '=')
            && after.is_none_or(|c| c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | '…'))
    };
    if !marks.chunks(2).all(|pair| opens(pair[0]) && closes(pair[1])) {
        return Cow::Borrowed(text);
    }
    let mut edit = Edit { text, edited: String::new(), copied: 0 };
    for (rank, at) in marks.into_iter().enumerate() {
        edit.replace(at..at + 1, if rank % 2 == 0 { "«" } else { "»" });
    }
    edit.finish()
}

/// Where the next character that this module knows may be; a scan without decoding, since most words hold none.
fn next_sign(bytes: &[u8], from: usize) -> Option<usize> {
    let is_sign = |at: usize| match bytes[at] {
        b'\'' | b';' | b'!' | b'?' | b':' => true,
        b'0'..=b'9' => at == 0 || !bytes[at - 1].is_ascii_alphanumeric(),
        b'.' => bytes[at..].starts_with(b"..."),
        // « is C2 AB, » is C2 BB, ° is C2 B0.
        0xc2 => matches!(bytes.get(at + 1), Some(0xab | 0xbb | 0xb0)),
        _ => false,
    };
    (from..bytes.len()).find(|at| is_sign(*at))
}

/// The run of characters that are not spaces around `at`, not before `from`.
fn word_around(text: &str, from: usize, at: usize) -> Range<usize> {
    let start = text[from..at]
        .char_indices()
        .rev()
        .find(|(_, letter)| letter.is_whitespace())
        .map_or(from, |(found, letter)| from + found + letter.len_utf8());
    let end = text[at..].find(char::is_whitespace).map_or(text.len(), |found| at + found);
    start..end
}

/// Whether a word is an address, a path or code, which spaces or curly apostrophes would break.
fn is_for_machines(word: &str) -> bool {
    let bytes = word.as_bytes();
    let coded = bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'`' | b'\\' | b'{' | b'}' | b'<' | b'>' | b'=' | b'@' | b'_' => true,
        b':' => at == 0 && bytes.len() > 1 || bytes[at + 1..].starts_with(b":") || bytes[at + 1..].starts_with(b"//"),
        _ => false,
    });
    coded || {
        let bare = word.trim_start_matches(|letter: char| !letter.is_alphanumeric());
        ["www.", "mailto:", "tel:"].iter().any(|start| bare.starts_with(start))
    }
}

fn mend_word(edit: &mut Edit<'_>, word: Range<usize>) {
    let text = edit.text;
    for (offset, letter) in text[word.clone()].char_indices() {
        let at = word.start + offset;
        let after = at + letter.len_utf8();
        let before = text[..at].chars().next_back();
        let next = text[after..].chars().next();
        match letter {
            '\'' if before.is_some_and(char::is_alphabetic)
                && next.is_some_and(|next| next.is_alphanumeric() || next == '«') =>
            {
                edit.replace(at..after, "’");
            }
            '.' if is_ellipsis(text, at) => edit.replace(at..at + 3, "…"),
            '«' => match next {
                Some(' ') => edit.replace(after..after + 1, NARROW),
                Some(next) if !next.is_whitespace() => edit.replace(after..after, NARROW),
                _ => {}
            },
            '»' => space_before(edit, at, before, NARROW),
            '!' | '?' if closes(next) => space_before(edit, at, before, NARROW),
            ';' if ends(next) && !is_entity(&text[word.start..at]) => space_before(edit, at, before, NARROW),
            ':' if ends(next) => space_before(edit, at, before, WIDE),
            '0'..='9' if begins_figure(text, at) => join_figure(edit, at),
            '°' if matches!(before, Some('n' | 'N')) && digits(&text[after..], 1) > 0 => edit.join(after, WIDE),
            _ => {}
        }
    }
}

/// Whether the digit at `at` is the first of its figure, the groups before it being part of it.
fn begins_figure(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    match before.next() {
        None => true,
        Some(space) if is_joint(space) => !before.next().is_some_and(|letter| letter.is_ascii_digit()),
        Some(letter) => !letter.is_alphanumeric(),
    }
}

/// Keeps on one line the groups of a figure, its unit, and the minutes after the hours.
fn join_figure(edit: &mut Edit<'_>, start: usize) {
    let text = edit.text;
    let (mut groups, mut end) = (Vec::new(), start);
    loop {
        let length = text[end..].bytes().take_while(u8::is_ascii_digit).count();
        groups.push(end..end + length);
        end += length;
        match joint(&text[end..]) {
            width if width > 0 && text[end + width..].starts_with(|next: char| next.is_ascii_digit()) => end += width,
            _ => break,
        }
    }
    let sizes = || groups.iter().map(Range::len);
    let after_plus = text[..start].ends_with('+');
    let is_telephone = groups.len() == 5 && sizes().all(|size| size == 2) && text[start..].starts_with('0')
        || after_plus && groups.len() == 6 && sizes().skip(2).all(|size| size == 2);
    let is_thousands =
        groups.len() > 1 && (1..=3).contains(&groups[0].len()) && sizes().skip(1).all(|size| size == 3) && !after_plus;
    if is_telephone || is_thousands {
        let space = if is_telephone { WIDE } else { NARROW };
        groups[..groups.len() - 1].iter().for_each(|group| edit.join(group.end, space));
    } else if groups.len() > 1 {
        return;
    }
    // « 3,5 km »
    if let Some(rest) = text[end..].strip_prefix([',', '.']) {
        end += match rest.bytes().take_while(u8::is_ascii_digit).count() {
            0 => return,
            decimals => 1 + decimals,
        };
    }
    let width = joint(&text[end..]);
    let (unit_at, rest) = (end + width, &text[end + width..]);
    let counted = UNITS.iter().find(|unit| rest.strip_prefix(**unit).is_some_and(stands_apart));
    if let Some(unit) = counted.filter(|_| width > 0) {
        edit.join(end, WIDE);
        let minutes_at = unit_at + unit.len();
        if *unit == "h" && digits(&text[minutes_at..], 2) == 2 {
            edit.join(minutes_at, WIDE);
        }
    }
}

/// Digits after one joint, when there are at least `least` of them.
fn digits(text: &str, least: usize) -> usize {
    let width = joint(text);
    let count = text[width..].bytes().take_while(u8::is_ascii_digit).count();
    if width > 0 && count >= least { count } else { 0 }
}

fn is_joint(letter: char) -> bool {
    matches!(letter, ' ' | '\u{a0}' | '\u{202f}')
}

/// Width in bytes of the one space that a text begins with; 0 when there is none.
fn joint(text: &str) -> usize {
    text.chars().next().filter(|letter| is_joint(*letter)).map_or(0, char::len_utf8)
}

fn stands_apart(rest: &str) -> bool {
    !rest.starts_with(|next: char| next.is_alphanumeric() || matches!(next, '²' | '³' | '\'' | '’'))
}

/// Puts the space before a sign, or replaces the plain space that is there.
fn space_before(edit: &mut Edit<'_>, at: usize, before: Option<char>, space: &str) {
    match before {
        // The space after « is already a narrow one.
        Some(' ') if !edit.text[..at - 1].ends_with('«') => edit.replace(at - 1..at, space),
        Some(before)
            if before.is_alphanumeric()
                || matches!(before, ')' | ']' | '”' | '’' | '…' | '.' | '%' | '€' | '°' | '»') =>
        {
            edit.replace(at..at, space);
        }
        _ => {}
    }
}

fn ends(next: Option<char>) -> bool {
    next.is_none_or(char::is_whitespace)
}

fn closes(next: Option<char>) -> bool {
    next.is_none_or(|next| {
        next.is_whitespace() || matches!(next, '!' | '?' | '.' | '…' | ',' | ')' | ']' | '»' | '”' | '"')
    })
}

/// Exactly three dots, not in front of a figure (`1...5`).
fn is_ellipsis(text: &str, at: usize) -> bool {
    let rest = &text[at..];
    rest.starts_with("...")
        && !rest[3..].starts_with(|next: char| next == '.' || next.is_ascii_digit())
        && !text[..at].ends_with('.')
}

/// Whether the `;` that follows ends an HTML entity: `&nbsp`, `&#8239`.
fn is_entity(before: &str) -> bool {
    before
        .rfind('&')
        .is_some_and(|at| before[at + 1..].chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '#'))
}

/// A text being mended: untouched pieces are copied only once something has changed.
struct Edit<'t> {
    text: &'t str,
    edited: String,
    copied: usize,
}

impl<'t> Edit<'t> {
    fn replace(&mut self, range: Range<usize>, with: &str) {
        // A space between two signs (« ! ») is wanted by both: the first has it.
        if range.start < self.copied {
            return;
        }
        self.edited.push_str(&self.text[self.copied..range.start]);
        self.edited.push_str(with);
        self.copied = range.end;
    }

    /// Makes the plain space at `at`, if there is one, a no-break one.
    fn join(&mut self, at: usize, space: &str) {
        if self.text[at..].starts_with(' ') {
            self.replace(at..at + 1, space);
        }
    }

    fn finish(mut self) -> Cow<'t, str> {
        if self.edited.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.edited.push_str(&self.text[self.copied..]);
        Cow::Owned(self.edited)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `~` stands for the narrow no-break space, `_` for the wide one.
    fn seen(text: &str) -> String {
        french(text).replace('\u{202f}', "~").replace('\u{a0}', "_")
    }

    #[test]
    fn spaces_are_french() {
        for (text, expected) in [
            ("Ouvert aujourd'hui ?", "Ouvert aujourd’hui~?"),
            ("Ouvert!", "Ouvert~!"),
            ("Quoi ?!", "Quoi~?!"),
            ("Attention: travaux ; merci.", "Attention_: travaux~; merci."),
            ("Il dit : « oui » puis «non».", "Il dit_: «~oui~» puis «~non~»."),
            ("(vraiment ?)", "(vraiment~?)"),
            ("l'eau d'«Orage»", "l’eau d’«~Orage~»"),
            ("À suivre...", "À suivre…"),
            ("Bientôt... !", "Bientôt…~!"),
            ("100 % ; 12 €!", "100_%~; 12_€~!"),
            ("de 9 h à 17 h 30, le 5", "de 9_h à 17_h_30, le 5"),
            ("au 02 61 91 12 34.", "au 02_61_91_12_34."),
            ("+33 2 61 91 12 34", "+33_2_61_91_12_34"),
            ("1 200 habitants, 12 345 678 €", "1~200 habitants, 12~345~678_€"),
            ("3,5 km et 12 m² ; 4 mètres", "3,5_km et 12_m²~; 4 mètres"),
            ("arrêté n° 12", "arrêté n°_12"),
            ("en 2026 120 personnes", "en 2026 120 personnes"),
            ("les 5 12 et 30 d'avril", "les 5 12 et 30 d’avril"),
            (" !", "~!"),
            ("« ", "«~"),
        ] {
            assert_eq!(seen(text), expected);
        }
    }

    #[test]
    fn what_is_for_machines_is_left_alone() {
        for text in [
            "https://www.exemple.fr/?q=l'eau!",
            "www.exemple.fr/a;b",
            "l'adresse@exemple.fr:",
            "à 14:30",
            "std::fmt",
            "`code!`",
            "a==b;",
            "&nbsp; &#8239;",
            "1...5",
            "....",
            ":sourire:",
            "fichier.md#titre?x=1",
            "'entre apostrophes'",
            "Une phrase sans rien.",
            "14\u{a0}h\u{a0}30",
            "12 hommes",
            "5 h'",
        ] {
            let kept = french(text);
            assert_eq!(kept, text);
            assert!(matches!(kept, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn straight_quotes_become_guillemets_in_clear_pairs() {
        for (text, expected) in [
            ("la salle \"Beau Site\" ouvre", "la salle «~Beau Site~» ouvre"),
            ("\"Oui\", dit-il ; \"non\".", "«~Oui~», dit-il~; «~non~»."),
            ("d'\"Orage\" (\"Vent\")", "d’«~Orage~» («~Vent~»)"),
        ] {
            assert_eq!(seen(&quotes(text)), expected);
        }
        for text in ["un écran de 12\"", "a=\"b\"", "\" seul", "12\" et 14\"", "rien"] {
            assert!(matches!(quotes(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn a_text_already_french_is_borrowed() {
        assert!(matches!(french("Ouvert\u{202f}! L’eau\u{a0}: «\u{202f}oui\u{202f}»"), Cow::Borrowed(_)));
    }

    fn letters(text: &str) -> String {
        text.chars().filter(|letter| letter.is_alphanumeric()).collect()
    }

    proptest! {
        #[test]
        fn twice_is_once(text in "(?s)([a-zé '.«»!?;:,()\u{a0}\u{202f}&/@0-9 h€°+\n-]|\\.\\.\\.)*") {
            let once = french(&text).into_owned();
            prop_assert_eq!(french(&once).into_owned(), once.clone());
            prop_assert_eq!(letters(&once), letters(&text));
        }

        #[test]
        fn any_text_keeps_its_letters(text in ".*") {
            prop_assert_eq!(letters(&french(&text)), letters(&text));
        }
    }
}
