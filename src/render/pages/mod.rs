//! Every page of the site: which there are, and what each of them tells its template.

mod agenda;
mod alerts;
mod demarches;
mod directory;
mod free;
mod home;
mod news;
mod site_view;

pub(super) use demarches::fiche_link;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use rayon::prelude::*;
use tera::Value;

use super::Options;
use super::assets::Media;
use super::form::Surroundings;
use super::links::{Broken, Links};
use super::markdown::{self, AnchorLink, Rendered};
use super::parts;
use super::theme::{Frame, Theme};
use super::view::{
    ChromeView, ContentView, Crumb, DocumentView, FeedView, ImageView, PageNumber, PageView, PaginationView,
    SourceView, Text, TocEntry, View,
};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::content::{Body, Content, DocumentRef, ImageRef, Kind, Layer, Moment};
use crate::model::output::{Artifact, Output, Pictures, Sink};
use crate::model::site::{ContentId, Site, Target};
use crate::text::typography::french;

/// Items of a list of news on one page.
const NEWS_PER_PAGE: usize = 20;
/// Events on one page.
const EVENTS_PER_PAGE: usize = 40;

/// What drawing pages needs of the site: its addresses, its files, its headers, once for all of them.
pub(super) struct Edition<'s> {
    pub(super) site: &'s Site,
    pub(super) theme: &'s Theme,
    pub(super) links: Links<'s>,
    pub(super) zone: TimeZone,
    /// Header and footer by section of the menu; `""` outside the menu.
    frames: BTreeMap<String, Frame>,
    home_frame: Option<Frame>,
    /// Context of the bodies that use the commune's values.
    values: tera::Context,
    /// What stands around the questions of each form.
    pub(super) around: BTreeMap<String, Surroundings>,
    /// Links to headings written in forms.
    form_anchors: Vec<AnchorLink>,
    /// News of every list: all of them under `None`, then those of each category.
    news_lists: BTreeMap<Option<&'s str>, Vec<ContentId>>,
    /// Events to come of each category, when there are several.
    event_categories: BTreeMap<&'s str, Vec<ContentId>>,
    tree: free::Tree<'s>,
}

