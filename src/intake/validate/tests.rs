//! What is taken, what is refused, and in which words.

use std::collections::BTreeMap;

use jiff::civil::date;
use proptest::prelude::*;

use super::clean::is_refused;
use super::*;
use crate::model::form::{Condition, DateBounds, Delay, Identity, Nature, Operator, PersonPart, Shape, Silence};
use crate::model::receipt::tests::form as bare_form;

const TODAY: Date = date(2026, 11, 21);

fn field(id: &str, kind: FieldKind, required: bool) -> Field {
    Field {
        id: id.into(),
        kind,
        question: format!("Question {id}"),
        help: None,
        required,
        step: Some("Votre demande".into()),
        condition: None,
        autocomplete: None,
    }
}

fn choices(values: &[&str]) -> Vec<Choice> {
    values
        .iter()
        .map(|value| Choice { value: (*value).into(), label: value.to_uppercase(), help: None, price: None })
        .collect()
}

fn on(mut field: Field, parent: &str, equal: bool, values: &[&str]) -> Field {
    let mut condition = Condition::is(parent, values);
    condition.tests[0].operator = if equal { Operator::Is } else { Operator::IsNot };
    field.condition = Some(condition);
    field
}

/// A form with a question of every kind, and conditions.
pub(crate) fn every_kind(required: bool) -> Form {
    let mut form = bare_form(Nature::Demande, Identity::All, Silence::Inconnu);
    let file = FieldKind::File {
        formats: vec![FileFormat::Pdf, FileFormat::Jpg],
        max_count: 2,
        max_bytes: 5 << 20,
        photo: false,
    };
    let fields = vec![
        field("objet", FieldKind::Text { max: 20 }, required),
        field("message", FieldKind::LongText { max: 60 }, required),
        field("mel", FieldKind::Email, required),
        field("tel", FieldKind::Telephone, required),
        field("nombre", FieldKind::Number { min: Some(1), max: Some(300), unit_price: None }, required),
        field("date", FieldKind::Date { bounds: DateBounds::default() }, required),
        field("heure", FieldKind::Time, required),
        field("danger", FieldKind::YesNo, required),
        on(field("appel", FieldKind::Information { html: "<p>Appelez</p>".into() }, false), "danger", true, &["oui"]),
        field("categorie", FieldKind::Choice { choices: choices(&["voirie", "eclairage", "autre"]) }, required),
        on(field("lampe", FieldKind::Text { max: 20 }, required), "categorie", true, &["eclairage"]),
        on(field("precision", FieldKind::Text { max: 20 }, required), "categorie", false, &["voirie", "eclairage"]),
        on(field("profonde", FieldKind::Text { max: 20 }, required), "lampe", false, &["rien"]),
        field("jours", FieldKind::Choices { choices: choices(&["lundi", "mardi", "jeudi"]) }, required),
        on(field("pourquoi_mardi", FieldKind::Text { max: 20 }, required), "jours", true, &["mardi"]),
        field("reglement", FieldKind::Checkbox, required),
        field("chantier", FieldKind::Address, required),
        field("lieu", FieldKind::Place { suggestions: vec!["Le Bourg".into()] }, required),
        field("pieces", file, required),
    ];
    form.fields = fields.into_iter().chain(Identity::All.fields()).collect();
    form
}

