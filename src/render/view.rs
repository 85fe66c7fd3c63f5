//! What templates receive: plain data, nothing else.
//!
//! This file is the contract between the code that fills pages and the themes that draw them. It imports only `serde`
//! and `std`, holds no logic, and every string in it is either **text** (escaped by the template) or **ready HTML**
//! (name ends in `_html`, printed as it is, so it must already be safe). French typography (no-break spaces, « », ’) is
//! already done in both. URLs are ready for `href`: root-relative on the site, absolute where the guichet lives on
//! another host.
//!
//! A template sees three things:
//!
//! * `site`: [`SiteView`], once per commune, in tera's global context;
//! * `chrome`: [`Chrome`], the header and footer already rendered, once per section ([`ChromeView`] is what they are
//!   rendered from); inserted beside the view by the renderer;
//! * the fields of the page's own view, at top level (`Context::from_serialize(&view)`): always `page`
//!   ([`PageView`]), then what the kind of page needs.
//!
//! [`View::TEMPLATE`] names the template of each view. Tools that must work when the commune's folder is broken
//! (diagnostics, letterbox) and mails use neither `site` nor `chrome`.
//!
//! Optional means `None` is a state the theme draws well; a required field is never empty unless its comment says so.
//! `None` and empty lists are always serialised: a template may test every field named here.

use std::borrow::Cow;

use serde::Serialize;

/// Text or ready HTML, borrowed from the model wherever it can be.
pub type Text<'a> = Cow<'a, str>;

pub use super::view_dossier::{
    ActCardView, ActPageView, CancelView, ComplementView, DoneView, FollowView, LetterFormView, MissingView,
    NoticeView, TimelineView,
};
pub use super::view_etat::{OverviewRow, OverviewView, ToSee};
pub use super::view_mairie::{CodeView, HeldView, MailboxView, QuarantineView};

/// A struct that one template draws.
pub trait View: Serialize {
    /// Name of the template, relative to the theme's `templates/` folder.
    const TEMPLATE: &'static str;
}

macro_rules! views {
    ($($view:ident => $template:literal),* $(,)?) => {
        $(impl View for $view<'_> { const TEMPLATE: &'static str = $template; })*
        /// Every template a theme must offer, in the order of this file.
        pub const TEMPLATES: &[&str] = &[CHROME_HEADER, CHROME_FOOTER, MAIL_TEXT, $($template),*];
    };
}

/// Template of [`Chrome::header_html`], drawn from [`ChromeView`].
pub const CHROME_HEADER: &str = "chrome/entete.html";
/// Template of [`Chrome::footer_html`], drawn from [`ChromeView`].
pub const CHROME_FOOTER: &str = "chrome/pied.html";
/// Text twin of [`MailView`]'s template, drawn from the same view.
pub const MAIL_TEXT: &str = "mail/message.txt";

views! {
    HomeView => "accueil.html",
    FreePageView => "page.html",
    SectionView => "rubrique.html",
    NewsListView => "actualites.html",
    NewsView => "actualite.html",
    AlertListView => "alertes.html",
    AlertView => "alerte.html",
    AgendaView => "agenda.html",
    EventView => "evenement.html",
    DirectoryHomeView => "annuaire/accueil.html",
    DirectoryListView => "annuaire/liste.html",
    EluView => "annuaire/elu.html",
    ServiceView => "annuaire/service.html",
    AssociationView => "annuaire/association.html",
    CommerceView => "annuaire/commerce.html",
    EquipementView => "annuaire/equipement.html",
    DemarchesView => "demarches.html",
    DemarcheView => "demarche.html",
    PaperFormView => "formulaire_papier.html",
    SitemapView => "plan.html",
    NotFoundView => "introuvable.html",
    RedirectView => "redirection.html",
    FormView => "guichet/questions.html",
    CheckView => "guichet/verifier.html",
    ConfirmationView => "guichet/confirmation.html",
    UnavailableView => "guichet/indisponible.html",
    MessageView => "guichet/message.html",
    ClosedFormView => "guichet/ferme.html",
    CounterView => "guichet/comptoir.html",
    ExitView => "guichet/sortie.html",
    FollowView => "guichet/suivi.html",
    CancelView => "guichet/annuler.html",
    ActPageView => "guichet/agir.html",
    LetterFormView => "guichet/agir_lettre.html",
    DoneView => "guichet/agir_fait.html",
    MailboxView => "guichet/boite.html",
    QuarantineView => "guichet/quarantaine.html",
    MailView => "mail/message.html",
    DiagnosticsView => "apercu/diagnostics.html",
    LetterboxView => "apercu/boite.html",
    LetterView => "apercu/lettre.html",
    CommunesView => "apercu/communes.html",
    OverviewView => "etat.html",
}

// ---------------------------------------------------------------------------------------------------------------------
// The site: once per commune
// ---------------------------------------------------------------------------------------------------------------------

/// `site`: what every page of one commune shares. The same for all pages of a build.
#[derive(Debug, Clone, Serialize)]
pub struct SiteView<'a> {
    pub commune: CommuneView<'a>,
    pub mairie: MairieView<'a>,
    /// Scheme and host, no final slash: `https://www.saint-mulot.example`. Prefix of absolute addresses.
    pub base_url: Text<'a>,
    /// Address of the home page: `/`, or absolute when the guichet is on another host.
    pub home_url: Text<'a>,
    /// The commune's arms, decorative beside its name (so its `alt` is empty).
    pub blazon: Option<ImageView<'a>>,
    pub assets: AssetsView<'a>,
    /// The sections of the main menu, in order, five to seven of them.
    pub menu: Vec<MenuSection<'a>>,
    /// Short row in the header beside the telephone and again in the footer: « Signaler un problème », « Contact »…
    /// Two at most.
    pub quick_links: Vec<Link<'a>>,
    /// Lists that the menu leaves out, in the footer after the sections: « Annuaire ».
    pub more_links: Vec<Link<'a>>,
    /// Legal notice, personal data, site map…; the accessibility link is apart.
    pub footer_links: Vec<Link<'a>>,
    /// The mention the law wants, linked to the statement: « Accessibilité : non conforme ».
    pub accessibility: Link<'a>,
    /// Atom and JSON feeds of the whole site, announced in `<head>` and in the footer.
    pub feeds: Vec<FeedView<'a>>,
    /// Alerts in force on the build day, the most serious first; empty most of the time.
    pub alerts: Vec<AlertCard<'a>>,
    /// Present only under `mulot serve`.
    pub preview: Option<PreviewView<'a>>,
    /// « Mulot 0.1.0 », for the footer and `<meta name="generator">`.
    pub generator: Text<'a>,
    /// Page that says what Mulot is; `None`: the footer names it without a link.
    pub generator_url: Option<Text<'a>>,
}

/// `site.commune`: names with their right articles.
#[derive(Debug, Clone, Serialize)]
pub struct CommuneView<'a> {
    /// « Saint-Mulot-des-Champs », « Le Plantay ».
    pub nom: Text<'a>,
    /// « de Saint-Mulot-des-Champs », « du Plantay ».
    pub forme_de: Text<'a>,
    /// « à Saint-Mulot-des-Champs », « au Plantay ».
    pub forme_a: Text<'a>,
    /// One phrase under the name.
    pub devise: Option<Text<'a>>,
    pub code_insee: Text<'a>,
    pub departement: Option<Text<'a>>,
    pub region: Option<Text<'a>>,
    /// « Communauté de communes du Bocage ».
    pub epci: Option<Text<'a>>,
    /// « 612 habitants ».
    pub population: Option<Text<'a>>,
}

/// `site.mairie`: how to reach the mairie, on every page.
#[derive(Debug, Clone, Serialize)]
pub struct MairieView<'a> {
    /// « Mairie de Saint-Mulot-des-Champs ».
    pub name: Text<'a>,
    /// Postal address, last line with postal code and town. May be empty in a commune just created.
    pub address_lines: Vec<Text<'a>>,
    pub phone: Option<PhoneView<'a>>,
    pub email: Option<Text<'a>>,
    /// Page with everything (hours table, contact), or the anchor of the home page.
    pub url: Option<Text<'a>>,
    /// Usual hours in a few lines: « Lundi et mardi : 9 h – 12 h, 14 h – 17 h 30 ». Free of the day's date, so that the
    /// footer does not change every morning.
    pub hours_summary: Vec<Text<'a>>,
    /// State on the build day; `None` when no hours were given.
    pub opening: Option<OpeningView<'a>>,
    /// « Élu d'astreinte » and a number.
    pub emergency: Option<EmergencyView<'a>>,
}

