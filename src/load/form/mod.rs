//! Reads `[formulaire]`, `[formulaire.donnees]` and `[[champ]]`, and judges what can be judged in one file.

use super::commune::check_email;
use super::toml_reader::{Item, Reader, nearest};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::content::FormSource;
use crate::model::form::{
    Choice, Condition, DataNotice, Delay, Field, FieldKind, FileFormat, Identity, Nature, Silence,
};
use crate::text::typography::french;

/// Bytes of the largest file a form may ask for: base64 adds 37 %, and many mailboxes stop at 10 MB.
const MAX_FILE_BYTES: u64 = 7 * 1024 * 1024;
/// Bytes all files of a form may weigh together, so that the mail to the mairie can be delivered.
const MAX_FORM_BYTES: u64 = 15 * 1024 * 1024;

/// Reads the form of a fiche, if it has one.
pub(super) fn form(reader: &mut Reader<'_, '_>, title: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<FormSource> {
    let fields = reader.items("champ", diagnostics);
    let Some(mut table) = reader.table("formulaire", diagnostics) else {
        if !fields.is_empty() {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadForm,
                    reader.place("champ"),
                    "des questions [[champ]] sans table [formulaire]",
                )
                .hint("ajoutez [formulaire] et [formulaire.donnees] au-dessus des questions (voir docs/contenu.md)"),
            );
        }
        return None;
    };
    let place = table.table_place();
    let nature = table.word(
        "nature",
        &[
            ("demande", Nature::Demande),
            ("declaration", Nature::Declaration),
            ("information", Nature::Information),
            ("contact", Nature::Contact),
        ],
        diagnostics,
    );
    if nature.is_none() && !table.has("nature") {
        diagnostics.push(table.missing("nature"));
    }
    let identity = table.word(
        "identite",
        &[
            ("personne", Identity::Person),
            ("association", Identity::Association),
            ("entreprise", Identity::Company),
            ("personne_ou_association", Identity::PersonOrAssociation),
            ("toutes", Identity::All),
            ("libre", Identity::Free),
            ("aucune", Identity::None),
        ],
        diagnostics,
    );
    if identity.is_none() && !table.has("identite") {
        diagnostics.push(table.missing("identite"));
    }
    let nature = nature.unwrap_or(Nature::Contact);
    let identity = identity.unwrap_or(Identity::Free);
    let silence = silence(&mut table, nature, diagnostics);
    if nature == Nature::Demande && !identity.is_saisine() {
        diagnostics.push(
            Diagnostic::error(Code::BadForm, table.place("identite"), "une demande doit dire qui la fait")
                .hint("avec nature = \"demande\", choisissez identite = \"personne\", \"association\", \"entreprise\", \"personne_ou_association\" ou \"toutes\" (CRPA, art. R112-9-1)"),
        );
    }
    let legal_basis = table.text("fondement", diagnostics);
    let subject_word = table.text("objet_du_courriel", diagnostics).unwrap_or_else(|| title.to_owned());
    let recipients = table.texts("destinataires", diagnostics);
    for address in &recipients {
        check_email(address, table.place("destinataires"), diagnostics);
    }
    let button = table.text("titre_bouton", diagnostics).unwrap_or_else(|| "Commencer".into());
    let confirmation = table.text("confirmation", diagnostics).map(|text| french(&text).into_owned());
    let data = data_notice(&mut table, diagnostics);
    table.finish(diagnostics);

    let fields = all_fields(fields, identity, diagnostics);
    Some(FormSource {
        nature,
        identity,
        silence,
        legal_basis,
        subject_word,
        recipients,
        button: french(&button).into_owned(),
        confirmation,
        data: data?,
        fields,
        place,
    })
}