fn raw(pairs: &[(&str, &str)]) -> RawAnswers {
    let mut raw = RawAnswers::default();
    for (name, value) in pairs {
        raw.values.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    raw
}

fn stored(name: &str, media_type: &str, size: u64) -> StoredFile {
    let (id, hash, cautions) = ("0".repeat(32), "0".repeat(64), Vec::new());
    StoredFile { id, name: name.into(), media_type: media_type.into(), size, hash, cautions }
}

/// Answers of a resident that are all right.
pub(crate) fn good() -> RawAnswers {
    let mut raw = raw(&[
        ("objet", "  Une  benne e\u{301} "),
        ("message", "Bonjour,\r\n\r\nje voudrais…\t\r\n"),
        ("mel", "Jeanne.Martin@Exemple.FR"),
        ("tel", "0612345678"),
        ("nombre", "1 2"),
        ("date", "05/12/2026"),
        ("heure", "14h30"),
        ("danger", "non"),
        ("categorie", "eclairage"),
        ("lampe", "B 12"),
        ("profonde", "x"),
        ("precision", "ignorée"),
        ("jours", "jeudi"),
        ("jours", "lundi"),
        ("reglement", "on"),
        ("chantier.voie", "3, rue du Four"),
        ("chantier.code_postal", "53 999"),
        ("chantier.commune", "Saint-Mulot"),
        ("lieu", "Le Bourg"),
        ("qualite", "association"),
        ("association", "Les Amis du tilleul"),
        ("rna", "w 53 1234567".trim()),
        ("prenom", "Jeanne"),
        ("nom", "Martin"),
        ("adresse.voie", "Grand-Place 1"),
        ("adresse.code_postal", "1000"),
        ("adresse.commune", "Bruxelles, Belgique"),
        ("courriel", "jeanne@exemple.fr"),
        ("inconnu", "ignoré"),
    ]);
    raw.files.insert("pieces".into(), vec![stored("plan.pdf", "application/pdf", 1_258_291)]);
    raw
}

fn said(form: &Form, raw: &RawAnswers) -> BTreeMap<String, String> {
    let errors = answers(form, raw, TODAY).expect_err("something is wrong");
    errors.into_iter().map(|error| (error.input, error.message.replace(['\u{a0}', '\u{202f}'], " "))).collect()
}

#[test]
fn good_answers_come_back_clean_and_in_order() {
    let valid = answers(&every_kind(true), &good(), TODAY).expect("all is right");
    let value = |id: &str| valid.answers.iter().find(|answer| answer.field == id).map(|answer| answer.value.clone());
    let text = |text: &str| Some(AnswerValue::Text(text.into()));
    assert_eq!(value("objet"), text("Une benne é"));
    assert_eq!(value("message"), text("Bonjour,\n\nje voudrais…"));
    assert_eq!(value("mel"), text("Jeanne.Martin@exemple.fr"));
    assert_eq!(value("tel"), text("06\u{a0}12\u{a0}34\u{a0}56\u{a0}78"));
    assert_eq!(value("nombre"), text("12"));
    assert_eq!(value("date"), text("samedi 5 décembre 2026"));
    assert_eq!(value("heure"), text("14\u{a0}h\u{a0}30"));
    assert_eq!(value("danger"), text("Non"));
    assert_eq!(value("categorie"), Some(AnswerValue::Choices(vec!["ECLAIRAGE".into()])));
    assert_eq!(value("lampe"), text("B 12"));
    assert_eq!(value("precision"), None);
    assert_eq!(value("profonde"), text("x"));
    assert_eq!(value("jours"), Some(AnswerValue::Choices(vec!["LUNDI".into(), "JEUDI".into()])));
    assert_eq!(value("pourquoi_mardi"), None);
    assert_eq!(value("reglement"), text("Oui"));
    assert_eq!(value("rna"), text("W531234567"));
    assert_eq!(
        value("chantier"),
        Some(AnswerValue::Address(vec!["3, rue du Four".into(), "53999 Saint-Mulot".into()]))
    );
    assert_eq!(
        value("adresse"),
        Some(AnswerValue::Address(vec!["Grand-Place 1".into(), "1000 Bruxelles, Belgique".into()]))
    );
    assert_eq!(valid.sender, Sender { name: "Les Amis du tilleul".into(), email: Some("jeanne@exemple.fr".into()) });
    let order: Vec<&str> = valid.answers.iter().map(|answer| answer.field.as_str()).collect();
    assert_eq!(order[..3], ["objet", "message", "mel"]);
}

#[test]
fn blanks_are_told_all_at_once_and_say_what_to_do() {
    let said = said(&every_kind(true), &RawAnswers::default());
    for (input, message) in [
        ("objet", "Répondez à « Question objet »"),
        ("danger", "Choisissez une réponse à « Question danger »"),
        ("jours", "Choisissez au moins une réponse à « Question jours »"),
        ("reglement", "Cochez la case « Question reglement » pour continuer"),
        ("pieces", "Joignez un fichier pour « Question pieces »"),
        ("chantier.voie", "Question chantier : indiquez le numéro et la rue, ou le lieu-dit"),
        ("adresse.code_postal", "Indiquez le code postal"),
        ("nom", "Indiquez votre nom"),
        ("courriel", "Indiquez votre adresse électronique"),
        ("qualite", "Dites au nom de qui vous écrivez"),
    ] {
        assert_eq!(said.get(input).map(String::as_str), Some(message));
    }
    assert!(!said.contains_key("lampe") && !said.contains_key("association") && !said.contains_key("telephone"));
}

#[test]
fn nothing_is_required_of_an_optional_form_but_the_identity() {
    let said = said(&every_kind(false), &RawAnswers::default());
    assert!(
        said.keys()
            .all(|input| ["qualite", "prenom", "nom", "courriel"].contains(&input.as_str())
                || input.starts_with("adresse.")),
        "{said:?}"
    );
    let identity = raw(&[
        ("qualite", "personne"),
        ("association", "Restée d'avant"),
        ("prenom", "Jeanne"),
        ("nom", "Martin"),
        ("adresse.voie", "3, rue du Four"),
        ("adresse.code_postal", "53999"),
        ("adresse.commune", "Saint-Mulot"),
        ("courriel", "jeanne@exemple.fr"),
    ]);
    let valid = answers(&every_kind(false), &identity, TODAY).expect("enough");
    assert_eq!(valid.sender.name, "Jeanne Martin");
    // An unanswered choice is none of those excluded: the question that depends on it is asked, not required here.
    assert!(valid.answers.iter().all(|answer| answer.field != "association"));
}

#[test]
fn each_mistake_says_what_to_do() {
    let form = every_kind(true);
    for (input, typed, message) in [
        ("objet", "x".repeat(32), "Raccourcissez cette réponse : 12 caractères de trop (20 au plus)"),
        ("objet", "x".repeat(21), "Raccourcissez cette réponse : 1 caractère de trop (20 au plus)"),
        (
            "objet",
            "a\0b".into(),
            "Retapez cette réponse : elle contient un signe invisible, venu sans doute d’un copier-coller",
        ),
        (
            "mel",
            "jeanne".into(),
            "Ajoutez le signe @ et ce qui le suit dans l’adresse électronique. Exemple : nom@exemple.fr",
        ),
        ("mel", "jeanne@gmial.com".into(), "Vérifiez la fin de l’adresse électronique : est-ce jeanne@gmail.com ?"),
        ("mel", "jeanne@exemple,fr".into(), "Vérifiez la fin de l’adresse électronique : est-ce jeanne@exemple.fr ?"),
        ("mel", "jeanne @exemple.fr".into(), "Écrivez l’adresse électronique sans espace. Exemple : nom@exemple.fr"),
        ("mel", "jérôme@exemple.fr".into(), "Écrivez l’adresse électronique sans accent. Exemple : nom@exemple.fr"),
        (
            "tel",
            "12345".into(),
            "Vérifiez le numéro de téléphone : dix chiffres, ou le signe + et l’indicatif du pays. Exemple : 02 99 00 12 34",
        ),
        ("nombre", "301".into(), "Indiquez un nombre entre 1 et 300"),
        ("nombre", "douze".into(), "Écrivez un nombre entier, en chiffres"),
        ("nombre", "99999999999999999999".into(), "Indiquez un nombre entre 1 et 300"),
        ("date", "31/02/2026".into(), "Vérifiez la date : ce jour n’existe pas dans le calendrier"),
        ("date", "demain".into(), "Écrivez la date avec le jour, le mois et l’année. Exemple : 21/11/2026"),
        ("date", "05/12/0026".into(), "Vérifiez l’année de la date"),
        ("heure", "midi".into(), "Écrivez l’heure comme ceci : 14 h 30"),
        ("categorie", "pirate".into(), "Choisissez une des réponses proposées"),
        ("jours", "pirate".into(), "Choisissez parmi les réponses proposées"),
        (
            "chantier.code_postal",
            "3500".into(),
            "Écrivez les cinq chiffres du code postal. Pour une adresse à l’étranger, ajoutez le pays après la ville : « Bruxelles, Belgique »",
        ),
    ] {
        let mut raw = good();
        raw.values.insert(input.into(), vec![typed.clone()]);
        let said = said(&form, &raw);
        // In a list of errors, each says which question it is about.
        let mut letters = message.chars();
        let start: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
        let id = input.split('.').next().unwrap_or(input);
        let named = format!("Question {id} : {start}{}", letters.as_str());
        assert_eq!(said.get(input), Some(&named), "{typed:?}");
        assert_eq!(said.keys().filter(|other| *other != "precision").count(), 1, "{said:?}");
    }
}

#[test]
fn files_are_judged_by_number_size_and_content() {
    let form = every_kind(true);
    let with = |files: Vec<StoredFile>| {
        let mut raw = good();
        raw.files.insert("pieces".into(), files);
        answers(&form, &raw, TODAY)
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|error| error.message.replace(['\u{a0}', '\u{202f}'], " "))
            .collect::<Vec<_>>()
    };
    let pdf = || stored("plan.pdf", "application/pdf", 1_000);
    assert_eq!(with(vec![pdf(), pdf()]), Vec::<String>::new());
    assert_eq!(with(vec![pdf(), pdf(), pdf()]), ["Gardez 2 fichiers au plus : vous en avez joint 3"]);
    assert_eq!(
        with(vec![stored("gros.pdf", "application/pdf", 8 << 20)]),
        ["Réduisez « gros.pdf » : il pèse 8 Mo, la limite est de 5 Mo"]
    );
    assert_eq!(
        with(vec![stored("a.docx", "application/zip", 9)]),
        ["Remplacez « a.docx » : les formats acceptés sont PDF et JPEG"]
    );
    assert_eq!(
        with(vec![stored("vide.pdf", "application/pdf", 0)]),
        ["Choisissez un autre fichier que « vide.pdf » : il est vide"]
    );
}