/// A number to call outside opening hours.
#[derive(Debug, Clone, Serialize)]
pub struct EmergencyView<'a> {
    pub label: Text<'a>,
    pub phone: PhoneView<'a>,
}

/// `site.assets`: fingerprinted files of the theme.
#[derive(Debug, Clone, Serialize)]
pub struct AssetsView<'a> {
    pub stylesheet_url: Text<'a>,
    /// `sha384-…` for the `integrity` attribute.
    pub stylesheet_integrity: Option<Text<'a>>,
    /// `mulot.js`. `None`: no script at all. Pages the guichet answers itself never print it.
    pub script_url: Option<Text<'a>>,
    pub script_integrity: Option<Text<'a>>,
    /// Fonts worth asking for at once (the regular face only).
    pub preload_fonts: Vec<Text<'a>>,
    /// SVG icon (the blazon, or the theme's).
    pub icon_url: Option<Text<'a>>,
    /// PNG icon, 180 × 180.
    pub icon_png_url: Option<Text<'a>>,
    /// Colour of the browser's bar, `#rrggbb`: the strong colour in light, the ground in dark.
    pub theme_color: Text<'a>,
    pub theme_color_dark: Text<'a>,
}

/// One section of the main menu.
#[derive(Debug, Clone, Serialize)]
pub struct MenuSection<'a> {
    /// Compared with [`ChromeView::section`] to flag the current one: « vie-pratique ».
    pub key: Text<'a>,
    pub title: Text<'a>,
    pub url: Text<'a>,
    /// Its pages; the default theme shows them in the section's index and in the site map, not in the menu.
    pub pages: Vec<Link<'a>>,
}

/// A feed announced in `<head>` and offered in lists.
#[derive(Debug, Clone, Serialize)]
pub struct FeedView<'a> {
    /// « Actualités de Saint-Mulot-des-Champs ».
    pub title: Text<'a>,
    pub url: Text<'a>,
    /// `application/atom+xml`, `application/feed+json` or `text/calendar`.
    pub mime: Text<'a>,
}

/// `site.preview`: what `mulot serve` adds.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewView<'a> {
    /// `apercu.js`: reloads the page when a file is saved.
    pub script_url: Text<'a>,
    /// The letterbox page.
    pub letterbox_url: Text<'a>,
    /// Mails waiting there.
    pub letters: usize,
    /// The diagnostics page; shown when there are warnings.
    pub diagnostics_url: Text<'a>,
    /// « 2 avertissements »; `None`: nothing to say.
    pub diagnostics: Option<Text<'a>>,
}

/// Context of `chrome/entete.html` and `chrome/pied.html`, with `site`.
#[derive(Debug, Clone, Serialize)]
pub struct ChromeView<'a> {
    /// Key of the current [`MenuSection`]; `None` outside the menu.
    pub section: Option<Text<'a>>,
    /// True on the home page: the name of the commune is then not a link.
    pub home: bool,
}

/// `chrome`: header and footer ready to print, rendered once per section.
#[derive(Debug, Clone, Serialize)]
pub struct Chrome<'a> {
    /// Skip links, alert strip, header, menu. Ready HTML.
    pub header_html: Text<'a>,
    /// Footer. Ready HTML.
    pub footer_html: Text<'a>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Parts that pages share
// ---------------------------------------------------------------------------------------------------------------------

/// `page`: what the layout needs to know of any page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PageView<'a> {
    /// The one `h1`.
    pub title: Text<'a>,
    /// Text of `<title>`: « Réserver la salle – Saint-Mulot-des-Champs »; « Erreur : … » first when a form is refused.
    pub head_title: Text<'a>,
    /// One or two sentences for search engines.
    pub description: Option<Text<'a>>,
    /// Absolute canonical address; `None` on guichet pages.
    pub canonical: Option<Text<'a>>,
    /// From the home page (excluded) to this page (included, without link). Empty on the home page.
    pub breadcrumb: Vec<Crumb<'a>>,
    /// Absolute address of the picture shown when the page is shared.
    pub share_image: Option<Text<'a>>,
    /// Asks search engines not to keep the page.
    pub noindex: bool,
    /// A page of the guichet drawn as a file of the site, where the script may help; never true on the guichet's own.
    pub scripted: bool,
    /// Feeds of this list only.
    pub feeds: Vec<FeedView<'a>>,
}

/// One step of the breadcrumb.
#[derive(Debug, Clone, Serialize)]
pub struct Crumb<'a> {
    pub label: Text<'a>,
    /// `None` for the page itself.
    pub url: Option<Text<'a>>,
}

/// Any link.
#[derive(Debug, Clone, Serialize)]
pub struct Link<'a> {
    pub label: Text<'a>,
    pub url: Text<'a>,
    /// Leads to another site: marked by an icon and said to screen readers. Never opens a new window.
    pub external: bool,
    /// This is where we are (lists of sibling pages, filters).
    pub current: bool,
}

/// A date in all the clothes a template may want.
#[derive(Debug, Clone, Serialize)]
pub struct DateView<'a> {
    /// For `datetime`: `2026-12-05` or `2026-12-05T14:30:00+01:00`.
    pub iso: Text<'a>,
    /// « samedi 5 décembre 2026 », « mardi 1er décembre 2026 ».
    pub long: Text<'a>,
    /// « 5 décembre 2026 ».
    pub medium: Text<'a>,
    /// « sam. ».
    pub weekday: Text<'a>,
    /// « 5 », « 1er ».
    pub day: Text<'a>,
    /// « déc. », « mai ».
    pub month: Text<'a>,
    /// « 2026 ».
    pub year: Text<'a>,
    /// « 14 h 30 »; `None` when only the day is known.
    pub time: Option<Text<'a>>,
}

/// A picture with its variants.
#[derive(Debug, Clone, Serialize)]
pub struct ImageView<'a> {
    /// The fallback everyone reads (JPEG, PNG or SVG), of a middle size.
    pub src: Text<'a>,
    /// Size of `src` in CSS pixels.
    pub width: u32,
    pub height: u32,
    /// What it shows; empty: decorative.
    pub alt: Text<'a>,
    /// Better formats first; each becomes a `<source>`. May be empty.
    pub sources: Vec<ImageSource<'a>>,
    /// `srcset` of the fallback format; `None`: one size only.
    pub srcset: Option<Text<'a>>,
    /// Author or origin.
    pub credit: Option<Text<'a>>,
}

/// One format of a picture.
#[derive(Debug, Clone, Serialize)]
pub struct ImageSource<'a> {
    /// `image/webp`.
    pub mime: Text<'a>,
    /// `/medias/x-480.webp 480w, /medias/x-960.webp 960w`.
    pub srcset: Text<'a>,
}

/// A document to download.
#[derive(Debug, Clone, Serialize)]
pub struct DocumentView<'a> {
    pub title: Text<'a>,
    pub url: Text<'a>,
    /// « PDF », « CSV », « ODT ».
    pub format: Text<'a>,
    /// « 340 Ko », « 1,2 Mo ».
    pub size: Text<'a>,
    /// « 4 pages »; `None` when unknown.
    pub pages: Option<Text<'a>>,
}

/// A telephone number.
#[derive(Debug, Clone, Serialize)]
pub struct PhoneView<'a> {
    /// « 02 99 00 12 34 » with no-break spaces.
    pub display: Text<'a>,
    /// `tel:+33299001234`.
    pub href: Text<'a>,
}

/// Label and value: one row of a definition list.
#[derive(Debug, Clone, Serialize)]
pub struct Row<'a> {
    pub label: Text<'a>,
    /// Text; line breaks are kept.
    pub value: Text<'a>,
}

