//! Alerts: the list, each one, and the strip above every page.

use std::borrow::Cow;

use super::{Drawn, Edition, crumb};
use crate::diagnostic::Diagnostic;
use crate::model::content::{Alert, AlertLevel as Level, Content, Kind, Moment};
use crate::model::site::{ContentId, Site};
use crate::render::parts;
use crate::render::view::{AlertCard, AlertLevel, AlertListView, AlertState, AlertView, FeedView, Link};
use crate::text::typography::french;

/// An alert in a list; `None` when the content is none.
pub(in crate::render) fn card(site: &Site, id: ContentId) -> Option<AlertCard<'_>> {
    let (content, url) = site.page(id);
    let Kind::Alert(alert) = &content.kind else { return None };
    let (level, level_label) = level(alert.level);
    let period = match state(alert, site) {
        AlertState::EnCours => parts::until(alert.end),
        _ => parts::period(alert.start, alert.end),
    };
    Some(AlertCard {
        level,
        level_label: level_label.into(),
        title: french(&content.title),
        message: french(&alert.message),
        url: url.into(),
        period: period.into(),
    })
}

fn level(level: Level) -> (AlertLevel, &'static str) {
    match level {
        Level::Info => (AlertLevel::Info, "Information"),
        Level::Attention => (AlertLevel::Attention, "Attention"),
        Level::Danger => (AlertLevel::Danger, "Danger"),
    }
}

fn state(alert: &Alert, site: &Site) -> AlertState {
    let ended = match alert.end {
        Moment::Day(date) => date < site.today(),
        Moment::Time(time) => time <= site.now,
    };
    if ended {
        AlertState::Terminee
    } else if alert.start.date() > site.today() {
        AlertState::AVenir
    } else {
        AlertState::EnCours
    }
}

impl<'s> Edition<'s> {
    pub(super) fn alert_feed(&self) -> FeedView<'s> {
        self.feed(format!("Alertes {}", self.site.commune.names.forme_de), "/alertes/atom.xml", "application/atom+xml")
    }

    pub(super) fn alert_list(&self) -> AlertListView<'s> {
        let site = self.site;
        let of = |wanted: AlertState| {
            site.other_alerts
                .iter()
                .filter(|id| matches!(&site.contents[**id].kind, Kind::Alert(alert) if state(alert, site) == wanted))
                .filter_map(|id| card(site, *id))
                .collect::<Vec<_>>()
        };
        let mut page = self.page_view("Alertes", "/alertes/", None, Vec::new());
        page.feeds = vec![self.alert_feed()];
        AlertListView {
            page,
            current: site.active_alerts.iter().filter_map(|id| card(site, *id)).collect(),
            upcoming: of(AlertState::AVenir),
            past: of(AlertState::Terminee),
            feed: Some(self.alert_feed()),
        }
    }

    pub(super) fn alert(
        &self,
        content: &'s Content,
        url: &'s str,
        alert: &'s Alert,
        drawn: &mut Drawn,
    ) -> AlertView<'s> {
        let (level, level_label) = level(alert.level);
        let state = state(alert, self.site);
        let mut page = self.page_of(content, url, vec![crumb("Alertes", "/alertes/")]);
        page.description = Some(french(&alert.message));
        page.feeds = vec![self.alert_feed()];
        AlertView {
            page,
            content: self.content_view(content, 2, drawn),
            level,
            level_label: level_label.into(),
            message: french(&alert.message),
            start: parts::date_view(alert.start, &self.zone),
            end: parts::date_view(alert.end, &self.zone),
            period: parts::period(alert.start, alert.end).into(),
            state,
            state_label: match state {
                AlertState::AVenir => "À venir",
                AlertState::EnCours => "En cours",
                AlertState::Terminee => "Terminée",
            }
            .into(),
            link: alert.link.as_deref().and_then(|written| self.link_of(content, written, &mut drawn.diagnostics)),
            published: content.publication.from.map(|date| parts::date_view(Moment::Day(date), &self.zone)),
            list_url: Cow::Borrowed("/alertes/"),
        }
    }

    /// A link written in a front matter, named by the title of the page it leads to.
    fn link_of(&self, content: &'s Content, written: &'s str, diagnostics: &mut Vec<Diagnostic>) -> Option<Link<'s>> {
        use crate::model::site::Target;
        use crate::render::links::Destination;
        match self.resolve_key(content, written) {
            Ok(destination) => {
                let label = match &destination {
                    Destination::Page { target: Some(Target::Page(id)), .. } => french(&self.site.contents[*id].title),
                    Destination::External(url) => parts::website(url).label.into_owned().into(),
                    _ => "En savoir plus".into(),
                };
                let external = matches!(destination, Destination::External(_));
                Some(Link { label, url: destination.href().into_owned().into(), external, current: false })
            }
            Err(broken) => {
                diagnostics.push(broken.at(content.place.clone()));
                None
            }
        }
    }
}
