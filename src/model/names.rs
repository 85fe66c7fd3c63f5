//! Names of communes with their right articles (INSEE, type de nom en clair).
//!
//! A commune's article keeps its capital (« la mairie de La Rochelle », « à L'Épine-aux-Bois ») except where French contracts
//! it: « du Plantay », « au Plantay », « des Mées », « aux Mées ».

use serde::Serialize;

/// A name and its « de » and « à » forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameForms {
    /// « Le Plantay ».
    pub nom: String,
    /// « du Plantay ».
    pub forme_de: String,
    /// « au Plantay ».
    pub forme_a: String,
}

impl NameForms {
    /// The forms of a name whose kind is known. An article written in the name wins over a kind that denies it.
    pub fn new(nom: &str, kind: TypeDeNom) -> Self {
        let nom = nom.trim();
        let (forme_de, forme_a) = match (contraction(nom), kind) {
            (Some((de, a, rest)), _) => (format!("{de} {rest}"), format!("{a} {rest}")),
            (None, TypeDeNom::Voyelle) => (format!("d'{nom}"), format!("à {nom}")),
            (None, _) => (format!("de {nom}"), format!("à {nom}")),
        };
        NameForms { nom: nom.to_owned(), forme_de, forme_a }
    }

    /// The forms of a name alone: right for vowels and articles, « de » before every H, whose aspiration only a list can tell.
    pub fn guess(nom: &str) -> Self {
        let nom = nom.trim();
        if let Some((de, a)) = common_noun(nom) {
            return NameForms { nom: nom.to_owned(), forme_de: format!("{de}{nom}"), forme_a: format!("{a}{nom}") };
        }
        NameForms::new(nom, if elides(nom) { TypeDeNom::Voyelle } else { TypeDeNom::Consonne })
    }
}

/// INSEE's « type de nom en clair » (tncc): the article a name carries and whether « de » elides before it.
///
/// Shape: one digit, 0 to 8. Source: INSEE, Code officiel géographique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeDeNom {
    /// 0: no article, « de Balan ».
    Consonne,
    /// 1: no article, « d'Ambérieu », « d'Hirson ».
    Voyelle,
    /// 2: « Le », « du Plantay ».
    Le,
    /// 3: « La », « de La Boisse ».
    La,
    /// 4: « Les », « des Mées ».
    Les,
    /// 5: « L' », « de L'Escale ».
    L,
    /// 6: « Aux », « des Marais ».
    Aux,
    /// 7: « Las », « de Las … ».
    Las,
    /// 8: « Los », « de Los Masos ».
    Los,
}

impl TypeDeNom {
    /// The kind a digit stands for; `None` for anything else, as in the collectivities that INSEE leaves blank.
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "0" => Self::Consonne,
            "1" => Self::Voyelle,
            "2" => Self::Le,
            "3" => Self::La,
            "4" => Self::Les,
            "5" => Self::L,
            "6" => Self::Aux,
            "7" => Self::Las,
            "8" => Self::Los,
            _ => return None,
        })
    }
}

/// « de » and « à » contracted with the article of a name, and what follows it. « La », « L' », « Las » and « Los » contract
/// with nothing.
fn contraction(nom: &str) -> Option<(&'static str, &'static str, &str)> {
    let (article, rest) = nom.split_once(' ')?;
    match article {
        "Le" => Some(("du", "au", rest)),
        "Les" | "Aux" => Some(("des", "aux", rest)),
        "La" | "Las" | "Los" => Some(("de", "à", nom)),
        _ => None,
    }
}

/// Names that are a common noun first, as those of islands: « des Îles … », « à l'Archipel … ».
fn common_noun(nom: &str) -> Option<(&'static str, &'static str)> {
    match nom.split_once(' ')?.0 {
        "Îles" => Some(("des ", "aux ")),
        "Île" | "Archipel" => Some(("de l'", "à l'")),
        _ => None,
    }
}

/// Whether « de » loses its vowel before a name: vowels, and Y before a consonant (« d'Yvetot », « de Yaté »).
fn elides(nom: &str) -> bool {
    let mut letters = nom.chars();
    match letters.next() {
        Some('Y' | 'y') => letters.next().is_none_or(|next| !is_vowel(next)),
        Some(first) => is_vowel(first),
        None => false,
    }
}

fn is_vowel(letter: char) -> bool {
    "aàâäeéèêëiîïoôöuùûüœæAÀÂÄEÉÈÊËIÎÏOÔÖUÙÛÜŒÆ".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_forms() {
        for (nom, code, de, a) in [
            ("Balan", "0", "de Balan", "à Balan"),
            ("Aix", "1", "d'Aix", "à Aix"),
            ("Hirson", "1", "d'Hirson", "à Hirson"),
            ("Honfleur", "0", "de Honfleur", "à Honfleur"),
            ("Y", "1", "d'Y", "à Y"),
            ("Œuilly", "1", "d'Œuilly", "à Œuilly"),
            ("Le Plantay", "2", "du Plantay", "au Plantay"),
            ("La Rochelle", "3", "de La Rochelle", "à La Rochelle"),
            ("Les Mées", "4", "des Mées", "aux Mées"),
            ("L'Épine-aux-Bois", "5", "de L'Épine-aux-Bois", "à L'Épine-aux-Bois"),
            ("Aux Marais", "6", "des Marais", "aux Marais"),
            ("Los Masos", "8", "de Los Masos", "à Los Masos"),
        ] {
            let forms = NameForms::new(nom, TypeDeNom::from_code(code).expect(code));
            assert_eq!((forms.forme_de.as_str(), forms.forme_a.as_str()), (de, a), "{nom}");
        }
    }

    #[test]
    fn an_article_in_the_name_wins_over_its_kind() {
        assert_eq!(NameForms::new("Le Vernet-Chaméane", TypeDeNom::Consonne).forme_de, "du Vernet-Chaméane");
    }

    #[test]
    fn a_guess_needs_only_the_name() {
        for (nom, de, a) in [
            ("Arue", "d'Arue", "à Arue"),
            ("Hienghène", "de Hienghène", "à Hienghène"),
            ("Yaté", "de Yaté", "à Yaté"),
            ("Yvetot", "d'Yvetot", "à Yvetot"),
            ("Le Mont-Dore", "du Mont-Dore", "au Mont-Dore"),
            ("La Foa", "de La Foa", "à La Foa"),
            ("L'Île-des-Pins", "de L'Île-des-Pins", "à L'Île-des-Pins"),
            ("L’Île-des-Pins", "de L’Île-des-Pins", "à L’Île-des-Pins"),
            ("Île de Clipperton", "de l'Île de Clipperton", "à l'Île de Clipperton"),
            (
                "Îles Éparses de l'océan Indien",
                "des Îles Éparses de l'océan Indien",
                "aux Îles Éparses de l'océan Indien",
            ),
            (" Éguzon ", "d'Éguzon", "à Éguzon"),
            ("", "de ", "à "),
        ] {
            let forms = NameForms::guess(nom);
            assert_eq!((forms.forme_de.as_str(), forms.forme_a.as_str()), (de, a), "{nom}");
        }
    }
}