/// How to reach someone or some place.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ContactView<'a> {
    /// « Secrétariat de mairie ».
    pub name: Option<Text<'a>>,
    /// Page of the service, when there is one and it is not this page.
    pub url: Option<Text<'a>>,
    /// « Claire Guérin, secrétaire de mairie ».
    pub person: Option<Text<'a>>,
    pub address_lines: Vec<Text<'a>>,
    pub phone: Option<PhoneView<'a>>,
    pub email: Option<Text<'a>>,
    /// Site of the association or the shop.
    pub website: Option<Link<'a>>,
    /// Opens a map at the place (an OpenStreetMap address).
    pub map_url: Option<Text<'a>>,
    /// Usual hours in a few lines, when the full table is elsewhere.
    pub hours_summary: Vec<Text<'a>>,
}

/// Open or not on the build day, with what ten lines of script need to say « en ce moment ».
#[derive(Debug, Clone, Serialize)]
pub struct OpeningView<'a> {
    /// What the build day holds.
    pub state: OpeningState,
    /// A whole sentence, right without script: « Ouvert aujourd'hui de 9 h à 12 h et de 14 h à 17 h 30 »,
    /// « Fermé aujourd'hui. Rouvre lundi à 9 h ».
    pub sentence: Text<'a>,
    /// The build day, shown beside the sentence so that a page built days ago does not lie.
    pub date: DateView<'a>,
    /// Hours of the coming days from the build day on, three weeks of them, for `data-horaires`:
    /// `2026-11-21=09:00-12:00,14:00-17:30;2026-11-22=;2026-11-23=09:00-12:00` (nothing after `=`: closed).
    pub hours_data: Text<'a>,
    /// `Europe/Paris`, for `data-fuseau`.
    pub time_zone: Text<'a>,
}

/// State of the build day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpeningState {
    /// Opens at some hour of the day.
    Ouvert,
    /// Closed all day.
    Ferme,
}

/// Table of opening hours.
#[derive(Debug, Clone, Serialize)]
pub struct HoursView<'a> {
    pub opening: Option<OpeningView<'a>>,
    /// Monday to Sunday.
    pub rows: Vec<HoursRow<'a>>,
    /// To come, soonest first.
    pub exceptions: Vec<HoursException<'a>>,
}

/// One day of the week.
#[derive(Debug, Clone, Serialize)]
pub struct HoursRow<'a> {
    /// « Lundi ».
    pub day: Text<'a>,
    /// « 9 h – 12 h », « 14 h – 17 h 30 »; empty: closed.
    pub ranges: Vec<Text<'a>>,
    /// « semaines paires ».
    pub note: Option<Text<'a>>,
}

/// A closed day or other hours.
#[derive(Debug, Clone, Serialize)]
pub struct HoursException<'a> {
    /// « Du jeudi 24 au samedi 26 décembre 2026 ».
    pub dates: Text<'a>,
    /// Other hours; empty: closed.
    pub ranges: Vec<Text<'a>>,
    /// « fêtes de fin d'année ».
    pub note: Option<Text<'a>>,
}

/// The written part of any page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ContentView<'a> {
    /// Under the title, larger.
    pub summary: Option<Text<'a>>,
    /// The same in plain words; drawn in a box « En clair ».
    pub summary_simple: Option<Text<'a>>,
    /// The Markdown text, ready HTML; headings start at `h2` and carry ids. May be empty.
    pub body_html: Text<'a>,
    /// `h2` and `h3` of the text; empty when there are fewer than three `h2`.
    pub toc: Vec<TocEntry<'a>>,
    pub image: Option<ImageView<'a>>,
    /// Documents attached.
    pub documents: Vec<DocumentView<'a>>,
    /// Last time someone read it again.
    pub verified: Option<DateView<'a>>,
    /// Set when the text comes from a lower layer (EPCI, catalogue): the name of its author, and its site if any.
    pub source: Option<SourceView<'a>>,
}

/// Where an inherited page comes from.
#[derive(Debug, Clone, Serialize)]
pub struct SourceView<'a> {
    /// « Communauté de communes du Bocage ».
    pub name: Text<'a>,
    pub url: Option<Text<'a>>,
}

/// One line of the table of contents.
#[derive(Debug, Clone, Serialize)]
pub struct TocEntry<'a> {
    /// 2 or 3.
    pub level: u8,
    /// Id of the heading, without `#`.
    pub id: Text<'a>,
    pub title: Text<'a>,
}

/// Pages of a long list. Absent when there is only one.
#[derive(Debug, Clone, Serialize)]
pub struct PaginationView<'a> {
    /// « Pages d'actualités »: label of the landmark.
    pub label: Text<'a>,
    pub current: usize,
    pub total: usize,
    pub previous_url: Option<Text<'a>>,
    pub next_url: Option<Text<'a>>,
    /// Numbers to show; a gap is an entry without address.
    pub pages: Vec<PageNumber<'a>>,
}

/// One number of the pagination.
#[derive(Debug, Clone, Serialize)]
pub struct PageNumber<'a> {
    pub number: usize,
    /// `None`: the current page when `number` is it, else a gap « … ».
    pub url: Option<Text<'a>>,
}

/// A filter: a category that has its own list page.
#[derive(Debug, Clone, Serialize)]
pub struct FilterView<'a> {
    /// « Travaux ».
    pub label: Text<'a>,
    pub url: Text<'a>,
    pub count: usize,
    pub current: bool,
}

// ---------------------------------------------------------------------------------------------------------------------
// Home
// ---------------------------------------------------------------------------------------------------------------------

/// `accueil.html`.
#[derive(Debug, Clone, Serialize)]
pub struct HomeView<'a> {
    pub page: PageView<'a>,
    /// The great picture; without it the name stands on the colour.
    pub hero: Option<ImageView<'a>>,
    /// `accroche`: one sentence under the name.
    pub lead: Option<Text<'a>>,
    /// The word of welcome, ready HTML; may be empty. Its headings start at `h3`.
    pub welcome_html: Text<'a>,
    /// « Hélène Aubry, maire »: signs the word of welcome.
    pub welcome_signature: Option<Text<'a>>,
    /// The answers of the first screen, two to five of them, in this order: opening, telephone, waste, council, hall or
    /// next event.
    pub answers: Vec<AnswerView<'a>>,
    /// The most asked, six at most.
    pub tiles: Vec<TileView<'a>>,
    /// Next three. Empty: the block says so.
    pub events: Vec<EventCard<'a>>,
    /// Last three, the one « à la une » first.
    pub news: Vec<NewsCard<'a>>,
    pub demarches_url: Text<'a>,
    pub agenda_url: Text<'a>,
    pub news_url: Text<'a>,
}

/// One of the five questions, answered.
#[derive(Debug, Clone, Serialize)]
pub struct AnswerView<'a> {
    pub kind: AnswerKind,
    /// « Mairie », « Nous appeler », « Prochain conseil ».
    pub label: Text<'a>,
    /// « Ouvert aujourd'hui de 9 h à 12 h », « 02 99 00 12 34 », « Jeudi 3 décembre à 20 h ».
    pub answer: Text<'a>,
    /// « Salle du conseil, à la mairie ».
    pub detail: Option<Text<'a>>,
    /// Makes the answer a link (`tel:` for the telephone).
    pub url: Option<Text<'a>>,
    /// Only for [`AnswerKind::Ouverture`]; its sentence replaces `answer` and the script refines it.
    pub opening: Option<OpeningView<'a>>,
}

/// What an answer is about; decides its icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    Ouverture,
    Telephone,
    Dechets,
    Conseil,
    Salle,
    Evenement,
    Courriel,
}

/// A tile of the home page.
#[derive(Debug, Clone, Serialize)]
pub struct TileView<'a> {
    pub title: Text<'a>,
    pub text: Option<Text<'a>>,
    pub url: Text<'a>,
    pub external: bool,
    /// A name of the table « Icônes » of `docs/contenu.md`; unknown or empty: `document`.
    pub icon: Text<'a>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Free pages and sections
// ---------------------------------------------------------------------------------------------------------------------

/// `page.html`: a page of `pages/`, and the legal pages (mentions légales, accessibilité, données personnelles).
#[derive(Debug, Clone, Serialize)]
pub struct FreePageView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    /// Whom to ask about it.
    pub contact: Option<ContactView<'a>>,
    /// The section: « Vie pratique ».
    pub section: Option<Link<'a>>,
    /// The pages of the section, this one flagged `current`; fewer than two: not drawn.
    pub siblings: Vec<Link<'a>>,
}

