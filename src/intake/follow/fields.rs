//! The questions asked of an agent who acts and of a resident who completes: small forms, read and judged as all others are.
//! Pure.

use jiff::ToSpan;
use jiff::civil::Date;

use super::{Case, Decision, TO_WRITE, accuse_words, draft, paragraphs};
use crate::intake::validate;
use crate::model::dossier::{Act, ActKind, Action, Agent, Regime};
use crate::model::form::{
    Appeal, Choice, Condition, DataNotice, DateBounds, Delay, Field, FieldKind, FileFormat, Form, Identity, Nature,
    Opening, Silence,
};
use crate::model::receipt::Issuer;
use crate::model::submission::{Answer, AnswerValue, FieldError, RawAnswers, StoredFile, ValidAnswers};
use crate::text::dates::parse_date;

/// Days given to send what is missing, unless the agent says otherwise; our choice.
const DAYS_TO_COMPLETE: i32 = 30;
/// Months after which silence decides, unless a text says otherwise (art. L231-1, L231-4).
const GENERAL_DELAY: u16 = 2;

/// The questions of an action.
pub fn action_form(action: Action, case: &Case, issuer: &Issuer) -> Form {
    let mut fields = match action {
        Action::Accuser => accuse_fields(case, issuer),
        Action::Pieces => pieces_fields(None),
        Action::Completer => vec![Field {
            help: Some("Le jour où le dernier document est arrivé, par le guichet, par la poste ou à l'accueil. Le délai court à partir de ce jour.".into()),
            ..field(
                "complet_le",
                FieldKind::Date { bounds: DateBounds { past: true, ..DateBounds::default() } },
                "Depuis quel jour le dossier est-il complet ?",
            )
        }],
        Action::Refuser => vec![Field {
            help: Some("La règle appliquée, et pourquoi elle s'applique à cette demande.".into()),
            ..field("motifs", long(5000), "Motifs du refus")
        }],
        Action::Transmettre => vec![Field {
            help: Some("Son nom, et son adresse si vous l'avez.".into()),
            ..field("organisme", FieldKind::Text { max: 300 }, "À quel organisme la transmettez-vous ?")
        }],
        Action::Prendre | Action::Accepter | Action::Clore => Vec::new(),
    };
    let words =
        Field { required: action != Action::Accuser, ..field("lettre", long(8000), "Votre message à l'usager") };
    match action {
        Action::Accuser => fields.push(Field { question: "Un mot de plus à l'usager".into(), ..words }),
        _ => fields.insert(0, words),
    }
    fields.iter_mut().for_each(|field| field.step = Some("La lettre".into()));
    let signer = |id: &str, max: u32, question: &str, autocomplete: &str| Field {
        autocomplete: Some(autocomplete.into()),
        step: Some("Qui signe".into()),
        ..field(id, FieldKind::Text { max }, question)
    };
    // Art. L111-2.
    fields.push(signer("agent_prenom", 40, "Votre prénom", "given-name"));
    fields.push(signer("agent_nom", 40, "Votre nom", "family-name"));
    fields.push(Field {
        help: Some("Exemples : secrétaire de mairie, adjoint au maire.".into()),
        ..signer("agent_qualite", 100, "Votre qualité", "organization-title")
    });
    form(case, fields)
}

/// What an agent finds written: the ready letter, and who signed last.
pub fn action_answers(action: Action, case: &Case, today: Date) -> RawAnswers {
    let mut raw = RawAnswers::default();
    let mut set = |name: &str, value: String| raw.values.insert(name.to_owned(), vec![value]);
    set("lettre", draft(action, case, today));
    set("date_limite", today.saturating_add(DAYS_TO_COMPLETE.days()).to_string());
    set("delai", GENERAL_DELAY.to_string());
    set("complet_le", last_complement(case).unwrap_or(today).to_string());
    if let Some(agent) = case.kept.acts.iter().rev().find_map(|act| act.agent.as_ref()) {
        set("agent_prenom", agent.first_name.clone());
        set("agent_nom", agent.last_name.clone());
        set("agent_qualite", agent.title.clone());
    }
    raw
}

/// Day something was added last.
fn last_complement(case: &Case) -> Option<Date> {
    let came = |act: &Act| matches!(act.kind, ActKind::Complement { .. }).then(|| act.at.date());
    case.kept.acts.iter().rev().find_map(came)
}