#[test]
fn addresses_that_work_are_accepted_and_others_are_not() {
    for good in [
        "a@b.fr",
        "prenom.nom+mairie@sous.domaine.example",
        "o'neil@exemple.fr",
        "x@ymail.com",
        "a@laposte.fr",
        "\u{202a}a@b.fr\u{202c}",
    ] {
        assert!(email(good).is_ok(), "{good}");
    }
    let long = format!("{}@{}.fr", "a".repeat(64), "b.".repeat(100) + &"c".repeat(20));
    for bad in [
        "a@b",
        "@b.fr",
        "a@",
        "a@@b.fr",
        "a..b@c.fr",
        ".a@b.fr",
        "a.@b.fr",
        "a@-b.fr",
        "a@b-.fr",
        "a@b..fr",
        "a@b.f",
        "a@[127.0.0.1]",
        "a@b.fr\r\nBcc: c@d.fr",
        "\"a b\"@c.fr",
        "a@b.fr,c@d.fr",
        "a@b.fr;c@d.fr",
        "<a@b.fr>",
        "a@b.123",
        "",
        &long,
    ] {
        assert!(email(bad).is_err(), "{bad}");
    }
}

#[test]
fn conditions_that_turn_in_circles_ask_nothing() {
    let mut form = every_kind(false);
    form.fields.push(on(field("a", FieldKind::YesNo, true), "b", true, &["oui"]));
    form.fields.push(on(field("b", FieldKind::YesNo, true), "a", true, &["oui"]));
    let raw = raw(&[("a", "oui"), ("b", "oui")]);
    assert!(form.asked(&raw).iter().all(|field| field.id != "a" && field.id != "b"));
}