/// `rubrique.html`: index of a section, or of a sub-folder of `pages/`.
#[derive(Debug, Clone, Serialize)]
pub struct SectionView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    pub pages: Vec<PageCard<'a>>,
    /// Lists that belong to the section without being in its folder (élus, délibérations…).
    pub related: Vec<Link<'a>>,
}

/// A page in an index.
#[derive(Debug, Clone, Serialize)]
pub struct PageCard<'a> {
    pub title: Text<'a>,
    pub url: Text<'a>,
    pub summary: Option<Text<'a>>,
    /// Pages below it, when it is itself a section.
    pub children: Vec<Link<'a>>,
}

// ---------------------------------------------------------------------------------------------------------------------
// News
// ---------------------------------------------------------------------------------------------------------------------

/// `actualites.html`: all news, or those of one category, one page of them.
#[derive(Debug, Clone, Serialize)]
pub struct NewsListView<'a> {
    pub page: PageView<'a>,
    /// Categories that hold something; the first is « Toutes ».
    pub filters: Vec<FilterView<'a>>,
    pub items: Vec<NewsCard<'a>>,
    pub pagination: Option<PaginationView<'a>>,
    pub feed: Option<FeedView<'a>>,
}

/// A news item in a list.
#[derive(Debug, Clone, Serialize)]
pub struct NewsCard<'a> {
    pub title: Text<'a>,
    pub url: Text<'a>,
    pub date: DateView<'a>,
    /// « Travaux ».
    pub category: Option<Text<'a>>,
    pub summary: Text<'a>,
    pub image: Option<ImageView<'a>>,
}

/// `actualite.html`.
#[derive(Debug, Clone, Serialize)]
pub struct NewsView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    pub date: DateView<'a>,
    /// Linked to the list of its category.
    pub category: Option<Link<'a>>,
    /// Others, newest first, three at most.
    pub more: Vec<NewsCard<'a>>,
    pub list_url: Text<'a>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Alerts
// ---------------------------------------------------------------------------------------------------------------------

/// How serious.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertLevel {
    Info,
    Attention,
    Danger,
}

/// Where an alert stands on the build day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertState {
    AVenir,
    EnCours,
    Terminee,
}

/// An alert in a list or in the strip above every page.
#[derive(Debug, Clone, Serialize)]
pub struct AlertCard<'a> {
    pub level: AlertLevel,
    /// « Information », « Attention », « Danger »: said, so that colour is never alone.
    pub level_label: Text<'a>,
    pub title: Text<'a>,
    /// 150 characters at most.
    pub message: Text<'a>,
    pub url: Text<'a>,
    /// « jusqu'au vendredi 20 novembre à 18 h », « du 20 au 22 novembre 2026 ».
    pub period: Text<'a>,
}

/// `alertes.html`.
#[derive(Debug, Clone, Serialize)]
pub struct AlertListView<'a> {
    pub page: PageView<'a>,
    pub current: Vec<AlertCard<'a>>,
    pub upcoming: Vec<AlertCard<'a>>,
    /// Ended, newest first.
    pub past: Vec<AlertCard<'a>>,
    pub feed: Option<FeedView<'a>>,
}

/// `alerte.html`: on screen a page, on paper a poster.
#[derive(Debug, Clone, Serialize)]
pub struct AlertView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    pub level: AlertLevel,
    pub level_label: Text<'a>,
    pub message: Text<'a>,
    pub start: DateView<'a>,
    pub end: DateView<'a>,
    /// « Du vendredi 20 novembre 2026 à 8 h au samedi 21 novembre 2026 à 18 h ».
    pub period: Text<'a>,
    pub state: AlertState,
    /// « En cours », « À venir », « Terminée ».
    pub state_label: Text<'a>,
    pub link: Option<Link<'a>>,
    /// When it was put on line.
    pub published: Option<DateView<'a>>,
    pub list_url: Text<'a>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Agenda
// ---------------------------------------------------------------------------------------------------------------------

/// `agenda.html`: events to come, or the past ones on a second page.
#[derive(Debug, Clone, Serialize)]
pub struct AgendaView<'a> {
    pub page: PageView<'a>,
    /// Categories that hold something; may be empty.
    pub filters: Vec<FilterView<'a>>,
    pub months: Vec<AgendaMonth<'a>>,
    /// True on the page of past events.
    pub past: bool,
    /// The other page: « Évènements passés » or « Évènements à venir ». `None` when it would be empty.
    pub other: Option<Link<'a>>,
    /// iCalendar to subscribe to.
    pub calendar: Option<FeedView<'a>>,
    pub pagination: Option<PaginationView<'a>>,
}

/// One month of the agenda.
#[derive(Debug, Clone, Serialize)]
pub struct AgendaMonth<'a> {
    /// `2026-12`, for the id of the heading.
    pub key: Text<'a>,
    /// « Décembre 2026 ».
    pub title: Text<'a>,
    pub events: Vec<EventCard<'a>>,
}

/// An event in a list.
#[derive(Debug, Clone, Serialize)]
pub struct EventCard<'a> {
    pub title: Text<'a>,
    pub url: Text<'a>,
    pub start: DateView<'a>,
    /// Last day, when it is another day.
    pub end: Option<DateView<'a>>,
    /// « Samedi 5 décembre, de 10 h à 18 h », « Du 3 au 5 décembre ».
    pub when: Text<'a>,
    pub place: Option<Text<'a>>,
    /// « Marché ».
    pub category: Option<Text<'a>>,
    pub summary: Option<Text<'a>>,
    pub image: Option<ImageView<'a>>,
    pub cancelled: bool,
}

/// `evenement.html`.
#[derive(Debug, Clone, Serialize)]
pub struct EventView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    pub start: DateView<'a>,
    pub end: Option<DateView<'a>>,
    /// « Samedi 5 décembre 2026, de 10 h à 18 h ».
    pub when: Text<'a>,
    pub place: Option<PlaceView<'a>>,
    pub organizer: Option<Text<'a>>,
    /// « Entrée libre ».
    pub price: Option<Text<'a>>,
    pub contact: Option<ContactView<'a>>,
    /// « Marché ».
    pub category: Option<Text<'a>>,
    pub cancelled: bool,
    /// Already over on the build day.
    pub past: bool,
    /// The event alone, `.ics`.
    pub ics_url: Option<Text<'a>>,
    /// Next events, three at most.
    pub more: Vec<EventCard<'a>>,
    pub list_url: Text<'a>,
}

/// Where it happens.
#[derive(Debug, Clone, Serialize)]
pub struct PlaceView<'a> {
    pub name: Text<'a>,
    /// Page of the hall, the stadium…
    pub url: Option<Text<'a>>,
    pub address_lines: Vec<Text<'a>>,
    pub map_url: Option<Text<'a>>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Annuaire
// ---------------------------------------------------------------------------------------------------------------------

/// `annuaire/accueil.html`.
#[derive(Debug, Clone, Serialize)]
pub struct DirectoryHomeView<'a> {
    pub page: PageView<'a>,
    pub categories: Vec<DirectoryCategory<'a>>,
}

/// Which directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryKind {
    Elus,
    Services,
    Associations,
    Commerces,
    Equipements,
}

/// A directory, on the home of the annuaire.
#[derive(Debug, Clone, Serialize)]
pub struct DirectoryCategory<'a> {
    pub kind: DirectoryKind,
    /// « Les élus ».
    pub title: Text<'a>,
    pub url: Text<'a>,
    /// « Le maire, ses adjoints et les conseillers ».
    pub text: Option<Text<'a>>,
    pub count: usize,
}

/// `annuaire/liste.html`: one directory, grouped when it helps (function of the élus, category of the others).
#[derive(Debug, Clone, Serialize)]
pub struct DirectoryListView<'a> {
    pub page: PageView<'a>,
    pub kind: DirectoryKind,
    /// Ready HTML; may be empty.
    pub intro_html: Text<'a>,
    /// One group without title when nothing distinguishes them. May be empty: the page says so.
    pub groups: Vec<DirectoryGroup<'a>>,
}

