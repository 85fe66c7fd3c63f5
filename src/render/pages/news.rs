//! News: the list, by category and by page, and each item.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Drawn, Edition, NEWS_PER_PAGE, crumb, page_count, pagination};
use crate::model::content::{Content, Kind, Moment, News};
use crate::model::site::{ContentId, Site};
use crate::render::parts;
use crate::render::view::{FeedView, FilterView, NewsCard, NewsListView, NewsView};
use crate::text::slug::slug;
use crate::text::typography::french;

/// News read beside one of them.
const MORE: usize = 3;

/// Address of a page of the list.
pub(super) fn list_url(category: Option<&str>, number: usize) -> String {
    let list = match category {
        Some(category) => format!("/actualites/categorie/{}/", slug(category)),
        None => "/actualites/".to_owned(),
    };
    if number > 1 { format!("{list}page/{number}/") } else { list }
}

/// News of every list: all of them under `None`, then those of each category.
pub(super) fn lists(site: &Site) -> BTreeMap<Option<&str>, Vec<ContentId>> {
    let mut lists = BTreeMap::from([(None, site.news.clone())]);
    for id in &site.news {
        if let Kind::News(News { category: Some(category), .. }) = &site.contents[*id].kind {
            lists.entry(Some(category.as_str())).or_default().push(*id);
        }
    }
    lists
}

impl<'s> Edition<'s> {
    pub(super) fn news_feed(&self) -> FeedView<'s> {
        self.feed(
            format!("Actualités {}", self.site.commune.names.forme_de),
            "/actualites/atom.xml",
            "application/atom+xml",
        )
    }

    pub(super) fn news_list(&self, category: Option<&'s str>, number: usize, url: &str) -> NewsListView<'s> {
        let lists = &self.news_lists;
        let ids = lists.get(&category).map_or(&[][..], Vec::as_slice);
        let total = page_count(ids.len(), NEWS_PER_PAGE);
        let mut breadcrumb = Vec::new();
        let title = match category {
            Some(category) => {
                breadcrumb.push(crumb("Actualités", "/actualites/"));
                format!("Actualités\u{a0}: {}", parts::label(category))
            }
            None => "Actualités".to_owned(),
        };
        let mut page = self.page_view(title, url, None, breadcrumb);
        if number > 1 {
            page.head_title = format!("{} (page {number}) – {}", page.title, self.site.commune.names.nom).into();
        }
        let filters = lists.iter().map(|(key, ids)| FilterView {
            label: key.map_or("Toutes".to_owned(), parts::label).into(),
            url: list_url(*key, 1).into(),
            count: ids.len(),
            current: *key == category,
        });
        let shown = ids.iter().skip((number - 1) * NEWS_PER_PAGE).take(NEWS_PER_PAGE);
        NewsListView {
            page,
            filters: if lists.len() > 2 { filters.collect() } else { Vec::new() },
            items: shown.filter_map(|id| self.news_card(*id)).collect(),
            pagination: pagination("Pages d’actualités", number, total, |number| list_url(category, number)),
            feed: Some(self.news_feed()),
        }
    }

    pub(super) fn news_card(&self, id: ContentId) -> Option<NewsCard<'s>> {
        let (content, url) = self.site.page(id);
        let Kind::News(news) = &content.kind else { return None };
        Some(NewsCard {
            title: french(&content.title),
            url: url.into(),
            date: parts::date_view(Moment::Day(news.date), &self.zone),
            category: news.category.as_deref().map(|category| parts::label(category).into()),
            summary: parts::option(&content.summary).unwrap_or_default(),
            image: self.image(content.image.as_ref(), &mut Vec::new()),
        })
    }

    pub(super) fn news(&self, content: &'s Content, url: &'s str, news: &'s News, drawn: &mut Drawn) -> NewsView<'s> {
        let more = self.site.news.iter().filter(|id| self.site.urls[**id] != url).take(MORE);
        let mut page = self.page_of(content, url, vec![crumb("Actualités", "/actualites/")]);
        page.feeds = Vec::new();
        NewsView {
            page,
            content: self.content_view(content, 2, drawn),
            date: parts::date_view(Moment::Day(news.date), &self.zone),
            category: news
                .category
                .as_deref()
                .map(|category| parts::link(parts::label(category), list_url(Some(category), 1))),
            more: more.filter_map(|id| self.news_card(*id)).collect(),
            list_url: Cow::Borrowed("/actualites/"),
        }
    }
}
