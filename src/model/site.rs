//! What `load` hands to `resolve` and `resolve` to `render`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::{Date, DateTime};

use super::addresses::AddressBook;
use super::commune::Commune;
use super::content::{Content, DocumentRef, Home, Kind, Layer, Moment};
use super::form::Form;

/// Bytes of a file of the author, or of the binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileData {
    /// On disk.
    Disk(PathBuf),
    /// In the binary, or read already.
    Memory(Arc<[u8]>),
}

/// A picture, a PDF or another document of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it comes from.
    pub layer: Layer,
    /// Its bytes.
    pub data: FileData,
    /// Size in bytes.
    pub size: u64,
}

/// All that was read, typed and located, still unlinked.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Who we are.
    pub commune: Commune,
    /// Home page.
    pub home: Home,
    /// Every content of every layer, the nearest winning, sorted by path.
    pub contents: Vec<Content>,
    /// Contents that could not be read.
    pub broken: Vec<Broken>,
    /// What the commune's address file knows; empty without one.
    pub addresses: AddressBook,
    /// Every other file by path in the folder.
    pub files: BTreeMap<String, SourceFile>,
    /// Files of `theme/` that replace the theme's, by path inside it.
    pub theme: BTreeMap<String, Vec<u8>>,
}

/// A content that could not be read.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Its path in the folder.
    pub path: String,
    /// Pictures and documents that it names: those that are missing are told with the rest.
    pub named: Vec<DocumentRef>,
}

/// Index of a content in [`Site::contents`].
pub type ContentId = usize;

/// Where a path of the folder leads on a given day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A page of the site.
    Page(ContentId),
    /// The home page.
    Home,
    /// A content that exists in the folder but not on the site that day.
    Hidden(Hidden),
}

/// Why a content is not on the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// `brouillon = true`.
    Draft,
    /// `publie_le` is to come.
    NotYet,
    /// `expire_le` is past.
    Expired,
    /// Switched off in `[catalogue]`.
    SwitchedOff,
    /// Cannot be read: its own mistakes are told, links to it are not.
    Broken,
}

/// A section of the menu: a folder of `pages/`.
#[derive(Debug, Clone)]
pub struct Section {
    /// Folder name: `vie-pratique`.
    pub key: String,
    /// Title, from its `index.md` or from the folder's name.
    pub title: String,
    /// `/vie-pratique/`.
    pub url: String,
    /// Its `index.md`.
    pub index: Option<ContentId>,
    /// Pages below it, in menu order.
    pub pages: Vec<ContentId>,
}

/// A commune's site on a given day: every page with its address, every list in its order.
#[derive(Debug, Clone)]
pub struct Site {
    /// Who we are.
    pub commune: Commune,
    /// Home page.
    pub home: Home,
    /// Local date and hour the site is built for.
    pub now: DateTime,
    /// Contents that are public that day.
    pub contents: Vec<Content>,
    /// Address of each content, same order: `/actualites/2026-11-03-travaux/`.
    pub urls: Vec<String>,
    /// Path in the folder → where it leads.
    pub targets: BTreeMap<String, Target>,
    /// Sections of `pages/`, in menu order.
    pub sections: Vec<Section>,
    /// Pages directly in `pages/` that stand in the menu, in order.
    pub top_pages: Vec<ContentId>,
    /// News, newest first.
    pub news: Vec<ContentId>,
    /// Alerts in force, the most serious first.
    pub active_alerts: Vec<ContentId>,
    /// Other alerts, newest first.
    pub other_alerts: Vec<ContentId>,
    /// Events to come or going on, soonest first.
    pub upcoming_events: Vec<ContentId>,
    /// Past events, latest first.
    pub past_events: Vec<ContentId>,
    /// Élus, services, associations, commerces, équipements: in display order.
    pub directory: Directory,
    /// Démarches in display order.
    pub demarches: Vec<ContentId>,
    /// Open forms, by the slug of their fiche.
    pub forms: BTreeMap<String, Form>,
    /// Old address → new address.
    pub redirects: BTreeMap<String, String>,
    /// What is offered to who types an address.
    pub addresses: Arc<AddressBook>,
    /// Every other file by path in the folder.
    pub files: BTreeMap<String, SourceFile>,
}

/// The directory, by category.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// `annuaire/elus/`.
    pub elus: Vec<ContentId>,
    /// `annuaire/services/`.
    pub services: Vec<ContentId>,
    /// `annuaire/associations/`.
    pub associations: Vec<ContentId>,
    /// `annuaire/commerces/`.
    pub commerces: Vec<ContentId>,
    /// `annuaire/equipements/`.
    pub equipements: Vec<ContentId>,
}

impl Site {
    /// The day the site is built for.
    pub fn today(&self) -> Date {
        self.now.date()
    }

    /// The first local instant after [`Site::now`] at which the same folder gives another site, at the latest next midnight.
    pub fn changes_at(&self) -> DateTime {
        let tomorrow = self.today().tomorrow().unwrap_or(self.today()).to_datetime(jiff::civil::Time::midnight());
        let ends = self.contents.iter().filter_map(|content| match &content.kind {
            Kind::Alert(alert) => match alert.end {
                Moment::Time(end) => Some(end),
                Moment::Day(_) => None,
            },
            _ => None,
        });
        ends.filter(|end| *end > self.now).fold(tomorrow, DateTime::min)
    }

    /// Address of the page written in that file, if it is public.
    pub fn url_of(&self, path: &str) -> Option<&str> {
        match self.targets.get(path)? {
            Target::Page(id) => Some(&self.urls[*id]),
            Target::Home => Some("/"),
            Target::Hidden(_) => None,
        }
    }

    /// A content with its address.
    pub fn page(&self, id: ContentId) -> (&Content, &str) {
        (&self.contents[id], &self.urls[id])
    }
}