fn silence(table: &mut Reader<'_, '_>, nature: Nature, diagnostics: &mut Vec<Diagnostic>) -> Silence {
    #[derive(Clone, Copy)]
    enum Word {
        Acceptation,
        Rejet,
        SansDecision,
        Inconnu,
    }
    let words = [
        ("acceptation", Word::Acceptation),
        ("rejet", Word::Rejet),
        ("sans_decision", Word::SansDecision),
        ("inconnu", Word::Inconnu),
    ];
    let word = table.word("silence", &words, diagnostics);
    let delay = delay(table, "delai_decision", diagnostics);
    if nature == Nature::Demande && !table.has("silence") {
        diagnostics.push(
            Diagnostic::error(
                Code::MissingKey,
                table.table_place(),
                "une demande doit dire ce que vaut le silence de la mairie",
            )
            .hint(
                "ajoutez silence = \"acceptation\", \"rejet\", \"sans_decision\" ou \"inconnu\" (CRPA, art. R112-11-1)",
            ),
        );
    }
    let with_delay = |make: fn(Delay) -> Silence, diagnostics: &mut Vec<Diagnostic>| match delay {
        Some(delay) => make(delay),
        None => {
            if !table.has("delai_decision") {
                diagnostics.push(
                    Diagnostic::error(
                        Code::MissingKey,
                        table.place("silence"),
                        "il manque le délai au bout duquel la décision est acquise",
                    )
                    .hint("ajoutez delai_decision = \"2 mois\" : la date exacte sera calculée dans l'accusé"),
                );
            }
            Silence::Inconnu
        }
    };
    let silence = match word {
        Some(Word::Acceptation) => with_delay(Silence::Acceptation, diagnostics),
        Some(Word::Rejet) => with_delay(Silence::Rejet, diagnostics),
        Some(Word::Inconnu) => Silence::Inconnu,
        Some(Word::SansDecision) | None => Silence::SansDecision,
    };
    if nature != Nature::Demande && matches!(word, Some(Word::Acceptation | Word::Rejet)) {
        diagnostics.push(
            Diagnostic::error(
                Code::BadForm,
                table.place("silence"),
                "seule une demande peut être acceptée ou rejetée par le silence",
            )
            .hint("écrivez nature = \"demande\", ou silence = \"sans_decision\""),
        );
    }
    silence
}

fn delay(table: &mut Reader<'_, '_>, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<Delay> {
    let text = table.text(key, diagnostics)?;
    let parsed = parse_delay(&text);
    if parsed.is_none() {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, table.place(key), format!("« {text} » n'est pas un délai"))
                .hint(format!("écrivez {key} = \"2 mois\", \"15 jours\" ou \"1 an\"")),
        );
    }
    parsed
}

/// « 2 mois », « 15 jours », « 1 an ».
pub(super) fn parse_delay(text: &str) -> Option<Delay> {
    let (number, unit) = text.trim().split_once([' ', '\u{a0}'])?;
    let number: u16 = number.parse().ok().filter(|number| *number > 0)?;
    match unit.trim() {
        "jour" | "jours" => Some(Delay::Days(number)),
        "mois" => Some(Delay::Months(number)),
        "an" | "ans" => Some(Delay::Years(number)),
        _ => None,
    }
}

fn data_notice(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<DataNotice> {
    let Some(mut data) = table.table("donnees", diagnostics) else {
        diagnostics.push(
            Diagnostic::error(
                Code::NoDataNotice,
                table.table_place(),
                "ce formulaire ne dit pas ce qu'il fait des données (RGPD, art. 13)",
            )
            .hint("ajoutez [formulaire.donnees] avec finalite, base_legale et conservation"),
        );
        return None;
    };
    let purpose = data.required("finalite", diagnostics);
    let legal_basis = data.required("base_legale", diagnostics);
    let retention = delay(&mut data, "conservation", diagnostics);
    if retention.is_none() && !data.has("conservation") {
        diagnostics.push(data.missing("conservation"));
    }
    let recipients = data.text("destinataires", diagnostics).unwrap_or_else(|| "le secrétariat de la mairie".into());
    data.finish(diagnostics);
    Some(DataNotice { purpose: purpose?, legal_basis: legal_basis?, retention: retention?, recipients })
}

fn all_fields(items: Vec<Item<'_, '_>>, identity: Identity, diagnostics: &mut Vec<Diagnostic>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let taken: Vec<Field> = identity.fields();
    let mut step: Option<String> = None;
    let mut bytes = 0;
    if items.is_empty() {
        return fields;
    }
    for item in items {
        let Item::Table(mut table) = item else { continue };
        let place = table.place("id");
        let Some(mut field) = field(&mut table, diagnostics) else {
            table.finish(diagnostics);
            continue;
        };
        // A question without `etape` stays in the group of the one before it.
        field.step = field.step.or_else(|| step.clone());
        step.clone_from(&field.step);
        if let FieldKind::File { max_count, max_bytes, .. } = field.kind {
            bytes += u64::from(max_count) * max_bytes;
        }
        if fields.iter().any(|other| other.id == field.id) {
            diagnostics.push(
                Diagnostic::error(Code::DuplicateField, place, format!("deux questions portent l'id « {} »", field.id))
                    .hint("donnez à chacune un id différent"),
            );
        } else if taken.iter().any(|other| other.id == field.id) {
            diagnostics.push(
                Diagnostic::error(
                    Code::DuplicateField,
                    place,
                    format!("l'id « {} » est réservé aux questions d'identité", field.id),
                )
                .hint("choisissez un autre id ; le nom, l'adresse et le courriel sont déjà demandés par identite"),
            );
        }
        check_condition(&field, &fields, &taken, table.place("si"), diagnostics);
        let files_place = table.place("nombre_max");
        table.finish(diagnostics);
        if bytes > MAX_FORM_BYTES {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadForm,
                    files_place,
                    "les pièces jointes de ce formulaire dépassent 15 Mo en tout",
                )
                .hint("réduisez nombre_max ou taille_max : un courriel plus lourd n'arriverait pas à la mairie"),
            );
            bytes = 0;
        }
        fields.push(field);
    }
    fields
}

