//! The streets, hamlets and numbers of a commune, from its own address file: what is offered to who types an address.
//!
//! They help and never restrict: a house is older in its village than in any file.

use std::collections::{BTreeMap, BTreeSet};

use crate::text::slug::slug;

/// A row of the commune's address file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressRow {
    /// « Rue du Four », « Les Haies ».
    pub way: String,
    /// `None`: the way itself, a street or a hamlet without numbers.
    pub number: Option<u32>,
    /// « bis », « a »; may be empty.
    pub suffix: String,
    /// The hamlet the address stands in; may be empty.
    pub hamlet: String,
}

/// What a commune's address file knows, ready to be offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressBook {
    /// For « Numéro et voie »: « 3 rue du Four », by way then number; in a larger commune the ways alone.
    pub lines: Vec<String>,
    /// For « Où est-ce ? »: streets and hamlets by name.
    pub places: Vec<String>,
}

/// What a page can carry: 600 lines are some 20 kB, 4 kB once compressed.
///
/// A village of 1 000 inhabitants has fewer addresses, a town of 15 000 fewer streets. Beyond, a list that is cut would offer one
/// half of the town and not the other: there is none.
pub const LINES_MAX: usize = 600;

/// Words a street's name begins with; they lose their capital after a number.
const STREETS: [&str; 44] = [
    "allée",
    "allées",
    "ancienne",
    "ancien",
    "avenue",
    "boucle",
    "boulevard",
    "carrefour",
    "chaussée",
    "chemin",
    "cité",
    "clos",
    "contour",
    "cour",
    "cours",
    "descente",
    "domaine",
    "esplanade",
    "faubourg",
    "galerie",
    "grande",
    "impasse",
    "levée",
    "lotissement",
    "mail",
    "montée",
    "passage",
    "petite",
    "place",
    "placette",
    "promenade",
    "quai",
    "quartier",
    "résidence",
    "rond-point",
    "route",
    "rue",
    "ruelle",
    "sente",
    "sentier",
    "square",
    "traverse",
    "venelle",
    "voie",
];

impl AddressBook {
    /// What rows in any order, with any repetition, make together.
    pub fn of(rows: impl IntoIterator<Item = AddressRow>) -> AddressBook {
        // By slug: « Rue de l'Eglise » and « rue de l'église » are one street.
        let mut ways: BTreeMap<String, (String, BTreeSet<(u32, String)>)> = BTreeMap::new();
        for row in rows {
            let (_, numbers) = ways.entry(slug(&row.way)).or_insert_with(|| (row.way, BTreeSet::new()));
            numbers.extend(row.number.map(|number| (number, row.suffix.to_lowercase())));
            if !row.hamlet.is_empty() {
                ways.entry(slug(&row.hamlet)).or_insert_with(|| (row.hamlet, BTreeSet::new()));
            }
        }
        let places: Vec<String> = ways.values().map(|(name, _)| name.clone()).collect();
        let count: usize = ways.values().map(|(_, numbers)| numbers.len().max(1)).sum();
        if places.len() > LINES_MAX {
            return AddressBook::default();
        }
        let lines = if count > LINES_MAX { places.clone() } else { ways.values().flat_map(lines).collect() };
        AddressBook { lines, places }
    }

    /// The street or hamlet that « 3, rue du Foor » was probably meant to name; `None` when it is known, and when it is like none:
    /// a new street is not a mistake.
    pub fn meant(&self, typed: &str) -> Option<&str> {
        let typed = words_of(typed);
        let typed = typed.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ' ');
        let places = || self.places.iter().map(|place| (words_of(place), place.as_str()));
        let named = |place: &str| format!(" {typed} ").contains(&format!(" {place} "));
        if typed.len() < TYPED_MIN || places().any(|(place, _)| named(&place) || place.contains(typed)) {
            return None;
        }
        places()
            .map(|(place, name)| (strsim::damerau_levenshtein(&place, typed), name))
            .filter(|(slips, _)| *slips <= typed.len() / LETTERS_A_SLIP)
            .min_by_key(|(slips, _)| *slips)
            .map(|(_, name)| name)
    }
}

/// Shorter, two names are soon alike.
const TYPED_MIN: usize = 8;
/// Letters for which one slip of the finger is believed.
const LETTERS_A_SLIP: usize = 8;

