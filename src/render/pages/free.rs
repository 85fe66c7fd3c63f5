//! Free pages, sections, and the odd pages: site map, not found, redirect.

use super::{Drawn, Edition, crumb, site_view};
use crate::model::content::{Content, Kind};
use crate::model::site::ContentId;
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

impl<'s> Edition<'s> {
    /// Section of a page of `pages/`.
    fn section_of(&self, content: &Content) -> Option<&'s crate::model::site::Section> {
        let key = section_key(content);
        self.site.sections.iter().find(|section| section.key == key)
    }

    /// Pages of a section that stand right under an address.
    fn children(&self, pages: &'s [ContentId], url: &str) -> Vec<ContentId> {
        let indexes: Vec<&str> = pages
            .iter()
            .filter(|id| matches!(self.site.contents[**id].kind, Kind::Page { is_index: true }))
            .map(|id| self.site.urls[*id].as_str())
            .collect();
        let under = |page: &str| page != url && page.starts_with(url);
        pages
            .iter()
            .copied()
            .filter(|id| {
                let page = self.site.urls[*id].as_str();
                let hidden = indexes.iter().any(|index| *index != page && under(index) && page.starts_with(index));
                under(page) && !hidden
            })
            .collect()
    }

    /// What leads to a page of `pages/`: its section, then the index pages above it.
    fn way(&self, content: &Content, url: &str) -> Vec<Crumb<'s>> {
        let Some(section) = self.section_of(content) else { return Vec::new() };
        if section.url == url {
            return Vec::new();
        }
        let mut way = vec![crumb(french(&section.title), section.url.as_str())];
        let mut above: Vec<ContentId> = section
            .pages
            .iter()
            .copied()
            .filter(|id| {
                let index = matches!(self.site.contents[*id].kind, Kind::Page { is_index: true });
                index && self.site.urls[*id] != url && url.starts_with(&self.site.urls[*id])
            })
            .collect();
        above.sort_by_key(|id| self.site.urls[*id].len());
        way.extend(above.into_iter().map(|id| {
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
        let siblings: Vec<Link<'s>> = section.map_or_else(Vec::new, |section| {
            let above = url.trim_end_matches('/').rsplit_once('/').map_or("/", |(above, _)| above);
            let ids = self.children(&section.pages, &format!("{above}/"));
            ids.into_iter()
                .map(|other| {
                    let (page, url) = self.site.page(other);
                    Link { current: other == id, ..parts::link(french(&page.title), url) }
                })
                .collect()
        });
        FreePageView {
            page: self.page_of(content, url, self.way(content, url)),
            content: self.content_view(content, 2, drawn),
            contact: None,
            section: section.map(|section| parts::link(french(&section.title), section.url.as_str())),
            siblings,
        }
    }

    /// Index of a section or of a folder below it.
    pub(super) fn section(
        &self,
        _id: ContentId,
        content: &'s Content,
        url: &'s str,
        drawn: &mut Drawn,
    ) -> SectionView<'s> {
        let section = self.section_of(content);
        let pages = section.map_or(&[][..], |section| section.pages.as_slice());
        let is_top = section.is_some_and(|section| section.url == url);
        SectionView {
            page: self.page_of(content, url, self.way(content, url)),
            content: self.content_view(content, 2, drawn),
            pages: self.cards(pages, url),
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
            pages: self.cards(&section.pages, &section.url),
            related: site_view::related(self.site, &section.key),
        }
    }

    fn cards(&self, pages: &'s [ContentId], url: &str) -> Vec<PageCard<'s>> {
        let link = |id: ContentId| {
            let (page, url) = self.site.page(id);
            parts::link(french(&page.title), url)
        };
        self.children(pages, url)
            .into_iter()
            .map(|id| {
                let (page, url) = self.site.page(id);
                let is_index = matches!(page.kind, Kind::Page { is_index: true });
                let below = if is_index { self.children(pages, url) } else { Vec::new() };
                PageCard {
                    title: french(&page.title),
                    url: url.into(),
                    summary: parts::option(&page.summary),
                    children: below.into_iter().map(link).collect(),
                }
            })
            .collect()
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
                children: self.branch(&section.pages, &section.url),
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

    fn branch(&self, pages: &'s [ContentId], url: &str) -> Vec<SitemapNode<'s>> {
        self.children(pages, url)
            .into_iter()
            .map(|id| {
                let (page, url) = self.site.page(id);
                let is_index = matches!(page.kind, Kind::Page { is_index: true });
                SitemapNode {
                    title: french(&page.title),
                    url: Some(url.into()),
                    children: if is_index { self.branch(pages, url) } else { Vec::new() },
                }
            })
            .collect()
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
