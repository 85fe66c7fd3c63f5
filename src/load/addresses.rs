//! Reads `adresses.csv`, the commune's own address file (Base Adresse Locale).
//!
//! Nothing in it can stop the site: at worst nothing is offered to who types an address. Reads columns by name, in any order,
//! and never looks at the others.

use std::collections::BTreeMap;

use super::decode;
use crate::diagnostic::{Code, Diagnostic, Place, Severity};
use crate::model::addresses::{AddressBook, AddressRow};
use crate::model::commune::Commune;
use crate::model::content::Layer;
use crate::text::numbers::{file_size, plural};

/// Name of the file, at the root of a layer.
pub(super) const FILE: &str = "adresses.csv";

/// Bytes read at most: ten times the file of a city of 100 000 inhabitants.
pub(super) const BYTES_MAX: u64 = 64 << 20;
/// Rows told one by one; a file that a spreadsheet has spoilt is wrong on each of its lines.
const TOLD_MAX: usize = 8;
/// Characters of a name; longer is a quotation mark that was not closed.
const NAME_MAX: usize = 100;
/// Number that says « a street or a hamlet without number ».
const NO_NUMBER: u32 = 99_999;

/// Where to get it right.
const TAKE_AGAIN: &str = "reprenez le fichier « Base adresse locale » de la commune sur adresse.data.gouv.fr, sans l'ouvrir dans un tableur, et nommez-le adresses.csv";

/// What the file knows of the commune; empty, told, when it cannot be used.
pub(super) fn address_book(
    layer: Layer,
    bytes: &[u8],
    commune: &Commune,
    diagnostics: &mut Vec<Diagnostic>,
) -> AddressBook {
    let mut told = Vec::new();
    let text = decode(FILE, bytes, &mut told);
    // A spreadsheet that wrote the file again must not keep the site from being built.
    diagnostics
        .extend(told.into_iter().map(|told| Diagnostic { severity: Severity::Warning, ..told }.hint(TAKE_AGAIN)));
    let Some(text) = text else { return AddressBook::default() };
    let Some(columns) = Columns::of(&text, diagnostics) else { return AddressBook::default() };
    let mut rows = Rows { columns, commune, own: Vec::new(), others: BTreeMap::new(), wrong: Vec::new() };
    rows.read(&text);
    rows.tell(layer, diagnostics);
    AddressBook::of(rows.own)
}

/// A file that no commune's addresses fill.
pub(super) fn too_large() -> Diagnostic {
    let message = format!("ce fichier pèse plus de {} : aucune adresse n'est proposée", file_size(BYTES_MAX));
    Diagnostic::warning(Code::NotAddresses, Place::file(FILE), message)
        .hint("mettez-y les adresses de votre seule commune")
}

/// A file of addresses under the name it was downloaded with.
pub(super) fn misnamed(path: &str) -> Option<Diagnostic> {
    let name = path.to_lowercase();
    let stem = name.strip_suffix(".csv").filter(|stem| !stem.contains('/'))?;
    let near = stem.starts_with("adresses") || stem.split(['-', '_', ' ', '.']).next() == Some("bal");
    (near && path != FILE).then(|| {
        Diagnostic::warning(
            Code::Misplaced,
            Place::file(path),
            "ce fichier d'adresses n'est pas lu : il a un autre nom",
        )
        .hint(format!("renommez-le en {FILE}, ou supprimez-le s'il y en a déjà un"))
    })
}

/// Where the columns stand.
struct Columns {
    separator: u8,
    way: usize,
    number: usize,
    suffix: Option<usize>,
    hamlet: Option<usize>,
    insee: Option<usize>,
    key: Option<usize>,
    commune: Option<usize>,
}

impl Columns {
    /// Those of the first line; `None`, told, when it is not that of an address file.
    fn of(text: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Columns> {
        let first = text.lines().next().unwrap_or_default();
        let separator = [';', ',', '\t'].into_iter().find(|separator| first.contains(*separator)).unwrap_or(';');
        let names: Vec<String> =
            first.split(separator).map(|name| name.trim().trim_matches('"').trim().to_lowercase()).collect();
        let column = |name: &str| names.iter().position(|other| other == name);
        let place = || Place::line(FILE, 1);
        let (Some(way), Some(number)) = (column("voie_nom"), column("numero")) else {
            diagnostics.push(Self::refused(place(), &column));
            return None;
        };
        if separator != ';' {
            let with = if separator == ',' { "des virgules" } else { "des tabulations" };
            let message = format!("les colonnes sont séparées par {with} et non par des points-virgules");
            diagnostics
                .push(Diagnostic::warning(Code::NotAddresses, place(), message).hint(format!(
                    "le fichier est lu tout de même ; un tableur l'a sans doute réécrit : {TAKE_AGAIN}"
                )));
        }
        Some(Columns {
            separator: separator as u8,
            way,
            number,
            suffix: column("suffixe"),
            hamlet: column("lieudit_complement_nom"),
            insee: column("commune_insee"),
            key: column("cle_interop"),
            commune: column("commune_nom"),
        })
    }

    fn refused(place: Place, column: &dyn Fn(&str) -> Option<usize>) -> Diagnostic {
        let missing: Vec<&str> = ["voie_nom", "numero"].into_iter().filter(|name| column(name).is_none()).collect();
        let known = ["cle_interop", "commune_insee", "commune_nom", "voie_nom", "suffixe"];
        let message = match missing[..] {
            [name] => format!("il manque la colonne « {name} » : aucune adresse n'est proposée"),
            _ if known.iter().any(|name| column(name).is_some()) && column("nom_voie").is_none() => {
                "il manque les colonnes « voie_nom » et « numero » : aucune adresse n'est proposée".to_owned()
            }
            _ => "ce fichier n'est pas une base adresse locale : aucune adresse n'est proposée".to_owned(),
        };
        let hint = if column("nom_voie").is_some() {
            format!("c'est le format de la Base adresse nationale ; {TAKE_AGAIN}")
        } else {
            format!("la première ligne nomme les colonnes, dont voie_nom et numero ; {TAKE_AGAIN}")
        };
        Diagnostic::warning(Code::NotAddresses, place, message).hint(hint)
    }
}

/// The rows of a file, as they are read.
struct Rows<'a> {
    columns: Columns,
    commune: &'a Commune,
    own: Vec<AddressRow>,
    /// Rows of other communes by code: how many, the first line, the name.
    others: BTreeMap<String, (u64, u32, String)>,
    /// What could not be read: line, why.
    wrong: Vec<(u32, String)>,
}

