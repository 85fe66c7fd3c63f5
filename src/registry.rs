//! Finds a commune in INSEE's lists, embedded in the binary: by its code, by the code of a commune it absorbed, by its name.
//!
//! Nothing is decoded until something is asked, and a search by code stops at its line. Never guesses: what was typed either is
//! a commune or comes back with those it may have meant.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use serde::Deserialize;
use thiserror::Error;

use crate::embedded;
use crate::model::names::{NameForms, TypeDeNom};
use crate::model::record::{CommuneRecord, Epci};
use crate::text::slug::slug;

/// A commune and, when the code asked for is that of an absorbed one, which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The present commune.
    pub commune: CommuneRecord,
    /// The commune whose code was given and that is now part of it under another name or code.
    pub former: Option<FormerCommune>,
}

/// A commune déléguée or associée, or a municipal arrondissement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerCommune {
    /// Its INSEE code.
    pub code_insee: String,
    /// Its name.
    pub nom: String,
    /// What it has become.
    pub kind: FormerKind,
}

/// What became of a former commune.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormerKind {
    /// Part of a commune nouvelle (CGCT, art. L2113-10).
    CommuneDeleguee,
    /// Associated by a merger of the seventies.
    CommuneAssociee,
    /// Arrondissement of Paris, Lyon or Marseille; it never was a commune.
    ArrondissementMunicipal,
}

/// A commune that may have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its INSEE code.
    pub code_insee: String,
    /// Its name.
    pub nom: String,
    /// Its département or collectivity.
    pub departement: String,
    /// Its first postal code; empty when it has none.
    pub postal_code: String,
    /// The former name it was found by, when its own does not answer.
    pub formerly: Option<String>,
}

/// Why a code leads to no commune.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// Not the shape of an INSEE code.
    #[error("« {typed} » n'est pas un code INSEE : il a cinq caractères, comme 01299 ou 2A004")]
    NotACode {
        /// What was typed.
        typed: String,
        /// Communes of that name, the likeliest first.
        candidates: Vec<Candidate>,
    },
    /// A postal code that is no INSEE code.
    #[error("« {typed} » est un code postal, pas un code INSEE")]
    PostalCode {
        /// What was typed.
        typed: String,
        /// The communes it serves.
        candidates: Vec<Candidate>,
    },
    /// The shape of a code, and no commune.
    #[error("aucune commune n'a le code INSEE « {typed} »")]
    Unknown {
        /// What was typed.
        typed: String,
        /// Communes whose code differs by one character or one swap.
        candidates: Vec<Candidate>,
    },
    /// The embedded lists cannot be read: the binary is damaged.
    #[error("les listes de communes du programme sont illisibles : réinstallez Mulot")]
    Damaged(String),
}

impl RegistryError {
    /// The communes that may have been meant.
    pub fn candidates(&self) -> &[Candidate] {
        match self {
            Self::NotACode { candidates, .. }
            | Self::PostalCode { candidates, .. }
            | Self::Unknown { candidates, .. } => candidates,
            Self::Damaged(_) => &[],
        }
    }
}

/// The commune of an INSEE code, present or absorbed. A missing first zero is put back (« 1299 »).
///
/// # Errors
/// [`RegistryError::NotACode`] for another shape, [`RegistryError::PostalCode`] and [`RegistryError::Unknown`] for a code that is
/// no commune's.
pub fn by_code(typed: &str) -> Result<Found, RegistryError> {
    let typed = typed.trim();
    let Some(code) = normalized_code(typed) else {
        let mut candidates = search(typed, None)?;
        candidates.truncate(CANDIDATES);
        return Err(RegistryError::NotACode { typed: typed.to_owned(), candidates });
    };
    let former = former_rows()?.into_iter().find(|former| former.insee == code);
    let target = former.as_ref().map_or(code.as_str(), |former| former.commune_insee.as_str());
    match row(target)? {
        Some(row) => {
            let commune = row.record();
            let former = former.map(FormerCommune::from);
            let former = former.filter(|was| was.code_insee != commune.code_insee || was.nom != commune.names.nom);
            Ok(Found { commune, former })
        }
        None => Err(unknown(code)?),
    }
}

