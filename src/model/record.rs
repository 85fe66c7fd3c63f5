//! What the official lists say of a commune, before the mairie has written a word.

use super::names::NameForms;

/// A commune of INSEE's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommuneRecord {
    /// INSEE code, five characters, `2A004` and `97105` included (INSEE, Code officiel géographique).
    pub code_insee: String,
    /// Name with its right article, and its « de » and « à » forms.
    pub names: NameForms,
    /// Postal codes, the list's first one first; empty for the Terres australes.
    pub postal_codes: Vec<String>,
    /// Code of the département or overseas collectivity, `01`, `2A`, `987`.
    pub departement_code: String,
    /// Name of the département or overseas collectivity.
    pub departement: String,
    /// Name of the region; that of the collectivity where there is none.
    pub region: String,
    /// SIREN of the commune, nine digits; the list does not hold those of the collectivities.
    pub siren: Option<String>,
    /// The EPCI it belongs to.
    pub epci: Option<Epci>,
    /// Legal population.
    pub population: Option<u32>,
    /// IANA time zone, `Indian/Reunion`.
    pub fuseau: &'static str,
    /// Whether the local holidays of Alsace-Moselle apply.
    pub alsace_moselle: bool,
}

/// A grouping of communes (CGCT, art. L5210-1-1 A).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epci {
    /// SIREN, nine digits.
    pub siren: String,
    /// Full name, « Communauté de communes de la Dombes ».
    pub nom: String,
}

impl Epci {
    /// The name written in full out of the list's, « CC de la Dombes ». The kind is dropped where the name already says it:
    /// « CA Vitré Communauté » is « Vitré Communauté ».
    pub fn full_name(listed: &str) -> String {
        let listed = listed.split_whitespace().collect::<Vec<_>>().join(" ").replace("''", "\"");
        let (kind, rest) = match listed.split_once(' ') {
            Some(("CC", rest)) => ("Communauté de communes", rest),
            Some(("CA", rest)) => ("Communauté d'agglomération", rest),
            Some(("CU", rest)) => ("Communauté urbaine", rest),
            _ => return french_quotes(&listed),
        };
        let whole = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(rest);
        if let Some(rest) = whole.strip_prefix("Intercommunale ") {
            return format!("Communauté intercommunale {rest}");
        }
        let complement = ["de ", "du ", "des ", "d'"].iter().any(|start| whole.starts_with(start));
        let self_named = SELF_NAMED.iter().any(|word| whole.contains(word));
        french_quotes(&if self_named && !complement { whole.to_owned() } else { format!("{kind} {whole}") })
    }
}

/// Words by which an EPCI's name says by itself what it is.
const SELF_NAMED: [&str; 4] = ["Agglo", "Communauté", "Métropole", "Interco"];

fn french_quotes(text: &str) -> String {
    let mut opening = true;
    let mut quoted = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' if opening => quoted.push_str("«\u{a0}"),
            '"' => quoted.push_str("\u{a0}»"),
            _ => quoted.push(letter),
        }
        opening ^= letter == '"';
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_epci_is_written_in_full() {
        for (listed, full) in [
            ("CC de la Dombes", "Communauté de communes de la Dombes"),
            ("CC Dombes Saône Vallée", "Communauté de communes Dombes Saône Vallée"),
            ("CA du Bassin de Brive", "Communauté d'agglomération du Bassin de Brive"),
            ("CU d'Arras", "Communauté urbaine d'Arras"),
            ("CA Vitré Communauté", "Vitré Communauté"),
            ("CA Agglomération d'Agen", "Agglomération d'Agen"),
            ("CU Le Mans Métropole", "Le Mans Métropole"),
            ("CA de Nîmes Métropole", "Communauté d'agglomération de Nîmes Métropole"),
            ("CA de Blois ''Agglopolys''", "Communauté d'agglomération de Blois «\u{a0}Agglopolys\u{a0}»"),
            ("CA \"Saintes - Grandes Rives - L'Agglo\"", "Saintes - Grandes Rives - L'Agglo"),
            ("CA Intercommunale de la Réunion Est (CIREST)", "Communauté intercommunale de la Réunion Est (CIREST)"),
            ("Métropole de Lyon", "Métropole de Lyon"),
            (
                "CC Alpes-Provence-Verdon \"Sources de lumière\"",
                "Communauté de communes Alpes-Provence-Verdon «\u{a0}Sources de lumière\u{a0}»",
            ),
        ] {
            assert_eq!(Epci::full_name(listed), full);
        }
    }
}