fn typed() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => ".{0,30}",
        2 => "(?s)[a-z0-9é@. \r\n\t\u{0}\u{a0}\u{202e}\u{200b}/:+-]{0,30}",
        4 => prop::sample::select(vec![
            "oui", "non", "on", "voirie", "eclairage", "autre", "lundi", "mardi", "personne", "association", "entreprise",
            "05/12/2026", "2026-12-05", "14:30", "9 h", "0612345678", "+44 20 7946 0958", "12", "-3", "53999", "1000",
            "Bruxelles, Belgique", "a@b.fr", "W531234567", "73282932000074", "deux\r\nlignes", " \u{a0} ", "",
        ]).prop_map(str::to_owned),
    ]
}

fn any_raw() -> impl Strategy<Value = RawAnswers> {
    let names: Vec<String> = every_kind(true)
        .fields
        .iter()
        .flat_map(|field| match field.kind {
            FieldKind::Address => ADDRESS_PARTS.iter().map(|part| format!("{}.{part}", field.id)).collect(),
            _ => vec![field.id.clone()],
        })
        .collect();
    let size = names.len();
    (prop::collection::vec(prop::collection::vec(typed(), 0..3), size), any::<bool>()).prop_map(
        move |(values, start_good)| {
            let mut raw = if start_good { good() } else { RawAnswers::default() };
            for (name, values) in names.iter().zip(values) {
                // From good answers, one input in three is replaced.
                if !start_good || values.len() == 2 {
                    raw.values.insert(name.clone(), values);
                }
            }
            raw
        },
    )
}

/// What a browser posts of hidden inputs: line ends become CR LF.
fn reposted(form: &Form, before: &RawAnswers) -> RawAnswers {
    let mut raw = RawAnswers { files: before.files.clone(), ..RawAnswers::default() };
    for (name, value) in raw_inputs(form, before) {
        raw.values.entry(name).or_default().push(value.replace('\n', "\r\n"));
    }
    raw
}