/// Some cards under one heading.
#[derive(Debug, Clone, Serialize)]
pub struct DirectoryGroup<'a> {
    /// « Sport ».
    pub title: Option<Text<'a>>,
    /// Id of the heading.
    pub id: Text<'a>,
    pub cards: Vec<DirectoryCard<'a>>,
}

/// One person, service, association, shop or place in a list.
#[derive(Debug, Clone, Serialize)]
pub struct DirectoryCard<'a> {
    /// « Hélène Aubry », « Les Randonneurs du Bocage ».
    pub title: Text<'a>,
    pub url: Text<'a>,
    /// Function of the élu, category of the shop, kind of place.
    pub subtitle: Option<Text<'a>>,
    /// Summary, object of the association, delegations of the élu.
    pub text: Option<Text<'a>>,
    pub address_lines: Vec<Text<'a>>,
    pub phone: Option<PhoneView<'a>>,
    pub email: Option<Text<'a>>,
    pub image: Option<ImageView<'a>>,
    /// For those with opening hours.
    pub opening: Option<OpeningView<'a>>,
}

/// `annuaire/elu.html`.
#[derive(Debug, Clone, Serialize)]
pub struct EluView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    pub prenom: Text<'a>,
    pub nom: Text<'a>,
    /// « Première adjointe au maire ».
    pub fonction: Text<'a>,
    pub delegations: Vec<Text<'a>>,
    pub commissions: Vec<Text<'a>>,
    /// « Le samedi de 10 h à 12 h, sur rendez-vous ».
    pub permanence: Option<Text<'a>>,
    pub contact: ContactView<'a>,
    pub list_url: Text<'a>,
}

/// `annuaire/service.html`.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    pub contact: ContactView<'a>,
    pub hours: Option<HoursView<'a>>,
    /// What this service handles.
    pub demarches: Vec<Link<'a>>,
    pub list_url: Text<'a>,
}

/// `annuaire/association.html`.
#[derive(Debug, Clone, Serialize)]
pub struct AssociationView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    /// « Sport ».
    pub category: Option<Text<'a>>,
    /// What it is for.
    pub objet: Option<Text<'a>>,
    /// « W531001234 ».
    pub rna: Option<Text<'a>>,
    /// « Mardi, 18 h 30 – 20 h : yoga ».
    pub slots: Vec<Text<'a>>,
    pub place: Option<PlaceView<'a>>,
    pub contact: ContactView<'a>,
    pub list_url: Text<'a>,
}

/// `annuaire/commerce.html`.
#[derive(Debug, Clone, Serialize)]
pub struct CommerceView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    /// « Boulangerie ».
    pub category: Text<'a>,
    pub contact: ContactView<'a>,
    pub hours: Option<HoursView<'a>>,
    /// « Tournée le mercredi matin dans les hameaux ».
    pub tournee: Option<Text<'a>>,
    pub list_url: Text<'a>,
}

/// `annuaire/equipement.html`.
#[derive(Debug, Clone, Serialize)]
pub struct EquipementView<'a> {
    pub page: PageView<'a>,
    pub content: ContentView<'a>,
    /// « Salle ».
    pub kind: Text<'a>,
    pub contact: ContactView<'a>,
    pub hours: Option<HoursView<'a>>,
    /// Access for disabled people, in words.
    pub access_pmr: Option<Text<'a>>,
    /// « 120 personnes ».
    pub capacity: Option<Text<'a>>,
    /// « 180 m² ».
    pub area: Option<Text<'a>>,
    pub tariffs: Vec<TariffRow<'a>>,
    /// The rules, PDF.
    pub rules: Option<DocumentView<'a>>,
    /// « Réserver la salle des fêtes ».
    pub booking: Option<Link<'a>>,
    /// Next events here, three at most.
    pub events: Vec<EventCard<'a>>,
    pub list_url: Text<'a>,
}

/// One price.
#[derive(Debug, Clone, Serialize)]
pub struct TariffRow<'a> {
    /// « Habitant ».
    pub profile: Text<'a>,
    /// « 120 € ».
    pub price: Text<'a>,
    pub note: Option<Text<'a>>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Démarches
// ---------------------------------------------------------------------------------------------------------------------

/// Who really handles a démarche.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandlerKind {
    Commune,
    Epci,
    Departement,
    Etat,
    Autre,
}

/// `demarches.html`.
#[derive(Debug, Clone, Serialize)]
pub struct DemarchesView<'a> {
    pub page: PageView<'a>,
    pub groups: Vec<DemarcheGroup<'a>>,
}

/// One rubrique.
#[derive(Debug, Clone, Serialize)]
pub struct DemarcheGroup<'a> {
    /// `vie-quotidienne`: id of the heading.
    pub key: Text<'a>,
    /// « Vie quotidienne ».
    pub title: Text<'a>,
    pub items: Vec<DemarcheCard<'a>>,
}

/// A démarche in a list.
#[derive(Debug, Clone, Serialize)]
pub struct DemarcheCard<'a> {
    pub title: Text<'a>,
    pub url: Text<'a>,
    pub summary: Option<Text<'a>>,
    pub handler: HandlerKind,
    /// « La commune », « Communauté de communes du Bocage », « L'État ».
    pub handler_label: Text<'a>,
    /// Has a form of ours.
    pub online: bool,
}

/// `demarche.html`: the fiche, in the fixed order.
#[derive(Debug, Clone, Serialize)]
pub struct DemarcheView<'a> {
    pub page: PageView<'a>,
    /// The Markdown text completes the fiche, under « Comment faire ». Its headings start at `h3`.
    pub content: ContentView<'a>,
    pub handler: HandlerKind,
    /// « la commune », « la Communauté de communes du Bocage »: after « Traité par ».
    pub handler_label: Text<'a>,
    /// 1. For whom.
    pub audience: Option<Text<'a>>,
    /// 2. What to have at hand, ready HTML (inline only: links, emphasis).
    pub prepare_html: Vec<Text<'a>>,
    /// 3. How: « En ligne », « Au guichet », « Par courrier », « Par téléphone ».
    pub channels: Vec<Text<'a>>,
    /// The big button. `None`: contact is the way.
    pub action: Option<ActionView<'a>>,
    /// The same questions on paper.
    pub paper_url: Option<Text<'a>>,
    /// 4. Delay, in words.
    pub delay: Option<Text<'a>>,
    /// What the law says of silence: « Sans réponse dans les 2 mois, votre demande est acceptée. »
    pub silence: Option<Text<'a>>,
    /// 5. Cost.
    pub cost: Option<Text<'a>>,
    /// 6. Result.
    pub result: Option<Text<'a>>,
    /// 7. Contact: the service, with its hours.
    pub contact: ContactView<'a>,
    pub hours: Option<HoursView<'a>>,
    /// « CRPA, art. L112-8 ».
    pub legal_basis: Option<Text<'a>>,
    /// Set when the form is closed: says why and what to do.
    pub closed: Option<Text<'a>>,
    /// Others of the same rubrique, four at most.
    pub related: Vec<Link<'a>>,
    pub list_url: Text<'a>,
}

/// The big button of a fiche.
#[derive(Debug, Clone, Serialize)]
pub struct ActionView<'a> {
    /// « Écrire à la mairie ».
    pub label: Text<'a>,
    pub url: Text<'a>,
    pub external: bool,
    /// Under the button: « Sans compte. Un accusé vous est remis aussitôt. », « Vous quittez le site… ».
    pub note: Option<Text<'a>>,
}

/// `formulaire_papier.html`: the same questions as empty lines, to print, fill by hand and bring back.
#[derive(Debug, Clone, Serialize)]
pub struct PaperFormView<'a> {
    pub page: PageView<'a>,
    /// The fiche.
    pub demarche: Link<'a>,
    /// Text that precedes the questions; may be empty. Ready HTML.
    pub intro_html: Text<'a>,
    /// What to join, ready HTML (inline).
    pub prepare_html: Vec<Text<'a>>,
    /// Values are ignored, files become « Pièces à joindre ».
    pub groups: Vec<FieldGroup<'a>>,
    pub notice: Option<DataNoticeView<'a>>,
    /// Where to bring it or send it.
    pub contact: ContactView<'a>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Odds
