//! Reads what kind of answer a question takes, with the keys of that kind.

use super::fields;
use super::parse_delay;
use crate::diagnostic::{Code, Diagnostic};
use crate::load::hours::days;
use crate::load::toml_reader::{Item, Reader};
use crate::model::form::{
    ChildPart, Choice, DateBounds, Delay, FieldKind, FileFormat, MAX_CHILD_AGE, PersonPart, Shape,
};
use crate::text::slug::slug;
use crate::text::typography::french;

/// Bytes of the largest file a form may ask for: base64 adds 37 %, and many mailboxes stop at 10 MB.
const MAX_FILE_BYTES: u64 = 7 * 1024 * 1024;

/// Simple kinds: those that a group takes.
const SIMPLE: [&str; 14] = [
    "texte",
    "texte_long",
    "courriel",
    "telephone",
    "nombre",
    "montant",
    "date",
    "heure",
    "oui_non",
    "choix",
    "choix_multiple",
    "case_a_cocher",
    "siret",
    "iban",
];
/// The others.
const WHOLE: [&str; 15] = [
    "adresse",
    "lieu",
    "personne",
    "enfant",
    "second_parent",
    "fichier",
    "photo",
    "periode",
    "reservation",
    "rendez_vous",
    "groupe",
    "rna",
    "information",
    "alerte",
    "sortie",
];
/// Blocks that a group takes too.
const REPEATED: [&str; 2] = ["personne", "enfant"];

/// The kind of a question; `inside` a group only the simple ones.
pub(super) fn read(table: &mut Reader<'_, '_>, inside: bool, diagnostics: &mut Vec<Diagnostic>) -> Option<FieldKind> {
    let words: Vec<(&str, &str)> = SIMPLE.into_iter().chain(WHOLE).map(|word| (word, word)).collect();
    let Some(word) = table.word("type", &words, diagnostics) else {
        if !table.has("type") {
            diagnostics.push(table.missing("type"));
        }
        return None;
    };
    if inside && !SIMPLE.contains(&word) && !REPEATED.contains(&word) {
        diagnostics.push(
            Diagnostic::error(Code::BadGroup, table.place("type"), format!("le type « {word} » ne se répète pas"))
                .hint(format!("dans un groupe : {}, {}", SIMPLE.join(", "), REPEATED.join(", "))),
        );
        return None;
    }
    Some(match word {
        "texte" => FieldKind::Text { max: table.integer("max", 1..=500, diagnostics).unwrap_or(200) as u32 },
        "texte_long" => {
            FieldKind::LongText { max: table.integer("max", 1..=20_000, diagnostics).unwrap_or(5_000) as u32 }
        }
        "courriel" => FieldKind::Email,
        "telephone" => FieldKind::Telephone,
        "nombre" => number(table, diagnostics),
        "montant" => amount(table, diagnostics),
        "date" => FieldKind::Date { bounds: date_bounds(table, true, diagnostics) },
        "heure" => FieldKind::Time,
        "oui_non" => FieldKind::YesNo,
        "choix" => FieldKind::Choice { choices: choices(table, "choix", 2, diagnostics) },
        "choix_multiple" => FieldKind::Choices { choices: choices(table, "choix", 2, diagnostics) },
        "case_a_cocher" => FieldKind::Checkbox,
        "siret" => FieldKind::Siret,
        "iban" => FieldKind::Iban,
        "rna" => FieldKind::Rna,
        "adresse" => FieldKind::Address,
        "lieu" => FieldKind::Place { suggestions: table.texts("propositions", diagnostics) },
        "fichier" => file(table, false, diagnostics),
        "photo" => file(table, true, diagnostics),
        "personne" => person(table, diagnostics),
        "enfant" => child(table, diagnostics),
        "second_parent" => {
            let usual = [PersonPart::Telephone, PersonPart::Email, PersonPart::SameAddress];
            FieldKind::Block { shape: Shape::Person, parts: Shape::person(&usual) }
        }
        "periode" => {
            let bounds = date_bounds(table, false, diagnostics);
            let max_days = table.integer("jours_max", 1..=3_660, diagnostics).map(|days| days as u16);
            FieldKind::Block { shape: Shape::Period { max_days }, parts: Shape::period(bounds) }
        }
        "reservation" => {
            let bounds = date_bounds(table, false, diagnostics);
            let resource = table.required("ressource", diagnostics).unwrap_or_default();
            // The name is the fiche's: `resolve` finds it.
            FieldKind::Block { shape: Shape::Booking { resource, name: String::new() }, parts: Shape::booking(bounds) }
        }
        "rendez_vous" => appointment(table, diagnostics),
        "groupe" => group(table, diagnostics)?,
        "alerte" => alert(table, diagnostics),
        "sortie" => FieldKind::Exit {
            title: table.text("titre", diagnostics).unwrap_or_else(|| "Ce n’est pas ici".into()),
            html: table.required("texte", diagnostics).unwrap_or_default(),
        },
        // Markdown; it becomes HTML when the site is rendered.
        _ => FieldKind::Information { html: table.required("texte", diagnostics).unwrap_or_default() },
    })
}