/// A line in plain words, the usual short ones in full: « 3 bis, r. St-Jean » → « 3 rue saint jean ».
fn words_of(line: &str) -> String {
    let slug = slug(line);
    let mut words: Vec<&str> = Vec::new();
    for word in slug.split('-') {
        let after_number = words.last().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        words.push(match word {
            "bis" | "ter" | "quater" if after_number => continue,
            "a" | "b" | "c" | "d" if after_number => continue,
            "r" => "rue",
            "av" | "ave" => "avenue",
            "bd" | "bld" | "boul" => "boulevard",
            "ch" | "che" | "chem" => "chemin",
            "imp" => "impasse",
            "all" => "allee",
            "pl" => "place",
            "rte" => "route",
            "st" => "saint",
            "ste" => "sainte",
            other => other,
        });
    }
    words.join(" ")
}

/// A way as « Numéro et voie » takes it: with each of its numbers, or alone when it has none.
fn lines((name, numbers): &(String, BTreeSet<(u32, String)>)) -> Vec<String> {
    if numbers.is_empty() {
        return vec![name.clone()];
    }
    let way = after_a_number(name);
    let line = |(number, suffix): &(u32, String)| match suffix.as_str() {
        "" => format!("{number} {way}"),
        suffix => format!("{number} {suffix} {way}"),
    };
    numbers.iter().map(line).collect()
}

/// « Rue du Four » → « rue du Four »; « Les Haies » stays.
fn after_a_number(name: &str) -> String {
    let first = name.split(' ').next().unwrap_or_default();
    let lower = first.to_lowercase();
    if STREETS.contains(&lower.as_str()) { format!("{lower}{}", &name[first.len()..]) } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(way: &str, number: impl Into<Option<u32>>, suffix: &str) -> AddressRow {
        AddressRow { way: way.into(), number: number.into(), suffix: suffix.into(), hamlet: String::new() }
    }

    #[test]
    fn addresses_are_offered_once_by_way_then_number() {
        let book = AddressBook::of([
            row("Rue du Four", 12, ""),
            row("Rue du Four", 3, "BIS"),
            row("RUE DU FOUR", 3, ""),
            row("Rue du Four", 12, ""),
            row("Les Haies", 2, ""),
            row("Chemin de l'Étang", None, ""),
            row("Rue du Four", None, ""),
        ]);
        let lines = ["Chemin de l'Étang", "2 Les Haies", "3 rue du Four", "3 bis rue du Four", "12 rue du Four"];
        assert_eq!(book.lines, lines);
        assert_eq!(book.places, ["Chemin de l'Étang", "Les Haies", "Rue du Four"]);
    }

    #[test]
    fn the_hamlet_of_an_address_is_a_place_and_no_address() {
        let hamlet = AddressRow { hamlet: "La Mulette".into(), ..row("Route du Moulin", 8, "") };
        let book = AddressBook::of([hamlet, row("La Mulette", 1, "")]);
        assert_eq!(book.places, ["La Mulette", "Route du Moulin"]);
        assert_eq!(book.lines, ["1 La Mulette", "8 route du Moulin"]);
    }

    #[test]
    fn a_slip_of_the_finger_is_seen_and_nothing_else() {
        let ways = ["Rue du Four", "Route du Moulin", "Rue de l'Église", "Chemin Saint-Jean", "La Renardière"];
        let book = AddressBook::of(ways.map(|way| row(way, None, "")));
        for (typed, meant) in [
            ("3, rue du Foor", "Rue du Four"),
            ("3 bis ruedu four", "Rue du Four"),
            ("12 rte du moulain", "Route du Moulin"),
            ("La Renadière", "La Renardière"),
        ] {
            assert_eq!(book.meant(typed), Some(meant), "{typed}");
        }
        for known in [
            "3 rue du Four",
            "3 BIS, RUE DU FOUR",
            "Appartement 4, 3 rue du four",
            "4 r. de l’eglise",
            "5 ch. St Jean",
            "12 a rue du four",
            "La renardiére, au bout du chemin",
            "moulin",
            "four",
            "",
            "3",
            "Rue des Acacias",
            "Résidence du Parc",
            "rue du Puits",
        ] {
            assert_eq!(book.meant(known), None, "{known}");
        }
        assert_eq!(AddressBook::default().meant("3 rue du Four"), None);
    }

    #[test]
    fn a_town_gets_its_streets_and_a_city_nothing_rather_than_a_half() {
        let town = AddressBook::of((0..=LINES_MAX as u32).map(|at| row(&format!("Rue {}", at % 50), at, "")));
        assert_eq!(town.lines.len(), 50);
        assert!(town.lines.iter().all(|line| line.starts_with("Rue ")));
        let village = AddressBook::of((0..LINES_MAX as u32).map(|at| row("Rue du Four", at, "")));
        assert_eq!(village.lines.len(), LINES_MAX);
        let city = AddressBook::of((0..=LINES_MAX).map(|at| row(&format!("Rue {at}"), None, "")));
        assert_eq!(city, AddressBook::default());
    }
}
