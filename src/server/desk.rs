//! The guichet of one commune: what it shows, where it keeps, what it is limited by.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{Timestamp, Zoned};

use super::agent::Agents;
use super::answer::page;
use super::boite::Confirmed;
use super::listen::Peer;
use super::proxy::Proxy;
use super::rate::{Act, Rates};
use super::receive::FormLimits;
use super::watch::Watch;
use crate::intake::accept::Depot;
use crate::intake::links::Links;
use crate::intake::store::StoreError;
use crate::intake::token::{CounterCheck, Keys};
use crate::model::content::{Content, Kind};
use crate::model::form::Form;
use crate::model::receipt::Issuer;
use crate::model::site::Site;
use crate::render::guichet::Pages;
use crate::render::view::MessageKind;

/// What the guichet of a commune shows and knows; replaced as a whole when the folder changes.
pub struct DeskContent {
    pub(super) site: Site,
    pub(super) pages: Pages,
    pub(super) issuer: Issuer,
    pub(super) zone: jiff::tz::TimeZone,
    /// Slug, title and address of each fiche that declares a form, open or not.
    fiches: Vec<(String, String, String)>,
}

impl DeskContent {
    /// The content of a built site. What only the site's own pages show is let go: a process may hold many guichets.
    pub fn new(mut site: Site, pages: Pages) -> Self {
        let fiche = |(content, url): (&Content, &String)| {
            let is_fiche = matches!(&content.kind, Kind::Demarche(demarche) if demarche.form.is_some());
            is_fiche.then(|| (content.slug.clone(), content.title.clone(), url.clone()))
        };
        let fiches = site.contents.iter().zip(&site.urls).filter_map(fiche).collect();
        (site.contents, site.urls) = (Vec::new(), Vec::new());
        (site.targets, site.redirects, site.files) = Default::default();
        let issuer = Issuer::of(&site.commune);
        let zone = jiff::tz::TimeZone::get(&site.commune.fuseau).unwrap_or(jiff::tz::TimeZone::UTC);
        DeskContent { site, pages, issuer, zone, fiches }
    }

    /// The commune and the forms of the site it was made from.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// An address of the guichet, from the root of its host: communes may share one, each under a path.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.site.commune.guichet_path())
    }

    /// The form, or the page that says why there is none.
    pub(super) fn form(&self, id: &str) -> Result<&Form, Response> {
        self.site.forms.get(id).ok_or_else(|| self.no_form(id))
    }

    /// The form of an address, as its resident or an agent fills it.
    pub(super) fn form_at(&self, desk: &Desk, at: &FormPath) -> Result<Form, Response> {
        let Some(token) = &at.token else { return self.form(&at.form).cloned() };
        self.counter_opens(desk, token)?;
        self.form(&at.form).map(|form| form.at_counter(token))
    }

    /// Whether a link of the counter opens; otherwise the page that says why not.
    pub(super) fn counter_opens(&self, desk: &Desk, token: &str) -> Result<(), Response> {
        let why = match desk.keys.check_counter(token, (desk.clock)()) {
            CounterCheck::Opens => return Ok(()),
            CounterCheck::Expired => "Ce lien du comptoir n'est plus valable.",
            CounterCheck::Forged => "Cette adresse n'ouvre pas le comptoir. Vérifiez qu'elle est complète.",
        };
        let next = "Le bulletin du matin en donne un neuf, la commande « mulot demandes comptoir » aussi.";
        let words = [why.to_owned(), next.to_owned()];
        Err(self.message(StatusCode::NOT_FOUND, "no_counter", "Comptoir fermé", &words))
    }

    fn no_form(&self, id: &str) -> Response {
        match self.fiches.iter().find(|(slug, ..)| slug == id) {
            Some((_, title, url)) => {
                let words = [
                    format!("« {title} » ne peut pas être rempli en ligne en ce moment."),
                    "Appelez la mairie, écrivez-lui ou venez au guichet : votre démarche sera prise de la même façon."
                        .to_owned(),
                ];
                let link = ("Revenir à la démarche".to_owned(), self.pages.site_url(url));
                let html = self.pages.message(MessageKind::Info, "Ce formulaire est fermé", &words, &[link]);
                page(StatusCode::NOT_FOUND, html, "closed")
            }
            None => {
                let words = ["Ce formulaire n'existe pas, ou n'existe plus.".to_owned()];
                self.message(StatusCode::NOT_FOUND, "no_form", "Formulaire introuvable", &words)
            }
        }
    }

    /// A message with a link to the list of démarches.
    pub(super) fn message(&self, status: StatusCode, outcome: &'static str, title: &str, words: &[String]) -> Response {
        let link = ("Voir toutes les démarches".to_owned(), self.pages.site_url("/demarches/"));
        let kind = if status.is_server_error() { MessageKind::Erreur } else { MessageKind::Attention };
        page(status, self.pages.message(kind, title, words, &[link]), outcome)
    }
}

/// Which form an address names, and the secret under which an agent fills it.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct FormPath {
    pub(super) form: String,
    #[serde(default)]
    pub(super) token: Option<String>,
}

