//! What a form is: the one definition that serves the page that shows it and the code that receives it.

mod block;
mod counter;
mod delivery;
mod identity;
pub mod own;
mod question;
mod regime;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::submission::RawAnswers;

pub use self::block::{ChildPart, MAX_CHILD_AGE, OTHER_ADDRESS, PersonPart, SAME_ADDRESS, Shape};
pub use self::delivery::{Delivery, Route};
pub use self::identity::{IDENTITY_FIELD, IDENTITY_STEP, Identity};
pub use self::own::{COUNTER_AGENT, COUNTER_CHANNEL};
pub use self::question::{Choice, Condition, DateBounds, Field, FieldKind, FileFormat, Operator, Test};
pub use self::regime::{Appeal, Regime, Source};

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

/// When a form takes requests, and how many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// First day; `None`: always was.
    pub from: Option<Date>,
    /// Last day, included; `None`: for ever.
    pub until: Option<Date>,
    /// Requests taken; `None`: no limit.
    pub places: Option<u32>,
    /// Requests put on the waiting list beyond the places.
    pub waiting: u32,
    /// What the page says when the form is closed.
    pub closed_message: Option<String>,
}

/// Whether a form is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// It takes requests.
    Open,
    /// It opens on that day.
    NotYet(Date),
    /// It was open until that day.
    Over(Date),
}

impl Opening {
    /// Whether requests are taken on a day, places aside.
    pub fn on(&self, today: Date) -> Door {
        match (self.from, self.until) {
            (Some(from), _) if today < from => Door::NotYet(from),
            (_, Some(until)) if until < today => Door::Over(until),
            _ => Door::Open,
        }
    }
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
    /// Where a rejection is contested.
    pub appeal: Appeal,
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
    /// How its requests are delivered besides.
    #[serde(default)]
    pub delivery: Delivery,
    /// Data-protection notice.
    pub data: DataNotice,
    /// When it takes requests.
    pub opening: Opening,
    /// Whether each step is a page of its own.
    pub paged: bool,
    /// All questions in order, the identity block included.
    pub fields: Vec<Field>,
    /// The secret of the link by which an agent fills it for somebody; `None`: the resident does.
    #[serde(skip)]
    pub counter: Option<String>,
}

impl Form {
    /// Address of its pages at the guichet, from the root: `/guichet/saisir-la-mairie`.
    pub fn path(&self) -> String {
        match &self.counter {
            Some(token) => format!("/guichet/comptoir/{token}/{}", self.id),
            None => format!("/guichet/{}", self.id),
        }
    }

    /// The field of that id.
    pub fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// The field an input belongs to, and the question it answers in it: a part of a block, of a copy of a group.
    ///
    /// Shape: `message` → the field itself twice; `responsable.prenom`; `enfants.2.prenom`, copies counting from 1.
    pub fn leaf(&self, input: &str) -> Option<(&Field, &Field)> {
        let (id, rest) = input.split_once('.').unwrap_or((input, ""));
        let field = self.field(id)?;
        let rest = match &field.kind {
            FieldKind::Group { max, .. } => {
                let (copy, rest) = rest.split_once('.')?;
                copy.parse::<u8>().ok().filter(|number| (1..=*max).contains(number) && !copy.starts_with('0'))?;
                rest
            }
            _ => rest,
        };
        Some((field, field.leaf(rest)?))
    }

    /// Whether any question takes files.
    pub fn takes_files(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.kind, FieldKind::File { .. }))
    }

    /// The fields that are asked, given what was answered so far, in the form's order.
    pub fn asked<'f>(&'f self, raw: &RawAnswers) -> Vec<&'f Field> {
        self.fields.iter().filter(|field| self.asks(field, raw)).collect()
    }

    /// Whether a question is asked, given what was answered so far.
    pub fn asks(&self, field: &Field, raw: &RawAnswers) -> bool {
        asks(&self.fields, field, raw)
    }

    /// The first page that ends the journey before its end: « ce n'est pas ici ».
    pub fn exit(&self, raw: &RawAnswers) -> Option<&Field> {
        self.fields.iter().find(|field| matches!(field.kind, FieldKind::Exit { .. }) && self.asks(field, raw))
    }

    /// The pages of the questions: one, or one a step when the form is paged. Fields without step stay on the page before.
    pub fn pages(&self) -> Vec<&[Field]> {
        if !self.paged {
            return vec![&self.fields];
        }
        let mut pages = Vec::new();
        let mut start = 0;
        for at in 1..=self.fields.len() {
            let parts =
                self.fields.get(at).is_none_or(|field| field.step.is_some() && field.step != self.fields[at - 1].step);
            if parts {
                pages.push(&self.fields[start..at]);
                start = at;
            }
        }
        pages
    }

    /// The page, from 0, that a field stands on.
    pub fn page_of(&self, id: &str) -> usize {
        self.pages().iter().position(|page| page.iter().any(|field| field.id == id)).unwrap_or(0)
    }
}

/// Whether a question is asked among these, given what was answered so far.
///
/// A chain of conditions that turns in circles asks nothing instead of hanging.
pub fn asks(fields: &[Field], field: &Field, raw: &RawAnswers) -> bool {
    asks_within(fields, field, raw, fields.len())
}

fn asks_within(fields: &[Field], field: &Field, raw: &RawAnswers, depth: usize) -> bool {
    let Some(condition) = &field.condition else { return true };
    condition.tests.iter().all(|test| {
        let Some(parent) = fields.iter().find(|other| other.id == test.field) else { return false };
        depth > 0 && asks_within(fields, parent, raw, depth - 1) && test.holds(parent, raw)
    })
}
