//! The commune itself: what `commune.toml` says.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use serde::Serialize;

use super::form::Opening;
use super::names::NameForms;
use super::publication::Target;
use crate::diagnostic::Place;

/// A commune, as its `commune.toml` describes it. Blanks (`""`) are `None` or empty: only the mairie can fill them.
#[derive(Debug, Clone, Serialize)]
pub struct Commune {
    /// Name with its right article, and its « de » and « à » forms.
    #[serde(flatten)]
    pub names: NameForms,
    /// INSEE code, five characters (INSEE, Code officiel géographique); empty when blank.
    pub code_insee: String,
    /// SIRET of the commune, fourteen digits; empty when blank.
    pub siret: String,
    /// Inhabitants.
    pub population: Option<u32>,
    /// Name of the EPCI.
    pub epci: Option<String>,
    /// Name of the département.
    pub departement: Option<String>,
    /// Name of the region.
    pub region: Option<String>,
    /// IANA time zone, `Europe/Paris`.
    pub fuseau: String,
    /// Phrase under the name.
    pub devise: Option<String>,
    /// Scheme and host of the site without final slash; empty when blank.
    pub domaine: String,
    /// Mayor, who is also director of publication.
    pub maire: Option<Person>,
    /// The town hall.
    pub mairie: Mairie,
    /// Colour, arms, picture.
    pub identite: Identite,
    /// Host of the site (LCEN).
    pub hebergeur: Option<Hebergeur>,
    /// Data-protection officer (RGPD, art. 37).
    pub dpo: Option<Dpo>,
    /// State of accessibility (loi 2005-102, art. 47).
    pub accessibilite: Accessibilite,
    /// Mode of publicity of acts (CGCT, art. L2131-1): `electronique`, `affichage`, `papier`.
    pub actes_publicite: Option<String>,
    /// The guichet's settings that belong to the content.
    pub guichet: GuichetSettings,
    /// Order of the sections of `pages/`, by folder name.
    pub menu_order: Vec<String>,
    /// Which fiches of the catalogue are on.
    #[serde(skip)]
    pub catalogue: CatalogueChoice,
    /// What is settled of forms, by the slug of their fiche.
    #[serde(skip)]
    pub form_settings: BTreeMap<String, FormSettings>,
    /// Where the site is published; `None` when the commune does not say.
    #[serde(skip)]
    pub publication: Option<Target>,
    /// Where the keys and tables of `commune.toml` stand: `domaine`, `[mairie]`, `[mairie] telephone`.
    #[serde(skip)]
    pub places: BTreeMap<String, Place>,
}

impl Commune {
    /// Where the guichet answers, without final slash: its own address, or the site's; empty when neither is known.
    pub fn guichet_address(&self) -> &str {
        if self.guichet.adresse.is_empty() { &self.domaine } else { &self.guichet.adresse }
    }

    /// The path under which the guichet answers when communes share its host, `/le-plantay`; empty at the root of a host.
    pub fn guichet_path(&self) -> &str {
        let address = self.guichet.adresse.as_str();
        let host = address.find("://").map_or(0, |at| at + 3);
        address[host..].find('/').map_or("", |at| &address[host + at..])
    }

    /// Name of the file that describes it.
    pub const FILE: &'static str = "commune.toml";

    /// Newest shape of a commune's folder that this program knows; `mulot migrate` brings older ones to it.
    pub const FORMAT: i64 = 1;

    /// Where a key stands (`domaine`, `[mairie] telephone`), else its table, else the file.
    pub fn place(&self, key: &str) -> Place {
        let table = key.find(']').map(|end| &key[..=end]);
        let found = self.places.get(key).or_else(|| self.places.get(table?));
        found.cloned().unwrap_or_else(|| Place::file(Self::FILE))
    }
}

/// Someone with a title (CRPA, art. L111-2: first name, last name, title).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// First name.
    pub prenom: String,
    /// Last name.
    pub nom: String,
    /// Title, « maire », « secrétaire de mairie ».
    pub qualite: String,
}

impl Person {
    /// « Hélène Aubry ».
    pub fn full_name(&self) -> String {
        format!("{} {}", self.prenom, self.nom).trim().to_owned()
    }
}

/// The town hall: place, telephone, hours.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Mairie {
    /// Lines of the address, without postal code and town.
    pub adresse: Vec<String>,
    /// Postal code.
    pub code_postal: String,
    /// Town of the address.
    pub ville: String,
    /// Telephone as written; empty when blank.
    pub telephone: String,
    /// E-mail; empty when blank.
    pub courriel: String,
    /// Emergency number outside hours.
    pub urgence: Option<Urgence>,
    /// Opening hours.
    #[serde(skip)]
    pub hours: OpeningHours,
}

impl Mairie {
    /// All lines of the postal address, the town's line last.
    pub fn address_lines(&self) -> Vec<String> {
        let town = format!("{} {}", self.code_postal, self.ville).trim().to_owned();
        let mut lines = self.adresse.clone();
        if !town.is_empty() {
            lines.push(town);
        }
        lines
    }
}