/// Characters of an alert's title: it stands in the subject of a mail, read on a telephone.
const MAX_ALERT: usize = 40;

fn alert(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> FieldKind {
    let title = table.required("titre", diagnostics).unwrap_or_default();
    if title.chars().count() > MAX_ALERT {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, table.place("titre"), "le titre de cette alerte est trop long")
                .hint(format!("{MAX_ALERT} caractères au plus : il ouvre l'objet du message à la mairie")),
        );
    }
    FieldKind::Alert {
        title: french(&title).into_owned(),
        html: table.required("texte", diagnostics).unwrap_or_default(),
        reminder: french(&table.required("rappel", diagnostics).unwrap_or_default()).into_owned(),
    }
}

fn out_of_order(table: &Reader<'_, '_>, key: &str) -> Diagnostic {
    Diagnostic::error(Code::BadForm, table.place(key), "le minimum dépasse le maximum : aucune réponse ne conviendrait")
        .hint("échangez ou corrigez les deux bornes")
}

/// A price in euros, in cents.
fn price(table: &mut Reader<'_, '_>, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<u32> {
    let euros = table.decimal(key, diagnostics)?;
    let cents = (euros * 100.0).round();
    if (0.0..=10_000_000.0).contains(&cents) && (cents - euros * 100.0).abs() < 1e-6 {
        return Some(cents as u32);
    }
    diagnostics.push(
        Diagnostic::error(Code::BadValue, table.place(key), format!("{key} n'est pas un prix en euros"))
            .hint(format!("écrivez {key} = 12 ou {key} = 4.50 (avec un point)")),
    );
    None
}

fn number(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> FieldKind {
    let bounds = -1_000_000_000..=1_000_000_000;
    let min = table.integer("min", bounds.clone(), diagnostics);
    let max = table.integer("max", bounds, diagnostics);
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        diagnostics.push(out_of_order(table, "max"));
    }
    FieldKind::Number { min, max, unit_price: price(table, "prix_unitaire", diagnostics) }
}

fn amount(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> FieldKind {
    let min = price(table, "min", diagnostics).map(u64::from);
    let max = price(table, "max", diagnostics).map(u64::from);
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        diagnostics.push(out_of_order(table, "max"));
    }
    FieldKind::Amount { min, max }
}

/// `au_plus_tot`, `au_plus_tard` and, when `may_be_past`, `passe`.
fn date_bounds(table: &mut Reader<'_, '_>, may_be_past: bool, diagnostics: &mut Vec<Diagnostic>) -> DateBounds {
    let mut offset = |key: &'static str| {
        let text = table.text(key, diagnostics)?;
        let delay = if matches!(text.as_str(), "aujourd'hui" | "aujourd’hui") {
            Some(Delay::Days(0))
        } else {
            parse_delay(&text)
        };
        if delay.is_none() {
            diagnostics.push(
                Diagnostic::error(Code::BadValue, table.place(key), format!("« {text} » n'est pas un délai"))
                    .hint(format!("écrivez {key} = \"aujourd'hui\", \"15 jours\", \"3 mois\" ou \"1 an\"")),
            );
        }
        delay
    };
    let (earliest, latest) = (offset("au_plus_tot"), offset("au_plus_tard"));
    let past = may_be_past && table.flag("passe", diagnostics).unwrap_or(false);
    if past && earliest.is_some() {
        diagnostics.push(
            Diagnostic::error(Code::BadForm, table.place("passe"), "une date passée ne peut pas être à venir")
                .hint("gardez passe = true ou au_plus_tot, pas les deux"),
        );
    }
    let some_day = jiff::civil::date(2026, 1, 1);
    let bounds = DateBounds { earliest, latest, past, max_age: None };
    if let (Some(from), Some(until)) = bounds.on(some_day)
        && !past
        && until < from
    {
        diagnostics.push(out_of_order(table, "au_plus_tard"));
    }
    bounds
}

fn file(table: &mut Reader<'_, '_>, photo: bool, diagnostics: &mut Vec<Diagnostic>) -> FieldKind {
    let known = |word: &str| {
        FileFormat::ALL
            .into_iter()
            .find(|format| format.extensions().iter().any(|name| word.eq_ignore_ascii_case(name)))
    };
    let mut formats = Vec::new();
    if !photo {
        for word in table.texts("formats", diagnostics) {
            match known(&word) {
                Some(format) => formats.push(format),
                None => diagnostics.push(
                    Diagnostic::error(
                        Code::BadValue,
                        table.place("formats"),
                        format!("le format « {word} » n'est pas accepté"),
                    )
                    .hint("formats possibles : pdf, jpg, png, docx, odt, xlsx, ods"),
                ),
            }
        }
    }
    formats.sort();
    formats.dedup();
    if formats.is_empty() {
        formats = vec![FileFormat::Jpg, FileFormat::Png];
        if !photo {
            formats.insert(0, FileFormat::Pdf);
        }
    }
    let megabytes = table.integer("taille_max", 1..=7, diagnostics).unwrap_or(5) as u64;
    FieldKind::File {
        formats,
        max_count: table.integer("nombre_max", 1..=5, diagnostics).unwrap_or(1) as u8,
        max_bytes: (megabytes * 1024 * 1024).min(MAX_FILE_BYTES),
        photo,
    }
}