proptest! {
    #[test]
    fn whatever_is_posted_is_judged(raw in any_raw(), required: bool) {
        let form = every_kind(required);
        match answers(&form, &raw, TODAY) {
            Ok(valid) => {
                for answer in &valid.answers {
                    let texts = match &answer.value {
                        AnswerValue::Text(text) => vec![text.clone()],
                        AnswerValue::Choices(lines) | AnswerValue::Address(lines) => lines.clone(),
                        AnswerValue::Files(_) => vec![],
                        AnswerValue::Group(entries) => {
                            entries.iter().flat_map(|entry| &entry.parts).map(|part| part.value.clone()).collect()
                        }
                    };
                    let long = matches!(form.field(&answer.field).map(|field| &field.kind), Some(FieldKind::LongText { .. }));
                    for text in texts {
                        prop_assert!(!text.trim().is_empty());
                        prop_assert!(text.chars().all(|letter| !is_refused(letter)));
                        prop_assert!(long || !text.contains('\n'));
                    }
                }
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(!error.message.is_empty() && !error.message.contains("euillez"));
                    let id = error.input.split('.').next().unwrap_or("");
                    prop_assert!(form.field(id).is_some());
                }
            }
        }
    }

    #[test]
    fn the_check_page_posts_the_same_answers_again(raw in any_raw()) {
        let form = every_kind(false);
        let first = answers(&form, &raw, TODAY);
        let again = answers(&form, &reposted(&form, &raw), TODAY);
        if let Ok(first) = first {
            prop_assert_eq!(Ok(first), again);
        }
    }

    #[test]
    fn the_check_page_of_good_answers_posts_them_again(extra in typed()) {
        let form = every_kind(true);
        let mut raw = good();
        raw.values.insert("message".into(), vec![extra]);
        let first = answers(&form, &raw, TODAY);
        prop_assume!(first.is_ok());
        prop_assert_eq!(first, answers(&form, &reposted(&form, &raw), TODAY));
    }
}

/// What a single question makes of inputs: the answer in words, or the messages.
fn one(field: Field, inputs: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
    let mut form = bare_form(Nature::Contact, Identity::None, Silence::SansDecision);
    form.fields = vec![field];
    let plain = |text: String| text.replace(['\u{a0}', '\u{202f}'], " ");
    match answers(&form, &raw(inputs), TODAY) {
        Ok(valid) => Ok(valid
            .answers
            .into_iter()
            .flat_map(|answer| match answer.value {
                AnswerValue::Group(entries) => {
                    entries.iter().flat_map(crate::model::submission::Entry::lines).collect()
                }
                AnswerValue::Text(text) => vec![text],
                AnswerValue::Choices(lines) | AnswerValue::Address(lines) => lines,
                AnswerValue::Files(_) => Vec::new(),
            })
            .map(plain)
            .collect()),
        Err(errors) => {
            Err(errors.into_iter().map(|error| format!("{}: {}", error.input, plain(error.message))).collect())
        }
    }
}

fn block(shape: Shape, parts: Vec<Field>, required: bool) -> Field {
    Field::plain("b", FieldKind::Block { shape, parts }, "Quand ?", required)
}

#[test]
fn a_sum_is_read_as_people_write_it() {
    let amount = || Field::plain("b", FieldKind::Amount { min: Some(1_000), max: Some(50_000) }, "Combien ?", true);
    for typed in ["150", "150,00", "150.00 €", "150 euros"] {
        assert_eq!(one(amount(), &[("b", typed)]), Ok(vec!["150 €".into()]), "{typed}");
    }
    assert_eq!(one(amount(), &[("b", "12,5")]), Ok(vec!["12,50 €".into()]));
    for (typed, said) in
        [("cent", "crivez une somme"), ("5", "au moins 10 €"), ("501", "au plus 500 €"), ("1,234", "crivez")]
    {
        let told = one(amount(), &[("b", typed)]).unwrap_err();
        assert!(told[0].contains(said), "{typed}: {told:?}");
    }
}

#[test]
fn an_iban_must_have_the_right_key() {
    let iban = || Field::plain("b", FieldKind::Iban, "Compte ?", true);
    assert_eq!(
        one(iban(), &[("b", "fr14 2004 1010 0505 0001 3M02 606")]),
        Ok(vec!["FR14 2004 1010 0505 0001 3M02 606".into()])
    );
    assert_eq!(one(iban(), &[("b", "DE89370400440532013000")]), Ok(vec!["DE89 3704 0044 0532 0130 00".into()]));
    for wrong in ["FR14 2004 1010 0505 0001 3M02 607", "FR14", "1234", "FR1420041010050500013M0260"] {
        assert!(one(iban(), &[("b", wrong)]).is_err(), "{wrong}");
    }
}