// ---------------------------------------------------------------------------------------------------------------------

/// `plan.html`.
#[derive(Debug, Clone, Serialize)]
pub struct SitemapView<'a> {
    pub page: PageView<'a>,
    pub sections: Vec<SitemapNode<'a>>,
}

/// A page and those below it.
#[derive(Debug, Clone, Serialize)]
pub struct SitemapNode<'a> {
    pub title: Text<'a>,
    /// `None`: a heading only.
    pub url: Option<Text<'a>>,
    pub children: Vec<SitemapNode<'a>>,
}

/// `introuvable.html`: the 404 of the site.
#[derive(Debug, Clone, Serialize)]
pub struct NotFoundView<'a> {
    pub page: PageView<'a>,
    /// Where most people wanted to go.
    pub links: Vec<Link<'a>>,
}

/// `redirection.html`: a former address.
#[derive(Debug, Clone, Serialize)]
pub struct RedirectView<'a> {
    pub page: PageView<'a>,
    /// Where it now is.
    pub target: Link<'a>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Guichet: served pages, no script
// ---------------------------------------------------------------------------------------------------------------------

/// `guichet/comptoir.html`: the forms an agent may fill for somebody.
#[derive(Debug, Clone, Serialize)]
pub struct CounterView<'a> {
    pub page: PageView<'a>,
    pub paragraphs: Vec<Text<'a>>,
    /// One a form, by title.
    pub links: Vec<Link<'a>>,
}

/// `guichet/questions.html`.
#[derive(Debug, Clone, Serialize)]
pub struct FormView<'a> {
    pub page: PageView<'a>,
    /// The fiche this form belongs to: the way back.
    pub demarche: Link<'a>,
    /// « Étape 1 sur 2 : vos réponses ».
    pub step: Option<StepView<'a>>,
    /// Where it is posted.
    pub action_url: Text<'a>,
    /// True when a question asks for a file.
    pub multipart: bool,
    pub hidden: Vec<HiddenField<'a>>,
    /// Ready HTML; may be empty.
    pub intro_html: Text<'a>,
    /// What to have at hand, ready HTML (inline).
    pub prepare_html: Vec<Text<'a>>,
    /// The questions, at least one group. A group without title is drawn without `fieldset`.
    pub groups: Vec<FieldGroup<'a>>,
    /// What is offered to several questions of the page: one `datalist` each.
    pub lists: Vec<DatalistView<'a>>,
    /// All errors in the order of the questions; empty the first time.
    pub errors: Vec<FormError<'a>>,
    /// « Continuer ».
    pub submit_label: Text<'a>,
    /// Back to the page of questions before; `None` on the first.
    pub back: Option<ButtonView<'a>>,
    /// What is said at the top when a form put aside was given back.
    pub resumed: Vec<Text<'a>>,
    /// Where the answers so far are made a file to keep.
    pub put_aside_url: Text<'a>,
    /// Where such a file is given back; on the first page only.
    pub give_back: Option<GiveBackView<'a>>,
    /// Whether files may be attached, which are not put aside.
    pub has_files: bool,
    pub notice: Option<DataNoticeView<'a>>,
    /// The same questions on paper.
    pub paper_url: Option<Text<'a>>,
    /// Who helps: name, telephone, hours.
    pub contact: ContactView<'a>,
}

/// What a browser offers to who types, whatever else may be typed.
#[derive(Debug, Clone, Serialize)]
pub struct DatalistView<'a> {
    /// What [`FieldView::list`] names.
    pub id: Text<'a>,
    pub options: Vec<Text<'a>>,
}

/// Where a form put aside is given back.
#[derive(Debug, Clone, Serialize)]
pub struct GiveBackView<'a> {
    pub action_url: Text<'a>,
    /// Id of the input.
    pub id: Text<'a>,
    /// Name of the input.
    pub name: Text<'a>,
    /// Why the file cannot be used.
    pub error: Option<Text<'a>>,
}

/// Where one stands in the journey.
#[derive(Debug, Clone, Serialize)]
pub struct StepView<'a> {
    /// From 1.
    pub current: usize,
    pub total: usize,
    /// « Vos réponses ».
    pub label: Text<'a>,
}

/// One hidden input.
#[derive(Debug, Clone, Serialize)]
pub struct HiddenField<'a> {
    pub name: Text<'a>,
    pub value: Text<'a>,
}

/// One error, in the summary on top.
#[derive(Debug, Clone, Serialize)]
pub struct FormError<'a> {
    /// Id of the control to focus, without `#` (the first choice of a group of radios). Empty: not tied to a field.
    pub target: Text<'a>,
    /// The very words shown beside the field.
    pub message: Text<'a>,
}

/// An `etape`: questions under one legend.
#[derive(Debug, Clone, Serialize)]
pub struct FieldGroup<'a> {
    /// Id of the fieldset.
    pub id: Text<'a>,
    /// « Vos coordonnées ».
    pub title: Option<Text<'a>>,
    /// Text under the title.
    pub hint: Option<Text<'a>>,
    /// When it concerns only some: « Seulement si vous écrivez pour une association ».
    pub condition: Option<Text<'a>>,
    pub fields: Vec<FieldView<'a>>,
}

/// One question. One struct for all types: `kind` says which fields count.
#[derive(Debug, Clone, Serialize)]
pub struct FieldView<'a> {
    pub kind: FieldKind,
    /// Id of the control (for choices, of the group; each choice has its own). Hint and error are `{id}-aide` and
    /// `{id}-erreur`.
    pub id: Text<'a>,
    /// `name` of the control.
    pub name: Text<'a>,
    /// The question.
    pub label: Text<'a>,
    pub hint: Option<Text<'a>>,
    pub required: bool,
    /// In words, when it is asked only of some: « Si vous avez répondu « Éclairage » à « De quoi s'agit-il ? » ».
    pub condition: Option<Text<'a>>,
    /// What was typed; kept as typed when it is refused.
    pub value: Text<'a>,
    /// What is wrong and what to do.
    pub error: Option<Text<'a>>,
    /// `type` of the input for the one-line kinds: `text`, `email`, `tel`, `date`, `time`. A `date` or `time` whose
    /// refused value is not in ISO form is asked again as `text`, so that it is not lost.
    pub input_type: Text<'a>,
    /// `numeric`, `decimal`, `tel`, `email`.
    pub inputmode: Option<Text<'a>>,
    /// A token of the HTML standard: `given-name`, `email`, `address-line1` (never `street-address`: it is for several lines)…
    pub autocomplete: Option<Text<'a>>,
    /// For themes that want it. Ours says the limit in `hint` and lets the guichet answer, so that nothing pasted is cut.
    pub maxlength: Option<u32>,
    /// Visual width of a one-line control.
    pub width: FieldWidth,
    /// `oui_non`, `choix`, `choix_multiple`.
    pub choices: Vec<ChoiceView<'a>>,
    /// `case_a_cocher`.
    pub checked: bool,
    /// `lieu`: proposals of the datalist (id `{id}-propositions`).
    pub suggestions: Vec<Text<'a>>,
    /// Id of a [`DatalistView`] of the page, when it has no proposals of its own.
    pub list: Option<Text<'a>>,
    /// `adresse`: street, postal code, town, each a one-line field with its own label, error and token.
    pub parts: Vec<FieldView<'a>>,
    /// `fichier`: limits in words, said before: « 3 fichiers au plus, PDF, JPEG ou PNG, 7 Mo chacun ».
    pub file_limits: Option<Text<'a>>,
    /// `fichier`: value of `accept`.
    pub accept: Option<Text<'a>>,
    /// `fichier`: more than one may be chosen.
    pub multiple: bool,
    /// `fichier`: those already received and kept.
    pub files: Vec<KeptFile<'a>>,
    /// `information`: ready HTML.
    pub body_html: Text<'a>,
    /// `information`: it must not be missed.
    pub alert: bool,
    /// `groupe`: the same questions, several times.
    pub copies: Vec<CopyView<'a>>,
    /// `groupe`: the button that shows one more.
    pub add: Option<ButtonView<'a>>,
}