/// The parts named by `parties`.
fn parts<P: Copy>(table: &mut Reader<'_, '_>, known: &[(&str, P)], diagnostics: &mut Vec<Diagnostic>) -> Vec<P> {
    let mut found = Vec::new();
    for word in table.texts("parties", diagnostics) {
        match known.iter().find(|(name, _)| *name == word) {
            Some((_, part)) => found.push(*part),
            None => {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                diagnostics.push(
                    Diagnostic::error(
                        Code::BadValue,
                        table.place("parties"),
                        format!("« {word} » n'est pas une partie de cette question"),
                    )
                    .hint(format!("parties possibles : {}", names.join(", "))),
                );
            }
        }
    }
    found
}

fn person(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> FieldKind {
    let known = [
        ("naissance", PersonPart::Birth),
        ("telephone", PersonPart::Telephone),
        ("courriel", PersonPart::Email),
        ("adresse", PersonPart::Address),
        ("lien", PersonPart::Relation),
        ("meme_adresse", PersonPart::SameAddress),
    ];
    FieldKind::Block { shape: Shape::Person, parts: Shape::person(&parts(table, &known, diagnostics)) }
}

fn child(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> FieldKind {
    let known = [("classe", ChildPart::Class), ("ecole", ChildPart::School)];
    let max_age = table.integer("age_max", 1..=25, diagnostics).map_or(MAX_CHILD_AGE, |years| years as u8);
    FieldKind::Block { shape: Shape::Child, parts: Shape::child(&parts(table, &known, diagnostics), max_age) }
}

fn appointment(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> FieldKind {
    let days = days(table, diagnostics);
    let moments = if table.has("creneaux") { choices(table, "creneaux", 1, diagnostics) } else { Vec::new() };
    let bounds = date_bounds(table, false, diagnostics);
    FieldKind::Block { shape: Shape::Appointment { days }, parts: Shape::appointment(bounds, moments) }
}

fn group(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<FieldKind> {
    let one = table.required("un", diagnostics);
    let add = table.text("ajouter", diagnostics);
    let min = table.integer("nombre_min", 0..=20, diagnostics).unwrap_or(1) as u8;
    let max = table.integer("nombre_max", 1..=20, diagnostics).unwrap_or(5).max(1) as u8;
    if min > max {
        diagnostics.push(out_of_order(table, "nombre_max"));
    }
    let place = table.table_place();
    let mut fields: Vec<crate::model::form::Field> = Vec::new();
    for item in table.items("champ", diagnostics) {
        let Item::Table(mut inner) = item else { continue };
        let id_place = inner.place("id");
        let field = fields::one(&mut inner, true, diagnostics);
        inner.finish(diagnostics);
        let Some(field) = field else { continue };
        if fields.iter().any(|other| other.id == field.id) {
            diagnostics.push(
                Diagnostic::error(
                    Code::DuplicateField,
                    id_place,
                    format!("deux questions du groupe portent l'id « {} »", field.id),
                )
                .hint("donnez à chacune un id différent"),
            );
        }
        fields.push(field);
    }
    if fields.is_empty() {
        diagnostics.push(
            Diagnostic::error(Code::BadGroup, place, "ce groupe n'a pas de questions")
                .hint("ajoutez sous lui une ou plusieurs tables [[champ.champ]]"),
        );
        return None;
    }
    Some(FieldKind::Group { one: one?, add, min: min.min(max), max, parts: fields })
}

/// The possible answers, at least `least` of them.
fn choices(
    table: &mut Reader<'_, '_>,
    key: &'static str,
    least: usize,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    for item in table.items(key, diagnostics) {
        let (choice, place) = match item {
            Item::Text(text, place) => {
                (Choice { value: slug(&text), label: french(&text).into_owned(), help: None, price: None }, place)
            }
            Item::Table(mut item) => {
                let label = item.required("libelle", diagnostics).unwrap_or_default();
                let value = item.text("valeur", diagnostics).unwrap_or_else(|| slug(&label));
                let help = item.text("aide", diagnostics).map(|text| french(&text).into_owned());
                let price = price(&mut item, "prix", diagnostics);
                let place = item.table_place();
                item.finish(diagnostics);
                (Choice { value, label: french(&label).into_owned(), help, price }, place)
            }
        };
        if choices.iter().any(|other| other.value == choice.value) {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadForm,
                    place,
                    format!("la réponse « {} » est proposée deux fois", choice.label),
                )
                .hint("gardez-la une seule fois, ou donnez-lui une autre valeur"),
            );
        } else {
            choices.push(choice);
        }
    }
    if choices.len() < least {
        diagnostics.push(
            Diagnostic::error(Code::BadForm, table.place(key), "il faut au moins deux réponses possibles")
                .hint(format!("écrivez {key} = [\"Oui\", \"Non\", \"Je ne sais pas\"]")),
        );
    }
    choices
}
