//! Cleans what was typed: spaces, line ends, accents, invisible signs.

use unicode_normalization::UnicodeNormalization;

use crate::text::numbers::plural;

/// Text on one line, its accents composed: every run of spaces and line ends becomes one plain space.
pub(super) fn one_line(typed: &str) -> String {
    let typed = undirected(typed);
    let words: Vec<&str> = typed.split(is_blank).filter(|word| !word.is_empty()).collect();
    words.join(" ").trim().nfc().collect()
}

/// Text on several lines, its accents composed: line ends become `\n`, tabs become spaces, ends of lines and of the text are trimmed.
pub(super) fn lines(typed: &str) -> String {
    let unified = undirected(typed)
        .replace("\r\n", "\n")
        .replace(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
    let lines: Vec<String> = unified
        .split('\n')
        .map(|line| line.replace('\t', "    ").replace('\u{feff}', "").trim_end().to_owned())
        .collect();
    lines.join("\n").trim().nfc().collect()
}

/// Marks of direction, which telephones and messages put around what is copied, are nothing that was meant; kept, they would
/// let a text show otherwise than it is.
fn undirected(typed: &str) -> String {
    typed.chars().filter(|letter| !is_direction(*letter)).collect()
}

/// Spaces of every kind but those that tie French words, and the invisible ones that only editors leave.
fn is_blank(letter: char) -> bool {
    letter == '\u{feff}' || letter.is_whitespace() && !matches!(letter, '\u{a0}' | '\u{202f}')
}

/// What stands for something to the eye: marks of direction and zero-width signs, which telephones put around copied numbers,
/// are dropped.
pub(super) fn visible(typed: &str) -> String {
    let kept: String = typed
        .chars()
        .filter(|letter| !is_direction(*letter) && !matches!(letter, '\u{200b}'..='\u{200d}' | '\u{2060}'))
        .collect();
    kept.trim().to_owned()
}

/// Signs that would let a text show otherwise than it is, or break what reads it.
pub(super) fn is_refused(letter: char) -> bool {
    letter != '\n' && letter.is_control() || is_direction(letter)
}

fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text, when it is not too long and holds no sign that would let it show otherwise than it is.
pub(super) fn bounded(typed: &str, max: usize) -> Result<String, String> {
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
