//! French typography for plain text: spaces before `; ! ? : »` and after `«`, apostrophes, ellipsis.
//!
//! It never touches what is written for machines: addresses of pages and of people, hours in figures, `::`, code.

use std::borrow::Cow;
use std::ops::Range;

/// Narrow no-break space, before `; ! ? »` and after `«`.
const NARROW: &str = "\u{202f}";
/// No-break space, before `:`.
const WIDE: &str = "\u{a0}";

/// The same text with French spaces, apostrophes and ellipsis; borrowed when nothing changes.
///
/// Shape: only spaces are put in or replaced, `'` between two letters becomes `’`, three dots become `…`; letters and
/// figures never change. Done twice, it changes nothing more.
///
/// # Example
/// `Ouvert aujourd'hui ?` gives `Ouvert aujourd’hui\u{202f}?`; `https://a.fr/?q=l'eau` stays as it is.
pub fn french(text: &str) -> Cow<'_, str> {
    if !may_change(text) {
        return Cow::Borrowed(text);
    }
    let mut edit = Edit { text, edited: String::new(), copied: 0 };
    let mut at = 0;
    while at < text.len() {
        let word = next_word(text, at);
        if !is_for_machines(&text[word.clone()]) {
            mend_word(&mut edit, word.clone());
        }
        at = word.end;
    }
    edit.finish()
}

/// A scan without decoding: whether a character that this module knows is there at all.
fn may_change(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'\'' | b';' | b'!' | b'?' | b':' => true,
        b'.' => bytes[at..].starts_with(b"..."),
        // « is C2 AB, » is C2 BB.
        0xc2 => matches!(bytes.get(at + 1), Some(0xab | 0xbb)),
        _ => false,
    })
}

/// The next run of characters that are not spaces, from `at`; empty at the end of the text.
fn next_word(text: &str, at: usize) -> Range<usize> {
    let start = text[at..].find(|letter: char| !letter.is_whitespace()).map_or(text.len(), |found| at + found);
    let end = text[start..].find(char::is_whitespace).map_or(text.len(), |found| start + found);
    start..end
}

/// Whether a word is an address, a path or code, which spaces or curly apostrophes would break.
fn is_for_machines(word: &str) -> bool {
    let bare = word.trim_start_matches(|letter: char| !letter.is_alphanumeric());
    word.contains("://")
        || word.contains("::")
        || word.contains(['`', '\\', '{', '}', '<', '>', '=', '@', '_'])
        || word.starts_with(':') && word.len() > 1
        || bare.starts_with("www.")
        || bare.starts_with("mailto:")
        || bare.starts_with("tel:")
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
            _ => {}
        }
    }
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
            ("100 % ; 12 €!", "100 %~; 12 €~!"),
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
            "14 h 30",
        ] {
            let kept = french(text);
            assert_eq!(kept, text);
            assert!(matches!(kept, Cow::Borrowed(_)), "{text}");
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
        fn twice_is_once(text in "(?s)([a-zé '.«»!?;:,()\u{a0}\u{202f}&/@0-9\n-]|\\.\\.\\.)*") {
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
