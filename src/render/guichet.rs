//! Pages served by the guichet: questions, check, confirmation, messages. The same templates and code as the site's.
//!
//! [`Pages`] owns all it needs: header and footer are drawn once, each page then costs one template.

mod dossier;
mod mairie;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use self::dossier::{Acting, Cancelling, Done, Event, Following, Notice, Writing};
pub use self::mairie::{Confirming, Held, Judging};

use super::form::{self, Asked, Surroundings};
use super::pages::{Edition, fiche_link};
use super::parts;
use super::theme::{Frame, Theme};
use super::view::{
    AccuseView, BlockView, CheckView, ClosedFormView, CodeView, ConfirmationView, ContactView, CounterView, Crumb,
    ExitView, FormError, HiddenField, HoneypotView, MessageKind, MessageView, PageView, RetryView, Row, SiteView,
    StepView, Text, UnavailableView, View,
};
use super::{Options, markdown};
use crate::diagnostic::Diagnostic;
use crate::model::commune::Mairie;
use crate::model::form::own::{AGENT_CODE, GO_TO, HONEYPOT, TOKEN};
use crate::model::form::{Field, FieldKind, Form};
use crate::model::output::{Artifact, Pictures, Sink};
use crate::model::receipt::ReceiptDocument;
use crate::model::site::Site;
use crate::model::submission::{Answer, FieldError, RawAnswers, ValidAnswers};
use crate::text::numbers::plural;
use crate::text::typography::french;

pub use super::form::{Told, shows_on_its_page};

/// What the guichet draws. `Send + Sync`; drawing a page takes well under a millisecond.
pub struct Pages {
    theme: Theme,
    frame: Option<Frame>,
    commune: String,
    mairie: Mairie,
    mairie_name: String,
    site_prefix: String,
    action_base: String,
    around: BTreeMap<String, Surroundings>,
}

/// Said when nobody can be written to.
const NO_COPY: &str = "Aucune copie ne part : vous n’avez pas laissé d’adresse électronique.";

/// The same, said to the agent.
const NO_COPY_AT_COUNTER: &str = "Aucune copie ne part : la personne n’a pas donné d’adresse électronique.";

/// What the confirmation page says, besides the receipt.
#[derive(Debug, Clone, Default)]
pub struct Confirmation<'a> {
    /// « 2026-K7M2QX ».
    pub reference: &'a str,
    /// « le samedi 21 novembre 2026 à 20 h 15 (heure de Paris, UTC+1) ».
    pub received: &'a str,
    /// The same for `datetime`: `2026-11-21T20:15:00+01:00`.
    pub received_iso: &'a str,
    /// « Une copie vous est envoyée à h…y@exemple.fr »; `None` without address.
    pub copy_sent: Option<&'a str>,
    /// What happens now, in order.
    pub next_steps: Vec<String>,
    /// What is urgent, told again.
    pub alerts: &'a [String],
    /// An agent sees it, who hands it over: the whole address of the page of follow-up, to be printed; may be empty.
    pub counter: Option<&'a str>,
    /// Page of follow-up.
    pub tracking_url: Option<&'a str>,
}

impl Pages {
    /// Prepares the pages of a commune's guichet.
    ///
    /// Links lead to the site: root-relative when the guichet answers on the same host, absolute when
    /// `commune.guichet.adresse` is set. Files of the theme are always root-relative: the guichet serves
    /// [`Theme::files`] too. Diagnostics are those of templates; pages then fall back to plain HTML.
    pub fn new(site: &Site, theme: &Theme, pictures: &dyn Pictures, options: &Options) -> (Pages, Vec<Diagnostic>) {
        Self::with_files(site, theme, pictures, options, &|_, _| {})
    }

