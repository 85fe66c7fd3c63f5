//! A mailbox of the mairie proves that it is read: its mail opens a page, and only the code typed there confirms it.
//!
//! ```text
//! GET  /guichet/boite/{token}         the question, or what the mailbox already is
//! POST /guichet/boite/{token}         the code → 303 to the page, 422 with what is wrong, 409 when another one is needed
//! POST /guichet/boite/{token}/autre   another code is sent → 303 to the page
//! ```
//!
//! Scanners of mailboxes follow links: nothing changes on a GET.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Form as Fields, FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::SignedDuration;

use super::answer::{page, with};
use super::desk::{Desk, DeskContent, reading};
use super::duties::Duty;
use super::listen::Stop;
use super::rate::Act as RateAct;
use super::receive::Refusal;
use super::refusal::{refused, too_often};
use super::suivi::unreadable;
use crate::intake::confirm::{Wanted, ask};
use crate::intake::mailer::Mailer;
use crate::intake::store::{MailboxState, MailboxTag, StoreError, Tried};
use crate::intake::token::{Errand, ErrandCheck};
use crate::model::form::Form;
use crate::model::submission::RawAnswers;
use crate::render::guichet::{Confirming, Notice};
use crate::render::view::MessageKind;
use crate::text::dates::short_date;

/// The routes of the mailboxes.
pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/guichet/boite/{token}", get(show).post(confirm))
        .route("/guichet/boite/{token}/autre", get(back).post(renew))
}

/// What the guichet knows of the mailboxes it may send requests to. Without it, all of them may be written to: a preview, or a
/// machine for tests.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    /// Tags of those that are confirmed.
    pub(super) tags: BTreeSet<MailboxTag>,
}

impl Desk {
    /// The recipients of a form that may be written to; all of them when confirmation is not asked for.
    pub(super) fn confirmed<'a>(&self, addresses: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let known = self.mailboxes_known();
        let may = |address: &&String| match &*known {
            Some(known) => known.tags.contains(&self.depot.store.mailbox_tag(address)),
            None => true,
        };
        addresses.into_iter().filter(may).cloned().collect()
    }

    /// Whether nobody is yet known to read what this form would send.
    pub(super) fn waits_for_mailbox(&self, form: &Form) -> bool {
        self.confirmed(form.mailboxes()).is_empty()
    }

    /// The form as it is accepted: its mails go to the mailboxes of what was answered, as far as they are confirmed; to the
    /// form's other confirmed mailboxes when none of them is.
    pub(super) fn addressed(&self, mut form: Form, raw: &RawAnswers) -> Form {
        let wanted = [self.confirmed(form.recipients_for(raw)), self.confirmed(&form.recipients)];
        let first = wanted.into_iter().find(|addresses| !addresses.is_empty());
        form.recipients = first.unwrap_or_else(|| self.confirmed(form.mailboxes()));
        form.backup_recipients = self.confirmed(&form.backup_recipients);
        form
    }

    /// Every mailbox of the content: recipients, then backups.
    pub(super) fn named_mailboxes(content: &DeskContent) -> (BTreeSet<String>, BTreeSet<String>) {
        let forms = || content.site.forms.values();
        let recipients = forms().flat_map(|form| form.mailboxes().cloned()).collect();
        (recipients, forms().flat_map(|form| form.backup_recipients.iter().cloned()).collect())
    }

    /// Takes note of the mailboxes of what is shown, and of those that are confirmed; nothing when that is not asked for.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written; what was known stays.
    pub(super) fn look_at_mailboxes(&self) -> Result<(), StoreError> {
        if self.mailboxes_known().is_none() {
            return Ok(());
        }
        let (recipients, backups) = Desk::named_mailboxes(&self.content());
        self.depot.store.know_mailboxes(recipients, backups, (self.clock)())?;
        self.read_mailboxes()
    }

    /// Learns which mailboxes are confirmed, whoever did it.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; what was known stays.
    fn read_mailboxes(&self) -> Result<(), StoreError> {
        if self.mailboxes_known().is_some() {
            self.set_mailboxes(Confirmed { tags: self.depot.store.confirmed_mailboxes()? });
        }
        Ok(())
    }

    /// Mailboxes of what is shown that are not confirmed.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub(super) fn waiting_mailboxes(&self) -> Result<Vec<MailboxState>, StoreError> {
        if self.mailboxes_known().is_none() {
            return Ok(Vec::new());
        }
        let (recipients, backups) = Desk::named_mailboxes(&self.content());
        let named: BTreeSet<MailboxTag> =
            recipients.union(&backups).map(|address| self.depot.store.mailbox_tag(address)).collect();
        let mut states = self.depot.store.mailboxes()?;
        states.retain(|state| state.confirmed_at.is_none() && named.contains(&state.tag));
        Ok(states)
    }

    /// Sends the codes that are due.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written.
    async fn ask_mailboxes(&self, mailer: &Mailer) -> Result<(), StoreError> {
        let content = self.content();
        let mut wanted: BTreeMap<MailboxTag, Wanted> = BTreeMap::new();
        for form in content.site.forms.values() {
            let first = form.mailboxes().map(|address| (address, true));
            for (address, is_first) in first.chain(form.backup_recipients.iter().map(|address| (address, false))) {
                let one = wanted.entry(self.depot.store.mailbox_tag(address)).or_default();
                one.is_first |= is_first;
                one.commune.clone_from(&self.commune);
                if !one.forms.contains(&form.title) {
                    one.forms.push(form.title.clone());
                }
            }
        }
        let links = self.links(&content);
        ask(&self.depot.store, mailer, (&content.issuer, &links), &wanted, &self.now(&content)).await.map(|_| ())
    }
}