/// What an agent decided, and who signs.
///
/// # Errors
/// Every mistake, each with the input it stands in.
pub fn decision(
    action: Action,
    case: &Case,
    form: &Form,
    raw: &RawAnswers,
    today: Date,
) -> Result<(Decision, Agent), Vec<FieldError>> {
    let read = validate::answers(form, raw, today);
    let mut errors = match &read {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(|error| told(error, raw)).collect(),
    };
    let mut wrong = |input: &str, message: &str| {
        if !errors.iter().any(|error: &FieldError| error.input == input) {
            errors.push(FieldError { input: input.to_owned(), message: message.to_owned() });
        }
    };
    if raw.first("lettre").contains(TO_WRITE) {
        wrong("lettre", "Écrivez votre réponse à la place de « [Votre réponse] »");
    }
    let asks = action == Action::Pieces || (action == Action::Accuser && raw.first("modele") == "pieces");
    let until = parse_date(raw.first("date_limite")).unwrap_or(today);
    if asks && until <= today {
        wrong("date_limite", "Choisissez une date à venir, qui laisse le temps de répondre");
    }
    let since = parse_date(raw.first("complet_le")).unwrap_or(today);
    if action == Action::Completer && since < case.kept.received_at.date() {
        wrong("complet_le", "Choisissez un jour qui ne vient pas avant la réception de la demande");
    }
    match read {
        Ok(valid) if errors.is_empty() => Ok(decided(action, case, &Given(valid), (until, since))),
        _ => Err(errors),
    }
}

/// What is left empty is asked for in words of its own.
fn told(error: &FieldError, raw: &RawAnswers) -> FieldError {
    let message = match error.input.as_str() {
        input if !raw.first(input).trim().is_empty() => return error.clone(),
        "lettre" => "Écrivez votre message à l'usager",
        "motifs" => "Écrivez les motifs du refus",
        "pieces" => "Dites ce qui manque",
        "organisme" => "Nommez l'organisme à qui vous transmettez la demande",
        "modele" => "Choisissez l'accusé qui convient",
        "complet_le" => "Dites depuis quel jour le dossier est complet",
        "agent_prenom" => "Indiquez votre prénom",
        "agent_nom" => "Indiquez votre nom",
        "agent_qualite" => "Indiquez votre qualité",
        _ => return error.clone(),
    };
    FieldError { input: error.input.clone(), message: message.to_owned() }
}

fn decided(action: Action, case: &Case, given: &Given, (until, since): (Date, Date)) -> (Decision, Agent) {
    let pieces = |accuse: bool| ActKind::Pieces { asked: paragraphs(&given.text("pieces")), until, accuse };
    let kind = match action {
        Action::Prendre => ActKind::PriseEnCharge,
        Action::Accuser => {
            let delay = Delay::Months(given.text("delai").parse().unwrap_or(GENERAL_DELAY));
            match given.choice("modele") {
                Some(Model::Pieces) => pieces(case.life.owes_accuse()),
                Some(Model::Acceptation) => ActKind::Accuse { regime: Regime::Acceptation(delay) },
                Some(Model::Rejet) => ActKind::Accuse { regime: Regime::Rejet(delay) },
                Some(Model::Information) | None => ActKind::Accuse { regime: Regime::SansDecision },
            }
        }
        Action::Completer => ActKind::Complet { since },
        // Asked before the receipt has left, it is the receipt.
        Action::Pieces => pieces(case.life.owes_accuse()),
        Action::Accepter => ActKind::Acceptation,
        Action::Refuser => ActKind::Refus,
        Action::Transmettre => ActKind::Transmission { body: given.text("organisme") },
        Action::Clore => ActKind::Cloture,
    };
    let agent = Agent {
        first_name: given.text("agent_prenom"),
        last_name: given.text("agent_nom"),
        title: given.text("agent_qualite"),
    };
    (Decision { kind, letter: given.text("lettre"), reasons: given.text("motifs") }, agent)
}

/// The questions of a resident who completes a request.
pub fn complement_form(case: &Case) -> Form {
    let texts = Field { required: false, ..field("precisions", long(5000), "Vos précisions") };
    let files = Field {
        required: false,
        ..field(
            "pieces",
            FieldKind::File {
                formats: vec![FileFormat::Pdf, FileFormat::Jpg, FileFormat::Png],
                max_count: 5,
                max_bytes: 7 << 20,
                photo: false,
            },
            "Vos documents",
        )
    };
    form(case, vec![files, texts])
}

/// What a resident adds: the words and the files.
///
/// # Errors
/// Every mistake, each with the input it stands in.
pub fn complement(form: &Form, raw: &RawAnswers, today: Date) -> Result<(String, Vec<StoredFile>), Vec<FieldError>> {
    let valid = validate::answers(form, raw, today)?;
    let files: Vec<StoredFile> = valid.files().cloned().collect();
    let text = Given(valid).text("precisions");
    if files.is_empty() && text.is_empty() {
        let message = "Ajoutez au moins un document ou une précision".to_owned();
        return Err(vec![FieldError { input: "pieces".into(), message }]);
    }
    Ok((text, files))
}