fn field(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Field> {
    let id = table.required("id", diagnostics)?;
    let valid = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && id.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !valid {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, table.place("id"), format!("l'id « {id} » ne convient pas"))
                .hint("des minuscules sans accent, des chiffres et des soulignés : \"nombre_de_personnes\""),
        );
    }
    let kind = field_kind(table, diagnostics);
    let question = table.text("question", diagnostics).map(|text| french(&text).into_owned());
    let informs = matches!(kind, Some(FieldKind::Information { .. }));
    if question.is_none() && !informs && !table.has("question") {
        diagnostics.push(table.missing("question"));
    }
    let condition = match table.text("si", diagnostics) {
        Some(text) => condition(&text, table.place("si"), diagnostics),
        None => None,
    };
    Some(Field {
        id,
        kind: kind?,
        question: question.unwrap_or_default(),
        help: table.text("aide", diagnostics).map(|text| french(&text).into_owned()),
        required: table.flag("obligatoire", diagnostics).unwrap_or(false),
        step: table.text("etape", diagnostics).map(|text| french(&text).into_owned()),
        condition,
        autocomplete: None,
    })
}

fn field_kind(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<FieldKind> {
    const TYPES: [&str; 15] = [
        "texte",
        "texte_long",
        "courriel",
        "telephone",
        "nombre",
        "date",
        "heure",
        "oui_non",
        "choix",
        "choix_multiple",
        "case_a_cocher",
        "adresse",
        "lieu",
        "fichier",
        "information",
    ];
    let words = TYPES.map(|word| (word, word));
    let Some(word) = table.word("type", &words, diagnostics) else {
        if !table.has("type") {
            diagnostics.push(table.missing("type"));
        }
        return None;
    };
    Some(match word {
        "texte" => FieldKind::Text { max: table.integer("max", 1..=500, diagnostics).unwrap_or(200) as u32 },
        "texte_long" => {
            FieldKind::LongText { max: table.integer("max", 1..=20_000, diagnostics).unwrap_or(5_000) as u32 }
        }
        "courriel" => FieldKind::Email,
        "telephone" => FieldKind::Telephone,
        "nombre" => {
            let bounds = -1_000_000_000..=1_000_000_000;
            FieldKind::Number {
                min: table.integer("min", bounds.clone(), diagnostics),
                max: table.integer("max", bounds, diagnostics),
            }
        }
        "date" => FieldKind::Date,
        "heure" => FieldKind::Time,
        "oui_non" => FieldKind::YesNo,
        "choix" => FieldKind::Choice { choices: choices(table, diagnostics) },
        "choix_multiple" => FieldKind::Choices { choices: choices(table, diagnostics) },
        "case_a_cocher" => FieldKind::Checkbox,
        "adresse" => FieldKind::Address,
        "lieu" => FieldKind::Place { suggestions: table.texts("propositions", diagnostics) },
        "fichier" => file(table, diagnostics),
        _ => {
            let text = table.required("texte", diagnostics).unwrap_or_default();
            // Markdown; it becomes HTML when the site is rendered.
            FieldKind::Information { html: text }
        }
    })
}

fn file(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> FieldKind {
    let known =
        [("pdf", FileFormat::Pdf), ("jpg", FileFormat::Jpg), ("jpeg", FileFormat::Jpg), ("png", FileFormat::Png)];
    let mut formats = Vec::new();
    for word in table.texts("formats", diagnostics) {
        match known.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
            Some((_, format)) => formats.push(*format),
            None => diagnostics.push(
                Diagnostic::error(
                    Code::BadValue,
                    table.place("formats"),
                    format!("le format « {word} » n'est pas accepté"),
                )
                .hint("formats possibles : pdf, jpg, png"),
            ),
        }
    }
    formats.sort();
    formats.dedup();
    if formats.is_empty() {
        formats = vec![FileFormat::Pdf, FileFormat::Jpg, FileFormat::Png];
    }
    let megabytes = table.integer("taille_max", 1..=7, diagnostics).unwrap_or(5) as u64;
    FieldKind::File {
        formats,
        max_count: table.integer("nombre_max", 1..=5, diagnostics).unwrap_or(1) as u8,
        max_bytes: (megabytes * 1024 * 1024).min(MAX_FILE_BYTES),
    }
}

fn choices(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    for item in table.items("choix", diagnostics) {
        let (choice, place) = match item {
            Item::Text(text, place) => {
                let value = crate::text::slug::slug(&text);
                (Choice { value, label: french(&text).into_owned(), help: None }, place)
            }
            Item::Table(mut item) => {
                let label = item.required("libelle", diagnostics).unwrap_or_default();
                let value = item.text("valeur", diagnostics).unwrap_or_else(|| crate::text::slug::slug(&label));
                let help = item.text("aide", diagnostics).map(|text| french(&text).into_owned());
                let place = item.table_place();
                item.finish(diagnostics);
                (Choice { value, label: french(&label).into_owned(), help }, place)
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
    if choices.len() < 2 {
        diagnostics.push(
            Diagnostic::error(Code::BadForm, table.place("choix"), "il faut au moins deux réponses possibles")
                .hint("écrivez choix = [\"Oui\", \"Non\", \"Je ne sais pas\"]"),
        );
    }
    choices
}

/// « categorie = eclairage | voirie » or « categorie != autre ».
fn condition(text: &str, place: Place, diagnostics: &mut Vec<Diagnostic>) -> Option<Condition> {
    let (field, equal, values) = match text.split_once("!=") {
        Some((field, values)) => (field, false, values),
        None => match text.split_once('=') {
            Some((field, values)) => (field, true, values),
            None => {
                diagnostics.push(
                    Diagnostic::error(Code::BadCondition, place, format!("la condition « {text} » n'est pas comprise"))
                        .hint("écrivez si = \"categorie = eclairage\" ou si = \"categorie = eclairage | voirie\""),
                );
                return None;
            }
        },
    };
    let values = values.split('|').map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect();
    Some(Condition { field: field.trim().to_owned(), equal, values })
}

fn check_condition(
    field: &Field,
    earlier: &[Field],
    identity: &[Field],
    place: Place,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(condition) = &field.condition else { return };
    let target = earlier.iter().chain(identity).find(|other| other.id == condition.field);
    let Some(target) = target else {
        let diagnostic = Diagnostic::error(
            Code::BadCondition,
            place,
            format!(
                "la condition de « {} » parle d'une question « {} » qui n'est pas posée avant",
                field.id, condition.field
            ),
        );
        diagnostics.push(diagnostic.hint(
            match nearest(&condition.field, earlier.iter().map(|other| other.id.as_str())) {
                Some(near) => format!("vouliez-vous dire « {near} » ?"),
                None => "placez la question dont elle dépend plus haut, ou corrigez l'id".into(),
            },
        ));
        return;
    };
    let possible: Vec<&str> = match &target.kind {
        FieldKind::Choice { choices } | FieldKind::Choices { choices } => {
            choices.iter().map(|choice| choice.value.as_str()).collect()
        }
        FieldKind::YesNo => vec!["oui", "non"],
        FieldKind::Checkbox => vec!["oui"],
        _ => {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadCondition,
                    place,
                    format!("la question « {} » n'a pas de réponses à choisir", target.id),
                )
                .hint("une condition porte sur une question de type choix, choix_multiple, oui_non ou case_a_cocher"),
            );
            return;
        }
    };
    for value in condition.values.iter().filter(|value| !possible.contains(&value.as_str())) {
        diagnostics.push(
            Diagnostic::error(
                Code::BadCondition,
                place.clone(),
                format!("« {value} » n'est pas une réponse de « {} »", target.id),
            )
            .hint(format!("réponses possibles : {}", possible.join(", "))),
        );
    }
    let unreachable = if condition.equal {
        condition.values.is_empty()
    } else {
        possible.iter().all(|value| condition.values.iter().any(|v| v == value))
    };
    if unreachable {
        diagnostics.push(
            Diagnostic::error(
                Code::BadCondition,
                place,
                format!("la question « {} » ne serait jamais posée", field.id),
            )
            .hint("corrigez sa condition si"),
        );
    }
}
