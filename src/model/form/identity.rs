//! The identity block: who sends, as the law asks it.

use serde::{Deserialize, Serialize};

use super::question::{Choice, Condition, Field, FieldKind};

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
                price: None,
            });
            fields.push(person(
                IDENTITY_FIELD,
                FieldKind::Choice { choices: choices.collect() },
                "Vous écrivez",
                true,
                "",
            ));
        }
        let only = |kind: &str| (!several.is_empty()).then(|| Condition::is(IDENTITY_FIELD, &[kind]));
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
