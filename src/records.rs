//! The register of processing a mairie keeps (RGPD, art. 30), made from the forms themselves: what the notice tells a resident
//! is what the register tells the CNIL. Pure; only what forms take, the mairie's other treatments are hers to write.

use std::collections::BTreeMap;

use crate::model::commune::Commune;
use crate::model::form::{Field, FieldKind, Form, IDENTITY_STEP};
use crate::model::receipt::delay_words;
use crate::model::site::Site;

/// One treatment: a form that takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// « Saisir la mairie ».
    pub treatment: String,
    /// Responsible in law, and who answers for data protection.
    pub controller: String,
    /// What it is for.
    pub purpose: String,
    /// Legal basis of the processing (RGPD, art. 6).
    pub legal_basis: String,
    /// The text the démarche itself rests on; empty when the form names none.
    pub text: String,
    /// Whom the data is about.
    pub people: String,
    /// Categories of data, each with its questions.
    pub categories: Vec<String>,
    /// Questions of which the answer may be sensitive (RGPD, art. 9): the mairie looks at them.
    pub sensitive: Vec<String>,
    /// Who reads the answers.
    pub recipients: String,
    /// How long they are kept.
    pub retention: String,
    /// What protects them.
    pub measures: Vec<String>,
}

/// The entries of all open forms, in the order of their slugs.
pub fn entries(site: &Site) -> Vec<Entry> {
    site.forms.values().map(|form| entry(form, &site.commune)).collect()
}

fn entry(form: &Form, commune: &Commune) -> Entry {
    let dpo = match &commune.dpo {
        Some(dpo) => format!("délégué à la protection des données : {}, {}", dpo.nom, dpo.courriel),
        None => "délégué à la protection des données : à désigner".to_owned(),
    };
    let asked = || form.fields.iter().filter(|field| !field.question.is_empty());
    Entry {
        treatment: form.title.clone(),
        controller: format!("Commune {} ; {dpo}", commune.names.forme_de),
        purpose: form.data.purpose.clone(),
        legal_basis: form.data.legal_basis.clone(),
        text: form.legal_basis.clone().unwrap_or_default(),
        people: "Les personnes qui remplissent le formulaire, et celles dont elles parlent".to_owned(),
        categories: categories(asked()),
        sensitive: asked().filter(|field| may_be_sensitive(field)).map(|field| field.question.clone()).collect(),
        recipients: format!("{} ; {}", form.data.recipients, form.service.name),
        retention: format!("{} après la réception, puis effacement automatique", delay_words(form.data.retention)),
        measures: MEASURES.map(str::to_owned).to_vec(),
    }
}