    /// The same; `sink` takes the files that these pages name: the theme's, the blazon, the pictures of forms.
    pub fn with_files(
        site: &Site,
        theme: &Theme,
        pictures: &dyn Pictures,
        options: &Options,
        sink: Sink<'_>,
    ) -> (Pages, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let edition = Edition::new(site, theme, pictures, options, &mut diagnostics);
        let elsewhere = !site.commune.guichet.adresse.is_empty();
        let prefix = if elsewhere { site.commune.domaine.trim_end_matches('/') } else { "" };
        let mut view = edition.site_view(options, prefix, &mut Vec::new());
        put_under(site.commune.guichet_path(), &mut view);
        let view = tera::Value::from_serializable(&view);
        let chrome = super::view::ChromeView { section: Some("demarches".into()), home: false };
        let frame = theme.frame(&view, &chrome).map_err(|error| diagnostics.push(error)).ok();
        let mut around = edition.around.clone();
        for around in around.values_mut() {
            around.site_prefix = prefix.to_owned();
            for html in around.prepare_html.iter_mut().chain(around.information_html.values_mut()) {
                *html = with_prefix(html, prefix);
            }
        }
        let preview_only = theme.preview_script_url().unwrap_or_default().trim_start_matches('/');
        for (path, bytes) in theme.files().filter(|(path, _)| *path != preview_only || options.preview.is_some()) {
            sink(path, Artifact::Bytes(bytes.clone()));
        }
        edition.links.media.publish(sink);
        let pages = Pages {
            theme: theme.clone(),
            frame,
            commune: site.commune.names.nom.clone(),
            mairie: site.commune.mairie.clone(),
            mairie_name: format!("Mairie {}", site.commune.names.forme_de),
            site_prefix: prefix.to_owned(),
            action_base: site.commune.guichet.adresse.clone(),
            around,
        };
        for form in site.forms.values() {
            let around = pages.around(form);
            let answers = RawAnswers::default();
            let asked =
                Asked { answers: &answers, errors: &[], page: Some(0), hidden: Vec::new(), told: &Told::default() };
            let questions = form::questions(form, &around, asked, &pages.commune);
            diagnostics.extend(pages.draw(&questions).err());
        }
        crate::diagnostic::sort(&mut diagnostics);
        (pages, diagnostics)
    }

    /// A page of questions of a form (from 0; all of them when the form has one page), filled with what was answered; what
    /// was refused is said at the top and beside each field.
    ///
    /// Files kept come back as hidden inputs `fichier.<field>` holding their ids, with boxes `retirer.<file id>`; `hidden`
    /// holds what the page carries for the other pages.
    pub fn questions(
        &self,
        form: &Form,
        answers: &RawAnswers,
        errors: &[FieldError],
        page: usize,
        hidden: Vec<(String, String)>,
    ) -> String {
        self.questions_told(form, answers, (errors, &Told::default()), page, hidden)
    }

    /// The same, with something said at its top.
    pub fn questions_told(
        &self,
        form: &Form,
        answers: &RawAnswers,
        (errors, told): (&[FieldError], &Told),
        page: usize,
        hidden: Vec<(String, String)>,
    ) -> String {
        let around = self.around(form);
        let asked = Asked { answers, errors, page: Some(page), hidden, told };
        let view = form::questions(form, &around, asked, &self.commune);
        self.page(&view, &view.page)
    }

    /// « Ce n'est pas ici »: what the mairie cannot take, and where to go; a button goes back to the answers in `hidden`.
    pub fn exit(&self, form: &Form, field: &Field, hidden: Vec<(String, String)>) -> String {
        let around = self.around(form);
        let title = match &field.kind {
            FieldKind::Exit { title, .. } => french(title),
            _ => french(&field.question),
        };
        let mut page = form::page(form, &around, title, &self.commune, false);
        page.breadcrumb.pop();
        let view = ExitView {
            page,
            demarche: fiche_link(form, &around.site_prefix),
            body_html: around.information_html.get(&field.id).map_or(Text::default(), |html| html.as_str().into()),
            back: RetryView {
                action_url: format!("{}{}/modifier", around.action_base, form.path()).into(),
                hidden: hidden
                    .into_iter()
                    .map(|(name, value)| HiddenField { name: name.into(), value: value.into() })
                    .collect(),
                label: "Revenir à mes réponses".into(),
            },
            contact: form::contact(form, &around),
        };
        self.page(&view, &view.page)
    }