/// One copy of a group of questions.
#[derive(Debug, Clone, Serialize)]
pub struct CopyView<'a> {
    /// Id of its fieldset.
    pub id: Text<'a>,
    /// « Enfant 2 ».
    pub title: Text<'a>,
    /// Its questions.
    pub parts: Vec<FieldView<'a>>,
    /// Takes it away; `None` for those that must be there.
    pub remove: Option<ButtonView<'a>>,
}

/// A button that posts the form elsewhere than its main one.
#[derive(Debug, Clone, Serialize)]
pub struct ButtonView<'a> {
    /// `formaction`.
    pub action_url: Text<'a>,
    pub name: Text<'a>,
    pub value: Text<'a>,
    pub label: Text<'a>,
}

impl Default for FieldView<'_> {
    /// An empty, optional line of text: fill what the kind needs and take the rest from here.
    fn default() -> Self {
        FieldView {
            kind: FieldKind::Texte,
            id: Text::default(),
            name: Text::default(),
            label: Text::default(),
            hint: None,
            required: false,
            condition: None,
            value: Text::default(),
            error: None,
            input_type: Text::Borrowed("text"),
            inputmode: None,
            autocomplete: None,
            maxlength: None,
            width: FieldWidth::Long,
            choices: Vec::new(),
            checked: false,
            suggestions: Vec::new(),
            list: None,
            parts: Vec::new(),
            file_limits: None,
            accept: None,
            multiple: false,
            files: Vec::new(),
            body_html: Text::default(),
            alert: false,
            copies: Vec::new(),
            add: None,
        }
    }
}

/// The types of `docs/contenu.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    Texte,
    TexteLong,
    Courriel,
    Telephone,
    Nombre,
    Date,
    Heure,
    OuiNon,
    Choix,
    ChoixMultiple,
    CaseACocher,
    Adresse,
    Lieu,
    Fichier,
    Information,
    Bloc,
    Groupe,
}

/// How wide a one-line control is drawn: it tells how much is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldWidth {
    /// Some five characters: postal code, number.
    Court,
    /// Some twenty: date, telephone, first name.
    Moyen,
    /// The whole column.
    Long,
}

/// One radio or check box.
#[derive(Debug, Clone, Serialize)]
pub struct ChoiceView<'a> {
    /// Id of the input; its hint is `{id}-aide`.
    pub id: Text<'a>,
    pub value: Text<'a>,
    pub label: Text<'a>,
    pub hint: Option<Text<'a>>,
    pub checked: bool,
}

/// A file already received by the guichet.
#[derive(Debug, Clone, Serialize)]
pub struct KeptFile<'a> {
    /// As the resident named it.
    pub name: Text<'a>,
    /// « 1,2 Mo ».
    pub size: Text<'a>,
    /// The hidden input that keeps it, when the form carries it.
    pub hidden: Option<HiddenField<'a>>,
    /// The check box that removes it: name and value; `None`: it cannot be removed here.
    pub remove: Option<HiddenField<'a>>,
}

/// What is done with the data (RGPD, art. 13).
#[derive(Debug, Clone, Serialize)]
pub struct DataNoticeView<'a> {
    /// One or two sentences always in sight.
    pub summary: Text<'a>,
    /// Purpose, legal basis, recipients, retention, rights, controller, DPO.
    pub rows: Vec<Row<'a>>,
    /// Page on personal data.
    pub url: Option<Text<'a>>,
}

/// `guichet/verifier.html`: one form, whose « Modifier » buttons post elsewhere.
#[derive(Debug, Clone, Serialize)]
pub struct CheckView<'a> {
    pub page: PageView<'a>,
    pub demarche: Link<'a>,
    pub step: Option<StepView<'a>>,
    /// Where « Envoyer » posts.
    pub action_url: Text<'a>,
    /// The answers and the signed token.
    pub hidden: Vec<HiddenField<'a>>,
    pub groups: Vec<SummaryGroup<'a>>,
    pub honeypot: HoneypotView<'a>,
    /// When something must be seen before sending (honeypot filled, token too old); usually empty.
    /// What is urgent, told again before « Envoyer ».
    pub alerts: Vec<Text<'a>>,
    /// Which answers were typed and are not sent, and why; usually empty.
    pub unsent: Vec<Text<'a>>,
    pub errors: Vec<FormError<'a>>,
    /// What sending means in law, ready HTML; may be empty.
    pub legal_html: Text<'a>,
    pub notice: Option<DataNoticeView<'a>>,
    /// The code of the mairie, asked of an agent at the counter.
    pub code: Option<CodeView<'a>>,
    /// « Envoyer ».
    pub submit_label: Text<'a>,
    pub contact: ContactView<'a>,
}

/// Answers of one `etape`.
#[derive(Debug, Clone, Serialize)]
pub struct SummaryGroup<'a> {
    pub title: Option<Text<'a>>,
    pub rows: Vec<SummaryRow<'a>>,
}

/// One question with its answer.
#[derive(Debug, Clone, Serialize)]
pub struct SummaryRow<'a> {
    pub label: Text<'a>,
    /// Lines of text (paragraphs, chosen values, file names). Empty: drawn as « Pas de réponse ».
    pub lines: Vec<Text<'a>>,
    /// `formaction` of its « Modifier » button, with the anchor of the question; `None`: no button (receipts).
    pub edit_url: Option<Text<'a>>,
    /// What may be worth a second look; it refuses nothing.
    pub note: Option<Text<'a>>,
}

/// The trap for robots.
#[derive(Debug, Clone, Serialize)]
pub struct HoneypotView<'a> {
    /// An innocent name: `site_web`, `fax2`.
    pub name: Text<'a>,
    /// Id of the input.
    pub id: Text<'a>,
    /// « Laissez ce champ vide ».
    pub label: Text<'a>,
    /// Not empty when it was filled: the field is then shown, with its error, to be emptied.
    pub value: Text<'a>,
}

/// `guichet/confirmation.html`: this page *is* the accusé d'enregistrement.
#[derive(Debug, Clone, Serialize)]
pub struct ConfirmationView<'a> {
    pub page: PageView<'a>,
    pub demarche: Link<'a>,
    /// « 2026-K7M2QX ».
    pub reference: Text<'a>,
    /// « samedi 21 novembre 2026 à 20 h 15 (heure de Paris) ».
    pub received: Text<'a>,
    /// The same for `datetime`.
    pub received_iso: Text<'a>,
    /// « Une copie vous est envoyée à h…y@exemple.fr »; `None` without address.
    pub copy_sent: Option<Text<'a>>,
    /// What happens now, in order.
    pub next_steps: Vec<Text<'a>>,
    /// An agent sees it, who prints it for somebody.
    pub at_counter: bool,
    /// The whole address of the page of follow-up, to be printed.
    pub counter: Option<Text<'a>>,
    /// What is urgent, told again before all else.
    pub alerts: Vec<Text<'a>>,
    /// The legal text.
    pub accuse: AccuseView<'a>,
    /// What was sent.
    pub answers: Vec<SummaryGroup<'a>>,
    pub contact: ContactView<'a>,
    /// Page of follow-up.
    pub tracking_url: Option<Text<'a>>,
}

/// The accusé, in blocks; the mail is made of the same.
#[derive(Debug, Clone, Serialize)]
pub struct AccuseView<'a> {
    /// « Accusé d'enregistrement électronique ».
    pub title: Text<'a>,
    pub blocks: Vec<BlockView<'a>>,
}

/// A heading, paragraphs, rows and a list, each optional, in this order.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BlockView<'a> {
    pub title: Option<Text<'a>>,
    pub paragraphs: Vec<Text<'a>>,
    pub rows: Vec<Row<'a>>,
    pub list: Vec<Text<'a>>,
}

/// `guichet/indisponible.html` (503): nothing was lost of what was typed.
#[derive(Debug, Clone, Serialize)]
pub struct UnavailableView<'a> {
    pub page: PageView<'a>,
    pub paragraphs: Vec<Text<'a>>,
    /// What was typed, to copy or print; may be empty.
    pub answers: Vec<SummaryGroup<'a>>,
    /// A button that tries again with the same answers.
    pub retry: Option<RetryView<'a>>,
    pub contact: ContactView<'a>,
}

