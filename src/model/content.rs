//! Contents of a commune's folder: typed, located, not yet linked to one another.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};

use super::commune::{OpeningHours, Person};
use super::form::{Appeal, DataNotice, Delivery, Field, Identity, Nature, Opening, Silence};
use crate::diagnostic::Place;

/// Where a file comes from; later layers win, file by file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The repository's `content/`, embedded in the binary.
    Catalogue,
    /// The EPCI's `commun/` folder.
    Territoire,
    /// The commune's folder.
    Commune,
}

/// A `.md` file of the folder, read and typed.
#[derive(Debug, Clone)]
pub struct Content {
    /// Path in the folder, `/` separated: `actualites/2026-11-03-travaux.md`.
    pub path: String,
    /// The layer it comes from.
    pub layer: Layer,
    /// Last piece of its address, a slug.
    pub slug: String,
    /// Where that was chosen: the key `adresse`, else the content.
    pub slug_place: Place,
    /// Title; never empty.
    pub title: String,
    /// One or two sentences.
    pub summary: Option<String>,
    /// The same in plain language.
    pub simple_summary: Option<String>,
    /// Picture that illustrates it.
    pub image: Option<ImageRef>,
    /// Documents offered with it.
    pub documents: Vec<DocumentRef>,
    /// When it exists for the public.
    pub publication: Publication,
    /// Last proofreading.
    pub verified: Option<Date>,
    /// To be read again before that day.
    pub review_before: Option<Date>,
    /// Addresses that redirect here.
    pub old_addresses: Vec<String>,
    /// Rank in menus and lists; smaller first.
    pub order: Option<i64>,
    /// Whether it may stand in the menu (pages only).
    pub in_menu: bool,
    /// Whether its body is first rendered as a template with the commune's values.
    pub variables: bool,
    /// What kind of content, with its own keys.
    pub kind: Kind,
    /// Markdown after the front matter.
    pub body: Body,
    /// Line of `titre`, or of the first line of the file.
    pub place: Place,
}

/// Markdown with the line of the file it starts at.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// CommonMark.
    pub markdown: String,
    /// Line number of its first line, from 1.
    pub first_line: u32,
}

/// When a content exists for the public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// Not yet ready.
    pub draft: bool,
    /// First day.
    pub from: Option<Date>,
    /// Last day, included.
    pub until: Option<Date>,
}

impl Publication {
    /// Whether it is public on that day.
    pub fn is_public(&self, today: Date) -> bool {
        !self.draft && self.from.is_none_or(|from| from <= today) && self.until.is_none_or(|until| today <= until)
    }
}

/// A picture named by a content: path in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// Path in the folder, `medias/village.jpg`.
    pub path: String,
    /// What it shows; empty: decorative.
    pub alt: String,
    /// Author or origin.
    pub credit: Option<String>,
    /// Where it is named.
    pub place: Place,
}

/// A document named by a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRef {
    /// Path in the folder.
    pub path: String,
    /// Title to show; the file's name when absent.
    pub title: Option<String>,
    /// Where it is named.
    pub place: Place,
}

/// Type of a content, with the keys of its own.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `actualites/`.
    News(News),
    /// `alertes/`.
    Alert(Alert),
    /// `agenda/`.
    Event(Event),
    /// `annuaire/elus/`.
    Elu(Elu),
    /// `annuaire/services/`.
    Service(Service),
    /// `annuaire/associations/`.
    Association(Association),
    /// `annuaire/commerces/`.
    Commerce(Commerce),
    /// `annuaire/equipements/`.
    Equipement(Equipement),
    /// `demarches/`.
    Demarche(Box<Demarche>),
    /// `pages/`, `is_index` for the page of a section.
    Page {
        /// `index.md` of its folder.
        is_index: bool,
    },
}

/// A news item.
#[derive(Debug, Clone)]
pub struct News {
    /// Date shown and sorted by.
    pub date: Date,
    /// `vie-municipale`, `travaux`…
    pub category: Option<String>,
    /// First on the home page.
    pub featured: bool,
}

/// How serious an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertLevel {
    /// `info`.
    Info,
    /// `attention`.
    Attention,
    /// `danger`.
    Danger,
}

/// An alert.
#[derive(Debug, Clone)]
pub struct Alert {
    /// At most 150 characters.
    pub message: String,
    /// How serious.
    pub level: AlertLevel,
    /// Start.
    pub start: Moment,
    /// End.
    pub end: Moment,
    /// Where to read more: file path or address.
    pub link: Option<String>,
}

/// A day, or a day and an hour, local to the commune.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// A whole day.
    Day(Date),
    /// An hour of a day.
    Time(DateTime),
}

impl Moment {
    /// The day.
    pub fn date(self) -> Date {
        match self {
            Moment::Day(date) => date,
            Moment::Time(time) => time.date(),
        }
    }
}

/// An event of the agenda.
#[derive(Debug, Clone)]
pub struct Event {
    /// Start.
    pub start: Moment,
    /// End; `None`: same day or unknown hour.
    pub end: Option<Moment>,
    /// Place in words.
    pub place: Option<String>,
    /// Path of the fiche of the place.
    pub equipement: Option<String>,
    /// Who organises.
    pub organizer: Option<String>,
    /// Price in words.
    pub price: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Telephone.
    pub telephone: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// `fete`, `conseil`…
    pub category: Option<String>,
    /// Called off.
    pub cancelled: bool,
}

impl Event {
    /// Last day of the event.
    pub fn last_day(&self) -> Date {
        self.end.unwrap_or(self.start).date()
    }
}