    /// All answers to read again, with their « Modifier » buttons.
    ///
    /// `hidden` holds what the page must carry (answers, files, token) as name and value; `honeypot` what came in the trap;
    /// `errors` are said at the top (an `input` that is no field's id is not tied to one).
    pub fn check(
        &self,
        form: &Form,
        answers: &RawAnswers,
        valid: &ValidAnswers,
        hidden: Vec<(String, String)>,
        (honeypot, asks_code): (&str, bool),
        errors: &[FieldError],
    ) -> String {
        let around = self.around(form);
        let base = format!("{}{}", around.action_base, form.path());
        let code = asks_code.then(|| CodeView {
            id: form::control_id(AGENT_CODE).into(),
            error: errors.iter().find(|error| error.input == AGENT_CODE).map(|error| french(&error.message)),
        });
        let errors = check_errors(form, errors, honeypot);
        let steps = form.pages().len() + 1;
        let edit = |field: &Field| {
            let target = form::target_of(field, &field.id);
            match form.paged {
                true => format!("{base}/modifier?{GO_TO}={}#{target}", form.page_of(&field.id) + 1),
                false => format!("{base}/modifier#{target}"),
            }
        };
        let view = CheckView {
            page: form::page(form, &around, "Vérifiez et envoyez", &self.commune, !errors.is_empty()),
            demarche: fiche_link(form, &around.site_prefix),
            step: Some(StepView { current: steps, total: steps, label: "Vérification".into() }),
            action_url: format!("{base}/envoyer").into(),
            hidden: hidden
                .into_iter()
                .map(|(name, value)| HiddenField { name: name.into(), value: value.into() })
                .collect(),
            groups: form::check_groups(form, answers, &valid.answers, edit, |field| {
                form::second_look(field, answers, &around.addresses, &self.commune)
            }),
            honeypot: HoneypotView {
                name: HONEYPOT.into(),
                id: form::control_id(HONEYPOT).into(),
                label: "Laissez ce champ vide".into(),
                value: honeypot.into(),
            },
            errors,
            alerts: valid.alerts.iter().map(|alert| french(&alert.reminder)).collect(),
            unsent: form::unsent(form, answers),
            legal_html: legal(form).into(),
            notice: Some(form::notice(form, &around)),
            code,
            submit_label: if form.is_at_counter() { "Enregistrer" } else { "Envoyer" }.into(),
            contact: form::contact(form, &around),
        };
        self.page(&view, &view.page)
    }

    /// The receipt: this page *is* the accusé.
    pub fn confirmation(
        &self,
        form: &Form,
        told: &Confirmation<'_>,
        receipt: &ReceiptDocument,
        answers: &[Answer],
    ) -> String {
        let around = self.around(form);
        let mut page = form::page(form, &around, "Votre envoi est enregistré", &self.commune, false);
        if let Some(last) = page.breadcrumb.last_mut() {
            last.label = "Confirmation".into();
        }
        let view = ConfirmationView {
            page,
            demarche: fiche_link(form, &around.site_prefix),
            reference: told.reference.into(),
            received: told.received.into(),
            received_iso: told.received_iso.into(),
            copy_sent: Some(match told.copy_sent {
                Some(copy) => french(copy),
                None if told.counter.is_some() => NO_COPY_AT_COUNTER.into(),
                None => NO_COPY.into(),
            }),
            at_counter: told.counter.is_some(),
            counter: told.counter.filter(|address| !address.is_empty()).map(Cow::from),
            next_steps: parts::texts(&told.next_steps),
            alerts: told.alerts.iter().map(|words| french(words)).collect(),
            accuse: accuse(receipt),
            answers: form::answer_groups(answers),
            contact: form::contact(form, &around),
            tracking_url: told.tracking_url.map(Cow::from),
        };
        self.page(&view, &view.page)
    }

    /// Nothing could be stored (503): what was typed is shown, and a button tries again with the same `hidden` inputs.
    pub fn unavailable(&self, form: &Form, answers: &RawAnswers, hidden: Vec<(String, String)>) -> String {
        let words = [
            "Le guichet ne peut rien enregistrer en ce moment. Rien de ce que vous avez écrit n’est parti, rien n’est perdu\u{a0}: vos réponses sont ci-dessous.",
            "Essayez de nouveau dans quelques minutes. Si c’est urgent, appelez la mairie.",
        ];
        self.to_try_again(form, answers, hidden, &words.map(str::to_owned))
    }

