//! Free pages, sections, and the odd pages: site map, not found, redirect.

use std::collections::BTreeMap;

use super::{Drawn, Edition, crumb, site_view};
use crate::model::content::{Content, Kind};
use crate::model::site::{ContentId, Site};
use crate::render::parts;
use crate::render::view::{
    ContentView, Crumb, FreePageView, Link, NotFoundView, PageCard, RedirectView, SectionView, SitemapNode, SitemapView,
};
use crate::text::typography::french;

/// Key of the section of a page: its folder under `pages/`; its own path when it stands alone.
pub(super) fn section_key(content: &Content) -> &str {
    let inside = content.path.strip_prefix("pages/").unwrap_or(&content.path);
    inside.split_once('/').map_or(content.path.as_str(), |(folder, _)| folder)
}

/// Pages of a folder read beside one another, at most; more of them would not be read.
const SIBLINGS: usize = 40;

/// How the pages of sections stand under one another: a page is below the nearest `index.md` above it.
pub(super) struct Tree<'s> {
    /// Address of a section or of an index page → what stands right below, in menu order.
    below: BTreeMap<&'s str, Vec<ContentId>>,
    /// Page → the index page above it; none right below a section.
    parents: BTreeMap<ContentId, ContentId>,
}

impl<'s> Tree<'s> {
    pub(super) fn new(site: &'s Site) -> Self {
        let mut tree = Tree { below: BTreeMap::new(), parents: BTreeMap::new() };
        for section in &site.sections {
            let is_index = |id: &&ContentId| matches!(site.contents[**id].kind, Kind::Page { is_index: true });
            let indexes: BTreeMap<&str, ContentId> =
                section.pages.iter().filter(is_index).map(|id| (site.urls[*id].as_str(), *id)).collect();
            for id in &section.pages {
                let mut above = site.urls[*id].trim_end_matches('/');
                let mut parent = None;
                while let (None, Some((shorter, _))) = (parent, above.rsplit_once('/')) {
                    parent = indexes.get(&site.urls[*id][..=shorter.len()]).copied();
                    above = shorter;
                }
                let url = parent.map_or(section.url.as_str(), |parent| site.urls[parent].as_str());
                tree.below.entry(url).or_default().push(*id);
                if let Some(parent) = parent {
                    tree.parents.insert(*id, parent);
                }
            }
        }
        tree
    }

    fn below(&self, url: &str) -> &[ContentId] {
        self.below.get(url).map_or(&[], Vec::as_slice)
    }
}

