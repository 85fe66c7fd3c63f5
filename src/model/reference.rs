//! What a submission is called: short enough to be read aloud, random enough not to be guessed, able to notice a slip.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Number of a submission, as printed on the receipt and said on the telephone.
///
/// Shape: `2026-K7M2-QX4D-3`: year of reception, eight random Crockford base 32 characters (40 bits) and a check character
/// that detects any one wrong character and any two swapped ones. It gives no right by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(String);

impl Reference {
    /// A reference from its year (0 to 9999, brought back into these bounds) and 40 random bits.
    pub fn new(year: i16, random: [u8; 5]) -> Self {
        let mut digits = [0u8; DIGITS];
        let mut year = year.clamp(0, 9999) as u16;
        for digit in digits[..YEAR].iter_mut().rev() {
            *digit = (year % 10) as u8;
            year /= 10;
        }
        let bits = random.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for (place, digit) in digits[YEAR..].iter_mut().enumerate() {
            *digit = ((bits >> (35 - 5 * place)) & 31) as u8;
        }
        Reference(spelled(&digits))
    }

    /// The canonical text, with its hyphens.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    /// Reads what a person typed: lower case, missing hyphens, spaces, `O` for `0`, `I` or `L` for `1`.
    ///
    /// # Errors
    /// [`ParseReferenceError::Character`] for a character that no reference holds, [`ParseReferenceError::Length`] unless
    /// thirteen remain, [`ParseReferenceError::Check`] when the check character disagrees.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digits = [0u8; DIGITS + 1];
        let mut count = 0;
        for character in text.chars() {
            if character.is_whitespace() || matches!(character, '-' | '.' | '_' | '\u{2010}'..='\u{2015}') {
                continue;
            }
            let digit = value(character).ok_or(ParseReferenceError::Character(character))?;
            if count < YEAR && digit > 9 {
                return Err(ParseReferenceError::Character(character));
            }
            *digits.get_mut(count).ok_or(ParseReferenceError::Length)? = digit;
            count += 1;
        }
        if count != DIGITS + 1 {
            return Err(ParseReferenceError::Length);
        }
        let mut payload = [0u8; DIGITS];
        payload.copy_from_slice(&digits[..DIGITS]);
        if check(&payload) != digits[DIGITS] {
            return Err(ParseReferenceError::Check);
        }
        Ok(Reference(spelled(&payload)))
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.0
    }
}

/// Why a text is not a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseReferenceError {
    /// A character that no reference holds.
    #[error("character {0:?} never stands in a reference")]
    Character(char),
    /// Too few or too many characters.
    #[error("a reference has thirteen characters besides its hyphens")]
    Length,
    /// The check character disagrees: a character was misread or two were swapped.
    #[error("the check character disagrees")]
    Check,
}

fn spelled(digits: &[u8; DIGITS]) -> String {
    let letter = |digit: u8| char::from(ALPHABET[usize::from(digit & 31)]);
    let group = |range: std::ops::Range<usize>| digits[range].iter().map(|digit| letter(*digit)).collect::<String>();
    format!("{}-{}-{}-{}", group(0..4), group(4..8), group(8..12), letter(check(digits)))
}

fn value(character: char) -> Option<u8> {
    let character = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.iter().position(|letter| char::from(*letter) == character).map(|at| at as u8)
}

/// Sum of the digits times distinct powers of a generator of the field of 32 elements: no single change and no swap of two
/// different digits leaves it as it was.
fn check(digits: &[u8; DIGITS]) -> u8 {
    digits.iter().rev().fold(0, |sum, digit| times_generator(sum ^ digit))
}

/// Product by `x` modulo `x⁵ + x² + 1`, a primitive polynomial.
fn times_generator(value: u8) -> u8 {
    let shifted = value << 1;
    if shifted & 0x20 == 0 { shifted } else { shifted ^ 0x25 }
}

/// Crockford's base 32: no `I`, `L`, `O` nor `U`.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits of the year.
const YEAR: usize = 4;
/// Digits of the year and random ones, without the check character.
const DIGITS: usize = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reference_is_grouped_to_be_read_aloud() {
        let reference = Reference::new(2026, [0x9c, 0xa8, 0x2b, 0xfa, 0x4d]);
        assert_eq!(reference.as_str(), "2026-KJM2-QYJD-9");
    }

    #[test]
    fn what_people_type_is_understood() {
        let reference = Reference::new(2026, [0, 0x42, 0x08, 0x20, 0x01]);
        let typed = reference.as_str().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(typed.parse(), Ok(reference));
        assert_eq!("2026-K7M2".parse::<Reference>(), Err(ParseReferenceError::Length));
        assert_eq!("2026-U7M2-QX4D-3".parse::<Reference>(), Err(ParseReferenceError::Character('U')));
    }

    #[test]
    fn the_check_has_no_short_cycle() {
        let mut value = 1;
        let powers: std::collections::BTreeSet<u8> = (0..31)
            .map(|_| {
                value = times_generator(value);
                value
            })
            .collect();
        assert_eq!(powers.len(), 31);
    }

    proptest! {
        #[test]
        fn every_reference_reads_back(year in 0i16..=9999, random: [u8; 5]) {
            let reference = Reference::new(year, random);
            prop_assert_eq!(reference.as_str().parse(), Ok(reference.clone()));
            prop_assert_eq!(reference.as_str().len(), 16);
        }

        #[test]
        fn one_wrong_character_is_noticed(random: [u8; 5], at in 0usize..13, by in 1u8..32) {
            let mut digits: Vec<u8> = Reference::new(2026, random).as_str().chars().filter_map(value).collect();
            digits[at] ^= by;
            let text: String = digits.iter().map(|digit| char::from(ALPHABET[usize::from(*digit)])).collect();
            prop_assert!(text.parse::<Reference>().is_err());
        }

        #[test]
        fn two_swapped_characters_are_noticed(random: [u8; 5], a in 0usize..13, b in 0usize..13) {
            let mut digits: Vec<u8> = Reference::new(2026, random).as_str().chars().filter_map(value).collect();
            prop_assume!(digits[a] != digits[b]);
            digits.swap(a, b);
            let text: String = digits.iter().map(|digit| char::from(ALPHABET[usize::from(*digit)])).collect();
            prop_assert!(text.parse::<Reference>().is_err());
        }

        #[test]
        fn nothing_that_is_typed_panics(text in ".*") {
            let _ = text.parse::<Reference>();
        }
    }
}