#[test]
fn a_date_stays_within_its_bounds() {
    let date = |bounds| Field::plain("b", FieldKind::Date { bounds }, "Quel jour ?", true);
    let soon = DateBounds { earliest: Some(Delay::Days(15)), latest: Some(Delay::Years(1)), ..DateBounds::default() };
    assert!(one(date(soon), &[("b", "06/12/2026")]).is_ok(), "fifteen days after 21 November");
    assert!(one(date(soon), &[("b", "05/12/2026")]).unwrap_err()[0].contains("à partir du 6 décembre 2026"));
    assert!(one(date(soon), &[("b", "22/11/2027")]).unwrap_err()[0].contains("jusqu’au 21 novembre 2027"));
    let past = DateBounds { past: true, ..DateBounds::default() };
    assert!(one(date(past), &[("b", "21/11/2026")]).is_ok());
    assert!(one(date(past), &[("b", "22/11/2026")]).unwrap_err()[0].contains("passée"));
}

#[test]
fn a_period_has_two_days_in_order_and_not_too_many() {
    let period = |required| block(Shape::Period { max_days: Some(3) }, Shape::period(DateBounds::default()), required);
    let given = |from, until| one(period(true), &[("b.du", from), ("b.au", until)]);
    assert_eq!(given("01/12/2026", "03/12/2026"), Ok(vec!["du 1er au 3 décembre 2026".into()]));
    assert!(given("03/12/2026", "01/12/2026").unwrap_err()[0].starts_with("b.au: Quand : indiquez une fin"));
    assert!(given("01/12/2026", "04/12/2026").unwrap_err()[0].contains("3 jours au plus"));
    assert!(given("01/12/2026", "").unwrap_err()[0].starts_with("b.au: Quand : répondez à « Au »"));
    assert_eq!(one(period(false), &[]), Ok(vec![]), "left blank as a whole");
    assert!(one(period(false), &[("b.du", "01/12/2026")]).is_err(), "begun, it must be finished");
}

#[test]
fn a_booking_ends_after_it_begins() {
    let shape = || Shape::Booking { resource: "salle".into(), name: "Salle des fêtes".into() };
    let given = |values: [&str; 4]| {
        let inputs: Vec<(&str, &str)> = ["b.du", "b.heure_du", "b.au", "b.heure_au"].into_iter().zip(values).collect();
        one(block(shape(), Shape::booking(DateBounds::default()), true), &inputs)
    };
    assert_eq!(
        given(["12/12/2026", "9h", "13/12/2026", "20:00"]),
        Ok(vec!["Salle des fêtes, du samedi 12 décembre 2026 à 9 h au dimanche 13 décembre 2026 à 20 h".into()])
    );
    assert_eq!(
        given(["12/12/2026", "9h", "12/12/2026", "12h"]),
        Ok(vec!["Salle des fêtes, samedi 12 décembre 2026 de 9 h à 12 h".into()])
    );
    assert!(given(["12/12/2026", "9h", "12/12/2026", "9h"]).unwrap_err()[0].starts_with("b.heure_au:"));
    assert!(given(["12/12/2026", "9h", "11/12/2026", "10h"]).unwrap_err()[0].starts_with("b.au:"));
}

#[test]
fn an_appointment_falls_on_an_open_day() {
    let parts = || Shape::appointment(DateBounds::default(), choices(&["matin", "soir"]));
    let given = |day, moment| {
        one(block(Shape::Appointment { days: vec![2, 4] }, parts(), true), &[("b.jour", day), ("b.moment", moment)])
    };
    assert_eq!(given("24/11/2026", "matin"), Ok(vec!["mardi 24 novembre 2026, MATIN".into()]));
    assert!(given("25/11/2026", "matin").unwrap_err()[0].contains("mercredi"));
    assert!(given("21/11/2026", "matin").is_err(), "not today");
    assert!(given("24/11/2026", "midi").is_err());
}

#[test]
fn a_person_and_the_copies_of_a_group_are_read_part_by_part() {
    let person = block(Shape::Person, Shape::person(&[PersonPart::Telephone]), true);
    let inputs = [("b.prenom", "Zoé"), ("b.nom", "Lampion"), ("b.telephone", "0612345678")];
    assert_eq!(
        one(person.clone(), &inputs),
        Ok(vec!["Prénom : Zoé".into(), "Nom de famille : Lampion".into(), "Téléphone : 06 12 34 56 78".into()])
    );
    assert!(one(person, &inputs[..2]).unwrap_err()[0].starts_with("b.telephone: Quand : répondez à « Téléphone »"));
    let group = |min| {
        let parts = vec![
            Field::plain("nom", FieldKind::Text { max: 10 }, "Nom", true),
            Field::plain("age", FieldKind::Number { min: Some(0), max: Some(18), unit_price: None }, "Âge", false),
        ];
        Field::plain("g", FieldKind::Group { one: "Enfant".into(), add: None, min, max: 3, parts }, "Enfants ?", false)
    };
    assert_eq!(
        one(group(0), &[("g.1.nom", "Zoé"), ("g.2.nom", ""), ("g.3.nom", "Léo"), ("g.3.age", "7")]),
        Ok(vec!["Enfant 1".into(), "Nom : Zoé".into(), "Enfant 2".into(), "Nom : Léo".into(), "Âge : 7".into()])
    );
    assert_eq!(one(group(0), &[]), Ok(vec![]));
    assert!(one(group(1), &[]).unwrap_err()[0].starts_with("g.1.nom: Enfant 1 :"));
    assert!(one(group(0), &[("g.2.age", "40")]).unwrap_err().len() == 2, "no name, and too old");
    assert_eq!(one(group(0), &[("g.9.nom", "Trop")]), Ok(vec![]), "beyond the last copy");
}

