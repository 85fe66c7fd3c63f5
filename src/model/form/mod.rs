//! What a form is: the one definition that serves the page that shows it and the code that receives it.

use serde::{Deserialize, Serialize};

/// Who is asked to say who they are, and how (CRPA, art. R112-9-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// First name, last name, postal and electronic address.
    #[serde(rename = "personne")]
    Person,
    /// RNA number, and a representative.
    #[serde(rename = "association")]
    Association,
    /// SIRET number, and a representative.
    #[serde(rename = "entreprise")]
    Company,
    /// A person or an association.
    #[serde(rename = "personne_ou_association")]
    PersonOrAssociation,
    /// A person, an association or a company.
    #[serde(rename = "toutes")]
    All,
    /// Name and e-mail only: not a *saisine* in the sense of the law.
    #[serde(rename = "libre")]
    Free,
    /// Nothing is required; name, e-mail and telephone are offered.
    #[serde(rename = "aucune")]
    None,
}

/// What a form brings to the mairie; it decides which receipt is due (CRPA, art. R112-11-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nature {
    /// A request that calls for a decision.
    #[serde(rename = "demande")]
    Demande,
    /// A declaration.
    #[serde(rename = "declaration")]
    Declaration,
    /// Information brought to the mairie (a report, for instance).
    #[serde(rename = "information")]
    Information,
    /// A plain message, not a *saisine*.
    #[serde(rename = "contact")]
    Contact,
}

/// A legal delay, in calendar units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delay {
    /// Calendar days.
    Days(u16),
    /// Calendar months.
    Months(u16),
    /// Calendar years.
    Years(u16),
}

/// What the silence of the administration means (CRPA, art. L231-1 and L231-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Silence {
    /// The request is deemed accepted after the delay.
    Acceptation(Delay),
    /// The request is deemed rejected after the delay.
    Rejet(Delay),
    /// No decision is awaited.
    SansDecision,
    /// Not known when the form is sent: the *accusé d'enregistrement* leaves at once, the mairie sends the *accusé de
    /// réception*.
    Inconnu,
}

/// The notice of RGPD, art. 13, as a form declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataNotice {
    /// What the answers are used for; follows « pour ».
    pub purpose: String,
    /// Legal basis, for instance « mission d'intérêt public ».
    pub legal_basis: String,
    /// How long the answers are kept after reception.
    pub retention: Delay,
    /// Who reads the answers.
    pub recipients: String,
}

/// The service in charge, as every receipt must name it (CRPA, art. R112-11-1, 2°).
///
/// Shape: no field is optional in law; `responsible` is the agent or élu when known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceContact {
    /// « Secrétariat de la mairie ».
    pub name: String,
    /// Lines of the postal address, without the commune's line.
    pub address: Vec<String>,
    /// As written by the mairie, « 02 99 00 12 34 ».
    pub telephone: String,
    /// Electronic address.
    pub email: String,
    /// First name, last name and title, when published.
    pub responsible: Option<String>,
}

/// A choice of a [`FieldKind::Choice`] or [`FieldKind::Choices`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    /// One more sentence below the label.
    pub help: Option<String>,
}

/// A format of file that a form accepts; recognised by content, never by name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// PDF.
    Pdf,
    /// JPEG.
    Jpg,
    /// PNG.
    Png,
}

/// What kind of answer a question takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldKind {
    /// One line, at most `max` characters.
    Text {
        /// Characters.
        max: u32,
    },
    /// Several lines, at most `max` characters.
    LongText {
        /// Characters.
        max: u32,
    },
    /// An e-mail address.
    Email,
    /// A telephone number.
    Telephone,
    /// A whole number between bounds.
    Number {
        /// Smallest accepted.
        min: Option<i64>,
        /// Largest accepted.
        max: Option<i64>,
    },
    /// A calendar date.
    Date,
    /// An hour of the day.
    Time,
    /// Yes or no.
    YesNo,
    /// One of.
    Choice {
        /// At least two.
        choices: Vec<Choice>,
    },
    /// Several of.
    Choices {
        /// At least two.
        choices: Vec<Choice>,
    },
    /// One box.
    Checkbox,
    /// Street, postal code, commune: three inputs `id.voie`, `id.code_postal`, `id.commune`.
    Address,
    /// A place in free words, with suggestions.
    Place {
        /// Hamlets and streets offered.
        suggestions: Vec<String>,
    },
    /// Files.
    File {
        /// Accepted formats.
        formats: Vec<FileFormat>,
        /// How many at most.
        max_count: u8,
        /// Bytes a file.
        max_bytes: u64,
    },
    /// Words without a question (ready HTML, made from Markdown).
    Information {
        /// Ready HTML.
        html: String,
    },
    /// An association's RNA number (`W` and nine digits; another identifier is accepted, the reference marks the pattern as
    /// not verified).
    Rna,
    /// A SIRET number (fourteen digits, Luhn key).
    Siret,
}

/// When a question is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Id of an earlier field.
    pub field: String,
    /// `true` for `=`, `false` for `!=`.
    pub equal: bool,
    /// Accepted (or excluded) values.
    pub values: Vec<String>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Unique in its form; lower case, digits and `_`.
    pub id: String,
    /// Kind of answer.
    pub kind: FieldKind,
    /// The question as read; empty for [`FieldKind::Information`].
    pub question: String,
    /// One more sentence.
    pub help: Option<String>,
    /// Whether an answer is required (when the question is asked).
    pub required: bool,
    /// Title of the group the question stands in.
    pub step: Option<String>,
    /// When it is asked.
    pub condition: Option<Condition>,
    /// HTML `autocomplete` token (WCAG 1.3.5), for questions on the person.
    pub autocomplete: Option<String>,
}