    /// Too many requests came (429): the same, with how many minutes to wait.
    pub fn slowed(&self, form: &Form, answers: &RawAnswers, hidden: Vec<(String, String)>, minutes: u64) -> String {
        let wait = plural(minutes.max(1), "minute", "minutes");
        let words = [
            "Beaucoup d’envois sont arrivés en peu de temps, de votre connexion, avec votre adresse ou pour cette démarche. Le vôtre n’est pas parti, rien n’est perdu\u{a0}: vos réponses sont ci-dessous.".to_owned(),
            format!("Gardez cette page ouverte et essayez de nouveau dans {wait}. Si c’est urgent, appelez la mairie\u{a0}: elle prend votre démarche de la même façon."),
        ];
        self.to_try_again(form, answers, hidden, &words)
    }

    fn to_try_again(
        &self,
        form: &Form,
        answers: &RawAnswers,
        hidden: Vec<(String, String)>,
        words: &[String],
    ) -> String {
        let around = self.around(form);
        let mut page = form::page(form, &around, "Votre envoi n’a pas pu être enregistré", &self.commune, false);
        page.breadcrumb.pop();
        let step = if hidden.iter().any(|(name, _)| name == TOKEN) { "envoyer" } else { "verifier" };
        let hidden: Vec<HiddenField<'_>> =
            hidden.into_iter().map(|(name, value)| HiddenField { name: name.into(), value: value.into() }).collect();
        let view = UnavailableView {
            page,
            paragraphs: parts::texts(words),
            answers: form::typed_groups(form, answers),
            retry: (!hidden.is_empty()).then(|| RetryView {
                action_url: format!("{}{}/{step}", around.action_base, form.path()).into(),
                hidden,
                label: "Essayer encore".into(),
            }),
            contact: form::contact(form, &around),
        };
        self.page(&view, &view.page)
    }

    /// A message: not found, expired, too large, too many. The first link is drawn as a button; each is a label and an
    /// address.
    pub fn message(&self, kind: MessageKind, title: &str, paragraphs: &[String], links: &[(String, String)]) -> String {
        let page = self.page_view(title);
        let view = MessageView {
            page,
            kind,
            paragraphs: parts::texts(paragraphs),
            links: links.iter().map(|(label, url)| parts::link(french(label), url.as_str())).collect(),
            contact: self.mairie_contact(),
        };
        self.page(&view, &view.page)
    }

    /// The forms an agent may fill for somebody: a label and an address each.
    pub fn counter(&self, paragraphs: &[String], links: &[(String, String)]) -> String {
        let view = CounterView {
            page: self.page_view("Remplir un formulaire pour quelqu’un"),
            paragraphs: parts::texts(paragraphs),
            links: links.iter().map(|(label, url)| parts::link(french(label), url.as_str())).collect(),
        };
        self.page(&view, &view.page)
    }

    /// The form does not take requests now: why, until when; what was typed is shown, to copy or print.
    pub fn closed(&self, form: &Form, paragraphs: &[String], answers: &RawAnswers) -> String {
        let around = self.around(form);
        let mut page = form::page(form, &around, french(&form.title), &self.commune, false);
        page.breadcrumb.pop();
        let view = ClosedFormView {
            page,
            demarche: fiche_link(form, &around.site_prefix),
            paragraphs: parts::texts(paragraphs),
            answers: form::typed_groups(form, answers),
            paper_url: Some(format!("{}{}papier/", around.site_prefix, form.page_url).into()),
            contact: form::contact(form, &around),
        };
        self.page(&view, &view.page)
    }

    /// Address of a page of the site, absolute when the guichet is on another host.
    pub fn site_url(&self, path: &str) -> String {
        format!("{}{path}", self.site_prefix)
    }