#[test]
fn a_mistake_names_its_question_and_its_part() {
    let number = Field::plain(
        "b",
        FieldKind::Number { min: Some(1), max: Some(9), unit_price: None },
        "Nombre de personnes ?",
        true,
    );
    assert_eq!(
        one(number, &[("b", "dix")]),
        Err(vec!["b: Nombre de personnes : écrivez un nombre entier, en chiffres".into()])
    );
    let parts =
        vec![Field::plain("age", FieldKind::Number { min: None, max: Some(18), unit_price: None }, "Âge", true)];
    let group = Field::plain(
        "g",
        FieldKind::Group { one: "Enfant".into(), add: None, min: 1, max: 3, parts },
        "Enfants ?",
        false,
    );
    assert_eq!(
        one(group, &[("g.1.age", "4"), ("g.2.age", "40")]),
        Err(vec!["g.2.age: Enfant 2, âge : indiquez un nombre d’au plus 18".into()])
    );
    let sum = Field::plain("b", FieldKind::Amount { min: None, max: None }, "Montant demandé", true);
    assert!(one(sum, &[("b", "beaucoup")]).unwrap_err()[0].starts_with("b: Montant demandé : écrivez"));
    let iban = Field::plain("b", FieldKind::Iban, "IBAN du club", true);
    assert!(one(iban, &[("b", "FR76")]).unwrap_err()[0].starts_with("b: IBAN du club : vérifiez"));
    let stay = block(Shape::Period { max_days: None }, Shape::period(DateBounds::default()), true);
    let told = one(stay, &[("b.du", "demain"), ("b.au", "demain")]).unwrap_err();
    assert!(told[0].starts_with("b.du: Quand, du : ") && told[1].starts_with("b.au: Quand, au : "), "{told:?}");
    let address = Field::plain("b", FieldKind::Address, "Adresse du chantier", true);
    assert_eq!(
        one(address, &[("b.voie", "1, rue du Four"), ("b.code_postal", "01500")]),
        Err(vec!["b.commune: Adresse du chantier : indiquez la commune".into()])
    );
    // The person's own telephone is asked once: it needs no name.
    let mut raw = good();
    raw.values.insert("telephone".into(), vec!["12".into()]);
    let told = said(&every_kind(true), &raw);
    assert!(told["telephone"].starts_with("Vérifiez le numéro de téléphone"), "{told:?}");
}

#[test]
fn a_child_is_neither_to_be_born_nor_grown_up() {
    let given = |day: &str, max_age| {
        let child = block(Shape::Child, Shape::child(&[], max_age), true);
        one(child, &[("b.prenom", "Zoé"), ("b.nom", "Lampion"), ("b.naissance", day)])
    };
    for (day, max_age, is_taken) in [
        ("21/11/2026", 25, true),
        ("22/11/2026", 25, false),
        ("21/11/2001", 25, true),
        ("20/11/2001", 25, false),
        ("21/11/2014", 12, true),
        ("20/11/2014", 12, false),
    ] {
        assert_eq!(given(day, max_age).is_ok(), is_taken, "{day}");
    }
    assert!(given("03/05/1926", 25).unwrap_err()[0].contains("date de naissance : vérifiez l’année"));
    let person = || block(Shape::Person, Shape::person(&[PersonPart::Birth]), true);
    let born = |day| one(person(), &[("b.prenom", "Zoé"), ("b.nom", "Lampion"), ("b.naissance", day)]);
    assert!(born("03/05/1926").is_ok() && born("03/05/1880").is_err());
    let far = [("b.du", "01/12/2062"), ("b.heure_du", "9h"), ("b.au", "02/12/2062"), ("b.heure_au", "9h")];
    let booking = || Shape::Booking { resource: "salle".into(), name: "Salle".into() };
    assert!(one(block(booking(), Shape::booking(DateBounds::default()), true), &far).is_err(), "2026 was meant");
}