impl Rows<'_> {
    fn read(&mut self, text: &str) {
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.delimiter(self.columns.separator).flexible(true).from_reader(text.as_bytes());
        let mut record = csv::StringRecord::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                // What stops the reader, once the text is known to be UTF-8, does not let go by itself.
                Err(error) => {
                    let line = error.position().map_or(0, |position| position.line() as u32);
                    self.wrong.push((line, "elle n'est pas lisible".to_owned()));
                    break;
                }
            }
            let line = record.position().map_or(0, |position| position.line() as u32);
            if let Err(why) = self.row(line, &record) {
                self.wrong.push((line, why));
            }
        }
    }

    fn row(&mut self, line: u32, record: &csv::StringRecord) -> Result<(), String> {
        let columns = &self.columns;
        let cell = |column: Option<usize>| column.and_then(|at| record.get(at)).unwrap_or_default().trim();
        if record.iter().any(|cell| cell.contains('\n')) {
            return Err("un guillemet n'y est pas fermé".to_owned());
        }
        let code = match cell(columns.insee) {
            // Files of the first versions of the format have the code in the key only.
            "" => cell(columns.key).split('_').next().unwrap_or_default(),
            code => code,
        };
        let own = &self.commune.code_insee;
        if !code.is_empty() && !own.is_empty() && !code.eq_ignore_ascii_case(own) {
            let first = || (0, line, cell(columns.commune).to_owned());
            self.others.entry(code.to_owned()).or_insert_with(first).0 += 1;
            return Ok(());
        }
        let way = name(cell(Some(columns.way)))?;
        if way.is_empty() {
            return Err("le nom de la voie est vide".to_owned());
        }
        let written = cell(Some(columns.number));
        let number = written.parse::<u32>().ok().filter(|number| *number <= NO_NUMBER);
        let number = number.ok_or_else(|| match written {
            "" => "le numéro est vide".to_owned(),
            _ => format!("« {} » n'est pas un numéro", written.chars().take(20).collect::<String>()),
        })?;
        let (suffix, hamlet) = (name(cell(columns.suffix))?, name(cell(columns.hamlet))?);
        self.own.push(AddressRow { way, number: (number != NO_NUMBER).then_some(number), suffix, hamlet });
        Ok(())
    }

    fn tell(&mut self, layer: Layer, diagnostics: &mut Vec<Diagnostic>) {
        for (line, why) in self.wrong.iter().take(TOLD_MAX) {
            let message = format!("cette ligne est laissée de côté : {why}");
            diagnostics.push(
                Diagnostic::warning(Code::BadAddressRow, Place::line(FILE, *line), message)
                    .hint("corrigez l'adresse dans mes-adresses.data.gouv.fr, puis reprenez le fichier"),
            );
        }
        let more = self.wrong.len().saturating_sub(TOLD_MAX) as u64;
        if more > 0 {
            let left = plural(more, "autre ligne est laissée de côté", "autres lignes sont laissées de côté");
            let message = format!("{left} dans ce fichier");
            diagnostics.push(Diagnostic::warning(Code::BadAddressRow, Place::file(FILE), message).hint(TAKE_AGAIN));
        }
        // The file of a territoire holds all of its communes: only one that forgets this one is worth a word.
        let silent = layer != Layer::Commune && !self.own.is_empty();
        let Some((code, (_, line, name))) = self.others.iter().next().filter(|_| !silent) else { return };
        let count: u64 = self.others.values().map(|(count, ..)| count).sum();
        let whose = if name.is_empty() { code.clone() } else { format!("{name} ({code})") };
        let many = if self.others.len() > 1 { " et d'autres communes" } else { "" };
        let message = if self.own.is_empty() {
            format!("ce fichier est celui de {whose}{many} : aucune adresse n'est proposée")
        } else {
            let left = plural(count, "ligne est laissée de côté", "lignes sont laissées de côté");
            format!("{left} : la première est de {whose}{many}")
        };
        let own = &self.commune.code_insee;
        diagnostics.push(
            Diagnostic::warning(Code::OtherCommune, Place::line(FILE, *line), message)
                .hint(format!("le code INSEE de commune.toml est {own} : corrigez-le s'il est faux, ou {TAKE_AGAIN}")),
        );
    }
}

/// A name in plain characters, its spaces single and its apostrophes as keyboards type them, so that browsers find it.
fn name(written: &str) -> Result<String, String> {
    if written.chars().any(char::is_control) || written.chars().nth(NAME_MAX).is_some() {
        return Err("un nom y est illisible ou trop long".to_owned());
    }
    Ok(written.split_whitespace().collect::<Vec<_>>().join(" ").replace('’', "'"))
}