/// A number to call outside opening hours.
#[derive(Debug, Clone, Serialize)]
pub struct Urgence {
    /// « Élu d'astreinte ».
    pub libelle: String,
    /// Telephone as written.
    pub telephone: String,
}

/// Weekly hours with their exceptions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpeningHours {
    /// In the order written; a day may come twice.
    pub weekly: Vec<WeeklyHours>,
    /// Closed or other hours on given days.
    pub exceptions: Vec<HoursException>,
    /// Whether the local holidays of Alsace-Moselle apply.
    pub alsace_moselle: bool,
}

/// Same hours on several days of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct WeeklyHours {
    /// 1 = Monday … 7 = Sunday.
    pub days: Vec<u8>,
    /// Ranges of the day, in order.
    pub ranges: Vec<TimeRange>,
    /// « semaines paires », « sur rendez-vous ».
    pub note: Option<String>,
}

/// Hours of some days, instead of the weekly ones; no range: closed.
#[derive(Debug, Clone, PartialEq)]
pub struct HoursException {
    /// First day.
    pub from: Date,
    /// Last day, included.
    pub until: Date,
    /// Empty: closed.
    pub ranges: Vec<TimeRange>,
    /// Why.
    pub note: Option<String>,
}

/// From an hour to another of the same day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// Opening.
    pub from: Time,
    /// Closing, later than `from`.
    pub until: Time,
}

/// What the commune looks like.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Identite {
    /// The one strong colour, `#rrggbb`; empty: the theme's.
    pub couleur: String,
    /// Where it is written.
    #[serde(skip)]
    pub couleur_place: Place,
    /// Path of the arms in the folder.
    pub blason: Option<String>,
    /// Path of the large picture of the home page.
    pub image: Option<String>,
    /// What it shows.
    pub image_alternative: String,
}

/// Host of the site: name, address and telephone are all required by law (LCEN).
#[derive(Debug, Clone, Serialize)]
pub struct Hebergeur {
    /// Name.
    pub nom: String,
    /// Address.
    pub adresse: String,
    /// Telephone.
    pub telephone: String,
}

/// Data-protection officer.
#[derive(Debug, Clone, Serialize)]
pub struct Dpo {
    /// Name of the person or organisation.
    pub nom: String,
    /// E-mail.
    pub courriel: String,
    /// Postal address; may be empty.
    pub adresse: String,
    /// Telephone; may be empty.
    pub telephone: String,
}

/// State of accessibility; never better than « non conforme » without a dated audit (RGAA 4.1, obligations).
#[derive(Debug, Clone, Serialize)]
pub struct Accessibilite {
    /// `non conforme`, `partiellement conforme` or `totalement conforme`.
    pub etat: String,
    /// Rate in per cent.
    pub taux: Option<u8>,
    /// Date of the audit.
    pub audit_le: Option<Date>,
    /// Who made it.
    pub audit_par: Option<String>,
}

/// Settings of the guichet that are the commune's.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GuichetSettings {
    /// Scheme and host of the guichet without final slash; empty: same origin as the site.
    pub adresse: String,
    /// Address the receipts are sent from (CRPA, art. R112-11-3); empty when blank.
    pub expediteur: String,
    /// Mailboxes of the mairie.
    pub destinataires: Vec<String>,
    /// Told when the first refuse.
    pub destinataires_secours: Vec<String>,
    /// Competent administrative court, when known.
    pub tribunal: Option<Tribunal>,
}

/// An administrative court.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tribunal {
    /// « Tribunal administratif de Nantes ».
    pub nom: String,
    /// Postal address.
    pub adresse: String,
}

/// Which fiches of the catalogue are switched on, by slug.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogueChoice {
    /// The set to begin with.
    pub set: CatalogueSet,
    /// Those added to it.
    pub with: Vec<String>,
    /// Those taken away.
    pub without: Vec<String>,
}

/// A set of fiches of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CatalogueSet {
    /// Those that suit every village.
    #[default]
    Essential,
    /// All of them.
    All,
    /// These only.
    Only(Vec<String>),
}

impl CatalogueChoice {
    /// Whether the fiche of that slug is on.
    pub fn includes(&self, slug: &str, essential: bool) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == slug);
        let chosen = match &self.set {
            CatalogueSet::Essential => essential,
            CatalogueSet::All => true,
            CatalogueSet::Only(list) => named(list),
        };
        (chosen || named(&self.with)) && !named(&self.without)
    }
}

/// What the commune settles of a form without copying its fiche: `[demarches.SLUG]` of `commune.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormSettings {
    /// Service in charge, instead of the fiche's.
    pub service: Option<String>,
    /// Own recipients; empty: as before.
    pub recipients: Vec<String>,
    /// When it takes requests; what is said here replaces what the fiche says.
    pub opening: Opening,
    /// Slug of the équipement that the form books, and where it is said.
    pub resource: Option<(String, Place)>,
    /// Whether the mairie had the regime of silence confirmed.
    pub regime_confirmed: bool,
    /// Line of the table.
    pub place: Place,
}