/// An elected person.
#[derive(Debug, Clone)]
pub struct Elu {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// « Première adjointe ».
    pub function: String,
    /// Delegations.
    pub delegations: Vec<String>,
    /// Commissions.
    pub commissions: Vec<String>,
    /// When to meet them.
    pub surgery: Option<String>,
    /// Telephone.
    pub telephone: Option<String>,
    /// E-mail.
    pub email: Option<String>,
}

/// How to reach someone or some place.
#[derive(Debug, Clone, Default)]
pub struct ContactDetails {
    /// Lines of the postal address.
    pub address: Vec<String>,
    /// Telephone; empty when blank.
    pub telephone: String,
    /// E-mail; empty when blank.
    pub email: String,
    /// Web site.
    pub website: Option<String>,
    /// Hours.
    pub hours: OpeningHours,
}

/// A service of the mairie.
#[derive(Debug, Clone)]
pub struct Service {
    /// How to reach it.
    pub contact: ContactDetails,
    /// Who is in charge.
    pub responsible: Option<Person>,
}

/// An association.
#[derive(Debug, Clone)]
pub struct Association {
    /// What it is for.
    pub object: Option<String>,
    /// Category in words.
    pub category: Option<String>,
    /// RNA number.
    pub rna: Option<String>,
    /// Name of the person to ask.
    pub contact_name: Option<String>,
    /// How to reach it.
    pub contact: ContactDetails,
    /// When it meets.
    pub slots: Vec<String>,
    /// Where.
    pub place: Option<String>,
}

/// A shop, a craftsman, a producer.
#[derive(Debug, Clone)]
pub struct Commerce {
    /// Category in words.
    pub category: String,
    /// How to reach it.
    pub contact: ContactDetails,
    /// Round, in words.
    pub round: Option<String>,
}

/// A price.
#[derive(Debug, Clone)]
pub struct Price {
    /// For whom.
    pub profile: String,
    /// How much, in words.
    pub price: String,
    /// More.
    pub note: Option<String>,
}

/// A hall, a school, a stadium…
#[derive(Debug, Clone)]
pub struct Equipement {
    /// « salle », « école ».
    pub kind: String,
    /// How to reach it.
    pub contact: ContactDetails,
    /// Access for disabled people.
    pub access: Option<String>,
    /// People.
    pub capacity: Option<u32>,
    /// Square metres.
    pub surface: Option<u32>,
    /// Prices.
    pub prices: Vec<Price>,
    /// Rules, a PDF.
    pub rules: Option<DocumentRef>,
    /// WGS 84 latitude and longitude, degrees.
    pub position: Option<(f64, f64)>,
}

/// Who really handles a démarche.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// `commune`.
    Commune,
    /// `epci`.
    Epci,
    /// `departement`.
    Departement,
    /// `etat`.
    Etat,
    /// `autre`.
    Other,
}

/// A fiche of démarche, with its form if there is one.
#[derive(Debug, Clone)]
pub struct Demarche {
    /// `papiers`, `vie-quotidienne`…
    pub topic: String,
    /// Who handles it.
    pub handler: Handler,
    /// Name of that body.
    pub handler_name: Option<String>,
    /// Slug of the fiche in `annuaire/services/`.
    pub service: Option<(String, Place)>,
    /// For whom.
    pub audience: Option<String>,
    /// What to have at hand.
    pub prepare: Vec<String>,
    /// Cost.
    pub cost: Option<String>,
    /// Usual delay in words.
    pub delay: Option<String>,
    /// What one gets.
    pub result: Option<String>,
    /// Channels in words.
    pub channels: Vec<String>,
    /// Where it is done, when elsewhere.
    pub link: Option<String>,
    /// Words of that link.
    pub link_title: Option<String>,
    /// Of the catalogue: whether every village has it from the first day.
    pub essential: bool,
    /// The form.
    pub form: Option<FormSource>,
}

/// A form as its fiche declares it, before its service and recipients are known.
#[derive(Debug, Clone)]
pub struct FormSource {
    /// What it brings.
    pub nature: Nature,
    /// Who is asked who they are.
    pub identity: Identity,
    /// What silence means.
    pub silence: Silence,
    /// Where a rejection is contested.
    pub appeal: Appeal,
    /// Whether the regime is only known through commentaries.
    pub to_confirm: bool,
    /// Legal text.
    pub legal_basis: Option<String>,
    /// Word between brackets in subjects.
    pub subject_word: String,
    /// Own recipients; empty: the commune's.
    pub recipients: Vec<String>,
    /// How its requests are delivered besides.
    pub delivery: Delivery,
    /// Words on the button.
    pub button: String,
    /// What happens next.
    pub confirmation: Option<String>,
    /// Data-protection notice.
    pub data: DataNotice,
    /// When it takes requests.
    pub opening: Opening,
    /// Whether each step is a page of its own.
    pub paged: bool,
    /// Own questions, identity excluded.
    pub fields: Vec<Field>,
    /// Whether the telephone of the identity must be given.
    pub telephone_required: bool,
    /// Where each booking names what it books, by the question's id.
    pub resources: BTreeMap<String, Place>,
    /// Line of `[formulaire]`.
    pub place: Place,
}

/// The home page.
#[derive(Debug, Clone, Default)]
pub struct Home {
    /// Title; the commune's name when absent.
    pub title: Option<String>,
    /// One phrase.
    pub tagline: Option<String>,
    /// At most six.
    pub tiles: Vec<Tile>,
    /// Words of welcome.
    pub body: Body,
    /// Path in the folder, `accueil.md`.
    pub path: String,
}

/// A tile of the home page.
#[derive(Debug, Clone)]
pub struct Tile {
    /// Title.
    pub title: String,
    /// One line.
    pub text: Option<String>,
    /// File path or address.
    pub link: String,
    /// Name of an icon.
    pub icon: Option<String>,
    /// Where it is written.
    pub place: Place,
}