/// Valid answers, by the name of their field.
struct Given(ValidAnswers);

/// One of the four receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Information,
    Acceptation,
    Rejet,
    Pieces,
}

/// Value, label and model of each receipt; the labels are those of the mairie's mail.
const MODELS: [(&str, &str, Model); 4] = [
    ("information", "Une information ou une déclaration", Model::Information),
    ("acceptation", "Une demande : le silence vaut acceptation (règle générale, art. L231-1)", Model::Acceptation),
    (
        "rejet",
        "Une demande : le silence vaut rejet (demande financière, réclamation, autres cas de l'art. L231-4)",
        Model::Rejet,
    ),
    ("pieces", "Il manque un document", Model::Pieces),
];

impl Given {
    fn answer(&self, id: &str) -> Option<&Answer> {
        self.0.answers.iter().find(|answer| answer.field == id)
    }

    fn text(&self, id: &str) -> String {
        match self.answer(id).map(|answer| &answer.value) {
            Some(AnswerValue::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }

    fn choice(&self, id: &str) -> Option<Model> {
        match self.answer(id).map(|answer| &answer.value) {
            Some(AnswerValue::Choices(labels)) => {
                MODELS.iter().find(|(_, label, _)| labels.iter().any(|one| one == label)).map(|(.., model)| *model)
            }
            _ => None,
        }
    }
}

fn accuse_fields(case: &Case, issuer: &Issuer) -> Vec<Field> {
    let words = |model| {
        let two_months = Delay::Months(GENERAL_DELAY);
        let regime = match model {
            Model::Pieces => {
                return "Vous dites à l'usager ce qui manque, et pour quand ; le délai ne court pas pendant ce temps."
                    .to_owned();
            }
            Model::Information => Regime::SansDecision,
            Model::Acceptation => Regime::Acceptation(two_months),
            Model::Rejet => Regime::Rejet(two_months),
        };
        // Title, reception and service come first, whatever the model.
        accuse_words(regime, case, issuer).split_off(3).join(" ")
    };
    let choices = MODELS.iter().map(|(value, label, model)| Choice {
        value: (*value).into(),
        label: (*label).into(),
        help: Some(words(*model)),
        price: None,
    });
    let when = |values: &[&str]| Some(Condition::is("modele", values));
    let mut fields = vec![
        field("modele", FieldKind::Choice { choices: choices.collect() }, "Qu'avez-vous reçu ?"),
        Field {
            help: Some(
                "Deux mois : c'est la règle générale. Changez-le si un texte en prévoit un autre pour cette demande."
                    .into(),
            ),
            condition: when(&["acceptation", "rejet"]),
            ..field("delai", FieldKind::Number { min: Some(1), max: Some(24), unit_price: None }, "Délai, en mois")
        },
    ];
    fields.extend(pieces_fields(when(&["pieces"])));
    fields
}

fn pieces_fields(condition: Option<Condition>) -> Vec<Field> {
    vec![
        Field {
            help: Some("Un document ou une information par ligne.".into()),
            condition: condition.clone(),
            ..field("pieces", long(3000), "Ce qui manque")
        },
        Field {
            condition,
            ..field("date_limite", FieldKind::Date { bounds: DateBounds::default() }, "À envoyer au plus tard le")
        },
    ]
}

fn long(max: u32) -> FieldKind {
    FieldKind::LongText { max }
}

fn field(id: &str, kind: FieldKind, question: &str) -> Field {
    Field::plain(id, kind, question, true)
}

/// A form that no fiche declares.
fn form(case: &Case, fields: Vec<Field>) -> Form {
    Form {
        id: case.kept.form_id.clone(),
        title: case.kept.form_title.clone(),
        page_url: String::new(),
        nature: Nature::Information,
        identity: Identity::None,
        silence: Silence::SansDecision,
        appeal: Appeal::default(),
        legal_basis: None,
        subject_word: String::new(),
        button: String::new(),
        confirmation: None,
        service: case.service().clone(),
        recipients: Vec::new(),
        backup_recipients: Vec::new(),
        delivery: Default::default(),
        data: DataNotice {
            purpose: String::new(),
            legal_basis: String::new(),
            retention: Delay::Days(0),
            recipients: String::new(),
        },
        opening: Opening::default(),
        paged: false,
        counter: None,
        fields,
    }
}
