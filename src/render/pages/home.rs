//! The home page: the answers of the first screen, the tiles, what comes and what is new.

use std::borrow::Cow;

use super::{Drawn, Edition};
use crate::diagnostic::Place;
use crate::model::content::{Kind, Tile};
use crate::model::site::{ContentId, Target};
use crate::render::hours;
use crate::render::links::{Broken, Destination};
use crate::render::parts;
use crate::render::view::{AnswerKind, AnswerView, HomeView, ImageView, TileView};
use crate::text::typography::french;

/// Events and news on the home page.
const SHOWN: usize = 3;

impl<'s> Edition<'s> {
    pub(super) fn home(&self, drawn: &mut Drawn) -> HomeView<'s> {
        let site = self.site;
        let commune = &site.commune;
        let title = parts::option(&site.home.title).unwrap_or_else(|| french(&commune.names.nom));
        let lead = parts::option(&site.home.tagline);
        let mut page = self.page_view(title, "/", lead.clone(), Vec::new());
        page.breadcrumb = Vec::new();
        page.head_title = match &commune.devise {
            Some(devise) => format!("{} – {}", commune.names.nom, french(devise)),
            None => format!("{} – site de la commune", commune.names.nom),
        }
        .into();
        let hero = self.hero(drawn);
        page.share_image = hero.as_ref().and_then(|image| self.absolute(&image.src)).map(Cow::from);
        let welcome = self.body(&site.home.path, &site.home.body, false, 3);
        HomeView {
            page,
            hero,
            lead,
            welcome_html: self.keep(welcome, drawn).into(),
            welcome_signature: None,
            answers: self.answers(),
            tiles: site.home.tiles.iter().filter_map(|tile| self.tile(tile, drawn)).collect(),
            events: site.upcoming_events.iter().take(SHOWN).filter_map(|id| self.event_card(*id)).collect(),
            news: self.front_news().into_iter().filter_map(|id| self.news_card(id)).collect(),
            demarches_url: "/demarches/".into(),
            agenda_url: "/agenda/".into(),
            news_url: "/actualites/".into(),
        }
    }

    fn hero(&self, drawn: &mut Drawn) -> Option<ImageView<'s>> {
        let identite = &self.site.commune.identite;
        let path = identite.image.as_deref().filter(|path| !path.is_empty())?;
        let image = self.links.media.image(path, &identite.image_alternative, None);
        image.map_err(|broken| drawn.diagnostics.push(broken.at(Place::file("commune.toml")))).ok()
    }

    /// Last three news, the one « à la une » first.
    fn front_news(&self) -> Vec<ContentId> {
        let news = &self.site.news;
        let featured = news.iter().copied().find(|id| match &self.site.contents[*id].kind {
            Kind::News(news) => news.featured,
            _ => false,
        });
        featured.into_iter().chain(news.iter().copied().filter(|id| Some(*id) != featured)).take(SHOWN).collect()
    }

    fn answers(&self) -> Vec<AnswerView<'s>> {
        let site = self.site;
        let mairie = &site.commune.mairie;
        let mut answers = Vec::new();
        if let Some(opening) = hours::opening(&mairie.hours, self.public(), site.today(), &site.commune.fuseau) {
            answers.push(AnswerView {
                kind: AnswerKind::Ouverture,
                label: "Mairie".into(),
                answer: opening.sentence.clone(),
                detail: None,
                url: self.main_service().map(|id| site.urls[id].as_str().into()),
                opening: Some(opening),
            });
        }
        if let Some(phone) = parts::phone(&mairie.telephone) {
            let detail = mairie.urgence.as_ref().and_then(|urgence| {
                let phone = parts::phone(&urgence.telephone)?;
                Some(format!("{}\u{a0}: {}", french(&urgence.libelle), phone.display).into())
            });
            answers.push(AnswerView {
                kind: AnswerKind::Telephone,
                label: "Nous appeler".into(),
                answer: phone.display,
                detail,
                url: Some(phone.href),
                opening: None,
            });
        } else if let Some(email) = parts::filled(&mairie.courriel) {
            answers.push(AnswerView {
                kind: AnswerKind::Courriel,
                label: "Nous écrire".into(),
                url: Some(format!("mailto:{email}").into()),
                answer: email,
                detail: None,
                opening: None,
            });
        }
        let is_council =
            |id: &ContentId| self.event_of(*id).is_some_and(|event| event.category.as_deref() == Some("conseil"));
        let coming = || {
            site.upcoming_events.iter().copied().filter(|id| self.event_of(*id).is_some_and(|event| !event.cancelled))
        };
        if let Some(id) = coming().find(is_council) {
            answers.extend(self.event_answer(id, AnswerKind::Conseil, "Prochain conseil"));
        }
        if let Some(id) = coming().find(|id| !is_council(id)) {
            answers.extend(self.event_answer(id, AnswerKind::Evenement, "Prochain rendez-vous"));
        }
        answers
    }

    fn event_answer(&self, id: ContentId, kind: AnswerKind, label: &'static str) -> Option<AnswerView<'s>> {
        let card = self.event_card(id)?;
        let (answer, detail) = match kind {
            AnswerKind::Conseil => (card.when, card.place),
            _ => (card.title, Some(card.when)),
        };
        Some(AnswerView { kind, label: label.into(), answer, detail, url: Some(card.url), opening: None })
    }

    fn tile(&self, tile: &'s Tile, drawn: &mut Drawn) -> Option<TileView<'s>> {
        match self.links.resolve(&self.site.home.path, &tile.link) {
            Ok(destination) => {
                if let Destination::Page {
                    target: Some(target @ (Target::Page(_) | Target::Home)),
                    anchor: Some(anchor),
                    ..
                } = &destination
                {
                    drawn.anchors.push(crate::render::markdown::AnchorLink {
                        target: *target,
                        anchor: anchor.clone(),
                        place: tile.place.clone(),
                    });
                }
                Some(TileView {
                    title: french(&tile.title),
                    text: parts::option(&tile.text),
                    url: destination.href().into_owned().into(),
                    external: matches!(destination, Destination::External(_)),
                    icon: tile.icon.as_deref().unwrap_or("document").into(),
                })
            }
            Err(broken) => {
                drawn.diagnostics.push(broken.at(tile.place.clone()));
                None
            }
        }
    }

    /// A link written in a key: relative to its file; `load` may have made it relative to the folder already.
    pub(super) fn resolve_key(
        &self,
        content: &crate::model::content::Content,
        written: &str,
    ) -> Result<Destination, Broken> {
        if self.links.find(written.split('#').next().unwrap_or(written)).is_some() {
            return self.links.resolve("", written);
        }
        self.links.resolve(&content.path, written)
    }
}
