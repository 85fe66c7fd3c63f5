//! Answers made of several questions: a person, a child, a stay, a booking, an appointment.

use serde::{Deserialize, Serialize};

use super::Delay;
use super::question::{Choice, DateBounds, Field, FieldKind};

/// What the questions of a [`FieldKind::Block`] make together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// A person.
    Person,
    /// A child.
    Child,
    /// From a day to another: parts `du` and `au`.
    Period {
        /// Days at most, both included.
        max_days: Option<u16>,
    },
    /// A place from a moment to another: parts `du`, `heure_du`, `au`, `heure_au`.
    Booking {
        /// Slug of the équipement.
        resource: String,
        /// What it is called.
        name: String,
    },
    /// A day and a moment wished for: parts `jour` and `moment`.
    Appointment {
        /// Days of the week, Monday being 1; empty: any.
        days: Vec<u8>,
    },
}

/// What may be asked of a person besides the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonPart {
    /// Date of birth.
    Birth,
    /// Telephone.
    Telephone,
    /// Electronic address.
    Email,
    /// Postal address, on one line.
    Address,
    /// What the person is to somebody: « mère », « tuteur ».
    Relation,
    /// Whether the address is the sender's, and the address when it is not.
    SameAddress,
}

/// What may be asked of a child besides the names and the date of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildPart {
    /// Class at school.
    Class,
    /// School.
    School,
}

/// Part of a person who may live with the sender.
pub const SAME_ADDRESS: &str = "meme_adresse";
/// Part that holds the address when it is another one.
pub const OTHER_ADDRESS: &str = "autre_adresse";

const NAME: FieldKind = FieldKind::Text { max: 100 };

/// Years beyond which nobody lives: the oldest known person died at 122.
const MAX_AGE: u8 = 125;
/// Years beyond which nobody is called a child in a form of a mairie (school, cantine, holiday camps); our choice.
pub const MAX_CHILD_AGE: u8 = 25;

fn born(max_age: u8) -> FieldKind {
    FieldKind::Date { bounds: DateBounds { past: true, max_age: Some(max_age), ..DateBounds::default() } }
}

impl Shape {
    /// The questions of a person: first name, family name (CRPA, art. L111-3: the family name is the one asked), and `more`.
    pub fn person(more: &[PersonPart]) -> Vec<Field> {
        let mut parts =
            vec![Field::plain("prenom", NAME, "Prénom", true), Field::plain("nom", NAME, "Nom de famille", true)];
        parts.extend(more.iter().flat_map(|part| {
            let other = (*part == PersonPart::SameAddress).then(|| Field {
                help: Some("Seulement si elle est différente de la vôtre.".into()),
                ..Field::plain(OTHER_ADDRESS, FieldKind::Text { max: 200 }, "Son adresse postale", false)
            });
            [Self::person_part(*part)].into_iter().chain(other)
        }));
        parts
    }

    fn person_part(part: PersonPart) -> Field {
        match part {
            PersonPart::Birth => Field::plain("naissance", born(MAX_AGE), "Date de naissance", true),
            PersonPart::Telephone => Field::plain("telephone", FieldKind::Telephone, "Téléphone", true),
            PersonPart::Email => Field::plain("courriel", FieldKind::Email, "Adresse électronique", false),
            PersonPart::Address => Field::plain("adresse", FieldKind::Text { max: 200 }, "Adresse postale", true),
            PersonPart::Relation => Field::plain("lien", NAME, "Lien avec la personne", true),
            PersonPart::SameAddress => {
                Field::plain(SAME_ADDRESS, FieldKind::YesNo, "Habite à la même adresse que vous ?", true)
            }
        }
    }

    /// The questions of a child, `max_age` years old at most: first name, family name, date of birth, and `more`.
    pub fn child(more: &[ChildPart], max_age: u8) -> Vec<Field> {
        let mut parts = Shape::person(&[]);
        parts.push(Field::plain("naissance", born(max_age), "Date de naissance", true));
        parts.extend(more.iter().map(|part| match part {
            ChildPart::Class => Field::plain("classe", NAME, "Classe", true),
            ChildPart::School => Field::plain("ecole", NAME, "École", true),
        }));
        parts
    }

    /// The two days of a period.
    pub fn period(bounds: DateBounds) -> Vec<Field> {
        vec![
            Field::plain("du", FieldKind::Date { bounds }, "Du", true),
            Field::plain("au", FieldKind::Date { bounds }, "Au", true),
        ]
    }

    /// The two moments of a booking.
    pub fn booking(bounds: DateBounds) -> Vec<Field> {
        vec![
            Field::plain("du", FieldKind::Date { bounds }, "Premier jour", true),
            Field::plain("heure_du", FieldKind::Time, "À partir de", true),
            Field::plain("au", FieldKind::Date { bounds }, "Dernier jour", true),
            Field::plain("heure_au", FieldKind::Time, "Jusqu’à", true),
        ]
    }

    /// The day and the moment of an appointment; it is asked for tomorrow at the earliest when nothing else is said.
    pub fn appointment(bounds: DateBounds, moments: Vec<Choice>) -> Vec<Field> {
        let bounds = DateBounds { earliest: bounds.earliest.or(Some(Delay::Days(1))), ..bounds };
        let mut parts = vec![Field::plain("jour", FieldKind::Date { bounds }, "Jour souhaité", true)];
        if moments.len() > 1 {
            parts.push(Field::plain("moment", FieldKind::Choice { choices: moments }, "Moment souhaité", true));
        }
        parts
    }
}