/// Posts the same answers once more.
#[derive(Debug, Clone, Serialize)]
pub struct RetryView<'a> {
    pub action_url: Text<'a>,
    pub hidden: Vec<HiddenField<'a>>,
    /// « Essayer encore ».
    pub label: Text<'a>,
}

/// `guichet/sortie.html`: the request cannot be sent here; where to go instead.
#[derive(Debug, Clone, Serialize)]
pub struct ExitView<'a> {
    pub page: PageView<'a>,
    pub demarche: Link<'a>,
    /// Ready HTML.
    pub body_html: Text<'a>,
    /// Goes back to the answers.
    pub back: RetryView<'a>,
    pub contact: ContactView<'a>,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    Info,
    Attention,
    Erreur,
    Valide,
}

/// `guichet/message.html`: not found, expired, too large, too many, already sent…
#[derive(Debug, Clone, Serialize)]
pub struct MessageView<'a> {
    pub page: PageView<'a>,
    pub kind: MessageKind,
    /// What happened, why, what to do.
    pub paragraphs: Vec<Text<'a>>,
    /// The first is drawn as a button.
    pub links: Vec<Link<'a>>,
    pub contact: ContactView<'a>,
}

/// `guichet/ferme.html`: the form does not take requests now.
#[derive(Debug, Clone, Serialize)]
pub struct ClosedFormView<'a> {
    pub page: PageView<'a>,
    pub demarche: Link<'a>,
    /// Why, until when.
    pub paragraphs: Vec<Text<'a>>,
    /// What was typed, to copy or print; usually empty.
    pub answers: Vec<SummaryGroup<'a>>,
    pub paper_url: Option<Text<'a>>,
    pub contact: ContactView<'a>,
}

// ---------------------------------------------------------------------------------------------------------------------
// Mails: neither `site` nor `chrome`
// ---------------------------------------------------------------------------------------------------------------------

/// `mail/message.html` and `mail/message.txt`.
#[derive(Debug, Clone, Serialize)]
pub struct MailView<'a> {
    /// Also the `<title>` of the HTML part.
    pub subject: Text<'a>,
    /// First line the mailbox shows.
    pub preheader: Option<Text<'a>>,
    /// « Mairie de Saint-Mulot-des-Champs ».
    pub sender: Text<'a>,
    pub title: Text<'a>,
    pub blocks: Vec<BlockView<'a>>,
    /// What was sent; may be empty.
    pub answers: Vec<SummaryGroup<'a>>,
    /// Buttons in HTML, address alone on its line in text.
    pub links: Vec<Link<'a>>,
    /// Address, telephone, why this mail was sent.
    pub footer: Vec<Text<'a>>,
    /// Strong colour, `#rrggbb`, legible on white.
    pub color: Text<'a>,
}

// ---------------------------------------------------------------------------------------------------------------------
// `mulot serve` only: neither `site` nor `chrome`, for the folder may be broken
// ---------------------------------------------------------------------------------------------------------------------

/// `tool`: the frame of the pages that only `mulot serve` shows.
#[derive(Debug, Clone, Serialize)]
pub struct ToolView<'a> {
    /// Text of `<title>` and `h1`.
    pub title: Text<'a>,
    /// « Saint-Mulot-des-Champs », or the folder's name when nothing better could be read.
    pub folder: Text<'a>,
    pub stylesheet_url: Text<'a>,
    /// `apercu.js`.
    pub script_url: Option<Text<'a>>,
    /// Home page of the preview.
    pub site_url: Text<'a>,
    pub letterbox_url: Text<'a>,
    pub diagnostics_url: Text<'a>,
    /// The page of all communes, when the preview is that of a territoire.
    pub communes_url: Option<Text<'a>>,
}

/// `apercu/communes.html`: the communes of a territoire, those to mend first.
#[derive(Debug, Clone, Serialize)]
pub struct CommunesView<'a> {
    pub tool: ToolView<'a>,
    /// « 36 communes ; 2 construites, 1 refusée ».
    pub summary: Text<'a>,
    /// The address that was asked for, when it is that of no commune.
    pub unknown: Option<Text<'a>>,
    /// What is wrong with the territoire itself.
    pub items: Vec<DiagnosticView<'a>>,
    /// Communes whose last build was refused.
    pub refused: Vec<CommuneRow<'a>>,
    /// The others.
    pub others: Vec<CommuneRow<'a>>,
}

/// A commune in the list of the preview.
#[derive(Debug, Clone, Serialize)]
pub struct CommuneRow<'a> {
    pub name: Text<'a>,
    /// Its own preview; `None`: it has no folder.
    pub url: Option<Text<'a>>,
    /// « construite », « refusée », « pas encore ouverte ».
    pub label: Text<'a>,
    /// Whether it was built and nothing keeps it from being published.
    pub good: bool,
    /// The rest of its state, in a sentence.
    pub state: Text<'a>,
    /// Its first errors.
    pub items: Vec<DiagnosticView<'a>>,
    /// Where all of them are told, when there is something to say.
    pub diagnostics_url: Option<Text<'a>>,
}

/// `apercu/diagnostics.html`.
#[derive(Debug, Clone, Serialize)]
pub struct DiagnosticsView<'a> {
    pub tool: ToolView<'a>,
    /// « 2 erreurs, 1 avertissement ».
    pub summary: Text<'a>,
    /// True when the site shown is the last good one.
    pub stale: bool,
    /// Errors first. Empty: all is well.
    pub items: Vec<DiagnosticView<'a>>,
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Erreur,
    Avertissement,
    Conseil,
}

/// One diagnostic.
#[derive(Debug, Clone, Serialize)]
pub struct DiagnosticView<'a> {
    pub severity: Severity,
    /// « Erreur », « Avertissement », « Conseil ».
    pub severity_label: Text<'a>,
    /// `C012`.
    pub code: Text<'a>,
    /// Relative to the folder: `actualites/2026-11-03-travaux.md`.
    pub file: Option<Text<'a>>,
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// What is wrong.
    pub message: Text<'a>,
    /// What to do.
    pub remedy: Option<Text<'a>>,
    /// The lines concerned.
    pub excerpt: Vec<ExcerptLine<'a>>,
}

/// One line of source.
#[derive(Debug, Clone, Serialize)]
pub struct ExcerptLine<'a> {
    pub number: usize,
    /// Text before the fault, the fault, and after it; `marked` is empty on lines around.
    pub before: Text<'a>,
    pub marked: Text<'a>,
    pub after: Text<'a>,
}

/// `apercu/boite.html`: mails that would have left.
#[derive(Debug, Clone, Serialize)]
pub struct LetterboxView<'a> {
    pub tool: ToolView<'a>,
    /// Newest first.
    pub letters: Vec<LetterRow<'a>>,
    /// The open forms, whose mails can be seen before anyone has written.
    pub forms: Vec<SampleRow<'a>>,
}

/// A form of the preview: its mails with sample answers, and its paper.
#[derive(Debug, Clone, Serialize)]
pub struct SampleRow<'a> {
    pub title: Text<'a>,
    pub mairie_url: Text<'a>,
    /// `None`: the resident gives no address.
    pub resident_url: Option<Text<'a>>,
    pub paper_url: Text<'a>,
}

/// A mail in the list.
#[derive(Debug, Clone, Serialize)]
pub struct LetterRow<'a> {
    pub url: Text<'a>,
    pub subject: Text<'a>,
    pub from: Text<'a>,
    pub to: Text<'a>,
    /// « 20 h 15 ».
    pub date: Text<'a>,
    /// Attachments.
    pub attachments: usize,
}

/// `apercu/lettre.html`.
#[derive(Debug, Clone, Serialize)]
pub struct LetterView<'a> {
    pub tool: ToolView<'a>,
    pub subject: Text<'a>,
    /// De, À, Répondre à, Date, Message-ID…
    pub headers: Vec<Row<'a>>,
    /// Text part.
    pub text: Text<'a>,
    /// Address of the HTML part, shown in a sandboxed frame; `None`: no such part.
    pub html_url: Option<Text<'a>>,
    pub attachments: Vec<DocumentView<'a>>,
    /// Pages of this guichet that the message leads to: its frame lets no link be followed.
    pub links: Vec<Link<'a>>,
    /// The message as it would be sent (`.eml`).
    pub raw_url: Option<Text<'a>>,
}