impl<'s> Edition<'s> {
    /// Section of a page of `pages/`.
    fn section_of(&self, content: &Content) -> Option<&'s crate::model::site::Section> {
        let key = section_key(content);
        self.site.sections.iter().find(|section| section.key == key)
    }

    /// What leads to a page of `pages/`: its section, then the index pages above it.
    fn way(&self, id: ContentId, content: &Content) -> Vec<Crumb<'s>> {
        let Some(section) = self.section_of(content) else { return Vec::new() };
        if section.index == Some(id) {
            return Vec::new();
        }
        let mut above = Vec::new();
        let mut at = id;
        while let Some(parent) = self.tree.parents.get(&at) {
            above.push(*parent);
            at = *parent;
        }
        let mut way = vec![crumb(french(&section.title), section.url.as_str())];
        way.extend(above.into_iter().rev().map(|id| {
            let (page, url) = self.site.page(id);
            crumb(french(&page.title), url)
        }));
        way
    }

    pub(super) fn free_page(
        &self,
        id: ContentId,
        content: &'s Content,
        url: &'s str,
        drawn: &mut Drawn,
    ) -> FreePageView<'s> {
        let section = self.section_of(content);
        let siblings = match section {
            Some(section) => {
                let above = self.tree.parents.get(&id).map_or(section.url.as_str(), |id| self.site.urls[*id].as_str());
                self.tree.below(above)
            }
            None => &[],
        };
        let siblings = if siblings.len() > SIBLINGS { &[] } else { siblings };
        FreePageView {
            page: self.page_of(content, url, self.way(id, content)),
            content: self.content_view(content, 2, drawn),
            contact: None,
            section: section.map(|section| parts::link(french(&section.title), section.url.as_str())),
            siblings: siblings
                .iter()
                .map(|other| {
                    let (page, url) = self.site.page(*other);
                    Link { current: *other == id, ..parts::link(french(&page.title), url) }
                })
                .collect(),
        }
    }

    /// Index of a section or of a folder below it.
    pub(super) fn section(
        &self,
        id: ContentId,
        content: &'s Content,
        url: &'s str,
        drawn: &mut Drawn,
    ) -> SectionView<'s> {
        let section = self.section_of(content);
        let is_top = section.is_some_and(|section| section.url == url);
        SectionView {
            page: self.page_of(content, url, self.way(id, content)),
            content: self.content_view(content, 2, drawn),
            pages: self.cards(url),
            related: match section {
                Some(section) if is_top => site_view::related(self.site, &section.key),
                _ => Vec::new(),
            },
        }
    }

    /// A section without `index.md`.
    pub(super) fn bare_section(&self, at: usize) -> SectionView<'s> {
        let section = &self.site.sections[at];
        SectionView {
            page: self.page_view(french(&section.title), &section.url, None, Vec::new()),
            content: ContentView::default(),
            pages: self.cards(&section.url),
            related: site_view::related(self.site, &section.key),
        }
    }

    fn cards(&self, url: &str) -> Vec<PageCard<'s>> {
        let link = |id: &ContentId| {
            let (page, url) = self.site.page(*id);
            parts::link(french(&page.title), url)
        };
        let card = |id: &ContentId| {
            let (page, url) = self.site.page(*id);
            PageCard {
                title: french(&page.title),
                url: url.into(),
                summary: parts::option(&page.summary),
                children: self.tree.below(url).iter().map(link).collect(),
            }
        };
        self.tree.below(url).iter().map(card).collect()
    }

    pub(super) fn sitemap(&self) -> SitemapView<'s> {
        let site = self.site;
        let leaf = |id: &ContentId| {
            let (content, url) = site.page(*id);
            SitemapNode { title: french(&content.title), url: Some(url.into()), children: Vec::new() }
        };
        let list = |title: &'static str, url: &'static str, children: Vec<SitemapNode<'s>>| SitemapNode {
            title: title.into(),
            url: Some(url.into()),
            children,
        };
        let mut sections: Vec<SitemapNode<'s>> = site
            .sections
            .iter()
            .map(|section| SitemapNode {
                title: french(&section.title),
                url: Some(section.url.as_str().into()),
                children: self.branch(&section.url),
            })
            .collect();
        sections.push(list("Démarches", "/demarches/", site.demarches.iter().map(leaf).collect()));
        sections.push(list("Actualités", "/actualites/", Vec::new()));
        sections.push(list("Agenda", "/agenda/", Vec::new()));
        sections.push(list("Alertes", "/alertes/", Vec::new()));
        let shelves = super::directory::Shelf::ALL.into_iter().filter(|shelf| !shelf.ids(site).is_empty());
        let shelves = shelves.map(|shelf| list(shelf.title(), shelf.url(), shelf.ids(site).iter().map(leaf).collect()));
        sections.push(list("Annuaire", "/annuaire/", shelves.collect()));
        let alone = (0..site.contents.len()).filter(|id| {
            let content = &site.contents[*id];
            matches!(content.kind, Kind::Page { .. }) && self.section_of(content).is_none()
        });
        let alone: Vec<SitemapNode<'s>> = alone.map(|id| leaf(&id)).collect();
        sections.push(SitemapNode { title: "Ce site".into(), url: None, children: alone });
        sections.retain(|node| node.url.is_some() || !node.children.is_empty());
        SitemapView { page: self.page_view("Plan du site", "/plan-du-site/", None, Vec::new()), sections }
    }

    fn branch(&self, url: &str) -> Vec<SitemapNode<'s>> {
        let node = |id: &ContentId| {
            let (page, url) = self.site.page(*id);
            SitemapNode { title: french(&page.title), url: Some(url.into()), children: self.branch(url) }
        };
        self.tree.below(url).iter().map(node).collect()
    }

    pub(super) fn not_found(&self) -> NotFoundView<'s> {
        let mut page = self.page_view("Page introuvable", "/404.html", None, Vec::new());
        page.canonical = None;
        page.noindex = true;
        page.breadcrumb = Vec::new();
        let mut links = vec![parts::link("Accueil", "/")];
        links
            .extend(self.site.sections.iter().map(|section| parts::link(french(&section.title), section.url.as_str())));
        links.extend([parts::link("Démarches", "/demarches/"), parts::link("Plan du site", "/plan-du-site/")]);
        NotFoundView { page, links }
    }

    pub(super) fn redirect(&self, old: &str) -> RedirectView<'s> {
        let new = self.site.redirects.get(old).map_or("/", String::as_str);
        let title = self
            .site
            .urls
            .iter()
            .position(|url| url == new)
            .map_or("nouvelle adresse".into(), |id| french(&self.site.contents[id].title));
        let mut page = self.page_view("Cette page a changé d’adresse", new, None, Vec::new());
        page.noindex = true;
        page.breadcrumb = Vec::new();
        RedirectView { page, target: parts::link(title, new) }
    }
}