/// « Coordonnées : Adresse électronique, Téléphone ».
fn categories<'f>(fields: impl Iterator<Item = &'f Field>) -> Vec<String> {
    let mut by_category: BTreeMap<(u8, &'static str), Vec<&str>> = BTreeMap::new();
    for field in fields {
        by_category.entry(category(field)).or_default().push(&field.question);
    }
    by_category.into_iter().map(|((_, name), questions)| format!("{name} : {}", questions.join(", "))).collect()
}

/// The category of an answer, with its rank. A kind of question that is not named here is an answer like any other.
fn category(field: &Field) -> (u8, &'static str) {
    match field.kind {
        FieldKind::Email | FieldKind::Telephone | FieldKind::Address => (1, "Coordonnées"),
        FieldKind::Rna | FieldKind::Siret => (2, "Identifiants d'un organisme"),
        FieldKind::File { .. } => (4, "Pièces jointes"),
        _ if field.step.as_deref() == Some(IDENTITY_STEP) => (0, "Identité"),
        _ => (3, "Réponses au formulaire"),
    }
}

/// Whether the words of a question call for an answer the law protects more. Its help does not count: it often says not to
/// write any.
fn may_be_sensitive(field: &Field) -> bool {
    let words = field.question.to_lowercase();
    SENSITIVE.iter().any(|word| words.contains(word))
}

/// The register as a table, one line a treatment. Shape: UTF-8 with its mark, semicolons, as spreadsheets in French open it.
///
/// # Errors
/// [`csv::Error`] never in practice: it is written in memory.
pub fn csv(entries: &[Entry]) -> Result<String, csv::Error> {
    let mut writer = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
    writer.write_record(HEADINGS)?;
    for entry in entries {
        writer.write_record(cells(entry).map(|cell| harmless(&cell)))?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(format!("\u{feff}{}", String::from_utf8_lossy(&bytes)))
}

/// The register as a text to read and print.
pub fn markdown(entries: &[Entry], commune: &Commune) -> String {
    let mut text = format!(
        "# Registre des traitements – formulaires en ligne {}\n\n\
         Fait par Mulot à partir des formulaires ouverts. Les autres traitements de la mairie sont à ajouter. Relisez-le avec \
         votre délégué à la protection des données.\n",
        commune.names.forme_de
    );
    for entry in entries {
        text.push_str(&format!("\n## {}\n\n", one_line(&entry.treatment)));
        for (heading, cell) in HEADINGS.iter().zip(cells(entry)).skip(1).filter(|(_, cell)| !cell.is_empty()) {
            text.push_str(&format!("- **{heading}** : {}\n", one_line(&cell)));
        }
    }
    text
}

fn cells(entry: &Entry) -> [String; 11] {
    [
        entry.treatment.clone(),
        entry.controller.clone(),
        entry.purpose.clone(),
        entry.legal_basis.clone(),
        entry.people.clone(),
        entry.categories.join(" | "),
        entry.sensitive.join(" | "),
        entry.recipients.clone(),
        entry.retention.clone(),
        entry.measures.join(" | "),
        entry.text.clone(),
    ]
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A cell that no spreadsheet takes for a formula.
fn harmless(cell: &str) -> String {
    let begins_one = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if begins_one { format!("'{cell}") } else { cell.to_owned() }
}

const HEADINGS: [&str; 11] = [
    "Traitement",
    "Responsable",
    "Finalité",
    "Base légale",
    "Personnes concernées",
    "Catégories de données",
    "Questions sensibles à justifier",
    "Destinataires",
    "Conservation",
    "Mesures de sécurité",
    "Texte applicable à la démarche",
];

/// What the program itself does; what depends on the machine stands in docs/securite.
const MEASURES: [&str; 6] = [
    "réponses, messages et pièces chiffrés sur le disque",
    "pages sans traceur, sans compte ni service tiers",
    "fichiers reconnus à leur contenu et limités",
    "dossier de données réservé au compte du guichet",
    "journaux sans donnée personnelle",
    "effacement automatique des réponses et des pièces à leur date",
];

/// Words of questions that touch health, beliefs, origins, politics or the law's own numbers.
const SENSITIVE: [&str; 14] = [
    "santé",
    "allergi",
    "handicap",
    "médic",
    "régime alimentaire",
    "relig",
    "cultuel",
    "syndic",
    "nationalité",
    "sécurité sociale",
    "condamn",
    "casier",
    "pathologie",
    "vaccin",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form::{Identity, Nature, Silence};

    fn entry_of(change: impl FnOnce(&mut Form)) -> Entry {
        let mut form = crate::model::receipt::tests::form(Nature::Demande, Identity::Person, Silence::SansDecision);
        change(&mut form);
        entry(&form, &commune())
    }

    fn commune() -> Commune {
        let (sources, _) = crate::load::sources(&crate::load::Layers::of(
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal"),
            &crate::pipeline::Base::embedded().catalogue,
        ));
        sources.unwrap().commune
    }

    /// A question of the form itself, outside the identity block.
    fn question(form: &Form, words: &str) -> Field {
        Field { kind: FieldKind::LongText { max: 10 }, question: words.into(), step: None, ..form.fields[0].clone() }
    }

    #[test]
    fn an_entry_says_what_the_notice_says() {
        let entry = entry_of(|form| {
            form.fields.push(question(form, "Les allergies de l'enfant"));
            form.fields.push(question(form, ""));
        });
        assert_eq!(entry.purpose, "instruire votre demande");
        assert!(entry.measures.iter().any(|one| one.contains("chiffrés sur le disque")), "{:?}", entry.measures);
        assert!(entry.retention.starts_with("12\u{a0}mois"), "{}", entry.retention);
        assert!(entry.categories.iter().any(|one| one.starts_with("Identité : Prénom")), "{:?}", entry.categories);
        assert!(entry.categories.iter().any(|one| one.starts_with("Coordonnées : ")), "{:?}", entry.categories);
        assert_eq!(entry.sensitive, ["Les allergies de l'enfant"]);
    }

    #[test]
    fn the_text_of_the_demarche_is_not_the_basis_of_the_processing() {
        let entry = entry_of(|form| form.legal_basis = Some("CRPA, art. L231-4".into()));
        assert!(!entry.legal_basis.contains("CRPA"), "{}", entry.legal_basis);
        let text = markdown(&[entry], &commune());
        assert!(text.contains("- **Texte applicable à la démarche** : CRPA, art. L231-4"), "{text}");
    }

    #[test]
    fn a_spreadsheet_reads_the_table_and_runs_nothing_of_it() {
        let entry = entry_of(|form| {
            form.title = "=CMD()".into();
            form.data.purpose = "répondre ; \"vite\"\nsur deux lignes".into();
        });
        let text = csv(std::slice::from_ref(&entry)).unwrap();
        assert!(text.starts_with('\u{feff}'));
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(&text.as_bytes()[3..]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((rows.len(), rows[0].len()), (1, HEADINGS.len()));
        assert_eq!(&rows[0][0], "'=CMD()");
        assert_eq!(&rows[0][2], entry.purpose);
    }

    #[test]
    fn the_text_has_a_chapter_for_each_form() {
        let text = markdown(&[entry_of(|_| {}), entry_of(|form| form.title = "Autre".into())], &commune());
        assert_eq!(text.matches("\n## ").count(), 2);
        assert!(text.contains("- **Finalité** : instruire votre demande"), "{text}");
    }
}