/// Sends the codes that are due and learns what was confirmed, here or by the administration, until told to stop.
///
/// Without a mailer it only learns: another process sends.
pub(super) async fn ask_until_stopped(desk: Arc<Desk>, mailer: Option<Arc<Mailer>>, mut stop: Stop) {
    loop {
        let (looking, round) = (desk.clone(), desk.watch.duties.begin(Duty::Mailboxes));
        let looked = async {
            let waiting = reading(move || looking.read_mailboxes().and_then(|()| looking.waiting_mailboxes())).await?;
            if let Some(mailer) = mailer.as_ref().filter(|_| !waiting.is_empty()) {
                desk.ask_mailboxes(mailer).await?;
            }
            Ok::<_, StoreError>(waiting.len())
        };
        let looked = looked.await;
        let again = looked.is_err().then(|| (desk.clock)().checked_add(ASK_ASLEEP).ok()).flatten();
        desk.watch.duties.done(round, again);
        let pause = match looked {
            Ok(0) => QUIET,
            Ok(_) => LOOK_AGAIN,
            Err(error) => {
                tracing::error!(event = "mailbox.failed", error.reason = %error, "mailboxes could not be asked");
                QUIET
            }
        };
        tokio::select! {
            () = stop.asked() => return,
            () = desk.mailbox_due.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The mailbox of a token, or the page that says why there is none.
async fn open(desk: &Desk, content: &DeskContent, token: &str) -> Result<MailboxState, Response> {
    let unknown = || {
        let words = [
            "Ce lien n'est pas complet, ou n'est pas de ce guichet. Rien n'a changé.".to_owned(),
            "Ouvrez de nouveau le message reçu, et copiez le lien en entier.".to_owned(),
        ];
        content.message(StatusCode::NOT_FOUND, "mailbox_forged", "Lien inconnu", &words)
    };
    let tag = match desk.keys.check_errand(Errand::Mailbox, token, (desk.clock)()) {
        ErrandCheck::Opens(tag) => tag,
        ErrandCheck::Expired => {
            let words = [
                "Ce lien a plus d'un mois : il n'est plus valable. Rien n'a changé.".to_owned(),
                "Demandez un autre code à la personne qui s'occupe du guichet : mulot demandes destinataires --renvoyer"
                    .to_owned(),
            ];
            return Err(content.message(StatusCode::GONE, "mailbox_expired", "Lien périmé", &words));
        }
        ErrandCheck::Forged => return Err(unknown()),
    };
    let store = desk.depot.store.clone();
    match reading(move || store.mailboxes()).await {
        Ok(states) => states.into_iter().find(|state| state.tag == tag).ok_or_else(unknown),
        Err(error) => Err(unreadable(content, error)),
    }
}

async fn show(State(desk): State<Arc<Desk>>, Path(token): Path<String>) -> Response {
    let content = desk.content();
    match open(&desk, &content, &token).await {
        Ok(state) => page(StatusCode::OK, mailbox_page(&desk, &content, &state, (&token, None)), "mailbox_page"),
        Err(page) => page,
    }
}

fn mailbox_page(
    desk: &Desk,
    content: &DeskContent,
    state: &MailboxState,
    (token, error): (&str, Option<String>),
) -> String {
    let place = content.at(&format!("/guichet/boite/{token}"));
    let (first, backups) = Desk::named_mailboxes(content);
    let is_its = |address: &String| desk.depot.store.mailbox_tag(address) == state.tag;
    let is_backup = !first.iter().any(is_its) && backups.iter().any(is_its);
    if let Some(at) = state.confirmed_at {
        let on = short_date(at.to_zoned(content.zone.clone()).date());
        let told = Confirming {
            notices: vec![Notice {
                kind: MessageKind::Valide,
                title: "Cette boîte est confirmée".into(),
                paragraphs: vec![match is_backup {
                    false => format!(
                        "Les demandes des habitants arrivent à {} depuis le {on}. Il n'y a plus rien à faire.",
                        state.address
                    ),
                    true => format!(
                        "{} est une boîte de secours : depuis le {on}, elle reçoit ce qui n'a pas pu être remis à la première. Il n'y a plus rien à faire.",
                        state.address
                    ),
                }],
            }],
            ..Confirming::default()
        };
        return content.pages.mailbox("Boîte aux lettres de la mairie", &told);
    }
    let now = (desk.clock)();
    let has_code = state.has_code(now);
    let what = match is_backup {
        false => format!("Les demandes des habitants arriveront à {}.", state.address),
        true => format!(
            "{} est une boîte de secours : elle ne recevra que ce qui n'a pas pu être remis à la première.",
            state.address
        ),
    };
    let mut paragraphs = vec![format!(
        "{what} Tapez le code du message : il prouve que l'adresse est la bonne et que quelqu'un la lit."
    )];
    if !has_code {
        paragraphs = vec![format!(
            "Le code envoyé à {} ne vaut plus rien : il est trop vieux, ou a été mal tapé cinq fois. Demandez-en un autre.",
            state.address
        )];
    } else if state.sent_at.is_none() {
        paragraphs.push("Un nouveau code est en route : il arrive dans quelques minutes.".into());
    }
    let told = Confirming {
        notices: Vec::new(),
        paragraphs,
        action_url: has_code.then(|| place.clone()),
        error,
        renew_url: (now.duration_since(state.issued_at) >= RENEW_PAUSE).then(|| format!("{place}/autre")),
    };
    content.pages.mailbox("Confirmez cette boîte aux lettres", &told)
}

async fn confirm(State(desk): State<Arc<Desk>>, Path(token): Path<String>, request: Request) -> Response {
    let content = desk.content();
    if let Err(wait) = desk.rate(RateAct::Check, desk.client(&request)) {
        return too_often(&content, wait);
    }
    let state = match open(&desk, &content, &token).await {
        Ok(state) => state,
        Err(page) => return page,
    };
    let Some(fields) = fields(request).await else { return refused(&content, None, Refusal::Malformed) };
    let typed = fields.get("code").map(|code| code.trim().to_owned()).unwrap_or_default();
    let again = |status, state: &MailboxState, error: Option<String>, outcome| {
        page(status, mailbox_page(&desk, &content, state, (&token, error)), outcome)
    };
    if typed.is_empty() && state.confirmed_at.is_none() && state.has_code((desk.clock)()) {
        let error = "Tapez le code à six chiffres du message".to_owned();
        return again(StatusCode::UNPROCESSABLE_ENTITY, &state, Some(error), "to_mend");
    }
    match desk.depot.store.try_mailbox_code(state.tag, typed, (desk.clock)()).await {
        Ok(Tried::Confirmed | Tried::Already) => {
            tracing::info!(event = "mailbox.confirmed", "a mailbox of the mairie is confirmed");
            let looking = desk.clone();
            if let Err(error) = reading(move || looking.read_mailboxes()).await {
                return unreadable(&content, error);
            }
            to(&token, "mailbox_confirmed")
        }
        Ok(Tried::Wrong { left }) => {
            let tries = if left == 1 { "il reste un essai".to_owned() } else { format!("il reste {left} essais") };
            let error = format!("Ce n'est pas le code du dernier message reçu : {tries}");
            again(StatusCode::UNPROCESSABLE_ENTITY, &state, Some(error), "to_mend")
        }
        Ok(Tried::Over | Tried::Unknown) => match open(&desk, &content, &token).await {
            Ok(state) => again(StatusCode::CONFLICT, &state, None, "mailbox_over"),
            Err(page) => page,
        },
        Err(error) => unreadable(&content, error),
    }
}

async fn renew(State(desk): State<Arc<Desk>>, Path(token): Path<String>, request: Request) -> Response {
    let content = desk.content();
    if let Err(wait) = desk.rate(RateAct::Check, desk.client(&request)) {
        return too_often(&content, wait);
    }
    let state = match open(&desk, &content, &token).await {
        Ok(state) => state,
        Err(page) => return page,
    };
    let (store, now) = (desk.depot.store.clone(), (desk.clock)());
    match reading(move || store.renew_mailbox_code(state.tag, RENEW_PAUSE, now)).await {
        Ok(is_new) => {
            if is_new {
                desk.ask_again();
            }
            to(&token, "mailbox_renewed")
        }
        Err(error) => unreadable(&content, error),
    }
}

/// Whoever asks for the address of an answer goes back to the page.
async fn back(Path(token): Path<String>) -> Response {
    to(&token, "again")
}

fn to(token: &str, outcome: &'static str) -> Response {
    let place = format!("/guichet/boite/{token}");
    with(outcome, (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response())
}

/// The inputs of a small form without files.
pub(super) async fn fields(request: Request) -> Option<BTreeMap<String, String>> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, MOST_BYTES).await.ok()?;
    let request = Request::from_parts(parts, Body::from(bytes));
    Fields::from_request(request, &()).await.ok().map(|Fields(fields)| fields)
}

/// Between two looks while a mailbox waits: the administration may have confirmed it.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Between two looks when none does; a changed folder is looked at at once.
const QUIET: Duration = Duration::from_secs(300);
/// When a guichet that is closed between visits looks again, after one that failed.
const ASK_ASLEEP: SignedDuration = SignedDuration::from_hours(1);
/// Bytes of a code and its name, with room.
const MOST_BYTES: usize = 4096;
/// Between two codes asked for from the page.
const RENEW_PAUSE: SignedDuration = SignedDuration::from_mins(10);