/// The communes of a name, then those whose name begins so, then those that hold it; absorbed ones lead to the present commune.
/// With a postal code, only those it serves. Accents, capitals, hyphens and articles do not matter, « st » is « saint ».
///
/// # Errors
/// [`RegistryError::Damaged`] only.
pub fn search(nom: &str, postal_code: Option<&str>) -> Result<Vec<Candidate>, RegistryError> {
    let wanted = if nom.trim().is_empty() { String::new() } else { folded(nom) };
    if wanted.is_empty() && postal_code.is_none() {
        return Ok(Vec::new());
    }
    let mut formers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for former in former_rows()? {
        formers.entry(former.commune_insee).or_default().push(former.nom);
    }
    let mut ranked: Vec<(Rank, Row, Option<String>)> = Vec::new();
    for row in rows() {
        let row = row?;
        if postal_code.is_some_and(|code| !row.codes_postaux.split('|').any(|served| served == code.trim())) {
            continue;
        }
        let former_names = formers.get(&row.insee).into_iter().flatten();
        let own = Rank::of(&row.nom, &wanted).map(|rank| (rank, None));
        let former = former_names.filter_map(|name| Some((Rank::of(name, &wanted)?, Some(name.clone()))));
        if let Some((rank, formerly)) = own.into_iter().chain(former).min_by_key(|(rank, _)| *rank) {
            ranked.push((rank, row, formerly));
        }
    }
    ranked.sort_by(|(rank, row, _), (other_rank, other, _)| {
        let population = |row: &Row| std::cmp::Reverse(row.population.unwrap_or(0));
        (rank, population(row), &row.insee).cmp(&(other_rank, population(other), &other.insee))
    });
    Ok(ranked.into_iter().map(|(_, row, formerly)| Candidate { formerly, ..row.candidate() }).collect())
}

/// What an EPCI's SIREN or name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundEpci {
    /// One EPCI, with its communes in order of name.
    One(Epci, Vec<CommuneRecord>),
    /// None, or several, each with the number of its communes.
    Candidates(Vec<(Epci, usize)>),
}

/// The EPCI of a SIREN, of a name, or the only one whose name holds what was typed.
///
/// # Errors
/// [`RegistryError::Damaged`] only.
pub fn by_epci(typed: &str) -> Result<FoundEpci, RegistryError> {
    let mut known: BTreeMap<String, (Epci, Vec<CommuneRecord>)> = BTreeMap::new();
    for commune in all()? {
        if let Some(epci) = commune.epci.clone() {
            known.entry(epci.siren.clone()).or_insert_with(|| (epci, Vec::new())).1.push(commune);
        }
    }
    let siren: String = typed.chars().filter(|letter| !letter.is_whitespace()).collect();
    let wanted = folded(typed);
    let exact = known.values().find(|(epci, _)| epci.siren == siren || folded(&epci.nom) == wanted);
    let exact = exact.map(|(epci, _)| epci.siren.clone());
    known.retain(|siren, (epci, _)| match &exact {
        Some(exact) => siren == exact,
        None => !wanted.is_empty() && folded(&epci.nom).contains(&wanted),
    });
    let mut found: Vec<_> = known.into_values().collect();
    match found.pop() {
        Some((epci, mut communes)) if found.is_empty() => {
            communes.sort_by_cached_key(|commune| slug(&commune.names.nom));
            Ok(FoundEpci::One(epci, communes))
        }
        last => Ok(FoundEpci::Candidates(
            found.into_iter().chain(last).map(|(epci, communes)| (epci, communes.len())).collect(),
        )),
    }
}

/// Every present commune, in order of code.
///
/// # Errors
/// [`RegistryError::Damaged`] only.
pub fn all() -> Result<Vec<CommuneRecord>, RegistryError> {
    rows().map(|row| row.map(|row| row.record())).collect()
}

/// How well a name answers a search; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Same,
    Begins,
    Holds,
}