    /// A form that the site did not know when the pages were made stands with nothing around it.
    fn around(&self, form: &Form) -> Cow<'_, Surroundings> {
        match self.around.get(&form.id) {
            Some(around) => Cow::Borrowed(around),
            None => Cow::Owned(Surroundings {
                site_prefix: self.site_prefix.clone(),
                action_base: self.action_base.clone(),
                ..Surroundings::default()
            }),
        }
    }

    fn page_view<'a>(&self, title: &'a str) -> PageView<'a> {
        let title = french(title);
        PageView {
            head_title: format!("{title} – {}", self.commune).into(),
            breadcrumb: vec![
                Crumb { label: "Démarches".into(), url: Some(self.site_url("/demarches/").into()) },
                Crumb { label: title.clone(), url: None },
            ],
            title,
            noindex: true,
            ..PageView::default()
        }
    }

    fn mairie_contact(&self) -> ContactView<'_> {
        parts::mairie_contact(&self.mairie, self.mairie_name.as_str())
    }

    fn draw<V: View>(&self, view: &V) -> Result<String, Diagnostic> {
        let missing = || {
            Diagnostic::error(
                crate::diagnostic::Code::Template,
                Default::default(),
                "l'en-tête du thème n'a pas pu être dessiné",
            )
        };
        let frame = self.frame.as_ref().ok_or_else(missing)?;
        let page = self.theme.page(frame, view)?;
        Ok(String::from_utf8_lossy(&page).into_owned())
    }

    /// The page, or a bare one with the telephone when its template fails: a resident is never left without an answer.
    fn page<V: View>(&self, view: &V, page: &PageView<'_>) -> String {
        self.draw(view).unwrap_or_else(|_| self.bare(&page.title))
    }

    fn bare(&self, title: &str) -> String {
        let mut words = String::new();
        markdown::escape(title, &mut words);
        let mut mairie = String::new();
        markdown::escape(&format!("{} – {}", self.mairie_name, self.mairie.telephone), &mut mairie);
        format!(
            "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>{words}</title></head>\
             <body><main><h1>{words}</h1><p>Cette page ne peut pas s’afficher en entier. Appelez la mairie\u{a0}: {mairie}</p></main></body></html>\n"
        )
    }
}

/// Root-relative addresses of ready HTML behind the site's scheme and host.
/// Styles, fonts and blazon of a guichet that answers under a path.
fn put_under(root: &str, view: &mut SiteView<'_>) {
    if root.is_empty() {
        return;
    }
    let put = |url: &mut Cow<'_, str>| *url = Cow::Owned(format!("{root}{url}"));
    let assets = &mut view.assets;
    put(&mut assets.stylesheet_url);
    let more = [&mut assets.script_url, &mut assets.icon_url, &mut assets.icon_png_url];
    more.into_iter().flatten().chain(&mut assets.preload_fonts).for_each(put);
    if let Some(blazon) = &mut view.blazon {
        put(&mut blazon.src);
    }
}

fn with_prefix(html: &str, prefix: &str) -> String {
    if prefix.is_empty() {
        return html.to_owned();
    }
    ["href=\"/", "src=\"/"].iter().fold(html.to_owned(), |html, attribute| {
        html.replace(attribute, &format!("{}{prefix}/", attribute.trim_end_matches('/')))
    })
}

/// Errors of the check page: the trap first, when something fell in it.
fn check_errors<'a>(form: &Form, errors: &'a [FieldError], honeypot: &str) -> Vec<FormError<'a>> {
    let mut told = form::summary_of_errors(form, errors);
    if !honeypot.is_empty() {
        let message = "Effacez le champ qui doit rester vide";
        told.insert(0, FormError { target: form::control_id(HONEYPOT).into(), message: message.into() });
    }
    told
}

/// What sending means in law.
fn legal(form: &Form) -> &'static str {
    if form.is_at_counter() {
        return "<p>Relisez ces réponses à la personne avant d’enregistrer. L’accusé s’affiche ensuite, prêt à imprimer : remettez-le-lui ou postez-le.</p>";
    }
    if form.identity.is_saisine() {
        "<p>En envoyant, vous saisissez la mairie par voie électronique (code des relations entre le public et l’administration, art. L112-8). Un accusé s’affiche aussitôt et vous est envoyé par courriel.</p>"
    } else {
        ""
    }
}

/// The blocks of the accusé: its lead, its facts, its sentences.
fn accuse(receipt: &ReceiptDocument) -> AccuseView<'_> {
    let rows =
        receipt.rows.iter().map(|row| Row { label: row.label.as_str().into(), value: row.value.as_str().into() });
    let paragraph = |text: &'_ str| -> Text<'static> { text.to_owned().into() };
    AccuseView {
        title: receipt.title.as_str().into(),
        blocks: vec![
            BlockView { paragraphs: vec![paragraph(&receipt.lead)], rows: rows.collect(), ..BlockView::default() },
            BlockView {
                paragraphs: receipt
                    .paragraphs
                    .iter()
                    .chain([&receipt.delivery])
                    .filter(|text| !text.is_empty())
                    .map(|text| paragraph(text))
                    .collect(),
                ..BlockView::default()
            },
        ],
    }
}