/// Tells the time; tests bring their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The guichet of one commune.
pub struct Desk {
    content: RwLock<Arc<DeskContent>>,
    pub(super) depot: Depot,
    pub(super) keys: Keys,
    pub(super) limits: FormLimits,
    pub(super) rates: Option<Arc<Rates>>,
    proxies: Vec<Proxy>,
    pub(super) reserve_bytes: u64,
    address: Option<String>,
    pub(super) clock: Clock,
    pub(super) watch: Arc<Watch>,
    pub(super) agents: Arc<Agents>,
    mailboxes: RwLock<Arc<Option<Confirmed>>>,
    /// Name of the commune's folder, when one guichet serves many.
    pub(super) commune: Option<String>,
    /// A code is to be sent now.
    pub(super) mailbox_due: tokio::sync::Notify,
}

/// What a [`Desk`] is made with, besides its content.
pub struct DeskOptions {
    /// Where requests are kept.
    pub depot: Depot,
    /// Keys of the tokens and receipts.
    pub keys: Keys,
    /// How much a form may send.
    pub limits: FormLimits,
    /// How often; `None`: no limit. They outlive the desk.
    pub(super) rates: Option<Arc<Rates>>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Proxy>,
    /// Free bytes under which the guichet says it is full.
    pub reserve_bytes: u64,
    /// Scheme and host it is reached at, when it is not where the commune says.
    pub address: Option<String>,
    /// Whether a mailbox must have proved that it is read before requests are sent to it.
    pub confirms_mailboxes: bool,
    /// Judges the code typed by who acts for the mairie. It outlives the desk.
    pub(super) agents: Arc<Agents>,
    /// Tells the time.
    pub clock: Clock,
    /// Who watches over it.
    pub(super) watch: Arc<Watch>,
    /// Name of the commune's folder, when one guichet serves many.
    pub(super) commune: Option<String>,
}

impl Desk {
    /// A guichet that shows `content`.
    pub fn new(content: DeskContent, options: DeskOptions) -> Self {
        Desk {
            content: RwLock::new(Arc::new(content)),
            depot: options.depot,
            keys: options.keys,
            limits: options.limits,
            rates: options.rates,
            proxies: options.proxies,
            reserve_bytes: options.reserve_bytes,
            address: options.address,
            clock: options.clock,
            watch: options.watch,
            commune: options.commune,
            agents: options.agents,
            mailboxes: RwLock::new(Arc::new(options.confirms_mailboxes.then(Confirmed::default))),
            mailbox_due: tokio::sync::Notify::new(),
        }
    }

    /// Replaces what is shown; requests under way keep what they began with.
    pub fn show(&self, content: DeskContent) {
        *self.content.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(content);
    }

    /// A code is to be sent, or what is known of mailboxes has changed.
    pub(super) fn ask_again(&self) {
        self.watch.duties.news(super::duties::Duty::Mailboxes);
        self.mailbox_due.notify_one();
    }

    pub(super) fn mailboxes_known(&self) -> Arc<Option<Confirmed>> {
        self.mailboxes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_mailboxes(&self, known: Confirmed) {
        *self.mailboxes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Some(known));
    }

    /// The commune as its mails name it, the confirmed mailboxes of each form, and the time there.
    pub(super) fn mailboxes(&self) -> (Issuer, std::collections::BTreeMap<String, Vec<String>>, Zoned) {
        let content = self.content();
        let boxes =
            content.site.forms.iter().map(|(id, form)| (id.clone(), self.confirmed(form.mailboxes()))).collect();
        (content.issuer.clone(), boxes, self.now(&content))
    }

    /// Forms whose requests of the day before go with the morning's digest.
    pub(super) fn daily_forms(&self) -> std::collections::BTreeSet<String> {
        let content = self.content();
        let daily = content.site.forms.iter().filter(|(_, form)| form.delivery.daily_csv);
        daily.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn content(&self) -> Arc<DeskContent> {
        self.content.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Addresses of its pages, for mails.
    pub(super) fn links(&self, content: &DeskContent) -> Links {
        let base = self.address.as_deref().unwrap_or_else(|| content.site.commune.guichet_address());
        Links::new(self.keys.clone(), base).within(self.limits.mail_bytes)
    }

    pub(super) fn now(&self, content: &DeskContent) -> Zoned {
        (self.clock)().to_zoned(content.zone.clone())
    }

    pub(super) fn token(&self, form: &Form) -> Result<String, Response> {
        self.keys.token(&form.id, (self.clock)()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }

    pub(super) fn rate(&self, act: Act, client: Option<IpAddr>) -> Result<(), Duration> {
        self.rates.as_ref().map_or(Ok(()), |rates| rates.take(act, client, Instant::now()))
    }

    pub(super) fn rate_form(&self, form: &Form, email: Option<&str>, nonce: &[u8; 16]) -> Result<(), Duration> {
        self.rates.as_ref().map_or(Ok(()), |rates| rates.take_form(&form.id, email, nonce, Instant::now()))
    }

    /// Who asks: the peer, or the last address a trusted proxy saw. Unknown when it is this machine.
    pub(super) fn client(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
        let believed = peer.is_none_or(|peer| self.is_proxy(peer));
        let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let seen = forwarded.flat_map(|list| list.split(',')).filter_map(|one| one.trim().parse::<IpAddr>().ok());
        let client = match believed {
            true => seen.map(|ip| ip.to_canonical()).filter(|ip| !self.is_proxy(*ip)).last(),
            false => peer,
        };
        client.filter(|ip| !ip.is_loopback())
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.is(peer))
    }
}

pub(super) async fn reading<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}