/// One page to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Job<'s> {
    Home,
    Content(ContentId),
    Section(usize),
    NewsList { category: Option<&'s str>, number: usize },
    Alerts,
    Agenda { category: Option<&'s str>, number: usize },
    PastEvents { number: usize },
    DirectoryHome,
    Directory(directory::Shelf),
    Demarches,
    Form(&'s str),
    Paper(&'s str),
    Sitemap,
    NotFound,
    Redirect(&'s str),
}

/// A page drawn, with what it told on the way.
#[derive(Default)]
pub(super) struct Drawn {
    /// Path in the site.
    pub(super) path: String,
    /// Until it is given away; `None` when its template failed.
    bytes: Option<Vec<u8>>,
    /// Which content it shows.
    pub(super) target: Option<Target>,
    /// Its headings.
    pub(super) headings: Vec<(u8, String, String)>,
    /// Links to headings found in it.
    pub(super) anchors: Vec<AnchorLink>,
    /// What is wrong.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'s> Edition<'s> {
    pub(super) fn new(
        site: &'s Site,
        theme: &'s Theme,
        pictures: &'s dyn Pictures,
        options: &Options,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let media = Media::new(&site.files, pictures);
        let mut edition = Edition {
            site,
            theme,
            links: Links::new(site, media),
            zone: parts::time_zone(&site.commune.fuseau),
            frames: BTreeMap::new(),
            home_frame: None,
            values: site_view::values(site, options.preview.is_some()),
            around: BTreeMap::new(),
            form_anchors: Vec::new(),
            news_lists: news::lists(site),
            event_categories: agenda::categories(site),
            tree: free::Tree::new(site),
        };
        edition.links.set_routes(edition.jobs().iter().filter_map(|job| edition.route(job)).collect());
        let view = Value::from_serializable(&edition.site_view(options, "", diagnostics));
        let mut frame = |section: Option<&str>, home: bool| {
            let chrome = ChromeView { section: section.map(Cow::from), home };
            theme.frame(&view, &chrome).map_err(|error| diagnostics.push(error)).ok()
        };
        edition.home_frame = frame(None, true);
        for key in site_view::menu_keys(site).into_iter().map(Some).chain([None]) {
            if let Some(drawn) = frame(key.as_deref(), false) {
                edition.frames.insert(key.unwrap_or_default(), drawn);
            }
        }
        for (slug, form) in &site.forms {
            let mut drawn = Drawn::default();
            let around = edition.surroundings(form, &mut drawn);
            diagnostics.append(&mut drawn.diagnostics);
            edition.form_anchors.append(&mut drawn.anchors);
            edition.around.insert(slug.clone(), around);
        }
        edition
    }

    /// Draws every page into `sink`; gives what they told.
    pub(super) fn pages(&self, sink: Sink<'_>) -> Vec<Drawn> {
        let give = |job| {
            let mut drawn = self.draw(job);
            if let Some(bytes) = drawn.bytes.take() {
                sink(&drawn.path, Artifact::Bytes(bytes.into()));
            }
            drawn
        };
        self.jobs().par_iter().map(give).collect()
    }

    /// Links to headings that no page tells: those written in the questions of forms.
    pub(super) fn form_anchors(&mut self) -> Vec<AnchorLink> {
        std::mem::take(&mut self.form_anchors)
    }

    /// Every page there is, in a fixed order.
    fn jobs(&self) -> Vec<Job<'s>> {
        let site = self.site;
        let mut jobs = vec![Job::Home];
        jobs.extend((0..site.contents.len()).map(Job::Content));
        jobs.extend((0..site.sections.len()).filter(|at| site.sections[*at].index.is_none()).map(Job::Section));
        jobs.extend(self.news_lists.iter().flat_map(|(category, ids)| {
            (1..=page_count(ids.len(), NEWS_PER_PAGE)).map(move |number| Job::NewsList { category: *category, number })
        }));
        jobs.push(Job::Alerts);
        let agendas = [None].into_iter().chain(self.event_categories.keys().copied().map(Some));
        jobs.extend(agendas.flat_map(|category| {
            (1..=self.agenda_pages(category)).map(move |number| Job::Agenda { category, number })
        }));
        if !site.past_events.is_empty() {
            let pages = page_count(site.past_events.len(), EVENTS_PER_PAGE);
            jobs.extend((1..=pages).map(|number| Job::PastEvents { number }));
        }
        jobs.push(Job::DirectoryHome);
        jobs.extend(directory::Shelf::ALL.into_iter().map(Job::Directory));
        jobs.push(Job::Demarches);
        jobs.extend(site.forms.keys().flat_map(|slug| [Job::Form(slug), Job::Paper(slug)]));
        jobs.extend([Job::Sitemap, Job::NotFound]);
        jobs.extend(site.redirects.keys().map(|old| Job::Redirect(old)));
        jobs
    }

    /// Address of a page that no file of the folder holds; `None` for the others.
    fn route(&self, job: &Job<'s>) -> Option<String> {
        Some(match job {
            Job::Home | Job::Content(_) | Job::NotFound | Job::Redirect(_) => return None,
            Job::Section(at) => self.site.sections[*at].url.clone(),
            Job::NewsList { category, number } => news::list_url(*category, *number),
            Job::Alerts => "/alertes/".to_owned(),
            Job::Agenda { category, number } => agenda::list_url(*category, *number),
            Job::PastEvents { number } => agenda::past_url(*number),
            Job::DirectoryHome => "/annuaire/".to_owned(),
            Job::Directory(shelf) => shelf.url().to_owned(),
            Job::Demarches => "/demarches/".to_owned(),
            Job::Form(slug) => format!("/demarches/{slug}/formulaire/"),
            Job::Paper(slug) => format!("/demarches/{slug}/papier/"),
            Job::Sitemap => "/plan-du-site/".to_owned(),
        })
    }

    fn draw(&self, job: &Job<'s>) -> Drawn {
        let mut drawn = Drawn::default();
        match job {
            Job::Home => {
                drawn.target = Some(Target::Home);
                let view = self.home(&mut drawn);
                self.finish(&mut drawn, self.home_frame.as_ref(), "/", &view);
            }
            Job::Content(id) => self.content_page(*id, &mut drawn),
            Job::Section(at) => {
                let section = &self.site.sections[*at];
                self.put(&mut drawn, &section.key, &section.url, &self.bare_section(*at));
            }
            Job::NewsList { category, number } => {
                let url = news::list_url(*category, *number);
                self.put(&mut drawn, "actualites", &url, &self.news_list(*category, *number, &url));
            }
            Job::Alerts => self.put(&mut drawn, "", "/alertes/", &self.alert_list()),
            Job::Agenda { category, number } => {
                let url = agenda::list_url(*category, *number);
                self.put(&mut drawn, "agenda", &url, &self.agenda(*category, *number, &url));
            }
            Job::PastEvents { number } => {
                let url = agenda::past_url(*number);
                self.put(&mut drawn, "agenda", &url, &self.past_events(*number, &url));
            }
            Job::DirectoryHome => self.put(&mut drawn, "", "/annuaire/", &self.directory_home()),
            Job::Directory(shelf) => {
                let section = site_view::section_of_shelf(self.site, *shelf);
                self.put(&mut drawn, section, shelf.url(), &self.directory_list(*shelf));
            }
            Job::Demarches => self.put(&mut drawn, "demarches", "/demarches/", &self.demarche_list()),
            Job::Form(slug) => {
                let url = format!("/demarches/{slug}/formulaire/");
                if let Some(view) = self.form_page(slug, &url) {
                    self.put(&mut drawn, "demarches", &url, &view);
                }
            }
            Job::Paper(slug) => {
                let url = format!("/demarches/{slug}/papier/");
                if let Some(view) = self.paper_page(slug, &url) {
                    self.put(&mut drawn, "demarches", &url, &view);
                }
            }
            Job::Sitemap => self.put(&mut drawn, "", "/plan-du-site/", &self.sitemap()),
            Job::NotFound => {
                self.put(&mut drawn, "", "/404.html", &self.not_found());
            }
            Job::Redirect(old) => {
                let path = Output::path_of_url(old);
                self.put(&mut drawn, "", old, &self.redirect(old));
                drawn.path = if path.ends_with(".html") { path } else { format!("{path}/index.html") };
            }
        }
        drawn
    }

    fn content_page(&self, id: ContentId, drawn: &mut Drawn) {
        let (content, url) = self.site.page(id);
        drawn.target = Some(Target::Page(id));
        match &content.kind {
            Kind::News(news) => {
                let view = self.news(content, url, news, drawn);
                self.put(drawn, "actualites", url, &view);
            }
            Kind::Alert(alert) => {
                let view = self.alert(content, url, alert, drawn);
                self.put(drawn, "", url, &view);
            }
            Kind::Event(event) => {
                let view = self.event(id, content, url, event, drawn);
                self.put(drawn, "agenda", url, &view);
            }
            Kind::Demarche(demarche) => {
                let view = self.demarche(id, content, url, demarche, drawn);
                self.put(drawn, "demarches", url, &view);
            }
            Kind::Page { is_index: true } => {
                let view = self.section(id, content, url, drawn);
                self.put(drawn, free::section_key(content), url, &view);
            }
            Kind::Page { is_index: false } => {
                let view = self.free_page(id, content, url, drawn);
                self.put(drawn, free::section_key(content), url, &view);
            }
            _ => self.directory_page(content, url, drawn),
        }
    }

    /// Draws a view under the header of a section.
    fn put<V: View>(&self, drawn: &mut Drawn, section: &str, url: &str, view: &V) {
        let frame = self.frames.get(section).or_else(|| self.frames.get(""));
        self.finish(drawn, frame, url, view);
    }

    fn finish<V: View>(&self, drawn: &mut Drawn, frame: Option<&Frame>, url: &str, view: &V) {
        drawn.path = Output::path_of_url(url);
        let Some(frame) = frame else { return };
        match self.theme.page(frame, view) {
            Ok(bytes) => drawn.bytes = Some(bytes),
            Err(error) => drawn.diagnostics.push(error),
        }
    }

    /// What the layout needs to know of a page; the breadcrumb is what leads to it, without it.
    pub(super) fn page_view<'a>(
        &self,
        title: impl Into<Text<'a>>,
        url: &str,
        description: Option<Text<'a>>,
        mut breadcrumb: Vec<Crumb<'a>>,
    ) -> PageView<'a> {
        let title = title.into();
        let commune = french(&self.site.commune.names.nom);
        let head_title = format!("{title} – {commune}");
        breadcrumb.push(Crumb { label: title.clone(), url: None });
        PageView {
            title,
            head_title: head_title.into(),
            description,
            canonical: self.absolute(url).map(Cow::from),
            breadcrumb,
            share_image: None,
            noindex: false,
            scripted: false,
            feeds: Vec::new(),
        }
    }

    /// The page of a content.
    pub(super) fn page_of(&self, content: &'s Content, url: &str, breadcrumb: Vec<Crumb<'s>>) -> PageView<'s> {
        let mut page = self.page_view(french(&content.title), url, parts::option(&content.summary), breadcrumb);
        page.share_image = self
            .image(content.image.as_ref(), &mut Vec::new())
            .and_then(|image| self.absolute(&image.src))
            .map(Cow::from);
        page
    }

    /// Absolute address; `None` while the commune has no domain.
    pub(super) fn absolute(&self, url: &str) -> Option<String> {
        let domain = self.site.commune.domaine.trim_end_matches('/');
        (!domain.is_empty()).then(|| format!("{domain}{url}"))
    }

    /// The written part of a page whose first headings are of that level.
    pub(super) fn content_view(&self, content: &'s Content, level: u8, drawn: &mut Drawn) -> ContentView<'s> {
        let rendered = self.body(&content.path, &content.body, content.variables, level);
        let toc = toc(&rendered, level);
        ContentView {
            summary: parts::option(&content.summary),
            summary_simple: parts::option(&content.simple_summary),
            body_html: self.keep(rendered, drawn).into(),
            toc,
            image: self.image(content.image.as_ref(), &mut drawn.diagnostics),
            documents: self.documents(&content.documents, &mut drawn.diagnostics),
            verified: content.verified.map(|date| parts::date_view(Moment::Day(date), &self.zone)),
            source: self.source(content),
        }
    }

    /// Keeps what a body told; gives its HTML.
    pub(super) fn keep(&self, rendered: Rendered, drawn: &mut Drawn) -> String {
        drawn.headings.extend(rendered.headings);
        drawn.anchors.extend(rendered.anchors);
        drawn.diagnostics.extend(rendered.diagnostics);
        rendered.html
    }

    /// A body made HTML, its variables first.
    pub(super) fn body(&self, path: &str, body: &Body, variables: bool, level: u8) -> Rendered {
        if !variables {
            return markdown::render(&self.links, path, body, level);
        }
        match self.theme.variables(&body.markdown, &self.values, path, body.first_line) {
            Ok(markdown) => markdown::render(&self.links, path, &Body { markdown, first_line: body.first_line }, level),
            Err(error) => Rendered { diagnostics: vec![error], ..Rendered::default() },
        }
    }

    /// One line of Markdown: links and emphasis.
    pub(super) fn inline(&self, content: &Content, line: &str, drawn: &mut Drawn) -> Text<'s> {
        let rendered = markdown::inline(&self.links, &content.path, &content.place, line);
        self.keep(rendered, drawn).into()
    }

    /// A picture named in a front matter; a missing one was told when the site was resolved.
    pub(super) fn image(
        &self,
        image: Option<&'s ImageRef>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<ImageView<'s>> {
        let image = image?;
        let view = self.links.media.image(&image.path, &image.alt, image.credit.as_deref());
        view.map_err(|broken| tell(broken, &image.place, diagnostics)).ok()
    }

    fn documents(&self, documents: &'s [DocumentRef], diagnostics: &mut Vec<Diagnostic>) -> Vec<DocumentView<'s>> {
        documents.iter().filter_map(|document| self.document(document, diagnostics)).collect()
    }

    /// A document named in a front matter; a missing one was told when the site was resolved.
    pub(super) fn document(
        &self,
        document: &'s DocumentRef,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<DocumentView<'s>> {
        let view = self.links.media.document(&document.path, document.title.as_deref());
        view.map_err(|broken| tell(broken, &document.place, diagnostics)).ok()
    }

    /// The author of a page inherited from a lower layer.
    fn source(&self, content: &Content) -> Option<SourceView<'s>> {
        let name = match content.layer {
            Layer::Territoire => self.site.commune.epci.as_deref()?,
            Layer::Catalogue | Layer::Commune => return None,
        };
        Some(SourceView { name: french(name), url: None })
    }

    /// Who keeps the commune's public holidays.
    pub(super) fn public(&self) -> super::hours::Keeper {
        super::hours::Keeper::Public(crate::model::calendar::HolidayZone::of_commune(&self.site.commune))
    }

    /// Where an event takes place, in words.
    pub(super) fn place_of(&self, event: &'s crate::model::content::Event) -> Option<Text<'s>> {
        self.place_name(event)
    }

    /// Address of every page, of those drawn, that search engines may keep, with its content's day; in a fixed order.
    pub(super) fn listed_urls(&self, drawn: &BTreeSet<String>) -> Vec<(String, Option<jiff::civil::Date>)> {
        let lists = self.jobs().into_iter().filter(|job| !matches!(job, Job::Form(_) | Job::Paper(_)));
        let mut urls: BTreeMap<String, Option<jiff::civil::Date>> =
            lists.filter_map(|job| self.route(&job)).map(|url| (url, None)).collect();
        urls.insert("/".to_owned(), None);
        for (content, url) in self.site.contents.iter().zip(&self.site.urls) {
            let date = match &content.kind {
                Kind::News(news) => Some(news.date),
                _ => content.verified.or(content.publication.from),
            };
            urls.insert(url.clone(), date);
        }
        urls.into_iter().filter(|(url, _)| drawn.contains(&Output::path_of_url(url))).collect()
    }

    /// An Atom feed of the site.
    pub(super) fn feed(&self, title: String, url: &'static str, mime: &'static str) -> FeedView<'s> {
        FeedView { title: title.into(), url: url.into(), mime: mime.into() }
    }
}

/// Tells a broken picture or document, unless it is one that `resolve` has told.
fn tell(broken: Broken, place: &Place, diagnostics: &mut Vec<Diagnostic>) {
    if broken.code() != Code::MissingFile {
        diagnostics.push(broken.at(place.clone()));
    }
}

/// One step of a breadcrumb.
pub(super) fn crumb<'a>(label: impl Into<Text<'a>>, url: impl Into<Text<'a>>) -> Crumb<'a> {
    Crumb { label: label.into(), url: Some(url.into()) }
}

/// The two first levels of headings; none when there are fewer than three of the first.
fn toc(rendered: &Rendered, level: u8) -> Vec<TocEntry<'static>> {
    let first = rendered.headings.iter().filter(|(heading, ..)| *heading == level).count();
    if first < 3 {
        return Vec::new();
    }
    let kept = rendered.headings.iter().filter(|(heading, ..)| *heading <= level + 1);
    kept.map(|(heading, id, title)| TocEntry { level: *heading, id: id.clone().into(), title: title.clone().into() })
        .collect()
}

/// Pages that a list takes; an empty list takes one, which says so.
fn page_count(items: usize, per_page: usize) -> usize {
    items.div_ceil(per_page).max(1)
}

/// Numbers of the pages of a list; `None` when there is only one.
fn pagination<'a>(
    label: &'a str,
    current: usize,
    total: usize,
    url: impl Fn(usize) -> String,
) -> Option<PaginationView<'a>> {
    if total < 2 {
        return None;
    }
    let shown = |number: usize| number == 1 || number == total || number.abs_diff(current) <= 2;
    let mut pages = Vec::new();
    for number in 1..=total {
        if shown(number) {
            let url = (number != current).then(|| url(number).into());
            pages.push(PageNumber { number, url });
        } else if number == 2 || shown(number - 1) {
            pages.push(PageNumber { number, url: None });
        }
    }
    Some(PaginationView {
        label: label.into(),
        current,
        total,
        previous_url: (current > 1).then(|| url(current - 1).into()),
        next_url: (current < total).then(|| url(current + 1).into()),
        pages,
    })
}