#[test]
fn the_other_parent_is_asked_without_holding_anyone_up() {
    let parts = || Shape::person(&[PersonPart::Telephone, PersonPart::Email, PersonPart::SameAddress]);
    let given = |inputs: &[(&str, &str)]| one(block(Shape::Person, parts(), false), inputs);
    assert_eq!(given(&[]), Ok(vec![]));
    assert_eq!(given(&[("b.meme_adresse", "oui")]), Ok(vec![]), "a round button cannot be let go");
    let known = [("b.prenom", "Léo"), ("b.nom", "Lampion"), ("b.telephone", "0612345678")];
    assert!(given(&[&known[..], &[("b.meme_adresse", "oui")]].concat()).is_ok());
    let apart = given(&[&known[..], &[("b.meme_adresse", "non")]].concat()).unwrap_err();
    assert_eq!(apart, ["b.autre_adresse: Quand : indiquez son adresse postale"]);
}

#[test]
fn persons_are_repeated_in_a_group() {
    let parent = Field::plain(
        "parent",
        FieldKind::Block { shape: Shape::Person, parts: Shape::person(&[]) },
        "Responsable",
        true,
    );
    let mut form = bare_form(Nature::Contact, Identity::None, Silence::SansDecision);
    let kind = FieldKind::Group { one: "Enfant".into(), add: None, min: 1, max: 3, parts: vec![parent] };
    form.fields = vec![Field::plain("g", kind, "Enfants ?", false)];
    let inputs = [("g.1.parent.prenom", "Zoé"), ("g.1.parent.nom", "Lampion"), ("g.2.parent.nom", "Seul")];
    let told = answers(&form, &raw(&inputs), TODAY).unwrap_err();
    assert_eq!(told[0].input, "g.2.parent.prenom");
    assert!(form.leaf("g.2.parent.prenom").is_some_and(|(field, leaf)| field.id == "g" && leaf.id == "prenom"));
    let valid = answers(&form, &raw(&inputs[..2]), TODAY).expect("one parent");
    assert!(valid.answers[0].value.lines()[1].contains("Zoé"), "{:?}", valid.answers);
    let again = answers(&form, &reposted(&form, &raw(&inputs[..2])), TODAY).expect("the same");
    assert_eq!(again, valid);
}

#[test]
fn prices_are_summed_over_what_is_asked_only() {
    let mut form = bare_form(Nature::Contact, Identity::None, Silence::SansDecision);
    let priced = |price| Choice { value: format!("p{price}"), label: "P".into(), help: None, price: Some(price) };
    form.fields = vec![
        Field::plain("tarif", FieldKind::Choice { choices: vec![priced(8_000), priced(16_000)] }, "Tarif ?", true),
        on(
            Field::plain(
                "options",
                FieldKind::Choices { choices: vec![priced(1_250), priced(4_000)] },
                "Options ?",
                false,
            ),
            "tarif",
            true,
            &["p8000"],
        ),
        Field::plain("chaises", FieldKind::Number { min: None, max: None, unit_price: Some(50) }, "Chaises ?", false),
    ];
    let sum = |inputs: &[(&str, &str)]| total(&form, &raw(inputs));
    assert_eq!(
        sum(&[("tarif", "p8000"), ("options", "p1250"), ("options", "p4000"), ("chaises", "1 0")]),
        Some(8_000 + 5_250 + 500)
    );
    assert_eq!(sum(&[("tarif", "p16000"), ("options", "p1250")]), Some(16_000), "options are not asked");
    assert_eq!(sum(&[]), Some(0));
    form.fields.clear();
    assert_eq!(total(&form, &raw(&[])), None);
}

proptest! {
    #[test]
    fn no_answer_to_a_block_or_a_group_panics(values in proptest::collection::vec(("[a-z]{1,8}|g\\.[0-9]{1,3}\\.[a-z]{1,4}|b\\.[a-z_]{1,9}", ".{0,30}"), 0..12)) {
        let pairs: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let parts = vec![Field::plain("nom", FieldKind::Text { max: 10 }, "Nom", true)];
        let group = Field::plain("g", FieldKind::Group { one: "Un".into(), add: None, min: 0, max: 3, parts }, "G ?", false);
        let _ = one(group, &pairs);
        let _ = one(block(Shape::Period { max_days: None }, Shape::period(DateBounds::default()), true), &pairs);
    }
}