impl Rank {
    fn of(name: &str, wanted: &str) -> Option<Rank> {
        let name = folded(name);
        let bare = ["le ", "la ", "les ", "l ", "aux ", "las ", "los "]
            .iter()
            .find_map(|article| name.strip_prefix(article))
            .unwrap_or(&name);
        if name == wanted || bare == wanted {
            Some(Rank::Same)
        } else if name.starts_with(wanted) || bare.starts_with(wanted) {
            Some(Rank::Begins)
        } else if name.contains(wanted) {
            Some(Rank::Holds)
        } else {
            None
        }
    }
}

/// A line of `communes.csv.gz`.
#[derive(Debug, Deserialize)]
struct Row {
    insee: String,
    nom: String,
    tncc: String,
    codes_postaux: String,
    departement: String,
    region: String,
    siren: String,
    epci_siren: String,
    epci_nom: String,
    population: Option<u32>,
}

impl Row {
    fn record(self) -> CommuneRecord {
        let names = TypeDeNom::from_code(&self.tncc)
            .map_or_else(|| NameForms::guess(&self.nom), |kind| NameForms::new(&self.nom, kind));
        let departement = departement_name(&self.departement);
        let region = region_name(&self.region).unwrap_or(departement);
        CommuneRecord {
            names,
            postal_codes: self.codes_postaux.split('|').filter(|code| !code.is_empty()).map(str::to_owned).collect(),
            departement: departement.to_owned(),
            region: region.to_owned(),
            siren: (!self.siren.is_empty()).then_some(self.siren),
            epci: (!self.epci_nom.is_empty())
                .then(|| Epci { siren: self.epci_siren, nom: Epci::full_name(&self.epci_nom) }),
            population: self.population,
            fuseau: time_zone(&self.departement, &self.insee),
            alsace_moselle: matches!(self.departement.as_str(), "57" | "67" | "68"),
            departement_code: self.departement,
            code_insee: self.insee,
        }
    }

    fn candidate(self) -> Candidate {
        Candidate {
            formerly: None,
            departement: departement_name(&self.departement).to_owned(),
            postal_code: self.codes_postaux.split('|').next().unwrap_or_default().to_owned(),
            code_insee: self.insee,
            nom: self.nom,
        }
    }
}

/// A line of `communes_anciennes.csv.gz`.
#[derive(Debug, Deserialize)]
struct FormerRow {
    insee: String,
    nom: String,
    #[serde(rename = "type")]
    kind: FormerKind,
    commune_insee: String,
}

impl From<FormerRow> for FormerCommune {
    fn from(row: FormerRow) -> Self {
        FormerCommune { code_insee: row.insee, nom: row.nom, kind: row.kind }
    }
}

fn reader(gzipped: &'static [u8]) -> csv::Reader<impl Read> {
    csv::ReaderBuilder::new().delimiter(b';').from_reader(GzDecoder::new(gzipped))
}

fn rows() -> impl Iterator<Item = Result<Row, RegistryError>> {
    reader(embedded::COMMUNES).into_deserialize().map(|row| row.map_err(damaged))
}

fn former_rows() -> Result<Vec<FormerRow>, RegistryError> {
    reader(embedded::FORMER_COMMUNES).into_deserialize().collect::<Result<_, _>>().map_err(damaged)
}

/// The line of a code. The list is sorted: reading stops where the code would be.
fn row(code: &str) -> Result<Option<Row>, RegistryError> {
    let mut reader = reader(embedded::COMMUNES);
    let headers = reader.headers().map_err(damaged)?.clone();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(damaged)? {
        let here = record.get(0).unwrap_or_default();
        if here == code {
            return record.deserialize(Some(&headers)).map(Some).map_err(damaged);
        }
        if here > code {
            break;
        }
    }
    Ok(None)
}

fn damaged(error: csv::Error) -> RegistryError {
    RegistryError::Damaged(error.to_string())
}