/// A form, ready to be shown and to receive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The fiche's slug: `saisir-la-mairie`.
    pub id: String,
    /// The fiche's title.
    pub title: String,
    /// Address of the fiche on the site, `/demarches/saisir-la-mairie/`.
    pub page_url: String,
    /// What it brings.
    pub nature: Nature,
    /// Who is asked who they are.
    pub identity: Identity,
    /// What silence means.
    pub silence: Silence,
    /// Legal text the démarche rests on.
    pub legal_basis: Option<String>,
    /// Word between brackets in the subject of mails.
    pub subject_word: String,
    /// Words on the button of the fiche.
    pub button: String,
    /// What happens next, for the confirmation.
    pub confirmation: Option<String>,
    /// Service in charge.
    pub service: ServiceContact,
    /// Mailboxes of the mairie that receive requests; never empty.
    pub recipients: Vec<String>,
    /// Mailboxes told when the first ones refuse for good.
    pub backup_recipients: Vec<String>,
    /// Data-protection notice.
    pub data: DataNotice,
    /// All questions in order, the identity block included.
    pub fields: Vec<Field>,
}

/// Id of the field that says which identity is used, when the form offers several.
pub const IDENTITY_FIELD: &str = "qualite";

/// Title of the group of identity questions.
pub const IDENTITY_STEP: &str = "Vous";

impl Identity {
    /// The questions of this identity block, in the order they are asked.
    ///
    /// Source: CRPA, art. R112-9-1 (person: last name, first name, postal and electronic address; association: RNA number;
    /// company: SIREN or SIRET number).
    pub fn fields(self) -> Vec<Field> {
        let mut fields = Vec::new();
        let several: &[(&str, &str)] = match self {
            Identity::PersonOrAssociation => &[("personne", "Pour moi-même"), ("association", "Pour une association")],
            Identity::All => &[
                ("personne", "Pour moi-même"),
                ("association", "Pour une association"),
                ("entreprise", "Pour une entreprise"),
            ],
            _ => &[],
        };
        if !several.is_empty() {
            let choices = several.iter().map(|(value, label)| Choice {
                value: (*value).into(),
                label: (*label).into(),
                help: None,
            });
            fields.push(person(
                IDENTITY_FIELD,
                FieldKind::Choice { choices: choices.collect() },
                "Vous écrivez",
                true,
                "",
            ));
        }
        let only = |kind: &str| {
            (!several.is_empty()).then(|| Condition {
                field: IDENTITY_FIELD.into(),
                equal: true,
                values: vec![kind.into()],
            })
        };
        let (full, name_required, mail_required) = match self {
            Identity::Free => (false, true, true),
            Identity::None => (false, false, false),
            _ => (true, true, true),
        };
        if full {
            fields.push(person("prenom", FieldKind::Text { max: 100 }, "Prénom", true, "given-name"));
            fields.push(person("nom", FieldKind::Text { max: 100 }, "Nom de famille", true, "family-name"));
        } else {
            fields.push(person("nom", FieldKind::Text { max: 100 }, "Votre nom", name_required, "name"));
        }
        if matches!(self, Identity::Association | Identity::PersonOrAssociation | Identity::All) {
            let mut name =
                person("association", FieldKind::Text { max: 200 }, "Nom de l’association", true, "organization");
            name.condition = only("association");
            let mut rna = person("rna", FieldKind::Rna, "Numéro RNA de l’association", true, "");
            rna.help = Some("Il commence par W et figure sur le récépissé de la préfecture. À défaut, un autre numéro d’identification.".into());
            rna.condition = only("association");
            fields.extend([name, rna]);
        }
        if matches!(self, Identity::Company | Identity::All) {
            let mut name =
                person("entreprise", FieldKind::Text { max: 200 }, "Nom de l’entreprise", true, "organization");
            name.condition = only("entreprise");
            let mut siret = person("siret", FieldKind::Siret, "Numéro SIRET", true, "");
            siret.help = Some("Quatorze chiffres.".into());
            siret.condition = only("entreprise");
            fields.extend([name, siret]);
        }
        if full {
            fields.push(person("adresse", FieldKind::Address, "Adresse postale", true, "address-line1"));
        }
        let mut email = person("courriel", FieldKind::Email, "Adresse électronique", mail_required, "email");
        email.help = Some(if mail_required {
            "Elle sert à vous envoyer l’accusé et la réponse. Exemple : nom@exemple.fr".into()
        } else {
            "Pour recevoir un accusé et une réponse. Exemple : nom@exemple.fr".to_owned()
        });
        fields.push(email);
        fields.push(person("telephone", FieldKind::Telephone, "Téléphone", false, "tel"));
        fields
    }

    /// Whether what is sent with this identity is a *saisine par voie électronique* in the sense of CRPA, art. L112-8.
    pub fn is_saisine(self) -> bool {
        !matches!(self, Identity::Free | Identity::None)
    }
}

fn person(id: &str, kind: FieldKind, question: &str, required: bool, autocomplete: &str) -> Field {
    Field {
        id: id.into(),
        kind,
        question: question.into(),
        help: None,
        required,
        step: Some(IDENTITY_STEP.into()),
        condition: None,
        autocomplete: (!autocomplete.is_empty()).then(|| autocomplete.into()),
    }
}

impl Form {
    /// The field of that id.
    pub fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// Whether any question takes files.
    pub fn takes_files(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.kind, FieldKind::File { .. }))
    }
}