/// Five characters, capital letters, first zero put back; `None` for another shape.
fn normalized_code(typed: &str) -> Option<String> {
    let code = typed.to_ascii_uppercase().replace(' ', "");
    let code = if code.len() == 4 { format!("0{code}") } else { code };
    let corsican = code.starts_with("2A") || code.starts_with("2B");
    let digits = if corsican { code.get(2..)? } else { code.as_str() };
    (code.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
}

/// Says why a well-formed code leads nowhere: a postal code, or a slip of the hand.
fn unknown(code: String) -> Result<RegistryError, RegistryError> {
    let mut served = search("", Some(&code))?;
    if !served.is_empty() {
        served.truncate(CANDIDATES);
        return Ok(RegistryError::PostalCode { typed: code, candidates: served });
    }
    let mut candidates = Vec::new();
    for row in rows() {
        let row = row?;
        if is_a_slip(row.insee.as_bytes(), code.as_bytes()) {
            candidates.push(row.candidate());
        }
    }
    candidates.sort_by_key(|candidate| (candidate.code_insee[..2] != code[..2], candidate.code_insee.clone()));
    candidates.truncate(CANDIDATES);
    Ok(RegistryError::Unknown { typed: code, candidates })
}

/// Whether two codes of one length differ by one character, or by two neighbours swapped.
fn is_a_slip(code: &[u8], typed: &[u8]) -> bool {
    let differing: Vec<_> = (0..code.len().min(typed.len())).filter(|at| code[*at] != typed[*at]).collect();
    match differing[..] {
        [_] => true,
        [first, second] => second == first + 1 && code[first] == typed[second] && code[second] == typed[first],
        _ => false,
    }
}

/// A name reduced to what people type: lower case, without accents, words parted by one space, « st » as « saint ».
fn folded(name: &str) -> String {
    let slug = slug(name);
    let words = slug.split('-').map(|word| match word {
        "st" => "saint",
        "ste" => "sainte",
        other => other,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn departement_name(code: &str) -> &'static str {
    let lines = embedded::DEPARTEMENTS.lines().skip(1);
    lines
        .filter_map(|line| line.split_once(';'))
        .find(|(here, _)| *here == code)
        .map_or("", |(_, rest)| rest.split(';').next().unwrap_or_default())
}

/// Name of an INSEE region; `None` for the collectivities that belong to none.
fn region_name(code: &str) -> Option<&'static str> {
    Some(match code {
        "01" => "Guadeloupe",
        "02" => "Martinique",
        "03" => "Guyane",
        "04" => "La Réunion",
        "06" => "Mayotte",
        "11" => "Île-de-France",
        "24" => "Centre-Val de Loire",
        "27" => "Bourgogne-Franche-Comté",
        "28" => "Normandie",
        "32" => "Hauts-de-France",
        "44" => "Grand Est",
        "52" => "Pays de la Loire",
        "53" => "Bretagne",
        "75" => "Nouvelle-Aquitaine",
        "76" => "Occitanie",
        "84" => "Auvergne-Rhône-Alpes",
        "93" => "Provence-Alpes-Côte d'Azur",
        "94" => "Corse",
        _ => return None,
    })
}

/// Legal time of a commune, as an IANA zone. Clipperton has none: its offset stands for it.
fn time_zone(departement: &str, code_insee: &str) -> &'static str {
    match (departement, code_insee) {
        ("971", _) => "America/Guadeloupe",
        ("972", _) => "America/Martinique",
        ("973", _) => "America/Cayenne",
        ("974", _) => "Indian/Reunion",
        ("975", _) => "America/Miquelon",
        ("976", _) => "Indian/Mayotte",
        ("977", _) => "America/St_Barthelemy",
        ("978", _) => "America/Marigot",
        ("984", "98414") => "Antarctica/DumontDUrville",
        ("984", "98415") => "Indian/Mayotte",
        ("984", _) => "Indian/Kerguelen",
        ("986", _) => "Pacific/Wallis",
        ("987", "98718" | "98723" | "98731" | "98746" | "98756" | "98757") => "Pacific/Marquesas",
        ("987", "98719") => "Pacific/Gambier",
        ("987", _) => "Pacific/Tahiti",
        ("988", _) => "Pacific/Noumea",
        ("989", _) => "Etc/GMT+8",
        _ => "Europe/Paris",
    }
}

/// How many candidates an error names at most.
const CANDIDATES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn found(code: &str) -> Found {
        by_code(code).expect(code)
    }

    fn names(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().map(|candidate| candidate.nom.as_str()).collect()
    }

    #[test]
    fn a_commune_is_found_with_all_that_is_known_of_it() {
        let Found { commune, former } = found("01299");
        assert_eq!(former, None);
        assert_eq!(
            commune,
            CommuneRecord {
                code_insee: "01299".to_owned(),
                names: NameForms::new("Le Plantay", TypeDeNom::Le),
                postal_codes: vec!["01330".to_owned()],
                departement_code: "01".to_owned(),
                departement: "Ain".to_owned(),
                region: "Auvergne-Rhône-Alpes".to_owned(),
                siren: Some("210102992".to_owned()),
                epci: Some(Epci {
                    siren: "200069193".to_owned(),
                    nom: "Communauté de communes de la Dombes".to_owned()
                }),
                population: Some(559),
                fuseau: "Europe/Paris",
                alsace_moselle: false,
            }
        );
    }

    #[test]
    fn interesting_names_have_their_forms() {
        let codes = "01299 02281 04116 13001 17300 2A004 60703 63448 66104 72181 76351 80829 97411 97502 98719 98731 98735 98809 \
                     98832 98901";
        let table: Vec<_> = codes
            .split_whitespace()
            .map(|code| {
                let CommuneRecord { names, fuseau, .. } = found(code).commune;
                format!("{code} {} · {} · {fuseau}", names.forme_de, names.forme_a)
            })
            .collect();
        let expected = [
            "01299 du Plantay · au Plantay · Europe/Paris",
            "02281 de L'Épine-aux-Bois · à L'Épine-aux-Bois · Europe/Paris",
            "04116 des Mées · aux Mées · Europe/Paris",
            "13001 d'Aix-en-Provence · à Aix-en-Provence · Europe/Paris",
            "17300 de La Rochelle · à La Rochelle · Europe/Paris",
            "2A004 d'Ajaccio · à Ajaccio · Europe/Paris",
            "60703 des Marais · aux Marais · Europe/Paris",
            "63448 du Vernet-Chaméane · au Vernet-Chaméane · Europe/Paris",
            "66104 de Los Masos · à Los Masos · Europe/Paris",
            "72181 du Mans · au Mans · Europe/Paris",
            "76351 du Havre · au Havre · Europe/Paris",
            "80829 d'Y · à Y · Europe/Paris",
            "97411 de Saint-Denis · à Saint-Denis · Indian/Reunion",
            "97502 de Saint-Pierre · à Saint-Pierre · America/Miquelon",
            "98719 de Gambier · à Gambier · Pacific/Gambier",
            "98731 de Nuku-Hiva · à Nuku-Hiva · Pacific/Marquesas",
            "98735 de Papeete · à Papeete · Pacific/Tahiti",
            "98809 de L'Île-des-Pins · à L'Île-des-Pins · Pacific/Noumea",
            "98832 de Yaté · à Yaté · Pacific/Noumea",
            "98901 de l'Île de Clipperton · à l'Île de Clipperton · Etc/GMT+8",
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn every_commune_has_right_forms_and_facts() {
        let communes = all().expect("the list");
        assert_eq!(communes.len(), 34_969);
        assert!(
            communes.windows(2).all(|pair| pair[0].code_insee < pair[1].code_insee),
            "sorted, or lookups would miss"
        );
        for commune in &communes {
            let NameForms { nom, forme_de, forme_a } = &commune.names;
            for form in [nom, forme_de, forme_a] {
                assert_eq!(form, form.trim());
                assert!(!form.contains("  ") && !form.contains(['"', ';', '\n']), "{form}");
                for wrong in ["de Le ", "de Les ", "à Le ", "à Les ", "de Aux ", "d'H ", "d' ", "d'L"] {
                    assert!(!form.starts_with(wrong), "{form}");
                }
            }
            let name_end = nom.rsplit(' ').next().expect("a name");
            assert!(forme_de.ends_with(name_end) && forme_a.ends_with(name_end), "{nom}");
            assert!(["de ", "d'", "du ", "des "].iter().any(|start| forme_de.starts_with(start)), "{forme_de}");
            assert!(["à ", "au ", "aux "].iter().any(|start| forme_a.starts_with(start)), "{forme_a}");
            assert!(jiff::tz::TimeZone::get(commune.fuseau).is_ok(), "{}", commune.fuseau);
            assert!(!commune.departement.is_empty() && !commune.region.is_empty(), "{nom}");
            assert!(commune.postal_codes.iter().all(|code| code.len() == 5), "{nom}");
            assert!(commune.siren.as_ref().is_none_or(|siren| siren.len() == 9), "{nom}");
            if let Some(epci) = &commune.epci {
                assert!(!epci.nom.starts_with("CC ") && !epci.nom.contains("  "), "{}", epci.nom);
            }
        }
        assert_eq!(communes.iter().filter(|commune| commune.alsace_moselle).count(), 1_605);
        let overseas: BTreeSet<_> = communes.iter().map(|commune| commune.fuseau).collect();
        assert_eq!(overseas.len(), 17);
    }

    #[test]
    fn the_guess_agrees_with_the_list_wherever_no_h_is_heard() {
        for commune in all().expect("the list") {
            let guessed = NameForms::guess(&commune.names.nom);
            if !commune.names.nom.starts_with(['H', 'Y']) {
                assert_eq!(guessed, commune.names);
            }
        }
    }

    #[test]
    fn every_absorbed_code_leads_to_a_present_commune() {
        let present: BTreeSet<_> = all().expect("the list").into_iter().map(|commune| commune.code_insee).collect();
        let formers = former_rows().expect("the list");
        assert_eq!(formers.len(), 2_621);
        assert!(formers.iter().all(|former| present.contains(&former.commune_insee)));
    }

    #[test]
    fn an_absorbed_code_says_what_it_was() {
        let arbignieu = found("01015");
        assert_eq!(arbignieu.commune.names.nom, "Arboys en Bugey");
        assert_eq!(arbignieu.former.expect("a former commune").nom, "Arbignieu");
        let first = found("13201");
        assert_eq!(first.commune.names.nom, "Marseille");
        assert_eq!(first.former.expect("an arrondissement").kind, FormerKind::ArrondissementMunicipal);
    }

    #[test]
    fn codes_are_taken_as_people_type_them() {
        assert_eq!(found(" 1299 ").commune.code_insee, "01299");
        assert_eq!(found("2a004").commune.names.nom, "Ajaccio");
    }

    #[test]
    fn a_wrong_code_brings_back_what_may_have_been_meant() {
        let RegistryError::PostalCode { candidates, .. } = by_code("01990").expect_err("a postal code") else {
            panic!("a postal code")
        };
        assert!(names(&candidates).contains(&"Saint-Trivier-sur-Moignans"));
        let RegistryError::Unknown { candidates, .. } = by_code("01992").expect_err("unknown") else {
            panic!("unknown")
        };
        assert_eq!(names(&candidates)[..2], ["Châtillon-la-Palud", "Izernore"]);
        let RegistryError::NotACode { candidates, .. } = by_code("le plantay").expect_err("a name") else {
            panic!("a name")
        };
        assert_eq!(names(&candidates), ["Le Plantay"]);
        for wrong in ["", "é1299", "2Aé04", "012999", "ABCDE", "75-56"] {
            assert!(matches!(by_code(wrong), Err(RegistryError::NotACode { .. })), "{wrong}");
        }
    }

    #[test]
    fn names_are_found_as_people_type_them() {
        let search = |nom, postal| search(nom, postal).expect("the list");
        assert_eq!(names(&search("plantay", None)), ["Le Plantay"]);
        assert_eq!(names(&search("Le  PLANTAY", Some("01330"))), ["Le Plantay"]);
        assert_eq!(names(&search("st etienne", None))[0], "Saint-Étienne");
        assert_eq!(names(&search("Arbignieu", None)), ["Arboys en Bugey"]);
        assert!(search("Le Plantay", Some("75001")).is_empty());
        assert!(search("", None).is_empty());
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(48))]
        #[test]
        fn nothing_typed_breaks_the_registry(typed in "\\PC{0,12}") {
            let _ = normalized_code(&typed).map(|code| row(&code));
            let _ = NameForms::guess(&typed);
            let _ = Rank::of(&typed, &folded(&typed));
        }
    }
}
